//! `runner op`: the options of a job, the operation's name, and its own parameters.
//!
//! Called by the parser of the command line and, for `resolve`, by `main` once the defaults are loaded. The operations,
//! with their parameters, come from the registry.

use std::ffi::OsString;
use std::path::Path;

use clap::{ArgMatches, Args, Command as Definition, FromArgMatches};

use crate::app::config::Config;
use crate::cli::job_options::JobOptions;
use crate::error::{Error, Result};
use crate::model::job::Command;
use crate::model::request::{AnswerOptions, ExecRequest};
use crate::ops::{self, child};

/// The options of `op` as they were given.
#[derive(Clone, Debug)]
pub struct OpOptions {
    job: JobOptions,
    command: Command,
    words_shown: usize,
}

#[derive(Args)]
struct ListOption {
    /// List the operations there are; with --json for programs
    #[arg(long)]
    list: bool,
}

/// What `op` was asked to do.
pub(crate) enum Asked {
    Run(Box<OpOptions>),
    List {
        json: bool,
    },
    /// The parameters make no sense; the error goes where the options say.
    Refused(Error, AnswerOptions),
}

impl OpOptions {
    /// Where an error goes that comes before the options are resolved.
    pub fn answer(&self) -> AnswerOptions {
        self.job.answer()
    }

    /// How many words of the command line may be seen by anybody: those up to the operation's name.
    pub fn words_shown(&self) -> usize {
        self.words_shown
    }

    /// The request that these options make together with the defaults.
    pub fn resolve(self, config: &Config) -> Result<ExecRequest> {
        self.job.resolve(self.command, config)
    }
}

/// Reads the options of `op`. `args` are the words behind the verb that they were parsed from.
pub(crate) fn read(matches: &ArgMatches, args: &[OsString]) -> std::result::Result<Asked, clap::Error> {
    let job = JobOptions::from_arg_matches(matches)?;
    if ListOption::from_arg_matches(matches)?.list {
        if let Some((name, _)) = matches.subcommand() {
            let error = Error::Invalid {
                argument: Some("--list".to_owned()),
                message: format!("--list lists operations, and '{name}' would run"),
                remediation: "Leave one of them out".to_owned(),
            };
            return Ok(Asked::Refused(error, job.answer()));
        }
        return Ok(Asked::List { json: job.output.json });
    }
    let name = matches.subcommand_name().unwrap_or_default();
    Ok(match command(matches, job.place.cwd.as_deref())? {
        Ok(command) => {
            // Where an option's value is the same word, too much is hidden and never too little. The program and the
            // verb come before.
            let words_shown = 2 + args.iter().position(|word| word == name).map_or(0, |at| at + 1);
            Asked::Run(Box::new(OpOptions { job, command, words_shown }))
        }
        Err(error) => Asked::Refused(error, job.answer()),
    })
}

/// The command of the operation that was named, which will run in `cwd`, or here. The outer error is of the words, the
/// inner of what they say.
pub(crate) fn command(matches: &ArgMatches, cwd: Option<&Path>) -> std::result::Result<Result<Command>, clap::Error> {
    let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
    let (name, parameters) = matches.subcommand().ok_or_else(missing)?;
    let entry = ops::by_name(name).ok_or_else(missing)?;
    Ok(entry.parameters(parameters, cwd)?.map(|prepared| child::command(entry, prepared.to_json())))
}

/// The verb as the parser needs it, with every operation below it.
pub(crate) fn definition() -> Definition {
    let verb = Definition::new("op")
        .bin_name("runner op")
        .override_usage("runner op [OPTIONS] NAME [ARG]...\n       runner op --list")
        .disable_help_flag(true)
        .args_override_self(true);
    let verb = ListOption::augment_args(JobOptions::augment_args(verb));
    with_operations(verb.about("Run one built-in operation under a watchdog").long_about(None))
}

/// A verb with every operation below it.
pub(crate) fn with_operations(verb: Definition) -> Definition {
    verb.subcommand_help_heading("Operations")
        .subcommand_value_name("NAME")
        .disable_help_subcommand(true)
        .subcommands(ops::OPERATIONS.iter().map(ops::Entry::definition))
}
