//! Pipes, and what a descriptor refers to.

#![expect(unsafe_code, reason = "pipes and descriptor flags have no safe form in the standard library")]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Whether O_NONBLOCK is set on what the descriptor refers to.
pub(crate) fn is_nonblocking(fd: &OwnedFd) -> bool {
    // SAFETY: takes numbers only.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK != 0 }
}

/// Read end and write end, both closed on exec.
pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors, which nobody else owns.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0, "{}", io::Error::last_os_error());
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

/// The command will find this descriptor open, under the same number.
pub(crate) fn inherit(command: &mut Command, fd: RawFd) {
    // SAFETY: fcntl is safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if libc::fcntl(fd, libc::F_SETFD, 0) == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}

/// The descriptors, other than the three streams, that every program we start inherits.
pub(crate) fn inherited_descriptors() -> Vec<RawFd> {
    let entries = fs::read_dir("/proc/self/fd").expect("our own").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    // SAFETY: fcntl takes numbers only; one that was closed meanwhile gives -1, which has all bits set.
    numbers.filter(|fd| *fd > 2 && unsafe { libc::fcntl(*fd, libc::F_GETFD) } & libc::FD_CLOEXEC == 0).collect()
}
