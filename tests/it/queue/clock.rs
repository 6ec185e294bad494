//! The clock of the machine is set, and no task waits longer or shorter for it: durations are not times of the day.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::queue::{Queue, UNTIL_GO};
use crate::support::{Exec, LIMIT, Running, SOON, seconds, wait_until};

/// A worker whose clock a test can set, as it were: libfaketime answers for the kernel.
struct Clock {
    queue: Queue,
    _worker: Running,
}

impl Clock {
    /// None where this machine lacks the library; the reason is said.
    fn new() -> Option<Self> {
        let Some(library) = library() else {
            crate::support::skip("faketime", "libfaketime is not installed, and the real clock is shared");
            return None;
        };
        let queue = Queue::new();
        queue.write("clock", "+0");
        let worker = queue.worker("run").env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", queue.path("clock"));
        let worker = worker.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").start();
        wait_until(SOON, "the worker", || queue.worker_pid() == Some(worker.pid()));
        Some(Self { queue, _worker: worker })
    }

    /// From now on the worker's clock shows so many seconds more, or less.
    fn set(&self, offset: &str) {
        self.queue.write("clock.new", offset);
        std::fs::rename(self.queue.path("clock.new"), self.queue.path("clock")).expect("a file");
    }
}

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|library| library.exists())
}

/// When a task began by the worker's clock, in seconds after its submission by ours.
fn began_after(task: &Value) -> f64 {
    let [created, started] = ["created_at", "started_at"].map(|field| {
        let time = humantime::parse_rfc3339(task[field].as_str().expect("a time")).expect("a time");
        time.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64()
    });
    started - created
}

#[test]
fn a_delayed_task_begins_in_time_when_the_clock_is_set_back() {
    let Some(clock) = Clock::new() else { return };
    let queue = &clock.queue;
    let id = queue.submit("--delay 1.5s", "true");
    clock.set("-7200");
    queue.task("wait", &[&id]).run().assert_code(0).assert_took_between(seconds(0.0), SOON);
    let task = queue.status(&id);
    assert!(began_after(&task) < -7000.0, "the clock was set: {task:#}");
    // So it is for one that is submitted then.
    let id = queue.submit("--delay 0.5s", "true");
    queue.task("wait", &[&id]).run().assert_code(0).assert_took_between(seconds(0.0), SOON);
}

#[test]
fn a_delayed_task_does_not_begin_early_when_the_clock_is_set_forward() {
    let Some(clock) = Clock::new() else { return };
    let queue = &clock.queue;
    let delayed = queue.submit("--delay 1h", "true");
    clock.set("+7200");
    let other = queue.submit("", "true");
    queue.complete(&[&other]);
    assert!(began_after(&queue.status(&other)) > 7000.0, "the clock was set");
    assert_eq!(queue.status(&delayed)["status"], "pending");
}

#[test]
fn a_task_of_a_time_of_the_day_begins_once_the_clock_shows_it() {
    let Some(clock) = Clock::new() else { return };
    let queue = &clock.queue;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let id = queue.submit(&format!("--at @{}", now + 3600), "true");
    let other = queue.submit("", "true");
    queue.complete(&[&other]);
    assert_eq!(queue.status(&id)["status"], "pending");
    clock.set("+3700");
    // The kernel would tell of it; here any verb that rings does.
    let other = queue.submit("", "true");
    queue.complete(&[&other, &id]);
}

#[test]
fn a_timeout_and_a_measured_time_hold_when_the_clock_is_set() {
    let Some(clock) = Clock::new() else { return };
    let queue = &clock.queue;
    let late = queue.submit_running("--timeout 2 --grace 0", "sleep 1000");
    let whole = queue.submit_running("--timeout 100", UNTIL_GO);
    clock.set("-7200");
    let done = queue.task("wait --json", &[&late]).run();
    done.assert_code(124).assert_took_between(seconds(0.0), LIMIT);
    clock.set("+7200");
    let other = queue.submit("", "true");
    queue.complete(&[&other]);
    assert_eq!(queue.status(&whole)["status"], "running");
    queue.touch("go");
    queue.complete(&[&whole]);
    for id in [&late, &whole] {
        let elapsed = queue.status(id)["elapsed_seconds"].as_f64().expect("a time");
        assert!((0.0..60.0).contains(&elapsed), "{elapsed}");
    }
    let stats = queue.data("task stats", &[]);
    assert!(stats["run_seconds"]["max"].as_f64() < Some(60.0), "{stats:#}");
    assert!(stats["wait_seconds"]["p50"].as_f64() >= Some(0.0), "{stats:#}");
}

#[test]
fn a_clock_that_stands_before_1970_keeps_nothing_from_running() {
    let Some(library) = library() else {
        return crate::support::skip("faketime", "libfaketime is not installed, and the real clock is shared");
    };
    let queue = Queue::new();
    let before = |exec: Exec| exec.env("LD_PRELOAD", &library).env("FAKETIME", "1969-06-01 00:00:00");
    let done = before(queue.runner("exec", "--json --report report.json")).args(["--", "echo", "done"]).run();
    assert_eq!(done.assert_code(0).json()["data"]["stdout"], "done\n");
    let batch = before(queue.runner("batch", "--joblog log --junit junit.xml --each")).args(["--", "echo"]);
    batch.input("one\ntwo\n").run().assert_code(0);
    let _worker = before(queue.worker("run")).start();
    wait_until(SOON, "the worker", || queue.worker_pid().is_some());
    let submitted = before(queue.task("submit", &["--", "echo", "done"])).run();
    let id = submitted.assert_code(0).stdout_text().trim().to_owned();
    before(queue.task("list", &[])).run().assert_code(0);
    assert_eq!(queue.answer(&id).assert_code(0).json()["data"]["stdout"], "done\n");
}
