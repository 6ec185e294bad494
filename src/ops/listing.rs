//! A list for an answer: as long as the work makes it, and yet bounded, since an answer has a largest size.
//!
//! Used by the operations on files. What no longer fits is counted, never silently lost.

use serde_json::Value;

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

    /// How many were left out.
    pub(super) fn omitted(&self) -> u64 {
        self.omitted
    }

    pub(super) fn to_value(&self) -> Value {
        Value::Array(self.entries.clone())
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
        assert_eq!((short.count(), short.omitted()), (1500, 500));
        let mut long = Listing::default();
        (0..500).for_each(|_| long.push(json!("x".repeat(4000))));
        assert!(long.to_value().to_string().len() < 200_000);
        assert_eq!(long.count(), 500);
        assert!(long.omitted() > 400);
    }
}
