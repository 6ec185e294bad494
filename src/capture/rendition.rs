//! The colours and attributes that a job has set, so that they can be set again after something of ours.
//!
//! `cursor` tells it of each change: the parameters of the sequence SGR of ECMA-48. It keeps the changes that still hold
//! and writes nothing.

/// Changes that are kept; of more, the last.
const LIMIT: usize = 16;

/// The changes since all colours and attributes were reset, less those that others undid.
#[derive(Debug, Default)]
pub(super) struct Rendition {
    changes: Vec<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Rendition {
    /// What sets them again; empty where nothing is set.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A sequence with these parameters came.
    pub(super) fn change(&mut self, parameters: &[u8]) {
        let resets = parameters.is_empty() || parameters == b"0";
        if resets || parameters.starts_with(b"0;") {
            self.changes.clear();
        }
        let subject = subject(parameters);
        self.changes.retain(|change| change != parameters && (subject.is_none() || self::subject(change) != subject));
        // Back to the default is worth keeping only after a change of several things at once.
        let compound = self.changes.iter().any(|change| self::subject(change).is_none());
        if !resets && (compound || !is_default(parameters)) {
            self.changes.push(parameters.to_vec());
        }
        if self.changes.len() > LIMIT {
            self.changes.remove(0);
        }
        self.bytes = self.changes.iter().flat_map(|change| [b"\x1b[", change.as_slice(), b"m"].concat()).collect();
    }
}

/// The one thing that a change is about, as the parameter that sets it to its default; none where it is about several.
fn subject(parameters: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(parameters).ok()?;
    let count = text.split(';').count();
    for (long, default) in [("38;", 39), ("48;", 49)] {
        if let Some(rest) = text.strip_prefix(long) {
            return ((rest.starts_with("5;") && count == 3) || (rest.starts_with("2;") && count == 5))
                .then_some(default);
        }
    }
    match text.parse::<u8>().ok()? {
        30..=37 | 39 | 90..=97 => Some(39),
        40..=47 | 49 | 100..=107 => Some(49),
        1 | 2 | 22 => Some(22),
        3 | 23 => Some(23),
        4 | 21 | 24 => Some(24),
        5 | 6 | 25 => Some(25),
        7 | 27 => Some(27),
        8 | 28 => Some(28),
        9 | 29 => Some(29),
        _ => None,
    }
}

fn is_default(parameters: &[u8]) -> bool {
    subject(parameters).is_some_and(|default| default.to_string().as_bytes() == parameters)
}

#[cfg(test)]
mod tests {
    use super::Rendition;

    fn after(changes: &[&str]) -> String {
        let mut rendition = Rendition::default();
        changes.iter().for_each(|change| rendition.change(change.as_bytes()));
        String::from_utf8_lossy(rendition.bytes()).into_owned()
    }

    #[test]
    fn what_is_set_is_kept_until_it_is_reset() {
        assert_eq!(after(&["31", "1;44"]), "\x1b[31m\x1b[1;44m");
        assert_eq!(after(&["31", "1;44", "0;4"]), "\x1b[0;4m");
        assert_eq!(after(&["31", "1;44", ""]), "");
    }

    #[test]
    fn a_later_colour_takes_the_place_of_an_earlier() {
        assert_eq!(after(&["31", "4", "38;5;200", "24"]), "\x1b[38;5;200m");
        assert_eq!(after(&["31", "39", "1", "22"]), "");
        assert_eq!(after(&["1;31", "39"]), "\x1b[1;31m\x1b[39m");
        assert_eq!(after(&["1;31", "39", "1;31"]), "\x1b[39m\x1b[1;31m");
        assert_eq!(after(&["38;2;1;2;3", "48;5;7", "49"]), "\x1b[38;2;1;2;3m");
    }

    #[test]
    fn a_job_that_never_resets_needs_no_more_room() {
        let mut rendition = Rendition::default();
        for number in 0..1000 {
            rendition.change(format!("1;38;5;{}", number % 256).as_bytes());
        }
        assert!(rendition.bytes().len() < 300);
        assert!(rendition.bytes().ends_with(b"\x1b[1;38;5;231m"));
    }
}
