//! Single processes: their handles, and signals that can never reach a stranger who got the same pid.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};
use syscalls::{Errno, Sysno, syscall};

use super::poller::{self, Until};
use super::procfs::{self, Identity};
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
/// where that file was removed.
pub fn own_program() -> OsString {
    let own = std::env::current_exe().ok().filter(|path| path.exists());
    own.map_or_else(|| OsString::from("/proc/self/exe"), OsString::from)
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

/// What our files are made without, see umask(2). Only before there is a second thread: it is set for a moment.
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
    /// It belongs to somebody else.
    Refused,
}

/// Sends a signal to exactly this process.
pub fn send(target: Identity, signal: Signal) -> Sent {
    let Some(pid) = Pid::from_raw(target.pid) else { return Sent::Gone };
    let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return Sent::Gone };
    // The handle is of whoever has the pid now; only if that is still our process may it be used.
    match procfs::stat(target.pid) {
        Some(stat) if stat.identity() == target => send_to(handle.as_fd(), signal),
        _ => Sent::Gone,
    }
}

/// Sends a signal through a handle.
pub fn send_to(handle: BorrowedFd<'_>, signal: Signal) -> Sent {
    // SAFETY: takes two numbers and no memory. Zero is a signal, too, and reaches nobody.
    let sent = unsafe { syscall!(Sysno::pidfd_send_signal, handle.as_raw_fd(), signal.number(), 0, 0) };
    match sent {
        Ok(_) => Sent::Delivered,
        Err(Errno::EPERM) => Sent::Refused,
        Err(_) => Sent::Gone,
    }
}

/// A child that is waited for through its handle alone.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) handle: OwnedFd,
}

impl Child {
    pub(super) fn kill(&self) {
        send_to(self.handle.as_fd(), Signal::KILL);
    }

    /// Waits until it has ended, or for so long.
    pub(super) fn await_end(&self, limit: Duration) {
        await_end_of(self.handle.as_fd(), limit);
    }

    /// Waits until it is gone. Only for a child that has ended or was killed.
    pub(super) fn reap(&self) {
        // Its end is announced by no signal (see `tree`), and such children are waited for only when asked.
        let options = WaitIdOptions::from_bits_retain(WaitIdOptions::EXITED.bits() | libc::__WALL as u32);
        let wait = || rustix::process::waitid(WaitId::PidFd(self.handle.as_fd()), options);
        while matches!(wait(), Err(rustix::io::Errno::INTR)) {}
    }
}

/// Waits until the process of this pidfd has ended, or for so long.
pub(super) fn await_end_of(handle: BorrowedFd<'_>, limit: Duration) {
    // A signal does not end the wait.
    let _ = poller::await_until(handle, Until::after(Some(limit)));
}
