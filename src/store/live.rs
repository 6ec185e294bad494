//! What a running task says of itself, for those who ask meanwhile. It need not survive a crash of the machine, but does
//! survive one of the worker.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use crate::error::Result;
use crate::model::outcome::Progress;
use crate::store::trouble::store;
use crate::store::{Store, millis, now};

/// The last of everything that a running task told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    pub progress: Option<Progress>,
    pub message: Option<String>,
    pub reported: Option<Value>,
    /// When its present attempt is stopped, as far as is known now.
    pub deadline_at: Option<Duration>,
    /// Attempts that were begun, those of earlier runs included.
    pub attempts: u32,
}

impl Store {
    /// Notes what running tasks told, by the numbers of their rows.
    pub fn note_live(&mut self, told: &[(i64, Live)]) -> Result<()> {
        // Not waited for until it is on the disk: it is of use only while the task runs.
        let note = |store: &mut Self| -> rusqlite::Result<()> {
            store.connection.pragma_update(None, "synchronous", "NORMAL")?;
            let transaction = store.connection.transaction()?;
            for (seq, live) in told {
                let mut put = transaction.prepare_cached(
                    "INSERT OR REPLACE INTO live (task, progress, message, reported) VALUES (?1, ?2, ?3, ?4)",
                )?;
                let reported = live.reported.as_ref().map(Value::to_string);
                put.execute(params![seq, live.progress.map(Progress::fraction), live.message, reported])?;
                let mut touch = transaction.prepare_cached(
                    "UPDATE tasks SET attempts = max(attempts, ?2), deadline_at = ?3, updated_at = ?4 \
                     WHERE seq = ?1 AND status = 1",
                )?;
                touch.execute(params![seq, live.attempts, live.deadline_at.map(millis), now()])?;
            }
            transaction.commit()?;
            store.announce();
            Ok(())
        };
        let noted = note(self);
        self.connection.pragma_update(None, "synchronous", "FULL").map_err(store("keep a task's progress"))?;
        noted.map_err(store("keep a task's progress"))
    }

    /// What a running task told last.
    pub fn live(&self, seq: i64) -> Result<Option<Live>> {
        let read = || -> rusqlite::Result<Option<Live>> {
            let mut find =
                self.connection.prepare_cached("SELECT progress, message, reported FROM live WHERE task = ?1")?;
            find.query_row([seq], |row| {
                let reported: Option<String> = row.get(2)?;
                Ok(Live {
                    progress: row.get::<_, Option<f64>>(0)?.and_then(Progress::of),
                    message: row.get(1)?,
                    reported: reported.and_then(|text| serde_json::from_str(&text).ok()),
                    ..Live::default()
                })
            })
            .optional()
        };
        read().map_err(store("read the store"))
    }
}
