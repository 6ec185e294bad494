//! `--timeout auto`: a timeout made of how long the job took before. Pure.
//!
//! The rule is one that can be explained in a line, and that errs towards too long: a timeout that is too long costs a
//! wait, one that is too short costs a job.

use std::time::Duration;

use crate::model::job::Limits;
use crate::model::percentiles::nearest_rank;

/// Fewer successes say nothing.
pub const ENOUGH: usize = 5;
/// No more than so many successes, the newest ones, are looked at: what a job took long ago says little of today.
pub const RECENT: usize = 200;
/// `auto` without a factor.
pub const FACTOR: f64 = 2.0;
/// A success is out of line where it took so many times the median.
const OUT_OF_LINE: u32 = 3;
/// Of so many successes one may be left out.
const ONE_IN: usize = 20;
/// From here on a suggestion is whole seconds.
const WHOLE_SECONDS_FROM: Duration = Duration::from_secs(10);

const FORMS: &str = "auto, or auto with a factor from 1 on, such as auto:3x or auto:1.5x";

/// How a timeout is made of the history of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoTimeout {
    /// So many times the trimmed 95th percentile.
    pub factor: f64,
    pub bounds: TimeoutBounds,
}

/// What holds whatever the history says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutBounds {
    /// No timeout is shorter.
    pub floor: Duration,
    /// No timeout is longer.
    pub cap: Duration,
    /// The timeout where there are too few successes to go by.
    pub fallback: Duration,
}

impl Default for TimeoutBounds {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self { floor: Duration::from_secs(10), cap: HOUR * 24, fallback: HOUR }
    }
}

/// A timeout, and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suggestion {
    pub timeout: Duration,
    /// The successes that were looked at.
    pub successes: usize,
    /// Their trimmed 95th percentile. None: they were too few, and the timeout is the fallback.
    pub basis: Option<Duration>,
}

impl AutoTimeout {
    /// The timeout after these successes, in any order.
    pub fn suggest(&self, successes: &[Duration]) -> Suggestion {
        let basis = (successes.len() >= ENOUGH).then(|| trimmed_p95(successes)).flatten();
        let timeout = match basis {
            Some(basis) => {
                let scaled = Duration::try_from_secs_f64(basis.as_secs_f64() * self.factor).unwrap_or(Duration::MAX);
                round_up(scaled).max(self.bounds.floor).min(self.bounds.cap)
            }
            None => self.bounds.fallback,
        };
        Suggestion { timeout, successes: successes.len(), basis }
    }

    /// Makes it the timeout of these limits, as far as their maximum allows.
    pub fn apply(&self, limits: &mut Limits, successes: &[Duration]) -> Suggestion {
        let suggestion = self.suggest(successes);
        let timeout = limits.max_timeout.map_or(suggestion.timeout, |maximum| maximum.min(suggestion.timeout));
        limits.timeout = Some(timeout);
        Suggestion { timeout, ..suggestion }
    }
}

/// The 95th percentile, by nearest rank, of what is left when those are taken out that took more than three times the
/// median; of twenty successes no more than one is taken out, of forty two, and of fewer than twenty none. So one run
/// that hung for an hour does not raise the timeout for good, while a job that is slow every tenth time keeps its time.
pub fn trimmed_p95(successes: &[Duration]) -> Option<Duration> {
    let mut sorted = successes.to_vec();
    sorted.sort_unstable();
    let median = nearest_rank(&sorted, 50)?;
    let line = median.saturating_mul(OUT_OF_LINE);
    let out_of_line = sorted.iter().rev().take_while(|duration| **duration > line).count();
    sorted.truncate(sorted.len() - out_of_line.min(sorted.len() / ONE_IN));
    nearest_rank(&sorted, 95)
}

/// The factor of `auto`, `auto:3` or `auto:1.5x`. None: the text does not begin with that word. An error says what is
/// wrong and, after `: give `, what would be right.
pub fn parse_factor(text: &str) -> Option<Result<f64, String>> {
    let rest = text.strip_prefix("auto")?;
    if rest.is_empty() {
        return Some(Ok(FACTOR));
    }
    let number = rest.strip_prefix(':').map(|rest| rest.strip_suffix('x').unwrap_or(rest));
    let plain = |number: &&str| number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let factor = number.filter(plain).and_then(|number| number.parse::<f64>().ok());
    Some(match factor.filter(|factor| factor.is_finite()) {
        Some(factor) if factor >= 1.0 => Ok(factor),
        Some(_) => Err(format!("'{text}' would stop jobs that take as long as ever: give {FORMS}")),
        None => Err(format!("'{text}' is no automatic timeout: give {FORMS}")),
    })
}

/// No digits that nobody needs: whole seconds, or milliseconds where it is short.
fn round_up(duration: Duration) -> Duration {
    let unit: u128 = if duration >= WHOLE_SECONDS_FROM { 1_000_000_000 } else { 1_000_000 };
    let rounded = duration.as_nanos().div_ceil(unit).saturating_mul(unit);
    u64::try_from(rounded).map_or(Duration::MAX, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::proptest;

    use super::{AutoTimeout, FACTOR, Suggestion, TimeoutBounds, parse_factor, trimmed_p95};

    fn seconds(numbers: &[u64]) -> Vec<Duration> {
        numbers.iter().copied().map(Duration::from_secs).collect()
    }

    fn auto(factor: f64) -> AutoTimeout {
        AutoTimeout { factor, bounds: TimeoutBounds::default() }
    }

    #[test]
    fn below_five_successes_the_fallback_holds() {
        let hour = Duration::from_secs(3600);
        for count in 0..5 {
            let expected = Suggestion { timeout: hour, successes: count, basis: None };
            assert_eq!(auto(2.0).suggest(&vec![Duration::from_secs(30); count]), expected);
        }
        let expected =
            Suggestion { timeout: Duration::from_secs(60), successes: 5, basis: Some(Duration::from_secs(30)) };
        assert_eq!(auto(2.0).suggest(&[Duration::from_secs(30); 5]), expected);
    }

    #[test]
    fn it_is_so_many_times_the_percentile_within_its_bounds() {
        let suggested = |factor, numbers: &[u64]| auto(factor).suggest(&seconds(numbers)).timeout.as_secs_f64();
        assert_eq!(suggested(2.0, &[20, 22, 21, 25, 23]), 50.0);
        assert_eq!(suggested(1.5, &[20, 22, 21, 25, 23]), 38.0, "37.5 is rounded up");
        assert_eq!(suggested(3.0, &[1, 1, 1, 1, 1]), 10.0, "the floor");
        assert_eq!(suggested(2.0, &[90_000; 5]), 86_400.0, "the cap");
        let bounds = TimeoutBounds { floor: Duration::ZERO, ..TimeoutBounds::default() };
        let short = AutoTimeout { factor: 1.5, bounds }.suggest(&[Duration::from_micros(1234); 5]);
        assert_eq!(short.timeout, Duration::from_millis(2));
    }

    #[test]
    fn one_in_twenty_that_is_out_of_line_is_left_out() {
        let with = |usual: usize, odd: usize| {
            let mut durations = vec![Duration::from_secs(10); usual];
            durations.extend(vec![Duration::from_secs(1000); odd]);
            trimmed_p95(&durations).map(|found| found.as_secs())
        };
        assert_eq!(with(18, 1), Some(1000), "too few to say that it is out of line");
        assert_eq!(with(19, 1), Some(10));
        assert_eq!(with(38, 2), Some(10));
        assert_eq!(with(37, 3), Some(10), "the rank passes over one more");
        assert_eq!(with(36, 4), Some(1000), "one in ten is no accident");
        assert_eq!(with(0, 0), None);
        // What is up to three times the median is in line.
        let mut durations = seconds(&[10; 19]);
        durations.push(Duration::from_secs(30));
        durations.extend(seconds(&[30]));
        assert_eq!(trimmed_p95(&durations), Some(Duration::from_secs(30)));
    }

    #[test]
    fn factors_are_read() {
        for (text, factor) in [("auto", FACTOR), ("auto:2x", 2.0), ("auto:3", 3.0), ("auto:1.5x", 1.5), ("auto:1", 1.0)]
        {
            assert_eq!(parse_factor(text), Some(Ok(factor)), "{text}");
        }
        for text in ["60", "none", "300%", ""] {
            assert_eq!(parse_factor(text), None, "{text}");
        }
        for (text, part) in [
            ("auto:", "no automatic timeout"),
            ("auto:x", "no automatic timeout"),
            ("auto2", "no automatic timeout"),
            ("auto:-2", "no automatic timeout"),
            ("auto:1e3", "no automatic timeout"),
            ("auto:inf", "no automatic timeout"),
            ("automatic", "no automatic timeout"),
            ("auto:0", "would stop jobs"),
            ("auto:0.9x", "would stop jobs"),
        ] {
            let error = parse_factor(text).unwrap().unwrap_err();
            assert!(error.contains(part) && error.contains(": give auto, or"), "{text}: {error}");
        }
    }

    proptest! {
        /// Whatever the history is, the timeout is within its bounds, and a larger factor never makes a shorter one.
        #[test]
        fn the_bounds_hold(millis in proptest::collection::vec(0_u64..200_000_000, 0..60), factor in 1.0_f64..50.0) {
            let successes: Vec<Duration> = millis.into_iter().map(Duration::from_millis).collect();
            let (smaller, larger) = (auto(factor).suggest(&successes), auto(factor + 1.0).suggest(&successes));
            assert!(smaller.timeout <= larger.timeout);
            let TimeoutBounds { floor, cap, .. } = TimeoutBounds::default();
            assert!(smaller.timeout >= floor && larger.timeout <= cap);
            assert_eq!(smaller.basis.is_some(), successes.len() >= 5);
            assert!(smaller.basis.is_none_or(|basis| successes.contains(&basis)));
        }
    }
}
