//! The guard: a small process between runner and the leader of one job.
//!
//! It is the leader's parent and a subreaper, so whatever the job forks stays below it, however often it detaches. It
//! alone waits, so an exit status is never lost. If runner dies, it ends the tree. It holds none of the job's pipes.
//!
//! It shares runner's memory (see `clone`), so everything below runs without allocation, panics or thread-local
//! storage: raw system calls on memory that `Plan` owns.

use std::ffi::{c_char, c_void};
use std::ptr::null;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use syscalls::{Errno, Sysno, syscall};

use super::clone::{CLONE_INTO_CGROUP, CloneArgs, clone_process};

/// What the guard is asked to do, in `Shared::order`.
pub(super) const ORDER_WATCH: u32 = 0;
/// Kill the children, again and again, until there are none.
pub(super) const ORDER_KILL: u32 = 1;

/// How far the start came, in `Shared::phase`.
pub(super) const PHASE_STARTING: u32 = 0;
pub(super) const PHASE_STARTED: u32 = 1;
pub(super) const PHASE_FAILED: u32 = 2;

/// The step that failed, in `Shared::failed_step`.
pub(super) const STEP_SPAWN: u32 = 0;
pub(super) const STEP_CHDIR: u32 = 1;
pub(super) const STEP_EXEC: u32 = 2;

/// The signal that runner wakes the guard with; what to do stands in memory.
pub(super) const WAKE_SIGNAL: i32 = libc::SIGUSR1;
/// The signal that the kernel sends when runner is gone; the guard asks who its parent is.
const ORPHANED_SIGNAL: i32 = libc::SIGTERM;
/// How many pids of reaped processes are remembered.
pub(super) const REAPED_MEMORY: usize = 64;
/// After runner's death a tree that cannot be killed is given up after so many rounds of about 10 ms.
const ORPHANED_ROUNDS: u32 = 1_000;

/// Memory that runner and the guard both read and write.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) order: AtomicU32,
    pub(super) phase: AtomicU32,
    pub(super) failed_step: AtomicU32,
    pub(super) failed_errno: AtomicI32,
    pub(super) leader_pid: AtomicI32,
    pub(super) leader_pidfd: AtomicI32,
    /// Set once `leader_status` is true.
    pub(super) leader_ended: AtomicU32,
    pub(super) leader_status: AtomicI32,
    /// The signal that the leader is stopped on, or zero.
    pub(super) leader_stopped: AtomicI32,
    /// No process of the tree is left, and all were waited for.
    pub(super) tree_empty: AtomicU32,
    pub(super) user_micros: AtomicU64,
    pub(super) system_micros: AtomicU64,
    pub(super) max_rss_kib: AtomicU64,
    /// Pids that were reaped lately, in a ring.
    pub(super) reaped: [AtomicI32; REAPED_MEMORY],
    pub(super) reaped_count: AtomicU32,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            order: AtomicU32::new(ORDER_WATCH),
            phase: AtomicU32::new(PHASE_STARTING),
            failed_step: AtomicU32::new(STEP_SPAWN),
            failed_errno: AtomicI32::new(0),
            leader_pid: AtomicI32::new(0),
            leader_pidfd: AtomicI32::new(-1),
            leader_ended: AtomicU32::new(0),
            leader_status: AtomicI32::new(0),
            leader_stopped: AtomicI32::new(0),
            tree_empty: AtomicU32::new(0),
            user_micros: AtomicU64::new(0),
            system_micros: AtomicU64::new(0),
            max_rss_kib: AtomicU64::new(0),
            reaped: [const { AtomicI32::new(0) }; REAPED_MEMORY],
            reaped_count: AtomicU32::new(0),
        }
    }
}

/// Everything that guard and leader need, owned by runner until the guard is gone.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) shared: Shared,
    pub(super) runner_pid: i32,
    /// Rung when there is news.
    pub(super) doorbell: i32,
    /// The job's control group and the group that it was made in, or -1.
    pub(super) cgroup: i32,
    pub(super) cgroup_parent: i32,
    pub(super) cgroup_name: *const c_char,
    /// Lowest address and size of the leader's first stack.
    pub(super) leader_stack: (u64, u64),
    /// A process group of its own.
    pub(super) own_group: bool,
    /// Signals whose disposition the leader sets to default, one bit each (bit 0 is signal 1).
    pub(super) reset_signals: u64,
    /// Files to execute, tried in turn; ends with a null pointer.
    pub(super) candidates: *const *const c_char,
    pub(super) argv: *const *const c_char,
    pub(super) envp: *const *const c_char,
    /// `/bin/sh`, room for the file, the arguments: for a script that names no interpreter.
    pub(super) shell_argv: *mut *const c_char,
    /// Working directory, or null.
    pub(super) cwd: *const c_char,
    /// What becomes descriptor 0, 1 and 2; -1 leaves it.
    pub(super) descriptors: [i32; 3],
}

// SAFETY: the pointers are to memory that the plan's owner keeps, and only the guard's processes follow them.
unsafe impl Send for Plan {}

/// Minus one: wait4(2) for any child.
const ANY_CHILD: usize = usize::MAX;

/// rusage as the kernel writes it.
type Usage = libc::rusage;

/// Where the guard begins. `plan` is a `*mut Plan`.
pub(super) extern "C" fn guard(plan: *mut c_void) -> ! {
    // SAFETY: runner keeps the plan until this process is gone.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    // SAFETY: plain system calls with valid arguments.
    unsafe {
        let _ = syscall!(Sysno::prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        let _ = syscall!(Sysno::prctl, libc::PR_SET_PDEATHSIG, ORPHANED_SIGNAL, 0, 0, 0);
        let _ = syscall!(Sysno::prctl, libc::PR_SET_NAME, c"runner-guard".as_ptr(), 0, 0, 0);
        if plan.own_group {
            // Whoever kills runner's process group leaves us to end the tree.
            let _ = syscall!(Sysno::setpgid, 0, 0);
        }
    }
    if let Err((step, errno)) = start_leader(plan) {
        plan.shared.failed_step.store(step, Ordering::Relaxed);
        plan.shared.failed_errno.store(errno, Ordering::Relaxed);
        plan.shared.phase.store(PHASE_FAILED, Ordering::Release);
        exit(0);
    }
    plan.shared.phase.store(PHASE_STARTED, Ordering::Release);
    ring(plan);
    let kept = [plan.doorbell, plan.cgroup, plan.cgroup_parent];
    close_all_but(kept);
    watch(plan)
}

/// Makes the leader and waits until it executes its program.
fn start_leader(plan: &mut Plan) -> Result<(), (u32, i32)> {
    let (stack, stack_size) = plan.leader_stack;
    let mut flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::CLONE_PARENT_SETTID) as u64;
    if plan.cgroup >= 0 {
        flags |= CLONE_INTO_CGROUP;
    }
    let args = CloneArgs {
        flags,
        pidfd: plan.shared.leader_pidfd.as_ptr() as u64,
        parent_tid: plan.shared.leader_pid.as_ptr() as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack,
        stack_size,
        cgroup: plan.cgroup.max(0) as u64,
        ..CloneArgs::default()
    };
    // SAFETY: the stack is the plan's; `leader` keeps to the rules; CLONE_VFORK holds us until it is done with both.
    let pid = unsafe { clone_process(&args, leader, std::ptr::from_mut(plan).cast()) };
    if pid < 0 {
        return Err((STEP_SPAWN, -pid as i32));
    }
    plan.shared.leader_pid.store(pid as i32, Ordering::Release);
    let errno = plan.shared.failed_errno.load(Ordering::Acquire);
    if errno == 0 {
        return Ok(());
    }
    // SAFETY: waits for our own child, which has ended.
    let _ = unsafe { syscall!(Sysno::wait4, pid, 0, 0, 0) };
    Err((plan.shared.failed_step.load(Ordering::Acquire), errno))
}

/// Where the leader begins: becomes the job's program. Still shares our memory, and holds the guard suspended.
extern "C" fn leader(plan: *mut c_void) -> ! {
    // SAFETY: as for the guard, which is suspended meanwhile.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    // SAFETY: plain system calls; every pointer is to memory of the plan.
    unsafe {
        // If the guard is killed alone, the leader must not go on without one.
        let _ = syscall!(Sysno::prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        for signal in 1..=64 {
            // Two cannot be changed.
            let fixed = matches!(signal, libc::SIGKILL | libc::SIGSTOP);
            if !fixed && plan.reset_signals & (1 << (signal - 1)) != 0 {
                default_disposition(signal);
            }
        }
        if plan.own_group {
            let _ = syscall!(Sysno::setpgid, 0, 0);
        }
        for target in 0..3 {
            let source = plan.descriptors[target];
            if source >= 0
                && let Err(errno) = syscall!(Sysno::dup3, source, target, 0)
            {
                fail(plan, STEP_SPAWN, errno);
            }
        }
        if !plan.cwd.is_null()
            && let Err(errno) = syscall!(Sysno::chdir, plan.cwd)
        {
            fail(plan, STEP_CHDIR, errno);
        }
        let empty: u64 = 0;
        let _ = syscall!(Sysno::rt_sigprocmask, libc::SIG_SETMASK, &raw const empty, 0, 8);
        execute(plan)
    }
}

/// Tries each candidate, as execvp(3) does: a file that may not be executed is remembered while others are tried.
unsafe fn execute(plan: &mut Plan) -> ! {
    let mut reason = Errno::ENOENT;
    let mut candidate = plan.candidates;
    // SAFETY: the list ends with a null pointer; every string in it lives in the plan.
    unsafe {
        while !(*candidate).is_null() {
            let mut errno = refusal(syscall!(Sysno::execve, *candidate, plan.argv, plan.envp));
            if errno == Errno::ENOEXEC {
                *plan.shell_argv.add(1) = *candidate;
                errno = refusal(syscall!(Sysno::execve, *plan.shell_argv, plan.shell_argv, plan.envp));
            }
            match errno {
                Errno::EACCES => reason = errno,
                Errno::ENOENT | Errno::ENOTDIR if reason != Errno::EACCES => reason = errno,
                Errno::ENOENT | Errno::ENOTDIR => {}
                _ => fail(plan, STEP_EXEC, errno),
            }
            candidate = candidate.add(1);
        }
    }
    fail(plan, STEP_EXEC, reason)
}

/// execve(2) comes back only with an error.
fn refusal(result: Result<usize, Errno>) -> Errno {
    result.err().unwrap_or(Errno::EINVAL)
}

/// Ends a leader that could not become the job's program.
fn fail(plan: &mut Plan, step: u32, errno: Errno) -> ! {
    plan.shared.failed_step.store(step, Ordering::Release);
    plan.shared.failed_errno.store(errno.into_raw(), Ordering::Release);
    exit(127)
}

fn default_disposition(signal: i32) {
    // The kernel's own structure: handler, flags, restorer, mask; all zero is SIG_DFL on every architecture.
    let action = [0_u64; 4];
    // SAFETY: the kernel reads at most the structure.
    let _ = unsafe { syscall!(Sysno::rt_sigaction, signal, &raw const action, 0, 8) };
}

/// The guard's life: reap, obey, look whether runner still lives, sleep.
fn watch(plan: &mut Plan) -> ! {
    let shared = &plan.shared;
    let mut wanted: u64 = 0;
    for signal in [libc::SIGCHLD, WAKE_SIGNAL, ORPHANED_SIGNAL] {
        wanted |= 1 << (signal - 1);
    }
    let mut rounds = 0;
    loop {
        if !reap(plan) {
            shared.tree_empty.store(1, Ordering::Release);
            if runner_is_gone(plan) {
                remove_cgroup(plan);
            }
            exit(0);
        }
        let orphaned = runner_is_gone(plan);
        let killing = orphaned || shared.order.load(Ordering::Acquire) == ORDER_KILL;
        if orphaned {
            rounds += 1;
            if rounds > ORPHANED_ROUNDS {
                exit(0);
            }
            kill_cgroup(plan);
        }
        let met = if killing { kill_children() } else { 0 };
        // Signals come when there is news; a kill is repeated though, at once while it still finds new processes.
        let pause = libc::timespec { tv_sec: 0, tv_nsec: if met > 0 { 200_000 } else { 10_000_000 } };
        let timeout = if killing { &raw const pause } else { null() };
        // SAFETY: waits for one of our blocked signals.
        let _ = unsafe { syscall!(Sysno::rt_sigtimedwait, &raw const wanted, 0, timeout, 8) };
    }
}

/// Waits for every child that ended. False when there is none left at all.
fn reap(plan: &Plan) -> bool {
    let shared = &plan.shared;
    let leader_pid = shared.leader_pid.load(Ordering::Relaxed);
    loop {
        let mut status: i32 = 0;
        // SAFETY: an all-zero rusage is a valid one.
        let mut usage: Usage = unsafe { std::mem::zeroed() };
        let options = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
        // SAFETY: the kernel writes to both.
        let waited = unsafe { syscall!(Sysno::wait4, ANY_CHILD, &raw mut status, options, &raw mut usage) };
        let pid = match waited {
            Ok(0) => return true,
            Ok(pid) => pid as i32,
            Err(Errno::EINTR) => continue,
            Err(_) => return false,
        };
        if libc::WIFSTOPPED(status) || libc::WIFCONTINUED(status) {
            if pid == leader_pid {
                let signal = if libc::WIFSTOPPED(status) { libc::WSTOPSIG(status) } else { 0 };
                shared.leader_stopped.store(signal, Ordering::Release);
            }
            continue;
        }
        let slot = shared.reaped_count.load(Ordering::Relaxed);
        shared.reaped[slot as usize % REAPED_MEMORY].store(pid, Ordering::Release);
        shared.reaped_count.store(slot.wrapping_add(1), Ordering::Release);
        add_usage(shared, &usage);
        if pid == leader_pid {
            shared.leader_status.store(status, Ordering::Release);
            shared.leader_ended.store(1, Ordering::Release);
            ring(plan);
        }
    }
}

fn add_usage(shared: &Shared, usage: &Usage) {
    let micros = |time: libc::timeval| (time.tv_sec as u64).wrapping_mul(1_000_000).wrapping_add(time.tv_usec as u64);
    shared.user_micros.fetch_add(micros(usage.ru_utime), Ordering::AcqRel);
    shared.system_micros.fetch_add(micros(usage.ru_stime), Ordering::AcqRel);
    shared.max_rss_kib.fetch_max(usage.ru_maxrss as u64, Ordering::AcqRel);
}

/// Kills every child. Those of a killed child become ours, so rounds reach the whole tree. Gives how many were met that
/// could be signalled.
fn kill_children() -> u32 {
    let mut buffer = [0_u8; 4096];
    let mut met = 0;
    // SAFETY: the path is a string, the buffer is ours.
    unsafe {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        let Ok(file) = syscall!(Sysno::openat, libc::AT_FDCWD, c"/proc/thread-self/children".as_ptr(), flags, 0) else {
            return 0;
        };
        let mut pid: i32 = 0;
        while let Ok(length) = syscall!(Sysno::read, file, &raw mut buffer, buffer.len()) {
            if length == 0 {
                break;
            }
            for byte in buffer.iter().take(length) {
                if byte.is_ascii_digit() {
                    pid = pid.wrapping_mul(10).wrapping_add(i32::from(*byte - b'0'));
                } else if pid > 1 {
                    // Only we reap, so the pid is still that child.
                    if syscall!(Sysno::kill, pid, libc::SIGKILL).is_ok() {
                        met += 1;
                    }
                    pid = 0;
                }
            }
        }
        let _ = syscall!(Sysno::close, file);
    }
    met
}

fn runner_is_gone(plan: &Plan) -> bool {
    // SAFETY: takes no argument.
    let parent = unsafe { syscall!(Sysno::getppid) };
    parent != Ok(plan.runner_pid as usize)
}

fn kill_cgroup(plan: &Plan) {
    if plan.cgroup < 0 {
        return;
    }
    // SAFETY: the descriptor is kept open, the strings are constants.
    unsafe {
        let flags = libc::O_WRONLY | libc::O_CLOEXEC;
        if let Ok(file) = syscall!(Sysno::openat, plan.cgroup, c"cgroup.kill".as_ptr(), flags, 0) {
            let _ = syscall!(Sysno::write, file, c"1".as_ptr(), 1);
            let _ = syscall!(Sysno::close, file);
        }
    }
}

fn remove_cgroup(plan: &Plan) {
    if plan.cgroup >= 0 {
        // SAFETY: the name is kept by the plan.
        let _ = unsafe { syscall!(Sysno::unlinkat, plan.cgroup_parent, plan.cgroup_name, libc::AT_REMOVEDIR) };
    }
}

fn ring(plan: &Plan) {
    let one: u64 = 1;
    // SAFETY: eight bytes, as eventfd(2) takes them.
    let _ = unsafe { syscall!(Sysno::write, plan.doorbell, &raw const one, 8) };
}

/// Leaves the descriptor table that we share with runner, and keeps three of its entries.
fn close_all_but(mut kept: [i32; 3]) {
    kept.sort_unstable();
    // The first call leaves the shared table; from the top down it copies only what lies below.
    let mut flags = libc::CLOSE_RANGE_UNSHARE as usize;
    let mut upper = u32::MAX as usize;
    for descriptor in kept.into_iter().rev() {
        // Minus one stands for none, and one may be given twice.
        if descriptor < 0 || descriptor as usize > upper {
            continue;
        }
        close_range(descriptor as usize + 1, upper, flags);
        flags = 0;
        if descriptor == 0 {
            return;
        }
        upper = descriptor as usize - 1;
    }
    close_range(0, upper, flags);
}

fn close_range(from: usize, to: usize, flags: usize) {
    if from > to {
        return;
    }
    // SAFETY: closes descriptors that this process does not use.
    unsafe {
        if syscall!(Sysno::close_range, from, to, flags).is_err() {
            // Before Linux 5.9: one by one, as far as descriptors usually go.
            if flags != 0 {
                let _ = syscall!(Sysno::unshare, libc::CLONE_FILES);
            }
            for descriptor in from..=to.min(65_535) {
                let _ = syscall!(Sysno::close, descriptor);
            }
        }
    }
}

fn exit(code: i32) -> ! {
    loop {
        // SAFETY: ends this process alone.
        let _ = unsafe { syscall!(Sysno::exit_group, code) };
    }
}
