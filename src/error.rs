//! Everything that can go wrong in runner itself, each with a stable kind, an exit code and a way out.
//!
//! What a job does wrong is no error of ours: that is an `Outcome`. Messages are fragments that name the thing.

use std::io;
use std::path::PathBuf;

use crate::model::envelope::{Details, ErrorBody, ErrorCode};
use crate::model::exit_code;
use crate::model::secrets::Secrets;

pub type Result<T> = std::result::Result<T, Error>;

/// An error of runner's own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option, variable or file content that makes no sense. `argument` is what to look at.
    #[error("{message}")]
    Invalid { argument: Option<String>, message: String, remediation: String },
    /// A file or folder that was named and cannot be used.
    #[error("cannot {action} {}: {}", path.display(), plain(source))]
    Path { action: &'static str, path: PathBuf, source: io::Error, remediation: String },
    /// The program of the job does not exist.
    #[error("{message}")]
    CommandNotFound { message: String, remediation: String },
    /// The program of the job exists and cannot be executed.
    #[error("{message}")]
    CannotRun { message: String, remediation: String },
    /// Somebody else holds or did what may be held or done once only.
    #[error("{message}")]
    Conflict { message: String, remediation: String },
    /// Something that was asked for does not exist.
    #[error("{message}")]
    Missing { message: String, remediation: String },
    /// Something that we need is out of order just now.
    #[error("{message}")]
    Unavailable { message: String, remediation: String },
    /// Descriptors, processes or memory are short. `limit` says which limit is reached.
    #[error("{message}")]
    Shortage { message: String, limit: String, remediation: String, source: io::Error },
    /// The operating system refused something that we need.
    #[error("failed to {action}: {}", plain(source))]
    System { action: &'static str, source: io::Error },
    /// A promise that we made to ourselves was broken.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// For `map_err`: the operating system refused `action`.
    pub fn system<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { action, source: source.into() }
    }

    /// For `map_err`: `action` on `path` failed, and `remediation` is what helps.
    pub fn path<E: Into<io::Error>>(
        action: &'static str,
        path: impl Into<PathBuf>,
        remediation: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Path { action, path: path.into(), source: source.into(), remediation: remediation.into() }
    }

    /// The kind that programs may rely on.
    pub fn kind(&self) -> ErrorCode {
        match self {
            Self::Invalid { .. } => ErrorCode::ValidationError,
            Self::CommandNotFound { .. } => ErrorCode::NotFound,
            Self::CannotRun { .. } => ErrorCode::AuthorizationDenied,
            Self::Conflict { .. } => ErrorCode::Conflict,
            Self::Missing { .. } => ErrorCode::NotFound,
            Self::Unavailable { .. } | Self::Shortage { .. } => ErrorCode::ServiceUnavailable,
            Self::Path { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ErrorCode::NotFound,
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorCode::AuthorizationDenied,
                _ => ErrorCode::ValidationError,
            },
            Self::System { source, .. } => match source.raw_os_error() {
                Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => ErrorCode::ServiceUnavailable,
                _ => ErrorCode::InternalError,
            },
            Self::Internal(_) => ErrorCode::InternalError,
        }
    }

    /// The exit code of `exec` and its kin.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::CommandNotFound { .. } => exit_code::NOT_FOUND,
            Self::CannotRun { .. } => exit_code::CANNOT_RUN,
            _ => exit_code::RUNNER_FAILED,
        }
    }

    /// What to do next.
    pub fn remediation(&self) -> String {
        match self {
            Self::Path { source, remediation, .. } => {
                RefusedAccess::of(source).map_or_else(|| remediation.clone(), |refused| refused.remediation.clone())
            }
            Self::Invalid { remediation, .. }
            | Self::CommandNotFound { remediation, .. }
            | Self::CannotRun { remediation, .. }
            | Self::Conflict { remediation, .. }
            | Self::Missing { remediation, .. }
            | Self::Unavailable { remediation, .. }
            | Self::Shortage { remediation, .. } => remediation.clone(),
            Self::System { source, .. } => match source.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE) => {
                    "Raise the limit of open files (ulimit -n) and try again".to_owned()
                }
                Some(libc::EAGAIN | libc::ENOMEM) => {
                    "Raise the limit on processes (ulimit -u, pids.max) or memory (ulimit -v), or try again when others \
                     have ended"
                        .to_owned()
                }
                _ => "This is a limit of the system that runner runs on; see the message".to_owned(),
            },
            Self::Internal(_) => "This is a bug in runner; please report it with the command line".to_owned(),
        }
    }

    /// Masks these values in the path, for callers that do not mask the envelope.
    #[must_use]
    pub fn masked(self, secrets: &Secrets) -> Self {
        match self {
            Self::Path { action, path, source, remediation } if !secrets.is_empty() => {
                let path = secrets.mask_text(&path.to_string_lossy()).into_owned().into();
                Self::Path { action, path, source, remediation }
            }
            other => other,
        }
    }

    /// The error as it stands in an envelope.
    pub fn body(&self) -> ErrorBody {
        let mut details = Details::default();
        match self {
            Self::Invalid { argument, .. } => details.argument.clone_from(argument),
            Self::Path { path, source, .. } => {
                details.argument = Some(path.display().to_string());
                details.os_error = Some(plain(source));
            }
            Self::System { source, .. } | Self::Shortage { source, .. } => details.os_error = Some(plain(source)),
            Self::CommandNotFound { .. }
            | Self::CannotRun { .. }
            | Self::Conflict { .. }
            | Self::Missing { .. }
            | Self::Unavailable { .. }
            | Self::Internal(_) => {}
        }
        ErrorBody { code: self.kind(), message: self.to_string(), details, remediation: self.remediation() }
    }
}

/// Access that the kernel may allow but runner refuses. The inner error of an `io::Error`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct RefusedAccess {
    pub message: String,
    pub remediation: String,
}

impl RefusedAccess {
    /// The refusal inside of an error.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// The error of the system without Rust's "(os error 2)".
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
