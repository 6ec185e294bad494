//! `--report`: the envelope in a file too, replaced in one step where it is a regular file, and only written where it
//! is anything else.

use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;

use crate::support::{SOON, exec, folder, inherit, pipe, set_mode, wait_until};

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a report");
    assert!(text.ends_with('\n') && text.lines().count() == 1, "one line: {text:?}");
    crate::support::parse(text.trim_end())
}

/// Nothing beside the file itself, such as a temporary one.
fn assert_alone(folder: &Path, names: &[&str]) {
    let mut found: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().display().to_string())
        .collect();
    found.sort();
    assert_eq!(found, names);
}

#[test]
fn every_end_is_reported() {
    let folder = folder();
    let path = folder.path().join("answer.json");
    let report = |options: &str, words: &str, code: i32| {
        exec(options).arg("--report").arg(&path).victim(words).run().assert_code(code).assert_tree_dead();
        read(&path)
    };
    assert_eq!(report("", "exit 0", 0)["status"], "success");
    assert_eq!(report("", "exit 3", 3)["error"]["details"]["exit_code"], 3);
    assert_eq!(report("", "raise 15", 143)["error"]["details"]["signal"], "TERM");
    assert_eq!(report("--timeout 0.3 --grace 0.2", "ignore-term", 124)["error"]["code"], "TIMEOUT");
    assert_alone(folder.path(), &["answer.json"]);
    exec("--report").arg(&path).job(["/nonexistent/command"]).run().assert_code(127);
    assert_eq!(read(&path)["error"]["code"], "NOT_FOUND");
    let mut run = exec("--report").arg(&path).victim("sleep").start();
    run.wait_until_ready();
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143);
    assert_eq!(read(&path)["error"]["code"], "CANCELLED");
    assert_alone(folder.path(), &["answer.json"]);
}

#[test]
fn it_holds_the_output_that_went_by() {
    let folder = folder();
    let path = folder.path().join("answer.json");
    let done = exec("--report").arg(&path).sh("echo out; echo err >&2").run();
    done.assert_code(0);
    assert_eq!((done.stdout_text().as_str(), done.stderr_text().as_str()), ("out\n", "err\n"));
    let data = &read(&path)["data"];
    assert_eq!((&data["stdout"], &data["stderr"]), (&"out\n".into(), &"err\n".into()));
}

#[test]
fn it_is_the_same_answer_as_on_stdout() {
    let folder = folder();
    let path = folder.path().join("answer.json");
    let done = exec("--json --report").arg(&path).victim("exit 3").run();
    done.assert_code(3);
    assert_eq!(read(&path), done.json());
}

/// Who reads while we write sees the old one whole or the new one whole.
#[test]
fn a_regular_file_is_replaced_in_one_step() {
    let folder = folder();
    let path = folder.path().join("answer.json");
    fs::write(&path, "x".repeat(100_000)).expect("a file");
    set_mode(&path, 0o640);
    let mut old = fs::File::open(&path).expect("the old file");
    let before = old.metadata().expect("its data");
    exec("--report").arg(&path).victim("exit 0").run().assert_code(0);
    let after = fs::metadata(&path).expect("the new file");
    assert_ne!(before.ino(), after.ino(), "another file under the same name");
    assert_eq!(after.permissions().mode() & 0o777, 0o640, "with the permissions of the old one");
    let mut text = String::new();
    old.read_to_string(&mut text).expect("the old file");
    assert_eq!(text.len(), 100_000, "who had it open has the old one whole");
    read(&path);
    assert_alone(folder.path(), &["answer.json"]);
}

#[test]
fn an_old_report_stands_until_the_new_one_is_there() {
    let folder = folder();
    let path = folder.path().join("answer.json");
    fs::write(&path, "old\n").expect("a file");
    let mut run = exec("--report").arg(&path).victim("sleep").start();
    run.wait_until_ready();
    assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("old\n"));
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143);
    assert_eq!(read(&path)["error"]["code"], "CANCELLED");
}

#[test]
fn a_new_file_has_the_permissions_that_the_umask_leaves() {
    let folder = folder();
    let path = folder.path().join("answer.json");
    let line = "umask 027; exec \"$RUN\" exec --report \"$REPORT\" -- true";
    let done = exec("").env("RUN", env!("CARGO_BIN_EXE_runner")).env("REPORT", &path).sh(line).run();
    done.assert_code(0);
    assert_eq!(fs::metadata(&path).expect("a report").permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_symlink_is_followed() {
    let folder = folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("a folder");
    let (path, target) = (folder.path().join("link"), inner.join("answer.json"));
    fs::write(&target, "old").expect("a file");
    symlink("inner/answer.json", &path).expect("a link");
    exec("--report").arg(&path).victim("exit 0").run().assert_code(0);
    assert!(fs::symlink_metadata(&path).expect("the link").is_symlink(), "the link is still one");
    assert_eq!(read(&target)["status"], "success");
    assert_alone(folder.path(), &["inner", "link"]);
    assert_alone(&inner, &["answer.json"]);
    // Also where there is nothing yet at its end.
    fs::remove_file(&target).expect("our own file");
    exec("--report").arg(&path).victim("exit 0").run().assert_code(0);
    assert!(fs::symlink_metadata(&path).expect("the link").is_symlink(), "the link is still one");
    assert_eq!(read(&target)["status"], "success");
}

#[test]
fn a_device_is_written_and_never_replaced() {
    exec("--report /dev/null").victim("exit 0").run().assert_code(0).assert_silent();
    let data = fs::metadata("/dev/null").expect("the device");
    assert!(!data.is_file() && data.rdev() != 0, "it is still a device");
}

#[test]
fn a_fifo_is_written_and_never_replaced() {
    let folder = folder();
    let path = folder.path().join("fifo");
    let line = "mkfifo \"$FIFO\" && cat \"$FIFO\" & while [ ! -p \"$FIFO\" ]; do sleep 0.02; done; \
                \"$RUN\" exec --report \"$FIFO\" -- true; wait";
    let done = exec("").env("RUN", env!("CARGO_BIN_EXE_runner")).env("FIFO", &path).sh(line).run();
    done.assert_code(0).assert_silent();
    assert_eq!(done.json()["status"], "success");
    assert!(!fs::metadata(&path).expect("the fifo").is_file());
}

#[test]
fn a_descriptor_is_written() {
    let (read, write) = pipe();
    let number = write.as_raw_fd();
    let done = exec("--report")
        .arg(format!("/dev/fd/{number}"))
        .with(|command| inherit(command, number))
        .victim("exit 3")
        .run();
    drop(write);
    done.assert_code(3);
    let mut text = String::new();
    fs::File::from(read).read_to_string(&mut text).expect("a pipe");
    assert_eq!(crate::support::parse(text.trim_end())["error"]["details"]["exit_code"], 3);
}

/// A report that cannot be written after the job ran is said on stderr and costs nothing else.
#[test]
fn a_report_that_can_no_longer_be_written_costs_nothing_else() {
    let folder = folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("a folder");
    let path = inner.join("answer.json");
    let line = "echo out; rm -r \"$INNER\"";
    let done = exec("--report").arg(&path).env("INNER", &inner).sh(line).run();
    done.assert_code(0).assert_tree_dead();
    assert_eq!(done.stdout_text(), "out\n");
    assert!(done.stderr_text().contains("answer.json"), "{:?}", done.stderr_text());
    assert_eq!(done.stderr_text().lines().count(), 1, "{:?}", done.stderr_text());
    // The same with another end: its code and its answer stay.
    fs::create_dir(&inner).expect("a folder");
    let line = "rm -r \"$INNER\"; exec \"$VICTIM\" sleep";
    let done = exec("--timeout 0.5 --grace 0.2 --report").arg(&path).env("INNER", &inner).sh(line).run();
    done.assert_code(124).assert_tree_dead();
    let text = done.stderr_text();
    assert!(text.contains("answer.json") && text.contains("\"TIMEOUT\""), "{text:?}");
}

#[test]
fn a_full_device_is_said_and_costs_nothing_else() {
    if !Path::new("/dev/full").exists() {
        return crate::support::skip("/dev/full", "the device is missing");
    }
    let done = exec("--report /dev/full").sh("echo out; exit 3").run();
    done.assert_code(3);
    assert_eq!(done.stdout_text(), "out\n");
    assert!(done.stderr_text().contains("/dev/full"), "{:?}", done.stderr_text());
}

#[test]
fn a_reader_that_never_comes_delays_no_deadline() {
    let folder = folder();
    let path = folder.path().join("fifo");
    exec("").env("FIFO", &path).sh("mkfifo \"$FIFO\"").run().assert_code(0);
    let mut run = exec("--timeout 0.5 --grace 0.2 --report").arg(&path).victim("sleep").start();
    wait_until(SOON, "an end", || run.has_ended());
    run.finish().assert_tree_dead();
}
