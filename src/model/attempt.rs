//! One try of a job, as answers and journals record it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::envelope::ErrorCode;
use crate::model::outcome::TimeoutReason;
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
    /// One sentence on what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The wait before the next attempt, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<Seconds>,
}
