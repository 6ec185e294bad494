//! Where the watchdog's jobs come from, and who hears of them.
//!
//! Called on the watchdog's thread, which holds the deadlines: nothing here may wait.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::capture::lines::Lines;
use crate::capture::output_log::OutputRecorder;
use crate::capture::stage::Stage;
use crate::control::inlet::Inlet;
use crate::error::Error;
use crate::model::event::Event;
use crate::model::job::{JobSpec, Streams};
use crate::model::outcome::Cause;
use crate::platform::tree::TreeSpec;
use crate::time::clock::Moment;

/// Gives jobs, and hears what becomes of them.
pub trait Feed {
    /// What to do now. Asked after every change, again and again until there is nothing to do.
    fn next(&mut self, now: Moment) -> Supply;

    /// Something happened to the job of this tag.
    fn hear(&mut self, tag: u64, event: Event, now: Moment);

    /// The job of this tag could not be begun, and nothing of it runs.
    fn refused(&mut self, tag: u64, error: Error, now: Moment);

    /// We were told to stop: the jobs that run are being stopped, and no other may begin.
    fn stop(&mut self, cause: Cause);

    /// Somebody asked how it stands. The jobs that run tell by themselves.
    fn asked(&mut self, now: Moment);

    /// Rung by other threads when `next` may have another answer.
    fn doorbell(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Makes the doorbell quiet again.
    fn clear_doorbell(&self) {}
}

/// Everything that starts a job.
#[derive(Debug)]
pub struct Submission {
    /// Whoever gave the job knows it by this.
    pub tag: u64,
    pub spec: JobSpec,
    pub streams: Streams,
    /// Program, arguments and environment, made ready.
    pub tree: TreeSpec,
    /// The open log, where one is wanted.
    pub log: Option<OwnedFd>,
    /// The job's socket, where it has one.
    pub inlet: Option<Inlet>,
    /// The terminal that the job shares with a bar, where there is one.
    pub stage: Option<Arc<Stage>>,
    /// Where its lines go, for a route that writes lines. Jobs that come in numbers have it in any case.
    pub lines: Option<Lines>,
    /// Where every byte of its output is kept, for whoever looks later.
    pub record: Option<Arc<OutputRecorder>>,
    /// How often it is told that time passed. None: never.
    pub pulse: Option<Duration>,
}

/// What a feed wants.
#[derive(Debug)]
pub enum Supply {
    /// Start this job.
    Start(Box<Submission>),
    /// Stop the jobs that run, for this cause.
    Stop(Cause),
    /// Stop the job of this tag.
    StopJob { tag: u64, cause: Cause },
    /// Move the deadline of the job of this tag.
    MoveDeadline { tag: u64, order: i64, by: Duration },
    /// Nothing now. It is to be asked again by then at the latest.
    Nothing { until: Option<Moment> },
    /// No more jobs will come, unless one that runs brings it about.
    Over,
}
