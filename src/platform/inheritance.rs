//! Process attributes that a background worker must not inherit: resource limits, nice value, scheduling policy, CPU
//! affinity, I/O class, memory policy, timer slack, personality, OOM score and control group.
//!
//! Called by `detach` between fork and exec, where only system calls are allowed; allocations are made before the fork.
//! `restrictions` finds what an ordinary user may not reset, for any process.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::process::Pid;

use super::{cgroup, process};
use crate::model::queue_data::Restriction;

const UNLIMITED: u64 = u64::MAX;
const MIB: u64 = 1 << 20;

/// A resource limit, see getrlimit(2).
struct ResourceLimit {
    resource: libc::__rlimit_resource_t,
    /// The label in /proc/PID/limits.
    label: &'static str,
    /// The name in answers.
    name: &'static str,
    /// Soft and hard default of the kernel or systemd for a login.
    default: [u64; 2],
    /// A lower hard limit is a restriction. 0: never.
    minimum: u64,
}

/// All limits except RLIMIT_CORE (a preference) and RLIMIT_NICE and RLIMIT_RTPRIO (permissions).
const LIMITS: [ResourceLimit; 13] = [
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
    default: [u64; 2],
    minimum: u64,
) -> ResourceLimit {
    ResourceLimit { resource, label, name, default, minimum }
}

/// The kernel's default timer slack in nanoseconds, see prctl(2).
const TIMER_SLACK: libc::c_ulong = 50_000;
/// See ioprio_set(2); the class `none` follows the nice value.
const IOPRIO_WHO_PROCESS: libc::c_int = 1;
const IOPRIO_CLASS_NONE: libc::c_int = 0;
/// As personality(2) takes it.
const PER_LINUX: libc::c_ulong = 0;
const MPOL_DEFAULT: libc::c_int = 0;
/// Bytes of a CPU mask for 8192 CPUs, the maximum of any kernel build.
const CPU_BYTES: usize = 1024;

/// Default attributes for a new process.
#[derive(Debug)]
pub(super) struct ProcessDefaults {
    /// The default soft and hard limits, and the closest ones that need no privilege.
    limits: Vec<(libc::__rlimit_resource_t, [u64; 2], [u64; 2])>,
    /// Writable `cgroup.procs` of the ancestor control groups, from the root down.
    groups: Vec<OwnedFd>,
}

impl ProcessDefaults {
    /// Computes the defaults from the attributes of this process.
    pub(super) fn prepare() -> Self {
        let first = fs::read_to_string("/proc/1/limits").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let limits = LIMITS.iter().filter_map(|limit| {
            let [soft, hard] = parse(&own, limit.label)?;
            // The machine or container may limit all of its processes.
            let [_, most] = parse(&first, limit.label).unwrap_or([UNLIMITED; 2]);
            let wanted_hard = hard.max(limit.default[1].min(most));
            let wanted_soft = soft.max(limit.default[0].min(wanted_hard));
            Some((limit.resource, [wanted_soft, wanted_hard], [wanted_soft.min(hard), hard]))
        });
        Self { limits: limits.collect(), groups: cgroup::ancestor_procs() }
    }

    /// Applies them to this process as far as permitted. Runs between fork and exec: system calls only.
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
            // Again: leaving SCHED_IDLE may be permitted only after the nice value is reset, see sched(7).
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

/// Soft and hard limit of a resource in the text of /proc/PID/limits.
fn parse(limits: &str, label: &str) -> Option<[u64; 2]> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(label))?;
    let mut values = rest.split_whitespace().map(|value| match value {
        "unlimited" => Some(UNLIMITED),
        number => number.parse().ok(),
    });
    Some([values.next()??, values.next()??])
}

/// The restrictions that a process inherited and its user may not lift. Empty if the process cannot be inspected.
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
    let lower = |limit: &&ResourceLimit| parse(&limits, limit.label).is_some_and(|[_, hard]| hard < limit.minimum);
    let lower: Vec<&ResourceLimit> = LIMITS.iter().filter(lower).collect();
    if lower.is_empty() {
        return Vec::new();
    }
    // Limits of the whole machine or container are not inherited from the starting process.
    let first = fs::read_to_string("/proc/1/limits").unwrap_or_default();
    let restriction = |limit: &ResourceLimit| {
        let [_, hard] = parse(&limits, limit.label)?;
        let [_, most] = parse(&first, limit.label).unwrap_or([UNLIMITED; 2]);
        let minimum = limit.minimum.min(most);
        (hard < minimum).then(|| Restriction::new(limit.name, display(hard), display(minimum), UNLIMITED - hard))
    };
    lower.into_iter().filter_map(restriction).collect()
}

fn display(limit: u64) -> String {
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

/// True if the first set is less severe in at least one restriction and more severe in none.
pub fn is_less_restricted(these: &[Restriction], those: &[Restriction]) -> bool {
    let severity = |list: &[Restriction], name: &str| {
        list.iter().find(|restriction| restriction.name == name).map_or(0, |restriction| restriction.severity)
    };
    let no_worse = these.iter().all(|one| one.severity <= severity(those, &one.name));
    no_worse && those.iter().any(|one| severity(these, &one.name) < one.severity)
}

/// The file size limit of this process in bytes. None: unlimited.
pub fn file_size_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

/// True if this process can probably lift restrictions. The answer may be wrong without CAP_SYS_RESOURCE.
pub fn is_privileged() -> bool {
    process::effective_user() == 0
}

#[cfg(test)]
mod tests {
    use super::{UNLIMITED, is_less_restricted, parse, restrictions};
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
    fn less_restricted_means_better_in_one_and_worse_in_none() {
        let nice = |value: u64| Restriction::new("nice", value.to_string(), "0", value);
        let files = Restriction::new("open_files", "64", "4096", UNLIMITED - 64);
        assert!(is_less_restricted(&[], &[nice(5)]));
        assert!(is_less_restricted(&[nice(4)], &[nice(5)]));
        assert!(is_less_restricted(&[nice(5)], &[files.clone(), nice(5)]));
        assert!(!is_less_restricted(&[nice(5)], &[nice(5)]));
        assert!(!is_less_restricted(&[nice(1)], &[files]), "neither is less restricted");
        assert!(!is_less_restricted(&[], &[]));
    }

    #[test]
    fn a_missing_process_has_no_restrictions() {
        assert_eq!(restrictions(i32::MAX), []);
        assert!(restrictions(own_pid()).iter().all(|restriction| restriction.severity > 0));
    }
}
