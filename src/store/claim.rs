//! Which tasks run next: as many as there are slots for, the most urgent first and the older of two equals.
//!
//! A task that is claimed is running from the moment that the change is on the disk, and nobody else can claim it. What is
//! read here is read by named indices, since SQLite knows nothing of how many tasks wait, and how many are over.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::error::{Error, Result};
use crate::model::batch::Priority;
use crate::model::stored_job::StoredJob;
use crate::store::row::priority_of;
use crate::store::trouble::store;
use crate::store::{Store, millis, now, of_millis};
use crate::time::clock::{since_boot, unix_time};

/// Who claims.
#[derive(Clone, Debug)]
pub struct Claim {
    /// This boot of the machine.
    pub boot: Option<String>,
    /// Makes what tells one run from all others.
    pub new_run: fn() -> String,
}

/// A task that is to be begun now.
#[derive(Debug)]
pub struct Claimed {
    pub seq: i64,
    pub id: String,
    /// `RUNNER_JOB_ID` of this run.
    pub run: String,
    pub name: Option<String>,
    pub priority: Priority,
    /// What it is called where it is shown.
    pub command: String,
    /// An error: a version that wrote it, or a hand, wrote what this one does not understand.
    pub job: Result<StoredJob>,
    pub secrets: Vec<(OsString, OsString)>,
    /// Attempts of earlier runs.
    pub attempts_before: u32,
    /// It is queued again where its worker dies.
    pub retried_on_crash: bool,
    /// It was to be cancelled before it began.
    pub unwanted: bool,
}

/// So many tasks run at once where nobody said otherwise.
pub const SLOTS: u32 = 4;

impl Store {
    /// Claims what may run now.
    pub fn claim(&mut self, claim: &Claim) -> Result<Vec<Claimed>> {
        self.end_and_claim(&[], Some(claim))
    }

    /// True where a claim would find something, but for slots; or a task is running.
    pub fn has_work(&self) -> Result<bool> {
        let query = "SELECT EXISTS (SELECT 1 FROM tasks WHERE status IN (0, 1)) \
                     OR EXISTS (SELECT 1 FROM outbox WHERE delivered IS NULL)";
        self.connection.query_row(query, [], |row| row.get(0)).map_err(store("read the store"))
    }

    /// How long until the next task that waits for its time may begin. None: no task waits for its time.
    pub fn next_due(&self, boot: Option<&str>) -> Result<Option<Duration>> {
        let read = || -> rusqlite::Result<Option<Duration>> {
            let query = "SELECT min(not_before) FROM tasks INDEXED BY tasks_to_come \
                         WHERE status = 0 AND ready = 0 AND waits = 0 AND (due_boot IS NULL OR boot IS NOT ?1)";
            let by_clock: Option<i64> = self.connection.prepare_cached(query)?.query_row([boot], |row| row.get(0))?;
            let query = "SELECT min(due_boot) FROM tasks INDEXED BY tasks_to_come_by_boot \
                         WHERE status = 0 AND ready = 0 AND waits = 0 AND due_boot IS NOT NULL AND boot IS ?1";
            let by_boot: Option<i64> = self.connection.prepare_cached(query)?.query_row([boot], |row| row.get(0))?;
            let by_clock = by_clock.map(|due| of_millis(due).saturating_sub(unix_time()));
            let by_boot = by_boot.map(|due| of_millis(due).saturating_sub(since_boot()));
            Ok([by_clock, by_boot].into_iter().flatten().min())
        };
        read().map_err(store("read the store"))
    }
}

/// Claims what may run now, within a change.
pub(super) fn claim(connection: &Connection, claim: &Claim) -> rusqlite::Result<Vec<Claimed>> {
    // A stop request may have arrived since the last check. Tasks stored after it are left to the next worker.
    let mut ordered = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM settings WHERE name = 'stop')")?;
    if ordered.query_row([], |row| row.get(0))? {
        return Ok(Vec::new());
    }
    promote(connection, claim.boot.as_deref())?;
    let mut claimed = Vec::new();
    for seq in choose(connection)? {
        let run = (claim.new_run)();
        let mut update = connection.prepare_cached(
            "UPDATE tasks SET status = 1, ready = 0, run = ?2, started_at = ?3, updated_at = ?3, \
             waited = ?3 - created_at, attempts = attempts + 1 WHERE seq = ?1 \
             RETURNING id, name, priority, attempts, wish, on_crash, command, job",
        )?;
        let one = update.query_row(params![seq, run, now()], |row| {
            let attempts: u32 = row.get(3)?;
            let job: String = row.get(7)?;
            let wrong = |error| Error::Internal(format!("failed to read a task: {error}"));
            Ok(Claimed {
                seq,
                id: row.get(0)?,
                run: run.clone(),
                name: row.get(1)?,
                priority: priority_of(row.get(2)?),
                command: row.get(6)?,
                job: serde_json::from_str(&job).map_err(wrong),
                secrets: Vec::new(),
                attempts_before: attempts.saturating_sub(1),
                retried_on_crash: row.get(5)?,
                unwanted: row.get(4)?,
            })
        })?;
        claimed.push(Claimed { secrets: secrets(connection, seq)?, ..one });
    }
    Ok(claimed)
}

/// Tasks whose time has come are ready.
fn promote(connection: &Connection, boot: Option<&str>) -> rusqlite::Result<()> {
    let mut by_boot = connection.prepare_cached(
        "UPDATE tasks INDEXED BY tasks_to_come_by_boot SET ready = 1 \
         WHERE status = 0 AND ready = 0 AND waits = 0 AND due_boot <= ?2 AND boot IS ?1",
    )?;
    by_boot.execute(params![boot, millis(since_boot())])?;
    let mut by_clock = connection.prepare_cached(
        "UPDATE tasks INDEXED BY tasks_to_come SET ready = 1 \
         WHERE status = 0 AND ready = 0 AND waits = 0 AND not_before <= ?2 AND (due_boot IS NULL OR boot IS NOT ?1)",
    )?;
    by_clock.execute(params![boot, now()]).map(drop)
}

/// The tasks that come next, by their numbers.
fn choose(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let groups = Groups::read(connection)?;
    if groups.all_paused {
        return Ok(Vec::new());
    }
    let mut chosen = Vec::new();
    let mut shared = Vec::new();
    let mut group = first_group(connection, None)?;
    while let Some(name) = group {
        let own = groups.own.get(&name);
        if own.is_none_or(|own| !own.paused) {
            match own.and_then(|own| own.slots) {
                Some(slots) => {
                    let free = slots.saturating_sub(groups.running(&name));
                    chosen.extend(in_turn(connection, &name, free)?.into_iter().map(|(_, seq)| seq));
                }
                None => shared.extend(in_turn(connection, &name, groups.free())?),
            }
        }
        group = first_group(connection, Some(&name))?;
    }
    shared.sort_unstable();
    chosen.extend(shared.into_iter().take(groups.free() as usize).map(|(_, seq)| seq));
    Ok(chosen)
}

/// The first group behind this one that has a task ready. Each is found by a look into the index, however many tasks wait.
fn first_group(connection: &Connection, behind: Option<&str>) -> rusqlite::Result<Option<String>> {
    let query = match behind {
        None => "SELECT min(grp) FROM tasks INDEXED BY tasks_in_turn WHERE status = 0 AND ready = 1 AND grp >= ?1",
        Some(_) => "SELECT min(grp) FROM tasks INDEXED BY tasks_in_turn WHERE status = 0 AND ready = 1 AND grp > ?1",
    };
    connection.prepare_cached(query)?.query_row([behind.unwrap_or_default()], |row| row.get(0))
}

/// The next tasks of a group, at most so many: priority and number.
fn in_turn(connection: &Connection, group: &str, most: u32) -> rusqlite::Result<Vec<(u8, i64)>> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let mut find = connection.prepare_cached(
        "SELECT priority, seq FROM tasks INDEXED BY tasks_in_turn \
         WHERE status = 0 AND ready = 1 AND grp = ?1 ORDER BY priority, seq LIMIT ?2",
    )?;
    find.query_map(params![group, most], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The variables of a task whose values are shown nowhere.
pub(super) fn secrets(connection: &Connection, seq: i64) -> rusqlite::Result<Vec<(OsString, OsString)>> {
    let mut find = connection.prepare_cached("SELECT name, value FROM secrets WHERE task = ?1 ORDER BY rowid")?;
    let read =
        |row: &rusqlite::Row<'_>| Ok((OsString::from_vec(row.get(0)?), OsString::from_vec(row.get::<_, Vec<u8>>(1)?)));
    find.query_map([seq], read)?.collect()
}

/// The groups, and what runs in each.
struct Groups {
    own: BTreeMap<String, Group>,
    running: BTreeMap<String, u32>,
    shared_slots: u32,
    all_paused: bool,
}

struct Group {
    slots: Option<u32>,
    paused: bool,
}

impl Groups {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut own = BTreeMap::new();
        let mut find = connection.prepare_cached("SELECT name, slots, paused FROM groups")?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            own.insert(row.get::<_, String>(0)?, Group { slots: row.get(1)?, paused: row.get(2)? });
        }
        let mut find = connection.prepare_cached("SELECT grp, count(*) FROM tasks WHERE status = 1 GROUP BY grp")?;
        let running =
            find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<BTreeMap<_, _>>>()?;
        // The group without a name stands for all that have no slots of their own.
        let shared = own.remove("");
        Ok(Self {
            own,
            running,
            shared_slots: shared.as_ref().and_then(|group| group.slots).unwrap_or(SLOTS),
            all_paused: shared.is_some_and(|group| group.paused),
        })
    }

    fn running(&self, group: &str) -> u32 {
        self.running.get(group).copied().unwrap_or_default()
    }

    /// Shared slots that are free.
    fn free(&self) -> u32 {
        let has_own = |name: &str| self.own.get(name).is_some_and(|group| group.slots.is_some());
        let taken: u32 = self.running.iter().filter(|(name, _)| !has_own(name)).map(|(_, count)| count).sum();
        self.shared_slots.saturating_sub(taken)
    }
}
