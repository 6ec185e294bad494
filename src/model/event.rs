//! What happens to a job while it runs, told to renderers as it happens.
//!
//! Events are in the past tense. They inform and decide nothing.

use std::time::Duration;

use crate::model::outcome::{Cause, Leftover, Outcome};
use crate::model::signal::Signal;

/// One thing that happened to one job.
#[derive(Debug)]
pub enum Event {
    /// The command runs.
    JobStarted { pid: i32 },
    /// `--warn-after` has passed.
    WarningReached { elapsed: Duration, timeout: Option<Duration> },
    /// The ladder was begun, or climbed to KILL.
    StopBegun { cause: Cause, signal: Signal },
    /// A signal that reached us was passed on.
    SignalForwarded(Signal),
    /// Processes live on after the leader ended by itself.
    LeftoversFound(Vec<Leftover>),
    /// The end. Nothing follows.
    JobFinished(Box<Outcome>),
}
