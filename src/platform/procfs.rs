//! What /proc says of processes: identity, parents, CPU time, command line, what they wait for.
//!
//! Reads only. A process may vanish between two reads, so everything gives an Option and the caller goes on. Where /proc
//! is missing, or numbers processes as another PID namespace does, it says nothing of any process.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::model::outcome::ProcessRow;

/// Command lines in answers are cut to so many bytes.
const COMMAND_LIMIT: usize = 200;

const PAGE: usize = 4096;
/// How long one command line may take to be read.
const READ_LIMIT: Duration = Duration::from_millis(200);

/// A process that cannot be confused with a later one of the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks since boot.
    pub start_time: u64,
}

/// The fields of /proc/PID/stat that we use, see proc_pid_stat(5).
#[derive(Clone, Debug)]
pub struct Stat {
    pub pid: i32,
    pub name: String,
    pub state: char,
    pub ppid: i32,
    pub group: i32,
    pub session: i32,
    /// CPU time of it and of the children that it waited for.
    pub cpu: Duration,
    pub start_time: u64,
    pub rss_bytes: u64,
    pub threads: u64,
}

impl Stat {
    pub fn identity(&self) -> Identity {
        Identity { pid: self.pid, start_time: self.start_time }
    }

    /// It has ended and only waits to be reaped. A process whose first thread alone has ended looks like it, but lives.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x') && self.threads <= 1
    }
}

/// True where /proc numbers processes as we do: a procfs of our own PID namespace. It is looked at once.
///
/// That of an outer namespace shows us under another number, that of an inner one does not show us at all.
pub fn is_own() -> bool {
    static OWN: OnceLock<bool> = OnceLock::new();
    *OWN.get_or_init(|| {
        // A sandbox may refuse to say; what is read below decides then.
        let is_procfs = rustix::fs::statfs("/proc").map_or(true, |stat| stat.f_type == PROC_SUPER_MAGIC);
        let own = super::process::own_pid().to_string();
        let shown = rustix::fs::readlink("/proc/self", Vec::new());
        is_procfs && shown.is_ok_and(|shown| shown.to_bytes() == own.as_bytes()) && has_one_number()
    })
}

/// Our numbers in the namespace of /proc and in those below it, down to ours, see proc_pid_status(5). An outer namespace may
/// have given us the same number by chance. Before Linux 4.1 there is no such line.
fn has_one_number() -> bool {
    let status = read("/proc/self/status").unwrap_or_default();
    let mut lines = status.split(|byte| *byte == b'\n');
    lines.find_map(|line| line.strip_prefix(b"NSpid:")).is_none_or(|line| numbers(line).count() == 1)
}

/// What statfs(2) calls a procfs.
const PROC_SUPER_MAGIC: rustix::fs::FsWord = 0x9fa0;

/// Reads a file of /proc, which has no size to go by.
pub fn read(path: &str) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let mut bytes = vec![0; PAGE];
    let mut length = 0;
    loop {
        match rustix::io::read(&file, &mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        if length == bytes.len() {
            bytes.resize(length + PAGE, 0);
        }
    }
    bytes.truncate(length);
    Some(bytes)
}

/// Reads /proc/PID/stat.
pub fn stat(pid: i32) -> Option<Stat> {
    if !is_own() {
        return None;
    }
    let bytes = read(&format!("/proc/{pid}/stat"))?;
    // The name may hold spaces and parentheses; the last one ends it.
    let open = bytes.iter().position(|byte| *byte == b'(')?;
    let close = bytes.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field numbers of the man page begin at 1; the state is number 3.
    let number = |field: usize| -> Option<u64> { fields.get(field - 3)?.parse().ok() };
    let ticks = number(14)? + number(15)? + number(16)? + number(17)?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Stat {
        pid,
        name,
        state: fields.first()?.chars().next()?,
        ppid: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        cpu: Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / per_second)),
        start_time: number(22)?,
        threads: number(20)?,
        rss_bytes: number(24)?.saturating_mul(rustix::param::page_size() as u64),
    })
}

/// The processes below `root`, parents before children. A process that forks while we look may hide a child: whoever
/// must find all of them looks again.
pub fn descendants(root: i32) -> Vec<Stat> {
    descendants_without(root, &|_| false)
}

/// The same without those that `leave_out` names, and without what is below them.
fn descendants_without(root: i32, leave_out: &dyn Fn(&Stat) -> bool) -> Vec<Stat> {
    let mut found: Vec<Stat> = Vec::new();
    if !is_own() {
        return found;
    }
    let mut seen = BTreeSet::new();
    let threads = stat(root).map_or(1, |stat| stat.threads);
    let mut pending = match children(root, threads) {
        Some(pids) => pids,
        None => return descendants_by_scan(root, leave_out),
    };
    pending.reverse();
    while let Some(pid) = pending.pop() {
        if !seen.insert(pid) {
            continue;
        }
        if let Some(stat) = stat(pid).filter(|stat| !leave_out(stat)) {
            let threads = stat.threads;
            found.push(stat);
            if let Some(mut pids) = children(pid, threads) {
                pids.reverse();
                pending.append(&mut pids);
            }
        }
    }
    found
}

/// The children of a process, from the lists of its threads. None where the kernel keeps no such lists.
fn children(pid: i32, threads: u64) -> Option<Vec<i32>> {
    let mut pids = Vec::new();
    match read(&format!("/proc/{pid}/task/{pid}/children")) {
        Some(list) => pids.extend(numbers(&list)),
        None if fs::exists(format!("/proc/{pid}/stat")).unwrap_or(false) => return None,
        None => return Some(pids),
    }
    if threads <= 1 {
        return Some(pids);
    }
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Some(pids) };
    for task in tasks.flatten() {
        let name = task.file_name();
        if name.to_str() == Some(pid.to_string().as_str()) {
            continue;
        }
        if let Some(list) = name.to_str().and_then(|task| read(&format!("/proc/{pid}/task/{task}/children"))) {
            pids.extend(numbers(&list));
        }
    }
    Some(pids)
}

fn numbers(list: &[u8]) -> impl Iterator<Item = i32> {
    list.split(u8::is_ascii_whitespace).filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

/// The slow way: every process of the machine, linked by parents.
fn descendants_by_scan(root: i32, leave_out: &dyn Fn(&Stat) -> bool) -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut all: Vec<Stat> = entries
        .flatten()
        .filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
        .filter(|stat| !leave_out(stat))
        .collect();
    let mut found: Vec<Stat> = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let (below, rest): (Vec<Stat>, Vec<Stat>) = all.into_iter().partition(|stat| stat.ppid == parent);
        all = rest;
        parents.extend(below.iter().map(|stat| stat.pid));
        found.extend(below);
    }
    found
}

/// True where `pid` is `ancestor` or below it.
pub fn is_below(pid: i32, ancestor: i32) -> bool {
    let mut current = pid;
    // A chain is never longer than the pids there are; this only bounds a chain that changes under our eyes.
    for _ in 0..4096 {
        if current == ancestor {
            return true;
        }
        match stat(current) {
            Some(stat) if stat.ppid > 0 => current = stat.ppid,
            _ => return false,
        }
    }
    false
}

/// A process and those above it, read once for whoever asks to how many trees it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    pub pid: i32,
    pub lives: bool,
    /// Its parent, the parent's parent and so on.
    pub above: Vec<i32>,
}

/// The lineage of a process. None for one outside of our pid namespace.
pub fn lineage(pid: i32) -> Option<Lineage> {
    let mut above = Vec::new();
    let first = stat(pid).filter(|_| pid > 0);
    let lives = first.is_some();
    let mut current = first;
    // A chain is never longer than the pids there are; this only bounds a chain that changes under our eyes.
    while let Some(parent) = current.map(|stat| stat.ppid).filter(|parent| *parent > 0 && above.len() < 4096) {
        above.push(parent);
        current = stat(parent);
    }
    (pid > 0).then_some(Lineage { pid, lives, above })
}

/// The real, effective, saved and file system user of a process: whichever it speaks as.
pub fn users(pid: i32) -> Option<Vec<u32>> {
    let status = String::from_utf8_lossy(&read(&format!("/proc/{pid}/status")).filter(|_| pid > 0)?).into_owned();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    Some(line.split_whitespace().filter_map(|uid| uid.parse().ok()).collect())
}

/// The command lines, or names in brackets where there are none, in the same order.
///
/// The kernel lets a reader of a command line wait for a process that is stuck in it; whoever holds a deadline must not.
/// So where a process may be stuck a thread reads, and what it has not read in time is answered with the name.
pub fn command_lines(stats: &[Stat]) -> Vec<String> {
    let may_be_stuck = |stat: &Stat| stat.state == 'D' || stat.threads > 1;
    let doubtful: Vec<i32> = stats.iter().filter(|stat| may_be_stuck(stat)).map(|stat| stat.pid).collect();
    let (sender, lines) = mpsc::channel();
    let mut in_time = !doubtful.is_empty();
    if in_time {
        let read_all = move || doubtful.into_iter().all(|pid| sender.send(command_line(pid)).is_ok());
        in_time = thread::Builder::new().spawn(read_all).is_ok();
    }
    let mut line = |stat: &Stat| {
        if !may_be_stuck(stat) {
            return command_line(stat.pid);
        }
        let line = if in_time { lines.recv_timeout(READ_LIMIT).ok() } else { None };
        in_time = line.is_some();
        line.flatten()
    };
    stats.iter().map(|stat| line(stat).unwrap_or_else(|| format!("[{}]", stat.name))).collect()
}

fn command_line(pid: i32) -> Option<String> {
    let bytes = read(&format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // A process that blanked a part of it leaves many.
    let length = bytes.iter().rposition(|byte| *byte != 0).map(|last| last + 1)?;
    let trimmed = &bytes[..length];
    let mut text = String::from_utf8_lossy(trimmed).replace('\0', " ");
    if text.len() > COMMAND_LIMIT {
        let ellipsis = "...";
        let mut end = COMMAND_LIMIT - ellipsis.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(ellipsis);
    }
    Some(text)
}

/// Where our own command line begins and ends in memory.
pub(super) fn own_command_line() -> Option<(usize, usize)> {
    let bytes = read("/proc/self/stat")?;
    let close = bytes.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
    // Fields 48 and 49; the first behind the name is number 3.
    let mut fields = rest.split_ascii_whitespace().skip(48 - 3).map(|field| field.parse().ok());
    let (start, end) = (fields.next()??, fields.next()??);
    (0 < start && start < end).then_some((start, end))
}

/// The real user id.
pub fn owner(pid: i32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|metadata| metadata.uid())
}

/// True where the process was started with this variable, as NAME=VALUE.
pub fn has_variable(pid: i32, variable: &[u8]) -> bool {
    let environment = read(&format!("/proc/{pid}/environ")).unwrap_or_default();
    !variable.is_empty() && environment.split(|byte| *byte == 0).any(|entry| entry == variable)
}

/// The rows of an answer.
pub fn rows(stats: &[Stat]) -> Vec<ProcessRow> {
    stats.iter().zip(command_lines(stats)).map(|(stat, command)| row(stat, command)).collect()
}

fn row(stat: &Stat, command: String) -> ProcessRow {
    let waiting_in = read(&format!("/proc/{}/wchan", stat.pid))
        .and_then(|function| String::from_utf8(function).ok())
        .filter(|function| !function.is_empty() && function != "0");
    ProcessRow {
        pid: stat.pid,
        ppid: stat.ppid,
        state: stat.state.to_string(),
        command,
        cpu_seconds: stat.cpu.as_secs_f64(),
        rss_bytes: stat.rss_bytes,
        waiting_in,
        uid: None,
    }
}

/// Living processes that came to us as orphans, and theirs: younger than `since`, and not below an older child of ours,
/// nor below the guard of another job.
pub fn orphans(since: u64) -> Vec<Stat> {
    let own = super::process::own_pid();
    let mut found = descendants_without(own, &|stat| stat.start_time < since || is_guard_of(stat, own));
    found.retain(|stat| !stat.is_dead());
    found
}

/// The name of a guard.
pub(super) const GUARD: &str = "job-guard";

/// A guard is a process of our program: one that a job named so is none.
fn is_guard_of(stat: &Stat, runner: i32) -> bool {
    stat.ppid == runner && stat.name == GUARD && program(stat.pid).is_some_and(|own| program(runner) == Some(own))
}

/// True where a guard of some runner is above this process: it belongs to a job, and ends with it.
pub fn is_inside_job(pid: i32) -> bool {
    let mut current = pid;
    for _ in 0..4096 {
        match stat(current) {
            Some(stat) if stat.name == GUARD && is_guard_of(&stat, stat.ppid) => return true,
            Some(stat) if stat.ppid > 0 => current = stat.ppid,
            _ => return false,
        }
    }
    false
}

/// Which file a process executes: its device and inode.
pub(super) fn program(pid: i32) -> Option<(u64, u64)> {
    fs::metadata(format!("/proc/{pid}/exe")).ok().map(|file| (file.dev(), file.ino()))
}

/// Rows with their real user ids.
pub fn rows_with_owners(stats: &[Stat]) -> Vec<ProcessRow> {
    let mut rows = rows(stats);
    for row in &mut rows {
        row.uid = owner(row.pid);
    }
    rows
}

/// True where the process has one of these open, by the names that /proc gives them.
pub fn holds_one_of(pid: i32, names: &[String]) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.flatten().any(|entry| {
        let Ok(target) = fs::read_link(entry.path()) else { return false };
        names.iter().any(|name| target.as_os_str() == name.as_str())
    })
}
