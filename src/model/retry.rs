//! When a failed attempt is made again, and how long to wait before: plain data, and the words it is written in.
//!
//! Part of a job; the command line and job lists read it from here, and whoever runs the job asks
//! [`crate::batch::tries`] for its decisions.

use std::ops::RangeInclusive;
use std::time::Duration;

use regex_lite::{Regex, RegexBuilder};

/// How a job is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Attempts after the first one.
    pub retries: u32,
    /// What is tried again. Empty: every failure but those that trying again cannot cure, which are 125, 126 and 127.
    pub on: Vec<Condition>,
    /// What is never tried again, whatever `on` says.
    pub never_on: Vec<Condition>,
    /// Before the second attempt.
    pub delay: Duration,
    /// Each further delay is so many times the one before.
    pub backoff: f64,
    /// No delay but the first one is longer.
    pub max_delay: Duration,
    /// After a timeout the next attempt gets so many times the wall time.
    pub timeout_growth: f64,
    /// The time for all attempts and delays together.
    pub total_timeout: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            retries: 0,
            on: Vec::new(),
            never_on: Vec::new(),
            delay: Duration::from_secs(1),
            backoff: 2.0,
            max_delay: Duration::from_secs(30),
            timeout_growth: 1.0,
            total_timeout: None,
        }
    }
}

impl Retry {
    /// Whether an attempt is made again depends on what the last one wrote.
    pub fn looks_at_output(&self) -> bool {
        let mut conditions = self.on.iter().chain(&self.never_on);
        self.retries > 0 && conditions.any(|condition| matches!(condition, Condition::Match(_)))
    }
}

/// A kind of failure.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Any deadline but that for idleness.
    Timeout,
    Idle,
    /// It exited by itself with such a code.
    Exit(RangeInclusive<i32>),
    /// It died of a signal that we did not send.
    Signal,
    /// It could not be run, or runner itself failed.
    Error,
    /// Its output, as far as it was kept, matches this regular expression. See [`output_pattern`].
    Match(String),
}

/// What helps with a word that is no kind of failure.
const KINDS: &str = "timeout, idle, signal, error, exit:CODE, exit:FROM-TO or match:REGEX, with commas between them";
/// What helps with a wrong exit code.
const CODES: &str = "a code from 1 to 255 such as exit:75, or a range such as exit:1-3";
/// What helps with a wrong regular expression.
const PATTERNS: &str = "a regular expression such as match:connection (reset|refused)";
const LARGEST_CODE: i32 = 255;

impl Condition {
    /// Reads kinds of failure with commas between them, at least one. A `match:` takes the rest of the text, commas and
    /// all, and so stands last. An error says what is wrong and, after `: give `, what would be right.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let mut conditions = Vec::new();
        let mut rest = text;
        loop {
            rest = rest.trim_start();
            if let Some(pattern) = rest.strip_prefix("match:") {
                conditions.push(Self::matching(pattern)?);
                return Ok(conditions);
            }
            let (item, after) = rest.split_once(',').map_or((rest, None), |(item, after)| (item, Some(after)));
            conditions.push(Self::parse(item.trim_end(), text)?);
            match after {
                Some(after) => rest = after,
                None => return Ok(conditions),
            }
        }
    }

    /// One of them. `text` is where it stands.
    fn parse(item: &str, text: &str) -> Result<Self, String> {
        match item {
            "" => Err(format!("'{text}' names no kind of failure at one place: give {KINDS}")),
            "timeout" => Ok(Self::Timeout),
            "idle" => Ok(Self::Idle),
            "signal" => Ok(Self::Signal),
            "error" => Ok(Self::Error),
            _ => match item.strip_prefix("exit:") {
                Some(codes) => Self::exit(codes),
                None => Err(format!("'{item}' is no kind of failure: give {KINDS}")),
            },
        }
    }

    fn exit(codes: &str) -> Result<Self, String> {
        let (first, last) = codes.split_once('-').unwrap_or((codes, codes));
        let code = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse::<i32>().ok().filter(|code| digits && *code <= LARGEST_CODE);
            match number {
                Some(0) => Err(format!("'exit:{codes}' holds the code 0, which is no failure: give {CODES}")),
                Some(number) => Ok(number),
                None => Err(format!("'exit:{codes}' is no exit code: give {CODES}")),
            }
        };
        let (first, last) = (code(first)?, code(last)?);
        if first > last {
            return Err(format!("'exit:{codes}' ends before it begins: give exit:{last}-{first}"));
        }
        Ok(Self::Exit(first..=last))
    }

    fn matching(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err(format!("'match:' says nothing to look for: give {PATTERNS}"));
        }
        match output_pattern(pattern) {
            Ok(_) => Ok(Self::Match(pattern.to_owned())),
            Err(error) => Err(format!("'match:{pattern}' is no regular expression, {error}: give {PATTERNS}")),
        }
    }
}

/// The regular expression that is looked for in the output of an attempt: `^` and `$` are the ends of a line.
pub fn output_pattern(pattern: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern).multi_line(true).build()
}

#[cfg(test)]
mod tests {
    use super::{Condition, output_pattern};

    #[test]
    fn every_kind_is_read() {
        use Condition::{Error, Exit, Idle, Match, Signal, Timeout};
        for (text, expected) in [
            ("timeout", vec![Timeout]),
            ("timeout,idle,signal,error", vec![Timeout, Idle, Signal, Error]),
            ("timeout, idle", vec![Timeout, Idle]),
            ("exit:75", vec![Exit(75..=75)]),
            ("exit:1-3,exit:255", vec![Exit(1..=3), Exit(255..=255)]),
            ("match:a{1,2}, b", vec![Match("a{1,2}, b".to_owned())]),
            ("exit:1,match:x,idle", vec![Exit(1..=1), Match("x,idle".to_owned())]),
            ("match:: give", vec![Match(": give".to_owned())]),
        ] {
            assert_eq!(Condition::parse_list(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (text, part) in [
            ("", "names no kind of failure at one place: give timeout, idle"),
            ("timeout,", "'timeout,' names no kind"),
            (",idle", "names no kind"),
            ("timeouts", "'timeouts' is no kind of failure: give timeout, idle"),
            ("Timeout", "'Timeout' is no kind"),
            ("exit", "'exit' is no kind"),
            ("exit:", "'exit:' is no exit code: give a code from 1 to 255"),
            ("exit:0", "'exit:0' holds the code 0, which is no failure: give"),
            ("exit:0-3", "holds the code 0"),
            ("exit:256", "'exit:256' is no exit code"),
            ("exit:-1", "'exit:-1' is no exit code"),
            ("exit:+1", "is no exit code"),
            ("exit:1-", "is no exit code"),
            ("exit:1-2-3", "is no exit code"),
            ("exit:3-1", "'exit:3-1' ends before it begins: give exit:1-3"),
            ("exit:x", "is no exit code"),
            ("match:", "'match:' says nothing to look for: give a regular expression"),
            ("match:(", "'match:(' is no regular expression, "),
        ] {
            let error = Condition::parse_list(text).expect_err(text);
            assert!(error.contains(part) && error.contains(": give "), "{text}: {error}");
        }
    }

    #[test]
    fn a_pattern_sees_lines() {
        let pattern = output_pattern("^busy$").expect("a pattern");
        assert!(pattern.is_match("one\nbusy\ntwo") && !pattern.is_match("not busy"));
    }
}
