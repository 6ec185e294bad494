//! `runner op archive` and `extract`: what goes in comes out, and nothing comes out elsewhere.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use tar::{Builder, EntryType, Header};

use crate::support::files::{answer, large_file, manifest, names, odd_name, op, op_command, peer, wait_for_writer};
use crate::support::has_program;
use crate::support::{folder, set_mode, signal, strings};

const FORMS: [&str; 3] = ["x.tar", "x.tar.gz", "x.tar.zst"];

/// A tree with all that is worth keeping.
fn tree(root: &Path) {
    let long = "n".repeat(180);
    fs::create_dir_all(root.join("sub").join(&long)).expect("a fixture");
    fs::create_dir_all(root.join("empty folder")).expect("a fixture");
    fs::write(root.join("file"), "content".repeat(1000)).expect("a fixture");
    fs::write(root.join("empty"), "").expect("a fixture");
    fs::write(root.join(odd_name()), "odd").expect("a fixture");
    fs::write(root.join("sub").join(&long).join("f"), "deep").expect("a fixture");
    fs::hard_link(root.join("file"), root.join("sub/second name")).expect("a fixture");
    symlink("../file", root.join("sub/link")).expect("a fixture");
    symlink(format!("sub/{long}/f"), root.join("long link")).expect("a fixture");
    set_mode(&root.join("file"), 0o640);
    set_mode(&root.join("empty folder"), 0o555);
    peer(root, "touch", &["-d", "2001-02-03 04:05:06", "file", "sub"]);
}

#[test]
fn what_goes_in_comes_out() {
    let folder = folder();
    tree(&folder.path().join("tree"));
    let before = manifest(folder.path());
    for form in FORMS {
        let packed = op(folder.path(), &["archive", "-o", form, "tree"]);
        assert_eq!(packed.result()["file"], form);
        let target = folder.path().join(format!("from {form}"));
        fs::create_dir(&target).unwrap();
        let unpacked = op(folder.path(), &["extract", form, "-C", target.to_str().unwrap()]);
        assert_eq!(unpacked.result()["entries"], packed.result()["entries"]);
        assert_eq!(manifest(&target), before, "{form}");
    }
}

#[test]
fn tar_reads_what_we_write_and_we_read_what_tar_writes() {
    if !has_program("tar") {
        return;
    }
    let folder = folder();
    tree(&folder.path().join("tree"));
    let before = manifest(folder.path());
    for form in FORMS {
        let target = folder.path().join(format!("theirs {form}"));
        fs::create_dir(&target).unwrap();
        assert_eq!(op(folder.path(), &["archive", "-o", form, "tree"]).code, Some(0));
        peer(&target, "tar", &["-xpf", &format!("../{form}")]);
        assert_eq!(manifest(&target), before, "{form}");
    }
    for (number, format) in ["gnu", "pax"].into_iter().enumerate() {
        let target = folder.path().join(format!("ours {number}"));
        fs::create_dir(&target).unwrap();
        peer(folder.path(), "tar", &["-cf", "theirs.tar", "--format", format, "tree"]);
        assert_eq!(op(&target, &["extract", "../theirs.tar"]).code, Some(0));
        assert_eq!(manifest(&target), before, "{format}");
    }
}

#[test]
fn names_are_relative_and_the_archive_is_not_in_itself() {
    let folder = folder();
    fs::write(folder.path().join("a"), "a").unwrap();
    fs::write(folder.path().join("x.tar"), "an older one").unwrap();
    let packed = op(folder.path(), &["archive", "-o", "x.tar", "."]);
    assert_eq!(packed.result()["entries"], 1);
    assert_eq!(strings(&packed.result()["skipped"]), ["./x.tar"]);
    let absolute = folder.path().join("a");
    let packed = op(folder.path(), &["archive", "-o", "y.tar", absolute.to_str().unwrap()]);
    assert_eq!(packed.code, Some(0));
    let stored = names_in(&folder.path().join("y.tar"));
    assert_eq!(stored, [absolute.to_str().unwrap().trim_start_matches('/')]);
    let packed = op(
        Path::new("/"),
        &["archive", "-o", folder.path().join("z.tar").to_str().unwrap(), "-C", folder.path().to_str().unwrap(), "a"],
    );
    assert_eq!(packed.code, Some(0));
    assert_eq!(names_in(&folder.path().join("z.tar")), ["a"]);
}

fn names_in(archive: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(fs::File::open(archive).expect("a fixture"));
    archive
        .entries()
        .expect("a fixture")
        .map(|entry| entry.expect("a fixture").path().expect("a fixture").display().to_string())
        .collect()
}

#[test]
fn an_archive_that_fails_does_not_exist() {
    let folder = folder();
    fs::write(folder.path().join("a"), "a").unwrap();
    fs::write(folder.path().join("x.tgz"), "an older one").unwrap();
    op(folder.path(), &["archive", "-o", "x.tgz", "a", "missing"]).assert_failed("NOT_FOUND", &["missing"]);
    op(folder.path(), &["archive", "-o", "none/x.tgz", "a"]).assert_failed("NOT_FOUND", &["none/x.tgz"]);
    assert_eq!(names(folder.path()), ["a", "x.tgz"]);
    assert_eq!(fs::read(folder.path().join("x.tgz")).unwrap(), b"an older one");
}

#[test]
fn wrong_calls_say_what_would_be_right() {
    let folder = folder();
    fs::write(folder.path().join("a"), "a").unwrap();
    op(folder.path(), &["archive", "-o", "x.zip", "a"]).assert_refused(&["x.zip", ".tar.zst"]);
    op(folder.path(), &["archive", "-o", "x.tar", "../a"]).assert_refused(&["../a", "-C"]);
    op(folder.path(), &["archive", "-o", "x.tar", "--level", "3", "a"]).assert_refused(&["level"]);
    op(folder.path(), &["archive", "-o", "x.tgz", "--level", "10", "a"]).assert_refused(&["0 to 9"]);
    op(folder.path(), &["archive", "-o", "x.tzst", "--level", "0", "a"]).assert_refused(&["1 to 22"]);
    op(folder.path(), &["extract", "x"]).assert_refused(&["--format"]);
    op(folder.path(), &["extract", "-"]).assert_refused(&["--format"]);
    op(folder.path(), &["extract", "none.tar"]).assert_failed("NOT_FOUND", &["none.tar"]);
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn standard_input_is_extracted() {
    let folder = folder();
    fs::write(folder.path().join("a"), "a").unwrap();
    assert_eq!(op(folder.path(), &["archive", "-o", "x.tgz", "a"]).code, Some(0));
    fs::create_dir(folder.path().join("out")).unwrap();
    let mut command = op_command(folder.path(), &["extract", "--format", "tar.gz", "-C", "out", "-"]);
    let input = fs::File::open(folder.path().join("x.tgz")).unwrap();
    let unpacked = answer(&command.stdin(Stdio::from(input)).output().unwrap());
    assert_eq!(unpacked.result()["bytes"], 1);
    assert_eq!(names(&folder.path().join("out")), ["a"]);
}

/// An archive in the making, in which everything can be said.
struct Evil(Builder<Vec<u8>>);

impl Evil {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, name: &str, target: &str, content: &str) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o6755);
        header.set_mtime(1);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content.as_bytes()).expect("a fixture");
        self
    }

    fn file(self, name: &str) -> Self {
        self.entry(EntryType::Regular, name, "", "evil")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, "")
    }

    fn write(self, path: &Path) {
        fs::write(path, self.0.into_inner().expect("a fixture")).expect("a fixture");
    }
}

/// Extracts an archive with a good entry first, and expects the next to be refused and nothing else to happen.
#[track_caller]
fn assert_refused(evil: impl FnOnce(Evil) -> Evil, entry: &str, reason: &str, left: &[&str]) {
    let folder = folder();
    let inside = folder.path().join("inside");
    fs::create_dir_all(&inside).expect("a fixture");
    fs::write(folder.path().join("victim"), "unharmed").expect("a fixture");
    let good = Evil::new().entry(EntryType::Regular, "good", "", "good");
    evil(good).file("after").write(&folder.path().join("evil.tar"));
    let before: Vec<String> = manifest(folder.path()).into_iter().filter(|line| !line.contains("inside")).collect();
    let refused = op(folder.path(), &["extract", "evil.tar", "-C", "inside"]);
    refused.assert_failed("VALIDATION_ERROR", &[entry, reason]);
    assert_eq!(refused.envelope["error"]["details"]["argument"], entry, "{:#}", refused.envelope);
    let after: Vec<String> = manifest(folder.path()).into_iter().filter(|line| !line.contains("inside")).collect();
    assert_eq!(before, after, "something happened outside");
    let mut expected = vec!["good"];
    expected.extend(left);
    expected.sort_unstable();
    assert_eq!(names(&inside), expected);
}

#[test]
fn names_that_lead_outside_are_refused() {
    assert_refused(|evil| evil.file("../victim"), "../victim", "'..'", &[]);
    assert_refused(|evil| evil.file("a/../../victim"), "a/../../victim", "'..'", &[]);
    assert_refused(|evil| evil.file("/tmp/victim"), "/tmp/victim", "absolute", &[]);
    assert_refused(|evil| evil.entry(EntryType::Directory, "../new/", "", ""), "../new/", "'..'", &[]);
    assert_refused(|evil| evil.link("../new", "good"), "../new", "'..'", &[]);
    assert_refused(|evil| evil.file("."), ".", "destination itself", &[]);
}

#[test]
fn links_that_lead_outside_are_refused() {
    assert_refused(|evil| evil.link("l", "/etc"), "l", "absolute", &[]);
    assert_refused(|evil| evil.link("l", "../victim"), "l", "outside", &[]);
    assert_refused(|evil| evil.link("d/l", "../../victim"), "d/l", "outside", &[]);
    // Behind the name of another link, '..' leads wherever that one leads.
    assert_refused(|evil| evil.link("d/up", "..").link("d/l", "up/../victim"), "d/l", "'..'", &["d"]);
    let hard = |target: &'static str| move |evil: Evil| evil.entry(EntryType::Link, "h", target, "");
    assert_refused(hard("../victim"), "h", "outside", &[]);
    assert_refused(hard("/etc/passwd"), "h", "outside", &[]);
    assert_refused(hard("missing"), "h", "no file", &[]);
    // The same target leads elsewhere from another folder.
    let soft_then_hard = |evil: Evil| evil.link("d/l", "../good").entry(EntryType::Link, "h", "d/l", "");
    assert_refused(soft_then_hard, "h", "outside", &["d"]);
}

#[test]
fn nothing_goes_through_a_link() {
    assert_refused(|evil| evil.link("l", ".").file("l/file"), "l/file", "through a symbolic link", &["l"]);
    let folder_over_link = |evil: Evil| evil.link("l", ".").entry(EntryType::Directory, "l/", "", "");
    assert_refused(folder_over_link, "l/", "through a symbolic link", &["l"]);
    let hard_through = |evil: Evil| evil.link("l", ".").entry(EntryType::Link, "h", "l/good", "");
    assert_refused(hard_through, "h", "through a symbolic link", &["l"]);
}

#[test]
fn a_link_that_was_there_is_not_gone_through_and_is_replaced_as_a_name() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("inside")).unwrap();
    fs::create_dir_all(folder.path().join("outside")).unwrap();
    fs::write(folder.path().join("victim"), "unharmed").unwrap();
    symlink("../outside", folder.path().join("inside/dir")).unwrap();
    symlink("../victim", folder.path().join("inside/file")).unwrap();
    Evil::new().file("file").file("dir/file").write(&folder.path().join("evil.tar"));
    let refused = op(folder.path(), &["extract", "evil.tar", "-C", "inside"]);
    refused.assert_failed("VALIDATION_ERROR", &["dir/file", "through a symbolic link"]);
    assert_eq!(names(&folder.path().join("outside")), [""; 0]);
    assert_eq!(fs::read(folder.path().join("victim")).unwrap(), b"unharmed");
    assert_eq!(fs::read(folder.path().join("inside/file")).unwrap(), b"evil");
    assert!(fs::symlink_metadata(folder.path().join("inside/file")).unwrap().is_file());
}

#[test]
fn devices_are_refused_and_lent_rights_dropped() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        assert_refused(|evil| evil.entry(kind, "dev", "", ""), "dev", "device or a FIFO", &[]);
    }
    let folder = folder();
    Evil::new().file("d/setuid").entry(EntryType::Directory, "e/", "", "").write(&folder.path().join("x.tar"));
    assert_eq!(op(folder.path(), &["extract", "x.tar"]).code, Some(0));
    for name in ["d/setuid", "e"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{name}");
    }
}

#[test]
fn a_file_never_replaces_a_folder() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("d/keep")).unwrap();
    Evil::new().file("d").write(&folder.path().join("x.tar"));
    op(folder.path(), &["extract", "x.tar"]).assert_failed("COMMAND_FAILED", &["d"]);
    assert_eq!(names(&folder.path().join("d")), ["keep"]);
    fs::write(folder.path().join("f"), "file").unwrap();
    Evil::new().file("f/below").write(&folder.path().join("x.tar"));
    op(folder.path(), &["extract", "x.tar"]).assert_failed("VALIDATION_ERROR", &["f/below", "something else"]);
    let collided = op(folder.path(), &["extract", "x.tar"]);
    let remediation = collided.envelope["error"]["remediation"].as_str().unwrap();
    assert!(!remediation.contains("trust"), "{remediation}");
    assert_eq!(fs::read(folder.path().join("f")).unwrap(), b"file");
}

#[test]
fn an_archive_that_is_cut_short_or_damaged_leaves_whole_files_only() {
    let folder = folder();
    fs::write(folder.path().join("a"), "first").unwrap();
    large_file(&folder.path().join("b"), 3);
    for form in FORMS {
        assert_eq!(op(folder.path(), &["archive", "-o", form, "a", "b"]).code, Some(0));
        let whole = fs::read(folder.path().join(form)).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0x5A);
        let mut cases = vec![("cut short", whole[..whole.len() / 2].to_owned())];
        if form == "x.tar" {
            // Between two entries, where only the missing end mark tells.
            cases.push(("cut short", whole[..1024].to_owned()));
            cases.push(("damaged", [&whole[..1024], &[0x5A; 2048][..]].concat()));
        } else {
            cases.push(("damaged", damaged));
            // The sums of the compression stand at the very end.
            cases.push(("cut short", whole[..whole.len() - 2].to_owned()));
        }
        for (number, (word, bytes)) in cases.into_iter().enumerate() {
            let name = format!("{number}.{form}");
            fs::write(folder.path().join(&name), bytes).unwrap();
            let target = folder.path().join(format!("from {name}"));
            fs::create_dir(&target).unwrap();
            let failed = op(folder.path(), &["extract", &name, "-C", target.to_str().unwrap()]);
            failed.assert_failed("COMMAND_FAILED", &[&name, word]);
            if word == "damaged" && form != "x.tar" {
                // What was packed is known to be wrong at the end of all of it only.
                continue;
            }
            for left in names(&target) {
                let copy = fs::read(target.join(&left)).unwrap();
                assert!(copy == fs::read(folder.path().join(&left)).unwrap(), "{left} of {name} is not whole");
            }
        }
    }
}

#[test]
fn a_bomb_is_bounded() {
    let folder = folder();
    fs::File::create(folder.path().join("zeros")).unwrap().set_len(50 << 20).unwrap();
    fs::write(folder.path().join("a"), "a").unwrap();
    assert_eq!(op(folder.path(), &["archive", "-o", "bomb.tar.zst", "a", "zeros"]).code, Some(0));
    fs::create_dir(folder.path().join("out")).unwrap();
    let refused = op(folder.path(), &["extract", "bomb.tar.zst", "-C", "out", "--max-size", "1M"]);
    refused.assert_failed("VALIDATION_ERROR", &["1M", "zeros"]);
    assert_eq!(names(&folder.path().join("out")), ["a"]);
    let whole = op(folder.path(), &["extract", "bomb.tar.zst", "-C", "out", "--max-size", "51M"]);
    assert_eq!(whole.result()["bytes"], (50 << 20) + 1);
}

#[test]
fn a_name_without_end_is_refused() {
    let folder = folder();
    let name = "a".repeat(6 << 20);
    Evil::new()
        .file("good")
        .entry(EntryType::GNULongName, "x", "", &name)
        .file("b")
        .write(&folder.path().join("x.tar"));
    op(folder.path(), &["extract", "x.tar"]).assert_failed("COMMAND_FAILED", &["damaged", "endless"]);
    assert_eq!(names(folder.path()), ["good", "x.tar"]);
}

#[test]
fn a_name_that_is_too_long_for_an_answer_is_refused_with_its_reason() {
    let folder = folder();
    let name = "a".repeat(1_500_000);
    Evil::new().entry(EntryType::GNULongName, "x", "", &name).file("b").write(&folder.path().join("x.tar"));
    let refused = op(folder.path(), &["extract", "x.tar"]);
    refused.assert_failed("VALIDATION_ERROR", &["aaa…aaa", "longer than any path"]);
    assert!(refused.envelope.to_string().len() < 10_000);
}

#[test]
fn what_is_stopped_leaves_nothing_half() {
    let folder = folder();
    large_file(&folder.path().join("large"), 512);
    let target = folder.path().join("target");
    fs::create_dir(&target).unwrap();
    for arguments in [["archive", "-o", "target/x.tgz", "large"], ["extract", "large.tar", "-C", "target"]] {
        if arguments[0] == "extract" {
            assert_eq!(op(folder.path(), &["archive", "-o", "large.tar", "large"]).code, Some(0));
        }
        let child = op_command(folder.path(), &arguments).stdout(Stdio::piped()).spawn().unwrap();
        wait_for_writer(&target);
        signal(child.id().cast_signed(), libc::SIGTERM);
        let stopped = answer(&child.wait_with_output().unwrap());
        assert_eq!(stopped.code, Some(143), "{:#}", stopped.envelope);
        assert_eq!(stopped.partial()["current"], "large", "{:#}", stopped.envelope);
        assert_eq!(names(&target), [""; 0], "{arguments:?}");
    }
}

#[test]
fn an_archive_goes_into_a_pipe_that_stands_at_its_name() {
    let folder = folder();
    fs::write(folder.path().join("a"), "a").unwrap();
    peer(folder.path(), "mkfifo", &["x.tar"]);
    let path = folder.path().join("x.tar");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::copy(&mut fs::File::open(path).unwrap(), &mut bytes).unwrap();
        bytes
    });
    assert_eq!(op(folder.path(), &["archive", "-o", "x.tar", "a"]).code, Some(0));
    let bytes = reader.join().unwrap();
    let mut copy = fs::File::create(folder.path().join("copy.tar")).unwrap();
    copy.write_all(&bytes).unwrap();
    assert_eq!(names_in(&folder.path().join("copy.tar")), ["a"]);
}

#[test]
fn an_archive_goes_to_standard_output() {
    let folder = folder();
    fs::write(folder.path().join("a"), "a").unwrap();
    for name in ["-", "/dev/stdout"] {
        let mut command = crate::support::runner();
        let arguments = ["op", "archive", "--format", "tar", "-o", name, "a"];
        let output = command.current_dir(folder.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        fs::write(folder.path().join("copy.tar"), &output.stdout).unwrap();
        assert_eq!(names_in(&folder.path().join("copy.tar")), ["a"], "{name}");
    }
    assert_eq!(names(folder.path()), ["a", "copy.tar"]);
}

#[test]
fn times_before_1970_and_nanoseconds_survive() {
    use std::os::unix::fs::MetadataExt;
    let folder = folder();
    for (name, time) in [
        ("old", "1960-02-03 04:05:06 UTC"),
        ("older", "1932-02-03 04:05:06.75 UTC"),
        ("new", "2001-02-03 04:05:06.123456789 UTC"),
    ] {
        fs::write(folder.path().join(name), name).unwrap();
        peer(folder.path(), "touch", &["-d", time, name]);
    }
    let times = |root: &Path| {
        let time = |name| fs::metadata(root.join(name)).map(|file| (file.mtime(), file.mtime_nsec())).unwrap();
        ["old", "older", "new"].map(time)
    };
    let before = times(folder.path());
    assert_eq!(op(folder.path(), &["archive", "-o", "x.tar", "old", "older", "new"]).code, Some(0));
    for target in ["ours", "theirs", "binary"] {
        fs::create_dir(folder.path().join(target)).unwrap();
    }
    assert_eq!(op(folder.path(), &["extract", "x.tar", "-C", "ours"]).code, Some(0));
    assert_eq!(times(&folder.path().join("ours")), before);
    peer(folder.path(), "tar", &["-xf", "x.tar", "-C", "theirs"]);
    assert_eq!(times(&folder.path().join("theirs")), before);
    peer(folder.path(), "tar", &["--format", "gnu", "-cf", "y.tar", "old", "older", "new"]);
    assert_eq!(op(folder.path(), &["extract", "y.tar", "-C", "binary"]).code, Some(0));
    assert_eq!(times(&folder.path().join("binary"))[0], before[0]);
}

#[test]
fn good_archives_of_other_kinds_are_extracted() {
    let folder = folder();
    fs::create_dir(folder.path().join("tree")).unwrap();
    fs::write(folder.path().join("tree/file"), "content").unwrap();
    symlink("file", folder.path().join("tree/link")).unwrap();
    fs::hard_link(folder.path().join("tree/link"), folder.path().join("tree/other link")).unwrap();
    let before = manifest(&folder.path().join("tree"));
    let check = |name: &str| {
        let target = folder.path().join(format!("from {name}"));
        fs::create_dir(&target).unwrap();
        let unpacked = op(folder.path(), &["extract", name, "-C", target.to_str().unwrap()]);
        assert_eq!(unpacked.code, Some(0), "{name}: {:#}", unpacked.envelope);
        assert_eq!(manifest(&target.join("tree")), before, "{name}");
        fs::symlink_metadata(target.join("tree/link")).map(|file| std::os::unix::fs::MetadataExt::nlink(&file)).unwrap()
    };
    peer(folder.path(), "tar", &["-cf", "label.tar", "-V", "/a label", "tree"]);
    assert_eq!(check("label.tar"), 2);
    peer(folder.path(), "tar", &["-cf", "dump.tar", "--listed-incremental", "state", "tree"]);
    check("dump.tar");
    peer(folder.path(), "tar", &["-czf", "x.tgz", "tree"]);
    let whole = fs::read(folder.path().join("x.tgz")).unwrap();
    for (name, rest) in [("zeros.tgz", vec![0_u8; 2000]), ("garbage.tgz", b"garbage".repeat(100))] {
        fs::write(folder.path().join(name), [whole.clone(), rest].concat()).unwrap();
        check(name);
    }
    // Garbage is no end mark.
    let cut = [&whole[..whole.len() - 9], &[0_u8; 2000][..]].concat();
    fs::write(folder.path().join("cut.tgz"), cut).unwrap();
    assert_eq!(op(folder.path(), &["extract", "cut.tgz"]).code, Some(1));
}

#[test]
fn a_window_that_is_too_large_is_said_to_be() {
    let folder = folder();
    // A frame with a window of 256 MiB that holds one empty block; see RFC 8878.
    fs::write(folder.path().join("x.tzst"), [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x90, 0x01, 0x00, 0x00]).unwrap();
    op(folder.path(), &["extract", "x.tzst"]).assert_failed("VALIDATION_ERROR", &["x.tzst", "larger window"]);
}

#[test]
fn folders_that_were_made_have_their_modes_when_it_is_stopped() {
    let folder = folder();
    let packed = Evil::new().entry(EntryType::Directory, "d/", "", "").file("d/f").0.into_inner().unwrap();
    let mut command = op_command(folder.path(), &["extract", "--format", "tar", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Without the end mark it waits for more.
    input.write_all(&packed[..packed.len() - 1024]).unwrap();
    crate::support::wait_until(crate::support::SOON, "the file", || folder.path().join("d/f").exists());
    signal(child.id().cast_signed(), libc::SIGTERM);
    let stopped = answer(&child.wait_with_output().unwrap());
    drop(input);
    assert_eq!(stopped.code, Some(143), "{:#}", stopped.envelope);
    let mode = fs::metadata(folder.path().join("d")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}
