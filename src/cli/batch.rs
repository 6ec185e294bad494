//! `runner batch`: its options, and how they become a request.
//!
//! Called by the parser of the command line and, for `resolve`, by `main` once the defaults are loaded. What cannot go
//! together is refused in `batch_checks`, before a file is opened.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Command as Definition, ValueHint};

use crate::app::config::{self, Config, Timeout};
use crate::cli::batch_items::ItemOptions;
use crate::cli::batch_values::{self, BatchTimeout, Ci, Jobs, Load};
use crate::cli::history::RecordOption;
use crate::cli::job_options::{self, Limit, OtherLimitOptions, PlaceOptions, ProgressParser};
use crate::cli::retry_options::RetryOptions;
use crate::error::{Error, Result};
use crate::model::auto_timeout::TimeoutBounds;
use crate::model::job::{Command, JobSpec, Stdin, Surroundings};
use crate::model::request::{
    AnswerOptions, BatchRequest, FailFast, Grouping, ItemInput, JobList, JournalRequest, MaxFailures, OutputForm,
    ProgressForm, ResumeRule, StopRule, Template, TemplateCommand, Workers,
};
use crate::time::duration;

/// No timeout that comes of a median is shorter, where nobody said otherwise: a machine that hesitates is no reason to
/// stop a job that takes a moment.
const TIMEOUT_FLOOR: Duration = Duration::from_secs(1);

/// What other verbs say of pipes and of standard input does not matter here: outputs are kept, and no job reads ours.
const RETRIES: &str = "\
Try a job that failed again, up to N times

The next attempt begins when no process of the last is left: what outlives a failure that may be tried again is ended, as \
with --leftovers kill. Meanwhile other jobs run. Only the output of the last attempt is printed. A job that succeeds after a \
failure is called flaky, and is a success.";

/// The options of `batch` as they were given.
#[derive(Args, Clone, Debug)]
pub struct BatchOptions {
    /// The list of jobs: JSON lines, a JSON array, or TOML [default: standard input]
    #[arg(value_name = "FILE", hide_short_help = true, value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(batch_values::file))]
    pub(crate) list: Option<PathBuf>,
    /// The command to run for each item, passed on as it is
    ///
    /// Each word may hold placeholders, see below. No shell is involved.
    #[arg(value_name = "COMMAND", last = true, hide_short_help = true, value_hint = ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) items: ItemOptions,
    #[command(flatten)]
    pub(crate) workers: WorkerOptions,
    #[command(flatten)]
    pub(crate) time: TimeOptions,
    #[command(flatten)]
    pub(crate) retries: RetryOptions,
    #[command(flatten)]
    pub(crate) output: BatchOutputOptions,
    #[command(flatten)]
    pub(crate) records: RecordOptions,
    #[command(flatten)]
    pub(crate) stopping: StopOptions,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    /// What stood behind each `:::`; the parser never sees it.
    #[arg(skip)]
    pub(crate) words: Vec<Vec<OsString>>,
}

/// How many at once.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Workers")]
pub struct WorkerOptions {
    /// Run so many at once [default: number of CPUs]
    ///
    /// A number such as 4, a share of the CPUs that this process may use such as 200%, or so many more (+2) or fewer (-1).
    #[arg(short, long, value_name = "N|N%", value_parser = batch_values::jobs, allow_hyphen_values = true)]
    pub(crate) jobs: Option<Jobs>,
    /// Begin no job while the load is higher, though one always runs
    ///
    /// A load such as 4.5, or a share of the CPUs such as 150%. Jobs that run are let be.
    #[arg(long, value_name = "LOAD|N%", value_parser = batch_values::load, allow_hyphen_values = true,
        hide_short_help = true)]
    pub(crate) max_load: Option<Load>,
    /// Begin no job while less memory is free, though one always runs
    ///
    /// What the kernel could free at once counts as free. Sizes are as for --capture-limit.
    #[arg(long, value_name = "SIZE", value_parser = config::parse_size, allow_hyphen_values = true,
        hide_short_help = true)]
    pub(crate) min_free_memory: Option<u64>,
}

/// Deadlines of each job, and that of all.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct TimeOptions {
    /// Stop a job after so long, or N% of the median
    ///
    /// A duration is a number of seconds such as 60 or 1.5, or has units from large to small, each at most once: 90s,
    /// 500ms, 2m, 1h30m, 1d. A share such as 300% is one of the median of the successes so far, and holds from three of
    /// them on. The word auto stands for twice what each job usually takes, as far as runner-history(1) knows; auto:3x for
    /// three times. The word none takes a default of the environment or of a configuration file back. What the list says
    /// of a job is stronger.
    #[arg(short, long, value_name = "DUR|N%|none", value_parser = batch_values::timeout, allow_hyphen_values = true)]
    pub(crate) timeout: Option<BatchTimeout>,
    /// Let no timeout that is a share of the median be shorter [default: 1s]
    ///
    /// Nor one that is made of the history, which is 10 seconds at least where nothing is said.
    #[arg(long, value_name = "DUR", value_parser = duration::parse, allow_hyphen_values = true, hide_short_help = true)]
    pub(crate) timeout_floor: Option<Duration>,
    /// Stop the whole batch after so long
    ///
    /// Jobs that run are stopped as by their timeout, and none begins.
    #[arg(long, value_name = "DUR", value_parser = job_options::parse_limit, allow_hyphen_values = true)]
    pub(crate) total_timeout: Option<Limit>,
    #[command(flatten)]
    pub(crate) other: OtherLimitOptions,
}

/// What comes out on stdout and stderr, and of what is kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct BatchOutputOptions {
    /// Print outputs in the order of the list
    ///
    /// Otherwise they are printed as jobs end, each job's as one.
    #[arg(short, long)]
    pub(crate) keep_order: bool,
    /// Print whole lines as they come, not each job's output as one
    #[arg(long, hide_short_help = true)]
    pub(crate) line_buffer: bool,
    /// Print before each line whose it is: its item, its id or its number
    #[arg(long, hide_short_help = true)]
    pub(crate) tag: bool,
    /// Let jobs write as they like, mixed as it comes
    #[arg(short, long, hide_short_help = true)]
    pub(crate) ungroup: bool,
    /// Print neither outputs nor a summary
    #[arg(short, long, hide_short_help = true)]
    pub(crate) quiet: bool,
    /// Print a JSON answer for each job, one a line
    ///
    /// They stand on standard output in place of the jobs' output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write the JSON answer of each job to a file of its own
    ///
    /// The name holds {#}, the number of the job, or {id}.
    #[arg(long, value_name = "FILE", hide_short_help = true, value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(batch_values::file))]
    pub(crate) report: Option<PathBuf>,
    /// Also write every byte of a job's output to a file of its own, as it comes
    ///
    /// The name holds {#}, the number of the job, or {id}.
    #[arg(long, value_name = "FILE", hide_short_help = true, value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(batch_values::file))]
    pub(crate) log: Option<PathBuf>,
    /// Keep so much of each stream for the answer [default: 256K]
    ///
    /// A quarter is kept from the head and the rest from the tail; what is printed is never cut. Sizes are bytes, or
    /// have a K, M, G or T behind them, in powers of 1024.
    #[arg(long, value_name = "SIZE", value_parser = config::parse_size, allow_hyphen_values = true, hide_short_help = true)]
    pub(crate) capture_limit: Option<u64>,
    /// How progress is shown: auto, bar, lines, json, none [default: auto]
    ///
    /// auto draws a line for each running job and one for all on a terminal, and writes a line now and then where CI is
    /// set; lines does so in any case; json writes every event to standard error as a line of JSON.
    #[arg(long, value_name = "FORM", value_parser = ProgressParser, hide_short_help = true, hide_possible_values = true)]
    pub(crate) progress: Option<ProgressForm>,
    /// Say more, such as which configuration files were read
    #[arg(short, long, action = ArgAction::Count, hide_short_help = true)]
    pub(crate) verbose: u8,
    /// Print help: -h fits a screen, --help explains all options
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// Results for other programs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Records")]
pub struct RecordOptions {
    /// Write the answers of all jobs to this file, or into this folder
    ///
    /// A file gets one line of JSON for each job. A name that ends in a slash, or a folder that is there, gets one folder
    /// for each job, with stdout, stderr and the answer.
    #[arg(long, value_name = "FILE|DIR/", hide_short_help = true, value_hint = ValueHint::AnyPath,
        value_parser = OsStringValueParser::new().try_map(batch_values::file))]
    pub(crate) results: Option<PathBuf>,
    /// Write a JUnit report, as CI systems read it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(batch_values::file))]
    pub(crate) junit: Option<PathBuf>,
    /// Write a log in the columns of GNU parallel's
    #[arg(long, value_name = "FILE", hide_short_help = true, value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(batch_values::file))]
    pub(crate) joblog: Option<PathBuf>,
    /// Speak to a CI system: github, gitlab, teamcity, none
    ///
    /// github writes annotations, the step summary and outputs, and a group for each job; gitlab folds each job's output
    /// into a section; teamcity makes each job a test. Where GITHUB_ACTIONS is true and nothing is said, github is meant,
    /// without groups; none is for silence there.
    #[arg(long, value_name = "SYSTEM", hide_short_help = true, hide_possible_values = true,
        value_parser = PossibleValuesParser::new(["github", "gitlab", "teamcity", "none"]).map(batch_values::ci))]
    pub(crate) ci: Option<Ci>,
    #[command(flatten)]
    pub(crate) record: RecordOption,
}

/// When a batch ends early, and how it is gone on with.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Stop and resume")]
pub struct StopOptions {
    /// Begin no job after a failure; now: stop all
    ///
    /// soft, which is meant where nothing is said, lets the jobs that run come to their end; now stops them.
    #[arg(long, value_name = "soft|now", num_args = 0..=1, require_equals = true, default_missing_value = "soft",
        hide_possible_values = true,
        value_parser = PossibleValuesParser::new(["soft", "now"]).map(batch_values::fail_fast))]
    pub(crate) fail_fast: Option<FailFast>,
    /// Begin no job once so many have failed
    ///
    /// A share such as 5% is one of the jobs that are over, and is looked at from ten of them on.
    #[arg(long, value_name = "N|N%", value_parser = batch_values::max_failures, allow_hyphen_values = true,
        hide_short_help = true)]
    pub(crate) max_failures: Option<MaxFailures>,
    /// Keep the record that --resume needs
    ///
    /// The file must be new, or empty. Each record is one line of JSON, written before a job starts and after it ended.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(batch_values::file))]
    pub(crate) journal: Option<PathBuf>,
    /// How the journal reaches the disk: group (default), each
    ///
    /// group hands over many records at once, a moment later; each waits for every single one. Either outlives a kill of
    /// runner; the difference is what a loss of power can take.
    #[arg(long, value_name = "WHEN", hide_short_help = true, hide_possible_values = true,
        value_parser = PossibleValuesParser::new(["group", "each"]).map(|word| word == "each"))]
    pub(crate) journal_sync: Option<bool>,
    /// Run what did not succeed in an earlier run
    ///
    /// Jobs are identified by their content: command, shell, parameters of an operation, working directory (also the
    /// current one), input (--stdin), variables of --env, names of --secret-env, and id. Limits, retries, the umask and
    /// the rest of the environment are not compared. So the list may be edited in between: new jobs run, jobs that
    /// succeeded do not. What is left of a killed run is ended first. The journal is continued. A journal that does not
    /// exist is an error, unless --journal names the same file.
    #[arg(long, value_name = "JOURNAL", value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(batch_values::file))]
    pub(crate) resume: Option<PathBuf>,
    /// Of those run only: failed, unfinished, timeout
    ///
    /// failed are those that ended without success; timeout those of them that ran out of time; unfinished those that had
    /// not ended, or not begun.
    #[arg(long, value_name = "WHAT", hide_short_help = true, hide_possible_values = true,
        value_parser = PossibleValuesParser::new(["failed", "unfinished", "timeout"]).map(batch_values::resume_rule))]
    pub(crate) resume_only: Option<ResumeRule>,
}

/// What the request depends on beside options and defaults. Tests make their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// How many CPUs this process may use, by its affinity and its control group.
    pub(crate) cpus: usize,
    pub(crate) stdin_is_terminal: bool,
}

impl Machine {
    fn present() -> Self {
        Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            stdin_is_terminal: std::io::stdin().is_terminal(),
        }
    }
}

impl BatchOptions {
    /// Where an error goes that comes before the options are resolved. Reports are of jobs, never of the batch.
    pub fn answer(&self) -> AnswerOptions {
        AnswerOptions {
            json: self.output.json,
            report: None,
            progress: self.output.progress.unwrap_or_default(),
            error_format: None,
            quiet: self.output.quiet,
            verbose: self.output.verbose,
            secrets: self.place.secrets(),
        }
    }

    /// Jobs are made of items, and no list is read.
    pub(crate) fn has_items(&self) -> bool {
        self.items.each || !self.items.arg_file.is_empty() || !self.words.is_empty()
    }

    /// Where items come from: files first, then what stood on the command line.
    pub(crate) fn inputs(&self) -> Vec<ItemInput> {
        let words = self.words.iter().cloned().map(ItemInput::Words);
        let inputs: Vec<_> = self.items.arg_file.iter().cloned().chain(words).collect();
        if inputs.is_empty() { vec![ItemInput::Stdin] } else { inputs }
    }

    /// Jobs or items are read from standard input.
    pub(crate) fn reads_stdin(&self) -> bool {
        if self.has_items() {
            self.inputs().iter().any(|input| matches!(input, ItemInput::Stdin))
        } else {
            self.list.as_ref().is_none_or(|list| list.as_os_str() == "-")
        }
    }

    /// The request that these options make together with the defaults.
    pub fn resolve(self, config: &Config) -> Result<BatchRequest> {
        self.resolve_on(&Machine::present(), config)
    }

    pub(crate) fn resolve_on(self, machine: &Machine, config: &Config) -> Result<BatchRequest> {
        let (timeout, timeout_share) = match self.time.timeout {
            // Until the median is known there is no limit but the maximum; a default is taken back.
            Some(BatchTimeout::Share(share)) => (Some(Timeout::Fixed(None)), Some(share)),
            Some(BatchTimeout::Plain(timeout)) => (Some(timeout), None),
            None => (None, None),
        };
        let limits = self.time.other.resolve(timeout, config)?;
        let bounds = config.history.bounds();
        let auto_bounds = TimeoutBounds { floor: self.time.timeout_floor.unwrap_or(bounds.floor), ..bounds };
        let timeout_floor = self.time.timeout_floor.unwrap_or(TIMEOUT_FLOOR);
        let answer = AnswerOptions {
            // Of each job, with its number or id put in.
            report: self.output.report.clone(),
            progress: self.output.progress.or(config.defaults.progress).unwrap_or_default(),
            error_format: config.defaults.error_format,
            ..self.answer()
        };
        let list = self.job_list(machine)?;
        // Jobs of a list may say by themselves that they are tried again.
        let retry = if self.has_items() { self.retries.resolve()? } else { self.retries.values()? };
        let mut place = self.place;
        // Jobs that run side by side cannot share what is typed, and a list must not be eaten by its jobs.
        let stdin = place.stdin.take().unwrap_or(Stdin::Null);
        let defaults = JobSpec {
            // Each entry brings its own; a line of a list takes the shell.
            command: Command::Shell { shell: self.items.shell.unwrap_or_else(|| "sh".into()), line: OsString::new() },
            name: place.name.take(),
            limits,
            leftovers: self.time.other.leftovers.unwrap_or_default(),
            retry,
            capture_limit: job_options::capture_limit(self.output.capture_limit, config),
            log: self.output.log,
            sd_notify: place.sd_notify,
            surroundings: Surroundings { stdin, ..place.into_surroundings() },
        };
        Ok(BatchRequest {
            list,
            defaults,
            timeout_share,
            timeout_floor,
            auto_factor: job_options::auto_factor(timeout, config),
            auto_bounds,
            record: self.records.record.resolve(config),
            workers: Workers {
                slots: self.workers.jobs.unwrap_or(Jobs::Share(1.0)).slots(machine.cpus),
                max_load: self.workers.max_load.map(|load| load.of(machine.cpus)),
                min_free_memory: self.workers.min_free_memory,
            },
            total_timeout: self.time.total_timeout.and_then(|limit| limit.0),
            stopping: StopRule {
                fail_fast: self.stopping.fail_fast.unwrap_or_default(),
                max_failures: self.stopping.max_failures,
            },
            journal: self.stopping.journal(self.items.line.is_some()),
            output: OutputForm {
                grouping: match (self.output.line_buffer, self.output.ungroup) {
                    (true, _) => Grouping::Line,
                    (_, true) => Grouping::None,
                    _ => Grouping::Job,
                },
                keep_order: self.output.keep_order,
                tag: self.output.tag,
                silent: self.output.quiet && !self.output.json,
            },
            results: self.records.results,
            junit: self.records.junit,
            joblog: self.records.joblog,
            ci: self.records.ci.map(|Ci(system)| system),
            dry_run: self.items.dry_run,
            answer,
        })
    }

    fn job_list(&self, machine: &Machine) -> Result<JobList> {
        if self.has_items() {
            let command = match &self.items.line {
                Some(line) => TemplateCommand::Shell {
                    shell: self.items.shell.clone().unwrap_or_else(|| "sh".into()),
                    line: line.clone(),
                },
                None => TemplateCommand::Argv(self.command.clone()),
            };
            return Ok(JobList::Items(Template {
                command,
                inputs: self.inputs(),
                link: self.items.link,
                null_separated: self.items.null,
                items_per_job: self.items.max_args.unwrap_or(1),
                replacement: self.items.replacement.clone(),
            }));
        }
        match &self.list {
            Some(list) if list.as_os_str() != "-" => Ok(JobList::File(list.clone())),
            // Somebody at a terminal who named nothing expects no program that waits in silence.
            None if machine.stdin_is_terminal => Err(Error::Invalid {
                argument: Some("FILE".to_owned()),
                message: "no jobs were named".to_owned(),
                remediation:
                    "Name a job list, or - to type one; or items, as in: runner batch --each -- gzip -9 < names, \
                    or: runner batch -- gzip -9 ::: *.log"
                        .to_owned(),
            }),
            _ => Ok(JobList::Stdin),
        }
    }
}

impl StopOptions {
    fn journal(&self, has_shell_line: bool) -> Option<JournalRequest> {
        let path = self.resume.clone().or_else(|| self.journal.clone())?;
        Some(JournalRequest {
            path,
            sync_each: self.journal_sync.unwrap_or_default(),
            resume: self.resume.is_some().then(|| self.resume_only.unwrap_or_default()),
            may_create: self.journal.is_some(),
            has_shell_line,
        })
    }
}

/// The verb as the parser needs it. Examples and tables are added where help is asked for, see `help`.
pub(crate) fn definition() -> Definition {
    let verb = Definition::new("batch")
        .bin_name("runner batch")
        .override_usage(
            "runner batch [OPTIONS] [FILE|-]\n       \
             runner batch [OPTIONS] --each [--] COMMAND [ARG]...\n       \
             runner batch [OPTIONS] [--] COMMAND [ARG]... ::: ITEM...",
        )
        .disable_help_flag(true)
        .args_override_self(true);
    let verb = BatchOptions::augment_args(verb).about("Run many jobs, so many at a time, under one watchdog");
    // What is said of one job in other verbs is said here of all, and short help has no room for most of it.
    let verb = ["cwd", "env", "max_timeout", "idle_timeout", "grace", "signal", "leftovers"]
        .into_iter()
        .fold(verb, |verb, name| verb.mut_arg(name, |arg| arg.hide_short_help(true)));
    verb.mut_arg("stdin", |arg| arg.help("Standard input: inherit, null, or a file to read [default: null]"))
        .mut_arg("retries", |arg| arg.hide_short_help(false).long_help(RETRIES))
        .mut_arg("help", |arg| arg.display_order(1000).help("Print help; --help explains all options"))
        .mut_arg("name", |arg| arg.help("What to call jobs in answers that have no name of their own"))
        .long_about(None)
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
