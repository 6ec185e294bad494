//! The foreman of one job: makes its attempts, one after the other, and tells on what happens.
//!
//! Called on the thread that holds the deadlines. Whoever listens hears one end, that of the last attempt. What else the
//! answer needs is left in a slot of the caller.

use std::time::Duration;

use crate::backend::{Assignment, Foreman, Next};
use crate::batch::start_backoff::{AfterShortage, StartBackoff};
use crate::batch::tries::{After, Tries};
use crate::error::{Error, Result};
use crate::model::attempt::Attempt;
use crate::model::event::{Event, Live, Place};
use crate::model::job::Limits;
use crate::model::outcome::{Cause, End, Outcome};
use crate::model::quantity::Seconds;
use crate::time::clock::Moment;

/// Between two attempts signals and deadlines are looked at, also where no delay was asked for.
const BREATH: Duration = Duration::from_micros(1);

/// How long a start is retried during a shortage; never beyond the time limit of the job.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// What there is to say of a job that is over, beside its outcome.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Why its last attempt could not be begun. There is no outcome then.
    pub(super) failure: Option<Error>,
    pub(super) attempts: Vec<Attempt>,
}

/// One job, until it is over.
pub(super) struct Single<'a, P, L> {
    tries: Tries,
    /// Makes an attempt ready, by its number and with its limits.
    prepare: P,
    listener: L,
    ended: &'a mut Ended,
    state: State,
    /// How often the listener hears that time passed.
    pulse: Option<Duration>,
    backoff: StartBackoff,
    /// What the attempt before came to, until the present one runs.
    last: Option<Box<Outcome>>,
}

enum State {
    /// The next attempt begins then. `last` is what the one before came to, where one was begun.
    Waiting {
        since: Moment,
        until: Moment,
        last: Option<Box<Outcome>>,
        next_pulse: Moment,
    },
    Running,
    Over,
}

impl<'a, P, L> Single<'a, P, L>
where
    P: FnMut(u32, Limits) -> Result<Assignment> + Send,
    L: FnMut(Event) + Send,
{
    pub(super) fn new(tries: Tries, prepare: P, listener: L, ended: &'a mut Ended) -> Self {
        let start = Moment::default();
        let state = State::Waiting { since: start, until: start, last: None, next_pulse: start };
        let backoff = StartBackoff::new(START_PATIENCE);
        Self { tries, prepare, listener, ended, state, pulse: None, backoff, last: None }
    }

    fn begin(&mut self, now: Moment) -> Next {
        if let State::Waiting { last, .. } = std::mem::replace(&mut self.state, State::Running) {
            self.last = last;
        }
        let limits = self.tries.begin(now);
        if let Some((wall, _)) = limits.wall() {
            self.backoff.limit_patience(wall);
        }
        match (self.prepare)(self.tries.number(), limits) {
            Ok(mut assignment) => {
                // The log of an earlier run is no part of ours.
                assignment.attempt = self.tries.number_begun();
                assignment.spec.leftovers = self.tries.leftovers(assignment.spec.leftovers);
                self.pulse = assignment.pulse;
                Next::Start(Box::new(assignment))
            }
            Err(error) => {
                self.refused(0, error, now);
                self.await_turn()
            }
        }
    }

    /// Another attempt comes after so long.
    fn wait(&mut self, delay: Duration, last: Option<Box<Outcome>>, now: Moment) {
        if let Some(attempt) = self.tries.attempts().last() {
            let of = self.tries.most();
            (self.listener)(Event::RetryPlanned { attempt: Box::new(attempt.clone()), of, delay });
        }
        let until = now + delay.max(BREATH);
        self.state = State::Waiting { since: now, until, last, next_pulse: now };
    }

    /// When to ask again.
    fn await_turn(&self) -> Next {
        let State::Waiting { until, next_pulse, .. } = self.state else { return Next::Over };
        Next::Wait { until: Some(if self.pulse.is_some() { until.min(next_pulse) } else { until }) }
    }

    /// How it stands while nothing runs.
    fn standing(&self, now: Moment) -> Option<Live> {
        let State::Waiting { since, until, .. } = self.state else { return None };
        let place = Place { number: self.tries.number() + 1, of: self.tries.most() };
        Some(Live { elapsed: now - since, attempt: Some(place), begins_in: Some(until - now), ..Live::default() })
    }

    /// Tells that time passes, as a running job would.
    fn tell_wait(&mut self, now: Moment) {
        let (State::Waiting { next_pulse, .. }, Some(pulse)) = (&mut self.state, self.pulse) else { return };
        if now < *next_pulse {
            return;
        }
        *next_pulse = now + pulse;
        if let Some(live) = self.standing(now) {
            (self.listener)(Event::TimePassed(live));
        }
    }

    fn finish(&mut self, outcome: Option<Box<Outcome>>) {
        self.state = State::Over;
        self.ended.attempts = self.tries.attempts().to_vec();
        if let Some(outcome) = outcome {
            (self.listener)(Event::JobFinished(outcome));
        }
    }

    /// The event, with what only we know.
    fn completed(&self, mut event: Event) -> Event {
        if let Event::TimePassed(live) | Event::StatusRequested(live) = &mut event
            && self.tries.most() > 1
        {
            live.attempt = Some(Place { number: self.tries.number(), of: self.tries.most() });
        }
        event
    }
}

impl<P, L> Foreman for Single<'_, P, L>
where
    P: FnMut(u32, Limits) -> Result<Assignment> + Send,
    L: FnMut(Event) + Send,
{
    fn next(&mut self, now: Moment) -> Next {
        match self.state {
            State::Waiting { until, .. } if now >= until => self.begin(now),
            State::Waiting { .. } => {
                self.tell_wait(now);
                self.await_turn()
            }
            State::Running | State::Over => Next::Over,
        }
    }

    fn hear(&mut self, _tag: u64, event: Event, now: Moment) {
        match event {
            Event::JobStarted { .. } => {
                self.backoff.on_started();
                self.last = None;
                (self.listener)(event);
            }
            Event::JobFinished(mut outcome) => match self.tries.over(&mut outcome, now) {
                After::Again { delay } => self.wait(delay, Some(outcome), now),
                After::Done => self.finish(Some(outcome)),
            },
            event => {
                let event = self.completed(event);
                (self.listener)(event);
            }
        }
    }

    fn refused(&mut self, _tag: u64, error: Error, now: Moment) {
        match self.tries.refused(error.kind(), &error.to_string(), now) {
            After::Again { delay } => self.wait(delay, None, now),
            After::Done => {
                self.ended.failure = Some(error);
                self.finish(None);
            }
        }
    }

    fn on_shortage(&mut self, tag: u64, error: Error, now: Moment) {
        let patience = Seconds(self.backoff.patience(&error));
        let after = self.backoff.on_shortage(&error, 0, now);
        let AfterShortage::Wait { first } = after else { return self.refused(tag, error, now) };
        if let (true, Error::Shortage { limit, .. }) = (first, error) {
            (self.listener)(Event::StartDelayed { reason: format!("{limit}; trying for {patience} s") });
        }
        // The time of all attempts goes by meanwhile.
        self.tries.put_back(false);
        let until = self.backoff.until(now, || false).unwrap_or(now + BREATH);
        self.state = State::Waiting { since: now, until, last: self.last.take(), next_pulse: now };
    }

    fn asked(&mut self, now: Moment) {
        if let Some(live) = self.standing(now) {
            (self.listener)(Event::StatusRequested(live));
        }
    }

    fn stop(&mut self, cause: Cause) {
        self.tries.end();
        let State::Waiting { last, .. } = &mut self.state else { return };
        let mut outcome = last.take().unwrap_or_else(|| Box::new(Outcome::bare(None, End::Unknown)));
        outcome.end_between_attempts(cause);
        self.finish(Some(outcome));
    }
}
