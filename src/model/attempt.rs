//! One try of a job, as answers and journals record it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::answer;
use crate::model::envelope::ErrorCode;
use crate::model::outcome::{Cause, End, Outcome, StartStep, TimeoutReason};
use crate::model::quantity::Seconds;
use crate::model::signal::Signal;

/// One attempt that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// From 1.
    pub attempt: u32,
    /// What kind of error it ended in; absent where it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// The leader's exit code, where it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that the leader died of, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Which deadline it was, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<TimeoutReason>,
    /// The wall time that it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<Seconds>,
    pub elapsed_seconds: f64,
    /// What went wrong, as it completes "the attempt ...": `exited with code 75`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The wait before the next attempt, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<Seconds>,
    /// The largest resident size of a single process, in bytes. Known to whoever ran it, and in no answer.
    #[serde(skip)]
    pub peak_memory: Option<u64>,
}

impl Attempt {
    /// The record of an attempt that came to this. `wall` is the time that it was given.
    pub fn of(attempt: u32, outcome: &Outcome, wall: Option<Duration>) -> Self {
        let (exit_code, signal) = match outcome.end {
            End::Exited(code) => (Some(code), None),
            End::Signaled { signal, .. } => (None, Some(signal)),
            End::NotStarted(_) | End::Unknown => (None, None),
        };
        let reason = match outcome.cause {
            Some(Cause::Timeout { reason, .. }) => Some(reason),
            Some(Cause::Cancelled { .. } | Cause::CalledOff) | None => None,
        };
        let code = answer::error_code(outcome);
        Self {
            attempt,
            code,
            exit_code,
            signal,
            reason,
            timeout_seconds: wall.map(Seconds),
            elapsed_seconds: rounded(outcome.elapsed).as_secs_f64(),
            message: code.map(|_| what_went_wrong(outcome)),
            delay_seconds: None,
            peak_memory: Some(outcome.usage.max_rss_bytes).filter(|bytes| *bytes > 0),
        }
    }

    /// The record of an attempt that could not be begun.
    pub fn refused(attempt: u32, code: ErrorCode, message: &str) -> Self {
        Self {
            attempt,
            code: Some(code),
            exit_code: None,
            signal: None,
            reason: None,
            timeout_seconds: None,
            elapsed_seconds: 0.0,
            message: Some(format!("could not be begun: {message}")),
            delay_seconds: None,
            peak_memory: None,
        }
    }

    /// What went wrong, as it completes "the attempt ...".
    pub fn failure(&self) -> &str {
        self.message.as_deref().unwrap_or("succeeded")
    }
}

/// To the millisecond, as answers have it.
pub fn rounded(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from((duration.as_micros() + 500) / 1000).unwrap_or(u64::MAX))
}

fn what_went_wrong(outcome: &Outcome) -> String {
    match (&outcome.cause, &outcome.end) {
        (Some(Cause::Timeout { reason, limit }), _) => {
            let limit = Seconds(*limit);
            match reason {
                TimeoutReason::Total => format!("exceeded its timeout of {limit} s"),
                TimeoutReason::Idle => format!("was idle for {limit} s"),
                TimeoutReason::TotalBudget => format!("exceeded the {limit} s for all attempts"),
                TimeoutReason::ParentDeadline => {
                    format!("exceeded the {limit} s that the runner above this one allows")
                }
            }
        }
        (Some(Cause::CalledOff), _) => "stopped since another job failed".to_owned(),
        (Some(Cause::Cancelled { signal }), _) => format!("was cancelled by SIG{signal}"),
        (None, End::NotStarted(failure)) => {
            let what = match failure.step {
                StartStep::Spawn => "got no process",
                StartStep::Input => "could not open its input",
                StartStep::Chdir => "could not enter its working directory",
                StartStep::Exec => "could not be run",
            };
            format!("{what}: {}", answer::os_text(failure.os_error))
        }
        (None, End::Exited(0)) => format!("succeeded, but {}", outcome.troubles.join("; ")),
        (None, End::Exited(code)) => match &outcome.told.failure {
            Some(failure) => format!("failed: {}", failure.message),
            None => format!("exited with code {code}"),
        },
        (None, End::Signaled { signal, .. }) => format!("was killed by SIG{signal}"),
        (None, End::Unknown) => "could not be waited for".to_owned(),
    }
}
