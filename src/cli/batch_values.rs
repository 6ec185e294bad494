//! The values of a batch's options that are more than a number: worker counts, shares, words with a meaning.
//!
//! Called by the parser of the command line. What was wrong is said with what would be right; nothing is looked up.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::app::config::{self, Timeout};
use crate::model::quantity::Share;
use crate::model::request::{CiSystem, FailFast, ItemInput, MaxFailures, ResumeRule};

/// How many jobs run at once, as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jobs {
    Count(usize),
    /// Of the CPUs: 2.0 is 200 %.
    Share(f64),
    /// So many more than CPUs.
    More(usize),
    /// So many fewer than CPUs.
    Fewer(usize),
}

impl Jobs {
    /// The number of slots where so many CPUs may be used; one at least.
    pub fn slots(self, cpus: usize) -> usize {
        let slots = match self {
            Self::Count(count) => count,
            // The conversion saturates, and what is too many is refused where the slots are made.
            Self::Share(share) => (cpus as f64 * share).round() as usize,
            Self::More(more) => cpus.saturating_add(more),
            Self::Fewer(fewer) => cpus.saturating_sub(fewer),
        };
        slots.max(1)
    }
}

/// The default timeout of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchTimeout {
    /// That of a single job, too.
    Plain(Timeout),
    /// Of the median of the successes so far: 3.0 is 300 %.
    Share(f64),
}

/// A load, as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    Plain(f64),
    /// Of the CPUs: 1.5 is 150 %.
    Share(f64),
}

impl Load {
    pub fn of(self, cpus: usize) -> f64 {
        match self {
            Self::Plain(load) => load,
            Self::Share(share) => share * cpus as f64,
        }
    }
}

/// A CI system, or the word that takes the one around us away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ci(pub Option<CiSystem>);

pub(crate) fn jobs(text: &str) -> Result<Jobs, String> {
    const REMEDY: &str = "give a number above zero such as 4, or a share of the CPUs such as 200%, or +2 or -1 for more or \
        fewer than CPUs";
    if let Ok(Share(share)) = text.parse() {
        return Ok(Jobs::Share(share));
    }
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'+') => ('+', &text[1..]),
        Some(b'-') => ('-', &text[1..]),
        _ => (' ', text),
    };
    let count = number(digits).ok_or_else(|| format!("'{text}' is not a number of jobs: {REMEDY}"))?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    match sign {
        '+' => Ok(Jobs::More(count)),
        '-' => Ok(Jobs::Fewer(count)),
        _ if count == 0 => Err(format!("with '{text}' jobs at once nothing would ever run: {REMEDY}")),
        _ => Ok(Jobs::Count(count)),
    }
}

pub(crate) fn timeout(text: &str) -> Result<BatchTimeout, String> {
    if !text.ends_with('%') {
        return config::parse_timeout(text).map(BatchTimeout::Plain);
    }
    match text.parse() {
        Ok(Share(share)) if share > 1.0 => Ok(BatchTimeout::Share(share)),
        Ok(_) => Err(format!("'{text}' of the median would stop every second job: give more than 100%, such as 300%")),
        Err(_) => Err(format!("'{text}' is not a share of the median: give more than 100%, such as 300%")),
    }
}

pub(crate) fn load(text: &str) -> Result<Load, String> {
    if let Ok(Share(share)) = text.parse() {
        return Ok(Load::Share(share));
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.parse::<f64>() {
        Ok(load) if digits && load > 0.0 && load.is_finite() => Ok(Load::Plain(load)),
        _ => Err(format!(
            "'{text}' is not a load: give a number above zero such as 4.5, or a share of the CPUs such as 150%"
        )),
    }
}

pub(crate) fn max_failures(text: &str) -> Result<MaxFailures, String> {
    const REMEDY: &str = "give a number above zero such as 10, or a share of the jobs such as 5%";
    if text.ends_with('%') {
        return match text.parse() {
            Ok(Share(share)) if share <= 1.0 => Ok(MaxFailures::Share(share)),
            Ok(_) => Err(format!("'{text}' is more than all jobs: {REMEDY}")),
            Err(_) => Err(format!("'{text}' is not a share of the jobs: {REMEDY}")),
        };
    }
    match number(text) {
        Some(0) => Err(format!("'{text}' failures are there before the first job: {REMEDY}")),
        Some(count) => Ok(MaxFailures::Count(count)),
        None => Err(format!("'{text}' is not a number of failures: {REMEDY}")),
    }
}

pub(crate) fn items_per_job(text: &str) -> Result<usize, String> {
    match number(text) {
        Some(count) if count > 0 => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err(format!("'{text}' is not a number of items: give a number above zero such as 10")),
    }
}

/// The placeholder for an item.
pub(crate) fn replacement(text: OsString) -> Result<OsString, &'static str> {
    if text.is_empty() { Err("the placeholder is empty: give a text such as ITEM") } else { Ok(text) }
}

/// A file of items; a dash is standard input.
pub(crate) fn arg_file(text: OsString) -> Result<ItemInput, &'static str> {
    match text.to_str() {
        Some("") => Err("the name is empty: give a file of items, or - for standard input"),
        Some("-") => Ok(ItemInput::Stdin),
        _ => Ok(ItemInput::File(text.into())),
    }
}

/// A file that will be written or read.
pub(crate) fn file(text: OsString) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("the name is empty: give the name of a file") } else { Ok(text.into()) }
}

/// The words have been checked against the list of possible values; so below.
pub(crate) fn fail_fast(word: String) -> FailFast {
    if word == "now" { FailFast::Now } else { FailFast::Soft }
}

pub(crate) fn resume_rule(word: String) -> ResumeRule {
    match word.as_str() {
        "failed" => ResumeRule::Failed,
        "unfinished" => ResumeRule::Unfinished,
        _ => ResumeRule::TimedOut,
    }
}

pub(crate) fn ci(word: String) -> Ci {
    Ci(match word.as_str() {
        "github" => Some(CiSystem::Github),
        "gitlab" => Some(CiSystem::Gitlab),
        "teamcity" => Some(CiSystem::Teamcity),
        _ => None,
    })
}

/// A count without a sign; what is too large to count is as large as can be.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}
