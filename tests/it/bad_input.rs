//! Bad input is told before the job starts: what is wrong, by name, and what would be right.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Exec, exec, exec_with, folder, runner};

/// Runs it with a job that would leave a file, and gives the error: the code is 125 and no job ran.
#[track_caller]
fn refused(run: Exec, kind: &str, names: &str) -> Value {
    let folder = folder();
    let proof = folder.path().join("started");
    let done = run.job(["touch".as_ref(), proof.as_os_str()]).run();
    done.assert_code(125).assert_tree_dead();
    assert!(!proof.exists(), "the job did not start");
    assert!(done.stdout.is_empty(), "{:?}", done.stdout_text());
    let answer = done.answer();
    assert_named(&answer, kind, names);
    answer
}

#[track_caller]
fn assert_named(answer: &Value, kind: &str, names: &str) {
    assert_eq!(answer["error"]["code"], kind, "{answer:#}");
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(names), "'{names}' is named: {answer:#}");
    assert!(answer["error"]["remediation"].as_str().is_some_and(|text| text.len() > 5), "the fix: {answer:#}");
}

#[test]
fn an_unknown_option() {
    refused(exec("--no-such-option"), "VALIDATION_ERROR", "--no-such-option");
}

#[test]
fn durations_that_are_none() {
    for text in ["5x", "", "-1", "nan", "inf", "1.5.5", "s", "1m1m", "30s1m", "1e", "five", "0x10"] {
        refused(exec("").arg(format!("--timeout={text}")), "VALIDATION_ERROR", text);
    }
}

#[test]
fn zero_is_no_timeout() {
    for option in ["--timeout", "--idle-timeout", "--max-timeout"] {
        for zero in ["0", "0s", "0.0", "0ms"] {
            let answer = refused(exec(option).arg(zero), "VALIDATION_ERROR", zero);
            assert!(answer["error"].to_string().contains("none") || option == "--max-timeout", "{answer:#}");
        }
    }
}

#[test]
fn an_option_that_is_wrong_is_named() {
    for (option, value) in [
        ("--grace", "soon"),
        ("--signal", "NOPE"),
        ("--capture-limit", "5x"),
        ("--leftovers", "eat"),
        ("--progress", "loud"),
        ("--warn-after", "x"),
        ("--warn-signal", "99"),
        ("--env", "no-equals-sign"),
    ] {
        let answer = refused(exec(option).arg(value), "VALIDATION_ERROR", value);
        assert!(answer["error"].to_string().contains(option), "{option} is named: {answer:#}");
    }
}

#[test]
fn a_timeout_past_the_largest_one() {
    let answer = refused(exec("--timeout 60 --max-timeout 30"), "VALIDATION_ERROR", "60");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("30")), "{answer:#}");
}

#[test]
fn a_missing_command() {
    let done = exec("--timeout 5").run();
    done.assert_code(125);
    assert_named(&done.answer(), "VALIDATION_ERROR", "");
    let done = exec("").arg("--").run();
    done.assert_code(125);
    assert_eq!(done.answer()["error"]["code"], "VALIDATION_ERROR");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test starts runner")]
fn a_command_that_is_not_there_costs_no_older_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    std::fs::write(&log, "older").expect("it is ours");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_runner"));
    let output = command.args(["exec", "--log"]).arg(&log).args(["--", "no-such-command"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(std::fs::read_to_string(&log).expect("it is still there"), "older");
}

#[test]
fn a_command_and_a_line_at_once() {
    refused(exec("").arg("-c").arg("true"), "VALIDATION_ERROR", "");
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    for (name, value) in [("RUNNER_TIMEOUT", "5x"), ("RUNNER_GRACE", "-1"), ("RUNNER_IDLE_TIMEOUT", "0")] {
        let answer = refused(exec("").env(name, value), "VALIDATION_ERROR", value);
        assert!(answer["error"].to_string().contains(name), "{name} is named: {answer:#}");
    }
}

#[test]
fn other_variables_of_that_prefix_are_ignored() {
    let done = exec("").env("RUNNER_NAME", "x").env("RUNNER_DEBUG", "1").env("RUNNER_SIGNAL", "NOPE").victim("exit 0");
    done.run().assert_code(0).assert_silent();
}

#[test]
fn a_report_into_a_missing_folder() {
    refused(exec("--report /nonexistent/folder/answer.json"), "NOT_FOUND", "/nonexistent/folder");
}

#[test]
fn a_report_onto_a_folder() {
    let target = folder();
    let path = target.path().to_string_lossy().into_owned();
    refused(exec("--report").arg(&path), "VALIDATION_ERROR", &path);
}

#[test]
fn a_report_through_a_link_to_nowhere() {
    let place = folder();
    let link = place.path().join("link");
    symlink("missing/answer.json", &link).expect("a link");
    refused(exec("--report").arg(&link), "NOT_FOUND", "");
}

#[test]
fn a_log_into_a_missing_folder() {
    refused(exec("--log /nonexistent/folder/log"), "NOT_FOUND", "/nonexistent/folder");
}

#[test]
fn a_missing_input_file() {
    refused(exec("--stdin /nonexistent/input"), "NOT_FOUND", "/nonexistent/input");
}

#[test]
fn a_missing_working_directory() {
    refused(exec("--cwd /nonexistent/folder"), "NOT_FOUND", "/nonexistent/folder");
}

fn in_project(folder: &Path) -> Command {
    let mut command = runner();
    command.current_dir(folder);
    command
}

#[test]
fn a_broken_line_in_a_config_file() {
    let place = folder();
    fs::write(place.path().join("runner.toml"), "[defaults]\ntimeout = \"5s\"\ngrace = = 3\n").expect("a file");
    let answer = refused(exec_with(in_project(place.path()), ""), "VALIDATION_ERROR", "runner.toml");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains('3')), "the line: {answer:#}");
}

#[test]
fn a_wrong_value_in_a_config_file() {
    let place = folder();
    fs::write(place.path().join("runner.toml"), "[defaults]\ntimeout = \"5x\"\n").expect("a file");
    let answer = refused(exec_with(in_project(place.path()), ""), "VALIDATION_ERROR", "5x");
    assert!(answer["error"].to_string().contains("runner.toml"), "{answer:#}");
}

#[test]
fn a_command_in_a_config_file() {
    let place = folder();
    fs::write(place.path().join("runner.toml"), "[defaults]\ncommand = \"rm\"\n").expect("a file");
    refused(exec_with(in_project(place.path()), ""), "VALIDATION_ERROR", "command");
}

#[test]
fn a_user_s_config_file_is_checked_as_well() {
    let place = folder();
    fs::create_dir(place.path().join("runner")).expect("a folder");
    fs::write(place.path().join("runner/config.toml"), "[defaults\n").expect("a file");
    refused(exec("").env("XDG_CONFIG_HOME", place.path()), "VALIDATION_ERROR", "config.toml");
}

#[test]
fn a_command_that_cannot_run_leaves_no_log_behind_unsaid() {
    let done = exec("").job(["/"]).run();
    done.assert_code(126);
    assert!(done.answer()["error"]["message"].as_str().is_some_and(|text| text.contains('/')));
}

/// Runs runner with these words and variables, and gives the error.
#[track_caller]
fn refused_words(line: &str, variables: &[(&str, &str)], names: &str) -> Value {
    let output = runner().args(line.split(' ')).envs(variables.iter().copied()).output().expect("runner runs");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0), "{line}: {output:?}");
    let answer = crate::support::parse(std::str::from_utf8(&output.stderr).expect("text").trim_end());
    assert_named(&answer, "VALIDATION_ERROR", names);
    answer
}

#[test]
fn verbs_of_the_queue_that_were_called_wrongly() {
    for (line, names) in [
        ("task", "no verb"),
        ("task frob", "frob"),
        ("task submit", "no command"),
        ("task submit --stdin inherit cat", "standard input"),
        ("task submit --pty top", "terminal"),
        ("task submit op frob", "frob"),
        ("task submit op sleep soon", "soon"),
        ("task submit --env NO_SUCH_VARIABLE env", "NO_SUCH_VARIABLE"),
        ("task list --status done", "done"),
        ("task extend 0198 -5m", "-5m"),
        ("task clean --status running", "running"),
        ("worker scale 0", "0"),
        ("worker scale shared", "shared"),
        ("worker run --idle-exit soon", "soon"),
    ] {
        refused_words(line, &[], names);
    }
}

#[test]
fn a_local_time_in_the_past_is_told_by_the_clocks_of_the_place() {
    let zone = ("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
    for (time, was) in [
        ("2020-07-01T12:00", "2020-07-01 12:00:00 +02:00"),
        ("2020-01-01T12:00", "2020-01-01 12:00:00 +01:00"),
        ("2020-01-01T12:00:00Z", "2020-01-01 13:00:00 +01:00"),
        // Skipped, and shown twice.
        ("2020-03-29T02:30", "2020-03-29 03:30:00 +02:00"),
        ("2020-10-25T02:30", "2020-10-25 02:30:00 +02:00"),
    ] {
        let answer =
            refused_words(&format!("task submit --at {time} true"), &[zone], &format!("that was {was}, and now"));
        assert_eq!(answer["error"]["details"]["argument"], "--at", "{answer:#}");
    }
}

#[test]
fn a_wrong_value_for_the_queue_in_a_config_file() {
    let place = folder();
    fs::write(place.path().join("runner.toml"), "[queue]\nidle-exit = \"soon\"\n").expect("a file");
    let answer = refused(exec_with(in_project(place.path()), ""), "VALIDATION_ERROR", "soon");
    assert!(answer["error"].to_string().contains("runner.toml line 2"), "{answer:#}");
}

/// `--json` promises a document on stdout for an error as well.
#[test]
fn with_json_the_error_is_on_stdout() {
    let done = exec("--json --timeout 5x").job(["true"]).run();
    done.assert_code(125).assert_silent();
    assert_named(&done.json(), "VALIDATION_ERROR", "5x");
}
