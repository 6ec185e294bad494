//! Jobs that ended in every way, for the tests of records and of the summary.

use std::time::Duration;

use crate::model::answer::{Extent, RequestInfo, of_error, of_outcome};
use crate::model::attempt::Attempt;
use crate::model::batch::{Counts, Ended, Fingerprint, Verdict};
use crate::model::envelope::{Details, Envelope, ErrorBody, ErrorCode};
use crate::model::outcome::{Cause, End, Outcome, StartFailure, StartStep, StreamRecord, TimeoutReason};
use crate::model::signal::Signal;
use crate::render::records::Summary;

/// The moment at which every job of the tests began.
pub(crate) const STARTED: Duration = Duration::from_millis(1_795_470_330_500);
pub(crate) const LASTED: Duration = Duration::from_millis(12_340);

/// A job that ended, before it is one.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) seq: u64,
    pub(crate) title: String,
    pub(crate) command: String,
    pub(crate) verdict: Verdict,
    pub(crate) cause: Option<Cause>,
    pub(crate) end: Option<End>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) signals: Vec<Signal>,
    pub(crate) troubles: Vec<String>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) refusal: Option<ErrorBody>,
    pub(crate) lasted: Duration,
}

impl Story {
    pub(crate) fn of(verdict: Verdict, cause: Option<Cause>, end: End) -> Self {
        Self {
            seq: 1,
            title: "one".to_owned(),
            command: "echo one".to_owned(),
            verdict,
            cause,
            end: Some(end),
            stdout: Vec::new(),
            stderr: Vec::new(),
            signals: Vec::new(),
            troubles: Vec::new(),
            attempts: vec![attempt(1, None, 12.34)],
            refusal: None,
            lasted: LASTED,
        }
    }

    pub(crate) fn success() -> Self {
        Self::of(Verdict::Succeeded, None, End::Exited(0))
    }

    pub(crate) fn exit(code: i32) -> Self {
        Self { attempts: vec![failed_attempt(1, code, 12.34)], ..Self::of(Verdict::Failed, None, End::Exited(code)) }
    }

    pub(crate) fn timeout() -> Self {
        let cause = Cause::Timeout { reason: TimeoutReason::Total, limit: Duration::from_secs(12) };
        let end = End::Signaled { signal: Signal::TERM, core_dumped: false };
        Self { signals: vec![Signal::TERM], ..Self::of(Verdict::TimedOut, Some(cause), end) }
    }

    pub(crate) fn cancelled() -> Self {
        let cause = Cause::Cancelled { signal: Signal::TERM };
        let end = End::Signaled { signal: Signal::TERM, core_dumped: false };
        Self { signals: vec![Signal::TERM], ..Self::of(Verdict::Cancelled, Some(cause), end) }
    }

    /// It passed in the second attempt.
    pub(crate) fn flaky() -> Self {
        Self {
            verdict: Verdict::Flaky,
            attempts: vec![failed_attempt(1, 1, 2.0), attempt(2, None, 1.0)],
            ..Self::success()
        }
    }

    pub(crate) fn not_found() -> Self {
        let end = End::NotStarted(StartFailure { step: StartStep::Exec, os_error: libc::ENOENT });
        Self::of(Verdict::Failed, None, end)
    }

    pub(crate) fn skipped(because: &str) -> Self {
        let details = Details { skipped_because: Some(because.to_owned()), ..Details::default() };
        let refusal = ErrorBody {
            code: ErrorCode::DependencyError,
            message: "The job was skipped".to_owned(),
            details,
            remediation: "Cure what it needs and run the batch again".to_owned(),
        };
        Self {
            verdict: Verdict::Skipped,
            end: None,
            attempts: Vec::new(),
            refusal: Some(refusal),
            lasted: Duration::ZERO,
            ..Self::success()
        }
    }

    pub(crate) fn titled(self, title: &str) -> Self {
        Self { title: title.to_owned(), ..self }
    }

    /// The job and its answer.
    pub(crate) fn build(self) -> (Ended, Envelope) {
        let outcome = self.end.map(|end| {
            let mut outcome = Outcome::plain(self.cause, end);
            outcome.elapsed = self.lasted;
            outcome.stdout = stream(self.stdout);
            outcome.stderr = stream(self.stderr);
            outcome.signals = self.signals;
            outcome.troubles = self.troubles;
            outcome
        });
        let info = RequestInfo {
            request_id: "req_0".to_owned(),
            timestamp: "2026-11-23T21:45:30.500Z".to_owned(),
            duration: self.lasted,
            name: Some(self.title.clone()),
            job_id: None,
            attempts: self.attempts.clone(),
            secrets: crate::model::secrets::Secrets::default(),
        };
        let envelope = match (&outcome, &self.refusal) {
            (Some(outcome), _) => of_outcome(outcome, &self.command, Extent::Kept, &info),
            (None, Some(refusal)) => of_error(refusal.clone(), &info),
            (None, None) => panic!("a job either ran or was refused"),
        };
        let ended = Ended {
            seq: self.seq,
            id: None,
            title: self.title,
            command: self.command,
            label: String::new(),
            fingerprint: Fingerprint(7),
            job_id: "job".to_owned(),
            verdict: self.verdict,
            started_at: outcome.is_some().then_some(STARTED),
            outcome,
            attempts: self.attempts,
            refusal: self.refusal,
            ended_at: STARTED + self.lasted,
            interrupted_before: false,
            subject: None,
        };
        (ended, envelope)
    }
}

fn stream(bytes: Vec<u8>) -> StreamRecord {
    StreamRecord { captured: true, total: bytes.len() as u64, head: bytes, ..StreamRecord::default() }
}

pub(crate) fn attempt(number: u32, code: Option<ErrorCode>, elapsed_seconds: f64) -> Attempt {
    Attempt {
        attempt: number,
        code,
        exit_code: None,
        signal: None,
        reason: None,
        timeout_seconds: None,
        elapsed_seconds,
        message: None,
        delay_seconds: None,
        peak_memory: None,
    }
}

pub(crate) fn failed_attempt(number: u32, code: i32, elapsed_seconds: f64) -> Attempt {
    Attempt {
        exit_code: Some(code),
        message: Some(format!("echo one exited with code {code}")),
        ..attempt(number, Some(ErrorCode::CommandFailed), elapsed_seconds)
    }
}

/// The end of a batch of these jobs.
pub(crate) fn summary(stories: &[Story]) -> Summary {
    let mut counts = Counts::default();
    stories.iter().for_each(|story| counts.note(story.verdict));
    Summary { counts, started_at: STARTED, elapsed: Duration::from_secs(42) }
}
