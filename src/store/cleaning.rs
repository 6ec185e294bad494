//! Finished tasks that are no longer of interest, and their logs.

use std::fs;
use std::time::Duration;

use rusqlite::params;

use crate::error::Result;
use crate::model::task::TaskStatus;
use crate::store::row::{FINISHED, status_number};
use crate::store::trouble::store;
use crate::store::{Store, millis, now, of_millis, tally};

/// So many are removed in one change, so that others are not kept waiting: a few milliseconds each.
const AT_ONCE: i64 = 100;

impl Store {
    /// How long until the oldest of the finished tasks is of this age. None: there is none.
    pub fn next_of_age(&self, age: Duration) -> Result<Option<Duration>> {
        let read = || -> rusqlite::Result<Option<i64>> {
            let mut find = self.connection.prepare_cached(
                "SELECT min(finished_at) FROM tasks INDEXED BY tasks_by_end WHERE status >= 2 AND status = ?1",
            )?;
            let oldest = FINISHED
                .into_iter()
                .map(|status| find.query_row([status], |row| row.get::<_, Option<i64>>(0)))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(oldest.into_iter().flatten().min())
        };
        let oldest = read().map_err(store("read the store"))?;
        Ok(oldest.map(|oldest| of_millis(oldest).saturating_add(age).saturating_sub(of_millis(now()))))
    }

    /// Removes tasks that ended so long ago, of these statuses or of all; those that a waiting task comes after stay.
    /// Gives how many there were.
    pub fn clean(&mut self, older_than: Duration, statuses: &[TaskStatus]) -> Result<u64> {
        let mut wanted: Vec<u8> = statuses.iter().copied().map(status_number).filter(|number| *number >= 2).collect();
        if statuses.is_empty() {
            wanted = FINISHED.to_vec();
        }
        let before = now().saturating_sub(millis(older_than));
        let mut removed = 0;
        for status in wanted {
            loop {
                let count = self.remove_with_logs(status, before)?;
                removed += count as u64;
                if count < AT_ONCE as usize {
                    break;
                }
            }
        }
        Ok(removed)
    }

    /// Removes some of the tasks that ended so long ago. True where there may be more.
    pub fn clean_some(&mut self, older_than: Duration) -> Result<bool> {
        let before = now().saturating_sub(millis(older_than));
        let mut more = false;
        for status in FINISHED {
            more |= self.remove_with_logs(status, before)? == AT_ONCE as usize;
        }
        Ok(more)
    }

    fn remove_with_logs(&mut self, status: u8, before: i64) -> Result<usize> {
        let ids = self.remove(status, before)?;
        for log in ids.iter().flat_map(|id| Self::logs(&self.folder, id)) {
            // A task that wrote nothing has none.
            let _ = fs::remove_file(log);
        }
        Ok(ids.len())
    }

    fn remove(&mut self, status: u8, before: i64) -> Result<Vec<String>> {
        self.change("remove finished tasks", |transaction| {
            let mut find = transaction.prepare_cached(
                "SELECT seq, id FROM tasks INDEXED BY tasks_by_end WHERE status = ?1 AND status >= 2 AND finished_at <= ?2 \
                 AND NOT EXISTS (SELECT 1 FROM needs n JOIN tasks t ON t.seq = n.task \
                                 WHERE n.needed = tasks.seq AND t.status IN (0, 1)) \
                 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.task = tasks.seq AND o.delivered IS NULL) \
                 ORDER BY finished_at LIMIT ?3",
            )?;
            let found = find
                .query_map(params![status, before, AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
            for (seq, _) in &found {
                tally::take_out(transaction, *seq)?;
                for query in [
                    "DELETE FROM answers WHERE task = ?1",
                    "DELETE FROM secrets WHERE task = ?1",
                    "DELETE FROM extensions WHERE task = ?1",
                    "DELETE FROM outbox WHERE task = ?1",
                    "DELETE FROM needs WHERE task = ?1",
                    "DELETE FROM needs WHERE needed = ?1",
                    "DELETE FROM tasks WHERE seq = ?1",
                ] {
                    transaction.prepare_cached(query)?.execute([seq])?;
                }
            }
            Ok(found.into_iter().map(|(_, id)| id).collect())
        })
    }
}
