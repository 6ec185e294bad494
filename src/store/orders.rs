//! What is asked of tasks that are stored: cancels, extensions, priorities, retries, pauses; and of the worker: slots, its
//! stop. The worker finds them here when it is rung.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::batch::Priority;
use crate::model::quantity::Seconds;
use crate::model::task::{ExtensionRecord, TaskStatus};
use crate::store::ending::{self, Conclusion};
use crate::store::row::{priority_number, status_of};
use crate::store::trouble::store;
use crate::store::{Store, micros, now, of_micros, of_millis, tally, unknown};
use crate::time::clock::rfc3339;

/// The worker that has, or had, the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    pub pid: i32,
    /// As in proc(5); with the pid and the boot unlike that of any other process.
    pub start_time: u64,
    pub boot: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub since: u64,
}

/// How the worker is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOrder {
    /// Once the running tasks are over.
    Drain,
    /// The running tasks are stopped.
    Now,
}

/// What became of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It never began.
    AtOnce,
    /// It runs; the worker stops it.
    Soon,
}

/// A group of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Empty: all tasks whose group has no slots of its own.
    pub name: String,
    pub slots: Option<u32>,
    pub paused: bool,
}

/// A deadline that is to be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionOrder {
    pub seq: i64,
    pub task: i64,
    pub by: Duration,
}

impl Store {
    /// Cancels a task, by its whole id. A finished one is a conflict.
    pub fn cancel(&mut self, id: &str) -> Result<Cancelled> {
        let done = self.change("cancel the task", |transaction| {
            let Some((seq, status)) = find(transaction, id)? else { return Ok(None) };
            Ok(Some(match status {
                TaskStatus::Pending => {
                    ending::conclude(transaction, seq, &Conclusion::cancelled())?;
                    Ok(Cancelled::AtOnce)
                }
                TaskStatus::Running => {
                    let now = now();
                    transaction.execute("UPDATE tasks SET wish = 1, updated_at = ?2 WHERE seq = ?1", [seq, now])?;
                    Ok(Cancelled::Soon)
                }
                finished => Err(finished),
            }))
        })?;
        done.ok_or_else(|| unknown(id))?.map_err(|status| conflict(id, status, "A task that is over stays as it is"))
    }

    /// Running tasks that are to be cancelled.
    pub fn unwanted(&self) -> Result<Vec<i64>> {
        let read = || -> rusqlite::Result<Vec<i64>> {
            let mut find = self.connection.prepare_cached("SELECT seq FROM tasks WHERE status = 1 AND wish = 1")?;
            find.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(store("read the store"))
    }

    /// Asks for more time for a running task. Gives the number of the request.
    pub fn extend(&mut self, id: &str, by: Duration) -> Result<i64> {
        let done = self.change("extend the task", |transaction| {
            let Some((seq, status)) = find(transaction, id)? else { return Ok(None) };
            if status != TaskStatus::Running {
                return Ok(Some(Err(status)));
            }
            let request = transaction
                .prepare_cached("INSERT INTO extensions (task, asked_at, by) VALUES (?1, ?2, ?3)")?
                .insert(params![seq, now(), micros(by)])?;
            Ok(Some(Ok(request)))
        })?;
        let remediation = "Only a task that runs has a deadline to move";
        done.ok_or_else(|| unknown(id))?.map_err(|status| conflict(id, status, remediation))
    }

    /// Requests for more time that the worker has not seen.
    pub fn open_extensions(&self) -> Result<Vec<ExtensionOrder>> {
        let read = || -> rusqlite::Result<Vec<ExtensionOrder>> {
            let mut find = self
                .connection
                .prepare_cached("SELECT seq, task, by FROM extensions WHERE granted IS NULL ORDER BY seq")?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(ExtensionOrder { seq: row.get(0)?, task: row.get(1)?, by: of_micros(row.get(2)?) })
            };
            find.query_map([], read)?.collect()
        };
        read().map_err(store("read the store"))
    }

    /// A request for more time was answered; where it was granted the deadline is now then.
    pub fn answer_extension(
        &mut self,
        order: &ExtensionOrder,
        granted: bool,
        deadline_at: Option<Duration>,
    ) -> Result<()> {
        self.change("extend the task", |transaction| {
            transaction.execute("UPDATE extensions SET granted = ?2 WHERE seq = ?1", params![order.seq, granted])?;
            if let (true, Some(deadline)) = (granted, deadline_at) {
                let mut update =
                    transaction.prepare_cached("UPDATE tasks SET deadline_at = ?2, updated_at = ?3 WHERE seq = ?1")?;
                update.execute([order.task, super::millis(deadline), now()])?;
            }
            Ok(())
        })
    }

    /// Whether a request for more time was granted. None: nobody has seen it yet.
    pub fn extension(&self, request: i64) -> Result<Option<bool>> {
        let query = "SELECT granted FROM extensions WHERE seq = ?1";
        self.connection.query_row(query, [request], |row| row.get(0)).map_err(store("read the store"))
    }

    /// Every answered request for more time of a task.
    pub fn extensions(&self, seq: i64) -> Result<Vec<ExtensionRecord>> {
        let read = || -> rusqlite::Result<Vec<ExtensionRecord>> {
            let mut find = self.connection.prepare_cached(
                "SELECT asked_at, by, granted FROM extensions WHERE task = ?1 AND granted IS NOT NULL ORDER BY seq",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(ExtensionRecord {
                    at: rfc3339(of_millis(row.get(0)?)),
                    by_seconds: Seconds(of_micros(row.get(1)?)),
                    granted: row.get(2)?,
                })
            };
            find.query_map([seq], read)?.collect()
        };
        read().map_err(store("read the store"))
    }

    /// Queues a task again that failed or was cancelled.
    pub fn retry(&mut self, id: &str) -> Result<()> {
        let done = self.change("queue the task again", |transaction| {
            let Some((seq, status)) = find(transaction, id)? else { return Ok(None) };
            if !matches!(status, TaskStatus::Failed | TaskStatus::Cancelled) {
                return Ok(Some(Err(status)));
            }
            // A task before it that is queued again is waited for, and one that did not complete is not asked again.
            let query = "SELECT count(*) FROM needs JOIN tasks ON seq = needed WHERE task = ?1 AND status IN (0, 1)";
            let waits: i64 = transaction.query_row(query, [seq], |row| row.get(0))?;
            tally::take_out(transaction, seq)?;
            transaction.execute(
                "UPDATE tasks SET status = 0, ready = ?2 = 0, waits = ?2, wish = 0, started_at = NULL, \
                 finished_at = NULL, not_before = NULL, due_boot = NULL, exit_code = NULL, cause = NULL, \
                 duration = NULL, losses = 0, updated_at = ?3 WHERE seq = ?1",
                [seq, waits, now()],
            )?;
            // Those that were queued again before it wait for it, too: its end will be counted.
            transaction.execute(
                "UPDATE tasks NOT INDEXED SET waits = waits + 1, ready = 0 \
                 WHERE status = 0 AND seq IN (SELECT task FROM needs WHERE needed = ?1)",
                [seq],
            )?;
            transaction.execute("DELETE FROM answers WHERE task = ?1", [seq])?;
            transaction.execute("DELETE FROM outbox WHERE task = ?1", [seq])?;
            Ok(Some(Ok(())))
        })?;
        let remediation = "Only a task that failed or was cancelled is queued again; submit a new one instead";
        done.ok_or_else(|| unknown(id))?.map_err(|status| conflict(id, status, remediation))
    }

    /// Moves a waiting task to another priority.
    pub fn set_priority(&mut self, id: &str, priority: Priority) -> Result<()> {
        let done = self.change("change the priority", |transaction| {
            let Some((seq, status)) = find(transaction, id)? else { return Ok(None) };
            if status != TaskStatus::Pending {
                return Ok(Some(Err(status)));
            }
            transaction.execute(
                "UPDATE tasks SET priority = ?2, updated_at = ?3 WHERE seq = ?1",
                params![seq, priority_number(priority), now()],
            )?;
            Ok(Some(Ok(())))
        })?;
        let remediation = "A priority says when a task begins, and this one has begun";
        done.ok_or_else(|| unknown(id))?.map_err(|status| conflict(id, status, remediation))
    }

    /// Holds new starts back, or no longer: of a group, or of all.
    pub fn set_paused(&mut self, group: Option<&str>, paused: bool) -> Result<()> {
        self.change("pause the queue", |transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT INTO groups (name, paused) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET paused = ?2",
            )?;
            put.execute(params![group.unwrap_or_default(), paused]).map(drop)
        })
    }

    /// So many tasks at once: of a group that gets slots of its own, or of all others together. None: the group shares
    /// again.
    pub fn set_slots(&mut self, group: Option<&str>, slots: Option<u32>) -> Result<()> {
        self.change("scale the worker", |transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT INTO groups (name, slots) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET slots = ?2",
            )?;
            put.execute(params![group.unwrap_or_default(), slots]).map(drop)
        })
    }

    /// Every group that something was said of.
    pub fn groups(&self) -> Result<Vec<GroupRecord>> {
        let read = || -> rusqlite::Result<Vec<GroupRecord>> {
            let mut find = self.connection.prepare_cached("SELECT name, slots, paused FROM groups ORDER BY name")?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(GroupRecord { name: row.get(0)?, slots: row.get(1)?, paused: row.get(2)? })
            };
            find.query_map([], read)?.collect()
        };
        read().map_err(store("read the store"))
    }

    /// Who has the store, or had it last.
    pub fn worker(&self) -> Result<Option<WorkerRecord>> {
        Ok(self.setting("worker")?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// A worker has the store and hears nobody yet: an order to stop was one for the worker before.
    pub fn forget_stop_order(&mut self) -> Result<()> {
        self.change("take the store over", |transaction| {
            transaction.execute("DELETE FROM settings WHERE name IN ('stop', 'successor')", []).map(drop)
        })
    }

    /// A worker has taken the store over.
    pub fn set_worker(&mut self, worker: &WorkerRecord) -> Result<()> {
        let text = serde_json::to_string(worker).map_err(|error| Error::Internal(error.to_string()))?;
        self.change("take the store over", |transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO settings (name, value) VALUES ('worker', ?1)")?
                .execute([&text])
                .map(drop)
        })
    }

    /// Requests that the worker stops, and its waiting successor too.
    pub fn order_stop(&mut self, order: StopOrder) -> Result<()> {
        let word = match order {
            StopOrder::Drain => "drain",
            StopOrder::Now => "now",
        };
        self.change("stop the worker", |transaction| {
            transaction.execute("DELETE FROM settings WHERE name = 'successor'", [])?;
            put(transaction, "stop", word)
        })
    }

    /// Drains the worker and makes this process its successor in place of any other.
    pub fn hand_over(&mut self, to: i32) -> Result<()> {
        self.change("replace the worker", |transaction| {
            put(transaction, "stop", "drain")?;
            put(transaction, "successor", &to.to_string())
        })
    }

    /// The process that takes over from the worker. It may have exited by now.
    pub fn successor(&self) -> Result<Option<i32>> {
        Ok(self.setting("successor")?.and_then(|pid| pid.parse().ok()))
    }

    /// The order to end that the worker has not followed yet.
    pub fn stop_order(&self) -> Result<Option<StopOrder>> {
        Ok(match self.setting("stop")?.as_deref() {
            Some("drain") => Some(StopOrder::Drain),
            Some(_) => Some(StopOrder::Now),
            None => None,
        })
    }

    fn setting(&self, name: &str) -> Result<Option<String>> {
        let read = || -> rusqlite::Result<Option<String>> {
            let mut find = self.connection.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
            find.query_row([name], |row| row.get(0)).optional()
        };
        read().map_err(store("read the store"))
    }
}

fn put(connection: &rusqlite::Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)")?;
    put.execute([name, value]).map(drop)
}

fn find(connection: &rusqlite::Connection, id: &str) -> rusqlite::Result<Option<(i64, TaskStatus)>> {
    let mut find = connection.prepare_cached("SELECT seq, status FROM tasks WHERE id = ?1")?;
    find.query_row([id], |row| Ok((row.get(0)?, status_of(row.get(1)?)))).optional()
}

fn conflict(id: &str, status: TaskStatus, remediation: &str) -> Error {
    Error::Conflict { message: format!("task {id} is {status}"), remediation: remediation.to_owned() }
}
