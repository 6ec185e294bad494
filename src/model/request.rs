//! What a verb was asked to do, beyond the job itself: where answers go and how much is said.
//!
//! The command line builds these after defaults are merged in; `app` carries them out.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::model::job::{Command, JobSpec};
use crate::model::outcome::Progress;
use crate::model::signal::Signal;

/// `runner exec` or `runner op`, complete.
#[derive(Clone, Debug)]
pub struct ExecRequest {
    pub job: JobSpec,
    /// The job gets a pseudo-terminal, whatever its output leads to.
    pub pty: bool,
    pub answer: AnswerOptions,
}

impl ExecRequest {
    /// Runner has to see what the job writes, also where it writes to a terminal.
    pub fn needs_output(&self) -> bool {
        self.answer.report.is_some() || self.job.log.is_some() || self.job.limits.idle_timeout.is_some()
    }

    /// It is a built-in operation.
    pub fn is_operation(&self) -> bool {
        matches!(self.job.command, Command::Operation { .. })
    }
}

/// Where the answer goes and how much is said beside it.
#[derive(Clone, Debug, Default)]
pub struct AnswerOptions {
    /// One envelope on stdout in place of the job's output.
    pub json: bool,
    /// The envelope goes to this file too.
    pub report: Option<PathBuf>,
    pub progress: ProgressForm,
    /// How an error is shown on stderr; by what stderr is where nothing is said.
    pub error_format: Option<ErrorFormat>,
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressForm {
    #[default]
    Auto,
    Bar,
    Lines,
    Json,
    None,
}

/// The form of an error on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorFormat {
    Text,
    Json,
}

/// `runner notify`: what a job says.
#[derive(Clone, Debug, Default)]
pub struct NotifyRequest {
    pub progress: Option<Progress>,
    pub message: Option<String>,
    pub partial: Option<PartialSource>,
    /// From now on.
    pub extend: Option<Duration>,
    pub alive: bool,
    pub stopping: bool,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum PartialSource {
    /// It stood on the command line.
    Value(Value),
    File(PathBuf),
    Stdin,
}

/// `runner timeout`, complete: the words of timeout(1).
#[derive(Clone, Debug)]
pub struct TimeoutRequest {
    /// None: switched off.
    pub duration: Option<Duration>,
    pub kill_after: Option<Duration>,
    pub signal: Signal,
    pub foreground: bool,
    pub preserve_status: bool,
    pub verbose: bool,
    pub command: Vec<std::ffi::OsString>,
}

/// Defaults of a job's limits and formats, from the environment or a configuration file. Durations are not yet checked
/// against each other.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// `Some(None)` is the word `none`.
    pub timeout: Option<Option<Duration>>,
    pub idle_timeout: Option<Option<Duration>>,
    pub max_timeout: Option<Option<Duration>>,
    pub grace: Option<Duration>,
    pub signal: Option<Signal>,
    pub capture_limit: Option<u64>,
    pub progress: Option<ProgressForm>,
    pub error_format: Option<ErrorFormat>,
}
