//! Where jobs run: a trait, one file for each place, and who decides what runs there.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::lines::Lines;
use crate::capture::output_log::OutputRecorder;
use crate::capture::stage::Stage;
use crate::error::{Error, Result};
use crate::model::event::Event;
use crate::model::job::{JobSpec, Streams};
use crate::model::outcome::Cause;
use crate::platform::doorbell::Doorbell;
use crate::time::clock::Moment;

pub mod local;
pub mod queue;

/// A job with all that was opened for it.
#[derive(Debug)]
pub struct Assignment {
    /// By which the foreman knows it.
    pub tag: u64,
    pub spec: JobSpec,
    pub streams: Streams,
    /// Unlike any other job's.
    pub job_id: String,
    /// Which attempt of the job it is, from 1.
    pub attempt: u32,
    /// The terminal that the job's output shares with a bar, where there is one.
    pub stage: Option<Arc<Stage>>,
    /// Where its lines go, for a route that writes lines. Jobs that come in numbers have it in any case: bytes that are
    /// passed on go the same way where a thread for each job would have to write them.
    pub lines: Option<Lines>,
    /// How often the foreman hears that time passed. None: never.
    pub pulse: Option<Duration>,
    /// Where every byte of its output is kept, for whoever looks later.
    pub record: Option<Arc<OutputRecorder>>,
    /// The job's whole environment, but for what the place itself adds.
    pub env: Vec<(std::ffi::OsString, std::ffi::OsString)>,
}

/// A place where jobs run.
pub trait Backend {
    /// The name by which it is chosen.
    fn name(&self) -> &'static str;

    /// Runs what the foreman gives until there is nothing left, while `meanwhile` runs on the calling thread. The foreman
    /// is let go of before `meanwhile` is waited for, so that what listens to it comes to an end.
    fn run(&self, foreman: Box<dyn Foreman + '_>, meanwhile: &mut dyn FnMut()) -> Result<()>;
}

/// Decides what runs next, and hears what becomes of it. Called on the thread that holds the deadlines, so it never
/// waits for anything.
pub trait Foreman: Send {
    /// What to do now. Asked after every change, again and again until there is nothing to do.
    fn next(&mut self, now: Moment) -> Next;

    /// Something happened to the job of this tag. The last is `JobFinished`.
    fn hear(&mut self, tag: u64, event: Event, now: Moment);

    /// The job of this tag could not be begun, and nothing of it runs. Nothing else will be heard of it.
    fn refused(&mut self, tag: u64, error: Error, now: Moment);

    /// The job of this tag could not be started because descriptors, processes or memory are short, and nothing of it
    /// ran. `error` is an [`Error::Shortage`].
    fn on_shortage(&mut self, tag: u64, error: Error, now: Moment);

    /// We were told to stop: the jobs that run are being stopped, and no other will be started.
    fn stop(&mut self, cause: Cause);

    /// Somebody asked how it stands. The jobs that run tell by themselves.
    fn asked(&mut self, _now: Moment) {}

    /// Rings when `next` may have another answer without a change that it heard of.
    fn waker(&self) -> Option<&Waker> {
        None
    }
}

/// What a foreman wants.
#[derive(Debug)]
pub enum Next {
    /// Start this job.
    Start(Box<Assignment>),
    /// Stop the jobs that run, for this cause.
    Stop(Cause),
    /// Stop the job of this tag, where it runs.
    StopJob { tag: u64, cause: Cause },
    /// Move the deadline of the job of this tag. It answers by `DeadlineMoved` with the number of the order, unless it
    /// does not run any more.
    MoveDeadline { tag: u64, order: i64, by: Duration },
    /// Nothing now. It is asked again by then at the latest.
    Wait { until: Option<Moment> },
    /// No more jobs, unless one that runs brings it about.
    Over,
}

/// Makes a place ask its foreman again. May be rung by any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Doorbell>);

impl Waker {
    pub fn new() -> Result<Self> {
        Ok(Self(Arc::new(Doorbell::new()?)))
    }

    pub fn wake(&self) {
        self.0.ring();
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&*self.0)
    }

    fn clear(&self) {
        self.0.clear();
    }
}
