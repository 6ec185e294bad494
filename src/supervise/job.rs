//! One job as the watchdog holds it: its tree, its streams, its machine, and what was seen of it.
//!
//! It performs the machine's effects and decides nothing. Only the watchdog calls it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::capture::outlet::Outlet;
use crate::capture::pump::{Pump, Waiting};
use crate::error::Result;
use crate::model::event::Event;
use crate::model::job::{JobSpec, Route, Scope, Streams};
use crate::model::outcome::{Cause, End, Leftover, Outcome, ProcessRow, StreamRecord};
use crate::model::signal::Signal;
use crate::platform::cgroup::Home;
use crate::platform::descriptors;
use crate::platform::doorbell::Doorbell;
use crate::platform::poller::{Interest, Poller};
use crate::platform::signals::Inherited;
use crate::platform::tree::{Tree, TreeSpec};
use crate::supervise::machine::{Effect, Input, Machine, Timer};
use crate::supervise::policy::Policy;
use crate::time::clock::Moment;
use crate::time::deadlines::Deadlines;

/// Identifies a job within the watchdog.
pub(super) type JobId = usize;

/// What the event loop shares with its jobs.
pub(super) struct Surface<'a> {
    pub(super) poller: &'a Poller,
    pub(super) deadlines: &'a mut Deadlines<(JobId, Timer)>,
    pub(super) now: Moment,
}

/// Descriptors of one job in the poller: the key is the job's number times `KEYS`, plus one of these.
pub(super) const KEYS: usize = 8;
const DOORBELL: usize = 0;
const GUARD: usize = 1;
const SOURCES: usize = 2;
const READERS: usize = 4;

/// Everything that starts a job.
pub struct Submission<'a> {
    pub spec: JobSpec,
    pub streams: Streams,
    /// Program, arguments and environment, made ready.
    pub tree: TreeSpec,
    /// The open log, where one is wanted.
    pub log: Option<OwnedFd>,
    /// Told everything that happens to the job.
    pub listener: Box<dyn FnMut(Event) + Send + 'a>,
}

pub(super) struct Job<'a> {
    id: JobId,
    machine: Machine,
    tree: Tree,
    pumps: [Option<Pump>; 2],
    interests: [StreamInterest; 2],
    merged: bool,
    shares_group: bool,
    timeout: Option<Duration>,
    listener: Box<dyn FnMut(Event) + Send + 'a>,
    started_at: Moment,
    ended_at: Option<Moment>,
    end: Option<End>,
    started: bool,
    empty: bool,
    eof: bool,
    processes: Vec<ProcessRow>,
    survivors: Vec<ProcessRow>,
    leftovers: Vec<Leftover>,
    stopped_by: Option<Signal>,
    done: bool,
}

/// What the poller waits for on behalf of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct StreamInterest {
    source: bool,
    reader: bool,
    /// Our reader, or a log's, keeps the job from writing.
    held_up: bool,
}

impl<'a> Job<'a> {
    /// Starts a job. What is wrong with it is said before anything runs.
    pub(super) fn start(
        id: JobId,
        submission: Submission<'a>,
        home: Option<&Home>,
        inherited: &Inherited,
        doorbell: &Arc<Doorbell>,
        surface: &mut Surface<'_>,
    ) -> Result<Self> {
        let Submission { spec, streams, mut tree, log, listener } = submission;
        let limit = usize::try_from(spec.capture_limit).unwrap_or(usize::MAX);
        let mut pumps = [None, None];
        for (index, route, ours) in
            [(0, streams.stdout, descriptors::stdout()), (1, streams.stderr, descriptors::stderr())]
        {
            match route {
                Route::Inherit => {}
                Route::WithStdout => {
                    tree.descriptors[2] = match &tree.descriptors[1] {
                        Some(write_end) => Some(descriptors::duplicate(write_end.as_fd())?),
                        None => None,
                    };
                }
                Route::Keep | Route::PassThrough => {
                    let (source, write_end) = descriptors::pipe()?;
                    let reader = match route {
                        Route::PassThrough => Some(Outlet::new(descriptors::duplicate(ours)?, doorbell)?),
                        _ => None,
                    };
                    let log = match &log {
                        Some(log) => Some(Outlet::for_log(descriptors::duplicate(log.as_fd())?, doorbell)?),
                        None => None,
                    };
                    pumps[index] = Some(Pump::new(source, limit, reader, log, Arc::clone(doorbell)));
                    tree.descriptors[index + 1] = Some(write_end);
                }
            }
        }
        let shares_group = !tree.own_group;
        let (machine, effects) = Machine::start(Policy::of(&spec.limits, spec.leftovers), surface.now);
        let tree = Tree::start(tree, home, inherited)?;
        let mut job = Self {
            id,
            machine,
            tree,
            pumps,
            interests: [StreamInterest::default(); 2],
            merged: streams.stderr == Route::WithStdout,
            shares_group,
            timeout: spec.limits.wall().map(|(wall, _)| wall),
            listener,
            started_at: surface.now,
            ended_at: None,
            end: None,
            started: false,
            empty: false,
            eof: false,
            processes: Vec::new(),
            survivors: Vec::new(),
            leftovers: Vec::new(),
            stopped_by: None,
            done: false,
        };
        surface.poller.add(job.tree.doorbell(), job.key(DOORBELL), Interest::Readable)?;
        surface.poller.add(job.tree.guard_handle(), job.key(GUARD), Interest::Readable)?;
        for (index, pump) in job.pumps.iter().enumerate() {
            if let Some(source) = pump.as_ref().and_then(Pump::source) {
                surface.poller.add(source, job.key(SOURCES + index), Interest::Readable)?;
                job.interests[index].source = true;
            }
        }
        job.perform(effects, surface);
        job.tell_if_all_ended(surface);
        Ok(job)
    }

    fn key(&self, kind: usize) -> usize {
        self.id * KEYS + kind
    }

    /// Lets go of a job that is done.
    pub(super) fn release(self) {
        if self.machine.is_abandoned() {
            self.tree.leave_to_guard();
        } else {
            self.tree.release();
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn shares_group(&self) -> bool {
        self.shares_group
    }

    pub(super) fn contains(&self, pid: i32) -> bool {
        self.tree.contains(pid)
    }

    /// Its leader died of a signal that the terminal sends, and so the same signal may be on its way to us.
    pub(super) fn may_be_interrupted(&self) -> bool {
        let from_terminal = [Signal::INT, Signal::QUIT, Signal::HUP];
        let undecided = self.end.is_none() && self.machine.cause().is_none();
        self.shares_group
            && undecided
            && self.tree.leader_signal().is_some_and(|signal| from_terminal.contains(&signal))
    }

    /// Wakes a guard that its own job stopped.
    pub(super) fn nudge_guard(&self) {
        self.tree.nudge_guard();
    }

    /// Sends a signal of the terminal's job control to the whole tree.
    pub(super) fn job_control(&self, signal: Signal) {
        self.tree.signal_alone(signal);
    }

    /// One of its descriptors is ready.
    pub(super) fn ready(&mut self, key: usize, surface: &mut Surface<'_>) {
        match key % KEYS {
            GUARD => {
                surface.poller.remove(self.tree.guard_handle());
                self.look(surface);
                if !self.empty && !self.done {
                    self.guard_lost(surface);
                }
            }
            DOORBELL => self.look(surface),
            kind if kind >= READERS => self.advance(kind - READERS, surface),
            kind => self.advance(kind - SOURCES, surface),
        }
    }

    /// Goes on with streams that waited for a thread.
    pub(super) fn advance_all(&mut self, surface: &mut Surface<'_>) {
        for index in 0..self.pumps.len() {
            self.advance(index, surface);
        }
    }

    /// Feeds one input and performs what comes of it.
    pub(super) fn step(&mut self, input: Input, surface: &mut Surface<'_>) {
        let effects = self.machine.step(input, surface.now);
        self.perform(effects, surface);
    }

    /// Looks what is new with the tree.
    fn look(&mut self, surface: &mut Surface<'_>) {
        let news = self.tree.news();
        if let Some(failure) = news.failure {
            if self.end.is_none() {
                self.end = Some(End::NotStarted(failure));
                self.empty = true;
                self.step(Input::StartFailed, surface);
            }
            return;
        }
        if news.started && !self.started {
            self.started = true;
            self.step(Input::Started, surface);
        }
        if let Some(end) = news.leader_end
            && self.end.is_none()
        {
            self.end = Some(end);
            self.ended_at.get_or_insert(surface.now);
            self.step(Input::LeaderExited, surface);
        }
        if news.empty && !self.empty {
            self.empty = true;
            self.step(Input::TreeEmpty, surface);
        }
    }

    /// The guard was killed. The leader dies with it; what else there was is ended, too.
    fn guard_lost(&mut self, surface: &mut Surface<'_>) {
        let (end, unsure) = self.tree.guard_lost();
        self.end.get_or_insert(end);
        self.survivors = unsure;
        self.ended_at.get_or_insert(surface.now);
        self.empty = true;
        self.step(Input::LeaderExited, surface);
        self.step(Input::TreeEmpty, surface);
    }

    /// Moves bytes of one stream and waits for what it needs next.
    fn advance(&mut self, index: usize, surface: &mut Surface<'_>) {
        let Some(pump) = &mut self.pumps[index] else { return };
        if self.interests[index].reader
            && let Some(reader) = pump.reader()
        {
            // The pump may let go of it, and a descriptor that is gone cannot be removed.
            surface.poller.remove(reader);
            self.interests[index].reader = false;
        }
        let before = pump.total();
        let waiting = pump.advance();
        let grew = pump.total() > before;
        self.wait_for(index, waiting, surface);
        if grew {
            self.step(Input::Bytes, surface);
        }
        self.tell_if_all_ended(surface);
    }

    fn wait_for(&mut self, index: usize, waiting: Waiting, surface: &mut Surface<'_>) {
        let (source_key, reader_key) = (self.key(SOURCES + index), self.key(READERS + index));
        let interest = &mut self.interests[index];
        let Some(pump) = &self.pumps[index] else { return };
        interest.held_up = matches!(waiting, Waiting::ForReader | Waiting::ForThread);
        let wants_source = waiting == Waiting::ForJob;
        if let Some(source) = pump.source()
            && interest.source != wants_source
        {
            // A pipe without writers is always ready, so one that is not read must not be registered at all.
            if wants_source {
                interest.source = surface.poller.add(source, source_key, Interest::Readable).is_ok();
            } else {
                surface.poller.remove(source);
                interest.source = false;
            }
        }
        if let (Waiting::ForReader, Some(reader)) = (waiting, pump.reader()) {
            interest.reader = surface.poller.add(reader, reader_key, Interest::Writable).is_ok();
        }
    }

    fn tell_if_all_ended(&mut self, surface: &mut Surface<'_>) {
        let ended = |pump: &mut Option<Pump>| pump.as_mut().is_none_or(Pump::is_ended);
        if !self.eof && self.pumps.iter_mut().all(ended) {
            self.eof = true;
            self.step(Input::Eof, surface);
        }
    }

    fn perform(&mut self, effects: Vec<Effect>, surface: &mut Surface<'_>) {
        for effect in effects {
            match effect {
                Effect::Signal(signal, Scope::Tree) => self.tree.signal(signal),
                Effect::Signal(signal, Scope::Leader) => self.tree.signal_leader(signal),
                Effect::Kill => self.tree.kill(),
                Effect::Arm(timer, at) => surface.deadlines.arm((self.id, timer), at),
                Effect::Disarm(timer) => surface.deadlines.disarm((self.id, timer)),
                Effect::MeasureCpu => {
                    let held_up = self.interests.iter().any(|interest| interest.held_up);
                    let input = Input::CpuMeasured { cpu: self.tree.cpu(), held_up };
                    self.step(input, surface);
                }
                Effect::Snapshot => {
                    self.ended_at.get_or_insert(surface.now);
                    self.processes = self.tree.rows();
                    self.stopped_by = self.tree.stopped_by();
                }
                Effect::FindLeftovers => {
                    let pipes: Vec<u64> = self.pumps.iter().flatten().map(Pump::inode).collect();
                    self.leftovers = self.tree.leftovers(&pipes);
                    if !self.leftovers.is_empty() {
                        (self.listener)(Event::LeftoversFound(self.leftovers.clone()));
                    }
                }
                Effect::FindSurvivors => self.survivors = self.tree.survivors(),
                Effect::CloseInputs => {
                    for pump in self.pumps.iter_mut().flatten() {
                        pump.close_input();
                    }
                    self.advance_all(surface);
                }
                Effect::DropUndelivered => {
                    for pump in self.pumps.iter_mut().flatten() {
                        pump.drop_undelivered();
                    }
                }
                Effect::TellStarted => (self.listener)(Event::JobStarted { pid: self.tree.leader_pid() }),
                Effect::TellWarning => {
                    let elapsed = surface.now - self.started_at;
                    (self.listener)(Event::WarningReached { elapsed, timeout: self.timeout });
                }
                Effect::TellStopping(cause, signal) => (self.listener)(Event::StopBegun { cause, signal }),
                Effect::TellForwarded(signal) => (self.listener)(Event::SignalForwarded(signal)),
                Effect::Finish => self.finish(surface),
            }
        }
    }

    /// Lets go of everything and tells the outcome.
    fn finish(&mut self, surface: &mut Surface<'_>) {
        self.done = true;
        surface.poller.remove(self.tree.doorbell());
        surface.poller.remove(self.tree.guard_handle());
        for pump in self.pumps.iter().flatten() {
            for descriptor in pump.source().into_iter().chain(pump.reader()) {
                surface.poller.remove(descriptor);
            }
        }
        let outcome = self.outcome(surface.now);
        (self.listener)(Event::JobFinished(Box::new(outcome)));
    }

    fn outcome(&mut self, now: Moment) -> Outcome {
        let record = |pump: &Option<Pump>| pump.as_ref().map(Pump::record);
        let mut stdout = record(&self.pumps[0]).unwrap_or_default();
        let mut stderr = record(&self.pumps[1]).unwrap_or_default();
        if self.merged {
            stderr = StreamRecord { captured: stdout.captured, ..StreamRecord::default() };
        }
        stdout.undelivered = stdout.undelivered.min(stdout.total);
        stderr.undelivered = stderr.undelivered.min(stderr.total);
        let troubles = self.pumps.iter().flatten().filter_map(Pump::trouble).map(str::to_owned).collect();
        let cause: Option<Cause> = self.machine.cause();
        Outcome {
            end: self.end.clone().unwrap_or(End::Unknown),
            cause,
            elapsed: self.ended_at.unwrap_or(now) - self.started_at,
            stdout,
            stderr,
            merged: self.merged,
            signals: self.machine.signals().to_vec(),
            containment: self.tree.containment(),
            survivors: std::mem::take(&mut self.survivors),
            processes: std::mem::take(&mut self.processes),
            leftovers: std::mem::take(&mut self.leftovers),
            usage: self.tree.usage(),
            stopped_by: self.stopped_by,
            reader_gone: self.pumps.iter().flatten().any(Pump::reader_gone),
            troubles,
        }
    }
}
