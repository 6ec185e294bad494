//! What a verb was asked to do, beyond the job itself: where answers go and how much is said.
//!
//! The command line builds these after defaults are merged in; `app` carries them out.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::model::auto_timeout::{AutoTimeout, TimeoutBounds};
use crate::model::job::{Command, JobSpec};
use crate::model::outcome::Progress;
use crate::model::secrets::Secrets;
use crate::model::signal::Signal;

/// `runner exec` or `runner op`, complete.
#[derive(Clone, Debug)]
pub struct ExecRequest {
    pub job: JobSpec,
    /// The job gets a pseudo-terminal, whatever its output leads to.
    pub pty: bool,
    /// Of a job that is tried again, every attempt's output appears, and not the last one's alone.
    pub every_attempt: bool,
    /// The timeout is made of the history when the job is made ready.
    pub auto: Option<AutoTimeout>,
    /// Its attempts go into the history.
    pub record: bool,
    pub answer: AnswerOptions,
}

impl ExecRequest {
    /// Runner has to see what the job writes, also where it writes to a terminal.
    pub fn needs_output(&self) -> bool {
        self.answer.report.is_some()
            || self.job.log.is_some()
            || self.job.limits.idle_timeout.is_some()
            || self.job.retry.looks_at_output()
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
    /// Values that are masked in messages.
    pub secrets: Secrets,
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
    /// Outside of a job there is nothing to do.
    pub if_any: bool,
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

/// `runner history`, complete.
#[derive(Clone, Debug)]
pub struct HistoryRequest {
    /// A name, a command, or the beginning of a fingerprint. None: everything that there is.
    pub of: Option<String>,
    /// Of everything, at most so many names and commands; of one, only so many of its newest attempts.
    pub limit: Option<u32>,
    /// How timeouts are suggested.
    pub auto: AutoTimeout,
    pub answer: AnswerOptions,
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
    /// The timeout is so many times what the history says; then `timeout` is none.
    pub auto_factor: Option<f64>,
    pub idle_timeout: Option<Option<Duration>>,
    pub max_timeout: Option<Option<Duration>>,
    pub grace: Option<Duration>,
    pub signal: Option<Signal>,
    pub capture_limit: Option<u64>,
    pub progress: Option<ProgressForm>,
    pub error_format: Option<ErrorFormat>,
}

/// `runner batch`, complete.
#[derive(Clone, Debug)]
pub struct BatchRequest {
    pub list: JobList,
    /// What holds for every job that does not say otherwise. Its command is never run.
    pub defaults: JobSpec,
    /// The default timeout as a share of the median of the successes so far: 3.0 is 300 %.
    pub timeout_share: Option<f64>,
    /// No timeout that comes of a share is shorter.
    pub timeout_floor: Duration,
    /// The default timeout as so many times what the history says of each job.
    pub auto_factor: Option<f64>,
    /// What holds for timeouts that are made of the history.
    pub auto_bounds: TimeoutBounds,
    /// All attempts go into the history.
    pub record: bool,
    pub workers: Workers,
    pub total_timeout: Option<Duration>,
    pub stopping: StopRule,
    pub journal: Option<JournalRequest>,
    pub output: OutputForm,
    /// Envelopes of all jobs: a file of JSON lines, or a folder with one folder for each job.
    pub results: Option<PathBuf>,
    pub junit: Option<PathBuf>,
    pub joblog: Option<PathBuf>,
    /// The CI system to speak to, or none; nothing said: the one around us.
    pub ci: Option<Option<CiSystem>>,
    /// Print the jobs and run none.
    pub dry_run: bool,
    pub answer: AnswerOptions,
}

/// Where the jobs of a batch come from.
#[derive(Clone, Debug)]
pub enum JobList {
    /// JSON lines, a JSON array or TOML, by content and name.
    File(PathBuf),
    Stdin,
    /// One job for each item, made of a command with placeholders.
    Items(Template),
}

/// A command with placeholders, and the inputs whose items stand for them.
#[derive(Clone, Debug)]
pub struct Template {
    pub command: TemplateCommand,
    pub inputs: Vec<ItemInput>,
    /// The inputs are paired item by item instead of combined.
    pub link: bool,
    /// Items of files end with a NUL and not with a newline.
    pub null_separated: bool,
    /// So many items go to one job.
    pub items_per_job: usize,
    /// The placeholder for the item in place of `{}`.
    pub replacement: Option<std::ffi::OsString>,
}

#[derive(Clone, Debug)]
pub enum TemplateCommand {
    Argv(Vec<std::ffi::OsString>),
    /// One line for a shell. An item is the value of a shell variable, never part of the text of the line.
    Shell {
        shell: std::ffi::OsString,
        line: std::ffi::OsString,
    },
}

/// One source of items.
#[derive(Clone, Debug)]
pub enum ItemInput {
    Stdin,
    File(PathBuf),
    /// They stood on the command line, behind `:::`.
    Words(Vec<std::ffi::OsString>),
}

/// How many jobs run at once, and what holds new ones back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workers {
    pub slots: usize,
    /// No new job while the load of the machine is this or more.
    pub max_load: Option<f64>,
    /// No new job while less memory is available, in bytes.
    pub min_free_memory: Option<u64>,
}

/// When a batch ends early.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StopRule {
    pub fail_fast: FailFast,
    pub max_failures: Option<MaxFailures>,
}

/// What the first failure brings about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailFast {
    #[default]
    Off,
    /// No new jobs.
    Soft,
    /// No new jobs, and those that run are stopped.
    Now,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxFailures {
    Count(u64),
    /// A share of all jobs that are over, at least ten of them: 0.1 is 10 %.
    Share(f64),
}

/// The journal, and what is taken from an earlier run's.
#[derive(Clone, Debug)]
pub struct JournalRequest {
    pub path: PathBuf,
    /// Each record is on the disk before anything follows from it.
    pub sync_each: bool,
    /// Go on with the run that wrote it.
    pub resume: Option<ResumeRule>,
    /// A missing file is created, also when resuming.
    pub may_create: bool,
    /// The jobs are shell lines with items, whose fingerprints differ from those in journals of version 1.
    pub has_shell_line: bool,
}

/// Which of the jobs that did not succeed are run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResumeRule {
    #[default]
    All,
    /// Those that ended without success.
    Failed,
    /// Those that had begun and not ended, and those that had not begun.
    Unfinished,
    TimedOut,
}

/// How the outputs of the jobs of a batch come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputForm {
    pub grouping: Grouping,
    /// In the order of the list.
    pub keep_order: bool,
    /// Each line has the label of its job before it.
    pub tag: bool,
    /// Nothing comes out.
    pub silent: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// All of a job once it is over.
    #[default]
    Job,
    /// Whole lines, as they come.
    Line,
    /// Bytes, as they come.
    None,
}

/// A CI system whose log knows groups and annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CiSystem {
    Github,
    Gitlab,
    Teamcity,
}
