//! Tests of the command line: what becomes of options, what of mistakes, and what help looks like.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::{ExecOptions, Invocation, Parsed, command, parse};
use crate::app::completions::Shell;
use crate::app::config::{Config, HistoryDefaults, Origin};
use crate::error::Error;
use crate::model::envelope::ErrorCode;
use crate::model::job::{Command, Leftovers, Scope, Stdin};
use crate::model::request::{Defaults, ErrorFormat, ExecRequest, ProgressForm};
use crate::model::signal::Signal;

fn run(words: &[&str]) -> Parsed {
    parse(std::iter::once("/usr/bin/runner").chain(words.iter().copied()).map(OsString::from))
}

fn exec(words: &[&str]) -> ExecOptions {
    match run(&[&["exec"], words].concat()) {
        Parsed::Run(Invocation::Exec(options)) => *options,
        other => panic!("{words:?} gave {other:?}"),
    }
}

fn resolved(words: &[&str]) -> ExecRequest {
    exec(words).resolve(&Config::default()).unwrap_or_else(|error| panic!("{words:?} gave {error}"))
}

/// Argument, message and remediation of a wrong command line.
fn complaint(words: &[&str]) -> (String, String, String) {
    match run(words) {
        Parsed::Wrong { error, .. } => {
            assert_eq!((error.kind(), error.exit_code()), (ErrorCode::ValidationError, 125), "{words:?}");
            let remediation = error.remediation();
            match error {
                Error::Invalid { argument, message, .. } => (argument.unwrap_or_default(), message, remediation),
                other => panic!("{words:?} gave {other:?}"),
            }
        }
        other => panic!("{words:?} gave {other:?}"),
    }
}

fn said(words: &[&str]) -> (String, bool, i32) {
    match run(words) {
        Parsed::Say { text, to_stderr, exit } => (text, to_stderr, exit),
        other => panic!("{words:?} gave {other:?}"),
    }
}

#[test]
fn the_definitions_are_sound() {
    command().debug_assert();
    super::exec::definition().debug_assert();
}

#[test]
fn options_end_at_the_first_word_of_the_command() {
    for (words, command) in [
        (&["ls", "-l"][..], &["ls", "-l"][..]),
        (&["--", "ls", "-l"], &["ls", "-l"]),
        (&["--json", "ls", "--json", "-h", "--", "-x"], &["ls", "--json", "-h", "--", "-x"]),
        (&["--", "-weird"], &["-weird"]),
        (&["--", "--", "x"], &["--", "x"]),
        (&["-q", "--", "ls", "--"], &["ls", "--"]),
        (&["sh", "-c", "exit 3"], &["sh", "-c", "exit 3"]),
        (&["two words", ""], &["two words", ""]),
    ] {
        let expected = Command::Argv(command.iter().map(OsString::from).collect());
        assert_eq!(resolved(words).job.command, expected, "{words:?}");
    }
}

#[test]
fn bytes_that_are_no_text_pass_through() {
    let odd = || OsString::from_vec(b"a\xff=\xfe".to_vec());
    let words = ["runner".into(), "exec".into(), "--env".into(), odd(), "--cwd".into(), odd(), odd(), odd()];
    let Parsed::Run(Invocation::Exec(options)) = parse(words) else { panic!("it is right") };
    let job = options.resolve(&Config::default()).expect("it is right").job;
    assert_eq!(job.command, Command::Argv(vec![odd(), odd()]));
    let pair = (OsString::from_vec(b"a\xff".to_vec()), OsString::from_vec(b"\xfe".to_vec()));
    assert_eq!((job.surroundings.env, job.surroundings.cwd), (vec![pair], Some(odd().into())));
}

#[test]
fn a_line_goes_to_a_shell() {
    for (words, shell) in [
        (&["-c", "a | b"][..], "sh"),
        (&["-ca | b"], "sh"),
        (&["--shell", "bash", "-c", "a | b"], "bash"),
        (&["-c", "a | b", "--shell=/bin/zsh"], "/bin/zsh"),
    ] {
        let expected = Command::Shell { shell: shell.into(), line: "a | b".into() };
        assert_eq!(resolved(words).job.command, expected, "{words:?}");
    }
    assert_eq!(resolved(&["-c", "-x"]).job.command, Command::Shell { shell: "sh".into(), line: "-x".into() });
}

#[test]
fn defaults_are_those_of_the_manual() {
    let ExecRequest { job, pty, answer, .. } = resolved(&["ls"]);
    assert!(!pty && !job.sd_notify);
    let limits = job.limits;
    assert_eq!((limits.timeout, limits.max_timeout, limits.idle_timeout), (None, None, None));
    assert_eq!((limits.warn_after, limits.warn_signal, limits.parent_timeout), (None, None, None));
    assert_eq!((limits.grace, limits.stop_signal), (Some(Duration::from_secs(5)), Signal::TERM));
    assert_eq!((limits.scope, job.leftovers, job.capture_limit), (Scope::Tree, Leftovers::Report, 256 * 1024));
    assert_eq!((job.surroundings.stdin, job.surroundings.env_clear), (Stdin::Inherit, false));
    assert!(job.surroundings.cwd.is_none() && job.log.is_none() && job.name.is_none());
    assert!(!answer.json && !answer.quiet && answer.verbose == 0 && answer.report.is_none());
    assert_eq!((answer.progress, answer.error_format), (ProgressForm::Auto, None));
}

#[test]
fn every_option_arrives() {
    let words = "-t 1m30s --max-timeout 2m --idle-timeout=10 --grace 0 --signal int --warn-after 1.5 --warn-signal USR1 \
         --leftovers wait --cwd /tmp --env A=1 --env B=2=3 --secret-env S=3=4 --env-clear --stdin null --name thing --json --report r \
         --capture-limit 64K --log l --progress none --pty --sd-notify -vv make";
    let words: Vec<_> = words.split_whitespace().collect();
    assert_eq!(exec(&words).answer().report, Some("r".into()));
    let ExecRequest { job, pty, answer, .. } = resolved(&words);
    assert!(pty && job.sd_notify);
    let limits = job.limits;
    assert_eq!(limits.timeout, Some(Duration::from_secs(90)));
    assert_eq!(limits.max_timeout, Some(Duration::from_secs(120)));
    assert_eq!(limits.idle_timeout, Some(Duration::from_secs(10)));
    assert_eq!((limits.grace, limits.stop_signal), (Some(Duration::ZERO), Signal::INT));
    assert_eq!((limits.warn_after, limits.warn_signal), (Some(Duration::from_millis(1500)), Some(Signal::USR1)));
    assert_eq!((job.leftovers, job.capture_limit), (Leftovers::Wait, 65536));
    assert_eq!(job.surroundings.env, [("A".into(), "1".into()), ("B".into(), "2=3".into())]);
    assert_eq!(job.surroundings.secrets, [("S".into(), "3=4".into())]);
    assert_eq!((job.surroundings.cwd, job.surroundings.stdin), (Some("/tmp".into()), Stdin::Null));
    assert!(job.surroundings.env_clear && answer.json && !answer.quiet);
    assert_eq!((job.name.as_deref(), job.log, answer.report), (Some("thing"), Some("l".into()), Some("r".into())));
    assert_eq!((answer.progress, answer.verbose), (ProgressForm::None, 2));
    assert_eq!(resolved(&["--stdin", "in.txt", "ls"]).job.surroundings.stdin, Stdin::File("in.txt".into()));
    assert_eq!(resolved(&["-t", "1", "-t", "2", "ls"]).job.limits.timeout, Some(Duration::from_secs(2)));
    assert_eq!(resolved(&["--leftovers", "kill", "ls"]).job.leftovers, Leftovers::Kill);
}

#[test]
fn a_variable_without_a_value_is_passed_on() {
    let path = std::env::var_os("PATH").expect("tests have a path");
    let env = resolved(&["--env", "PATH", "--env", "A=", "ls"]).job.surroundings.env;
    assert_eq!(env, [("PATH".into(), path), ("A".into(), "".into())]);
}

#[test]
fn options_are_stronger_than_defaults() {
    let second = Duration::from_secs(1);
    let config = Config {
        defaults: Defaults {
            timeout: Some(Some(second)),
            auto_factor: None,
            idle_timeout: Some(Some(second * 2)),
            max_timeout: Some(Some(second * 9)),
            grace: Some(second * 3),
            signal: Some(Signal::HUP),
            capture_limit: Some(7),
            progress: Some(ProgressForm::None),
            error_format: Some(ErrorFormat::Json),
        },
        timeout_origin: Some(Origin::Variable("RUNNER_TIMEOUT")),
        max_timeout_origin: Some(Origin::Variable("RUNNER_MAX_TIMEOUT")),
        ..Config::default()
    };
    let request = exec(&["ls"]).resolve(&config).expect("it is right");
    assert_eq!((request.job.limits.timeout, request.job.limits.idle_timeout), (Some(second), Some(second * 2)));
    assert_eq!((request.job.limits.grace, request.job.limits.stop_signal), (Some(second * 3), Signal::HUP));
    assert_eq!((request.job.capture_limit, request.answer.progress), (7, ProgressForm::None));
    assert_eq!(request.answer.error_format, Some(ErrorFormat::Json));
    let words = "-t none --idle-timeout 4 --grace 5 --signal INT --capture-limit 8 --progress auto ls";
    let words: Vec<_> = words.split_whitespace().collect();
    let request = exec(&words).resolve(&config).expect("it is right");
    assert_eq!((request.job.limits.timeout, request.job.limits.idle_timeout), (None, Some(second * 4)));
    assert_eq!((request.job.limits.grace, request.job.limits.stop_signal), (Some(second * 5), Signal::INT));
    assert_eq!((request.job.capture_limit, request.answer.progress), (8, ProgressForm::Auto));
    // The maximum holds where there is no timeout, and refuses one that is past it, whoever gave either.
    assert_eq!(request.job.limits.max_timeout, Some(second * 9));
    let error = exec(&["-t", "10", "ls"]).resolve(&config).expect_err("10 > 9").to_string();
    assert!(error.contains("--timeout") && error.contains("RUNNER_MAX_TIMEOUT"), "{error}");
    let error = exec(&["--max-timeout", "0.5", "ls"]).resolve(&config).expect_err("1 > 0.5").to_string();
    assert!(error.contains("RUNNER_TIMEOUT") && error.contains("--max-timeout"), "{error}");
    assert!(exec(&["--max-timeout", "none", "-t", "10", "ls"]).resolve(&config).is_ok());
}

#[test]
fn a_timeout_may_be_made_of_the_history() {
    let auto = |words: &[&str]| {
        let request = resolved(words);
        (request.job.limits.timeout, request.auto.map(|auto| auto.factor))
    };
    assert_eq!(auto(&["-t", "auto", "ls"]), (None, Some(2.0)));
    assert_eq!(auto(&["-t", "auto:1.5x", "--max-timeout", "1", "ls"]), (None, Some(1.5)));
    assert_eq!(auto(&["-t", "auto", "-t", "5", "ls"]), (Some(Duration::from_secs(5)), None));
    let config = Config {
        defaults: Defaults { timeout: Some(None), auto_factor: Some(4.0), ..Defaults::default() },
        history: HistoryDefaults {
            record: Some(true),
            timeout_cap: Some(Duration::from_secs(7)),
            ..Default::default()
        },
        ..Config::default()
    };
    let request = exec(&["ls"]).resolve(&config).expect("it is right");
    let auto = request.auto.expect("the default");
    assert!(request.record);
    assert_eq!(
        (auto.factor, auto.bounds.cap, auto.bounds.floor),
        (4.0, Duration::from_secs(7), Duration::from_secs(10))
    );
    let request = exec(&["-t", "none", "--record=no", "ls"]).resolve(&config).expect("it is right");
    assert!(request.auto.is_none() && !request.record && request.job.limits.timeout.is_none());
    assert!(resolved(&["--record", "ls"]).record && !resolved(&["ls"]).record);
}

#[test]
fn history_has_its_options() {
    let history = |words: &[&str]| match run(words) {
        Parsed::Run(Invocation::History(options)) => options.resolve(&Config::default()).expect("it is right"),
        other => panic!("{words:?} gave {other:?}"),
    };
    let request = history(&["history"]);
    assert!(request.of.is_none() && request.limit.is_none() && !request.answer.json);
    let request = history(&["history", "--json", "--limit", "3", "make test"]);
    assert_eq!((request.of.as_deref(), request.limit, request.answer.json), (Some("make test"), Some(3), true));
}

#[test]
fn every_mistake_is_named_with_its_fix() {
    for (words, argument, message, remediation) in [
        ("exec", "COMMAND", "no command to run", "runner exec --timeout 60 -- make test"),
        ("exec --json --", "COMMAND", "no command to run", "runner exec"),
        ("exec --shell bash", "COMMAND", "no command to run", "runner exec"),
        ("exec --tiemout 5 ls", "--tiemout", "'--tiemout'", "Did you mean --timeout?"),
        ("exec --frobnicate ls", "--frobnicate", "'--frobnicate'", "after '--'"),
        ("exec -x ls", "-x", "'-x'", "runner exec --help"),
        ("exec -t 5x ls", "--timeout", "'5x' is not a duration", "60 or 1.5"),
        ("exec -t -5 ls", "--timeout", "'-5' is negative", "60 or 1.5"),
        ("exec -t auto:x ls", "--timeout", "'auto:x' is no automatic timeout", "such as auto:3x"),
        ("exec --idle-timeout auto ls", "--idle-timeout", "'auto' is not a duration", "60 or 1.5"),
        ("exec --record=maybe ls", "--record", "'maybe' is not one of yes, no", "yes, no"),
        ("history --limit 0", "--limit", "'0' is no number of them", "above zero such as 20"),
        ("exec --idle-timeout 0 ls", "--idle-timeout", "the word none", "above zero"),
        ("exec --grace none ls", "--grace", "'none' is not a duration", "60 or 1.5"),
        ("exec -t", "--timeout", "--timeout needs a value", "--timeout <DUR|none>"),
        ("exec --cwd --json ls", "--cwd", "--cwd needs a value", "--cwd <DIR>"),
        ("exec -c", "-c", "-c needs a value", "-c <LINE>"),
        ("exec -c a b", "-c", "a line for the shell (-c) and a command", "quote it as a whole"),
        ("exec --shell bash ls", "--shell", "--shell goes with -c", "Leave --shell out"),
        ("exec --leftovers eat ls", "--leftovers", "'eat' is not one of report, kill, wait", "report, kill, wait"),
        ("exec --progress bars ls", "--progress", "'bars' is not a form", "json or none"),
        ("exec --progress x ls", "--progress", "'x' is not a form", "json or none"),
        ("exec --env NO_SUCH_VARIABLE ls", "--env", "'NO_SUCH_VARIABLE' is not set", "NO_SUCH_VARIABLE=value"),
        ("batch --env NO_SUCH_VARIABLE jobs", "--env", "'NO_SUCH_VARIABLE' is not set", "a variable that is set"),
        ("op --env NO_SUCH_VARIABLE sleep 1", "--env", "'NO_SUCH_VARIABLE' is not set", "a variable that is set"),
        ("exec --env= ls", "--env", "the name is empty", "NAME=VALUE"),
        ("exec --env =x ls", "--env", "'=x' has no name", "NAME=VALUE"),
        ("exec --secret-env NO_SUCH_NAME ls", "--secret-env", "variable NO_SUCH_NAME is not set", "NAME=VALUE"),
        ("exec --secret-env =x ls", "--secret-env", "the value has no name", "NAME alone"),
        ("exec --signal FOO ls", "--signal", "'FOO' is not a signal", "TERM or SIGINT"),
        ("exec --capture-limit 5x ls", "--capture-limit", "'5x' is not a size", "64K"),
        ("exec -q -v ls", "--quiet", "--quiet and --verbose", "Leave one of them out"),
        ("exec --json=1 ls", "--json", "--json", "runner exec --help"),
        ("frob", "frob", "unknown verb 'frob'", "runner exec -- frob"),
        ("exce ls", "exce", "unknown verb 'exce'", "Did you mean 'exec'?"),
        ("--frob", "--frob", "unknown option '--frob'", "runner --help"),
        ("completions", "SHELL", "<SHELL> is missing", "runner completions --help"),
        ("completions tcsh", "SHELL", "'tcsh' is not one of bash, zsh, fish", "bash, zsh, fish"),
        ("man --dir", "--dir", "--dir needs a value", "--dir <DIR>"),
        ("schema x y", "y", "unknown argument 'y'", "runner schema --help"),
    ] {
        let words: Vec<_> = words.split_whitespace().collect();
        let found = complaint(&words);
        assert_eq!(found.0, argument, "{words:?} gave {found:?}");
        assert!(found.1.contains(message), "{words:?} gave {found:?}");
        assert!(found.2.contains(remediation), "{words:?} gave {found:?}");
    }
    let error = exec(&["--warn-signal", "INT", "ls"]).resolve(&Config::default()).expect_err("no time was given");
    assert!(error.remediation().contains("--warn-after"), "{error}");
}

#[test]
fn the_answer_to_a_mistake_goes_where_the_options_say() {
    let answer = |words: &[&str]| match run(words) {
        Parsed::Wrong { answer, .. } => answer,
        other => panic!("{words:?} gave {other:?}"),
    };
    for words in [
        &["exec", "--json", "--report", "r", "--bad", "ls"][..],
        &["exec", "--bad", "--json", "--report=r"],
        &["exec", "-t", "5x", "--report", "r", "--json", "ls", "-q"],
        &["exec", "-t5x", "--report=r", "--json"],
    ] {
        let answer = answer(words);
        assert!(answer.json && !answer.quiet, "{words:?}");
        assert_eq!(answer.report, Some("r".into()), "{words:?}");
    }
    for words in [
        &["exec", "--bad", "ls", "--json"][..],
        &["exec", "--bad", "--", "--json"],
        &["exec", "--bad", "--name", "--json"],
        &["exec", "--bad", "-t", "--json"],
        &["frob", "--json"],
    ] {
        assert!(!answer(words).json, "{words:?}");
    }
    assert!(answer(&["exec", "-qt5x", "ls"]).quiet);
}

#[test]
fn timeout_is_reached_by_verb_and_by_name() {
    for words in [&["runner", "timeout", "5", "ls"][..], &["timeout", "5", "ls"], &["/opt/bin/timeout", "5", "ls"]] {
        match parse(words.iter().map(OsString::from)) {
            Parsed::Run(Invocation::Timeout(request)) => assert_eq!(request.command, ["ls"], "{words:?}"),
            other => panic!("{words:?} gave {other:?}"),
        }
    }
}

#[test]
fn the_small_verbs_are_read() {
    assert!(matches!(run(&["schema"]), Parsed::Run(Invocation::Schema { name: None })));
    assert!(matches!(run(&["completions", "zsh"]), Parsed::Run(Invocation::Completions { shell: Shell::Zsh })));
    assert!(matches!(run(&["man"]), Parsed::Run(Invocation::Man { dir: None, page: None })));
    match run(&["man", "exec"]) {
        Parsed::Run(Invocation::Man { dir: None, page: Some(page) }) => assert_eq!(page, "exec"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn short_help_fits_a_screen() {
    for words in [&["-h"][..], &["exec", "-h"], &["completions", "-h"], &["man", "-h"], &["schema", "-h"]] {
        let (text, to_stderr, exit) = said(words);
        assert_eq!((to_stderr, exit), (false, 0), "{words:?}");
        assert!(text.lines().count() < 24, "{words:?} has {} lines", text.lines().count());
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{words:?}: {line}");
        }
    }
}

#[test]
fn long_help_teaches() {
    for words in [&["exec", "--help"][..], &["help", "exec"]] {
        let (text, to_stderr, exit) = said(words);
        assert_eq!((to_stderr, exit), (false, 0), "{words:?}");
        for part in [
            "Usage: runner exec",
            "\nLimits:",
            "\nOutput:",
            "\nExamples:",
            "\nExit codes:",
            "\nThe answer:",
            "--warn-after",
        ] {
            assert!(text.contains(part), "{words:?} lacks {part:?}");
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
    assert!(said(&["help"]).0.contains("Examples:"));
    assert!(said(&["help", "timeout"]).0.contains("Usage: timeout"));
    assert_eq!(said(&["--version"]), (format!("runner {}\n", env!("CARGO_PKG_VERSION")), false, 0));
}

#[test]
fn without_a_verb_the_short_help_is_an_error() {
    let (text, to_stderr, exit) = said(&[]);
    assert!(to_stderr && text.contains("Verbs:"));
    assert_eq!(exit, 125);
}
