//! Without a /proc of our own PID namespace a job is still ended, on time and whole, and nothing else is.

use std::path::Path;

use crate::support::{Exec, Rung, has_program, is_root, runner_at, seconds, skip, strings, verb_with};

/// What is at /proc.
#[derive(Clone, Copy, Debug)]
enum Proc {
    /// Nothing: it was unmounted.
    Gone,
    /// Another, empty file system.
    Empty,
    /// That of the namespace around ours.
    Outer,
}

/// `runner` with such a /proc; none where this machine lets us make none, which is recorded.
fn verb_below(proc: Proc, verb: &str, options: &str) -> Option<Exec> {
    if !is_root() {
        skip("root", "only root makes namespaces everywhere");
        return None;
    }
    if !has_program("unshare") {
        return None;
    }
    let runner = env!("CARGO_BIN_EXE_runner");
    let mut command = runner_at(Path::new("unshare"));
    match proc {
        Proc::Gone => command.args(["-m", "sh", "-c", "umount -l /proc && exec \"$@\"", "sh", runner]),
        Proc::Empty => command.args(["-m", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh", runner]),
        Proc::Outer => command.args(["-p", "-f", "--kill-child", runner]),
    };
    Some(verb_with(command, verb, options))
}

const ALL: [Proc; 3] = [Proc::Gone, Proc::Empty, Proc::Outer];

/// Each tree is ended by its deadline, with nothing left, and the answer says how. Of a tree that forks, what is no child of
/// the guard yet may miss the first signal.
fn is_ended(words: &str, signals: &[&str]) {
    for proc in ALL {
        let Some(run) = verb_below(proc, "exec", "--timeout 1 --grace 0.3") else { return };
        let done = run.rung(Rung::Walk).victim(words).run();
        done.assert_took_between(seconds(1.0), seconds(6.0)).assert_tree_dead();
        let termination = &done.answer()["error"]["details"]["termination"];
        assert_eq!(termination["containment"], "leader", "{proc:?}");
        let sent = strings(&termination["signals"]);
        assert!(sent == signals || (signals.is_empty() && sent[0] == "TERM"), "{proc:?}: {sent:?}");
        // The guard has no child left, and so this is known.
        assert_eq!(termination["survivors"], serde_json::json!([]), "{proc:?}");
    }
}

#[test]
fn a_sleeper_is_ended() {
    is_ended("sleep", &["TERM"]);
}

#[test]
fn one_that_ignores_all_is_killed() {
    is_ended("ignore-all", &["TERM", "KILL"]);
}

#[test]
fn a_session_of_its_own_is_ended() {
    is_ended("stay setsid-child", &[]);
}

#[test]
fn a_deep_tree_of_sessions_is_killed() {
    is_ended("deep-sessions 6", &[]);
}

#[test]
fn a_subreaper_is_killed_with_what_it_holds() {
    is_ended("own-subreaper", &[]);
}

#[test]
fn a_child_finishes_cleaning_up_within_the_grace() {
    for proc in ALL {
        let Some(run) = verb_below(proc, "exec", "--timeout 1 --grace 20") else { return };
        let done = run.rung(Rung::Walk).victim("clean-up-child 200").run();
        done.assert_tree_dead();
        assert!(done.answer().to_string().contains("cleaned"), "{proc:?}: {}", done.answer());
    }
}

#[test]
fn timeout_ends_the_command() {
    for proc in ALL {
        let Some(run) = verb_below(proc, "timeout", "1") else { return };
        let done = run.with(|command| _ = command.args(["sleep", "50"])).run();
        assert_eq!(done.status.code(), Some(124), "{proc:?}");
        done.assert_took_between(seconds(1.0), seconds(6.0));
    }
}

#[test]
fn jobs_of_a_batch_are_ended() {
    for proc in ALL {
        let Some(run) = verb_below(proc, "batch", "-j 2 --timeout 1") else { return };
        let done = run.rung(Rung::Walk).input("{\"cmd\":[\"sleep\",\"50\"]}\n{\"cmd\":[\"sleep\",\"51\"]}\n").run();
        assert_eq!(done.status.code(), Some(1), "{proc:?}: {}", String::from_utf8_lossy(&done.stderr));
        done.assert_took_between(seconds(1.0), seconds(8.0));
    }
}

#[test]
fn a_tree_dies_with_a_killed_runner() {
    for proc in [Proc::Gone, Proc::Empty] {
        let Some(run) = verb_below(proc, "exec", "--timeout 50") else { return };
        let mut run = run.rung(Rung::Walk).victim("deep-sessions 4").start();
        run.wait_until_ready();
        run.signal(libc::SIGKILL);
        run.finish().assert_died_of(libc::SIGKILL).assert_tree_dead();
    }
}

/// What lives on after a command that ended is not seen, and not said to be nothing.
#[test]
fn unseen_leftovers_are_unknown() {
    for proc in ALL {
        let Some(run) = verb_below(proc, "exec", "--json") else { return };
        let done = run.rung(Rung::Walk).victim("leave sleep 3000").run();
        assert_eq!(done.json()["data"]["leftovers"], serde_json::Value::Null, "{proc:?}");
    }
}

/// A worker tells what is left of another one by what /proc says: it does not begin, and the tasks wait.
#[test]
fn a_worker_is_refused_and_tasks_wait() {
    let folder = crate::support::folder();
    for proc in ALL {
        let Some(run) = verb_below(proc, "worker run", "") else { return };
        let done = run.env("RUNNER_STATE_DIR", folder.path()).run();
        assert_eq!(done.status.code(), Some(125), "{proc:?}");
        assert_eq!(done.answer()["error"]["code"], "SERVICE_UNAVAILABLE", "{proc:?}");
        let Some(run) = verb_below(proc, "task submit", "") else { return };
        let done = run.env("RUNNER_STATE_DIR", folder.path()).job(["true"]).run();
        assert_eq!(done.status.code(), Some(0), "{proc:?}");
        assert!(done.stderr_text().contains("/proc is not that of this PID namespace"), "{proc:?}: {done:?}");
    }
}

/// The processes of the outer namespace form a chain in which each number is below the smaller ones: read there, what has
/// those numbers in ours seems to be below the guard.
#[test]
fn a_process_with_a_number_of_the_outer_namespace_is_not_signalled() {
    if !is_root() {
        return skip("root", "only root makes namespaces everywhere");
    }
    if !has_program("unshare") {
        return;
    }
    // Some numbers are passed over, so that runner's own are those of the chain.
    let inner = "for i in 1 2 3 4; do /bin/true; done; \"$RUN\" exec -t 2 --grace 0.2 -- sleep 50 & run=$!; sleep 0.5; \
                 sleep 60 & other=$!; sleep 60 & another=$!; wait $run; \
                 kill -0 $other && kill -0 $another && echo both live";
    let chain = "if [ $0 -gt 0 ]; then sh -c \"$CHAIN\" $(($0 - 1)) & wait; else exec sleep 60; fi";
    let outer = "sh -c \"$CHAIN\" 60 & sleep 1; unshare -p -f --kill-child sh -c \"$INNER\"";
    let mut command = runner_at(Path::new("unshare"));
    command.args(["-p", "-f", "--mount-proc", "--kill-child", "sh", "-c", outer]);
    command.env("RUN", env!("CARGO_BIN_EXE_runner")).env("CHAIN", chain).env("INNER", inner);
    let done = verb_with(command, "", "").rung(Rung::Walk).run();
    assert!(String::from_utf8_lossy(&done.stdout).contains("both live"), "{done:?}");
}
