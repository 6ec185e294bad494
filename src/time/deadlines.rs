//! The ordered set of absolute deadlines, one for each key.
//!
//! The event loop asks it how long it may sleep and what has come due. It knows nothing of jobs.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::clock::Moment;

/// Deadlines by key. A deadline that has been taken is gone: one that fires cannot fire twice.
#[derive(Debug)]
pub struct Deadlines<K> {
    by_time: BTreeSet<(Moment, K)>,
    by_key: BTreeMap<K, Moment>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Deadlines<K> {
    /// Sets the deadline of `key`, in place of one that it had.
    pub fn arm(&mut self, key: K, at: Moment) {
        self.disarm(key);
        self.by_key.insert(key, at);
        self.by_time.insert((at, key));
    }

    /// Removes the deadline of `key`, if it has one.
    pub fn disarm(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Moment> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest deadline that is not later than `now`.
    pub fn take_due(&mut self, now: Moment) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.disarm(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Deadlines;
    use crate::time::clock::Moment;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    #[test]
    fn deadlines_come_due_in_order_and_once() {
        let mut deadlines = Deadlines::default();
        deadlines.arm("grace", at(5));
        deadlines.arm("wall", at(2));
        deadlines.arm("idle", at(9));
        deadlines.arm("idle", at(1));
        deadlines.disarm("grace");
        deadlines.disarm("never armed");
        assert_eq!(deadlines.next(), Some(at(1)));
        assert_eq!(deadlines.take_due(at(0)), None);
        assert_eq!(deadlines.take_due(at(2)), Some("idle"));
        assert_eq!(deadlines.take_due(at(2)), Some("wall"));
        assert_eq!(deadlines.take_due(at(99)), None);
    }
}
