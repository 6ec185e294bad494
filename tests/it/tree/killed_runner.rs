//! A job does not outlive its runner: SIGKILL to runner takes the tree with it. And what a job does to its parent
//! neither hangs runner nor saves the job.

#![expect(clippy::disallowed_methods, reason = "a test starts a shell")]

use std::process::Command;

use crate::support::{Rung, SOON, exec, is_alive, seconds, wait_until};

fn dies_with_runner(rung: Rung, words: &str) {
    let mut run = exec("--timeout 50").rung(rung).victim(words).start();
    run.wait_until_ready();
    run.signal(libc::SIGKILL);
    let done = run.finish();
    done.assert_died_of(libc::SIGKILL).assert_tree_dead();
}

macro_rules! dies {
    ($($name:ident: $words:literal;)*) => {
        $(on_both_rungs! {
            fn $name(rung) {
                dies_with_runner(rung, $words);
            }
        })*
    };
}

dies! {
    a_sleeper_dies_with_runner: "sleep";
    one_that_ignores_all_dies_with_runner: "ignore-all";
    a_child_dies_with_runner: "stay ignore-all";
    a_session_dies_with_runner: "setsid-child";
    a_daemon_dies_with_runner: "double-fork";
    a_deep_tree_of_sessions_dies_with_runner: "deep-sessions 12";
    a_chain_dies_with_runner: "stay fork-chain 3";
    a_stopped_job_dies_with_runner: "stop-self";
    a_stopped_group_dies_with_runner: "stop-group";
    one_without_streams_dies_with_runner: "close-streams";
    one_with_zombies_dies_with_runner: "zombies 100";
    a_subreaper_dies_with_runner: "own-subreaper";
    one_without_its_first_thread_dies_with_runner: "headless";
}

on_both_rungs! {
    fn a_job_dies_with_a_runner_that_is_killed_within_the_grace(rung) {
        let mut run = exec("--grace 40").rung(rung).victim("count 15").start();
        let ready = |run: &crate::support::Running| String::from_utf8_lossy(run.stdout()).matches("ready").count();
        run.wait_until("two processes ready", |run| ready(run) == 2);
        run.signal(libc::SIGTERM);
        run.wait_for_stdout("leader told");
        run.signal(libc::SIGKILL);
        run.finish().assert_died_of(libc::SIGKILL).assert_tree_dead();
    }

    fn leftovers_that_are_waited_for_die_with_runner(rung) {
        let mut run = exec("--leftovers wait").rung(rung).victim("leave ignore-all").start();
        run.wait_until_ready();
        run.signal(libc::SIGKILL);
        run.finish().assert_died_of(libc::SIGKILL).assert_tree_dead();
    }

    /// What the parent is that a job sees is not promised: runner, or a guard of it. The end of both is.
    fn a_job_that_kills_its_parent_hangs_nothing(rung) {
        let done = exec("--timeout 1 --grace 0.2").rung(rung).victim("kill-parent 9").run();
        done.assert_took_between(seconds(0.0), SOON).assert_tree_dead();
        assert!(!done.status.success(), "{:?}", done.status);
    }

    fn a_child_that_kills_its_grandparent_hangs_nothing(rung) {
        let line = "kill -9 $PPID; \"$VICTIM\" stay ignore-all; exit 0";
        let done = exec("--timeout 1 --grace 0.2").rung(rung).sh(line).run();
        done.assert_took_between(seconds(0.0), SOON).assert_tree_dead();
        assert!(!done.status.success(), "{:?}", done.status);
    }

    /// Runner itself may be stopped by it, then the clock stands still until it goes on; so it is continued here.
    fn a_job_that_stops_its_parent_hangs_nothing(rung) {
        let mut run = exec("--timeout 1 --grace 0.2").rung(rung).victim("kill-parent 19").start();
        run.wait_for_stdout("ready");
        wait_until(SOON, "an end, or a stop of runner", || {
            run.has_ended() || crate::support::state_of(run.pid()) == Some('T')
        });
        if !run.has_ended() {
            run.signal(libc::SIGCONT);
        }
        let done = run.finish();
        done.assert_code(124).assert_tree_dead();
    }

    /// A TERM whose sender is in the job's own tree is not meant for runner.
    fn a_job_that_terminates_its_parent_does_not_cancel_itself(rung) {
        for number in [libc::SIGTERM, libc::SIGINT] {
            let done = exec("--timeout 20").rung(rung).victim(&format!("kill-parent {number} 3")).run();
            done.assert_code(3).assert_silent().assert_tree_dead();
            assert_eq!(done.stdout_text(), "ready\nshot\n");
        }
    }

    fn a_later_signal_from_outside_still_counts(rung) {
        let mut run = exec("--grace 0.2").rung(rung).victim("kill-parent 15").start();
        run.wait_for_stdout("shot");
        run.signal(libc::SIGTERM);
        run.finish().assert_code(143).assert_tree_dead();
    }
}

/// A killed runner takes its own job only.
#[test]
fn the_death_of_one_runner_is_no_other_s_affair() {
    let mut first = exec("").victim("sleep").start();
    let mut second = exec("").victim("sleep").start();
    first.wait_until_ready();
    second.wait_until_ready();
    first.signal(libc::SIGKILL);
    first.finish().assert_tree_dead();
    assert!(is_alive(second.pid()));
    assert!(!second.lifeline().is_dead());
    second.signal(libc::SIGTERM);
    second.finish().assert_code(143).assert_tree_dead();
}

/// The parent's death is told to the thread that forked; a shell that ends after `exec` of runner is no such parent.
#[test]
fn the_end_of_our_own_parent_is_no_end_of_the_job() {
    let folder = crate::support::folder();
    let (pid_file, done_file) = (folder.path().join("pid"), folder.path().join("done"));
    let mut lifeline = crate::support::Lifeline::new();
    let mut shell = Command::new("sh");
    crate::support::clean(&mut shell);
    lifeline.pass_to(&mut shell);
    let line = "\"$RUN\" exec -- sh -c 'sleep 0.5; echo done >\"$0\"' \"$DONE\" & echo $! >\"$PID\"";
    shell.args(["-c", line]).env("RUN", env!("CARGO_BIN_EXE_runner")).env("DONE", &done_file).env("PID", &pid_file);
    let status = shell.status().expect("a shell");
    drop(shell);
    lifeline.started();
    assert!(status.success());
    lifeline.assert_dead_within(SOON);
    assert_eq!(std::fs::read_to_string(done_file).ok().as_deref(), Some("done\n"));
}
