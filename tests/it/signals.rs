//! Signals that reach `runner exec` away from a terminal: told to stop, told by its own job, and what a job inherits.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::support::terminal::leash::Leash;
use crate::support::terminal::process::{Running, Setup, in_set, send, set, settled, start, start_as, state};
use crate::support::terminal::pty::Terminal;
use crate::support::terminal::{Scratch, Stopwatch, until};

/// Dies of any signal, and so do a child in a session of its own and a daemon.
const MEEK: &str = "exec 9>leash
setsid sh -c 'printf + >&9; exec sleep 30' &
(setsid sh -c 'printf + >&9; exec sleep 30' &)
printf + >&9
exec sleep 30
";

/// Takes TERM, INT and HUP, says so, and goes on.
const CHATTY: &str = "trap 'echo got-term' TERM
trap 'echo got-int' INT
trap 'echo got-hup' HUP
exec 9>leash
printf + >&9
while :; do sleep 0.05; done
";

fn job(text: &str) -> (Scratch, Leash) {
    let scratch = Scratch::new();
    scratch.write("job.sh", text);
    let leash = Leash::new(&scratch);
    (scratch, leash)
}

/// Starts `runner exec` with these options on job.sh.
#[track_caller]
fn exec(scratch: &Scratch, options: &[&str], setup: &Setup) -> Running {
    let arguments = [&["exec"], options, &["--", "sh", "job.sh"]].concat();
    start_as(&mut scratch.runner(&arguments), setup)
}

#[track_caller]
fn told_to_stop(signal: i32, name: &str) {
    let (scratch, mut leash) = job(MEEK);
    // A shell starts what has a '&' with INT and QUIT ignored, so that part of the tree may take the whole grace.
    let runner = exec(&scratch, &["--grace", "500ms"], &Setup::default());
    leash.held_by(3);
    runner.signal(signal);
    let ended = runner.ended();
    leash.freed();
    if [libc::SIGINT, libc::SIGQUIT].contains(&signal) {
        assert_eq!(ended.signal(), Some(signal), "{}", ended.status);
        assert!(!ended.status.core_dumped(), "{}", ended.status);
    } else {
        assert_eq!(ended.code(), Some(128 + signal), "{}", ended.status);
    }
    let answer = ended.answer();
    assert_eq!(answer["status"], "error", "{answer}");
    assert_eq!(answer["error"]["code"], "CANCELLED", "{answer}");
    assert_eq!(answer["error"]["details"]["signal"], name, "{answer}");
    assert_eq!(answer["error"]["details"]["termination"]["survivors"], serde_json::json!([]), "{answer}");
    let processes = answer["error"]["details"]["processes"].as_array().expect("rows");
    assert_eq!(processes.len(), 3, "the tree before the stop: {answer}");
}

#[test]
fn term_cancels_with_143() {
    told_to_stop(libc::SIGTERM, "TERM");
}

#[test]
fn hup_cancels_with_129() {
    told_to_stop(libc::SIGHUP, "HUP");
}

#[test]
fn int_cancels_and_runner_dies_of_it() {
    told_to_stop(libc::SIGINT, "INT");
}

#[test]
fn quit_cancels_and_runner_dies_of_it_without_a_core() {
    told_to_stop(libc::SIGQUIT, "QUIT");
}

#[test]
fn a_second_term_changes_nothing() {
    let (scratch, mut leash) = job(CHATTY);
    let runner = exec(&scratch, &["--grace", "1s"], &Setup::default());
    leash.held_by(1);
    let clock = Stopwatch::start();
    for _ in 0..3 {
        runner.signal(libc::SIGTERM);
        settled(runner.pid(), libc::SIGTERM);
        runner.says("got-term");
    }
    leash.freed();
    assert!(clock.elapsed() >= Duration::from_secs(1), "killed after {:?}", clock.elapsed());
    let ended = runner.ended();
    assert_eq!(ended.code(), Some(143), "{}", ended.status);
    assert_eq!(ended.out(), "got-term\n", "the job is told once");
    let answer = ended.answer();
    assert_eq!(answer["error"]["details"]["termination"]["signals"], serde_json::json!(["TERM", "KILL"]), "{answer}");
}

#[test]
fn a_term_during_the_grace_of_a_timeout_changes_nothing() {
    let (scratch, mut leash) = job(CHATTY);
    let runner = exec(&scratch, &["-t", "1s", "--grace", "1s"], &Setup::default());
    leash.held_by(1);
    runner.says("got-term");
    let clock = Stopwatch::start();
    runner.signal(libc::SIGTERM);
    leash.freed();
    // The grace began before the job spoke; most of it was left.
    assert!(clock.elapsed() >= Duration::from_millis(300), "killed after {:?}", clock.elapsed());
    let ended = runner.ended();
    assert_eq!(ended.out(), "got-term\n", "the job is told once");
    assert!(ended.elapsed >= Duration::from_secs(2), "{:?}", ended.elapsed);
}

#[test]
fn a_tree_that_ignores_the_stop_signal_is_killed_after_the_grace() {
    let (scratch, mut leash) = job(&format!("trap '' TERM HUP\n{MEEK}"));
    let runner = exec(&scratch, &["--grace", "500ms"], &Setup::default());
    leash.held_by(3);
    let clock = Stopwatch::start();
    runner.signal(libc::SIGTERM);
    leash.freed();
    assert!(clock.elapsed() >= Duration::from_millis(500), "killed after {:?}", clock.elapsed());
    assert_eq!(runner.ended().code(), Some(143));
}

#[test]
fn the_stop_signal_can_be_chosen_and_serves_a_cancel_too() {
    let (scratch, mut leash) = job(CHATTY);
    let runner = exec(&scratch, &["--signal", "INT", "--grace", "300ms"], &Setup::default());
    leash.held_by(1);
    runner.signal(libc::SIGTERM);
    let ended = runner.ended();
    assert_eq!(ended.out(), "got-int\n");
    let answer = ended.answer();
    assert_eq!(answer["error"]["details"]["termination"]["signals"], serde_json::json!(["INT", "KILL"]), "{answer}");
}

#[test]
fn output_written_after_the_stop_signal_is_kept() {
    let (scratch, mut leash) = job("trap 'echo last words; exit 9' TERM
exec 9>leash
printf + >&9
while :; do sleep 0.05; done
");
    let runner = exec(&scratch, &[], &Setup::default());
    leash.held_by(1);
    runner.signal(libc::SIGTERM);
    let ended = runner.ended();
    assert_eq!(ended.code(), Some(143), "{}", ended.status);
    assert_eq!(ended.out(), "last words\n");
    let answer = ended.answer();
    assert_eq!(answer["error"]["details"]["partial_result"]["stdout"], "last words\n", "{answer}");
    assert_eq!(answer["error"]["details"]["termination"]["exit_code"], 9, "{answer}");
}

#[test]
fn a_job_that_dies_of_a_signal_by_itself_is_no_cancel() {
    let (scratch, _leash) = job("kill -USR1 $$");
    let ended = exec(&scratch, &[], &Setup::default()).ended();
    assert_eq!(ended.code(), Some(128 + libc::SIGUSR1), "{}", ended.status);
    let answer = ended.answer();
    assert_eq!(answer["error"]["code"], "COMMAND_FAILED", "{answer}");
    assert_eq!(answer["error"]["details"]["signal"], "USR1", "{answer}");
}

/// Starts runner so that the job finds runner's id in the file runner.pid.
fn with_known_pid(scratch: &Scratch, options: &str) -> Running {
    start(&mut scratch.shell(&format!("echo $$ >runner.pid; exec runner exec {options} -- sh job.sh")))
}

#[test]
fn a_stop_signal_from_the_job_itself_is_not_meant_for_runner() {
    for name in ["TERM", "INT"] {
        let (scratch, _leash) = job(&format!("kill -{name} $(cat runner.pid)\nsleep 0.2\necho alive\nexit 7\n"));
        let ended = with_known_pid(&scratch, "-t 20").ended();
        assert_eq!((ended.code(), ended.out().as_str()), (Some(7), "alive\n"), "{name}: {}", ended.status);
    }
}

#[test]
fn a_stop_signal_from_deep_in_the_tree_is_not_meant_for_runner() {
    for wrap in [
        // A child, a grandchild in a session of its own, and a daemon whose parents are gone.
        "sh kill.sh",
        "sh -c 'setsid sh kill.sh; true'",
        "(setsid sh kill.sh &)",
    ] {
        let (scratch, _leash) =
            job(&format!("{wrap}\nuntil [ -e done ]; do sleep 0.02; done\nsleep 0.1\necho alive\nexit 7\n"));
        scratch.write(
            "kill.sh",
            "sleep 0.1\nfor name in TERM INT TERM; do kill -$name $(cat runner.pid); sleep 0.05; done\n: >done\n",
        );
        let ended = with_known_pid(&scratch, "-t 20").ended();
        assert_eq!((ended.code(), ended.out().as_str()), (Some(7), "alive\n"), "{wrap}: {}", ended.status);
    }
}

#[test]
fn a_stop_signal_from_outside_counts_after_one_from_the_job() {
    let (scratch, mut leash) = job("kill -TERM $(cat runner.pid); exec 9>leash; printf + >&9; exec sleep 30");
    let runner = with_known_pid(&scratch, "");
    leash.held_by(1);
    // Two of a kind that are both pending are one, with the first sender.
    settled(runner.pid(), libc::SIGTERM);
    runner.signal(libc::SIGTERM);
    assert_eq!(runner.ended().code(), Some(143));
    leash.freed();
}

#[test]
fn a_job_that_signals_its_parent_in_the_foreground_of_a_terminal_is_alone_with_it() {
    let (scratch, _leash) = job("kill -TERM $PPID; kill -TERM $(cat runner.pid); kill -INT $(cat runner.pid)
sleep 0.2
echo alive
exit 7
");
    let mut terminal = Terminal::shell(&scratch);
    let shown = terminal.run_line("sh -c 'echo $$ >runner.pid; exec runner exec -t 20 -- sh job.sh'");
    assert!(shown.contains("alive"), "{shown}");
    assert_eq!(terminal.status(), 7);
}

#[test]
fn a_job_in_the_foreground_that_signals_the_group_does_not_end_runner() {
    for name in ["TERM", "INT"] {
        let (scratch, _leash) = job(&format!("trap '' {name}; kill -{name} 0; sleep 0.2; echo alive; exit 7"));
        let mut terminal = Terminal::shell(&scratch);
        let shown = terminal.run_line("runner exec -t 20 -- sh job.sh");
        assert!(shown.contains("alive"), "{name}: {shown}");
        assert_eq!(terminal.status(), 7, "{name}");
    }
}

#[test]
fn a_job_that_signals_its_own_group_touches_neither_runner_nor_the_shell_above() {
    for (name, code) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("KILL", 137)] {
        let (scratch, mut leash) = job(&format!("exec 9>leash; printf + >&9; kill -{name} 0; sleep 30"));
        let shell = start(&mut scratch.shell("runner exec -t 20 -- sh job.sh; echo above=$?"));
        leash.held_by(1);
        let ended = shell.ended();
        assert_eq!(ended.out(), format!("above={code}\n"), "{name}: {}", ended.stderr);
        assert_eq!(ended.answer()["error"]["code"], "COMMAND_FAILED", "{name}");
        leash.freed();
    }
}

#[test]
fn a_job_that_stops_its_own_group_does_not_stop_runner() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; kill -STOP 0");
    let runner = exec(&scratch, &["-t", "1s"], &Setup::default());
    leash.held_by(1);
    let ended = runner.ended();
    assert_eq!(ended.code(), Some(124), "{}", ended.status);
    leash.freed();
}

/// What the job sees of itself; it is no shell, since a shell changes its own signals.
fn status_of_job(setup: &Setup) -> String {
    let scratch = Scratch::new();
    let ended = start_as(&mut scratch.runner(&["exec", "-t", "20", "--", "cat", "/proc/self/status"]), setup).ended();
    assert_eq!(ended.code(), Some(0), "{}: {}", ended.status, ended.stderr);
    ended.out()
}

#[test]
fn a_job_starts_with_no_signal_ignored_or_blocked() {
    let status = status_of_job(&Setup::default());
    assert_eq!(set(&status, "SigIgn"), 0, "{status}");
    assert_eq!(set(&status, "SigBlk"), 0, "{status}");
}

#[test]
fn signals_that_were_blocked_above_are_unblocked_in_the_job() {
    let status = status_of_job(&Setup { blocked: true, ..Setup::default() });
    assert_eq!(set(&status, "SigBlk"), 0, "{status}");
}

#[test]
fn a_deadline_holds_with_every_signal_blocked_above() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; exec sleep 30");
    let runner = exec(&scratch, &["-t", "1s"], &Setup { blocked: true, ..Setup::default() });
    leash.held_by(1);
    assert_eq!(runner.ended().code(), Some(124));
    leash.freed();
}

#[test]
fn only_hup_int_and_quit_stay_ignored_in_the_job() {
    let kept = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT];
    let reset = [libc::SIGPIPE, libc::SIGCHLD, libc::SIGTERM, libc::SIGUSR1, libc::SIGTSTP, libc::SIGTTOU];
    let status = status_of_job(&Setup::ignoring(&[&kept[..], &reset[..]].concat()));
    for signal in kept {
        assert!(in_set(&status, "SigIgn", signal), "{signal} stays ignored: {status}");
    }
    for signal in reset {
        assert!(!in_set(&status, "SigIgn", signal), "{signal} is back at its default: {status}");
    }
}

#[test]
fn a_runner_under_nohup_outlives_the_hangup_and_so_does_its_job() {
    let (scratch, mut leash) =
        job("cat /proc/self/status >status; exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done; exit 5");
    let runner = exec(&scratch, &["-t", "20"], &Setup::ignoring(&[libc::SIGHUP]));
    leash.held_by(1);
    assert!(in_set(&scratch.read("status"), "SigIgn", libc::SIGHUP), "{}", scratch.read("status"));
    runner.signal(libc::SIGHUP);
    settled(runner.pid(), libc::SIGHUP);
    scratch.write("go", "");
    assert_eq!(runner.ended().code(), Some(5));
}

#[test]
fn a_runner_that_a_script_put_into_the_background_ignores_ctrl_c() {
    // A shell without job control starts what has a '&' with INT and QUIT ignored.
    let (scratch, mut leash) =
        job("cat /proc/self/status >status; exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done; exit 5");
    let shell = start(&mut scratch.shell("runner exec -t 20 -- sh job.sh & echo $! >runner.pid; wait $!"));
    leash.held_by(1);
    let status = scratch.read("status");
    let runner = scratch.pid("runner.pid");
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        assert!(in_set(&status, "SigIgn", signal), "{signal} in the job: {status}");
        send(runner, signal);
        settled(runner, signal);
    }
    scratch.write("go", "");
    assert_eq!(shell.ended().code(), Some(5));
}

#[test]
fn a_parent_that_ignores_chld_loses_no_exit_code() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; exit 6");
    let ended = exec(&scratch, &["-t", "20"], &Setup::ignoring(&[libc::SIGCHLD])).ended();
    assert_eq!(ended.code(), Some(6), "{}", ended.stderr);
    leash.held_by(1);
    leash.freed();
}

#[test]
fn signals_that_mean_nothing_to_runner_do_not_disturb_it() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done; exit 5");
    let runner = exec(&scratch, &["-t", "20"], &Setup::default());
    leash.held_by(1);
    for signal in [libc::SIGCHLD, libc::SIGCONT, libc::SIGWINCH, libc::SIGURG, libc::SIGPIPE] {
        runner.signal(signal);
        settled(runner.pid(), signal);
    }
    scratch.write("go", "");
    assert_eq!(runner.ended().code(), Some(5));
}

#[test]
fn a_kill_of_runner_takes_the_tree_with_it() {
    let (scratch, mut leash) = job(&format!("trap '' TERM HUP INT\n{MEEK}"));
    let runner = exec(&scratch, &[], &Setup::default());
    leash.held_by(3);
    let clock = Stopwatch::start();
    runner.signal(libc::SIGKILL);
    leash.freed();
    assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
    assert_eq!(runner.ended().signal(), Some(libc::SIGKILL));
}

#[test]
fn runner_that_was_stopped_from_outside_and_continued_goes_on() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done; exit 5");
    let runner = exec(&scratch, &["-t", "20"], &Setup::default());
    leash.held_by(1);
    runner.signal(libc::SIGSTOP);
    until("runner is stopped", || state(runner.pid()) == Some('T'));
    runner.signal(libc::SIGCONT);
    scratch.write("go", "");
    assert_eq!(runner.ended().code(), Some(5));
}

/// What a process gets while it stands still is handed to it all at once.
#[test]
fn signals_that_come_together_are_all_heard() {
    let (scratch, mut leash) = job(MEEK);
    let runner = exec(&scratch, &[], &Setup::default());
    leash.held_by(3);
    runner.signal(libc::SIGSTOP);
    until("runner stands still", || state(runner.pid()) == Some('T'));
    for signal in [libc::SIGUSR1, libc::SIGWINCH, libc::SIGCHLD, libc::SIGURG, libc::SIGTERM, libc::SIGCONT] {
        runner.signal(signal);
    }
    let ended = runner.ended();
    leash.freed();
    assert_eq!(ended.code(), Some(143), "{}", ended.status);
    assert_eq!(ended.answer()["error"]["code"], "CANCELLED");
}
