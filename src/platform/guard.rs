//! The guard: a small process between runner and the leader of one job.
//!
//! It is the leader's parent and a subreaper, so whatever the job forks stays below it, however often it detaches. It
//! alone waits, so an exit status is never lost. If runner dies, it ends the tree. It holds none of the job's pipes.
//!
//! It shares runner's memory (see `clone`), so everything below runs without allocation, panics or thread-local
//! storage: raw system calls on memory that `Plan` owns.

use std::ffi::c_void;
use std::ptr::null;
use std::sync::atomic::Ordering;

use syscalls::{Errno, Sysno, syscall};

use self::signaling::{Search, kill_cgroup, kill_tree, send_wanted, signal_command};
use super::clone::{CLONE_INTO_CGROUP, CloneArgs, clone_process};
use super::leader::{UNUSED_LIMIT, exit, leader};
use super::plan::{ORDER_KILL, PHASE_FAILED, PHASE_STARTED, Plan, REAPED_MEMORY, STEP_SPAWN, Shared};
use super::shortage::is_shortage;

mod signaling;

/// The signal that runner wakes the guard with; what to do stands in memory.
pub(super) const WAKE_SIGNAL: i32 = libc::SIGUSR1;
/// The signal that the kernel sends when runner is gone; the guard asks who its parent is.
const ORPHANED_SIGNAL: i32 = libc::SIGTERM;
/// After runner's death a tree is given up after so many rounds of about 10 ms in which nothing could be signalled.
const ORPHANED_ROUNDS: u32 = 1_000;

/// How often the guard looks whether runner lives where the kernel does not announce its death, in seconds.
const PARENT_PERIOD: i64 = 1;

/// Minus one: wait4(2) for any child.
const ANY_CHILD: usize = usize::MAX;

/// Where there is no close_range(2), numbers below this are closed whether or not many of them are free.
const USUAL_DESCRIPTORS: usize = 65_536;

/// rusage as the kernel writes it.
type Usage = libc::rusage;

/// Where the guard begins. `plan` is a `*mut Plan`.
pub(super) extern "C" fn guard(plan: *mut c_void) -> ! {
    // SAFETY: runner keeps the plan until this process is gone.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    let announced;
    // SAFETY: plain system calls with valid arguments.
    unsafe {
        if syscall!(Sysno::prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0).is_err() {
            plan.shared.subreaper_refused.store(1, Ordering::Release);
        }
        announced = syscall!(Sysno::prctl, libc::PR_SET_PDEATHSIG, ORPHANED_SIGNAL, 0, 0, 0).is_ok();
        let _ = syscall!(Sysno::prctl, libc::PR_SET_NAME, c"job-guard".as_ptr(), 0, 0, 0);
        if plan.terminal >= 0 {
            // The session is the guard's, so that the leader's end is not the end of the terminal for all others.
            let _ = syscall!(Sysno::setsid);
            let _ = syscall!(Sysno::ioctl, plan.terminal, libc::TIOCSCTTY, 0);
        } else if plan.own_group {
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
    // First our own table: once runner knows that the leader runs, it closes its copy of the job's terminal.
    let kept = [plan.doorbell, plan.cgroup, plan.cgroup_parent, plan.terminal, plan.keyboard, plan.life];
    close_all_but(kept, plan.shares_descriptors);
    plan.shared.phase.store(PHASE_STARTED, Ordering::Release);
    ring(plan);
    watch(plan, announced)
}

/// Makes the leader and waits until it executes its program.
fn start_leader(plan: &mut Plan) -> Result<(), (u32, i32)> {
    let (stack, stack_size) = plan.leader_stack;
    let mut flags = match plan.is_forked {
        true => 0,
        false => (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PARENT_SETTID) as u64,
    };
    let mut ends: [i32; 2] = [-1; 2];
    if plan.is_forked {
        // SAFETY: the kernel writes both numbers.
        let piped = unsafe { syscall!(Sysno::pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC) };
        piped.map_err(|errno| (STEP_SPAWN, errno.into_raw()))?;
        plan.until_exec = ends[1];
    }
    if plan.shares_descriptors {
        flags |= libc::CLONE_PIDFD as u64;
    }
    let args = CloneArgs {
        flags,
        pidfd: plan.shared.leader_pidfd.as_ptr() as u64,
        parent_tid: plan.shared.leader_pid.as_ptr() as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack,
        stack_size,
        ..CloneArgs::default()
    };
    let mut pid: isize = -1;
    if plan.cgroup >= 0 {
        let args = CloneArgs { flags: flags | CLONE_INTO_CGROUP, cgroup: plan.cgroup as u64, ..args };
        // SAFETY: the stack is the plan's; `leader` keeps to the rules; CLONE_VFORK holds us until it is done with both.
        pid = unsafe { clone_process(&args, leader, std::ptr::from_mut(plan).cast()) };
    }
    if pid < 0 && !is_shortage(-pid as i32) {
        // A sandbox, or the group itself, may not let us place a process; then it tries to move there by itself.
        plan.joins_cgroup = plan.cgroup >= 0;
        // SAFETY: as above.
        pid = unsafe { clone_process(&args, leader, std::ptr::from_mut(plan).cast()) };
    }
    if pid < 0 {
        // The kernel may have named a descriptor that it closed again.
        plan.shared.leader_pidfd.store(-1, Ordering::Release);
        return Err((STEP_SPAWN, -pid as i32));
    }
    plan.shared.leader_pid.store(pid as i32, Ordering::Release);
    if plan.is_forked {
        await_execve(ends);
    }
    let errno = plan.shared.failed_errno.load(Ordering::Acquire);
    if errno == 0 {
        return Ok(());
    }
    // SAFETY: waits for our own child, which has ended.
    let _ = unsafe { syscall!(Sysno::wait4, pid, 0, 0, 0) };
    Err((plan.shared.failed_step.load(Ordering::Acquire), errno))
}

/// Waits for the end of a pipe whose other end is closed by execve(2), and by the end of the leader.
fn await_execve([read, write]: [i32; 2]) {
    let mut byte: u8 = 0;
    // SAFETY: both are ours; the kernel writes one byte, if any.
    unsafe {
        let _ = syscall!(Sysno::close, write);
        while syscall!(Sysno::read, read, &raw mut byte, 1) == Err(Errno::EINTR) {}
        let _ = syscall!(Sysno::close, read);
    }
}

/// The guard's life: reap, obey, look whether runner still lives, sleep. `announced`: its death comes as a signal.
fn watch(plan: &mut Plan, announced: bool) -> ! {
    let shared = &plan.shared;
    let mut search = Search::default();
    let mut wanted: u64 = 0;
    for signal in [libc::SIGCHLD, WAKE_SIGNAL, ORPHANED_SIGNAL] {
        wanted |= 1 << (signal - 1);
    }
    let mut rounds = 0;
    let mut kill_at: Option<u64> = None;
    loop {
        if runner_is_gone(plan) {
            restore_modes(plan);
        }
        if !reap(plan) {
            shared.tree_empty.store(1, Ordering::Release);
            if runner_is_gone(plan) {
                remove_cgroup(plan);
                remove_socket(plan);
            }
            exit(0);
        }
        let orphaned = runner_is_gone(plan);
        let mut killing = shared.order.load(Ordering::Acquire) == ORDER_KILL;
        if orphaned && !killing {
            let now = monotonic_millis();
            let at = *kill_at.get_or_insert_with(|| {
                signal_command(plan);
                now.saturating_add(plan.orphan_grace)
            });
            killing = plan.orphan_signal == 0 || now >= at;
        }
        if orphaned && killing {
            kill_cgroup(plan);
        }
        send_wanted(plan);
        let met = if killing { kill_tree(plan, &mut search) } else { 0 };
        if orphaned && killing && met == 0 {
            rounds += 1;
            if rounds > ORPHANED_ROUNDS {
                exit(0);
            }
        }
        // Signals come when there is news; a kill is repeated though, at once while it still finds new processes.
        let pause = libc::timespec { tv_sec: 0, tv_nsec: if met > 0 { 200_000 } else { 10_000_000 } };
        let period = libc::timespec { tv_sec: PARENT_PERIOD, tv_nsec: 0 };
        let timeout = match () {
            () if killing || orphaned => &raw const pause,
            () if announced => null(),
            () => &raw const period,
        };
        // SAFETY: waits for one of our blocked signals.
        let _ = unsafe { syscall!(Sysno::rt_sigtimedwait, &raw const wanted, 0, timeout, 8) };
    }
}

/// Milliseconds on CLOCK_MONOTONIC.
fn monotonic_millis() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to it.
    let _ = unsafe { syscall!(Sysno::clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000).wrapping_add(time.tv_nsec as u64 / 1_000_000)
}

/// Waits for every child that ended. False when there is none left at all.
fn reap(plan: &Plan) -> bool {
    let shared = &plan.shared;
    let leader_pid = shared.leader_pid.load(Ordering::Relaxed);
    let mut leader_ended = false;
    loop {
        let mut status: i32 = 0;
        // SAFETY: an all-zero rusage is a valid one.
        let mut usage: Usage = unsafe { std::mem::zeroed() };
        let options = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
        // SAFETY: the kernel writes to both.
        let waited = unsafe { syscall!(Sysno::wait4, ANY_CHILD, &raw mut status, options, &raw mut usage) };
        let pid = match waited {
            Ok(0) => {
                // Where nobody is left our own end tells all of it at once.
                if leader_ended {
                    ring(plan);
                }
                return true;
            }
            Ok(pid) => pid as i32,
            Err(Errno::EINTR) => continue,
            Err(_) => return false,
        };
        if libc::WIFSTOPPED(status) || libc::WIFCONTINUED(status) {
            if pid == leader_pid {
                let signal = if libc::WIFSTOPPED(status) { libc::WSTOPSIG(status) } else { 0 };
                shared.leader_stopped.store(signal, Ordering::Release);
                if plan.terminal >= 0 || matches!(signal, libc::SIGTTIN | libc::SIGTTOU) {
                    // No shell sees that: in its own session it has none above it, and in the background the one above it
                    // sees runner alone, which does not stop.
                    ring(plan);
                }
            }
            continue;
        }
        let slot = shared.reaped_count.load(Ordering::Relaxed);
        shared.reaped[slot as usize % REAPED_MEMORY].store(pid, Ordering::Release);
        shared.reaped_count.store(slot.wrapping_add(1), Ordering::Release);
        add_usage(shared, &usage);
        if pid == leader_pid {
            shared.leader_status.store(status, Ordering::Release);
            leave_terminal(plan);
            shared.leader_ended.store(1, Ordering::Release);
            leader_ended = true;
        }
    }
}

/// The leader is gone, and nobody is in the foreground of its terminal. Whoever were would get a SIGHUP when our session
/// ends, and processes that outlive the leader are to be let be.
fn leave_terminal(plan: &Plan) {
    if plan.terminal < 0 {
        return;
    }
    let mut own: i32 = 0;
    // SAFETY: the descriptor is kept open, so that the terminal is there for whoever comes back to it; the kernel
    // reads one number.
    unsafe {
        if let Ok(pid) = syscall!(Sysno::getpid) {
            own = pid as i32;
        }
        let _ = syscall!(Sysno::ioctl, plan.terminal, libc::TIOCSPGRP, &raw const own);
    }
}

/// Runner died while the user's terminal had modes of ours.
fn restore_modes(plan: &Plan) {
    let shared = &plan.shared;
    if plan.keyboard >= 0 && shared.keyboard_taken.swap(0, Ordering::AcqRel) == 1 {
        // SAFETY: the descriptor is kept open; the kernel reads a termios from memory that holds one.
        let _ = unsafe { syscall!(Sysno::ioctl, plan.keyboard, libc::TCSETS, shared.keyboard_modes.as_ptr()) };
    }
}

fn add_usage(shared: &Shared, usage: &Usage) {
    let micros = |time: libc::timeval| (time.tv_sec as u64).wrapping_mul(1_000_000).wrapping_add(time.tv_usec as u64);
    shared.user_micros.fetch_add(micros(usage.ru_utime), Ordering::AcqRel);
    shared.system_micros.fetch_add(micros(usage.ru_stime), Ordering::AcqRel);
    shared.max_rss_kib.fetch_max(usage.ru_maxrss as u64, Ordering::AcqRel);
}

fn runner_is_gone(plan: &Plan) -> bool {
    // SAFETY: takes no argument.
    let parent = unsafe { syscall!(Sysno::getppid) };
    parent != Ok(plan.runner_pid as usize)
}

fn remove_cgroup(plan: &Plan) {
    if plan.cgroup >= 0 {
        // SAFETY: the name is kept by the plan.
        let _ = unsafe { syscall!(Sysno::unlinkat, plan.cgroup_parent, plan.cgroup_name, libc::AT_REMOVEDIR) };
    }
}

fn remove_socket(plan: &Plan) {
    if !plan.notify_path.is_null() {
        // SAFETY: the path is kept by the plan's owner.
        let _ = unsafe { syscall!(Sysno::unlinkat, libc::AT_FDCWD, plan.notify_path, 0) };
    }
}

fn ring(plan: &Plan) {
    let one: u64 = 1;
    // SAFETY: the board lives as long as any plan, and takes the note off before this plan goes; eight bytes, as
    // eventfd(2) takes them.
    unsafe {
        plan.shared.note.put_on(&*plan.board);
        let _ = syscall!(Sysno::write, plan.doorbell, &raw const one, 8);
    }
}

/// Leaves the descriptor table that we share with runner, where we do, and keeps these of its entries.
fn close_all_but(mut kept: [i32; 6], shares: bool) {
    kept.sort_unstable();
    let mut upper = u32::MAX as usize;
    if shares {
        // The table is copied up to the highest entry that is kept.
        let above = (kept[5] + 1) as usize;
        // SAFETY: closes descriptors of a table that is ours alone from then on.
        let left = unsafe {
            syscall!(Sysno::close_range, above, upper, libc::CLOSE_RANGE_UNSHARE).is_ok()
                || syscall!(Sysno::unshare, libc::CLONE_FILES).is_ok()
        };
        // What is closed in a shared table is closed for runner.
        if !left {
            return;
        }
    }
    for descriptor in kept.into_iter().rev() {
        // Minus one stands for none, and one may be given twice.
        if descriptor < 0 || descriptor as usize > upper {
            continue;
        }
        close_range(descriptor as usize + 1, upper);
        if descriptor == 0 {
            return;
        }
        upper = descriptor as usize - 1;
    }
    close_range(0, upper);
}

/// Closes what is open from one number to another.
pub(super) fn close_range(from: usize, to: usize) {
    // SAFETY: closes descriptors that this process does not use.
    if from > to || unsafe { syscall!(Sysno::close_range, from, to, 0) }.is_ok() {
        return;
    }
    // Before Linux 5.9: one by one, as far as descriptors usually go, and on while there are more.
    let (mut descriptor, mut unused) = (from, 0_u32);
    while descriptor <= to && (descriptor < USUAL_DESCRIPTORS || unused < UNUSED_LIMIT) {
        // SAFETY: as above.
        let closed = unsafe { syscall!(Sysno::close, descriptor) };
        unused = if closed == Err(Errno::EBADF) { unused.wrapping_add(1) } else { 0 };
        descriptor = descriptor.wrapping_add(1);
    }
}
