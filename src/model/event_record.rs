//! Events as programs read them: one JSON object for each, and the types that its schema is derived from.
//!
//! As with the envelope: field order is the order of declaration, and a field that is new must be optional.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::attempt::Attempt;
use crate::model::envelope::{ErrorCode, Status};
use crate::model::outcome::{Leftover, Progress, TimeoutReason};
use crate::model::quantity::Seconds;
use crate::model::signal::Signal;

/// One thing that happened to one job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventRecord {
    /// When it happened: RFC 3339, UTC.
    pub timestamp: String,
    pub job_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. Kinds may be added: whoever reads these passes over those it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The command runs.
    Started { pid: i32 },
    /// The command could not be started because descriptors, processes or memory are short; it is tried again.
    StartDelayed { reason: String },
    /// The job wrote more; so much in all.
    Output { stdout_bytes: u64, stderr_bytes: u64 },
    /// The job said how far it is.
    Progress { fraction: Progress },
    /// The job said what it is doing.
    Status { message: String },
    /// The job said what it has so far.
    Partial { value: Value },
    /// The job said that it is stopping by itself.
    StopAnnounced,
    /// The job asked for more time and got it, or a part of it.
    Extended {
        /// The wall time that holds now, from the start of the attempt.
        timeout_seconds: Seconds,
        /// It asked for more than this.
        capped: bool,
    },
    /// The job asked for more time and did not get it.
    ExtensionRefused { reason: String },
    /// The job said something that could not be understood.
    MessageRefused { reason: String },
    /// It is being stopped; comes again when the stop climbs to KILL.
    Stopping {
        signal: Signal,
        cause: StopCause,
        /// Which deadline it was, where it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<TimeoutReason>,
    },
    /// `--warn-after` has passed.
    Warning {
        elapsed_seconds: Seconds,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<Seconds>,
    },
    /// Processes live on after the leader ended by itself.
    Leftovers { processes: Vec<Leftover> },
    /// An attempt of a job of a batch begins.
    Begun {
        /// From 1.
        attempt: u32,
        /// So many attempts there may be at most.
        most_attempts: u32,
    },
    /// A job of a batch will not run.
    Skipped { because: String },
    /// An attempt failed, and another one will be made after its `delay_seconds`.
    Retrying {
        #[serde(flatten)]
        attempt: Box<Attempt>,
        /// So many attempts there may be at most.
        most_attempts: u32,
    },
    /// The end; nothing follows.
    Finished {
        status: Status,
        /// What kind of error it is; stands with the status `error`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<ErrorCode>,
        /// The leader's exit code, where it exited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        /// The signal that the leader died of, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<Signal>,
        elapsed_seconds: Seconds,
    },
}

/// Why a job is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// A deadline passed.
    Timeout,
    /// We were told to.
    Cancelled,
}
