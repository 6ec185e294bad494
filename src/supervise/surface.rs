//! What the event loop lends to a job while it acts for it.
//!
//! Only the watchdog makes one, for the time of one call.

use std::collections::BTreeSet;

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
    /// Jobs that are done and are to be let go of.
    pub(super) finished: &'a mut Vec<JobId>,
    /// Jobs of which some thread keeps bytes waiting.
    pub(super) held_up: &'a mut BTreeSet<JobId>,
    pub(super) now: Moment,
}
