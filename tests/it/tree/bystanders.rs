//! Processes that are not the job's are never touched: children that we had before it, and what descends from them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Exec, Finished, Rung, SOON, clean, exec_with, folder, is_alive, signal, wait_until};

/// A shell that starts something in the background and then becomes runner. The bystanders hold the lifeline too.
#[expect(clippy::disallowed_methods, reason = "a test starts a shell")]
fn shell_that_becomes_runner(before: &str, pid_file: &Path, options: &str, rung: Rung) -> Exec {
    let mut shell = Command::new("sh");
    clean(&mut shell);
    shell.env("RUN", env!("CARGO_BIN_EXE_runner")).env("VICTIM", crate::support::victim_path()).env("PID", pid_file);
    shell.args(["-c", &format!("{before} exec \"$RUN\" \"$@\""), "sh"]);
    exec_with(shell, options).rung(rung)
}

fn read_pid(path: &Path) -> i32 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Of all that ran, the bystander lives and nothing else.
#[track_caller]
fn assert_only_one_left(done: &Finished, pid: i32) {
    wait_until(SOON, "the bystander lives and nothing else", || done.lifeline.holders() == [pid]);
    assert!(is_alive(pid), "the bystander {pid} lives");
    signal(pid, libc::SIGKILL);
    done.assert_tree_dead();
}

const A_CHILD: &str = "\"$VICTIM\" sleep >/dev/null 2>&1 & echo $! >\"$PID\";";
/// It ends while runner runs, so that its own child may be given to runner.
const A_GRANDCHILD: &str = "sh -c '\"$VICTIM\" sleep >/dev/null 2>&1 & echo $! >\"$PID\"; sleep 0.3' &";

fn survives(before: &str, rung: Rung, options: &str, job: &str, code: i32) {
    let place = folder();
    let pid_file = place.path().join("pid");
    let done = shell_that_becomes_runner(before, &pid_file, options, rung).victim(job).run();
    done.assert_code(code);
    let pid = read_pid(&pid_file);
    if let Some(line) = done.stderr_text().lines().find(|line| line.contains("\"status\"")) {
        let answer = crate::support::parse(line);
        let details = &answer["error"]["details"];
        for list in [&details["processes"], &details["termination"]["survivors"], &details["leftovers"]] {
            let named = list.as_array().into_iter().flatten().any(|row| row["pid"] == pid);
            assert!(!named, "it is not the job's: {answer:#}");
        }
    } else {
        assert_eq!(done.stderr_text(), "", "it is no leftover of the job");
    }
    assert_only_one_left(&done, pid);
}

on_both_rungs! {
    fn a_child_that_we_had_survives_a_timeout(rung) {
        survives(A_CHILD, rung, "--timeout 0.6 --grace 0.2", "ignore-term", 124);
    }

    fn a_child_that_we_had_is_no_leftover(rung) {
        survives(A_CHILD, rung, "--leftovers report", "sleep 300", 0);
    }

    fn a_child_that_we_had_survives_the_end_of_leftovers(rung) {
        survives(A_CHILD, rung, "--leftovers kill --grace 0.2", "leave ignore-all", 0);
    }

    fn a_child_that_we_had_is_not_waited_for(rung) {
        survives(A_CHILD, rung, "--leftovers wait --timeout 20", "sleep 300", 0);
    }

    fn a_grandchild_that_came_to_us_survives_a_timeout(rung) {
        survives(A_GRANDCHILD, rung, "--timeout 0.9 --grace 0.2", "ignore-term", 124);
    }

    fn a_grandchild_that_came_to_us_is_no_leftover(rung) {
        survives(A_GRANDCHILD, rung, "--leftovers kill --grace 0.2", "sleep 700", 0);
    }

    fn a_child_that_we_had_survives_a_kill_of_runner(rung) {
        let place = folder();
        let pid_file = place.path().join("pid");
        let mut run = shell_that_becomes_runner(A_CHILD, &pid_file, "", rung).victim("setsid-child").start();
        run.wait_until_ready();
        run.signal(libc::SIGKILL);
        let done = run.finish();
        done.assert_died_of(libc::SIGKILL);
        assert_only_one_left(&done, read_pid(&pid_file));
    }

    /// One that ends during the run is reaped, and its end is not taken for the job's.
    fn the_end_of_a_child_that_we_had_is_not_the_job_s(rung) {
        let place = folder();
        let before = "\"$VICTIM\" exit 7 & \"$VICTIM\" raise 9 &";
        let run = shell_that_becomes_runner(before, &place.path().join("pid"), "", rung);
        run.victim("sleep 400").run().assert_code(0).assert_silent().assert_tree_dead();
    }
}
