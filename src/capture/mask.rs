//! Masks the secrets in a stream that comes in portions, wherever these end.
//!
//! The pump calls it for each portion, before that goes into the window, the spool or a log. It holds back only what may
//! be the beginning of a secret, and gives it at the end of the stream.

use std::sync::Arc;

use crate::model::matcher::{Found, Matcher, Place, cover};
use crate::model::secrets::{MASK, Secrets};

/// So much is read at once.
const READ_SIZE: usize = 64 * 1024;

/// One stream.
#[derive(Debug)]
pub(super) struct Masker {
    matcher: Arc<Matcher>,
    place: Place,
    /// What was given out last, and behind it what is held back.
    pending: Vec<u8>,
    given: usize,
    /// Kept for its room alone.
    found: Vec<Found>,
}

impl Masker {
    /// Masks these secrets. None where there are none.
    pub(super) fn new(secrets: &Secrets) -> Option<Self> {
        let matcher = Arc::clone(secrets.matcher()?);
        Some(Self { matcher, place: Place::default(), pending: Vec::new(), given: 0, found: Vec::new() })
    }

    /// Takes the next bytes. Gives what can be shown by now.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> &[u8] {
        self.pending.drain(..self.given);
        let from = self.pending.len();
        self.pending.extend_from_slice(bytes);
        self.found.clear();
        self.matcher.find(&mut self.place, &self.pending, from, &mut self.found);
        // One that began in what was given out already has been masked there: it was part of another.
        cover(&mut self.pending, &self.found, MASK);
        let whole = self.matcher.is_whole(self.place);
        let open = if whole { 0 } else { self.matcher.open(self.place) };
        // Nor is more open than is there, for the same reason.
        self.given = self.pending.len().saturating_sub(open);
        &self.pending[..self.given]
    }

    /// The stream is over. Gives what was held back.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.pending.drain(..self.given);
        self.place = Place::default();
        self.given = self.pending.len();
        &self.pending
    }

    /// Bytes that are held back.
    pub(super) fn held(&self) -> usize {
        self.pending.len() - self.given
    }
}

/// A masker with the space that the stream is read into.
#[derive(Debug)]
pub(super) struct Masking {
    pub(super) masker: Masker,
    space: Vec<u8>,
    /// What goes on to our reader is a record, too.
    pub(super) reader_too: bool,
}

impl Masking {
    pub(super) fn new(masker: Masker, reader_too: bool) -> Self {
        Self { masker, space: vec![0; READ_SIZE], reader_too }
    }

    /// Space to read into.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.space
    }

    /// The first `length` bytes of the space were read. Gives them as they are, and what can be shown by now.
    pub(super) fn take(&mut self, length: usize) -> (&[u8], &[u8]) {
        let bytes = &self.space[..length];
        (bytes, self.masker.feed(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::Masker;
    use crate::model::secrets::Secrets;

    fn masker(secrets: &[&str]) -> Masker {
        Masker::new(&Secrets::new(secrets)).unwrap()
    }

    /// What comes out for each portion, and at the end.
    fn portions(secrets: &[&str], portions: &[&str]) -> Vec<String> {
        let mut masker = masker(secrets);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut given: Vec<String> = portions.iter().map(|portion| text(masker.feed(portion.as_bytes()))).collect();
        given.push(text(masker.finish()));
        assert_eq!(masker.held(), 0);
        given
    }

    #[test]
    fn only_what_may_be_the_beginning_of_a_secret_is_held_back() {
        assert_eq!(portions(&["secret"], &["a sec", "ond sec", "ret."]), ["a ", "second ", "******.", ""]);
        assert_eq!(portions(&["secret"], &["no se"]), ["no ", "se"]);
        assert_eq!(portions(&["abab"], &["xaba", "b", "a", "b", "a"]), ["x", "****", "", "**", "", "a"]);
    }

    #[test]
    fn what_is_masked_already_waits_for_nothing() {
        assert_eq!(portions(&["secret"], &["secret", "\n"]), ["******", "\n", ""]);
        assert_eq!(portions(&["ab", "abcd"], &["ab", "x", "abc", "d"]), ["**", "x", "", "****", ""]);
    }

    #[test]
    fn one_that_begins_within_another_is_masked_to_its_end() {
        assert_eq!(portions(&["abc", "cde"], &["ab", "c", "d", "e"]), ["", "***", "", "**", ""]);
        assert_eq!(portions(&["aXb", "Xbc", "bcd"], &["aX", "bc", "d"]).concat(), "*****");
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_stream_comes_out_as_if_it_had_come_at_once(
            secrets in proptest::collection::vec("[ab\n]{0,7}", 1..5),
            text in "[abc\n]{0,120}",
            cuts in proptest::collection::vec(0_usize..9, 0..120),
        ) {
            let secrets = Secrets::new(&secrets);
            let Some(mut masker) = Masker::new(&secrets) else { return Ok(()) };
            let (mut rest, mut given, mut fed) = (text.as_bytes(), Vec::new(), 0);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (portion, others) = rest.split_at(cut.min(rest.len()));
                given.extend_from_slice(masker.feed(portion));
                fed += portion.len();
                assert_eq!(given.len() + masker.held(), fed);
                rest = others;
            }
            given.extend_from_slice(masker.finish());
            assert_eq!(String::from_utf8(given).unwrap(), secrets.mask_text(&text));
        }
    }
}
