//! Processes that are not the job's are never touched: children that we had before it, and what descends from them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Exec, Lifeline, Rung, SOON, clean, exec_with, folder, is_alive, wait_until};

#[macro_use]
mod support;

/// A shell that starts something in the background and then becomes runner.
#[expect(clippy::disallowed_methods, reason = "a test starts a shell")]
fn shell_that_becomes_runner(before: &str, pid_file: &Path, options: &str, rung: Rung) -> (Exec, Lifeline) {
    let bystanders = Lifeline::new();
    let mut shell = Command::new("sh");
    clean(&mut shell);
    bystanders.pass_to(&mut shell);
    // The job does not hold the bystanders' pipe: it is closed for it by the shell.
    let line = format!("{before} eval \"exec $VICTIM_LIFELINE_OF_OTHERS>&-\"; exec \"$RUN\" \"$@\"");
    let number = others_descriptor(&shell);
    shell.env("VICTIM_LIFELINE_OF_OTHERS", number).env("RUN", env!("CARGO_BIN_EXE_runner"));
    shell.env("VICTIM", support::victim_path()).env("PID", pid_file).args(["-c", &line, "sh"]);
    (exec_with(shell, options).rung(rung), bystanders)
}

fn others_descriptor(shell: &Command) -> String {
    let value = shell.get_envs().find(|(name, _)| *name == "VICTIM_LIFELINE").and_then(|(_, value)| value);
    value.expect("just set").to_string_lossy().into_owned()
}

fn read_pid(path: &Path) -> i32 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

const A_CHILD: &str = "\"$VICTIM\" sleep >/dev/null 2>&1 & echo $! >\"$PID\";";
/// It ends while runner runs, so that its own child may be given to runner.
const A_GRANDCHILD: &str = "sh -c '\"$VICTIM\" sleep >/dev/null 2>&1 & echo $! >\"$PID\"; sleep 0.3' &";

fn survives(before: &str, rung: Rung, options: &str, job: &str, code: i32) {
    let place = folder();
    let pid_file = place.path().join("pid");
    let (run, mut bystanders) = shell_that_becomes_runner(before, &pid_file, options, rung);
    let running = run.victim(job).start();
    bystanders.started();
    let done = running.finish();
    done.assert_code(code);
    let pid = read_pid(&pid_file);
    assert!(is_alive(pid), "the bystander {pid} lives");
    if let Some(line) = done.stderr_text().lines().find(|line| line.contains("\"status\"")) {
        let answer = support::parse(line);
        let details = &answer["error"]["details"];
        for list in [&details["processes"], &details["termination"]["survivors"], &details["leftovers"]] {
            let named = list.as_array().into_iter().flatten().any(|row| row["pid"] == pid);
            assert!(!named, "it is not the job's: {answer:#}");
        }
    } else {
        assert_eq!(done.stderr_text(), "", "it is no leftover of the job");
    }
    wait_until(SOON, "of all of it the bystander alone lives", || bystanders.holders() == [pid]);
    bystanders.end_holders();
    done.assert_tree_dead();
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
        let (run, mut bystanders) = shell_that_becomes_runner(A_CHILD, &pid_file, "", rung);
        let mut running = run.victim("setsid-child").start();
        bystanders.started();
        running.wait_until_ready();
        running.signal(libc::SIGKILL);
        running.finish().assert_died_of(libc::SIGKILL);
        let pid = read_pid(&pid_file);
        wait_until(SOON, "of all of it the bystander alone lives", || bystanders.holders() == [pid]);
        assert!(is_alive(pid));
        bystanders.end_holders();
    }

    /// One that ends during the run is reaped, and its end is not taken for the job's.
    fn the_end_of_a_child_that_we_had_is_not_the_job_s(rung) {
        let place = folder();
        let (run, mut bystanders) =
            shell_that_becomes_runner("\"$VICTIM\" exit 7 & \"$VICTIM\" raise 9 &", &place.path().join("pid"), "", rung);
        let running = run.victim("sleep 400").start();
        bystanders.started();
        running.finish().assert_code(0).assert_silent().assert_tree_dead();
    }
}
