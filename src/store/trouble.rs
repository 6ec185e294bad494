//! What SQLite reports, in our words: what was being done, what went wrong, and what helps.

use rusqlite::ErrorCode;

use crate::error::Error;

/// For `map_err`: `action` failed, as in "failed to read the store".
pub(super) fn store(action: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| of(action, &error)
}

/// Another process holds the store.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn of(action: &'static str, error: &rusqlite::Error) -> Error {
    let (reason, remediation) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ("the disk is full", "Make room on the disk that holds the store, then try again"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            ("another process keeps it locked", "Try again; see who has the store open if it stays so")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            ("it may not be written", "Check who owns the folder of the store, and whether its disk is read-only")
        }
        Some(ErrorCode::CannotOpen) => {
            ("it cannot be opened", "Check that the folder of the store may be written, or set RUNNER_STATE_DIR")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            ("it is damaged", "Move its folder away, and keep it: 'sqlite3 queue.db .recover' may read what is left")
        }
        Some(ErrorCode::SystemIoFailure) => ("the disk reports an error", "Check the disk that holds the store"),
        _ => {
            let message = format!("failed to {action}: {error}");
            return Error::Internal(message);
        }
    };
    Error::Unavailable { message: format!("failed to {action}: {reason}"), remediation: remediation.to_owned() }
}
