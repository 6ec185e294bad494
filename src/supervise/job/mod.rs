//! One job as the watchdog holds it: its tree, its streams, its machine, and what was seen of it.
//!
//! It performs the machine's effects and decides nothing. Only the watchdog calls it.

use std::sync::Arc;
use std::time::Duration;

use crate::control::inlet::Received;
use crate::error::{Error, Result};
use crate::model::event::{Event, Live};
use crate::model::job::Command;
use crate::model::outcome::{Cause, End, Leftover, ProcessRow};
use crate::model::secrets::Secrets;
use crate::model::signal::Signal;
use crate::platform::board::Board;
use crate::platform::cgroup::Home;
use crate::platform::descriptors;
use crate::platform::doorbell::Doorbell;
use crate::platform::poller::Interest;
use crate::platform::procfs::Lineage;
use crate::platform::signals::Inherited;
use crate::platform::tree::Tree;
use crate::platform::tty;
use crate::supervise::feed::Submission;
use crate::supervise::keyboard::Keyboard;
use crate::supervise::listening::{Heard, Listening};
use crate::supervise::machine::{Input, Machine, Timer};
use crate::supervise::output::{self, Output, Places};
use crate::supervise::policy::Policy;
use crate::supervise::standing::Standing;
use crate::supervise::surface::{JobId, Surface};
use crate::time::clock::Moment;

mod effects;
mod terminal;

/// Descriptors of one job in the poller: the key is the job's number times `KEYS`, plus one of these.
pub(super) const KEYS: usize = 8;
const GUARD: usize = 1;
const CONTROL: usize = 2;
const KEYBOARD: usize = 3;
const OUTPUT: usize = 4;
/// Keys from here on belong to no job.
pub(super) const RESERVED_KEYS: usize = usize::MAX - 7;
const _: () = assert!(OUTPUT + output::KEYS <= KEYS);

/// Polling interval for the guard's report after the leader has exited.
const REPORT_POLL: Duration = Duration::from_millis(1);
/// Maximum number of these polls: a tracer may hide the exit from the guard, see ptrace(2).
const MAX_REPORT_POLLS: u32 = 100;
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
    /// What is typed on our terminal is its input.
    interactive: bool,
    /// What is known of it is told when a signal asks for its end; once.
    tells_stop: bool,
    operation: bool,
    /// Nobody is told these.
    secrets: Secrets,
    ended_at: Option<Moment>,
    /// Its leader died of a signal that the terminal may have sent us, too: until then we wait for it.
    end_held_until: Option<Moment>,
    end: Option<End>,
    started: bool,
    empty: bool,
    /// Number of times a deadline was postponed for the report of the leader's exit.
    report_polls: u32,
    /// The guard has ended.
    guard_gone: bool,
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
        let reads_terminal =
            tree.descriptors[0].is_none() && tree.late_input.is_none() && tty::is_controlling(descriptors::stdin());
        let mut output = Output::open(streams, limit, &secrets, &places, &mut tree, doorbell, id * KEYS + OUTPUT)?;
        let has_terminal = tree.terminal.is_some();
        let keyboard = Keyboard::open(has_terminal, id * KEYS + KEYBOARD);
        tree.keyboard = keyboard.device().map(descriptors::duplicate).transpose()?;
        let shares_group = !tree.own_group && !has_terminal;
        let operation = matches!(spec.command, Command::Operation { .. });
        let listening = Listening::new(inlet, operation);
        // Of a batch each job could read the terminal, and none is the one that is meant.
        let alone = lines.is_none() && record.is_none();
        let interactive = reads_terminal && !operation && alone && (shares_group || keyboard.device().is_some());
        let (machine, effects) = Machine::start(Policy::of(&spec.limits, spec.leftovers), surface.now);
        // What can lack something comes before the command runs: a start that fails may be tried again.
        let registered = output.register(surface.poller).and_then(|()| match listening.descriptor() {
            Some(socket) => surface.poller.add(socket, id * KEYS + CONTROL, Interest::Readable),
            None => Ok(()),
        });
        let tree = match registered.and_then(|()| Tree::start(tree, home, inherited, board, id)) {
            Ok(tree) => tree,
            Err(error) => {
                output.unregister(surface.poller);
                listening.descriptor().into_iter().for_each(|socket| surface.poller.remove(socket));
                return Err(error);
            }
        };
        let mut job = Self {
            id,
            tag,
            machine,
            tree,
            output,
            keyboard,
            listening,
            pulse,
            standing: Standing::new(surface.now),
            shares_group,
            interactive,
            tells_stop: alone,
            operation,
            secrets,
            ended_at: None,
            end_held_until: None,
            end: None,
            started: false,
            empty: false,
            report_polls: 0,
            guard_gone: false,
            processes: Vec::new(),
            survivors: Some(Vec::new()),
            leftovers: Some(Vec::new()),
            stopped_by: None,
            done: false,
        };
        surface.poller.add(job.tree.guard_handle(), job.key(GUARD), Interest::Readable).map_err(|error| {
            Error::Unavailable {
                message: format!("the command was ended because it could not be watched: {error}"),
                remediation: error.remediation(),
            }
        })?;
        job.take_keyboard(surface);
        job.arm_pulse(surface);
        job.perform(effects, surface);
        job.tell_if_all_ended(surface);
        Ok(job)
    }

    /// True for the key of a job's output, as opposed to its guard or messages, or a reserved key.
    pub(super) fn is_output(key: usize) -> bool {
        key < RESERVED_KEYS && key % KEYS >= OUTPUT
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
                self.guard_gone = true;
                self.look(surface);
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

    /// Tells how the job stands.
    pub(super) fn tell_status(&self, surface: &mut Surface<'_>) {
        let live = Live { processes: Some(self.tree.size()), ..self.live(surface.now) };
        self.tell(Event::StatusRequested(live), surface);
    }

    /// A deadline that is the job's own, or the machine's.
    pub(super) fn due(&mut self, timer: Timer, surface: &mut Surface<'_>) {
        match timer {
            Timer::Pulse => {}
            Timer::Keys => {
                self.continue_in_foreground(surface);
                return self.take_keyboard(surface);
            }
            Timer::End => return self.look(surface),
            Timer::Wall | Timer::Idle => {
                // A job that ended before the deadline is not timed out, even if runner itself was stopped meanwhile.
                self.look(surface);
                if self.end.is_none() && self.report_polls < MAX_REPORT_POLLS && self.tree.leader_has_exited() {
                    // The guard is about to report the exit; it may have been stopped as well.
                    self.tree.nudge_guard();
                    self.report_polls += 1;
                    surface.deadlines.arm((self.id, timer), surface.now + REPORT_POLL);
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
            let Some(heard) = self.listening.next(&self.tree) else { break };
            understood |= heard.understood;
            bytes += heard.size;
            self.act_on(heard, surface);
            if bytes > limit {
                break;
            }
        }
        if understood {
            self.show_life(surface);
        }
    }

    /// Takes a message that came by the socket of all jobs.
    pub(super) fn hear(&mut self, received: Received, surface: &mut Surface<'_>) {
        if !self.started {
            self.look(surface);
        }
        let heard = self.listening.take(received, &self.tree);
        let understood = heard.understood;
        self.act_on(heard, surface);
        if understood {
            self.show_life(surface);
        }
    }

    /// Does what a message asks for, and replies.
    fn act_on(&mut self, mut heard: Heard, surface: &mut Surface<'_>) {
        std::mem::take(&mut heard.events).into_iter().for_each(|event| self.tell(event, surface));
        if let Some(from_now) = heard.extend {
            self.step(Input::Extend(from_now), surface);
        }
        heard.reply(self.listening.refused_extension.take());
    }

    fn show_life(&mut self, surface: &mut Surface<'_>) {
        self.standing.note_sign(surface.now);
        self.step(Input::Bytes, surface);
    }

    /// True where this process lives in the job's tree.
    pub(super) fn holds(&self, process: &Lineage) -> bool {
        self.tree.holds(process)
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
        if let Input::Stop { cause: Cause::Cancelled { .. }, .. } = input
            && !self.done
            && std::mem::take(&mut self.tells_stop)
        {
            self.tell(Event::StopRequested(Box::new(self.outcome_so_far(surface.now))), surface);
        }
        if self.end_held_until.is_some()
            && self.end.is_none()
            && matches!(input, Input::Stop { .. } | Input::Interrupt(_))
        {
            self.look(surface);
        }
    }

    /// Stops the job unless it has already ended.
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
        self.await_foreground(surface);
        if let Some(end) = news.leader_end
            && self.end.is_none()
        {
            if self.holds_end_back(&end, surface) {
                return;
            }
            // What was said before the end counts, while those who said it can still be told from strangers.
            self.listen(BYTES_AT_ONCE, surface);
            let input = match end {
                End::Exited(0) => Input::LeaderExited,
                End::Signaled { signal, .. } if self.machine.interrupted() == Some(signal) => {
                    Input::LeaderInterrupted(signal)
                }
                _ => Input::LeaderFailed,
            };
            self.end = Some(end);
            self.ended_at.get_or_insert(surface.now);
            self.step(input, surface);
        }
        if news.empty && !self.empty {
            self.empty = true;
            self.step(Input::TreeEmpty, surface);
        }
        if self.guard_gone && !self.empty && !self.done {
            self.guard_lost(surface);
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
