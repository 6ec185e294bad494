//! Figures about the queue.

use std::cmp::Reverse;
use std::time::Duration;

use rusqlite::{Row, params};

use crate::error::Result;
use crate::model::batch::Priority;
use crate::model::task::TaskStatus;
use crate::store::row::{FINISHED, priority_of, status_of};
use crate::store::trouble::store;
use crate::store::{Store, of_micros, of_millis};

/// Times are taken from so many of the tasks that ended last.
const SAMPLE: u16 = 10_000;

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
            let mut find = self.connection.prepare_cached(
                "SELECT status, priority, tasks FROM tally WHERE tasks > 0 UNION ALL \
                 SELECT status, priority, count(*) FROM tasks WHERE status IN (0, 1) GROUP BY 1, 2 ORDER BY 1, 2",
            )?;
            let tasks = find
                .query_map([], |row| Ok((status_of(row.get(0)?), priority_of(row.get(1)?), count(row.get(2)?))))?
                .collect::<rusqlite::Result<_>>()?;
            let mut find = self.connection.prepare_cached("SELECT name, tasks FROM lifetime ORDER BY name")?;
            let lifetime =
                find.query_map([], |row| Ok((row.get(0)?, count(row.get(1)?))))?.collect::<rusqlite::Result<_>>()?;
            let ended = self.last_ended()?;
            let waits = ended.iter().filter_map(|ended| ended.waited.map(of_millis)).collect();
            let runs = ended.iter().filter_map(|ended| ended.duration.map(of_micros)).collect();
            let query = "SELECT count(*) FROM tasks INDEXED BY tasks_in_turn WHERE status = 0 AND ready = 1";
            let ready = self.connection.query_row(query, [], |row| row.get(0).map(count))?;
            Ok(Stats { tasks, lifetime, waits, runs, ready })
        };
        read().map_err(store("read the store"))
    }

    /// The tasks that ended last: of each status so many, and of those the last.
    fn last_ended(&self) -> rusqlite::Result<Vec<Ended>> {
        let mut find = self.connection.prepare_cached(
            "SELECT finished_at, waited, duration FROM tasks INDEXED BY tasks_by_end \
             WHERE status >= 2 AND status = ?1 ORDER BY finished_at DESC LIMIT ?2",
        )?;
        let mut ended = Vec::new();
        for status in FINISHED {
            let read = |row: &Row<'_>| Ok(Ended { at: row.get(0)?, waited: row.get(1)?, duration: row.get(2)? });
            for row in find.query_map(params![status, SAMPLE], read)? {
                ended.push(row?);
            }
        }
        ended.sort_unstable_by_key(|ended| Reverse(ended.at));
        ended.truncate(usize::from(SAMPLE));
        Ok(ended)
    }
}

/// Times of a task that is over, as they are stored.
struct Ended {
    at: i64,
    waited: Option<i64>,
    duration: Option<i64>,
}

fn count(stored: i64) -> u64 {
    stored.max(0).unsigned_abs()
}
