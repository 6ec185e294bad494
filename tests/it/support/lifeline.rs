//! The proof that a tree is dead: end of file on a pipe whose write end every process of it inherits.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::descriptors::{inherit, pipe};
use super::process::signal;
use super::waiting::{SOON, poll_one, wait_quietly};

/// A pipe whose write end every process of a tree inherits: end of file proves that all of them are dead.
#[derive(Debug)]
pub(crate) struct Lifeline {
    read: OwnedFd,
    write: Option<OwnedFd>,
}

impl Lifeline {
    pub(crate) fn new() -> Self {
        let (read, write) = pipe();
        Self { read, write: Some(write) }
    }

    /// The command and all that descends from it will hold the write end. Ours is closed by `started`.
    pub(crate) fn pass_to(&self, command: &mut Command) {
        let fd = self.write.as_ref().expect("before started").as_raw_fd();
        command.env("VICTIM_LIFELINE", fd.to_string());
        inherit(command, fd);
    }

    /// To be called once the command runs.
    pub(crate) fn started(&mut self) {
        self.write = None;
    }

    pub(crate) fn is_dead(&self) -> bool {
        poll_one(self.read.as_raw_fd(), libc::POLLIN, Duration::ZERO)
    }

    /// Fails, and then ends what is left, if a process of the tree lives longer.
    #[track_caller]
    pub(crate) fn assert_dead_within(&self, limit: Duration) {
        if !poll_one(self.read.as_raw_fd(), libc::POLLIN, limit) {
            let alive: Vec<String> = self.holders().iter().map(|pid| describe(*pid)).collect();
            self.end_holders();
            panic!("of the tree there still live after {limit:?}: {alive:#?}");
        }
    }

    /// Who holds the write end. For clean-up and for messages; proof is end of file alone.
    pub(crate) fn holders(&self) -> Vec<i32> {
        let link = fs::read_link(format!("/proc/self/fd/{}", self.read.as_raw_fd())).expect("our own descriptor");
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| holds(*pid, &link)).collect()
    }

    /// Kills every holder, by number.
    pub(crate) fn end_holders(&self) {
        wait_quietly(SOON, || {
            self.holders().into_iter().for_each(|pid| signal(pid, libc::SIGKILL));
            self.is_dead()
        });
    }
}

impl Drop for Lifeline {
    /// A test that failed leaves nothing.
    fn drop(&mut self) {
        if self.write.is_none() && !self.is_dead() {
            self.end_holders();
        }
    }
}

/// A child of a test that has not yet become its program holds all that we do; it is no part of any tree.
fn is_one_of_us(pid: i32) -> bool {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    program(&pid.to_string()) == program("self")
}

/// The order matters: once it is another program, its descriptors are its own.
fn holds(pid: i32, link: &Path) -> bool {
    if is_one_of_us(pid) {
        return false;
    }
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| target == link)
}

pub(super) fn describe(pid: i32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("{pid}: {} [{}]", String::from_utf8_lossy(&line).replace('\0', " "), stat.trim())
}
