//! Tasks as they are asked for: one, or a page of many.

use std::ffi::OsString;

use rusqlite::{OptionalExtension, params};

use crate::error::{Error, Result};
use crate::model::stored_job::StoredJob;
use crate::model::task::{COMMAND, NoticeRecord, Notices, TaskStatus, WEBHOOK};
use crate::store::row::{COLUMNS, Row, status_number};
use crate::store::trouble::store;
use crate::store::{Store, claim, unknown};

/// Which tasks are asked for.
#[derive(Clone, Debug)]
pub struct Filter {
    /// None: of every status.
    pub statuses: Vec<TaskStatus>,
    pub group: Option<String>,
    /// At most so many.
    pub limit: u32,
}

impl Store {
    /// A task, by its whole id.
    pub fn task(&self, id: &str) -> Result<Row> {
        let read = || -> rusqlite::Result<Option<Row>> {
            let query = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1");
            self.connection.prepare_cached(&query)?.query_row([id], Row::read).optional()
        };
        read().map_err(store("read the store"))?.ok_or_else(|| unknown(id))
    }

    /// The job of a task.
    pub fn job(&self, seq: i64) -> Result<StoredJob> {
        let query = "SELECT job FROM tasks WHERE seq = ?1";
        let text: String =
            self.connection.query_row(query, [seq], |row| row.get(0)).map_err(store("read the store"))?;
        serde_json::from_str(&text).map_err(|error| Error::Internal(format!("failed to read a task: {error}")))
    }

    /// The variables of a task whose values are shown nowhere.
    pub fn secrets(&self, seq: i64) -> Result<Vec<(OsString, OsString)>> {
        claim::secrets(&self.connection, seq).map_err(store("read the store"))
    }

    /// The envelope of a task that is over.
    pub fn answer(&self, seq: i64) -> Result<Option<String>> {
        let query = "SELECT envelope FROM answers WHERE task = ?1";
        let found = self.connection.query_row(query, [seq], |row| row.get(0)).optional();
        found.map_err(store("read the store"))
    }

    /// The tasks that come before one, by their ids.
    pub fn needs(&self, seq: i64) -> Result<Vec<String>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut find = self
                .connection
                .prepare_cached("SELECT id FROM needs JOIN tasks ON seq = needed WHERE task = ?1 ORDER BY seq")?;
            find.query_map([seq], |row| row.get(0))?.collect()
        };
        read().map_err(store("read the store"))
    }

    /// What is told of the end of a task, and to whom: what became of it, or what will be due.
    pub fn notices(&self, seq: i64) -> Result<Vec<NoticeRecord>> {
        let read = || -> rusqlite::Result<Vec<NoticeRecord>> {
            let mut find = self
                .connection
                .prepare_cached("SELECT kind, target, delivered, error FROM outbox WHERE task = ?1 ORDER BY seq")?;
            let read = |row: &rusqlite::Row<'_>| {
                let kind = if row.get::<_, i64>(0)? == 0 { COMMAND } else { WEBHOOK };
                Ok(NoticeRecord {
                    kind: kind.to_owned(),
                    target: row.get(1)?,
                    delivered: row.get(2)?,
                    error: row.get(3)?,
                })
            };
            let due = find.query_map([seq], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
            if !due.is_empty() {
                return Ok(due);
            }
            let mut find =
                self.connection.prepare_cached("SELECT notices FROM tasks WHERE seq = ?1 AND status IN (0, 1)")?;
            let wished: Option<Option<String>> = find.query_row([seq], |row| row.get(0)).optional()?;
            let wished = wished.flatten().map(|text| serde_json::from_str::<Notices>(&text).unwrap_or_default());
            Ok(wished.unwrap_or_default().records())
        };
        read().map_err(store("read the store"))
    }

    /// The newest tasks of these kinds, the newest first.
    pub fn tasks(&self, filter: &Filter) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        // One look for each status finds the newest of it by an index, however many others there are.
        let statuses: Vec<Option<TaskStatus>> = match filter.statuses.as_slice() {
            // A group's are found by its status; all tasks are in order as they are.
            [] if filter.group.is_some() => TaskStatus::ALL.into_iter().map(Some).collect(),
            [] => vec![None],
            some => some.iter().copied().map(Some).collect(),
        };
        for status in statuses {
            rows.extend(self.newest(status, filter).map_err(store("read the store"))?);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.seq));
        rows.dedup_by_key(|row| row.seq);
        rows.truncate(filter.limit as usize);
        Ok(rows)
    }

    fn newest(&self, status: Option<TaskStatus>, filter: &Filter) -> rusqlite::Result<Vec<Row>> {
        let mut find = self.connection.prepare_cached(&newest_first(status.is_some(), filter.group.is_some()))?;
        find.query_map(params![status.map(status_number), filter.group, filter.limit], Row::read)?.collect()
    }
}

/// Asks for the newest tasks: of a status (?1), of a group (?2), at most so many (?3).
pub(super) fn newest_first(of_status: bool, of_group: bool) -> String {
    let mut query = format!("SELECT {COLUMNS} FROM tasks WHERE 1");
    if of_status {
        query.push_str(" AND status = ?1");
    }
    if of_group {
        query.push_str(" AND grp = ?2 AND grp <> ''");
    }
    query.push_str(" AND ?1 IS ?1 AND ?2 IS ?2 ORDER BY seq DESC LIMIT ?3");
    query
}
