//! One job as the watchdog holds it: its tree, its streams, its machine, and what was seen of it.
//!
//! It performs the machine's effects and decides nothing. Only the watchdog calls it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::model::event::{Event, Live};
use crate::model::job::Command;
use crate::model::outcome::{End, Leftover, ProcessRow};
use crate::model::secrets::Secrets;
use crate::model::signal::Signal;
use crate::platform::board::Board;
use crate::platform::cgroup::Home;
use crate::platform::descriptors;
use crate::platform::doorbell::Doorbell;
use crate::platform::poller::{Interest, Poller};
use crate::platform::procfs::Lineage;
use crate::platform::signals::Inherited;
use crate::platform::tree::Tree;
use crate::supervise::feed::Submission;
use crate::supervise::keyboard::Keyboard;
use crate::supervise::listening::Listening;
use crate::supervise::machine::{Input, Machine, Timer};
use crate::supervise::output::{self, Output, Places};
use crate::supervise::policy::Policy;
use crate::supervise::standing::Standing;
use crate::supervise::surface::{JobId, Surface};
use crate::time::clock::Moment;

mod effects;

/// Descriptors of one job in the poller: the key is the job's number times `KEYS`, plus one of these.
pub(super) const KEYS: usize = 8;
const GUARD: usize = 1;
const CONTROL: usize = 2;
const KEYBOARD: usize = 3;
const OUTPUT: usize = 4;
/// Keys from here on belong to no job.
pub(super) const LAST_KEY: usize = usize::MAX - 7;
const _: () = assert!(OUTPUT + output::KEYS <= KEYS);

/// How often the report of a leader's end is looked for once the leader is known to have exited.
const REPORT_PERIOD: Duration = Duration::from_millis(1);
/// And how many times: a tracer may keep the end from the guard, see ptrace(2).
const REPORT_LOOKS: u32 = 100;
/// Messages that are taken before the event loop looks at its deadlines again.
const MESSAGES_AT_ONCE: usize = 64;
/// The same in bytes, for long values take long to read.
const BYTES_AT_ONCE: usize = 1 << 20;
/// And when a deadline is about to strike: a little more, since an extension may stand behind them.
const BYTES_BEFORE_DEADLINE: usize = 2 << 20;

pub(super) struct Job {
    id: JobId,
    tag: u64,
    machine: Machine,
    tree: Tree,
    output: Output,
    /// For a job that has a terminal of its own.
    keyboard: Keyboard,
    listening: Listening,
    pulse: Option<Duration>,
    standing: Standing,
    shares_group: bool,
    operation: bool,
    /// Nobody is told these.
    secrets: Secrets,
    ended_at: Option<Moment>,
    end: Option<End>,
    started: bool,
    empty: bool,
    /// Deadlines that were put off for the report of the leader's end.
    report_looks: u32,
    processes: Vec<ProcessRow>,
    survivors: Option<Vec<ProcessRow>>,
    leftovers: Option<Vec<Leftover>>,
    stopped_by: Option<Signal>,
    done: bool,
}

impl Job {
    /// Starts a job. What is wrong with it is said before anything runs.
    pub(super) fn start(
        id: JobId,
        submission: Submission,
        home: Option<&Home>,
        inherited: &Inherited,
        board: &Arc<Board>,
        doorbell: &Arc<Doorbell>,
        surface: &mut Surface<'_>,
    ) -> Result<Self> {
        let Submission { tag, spec, streams, mut tree, log, inlet, stage, lines, record, pulse } = submission;
        let limit = usize::try_from(spec.capture_limit).unwrap_or(usize::MAX);
        let places =
            Places { log: log.as_ref(), stage: stage.as_ref(), lines: lines.as_ref(), record: record.as_ref() };
        let secrets = Secrets::of(&spec.surroundings);
        let output = Output::open(streams, limit, &secrets, &places, &mut tree, doorbell, id * KEYS + OUTPUT)?;
        let has_terminal = tree.terminal.is_some();
        let keyboard = Keyboard::open(has_terminal, id * KEYS + KEYBOARD);
        tree.keyboard = keyboard.device().map(descriptors::duplicate).transpose()?;
        let shares_group = !tree.own_group && !has_terminal;
        let operation = matches!(spec.command, Command::Operation { .. });
        let (machine, effects) = Machine::start(Policy::of(&spec.limits, spec.leftovers), surface.now);
        let tree = Tree::start(tree, home, inherited, board, id)?;
        let mut job = Self {
            id,
            tag,
            machine,
            tree,
            output,
            keyboard,
            listening: Listening::new(inlet, operation),
            pulse,
            standing: Standing::new(surface.now),
            shares_group,
            operation,
            secrets,
            ended_at: None,
            end: None,
            started: false,
            empty: false,
            report_looks: 0,
            processes: Vec::new(),
            survivors: Some(Vec::new()),
            leftovers: Some(Vec::new()),
            stopped_by: None,
            done: false,
        };
        surface.poller.add(job.tree.guard_handle(), job.key(GUARD), Interest::Readable)?;
        if let Some(socket) = job.listening.descriptor() {
            surface.poller.add(socket, job.key(CONTROL), Interest::Readable)?;
        }
        job.output.register(surface.poller)?;
        job.take_keyboard(surface);
        job.arm_pulse(surface);
        job.perform(effects, surface);
        job.tell_if_all_ended(surface);
        Ok(job)
    }

    /// The key is of a job's output, rather than of its guard, its messages or of no job.
    pub(super) fn is_output(key: usize) -> bool {
        key < LAST_KEY && key % KEYS >= OUTPUT
    }

    fn key(&self, kind: usize) -> usize {
        self.id * KEYS + kind
    }

    /// Lets go of a job that is done. With a `home` other jobs follow.
    pub(super) fn release(self, home: Option<&Home>) {
        if self.machine.is_abandoned() {
            self.tree.leave_to_guard();
        } else {
            self.tree.release(home);
        }
    }

    pub(super) fn id(&self) -> JobId {
        self.id
    }

    pub(super) fn tag(&self) -> u64 {
        self.tag
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn shares_group(&self) -> bool {
        self.shares_group
    }

    pub(super) fn contains(&self, process: &Lineage) -> bool {
        self.tree.contains(process)
    }

    /// It has a terminal of its own, and may have the keyboard.
    pub(super) fn has_terminal(&self) -> bool {
        self.output.terminal().is_some()
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

    /// Sends a signal of job control to the whole tree.
    pub(super) fn job_control(&mut self, signal: Signal) {
        self.keyboard.expect_stop();
        self.tree.signal_alone(signal);
    }

    /// Its leader is stopped, or gone.
    pub(super) fn is_stopped(&self) -> bool {
        self.end.is_some() || self.tree.stopped_by().is_some()
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
            KEYBOARD => {
                self.keyboard.hand_on(self.output.terminal(), surface.poller, &self.tree);
                self.take_keyboard(surface);
            }
            CONTROL => self.listen(BYTES_AT_ONCE, surface),
            _ => {
                let grew = self.output.ready(key, surface.poller);
                self.after_output(grew, surface);
            }
        }
    }

    /// Goes on with streams that waited for a thread. True where some of them wait still.
    pub(super) fn advance_all(&mut self, surface: &mut Surface<'_>) -> bool {
        let grew = self.output.advance_all(surface.poller);
        self.after_output(grew, surface);
        self.output.is_held_up()
    }

    /// Goes on with the streams that waited for a thread, and with no others: there may be many jobs.
    pub(super) fn advance_behind_threads(&mut self, surface: &mut Surface<'_>) {
        if self.output.waits_for_thread() {
            let grew = self.output.advance_behind_threads(surface.poller);
            self.after_output(grew, surface);
        }
    }

    /// We go on after a stop, or the window has another size. What was taken is kept, the rest looked at anew.
    pub(super) fn resume(&mut self, surface: &mut Surface<'_>) {
        self.keyboard.keep();
        self.output.resize();
        self.take_keyboard(surface);
    }

    /// Takes the keyboard for a job that has a terminal of its own, where it is ours to take.
    fn take_keyboard(&mut self, surface: &mut Surface<'_>) {
        if self.keyboard.take(self.output.terminal(), surface.poller, &self.tree) {
            self.output.resize();
        }
        if let Some(after) = self.keyboard.wakes_after() {
            surface.deadlines.arm((self.id, Timer::Keys), surface.now + after);
        }
    }

    pub(super) fn give_keyboard_back(&mut self, poller: &Poller) {
        self.keyboard.give_back(poller, &self.tree);
    }

    /// The signals that keys stood for, and whether the job's terminal told it: not after the leader's end.
    pub(super) fn take_typed(&mut self) -> (Vec<Signal>, bool) {
        (self.keyboard.take_signals(), self.end.is_none())
    }

    /// Tells how the job stands.
    pub(super) fn tell_status(&self, surface: &mut Surface<'_>) {
        let live = Live { processes: Some(self.tree.size()), ..self.live(surface.now) };
        self.tell(Event::StatusRequested(live), surface);
    }

    /// A deadline that is the job's own, or the machine's.
    pub(super) fn due(&mut self, timer: Timer, surface: &mut Surface<'_>) {
        match timer {
            Timer::Pulse => {}
            Timer::Keys => return self.take_keyboard(surface),
            Timer::Wall | Timer::Idle => {
                // An end before the deadline counts, also where runner was stopped or frozen meanwhile.
                self.look(surface);
                if self.end.is_none() && self.report_looks < REPORT_LOOKS && self.tree.leader_has_exited() {
                    // The guard is about to report it; it may have been frozen as well.
                    self.tree.nudge_guard();
                    self.report_looks += 1;
                    surface.deadlines.arm((self.id, timer), surface.now + REPORT_PERIOD);
                    return;
                }
                // What the job said in time counts, also when we were busy with something else.
                self.listen(BYTES_BEFORE_DEADLINE, surface);
                return self.step(Input::Due(timer), surface);
            }
            _ => return self.step(Input::Due(timer), surface),
        }
        if let Some(growth) = self.standing.growth(self.output.totals(), surface.now, false) {
            self.tell(growth, surface);
        }
        self.tell(Event::TimePassed(self.live(surface.now)), surface);
        self.arm_pulse(surface);
    }

    fn arm_pulse(&self, surface: &mut Surface<'_>) {
        if let Some(pulse) = self.pulse {
            surface.deadlines.arm((self.id, Timer::Pulse), surface.now + pulse);
        }
    }

    fn tell(&self, mut event: Event, surface: &mut Surface<'_>) {
        self.secrets.mask_event(&mut event);
        surface.told.push((self.tag, event));
    }

    fn live(&self, now: Moment) -> Live {
        self.standing.live(now, self.machine.wall(), &self.listening.told, self.output.totals())
    }

    /// Takes what the job said, up to so many bytes and a little more.
    fn listen(&mut self, limit: usize, surface: &mut Surface<'_>) {
        if !self.started {
            // That it runs comes before what it says, and its guard is about to tell.
            self.look(surface);
            if !self.started {
                return;
            }
        }
        let (mut understood, mut bytes) = (false, 0);
        for _ in 0..MESSAGES_AT_ONCE {
            let Some(heard) = self.listening.next() else { break };
            understood |= heard.understood;
            bytes += heard.size;
            heard.events.into_iter().for_each(|event| self.tell(event, surface));
            if let Some(from_now) = heard.extend {
                self.step(Input::Extend(from_now), surface);
            }
            if bytes > limit {
                break;
            }
        }
        if understood {
            self.standing.note_sign(surface.now);
            self.step(Input::Bytes, surface);
        }
    }

    fn after_output(&mut self, grew: bool, surface: &mut Surface<'_>) {
        if self.output.is_held_up() || self.output.waits_for_thread() {
            surface.held_up.insert(self.id);
        } else {
            surface.held_up.remove(&self.id);
        }
        self.keyboard.follow_output(self.output.terminal(), surface.poller, &self.tree);
        if let Some(progress) = self.output.take_progress() {
            let event = self.listening.note_progress(progress);
            self.tell(event, surface);
        }
        if self.output.has_lost_terminal_reader() {
            self.tree.signal_alone(Signal::PIPE);
        }
        if grew {
            self.standing.note_sign(surface.now);
            self.step(Input::Bytes, surface);
        }
        self.tell_if_all_ended(surface);
    }

    /// Moves the deadline for whoever gave the job, and tells what came of it.
    pub(super) fn move_deadline(&mut self, order: i64, by: Duration, surface: &mut Surface<'_>) {
        let before = self.machine.wall();
        self.step(Input::Lengthen(by), surface);
        let wall = self.machine.wall().filter(|wall| Some(*wall) != before);
        self.tell(Event::DeadlineMoved { order, wall }, surface);
    }

    /// Feeds one input and performs what comes of it.
    pub(super) fn step(&mut self, input: Input, surface: &mut Surface<'_>) {
        let effects = self.machine.step(input, surface.now);
        self.perform(effects, surface);
    }

    /// Stops the job, unless it has ended by itself already.
    pub(super) fn stop(&mut self, input: Input, surface: &mut Surface<'_>) {
        self.look(surface);
        self.step(input, surface);
    }

    /// Looks what is new with the tree.
    pub(super) fn look(&mut self, surface: &mut Surface<'_>) {
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
        self.keyboard.leader_stopped(self.tree.stopped_by().filter(|_| !self.standing.is_stopping()));
        if let Some(end) = news.leader_end
            && self.end.is_none()
        {
            let input = if end == End::Exited(0) { Input::LeaderExited } else { Input::LeaderFailed };
            self.end = Some(end);
            self.ended_at.get_or_insert(surface.now);
            self.step(input, surface);
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

    fn tell_if_all_ended(&mut self, surface: &mut Surface<'_>) {
        if self.output.has_just_ended() {
            self.step(Input::Eof, surface);
        }
    }
}
