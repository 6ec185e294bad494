//! Tests of the command line of `batch`: what is a list, what a command, what items; what becomes of options; and every
//! mistake with its fix.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::{BatchOptions, Machine};
use crate::app::config::{Config, Origin};
use crate::cli::{Invocation, Parsed, parse};
use crate::error::Error;
use crate::model::envelope::ErrorCode;
use crate::model::job::{Leftovers, Stdin};
use crate::model::request::{
    AnswerOptions, BatchRequest, CiSystem, Defaults, FailFast, Grouping, ItemInput, JobList, MaxFailures, OutputForm,
    ProgressForm, ResumeRule, StopRule, Template, TemplateCommand, Workers,
};
use crate::model::retry::{Condition, Retry};
use crate::model::signal::Signal;

const MACHINE: Machine = Machine { cpus: 6, stdin_is_terminal: false };

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn run(args: Vec<OsString>) -> Parsed {
    parse(["runner".into(), "batch".into()].into_iter().chain(args))
}

fn options_of(args: Vec<OsString>) -> BatchOptions {
    match run(args.clone()) {
        Parsed::Run(Invocation::Batch(options)) => *options,
        other => panic!("{args:?} gave {other:?}"),
    }
}

fn options(line: &str) -> BatchOptions {
    options_of(words(line))
}

fn resolved(line: &str) -> BatchRequest {
    options(line).resolve_on(&MACHINE, &Config::default()).unwrap_or_else(|error| panic!("{line} gave {error}"))
}

fn template(line: &str) -> Template {
    match resolved(line).list {
        JobList::Items(template) => template,
        other => panic!("{line} gave {other:?}"),
    }
}

/// Argument, message and remediation of a wrong command line, and where the error goes.
fn complaint(line: &str) -> (String, String, String, AnswerOptions) {
    match run(words(line)) {
        Parsed::Wrong { error, answer } => {
            assert_eq!((error.kind(), error.exit_code()), (ErrorCode::ValidationError, 125), "{line}");
            let remediation = error.remediation();
            match error {
                Error::Invalid { argument, message, .. } => {
                    (argument.unwrap_or_default(), message, remediation, answer)
                }
                other => panic!("{line} gave {other:?}"),
            }
        }
        other => panic!("{line} gave {other:?}"),
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_word_alone_is_a_list_and_options_may_follow_it() {
    for line in ["jobs.jsonl", "jobs.jsonl -j 3", "-j 3 jobs.jsonl -k"] {
        assert!(matches!(resolved(line).list, JobList::File(path) if path.as_os_str() == "jobs.jsonl"), "{line}");
    }
    for line in ["", "-", "-k", "- -k"] {
        assert!(matches!(resolved(line).list, JobList::Stdin), "{line}");
    }
    assert_eq!(resolved("jobs.jsonl -j 3").workers.slots, 3);
}

#[test]
fn whatever_gives_items_makes_the_first_other_word_a_command() {
    for (line, command) in [
        ("--each -- gzip -9", &["gzip", "-9"][..]),
        ("--each gzip -9 -k --json", &["gzip", "-9", "-k", "--json"]),
        ("-k --each -j 2 gzip -j", &["gzip", "-j"]),
        ("-j2 --each gzip", &["gzip"]),
        ("-a names gzip -h", &["gzip", "-h"]),
        ("-anames gzip -h", &["gzip", "-h"]),
        ("-ka names gzip -h", &["gzip", "-h"]),
        ("--arg-file=names gzip -h", &["gzip", "-h"]),
        ("-- gzip -9 ::: a b", &["gzip", "-9"]),
        ("gzip -9 ::: a b", &["gzip", "-9"]),
        ("--fail-fast gzip ::: a", &["gzip"]),
        ("--fail-fast=now gzip ::: a", &["gzip"]),
        ("--each -- -weird --", &["-weird", "--"]),
        ("--each -- -- x", &["--", "x"]),
        ("--each - x", &["-", "x"]),
    ] {
        let expected: Vec<OsString> = command.iter().map(OsString::from).collect();
        match template(line).command {
            TemplateCommand::Argv(found) => assert_eq!(found, expected, "{line}"),
            TemplateCommand::Shell { .. } => panic!("{line} is no line for a shell"),
        }
    }
    assert!(resolved("-ka names gzip").output.keep_order);
}

#[test]
fn a_line_goes_to_a_shell_with_its_items() {
    for (args, shell) in [
        (vec!["--each", "-c", "wc -l {} | tr a b"], "sh"),
        (vec!["-c", "wc -l {} | tr a b", ":::", "x"], "sh"),
        (vec!["--shell", "bash", "-a", "f", "-cwc -l {} | tr a b"], "bash"),
    ] {
        let request = options_of(args.iter().map(OsString::from).collect()).resolve_on(&MACHINE, &Config::default());
        match request.expect("it is right").list {
            JobList::Items(Template { command: TemplateCommand::Shell { shell: found, line }, .. }) => {
                assert_eq!((found, line), (shell.into(), "wc -l {} | tr a b".into()), "{args:?}");
            }
            other => panic!("{args:?} gave {other:?}"),
        }
    }
}

#[test]
fn items_come_from_stdin_files_and_marks() {
    let file = |name: &str| format!("{:?}", ItemInput::File(name.into()));
    let list = |items: &[&str]| format!("{:?}", ItemInput::Words(items.iter().map(OsString::from).collect()));
    let stdin = || format!("{:?}", ItemInput::Stdin);
    for (line, inputs) in [
        ("--each x", vec![stdin()]),
        ("-a - x", vec![stdin()]),
        ("-a f -a g x", vec![file("f"), file("g")]),
        ("--each -a f x", vec![file("f")]),
        ("--each -- convert {} {.}.png ::: a b ::: c d", vec![list(&["a", "b"]), list(&["c", "d"])]),
        ("x ::: a -j 9 -- {}", vec![list(&["a", "-j", "9", "--", "{}"])]),
        ("-a f x ::: a", vec![file("f"), list(&["a"])]),
        ("-a - x ::: a", vec![stdin(), list(&["a"])]),
        // Where a pattern matched nothing there is nothing to do, and standard input is left alone.
        ("x :::", vec![list(&[])]),
    ] {
        let found: Vec<String> = template(line).inputs.iter().map(|input| format!("{input:?}")).collect();
        assert_eq!(found, inputs, "{line}");
    }
    let plain = template("--each x");
    assert_eq!((plain.link, plain.null_separated, plain.items_per_job), (false, false, 1));
    let all = template("--each -0 -n 50 x");
    assert_eq!((all.link, all.null_separated, all.items_per_job), (false, true, 50));
    assert!(template("--link x ::: a ::: b").link);
}

#[test]
fn bytes_that_are_no_text_pass_through() {
    let odd = || OsString::from_vec(b"a\xff{}".to_vec());
    let args = vec!["-a".into(), odd(), "--".into(), odd(), ":::".into(), odd(), "".into(), "-j".into()];
    let request = options_of(args).resolve_on(&MACHINE, &Config::default()).expect("it is right");
    let JobList::Items(Template { command: TemplateCommand::Argv(command), inputs, .. }) = request.list else {
        panic!("these are items")
    };
    assert_eq!(command, [odd()]);
    let expected = [ItemInput::File(odd().into()), ItemInput::Words(vec![odd(), "".into(), "-j".into()])];
    assert_eq!(format!("{inputs:?}"), format!("{expected:?}"));
}

#[test]
fn defaults_are_those_of_the_manual() {
    let request = resolved("jobs.toml");
    let limits = &request.defaults.limits;
    assert_eq!((limits.timeout, limits.max_timeout, limits.idle_timeout), (None, None, None));
    assert_eq!((limits.grace, limits.stop_signal), (Some(seconds(5)), Signal::TERM));
    assert_eq!((request.timeout_share, request.timeout_floor, request.total_timeout), (None, seconds(1), None));
    assert_eq!(request.workers, Workers { slots: 6, max_load: None, min_free_memory: None });
    assert_eq!(request.stopping, StopRule::default());
    assert_eq!(request.output, OutputForm::default());
    assert_eq!(request.defaults.surroundings.stdin, Stdin::Null);
    assert_eq!((request.defaults.capture_limit, request.defaults.leftovers), (256 << 10, Leftovers::Report));
    assert!(request.journal.is_none() && request.results.is_none() && request.ci.is_none() && !request.dry_run);
    assert!(!request.answer.json && !request.answer.quiet && request.answer.report.is_none());
    assert_eq!(request.answer.progress, ProgressForm::Auto);
}

#[test]
fn every_option_arrives() {
    let request = resolved(
        "-j 200% --max-load 150% --min-free-memory 1G -t 300% --timeout-floor 10 --total-timeout 1h --max-timeout 2h \
         --idle-timeout 30 --grace 0 --signal int --warn-after 9 --warn-signal USR1 --leftovers wait -k --json \
         --report r/{id}.json --log l/{#}.log --capture-limit 64K --progress lines -v --results out/ --junit j.xml \
         --joblog j.log --ci gitlab --fail-fast=now --journal x.journal --journal-sync each --cwd /tmp --env A=1 \
         --env-clear --stdin in.txt --sd-notify --name job --dry-run jobs.jsonl",
    );
    assert_eq!(request.workers, Workers { slots: 12, max_load: Some(9.0), min_free_memory: Some(1 << 30) });
    assert_eq!((request.timeout_share, request.timeout_floor), (Some(3.0), seconds(10)));
    assert_eq!(request.total_timeout, Some(seconds(3600)));
    let limits = &request.defaults.limits;
    assert_eq!((limits.timeout, limits.max_timeout), (None, Some(seconds(7200))));
    assert_eq!((limits.idle_timeout, limits.grace), (Some(seconds(30)), Some(Duration::ZERO)));
    assert_eq!((limits.stop_signal, limits.warn_after), (Signal::INT, Some(seconds(9))));
    assert_eq!((limits.warn_signal, request.defaults.leftovers), (Some(Signal::USR1), Leftovers::Wait));
    let output = OutputForm { grouping: Grouping::Job, keep_order: true, tag: false, silent: false };
    assert_eq!(request.output, output);
    assert_eq!(request.answer.report, Some("r/{id}.json".into()));
    assert_eq!(request.defaults.log, Some("l/{#}.log".into()));
    assert_eq!((request.defaults.capture_limit, request.answer.progress), (64 << 10, ProgressForm::Lines));
    assert!(request.answer.json && request.answer.verbose == 1 && request.dry_run && request.defaults.sd_notify);
    assert_eq!((request.results, request.junit), (Some("out/".into()), Some("j.xml".into())));
    assert_eq!((request.joblog, request.ci), (Some("j.log".into()), Some(Some(CiSystem::Gitlab))));
    assert_eq!(request.stopping, StopRule { fail_fast: FailFast::Now, max_failures: None });
    let journal = request.journal.expect("there is one");
    assert_eq!((journal.path, journal.sync_each, journal.resume), ("x.journal".into(), true, None));
    let place = request.defaults.surroundings;
    assert_eq!((place.cwd, place.stdin), (Some("/tmp".into()), Stdin::File("in.txt".into())));
    assert_eq!((place.env, place.env_clear), (vec![("A".into(), "1".into())], true));
    assert_eq!(request.defaults.name.as_deref(), Some("job"));
}

#[test]
fn retries_are_those_of_each_job() {
    let retry = |line: &str| resolved(line).defaults.retry;
    assert_eq!(retry("l"), Retry::default());
    let expected = Retry { retries: 2, on: vec![Condition::Timeout], timeout_growth: 3.0, ..Retry::default() };
    assert_eq!(retry("--retries 2 --retry-on timeout --retry-timeout-growth 3 --total-timeout 9 l"), expected);
    // The jobs of a list may say that they are tried again; items say nothing.
    assert_eq!(retry("--retry-delay 5 l").delay, seconds(5));
    let error = options("--each --retry-delay 5 x").resolve_on(&MACHINE, &Config::default()).expect_err("no retries");
    assert!(error.to_string().starts_with("--retry-delay says how"), "{error}");
    assert!(error.remediation().starts_with("Give --retries too"), "{}", error.remediation());
}

#[test]
fn outputs_have_their_forms() {
    let of = |line: &str| resolved(line).output;
    let plain = OutputForm::default();
    assert_eq!(of("--line-buffer --tag"), OutputForm { grouping: Grouping::Line, tag: true, ..plain });
    assert_eq!(of("--tag -k"), OutputForm { tag: true, keep_order: true, ..plain });
    assert_eq!(of("-u"), OutputForm { grouping: Grouping::None, ..plain });
    assert_eq!(of("-q"), OutputForm { silent: true, ..plain });
    // Answers are asked for by name, and are no chatter.
    assert_eq!(of("-q --json"), plain);
}

#[test]
fn workers_are_counted_from_the_cpus() {
    for (text, slots) in
        [("1", 1), ("007", 7), ("100%", 6), ("50%", 3), ("1%", 1), ("12.5%", 1), ("+2", 8), ("-2", 4), ("-9", 1)]
    {
        assert_eq!(resolved(&format!("-j {text}")).workers.slots, slots, "{text}");
        assert_eq!(resolved(&format!("-j{text}")).workers.slots, slots, "{text}");
    }
    assert_eq!(resolved("--max-load 4.5").workers.max_load, Some(4.5));
}

#[test]
fn when_it_stops_and_how_it_goes_on() {
    let stopping = |line: &str| resolved(line).stopping;
    assert_eq!(stopping("--fail-fast").fail_fast, FailFast::Soft);
    assert_eq!(stopping("--fail-fast jobs.jsonl").fail_fast, FailFast::Soft);
    assert_eq!(stopping("--fail-fast=soft").fail_fast, FailFast::Soft);
    assert_eq!(stopping("--max-failures 3").max_failures, Some(MaxFailures::Count(3)));
    assert_eq!(stopping("--max-failures 5%").max_failures, Some(MaxFailures::Share(0.05)));
    for (line, rule) in [
        ("--resume j", ResumeRule::All),
        ("--resume j --journal j", ResumeRule::All),
        ("--resume j --resume-only failed", ResumeRule::Failed),
        ("--resume j --resume-only unfinished", ResumeRule::Unfinished),
        ("--resume j --resume-only timeout", ResumeRule::TimedOut),
    ] {
        let journal = resolved(line).journal.expect("there is one");
        assert_eq!((journal.path, journal.resume), ("j".into(), Some(rule)), "{line}");
        assert!(!journal.sync_each, "{line}");
    }
}

#[test]
fn the_ci_system_around_us_can_be_overruled() {
    assert_eq!(resolved("x").ci, None);
    assert_eq!(resolved("--ci none x").ci, Some(None));
    assert_eq!(resolved("--ci teamcity x").ci, Some(Some(CiSystem::Teamcity)));
}

#[test]
fn options_are_stronger_than_defaults() {
    let config = Config {
        defaults: Defaults {
            timeout: Some(Some(seconds(60))),
            max_timeout: Some(Some(seconds(90))),
            idle_timeout: Some(Some(seconds(2))),
            grace: Some(seconds(3)),
            signal: Some(Signal::HUP),
            capture_limit: Some(7),
            progress: Some(ProgressForm::None),
            ..Defaults::default()
        },
        timeout_origin: Some(Origin::Variable("RUNNER_TIMEOUT")),
        max_timeout_origin: Some(Origin::Variable("RUNNER_MAX_TIMEOUT")),
        ..Config::default()
    };
    let resolve = |line: &str| options(line).resolve_on(&MACHINE, &config);
    let request = resolve("x").expect("it is right");
    let limits = &request.defaults.limits;
    assert_eq!((limits.timeout, limits.max_timeout), (Some(seconds(60)), Some(seconds(90))));
    assert_eq!((limits.idle_timeout, limits.grace), (Some(seconds(2)), Some(seconds(3))));
    assert_eq!((limits.stop_signal, request.defaults.capture_limit), (Signal::HUP, 7));
    assert_eq!(request.answer.progress, ProgressForm::None);
    let request = resolve("-t 300% --grace 1 --capture-limit 8 --progress auto x").expect("it is right");
    let limits = &request.defaults.limits;
    // A share takes the place of the default timeout; the maximum holds beside it.
    assert_eq!((limits.timeout, limits.max_timeout), (None, Some(seconds(90))));
    assert_eq!((request.timeout_share, limits.grace), (Some(3.0), Some(seconds(1))));
    assert_eq!((request.defaults.capture_limit, request.answer.progress), (8, ProgressForm::Auto));
    assert_eq!(resolve("-t none x").expect("it is right").defaults.limits.timeout, None);
    let error = resolve("-t 100 x").expect_err("100 > 90").to_string();
    assert!(error.contains("--timeout") && error.contains("RUNNER_MAX_TIMEOUT"), "{error}");
}

#[test]
fn nobody_is_left_before_a_terminal_that_says_nothing() {
    let machine = Machine { stdin_is_terminal: true, ..MACHINE };
    let error = options("-k").resolve_on(&machine, &Config::default()).expect_err("there is nothing to run");
    assert_eq!(error.to_string(), "no jobs were named");
    assert!(error.remediation().starts_with("Name a job list, or - to type one"), "{}", error.remediation());
    for line in ["-", "jobs.jsonl", "--each x", "x ::: a"] {
        assert!(options(line).resolve_on(&machine, &Config::default()).is_ok(), "{line}");
    }
}

#[test]
fn what_makes_no_sense_together_is_refused_with_its_fix() {
    for (line, argument, message, remediation) in [
        ("-- gzip", "COMMAND", "a command is run for items, and none were named", "Name them by --each"),
        ("-c x", "-c", "-c LINE is run for items, and none were named", "Name them by --each"),
        ("--each", "COMMAND", "--each gives items, and no command to run for them", "runner batch --each -- gzip -9"),
        ("-a f", "COMMAND", "-a gives items, and no command to run for them", "Name it after the options"),
        ("-- ::: a", "COMMAND", "':::' gives items, and no command to run for them", "Name it after the options"),
        ("::: a", "COMMAND", "':::' gives items, and no command to run for them", "-- gzip -9 ::: *.log"),
        ("--each -c x y", "-c", "both a line for the shell (-c) and a command were given", "quote it as a whole"),
        ("--each --shell sh x", "--shell", "--shell goes with -c LINE, and a command runs", "Leave --shell out"),
        ("l --each", "FILE", "'l' would be a job list, and --each makes jobs of items", "behind all options"),
        ("l -a f", "FILE", "'l' would be a job list, and -a makes jobs of items", "Leave one of them out"),
        ("gzip -9", "-9", "unknown option '-9'", "runner batch --each -- gzip -9"),
        ("gzip a", "a", "unknown argument 'a'", "runner batch --each -- gzip -9"),
        ("--link l", "--link", "--link is about items, and a job list has none", "Leave it out"),
        ("-0 l", "--null", "--null is about items, and a job list has none", "::: ITEM..."),
        ("-n 2 l", "--max-args", "--max-args is about items, and a job list has none", "Leave it out"),
        ("--link --each x", "--link", "--link pairs the items of several inputs, and there is one", "::: a b ::: c d"),
        ("-0 x ::: a", "--null", "all items stand on the command line", "Leave it out"),
        ("x ::: a :::+ b", ":::+", "':::+' is no mark of runner", "--link to pair"),
        ("x ::: a :::: f", "::::", "'::::' is no mark of runner", "-a FILE"),
        ("-a - -a - x", "--arg-file", "standard input can be read once, and -a - stands twice", "Write one of them"),
        ("--each --stdin inherit x", "--stdin", "items are read from standard input, and with --stdin", "a FILE"),
        ("--stdin inherit -", "--stdin", "the job list is read from standard input, and with", "Leave --stdin out"),
        ("--timeout-floor 5 --each x", "--timeout-floor", "timeouts that are a share", "--timeout 300%"),
        ("-k -u", "--keep-order", "--keep-order and --ungroup cannot be used together", "Leave --ungroup out"),
        ("-k --line-buffer", "--keep-order", "--keep-order and --line-buffer cannot be", "Leave --line-buffer out"),
        ("-u --line-buffer", "--line-buffer", "--line-buffer and --ungroup cannot be used", "Leave one of them out"),
        ("--tag -u", "--tag", "have no lines to put a tag before", "Give --line-buffer in place of --ungroup"),
        ("--tag --json", "--tag", "an answer says itself whose it is", "Leave --tag out"),
        ("--line-buffer --json", "--line-buffer", "an answer comes when its job is over", "Leave --line-buffer out"),
        ("-u --json", "--ungroup", "the answers stand in place of the outputs", "Leave --ungroup out"),
        ("-k -q", "--keep-order", "nothing is printed that could be in order", "Leave one of them out"),
        ("-q -v", "--quiet", "--quiet and --verbose cannot be used together", "Leave one of them out"),
        (
            "--log a/x.log l",
            "--log",
            "'a/x.log' is one file, and each job",
            "{#} or {id} into the name, as in: --log a/x-{#}.log",
        ),
        (
            "--report r --each x",
            "--report",
            "'r' is one file, and each job",
            "Put {#} into the name, as in: --report r-{#}",
        ),
        ("--log {id} --each x", "--log", "holds {id}, and jobs made of items have none", "Give {#} in its place"),
        (
            "--fail-fast now",
            "--fail-fast",
            "'now' stands behind --fail-fast as a word",
            "Write --fail-fast=now, or ./now",
        ),
        ("--fail-fast --max-failures 2", "--max-failures", "ends the batch at the first failure", "Leave one of them"),
        (
            "--resume-only failed",
            "--resume-only",
            "among the jobs of an earlier run, and none was named",
            "--resume batch",
        ),
        ("--journal-sync each", "--journal-sync", "how the journal is written, and there is none", "--journal FILE"),
        (
            "--journal a --resume b",
            "--journal",
            "--resume goes on with its journal 'b', and --journal names 'a'",
            "Leave",
        ),
        ("--journal a --junit a", "--junit", "--junit names 'a', which is that of --journal too", "a file of its own"),
        ("a --results a", "--results", "--results names 'a', which is the job list too", "Give --results a file"),
        ("--resume a --joblog a", "--joblog", "'a', which is that of --resume too", "Give --joblog a file"),
        ("-j 0", "--jobs", "with '0' jobs at once nothing would ever run", "Give --jobs a number above zero"),
        ("-j x", "--jobs", "'x' is not a number of jobs", "a share of the CPUs such as 200%"),
        ("-j 0%", "--jobs", "'0%' is not a number of jobs", "such as 200%"),
        ("-j 1e3", "--jobs", "'1e3' is not a number of jobs", "such as 4"),
        ("-n 0 --each x", "--max-args", "'0' is not a number of items", "above zero such as 10"),
        ("-t 50%", "--timeout", "'50%' of the median would stop every second job", "more than 100%"),
        ("-t x%", "--timeout", "'x%' is not a share of the median", "Give --timeout more than 100%"),
        ("-t auto:0", "--timeout", "'auto:0' would stop jobs", "such as auto:3x"),
        ("-t 0", "--timeout", "the word none", "above zero"),
        ("--total-timeout 5%", "--total-timeout", "'5%' is not a duration", "60 or 1.5"),
        ("--max-load -1", "--max-load", "'-1' is not a load", "such as 4.5"),
        ("--max-load inf", "--max-load", "'inf' is not a load", "such as 150%"),
        ("--min-free-memory lots", "--min-free-memory", "'lots' is not a size", "64K"),
        ("--max-failures 0", "--max-failures", "'0' failures are there before the first job", "such as 10"),
        ("--max-failures 101%", "--max-failures", "'101%' is more than all jobs", "such as 5%"),
        ("--fail-fast=later", "--fail-fast", "'later' is not one of soft, now", "soft, now"),
        ("--ci jenkins", "--ci", "'jenkins' is not one of github, gitlab, teamcity, none", "github"),
        ("--ci", "--ci", "--ci needs a value", "--ci <SYSTEM>"),
        ("--journal-sync never", "--journal-sync", "'never' is not one of group, each", "group, each"),
        ("--resume-only x --resume j", "--resume-only", "'x' is not one of failed, unfinished, timeout", "failed"),
        ("--jbos 3", "--jbos", "unknown option '--jbos'", "Did you mean --jobs?"),
    ] {
        let found = complaint(line);
        assert_eq!(found.0, argument, "{line} gave {found:?}");
        assert!(found.1.contains(message), "{line} gave {found:?}");
        assert!(found.2.contains(remediation), "{line} gave {found:?}");
    }
}

#[test]
fn a_timeout_may_be_made_of_the_history() {
    let request = resolved("-t auto:3x --timeout-floor 30 --record jobs.jsonl");
    assert_eq!((request.auto_factor, request.timeout_share, request.defaults.limits.timeout), (Some(3.0), None, None));
    assert_eq!((request.auto_bounds.floor, request.auto_bounds.cap), (seconds(30), seconds(86_400)));
    assert!(request.record);
    let request = resolved("-t 300% jobs.jsonl");
    assert_eq!((request.auto_factor, request.auto_bounds.floor), (None, seconds(10)));
    assert!(!request.record);
}

#[test]
fn pairs_that_make_sense_are_let_through() {
    for line in [
        "--shell bash jobs.jsonl",
        "--timeout-floor 5 jobs.jsonl",
        "--timeout auto --timeout-floor 5 --each x",
        "--stdin inherit jobs.jsonl",
        "--stdin inherit -a names x",
        "-n 2 x ::: a b ::: c d",
        "-0 -a names x ::: a",
        "--junit /dev/null --joblog /dev/null jobs.jsonl",
        "-a names -a names x",
        "--json -k jobs.jsonl",
        "--tag -k jobs.jsonl",
        "-q --json jobs.jsonl",
        "--log {id}/x.log jobs.jsonl",
    ] {
        options(line);
    }
}

#[test]
fn an_error_of_the_batch_goes_to_no_report_of_a_job() {
    for line in ["--json --report {#} --bad l", "l --json --report {#} --bad", "--json --report one l"] {
        let answer = complaint(line).3;
        assert!(answer.json && answer.report.is_none(), "{line}");
    }
    assert!(!complaint("--each --bad x --json").3.json, "it is the command's");
    assert_eq!(options("--json --report {#} l").answer().report, None);
}

#[test]
fn short_help_fits_a_screen_and_long_help_teaches() {
    let said = |line: &str| match run(words(line)) {
        Parsed::Say { text, to_stderr: false, exit: 0 } => text,
        other => panic!("{line} gave {other:?}"),
    };
    for line in ["-h", "-kh", "--each -h"] {
        let text = said(line);
        assert!(text.lines().count() < 24, "{line} has {} lines", text.lines().count());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
    let text = said("--help");
    for part in [
        "Usage: runner batch",
        "\nItems:",
        "\nWorkers:",
        "\nLimits:",
        "\nRecords:",
        "\nStop and resume:",
        "\nExamples:",
        "\nJob lists:",
        "\nPlaceholders:",
        "\nExit codes:",
        "--max-failures",
    ] {
        assert!(text.contains(part), "it lacks {part:?}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    super::definition().debug_assert();
}
