//! The file that an operation writes for the user: one that appears when it is complete, or a stream that takes the bytes
//! as they come, such as a pipe, a device or standard output.
//!
//! Used by all operations that write one, so that all have the same rules.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::ops::new_file::NewFile;
use crate::ops::{Context, Failure, shown};
use crate::platform::descriptors::{self, Moved};
use crate::platform::files;
use crate::platform::folder::{self, Folder, Inode, inode};
use crate::platform::path_walk;

/// The name that means standard output.
const STDOUT: &str = "-";

/// Where the bytes go.
pub(super) struct Output {
    path: PathBuf,
    target: Target,
    /// The inodes that are written or will be replaced.
    own: Vec<Inode>,
    written: u64,
}

enum Target {
    /// Replaced as a whole.
    File { new: NewFile, folder: Folder, name: OsString, mode: u32 },
    /// A pipe, a device, standard output: what was written stays written.
    Stream(OwnedFd),
}

impl Output {
    pub(super) fn standard_output() -> Result<Self, Failure> {
        let stream = descriptors::duplicate(descriptors::stdout()).map_err(failure)?;
        Ok(Self { path: STDOUT.into(), target: Target::Stream(stream), own: Vec::new(), written: 0 })
    }

    /// Opens what the user named, which may be standard output.
    pub(super) fn named(path: &Path, context: &Context) -> Result<Self, Failure> {
        if path == Path::new(STDOUT) { Self::standard_output() } else { Self::open(path, context) }
    }

    pub(super) fn open(path: &Path, context: &Context) -> Result<Self, Failure> {
        let mut own = Vec::new();
        let target = if files::is_replaced(path) {
            Self::new_file(path, context, &mut own).map_err(|error| cannot_write(path, &error))?
        } else {
            let opened = descriptors::output(path, "Check that it may be written");
            Target::Stream(opened.map_err(|error| failure(error).about(shown::text(path)))?)
        };
        Ok(Self { path: path.to_owned(), target, own, written: 0 })
    }

    fn new_file(path: &Path, context: &Context, own: &mut Vec<Inode>) -> io::Result<Target> {
        let (folder, name) = path_walk::locate_file(path)?;
        path_walk::check_entry(&folder, &name)?;
        let new = NewFile::create(&folder, context)?;
        own.extend(fs::metadata(path).ok().as_ref().map(inode));
        own.push(inode(&new.file().metadata()?));
        let mode = folder.permissions(&name)?.unwrap_or_else(folder::mode_of_new_file);
        Ok(Target::File { new, folder, name, mode })
    }

    /// True where nothing can be taken back.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.target, Target::Stream(_))
    }

    /// True for the file that is written, and for the one that it will replace.
    pub(super) fn is_own(&self, metadata: &Metadata) -> bool {
        self.own.contains(&inode(metadata))
    }

    /// How many bytes were written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Writes all of it, with a failure that says where it could not be written.
    #[cfg(feature = "fetch")]
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write_all(bytes).map_err(|error| self.failure(&error))
    }

    /// What a failed write comes to.
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        if self.is_stream() && error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::ReaderGone;
        }
        cannot_write(&self.path, error)
    }

    /// Throws away what was written. False where that cannot be.
    #[cfg(feature = "fetch")]
    pub(super) fn start_over(&mut self) -> Result<bool, Failure> {
        let Target::File { new, .. } = &mut self.target else { return Ok(false) };
        let cleared = new.file().set_len(0).and_then(|()| new.file().rewind());
        self.written = 0;
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

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match &mut self.target {
            Target::File { new, .. } => new.file().write(bytes)?,
            Target::Stream(stream) => match descriptors::write_all(stream.as_fd(), bytes)? {
                Moved::Broken => return Err(io::ErrorKind::BrokenPipe.into()),
                Moved::Bytes(_) | Moved::WouldBlock => bytes.len(),
            },
        };
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
            io::copy(&mut whole, &mut files::open_in_place(path)?).map(drop)
        }
        other => other,
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let path = shown::text(path);
    Failure::system(&format!("write {path}"), path, error)
}

fn failure(error: Error) -> Failure {
    Failure::new(error.kind(), error.to_string(), error.remediation())
}
