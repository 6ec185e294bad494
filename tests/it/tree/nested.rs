//! A runner under a runner: the inner one obeys the outer deadline and has ended by itself before it strikes.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{SOON, exec, folder, seconds, victim_path};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

fn read(path: &Path) -> Value {
    crate::support::parse(fs::read_to_string(path).expect("a report").trim_end())
}

on_both_rungs! {
    fn the_inner_one_obeys_the_outer_deadline(rung) {
        let place = folder();
        let (outer, inner) = (place.path().join("outer.json"), place.path().join("inner.json"));
        let line = "\"$RUN\" exec --timeout 50 --grace 0.3 --report \"$INNER\" -- \"$VICTIM\" ignore-term; exit $?";
        let run = exec("--timeout 2 --grace 0.3 --report").arg(&outer).rung(rung).env("RUN", RUNNER);
        let done = run.env("INNER", &inner).sh(line).run();
        done.assert_code(124).assert_took_between(seconds(1.0), SOON).assert_tree_dead();
        let (outer, inner) = (read(&outer), read(&inner));
        let details = &inner["error"]["details"];
        assert_eq!(inner["error"]["code"], "TIMEOUT", "{inner:#}");
        assert_eq!(details["reason"], "parent_deadline");
        assert_eq!(details["partial_result"]["stdout"], "ready\n");
        let limit = details["timeout_seconds"].as_f64().unwrap_or_default();
        assert!((1.0..1.75).contains(&limit), "the grace period comes before the outer deadline: {limit}");
        assert!(inner["error"]["remediation"].as_str().is_some_and(|text| text.contains("above")), "{inner:#}");
        assert_eq!(outer["error"]["code"], "COMMAND_FAILED", "it ended by itself, in time: {outer:#}");
        assert_eq!(outer["error"]["details"]["exit_code"], 124);
    }

    fn a_shorter_timeout_of_its_own_holds(rung) {
        let line = "exec \"$RUN\" exec --json --timeout 0.4 --grace 0.2 -- \"$VICTIM\" sleep";
        let done = exec("--timeout 30").rung(rung).env("RUN", RUNNER).sh(line).run();
        done.assert_code(124).assert_silent().assert_tree_dead();
        let answer = done.json();
        assert_eq!(answer["error"]["details"]["reason"], "total");
        assert_eq!(answer["error"]["details"]["timeout_seconds"], 0.4);
    }

    /// The grace period is shortened, not the time limit.
    fn a_limit_that_leaves_no_whole_grace_holds(rung) {
        let line = "exec \"$RUN\" exec --json --timeout 1 --grace 30 -- \"$VICTIM\" ignore-term";
        let done = exec("--timeout 4").rung(rung).env("RUN", RUNNER).sh(line).run();
        done.assert_code(124).assert_silent().assert_took_between(seconds(1.0), seconds(4.0)).assert_tree_dead();
        let details = done.json()["error"]["details"].clone();
        assert_eq!((details["reason"].as_str(), details["timeout_seconds"].as_f64()), (Some("total"), Some(1.0)));
        assert_eq!(crate::support::strings(&details["termination"]["signals"]), ["TERM", "KILL"]);
    }

    /// A job that ends in time succeeds, however short the outer limit and long the grace period.
    fn a_short_outer_limit_does_not_stop_a_job_in_time(rung) {
        for limit in ["2", "5"] {
            let line = "exec \"$RUN\" exec --grace 30 -- \"$VICTIM\" sleep 200";
            let run = exec("--timeout").arg(limit).rung(rung).env("RUN", RUNNER);
            run.sh(line).run().assert_code(0).assert_silent().assert_tree_dead();
        }
    }

    fn an_outer_one_without_a_deadline_sets_none(rung) {
        let line = "exec \"$RUN\" exec -- \"$VICTIM\" sleep 300";
        exec("").rung(rung).env("RUN", RUNNER).sh(line).run().assert_code(0).assert_silent().assert_tree_dead();
    }

    fn three_levels_end_from_the_inside(rung) {
        let place = folder();
        let (middle, inner) = (place.path().join("middle.json"), place.path().join("inner.json"));
        let victim = victim_path();
        let job = [
            RUNNER.as_ref(), "exec".as_ref(), "--grace".as_ref(), "0.2".as_ref(), "--report".as_ref(), middle.as_os_str(),
            "--".as_ref(), RUNNER.as_ref(), "exec".as_ref(), "--grace".as_ref(), "0.2".as_ref(), "--report".as_ref(),
            inner.as_os_str(), "--".as_ref(), victim.as_os_str(), "ignore-term".as_ref(),
        ];
        let done = exec("--timeout 3 --grace 0.2").rung(rung).job(job).run();
        done.assert_code(124).assert_took_between(seconds(1.0), SOON).assert_tree_dead();
        assert_eq!(read(&inner)["error"]["details"]["reason"], "parent_deadline");
        assert_eq!(read(&middle)["error"]["code"], "COMMAND_FAILED");
    }

    /// Its tree is the outer one's tree too.
    fn the_outer_one_ends_all_of_it(rung) {
        let line = "exec \"$RUN\" exec --timeout 50 --grace 40 -- \"$VICTIM\" deep-sessions 4";
        let mut run = exec("--grace 0").rung(rung).env("RUN", RUNNER).sh(line).start();
        run.wait_until_ready();
        run.signal(libc::SIGTERM);
        run.finish().assert_code(143).assert_tree_dead();
    }

    fn a_kill_of_the_outer_one_takes_all_of_it(rung) {
        let line = "exec \"$RUN\" exec --timeout 50 -- \"$VICTIM\" double-fork";
        let mut run = exec("").rung(rung).env("RUN", RUNNER).sh(line).start();
        run.wait_until_ready();
        run.signal(libc::SIGKILL);
        run.finish().assert_tree_dead();
    }

    fn a_kill_of_the_inner_one_is_a_plain_end_to_the_outer_one(rung) {
        let line = "exec \"$RUN\" exec -- \"$VICTIM\" double-fork";
        let place = folder();
        let report = place.path().join("outer.json");
        let run = exec("--timeout 20 --leftovers kill --report").arg(&report).rung(rung).env("RUN", RUNNER);
        let mut run = run.sh(line).start();
        run.wait_until_ready();
        let inner = run.lifeline().holders().into_iter().find(|pid| *pid != run.pid() && is_runner(*pid));
        crate::support::signal(inner.expect("the inner one"), libc::SIGKILL);
        let done = run.finish();
        done.assert_tree_dead();
        assert_ne!(done.status.code(), Some(124));
    }

    fn leftovers_of_the_inner_one_are_the_outer_one_s(rung) {
        let line = "exec \"$RUN\" exec --leftovers report -q -- \"$VICTIM\" background-child";
        let done = exec("--leftovers kill --grace 0.2").rung(rung).env("RUN", RUNNER).sh(line).run();
        done.assert_code(0).assert_tree_dead();
    }
}

/// By its arguments: the shell has become it.
fn is_runner(pid: i32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.starts_with(RUNNER.as_bytes())
}

/// Other programs read the wall clock deadline; a nested runner uses CLOCK_BOOTTIME, which cannot be set.
#[test]
fn a_wall_clock_that_was_set_moves_no_deadline() {
    let line = "RUNNER_DEADLINE_UNIX_MS=1 exec \"$RUN\" exec -- \"$VICTIM\" sleep 200";
    let run = exec("--timeout 20").env("RUN", RUNNER);
    run.sh(line).run().assert_code(0).assert_silent().assert_tree_dead();
    // A deadline of another boot is ignored.
    let line =
        "RUNNER_DEADLINE_BOOT_ID=another RUNNER_DEADLINE_BOOTTIME_NS=1 exec \"$RUN\" exec -- \"$VICTIM\" sleep 200";
    let run = exec("--timeout 20").env("RUN", RUNNER);
    run.sh(line).run().assert_code(0).assert_silent().assert_tree_dead();
}

/// A deadline that a process left in the environment which is not above us binds nobody.
#[test]
fn the_deadline_of_a_runner_that_is_no_ancestor_is_ignored() {
    let told = exec("--timeout 0.5").job(["env", "-0"]).run();
    told.assert_code(0);
    let text = told.stdout_text();
    let mut later = exec("");
    let mut count = 0;
    for (name, value) in text.split('\0').filter_map(|entry| entry.split_once('=')) {
        if name.starts_with("RUNNER_") {
            later = later.env(name, value);
            count += 1;
        }
    }
    assert!(count >= 3, "{text}");
    later.victim("sleep 900").run().assert_code(0).assert_silent();
}
