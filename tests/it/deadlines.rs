//! A job ends by its deadline plus the grace, never before; the ladder is climbed once, and belongs to the whole tree.

use crate::support::{Rung, SOON, exec, seconds, strings};

fn times(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// Cancels a job that ignores SIGTERM shortly before its deadline. False if the deadline came first.
fn cancel_outlives_the_deadline(rung: Rung, limit: f64) -> bool {
    let options = format!("--timeout {limit} --grace {}", limit + 0.4);
    let mut run = exec(&options).rung(rung).victim("count 15").start();
    run.wait_until("two processes ready", |run| times(&String::from_utf8_lossy(run.stdout()), "ready") == 2);
    let sent = run.elapsed();
    run.signal(libc::SIGTERM);
    let done = run.finish();
    done.assert_tree_dead();
    if sent > seconds(limit * 0.6) {
        return false;
    }
    done.assert_code(143).assert_took_between(sent + seconds(limit + 0.4), SOON);
    assert_eq!(done.answer()["error"]["code"], "CANCELLED");
    assert_eq!(times(&done.stdout_text(), "leader told"), 1, "{}", done.stdout_text());
    true
}

on_both_rungs! {
    fn the_stop_signal_goes_once_to_each_process(rung) {
        let done = exec("--timeout 0.4 --grace 0.4").rung(rung).victim("count 15").run();
        done.assert_code(124).assert_tree_dead();
        let text = done.stdout_text();
        assert_eq!((times(&text, "leader told"), times(&text, "child told")), (1, 1), "{text}");
    }

    /// The rest of the tree gets the signal at the end of the grace period, when the command is killed.
    fn the_command_alone_is_signaled_first_where_that_is_asked_for(rung) {
        let done = exec("--timeout 1 --grace 0.4 --signal-to command").rung(rung).victim("count 15").run();
        done.assert_code(124).assert_tree_dead();
        let text = done.stdout_text();
        let (leader, child) = (text.find("leader told"), text.find("child told"));
        assert!(leader.is_some() && leader < child, "{text}");
        assert_eq!((times(&text, "leader told"), times(&text, "child told")), (1, 1), "{text}");
    }

    fn a_session_of_its_own_is_not_of_the_group_of_the_command(rung) {
        let script = "setsid sh -c 'trap \"echo rest; exit\" TERM; echo up; while :; do sleep 0.02; done' & \
            trap 'sleep 0.3; echo command; exit' TERM; while :; do sleep 0.02; done";
        let mut run = exec("--grace 20 --signal-to group").rung(rung).sh(script).start();
        run.wait_for_stdout("up\n");
        run.signal(libc::SIGTERM);
        let done = run.finish();
        done.assert_code(143).assert_tree_dead();
        assert_eq!(done.stdout_text(), "up\ncommand\nrest\n");
    }

    /// Real-time signals queue, so that a second one could not be lost in the first.
    fn a_stop_signal_that_queues_comes_once_too(rung) {
        let done = exec("--timeout 0.4 --grace 0.4 --signal RTMIN+3").rung(rung).victim("count 37").run();
        done.assert_code(124).assert_tree_dead();
        let text = done.stdout_text();
        assert_eq!((times(&text, "leader told"), times(&text, "child told")), (1, 1), "{text}");
        let answer = done.answer();
        assert_eq!(strings(&answer["error"]["details"]["termination"]["signals"]), ["RTMIN+3", "KILL"]);
    }

    fn a_second_equal_stop_changes_nothing(rung) {
        let mut run = exec("--grace 0.6").rung(rung).victim("count 15").start();
        run.wait_until("two processes ready", |run| times(&String::from_utf8_lossy(run.stdout()), "ready") == 2);
        let begun = run.elapsed();
        run.signal(libc::SIGTERM);
        run.wait_for_stdout("child told");
        run.wait_for_stdout("leader told");
        run.signal(libc::SIGTERM);
        let done = run.finish();
        done.assert_code(143).assert_took_between(begun + seconds(0.6), SOON).assert_tree_dead();
        let text = done.stdout_text();
        assert_eq!((times(&text, "leader told"), times(&text, "child told")), (1, 1), "{text}");
    }

    /// What comes first is the cause; a deadline within the grace changes nothing.
    fn a_deadline_during_a_cancel_changes_nothing(rung) {
        // On a slow machine the deadline may come first; retry with a longer one.
        let in_time = [0.6, 2.0, 6.0].into_iter().any(|limit| cancel_outlives_the_deadline(rung, limit));
        assert!(in_time, "no signal could be sent within 6 s");
    }

    fn a_child_that_ignores_term_is_killed_at_the_end_of_the_grace(rung) {
        let done = exec("--timeout 0.3 --grace 0.5").rung(rung).victim("ignore-term-child").run();
        done.assert_code(124).assert_took_between(seconds(0.8), SOON).assert_tree_dead();
        let answer = done.answer();
        let termination = &answer["error"]["details"]["termination"];
        assert_eq!(strings(&termination["signals"]), ["TERM", "KILL"]);
        assert_eq!(termination["signal"], "TERM", "the leader died of the first signal: {termination:#}");
    }

    fn a_child_may_finish_its_clean_up_within_the_grace(rung) {
        let done = exec("--timeout 0.3 --grace 30").rung(rung).victim("clean-up-child 500").run();
        done.assert_code(124).assert_took_between(seconds(0.8), SOON).assert_tree_dead();
        assert!(done.stdout_text().ends_with("cleaned\n"), "{}", done.stdout_text());
        let answer = done.answer();
        assert_eq!(strings(&answer["error"]["details"]["termination"]["signals"]), ["TERM"]);
        let partial = &answer["error"]["details"]["partial_result"];
        assert_eq!(partial["stdout"], "ready\ncleaned\n", "output of the grace is kept");
    }

    fn one_that_ignores_term_has_its_whole_grace(rung) {
        let done = exec("--timeout 0.3 --grace 0.7").rung(rung).victim("ignore-term").run();
        done.assert_code(124).assert_took_between(seconds(1.0), SOON).assert_tree_dead();
        let answer = done.answer();
        assert_eq!(strings(&answer["error"]["details"]["termination"]["signals"]), ["TERM", "KILL"]);
    }

    fn no_grace_is_a_kill_at_once(rung) {
        let done = exec("--timeout 0.4 --grace 0").rung(rung).victim("speak-on 15 5").run();
        done.assert_code(124).assert_took_between(seconds(0.4), SOON).assert_tree_dead();
        assert_eq!(done.stdout_text(), "ready\n");
        let answer = done.answer();
        let termination = &answer["error"]["details"]["termination"];
        assert_eq!(strings(&termination["signals"]), ["KILL"]);
        assert_eq!(termination["signal"], "KILL");
    }

    fn another_stop_signal_is_sent_where_one_is_given(rung) {
        let done = exec("--timeout 0.4 --grace 30 --signal USR1").rung(rung).victim("speak-on 10 0").run();
        done.assert_code(124).assert_tree_dead();
        assert_eq!(done.stdout_text(), "ready\nlast words\n");
        assert_eq!(strings(&done.answer()["error"]["details"]["termination"]["signals"]), ["USR1"]);
    }

    /// A chatty orphan must not hold the answer up: the wait for writers is bounded from the end of the leader.
    fn a_chatty_orphan_does_not_delay_the_answer(rung) {
        let done = exec("").rung(rung).victim("chatty-orphan").run();
        done.assert_code(0).assert_took_between(seconds(0.0), SOON);
        assert!(!done.lifeline.is_dead(), "it was left alone");
        done.lifeline.end_holders();
    }
}

#[test]
fn a_deadline_never_strikes_early() {
    for timeout in ["0.05", "100ms", "0.333"] {
        let done = exec("--grace 0 --timeout").arg(timeout).victim("sleep").run();
        let least = match timeout {
            "0.05" => 0.05,
            "100ms" => 0.1,
            _ => 0.333,
        };
        done.assert_code(124).assert_took_between(seconds(least), SOON).assert_tree_dead();
        let answer = done.answer();
        assert_eq!(answer["error"]["details"]["timeout_seconds"], least);
        assert!(answer["error"]["details"]["elapsed_seconds"].as_f64().is_some_and(|time| time >= least), "{answer:#}");
    }
}

#[test]
fn a_job_that_is_in_time_is_left_alone() {
    let done = exec("--timeout 30").victim("sleep 300").run();
    done.assert_code(0).assert_silent().assert_took_between(seconds(0.3), SOON).assert_tree_dead();
    assert_eq!(done.stdout_text(), "ready\n");
}

#[test]
fn no_timeout_is_the_largest_one_where_that_is_given() {
    let done = exec("--max-timeout 0.4 --grace 0.2").victim("sleep").run();
    done.assert_code(124).assert_took_between(seconds(0.4), SOON).assert_tree_dead();
    assert_eq!(done.answer()["error"]["details"]["timeout_seconds"], 0.4);
}

#[test]
fn the_word_none_switches_a_timeout_off() {
    exec("--timeout none").env("RUNNER_TIMEOUT", "0.1").victim("sleep 400").run().assert_code(0).assert_silent();
}

#[test]
fn a_warning_is_one_line_and_the_job_goes_on() {
    let done = exec("--warn-after 0.2 --timeout 20").victim("sleep 600").run();
    done.assert_code(0).assert_took_between(seconds(0.6), SOON);
    let text = done.stderr_text();
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert!(text.ends_with('\n') && !text.trim().is_empty(), "{text:?}");
    assert_eq!(done.stdout_text(), "ready\n");
}

#[test]
fn a_job_that_is_quicker_gets_no_warning() {
    exec("--warn-after 20 --warn-signal USR1").victim("sleep 50").run().assert_code(0).assert_silent();
}

#[test]
fn a_warning_signal_tells_the_job_too() {
    let done = exec("--warn-after 0.4 --warn-signal USR1 --timeout 20").victim("speak-on 10 9").run();
    done.assert_code(9).assert_took_between(seconds(0.4), SOON).assert_tree_dead();
    assert_eq!(done.stdout_text(), "ready\nlast words\n");
}

#[test]
fn a_warning_is_no_stop() {
    let done = exec("--warn-after 0.2 --timeout 0.6 --grace 0.2").victim("sleep").run();
    done.assert_code(124).assert_took_between(seconds(0.6), SOON).assert_tree_dead();
    assert_eq!(done.stderr_text().lines().count(), 2, "{}", done.stderr_text());
    assert_eq!(done.answer()["error"]["details"]["reason"], "total");
}

#[test]
fn the_job_s_own_code_does_not_hide_a_timeout() {
    let done = exec("--timeout 0.4 --grace 30").victim("speak-on 15 0").run();
    done.assert_code(124).assert_tree_dead();
    let answer = done.answer();
    assert_eq!(answer["error"]["code"], "TIMEOUT");
    assert_eq!(answer["error"]["details"]["termination"]["exit_code"], 0);
}

on_both_rungs! {
    /// The deadline passes while runner is stopped; the job ended before.
    fn an_end_before_the_deadline_counts_where_runner_was_stopped(rung) {
        let place = crate::support::folder();
        let go = place.path().join("go");
        let run = exec("--timeout 2 --json").rung(rung).env("GO", &go);
        let run = run.sh("echo ready >&2; until [ -e \"$GO\" ]; do sleep 0.01; done").stderr_to(std::process::Stdio::null());
        let run = run.start();
        crate::support::wait_until(SOON, "the job", || {
            run.lifeline().holders().iter().any(|pid| {
                *pid != run.pid() && std::fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"sh\n")
            })
        });
        run.signal(libc::SIGSTOP);
        std::fs::write(&go, "").expect("our own folder");
        crate::support::wait_until(SOON, "the end of the job", || run.lifeline().holders() == [run.pid()]);
        crate::support::wait_until(SOON, "the deadline", || run.elapsed() > seconds(2.2));
        run.signal(libc::SIGCONT);
        let done = run.finish();
        done.assert_code(0);
        assert_eq!(done.json()["status"], "success");
    }
}
