//! What to run and under which limits: the whole of a job, as plain data.
//!
//! The command line, and later job files and the queue, build one; the supervisor runs it and reads nothing else.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::outcome::TimeoutReason;
use crate::model::quoting;
use crate::model::retry::Retry;
use crate::model::secrets::Secrets;
use crate::model::signal::Signal;

/// A job: one command with its surroundings and limits.
#[derive(Clone, Debug)]
pub struct JobSpec {
    pub command: Command,
    /// What people call it; only shown.
    pub name: Option<String>,
    pub limits: Limits,
    pub surroundings: Surroundings,
    pub leftovers: Leftovers,
    pub retry: Retry,
    /// Bytes kept of each stream that we own, head and tail together.
    pub capture_limit: u64,
    /// Every byte of both streams goes here too, as it comes.
    pub log: Option<PathBuf>,
    /// The job's socket is named in `NOTIFY_SOCKET` too, as sd_notify(3) has it.
    pub sd_notify: bool,
}

impl JobSpec {
    /// A command without any limit, for tests.
    #[cfg(test)]
    pub(crate) fn of_argv(argv: &[&str]) -> Self {
        Self {
            command: Command::Argv(argv.iter().map(OsString::from).collect()),
            name: None,
            limits: Limits {
                timeout: None,
                max_timeout: None,
                parent_timeout: None,
                budget: None,
                idle_timeout: None,
                warn_after: None,
                warn_signal: None,
                stop_signal: Signal::TERM,
                grace: None,
                scope: Scope::Tree,
            },
            surroundings: Surroundings::default(),
            leftovers: Leftovers::Report,
            retry: Retry::default(),
            capture_limit: 1 << 10,
            log: None,
            sd_notify: false,
        }
    }
}

/// What is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A program and its arguments, passed on as they are. Never empty.
    Argv(Vec<OsString>),
    /// One line for a shell, run as `SHELL -c LINE`.
    Shell { shell: OsString, line: OsString },
    /// A built-in operation.
    Operation {
        name: &'static str,
        /// May contain secrets; passed to the child through a file descriptor.
        parameters: serde_json::Value,
        /// The parameters for records, without secrets.
        redacted: serde_json::Value,
        /// The command line of the child, without the number of that descriptor.
        argv: Vec<OsString>,
    },
}

impl Command {
    /// Program and arguments as they are executed.
    pub fn argv(&self) -> Vec<OsString> {
        match self {
            Self::Argv(argv) | Self::Operation { argv, .. } => argv.clone(),
            Self::Shell { shell, line } => vec![shell.clone(), "-c".into(), line.clone()],
        }
    }

    /// Program and arguments for records, without secrets.
    pub fn redacted_argv(&self) -> Vec<OsString> {
        match self {
            Self::Operation { name, redacted, .. } => vec![name.into(), redacted.to_string().into()],
            Self::Argv(_) | Self::Shell { .. } => self.argv(),
        }
    }

    /// What it is called while it runs.
    pub fn title(&self) -> String {
        match self {
            Self::Argv(argv) => {
                let words: Vec<_> = argv.iter().map(|word| word.to_string_lossy()).collect();
                words.join(" ")
            }
            other => other.shown(),
        }
    }

    /// What an answer calls it.
    pub fn shown(&self) -> String {
        match self {
            Self::Argv(argv) => argv.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default(),
            Self::Operation { name, .. } => (*name).to_owned(),
            Self::Shell { line, .. } => line.to_string_lossy().into_owned(),
        }
    }

    /// The command as anybody may see it: as a shell would read it, and of an operation the name alone, since parameters
    /// may hold secrets.
    pub fn line(&self) -> String {
        self.masked_line(&Secrets::default())
    }

    /// The same without these secrets. Words are masked before they are quoted, which would change a secret.
    pub fn masked_line(&self, secrets: &Secrets) -> String {
        match self {
            Self::Argv(argv) => String::from_utf8_lossy(&quoting::command_line(&secrets.mask_words(argv))).into_owned(),
            other => secrets.mask_text(&other.shown()).into_owned(),
        }
    }
}

/// Deadlines and the ladder. Every duration counts from the start of the attempt unless said otherwise.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Wall time of the attempt, or no limit.
    pub timeout: Option<Duration>,
    /// What the wall time may never exceed, whatever extends it.
    pub max_timeout: Option<Duration>,
    /// The time within which the outer runner must have the answer. It shortens the grace period first, and the wall
    /// time only if that is not enough.
    pub parent_timeout: Option<Duration>,
    /// What is left of the time for all attempts together; its reason is told apart, too.
    pub budget: Option<Budget>,
    /// How long the job may neither write nor use CPU.
    pub idle_timeout: Option<Duration>,
    /// One warning after so long.
    pub warn_after: Option<Duration>,
    /// Sent to the job with the warning.
    pub warn_signal: Option<Signal>,
    /// The first rung of the ladder.
    pub stop_signal: Signal,
    /// From the stop signal to SIGKILL. None: the job may take as long as it likes to end.
    pub grace: Option<Duration>,
    /// First target of the stop signal.
    pub scope: Scope,
}

/// Time that several attempts share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// All of it, as it was given.
    pub whole: Duration,
    /// What this attempt may take of it.
    pub left: Duration,
}

impl Limits {
    /// How long the wall time may become when the job asks for more. None: it may not grow.
    pub fn longest(&self) -> Option<(Duration, TimeoutReason)> {
        self.no_more_than(Some(self.max_timeout?))
    }

    /// The wall time that holds at first: the smallest of what was given, with the reason to name when it strikes.
    pub fn wall(&self) -> Option<(Duration, TimeoutReason)> {
        self.no_more_than(match (self.timeout, self.max_timeout) {
            (Some(timeout), Some(max)) => Some(timeout.min(max)),
            (timeout, max) => timeout.or(max),
        })
    }

    /// What nobody may move the wall time beyond. None: there is no such bound.
    pub fn bound(&self) -> Option<(Duration, TimeoutReason)> {
        self.no_more_than(self.max_timeout)
    }

    /// The attempt's own time, or what others leave of it. Where several are equal, the one nearest to it is named.
    fn no_more_than(&self, own: Option<Duration>) -> Option<(Duration, TimeoutReason)> {
        let own = own.map(|own| (own, TimeoutReason::Total));
        let budget = self.budget.map(|budget| (budget.left, TimeoutReason::TotalBudget));
        let nearest = [own, budget].into_iter().flatten().min_by_key(|(limit, _)| *limit);
        match self.parent_timeout {
            Some(parent) if nearest.is_none_or(|(limit, _)| limit > parent) => {
                Some((before_parent(parent, self.grace), TimeoutReason::ParentDeadline))
            }
            _ => nearest,
        }
    }
}

/// The wall time that leaves a grace period before the deadline of the outer runner: at most a tenth of the time left.
pub fn before_parent(parent: Duration, grace: Option<Duration>) -> Duration {
    parent.saturating_sub(grace.unwrap_or_default().min(parent / 10))
}

/// First target of the stop signal. The rest of the tree gets it once the command has ended or the grace period is
/// over, and what is left then gets SIGKILL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every process of the tree.
    #[default]
    Tree,
    /// The command and its process group, as for timeout(1).
    Group,
    /// The command only.
    Command,
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(word: &str) -> std::result::Result<Self, String> {
        match word {
            "tree" => Ok(Self::Tree),
            "group" => Ok(Self::Group),
            "command" => Ok(Self::Command),
            _ => Err(format!("invalid signal target '{word}': must be tree, group or command")),
        }
    }
}

/// Where the job runs and what it inherits.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Working directory; ours if none.
    pub cwd: Option<PathBuf>,
    /// Variables set for the job, later ones winning.
    pub env: Vec<(OsString, OsString)>,
    /// The same, after those, with values that no record and no log may show. See `Secrets`.
    pub secrets: Vec<(OsString, OsString)>,
    /// Start from an empty environment.
    pub env_clear: bool,
    pub stdin: Stdin,
    /// What its files are made without, see umask(2); ours if none.
    pub umask: Option<u32>,
}

/// The job's standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    #[default]
    Inherit,
    Null,
    File(PathBuf),
}

/// What happens to processes that live after the leader ended by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leftovers {
    /// Name them and let them be.
    #[default]
    Report,
    /// End them as after a timeout.
    Kill,
    /// Name those of a success; end those of a failure, since another attempt may follow.
    KillAfterFailure,
    /// Wait until the tree is empty, deadlines held.
    Wait,
    /// Do not look: the answer comes with the end of the leader, as timeout(1) has it.
    Ignore,
}

/// What becomes of the job's output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    pub stdout: Route,
    pub stderr: Route,
    /// Which of them, where we own them, are a pseudo-terminal for the job and no pipe: stdout, stderr.
    pub terminals: [bool; 2],
}

/// What becomes of one output stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The job gets ours as it is; nothing of it is known.
    Inherit,
    /// Kept for the answer alone.
    Keep,
    /// Every byte is kept, in memory or in a file, for whoever writes it out once the job is over.
    Spool,
    /// Copied to ours, byte for byte, and kept.
    PassThrough,
    /// Written to ours as whole lines, each with the job's label where it has one, and kept.
    Lines,
    /// For stderr: the same pipe as stdout, so that their order holds.
    WithStdout,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Budget, Limits, Scope, before_parent};
    use crate::model::outcome::TimeoutReason::{ParentDeadline, Total, TotalBudget};
    use crate::model::signal::Signal;

    #[test]
    fn an_outer_deadline_shortens_the_grace_first() {
        let second = Duration::from_secs(1);
        assert_eq!(before_parent(60 * second, Some(5 * second)), 55 * second);
        assert_eq!(before_parent(10 * second, Some(5 * second)), 9 * second);
        assert_eq!(before_parent(10 * second, None), 10 * second);
    }

    #[test]
    fn the_smallest_limit_holds_and_is_named() {
        let seconds = Duration::from_secs;
        let limits = |timeout, max, parent: Option<u64>, left: Option<u64>| Limits {
            timeout: Option::map(timeout, seconds),
            max_timeout: Option::map(max, seconds),
            parent_timeout: parent.map(seconds),
            budget: left.map(|left| Budget { whole: seconds(100), left: seconds(left) }),
            idle_timeout: None,
            warn_after: None,
            warn_signal: None,
            stop_signal: Signal::TERM,
            grace: None,
            scope: Scope::Tree,
        };
        for (timeout, max, parent, left, wall, longest) in [
            (None, None, None, None, None, None),
            (Some(5), None, None, None, Some((5, Total)), None),
            (Some(5), Some(9), None, None, Some((5, Total)), Some((9, Total))),
            (None, Some(9), None, None, Some((9, Total)), Some((9, Total))),
            (Some(5), Some(9), Some(7), None, Some((5, Total)), Some((7, ParentDeadline))),
            (Some(5), Some(9), Some(7), Some(6), Some((5, Total)), Some((6, TotalBudget))),
            (Some(5), None, None, Some(4), Some((4, TotalBudget)), None),
            (Some(5), None, Some(3), Some(4), Some((3, ParentDeadline)), None),
            (Some(5), None, Some(5), Some(5), Some((5, Total)), None),
            (None, None, Some(5), Some(5), Some((5, TotalBudget)), None),
            (Some(6), None, Some(5), None, Some((5, ParentDeadline)), None),
        ] {
            let limits = limits(timeout, max, parent, left);
            assert_eq!(limits.wall(), wall.map(|(limit, reason)| (seconds(limit), reason)), "{limits:?}");
            assert_eq!(limits.longest(), longest.map(|(limit, reason)| (seconds(limit), reason)), "{limits:?}");
        }
    }
}
