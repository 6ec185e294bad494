//! Where a job runs: a trait, one file for each place, and the registry of places.

use std::sync::Arc;
use std::time::Duration;

use crate::capture::stage::Stage;
use crate::error::Result;
use crate::model::event::Event;
use crate::model::job::{JobSpec, Streams};

pub mod local;

/// A job with all that was opened for it.
pub struct Assignment {
    pub spec: JobSpec,
    pub streams: Streams,
    /// Unlike any other job's.
    pub job_id: String,
    /// The terminal that the job's output shares with a bar, where there is one.
    pub stage: Option<Arc<Stage>>,
    /// How often the listener hears that time passed. None: never.
    pub pulse: Option<Duration>,
    /// The job's whole environment, but for what the place itself adds.
    pub env: Vec<(std::ffi::OsString, std::ffi::OsString)>,
}

/// A place where jobs run.
pub trait Backend {
    /// The name by which it is chosen.
    fn name(&self) -> &'static str;

    /// Runs one job to its end and tells `listener` what happens, on the calling thread. The last event is
    /// `JobFinished`; without it there is an error, and nothing runs.
    fn run(&self, assignment: Assignment, listener: &mut (dyn FnMut(Event) + Send)) -> Result<()>;
}
