//! The values of the queue's options: ids, groups, priorities, statuses, times, numbers of slots.
//!
//! Called by the parser of the command line. What was wrong is said with what would be right.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::job_options::Limit;
use crate::model::batch::Priority;
use crate::model::task::{OnCrash, TaskStatus};
use crate::ops;
use crate::time::duration;

/// The longest name that a group may have, in bytes.
const LONGEST_GROUP: usize = 64;
/// More tasks at once than any machine has room for.
const MOST_SLOTS: u32 = 10_000;

/// The slots of a group, or of all that have none of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slots {
    Own(u32),
    /// It takes from those of all others.
    Shared,
}

/// Priorities in either case: answers have them in capitals.
pub(crate) fn priority() -> impl TypedValueParser<Value = Priority> {
    PossibleValuesParser::new(["critical", "high", "normal", "low"]).try_map(|word| word.parse::<Priority>())
}

pub(crate) fn status() -> impl TypedValueParser<Value = TaskStatus> {
    PossibleValuesParser::new(TaskStatus::ALL.map(TaskStatus::word)).try_map(|word| word.parse::<TaskStatus>())
}

/// What `--on-crash` says; the words have been checked.
pub(crate) fn on_crash() -> impl TypedValueParser<Value = OnCrash> {
    PossibleValuesParser::new(["fail", "retry"])
        .map(|word| if word == "retry" { OnCrash::Retry } else { OnCrash::Fail })
}

/// A status that nothing changes any more by itself.
pub(crate) fn finished_status(text: &str) -> Result<TaskStatus, String> {
    const REMEDY: &str = "give completed, failed or cancelled";
    match text.parse::<TaskStatus>() {
        Ok(status) if status.is_finished() => Ok(status),
        Ok(status) => {
            Err(format!("a {status} task is not over, and only those that are can be cleaned away: {REMEDY}"))
        }
        Err(_) => Err(format!("'{text}' is no status of a finished task: {REMEDY}")),
    }
}

/// An id or the beginning of one. Whether there is such a task is seen later.
pub(crate) fn id(text: &str) -> Result<String, String> {
    let right = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if right && !text.starts_with('-') {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("'{text}' cannot be the id of a task: give one as 'runner task list' shows it, or its beginning"))
}

pub(crate) fn group(text: &str) -> Result<String, String> {
    const REMEDY: &str = "give a short name such as nightly";
    if text.trim().is_empty() {
        return Err(format!("the name is empty: {REMEDY}"));
    }
    if text.len() > LONGEST_GROUP {
        return Err(format!("the name is longer than {LONGEST_GROUP} bytes: {REMEDY}"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("the name has control characters in it: {REMEDY}"));
    }
    Ok(text.to_owned())
}

/// How much longer a task may take; a plus before it is for people.
pub(crate) fn extension(text: &str) -> Result<Duration, String> {
    const REMEDY: &str = "give a duration above zero such as +30m";
    match duration::parse(text.strip_prefix('+').unwrap_or(text)) {
        Ok(Duration::ZERO) => Err(format!("'{text}' is no time at all: {REMEDY}")),
        Ok(by) => Ok(by),
        Err(_) if text.starts_with('-') => {
            Err(format!("'{text}' would take time away, and a task can only get more: {REMEDY}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A limit of a notice: it always ends.
pub(crate) fn above_zero(text: &str) -> Result<Duration, String> {
    match duration::parse(text).map_err(|error| error.to_string())? {
        Duration::ZERO => Err(format!("'{text}' is no time at all: give a duration above zero such as 30s")),
        duration => Ok(duration),
    }
}

/// How long a worker without work stays; zero is no time at all.
pub(crate) fn idle_exit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let parsed = duration::parse(text).map_err(|error| error.to_string());
    parsed.map(|duration| Limit(Some(duration))).map_err(|error| format!("{error}; or none for ever"))
}

pub(crate) fn limit(text: &str) -> Result<u32, String> {
    const REMEDY: &str = "give a number above zero such as 50";
    match number(text) {
        Some(0) => Err(format!("a list of '{text}' tasks says nothing: {REMEDY}")),
        Some(count) => Ok(count),
        None => Err(format!("'{text}' is not a number of tasks: {REMEDY}")),
    }
}

pub(crate) fn slots(text: &str) -> Result<Slots, String> {
    const REMEDY: &str = "give a number from 1 to 10000, or the word shared with --group";
    if text == "shared" {
        return Ok(Slots::Shared);
    }
    match number(text) {
        Some(0) => Err("with 0 slots nothing would ever run, and 'runner task pause' says that better: give a number \
                        from 1 to 10000"
            .to_owned()),
        Some(count) if count > MOST_SLOTS => Err(format!("'{text}' slots are more than runner can serve: {REMEDY}")),
        Some(count) => Ok(Slots::Own(count)),
        None => Err(format!("'{text}' is not a number of slots: {REMEDY}")),
    }
}

/// A line for a shell.
pub(crate) fn line(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("the line is empty: give a line for the shell, as in 'mail -s done me@example.org'");
    }
    Ok(text.to_owned())
}

/// The URL of a web server. It may be a secret, and so no message repeats it.
pub(crate) fn webhook(text: &str) -> Result<String, String> {
    let checked = ops::check_url(text);
    checked.map(|()| text.to_owned()).map_err(|problem| {
        format!("the URL {problem}: give one that begins with https:// or http://, as in https://example.org/hook")
    })
}

/// Digits alone; what is too large to count is as large as can be.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}
