//! How durations are spread: percentiles by the nearest rank, so that each is one that was measured.
//!
//! Pure; for the figures of the queue and for the history of jobs.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A spread of durations as answers show it, in seconds. Of nothing there are no percentiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
    /// How many were measured.
    pub count: u64,
}

impl Percentiles {
    /// The spread of these, in any order.
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let rank = |percent| nearest_rank(&durations, percent).map(seconds);
        Self {
            p50: rank(50),
            p90: rank(90),
            p95: rank(95),
            p99: rank(99),
            max: rank(100),
            count: durations.len() as u64,
        }
    }
}

/// The smallest value that so many percent of all do not exceed. `sorted` is in ascending order.
pub fn nearest_rank<T: Copy>(sorted: &[T], percent: u32) -> Option<T> {
    let rank = (sorted.len() * percent.min(100) as usize).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// To the millisecond, as in every answer.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Percentiles, nearest_rank};

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted = [15, 20, 35, 40, 50];
        for (percent, value) in
            [(0, 15), (5, 15), (20, 15), (30, 20), (40, 20), (50, 35), (99, 50), (100, 50), (200, 50)]
        {
            assert_eq!(nearest_rank(&sorted, percent), Some(value), "{percent}");
        }
        assert_eq!(nearest_rank::<u8>(&[], 50), None);
    }

    #[test]
    fn order_does_not_matter_and_nothing_has_no_spread() {
        let millis = (1..=100).rev().map(Duration::from_millis).collect();
        let spread = Percentiles::of(millis);
        assert_eq!((spread.p50, spread.p90, spread.p95), (Some(0.05), Some(0.09), Some(0.095)));
        assert_eq!((spread.p99, spread.max, spread.count), (Some(0.099), Some(0.1), 100));
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
        let one = Percentiles::of(vec![Duration::from_micros(1_500_400)]);
        assert_eq!((one.p50, one.max, one.count), (Some(1.5), Some(1.5), 1));
    }
}
