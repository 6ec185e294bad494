//! Runs jobs on this machine, as processes below this one.
//!
//! The watchdog has a thread of its own, on which it asks its foreman; the calling thread shows what happens.

use std::ffi::{CString, OsString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::Mutex;
use std::thread;

use crate::backend::{Assignment, Backend, Foreman, Next, Waker};
use crate::control::inlet::Inlet;
use crate::control::sender::{NOTIFY_PATH, NOTIFY_SOCKET};
use crate::error::{Error, Result};
use crate::model::event::Event;
use crate::model::job::{Command, JobSpec, Route, Stdin, Streams};
use crate::model::outcome::{Cause, End};
use crate::model::signal::Signal;
use crate::platform::cgroup::Home;
use crate::platform::command::{self, Check, PreparedCommand};
use crate::platform::datagrams::{self, sealed_file};
use crate::platform::descriptors;
use crate::platform::limits;
use crate::platform::path_walk;
use crate::platform::process;
use crate::platform::shortage;
use crate::platform::signals::{self, Arrivals, Inherited};
use crate::platform::tree::TreeSpec;
use crate::platform::tty::Terminal;
use crate::supervise::feed::{Feed, Submission, Supply};
use crate::supervise::orders::{Manners, Orders};
use crate::supervise::policy::REST_GRACE;
use crate::supervise::watchdog::Watchdog;
use crate::time::clock::Moment;

/// The variable that tells a job who it is.
pub const JOB_ID: &str = "RUNNER_JOB_ID";

/// The variable of sd_notify(3).
const SD_NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Which containment may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rungs {
    /// A control group where one can be made, and the walk.
    #[default]
    Best,
    /// A control group, or an error.
    Cgroup,
    /// The walk alone.
    Walk,
}

/// This machine.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    pub manners: Manners,
    pub rungs: Rungs,
    /// What we inherited, read before any handler was installed.
    pub inherited: Inherited,
}

impl Backend for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn run(&self, foreman: Box<dyn Foreman + '_>, meanwhile: &mut dyn FnMut()) -> Result<()> {
        let terminal = Terminal::open();
        // In the background, too: the shell may bring our group to the foreground. Only timeout(1) leaves it there.
        let shares_group = match self.manners {
            Manners::Cancel => terminal.is_some(),
            Manners::PassOn => terminal.as_ref().is_some_and(Terminal::is_ours),
        };
        let home = self.home()?;
        process::adopt_orphans();
        let arrivals = shortage::retry(|| self.watch_signals())?;
        let mut feed = LocalFeed {
            foreman,
            local: self,
            own_group: !shares_group,
            killed: false,
            has_screen: false,
            screen_left: false,
            jobs: 0,
            notify_path: None,
        };
        // Nobody reads them any more: whoever ends us while we answer must succeed.
        let release = || Arrivals::release(&self.released());
        let orders = Orders::new(self.manners);
        let ended = match self.manners {
            Manners::Cancel => {
                let inherited = self.inherited;
                let watch = move || {
                    let ended = Watchdog::new(arrivals, orders, home, inherited)
                        .and_then(|mut watchdog| watchdog.run(&mut feed));
                    // Here, since `meanwhile` may have much to write still.
                    release();
                    ended.map(|()| (feed.killed, feed.screen_left))
                };
                // A start of the thread that fails takes nothing with it.
                let watch = Mutex::new(Some(watch));
                let failed = || Err(Error::Internal("the watchdog failed".to_owned()));
                let run = || watch.lock().ok().and_then(|mut watch| watch.take()).map_or_else(failed, |watch| watch());
                thread::scope(|scope| {
                    let thread = shortage::retry(|| {
                        let named = thread::Builder::new().name("watchdog".to_owned());
                        named.spawn_scoped(scope, run).map_err(Error::system("start a thread"))
                    });
                    let thread = match thread {
                        Err(error @ Error::Shortage { .. }) => return Err(error),
                        thread => thread.ok(),
                    };
                    // A sandbox may allow no thread: then one after the other, and all is told at the end.
                    let ended = if thread.is_none() { Some(run()) } else { None };
                    meanwhile();
                    ended.or_else(|| thread?.join().ok()).unwrap_or_else(failed)
                })
            }
            // Nothing else is done meanwhile, so no thread is paid for.
            Manners::PassOn => {
                let mut watchdog = Watchdog::new(arrivals, orders, home, self.inherited)?;
                let ended = watchdog.run(&mut feed);
                drop(watchdog);
                release();
                ended.map(|()| (feed.killed, feed.screen_left))
            }
        };
        if let (Ok((true, screen_left)), Some(terminal)) = (&ended, &terminal) {
            terminal.restore();
            if *screen_left {
                terminal.leave_full_screen();
            }
        }
        if let (Err(_), Some(terminal)) = (&ended, &terminal) {
            terminal.restore();
        }
        ended.map(drop).map_err(shortage::named)
    }
}

/// Turns assignments into what the watchdog starts.
struct LocalFeed<'a> {
    foreman: Box<dyn Foreman + 'a>,
    local: &'a Local,
    /// Jobs get a process group of their own.
    own_group: bool,
    /// A job was killed, or died of a signal.
    killed: bool,
    /// Jobs that were started and are not over.
    jobs: usize,
    /// Where the socket in the file system is, for all jobs; once the first of them was prepared.
    notify_path: Option<Option<CString>>,
    /// A job has our terminal as its own output.
    has_screen: bool,
    /// One that had was killed by us, and may have left the terminal in full-screen mode.
    screen_left: bool,
}

impl LocalFeed<'_> {
    /// Beside the abstract address, which is of one network namespace. Named after the id of the first job, which cannot be guessed.
    fn notify_path(&mut self, job_id: &str) -> Option<CString> {
        let find = || {
            let path = datagrams::runtime_path(job_id)?;
            command::path_string(&path).ok()
        };
        self.notify_path.get_or_insert_with(find).clone()
    }

    /// Tells why a job was not started: a shortage passes, everything else does not. `timeout` waits for neither.
    fn start_failed(&mut self, tag: u64, error: Error, now: Moment) {
        match shortage::named(error) {
            error @ Error::Shortage { .. } if self.local.manners == Manners::Cancel => {
                self.foreman.on_shortage(tag, error, now);
            }
            error => self.foreman.refused(tag, error, now),
        }
    }

    fn submission(&mut self, mut assignment: Assignment) -> Result<Submission> {
        if self.jobs > 0 {
            limits::check_spare_descriptors(descriptors_per_job(&assignment.spec, assignment.streams))?;
        }
        let inlet = self.local.listen_to(&mut assignment)?;
        let notify_path = inlet.as_ref().and_then(|_| self.notify_path(&assignment.job_id));
        if let Some(path) = &notify_path {
            assignment.env.push((NOTIFY_PATH.into(), OsString::from_vec(path.as_bytes().to_vec())));
        }
        let tree = TreeSpec { notify_path, ..tree_spec(&mut assignment, self.own_group, self.local.manners)? };
        // Last, since it empties a file: an error must not cost anybody an older log.
        let log_help = "Check --log: its folder must exist and be writable";
        let Assignment { tag, spec, streams, stage, lines, record, pulse, attempt, .. } = assignment;
        // It holds all attempts, one after the other.
        let open = if attempt > 1 { descriptors::more_output } else { descriptors::output };
        let log = spec.log.as_deref().map(|path| open(path, log_help)).transpose()?;
        Ok(Submission { tag, spec, streams, tree, log, inlet, stage, lines, record, pulse })
    }
}

impl Feed for LocalFeed<'_> {
    fn next(&mut self, now: Moment) -> Supply {
        match self.foreman.next(now) {
            Next::Start(assignment) => {
                let tag = assignment.tag;
                self.has_screen |= [assignment.streams.stdout, assignment.streams.stderr].contains(&Route::Inherit);
                match self.submission(*assignment) {
                    Ok(submission) => {
                        self.jobs += 1;
                        Supply::Start(Box::new(submission))
                    }
                    Err(error) => {
                        self.start_failed(tag, error, now);
                        // A long list of such jobs must keep neither signals nor deadlines waiting.
                        Supply::Nothing { until: Some(now) }
                    }
                }
            }
            Next::Stop(cause) => Supply::Stop(cause),
            Next::StopJob { tag, cause } => Supply::StopJob { tag, cause },
            Next::MoveDeadline { tag, order, by } => Supply::MoveDeadline { tag, order, by },
            Next::Wait { until } => Supply::Nothing { until },
            Next::Over => Supply::Over,
        }
    }

    fn hear(&mut self, tag: u64, event: Event, now: Moment) {
        self.killed |= was_killed(&event);
        if let Event::JobFinished(outcome) = &event {
            self.screen_left |= self.has_screen && outcome.signals.contains(&Signal::KILL);
            self.jobs = self.jobs.saturating_sub(1);
            // The guard, or the leader, lacked something before the command ran.
            if let (End::NotStarted(failure), None, Manners::Cancel) = (&outcome.end, outcome.cause, self.local.manners)
                && let Some(error) = shortage::of_start(failure)
            {
                return self.foreman.on_shortage(tag, error, now);
            }
        }
        self.foreman.hear(tag, event, now);
    }

    fn refused(&mut self, tag: u64, error: Error, now: Moment) {
        self.jobs = self.jobs.saturating_sub(1);
        self.start_failed(tag, error, now);
    }

    fn stop(&mut self, cause: Cause) {
        self.foreman.stop(cause);
    }

    fn asked(&mut self, now: Moment) {
        self.foreman.asked(now);
    }

    fn doorbell(&self) -> Option<BorrowedFd<'_>> {
        self.foreman.waker().map(Waker::descriptor)
    }

    fn clear_doorbell(&self) {
        if let Some(waker) = self.foreman.waker() {
            waker.clear();
        }
    }
}

impl Local {
    fn home(&self) -> Result<Option<Home>> {
        let home = if self.rungs == Rungs::Walk { None } else { Home::find() };
        if home.is_none() && self.rungs == Rungs::Cgroup {
            return Err(Error::Invalid {
                argument: None,
                message: "no control group can be made here".to_owned(),
                remediation: "Run where version 2 control groups are mounted and may be written".to_owned(),
            });
        }
        Ok(home)
    }

    /// The socket through which the job talks to us. A job runs without one where none can be made, unless for a shortage.
    fn listen_to(&self, assignment: &mut Assignment) -> Result<Option<Inlet>> {
        if self.manners == Manners::PassOn {
            return Ok(None);
        }
        // That of a runner above us is not for this job.
        assignment.env.retain(|(name, _)| name != NOTIFY_SOCKET && name != NOTIFY_PATH);
        let inlet = match Inlet::open(&assignment.job_id).map_err(shortage::named) {
            Ok(inlet) => inlet,
            Err(error @ Error::Shortage { .. }) => return Err(error),
            Err(_) => return Ok(None),
        };
        let address = OsString::from(Inlet::address(&assignment.job_id));
        if assignment.spec.sd_notify {
            assignment.env.retain(|(name, _)| name != SD_NOTIFY_SOCKET);
            assignment.env.push((SD_NOTIFY_SOCKET.into(), address.clone()));
        }
        assignment.env.push((NOTIFY_SOCKET.into(), address));
        Ok(Some(inlet))
    }

    /// The signals that we catch: a signal that our caller ignored stays ignored.
    fn watched(&self) -> Vec<Signal> {
        let mut watched = Orders::signals(self.manners);
        watched.retain(|signal| !self.inherited.ignores(*signal));
        watched
    }

    /// The signals that have their default action again while we answer. Whoever asks how it stands ends nothing.
    fn released(&self) -> Vec<Signal> {
        let mut released = self.watched();
        released.retain(|signal| self.manners == Manners::PassOn || *signal != Signal::USR1);
        released
    }

    fn watch_signals(&self) -> Result<Arrivals> {
        let watched = self.watched();
        if self.manners == Manners::Cancel && watched.contains(&Signal::INT) {
            signals::take_interrupts()?;
        }
        Arrivals::watch(&watched)
    }
}

fn was_killed(event: &Event) -> bool {
    match event {
        Event::JobFinished(outcome) => !outcome.signals.is_empty() || matches!(outcome.end, End::Signaled { .. }),
        _ => false,
    }
}

/// Descriptors of ours that such a job takes at most: while it starts, when it has not taken over its own yet. Large
/// outputs that go to temporary files come on top, and do without where there is none.
pub fn descriptors_per_job(spec: &JobSpec, streams: Streams) -> u64 {
    // Handles of guard and leader, the control group, the socket; the parameters of an operation.
    let mut count = 4 + u64::from(matches!(spec.command, Command::Operation { .. }));
    for (route, terminal) in [streams.stdout, streams.stderr].into_iter().zip(streams.terminals) {
        let logs = u64::from(spec.log.is_some());
        count += match route {
            Route::Inherit => 0,
            Route::WithStdout => 1,
            // Both ends, and for a terminal what becomes the job's session and input.
            Route::Keep | Route::Spool | Route::Lines => 2 + logs + if terminal { 2 } else { 0 },
            Route::PassThrough => 3 + logs + if terminal { 2 } else { 0 },
        };
    }
    let input = matches!(spec.surroundings.stdin, Stdin::File(_));
    count + u64::from(input) + u64::from(spec.log.is_some())
}

fn tree_spec(assignment: &mut Assignment, own_group: bool, manners: Manners) -> Result<TreeSpec> {
    let surroundings = &assignment.spec.surroundings;
    let mut argv = assignment.spec.command.argv();
    let passed = match &assignment.spec.command {
        // The parameters may contain secrets, which must not show up in ps(1).
        Command::Operation { parameters, .. } => Some(sealed_file(parameters.to_string().as_bytes())?),
        Command::Argv(_) | Command::Shell { .. } => None,
    };
    argv.extend(passed.as_ref().map(|file| file.as_raw_fd().to_string().into()));
    if let Some(cwd) = &surroundings.cwd {
        path_walk::check(cwd).map_err(Error::path("enter", cwd, "Check --cwd, and the cwd of the job in its list"))?;
    }
    let check = if manners == Manners::PassOn { Check::ByStart } else { Check::BeforeStart };
    let env = std::mem::take(&mut assignment.env);
    let command = PreparedCommand::new(&argv, env, surroundings.cwd.as_deref(), JOB_ID, check)?;
    let mut late_input = None;
    let stdin: Option<OwnedFd> = match &surroundings.stdin {
        Stdin::Inherit => None,
        Stdin::Null => {
            late_input = Some(descriptors::NULL.to_owned());
            None
        }
        Stdin::File(path) if descriptors::is_fifo(path) => {
            // The job opens the FIFO itself, since that may block; the path is checked now.
            path_walk::check(path).map_err(Error::path("read", path, "Check --stdin"))?;
            late_input = Some(command::path_string(path)?);
            None
        }
        Stdin::File(path) => Some(descriptors::input(path)?),
    };
    Ok(TreeSpec {
        command,
        descriptors: [stdin, None, None],
        passed,
        late_input,
        own_group,
        terminal: None,
        keyboard: None,
        notify_path: None,
        umask: surroundings.umask,
        keep_ignored_pipe: manners == Manners::PassOn,
        orphan_signal: (manners == Manners::PassOn)
            .then_some((assignment.spec.limits.stop_signal, assignment.spec.limits.grace.unwrap_or(REST_GRACE)))
            // STOP would stop the guard as well, which sends it to its own group.
            .filter(|(signal, _)| ![Signal::KILL, Signal::STOP].contains(signal)),
        is_measured: assignment.spec.limits.idle_timeout.is_some(),
    })
}
