//! Processes that live after the leader ended by itself: named and left alone, ended, or waited for, as was asked.

use std::fs;

use serde_json::Value;

use crate::support::{Finished, Rung, SOON, cgroup_of, exec, is_alive, seconds, signal, state_of, wait_until};

/// The only leftover of an answer.
fn the_leftover(answer: &Value) -> &Value {
    let rows = answer["data"]["leftovers"].as_array().expect("leftovers");
    assert_eq!(rows.len(), 1, "{answer:#}");
    &rows[0]
}

fn pid_of(row: &Value) -> i32 {
    i32::try_from(row["pid"].as_i64().expect("a pid")).expect("a pid")
}

/// It lives, and of runner itself nothing does: no guard, no helper.
fn assert_alone_alive(done: &Finished, pid: i32) {
    assert!(is_alive(pid), "{pid} was to be left alone");
    wait_until(SOON, "nothing but the leftover lives", || done.lifeline.holders() == [pid]);
    assert!(is_alive(pid), "it is alive after runner is wholly gone");
}

/// Ends what a test was to leave, and shows that there was no more.
fn clean_up(done: &Finished, pid: i32) {
    signal(pid, libc::SIGKILL);
    done.assert_tree_dead();
}

fn is_reported(rung: Rung, words: &str, holds_output: bool) {
    let done = exec("--json").rung(rung).victim(words).run();
    done.assert_code(0).assert_took_between(seconds(0.0), SOON);
    let answer = done.json();
    let row = the_leftover(&answer);
    let pid = pid_of(row);
    assert!(row["command"].as_str().is_some_and(|text| text.contains("victim")), "{row}");
    assert_eq!(row["holds_output"], holds_output, "{row}");
    assert!(answer["data"]["stdout"].as_str().is_some_and(|text| text.starts_with("ready\n")), "{answer:#}");
    assert_alone_alive(&done, pid);
    clean_up(&done, pid);
}

on_both_rungs! {
    fn a_background_child_is_reported(rung) {
        is_reported(rung, "background-child", false);
    }

    fn a_child_that_holds_the_pipe_is_reported(rung) {
        is_reported(rung, "hold-pipe", true);
    }

    fn a_chatty_orphan_is_reported(rung) {
        let done = exec("--json").rung(rung).victim("chatty-orphan").run();
        done.assert_code(0).assert_took_between(seconds(0.0), SOON);
        let answer = done.json();
        let row = the_leftover(&answer);
        assert_eq!(row["holds_output"], true, "{row}");
        let pid = pid_of(row);
        // Its next line has nobody to read it; whether it lives on is its own affair, and this one does.
        assert_alone_alive(&done, pid);
        clean_up(&done, pid);
    }

    fn a_child_that_ignores_all_is_reported(rung) {
        is_reported(rung, "leave ignore-all", true);
    }

    fn a_child_without_its_first_thread_is_reported(rung) {
        let done = exec("--json").rung(rung).victim("leave headless").run();
        done.assert_code(0);
        let answer = done.json();
        let pid = pid_of(the_leftover(&answer));
        assert!(!done.lifeline.is_dead());
        clean_up(&done, pid);
    }

    /// In a session of its own: a stopped group that loses its last tie to a session is hung up by the kernel.
    fn a_stopped_child_is_reported_and_stays_stopped(rung) {
        let done = exec("--json").rung(rung).victim("leave stop-self setsid").run();
        done.assert_code(0);
        let answer = done.json();
        let pid = pid_of(the_leftover(&answer));
        assert_eq!(state_of(pid), Some('T'), "nobody continued it");
        clean_up(&done, pid);
    }

    fn a_daemon_is_reported(rung) {
        let done = exec("--json").rung(rung).sh("\"$VICTIM\" leave setsid-child; exit 0").run();
        done.assert_code(0);
        let answer = done.json();
        let rows = answer["data"]["leftovers"].as_array().expect("leftovers");
        assert_eq!(rows.len(), 2, "{answer:#}");
        rows.iter().for_each(|row| assert!(is_alive(pid_of(row)), "{row}"));
        rows.iter().for_each(|row| signal(pid_of(row), libc::SIGKILL));
        done.assert_tree_dead();
    }

    fn passing_through_they_are_one_line_on_stderr(rung) {
        let done = exec("").rung(rung).victim("background-child").run();
        done.assert_code(0);
        assert_eq!(done.stdout_text(), "ready\n");
        let text = done.stderr_text();
        let holders = done.lifeline.holders();
        wait_until(SOON, "one process is left", || done.lifeline.holders().len() == 1);
        assert_eq!(text.lines().count(), 1, "{text:?}");
        let pid = done.lifeline.holders()[0];
        assert!(text.contains(&pid.to_string()), "{text:?} names {holders:?}");
        assert!(text.contains("victim"), "{text:?}");
        clean_up(&done, pid);
    }

    fn the_leader_s_own_code_counts(rung) {
        let done = exec("--report /dev/fd/2").rung(rung).sh("\"$VICTIM\" background-child; exit 7").run();
        done.assert_code(7);
        let answer = done.answer();
        let rows = answer["error"]["details"]["leftovers"].as_array().expect("leftovers");
        assert_eq!(answer["error"]["code"], "COMMAND_FAILED");
        assert_eq!(rows.len(), 1, "{answer:#}");
        clean_up(&done, pid_of(&rows[0]));
    }

    fn a_job_without_leftovers_says_so(rung) {
        let done = exec("--json").rung(rung).sh("sleep 0.05 & wait").run();
        done.assert_code(0).assert_silent().assert_tree_dead();
        assert_eq!(done.json()["data"]["leftovers"].as_array().map(Vec::len), Some(0));
    }

    fn zombies_are_no_leftovers(rung) {
        let done = exec("--json").rung(rung).sh("\"$VICTIM\" exit 0 & sleep 0.1; exit 0").run();
        done.assert_code(0).assert_silent().assert_tree_dead();
        assert_eq!(done.json()["data"]["leftovers"].as_array().map(Vec::len), Some(0));
    }

    fn waiting_passes_late_output_on(rung) {
        let done = exec("--leftovers wait").rung(rung).sh("\"$VICTIM\" speak-after 600 & exit 3").run();
        done.assert_code(3).assert_silent().assert_took_between(seconds(0.6), SOON).assert_tree_dead();
        assert_eq!(done.stdout_text(), "late\n");
    }

    fn waiting_waits_for_a_daemon_without_our_pipe(rung) {
        let line = "setsid sh -c 'sleep 0.6' </dev/null >/dev/null 2>&1 & exit 0";
        let done = exec("--leftovers wait").rung(rung).sh(line).run();
        done.assert_code(0).assert_silent().assert_took_between(seconds(0.6), SOON).assert_tree_dead();
    }

    fn waiting_holds_the_deadline(rung) {
        let done = exec("--leftovers wait --timeout 0.5 --grace 0.2").rung(rung).victim("leave ignore-all").run();
        done.assert_code(124).assert_took_between(seconds(0.7), SOON).assert_tree_dead();
        let answer = done.answer();
        assert_eq!(answer["error"]["code"], "TIMEOUT");
        assert_eq!(answer["error"]["details"]["reason"], "total");
        assert_eq!(answer["error"]["details"]["termination"]["exit_code"], 0, "the leader's own");
    }

    fn waiting_can_be_cancelled(rung) {
        let mut run = exec("--leftovers wait --grace 0.2").rung(rung).victim("leave ignore-all").start();
        run.wait_until_ready();
        run.signal(libc::SIGTERM);
        run.finish().assert_code(143).assert_tree_dead();
    }

    fn waiting_holds_the_idle_timeout(rung) {
        let done = exec("--leftovers wait --idle-timeout 0.4 --grace 0.2").rung(rung).victim("hold-pipe").run();
        done.assert_code(124).assert_took_between(seconds(0.4), SOON).assert_tree_dead();
        assert_eq!(done.answer()["error"]["details"]["reason"], "idle");
    }

    fn a_deadline_does_not_strike_once_the_leader_has_ended(rung) {
        let done = exec("--timeout 1 --leftovers report").rung(rung).victim("hold-pipe").run();
        done.assert_code(0);
        done.lifeline.end_holders();
    }
}

/// Two tests for each kind of leftover that is to be ended.
macro_rules! ended {
    ($($name:ident: $words:literal;)*) => {
        $(on_both_rungs! {
            fn $name(rung) {
                let done = exec("--leftovers kill --grace 0.2").rung(rung).victim($words).run();
                done.assert_code(0).assert_took_between(seconds(0.0), SOON).assert_tree_dead();
                assert!(done.stdout_text().starts_with("ready\n"), "{:?}", done.stdout_text());
            }
        })*
    };
}

ended! {
    a_background_child_is_ended: "background-child";
    a_child_that_holds_the_pipe_is_ended: "hold-pipe";
    a_chatty_orphan_is_ended: "chatty-orphan";
    a_child_that_ignores_term_is_ended: "leave ignore-term";
    a_child_that_ignores_all_is_ended: "leave ignore-all";
    a_session_is_ended: "leave setsid-child";
    a_daemon_is_ended: "leave double-fork";
    a_deep_tree_of_sessions_is_ended: "leave deep-sessions 12";
    a_chain_is_ended: "fork-chain 3";
    a_chain_that_was_left_is_ended: "leave fork-chain 0";
    a_stopped_child_is_ended: "leave stop-self";
    a_stopped_session_is_ended: "leave stop-self setsid";
    a_child_with_zombies_is_ended: "leave zombies 100";
    a_subreaper_is_ended: "leave own-subreaper";
    a_child_without_its_first_thread_is_ended: "leave headless";
    many_processes_are_ended: "leave forkbomb-lite 6";
    a_child_that_closed_its_streams_is_ended: "leave close-streams";
}

#[test]
fn what_is_left_goes_back_to_our_own_cgroup() {
    let Some(own) = crate::support::OwnCgroup::new() else { return };
    let done = exec("--json").rung(Rung::Cgroup).with(|command| own.adopt(command)).victim("background-child").run();
    done.assert_code(0);
    let answer = done.json();
    let pid = pid_of(the_leftover(&answer));
    assert_eq!(cgroup_of(&pid.to_string()).as_deref(), Ok(own.folder()));
    assert!(own.children().is_empty(), "{:?}", own.children());
    let inside = fs::read_to_string(own.folder().join("cgroup.procs")).expect("its processes");
    assert_eq!(inside.trim(), pid.to_string());
    clean_up(&done, pid);
}
