//! Why an operation ended without a result.

use std::io;

use crate::error::plain;
use crate::model::envelope::ErrorCode;
use crate::model::outcome::OperationFailure;

/// The end of an operation that has no result.
#[derive(Debug)]
pub enum Failure {
    /// It was told to stop, and has cleaned up.
    Cancelled,
    /// Whoever reads its output went away.
    ReaderGone,
    Failed(OperationFailure),
}

impl Failure {
    /// A failure with its message (a fragment that names the thing) and what to do about it (a sentence).
    pub fn new(code: ErrorCode, message: impl Into<String>, remediation: impl Into<String>) -> Self {
        Self::Failed(OperationFailure {
            code,
            message: message.into(),
            remediation: remediation.into(),
            argument: None,
        })
    }

    /// The same, about this parameter, file or address.
    pub fn about(self, argument: impl Into<String>) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(OperationFailure { argument: Some(argument.into()), ..failure }),
            other => other,
        }
    }

    /// The operating system refused `action`, such as "read /etc/shadow".
    pub fn system(action: &str, argument: impl Into<String>, error: &io::Error) -> Self {
        let (code, remediation) = match error.kind() {
            io::ErrorKind::NotFound => (ErrorCode::NotFound, "Check the name and that it exists"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (ErrorCode::AuthorizationDenied, "Check the permissions of the file and of its folder")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                (ErrorCode::ServiceUnavailable, "Make room on the file system and run it again")
            }
            _ => (ErrorCode::CommandFailed, "See the message for the reason"),
        };
        Self::new(code, format!("cannot {action}: {}", plain(error)), remediation).about(argument)
    }
}
