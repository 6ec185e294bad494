//! Ctrl-C and Ctrl-\ at a real terminal: once, twice, three times, and what the shell and the answer say afterwards; for
//! jobs that read the terminal, whose first Ctrl-C is their own, and for others.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::support::has_program;
use crate::support::terminal::leash::Leash;
use crate::support::terminal::process::{children, send, settled};
use crate::support::terminal::pty::Terminal;
use crate::support::terminal::{Scratch, Stopwatch, answer, until};

/// Dies of any signal.
const MEEK: &str = "exec 9>leash; echo started; printf + >&9; exec sleep 30\n";

/// A tree of which no process minds INT or QUIT, one of them in a session of its own.
const STUBBORN: &str = "trap '' INT QUIT
exec 9>leash
setsid sh -c 'printf + >&9; exec sleep 30' &
echo started
printf + >&9
exec sleep 30
";

fn job(text: &str) -> (Scratch, Leash) {
    let scratch = Scratch::new();
    scratch.write("job.sh", text);
    let leash = Leash::new(&scratch);
    (scratch, leash)
}

#[test]
fn one_ctrl_c_ends_a_job_that_dies_of_it() {
    let (scratch, mut leash) = job(MEEK);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 20s -- sh job.sh");
    leash.held_by(1);
    terminal.ctrl_c();
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
    leash.freed();
}

#[test]
fn runner_itself_dies_of_the_interrupt_each_time() {
    // The job may be dead of it before runner has looked at its own signals: that is a cancel all the same.
    for round in 0..20 {
        let (scratch, mut leash) = job(MEEK);
        let mut terminal = Terminal::run(&mut scratch.runner(&["exec", "--", "sh", "job.sh"]));
        leash.held_by(1);
        terminal.ctrl_c();
        let status = terminal.ended();
        assert_eq!((status.signal(), status.code()), (Some(libc::SIGINT), None), "round {round}: {status}");
        leash.freed();
    }
}

#[test]
fn a_loop_around_runner_ends_with_one_ctrl_c() {
    let (scratch, mut leash) = job("echo run >>runs; exec 9>leash; printf + >&9; exec sleep 30\n");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("while :; do runner exec -- sh job.sh; done");
    leash.held_by(1);
    terminal.ctrl_c();
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
    assert_eq!(scratch.read("runs"), "run\n", "the loop went on");
    leash.freed();
}

#[test]
fn a_script_around_runner_ends_with_one_ctrl_c() {
    let (scratch, mut leash) = job(MEEK);
    scratch.write("outer.sh", "runner exec -- sh job.sh\necho went-on\n");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("bash outer.sh");
    leash.held_by(1);
    terminal.ctrl_c();
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
    assert!(!terminal.screen().contains("went-on"), "{}", terminal.screen());
}

#[test]
fn a_job_that_ignores_ctrl_c_is_killed_at_the_end_of_the_grace() {
    let (scratch, mut leash) = job(STUBBORN);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 700ms -- sh job.sh </dev/null");
    leash.held_by(2);
    let clock = Stopwatch::start();
    terminal.ctrl_c();
    leash.freed();
    assert!(clock.elapsed() >= Duration::from_millis(700), "killed after {:?}", clock.elapsed());
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
}

#[test]
fn a_job_may_clean_up_on_ctrl_c_and_runner_dies_of_it_all_the_same() {
    let (scratch, mut leash) = job("trap 'sleep 0.2; echo cleaned; exit 3' INT
exec 9>leash
printf + >&9
while :; do sleep 0.05; done
");
    let mut terminal =
        Terminal::run(&mut scratch.runner(&["exec", "--grace", "20s", "--stdin", "null", "--", "sh", "job.sh"]));
    leash.held_by(1);
    terminal.ctrl_c();
    let status = terminal.ended();
    terminal.expect("cleaned");
    assert_eq!(status.signal(), Some(libc::SIGINT), "{status}");
}

#[test]
fn the_job_gets_one_ctrl_c_once_and_no_other_signal_before_the_kill() {
    let (scratch, mut leash) = job("trap 'echo got-int' INT
trap 'echo got-term' TERM
trap 'echo got-hup' HUP
exec 9>leash
printf + >&9
while :; do sleep 0.05; done
");
    let mut terminal = Terminal::shell_with(&scratch, &[("RUNNER_ERROR_FORMAT", "json")]);
    terminal.line("runner exec --grace 1s -- sh job.sh </dev/null 2>answer.json");
    leash.held_by(1);
    terminal.ctrl_c();
    let shown = terminal.prompt();
    leash.freed();
    assert_eq!(shown.matches("got-int").count(), 1, "{shown}");
    assert!(!shown.contains("got-term") && !shown.contains("got-hup"), "{shown}");
    let answer = answer(&scratch.read("answer.json"));
    let error = &answer["error"];
    assert_eq!(error["code"], "CANCELLED", "{answer}");
    assert_eq!(error["details"]["signal"], "INT", "{answer}");
    let signals = error["details"]["termination"]["signals"].as_array().expect("a list");
    assert!(signals.last().is_some_and(|last| last == "KILL"), "{answer}");
    assert!(!signals.iter().any(|signal| signal == "TERM"), "{answer}");
    assert_eq!(error["details"]["termination"]["signal"], "KILL", "{answer}");
    assert_eq!(error["details"]["termination"]["survivors"], serde_json::json!([]), "{answer}");
}

#[test]
fn the_second_ctrl_c_kills_at_once() {
    let (scratch, mut leash) = job(STUBBORN);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 60s -- sh job.sh </dev/null");
    leash.held_by(2);
    let runner = terminal.foreground();
    terminal.ctrl_c();
    settled(runner, libc::SIGINT);
    assert!(leash.is_held(), "the first one must leave the job its grace");
    terminal.ctrl_c();
    leash.freed();
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
}

#[test]
fn three_ctrl_c_in_a_row_end_runner_and_the_tree_at_once() {
    let (scratch, mut leash) = job(STUBBORN);
    let mut terminal =
        Terminal::run(&mut scratch.runner(&["exec", "--grace", "60s", "--stdin", "null", "--", "sh", "job.sh"]));
    leash.held_by(2);
    terminal.ctrl_c();
    settled(terminal.pid(), libc::SIGINT);
    terminal.send(b"\x03\x03");
    let status = terminal.ended();
    assert_eq!(status.signal(), Some(libc::SIGINT), "{status}");
    leash.freed();
}

#[test]
fn ctrl_c_without_grace_kills_at_once() {
    let (scratch, mut leash) = job(STUBBORN);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 0 -- sh job.sh </dev/null");
    leash.held_by(2);
    terminal.ctrl_c();
    leash.freed();
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
}

#[test]
fn ctrl_backslash_is_treated_like_ctrl_c() {
    let (scratch, mut leash) = job(STUBBORN);
    let mut terminal = Terminal::run(&mut scratch.runner(&["exec", "--grace", "600ms", "--", "sh", "job.sh"]));
    leash.held_by(2);
    let clock = Stopwatch::start();
    terminal.ctrl_backslash();
    leash.freed();
    assert!(clock.elapsed() >= Duration::from_millis(600), "killed after {:?}", clock.elapsed());
    let status = terminal.ended();
    assert_eq!(status.signal(), Some(libc::SIGQUIT), "{status}");
    assert!(!status.core_dumped(), "{status}");
}

#[test]
fn the_shell_sees_131_after_ctrl_backslash() {
    let (scratch, mut leash) = job(MEEK);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -- sh job.sh");
    leash.held_by(1);
    terminal.ctrl_backslash();
    terminal.prompt();
    assert_eq!(terminal.status(), 131);
    leash.freed();
}

#[test]
fn a_second_ctrl_backslash_kills_at_once() {
    let (scratch, mut leash) = job(STUBBORN);
    let mut terminal = Terminal::run(&mut scratch.runner(&["exec", "--grace", "60s", "--", "sh", "job.sh"]));
    leash.held_by(2);
    terminal.ctrl_backslash();
    settled(terminal.pid(), libc::SIGQUIT);
    terminal.ctrl_backslash();
    leash.freed();
    let status = terminal.ended();
    assert_eq!(status.signal(), Some(libc::SIGQUIT), "{status}");
}

#[test]
fn a_job_in_raw_mode_gets_ctrl_c_as_a_byte_and_goes_on() {
    let scratch = Scratch::new();
    scratch.write("job.sh", "stty raw -echo; printf started; dd bs=1 count=1 2>/dev/null | od -An -tx1; stty sane\n");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -- sh job.sh");
    terminal.expect("started");
    terminal.ctrl_c();
    terminal.expect("03");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn ctrl_c_leaves_no_process_under_the_shell() {
    let (scratch, mut leash) = job(STUBBORN);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 200ms -- sh job.sh </dev/null");
    leash.held_by(2);
    terminal.ctrl_c();
    terminal.prompt();
    // Not only the job: also every guard that runner may have had beside it.
    let left = children(terminal.pid());
    assert!(left.is_empty(), "{left:?} are left under the shell");
}

/// Shows each INT, and reads lines until the end of the input.
const INTERACTIVE: &str = "trap 'echo got-int' INT
exec 9>leash
printf + >&9
while :; do
    if read line; then echo \"<line:$line>\"; [ \"$line\" = quit ] && exit 4; fi
done
";

#[test]
fn the_first_ctrl_c_of_an_interactive_job_is_its_own() {
    for options in ["--grace 100ms", "--grace 100ms --pty", "--grace 100ms --retries 2"] {
        let (scratch, mut leash) = job(INTERACTIVE);
        let mut terminal = Terminal::shell(&scratch);
        terminal.line(&format!("runner exec {options} -- bash job.sh 2>err"));
        leash.held_by(1);
        for _ in 0..3 {
            terminal.ctrl_c();
            terminal.expect("got-int");
            terminal.line("word");
            terminal.expect("<line:word>");
            // Only what comes within a second is a second one.
            let clock = Stopwatch::start();
            until("a second has passed", || clock.elapsed() > Duration::from_millis(1100));
        }
        terminal.line("quit");
        terminal.prompt();
        assert_eq!(terminal.status(), 4, "{options}: {}", scratch.read("err"));
        leash.freed();
        assert!(!scratch.read("err").contains("cancelled"), "{}", scratch.read("err"));
    }
}

#[test]
fn a_second_ctrl_c_within_a_second_stops_an_interactive_job() {
    let (scratch, mut leash) = job(INTERACTIVE);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 300ms -- bash job.sh");
    leash.held_by(1);
    terminal.ctrl_c();
    terminal.expect("got-int");
    terminal.ctrl_c();
    terminal.expect("cancelled by SIGINT");
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
    leash.freed();
}

#[test]
fn a_third_ctrl_c_kills_an_interactive_job_at_once() {
    let (scratch, mut leash) = job(INTERACTIVE);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 60s -- bash job.sh");
    leash.held_by(1);
    for _ in 0..2 {
        terminal.ctrl_c();
        terminal.expect("got-int");
    }
    assert!(leash.is_held(), "the second one must leave the job its grace");
    terminal.ctrl_c();
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
    leash.freed();
}

#[test]
fn an_interactive_job_that_ends_at_a_ctrl_c_has_its_own_code() {
    for options in ["", "--pty", "--retries 2 --retry-delay 0"] {
        let (scratch, mut leash) = job("trap 'echo tidied; exit 3' INT
echo run >>runs
exec 9>leash
printf + >&9
while :; do sleep 0.05; done
");
        let mut terminal = Terminal::shell(&scratch);
        terminal.line(&format!("runner exec {options} -- sh job.sh"));
        leash.held_by(1);
        terminal.ctrl_c();
        terminal.expect("tidied");
        let shown = terminal.prompt();
        assert_eq!(terminal.status(), 3, "{options}: {shown}");
        assert!(!shown.contains("cancelled"), "{shown}");
        assert_eq!(scratch.read("runs"), "run\n", "it was tried again");
    }
}

#[test]
fn an_interrupt_that_a_process_sends_stops_an_interactive_job_at_once() {
    let (scratch, mut leash) = job(INTERACTIVE);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 100ms -- bash job.sh");
    leash.held_by(1);
    send(terminal.foreground(), libc::SIGINT);
    terminal.expect("cancelled by SIGINT");
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
    leash.freed();
}

#[test]
fn python_goes_on_after_ctrl_c() {
    if !has_program("python3") {
        return;
    }
    let scratch = Scratch::new();
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 100ms -- python3 -q");
    terminal.expect(">>> ");
    // At its prompt python may see a signal only with the next key.
    terminal.line("import time; print(6 * 7); time.sleep(60)");
    terminal.expect("42");
    terminal.ctrl_c();
    terminal.expect("KeyboardInterrupt");
    terminal.expect(">>> ");
    terminal.line("exit(5)");
    terminal.prompt();
    assert_eq!(terminal.status(), 5);
}
