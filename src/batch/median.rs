//! The median of the durations of the jobs that succeeded, from which timeouts can be derived.
//!
//! It is exact for the first ten thousand. After that durations are counted in classes, each less than one percent wide,
//! so that memory stays the same for any number of jobs.

use std::time::Duration;

/// So many durations are kept as they are.
const EXACT: usize = 10_000;
/// Fewer successes say nothing.
const ENOUGH: u64 = 3;
/// Each doubling of the duration has two to the power of this many classes.
const CLASS_BITS: u32 = 7;
/// A timeout of nothing would be none.
const SHORTEST: Duration = Duration::from_millis(1);

/// A median that durations can be added to.
#[derive(Debug)]
pub struct Median {
    durations: Durations,
    count: u64,
    /// The median as it stood when it was last asked for.
    known: Option<Duration>,
}

#[derive(Debug)]
enum Durations {
    /// In ascending order.
    Each(Vec<Duration>),
    /// How many are in each class.
    Classes(Vec<u64>),
}

impl Default for Median {
    fn default() -> Self {
        Self::new()
    }
}

impl Median {
    pub fn new() -> Self {
        Self { durations: Durations::Each(Vec::new()), count: 0, known: None }
    }

    /// A job succeeded within this time.
    pub fn note(&mut self, duration: Duration) {
        self.count += 1;
        self.known = None;
        match &mut self.durations {
            Durations::Each(sorted) if sorted.len() < EXACT => {
                let place = sorted.partition_point(|earlier| *earlier <= duration);
                sorted.insert(place, duration);
            }
            Durations::Each(sorted) => {
                let mut classes = vec![0; class(u64::MAX) + 1];
                for duration in sorted.iter().copied().chain([duration]) {
                    classes[class(nanoseconds(duration))] += 1;
                }
                self.durations = Durations::Classes(classes);
            }
            Durations::Classes(classes) => classes[class(nanoseconds(duration))] += 1,
        }
    }

    /// So many times the median, and no less than `floor`. None before three successes.
    pub fn timeout(&mut self, share: f64, floor: Duration) -> Option<Duration> {
        let median = self.median()?;
        let timeout = Duration::try_from_secs_f64(median.as_secs_f64() * share).unwrap_or(Duration::MAX);
        Some(timeout.max(floor).max(SHORTEST))
    }

    /// The one in the middle, or what is halfway between the two.
    fn median(&mut self) -> Option<Duration> {
        if self.count < ENOUGH {
            return None;
        }
        if self.known.is_none() {
            let (lower, upper) = (self.at((self.count - 1) / 2), self.at(self.count / 2));
            self.known = Some(lower + (upper - lower) / 2);
        }
        self.known
    }

    /// The duration of this rank, from 0.
    fn at(&self, rank: u64) -> Duration {
        match &self.durations {
            Durations::Each(sorted) => sorted[usize::try_from(rank).unwrap_or(usize::MAX)],
            Durations::Classes(classes) => {
                let mut passed = 0;
                let found = classes.iter().position(|count| {
                    passed += count;
                    passed > rank
                });
                Duration::from_nanos(middle(found.unwrap_or(0)))
            }
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The class of a number: its highest bits, and how many follow. Small numbers have one each.
fn class(number: u64) -> usize {
    let shift = (u64::BITS - number.leading_zeros()).saturating_sub(CLASS_BITS + 1);
    ((shift as usize) << CLASS_BITS) + (number >> shift) as usize
}

/// The number in the middle of a class.
fn middle(class: usize) -> u64 {
    let shift = (class >> CLASS_BITS).saturating_sub(1);
    let first = ((class - (shift << CLASS_BITS)) as u64) << shift;
    first + (1_u64 << shift) / 2
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Durations, EXACT, Median, class, middle};

    const NONE: Duration = Duration::ZERO;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn median(durations: &[Duration]) -> Option<Duration> {
        let mut median = Median::new();
        durations.iter().for_each(|duration| median.note(*duration));
        median.timeout(1.0, NONE)
    }

    #[test]
    fn the_median_is_known_from_three_on() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[seconds(1), seconds(2)]), None);
        assert_eq!(median(&[seconds(9), seconds(1), seconds(2)]), Some(seconds(2)));
        assert_eq!(median(&[seconds(9), seconds(1), seconds(2), seconds(4)]), Some(seconds(3)));
    }

    #[test]
    fn a_timeout_is_a_share_of_it_and_no_less_than_the_floor() {
        let mut median = Median::new();
        for number in [2, 2, 2] {
            median.note(seconds(number));
        }
        assert_eq!(median.timeout(3.0, seconds(1)), Some(seconds(6)));
        assert_eq!(median.timeout(0.25, seconds(1)), Some(seconds(1)));
        assert_eq!(median.timeout(f64::MAX, seconds(1)), Some(Duration::MAX));
        for _ in 0..4 {
            median.note(NONE);
        }
        assert_eq!(median.timeout(3.0, NONE), Some(Duration::from_millis(1)), "never nothing");
    }

    #[test]
    fn it_stays_right_within_a_percent_for_any_number() {
        let mut median = Median::new();
        let count = 5 * EXACT as u64;
        // In a mixed order, evenly from 1 ms to 50 s.
        for number in 0..count {
            median.note(Duration::from_millis(number * 7919 % count + 1));
            if number == EXACT as u64 - 1 {
                assert!(matches!(median.durations, Durations::Each(_)));
            }
        }
        assert!(matches!(median.durations, Durations::Classes(_)));
        let found = median.timeout(1.0, NONE).expect("many were noted").as_secs_f64();
        assert!((found - 25.0).abs() < 0.25, "{found}");
    }

    proptest! {
        #[test]
        fn the_middle_of_a_class_is_close_to_whatever_is_in_it(number in any::<u64>(), shift in 0..64_u32) {
            let number = number >> shift;
            let middle = middle(class(number));
            prop_assert_eq!(class(middle), class(number));
            prop_assert!(middle.abs_diff(number) as f64 <= number as f64 / 200.0, "{} {}", middle, number);
        }
    }
}
