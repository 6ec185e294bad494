//! How the guard of a tree is started: in our memory and table of descriptors where the system lets it, else as a copy of us,
//! and with whatever handle the system gives.
//!
//! Called by the tree alone.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use syscalls::{Sysno, syscall};

use crate::error::{Error, Result};
use crate::platform::clone::{CloneArgs, Stack, clone_process};
use crate::platform::plan::Plan;
use crate::platform::process::{self, Child};
use crate::platform::shareable::Shareable;
use crate::platform::{descriptors, guard, signals};

pub(super) fn new_stack() -> Result<Stack> {
    Stack::new().map_err(Error::system("get memory for a process"))
}

/// True where a guard that begins in our descriptor table can leave it. Where it cannot it gets a copy, and must not share
/// what it opens.
fn can_leave_table() -> bool {
    static CAN_LEAVE: OnceLock<bool> = OnceLock::new();
    let last = u32::MAX;
    // SAFETY: neither does anything: no descriptor has that number, and nothing is named that is to be left.
    *CAN_LEAVE.get_or_init(|| unsafe {
        syscall!(Sysno::close_range, last, last, 0).is_ok() || syscall!(Sysno::unshare, 0).is_ok()
    })
}

/// No process may begin in our memory here, as was found out before.
static ONLY_FORKS: AtomicBool = AtomicBool::new(false);

/// Starts the guard. Gives the plan where the guard has it, and its end of a pipe that stands in for a handle.
pub(super) fn start_guard(plan: Plan, stack: &Stack) -> Result<(Shareable<Plan>, Child, Option<OwnedFd>)> {
    // A kernel, or a sandbox, without handles: the end of a pipe tells as much.
    let (read, write) = match process::has_handles() {
        true => (None, None),
        false => descriptors::pipe().map(|(read, write)| (Some(read), Some(write)))?,
    };
    let mut plan = Shareable::Boxed(Box::new(plan));
    plan.life = write.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    plan.shares_descriptors = can_leave_table();
    let mut pidfd: i32 = -1;
    let mut result = -(libc::EINVAL as isize);
    if !ONLY_FORKS.load(Ordering::Relaxed) {
        let shared = if plan.shares_descriptors { libc::CLONE_FILES } else { 0 };
        let flags = libc::CLONE_VM | libc::CLONE_PIDFD | shared;
        // No signal announces its end, so that nothing that waits for children of ours in general can meet it.
        result = clone_guard(&mut plan, stack, flags, 0, &mut pidfd);
    }
    if [libc::EINVAL, libc::ENOSYS, libc::EPERM].map(|errno| -(errno as isize)).contains(&result) {
        // qemu-user makes threads and copies, and nothing in between.
        plan = match plan {
            Shareable::Boxed(plan) => Shareable::mapped(*plan).map_err(Error::system("get memory for a process"))?,
            mapped => mapped,
        };
        (plan.is_forked, plan.shares_descriptors) = (true, false);
        result = clone_guard(&mut plan, stack, 0, libc::SIGCHLD, &mut pidfd);
        ONLY_FORKS.store(result >= 0, Ordering::Relaxed);
    }
    if result < 0 {
        return Err(Error::system("make a process")(io::Error::from_raw_os_error(-result as i32)));
    }
    let pid = result as i32;
    // SAFETY: the kernel made it for us.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    let handle = match pidfd.or(read) {
        Some(handle) => handle,
        None => process::handle_of_child(pid).map_err(Error::system("get a handle on a process"))?,
    };
    // In a table of its own the guard has a copy.
    let write = write.filter(|_| plan.shares_descriptors);
    Ok((plan, Child { pid, handle }, write))
}

/// Makes the process, with every signal blocked: it looks for its own when it has time. Gives its pid, or a negated errno.
fn clone_guard(plan: &mut Plan, stack: &Stack, flags: i32, exit_signal: i32, pidfd: &mut i32) -> isize {
    let (stack, stack_size) = stack.range();
    let args = CloneArgs {
        flags: flags as u64,
        pidfd: std::ptr::from_mut(pidfd) as u64,
        exit_signal: exit_signal as u64,
        stack,
        stack_size,
        ..CloneArgs::default()
    };
    signals::with_all_blocked(|| {
        // SAFETY: stack and plan live in the tree until the guard is gone; `guard` keeps to the rules.
        unsafe { clone_process(&args, guard::guard, std::ptr::from_mut(plan).cast::<c_void>()) }
    })
}
