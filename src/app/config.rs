//! The defaults that stand behind the options: environment, project file, user file, in that order of precedence.
//!
//! Called by `main` before a job is resolved, and by nothing that runs one. `runner timeout` never comes here. It reads
//! limits and formats only, never a command, and costs a few system calls where no file exists.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use etcetera::BaseStrategy;

use crate::app::config_file::{self, Found, IgnoredFile, TrustedOwners};
use crate::error::{Error, Result};
use crate::model::auto_timeout::{TimeoutBounds, parse_factor};
use crate::model::quantity::{ByteSize, Seconds};
use crate::model::request::{Defaults, ErrorFormat, ProgressForm};
use crate::time::duration;

/// The variables that runner obeys, with what each one means. Every other `RUNNER_*` is ignored, since other programs
/// set some.
pub const VARIABLES: &[(&str, &str)] = &[
    ("RUNNER_TIMEOUT", "wall time of one attempt, a duration, none or auto; stands in for --timeout"),
    ("RUNNER_IDLE_TIMEOUT", "limit of silence, a duration or none; stands in for --idle-timeout"),
    ("RUNNER_MAX_TIMEOUT", "what no attempt may exceed, a duration or none; stands in for --max-timeout"),
    ("RUNNER_GRACE", "time between stop signal and KILL, a duration; stands in for --grace"),
    ("RUNNER_PROGRESS", "how progress is shown: auto, bar, lines, json or none; stands in for --progress"),
    ("RUNNER_ERROR_FORMAT", "form of an error on stderr, text or json; by what stderr is where unset"),
    ("RUNNER_STATE_DIR", "folder of the queue and the history; the user's state folder where unset"),
];

/// Finished tasks stay so long, where nobody said otherwise.
const MAX_TASK_AGE: Duration = Duration::from_hours(7 * 24);
/// A worker without work stays so long, where nobody said otherwise.
const IDLE_EXIT: Duration = Duration::from_mins(5);

/// Where defaults are looked for. Tests make their own.
pub struct Sources<'a> {
    /// Looks a variable up.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Where the search for a project file begins, if there is such a place.
    pub directory: Option<PathBuf>,
    /// Where that search ends at the latest.
    pub home: Option<PathBuf>,
    /// The user's own file, whether it exists or not.
    pub user_file: Option<PathBuf>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub defaults: Defaults,
    /// Who set `defaults.timeout` and `defaults.max_timeout`.
    pub timeout_origin: Option<Origin>,
    pub max_timeout_origin: Option<Origin>,
    pub queue: QueueDefaults,
    /// What is kept of jobs that are over, and what timeouts are made of it.
    pub history: HistoryDefaults,
    /// Files that were read, the strongest first.
    pub files: Vec<PathBuf>,
    /// Files that were not read because they are not readable or belong to another user.
    pub ignored: Vec<IgnoredFile>,
}

/// Defaults of the queue. `Some(None)` is the word `none`.
#[derive(Clone, Debug, Default)]
pub struct QueueDefaults {
    /// The wall time of one attempt of a task. What the same source says of jobs stands in for it.
    pub timeout: Option<Timeout>,
    /// Who set it.
    pub timeout_origin: Option<Origin>,
    /// How long finished tasks stay.
    pub max_task_age: Option<Option<Duration>>,
    /// How long a worker without work stays.
    pub idle_exit: Option<Option<Duration>>,
}

impl QueueDefaults {
    /// How long finished tasks stay. None: until they are cleaned away.
    pub fn max_task_age(&self) -> Option<Duration> {
        self.max_task_age.unwrap_or(Some(MAX_TASK_AGE))
    }

    /// How long a worker without work stays. None: for ever.
    pub fn idle_exit(&self) -> Option<Duration> {
        self.idle_exit.unwrap_or(Some(IDLE_EXIT))
    }
}

/// The table `[history]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryDefaults {
    /// Attempts are recorded where the command line does not say otherwise.
    pub record: Option<bool>,
    pub timeout_floor: Option<Duration>,
    pub timeout_cap: Option<Duration>,
    pub timeout_default: Option<Duration>,
}

impl HistoryDefaults {
    /// The bounds of automatic timeouts.
    pub fn bounds(&self) -> TimeoutBounds {
        let built_in = TimeoutBounds::default();
        TimeoutBounds {
            floor: self.timeout_floor.unwrap_or(built_in.floor),
            cap: self.timeout_cap.unwrap_or(built_in.cap),
            fallback: self.timeout_default.unwrap_or(built_in.fallback),
        }
    }

    /// Fills in what no stronger file has said.
    fn add(&mut self, weaker: Self) {
        self.record = self.record.or(weaker.record);
        self.timeout_floor = self.timeout_floor.or(weaker.timeout_floor);
        self.timeout_cap = self.timeout_cap.or(weaker.timeout_cap);
        self.timeout_default = self.timeout_default.or(weaker.timeout_default);
    }
}

/// Who gave a value, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Option(&'static str),
    Variable(&'static str),
    File { path: PathBuf, line: usize },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) | Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
        }
    }
}

/// The defaults of one source, with who set the two limits that are checked against each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) defaults: Defaults,
    pub(crate) timeout_origin: Option<Origin>,
    pub(crate) max_timeout_origin: Option<Origin>,
    pub(crate) queue: QueueDefaults,
    pub(crate) history: HistoryDefaults,
}

/// The defaults of this process: its environment, its directory, its user.
pub fn load() -> Result<Config> {
    // Without a home there is no user file, and the search for a project file ends at the root. A relative one is
    // ignored: it would turn a file in the working directory into the user's configuration.
    let base = etcetera::base_strategy::Xdg::new().ok();
    let absolute = |path: &PathBuf| path.is_absolute();
    load_from(&Sources {
        variable: &|name| std::env::var_os(name),
        directory: std::env::current_dir().ok(),
        home: base.as_ref().map(|base| base.home_dir().to_owned()).filter(absolute),
        user_file: base.as_ref().map(|base| base.config_dir().join("runner/config.toml")).filter(absolute),
    })
}

/// The defaults of these sources.
pub fn load_from(sources: &Sources<'_>) -> Result<Config> {
    let mut config = Config::default();
    config.add(environment(sources.variable)?);
    let sudo_uid = (sources.variable)("SUDO_UID");
    let trusted = TrustedOwners::new(sudo_uid.as_ref().and_then(|uid| uid.to_str()));
    if let Some(directory) = &sources.directory {
        config.add_found(config_file::read_project(directory, sources.home.as_deref(), &trusted)?);
    }
    if let Some(path) = &sources.user_file {
        config.add_found(config_file::read_user(path, &trusted)?);
    }
    Ok(config)
}

impl Config {
    /// The same for a task of the queue, whose timeout has defaults of its own.
    pub fn for_tasks(&self) -> Self {
        let mut config = self.clone();
        (config.defaults.timeout, config.defaults.auto_factor) = (None, None);
        if let Some(timeout) = self.queue.timeout {
            timeout.set(&mut config.defaults);
        }
        config.timeout_origin.clone_from(&self.queue.timeout_origin);
        config
    }

    fn add_found(&mut self, found: Found) {
        self.ignored.extend(found.ignored);
        if let Some((path, layer)) = found.file {
            self.files.push(path);
            self.add(layer);
        }
    }

    /// Fills in what no stronger layer has said.
    fn add(&mut self, weaker: Layer) {
        let Layer { defaults: other, timeout_origin, max_timeout_origin, queue: others, history } = weaker;
        let queue = &mut self.queue;
        if queue.timeout.is_none() {
            (queue.timeout, queue.timeout_origin) = match others.timeout {
                Some(_) => (others.timeout, others.timeout_origin),
                None => (Timeout::of(&other), timeout_origin.clone()),
            };
        }
        queue.max_task_age = queue.max_task_age.or(others.max_task_age);
        queue.idle_exit = queue.idle_exit.or(others.idle_exit);
        self.history.add(history);
        let own = &mut self.defaults;
        if own.timeout.is_none() {
            own.timeout = other.timeout;
            own.auto_factor = other.auto_factor;
            self.timeout_origin = timeout_origin;
        }
        if own.max_timeout.is_none() {
            own.max_timeout = other.max_timeout;
            self.max_timeout_origin = max_timeout_origin;
        }
        own.idle_timeout = own.idle_timeout.or(other.idle_timeout);
        own.grace = own.grace.or(other.grace);
        own.signal = own.signal.or(other.signal);
        own.capture_limit = own.capture_limit.or(other.capture_limit);
        own.progress = own.progress.or(other.progress);
        own.error_format = own.error_format.or(other.error_format);
    }
}

/// Refuses a timeout past the maximum, naming both and who gave them.
pub fn check_maximum(
    timeout: Option<Duration>,
    timeout_origin: Option<&Origin>,
    maximum: Option<Duration>,
    maximum_origin: Option<&Origin>,
) -> Result<()> {
    let (Some(timeout), Some(maximum)) = (timeout, maximum) else { return Ok(()) };
    if timeout <= maximum {
        return Ok(());
    }
    let from = |origin: Option<&Origin>| origin.map_or_else(String::new, |origin| format!(" (from {origin})"));
    Err(Error::Invalid {
        argument: timeout_origin.map(ToString::to_string),
        message: format!(
            "timeout of {} seconds{} is past the maximum of {} seconds{}",
            Seconds(timeout),
            from(timeout_origin),
            Seconds(maximum),
            from(maximum_origin)
        ),
        remediation: format!("Give --timeout {} or less, or raise the maximum", Seconds(maximum)),
    })
}

/// The form of errors that the environment asks for. A wrong word is as good as none here, since this serves messages
/// about other things.
pub fn error_format() -> Option<ErrorFormat> {
    std::env::var("RUNNER_ERROR_FORMAT").ok().and_then(|text| parse_error_format(&text).ok())
}

fn environment(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Layer> {
    let mut layer = Layer::default();
    let defaults = &mut layer.defaults;
    if let Some(timeout) = read(variable, "RUNNER_TIMEOUT", parse_timeout)? {
        timeout.set(defaults);
        layer.timeout_origin = Some(Origin::Variable("RUNNER_TIMEOUT"));
    }
    if let Some(timeout) = read(variable, "RUNNER_MAX_TIMEOUT", duration::parse_timeout)? {
        defaults.max_timeout = Some(timeout);
        layer.max_timeout_origin = Some(Origin::Variable("RUNNER_MAX_TIMEOUT"));
    }
    defaults.idle_timeout = read(variable, "RUNNER_IDLE_TIMEOUT", duration::parse_timeout)?;
    defaults.grace = read(variable, "RUNNER_GRACE", duration::parse)?;
    defaults.progress = read(variable, "RUNNER_PROGRESS", parse_progress)?;
    defaults.error_format = read(variable, "RUNNER_ERROR_FORMAT", parse_error_format)?;
    Ok(layer)
}

/// One variable. An empty one counts as unset.
fn read<T, E: fmt::Display>(
    variable: &dyn Fn(&str) -> Option<OsString>,
    name: &'static str,
    parse: impl Fn(&str) -> std::result::Result<T, E>,
) -> Result<Option<T>> {
    let Some(value) = variable(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    // A text that is not UTF-8 is no value of any of them; its replacement characters see to the error.
    match parse(&value.to_string_lossy()) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(invalid(name, name, &error.to_string(), &format!("the environment variable {name}"))),
    }
}

/// The error for a wrong value. Errors of parsers say what is wrong and, after `: give `, what would be right.
///
/// `place` is what the message begins with, `argument` what the envelope names, `what` the thing to be changed.
pub fn invalid(argument: &str, place: &str, problem: &str, what: &str) -> Error {
    let (problem, remediation) = match problem.rsplit_once(": give ") {
        Some((problem, remedy)) => (problem, format!("Give {what} {remedy}")),
        None => (problem, format!("Correct {what}")),
    };
    Error::Invalid { argument: Some(argument.to_owned()), message: format!("{place}: {problem}"), remediation }
}

/// The timeout of a job, as options and files have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Timeout {
    /// None: there is none.
    Fixed(Option<Duration>),
    /// So many times what the history says.
    Auto(f64),
}

impl Timeout {
    /// What was said of it.
    fn of(defaults: &Defaults) -> Option<Self> {
        defaults.timeout.map(|timeout| defaults.auto_factor.map_or(Self::Fixed(timeout), Self::Auto))
    }

    pub(crate) fn set(self, defaults: &mut Defaults) {
        (defaults.timeout, defaults.auto_factor) = match self {
            Self::Fixed(timeout) => (Some(timeout), None),
            Self::Auto(factor) => (Some(None), Some(factor)),
        };
    }
}

/// Reads the value of `--timeout`: a duration, `none`, or `auto` with or without a factor.
pub fn parse_timeout(text: &str) -> std::result::Result<Timeout, String> {
    match parse_factor(text) {
        Some(factor) => factor.map(Timeout::Auto),
        None => duration::parse_timeout(text).map(Timeout::Fixed).map_err(|error| error.to_string()),
    }
}

/// Reads the value of `--progress`.
pub fn parse_progress(text: &str) -> std::result::Result<ProgressForm, String> {
    match text {
        "auto" => Ok(ProgressForm::Auto),
        "bar" => Ok(ProgressForm::Bar),
        "lines" => Ok(ProgressForm::Lines),
        "json" => Ok(ProgressForm::Json),
        "none" => Ok(ProgressForm::None),
        _ => Err(format!("'{text}' is not a form of progress: give auto, bar, lines, json or none")),
    }
}

/// Reads the value of `--capture-limit`; zero keeps nothing.
pub fn parse_size(text: &str) -> std::result::Result<u64, String> {
    text.parse::<ByteSize>().map(|size| size.0).map_err(|error| error.to_string())
}

fn parse_error_format(text: &str) -> std::result::Result<ErrorFormat, String> {
    match text {
        "text" => Ok(ErrorFormat::Text),
        "json" => Ok(ErrorFormat::Json),
        _ => Err(format!("'{text}' is not a form of errors: give text or json")),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
