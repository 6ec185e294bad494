//! The limits of one attempt in the state machine: its wall time and what moves it, silence, and what is over with them.
//!
//! Pure as the rest of the machine.

use std::time::Duration;

use super::Machine;
use crate::model::outcome::{Cause, TimeoutReason};
use crate::supervise::step::{Effect, Rung, State, Timer};
use crate::time::clock::Moment;
use crate::time::duration::LONGEST;

impl Machine {
    /// An extension never shortens, and never goes past the longest wall time.
    pub(super) fn extend(&mut self, from_now: Duration, now: Moment) {
        if !matches!(self.state, State::Starting | State::Running) || self.stop_when_started.is_some() {
            return self.refuse_extension("it came after the job had ended or was told to stop", false);
        }
        let (Some((longest, at_longest)), Some((wall, _))) = (self.policy.longest, self.wall) else {
            return self.refuse_extension("only --max-timeout allows more time", false);
        };
        let wanted = (now - self.started_at).saturating_add(from_now);
        let capped = wanted > longest;
        let granted = wanted.min(longest);
        if granted > wall {
            self.wall = Some((granted, if capped { at_longest } else { TimeoutReason::Total }));
            self.arm(Timer::Wall, self.started_at + granted);
            self.effects.push(Effect::TellExtended { wall: granted, capped });
        } else if capped {
            self.refuse_extension("the time has reached its maximum", true);
        }
    }

    /// A deadline is moved for whoever gave the job, and never past what bounds it.
    pub(super) fn lengthen(&mut self, by: Duration) {
        let may_move = matches!(self.state, State::Starting | State::Running) && self.stop_when_started.is_none();
        let (true, Some((wall, _))) = (may_move, self.wall) else { return };
        let wanted = wall.saturating_add(by).min(LONGEST);
        let bound = self.policy.bound.filter(|(bound, _)| wanted > *bound);
        let (granted, reason) = bound.unwrap_or((wanted, TimeoutReason::Total));
        if granted > wall {
            self.wall = Some((granted, reason));
            self.arm(Timer::Wall, self.started_at + granted);
            self.effects.push(Effect::TellExtended { wall: granted, capped: bound.is_some() });
        }
    }

    /// The wall time is over. A job without one has no end of that kind.
    pub(super) fn time_up(&mut self, now: Moment) {
        if let (State::Starting | State::Running, Some(cause)) = (self.state, self.end_of_time()) {
            self.begin_stop(cause, Rung::Signal, false, now);
        }
    }

    /// Why the job is stopped when its wall time is over. The time for all attempts is named as it was given, and not by
    /// what was left of it.
    pub(super) fn end_of_time(&self) -> Option<Cause> {
        let (wall, reason) = self.wall?;
        let limit = if reason == TimeoutReason::TotalBudget { self.policy.budget.unwrap_or(wall) } else { wall };
        Some(Cause::Timeout { reason, limit })
    }

    fn refuse_extension(&mut self, reason: &'static str, at_maximum: bool) {
        self.effects.push(Effect::TellExtensionRefused { reason, at_maximum });
    }

    /// Silence is at least one window without a byte and without CPU time that counts, measured from the later of both.
    pub(super) fn cpu_measured(&mut self, cpu: Duration, held_up: bool, now: Moment) {
        let (State::Starting | State::Running, Some(window)) = (self.state, self.policy.idle) else { return };
        // It can shrink: what an ended child used may be nobody's.
        if held_up || cpu < self.cpu || cpu.saturating_sub(self.cpu) >= window / 100 {
            self.cpu = cpu;
            self.cpu_quiet_since = now;
        }
        let silent_since = self.last_byte.max(self.cpu_quiet_since);
        if now - silent_since >= window {
            let cause = Cause::Timeout { reason: TimeoutReason::Idle, limit: window };
            self.begin_stop(cause, Rung::Signal, false, now);
        } else {
            self.arm(Timer::Idle, silent_since + window);
        }
    }

    pub(super) fn disarm_limits(&mut self) {
        for timer in [Timer::Wall, Timer::Idle, Timer::Warn] {
            self.disarm(timer);
        }
    }
}
