//! Which task of the queue runs when: priorities, slots, groups, pauses, tasks after others, times.

use serde_json::{Value, json};

use crate::support::queue::{Queue, UNTIL_GO};
use crate::support::{SOON, seconds, wait_until};

/// A line that leaves a word in the file `log` when it runs.
fn says(word: &str) -> String {
    format!("echo {word} >>log")
}

/// A queue of one slot, which is taken until the test makes the file `go`.
fn busy() -> Queue {
    let queue = Queue::new();
    queue.worker("scale 1").run().assert_code(0);
    queue.submit_running("", UNTIL_GO);
    queue
}

#[test]
fn the_urgent_come_first_and_the_older_of_two_equals() {
    let queue = busy();
    let mut ids = Vec::new();
    for (options, word) in [
        ("--priority low", "low"),
        ("", "first"),
        ("--priority critical", "critical"),
        ("--priority normal", "second"),
        ("--priority HIGH", "high"),
    ] {
        ids.push(queue.submit(options, &says(word)));
    }
    queue.touch("go");
    queue.complete_all(&ids);
    assert_eq!(queue.lines("log"), ["critical", "high", "first", "second", "low"]);
}

#[test]
fn a_waiting_task_can_be_moved_to_another_priority() {
    let queue = busy();
    let ids = ["one", "two", "three"].map(|word| queue.submit("", &says(word)));
    assert_eq!(queue.data("task priority", &[&ids[2], "critical"])["priority"], "CRITICAL");
    assert_eq!(queue.data("task priority", &[&ids[0], "low"])["priority"], "LOW");
    queue.touch("go");
    queue.complete_all(&ids);
    assert_eq!(queue.lines("log"), ["three", "two", "one"]);
    let done = queue.task("priority --json", &[&ids[0], "high"]).run();
    assert_eq!(done.assert_code(1).json()["error"]["code"], "CONFLICT");
}

#[test]
fn as_many_run_at_once_as_there_are_slots() {
    let queue = Queue::new();
    let ids: Vec<String> = (0..6).map(|_| queue.submit("", UNTIL_GO)).collect();
    let running = || queue.data("worker status", &[])["busy"].clone();
    wait_until(SOON, "four that run", || running() == 4);
    queue.worker("scale 5").run().assert_code(0);
    wait_until(SOON, "five that run", || running() == 5);
    queue.worker("scale 2").run().assert_code(0);
    // Nothing is stopped for it.
    assert_eq!(running(), 5);
    assert_eq!(queue.data("worker status", &[])["slots"], 2);
    queue.touch("go");
    queue.complete_all(&ids);
    // It is kept for later workers.
    queue.worker("stop").run().assert_code(0);
    assert_eq!(queue.data("worker status", &[])["slots"], 2);
    std::fs::remove_file(queue.path("go")).expect("a file");
    let ids: Vec<String> = (0..3).map(|_| queue.submit("", UNTIL_GO)).collect();
    wait_until(SOON, "two that run", || running() == 2);
    assert_eq!(queue.data("task stats", &[])["queue_length"], 1);
    queue.touch("go");
    queue.complete_all(&ids);
}

#[test]
fn a_group_with_slots_of_its_own_takes_none_of_the_others() {
    let queue = Queue::new();
    queue.worker("scale 1").run().assert_code(0);
    queue.worker("scale 2 --group build").run().assert_code(0);
    let build: Vec<String> = (0..3).map(|_| queue.submit("--group build", UNTIL_GO)).collect();
    let other = queue.submit("", UNTIL_GO);
    let grouped = queue.submit("--group docs", UNTIL_GO);
    for id in [&build[0], &build[1], &other] {
        queue.await_status(id, "running");
    }
    for id in [&build[2], &grouped] {
        assert_eq!(queue.status(id)["status"], "pending", "there is no slot for it");
    }
    let groups = queue.data("worker status", &[])["groups"].clone();
    assert_eq!(groups, json!([{"name": "build", "slots": 2, "paused": false, "running": 2}]));
    queue.worker("scale 3 --group build").run().assert_code(0);
    queue.await_status(&build[2], "running");
    queue.touch("go");
    queue.complete_all(&build);
    queue.complete(&[&other, &grouped]);
}

#[test]
fn a_pause_holds_new_starts_back_and_stops_nothing() {
    let queue = Queue::new();
    let running = queue.submit_running("", UNTIL_GO);
    queue.task("pause", &[]).run().assert_code(0);
    let held = queue.submit("", "true");
    queue.touch("go");
    queue.complete(&[&running]);
    assert_eq!(queue.status(&held)["status"], "pending");
    assert_eq!(queue.data("worker status", &[])["paused"], true);
    queue.task("resume", &[]).run().assert_code(0);
    queue.complete(&[&held]);
}

#[test]
fn a_paused_group_holds_no_other() {
    let queue = Queue::new();
    queue.task("pause --group nightly", &[]).run().assert_code(0);
    let held = queue.submit("--group nightly", "true");
    let [other, plain] = ["--group daily", ""].map(|options| queue.submit(options, "true"));
    queue.complete(&[&other, &plain]);
    assert_eq!(queue.status(&held)["status"], "pending");
    queue.task("resume --group nightly", &[]).run().assert_code(0);
    queue.complete(&[&held]);
}

#[test]
fn a_task_begins_once_those_before_it_have_completed() {
    let queue = Queue::new();
    let first = queue.submit("", &format!("{UNTIL_GO}; {}", says("first")));
    let other = queue.submit("", &says("other"));
    let both = queue.submit(&format!("--after {first} --after {other}"), &says("both"));
    let last = queue.submit(&format!("--priority critical --after {both}"), &says("last"));
    queue.complete(&[&other]);
    let waiting = queue.status(&both);
    assert_eq!((&waiting["status"], &waiting["after"]), (&json!("pending"), &json!([first, other])));
    queue.touch("go");
    queue.complete(&[&last]);
    assert_eq!(queue.lines("log"), ["other", "first", "both", "last"]);
}

#[test]
fn whoever_comes_after_one_that_did_not_complete_fails_with_it() {
    let queue = Queue::new();
    let failing = queue.submit("", &format!("{UNTIL_GO}; exit 3"));
    let follower = queue.submit(&format!("--after {failing}"), &says("never"));
    let chained = queue.submit(&format!("--after {follower}"), &says("never"));
    let waiting = queue.task("wait --json", &[&chained]).start();
    queue.touch("go");
    let answer = waiting.finish().assert_code(125).json();
    assert_eq!(answer["error"]["code"], "DEPENDENCY_ERROR");
    let because = |answer: &Value| answer["error"]["details"]["skipped_because"].as_str().expect("a reason").to_owned();
    assert!(because(&answer).contains(&follower), "{answer:#}");
    let answer = queue.answer(&follower).assert_code(125).json();
    assert!(because(&answer).contains(&failing), "{answer:#}");
    // So it is for one that comes too late.
    let late = queue.submit(&format!("--after {failing}"), &says("never"));
    assert_eq!(queue.answer(&late).assert_code(125).json()["error"]["code"], "DEPENDENCY_ERROR");
    assert_eq!(queue.read("log"), "");
}

#[test]
fn whoever_comes_after_a_cancelled_one_fails_at_once() {
    let queue = busy();
    let pending = queue.submit("", "true");
    let follower = queue.submit(&format!("--after {pending}"), "true");
    queue.task("cancel", &[&pending]).run().assert_code(0);
    assert_eq!(queue.status(&follower)["error"]["code"], "DEPENDENCY_ERROR");
}

#[test]
fn a_task_that_others_come_after_is_not_cleaned_away() {
    let queue = Queue::new();
    let first = queue.submit("", "true");
    queue.complete(&[&first]);
    let later = queue.submit(&format!("--delay 1h --after {first}"), "true");
    assert_eq!(queue.data("task clean", &["--older-than", "0"])["removed"], 0);
    assert_eq!(queue.status(&later)["after"], json!([first]));
}

#[test]
fn a_task_to_come_after_an_unknown_one_is_refused() {
    let queue = Queue::new();
    let done = queue.runner("task submit", "--json --after 0123abc -- true").run();
    assert_eq!(done.assert_code(1).json()["error"]["code"], "NOT_FOUND");
    assert_eq!(queue.data("task list", &[])["tasks"], json!([]));
}

#[test]
fn a_failed_chain_can_be_queued_again() {
    let queue = Queue::new();
    let failing = queue.submit("", &format!("[ -e ok ] && {}", says("first")));
    let follower = queue.submit(&format!("--after {failing}"), &says("second"));
    queue.answer(&follower).assert_code(125);
    queue.touch("ok");
    queue.task("retry", &[&failing, &follower]).run().assert_code(0);
    queue.complete(&[&failing, &follower]);
    assert_eq!(queue.lines("log"), ["first", "second"]);
}

#[test]
fn a_delayed_task_begins_in_time_and_not_before() {
    let queue = Queue::new();
    let id = queue.submit("--delay 1.2s", "true");
    let task = queue.status(&id);
    assert_eq!(task["status"], "pending");
    assert!(task["not_before"].is_string() && task["waits_for"].is_string(), "{task:#}");
    queue.task("wait", &[&id]).run().assert_code(0).assert_took_between(seconds(0.5), SOON);
    assert!(queue.status(&id)["started_at"].as_str() >= task["not_before"].as_str());
}

#[test]
fn a_task_begins_at_its_time() {
    let queue = Queue::new();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let [soon, later] = [now + 2, now + 3600].map(|at| queue.submit(&format!("--at @{at}"), "true"));
    assert_eq!(queue.status(&later)["status"], "pending");
    queue.complete(&[&soon]);
    let started = queue.status(&soon)["started_at"].as_str().expect("a time").to_owned();
    let started = humantime::parse_rfc3339(&started).expect("a time");
    assert!(started >= std::time::UNIX_EPOCH + std::time::Duration::from_secs(now + 2));
}
