//! A list for an answer: as long as the work makes it, and yet bounded, since an answer has a largest size.
//!
//! Used by the operations on files. What no longer fits is counted, never silently lost.

use serde_json::{Value, json};

/// The most entries of one list.
const ENTRIES: usize = 1000;
/// The most JSON of one list. A few lists together stay below the largest value that a job may send.
const BYTES: usize = 160 << 10;

/// The first entries, and how many more there were.
#[derive(Debug, Default)]
pub(super) struct Listing {
    entries: Vec<Value>,
    bytes: usize,
    omitted: u64,
}

impl Listing {
    pub(super) fn push(&mut self, entry: Value) {
        let bytes = if self.entries.len() < ENTRIES { entry.to_string().len() } else { 0 };
        // Once one was left out all later ones are, so that the list is the beginning and no selection.
        if self.omitted > 0 || self.entries.len() >= ENTRIES || self.bytes + bytes > BYTES {
            self.omitted += 1;
        } else {
            self.bytes += bytes;
            self.entries.push(entry);
        }
    }

    /// How many there were, with those left out.
    pub(super) fn count(&self) -> u64 {
        self.entries.len() as u64 + self.omitted
    }

    /// Writes it under this name, and beside it how many were left out.
    pub(super) fn put(&self, value: &mut Value, name: &str) {
        value[name] = Value::Array(self.entries.clone());
        if self.omitted > 0 {
            value[format!("{name}_omitted")] = json!(self.omitted);
        }
    }

    /// The same, or nothing where there was no entry.
    pub(super) fn put_if_any(&self, value: &mut Value, name: &str) {
        if self.count() > 0 {
            self.put(value, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Listing;

    #[test]
    fn it_is_bounded_in_entries_and_in_bytes_and_counts_the_rest() {
        let mut short = Listing::default();
        (0..1500).for_each(|number| short.push(json!(number)));
        let mut value = json!({});
        short.put(&mut value, "failed");
        assert_eq!((short.count(), &value["failed_omitted"]), (1500, &json!(500)));
        assert_eq!(value["failed"].as_array().map(Vec::len), Some(1000));
        let mut long = Listing::default();
        (0..500).for_each(|_| long.push(json!("x".repeat(4000))));
        let mut value = json!({});
        long.put(&mut value, "names");
        assert!(value.to_string().len() < 200_000);
        assert_eq!(long.count(), 500);
        assert!(value["names_omitted"].as_u64() > Some(400));
        let mut none = json!({});
        Listing::default().put_if_any(&mut none, "names");
        assert_eq!(none, json!({}));
    }
}
