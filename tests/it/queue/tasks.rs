//! The life of a task through the real program: handed over, asked after, waited for, stopped, tried again, cleaned away.

use std::fs;

use serde_json::{Value, json};

use crate::support::queue::{Queue, UNTIL_GO, id_of, statuses};
use crate::support::{SOON, parse, seconds, wait_until};

/// A job that stays, whatever it is told.
const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";

/// When a task is stopped, in seconds since the Unix epoch.
fn deadline(task: &Value) -> f64 {
    let text = task["deadline_at"].as_str().unwrap_or_else(|| panic!("no deadline: {task:#}"));
    let time = humantime::parse_rfc3339(text).expect("a time");
    time.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

#[test]
fn a_submitter_returns_at_once_and_leaves_an_id_that_everybody_finds() {
    let queue = Queue::new();
    let done = queue.runner("task submit", "").args(["-c", "sleep 1000"]).run();
    // No process of the queue holds what the submitter had open: `run` waits for the end of its output and its tree.
    done.assert_code(0).assert_silent().assert_tree_dead();
    let id = id_of(&done);
    assert_eq!(queue.await_status(&id, "running")["task_id"], id.as_str());
    queue.task("cancel", &[&id]).run().assert_code(0);
}

#[test]
fn a_command_substitution_ends_while_the_job_goes_on() {
    let queue = Queue::new();
    let line = "id=$(\"$RUN\" task submit -c 'sleep 1000'); echo \"$id\"; echo no other line >&2";
    let done = queue.shell(line).run();
    done.assert_code(0).assert_tree_dead();
    assert_eq!(done.stderr_text(), "no other line\n");
    queue.await_status(&id_of(&done), "running");
}

#[test]
fn a_submit_answers_in_json_that_the_task_is_pending() {
    let queue = Queue::new();
    queue.task("pause", &[]).run().assert_code(0);
    let done = queue.runner("task submit", "--json --name build --priority high").args(["-c", "exit 0"]).run();
    done.assert_code(0).assert_silent();
    let answer = done.json();
    assert_eq!(answer["status"], "pending");
    let data = &answer["data"];
    assert_eq!(
        (&data["status"], &data["priority"], &data["name"]),
        (&json!("pending"), &json!("HIGH"), &json!("build"))
    );
    assert_eq!((&data["progress"], &data["attempts"]), (&json!(0.0), &json!(0)));
    assert!(data["task_id"].is_string() && data["created_at"].is_string() && data.get("started_at").is_none());
}

#[test]
fn a_wait_ends_as_exec_would_have() {
    let queue = Queue::new();
    let ends = [
        ("", "echo fine", 0, "success", Value::Null),
        ("", "exit 3", 3, "error", json!("COMMAND_FAILED")),
        ("", "kill -KILL $$", 137, "error", json!("COMMAND_FAILED")),
        ("--timeout 0.3 --grace 0", "echo partial; sleep 1000", 124, "error", json!("TIMEOUT")),
    ];
    let ids = ends.each_ref().map(|(options, line, ..)| queue.submit(options, line));
    for (id, (_, line, code, status, error)) in ids.iter().zip(ends) {
        let done = queue.answer(id);
        done.assert_code(code).assert_silent();
        let answer = done.json();
        assert_eq!((&answer["status"], &answer["error"]["code"]), (&json!(status), &error), "{line}");
        assert_eq!(answer["metadata"]["job_id"], id.as_str());
        assert_eq!(queue.status(id)["exit_code"], code);
    }
    let timed_out = queue.answer(&ids[3]).json();
    let details = &timed_out["error"]["details"];
    assert_eq!((&details["reason"], &details["timeout_seconds"]), (&json!("total"), &json!(0.3)));
    assert_eq!(details["partial_result"]["stdout"], "partial\n");
}

#[test]
fn a_command_that_is_not_there_fails_as_under_exec() {
    let queue = Queue::new();
    let done = queue.runner("task submit", "").job(["no-such-command"]).run();
    let id = id_of(done.assert_code(0));
    let done = queue.answer(&id);
    assert_eq!(done.assert_code(127).json()["error"]["code"], "NOT_FOUND");
    assert_eq!(queue.status(&id)["status"], "failed");
}

#[test]
fn a_submit_that_stays_leaves_as_exec_would() {
    let queue = Queue::new();
    queue.runner("task submit", "--wait").args(["-c", "exit 7"]).run().assert_code(7);
    let done = queue.runner("task submit", "--wait --json").args(["-c", "echo out; echo err >&2"]).run();
    let answer = done.assert_code(0).json();
    assert_eq!((&answer["data"]["stdout"], &answer["data"]["stderr"]), (&json!("out\n"), &json!("err\n")));
}

#[test]
fn a_built_in_operation_is_a_task_too() {
    let queue = Queue::new();
    queue.write("file", "content");
    let done = queue.runner("task submit", "op").args(["hash", "file"]).run();
    let id = id_of(done.assert_code(0));
    assert!(queue.answer(&id).assert_code(0).json()["data"]["result"].is_object());
    let task = queue.status(&id);
    assert_eq!(task["operation"], "hash");
    assert!(task["parameters"].is_object(), "{task:#}");
}

#[test]
fn a_wait_that_ends_first_says_pending() {
    let queue = Queue::new();
    let id = queue.submit("", "sleep 1000");
    let done = queue.task("wait --json --for 0", &[&id]).run();
    let answer = done.assert_code(75).assert_silent().json();
    assert_eq!(answer["status"], "pending");
    assert_eq!(answer["data"]["task_id"], id.as_str());
    let done = queue.task("wait --json --for 0.2s", &[&id, &id]).run();
    done.assert_code(75).assert_took_between(seconds(0.2), SOON);
    assert_eq!(done.json()["status"], "pending");
}

#[test]
fn a_wait_for_several_ends_as_a_batch() {
    let queue = Queue::new();
    let [good, bad, other] = ["true", "exit 3", "true"].map(|line| queue.submit("", line));
    queue.task("wait", &[&good, &other]).run().assert_code(0);
    let done = queue.task("wait --json", &[&other, &bad, &good]).run();
    let data = &done.assert_code(1).json()["data"];
    assert_eq!(statuses(&data["tasks"]), ["completed", "failed", "completed"]);
    assert_eq!(data["tasks"][1]["error"]["details"]["exit_code"], 3);
}

#[test]
fn what_a_task_is_called_moves_no_cursor() {
    let queue = Queue::new();
    let name = "one\x1b[31m\ntwo\u{202e}";
    let ids = ["exit 3", UNTIL_GO].map(|line| id_of(&queue.task("submit --name", &[name, "-c", line]).run()));
    queue.await_status(&ids[0], "failed");
    let told = queue.task("wait --for 0", &[&ids[0], &ids[1]]).run().assert_code(75).stderr_text();
    assert_eq!(told.matches("(one [31m two )").count(), 2, "{told:?}");
    for (verb, words) in [("list", vec![]), ("status", vec![ids[0].as_str()])] {
        let shown = queue.task(verb, &words).run().assert_code(0).stdout_text();
        assert!(!shown.contains(['\x1b', '\u{202e}']), "{verb}: {shown:?}");
    }
}

#[test]
fn a_task_that_is_named_twice_is_waited_for_as_one() {
    let queue = Queue::new();
    let id = queue.submit("", "exit 7");
    queue.task("wait", &[&id, &id[..30]]).run().assert_code(7);
}

#[test]
fn a_wait_hears_of_the_end_at_once() {
    let queue = Queue::new();
    let id = queue.submit_running("", UNTIL_GO);
    let mut wait = queue.task("wait", &[&id]).start();
    wait.wait_a_little();
    assert!(!wait.has_ended());
    queue.touch("go");
    wait.finish().assert_code(0).assert_took_between(seconds(0.0), SOON);
}

#[test]
fn a_wait_that_is_told_to_end_leaves_the_task_alone() {
    let queue = Queue::new();
    let id = queue.submit_running("", UNTIL_GO);
    let mut wait = queue.task("wait --progress json", &[&id]).start();
    wait.wait_for_stderr("\"event\"");
    wait.signal(libc::SIGTERM);
    wait.finish().assert_code(143).assert_took_between(seconds(0.0), SOON);
    assert_eq!(queue.status(&id)["status"], "running");
    // What the caller ignored is ignored, as under exec.
    let deaf = queue.task("wait --progress json", &[&id]);
    let mut deaf = deaf.with(|command| crate::support::start_ignoring(command, &[libc::SIGINT, libc::SIGHUP])).start();
    deaf.wait_for_stderr("\"event\"");
    deaf.signal(libc::SIGINT);
    deaf.signal(libc::SIGHUP);
    queue.touch("go");
    deaf.finish().assert_code(0);
}

#[test]
fn who_asks_for_a_running_task_sees_how_far_it_is() {
    let queue = Queue::new();
    let line = format!(
        "echo out; echo err >&2; R={}; \"$R\" notify --progress 0.4 --message halfway --partial '{{\"items\":7}}'; {UNTIL_GO}",
        crate::support::queue::quoted(env!("CARGO_BIN_EXE_runner")),
    );
    let id = queue.submit("--timeout 60", &line);
    let task = queue.await_task(&id, "tells", |task| {
        task["progress"] == 0.4 && task["partial_result"]["reported"].is_object() && task["deadline_at"].is_string()
    });
    assert_eq!((&task["status"], &task["message"]), (&json!("running"), &json!("halfway")));
    let partial = &task["partial_result"];
    assert_eq!((&partial["stdout"], &partial["stderr"]), (&json!("out\n"), &json!("err\n")));
    assert_eq!(partial["reported"], json!({"items": 7}));
    assert!(task["started_at"].is_string() && task["elapsed_seconds"].is_number());
    queue.touch("go");
    queue.complete(&[&id]);
    let task = queue.status(&id);
    assert_eq!((&task["status"], &task["progress"], &task["exit_code"]), (&json!("completed"), &json!(1.0), &json!(0)));
    assert_eq!((&task["result"]["stdout"], &task["result"]["reported"]), (&json!("out\n"), &json!({"items": 7})));
    assert!(task["finished_at"].is_string() && task.get("partial_result").is_none(), "{task:#}");
}

#[test]
fn what_an_operation_has_until_now_is_its_partial_result() {
    let queue = Queue::new();
    let id = id_of(queue.runner("task submit", "op sleep 1000").run().assert_code(0));
    let task = queue
        .await_task(&id, "tells", |task| task["progress"].as_f64() > Some(0.0) || task["partial_result"].is_object());
    assert_eq!((&task["status"], &task["operation"]), (&json!("running"), &json!("sleep")));
    queue.task("cancel", &[&id]).run().assert_code(0);
}

#[test]
fn the_log_of_a_task_is_whole_however_long() {
    let queue = Queue::new();
    let victim = crate::support::victim_path();
    let done =
        queue.runner("task submit", "--capture-limit 1K").job([victim.to_str().expect("a path"), "flood", "3000000"]);
    let id = id_of(done.run().assert_code(0));
    queue.complete(&[&id]);
    let done = queue.task("logs", &[&id]).run();
    done.assert_code(0).assert_silent();
    assert!(done.stdout == crate::support::flood_pattern(3_000_000, 1), "{} bytes", done.stdout.len());
    assert_eq!(queue.status(&id)["result"]["stdout_bytes"], 3_000_000);
}

#[test]
fn the_folder_of_the_logs_is_made_again_where_it_was_removed() {
    let queue = Queue::new();
    let first = queue.submit("", "echo first");
    queue.complete(&[&first]);
    fs::remove_dir_all(queue.state().join("logs")).expect("our own folder");
    let second = queue.submit("", "echo second; echo error >&2");
    queue.complete(&[&second]);
    assert_eq!(queue.task("logs", &[&second]).run().assert_code(0).stdout_text(), "second\nerror\n");
}

#[test]
fn the_streams_of_a_log_can_be_told_apart() {
    let queue = Queue::new();
    let id = queue.submit("", "echo a; echo b >&2; echo c; echo d >&2; printf e");
    queue.complete(&[&id]);
    assert_eq!(queue.task("logs", &[&id]).run().assert_code(0).stdout_text().len(), 9);
    assert_eq!(queue.task("logs --stderr", &[&id]).run().assert_code(0).stdout_text(), "b\nd\n");
    assert_eq!(queue.status(&id)["result"]["stdout"], "a\nc\ne");
}

#[test]
fn a_log_can_be_followed_until_the_end() {
    let queue = Queue::new();
    let id = queue.submit("", &format!("echo first; echo wrong >&2; {UNTIL_GO}; echo last"));
    let mut both = queue.task("logs -f", &[&id]).start();
    let mut stderr = queue.task("logs --follow --stderr", &[&id]).start();
    both.wait_for_stdout("first\n");
    both.wait_for_stdout("wrong\n");
    stderr.wait_for_stdout("wrong\n");
    queue.touch("go");
    let (both, stderr) = (both.finish(), stderr.finish());
    assert!(both.assert_code(0).assert_silent().stdout_text().ends_with("last\n"));
    assert_eq!(stderr.assert_code(0).assert_silent().stdout_text(), "wrong\n");
}

#[test]
fn who_follows_a_silent_task_goes_with_its_reader() {
    let queue = Queue::new();
    let id = queue.submit_running("", &format!("echo ready; {UNTIL_GO}"));
    let done = queue.shell(&format!("\"$RUN\" task logs -f {id} | head -n 1")).run();
    assert_eq!(done.assert_code(0).assert_silent().stdout_text(), "ready\n");
    assert_eq!(queue.status(&id)["status"], "running");
}

#[test]
fn a_log_that_is_followed_before_the_task_begins_waits_for_it() {
    let queue = Queue::new();
    queue.task("pause", &[]).run().assert_code(0);
    let id = queue.submit("", "echo here");
    let mut follow = queue.task("logs -f", &[&id]).start();
    follow.wait_a_little();
    queue.task("resume", &[]).run().assert_code(0);
    assert_eq!(follow.finish().assert_code(0).stdout_text(), "here\n");
}

#[test]
fn a_pending_task_is_cancelled_at_once_and_without_a_worker() {
    let queue = Queue::new();
    queue.task("pause", &[]).run().assert_code(0);
    let id = queue.submit("", "touch began");
    queue.worker("stop").run().assert_code(0);
    let done = queue.task("cancel --json", &[&id]).run();
    assert_eq!(statuses(&done.assert_code(0).json()["data"]["tasks"]), ["cancelled"]);
    queue.task("resume", &[]).run().assert_code(0);
    let done = queue.task("wait --json", &[&id]).run();
    assert_eq!(done.assert_code(143).json()["error"]["code"], "CANCELLED");
    assert!(!queue.path("began").exists());
}

#[test]
fn a_running_task_is_cancelled_by_the_ladder() {
    let queue = Queue::new();
    let polite = queue.submit("", "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    let stubborn = queue.submit("--grace 0.3", STUBBORN);
    let doomed = queue.submit("--grace 0", STUBBORN);
    for id in [&polite, &stubborn, &doomed] {
        queue.await_task(id, "ready", |task| task["partial_result"]["stdout"] == "ready\n");
    }
    let done = queue.task("cancel --json", &[&polite, &stubborn, &doomed]).run();
    let data = &done.assert_code(0).assert_silent().json()["data"];
    assert_eq!(statuses(&data["tasks"]), ["cancelled"; 3]);
    let [polite, stubborn, doomed] = [polite, stubborn, doomed].map(|id| {
        assert_eq!(queue.status(&id)["status"], "cancelled");
        let done = queue.answer(&id);
        let answer = done.assert_code(143).json();
        assert_eq!(answer["error"]["code"], "CANCELLED", "{answer:#}");
        answer["error"]["details"].clone()
    });
    assert_eq!(polite["partial_result"]["stdout"], "ready\ntold\n");
    assert_eq!(polite["termination"]["signals"], json!(["TERM"]));
    assert_eq!(stubborn["termination"]["signals"], json!(["TERM", "KILL"]));
    assert_eq!(doomed["termination"]["signals"], json!(["KILL"]));
}

#[test]
fn a_task_is_cancelled_between_two_attempts() {
    let queue = Queue::new();
    let id = queue.submit("--retries 5 --retry-delay 1000s", "echo x >>tries; exit 3");
    queue.await_task(&id, "an attempt", |task| task["attempts"] == 1 && task["log"].is_null());
    wait_until(SOON, "the attempt", || queue.lines("tries").len() == 1);
    queue.task("cancel", &[&id]).run().assert_code(0).assert_took_between(seconds(0.0), SOON);
    let answer = queue.answer(&id).assert_code(143).json();
    assert_eq!(answer["error"]["code"], "CANCELLED", "{answer:#}");
    assert_eq!(queue.lines("tries").len(), 1);
}

#[test]
fn a_finished_task_cannot_be_cancelled() {
    let queue = Queue::new();
    let [completed, failed, cancelled] = ["true", "exit 1", "sleep 1000"].map(|line| queue.submit("", line));
    queue.task("wait", &[&completed, &failed]).run().assert_code(1);
    queue.task("cancel", &[&cancelled]).run().assert_code(0);
    for (id, status) in [(&completed, "completed"), (&failed, "failed"), (&cancelled, "cancelled")] {
        let done = queue.task("cancel --json", &[id]).run();
        let answer = done.assert_code(1).json();
        assert_eq!(answer["error"]["code"], "CONFLICT");
        assert!(answer["error"]["message"].as_str().is_some_and(|message| message.contains(status)), "{answer:#}");
        assert_eq!(queue.status(id)["status"], status);
    }
}

#[test]
fn one_of_several_that_cannot_be_cancelled_keeps_no_other() {
    let queue = Queue::new();
    queue.worker("scale 1").run().assert_code(0);
    let over = queue.submit("", "true");
    queue.complete(&[&over]);
    let [running, pending] = [queue.submit_running("", "sleep 1000"), queue.submit("", "true")];
    let done = queue.task("cancel --json", &[&running, &over, &pending]).run();
    done.assert_code(1);
    for id in [&running, &pending] {
        assert_eq!(queue.status(id)["status"], "cancelled");
    }
}

#[test]
fn an_id_that_is_no_task_s_is_not_found() {
    let queue = Queue::new();
    let unknown = "01980000-0000-7000-8000-000000000000";
    let check = || {
        for verb in ["status", "wait", "cancel", "retry", "extend", "priority"] {
            let more: &[&str] = match verb {
                "extend" => &[unknown, "+1m"],
                "priority" => &[unknown, "low"],
                _ => &[unknown],
            };
            let done = queue.task(&format!("{verb} --json"), more).run();
            assert_eq!(done.assert_code(1).json()["error"]["code"], "NOT_FOUND", "{verb}");
        }
        queue.task("logs", &[unknown]).run().assert_code(1);
    };
    // Where nothing was ever stored, and among others.
    check();
    assert!(!queue.state().exists(), "who asks stores nothing");
    let id = queue.submit("", "true");
    queue.complete(&[&id]);
    check();
}

#[test]
fn the_beginning_of_an_id_is_enough_where_it_is_one_task_s() {
    let queue = Queue::new();
    let [one, other] = ["true", "true"].map(|line| queue.submit("", line));
    queue.complete(&[&one, &other]);
    let common = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    assert_eq!(queue.status(&one[..=common])["task_id"], one.as_str());
    let done = queue.task("status --json", &[&one[..common]]).run();
    assert_eq!(done.assert_code(1).json()["error"]["code"], "NOT_FOUND");
}

#[test]
fn a_live_deadline_can_be_moved() {
    let queue = Queue::new();
    let id = queue.submit_running("--timeout 30", UNTIL_GO);
    let before = deadline(&queue.await_task(&id, "a deadline", |task| task["deadline_at"].is_string()));
    let task = queue.data("task extend", &[&id, "+10m"]);
    assert!((deadline(&task) - before - 600.0).abs() < 1.0, "{task:#}");
    assert_eq!(task["extensions"][0]["by_seconds"], 600);
    assert_eq!(task["extensions"][0]["granted"], true);
    // It is the real one that moved: the job lives on past the old one.
    let short = queue.submit_running("--timeout 1 --grace 0", "sleep 1.3; echo survived");
    queue.data("task extend", &[&short, "+60s"]);
    assert_eq!(queue.answer(&short).assert_code(0).json()["data"]["stdout"], "survived\n");
    queue.touch("go");
    queue.complete(&[&id]);
    assert_eq!(queue.status(&id)["extensions"][0]["by_seconds"], 600);
}

#[test]
fn no_sum_of_extensions_is_too_long_to_be_shown() {
    let queue = Queue::new();
    let id = queue.submit_running("--timeout 30", UNTIL_GO);
    queue.await_task(&id, "a deadline", |task| task["deadline_at"].is_string());
    // No more than 292 years are a time limit; what is asked for beyond them is refused.
    queue.data("task extend", &[&id, "+99999d"]);
    queue.data("task extend", &[&id, "+99999d"]);
    let done = queue.task("extend --json", &[&id, "+99999d"]).run();
    assert_eq!(done.assert_code(1).json()["error"]["code"], "CONFLICT");
    let listed = queue.data("task list", &[]);
    assert_eq!(listed["tasks"][0]["task_id"], id.as_str(), "{listed:#}");
    assert!(deadline(&queue.status(&id)) > 9e9);
    queue.task("list", &[]).run().assert_code(0);
    queue.touch("go");
    queue.complete(&[&id]);
}

#[test]
fn no_extension_passes_max_timeout() {
    let queue = Queue::new();
    let id = queue.submit_running("--timeout 30 --max-timeout 60", UNTIL_GO);
    let before = deadline(&queue.await_task(&id, "a deadline", |task| task["deadline_at"].is_string()));
    let task = queue.data("task extend", &[&id, "10m"]);
    assert!((deadline(&task) - before - 30.0).abs() < 1.0, "{task:#}");
    let done = queue.task("extend --json", &[&id, "10m"]).run();
    let answer = done.assert_code(1).json();
    assert_eq!(answer["error"]["code"], "CONFLICT", "nothing is left to move it by: {answer:#}");
    queue.touch("go");
}

#[test]
fn only_a_running_task_with_a_deadline_can_be_extended() {
    let queue = Queue::new();
    let over = queue.submit("--timeout 30", "true");
    queue.complete(&[&over]);
    let endless = queue.submit_running("", "sleep 1000");
    let later = queue.submit("--timeout 30 --delay 1h", "true");
    for id in [&over, &endless, &later] {
        let done = queue.task("extend --json", &[id, "+1m"]).run();
        assert_eq!(done.assert_code(1).json()["error"]["code"], "CONFLICT");
    }
    assert_eq!(queue.status(&endless)["extensions"][0]["granted"], false);
}

#[test]
fn a_task_that_failed_is_queued_again() {
    let queue = Queue::new();
    let id = queue.submit("", "echo try; [ -e ok ]");
    queue.answer(&id).assert_code(1);
    queue.touch("ok");
    let done = queue.task("retry --json", &[&id]).run();
    assert_eq!(done.assert_code(0).json()["status"], "pending");
    queue.complete(&[&id]);
    let task = queue.status(&id);
    assert_eq!((&task["status"], &task["attempts"]), (&json!("completed"), &json!(2)));
    assert_eq!(task["result"]["stdout"], "try\n", "the output of its last attempt");
    assert_eq!(queue.task("logs", &[&id]).run().stdout_text(), "try\ntry\n");
    let done = queue.task("retry --json", &[&id]).run();
    assert_eq!(done.assert_code(1).json()["error"]["code"], "CONFLICT");
}

#[test]
fn a_task_is_tried_as_often_as_was_asked_for() {
    let queue = Queue::new();
    let line = "echo x >>tries; echo \"attempt $RUNNER_ATTEMPT\"; [ $(wc -l <tries) -ge 3 ]";
    let id = queue.submit("--retries 5 --retry-delay 0", line);
    let answer = queue.answer(&id).assert_code(0).json();
    assert_eq!(answer["data"]["stdout"], "attempt 3\n");
    assert_eq!(answer["data"]["flaky"], true);
    let attempts = answer["data"]["attempts"].as_array().expect("the attempts");
    assert_eq!(attempts.iter().map(|attempt| &attempt["exit_code"]).collect::<Vec<_>>(), [1, 1, 0]);
    let task = queue.status(&id);
    assert_eq!(task["attempts"], 3);
    assert_eq!(task["attempt_records"].as_array().map(Vec::len), Some(3));
    assert_eq!(queue.task("logs", &[&id]).run().stdout_text(), "attempt 1\nattempt 2\nattempt 3\n");
}

#[test]
fn only_what_failed_or_was_cancelled_can_be_queued_again() {
    let queue = Queue::new();
    let running = queue.submit_running("", "sleep 1000");
    let pending = queue.submit("--delay 1h", "true");
    for id in [&running, &pending] {
        let done = queue.task("retry --json", &[id]).run();
        assert_eq!(done.assert_code(1).json()["error"]["code"], "CONFLICT");
    }
    queue.task("cancel", &[&running]).run().assert_code(0);
    queue.task("retry", &[&running]).run().assert_code(0);
    queue.await_status(&running, "running");
}

#[test]
fn an_idle_task_and_one_out_of_its_budget_are_stopped_as_under_exec() {
    let queue = Queue::new();
    let idle = queue.submit("--idle-timeout 0.3s --grace 0", "echo begun; sleep 1000");
    let spent = queue.submit("--retries 9 --retry-delay 0 --total-timeout 0.5s --grace 0", "sleep 0.2; exit 1");
    for (id, reason) in [(&idle, "idle"), (&spent, "total_budget")] {
        let answer = queue.answer(id).json();
        assert_eq!(answer["error"]["details"]["reason"], reason, "{answer:#}");
        assert_eq!(queue.status(id)["exit_code"], 124);
    }
}

#[test]
fn a_task_without_a_timeout_gets_that_of_the_queue() {
    let queue = Queue::new();
    std::fs::create_dir_all(queue.path("config/runner")).expect("a folder");
    queue.write("config/runner/config.toml", "[defaults]\ntimeout = \"100s\"\n[queue]\ntimeout = \"0.3s\"\n");
    let submit = |options: &str| {
        let submit = queue.runner("task submit", options).env("XDG_CONFIG_HOME", queue.path("config"));
        id_of(submit.args(["-c", "sleep 0.6"]).run().assert_code(0))
    };
    let [default, own, none] = ["", "--timeout 50", "--timeout none"].map(submit);
    queue.answer(&default).assert_code(124);
    queue.complete(&[&own, &none]);
    let timeout = |id: &str| queue.status(id)["timeout_seconds"].clone();
    assert_eq!([timeout(&default), timeout(&own), timeout(&none)], [json!(0.3), json!(50), Value::Null]);
}

#[test]
fn a_list_shows_the_newest_first_and_what_was_asked_for() {
    let queue = Queue::new();
    assert_eq!(queue.data("task list", &[])["tasks"], json!([]));
    let good = queue.submit("--group a", "true");
    let bad = queue.submit("--group b", "false");
    queue.task("wait", &[&good, &bad]).run().assert_code(1);
    let later = queue.submit("--delay 1h --group a", "true");
    let ids = |words: &[&str]| -> Vec<String> {
        let data = queue.data("task list", words);
        let tasks = data["tasks"].as_array().expect("tasks");
        tasks.iter().map(|task| task["task_id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&[]), [&*later, &*bad, &*good]);
    assert_eq!(ids(&["--limit", "2"]), [&*later, &*bad]);
    assert_eq!(ids(&["--status", "failed,completed"]), [&*bad, &*good]);
    assert_eq!(ids(&["--group", "a"]), [&*later, &*good]);
    assert_eq!(ids(&["--group", "a", "--status", "pending"]), [&*later]);
}

#[test]
fn the_figures_count_every_task() {
    let queue = Queue::new();
    let empty = queue.data("task stats", &[]);
    assert_eq!((&empty["total"], &empty["workers"], &empty["timeout_rate"]), (&json!(0), &json!(0), &Value::Null));
    let lines = ["true", "true", "exit 1", "sleep 1000"];
    let ids = lines.map(|line| queue.submit("--timeout 0.3 --grace 0", line));
    queue.task("wait", &ids.each_ref().map(String::as_str)).run().assert_code(1);
    queue.submit("--priority low --delay 1h", "true");
    queue.worker("scale 1").run().assert_code(0);
    queue.submit_running("--priority critical", "sleep 1000");
    queue.submit("--priority high", "true");
    let stats = queue.data("task stats", &[]);
    assert_eq!(stats["total"], 7);
    assert_eq!(stats["by_status"], json!({"pending": 2, "running": 1, "completed": 2, "failed": 2, "cancelled": 0}));
    assert_eq!(stats["by_priority"], json!({"CRITICAL": 1, "HIGH": 1, "NORMAL": 4, "LOW": 1}));
    assert_eq!((&stats["queue_length"], &stats["workers"], &stats["slots"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(stats["timeout_rate"], 0.25);
    let lifetime =
        json!({"submitted": 7, "completed": 2, "failed": 2, "cancelled": 0, "timed_out": 1, "worker_lost": 0});
    assert_eq!(stats["lifetime"], lifetime);
    assert!(stats["run_seconds"]["max"].as_f64() >= Some(0.3), "{stats:#}");
    assert!(stats["run_seconds"]["p50"].as_f64() < stats["run_seconds"]["max"].as_f64(), "{stats:#}");
    assert!(stats["wait_seconds"]["p50"].is_number(), "{stats:#}");
}

#[test]
fn finished_tasks_are_cleaned_away_with_their_logs() {
    let queue = Queue::new();
    let [good, bad] = ["echo good", "echo bad; exit 1"].map(|line| queue.submit("", line));
    queue.task("wait", &[&good, &bad]).run().assert_code(1);
    let running = queue.submit_running("", "echo here; sleep 1000");
    queue.await_task(&running, "output", |task| task["partial_result"]["stdout"] == "here\n");
    let logs = || fs::read_dir(queue.state().join("logs")).expect("logs").count();
    let removed = |words: &[&str]| queue.data("task clean", words)["removed"].clone();
    let before = logs();
    assert_eq!(removed(&[]), 0, "none is an hour old");
    assert_eq!(removed(&["--older-than", "0", "--status", "failed"]), 1);
    assert!(logs() < before);
    assert_eq!(queue.task("status", &[&bad]).run().status.code(), Some(1));
    assert_eq!(removed(&["--older-than", "0"]), 1);
    assert_eq!(queue.data("task list", &[])["tasks"][0]["task_id"], running.as_str());
    assert_eq!(queue.data("task stats", &[])["lifetime"]["completed"], 1, "what was cleaned away is counted still");
    queue.task("cancel", &[&running]).run().assert_code(0);
    assert_eq!(removed(&["--older-than", "0"]), 1);
    assert_eq!(logs(), 0);
}

#[test]
fn every_task_of_a_list_is_stored_at_once_and_in_order() {
    let queue = Queue::new();
    let jobs = [
        json!({"id": "last", "shell": "echo last >>log", "needs": ["middle"]}),
        json!({"id": "middle", "shell": "echo middle >>log", "needs": ["first"]}),
        json!({"id": "first", "shell": "echo first >>log", "name": "one"}),
    ];
    queue.write("jobs.jsonl", &jobs.map(|job| format!("{job}\n")).concat());
    let done = queue.runner("task submit", "--from jobs.jsonl").run();
    let ids: Vec<String> = done.assert_code(0).assert_silent().stdout_text().lines().map(str::to_owned).collect();
    assert_eq!(ids.len(), 3);
    // A script may put the lines of the list beside the ids.
    assert_eq!(ids.iter().map(|id| queue.status(id)["name"] == "one").collect::<Vec<_>>(), [false, false, true]);
    queue.complete_all(&ids);
    assert_eq!(queue.read("log"), "first\nmiddle\nlast\n");
}

#[test]
fn of_an_empty_list_there_is_nothing_to_wait_for() {
    let queue = Queue::new();
    queue.write("jobs.jsonl", "");
    queue.runner("task submit", "--from jobs.jsonl --wait").run().assert_code(0).assert_silent();
    let done = queue.runner("task submit", "--from jobs.jsonl --wait --json").run();
    assert_eq!(done.assert_code(0).json()["data"]["tasks"], serde_json::json!([]));
}

#[test]
fn a_list_with_a_mistake_stores_nothing() {
    let queue = Queue::new();
    queue.write("jobs.jsonl", "{\"shell\": \"true\"}\n{\"shell\": \"true\", \"needs\": [\"nobody\"]}\n");
    let done = queue.runner("task submit", "--json --from jobs.jsonl").run();
    assert_eq!(done.assert_code(125).json()["error"]["code"], "VALIDATION_ERROR");
    assert_eq!(queue.data("task list", &[])["tasks"], json!([]));
}

#[test]
fn who_is_to_be_told_gets_the_whole_answer() {
    let queue = Queue::new();
    let done =
        queue.runner("task submit", "--on-done").args(["cat >told.new; mv told.new told", "-c", "echo out; exit 3"]);
    let id = id_of(done.run().assert_code(0));
    wait_until(SOON, "the notice", || queue.path("told").exists());
    let told = parse(queue.read("told").trim_end());
    assert_eq!(told["error"]["details"]["exit_code"], 3);
    assert_eq!(told["metadata"]["job_id"], id.as_str());
    let task = queue.await_task(&id, "delivered", |task| task["notices"][0]["delivered"] == true);
    assert_eq!(task["notices"][0]["kind"], "command");
}
