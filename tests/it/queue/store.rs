//! Stores that another runner left: an older one is gone on with, a newer one and a damaged one are told.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::queue::{Queue, UNTIL_GO};
use crate::support::{SOON, is_alive, wait_until};

/// A queue with a store that was made by `tests/stores/make.sh`, and by nothing else of the folder it was in.
fn queue_of(version: &str) -> Queue {
    let queue = Queue::new();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores").join(version).join("queue.db");
    fs::create_dir(queue.state()).expect("a folder");
    fs::copy(stored, queue.state().join("queue.db")).expect("the store");
    queue
}

/// The tasks by their names.
fn tasks(queue: &Queue) -> BTreeMap<String, Value> {
    let data = queue.data("task list", &["--limit", "100"]);
    let tasks = data["tasks"].as_array().expect("tasks").iter();
    tasks.map(|task| (task["name"].as_str().expect("a name").to_owned(), task.clone())).collect()
}

fn id(task: &Value) -> &str {
    task["task_id"].as_str().expect("an id")
}

#[test]
fn a_store_of_the_first_version_keeps_its_tasks() {
    let queue = queue_of("v1");
    let tasks = tasks(&queue);
    let ended = [
        ("completed", "completed", 0),
        ("operation", "completed", 0),
        ("failed", "failed", 3),
        ("timed-out", "failed", 124),
        ("follower", "failed", 125),
        ("cancelled", "cancelled", 143),
    ];
    for (name, status, code) in ended {
        let task = queue.status(id(&tasks[name]));
        assert_eq!((&task["status"], &task["exit_code"]), (&json!(status), &json!(code)), "{name}");
        queue.answer(id(&task)).assert_code(code);
    }
    let completed = queue.status(id(&tasks["completed"]));
    assert_eq!((&completed["priority"], &completed["result"]["stderr"]), (&json!("HIGH"), &json!("err\n")));
    let failed = queue.status(id(&tasks["failed"]));
    assert_eq!(failed["attempt_records"].as_array().map(Vec::len), Some(2));
    assert_eq!(tasks.len(), 11);
}

#[test]
fn a_store_of_the_first_version_is_worked_on() {
    let queue = queue_of("v1");
    let tasks = tasks(&queue);
    // What ran when it was left: the machine was started anew since, or the worker at least.
    queue.complete(&[id(&tasks["again"]), id(&tasks["after"])]);
    let answer = queue.answer(id(&tasks["lost"])).assert_code(125).json();
    assert_eq!(answer["error"]["details"]["reason"], "worker_lost");
    assert_eq!(queue.status(id(&tasks["lost"]))["extensions"][0]["by_seconds"], 300);
    assert_eq!(queue.status(id(&tasks["after"]))["result"]["stdout"], "8\n", "its secret was kept, too");
    // What waits goes on waiting.
    assert_eq!(queue.status(id(&tasks["paused"]))["status"], "pending");
    assert_eq!(queue.status(id(&tasks["later"]))["not_before"], "2999-12-31T00:00:00.000Z");
    let worker = queue.data("worker status", &[]);
    assert_eq!(worker["slots"], 3);
    let groups = json!([
        {"name": "build", "slots": 1, "paused": false, "running": 0},
        {"name": "nightly", "slots": null, "paused": true, "running": 0},
    ]);
    assert_eq!(worker["groups"], groups);
    queue.task("resume --group nightly", &[]).run().assert_code(0);
    queue.complete(&[id(&tasks["paused"])]);
    queue.task("retry", &[id(&tasks["cancelled"]), id(&tasks["lost"])]).run().assert_code(0);
    queue.complete(&[id(&tasks["cancelled"])]);
    queue.task("cancel", &[id(&tasks["lost"])]).run().assert_code(0);
    let new = queue.submit("", "echo new");
    queue.complete(&[&new]);
    let stats = queue.data("task stats", &[]);
    assert_eq!((&stats["total"], &stats["lifetime"]["submitted"]), (&json!(12), &json!(12)));
    assert_eq!((&stats["lifetime"]["timed_out"], &stats["lifetime"]["worker_lost"]), (&json!(1), &json!(1)));
    assert!(runner::store::Store::open(queue.state()).expect("a store").is_sound().expect("it can be read"));
}

#[test]
fn a_store_of_a_later_version_is_refused_and_left_alone() {
    let queue = Queue::new();
    let done = queue.submit("", "true");
    queue.complete(&[&done]);
    queue.worker("stop").run().assert_code(0);
    let path = queue.state().join("queue.db");
    let connection = rusqlite::Connection::open(&path).expect("the store");
    connection.pragma_update(None, "user_version", 999).expect("a version");
    drop(connection);
    let before = fs::read(&path).expect("the store");
    for verb in ["task submit --json -- true", "task list --json", "task stats --json", "worker status --json"] {
        let done = queue.runner(verb, "").run();
        let answer = done.assert_code(1).json();
        assert_eq!(answer["error"]["code"], "CONFLICT");
        assert!(answer["error"]["message"].as_str().is_some_and(|told| told.contains("999")), "{answer:#}");
    }
    let done = queue.worker("run").run();
    assert_eq!(done.assert_code(1).answer()["error"]["code"], "CONFLICT");
    assert_eq!(fs::read(&path).expect("the store"), before);
}

/// Changes the store version by this number, as a newer program would, or reverts it.
fn move_version(queue: &Queue, by: i32) {
    let connection = rusqlite::Connection::open(queue.state().join("queue.db")).expect("the store");
    let version: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version");
    connection.pragma_update(None, "user_version", version + by).expect("another version");
}

#[test]
fn a_worker_can_be_stopped_when_its_store_is_newer() {
    for options in ["stop", "stop --now"] {
        let queue = Queue::new();
        let id = queue.submit_running("", UNTIL_GO);
        let worker = queue.worker_pid().expect("a worker");
        move_version(&queue, 1);
        let done = queue.runner("task list", "").run();
        let error = &done.assert_code(1).answer()["error"];
        assert_eq!(error["code"], "CONFLICT");
        let help = error["remediation"].as_str().expect("text");
        assert!(help.contains("newer runner") && help.contains("runner worker stop"), "{help}");
        assert!(is_alive(worker));
        let stop = queue.worker(options).start();
        if options == "stop" {
            // It drains: the task finishes.
            queue.touch("go");
        }
        let done = stop.finish();
        assert!(done.assert_code(0).stdout_text().contains(&worker.to_string()));
        wait_until(SOON, "the end of the worker", || !is_alive(worker));
        move_version(&queue, -1);
        let status = if options == "stop" { "completed" } else { "cancelled" };
        assert_eq!(queue.status(&id)["status"], status, "{options}");
    }
}

#[test]
fn the_error_for_a_newer_store_names_the_program_that_wrote_it() {
    let queue = Queue::new();
    queue.data("worker scale", &["2"]);
    let connection = rusqlite::Connection::open(queue.state().join("queue.db")).expect("the store");
    connection.execute("UPDATE settings SET value = '9.8.7' WHERE name = 'program'", []).expect("a setting");
    drop(connection);
    move_version(&queue, 1);
    let error = queue.runner("task list", "").run().assert_code(1).answer()["error"].clone();
    for part in ["message", "remediation"] {
        assert!(error[part].as_str().is_some_and(|text| text.contains("runner 9.8.7")), "{error:#}");
    }
    move_version(&queue, -1);
}

#[test]
fn a_damaged_store_is_told_and_left_alone() {
    let whole = Queue::new();
    let done = whole.submit("", "true");
    whole.complete(&[&done]);
    whole.worker("stop").run().assert_code(0);
    let bytes = fs::read(whole.state().join("queue.db")).expect("the store");
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 3] = [
        ("no store at all", |bytes| *bytes = b"this is a text, and no store".repeat(100)),
        ("its head is gone", |bytes| bytes[..4096].fill(0x55)),
        ("its end is gone", |bytes| bytes.truncate(bytes.len() / 2)),
    ];
    for (what, damage) in damages {
        let queue = Queue::new();
        let mut damaged = bytes.clone();
        damage(&mut damaged);
        fs::create_dir(queue.state()).expect("a folder");
        let path = queue.state().join("queue.db");
        fs::write(&path, &damaged).expect("a store");
        let done = queue.runner("task submit", "--json -- true").run();
        let error = &done.assert_code(125).json()["error"];
        assert_eq!(error["code"], "SERVICE_UNAVAILABLE", "{what}: {error:#}");
        assert!(error["message"].as_str().is_some_and(|told| told.contains("damaged")), "{what}: {error:#}");
        assert!(fs::read(&path).expect("the store") == damaged, "{what}");
    }
}

#[test]
fn a_state_folder_that_cannot_be_is_told() {
    let queue = Queue::new();
    queue.write("state", "a file");
    for verb in ["task submit --json -- true", "task list --json"] {
        let done = queue.runner(verb, "").run();
        done.assert_code(125);
        assert_eq!(done.json()["status"], "error");
    }
    fs::remove_file(queue.state()).expect("a file");
}
