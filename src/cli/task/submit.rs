//! `runner task submit`: its options, and how they become a request.
//!
//! Called by the parser of the command line and, for `resolve`, by `main` once the defaults are loaded. What cannot be
//! meant for a job that nobody watches is refused in `checks`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgMatches, Args, Command as Definition, FromArgMatches, ValueHint};

use crate::app::config::Config;
use crate::app::local_time;
use crate::cli::exec;
use crate::cli::job_options::JobOptions;
use crate::cli::task::values;
use crate::cli::{batch_values, op};
use crate::error::Result;
use crate::model::batch::Priority;
use crate::model::job::{Command, Stdin};
use crate::model::request::AnswerOptions;
use crate::model::task::{Begin, Notices, OnCrash};
use crate::model::task_request::{PassedEnvironment, SubmitRequest, TaskOptions, TaskRequest, TaskSource, TaskVerb};
use crate::time::duration;

/// The word before the name of a built-in operation.
pub(crate) const OPERATION: &str = "op";

/// The options of `task submit` as they were given.
#[derive(Args, Clone, Debug)]
pub struct SubmitOptions {
    /// The command and its arguments, passed on as they are; or op NAME ARG...
    ///
    /// Options for runner end at its first word. No shell is involved, and words are never joined into a line. Where the
    /// first word is op, and not behind '--', a built-in operation is meant, with its parameters as for 'runner op'.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, hide_short_help = true,
        value_hint = ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
    /// Run one line through a shell in place of a command
    #[arg(short = 'c', value_name = "LINE", allow_hyphen_values = true, help_heading = "Job")]
    pub(crate) line: Option<OsString>,
    /// The shell for -c and for lines of a list: sh, bash, or a path [default: sh]
    #[arg(long, value_name = "SHELL", help_heading = "Job", hide_short_help = true,
        value_parser = OsStringValueParser::new().try_map(exec::parse_shell))]
    pub(crate) shell: Option<OsString>,
    /// Submit every job of a list, as batch reads it
    ///
    /// A dash is standard input. All are stored at once or none. What the list says of a job is stronger than the options.
    #[arg(long, value_name = "FILE", help_heading = "Job", value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(batch_values::file))]
    pub(crate) from: Option<PathBuf>,
    /// Refused with a reason, which is more than an unknown option would tell.
    #[arg(long, hide = true)]
    pub(crate) pty: bool,
    #[command(flatten)]
    pub(crate) queue: QueueOptions,
    #[command(flatten)]
    pub(crate) job: JobOptions,
    /// What stood behind `op`; the parser of the options never sees it.
    #[arg(skip)]
    pub(crate) operation: Option<NamedOperation>,
}

/// A built-in operation that was named with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct NamedOperation {
    pub(crate) command: Command,
    /// How many words of the command line may be seen by anybody.
    pub(crate) words_shown: usize,
}

/// What a task has beside its job.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Queue")]
pub(crate) struct QueueOptions {
    /// critical, high, normal (default) or low
    ///
    /// Of the tasks that wait, the most urgent one begins first; within one priority the oldest.
    #[arg(long, value_name = "P", value_parser = values::priority(), ignore_case = true,
        hide_possible_values = true)]
    pub(crate) priority: Option<Priority>,
    /// Begin once this task has completed; may be repeated
    ///
    /// Where it does not complete, this one fails too, with DEPENDENCY_ERROR. An id may be given by its beginning.
    #[arg(long, value_name = "ID", value_parser = values::id, value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) after: Vec<String>,
    /// Begin at that time, such as 22:30
    ///
    /// A time of the day is the next such time here; 2026-12-31 22:30 is local too; with Z or an offset such as +01:00 it is
    /// what RFC 3339 says; @ and a number are seconds since 1970. A local time that clocks skip is taken as if they had not
    /// been set forward; of one that they show twice the first is meant.
    #[arg(long, value_name = "TIME", value_parser = local_time::parse, conflicts_with = "delay",
        allow_hyphen_values = true)]
    pub(crate) at: Option<Duration>,
    /// Begin after so long
    #[arg(long, value_name = "DUR", value_parser = duration::parse, allow_hyphen_values = true)]
    pub(crate) delay: Option<Duration>,
    /// Put it into this group
    ///
    /// A group can have slots of its own, see 'runner worker scale', and can be paused, see 'runner task pause'.
    #[arg(long, value_name = "GROUP", value_parser = values::group)]
    pub(crate) group: Option<String>,
    /// Where its worker dies: fail (default), or retry
    ///
    /// With fail a task that was running then has failed, with the reason worker_lost, since a part of it may have been
    /// done. With retry it is queued again, up to a hundred times.
    #[arg(long, value_name = "WHAT", value_parser = values::on_crash(), hide_short_help = true,
        hide_possible_values = true)]
    pub(crate) on_crash: Option<OnCrash>,
    /// Run this line once it is over
    ///
    /// It gets the answer on its standard input. A shell of its own reads it, in the directory and with the environment of
    /// the task, and with RUNNER_TASK_ID. What becomes of it changes nothing of the task, and stands in 'runner task status'.
    /// Where its worker dies or is stopped meanwhile it is run once more.
    #[arg(long, value_name = "LINE", value_parser = values::line, allow_hyphen_values = true)]
    pub(crate) on_done: Option<String>,
    /// Stop that line after so long [default: 60s]
    #[arg(long, value_name = "DUR", value_parser = values::above_zero, allow_hyphen_values = true,
        hide_short_help = true)]
    pub(crate) on_done_timeout: Option<Duration>,
    /// Post the answer to this URL once it is over
    ///
    /// As 'runner op post' does, with the id in the header X-Runner-Task. A failure that may pass is tried again three times.
    /// What becomes of it stands in 'runner task status', which shows neither name, password nor query of the URL.
    #[arg(long, value_name = "URL", value_parser = values::webhook, hide_short_help = true, value_hint = ValueHint::Url)]
    pub(crate) webhook: Option<String>,
    /// Pass on every variable that is set here, not only the harmless ones
    ///
    /// Otherwise a task gets PATH, HOME, LANG, LC_*, TMPDIR, USER, and what --env says.
    #[arg(long, hide_short_help = true, conflicts_with = "env_clear")]
    pub(crate) inherit_env: bool,
    /// Stay until it is over, and leave as exec would
    #[arg(long)]
    pub(crate) wait: bool,
}

impl SubmitOptions {
    /// Where an error goes that comes before the options are resolved.
    pub fn answer(&self) -> AnswerOptions {
        self.job.answer()
    }

    /// The same, for an operation that was named behind them.
    pub(crate) fn with_operation(self, command: Command, words_shown: usize) -> Self {
        Self { operation: Some(NamedOperation { command, words_shown }), ..self }
    }

    /// How many words of the command line may be seen by anybody, where some may not: parameters can be secrets.
    pub fn words_shown(&self) -> Option<usize> {
        self.operation.as_ref().map(|operation| operation.words_shown)
    }

    /// The request that these options make together with the defaults.
    pub fn resolve(self, config: &Config) -> Result<TaskRequest> {
        let config = config.for_tasks();
        let Self { command, line, shell, from, queue, mut job, operation, .. } = self;
        // Nobody is there to type.
        job.place.stdin.get_or_insert(Stdin::Null);
        let shell = shell.unwrap_or_else(|| "sh".into());
        let auto_bounds = config.history.bounds();
        let (source, answer, auto) = match from {
            Some(list) => {
                // Each entry brings its own command; a line of the list takes the shell.
                let nothing = Command::Shell { shell, line: OsString::new() };
                let resolved = job.resolve_for_list(nothing, &config)?;
                (TaskSource::List { list, defaults: Box::new(resolved.job) }, resolved.answer, resolved.auto)
            }
            None => {
                let command = match (operation, line) {
                    (Some(operation), _) => operation.command,
                    (None, Some(line)) => Command::Shell { shell, line },
                    (None, None) => Command::Argv(command),
                };
                let resolved = job.resolve(command, &config)?;
                (TaskSource::One(Box::new(resolved.job)), resolved.answer, resolved.auto)
            }
        };
        let wait = queue.wait;
        let options = queue.options();
        let verb = TaskVerb::Submit(Box::new(SubmitRequest { source, options, auto, auto_bounds, wait }));
        Ok(TaskRequest { verb, answer })
    }
}

impl QueueOptions {
    fn options(self) -> TaskOptions {
        TaskOptions {
            priority: self.priority.unwrap_or_default(),
            after: self.after,
            begin: match (self.at, self.delay) {
                (Some(at), _) => Begin::At(at),
                (None, Some(Duration::ZERO) | None) => Begin::Now,
                (None, Some(delay)) => Begin::In(delay),
            },
            group: self.group,
            on_crash: self.on_crash.unwrap_or_default(),
            notices: Notices { on_done: self.on_done, on_done_timeout: self.on_done_timeout, webhook: self.webhook },
            environment: if self.inherit_env { PassedEnvironment::All } else { PassedEnvironment::Usual },
        }
    }
}

/// Reads the options.
pub(crate) fn read(matches: &ArgMatches) -> std::result::Result<SubmitOptions, clap::Error> {
    SubmitOptions::from_arg_matches(matches)
}

/// The verb as the parser needs it. Examples and tables are added where help is asked for, see `help`.
pub(crate) fn definition() -> Definition {
    let verb = Definition::new("submit")
        .bin_name("runner task submit")
        .override_usage(
            "runner task submit [OPTIONS] [--] COMMAND [ARG]...\n       \
             runner task submit [OPTIONS] -c LINE\n       \
             runner task submit [OPTIONS] op NAME [ARG]...\n       \
             runner task submit [OPTIONS] --from FILE|-",
        )
        .disable_help_flag(true)
        .args_override_self(true);
    SubmitOptions::augment_args(verb).about("Put a job into the queue, and print its id").long_about(None)
}

/// The same with what is said of options in other words here than elsewhere. For help alone, since every start would pay
/// for it.
pub(crate) fn described(verb: Definition) -> Definition {
    // Short help has room for what is special to the queue.
    let verb = ["cwd", "env", "max_timeout", "idle_timeout", "grace", "signal", "leftovers", "report", "verbose"]
        .into_iter()
        .fold(verb, |verb, name| verb.mut_arg(name, |arg| arg.hide_short_help(true)));
    verb.mut_arg("stdin", |arg| arg.help("Standard input: null, or a file to read [default: null]"))
        .mut_arg("stdin", |arg| arg.value_name("null|FILE"))
        .mut_arg("json", |arg| arg.help("Print a JSON answer in place of the id"))
        .mut_arg("report", |arg| arg.help("With --wait, also write the JSON answer to this file"))
        .mut_arg("progress", |arg| {
            arg.help("With --wait, how progress is shown: auto, bar, lines, json, none [default: auto]").long_help(None)
        })
        .mut_arg("retry_output", |arg| arg.hide(true))
        // Every attempt of a task is recorded.
        .mut_arg("record", |arg| arg.hide(true))
        .mut_arg("quiet", |arg| arg.help("Print the id and nothing else"))
}

/// What stands behind `op`, as the parser needs it.
pub(crate) fn operation_definition() -> Definition {
    let verb = Definition::new(OPERATION)
        .bin_name("runner task submit op")
        .override_usage("runner task submit [OPTIONS] op NAME [ARG]...")
        .about("Put a built-in operation into the queue")
        .args_override_self(true);
    op::with_operations(verb)
}
