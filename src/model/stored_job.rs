//! A job as the store keeps it: JSON that a later version of runner still reads.
//!
//! Every field has a default, so that what an older version wrote stays complete. Bytes that are not UTF-8 stand in
//! base64. What can only be known when the job begins, such as the program of a built-in operation, is not kept. Nor are
//! secrets: the store has another place for them, and whoever runs the job adds them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::job::{Command, JobSpec, Leftovers, Limits, Scope, Stdin, Surroundings};
use crate::model::retry::{Condition, Retry};
use crate::model::signal::Signal;

/// A job, ready to be written down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredJob {
    pub command: StoredCommand,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Text>,
    /// The whole environment, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(Text, Text)>,
    /// The mask of the submitter, see umask(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// A file to read; none: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Text>,
    #[serde(skip_serializing_if = "is_default")]
    pub limits: StoredLimits,
    #[serde(skip_serializing_if = "is_default")]
    pub leftovers: StoredLeftovers,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<StoredRetry>,
    pub capture_limit: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Text>,
    #[serde(skip_serializing_if = "is_default")]
    pub sd_notify: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredCommand {
    Argv(Vec<Text>),
    Shell { shell: Text, line: Text },
    Operation { name: String, parameters: Value },
}

impl Default for StoredCommand {
    fn default() -> Self {
        Self::Argv(Vec::new())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_timeout_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_after_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_signal: Option<Signal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Signal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal_to: Option<Scope>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredLeftovers {
    #[default]
    Report,
    Kill,
    Wait,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRetry {
    pub retries: u32,
    #[serde(default)]
    pub on: Vec<StoredCondition>,
    #[serde(default)]
    pub never_on: Vec<StoredCondition>,
    pub delay_us: u64,
    pub backoff: f64,
    pub max_delay_us: u64,
    pub timeout_growth: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_timeout_us: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredCondition {
    Timeout,
    Idle,
    Exit(i32, i32),
    Signal,
    Error,
    Match(String),
}

/// Bytes of the system: a text, or base64 where they are not UTF-8.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    Plain(String),
    Encoded { base64: String },
}

impl From<&OsStr> for Text {
    fn from(text: &OsStr) -> Self {
        match text.to_str() {
            Some(text) => Self::Plain(text.to_owned()),
            None => Self::Encoded { base64: STANDARD.encode(text.as_bytes()) },
        }
    }
}

impl From<Text> for OsString {
    fn from(text: Text) -> Self {
        match text {
            Text::Plain(text) => text.into(),
            Text::Encoded { base64 } => Self::from_vec(STANDARD.decode(base64).unwrap_or_default()),
        }
    }
}

impl StoredJob {
    /// What of a job has to be kept. Its environment must be complete.
    pub fn of(job: &JobSpec) -> Self {
        Self {
            command: match &job.command {
                Command::Argv(argv) => StoredCommand::Argv(argv.iter().map(|word| word.as_os_str().into()).collect()),
                Command::Shell { shell, line } => {
                    StoredCommand::Shell { shell: shell.as_os_str().into(), line: line.as_os_str().into() }
                }
                Command::Operation { name, parameters, .. } => {
                    StoredCommand::Operation { name: (*name).to_owned(), parameters: parameters.clone() }
                }
            },
            name: job.name.clone(),
            cwd: job.surroundings.cwd.as_deref().map(|cwd| cwd.as_os_str().into()),
            env: job.surroundings.env.iter().map(|(name, value)| (text(name), text(value))).collect(),
            umask: job.surroundings.umask,
            stdin: match &job.surroundings.stdin {
                Stdin::File(path) => Some(path.as_os_str().into()),
                Stdin::Inherit | Stdin::Null => None,
            },
            limits: StoredLimits {
                timeout_us: job.limits.timeout.map(micros),
                max_timeout_us: job.limits.max_timeout.map(micros),
                idle_timeout_us: job.limits.idle_timeout.map(micros),
                warn_after_us: job.limits.warn_after.map(micros),
                warn_signal: job.limits.warn_signal,
                stop_signal: Some(job.limits.stop_signal),
                grace_us: job.limits.grace.map(micros),
                signal_to: Some(job.limits.scope).filter(|scope| *scope != Scope::Tree),
            },
            leftovers: match job.leftovers {
                Leftovers::Report | Leftovers::KillAfterFailure | Leftovers::Ignore => StoredLeftovers::Report,
                Leftovers::Kill => StoredLeftovers::Kill,
                Leftovers::Wait => StoredLeftovers::Wait,
            },
            retry: (job.retry != Retry::default()).then(|| StoredRetry::of(&job.retry)),
            capture_limit: job.capture_limit,
            log: job.log.as_deref().map(|log| log.as_os_str().into()),
            sd_notify: job.sd_notify,
        }
    }

    /// The job, as it is run. `operation` makes the command of a built-in operation of its name and parameters; none
    /// where this version does not know it.
    pub fn into_job<E>(self, operation: impl FnOnce(&str, &Value) -> Result<Command, E>) -> Result<JobSpec, E> {
        let duration = |micros: Option<u64>| micros.map(Duration::from_micros);
        Ok(JobSpec {
            command: match self.command {
                StoredCommand::Argv(argv) => Command::Argv(argv.into_iter().map(OsString::from).collect()),
                StoredCommand::Shell { shell, line } => Command::Shell { shell: shell.into(), line: line.into() },
                StoredCommand::Operation { name, parameters } => operation(&name, &parameters)?,
            },
            name: self.name,
            limits: Limits {
                timeout: duration(self.limits.timeout_us),
                max_timeout: duration(self.limits.max_timeout_us),
                parent_timeout: None,
                budget: None,
                idle_timeout: duration(self.limits.idle_timeout_us),
                warn_after: duration(self.limits.warn_after_us),
                warn_signal: self.limits.warn_signal,
                stop_signal: self.limits.stop_signal.unwrap_or(Signal::TERM),
                grace: duration(self.limits.grace_us),
                scope: self.limits.signal_to.unwrap_or_default(),
            },
            surroundings: Surroundings {
                secrets: Vec::new(),
                cwd: self.cwd.map(|cwd| PathBuf::from(OsString::from(cwd))),
                env: self.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
                env_clear: true,
                umask: self.umask,
                stdin: self.stdin.map_or(Stdin::Null, |path| Stdin::File(PathBuf::from(OsString::from(path)))),
            },
            leftovers: match self.leftovers {
                StoredLeftovers::Report => Leftovers::Report,
                StoredLeftovers::Kill => Leftovers::Kill,
                StoredLeftovers::Wait => Leftovers::Wait,
            },
            retry: self.retry.map_or_else(Retry::default, StoredRetry::into_retry),
            capture_limit: self.capture_limit,
            log: self.log.map(|log| PathBuf::from(OsString::from(log))),
            sd_notify: self.sd_notify,
        })
    }
}

impl StoredRetry {
    fn of(retry: &Retry) -> Self {
        Self {
            retries: retry.retries,
            on: retry.on.iter().map(StoredCondition::of).collect(),
            never_on: retry.never_on.iter().map(StoredCondition::of).collect(),
            delay_us: micros(retry.delay),
            backoff: retry.backoff,
            max_delay_us: micros(retry.max_delay),
            timeout_growth: retry.timeout_growth,
            total_timeout_us: retry.total_timeout.map(micros),
        }
    }

    fn into_retry(self) -> Retry {
        let conditions =
            |stored: Vec<StoredCondition>| stored.into_iter().map(StoredCondition::into_condition).collect();
        Retry {
            retries: self.retries,
            on: conditions(self.on),
            never_on: conditions(self.never_on),
            delay: Duration::from_micros(self.delay_us),
            backoff: self.backoff,
            max_delay: Duration::from_micros(self.max_delay_us),
            timeout_growth: self.timeout_growth,
            total_timeout: self.total_timeout_us.map(Duration::from_micros),
        }
    }
}

impl StoredCondition {
    fn of(condition: &Condition) -> Self {
        match condition {
            Condition::Timeout => Self::Timeout,
            Condition::Idle => Self::Idle,
            Condition::Exit(codes) => Self::Exit(*codes.start(), *codes.end()),
            Condition::Signal => Self::Signal,
            Condition::Error => Self::Error,
            Condition::Match(pattern) => Self::Match(pattern.clone()),
        }
    }

    fn into_condition(self) -> Condition {
        match self {
            Self::Timeout => Condition::Timeout,
            Self::Idle => Condition::Idle,
            Self::Exit(first, last) => Condition::Exit(first..=last),
            Self::Signal => Condition::Signal,
            Self::Error => Condition::Error,
            Self::Match(pattern) => Condition::Match(pattern),
        }
    }
}

fn text(text: &OsString) -> Text {
    text.as_os_str().into()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::StoredJob;

    #[test]
    fn secrets_are_not_stored() {
        let mut job = StoredJob::default().into_job(|_, _| Err("it is no operation")).expect("a command");
        job.surroundings.secrets = vec![("TOKEN".into(), "hunter2".into())];
        let json = serde_json::to_string(&StoredJob::of(&job)).expect("JSON");
        assert!(!json.contains("TOKEN") && !json.contains("hunter2"), "{json}");
        let back: StoredJob = serde_json::from_str(&json).expect("a job");
        assert!(back.into_job(|_, _| Err("it is no operation")).expect("a command").surroundings.secrets.is_empty());
    }
}
