//! The median of the durations of the jobs that succeeded, from which timeouts can be derived.

use std::time::Duration;

#[derive(Debug, Default)]
pub struct Median {
    durations: Vec<Duration>,
}

impl Median {
    pub fn note(&mut self, duration: Duration) {
        let at = self.durations.partition_point(|known| *known < duration);
        self.durations.insert(at, duration);
    }

    /// So much of the median, but not less than the floor. None before three successes.
    pub fn timeout(&self, share: f64, floor: Duration) -> Option<Duration> {
        let middle = self.durations.get(self.durations.len() / 2).filter(|_| self.durations.len() >= 3)?;
        Some(middle.mul_f64(share).max(floor))
    }
}
