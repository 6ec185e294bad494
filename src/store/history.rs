//! The history: how attempts that are over ended, and how long they took.
//!
//! Of each subject the newest samples are kept, and of subjects those that ran last, so that it cannot grow for ever. A
//! sample need not survive a crash of the machine.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::error::{Error, Result};
use crate::model::auto_timeout::{AutoTimeout, RECENT, Suggestion};
use crate::model::job::JobSpec;
use crate::model::sample::{Sample, SampleCause, Subject, shortened};
use crate::platform::state_folder;
use crate::store::trouble::store;
use crate::store::{FILE, Store, is_there, micros, millis, of_micros, of_millis, schema, wait_within};

/// So many samples of a subject are kept, and at most `SLACK` more: removing old ones now and then is cheaper.
pub const KEPT: u32 = 1000;
const SLACK: i64 = 100;
/// So many subjects are kept, and at most `SUBJECT_SLACK` more.
const SUBJECTS: i64 = 10_000;
const SUBJECT_SLACK: i64 = 100;
/// Whoever only looks, or has something to add that is not vital, does not wait longer for others.
const PATIENCE: Duration = Duration::from_secs(2);
/// A fingerprint may be cut to so many digits.
const SHORTEST_PREFIX: usize = 4;

impl Store {
    /// Opens the store for the history alone: with little patience for whoever keeps it locked.
    pub fn open_for_history(folder: &Path) -> Result<Self> {
        Self::open_waiting(folder, wait_briefly)
    }

    /// Opens a store that is there only to read from it. None: there is none.
    pub fn open_to_read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        state_folder::check(folder)?;
        if !is_there(&path)? {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(store("open the store"))?;
        connection.busy_handler(Some(wait_briefly)).map_err(store("open the store"))?;
        // One that somebody is just making holds nothing yet.
        let has_history = schema::check(&connection)?;
        Ok(has_history.then(|| Self { connection, folder: folder.to_owned(), news: OnceCell::new() }))
    }

    /// Adds samples, all of them or none. Not waited for until they are on the disk.
    pub fn record_history(&mut self, samples: &[Sample]) -> Result<()> {
        let record = |store: &mut Self| -> rusqlite::Result<()> {
            store.connection.pragma_update(None, "synchronous", "NORMAL")?;
            let transaction = store.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            put(&transaction, samples)?;
            transaction.commit()
        };
        let recorded = record(self);
        self.connection.pragma_update(None, "synchronous", "FULL").map_err(store("record the history"))?;
        recorded.map_err(store("record the history"))
    }

    /// How long the newest successes of a subject took, as many as a timeout is made of.
    pub fn recent_successes(&self, key: &str) -> Result<Vec<Duration>> {
        let read = || -> rusqlite::Result<Vec<Duration>> {
            let mut find = self.connection.prepare_cached(
                "SELECT duration FROM history WHERE subject = (SELECT id FROM history_subjects WHERE key = ?1) \
                 AND cause = 'success' ORDER BY seq DESC LIMIT ?2",
            )?;
            find.query_map(params![key, RECENT as i64], |row| row.get(0).map(of_micros))?.collect()
        };
        read().map_err(trouble())
    }

    /// Gives a job the timeout that its history suggests.
    pub fn resolve_timeout(&self, job: &mut JobSpec, auto: &AutoTimeout) -> Result<Suggestion> {
        let successes = self.recent_successes(&Subject::of(job).key)?;
        Ok(auto.apply(&mut job.limits, &successes))
    }

    /// The subjects that ran last, the newest first.
    pub fn subjects(&self, limit: u32) -> Result<Vec<Subject>> {
        self.select("1 ORDER BY last_at DESC, id DESC LIMIT ?1", params![limit])
    }

    /// How many subjects there are.
    pub fn count_subjects(&self) -> Result<u64> {
        let count: i64 = self
            .connection
            .query_row("SELECT count(*) FROM history_subjects", [], |row| row.get(0))
            .map_err(trouble())?;
        Ok(count.max(0).unsigned_abs())
    }

    /// The subjects that may be meant: the one of this name, or else those of this very command, or else those whose
    /// fingerprint begins so.
    pub fn find_subjects(&self, asked: &str) -> Result<Vec<Subject>> {
        let named = self.select("key = ?1", [Subject::key_of_name(asked)])?;
        if !named.is_empty() {
            return Ok(named);
        }
        let of_command =
            self.select("name IS NULL AND command = ?1 ORDER BY last_at DESC, id DESC", [shortened(asked)])?;
        let is_prefix = asked.len() >= SHORTEST_PREFIX && asked.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !of_command.is_empty() || !is_prefix {
            return Ok(of_command);
        }
        let first = asked.to_ascii_lowercase();
        // Behind every digit comes a letter that is none.
        let behind = format!("{first}g");
        self.select("key >= ?1 AND key < ?2 ORDER BY last_at DESC, id DESC", [first, behind])
    }

    /// The newest samples of a subject, at most so many, the newest first.
    pub fn samples(&self, subject: &Arc<Subject>, limit: u32) -> Result<Vec<Sample>> {
        let read = || -> rusqlite::Result<Vec<Sample>> {
            let mut find = self.connection.prepare_cached(
                "SELECT ended_at, duration, cause, exit_code, attempt, peak_memory FROM history \
                 WHERE subject = (SELECT id FROM history_subjects WHERE key = ?1) ORDER BY seq DESC LIMIT ?2",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                let cause: String = row.get(2)?;
                Ok(Sample {
                    subject: Arc::clone(subject),
                    ended_at: of_millis(row.get(0)?),
                    duration: of_micros(row.get(1)?),
                    cause: SampleCause::by_word(&cause).unwrap_or(SampleCause::Failed),
                    exit_code: row.get(3)?,
                    attempt: row.get(4)?,
                    peak_memory: row.get::<_, Option<i64>>(5)?.map(|bytes| bytes.max(0).unsigned_abs()),
                })
            };
            find.query_map(params![subject.key, limit], read)?.collect()
        };
        read().map_err(trouble())
    }

    fn select(&self, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Subject>> {
        let read = || -> rusqlite::Result<Vec<Subject>> {
            let query = format!("SELECT key, name, command FROM history_subjects WHERE {condition}");
            let read =
                |row: &rusqlite::Row<'_>| Ok(Subject { key: row.get(0)?, name: row.get(1)?, command: row.get(2)? });
            self.connection.prepare_cached(&query)?.query_map(values, read)?.collect()
        };
        read().map_err(trouble())
    }
}

/// Adds samples within a change.
pub(super) fn put(transaction: &Transaction<'_>, samples: &[Sample]) -> rusqlite::Result<()> {
    for sample in samples {
        let Subject { key, name, command } = &*sample.subject;
        let ended_at = millis(sample.ended_at);
        let (subject, seq): (i64, i64) = transaction
            .prepare_cached(
                "INSERT INTO history_subjects (key, name, command, last_at, runs) VALUES (?1, ?2, ?3, ?4, 1) \
                 ON CONFLICT (key) DO UPDATE SET command = excluded.command, \
                 last_at = max(last_at, excluded.last_at), runs = runs + 1 RETURNING id, runs",
            )?
            .query_row(params![key, name, command, ended_at], |row| Ok((row.get(0)?, row.get(1)?)))?;
        transaction
            .prepare_cached(
                "INSERT INTO history (subject, seq, ended_at, duration, cause, exit_code, attempt, peak_memory) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                subject,
                seq,
                ended_at,
                micros(sample.duration),
                sample.cause.word(),
                sample.exit_code,
                sample.attempt,
                sample.peak_memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            ])?;
        if seq % SLACK == 0 {
            transaction
                .prepare_cached("DELETE FROM history WHERE subject = ?1 AND seq <= ?2")?
                .execute(params![subject, seq - i64::from(KEPT)])?;
        }
        if seq == 1 && subject % SUBJECT_SLACK == 0 {
            forget_subjects(transaction)?;
        }
    }
    Ok(())
}

/// Removes the subjects that ran longest ago, where there are too many.
fn forget_subjects(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let last: Option<(i64, i64)> = transaction
        .prepare_cached("SELECT last_at, id FROM history_subjects ORDER BY last_at DESC, id DESC LIMIT 1 OFFSET ?1")?
        .query_row([SUBJECTS], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((last_at, id)) = last else { return Ok(()) };
    let old = "SELECT id FROM history_subjects WHERE (last_at, id) <= (?1, ?2)";
    transaction.prepare_cached(&format!("DELETE FROM history WHERE subject IN ({old})"))?.execute([last_at, id])?;
    transaction
        .prepare_cached("DELETE FROM history_subjects WHERE (last_at, id) <= (?1, ?2)")?
        .execute([last_at, id])
        .map(drop)
}

fn wait_briefly(looks: i32) -> bool {
    wait_within(PATIENCE, looks)
}

fn trouble() -> impl FnOnce(rusqlite::Error) -> Error {
    store("read the history")
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
