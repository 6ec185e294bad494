//! The state machine under a manual clock: every state with every input, the ladder in all its cases, and the promise
//! that whatever happens, it ends.

use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::{Effect, Input, Machine, Rung, State, TIMERS, Timer};
use crate::model::job::{Leftovers, Scope};
use crate::model::outcome::{Cause, TimeoutReason};
use crate::model::signal::Signal;
use crate::supervise::policy::{
    DELIVERY_LIMIT, DRAIN_LIMIT, KILL_PERIOD, LATE_GRACE, OWN_END_LIMIT, Policy, REAP_LIMIT, REST_GRACE, START_LIMIT,
};
use crate::time::clock::{Clock, ManualClock, Moment};
use crate::time::deadlines::Deadlines;

const TIMEOUT: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(5);
/// What the wall time may be extended to, where it may.
const LONGEST: (Duration, TimeoutReason) = (Duration::from_secs(100), TimeoutReason::Total);
const TOTAL: Cause = Cause::Timeout { reason: TimeoutReason::Total, limit: TIMEOUT };
const SILENT: Cause = Cause::Timeout { reason: TimeoutReason::Idle, limit: IDLE };
const TERMINATED: Cause = Cause::Cancelled { signal: Signal::TERM };
const INTERRUPTED: Cause = Cause::Cancelled { signal: Signal::INT };

fn policy() -> Policy {
    Policy {
        wall: Some((TIMEOUT, TimeoutReason::Total)),
        budget: None,
        longest: None,
        bound: Some(LONGEST),
        idle: None,
        warn: None,
        warn_signal: None,
        stop_signal: Signal::TERM,
        grace: Some(GRACE),
        answer_by: None,
        scope: Scope::Tree,
        leftovers: Leftovers::Report,
    }
}

/// A machine with a clock and deadlines, as the watchdog has them.
struct Rig {
    machine: Machine,
    clock: ManualClock,
    deadlines: Deadlines<Timer>,
    seen: Vec<Effect>,
    cpu: Duration,
    held_up: bool,
}

impl Rig {
    fn new(policy: Policy) -> Self {
        let clock = ManualClock::default();
        let (machine, effects) = Machine::start(policy, clock.now());
        let mut rig = Self {
            machine,
            clock,
            deadlines: Deadlines::default(),
            seen: Vec::new(),
            cpu: Duration::ZERO,
            held_up: false,
        };
        rig.perform(effects);
        rig
    }

    fn running(policy: Policy) -> Self {
        let mut rig = Self::new(policy);
        rig.feed(Input::Started);
        rig
    }

    fn feed(&mut self, input: Input) {
        let effects = self.machine.step(input, self.clock.now());
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.seen.push(effect);
            match effect {
                Effect::Arm(timer, at) => self.deadlines.arm(timer, at),
                Effect::Disarm(timer) => self.deadlines.disarm(timer),
                Effect::MeasureCpu => self.feed(Input::CpuMeasured { cpu: self.cpu, held_up: self.held_up }),
                _ => {}
            }
        }
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, duration: Duration) {
        let end = self.clock.now() + duration;
        loop {
            let next = self.deadlines.next().filter(|at| *at <= end);
            self.clock.advance(next.unwrap_or(end) - self.clock.now());
            if next.is_none() {
                return;
            }
            while let Some(timer) = self.deadlines.take_due(self.clock.now()) {
                self.feed(Input::Due(timer));
            }
        }
    }

    fn cancel(&mut self, cause: Cause, rung: Rung) {
        self.feed(Input::Stop { cause, rung, heard: false });
    }

    fn did(&self, effect: Effect) -> bool {
        self.seen.contains(&effect)
    }

    fn state(&self) -> State {
        self.machine.state()
    }

    fn elapsed(&self) -> Duration {
        self.clock.now() - Moment::default()
    }
}

#[test]
fn a_job_that_ends_in_time_is_left_in_peace() {
    let mut rig = Rig::running(policy());
    rig.feed(Input::Bytes);
    rig.feed(Input::LeaderExited);
    assert_eq!(rig.state(), State::Draining);
    rig.feed(Input::TreeEmpty);
    rig.feed(Input::Eof);
    assert_eq!(rig.state(), State::Done);
    assert_eq!(rig.machine.cause(), None);
    assert!(rig.machine.signals().is_empty());
    assert_eq!(rig.deadlines.next(), None);
}

#[test]
fn a_timeout_never_comes_early_and_climbs_after_the_grace() {
    let mut rig = Rig::running(policy());
    rig.pass(TIMEOUT - Duration::from_nanos(1));
    assert_eq!(rig.state(), State::Running);
    rig.pass(Duration::from_nanos(1));
    assert_eq!(rig.state(), State::Stopping);
    assert!(rig.did(Effect::Snapshot) && rig.did(Effect::Signal(Signal::TERM, Scope::Tree)) && !rig.did(Effect::Kill));
    rig.pass(GRACE);
    assert_eq!(rig.state(), State::Sweeping);
    assert!(rig.did(Effect::Kill));
    rig.feed(Input::TreeEmpty);
    rig.feed(Input::Eof);
    assert_eq!((rig.state(), rig.machine.cause()), (State::Done, Some(TOTAL)));
    assert_eq!(rig.machine.signals(), [Signal::TERM, Signal::KILL]);
}

#[test]
fn the_grace_belongs_to_the_tree() {
    let mut rig = Rig::running(policy());
    rig.pass(TIMEOUT + Duration::from_secs(1));
    rig.feed(Input::LeaderExited);
    assert_eq!(rig.state(), State::Stopping, "the end of the leader is not the end of the tree");
    rig.pass(Duration::from_secs(3));
    assert!(!rig.did(Effect::Kill));
    rig.pass(Duration::from_secs(1));
    assert!(rig.did(Effect::Kill));
}

#[test]
fn without_a_grace_the_rest_of_a_tree_gets_a_moment_after_its_leader() {
    let mut rig = Rig::running(Policy { grace: None, ..policy() });
    rig.pass(TIMEOUT * 10);
    assert_eq!(rig.state(), State::Stopping, "the command may take as long as it likes");
    rig.feed(Input::LeaderExited);
    rig.pass(REST_GRACE);
    assert!(rig.did(Effect::Kill));
}

#[test]
fn no_grace_at_all_kills_at_once() {
    for policy in [Policy { grace: Some(Duration::ZERO), ..policy() }, Policy { stop_signal: Signal::KILL, ..policy() }]
    {
        let mut rig = Rig::running(policy);
        rig.pass(TIMEOUT);
        assert_eq!(rig.state(), State::Sweeping);
        assert_eq!(rig.machine.signals(), [Signal::KILL]);
    }
}

#[test]
fn an_equal_stop_changes_nothing_and_a_stronger_one_climbs() {
    let mut rig = Rig::running(policy());
    rig.cancel(TERMINATED, Rung::Signal);
    let before = rig.seen.len();
    rig.cancel(INTERRUPTED, Rung::Signal);
    assert_eq!(rig.seen.len(), before);
    assert_eq!(rig.machine.cause(), Some(TERMINATED));
    rig.cancel(INTERRUPTED, Rung::Kill);
    assert_eq!(rig.state(), State::Sweeping);
    assert_eq!(rig.machine.cause(), Some(TERMINATED), "the first cause stands");
}

#[test]
fn the_third_interrupt_ends_at_once() {
    for state in [State::Starting, State::Running, State::Stopping, State::Sweeping, State::Draining] {
        let mut rig = rig_in(state);
        rig.cancel(INTERRUPTED, Rung::Abandon);
        assert_eq!(rig.state(), State::Done);
        assert!(rig.did(Effect::Kill) && rig.did(Effect::Finish));
        assert_eq!(rig.deadlines.next(), None);
    }
}

#[test]
fn an_interrupt_that_the_terminal_delivered_is_not_sent_again() {
    let mut rig = Rig::running(policy());
    rig.feed(Input::Stop { cause: INTERRUPTED, rung: Rung::Signal, heard: true });
    assert!(!rig.did(Effect::Signal(Signal::INT, Scope::Tree)));
    assert!(rig.machine.signals().is_empty());
    rig.pass(GRACE);
    assert!(rig.did(Effect::Kill));
}

#[test]
fn a_tree_that_cannot_be_killed_is_named_and_answered_for() {
    let mut rig = Rig::running(policy());
    rig.pass(TIMEOUT + GRACE);
    rig.pass(REAP_LIMIT);
    assert!(rig.did(Effect::FindSurvivors));
    assert!(
        rig.seen.iter().filter(|effect| **effect == Effect::Kill).count() as u128
            > REAP_LIMIT.as_millis() / KILL_PERIOD.as_millis() / 2
    );
    rig.pass(DRAIN_LIMIT + DELIVERY_LIMIT);
    assert_eq!(rig.state(), State::Done);
    assert_eq!(rig.deadlines.next(), None);
}

#[test]
fn leftovers_are_reported_within_the_drain_limit_even_if_they_keep_talking() {
    let mut rig = Rig::running(policy());
    rig.feed(Input::LeaderExited);
    for _ in 0..20 {
        rig.feed(Input::Bytes);
        rig.pass(DRAIN_LIMIT / 20);
    }
    assert!(rig.did(Effect::FindLeftovers) && rig.did(Effect::CloseInputs) && !rig.did(Effect::Kill));
    rig.feed(Input::Eof);
    assert_eq!(rig.state(), State::Done);
}

#[test]
fn output_of_a_job_that_ended_by_itself_is_delivered_however_long_it_takes() {
    let mut rig = Rig::running(policy());
    rig.feed(Input::LeaderExited);
    rig.feed(Input::TreeEmpty);
    rig.pass(TIMEOUT * 100);
    assert_eq!(rig.state(), State::Draining);
    assert!(!rig.did(Effect::DropUndelivered));
    rig.cancel(TERMINATED, Rung::Signal);
    rig.pass(DELIVERY_LIMIT);
    assert!(rig.did(Effect::DropUndelivered));
    assert_eq!(rig.state(), State::Done);
}

#[test]
fn leftovers_can_be_killed_or_awaited() {
    let mut rig = Rig::running(Policy { leftovers: Leftovers::Kill, ..policy() });
    rig.feed(Input::LeaderExited);
    assert!(rig.did(Effect::Kill));
    assert_eq!((rig.state(), rig.machine.cause()), (State::Sweeping, None));

    let mut rig = Rig::running(Policy { leftovers: Leftovers::Wait, ..policy() });
    rig.feed(Input::LeaderExited);
    assert_eq!(rig.state(), State::Running);
    rig.pass(TIMEOUT);
    assert_eq!((rig.state(), rig.machine.cause()), (State::Stopping, Some(TOTAL)));

    let mut rig = Rig::running(Policy { leftovers: Leftovers::Ignore, ..policy() });
    rig.feed(Input::LeaderExited);
    assert_eq!(rig.state(), State::Done);
}

#[test]
fn leftovers_of_a_failure_alone_can_be_killed() {
    let after_failure = Policy { leftovers: Leftovers::KillAfterFailure, ..policy() };
    let mut rig = Rig::running(after_failure);
    rig.feed(Input::LeaderExited);
    assert_eq!((rig.state(), rig.did(Effect::Kill)), (State::Draining, false));

    let mut rig = Rig::running(after_failure);
    rig.feed(Input::LeaderFailed);
    assert_eq!((rig.state(), rig.machine.cause()), (State::Sweeping, None));
    assert!(rig.did(Effect::Kill));

    let mut rig = Rig::running(policy());
    rig.feed(Input::LeaderFailed);
    assert_eq!((rig.state(), rig.did(Effect::Kill)), (State::Draining, false));
}

#[test]
fn the_time_for_all_attempts_is_named_as_it_was_given() {
    let left = (TIMEOUT / 3, TimeoutReason::TotalBudget);
    let mut rig = Rig::running(Policy { wall: Some(left), budget: Some(TIMEOUT), ..policy() });
    rig.pass(TIMEOUT / 3);
    let expected = Cause::Timeout { reason: TimeoutReason::TotalBudget, limit: TIMEOUT };
    assert_eq!((rig.state(), rig.machine.cause()), (State::Stopping, Some(expected)));
}

#[test]
fn silence_is_between_one_and_two_windows() {
    for last_byte in 0..30 {
        let mut rig = Rig::running(Policy { wall: None, idle: Some(IDLE), ..policy() });
        rig.pass(IDLE / 30 * last_byte);
        rig.feed(Input::Bytes);
        let silent_from = rig.elapsed();
        rig.pass(IDLE * 3);
        let stopped_at = rig.seen.iter().find_map(|effect| match effect {
            Effect::Arm(Timer::Grace, at) => Some(*at - Moment::at(GRACE)),
            _ => None,
        });
        let silent_for = stopped_at.expect("it was stopped") - silent_from;
        assert!(silent_for >= IDLE && silent_for <= IDLE * 2, "{silent_for:?} after a byte at {silent_from:?}");
        assert_eq!(rig.machine.cause(), Some(SILENT));
    }
}

#[test]
fn cpu_time_and_a_slow_reader_are_no_silence() {
    let mut busy = Rig::running(Policy { wall: None, idle: Some(IDLE), ..policy() });
    for _ in 0..20 {
        busy.cpu += IDLE / 100;
        busy.pass(IDLE);
    }
    assert_eq!(busy.state(), State::Running);
    busy.pass(IDLE * 2);
    assert_eq!(busy.machine.cause(), Some(SILENT));

    let mut lazy = Rig::running(Policy { wall: None, idle: Some(IDLE), ..policy() });
    lazy.cpu += IDLE / 101;
    lazy.pass(IDLE);
    assert_eq!(lazy.state(), State::Stopping, "less than a hundredth of the window does not count");

    let mut shrunk = Rig::running(Policy { wall: None, idle: Some(IDLE), ..policy() });
    shrunk.cpu = IDLE;
    shrunk.pass(IDLE);
    shrunk.cpu = IDLE / 2;
    shrunk.pass(IDLE);
    assert_eq!(shrunk.state(), State::Running, "what an ended child used may be nobody's, and it worked");

    let mut held_up = Rig::running(Policy { wall: None, idle: Some(IDLE), ..policy() });
    held_up.held_up = true;
    held_up.pass(IDLE * 50);
    assert_eq!(held_up.state(), State::Running);
}

#[test]
fn a_warning_is_given_once_and_stops_nothing() {
    let warned = Policy { warn: Some(TIMEOUT / 2), warn_signal: Some(Signal::USR1), ..policy() };
    let mut rig = Rig::running(warned);
    rig.pass(TIMEOUT - Duration::from_nanos(1));
    assert_eq!(rig.seen.iter().filter(|effect| **effect == Effect::TellWarning).count(), 1);
    assert!(rig.did(Effect::Signal(Signal::USR1, Scope::Command)));
    assert_eq!(rig.state(), State::Running);
}

#[test]
fn a_command_that_is_still_being_executed_is_told_once_it_is_there_or_killed() {
    let mut rig = Rig::new(policy());
    rig.pass(TIMEOUT);
    assert_eq!(rig.state(), State::Starting);
    rig.cancel(TERMINATED, Rung::Signal);
    rig.feed(Input::Started);
    assert_eq!((rig.state(), rig.machine.cause()), (State::Stopping, Some(TOTAL)));
    assert!(rig.did(Effect::Signal(Signal::TERM, Scope::Tree)) && !rig.did(Effect::Kill));

    let mut rig = Rig::new(policy());
    rig.pass(TIMEOUT + START_LIMIT);
    assert_eq!(rig.state(), State::Sweeping);
    assert_eq!((rig.machine.signals(), rig.machine.cause()), (&[Signal::KILL][..], Some(TOTAL)));

    let mut rig = Rig::new(policy());
    rig.feed(Input::StartFailed);
    assert_eq!(rig.state(), State::Done);
}

#[test]
fn a_signal_that_is_passed_on_starts_the_grace_once() {
    let mut rig = Rig::running(Policy { leftovers: Leftovers::Ignore, ..policy() });
    rig.feed(Input::Forward { signal: Signal::USR1, heard: false });
    rig.pass(GRACE / 2);
    rig.feed(Input::Forward { signal: Signal::TERM, heard: false });
    assert!(rig.did(Effect::Signal(Signal::USR1, Scope::Tree)) && rig.did(Effect::Signal(Signal::TERM, Scope::Tree)));
    assert_eq!(rig.state(), State::Running);
    rig.pass(GRACE / 2);
    assert_eq!(rig.state(), State::Sweeping);
}

#[test]
fn the_rest_of_the_tree_is_stopped_after_a_command_that_was_signaled_first() {
    for scope in [Scope::Group, Scope::Command] {
        let mut rig = Rig::running(Policy { scope, grace: None, ..policy() });
        rig.pass(TIMEOUT);
        assert!(rig.did(Effect::Signal(Signal::TERM, scope)) && !rig.did(Effect::SignalRest(Signal::TERM, scope)));
        rig.feed(Input::LeaderExited);
        assert!(rig.did(Effect::SignalRest(Signal::TERM, scope)));
        rig.pass(REST_GRACE);
        assert!(rig.did(Effect::Kill));
    }
}

#[test]
fn the_rest_is_signaled_at_the_end_of_the_grace_of_the_command() {
    let mut rig = Rig::running(Policy { scope: Scope::Group, ..policy() });
    rig.pass(TIMEOUT);
    rig.pass(GRACE);
    assert!(rig.did(Effect::Signal(Signal::KILL, Scope::Group)) && !rig.did(Effect::Kill));
    assert!(rig.did(Effect::SignalRest(Signal::TERM, Scope::Group)));
    rig.pass(LATE_GRACE);
    assert!(rig.did(Effect::Kill));
}

#[test]
fn in_the_foreground_the_rest_of_the_tree_is_not_signaled() {
    let foreground = Policy { scope: Scope::Command, leftovers: Leftovers::Ignore, ..policy() };
    let mut rig = Rig::running(foreground);
    rig.feed(Input::Eof);
    rig.pass(TIMEOUT);
    rig.pass(GRACE);
    assert!(rig.did(Effect::Signal(Signal::KILL, Scope::Command)));
    rig.feed(Input::LeaderExited);
    assert_eq!(rig.state(), State::Done);
    assert!(!rig.did(Effect::Kill) && !rig.did(Effect::SignalRest(Signal::TERM, Scope::Command)));
}

#[test]
fn a_forwarded_termination_signal_reaches_the_rest_after_the_command() {
    let mut rig = Rig::running(Policy { scope: Scope::Group, leftovers: Leftovers::Ignore, ..policy() });
    rig.feed(Input::Forward { signal: Signal::TERM, heard: false });
    assert!(rig.did(Effect::Signal(Signal::TERM, Scope::Group)));
    rig.feed(Input::LeaderExited);
    assert!(rig.did(Effect::SignalRest(Signal::TERM, Scope::Group)));
}

#[test]
fn a_signal_that_comes_before_the_command_reaches_it_in_the_end() {
    let mut rig = Rig::new(policy());
    rig.feed(Input::Forward { signal: Signal::USR1, heard: false });
    assert!(!rig.did(Effect::Signal(Signal::USR1, Scope::Tree)));
    rig.feed(Input::Started);
    assert!(rig.did(Effect::Signal(Signal::USR1, Scope::Tree)));
}

/// A policy under which a job may ask for more time.
fn generous() -> Policy {
    Policy { longest: Some(LONGEST), ..policy() }
}

/// When the job is stopped if nothing else happens.
fn stopped_at(rig: &mut Rig) -> (Duration, Option<Cause>) {
    while rig.state() == State::Running {
        let next = rig.deadlines.next().expect("something will stop it");
        rig.pass(next - rig.clock.now());
    }
    (rig.elapsed(), rig.machine.cause())
}

fn refusals(rig: &Rig) -> Vec<bool> {
    let refused = rig.seen.iter().filter_map(|effect| match effect {
        Effect::TellExtensionRefused { at_maximum, .. } => Some(*at_maximum),
        _ => None,
    });
    refused.collect()
}

const fn total(limit: Duration) -> Option<Cause> {
    Some(Cause::Timeout { reason: TimeoutReason::Total, limit })
}

#[test]
fn an_extension_counts_from_now() {
    let mut rig = Rig::running(generous());
    rig.pass(TIMEOUT - Duration::from_nanos(1));
    rig.feed(Input::Extend(Duration::from_secs(10)));
    let wall = TIMEOUT + Duration::from_secs(10) - Duration::from_nanos(1);
    assert!(rig.did(Effect::TellExtended { wall, capped: false }));
    assert_eq!(rig.machine.wall(), Some(wall));
    assert_eq!(stopped_at(&mut rig), (wall, total(wall)));
}

#[test]
fn extensions_add_up_until_the_maximum() {
    let mut rig = Rig::running(generous());
    for step in 1..=8 {
        rig.pass(Duration::from_secs(10));
        rig.feed(Input::Extend(TIMEOUT));
        let wanted = TIMEOUT + Duration::from_secs(10) * step;
        let extended = Effect::TellExtended { wall: wanted.min(LONGEST.0), capped: wanted > LONGEST.0 };
        assert_eq!(rig.did(extended), wanted < LONGEST.0 + Duration::from_secs(10), "at step {step}");
    }
    assert_eq!(refusals(&rig), [true; 4], "the maximum was reached exactly, and nothing was left of it");
    assert_eq!(stopped_at(&mut rig), (LONGEST.0, total(LONGEST.0)));
}

#[test]
fn an_extension_never_goes_past_the_maximum() {
    for asked in [LONGEST.0 + Duration::from_nanos(1), LONGEST.0 * 1000, Duration::MAX] {
        let mut rig = Rig::running(generous());
        rig.feed(Input::Extend(asked));
        assert!(rig.did(Effect::TellExtended { wall: LONGEST.0, capped: true }), "{asked:?}");
        rig.feed(Input::Extend(asked));
        assert_eq!(refusals(&rig), [true]);
        assert_eq!(stopped_at(&mut rig), (LONGEST.0, total(LONGEST.0)));
    }
    let mut rig = Rig::running(generous());
    rig.feed(Input::Extend(LONGEST.0));
    assert!(rig.did(Effect::TellExtended { wall: LONGEST.0, capped: false }), "all that was asked for");
}

#[test]
fn an_extension_never_shortens_and_changes_nothing_then() {
    let mut rig = Rig::running(generous());
    rig.pass(Duration::from_secs(20));
    let before = rig.seen.len();
    for asked in [Duration::ZERO, Duration::from_secs(1), TIMEOUT - Duration::from_secs(20)] {
        rig.feed(Input::Extend(asked));
    }
    assert_eq!(rig.seen.len(), before, "neither granted nor refused: it has what it asked for");
    assert_eq!(stopped_at(&mut rig), (TIMEOUT, Some(TOTAL)));
}

#[test]
fn whoever_gave_the_job_moves_its_deadline_up_to_the_bound() {
    let mut rig = Rig::running(policy());
    rig.pass(Duration::from_secs(20));
    rig.feed(Input::Lengthen(Duration::from_secs(10)));
    let wall = TIMEOUT + Duration::from_secs(10);
    assert!(rig.did(Effect::TellExtended { wall, capped: false }));
    assert_eq!(stopped_at(&mut rig), (wall, total(wall)));
    let mut rig = Rig::running(policy());
    rig.feed(Input::Lengthen(Duration::MAX));
    assert!(rig.did(Effect::TellExtended { wall: LONGEST.0, capped: true }));
    assert_eq!(stopped_at(&mut rig), (LONGEST.0, total(LONGEST.0)));
    let mut rig = Rig::running(Policy { bound: None, ..policy() });
    rig.feed(Input::Lengthen(LONGEST.0));
    assert_eq!(stopped_at(&mut rig).0, TIMEOUT + LONGEST.0);
}

#[test]
fn a_deadline_that_is_not_there_or_has_struck_is_not_moved() {
    let mut rig = Rig::running(Policy { wall: None, ..policy() });
    rig.feed(Input::Lengthen(TIMEOUT));
    assert_eq!(rig.machine.wall(), None);
    let mut rig = Rig::running(policy());
    rig.pass(TIMEOUT);
    rig.feed(Input::Lengthen(TIMEOUT));
    assert_eq!(rig.machine.wall(), Some(TIMEOUT));
    assert_eq!(rig.state(), State::Stopping);
}

#[test]
fn an_extension_needs_a_maximum() {
    let mut rig = Rig::running(policy());
    rig.feed(Input::Extend(TIMEOUT * 2));
    assert_eq!(refusals(&rig), [false]);
    assert_eq!(stopped_at(&mut rig), (TIMEOUT, Some(TOTAL)));

    // Without any wall time there is nothing to extend.
    let mut rig = Rig::running(Policy { wall: None, ..policy() });
    rig.feed(Input::Extend(TIMEOUT));
    assert_eq!((refusals(&rig), rig.deadlines.next()), (vec![false], None));
}

#[test]
fn the_runner_above_is_the_maximum_where_it_allows_less() {
    let above = (Duration::from_secs(70), TimeoutReason::ParentDeadline);
    let mut rig = Rig::running(Policy { longest: Some(above), ..policy() });
    rig.feed(Input::Extend(Duration::from_secs(65)));
    let wall = Duration::from_secs(65);
    assert!(rig.did(Effect::TellExtended { wall, capped: false }));
    rig.feed(Input::Extend(TIMEOUT * 5));
    assert!(rig.did(Effect::TellExtended { wall: above.0, capped: true }));
    let cause = Cause::Timeout { reason: TimeoutReason::ParentDeadline, limit: above.0 };
    assert_eq!(stopped_at(&mut rig), (above.0, Some(cause)), "the answer names who set the limit");
}

#[test]
fn an_extension_leaves_the_idle_time_and_the_warning_as_they_are() {
    let warn = TIMEOUT / 2;
    let mut rig = Rig::running(Policy { idle: Some(IDLE), warn: Some(warn), ..generous() });
    rig.feed(Input::Extend(LONGEST.0));
    assert_eq!(stopped_at(&mut rig), (IDLE, Some(SILENT)), "it is no sign of life by itself");

    let mut rig = Rig::running(Policy { warn: Some(warn), ..generous() });
    rig.feed(Input::Extend(LONGEST.0));
    rig.pass(warn);
    assert!(rig.did(Effect::TellWarning));
}

#[test]
fn an_extension_is_heard_while_the_command_is_still_being_executed() {
    let mut rig = Rig::new(generous());
    rig.feed(Input::Extend(LONGEST.0));
    rig.feed(Input::Started);
    assert_eq!(stopped_at(&mut rig), (LONGEST.0, total(LONGEST.0)));
}

#[test]
fn an_extension_after_a_stop_is_refused_and_changes_nothing() {
    for state in [State::Stopping, State::Sweeping, State::Draining] {
        let (mut told, mut quiet) = (rig_in(state), rig_in(state));
        told.machine.policy.longest = Some(LONGEST);
        told.feed(Input::Extend(TIMEOUT));
        assert_eq!(refusals(&told), [false], "{state:?}");
        assert_eq!((told.state(), told.deadlines.next()), (state, quiet.deadlines.next()), "{state:?}");
        end(&mut told);
        end(&mut quiet);
        assert_eq!((told.elapsed(), told.machine.cause()), (quiet.elapsed(), quiet.machine.cause()));
    }
    let mut done = rig_in(State::Done);
    done.feed(Input::Extend(TIMEOUT));
    assert!(refusals(&done).is_empty(), "nobody listens any more");

    // Told to stop before it ran.
    let mut rig = Rig::new(generous());
    rig.cancel(TERMINATED, Rung::Signal);
    rig.feed(Input::Extend(TIMEOUT));
    assert_eq!(refusals(&rig), [false]);
}

/// The extension was read while the deadline that it moved was already on its way.
#[test]
fn a_deadline_that_was_moved_does_not_strike() {
    let mut rig = Rig::running(generous());
    rig.clock.advance(TIMEOUT);
    rig.feed(Input::Extend(Duration::from_secs(10)));
    rig.feed(Input::Due(Timer::Wall));
    assert_eq!(rig.state(), State::Running);
    let wall = TIMEOUT + Duration::from_secs(10);
    assert_eq!(stopped_at(&mut rig), (wall, total(wall)));
}

#[test]
fn one_that_waits_for_its_leftovers_may_be_extended() {
    let mut rig = Rig::running(Policy { leftovers: Leftovers::Wait, ..generous() });
    rig.feed(Input::LeaderExited);
    rig.feed(Input::Extend(LONGEST.0));
    assert_eq!(stopped_at(&mut rig), (LONGEST.0, total(LONGEST.0)));
}

/// A running job that has had two interrupts from its terminal, the second one now.
fn interrupted_twice() -> Rig {
    let mut rig = Rig::running(policy());
    rig.feed(Input::Interrupt(Signal::INT));
    rig.pass(Duration::from_millis(500));
    assert_eq!((rig.state(), rig.machine.cause()), (State::Running, None));
    rig.feed(Input::Stop { cause: INTERRUPTED, rung: Rung::Signal, heard: true });
    assert_eq!((rig.state(), rig.machine.cause()), (State::Stopping, Some(INTERRUPTED)));
    rig
}

#[test]
fn an_interrupt_that_is_the_jobs_stops_nothing_and_its_end_is_its_own() {
    let mut rig = Rig::running(policy());
    rig.feed(Input::Interrupt(Signal::INT));
    rig.pass(GRACE * 2);
    assert_eq!(rig.state(), State::Running);
    rig.feed(Input::LeaderFailed);
    rig.feed(Input::TreeEmpty);
    rig.feed(Input::Eof);
    assert_eq!((rig.state(), rig.machine.cause()), (State::Done, None));
    assert!(rig.machine.signals().is_empty());
}

#[test]
fn a_job_that_dies_of_its_interrupt_is_cancelled_and_the_rest_of_it_has_its_grace() {
    let mut rig = Rig::running(policy());
    rig.feed(Input::Interrupt(Signal::INT));
    rig.feed(Input::LeaderInterrupted(Signal::INT));
    assert_eq!((rig.state(), rig.machine.cause()), (State::Stopping, Some(INTERRUPTED)));
    assert!(!rig.did(Effect::Kill));
    rig.pass(GRACE);
    assert!(rig.did(Effect::Kill));
}

#[test]
fn an_end_just_after_the_second_interrupt_is_the_jobs_own_and_a_later_one_is_not() {
    for (after, cause) in [(OWN_END_LIMIT, None), (OWN_END_LIMIT + Duration::from_millis(1), Some(INTERRUPTED))] {
        let mut rig = interrupted_twice();
        rig.pass(after);
        rig.feed(Input::LeaderExited);
        rig.feed(Input::TreeEmpty);
        rig.feed(Input::Eof);
        assert_eq!((rig.state(), rig.machine.cause()), (State::Done, cause), "after {after:?}");
        assert_eq!(rig.deadlines.next(), None);
    }
    let mut rig = interrupted_twice();
    rig.feed(Input::LeaderInterrupted(Signal::INT));
    assert_eq!(rig.machine.cause(), Some(INTERRUPTED));
}

#[test]
fn a_job_that_minds_no_interrupt_is_killed_after_the_grace_that_the_second_one_started() {
    let mut rig = interrupted_twice();
    rig.pass(GRACE);
    assert!(rig.did(Effect::Kill));
    assert_eq!(rig.machine.cause(), Some(INTERRUPTED));
}

/// A machine brought into a state, the usual way.
fn rig_in(state: State) -> Rig {
    let mut rig = Rig::new(Policy { idle: Some(IDLE), warn: Some(TIMEOUT / 2), ..policy() });
    if state == State::Starting {
        return rig;
    }
    rig.feed(Input::Started);
    match state {
        State::Starting | State::Running => {}
        State::Stopping => rig.cancel(TERMINATED, Rung::Signal),
        State::Sweeping => rig.cancel(TERMINATED, Rung::Kill),
        State::Draining => rig.feed(Input::LeaderExited),
        State::Done => {
            rig.feed(Input::LeaderExited);
            rig.feed(Input::TreeEmpty);
            rig.feed(Input::Eof);
        }
    }
    assert_eq!(rig.state(), state);
    rig
}

fn all_inputs() -> Vec<Input> {
    let mut inputs = vec![
        Input::Started,
        Input::StartFailed,
        Input::LeaderExited,
        Input::LeaderFailed,
        Input::TreeEmpty,
        Input::Bytes,
        Input::Eof,
        Input::Extend(Duration::ZERO),
        Input::Extend(TIMEOUT),
        Input::Extend(Duration::MAX),
        Input::Lengthen(TIMEOUT),
        Input::Lengthen(Duration::MAX),
        Input::CpuMeasured { cpu: Duration::from_secs(1), held_up: false },
        Input::CpuMeasured { cpu: Duration::ZERO, held_up: true },
        Input::Forward { signal: Signal::USR1, heard: false },
        Input::Forward { signal: Signal::INT, heard: true },
        Input::Interrupt(Signal::INT),
        Input::LeaderInterrupted(Signal::INT),
        Input::Stop { cause: INTERRUPTED, rung: Rung::Signal, heard: true },
    ];
    inputs.extend(TIMERS.map(Input::Due));
    for rung in [Rung::Signal, Rung::Kill, Rung::Abandon] {
        inputs.extend([true, false].map(|heard| Input::Stop { cause: TERMINATED, rung, heard }));
    }
    inputs
}

#[test]
fn every_state_takes_every_input_and_still_ends() {
    for state in [State::Starting, State::Running, State::Stopping, State::Sweeping, State::Draining, State::Done] {
        for input in all_inputs() {
            let mut rig = rig_in(state);
            let finished = rig.seen.iter().filter(|effect| **effect == Effect::Finish).count();
            rig.feed(input);
            if state == State::Done {
                assert_eq!(rig.seen.iter().filter(|effect| **effect == Effect::Finish).count(), finished, "{input:?}");
            }
            end(&mut rig);
            assert_eq!(rig.state(), State::Done, "{state:?} with {input:?}");
            assert_eq!(rig.deadlines.next(), None, "{state:?} with {input:?}");
        }
    }
}

/// Whatever the job does or does not do, time alone must end it, if only its output is taken in the end.
fn end(rig: &mut Rig) {
    rig.pass(TIMEOUT * 2 + GRACE + REAP_LIMIT + DRAIN_LIMIT + DELIVERY_LIMIT);
    if rig.state() == State::Draining {
        rig.feed(Input::Eof);
        rig.pass(DRAIN_LIMIT);
    }
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let leftovers = prop_oneof![
        Just(Leftovers::Report),
        Just(Leftovers::Kill),
        Just(Leftovers::KillAfterFailure),
        Just(Leftovers::Wait),
        Just(Leftovers::Ignore)
    ];
    let scope = prop_oneof![Just(Scope::Tree), Just(Scope::Group), Just(Scope::Command)];
    let grace = prop_oneof![Just(Duration::ZERO), Just(GRACE)];
    let longest = prop_oneof![Just(None), Just(Some(LONGEST))];
    let flags = (any::<bool>(), any::<bool>());
    (leftovers, scope, grace, longest, flags).prop_map(|(leftovers, scope, grace, longest, (idle, warn))| Policy {
        leftovers,
        scope,
        longest,
        grace: Some(grace),
        answer_by: None,
        idle: idle.then_some(IDLE),
        warn: warn.then_some(TIMEOUT / 2),
        ..policy()
    })
}

proptest! {
    #[test]
    fn any_sequence_of_inputs_ends_with_no_deadline_armed(
        policy in any_policy(),
        steps in proptest::collection::vec((0..all_inputs().len(), 0_u64..20_000), 0..60),
    ) {
        let inputs = all_inputs();
        let mut rig = Rig::new(policy);
        for (index, millis) in steps {
            rig.feed(inputs[index]);
            rig.pass(Duration::from_millis(millis));
        }
        end(&mut rig);
        assert_eq!(rig.state(), State::Done);
        assert_eq!(rig.deadlines.next(), None);
        assert_eq!(rig.seen.iter().filter(|effect| **effect == Effect::Finish).count(), 1);
    }
}
