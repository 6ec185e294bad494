//! Identifiers unlike any other, ordered by time: of requests, runs, tasks and temporary files.
//!
//! The only caller of `Uuid::now_v7`, which panics where the clock of the machine stands before 1970.

use std::time::SystemTime;

use uuid::{Timestamp, Uuid};

/// A new identifier.
#[expect(clippy::disallowed_methods, reason = "the clock is part of the identifier, and nothing is decided by it")]
pub fn unique_id() -> Uuid {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(_) => Uuid::now_v7(),
        // Without the order, and still unlike any other: the rest of it is random.
        Err(_) => Uuid::new_v7(Timestamp::from_unix_time(0, 0, 0, 0)),
    }
}
