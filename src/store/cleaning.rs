//! Finished tasks that are no longer of interest, and their logs.

use std::fs;
use std::time::Duration;

use rusqlite::params;

use crate::error::Result;
use crate::model::task::TaskStatus;
use crate::store::row::status_number;
use crate::store::{Store, millis, now};

/// So many are removed in one change, so that others are not kept waiting.
const AT_ONCE: i64 = 500;

impl Store {
    /// Removes tasks that ended so long ago, of these statuses or of all; those that a waiting task comes after stay.
    /// Gives how many there were.
    pub fn clean(&mut self, older_than: Duration, statuses: &[TaskStatus]) -> Result<u64> {
        let mut wanted: Vec<u8> = statuses.iter().copied().map(status_number).filter(|number| *number >= 2).collect();
        if statuses.is_empty() {
            wanted = vec![2, 3, 4];
        }
        let before = now().saturating_sub(millis(older_than));
        let mut removed = 0;
        for status in wanted {
            loop {
                let ids = self.remove(status, before)?;
                for id in &ids {
                    for log in Self::logs(&self.folder, id) {
                        // A task that never ran has none.
                        let _ = fs::remove_file(log);
                    }
                }
                removed += ids.len() as u64;
                if ids.len() < AT_ONCE as usize {
                    break;
                }
            }
        }
        Ok(removed)
    }

    fn remove(&mut self, status: u8, before: i64) -> Result<Vec<String>> {
        self.change("remove finished tasks", |transaction| {
            let mut find = transaction.prepare_cached(
                "SELECT seq, id FROM tasks WHERE status = ?1 AND status >= 2 AND finished_at <= ?2 \
                 AND NOT EXISTS (SELECT 1 FROM needs n JOIN tasks t ON t.seq = n.task \
                                 WHERE n.needed = tasks.seq AND t.status IN (0, 1)) \
                 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.task = tasks.seq AND o.delivered IS NULL) \
                 ORDER BY finished_at LIMIT ?3",
            )?;
            let found = find
                .query_map(params![status, before, AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
            for (seq, _) in &found {
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
