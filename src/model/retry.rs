//! When a failed attempt is made again, and how long to wait before: plain data.
//!
//! Part of a job; whoever runs the job asks [`crate::model::attempt`] for its decisions.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How a job is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Attempts after the first one.
    pub retries: u32,
    /// What is tried again. Empty: every failure but those that trying again cannot cure, which are 125, 126 and 127.
    pub on: Vec<Condition>,
    /// What is never tried again, whatever `on` says.
    pub never_on: Vec<Condition>,
    /// Before the second attempt.
    pub delay: Duration,
    /// Each further delay is so many times the one before.
    pub backoff: f64,
    /// No delay is longer.
    pub max_delay: Duration,
    /// After a timeout the next attempt gets so many times the wall time.
    pub timeout_growth: f64,
    /// The time for all attempts and delays together.
    pub total_timeout: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            retries: 0,
            on: Vec::new(),
            never_on: Vec::new(),
            delay: Duration::from_secs(1),
            backoff: 2.0,
            max_delay: Duration::from_secs(30),
            timeout_growth: 1.0,
            total_timeout: None,
        }
    }
}

/// A kind of failure.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Any deadline but that for idleness.
    Timeout,
    Idle,
    /// It exited by itself with such a code.
    Exit(RangeInclusive<i32>),
    /// It died of a signal that we did not send.
    Signal,
    /// It could not be run, or runner itself failed.
    Error,
    /// Its output matches this regular expression.
    Match(String),
}
