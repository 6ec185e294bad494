//! Figures about the queue.

use std::time::Duration;

use crate::error::Result;
use crate::model::batch::Priority;
use crate::model::task::TaskStatus;
use crate::store::row::{priority_of, status_of};
use crate::store::trouble::store;
use crate::store::{Store, of_micros, of_millis};

/// Times are taken from so many of the tasks that ended last.
const SAMPLE: i64 = 10_000;

/// Figures about the queue.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// How many tasks of each kind there are; kinds without any are left out.
    pub tasks: Vec<(TaskStatus, Priority, u64)>,
    /// How many there ever were, by word: `submitted`, `completed`, `failed`, `cancelled`, `timed_out`, `worker_lost`.
    pub lifetime: Vec<(String, u64)>,
    /// From submission to start, of the tasks that ended last.
    pub waits: Vec<Duration>,
    /// From start to end, likewise.
    pub runs: Vec<Duration>,
    /// Tasks that may begin now, but for slots and pauses.
    pub ready: u64,
}

impl Store {
    pub fn stats(&self) -> Result<Stats> {
        let read = || -> rusqlite::Result<Stats> {
            let mut find = self
                .connection
                .prepare_cached("SELECT status, priority, tasks FROM tally WHERE tasks > 0 ORDER BY 1, 2")?;
            let tasks = find
                .query_map([], |row| Ok((status_of(row.get(0)?), priority_of(row.get(1)?), count(row.get(2)?))))?
                .collect::<rusqlite::Result<_>>()?;
            let mut find = self.connection.prepare_cached("SELECT name, tasks FROM lifetime ORDER BY name")?;
            let lifetime =
                find.query_map([], |row| Ok((row.get(0)?, count(row.get(1)?))))?.collect::<rusqlite::Result<_>>()?;
            let mut find = self.connection.prepare_cached(
                "SELECT waited, duration FROM tasks WHERE status >= 2 ORDER BY finished_at DESC LIMIT ?1",
            )?;
            let mut rows = find.query([SAMPLE])?;
            let (mut waits, mut runs) = (Vec::new(), Vec::new());
            while let Some(row) = rows.next()? {
                waits.extend(row.get::<_, Option<i64>>(0)?.map(of_millis));
                runs.extend(row.get::<_, Option<i64>>(1)?.map(of_micros));
            }
            let ready =
                self.connection.query_row("SELECT count(*) FROM tasks WHERE status = 0 AND ready = 1", [], |row| {
                    row.get(0).map(count)
                })?;
            Ok(Stats { tasks, lifetime, waits, runs, ready })
        };
        read().map_err(store("read the store"))
    }
}

fn count(stored: i64) -> u64 {
    stored.max(0).unsigned_abs()
}
