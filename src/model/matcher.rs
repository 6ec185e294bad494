//! Finds every occurrence of several patterns in bytes that may come in portions: the automaton of Aho and Corasick.
//!
//! Pure. A crate for it would find matches in a whole text, or such as do not overlap in a stream. Masking needs all that
//! overlap, and how much of the end may still become one; those two numbers are what a state of the automaton is, so it
//! stands here. States are as many as the patterns have bytes, and a byte costs the same however many patterns there are.

/// No state: there is no way on.
const NONE: u32 = 0;

/// The automaton. Patterns are never empty.
pub struct Matcher {
    /// Where a first byte leads to.
    first: Box<[u32; 256]>,
    /// The root is the first.
    states: Vec<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    byte: u8,
    /// The first of those that lead on, and the next of those that its parent leads to.
    child: u32,
    sibling: u32,
    /// The longest other end of what was read that begins a pattern.
    fallback: u32,
    /// Bytes from the root.
    depth: u32,
    /// The length of the longest pattern that ends here; 0 where none does.
    found: u32,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(u32);

/// An occurrence: the longest one that ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Behind its last byte.
    pub end: usize,
    pub length: usize,
}

impl Matcher {
    /// The automaton of these patterns. None where there are none but empty ones.
    pub fn new<P: AsRef<[u8]>>(patterns: impl IntoIterator<Item = P>) -> Option<Self> {
        let mut matcher = Self { first: Box::new([NONE; 256]), states: vec![State::default()] };
        for pattern in patterns {
            matcher.add(pattern.as_ref());
        }
        if matcher.states.len() == 1 {
            return None;
        }
        matcher.link();
        Some(matcher)
    }

    fn add(&mut self, pattern: &[u8]) {
        let mut at = NONE;
        for byte in pattern {
            at = match self.child(at, *byte) {
                NONE => self.grow(at, *byte),
                next => next,
            };
        }
        // The root is the end of no pattern but the empty one.
        if at != NONE {
            let state = &mut self.states[at as usize];
            state.found = state.depth;
        }
    }

    fn grow(&mut self, parent: u32, byte: u8) -> u32 {
        // An environment holds far less than four gigabytes, and so do the states made of it.
        let new = self.states.len() as u32;
        let above = &mut self.states[parent as usize];
        let state = State { byte, sibling: above.child, depth: above.depth + 1, ..State::default() };
        above.child = new;
        self.states.push(state);
        if parent == NONE {
            self.first[usize::from(byte)] = new;
        }
        new
    }

    /// Sets the fallbacks, those of short states before those of longer ones.
    fn link(&mut self) {
        let mut queue = vec![NONE];
        let mut at = 0;
        while let Some(parent) = queue.get(at).copied() {
            at += 1;
            let mut child = self.states[parent as usize].child;
            while child != NONE {
                let State { byte, sibling, .. } = self.states[child as usize];
                if parent != NONE {
                    let fallback = self.next(self.states[parent as usize].fallback, byte);
                    let inherited = self.states[fallback as usize].found;
                    let state = &mut self.states[child as usize];
                    state.fallback = fallback;
                    state.found = state.found.max(inherited);
                }
                queue.push(child);
                child = sibling;
            }
        }
    }

    /// The state that a byte leads to from this one directly.
    fn child(&self, at: u32, byte: u8) -> u32 {
        if at == NONE {
            return self.first[usize::from(byte)];
        }
        let mut child = self.states[at as usize].child;
        while child != NONE && self.states[child as usize].byte != byte {
            child = self.states[child as usize].sibling;
        }
        child
    }

    /// The state behind this byte.
    fn next(&self, mut at: u32, byte: u8) -> u32 {
        loop {
            match self.child(at, byte) {
                NONE if at == NONE => return NONE,
                NONE => at = self.states[at as usize].fallback,
                next => return next,
            }
        }
    }

    /// Reads on from `place` through `bytes[from..]`, and adds what it finds to `found`. Ends count from the start of
    /// `bytes`; an occurrence may have begun before it.
    pub fn find(&self, place: &mut Place, bytes: &[u8], from: usize, found: &mut Vec<Found>) {
        let mut at = place.0;
        let mut index = from;
        while index < bytes.len() {
            if at == NONE {
                // Most bytes begin nothing.
                let rest = &bytes[index..];
                let skipped = rest.iter().position(|byte| self.first[usize::from(*byte)] != NONE);
                index += skipped.unwrap_or(rest.len());
                if index == bytes.len() {
                    break;
                }
            }
            at = self.next(at, bytes[index]);
            index += 1;
            let length = self.states[at as usize].found as usize;
            if length > 0 {
                found.push(Found { end: index, length });
            }
        }
        place.0 = at;
    }

    /// So many of the last bytes may be the beginning of a pattern.
    pub fn open(&self, place: Place) -> usize {
        self.states[place.0 as usize].depth as usize
    }

    /// All of those bytes are a pattern already.
    pub fn is_whole(&self, place: Place) -> bool {
        let State { depth, found, .. } = self.states[place.0 as usize];
        depth == found
    }
}

impl std::fmt::Debug for Matcher {
    /// Its states spell the patterns, which may be secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Matcher").finish_non_exhaustive()
    }
}

/// Sets every byte of what was found to `mask`. `found` is in the order of the ends; each byte is set once.
pub fn cover(bytes: &mut [u8], found: &[Found], mask: u8) {
    // From behind: what begins no earlier than another that was set, and ends before it, lies within that one.
    let mut set_from = bytes.len();
    for Found { end, length } in found.iter().rev() {
        let start = end.saturating_sub(*length);
        if start < set_from {
            bytes[start..(*end).min(set_from)].fill(mask);
            set_from = start;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Found, Matcher, Place, cover};

    /// Every occurrence of every pattern, byte by byte.
    pub(crate) fn naive(patterns: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
        let mut masked = text.to_vec();
        for pattern in patterns.iter().filter(|pattern| !pattern.is_empty()) {
            for start in 0..text.len() {
                if text[start..].starts_with(pattern) {
                    masked[start..start + pattern.len()].fill(b'*');
                }
            }
        }
        masked
    }

    fn masked(patterns: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        if let Some(matcher) = Matcher::new(patterns) {
            let mut found = Vec::new();
            matcher.find(&mut Place::default(), text, 0, &mut found);
            cover(&mut bytes, &found, b'*');
        }
        bytes
    }

    proptest! {
        #[test]
        fn every_byte_of_every_occurrence_is_covered_and_no_other(
            patterns in proptest::collection::vec(proptest::collection::vec(b'a'..b'd', 0..6), 0..6),
            text in proptest::collection::vec(b'a'..b'd', 0..200),
        ) {
            assert_eq!(masked(&patterns, &text), naive(&patterns, &text));
        }

        #[test]
        fn any_bytes_do(
            patterns in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..40),
            text in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            assert_eq!(masked(&patterns, &text), naive(&patterns, &text));
        }
    }

    #[test]
    fn a_pattern_within_another_is_found_where_the_longer_one_breaks_off() {
        let patterns = [b"abcde".to_vec(), b"bcd".to_vec(), b"c".to_vec()];
        assert_eq!(masked(&patterns, b"abcdx abcde xcx"), b"a***x ***** x*x");
    }

    #[test]
    fn a_pattern_that_overlaps_itself_is_covered_to_its_end() {
        assert_eq!(masked(&[b"abab".to_vec()], b"xababab abab"), b"x****** ****");
    }

    #[test]
    fn the_cost_does_not_grow_with_how_often_long_patterns_overlap() {
        // Filled anew at each of its ends, this would take minutes.
        let (pattern, text) = (vec![b'a'; 100_000], vec![b'a'; 4_000_000]);
        assert!(masked(&[pattern], &text).iter().all(|byte| *byte == b'*'));
    }

    #[test]
    fn without_patterns_there_is_no_automaton() {
        assert!(Matcher::new([b"".as_slice(), b""]).is_none());
        assert!(Matcher::new(std::iter::empty::<&[u8]>()).is_none());
        let matcher = Matcher::new(["secret"]).unwrap();
        assert_eq!(format!("{matcher:?}"), "Matcher { .. }");
        let mut found = Vec::new();
        let mut place = Place::default();
        matcher.find(&mut place, b"a sec", 0, &mut found);
        assert_eq!((matcher.open(place), found.len()), (3, 0));
        matcher.find(&mut place, b"ret", 0, &mut found);
        assert_eq!(found, [Found { end: 3, length: 6 }]);
        assert!(matcher.is_whole(place));
    }
}
