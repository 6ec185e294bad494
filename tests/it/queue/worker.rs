//! The process that runs the tasks: there is one for a store, it comes when it is needed, and goes in good order.

use serde_json::{Value, json};

use crate::support::queue::{Queue, UNTIL_GO, id_of, kill};
use crate::support::{LIMIT, Running, SOON, is_alive, seconds, wait_until};

/// A worker of ours, which others wake and nobody had to start.
#[track_caller]
fn worker(queue: &Queue, options: &str) -> Running {
    let worker = queue.worker("run").args(options.split_whitespace()).start();
    wait_until(SOON, "the worker", || queue.worker_pid() == Some(worker.pid()));
    worker
}

#[test]
fn a_store_has_one_worker() {
    let queue = Queue::new();
    let id = queue.submit_running("", UNTIL_GO);
    let pid = queue.worker_pid();
    assert!(pid.is_some_and(is_alive));
    let done = queue.worker("run").run();
    assert_eq!(done.assert_code(1).answer()["error"]["code"], "CONFLICT");
    assert_eq!(queue.worker_pid(), pid);
    queue.touch("go");
    queue.complete(&[&id]);
}

#[test]
fn many_verbs_at_once_start_one_worker() {
    let queue = Queue::new();
    let line = "for n in 1 2 3 4 5 6 7 8; do \"$RUN\" task submit -c 'echo $PPID >>parents' >/dev/null & done; wait";
    queue.shell(line).run().assert_code(0).assert_silent();
    wait_until(SOON, "eight tasks", || queue.lines("parents").len() == 8);
    assert_eq!(queue.data("task stats", &[])["by_status"]["pending"], 0);
}

#[test]
fn the_worker_is_detached_from_whoever_started_it() {
    let queue = Queue::new();
    queue.submit_running("", UNTIL_GO);
    let pid = queue.worker_pid().expect("a worker");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let [group, session, terminal] = [fields[2], fields[3], fields[4]];
    assert_eq!([group, session, terminal], [&*pid.to_string(), &*pid.to_string(), "0"]);
    let link = |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).expect("a link");
    assert_eq!(link("cwd").to_str(), Some("/"));
    for stream in ["fd/0", "fd/1", "fd/2"] {
        assert_eq!(link(stream).to_str(), Some("/dev/null"));
    }
    queue.touch("go");
}

on_both_rungs! {
    fn no_helper_of_a_killed_worker_keeps_its_lock_or_its_bell(rung) {
        let queue = Queue::on(rung);
        let stuck = queue.submit_running("--on-crash retry", "sleep 1000 & wait");
        let pid = queue.worker_pid().expect("a worker");
        let helpers = queue.processes();
        assert!(helpers.len() > 1);
        // Whatever helps it is stopped, and so outlives it.
        for helper in helpers.iter().filter(|helper| **helper != pid) {
            crate::support::signal(*helper, libc::SIGSTOP);
        }
        kill(pid);
        assert_eq!(queue.worker_pid(), None);
        // No other verb comes: it is this one that finds nobody to ring for.
        queue.submit("", "touch ran");
        wait_until(LIMIT, "the task", || queue.path("ran").exists());
        queue.await_status(&stuck, "running");
        // A guard that goes on finds its worker dead, and ends.
        for helper in helpers.iter().filter(|helper| **helper != pid && queue.processes().contains(helper)) {
            crate::support::signal(*helper, libc::SIGCONT);
        }
    }
}

#[test]
fn a_worker_that_is_told_to_stop_drains() {
    let queue = Queue::new();
    queue.worker("scale 1").run().assert_code(0);
    let running = queue.submit_running("", &format!("{UNTIL_GO}; echo whole"));
    let waiting = queue.submit("", "true");
    let pid = queue.worker_pid().expect("a worker");
    let mut stop = queue.worker("stop --json").start();
    wait_until(SOON, "a worker that stops", || queue.data("worker status", &[])["stopping"] == true);
    assert!(!stop.has_ended() && is_alive(pid));
    let late = queue.task("submit -- true", &[]).run();
    assert!(late.assert_code(0).stderr_text().contains("was told to go"), "{}", late.stderr_text());
    queue.touch("go");
    let done = stop.finish();
    assert_eq!(done.assert_code(0).json()["data"]["pid"], pid);
    assert!(!is_alive(pid));
    let tasks = crate::support::parse(queue.shell("\"$RUN\" worker status --json").run().stdout_text().trim_end());
    assert_eq!(tasks["data"]["running"], false);
    // Verbs see to what is left.
    queue.complete(&[&waiting]);
    assert_eq!(queue.status(&running)["result"]["stdout"], "whole\n");
}

#[test]
fn a_worker_that_drains_can_be_told_to_hurry() {
    let queue = Queue::new();
    let id = queue.submit_running("", "sleep 1000");
    let drain = queue.worker("stop").start();
    wait_until(SOON, "a worker that stops", || queue.data("worker status", &[])["stopping"] == true);
    queue.worker("stop --now").run().assert_code(0);
    drain.finish().assert_code(0);
    assert_eq!(queue.status(&id)["status"], "cancelled");
}

#[test]
fn a_task_may_tell_its_worker_to_stop() {
    let queue = Queue::new();
    let id = queue.submit("", &format!("{} worker stop --json", env!("CARGO_BIN_EXE_runner")));
    let answer = queue.answer(&id).assert_code(0).json();
    let told = crate::support::parse(answer["data"]["stdout"].as_str().expect("text").trim_end());
    assert_eq!(told["data"]["gone"], false);
    let pid = told["data"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a worker");
    wait_until(SOON, "the end of the worker", || !is_alive(pid));
}

#[test]
fn a_task_does_not_wait_for_itself() {
    let queue = Queue::new();
    let runner = env!("CARGO_BIN_EXE_runner");
    let line =
        format!("{runner} task wait $RUNNER_TASK_ID; echo $?; {runner} task wait --for 0 $RUNNER_TASK_ID; echo $?");
    let answer = queue.answer(&queue.submit("", &line)).assert_code(0).json();
    assert_eq!(answer["data"]["stdout"], "1\n75\n");
    assert!(answer["data"]["stderr"].as_str().expect("text").contains("its own end"));
}

#[test]
fn who_waits_for_a_worker_that_is_stopped_hears_of_it() {
    let queue = Queue::new();
    let id = queue.submit_running("", UNTIL_GO);
    let pid = queue.worker_pid().expect("a worker");
    crate::support::signal(pid, libc::SIGSTOP);
    for options in ["stop", "stop --now"] {
        let done = queue.worker(options).run();
        let error = done.assert_code(125).answer()["error"].clone();
        assert_eq!(error["code"], "SERVICE_UNAVAILABLE");
        let help = error["remediation"].as_str().expect("text");
        assert!(help.contains(&format!("kill -CONT {pid}")), "{help}");
    }
    crate::support::signal(pid, libc::SIGCONT);
    wait_until(SOON, "the end of the worker", || !is_alive(pid));
    assert_eq!(queue.status(&id)["status"], "cancelled");
}

#[test]
fn a_worker_that_is_told_to_stop_now_cancels() {
    let queue = Queue::new();
    let id = queue.submit_running("", "echo some; trap 'echo told; exit' TERM; while :; do sleep 0.01; done");
    queue.await_task(&id, "output", |task| task["partial_result"]["stdout"] == "some\n");
    queue.worker("stop --now").run().assert_code(0);
    let answer = queue.answer(&id).assert_code(143).json();
    assert_eq!(answer["error"]["details"]["partial_result"]["stdout"], "some\ntold\n");
}

#[test]
fn one_that_may_run_twice_is_queued_again_by_a_stop() {
    let queue = Queue::new();
    let line = "[ -e go ] && echo again && exit; sleep 1000";
    let id = queue.submit_running("--on-crash retry", line);
    queue.task("pause", &[]).run().assert_code(0);
    queue.worker("stop --now").run().assert_code(0);
    assert_eq!(queue.status(&id)["status"], "pending");
    queue.touch("go");
    queue.task("resume", &[]).run().assert_code(0);
    assert_eq!(queue.answer(&id).assert_code(0).json()["data"]["stdout"], "again\n");
    assert_eq!(queue.status(&id)["attempts"], 2);
}

#[test]
fn a_worker_that_has_only_just_come_can_be_stopped() {
    let queue = Queue::new();
    for _ in 0..10 {
        queue.submit("--on-crash retry", "sleep 1000");
        queue.worker("stop --now").run().assert_code(0);
        assert_eq!(queue.worker_pid(), None);
    }
}

#[test]
fn where_no_worker_runs_there_is_none_to_stop() {
    let queue = Queue::new();
    let data = queue.data("worker stop", &[]);
    assert_eq!(data["pid"], Value::Null);
    assert!(!queue.state().exists(), "who asks stores nothing");
    let status = queue.data("worker status", &[]);
    assert_eq!((&status["running"], &status["busy"], &status["slots"]), (&json!(false), &json!(0), &json!(4)));
    assert!(!queue.state().exists());
}

#[test]
fn a_worker_in_the_foreground_obeys_a_signal() {
    let queue = Queue::new();
    let worker = worker(&queue, "");
    let id = queue.submit_running("", "sleep 1000");
    worker.signal(libc::SIGTERM);
    worker.finish().assert_tree_dead();
    let task = queue.status(&id);
    assert_eq!((&task["status"], &task["exit_code"]), (&json!("cancelled"), &json!(143)));
}

#[test]
fn a_detached_worker_obeys_a_signal() {
    let queue = Queue::new();
    let [lost, kept] = ["", "--on-crash retry"].map(|options| queue.submit_running(options, "sleep 1000"));
    let pid = queue.worker_pid().expect("a worker");
    queue.task("pause", &[]).run().assert_code(0);
    crate::support::signal(pid, libc::SIGTERM);
    wait_until(SOON, "the end of the worker", || !is_alive(pid));
    assert_eq!(queue.status(&lost)["status"], "cancelled");
    assert_eq!(queue.status(&kept)["status"], "pending");
}

#[test]
fn a_worker_whose_store_was_removed_begins_nothing_more() {
    let queue = Queue::new();
    queue.worker("scale 1").run().assert_code(0);
    queue.submit_running("", &format!("{UNTIL_GO}; touch first"));
    queue.submit("", "touch second");
    let pid = queue.worker_pid().expect("a worker");
    std::fs::remove_dir_all(queue.state()).expect("our own folder");
    queue.touch("go");
    wait_until(SOON, "the end of the worker", || !is_alive(pid));
    assert!(queue.path("first").exists() && !queue.path("second").exists());
}

#[test]
fn a_worker_without_work_goes_and_comes_again() {
    let queue = Queue::new();
    let first = worker(&queue, "--idle-exit 0.2s");
    let id = queue.submit("", "true");
    queue.complete(&[&id]);
    first.finish().assert_code(0).assert_took_between(seconds(0.2), LIMIT);
    assert_eq!(queue.worker_pid(), None);
    let id = queue.submit("", "true");
    queue.complete(&[&id]);
}

#[test]
fn a_worker_stays_while_a_task_is_to_come() {
    let queue = Queue::new();
    let id = queue.submit("--delay 1.5s", "true");
    queue.worker("stop").run().assert_code(0);
    let worker = queue.worker("run --idle-exit 0.1s").start();
    let pid = i64::from(worker.pid());
    // Nobody else is there to run it.
    worker.finish().assert_code(0);
    assert_eq!(queue.status(&id)["status"], "completed");
    assert_eq!(last_worker(&queue), pid);
}

/// The worker that was there last, by what is stored of it.
fn last_worker(queue: &Queue) -> i64 {
    let store = runner::store::Store::open(queue.state()).expect("the store");
    store.worker().expect("a record").expect("a worker").pid.into()
}

/// Each submit meets a worker that may just be going; none waits in vain.
#[test]
fn no_task_is_lost_to_a_worker_that_is_going() {
    let queue = Queue::new();
    let workers = "while [ ! -e stop ]; do \"$RUN\" worker run --idle-exit 0 2>/dev/null; done";
    let workers = queue.shell(workers).start();
    for round in 0..60 {
        let id = queue.submit("", &format!("echo {round} >>log"));
        // No verb looks after it: whoever was rung, or started by the submit, has to.
        wait_until(SOON, &format!("task {id} of round {round}"), || queue.lines("log").len() > round);
    }
    queue.touch("stop");
    queue.worker("stop").run().assert_code(0);
    drop(workers);
}

#[test]
fn a_task_whose_worker_cannot_begin_is_stored_and_waits() {
    let queue = Queue::new();
    std::fs::create_dir_all(queue.state().join("worker.lock")).expect("a folder in the place of the lock");
    let done = queue.runner("task submit", "--json -- true").run();
    // One answer, and no code that says that nothing was stored.
    let id = done.assert_code(0).json()["data"]["task_id"].as_str().expect("an id").to_owned();
    assert!(done.stderr_text().contains("worker"), "{}", done.stderr_text());
    let done = queue.runner("task submit", "--wait --json -- true").run();
    assert_eq!(done.assert_code(125).json()["status"], "error", "there is nobody to wait for");
    std::fs::remove_dir(queue.state().join("worker.lock")).expect("an empty folder");
    queue.complete(&[&id]);
}

#[test]
fn a_submit_inside_a_job_stores_warns_and_starts_no_worker() {
    let queue = Queue::new();
    let run = queue.runner("exec", "").job([env!("CARGO_BIN_EXE_runner"), "task", "submit", "-c", "echo ran"]);
    let done = run.run();
    let id = id_of(done.assert_code(0).assert_tree_dead());
    assert!(done.stderr_text().contains("worker"), "{}", done.stderr_text());
    assert_eq!(queue.worker_pid(), None);
    // The next verb outside starts one.
    assert_eq!(queue.answer(&id).assert_code(0).json()["data"]["stdout"], "ran\n");
}

#[test]
fn a_task_may_submit_others() {
    let queue = Queue::new();
    let line =
        format!("{} task submit -c 'echo inner >>log'", crate::support::queue::quoted(env!("CARGO_BIN_EXE_runner")));
    let id = queue.submit("", &line);
    let answer = queue.answer(&id).assert_code(0).json();
    assert_eq!(answer["data"]["stderr"], "", "it has a worker");
    let inner = answer["data"]["stdout"].as_str().expect("an id").trim().to_owned();
    queue.complete(&[&inner]);
    assert_eq!(queue.lines("log"), ["inner"]);
}

#[test]
fn a_worker_cleans_away_what_has_reached_its_age() {
    let queue = Queue::new();
    let old = queue.submit("", "echo old");
    queue.complete(&[&old]);
    queue.worker("stop").run().assert_code(0);
    std::fs::create_dir_all(queue.path("config/runner")).expect("a folder");
    queue.write("config/runner/config.toml", "[queue]\nmax-task-age = \"1ms\"\n");
    let _worker = queue.worker("run").env("XDG_CONFIG_HOME", queue.path("config")).start();
    wait_until(SOON, "an empty queue", || queue.data("task stats", &[])["total"] == 0);
    assert_eq!(std::fs::read_dir(queue.state().join("logs")).expect("logs").count(), 0);
}

#[test]
fn two_stores_know_nothing_of_each_other() {
    let queues = [Queue::new(), Queue::new()];
    let ids = queues.each_ref().map(|queue| queue.submit_running("", UNTIL_GO));
    let [one, other] = queues.each_ref().map(|queue| queue.worker_pid().expect("a worker"));
    assert_ne!(one, other);
    assert_eq!(queues[0].task("status", &[&ids[1]]).run().status.code(), Some(1));
    queues[0].worker("stop --now").run().assert_code(0);
    assert!(is_alive(other));
    assert_eq!(queues[0].status(&ids[0])["status"], "cancelled");
    assert_eq!(queues[1].status(&ids[1])["status"], "running");
    queues[1].touch("go");
    queues[1].complete(&[&ids[1]]);
}

/// How often the threads of a process have gone to sleep.
fn switches(pid: i32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process").flatten();
    let statuses = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok());
    let count =
        |line: &str| line.strip_prefix("voluntary_ctxt_switches:").and_then(|count| count.trim().parse::<u64>().ok());
    statuses.map(|status| status.lines().filter_map(count).sum::<u64>()).sum()
}

/// It comes to rest, and then nothing wakes it, however often others look at the store.
#[track_caller]
fn assert_rests(queue: &Queue) {
    let pid = queue.worker_pid().expect("a worker");
    let look = || queue.data("worker status", &[]);
    let mut before = switches(pid);
    wait_until(SOON, "a worker at rest", || {
        (0..3).for_each(|_| _ = look());
        let now = switches(pid);
        std::mem::replace(&mut before, now) == now
    });
    (0..30).for_each(|_| _ = look());
    let woken = switches(pid) - before;
    assert!(woken <= 1, "it woke up {woken} times");
}

#[test]
fn an_idle_worker_does_not_wake_up() {
    let queue = Queue::new();
    let id = queue.submit("", "true");
    queue.complete(&[&id]);
    assert_rests(&queue);
}

#[test]
fn a_worker_that_drains_rests_while_its_tasks_do() {
    let queue = Queue::new();
    queue.worker("scale 1").run().assert_code(0);
    queue.submit_running("", "exec sleep 1000");
    let delayed = queue.submit("--delay 0.5s", "true");
    let drain = queue.worker("stop").start();
    wait_until(SOON, "a worker that drains", || queue.data("worker status", &[])["stopping"] == true);
    queue.await_task(&delayed, "its time", |task| {
        let due = task["not_before"].as_str().and_then(|time| humantime::parse_rfc3339(time).ok()).expect("a time");
        due.elapsed().is_ok()
    });
    // A task is due that it will not begin any more.
    assert_rests(&queue);
    queue.worker("stop --now").run().assert_code(0);
    drain.finish().assert_code(0);
}

/// Sets how many descriptors a process may have open. False where that is not possible here.
fn limit_descriptors(pid: i32, soft: &str) -> bool {
    let words = ["--pid", &pid.to_string(), &format!("--nofile={soft}:")].map(str::to_owned);
    #[expect(clippy::disallowed_methods, reason = "a program of the system acts on the worker")]
    let mut prlimit = std::process::Command::new("prlimit");
    prlimit.args(words).status().is_ok_and(|status| status.success())
}

#[test]
fn a_worker_whose_bell_fails_opens_it_again() {
    let queue = Queue::new();
    let mut worker = worker(&queue, "");
    // poll(2) of two descriptors fails where only one may be open.
    if !limit_descriptors(worker.pid(), "1") {
        return crate::support::skip("prlimit", "the limits of another process cannot be set here");
    }
    std::fs::write(queue.state().join("worker.bell"), [0]).expect("a ring");
    worker.wait_for_stderr("failed to listen to the bell");
    assert!(limit_descriptors(worker.pid(), "1024"));
    let id = queue.submit("", "true");
    queue.complete(&[&id]);
    assert_eq!(queue.worker_pid(), Some(worker.pid()), "it is the same worker");
}
