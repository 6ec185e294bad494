//! The job log of GNU parallel: a heading and a line for each job that ran, tab separated, as parallel(1) describes
//! under `--joblog`. Tools that read its logs read ours.
//!
//! Of a job that was tried several times it is the last attempt, as there. A job that never got its turn has no line, so
//! that it is known to be left to do.

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::batch::{Ended, Verdict};
use crate::model::envelope::{Envelope, ErrorCode};
use crate::model::exit_code;
use crate::model::outcome::{Cause, End, Outcome};
use crate::model::printable::push_escaped;
use crate::render::records::{Record, story};

/// Lines of GNU parallel's job log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joblog;

impl Record for Joblog {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n");
    }

    fn job(&mut self, ended: &Ended, envelope: &Envelope, out: &mut Vec<u8>) {
        if ended.verdict == Verdict::Skipped {
            return;
        }
        let (started, lasted) = last_attempt(ended);
        let received = ended.outcome.as_ref().map_or(0, |outcome| outcome.stdout.total);
        let (exit_value, signal) = end_of(ended, envelope);
        let line = format!(
            "{}\t:\t{:.3}\t{:10.3}\t0\t{received}\t{exit_value}\t{signal}\t{}\n",
            ended.seq,
            started.as_secs_f64(),
            lasted.as_secs_f64(),
            on_one_line(&ended.command)
        );
        out.extend_from_slice(line.as_bytes());
    }
}

/// When the last attempt began, and how long it took.
fn last_attempt(ended: &Ended) -> (Duration, Duration) {
    match (&ended.attempts[..], ended.started_at) {
        ([_, .., last], _) => {
            let lasted = Duration::try_from_secs_f64(last.elapsed_seconds).unwrap_or_default();
            (ended.ended_at.saturating_sub(lasted), lasted)
        }
        (_, Some(started)) => (started, ended.duration()),
        (_, None) => (ended.ended_at, Duration::ZERO),
    }
}

/// The columns Exitval and Signal. One that was stopped has -1 and a signal, whatever it exited with: no reader may take
/// it for a success.
fn end_of(ended: &Ended, envelope: &Envelope) -> (i32, i32) {
    let Some(outcome) = &ended.outcome else {
        let code = match story::error(ended, envelope).map(|error| error.code) {
            Some(ErrorCode::NotFound) => exit_code::NOT_FOUND,
            Some(ErrorCode::AuthorizationDenied) => exit_code::CANNOT_RUN,
            _ => exit_code::RUNNER_FAILED,
        };
        return (code, 0);
    };
    match (&outcome.cause, &outcome.end) {
        (Some(cause), _) => (-1, stop_signal(cause, outcome)),
        (None, End::Exited(0)) if !ended.verdict.is_success() => (exit_code::RUNNER_FAILED, 0),
        (None, End::Exited(code)) => (*code, 0),
        (None, End::Signaled { signal, .. }) => (0, signal.number()),
        (None, End::Unknown) => (-1, 0),
        (None, End::NotStarted(_)) => match exit_code::of_outcome(outcome) {
            exit_code::Exit::Code(code) => (code, 0),
            exit_code::Exit::Signal(signal) => (-1, signal.number()),
        },
    }
}

/// The signal that it died of, or else the last one that it was sent.
fn stop_signal(cause: &Cause, outcome: &Outcome) -> i32 {
    match (&outcome.end, cause) {
        (End::Signaled { signal, .. }, _) => signal.number(),
        (_, Cause::Cancelled { signal }) if outcome.signals.is_empty() => signal.number(),
        _ => outcome.signals.last().map_or(0, |signal| signal.number()),
    }
}

/// The command without characters that end a line or a column.
fn on_one_line(command: &str) -> String {
    let mut line = String::with_capacity(command.len());
    for c in command.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(line, "\\x{:02x}", u32::from(c));
            }
            c => push_escaped(&mut line, c.encode_utf8(&mut [0; 4])),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::model::batch::Verdict;
    use crate::model::outcome::{Cause, End, TimeoutReason};
    use crate::model::signal::Signal;
    use crate::render::records::fixture::{self, Story};
    use crate::render::records::{Record, joblog::Joblog};

    fn line(story: Story) -> String {
        let mut out = Vec::new();
        let (ended, envelope) = story.build();
        Joblog.job(&ended, &envelope, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_heading_is_that_of_gnu_parallel() {
        let mut out = Vec::new();
        Joblog.begin(&mut out);
        assert_eq!(out, b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n");
    }

    #[test]
    fn a_job_is_a_line_in_nine_columns() {
        let mut story = Story::success();
        story.stdout = b"four".to_vec();
        assert_eq!(line(story), "1\t:\t1795470330.500\t    12.340\t0\t4\t0\t0\techo one\n");
        assert_eq!(line(Story::exit(3)), "1\t:\t1795470330.500\t    12.340\t0\t0\t3\t0\techo one\n");
        let death = Story::of(Verdict::Failed, None, End::Signaled { signal: Signal::KILL, core_dumped: false });
        assert_eq!(line(death), "1\t:\t1795470330.500\t    12.340\t0\t0\t0\t9\techo one\n");
    }

    #[test]
    fn what_was_stopped_is_never_taken_for_a_success() {
        let timeout = Cause::Timeout { reason: TimeoutReason::Total, limit: Duration::from_secs(12) };
        let mut polite = Story::of(Verdict::TimedOut, Some(timeout), End::Exited(0));
        polite.signals = vec![Signal::TERM];
        assert!(line(polite).contains("\t-1\t15\techo one"));
        let killed =
            Story::of(Verdict::TimedOut, Some(timeout), End::Signaled { signal: Signal::KILL, core_dumped: false });
        assert!(line(killed).contains("\t-1\t9\techo one"));
        let cancelled = Cause::Cancelled { signal: Signal::INT };
        assert!(line(Story::of(Verdict::Cancelled, Some(cancelled), End::Exited(0))).contains("\t-1\t2\techo one"));
        let mut lossy = Story::of(Verdict::Failed, None, End::Exited(0));
        lossy.troubles = vec!["its log could not be written".to_owned()];
        assert!(line(lossy).contains("\t125\t0\techo one"));
    }

    #[test]
    fn of_several_attempts_it_is_the_last() {
        let mut story = Story::exit(4);
        story.attempts = vec![fixture::failed_attempt(1, 1, 10.0), fixture::failed_attempt(2, 4, 2.0)];
        assert_eq!(line(story), "1\t:\t1795470340.840\t     2.000\t0\t0\t4\t0\techo one\n");
    }

    #[test]
    fn a_job_that_never_got_its_turn_has_no_line() {
        assert_eq!(line(Story::skipped("job 'a' failed")), "");
    }

    #[test]
    fn a_command_that_was_not_found_has_the_code_of_a_shell() {
        assert!(line(Story::not_found()).contains("\t127\t0\techo one"));
        let (mut ended, envelope) = Story::not_found().build();
        ended.outcome = None;
        ended.attempts.clear();
        let mut out = Vec::new();
        Joblog.job(&ended, &envelope, &mut out);
        assert!(String::from_utf8(out).unwrap().contains("\t127\t0\techo one"));
    }

    #[test]
    fn a_command_never_leaves_its_column() {
        let mut story = Story::success();
        story.command = "printf 'a\nb\tc' \x1b[2J\0".to_owned();
        let line = line(story);
        assert!(line.ends_with("\tprintf 'a\\nb\\tc' \\x1b[2J\\x00\n"), "{line:?}");
        assert_eq!(line.split('\t').count(), 9);
    }
}
