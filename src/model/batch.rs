//! The jobs of a batch: as the list gives them, as they end, and what is told of them meanwhile. Plain data.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::attempt::Attempt;
use crate::model::envelope::ErrorBody;
use crate::model::event::{Event, Place};
use crate::model::job::JobSpec;
use crate::model::outcome::Outcome;
use crate::model::sample::Subject;

/// One job of a list.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the list, from 1.
    pub seq: u64,
    /// What other jobs of the list call it.
    pub id: Option<String>,
    /// The jobs that must have succeeded before, by their ids.
    pub needs: Vec<String>,
    /// What it holds while it runs.
    pub locks: Vec<Lock>,
    pub priority: Priority,
    pub job: JobSpec,
    /// Its timeout is this share of the median of the successes so far, where that is known: 3.0 is 300 %.
    pub timeout_share: Option<f64>,
    /// Its timeout is so many times what the history says of it.
    pub auto_factor: Option<f64>,
    /// Whose attempts its own are in the history, where they are to be recorded.
    pub subject: Option<Arc<Subject>>,
    /// The line for a shell as the user wrote it, where items became variables of the line that is run.
    pub line: Option<Arc<str>>,
    /// What stands before its lines with `--tag`: its item, its id or its number.
    pub label: String,
    /// Identifies the job by its command, working directory, input, declared environment and id. See [`Fingerprint`].
    pub fingerprint: Fingerprint,
    /// The fingerprint in journals of version 1. None if it cannot be computed any more.
    pub legacy_fingerprint: Option<Fingerprint>,
}

/// The content of a job as 32 hexadecimal digits; an edited job has another one. Two equal jobs of one list have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u128);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// A named semaphore: `taken` of `places` are held. A plain lock is 1 of 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub name: String,
    pub taken: u32,
    pub places: u32,
}

/// Which of the waiting jobs comes first; within one priority it is the order of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Critical,
    High,
    #[default]
    Normal,
    Low,
}

impl Priority {
    /// The word that answers use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::High => "HIGH",
            Self::Normal => "NORMAL",
            Self::Low => "LOW",
        }
    }

    /// Every priority, the most urgent one first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];
}

impl std::str::FromStr for Priority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|priority| priority.word().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("'{text}' is no priority: give critical, high, normal or low"))
    }
}

/// What became of a job, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Succeeded,
    /// It succeeded after an attempt that did not.
    Flaky,
    Failed,
    TimedOut,
    /// It was stopped with the whole batch.
    Cancelled,
    /// It never ran: a job that it needs did not succeed, or the batch was over before its turn.
    Skipped,
}

impl Verdict {
    pub fn is_success(self) -> bool {
        matches!(self, Self::Succeeded | Self::Flaky)
    }

    /// Every verdict, in the order in which they are counted.
    pub const ALL: [Self; 6] =
        [Self::Succeeded, Self::Flaky, Self::Failed, Self::TimedOut, Self::Cancelled, Self::Skipped];
}

/// A job that is over.
#[derive(Debug)]
pub struct Ended {
    pub seq: u64,
    pub id: Option<String>,
    /// What it is called by people: its name, its id, or its command on one line.
    pub title: String,
    /// Its command as a shell would read it, on one line; bytes that are not UTF-8 are replaced.
    pub command: String,
    pub label: String,
    pub fingerprint: Fingerprint,
    /// `RUNNER_JOB_ID` of its last attempt, a UUID; also what its envelope's request id is made of.
    pub job_id: String,
    pub verdict: Verdict,
    /// Every attempt, the last one included. Empty: it never ran.
    pub attempts: Vec<Attempt>,
    /// Of the last attempt.
    pub outcome: Option<Outcome>,
    /// Why it never ran, or could not be begun.
    pub refusal: Option<ErrorBody>,
    /// When its first attempt began: since the Unix epoch.
    pub started_at: Option<Duration>,
    /// When it was over: since the Unix epoch.
    pub ended_at: Duration,
    /// It had been running when an earlier run of the batch was killed, and so a part of it may have run twice.
    pub interrupted_before: bool,
    /// Whose attempts its own are in the history, where they are to be recorded.
    pub subject: Option<Arc<Subject>>,
}

impl Ended {
    /// From the start of the first attempt to the end.
    pub fn duration(&self) -> Duration {
        self.started_at.map_or(Duration::ZERO, |started| self.ended_at.saturating_sub(started))
    }
}

/// What the batch tells whoever shows it.
#[derive(Debug)]
pub enum Notice {
    /// So many jobs there are; comes once that is known.
    Counted(u64),
    /// An attempt of a job begins.
    Begun { seq: u64, id: Option<String>, title: Arc<str>, attempt: Place },
    /// Something happened to a job that runs; never its end.
    Happened { seq: u64, event: Event },
    /// An attempt failed, and another one will be made after so long.
    RetryPlanned { seq: u64, attempt: Box<Attempt>, of: u32, delay: Duration },
    /// A job could not be started because something is short, and waits again; none: others wait for the same reason.
    /// `reason` names the limit, the first time.
    StartDelayed { seq: Option<u64>, reason: Option<String> },
    /// A job is over.
    Ended(Box<Ended>),
    /// A job is not run again: it succeeded in an earlier run, or was not among those that were asked for.
    LeftOut { seq: u64, succeeded: bool },
    /// No new job begins just now, for this reason; none: they do again.
    Held(Option<&'static str>),
}

/// How many jobs came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub succeeded: u64,
    pub flaky: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub cancelled: u64,
    pub skipped: u64,
    /// Left out since they had succeeded in an earlier run.
    pub resumed: u64,
}

impl Counts {
    pub fn note(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Succeeded => &mut self.succeeded,
            Verdict::Flaky => &mut self.flaky,
            Verdict::Failed => &mut self.failed,
            Verdict::TimedOut => &mut self.timed_out,
            Verdict::Cancelled => &mut self.cancelled,
            Verdict::Skipped => &mut self.skipped,
        };
        *count += 1;
    }

    /// All that are over, those of an earlier run left out.
    pub fn ended(&self) -> u64 {
        self.succeeded + self.flaky + self.unsuccessful()
    }

    pub fn unsuccessful(&self) -> u64 {
        self.failed + self.timed_out + self.cancelled + self.skipped
    }
}
