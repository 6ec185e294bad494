//! The command line: what was typed becomes what is to be done.
//!
//! Called by `main` alone. It prints nothing, ends nothing and starts nothing: help, and errors of usage, are handed
//! back. Only the verb that was asked for is built, since every start pays for it.

pub mod batch;
mod batch_checks;
pub mod batch_values;
mod batch_words;
pub mod exec;
mod help;
pub mod history;
pub mod job_options;
mod notify;
mod op;
pub mod retry_options;
mod timeout;
mod usage;
mod verbs;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::FromArgMatches;
use clap::error::ErrorKind;

use crate::app::completions::Shell;
use crate::app::config;
use crate::error::Error;
use crate::model::exit_code::RUNNER_FAILED;
use crate::model::request::{AnswerOptions, NotifyRequest, TimeoutRequest};
use crate::ops::child;

pub use batch::BatchOptions;
pub use exec::ExecOptions;
pub use help::command;
pub use history::HistoryOptions;
pub use op::OpOptions;

use notify::NotifyOptions;

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
        Some(child::VERB) => Parsed::Run(Invocation::OperationChild(args.collect())),
        Some("help") => {
            // The verb in `help VERB` may be missing; then this is `--help`.
            let mut words: Vec<_> = args.take(1).collect();
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
            error: usage::wrong_operation(&error, &args),
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
    let options =
        definition.try_get_matches_from_mut(&args).and_then(|matches| NotifyOptions::from_arg_matches(&matches));
    match options {
        Ok(options) => Parsed::Run(Invocation::Notify(Box::new(options.request()))),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            told(help::notify().no_binary_name(true).try_get_matches_from(&args).err().unwrap_or(error))
        }
        Err(error) => Parsed::Wrong {
            error: usage::wrong(&error, "runner notify", &args),
            answer: with_format(AnswerOptions::default()),
        },
    }
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
