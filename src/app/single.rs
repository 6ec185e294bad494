//! The foreman of one job: starts it, and tells on what happens.
//!
//! Called on the thread that holds the deadlines. What kept the job from being begun is left in a slot of the caller.

use crate::backend::{Assignment, Foreman, Next};
use crate::error::Error;
use crate::model::event::Event;
use crate::model::outcome::Cause;
use crate::time::clock::Moment;

/// One job, until it is over.
pub(super) struct Single<'a, L> {
    assignment: Option<Box<Assignment>>,
    listener: L,
    failure: &'a mut Option<Error>,
}

impl<'a, L: FnMut(Event) + Send> Single<'a, L> {
    pub(super) fn new(assignment: Assignment, listener: L, failure: &'a mut Option<Error>) -> Self {
        Self { assignment: Some(Box::new(assignment)), listener, failure }
    }
}

impl<L: FnMut(Event) + Send> Foreman for Single<'_, L> {
    fn next(&mut self, _now: Moment) -> Next {
        self.assignment.take().map_or(Next::Over, Next::Start)
    }

    fn hear(&mut self, _tag: u64, event: Event, _now: Moment) {
        (self.listener)(event);
    }

    fn refused(&mut self, _tag: u64, error: Error, _now: Moment) {
        *self.failure = Some(error);
    }

    fn stop(&mut self, _cause: Cause) {}
}
