//! The guard: a small process between runner and the leader of one job.
//!
//! It is the leader's parent and a subreaper, so whatever the job forks stays below it, however often it detaches. It
//! alone waits, so an exit status is never lost. If runner dies, it ends the tree. It holds none of the job's pipes.
//!
//! It shares runner's memory (see `clone`), so everything below runs without allocation, panics or thread-local
//! storage: raw system calls on memory that `Plan` owns.

use std::ffi::c_void;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::null;
use std::sync::atomic::Ordering;

use syscalls::{Errno, Sysno, syscall};

use super::clone::{CLONE_INTO_CGROUP, CloneArgs, Stack, clone_process};
use super::leader::{exit, leader};
use super::plan::{ORDER_KILL, PHASE_FAILED, PHASE_STARTED, Plan, REAPED_MEMORY, STEP_SPAWN, Shared};
use super::shortage::is_shortage;
use super::signals;
use crate::error::Error;

/// The signal that runner wakes the guard with; what to do stands in memory.
pub(super) const WAKE_SIGNAL: i32 = libc::SIGUSR1;
/// The signal that the kernel sends when runner is gone; the guard asks who its parent is.
const ORPHANED_SIGNAL: i32 = libc::SIGTERM;
/// How many levels below our own children are visited in one round; each takes some of the stack.
const KILL_DEPTH: u32 = 8;
/// After runner's death a tree is given up after so many rounds of about 10 ms in which nothing could be signalled.
const ORPHANED_ROUNDS: u32 = 1_000;

/// Minus one: wait4(2) for any child.
const ANY_CHILD: usize = usize::MAX;

/// rusage as the kernel writes it.
type Usage = libc::rusage;

/// Starts the guard, with every signal blocked: it looks for its own when it has time. Called by runner, and the only
/// part of this file that runs there.
pub(super) fn start(plan: &mut Plan, stack: &Stack) -> Result<(i32, OwnedFd), Error> {
    let mut pidfd: i32 = -1;
    let (stack, stack_size) = stack.range();
    let args = CloneArgs {
        flags: (libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_PIDFD) as u64,
        pidfd: &raw mut pidfd as u64,
        // No signal announces its end, so nobody who waits for children of ours in general can meet it.
        exit_signal: 0,
        stack,
        stack_size,
        ..CloneArgs::default()
    };
    let result = signals::with_all_blocked(|| {
        // SAFETY: stack and plan live in the tree until the guard is gone; `guard` keeps to the rules.
        unsafe { clone_process(&args, guard, std::ptr::from_mut(plan).cast::<c_void>()) }
    });
    if result < 0 {
        let error = io::Error::from_raw_os_error(-result as i32);
        return Err(Error::System { action: "make a process", source: error });
    }
    // SAFETY: the kernel made it for us.
    Ok((result as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// Where the guard begins. `plan` is a `*mut Plan`.
pub(super) extern "C" fn guard(plan: *mut c_void) -> ! {
    // SAFETY: runner keeps the plan until this process is gone.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    // SAFETY: plain system calls with valid arguments.
    unsafe {
        let _ = syscall!(Sysno::prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        let _ = syscall!(Sysno::prctl, libc::PR_SET_PDEATHSIG, ORPHANED_SIGNAL, 0, 0, 0);
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
    close_all_but([plan.doorbell, plan.cgroup, plan.cgroup_parent, plan.terminal, plan.keyboard]);
    plan.shared.phase.store(PHASE_STARTED, Ordering::Release);
    ring(plan);
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
    let mut pid = unsafe { clone_process(&args, leader, std::ptr::from_mut(plan).cast()) };
    if pid < 0 && plan.cgroup >= 0 && !is_shortage(-pid as i32) {
        // A sandbox, or the group itself, may not let us place a process; the walk holds it as well.
        plan.shared.cgroup_refused.store(1, Ordering::Release);
        let args = CloneArgs { flags: flags & !CLONE_INTO_CGROUP, cgroup: 0, ..args };
        // SAFETY: as above.
        pid = unsafe { clone_process(&args, leader, std::ptr::from_mut(plan).cast()) };
    }
    if pid < 0 {
        // The kernel may have named a descriptor that it closed again.
        plan.shared.leader_pidfd.store(-1, Ordering::Release);
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

/// The guard's life: reap, obey, look whether runner still lives, sleep.
fn watch(plan: &mut Plan) -> ! {
    let shared = &plan.shared;
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
        let met = if killing { kill_below(0, 0) } else { 0 };
        if orphaned && killing && met == 0 {
            rounds += 1;
            if rounds > ORPHANED_ROUNDS {
                exit(0);
            }
        }
        // Signals come when there is news; a kill is repeated though, at once while it still finds new processes.
        let pause = libc::timespec { tv_sec: 0, tv_nsec: if met > 0 { 200_000 } else { 10_000_000 } };
        let timeout = if killing || orphaned { &raw const pause } else { null() };
        // SAFETY: waits for one of our blocked signals.
        let _ = unsafe { syscall!(Sysno::rt_sigtimedwait, &raw const wanted, 0, timeout, 8) };
    }
}

/// Signals the command after runner died, and its group if the guard leads it.
fn signal_command(plan: &Plan) {
    let leader_pid = plan.shared.leader_pid.load(Ordering::Relaxed);
    let ended = plan.shared.leader_ended.load(Ordering::Relaxed) == 1;
    if plan.orphan_signal == 0 || leader_pid <= 1 || ended {
        return;
    }
    // 0 is the guard's own group; only the guard itself blocks these signals.
    let target = if plan.guard_leads_group { 0 } else { leader_pid as isize };
    for signal in [plan.orphan_signal, libc::SIGCONT] {
        // SAFETY: takes numbers; only the guard reaps the leader, so its pid and group id are not reused.
        let _ = unsafe { syscall!(Sysno::kill, target, signal) };
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

/// Kills every child of `parent` (zero is ourselves), and below each as far as the stack allows. What a killed process
/// leaves becomes ours, so rounds reach the whole tree. Gives how many were met that could be signalled.
fn kill_below(parent: i32, depth: u32) -> u32 {
    let mut path = [0_u8; 64];
    write_children_path(&mut path, parent);
    let mut buffer = [0_u8; 1024];
    let mut met: u32 = 0;
    // SAFETY: the path is a string, the buffer is ours.
    unsafe {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        let Ok(file) = syscall!(Sysno::openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) else {
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
                    if depth < KILL_DEPTH {
                        met = met.wrapping_add(kill_below(pid, depth + 1));
                    }
                    // Of our own children only we reap, so the pid is still that child; below, it was a moment ago.
                    if syscall!(Sysno::kill, pid, libc::SIGKILL).is_ok() {
                        met = met.wrapping_add(1);
                    }
                    pid = 0;
                }
            }
        }
        let _ = syscall!(Sysno::close, file);
    }
    met
}

/// Writes the path of a process's list of children, with its end.
fn write_children_path(path: &mut [u8; 64], pid: i32) {
    let mut digits = [0_u8; 12];
    let mut count: usize = 0;
    let mut rest = pid;
    while rest > 0 && count < digits.len() {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
    }
    let own: &[u8] = b"/proc/thread-self/children";
    let parts: [&[u8]; 3] = if pid == 0 { [own, b"", b""] } else { [b"/proc/", b"/task/", b"/children"] };
    let mut length: usize = 0;
    for (index, part) in parts.iter().enumerate() {
        for byte in part.iter() {
            path[length] = *byte;
            length += 1;
        }
        if pid > 0 && index < 2 {
            for digit in digits[..count].iter().rev() {
                path[length] = *digit;
                length += 1;
            }
        }
    }
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

/// Leaves the descriptor table that we share with runner, and keeps these of its entries.
fn close_all_but(mut kept: [i32; 5]) {
    kept.sort_unstable();
    // The first call leaves the shared table; from the top down it copies only what lies below.
    let mut flags = libc::CLOSE_RANGE_UNSHARE as usize;
    let mut upper = u32::MAX as usize;
    for descriptor in kept.into_iter().rev() {
        // Minus one stands for none, and one may be given twice.
        if descriptor < 0 || descriptor as usize > upper {
            continue;
        }
        if !close_range(descriptor as usize + 1, upper, flags) {
            return;
        }
        flags = 0;
        if descriptor == 0 {
            return;
        }
        upper = descriptor as usize - 1;
    }
    close_range(0, upper, flags);
}

/// Closes descriptors that this process does not use. False where it was to leave a shared table first and could not.
pub(super) fn close_range(from: usize, to: usize, flags: usize) -> bool {
    if from > to {
        return true;
    }
    // SAFETY: closes descriptors that this process does not use.
    unsafe {
        if syscall!(Sysno::close_range, from, to, flags).is_err() {
            // Before Linux 5.9: one by one, as far as descriptors usually go.
            if flags != 0 && syscall!(Sysno::unshare, libc::CLONE_FILES).is_err() {
                // For want of memory we keep the table that we share with runner, whose entries must stay.
                return false;
            }
            for descriptor in from..=to.min(65_535) {
                let _ = syscall!(Sysno::close, descriptor);
            }
        }
    }
    true
}
