//! What a process inherits from whoever starts it, and a worker must not keep: resource limits, nice value, scheduling
//! policy, CPU affinity, I/O class, memory policy, timer slack, personality, OOM score and control group.
//!
//! Called by `detach` between fork and exec, where only system calls may be made; what needs memory is prepared before.
//! What an ordinary user may not restore is found by `restrictions`, from outside, for any process.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::process::Pid;

use super::cgroup;
use crate::model::queue_data::Restriction;

const UNLIMITED: u64 = u64::MAX;
const MIB: u64 = 1 << 20;

/// A resource limit, see getrlimit(2).
struct Limit {
    resource: libc::__rlimit_resource_t,
    /// As in /proc/PID/limits.
    label: &'static str,
    /// In answers.
    name: &'static str,
    /// What the kernel or systemd gives a login: soft and hard.
    usual: [u64; 2],
    /// A lower hard limit is a restriction. 0: none is.
    least: u64,
}

/// All limits but those of core files (a choice of the user's) and of priorities (a permission of the user's).
const LIMITS: [Limit; 13] = [
    limit(libc::RLIMIT_CPU, "Max cpu time", "cpu_time", [UNLIMITED; 2], UNLIMITED),
    limit(libc::RLIMIT_FSIZE, "Max file size", "file_size", [UNLIMITED; 2], UNLIMITED),
    limit(libc::RLIMIT_DATA, "Max data size", "data_size", [UNLIMITED; 2], UNLIMITED),
    limit(libc::RLIMIT_STACK, "Max stack size", "stack_size", [8 * MIB, UNLIMITED], 8 * MIB),
    limit(libc::RLIMIT_RSS, "Max resident set", "resident_set", [UNLIMITED; 2], 0),
    limit(libc::RLIMIT_NPROC, "Max processes", "processes", [UNLIMITED; 2], 1024),
    limit(libc::RLIMIT_NOFILE, "Max open files", "open_files", [1024, 512 * 1024], 4096),
    limit(libc::RLIMIT_MEMLOCK, "Max locked memory", "locked_memory", [8 * MIB; 2], 0),
    limit(libc::RLIMIT_AS, "Max address space", "address_space", [UNLIMITED; 2], UNLIMITED),
    limit(libc::RLIMIT_LOCKS, "Max file locks", "file_locks", [UNLIMITED; 2], 0),
    limit(libc::RLIMIT_SIGPENDING, "Max pending signals", "pending_signals", [UNLIMITED; 2], 0),
    limit(libc::RLIMIT_MSGQUEUE, "Max msgqueue size", "message_queues", [819_200; 2], 0),
    limit(libc::RLIMIT_RTTIME, "Max realtime timeout", "realtime", [UNLIMITED; 2], 0),
];

const fn limit(
    resource: libc::__rlimit_resource_t,
    label: &'static str,
    name: &'static str,
    usual: [u64; 2],
    least: u64,
) -> Limit {
    Limit { resource, label, name, usual, least }
}

/// Nanoseconds by which the kernel may delay a timer of an ordinary process.
const TIMER_SLACK: libc::c_ulong = 50_000;
/// As ioprio_set(2) takes them; the class `none` follows the nice value.
const IOPRIO_WHO_PROCESS: libc::c_int = 1;
const IOPRIO_CLASS_NONE: libc::c_int = 0;
/// As personality(2) takes it.
const PER_LINUX: libc::c_ulong = 0;
const MPOL_DEFAULT: libc::c_int = 0;
/// As many CPUs as any kernel is built for.
const CPU_BYTES: usize = 1024;

/// What a new process is to have in place of what it inherits.
#[derive(Debug)]
pub(super) struct Defaults {
    /// Soft and hard limit wanted, and the soft one that is possible below the present hard one.
    limits: Vec<(libc::__rlimit_resource_t, [u64; 2], [u64; 2])>,
    /// `cgroup.procs` of the control groups above ours that we may write, from the topmost down.
    groups: Vec<OwnedFd>,
}

impl Defaults {
    /// Prepares them from what this process has.
    pub(super) fn prepare() -> Self {
        let first = fs::read_to_string("/proc/1/limits").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let limits = LIMITS.iter().filter_map(|limit| {
            let [soft, hard] = parse(&own, limit.label)?;
            // The machine, or the container, may have less for all its processes.
            let [_, most] = parse(&first, limit.label).unwrap_or([UNLIMITED; 2]);
            let wanted_hard = hard.max(limit.usual[1].min(most));
            let wanted_soft = soft.max(limit.usual[0].min(wanted_hard));
            Some((limit.resource, [wanted_soft, wanted_hard], [wanted_soft.min(hard), hard]))
        });
        Self { limits: limits.collect(), groups: cgroup::processes_above() }
    }

    /// Gives them to this process, as far as it may. Between fork and exec: system calls alone.
    pub(super) fn apply(&self) {
        for (resource, wanted, possible) in &self.limits {
            if !set_limit(*resource, *wanted) {
                set_limit(*resource, *possible);
            }
        }
        let all_cpus = [u8::MAX; CPU_BYTES];
        // SAFETY: system calls with numbers, constant strings, and structures of ours that outlive them.
        unsafe {
            let parameter: libc::sched_param = std::mem::zeroed();
            libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameter);
            libc::setpriority(libc::PRIO_PROCESS, 0, 0);
            // Once more: with its nice value restored it may leave the policy `idle`, too.
            libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameter);
            libc::syscall(libc::SYS_sched_setaffinity, 0, CPU_BYTES, all_cpus.as_ptr());
            libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_NONE);
            libc::syscall(libc::SYS_set_mempolicy, MPOL_DEFAULT, std::ptr::null::<libc::c_ulong>(), 0);
            libc::prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK);
            libc::prctl(libc::PR_SET_THP_DISABLE, 0, 0, 0, 0);
            libc::personality(PER_LINUX);
            let score = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if score >= 0 {
                libc::write(score, c"0".as_ptr().cast(), 1);
                libc::close(score);
            }
            for group in &self.groups {
                if libc::write(group.as_raw_fd(), c"0".as_ptr().cast(), 1) == 1 {
                    break;
                }
            }
        }
    }
}

fn set_limit(resource: libc::__rlimit_resource_t, [soft, hard]: [u64; 2]) -> bool {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: reads the structure.
    unsafe { libc::setrlimit(resource, &raw const limit) == 0 }
}

/// Soft and hard limit of a resource, as a file of /proc tells them.
fn parse(limits: &str, label: &str) -> Option<[u64; 2]> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(label))?;
    let mut values = rest.split_whitespace().map(|value| match value {
        "unlimited" => Some(UNLIMITED),
        number => number.parse().ok(),
    });
    Some([values.next()??, values.next()??])
}

/// What a process has inherited that its user may not restore. Empty for a process that cannot be looked at.
pub fn restrictions(pid: i32) -> Vec<Restriction> {
    let mut found = limits_of(pid);
    found.extend(scheduling_of(pid));
    let status = |pid: i32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    if status(pid).contains("\nNoNewPrivs:\t1") && !status(1).contains("\nNoNewPrivs:\t1") {
        found.push(Restriction::new("no_new_privileges", "yes", "no", 1));
    }
    if let Some(limits) = cgroup::limits_of(pid) {
        found.push(Restriction::new("control_group", limits, "no limits", 1));
    }
    found
}

fn limits_of(pid: i32) -> Vec<Restriction> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let lower = |limit: &&Limit| parse(&limits, limit.label).is_some_and(|[_, hard]| hard < limit.least);
    let lower: Vec<&Limit> = LIMITS.iter().filter(lower).collect();
    if lower.is_empty() {
        return Vec::new();
    }
    // What all processes of the machine, or of the container, have is nothing of whoever started this one.
    let first = fs::read_to_string("/proc/1/limits").unwrap_or_default();
    let restriction = |limit: &Limit| {
        let [_, hard] = parse(&limits, limit.label)?;
        let [_, most] = parse(&first, limit.label).unwrap_or([UNLIMITED; 2]);
        let usual = limit.least.min(most);
        (hard < usual).then(|| Restriction::new(limit.name, shown(hard), shown(usual), UNLIMITED - hard))
    };
    lower.into_iter().filter_map(restriction).collect()
}

fn shown(limit: u64) -> String {
    if limit == UNLIMITED { "unlimited".to_owned() } else { limit.to_string() }
}

fn scheduling_of(pid: i32) -> Vec<Restriction> {
    let mut found = Vec::new();
    let nice = Pid::from_raw(pid).and_then(|pid| rustix::process::getpriority_process(Some(pid)).ok());
    if let Some(nice @ 1..) = nice {
        found.push(Restriction::new("nice", nice.to_string(), "0", nice.unsigned_abs().into()));
    }
    // SAFETY: takes a number.
    let policy = match unsafe { libc::sched_getscheduler(pid) } {
        libc::SCHED_IDLE => "idle",
        libc::SCHED_BATCH => "batch",
        _ => return found,
    };
    found.push(Restriction::new("scheduling_policy", policy, "other", 1));
    found
}

/// True where a process with the first is freer than one with the second in something, and less free in nothing.
pub fn is_better(these: &[Restriction], those: &[Restriction]) -> bool {
    let severity = |list: &[Restriction], name: &str| {
        list.iter().find(|restriction| restriction.name == name).map_or(0, |restriction| restriction.severity)
    };
    let no_worse = these.iter().all(|one| one.severity <= severity(those, &one.name));
    no_worse && those.iter().any(|one| severity(these, &one.name) < one.severity)
}

/// How large a file of this process may become. None: as large as the file system allows.
pub fn file_size_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

/// True where this process may restore what others may not, as far as can be told without trying.
pub fn is_privileged() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::{UNLIMITED, is_better, parse, restrictions};
    use crate::model::queue_data::Restriction;
    use crate::platform::process::own_pid;

    const TEXT: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
        Max file size             102400               unlimited            bytes     \n\
        Max open files            64                   4096                 files     \n";

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        assert_eq!(parse(TEXT, "Max file size"), Some([102_400, UNLIMITED]));
        assert_eq!(parse(TEXT, "Max open files"), Some([64, 4096]));
        assert_eq!(parse(TEXT, "Max cpu time"), None);
    }

    #[test]
    fn a_process_is_better_that_has_less_of_one_and_more_of_none() {
        let nice = |value: u64| Restriction::new("nice", value.to_string(), "0", value);
        let files = Restriction::new("open_files", "64", "4096", UNLIMITED - 64);
        assert!(is_better(&[], &[nice(5)]));
        assert!(is_better(&[nice(4)], &[nice(5)]));
        assert!(is_better(&[nice(5)], &[files.clone(), nice(5)]));
        assert!(!is_better(&[nice(5)], &[nice(5)]));
        assert!(!is_better(&[nice(1)], &[files]), "neither is better");
        assert!(!is_better(&[], &[]));
    }

    #[test]
    fn a_process_that_is_not_there_has_none() {
        assert_eq!(restrictions(i32::MAX), []);
        assert!(restrictions(own_pid()).iter().all(|restriction| restriction.severity > 0));
    }
}
