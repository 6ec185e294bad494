//! The idle timeout: neither output nor CPU time of the tree for a whole window, and never less than one.

use crate::support::{SOON, exec, flood_pattern, seconds, strings};

on_both_rungs! {
    fn a_silent_sleeper_is_stopped_after_one_to_two_windows(rung) {
        let done = exec("--idle-timeout 0.5 --grace 0.2").rung(rung).victim("sleep").run();
        done.assert_code(124).assert_took_between(seconds(0.5), SOON).assert_tree_dead();
        let answer = done.answer();
        let details = &answer["error"]["details"];
        assert_eq!(answer["error"]["code"], "TIMEOUT");
        assert_eq!(details["reason"], "idle");
        assert_eq!(details["timeout_seconds"], 0.5);
        assert_eq!(strings(&details["termination"]["signals"]), ["TERM"]);
        assert_eq!(details["partial_result"]["stdout"], "ready\n");
        let hint = answer["error"]["remediation"].as_str().unwrap_or_default();
        assert!(hint.contains("0.5"), "the hint tells how long it was silent: {hint}");
    }

    fn one_that_uses_the_cpu_is_not_idle(rung) {
        let done = exec("--idle-timeout 0.4 --timeout 1.6 --grace 0.2").rung(rung).victim("burn").run();
        done.assert_code(124).assert_took_between(seconds(1.6), SOON).assert_tree_dead();
        assert_eq!(done.answer()["error"]["details"]["reason"], "total");
    }

    fn the_cpu_time_of_the_tree_counts(rung) {
        let done = exec("--idle-timeout 0.4 --timeout 1.6 --grace 0.2").rung(rung).victim("stay stay burn").run();
        done.assert_code(124).assert_took_between(seconds(1.6), SOON).assert_tree_dead();
        assert_eq!(done.answer()["error"]["details"]["reason"], "total");
    }

    /// Each process is soon gone, so the sum over the living alone would stand still.
    fn the_cpu_time_of_children_that_ended_counts(rung) {
        let done = exec("--idle-timeout 0.4 --timeout 1.6 --grace 0.2").rung(rung).victim("burn-in-turns 30").run();
        done.assert_code(124).assert_took_between(seconds(1.6), SOON).assert_tree_dead();
        assert_eq!(done.answer()["error"]["details"]["reason"], "total");
    }

    fn one_that_writes_is_not_idle(rung) {
        let done = exec("--idle-timeout 0.5 --timeout 1.6 --grace 0.2").rung(rung).victim("chatty 100").run();
        done.assert_code(124).assert_took_between(seconds(1.6), SOON).assert_tree_dead();
        assert_eq!(done.answer()["error"]["details"]["reason"], "total");
    }

    fn a_window_begins_with_the_last_byte(rung) {
        let done = exec("--idle-timeout 0.5 --grace 0.2").rung(rung).victim("tick 8 100").run();
        done.assert_code(124).assert_took_between(seconds(1.3), SOON).assert_tree_dead();
        let answer = done.answer();
        assert_eq!(answer["error"]["details"]["reason"], "idle");
        assert_eq!(answer["error"]["details"]["partial_result"]["stdout"], "tick\n".repeat(8));
    }

    fn one_that_stopped_itself_is_idle(rung) {
        let done = exec("--idle-timeout 0.4 --grace 0.2").rung(rung).victim("stop-self").run();
        done.assert_code(124).assert_took_between(seconds(0.4), SOON).assert_tree_dead();
        assert_eq!(done.answer()["error"]["details"]["reason"], "idle");
    }
}

#[test]
fn the_clock_stands_still_while_our_reader_holds_the_job_up() {
    let size = 1 << 20;
    let mut run = exec("--idle-timeout 0.3 --grace 0.2").leave_stdout_unread().victim(&format!("flood {size}")).start();
    run.wait_until("five windows to pass", |run| run.elapsed() > seconds(1.5));
    run.read_on();
    let done = run.finish();
    done.assert_code(0).assert_silent();
    assert!(done.stdout == flood_pattern(size, 1), "every byte arrived ({} of {size})", done.stdout.len());
}

#[test]
fn output_on_stderr_counts_as_well() {
    let line = "for i in 1 2 3 4 5 6; do sleep 0.15; echo $i >&2; done";
    exec("--idle-timeout 0.6 --timeout 20").sh(line).run().assert_code(0);
}
