//! Control groups of version 2: one for each job, where our own group lets us make one.
//!
//! A group is ended by one write and cannot be left by forking. Its owner holds a lock on its directory for life, so
//! that a later run can tell a dead owner's group and remove it.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::process;
use super::procfs;

/// Names of our groups begin so.
const PREFIX: &str = "runner-";
/// A `pids.max` below this is a deliberate limit; systemd gives each unit several thousand.
const FEW_PROCESSES: u64 = 1024;
/// How often removal is tried again while the kernel still takes a killed group apart.
const REMOVE_TRIES: u32 = 100;

/// The group that we are in ourselves, in which groups for jobs are made.
#[derive(Debug)]
pub struct Home {
    directory: Arc<OwnedFd>,
    /// Groups of jobs that are over, for jobs to come.
    spare: RefCell<Vec<Cgroup>>,
    /// Whether a job can leave a limit in its group; once that was looked at.
    has_limits: Cell<Option<bool>>,
}

/// So many groups are kept for jobs to come.
const SPARE_LIMIT: usize = 64;

impl Home {
    /// Finds our own group. None where there is no version 2, or where it cannot be reached.
    pub fn find() -> Option<Self> {
        let [_, path] = place_of("self")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&path, flags, Mode::empty()).ok()?;
        Some(Self { directory: Arc::new(directory), spare: RefCell::default(), has_limits: Cell::new(None) })
    }

    /// A group for one job, locked by us: where `used` will do, one that an earlier job had. `None` where we may not.
    pub fn create(&self, used: bool) -> Option<Cgroup> {
        let spare = if used { self.spare.borrow_mut().pop() } else { None };
        spare.or_else(|| self.make())
    }

    /// Takes back the group of a job that ended by itself, of whose tree nothing is left. To remove a group and to make
    /// another costs much of what it costs to run a short program.
    pub fn keep(&self, group: Option<Cgroup>) {
        let room = self.spare.borrow().len() < SPARE_LIMIT;
        if let Some(group) = group.filter(|group| room && !self.has_limits() && group.is_as_new()) {
            self.spare.borrow_mut().push(group);
        }
    }

    /// Where controllers are handed down a job may have set limits for itself, which the next one must not have.
    fn has_limits(&self) -> bool {
        let has_limits = self.has_limits.get().unwrap_or_else(|| {
            let controllers = read_file(self.directory.as_fd(), c"cgroup.subtree_control");
            controllers.is_none_or(|names| !names.trim().is_empty())
        });
        self.has_limits.set(Some(has_limits));
        has_limits
    }

    fn make(&self) -> Option<Cgroup> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        // A name may be taken by a dead runner of the same pid, and a sweeper may take a new group for a dead one's.
        for _ in 0..8 {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = CString::new(format!("{PREFIX}{}-{number}", process::own_pid())).ok()?;
            match rustix::fs::mkdirat(&self.directory, &name, Mode::from_raw_mode(0o755)) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(_) => return None,
            }
            if let Some(directory) = open_group(self.directory.as_fd(), &name)
                && rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok()
                && has_kill(directory.as_fd())
            {
                return Some(Cgroup { name, parent: Arc::clone(&self.directory), directory });
            }
            let _ = rustix::fs::unlinkat(&self.directory, &name, AtFlags::REMOVEDIR);
        }
        None
    }

    /// Ends and removes groups whose owners are dead. True where one is still being taken apart; with patience, that is
    /// awaited for a moment.
    pub fn sweep(&self, patience: Patience) -> bool {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.directory) else { return false };
        let mut left = false;
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name.to_bytes().starts_with(PREFIX.as_bytes()) {
                continue;
            }
            if let Some(directory) = open_group(self.directory.as_fd(), name)
                && rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok()
            {
                kill(directory.as_fd());
                left |= !remove(self.directory.as_fd(), name, directory.as_fd(), patience);
            }
        }
        left
    }
}

/// The root of the visible version 2 hierarchy and the group of a process in it.
fn place_of(process: &str) -> Option<[PathBuf; 2]> {
    let own = String::from_utf8(procfs::read(&format!("/proc/{process}/cgroup"))?).ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = String::from_utf8(procfs::read("/proc/self/mountinfo")?).ok()?;
    let (path, point) = mounts.lines().filter_map(parse_mount).find_map(|mount| group_at(own, mount))?;
    Some([point, path])
}

/// The writable `cgroup.procs` of our ancestor groups, from the root down. A process that writes 0 to one moves there,
/// unless the kernel refuses.
pub(super) fn ancestor_procs() -> Vec<OwnedFd> {
    let Some([top, own]) = place_of("self") else { return Vec::new() };
    let above: Vec<&Path> = own.ancestors().skip(1).take_while(|group| group.starts_with(&top)).collect();
    let open = |group: &Path| {
        rustix::fs::open(group.join("cgroup.procs"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).ok()
    };
    above.into_iter().rev().filter_map(open).collect()
}

/// The limits of the groups of a process, without the visible root, which is that of the machine or the container.
/// None: there are no limits.
pub(super) fn limits_of(pid: i32) -> Option<String> {
    let [top, own] = place_of(&pid.to_string())?;
    let groups = own.ancestors().take_while(|group| group.starts_with(&top) && **group != top);
    let limits = groups.flat_map(|group| {
        let of_group = |name: &str| {
            let value = fs::read_to_string(group.join(name)).ok()?;
            let value = value.trim();
            let is_limit = match name {
                "pids.max" => value.parse::<u64>().is_ok_and(|most| most < FEW_PROCESSES),
                _ => !value.starts_with("max"),
            };
            is_limit.then(|| format!("{name}={value} of {}", group.display()))
        };
        ["memory.max", "memory.high", "cpu.max", "pids.max"].into_iter().filter_map(of_group).collect::<Vec<_>>()
    });
    let limits: Vec<String> = limits.collect();
    (!limits.is_empty()).then(|| limits.join(", "))
}

/// Whether a group that is busy dying is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    Wait,
    GoOn,
}

/// A job's group. Dropping it removes it, once it is empty.
#[derive(Debug)]
pub struct Cgroup {
    name: CString,
    parent: Arc<OwnedFd>,
    directory: OwnedFd,
}

impl Cgroup {
    /// Ends every process in it, at once. False where the system refuses that.
    pub fn kill(&self) -> bool {
        kill(self.directory.as_fd())
    }

    /// A process lives in it, or in a group below it, as far as can be told.
    pub(super) fn is_populated(&self) -> bool {
        read_file(self.directory.as_fd(), c"cgroup.events").is_none_or(|events| !events.contains("populated 0"))
    }

    /// No process is in it, and no group below it.
    fn is_as_new(&self) -> bool {
        // As in every file system, a directory has two links and one more for each directory in it.
        let alone = rustix::fs::fstat(&self.directory).is_ok_and(|stat| stat.st_nlink == 2);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, c"cgroup.procs", flags, Mode::empty());
        alone && file.is_ok_and(|file| rustix::io::read(file, &mut [0]) == Ok(0))
    }

    /// CPU time of all that ran in it.
    pub fn cpu(&self) -> Option<Duration> {
        let text = read_file(self.directory.as_fd(), c"cpu.stat")?;
        let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?.trim().parse().ok()?;
        Some(Duration::from_micros(micros))
    }

    /// Moves what lives in it to our own group, and removes it.
    pub fn let_go(&self) {
        // What forks meanwhile is moved in the next round.
        for _ in 0..REMOVE_TRIES {
            move_out(self.directory.as_fd(), self.parent.as_fd());
            if remove(self.parent.as_fd(), &self.name, self.directory.as_fd(), Patience::GoOn) {
                return;
            }
            process::nap(Duration::from_micros(200));
        }
    }

    pub(super) fn raw(&self) -> RawFd {
        self.directory.as_raw_fd()
    }

    pub(super) fn raw_parent(&self) -> RawFd {
        self.parent.as_raw_fd()
    }

    pub(super) fn name(&self) -> &CStr {
        &self.name
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(self.parent.as_fd(), &self.name, self.directory.as_fd(), Patience::Wait);
    }
}

/// Mount root and mount point of a cgroup2 line of /proc/self/mountinfo, see proc_pid_mountinfo(5).
fn parse_mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (left, right) = line.split_once(" - ")?;
    if !right.starts_with("cgroup2 ") {
        return None;
    }
    let mut fields = left.split(' ').skip(3);
    Some((unescape(fields.next()?), unescape(fields.next()?)))
}

/// Undoes the octal escapes of blanks and backslashes in mountinfo.
pub(super) fn unescape(field: &str) -> PathBuf {
    let mut text = field.to_owned();
    for (escape, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        text = text.replace(escape, character);
    }
    PathBuf::from(text)
}

/// Our group in the hierarchy that limits the number of processes, and the root of that hierarchy: version 2, or the pids
/// controller of version 1.
pub(super) fn process_controller() -> Option<(PathBuf, PathBuf)> {
    let own = String::from_utf8(procfs::read("/proc/self/cgroup")?).ok()?;
    let mounts = String::from_utf8(procfs::read("/proc/self/mountinfo")?).ok()?;
    let of_pids = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == "pids").then_some(path)
    });
    let version_1 = || mounts.lines().filter_map(parse_pids_mount).find_map(|mount| group_at(of_pids?, mount));
    version_1().or_else(|| place_of("self").map(|[point, path]| (path, point)))
}

/// Where a group and its hierarchy are mounted.
fn group_at(own: &str, (root, point): (PathBuf, PathBuf)) -> Option<(PathBuf, PathBuf)> {
    let below = Path::new(own).strip_prefix(&root).ok()?;
    let path = point.join(below);
    path.join("cgroup.procs").exists().then_some((path, point))
}

/// Mount root and mount point of a line of the pids controller of version 1.
fn parse_pids_mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (left, right) = line.split_once(" - ")?;
    let options = right.strip_prefix("cgroup ")?.split(' ').next_back()?;
    if !options.split(',').any(|option| option == "pids") {
        return None;
    }
    let mut fields = left.split(' ').skip(3);
    Some((unescape(fields.next()?), unescape(fields.next()?)))
}

fn open_group(parent: BorrowedFd<'_>, name: &CStr) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(parent, name, flags, Mode::empty()).ok()
}

fn has_kill(directory: BorrowedFd<'_>) -> bool {
    rustix::fs::accessat(directory, c"cgroup.kill", rustix::fs::Access::WRITE_OK, AtFlags::empty()).is_ok()
}

fn kill(directory: BorrowedFd<'_>) -> bool {
    write_file(directory, c"cgroup.kill", b"1").is_ok()
}

fn write_file(directory: BorrowedFd<'_>, name: &CStr, content: &[u8]) -> io::Result<()> {
    let file = rustix::fs::openat(directory, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, content)?;
    Ok(())
}

fn read_file(directory: BorrowedFd<'_>, name: &CStr) -> Option<String> {
    let file = rustix::fs::openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    io::read_to_string(fs::File::from(file)).ok()
}

/// Moves the processes of a group, and of groups that the job made in it.
fn move_out(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
    for name in subgroups(from) {
        if let Some(below) = open_group(from, &name) {
            move_out(below.as_fd(), to);
        }
    }
    for pid in read_file(from, c"cgroup.procs").unwrap_or_default().lines() {
        // One that is gone by now needs no moving.
        let _ = write_file(to, c"cgroup.procs", pid.as_bytes());
    }
}

fn subgroups(directory: BorrowedFd<'_>) -> Vec<CString> {
    let Ok(entries) = rustix::fs::Dir::read_from(directory) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type() == rustix::fs::FileType::Directory)
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| ![&b"."[..], b".."].contains(&name.to_bytes()))
        .collect()
}

/// Removes a group and those below it. False where it is still there: one whose last process just died is busy for a
/// moment.
fn remove(parent: BorrowedFd<'_>, name: &CStr, directory: BorrowedFd<'_>, patience: Patience) -> bool {
    let tries = if patience == Patience::Wait { REMOVE_TRIES } else { 1 };
    for attempt in 0..tries {
        if attempt > 0 {
            process::nap(Duration::from_millis(1));
        }
        for below in subgroups(directory) {
            if let Some(group) = open_group(directory, &below) {
                remove(directory, &below, group.as_fd(), Patience::GoOn);
            }
        }
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::BUSY) => {}
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::parse_mount;

    #[test]
    fn a_cgroup2_mount_is_found_by_its_type() {
        let hybrid = r"42 32 0:39 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(parse_mount(hybrid), Some((PathBuf::from("/"), PathBuf::from("/sys/fs/cgroup/unified"))));
        let escaped = r"42 32 0:39 /a\040b /mnt/c\134d rw - cgroup2 none rw";
        assert_eq!(parse_mount(escaped), Some((PathBuf::from("/a b"), PathBuf::from(r"/mnt/c\d"))));
        let other = r"43 32 0:40 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu";
        assert_eq!(parse_mount(other), None);
    }
}
