//! `runner worker`: its verbs, their options, and how they become a request.
//!
//! Called by the parser of the command line and, for `resolve`, by `main` once the defaults are loaded.

use clap::{ArgAction, ArgMatches, Args, Command as Definition, FromArgMatches};

use crate::app::config::Config;
use crate::cli::job_options::Limit;
use crate::cli::task::values::{self, Slots};
use crate::cli::task::{AnswerFlags, SaidFlags};
use crate::error::{Error, Result};
use crate::model::request::AnswerOptions;
use crate::model::task_request::{WorkerRequest, WorkerVerb};

/// The options of `worker run` as they were given.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// Leave after so long without work [default: 5m]
    ///
    /// The word none takes the default, and one of a configuration file, back: it stays until it is told to stop.
    #[arg(long, value_name = "DUR|none", value_parser = values::idle_exit, allow_hyphen_values = true)]
    idle_exit: Option<Limit>,
    /// How runner starts the worker itself; not for people.
    #[arg(long, hide = true)]
    detached: bool,
    #[command(flatten)]
    said: SaidFlags,
}

#[derive(Args)]
struct ScaleOptions {
    /// How many tasks may run at once; or shared
    ///
    /// With --group these are slots of the group's own, and the word shared takes them back: its tasks then take from those
    /// of all others. The number is kept in the store, and holds at once and for every later worker.
    #[arg(value_name = "SLOTS", value_parser = values::slots, allow_hyphen_values = true)]
    slots: Slots,
    /// Of this group [default: of all that have no slots of their own]
    #[arg(long, value_name = "GROUP", value_parser = values::group)]
    group: Option<String>,
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct StopOptions {
    /// Stop the tasks that run, too, and do not let them come to their own end
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct StatusOptions {
    #[command(flatten)]
    answer: AnswerFlags,
}

#[derive(Args)]
struct UnitOptions {
    /// Print help: -h fits a screen, --help explains all options
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// What `worker` was asked to do.
pub(crate) enum Asked {
    Do(WorkerRequest),
    /// Still to be resolved with the defaults.
    Run(RunOptions),
    /// What was given makes no sense together; the error goes where the options say.
    Refused(Error, AnswerOptions),
}

impl RunOptions {
    /// Where an error goes that comes before the options are resolved.
    pub fn answer(&self) -> AnswerOptions {
        self.said.answer()
    }

    /// The request that these options make together with the defaults.
    pub fn resolve(self, config: &Config) -> Result<WorkerRequest> {
        let answer = AnswerOptions { error_format: config.defaults.error_format, ..self.answer() };
        let verb = WorkerVerb::Run {
            idle_exit: self.idle_exit.map_or_else(|| config.queue.idle_exit(), |limit| limit.0),
            max_task_age: config.queue.max_task_age(),
            detached: self.detached,
        };
        Ok(WorkerRequest { verb, answer })
    }
}

/// Reads the options of a verb.
pub(crate) fn read(verb: &str, matches: &ArgMatches) -> std::result::Result<Asked, clap::Error> {
    let (verb, answer) = match verb {
        "run" => return Ok(Asked::Run(RunOptions::from_arg_matches(matches)?)),
        "scale" => {
            let ScaleOptions { slots, group, answer } = ScaleOptions::from_arg_matches(matches)?;
            let slots = match (slots, &group) {
                (Slots::Own(slots), _) => Some(slots),
                (Slots::Shared, Some(_)) => None,
                (Slots::Shared, None) => return Ok(Asked::Refused(nobody_shares(), answer.answer())),
            };
            (WorkerVerb::Scale { slots, group }, answer.answer())
        }
        "stop" => {
            let StopOptions { now, answer } = StopOptions::from_arg_matches(matches)?;
            (WorkerVerb::Stop { now }, answer.answer())
        }
        "unit" => (WorkerVerb::Unit, AnswerOptions::default()),
        _ => (WorkerVerb::Status, StatusOptions::from_arg_matches(matches)?.answer.answer()),
    };
    Ok(Asked::Do(WorkerRequest { verb, answer }))
}

fn nobody_shares() -> Error {
    Error::Invalid {
        argument: Some("SLOTS".to_owned()),
        message: "shared takes slots of its own from a group, and no group was named".to_owned(),
        remediation: "Name it, as in: runner worker scale shared --group nightly; or give a number".to_owned(),
    }
}

/// One verb of `runner worker` as the parser needs it.
pub(crate) fn verb(name: &str) -> Option<Definition> {
    let define = VERBS.iter().find(|(verb, _)| *verb == name)?.1;
    Some(define().no_binary_name(true))
}

/// `runner worker` with every verb.
pub(crate) fn definition() -> Definition {
    Definition::new("worker")
        .bin_name("runner worker")
        .about("Run the tasks of the queue, or see to the process that does")
        .override_usage("runner worker VERB [OPTIONS] ...")
        .subcommand_help_heading("Verbs")
        .subcommand_value_name("VERB")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(VERBS.iter().map(|(_, define)| define()))
}

/// The name of a verb, and what makes its definition.
type Verb = (&'static str, fn() -> Definition);

const VERBS: &[Verb] = &[
    ("run", || small::<RunOptions>("run", "[OPTIONS]", "Be the worker: run the tasks of the queue")),
    ("status", || small::<StatusOptions>("status", "[OPTIONS]", "Tell whether a worker runs, and what it does")),
    ("scale", || small::<ScaleOptions>("scale", "[OPTIONS] SLOTS", "Say how many tasks may run at once")),
    ("stop", || small::<StopOptions>("stop", "[OPTIONS]", "Stop the worker once the running tasks are over, or now")),
    ("unit", || small::<UnitOptions>("unit", "", "Print a user unit for systemd")),
];

fn small<T: Args>(name: &'static str, usage: &str, about: &'static str) -> Definition {
    let verb = Definition::new(name)
        .bin_name(format!("runner worker {name}"))
        .override_usage(format!("runner worker {name} {usage}").trim_end().to_owned())
        .disable_help_flag(true)
        .args_override_self(true);
    // The text of the type's own comment would take the place of an earlier one.
    T::augment_args(verb).about(about).long_about(None)
}
