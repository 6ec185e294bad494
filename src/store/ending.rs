//! The ends of tasks: what each came to, and what follows for the tasks after it.
//!
//! An end, the failures that follow from it, and the notices that are due become one change.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::model::answer::{RequestInfo, of_error};
use crate::model::envelope::{Details, ErrorBody, ErrorCode};
use crate::model::exit_code;
use crate::model::sample::Sample;
use crate::model::task::{Notices, TaskStatus};
use crate::store::row::{COLUMNS, Row, status_number};
use crate::store::trouble::store;
use crate::store::{Claim, Claimed, Store, claim, history, micros, now, tally};
use crate::time::clock::{rfc3339, unix_time};

/// The end of a task that ran, or could not be begun.
#[derive(Clone, Debug)]
pub struct End {
    pub id: String,
    pub status: TaskStatus,
    /// Its whole answer.
    pub envelope: String,
    pub exit_code: i32,
    /// One of the causes of the history.
    pub cause: &'static str,
    /// From the start of its first attempt to the end.
    pub duration: Option<Duration>,
    /// All its attempts, those of earlier runs included.
    pub attempts: u32,
    /// What the history keeps of the attempts of this run.
    pub samples: Vec<Sample>,
}

/// A task that was running when its worker died.
#[derive(Clone, Debug)]
pub enum Lost {
    /// It has failed with this.
    Failed(Box<End>),
    /// It is queued again. `died`: since its worker died, and not since that was told to stop.
    Queued { id: String, died: bool },
}

/// How a task ended, without what only a run knows.
pub(super) struct Conclusion {
    pub(super) status: TaskStatus,
    pub(super) envelope: Option<String>,
    /// Of an end that needs an envelope made here.
    pub(super) error: Option<ErrorBody>,
    pub(super) exit_code: i32,
    pub(super) cause: &'static str,
    pub(super) duration: Option<Duration>,
    /// All its attempts, where that is known anew.
    pub(super) attempts: Option<u32>,
}

impl Conclusion {
    /// A task before it did not complete. None: that one is no longer there.
    pub(super) fn after(needed: &str, status: Option<TaskStatus>) -> Self {
        let because = match status {
            Some(TaskStatus::Cancelled) => format!("task {needed} was cancelled"),
            Some(_) => format!("task {needed} failed"),
            None => format!("task {needed} is no longer there"),
        };
        let error = ErrorBody {
            code: ErrorCode::DependencyError,
            message: format!("never run: {because}"),
            details: Details { skipped_because: Some(because), ..Details::default() },
            remediation: "Find out what went wrong there, then 'runner task retry' both".to_owned(),
        };
        Self {
            status: TaskStatus::Failed,
            envelope: None,
            error: Some(error),
            exit_code: exit_code::RUNNER_FAILED,
            cause: "not_started",
            duration: None,
            attempts: None,
        }
    }

    /// It was cancelled before it began.
    pub(super) fn cancelled() -> Self {
        let error = ErrorBody {
            code: ErrorCode::Cancelled,
            message: "cancelled before it began".to_owned(),
            details: Details::default(),
            remediation: "'runner task retry' queues it again".to_owned(),
        };
        Self {
            status: TaskStatus::Cancelled,
            envelope: None,
            error: Some(error),
            exit_code: exit_code::SIGNAL_BASE + crate::model::signal::Signal::TERM.number(),
            cause: "cancelled",
            duration: None,
            attempts: None,
        }
    }
}

impl Store {
    /// Records ends, and claims what may run now: one change.
    pub fn end_and_claim(&mut self, ends: &[End], claim: Option<&Claim>) -> Result<Vec<Claimed>> {
        self.change("record the end of a task", |transaction| {
            for end in ends {
                let mut find = transaction.prepare_cached("SELECT seq FROM tasks WHERE id = ?1 AND status = 1")?;
                let Some(seq) = find.query_row([&end.id], |row| row.get(0)).optional()? else { continue };
                conclude(
                    transaction,
                    seq,
                    &Conclusion {
                        status: end.status,
                        envelope: Some(end.envelope.clone()),
                        error: None,
                        exit_code: end.exit_code,
                        cause: end.cause,
                        duration: end.duration,
                        attempts: Some(end.attempts),
                    },
                )?;
                history::put(transaction, &end.samples)?;
            }
            claim.map_or(Ok(Vec::new()), |claim| claim::claim(transaction, claim))
        })
    }

    /// Records what becomes of tasks whose worker died.
    pub fn settle_lost(&mut self, lost: &[Lost]) -> Result<()> {
        let ends: Vec<End> = lost.iter().filter_map(Lost::end).collect();
        self.change("queue a task again", |transaction| {
            for lost in lost {
                let Lost::Queued { id, died } = lost else { continue };
                let mut queue = transaction.prepare_cached(
                    "UPDATE tasks SET status = 0, ready = 1, started_at = NULL, deadline_at = NULL, updated_at = ?2, losses = losses + ?3 \
                     WHERE id = ?1 AND status = 1",
                )?;
                queue.execute(params![id, now(), died])?;
            }
            Ok(())
        })?;
        self.end_and_claim(&ends, None).map(drop)
    }

    /// Tasks that a worker began and that are not over.
    pub fn running(&self) -> Result<Vec<Row>> {
        let read = || -> rusqlite::Result<Vec<Row>> {
            let query = format!("SELECT {COLUMNS} FROM tasks WHERE status = 1 ORDER BY seq");
            self.connection.prepare_cached(&query)?.query_map([], Row::read)?.collect()
        };
        read().map_err(store("read the store"))
    }
}

impl Lost {
    /// How it ended, where it has.
    pub fn end(&self) -> Option<End> {
        match self {
            Self::Failed(end) => Some((**end).clone()),
            Self::Queued { .. } => None,
        }
    }
}

/// Ends a task, and all those that cannot run for it any more.
pub(super) fn conclude(connection: &Connection, seq: i64, conclusion: &Conclusion) -> rusqlite::Result<()> {
    let mut failed = Vec::new();
    conclude_one(connection, seq, conclusion, &mut failed)?;
    // A chain of tasks may be long, so this is no recursion.
    while let Some((follower, needed, status)) = failed.pop() {
        conclude_one(connection, follower, &Conclusion::after(&needed, Some(status)), &mut failed)?;
    }
    Ok(())
}

type Failed = Vec<(i64, String, TaskStatus)>;

fn conclude_one(
    connection: &Connection,
    seq: i64,
    conclusion: &Conclusion,
    failed: &mut Failed,
) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE tasks SET status = ?2, finished_at = ?3, updated_at = ?3, exit_code = ?4, cause = ?5, duration = ?6, \
         attempts = coalesce(?7, attempts), ready = 0, wish = 0, deadline_at = NULL \
         WHERE seq = ?1 RETURNING id, name, notices",
    )?;
    let (id, name, notices): (String, Option<String>, Option<String>) = update.query_row(
        params![
            seq,
            status_number(conclusion.status),
            now(),
            conclusion.exit_code,
            conclusion.cause,
            conclusion.duration.map(micros),
            conclusion.attempts,
        ],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let envelope = match (&conclusion.envelope, &conclusion.error) {
        (Some(envelope), _) => envelope.clone(),
        (None, error) => error.as_ref().map(|error| envelope_of(error, &id, name)).unwrap_or_default(),
    };
    connection
        .prepare_cached("INSERT OR REPLACE INTO answers (task, envelope) VALUES (?1, ?2)")?
        .execute(params![seq, envelope])?;
    connection.prepare_cached("DELETE FROM live WHERE task = ?1")?.execute([seq])?;
    count(connection, conclusion)?;
    tally::add(connection, seq)?;
    if let Some(notices) = notices {
        put_into_outbox(connection, seq, &notices)?;
    }
    tell_followers(connection, seq, &id, conclusion.status, failed)
}

fn count(connection: &Connection, conclusion: &Conclusion) -> rusqlite::Result<()> {
    let special = match conclusion.cause {
        "timeout" | "idle" => "timed_out",
        "worker_lost" => "worker_lost",
        _ => "",
    };
    let mut count = connection.prepare_cached("UPDATE lifetime SET tasks = tasks + 1 WHERE name IN (?1, ?2)")?;
    count.execute([conclusion.status.word(), special]).map(drop)
}

fn put_into_outbox(connection: &Connection, seq: i64, notices: &str) -> rusqlite::Result<()> {
    let notices: Notices = serde_json::from_str(notices).unwrap_or_default();
    let timeout = notices.on_done_timeout.map(micros);
    for (kind, target) in [(0, notices.on_done), (1, notices.webhook)] {
        let Some(target) = target else { continue };
        connection
            .prepare_cached("INSERT INTO outbox (task, kind, target, timeout) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![seq, kind, target, timeout])?;
    }
    Ok(())
}

/// The tasks after one that is over may begin, or never will.
fn tell_followers(
    connection: &Connection,
    seq: i64,
    id: &str,
    status: TaskStatus,
    failed: &mut Failed,
) -> rusqlite::Result<()> {
    let mut find = connection
        .prepare_cached("SELECT task FROM needs JOIN tasks ON seq = task WHERE needed = ?1 AND status = 0")?;
    let followers = find.query_map([seq], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for follower in followers {
        if status == TaskStatus::Completed {
            connection
                .prepare_cached(
                    "UPDATE tasks SET waits = max(waits - 1, 0), \
                     ready = CASE WHEN waits <= 1 AND not_before IS NULL THEN 1 ELSE ready END WHERE seq = ?1",
                )?
                .execute([follower])?;
        } else {
            failed.push((follower, id.to_owned(), status));
        }
    }
    Ok(())
}

/// The answer of a task that never ran.
fn envelope_of(error: &ErrorBody, id: &str, name: Option<String>) -> String {
    let info = RequestInfo {
        request_id: format!("req_{}", id.replace('-', "")),
        timestamp: rfc3339(unix_time()),
        duration: Duration::ZERO,
        name,
        job_id: Some(id.to_owned()),
        attempts: Vec::new(),
        secrets: crate::model::secrets::Secrets::default(),
    };
    serde_json::to_string(&of_error(error.clone(), &info)).unwrap_or_default()
}
