//! What happens to a job while it runs, told to renderers as it happens.
//!
//! Events are in the past tense. They inform and decide nothing.

use std::time::Duration;

use serde_json::Value;

use crate::model::attempt::Attempt;
use crate::model::outcome::{Cause, Leftover, Outcome, Progress};
use crate::model::signal::Signal;

/// What a job says of itself is shown up to so many bytes; the rest of it is cut off.
pub const STATUS_LIMIT: usize = 400;

/// One thing that happened to one job.
#[derive(Debug)]
pub enum Event {
    /// The command runs.
    JobStarted { pid: i32 },
    /// Time went by. Comes at a steady pace, to those who asked for it.
    TimePassed(Live),
    /// The job wrote more. Comes at most once a second, to those who asked for it.
    OutputGrew { stdout_bytes: u64, stderr_bytes: u64 },
    /// The job said how far it is.
    ProgressReported(Progress),
    /// The job said what it is doing: one line without control characters.
    StatusReported(String),
    /// The job said what it has so far.
    PartialReported(Value),
    /// The job asked for more time and got it. `timeout` is the wall time that holds now; `capped`: not all of it.
    DeadlineExtended { timeout: Duration, capped: bool },
    /// Whoever gave the job asked to move its deadline. `wall` is the wall time that holds now; none: it stays.
    DeadlineMoved { order: i64, wall: Option<Duration> },
    /// The job asked for more time and did not get it.
    ExtensionRefused { reason: &'static str },
    /// The job said that it is stopping.
    StoppingReported,
    /// The job said something that could not be understood.
    MessageRefused { reason: String },
    /// `--warn-after` has passed.
    WarningReached { elapsed: Duration, timeout: Option<Duration> },
    /// The ladder was begun, or climbed to KILL.
    StopBegun { cause: Cause, signal: Signal },
    /// A signal asked for the end of the job, which may take its grace. What is known of it by now.
    StopRequested(Box<Outcome>),
    /// A signal that reached us was passed on.
    SignalForwarded(Signal),
    /// Processes live on after the leader ended by itself.
    LeftoversFound(Vec<Leftover>),
    /// Somebody asked how it stands. `processes` is set.
    StatusRequested(Live),
    /// The command could not be started because something is short, and is tried again. `reason` names the limit.
    StartDelayed { reason: String },
    /// An attempt failed, and another one will be made after so long, of so many at most.
    RetryPlanned { attempt: Box<Attempt>, of: u32, delay: Duration },
    /// The end. Nothing follows.
    JobFinished(Box<Outcome>),
}

/// How a job stands at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    /// From the start of the attempt; time stopped by job control left out.
    pub elapsed: Duration,
    /// The wall time that holds, extensions included.
    pub timeout: Option<Duration>,
    /// How far it is, by its own account.
    pub progress: Option<Progress>,
    /// What it is doing, by its own account; empty where it never said.
    pub status: String,
    /// Since its last byte or message.
    pub silent_for: Duration,
    pub stdout_bytes: u64,
    pub stderr_bytes: u64,
    /// It is being stopped.
    pub stopping: Option<Stopping>,
    /// Living processes of its tree, where they were counted.
    pub processes: Option<usize>,
    /// Which attempt it is, where there may be several.
    pub attempt: Option<Place>,
    /// Nothing runs: the attempt begins after so long. `elapsed` counts from the end of the last one then.
    pub begins_in: Option<Duration>,
}

/// Which of so many it is, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub number: u32,
    pub of: u32,
}

/// A stop under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopping {
    /// The last signal sent.
    pub signal: Signal,
    /// Until KILL, where that is to come.
    pub kill_in: Option<Duration>,
}
