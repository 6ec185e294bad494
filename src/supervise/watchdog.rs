//! The watchdog: one event loop that owns every job of the process, on one thread.
//!
//! It waits for processes, pipes, signals and the earliest deadline, and feeds what happens to each job's machine. The
//! backend makes it; nothing else waits, kills or reads output.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsStr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::stage::Stage;
use crate::control::inlet::Inlet;
use crate::error::Result;
use crate::model::event::Event;
use crate::model::outcome::Cause;
use crate::model::signal::Signal;
use crate::platform::board::Board;
use crate::platform::cgroup::{Home, Patience};
use crate::platform::doorbell::Doorbell;
use crate::platform::poller::{Interest, Poller};
use crate::platform::process;
use crate::platform::procfs;
use crate::platform::signals::{self, Arrival, Arrivals, Inherited};
use crate::supervise::feed::{Feed, Submission, Supply};
use crate::supervise::job::{Job, KEYS};
use crate::supervise::machine::{Input, Rung, Timer};
use crate::supervise::orders::{Order, Orders, Origin};
use crate::supervise::surface::{JobId, Surface};
use crate::time::clock::{Clock, JobClock, Moment, SystemClock};
use crate::time::deadlines::Deadlines;

/// Keys that belong to no job stand behind all that do.
const SIGNALS: usize = usize::MAX - 2;
const THREADS: usize = usize::MAX - 3;
const FEED: usize = usize::MAX - 4;
const BOARD: usize = usize::MAX - 5;
const NOTIFY: usize = usize::MAX - 6;

/// So many jobs are started before the events and deadlines of others are looked at.
const STARTS_AT_ONCE: u32 = 4;

/// So many signals are looked at before the deadlines are.
const ARRIVALS_AT_ONCE: u32 = 64;
/// Messages by the socket of all jobs that are taken before the deadlines are looked at.
const MESSAGES_AT_ONCE: usize = 64;
/// A socket in the file system is made for jobs that run for longer than this, and so costs short ones nothing.
const NOTIFY_DELAY: Duration = Duration::from_millis(50);
/// A job that has not tidied up and stopped by itself within this is stopped.
const SUSPEND_LIMIT: Duration = Duration::from_millis(200);
const SUSPEND_PERIOD: Duration = Duration::from_millis(2);

/// What a job gets to act with; of this object all but the jobs.
macro_rules! surface {
    ($watchdog:expr) => {
        Surface {
            poller: &$watchdog.poller,
            deadlines: &mut $watchdog.deadlines,
            told: &mut $watchdog.told,
            finished: &mut $watchdog.finished,
            held_up: &mut $watchdog.held_up,
            now: $watchdog.clock.now(),
        }
    };
}

/// What the feed last answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// It may have more, and is to be asked as soon as what happened meanwhile was looked at.
    More,
    /// It is to be asked again by then, and after every change.
    Until(Option<Moment>),
    Over,
}

/// The socket in the file system, for processes of jobs in another network namespace.
#[derive(Debug)]
enum NotifyPath {
    None,
    /// To be made then.
    Due {
        at: Moment,
        path: CString,
    },
    Open(Inlet),
    Failed,
}

impl NotifyPath {
    fn due(&self) -> Option<Moment> {
        match self {
            Self::Due { at, .. } => Some(*at),
            _ => None,
        }
    }
}

/// Owns jobs until they are done.
pub struct Watchdog {
    poller: Poller,
    clock: JobClock<SystemClock>,
    deadlines: Deadlines<(JobId, Timer)>,
    /// Boxed, so that it costs little to find and to move them.
    jobs: BTreeMap<JobId, Box<Job>>,
    /// Those with a terminal of their own.
    typists: BTreeSet<JobId>,
    finished: Vec<JobId>,
    held_up: BTreeSet<JobId>,
    next_id: JobId,
    /// Where the guards say that there is news.
    board: Arc<Board>,
    /// Rung by threads that have room again.
    doorbell: Arc<Doorbell>,
    arrivals: Arrivals,
    orders: Orders,
    home: Option<Home>,
    inherited: Inherited,
    /// The terminal with a bar on it.
    stage: Option<Arc<Stage>>,
    notify_path: NotifyPath,
    /// What happened and was not told on yet.
    told: Vec<(u64, Event)>,
}

impl Watchdog {
    /// A watchdog without jobs. `home` is where control groups are made; none leaves the walk alone.
    pub fn new(arrivals: Arrivals, orders: Orders, home: Option<Home>, inherited: Inherited) -> Result<Self> {
        let poller = Poller::new()?;
        let doorbell = Arc::new(Doorbell::new()?);
        let board = Arc::new(Board::new()?);
        poller.add(arrivals.doorbell().as_fd(), SIGNALS, Interest::Readable)?;
        poller.add(doorbell.as_fd(), THREADS, Interest::Readable)?;
        poller.add(board.descriptor(), BOARD, Interest::Readable)?;
        Ok(Self {
            poller,
            clock: JobClock::new(SystemClock::start()),
            deadlines: Deadlines::default(),
            jobs: BTreeMap::new(),
            typists: BTreeSet::new(),
            finished: Vec::new(),
            held_up: BTreeSet::new(),
            next_id: 0,
            board,
            doorbell,
            arrivals,
            orders,
            home,
            inherited,
            stage: None,
            notify_path: NotifyPath::None,
            told: Vec::new(),
        })
    }

    /// Runs what the feed gives until it is over and every job is done.
    pub fn run(&mut self, feed: &mut dyn Feed) -> Result<()> {
        if let Some(doorbell) = feed.doorbell() {
            self.poller.add(doorbell, FEED, Interest::Readable)?;
        }
        let mut ready = Vec::new();
        let mut supply = self.take_supply(feed);
        // The first job is starting meanwhile.
        let unfinished = self.home.as_ref().is_some_and(|home| home.sweep(Patience::GoOn));
        while supply != Demand::Over || !self.jobs.is_empty() {
            let now = self.clock.now();
            let until = match supply {
                Demand::More => Some(now),
                Demand::Until(until) => until,
                Demand::Over => None,
            };
            let earliest = self.deadlines.next().into_iter().chain(until).chain(self.notify_path.due()).min();
            self.poller.wait(earliest.map(Moment::since_start), now.since_start(), &mut ready)?;
            let news = if ready.contains(&BOARD) { self.board.take() } else { Vec::new() };
            for id in news {
                self.with_job(id, |job, surface| job.look(surface));
            }
            let mut moved_output = false;
            for key in &ready {
                // At most one output is handled before a deadline that is due; the others stay ready and are handled in
                // the next round.
                let is_output = Job::is_output(*key);
                if is_output && moved_output && self.deadlines.next().is_some_and(|next| next <= self.clock.now()) {
                    continue;
                }
                moved_output |= is_output;
                self.dispatch(*key, feed);
            }
            self.obey_keys(feed);
            self.open_notify_path();
            // What happened comes before what came due: a job that ended in time has ended in time.
            while let Some((id, timer)) = self.deadlines.take_due(self.clock.now()) {
                self.with_job(id, |job, surface| job.due(timer, surface));
            }
            self.tell_on(feed, supply != Demand::Over);
            supply = self.take_supply(feed);
        }
        if let (true, Some(home)) = (unfinished, &self.home) {
            home.sweep(Patience::Wait);
        }
        Ok(())
    }

    /// Starts what there is to start, a few jobs at a time.
    fn take_supply(&mut self, feed: &mut dyn Feed) -> Demand {
        for _ in 0..STARTS_AT_ONCE {
            match feed.next(self.clock.now()) {
                Supply::Start(submission) => {
                    let tag = submission.tag;
                    if let Err(error) = self.submit(*submission) {
                        feed.refused(tag, error, self.clock.now());
                    }
                }
                Supply::Stop(cause) => {
                    let input = Input::Stop { cause, rung: Rung::Signal, heard: false };
                    self.with_each(|job, surface| job.stop(input, surface));
                }
                Supply::StopJob { tag, cause } => {
                    let input = Input::Stop { cause, rung: Rung::Signal, heard: false };
                    self.with_tagged(tag, |job, surface| job.stop(input, surface));
                }
                Supply::MoveDeadline { tag, order, by } => {
                    self.with_tagged(tag, |job, surface| job.move_deadline(order, by, surface));
                }
                Supply::Nothing { until } => return Demand::Until(until),
                Supply::Over => return Demand::Over,
            }
            self.tell_on(feed, true);
        }
        Demand::More
    }

    fn submit(&mut self, submission: Submission) -> Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        if let (NotifyPath::None, Some(path)) = (&self.notify_path, &submission.tree.notify_path) {
            let at = self.clock.now() + NOTIFY_DELAY;
            self.notify_path = NotifyPath::Due { at, path: path.clone() };
        }
        if submission.stage.is_some() {
            self.stage.clone_from(&submission.stage);
        }
        let (home, inherited, board) = (self.home.as_ref(), self.inherited, Arc::clone(&self.board));
        let doorbell = Arc::clone(&self.doorbell);
        let mut surface = surface!(self);
        let job = Job::start(id, submission, home, &inherited, &board, &doorbell, &mut surface)?;
        if job.has_terminal() {
            self.typists.insert(id);
        }
        self.jobs.insert(id, Box::new(job));
        Ok(())
    }

    /// Tells the feed what happened, and lets go of the jobs that are done. `more`: others may follow.
    fn tell_on(&mut self, feed: &mut dyn Feed, more: bool) {
        let now = self.clock.now();
        for (tag, event) in self.told.drain(..) {
            feed.hear(tag, event, now);
        }
        let home = self.home.as_ref().filter(|_| more);
        for id in self.finished.drain(..) {
            self.typists.remove(&id);
            if let Some(job) = self.jobs.remove(&id) {
                job.release(home);
            }
        }
    }

    fn dispatch(&mut self, key: usize, feed: &mut dyn Feed) {
        match key {
            SIGNALS => self.obey(feed),
            FEED => feed.clear_doorbell(),
            THREADS => {
                self.doorbell.clear();
                for id in self.held_up.clone() {
                    self.with_job(id, |job, surface| job.advance_behind_threads(surface));
                }
            }
            // Taken already.
            BOARD => {}
            NOTIFY => self.listen(),
            _ => self.with_job(key / KEYS, |job, surface| job.ready(key, surface)),
        }
    }

    /// Makes the socket in the file system, once there is a job that may need it.
    fn open_notify_path(&mut self) {
        if self.notify_path.due().is_none_or(|at| self.clock.now() < at) {
            return;
        }
        let NotifyPath::Due { path, .. } = std::mem::replace(&mut self.notify_path, NotifyPath::Failed) else { return };
        // Jobs go without where none can be made.
        if let Ok(inlet) = Inlet::open_at(Path::new(OsStr::from_bytes(path.as_bytes())))
            && self.poller.add(inlet.descriptor(), NOTIFY, Interest::Readable).is_ok()
        {
            self.notify_path = NotifyPath::Open(inlet);
        }
    }

    /// Takes messages by the socket of all jobs, and gives each to the job of whose tree its sender is.
    fn listen(&mut self) {
        for _ in 0..MESSAGES_AT_ONCE {
            let NotifyPath::Open(inlet) = &self.notify_path else { return };
            let Some(received) = inlet.next() else { return };
            let sender = received.peer.and_then(|peer| procfs::lineage(peer.pid));
            let of_tree = sender.and_then(|sender| self.jobs.values().find(|job| job.holds(&sender)));
            // Where there is one job, it refuses those who are not of its tree, and counts them.
            let only = self.jobs.values().next().filter(|_| self.jobs.len() == 1);
            match of_tree.or(only).map(|job| job.id()) {
                Some(id) => self.with_job(id, |job, surface| job.hear(received, surface)),
                None => received.refuse("it came from no process of a job"),
            }
        }
    }

    fn with_job(&mut self, id: JobId, action: impl FnOnce(&mut Job, &mut Surface<'_>)) {
        let mut surface = surface!(self);
        if let Some(job) = self.jobs.get_mut(&id).filter(|job| !job.is_done()) {
            action(job, &mut surface);
        }
    }

    fn with_tagged(&mut self, tag: u64, action: impl FnOnce(&mut Job, &mut Surface<'_>)) {
        if let Some(id) = self.jobs.values().find(|job| job.tag() == tag).map(|job| job.id()) {
            self.with_job(id, action);
        }
    }

    fn with_each(&mut self, mut action: impl FnMut(&mut Job, &mut Surface<'_>)) {
        let mut surface = surface!(self);
        for job in self.jobs.values_mut().filter(|job| !job.is_done()) {
            action(job, &mut surface);
        }
    }

    /// Reads the signals that came, and does what they order.
    fn obey(&mut self, feed: &mut dyn Feed) {
        self.arrivals.doorbell().clear();
        for _ in 0..ARRIVALS_AT_ONCE {
            let Some(arrival) = self.arrivals.next() else { return };
            // Our own broken pipe is no order either.
            let sender = arrival.sender.and_then(procfs::lineage);
            let from_inside = sender.is_some_and(|sender| {
                sender.pid == process::own_pid() || self.jobs.values().any(|job| job.contains(&sender))
            });
            let shares_group = self.jobs.values().all(|job| job.shares_group());
            let origin = Origin { from_inside, shares_group, interactive: self.is_interactive() };
            self.carry_out(arrival, origin, feed);
        }
        // A flood of signals must not keep the deadlines waiting.
        self.arrivals.doorbell().ring();
    }

    /// What is typed is meant for the one job that runs.
    fn is_interactive(&self) -> bool {
        let now = self.clock.now();
        self.jobs.len() == 1 && self.jobs.values().all(|job| job.is_interactive(now))
    }

    fn carry_out(&mut self, arrival: Arrival, origin: Origin, feed: &mut dyn Feed) {
        match self.orders.read(arrival, origin, self.clock.now()) {
            Order::ToJobs(input) => {
                match input {
                    Input::Stop { cause, .. } => feed.stop(cause),
                    // Whatever it does with that, it is not tried again.
                    Input::Interrupt(signal) => feed.stop(Cause::Cancelled { signal }),
                    _ => {}
                }
                self.with_each(|job, surface| job.step(input, surface));
            }
            Order::NudgeGuards => self.with_each(|job, _| job.nudge_guard()),
            Order::Resize => {
                if let Some(stage) = &self.stage {
                    stage.resize();
                }
                self.with_each(|job, surface| job.resume(surface));
            }
            Order::TellStatus => {
                self.with_each(|job, surface| job.tell_status(surface));
                feed.asked(self.clock.now());
            }
            Order::Suspend => self.suspend(arrival.sender.is_some()),
            Order::Resume => self.with_each(|job, surface| job.resume(surface)),
            Order::Nothing => {}
        }
    }

    /// Does what typed keys order, as the terminal would have by signals.
    fn obey_keys(&mut self, feed: &mut dyn Feed) {
        for id in self.typists.clone() {
            let Some((signals, heard)) = self.jobs.get_mut(&id).map(|job| job.take_typed()) else { continue };
            for signal in signals {
                // Scripts around us and the other members of our pipeline expect it as well.
                signals::tell_own_group(signal);
                let origin = Origin { from_inside: false, shares_group: heard, interactive: self.is_interactive() };
                self.carry_out(Arrival { signal, sender: None }, origin, feed);
            }
        }
    }

    /// Stops with the terminal's other jobs: the trees that the terminal did not reach, the clock, then ourselves.
    fn suspend(&mut self, sent_to_us_alone: bool) {
        let unreached = |job: &Job| sent_to_us_alone || !job.shares_group();
        for job in self.jobs.values_mut().filter(|job| unreached(job)) {
            job.job_control(Signal::TSTP);
        }
        // A full-screen program tidies the screen first, and that belongs above the prompt of the shell.
        self.await_stops();
        for job in self.jobs.values_mut().filter(|job| !job.shares_group()) {
            job.job_control(Signal::STOP);
        }
        for job in self.jobs.values_mut() {
            job.give_keyboard_back(&self.poller);
        }
        // The shell gets a terminal without our bar.
        if let Some(stage) = &self.stage {
            stage.hide();
        }
        self.clock.pause();
        signals::stop_by_terminal();
        self.clock.resume();
        if let Some(stage) = &self.stage {
            stage.show();
        }
        for job in self.jobs.values_mut().filter(|job| unreached(job)) {
            job.job_control(Signal::CONT);
        }
        self.with_each(|job, surface| job.resume(surface));
    }

    /// Moves on what the jobs write until they are stopped, those that we share a group with left out.
    fn await_stops(&mut self) {
        let begun = self.clock.now();
        loop {
            let stopped = self.jobs.values().all(|job| job.shares_group() || job.is_stopped());
            let mut held_up = false;
            self.with_each(|job, surface| held_up |= job.advance_all(surface));
            let left = SUSPEND_LIMIT.saturating_sub(self.clock.now() - begun);
            if left.is_zero() || (stopped && !held_up) {
                return;
            }
            // A thread that wrote rings; that a job stopped is not told here.
            self.doorbell.await_ring(left.min(SUSPEND_PERIOD));
            self.doorbell.clear();
        }
    }
}
