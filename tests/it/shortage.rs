//! Descriptors, processes or memory that lack for a start delay it: jobs wait and are tried again, the limit is named, and
//! nothing fails for it that can run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::queue::Queue;
use crate::support::{
    Exec, LIMIT, SOON, batch_with, copy_program, exec, exec_with, folder, is_root, limit_to, runner, runner_at,
    seconds, set_mode, skip,
};

/// Processes of this user are started by one test alone, so that a limit on them counts nothing else.
fn lonely_user() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    1_000_000 + (std::process::id() % 10_000) * 10 + next
}

/// A copy of runner that every user may run, as a user who may have so many processes.
fn with_few_processes(place: &Path, most: u64) -> std::process::Command {
    use std::os::unix::process::CommandExt;
    set_mode(place, 0o755);
    copy_program(Path::new(env!("CARGO_BIN_EXE_runner")), &place.join("runner"));
    let mut command = runner_at(&place.join("runner"));
    let user = lonely_user();
    command.current_dir("/").env("HOME", "/nonexistent").uid(user).gid(user);
    limit_to(&mut command, libc::RLIMIT_NPROC, most);
    command
}

fn items(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// The lines of stderr that say that something is short.
fn said(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| line.contains("waiting to start")).collect()
}

#[track_caller]
fn assert_all_succeed_and_one_line_says_why(exec: Exec, count: usize, limit: &str) {
    let done = exec.run();
    done.assert_code(0).assert_tree_dead();
    let mut printed: Vec<usize> = done.stdout_text().lines().map(|line| line.parse().expect("a number")).collect();
    printed.sort_unstable();
    assert_eq!(printed, (0..count).collect::<Vec<_>>());
    let stderr = done.stderr_text();
    assert_eq!(said(&stderr).len(), 1, "{stderr}");
    assert!(said(&stderr)[0].contains(limit), "{stderr}");
}

#[test]
fn a_batch_under_a_low_limit_on_processes_runs_fewer_jobs_at_a_time_and_loses_none() {
    if !is_root() {
        return skip("root", "only root can become a user without other processes");
    }
    for line in ["sleep 0.05; echo {}", "echo {}"] {
        let place = folder();
        let command = with_few_processes(place.path(), 30);
        let batch = batch_with(command, "-j40 -c").arg(line).arg(":::").args(items(100));
        assert_all_succeed_and_one_line_says_why(batch, 100, "ulimit -u");
    }
}

#[test]
fn a_batch_under_a_low_limit_on_descriptors_runs_fewer_jobs_at_a_time_and_loses_none() {
    for limit in [48, 64] {
        let mut command = runner();
        limit_to(&mut command, libc::RLIMIT_NOFILE, limit);
        let batch = batch_with(command, "-j40 -c").arg("sleep 0.05; echo {}").arg(":::").args(items(100));
        assert_all_succeed_and_one_line_says_why(batch, 100, &format!("ulimit -n: {limit}"));
    }
}

#[test]
fn a_batch_that_can_start_nothing_ends_with_the_limit_and_skips_the_rest() {
    let mut command = runner();
    limit_to(&mut command, libc::RLIMIT_NOFILE, 18);
    let done = batch_with(command, "-j2 --").args(["echo", ":::"]).args(items(50)).run();
    done.assert_code(125).assert_took_between(seconds(3.0), LIMIT);
    let stderr = done.stderr_text();
    assert!(stderr.contains("no job can be started") && stderr.contains("ulimit -n: 18"), "{stderr}");
    assert!(stderr.contains(" 3 failed, "), "{stderr}");
}

#[test]
fn one_job_is_tried_for_a_while_and_then_the_error_names_the_limit() {
    for options in ["--json", "--json --pty"] {
        let mut command = runner();
        limit_to(&mut command, libc::RLIMIT_NOFILE, 14);
        let done = exec_with(command, options).job(["true"]).run();
        done.assert_code(125).assert_took_between(seconds(0.9), SOON);
        let answer = done.json();
        assert_eq!(answer["error"]["code"], "SERVICE_UNAVAILABLE", "{answer:#}");
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("the limit on open files (ulimit -n: 14) is reached"), "{message}");
        let remediation = answer["error"]["remediation"].as_str().unwrap_or_default();
        assert!(remediation.contains("ulimit -n"), "{remediation}");
        assert_eq!(said(&done.stderr_text()).len(), 1);
    }
}

/// A control group of version 1 or 2 that allows so few processes. Removed with its last process.
struct PidsGroup(PathBuf);

impl PidsGroup {
    fn new(most: u64) -> Option<Self> {
        let name = format!("runner-test-{}-{most}", std::process::id());
        let roots = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"];
        let root = roots.into_iter().map(Path::new).find(|root| {
            let handed_down = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
            root.ends_with("pids") && root.exists() || handed_down.contains("pids")
        })?;
        let path = root.join(name);
        fs::create_dir(&path).ok()?;
        let group = Self(path);
        fs::write(group.0.join("pids.max"), most.to_string()).ok()?;
        Some(group)
    }

    fn allow(&self, most: u64) {
        fs::write(self.0.join("pids.max"), most.to_string()).expect("our own group");
    }

    /// runner, started in the group.
    #[expect(clippy::disallowed_methods, reason = "a test starts a shell")]
    fn runner(&self, verb: &str, options: &str) -> Exec {
        let mut shell = std::process::Command::new("sh");
        crate::support::clean(&mut shell);
        let line = "echo $$ >\"$GROUP/cgroup.procs\" && exec \"$RUN\" \"$@\"";
        let shell = crate::support::verb_with(shell, "-c", "").arg(line).arg("sh").arg(verb);
        let shell = shell.args(options.split_whitespace());
        shell.env("GROUP", &self.0).env("RUN", env!("CARGO_BIN_EXE_runner"))
    }
}

impl Drop for PidsGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_batch_in_a_small_control_group_runs_fewer_jobs_at_a_time_and_loses_none() {
    let Some(group) = PidsGroup::new(20) else { return skip("pids", "no control group of processes can be made") };
    let batch = group.runner("batch", "-j40 -c").arg("sleep 0.05; echo {}").arg(":::").args(items(60));
    assert_all_succeed_and_one_line_says_why(batch, 60, "pids.max");
}

#[test]
fn one_job_waits_for_processes_and_starts_when_there_are_some() {
    let Some(group) = PidsGroup::new(4) else { return skip("pids", "no control group of processes can be made") };
    let mut run = group.runner("exec", "--timeout 60").job(["echo", "ran"]).start();
    run.wait_for_stderr("pids.max: 4");
    group.allow(100);
    let done = run.finish();
    done.assert_code(0).assert_tree_dead();
    assert_eq!(done.stdout_text(), "ran\n");
    assert_eq!(said(&done.stderr_text()).len(), 1);
}

#[test]
fn a_job_that_waits_for_processes_costs_next_to_nothing_and_heeds_its_time_limit_and_signals() {
    let Some(group) = PidsGroup::new(5) else { return skip("pids", "no control group of processes can be made") };
    // The shell that becomes runner has three threads then, and the guard is the fourth process: its child is one too many.
    group.allow(4);
    let done = group.runner("exec", "--timeout 2 --json").job(["true"]).run();
    done.assert_code(125).assert_took_between(seconds(2.0), SOON);
    assert!(done.stdout_text().contains("pids.max: 4"), "{}", done.stdout_text());
    let mut run = group.runner("exec", "").job(["true"]).start();
    run.wait_for_stderr("waiting to start");
    run.signal(libc::SIGTERM);
    let done = run.finish();
    done.assert_code(143);
    assert!(done.stderr_text().contains("CANCELLED"), "{}", done.stderr_text());
}

#[test]
fn tasks_wait_while_descriptors_are_short() {
    let queue = Queue::new();
    queue.worker("scale 20").run().assert_code(0);
    let list: String = (0..100).map(|_| "{\"cmd\": [\"sleep\", \"0.02\"]}\n").collect();
    queue.write("list", &list);
    let worker = queue.worker("run --idle-exit 2s").with(|command| limit_to(command, libc::RLIMIT_NOFILE, 48));
    let running = worker.start();
    queue.runner("task submit", "--from").arg(queue.path("list")).run().assert_code(0);
    let done = running.finish();
    done.assert_code(0);
    let stderr = done.stderr_text();
    assert_eq!(stderr.matches("tasks wait to be started: the limit on open files").count(), 1, "{stderr}");
    let tasks = queue.runner("task", "list --json --limit 1000").run().json();
    let statuses: Vec<&str> =
        tasks["data"]["tasks"].as_array().expect("tasks").iter().filter_map(|task| task["status"].as_str()).collect();
    assert_eq!(statuses, vec!["completed"; 100], "{stderr}");
}

#[test]
fn a_limit_that_is_not_met_is_not_spoken_of() {
    exec("").job(["true"]).run().assert_code(0).assert_silent();
}
