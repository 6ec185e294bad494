//! Carries a plan out: walks the sources, makes folders, links and files, and sets the modes and times of folders last.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
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

/// All of the permission bits.
const MODE: u32 = 0o7777;

/// The work and what it learned.
struct Work<'a> {
    tally: &'a mut Tally,
    context: &'a mut Context,
    ways: Ways,
    /// Where a file with more than one name was first copied to.
    first_names: HashMap<(u64, u64), (PathBuf, OsString)>,
}

/// Carries it out. Entries that fail are in the tally; what fails here is the end.
pub(super) fn carry_out(plan: &Plan, tally: &mut Tally, context: &mut Context) -> Result<(), Failure> {
    let mut work = Work { tally, context, ways: Ways::default(), first_names: HashMap::new() };
    for step in &plan.steps {
        let open = |path: &Path| {
            let failure =
                |error| Failure::system(&format!("write to {}", path.display()), path.display().to_string(), &error);
            Folder::open(path).map_err(failure)
        };
        match &step.place {
            Place::Named { folder, name } => work.entry(&step.source, &step.metadata, &open(folder)?, name)?,
            Place::Merged(folder) => {
                let folder = open(folder)?;
                work.below(&step.source, &folder)?;
                work.finish(&step.source, &step.metadata, &folder)?;
            }
            Place::Poured(target) => work.pour(&step.source, target)?,
        }
    }
    Ok(())
}

impl Work<'_> {
    /// Copies one entry, of whatever kind.
    fn entry(&mut self, source: &Path, metadata: &Metadata, to: &Folder, name: &OsStr) -> Result<(), Failure> {
        self.context.check()?;
        if metadata.is_dir() {
            return match self.make_folder(to, name) {
                Ok(folder) => {
                    self.below(source, &folder)?;
                    self.finish(source, metadata, &folder)
                }
                Err(error) => self.tally.trouble("make the folder", &to.path().join(name), error),
            };
        }
        source.clone_into(&mut self.tally.current);
        match self.leaf(source, metadata, to, name) {
            Ok(()) => self.tally.files_done += 1,
            Err(Stop::Broken(error)) => self.tally.trouble("copy", source, error)?,
            Err(Stop::Over(failure)) => return Err(failure),
        }
        self.tally.advance(0, self.context)
    }

    /// A folder under this name, made or found.
    fn make_folder(&self, to: &Folder, name: &OsStr) -> io::Result<Folder> {
        match to.make(name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => to.open_below(name),
        }
    }

    /// Copies what is in a folder.
    fn below(&mut self, source: &Path, to: &Folder) -> Result<(), Failure> {
        let entries = match fs::read_dir(source) {
            Ok(entries) => entries,
            Err(error) => return self.tally.trouble("read", source, error),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.tally.trouble("read", source, error),
            };
            match entry.metadata() {
                Ok(metadata) => self.entry(&entry.path(), &metadata, to, &entry.file_name())?,
                Err(error) => self.tally.trouble("read", &entry.path(), error)?,
            }
        }
        Ok(())
    }

    /// Nothing more is made in it.
    fn finish(&mut self, source: &Path, metadata: &Metadata, folder: &Folder) -> Result<(), Failure> {
        let done = folder.finish(metadata.mode() & MODE, &Times::of(metadata));
        done.or_else(|error| self.tally.trouble("set mode and times of the copy of", source, error))
    }

    /// Copies what is no folder.
    fn leaf(&mut self, source: &Path, metadata: &Metadata, to: &Folder, name: &OsStr) -> Result<(), Stop> {
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_symlink() {
            return Err(io::Error::other("it is a FIFO, a socket or a device").into());
        }
        let shared = (metadata.nlink() > 1).then(|| inode(metadata));
        if let Some((folder, first)) = shared.and_then(|inode| self.first_names.get(&inode)) {
            let linked = Folder::open(folder).and_then(|folder| {
                new_file::put(to, name, self.context, |name| to.link_from(name, &folder, first))
            });
            match linked {
                Ok(()) => return Ok(self.tally.advance(metadata.len(), self.context)?),
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Err(error.into()),
                // Too many links, or two file systems: then it is a file of its own.
                Err(_) => {}
            }
        }
        if kind.is_symlink() {
            let target = fs::read_link(source)?;
            new_file::put(to, name, self.context, |name| {
                to.make_link(name, &target)?;
                to.set_link_times(name, &Times::of(metadata))
            })?;
        } else {
            self.file(source, to, name)?;
        }
        if let Some(inode) = shared {
            self.first_names.insert(inode, (to.path().to_owned(), name.to_owned()));
        }
        Ok(())
    }

    /// Copies a regular file.
    fn file(&mut self, source: &Path, to: &Folder, name: &OsStr) -> Result<(), Stop> {
        let from = file_copy::open_source(source)?;
        // Of what was opened, which may be another file than the one that was listed.
        let metadata = from.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it changed while it was copied").into());
        }
        if to.kind(name)? == Some(Kind::Folder) {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        let new = NewFile::create(to, self.context)?;
        let pair = (metadata.dev(), new.file().metadata()?.dev());
        self.ways.copy(&from, &metadata, new.file(), pair, self.tally, self.context)?;
        folder::set_mode(new.file(), metadata.mode() & MODE, Some(&metadata))?;
        folder::set_times(new.file(), &Times::of(&metadata))?;
        Ok(new.publish(to, name, self.context)?)
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
