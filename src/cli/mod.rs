//! The command line: what was typed becomes what is to be done.
//!
//! Called by `main` alone. It prints nothing, ends nothing and starts nothing: help, and errors of usage, are handed
//! back. Only the verb that was asked for is built, since every start pays for it.

pub mod batch;
mod batch_checks;
pub mod batch_items;
pub mod batch_values;
mod batch_words;
pub mod exec;
mod help;
pub mod history;
pub mod job_options;
mod notify;
mod op;
mod queue_help;
pub mod retry_options;
pub mod task;
mod timeout;
mod usage;
mod verbs;
pub mod worker;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::FromArgMatches;
use clap::error::ErrorKind;

use crate::app::completions::Shell;
use crate::app::config;
use crate::error::Error;
use crate::model::exit_code::RUNNER_FAILED;
use crate::model::request::{AnswerOptions, NotifyRequest, TimeoutRequest};
use crate::model::task_request::{TaskRequest, WorkerRequest};
use crate::ops::child;

pub use batch::BatchOptions;
pub use exec::ExecOptions;
pub use help::command;
pub use history::HistoryOptions;
pub use op::OpOptions;
pub use task::WaitOptions;
pub use task::submit::SubmitOptions;
pub use worker::RunOptions;

use notify::{NotifyConditions, NotifyOptions};

/// What the command line came to.
#[derive(Debug)]
pub enum Parsed {
    /// Do this.
    Run(Invocation),
    /// Print this as it is, and exit with this code.
    Say { text: String, to_stderr: bool, exit: i32 },
    /// It was wrong. `answer` is where the error goes, as far as the command line could be understood.
    Wrong { error: Error, answer: AnswerOptions },
}

/// A verb with all that it needs.
#[derive(Debug)]
pub enum Invocation {
    /// Still to be resolved with the defaults.
    Exec(Box<ExecOptions>),
    /// Still to be resolved with the defaults.
    Batch(Box<BatchOptions>),
    Timeout(TimeoutRequest),
    /// Still to be resolved with the defaults.
    Op(Box<OpOptions>),
    ListOperations {
        json: bool,
    },
    Notify(Box<NotifyRequest>),
    /// Still to be resolved with the defaults.
    TaskSubmit(Box<SubmitOptions>),
    /// Still to be resolved with the defaults.
    TaskWait(Box<WaitOptions>),
    /// Any other verb of `runner task`.
    Task(Box<TaskRequest>),
    /// Still to be resolved with the defaults.
    WorkerRun(RunOptions),
    /// Any other verb of `runner worker`.
    Worker(WorkerRequest),
    /// The child of an operation, called by runner itself.
    OperationChild(Vec<OsString>),
    /// Still to be resolved with the defaults.
    History(Box<HistoryOptions>),
    Completions {
        shell: Shell,
    },
    /// Without a directory, one page is printed.
    Man {
        dir: Option<PathBuf>,
        page: Option<String>,
    },
    Schema {
        name: Option<String>,
    },
}

/// Reads a command line, the name of the program first.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Parsed {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    if Path::new(&program).file_name() == Some(OsStr::new("timeout")) {
        return timeout::parse(args);
    }
    let Some(verb) = args.next() else { return nothing() };
    match verb.to_str() {
        Some("timeout") => timeout::parse(args),
        Some("exec") => exec(args.collect()),
        Some("op") => op(args.collect()),
        Some("batch") => batch(&args.collect::<Vec<_>>()),
        Some("notify") => notify(args.collect()),
        Some("task") => task(&args.collect::<Vec<_>>()),
        Some("worker") => worker(&args.collect::<Vec<_>>()),
        Some(child::VERB) => Parsed::Run(Invocation::OperationChild(args.collect())),
        Some("help") => {
            // The verb in `help VERB` may be missing; then this is `--help`. Some verbs have verbs below them.
            let mut words: Vec<_> = args.take(2).collect();
            if words.first().is_none_or(|verb| verb != "task" && verb != "worker") {
                words.truncate(1);
            }
            words.push("--help".into());
            parse(std::iter::once(program).chain(words))
        }
        _ => other(std::iter::once(verb).chain(args).collect()),
    }
}

fn exec(args: Vec<OsString>) -> Parsed {
    let mut definition = exec::definition().no_binary_name(true);
    let options =
        definition.try_get_matches_from_mut(&args).and_then(|matches| ExecOptions::from_arg_matches(&matches));
    match options {
        Ok(options) => Parsed::Run(Invocation::Exec(Box::new(options))),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            told(help::exec().no_binary_name(true).try_get_matches_from(&args).err().unwrap_or(error))
        }
        Err(error) => Parsed::Wrong {
            error: usage::wrong(&error, "runner exec", &args),
            answer: with_format(usage::asked_for(&definition, &args)),
        },
    }
}

fn op(args: Vec<OsString>) -> Parsed {
    let mut definition = op::definition().no_binary_name(true);
    let asked = definition.try_get_matches_from_mut(&args).and_then(|matches| op::read(&matches, &args));
    match asked {
        Ok(op::Asked::Run(options)) => Parsed::Run(Invocation::Op(options)),
        Ok(op::Asked::List { json }) => Parsed::Run(Invocation::ListOperations { json }),
        Ok(op::Asked::Refused(error, answer)) => Parsed::Wrong { error, answer: with_format(answer) },
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            told(help::op().no_binary_name(true).try_get_matches_from(&args).err().unwrap_or(error))
        }
        Err(error) => Parsed::Wrong {
            error: usage::wrong_operation(&error, &args, "the name of the operation"),
            answer: with_format(usage::asked_for(&definition, &args)),
        },
    }
}

fn batch(args: &[OsString]) -> Parsed {
    let mut definition = batch::definition().no_binary_name(true);
    let words = match batch_words::split(&definition, args) {
        Ok(words) => words,
        Err(error) => return wrong_batch(error, &definition, args),
    };
    let options =
        definition.try_get_matches_from_mut(&words.head).and_then(|matches| BatchOptions::from_arg_matches(&matches));
    match options {
        Ok(options) => {
            let options = BatchOptions { words: words.inputs, ..options };
            match batch_checks::check(&options) {
                Ok(()) => Parsed::Run(Invocation::Batch(Box::new(options))),
                Err(error) => Parsed::Wrong { error, answer: with_format(options.answer()) },
            }
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            let short = !words.head.iter().any(|word| word == "--help");
            told(help::batch(short).no_binary_name(true).try_get_matches_from(&words.head).err().unwrap_or(error))
        }
        Err(error) => wrong_batch(usage::wrong(&error, "runner batch", args), &definition, &words.head),
    }
}

/// A report is of a job, and so an error of the whole batch goes to none.
fn wrong_batch(error: Error, definition: &clap::Command, args: &[OsString]) -> Parsed {
    let answer = usage::asked_for(definition, &batch_words::options_first(definition, args));
    Parsed::Wrong { error, answer: with_format(AnswerOptions { report: None, ..answer }) }
}

fn notify(args: Vec<OsString>) -> Parsed {
    let mut definition = notify::definition().no_binary_name(true);
    let request = definition.try_get_matches_from_mut(&args).and_then(|matches| {
        let conditions = NotifyConditions::from_arg_matches(&matches)?;
        Ok(NotifyOptions::from_arg_matches(&matches)?.request(&conditions))
    });
    match request {
        Ok(request) => Parsed::Run(Invocation::Notify(Box::new(request))),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            told(help::notify().no_binary_name(true).try_get_matches_from(&args).err().unwrap_or(error))
        }
        Err(error) => Parsed::Wrong {
            error: usage::wrong(&error, "runner notify", &args),
            answer: with_format(AnswerOptions::default()),
        },
    }
}

fn task(args: &[OsString]) -> Parsed {
    let (name, rest) = match args.split_first() {
        Some((name, rest)) => (name.to_str().unwrap_or_default(), rest),
        None => ("", args),
    };
    if name == "submit" {
        return submit(rest);
    }
    let Some(mut definition) = task::verb(name) else {
        return other_verb(task::definition(), "runner task", args, help::task());
    };
    match definition.try_get_matches_from_mut(rest).and_then(|matches| task::read(name, &matches)) {
        Ok(task::Asked::Run(TaskRequest { verb, answer })) => {
            Parsed::Run(Invocation::Task(Box::new(TaskRequest { verb, answer: with_format(answer) })))
        }
        Ok(task::Asked::Wait(options)) => Parsed::Run(Invocation::TaskWait(Box::new(options))),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            told(documented(task::verb(name), help::task_verb, rest).unwrap_or(error))
        }
        Err(error) => wrong_verb(&error, &format!("runner task {name}"), &definition, rest),
    }
}

/// `task submit`. Its parser is not made for built-in operations, which most calls do not name: the words are taken
/// apart before.
fn submit(args: &[OsString]) -> Parsed {
    let mut definition = task::submit::definition().no_binary_name(true);
    let end = usage::walk(&definition, args, |_| {});
    let (head, operation) = match args.get(end) {
        Some(word) if word == task::submit::OPERATION => (&args[..end], Some(&args[end + 1..])),
        _ => (args, None),
    };
    let matches = match definition.try_get_matches_from_mut(head) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            let short = !head.iter().any(|word| word == "--help");
            return told(help::submit(short).no_binary_name(true).try_get_matches_from(head).err().unwrap_or(error));
        }
        Err(error) => return wrong_verb(&error, "runner task submit", &definition, head),
    };
    let options = match task::submit::read(&matches) {
        Ok(options) => options,
        Err(error) => return wrong_verb(&error, "runner task submit", &definition, head),
    };
    let options = match operation {
        None => options,
        // The program, both verbs, and `op` come before.
        Some(words) => match with_operation(options, words, 4 + end) {
            Ok(options) => options,
            Err(parsed) => return *parsed,
        },
    };
    match task::checks::check(&options) {
        Ok(()) => Parsed::Run(Invocation::TaskSubmit(Box::new(options))),
        Err(error) => Parsed::Wrong { error, answer: with_format(options.answer()) },
    }
}

/// The options with the operation that these words name. So many words stand before them.
fn with_operation(options: SubmitOptions, words: &[OsString], before: usize) -> Result<SubmitOptions, Box<Parsed>> {
    let wrong = |error| Box::new(Parsed::Wrong { error, answer: with_format(options.answer()) });
    let mut definition = task::submit::operation_definition().no_binary_name(true);
    let command = definition.try_get_matches_from_mut(words).and_then(|matches| {
        let name = matches.subcommand_name().unwrap_or_default();
        let words_shown = before + words.iter().position(|word| word == name).map_or(0, |at| at + 1);
        op::command(&matches, options.job.place.cwd.as_deref()).map(|command| (command, words_shown))
    });
    match command {
        Ok((Ok(command), words_shown)) => Ok(options.with_operation(command, words_shown)),
        Ok((Err(error), _)) => Err(wrong(error)),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            let definition = Some(task::submit::operation_definition().no_binary_name(true));
            Err(Box::new(told(documented(definition, help::with_documented_operations, words).unwrap_or(error))))
        }
        Err(error) => Err(wrong(usage::wrong_operation(&error, words, "the word op"))),
    }
}

fn worker(args: &[OsString]) -> Parsed {
    let (name, rest) = match args.split_first() {
        Some((name, rest)) => (name.to_str().unwrap_or_default(), rest),
        None => ("", args),
    };
    let Some(mut definition) = worker::verb(name) else {
        return other_verb(worker::definition(), "runner worker", args, help::worker());
    };
    match definition.try_get_matches_from_mut(rest).and_then(|matches| worker::read(name, &matches)) {
        Ok(worker::Asked::Do(WorkerRequest { verb, answer })) => {
            Parsed::Run(Invocation::Worker(WorkerRequest { verb, answer: with_format(answer) }))
        }
        Ok(worker::Asked::Run(options)) => Parsed::Run(Invocation::WorkerRun(options)),
        Ok(worker::Asked::Refused(error, answer)) => Parsed::Wrong { error, answer: with_format(answer) },
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            told(documented(worker::verb(name), help::worker_verb, rest).unwrap_or(error))
        }
        Err(error) => wrong_verb(&error, &format!("runner worker {name}"), &definition, rest),
    }
}

/// The help of a verb that was just made: a parser that was used does not know of what is added to it.
fn documented(
    fresh: Option<clap::Command>,
    document: fn(clap::Command) -> clap::Command,
    args: &[OsString],
) -> Option<clap::Error> {
    document(fresh?).try_get_matches_from(args).err()
}

/// Words behind a verb with verbs below it that name none of those: help, or a mistake.
fn other_verb(definition: clap::Command, verb: &str, args: &[OsString], documented: clap::Command) -> Parsed {
    let mut definition = definition.no_binary_name(true);
    // Every right word was tried before.
    let parsed = definition.try_get_matches_from_mut(args).err();
    match parsed.unwrap_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand)) {
        error if error.kind() == ErrorKind::DisplayHelp => {
            told(documented.no_binary_name(true).try_get_matches_from(args).err().unwrap_or(error))
        }
        error => wrong_verb(&error, verb, &definition, args),
    }
}

fn wrong_verb(error: &clap::Error, verb: &str, definition: &clap::Command, args: &[OsString]) -> Parsed {
    let answer = with_format(usage::asked_for(definition, args));
    Parsed::Wrong { error: usage::wrong(error, verb, args), answer }
}

fn with_format(answer: AnswerOptions) -> AnswerOptions {
    AnswerOptions { error_format: config::error_format(), ..answer }
}

/// Every command line that does not begin with one of the great verbs.
fn other(args: Vec<OsString>) -> Parsed {
    let mut definition = command().no_binary_name(true);
    let invocation =
        definition.try_get_matches_from_mut(&args).and_then(|mut matches| match matches.remove_subcommand() {
            Some((name, matches)) => verbs::invocation(&name, &matches),
            None => Err(clap::Error::new(ErrorKind::MissingSubcommand)),
        });
    match invocation {
        Ok(invocation) => Parsed::Run(invocation),
        Err(error) if !error.use_stderr() => told(error),
        Err(error) => {
            let named = args.first().and_then(|verb| verb.to_str()).unwrap_or_default();
            let verb = match definition.find_subcommand(named) {
                Some(_) => format!("runner {named}"),
                None => "runner".to_owned(),
            };
            Parsed::Wrong { error: usage::wrong(&error, &verb, &args), answer: with_format(AnswerOptions::default()) }
        }
    }
}

/// No verb at all: the short help, as an error.
fn nothing() -> Parsed {
    Parsed::Say { text: help::shown(&command().render_help(), true), to_stderr: true, exit: RUNNER_FAILED }
}

/// Help or version, which clap hands back as errors.
fn told(error: clap::Error) -> Parsed {
    Parsed::Say { text: help::shown(&error.render(), false), to_stderr: false, exit: 0 }
}

#[cfg(test)]
mod tests;
