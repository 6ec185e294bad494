//! The options that every job has, whichever verb starts it.
//!
//! Flattened into the options of `exec`. What an option means is said here once, for help, man page and completions;
//! values are merged with the configuration by `resolve`, and nothing is acted upon.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, ValueHint};

use crate::app::config::{self, Config, Origin, Timeout};
use crate::cli::history::RecordOption;
use crate::cli::retry_options::{AttemptOptions, RetryOptions};
use crate::error::{Error, Result};
use crate::model::auto_timeout::AutoTimeout;
use crate::model::job::{Command, JobSpec, Leftovers, Limits, Scope, Stdin, Surroundings};
use crate::model::request::{AnswerOptions, ExecRequest, ProgressForm};
use crate::model::retry::Retry;
use crate::model::secrets::Secrets;
use crate::model::signal::Signal;
use crate::time::duration;

/// From the stop signal to SIGKILL, where nobody said otherwise.
const GRACE: Duration = Duration::from_secs(5);
/// Kept of each stream, where nobody said otherwise.
const CAPTURE_LIMIT: u64 = 256 << 10;

#[derive(Args, Clone, Debug)]
pub struct JobOptions {
    #[command(flatten)]
    pub place: PlaceOptions,
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub retries: RetryOptions,
    #[command(flatten)]
    pub attempts: AttemptOptions,
    #[command(flatten)]
    pub output: OutputOptions,
    #[command(flatten)]
    pub record: RecordOption,
}

/// Where the job runs and what it inherits.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Job")]
pub struct PlaceOptions {
    /// Run in this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cwd: Option<PathBuf>,
    /// Set a variable for the job; may be repeated, later ones win
    ///
    /// NAME alone passes on the value that the variable has here.
    #[arg(long, value_name = "K=V", value_parser = OsStringValueParser::new().try_map(parse_variable))]
    pub env: Vec<(OsString, OsString)>,
    /// Set a variable whose value no record shows
    ///
    /// NAME takes the value of our own environment, so that it stands on no command line; NAME=VALUE gives it. May be
    /// repeated, and wins over --env. Wherever runner keeps, logs or reports something, each byte of the value is
    /// replaced by '*': in answers, events, messages, command lines, logs, errors, names, groups, directories and all
    /// records of a batch. A task's group is identified by its masked name. Of a value of several lines, each line of 4
    /// bytes or more is also masked by itself. Output that runner passes through is unchanged; the output that a batch
    /// shows job by job or line by line, and that retries keep back, is masked.
    #[arg(long, value_name = "NAME[=VALUE]", hide_short_help = true,
        value_parser = OsStringValueParser::new().try_map(parse_secret))]
    pub secret_env: Vec<(OsString, OsString)>,
    /// Start the job with an empty environment, plus --env and --secret-env
    #[arg(long, hide_short_help = true)]
    pub env_clear: bool,
    /// Standard input: inherit, null, or a file to read [default: inherit]
    #[arg(long, value_name = "inherit|null|FILE", hide_short_help = true, value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(parse_stdin))]
    pub stdin: Option<Stdin>,
    /// Name the job's socket in NOTIFY_SOCKET too
    ///
    /// A job reports its progress through the socket that RUNNER_NOTIFY_SOCKET names. With this option the client
    /// libraries of sd_notify(3), and systemd-notify(1), find it as well.
    #[arg(long, hide_short_help = true)]
    pub sd_notify: bool,
    /// What to call the job in answers
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    pub name: Option<String>,
}

/// Deadlines, and what happens when one strikes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitOptions {
    /// Stop the job after so long; auto: by its history
    ///
    /// A duration is a number of seconds such as 60 or 1.5, or has units from large to small, each at most once: 90s,
    /// 500ms, 2m, 1h30m, 1d. The word none takes a default of the environment or of a configuration file back. The word
    /// auto stands for twice what the job usually takes, as far as runner-history(1) knows; auto:3x for three times.
    #[arg(short, long, value_name = "DUR|none", value_parser = config::parse_timeout, allow_hyphen_values = true)]
    pub timeout: Option<Timeout>,
    #[command(flatten)]
    pub other: OtherLimitOptions,
}

/// Every limit but the timeout, which is more for a batch than a duration.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct OtherLimitOptions {
    /// Let nothing extend the job beyond so long
    ///
    /// A timeout past it is an error; where no timeout is given, this one holds.
    #[arg(long, value_name = "DUR", value_parser = parse_limit, allow_hyphen_values = true)]
    pub max_timeout: Option<Limit>,
    /// Stop it after so long without output or CPU use
    ///
    /// The whole tree of the job counts. It is stopped after one to two silent windows, never before one.
    #[arg(long, value_name = "DUR", value_parser = parse_limit, allow_hyphen_values = true)]
    pub idle_timeout: Option<Limit>,
    /// Time from the stop signal to KILL [default: 5s]
    ///
    /// It belongs to the whole tree of the job. 0 means KILL at once.
    #[arg(long, value_name = "DUR", value_parser = duration::parse, allow_hyphen_values = true)]
    pub grace: Option<Duration>,
    /// The stop signal, name or number [default: TERM]
    #[arg(long, value_name = "SIG", value_parser = parse_signal, allow_hyphen_values = true)]
    pub signal: Option<Signal>,
    /// First target of the stop signal: tree, group, command
    ///
    /// The default is tree. group is the command and its process group, as for timeout(1). The rest of the tree gets
    /// the signal when the command has ended or the grace period is over; what is left after that gets KILL in any
    /// case.
    #[arg(long, value_name = "TARGET", hide_short_help = true, hide_possible_values = true,
        value_parser = PossibleValuesParser::new(["tree", "group", "command"]).try_map(|word| word.parse::<Scope>()))]
    pub signal_to: Option<Scope>,
    /// Warn once after so long, in a line on standard error
    #[arg(long, value_name = "DUR", value_parser = duration::parse, allow_hyphen_values = true, hide_short_help = true)]
    pub warn_after: Option<Duration>,
    /// Signal to send to the command with the warning
    #[arg(long, value_name = "SIG", value_parser = parse_signal, allow_hyphen_values = true, hide_short_help = true)]
    pub warn_signal: Option<Signal>,
    /// What outlives the job: report (default), kill, wait
    ///
    /// This is about processes that live after the command ended by itself. report names them and lets them be; kill ends them as after a timeout; wait waits until all have ended, with
    /// output passed on and deadlines held.
    #[arg(long, value_name = "WHAT", hide_possible_values = true,
        value_parser = PossibleValuesParser::new(["report", "kill", "wait"]).map(leftovers))]
    pub leftovers: Option<Leftovers>,
}

/// Where output and the answer go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Print one JSON answer in place of the job's output
    #[arg(long)]
    pub json: bool,
    /// Also write the JSON answer to this file
    ///
    /// A regular file is replaced as a whole, or left as it was; anything else, such as /dev/fd/3, is written to. At the
    /// first signal that asks exec or op to stop, a regular file gets what is known so far, and is replaced again at the end.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Keep so much of each stream for the answer [default: 256K]
    ///
    /// A quarter is kept from the head and the rest from the tail. Sizes are bytes, or have a K, M, G or T behind them,
    /// in powers of 1024.
    #[arg(long, value_name = "SIZE", value_parser = config::parse_size, allow_hyphen_values = true, hide_short_help = true)]
    pub capture_limit: Option<u64>,
    /// Also write every byte of both streams to this file, as it comes
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, hide_short_help = true)]
    pub log: Option<PathBuf>,
    /// How progress is shown: auto, bar, lines, json, none [default: auto]
    ///
    /// auto draws a bar on a terminal where runner owns the output, as with --json and --log; bar also where it would
    /// not, and gives the job a pseudo-terminal for that; lines writes a line to standard error every 10 seconds or 10
    /// percent; json writes every event there as a line of JSON.
    #[arg(long, value_name = "FORM", value_parser = ProgressParser, hide_short_help = true, hide_possible_values = true)]
    pub progress: Option<ProgressForm>,
    /// Say nothing beside the answer
    #[arg(short, long, hide_short_help = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more, such as which configuration files were read
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Print help: -h fits a screen, --help explains all options
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// A limit, or the word that takes one away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

impl JobOptions {
    /// Where the answer goes, as far as the options specify it.
    pub(crate) fn answer(&self) -> AnswerOptions {
        AnswerOptions { secrets: self.place.secrets(), ..self.output.answer() }
    }

    /// The request that these options make for `command` together with the defaults.
    pub(crate) fn resolve(self, command: Command, config: &Config) -> Result<ExecRequest> {
        let retry = self.attempts.resolve(&self.retries)?;
        self.with_retry(retry, command, config)
    }

    /// The same as defaults of a list, whose jobs may say by themselves how often they are tried again.
    pub(crate) fn resolve_for_list(self, command: Command, config: &Config) -> Result<ExecRequest> {
        let retry = self.attempts.complete(self.retries.values()?);
        self.with_retry(retry, command, config)
    }

    fn with_retry(self, retry: Retry, command: Command, config: &Config) -> Result<ExecRequest> {
        let (limits, auto) = self.limits.resolve(config)?;
        let record = self.record.resolve(config);
        let answer = AnswerOptions { secrets: self.place.secrets(), ..self.output.resolve(config) };
        let capture_limit = self.output.capture_limit(config);
        let job = JobSpec {
            command,
            name: self.place.name.clone(),
            limits,
            leftovers: self.limits.other.leftovers.unwrap_or_default(),
            retry,
            capture_limit,
            log: self.output.log,
            sd_notify: self.place.sd_notify,
            surroundings: self.place.into_surroundings(),
        };
        Ok(ExecRequest { job, pty: false, every_attempt: self.attempts.shows_every_attempt(), auto, record, answer })
    }
}

impl PlaceOptions {
    /// Values that are masked in messages.
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::new(self.secret_env.iter().map(|(_, value)| value))
    }

    pub(crate) fn into_surroundings(self) -> Surroundings {
        Surroundings {
            umask: None,
            cwd: self.cwd,
            env: self.env,
            secrets: self.secret_env,
            env_clear: self.env_clear,
            stdin: self.stdin.unwrap_or_default(),
        }
    }
}

impl LimitOptions {
    /// The limits that hold, options before defaults; and how the timeout is made of the history, where it is to be.
    pub(crate) fn resolve(&self, config: &Config) -> Result<(Limits, Option<AutoTimeout>)> {
        let limits = self.other.resolve(self.timeout, config)?;
        let factor = auto_factor(self.timeout, config);
        Ok((limits, factor.map(|factor| AutoTimeout { factor, bounds: config.history.bounds() })))
    }
}

impl OtherLimitOptions {
    /// The limits that hold with this timeout, options before defaults. One that is made of the history is none as yet.
    pub(crate) fn resolve(&self, timeout: Option<Timeout>, config: &Config) -> Result<Limits> {
        let defaults = &config.defaults;
        let timeout = timeout.map(|timeout| match timeout {
            Timeout::Fixed(limit) => Limit(limit),
            Timeout::Auto(_) => Limit(None),
        });
        let (timeout, timeout_origin) =
            stronger(timeout, "--timeout", defaults.timeout, config.timeout_origin.as_ref());
        let (max_timeout, max_origin) =
            stronger(self.max_timeout, "--max-timeout", defaults.max_timeout, config.max_timeout_origin.as_ref());
        config::check_maximum(timeout, timeout_origin.as_ref(), max_timeout, max_origin.as_ref())?;
        if self.warn_signal.is_some() && self.warn_after.is_none() {
            return Err(Error::Invalid {
                argument: Some("--warn-signal".to_owned()),
                message: "--warn-signal says nothing about when to send it".to_owned(),
                remediation: "Give --warn-after too, as in: --warn-after 30s --warn-signal USR1".to_owned(),
            });
        }
        Ok(Limits {
            timeout,
            max_timeout,
            parent_timeout: None,
            budget: None,
            idle_timeout: self.idle_timeout.map_or(defaults.idle_timeout.flatten(), |limit| limit.0),
            warn_after: self.warn_after,
            warn_signal: self.warn_signal,
            stop_signal: self.signal.or(defaults.signal).unwrap_or(Signal::TERM),
            grace: Some(self.grace.or(defaults.grace).unwrap_or(GRACE)),
            scope: self.signal_to.unwrap_or_default(),
        })
    }
}

impl OutputOptions {
    /// Where the answer goes, as far as the options specify it.
    pub(crate) fn answer(&self) -> AnswerOptions {
        AnswerOptions {
            json: self.json,
            report: self.report.clone(),
            progress: self.progress.unwrap_or_default(),
            error_format: None,
            quiet: self.quiet,
            verbose: self.verbose,
            secrets: Secrets::default(),
        }
    }

    /// Where the answer goes, options before defaults.
    pub(crate) fn resolve(&self, config: &Config) -> AnswerOptions {
        AnswerOptions {
            progress: self.progress.or(config.defaults.progress).unwrap_or_default(),
            error_format: config.defaults.error_format,
            ..self.answer()
        }
    }

    pub(crate) fn capture_limit(&self, config: &Config) -> u64 {
        capture_limit(self.capture_limit, config)
    }
}

/// What is kept of each stream, the option before defaults.
pub(crate) fn capture_limit(option: Option<u64>, config: &Config) -> u64 {
    option.or(config.defaults.capture_limit).unwrap_or(CAPTURE_LIMIT)
}

/// How many times what the history says the timeout is, where it is to be made of that.
pub(crate) fn auto_factor(option: Option<Timeout>, config: &Config) -> Option<f64> {
    match option {
        Some(Timeout::Auto(factor)) => Some(factor),
        Some(Timeout::Fixed(_)) => None,
        None => config.defaults.auto_factor,
    }
}

/// An option before a default, with who gave it.
fn stronger(
    option: Option<Limit>,
    name: &'static str,
    default: Option<Option<Duration>>,
    origin: Option<&Origin>,
) -> (Option<Duration>, Option<Origin>) {
    match option {
        Some(Limit(limit)) => (limit, Some(Origin::Option(name))),
        None => (default.flatten(), origin.cloned()),
    }
}

pub(crate) fn parse_limit(text: &str) -> std::result::Result<Limit, duration::NotADuration> {
    duration::parse_timeout(text).map(Limit)
}

fn parse_signal(text: &str) -> std::result::Result<Signal, crate::model::signal::NotASignal> {
    text.parse()
}

/// A variable with its value: a name alone has the value that it has here.
fn parse_variable(text: OsString) -> std::result::Result<(OsString, OsString), String> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = text.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(0) => Err(format!("'{}' has no name: give NAME=VALUE, as in LANG=C", text.display())),
        Some(at) => Ok((OsString::from_vec(bytes[..at].to_vec()), OsString::from_vec(bytes[at + 1..].to_vec()))),
        None if text.is_empty() => Err("the name is empty: give NAME=VALUE, as in LANG=C".to_owned()),
        None => match std::env::var_os(&text) {
            Some(value) => Ok((text, value)),
            None => {
                let name = text.to_string_lossy();
                Err(format!("'{name}' is not set: give NAME=VALUE, as in {name}=value, or a variable that is set"))
            }
        },
    }
}

/// The value is in no message, whatever is wrong.
pub(crate) fn parse_secret(text: OsString) -> std::result::Result<(OsString, OsString), String> {
    use std::os::unix::ffi::OsStrExt;
    match text.as_bytes().first() {
        None => Err("the name is empty: give NAME, or NAME=VALUE".to_owned()),
        Some(b'=') => Err("the value has no name: give NAME=VALUE, or NAME alone".to_owned()),
        Some(_) if text.as_bytes().contains(&b'=') => parse_variable(text),
        Some(_) => match std::env::var_os(&text) {
            Some(value) => Ok((text, value)),
            None => Err(format!("the variable {} is not set: give one that is, or NAME=VALUE", text.display())),
        },
    }
}

fn parse_stdin(text: OsString) -> std::result::Result<Stdin, &'static str> {
    match text.to_str() {
        Some("") => Err("the name is empty: give inherit, null or the name of a file"),
        Some("inherit") => Ok(Stdin::Inherit),
        Some("null") => Ok(Stdin::Null),
        _ => Ok(Stdin::File(text.into())),
    }
}

/// The words have been checked against the list of possible values.
fn leftovers(word: String) -> Leftovers {
    match word.as_str() {
        "kill" => Leftovers::Kill,
        "wait" => Leftovers::Wait,
        _ => Leftovers::Report,
    }
}

/// Reads a form of progress, and lets completions know the forms.
#[derive(Clone)]
pub(crate) struct ProgressParser;

impl TypedValueParser for ProgressParser {
    type Value = ProgressForm;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> std::result::Result<ProgressForm, clap::Error> {
        let parse: fn(&str) -> std::result::Result<ProgressForm, String> = config::parse_progress;
        parse.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["auto", "bar", "lines", "json", "none"].into_iter().map(PossibleValue::new)))
    }
}
