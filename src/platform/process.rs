//! Single processes: their handles, and signals that can never reach a stranger who got the same pid.

use std::ffi::{CStr, OsStr, OsString, c_char};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};
use syscalls::{Errno, Sysno, syscall};

use super::poller::{self, Until};
use super::procfs::{self, Identity};
use super::shortage::is_shortage;
use crate::error::{Error, Result};
use crate::model::signal::Signal;

/// Our own process id.
pub fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Our own process group.
pub fn own_group() -> i32 {
    rustix::process::getpgrp().as_raw_nonzero().get()
}

/// Our own identity, for those below us who ask whether we still live.
pub fn own_identity() -> Option<Identity> {
    procfs::stat(own_pid()).map(|stat| stat.identity())
}

/// The program that we are, to be run once more. Its own name reads better in a list of processes; the link holds even
/// where that file was removed. Without /proc it is what execve(2) was given, seen from the directory that we are in.
pub fn own_program() -> OsString {
    let own = std::env::current_exe().ok().filter(|path| path.exists());
    let link = || PathBuf::from("/proc/self/exe");
    own.or_else(|| link().exists().then(link)).or_else(executed_path).unwrap_or_else(link).into()
}

/// The path that execve(2) was given for this program, see getauxval(3).
fn executed_path() -> Option<PathBuf> {
    // SAFETY: takes a number; the string that it gives is kept by the kernel's first stack for as long as we live.
    let path = unsafe {
        let path = libc::getauxval(libc::AT_EXECFN) as *const c_char;
        (!path.is_null()).then(|| CStr::from_ptr(path))?
    };
    std::path::absolute(OsStr::from_bytes(path.to_bytes())).ok().filter(|path| path.exists())
}

/// True where this very process is still our ancestor.
pub fn is_our_ancestor(identity: Identity) -> bool {
    procfs::stat(identity.pid).is_some_and(|stat| stat.identity() == identity && !stat.is_dead())
        && procfs::is_below(own_pid(), identity.pid)
}

/// Does something with this as the working directory. Only before there is a second thread.
pub fn within<T>(directory: &Path, action: impl FnOnce() -> T) -> Result<T> {
    let help = "Check --cwd: it must name an existing folder that may be entered";
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let before = rustix::fs::open(".", flags, Mode::empty()).map_err(Error::system("open the working directory"))?;
    rustix::process::chdir(directory).map_err(Error::path("enter", directory, help))?;
    let result = action();
    rustix::process::fchdir(&before).map_err(Error::system("go back to the working directory"))?;
    Ok(result)
}

/// Orphans from below us become our children, in case that a guard is killed.
pub fn adopt_orphans() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Blanks our command line behind so many words: everybody on this machine can read it, and so do the answers that list
/// processes. To be called once whoever needs the words has copied them.
pub fn hide_arguments(kept: usize) {
    let Some((start, end)) = procfs::own_command_line() else { return };
    let line = procfs::read("/proc/self/cmdline").unwrap_or_default();
    let ends = line.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at + 1);
    let Some(from) = ends.take(kept).last().filter(|from| line.len() == end - start && start + from < end) else {
        return;
    };
    // SAFETY: the kernel says that these bytes are our command line, which is ours to write; nobody reads it any more.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(start + from).write_bytes(0, end - start - from) };
}

/// What our files are made without, see umask(2). For a moment all are made for us alone: best asked before there is a
/// second thread.
pub fn own_umask() -> u32 {
    let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(mask);
    mask.bits()
}

/// The name of the user that we are: of the list of users, or of the environment where that does not know it, or a number.
pub fn user_name() -> String {
    let own = rustix::process::getuid().as_raw();
    let from_environment = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    name_of_user(own).or_else(from_environment).unwrap_or_else(|| format!("uid {own}"))
}

/// The effective user, whose permissions apply to file access.
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Fails where this process may not use a file so: faccessat2(2). Before Linux 5.8, or where a sandbox refuses that, the kernel
/// answers for the real user, who is another one in a program that lends its owner's rights.
pub(super) fn may_access(folder: BorrowedFd<'_>, path: &Path, access: Access) -> rustix::io::Result<()> {
    match rustix::fs::accessat(folder, path, access, AtFlags::EACCESS) {
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM | rustix::io::Errno::INVAL) => {
            rustix::fs::accessat(folder, path, access, AtFlags::empty())
        }
        result => result,
    }
}

/// A user for messages: `alice (uid 1000)`, or `uid 1000` without an entry in /etc/passwd.
pub fn display_user(uid: u32) -> String {
    name_of_user(uid).map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

fn name_of_user(uid: u32) -> Option<String> {
    let listed = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    listed.lines().find_map(|line| {
        // name:password:uid:..., see passwd(5).
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Pauses this thread. Only for short waits: of a repeated kill, for a locked file.
pub fn nap(duration: Duration) {
    let _ = rustix::thread::nanosleep(&poller::timespec(duration));
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Delivered,
    /// The process is gone.
    Gone,
    /// It belongs to another user.
    Refused,
    /// The system refuses to send signals through a handle.
    Unsupported,
}

/// Sends a signal to exactly this process.
pub fn send(target: Identity, signal: Signal) -> Sent {
    let Some(pid) = Pid::from_raw(target.pid) else { return Sent::Gone };
    let handle = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Sent::Gone,
        // Its folder in /proc is a handle, too, see pidfd_send_signal(2).
        handle => handle.or_else(|_| {
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(format!("/proc/{}", target.pid), flags, Mode::empty())
        }),
    };
    // The handle is of whoever has the pid now; only if that is still our process may it be used.
    let is_target = || procfs::stat(target.pid).is_some_and(|stat| stat.identity() == target);
    if !is_target() {
        return Sent::Gone;
    }
    match handle.map_or(Sent::Unsupported, |handle| send_to(handle.as_fd(), signal)) {
        // A sandbox refuses the call with the same error as another user's process does. By its number, then, where it still
        // was that process a moment ago.
        Sent::Refused | Sent::Unsupported if is_target() => send_to_number(target.pid, signal),
        sent => sent,
    }
}

/// Sends a signal by pid. Only where the pid cannot have been reused.
fn send_to_number(pid: i32, signal: Signal) -> Sent {
    // SAFETY: takes two numbers.
    match unsafe { syscall!(Sysno::kill, pid, signal.number()) } {
        Ok(_) => Sent::Delivered,
        Err(Errno::ESRCH) => Sent::Gone,
        Err(_) => Sent::Refused,
    }
}

/// Sends a signal through a handle.
pub fn send_to(handle: BorrowedFd<'_>, signal: Signal) -> Sent {
    // SAFETY: takes two numbers and no memory. Zero is a signal, too, and reaches nobody.
    let sent = unsafe { syscall!(Sysno::pidfd_send_signal, handle.as_raw_fd(), signal.number(), 0, 0) };
    match sent {
        Ok(_) => Sent::Delivered,
        Err(Errno::EPERM) => Sent::Refused,
        Err(Errno::ESRCH) => Sent::Gone,
        Err(_) => Sent::Unsupported,
    }
}

/// True where the system gives handles on processes: pidfd_open(2). It is asked once.
pub(super) fn has_handles() -> bool {
    static HAS_HANDLES: OnceLock<bool> = OnceLock::new();
    let open = || rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty());
    // What lacks only a free descriptor is there.
    *HAS_HANDLES.get_or_init(|| open().map_or_else(|errno| is_shortage(errno.raw_os_error()), |_| true))
}

/// A handle on a child that was not waited for yet.
pub(super) fn handle_of_child(pid: i32) -> rustix::io::Result<OwnedFd> {
    rustix::process::pidfd_open(Pid::from_raw(pid).ok_or(rustix::io::Errno::SRCH)?, PidfdFlags::empty())
}

/// Kills the process group that this child of ours leads, unless it was waited for: then the number may be another's.
pub(super) fn kill_group_of_child(pid: i32) {
    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 1) else { return };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if rustix::process::waitid(WaitId::Pid(pid), look).is_ok() {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

/// A child of ours that is waited for when asked alone: until then its number is its own.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: i32,
    /// A pidfd, or the end of a pipe that tells of its end.
    pub(super) handle: OwnedFd,
}

impl Child {
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// To be called only before `reap`.
    pub(super) fn signal(&self, signal: Signal) {
        if send_to(self.handle.as_fd(), signal) != Sent::Delivered {
            send_to_number(self.pid, signal);
        }
    }

    /// Waits until it has ended, or for so long.
    pub(super) fn await_end(&self, limit: Duration) {
        await_end_of(self.handle.as_fd(), limit);
    }

    /// Waits until it is gone. Only for a child that has ended or was killed.
    pub(super) fn reap(&self) {
        // Its end is announced by no signal (see `tree`), and such children are waited for only when asked.
        let options = WaitIdOptions::from_bits_retain(WaitIdOptions::EXITED.bits() | libc::__WALL as u32);
        let wait = |id: WaitId<'_>| loop {
            match rustix::process::waitid(id.clone(), options) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result.is_ok(),
            }
        };
        // Before Linux 5.4, or where the handle is a pipe, by its number.
        if !wait(WaitId::PidFd(self.handle.as_fd()))
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            wait(WaitId::Pid(pid));
        }
    }
}

/// Waits until the process of this pidfd has ended, or for so long.
pub(super) fn await_end_of(handle: BorrowedFd<'_>, limit: Duration) {
    // A signal does not end the wait.
    let _ = poller::await_until(handle, Until::after(Some(limit)));
}
