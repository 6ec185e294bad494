//! Opens paths given by the user, but not through files or links that another user put into a sticky directory.
//!
//! The rules are those of fs.protected_symlinks, fs.protected_fifos and fs.protected_regular in proc_sys_fs(5),
//! whatever their values. Each component is opened relative to its parent directory and checked on its descriptor, so
//! that it cannot be replaced between check and use.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::folder::Folder;
use super::process;
use crate::error::RefusedAccess;

/// Maximum number of symbolic links in one path, as in path_resolution(7).
const LINK_LIMIT: u32 = 40;
/// `f_type` of procfs, whose magic links lead to open files instead of names.
const PROC_SUPER_MAGIC: u32 = 0x9FA0;
/// `f_flags` of a file system mounted with nosymfollow, see statfs(2).
const ST_NOSYMFOLLOW: u64 = 0x2000;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const ENTRY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a path leads: an open directory, and a name in it that is not a symbolic link.
#[derive(Debug)]
pub struct Located {
    pub folder: Folder,
    /// None: the path leads to the directory itself.
    pub name: Option<OsString>,
    /// The name is a magic link of procfs, such as /proc/self/fd/1, which only the kernel can follow.
    pub is_magic: bool,
}

/// How a symbolic link in the last component is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Follow,
    Keep,
}

/// The owner of a directory entry, and owner and mode of the directory.
struct Entry {
    owner: u32,
    folder_owner: u32,
    folder_mode: u32,
}

impl Entry {
    fn new(folder: &Stat, entry: &Stat) -> Self {
        Self { owner: entry.st_uid, folder_owner: folder.st_uid, folder_mode: folder.st_mode }
    }

    /// True if the entry belongs to neither `user` nor the owner of the directory, in a sticky directory that has one
    /// of the `writable` permission bits.
    fn is_untrusted(&self, user: u32, writable: u32) -> bool {
        self.folder_mode & libc::S_ISVTX != 0
            && self.folder_mode & writable != 0
            && self.owner != user
            && self.owner != self.folder_owner
    }
}

/// Resolves a path. The last component need not exist.
pub fn locate(path: &Path) -> io::Result<Located> {
    walk(path, Last::Follow)
}

/// The same for a file to be replaced: a magic link to a file is resolved to the path that it shows.
pub fn locate_file(path: &Path) -> io::Result<(Folder, OsString)> {
    let mut found = locate(path)?;
    if found.is_magic
        && let Some(name) = &found.name
    {
        let shown = OsString::from_vec(found.folder.link_target(name)?);
        if Path::new(&shown).is_absolute() {
            found = locate(Path::new(&shown))?;
        }
    }
    match found.name {
        Some(name) => Ok((found.folder, name)),
        None => Err(io::ErrorKind::IsADirectory.into()),
    }
}

/// Opens a directory and follows links.
pub(super) fn open_folder(path: &Path) -> io::Result<Folder> {
    // The appended dot requires the last component to be a directory.
    Ok(walk(&path.join("."), Last::Follow)?.folder)
}

/// Fails if a path leads through an untrusted link. Other errors are left to the use of the path. The last component is
/// not followed.
pub fn check_parents(path: &Path) -> io::Result<()> {
    refusal(walk(path, Last::Keep))
}

/// The same with the last component followed.
pub fn check(path: &Path) -> io::Result<()> {
    refusal(walk(path, Last::Follow))
}

fn refusal(found: io::Result<Located>) -> io::Result<()> {
    match found {
        Err(error) if RefusedAccess::of(&error).is_some() => Err(error),
        _ => Ok(()),
    }
}

/// Opens a file like open(2), also with O_NOFOLLOW. For writing, its owner is checked before it is truncated.
pub fn open(path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR);
    let flags = flags | OFlags::CLOEXEC;
    // Fast path for paths without links: one openat2(2), since Linux 5.6.
    if !writes && let Ok(file) = rustix::fs::openat2(CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS) {
        return Ok(file);
    }
    let last = if flags.contains(OFlags::NOFOLLOW) { Last::Keep } else { Last::Follow };
    for _ in 0..LINK_LIMIT {
        let found = walk(path, last)?;
        let folder = found.folder.descriptor();
        let Some(name) = &found.name else { return Ok(rustix::fs::openat(folder, ".", flags, mode)?) };
        if found.is_magic {
            return Ok(rustix::fs::openat(folder, name, flags, mode)?);
        }
        if writes {
            // Check before opening, since a reader of a FIFO would notice the open.
            check_entry(&found.folder, name)?;
        }
        let file = match rustix::fs::openat(folder, name, flags.difference(OFlags::TRUNC) | OFlags::NOFOLLOW, mode) {
            // It was replaced by a link after the walk: start again.
            Err(Errno::LOOP) if last == Last::Follow => continue,
            opened => opened?,
        };
        let stat = rustix::fs::fstat(&file)?;
        if writes {
            check_owner(&found.folder, name, &stat)?;
        }
        if flags.contains(OFlags::TRUNC) && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            rustix::fs::ftruncate(&file, 0)?;
        }
        return Ok(file);
    }
    Err(Errno::LOOP.into())
}

/// Opens a file to read from it.
pub fn open_to_read(path: &Path) -> io::Result<std::fs::File> {
    Ok(open(path, OFlags::RDONLY | OFlags::NOCTTY, Mode::empty())?.into())
}

/// The same without blocking on a FIFO.
pub fn open_to_read_nonblocking(path: &Path) -> io::Result<std::fs::File> {
    Ok(open(path, OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK, Mode::empty())?.into())
}

/// Fails if the name is a regular file or a FIFO of another user in a sticky directory, which is neither written to nor
/// replaced.
pub fn check_entry(folder: &Folder, name: &OsStr) -> io::Result<()> {
    match rustix::fs::statat(folder.descriptor(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => check_owner(folder, name, &stat),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn check_owner(folder: &Folder, name: &OsStr, stat: &Stat) -> io::Result<()> {
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "file",
        FileType::Fifo => "FIFO",
        _ => return Ok(()),
    };
    let user = process::effective_user();
    if stat.st_uid == user {
        return Ok(());
    }
    let entry = Entry::new(&rustix::fs::fstat(folder.descriptor())?, stat);
    // The same as the value 2 of fs.protected_regular and fs.protected_fifos.
    if entry.is_untrusted(user, libc::S_IWOTH | libc::S_IWGRP) {
        return Err(refused(folder, name, stat.st_uid, what, "written to"));
    }
    Ok(())
}

fn refused(folder: &Folder, name: &OsStr, owner: u32, what: &str, how: &str) -> io::Error {
    let path = folder.path().join(name);
    let message = format!(
        "the {what} {} belongs to {} and is not {how}, because its directory is sticky and writable by others",
        path.display(),
        process::display_user(owner)
    );
    let remediation = format!("Remove the {what}, or use a path in a directory that only you can write to");
    io::Error::new(io::ErrorKind::PermissionDenied, RefusedAccess { message, remediation })
}

fn walk(path: &Path, last: Last) -> io::Result<Located> {
    if path.as_os_str().is_empty() {
        return Err(Errno::NOENT.into());
    }
    let mut folder = start(path)?;
    let mut rest = components(path);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == "." {
            continue;
        }
        let is_last = rest.is_empty();
        if !is_last || name == ".." {
            match rustix::fs::openat(folder.descriptor(), &name, FOLDER, Mode::empty()) {
                Ok(next) => {
                    folder = folder.child(next, &name);
                    continue;
                }
                // Possibly a link, see below.
                Err(Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error.into()),
            }
        } else if last == Last::Keep {
            return Ok(Located { folder, name: Some(name), is_magic: false });
        }
        let entry = match rustix::fs::openat(folder.descriptor(), &name, ENTRY, Mode::empty()) {
            Ok(entry) => entry,
            Err(Errno::NOENT) if is_last => return Ok(Located { folder, name: Some(name), is_magic: false }),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&entry)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return if is_last {
                Ok(Located { folder, name: Some(name), is_magic: false })
            } else {
                Err(Errno::NOTDIR.into())
            };
        }
        links += 1;
        let system = rustix::fs::fstatfs(folder.descriptor())?;
        if links > LINK_LIMIT || system.f_flags as u64 & ST_NOSYMFOLLOW != 0 {
            return Err(Errno::LOOP.into());
        }
        if system.f_type as u32 == PROC_SUPER_MAGIC {
            if is_last {
                return Ok(Located { folder, name: Some(name), is_magic: true });
            }
            let flags = FOLDER.difference(OFlags::NOFOLLOW);
            let next = rustix::fs::openat(folder.descriptor(), &name, flags, Mode::empty())?;
            folder = folder.child(next, &name);
            continue;
        }
        let user = process::effective_user();
        if Entry::new(&rustix::fs::fstat(folder.descriptor())?, &stat).is_untrusted(user, libc::S_IWOTH) {
            return Err(refused(&folder, &name, stat.st_uid, "symbolic link", "followed"));
        }
        let target = rustix::fs::readlinkat(&entry, "", Vec::new())?.into_bytes();
        let target = Path::new(OsStr::from_bytes(&target));
        if target.is_absolute() {
            folder = start(target)?;
        }
        for component in components(target).into_iter().rev() {
            rest.push_front(component);
        }
    }
    Ok(Located { folder, name: None, is_magic: false })
}

/// The directory where path resolution starts.
fn start(path: &Path) -> io::Result<Folder> {
    let first = if path.is_absolute() { "/" } else { "." };
    Ok(Folder::from_fd(rustix::fs::openat(CWD, first, FOLDER, Mode::empty())?, PathBuf::from(first)))
}

/// The components of a path. A trailing slash adds the component `.`.
fn components(path: &Path) -> VecDeque<OsString> {
    let bytes = path.as_os_str().as_bytes();
    let names = bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    let mut names: VecDeque<OsString> = names.map(|name| OsStr::from_bytes(name).to_owned()).collect();
    if bytes.ends_with(b"/") {
        names.push_back(".".into());
    }
    names
}

#[cfg(test)]
#[path = "path_walk_tests.rs"]
mod tests;
