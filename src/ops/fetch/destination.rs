//! Where a download goes: a file that appears when it is complete, or a stream that takes the bytes as they come.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::ops::new_file::NewFile;
use crate::ops::{Context, Failure};
use crate::platform::descriptors::{self, Moved};
use crate::platform::files;
use crate::platform::folder::{self, Folder};

/// Where the bytes go.
pub(super) struct Destination {
    path: PathBuf,
    target: Target,
}

enum Target {
    /// Replaced as a whole.
    File { new: NewFile, folder: Folder, name: OsString, mode: u32 },
    /// A pipe, a device, standard output: what was written stays written.
    Stream(OwnedFd),
}

impl Destination {
    pub(super) fn standard_output() -> Result<Self, Failure> {
        let stream = descriptors::duplicate(descriptors::stdout()).map_err(failure)?;
        Ok(Self { path: "-".into(), target: Target::Stream(stream) })
    }

    pub(super) fn open(path: &Path, context: &Context) -> Result<Self, Failure> {
        let target = if files::is_replaced(path) {
            Self::new_file(path, context).map_err(|error| cannot_write(path, &error))?
        } else {
            Target::Stream(descriptors::output(path, "Check that --output may be written").map_err(failure)?)
        };
        Ok(Self { path: path.to_owned(), target })
    }

    fn new_file(path: &Path, context: &Context) -> io::Result<Target> {
        let resolved = files::resolve(path)?;
        let name = resolved.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
        let folder = Folder::open(resolved.parent().unwrap_or(Path::new(".")))?;
        let new = NewFile::create(&folder, context)?;
        let mode = fs::metadata(path).map_or_else(|_| folder::mode_of_new_file(), |there| there.mode() & 0o777);
        Ok(Target::File { new, folder, name, mode })
    }

    /// True where nothing can be taken back.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.target, Target::Stream(_))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.target {
            Target::File { new, .. } => new.file().write_all(bytes),
            Target::Stream(stream) => match descriptors::write_all(stream.as_fd(), bytes) {
                Ok(Moved::Broken) => return Err(Failure::ReaderGone),
                Ok(Moved::Bytes(_) | Moved::WouldBlock) => Ok(()),
                Err(error) => Err(error),
            },
        };
        written.map_err(|error| cannot_write(&self.path, &error))
    }

    /// Throws away what was written. False where that cannot be.
    pub(super) fn start_over(&mut self) -> Result<bool, Failure> {
        let Target::File { new, .. } = &mut self.target else { return Ok(false) };
        let cleared = new.file().set_len(0).and_then(|()| new.file().rewind());
        cleared.map(|()| true).map_err(|error| cannot_write(&self.path, &error))
    }

    /// Everything was written.
    pub(super) fn complete(self, context: &Context) -> Result<(), Failure> {
        match self.target {
            Target::File { new, folder, name, mode } => publish(&self.path, new, &folder, &name, mode, context)
                .map_err(|error| cannot_write(&self.path, &error)),
            Target::Stream(_) => Ok(()),
        }
    }
}

fn publish(
    path: &Path,
    new: NewFile,
    folder: &Folder,
    name: &OsString,
    mode: u32,
    context: &Context,
) -> io::Result<()> {
    folder::set_mode(new.file(), mode, None)?;
    let mut whole = new.file().try_clone()?;
    match new.publish(folder, name, context) {
        // A file that is a mount point of its own, as containers make them, can only be written in place.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            whole.rewind()?;
            io::copy(&mut whole, &mut File::create(path)?).map(drop)
        }
        other => other,
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let path = path.display().to_string();
    Failure::system(&format!("write {path}"), path, error)
}

fn failure(error: Error) -> Failure {
    Failure::new(error.kind(), error.to_string(), error.remediation())
}
