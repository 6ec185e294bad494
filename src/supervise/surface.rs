//! What the event loop lends to a job while it acts for it.
//!
//! Only the watchdog makes one, for the time of one call.

use crate::model::event::Event;
use crate::platform::poller::Poller;
use crate::supervise::machine::Timer;
use crate::time::clock::Moment;
use crate::time::deadlines::Deadlines;

/// Identifies a job within the watchdog.
pub(super) type JobId = usize;

/// What the event loop shares with its jobs.
pub(super) struct Surface<'a> {
    pub(super) poller: &'a Poller,
    pub(super) deadlines: &'a mut Deadlines<(JobId, Timer)>,
    /// What happened and was not told on yet, by the tags of the jobs.
    pub(super) told: &'a mut Vec<(u64, Event)>,
    pub(super) now: Moment,
}
