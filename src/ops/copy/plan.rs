//! What is copied to where: settled, counted, and refused where it cannot be right, before anything is written.

use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::Tally;
use crate::model::envelope::ErrorCode;
use crate::ops::{Context, Failure, shown};
use crate::platform::files;
use crate::platform::folder::inode;
use crate::platform::path_walk;

/// All that is to be done.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
}

/// One source and its place.
pub(super) struct Step {
    pub(super) source: PathBuf,
    pub(super) kind: FileType,
    pub(super) place: Place,
}

/// Where a source goes.
pub(super) enum Place {
    /// Under this name in this folder, which exists.
    Named { folder: PathBuf, name: OsString },
    /// What is in the source goes into this folder, which exists.
    Merged(PathBuf),
    /// Written into what stands there, which is neither file nor folder: it must not be replaced.
    Poured(PathBuf),
}

/// Settles it, and counts what is to be copied.
pub(super) fn make(
    sources: &[&Path],
    destination: &Path,
    tally: &mut Tally,
    context: &mut Context,
) -> Result<Plan, Failure> {
    let mut plan = Plan { steps: Vec::new() };
    path_walk::check(destination).map_err(|error| unusable(sources[0], destination, &error))?;
    let into = match fs::metadata(destination) {
        Ok(metadata) if metadata.is_dir() => true,
        Ok(_) if sources.len() == 1 && !ends_with_slash(destination) => false,
        Err(error) if error.kind() == io::ErrorKind::NotFound && sources.len() == 1 => false,
        Ok(_) => return Err(no_folder(destination)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(no_folder(destination)),
        Err(error) => return Err(unusable(sources[0], destination, &error)),
    };
    for source in sources {
        let metadata = path_walk::check_parents(source)
            .and_then(|()| fs::symlink_metadata(source))
            .map_err(|error| Failure::system(&format!("copy {}", text(source)), text(source), &error))?;
        let place = place(source, &metadata, destination, into)?;
        let clash = |step: &Step| match (&step.place, &place) {
            (Place::Named { name: one, .. }, Place::Named { name: other, .. }) => one == other,
            _ => false,
        };
        if let Some(earlier) = plan.steps.iter().find(|step| clash(step)) {
            let message = format!("{} and {} have the same name", text(&earlier.source), text(source));
            let remediation = "Copy them one by one, to folders or names of their own";
            return Err(Failure::new(ErrorCode::Conflict, message, remediation).about(text(source)));
        }
        refuse_nonsense(source, &metadata, &place)?;
        count(source, &metadata, tally, context)?;
        plan.steps.push(Step { source: (*source).to_owned(), kind: metadata.file_type(), place });
    }
    Ok(plan)
}

fn place(source: &Path, metadata: &Metadata, destination: &Path, into: bool) -> Result<Place, Failure> {
    if into {
        return Ok(match own_name(source) {
            Some(name) => Place::Named { folder: destination.to_owned(), name: name.to_owned() },
            None => Place::Merged(destination.to_owned()),
        });
    }
    if ends_with_slash(destination) && !metadata.is_dir() {
        return Err(no_folder(destination));
    }
    // What is one of our own descriptors may have no path of its own, and is asked for before links are followed.
    if metadata.is_file() && !files::is_replaced(destination) {
        return Ok(Place::Poured(destination.to_owned()));
    }
    // A file goes where a link leads; a link replaces it.
    let target = if metadata.is_file() {
        files::resolve(destination).map_err(|error| unusable(source, destination, &error))?
    } else {
        destination.to_owned()
    };
    let name =
        own_name(&target).ok_or_else(|| unusable(source, destination, &io::ErrorKind::IsADirectory.into()))?.to_owned();
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    match fs::metadata(&folder) {
        Ok(there) if there.is_dir() => Ok(Place::Named { folder, name }),
        Ok(_) => Err(no_folder(&folder)),
        Err(error) => Err(unusable(source, &folder, &error)),
    }
}

/// Refuses a copy onto itself, into itself, and of one kind over the other.
fn refuse_nonsense(source: &Path, metadata: &Metadata, place: &Place) -> Result<(), Failure> {
    let (folder, target) = match place {
        Place::Named { folder, name } => (folder, folder.join(name)),
        Place::Merged(folder) => (folder, folder.clone()),
        Place::Poured(_) => return Ok(()),
    };
    let conflict = |message: String, remediation: &str| {
        Err(Failure::new(ErrorCode::Conflict, message, remediation).about(text(&target)))
    };
    let (from, to) = (text(source), text(&target));
    if let Ok(there) = fs::symlink_metadata(&target) {
        let followed = fs::metadata(source).ok();
        if inode(&there) == inode(metadata) || followed.is_some_and(|followed| inode(&there) == inode(&followed)) {
            return conflict(format!("{from} and {to} are the same file"), "Give another destination");
        }
        let merged = matches!(place, Place::Merged(_));
        if metadata.is_dir() && !there.is_dir() && !merged {
            let remediation = "Move the file away, or give another destination";
            return conflict(format!("{to} is no folder and cannot become the folder {from}"), remediation);
        }
        if !metadata.is_dir() && there.is_dir() {
            let remediation = "Move the folder away, or give another destination";
            return conflict(format!("{to} is a folder and cannot become the file {from}"), remediation);
        }
        if !(there.is_file() || there.is_symlink() || there.is_dir()) {
            let remediation = "Name it as the destination itself to write into it, or give another destination";
            return conflict(
                format!("{to} is a FIFO, a socket or a device and is not replaced by {from}"),
                remediation,
            );
        }
    }
    if metadata.is_dir()
        && let (Ok(inner), Ok(outer)) = (fs::canonicalize(folder), fs::canonicalize(source))
        && inner.starts_with(&outer)
    {
        let remediation = "Give a destination outside of the folder";
        return conflict(format!("the folder {from} cannot be copied into itself, to {to}"), remediation);
    }
    Ok(())
}

/// Adds to the sums. What cannot be read is left for its turn to be reported.
fn count(source: &Path, metadata: &Metadata, tally: &mut Tally, context: &mut Context) -> Result<(), Failure> {
    if !metadata.is_dir() {
        return tally.count(if metadata.is_file() { metadata.len() } else { 0 }, context);
    }
    for entry in WalkDir::new(source).into_iter().flatten() {
        context.check()?;
        if entry.file_type().is_dir() {
            continue;
        }
        let is_file = entry.file_type().is_file();
        let size = if is_file { entry.metadata().map_or(0, |metadata| metadata.len()) } else { 0 };
        tally.count(size, context)?;
    }
    Ok(())
}

/// The last part of the path. None where it stands for a folder as a whole: `.`, `..`, `dir/.` and `/`.
fn own_name(path: &Path) -> Option<&OsStr> {
    let bytes = path.as_os_str().as_bytes();
    let trimmed = bytes.iter().rposition(|byte| *byte != b'/').map_or(&[][..], |last| &bytes[..=last]);
    let start = trimmed.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let name = &trimmed[start..];
    (![b"".as_slice(), b".", b".."].contains(&name)).then(|| OsStr::from_bytes(name))
}

fn ends_with_slash(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

fn text(path: &Path) -> String {
    shown::text(path)
}

fn no_folder(path: &Path) -> Failure {
    let message = format!("{} is not an existing folder", text(path));
    Failure::new(ErrorCode::NotFound, message, "Make the folder first, or give another destination").about(text(path))
}

fn unusable(source: &Path, path: &Path, error: &io::Error) -> Failure {
    Failure::system(&format!("copy {} to {}", text(source), text(path)), text(path), error)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::own_name;

    #[test]
    fn a_path_that_stands_for_all_that_is_in_a_folder_has_no_name() {
        for path in [".", "..", "/", "a/.", "a/..", "a/./"] {
            assert_eq!(own_name(Path::new(path)), None, "{path}");
        }
        for path in ["a", "a/", "x/a", "./a//", ".../a"] {
            assert_eq!(own_name(Path::new(path)), Some(OsStr::new("a")), "{path}");
        }
    }
}
