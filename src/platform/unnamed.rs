//! A file that gets its name only once it is complete: open(2), O_TMPFILE. Whoever is killed before leaves nothing.
//!
//! Where the file system has no such files, a temporary name beside the target stands in for it. Its owner removes that
//! name when it gives up.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::files;

/// A file that is being written, and the name that it will have.
#[derive(Debug)]
pub struct Unnamed {
    file: File,
    target: PathBuf,
    /// Beside the target. Taken on the way to it, or from the start where the file cannot be without a name.
    temporary: PathBuf,
    has_name: bool,
}

impl Unnamed {
    /// An empty file that is to replace what `path` leads to in the end.
    pub fn to_replace(path: &Path) -> io::Result<Self> {
        let (target, temporary) = names(path)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(files::folder_of(&target), flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => Ok(Self { file: file.into(), target, temporary, has_name: false }),
            // The file system, or the kernel, does not know such files.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => Self::with_name(target, temporary),
            Err(errno) => Err(errno.into()),
        }
    }

    fn with_name(target: PathBuf, temporary: PathBuf) -> io::Result<Self> {
        // Never through a link that somebody put there.
        let file = File::options().read(true).write(true).create_new(true).open(&temporary)?;
        Ok(Self { file, target, temporary, has_name: true })
    }

    /// The name to remove when it is given up.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Throws away what was written.
    pub fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()
    }

    /// Puts it in the target's place, with the permissions that were there before.
    pub fn commit(mut self) -> io::Result<()> {
        let before = fs::metadata(&self.target);
        if let Ok(metadata) = &before {
            let _ = self.file.set_permissions(metadata.permissions());
        }
        if !self.has_name {
            // Where nothing is in the way, the file appears under its name at once.
            if before.is_err() && self.link(&self.target).is_ok() {
                return Ok(());
            }
            self.link(&self.temporary)?;
        }
        fs::rename(&self.temporary, &self.target).or_else(|error| {
            let _ = fs::remove_file(&self.temporary);
            // A file that is a mount point of its own, as containers make them, can only be written in place.
            if error.raw_os_error() != Some(libc::EBUSY) {
                return Err(error);
            }
            self.file.rewind()?;
            io::copy(&mut self.file, &mut File::create(&self.target)?).map(drop)
        })
    }

    /// linkat(2) names this way for those who may not link a bare descriptor.
    fn link(&self, name: &Path) -> io::Result<()> {
        let descriptor = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, descriptor, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
    }
}

/// The file that a path leads to, and a name beside it that nobody else has.
fn names(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let target = files::resolve(path)?;
    let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let mut temporary = OsString::from(".");
    // A long name leaves no room for ours.
    let room = name.len() <= NAME_ROOM;
    temporary.push(if room { name } else { "runner".as_ref() });
    temporary.push(format!(".{}.tmp", uuid::Uuid::now_v7().simple()));
    let temporary = files::folder_of(&target).join(temporary);
    Ok((target, temporary))
}

/// What fits into a file name beside the marks of a temporary one.
const NAME_ROOM: usize = 200;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::{Unnamed, names};

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    /// Both kinds, so that the one which this machine does not need is tried, too.
    fn kinds(path: &Path) -> [Unnamed; 2] {
        let (target, temporary) = names(path).unwrap();
        [Unnamed::to_replace(path).unwrap(), Unnamed::with_name(target, temporary).unwrap()]
    }

    #[test]
    fn a_file_appears_whole_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (round, mut unnamed) in kinds(&path).into_iter().enumerate() {
            unnamed.file().write_all(b"thrown away").unwrap();
            unnamed.clear().unwrap();
            write!(unnamed.file(), "round {round}").unwrap();
            unnamed.commit().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("round {round}"));
        }
        assert_eq!(count(folder.path()), 1);
    }

    #[test]
    fn a_link_is_followed_and_permissions_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        for mut unnamed in kinds(&link) {
            unnamed.file().write_all(b"new").unwrap();
            unnamed.commit().unwrap();
            assert_eq!(fs::read(&file).unwrap(), b"new");
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        }
        assert_eq!(count(folder.path()), 2);
    }

    #[test]
    fn what_is_given_up_without_a_name_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut unnamed = Unnamed::to_replace(&folder.path().join("file")).unwrap();
        unnamed.file().write_all(b"half").unwrap();
        if !unnamed.has_name {
            assert_eq!(count(folder.path()), 0);
        }
        assert!(Unnamed::to_replace(&folder.path().join("no/such/folder")).is_err());
    }
}
