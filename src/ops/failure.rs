//! Why an operation ended without a result.

use std::io;

use crate::error::{Error, RefusedAccess, plain};
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
        let refused = RefusedAccess::of(error).map(|refused| refused.remediation.as_str());
        let (code, remediation) = match error.kind() {
            io::ErrorKind::NotFound => (ErrorCode::NotFound, "Check the name and that it exists"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (ErrorCode::AuthorizationDenied, "Check the permissions of the file and of its folder")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                (ErrorCode::ServiceUnavailable, "Make room on the file system and run it again")
            }
            io::ErrorKind::NotADirectory => {
                (ErrorCode::CommandFailed, "Check the path: a part of it that should be a folder is a file")
            }
            io::ErrorKind::IsADirectory => (ErrorCode::CommandFailed, "Name a file; this is a folder"),
            io::ErrorKind::ResourceBusy => {
                (ErrorCode::CommandFailed, "End what uses it (a mount, another process) and run it again")
            }
            io::ErrorKind::InvalidFilename => (ErrorCode::CommandFailed, "Give a shorter name or path"),
            io::ErrorKind::CrossesDevices => {
                (ErrorCode::CommandFailed, "Give a destination on the same file system as the source")
            }
            _ => match error.raw_os_error() {
                Some(libc::ELOOP) => {
                    (ErrorCode::CommandFailed, "Check the symbolic links in the path: they lead round or are too many")
                }
                Some(libc::EIO) => (
                    ErrorCode::CommandFailed,
                    "Check the disk or the connection to the file system; the kernel's log says more",
                ),
                _ => {
                    (ErrorCode::CommandFailed, "Check that the file named and its file system can be used in this way")
                }
            },
        };
        let remediation = refused.unwrap_or(remediation);
        Self::new(code, format!("cannot {action}: {}", plain(error)), remediation).about(argument)
    }
}

/// What went wrong in runner itself ends an operation, too.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string(), error.remediation())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::Failure;

    #[test]
    fn what_the_system_refuses_has_advice_of_its_own() {
        let advice = |number: i32| match Failure::system("read x", "x", &io::Error::from_raw_os_error(number)) {
            Failure::Failed(failure) => failure.remediation,
            other => panic!("{other:?}"),
        };
        let mut all: Vec<String> = [
            libc::ENOTDIR,
            libc::EISDIR,
            libc::EBUSY,
            libc::ELOOP,
            libc::ENAMETOOLONG,
            libc::EIO,
            libc::EXDEV,
            libc::EINVAL,
        ]
        .map(advice)
        .to_vec();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8, "{all:#?}");
        assert!(all.iter().all(|text| !text.contains("See the message")), "{all:#?}");
    }
}
