//! Carries a plan out: walks the sources, makes folders, links and files, and sets the modes and times of folders last.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::content::{self, Stop, Ways};
use super::plan::{Place, Plan};
use super::{Tally, Trouble};
use crate::ops::new_file::{self, NewFile};
use crate::ops::output::Output;
use crate::ops::{Context, Failure, shown};
use crate::platform::file_copy;
use crate::platform::folder::{self, Folder, Inode, Times, inode};
use crate::platform::path_walk;

/// The work and what it learned.
struct Work<'a> {
    tally: &'a mut Tally,
    context: &'a mut Context,
    ways: Ways,
    /// The file system that is written to at present.
    device: u64,
    /// What was made of which source, where there are several: they may meet under one name. None: there is one alone,
    /// and a tree has no name twice.
    made: Option<HashMap<Inode, PathBuf>>,
    /// Where a file with more than one name was first copied to.
    first_names: HashMap<Inode, FirstName>,
}

/// The first copy of a file that has more names than one.
struct FirstName {
    folder: PathBuf,
    name: OsString,
    copy: Inode,
}

/// Carries it out. Entries that fail are in the tally; what fails here is the end.
pub(super) fn carry_out(plan: &Plan, tally: &mut Tally, context: &mut Context) -> Result<(), Failure> {
    let mut work = Work {
        tally,
        context,
        ways: Ways::default(),
        device: 0,
        made: (plan.steps.len() > 1).then(HashMap::new),
        first_names: HashMap::new(),
    };
    for step in &plan.steps {
        let open = |path: &Path| {
            Folder::open(path).map_err(|error| {
                let path = shown::text(path);
                Failure::system(&format!("write to {path}"), path, &error)
            })
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
                Err(error) => self.trouble("make the folder", &to.path().join(name), error),
            };
        }
        source.clone_into(&mut self.tally.current);
        let done = self.refuse_own(to, name).and_then(|()| {
            if kind.is_symlink() {
                self.link(source, to, name)
            } else if kind.is_file() {
                self.file(source, to, name)
            } else {
                Err(Stop::Source(io::Error::other("it is a FIFO, a socket or a device")))
            }
        });
        let target = || to.path().join(name);
        if let (Ok(()), Some(made)) = (&done, &mut self.made)
            && let Ok(metadata) = fs::symlink_metadata(target())
        {
            made.insert(inode(&metadata), source.to_owned());
        }
        self.ended(done, source, target)
    }

    /// Takes down what became of one file or link.
    fn ended(&mut self, done: Result<(), Stop>, source: &Path, target: impl Fn() -> PathBuf) -> Result<(), Failure> {
        match done {
            Ok(()) => self.tally.files_done += 1,
            Err(Stop::Source(error)) => self.trouble("copy", source, error)?,
            Err(Stop::Destination(error)) => {
                let about = target();
                let action = format!("copy {} to {}", shown::text(source), shown::text(&about));
                self.tally.trouble(source, Trouble { action, about, error })?;
            }
            Err(Stop::Over(failure)) => return Err(failure),
        }
        self.tally.advance(0, self.context)
    }

    /// Something could not be done with this path.
    fn trouble(&mut self, action: &str, path: &Path, error: io::Error) -> Result<(), Failure> {
        let action = format!("{action} {}", shown::text(path));
        self.tally.trouble(path, Trouble { action, about: path.to_owned(), error })
    }

    /// Refuses a name under which another source has just been copied.
    fn refuse_own(&self, to: &Folder, name: &OsStr) -> Result<(), Stop> {
        let Some(made) = &self.made else { return Ok(()) };
        let there = fs::symlink_metadata(to.path().join(name)).ok();
        let Some(earlier) = there.and_then(|there| made.get(&inode(&there))) else { return Ok(()) };
        let message = format!("{} has just been copied there", shown::text(earlier));
        Err(Stop::Destination(io::Error::new(io::ErrorKind::AlreadyExists, message)))
    }

    /// Copies what is in a folder, and then its mode and times.
    fn folder(&mut self, source: &Path, to: &Folder) -> Result<(), Failure> {
        let device = match to.device() {
            Ok(device) => device,
            Err(error) => return self.trouble("write to", to.path(), error),
        };
        let entries = match path_walk::check_parents(source).and_then(|()| fs::read_dir(source)) {
            Ok(entries) => entries,
            Err(error) => return self.trouble("read", source, error),
        };
        let outer = std::mem::replace(&mut self.device, device);
        to.make_writable();
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) => self.entry(&entry.path(), kind, to, &entry.file_name())?,
                Err(error) => {
                    self.trouble("read", source, error)?;
                    break;
                }
            }
        }
        self.device = outer;
        let finish = |metadata| to.finish(mode_of(&metadata), Some(&Times::of(&metadata)));
        let done = fs::symlink_metadata(source.join(".")).and_then(finish);
        done.or_else(|error| self.trouble("set mode and times of the copy of", source, error))
    }

    /// Copies a symbolic link.
    fn link(&mut self, source: &Path, to: &Folder, name: &OsStr) -> Result<(), Stop> {
        let metadata = fs::symlink_metadata(source).map_err(Stop::Source)?;
        if self.another_name(&metadata, to, name).map_err(Stop::Destination)? {
            return Ok(());
        }
        let target = fs::read_link(source).map_err(Stop::Source)?;
        let made = new_file::put(to, name, self.context, |name| {
            to.make_link(name, &target)?;
            to.set_link_times(name, &Times::of(&metadata))
        });
        made.map_err(Stop::Destination)?;
        self.remember(&metadata, to, name);
        Ok(())
    }

    /// Copies a regular file.
    fn file(&mut self, source: &Path, to: &Folder, name: &OsStr) -> Result<(), Stop> {
        let opened = file_copy::open_source(source).and_then(|from| Ok((from.metadata()?, from)));
        let (metadata, from) = opened.map_err(Stop::Source)?;
        if !metadata.is_file() {
            return Err(Stop::Source(io::Error::other("it changed while it was copied")));
        }
        if self.another_name(&metadata, to, name).map_err(Stop::Destination)? {
            return Ok(self.tally.advance(metadata.len(), self.context)?);
        }
        // It would be found out in the end anyway; for a long file that is late.
        if metadata.len() > content::PIECE {
            new_file::refuse_irreplaceable(to, name).map_err(Stop::Destination)?;
        }
        let new = NewFile::create(to, self.context).map_err(Stop::Destination)?;
        let pair = (metadata.dev(), self.device);
        self.ways.copy(&from, &metadata, new.file(), pair, self.tally, self.context)?;
        let published = folder::set_mode(new.file(), mode_of(&metadata), Some(&metadata))
            .and_then(|()| folder::set_times(new.file(), &Times::of(&metadata)))
            .and_then(|()| new.publish(to, name, self.context));
        published.map_err(Stop::Destination)?;
        self.remember(&metadata, to, name);
        Ok(())
    }

    /// Links to the copy of another name of the same file. False: there is none yet.
    fn another_name(&self, metadata: &Metadata, to: &Folder, name: &OsStr) -> io::Result<bool> {
        let Some(FirstName { folder, name: first, copy }) = self.first_names.get(&inode(metadata)) else {
            return Ok(false);
        };
        // Another source of the same name may have replaced it since.
        if fs::symlink_metadata(folder.join(first)).map(|there| inode(&there)).ok() != Some(*copy) {
            return Ok(false);
        }
        let linked = Folder::open(folder)
            .and_then(|folder| new_file::put(to, name, self.context, |name| to.link_from(name, &folder, first)));
        match linked {
            // Not what may be replaced: then a file of its own would fail likewise.
            Err(error) if new_file::refuse_irreplaceable(to, name).is_err() => Err(error),
            // Too many links, or two file systems: then it is a file of its own.
            other => Ok(other.is_ok()),
        }
    }

    fn remember(&mut self, metadata: &Metadata, to: &Folder, name: &OsStr) {
        if metadata.nlink() > 1
            && let Ok(copy) = fs::symlink_metadata(to.path().join(name))
        {
            let place = FirstName { folder: to.path().to_owned(), name: name.to_owned(), copy: inode(&copy) };
            self.first_names.insert(inode(metadata), place);
        }
    }

    fn pour(&mut self, source: &Path, target: &Path) -> Result<(), Failure> {
        source.clone_into(&mut self.tally.current);
        let mut to = Output::open(target, self.context)?;
        let from = file_copy::open_source(source).map_err(Stop::Source);
        let done = from.and_then(|from| content::pour(&from, &mut to, self.tally, self.context));
        match done {
            Err(Stop::Destination(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(to.failure(&error)),
            Ok(()) => to.complete(self.context).and_then(|()| self.ended(Ok(()), source, || target.to_owned())),
            done => self.ended(done, source, || target.to_owned()),
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
