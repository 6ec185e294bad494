//! What the verbs of `runner task` and `runner worker` answer beside a single task: the `data` of their envelopes.
//!
//! Plain data. A single task is a [`TaskData`]; see `task`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::batch::Priority;
use crate::model::percentiles::Percentiles;
use crate::model::task::{TaskData, TaskStatus};

/// `task list`: the newest task first. So for `task wait` of several, in the order in which they were named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskListData {
    pub tasks: Vec<TaskData>,
}

/// How some tasks stand now: of a list that was submitted, and of `task cancel` and `task retry`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStatesData {
    pub tasks: Vec<TaskState>,
}

/// How a task stands, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskState {
    pub task_id: String,
    pub status: TaskStatus,
}

/// `task stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatsData {
    /// Tasks that are there now, of every status.
    pub total: u64,
    pub by_status: StatusCounts,
    pub by_priority: PriorityCounts,
    /// Tasks that could begin now, had they a slot.
    pub queue_length: u64,
    /// Processes that run tasks: one or none.
    pub workers: u32,
    /// Tasks that may run at once, in all groups together.
    pub slots: u32,
    pub groups: Vec<GroupData>,
    pub lifetime: LifetimeCounts,
    /// Of the tasks that ever ended, the share that ran out of time: from 0 to 1. None has ended: null.
    pub timeout_rate: Option<f64>,
    /// From the submission to the start, of the tasks that ended last.
    pub wait_seconds: Percentiles,
    /// From the start to the end, likewise.
    pub run_seconds: Percentiles,
}

/// Tasks by their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusCounts {
    pub pending: u64,
    pub running: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
}

impl StatusCounts {
    /// The count of one status.
    pub fn of(&mut self, status: TaskStatus) -> &mut u64 {
        match status {
            TaskStatus::Pending => &mut self.pending,
            TaskStatus::Running => &mut self.running,
            TaskStatus::Completed => &mut self.completed,
            TaskStatus::Failed => &mut self.failed,
            TaskStatus::Cancelled => &mut self.cancelled,
        }
    }
}

/// Tasks by their priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub struct PriorityCounts {
    pub critical: u64,
    pub high: u64,
    pub normal: u64,
    pub low: u64,
}

impl PriorityCounts {
    /// The count of one priority.
    pub fn of(&mut self, priority: Priority) -> &mut u64 {
        match priority {
            Priority::Critical => &mut self.critical,
            Priority::High => &mut self.high,
            Priority::Normal => &mut self.normal,
            Priority::Low => &mut self.low,
        }
    }
}

/// Tasks since the store was made, those that were cleaned away included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LifetimeCounts {
    pub submitted: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Of those that failed, the ones that ran out of time.
    pub timed_out: u64,
    /// Of those that failed, the ones whose worker died.
    pub worker_lost: u64,
}

impl LifetimeCounts {
    /// The count of this name.
    pub fn named(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "submitted" => &mut self.submitted,
            "completed" => &mut self.completed,
            "failed" => &mut self.failed,
            "cancelled" => &mut self.cancelled,
            "timed_out" => &mut self.timed_out,
            "worker_lost" => &mut self.worker_lost,
            _ => return None,
        })
    }

    /// The share of the tasks that ended which ran out of time.
    pub fn timeout_rate(&self) -> Option<f64> {
        let ended = self.completed + self.failed + self.cancelled;
        (ended > 0).then(|| self.timed_out as f64 / ended as f64)
    }
}

/// `worker status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerData {
    pub running: bool,
    /// Its process, while it runs; so for `since`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// RFC 3339, UTC, with milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Tasks that may run at once, those of groups with slots of their own left out.
    pub slots: u32,
    /// Tasks that run now, of all groups.
    pub busy: u32,
    /// Nothing is begun, of no group.
    pub paused: bool,
    /// It takes no new tasks, and leaves once those that run are over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
    /// Groups that have slots of their own or are paused.
    pub groups: Vec<GroupData>,
    /// Restrictions that the worker and its tasks inherited from the starting process and may not lift.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restrictions: Vec<Restriction>,
}

/// A restriction that a process inherited and its user may not lift, such as a lowered hard limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restriction {
    /// `nice`, `scheduling_policy`, `no_new_privileges`, `control_group`, or a resource limit: `cpu_time`, `file_size`,
    /// `data_size`, `stack_size`, `processes`, `open_files`, `address_space`.
    pub name: String,
    /// The current value; limits are in the unit of getrlimit(2).
    pub value: String,
    /// The default value.
    pub usual: String,
    /// Higher is worse. Compared between processes; not part of an answer.
    #[serde(skip)]
    pub severity: u64,
}

impl Restriction {
    pub fn new(name: &str, value: impl Into<String>, usual: impl Into<String>, severity: u64) -> Self {
        Self { name: name.to_owned(), value: value.into(), usual: usual.into(), severity }
    }

    /// Formats several restrictions for a message.
    pub fn list(restrictions: &[Self]) -> String {
        let text = |one: &Self| format!("{} {} (default: {})", one.name.replace('_', " "), one.value, one.usual);
        restrictions.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

/// How a group of tasks stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupData {
    pub name: String,
    /// Its own slots. Null: it shares those of all others.
    pub slots: Option<u32>,
    pub paused: bool,
    /// Tasks of it that run now.
    pub running: u32,
}

/// `task clean`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CleanData {
    /// How many tasks were removed, each with its logs.
    pub removed: u64,
}

/// `task pause` and `task resume`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PausedData {
    pub paused: bool,
    /// Null: all groups.
    pub group: Option<String>,
}

/// `worker scale`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScaleData {
    /// Null: all tasks whose group has no slots of its own.
    pub group: Option<String>,
    /// Null: the group shares the slots of all others.
    pub slots: Option<u32>,
}

/// `worker stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopData {
    /// The process that was told to stop. Null: no worker ran.
    pub pid: Option<i32>,
    /// It stopped the tasks that ran, and did not wait for them.
    pub now: bool,
    /// It is no longer there. False: whoever told it to stop is one of its own tasks, and does not wait for that.
    pub gone: bool,
}

#[cfg(test)]
mod tests {
    use super::{LifetimeCounts, PriorityCounts, StatsData, StatusCounts, WorkerData};
    use crate::model::batch::Priority;
    use crate::model::task::TaskStatus;

    #[test]
    fn every_status_and_priority_has_its_count() {
        let mut by_status = StatusCounts::default();
        for (count, status) in (1..).zip(TaskStatus::ALL) {
            *by_status.of(status) += count;
        }
        let json = serde_json::to_string(&by_status).expect("it is JSON");
        assert_eq!(json, r#"{"pending":1,"running":2,"completed":3,"failed":4,"cancelled":5}"#);
        let mut by_priority = PriorityCounts::default();
        for (count, priority) in (1..).zip(Priority::ALL) {
            *by_priority.of(priority) += count;
        }
        let json = serde_json::to_string(&by_priority).expect("it is JSON");
        assert_eq!(json, r#"{"CRITICAL":1,"HIGH":2,"NORMAL":3,"LOW":4}"#);
    }

    #[test]
    fn the_timeout_rate_is_of_what_ended() {
        let counts =
            LifetimeCounts { submitted: 100, completed: 5, failed: 2, cancelled: 1, timed_out: 2, worker_lost: 0 };
        assert_eq!(counts.timeout_rate(), Some(0.25));
        assert_eq!(LifetimeCounts { submitted: 9, ..LifetimeCounts::default() }.timeout_rate(), None);
    }

    #[test]
    fn what_is_unknown_is_null_or_absent() {
        let json = serde_json::to_value(StatsData::default()).expect("it is JSON");
        assert!(json["timeout_rate"].is_null() && json["wait_seconds"]["p50"].is_null());
        let json = serde_json::to_value(WorkerData::default()).expect("it is JSON");
        assert!(json.get("pid").is_none() && json.get("stopping").is_none() && json["running"] == false);
    }
}
