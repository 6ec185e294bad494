//! The colours and attributes that a job has set, so that they can be set again after something of ours.
//!
//! `cursor` tells it of each change. It keeps the sequences as they came and does not know what they mean.

/// What is kept. A job that sets more without ever resetting gets back the first of it.
const LIMIT: usize = 256;

/// The sequences since all colours and attributes were reset.
#[derive(Debug, Default)]
pub(super) struct Rendition(Vec<u8>);

impl Rendition {
    /// What sets them again; empty where nothing is set.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A sequence with these parameters came.
    pub(super) fn change(&mut self, parameters: &[u8]) {
        let resets = parameters.is_empty() || parameters == b"0";
        if resets || parameters.starts_with(b"0;") {
            self.0.clear();
        }
        if !resets && self.0.len() + parameters.len() + 3 <= LIMIT {
            self.0.extend([b"\x1b[", parameters, b"m"].concat());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rendition;

    #[test]
    fn what_is_set_is_kept_until_it_is_reset() {
        let mut rendition = Rendition::default();
        rendition.change(b"31");
        rendition.change(b"1;44");
        assert_eq!(rendition.bytes(), b"\x1b[31m\x1b[1;44m");
        rendition.change(b"0;4");
        assert_eq!(rendition.bytes(), b"\x1b[0;4m");
        rendition.change(b"");
        assert_eq!(rendition.bytes(), b"");
        (0..1000).for_each(|_| rendition.change(b"38;2;1;2;3"));
        assert!(rendition.bytes().len() <= 256);
    }
}
