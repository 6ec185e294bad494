//! `runner task`: its verbs, their options, and how they become a request.
//!
//! Called by the parser of the command line. Submission is in `submit`; the others need no defaults, but for a wait, which
//! shows progress.

use std::time::Duration;

use clap::{ArgAction, ArgMatches, Args, Command as Definition, FromArgMatches};

use crate::app::config::Config;
use crate::cli::job_options::ProgressParser;
use crate::error::Result;
use crate::model::batch::Priority;
use crate::model::request::{AnswerOptions, ProgressForm};
use crate::model::task::TaskStatus;
use crate::model::task_request::{TaskRequest, TaskVerb};
use crate::time::duration;

pub(crate) mod checks;
pub mod submit;
pub(crate) mod values;

/// Finished tasks are cleaned away after so long, where nobody said otherwise.
const CLEAN_AGE: Duration = Duration::from_hours(1);
/// So many tasks are listed, where nobody said otherwise.
const PAGE: u32 = 50;

/// Where the answer of a small verb goes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct AnswerFlags {
    /// Print one JSON answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    said: SaidFlags,
}

/// How much is said beside the answer.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct SaidFlags {
    /// Say nothing beside the answer
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Print help: -h fits a screen, --help explains all options
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,
}

#[derive(Args)]
struct ListOptions {
    /// Only those that stand so, such as pending,running
    ///
    /// pending, running, completed, failed or cancelled, several with commas between them; the option may be repeated.
    #[arg(long, value_name = "STATUS", value_parser = values::status(), value_delimiter = ',', ignore_case = true,
        hide_possible_values = true)]
    status: Vec<TaskStatus>,
    /// Only tasks of this group
    #[arg(long, value_name = "GROUP", value_parser = values::group)]
    group: Option<String>,
    /// At most so many, the newest first [default: 50]
    #[arg(long, value_name = "N", value_parser = values::limit, allow_hyphen_values = true)]
    limit: Option<u32>,
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct OneTask {
    /// The id of the task, or its beginning
    #[arg(value_name = "ID", value_parser = values::id)]
    id: String,
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct SomeTasks {
    /// The ids of the tasks, or their beginnings
    #[arg(value_name = "ID", required = true, value_parser = values::id)]
    ids: Vec<String>,
    #[command(flatten)]
    answer: AnswerFlags,
}

/// The options of `task wait` as they were given.
#[derive(Args, Clone, Debug)]
pub struct WaitOptions {
    /// The ids of the tasks, or their beginnings
    #[arg(value_name = "ID", required = true, value_parser = values::id)]
    ids: Vec<String>,
    /// Wait no longer than that
    ///
    /// A task that is not over then is pending, and the exit code is 75. With 0 this only looks.
    #[arg(long = "for", value_name = "DUR", value_parser = duration::parse, allow_hyphen_values = true)]
    patience: Option<Duration>,
    /// How progress is shown: auto, bar, lines, json, none [default: auto]
    ///
    /// auto draws a bar on a terminal; lines writes a line to standard error every 10 seconds or 10 percent; json writes
    /// every event there as a line of JSON.
    #[arg(long, value_name = "FORM", value_parser = ProgressParser, hide_possible_values = true, help_heading = "Output")]
    progress: Option<ProgressForm>,
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct LogsOptions {
    /// The id of the task, or its beginning
    #[arg(value_name = "ID", value_parser = values::id)]
    id: String,
    /// Go on as more is written, until the task is over
    #[arg(short, long)]
    follow: bool,
    /// Only what it wrote to standard error
    #[arg(long)]
    stderr: bool,
    #[command(flatten)]
    said: SaidFlags,
}

#[derive(Args)]
struct ExtendOptions {
    /// The id of the task, or its beginning
    #[arg(value_name = "ID", value_parser = values::id)]
    id: String,
    /// How much more time it gets, such as +30m
    #[arg(value_name = "DUR", value_parser = values::extension, allow_hyphen_values = true)]
    by: Duration,
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct PriorityOptions {
    /// The id of the task, or its beginning
    #[arg(value_name = "ID", value_parser = values::id)]
    id: String,
    /// critical, high, normal or low
    #[arg(value_name = "PRIORITY", value_parser = values::priority(), ignore_case = true, hide_possible_values = true)]
    priority: Priority,
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct PauseOptions {
    /// Only this group [default: all]
    #[arg(long, value_name = "GROUP", value_parser = values::group)]
    group: Option<String>,
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct CleanOptions {
    /// Only those over for so long [default: 1h]
    #[arg(long, value_name = "DUR", value_parser = duration::parse, allow_hyphen_values = true)]
    older_than: Option<Duration>,
    /// Only those that ended so: completed, failed, cancelled
    ///
    /// Several with commas between them; the option may be repeated.
    #[arg(long, value_name = "STATUS", value_parser = values::finished_status, value_delimiter = ',')]
    status: Vec<TaskStatus>,
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct NoOptions {
    #[command(flatten)]
    answer: AnswerFlags,
}

/// What `task` was asked to do, submission left out.
pub(crate) enum Asked {
    Run(TaskRequest),
    /// Still to be resolved with the defaults.
    Wait(WaitOptions),
}

impl AnswerFlags {
    pub(crate) fn answer(&self) -> AnswerOptions {
        AnswerOptions { json: self.json, ..self.said.answer() }
    }
}

impl SaidFlags {
    pub(crate) fn answer(&self) -> AnswerOptions {
        AnswerOptions { quiet: self.quiet, verbose: self.verbose, ..AnswerOptions::default() }
    }
}

impl WaitOptions {
    /// Where an error goes that comes before the options are resolved.
    pub fn answer(&self) -> AnswerOptions {
        AnswerOptions { progress: self.progress.unwrap_or_default(), ..self.answer.answer() }
    }

    /// The request that these options make together with the defaults.
    pub fn resolve(self, config: &Config) -> Result<TaskRequest> {
        let answer = AnswerOptions {
            progress: self.progress.or(config.defaults.progress).unwrap_or_default(),
            error_format: config.defaults.error_format,
            ..self.answer()
        };
        Ok(TaskRequest { verb: TaskVerb::Wait { ids: self.ids, patience: self.patience }, answer })
    }
}

/// Reads the options of a verb other than `submit`.
pub(crate) fn read(verb: &str, matches: &ArgMatches) -> std::result::Result<Asked, clap::Error> {
    let (verb, answer) = match verb {
        "list" => {
            let options = ListOptions::from_arg_matches(matches)?;
            let ListOptions { status: statuses, group, limit, answer } = options;
            (TaskVerb::List { statuses, group, limit: limit.unwrap_or(PAGE) }, answer.answer())
        }
        "status" => {
            let OneTask { id, answer } = OneTask::from_arg_matches(matches)?;
            (TaskVerb::Status { id }, answer.answer())
        }
        "wait" => return Ok(Asked::Wait(WaitOptions::from_arg_matches(matches)?)),
        "logs" => {
            let LogsOptions { id, follow, stderr, said } = LogsOptions::from_arg_matches(matches)?;
            (TaskVerb::Logs { id, follow, stderr_only: stderr }, said.answer())
        }
        "cancel" => {
            let SomeTasks { ids, answer } = SomeTasks::from_arg_matches(matches)?;
            (TaskVerb::Cancel { ids }, answer.answer())
        }
        "retry" => {
            let SomeTasks { ids, answer } = SomeTasks::from_arg_matches(matches)?;
            (TaskVerb::Retry { ids }, answer.answer())
        }
        "extend" => {
            let ExtendOptions { id, by, answer } = ExtendOptions::from_arg_matches(matches)?;
            (TaskVerb::Extend { id, by }, answer.answer())
        }
        "priority" => {
            let PriorityOptions { id, priority, answer } = PriorityOptions::from_arg_matches(matches)?;
            (TaskVerb::SetPriority { id, priority }, answer.answer())
        }
        "pause" => {
            let PauseOptions { group, answer } = PauseOptions::from_arg_matches(matches)?;
            (TaskVerb::Pause { group }, answer.answer())
        }
        "resume" => {
            let PauseOptions { group, answer } = PauseOptions::from_arg_matches(matches)?;
            (TaskVerb::Resume { group }, answer.answer())
        }
        "clean" => {
            let CleanOptions { older_than, status: statuses, answer } = CleanOptions::from_arg_matches(matches)?;
            (TaskVerb::Clean { older_than: older_than.unwrap_or(CLEAN_AGE), statuses }, answer.answer())
        }
        _ => (TaskVerb::Stats, NoOptions::from_arg_matches(matches)?.answer.answer()),
    };
    Ok(Asked::Run(TaskRequest { verb, answer }))
}

/// One verb of `runner task` as the parser needs it.
pub(crate) fn verb(name: &str) -> Option<Definition> {
    let define = VERBS.iter().find(|(verb, _)| *verb == name)?.1;
    Some(define().no_binary_name(true))
}

/// `runner task` with every verb.
pub(crate) fn definition() -> Definition {
    Definition::new("task")
        .bin_name("runner task")
        .about("Keep jobs in a queue, and have them run in the background")
        .override_usage("runner task VERB [OPTIONS] ...")
        .subcommand_help_heading("Verbs")
        .subcommand_value_name("VERB")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(VERBS.iter().map(|(_, define)| define()))
}

/// The name of a verb, and what makes its definition.
type Verb = (&'static str, fn() -> Definition);

const VERBS: &[Verb] = &[
    ("submit", submit::definition),
    ("list", || small::<ListOptions>("list", "[OPTIONS]", "List tasks, the newest first")),
    ("status", || small::<OneTask>("status", "[OPTIONS] ID", "Tell all about a task")),
    ("wait", || small::<WaitOptions>("wait", "[OPTIONS] ID...", "Wait until tasks are over, and leave as they did")),
    ("logs", || small::<LogsOptions>("logs", "[OPTIONS] ID", "Print the output of a task")),
    ("cancel", || small::<SomeTasks>("cancel", "[OPTIONS] ID...", "Stop tasks, or take them out of the queue")),
    ("extend", || small::<ExtendOptions>("extend", "[OPTIONS] ID DUR", "Give a running task more time")),
    ("retry", || small::<SomeTasks>("retry", "[OPTIONS] ID...", "Queue finished tasks again")),
    ("priority", || small::<PriorityOptions>("priority", "[OPTIONS] ID PRIORITY", "Give a task another priority")),
    ("pause", || small::<PauseOptions>("pause", "[OPTIONS]", "Begin no more tasks; those that run go on")),
    ("resume", || small::<PauseOptions>("resume", "[OPTIONS]", "Begin tasks again after a pause")),
    ("stats", || small::<NoOptions>("stats", "[OPTIONS]", "Print figures about the queue")),
    ("clean", || small::<CleanOptions>("clean", "[OPTIONS]", "Remove finished tasks with their logs")),
];

fn small<T: Args>(name: &'static str, usage: &str, about: &'static str) -> Definition {
    let verb = Definition::new(name)
        .bin_name(format!("runner task {name}"))
        .override_usage(format!("runner task {name} {usage}"))
        .disable_help_flag(true)
        .args_override_self(true);
    // The text of the type's own comment would take the place of an earlier one.
    T::augment_args(verb).about(about).long_about(None)
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
