//! The attempts of one job: whether there is another one, when it begins, and how long it may take. Pure: it is told the
//! time and a number for its chances.
//!
//! Whoever runs the job asks it before each attempt and after it.

use std::time::Duration;

use crate::model::answer::error_code;
use crate::model::attempt::{Attempt, rounded};
use crate::model::batch::Verdict;
use crate::model::envelope::ErrorCode;
use crate::model::exit_code::{self, CANNOT_RUN, Exit, NOT_FOUND, RUNNER_FAILED};
use crate::model::job::{Budget, Leftovers, Limits};
use crate::model::outcome::{Cause, End, Outcome, StreamRecord, TimeoutReason};
use crate::model::quantity::Seconds;
use crate::model::retry::{Condition, Retry, output_pattern};
use crate::time::clock::Moment;
use crate::time::duration::LONGEST;

/// The least that an attempt is given, so that its end has a cause.
const LEAST: Duration = Duration::from_millis(1);
/// So many attempts are remembered. Of more, those in the middle are forgotten.
const REMEMBERED: usize = 1000;
/// So many of the first ones are never forgotten.
const FIRST: usize = 100;

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: the job is over.
    Done,
    /// Another attempt, after so long.
    Again { delay: Duration },
}

/// The attempts of one job, from the first to the last.
#[derive(Clone, Debug)]
pub struct Tries {
    retry: Retry,
    /// What holds for the next attempt; the time of others is counted from the first one.
    limits: Limits,
    /// Any number. It decides how long each delay is, within its bounds.
    seed: u64,
    /// When the first attempt began.
    first: Option<Moment>,
    /// When the present one began.
    begun: Moment,
    /// The wall time of the present one.
    wall: Option<Duration>,
    number: u32,
    most: u32,
    /// Attempts that could not be begun.
    refusals: u32,
    stopped: bool,
    attempts: Vec<Attempt>,
}

impl Tries {
    /// The attempts of a job with these limits. `seed` is any number, another one for each job.
    pub fn new(retry: Retry, limits: &Limits, seed: u64) -> Self {
        Self {
            most: retry.retries.saturating_add(1),
            retry,
            limits: limits.clone(),
            seed,
            first: None,
            begun: Moment::default(),
            wall: None,
            number: 0,
            refusals: 0,
            stopped: false,
            attempts: Vec::new(),
        }
    }

    /// Another attempt begins now. Gives its limits.
    pub fn begin(&mut self, now: Moment) -> Limits {
        let first = *self.first.get_or_insert(now);
        let spent = now - first;
        self.begun = now;
        self.number = self.number.saturating_add(1);
        let rest = |whole: Duration| whole.saturating_sub(spent).max(LEAST);
        let limits = Limits {
            parent_timeout: self.limits.parent_timeout.map(rest),
            budget: self.retry.total_timeout.map(|whole| Budget { whole, left: rest(whole) }),
            ..self.limits.clone()
        };
        self.wall = limits.wall().map(|(wall, _)| wall);
        limits
    }

    /// The present attempt could not be started for a shortage, and does not count. `restart_clock`: the time of all
    /// attempts begins with the next one, if this was the first.
    pub fn put_back(&mut self, restart_clock: bool) {
        self.number = self.number.saturating_sub(1);
        if self.number == 0 && restart_clock {
            self.first = None;
        }
    }

    /// The number of the present attempt, from 1. Before the first one it is 0.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The number of the present attempt among those that could be begun, from 1.
    pub fn number_begun(&self) -> u32 {
        self.number.saturating_sub(self.refusals)
    }

    /// How many attempts there may be at most.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// Every attempt that is over. Of very many, some in the middle are missing.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The same, for an answer.
    pub fn into_attempts(self) -> Vec<Attempt> {
        self.attempts
    }

    /// Another attempt may follow the present one.
    pub fn may_go_on(&self) -> bool {
        self.number < self.most && !self.stopped
    }

    /// No attempt follows the present one, whatever it comes to.
    pub fn end(&mut self) {
        self.stopped = true;
    }

    /// What happens to the leftovers of the present attempt. The next attempt may only begin when the tree of the last is
    /// gone, so those of a failure are ended where another attempt may follow, whatever was asked for.
    pub fn leftovers(&self, asked: Leftovers) -> Leftovers {
        if asked == Leftovers::Report && self.may_go_on() { Leftovers::KillAfterFailure } else { asked }
    }

    /// When there is no time left for any attempt. None: never, or the first one has not begun.
    pub fn out_of_time_at(&self) -> Option<Moment> {
        let whole = [self.retry.total_timeout, self.limits.parent_timeout].into_iter().flatten().min()?;
        self.first.map(|first| first + whole)
    }

    /// The present attempt came to this. Where another one is due that there is no time for, that becomes the cause of
    /// the outcome.
    pub fn over(&mut self, outcome: &mut Outcome, now: Moment) -> After {
        self.remember(Attempt::of(self.number, outcome, self.wall));
        if let Some(Cause::Timeout { reason: TimeoutReason::Total, .. }) = outcome.cause {
            self.grow();
        }
        if !self.may_go_on() || !self.is_worth_another(outcome) {
            return After::Done;
        }
        match self.next_delay(now) {
            Ok(delay) => self.again(delay),
            Err(cause) => {
                outcome.end_between_attempts(cause);
                After::Done
            }
        }
    }

    /// The present attempt could not be begun, and nothing of it runs.
    pub fn refused(&mut self, code: ErrorCode, message: &str, now: Moment) -> After {
        self.refusals = self.refusals.saturating_add(1);
        self.remember(Attempt::refused(self.number, code, message));
        let named = |conditions: &[Condition]| conditions.contains(&Condition::Error);
        if !self.may_go_on() || named(&self.retry.never_on) || !named(&self.retry.on) {
            return After::Done;
        }
        self.next_delay(now).map_or(After::Done, |delay| self.again(delay))
    }

    /// What the job came to with this outcome of its last attempt. None: that could not be begun, or there was none.
    pub fn verdict(&self, outcome: Option<&Outcome>) -> Verdict {
        let Some(outcome) = outcome else {
            return if self.attempts.is_empty() { Verdict::Skipped } else { Verdict::Failed };
        };
        match outcome.cause {
            Some(Cause::Timeout { .. }) => Verdict::TimedOut,
            Some(Cause::Cancelled { .. } | Cause::CalledOff) => Verdict::Cancelled,
            None if error_code(outcome).is_some() => Verdict::Failed,
            None if self.attempts.len() > 1 => Verdict::Flaky,
            None => Verdict::Succeeded,
        }
    }

    fn again(&mut self, delay: Duration) -> After {
        if let Some(last) = self.attempts.last_mut() {
            last.delay_seconds = Some(Seconds(rounded(delay)));
        }
        After::Again { delay }
    }

    fn remember(&mut self, attempt: Attempt) {
        if self.attempts.len() == REMEMBERED {
            self.attempts.remove(FIRST);
        }
        self.attempts.push(attempt);
    }

    /// It failed in a way that is to be tried again, and nothing of it is left.
    fn is_worth_another(&self, outcome: &Outcome) -> bool {
        use TimeoutReason::{Idle, ParentDeadline, Total, TotalBudget};
        let failed = self.attempts.last().is_some_and(|attempt| attempt.code.is_some());
        let possible = match outcome.cause {
            None | Some(Cause::Timeout { reason: Total | Idle, .. }) => true,
            Some(
                Cause::Cancelled { .. }
                | Cause::CalledOff
                | Cause::Timeout { reason: TotalBudget | ParentDeadline, .. },
            ) => false,
        };
        // Nobody reads what another attempt would write.
        let in_vain = outcome.reader_gone;
        let gone = outcome.survivors == Some(Vec::new()) && outcome.leftovers == Some(Vec::new());
        if !failed || !possible || in_vain || !gone {
            return false;
        }
        let any = |conditions: &[Condition]| conditions.iter().any(|condition| holds(condition, outcome));
        !any(&self.retry.never_on)
            && if self.retry.on.is_empty() { !is_incurable(outcome) } else { any(&self.retry.on) }
    }

    /// After a timeout the next attempt gets more time.
    fn grow(&mut self) {
        if let Some(timeout) = self.limits.timeout {
            let grown = scaled(timeout, self.retry.timeout_growth).max(timeout);
            self.limits.timeout = Some(self.limits.max_timeout.map_or(grown, |max| grown.min(max)));
        }
    }

    /// The wait before the next attempt, or why there is none.
    fn next_delay(&self, now: Moment) -> Result<Duration, Cause> {
        let delay = self.delay();
        let spent = now - self.first.unwrap_or(now);
        let limits = [
            (self.retry.total_timeout, TimeoutReason::TotalBudget),
            (self.limits.parent_timeout, TimeoutReason::ParentDeadline),
        ];
        let whole = limits.into_iter().filter_map(|(limit, reason)| Some((limit?, reason)));
        match whole.min_by_key(|(limit, _)| *limit) {
            Some((limit, reason)) if spent.saturating_add(delay) >= limit => Err(Cause::Timeout { reason, limit }),
            _ => Ok(delay),
        }
    }

    /// The first delay is never cut.
    fn longest_delay(&self) -> Duration {
        self.retry.max_delay.max(self.retry.delay)
    }

    /// By chance between half and the whole of what was asked for, so that many jobs that failed together do not come
    /// back together, and none later than was said.
    fn delay(&self) -> Duration {
        let exponent = i32::try_from(self.number.saturating_sub(1)).unwrap_or(i32::MAX);
        let whole = scaled(self.retry.delay, self.retry.backoff.powi(exponent)).min(self.longest_delay());
        // The upper bits make a fraction below one that a double holds exactly.
        let chance = (mixed(self.seed, self.number) >> 11) as f64 / (1_u64 << 53) as f64;
        whole - scaled(whole, chance / 2.0)
    }
}

/// The failure is of this kind.
fn holds(condition: &Condition, outcome: &Outcome) -> bool {
    let by_itself = outcome.cause.is_none();
    match condition {
        Condition::Timeout => {
            matches!(outcome.cause, Some(Cause::Timeout { reason, .. }) if reason != TimeoutReason::Idle)
        }
        Condition::Idle => matches!(outcome.cause, Some(Cause::Timeout { reason: TimeoutReason::Idle, .. })),
        Condition::Exit(codes) => by_itself && matches!(outcome.end, End::Exited(code) if codes.contains(&code)),
        Condition::Signal => by_itself && matches!(outcome.end, End::Signaled { .. }),
        // The code 0 of a failure: its output could not be written.
        Condition::Error => by_itself && matches!(outcome.end, End::NotStarted(_) | End::Unknown | End::Exited(0)),
        Condition::Match(pattern) => {
            let pattern = output_pattern(pattern);
            pattern.is_ok_and(|pattern| {
                let texts = texts(&outcome.stdout).into_iter().chain(texts(&outcome.stderr));
                texts.into_iter().any(|text| pattern.is_match(&String::from_utf8_lossy(&text)))
            })
        }
    }
}

/// What was kept of a stream, in one part or, where its middle is missing, in two.
fn texts(record: &StreamRecord) -> Vec<Vec<u8>> {
    if record.omitted == 0 {
        return vec![[&record.head[..], &record.tail[..]].concat()];
    }
    vec![record.head.clone(), record.tail.clone()]
}

/// Trying again would not help: the command cannot be run, or runner, this one or one below, was called wrongly.
fn is_incurable(outcome: &Outcome) -> bool {
    matches!(exit_code::of_outcome(outcome), Exit::Code(RUNNER_FAILED | CANNOT_RUN | NOT_FOUND))
}

/// A duration so many times, which may be infinitely many. What is too long is the longest there is.
fn scaled(duration: Duration, factor: f64) -> Duration {
    if duration.is_zero() {
        return duration;
    }
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).map_or(LONGEST, |scaled| scaled.min(LONGEST))
}

/// SplitMix64: a number that looks like chance, always the same for the same two.
fn mixed(seed: u64, number: u32) -> u64 {
    let mut bits = seed.wrapping_add(u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
#[path = "tries_tests.rs"]
mod tests;
