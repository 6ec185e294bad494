//! Jobs that are tried again: which failures, how often, after how long, with how much time, and what is seen of it all.

#![expect(clippy::disallowed_methods, reason = "tests read files and start processes themselves")]

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Exec, SOON, exec, folder, op, pipe, seconds, wait_until};

/// A file in which each attempt leaves a line, so that they can be counted.
struct Tally {
    folder: tempfile::TempDir,
}

impl Tally {
    fn new() -> Self {
        Self { folder: folder() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Attempts so far.
    fn count(&self) -> usize {
        fs::read_to_string(self.path("tally")).unwrap_or_default().lines().count()
    }

    /// `exec` with these options; the line for sh finds its attempt's number in `$n`.
    fn exec(&self, options: &str, line: &str) -> Exec {
        let counted = format!("echo x >> \"$TALLY\"; n=$(($(wc -l < \"$TALLY\"))); {line}");
        exec(options).env("TALLY", self.path("tally")).sh(&counted)
    }
}

fn attempts(answer: &Value) -> &Vec<Value> {
    let part = if answer["status"] == "success" { &answer["data"] } else { &answer["error"]["details"] };
    part["attempts"].as_array().unwrap_or_else(|| panic!("no attempts: {answer:#}"))
}

/// A field of every attempt.
fn each<'a>(answer: &'a Value, field: &str) -> Vec<&'a Value> {
    attempts(answer).iter().map(|attempt| &attempt[field]).collect()
}

#[test]
fn a_job_that_succeeds_in_the_end_is_flaky_and_its_attempts_are_told() {
    let tally = Tally::new();
    let done = tally.exec("--json --retries 3 --retry-delay 10ms", "echo \"attempt $n\"; [ $n = 3 ] || exit 7$n").run();
    done.assert_code(0);
    assert_eq!(tally.count(), 3);
    let answer = done.json();
    assert_eq!(answer["data"]["flaky"], true);
    assert_eq!(answer["data"]["stdout"], "attempt 3\n", "the last attempt's alone");
    assert_eq!(answer["metadata"]["attempt"], 3);
    assert_eq!(each(&answer, "attempt"), [1, 2, 3]);
    assert_eq!(each(&answer, "exit_code"), [71, 72, 0]);
    assert_eq!(attempts(&answer)[0]["code"], "COMMAND_FAILED");
    assert_eq!(attempts(&answer)[1]["message"], "exited with code 72");
    let last = attempts(&answer)[2].as_object().expect("an object");
    assert!(!last.contains_key("code") && !last.contains_key("delay_seconds"), "{last:?}");
}

#[test]
fn a_job_that_succeeds_at_once_is_not_flaky_and_runs_once() {
    let tally = Tally::new();
    let done = tally.exec("--json --retries 3", "exit 0").run();
    done.assert_code(0);
    assert_eq!(tally.count(), 1);
    let answer = done.json();
    let data = answer["data"].as_object().expect("data");
    assert!(!data.contains_key("flaky") && !data.contains_key("attempts"), "{data:?}");
    assert_eq!(answer["metadata"]["attempt"], 1);
}

#[test]
fn without_retries_nothing_is_said_of_attempts() {
    let done = exec("--json").sh("exit 3").run();
    done.assert_code(3);
    let answer = done.json();
    assert!(answer["metadata"].get("attempt").is_none() && answer["error"]["details"].get("attempts").is_none());
}

#[test]
fn after_the_last_retry_the_last_failure_is_the_answer() {
    let tally = Tally::new();
    let done = tally.exec("--retries 2 --retry-delay 0 --report /dev/fd/2", "exit $((10 + n))").run();
    done.assert_code(13);
    assert_eq!(tally.count(), 3);
    let answer = done.answer();
    assert_eq!(answer["error"]["code"], "COMMAND_FAILED");
    assert_eq!(answer["error"]["details"]["exit_code"], 13);
    assert_eq!(each(&answer, "exit_code"), [11, 12, 13]);
}

#[test]
fn each_further_attempt_is_announced_on_stderr_unless_quiet() {
    let tally = Tally::new();
    let done = tally.exec("--retries 1 --retry-delay 0", "exit 75").run();
    done.assert_code(75);
    assert_eq!(done.stderr_text(), "runner: attempt 1 of 2 exited with code 75; trying again at once\n");
    let done = exec("-q --retries 1 --retry-delay 0").sh("exit 75").run();
    done.assert_code(75).assert_silent();
}

#[test]
fn only_named_failures_are_tried_again() {
    for (options, line, count, code) in [
        ("--retry-on exit:75", "exit 75", 3, 75),
        ("--retry-on exit:75", "exit 74", 1, 74),
        ("--retry-on exit:1-3,exit:9", "exit $((n + 2))", 2, 4),
        ("--retry-on signal", "kill -KILL $$", 3, 137),
        ("--retry-on signal", "exit 137", 1, 137),
        ("--retry-on timeout --timeout 100ms --grace 0", "sleep 60", 3, 124),
        ("--retry-on idle --timeout 100ms --grace 0", "sleep 60", 1, 124),
        ("--retry-on idle --idle-timeout 100ms --grace 0", "sleep 60", 3, 124),
        ("--retry-on timeout --idle-timeout 100ms --grace 0", "sleep 60", 1, 124),
        ("--no-retry-on exit:75", "exit 75", 1, 75),
        ("--no-retry-on exit:75", "exit 74", 3, 74),
        ("--retry-on exit:1-9 --no-retry-on exit:3", "exit $((n + 1))", 2, 3),
    ] {
        let tally = Tally::new();
        let done = tally.exec(&format!("-q --retries 2 --retry-delay 0 {options}"), line).run();
        assert_eq!((tally.count(), done.status.code()), (count, Some(code)), "{options}: {line}");
        done.assert_tree_dead();
    }
}

#[test]
fn what_cannot_be_cured_is_not_tried_again_by_default() {
    for code in [125, 126, 127] {
        let tally = Tally::new();
        tally.exec("--retries 2 --retry-delay 0", &format!("exit {code}")).run().assert_code(code).assert_silent();
        assert_eq!(tally.count(), 1, "{code}");
    }
    let missing = exec("--retries 2 --retry-delay 0").job(["/nonexistent/program"]).run();
    missing.assert_code(127);
    assert!(!missing.stderr_text().contains("trying again"), "{}", missing.stderr_text());
    let tally = Tally::new();
    tally.exec("-q --retries 2 --retry-delay 0 --retry-on exit:127", "exit 127").run().assert_code(127);
    assert_eq!(tally.count(), 3, "whoever names it gets it");
}

#[test]
fn what_cannot_be_begun_is_tried_again_where_errors_are_named() {
    let tally = Tally::new();
    let program = tally.path("late");
    let mut run = exec("--retries 50 --retry-delay 100ms --retry-backoff 1 --retry-on error --report /dev/fd/2")
        .job([program.as_os_str()])
        .start();
    run.wait_for_stderr("attempt 2 of 51");
    put_script(&program, "#!/bin/sh\nexit 0\n");
    let done = run.finish();
    done.assert_code(0);
    let answer = done.answer();
    assert_eq!(answer["data"]["flaky"], true);
    assert_eq!(attempts(&answer)[0]["code"], "NOT_FOUND");
}

#[test]
fn output_that_matches_is_tried_again() {
    let tally = Tally::new();
    let line = "echo 'one, two' >&2; echo busy; [ $n -lt 3 ] || echo gone; exit 1";
    let done = tally.exec("-q --retries 5 --retry-delay 0 --no-retry-on match:^gone$", line).run();
    done.assert_code(1);
    assert_eq!(tally.count(), 3);
    for (pattern, count) in [("exit:9,match:^a,b$", 3), ("match:nothing like it", 1)] {
        let tally = Tally::new();
        let run = tally.exec("-q --retries 2 --retry-delay 0 --retry-on", "echo 'a,b' >&2; exit 1");
        run.arg(pattern).run().assert_code(1);
        assert_eq!(tally.count(), count, "{pattern}");
    }
}

#[test]
fn delays_are_waited_for() {
    let tally = Tally::new();
    let done = tally.exec("--json --retries 2 --retry-delay 400ms --retry-backoff 1.5", "exit 1").run();
    // By chance each is as short as half: 200 ms and 300 ms.
    done.assert_code(1).assert_took_between(seconds(0.5), SOON);
    let answer = done.json();
    let delays: Vec<f64> = each(&answer, "delay_seconds").into_iter().filter_map(Value::as_f64).collect();
    assert_eq!(delays.len(), 2, "{delays:?}");
    assert!((0.2..=0.4).contains(&delays[0]) && (0.3..=0.6).contains(&delays[1]), "{delays:?}");
}

#[test]
fn a_timeout_gives_the_next_attempt_more_time_up_to_the_maximum() {
    let tally = Tally::new();
    let options =
        "--json --timeout 300ms --max-timeout 900ms --grace 0 --retries 3 --retry-delay 0 --retry-timeout-growth 2";
    let done = tally.exec(options, "[ $RUNNER_ATTEMPT != 3 ] || exit 1; sleep 60").run();
    done.assert_code(124).assert_tree_dead();
    let answer = done.json();
    assert_eq!(each(&answer, "timeout_seconds"), [&json!(0.3), &json!(0.6), &json!(0.9), &json!(0.9)]);
    assert_eq!(each(&answer, "reason"), [&json!("total"), &json!("total"), &Value::Null, &json!("total")]);
    assert_eq!(answer["error"]["details"]["timeout_seconds"], 0.9);
}

#[test]
fn the_time_for_all_attempts_stops_the_one_that_runs() {
    let tally = Tally::new();
    let done = tally
        .exec("--json --total-timeout 700ms --grace 0 --retries 9 --retry-delay 0", "[ $n = 1 ] || sleep 60; exit 1")
        .run();
    done.assert_code(124).assert_took_between(seconds(0.7), SOON).assert_tree_dead();
    let answer = done.json();
    let details = &answer["error"]["details"];
    assert_eq!((&details["reason"], &details["timeout_seconds"]), (&json!("total_budget"), &json!(0.7)));
    assert_eq!(answer["error"]["message"], "Operation exceeded the total time of 0.7 seconds");
    assert_eq!(tally.count(), 2);
}

#[test]
fn a_delay_that_would_outlast_the_time_for_all_ends_the_job_at_once() {
    let tally = Tally::new();
    let done = tally.exec("--json --total-timeout 30s --retries 9 --retry-delay 2m", "echo said; exit 75").run();
    done.assert_code(124).assert_took_between(seconds(0.0), SOON);
    let answer = done.json();
    let error = &answer["error"];
    assert_eq!(error["code"], "TIMEOUT");
    assert_eq!(error["message"], "No time is left for another attempt: all together may take 30 seconds");
    assert_eq!(error["details"]["reason"], "total_budget");
    assert_eq!(error["details"]["partial_result"]["stdout"], "said\n");
    assert_eq!(error["details"]["termination"]["exit_code"], 75);
    assert_eq!(error["details"]["termination"]["signals"], json!([]));
    assert_eq!(tally.count(), 1);
}

#[test]
fn a_stop_during_a_delay_ends_at_once_with_the_last_output() {
    let tally = Tally::new();
    let mut run = tally.exec("--retries 9 --retry-delay 10m", "echo \"attempt $n\"; exit 75").start();
    run.wait_for_stderr("trying again");
    run.signal(libc::SIGTERM);
    let done = run.finish();
    done.assert_code(143).assert_took_between(seconds(0.0), SOON);
    assert_eq!(done.stdout_text(), "attempt 1\n");
    let error = &done.answer()["error"];
    assert_eq!(error["code"], "CANCELLED");
    assert_eq!(error["message"], "Operation was cancelled by SIGTERM before its next attempt");
    assert_eq!(error["details"]["partial_result"]["stdout"], "attempt 1\n");
    assert_eq!(error["details"]["termination"]["exit_code"], 75);
}

#[test]
fn an_interrupt_during_a_delay_is_died_of() {
    let mut run = exec("--retries 9 --retry-delay 10m").sh("exit 75").start();
    run.wait_for_stderr("trying again");
    run.signal(libc::SIGINT);
    let done = run.finish();
    done.assert_died_of(libc::SIGINT);
    assert_eq!(done.answer()["error"]["code"], "CANCELLED");
}

#[test]
fn how_it_stands_is_told_during_a_delay_too() {
    let mut run = exec("--name build --retries 9 --retry-delay 10m").sh("exit 75").start();
    run.wait_for_stderr("trying again");
    run.signal(libc::SIGUSR1);
    run.wait_for_stderr("runner: build: attempt 2 of 10 begins in ");
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143);
}

#[test]
fn retries_without_an_end_and_without_delays_can_be_stopped() {
    let mut run =
        exec("-v --retries 4000000000 --retry-delay 0 --retry-on error").job(["/nonexistent/program"]).start();
    run.wait_for_stderr("attempt 3 of 4000000001");
    run.signal(libc::SIGTERM);
    let done = run.finish();
    done.assert_code(143);
    assert_eq!(done.answer()["error"]["code"], "CANCELLED");
}

#[test]
fn a_cancelled_attempt_is_not_tried_again() {
    let tally = Tally::new();
    let said = tally.path("said");
    let options = "--retries 9 --retry-delay 0 --retry-on exit:1-255,signal,timeout";
    let run = tally.exec(options, "echo ready; : > \"$SAID\"; sleep 60").env("SAID", &said).start();
    wait_until(SOON, "the attempt has said what it says", || said.exists());
    run.signal(libc::SIGTERM);
    let done = run.finish();
    done.assert_code(143).assert_tree_dead();
    assert_eq!(done.answer()["error"]["code"], "CANCELLED");
    assert_eq!((tally.count(), done.stdout_text().as_str()), (1, "ready\n"));
}

on_both_rungs! {
    /// Each attempt looks whether what the one before left in the background still lives.
    fn the_tree_of_a_failed_attempt_is_gone_before_the_next(rung) {
        let tally = Tally::new();
        let line = "if [ -s \"$LEFT\" ]; then while read pid; do kill -0 $pid 2>/dev/null && exit 0; done < \"$LEFT\"; fi; \
            \"$VICTIM\" background-child >/dev/null; (setsid sleep 300 & echo $! >> \"$LEFT\"); sleep 300 & echo $! >> \"$LEFT\"; exit 1";
        let done = tally.exec("--json --retries 3 --retry-delay 0 --retry-on exit:1", line).env("LEFT", tally.path("left")).rung(rung).run();
        done.assert_code(1);
        assert_eq!(tally.count(), 4, "an attempt found one alive");
        // Those of the last attempt are named and left alone, as without retries.
        let answer = done.json();
        let rows = answer["error"]["details"]["leftovers"].as_array().expect("leftovers");
        assert_eq!(rows.len(), 3, "{answer:#}");
        done.lifeline.end_holders();
        done.assert_tree_dead();
    }

    fn what_outlives_a_success_is_left_alone(rung) {
        let tally = Tally::new();
        let line = "[ $n = 2 ] || exit 1; \"$VICTIM\" background-child >/dev/null";
        let done = tally.exec("--json --retries 3 --retry-delay 0", line).rung(rung).run();
        done.assert_code(0);
        let answer = done.json();
        assert_eq!(answer["data"]["leftovers"].as_array().map(Vec::len), Some(1), "{answer:#}");
        done.lifeline.end_holders();
        done.assert_tree_dead();
    }

    fn an_attempt_that_ignores_its_stop_is_gone_before_the_next(rung) {
        let options = "--json --timeout 200ms --grace 100ms --retries 1 --retry-delay 0";
        let done = exec(options).rung(rung).victim("ignore-term").run();
        done.assert_code(124).assert_tree_dead();
        let answer = done.json();
        assert_eq!(each(&answer, "signal"), ["KILL", "KILL"]);
    }
}

#[test]
fn in_a_pipe_only_the_last_attempt_s_output_appears() {
    let tally = Tally::new();
    let line = "echo \"out $n\"; echo \"err $n\" >&2; [ $n = 3 ]";
    let done = tally.exec("-q --retries 5 --retry-delay 0", line).run();
    done.assert_code(0);
    assert_eq!((done.stdout_text().as_str(), done.stderr_text().as_str()), ("out 3\n", "err 3\n"));
}

#[test]
fn of_one_pipe_for_both_streams_the_order_holds() {
    let tally = Tally::new();
    let line = "echo \"a $n\"; echo \"b $n\" >&2; echo \"c $n\"; [ $n = 2 ]";
    let done = tally.exec("-q --retries 5 --retry-delay 0", line).merged().run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "a 2\nb 2\nc 2\n");
}

#[test]
fn everybody_s_output_appears_where_it_was_asked_for_as_it_comes() {
    let tally = Tally::new();
    let line = "echo \"out $n\"; [ $n = 2 ] || exit 1; while [ ! -e \"$GO\" ]; do sleep 0.01; done";
    let go = tally.path("go");
    let mut run = tally.exec("-q --retries 5 --retry-delay 0 --retry-output all", line).env("GO", &go).start();
    run.wait_for_stdout("out 1\nout 2\n");
    fs::write(&go, "").expect("our own folder");
    run.finish().assert_code(0);
}

#[test]
fn a_long_output_is_kept_whole_until_the_last_attempt_is_over() {
    let tally = Tally::new();
    let line = "\"$VICTIM\" flood 3000000; [ $n = 2 ]";
    let done = tally.exec("-q --retries 1 --retry-delay 0 --capture-limit 64K", line).run();
    done.assert_code(0);
    let expected = crate::support::flood_pattern(3_000_000, 1);
    assert_eq!(done.stdout.len(), expected.len());
    assert!(done.stdout == expected, "byte for byte");
}

#[test]
fn a_reader_that_takes_nothing_delays_no_answer_after_a_stop() {
    let mut run = exec("--total-timeout 500ms --grace 0 --retries 3").sh("yes; exit 1").leave_stdout_unread().start();
    run.wait_for_stderr("total_budget");
    assert!(run.elapsed() < SOON);
    run.read_on();
    let done = run.finish();
    done.assert_code(124).assert_tree_dead();
    let undelivered = &done.answer()["error"]["details"]["partial_result"]["stdout_undelivered_bytes"];
    assert!(undelivered.as_u64().is_some_and(|bytes| bytes > 0), "{undelivered}");
}

#[test]
fn the_log_holds_all_attempts_one_after_the_other() {
    let tally = Tally::new();
    let log = tally.path("log");
    fs::write(&log, "older\n").expect("our own folder");
    let line = "echo \"out $n\"; [ $n = 3 ]";
    tally.exec("-q --retries 5 --retry-delay 0 --log", line).arg(&log).run().assert_code(0);
    assert_eq!(fs::read_to_string(&log).expect("a log"), "out 1\nout 2\nout 3\n");
}

#[test]
fn a_log_that_an_attempt_could_not_begin_is_no_older_one() {
    let tally = Tally::new();
    let (log, program) = (tally.path("log"), tally.path("late"));
    fs::write(&log, "older\n").expect("our own folder");
    let options = "--retries 50 --retry-delay 100ms --retry-backoff 1 --retry-on error --log";
    let mut run = exec(options).arg(&log).job([program.as_os_str()]).start();
    run.wait_for_stderr("attempt 2 of 51");
    put_script(&program, "#!/bin/sh\necho new\n");
    run.finish().assert_code(0);
    assert_eq!(fs::read_to_string(&log).expect("a log"), "new\n");
}

#[test]
fn each_attempt_knows_its_number_and_its_own_deadline() {
    let line = "echo \"$RUNNER_ATTEMPT $RUNNER_DEADLINE_UNIX_MS\"; exit 1";
    let done = exec("-q --timeout 60 --retries 2 --retry-delay 60ms --retry-output all").sh(line).run();
    done.assert_code(1);
    let text = done.stdout_text();
    let rows: Vec<(u32, u64)> = text
        .lines()
        .map(|line| line.split_once(' ').expect("two words"))
        .map(|(number, deadline)| (number.parse().expect("a number"), deadline.parse().expect("a time")))
        .collect();
    assert_eq!(rows.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    // At least the half of each delay lies between them.
    assert!(rows[1].1 >= rows[0].1 + 30 && rows[2].1 >= rows[1].1 + 60, "{rows:?}");
}

/// Nothing ran, and the error says what to do.
fn is_refused(run: Exec, tally: &Tally, argument: &str, remedy: &str) {
    let done = run.run();
    done.assert_code(125);
    let error = &done.answer()["error"];
    assert_eq!((&error["code"], &error["details"]["argument"]), (&json!("VALIDATION_ERROR"), &json!(argument)));
    assert!(error["remediation"].as_str().is_some_and(|text| text.contains(remedy)), "{error:#}");
    assert_eq!(tally.count(), 0);
}

#[test]
fn an_input_that_can_be_read_only_once_is_refused() {
    let tally = Tally::new();
    let read = filled_pipe(b"input\n");
    let run = tally.exec("--retries 1", "cat").with(|command| {
        command.stdin(Stdio::from(read));
    });
    is_refused(run, &tally, "--stdin", "--stdin null");
    let fifo = tally.path("fifo");
    make_fifo(&fifo);
    let run = tally.exec("--retries 1 --stdin", "cat").arg(&fifo);
    is_refused(run, &tally, "--stdin", "--stdin FILE");
}

#[test]
fn a_pipe_does_no_harm_where_it_is_not_the_job_s() {
    let (read, _write) = pipe();
    let tally = Tally::new();
    let run = tally.exec("-q --retries 1 --retry-delay 0 --stdin null", "cat; exit 1").with(|command| {
        command.stdin(Stdio::from(read));
    });
    run.run().assert_code(1);
    assert_eq!(tally.count(), 2);
    let read = filled_pipe(b"input\n");
    let run = exec("--retries 0").job(["cat"]).with(|command| {
        command.stdin(Stdio::from(read));
    });
    assert_eq!(run.run().assert_code(0).stdout_text(), "input\n", "none is given, so nothing is read twice");
}

#[test]
fn a_file_is_read_again_from_where_it_stood() {
    let tally = Tally::new();
    let path = tally.path("input");
    fs::write(&path, "skipped\nread\n").expect("our own folder");
    let mut file = fs::File::open(&path).expect("our own file");
    file.seek(SeekFrom::Start(8)).expect("a position");
    let run = tally.exec("-q --retries 2 --retry-delay 0 --retry-output all", "cat; [ $n = 2 ]").with(|command| {
        command.stdin(Stdio::from(file));
    });
    assert_eq!(run.run().assert_code(0).stdout_text(), "read\nread\n");
    let named = exec("-q --retries 1 --retry-delay 0 --retry-output all --stdin").arg(&path).sh("cat; exit 1").run();
    assert_eq!(named.assert_code(1).stdout_text(), "skipped\nread\nskipped\nread\n");
}

#[test]
fn wrong_options_are_errors_before_anything_starts() {
    for (words, argument, remedy) in [
        (&["--retry-on", "timeout"][..], "--retry-on", "Give --retries too"),
        (&["--retry-output", "all"], "--retry-output", "Give --retries too"),
        (&["--retries", "-1"], "--retries", "a whole number such as 3"),
        (&["--retries", "1", "--retry-on", "sometimes"], "--retry-on", "timeout, idle, signal, error"),
        (&["--retries", "1", "--retry-on", "exit:0"], "--retry-on", "a code from 1 to 255"),
        (&["--retries", "1", "--no-retry-on", "match:("], "--no-retry-on", "a regular expression"),
        (&["--retries", "1", "--retry-backoff", "0.5"], "--retry-backoff", "at least 1"),
        (&["--retries", "1", "--retry-timeout-growth", "x"], "--retry-timeout-growth", "at least 1"),
        (&["--retries", "1", "--retry-delay", "-1"], "--retry-delay", "seconds such as"),
        (&["--retries", "1", "--total-timeout", "0"], "--total-timeout", "the word none"),
    ] {
        let tally = Tally::new();
        let run = tally.exec("", "exit 1").args(words);
        is_refused(run, &tally, argument, remedy);
    }
}

#[test]
fn operations_are_tried_again_too() {
    let tally = Tally::new();
    let target = tally.path("late");
    let words = ["wait-for", "--interval", "20ms"];
    let mut run = op("--timeout 300ms --retries 50 --retry-delay 10ms --retry-backoff 1 --report /dev/fd/2")
        .args(words)
        .arg(format!("file:{}", target.display()))
        .start();
    run.wait_for_stderr("attempt 1 of 51 exceeded its timeout of 0.3 s; trying again");
    fs::write(&target, "").expect("our own folder");
    let done = run.finish();
    done.assert_code(0);
    let answer = done.answer();
    assert_eq!(answer["data"]["flaky"], true);
    assert_eq!(attempts(&answer)[0]["code"], "TIMEOUT");
}

#[test]
fn attempts_are_events() {
    let tally = Tally::new();
    let done = tally.exec("--progress json --retries 1 --retry-delay 0", "[ $n = 2 ] || exit 75").run();
    done.assert_code(0);
    let text = done.stderr_text();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(kinds, ["started", "retrying", "started", "finished"]);
    assert_eq!((&events[1]["attempt"], &events[1]["most_attempts"]), (&json!(1), &json!(2)));
    assert_eq!(events[1]["exit_code"], 75);
    assert_eq!(events[3]["status"], "success");
}

#[test]
fn attempts_are_lines_of_progress() {
    let done = exec("--progress lines --name build --retries 1 --retry-delay 0").sh("exit 75").run();
    done.assert_code(75);
    let text = done.stderr_text();
    let told = text.lines().filter(|line| line.contains("attempt 1 of 2 exited with code 75")).count();
    assert_eq!(told, 1, "{text}");
    assert!(text.contains("runner: build: failed"), "{text}");
}

/// A program that is there at once, and whole.
fn put_script(path: &Path, text: &str) {
    let aside = path.with_extension("new");
    fs::write(&aside, text).expect("a script");
    crate::support::set_mode(&aside, 0o755);
    fs::rename(&aside, path).expect("in place");
}

fn make_fifo(path: &Path) {
    let status = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(status.success());
}

/// A pipe that holds this, and nobody will write more.
fn filled_pipe(bytes: &[u8]) -> OwnedFd {
    let (read, write) = pipe();
    fs::File::from(write).write_all(bytes).expect("a pipe has room for a little");
    read
}
