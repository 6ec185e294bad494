//! The tasks of the queue: how one stands, and how answers show it. Plain data.
//!
//! The store keeps tasks, the worker runs them, and the verbs of `runner task` show them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::attempt::Attempt;
use crate::model::batch::Priority;
use crate::model::envelope::{ErrorBody, PartialResult};
use crate::model::quantity::Seconds;

/// How a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// It waits for its turn.
    Pending,
    Running,
    /// It ended by itself, with success.
    Completed,
    Failed,
    Cancelled,
}

impl TaskStatus {
    /// Every status, in the order of a task's life.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// Nothing more happens to it by itself.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The word that answers use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for TaskStatus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.word())
    }
}

impl std::str::FromStr for TaskStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|status| status.word().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            format!("'{text}' is no status of a task: give pending, running, completed, failed or cancelled")
        })
    }
}

/// What becomes of a task that was running when its worker died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnCrash {
    /// It has failed: a part of it may have been done, and nobody said that it may be done twice.
    #[default]
    Fail,
    /// It is queued again.
    Retry,
}

/// When a task may begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    #[default]
    Now,
    /// At this time of the clock: since the Unix epoch.
    At(Duration),
    /// After so long, whatever the clock is set to meanwhile.
    In(Duration),
}

/// What is done once a task is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notices {
    /// A line for a shell, which gets the envelope on its standard input.
    pub on_done: Option<String>,
    pub on_done_timeout: Option<Duration>,
    /// Where the envelope is posted.
    pub webhook: Option<String>,
}

impl Notices {
    /// As they stand in answers before they are due.
    pub fn records(self) -> Vec<NoticeRecord> {
        let record = |kind: &str, target| NoticeRecord { kind: kind.to_owned(), target, delivered: None, error: None };
        let command = self.on_done.map(|line| record(COMMAND, line));
        command.into_iter().chain(self.webhook.map(|url| record(WEBHOOK, url))).collect()
    }
}

/// The kinds of notices.
pub const COMMAND: &str = "command";
pub const WEBHOOK: &str = "webhook";

/// One notice, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeRecord {
    /// `command` or `webhook`.
    pub kind: String,
    /// The line, or the URL without its secrets.
    pub target: String,
    /// None: not yet.
    pub delivered: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A task as answers show it: the `data` of its envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskData {
    pub task_id: String,
    pub status: TaskStatus,
    #[serde(with = "uppercase")]
    #[schemars(with = "String")]
    pub priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As a shell would read it.
    pub command: String,
    /// The built-in operation, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Who submitted it.
    pub created_by: String,
    /// From 0 to 1.
    pub progress: f64,
    /// What it said last, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it gave: the `data` of a job's envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<ErrorBody>>,
    /// What there is of it while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_result: Option<PartialResult>,
    /// RFC 3339, UTC, with milliseconds; as all times of a task.
    pub created_at: String,
    pub updated_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// When its present attempt is stopped, as far as is known now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<String>,
    /// From the start of its last attempt to its end, or until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_seconds: Option<f64>,
    /// None: it may take as long as it likes.
    pub timeout_seconds: Option<Seconds>,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Every attempt of its last run, where there was more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempt_records: Vec<Attempt>,
    /// What `exec` would have left with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The tasks that must complete before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// When it may begin, where that is later than its submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Why it does not run yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    pub on_crash: OnCrash,
    /// Moves of its live deadline by `runner task extend`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<ExtensionRecord>,
    /// What is told of its end, and to whom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NoticeRecord>,
    /// The file with every byte of both its streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// A move of a live deadline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExtensionRecord {
    pub at: String,
    pub by_seconds: Seconds,
    /// False: it came too late, or `max_timeout` left no room at all.
    pub granted: bool,
}

/// How priorities stand in answers: `CRITICAL`, `HIGH`, `NORMAL`, `LOW`.
mod uppercase {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::batch::Priority;

    pub(super) fn serialize<S: Serializer>(priority: &Priority, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(priority.word())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Priority, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
