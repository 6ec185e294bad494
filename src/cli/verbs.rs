//! The list of verbs, and the small ones that print what runner knows about itself.
//!
//! Called where no verb with a parser of its own was named. A new verb is a definition in this list.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueHint};

use crate::app::completions::Shell;
use crate::cli::history::{self, HistoryOptions};
use crate::cli::{Invocation, batch, exec, notify, op, task, timeout, worker};

#[derive(Args)]
struct CompletionsOptions {
    /// The shell to complete for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Args)]
struct ManOptions {
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "page")]
    dir: Option<PathBuf>,
    /// The page to print, such as exec or runner-exec [default: runner]
    #[arg(value_name = "PAGE")]
    page: Option<String>,
}

#[derive(Args)]
struct SchemaOptions {
    /// envelope, event, task, task-list, stats, worker, history, or the name of an operation [default: envelope, with all others defined in it]
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// `runner` with every verb.
pub(crate) fn definition() -> Command {
    let completions = Command::new("completions").about("Print the completions for a shell: bash, zsh or fish");
    let man = Command::new("man").about("Print a man page, or write all of them into a directory");
    let schema = Command::new("schema").about("Print the JSON Schema of the answer, of events, or of an operation");
    Command::new("runner")
        .bin_name("runner")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run commands under a watchdog that always answers")
        .override_usage("runner VERB [OPTIONS] ...")
        .subcommand_help_heading("Verbs")
        .subcommand_value_name("VERB")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands([
            exec::definition(),
            op::definition(),
            batch::definition(),
            task::definition(),
            worker::definition(),
            timeout::definition(),
            notify::definition(),
            history::definition(),
            CompletionsOptions::augment_args(completions),
            ManOptions::augment_args(man),
            SchemaOptions::augment_args(schema),
        ])
}

/// What one of the small verbs was asked to do.
pub(crate) fn invocation(name: &str, matches: &ArgMatches) -> Result<Invocation, clap::Error> {
    match name {
        "completions" => {
            let options = CompletionsOptions::from_arg_matches(matches)?;
            Ok(Invocation::Completions { shell: options.shell })
        }
        "history" => Ok(Invocation::History(Box::new(HistoryOptions::from_arg_matches(matches)?))),
        "man" => {
            let options = ManOptions::from_arg_matches(matches)?;
            Ok(Invocation::Man { dir: options.dir, page: options.page })
        }
        _ => Ok(Invocation::Schema { name: SchemaOptions::from_arg_matches(matches)?.name }),
    }
}
