//! The envelope: its shape for each end, what it knows of the job, and what it advises.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Rung, SOON, exec, folder, parse, redact, strings, wait_until};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn set<const N: usize>(names: [&'static str; N]) -> BTreeSet<&'static str> {
    names.into()
}

/// Each name stands in the text, in this order.
#[track_caller]
fn assert_order(text: &str, names: &[&str]) {
    let mut rest = text;
    for name in names {
        let key = format!("\"{name}\":");
        let at = rest.find(&key).unwrap_or_else(|| panic!("no {name} in its place: {text}"));
        rest = &rest[at + key.len()..];
    }
}

#[test]
fn a_success_has_data_alone() {
    let done = exec("--json").sh("echo out; echo err >&2").run();
    done.assert_code(0).assert_silent().assert_tree_dead();
    let answer = done.json();
    assert_eq!(
        redact(&answer),
        json!({
            "status": "success",
            "data": {
                "exit_code": 0, "stdout": "out\n", "stderr": "err\n", "stdout_bytes": 4, "stderr_bytes": 4,
                "stdout_omitted_bytes": 0, "stderr_omitted_bytes": 0,
                "usage": {"user_seconds": "[varies]", "system_seconds": "[varies]", "max_rss_bytes": "[varies]"},
                "leftovers": [],
            },
            "metadata": {
                "request_id": "[varies]", "timestamp": "[varies]", "duration_ms": "[varies]", "api_version": "v1",
            },
        })
    );
    let order = [
        "status",
        "data",
        "exit_code",
        "stdout",
        "stderr",
        "stdout_bytes",
        "stderr_bytes",
        "stdout_omitted_bytes",
        "stderr_omitted_bytes",
        "usage",
        "leftovers",
        "metadata",
        "request_id",
        "timestamp",
        "duration_ms",
        "api_version",
    ];
    assert_order(&done.stdout_text(), &order);
}

#[test]
fn a_failure_has_its_code_and_what_was_written() {
    let done = exec("--json").sh("echo out; echo err >&2; exit 3").run();
    done.assert_code(3).assert_silent();
    let answer = done.json();
    let error = &answer["error"];
    assert_eq!(error["code"], "COMMAND_FAILED");
    assert_eq!(error["details"]["exit_code"], 3);
    assert_eq!(error["details"]["partial_result"]["stdout"], "out\n");
    assert_eq!(error["details"]["partial_result"]["stderr"], "err\n");
    assert!(error["details"]["usage"].is_object());
    for absent in ["signal", "reason", "timeout_seconds", "termination", "processes"] {
        assert!(error["details"].get(absent).is_none(), "{absent}: {answer:#}");
    }
}

#[test]
fn a_timeout_has_all_that_is_known() {
    let done = exec("--json --timeout 1 --grace 5").sh("echo out; echo err >&2; exec \"$VICTIM\" sleep").run();
    done.assert_code(124).assert_silent().assert_tree_dead();
    let answer = done.json();
    let error = &answer["error"];
    assert_eq!(keys(&answer), set(["status", "error", "metadata"]));
    assert_eq!(keys(error), set(["code", "message", "details", "remediation"]));
    assert_eq!(error["message"], "Operation exceeded timeout of 1 second");
    assert_eq!(error["details"]["timeout_seconds"], 1);
    assert_eq!(
        redact(&error["details"]["partial_result"]),
        json!({
            "stdout": "out\nready\n", "stderr": "err\n", "stdout_bytes": 10, "stderr_bytes": 4,
            "stdout_omitted_bytes": 0, "stderr_omitted_bytes": 0,
        })
    );
    let termination = &error["details"]["termination"];
    assert_eq!(keys(termination), set(["signals", "exit_code", "signal", "containment", "survivors"]));
    assert_eq!(strings(&termination["signals"]), ["TERM"]);
    assert_eq!((&termination["exit_code"], &termination["signal"]), (&Value::Null, &"TERM".into()));
    let rows = error["details"]["processes"].as_array().expect("rows");
    for field in ["pid", "ppid", "state", "command", "cpu_seconds", "rss_bytes"] {
        assert!(!rows[0][field].is_null(), "{field}: {rows:#?}");
    }
    let text = done.stdout_text();
    assert!(text.contains("\"timeout_seconds\":1,"), "a number given as 1 comes back as 1: {text}");
    let order = ["status", "error", "code", "message", "details", "timeout_seconds", "reason", "elapsed_seconds"];
    assert_order(&text, &order);
    assert_order(&text, &["partial_result", "termination", "processes", "remediation", "metadata"]);
    assert_order(&text, &["signals", "exit_code", "signal", "containment", "survivors"]);
}

#[test]
fn seconds_come_back_as_they_were_given() {
    for (given, shown) in [("0.25", "0.25"), ("250ms", "0.25"), ("0.5", "0.5")] {
        let done = exec("--json --grace 0 --timeout").arg(given).victim("sleep").run();
        assert!(done.stdout_text().contains(&format!("\"timeout_seconds\":{shown},")), "{}", done.stdout_text());
        let message = done.json()["error"]["message"].as_str().map(str::to_owned).unwrap_or_default();
        assert_eq!(message, format!("Operation exceeded timeout of {shown} seconds"));
    }
}

#[test]
fn every_request_has_an_id_of_its_own_and_a_time() {
    let mut ids = BTreeSet::new();
    for _ in 0..5 {
        let answer = exec("--json --name nightly").job(["true"]).run().json();
        let metadata = &answer["metadata"];
        ids.insert(metadata["request_id"].as_str().unwrap_or_default().to_owned());
        let time = metadata["timestamp"].as_str().unwrap_or_default();
        assert!(time.len() >= 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'), "{time}");
        assert_eq!(metadata["name"], "nightly");
    }
    assert_eq!(ids.len(), 5, "{ids:?}");
}

#[test]
fn a_start_that_failed_has_no_partial_result() {
    let answer = exec("--json").job(["/nonexistent/command"]).run().json();
    assert_eq!(answer["error"]["code"], "NOT_FOUND");
    assert!(answer["error"]["details"].get("partial_result").is_none(), "{answer:#}");
}

#[test]
fn usage_is_that_of_the_job() {
    let answer = exec("--json").sh("\"$VICTIM\" burn 400").run().json();
    let usage = &answer["data"]["usage"];
    let time = usage["user_seconds"].as_f64().unwrap_or(0.0) + usage["system_seconds"].as_f64().unwrap_or(0.0);
    assert!((0.1..5.0).contains(&time), "{usage}");
    assert!(usage["max_rss_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{usage}");
    let idle = exec("--json").victim("sleep 200").run().json();
    assert!(idle["data"]["usage"]["user_seconds"].as_f64().is_some_and(|time| time < 0.1), "{idle:#}");
}

#[test]
fn usage_stands_in_a_timeout_too() {
    // It is silent once it has used its time, however long that takes.
    let line = "\"$VICTIM\" burn 200; exec \"$VICTIM\" sleep 100000";
    let answer = exec("--json --idle-timeout 0.5 --grace 0.2").sh(line).run().json();
    let usage = &answer["error"]["details"]["usage"];
    assert!(usage["user_seconds"].as_f64().is_some_and(|time| time > 0.1), "{answer:#}");
}

fn processes(rung: Rung, words: &str) -> Vec<Value> {
    let done = exec("--json --timeout 0.6 --grace 0.2").rung(rung).victim(words).run();
    done.assert_code(124).assert_tree_dead();
    done.json()["error"]["details"]["processes"].as_array().expect("rows").clone()
}

on_both_rungs! {
    fn the_black_box_shows_the_whole_tree(rung) {
        let rows = processes(rung, "deep-sessions 3");
        assert_eq!(rows.len(), 4, "{rows:#?}");
        let pids: BTreeSet<i64> = rows.iter().filter_map(|row| row["pid"].as_i64()).collect();
        assert_eq!(pids.len(), 4);
        let children = rows.iter().filter(|row| row["ppid"].as_i64().is_some_and(|pid| pids.contains(&pid)));
        assert_eq!(children.count(), 3, "all but the leader descend from one of them: {rows:#?}");
        for row in &rows {
            assert_eq!(row["state"], "S", "{row}");
            assert!(row["command"].as_str().is_some_and(|text| text.contains("victim")), "{row}");
            assert!(row["rss_bytes"].as_u64().is_some_and(|bytes| bytes > 4096), "{row}");
        }
        // On a very busy machine a name may stand for a command line.
        let whole = |row: &Value| row["command"].as_str().is_some_and(|text| text.contains("victim deep-sessions 3"));
        assert!(rows.iter().any(whole), "{rows:#?}");
    }

    fn the_black_box_shows_a_daemon(rung) {
        let rows = processes(rung, "double-fork");
        let living = rows.iter().filter(|row| row["state"] == "S").count();
        assert_eq!(living, 2, "{rows:#?}");
    }

    fn the_black_box_shows_who_stopped(rung) {
        let rows = processes(rung, "stop-self");
        assert_eq!(rows[0]["state"], "T", "{rows:#?}");
    }

    fn the_black_box_shows_who_burns(rung) {
        let rows = processes(rung, "stay burn");
        let busy = rows.iter().filter(|row| row["cpu_seconds"].as_f64().is_some_and(|time| time > 0.03));
        assert_eq!(busy.count(), 1, "{rows:#?}");
    }

    fn the_black_box_has_at_most_64_rows(rung) {
        let rows = processes(rung, "forkbomb-lite 7");
        assert_eq!(rows.len(), 64);
    }

    fn a_command_line_is_bounded(rung) {
        let long = "ü".repeat(3000);
        let line = format!(": {long}; sleep 30; :");
        let done = exec("--json --timeout 0.4 --grace 0.2").rung(rung).job(["sh", "-c", &line]).run();
        done.assert_code(124).assert_tree_dead();
        let answer = done.json();
        let rows = answer["error"]["details"]["processes"].as_array().expect("rows");
        let commands: Vec<&str> = rows.iter().filter_map(|row| row["command"].as_str()).collect();
        assert!(commands.iter().all(|text| text.len() <= 200), "{commands:?}");
        assert!(commands.iter().any(|text| text.contains("üüü")), "{commands:?}");
    }

    fn what_a_process_waits_in_is_told_where_it_may_be_read(rung) {
        let mut run = exec("--json").rung(rung).sh("exec sleep 30").start();
        let shown = wait_channels_are_shown();
        crate::support::wait_until(crate::support::SOON, "it sleeps", || {
            run.lifeline().holders().iter().any(|pid| {
                let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                name == "sleep\n" && (wait_channel(*pid).contains("nanosleep") || !shown)
            })
        });
        run.signal(libc::SIGTERM);
        let done = { run.wait_a_little(); run.finish() };
        done.assert_code(143);
        if shown {
            let answer = done.json();
            let row = &answer["error"]["details"]["processes"][0];
            assert!(row["waiting_in"].as_str().is_some_and(|name| name.contains("nanosleep")), "{row}");
        } else {
            crate::support::skip("wait channels", "the kernel does not show wait channels here");
        }
    }
}

fn wait_channel(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default()
}

/// Asked of a sleeping thread of our own parent: some kernels show zero to all.
fn wait_channels_are_shown() -> bool {
    let parent = std::os::unix::process::parent_id();
    let shown = wait_channel(parent.cast_signed());
    !shown.is_empty() && shown != "0"
}

#[test]
fn a_leader_that_exits_on_the_signal_is_told_by_its_code() {
    let done = exec("--json --timeout 0.4 --grace 20").victim("speak-on 15 5").run();
    done.assert_code(124);
    let answer = done.json();
    let termination = &answer["error"]["details"]["termination"];
    assert_eq!((&termination["exit_code"], &termination["signal"]), (&5.into(), &Value::Null));
    assert_eq!(answer["error"]["details"]["partial_result"]["stdout"], "ready\nlast words\n");
}

#[test]
fn a_leader_that_needed_the_kill_is_told_by_its_signal() {
    let answer = exec("--json --timeout 0.4 --grace 0.2").victim("ignore-term").run().json();
    let termination = &answer["error"]["details"]["termination"];
    assert_eq!(strings(&termination["signals"]), ["TERM", "KILL"]);
    assert_eq!((&termination["exit_code"], &termination["signal"]), (&Value::Null, &"KILL".into()));
}

fn remediation(answer: &Value) -> String {
    answer["error"]["remediation"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_hint_fits_its_case() {
    let total = remediation(&exec("--json --timeout 0.3 --grace 0.1").victim("sleep").run().json());
    assert_eq!(total, "Try breaking the operation into smaller chunks or increase timeout");
    let idle = remediation(&exec("--json --idle-timeout 0.3 --grace 0.1").victim("sleep").run().json());
    assert!(idle.contains("0.3") && idle != total, "how long it was silent: {idle}");
    let stopped = remediation(&exec("--json --timeout 0.3 --grace 0.1").victim("stop-self").run().json());
    assert!(stopped.contains("STOP") && stopped != total, "it had stopped itself: {stopped}");
    let missing = remediation(&exec("--json").job(["no-such-command"]).run().json());
    assert!(missing.contains("PATH") || missing.contains("spelling"), "{missing}");
    let folder = crate::support::folder();
    let file = folder.path().join("data");
    std::fs::write(&file, "data").expect("a file");
    let denied = remediation(&exec("--json").job([&file]).run().json());
    assert!(denied.contains("chmod"), "{denied}");
}

/// As a job under job control gets it that reads the terminal from the background.
#[test]
fn a_job_that_was_stopped_at_the_terminal_is_told_so() {
    let done = exec("--json --timeout 0.4 --grace 0.2").sh("kill -TTIN $$").run();
    done.assert_tree_dead();
    // A group without a parent in its session cannot be stopped by the terminal; then the line just ends.
    if done.status.code() == Some(124) {
        let hint = remediation(&done.json());
        assert!(hint.contains("terminal"), "{hint}");
    } else {
        crate::support::skip(
            "process group that is not orphaned",
            "the group of the job is orphaned here, so it was not stopped",
        );
    }
}

#[test]
fn people_get_words_and_no_colour_in_a_file() {
    let done = exec("--timeout 0.3 --grace 0.2").env("RUNNER_ERROR_FORMAT", "text").victim("ignore-term").run();
    done.assert_code(124);
    let text = done.stderr_text();
    assert!(serde_json::from_str::<Value>(text.trim()).is_err(), "no JSON: {text}");
    assert!(!text.contains('\u{1b}'), "no escape sequences: {text:?}");
    assert!(text.contains("0.3 second"), "what happened: {text}");
    assert!(text.contains("TERM") && text.contains("KILL"), "how it was stopped: {text}");
    assert!(text.contains("increase timeout"), "the hint: {text}");
    assert!(text.ends_with('\n'));
}

#[test]
fn programs_get_one_line_of_json() {
    let done = exec("--timeout 0.3 --grace 0.2").env("RUNNER_ERROR_FORMAT", "json").victim("sleep").run();
    assert_eq!(done.stderr_text().lines().count(), 1);
    assert_eq!(done.answer()["error"]["code"], "TIMEOUT");
}

#[test]
fn the_schema_knows_each_code_and_reason() {
    let output = crate::support::runner().arg("schema").output().expect("runner runs");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("text");
    for word in ["TIMEOUT", "CANCELLED", "COMMAND_FAILED", "NOT_FOUND", "VALIDATION_ERROR", "AUTHORIZATION_DENIED"] {
        assert!(text.contains(word), "{word}");
    }
    for word in ["total", "idle", "total_budget", "parent_deadline", "cgroup", "walk"] {
        assert!(text.contains(&format!("\"{word}\"")), "{word}");
    }
    let refused =
        std::panic::catch_unwind(|| crate::support::assert_valid(&json!({"status": "maybe", "metadata": {}})));
    assert!(refused.is_err(), "the schema refuses something");
}

#[test]
fn a_signal_to_stop_puts_what_is_known_into_the_report_before_the_job_has_ended() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let folder = folder();
        let report = folder.path().join("report.json");
        let read = || std::fs::read_to_string(&report).unwrap_or_default();
        let line = "trap '' TERM INT HUP; echo working; echo ready >&2; while [ ! -e go ]; do sleep 0.02; done";
        let run = exec("--grace 60").arg("--report").arg(&report).with(|command| _ = command.current_dir(&folder));
        let mut run = run.sh(line).start();
        run.wait_for_stderr("ready");
        assert_eq!(read(), "", "nothing is known before");
        run.signal(signal);
        wait_until(SOON, "the interim report", || !read().is_empty());
        let interim = parse(&read());
        assert_eq!(interim["status"], "error");
        assert_eq!(interim["error"]["code"], "CANCELLED", "{interim:#}");
        assert_eq!(interim["error"]["details"]["partial_result"]["stdout"], "working\n", "{interim:#}");
        assert_eq!(interim["metadata"]["interim"], true);
        assert!(interim["error"]["details"].get("termination").is_none(), "how it ends is not known: {interim:#}");
        assert!(!run.has_ended());
        std::fs::write(folder.path().join("go"), "").expect("a file");
        run.finish();
        let whole = parse(&read());
        assert_eq!(whole["error"]["details"]["termination"]["exit_code"], 0, "{whole:#}");
        assert!(whole["metadata"].get("interim").is_none(), "{whole:#}");
        assert_eq!(whole["metadata"]["request_id"], interim["metadata"]["request_id"]);
    }
}

#[test]
fn a_report_that_is_read_as_it_is_written_gets_one_answer() {
    let line = "trap '' TERM; echo ready >&2; while :; do sleep 0.02; done";
    let mut run = exec("--grace 200ms --report /dev/stdout --quiet").sh(line).start();
    run.wait_for_stderr("ready");
    run.signal(libc::SIGTERM);
    let done = run.finish();
    let answer = parse(&done.stdout_text());
    assert_eq!(answer["error"]["code"], "CANCELLED", "{answer:#}");
}
