//! Files that are written for the user: replaced as a whole where they are regular or absent, else written as they are.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, CWD, Mode, OFlags};

use super::descriptors::{self, Moved};
use super::folder::{self, Folder};
use super::path_walk;

/// A FIFO's reader may come a moment later than we do.
const OPEN_TRIES: u32 = 50;
const OPEN_PAUSE: Duration = Duration::from_millis(10);
/// A reader that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file that a path leads to in the end; links to what does not exist yet are followed, too.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let (folder, name) = path_walk::locate_file(path)?;
    Ok(if folder.path() == Path::new(".") { name.into() } else { folder.path().join(name) })
}

/// The descriptor of ours that a path such as /dev/stdout or /dev/fd/3 stands for.
pub(super) fn own_descriptor(path: &Path) -> Option<BorrowedFd<'static>> {
    let number: i32 = {
        let found = path_walk::locate(path).ok().filter(|found| found.is_magic)?;
        let own = rustix::fs::stat("/proc/self/fd").ok()?;
        let there = rustix::fs::fstat(found.folder.descriptor()).ok()?;
        let name = found.name.filter(|_| (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino))?;
        name.to_str()?.parse().ok()?
    };
    // The number may have been that of a descriptor opened during the lookup, which is closed by now.
    let open = number >= 0 && fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    // SAFETY: it was just seen to be open; what our caller left open stays so until we exit.
    open.then(|| unsafe { BorrowedFd::borrow_raw(number) })
}

/// True for a path that exists and is no regular file: a pipe, a device, a descriptor under /dev/fd.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

/// True for a path whose file is replaced as a whole when it is written: one that is regular or absent.
pub fn is_replaced(path: &Path) -> bool {
    own_descriptor(path).is_none() && !is_special(path)
}

/// Fails where `replace` could certainly not write this file.
pub fn check_writable(path: &Path) -> io::Result<()> {
    if own_descriptor(path).is_some() {
        return Ok(());
    }
    path_walk::check(path)?;
    let metadata = fs::metadata(path);
    if metadata.as_ref().is_ok_and(fs::Metadata::is_dir) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.is_ok_and(|metadata| !metadata.is_file()) {
        let found = path_walk::locate(path)?;
        found.name.map_or(Ok(()), |name| path_walk::check_entry(&found.folder, &name))?;
        return Ok(super::process::may_access(CWD, path, Access::WRITE_OK)?);
    }
    let (folder, name) = path_walk::locate_file(path)?;
    path_walk::check_entry(&folder, &name)?;
    folder.check_writable()
}

/// Puts `bytes` into the file, as a whole or not at all where it is regular or absent. Its permissions are kept.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, &mut |file| file.write_all(bytes))
}

/// The same with what `fill` writes. It is called again where a first way turns out to be closed.
pub fn replace_with(path: &Path, fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if let Some(descriptor) = own_descriptor(path) {
        return fill(&mut Patient(descriptor));
    }
    if is_special(path) {
        return fill(&mut Patient(open_special(path)?.as_fd()));
    }
    let (folder, name) = path_walk::locate_file(path)?;
    path_walk::check_entry(&folder, &name)?;
    let temporary = folder::temporary_name();
    write_whole(&folder, &temporary, fill, &name).inspect_err(|_| drop(folder.remove(&temporary)))?;
    folder.rename(&temporary, &name).or_else(|error| {
        let _ = folder.remove(&temporary);
        // A file that is a mount point of its own, as containers make them, can only be written in place.
        if error.raw_os_error() == Some(libc::EBUSY) { fill(&mut open_in_place(path)?) } else { Err(error) }
    })
}

/// Opens and truncates a file that cannot be replaced.
pub fn open_in_place(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOCTTY;
    Ok(path_walk::open(path, flags, Mode::from_raw_mode(0o666))?.into())
}

/// Opens a file to read and append. `may_create`: create it if it is missing.
pub fn open_to_append(path: &Path, may_create: bool) -> io::Result<File> {
    // Do not block on a FIFO, which is refused later.
    let mut flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOCTTY | OFlags::NONBLOCK;
    flags.set(OFlags::CREATE, may_create);
    Ok(path_walk::open(path, flags, Mode::from_raw_mode(0o666))?.into())
}

/// A file for bytes that only we read again, in `$TMPDIR` or where the system keeps such files. It has no name: nothing is
/// left of it once it is closed.
pub fn temporary() -> io::Result<File> {
    unnamed(&Folder::open(&std::env::temp_dir())?)
}

/// A file without a name for what will be part of this one, on the same disk where that can be.
pub fn draft(path: &Path) -> io::Result<File> {
    if is_replaced(path) { unnamed(&path_walk::locate_file(path)?.0) } else { temporary() }
}

/// A file that can be written and read and has no name.
fn unnamed(folder: &Folder) -> io::Result<File> {
    if let Some(file) = folder.create_unnamed()? {
        return Ok(file);
    }
    let name = folder::temporary_name();
    let file = folder.create_named(&name)?;
    folder.remove(&name)?;
    Ok(file)
}

/// Gives back the room of so many bytes of a file, where the file system can.
pub fn punch(file: &File, offset: u64, length: u64) {
    let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    let _ = rustix::fs::fallocate(file, flags, offset, length);
}

/// A writer that gives up where nobody reads.
struct Patient<'a>(BorrowedFd<'a>);

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        written(descriptors::write_patiently(self.0, bytes, PATIENCE)?)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what is no regular file. One that nobody reads is given up, since an answer must not wait for ever.
fn open_special(path: &Path) -> io::Result<OwnedFd> {
    // Without a reader, opening a FIFO in this way fails at once.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = || path_walk::open(path, flags, Mode::empty());
    let mut opened = open();
    for _ in 0..OPEN_TRIES {
        if opened.as_ref().err().and_then(io::Error::raw_os_error) != Some(libc::ENXIO) {
            break;
        }
        super::process::nap(OPEN_PAUSE);
        opened = open();
    }
    opened
}

fn written(moved: Moved) -> io::Result<()> {
    match moved {
        Moved::Bytes(_) => Ok(()),
        Moved::WouldBlock | Moved::Broken => Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it")),
    }
}

fn write_whole(
    folder: &Folder,
    temporary: &OsStr,
    fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    target: &OsStr,
) -> io::Result<()> {
    let mut file = folder.create_shared(temporary)?;
    if let Some(permissions) = folder.permissions(target)? {
        folder::set_mode(&file, permissions, None)?;
    }
    fill(&mut file)?;
    // The rename must not become durable before the content.
    Ok(rustix::fs::fsync(file.as_fd())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Seek, Write};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::{check_writable, draft, replace, replace_with, temporary};

    #[test]
    fn a_temporary_file_has_no_name_and_can_be_read_again() {
        use std::os::unix::fs::{FileExt, MetadataExt};
        let file = temporary().unwrap();
        file.write_all_at(b"content", 0).unwrap();
        let mut read = [0; 7];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!((&read, file.metadata().unwrap().nlink()), (b"content", 0));
    }

    #[test]
    fn a_link_is_followed_and_permissions_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        check_writable(&link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file was left");
    }

    #[test]
    fn what_cannot_be_made_whole_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "old").unwrap();
        let mut fill = |to: &mut dyn Write| {
            to.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        assert_eq!(replace_with(&file, &mut fill).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn a_draft_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        for path in [&folder.path().join("file"), Path::new("/dev/null")] {
            let mut draft = draft(path).unwrap();
            draft.write_all(b"some").unwrap();
            draft.rewind().unwrap();
            assert_eq!(io::read_to_string(draft).unwrap(), "some");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn devices_are_written_and_folders_refused() {
        replace(Path::new("/dev/null"), b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert!(check_writable(Path::new("/dev")).is_err());
        assert!(check_writable(Path::new("/no/such/folder/file")).is_err());
    }
}
