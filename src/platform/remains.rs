//! What is left of a runner that was killed: its guards, which are ending their jobs, and processes that bear the mark of
//! a job.
//!
//! Called before anything of ours runs. It touches nothing that was there before the killed runner, nothing that we
//! descend from, and nothing of a runner that lives.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::process;
use super::procfs::{self, Identity, Stat};
use crate::model::outcome::ProcessRow;
use crate::model::signal::Signal;

/// How often to look at most, with a pause in between.
const ROUNDS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);
/// For all of it.
const LIMIT: Duration = Duration::from_secs(30);
/// So many looks in a row must find nothing: a process that forks while the list is read may hide a child.
const QUIET_ROUNDS: u32 = 2;
/// Guards end their jobs by themselves once their runner is dead. One that has not after so many looks is ended, too.
const PATIENT_ROUNDS: u32 = 100;
/// The name of a guard.
const GUARD: &str = "job-guard";

/// Which boot of this machine it is.
pub fn boot_id() -> Option<String> {
    let bytes = procfs::read("/proc/sys/kernel/random/boot_id")?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|id| !id.is_empty())
}

/// True while this very process lives.
pub fn is_alive(identity: Identity) -> bool {
    procfs::stat(identity.pid).is_some_and(|stat| stat.identity() == identity && !stat.is_dead())
}

/// Processes that a killed runner left.
#[derive(Debug)]
pub struct Remains {
    /// Start time of that runner.
    pub since: u64,
    /// A variable that each of its jobs was started with, as NAME=VALUE.
    pub marks: BTreeSet<Vec<u8>>,
}

impl Remains {
    /// Ends them and waits until they are gone. Gives how many were ended, and those that live all the same. None: the
    /// system does not let us look.
    pub fn end(self) -> Option<(usize, Vec<ProcessRow>)> {
        // The kernel lets a reader of an environment wait for a process that is stuck in it.
        let (sender, result) = mpsc::channel();
        thread::Builder::new().spawn(move || sender.send(self.end_all())).ok()?;
        result.recv_timeout(LIMIT).ok()
    }

    fn end_all(&self) -> (usize, Vec<ProcessRow>) {
        let kept = line_of_descent();
        let mut ended = BTreeSet::new();
        let mut quiet = 0;
        let mut left = Vec::new();
        for round in 0..ROUNDS {
            let (guards, marked) = self.find(&kept);
            let waits = !marked.is_empty() || (!guards.is_empty() && round < PATIENT_ROUNDS);
            quiet = if waits { 0 } else { quiet + 1 };
            if quiet == QUIET_ROUNDS {
                left.clear();
                break;
            }
            for stat in &marked {
                let is_patient = stat.name == GUARD && round < PATIENT_ROUNDS;
                if !is_patient && process::send(stat.identity(), Signal::KILL) == process::Sent::Delivered {
                    ended.insert(stat.identity());
                }
            }
            left = marked;
            process::nap(PAUSE);
        }
        (ended.len(), procfs::rows_with_owners(&left))
    }

    /// Guards whose runner is gone, and processes with one of the marks.
    fn find(&self, kept: &BTreeSet<i32>) -> (Vec<Stat>, Vec<Stat>) {
        let mut all = processes();
        all.retain(|stat| !stat.is_dead() && stat.start_time >= self.since && !kept.contains(&stat.pid));
        let guards = all.iter().filter(|stat| is_orphaned_guard(stat)).cloned().collect();
        all.retain(|stat| self.is_marked(stat.pid));
        (guards, all)
    }

    fn is_marked(&self, pid: i32) -> bool {
        if self.marks.is_empty() {
            return false;
        }
        let environment = procfs::read(&format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| self.marks.contains(entry))
    }
}

/// We, and all that we descend from.
fn line_of_descent() -> BTreeSet<i32> {
    let mut line = BTreeSet::new();
    let mut current = process::own_pid();
    while current > 0 && line.insert(current) {
        current = procfs::stat(current).map_or(0, |stat| stat.ppid);
    }
    line
}

fn processes() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(procfs::stat).collect()
}

/// A guard of ours is a process of runner's program below a runner. Where what is above it is none, that runner is dead.
fn is_orphaned_guard(stat: &Stat) -> bool {
    let program = |pid: i32| fs::metadata(format!("/proc/{pid}/exe")).ok().map(|file| (file.dev(), file.ino()));
    if stat.name != GUARD {
        return false;
    }
    let Some(own) = program(stat.pid) else { return false };
    let is_below_guard = procfs::stat(stat.ppid).is_none_or(|parent| parent.name == GUARD);
    is_below_guard || program(stat.ppid) != Some(own)
}

/// Ends processes that inherited a lock from a runner of this pid, which is dead: they were about to become jobs.
///
/// Such a lock is one of flock(2) on the file of this device and inode.
pub fn end_heirs_of_lock(dead_runner: Identity, device: u64, inode: u64) {
    for stat in processes() {
        let is_heir = stat.pid != process::own_pid()
            && stat.start_time >= dead_runner.start_time
            && stat.identity() != dead_runner
            && inherited_lock(stat.pid, dead_runner.pid, device, inode);
        if is_heir {
            process::send(stat.identity(), Signal::KILL);
        }
    }
}

fn inherited_lock(pid: i32, owner: i32, device: u64, inode: u64) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.flatten().any(|entry| {
        let of_file = fs::metadata(entry.path()).is_ok_and(|file| (file.dev(), file.ino()) == (device, inode));
        let Some(number) = entry.file_name().to_str().map(str::to_owned).filter(|_| of_file) else { return false };
        let info = procfs::read(&format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
        String::from_utf8_lossy(&info).lines().any(|line| is_lock_of(line, owner))
    })
}

/// A line such as `lock: 1: FLOCK  ADVISORY  WRITE 1234 00:2f:77 0 EOF`, see proc_pid_fdinfo(5). An owner that is gone has
/// no pid any more in a namespace of its own.
fn is_lock_of(line: &str, owner: i32) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    words.first() == Some(&"lock:")
        && words.get(2) == Some(&"FLOCK")
        && words.get(5).and_then(|pid| pid.parse().ok()).is_some_and(|pid: i32| pid == owner || pid == 0)
}
