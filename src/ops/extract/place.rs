//! Makes things below the destination. Each folder on the way is opened from the one above it, links not followed, so that
//! no name leads outside: neither through a link of the archive, nor through one that was there, nor through one that
//! somebody puts there meanwhile.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::ops::Context;
use crate::ops::new_file;
use crate::platform::folder::{self, Folder, Kind, Times};

/// Why something was not made.
pub(super) enum Stop {
    /// It must not be.
    Refused(&'static str),
    Broken(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

const THROUGH_A_LINK: Stop = Stop::Refused("its name goes through a symbolic link");

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
    pub(super) fn parent<'a>(&mut self, path: &'a Path) -> Result<(&Folder, &'a OsStr), Stop> {
        let name = path.file_name().ok_or(Stop::Refused("it would replace the destination itself"))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        if self.last.as_ref().is_none_or(|(last, _)| last != folder) {
            let opened = self.walk(folder, true)?;
            self.last = Some((folder.to_owned(), opened));
        }
        let (_, folder) = self.last.as_ref().expect("it was just set");
        Ok((folder, name))
    }

    /// Makes a folder, or takes the one that is there.
    pub(super) fn make_folder(&mut self, path: &Path, mode: u32, times: Times) -> Result<(), Stop> {
        // The destination itself is the user's.
        if !path.as_os_str().is_empty() {
            self.walk(path, true)?;
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
        let (folder, name) = self.parent(path)?;
        Ok(new_file::put(folder, name, context, |name| {
            folder.make_link(name, target)?;
            folder.set_link_times(name, times)
        })?)
    }

    /// Gives a file below the destination another name.
    pub(super) fn link_file(&mut self, path: &Path, existing: &Path, context: &Context) -> Result<(), Stop> {
        const NO_FILE: Stop = Stop::Refused("it is a hard link to what is no file in the destination");
        let existing_name = existing.file_name().ok_or(NO_FILE)?;
        let from = self.walk(existing.parent().unwrap_or(Path::new("")), false)?;
        if from.kind(existing_name)? != Some(Kind::File) {
            return Err(NO_FILE);
        }
        let (folder, name) = self.parent(path)?;
        Ok(new_file::put(folder, name, context, |name| folder.link_from(name, &from, existing_name))?)
    }

    /// Gives the folders their modes and times, inner ones first.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let mut result = Ok(());
        for (path, (mode, times)) in std::mem::take(&mut self.unfinished).into_iter().rev() {
            let done = match self.walk(&path, false) {
                Ok(folder) => folder.finish(mode, times.as_ref()),
                Err(Stop::Broken(error)) => Err(error),
                Err(Stop::Refused(_)) => Ok(()),
            };
            result = result.and(done);
        }
        result
    }

    /// Opens a folder below the destination, step by step.
    fn walk(&mut self, path: &Path, make: bool) -> Result<Folder, Stop> {
        let mut current = self.root.open_below(OsStr::new("."))?;
        let mut walked = PathBuf::new();
        for name in path {
            walked.push(name);
            current = match current.open_below(name) {
                Ok(below) => below,
                Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                    current.make(name)?;
                    self.unfinished.insert(walked.clone(), (self.mode_of_folders, None));
                    current.open_below(name)?
                }
                Err(error) => {
                    return Err(match current.kind(name) {
                        Ok(Some(Kind::Link)) => THROUGH_A_LINK,
                        Ok(Some(Kind::File | Kind::Special)) => {
                            Stop::Refused("there is something else where a folder is needed")
                        }
                        _ => error.into(),
                    });
                }
            };
        }
        Ok(current)
    }
}
