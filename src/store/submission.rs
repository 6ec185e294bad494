//! New tasks.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::error::{Error, Result};
use crate::model::batch::Priority;
use crate::model::stored_job::StoredJob;
use crate::model::task::{Begin, Notices, OnCrash, TaskStatus};
use crate::platform::remains::boot_id;
use crate::store::ending::{self, Conclusion};
use crate::store::row::{priority_number, status_of};
use crate::store::trouble::store;
use crate::store::{Store, micros, millis, now};
use crate::time::clock::since_boot;

/// A task that is to be stored.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// A UUID, unlike that of any other task.
    pub id: String,
    pub job: StoredJob,
    /// What it is called where it is shown.
    pub command: String,
    pub priority: Priority,
    /// Tasks that must complete before, by their whole ids.
    pub after: Vec<String>,
    pub begin: Begin,
    pub group: Option<String>,
    pub owner: String,
    pub on_crash: OnCrash,
    pub notices: Notices,
    /// Variables of the job whose values are shown nowhere; they are not among those of the job.
    pub secrets: Vec<(OsString, OsString)>,
}

/// A task that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    pub id: String,
    /// A task before it had not completed, and so this one has failed already.
    pub failed: bool,
}

impl Store {
    /// Stores tasks: all of them, or none. They are on the disk when this returns. A task may come after another one of
    /// these.
    pub fn submit(&mut self, tasks: &[NewTask]) -> Result<Vec<Submitted>> {
        let documents = tasks.iter().map(document).collect::<Result<Vec<_>>>()?;
        let boot = if tasks.iter().any(|task| matches!(task.begin, Begin::In(_))) { boot_id() } else { None };
        self.change("store the task", |transaction| {
            let mut insert = transaction.prepare_cached(INSERT)?;
            let mut submitted = Vec::with_capacity(tasks.len());
            for (task, document) in tasks.iter().zip(&documents) {
                let now = now();
                let seq = put(&mut insert, task, document, now, boot.as_deref())?;
                put_secrets(transaction, seq, task)?;
                let failed = if task.after.is_empty() { false } else { put_needs(transaction, seq, task)? };
                submitted.push(Submitted { id: task.id.clone(), failed });
            }
            let count = i64::try_from(tasks.len()).unwrap_or(i64::MAX);
            let mut lifetime =
                transaction.prepare_cached("UPDATE lifetime SET tasks = tasks + ?1 WHERE name = 'submitted'")?;
            lifetime.execute([count])?;
            Ok(submitted)
        })
    }

    /// The whole id of the only task whose id begins so.
    pub fn whole_id(&self, prefix: &str) -> Result<String> {
        let found = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self
                .connection
                .prepare_cached("SELECT id FROM tasks WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 2")?;
            // In UTF-8 no character comes behind this one.
            let rows = statement.query_map([prefix, &format!("{prefix}\u{10FFFF}")], |row| row.get(0))?;
            rows.collect()
        };
        let mut found = found().map_err(store("read the store"))?;
        match found.len() {
            1 => Ok(found.remove(0)),
            2 if !prefix.is_empty() && found[0] == prefix => Ok(found.remove(0)),
            2 if !prefix.is_empty() => Err(Error::Missing {
                message: format!("'{prefix}' is the beginning of several tasks' ids"),
                remediation: "Give more of the id; 'runner task list' shows the whole ones".to_owned(),
            }),
            _ => Err(super::unknown(prefix)),
        }
    }
}

const INSERT: &str = "INSERT INTO tasks (id, priority, ready, grp, name, owner, created_at, updated_at, not_before, \
                      due_boot, boot, on_crash, timeout, command, notices, job) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

/// What of a task is kept as JSON: the job, and whom to tell.
struct Document {
    job: String,
    notices: Option<String>,
}

fn document(task: &NewTask) -> Result<Document> {
    let wrong = |error: serde_json::Error| Error::Internal(format!("failed to write a task down: {error}"));
    let notices = (task.notices != Notices::default()).then(|| serde_json::to_string(&task.notices));
    Ok(Document { job: serde_json::to_string(&task.job).map_err(wrong)?, notices: notices.transpose().map_err(wrong)? })
}

fn put(
    insert: &mut CachedStatement<'_>,
    task: &NewTask,
    document: &Document,
    now: i64,
    boot: Option<&str>,
) -> rusqlite::Result<i64> {
    let (not_before, due_boot) = match task.begin {
        Begin::Now => (None, None),
        Begin::At(at) => (Some(millis(at)), None),
        Begin::In(delay) => (Some(now.saturating_add(millis(delay))), Some(millis(since_boot().saturating_add(delay)))),
    };
    let wall = [task.job.limits.timeout_us, task.job.limits.max_timeout_us].into_iter().flatten().min();
    insert.insert(params![
        task.id,
        priority_number(task.priority),
        not_before.is_none(),
        task.group.as_deref().unwrap_or_default(),
        task.job.name,
        task.owner,
        now,
        not_before,
        due_boot,
        due_boot.and(boot),
        task.on_crash == OnCrash::Retry,
        wall.map(|wall| micros(Duration::from_micros(wall))),
        task.command,
        document.notices,
        document.job,
    ])
}

fn put_secrets(connection: &Connection, seq: i64, task: &NewTask) -> rusqlite::Result<()> {
    for (name, value) in &task.secrets {
        let mut insert = connection.prepare_cached("INSERT INTO secrets (task, name, value) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![seq, name.as_bytes(), value.as_bytes()])?;
    }
    Ok(())
}

/// Notes what comes before the task. True where one of them is over without having completed.
fn put_needs(connection: &Connection, seq: i64, task: &NewTask) -> rusqlite::Result<bool> {
    let mut waits = 0;
    let mut failed = None;
    for needed in &task.after {
        let mut find = connection.prepare_cached("SELECT seq, status FROM tasks WHERE id = ?1")?;
        let found = find.query_row([needed], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u8>(1)?))).optional()?;
        // It was there when its id was looked up, and has been cleaned away since.
        let Some((needed_seq, status)) = found else {
            failed.get_or_insert((needed.clone(), None));
            continue;
        };
        let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO needs (task, needed) VALUES (?1, ?2)")?;
        let added = insert.execute([seq, needed_seq])? == 1;
        match status_of(status) {
            TaskStatus::Completed => {}
            TaskStatus::Failed | TaskStatus::Cancelled => {
                failed.get_or_insert((needed.clone(), Some(status_of(status))));
            }
            TaskStatus::Pending | TaskStatus::Running => waits += i64::from(added),
        }
    }
    let mut update = connection
        .prepare_cached("UPDATE tasks SET waits = ?2, ready = CASE WHEN ?2 > 0 THEN 0 ELSE ready END WHERE seq = ?1")?;
    update.execute([seq, waits])?;
    if let Some((needed, status)) = &failed {
        ending::conclude(connection, seq, &Conclusion::after(needed, *status))?;
    }
    Ok(failed.is_some())
}
