//! The envelope: the one JSON object in which runner answers, and the types that its schema is derived from.
//!
//! Field order is the order of declaration. A field that is new must be optional, so that an envelope of an older
//! version keeps loading.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::model::attempt::Attempt;
use crate::model::outcome::{Containment, Extensions, Leftover, ProcessRow, Progress, TimeoutReason, Usage};
use crate::model::quantity::Seconds;
use crate::model::signal::Signal;

/// One answer. `data` stands with success and pending, `error` with error, `metadata` always. What `data` is depends on the
/// verb; of a job it is what its command gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "D: Deserialize<'de>"))]
pub struct Envelope<D = CommandData> {
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<D>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    pub metadata: Metadata,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Success,
    Error,
    Pending,
}

/// What a command that succeeded gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandData {
    pub exit_code: i32,
    #[serde(flatten)]
    pub output: OutputRecord,
    /// What a built-in operation returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    pub usage: Usage,
    /// Processes that live after the command ended. Null where it cannot be known whether there are any.
    pub leftovers: Option<Vec<Leftover>>,
    /// It succeeded after an attempt that did not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub flaky: bool,
    /// Every attempt, where there was more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// What was kept of both streams. The middle of a long stream is left out: one marker line stands for it in the text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputRecord {
    pub stdout: String,
    pub stderr: String,
    /// The kept bytes exactly, without a marker, where they are not valid UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_base64: Option<String>,
    pub stdout_bytes: u64,
    pub stderr_bytes: u64,
    pub stdout_omitted_bytes: u64,
    pub stderr_omitted_bytes: u64,
    /// Bytes that were kept and that our reader never took.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stdout_undelivered_bytes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stderr_undelivered_bytes: u64,
    /// One pipe served both streams, so that their order holds; it is recorded as `stdout`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub merged: bool,
    /// False where a stream was handed to the job as it is; then nothing of it is kept.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub captured: bool,
    /// The streams that were handed over, where it was not both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_captured: Vec<String>,
    /// How far the job was, by its own account, when it was ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The value that the job reported last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Value>,
    /// Parts of the job's messages that could not be understood.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused_messages: u64,
}

/// What there was when a job ended without success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PartialResult {
    /// Of a command: what was kept of its output.
    Output(Box<OutputRecord>),
    /// Of a built-in operation: the value that it set last, as it set it.
    Value(Value),
}

/// What went wrong and what to do next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    pub code: ErrorCode,
    pub message: String,
    pub details: Details,
    pub remediation: String,
}

/// What kind of error it is; stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    ValidationError,
    NotFound,
    AuthorizationDenied,
    Conflict,
    Timeout,
    Cancelled,
    CommandFailed,
    DependencyError,
    ServiceUnavailable,
    InternalError,
}

/// Facts about the error. Which ones stand depends on the code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Details {
    /// The timeout that struck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_seconds: Option<f64>,
    /// The code that the command ended with by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended the command by itself, or that runner was told to stop by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_dumped: Option<bool>,
    /// The option, file, field or variable that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// The error of the operating system, as a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_result: Option<PartialResult>,
    /// What a built-in operation had printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Box<OutputRecord>>,
    /// What became of the job's requests for more time, where it made any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Extensions>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination: Option<Termination>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<ProcessRow>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Processes that live after the command ended, where there are any. Null where that cannot be known.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub leftovers: Option<Option<Vec<Leftover>>>,
    /// Every attempt, where there was more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Why the job was never run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_because: Option<String>,
}

/// Why, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Reason {
    /// Of a timeout: which deadline struck.
    Deadline(TimeoutReason),
    /// Of a task of the queue.
    Task(TaskReason),
}

/// Why a task of the queue did not come to an end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskReason {
    /// The worker that ran it died.
    WorkerLost,
}

/// How the job was ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Termination {
    /// Signals that reached a process of the tree, in order.
    pub signals: Vec<Signal>,
    /// The leader's exit code, where it exited.
    pub exit_code: Option<i32>,
    /// The signal that the leader died of, where it did.
    pub signal: Option<Signal>,
    pub containment: Containment,
    /// Processes that outlived a kill. Null where it cannot be known whether there are any.
    pub survivors: Option<Vec<ProcessRow>>,
}

/// Facts about the answer itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// `req_` and a UUID; unlike any other.
    pub request_id: String,
    /// When the request began: RFC 3339, UTC, with milliseconds.
    pub timestamp: String,
    /// From the start of the request to the answer.
    pub duration_ms: f64,
    pub api_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the list or the queue calls the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Which attempt this is the answer of, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The job had been running when an earlier run of its batch was killed, and so a part of it may have run twice.
    #[serde(default, skip_serializing_if = "is_false")]
    pub interrupted_before: bool,
    /// The job is being stopped and this is what is known so far; the report will be replaced when it has ended. Where it
    /// stays, runner was killed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub interim: bool,
}

/// The version that every envelope names.
pub const API_VERSION: &str = "v1";

/// A field that is null, as one that is there.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_true(flag: &bool) -> bool {
    *flag
}

fn yes() -> bool {
    true
}
