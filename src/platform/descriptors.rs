//! Descriptors: pipes, what a descriptor is, reads and writes that never block a descriptor we share with others.
//!
//! O_NONBLOCK is set only on what we made ourselves: on an inherited descriptor it would change our caller's too.

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::pipe::{PipeFlags, SpliceFlags};

use super::path_walk;
use crate::error::{Error, Result};

/// What kind of thing a descriptor leads to, as far as writing to it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pipe,
    Socket,
    /// A regular file, or a device that takes everything at once.
    Prompt,
    /// Anything that may keep a writer waiting, a terminal for one.
    Slow,
}

/// What came of moving bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Bytes(usize),
    /// The other side has no room or no bytes just now.
    WouldBlock,
    /// The other side is gone.
    Broken,
}

/// A pipe whose read end never blocks. Both ends are ours alone.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(Error::system("make a pipe"))?;
    rustix::io::ioctl_fionbio(&read, true).map_err(Error::system("make a pipe"))?;
    Ok((read, write))
}

/// Gives a pipe room for a fast writer. A limit of the system may forbid it; then it stays as it is.
pub fn widen(pipe: BorrowedFd<'_>, bytes: usize) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, bytes);
}

/// Our own standard streams.
pub fn stdout() -> BorrowedFd<'static> {
    rustix::stdio::stdout()
}

pub fn stdin() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

pub fn stderr() -> BorrowedFd<'static> {
    rustix::stdio::stderr()
}

/// A second descriptor for the same thing.
pub fn duplicate(descriptor: BorrowedFd<'_>) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(descriptor, 3).map_err(Error::system("duplicate a descriptor"))
}

/// What this descriptor leads to.
pub fn kind(descriptor: BorrowedFd<'_>) -> Kind {
    let Ok(stat) = rustix::fs::fstat(descriptor) else { return Kind::Slow };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => Kind::Pipe,
        FileType::Socket => Kind::Socket,
        FileType::RegularFile => Kind::Prompt,
        // The memory devices: null, zero, full and their kin.
        FileType::CharacterDevice if rustix::fs::major(stat.st_rdev) == 1 => Kind::Prompt,
        _ => Kind::Slow,
    }
}

/// How /proc/PID/fd names the other end of this pipe or pseudo-terminal.
pub fn other_end(ours: BorrowedFd<'_>) -> String {
    match rustix::pty::ptsname(ours, Vec::new()) {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => format!("pipe:[{}]", rustix::fs::fstat(ours).map_or(0, |stat| stat.st_ino)),
    }
}

/// True where this descriptor is a terminal.
pub fn is_terminal(descriptor: BorrowedFd<'_>) -> bool {
    rustix::termios::isatty(descriptor)
}

/// True where both lead to the same open file, as after `2>&1`.
pub fn are_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let (Ok(one_stat), Ok(other_stat)) = (rustix::fs::fstat(one), rustix::fs::fstat(other)) else { return false };
    if (one_stat.st_dev, one_stat.st_ino) != (other_stat.st_dev, other_stat.st_ino) {
        return false;
    }
    // A regular file that was opened twice has two positions, and must be written through both.
    FileType::from_raw_mode(one_stat.st_mode) != FileType::RegularFile || shares_position(one, other)
}

/// Whether two descriptors of one file share their position: kcmp(2), KCMP_FILE.
fn shares_position(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    use std::os::fd::AsRawFd;
    let pid = super::process::own_pid();
    // SAFETY: only compares.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, 0, one.as_raw_fd(), other.as_raw_fd()) };
    if order >= 0 {
        return order == 0;
    }
    // A sandbox may refuse it. Two that agree in position and flags are in all likelihood one.
    let state = |descriptor: BorrowedFd<'_>| {
        std::fs::read_to_string(format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd())).ok()
    };
    state(one).is_some() && state(one) == state(other)
}

/// Reads what is there.
pub fn read(from: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Moved> {
    loop {
        return match rustix::io::read(from, &mut *buffer) {
            Ok(length) => Ok(Moved::Bytes(length)),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Moved::WouldBlock),
            // A terminal whose other side is gone.
            Err(Errno::IO) => Ok(Moved::Bytes(0)),
            Err(errno) => Err(errno.into()),
        };
    }
}

/// How many bytes wait in a pipe.
pub fn waiting(pipe: BorrowedFd<'_>) -> u64 {
    rustix::io::ioctl_fionread(pipe).unwrap_or(0)
}

/// Copies bytes from one pipe into another without taking them out of the first. Zero bytes are the end.
pub fn copy_between_pipes(from: BorrowedFd<'_>, to: BorrowedFd<'_>, limit: usize) -> io::Result<Moved> {
    loop {
        return match rustix::pipe::tee(from, to, limit, SpliceFlags::NONBLOCK) {
            Ok(length) => Ok(Moved::Bytes(length)),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Moved::WouldBlock),
            Err(Errno::PIPE) => Ok(Moved::Broken),
            Err(errno) => Err(errno.into()),
        };
    }
}

/// Writes as much as a socket takes now.
pub fn send(to: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Moved> {
    loop {
        return match rustix::net::send(to, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(length) => Ok(Moved::Bytes(length)),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Moved::WouldBlock),
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(Moved::Broken),
            Err(errno) => Err(errno.into()),
        };
    }
}

/// Writes everything, however long it takes.
pub fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<Moved> {
    let length = bytes.len();
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                wait_writable(to, None);
            }
            Err(Errno::PIPE) => return Ok(Moved::Broken),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(Moved::Bytes(length))
}

/// Writes everything, but gives up on a reader that takes nothing for so long: `WouldBlock` then.
pub fn write_patiently(to: BorrowedFd<'_>, mut bytes: &[u8], patience: Duration) -> io::Result<Moved> {
    let length = bytes.len();
    if kind(to) == Kind::Prompt {
        return write_all(to, bytes);
    }
    while !bytes.is_empty() {
        if !wait_writable(to, Some(patience)) {
            return Ok(Moved::WouldBlock);
        }
        // A pipe that polls writable has room for so much, and then a blocking write of it does not block.
        let portion = &bytes[..bytes.len().min(rustix::pipe::PIPE_BUF)];
        match rustix::io::write(to, portion) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(Errno::PIPE) => return Ok(Moved::Broken),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(Moved::Bytes(length))
}

/// Writes what is taken at once, a little of it where the target might keep a writer waiting. `WouldBlock` where nothing
/// is taken for so long.
pub fn write_some(to: BorrowedFd<'_>, kind: Kind, bytes: &[u8], patience: Option<Duration>) -> io::Result<Moved> {
    // A pipe that polls writable has room for so much, and then a blocking write of it does not block.
    let limit = if kind == Kind::Prompt { bytes.len() } else { bytes.len().min(rustix::pipe::PIPE_BUF) };
    loop {
        if kind != Kind::Prompt && !wait_writable(to, patience) {
            return Ok(Moved::WouldBlock);
        }
        return match rustix::io::write(to, &bytes[..limit]) {
            Ok(written) => Ok(Moved::Bytes(written)),
            Err(Errno::INTR | Errno::AGAIN) => continue,
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(Moved::Broken),
            Err(errno) => Err(errno.into()),
        };
    }
}

/// True once something can be written; false where that takes longer than the limit.
fn wait_writable(to: BorrowedFd<'_>, limit: Option<Duration>) -> bool {
    let timeout = limit.map(|limit| Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    });
    loop {
        let mut polled = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            Ok(0) => return false,
            _ => return true,
        }
    }
}

/// Where in what it leads to the next byte is read. None: it has no such place, as a pipe has none.
pub fn position(descriptor: BorrowedFd<'_>) -> Option<u64> {
    rustix::fs::seek(descriptor, SeekFrom::Current(0)).ok()
}

/// Goes there, for everybody who shares the descriptor.
pub fn go_to(descriptor: BorrowedFd<'_>, position: u64) -> Result<()> {
    rustix::fs::seek(descriptor, SeekFrom::Start(position)).map(drop).map_err(Error::system("go back in the input"))
}

/// The input of a job without one. It opens this itself, so that it costs us no descriptor.
pub const NULL: &CStr = c"/dev/null";

/// True for a path that leads to a FIFO: to open it may take as long as it likes.
pub fn is_fifo(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// A file to read from.
pub fn input(path: &Path) -> Result<OwnedFd> {
    let help = "Check --stdin: the file must exist and be readable";
    let file = path_walk::open_to_read(path).map_err(Error::path("read", path, help))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        let error = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(Error::path("read", path, "Check --stdin: it must name a file")(error));
    }
    Ok(file.into())
}

/// A file to write to for the user: made anew where it is regular or absent, else written as it is.
pub fn output(path: &Path, remediation: &str) -> Result<OwnedFd> {
    open_output(path, OFlags::TRUNC, remediation)
}

/// The same, but what is in the file stays, and writes go behind it.
pub fn more_output(path: &Path, remediation: &str) -> Result<OwnedFd> {
    open_output(path, OFlags::APPEND, remediation)
}

fn open_output(path: &Path, manner: OFlags, remediation: &str) -> Result<OwnedFd> {
    let mode = Mode::from_raw_mode(0o666);
    // Opening a FIFO without a reader would block; it fails with ENXIO instead.
    let flags = OFlags::WRONLY | OFlags::CREATE | manner | OFlags::NOCTTY | OFlags::NONBLOCK;
    if let Some(own) = super::files::own_descriptor(path) {
        // It has a position that others share, and must not be cut off.
        return duplicate(own);
    }
    let file = path_walk::open(path, flags, mode).map_err(|error| {
        let has_no_reader = error.raw_os_error() == Some(libc::ENXIO);
        let text = if has_no_reader { "The FIFO has no reader; start its reader first" } else { remediation };
        Error::path("write", path, text)(error)
    })?;
    // The open file description is not shared, and its writer may block.
    rustix::fs::fcntl_getfl(&file)
        .and_then(|flags| rustix::fs::fcntl_setfl(&file, flags.difference(OFlags::NONBLOCK)))
        .map_err(Error::system("open a file to write"))?;
    Ok(file)
}
