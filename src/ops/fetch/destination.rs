//! Where a download goes: a file that appears when it is complete, or a stream that takes the bytes as they come.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::ops::context::Scratch;
use crate::ops::{Context, Failure};
use crate::platform::descriptors::{self, Moved};
use crate::platform::files;
use crate::platform::unnamed::Unnamed;

/// Where the bytes go.
pub(super) enum Destination {
    /// Replaced as a whole.
    File { path: PathBuf, unnamed: Unnamed, scratch: Scratch },
    /// A pipe, a device, standard output: what was written stays written.
    Stream { path: PathBuf, stream: OwnedFd },
}

impl Destination {
    pub(super) fn standard_output() -> Result<Self, Failure> {
        let stream = descriptors::duplicate(descriptors::stdout()).map_err(failure)?;
        Ok(Self::Stream { path: "-".into(), stream })
    }

    pub(super) fn open(path: &Path, context: &Context) -> Result<Self, Failure> {
        if !files::is_replaced(path) {
            let stream = descriptors::output(path, "Check that --output may be written").map_err(failure)?;
            return Ok(Self::Stream { path: path.to_owned(), stream });
        }
        let unnamed = Unnamed::to_replace(path).map_err(|error| cannot_write(path, &error))?;
        let scratch = context.scratch(unnamed.temporary());
        Ok(Self::File { path: path.to_owned(), unnamed, scratch })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::File { path, unnamed, .. } => {
                unnamed.file().write_all(bytes).map_err(|error| cannot_write(path, &error))
            }
            Self::Stream { path, stream } => match descriptors::write_all(stream.as_fd(), bytes) {
                Ok(Moved::Broken) => Err(Failure::ReaderGone),
                Ok(Moved::Bytes(_) | Moved::WouldBlock) => Ok(()),
                Err(error) => Err(cannot_write(path, &error)),
            },
        }
    }

    /// Throws away what was written. False where that cannot be.
    pub(super) fn start_over(&mut self) -> Result<bool, Failure> {
        match self {
            Self::File { path, unnamed, .. } => {
                unnamed.clear().map_err(|error| cannot_write(path, &error))?;
                Ok(true)
            }
            Self::Stream { .. } => Ok(false),
        }
    }

    /// Everything was written.
    pub(super) fn complete(self) -> Result<(), Failure> {
        if let Self::File { path, unnamed, scratch } = self {
            unnamed.commit().map_err(|error| cannot_write(&path, &error))?;
            scratch.keep();
        }
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display().to_string();
    Failure::system(&format!("write {path}"), path, error)
}

fn failure(error: Error) -> Failure {
    Failure::new(error.kind(), error.to_string(), error.remediation())
}
