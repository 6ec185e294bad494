//! Who is told that a task is over: notices that are due, those that are under way, and what became of them.

use std::time::Duration;

use rusqlite::params;

use crate::error::Result;
use crate::store::trouble::store;
use crate::store::{Store, of_micros};

/// A notice that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotice {
    pub seq: i64,
    /// The number of its task.
    pub task: i64,
    /// Its id.
    pub id: String,
    pub target: Target,
    pub timeout: Option<Duration>,
    /// `RUNNER_JOB_ID` of a try that nobody saw end.
    pub run: Option<String>,
}

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A line for a shell.
    Command(String),
    /// A URL.
    Webhook(String),
}

impl Store {
    /// The notices that are due, the oldest first, those that are under way included.
    pub fn due_notices(&self, limit: u32) -> Result<Vec<DueNotice>> {
        let read = || -> rusqlite::Result<Vec<DueNotice>> {
            let mut find = self.connection.prepare_cached(
                "SELECT outbox.seq, task, kind, target, outbox.timeout, outbox.run, id \
                 FROM outbox JOIN tasks ON tasks.seq = task WHERE delivered IS NULL ORDER BY outbox.seq LIMIT ?1",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                let target = row.get(3)?;
                Ok(DueNotice {
                    seq: row.get(0)?,
                    task: row.get(1)?,
                    target: if row.get::<_, i64>(2)? == 0 { Target::Command(target) } else { Target::Webhook(target) },
                    timeout: row.get::<_, Option<i64>>(4)?.map(of_micros),
                    run: row.get(5)?,
                    id: row.get(6)?,
                })
            };
            find.query_map([limit], read)?.collect()
        };
        read().map_err(store("read the store"))
    }

    /// A notice is under way.
    pub fn begin_notice(&mut self, seq: i64, run: &str) -> Result<()> {
        self.change("note a notice", |transaction| {
            let mut update = transaction.prepare_cached("UPDATE outbox SET run = ?2 WHERE seq = ?1")?;
            update.execute(params![seq, run]).map(drop)
        })
    }

    /// A notice was delivered, or was not, for this reason.
    pub fn end_notice(&mut self, seq: i64, error: Option<&str>) -> Result<()> {
        self.change("note a notice", |transaction| {
            let mut update =
                transaction.prepare_cached("UPDATE outbox SET delivered = ?2, error = ?3 WHERE seq = ?1")?;
            update.execute(params![seq, error.is_none(), error]).map(drop)
        })
    }
}
