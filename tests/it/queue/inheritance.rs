//! A background worker inherits nothing from the process that started it; restrictions that remain are reported, and a
//! less restricted worker takes over.

use std::fs;

use serde_json::Value;

use crate::support::queue::{Queue, UNTIL_GO, id_of};
use crate::support::{Exec, OwnCgroup, SOON, cgroup_of, has_program, is_alive, is_root, wait_until};

/// A shell that runs this line and then `submit`, as a user who may not lift limits.
fn restricted(queue: &Queue, line: &str, submit: &str) -> Exec {
    let drop = if is_root() { "exec setpriv --bounding-set=-sys_resource,-sys_nice" } else { "exec" };
    queue.shell(&format!("{drop} sh -c '{line}; exec \"$RUN\" {submit}'"))
}

/// A line of /proc/PID/FILE.
#[track_caller]
fn field(pid: i32, file: &str, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_worker_inherits_nothing_from_its_starter() {
    let tools = ["taskset", "ionice", "choom", "chrt", "setarch"];
    if !tools.into_iter().all(has_program) {
        return;
    }
    let queue = Queue::new();
    let submit = "ulimit -S -f 400; ulimit -S -n 100; ulimit -S -t 1000; umask 0; \
                  exec taskset 1 ionice -c 3 chrt -b 0 choom -n 300 -- setarch -R \"$RUN\" task submit --secret-env TOKEN -- true";
    let submit = queue.shell(submit).env("TOKEN", "hunter2").env("OTHER", "hunter2").env("PATH_OF_MINE", "/x");
    let id = id_of(submit.run().assert_code(0).assert_silent());
    let worker = queue.worker_pid().expect("a worker");
    let own = std::process::id().cast_signed();
    assert_eq!(field(worker, "limits", "Max file size"), "unlimited unlimited bytes");
    assert!(field(worker, "limits", "Max cpu time").starts_with("unlimited"));
    assert!(!field(worker, "limits", "Max open files").starts_with("100 "));
    assert_eq!(field(worker, "status", "Cpus_allowed_list:"), field(1, "status", "Cpus_allowed_list:"));
    assert_eq!(field(worker, "status", "Umask:"), "0077");
    // Only root may read it, see proc_pid_personality(5).
    if is_root() {
        assert_eq!(field(worker, "personality", ""), field(own, "personality", ""));
    }
    // Reading it may need privilege, see proc_pid_timerslack_ns(5).
    if is_root() {
        assert_eq!(field(worker, "timerslack_ns", ""), "50000");
    }
    assert_eq!(field(worker, "oom_score_adj", ""), field(own, "oom_score_adj", ""));
    let policy = field(worker, "stat", "").rsplit(") ").next().and_then(|rest| {
        // Fields 19 and 41 of proc_pid_stat(5), counted from the third.
        let fields: Vec<&str> = rest.split(' ').collect();
        Some((fields.get(16)?.to_string(), fields.get(38)?.to_string()))
    });
    assert_eq!(policy, Some(("0".to_owned(), "0".to_owned())), "nice value and policy");
    let io_class = queue.shell(&format!("ionice -p {worker}")).run().stdout_text();
    assert!(!io_class.contains("idle"), "{io_class}");
    let environment = fs::read(format!("/proc/{worker}/environ")).expect("a process");
    let mut names: Vec<String> = environment
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty())
        .map(|entry| String::from_utf8_lossy(entry.split(|byte| *byte == b'=').next().unwrap_or_default()).into_owned())
        .collect();
    names.retain(|name| !["USER", "LOGNAME"].contains(&name.as_str()));
    names.sort();
    assert_eq!(names, ["HOME", "RUNNER_READY_PIPE", "RUNNER_STATE_DIR", "XDG_CONFIG_HOME"]);
    assert_eq!(queue.data("worker status", &[]).get("restrictions"), None);
    queue.complete(&[&id]);
}

#[test]
fn a_task_has_its_submitter_s_environment_and_the_default_limits() {
    let queue = Queue::new();
    let submit = "ulimit -S -f 400; ulimit -S -n 100; umask 027; \
                  exec \"$RUN\" task submit --env MINE -c 'ulimit -S -f; ulimit -S -n; umask; echo $MINE; pwd'";
    let id = id_of(queue.shell(submit).env("MINE", "own").run().assert_code(0));
    let answer = queue.answer(&id).assert_code(0).json();
    let text = answer["data"]["stdout"].as_str().expect("text").to_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], &lines[2..4]), ("unlimited", ["0027", "own"].as_slice()));
    assert!(lines[1].parse::<u64>().is_ok_and(|files| files > 100), "{text}");
    assert_eq!(lines[4], queue.path("").canonicalize().expect("a folder").display().to_string().trim_end_matches('/'));
}

#[test]
fn a_worker_leaves_the_control_group_of_its_starter() {
    let Some(group) = OwnCgroup::new() else { return };
    if !is_root() {
        return crate::support::skip("root", "an ordinary user may not leave a control group");
    }
    let queue = Queue::new();
    let submit = queue.runner("task submit", "-- true").with(|command| group.adopt(command));
    let id = id_of(submit.run().assert_code(0).assert_silent());
    let worker = queue.worker_pid().expect("a worker");
    let its = cgroup_of(&worker.to_string()).expect("a group");
    assert!(!its.starts_with(group.folder()), "{}", its.display());
    queue.complete(&[&id]);
}

/// The names of the worker's restrictions.
fn restrictions(queue: &Queue) -> Vec<String> {
    let list = queue.data("worker status", &[])["restrictions"].take();
    let names = list.as_array().into_iter().flatten().map(|one| one["name"].as_str().expect("a name").to_owned());
    names.collect()
}

#[test]
fn restrictions_are_reported_once_and_a_less_restricted_worker_takes_over() {
    if is_root() && !has_program("setpriv") {
        return;
    }
    for (line, name, shown) in
        [("ulimit -n 64", "open_files", "open files 64"), ("renice -n 5 -p $$ >/dev/null", "nice", "nice 5")]
    {
        let queue = Queue::new();
        let submit = restricted(&queue, line, &format!("task submit -c \"{UNTIL_GO}\""));
        let done = submit.run();
        let running = id_of(done.assert_code(0));
        let stderr = done.stderr_text();
        assert!(stderr.contains(shown) && stderr.lines().count() == 1, "{stderr}");
        queue.await_status(&running, "running");
        let first = queue.worker_pid().expect("a worker");
        assert_eq!(restrictions(&queue), [name]);
        assert!(queue.worker("status").run().stdout_text().contains(shown));
        // From an equally restricted shell: no second report, and the worker stays.
        let again = restricted(&queue, line, "task submit -- true").run();
        again.assert_code(0).assert_silent();
        queue.complete(&[&id_of(&again)]);
        assert_eq!(queue.worker_pid(), Some(first));
        let better = queue.runner("task submit", "-c").arg("ulimit -n; nice").run();
        let better_id = id_of(better.assert_code(0));
        assert!(better.stderr_text().contains("takes over"), "{}", better.stderr_text());
        // The running task finishes, and the old worker starts no other.
        assert_eq!(queue.status(&running)["status"], "running");
        assert!(is_alive(first));
        queue.touch("go");
        queue.complete(&[&running, &better_id]);
        wait_until(SOON, "the end of the old worker", || !is_alive(first));
        assert_eq!(restrictions(&queue), [""; 0]);
        let text = queue.task("logs", &[&better_id]).run().stdout_text();
        assert!(text.ends_with("\n0\n") && !text.starts_with("64\n"), "{text}");
    }
}

#[test]
fn a_waiting_successor_is_stopped_with_the_worker() {
    if is_root() && !has_program("setpriv") {
        return;
    }
    let queue = Queue::new();
    let submit = restricted(&queue, "ulimit -n 64", &format!("task submit -c \"{UNTIL_GO}\""));
    let running = id_of(submit.run().assert_code(0));
    queue.await_status(&running, "running");
    let better = queue.runner("task submit", "-- true").run();
    assert!(better.stderr_text().contains("takes over"), "{}", better.stderr_text());
    let better = id_of(better.assert_code(0));
    let stop = queue.worker("stop").start();
    let store = runner::store::Store::open(queue.state()).expect("the store");
    wait_until(SOON, "the stop request", || store.successor().expect("a setting").is_none());
    drop(store);
    queue.touch("go");
    stop.finish().assert_code(0);
    wait_until(SOON, "the end of both workers", || queue.processes().is_empty());
    assert_eq!(queue.status(&running)["status"], "completed");
    assert_eq!(queue.status(&better)["status"], "pending");
}

#[test]
fn a_file_size_limit_does_not_block_the_queue() {
    if is_root() && !has_program("setpriv") {
        return;
    }
    let queue = Queue::new();
    let done = restricted(&queue, "ulimit -f 1000", "task submit --json -- true").run();
    let first = done.assert_code(0).json()["data"]["task_id"].as_str().expect("an id").to_owned();
    assert!(done.stderr_text().contains("ulimit -f"), "{}", done.stderr_text());
    let second = queue.submit("", "true");
    queue.complete(&[&first, &second]);
    assert_eq!(restrictions(&queue), [""; 0]);
    let done = restricted(&queue, "ulimit -f 1000", "worker run --idle-exit 0").run();
    assert_ne!(done.status.code(), Some(0), "a worker in the foreground does not lift it either");
}

#[test]
fn a_worker_in_the_foreground_keeps_what_it_inherits() {
    if is_root() && !has_program("setpriv") {
        return;
    }
    let queue = Queue::new();
    let worker = restricted(&queue, "renice -n 5 -p $$ >/dev/null", "worker run").start();
    wait_until(SOON, "the worker", || queue.worker_pid().is_some());
    let pid = queue.worker_pid();
    let reported = queue.data("worker status", &[])["restrictions"].take();
    assert_eq!(reported, serde_json::json!([{"name": "nice", "value": "5", "usual": "0"}]));
    // It may be deliberate, like Nice= in a systemd unit.
    let id = queue.submit("", "nice");
    assert_eq!(queue.answer(&id).assert_code(0).json()["data"]["stdout"], Value::from("5\n"));
    assert_eq!(queue.worker_pid(), pid);
    queue.worker("stop").run().assert_code(0);
    worker.finish().assert_code(0);
}

/// The limit on file sizes is an error for the submitter, too, and no death.
#[test]
fn a_submit_under_a_low_limit_on_file_sizes_answers() {
    for limit in ["0", "1", "20", "100"] {
        let queue = Queue::new();
        let done = queue.shell(&format!("ulimit -S -f {limit}; exec \"$RUN\" task submit -- true")).run();
        assert!([Some(0), Some(125)].contains(&done.status.code()), "{limit}: {:?}", done.status);
    }
}

#[test]
fn a_state_folder_made_under_a_strict_umask_can_be_used() {
    for mask in ["777", "277", "600", "077"] {
        let queue = Queue::new();
        let submit = queue.shell(&format!("umask {mask}; exec \"$RUN\" task submit -- true"));
        let id = id_of(submit.run().assert_code(0));
        queue.answer(&id).assert_code(0);
    }
}
