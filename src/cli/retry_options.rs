//! The options that try a failed job again.
//!
//! Flattened into the options of every verb that runs jobs. `resolve` makes one [`Retry`] of them and refuses what makes no
//! sense together; nothing is acted upon.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::job_options::{Limit, parse_limit};
use crate::error::{Error, Result};
use crate::model::retry::{Condition, Retry};
use crate::time::duration;

/// When a failed attempt is made again.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Retries")]
pub struct RetryOptions {
    /// Try a job that failed again, up to N times
    ///
    /// The next attempt begins when no process of the last is left: what outlives a failure that may be tried again is
    /// ended, as with --leftovers kill. A job that succeeds after a failure is called flaky. In a pipe or a file only the
    /// output of the last attempt appears, once that is over. Standard input must be something that can be read more than
    /// once: with a pipe, give --stdin null or --stdin FILE.
    #[arg(long, value_name = "N", value_parser = parse_count, allow_hyphen_values = true, hide_short_help = true)]
    pub retries: Option<u32>,
    /// Retry only these failures [default: any, but not 125 to 127]
    ///
    /// A list with commas of timeout, idle, signal (it died of one), error (it could not be run, or runner itself failed),
    /// exit:75, exit:1-3, and match:REGEX, which looks for a regular expression in what was kept of its output. A match:
    /// takes the rest of the value, commas and all. The option may be repeated. A job that was cancelled is never tried
    /// again.
    #[arg(long, value_name = "LIST", value_parser = parse_conditions, hide_short_help = true)]
    pub retry_on: Vec<Conditions>,
    /// Never retry these failures; the same words, and they win
    #[arg(long, value_name = "LIST", value_parser = parse_conditions, hide_short_help = true)]
    pub no_retry_on: Vec<Conditions>,
    /// Wait so long before the second attempt [default: 1s]
    ///
    /// Every delay is cut by chance to between half and the whole of it, so that jobs that failed together do not come back
    /// together.
    #[arg(long, value_name = "DUR", value_parser = duration::parse, allow_hyphen_values = true, hide_short_help = true)]
    pub retry_delay: Option<Duration>,
    /// Each further delay is so many times the last [default: 2]
    #[arg(long, value_name = "FACTOR", value_parser = parse_factor, allow_hyphen_values = true, hide_short_help = true)]
    pub retry_backoff: Option<f64>,
    /// No delay is longer than this [default: 30s, or --retry-delay]
    #[arg(long, value_name = "DUR", value_parser = duration::parse, allow_hyphen_values = true, hide_short_help = true)]
    pub retry_max_delay: Option<Duration>,
    /// After a timeout, allow so many times the time [default: 1]
    ///
    /// --max-timeout is the most that it grows to. Other failures change nothing.
    #[arg(long, value_name = "FACTOR", value_parser = parse_factor, allow_hyphen_values = true, hide_short_help = true)]
    pub retry_timeout_growth: Option<f64>,
}

/// What holds for the attempts of one job, where it is the only one.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Retries")]
pub struct AttemptOptions {
    /// Stop after so long, all attempts and delays together
    ///
    /// A delay that would go past it is not begun: the job ends with a timeout at once.
    #[arg(long, value_name = "DUR|none", value_parser = parse_limit, allow_hyphen_values = true, hide_short_help = true)]
    pub total_timeout: Option<Limit>,
    /// Whose output appears in a pipe: last (default), all
    ///
    /// With last it is kept until the last attempt is over; with all it passes through as it comes. On a terminal, and in
    /// --log, there is always that of all.
    #[arg(long, value_name = "WHOSE", hide_short_help = true, hide_possible_values = true,
        value_parser = PossibleValuesParser::new(["last", "all"]).map(|word| if word == "all" { Whose::All } else { Whose::Last }))]
    pub retry_output: Option<Whose>,
}

/// Whose output appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Last,
    All,
}

/// The kinds of failure in one value of an option.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions(pub Vec<Condition>);

impl RetryOptions {
    /// What they make. Without `--retries` nothing else of them means anything.
    pub(crate) fn resolve(&self) -> Result<Retry> {
        if let (None, Some(given)) = (self.retries, self.given()) {
            return Err(without_retries(given));
        }
        self.values()
    }

    /// The same where jobs may say by themselves how often they are tried again.
    pub(crate) fn values(&self) -> Result<Retry> {
        let defaults = Retry::default();
        let delay = self.retry_delay.unwrap_or(defaults.delay);
        if let (Some(given), Some(max)) = (self.retry_delay, self.retry_max_delay)
            && given > max
        {
            return Err(Error::Invalid {
                argument: Some("--retry-max-delay".to_owned()),
                message: "--retry-max-delay is shorter than --retry-delay".to_owned(),
                remediation: "Give --retry-max-delay at least as much as --retry-delay, or leave it out".to_owned(),
            });
        }
        let all = |given: &[Conditions]| given.iter().flat_map(|conditions| conditions.0.clone()).collect();
        Ok(Retry {
            retries: self.retries.unwrap_or(defaults.retries),
            on: all(&self.retry_on),
            never_on: all(&self.no_retry_on),
            delay,
            backoff: self.retry_backoff.unwrap_or(defaults.backoff),
            max_delay: self.retry_max_delay.unwrap_or(defaults.max_delay.max(delay)),
            timeout_growth: self.retry_timeout_growth.unwrap_or(defaults.timeout_growth),
            total_timeout: None,
        })
    }

    /// The first that was given and says how attempts are made again.
    fn given(&self) -> Option<&'static str> {
        [
            ("--retry-on", !self.retry_on.is_empty()),
            ("--no-retry-on", !self.no_retry_on.is_empty()),
            ("--retry-delay", self.retry_delay.is_some()),
            ("--retry-backoff", self.retry_backoff.is_some()),
            ("--retry-max-delay", self.retry_max_delay.is_some()),
            ("--retry-timeout-growth", self.retry_timeout_growth.is_some()),
        ]
        .into_iter()
        .find_map(|(name, given)| given.then_some(name))
    }
}

impl AttemptOptions {
    /// Completes what `retries` make.
    pub(crate) fn resolve(&self, retries: &RetryOptions) -> Result<Retry> {
        if retries.retries.is_none() && self.retry_output.is_some() {
            return Err(without_retries("--retry-output"));
        }
        Ok(self.complete(retries.resolve()?))
    }

    /// With the time for all attempts.
    pub(crate) fn complete(&self, retry: Retry) -> Retry {
        Retry { total_timeout: self.total_timeout.and_then(|limit| limit.0), ..retry }
    }

    /// The output of every attempt appears everywhere.
    pub(crate) fn shows_every_attempt(&self) -> bool {
        self.retry_output == Some(Whose::All)
    }
}

fn without_retries(given: &str) -> Error {
    Error::Invalid {
        argument: Some(given.to_owned()),
        message: format!("{given} says how a job is tried again, and nothing says that it is"),
        remediation: format!("Give --retries too, as in: --retries 3; or leave {given} out"),
    }
}

fn parse_count(text: &str) -> std::result::Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| format!("'{text}' is no number of attempts: give a whole number such as 3, or 0 for none"))
}

fn parse_conditions(text: &str) -> std::result::Result<Conditions, String> {
    Condition::parse_list(text).map(Conditions)
}

fn parse_factor(text: &str) -> std::result::Result<f64, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let factor = text.parse::<f64>().ok().filter(|factor| plain && factor.is_finite() && *factor >= 1.0);
    factor.ok_or_else(|| format!("'{text}' is no factor: give a number of at least 1, such as 2 or 1.5"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{Args, Command, FromArgMatches};

    use super::{AttemptOptions, RetryOptions, parse_count, parse_factor};
    use crate::error::Error;
    use crate::model::retry::{Condition, Retry};

    fn options(words: &[&str]) -> (RetryOptions, AttemptOptions) {
        let command = AttemptOptions::augment_args(RetryOptions::augment_args(Command::new("x").no_binary_name(true)));
        let matches = command.try_get_matches_from(words).expect("they are understood");
        let read = (RetryOptions::from_arg_matches(&matches), AttemptOptions::from_arg_matches(&matches));
        (read.0.expect("read"), read.1.expect("read"))
    }

    fn resolved(words: &[&str]) -> crate::error::Result<Retry> {
        let (retries, attempts) = options(words);
        attempts.resolve(&retries)
    }

    #[test]
    fn nothing_given_is_no_retry() {
        assert_eq!(resolved(&[]).expect("fine"), Retry::default());
        let three = Retry { retries: 3, ..Retry::default() };
        assert_eq!(resolved(&["--retries", "3"]).expect("fine"), three);
    }

    #[test]
    fn every_option_arrives() {
        let seconds = Duration::from_secs;
        let words = "--retries 4 --retry-on timeout,exit:75 --retry-on match:a,b --no-retry-on signal --retry-delay 2s \
             --retry-backoff 1.5 --retry-max-delay 1m --retry-timeout-growth 3 --total-timeout 1h --retry-output all";
        let words: Vec<&str> = words.split_whitespace().collect();
        let expected = Retry {
            retries: 4,
            on: vec![Condition::Timeout, Condition::Exit(75..=75), Condition::Match("a,b".to_owned())],
            never_on: vec![Condition::Signal],
            delay: seconds(2),
            backoff: 1.5,
            max_delay: seconds(60),
            timeout_growth: 3.0,
            total_timeout: Some(seconds(3600)),
        };
        assert_eq!(resolved(&words).expect("fine"), expected);
        assert!(options(&words).1.shows_every_attempt());
        assert!(!options(&["--retries", "1"]).1.shows_every_attempt());
    }

    #[test]
    fn a_long_delay_is_not_cut_by_a_default() {
        let retry = resolved(&["--retries", "1", "--retry-delay", "2m"]).expect("fine");
        assert_eq!((retry.delay, retry.max_delay), (Duration::from_secs(120), Duration::from_secs(120)));
        let error = resolved(&["--retries", "1", "--retry-delay", "2m", "--retry-max-delay", "1m"]);
        assert!(matches!(error, Err(Error::Invalid { argument: Some(name), .. }) if name == "--retry-max-delay"));
    }

    #[test]
    fn what_needs_retries_says_so() {
        for words in [
            &["--retry-on", "timeout"][..],
            &["--no-retry-on", "timeout"],
            &["--retry-delay", "1"],
            &["--retry-backoff", "2"],
            &["--retry-max-delay", "1"],
            &["--retry-timeout-growth", "2"],
            &["--retry-output", "all"],
        ] {
            let Err(Error::Invalid { argument, remediation, .. }) = resolved(words) else { panic!("{words:?}") };
            assert_eq!(argument.as_deref(), Some(words[0]));
            assert!(remediation.contains("Give --retries too"), "{remediation}");
            let with = [&["--retries", "0"][..], words].concat();
            assert!(resolved(&with).is_ok(), "{with:?}");
        }
        assert!(resolved(&["--total-timeout", "5"]).is_ok(), "it means something by itself");
    }

    #[test]
    fn numbers_and_factors_are_plain() {
        assert_eq!((parse_count("0"), parse_count("12")), (Ok(0), Ok(12)));
        for text in ["", "-1", "+1", "1.5", "x", "99999999999"] {
            assert!(parse_count(text).expect_err(text).contains(": give a whole number"));
        }
        assert_eq!((parse_factor("1"), parse_factor("2.5")), (Ok(1.0), Ok(2.5)));
        for text in ["", "0", "0.9", "-2", "inf", "nan", "1e3", "x", "."] {
            assert!(parse_factor(text).expect_err(text).contains(": give a number of at least 1"), "{text}");
        }
    }
}
