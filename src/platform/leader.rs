//! The leader before it is the job's program: a process that shares our memory, between clone3(2) and execve(2).
//!
//! Started by the guard, which the kernel holds suspended meanwhile. The rule of `clone` holds: no allocation, no panic,
//! no thread-local storage.

use std::ffi::c_void;
use std::sync::atomic::Ordering;

use syscalls::{Errno, Sysno, syscall};

use super::plan::{Plan, STEP_CHDIR, STEP_EXEC, STEP_INPUT, STEP_SPAWN};

/// So many free numbers in a row are taken for the end of the open descriptors.
pub(super) const UNUSED_LIMIT: u32 = 1024;

/// Where the leader begins: becomes the job's program. Still shares our memory, and holds the guard suspended.
pub(super) extern "C" fn leader(plan: *mut c_void) -> ! {
    // SAFETY: as for the guard, which is suspended meanwhile.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    // SAFETY: plain system calls; every pointer is to memory of the plan.
    unsafe {
        // If the guard is killed alone, the leader must not go on without one.
        let _ = syscall!(Sysno::prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if plan.joins_cgroup {
            join_cgroup(plan);
        }
        for signal in 1..=64 {
            // Two cannot be changed.
            let fixed = matches!(signal, libc::SIGKILL | libc::SIGSTOP);
            if !fixed && plan.reset_signals & (1 << (signal - 1)) != 0 {
                default_disposition(signal);
            }
        }
        if (plan.own_group && !plan.guard_leads_group) || plan.terminal >= 0 {
            let _ = syscall!(Sysno::setpgid, 0, 0);
        }
        if plan.terminal >= 0
            && let Ok(pid) = syscall!(Sysno::getpid)
        {
            let group = pid as i32;
            // Every signal is still blocked, SIGTTOU too.
            let _ = syscall!(Sysno::ioctl, plan.terminal, libc::TIOCSPGRP, &raw const group);
        }
        for target in 0..3 {
            let source = plan.descriptors[target];
            if source >= 0
                && let Err(errno) = syscall!(Sysno::dup3, source, target, 0)
            {
                fail(plan, STEP_SPAWN, errno);
            }
        }
        if plan.passed >= 0 {
            // FD_CLOEXEC belongs to this process's descriptor table, so no other job inherits the descriptor.
            let _ = syscall!(Sysno::fcntl, plan.passed, libc::F_SETFD, 0);
        }
        if !plan.late_input.is_null() {
            if plan.input_may_wait {
                close_what_execve_closes(plan.until_exec);
            }
            match syscall!(Sysno::openat, libc::AT_FDCWD, plan.late_input, libc::O_RDONLY, 0) {
                Ok(0) => {}
                Ok(opened) => {
                    let _ = syscall!(Sysno::dup3, opened, 0, 0);
                    let _ = syscall!(Sysno::close, opened);
                }
                Err(errno) => fail(plan, STEP_INPUT, errno),
            }
        }
        if !plan.cwd.is_null()
            && let Err(errno) = syscall!(Sysno::chdir, plan.cwd)
        {
            fail(plan, STEP_CHDIR, errno);
        }
        // The guard made us without CLONE_FS: folder and mask are our own.
        if let Some(mask) = plan.umask {
            let _ = syscall!(Sysno::umask, mask);
        }
        // Last: until execve(2) this process has copies of all that runner has open, and may have to open one more.
        if let Some(limit) = &plan.descriptor_limit {
            let _ = syscall!(Sysno::prlimit64, 0, libc::RLIMIT_NOFILE, limit.as_ptr(), 0);
        }
        let empty: u64 = 0;
        let _ = syscall!(Sysno::rt_sigprocmask, libc::SIG_SETMASK, &raw const empty, 0, 8);
        execute(plan)
    }
}

/// Moves to the job's control group, where clone3(2) could not place us.
fn join_cgroup(plan: &Plan) {
    // SAFETY: the descriptor is kept open, the strings are constants.
    unsafe {
        let flags = libc::O_WRONLY | libc::O_CLOEXEC;
        let joined = syscall!(Sysno::openat, plan.cgroup, c"cgroup.procs".as_ptr(), flags, 0).and_then(|file| {
            let written = syscall!(Sysno::write, file, c"0".as_ptr(), 1);
            let _ = syscall!(Sysno::close, file);
            written
        });
        if joined.is_err() {
            plan.shared.cgroup_refused.store(1, Ordering::Release);
        }
    }
}

/// Until execve(2) this process has copies of all that runner has open, other jobs' pipes among them: to wait with those
/// would keep such pipes from ending.
fn close_what_execve_closes(kept: i32) {
    let mut unused: u32 = 0;
    let mut descriptor: usize = 3;
    // Numbers are given from the lowest on, so there is nothing behind many that are free.
    while unused < UNUSED_LIMIT {
        // SAFETY: what is closed here is used no more; the streams of the job have their places already.
        unsafe {
            match syscall!(Sysno::fcntl, descriptor, libc::F_GETFD) {
                Ok(flags) => {
                    unused = 0;
                    if flags & libc::FD_CLOEXEC as usize != 0 && descriptor as i32 != kept {
                        let _ = syscall!(Sysno::close, descriptor);
                    }
                }
                Err(_) => unused = unused.wrapping_add(1),
            }
        }
        descriptor = descriptor.wrapping_add(1);
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

pub(super) fn default_disposition(signal: i32) {
    // The kernel's own structure: handler, flags, restorer, mask; all zero is SIG_DFL on every architecture.
    let action = [0_u64; 4];
    // SAFETY: the kernel reads at most the structure.
    let _ = unsafe { syscall!(Sysno::rt_sigaction, signal, &raw const action, 0, 8) };
}

/// Ends this process alone.
pub(super) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: takes a number.
        let _ = unsafe { syscall!(Sysno::exit_group, code) };
    }
}
