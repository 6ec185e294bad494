//! The one table of exit codes.
//!
//! `main` exits with one of these, the man page prints them, and nothing else in the program knows a number.

use crate::model::outcome::{Cause, End, Outcome, StartStep};
use crate::model::signal::Signal;

/// Some job of a batch did not succeed.
pub const SOME_JOB_FAILED: i32 = 1;
/// A built-in operation failed.
pub const OPERATION_FAILED: i32 = 1;
/// Some job of a batch did not succeed.
pub const SOME_FAILED: i32 = 1;
/// What was asked for does not exist, or may not be done as things stand.
pub const REFUSED: i32 = 1;
/// A task is not over yet.
pub const PENDING: i32 = 75;
/// Stopped for time, also when it took a KILL.
pub const TIMED_OUT: i32 = 124;
/// Runner itself failed, or was called wrongly.
pub const RUNNER_FAILED: i32 = 125;
/// The command was found and could not be run.
pub const CANNOT_RUN: i32 = 126;
/// The command was not found.
pub const NOT_FOUND: i32 = 127;
/// A death by signal N is this plus N.
pub const SIGNAL_BASE: i32 = 128;

/// The table as the man page shows it: code, meaning.
pub const TABLE: &[(&str, &str)] = &[
    ("the job's own", "it ended by itself"),
    ("1", "a built-in operation failed"),
    ("124", "runner stopped the job for time, also when it took a KILL"),
    ("125", "runner itself failed, or was called wrongly"),
    ("126", "the command was found and could not be run"),
    ("127", "the command was not found"),
    ("128+N", "the job died of signal N, which runner did not send for time"),
    ("129, 143", "runner was told to stop by HUP or TERM"),
    ("130, 131", "runner was told to stop by INT or QUIT; it answers, then dies of that signal"),
];

/// The same for a batch.
pub const BATCH_TABLE: &[(&str, &str)] = &[
    ("0", "all jobs succeeded, now or in the run that was resumed"),
    ("1", "some job failed, ran out of its own time, or was skipped"),
    ("124", "the time of the whole batch ran out"),
    ("125", "runner itself failed, or was called wrongly; a wrong job list is one, and no job was started"),
    ("129, 143", "runner was told to stop by HUP or TERM"),
    ("130, 131", "runner was told to stop by INT or QUIT; it answers, then dies of that signal"),
];

/// The same for the verbs of `runner task` and `runner worker`.
pub const TASK_TABLE: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "refused: there is no such task, or it does not stand as it must (NOT_FOUND, CONFLICT)"),
    ("125", "runner itself failed, or was called wrongly"),
];

/// The same where the end of tasks is waited for.
pub const WAIT_TABLE: &[(&str, &str)] = &[
    ("of one task", "what exec would have left with; 143 where it was cancelled"),
    ("0", "of several: all succeeded"),
    ("1", "of several: some task did not; or refused, since there is no such task"),
    ("75", "the wait ended before the task"),
    ("125", "runner itself failed, or was called wrongly; or the worker of the task was lost"),
    ("129, 143", "runner was told to stop by HUP or TERM; tasks are not touched by that"),
    ("130, 131", "runner was told to stop by INT or QUIT, and dies of that signal; tasks are not touched by that"),
];

/// How the program leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    /// Die of this signal by its default action, so that a shell around us sees it.
    Signal(Signal),
}

/// How `exec` leaves after this outcome.
pub fn of_outcome(outcome: &Outcome) -> Exit {
    match (&outcome.cause, &outcome.end) {
        (Some(Cause::Cancelled { signal }), _) if [Signal::INT, Signal::QUIT].contains(signal) => Exit::Signal(*signal),
        (Some(Cause::Cancelled { signal }), _) => Exit::Code(SIGNAL_BASE + signal.number()),
        (Some(Cause::CalledOff), _) => Exit::Code(SIGNAL_BASE + Signal::TERM.number()),
        (Some(Cause::Timeout { .. }), _) => Exit::Code(TIMED_OUT),
        (None, End::Exited(0)) if !outcome.troubles.is_empty() => Exit::Code(RUNNER_FAILED),
        (None, End::Exited(code)) => Exit::Code(*code),
        (None, End::Signaled { signal, .. }) => Exit::Code(SIGNAL_BASE + signal.number()),
        (None, End::NotStarted(failure)) => Exit::Code(match failure.step {
            StartStep::Exec if failure.os_error == libc::ENOENT => NOT_FOUND,
            StartStep::Exec => CANNOT_RUN,
            StartStep::Spawn | StartStep::Input | StartStep::Chdir => RUNNER_FAILED,
        }),
        (None, End::Unknown) => Exit::Code(RUNNER_FAILED),
    }
}
