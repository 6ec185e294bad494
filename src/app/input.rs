//! The standard input of a job that may be tried again: each attempt must find in it what the first one did.
//!
//! Looked at before anything starts. A file that we were given is read again from where it stood; what can be read only
//! once is refused.

use crate::error::{Error, Result};
use crate::model::job::Stdin;
use crate::platform::descriptors::{self, Kind};

/// How each attempt gets the same input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// It does by itself.
    Same,
    /// Ours is read from there each time.
    From(u64),
}

impl Input {
    /// For a job that is tried again.
    pub(super) fn of_several(stdin: &Stdin) -> Result<Self> {
        match stdin {
            Stdin::Null => Ok(Self::Same),
            Stdin::File(path) if descriptors::is_fifo(path) => Err(only_once(&path.display().to_string())),
            Stdin::File(_) => Ok(Self::Same),
            Stdin::Inherit => match descriptors::kind(descriptors::stdin()) {
                Kind::Pipe | Kind::Socket => Err(only_once("standard input")),
                Kind::Prompt | Kind::Slow => {
                    Ok(descriptors::position(descriptors::stdin()).map_or(Self::Same, Self::From))
                }
            },
        }
    }

    /// Another attempt begins.
    pub(super) fn rewind(self) -> Result<()> {
        match self {
            Self::Same => Ok(()),
            Self::From(position) => descriptors::go_to(descriptors::stdin(), position),
        }
    }
}

fn only_once(what: &str) -> Error {
    Error::Invalid {
        argument: Some("--stdin".to_owned()),
        message: format!("{what} is a pipe, and with --retries a second attempt would find it empty"),
        remediation: "Give --stdin null where the job reads nothing, or --stdin FILE with what it reads".to_owned(),
    }
}
