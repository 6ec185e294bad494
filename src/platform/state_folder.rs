//! The state directory: directories and files that are used only while they belong to the user.
//!
//! Everything is created with mode 0700 or 0600. Existing entries are used only if they belong to the effective user,
//! no other user can write to them, and they are not symbolic links. The path to the directory may contain links; if
//! its last component is one, it must belong to the user or root, because its owner can change it at any time. SQLite
//! opens its files by path, which is safe after this check: only the user and root can rename entries of such a
//! directory.

use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use super::path_walk;
use super::process;
use crate::error::{Error, Result};

const HELP: &str = "Check that its folder may be written, or name another one by RUNNER_STATE_DIR";
/// Write permission for group or others. With an ACL the group bits are its mask, so they cover it too.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Prefixes of our own entries. Other entries are not checked: the directory may contain other things.
const OWN_NAMES: [&str; 4] = ["queue.", "worker.", "logs", "notices"];

/// Checks the state directory and our entries in it. It need not exist yet.
pub fn check(folder: &Path) -> Result<()> {
    // Links above it are followed by the rule for shared directories: not where another user put them into one.
    path_walk::check_parents(folder).map_err(Error::path("use", folder, HELP))?;
    match std::fs::symlink_metadata(folder) {
        Ok(found) if found.file_type().is_symlink() && ![process::effective_user(), 0].contains(&found.uid()) => {
            return Err(foreign(folder, found.uid()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(folder, error)),
    }
    let opened =
        match rustix::fs::openat(CWD, folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(opened) => File::from(opened),
            Err(errno) => return Err(refused_folder(folder, errno.into())),
        };
    let metadata = opened.metadata().map_err(|error| unreadable(folder, error))?;
    check_owner(folder, &metadata)?;
    let entries = rustix::fs::Dir::read_from(&opened).map_err(|errno| unreadable(folder, errno.into()))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy();
        if OWN_NAMES.iter().any(|own| name.starts_with(own)) {
            check_entry(&folder.join(&*name))?;
        }
    }
    Ok(())
}

/// Checks an entry of the directory, if it exists.
pub fn check_entry(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_symlink() => Err(linked(path)),
        Ok(found) => check_owner(path, &found),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// Checks owner and mode of a file opened at this path.
pub(super) fn check_owner(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.uid() != process::effective_user() {
        return Err(foreign(path, metadata.uid()));
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        let reason = format!("other users can write to it (mode {:04o})", metadata.mode() & 0o7777);
        let help = format!(
            "Check its content, then run 'chmod go-w {}'; or set RUNNER_STATE_DIR to another directory",
            path.display()
        );
        return Err(refused(path, reason, help));
    }
    Ok(())
}

/// Creates a directory and its parents. An existing one must be ours.
pub fn make(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir()) {
        make(parent)?;
    }
    // A link to a directory may stand here, and is checked.
    if !path.is_dir() {
        make_one(path)?;
    }
    check(path)
}

/// Creates a subdirectory of an existing state directory.
pub fn make_one(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        // Whatever the umask takes away: we must be able to use it.
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(Error::path(
            "set the mode of",
            path,
            HELP,
        )),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check_entry(path),
        Err(error) => Err(Error::path("make the folder", path, HELP)(error)),
    }
}

/// Creates an empty file. An existing one must be ours and keeps its content.
pub fn make_file(path: &Path) -> Result<()> {
    open(path, OFlags::WRONLY | OFlags::CREATE).map(drop)
}

/// Opens a file to add to its end, and makes it where it is missing.
pub fn append(path: &Path) -> Result<File> {
    open(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)
}

/// Opens a file to write anywhere in it, what it holds kept. It is made where it is missing.
pub fn write(path: &Path) -> Result<File> {
    open(path, OFlags::WRONLY | OFlags::CREATE)
}

/// Opens a file to read it. None: it does not exist.
pub fn read(path: &Path) -> Result<Option<File>> {
    match open(path, OFlags::RDONLY) {
        Ok(file) => Ok(Some(file)),
        Err(Error::Path { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Follows no link, and does not block on a FIFO.
fn open(path: &Path, access: OFlags) -> Result<File> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(CWD, path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(opened) => File::from(opened),
        Err(rustix::io::Errno::LOOP) => return Err(linked(path)),
        Err(errno) => return Err(Error::path("open", path, HELP)(errno)),
    };
    let metadata = opened.metadata().map_err(Error::path("open", path, HELP))?;
    if !metadata.is_file() {
        return Err(refused(
            path,
            "it is not a regular file".to_owned(),
            "Remove it; runner creates it again".to_owned(),
        ));
    }
    check_owner(path, &metadata)?;
    if access.contains(OFlags::CREATE) && metadata.mode() & 0o600 != 0o600 {
        // A umask took the owner's rights to a new file.
        opened.set_permissions(Permissions::from_mode(0o600)).map_err(Error::path("set the mode of", path, HELP))?;
    }
    Ok(opened)
}

/// The error for a directory that cannot be opened: a foreign owner is the more useful reason.
fn refused_folder(folder: &Path, error: io::Error) -> Error {
    match std::fs::metadata(folder) {
        Ok(found) if found.uid() != process::effective_user() => foreign(folder, found.uid()),
        _ => unreadable(folder, error),
    }
}

fn foreign(path: &Path, owner: u32) -> Error {
    let (owner, own) = (process::display_user(owner), process::display_user(process::effective_user()));
    refused(
        path,
        format!("it belongs to {owner}, and runner runs as {own}"),
        format!("Run it as {owner}, or set RUNNER_STATE_DIR to a directory of your own"),
    )
}

fn linked(path: &Path) -> Error {
    refused(
        path,
        "it is a symbolic link".to_owned(),
        "Remove the link: links in the state directory are not followed; or set RUNNER_STATE_DIR to another directory"
            .to_owned(),
    )
}

fn refused(path: &Path, reason: String, remediation: String) -> Error {
    Error::path("use", path, remediation)(io::Error::new(ErrorKind::PermissionDenied, reason))
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::path("read", path, "Check its permissions, or set RUNNER_STATE_DIR to another directory")(error)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::{append, check, make, make_file, read, write};
    use crate::error::{Error, Result};
    use crate::model::envelope::ErrorCode;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn assert_refused<T>(result: Result<T>, path: &Path, reason: &str) {
        let Err(error) = result else { panic!("{} is used", path.display()) };
        assert_eq!(error.kind(), ErrorCode::AuthorizationDenied);
        assert_eq!(error.to_string(), format!("cannot use {}: {reason}", path.display()));
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("state");
        check(&folder).unwrap();
        make(&folder).unwrap();
        for mode in [0o755, 0o700, 0o750] {
            set_mode(&folder, mode);
            check(&folder).unwrap();
        }
        for mode in [0o770, 0o702, 0o1777] {
            set_mode(&folder, mode);
            let reason = format!("other users can write to it (mode {mode:04o})");
            assert_refused(check(&folder), &folder, &reason);
            assert_refused(make(&folder), &folder, &reason);
        }
    }

    #[test]
    fn only_our_own_entries_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/etc", folder.path().join("of another program")).unwrap();
        check(folder.path()).unwrap();
        for name in ["queue.db", "queue.db-wal", "worker.log", "worker.bell", "logs"] {
            let path = folder.path().join(name);
            symlink("/etc/passwd", &path).unwrap();
            assert_refused(check(folder.path()), &path, "it is a symbolic link");
            fs::remove_file(&path).unwrap();
            fs::write(&path, "").unwrap();
            set_mode(&path, 0o666);
            assert_refused(check(folder.path()), &path, "other users can write to it (mode 0666)");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn links_in_the_path_to_the_directory_are_followed() {
        let place = tempfile::tempdir().unwrap();
        let [real, link, above] = ["real", "link", "above"].map(|name| place.path().join(name));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        symlink(place.path(), &above).unwrap();
        check(&link).unwrap();
        check(&above.join("real")).unwrap();
        set_mode(&real, 0o777);
        assert_refused(check(&link), &link, "other users can write to it (mode 0777)");
    }

    #[test]
    fn no_file_is_opened_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link] = ["target", "link"].map(|name| folder.path().join(name));
        fs::write(&target, "whole").unwrap();
        symlink(&target, &link).unwrap();
        assert_refused(append(&link), &link, "it is a symbolic link");
        assert_refused(write(&link), &link, "it is a symbolic link");
        assert_refused(read(&link), &link, "it is a symbolic link");
        assert_refused(make_file(&link), &link, "it is a symbolic link");
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert!(read(&folder.path().join("none")).unwrap().is_none());
        assert!(matches!(write(folder.path()), Err(Error::Path { .. })));
    }
}
