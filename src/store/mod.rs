//! The queue's store: tasks, their answers and the history of jobs, in one SQLite file that several processes share.
//!
//! Verbs and the worker open it; each change is one transaction, on the disk when the call returns. Nothing here starts
//! or ends a process. Logs are files beside it.

use std::cell::OnceCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Result};
use crate::platform::{filesystem, process, signals, state_folder};
use crate::time::clock::unix_time;

mod claim;
mod cleaning;
mod ending;
mod history;
mod live;
mod lookup;
mod orders;
mod outbox;
mod row;
mod schema;
mod stats;
mod submission;
mod tally;
mod trouble;

pub use claim::{Claim, Claimed, SLOTS};
pub use ending::{End, Lost};
pub use history::KEPT;
pub use live::Live;
pub use lookup::Filter;
pub use orders::{Cancelled, ExtensionOrder, GroupRecord, StopOrder, WorkerRecord};
pub use outbox::{DueNotice, Target};
pub use row::{Row, Timing};
pub use stats::Stats;
pub use submission::{NewTask, Submitted};

use trouble::store;

/// The store's own file.
const FILE: &str = "queue.db";
/// The folder of the logs.
const LOGS: &str = "logs";
/// How long another process may keep the store locked.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a locked store.
const PAUSE: Duration = Duration::from_millis(1);
/// Most changes are on the disk within a few of these, so they come first.
const SHORT_PAUSE: Duration = Duration::from_micros(50);
const SHORT_LOOKS: u32 = 20;

/// So much of the store stays in the memory of who keeps little of it.
const KEPT_KIB: i32 = 256;

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    folder: PathBuf,
    /// Written with each change, once there was one.
    news: OnceCell<Option<File>>,
}

impl Store {
    /// Opens the store in this folder, and makes what is missing: the folder, the file, the present version of it.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_waiting(folder, wait_for_others)
    }

    /// The same. `wait` is asked, with the number of looks so far, whether to look once more at a store that is locked.
    fn open_waiting(folder: &Path, wait: fn(i32) -> bool) -> Result<Self> {
        Self::open_on(filesystem::is_network(folder), folder, wait)
    }

    /// `network`: other machines may have the folder, too.
    fn open_on(network: bool, folder: &Path, wait: fn(i32) -> bool) -> Result<Self> {
        let path = folder.join(FILE);
        signals::ignore_file_size_signal();
        state_folder::check(folder)?;
        // A file that was brought back alone has lost what stands beside it.
        let beside = [folder.join(LOGS), Self::news_file(folder)];
        if !is_there(&path)? || beside.iter().any(|path| !path.exists()) {
            state_folder::make(folder)?;
            state_folder::make_one(&folder.join(LOGS))?;
            state_folder::make_file(&Self::news_file(folder))?;
            state_folder::make_file(&path)?;
        }
        let mut store = Self { connection: connect(&path, wait)?, folder: folder.to_owned(), news: OnceCell::new() };
        // A write-ahead log needs memory that all who use it share.
        if network && store.journal_mode()? == "wal" {
            store.set_journal_mode("DELETE", wait)?;
        } else if !network && store.is_new()? {
            store.set_journal_mode("WAL", wait)?;
        }
        schema::migrate(&mut store.connection)?;
        Ok(store)
    }

    /// The same, of a store that is there already. None: there is none, and so nothing in it.
    pub fn open_existing(folder: &Path) -> Result<Option<Self>> {
        if is_there(&folder.join(FILE))? { Self::open(folder).map(Some) } else { Ok(None) }
    }

    /// Leaves it to the end of the process, which frees all of it at once. What was changed is on the disk.
    pub fn leave(self) {
        std::mem::forget(self);
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that is written after each change, for those who wait for one: SQLite's own files are written before it
    /// can be read.
    pub fn news_file(folder: &Path) -> PathBuf {
        folder.join("queue.news")
    }

    /// The folder of the logs.
    pub fn logs_folder(folder: &Path) -> PathBuf {
        folder.join(LOGS)
    }

    /// Where every byte of a task's output is, and what tells its streams apart.
    pub fn logs(folder: &Path, id: &str) -> [PathBuf; 2] {
        let logs = folder.join(LOGS);
        [logs.join(format!("{id}.log")), logs.join(format!("{id}.idx"))]
    }

    /// For whoever keeps it open for long: little of it stays in memory.
    pub fn keep_little(&self) -> Result<()> {
        self.connection.pragma_update(None, "cache_size", KEPT_KIB.saturating_neg()).map_err(store("open the store"))
    }

    /// What was written so far goes from the side file into the store's own. For whoever closes it last.
    pub fn tidy(&self) {
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    /// True where SQLite finds nothing wrong with the file.
    pub fn is_sound(&self) -> Result<bool> {
        let word: String = self
            .connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .map_err(store("check the store"))?;
        Ok(word == "ok")
    }

    fn is_new(&self) -> Result<bool> {
        let version: u32 =
            self.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(store("read the store"))?;
        Ok(version == 0)
    }

    fn journal_mode(&self) -> Result<String> {
        self.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(store("read the store"))
    }

    /// SQLite asks nobody whether to wait here: where several make the store at once, all but one are told that it is
    /// locked.
    fn set_journal_mode(&self, mode: &str, wait: fn(i32) -> bool) -> Result<()> {
        let mut looks = 0;
        loop {
            let set =
                self.connection.pragma_update_and_check(None, "journal_mode", mode, |row| row.get::<_, String>(0));
            match set {
                Err(error) if trouble::is_busy(&error) && wait(looks) => looks += 1,
                set => return set.map(drop).map_err(store("open the store")),
            }
        }
    }

    /// One change, all of it or nothing.
    fn change<T>(
        &mut self,
        action: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store(action))?;
        let result = change(&transaction).map_err(store(action))?;
        transaction.commit().map_err(store(action))?;
        self.announce();
        Ok(result)
    }

    /// Whoever waits for a change looks now.
    fn announce(&self) {
        let open = || state_folder::write(&Self::news_file(&self.folder)).ok();
        if let Some(news) = self.news.get_or_init(open) {
            // Those who wait look from time to time as well, so that a full disk costs them no more than that.
            let _ = news.write_all_at(b"!", 0);
        }
    }
}

/// Of a folder that may not be entered nobody knows what is in it, and that is not the same as nothing.
fn is_there(path: &Path) -> Result<bool> {
    let help = "Check who may enter its folder, or name another one by RUNNER_STATE_DIR";
    path.try_exists().map_err(Error::path("read", path, help))
}

fn connect(path: &Path, wait: fn(i32) -> bool) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_handler(Some(wait))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "synchronous", "FULL")?;
        // A secret goes with its task, as far as that costs no writing of its own.
        connection.pragma_update(None, "secure_delete", "FAST")?;
        Ok(connection)
    };
    open().map_err(store("open the store"))
}

/// Another process holds the store: looks again soon, for long enough.
fn wait_for_others(looks: i32) -> bool {
    wait_within(PATIENCE, looks)
}

fn wait_within(patience: Duration, looks: i32) -> bool {
    let looks = looks.unsigned_abs();
    process::nap(if looks < SHORT_LOOKS { SHORT_PAUSE } else { PAUSE });
    PAUSE * looks.saturating_sub(SHORT_LOOKS) < patience
}

/// Milliseconds since the Unix epoch.
fn now() -> i64 {
    millis(unix_time())
}

/// For the store, which has no unsigned numbers.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn of_millis(stored: i64) -> Duration {
    Duration::from_millis(stored.max(0).unsigned_abs())
}

fn of_micros(stored: i64) -> Duration {
    Duration::from_micros(stored.max(0).unsigned_abs())
}

/// No task has such an id, or several do.
fn unknown(id: &str) -> Error {
    Error::Missing {
        message: format!("there is no task '{id}'"),
        remediation: "'runner task list' shows the tasks that there are; finished ones may have been cleaned away"
            .to_owned(),
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
