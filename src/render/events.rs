//! Events as lines of JSON, as with `--progress json`: each a record of `model::event_record`.
//!
//! It is given the time stamp and reads no clock.

use std::time::Duration;

use crate::model::answer;
use crate::model::batch::{Ended, Notice, Verdict};
use crate::model::envelope::Status;
use crate::model::event::Event;
use crate::model::event_record::{EventKind, EventRecord, StopCause};
use crate::model::outcome::{Cause, End, Outcome};
use crate::model::quantity::Seconds;

/// The record of an event; none for what only concerns people at a terminal. `timestamp` is RFC 3339, UTC.
pub fn record(event: &Event, timestamp: &str, job_id: &str, name: Option<&str>) -> Option<EventRecord> {
    let kind = match event {
        Event::JobStarted { pid } => EventKind::Started { pid: *pid },
        Event::StartDelayed { reason } => EventKind::StartDelayed { reason: reason.clone() },
        Event::OutputGrew { stdout_bytes, stderr_bytes } => {
            EventKind::Output { stdout_bytes: *stdout_bytes, stderr_bytes: *stderr_bytes }
        }
        Event::ProgressReported(fraction) => EventKind::Progress { fraction: *fraction },
        Event::StatusReported(message) => EventKind::Status { message: message.clone() },
        Event::PartialReported(value) => EventKind::Partial { value: value.clone() },
        // The answer to whoever gave the job; `DeadlineExtended` has told of it.
        Event::DeadlineMoved { .. } => return None,
        Event::DeadlineExtended { timeout, capped } => {
            EventKind::Extended { timeout_seconds: milliseconds(*timeout), capped: *capped }
        }
        Event::ExtensionRefused { reason } => EventKind::ExtensionRefused { reason: (*reason).to_owned() },
        Event::MessageRefused { reason } => EventKind::MessageRefused { reason: reason.clone() },
        Event::StopBegun { cause, signal } => {
            let (cause, reason) = match cause {
                Cause::Timeout { reason, .. } => (StopCause::Timeout, Some(*reason)),
                Cause::Cancelled { .. } | Cause::CalledOff => (StopCause::Cancelled, None),
            };
            EventKind::Stopping { signal: *signal, cause, reason }
        }
        Event::WarningReached { elapsed, timeout } => {
            EventKind::Warning { elapsed_seconds: milliseconds(*elapsed), timeout_seconds: timeout.map(Seconds) }
        }
        Event::LeftoversFound(processes) => EventKind::Leftovers { processes: processes.clone() },
        Event::RetryPlanned { attempt, of, .. } => EventKind::Retrying { attempt: attempt.clone(), most_attempts: *of },
        Event::JobFinished(outcome) => finished(outcome),
        Event::StoppingReported => EventKind::StopAnnounced,
        // How it stands is told by the other events, and signals lead to them.
        Event::TimePassed(_) | Event::StatusRequested(_) | Event::StopRequested(_) | Event::SignalForwarded(_) => {
            return None;
        }
    };
    Some(EventRecord {
        timestamp: timestamp.to_owned(),
        job_id: job_id.to_owned(),
        name: name.map(str::to_owned),
        kind,
    })
}

/// The record as one line, with its newline.
pub fn json_line(event: &Event, timestamp: &str, job_id: &str, name: Option<&str>) -> Option<String> {
    Some(to_line(&record(event, timestamp, job_id, name)?))
}

/// What a notice of a batch says beside its event: the kind, where it is one for programs.
pub fn of_notice(notice: &Notice) -> Option<EventKind> {
    Some(match notice {
        Notice::Begun { attempt, .. } => EventKind::Begun { attempt: attempt.number, most_attempts: attempt.of },
        Notice::RetryPlanned { attempt, of, .. } => {
            EventKind::Retrying { attempt: attempt.clone(), most_attempts: *of }
        }
        Notice::StartDelayed { reason: Some(reason), .. } => EventKind::StartDelayed { reason: reason.clone() },
        Notice::Ended(ended) => of_ended(ended),
        // How it stands is told by the other events, and the rest is about no job.
        Notice::Happened { .. }
        | Notice::Counted(_)
        | Notice::LeftOut { .. }
        | Notice::Held(_)
        | Notice::StartDelayed { reason: None, .. } => return None,
    })
}

fn of_ended(ended: &Ended) -> EventKind {
    match (&ended.outcome, &ended.refusal) {
        (_, Some(refusal)) if ended.verdict == Verdict::Skipped => {
            let because = refusal.details.skipped_because.as_ref().unwrap_or(&refusal.message);
            EventKind::Skipped { because: because.clone() }
        }
        (Some(outcome), None) => finished(outcome),
        (_, refusal) => EventKind::Finished {
            status: Status::Error,
            code: refusal.as_ref().map(|refusal| refusal.code),
            exit_code: None,
            signal: None,
            elapsed_seconds: milliseconds(ended.duration()),
        },
    }
}

/// A record as one line, with its newline.
pub fn to_line(record: &EventRecord) -> String {
    // Every type in a record has a JSON form.
    let mut line = serde_json::to_string(record).expect("a record is always valid JSON");
    line.push('\n');
    line
}

fn finished(outcome: &Outcome) -> EventKind {
    let code = answer::error_code(outcome);
    let (exit_code, signal) = match outcome.end {
        End::Exited(code) => (Some(code), None),
        End::Signaled { signal, .. } => (None, Some(signal)),
        End::NotStarted(_) | End::Unknown => (None, None),
    };
    EventKind::Finished {
        status: if code.is_some() { Status::Error } else { Status::Success },
        code,
        exit_code,
        signal,
        elapsed_seconds: milliseconds(outcome.elapsed),
    }
}

/// To the millisecond, as in the envelope.
fn milliseconds(duration: Duration) -> Seconds {
    Seconds(Duration::from_millis(u64::try_from((duration.as_micros() + 500) / 1000).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{json_line, of_notice, record, to_line};
    use crate::model::attempt::Attempt;
    use crate::model::batch::{Ended, Fingerprint, Notice, Verdict};
    use crate::model::envelope::{Details, ErrorBody, ErrorCode};
    use crate::model::event::{Event, Live, Place};
    use crate::model::event_record::EventRecord;
    use crate::model::outcome::{Cause, End, Leftover, Outcome, Progress, StartFailure, StartStep, TimeoutReason};
    use crate::model::quantity::Seconds;
    use crate::model::signal::Signal;

    const NOW: &str = "2026-11-23T10:00:00Z";

    fn finished(cause: Option<Cause>, end: End) -> Event {
        Event::JobFinished(Box::new(Outcome::plain(cause, end)))
    }

    fn retry_planned() -> Event {
        let delay = Duration::from_millis(1500);
        let mut attempt = Attempt::of(1, &Outcome::plain(None, End::Exited(75)), None);
        attempt.delay_seconds = Some(Seconds(delay));
        Event::RetryPlanned { attempt: Box::new(attempt), of: 4, delay }
    }

    /// Every kind, and what of it stands beside `timestamp`, `job_id` and `name`.
    fn kinds() -> Vec<(Event, serde_json::Value)> {
        let timeout = Cause::Timeout { reason: TimeoutReason::Total, limit: Duration::from_secs(60) };
        let cancelled = Cause::Cancelled { signal: Signal::INT };
        let leftover = Leftover { pid: 9, command: "sleep 9".to_owned(), holds_output: true };
        let minute = Duration::from_secs(60);
        vec![
            (Event::JobStarted { pid: 7 }, json!({"event": "started", "pid": 7})),
            (
                Event::OutputGrew { stdout_bytes: 3, stderr_bytes: 4 },
                json!({"event": "output", "stdout_bytes": 3, "stderr_bytes": 4}),
            ),
            (
                Event::ProgressReported(Progress::of(0.5).expect("in range")),
                json!({"event": "progress", "fraction": 0.5}),
            ),
            (Event::StatusReported("linking".to_owned()), json!({"event": "status", "message": "linking"})),
            (Event::PartialReported(json!({"items": [1]})), json!({"event": "partial", "value": {"items": [1]}})),
            (
                Event::DeadlineExtended { timeout: minute, capped: true },
                json!({"event": "extended", "timeout_seconds": 60, "capped": true}),
            ),
            (
                Event::ExtensionRefused { reason: "it is being stopped" },
                json!({"event": "extension_refused", "reason": "it is being stopped"}),
            ),
            (
                Event::MessageRefused { reason: "no such key".to_owned() },
                json!({"event": "message_refused", "reason": "no such key"}),
            ),
            (
                Event::StopBegun { cause: timeout, signal: Signal::TERM },
                json!({"event": "stopping", "signal": "TERM", "cause": "timeout", "reason": "total"}),
            ),
            (
                Event::StopBegun { cause: cancelled, signal: Signal::KILL },
                json!({"event": "stopping", "signal": "KILL", "cause": "cancelled"}),
            ),
            (
                Event::WarningReached { elapsed: Duration::from_micros(1_500_300), timeout: Some(minute) },
                json!({"event": "warning", "elapsed_seconds": 1.5, "timeout_seconds": 60}),
            ),
            (
                Event::WarningReached { elapsed: minute, timeout: None },
                json!({"event": "warning", "elapsed_seconds": 60}),
            ),
            (
                Event::LeftoversFound(vec![leftover]),
                json!({"event": "leftovers", "processes": [{"pid": 9, "command": "sleep 9", "holds_output": true}]}),
            ),
            (
                retry_planned(),
                json!({"event": "retrying", "attempt": 1, "code": "COMMAND_FAILED", "exit_code": 75,
                       "elapsed_seconds": 12.34, "message": "exited with code 75", "delay_seconds": 1.5,
                       "most_attempts": 4}),
            ),
            (
                finished(None, End::Exited(0)),
                json!({"event": "finished", "status": "success", "exit_code": 0, "elapsed_seconds": 12.34}),
            ),
            (
                finished(None, End::Exited(3)),
                json!({"event": "finished", "status": "error", "code": "COMMAND_FAILED", "exit_code": 3,
                       "elapsed_seconds": 12.34}),
            ),
            (
                finished(Some(timeout), End::Signaled { signal: Signal::TERM, core_dumped: false }),
                json!({"event": "finished", "status": "error", "code": "TIMEOUT", "signal": "TERM",
                       "elapsed_seconds": 12.34}),
            ),
            (
                finished(None, End::NotStarted(StartFailure { step: StartStep::Exec, os_error: libc::ENOENT })),
                json!({"event": "finished", "status": "error", "code": "NOT_FOUND", "elapsed_seconds": 12.34}),
            ),
        ]
    }

    fn ended(verdict: Verdict, outcome: Option<Outcome>, refusal: Option<ErrorBody>) -> Notice {
        Notice::Ended(Box::new(Ended {
            seq: 7,
            id: None,
            title: "build".to_owned(),
            command: "make".to_owned(),
            label: "7".to_owned(),
            fingerprint: Fingerprint(0),
            job_id: String::new(),
            verdict,
            attempts: Vec::new(),
            outcome,
            refusal,
            started_at: None,
            ended_at: Duration::from_secs(1),
            interrupted_before: false,
            subject: None,
        }))
    }

    fn refusal(code: ErrorCode, skipped_because: Option<&str>) -> Option<ErrorBody> {
        let details = Details { skipped_because: skipped_because.map(str::to_owned), ..Details::default() };
        Some(ErrorBody { code, message: "it was not begun".to_owned(), details, remediation: String::new() })
    }

    #[test]
    fn the_notices_of_a_batch_have_their_kinds() {
        let Event::RetryPlanned { attempt, of, delay } = retry_planned() else { panic!("it is one") };
        let begun = Notice::Begun { seq: 7, id: None, title: "build".into(), attempt: Place { number: 2, of: 4 } };
        let failed = Outcome::plain(None, End::Exited(3));
        let because = Some("needs 'a', which failed");
        for (notice, expected) in [
            (begun, json!({"event": "begun", "attempt": 2, "most_attempts": 4})),
            (
                Notice::RetryPlanned { seq: 7, attempt, of, delay },
                json!({"event": "retrying", "attempt": 1, "code": "COMMAND_FAILED", "exit_code": 75,
                       "elapsed_seconds": 12.34, "message": "exited with code 75", "delay_seconds": 1.5,
                       "most_attempts": 4}),
            ),
            (
                ended(Verdict::Skipped, None, refusal(ErrorCode::DependencyError, because)),
                json!({"event": "skipped", "because": "needs 'a', which failed"}),
            ),
            (
                ended(Verdict::Skipped, None, refusal(ErrorCode::Cancelled, None)),
                json!({"event": "skipped", "because": "it was not begun"}),
            ),
            (
                ended(Verdict::Failed, None, refusal(ErrorCode::NotFound, None)),
                json!({"event": "finished", "status": "error", "code": "NOT_FOUND", "elapsed_seconds": 0}),
            ),
            (
                ended(Verdict::Failed, Some(failed), None),
                json!({"event": "finished", "status": "error", "code": "COMMAND_FAILED", "exit_code": 3,
                       "elapsed_seconds": 12.34}),
            ),
        ] {
            let kind = of_notice(&notice).expect("a kind");
            let line = to_line(&EventRecord {
                timestamp: NOW.to_owned(),
                job_id: "7".to_owned(),
                name: Some("build".to_owned()),
                kind: kind.clone(),
            });
            let read: EventRecord = serde_json::from_str(&line).expect("a record");
            assert_eq!(read.kind, kind);
            let mut value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let object = value.as_object_mut().expect("an object");
            for field in ["timestamp", "job_id", "name"] {
                object.remove(field);
            }
            assert_eq!(value, expected);
        }
        assert_eq!(of_notice(&Notice::Held(None)), None);
    }

    #[test]
    fn every_kind_has_its_shape_and_reads_back() {
        for (event, expected) in kinds() {
            let line = json_line(&event, NOW, "job-1", Some("build")).expect("a record");
            assert!(line.ends_with('\n') && line.trim_end().lines().count() == 1, "{line}");
            let mut value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let read: EventRecord = serde_json::from_str(&line).expect("a record");
            assert_eq!(Some(read), record(&event, NOW, "job-1", Some("build")));
            let object = value.as_object_mut().expect("an object");
            assert_eq!(object.remove("timestamp"), Some(json!(NOW)));
            assert_eq!(object.remove("job_id"), Some(json!("job-1")));
            assert_eq!(object.remove("name"), Some(json!("build")));
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn a_line_begins_with_when_and_which() {
        let line = json_line(&Event::JobStarted { pid: 7 }, NOW, "job-1", None);
        let expected =
            "{\"timestamp\":\"2026-11-23T10:00:00Z\",\"job_id\":\"job-1\",\"event\":\"started\",\"pid\":7}\n";
        assert_eq!(line.as_deref(), Some(expected));
    }

    #[test]
    fn every_record_fits_the_schema_and_others_do_not() {
        let schema = serde_json::to_value(schemars::schema_for!(EventRecord)).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        for (event, _) in kinds() {
            let record = serde_json::to_value(record(&event, NOW, "job-1", None)).expect("JSON");
            let errors: Vec<String> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{record}: {errors:?}");
        }
        let unknown = json!({"timestamp": NOW, "job_id": "job-1", "event": "started"});
        assert!(!validator.is_valid(&unknown));
    }

    #[test]
    fn the_pace_of_time_is_no_record() {
        assert_eq!(record(&Event::TimePassed(Live::default()), NOW, "job-1", None), None);
        assert_eq!(record(&Event::StatusRequested(Live::default()), NOW, "job-1", None), None);
    }
}
