//! clone(2) with a stack of its own: a process that shares our memory and starts in a function.
//!
//! Used for the guard and, by the guard, for the leader. Sharing memory makes a process as cheap as a thread whatever
//! we hold resident, and lets it report through plain memory.
//!
//! What runs in such a process must not touch thread-local storage (errno, allocation, panics): it has that of the
//! thread that made it.

use std::ffi::c_void;
use std::io;
use std::sync::Mutex;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

/// The arguments of clone3(2), as the kernel lays them out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CloneArgs {
    pub(super) flags: u64,
    pub(super) pidfd: u64,
    pub(super) child_tid: u64,
    pub(super) parent_tid: u64,
    pub(super) exit_signal: u64,
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    pub(super) tls: u64,
    pub(super) set_tid: u64,
    pub(super) set_tid_size: u64,
    pub(super) cgroup: u64,
}

/// Places the new process into a control group; of clone3(2) alone, and wider than the C library's type.
pub(super) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Where a new process begins; it never returns.
pub(super) type Entry = extern "C" fn(*mut c_void) -> !;

/// Starts a process in `entry(argument)`. Gives its pid, or a negated errno.
///
/// # Safety
///
/// `args` must name a stack that lives as long as the process, and `entry` must keep to the rule at the top of this
/// file. Without `CLONE_VM` in `args.flags` it is a copy of us, as after fork(2).
pub(super) unsafe fn clone_process(args: &CloneArgs, entry: Entry, argument: *mut c_void) -> isize {
    // SAFETY: as promised by our caller.
    let result = unsafe { clone3(args, entry, argument) };
    let is_refused =
        [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL].map(|errno| -(errno as isize)).contains(&result);
    if is_refused && args.flags & CLONE_INTO_CGROUP == 0 {
        // SAFETY: as promised by our caller. A sandbox may forbid clone3 alone, with the error that it likes.
        return unsafe { clone(args, entry, argument) };
    }
    result
}

/// clone3(2). The new process finds itself on an empty stack, so the call cannot return there: it jumps into `entry`.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *mut c_void) -> isize {
    let result: isize;
    // SAFETY: the parent only sees a system call; the child runs on its own stack and never comes back here.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "and rsp, -16",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") args,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") entry,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// clone3(2). The new process finds itself on an empty stack, so the call cannot return there: it jumps into `entry`.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *mut c_void) -> isize {
    let result: isize;
    // SAFETY: the parent only sees a system call; the child runs on its own stack and never comes back here.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            inlateout("x0") args as *const CloneArgs as isize => result,
            in("x1") size_of::<CloneArgs>(),
            in("x8") libc::SYS_clone3,
            in("x9") entry,
            in("x10") argument,
        );
    }
    result
}

/// Other processors go without clone3(2).
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone3(_: &CloneArgs, _: Entry, _: *mut c_void) -> isize {
    -(libc::ENOSYS as isize)
}

/// The older clone(2) of the C library, where clone3(2) does not exist.
unsafe fn clone(args: &CloneArgs, entry: Entry, argument: *mut c_void) -> isize {
    struct Start {
        entry: Entry,
        argument: *mut c_void,
    }
    extern "C" fn begin(start: *mut c_void) -> libc::c_int {
        // SAFETY: `start` is the value below; the maker waits in this function until we have copied it, or is
        // suspended by CLONE_VFORK, or keeps its frame because it never returns.
        let Start { entry, argument } = unsafe { std::ptr::read(start.cast::<Start>()) };
        entry(argument)
    }
    // At the bottom of the new stack, which lives as long as the process.
    let start = args.stack as *mut Start;
    // The single word that clone(2) has for both goes to the pidfd; the pid is the result.
    let flags = (args.flags & !(libc::CLONE_PARENT_SETTID as u64)) as i32 | args.exit_signal as i32;
    // SAFETY: the stack is ours and large enough, see `Stack`.
    let pid = unsafe {
        start.write(Start { entry, argument });
        libc::clone(begin, (args.stack + args.stack_size) as *mut c_void, flags, start.cast(), args.pidfd as *mut i32)
    };
    if pid < 0 {
        return -(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN) as isize);
    }
    pid as isize
}

/// Memory for the stack of a process, with a page below it that may not be touched. Dropping it leaves it to the next
/// process.
#[derive(Debug)]
pub(super) struct Stack(Option<Mapping>);

#[derive(Debug)]
struct Mapping {
    base: *mut c_void,
}

// SAFETY: nothing but its owner refers to the mapping, whichever thread that is.
unsafe impl Send for Mapping {}

/// Debug builds use large frames; pages that are never touched cost nothing.
const STACK_SIZE: usize = 128 * 1024;
const GUARD_SIZE: usize = 4096;

/// To map, protect and unmap a stack costs more than to start a process on it, so a few are kept.
static SPARE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());
const SPARE_LIMIT: usize = 64;

impl Stack {
    /// A stack that no process runs on. What is in it is unknown.
    pub(super) fn new() -> io::Result<Self> {
        let spare = SPARE.lock().ok().and_then(|mut spare| spare.pop());
        Ok(Self(Some(spare.map_or_else(Mapping::new, Ok)?)))
    }

    /// Lowest address and size, as clone3(2) takes them.
    pub(super) fn range(&self) -> (u64, u64) {
        let base = self.0.as_ref().map_or(0, |mapping| mapping.base as u64);
        (base + GUARD_SIZE as u64, STACK_SIZE as u64)
    }
}

impl Drop for Stack {
    /// Its owner says that no process runs on it any more.
    fn drop(&mut self) {
        if let (Some(mapping), Ok(mut spare)) = (self.0.take(), SPARE.lock())
            && spare.len() < SPARE_LIMIT
        {
            spare.push(mapping);
        }
    }
}

impl Mapping {
    fn new() -> io::Result<Self> {
        // SAFETY: a fresh anonymous mapping, and a change of protection within it.
        unsafe {
            let base = rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                STACK_SIZE + GUARD_SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?;
            rustix::mm::mprotect(base, GUARD_SIZE, MprotectFlags::empty())?;
            Ok(Self { base })
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and its owner says that no process runs on it any more.
        let _ = unsafe { rustix::mm::munmap(self.base, STACK_SIZE + GUARD_SIZE) };
    }
}
