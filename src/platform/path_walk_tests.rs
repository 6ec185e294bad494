//! Tests of path resolution: the ownership rule with made-up users, and the results compared with the kernel's.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::{Entry, check_entry, check_parents, locate, locate_file, open};
use crate::platform::folder::Folder;

const ALICE: u32 = 1000;
const MALLORY: u32 = 1001;
const STICKY: u32 = 0o1777;

#[test]
fn only_the_user_and_the_owner_of_a_sticky_directory_are_trusted() {
    for (user, owner, folder_owner, folder_mode, is_untrusted) in [
        (0, MALLORY, 0, STICKY, true),
        (ALICE, MALLORY, 0, STICKY, true),
        (ALICE, MALLORY, ALICE, STICKY, true),
        (ALICE, ALICE, 0, STICKY, false),
        (ALICE, 0, 0, STICKY, false),
        (0, MALLORY, MALLORY, STICKY, false),
        // Root is not trusted as such: it owns neither the link nor the directory.
        (ALICE, 0, MALLORY, STICKY, true),
        (0, MALLORY, 0, 0o777, false),
        (0, MALLORY, 0, 0o1755, false),
        (0, MALLORY, 0, 0o1775, false),
    ] {
        let entry = Entry { owner, folder_owner, folder_mode };
        assert_eq!(
            entry.is_untrusted(user, libc::S_IWOTH),
            is_untrusted,
            "user {user}, owner {owner}, folder {folder_owner} {folder_mode:o}"
        );
    }
    let of_a_group = Entry { owner: MALLORY, folder_owner: 0, folder_mode: 0o1775 };
    assert!(
        of_a_group.is_untrusted(0, libc::S_IWOTH | libc::S_IWGRP),
        "files in group-writable directories are protected"
    );
}

/// `d/file`, `d/e`, and every kind of link.
fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("d/e")).unwrap();
    fs::write(at("d/file"), "content").unwrap();
    for (target, link) in [
        ("d", "folder"),
        ("d/", "slash"),
        ("d/file", "file"),
        ("folder/file", "through"),
        ("../d/e/../file", "d/up"),
        ("nowhere", "dangling"),
        ("loop", "loop"),
        ("/proc/self/cwd", "magic"),
    ] {
        symlink(target, at(link)).unwrap();
    }
    symlink(at("d/file"), at("absolute")).unwrap();
    root
}

#[test]
fn a_path_leads_where_the_kernel_says() {
    let root = tree();
    for path in [
        "d/file",
        "d//./file",
        "d/e/../file",
        "folder/file",
        "folder/",
        "slash/e",
        "slash",
        "file",
        "through",
        "folder/up",
        "absolute",
        "magic/.",
        "d/file/",
        "file/x",
        "file/",
        "loop",
        "loop/x",
        "dangling/x",
        "nothing/x",
    ] {
        let path = root.path().join(path);
        let ours = locate(&path).and_then(|found| {
            let name = found.name.as_deref().unwrap_or(OsStr::new("."));
            let stat = rustix::fs::statat(found.folder.descriptor(), name, rustix::fs::AtFlags::empty())?;
            Ok((stat.st_dev, stat.st_ino))
        });
        let theirs = fs::metadata(&path).map(|metadata| (metadata.dev(), metadata.ino()));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{}", path.display()),
            (Err(ours), Err(theirs)) => {
                assert_eq!(ours.raw_os_error(), theirs.raw_os_error(), "{}: {ours}", path.display());
            }
            (ours, theirs) => panic!("{}: {ours:?}, but {theirs:?}", path.display()),
        }
    }
}

#[test]
fn a_file_that_does_not_exist_is_found_by_its_folder() {
    let root = tree();
    let (folder, name) = locate_file(&root.path().join("dangling")).unwrap();
    assert_eq!((folder.path(), name.as_os_str()), (root.path(), OsStr::new("nowhere")));
    assert_eq!(locate_file(&root.path().join("slash")).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    assert_eq!(locate(Path::new("")).unwrap_err().kind(), io::ErrorKind::NotFound);
    let (folder, name) = locate_file(Path::new("name")).unwrap();
    assert_eq!((folder.path(), name.as_os_str()), (Path::new("."), OsStr::new("name")));
}

#[test]
fn a_file_is_opened_through_links_and_made_where_it_is_missing() {
    let root = tree();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    open(&root.path().join("through"), flags, Mode::RUSR | Mode::WUSR).unwrap();
    assert_eq!(fs::read(root.path().join("d/file")).unwrap(), b"");
    open(&root.path().join("dangling"), flags, Mode::RUSR | Mode::WUSR).unwrap();
    assert!(root.path().join("nowhere").is_file());
    assert_eq!(open(&root.path().join("slash"), flags, Mode::empty()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    let kept = open(&root.path().join("folder/up"), OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty());
    assert_eq!(kept.unwrap_err().raw_os_error(), Some(libc::ELOOP), "the last link is not followed");
    open(&root.path().join("folder/file"), OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty()).unwrap();
    // A magic link to a pipe has no path.
    let (reader, writer) = io::pipe().unwrap();
    let magic = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
    assert!(locate(Path::new(&magic)).unwrap().is_magic);
    drop(open(Path::new(&magic), OFlags::WRONLY, Mode::empty()).unwrap());
    drop(reader);
}

/// Needs root to change owners.
#[test]
fn entries_of_another_user_in_a_sticky_directory_are_refused() {
    let root = tree();
    let shared = root.path().join("shared");
    fs::create_dir(&shared).unwrap();
    rustix::fs::chmod(&shared, Mode::from_raw_mode(0o1777)).unwrap();
    symlink("../d/file", shared.join("link")).unwrap();
    symlink("../d", shared.join("folder")).unwrap();
    fs::write(shared.join("file"), "theirs").unwrap();
    rustix::fs::mknodat(CWD, shared.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
    let write = |name: &str| open(&shared.join(name), flags, Mode::RUSR).map(drop);
    // Our own entries are used.
    for name in ["link", "folder/file", "file"] {
        write(name).unwrap();
        check_parents(&shared.join(name)).unwrap();
    }
    fs::write(shared.join("file"), "theirs").unwrap();
    for name in ["link", "folder", "file", "fifo"] {
        if std::os::unix::fs::lchown(shared.join(name), Some(MALLORY), None).is_err() {
            return;
        }
    }
    fs::write(root.path().join("d/file"), "content").unwrap();
    for name in ["link", "folder/file", "folder/new", "file", "fifo"] {
        let error = write(name).unwrap_err();
        let text = error.to_string();
        let named = shared.join(name.split('/').next().unwrap());
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{text}");
        assert!(text.contains(named.to_str().unwrap()) && text.contains("uid 1001"), "{text}");
    }
    assert_eq!(fs::read(root.path().join("d/file")).unwrap(), b"content");
    assert_eq!(fs::read(shared.join("file")).unwrap(), b"theirs");
    assert!(check_parents(&shared.join("folder/file")).is_err());
    check_parents(&shared.join("link")).unwrap();
    // `check_entry` does not follow links; a link may be replaced.
    let folder = Folder::open(&shared).unwrap();
    check_entry(&folder, OsStr::new("link")).unwrap();
    assert!(check_entry(&folder, OsStr::new("file")).is_err());
    // Files may be read.
    assert_eq!(fs::read(shared.join("file")).unwrap(), b"theirs");
    open(&shared.join("file"), OFlags::RDONLY, Mode::empty()).unwrap();
    // Nothing is refused in a directory that only its owner can write to.
    rustix::fs::chmod(&shared, Mode::from_raw_mode(0o1755)).unwrap();
    write("link").unwrap();
}
