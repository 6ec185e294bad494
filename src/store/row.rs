//! One row of the table of tasks, and how its numbers are read.

use std::time::Duration;

use rusqlite::Row as SqlRow;

use crate::model::batch::Priority;
use crate::model::task::TaskStatus;
use crate::store::{of_micros, of_millis};

/// A task as it is stored, but for its job and its answer.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its place in the order of submission.
    pub seq: i64,
    pub id: String,
    pub status: TaskStatus,
    pub priority: Priority,
    pub group: Option<String>,
    pub name: Option<String>,
    pub command: String,
    pub owner: String,
    pub timing: Timing,
    /// Tasks before it that are not over.
    pub waits: u32,
    /// It is queued again where its worker dies.
    pub retried_on_crash: bool,
    /// How often that was so.
    pub losses: u32,
    pub attempts: u32,
    /// `RUNNER_JOB_ID` of its present or last run.
    pub run: Option<String>,
    /// It is to be cancelled.
    pub unwanted: bool,
    pub exit_code: Option<i32>,
    /// Why it ended as it did, in a word; see the history.
    pub cause: Option<String>,
}

/// Its times: since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    pub created_at: Duration,
    pub updated_at: Duration,
    pub started_at: Option<Duration>,
    pub finished_at: Option<Duration>,
    /// When it may begin, where that was said.
    pub not_before: Option<Duration>,
    pub deadline_at: Option<Duration>,
    /// The wall time of one attempt.
    pub timeout: Option<Duration>,
    /// How long its last run took.
    pub duration: Option<Duration>,
}

/// The columns of a [`Row`].
pub(super) const COLUMNS: &str = "seq, id, status, priority, grp, name, command, owner, created_at, updated_at, \
                                  started_at, finished_at, not_before, deadline_at, timeout, duration, waits, \
                                  on_crash, attempts, run, wish, exit_code, cause, losses";

impl Row {
    pub(super) fn read(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        let instant = |at: usize| row.get::<_, Option<i64>>(at).map(|stored| stored.map(of_millis));
        let duration = |at: usize| row.get::<_, Option<i64>>(at).map(|stored| stored.map(of_micros));
        Ok(Self {
            seq: row.get(0)?,
            id: row.get(1)?,
            status: status_of(row.get(2)?),
            priority: priority_of(row.get(3)?),
            group: row.get::<_, Option<String>>(4)?.filter(|group| !group.is_empty()),
            name: row.get(5)?,
            command: row.get(6)?,
            owner: row.get(7)?,
            timing: Timing {
                created_at: of_millis(row.get(8)?),
                updated_at: of_millis(row.get(9)?),
                started_at: instant(10)?,
                finished_at: instant(11)?,
                not_before: instant(12)?,
                deadline_at: instant(13)?,
                timeout: duration(14)?,
                duration: duration(15)?,
            },
            waits: row.get(16)?,
            retried_on_crash: row.get(17)?,
            attempts: row.get(18)?,
            run: row.get(19)?,
            unwanted: row.get(20)?,
            exit_code: row.get(21)?,
            cause: row.get(22)?,
            losses: row.get(23)?,
        })
    }
}

/// The numbers of the statuses of tasks that are over.
pub(super) const FINISHED: [u8; 3] = [2, 3, 4];

pub(super) fn status_number(status: TaskStatus) -> u8 {
    status as u8
}

pub(super) fn status_of(number: u8) -> TaskStatus {
    TaskStatus::ALL.get(usize::from(number)).copied().unwrap_or(TaskStatus::Failed)
}

pub(super) fn priority_number(priority: Priority) -> u8 {
    priority as u8
}

pub(super) fn priority_of(number: u8) -> Priority {
    Priority::ALL.get(usize::from(number)).copied().unwrap_or_default()
}
