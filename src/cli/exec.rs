//! `runner exec`: its options, and how they become a request.
//!
//! Called by the parser of the command line and, for `resolve`, by `main` once the defaults are loaded.

use std::ffi::OsString;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Command as Definition, ValueHint};

use crate::app::config::Config;
use crate::cli::job_options::JobOptions;
use crate::error::Result;
use crate::model::job::Command;
use crate::model::request::{AnswerOptions, ExecRequest};

/// The options of `exec` as they were given.
#[derive(Args, Clone, Debug)]
pub struct ExecOptions {
    /// The command and its arguments, passed on as they are
    ///
    /// Options for runner end at its first word. No shell is involved, and words are never joined into a line.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, required_unless_present = "line", conflicts_with = "line",
        hide_short_help = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
    /// Run one line through a shell in place of a command
    #[arg(short = 'c', value_name = "LINE", allow_hyphen_values = true, help_heading = "Job")]
    pub line: Option<OsString>,
    /// The shell for -c: sh, bash, or a path [default: sh]
    #[arg(long, value_name = "SHELL", conflicts_with = "command", help_heading = "Job", hide_short_help = true,
        value_parser = OsStringValueParser::new().try_map(parse_shell))]
    pub shell: Option<OsString>,
    /// Give the command a pseudo-terminal for its output
    ///
    /// It prints as it would on a terminal, with colours and without delay, and both streams are kept in their true
    /// order as one. Where its input is the terminal it is the same one then, and keys go on to it; a file or a pipe stays
    /// what it is.
    #[arg(long, help_heading = "Job", hide_short_help = true)]
    pub pty: bool,
    #[command(flatten)]
    pub job: JobOptions,
}

impl ExecOptions {
    /// Where an error goes that comes before the options are resolved.
    pub fn answer(&self) -> AnswerOptions {
        self.job.answer()
    }

    /// The request that these options make together with the defaults.
    pub fn resolve(self, config: &Config) -> Result<ExecRequest> {
        let command = match self.line {
            Some(line) => Command::Shell { shell: self.shell.unwrap_or_else(|| "sh".into()), line },
            None => Command::Argv(self.command),
        };
        Ok(ExecRequest { pty: self.pty, ..self.job.resolve(command, config)? })
    }
}

/// The verb as the parser needs it. Examples and tables are added where help is asked for, see `help`.
pub(crate) fn definition() -> Definition {
    let verb = Definition::new("exec")
        .bin_name("runner exec")
        .override_usage("runner exec [OPTIONS] [--] COMMAND [ARG]...\n       runner exec [OPTIONS] -c LINE")
        .disable_help_flag(true)
        .args_override_self(true);
    // The text of the type's own comment would take the place of an earlier one.
    ExecOptions::augment_args(verb).about("Run one command under a watchdog").long_about(None)
}

pub(crate) fn parse_shell(text: OsString) -> std::result::Result<OsString, &'static str> {
    if text.is_empty() { Err("the name is empty: give sh, bash, or the path of a shell") } else { Ok(text) }
}
