//! What `wait-for` asks of the system: whether a socket answers, whether a process has ended, whether a shell line
//! succeeds.
//!
//! Each question is asked once and answered; whoever asks decides when to ask again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

use super::poller::{self, Until};
use super::procfs::{self, Identity};
use super::signals::IGNORED;
use crate::model::signal::Signal;

/// What the variables of a job are called by which a process speaks to runner. A probe does not speak for the job.
const JOB_VARIABLES: [&str; 2] = ["RUNNER_NOTIFY_SOCKET", "RUNNER_NOTIFY_PATH"];

/// How often a child is looked at where the system gives no handle on it.
const LOOK_PERIOD: Duration = Duration::from_millis(10);

/// True for a name that fits into the address of a socket.
pub fn is_socket_name(path: &Path) -> bool {
    SocketAddrUnix::new(path).is_ok()
}

/// Connects to a stream socket in the file system, and hangs up.
///
/// Never waits: a listener that does not accept, and whose queue is full, is an error.
pub fn connect_to_socket(path: &Path) -> io::Result<()> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Err(Errno::AGAIN) => Err(io::Error::other("its queue of connections is full")),
        result => Ok(result?),
    }
}

/// A process whose end is of interest, whoever has its pid later.
#[derive(Debug)]
pub enum Watched {
    Handle(OwnedFd),
    /// For what has no handle: a thread, or any process on a kernel that refuses handles.
    Row(Identity),
    /// The same without a /proc of ours: whatever has this number.
    Number(Pid),
    /// There was no such process.
    Ended,
}

impl Watched {
    /// Whatever has this pid now.
    pub fn process(pid: i32) -> Self {
        let Some(number) = Pid::from_raw(pid).filter(|_| pid > 0) else { return Self::Ended };
        match rustix::process::pidfd_open(number, PidfdFlags::empty()) {
            Ok(handle) => Self::Handle(handle),
            Err(Errno::SRCH) => Self::Ended,
            Err(_) if !procfs::is_own() => Self::Number(number),
            Err(_) => procfs::stat(pid).map_or(Self::Ended, |stat| Self::Row(stat.identity())),
        }
    }

    /// True once it has ended, also when nobody has reaped it.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Handle(handle) => is_readable(handle.as_fd()),
            Self::Row(identity) => {
                procfs::stat(identity.pid).is_none_or(|stat| stat.identity() != *identity || stat.is_dead())
            }
            Self::Number(pid) => rustix::process::test_kill_process(*pid) == Err(Errno::SRCH),
            Self::Ended => true,
        }
    }
}

fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
    matches!(rustix::event::poll(&mut polled, Some(&Timespec::default())), Ok(1..))
}

/// How a shell line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    Code(i32),
    Signal(Signal),
    /// It was still running when its time was up, and was killed.
    TooSlow,
    /// It was killed because `stop` became readable.
    Stopped,
}

/// Runs a line in a shell that reads nothing and whose output goes nowhere, until it ends, its time is up or `stop` is
/// readable. Nothing of its process group is left then. Signals have their usual effect on it, whatever they have on us.
///
/// Fails where the shell cannot be started.
pub fn shell_line(line: &str, limit: Duration, stop: BorrowedFd<'_>) -> io::Result<LineEnd> {
    #[expect(clippy::disallowed_methods, reason = "this is the home of processes")]
    let mut command = Command::new("sh");
    JOB_VARIABLES.iter().for_each(|name| _ = command.env_remove(name));
    command.arg("-c").arg(line).process_group(0);
    // SAFETY: signal(2) is all that happens between fork and exec, with numbers only.
    unsafe {
        command.pre_exec(|| {
            IGNORED.into_iter().for_each(|number| _ = libc::signal(number, libc::SIG_DFL));
            Ok(())
        });
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = Pid::from_child(&child);
    let end = await_end(pid, limit, stop);
    // The leader was not waited for yet, so that the number is still that of its group. A line that has ended leaves
    // nothing either: what it put into the background would pile up with each attempt.
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    let status = child.wait()?;
    Ok(end.unwrap_or_else(|| line_end(status)))
}

/// Waits for the end of a child that stays unreaped. Some: why it must be killed.
fn await_end(pid: Pid, limit: Duration, stop: BorrowedFd<'_>) -> Option<LineEnd> {
    let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
        return watch_child(pid, limit, stop);
    };
    let timeout = poller::timespec(limit);
    loop {
        let mut polled = [PollFd::new(&handle, PollFlags::IN), PollFd::from_borrowed_fd(stop, PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Err(Errno::INTR) => {}
            Ok(1..) if !polled[0].revents().is_empty() => return None,
            Ok(1..) => return Some(LineEnd::Stopped),
            Ok(0) | Err(_) => return Some(LineEnd::TooSlow),
        }
    }
}

/// The same where the system gives no handle on a process: looks again and again.
fn watch_child(pid: Pid, limit: Duration, stop: BorrowedFd<'_>) -> Option<LineEnd> {
    let until = Until::after(Some(limit));
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    while matches!(rustix::process::waitid(WaitId::Pid(pid), options), Ok(None) | Err(Errno::INTR)) {
        let rest = until.rest().unwrap_or_default();
        if rest.is_zero() {
            return Some(LineEnd::TooSlow);
        }
        poller::await_readable(stop, rest.min(LOOK_PERIOD));
        if is_readable(stop) {
            return Some(LineEnd::Stopped);
        }
    }
    None
}

fn line_end(status: ExitStatus) -> LineEnd {
    match (status.code(), status.signal().and_then(Signal::from_number)) {
        (Some(code), _) => LineEnd::Code(code),
        (None, Some(signal)) => LineEnd::Signal(signal),
        (None, None) => LineEnd::Signal(Signal::KILL),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixListener};
    use std::time::Duration;

    use super::{LineEnd, Watched, connect_to_socket, shell_line};
    use crate::platform::doorbell::Doorbell;
    use crate::platform::poller;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_line_ends_as_the_shell_says() {
        let bell = Doorbell::new().unwrap();
        assert_eq!(shell_line("exit 7", LONG, bell.as_fd()).unwrap(), LineEnd::Code(7));
        assert_eq!(shell_line("echo loud; echo loud >&2; cat", LONG, bell.as_fd()).unwrap(), LineEnd::Code(0));
    }

    #[test]
    fn a_line_that_hangs_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let line = format!("sleep 1000 & echo $! $$ >{}; wait", pids.display());
        let bell = Doorbell::new().unwrap();
        let end = shell_line(&line, Duration::from_millis(500), bell.as_fd()).unwrap();
        assert_eq!(end, LineEnd::TooSlow);
        for pid in std::fs::read_to_string(&pids).unwrap().split_whitespace() {
            // Killed already; that it is gone may take the kernel a moment.
            let process = Watched::process(pid.parse().unwrap());
            let quiet = Doorbell::new().unwrap();
            let rounds = (0..6_000).take_while(|_| !process.has_ended());
            rounds.for_each(|_| poller::await_readable(quiet.as_fd(), Duration::from_millis(10)));
            assert!(process.has_ended(), "{pid} lives");
        }
        bell.ring();
        assert_eq!(shell_line("sleep 1000", LONG, bell.as_fd()).unwrap(), LineEnd::Stopped);
    }

    #[test]
    fn only_a_listening_stream_socket_connects() {
        let folder = tempfile::tempdir().unwrap();
        let [stream, datagram, absent] = ["stream", "datagram", "absent"].map(|name| folder.path().join(name));
        let listener = UnixListener::bind(&stream).unwrap();
        let _datagram = UnixDatagram::bind(&datagram).unwrap();
        connect_to_socket(&stream).unwrap();
        assert!(connect_to_socket(&datagram).is_err());
        assert_eq!(connect_to_socket(&absent).unwrap_err().kind(), std::io::ErrorKind::NotFound);
        drop(listener);
        assert_eq!(connect_to_socket(&stream).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_process_that_lives_has_not_ended_and_one_that_never_was_has() {
        assert!(!Watched::process(crate::platform::process::own_pid()).has_ended());
        assert!(Watched::process(i32::MAX).has_ended());
    }
}
