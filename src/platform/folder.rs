//! A folder held open, and what is done to the names in it: no path is walked twice, so nobody can put a link in between.
//!
//! Called by the operations that write files. A file is made without a name where the file system can do that, and gets
//! its name when it is complete; see open(2), O_TMPFILE.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::model::unique_id::unique_id;

use super::path_walk;

/// An open folder and the path by which it was found.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// What a name stands for, links not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    Special,
}

/// When a file was last read and changed.
#[derive(Clone, Debug)]
pub struct Times(Timestamps);

impl Times {
    /// Those of another file.
    pub fn of(metadata: &Metadata) -> Self {
        Self(Timestamps {
            last_access: Timespec { tv_sec: metadata.atime(), tv_nsec: metadata.atime_nsec() },
            last_modification: Timespec { tv_sec: metadata.mtime(), tv_nsec: metadata.mtime_nsec() },
        })
    }

    /// Changed at this time, in seconds since 1970, and not read since.
    pub fn changed_at(seconds: i64, nanoseconds: u32) -> Self {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
        Self(Timestamps { last_access: time, last_modification: time })
    }
}

/// A unique name for a file that is renamed or removed later.
pub fn temporary_name() -> OsString {
    format!(".runner-{}.tmp", unique_id().simple()).into()
}

impl Folder {
    /// Opens a directory by path; `path_walk` decides which links are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(Self { path: path.to_owned(), ..path_walk::open_folder(path)? })
    }

    /// Opens a directory by path, and creates it and its parents if they are missing.
    pub fn open_or_make(path: &Path) -> io::Result<Self> {
        match Self::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        match Self::open_or_make(parent)?.make_shared(name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Self::open(path),
        }
    }

    /// Takes over an open descriptor.
    pub(super) fn from_fd(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// The subdirectory of this name, opened by the caller.
    pub(super) fn child(&self, fd: OwnedFd, name: &OsStr) -> Self {
        let path = if self.path == Path::new(".") { name.into() } else { self.path.join(name) };
        Self { fd, path }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens a folder in this one. A link is refused as what it is: no folder.
    pub fn open_below(&self, name: &OsStr) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// The path by which it was opened, and that of a name in it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file system that it is on.
    pub fn device(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.fd)?.st_dev)
    }

    /// Makes a folder that only we may enter.
    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.fd, name, Mode::RWXU)?)
    }

    /// Creates a directory with mode 0777 less the umask.
    pub fn make_shared(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.fd, name, Mode::RWXU | Mode::RWXG | Mode::RWXO)?)
    }

    /// Removes a file or a link.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Syncs the entries of the directory to the disk.
    pub fn sync(&self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::fsync(rustix::fs::openat(&self.fd, ".", flags, Mode::empty())?)?)
    }

    /// Fails if entries may not be created and removed.
    pub fn check_writable(&self) -> io::Result<()> {
        Ok(super::process::may_access(self.fd.as_fd(), Path::new("."), Access::WRITE_OK | Access::EXEC_OK)?)
    }

    /// What stands under this name. None: nothing.
    pub fn kind(&self, name: &OsStr) -> io::Result<Option<Kind>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Folder,
                FileType::Symlink => Kind::Link,
                _ => Kind::Special,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The permission bits of a regular file. None: there is no such file.
    pub fn permissions(&self, name: &OsStr) -> io::Result<Option<u32>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Some(stat.st_mode & 0o777))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a symbolic link.
    pub fn make_link(&self, name: &OsStr, target: &Path) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.fd, name)?)
    }

    /// Where a symbolic link in it leads.
    pub fn link_target(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, name, Vec::new())?.into_bytes())
    }

    /// Gives a file of another folder a second name here. What is a link itself is not followed.
    pub fn link_from(&self, name: &OsStr, from: &Self, from_name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::linkat(&from.fd, from_name, &self.fd, name, AtFlags::empty())?)
    }

    /// Renames within this folder; what stood under the new name is gone.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)?;
        // Two names of one file: rename(2) then does nothing, and says nothing.
        match rustix::fs::unlinkat(&self.fd, from, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the times of a symbolic link in it.
    pub fn set_link_times(&self, name: &OsStr, times: &Times) -> io::Result<()> {
        Ok(rustix::fs::utimensat(&self.fd, name, &times.0, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Makes the directory writable for its owner until `finish` sets its mode. No effect for other users.
    pub fn make_writable(&self) {
        let denied = self.check_writable().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        if let (true, Ok(stat)) = (denied, rustix::fs::fstat(&self.fd)) {
            // On failure the first write reports the error.
            _ = rustix::fs::chmodat(&self.fd, ".", Mode::from_raw_mode(stat.st_mode) | Mode::RWXU, AtFlags::empty());
        }
    }

    /// Sets mode and times of the folder itself; to be done when nothing more is made in it.
    pub fn finish(&self, mode: u32, times: Option<&Times>) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, ".", flags, Mode::empty())?;
        if let Some(times) = times {
            rustix::fs::futimens(&fd, &times.0)?;
        }
        Ok(rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))?)
    }

    /// A file without a name, that vanishes with us unless it gets one. None: this file system has no such files.
    pub fn create_unnamed(&self) -> io::Result<Option<File>> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, ".", flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Some(fd.into())),
            // An old kernel ignores the flag and finds a folder.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a new file with mode 0600.
    pub fn create_named(&self, name: &OsStr) -> io::Result<File> {
        self.create(name, Mode::RUSR | Mode::WUSR)
    }

    /// Creates a new file with mode 0666 less the umask.
    pub fn create_shared(&self, name: &OsStr) -> io::Result<File> {
        self.create(name, Mode::from_raw_mode(0o666))
    }

    fn create(&self, name: &OsStr, mode: Mode) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, mode)?.into())
    }

    /// Gives a file without a name its name. Fails where the name is taken.
    pub fn name_unnamed(&self, file: &File, name: &OsStr) -> io::Result<()> {
        match rustix::fs::linkat(file, "", &self.fd, name, AtFlags::EMPTY_PATH) {
            // It takes a capability, before Linux 6.10; the way round is that of open(2).
            Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                Ok(rustix::fs::linkat(CWD, path, &self.fd, name, AtFlags::SYMLINK_FOLLOW)?)
            }
            other => Ok(other?),
        }
    }
}

/// A file, whatever its names: the file system and its number there.
pub type Inode = (u64, u64);

/// The inode, which is the same for all names of a file.
pub fn inode(metadata: &Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

/// Sets the mode of an open file. The bits that lend the owner's rights are given up unless `metadata`, which is of the
/// file that the mode was taken from, has the same owner and group.
pub fn set_mode(file: &File, mode: u32, metadata: Option<&Metadata>) -> io::Result<()> {
    let mut mode = Mode::from_raw_mode(mode);
    if mode.intersects(Mode::SUID | Mode::SGID) {
        let own = rustix::fs::fstat(file)?;
        if metadata.is_none_or(|metadata| metadata.uid() != own.st_uid) {
            mode.remove(Mode::SUID);
        }
        if metadata.is_none_or(|metadata| metadata.gid() != own.st_gid) {
            mode.remove(Mode::SGID);
        }
    }
    Ok(rustix::fs::fchmod(file, mode)?)
}

/// Sets the times of an open file.
pub fn set_times(file: &File, times: &Times) -> io::Result<()> {
    Ok(rustix::fs::futimens(file.as_fd(), &times.0)?)
}

/// The mode that a new file would have by the umask.
pub fn mode_of_new_file() -> u32 {
    // The system call that tells it also sets it, for all threads.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let text = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap_or_default();
    // Without /proc: files that another thread makes in this moment are for us alone.
    let mask = u32::from_str_radix(text.trim(), 8).unwrap_or_else(|_| super::process::own_umask());
    0o666 & !mask
}

/// The mode that a new folder would have by the umask.
pub fn mode_of_new_folder() -> u32 {
    let file = mode_of_new_file();
    // Whoever may read a folder may enter it; nobody takes these rights apart by the umask.
    file | (file & 0o444) >> 2
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::{Folder, Kind};

    #[test]
    fn a_file_without_a_name_gets_one_once() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        let Some(mut file) = folder.create_unnamed().unwrap() else { return };
        file.write_all(b"content").unwrap();
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
        folder.name_unnamed(&file, OsStr::new("name")).unwrap();
        assert_eq!(fs::read(temporary.path().join("name")).unwrap(), b"content");
        assert!(folder.name_unnamed(&file, OsStr::new("name")).is_err());
    }

    #[test]
    fn a_link_is_no_folder_below() {
        let temporary = tempfile::tempdir().unwrap();
        symlink("/", temporary.path().join("link")).unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        assert_eq!(folder.kind(OsStr::new("link")).unwrap(), Some(Kind::Link));
        assert!(folder.open_below(OsStr::new("link")).is_err());
        folder.make(OsStr::new("real")).unwrap();
        assert!(folder.open_below(OsStr::new("real")).is_ok());
    }
}
