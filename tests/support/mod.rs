//! The fixture of the black-box tests: runs `runner` in clean surroundings, never waits without a limit, and proves
//! that a tree is dead by end of file on a pipe which every process of it holds.
//!
//! Nothing here knows how runner works inside. A condition is polled; a time is never just slept away. Processes are
//! killed by number only.

#![allow(dead_code, unused_macros, reason = "each test file uses its part")]
#![expect(unsafe_code, reason = "signals, descriptors and wait4 have no safe form in the standard library")]
#![expect(clippy::disallowed_methods, reason = "tests start processes and read the clock themselves")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

#[path = "../helpers/pattern.rs"]
pub(crate) mod pattern;

/// What a test allows a run to take, on a machine that is busy with other things.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// The generous upper bound of what should be quick.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Makes one test for each containment: `fn name(rung) { ... }` becomes `name::cgroup` and `name::walk`.
macro_rules! on_both_rungs {
    ($($(#[$attribute:meta])* fn $name:ident($rung:ident) $body:block)*) => {$(
        $(#[$attribute])*
        fn $name($rung: $crate::support::Rung) $body

        mod $name {
            #[test]
            fn cgroup() {
                $crate::support::Rung::Cgroup.run(super::$name);
            }

            #[test]
            fn walk() {
                $crate::support::Rung::Walk.run(super::$name);
            }
        }
    )*};
}

/// Which mechanism is to hold the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rung {
    Cgroup,
    Walk,
}

impl Rung {
    /// Its word in the envelope, and in the variable that forces it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Walk => "walk",
        }
    }

    /// Runs the test where this machine has what it takes, and says so where not.
    pub(crate) fn run(self, test: fn(Self)) {
        if self == Self::Walk || cgroup_or_reason_to_skip().is_some() {
            test(self);
        }
    }
}

/// Our cgroup's folder. Where there is none to write in: says why, or fails if the machine was expected to have one.
pub(crate) fn cgroup_or_reason_to_skip() -> Option<PathBuf> {
    match our_cgroup() {
        Ok(folder) => Some(folder),
        Err(reason) => {
            assert!(
                std::env::var_os("RUNNER_TEST_REQUIRE_CGROUP").is_none(),
                "a writable cgroup v2 was expected here: {reason}"
            );
            skip(&reason);
            None
        }
    }
}

/// Says why a test does not run here.
#[expect(clippy::print_stderr, reason = "shown by the test harness with --nocapture")]
pub(crate) fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// The folder of the cgroup v2 that we are in, if we may make others in it and end them.
fn our_cgroup() -> Result<PathBuf, String> {
    let folder = cgroup_of("self")?;
    let probe = folder.join(format!("probe-{}-{}", std::process::id(), unique()));
    fs::create_dir(&probe).map_err(|error| format!("cannot make {}: {error}", probe.display()))?;
    let can_kill = probe.join("cgroup.kill").exists();
    fs::remove_dir(&probe).map_err(|error| format!("cannot remove {}: {error}", probe.display()))?;
    if can_kill { Ok(folder) } else { Err("this kernel has no cgroup.kill".to_owned()) }
}

/// The folder of the cgroup v2 of a process.
pub(crate) fn cgroup_of(process: &str) -> Result<PathBuf, String> {
    let path = format!("/proc/{process}/cgroup");
    let groups = fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::")).ok_or("no cgroup v2 in /proc/self/cgroup")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("no mountinfo: {error}"))?;
    mounts
        .lines()
        .find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut fields = before.split(' ').skip(3);
            let (root, mount_point) = (fields.next()?, fields.next()?);
            let inside = if root == "/" { group } else { group.strip_prefix(root)? };
            after.starts_with("cgroup2 ").then(|| Path::new(mount_point).join(inside.trim_start_matches('/')))
        })
        .ok_or_else(|| "no cgroup v2 is mounted".to_owned())
}

/// A cgroup of a test's own, so that what runner makes in it is seen alone.
pub(crate) struct OwnCgroup {
    folder: PathBuf,
}

impl OwnCgroup {
    /// None where this machine has no writable cgroup v2; the reason is said.
    pub(crate) fn new() -> Option<Self> {
        let folder = cgroup_or_reason_to_skip()?.join(format!("test-{}-{}", std::process::id(), unique()));
        fs::create_dir(&folder).expect("a cgroup in our own");
        Some(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The command will run in it.
    pub(crate) fn adopt(&self, command: &mut Command) {
        let file = fs::OpenOptions::new().write(true).open(self.folder.join("cgroup.procs")).expect("cgroup.procs");
        // SAFETY: write(2) on an open descriptor is all that happens between fork and exec.
        unsafe {
            command.pre_exec(move || (&file).write_all(b"0"));
        }
    }

    /// The cgroups that were made in it.
    pub(crate) fn children(&self) -> Vec<PathBuf> {
        child_folders(&self.folder)
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        _ = fs::write(self.folder.join("cgroup.kill"), "1");
        wait_quietly(SOON, || {
            remove_tree(&self.folder);
            !self.folder.exists()
        });
    }
}

fn child_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn remove_tree(folder: &Path) {
    child_folders(folder).iter().for_each(|child| remove_tree(child));
    _ = fs::remove_dir(folder);
}

/// A pipe whose write end every process of a tree inherits: end of file proves that all of them are dead.
#[derive(Debug)]
pub(crate) struct Lifeline {
    read: OwnedFd,
    write: Option<OwnedFd>,
}

impl Lifeline {
    pub(crate) fn new() -> Self {
        let (read, write) = pipe();
        Self { read, write: Some(write) }
    }

    /// The command and all that descends from it will hold the write end. Ours is closed by `started`.
    pub(crate) fn pass_to(&self, command: &mut Command) {
        let fd = self.write.as_ref().expect("before started").as_raw_fd();
        command.env("VICTIM_LIFELINE", fd.to_string());
        inherit(command, fd);
    }

    /// To be called once the command runs.
    pub(crate) fn started(&mut self) {
        self.write = None;
    }

    pub(crate) fn is_dead(&self) -> bool {
        poll_one(self.read.as_raw_fd(), libc::POLLIN, Duration::ZERO)
    }

    /// Fails, and then ends what is left, if a process of the tree lives longer.
    #[track_caller]
    pub(crate) fn assert_dead_within(&self, limit: Duration) {
        if !poll_one(self.read.as_raw_fd(), libc::POLLIN, limit) {
            let alive: Vec<String> = self.holders().iter().map(|pid| describe(*pid)).collect();
            self.end_holders();
            panic!("of the tree there still live after {limit:?}: {alive:#?}");
        }
    }

    /// Who holds the write end. For clean-up and for messages; proof is end of file alone.
    pub(crate) fn holders(&self) -> Vec<i32> {
        let link = fs::read_link(format!("/proc/self/fd/{}", self.read.as_raw_fd())).expect("our own descriptor");
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| holds(*pid, &link)).collect()
    }

    /// Kills every holder, by number.
    pub(crate) fn end_holders(&self) {
        wait_quietly(SOON, || {
            self.holders().into_iter().for_each(|pid| signal(pid, libc::SIGKILL));
            self.is_dead()
        });
    }
}

impl Drop for Lifeline {
    /// A test that failed leaves nothing.
    fn drop(&mut self) {
        if self.write.is_none() && !self.is_dead() {
            self.end_holders();
        }
    }
}

/// A child of a test that has not yet become its program holds all that we do; it is no part of any tree.
fn is_one_of_us(pid: i32) -> bool {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    program(&pid.to_string()) == program("self")
}

/// The order matters: once it is another program, its descriptors are its own.
fn holds(pid: i32, link: &Path) -> bool {
    if is_one_of_us(pid) {
        return false;
    }
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| target == link)
}

fn describe(pid: i32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("{pid}: {} [{}]", String::from_utf8_lossy(&line).replace('\0', " "), stat.trim())
}

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

/// The descriptors, other than the three streams, that every program we start inherits.
pub(crate) fn inherited_descriptors() -> Vec<RawFd> {
    let entries = fs::read_dir("/proc/self/fd").expect("our own").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    // SAFETY: fcntl takes numbers only; one that was closed meanwhile gives -1, which has all bits set.
    numbers.filter(|fd| *fd > 2 && unsafe { libc::fcntl(*fd, libc::F_GETFD) } & libc::FD_CLOEXEC == 0).collect()
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

/// Reads an envelope and holds it against the schema.
#[track_caller]
pub(crate) fn parse(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("no envelope ({error}): {text:.2000}"));
    assert_valid(&value);
    value
}

/// Fails where an envelope is not as `runner schema` says.
#[track_caller]
pub(crate) fn assert_valid(envelope: &Value) {
    if let Some(name) = schema_of(envelope) {
        let validator = validator(name);
        let errors: Vec<String> =
            validator.iter_errors(envelope).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "not valid by the schema '{name}': {errors:#?}\n{envelope:#}");
    }
    // What the schema leaves open and the contract does not.
    let metadata = &envelope["metadata"];
    assert!(metadata["request_id"].as_str().is_some_and(|id| id.starts_with("req_") && id.len() > 4), "{metadata}");
    assert!(metadata["duration_ms"].as_f64().is_some_and(|time| time >= 0.0), "{metadata}");
    assert_eq!(metadata["api_version"], "v1");
    match envelope["status"].as_str() {
        Some("success" | "pending") => {
            assert!(envelope["data"].is_object() && envelope.get("error").is_none(), "{envelope:#}")
        }
        Some("error") => {
            assert!(envelope["error"].is_object() && envelope.get("data").is_none(), "{envelope:#}");
            for field in ["code", "message", "remediation"] {
                let text = envelope["error"][field].as_str().unwrap_or_default();
                assert!(!text.trim().is_empty(), "no {field}: {envelope:#}");
            }
        }
        other => panic!("status {other:?}"),
    }
}

/// The name of the schema that an answer is to follow. None: `runner schema` has none for this kind of data.
fn schema_of(envelope: &Value) -> Option<&'static str> {
    let data = &envelope["data"];
    let has = |field: &str| data.get(field).is_some();
    match () {
        () if !has("tasks") && !has("task_id") && (data.is_null() || has("stdout")) => Some("envelope"),
        () if has("created_at") => Some("task"),
        () if data["tasks"].as_array().is_some_and(|tasks| tasks.iter().all(|task| task.get("command").is_some())) => {
            Some("task-list")
        }
        () if has("lifetime") => Some("stats"),
        () if has("busy") => Some("worker"),
        () => None,
    }
}

fn validator(name: &'static str) -> &'static jsonschema::Validator {
    static KNOWN: Mutex<BTreeMap<&str, &jsonschema::Validator>> = Mutex::new(BTreeMap::new());
    let make = || {
        let output = runner().args(["schema", name]).output().expect("runner schema runs");
        let schema = serde_json::from_slice(&output.stdout).expect("the schema is JSON");
        Box::leak(Box::new(jsonschema::validator_for(&schema).expect("the schema is a JSON Schema")))
    };
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert_with(|| make())
}

/// The strings of a list.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The same envelope without what differs from run to run.
pub(crate) fn redact(envelope: &Value) -> Value {
    let mut copy = envelope.clone();
    redact_in_place(&mut copy);
    copy
}

fn redact_in_place(value: &mut Value) {
    const VARYING: [&str; 13] = [
        "pid",
        "ppid",
        "uid",
        "cpu_seconds",
        "rss_bytes",
        "waiting_in",
        "request_id",
        "timestamp",
        "duration_ms",
        "elapsed_seconds",
        "user_seconds",
        "system_seconds",
        "max_rss_bytes",
    ];
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if VARYING.contains(&name.as_str()) {
                    *field = Value::from("[varies]");
                } else {
                    redact_in_place(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact_in_place),
        _ => {}
    }
}

/// A process that only uses the CPU, until this is dropped.
pub(crate) struct Load(Child);

impl Load {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(victim_path());
        clean(&mut command);
        Self(command.arg("burn").stdout(Stdio::null()).spawn().expect("a load starts"))
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: i32, number: i32) {
    assert!(pid > 1, "a single process is meant");
    // SAFETY: takes numbers only.
    unsafe { libc::kill(pid, number) };
}

/// Whether the process exists and is no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    state_of(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Its state letter, as in proc(5).
pub(crate) fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// A value of /proc/PID/status, in kibibytes.
pub(crate) fn status_kib(pid: i32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(&format!("{field}:")))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Whether we may act as other users.
pub(crate) fn is_root() -> bool {
    // SAFETY: takes nothing.
    unsafe { libc::geteuid() == 0 }
}

/// The command will run as a user who owns nothing.
pub(crate) fn become_nobody(command: &mut Command) {
    command.uid(65534).gid(65534);
}

/// The command will ignore these signals.
pub(crate) fn start_ignoring(command: &mut Command, signals: &'static [i32]) {
    // SAFETY: signal(2) is safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for number in signals {
                libc::signal(*number, libc::SIG_IGN);
            }
            Ok(())
        });
    }
}

/// The command will have these signals blocked.
pub(crate) fn start_blocking(command: &mut Command, signals: &'static [i32]) {
    // SAFETY: sigprocmask is safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            for number in signals {
                libc::sigaddset(&mut set, *number);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            Ok(())
        });
    }
}

/// The command, and what descends from it, will leave no core file.
pub(crate) fn without_core_dump(command: &mut Command) {
    // SAFETY: setrlimit is safe between fork and exec, and the limit outlives the call.
    unsafe {
        command.pre_exec(|| {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &none);
            Ok(())
        });
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

/// Waits for an event on a descriptor, at most so long. True if it, or the end of the file, came.
fn poll_one(fd: RawFd, events: i16, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut polled = libc::pollfd { fd, events, revents: 0 };
        // SAFETY: one live entry.
        let count = unsafe { libc::poll(&mut polled, 1, milliseconds(left)) };
        if count > 0 || left.is_zero() {
            return count > 0;
        }
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// Polls a condition until it holds; fails when it does not in time.
#[track_caller]
pub(crate) fn wait_until(limit: Duration, what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_quietly(limit, condition), "not within {limit:?}: {what}");
}

fn wait_quietly(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Seconds, for bounds.
pub(crate) fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value)
}

/// A folder for one test, removed with it.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Its permission bits.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

/// The fractions that `--progress json` told of, in their order.
pub(crate) fn reported_progress(stderr: &str) -> Vec<f64> {
    let events = stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "progress").filter_map(|event| event["fraction"].as_f64()).collect()
}

pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
