//! What a task came to, as the store keeps it: status, envelope, exit code, and why in a word.

use std::sync::Arc;
use std::time::Duration;

use crate::model::answer::{Extent, RequestInfo, error_code, of_error, of_lost_task, of_outcome};
use crate::model::attempt::Attempt;
use crate::model::envelope::{Envelope, ErrorBody};
use crate::model::exit_code::{self, Exit, SIGNAL_BASE};
use crate::model::outcome::{Cause, End as KernelEnd, Outcome, TimeoutReason};
use crate::model::sample::{Sample, Subject};
use crate::model::secrets::Secrets;
use crate::model::task::TaskStatus;
use crate::store::{End, Lost};
use crate::time::clock::{rfc3339, unix_time};
use crate::worker::post::Ended;

/// A task that is queued again where its worker dies has failed when that died so often: it may be what it dies of.
const MOST_LOSSES: u32 = 100;

/// A task that the worker has begun.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// What an answer calls its command.
    pub(super) command: String,
    /// `RUNNER_JOB_ID` of this run.
    pub(super) run: String,
    /// Since the Unix epoch.
    pub(super) started_at: Duration,
    pub(super) attempts_before: u32,
    /// It is queued again where its worker goes before it is over.
    pub(super) retried_on_crash: bool,
    /// Somebody cancelled it.
    pub(super) unwanted: bool,
    /// Values that no answer shows.
    pub(super) secrets: Secrets,
    /// What the history keeps its attempts under. None: it keeps nothing of them.
    pub(super) subject: Option<Arc<Subject>>,
}

impl Begun {
    /// What becomes of the task now that its job is over.
    pub(super) fn conclude(&self, ended: Ended) -> Lost {
        let Ended { attempts, outcome, refusal, duration, .. } = ended;
        let count = self.attempts_before + attempts.last().map_or(0, |last| last.attempt);
        let samples = self.samples(&attempts);
        let info = RequestInfo { attempts, ..self.info(duration) };
        let (status, envelope, exit_code, cause) = match (&outcome, refusal) {
            (Some(outcome), _) => {
                let status = status_of(outcome);
                if status == TaskStatus::Cancelled && !self.unwanted && self.retried_on_crash {
                    return Lost::Queued { id: self.id.clone(), died: false };
                }
                let envelope = of_outcome(outcome, &self.command, Extent::Kept, &info);
                (status, envelope, code_of(exit_code::of_outcome(outcome)), cause_of(outcome))
            }
            (None, Some(refusal)) => refused(refusal, &info),
            (None, None) => (TaskStatus::Failed, of_error(nobody_knows(), &info), exit_code::RUNNER_FAILED, "failed"),
        };
        let count = count.max(self.attempts_before + 1);
        self.end(status, &envelope, (exit_code, cause), Some(duration), count, samples)
    }

    /// What becomes of a task whose worker died. `outcome` holds what is left of it, `losses` says how often one did
    /// before.
    pub(super) fn conclude_lost(&self, outcome: &mut Outcome, attempts: u32, losses: u32) -> Lost {
        if self.unwanted {
            outcome.cause = Some(Cause::Cancelled { signal: crate::model::signal::Signal::TERM });
            let envelope = of_outcome(outcome, &self.command, Extent::Kept, &self.info(Duration::ZERO));
            let code = code_of(exit_code::of_outcome(outcome));
            return self.end(TaskStatus::Cancelled, &envelope, (code, "cancelled"), None, attempts, Vec::new());
        }
        if self.retried_on_crash && losses < MOST_LOSSES {
            return Lost::Queued { id: self.id.clone(), died: true };
        }
        let envelope = of_error(of_lost_task(outcome), &self.info(Duration::ZERO));
        let why = (exit_code::RUNNER_FAILED, "worker_lost");
        self.end(TaskStatus::Failed, &envelope, why, None, attempts, Vec::new())
    }

    /// What becomes of a task that could not even be made a job of.
    pub(super) fn conclude_unmade(&self, refusal: ErrorBody) -> Lost {
        let (status, envelope, code, cause) = refused(refusal, &self.info(Duration::ZERO));
        self.end(status, &envelope, (code, cause), None, self.attempts_before + 1, Vec::new())
    }

    fn end(
        &self,
        status: TaskStatus,
        envelope: &Envelope,
        (exit_code, cause): (i32, &'static str),
        duration: Option<Duration>,
        attempts: u32,
        samples: Vec<Sample>,
    ) -> Lost {
        let envelope = serde_json::to_string(envelope).expect("an envelope is always valid JSON");
        let id = self.id.clone();
        Lost::Failed(Box::new(End { id, status, envelope, exit_code, cause, duration, attempts, samples }))
    }

    fn samples(&self, attempts: &[Attempt]) -> Vec<Sample> {
        match &self.subject {
            Some(subject) => Sample::of_attempts(subject, attempts, unix_time()),
            None => Vec::new(),
        }
    }

    fn info(&self, duration: Duration) -> RequestInfo {
        RequestInfo {
            request_id: format!("req_{}", self.run.replace('-', "")),
            timestamp: rfc3339(self.started_at),
            duration,
            name: self.name.clone(),
            job_id: Some(self.id.clone()),
            attempts: Vec::new(),
            secrets: self.secrets.clone(),
        }
    }
}

type Refused = (TaskStatus, Envelope, i32, &'static str);

fn refused(refusal: ErrorBody, info: &RequestInfo) -> Refused {
    let code = match refusal.code {
        crate::model::envelope::ErrorCode::NotFound => exit_code::NOT_FOUND,
        crate::model::envelope::ErrorCode::AuthorizationDenied => exit_code::CANNOT_RUN,
        _ => exit_code::RUNNER_FAILED,
    };
    (TaskStatus::Failed, of_error(refusal, info), code, "not_started")
}

fn nobody_knows() -> ErrorBody {
    crate::error::Error::Internal("the task ended without an outcome".to_owned()).body()
}

fn status_of(outcome: &Outcome) -> TaskStatus {
    match outcome.cause {
        Some(Cause::Cancelled { .. } | Cause::CalledOff) => TaskStatus::Cancelled,
        _ if error_code(outcome).is_none() => TaskStatus::Completed,
        _ => TaskStatus::Failed,
    }
}

/// A task does not make whoever waits for it die of a signal.
fn code_of(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => SIGNAL_BASE + signal.number(),
    }
}

fn cause_of(outcome: &Outcome) -> &'static str {
    match (&outcome.cause, &outcome.end) {
        (Some(Cause::Timeout { reason: TimeoutReason::Idle, .. }), _) => "idle",
        (Some(Cause::Timeout { .. }), _) => "timeout",
        (Some(Cause::Cancelled { .. } | Cause::CalledOff), _) => "cancelled",
        (None, KernelEnd::NotStarted(_)) => "not_started",
        (None, KernelEnd::Signaled { .. }) => "signal",
        (None, _) if error_code(outcome).is_none() => "success",
        (None, _) => "failed",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::{Begun, MOST_LOSSES};
    use crate::model::attempt::Attempt;
    use crate::model::outcome::{Cause, End as KernelEnd, Outcome, TimeoutReason};
    use crate::model::secrets::Secrets;
    use crate::model::signal::Signal;
    use crate::model::task::TaskStatus;
    use crate::store::{End, Lost};
    use crate::worker::post::Ended;

    const LIMIT: Duration = Duration::from_secs(3);
    const CANCELLED: Cause = Cause::Cancelled { signal: Signal::TERM };

    fn begun(retried_on_crash: bool, unwanted: bool) -> Begun {
        Begun {
            id: "task".to_owned(),
            name: Some("name".to_owned()),
            command: "true".to_owned(),
            run: "0190-run".to_owned(),
            started_at: Duration::ZERO,
            attempts_before: 2,
            retried_on_crash,
            unwanted,
            secrets: Secrets::default(),
            subject: None,
        }
    }

    fn outcome(cause: Option<Cause>, end: KernelEnd) -> Outcome {
        Outcome::bare(cause, end)
    }

    fn ended(outcome: Outcome) -> Ended {
        let attempts = vec![Attempt::of(1, &outcome, None)];
        Ended { tag: 1, attempts, outcome: Some(outcome), refusal: None, duration: LIMIT }
    }

    fn end(lost: Lost) -> (End, Value) {
        let end = lost.end().expect("it is over");
        let envelope = serde_json::from_str(&end.envelope).expect("it is JSON");
        (end, envelope)
    }

    #[test]
    fn each_end_has_its_status_its_code_and_its_word() {
        let timeout = |reason| Some(Cause::Timeout { reason, limit: LIMIT });
        for (cause, kernel, status, code, word) in [
            (None, KernelEnd::Exited(0), TaskStatus::Completed, 0, "success"),
            (None, KernelEnd::Exited(3), TaskStatus::Failed, 3, "failed"),
            (None, KernelEnd::Signaled { signal: Signal::KILL, core_dumped: false }, TaskStatus::Failed, 137, "signal"),
            (timeout(TimeoutReason::Total), KernelEnd::Exited(0), TaskStatus::Failed, 124, "timeout"),
            (timeout(TimeoutReason::Idle), KernelEnd::Exited(0), TaskStatus::Failed, 124, "idle"),
            (Some(CANCELLED), KernelEnd::Exited(0), TaskStatus::Cancelled, 143, "cancelled"),
        ] {
            let (end, envelope) = end(begun(false, false).conclude(ended(outcome(cause, kernel))));
            assert_eq!((end.status, end.exit_code, end.cause), (status, code, word));
            assert_eq!((end.attempts, envelope["metadata"]["job_id"].as_str()), (3, Some("task")));
        }
    }

    #[test]
    fn a_task_that_was_stopped_with_its_worker_is_queued_again_where_that_was_asked_for() {
        let stopped = || ended(outcome(Some(CANCELLED), KernelEnd::Exited(0)));
        assert!(matches!(begun(true, false).conclude(stopped()), Lost::Queued { died: false, .. }));
        assert_eq!(end(begun(false, false).conclude(stopped())).0.status, TaskStatus::Cancelled);
        assert_eq!(end(begun(true, true).conclude(stopped())).0.status, TaskStatus::Cancelled);
    }

    #[test]
    fn a_task_whose_worker_died_too_often_is_not_queued_again() {
        let lost = |losses| begun(true, false).conclude_lost(&mut outcome(None, KernelEnd::Unknown), 3, losses);
        assert!(matches!(lost(MOST_LOSSES - 1), Lost::Queued { died: true, .. }));
        let (end, envelope) = end(lost(MOST_LOSSES));
        assert_eq!((end.status, end.cause, end.exit_code), (TaskStatus::Failed, "worker_lost", 125));
        assert_eq!(envelope["error"]["code"], "SERVICE_UNAVAILABLE");
        assert_eq!(envelope["error"]["details"]["reason"], "worker_lost");
    }

    #[test]
    fn a_task_that_was_cancelled_when_its_worker_died_is_cancelled() {
        let lost = begun(true, true).conclude_lost(&mut outcome(None, KernelEnd::Unknown), 3, 0);
        let (end, envelope) = end(lost);
        assert_eq!((end.status, end.exit_code, end.attempts), (TaskStatus::Cancelled, 143, 3));
        assert_eq!(envelope["error"]["code"], "CANCELLED");
    }
}
