//! Values of fields as the model has them. A value may be written as JSON or TOML has it, or as the text that would
//! stand on the command line.

use std::borrow::Cow;
use std::ffi::OsString;
use std::time::Duration;

use serde_json::Value;

use crate::batch::source::fault::Wrong;
use crate::model::auto_timeout::parse_factor;
use crate::model::batch::{Lock, Priority};
use crate::model::job::{Leftovers, Scope, Stdin};
use crate::model::quantity::ByteSize;
use crate::model::retry::Condition;
use crate::model::signal::Signal;
use crate::time::duration;

pub(super) type Read<T> = Result<T, Wrong>;

/// The timeout of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Timeout {
    Fixed(Option<Duration>),
    /// Of the median of the successes.
    Share(f64),
    /// So many times what the history says.
    Auto(f64),
}

/// What a value is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// The error for a value of the wrong kind. `wanted` completes "Give FIELD ...".
pub(super) fn wrong_kind(field: &str, value: &Value, wanted: &str) -> Wrong {
    Wrong::new(field, format!("the value is {}", kind(value)), format!("Give {field} {wanted}"))
}

/// A text as it is, without a NUL, which no word of a process may hold.
pub(super) fn text(field: &str, value: Value, wanted: &str) -> Read<String> {
    match value {
        Value::String(text) => without_nul(field, text),
        other => Err(wrong_kind(field, &other, wanted)),
    }
}

pub(super) fn without_nul(field: &str, text: String) -> Read<String> {
    if text.contains('\0') {
        let problem = "the text holds a NUL, which cannot be passed to a process";
        return Err(Wrong::new(field, problem, "Leave the NUL out, or let the job read it from a file"));
    }
    Ok(text)
}

/// A text that is not empty.
pub(super) fn filled_text(field: &str, value: Value, wanted: &str) -> Read<String> {
    let text = text(field, value, wanted)?;
    if text.is_empty() {
        return Err(Wrong::new(field, "the text is empty", format!("Give {field} {wanted}, or leave it out")));
    }
    Ok(text)
}

/// A text or number as it would stand on the command line.
fn spelled<'a>(field: &str, value: &'a Value, wanted: &str) -> Read<Cow<'a, str>> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        // The standard library writes a number without an exponent, whatever its size.
        Value::Number(number) if number.is_f64() => {
            Ok(number.as_f64().map_or_else(|| number.to_string(), |value| value.to_string()).into())
        }
        Value::Number(number) => Ok(number.to_string().into()),
        other => Err(wrong_kind(field, other, wanted)),
    }
}

const A_DURATION: &str = "a number of seconds such as 60, or a text such as \"90s\" or \"1h30m\"";

pub(super) fn span(field: &str, value: &Value) -> Read<Duration> {
    let text = spelled(field, value, A_DURATION)?;
    duration::parse(&text).map_err(|error| Wrong::parsed(field, &error.to_string()))
}

/// A duration above zero, or `none`.
pub(super) fn limit(field: &str, value: &Value) -> Read<Option<Duration>> {
    let text = spelled(field, value, A_DURATION)?;
    duration::parse_timeout(&text).map_err(|error| Wrong::parsed(field, &error.to_string()))
}

/// A limit, a percentage such as `300%`, or `auto`.
pub(super) fn timeout(field: &str, value: &Value) -> Read<Timeout> {
    if let Some(factor) = value.as_str().and_then(parse_factor) {
        return factor.map(Timeout::Auto).map_err(|error| Wrong::parsed(field, &error));
    }
    if let Value::String(text) = value
        && let Some(number) = text.strip_suffix('%')
    {
        let percent = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then(|| number.parse::<f64>());
        return match percent {
            Some(Ok(percent)) if percent > 0.0 && percent.is_finite() => Ok(Timeout::Share(percent / 100.0)),
            _ => Err(Wrong::new(
                field,
                format!("'{text}' is no percentage above zero"),
                format!("Give {field} a percentage of the median of the successes, such as \"300%\", or a duration"),
            )),
        };
    }
    limit(field, value).map(Timeout::Fixed)
}

pub(super) fn signal(field: &str, value: &Value) -> Read<Signal> {
    let text = spelled(field, value, "the name of a signal such as \"TERM\"")?;
    text.parse().map_err(|error: crate::model::signal::NotASignal| Wrong::parsed(field, &error.to_string()))
}

pub(super) fn size(field: &str, value: &Value) -> Read<u64> {
    let text = spelled(field, value, "a number of bytes, or a text such as \"64K\"")?;
    let size: Result<ByteSize, _> = text.parse();
    size.map(|size| size.0).map_err(|error| Wrong::parsed(field, &error.to_string()))
}

pub(super) fn flag(field: &str, value: &Value) -> Read<bool> {
    value.as_bool().ok_or_else(|| wrong_kind(field, value, "true or false, without quotes"))
}

/// A number of times.
pub(super) fn count(field: &str, value: &Value) -> Read<u32> {
    let wanted = "a whole number such as 3";
    let text = spelled(field, value, wanted)?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(count) if digits => Ok(count),
        _ => Err(Wrong::new(field, format!("'{text}' is no whole number from 0 on"), format!("Give {field} {wanted}"))),
    }
}

/// By how many times something grows: one or more.
pub(super) fn factor(field: &str, value: &Value) -> Read<f64> {
    let wanted = "a number from 1 on, such as 2 or 1.5";
    let text = spelled(field, value, wanted)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.parse::<f64>() {
        Ok(factor) if plain && factor >= 1.0 && factor.is_finite() => Ok(factor),
        _ => Err(Wrong::new(field, format!("'{text}' is no number from 1 on"), format!("Give {field} {wanted}"))),
    }
}

pub(super) fn signal_to(field: &str, value: &Value) -> Read<Scope> {
    let words = "tree, group or command";
    let word = value.as_str().ok_or_else(|| wrong_kind(field, value, &format!("{words}, as a text")))?;
    word.parse().map_err(|problem: String| Wrong::new(field, problem, format!("Give {field} {words}")))
}

pub(super) fn leftovers(field: &str, value: &Value) -> Read<Leftovers> {
    match value.as_str() {
        Some("report") => Ok(Leftovers::Report),
        Some("kill") => Ok(Leftovers::Kill),
        Some("wait") => Ok(Leftovers::Wait),
        Some(other) => {
            Err(Wrong::new(field, format!("'{other}' is no such word"), format!("Give {field} report, kill or wait")))
        }
        None => Err(wrong_kind(field, value, "report, kill or wait, as a text")),
    }
}

pub(super) fn stdin(field: &str, value: Value) -> Read<Stdin> {
    let text = filled_text(field, value, "inherit, null or the name of a file, as a text")?;
    Ok(match text.as_str() {
        "inherit" => Stdin::Inherit,
        "null" => Stdin::Null,
        _ => Stdin::File(text.into()),
    })
}

pub(super) fn priority(field: &str, value: &Value) -> Read<Priority> {
    let wanted = "critical, high, normal or low, as a text";
    let word = value.as_str().ok_or_else(|| wrong_kind(field, value, wanted))?;
    word.parse().map_err(|_| Wrong::new(field, format!("'{word}' is no priority"), format!("Give {field} {wanted}")))
}

/// The name of a job: a text, or a whole number.
pub(super) fn id(field: &str, value: Value) -> Read<String> {
    let wanted = "a text or a whole number";
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) if !number.is_f64() => number.to_string(),
        other => return Err(wrong_kind(field, &other, wanted)),
    };
    if text.is_empty() {
        return Err(Wrong::new(field, "the id is empty", format!("Give {field} {wanted}, or leave it out")));
    }
    if text.chars().any(char::is_control) {
        let problem = format!("the id {text:?} holds a control character");
        return Err(Wrong::new(field, problem, format!("Give {field} one line of printable text")));
    }
    Ok(text)
}

/// One id, or a list of them. One that stands there twice counts once.
pub(super) fn ids(field: &str, value: Value) -> Read<Vec<String>> {
    let mut ids: Vec<String> = Vec::new();
    for (field, value) in one_or_many(field, value) {
        let id = id(&field, value)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// One lock, or a list of them.
pub(super) fn locks(field: &str, value: Value) -> Read<Vec<Lock>> {
    let mut locks: Vec<Lock> = Vec::new();
    for (field, value) in one_or_many(field, value) {
        let lock = lock(&field, value)?;
        if locks.iter().any(|other| other.name == lock.name) {
            let problem = format!("the lock '{}' is there twice, and the job would wait for itself", lock.name);
            return Err(Wrong::new(field, problem, "Name it once; what is held of it stands behind it, as in gpu:2/4"));
        }
        locks.push(lock);
    }
    Ok(locks)
}

/// `NAME`, or `NAME:TAKEN/PLACES`.
fn lock(field: &str, value: Value) -> Read<Lock> {
    let wanted = "a name such as \"db\", or \"gpu:2/4\" for two of four places";
    let text = filled_text(field, value, wanted)?;
    // What begins with a digit behind the last colon is meant as numbers; any other colon belongs to the name.
    let numbers = text.rsplit_once(':').filter(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_digit()));
    let Some((name, numbers)) = numbers else { return Ok(Lock { name: text, taken: 1, places: 1 }) };
    let wrong = |problem: String| Wrong::new(field, problem, format!("Give {field} {wanted}"));
    let number = |text: &str| text.parse::<u32>().ok();
    let Some((Some(taken), Some(places))) =
        numbers.split_once('/').map(|(taken, places)| (number(taken), number(places)))
    else {
        return Err(wrong(format!("'{text}' does not say how much of how much is held")));
    };
    if name.is_empty() {
        return Err(wrong(format!("'{text}' has no name")));
    }
    if taken == 0 || taken > places {
        return Err(wrong(format!("'{text}' takes {taken} of {places} places, which can never be")));
    }
    Ok(Lock { name: name.to_owned(), taken, places })
}

/// Kinds of failure: one text with commas, or a list of texts.
pub(super) fn conditions(field: &str, value: Value) -> Read<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (field, value) in one_or_many(field, value) {
        let text = text(&field, value, "a text such as \"timeout,exit:75\", or a list of such texts")?;
        conditions.extend(Condition::parse_list(&text).map_err(|error| Wrong::parsed(&field, &error))?);
    }
    Ok(conditions)
}

/// Variables of our own environment with their values: one name, or a list of them.
pub(super) fn own_variables(field: &str, value: Value) -> Read<Vec<(OsString, OsString)>> {
    let mut variables = Vec::new();
    for (field, value) in one_or_many(field, value) {
        let wanted = "the name of a variable, or a table of names and values";
        let name = text(&field, value, wanted)?;
        check_variable(&field, &name)?;
        let Some(value) = std::env::var_os(&name) else {
            let problem = format!("the variable {name} is not set");
            return Err(Wrong::new(field, problem, "Set it before runner starts, or give a table of names and values"));
        };
        variables.push((name.into(), value));
    }
    Ok(variables)
}

/// What no variable can be called is an error.
pub(super) fn check_variable(field: &str, name: &str) -> Read<()> {
    if name.is_empty() || name.contains(['=', '\0']) {
        let problem = match name.split_once('=') {
            // What follows may be a secret.
            Some((start, _)) => format!("\"{start}=...\" cannot be the name of a variable"),
            None => format!("{name:?} cannot be the name of a variable"),
        };
        return Err(Wrong::new(field, problem, "Give a name without '=', such as LANG"));
    }
    Ok(())
}

/// The elements of a list, each with its place, or the one value that stands for such a list.
fn one_or_many(field: &str, value: Value) -> Vec<(String, Value)> {
    match value {
        Value::Array(values) => {
            values.into_iter().enumerate().map(|(at, value)| (format!("{field}[{at}]"), value)).collect()
        }
        value => vec![(field.to_owned(), value)],
    }
}
