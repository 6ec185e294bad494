//! A process that a test started and watches: how it is set up, how it ends, and what proc(5) says about it.

#![expect(unsafe_code, reason = "signals, sessions and terminals of a child are set between fork and exec")]

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{LIMIT, Stopwatch, until};

/// How a child starts out. The default is a session of its own without a terminal, no signal ignored or blocked, no
/// core dumps: what started the tests must not show.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// Signals that are ignored.
    pub(crate) ignored: Vec<i32>,
    /// Every signal is blocked.
    pub(crate) blocked: bool,
    /// Standard input is the controlling terminal.
    pub(crate) terminal: bool,
    /// Core dumps are allowed.
    pub(crate) core: bool,
}

impl Setup {
    pub(crate) fn ignoring(signals: &[i32]) -> Self {
        Self { ignored: signals.to_vec(), ..Self::default() }
    }

    /// Makes the command start like this.
    pub(crate) fn apply(&self, command: &mut Command) {
        let setup = self.clone();
        // SAFETY: between fork and exec only calls that are async-signal-safe are made, and nothing is allocated:
        // the vector was copied before the fork and is only read.
        unsafe {
            command.pre_exec(move || setup.in_child());
        }
    }

    fn in_child(&self) -> io::Result<()> {
        // SAFETY: plain system calls on values of our own; `set` is initialised by sigemptyset or sigfillset.
        unsafe {
            // The C library keeps 32 and 33 to itself and does not set them; the kernel does. All zeros is the default.
            let default = [0_u64; 4];
            for signal in 1..=libc::SIGRTMAX() {
                libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8);
            }
            for signal in &self.ignored {
                libc::signal(*signal, libc::SIG_IGN);
            }
            let mut set: libc::sigset_t = std::mem::zeroed();
            if self.blocked {
                libc::sigfillset(&raw mut set);
            } else {
                libc::sigemptyset(&raw mut set);
            }
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
            let mut size = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            if self.core {
                libc::getrlimit(libc::RLIMIT_CORE, &raw mut size);
                size.rlim_cur = size.rlim_max;
            }
            libc::setrlimit(libc::RLIMIT_CORE, &raw const size);
            if libc::setsid() < 0 || (self.terminal && libc::ioctl(0, libc::TIOCSCTTY, 0) < 0) {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

/// A child that is killed by its id when the test lets go of it.
pub(crate) struct Running {
    child: Child,
    pidfd: OwnedFd,
    stdout: File,
    stderr: File,
    clock: Stopwatch,
    status: Option<ExitStatus>,
}

/// How a child ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
}

impl Ended {
    /// What `$?` of a shell would be.
    pub(crate) fn shell_code(&self) -> i32 {
        shell_code(self.status)
    }

    /// The exit code, where there was one.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that it died of.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub(crate) fn answer(&self) -> serde_json::Value {
        super::answer(&self.stderr)
    }
}

pub(crate) fn shell_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("an end")
}

/// Starts a command with standard output and error in files, which nobody can hold up.
/// Standard input is empty unless the command says otherwise.
#[track_caller]
pub(crate) fn start(command: &mut Command) -> Running {
    start_as(command, &Setup::default())
}

#[track_caller]
pub(crate) fn start_as(command: &mut Command, setup: &Setup) -> Running {
    start_with(command, setup, Streams::default())
}

/// Streams that a test wants otherwise.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) stdin: Option<Stdio>,
    pub(crate) stdout: Option<Stdio>,
    pub(crate) stderr: Option<Stdio>,
}

#[track_caller]
pub(crate) fn start_with(command: &mut Command, setup: &Setup, streams: Streams) -> Running {
    let stdout = tempfile::tempfile().expect("a file for standard output");
    let stderr = tempfile::tempfile().expect("a file for standard error");
    let same = |file: &File| Stdio::from(file.try_clone().expect("a second descriptor"));
    command.stdin(streams.stdin.unwrap_or_else(Stdio::null));
    command.stdout(streams.stdout.unwrap_or_else(|| same(&stdout)));
    command.stderr(streams.stderr.unwrap_or_else(|| same(&stderr)));
    setup.apply(command);
    let clock = Stopwatch::start();
    let child = command.spawn().expect("the program under test starts");
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("a descriptor of the child");
    Running { child, pidfd, stdout, stderr, clock, status: None }
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    pub(crate) fn signal(&self, signal: i32) {
        send(self.pid(), signal);
    }

    /// What it wrote to standard output so far.
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&contents(&self.stdout)).into_owned()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&contents(&self.stderr)).into_owned()
    }

    /// Waits until standard output has this text.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        until(&format!("{text:?} was written"), || self.out().contains(text));
    }

    /// Waits for the end, at most `LIMIT`.
    #[track_caller]
    pub(crate) fn ended(self) -> Ended {
        self.ended_within(LIMIT)
    }

    #[track_caller]
    pub(crate) fn ended_within(mut self, limit: Duration) -> Ended {
        let over = wait_readable(&self.pidfd, limit);
        let elapsed = self.clock.elapsed();
        assert!(
            over,
            "still running after {elapsed:?}; it wrote {:?} and to standard error {:?}",
            self.out(),
            self.err()
        );
        let status = self.child.wait().expect("the child can be waited for");
        self.status = Some(status);
        let stderr = String::from_utf8_lossy(&contents(&self.stderr)).into_owned();
        Ended { status, stdout: contents(&self.stdout), stderr, elapsed }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Polls one descriptor until it is readable; a pidfd is once its process ended.
pub(crate) fn wait_readable(descriptor: &OwnedFd, limit: Duration) -> bool {
    let clock = Stopwatch::start();
    loop {
        let left = limit.saturating_sub(clock.elapsed());
        let timeout = Timespec::try_from(left).expect("a short time");
        let mut set = [PollFd::new(descriptor, PollFlags::IN)];
        match poll(&mut set, Some(&timeout)) {
            Ok(0) if clock.elapsed() >= limit => return false,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return true,
            Err(error) => panic!("cannot poll: {error}"),
        }
    }
}

fn contents(file: &File) -> Vec<u8> {
    // Read by offset: the offset of the open file itself belongs to the child.
    let size = usize::try_from(file.metadata().expect("a size").len()).expect("a size");
    let mut bytes = vec![0; size];
    let read = file.read_at(&mut bytes, 0).expect("the file can be read");
    bytes.truncate(read);
    bytes
}

/// Sends a signal to one process of this test, by its id.
#[track_caller]
pub(crate) fn send(pid: i32, signal: i32) {
    assert!(pid > 1, "{pid} is no process of a test");
    // SAFETY: kill takes two numbers.
    let result = unsafe { libc::kill(pid, signal) };
    assert_eq!(result, 0, "signal {signal} to {pid}: {}", io::Error::last_os_error());
}

/// Kills one process that may be gone already.
pub(crate) fn kill(pid: i32) {
    assert!(pid > 1, "{pid} is no process of a test");
    // SAFETY: kill takes two numbers.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// The state letter of proc(5), or nothing when the process is gone.
pub(crate) fn state(pid: i32) -> Option<char> {
    field(pid, 3)?.chars().next()
}

/// The id of the parent.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    field(pid, 4)?.parse().ok()
}

/// The process group.
pub(crate) fn group(pid: i32) -> Option<i32> {
    field(pid, 5)?.parse().ok()
}

/// A field of /proc/PID/stat, counted from 1 as in its manual page; the third and later ones.
fn field(pid: i32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    stat[stat.rfind(')')? + 1..].split_whitespace().nth(number - 3).map(str::to_owned)
}

/// The processes whose parent is this one.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|child| parent(*child) == Some(pid)).collect()
}

/// Waits until the process has taken every signal of this kind that was sent to it, or is gone.
#[track_caller]
pub(crate) fn settled(pid: i32, signal: i32) {
    until(&format!("{pid} has taken signal {signal}"), || {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return true };
        matches!(state(pid), None | Some('Z')) || !["SigPnd", "ShdPnd"].iter().any(|name| in_set(&status, name, signal))
    });
}

/// Whether a signal is in a set of /proc/PID/status, such as `SigIgn`.
pub(crate) fn in_set(status: &str, name: &str, signal: i32) -> bool {
    set(status, name) >> (signal - 1) & 1 == 1
}

/// A signal set of /proc/PID/status as a number: bit 0 is signal 1.
#[track_caller]
pub(crate) fn set(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {status:?}"));
    u64::from_str_radix(line.split_whitespace().nth(1).unwrap_or_default(), 16).expect("a set of signals")
}

/// Gives a descriptor as a standard stream.
pub(crate) fn stream(descriptor: &OwnedFd) -> Stdio {
    assert!(descriptor.as_raw_fd() > 2, "a descriptor of its own");
    Stdio::from(descriptor.try_clone().expect("a second descriptor"))
}
