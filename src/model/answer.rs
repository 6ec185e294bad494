//! Turns an outcome into the envelope that answers for it: code, message, details, remediation.
//!
//! Pure: the same outcome always gives the same words. Every verb answers through here.

use std::time::Duration;

use crate::model::attempt::Attempt;
use crate::model::envelope::{
    API_VERSION, CommandData, Details, Envelope, ErrorBody, ErrorCode, Metadata, OutputRecord, PartialResult, Reason,
    Status, TaskReason, Termination,
};
use crate::model::outcome::{Cause, End, Extensions, OperationFailure, Outcome, StartStep, TimeoutReason};
use crate::model::quantity::Seconds;
use crate::model::secrets::Secrets;
use crate::model::shown_stream::Shown;
use crate::model::signal::Signal;

/// How much of each stream an answer repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that was kept.
    Kept,
    /// At most the last so many bytes: the rest went by already.
    Last(usize),
}

/// Facts about the request that the outcome does not know.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    pub request_id: String,
    /// RFC 3339, UTC.
    pub timestamp: String,
    pub duration: Duration,
    pub name: Option<String>,
    /// What the list or the queue calls the job; absent elsewhere.
    pub job_id: Option<String>,
    /// Every attempt, where retries were asked for or the job is one of a batch or queue.
    pub attempts: Vec<Attempt>,
    /// What the answer may not show.
    pub secrets: Secrets,
}

/// The answer for an attempt that came to an end. `command` is the program as the user named it.
pub fn of_outcome(outcome: &Outcome, command: &str, extent: Extent, request: &RequestInfo) -> Envelope {
    if let Some(error) = error_body(outcome, command, extent) {
        return of_error(error, request);
    }
    let data = CommandData {
        exit_code: 0,
        output: OutputRecord { progress: None, ..output_record(outcome, extent) },
        result: outcome.told.result.clone(),
        usage: outcome.usage,
        leftovers: outcome.leftovers.clone(),
        flaky: request.attempts.len() > 1,
        attempts: several(&request.attempts),
    };
    let envelope = Envelope { status: Status::Success, data: Some(data), error: None, metadata: metadata(request) };
    redacted(envelope, request)
}

/// What is known of a job that is being stopped.
pub fn of_stop(so_far: &Outcome, command: &str, request: &RequestInfo) -> Envelope {
    let mut envelope = of_outcome(so_far, command, Extent::Kept, request);
    envelope.metadata.interim = true;
    if let Some(error) = &mut envelope.error {
        // How it ended, and what outlived it, is not known yet.
        error.details.termination = None;
    }
    envelope
}

impl<D> Envelope<D> {
    /// The answer of a verb that did what it was asked to.
    pub fn success(data: D, request: &RequestInfo) -> Self {
        Self { status: Status::Success, data: Some(data), error: None, metadata: metadata(request) }
    }
}

/// One attempt needs no list of its own.
fn several(attempts: &[Attempt]) -> Vec<Attempt> {
    if attempts.len() > 1 { attempts.to_vec() } else { Vec::new() }
}

/// The answer for an error.
pub fn of_error(mut error: ErrorBody, request: &RequestInfo) -> Envelope {
    if error.details.attempts.is_empty() {
        error.details.attempts = several(&request.attempts);
    }
    let envelope = Envelope { status: Status::Error, data: None, error: Some(error), metadata: metadata(request) };
    redacted(envelope, request)
}

/// Whoever answers goes through here.
fn redacted(mut envelope: Envelope, request: &RequestInfo) -> Envelope {
    request.secrets.mask_envelope(&mut envelope);
    envelope
}

/// What kept a batch from coming to its end; none where it was its own doing. `journalled`: another run can go on with it.
pub fn of_batch(cause: Cause, elapsed: Duration, journalled: bool) -> Option<ErrorBody> {
    let elapsed_seconds = Some((elapsed.as_secs_f64() * 1e3).round() / 1e3);
    match cause {
        Cause::Timeout { reason, limit } => Some(ErrorBody {
            code: ErrorCode::Timeout,
            message: match reason {
                TimeoutReason::ParentDeadline => {
                    format!("The runner above this one allows the batch no more time than {}", in_seconds(limit))
                }
                _ => format!("The batch exceeded its total time of {}", in_seconds(limit)),
            },
            details: Details {
                timeout_seconds: Some(Seconds(limit)),
                reason: Some(Reason::Deadline(reason)),
                elapsed_seconds,
                ..Details::default()
            },
            remediation: match reason {
                TimeoutReason::ParentDeadline => "Increase the timeout of the runner above this one".to_owned(),
                _ if journalled => "Increase --total-timeout, or go on with what is left by --resume".to_owned(),
                _ => "Increase --total-timeout; with --journal, --resume could go on with what is left".to_owned(),
            },
        }),
        Cause::Cancelled { signal } => Some(ErrorBody {
            code: ErrorCode::Cancelled,
            message: format!("The batch was cancelled by SIG{signal}"),
            details: Details { signal: Some(signal), elapsed_seconds, ..Details::default() },
            remediation: match journalled {
                true => "Run it again, or go on with what is left by --resume".to_owned(),
                false => "Run it again; with --journal, --resume could go on with what is left".to_owned(),
            },
        }),
        Cause::CalledOff => None,
    }
}

/// What became of a task whose worker died while it ran. `outcome` holds what was kept of its output.
pub fn of_lost_task(outcome: &Outcome) -> ErrorBody {
    let (partial_result, output) = partial_result(outcome, Extent::Kept);
    ErrorBody {
        code: ErrorCode::ServiceUnavailable,
        message: "The worker died while it ran the task".to_owned(),
        details: Details {
            reason: Some(Reason::Task(TaskReason::WorkerLost)),
            partial_result,
            output,
            processes: outcome.survivors.clone().filter(|survivors| !survivors.is_empty()),
            ..Details::default()
        },
        remediation: "See what it had done, then 'runner task retry' it; --on-crash retry does so by itself".to_owned(),
    }
}

/// What there is of a task while it runs: what was kept of its output, and what it told.
pub fn so_far(outcome: &Outcome) -> Option<PartialResult> {
    partial_result(outcome, Extent::Kept).0
}

fn in_seconds(limit: Duration) -> String {
    let unit = if limit == Duration::from_secs(1) { "second" } else { "seconds" };
    format!("{} {unit}", Seconds(limit))
}

/// What kind of error the attempt ended in; none where it succeeded. The same as in its envelope.
pub fn error_code(outcome: &Outcome) -> Option<ErrorCode> {
    error_body(outcome, "", Extent::Last(0)).map(|error| error.code)
}

/// Facts about an answer to this request.
pub fn metadata(request: &RequestInfo) -> Metadata {
    Metadata {
        request_id: request.request_id.clone(),
        timestamp: request.timestamp.clone(),
        duration_ms: (request.duration.as_secs_f64() * 1e4).round() / 10.0,
        api_version: API_VERSION.to_owned(),
        name: request.name.clone(),
        job_id: request.job_id.clone(),
        attempt: request.attempts.last().map(|last| last.attempt),
        interrupted_before: false,
        interim: false,
    }
}

/// What went wrong, or nothing where the job succeeded.
fn error_body(outcome: &Outcome, command: &str, extent: Extent) -> Option<ErrorBody> {
    let (partial_result, output) = partial_result(outcome, extent);
    let extensions = (outcome.extensions != Extensions::default()).then_some(outcome.extensions);
    let elapsed_seconds = Some((outcome.elapsed.as_secs_f64() * 1e3).round() / 1e3);
    let leftovers = (outcome.leftovers != Some(Vec::new())).then(|| outcome.leftovers.clone());
    let stopped = Details {
        elapsed_seconds,
        partial_result: partial_result.clone(),
        output: output.clone(),
        extensions,
        termination: Some(termination(outcome)),
        processes: Some(outcome.processes.clone()),
        usage: Some(outcome.usage),
        ..Details::default()
    };
    let ended = Details {
        elapsed_seconds,
        partial_result,
        output,
        extensions,
        usage: Some(outcome.usage),
        leftovers,
        ..Details::default()
    };
    match (&outcome.cause, &outcome.end) {
        (Some(Cause::Timeout { reason, limit }), _) => Some(ErrorBody {
            code: ErrorCode::Timeout,
            message: timeout_message(outcome, *reason, *limit),
            details: Details {
                timeout_seconds: Some(Seconds(*limit)),
                reason: Some(Reason::Deadline(*reason)),
                ..stopped
            },
            remediation: timeout_remediation(outcome, *reason, *limit),
        }),
        (Some(Cause::Cancelled { signal }), _) => Some(ErrorBody {
            code: ErrorCode::Cancelled,
            message: match outcome.between_attempts {
                true => format!("Operation was cancelled by SIG{signal} before its next attempt"),
                false => format!("Operation was cancelled by SIG{signal}"),
            },
            details: Details { signal: Some(*signal), ..stopped },
            remediation: "Run the command again when it may run to its end".to_owned(),
        }),
        (Some(Cause::CalledOff), _) => Some(ErrorBody {
            code: ErrorCode::Cancelled,
            message: "Operation was stopped since another job of the batch failed".to_owned(),
            details: stopped,
            remediation: "See to the job that failed, then run the batch again".to_owned(),
        }),
        (None, End::NotStarted(failure)) => Some(not_started(failure, command)),
        (None, End::Exited(0)) if outcome.troubles.is_empty() => None,
        (None, End::Exited(0)) => Some(ErrorBody {
            code: ErrorCode::InternalError,
            message: format!("The command succeeded, but {}", outcome.troubles.join("; ")),
            details: Details { exit_code: Some(0), ..ended },
            remediation: "Make room for the output or send it elsewhere, then run the command again".to_owned(),
        }),
        (None, End::Exited(code)) if outcome.told.failure.is_some() => outcome
            .told
            .failure
            .as_ref()
            .map(|failure| operation_failed(failure, Details { exit_code: Some(*code), ..ended })),
        (None, End::Exited(code)) => Some(ErrorBody {
            code: ErrorCode::CommandFailed,
            message: format!("{command} exited with code {code}"),
            details: Details { exit_code: Some(*code), ..ended },
            remediation: exit_remediation(*code).to_owned(),
        }),
        (None, End::Signaled { signal, core_dumped }) => Some(ErrorBody {
            code: ErrorCode::CommandFailed,
            message: format!("{command} was killed by SIG{signal}"),
            details: Details { signal: Some(*signal), core_dumped: core_dumped.then_some(true), ..ended },
            remediation: signal_remediation(*signal).to_owned(),
        }),
        (None, End::Unknown) => Some(ErrorBody {
            code: ErrorCode::InternalError,
            message: format!("{command} could not be waited for"),
            details: stopped,
            remediation: "Look at the processes named in the answer and end them by hand".to_owned(),
        }),
    }
}

/// What there was of it: the value that an operation set, and beside it what it printed; or the output of a command.
fn partial_result(outcome: &Outcome, extent: Extent) -> (Option<PartialResult>, Option<Box<OutputRecord>>) {
    let output = Box::new(output_record(outcome, extent));
    if !outcome.operation {
        return (Some(PartialResult::Output(output)), None);
    }
    let printed = outcome.stdout.total + outcome.stderr.total > 0;
    let output = Box::new(OutputRecord { reported: None, ..*output });
    (outcome.told.partial.clone().map(PartialResult::Value), printed.then_some(output))
}

/// The failure of a built-in operation, in its own words.
fn operation_failed(failure: &OperationFailure, details: Details) -> ErrorBody {
    ErrorBody {
        code: failure.code,
        message: failure.message.clone(),
        details: Details { argument: failure.argument.clone(), ..details },
        remediation: failure.remediation.clone(),
    }
}

fn timeout_message(outcome: &Outcome, reason: TimeoutReason, limit: Duration) -> String {
    let limit = in_seconds(limit);
    match reason {
        TimeoutReason::TotalBudget if outcome.between_attempts => {
            format!("No time is left for another attempt: all together may take {limit}")
        }
        TimeoutReason::ParentDeadline if outcome.between_attempts => {
            format!("No time is left for another attempt: the runner above this one allows {limit}")
        }
        TimeoutReason::Total if outcome.extensions.reached_maximum => {
            format!("Operation exceeded timeout of {limit}, beyond which nothing may extend it")
        }
        TimeoutReason::Total => format!("Operation exceeded timeout of {limit}"),
        TimeoutReason::Idle => format!("Operation was idle for {limit}: no output and no CPU time"),
        TimeoutReason::TotalBudget => format!("Operation exceeded the total time of {limit}"),
        TimeoutReason::ParentDeadline => {
            format!("The runner above this one allows no more time than {limit}")
        }
    }
}

/// What to do about a timeout: the most telling fact first.
fn timeout_remediation(outcome: &Outcome, reason: TimeoutReason, limit: Duration) -> String {
    match outcome.stopped_by {
        Some(Signal::TTIN) => {
            return "The command was stopped because it read from the terminal in the background; run it in the \
                    foreground, or give it other input with --stdin null or --stdin FILE"
                .to_owned();
        }
        Some(Signal::TTOU) => {
            return "The command was stopped because it wrote to the terminal in the background; run it in the \
                    foreground, or redirect its output"
                .to_owned();
        }
        Some(signal) => {
            return format!(
                "The command had stopped itself on SIG{signal} and nothing continued it; find out what stops it"
            );
        }
        None => {}
    }
    if outcome.reader_gone {
        return "The reader of the output went away; check what follows in the pipe".to_owned();
    }
    match reason {
        TimeoutReason::Total => "Try breaking the operation into smaller chunks or increase timeout".to_owned(),
        TimeoutReason::Idle => format!(
            "It was silent for at least {} seconds; see in processes what it waits for, or increase --idle-timeout",
            Seconds(limit)
        ),
        TimeoutReason::TotalBudget => "Increase --total-timeout, or allow fewer attempts or jobs".to_owned(),
        TimeoutReason::ParentDeadline => "Increase the timeout of the runner above this one".to_owned(),
    }
}

fn exit_remediation(code: i32) -> &'static str {
    match code {
        126 | 127 => "The command itself reports that it could not run a program; check the programs that it calls",
        _ => "See the output of the command for the reason",
    }
}

fn signal_remediation(signal: Signal) -> &'static str {
    match signal {
        Signal::KILL => "Something outside runner killed it; look for the out-of-memory killer in the system's log",
        Signal::PIPE => "It wrote to a pipe that nobody reads any more",
        _ => "See the output of the command, or a core dump, for the reason",
    }
}

fn not_started(failure: &crate::model::outcome::StartFailure, command: &str) -> ErrorBody {
    let reason = os_text(failure.os_error);
    let (code, message, remediation) = match (failure.step, failure.os_error) {
        (StartStep::Exec, libc::ENOENT) => (
            ErrorCode::NotFound,
            format!("cannot run {command}: the program, or the interpreter that it names, does not exist"),
            "Check the spelling, the PATH, and the first line of the script",
        ),
        (StartStep::Exec, libc::EACCES | libc::EPERM) => (
            ErrorCode::AuthorizationDenied,
            format!("cannot run {command}: {reason}"),
            "Make the file executable (chmod +x), or check the mount for noexec",
        ),
        (StartStep::Exec, libc::E2BIG) => (
            ErrorCode::ValidationError,
            format!("cannot run {command}: {reason}"),
            "Pass fewer or shorter arguments, or put them into a file",
        ),
        (StartStep::Exec, _) => (
            ErrorCode::ValidationError,
            format!("cannot run {command}: {reason}"),
            "Check that the file is a program for this machine",
        ),
        (StartStep::Chdir, libc::EACCES) => (
            ErrorCode::AuthorizationDenied,
            format!("cannot enter the working directory of {command}: {reason}"),
            "Check --cwd and the permissions of that folder",
        ),
        (StartStep::Chdir, _) => {
            (ErrorCode::NotFound, format!("cannot enter the working directory of {command}: {reason}"), "Check --cwd")
        }
        (StartStep::Input, _) => {
            (ErrorCode::ValidationError, format!("cannot open the input of {command}: {reason}"), "Check --stdin")
        }
        (StartStep::Spawn, _) => (
            ErrorCode::ServiceUnavailable,
            format!("cannot make a process for {command}: {reason}"),
            "The machine is out of processes or memory; try again when there is room",
        ),
    };
    let details = Details { os_error: Some(reason), ..Details::default() };
    ErrorBody { code, message, details, remediation: remediation.to_owned() }
}

fn termination(outcome: &Outcome) -> Termination {
    let (exit_code, signal) = match outcome.end {
        End::Exited(code) => (Some(code), None),
        End::Signaled { signal, .. } => (None, Some(signal)),
        End::NotStarted(_) | End::Unknown => (None, None),
    };
    Termination {
        signals: outcome.signals.clone(),
        exit_code,
        signal,
        containment: outcome.containment,
        survivors: outcome.survivors.clone(),
    }
}

fn output_record(outcome: &Outcome, extent: Extent) -> OutputRecord {
    let stdout = Shown::of(&outcome.stdout, extent);
    let stderr = Shown::of(&outcome.stderr, extent);
    let handed_over: Vec<String> = [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)]
        .into_iter()
        .filter(|(_, record)| !record.captured)
        .map(|(name, _)| name.to_owned())
        .collect();
    OutputRecord {
        stdout: stdout.text,
        stderr: stderr.text,
        stdout_base64: stdout.base64,
        stderr_base64: stderr.base64,
        stdout_bytes: outcome.stdout.total,
        stderr_bytes: outcome.stderr.total,
        stdout_omitted_bytes: stdout.omitted,
        stderr_omitted_bytes: stderr.omitted,
        stdout_undelivered_bytes: outcome.stdout.undelivered,
        stderr_undelivered_bytes: outcome.stderr.undelivered,
        merged: outcome.merged,
        captured: handed_over.is_empty(),
        not_captured: if handed_over.len() == 2 { Vec::new() } else { handed_over },
        progress: outcome.told.progress,
        reported: outcome.told.partial.clone(),
        refused_messages: outcome.told.refused_messages,
    }
}

/// The operating system's words for an error number.
pub(super) fn os_text(number: i32) -> String {
    let text = std::io::Error::from_raw_os_error(number).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
