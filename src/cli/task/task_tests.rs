//! Tests of the command lines of `task` and `worker`: what becomes of options, and every mistake with its fix.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::app::config::{Config, Origin, QueueDefaults, Timeout};
use crate::cli::{Invocation, Parsed, SubmitOptions, parse};
use crate::error::Error;
use crate::model::batch::Priority;
use crate::model::envelope::ErrorCode;
use crate::model::job::{Command, JobSpec, Leftovers, Stdin};
use crate::model::request::{AnswerOptions, Defaults, ErrorFormat, ProgressForm};
use crate::model::signal::Signal;
use crate::model::task::{Begin, Notices, OnCrash, TaskStatus};
use crate::model::task_request::{
    PassedEnvironment, SubmitRequest, TaskRequest, TaskSource, TaskVerb, WorkerRequest, WorkerVerb,
};

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn run(args: Vec<OsString>) -> Parsed {
    parse(std::iter::once("/usr/bin/runner".into()).chain(args))
}

fn options(args: Vec<OsString>) -> SubmitOptions {
    match run([words("task submit"), args.clone()].concat()) {
        Parsed::Run(Invocation::TaskSubmit(options)) => *options,
        other => panic!("{args:?} gave {other:?}"),
    }
}

fn submission(options: SubmitOptions, config: &Config) -> (SubmitRequest, AnswerOptions) {
    match options.resolve(config) {
        Ok(TaskRequest { verb: TaskVerb::Submit(request), answer }) => (*request, answer),
        other => panic!("{other:?}"),
    }
}

fn submitted(line: &str) -> SubmitRequest {
    submission(options(words(line)), &Config::default()).0
}

fn job(request: SubmitRequest) -> JobSpec {
    match request.source {
        TaskSource::One(job) => *job,
        other => panic!("{other:?}"),
    }
}

/// What another verb of `task` was asked to do.
fn asked(line: &str) -> (TaskVerb, AnswerOptions) {
    match run(words(&format!("task {line}"))) {
        Parsed::Run(Invocation::Task(request)) => (request.verb, request.answer),
        Parsed::Run(Invocation::TaskWait(options)) => {
            let request = options.resolve(&Config::default()).unwrap_or_else(|error| panic!("{line} gave {error}"));
            (request.verb, request.answer)
        }
        other => panic!("{line} gave {other:?}"),
    }
}

fn worker(line: &str) -> (WorkerVerb, AnswerOptions) {
    match run(words(&format!("worker {line}"))) {
        Parsed::Run(Invocation::Worker(WorkerRequest { verb, answer })) => (verb, answer),
        other => panic!("{line} gave {other:?}"),
    }
}

fn worker_run(line: &str, config: &Config) -> WorkerVerb {
    match run(words(&format!("worker run {line}"))) {
        Parsed::Run(Invocation::WorkerRun(options)) => options.resolve(config).expect("it is right").verb,
        other => panic!("{line} gave {other:?}"),
    }
}

/// Argument, message and remediation of a wrong command line, and where the error goes.
fn complaint_of(args: Vec<OsString>) -> (String, String, String, AnswerOptions) {
    match run(args.clone()) {
        Parsed::Wrong { error, answer } => {
            assert_eq!((error.kind(), error.exit_code()), (ErrorCode::ValidationError, 125), "{args:?}");
            let remediation = error.remediation();
            match error {
                Error::Invalid { argument, message, .. } => {
                    (argument.unwrap_or_default(), message, remediation, answer)
                }
                other => panic!("{args:?} gave {other:?}"),
            }
        }
        other => panic!("{args:?} gave {other:?}"),
    }
}

fn said(line: &str) -> String {
    match run(words(line)) {
        Parsed::Say { text, to_stderr: false, exit: 0 } => text,
        other => panic!("{line} gave {other:?}"),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_definitions_are_sound() {
    super::definition().debug_assert();
    super::submit::operation_definition().debug_assert();
    crate::cli::worker::definition().debug_assert();
}

#[test]
fn a_plain_submission_has_the_defaults_of_the_manual() {
    let request = submitted("make -j4 --json op");
    assert!(!request.wait);
    let asked = &request.options;
    assert_eq!((asked.priority, asked.begin, asked.on_crash), (Priority::Normal, Begin::Now, OnCrash::Fail));
    assert_eq!(
        (&asked.group, &asked.notices, asked.environment),
        (&None, &Notices::default(), PassedEnvironment::Usual)
    );
    assert!(asked.after.is_empty());
    let job = job(request);
    assert_eq!(job.command, Command::Argv(words("make -j4 --json op")), "options end at its first word");
    assert_eq!(job.surroundings.stdin, Stdin::Null);
    assert_eq!((job.limits.timeout, job.limits.grace, job.leftovers), (None, Some(seconds(5)), Leftovers::Report));
}

#[test]
fn every_option_of_a_task_arrives() {
    let request = submitted(
        "--priority HIGH --after 0198C2 --after 0199,019a --delay 90s --group net --on-crash retry --on-done true \
         --on-done-timeout 30s --inherit-env --wait --progress lines --report r make",
    );
    assert!(request.wait);
    let asked = request.options;
    assert_eq!((asked.priority, asked.on_crash, asked.group.as_deref()), (Priority::High, OnCrash::Retry, Some("net")));
    assert_eq!(
        (asked.after.as_slice(), asked.begin),
        (&["0198c2", "0199", "019a"].map(String::from)[..], Begin::In(seconds(90)))
    );
    assert_eq!((asked.notices.on_done.as_deref(), asked.notices.on_done_timeout), (Some("true"), Some(seconds(30))));
    assert_eq!((asked.notices.webhook, asked.environment), (None, PassedEnvironment::All));
    assert_eq!(submitted("--delay 0 make").options.begin, Begin::Now);
    assert_eq!(submitted("--at @99999999999 make").options.begin, Begin::At(seconds(99_999_999_999)));
    assert_eq!(submitted("--priority low --priority critical make").options.priority, Priority::Critical);
    let line = [words("--on-done"), vec!["mail -s 'all done' me".into()], words("make")].concat();
    let notices = submission(options(line), &Config::default()).0.options.notices;
    assert_eq!(notices.on_done.as_deref(), Some("mail -s 'all done' me"));
}

#[cfg(feature = "fetch")]
#[test]
fn a_webhook_is_kept_as_it_was_given() {
    let notices = submitted("--webhook https://user:secret@example.org/hook?key=1 make").options.notices;
    assert_eq!(notices.webhook.as_deref(), Some("https://user:secret@example.org/hook?key=1"));
}

#[test]
fn every_option_of_a_job_arrives() {
    let request = submitted(
        "-t 1m30s --max-timeout 2m --idle-timeout 10 --grace 0 --signal int --warn-after 1.5 --warn-signal USR1 \
         --leftovers wait --cwd /tmp --env A=1 --env-clear --stdin in.txt --name thing --capture-limit 64K --log l \
         --sd-notify --retries 2 --retry-delay 3 --total-timeout 1h -- make",
    );
    let job = job(request);
    let limits = job.limits;
    assert_eq!((limits.timeout, limits.max_timeout), (Some(seconds(90)), Some(seconds(120))));
    assert_eq!((limits.idle_timeout, limits.grace), (Some(seconds(10)), Some(Duration::ZERO)));
    assert_eq!((limits.stop_signal, limits.warn_signal), (Signal::INT, Some(Signal::USR1)));
    assert_eq!(limits.warn_after, Some(Duration::from_millis(1500)));
    assert_eq!((job.leftovers, job.capture_limit, job.sd_notify), (Leftovers::Wait, 65536, true));
    assert_eq!((job.name.as_deref(), job.log), (Some("thing"), Some("l".into())));
    assert_eq!((job.retry.retries, job.retry.delay), (2, seconds(3)));
    assert_eq!(job.retry.total_timeout, Some(seconds(3600)));
    let place = job.surroundings;
    assert_eq!((place.cwd, place.env), (Some("/tmp".into()), vec![("A".into(), "1".into())]));
    assert_eq!((place.env_clear, place.stdin), (true, Stdin::File("in.txt".into())));
}

#[test]
fn a_line_goes_to_a_shell() {
    let with = |extra: &str| {
        job(submission(options([words(extra), vec!["-c".into(), "a | b".into()]].concat()), &Config::default()).0)
    };
    assert_eq!(with("").command, Command::Shell { shell: "sh".into(), line: "a | b".into() });
    assert_eq!(with("--shell bash").command, Command::Shell { shell: "bash".into(), line: "a | b".into() });
}

#[test]
fn a_list_is_read_as_batch_reads_it() {
    let listed = |line: &str| match submitted(line).source {
        TaskSource::List { list, defaults } => (list, *defaults),
        other => panic!("{line} gave {other:?}"),
    };
    let (list, defaults) = listed("--from jobs.jsonl -t 5 --shell bash --retry-delay 3 --name night");
    assert_eq!((list, defaults.limits.timeout), (PathBuf::from("jobs.jsonl"), Some(seconds(5))));
    assert_eq!(defaults.command, Command::Shell { shell: "bash".into(), line: OsString::new() });
    assert_eq!((defaults.retry.retries, defaults.retry.delay), (0, seconds(3)), "a job may ask for retries itself");
    assert_eq!((defaults.name.as_deref(), defaults.surroundings.stdin), (Some("night"), Stdin::Null));
    assert_eq!(listed("--from -").0, PathBuf::from("-"));
    assert!(submitted("--wait --progress none --from -").wait);
}

#[test]
fn op_names_an_operation_only_where_it_is_the_first_word() {
    let given = options(words("-t 5 --name op op sleep 2"));
    // runner task submit -t 5 --name op op sleep
    assert_eq!(given.words_shown(), Some(9));
    let job_of = |line: &str| job(submitted(line));
    match job(submission(given, &Config::default()).0).command {
        Command::Operation { name: "sleep", parameters, .. } => assert_eq!(parameters["duration"], 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(job_of("-- op sleep 2").command, Command::Argv(words("op sleep 2")));
    assert_eq!(job_of("env op sleep 2").command, Command::Argv(words("env op sleep 2")));
    assert_eq!(options(words("-- op sleep 2")).words_shown(), None);
    assert!(said("task submit op sleep --help").contains("Usage: runner task submit op sleep"));
    assert!(said("task submit op --help").contains("wait-for"));
}

#[test]
fn the_timeout_of_a_task_has_defaults_of_its_own() {
    let config = Config {
        defaults: Defaults {
            timeout: Some(Some(seconds(1))),
            progress: Some(ProgressForm::Json),
            ..Defaults::default()
        },
        queue: QueueDefaults {
            timeout: Some(Timeout::Fixed(Some(seconds(9)))),
            timeout_origin: Some(Origin::Variable("QUEUE")),
            ..QueueDefaults::default()
        },
        ..Config::default()
    };
    let limit = |line: &str| job(submission(options(words(line)), &config).0).limits.timeout;
    assert_eq!((limit("ls"), limit("-t 3 ls"), limit("-t none ls")), (Some(seconds(9)), Some(seconds(3)), None));
    assert_eq!(submission(options(words("--wait ls")), &config).1.progress, ProgressForm::Json);
    let error = options(words("--max-timeout 5 ls")).resolve(&config).expect_err("9 > 5").to_string();
    assert!(error.contains("QUEUE") && error.contains("--max-timeout"), "{error}");
}

#[test]
fn the_answer_to_a_submission_goes_where_the_options_say() {
    let answer = options(words("--json --wait --report r -vv make")).answer();
    assert_eq!((answer.json, answer.report, answer.verbose), (true, Some("r".into()), 2));
    for line in
        ["task submit --json --bad make", "task submit --json", "task submit --json op frob", "task list --json --bad"]
    {
        assert!(complaint_of(words(line)).3.json, "{line}");
    }
    assert!(complaint_of(words("task submit -q --json op sleep x")).3.quiet);
    assert!(!complaint_of(words("task submit op sleep x --json")).3.json);
    assert!(complaint_of(words("worker scale shared --json")).3.json);
}

#[test]
fn every_small_verb_is_read() {
    let ids = || vec!["0198c2".to_owned(), "0199".to_owned()];
    let id = || "0198c2".to_owned();
    assert!(matches!(asked("list").0,
        TaskVerb::List { statuses, group: None, limit: 50 } if statuses.is_empty()));
    let listed = asked("list --status pending,RUNNING --status failed --group net --limit 7").0;
    let expected = [TaskStatus::Pending, TaskStatus::Running, TaskStatus::Failed];
    assert!(matches!(listed,
        TaskVerb::List { statuses, group: Some(group), limit: 7 } if statuses == expected && group == "net"));
    assert!(matches!(asked("status 0198C2").0, TaskVerb::Status { id: found } if found == id()));
    assert!(matches!(asked("wait 0198c2 0199").0, TaskVerb::Wait { ids: found, patience: None } if found == ids()));
    let (verb, answer) = asked("wait 0198c2 --for 0 --progress lines --json 0199");
    assert!(matches!(verb, TaskVerb::Wait { ids: found, patience: Some(Duration::ZERO) } if found == ids()));
    assert_eq!((answer.progress, answer.json), (ProgressForm::Lines, true));
    assert!(matches!(asked("logs 0198c2").0,
        TaskVerb::Logs { id: found, follow: false, stderr_only: false } if found == id()));
    assert!(matches!(asked("logs -f --stderr 0198c2").0, TaskVerb::Logs { follow: true, stderr_only: true, .. }));
    assert!(matches!(asked("logs 0198c2 --follow").0, TaskVerb::Logs { follow: true, .. }));
    assert!(matches!(asked("cancel 0198c2 0199").0, TaskVerb::Cancel { ids: found } if found == ids()));
    assert!(matches!(asked("retry 0198c2 0199").0, TaskVerb::Retry { ids: found } if found == ids()));
    for line in ["extend 0198c2 +30m", "extend 0198c2 30m", "extend --json 0198c2 +1800", "extend 0198c2 +30m -q"] {
        assert!(matches!(asked(line).0, TaskVerb::Extend { id: found, by } if found == id() && by == seconds(1800)));
    }
    assert!(matches!(asked("priority 0198c2 Critical").0,
        TaskVerb::SetPriority { id: found, priority: Priority::Critical } if found == id()));
    assert!(matches!(asked("pause").0, TaskVerb::Pause { group: None }));
    assert!(matches!(asked("pause --group net").0, TaskVerb::Pause { group: Some(group) } if group == "net"));
    assert!(matches!(asked("resume").0, TaskVerb::Resume { group: None }));
    assert!(matches!(asked("resume --group net").0, TaskVerb::Resume { group: Some(group) } if group == "net"));
    assert!(matches!(asked("stats").0, TaskVerb::Stats));
    assert!(matches!(asked("clean").0,
        TaskVerb::Clean { older_than, statuses } if older_than == seconds(3600) && statuses.is_empty()));
    let expected = [TaskStatus::Completed, TaskStatus::Cancelled, TaskStatus::Failed];
    assert!(matches!(asked("clean --older-than 0 --status completed,cancelled --status FAILED").0,
        TaskVerb::Clean { older_than: Duration::ZERO, statuses } if statuses == expected));
}

#[test]
fn every_small_verb_says_where_its_answer_goes() {
    let some = "status 0198 | cancel 0198 | retry 0198 | extend 0198 1 | priority 0198 low | list | stats | pause | \
                resume | clean | wait 0198";
    for line in some.split(" | ") {
        let answer = asked(&format!("{line} --json -vv")).1;
        assert!(answer.json && !answer.quiet && answer.verbose == 2, "{line}");
        assert!(asked(&format!("{line} --quiet")).1.quiet, "{line}");
    }
    assert!(asked("logs 0198 -q").1.quiet);
    for line in ["status", "scale 2", "stop"] {
        assert!(worker(&format!("{line} --json")).1.json, "{line}");
    }
    let config = Config {
        defaults: Defaults {
            progress: Some(ProgressForm::None),
            error_format: Some(ErrorFormat::Text),
            ..Defaults::default()
        },
        ..Config::default()
    };
    let Parsed::Run(Invocation::TaskWait(options)) = run(words("task wait 0198")) else { panic!("it is right") };
    let answer = options.resolve(&config).expect("it is right").answer;
    assert_eq!((answer.progress, answer.error_format), (ProgressForm::None, Some(ErrorFormat::Text)));
}

#[test]
fn every_verb_of_the_worker_is_read() {
    assert!(matches!(worker("status").0, WorkerVerb::Status));
    assert!(matches!(worker("stop").0, WorkerVerb::Stop { now: false }));
    assert!(matches!(worker("stop --now").0, WorkerVerb::Stop { now: true }));
    assert!(matches!(worker("unit").0, WorkerVerb::Unit));
    assert!(matches!(worker("scale 1").0, WorkerVerb::Scale { slots: Some(1), group: None }));
    assert!(matches!(worker("scale 10000 --group net").0,
        WorkerVerb::Scale { slots: Some(10_000), group: Some(group) } if group == "net"));
    assert!(matches!(worker("scale shared --group net").0, WorkerVerb::Scale { slots: None, group: Some(_) }));
}

#[test]
fn a_worker_takes_its_times_from_options_and_configuration() {
    let times = |line: &str, config: &Config| match worker_run(line, config) {
        WorkerVerb::Run { idle_exit, max_task_age, detached } => (idle_exit, max_task_age, detached),
        other => panic!("{other:?}"),
    };
    let week = Some(seconds(7 * 86_400));
    assert_eq!(times("", &Config::default()), (Some(seconds(300)), week, false));
    assert_eq!(times("--idle-exit none --detached", &Config::default()), (None, week, true));
    assert_eq!(times("--idle-exit 0", &Config::default()).0, Some(Duration::ZERO));
    let queue = QueueDefaults { idle_exit: Some(None), max_task_age: Some(None), ..QueueDefaults::default() };
    let config = Config { queue, ..Config::default() };
    assert_eq!(times("-v", &config), (None, None, false));
    assert_eq!(times("--idle-exit 2m", &config).0, Some(seconds(120)));
}

#[test]
fn every_mistake_is_named_with_its_fix() {
    for (line, argument, message, remediation) in [
        ("task submit", "COMMAND", "no command to run", "runner task submit --timeout 60 -- make test"),
        ("task submit --json --", "COMMAND", "no command to run", "runner task submit"),
        ("task submit -c a b", "-c", "both a line for the shell (-c) and a command", "quote it as a whole"),
        ("task submit -c a op sleep 1", "-c", "both a line for the shell (-c) and a built-in", "Give one of them"),
        ("task submit --from f ls", "--from", "both a list (--from) and a command", "the list names all jobs"),
        ("task submit --from f -c x", "--from", "both a list (--from) and a line", "the list names all jobs"),
        ("task submit --from f op sleep 1", "--from", "both a list (--from) and a built-in", "the list names"),
        ("task submit --from= ", "--from", "the name is empty", "the name of a file"),
        ("task submit --shell sh ls", "--shell", "--shell goes with -c", "Leave --shell out"),
        ("task submit --shell sh op sleep 1", "--shell", "--shell goes with -c", "Leave --shell out"),
        ("task submit --stdin inherit ls", "--stdin", "cannot read our standard input", "--stdin data.txt"),
        ("task submit --pty ls", "--pty", "no terminal", "runner task logs -f"),
        ("task submit --retry-output all --retries 1 ls", "--retry-output", "is kept", "runner task logs"),
        ("task submit --warn-after 5 ls", "--warn-after", "standard error", "--warn-signal USR1"),
        ("task submit --report r ls", "--report", "does not wait", "Give --wait too"),
        ("task submit --wait --report r --from f", "--report", "an answer of its own", "runner task status"),
        ("task submit --progress bar ls", "--progress", "does not wait", "Give --wait too"),
        ("task submit --on-done-timeout 5 ls", "--on-done-timeout", "there is none", "Give --on-done too"),
        ("task submit --on-done= ls", "--on-done", "the line is empty", "a line for the shell"),
        ("task submit --on-done true --on-done-timeout 0 ls", "--on-done-timeout", "no time at all", "above zero"),
        ("task submit --on-done true --on-done-timeout x ls", "--on-done-timeout", "not a duration", "60 or 1.5"),
        ("task submit --inherit-env --env-clear ls", "--inherit-env", "and --env-clear", "Leave one of them out"),
        ("task submit --at 22:30 --delay 5 ls", "--at", "--at and --delay", "Leave one of them out"),
        ("task submit --at soon ls", "--at", "'soon' is not a time", "22:30"),
        ("task submit --at 2020-01-01T00:00:00Z ls", "--at", "is in the past: that was 20", "a time to come"),
        ("task submit --delay soon ls", "--delay", "'soon' is not a duration", "60 or 1.5"),
        ("task submit --priority urgent ls", "--priority", "'urgent' is not one of critical, high", "normal, low"),
        ("task submit --on-crash ignore ls", "--on-crash", "'ignore' is not one of fail, retry", "fail, retry"),
        ("task submit --after a/b ls", "--after", "'a/b' cannot be the id of a task", "runner task list"),
        ("task submit --after 01,,02 ls", "--after", "'' cannot be the id of a task", "runner task list"),
        ("task submit --group= ls", "--group", "the name is empty", "such as nightly"),
        ("task submit --env NO_SUCH_VARIABLE ls", "--env", "'NO_SUCH_VARIABLE' is not set", "a variable that is set"),
        ("task submit --tiemout 5 ls", "--tiemout", "'--tiemout'", "Did you mean --timeout?"),
        ("task submit -x ls", "-x", "'-x'", "after '--'"),
        ("task submit -q -v ls", "--quiet", "--quiet and --verbose", "Leave one of them out"),
        ("task submit op", "NAME", "no operation was named", "sleep"),
        ("task submit op frob", "frob", "there is no operation 'frob'", "sleep"),
        ("task submit op -t 5 sleep 1", "-t", "'-t'", "before the word op"),
        ("task submit op sleep 1 -t 5", "-t", "'-t'", "before the word op"),
        ("task submit op sleep x", "DUR", "'x' is not a duration", "60 or 1.5"),
        ("task", "", "no verb was given", "runner task submit --timeout 60 -- make test"),
        ("task frob", "frob", "unknown verb 'frob'", "runner task submit -- frob"),
        ("task lst", "lst", "unknown verb 'lst'", "Did you mean 'list'?"),
        ("task --frob", "--frob", "'--frob'", "runner task --help"),
        ("task list --status done", "--status", "'done' is not one of pending, running", "cancelled"),
        ("task list --status pending,", "--status", "--status needs a value", "--status <STATUS>"),
        ("task list --limit 0", "--limit", "says nothing", "above zero"),
        ("task list --limit -1", "--limit", "'-1' is not a number of tasks", "above zero"),
        ("task list --limit all", "--limit", "'all' is not a number of tasks", "above zero"),
        ("task list 0198", "0198", "unknown argument '0198'", "runner task list --help"),
        ("task status", "ID", "<ID> is missing", "runner task status --help"),
        ("task status 0198 0199", "0199", "unknown argument '0199'", "runner task status --help"),
        ("task status a/b", "ID", "'a/b' cannot be the id of a task", "runner task list"),
        ("task wait", "ID", "<ID>... is missing", "runner task wait --help"),
        ("task wait 0198 --for soon", "--for", "'soon' is not a duration", "60 or 1.5"),
        ("task wait 0198 --progress loud", "--progress", "'loud' is not a form", "json or none"),
        ("task logs", "ID", "<ID> is missing", "runner task logs --help"),
        ("task logs --json 0198", "--json", "'--json'", "runner task logs --help"),
        ("task cancel", "ID", "<ID>... is missing", "runner task cancel --help"),
        ("task retry", "ID", "<ID>... is missing", "runner task retry --help"),
        ("task extend 0198", "DUR", "<DUR> is missing", "runner task extend --help"),
        ("task extend 0198 -30m", "DUR", "'-30m' would take time away", "above zero such as +30m"),
        ("task extend 0198 +0", "DUR", "'+0' is no time at all", "above zero such as +30m"),
        ("task extend 0198 ++5", "DUR", "'+5' is not a duration", "60 or 1.5"),
        ("task priority 0198", "PRIORITY", "<PRIORITY> is missing", "runner task priority --help"),
        ("task priority 0198 urgent", "PRIORITY", "'urgent' is not one of critical", "normal, low"),
        ("task pause net", "net", "unknown argument 'net'", "runner task pause --help"),
        ("task clean --status running", "--status", "a running task is not over", "completed, failed or cancelled"),
        ("task clean --status odd", "--status", "'odd' is no status of a finished task", "completed, failed"),
        ("task clean --older-than none", "--older-than", "'none' is not a duration", "60 or 1.5"),
        ("worker", "", "no verb was given", "runner worker status"),
        ("worker frob", "frob", "unknown verb 'frob'", "runner worker --help"),
        ("worker start", "start", "unknown verb 'start'", "Did you mean 'stat"),
        ("worker scale", "SLOTS", "<SLOTS> is missing", "runner worker scale --help"),
        ("worker scale 0", "SLOTS", "nothing would ever run", "from 1 to 10000"),
        ("worker scale 10001", "SLOTS", "'10001' slots are more", "from 1 to 10000"),
        ("worker scale -2", "SLOTS", "'-2' is not a number of slots", "from 1 to 10000"),
        ("worker scale two", "SLOTS", "'two' is not a number of slots", "the word shared"),
        ("worker scale shared", "SLOTS", "no group was named", "--group nightly"),
        ("worker run --idle-exit soon", "--idle-exit", "'soon' is not a duration", "none for ever"),
        ("worker run --idle-exit -5", "--idle-exit", "'-5' is negative", "60 or 1.5"),
        ("worker unit x", "x", "unknown argument 'x'", "runner worker unit --help"),
    ] {
        let found = complaint_of(words(line));
        assert_eq!(found.0, argument, "{line} gave {found:?}");
        assert!(found.1.contains(message), "{line} gave {found:?}");
        assert!(found.2.contains(remediation), "{line} gave {found:?}");
    }
}

#[test]
fn odd_texts_are_refused_too() {
    let long = "x".repeat(65);
    for (option, value, message) in [
        ("--group", " ", "the name is empty"),
        ("--group", long.as_str(), "longer than 64 bytes"),
        ("--group", "a\nb", "control characters"),
        ("--on-done", "  ", "the line is empty"),
    ] {
        let found = complaint_of([words("task submit"), vec![option.into(), value.into(), "ls".into()]].concat());
        assert!(found.0 == option && found.1.contains(message), "{found:?}");
    }
}

#[test]
fn a_wrong_webhook_is_told_without_its_secrets() {
    for url in ["ftp://user:secret@h/secret", "user:secret@h", "https://user:secret@h:0/", "https://"] {
        let found = complaint_of([words("task submit --webhook"), vec![url.into(), "ls".into()]].concat());
        assert_eq!(found.0, "--webhook");
        assert!(
            found.1.contains("the URL ") && !format!("{:?}", (&found.0, &found.1, &found.2)).contains("secret"),
            "{found:?}"
        );
    }
}

#[test]
fn short_help_fits_a_screen_and_long_help_teaches() {
    let below = |verb: &str, definition: clap::Command| -> Vec<String> {
        definition.get_subcommands().map(|below| format!("{verb} {}", below.get_name())).collect()
    };
    let mut lines = vec!["task".to_owned(), "worker".to_owned()];
    lines.extend(below("task", super::definition()));
    lines.extend(below("worker", crate::cli::worker::definition()));
    for line in &lines {
        let text = said(&format!("{line} -h"));
        assert!(text.lines().count() < 24, "{line} has {} lines", text.lines().count());
        for (ask, text) in [(format!("{line} --help"), said(&format!("{line} --help"))), (format!("{line} -h"), text)] {
            assert!(text.contains(&format!("Usage: runner {line}")), "{ask}: {text}");
            assert!(text.lines().all(|row| row.chars().count() <= 80), "{ask}: {text}");
        }
        let text = said(&format!("help {line}"));
        assert_eq!(text, said(&format!("{line} --help")));
        let examples =
            text.split("\nExamples:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
        assert!(examples.lines().all(|row| row.starts_with("  ") && row.contains("runner ")), "one line each: {text}");
        assert!(text.contains("\nExamples:\n  ") && text.contains("\nExit codes:"), "{line}: {text}");
        assert!(!text.contains("--detached") && !text.contains("--pty"), "{line}: {text}");
    }
}
