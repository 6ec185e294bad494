//! What the job gets: arguments, variables, folder, input, descriptors, signals, a group of its own; and nothing of ours.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Finished, exec, folder, inherit, pipe, start_blocking, start_ignoring};

/// The variables that the job saw.
fn variables(done: &Finished) -> BTreeMap<String, String> {
    done.assert_code(0).assert_silent();
    let text = done.stdout_text();
    let pairs = text.split('\0').filter_map(|entry| entry.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[expect(clippy::disallowed_methods, reason = "compared with what the job was told")]
fn unix_milliseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()
}

#[test]
fn a_job_is_told_its_name_its_attempt_and_its_deadline() {
    let before = unix_milliseconds();
    let seen = variables(&exec("--timeout 30").job(["env", "-0"]).run());
    let after = unix_milliseconds();
    assert_eq!(seen.get("RUNNER_ATTEMPT").map(String::as_str), Some("1"));
    assert!(seen.get("RUNNER_JOB_ID").is_some_and(|id| !id.is_empty()), "{seen:?}");
    let deadline: u128 = seen["RUNNER_DEADLINE_UNIX_MS"].parse().expect("milliseconds");
    assert!(
        (before + 30_000..=after + 30_000).contains(&deadline),
        "{before} + 30000 <= {deadline} <= {after} + 30000"
    );
    let other = variables(&exec("--timeout 30").job(["env", "-0"]).run());
    assert_ne!(seen["RUNNER_JOB_ID"], other["RUNNER_JOB_ID"]);
}

#[test]
fn our_caller_s_variables_pass_and_others_are_set() {
    let run = exec("--env A=1 --env B=two=2 --env A=3").env("KEPT", "yes").env("B", "old");
    let seen = variables(&run.arg("--env").arg("EMPTY=").job(["env", "-0"]).run());
    assert_eq!((seen["KEPT"].as_str(), seen["A"].as_str(), seen["B"].as_str()), ("yes", "3", "two=2"));
    assert_eq!(seen["EMPTY"], "");
}

#[test]
fn an_empty_environment_has_what_is_set_and_what_we_tell() {
    let run = exec("--env-clear --env A=1 --timeout 20").env("KEPT", "no");
    let seen = variables(&run.job(["/usr/bin/env", "-0"]).run());
    assert_eq!(seen.get("A").map(String::as_str), Some("1"));
    assert!(seen.keys().all(|name| name == "A" || name.starts_with("RUNNER_")), "{seen:?}");
}

#[test]
fn a_job_runs_in_our_folder_or_in_the_one_that_is_given() {
    let (ours, given) = (folder(), folder());
    let real = |path: &std::path::Path| fs::canonicalize(path).expect("a folder").display().to_string();
    let in_ours = exec("").with(|command| {
        command.current_dir(ours.path());
    });
    assert_eq!(in_ours.job(["pwd", "-P"]).run().stdout_text().trim_end(), real(ours.path()));
    let elsewhere = exec("--cwd").arg(given.path()).job(["pwd", "-P"]).run();
    assert_eq!(elsewhere.stdout_text().trim_end(), real(given.path()));
}

#[test]
fn input_is_inherited_or_empty_or_a_file() {
    let place = folder();
    let path = place.path().join("input");
    fs::write(&path, "from a file\n").expect("a file");
    let feed = || fs::File::open(&path).expect("the file");
    let inherited = exec("").with(|command| {
        command.stdin(feed());
    });
    assert_eq!(inherited.job(["cat"]).run().stdout_text(), "from a file\n");
    let empty = exec("--stdin null").with(|command| {
        command.stdin(feed());
    });
    assert_eq!(empty.job(["cat"]).run().stdout_text(), "");
    let file = exec("--stdin").arg(&path).job(["cat"]).run();
    assert_eq!(file.stdout_text(), "from a file\n");
}

/// Nothing of it is read ahead by us.
#[test]
fn what_the_job_does_not_read_is_left_to_who_comes_next() {
    let line = "printf 'one\\ntwo\\n' | { \"$RUN\" exec -- sh -c 'read line; echo \"got $line\"'; cat; }";
    let done = exec("").env("RUN", env!("CARGO_BIN_EXE_runner")).sh(line).run();
    assert_eq!(done.stdout_text(), "got one\ntwo\n");
}

#[test]
fn arguments_are_passed_as_they_are() {
    let done = exec("").job(["printf", "[%s]", "a b", "", "$HOME", "*", "--timeout"]).run();
    assert_eq!(done.stdout_text(), "[a b][][$HOME][*][--timeout]");
}

#[test]
fn a_line_goes_through_a_shell() {
    let done = exec("").arg("-c").arg("echo \"$((1 + 2))\" | tr 3 4; exit 6").run();
    done.assert_code(6).assert_silent();
    assert_eq!(done.stdout_text(), "4\n");
    let done = exec("--shell /bin/sh -c").arg("echo $0").run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "/bin/sh\n");
}

on_both_rungs! {
    fn the_job_has_a_group_of_its_own(rung) {
        let done = exec("").rung(rung).victim("ids").run();
        done.assert_code(0);
        let text = done.stdout_text();
        let ids: Vec<i32> = text.split_whitespace().filter_map(|id| id.parse().ok()).collect();
        assert_eq!(ids[0], ids[1], "it leads its group: {text}");
        assert_eq!(ids[2], done.pid, "in our session: {text}");
    }

    fn the_job_gets_our_caller_s_descriptors_and_none_of_ours(rung) {
        let (read, write) = pipe();
        let number = write.as_raw_fd();
        let run = exec("--timeout 20 --log /dev/null --report /dev/null").rung(rung);
        let done = run.with(|command| inherit(command, number)).victim("list-fds").run();
        done.assert_code(0);
        let text = done.stdout_text();
        let open: BTreeMap<i32, &str> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(number, target)| Some((number.parse().ok()?, target)))
            .collect();
        let ours = fs::read_link(format!("/proc/self/fd/{number}")).expect("our own pipe");
        assert_eq!(open.get(&number).copied(), ours.to_str(), "{text}");
        let mut others: Vec<i32> = open.keys().copied().filter(|fd| *fd > 2 && *fd != number).collect();
        others.retain(|fd| !crate::support::inherited_descriptors().contains(fd));
        assert_eq!(others.len(), 1, "besides what we all inherit, the lifeline: {text}");
        assert!(open[&others[0]].starts_with("pipe:"), "{text}");
        drop(read);
    }

    /// Whatever we were started with, and whatever we handle ourselves.
    fn the_job_s_signals_are_unblocked_and_at_their_defaults(rung) {
        const BLOCKED: &[i32] = &[libc::SIGTERM, libc::SIGCHLD, libc::SIGUSR1, libc::SIGALRM, libc::SIGINT, libc::SIGPIPE];
        const IGNORED: &[i32] = &[libc::SIGPIPE, libc::SIGCHLD, libc::SIGUSR2, libc::SIGTERM, libc::SIGTTOU, libc::SIGWINCH];
        let run = exec("--timeout 20").rung(rung).with(|command| start_blocking(command, BLOCKED));
        let done = run.with(|command| start_ignoring(command, IGNORED)).victim("signals").run();
        done.assert_code(0).assert_silent();
        assert_eq!(done.stdout_text(), "SigBlk:0000000000000000\nSigIgn:0000000000000000\n");
    }

    fn hup_int_and_quit_stay_ignored_where_they_were(rung) {
        const IGNORED: &[i32] = &[libc::SIGHUP, libc::SIGINT, libc::SIGQUIT];
        let done = exec("").rung(rung).with(|command| start_ignoring(command, IGNORED)).victim("signals").run();
        assert_eq!(done.stdout_text(), "SigBlk:0000000000000000\nSigIgn:0000000000000007\n");
        let done = exec("").rung(rung).with(|command| start_ignoring(command, &[libc::SIGHUP])).victim("signals").run();
        assert_eq!(done.stdout_text(), "SigBlk:0000000000000000\nSigIgn:0000000000000001\n");
    }

    /// As under nohup: it goes on, and TERM still stops it.
    fn what_is_ignored_does_not_stop_us_either(rung) {
        const IGNORED: &[i32] = &[libc::SIGHUP, libc::SIGINT, libc::SIGQUIT];
        let mut run = exec("--grace 0.2").rung(rung).with(|command| start_ignoring(command, IGNORED)).victim("sleep").start();
        run.wait_until_ready();
        IGNORED.iter().for_each(|number| run.signal(*number));
        run.signal(libc::SIGTERM);
        let done = run.finish();
        done.assert_code(143).assert_tree_dead();
        assert_eq!(done.answer()["error"]["details"]["signal"], "TERM");
    }

    /// With SIGCHLD ignored the kernel would reap our children itself, and the code would be lost.
    fn an_ignored_chld_costs_no_exit_code(rung) {
        let run = exec("").rung(rung).with(|command| start_ignoring(command, &[libc::SIGCHLD]));
        run.victim("exit 9").run().assert_code(9).assert_silent();
    }

    fn signals_that_were_blocked_reach_us(rung) {
        let run = exec("--grace 0.2").rung(rung).with(|command| start_blocking(command, &[libc::SIGTERM, libc::SIGCHLD]));
        let mut run = run.victim("sleep").start();
        run.wait_until_ready();
        run.signal(libc::SIGTERM);
        run.finish().assert_code(143).assert_tree_dead();
    }

    fn closed_streams_are_no_harm(rung) {
        let line = "\"$RUN\" exec -- sh -c 'exit 4' <&- >&- 2>&-";
        exec("").rung(rung).env("RUN", env!("CARGO_BIN_EXE_runner")).sh(line).run().assert_code(4);
    }
}
