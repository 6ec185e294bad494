//! The foreman of one job: makes its attempts, one after the other, and tells on what happens.
//!
//! Called on the thread that holds the deadlines. Whoever listens hears one end, that of the last attempt. What else the
//! answer needs is left in a slot of the caller.

use std::time::Duration;

use crate::backend::{Assignment, Foreman, Next};
use crate::batch::tries::{After, Tries};
use crate::error::{Error, Result};
use crate::model::attempt::Attempt;
use crate::model::event::{Event, Live, Place};
use crate::model::job::Limits;
use crate::model::outcome::{Cause, End, Outcome};
use crate::time::clock::Moment;

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
        Self { tries, prepare, listener, ended, state, pulse: None }
    }

    fn begin(&mut self, now: Moment) -> Next {
        self.state = State::Running;
        let limits = self.tries.begin(now);
        match (self.prepare)(self.tries.number(), limits) {
            Ok(mut assignment) => {
                assignment.spec.leftovers = self.tries.leftovers(assignment.spec.leftovers);
                self.pulse = assignment.pulse;
                Next::Start(Box::new(assignment))
            }
            Err(error) => {
                self.refused(0, error, now);
                self.next(now)
            }
        }
    }

    /// Another attempt comes after so long.
    fn wait(&mut self, delay: Duration, last: Option<Box<Outcome>>, now: Moment) {
        if let Some(attempt) = self.tries.attempts().last() {
            let of = self.tries.most();
            (self.listener)(Event::RetryPlanned { attempt: Box::new(attempt.clone()), of, delay });
        }
        self.state = State::Waiting { since: now, until: now + delay, last, next_pulse: now };
    }

    /// Tells that time passes, as a running job would.
    fn tell_wait(&mut self, now: Moment) {
        let (State::Waiting { since, until, next_pulse, .. }, Some(pulse)) = (&mut self.state, self.pulse) else {
            return;
        };
        if now < *next_pulse {
            return;
        }
        *next_pulse = now + pulse;
        let place = Place { number: self.tries.number() + 1, of: self.tries.most() };
        let (elapsed, begins_in) = (now - *since, Some(*until - now));
        (self.listener)(Event::TimePassed(Live { elapsed, attempt: Some(place), begins_in, ..Live::default() }));
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
            State::Waiting { until, .. } => {
                self.tell_wait(now);
                let pulse = if let State::Waiting { next_pulse, .. } = self.state { next_pulse } else { until };
                Next::Wait { until: Some(if self.pulse.is_some() { until.min(pulse) } else { until }) }
            }
            State::Running | State::Over => Next::Over,
        }
    }

    fn hear(&mut self, _tag: u64, event: Event, now: Moment) {
        match event {
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

    fn stop(&mut self, cause: Cause) {
        self.tries.end();
        let State::Waiting { last, .. } = &mut self.state else { return };
        let mut outcome = last.take().unwrap_or_else(|| Box::new(Outcome::bare(None, End::Unknown)));
        outcome.end_between_attempts(cause);
        self.finish(Some(outcome));
    }
}
