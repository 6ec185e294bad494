//! A worker that is killed at any instant loses no task, and runs none twice that may not; a killed submitter leaves a
//! whole task or none.

#![expect(clippy::disallowed_methods, reason = "a test draws chance from the clock, and measures time")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::support::queue::{Queue, UNTIL_GO, id_of, kill};
use crate::support::{LIMIT, Rung, SOON, cgroup_or_reason_to_skip, is_alive, parse, seconds, wait_until};

const KILLS: usize = 100;
/// So many tasks come with each kill.
const TASKS: usize = 3;

/// A number as good as chance, from a seed that is printed.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let given = std::env::var("RUNNER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64);
        Self(given.unwrap_or_else(clock).max(1))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Tells with which chances a test passed.
#[expect(clippy::print_stderr, reason = "shown by the test harness with --nocapture")]
fn say(log: &str) {
    eprintln!("{log}");
}

/// What may be done with a task whose worker died.
fn may_run_twice(n: usize) -> bool {
    n % 2 == 1
}

/// A task of some milliseconds. It notes each beginning and each end, and a word where it ever runs twice at once: its
/// processes, one of a session of its own among them, hold a lock.
fn job(n: usize, chance: &mut Chance) -> Value {
    let (milliseconds, apart) = (5 + chance.below(46), chance.below(3) == 0);
    let child = if apart { "setsid sleep 100 & " } else { "" };
    let line = format!(
        "exec 9>lock.{n}; flock -n 9 || echo {n} >>overlaps; echo {n} >>began; {child}sleep 0.0{milliseconds:02}; \
         echo {n} >>ended"
    );
    json!({"id": n.to_string(), "shell": line, "name": n.to_string(), "leftovers": "kill"})
}

/// Submits some of each policy. Gives their ids.
fn submit(queue: &Queue, from: usize, chance: &mut Chance) -> Vec<(usize, String)> {
    let jobs: Vec<(usize, Value)> = (from..from + TASKS).map(|n| (n, job(n, chance))).collect();
    let mut submitted = Vec::new();
    for (policy, twice) in [("fail", false), ("retry", true)] {
        let of_policy: Vec<&(usize, Value)> = jobs.iter().filter(|(n, _)| may_run_twice(*n) == twice).collect();
        let lines: String = of_policy.iter().map(|(_, job)| format!("{job}\n")).collect();
        let done = queue.runner("task submit", &format!("--on-crash {policy} --from -")).input(lines).run();
        let printed = done.assert_code(0).stdout_text();
        let ids: Vec<&str> = printed.lines().collect();
        assert_eq!(ids.len(), of_policy.len());
        submitted.extend(of_policy.iter().zip(ids).map(|((n, _), id)| (*n, id.to_owned())));
    }
    submitted
}

/// How often each number stands in a file.
fn counts(queue: &Queue, name: &str) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for line in queue.lines(name) {
        *counts.entry(line.parse().expect("a number")).or_default() += 1;
    }
    counts
}

#[track_caller]
fn assert_sound(queue: &Queue) {
    let store = runner::store::Store::open(queue.state()).expect("the store opens");
    assert!(store.is_sound().expect("the store can be read"), "the store is damaged");
}

fn holder(queue: &Queue) -> Option<i32> {
    runner::platform::lock::holder(&runner::worker::lock_file(queue.state())).expect("the lock can be read")
}

/// Every task is there and has an end that its policy allows.
#[track_caller]
fn assert_complete(queue: &Queue, ids: &[(usize, String)], log: &str) {
    let data = queue.data("task list", &["--limit", "100000"]);
    let tasks: BTreeMap<&str, &Value> = data["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| (task["task_id"].as_str().expect("an id"), task))
        .collect();
    assert_eq!(tasks.len(), ids.len(), "{log}");
    let (began, ended) = (counts(queue, "began"), counts(queue, "ended"));
    let mut lost = 0;
    for (n, id) in ids {
        let task = tasks.get(&**id).unwrap_or_else(|| panic!("task {n}, {id}, is not there: {log}"));
        let count = |counts: &BTreeMap<usize, usize>| counts.get(n).copied().unwrap_or_default();
        let (began, ended) = (count(&began), count(&ended));
        assert!(began >= ended, "task {n}: {log}");
        match task["status"].as_str() {
            Some("completed") if may_run_twice(*n) => assert!(ended >= 1, "task {n}: {log}"),
            Some("completed") => assert_eq!((began, ended), (1, 1), "task {n} ran twice: {log}"),
            // One that may run twice is given up after many kills that all hit it.
            Some("failed") if !may_run_twice(*n) || task["attempts"].as_u64() > Some(10) => {
                lost += 1;
                assert!(may_run_twice(*n) || began <= 1, "task {n} ran twice: {log}");
                let error = &queue.status(id)["error"];
                let found = (&error["code"], &error["details"]["reason"]);
                assert_eq!(found, (&json!("SERVICE_UNAVAILABLE"), &json!("worker_lost")), "{error:#}");
            }
            other => panic!("task {n} is {other:?}: {task:#}\n{log}"),
        }
    }
    assert!(lost > 0, "no kill hit a task: {log}");
    assert_eq!(queue.read("overlaps"), "", "tasks ran while what was left of them still did: {log}");
    assert_eq!(queue.data("task stats", &[])["lifetime"]["worker_lost"], lost, "{log}");
}

on_both_rungs! {
    fn a_worker_that_is_killed_at_any_instant_loses_nothing(rung) {
        let mut chance = Chance::new();
        let mut log = format!("RUNNER_TEST_SEED={}", chance.0);
        let queue = Queue::on(rung);
        let mut ids = Vec::new();
        let mut kills = 0;
        while kills < KILLS {
            ids.extend(submit(&queue, ids.len(), &mut chance));
            // One that had nothing to do any more need not be there.
            let delay = Duration::from_micros(chance.below(80_000));
            let due = Instant::now() + delay;
            wait_until(SOON, "the instant of the kill", || Instant::now() >= due);
            let Some(pid) = holder(&queue) else { continue };
            kill(pid);
            kills += 1;
            _ = write!(log, " {}us", delay.as_micros());
            assert_sound(&queue);
        }
        let all: Vec<&str> = ids.iter().map(|(_, id)| &**id).collect();
        queue.task("wait --for 60s", &all).start().finish_within(seconds(70.0));
        assert_complete(&queue, &ids, &log);
        assert_sound(&queue);
        queue.end();
        say(&log);
    }

    fn the_worker_contains_its_tasks_as_it_was_told(rung) {
        let queue = Queue::on(rung);
        let id = queue.submit_running("", "sleep 1000");
        queue.task("cancel", &[&id]).run().assert_code(0);
        let answer = queue.answer(&id).assert_code(143).json();
        assert_eq!(answer["error"]["details"]["termination"]["containment"], rung.word(), "{answer:#}");
    }

    fn nothing_of_a_killed_worker_s_tasks_lives_on(rung) {
        let queue = Queue::on(rung);
        let line = "setsid sleep 1000 & (trap '' TERM; exec sleep 1000) & echo here; echo there >&2; wait";
        let id = queue.submit("", line);
        queue.await_task(&id, "output", |task| {
            task["partial_result"]["stdout"] == "here\n" && task["partial_result"]["stderr"] == "there\n"
        });
        let before = queue.processes();
        assert!(before.len() >= 4, "{before:?}");
        queue.kill_worker();
        // The verb that asks starts another worker, which ends what is left before it says what became of the task.
        let answer = queue.answer(&id).assert_code(125).json();
        let error = &answer["error"];
        let found = (&error["code"], &error["details"]["reason"]);
        assert_eq!(found, (&json!("SERVICE_UNAVAILABLE"), &json!("worker_lost")), "{answer:#}");
        let partial = &error["details"]["partial_result"];
        assert_eq!((&partial["stdout"], &partial["stderr"]), (&json!("here\n"), &json!("there\n")));
        assert!(before.iter().all(|pid| !is_alive(*pid)), "{before:?}");
        let task = queue.status(&id);
        assert_eq!((&task["status"], &task["exit_code"], &task["attempts"]), (&json!("failed"), &json!(125), &json!(1)));
    }

    fn what_its_helpers_left_is_found_by_its_mark(rung) {
        let queue = Queue::on(rung);
        assert!(!is_alive(orphan_after_crash(&queue, "setsid sleep 1000")));
    }
}

/// With a control group a process need not bear any mark.
#[test]
fn what_bears_no_mark_is_found_by_its_control_group() {
    if cgroup_or_reason_to_skip().is_none() {
        return;
    }
    let queue = Queue::on(Rung::Cgroup);
    let orphan = orphan_after_crash(&queue, "env -i setsid sleep 1000");
    let lives = is_alive(orphan);
    if lives {
        crate::support::signal(orphan, libc::SIGKILL);
    }
    assert!(!lives, "it lived on");
}

/// A task of this one process loses its worker and whoever would end it then. Gives the process once the task has run
/// again.
#[track_caller]
fn orphan_after_crash(queue: &Queue, orphan: &str) -> i32 {
    let line = format!("[ -e again ] && exit; {orphan} & echo $! >pid; wait");
    let id = queue.submit("--on-crash retry", &line);
    wait_until(SOON, "the job", || queue.read("pid").ends_with('\n'));
    let orphan: i32 = queue.read("pid").trim().parse().expect("a pid");
    let program = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    wait_until(SOON, "the program", || program(orphan).is_some_and(|program| program.ends_with("sleep")));
    queue.touch("again");
    let pid = queue.worker_pid().expect("a worker");
    // Whoever would end the job is dead before the worker is.
    crate::support::signal(pid, libc::SIGSTOP);
    for helper in queue.processes().into_iter().filter(|helper| *helper != pid && program(*helper) == program(pid)) {
        crate::support::signal(helper, libc::SIGKILL);
    }
    kill(pid);
    queue.complete(&[&id]);
    assert_eq!(queue.status(&id)["attempts"], 2);
    orphan
}

#[test]
fn a_cancel_that_the_worker_did_not_live_to_see_holds() {
    let queue = Queue::new();
    let id = queue.submit_running("--on-crash retry", "sleep 1000");
    let pid = queue.worker_pid().expect("a worker");
    crate::support::signal(pid, libc::SIGSTOP);
    let cancel = queue.task("cancel", &[&id]).start();
    let store = runner::store::Store::open(queue.state()).expect("the store");
    wait_until(SOON, "the wish", || store.unwanted().expect("the store can be read").len() == 1);
    kill(pid);
    cancel.finish().assert_code(0);
    assert_eq!(queue.answer(&id).assert_code(143).json()["error"]["code"], "CANCELLED");
}

#[test]
fn a_wait_outlives_the_worker() {
    let queue = Queue::new();
    let id = queue.submit_running("--on-crash retry", &format!("{UNTIL_GO}; echo done"));
    let wait = queue.task("wait --json", &[&id]).start();
    queue.kill_worker();
    queue.touch("go");
    // Nobody else asks: it starts another one by itself.
    assert_eq!(wait.finish().assert_code(0).json()["data"]["stdout"], "done\n");
}

#[test]
fn a_notice_that_the_worker_did_not_live_to_see_is_told_again() {
    let queue = Queue::new();
    let line = format!("cat >/dev/null; touch began; {UNTIL_GO}");
    let submit = queue.runner("task submit", "--on-done").arg(&line).args(["--", "true"]);
    let id = id_of(submit.run().assert_code(0));
    wait_until(SOON, "the notice", || queue.path("began").exists());
    queue.kill_worker();
    queue.touch("go");
    // The task has finished, but its notice is pending and needs a worker.
    queue.complete(&[&id]);
    let task = queue.await_task(&id, "delivered", |task| task["notices"][0]["delivered"] == true);
    assert_eq!(task["status"], "completed");
}

#[test]
fn a_worker_that_dies_again_and_again_keeps_counting() {
    let queue = Queue::new();
    let id = queue.submit("--on-crash retry", &format!("echo x >>began; {UNTIL_GO}"));
    for round in 1..=3 {
        wait_until(LIMIT, "another beginning", || queue.lines("began").len() == round);
        assert_eq!(queue.status(&id)["attempts"], round);
        queue.kill_worker();
        queue.task("wait --for 0", &[&id]).run().assert_code(75);
    }
    queue.touch("go");
    queue.complete(&[&id]);
    assert_eq!(queue.status(&id)["attempts"], 4);
}

#[test]
fn a_log_that_is_followed_outlives_the_worker() {
    let queue = Queue::new();
    let id = queue.submit("--on-crash retry", &format!("[ -e go ] || echo first; {UNTIL_GO}; echo last"));
    let mut follow = queue.task("logs -f", &[&id]).start();
    follow.wait_for_stdout("first\n");
    queue.kill_worker();
    queue.touch("go");
    // It starts another worker, since nobody else asks.
    let text = follow.finish().assert_code(0).stdout_text();
    assert!(text.starts_with("first\n") && text.ends_with("last\n"), "{text}");
}

#[test]
fn followers_of_a_lost_task_fail_with_it() {
    let queue = Queue::new();
    let id = queue.submit_running("", "sleep 1000");
    let follower = queue.submit(&format!("--after {id}"), "true");
    queue.kill_worker();
    assert_eq!(queue.answer(&follower).assert_code(125).json()["error"]["code"], "DEPENDENCY_ERROR");
}

#[test]
fn a_killed_submitter_leaves_a_whole_task_or_none() {
    let mut chance = Chance::new();
    let mut log = format!("RUNNER_TEST_SEED={}", chance.0);
    for _ in 0..6 {
        // A new store each time, so that its making is hit, too.
        let queue = Queue::new();
        let mut printed = Vec::new();
        for n in 0..10 {
            let mut submit = queue.runner("task submit", "").args(["-c", &format!("echo {n} >>ran")]).start();
            let delay = Duration::from_micros(chance.below(30_000));
            _ = write!(log, " {}us", delay.as_micros());
            let due = Instant::now() + delay;
            while Instant::now() < due && !submit.has_ended() {
                submit.wait_a_little();
            }
            if !submit.has_ended() {
                submit.signal(libc::SIGKILL);
            }
            let done = submit.finish();
            if !done.stdout.is_empty() {
                printed.push((n, id_of(&done)));
            }
        }
        let whole = id_of(queue.runner("task submit", "-- true").run().assert_code(0));
        queue.complete(&[&whole]);
        wait_until(LIMIT, "the end of all", || queue.data("task stats", &[])["queue_length"] == 0);
        for (n, id) in &printed {
            queue.complete(&[id]);
            assert!(counts(&queue, "ran").contains_key(n), "{log}");
        }
        let list = queue.task("list --json --limit 100", &[]).run();
        let tasks = parse(list.stdout_text().trim_end())["data"]["tasks"].as_array().map_or(0, Vec::len);
        assert!(tasks > printed.len(), "{log}");
        assert!(counts(&queue, "ran").values().all(|count| *count == 1), "{log}");
        assert_sound(&queue);
    }
    say(&log);
}
