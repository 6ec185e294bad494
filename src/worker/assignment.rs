//! A task, or a notice, on its way through the worker: what the foreman needs to begin each of its attempts.

use std::time::Duration;

use crate::backend;
use crate::batch::tries::Tries;
use crate::capture::output_log::LogFiles;
use crate::error::Result;
use crate::model::envelope::ErrorBody;
use crate::model::job::{JobSpec, Leftovers, Limits};
use crate::model::outcome::Outcome;
use crate::model::stored_job::StoredJob;
use crate::store::Live;
use crate::time::clock::Moment;

/// What is decided anew for each attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// By which the foreman knows the job.
    pub tag: u64,
    /// From 1.
    pub number: u32,
    pub limits: Limits,
    pub leftovers: Leftovers,
    /// Unlike that of any other run.
    pub job_id: String,
    /// Where every byte of its output is kept, where it is.
    pub log: Option<LogFiles>,
}

/// Makes what a backend needs for an attempt of a job.
pub type Preparer = Box<dyn FnMut(&JobSpec, &Attempt) -> Result<backend::Assignment> + Send>;

/// Makes a job of a stored one: what of it only this program and this moment know.
pub type JobMaker = Box<dyn Fn(StoredJob) -> Result<JobSpec>>;

/// A job that is not over.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) tag: u64,
    pub(super) job: JobSpec,
    pub(super) tries: Tries,
    pub(super) job_id: String,
    pub(super) log: Option<LogFiles>,
    /// What it said last, and when it is stopped. `attempts` counts those of earlier runs, too.
    pub(super) live: Live,
    /// Attempts of earlier runs.
    pub(super) attempts_before: u32,
    /// When its first attempt began.
    pub(super) first_begun: Option<Moment>,
    /// When its present attempt began, since the Unix epoch.
    pub(super) begun_at: Duration,
    /// The command of its present attempt runs.
    pub(super) started: bool,
    /// What the attempt before came to, while another one is due.
    pub(super) last: Option<Box<Outcome>>,
    /// Why it could not be begun, likewise.
    pub(super) refusal: Option<ErrorBody>,
}

impl Work {
    pub(super) fn new(tag: u64, job: JobSpec, job_id: String, log: Option<LogFiles>, attempts_before: u32) -> Self {
        let tries = Tries::new(job.retry.clone(), &job.limits, seed(&job_id));
        Self {
            tag,
            job,
            tries,
            job_id,
            log,
            live: Live { attempts: attempts_before, ..Live::default() },
            attempts_before,
            first_begun: None,
            begun_at: Duration::ZERO,
            started: false,
            last: None,
            refusal: None,
        }
    }
}

/// A number that is another one for each run.
fn seed(job_id: &str) -> u64 {
    job_id.bytes().fold(0xCBF2_9CE4_8422_2325, |all, byte| (all ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
