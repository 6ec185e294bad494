//! `runner notify`: what a job tells the runner above it.
//!
//! Called by the parser of the command line. It is built for itself alone, since a job may call it often.

use std::time::Duration;

use clap::{ArgAction, Args, Command as Definition};

use crate::model::outcome::Progress;
use crate::model::request::{NotifyRequest, PartialSource};
use crate::time::duration;

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct NotifyOptions {
    /// How far the job is: 0.42, 42% or 17/40
    #[arg(long, value_name = "FRACTION", allow_hyphen_values = true)]
    progress: Option<Progress>,
    /// What the job is doing, in a few words
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<String>,
    /// What the job has so far, as JSON; handed back whatever ends it
    ///
    /// The last value stands in the answer. At most 1 MiB; what is too long for a command line is read from a file with
    /// @FILE, or from standard input with -.
    #[arg(long, value_name = "JSON", value_parser = parse_partial, allow_hyphen_values = true)]
    partial: Option<PartialSource>,
    /// The job needs so long from now on; never beyond --max-timeout
    ///
    /// Where it is refused, because the job has no --max-timeout or has reached it, or is being stopped, notify says why and
    /// exits with 1.
    #[arg(long, value_name = "DUR", value_parser = duration::parse, allow_hyphen_values = true)]
    extend: Option<Duration>,
    /// The job is alive: the idle time starts anew
    #[arg(long)]
    watchdog: bool,
    /// The job is stopping by itself
    #[arg(long)]
    stopping: bool,
}

/// Says nothing by itself, so it is none of those of which at least one is needed.
#[derive(Args, Clone, Debug)]
pub(super) struct NotifyConditions {
    /// Exit with 0 outside of a job
    ///
    /// For a script that also runs without runner: where RUNNER_NOTIFY_SOCKET is not set, nothing is sent and nothing is
    /// said. In a job every error stays one.
    #[arg(long)]
    if_any: bool,
}

#[derive(Args)]
struct HelpOption {
    /// Print help: -h fits a screen, --help explains all options
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,
}

impl NotifyOptions {
    pub(crate) fn request(self, conditions: &NotifyConditions) -> NotifyRequest {
        NotifyRequest {
            if_any: conditions.if_any,
            progress: self.progress,
            message: self.message,
            partial: self.partial,
            extend: self.extend,
            alive: self.watchdog,
            stopping: self.stopping,
        }
    }
}

/// The verb as the parser needs it.
pub(crate) fn definition() -> Definition {
    let verb = Definition::new("notify")
        .bin_name("runner notify")
        .override_usage("runner notify [OPTIONS]")
        .disable_help_flag(true)
        .args_override_self(true);
    HelpOption::augment_args(NotifyConditions::augment_args(NotifyOptions::augment_args(verb)))
        .about("Tell the runner of this job how far it is, and what it has")
        .long_about(None)
}

fn parse_partial(text: &str) -> Result<PartialSource, String> {
    if text == "-" {
        return Ok(PartialSource::Stdin);
    }
    if let Some(path) = text.strip_prefix('@') {
        return Ok(PartialSource::File(path.into()));
    }
    serde_json::from_str(text)
        .map(PartialSource::Value)
        .map_err(|error| format!("it is not JSON ({error}): give a value such as '{{\"done\": 17}}'"))
}
