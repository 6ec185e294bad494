//! The versions of the store, and how one becomes the next.
//!
//! A version is a file of statements that turns the one before into it, and its line in `MIGRATIONS`; what was released
//! never changes. The version is SQLite's `user_version`.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, Result};
use crate::store::trouble::store;

/// From each version to the next, beginning with none.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")];

/// The version that this program writes.
pub(super) const CURRENT: u32 = MIGRATIONS.len() as u32;

/// The version of this program.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Brings an older store to the present version, with all that it holds. A newer one is refused.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    if version(connection)? == CURRENT {
        return Ok(());
    }
    // Somebody else may be doing the same: whoever comes second finds it done.
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store("open the store"))?;
    let found = version(&transaction)?;
    let Some(steps) = MIGRATIONS.get(found as usize..) else { return Err(newer(&transaction, found)) };
    for step in steps {
        transaction.execute_batch(step).map_err(store("bring the store to this version"))?;
    }
    transaction.pragma_update(None, "user_version", CURRENT).map_err(store("bring the store to this version"))?;
    transaction
        .execute("INSERT OR REPLACE INTO settings (name, value) VALUES ('program', ?1)", [OWN_VERSION])
        .map_err(store("bring the store to this version"))?;
    transaction.commit().map_err(store("bring the store to this version"))
}

/// False where the store has no version yet, and so nothing in it. A newer one than ours is refused.
pub(super) fn check(connection: &Connection) -> Result<bool> {
    match version(connection)? {
        0 => Ok(false),
        found if found <= CURRENT => Ok(true),
        found => Err(newer(connection, found)),
    }
}

fn version(connection: &Connection) -> Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(store("read the store"))
}

/// Every version has the table of settings, so an older program can read which version wrote the store.
fn newer(connection: &Connection, found: u32) -> Error {
    let query = "SELECT value FROM settings WHERE name = 'program'";
    let program: Option<String> = connection.query_row(query, [], |row| row.get(0)).ok();
    let by =
        program.filter(|name| name != OWN_VERSION).map_or("a newer runner".to_owned(), |name| format!("runner {name}"));
    Error::Conflict {
        message: format!(
            "the store has version {found}, written by {by}; this is runner {OWN_VERSION}, which supports up to \
             version {CURRENT}"
        ),
        remediation: format!(
            "Use {by} for this queue, or set RUNNER_STATE_DIR to another directory. To stop a worker of this version \
             that is still running, use 'runner worker stop', which works with any store version"
        ),
    }
}
