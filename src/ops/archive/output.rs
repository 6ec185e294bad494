//! Where an archive is written to: a new file that gets its name in the end, or something that must not be replaced,
//! such as a pipe or a device.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::ops::new_file::NewFile;
use crate::ops::{Context, Failure};
use crate::platform::files;
use crate::platform::folder::{self, Folder};

/// The file that is written.
pub(super) struct Output {
    path: PathBuf,
    target: Target,
    /// The inodes that are ours, and never go into the archive.
    own: Vec<(u64, u64)>,
}

enum Target {
    New { file: NewFile, folder: Folder, name: OsString, mode: u32 },
    Special(File),
}

impl Output {
    pub(super) fn create(path: &Path, context: &Context) -> Result<Self, Failure> {
        let mut own = Vec::new();
        let target = Self::target(path, context, &mut own).map_err(|error| failure(path, &error))?;
        Ok(Self { path: path.to_owned(), target, own })
    }

    fn target(path: &Path, context: &Context, own: &mut Vec<(u64, u64)>) -> io::Result<Target> {
        let there = fs::metadata(path).ok();
        if there.as_ref().is_some_and(Metadata::is_dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            return Ok(Target::Special(File::options().write(true).open(path)?));
        }
        let resolved = files::resolve(path)?;
        let name = resolved.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
        let folder = Folder::open(resolved.parent().unwrap_or(Path::new(".")))?;
        let file = NewFile::create(&folder, context)?;
        own.extend(there.as_ref().map(inode));
        own.push(inode(&file.file().metadata()?));
        let mode = there.map_or_else(folder::mode_of_new_file, |there| there.mode() & 0o777);
        Ok(Target::New { file, folder, name, mode })
    }

    pub(super) fn file(&self) -> &File {
        match &self.target {
            Target::New { file, .. } => file.file(),
            Target::Special(file) => file,
        }
    }

    /// True for the file that is written, and for the one that it will replace.
    pub(super) fn is_own(&self, metadata: &Metadata) -> bool {
        self.own.contains(&inode(metadata))
    }

    /// It is complete. Returns its size.
    pub(super) fn publish(self, context: &Context) -> Result<u64, Failure> {
        let done = match self.target {
            Target::New { file, folder, name, mode } => {
                let set = folder::set_mode(file.file(), mode, None).and_then(|()| file.file().metadata());
                set.and_then(|metadata| file.publish(&folder, &name, context).map(|()| metadata.len()))
            }
            Target::Special(file) => file.metadata().map(|metadata| metadata.len()),
        };
        done.map_err(|error| failure(&self.path, &error))
    }

    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        failure(&self.path, error)
    }
}

fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::system(&format!("write {}", path.display()), path.display().to_string(), error)
}
