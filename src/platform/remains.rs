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
use super::procfs::{self, GUARD, Identity, Stat, program};
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
        if !procfs::is_own() {
            return None;
        }
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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test starts processes of its own")]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, Stdio};

    use super::{Remains, end_heirs_of_lock, is_alive, is_lock_of};
    use crate::model::unique_id::unique_id;
    use crate::platform::process;
    use crate::platform::procfs::{self, Identity};

    fn sleeper(mark: &str) -> Child {
        Command::new("sleep").arg("1000").env("RUNNER_JOB_ID", mark).spawn().unwrap()
    }

    fn identity(child: &Child) -> Identity {
        procfs::stat(child.id() as i32).unwrap().identity()
    }

    fn marks(ids: &[&str]) -> BTreeSet<Vec<u8>> {
        ids.iter().map(|id| format!("RUNNER_JOB_ID={id}").into_bytes()).collect()
    }

    /// Ends what a test began, and says of what signal it had died before.
    fn death_of(mut child: Child) -> Option<i32> {
        let before = child.try_wait().unwrap();
        let _ = child.kill();
        let _ = child.wait();
        before.and_then(|status| status.signal())
    }

    #[test]
    fn what_bears_the_mark_is_ended_and_nothing_else() {
        let unique = unique_id().to_string();
        let [ours, other] = [format!("{unique}-a"), format!("{unique}-b")];
        let (marked, stranger) = (sleeper(&ours), sleeper(&other));
        let since = procfs::stat(process::own_pid()).unwrap().start_time;
        let remains = Remains { since, marks: marks(&[&ours, "never-was"]) };
        let (ended, left) = remains.end().unwrap();
        assert_eq!((ended, left.len()), (1, 0));
        assert_eq!(death_of(marked), Some(libc::SIGKILL));
        assert_eq!(death_of(stranger), None);
    }

    #[test]
    fn what_is_older_than_the_killed_run_is_left_alone() {
        let mark = unique_id().to_string();
        let older = sleeper(&mark);
        let remains = Remains { since: identity(&older).start_time + 1, marks: marks(&[&mark]) };
        let (ended, left) = remains.end().unwrap();
        assert_eq!((ended, left.len()), (0, 0));
        assert_eq!(death_of(older), None);
    }

    #[test]
    fn a_process_lives_until_it_has_ended() {
        let mut child = sleeper("x");
        let identity = identity(&child);
        assert!(is_alive(identity));
        assert!(!is_alive(Identity { start_time: identity.start_time + 1, ..identity }));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(identity));
    }

    #[test]
    fn a_lock_is_known_by_who_took_it() {
        let line = "lock:\t1: FLOCK  ADVISORY  WRITE 1234 00:2f:77 0 EOF";
        assert!(is_lock_of(line, 1234));
        assert!(!is_lock_of(line, 123));
        assert!(is_lock_of(&line.replace("1234", "0"), 1234));
        assert!(!is_lock_of(&line.replace("FLOCK", "POSIX"), 1234));
        assert!(!is_lock_of("flags:\t0100002", 1234));
    }

    /// A program takes the lock of a file that the shell has open, and ends: the shell holds it for a dead process.
    /// Another process has the file open, too, and holds no lock.
    #[test]
    fn who_inherited_the_lock_of_a_dead_runner_is_ended() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bystander = Command::new("sleep").arg("1000").stdin(File::open(file.path()).unwrap()).spawn().unwrap();
        let line = "exec 9<>\"$0\"; flock 9 & wait $! && echo $!; exec sleep 1000";
        let heir = Command::new("sh").args(["-c", line]).arg(file.path()).stdout(Stdio::piped()).spawn();
        let mut heir = heir.unwrap();
        let mut told = String::new();
        BufReader::new(heir.stdout.take().unwrap()).read_line(&mut told).unwrap();
        let pid = told.trim().parse().expect("flock(1) is there");
        let owner = Identity { pid, start_time: identity(&bystander).start_time };
        let contender = File::open(file.path()).unwrap();
        assert!(contender.try_lock().is_err(), "the child holds the lock");
        let metadata = file.as_file().metadata().unwrap();
        end_heirs_of_lock(owner, metadata.dev(), metadata.ino());
        contender.lock().unwrap();
        assert_eq!(death_of(bystander), None);
        assert_eq!(heir.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}
