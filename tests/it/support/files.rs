//! What the tests of operations on files share: running one, and looking at trees.

#![expect(clippy::disallowed_methods, reason = "tests start other programs to compare with")]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::support::{LIMIT, is_alive, parse, runner, signal, wait_until};

/// The end of `runner op --json`.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) envelope: Value,
}

impl Answer {
    /// What the operation returned.
    #[track_caller]
    pub(crate) fn result(&self) -> &Value {
        assert_eq!(self.code, Some(0), "{:#}", self.envelope);
        &self.envelope["data"]["result"]
    }

    /// What it printed.
    #[track_caller]
    pub(crate) fn stdout(&self) -> &str {
        let stdout = self.envelope["data"]["stdout"].as_str();
        stdout.unwrap_or_else(|| panic!("no stdout: {:#}", self.envelope))
    }

    /// It failed with this code, exit code 1, and a message that holds all of these words.
    #[track_caller]
    pub(crate) fn assert_failed(&self, code: &str, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(1), "{:#}", self.envelope);
        let error = &self.envelope["error"];
        assert_eq!(error["code"], code, "{:#}", self.envelope);
        let message = error["message"].as_str().expect("a message");
        assert!(words.iter().all(|word| message.contains(word)), "{words:?} in: {message}");
        self
    }

    /// It was called wrongly.
    #[track_caller]
    pub(crate) fn assert_refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(125), "{:#}", self.envelope);
        assert_eq!(self.envelope["error"]["code"], "VALIDATION_ERROR", "{:#}", self.envelope);
        let text = self.envelope["error"].to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{words:?} in: {text}");
    }

    /// What there was when it ended without a result.
    pub(crate) fn partial(&self) -> &Value {
        &self.envelope["error"]["details"]["partial_result"]
    }
}

/// `runner op --json` in this folder.
pub(crate) fn op_command<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Command {
    let mut command = runner();
    command.current_dir(folder).args(["op", "--json"]).args(arguments);
    command
}

/// Runs it.
#[track_caller]
pub(crate) fn op<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Answer {
    answer(&op_command(folder, arguments).output().expect("runner runs"))
}

/// Reads its answer.
#[track_caller]
pub(crate) fn answer(output: &Output) -> Answer {
    let text = std::str::from_utf8(&output.stdout).expect("JSON is UTF-8");
    assert!(!text.is_empty(), "no answer; stderr: {}", String::from_utf8_lossy(&output.stderr));
    Answer { code: output.status.code(), envelope: parse(text.trim_end()) }
}

/// Runs another program in this folder, and gives what it printed.
#[track_caller]
pub(crate) fn peer<S: AsRef<OsStr>>(folder: &Path, program: &str, arguments: &[S]) -> Vec<u8> {
    let output = Command::new(program).current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// One line for each entry below a folder: name, kind, mode, links, size, time of change, target, and content.
pub(crate) fn manifest(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    describe(folder, Path::new(""), &mut lines);
    lines.sort();
    lines
}

fn describe(root: &Path, below: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(below)).expect("a readable folder").flatten() {
        let name = below.join(entry.file_name());
        let metadata = entry.metadata().expect("an entry has metadata");
        let kind = metadata.file_type();
        let links = if kind.is_file() { metadata.nlink() } else { 0 };
        let size = if kind.is_file() { metadata.len() } else { 0 };
        let mut line = format!("{name:?} {:o} {links} {size} {}", metadata.mode(), metadata.mtime());
        if kind.is_symlink() {
            line.push_str(&format!(" -> {:?}", fs::read_link(entry.path()).expect("a link")));
        } else if kind.is_file() && size < 1 << 20 {
            line.push_str(&format!(" {:?}", fs::read(entry.path()).expect("a readable file")));
        }
        lines.push(line);
        if kind.is_dir() {
            describe(root, &name, lines);
        }
    }
}

/// Names in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A name that is not valid UTF-8.
pub(crate) fn odd_name() -> &'static OsStr {
    OsStr::from_bytes(b"odd \xff name")
}

/// Makes a file of so many mebibytes that no file system can shorten.
pub(crate) fn large_file(path: &Path, mebibytes: u32) {
    let mut file = fs::File::create(path).expect("a new file");
    let mut block: Vec<u8> = (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for number in 0..mebibytes {
        block[..4].copy_from_slice(&number.to_le_bytes());
        file.write_all(&block).expect("room on the disk");
    }
}

/// Waits until a process has a file open that is, or was, in this folder, and has written to it. Gives its number.
#[track_caller]
pub(crate) fn wait_for_writer(folder: &Path) -> i32 {
    let mut found = None;
    wait_until(LIMIT, &format!("a process that writes to {}", folder.display()), || {
        found = writer(folder);
        found.is_some()
    });
    found.expect("it was found")
}

fn writer(folder: &Path) -> Option<i32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.find(|pid| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.map(|entry| entry.path()).any(|descriptor| {
            fs::read_link(&descriptor).is_ok_and(|target| target.starts_with(folder) && target != folder)
                && fs::metadata(&descriptor).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
        })
    })
}

/// Kills a process, and waits until it is gone.
#[track_caller]
pub(crate) fn kill(pid: i32) {
    signal(pid, libc::SIGKILL);
    wait_until(Duration::from_secs(10), "the end of a killed process", || !is_alive(pid));
}

/// A folder for one test, removed with it.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Its permission bits.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}
