//! Job control at a real terminal: Ctrl-Z and `fg`, runner in the background, and where nobody could continue it.

use std::time::Duration;

use crate::support::terminal::leash::Leash;
use crate::support::terminal::process::{send, settled, start, state};
use crate::support::terminal::pty::Terminal;
use crate::support::terminal::{Scratch, Stopwatch, answer, until};

/// Reads a line from standard input and shows it.
const READER: &str = "echo $$ >job.pid
exec 9>leash
printf + >&9
read line
echo \"got:$line\"
";

fn job(text: &str) -> (Scratch, Leash) {
    let scratch = Scratch::new();
    scratch.write("job.sh", text);
    let leash = Leash::new(&scratch);
    (scratch, leash)
}

fn json_shell(scratch: &Scratch) -> Terminal {
    Terminal::shell_with(scratch, &[("RUNNER_ERROR_FORMAT", "json")])
}

fn stopped(pid: i32) -> bool {
    state(pid) == Some('T')
}

#[test]
fn ctrl_z_gives_the_prompt_back_and_the_clock_stands_still_until_fg() {
    let (scratch, mut leash) = job(READER);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 2 -- sh job.sh");
    leash.held_by(1);
    let (runner, job) = (terminal.foreground(), scratch.pid("job.pid"));
    terminal.ctrl_z();
    terminal.expect("Stopped");
    terminal.prompt();
    assert!(stopped(runner), "runner is stopped");
    until("the job is stopped", || stopped(job));
    // Longer than the whole timeout.
    terminal.run_line("sleep 2.3");
    assert!(leash.is_held(), "the job was ended while it was stopped");
    terminal.line("fg");
    terminal.expect("sh job.sh");
    terminal.line("word");
    terminal.expect("got:word");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn the_clock_goes_on_after_fg_and_time_that_was_stopped_is_left_out() {
    let (scratch, mut leash) = job("echo $$ >job.pid; exec 9>leash; printf + >&9; exec sleep 30\n");
    let mut terminal = json_shell(&scratch);
    let clock = Stopwatch::start();
    terminal.line("runner exec -t 1.5 -- sh job.sh 2>answer.json");
    leash.held_by(1);
    terminal.ctrl_z();
    terminal.prompt();
    terminal.run_line("sleep 1");
    terminal.line("fg");
    terminal.prompt();
    let elapsed = clock.elapsed();
    assert_eq!(terminal.status(), 124);
    assert!(elapsed >= Duration::from_millis(2500), "ended after {elapsed:?}");
    let answer = answer(&scratch.read("answer.json"));
    let counted = answer["error"]["details"]["elapsed_seconds"].as_f64().expect("a number");
    assert!(counted >= 1.5, "{answer}");
    assert!(counted <= elapsed.as_secs_f64() - 1.0, "{counted} of {elapsed:?} with 1 s stopped");
    leash.freed();
}

#[test]
fn ctrl_z_during_the_grace_and_fg_do_not_save_a_job() {
    let (scratch, mut leash) = job("trap '' INT; echo $$ >job.pid; exec 9>leash; printf + >&9; exec sleep 30\n");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec --grace 1500ms -- sh job.sh </dev/null");
    leash.held_by(1);
    let runner = terminal.foreground();
    let clock = Stopwatch::start();
    terminal.ctrl_c();
    settled(runner, libc::SIGINT);
    terminal.ctrl_z();
    terminal.expect("Stopped");
    terminal.prompt();
    until("the job is stopped", || stopped(scratch.pid("job.pid")));
    terminal.run_line("sleep 0.5");
    assert!(leash.is_held(), "the grace went on while runner was stopped");
    terminal.line("fg");
    leash.freed();
    assert!(clock.elapsed() >= Duration::from_secs(2), "killed after {:?}", clock.elapsed());
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
}

#[test]
fn ctrl_z_and_fg_work_twice() {
    let (scratch, mut leash) = job(READER);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 -- sh job.sh");
    leash.held_by(1);
    let job = scratch.pid("job.pid");
    for _ in 0..2 {
        terminal.ctrl_z();
        terminal.expect("Stopped");
        terminal.prompt();
        // The shell waits for runner alone; until the job is stopped it may take what is typed next.
        until("the job is stopped", || stopped(job));
        terminal.line("fg");
        terminal.expect("sh job.sh");
        until("the job goes on", || !stopped(job));
    }
    terminal.line("word");
    terminal.expect("got:word");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn bg_lets_a_job_that_was_stopped_with_ctrl_z_finish() {
    let (scratch, mut leash) =
        job("exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done; echo finished >out");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 -- sh job.sh");
    leash.held_by(1);
    terminal.ctrl_z();
    terminal.expect("Stopped");
    terminal.prompt();
    terminal.run_line("bg");
    terminal.run_line(": >go; wait -f %1");
    assert_eq!(terminal.status(), 0);
    assert_eq!(scratch.read("out"), "finished\n");
}

#[test]
fn a_job_that_catches_ctrl_z_may_tidy_the_screen_before_it_stops() {
    // As an editor does; on CONT it draws again. `read -t` waits without a child that would be stopped too.
    let (scratch, mut leash) = job("trap 'echo tidied; kill -STOP $$; echo drawn-again' TSTP
exec 9>leash
echo $$ >job.pid
printf + >&9
until [ -e go ]; do read -t 0.02 key; done
echo finished
");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 -- bash job.sh");
    leash.held_by(1);
    terminal.ctrl_z();
    terminal.prompt();
    let job = scratch.pid("job.pid");
    until("the job has tidied and is stopped", || terminal.screen().contains("tidied") && stopped(job));
    terminal.line("fg");
    terminal.expect("drawn-again");
    scratch.write("go", "");
    terminal.expect("finished");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn a_job_that_suspends_its_whole_group_suspends_runner_too() {
    // As an editor does that reads Ctrl-Z as a key.
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; kill -TSTP 0; echo went-on");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 -- sh job.sh");
    leash.held_by(1);
    terminal.expect("Stopped");
    terminal.prompt();
    terminal.line("fg");
    terminal.expect("went-on");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn a_stopped_runner_that_is_told_to_end_ends_when_it_is_continued() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; exec sleep 30\n");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -- sh job.sh");
    leash.held_by(1);
    let runner = terminal.foreground();
    terminal.ctrl_z();
    terminal.expect("Stopped");
    terminal.prompt();
    // bash sends CONT after TERM to a job that is stopped.
    terminal.run_line("kill %1");
    // bash takes the job for stopped until it has reaped it.
    until("the shell has reaped runner", || state(runner).is_none());
    terminal.run_line("wait %1");
    assert_eq!(terminal.status(), 143);
    leash.freed();
}

#[test]
fn a_background_job_that_only_writes_works() {
    let (scratch, _leash) = job("echo written; echo also >&2");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 -- sh job.sh &");
    terminal.expect("written");
    terminal.expect("also");
    terminal.run_line("wait -f %1");
    assert_eq!(terminal.status(), 0);
}

#[test]
fn a_background_job_that_reads_the_terminal_is_stopped_and_the_timeout_says_so() {
    let (scratch, mut leash) = job(READER);
    let mut terminal = json_shell(&scratch);
    terminal.run_line("runner exec -t 1 -- sh job.sh 2>answer.json &");
    leash.held_by(1);
    let job = scratch.pid("job.pid");
    until("the job is stopped", || stopped(job));
    terminal.run_line("wait -f %1");
    assert_eq!(terminal.status(), 124);
    leash.freed();
    let answer = answer(&scratch.read("answer.json"));
    assert_eq!(answer["error"]["code"], "TIMEOUT", "{answer}");
    let remediation = answer["error"]["remediation"].as_str().expect("a text");
    assert!(remediation.contains("terminal") && remediation.contains("foreground"), "{remediation}");
}

#[test]
fn a_background_job_that_may_not_write_is_stopped_and_the_timeout_says_so() {
    let (scratch, mut leash) = job("echo $$ >job.pid; exec 9>leash; printf + >&9; echo written\n");
    let mut terminal = json_shell(&scratch);
    terminal.run_line("stty tostop");
    terminal.run_line("runner exec -t 1 -- sh job.sh 2>answer.json &");
    leash.held_by(1);
    until("the job is stopped", || stopped(scratch.pid("job.pid")));
    terminal.run_line("wait -f %1");
    assert_eq!(terminal.status(), 124);
    leash.freed();
    let answer = answer(&scratch.read("answer.json"));
    let remediation = answer["error"]["remediation"].as_str().expect("a text");
    assert!(remediation.contains("wrote to the terminal"), "{remediation}");
}

#[test]
fn a_job_in_the_background_stays_in_the_group_of_runner() {
    let (scratch, mut leash) = job(
        "echo $$ $PPID $(cut -d' ' -f5 /proc/$$/stat) >ids; exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done\n",
    );
    let mut terminal = Terminal::shell(&scratch);
    terminal.run_line("runner exec -t 20 -- sh job.sh & echo $! >runner.pid");
    leash.held_by(1);
    let line = scratch.line("ids");
    let ids: Vec<&str> = line.split(' ').collect();
    assert_eq!(ids[2], scratch.line("runner.pid"), "the shell made a group for runner: {line}");
    terminal.run_line(": >go; wait -f %1");
    assert_eq!(terminal.status(), 0);
}

#[test]
fn a_background_job_reads_the_terminal_once_fg_brings_it_to_the_foreground() {
    for reader in ["read line", "read line </dev/tty", "stty -echo; read line; stty echo"] {
        for before in [true, false] {
            let (scratch, mut leash) = job(&format!(
                "echo $$ >job.pid; exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done
{reader}; echo \"got:$line\"; exit 6"
            ));
            let mut terminal = Terminal::shell(&scratch);
            terminal.run_line("runner exec -t 20 -- sh job.sh &");
            leash.held_by(1);
            if before {
                scratch.write("go", "");
                until("the job is stopped", || stopped(scratch.pid("job.pid")));
            }
            terminal.line("fg");
            terminal.expect("sh job.sh");
            scratch.write("go", "");
            until("the job goes on", || !stopped(scratch.pid("job.pid")));
            terminal.line("word");
            terminal.expect("got:word");
            terminal.prompt();
            assert_eq!(terminal.status(), 6, "{reader}, stopped before: {before}");
        }
    }
}

#[test]
fn ctrl_c_and_ctrl_z_work_for_a_job_that_fg_brought_to_the_foreground() {
    let (scratch, mut leash) = job("echo $$ >job.pid; exec 9>leash; printf + >&9; exec sleep 30\n");
    let mut terminal = Terminal::shell(&scratch);
    terminal.run_line("runner exec -t 20 -- sh job.sh & echo $! >runner.pid");
    leash.held_by(1);
    terminal.line("fg");
    terminal.expect("sh job.sh");
    // The shell says so before it does it.
    until("runner is in the foreground", || terminal.foreground_group() == Some(scratch.pid("runner.pid")));
    terminal.ctrl_z();
    terminal.expect("Stopped");
    terminal.prompt();
    until("the job is stopped", || stopped(scratch.pid("job.pid")));
    terminal.line("fg");
    terminal.expect("sh job.sh");
    until("the job goes on", || !stopped(scratch.pid("job.pid")));
    until("runner is in the foreground", || terminal.foreground_group() == Some(scratch.pid("runner.pid")));
    terminal.ctrl_c();
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
    leash.freed();
}

#[test]
fn a_job_in_the_foreground_stays_in_the_group_of_runner() {
    let (scratch, _leash) = job("echo \"<$(cut -d' ' -f5 /proc/$$/stat)><$(cut -d' ' -f8 /proc/$$/stat)>\"\n");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -- sh job.sh");
    terminal.expect("<");
    let own = terminal.expect(">");
    terminal.expect("<");
    let foreground = terminal.expect(">");
    assert_eq!(own, foreground, "its own group is the one in the foreground");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn stopping_a_background_runner_stops_its_job_and_its_clock() {
    // No child comes and goes: a parent in vfork(2) does not stop before its child has become another program.
    let (scratch, mut leash) = job("mkfifo gate; echo $$ >job.pid; exec 9>leash; printf + >&9; read word <gate\n");
    let mut terminal = Terminal::shell(&scratch);
    terminal.run_line("runner exec -t 2 -- sh job.sh & echo $! >runner.pid");
    leash.held_by(1);
    let (runner, job) = (scratch.pid("runner.pid"), scratch.pid("job.pid"));
    send(runner, libc::SIGTSTP);
    until("runner is stopped", || stopped(runner));
    until("the job is stopped", || stopped(job));
    terminal.run_line("sleep 2.3");
    assert!(leash.is_held(), "the job was ended while it was stopped");
    terminal.run_line("bg %1");
    until("the job goes on", || !stopped(job));
    terminal.run_line("echo open >gate; wait -f %1");
    assert_eq!(terminal.status(), 0);
}

#[test]
fn runner_that_leads_the_session_does_not_stop() {
    let (scratch, mut leash) = job(READER);
    let mut terminal = Terminal::run(&mut scratch.runner(&["exec", "-t", "20", "--", "sh", "job.sh"]));
    leash.held_by(1);
    terminal.ctrl_z();
    settled(terminal.pid(), libc::SIGTSTP);
    terminal.line("word");
    terminal.expect("got:word");
    assert_eq!(terminal.ended_code(), 0);
}

#[test]
fn runner_in_an_orphaned_group_does_not_stop() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done; exit 6\n");
    // The shell leads the session, and its parent is in another one: nobody could continue the group.
    let shell = start(&mut scratch.shell("runner exec -t 20 -- sh job.sh & echo $! >runner.pid; wait $!"));
    leash.held_by(1);
    let runner = scratch.pid("runner.pid");
    for _ in 0..2 {
        send(runner, libc::SIGTSTP);
        settled(runner, libc::SIGTSTP);
    }
    scratch.write("go", "");
    assert_eq!(shell.ended().shell_code(), 6);
}

#[test]
fn a_job_that_stops_itself_in_the_foreground_times_out_as_usual() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; kill -STOP $$\nsleep 30\n");
    let mut terminal = json_shell(&scratch);
    let clock = Stopwatch::start();
    terminal.line("runner exec -t 1s --grace 20s -- sh job.sh 2>answer.json");
    leash.held_by(1);
    terminal.prompt();
    assert!(clock.elapsed() >= Duration::from_secs(1));
    assert_eq!(terminal.status(), 124);
    leash.freed();
    let answer = answer(&scratch.read("answer.json"));
    // CONT follows the stop signal, so that a stopped job can obey before the grace ends.
    assert_eq!(answer["error"]["details"]["termination"]["signal"], "TERM", "{answer}");
    let remediation = answer["error"]["remediation"].as_str().expect("a text");
    assert!(remediation.contains("SIGSTOP"), "{remediation}");
}
