//! `runner op copy` keeps what it copies as it was, and never leaves half a file.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Stdio;

use crate::support::files::{
    answer, kill, large_file, manifest, names, odd_name, op, op_command, peer, wait_for_writer,
};
use crate::support::{folder, is_alive, set_mode, signal, wait_until};

/// A tree with all that is worth keeping.
fn tree(root: &Path) {
    fs::create_dir_all(root.join("sub/read-only")).expect("a fixture");
    fs::write(root.join("file"), "content").expect("a fixture");
    fs::write(root.join("empty"), "").expect("a fixture");
    fs::write(root.join(odd_name()), "odd").expect("a fixture");
    fs::hard_link(root.join("file"), root.join("sub/second name")).expect("a fixture");
    symlink("../file", root.join("sub/link")).expect("a fixture");
    symlink("nowhere", root.join("dangling")).expect("a fixture");
    fs::write(root.join("sub/read-only/inside"), "inside").expect("a fixture");
    set_mode(&root.join("file"), 0o640);
    set_mode(&root.join("sub/read-only"), 0o555);
    peer(root, "touch", &["-d", "2001-02-03 04:05:06.789", "file", "sub/read-only", "sub"]);
    peer(root, "touch", &["-h", "-d", "2002-02-02", "dangling", "sub/link"]);
}

/// Temporary folders must be removable.
fn unlock(root: &Path) {
    set_mode(&root.join("sub/read-only"), 0o755);
}

#[test]
fn a_tree_is_copied_as_cp_does() {
    let folder = folder();
    let source = folder.path().join("source");
    tree(&source);
    let copied = op(folder.path(), &["copy", "source", "ours"]);
    peer(folder.path(), "cp", &["-a", "source", "theirs"]);
    let result = copied.result().clone();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    assert_eq!(manifest(&ours), manifest(&theirs));
    let nanoseconds = |root: &Path| fs::metadata(root.join("file")).unwrap().mtime_nsec();
    assert_eq!(nanoseconds(&ours), nanoseconds(&theirs));
    assert_eq!((result["files_done"].as_u64(), result["files_total"].as_u64()), (Some(7), Some(7)));
    assert_eq!(result["destination"], "ours");
    // Once more, into what is there now.
    assert_eq!(op(folder.path(), &["copy", "source/.", "ours"]).code, Some(0));
    assert_eq!(manifest(&ours), manifest(&theirs));
    [&source, &ours, &theirs].into_iter().for_each(|root| unlock(root));
}

#[test]
fn holes_stay_holes() {
    let folder = folder();
    let source = folder.path().join("sparse");
    let file = fs::File::create(&source).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"data in the middle", 40_000_000).unwrap();
    drop(file);
    let copied = op(folder.path(), &["copy", "sparse", "copy"]);
    let metadata = fs::metadata(folder.path().join("copy")).unwrap();
    assert_eq!(metadata.len(), 64 << 20);
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    assert!(copied.result()["sparse_bytes_skipped"].as_u64() > Some(60 << 20), "{:#}", copied.envelope);
    assert!(fs::read(&source).unwrap() == fs::read(folder.path().join("copy")).unwrap());
}

#[test]
fn several_sources_go_into_a_folder_only() {
    let folder = folder();
    for name in ["one", "two"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    op(folder.path(), &["copy", "one", "two", "missing"]).assert_failed("NOT_FOUND", &["missing"]);
    op(folder.path(), &["copy", "one", "two", "one"]).assert_failed("NOT_FOUND", &["one"]);
    op(folder.path(), &["copy", "one", "missing/"]).assert_failed("NOT_FOUND", &["missing/"]);
    assert_eq!(names(folder.path()), ["one", "two"]);
    fs::create_dir(folder.path().join("into")).unwrap();
    assert_eq!(op(folder.path(), &["copy", "one", "two", "into"]).result()["files_done"], 2);
    assert_eq!(names(&folder.path().join("into")), ["one", "two"]);
    // Two sources of one name would overwrite each other.
    op(folder.path(), &["copy", "one", "into/one", "into"]).assert_failed("CONFLICT", &["one"]);
}

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("dir/sub")).unwrap();
    fs::write(folder.path().join("file"), "old").unwrap();
    fs::hard_link(folder.path().join("file"), folder.path().join("same")).unwrap();
    let before = manifest(folder.path());
    for (sources, code) in [
        (["file", "file"], "CONFLICT"),
        (["file", "same"], "CONFLICT"),
        (["dir", "dir"], "CONFLICT"),
        (["dir", "dir/sub"], "CONFLICT"),
        (["dir", "dir/sub/new"], "CONFLICT"),
        (["dir", "file"], "CONFLICT"),
        (["none", "new"], "NOT_FOUND"),
        (["file", "none/new"], "NOT_FOUND"),
    ] {
        let refused = op(folder.path(), &["copy", sources[0], sources[1]]);
        refused.assert_failed(code, &[]);
    }
    fs::create_dir_all(folder.path().join("into/file")).unwrap();
    op(folder.path(), &["copy", "file", "into"]).assert_failed("CONFLICT", &["into/file"]);
    fs::remove_dir_all(folder.path().join("into")).unwrap();
    assert_eq!(manifest(folder.path()), before);
    assert_eq!(op(folder.path(), &["copy", "file"]).code, Some(125));
}

#[test]
fn what_cannot_be_copied_is_named_after_the_rest_is_copied() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("source")).unwrap();
    fs::create_dir_all(folder.path().join("target/source/b")).unwrap();
    for name in ["source/a", "source/b", "source/c"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    peer(folder.path(), "mkfifo", &["source/pipe"]);
    let failed = op(folder.path(), &["copy", "source", "target"]);
    failed.assert_failed("COMMAND_FAILED", &["2 entries"]);
    let text = failed.partial()["failed"].to_string();
    assert!(text.contains("source/pipe") && text.contains("source/b"), "{text}");
    assert_eq!(failed.partial()["files_done"], 2);
    assert_eq!(names(&folder.path().join("target/source")), ["a", "b", "c"]);
    assert!(folder.path().join("target/source/b").is_dir());
}

#[test]
fn what_a_list_lacks_is_counted() {
    let folder = folder();
    fs::create_dir(folder.path().join("source")).unwrap();
    let pipes: Vec<String> = (0..1200).map(|number| format!("source/{number}")).collect();
    peer(folder.path(), "mkfifo", &pipes);
    let failed = op(folder.path(), &["copy", "source", "target"]);
    failed.assert_failed("COMMAND_FAILED", &["1200 entries"]);
    assert_eq!(failed.partial()["failed_omitted"], 200);
    for (arguments, list) in
        [(["archive", "-o", "x.tar", "source"].as_slice(), "skipped"), (["hash", "source"].as_slice(), "skipped")]
    {
        let done = op(folder.path(), arguments);
        assert_eq!(done.result()[list].as_array().map(Vec::len), Some(1000), "{arguments:?}");
        assert_eq!(done.result()[format!("{list}_omitted")], 200, "{arguments:?}");
    }
}

#[test]
fn a_link_at_the_destination_is_followed_and_a_device_is_never_replaced() {
    let folder = folder();
    fs::write(folder.path().join("file"), "new").unwrap();
    fs::write(folder.path().join("real"), "old").unwrap();
    symlink("real", folder.path().join("link")).unwrap();
    assert_eq!(op(folder.path(), &["copy", "file", "link"]).code, Some(0));
    assert_eq!(fs::read(folder.path().join("real")).unwrap(), b"new");
    assert!(fs::symlink_metadata(folder.path().join("link")).unwrap().is_symlink());
    assert_eq!(op(folder.path(), &["copy", "file", "/dev/null"]).code, Some(0));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

/// Long enough for a copy to be caught in the middle.
const MEBIBYTES: u32 = 768;

#[test]
fn a_copy_that_is_stopped_leaves_no_half_file() {
    let folder = folder();
    large_file(&folder.path().join("large"), MEBIBYTES);
    let target = folder.path().join("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("large"), "what was there").unwrap();
    let child = op_command(folder.path(), &["copy", "large", "target"]).stdout(Stdio::piped()).spawn().unwrap();
    wait_for_writer(&target);
    signal(child.id().cast_signed(), libc::SIGTERM);
    let stopped = answer(&child.wait_with_output().unwrap());
    assert_eq!(stopped.code, Some(143), "{:#}", stopped.envelope);
    let partial = stopped.partial();
    assert_eq!(partial["bytes_total"], u64::from(MEBIBYTES) << 20);
    assert!(partial["bytes"].as_u64() < partial["bytes_total"].as_u64(), "{partial}");
    assert_eq!(names(&target), ["large"]);
    assert_eq!(fs::read(target.join("large")).unwrap(), b"what was there");
}

#[test]
fn a_copy_that_is_killed_leaves_no_half_file() {
    let folder = folder();
    large_file(&folder.path().join("large"), MEBIBYTES);
    let target = folder.path().join("target");
    fs::create_dir(&target).unwrap();
    let mut child = op_command(folder.path(), &["copy", "large", "target"]).stdout(Stdio::null()).spawn().unwrap();
    let writer = wait_for_writer(&target);
    kill(writer);
    let status = child.wait().unwrap();
    assert!(!status.success(), "the copy was over before it was killed");
    // Where files without a name exist, not even that of a temporary one is left.
    let left = names(&target);
    assert!(!left.contains(&"large".to_owned()), "{left:?}");
    assert!(left.iter().all(|name| name.starts_with(".runner-")), "{left:?}");
}

#[test]
fn a_copy_dies_with_runner() {
    let folder = folder();
    large_file(&folder.path().join("large"), MEBIBYTES);
    let target = folder.path().join("target");
    fs::create_dir(&target).unwrap();
    let mut child = op_command(folder.path(), &["copy", "large", "target"]).stdout(Stdio::null()).spawn().unwrap();
    let writer = wait_for_writer(&target);
    kill(child.id().cast_signed());
    child.wait().unwrap();
    wait_until(crate::support::SOON, "the end of the copy", || !is_alive(writer));
    assert!(!names(&target).contains(&"large".to_owned()));
}

#[test]
fn what_was_just_copied_is_not_copied_over() {
    let folder = folder();
    for name in ["d", "e"] {
        fs::create_dir_all(folder.path().join(name).join("sub")).unwrap();
        fs::write(folder.path().join(name).join("f"), name).unwrap();
        fs::write(folder.path().join(name).join("sub").join(name), name).unwrap();
    }
    fs::create_dir(folder.path().join("out")).unwrap();
    let refused = op(folder.path(), &["copy", "d/.", "e/f", "out"]);
    refused.assert_failed("CONFLICT", &["cannot copy e/f to out/f", "d/./f has just been copied there"]);
    assert_eq!(refused.envelope["error"]["details"]["argument"], "out/f");
    assert_eq!(fs::read(folder.path().join("out/f")).unwrap(), b"d");
    // What was there before is replaced, and folders are merged.
    fs::remove_file(folder.path().join("d/f")).unwrap();
    assert_eq!(op(folder.path(), &["copy", "d/.", "e/.", "out"]).result()["files_done"], 3);
    assert_eq!(fs::read(folder.path().join("out/f")).unwrap(), b"e");
    assert_eq!(names(&folder.path().join("out/sub")), ["d", "e"]);
}

#[test]
fn a_copy_that_is_stopped_while_it_counts_says_so() {
    for arguments in [["copy", "/usr", "target"].as_slice(), &["archive", "-o", "x.tar", "-C", "/usr", "."]] {
        let folder = folder();
        let mut command = crate::support::runner();
        command.current_dir(folder.path()).args(["op", "--json", "--timeout", "0.15"]).args(arguments);
        let stopped = answer(&command.output().unwrap());
        assert_eq!(stopped.code, Some(124), "{:#}", stopped.envelope);
        let partial = stopped.partial();
        let total = if arguments[0] == "copy" { "files_total" } else { "entries_total" };
        assert!(partial[total].as_u64() > Some(0), "{:#}", stopped.envelope);
    }
}

#[test]
fn a_fault_of_the_destination_names_it() {
    let folder = folder();
    fs::write(folder.path().join("file"), "content").unwrap();
    let failed = op(folder.path(), &["copy", "file", "/dev/full"]);
    failed.assert_failed("SERVICE_UNAVAILABLE", &["cannot copy file to /dev/full: "]);
    assert_eq!(failed.envelope["error"]["details"]["argument"], "/dev/full");
    fs::create_dir_all(folder.path().join("source")).unwrap();
    fs::create_dir_all(folder.path().join("target/source/file")).unwrap();
    fs::write(folder.path().join("source/file"), "content").unwrap();
    let failed = op(folder.path(), &["copy", "source", "target"]);
    failed.assert_failed("COMMAND_FAILED", &["cannot copy source/file to target/source/file: "]);
    assert_eq!(failed.envelope["error"]["details"]["argument"], "target/source/file");
}

#[test]
fn special_files_are_written_into_or_refused_and_never_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let folder = folder();
    fs::create_dir_all(folder.path().join("source")).unwrap();
    fs::create_dir_all(folder.path().join("dir/source")).unwrap();
    fs::write(folder.path().join("file"), "content").unwrap();
    fs::write(folder.path().join("source/file"), "content").unwrap();
    peer(folder.path(), "mkfifo", &["dir/file", "dir/source/file"]);
    op(folder.path(), &["copy", "file", "dir"]).assert_failed("CONFLICT", &["dir/file", "not replaced"]);
    op(folder.path(), &["copy", "source", "dir"]).assert_failed("COMMAND_FAILED", &["dir/source/file", "not replaced"]);
    for name in ["dir/file", "dir/source/file"] {
        assert!(fs::symlink_metadata(folder.path().join(name)).unwrap().file_type().is_fifo(), "{name}");
    }
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let mut command = crate::support::runner();
        let output = command.current_dir(folder.path()).args(["op", "copy", "file", name]).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"content"[..]), "{name} {output:?}");
    }
}
