//! The options of a job in a list, by their long names: what a list may say of one job, and TOML of all of them.

use std::ffi::OsString;

use serde_json::Value;

use crate::batch::source::fault::Wrong;
use crate::batch::source::fingerprint::JobIdentity;
use crate::batch::source::spelling::nearest;
use crate::batch::source::values::{self, Read, Timeout};
use crate::batch::source::{EntryDefaults, log_name};
use crate::error::Result;
use crate::model::batch::{Lock, Priority};
use crate::model::job::{Command, JobSpec};
use crate::model::quantity::Seconds;

/// Every option that a job of a list and the defaults of a list may have.
const OPTIONS: &[&str] = &[
    "timeout",
    "max-timeout",
    "idle-timeout",
    "grace",
    "signal",
    "signal-to",
    "warn-after",
    "warn-signal",
    "leftovers",
    "retries",
    "retry-on",
    "no-retry-on",
    "retry-delay",
    "retry-backoff",
    "retry-max-delay",
    "retry-timeout-growth",
    "total-timeout",
    "cwd",
    "env",
    "secret-env",
    "env-clear",
    "stdin",
    "sd-notify",
    "capture-limit",
    "log",
    "shell-program",
    "lock",
    "priority",
];

/// What a job alone may have: what it is.
const OF_A_JOB: &[&str] = &["id", "cmd", "shell", "op", "params", "needs", "name"];

/// Words that people use for one of ours.
const MEANT: &[(&str, &str)] = &[
    ("command", "cmd"),
    ("argv", "cmd"),
    ("args", "cmd"),
    ("exec", "cmd"),
    ("run", "shell"),
    ("script", "shell"),
    ("line", "shell"),
    ("operation", "op"),
    ("parameters", "params"),
    ("depends", "needs"),
    ("depends-on", "needs"),
    ("dependencies", "needs"),
    ("after", "needs"),
    ("environment", "env"),
    ("vars", "env"),
    ("secret", "secret-env"),
    ("secrets", "secret-env"),
    ("dir", "cwd"),
    ("directory", "cwd"),
    ("workdir", "cwd"),
    ("working-directory", "cwd"),
    ("locks", "lock"),
    ("mutex", "lock"),
    ("semaphore", "lock"),
    ("attempts", "retries"),
    ("retry", "retries"),
    ("input", "stdin"),
    ("title", "name"),
    ("key", "id"),
];

/// Options that a batch has as a whole.
const OF_THE_BATCH: &[&str] =
    &["json", "report", "progress", "quiet", "verbose", "jobs", "results", "journal", "junit", "timeout-floor"];

/// What holds for a job where its own fields say nothing else.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Without a command.
    pub(super) job: JobSpec,
    pub(super) timeout_share: Option<f64>,
    pub(super) auto_factor: Option<f64>,
    pub(super) shell: OsString,
    pub(super) locks: Vec<Lock>,
    pub(super) priority: Priority,
    pub(super) identity: JobIdentity,
}

impl Settings {
    pub(super) fn new(defaults: &EntryDefaults) -> Result<Self> {
        if let Some(log) = &defaults.job.log {
            log_name::check_default(log)?;
        }
        let mut job = defaults.job.clone();
        let shell = match std::mem::replace(&mut job.command, Command::Argv(Vec::new())) {
            Command::Shell { shell, .. } => shell,
            Command::Argv(_) | Command::Operation { .. } => "sh".into(),
        };
        let priority = Priority::default();
        let EntryDefaults { timeout_share, auto_factor, .. } = *defaults;
        let identity = JobIdentity::new();
        Ok(Self { job, timeout_share, auto_factor, shell, locks: Vec::new(), priority, identity })
    }

    /// Takes one option. Gives the value back where there is no option of this name.
    pub(super) fn set(&mut self, name: &str, value: Value) -> Read<Option<Value>> {
        let Self { job, timeout_share, auto_factor, shell, locks, priority, identity: _ } = self;
        let (limits, retry, surroundings) = (&mut job.limits, &mut job.retry, &mut job.surroundings);
        match name {
            "timeout" => {
                (limits.timeout, *timeout_share, *auto_factor) = match values::timeout(name, &value)? {
                    Timeout::Fixed(timeout) => (timeout, None, None),
                    Timeout::Share(share) => (None, Some(share), None),
                    Timeout::Auto(factor) => (None, None, Some(factor)),
                }
            }
            "max-timeout" => limits.max_timeout = values::limit(name, &value)?,
            "idle-timeout" => limits.idle_timeout = values::limit(name, &value)?,
            "grace" => limits.grace = Some(values::span(name, &value)?),
            "signal" => limits.stop_signal = values::signal(name, &value)?,
            "signal-to" => limits.scope = values::signal_to(name, &value)?,
            "warn-after" => limits.warn_after = Some(values::span(name, &value)?),
            "warn-signal" => limits.warn_signal = Some(values::signal(name, &value)?),
            "leftovers" => job.leftovers = values::leftovers(name, &value)?,
            "retries" => retry.retries = values::count(name, &value)?,
            "retry-on" => retry.on = values::conditions(name, value)?,
            "no-retry-on" => retry.never_on = values::conditions(name, value)?,
            "retry-delay" => retry.delay = values::span(name, &value)?,
            "retry-backoff" => retry.backoff = values::factor(name, &value)?,
            "retry-max-delay" => retry.max_delay = values::span(name, &value)?,
            "retry-timeout-growth" => retry.timeout_growth = values::factor(name, &value)?,
            "total-timeout" => retry.total_timeout = values::limit(name, &value)?,
            "cwd" => {
                surroundings.cwd = Some(values::filled_text(name, value, "the name of a folder, as a text")?.into());
            }
            "env" => declare(&mut surroundings.env, name, value)?,
            "secret-env" => match value {
                Value::Object(_) => declare(&mut surroundings.secrets, name, value)?,
                names => surroundings.secrets.extend(values::own_variables(name, names)?),
            },
            "env-clear" => surroundings.env_clear = values::flag(name, &value)?,
            "stdin" => surroundings.stdin = values::stdin(name, value)?,
            "sd-notify" => job.sd_notify = values::flag(name, &value)?,
            "capture-limit" => job.capture_limit = values::size(name, &value)?,
            "log" => job.log = Some(values::filled_text(name, value, "the name of a file, as a text")?.into()),
            "shell-program" => *shell = values::filled_text(name, value, "sh, bash or the path of a shell")?.into(),
            "lock" => *locks = values::locks(name, value)?,
            "priority" => *priority = values::priority(name, &value)?,
            _ => return Ok(Some(value)),
        }
        Ok(None)
    }

    /// What only shows once all options are there. `own` says whether the job itself has an option.
    pub(super) fn check(&self, own: impl Fn(&str) -> bool) -> Read<()> {
        let limits = &self.job.limits;
        let field = if own("timeout") { "timeout" } else { "max-timeout" };
        if let (Some(timeout), Some(maximum)) = (limits.timeout, limits.max_timeout)
            && timeout > maximum
            && own(field)
        {
            let inherited = |name: &str| if own(name) { "" } else { " (from the defaults)" };
            let problem = format!(
                "timeout of {} seconds{} is past the maximum of {} seconds{}",
                Seconds(timeout),
                inherited("timeout"),
                Seconds(maximum),
                inherited("max-timeout")
            );
            let remedy = format!("Give timeout {} or less, or raise max-timeout", Seconds(maximum));
            return Err(Wrong::new(field, problem, remedy));
        }
        if own("warn-signal") && limits.warn_after.is_none() {
            let remedy = "Give warn-after too, as in \"warn-after\": \"30s\"";
            return Err(Wrong::new("warn-signal", "nothing says when to send it", remedy));
        }
        Ok(())
    }
}

/// Adds variables; a later one of a name wins.
fn declare(env: &mut Vec<(OsString, OsString)>, field: &str, value: Value) -> Read<()> {
    let wanted = "a table of texts such as {\"LANG\": \"C\"}";
    let Value::Object(variables) = value else { return Err(values::wrong_kind(field, &value, wanted)) };
    env.reserve(variables.len());
    for (name, value) in variables {
        values::check_variable(field, &name)?;
        let value = values::text(&format!("{field}.{name}"), value, "a text; numbers stand in quotes, too")?;
        env.push((name.into(), value.into()));
    }
    Ok(())
}

/// A job has a field of this name.
pub(super) fn is_field(name: &str) -> bool {
    let name = name.replace('_', "-");
    OPTIONS.iter().chain(OF_A_JOB).any(|field| *field == name)
}

/// The error for a field that no job has.
pub(super) fn unknown(name: &str, is_default: bool) -> Wrong {
    let place = if is_default { "the defaults" } else { "a job" };
    let problem = format!("there is no such field in {place}");
    let known = || OPTIONS.iter().chain(OF_A_JOB).copied();
    let alias = MEANT.iter().find(|(word, _)| *word == name).map(|(_, meant)| *meant);
    let meant = alias.or_else(|| nearest(name, known()));
    let remedy = if OF_THE_BATCH.contains(&name) {
        format!("Give --{name} on the command line; it is an option of the whole batch")
    } else if is_default && OF_A_JOB.contains(&name) {
        "Give it with the job itself; it cannot hold for all of them".to_owned()
    } else if let Some(meant) = meant {
        format!("Did you mean {meant}?")
    } else {
        let of_a_job: &[&str] = if is_default { &[] } else { OF_A_JOB };
        let names: Vec<&str> = of_a_job.iter().chain(OPTIONS).copied().collect();
        format!("Leave it out, or use one of these: {}", names.join(", "))
    };
    Wrong::new(name, problem, remedy)
}
