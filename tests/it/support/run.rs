//! One run of `runner`: how it is set up, read while it goes on, and what it left when it ended.

#![expect(unsafe_code, reason = "read(2), poll(2) and sessions have no safe form in the standard library")]
#![expect(clippy::disallowed_methods, reason = "tests start processes and read the clock themselves")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::containment::Rung;
use super::descriptors::pipe;
use super::envelope::parse;
use super::lifeline::{Lifeline, describe};
use super::process::signal;
use super::waiting::{LIMIT, SOON, milliseconds};
use super::{contains, pattern};

/// `runner` with nothing of the surroundings that it would read: a session of its own (so no terminal), default
/// signals, no input.
pub(crate) fn runner() -> Command {
    runner_at(Path::new(env!("CARGO_BIN_EXE_runner")))
}

/// As `runner`, for a copy of the program.
pub(crate) fn runner_at(program: &Path) -> Command {
    let mut command = Command::new(program);
    clean(&mut command);
    command
}

/// Takes from a command what the tests themselves happen to run in.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("RUNNER_") || text.starts_with("VICTIM_") || ["CI", "NO_COLOR", "TERM"].contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").stdin(Stdio::null());
    // SAFETY: setsid, sigaction and sigprocmask are safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            for number in (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP].contains(number)) {
                libc::signal(number, libc::SIG_DFL);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            Ok(())
        });
    }
}

/// Where the misbehaving program is.
pub(crate) fn victim_path() -> PathBuf {
    let test = std::env::current_exe().expect("our own path");
    let path = test.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("examples/victim");
    assert!(path.exists(), "{} is missing: build it with `cargo build --example victim`", path.display());
    path
}

/// A copy of a program, made by another process: while one that we forked still had it open for writing, nobody could
/// run it.
pub(crate) fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "cp {} {}", from.display(), to.display());
}

/// The bytes that `victim flood COUNT` writes to a stream.
pub(crate) fn flood_pattern(count: usize, stream: u64) -> Vec<u8> {
    let mut bytes = vec![0; count];
    pattern::fill(&mut bytes, 0, stream);
    bytes
}

/// A run of `runner exec` to be.
pub(crate) struct Exec {
    pub(crate) command: Command,
    job: Vec<OsString>,
    lifeline: Lifeline,
    stdout: Sink,
    stderr: Sink,
}

/// Where a stream of runner goes.
enum Sink {
    /// To us, kept.
    Kept,
    /// To us, counted and thrown away.
    Counted,
    /// A pipe that we do not read until told to.
    Unread,
    /// Where the command was told to send it.
    Elsewhere,
    /// Into the pipe of stdout.
    WithStdout,
}

/// `runner exec` with these options, separated by spaces.
pub(crate) fn exec(options: &str) -> Exec {
    exec_with(runner(), options)
}

/// `runner op` with these options, separated by spaces. The operation and its parameters follow as `arg`s.
pub(crate) fn op(options: &str) -> Exec {
    verb_with(runner(), "op", options)
}

/// `runner batch` with these options, separated by spaces.
pub(crate) fn batch(options: &str) -> Exec {
    verb_with(runner(), "batch", options)
}

/// The same, with a command that is already set up.
pub(crate) fn batch_with(command: Command, options: &str) -> Exec {
    verb_with(command, "batch", options)
}

/// As `exec`, with a command that is already set up.
pub(crate) fn exec_with(command: Command, options: &str) -> Exec {
    verb_with(command, "exec", options)
}

/// A verb of one word or several, with these options; both separated by spaces.
pub(crate) fn verb_with(mut command: Command, verb: &str, options: &str) -> Exec {
    command.args(verb.split_whitespace()).args(options.split_whitespace());
    Exec { command, job: Vec::new(), lifeline: Lifeline::new(), stdout: Sink::Kept, stderr: Sink::Kept }
}

impl Exec {
    /// One more option or its value, which may hold spaces.
    pub(crate) fn arg(mut self, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(value);
        self
    }

    /// More of them.
    pub(crate) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, values: I) -> Self {
        self.command.args(values);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Forces the containment.
    pub(crate) fn rung(self, rung: Rung) -> Self {
        self.env("RUNNER_TEST_CONTAINMENT", rung.word())
    }

    /// The job is `victim`, in a mode given as words separated by spaces.
    pub(crate) fn victim(mut self, words: &str) -> Self {
        self.job = vec![victim_path().into()];
        self.job.extend(words.split_whitespace().map(OsString::from));
        self
    }

    /// One more word of the job, which may hold spaces.
    pub(crate) fn word(mut self, word: &str) -> Self {
        self.job.push(word.into());
        self
    }

    /// The job.
    pub(crate) fn job<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, argv: I) -> Self {
        self.job = argv.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// The job is a line for sh; `$VICTIM` in it is the misbehaving program.
    pub(crate) fn sh(self, line: &str) -> Self {
        self.env("VICTIM", victim_path()).job(["sh", "-c", line])
    }

    /// What stands on standard input, through a pipe.
    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let (read, write) = pipe();
        self.command.stdin(read);
        let bytes = bytes.into();
        // Ends once everything is read, or nobody reads any more.
        std::thread::spawn(move || std::io::Write::write_all(&mut fs::File::from(write), &bytes));
        self
    }

    /// Anything else about the command.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// stdout is counted and not kept.
    pub(crate) fn count_stdout(mut self) -> Self {
        self.stdout = Sink::Counted;
        self
    }

    /// stdout is a pipe that nobody reads until `Running::read_on`.
    pub(crate) fn leave_stdout_unread(mut self) -> Self {
        self.stdout = Sink::Unread;
        self
    }

    /// stdout goes there.
    pub(crate) fn stdout_to(mut self, target: impl Into<Stdio>) -> Self {
        self.command.stdout(target);
        self.stdout = Sink::Elsewhere;
        self
    }

    /// stderr goes there.
    pub(crate) fn stderr_to(mut self, target: impl Into<Stdio>) -> Self {
        self.command.stderr(target);
        self.stderr = Sink::Elsewhere;
        self
    }

    /// As `2>&1`.
    pub(crate) fn merged(mut self) -> Self {
        self.stderr = Sink::WithStdout;
        self
    }

    pub(crate) fn start(mut self) -> Running {
        if !self.job.is_empty() {
            self.command.arg("--").args(&self.job);
        }
        self.lifeline.pass_to(&mut self.command);
        let mut streams = [Stream::none(), Stream::none()];
        if !matches!(self.stdout, Sink::Elsewhere) {
            let (read, write) = pipe();
            if matches!(self.stderr, Sink::WithStdout) {
                self.command.stderr(write.try_clone().expect("a second descriptor"));
            }
            self.command.stdout(write);
            streams[0] = Stream::new(read, &self.stdout);
        }
        if !matches!(self.stderr, Sink::Elsewhere | Sink::WithStdout) {
            let (read, write) = pipe();
            self.command.stderr(write);
            streams[1] = Stream::new(read, &self.stderr);
        }
        let started = Instant::now();
        let child = self.command.spawn().expect("runner starts");
        // The write ends that the command owns are closed with it.
        drop(self.command);
        self.lifeline.started();
        Running { child, streams, started, lifeline: Some(self.lifeline), status: None }
    }

    /// Starts it, and waits for its end and for all its output.
    #[track_caller]
    pub(crate) fn run(self) -> Finished {
        self.start().finish()
    }
}

/// One stream of runner, as far as it was read.
#[derive(Debug)]
struct Stream {
    read: Option<OwnedFd>,
    bytes: Vec<u8>,
    count: u64,
    keep: bool,
    paused: bool,
}

impl Stream {
    fn none() -> Self {
        Self { read: None, bytes: Vec::new(), count: 0, keep: true, paused: false }
    }

    fn new(read: OwnedFd, sink: &Sink) -> Self {
        let (keep, paused) = (!matches!(sink, Sink::Counted), matches!(sink, Sink::Unread));
        Self { read: Some(read), keep, paused, ..Self::none() }
    }

    fn wanted(&self) -> Option<RawFd> {
        self.read.as_ref().filter(|_| !self.paused).map(AsRawFd::as_raw_fd)
    }

    /// Takes at most so many of the bytes that are there.
    fn take(&mut self, most: usize) {
        let Some(fd) = self.read.as_ref().map(AsRawFd::as_raw_fd) else { return };
        let mut block = vec![0; most];
        // SAFETY: pointer and length are those of a live buffer.
        let count = unsafe { libc::read(fd, block.as_mut_ptr().cast(), block.len()) };
        match usize::try_from(count) {
            Ok(0) | Err(_) => self.read = None,
            Ok(count) => {
                self.count += count as u64;
                if self.keep {
                    self.bytes.extend_from_slice(&block[..count]);
                }
            }
        }
    }
}

/// A run that goes on.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    streams: [Stream; 2],
    started: Instant,
    lifeline: Option<Lifeline>,
    status: Option<ExitStatus>,
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sends runner a signal.
    pub(crate) fn signal(&self, number: i32) {
        assert!(self.status.is_none(), "runner has already ended");
        signal(self.pid(), number);
    }

    pub(crate) fn stdout(&self) -> &[u8] {
        &self.streams[0].bytes
    }

    pub(crate) fn stderr(&self) -> &[u8] {
        &self.streams[1].bytes
    }

    pub(crate) fn lifeline(&self) -> &Lifeline {
        self.lifeline.as_ref().expect("until finished")
    }

    /// Reads until stdout holds the text.
    #[track_caller]
    pub(crate) fn wait_for_stdout(&mut self, text: &str) {
        self.wait_until(&format!("'{text}' on stdout"), |run| contains(run.stdout(), text.as_bytes()));
    }

    /// Reads until stderr holds the text.
    #[track_caller]
    pub(crate) fn wait_for_stderr(&mut self, text: &str) {
        self.wait_until(&format!("'{text}' on stderr"), |run| contains(run.stderr(), text.as_bytes()));
    }

    /// Waits for the misbehaviour to be in force.
    #[track_caller]
    pub(crate) fn wait_until_ready(&mut self) {
        self.wait_for_stdout("ready\n");
    }

    /// Reads on until the condition holds.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + LIMIT;
        while !condition(self) {
            let over = self.try_status().is_some() && self.streams.iter().all(|stream| stream.wanted().is_none());
            assert!(!over && Instant::now() < end, "no {what}: {}", self.so_far());
            self.pump(Duration::from_millis(5));
        }
    }

    /// stdout is read from now on.
    pub(crate) fn read_on(&mut self) {
        self.streams[0].paused = false;
    }

    /// Reads a little of stdout.
    pub(crate) fn read_some(&mut self, most: usize) {
        self.streams[0].take(most);
    }

    /// Nobody will read stdout any more.
    pub(crate) fn close_stdout(&mut self) {
        self.streams[0].read = None;
    }

    /// Lets some milliseconds pass, reading what comes.
    pub(crate) fn wait_a_little(&mut self) {
        self.pump(Duration::from_millis(5));
    }

    /// Whether runner has ended; it is not waited for.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.try_status().is_some()
    }

    fn try_status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("our own child");
        }
        self.status
    }

    /// Reads what there is, waiting at most so long for more.
    fn pump(&mut self, patience: Duration) {
        let wanted: Vec<RawFd> = self.streams.iter().filter_map(Stream::wanted).collect();
        let mut polled: Vec<libc::pollfd> =
            wanted.iter().map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 }).collect();
        // SAFETY: pointer and length are those of a live vector.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, milliseconds(patience)) };
        for entry in polled.iter().filter(|entry| entry.revents != 0) {
            for stream in self.streams.iter_mut().filter(|stream| stream.wanted() == Some(entry.fd)) {
                stream.take(65536);
            }
        }
    }

    /// Waits for the end of runner and of its output.
    #[track_caller]
    pub(crate) fn finish(self) -> Finished {
        self.finish_within(LIMIT)
    }

    /// The same for a run that has much to do.
    #[track_caller]
    pub(crate) fn finish_within(mut self, limit: Duration) -> Finished {
        let end = Instant::now() + limit;
        while self.try_status().is_none() {
            assert!(Instant::now() < end, "runner does not end: {}", self.so_far());
            self.pump(Duration::from_millis(5));
        }
        let elapsed = self.started.elapsed();
        while self.streams.iter().any(|stream| stream.wanted().is_some()) {
            assert!(Instant::now() < end, "somebody keeps the output of runner after its end: {}", self.so_far());
            self.pump(Duration::from_millis(50));
        }
        let [stdout, stderr] = [0, 1].map(|index| std::mem::replace(&mut self.streams[index], Stream::none()));
        Finished {
            status: self.status.expect("it has ended"),
            pid: self.pid(),
            stdout_count: stdout.count,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
            elapsed,
            lifeline: self.lifeline.take().expect("taken once"),
        }
    }

    fn so_far(&self) -> String {
        let last = |bytes: &[u8]| String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(2000)..]).into_owned();
        let alive: Vec<String> = self.lifeline().holders().iter().map(|pid| describe(*pid)).collect();
        format!(
            "status {:?}, stdout {:?}, stderr {:?}, alive {alive:#?}",
            self.status,
            last(self.stdout()),
            last(self.stderr())
        )
    }
}

impl Drop for Running {
    /// A test that failed leaves nothing.
    fn drop(&mut self) {
        if self.lifeline.is_some() {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) pid: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stdout_count: u64,
    pub(crate) stderr: Vec<u8>,
    pub(crate) elapsed: Duration,
    pub(crate) lifeline: Lifeline,
}

impl Finished {
    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{:?}\nstdout: {:.2000}\nstderr: {:.2000}",
            self.status,
            self.stdout_text(),
            self.stderr_text()
        );
        self
    }

    #[track_caller]
    pub(crate) fn assert_died_of(&self, signal: i32) -> &Self {
        assert_eq!(self.status.signal(), Some(signal), "{:?}\nstderr: {:.2000}", self.status, self.stderr_text());
        self
    }

    #[track_caller]
    pub(crate) fn assert_silent(&self) -> &Self {
        assert_eq!(self.stderr_text(), "", "nothing is said where the job ended by itself");
        self
    }

    #[track_caller]
    pub(crate) fn assert_took_between(&self, least: Duration, most: Duration) -> &Self {
        assert!(self.elapsed >= least, "it ended after {:?}, before {least:?}", self.elapsed);
        assert!(self.elapsed < most, "it took {:?}, more than {most:?}", self.elapsed);
        self
    }

    /// Nothing of the tree lives, nor of runner itself.
    #[track_caller]
    pub(crate) fn assert_tree_dead(&self) -> &Self {
        self.lifeline.assert_dead_within(SOON);
        self
    }

    /// The answer on stderr: its last line, valid by the schema.
    #[track_caller]
    pub(crate) fn answer(&self) -> Value {
        let text = self.stderr_text();
        let line =
            text.strip_suffix('\n').unwrap_or_else(|| panic!("no whole line at the end of stderr: {text:.2000}"));
        parse(line.rsplit('\n').next().unwrap_or(line))
    }

    /// The answer of `--json`: all of stdout, one line.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let text = std::str::from_utf8(&self.stdout).expect("JSON is UTF-8");
        let line = text.strip_suffix('\n').unwrap_or_else(|| panic!("stdout is no line: {text:.2000}"));
        assert!(!line.contains('\n'), "stdout is more than one line: {text:.2000}");
        parse(line)
    }
}
