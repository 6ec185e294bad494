//! `runner op hash` prints what sha256sum and b3sum print, and checks what they wrote.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::support::files::{answer, odd_name, op, op_command, peer};
use crate::support::has_program;
use crate::support::{folder, runner, strings};

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A tree with awkward names.
fn tree(folder: &Path) {
    fs::create_dir_all(folder.join("tree/inner")).expect("a fixture");
    for (name, content) in
        [("tree/b", "b"), ("tree/a", ""), ("tree/inner/c", "ccc"), ("tree/back\\slash", "x"), ("tree/new\nline", "y")]
    {
        fs::write(folder.join(name), content).expect("a fixture");
    }
    fs::write(folder.join("tree").join(odd_name()), "odd").expect("a fixture");
}

#[test]
fn it_prints_what_sha256sum_prints() {
    let folder = folder();
    tree(folder.path());
    let mut files: Vec<_> = fs::read_dir(folder.path().join("tree")).unwrap().flatten().map(|e| e.path()).collect();
    files.retain(|path| path.is_file());
    files.push("-".into());
    let mut command = runner();
    let output = command.current_dir(folder.path()).args(["op", "hash"]).args(&files).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, peer(folder.path(), "sha256sum", &files));
}

#[test]
fn it_prints_what_b3sum_prints_for_files_of_any_length() {
    if !has_program("b3sum") {
        return;
    }
    let folder = folder();
    let mut names = Vec::new();
    for length in [0, 1, 1024, 1 << 20, (1 << 20) + 1, (5 << 20) + 77] {
        let bytes: Vec<u8> = (0..length).map(|at: u32| (at % 253) as u8).collect();
        fs::write(folder.path().join(length.to_string()), bytes).unwrap();
        names.push(length.to_string());
    }
    let expected = peer(folder.path(), "b3sum", &names);
    names.splice(0..0, ["hash".to_owned(), "--algorithm".to_owned(), "blake3".to_owned()]);
    assert_eq!(op(folder.path(), &names).stdout().as_bytes(), expected);
}

#[test]
fn a_folder_is_hashed_in_the_order_of_names_and_special_files_are_skipped() {
    let folder = folder();
    tree(folder.path());
    symlink("b", folder.path().join("tree/link")).unwrap();
    peer(folder.path(), "mkfifo", &["tree/fifo"]);
    fs::remove_file(folder.path().join("tree").join(odd_name())).unwrap();
    let hashed = op(folder.path(), &["hash", "tree"]);
    let names: Vec<&str> = hashed.stdout().lines().map(|line| &line[line.find("tree").unwrap()..]).collect();
    assert_eq!(names, ["tree/a", "tree/b", "tree/back\\\\slash", "tree/inner/c", "tree/new\\nline"]);
    let result = hashed.result();
    assert_eq!(result["skipped"], json!(["tree/fifo"]));
    assert_eq!(result["files_done"], 5);
    assert_eq!(result["bytes"], 6);
    assert_eq!(result["files"][1]["path"], "tree/b");
    // A link that was named is followed.
    symlink("tree", folder.path().join("named")).unwrap();
    assert_eq!(op(folder.path(), &["hash", "named"]).result()["files_done"], 5);
}

#[test]
fn a_file_that_cannot_be_read_fails_after_the_others_are_hashed() {
    let folder = folder();
    fs::write(folder.path().join("abc"), "abc").unwrap();
    let failed = op(folder.path(), &["hash", "none", "abc", "neither"]);
    failed.assert_failed("NOT_FOUND", &["2 files", "none"]);
    assert_eq!(failed.partial()["files"], json!([{ "path": "abc", "sha256": ABC }]));
    assert_eq!(failed.partial()["files_done"], 3);
    assert_eq!(failed.partial()["unreadable"][1]["path"], "neither");
}

#[test]
fn what_it_wrote_it_checks_and_so_does_sha256sum() {
    let folder = folder();
    tree(folder.path());
    let mut command = runner();
    let sums = command.current_dir(folder.path()).args(["op", "hash", "tree"]).output().unwrap().stdout;
    fs::write(folder.path().join("sums"), &sums).unwrap();
    let verdicts = peer(folder.path(), "sha256sum", &["-c", "sums"]);
    let ours = runner().current_dir(folder.path()).args(["op", "hash", "--check", "sums"]).output().unwrap();
    assert_eq!(ours.status.code(), Some(0), "{ours:?}");
    assert_eq!(ours.stdout, verdicts);
    let result = op(folder.path(), &["hash", "--check", "sums"]);
    assert_eq!(result.result()["ok"], 6);
    assert_eq!(result.result()["failed"], json!([]));
}

#[test]
fn a_wrong_sum_and_a_missing_file_fail_and_are_named() {
    let folder = folder();
    for name in ["right", "wrong"] {
        fs::write(folder.path().join(name), "abc").unwrap();
    }
    let sums = format!("{ABC}  right\r\nnonsense\n{}  wrong\n{ABC} *missing\n", ABC.replace('b', "c"));
    fs::write(folder.path().join("sums"), sums).unwrap();
    let failed = op(folder.path(), &["hash", "-c", "sums"]);
    failed.assert_failed("COMMAND_FAILED", &["1 differ", "1 cannot be read", "wrong"]);
    let partial = failed.partial();
    assert_eq!(strings(&partial["failed"]), ["wrong"]);
    assert_eq!(strings(&partial["missing"]), ["missing"]);
    assert_eq!((&partial["ok"], &partial["malformed"]), (&json!(1), &json!(1)));
    assert_eq!(strings(&partial["malformed_lines"]), ["sums:2"]);
    let mut command = runner();
    let output = command.current_dir(folder.path()).args(["op", "hash", "-c", "sums"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "right: OK\nwrong: FAILED\nmissing: FAILED open or read\n");
}

#[test]
fn malformed_lines_that_are_not_listed_are_counted() {
    let folder = folder();
    fs::write(folder.path().join("abc"), "abc").unwrap();
    fs::write(folder.path().join("sums"), format!("{}{ABC}  abc\n", "nonsense\n".repeat(1100))).unwrap();
    let checked = op(folder.path(), &["hash", "-c", "sums"]);
    assert_eq!(checked.result()["malformed"], 1100);
    assert_eq!(checked.result()["malformed_lines_omitted"], 100);
}

#[test]
fn tagged_lines_say_the_algorithm_themselves() {
    let folder = folder();
    fs::write(folder.path().join("abc"), "abc").unwrap();
    let blake3 = blake3::hash(b"abc");
    fs::write(folder.path().join("sums"), format!("SHA256 (abc) = {ABC}\nBLAKE3 (abc) = {blake3}\n")).unwrap();
    assert_eq!(op(folder.path(), &["hash", "--check", "sums"]).result()["ok"], 2);
}

#[test]
fn sums_that_are_missing_or_hold_nothing_are_errors() {
    let folder = folder();
    op(folder.path(), &["hash", "--check", "none"]).assert_failed("NOT_FOUND", &["none"]);
    fs::write(folder.path().join("empty"), "nothing\nof use\n").unwrap();
    op(folder.path(), &["hash", "--check", "empty"]).assert_failed("COMMAND_FAILED", &["empty", "no checksum"]);
}

#[test]
fn standard_input_is_hashed_and_wrong_calls_are_refused() {
    let folder = folder();
    fs::write(folder.path().join("abc"), "abc").unwrap();
    let input = fs::File::open(folder.path().join("abc")).unwrap();
    let mut command = op_command(folder.path(), &["hash", "-"]);
    let hashed = answer(&command.stdin(Stdio::from(input)).output().unwrap());
    assert_eq!(hashed.stdout(), format!("{ABC}  -\n"));
    assert_eq!(op(folder.path(), &["hash"]).code, Some(125));
    assert_eq!(op(folder.path(), &["hash", "--algorithm", "md5", "abc"]).code, Some(125));
}

#[test]
fn a_stream_of_unknown_length_has_no_progress_before_its_end() {
    let folder = folder();
    let mut command = runner();
    command.current_dir(folder.path()).args(["op", "--json", "--timeout", "0.5", "hash", "/dev/zero"]);
    let stopped = answer(&command.output().unwrap());
    assert_eq!(stopped.code, Some(124), "{:#}", stopped.envelope);
    assert!(stopped.partial()["bytes"].as_u64() > Some(0), "{:#}", stopped.envelope);
    let details = &stopped.envelope["error"]["details"];
    assert_eq!(details.get("progress"), None, "{details:#}");
}

#[test]
fn a_hash_that_is_stopped_says_how_far_it_came() {
    let folder = folder();
    // A hole of this size takes minutes to hash, and no room.
    fs::File::create(folder.path().join("huge")).unwrap().set_len(1 << 42).unwrap();
    let mut command = runner();
    command.current_dir(folder.path()).args(["op", "--json", "--timeout", "1", "hash", "huge"]);
    let stopped = answer(&command.output().unwrap());
    assert_eq!(stopped.code, Some(124), "{:#}", stopped.envelope);
    assert_eq!(stopped.envelope["error"]["code"], "TIMEOUT");
    let partial = stopped.partial();
    assert_eq!(partial["bytes_total"], 1_u64 << 42);
    assert!(partial["bytes"].as_u64().is_some_and(|bytes| bytes > 0 && bytes < 1 << 42), "{partial}");
}
