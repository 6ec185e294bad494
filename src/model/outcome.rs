//! What became of an attempt: how it ended, why we acted, and what we saw.
//!
//! `end` (what the kernel said) and `cause` (why we acted) are kept apart, so that a timeout never hides an exit code.
//! The supervisor fills it in; `answer` turns it into an envelope.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::envelope::ErrorCode;
use crate::model::signal::Signal;

/// Everything known about a finished attempt.
#[derive(Debug)]
pub struct Outcome {
    /// What the kernel said of the leader.
    pub end: End,
    /// Why we acted, where we did.
    pub cause: Option<Cause>,
    /// From the start of the attempt to when we acted, or else to its end; time stopped by job control left out.
    pub elapsed: Duration,
    pub stdout: StreamRecord,
    pub stderr: StreamRecord,
    /// One pipe served both streams; its bytes are in `stdout`.
    pub merged: bool,
    /// Signals sent to end it, in order, each once.
    pub signals: Vec<Signal>,
    pub containment: Containment,
    /// Processes that outlived a kill. None: it could not be known whether there are any.
    pub survivors: Option<Vec<ProcessRow>>,
    /// The tree as it stood just before the stop signal; at most 64 rows.
    pub processes: Vec<ProcessRow>,
    /// Processes that live after the leader ended by itself. None: it could not be known whether there are any.
    pub leftovers: Option<Vec<Leftover>>,
    pub usage: Usage,
    /// The leader had stopped itself on this signal when we acted: TTIN and TTOU are the terminal's.
    pub stopped_by: Option<Signal>,
    /// Our reader went away before the job ended.
    pub reader_gone: bool,
    /// It was a built-in operation, and so its partial result is what it set.
    pub operation: bool,
    /// What the job told us of itself.
    pub told: Told,
    /// More time than was given at first, asked for by the job.
    pub extensions: Extensions,
    /// Things that went wrong beside the job and cost it nothing, each a whole sentence.
    pub troubles: Vec<String>,
    /// It had ended when we acted: another attempt was due, and `cause` is why there was none.
    pub between_attempts: bool,
}

impl Outcome {
    /// One that ended so at once, without output or anything else worth telling.
    pub fn bare(cause: Option<Cause>, end: End) -> Self {
        Self {
            end,
            cause,
            elapsed: Duration::ZERO,
            stdout: StreamRecord::default(),
            stderr: StreamRecord::default(),
            merged: false,
            signals: Vec::new(),
            containment: Containment::Walk,
            survivors: Some(Vec::new()),
            processes: Vec::new(),
            leftovers: Some(Vec::new()),
            usage: Usage::default(),
            stopped_by: None,
            reader_gone: false,
            operation: false,
            told: Told::default(),
            extensions: Extensions::default(),
            troubles: Vec::new(),
            between_attempts: false,
        }
    }

    /// Another attempt was due, and this is why there is none. What was done to the last one's leftovers is no stop.
    pub fn end_between_attempts(&mut self, cause: Cause) {
        if self.cause.is_none() {
            self.signals.clear();
        }
        self.cause = Some(cause);
        self.between_attempts = true;
    }

    /// The same after 12.34 seconds.
    #[cfg(test)]
    pub(crate) fn plain(cause: Option<Cause>, end: End) -> Self {
        Self { elapsed: Duration::from_micros(12_340_400), ..Self::bare(cause, end) }
    }
}

/// The last of everything that a job told us.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub progress: Option<Progress>,
    /// One line for people; empty where it never said.
    pub status: String,
    /// Its value so far.
    pub partial: Option<Value>,
    /// What a built-in operation returned.
    pub result: Option<Value>,
    /// Why a built-in operation failed.
    pub failure: Option<OperationFailure>,
    /// Parts of messages that could not be understood.
    pub refused_messages: u64,
}

/// What became of a job's requests for more time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Extensions {
    /// Requests that moved the deadline.
    pub granted: u64,
    /// Requests that came too late, or that nothing allowed.
    pub refused: u64,
    /// The maximum left less than was asked for.
    pub reached_maximum: bool,
}

/// What the kernel, or the spawn, said of the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It never ran.
    NotStarted(StartFailure),
    Exited(i32),
    Signaled {
        signal: Signal,
        core_dumped: bool,
    },
    /// It outlived a kill; the kernel has not said anything yet.
    Unknown,
}

/// Why the command could not be run. `os_error` is an errno.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFailure {
    pub step: StartStep,
    pub os_error: i32,
}

/// What was being done when the start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartStep {
    /// Making the process itself.
    Spawn,
    /// Opening its standard input.
    Input,
    /// Changing to its working directory.
    Chdir,
    /// Executing the program.
    Exec,
}

/// Why we acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A deadline passed. `limit` is the timeout that was set.
    Timeout { reason: TimeoutReason, limit: Duration },
    /// We were told to stop, by this signal.
    Cancelled { signal: Signal },
    /// Another job of the batch failed, and that was to stop all.
    CalledOff,
}

/// Which deadline it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutReason {
    /// Wall time of the attempt.
    Total,
    /// Neither output nor CPU time for too long.
    Idle,
    /// The time for all attempts together.
    TotalBudget,
    /// The deadline of the runner that we run under.
    ParentDeadline,
}

/// Which mechanism held the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Containment {
    /// A control group of its own, ended by one write.
    Cgroup,
    /// A subreaper, and a walk over its descendants until none is left.
    Walk,
    /// Without a /proc of our own PID namespace: the leader, its process group where that is the job's own, and the
    /// children of a subreaper, until none is left.
    Leader,
}

/// What was kept of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRecord {
    /// False: it was handed to the job as it is, and nothing is known of it.
    pub captured: bool,
    /// First bytes, up to a quarter of the limit.
    pub head: Vec<u8>,
    /// Last bytes; they follow the head directly where nothing was omitted.
    pub tail: Vec<u8>,
    /// Bytes the job wrote.
    pub total: u64,
    /// Bytes between head and tail that were not kept.
    pub omitted: u64,
    /// Bytes that our reader never took.
    pub undelivered: u64,
    /// Every byte from the start of the file, where all of them were to be kept and memory did not hold them.
    pub spool: Option<Spool>,
}

/// A stream of which every byte was to be kept.
#[derive(Clone, Debug)]
pub struct Spool(pub Arc<File>);

/// Two are the same where they are the same file.
impl PartialEq for Spool {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Spool {}

/// One process of the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessRow {
    pub pid: i32,
    pub ppid: i32,
    /// One letter, as in proc(5): R, S, D, T, Z and so on.
    pub state: String,
    /// The command line, or the name in brackets where there is none; at most 200 bytes.
    pub command: String,
    pub cpu_seconds: f64,
    pub rss_bytes: u64,
    /// The kernel function it sleeps in, where that may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_in: Option<String>,
    /// Its real user id; named for survivors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// A process that lives after the leader ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leftover {
    pub pid: i32,
    pub command: String,
    /// It still has the write end of an output pipe open.
    pub holds_output: bool,
}

/// Resources of the whole tree as far as it was waited for, from wait4(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    pub user_seconds: f64,
    pub system_seconds: f64,
    /// The largest resident size of a single process.
    pub max_rss_bytes: u64,
}

/// How much of its work a job has done, by its own account: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Progress(f64);

impl Progress {
    /// None for a number outside of 0 to 1.
    pub fn of(fraction: f64) -> Option<Self> {
        (0.0..=1.0).contains(&fraction).then_some(Self(fraction))
    }

    pub fn fraction(self) -> f64 {
        self.0
    }
}

/// `0.42`, `42%` or `17/40`. More than the whole is the whole, where a whole was named.
impl std::str::FromStr for Progress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no progress: give a fraction such as 0.42, 42% or 17/40");
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        let fraction = if let Some(percent) = text.strip_suffix('%') {
            number(percent).map(|percent| (percent / 100.0).min(1.0))
        } else if let Some((done, whole)) = text.split_once('/') {
            let whole = number(whole).filter(|whole| *whole > 0.0);
            whole.and_then(|whole| number(done).map(|done| (done / whole).min(1.0)))
        } else {
            number(text)
        };
        fraction.and_then(Self::of).ok_or_else(wrong)
    }
}

/// Why a built-in operation failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationFailure {
    pub code: ErrorCode,
    pub message: String,
    pub remediation: String,
    /// The parameter, file or address that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
}
