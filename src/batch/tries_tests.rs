//! The attempts of a job under a clock that is told: who is tried again, after how long, and with how much time.

use std::time::Duration;

use proptest::prelude::{any, proptest};

use super::{After, FIRST, REMEMBERED, Tries};
use crate::model::envelope::ErrorCode;
use crate::model::job::{Budget, Leftovers, Limits, Scope};
use crate::model::outcome::{Cause, End, Leftover, OperationFailure, Outcome, StartFailure, StartStep, TimeoutReason};
use crate::model::quantity::Seconds;
use crate::model::retry::{Condition, Retry};
use crate::model::signal::Signal;
use crate::time::clock::Moment;

/// Any; no test below depends on which.
const SEED: u64 = 7;

fn at(millis: u64) -> Moment {
    Moment::at(Duration::from_millis(millis))
}

fn limits(timeout: Option<u64>, max: Option<u64>) -> Limits {
    Limits {
        timeout: timeout.map(Duration::from_secs),
        max_timeout: max.map(Duration::from_secs),
        parent_timeout: None,
        budget: None,
        idle_timeout: None,
        warn_after: None,
        warn_signal: None,
        stop_signal: Signal::TERM,
        grace: None,
        scope: Scope::Tree,
    }
}

fn three() -> Retry {
    Retry { retries: 3, ..Retry::default() }
}

fn on(list: &str) -> Retry {
    Retry { on: Condition::parse_list(list).expect("a list"), ..three() }
}

fn never_on(list: &str) -> Retry {
    Retry { never_on: Condition::parse_list(list).expect("a list"), ..three() }
}

fn exited(code: i32) -> Outcome {
    Outcome::plain(None, End::Exited(code))
}

fn stopped(reason: TimeoutReason) -> Outcome {
    let cause = Cause::Timeout { reason, limit: Duration::from_secs(2) };
    Outcome::plain(Some(cause), End::Signaled { signal: Signal::TERM, core_dumped: false })
}

fn not_started(os_error: i32) -> Outcome {
    Outcome::plain(None, End::NotStarted(StartFailure { step: StartStep::Exec, os_error }))
}

/// Whether the first attempt is followed by another one when it comes to this.
fn is_tried_again(retry: &Retry, mut outcome: Outcome) -> bool {
    let mut tries = Tries::new(retry.clone(), &limits(None, None), SEED);
    tries.begin(at(0));
    tries.over(&mut outcome, at(10)) != After::Done
}

#[test]
fn without_retries_there_is_one_attempt() {
    let mut tries = Tries::new(Retry::default(), &limits(Some(5), None), SEED);
    assert_eq!((tries.number(), tries.most()), (0, 1));
    let wall = tries.begin(at(3)).wall();
    assert_eq!(wall, Some((Duration::from_secs(5), TimeoutReason::Total)));
    assert_eq!((tries.number(), tries.may_go_on()), (1, false));
    assert_eq!(tries.over(&mut exited(1), at(5)), After::Done);
    let attempts = tries.into_attempts();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].attempt, attempts[0].exit_code, attempts[0].delay_seconds), (1, Some(1), None));
    assert_eq!(attempts[0].code, Some(ErrorCode::CommandFailed));
    assert_eq!(attempts[0].timeout_seconds, Some(Seconds(Duration::from_secs(5))));
    assert_eq!(attempts[0].elapsed_seconds, 12.34);
}

#[test]
fn every_failure_is_tried_again_but_those_that_nothing_cures() {
    let signaled = Outcome::plain(None, End::Signaled { signal: Signal::PIPE, core_dumped: false });
    let failure = OperationFailure {
        code: ErrorCode::NotFound,
        message: "no such file".to_owned(),
        remediation: "Look".to_owned(),
        argument: None,
    };
    let mut operation = exited(1);
    operation.told.failure = Some(failure);
    for outcome in [exited(1), exited(75), exited(124), signaled, operation] {
        assert!(is_tried_again(&three(), outcome));
    }
    for reason in [TimeoutReason::Total, TimeoutReason::Idle] {
        assert!(is_tried_again(&three(), stopped(reason)));
    }
    for code in [0, 125, 126, 127] {
        assert!(!is_tried_again(&three(), exited(code)), "{code}");
    }
    assert!(!is_tried_again(&three(), not_started(libc::ENOENT)));
    assert!(!is_tried_again(&three(), Outcome::plain(None, End::Unknown)));
    let unwritten = Outcome { troubles: vec!["the disk is full".to_owned()], ..exited(0) };
    assert!(!is_tried_again(&three(), unwritten));
}

#[test]
fn a_cancel_is_never_tried_again_nor_the_end_of_all_time() {
    let everything = on("timeout,idle,signal,error,exit:1-255");
    for retry in [three(), everything] {
        let cancelled = Some(Cause::Cancelled { signal: Signal::TERM });
        assert!(!is_tried_again(&retry, Outcome::plain(cancelled, End::Exited(1))));
        assert!(!is_tried_again(&retry, stopped(TimeoutReason::TotalBudget)));
        assert!(!is_tried_again(&retry, stopped(TimeoutReason::ParentDeadline)));
    }
}

#[test]
fn nothing_begins_beside_what_is_left_or_without_a_reader() {
    let leftover = Leftover { pid: 9, command: "sleep".to_owned(), holds_output: false };
    assert!(!is_tried_again(&three(), Outcome { leftovers: Some(vec![leftover]), ..exited(1) }));
    assert!(!is_tried_again(&three(), Outcome { reader_gone: true, ..exited(1) }));
}

#[test]
fn conditions_choose() {
    let signaled = || Outcome::plain(None, End::Signaled { signal: Signal::KILL, core_dumped: false });
    for (list, outcome, expected) in [
        ("timeout", stopped(TimeoutReason::Total), true),
        ("timeout", stopped(TimeoutReason::Idle), false),
        ("idle", stopped(TimeoutReason::Idle), true),
        ("idle", stopped(TimeoutReason::Total), false),
        ("timeout", exited(1), false),
        ("exit:75", exited(75), true),
        ("exit:75", exited(74), false),
        ("exit:1-3", exited(3), true),
        ("exit:1-3", exited(4), false),
        ("exit:127", exited(127), true),
        ("exit:1-255", not_started(libc::ENOENT), false),
        ("exit:1-255", stopped(TimeoutReason::Total), false),
        ("signal", signaled(), true),
        ("signal", stopped(TimeoutReason::Total), false),
        ("signal", exited(137), false),
        ("error", not_started(libc::ENOENT), true),
        ("error", Outcome::plain(None, End::Unknown), true),
        ("error", Outcome { troubles: vec!["the disk is full".to_owned()], ..exited(0) }, true),
        ("error", exited(127), false),
        ("timeout,exit:75", exited(75), true),
    ] {
        let what = format!("{list}: {:?}, {:?}", outcome.end, outcome.cause);
        assert_eq!(is_tried_again(&on(list), outcome), expected, "{what}");
    }
    assert!(!is_tried_again(&never_on("exit:75"), exited(75)));
    assert!(is_tried_again(&never_on("exit:75"), exited(1)));
    assert!(!is_tried_again(&never_on("exit:75"), exited(127)));
    let both = Retry { never_on: vec![Condition::Exit(2..=2)], ..on("exit:1-3") };
    assert!(is_tried_again(&both, exited(1)) && !is_tried_again(&both, exited(2)));
}

#[test]
fn output_is_looked_at_as_far_as_it_was_kept() {
    let said = |head: &[u8], tail: &[u8], omitted, to_stderr| {
        let mut outcome = exited(1);
        let record = if to_stderr { &mut outcome.stderr } else { &mut outcome.stdout };
        record.head = head.to_vec();
        record.tail = tail.to_vec();
        record.omitted = omitted;
        outcome
    };
    let busy = on("match:server is busy");
    assert!(is_tried_again(&busy, said(b"x\nserver is busy\n", b"", 0, false)));
    assert!(is_tried_again(&busy, said(b"", b"server is busy", 9, true)));
    assert!(is_tried_again(&busy, said(b"server", b" is busy", 0, true)));
    assert!(!is_tried_again(&busy, said(b"server", b" is busy", 1, true)));
    assert!(!is_tried_again(&busy, said(b"server was busy", b"", 0, false)));
    assert!(is_tried_again(&on("match:^a.c$"), said(b"\xff\na\xffc\n", b"", 0, false)));
    let mut passed = said(b"server is busy", b"", 0, false);
    passed.end = End::Exited(0);
    assert!(!is_tried_again(&busy, passed), "a success is none");
}

#[test]
fn delays_grow_up_to_a_limit_and_vary_by_half() {
    let retry = Retry { retries: 9, ..Retry::default() };
    let mut shortest = [Duration::MAX; 7];
    let mut longest = [Duration::ZERO; 7];
    for seed in 0..500 {
        let mut tries = Tries::new(retry.clone(), &limits(None, None), seed);
        for index in 0..7 {
            tries.begin(at(0));
            let After::Again { delay } = tries.over(&mut exited(1), at(1)) else { panic!("again") };
            shortest[index] = shortest[index].min(delay);
            longest[index] = longest[index].max(delay);
        }
    }
    for (index, nominal) in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0].into_iter().enumerate() {
        let (least, most) = (shortest[index].as_secs_f64(), longest[index].as_secs_f64());
        assert!((0.5..0.51).contains(&(least / nominal)), "{index}: {least}");
        assert!((0.99..=1.0).contains(&(most / nominal)), "{index}: {most}");
    }
}

#[test]
fn the_same_seed_gives_the_same_delays() {
    let delays = |seed| -> Vec<After> {
        let mut tries = Tries::new(three(), &limits(None, None), seed);
        let mut next = || {
            tries.begin(at(0));
            tries.over(&mut exited(1), at(1))
        };
        (0..4).map(|_| next()).collect()
    };
    assert_eq!(delays(1), delays(1));
    assert_ne!(delays(1), delays(2));
    assert_eq!(delays(1)[3], After::Done);
}

#[test]
fn no_delay_at_all_can_be_asked_for() {
    let mut tries = Tries::new(Retry { delay: Duration::ZERO, ..three() }, &limits(None, None), SEED);
    tries.begin(at(0));
    assert_eq!(tries.over(&mut exited(1), at(1)), After::Again { delay: Duration::ZERO });
    assert_eq!(tries.attempts()[0].delay_seconds, Some(Seconds(Duration::ZERO)));
}

#[test]
fn timeouts_grow_after_timeouts_only_and_stop_at_the_maximum() {
    let retry = Retry { retries: 9, timeout_growth: 2.0, ..Retry::default() };
    let mut tries = Tries::new(retry, &limits(Some(3), Some(10)), SEED);
    let mut walls = Vec::new();
    for outcome in [
        exited(1),
        stopped(TimeoutReason::Total),
        exited(1),
        stopped(TimeoutReason::Idle),
        stopped(TimeoutReason::Total),
        stopped(TimeoutReason::Total),
    ] {
        walls.push(tries.begin(at(0)).wall().expect("a limit").0.as_secs());
        let mut outcome = outcome;
        assert_ne!(tries.over(&mut outcome, at(1)), After::Done);
    }
    assert_eq!(walls, [3, 3, 6, 6, 6, 10]);
    assert_eq!(tries.begin(at(0)).timeout, Some(Duration::from_secs(10)));
    let given: Vec<_> = tries.attempts().iter().filter_map(|attempt| attempt.timeout_seconds).collect();
    assert_eq!(given, walls.iter().map(|wall| Seconds(Duration::from_secs(*wall))).collect::<Vec<_>>());
}

#[test]
fn growth_never_ends_in_more_than_can_be_counted() {
    let retry = Retry { retries: u32::MAX, timeout_growth: 1e300, ..Retry::default() };
    let mut tries = Tries::new(retry, &limits(Some(3), None), SEED);
    for _ in 0..3 {
        tries.begin(at(0));
        assert_ne!(tries.over(&mut stopped(TimeoutReason::Total), at(1)), After::Done);
    }
    assert!(tries.begin(at(0)).timeout >= Some(Duration::from_secs(1 << 32)));
}

#[test]
fn the_time_for_all_covers_attempts_and_delays() {
    let total = Duration::from_secs(10);
    let retry = Retry { total_timeout: Some(total), delay: Duration::ZERO, ..three() };
    let mut tries = Tries::new(retry, &limits(Some(4), None), SEED);
    assert_eq!(tries.out_of_time_at(), None);
    let first = tries.begin(at(1_000));
    assert_eq!(first.budget, Some(Budget { whole: total, left: total }));
    assert_eq!(first.wall(), Some((Duration::from_secs(4), TimeoutReason::Total)));
    assert_eq!(tries.out_of_time_at(), Some(at(11_000)));
    assert_ne!(tries.over(&mut exited(1), at(8_500)), After::Done);
    let second = tries.begin(at(8_500));
    assert_eq!(second.wall(), Some((Duration::from_millis(2_500), TimeoutReason::TotalBudget)));
    assert_eq!(tries.over(&mut stopped(TimeoutReason::TotalBudget), at(11_000)), After::Done);
}

#[test]
fn a_delay_that_would_outlast_the_time_for_all_is_not_begun() {
    let total = Duration::from_secs(2);
    let retry = Retry { total_timeout: Some(total), delay: Duration::from_secs(4), ..three() };
    let mut tries = Tries::new(retry, &limits(None, None), SEED);
    tries.begin(at(0));
    let mut outcome = exited(75);
    assert_eq!(tries.over(&mut outcome, at(100)), After::Done);
    let expected = Cause::Timeout { reason: TimeoutReason::TotalBudget, limit: total };
    assert_eq!((outcome.cause, outcome.between_attempts), (Some(expected), true));
    let attempt = &tries.attempts()[0];
    assert_eq!((attempt.code, attempt.reason), (Some(ErrorCode::CommandFailed), None), "the attempt is what it was");
    assert_eq!(attempt.delay_seconds, None);
}

#[test]
fn the_last_failure_is_its_own_cause_however_little_time_is_left() {
    let retry = Retry { total_timeout: Some(Duration::from_secs(2)), retries: 1, ..Retry::default() };
    let mut tries = Tries::new(retry, &limits(None, None), SEED);
    tries.begin(at(0));
    assert_ne!(tries.over(&mut exited(75), at(1)), After::Done);
    tries.begin(at(1_900));
    let mut outcome = exited(75);
    assert_eq!(tries.over(&mut outcome, at(1_990)), After::Done);
    assert_eq!((outcome.cause, outcome.between_attempts), (None, false));
}

#[test]
fn the_deadline_above_us_does_not_move_from_attempt_to_attempt() {
    let parent = Duration::from_secs(10);
    let limits = Limits { parent_timeout: Some(parent), ..limits(Some(8), None) };
    let mut tries = Tries::new(three(), &limits, SEED);
    assert_eq!(tries.begin(at(0)).wall(), Some((Duration::from_secs(8), TimeoutReason::Total)));
    assert_ne!(tries.over(&mut exited(1), at(5_000)), After::Done);
    let wall = tries.begin(at(6_000)).wall();
    assert_eq!(wall, Some((Duration::from_secs(4), TimeoutReason::ParentDeadline)));
    let mut outcome = exited(1);
    assert_eq!(tries.over(&mut outcome, at(9_900)), After::Done);
    let expected = Cause::Timeout { reason: TimeoutReason::ParentDeadline, limit: parent };
    assert_eq!(outcome.cause, Some(expected));
}

#[test]
fn an_attempt_that_came_late_is_given_no_time_and_not_too_much() {
    let retry = Retry { total_timeout: Some(Duration::from_secs(2)), ..three() };
    let mut tries = Tries::new(retry, &limits(None, None), SEED);
    tries.begin(at(0));
    assert_ne!(tries.over(&mut exited(1), at(0)), After::Done);
    assert_eq!(tries.begin(at(9_000)).wall(), Some((Duration::from_millis(1), TimeoutReason::TotalBudget)));
}

#[test]
fn what_could_not_be_begun_is_tried_again_where_errors_are_named() {
    for (retry, expected) in [(three(), false), (on("error"), true), (on("timeout"), false), (never_on("error"), false)]
    {
        let mut tries = Tries::new(retry, &limits(None, None), SEED);
        tries.begin(at(0));
        let after = tries.refused(ErrorCode::ServiceUnavailable, "out of processes", at(1));
        assert_eq!(after != After::Done, expected);
        let attempt = &tries.attempts()[0];
        assert_eq!(attempt.code, Some(ErrorCode::ServiceUnavailable));
        assert_eq!(attempt.message.as_deref(), Some("could not be begun: out of processes"));
        tries.begin(at(2));
        assert_eq!((tries.number(), tries.number_begun()), (2, 1));
    }
}

#[test]
fn leftovers_of_a_failure_go_where_another_attempt_may_follow() {
    let mut tries = Tries::new(Retry { retries: 1, ..Retry::default() }, &limits(None, None), SEED);
    tries.begin(at(0));
    assert_eq!(tries.leftovers(Leftovers::Report), Leftovers::KillAfterFailure);
    assert_eq!(tries.leftovers(Leftovers::Kill), Leftovers::Kill);
    assert_eq!(tries.leftovers(Leftovers::Wait), Leftovers::Wait);
    tries.over(&mut exited(1), at(1));
    tries.begin(at(2));
    assert_eq!(tries.leftovers(Leftovers::Report), Leftovers::Report);
}

#[test]
fn an_attempt_says_what_went_wrong() {
    for (outcome, expected) in [
        (exited(75), "exited with code 75"),
        (stopped(TimeoutReason::Total), "exceeded its timeout of 2 s"),
        (stopped(TimeoutReason::Idle), "was idle for 2 s"),
        (Outcome::plain(None, End::Signaled { signal: Signal::PIPE, core_dumped: true }), "was killed by SIGPIPE"),
        (not_started(libc::ENOENT), "could not be run: No such file or directory"),
        (exited(0), "succeeded"),
    ] {
        let mut tries = Tries::new(three(), &limits(None, None), SEED);
        tries.begin(at(0));
        let mut outcome = outcome;
        tries.over(&mut outcome, at(1));
        assert_eq!(tries.attempts()[0].failure(), expected);
    }
}

#[test]
fn very_many_attempts_are_not_all_remembered() {
    let retry = Retry { retries: 5_000, delay: Duration::ZERO, ..Retry::default() };
    let mut tries = Tries::new(retry, &limits(None, None), SEED);
    for _ in 0..2_000 {
        tries.begin(at(0));
        assert_ne!(tries.over(&mut exited(1), at(0)), After::Done);
    }
    let numbers: Vec<u32> = tries.attempts().iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(numbers.len(), REMEMBERED);
    assert_eq!(numbers[..FIRST], (1..=FIRST as u32).collect::<Vec<_>>());
    assert_eq!(numbers[FIRST..], (2_001 - (REMEMBERED - FIRST) as u32..=2_000).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn a_delay_is_between_half_and_the_whole(
        seed in any::<u64>(),
        millis in 0_u64..100_000,
        backoff in 1.0_f64..1e6,
        attempts in 1_u32..200,
    ) {
        let delay = Duration::from_millis(millis);
        let max_delay = Duration::from_secs(60);
        let retry = Retry { retries: u32::MAX, delay, backoff, max_delay, ..Retry::default() };
        let mut tries = Tries::new(retry, &limits(None, None), seed);
        let mut nominal = delay.as_secs_f64();
        let longest = nominal.max(60.0);
        for _ in 0..attempts {
            tries.begin(at(0));
            let After::Again { delay } = tries.over(&mut exited(1), at(0)) else { panic!("again") };
            let whole = nominal.min(longest);
            assert!(delay.as_secs_f64() <= whole + 1e-6, "{delay:?} of {whole}");
            assert!(delay.as_secs_f64() >= whole / 2.0 - 1e-6, "{delay:?} of {whole}");
            nominal = (nominal * backoff).min(1e9);
        }
    }
}
