//! Starts a process that outlives us and has nothing of ours: a session of its own, the root as its folder, no terminal,
//! no pipe of our caller's. And tells us whether it came up.
//!
//! It is started through a process in between that ends at once. So it is nobody's child but the system's: it never waits
//! for us to be reaped, however long we stay, and no other wait of ours meets it.
//!
//! What it has to say comes through a pipe of which it is told the number and the inode; a program that was started in
//! another way finds none, and tells nobody.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use super::command::{Check, PreparedCommand};
use super::inheritance::ProcessDefaults;
use super::leader::{default_disposition, exit};
use super::poller::{self, Until};
use super::{guard, signals};
use crate::error::{Error, Result, plain};

/// Tells the new process of its pipe, as number, device and inode; not for people.
const READY_PIPE: &str = "RUNNER_READY_PIPE";
/// Where the pipe is in the new process.
const NUMBER: i32 = 3;
/// What is moved before its place is taken is moved at least so far.
const ASIDE: i32 = 10;
/// A pipe takes so much at once, whether anybody reads or not.
const MESSAGE_LIMIT: usize = rustix::pipe::PIPE_BUF - 1;

/// The first byte of what comes through the pipe.
const SAYS_READY: u8 = b'r';
/// A text follows.
const SAYS_FAILED: u8 = b'f';
/// A step and an error number follow: it did not become its program.
const SAYS_REFUSED: u8 = b'x';

/// What may be refused before the program begins.
const STEPS: [&str; 4] = ["start a process", "open /dev/null", "enter /", "execute the program"];
const STEP_FORK: u8 = 0;
const STEP_NULL: u8 = 1;
const STEP_FOLDER: u8 = 2;
const STEP_EXECUTE: u8 = 3;

/// What is known of the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Ready,
    /// Why it will never be ready.
    Failed(String),
    /// It has not said anything yet.
    StillStarting,
}

/// Waits for what a detached process says of its start. To drop it leaves that process alone.
#[derive(Debug)]
pub struct Ready {
    pipe: OwnedFd,
    program: OsString,
    said: Vec<u8>,
}

/// Starts `program` detached. Without `env` it has our environment.
///
/// It leads a session and a process group of its own, with the root as its folder, /dev/null for its streams, no other
/// descriptor, the umask 077, no blocked and no ignored signals. Other inherited attributes are reset as far as
/// permitted, see `inheritance`.
pub fn start(program: &OsStr, arguments: &[OsString], env: Option<Vec<(OsString, OsString)>>) -> Result<Ready> {
    let failed = || Error::system("make a pipe");
    let (pipe, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed())?;
    // Its own place, and those of the streams, are taken before it is moved there.
    let theirs = rustix::io::fcntl_dupfd_cloexec(&theirs, ASIDE).map_err(failed())?;
    let stat = rustix::fs::fstat(&theirs).map_err(failed())?;
    let mut env = env.unwrap_or_else(|| std::env::vars_os().collect());
    env.retain(|(name, _)| name != READY_PIPE);
    env.push((READY_PIPE.into(), format!("{NUMBER}:{}:{}", stat.st_dev, stat.st_ino).into()));
    let argv: Vec<OsString> = std::iter::once(program.to_owned()).chain(arguments.iter().cloned()).collect();
    let command = PreparedCommand::new(&argv, env, None, "", Check::BeforeStart)?;
    let defaults = ProcessDefaults::prepare();
    // With every signal blocked: no handler of ours may run in the copies.
    let middle = signals::with_all_blocked(|| {
        // SAFETY: the copy makes system calls alone, on what was prepared above, and does not return.
        match unsafe { libc::fork() } {
            0 => between(theirs.as_raw_fd(), &command, &defaults),
            -1 => Err(io::Error::last_os_error()),
            pid => Ok(pid),
        }
    });
    reap(middle.map_err(Error::system(STEPS[usize::from(STEP_FORK)]))?);
    Ok(Ready { pipe, program: program.to_owned(), said: Vec::new() })
}

impl Ready {
    /// Waits for its answer, but not longer. May be asked again, and says the same once there is one.
    pub fn wait(&mut self, limit: Duration) -> Result<Answer> {
        let until = Until::after(Some(limit));
        loop {
            if self.said.first() == Some(&SAYS_READY) {
                return Ok(Answer::Ready);
            }
            if !poller::await_until(self.pipe.as_fd(), until)? {
                return Ok(Answer::StillStarting);
            }
            let mut portion = [0; 1024];
            match rustix::io::read(&self.pipe, &mut portion) {
                Ok(0) => return Ok(Answer::Failed(self.reason())),
                // Whoever else got hold of the pipe does not fill our memory.
                Ok(length) if self.said.len() <= MESSAGE_LIMIT => self.said.extend_from_slice(&portion[..length]),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::system("hear whether it has started")(errno)),
            }
        }
    }

    /// Why it ended, or has nothing more to say, without being ready.
    fn reason(&self) -> String {
        let program = self.program.to_string_lossy();
        match self.said.split_first() {
            Some((&SAYS_FAILED, text)) => String::from_utf8_lossy(text).into_owned(),
            Some((&SAYS_REFUSED, &[step, ref errno @ ..])) if errno.len() == 4 => {
                let errno = errno.iter().rev().fold(0, |all, byte| all << 8 | i32::from(*byte));
                let step = STEPS.get(usize::from(step)).unwrap_or(&STEPS[0]);
                format!("cannot {step} ({program}): {}", plain(&io::Error::from_raw_os_error(errno)))
            }
            _ => format!("{program} ended before it was ready, and did not say why"),
        }
    }
}

/// The end of the pipe at which something is to be said.
static TELLER: Mutex<Option<OwnedFd>> = Mutex::new(None);

fn teller() -> MutexGuard<'static, Option<OwnedFd>> {
    TELLER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In the detached process: takes over the pipe, so that nothing else of it inherits that. To be called first, while
/// there is one thread. In a process that was started in another way it does nothing.
pub fn settle() {
    let Some(told) = std::env::var_os(READY_PIPE) else { return };
    // SAFETY: there is one thread, as our caller promises.
    unsafe { std::env::remove_var(READY_PIPE) };
    // SAFETY: only looked at. If it is not open, the answer says so.
    let Ok(stat) = rustix::fs::fstat(unsafe { BorrowedFd::borrow_raw(NUMBER) }) else { return };
    if told != *format!("{NUMBER}:{}:{}", stat.st_dev, stat.st_ino) {
        return;
    }
    // SAFETY: it is the pipe that was made for us, and nobody else here knows of it.
    let pipe = unsafe { OwnedFd::from_raw_fd(NUMBER) };
    let _ = rustix::io::fcntl_setfd(&pipe, rustix::io::FdFlags::CLOEXEC);
    *teller() = Some(pipe);
}

/// In the detached process: it is ready. Only the first that is told counts.
pub fn tell_ready() {
    tell(&[SAYS_READY]);
}

/// In the detached process: it will never be ready, for this reason.
pub fn tell_failure(reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(MESSAGE_LIMIT)];
    tell(&[&[SAYS_FAILED], reason.as_bytes()].concat());
}

fn tell(message: &[u8]) {
    let Some(pipe) = teller().take() else { return };
    // Whoever started us may be gone; it is nothing to us.
    while rustix::io::write(&pipe, message) == Err(Errno::INTR) {}
}

/// The process in between: makes the detached one, and ends.
fn between(pipe: i32, command: &PreparedCommand, defaults: &ProcessDefaults) -> ! {
    // SAFETY: the copy makes system calls alone, and does not return.
    match unsafe { libc::fork() } {
        0 => become_program(pipe, command, defaults),
        -1 => refuse(pipe, STEP_FORK),
        _ => exit(0),
    }
}

/// The detached process before it is its program. A fork of a process that may have threads: system calls alone.
fn become_program(pipe: i32, command: &PreparedCommand, defaults: &ProcessDefaults) -> ! {
    defaults.apply();
    // SAFETY: system calls with numbers and constant strings; what is closed is used no more.
    unsafe {
        libc::setsid();
        for signal in 1..=64 {
            default_disposition(signal);
        }
        libc::umask(0o077);
        if libc::chdir(c"/".as_ptr()) != 0 {
            refuse(pipe, STEP_FOLDER);
        }
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if null < 0 || (0..3).any(|stream| libc::dup2(null, stream) < 0) {
            refuse(pipe, STEP_NULL);
        }
        // The new number is not closed by execve(2).
        if libc::dup2(pipe, NUMBER) < 0 {
            refuse(pipe, STEP_NULL);
        }
        guard::close_range(NUMBER as usize + 1, u32::MAX as usize);
        let none: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        // There is one candidate: it was looked for before.
        libc::execve(*command.candidates(), command.argv(), command.envp());
    }
    refuse(NUMBER, STEP_EXECUTE)
}

/// Says which step failed, with the present error number, and ends this process.
fn refuse(pipe: i32, step: u8) -> ! {
    // SAFETY: reads the error number of this thread, and writes a few bytes of ours.
    unsafe {
        let [a, b, c, d] = (*libc::__errno_location()).to_le_bytes();
        let message = [SAYS_REFUSED, step, a, b, c, d];
        libc::write(pipe, message.as_ptr().cast(), message.len());
    }
    exit(127)
}

/// Waits for the process in between, by its pid alone.
fn reap(pid: libc::pid_t) {
    let mut status = 0;
    // Where our caller ignores SIGCHLD there is nothing to wait for, and this says so once the process is gone.
    // SAFETY: waits for our own child and writes to `status`.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

#[cfg(test)]
#[path = "detach_tests.rs"]
mod tests;
