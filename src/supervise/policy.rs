//! What the state machine holds one attempt to: its own limits, and those that hold for every job.
//!
//! Plain data, made from a job's limits when the attempt starts.

use std::time::Duration;

use crate::model::job::{Leftovers, Limits, Scope};
use crate::model::outcome::TimeoutReason;
use crate::model::signal::Signal;

/// How long the end of the writers is awaited after the end of the leader.
pub const DRAIN_LIMIT: Duration = Duration::from_millis(500);
/// How long a killed tree may take to be gone.
pub const REAP_LIMIT: Duration = Duration::from_secs(2);
/// How often a kill is repeated until then.
pub const KILL_PERIOD: Duration = Duration::from_millis(50);
/// How long our reader has to take what is left after a stop.
pub const DELIVERY_LIMIT: Duration = Duration::from_secs(1);
/// How long a stop waits for a command that is still being executed.
pub const START_LIMIT: Duration = Duration::from_secs(1);
/// Grace period of the rest of a tree after the leader's exit if none was set: the default of `exec`.
pub const REST_GRACE: Duration = Duration::from_secs(5);
/// Grace period of processes that get the stop signal only at the end of the command's grace period.
pub const LATE_GRACE: Duration = Duration::from_millis(250);
/// A job that ends within this after an interrupt from its terminal has ended by itself.
pub const OWN_END_LIMIT: Duration = Duration::from_millis(250);
/// A second interrupt from the terminal within this stops an interactive job.
pub const SECOND_INTERRUPT_LIMIT: Duration = Duration::from_secs(1);

/// The limits that the machine holds a job to.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub wall: Option<(Duration, TimeoutReason)>,
    /// What is named as the limit when the time for all attempts together strikes.
    pub budget: Option<Duration>,
    /// What the wall time may be extended to at most, with the reason to name there. None: it may not be.
    pub longest: Option<(Duration, TimeoutReason)>,
    /// The same where it is not the job that asks, with the reason to name there. None: nothing bounds it.
    pub bound: Option<(Duration, TimeoutReason)>,
    pub idle: Option<Duration>,
    pub warn: Option<Duration>,
    pub warn_signal: Option<Signal>,
    pub stop_signal: Signal,
    pub grace: Option<Duration>,
    /// The time from the start within which the outer runner must have the answer; it bounds every grace period.
    pub answer_by: Option<Duration>,
    pub scope: Scope,
    pub leftovers: Leftovers,
}

impl Policy {
    pub fn of(limits: &Limits, leftovers: Leftovers) -> Self {
        Self {
            wall: limits.wall(),
            budget: limits.budget.map(|budget| budget.whole),
            longest: limits.longest(),
            bound: limits.bound(),
            idle: limits.idle_timeout,
            warn: limits.warn_after,
            warn_signal: limits.warn_signal,
            stop_signal: limits.stop_signal,
            grace: limits.grace,
            answer_by: limits.parent_timeout,
            scope: limits.scope,
            leftovers,
        }
    }
}
