//! What the history keeps of an attempt that is over. Plain data.
//!
//! Whoever ran a job makes samples of its attempts; the store keeps them under the key of their subject.

use std::sync::Arc;
use std::time::Duration;

use crate::model::attempt::Attempt;
use crate::model::envelope::ErrorCode;
use crate::model::fingerprint;
use crate::model::job::JobSpec;
use crate::model::outcome::TimeoutReason;
use crate::model::secrets::Secrets;

/// So many characters of a command are kept.
const COMMAND_LIMIT: usize = 1000;

/// What a history is of: jobs of one name, or jobs without a name that run the same command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Unlike that of any other subject: `name:TEXT`, or the fingerprint of the command.
    pub key: String,
    pub name: Option<String>,
    /// What ran last, as it may be shown.
    pub command: String,
}

impl Subject {
    /// The subject of a job.
    pub fn of(job: &JobSpec) -> Self {
        let secrets = Secrets::of(&job.surroundings);
        Self {
            key: match &job.name {
                Some(name) => Self::key_of_name(&secrets.mask_text(name)),
                None => fingerprint::of_command(&job.command).to_string(),
            },
            name: job.name.as_ref().map(|name| secrets.mask_text(name).into_owned()),
            command: shortened(&job.command.masked_line(&secrets)),
        }
    }

    pub fn key_of_name(name: &str) -> String {
        format!("name:{name}")
    }
}

/// A command as it is kept.
pub fn shortened(command: &str) -> String {
    match command.char_indices().nth(COMMAND_LIMIT) {
        Some((end, _)) => format!("{}...", &command[..end]),
        None => command.to_owned(),
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub subject: Arc<Subject>,
    /// Since the Unix epoch.
    pub ended_at: Duration,
    /// From its start to its end, or to when it was stopped.
    pub duration: Duration,
    pub cause: SampleCause,
    pub exit_code: Option<i32>,
    /// From 1.
    pub attempt: u32,
    /// The largest resident size of a single process, in bytes.
    pub peak_memory: Option<u64>,
}

impl Sample {
    /// The samples of all attempts of a job, the last of which ended at `ended_at`.
    pub fn of_attempts(subject: &Arc<Subject>, attempts: &[Attempt], ended_at: Duration) -> Vec<Self> {
        let mut samples = Vec::with_capacity(attempts.len());
        let mut end = ended_at;
        // Backwards, since only the last end is known; the others follow from what lies between.
        for (at, attempt) in attempts.iter().enumerate().rev() {
            let duration = Duration::try_from_secs_f64(attempt.elapsed_seconds).unwrap_or_default();
            samples.push(Self {
                subject: Arc::clone(subject),
                ended_at: end,
                duration,
                cause: SampleCause::of(attempt),
                exit_code: attempt.exit_code,
                attempt: attempt.attempt,
                peak_memory: attempt.peak_memory,
            });
            let delay = at.checked_sub(1).and_then(|before| attempts[before].delay_seconds);
            end = end.saturating_sub(duration).saturating_sub(delay.map(|delay| delay.0).unwrap_or_default());
        }
        samples.reverse();
        samples
    }
}

/// How an attempt ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SampleCause {
    Success,
    /// It ended by itself with another exit code than 0, or its output could not be kept.
    Failed,
    /// It died of a signal that runner did not send.
    Signal,
    /// A deadline of any kind struck.
    Timeout,
    /// It was silent for too long.
    Idle,
    Cancelled,
    /// It could not be run.
    NotStarted,
}

impl SampleCause {
    pub const ALL: [Self; 7] =
        [Self::Success, Self::Failed, Self::Signal, Self::Timeout, Self::Idle, Self::Cancelled, Self::NotStarted];

    pub fn of(attempt: &Attempt) -> Self {
        match (attempt.code, attempt.reason) {
            (None, _) => Self::Success,
            (_, Some(TimeoutReason::Idle)) => Self::Idle,
            (_, Some(TimeoutReason::Total | TimeoutReason::TotalBudget | TimeoutReason::ParentDeadline)) => {
                Self::Timeout
            }
            (Some(ErrorCode::Cancelled), None) => Self::Cancelled,
            (Some(_), None) if attempt.signal.is_some() => Self::Signal,
            (Some(_), None) if attempt.exit_code.is_some() => Self::Failed,
            (Some(_), None) => Self::NotStarted,
        }
    }

    /// The word that the store and answers use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Idle => "idle",
            Self::Cancelled => "cancelled",
            Self::NotStarted => "not_started",
        }
    }

    /// The cause of this word.
    pub fn by_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.word() == word)
    }

    /// It was stopped since it took too long.
    pub fn is_timeout(self) -> bool {
        matches!(self, Self::Timeout | Self::Idle)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{COMMAND_LIMIT, Sample, SampleCause, Subject, shortened};
    use crate::model::attempt::Attempt;
    use crate::model::envelope::ErrorCode;
    use crate::model::outcome::{
        Cause, End, Outcome, StartFailure, StartStep,
        TimeoutReason::{Idle, ParentDeadline, Total, TotalBudget},
    };
    use crate::model::quantity::Seconds;
    use crate::model::signal::Signal;

    #[test]
    fn every_end_has_its_word() {
        let timeout = |reason| Some(Cause::Timeout { reason, limit: Duration::from_secs(1) });
        let killed = || End::Signaled { signal: Signal::KILL, core_dumped: false };
        let missing = End::NotStarted(StartFailure { step: StartStep::Exec, os_error: libc::ENOENT });
        for (cause, end, word) in [
            (None, End::Exited(0), "success"),
            (None, End::Exited(3), "failed"),
            (None, killed(), "signal"),
            (None, missing, "not_started"),
            (timeout(Total), killed(), "timeout"),
            (timeout(TotalBudget), End::Exited(0), "timeout"),
            (timeout(ParentDeadline), killed(), "timeout"),
            (timeout(Idle), killed(), "idle"),
            (Some(Cause::Cancelled { signal: Signal::TERM }), killed(), "cancelled"),
            (Some(Cause::CalledOff), killed(), "cancelled"),
        ] {
            let attempt = Attempt::of(1, &Outcome::bare(cause, end.clone()), None);
            let found = SampleCause::of(&attempt);
            assert_eq!(found.word(), word, "{cause:?} {end:?}");
            assert_eq!(SampleCause::by_word(word), Some(found));
        }
        let refused = Attempt::refused(1, ErrorCode::InternalError, "no");
        assert_eq!(SampleCause::of(&refused), SampleCause::NotStarted);
    }

    #[test]
    fn earlier_attempts_ended_before_what_came_between() {
        let subject = Arc::new(Subject { key: "k".to_owned(), name: None, command: "true".to_owned() });
        let attempt = |number, elapsed_seconds, delay: Option<u64>| Attempt {
            elapsed_seconds,
            delay_seconds: delay.map(|delay| Seconds(Duration::from_secs(delay))),
            ..Attempt::refused(number, ErrorCode::InternalError, "no")
        };
        let attempts = [attempt(1, 5.0, Some(2)), attempt(2, 1.5, Some(4)), attempt(3, 3.0, None)];
        let samples = Sample::of_attempts(&subject, &attempts, Duration::from_secs(100));
        let ends: Vec<f64> = samples.iter().map(|sample| sample.ended_at.as_secs_f64()).collect();
        assert_eq!(ends, [89.5, 93.0, 100.0]);
        assert_eq!(samples.iter().map(|sample| sample.attempt).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(Sample::of_attempts(&subject, &[], Duration::ZERO).is_empty());
    }

    #[test]
    fn a_long_command_is_cut() {
        assert_eq!(shortened("make test"), "make test");
        let cut = shortened(&"é".repeat(COMMAND_LIMIT + 1));
        assert_eq!(cut.chars().count(), COMMAND_LIMIT + 3);
        assert_eq!(shortened(&"x".repeat(COMMAND_LIMIT)).len(), COMMAND_LIMIT);
    }
}
