//! How many tasks are over, by status and priority: kept as they end, since there may be millions.

use rusqlite::{Connection, params};

/// A task has just ended, and stands as it will.
pub(super) fn add(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    change(connection, seq, 1)
}

/// A task that is over is about to go, or to be queued again.
pub(super) fn take_out(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    change(connection, seq, -1)
}

fn change(connection: &Connection, seq: i64, by: i64) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE tally SET tasks = tasks + ?2 \
         WHERE (status, priority) = (SELECT status, priority FROM tasks WHERE seq = ?1)",
    )?;
    update.execute(params![seq, by]).map(drop)
}
