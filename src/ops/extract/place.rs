//! Makes things below the destination. Each folder on the way is opened from the one above it, links not followed, so that
//! no name leads outside: neither through a link of the archive, nor through one that was there, nor through one that
//! somebody puts there meanwhile.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::names;
use crate::ops::new_file;
use crate::ops::{Context, Failure};
use crate::platform::folder::{self, Folder, Kind, Times};

/// Why something was not made.
pub(super) enum Stop {
    /// It must not be: it would lead outside, or it is what no honest archive holds.
    Refused(&'static str),
    /// It cannot be, and what to do about that.
    Unsuited(&'static str, &'static str),
    Broken(io::Error),
    /// The whole operation is over.
    Over(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Over(failure)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

const THROUGH_A_LINK: Stop = Stop::Refused("its name goes through a symbolic link");
const IN_THE_WAY: Stop = Stop::Unsuited(
    "there is something else where a folder is needed",
    "Move away what stands there, or extract into an empty folder; what was extracted before this entry is still there",
);
/// Who stops us does not wait longer than this and a little more.
const LAST_MOMENT: Duration = Duration::from_millis(40);

/// The folder that is extracted into.
pub(super) struct Destination {
    root: Folder,
    /// The folder that was used last, since most entries are neighbours.
    last: Option<(PathBuf, Folder)>,
    /// What the folders are to become when nothing more is made in them.
    unfinished: BTreeMap<PathBuf, (u32, Option<Times>)>,
    mode_of_folders: u32,
}

impl Destination {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            root: Folder::open(path)?,
            last: None,
            unfinished: BTreeMap::new(),
            mode_of_folders: folder::mode_of_new_folder(),
        })
    }

    /// The folder that an entry goes into, made where it is missing, and its name there.
    pub(super) fn parent<'a>(&mut self, path: &'a Path, context: &Context) -> Result<(&Folder, &'a OsStr), Stop> {
        let name = path.file_name().ok_or(Stop::Refused("it would replace the destination itself"))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok((self.folder(folder, true, context)?, name))
    }

    /// A folder below the destination, which is remembered: most entries are neighbours of the one before, or below it.
    fn folder(&mut self, path: &Path, make: bool, context: &Context) -> Result<&Folder, Stop> {
        let (last, from) = match self.last.take() {
            Some((last, folder)) if path.starts_with(&last) => (last, folder),
            _ => (PathBuf::new(), self.root.open_below(OsStr::new("."))?),
        };
        let opened = self.walk(last, from, path, make, context)?;
        let (_, folder) = self.last.insert((path.to_owned(), opened));
        Ok(folder)
    }

    /// Makes a folder, or takes the one that is there.
    pub(super) fn make_folder(&mut self, path: &Path, mode: u32, times: Times, context: &Context) -> Result<(), Stop> {
        // The destination itself is the user's.
        if !path.as_os_str().is_empty() {
            let (folder, name) = self.parent(path, context)?;
            Self::step(folder, name, true)?;
            self.unfinished.insert(path.to_owned(), (mode, Some(times)));
        }
        Ok(())
    }

    /// Makes a symbolic link; what the target may be has been settled.
    pub(super) fn make_link(
        &mut self,
        path: &Path,
        target: &Path,
        times: &Times,
        context: &Context,
    ) -> Result<(), Stop> {
        let (folder, name) = self.parent(path, context)?;
        Ok(new_file::put(folder, name, context, |name| {
            folder.make_link(name, target)?;
            folder.set_link_times(name, times)
        })?)
    }

    /// Gives a file below the destination, or a symbolic link itself, another name.
    pub(super) fn link_file(&mut self, path: &Path, existing: &Path, context: &Context) -> Result<(), Stop> {
        const NO_FILE: Stop = Stop::Refused("it is a hard link to what is no file in the destination");
        let existing_name = existing.file_name().ok_or(NO_FILE)?;
        let root = self.root.open_below(OsStr::new("."))?;
        let from = self.walk(PathBuf::new(), root, existing.parent().unwrap_or(Path::new("")), false, context)?;
        match from.kind(existing_name)? {
            Some(Kind::File) => {}
            // It leads elsewhere from another folder, and may have been there before.
            Some(Kind::Link) => names::link(path, &from.link_target(existing_name)?).map_err(Stop::Refused)?,
            _ => return Err(NO_FILE),
        }
        let (folder, name) = self.parent(path, context)?;
        Ok(new_file::put(folder, name, context, |name| folder.link_from(name, &from, existing_name))?)
    }

    /// Gives the folders their modes and times, inner ones first.
    pub(super) fn finish(&mut self, context: &Context) -> Result<(), Stop> {
        let mut result = Ok(());
        for (path, (mode, times)) in std::mem::take(&mut self.unfinished).into_iter().rev() {
            context.check()?;
            match self.finish_one(&path, mode, times.as_ref(), context) {
                Ok(()) | Err(Stop::Refused(_) | Stop::Unsuited(..)) => {}
                Err(Stop::Broken(error)) => result = result.and(Err(Stop::Broken(error))),
                Err(over) => return Err(over),
            }
        }
        result
    }

    /// The same after the order to stop: as much of it as the time allows.
    pub(super) fn abandon(&mut self, context: &Context) {
        let until = context.elapsed() + LAST_MOMENT;
        for (path, (mode, times)) in std::mem::take(&mut self.unfinished).into_iter().rev() {
            if context.elapsed() > until {
                return;
            }
            let _ = self.finish_one(&path, mode, times.as_ref(), context);
        }
    }

    fn finish_one(&mut self, path: &Path, mode: u32, times: Option<&Times>, context: &Context) -> Result<(), Stop> {
        let Some(name) = path.file_name() else { return Ok(()) };
        let parent = self.folder(path.parent().unwrap_or(Path::new("")), false, context)?;
        let (folder, _) = Self::step(parent, name, false)?;
        Ok(folder.finish(mode, times)?)
    }

    /// Opens a folder below another, step by step. `walked` is the path of the one that it starts from.
    fn walk(
        &mut self,
        mut walked: PathBuf,
        from: Folder,
        path: &Path,
        make: bool,
        context: &Context,
    ) -> Result<Folder, Stop> {
        let mut current = from;
        for name in path.iter().skip(walked.iter().count()) {
            // A name of thousands of folders takes its time.
            if make {
                context.check()?;
            }
            walked.push(name);
            let (below, made) = Self::step(&current, name, make)?;
            if made {
                self.unfinished.insert(walked.clone(), (self.mode_of_folders, None));
            }
            current = below;
        }
        Ok(current)
    }

    /// Opens a folder of this name, and says whether it was made for that.
    fn step(current: &Folder, name: &OsStr, make: bool) -> Result<(Folder, bool), Stop> {
        match current.open_below(name) {
            Ok(below) => Ok((below, false)),
            Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                current.make(name)?;
                Ok((current.open_below(name)?, true))
            }
            Err(error) => Err(match current.kind(name) {
                Ok(Some(Kind::Link)) => THROUGH_A_LINK,
                Ok(Some(Kind::File | Kind::Special)) => IN_THE_WAY,
                _ => error.into(),
            }),
        }
    }
}
