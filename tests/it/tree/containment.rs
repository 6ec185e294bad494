//! Nothing survives a timeout or a cancel, whatever the job does, under either containment.

use serde_json::Value;

use crate::support::{Finished, Rung, SOON, exec, seconds, strings};

/// Four tests for each way to misbehave: on a timeout and on a cancel, under both containments.
macro_rules! hostile {
    ($($name:ident: $words:literal;)*) => {$(
        mod $name {
            use crate::support::Rung;

            #[test]
            fn on_timeout_in_a_cgroup() {
                Rung::Cgroup.run(|rung| super::is_stopped_for_time(rung, $words));
            }

            #[test]
            fn on_timeout_by_walk() {
                Rung::Walk.run(|rung| super::is_stopped_for_time(rung, $words));
            }

            #[test]
            fn on_cancel_in_a_cgroup() {
                Rung::Cgroup.run(|rung| super::is_cancelled(rung, $words));
            }

            #[test]
            fn on_cancel_by_walk() {
                Rung::Walk.run(|rung| super::is_cancelled(rung, $words));
            }
        }
    )*};
}

hostile! {
    a_plain_sleeper: "sleep";
    one_that_ignores_term: "ignore-term";
    one_that_ignores_all: "ignore-all";
    a_child_that_ignores_term: "ignore-term-child";
    a_child_that_ignores_all: "stay ignore-all";
    a_silent_child: "stay silent";
    a_child_in_its_own_session: "setsid-child";
    a_child_in_its_own_session_that_ignores_all: "stay stay setsid-child";
    a_daemon_that_double_forked: "double-fork";
    a_deep_tree_of_sessions: "deep-sessions 24";
    a_chain_that_forks_its_successor: "stay fork-chain 3";
    a_chain_without_pause: "stay fork-chain 0";
    a_chain_of_sessions: "stay fork-chain 2 setsid";
    one_that_stops_itself: "stop-self";
    one_that_stops_its_group: "stop-group";
    one_that_closes_its_streams: "close-streams";
    a_child_that_chats: "stay chatty 20";
    one_that_burns: "burn";
    many_processes: "forkbomb-lite 7";
    many_zombies: "zombies 500";
    a_child_that_is_a_subreaper: "own-subreaper";
    one_without_its_first_thread: "headless";
    a_child_without_its_first_thread: "stay headless";
    an_unfinished_line: "unfinished-line";
}

const OPTIONS: &str = "--timeout 0.5 --grace 0.2";

fn is_stopped_for_time(rung: Rung, words: &str) {
    let done = exec(OPTIONS).rung(rung).victim(words).run();
    done.assert_code(124).assert_took_between(seconds(0.5), SOON).assert_tree_dead();
    let answer = done.answer();
    let error = &answer["error"];
    assert_eq!(error["code"], "TIMEOUT");
    assert_eq!(error["details"]["reason"], "total");
    assert_eq!(error["details"]["timeout_seconds"], 0.5);
    assert!(error["details"]["elapsed_seconds"].as_f64().is_some_and(|time| time >= 0.5), "{error:#}");
    assert_stopped_by_the_ladder(rung, &done, error);
}

fn is_cancelled(rung: Rung, words: &str) {
    let mut run = exec("--grace 0.2").rung(rung).victim(words).start();
    run.wait_until_ready();
    run.signal(libc::SIGTERM);
    let done = run.finish();
    done.assert_code(143).assert_took_between(seconds(0.0), SOON).assert_tree_dead();
    let answer = done.answer();
    let error = &answer["error"];
    assert_eq!(error["code"], "CANCELLED");
    assert_eq!(error["details"]["signal"], "TERM");
    assert_stopped_by_the_ladder(rung, &done, error);
}

fn assert_stopped_by_the_ladder(rung: Rung, done: &Finished, error: &Value) {
    let details = &error["details"];
    let termination = &details["termination"];
    let signals = strings(&termination["signals"]);
    assert!(signals == ["TERM"] || signals == ["TERM", "KILL"], "{termination:#}");
    assert_eq!(termination["containment"], rung.word());
    assert_eq!(termination["survivors"].as_array().map(Vec::len), Some(0), "{termination:#}");
    let rows = details["processes"].as_array().expect("the black box");
    assert!((1..=64).contains(&rows.len()), "{rows:#?}");
    for row in rows {
        assert!(row["pid"].as_i64().is_some_and(|pid| pid > 1), "{row}");
        let command = row["command"].as_str().expect("a command");
        assert!(!command.is_empty() && command.len() <= 200, "{row}");
    }
    let partial = details["partial_result"]["stdout"].as_str().expect("what it wrote");
    assert!(partial.starts_with("ready\n"), "{partial:?}");
    assert!(done.stdout_text().starts_with("ready\n"), "{:?}", done.stdout_text());
}

on_both_rungs! {
    fn a_flood_of_one_stream_is_stopped(rung) {
        floods_until_stopped(rung, "flood 0");
    }

    fn a_flood_of_both_streams_is_stopped(rung) {
        floods_until_stopped(rung, "flood-both 0");
    }

    /// The job has a group of its own, so what it does to its group is its own affair.
    fn a_job_that_kills_its_group_does_not_touch_runner(rung) {
        let done = exec("--timeout 10").rung(rung).victim("kill-own-group 9").run();
        done.assert_code(137).assert_tree_dead();
        assert_eq!(done.answer()["error"]["details"]["signal"], "KILL");
    }

    fn a_job_that_stops_its_group_does_not_stop_runner(rung) {
        let done = exec("--timeout 0.5 --grace 0.2").rung(rung).victim("kill-own-group 19").run();
        done.assert_code(124).assert_tree_dead();
    }

    /// The stopped process is continued after the stop signal: it dies of that, not of the kill.
    fn a_stopped_job_gets_the_stop_signal(rung) {
        let done = exec("--timeout 0.3 --grace 10").rung(rung).victim("stop-self").run();
        done.assert_code(124).assert_took_between(seconds(0.3), SOON).assert_tree_dead();
        let termination = &done.answer()["error"]["details"]["termination"];
        assert_eq!(strings(&termination["signals"]), ["TERM"], "{termination:#}");
        assert_eq!(termination["signal"], "TERM");
    }

    fn a_tree_that_is_already_dead_needs_no_grace(rung) {
        let done = exec("--timeout 0.3 --grace 60").rung(rung).victim("deep-sessions 8").run();
        done.assert_code(124).assert_took_between(seconds(0.3), SOON).assert_tree_dead();
    }
}

fn floods_until_stopped(rung: Rung, words: &str) {
    let done = exec(OPTIONS).rung(rung).stderr_to_file_of(words);
    done.finished.assert_code(124).assert_took_between(seconds(0.5), SOON).assert_tree_dead();
    let details = &crate::support::parse(&done.report)["error"]["details"];
    let partial = &details["partial_result"];
    assert!(partial["stdout_bytes"].as_u64().is_some_and(|count| count > 65536), "{partial:.500}");
    assert!(partial["stdout_omitted_bytes"].as_u64().is_some_and(|count| count > 0), "{partial:.500}");
    assert_eq!(details["termination"]["containment"], rung.word());
}

/// A run whose streams are of no interest, with its report.
struct Reported {
    finished: Finished,
    report: String,
}

impl crate::support::Exec {
    fn stderr_to_file_of(self, words: &str) -> Reported {
        let folder = crate::support::folder();
        let (answer, noise) = (folder.path().join("answer.json"), folder.path().join("noise"));
        let noise = std::fs::File::create(noise).expect("a new file");
        let finished = self.arg("--report").arg(&answer).count_stdout().stderr_to(noise).victim(words).run();
        Reported { finished, report: std::fs::read_to_string(answer).expect("a report") }
    }
}
