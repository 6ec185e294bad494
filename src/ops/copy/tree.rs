//! Carries a plan out: walks the sources, makes folders, links and files, and sets the modes and times of folders last.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::content::{self, Stop, Ways};
use super::plan::{Place, Plan};
use super::{Tally, inode};
use crate::ops::new_file::{self, NewFile};
use crate::ops::{Context, Failure};
use crate::platform::file_copy;
use crate::platform::folder::{self, Folder, Kind, Times};

/// The work and what it learned.
struct Work<'a> {
    tally: &'a mut Tally,
    context: &'a mut Context,
    ways: Ways,
    /// The file system that is written to at present.
    device: u64,
    /// Where a file with more than one name was first copied to.
    first_names: HashMap<(u64, u64), (PathBuf, OsString, (u64, u64))>,
}

/// Carries it out. Entries that fail are in the tally; what fails here is the end.
pub(super) fn carry_out(plan: &Plan, tally: &mut Tally, context: &mut Context) -> Result<(), Failure> {
    let mut work = Work { tally, context, ways: Ways::default(), device: 0, first_names: HashMap::new() };
    for step in &plan.steps {
        let open = |path: &Path| {
            let failure =
                |error| Failure::system(&format!("write to {}", path.display()), path.display().to_string(), &error);
            Folder::open(path).map_err(failure)
        };
        match &step.place {
            Place::Named { folder, name } => work.entry(&step.source, step.kind, &open(folder)?, name)?,
            Place::Merged(folder) => work.folder(&step.source, &open(folder)?)?,
            Place::Poured(target) => work.pour(&step.source, target)?,
        }
    }
    Ok(())
}

impl Work<'_> {
    /// Copies one entry, of whatever kind.
    fn entry(&mut self, source: &Path, kind: FileType, to: &Folder, name: &OsStr) -> Result<(), Failure> {
        self.context.check()?;
        if kind.is_dir() {
            return match make_folder(to, name) {
                Ok(folder) => self.folder(source, &folder),
                Err(error) => self.tally.trouble("make the folder", &to.path().join(name), error),
            };
        }
        source.clone_into(&mut self.tally.current);
        let done = if kind.is_symlink() {
            self.link(source, to, name)
        } else if kind.is_file() {
            self.file(source, to, name)
        } else {
            Err(io::Error::other("it is a FIFO, a socket or a device").into())
        };
        match done {
            Ok(()) => self.tally.files_done += 1,
            Err(Stop::Broken(error)) => self.tally.trouble("copy", source, error)?,
            Err(Stop::Over(failure)) => return Err(failure),
        }
        self.tally.advance(0, self.context)
    }

    /// Copies what is in a folder, and then its mode and times.
    fn folder(&mut self, source: &Path, to: &Folder) -> Result<(), Failure> {
        let device = match to.device() {
            Ok(device) => device,
            Err(error) => return self.tally.trouble("write to", to.path(), error),
        };
        let entries = match fs::read_dir(source) {
            Ok(entries) => entries,
            Err(error) => return self.tally.trouble("read", source, error),
        };
        let outer = std::mem::replace(&mut self.device, device);
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) => self.entry(&entry.path(), kind, to, &entry.file_name())?,
                Err(error) => {
                    self.tally.trouble("read", source, error)?;
                    break;
                }
            }
        }
        self.device = outer;
        let finish = |metadata| to.finish(mode_of(&metadata), Some(&Times::of(&metadata)));
        let done = fs::symlink_metadata(source.join(".")).and_then(finish);
        done.or_else(|error| self.tally.trouble("set mode and times of the copy of", source, error))
    }

    /// Copies a symbolic link.
    fn link(&mut self, source: &Path, to: &Folder, name: &OsStr) -> Result<(), Stop> {
        let metadata = fs::symlink_metadata(source)?;
        if self.another_name(&metadata, to, name)? {
            return Ok(());
        }
        let target = fs::read_link(source)?;
        new_file::put(to, name, self.context, |name| {
            to.make_link(name, &target)?;
            to.set_link_times(name, &Times::of(&metadata))
        })?;
        self.remember(&metadata, to, name);
        Ok(())
    }

    /// Copies a regular file.
    fn file(&mut self, source: &Path, to: &Folder, name: &OsStr) -> Result<(), Stop> {
        let from = file_copy::open_source(source)?;
        let metadata = from.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it changed while it was copied").into());
        }
        if self.another_name(&metadata, to, name)? {
            return Ok(self.tally.advance(metadata.len(), self.context)?);
        }
        // It would be found out in the end anyway; for a long file that is late.
        if metadata.len() > content::PIECE && to.kind(name)? == Some(Kind::Folder) {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        let new = NewFile::create(to, self.context)?;
        let pair = (metadata.dev(), self.device);
        self.ways.copy(&from, &metadata, new.file(), pair, self.tally, self.context)?;
        folder::set_mode(new.file(), mode_of(&metadata), Some(&metadata))?;
        folder::set_times(new.file(), &Times::of(&metadata))?;
        new.publish(to, name, self.context)?;
        self.remember(&metadata, to, name);
        Ok(())
    }

    /// Links to the copy of another name of the same file. False: there is none yet.
    fn another_name(&self, metadata: &Metadata, to: &Folder, name: &OsStr) -> io::Result<bool> {
        let Some((folder, first, copy)) = self.first_names.get(&inode(metadata)) else { return Ok(false) };
        // Another source of the same name may have replaced it since.
        if fs::symlink_metadata(folder.join(first)).map(|there| inode(&there)).ok() != Some(*copy) {
            return Ok(false);
        }
        let linked = Folder::open(folder)
            .and_then(|folder| new_file::put(to, name, self.context, |name| to.link_from(name, &folder, first)));
        match linked {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Err(error),
            // Too many links, or two file systems: then it is a file of its own.
            other => Ok(other.is_ok()),
        }
    }

    fn remember(&mut self, metadata: &Metadata, to: &Folder, name: &OsStr) {
        if metadata.nlink() > 1
            && let Ok(copy) = fs::symlink_metadata(to.path().join(name))
        {
            let place = (to.path().to_owned(), name.to_owned(), inode(&copy));
            self.first_names.insert(inode(metadata), place);
        }
    }

    fn pour(&mut self, source: &Path, target: &Path) -> Result<(), Failure> {
        source.clone_into(&mut self.tally.current);
        let done = file_copy::open_source(source).map_err(Stop::from).and_then(|from| {
            let to = File::options().write(true).open(target)?;
            content::pour(&from, &to, self.tally, self.context)
        });
        match done {
            Ok(()) => {
                self.tally.files_done += 1;
                Ok(())
            }
            Err(Stop::Broken(error)) => self.tally.trouble("copy", source, error),
            Err(Stop::Over(failure)) => Err(failure),
        }
    }
}

/// A folder under this name, made or found.
fn make_folder(to: &Folder, name: &OsStr) -> io::Result<Folder> {
    match to.make(name) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => to.open_below(name),
    }
}

/// All of the permission bits.
fn mode_of(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}
