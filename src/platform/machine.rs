//! How busy the machine is, and how much memory is left: readings of /proc, and of the memory control group that we are in.
//!
//! Readings are cheap and never wait. What cannot be read is None.

use std::fs;
use std::path::{Path, PathBuf};

use super::cgroup::unescape;
use super::procfs;

/// This machine, as far as we may use it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Our own memory control group and those above it.
    groups: Vec<Group>,
}

/// A memory control group, and how its files are called.
#[derive(Clone, Debug)]
struct Group {
    folder: PathBuf,
    files: &'static GroupFiles,
}

#[derive(Debug, PartialEq)]
struct GroupFiles {
    limit: &'static str,
    usage: &'static str,
    /// The field of `memory.stat` for what the kernel takes back first.
    reclaimable: &'static str,
}

const VERSION_1: GroupFiles =
    GroupFiles { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", reclaimable: "total_inactive_file" };
const VERSION_2: GroupFiles = GroupFiles { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };

impl Machine {
    pub fn find() -> Self {
        let text = |path| procfs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let own = text("/proc/self/cgroup").unwrap_or_default();
        let mounts = text("/proc/self/mountinfo").unwrap_or_default();
        let groups = memory_group(&own, &mounts).map(|(point, folder, files)| {
            let above = folder.ancestors().take_while(|folder| folder.starts_with(&point));
            above.map(|folder| Group { folder: folder.to_owned(), files }).collect()
        });
        Self { groups: groups.unwrap_or_default() }
    }

    /// How many threads of the machine run or wait for a CPU or a disk just now, besides the one that asks.
    ///
    /// The load averages say the same of the last minute, which is too late for one who is about to start something: a
    /// minute ago it had started nothing. They serve where the present is not told.
    pub fn load(&self) -> Option<f64> {
        let text = |path| String::from_utf8(procfs::read(path)?).ok();
        match text("/proc/stat").as_deref().and_then(busy_threads) {
            Some(busy) => Some(busy.saturating_sub(1) as f64),
            None => text("/proc/loadavg")?.split(' ').next()?.parse().ok(),
        }
    }

    /// Bytes that new programs may use without others being swapped out: of the machine, or of our control group where
    /// that has less.
    pub fn available_memory(&self) -> Option<u64> {
        let text = String::from_utf8(procfs::read("/proc/meminfo")?).ok()?;
        let machine = kibibytes(&text, "MemAvailable:")?;
        Some(self.groups.iter().filter_map(Group::room).fold(machine, u64::min))
    }
}

impl Group {
    /// What is left up to its limit. None where it has none.
    fn room(&self) -> Option<u64> {
        let text = |name: &str| fs::read_to_string(self.folder.join(name)).ok();
        let limit: u64 = text(self.files.limit)?.trim().parse().ok()?;
        let usage: u64 = text(self.files.usage)?.trim().parse().ok()?;
        // Cached files count as used, and are given up for whoever needs the memory.
        let statistics = text("memory.stat").unwrap_or_default();
        let reclaimable =
            field(&statistics, self.files.reclaimable).and_then(|number| number.parse().ok()).unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
    }
}

/// `procs_running` and `procs_blocked` of /proc/stat, see proc_stat(5).
fn busy_threads(stat: &str) -> Option<u64> {
    let running: u64 = field(stat, "procs_running")?.parse().ok()?;
    let blocked: u64 = field(stat, "procs_blocked")?.parse().ok()?;
    Some(running + blocked)
}

fn kibibytes(meminfo: &str, name: &str) -> Option<u64> {
    field(meminfo, name)?.trim_end_matches(" kB").trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What follows this name at the start of a line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix([' ', '\t'])?.trim()))
}

/// Where the hierarchy of memory control groups is mounted, and our own group in it: from /proc/self/cgroup and
/// /proc/self/mountinfo, see cgroups(7). A mount may show a part of the hierarchy only, as in containers.
fn memory_group(own: &str, mounts: &str) -> Option<(PathBuf, PathBuf, &'static GroupFiles)> {
    let group_of = |chosen: fn(&str) -> bool| {
        own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let controllers = fields.next()?;
            let path = fields.next()?;
            chosen(controllers).then_some(path)
        })
    };
    let folder_of = |group: &str, chosen: fn(&str, &str) -> bool| {
        mounts.lines().find_map(|line| {
            let (place, system) = line.split_once(" - ")?;
            let mut system = system.split(' ');
            let (kind, options) = (system.next()?, system.nth(1)?);
            let mut place = place.split(' ').skip(3);
            let (root, point) = (unescape(place.next()?), unescape(place.next()?));
            if !chosen(kind, options) {
                return None;
            }
            // What is outside of what the mount shows is at its root as far as we can see.
            let below = Path::new(group).strip_prefix(&root).unwrap_or(Path::new(""));
            let folder = point.join(below);
            Some((point, folder))
        })
    };
    let has_memory = |list: &str| list.split(',').any(|name| name == "memory");
    let version_1 = group_of(has_memory).and_then(|group| {
        folder_of(group, |kind, options| kind == "cgroup" && options.split(',').any(|name| name == "memory"))
    });
    if let Some((point, folder)) = version_1 {
        return Some((point, folder, &VERSION_1));
    }
    let (point, folder) = folder_of(group_of(str::is_empty)?, |kind, _| kind == "cgroup2")?;
    Some((point, folder, &VERSION_2))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{Group, Machine, VERSION_1, VERSION_2, busy_threads, kibibytes, memory_group};

    #[test]
    fn this_machine_can_be_read() {
        let machine = Machine::find();
        assert!(machine.load().is_some_and(|load| load >= 0.0));
        assert!(machine.available_memory().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn figures_are_found_by_name() {
        let stat = "cpu  1 2 3\nctxt 74031564\nprocs_running 3\nprocs_blocked 2\nsoftirq 1 2\n";
        assert_eq!(busy_threads(stat), Some(5));
        assert_eq!(busy_threads("cpu  1 2 3\nprocs_running 3\n"), None);
        let meminfo = "MemTotal:       24684084 kB\nMemFree:  1 kB\nMemAvailable:   23567348 kB\n";
        assert_eq!(kibibytes(meminfo, "MemAvailable:"), Some(23_567_348 * 1024));
        assert_eq!(kibibytes(meminfo, "SwapFree:"), None);
    }

    #[test]
    fn the_memory_group_is_found_in_both_versions() {
        let one = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                   35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
        let two = "42 32 0:39 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let place = |point: &str, folder: &str| Some((PathBuf::from(point), PathBuf::from(folder)));
        let found = |own: &str, mounts: &str| memory_group(own, mounts).map(|(point, folder, _)| (point, folder));
        let memory = "/sys/fs/cgroup/memory";
        assert_eq!(found("4:memory:/a/b\n0::/\n", one), place(memory, "/sys/fs/cgroup/memory/a/b"));
        assert_eq!(found("0::/user.slice/x\n", two), place("/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/x"));
        assert_eq!(found("1:cpu:/\n", one), None);
        assert_eq!(found("0::/a\n", ""), None);
        // A container sees its own group as the root.
        let part = "35 31 0:32 /docker/7 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        assert_eq!(found("4:memory:/docker/7/job\n", part), place(memory, "/sys/fs/cgroup/memory/job"));
        assert_eq!(found("4:memory:/elsewhere\n", part), place(memory, "/sys/fs/cgroup/memory/"));
    }

    #[test]
    fn a_group_has_room_up_to_its_limit_and_cached_files_do_not_count() {
        for files in [&VERSION_1, &VERSION_2] {
            let folder = tempfile::tempdir().unwrap();
            let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
            let group = Group { folder: folder.path().to_owned(), files };
            assert_eq!(group.room(), None);
            write(files.limit, "1000\n");
            write(files.usage, "700\n");
            assert_eq!(group.room(), Some(300));
            write("memory.stat", &format!("anon 1\n{} 250\n", files.reclaimable));
            assert_eq!(group.room(), Some(550));
            write(files.limit, "100\n");
            assert_eq!(group.room(), Some(0));
            write(files.limit, "max\n");
            assert_eq!(group.room(), None);
        }
    }
}
