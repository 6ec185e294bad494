//! What every record tells of a job: how it ended in a word, why in a sentence, and the end of its output.
//!
//! Used by the records and by the summary on stderr, so that all say the same.

use std::time::Duration;

use crate::model::batch::{Ended, Verdict};
use crate::model::envelope::{Envelope, ErrorBody, ErrorCode, OutputRecord, PartialResult};
use crate::model::outcome::End;

/// How it ended, for people.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Succeeded => "succeeded",
        Verdict::Flaky => "flaky",
        Verdict::Failed => "failed",
        Verdict::TimedOut => "timed out",
        Verdict::Cancelled => "cancelled",
        Verdict::Skipped => "skipped",
    }
}

/// The code as it stands in answers.
pub fn code_name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::ValidationError => "VALIDATION_ERROR",
        ErrorCode::NotFound => "NOT_FOUND",
        ErrorCode::AuthorizationDenied => "AUTHORIZATION_DENIED",
        ErrorCode::Conflict => "CONFLICT",
        ErrorCode::Timeout => "TIMEOUT",
        ErrorCode::Cancelled => "CANCELLED",
        ErrorCode::CommandFailed => "COMMAND_FAILED",
        ErrorCode::DependencyError => "DEPENDENCY_ERROR",
        ErrorCode::ServiceUnavailable => "SERVICE_UNAVAILABLE",
        ErrorCode::InternalError => "INTERNAL_ERROR",
    }
}

/// What went wrong: by the answer, or else by what the batch itself knows.
pub fn error<'a>(ended: &'a Ended, envelope: &'a Envelope) -> Option<&'a ErrorBody> {
    envelope.error.as_ref().or(ended.refusal.as_ref())
}

/// Why it did not succeed, or did so late, in one sentence.
pub fn cause(ended: &Ended, envelope: &Envelope) -> String {
    if let Some(error) = error(ended, envelope) {
        return match &error.details.skipped_because {
            Some(because) if ended.verdict == Verdict::Skipped => because.clone(),
            _ => error.message.clone(),
        };
    }
    match ended.attempts.iter().rev().find_map(|attempt| attempt.message.clone()) {
        Some(message) => message,
        None if ended.verdict.is_success() => String::new(),
        None => word(ended.verdict).to_owned(),
    }
}

/// No program of the job ran, in no attempt.
pub fn never_ran(ended: &Ended) -> bool {
    match &ended.outcome {
        Some(outcome) => matches!(outcome.end, End::NotStarted(_)),
        None => ended.attempts.is_empty() || ended.refusal.is_some(),
    }
}

/// What was kept of its output, where anything is known of it.
pub fn output(envelope: &Envelope) -> Option<&OutputRecord> {
    if let Some(data) = &envelope.data {
        return Some(&data.output);
    }
    let details = &envelope.error.as_ref()?.details;
    match &details.partial_result {
        Some(PartialResult::Output(output)) => Some(output),
        _ => details.output.as_deref(),
    }
}

/// The stream on which a job most likely said why it failed: stderr, unless it has nothing there.
pub fn telling(output: &OutputRecord) -> &str {
    if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr }
}

/// The end of a text, at most so many bytes, from the start of a line where there is one. Also tells how many bytes
/// stand before it.
pub fn tail(text: &str, limit: usize) -> (&str, usize) {
    if text.len() <= limit {
        return (text, 0);
    }
    let start = text.ceil_char_boundary(text.len() - limit);
    let rest = &text[start..];
    // A line that is longer than the limit is cut, and not left out.
    let start = match rest.find('\n') {
        Some(end) if end + 1 < rest.len() => start + end + 1,
        _ => start,
    };
    (&text[start..], start)
}

/// The last lines that have anything on them.
pub fn last_lines(text: &str, count: usize) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(count).collect();
    lines.reverse();
    lines
}

/// At most so many bytes, at a character's end; `...` stands for the rest.
pub fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(limit.saturating_sub(3))])
}

/// Seconds with three digits.
pub fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

/// Seconds with one digit, for people, or minutes where there are some.
pub fn lasting(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{last_lines, lasting, shortened, tail};

    #[test]
    fn a_tail_begins_with_a_line_where_it_can() {
        assert_eq!(tail("one\ntwo\n", 100), ("one\ntwo\n", 0));
        assert_eq!(tail("one\ntwo\nthree\n", 11), ("two\nthree\n", 4));
        assert_eq!(tail("abcdefgh", 3), ("fgh", 5));
        assert_eq!(tail("aaaaaaa\n", 4), ("aaa\n", 4));
        assert_eq!(tail("ääää", 3), ("ä", 6));
        assert_eq!(tail("x", 0), ("", 1));
    }

    #[test]
    fn empty_lines_say_nothing() {
        assert_eq!(last_lines("a\n\nb\n   \nc\n\n", 2), ["b", "c"]);
        assert_eq!(last_lines("", 2), Vec::<&str>::new());
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abc...");
        assert_eq!(shortened("ääää", 6), "ä...");
        assert_eq!(shortened("abcdefg", 2), "...");
    }

    #[test]
    fn times_read_as_people_say_them() {
        for (millis, text) in
            [(0, "0.0 s"), (12_340, "12.3 s"), (59_949, "59.9 s"), (61_000, "1 min 1 s"), (3_700_000, "1 h 1 min")]
        {
            assert_eq!(lasting(Duration::from_millis(millis)), text);
        }
    }
}
