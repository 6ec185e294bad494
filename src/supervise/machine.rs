//! The policy of one attempt as a pure state machine: what happened goes in, what to do comes out.
//!
//! The watchdog performs the effects and feeds the inputs; nothing here reads a clock, a process or a file. Every
//! deadline is an instant that is armed once and disarmed when its state is left.

use std::time::Duration;

use crate::model::job::{Leftovers, Scope};
use crate::model::outcome::{Cause, TimeoutReason};
use crate::model::signal::Signal;
use crate::supervise::policy::{
    DELIVERY_LIMIT, DRAIN_LIMIT, KILL_PERIOD, LATE_GRACE, OWN_END_LIMIT, Policy, REAP_LIMIT, REST_GRACE, START_LIMIT,
};
pub use crate::supervise::step::{Effect, Input, Rung, State, TIMERS, Timer};
use crate::time::clock::Moment;

mod limits;

/// Why a job is stopped whose time nobody limited.
const NO_TIME: Cause = Cause::Timeout { reason: TimeoutReason::Total, limit: Duration::ZERO };

/// The state machine of one attempt.
#[derive(Debug)]
pub struct Machine {
    policy: Policy,
    state: State,
    started_at: Moment,
    /// The wall time that holds now.
    wall: Option<(Duration, TimeoutReason)>,
    cause: Option<Cause>,
    signals: Vec<Signal>,
    leader_ended: bool,
    tree_empty: bool,
    eof: bool,
    leftovers_found: bool,
    forwarded: bool,
    /// The last forwarded termination signal.
    forwarded_end: Option<Signal>,
    /// The rest of the tree got the stop signal, too.
    rest_signaled: bool,
    /// The job has this signal from its terminal, and may do with it what it wants.
    interrupted: Option<Signal>,
    /// An end before this is the job's own, though the stop has begun.
    own_end_until: Option<Moment>,
    /// A stop that waits for the command to be there.
    stop_when_started: Option<(Cause, bool)>,
    /// Signals to pass on once there is a command.
    held_back: Vec<(Signal, bool)>,
    abandoned: bool,
    last_byte: Moment,
    cpu: Duration,
    /// Since when the CPU time has not grown enough to count.
    cpu_quiet_since: Moment,
    effects: Vec<Effect>,
}

impl Machine {
    /// A machine for an attempt that starts now, and what to do first.
    pub fn start(policy: Policy, now: Moment) -> (Self, Vec<Effect>) {
        let mut machine = Self {
            policy,
            state: State::Starting,
            started_at: now,
            wall: policy.wall,
            cause: None,
            signals: Vec::new(),
            leader_ended: false,
            tree_empty: false,
            eof: false,
            leftovers_found: false,
            forwarded: false,
            forwarded_end: None,
            rest_signaled: policy.scope == Scope::Tree,
            interrupted: None,
            own_end_until: None,
            stop_when_started: None,
            held_back: Vec::new(),
            abandoned: false,
            last_byte: now,
            cpu: Duration::ZERO,
            cpu_quiet_since: now,
            effects: Vec::new(),
        };
        let deadlines =
            [(Timer::Wall, policy.wall.map(|(wall, _)| wall)), (Timer::Idle, policy.idle), (Timer::Warn, policy.warn)];
        for (timer, after) in deadlines {
            if let Some(after) = after {
                machine.arm(timer, now + after);
            }
        }
        let effects = std::mem::take(&mut machine.effects);
        (machine, effects)
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Why we acted, where we did.
    pub fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// The job has a signal from its terminal that it may handle itself.
    pub fn interrupted(&self) -> Option<Signal> {
        self.interrupted
    }

    /// It ended before the effect of its kill was seen.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// The signals that were sent to end it, in order, each once.
    pub fn signals(&self) -> &[Signal] {
        &self.signals
    }

    /// The wall time that holds now, extensions included.
    pub fn wall(&self) -> Option<Duration> {
        self.wall.map(|(wall, _)| wall)
    }

    /// Takes one input and says what to do.
    pub fn step(&mut self, input: Input, now: Moment) -> Vec<Effect> {
        if self.state != State::Done {
            self.take(input, now);
        }
        std::mem::take(&mut self.effects)
    }

    fn take(&mut self, input: Input, now: Moment) {
        match input {
            Input::Started => {
                if self.state == State::Starting {
                    self.state = State::Running;
                    self.effects.push(Effect::TellStarted);
                    if let Some((cause, heard)) = self.stop_when_started.take() {
                        self.begin_stop(cause, Rung::Signal, heard, now);
                    }
                    for (signal, heard) in std::mem::take(&mut self.held_back) {
                        self.forward(signal, heard, now);
                    }
                }
            }
            Input::StartFailed => self.finish(),
            Input::LeaderExited => self.leader_exited(now),
            Input::LeaderFailed => {
                if self.policy.leftovers == Leftovers::KillAfterFailure {
                    self.policy.leftovers = Leftovers::Kill;
                }
                self.leader_exited(now);
            }
            Input::LeaderInterrupted(signal) => {
                self.own_end_until = None;
                if self.cause.is_none() {
                    self.begin_stop(Cause::Cancelled { signal }, Rung::Signal, true, now);
                }
                self.leader_exited(now);
            }
            Input::TreeEmpty => {
                self.leader_ended = true;
                self.tree_gone(now);
            }
            Input::Bytes => self.last_byte = now,
            Input::Extend(from_now) => self.extend(from_now, now),
            Input::Lengthen(by) => self.lengthen(by),
            Input::Eof => {
                self.eof = true;
                self.finish_if_drained();
            }
            Input::CpuMeasured { cpu, held_up } => self.cpu_measured(cpu, held_up, now),
            Input::Due(timer) => self.due(timer, now),
            Input::TimeUp => self.time_up(now),
            Input::Stop { cause, rung, heard } => self.stop(cause, rung, heard, now),
            Input::Interrupt(signal) => self.interrupted = Some(signal),
            Input::Forward { signal, heard } => self.forward(signal, heard, now),
        }
    }

    fn leader_exited(&mut self, now: Moment) {
        if self.leader_ended {
            return;
        }
        self.leader_ended = true;
        if self.state == State::Stopping && self.own_end_until.is_some_and(|until| now <= until) {
            self.cause = None;
            self.state = State::Running;
            self.disarm(Timer::Grace);
        }
        match self.state {
            State::Starting | State::Running => match self.policy.leftovers {
                Leftovers::Wait => {}
                Leftovers::Kill => {
                    self.disarm_limits();
                    self.kill(now);
                }
                Leftovers::Report | Leftovers::KillAfterFailure | Leftovers::Ignore => {
                    if let (Some(signal), false, false) = (self.forwarded_end, self.rest_signaled, self.spares_rest()) {
                        self.effects.push(Effect::SignalRest(signal, self.policy.scope));
                    }
                    self.drain(now);
                }
            },
            State::Stopping | State::Sweeping if self.spares_rest() => self.drain(now),
            State::Stopping => {
                self.signal_rest();
                // Without a grace period only the command has unlimited time, not the rest of its tree.
                if self.policy.grace.is_none() {
                    self.arm(Timer::Grace, now + REST_GRACE);
                }
            }
            State::Sweeping | State::Draining | State::Done => {}
        }
    }

    /// `timeout --foreground` signals its command only.
    fn spares_rest(&self) -> bool {
        self.policy.scope == Scope::Command && self.policy.leftovers == Leftovers::Ignore
    }

    /// Sends the stop signal to the part of the tree that has not got it yet.
    fn signal_rest(&mut self) {
        if !self.rest_signaled {
            self.rest_signaled = true;
            self.effects.push(Effect::SignalRest(self.policy.stop_signal, self.policy.scope));
        }
    }

    fn tree_gone(&mut self, now: Moment) {
        self.tree_empty = true;
        match self.state {
            State::Draining => self.finish_if_drained(),
            State::Done => {}
            State::Starting | State::Running | State::Stopping | State::Sweeping => self.drain(now),
        }
    }

    /// The job is over; its last bytes are awaited.
    fn drain(&mut self, now: Moment) {
        self.disarm_limits();
        self.disarm(Timer::Grace);
        self.disarm(Timer::Reap);
        self.disarm(Timer::Repeat);
        self.state = State::Draining;
        if self.cause.is_none() && self.policy.leftovers == Leftovers::Ignore {
            self.finish();
            return;
        }
        self.arm(Timer::Drain, now + DRAIN_LIMIT);
        if self.cause.is_some() {
            self.arm(Timer::Delivery, now + DELIVERY_LIMIT);
        }
        self.finish_if_drained();
    }

    fn finish_if_drained(&mut self) {
        let settled = self.tree_empty || self.leftovers_found || self.cause.is_some();
        if self.state == State::Draining && self.eof && settled {
            self.finish();
        }
    }

    fn finish(&mut self) {
        for timer in TIMERS {
            self.disarm(timer);
        }
        self.state = State::Done;
        self.effects.push(Effect::Finish);
    }

    fn due(&mut self, timer: Timer, now: Moment) {
        match (timer, self.state) {
            // It may have been extended while this was on its way.
            (Timer::Wall, _) if self.wall.is_some_and(|(limit, _)| now - self.started_at >= limit) => self.time_up(now),
            (Timer::Idle, State::Starting | State::Running) => self.effects.push(Effect::MeasureCpu),
            (Timer::Warn, State::Starting | State::Running) => {
                self.effects.push(Effect::TellWarning);
                if let Some(signal) = self.policy.warn_signal {
                    self.effects.push(Effect::Signal(signal, Scope::Command));
                }
            }
            (Timer::Grace, State::Stopping) if !self.rest_signaled && !self.spares_rest() => {
                if let Some(cause) = self.cause {
                    self.effects.push(Effect::TellStopping(cause, Signal::KILL));
                }
                self.signals.push(Signal::KILL);
                self.effects.push(Effect::Signal(Signal::KILL, self.policy.scope));
                self.signal_rest();
                self.arm(Timer::Grace, now + LATE_GRACE);
            }
            (Timer::Grace, State::Stopping) => self.kill(now),
            (Timer::Grace, State::Starting) if self.stop_when_started.is_some() => {
                self.effects.push(Effect::Snapshot);
                self.kill(now);
            }
            // A signal that was passed on has its own grace, and it is counted as the end of the time.
            (Timer::Grace, State::Starting | State::Running) => {
                let cause = self.end_of_time().unwrap_or(NO_TIME);
                self.begin_stop(cause, Rung::Kill, false, now);
            }
            (Timer::Repeat, State::Sweeping) => {
                self.effects.push(self.kill_effect());
                self.arm(Timer::Repeat, now + KILL_PERIOD);
            }
            (Timer::Reap, State::Sweeping) => {
                self.effects.push(Effect::FindSurvivors);
                self.leftovers_found = true;
                self.drain(now);
            }
            (Timer::Drain, State::Draining) => {
                if self.cause.is_none() && !self.tree_empty && !self.leftovers_found {
                    self.effects.push(Effect::FindLeftovers);
                }
                self.leftovers_found = true;
                self.effects.push(Effect::CloseInputs);
                self.finish_if_drained();
            }
            (Timer::Delivery, State::Draining) => {
                self.effects.push(Effect::DropUndelivered);
                self.finish();
            }
            _ => {}
        }
    }

    fn stop(&mut self, cause: Cause, rung: Rung, heard: bool, now: Moment) {
        if rung == Rung::Abandon {
            self.cause.get_or_insert(cause);
            self.abandoned = !self.tree_empty;
            self.send(Signal::KILL);
            self.finish();
            return;
        }
        if heard
            && self.state == State::Running
            && Some(cause) == self.interrupted.map(|signal| Cause::Cancelled { signal })
        {
            // Where the rest of the tree is waited for, it has to be stopped in any case.
            let is_whole = self.policy.leftovers != Leftovers::Wait;
            self.own_end_until = Some(now + OWN_END_LIMIT).filter(|_| is_whole);
        }
        match self.state {
            State::Starting if self.stop_when_started.is_some() && rung == Rung::Signal => {}
            State::Starting | State::Running => self.begin_stop(self.cause.unwrap_or(cause), rung, heard, now),
            State::Stopping if rung == Rung::Kill => self.kill(now),
            State::Draining if self.cause.is_none() => {
                if self.tree_empty || self.leftovers_found {
                    self.cause = Some(cause);
                    self.drain(now);
                } else {
                    self.begin_stop(cause, rung, heard, now);
                }
            }
            // Killing already: only why is new.
            State::Sweeping => {
                self.cause.get_or_insert(cause);
            }
            State::Stopping | State::Draining | State::Done => {}
        }
    }

    fn begin_stop(&mut self, cause: Cause, rung: Rung, heard: bool, now: Moment) {
        self.cause = Some(cause);
        self.disarm_limits();
        self.disarm(Timer::Drain);
        let signal = self.policy.stop_signal;
        let at_once = rung >= Rung::Kill || signal == Signal::KILL || self.policy.grace == Some(Duration::ZERO);
        if self.state == State::Starting && !self.leader_ended && !at_once {
            // A process that has not executed its program yet cannot be asked to end. It will be, or not be at all.
            self.stop_when_started = Some((cause, heard));
            self.arm(Timer::Grace, now + self.policy.grace.map_or(START_LIMIT, |grace| grace.min(START_LIMIT)));
            return;
        }
        self.effects.push(Effect::Snapshot);
        if at_once {
            self.effects.push(Effect::TellStopping(cause, Signal::KILL));
            self.kill(now);
            return;
        }
        self.state = State::Stopping;
        let told = match cause {
            // The job has it from the terminal.
            Cause::Cancelled { signal } if heard => signal,
            _ => signal,
        };
        self.effects.push(Effect::TellStopping(cause, told));
        if !heard {
            self.send(signal);
        }
        let grace = if self.leader_ended { self.policy.grace.or(Some(REST_GRACE)) } else { self.policy.grace };
        let left = self.policy.answer_by.map(|by| by.saturating_sub(now - self.started_at));
        if let Some(grace) = grace.into_iter().chain(left).min() {
            self.arm(Timer::Grace, now + grace);
        }
    }

    fn kill(&mut self, now: Moment) {
        if self.state == State::Stopping
            && !self.signals.contains(&Signal::KILL)
            && let Some(cause) = self.cause
        {
            self.effects.push(Effect::TellStopping(cause, Signal::KILL));
        }
        self.state = State::Sweeping;
        self.disarm(Timer::Grace);
        self.send(Signal::KILL);
        self.arm(Timer::Reap, now + REAP_LIMIT);
        self.arm(Timer::Repeat, now + KILL_PERIOD);
    }

    fn forward(&mut self, signal: Signal, heard: bool, now: Moment) {
        if self.state == State::Starting {
            self.held_back.push((signal, heard));
            return;
        }
        if !matches!(self.state, State::Running | State::Stopping) {
            return;
        }
        self.effects.push(Effect::TellForwarded(signal));
        if [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].contains(&signal) {
            self.forwarded_end = Some(signal);
        }
        if !heard {
            self.send(signal);
        }
        if let (State::Running, Some(grace), false) = (self.state, self.policy.grace, self.forwarded) {
            self.forwarded = true;
            self.arm(Timer::Grace, now + grace);
        }
    }

    fn send(&mut self, signal: Signal) {
        if !self.signals.contains(&signal) {
            self.signals.push(signal);
        }
        let effect =
            if signal == Signal::KILL { self.kill_effect() } else { Effect::Signal(signal, self.policy.scope) };
        self.effects.push(effect);
    }

    fn kill_effect(&self) -> Effect {
        if self.spares_rest() { Effect::Signal(Signal::KILL, Scope::Command) } else { Effect::Kill }
    }

    fn arm(&mut self, timer: Timer, at: Moment) {
        self.effects.push(Effect::Arm(timer, at));
    }

    fn disarm(&mut self, timer: Timer) {
        self.effects.push(Effect::Disarm(timer));
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
