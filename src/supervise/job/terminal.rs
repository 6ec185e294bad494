//! A job and our terminal: its keyboard, the signals that the terminal sends to the job and to us, and a job that waits for
//! the foreground.
//!
//! Called by the watchdog and the job.

use std::time::Duration;

use super::Job;
use crate::model::outcome::End;
use crate::model::signal::Signal;
use crate::platform::poller::Poller;
use crate::platform::signals;
use crate::platform::tty;
use crate::supervise::machine::{State, Timer};
use crate::supervise::policy::OWN_END_LIMIT;
use crate::supervise::surface::Surface;
use crate::time::clock::Moment;

/// How long a signal that the terminal sent to the job and to us may take to reach us.
const TERMINAL_LIMIT: Duration = Duration::from_millis(200);
/// How often a job that was stopped in the background is looked at: a shell that brings to the foreground what it takes for
/// running sends no signal.
const FOREGROUND_PERIOD: Duration = Duration::from_millis(100);

impl Job {
    /// What is typed on our terminal is its input; also an interrupt of which it may just have ended.
    pub(in crate::supervise) fn is_interactive(&self, now: Moment) -> bool {
        let has_just_ended =
            || self.machine.state() == State::Draining && self.ended_at.is_some_and(|at| now - at <= OWN_END_LIMIT);
        self.interactive && (self.end.is_none() || has_just_ended())
    }

    /// The terminal signals job and runner in one go, but the job may be seen dead of it before our handler has run. Such
    /// an end is held back for a while. True while it is.
    pub(super) fn holds_end_back(&mut self, end: &End, surface: &mut Surface<'_>) -> bool {
        let End::Signaled { signal, .. } = end else { return false };
        let from_terminal = [Signal::INT, Signal::QUIT, Signal::HUP].contains(signal);
        let known = self.machine.cause().is_some() || self.machine.interrupted() == Some(*signal);
        if !self.shares_group || !from_terminal || known {
            return false;
        }
        if self.end_held_until.is_none() {
            // One that a sleeping thread was chosen for is taken by this one.
            signals::take_pending();
        }
        let until = *self.end_held_until.get_or_insert(surface.now + TERMINAL_LIMIT);
        surface.deadlines.arm((self.id, Timer::End), until);
        surface.now < until
    }

    /// We go on after a stop, or the window has another size. What was taken is kept, the rest looked at anew.
    pub(in crate::supervise) fn resume(&mut self, surface: &mut Surface<'_>) {
        self.keyboard.keep();
        self.output.resize();
        self.take_keyboard(surface);
    }

    /// Takes the keyboard for a job that has a terminal of its own, where it is ours to take.
    pub(super) fn take_keyboard(&mut self, surface: &mut Surface<'_>) {
        if self.keyboard.take(self.output.terminal(), surface.poller, &self.tree) {
            self.output.resize();
        }
        if let Some(after) = self.keyboard.wakes_after() {
            surface.deadlines.arm((self.id, Timer::Keys), surface.now + after);
        }
    }

    pub(in crate::supervise) fn give_keyboard_back(&mut self, poller: &Poller) {
        self.keyboard.give_back(poller, &self.tree);
    }

    /// The signals that keys stood for, and whether the job's terminal told it: not after the leader's end.
    pub(in crate::supervise) fn take_typed(&mut self) -> (Vec<Signal>, bool) {
        (self.keyboard.take_signals(), self.end.is_none())
    }

    /// Its leader read the terminal in the background, or wanted to change it, and the kernel stopped its group: ours. We
    /// ignore that signal, so the shell does not take us for stopped.
    fn is_stopped_in_background(&self) -> bool {
        let stopped = self.tree.stopped_by().is_some_and(|by| [Signal::TTIN, Signal::TTOU].contains(&by));
        self.shares_group && self.end.is_none() && stopped
    }

    /// Looks again soon whether a job that was stopped in the background is in the foreground.
    pub(super) fn await_foreground(&self, surface: &mut Surface<'_>) {
        if self.is_stopped_in_background() {
            surface.deadlines.arm((self.id, Timer::Keys), surface.now + FOREGROUND_PERIOD);
        }
    }

    /// Continues a job that was stopped in the background, once it is in the foreground.
    pub(super) fn continue_in_foreground(&mut self, surface: &mut Surface<'_>) {
        if self.is_stopped_in_background() && tty::is_in_foreground() {
            self.tree.signal_alone(Signal::CONT);
        }
        self.await_foreground(surface);
    }
}
