//! The terminal works under runner as it does without: reading, pagers, prompts, sizes, modes; and the answer in text.

use crate::support::has_program;
use crate::support::terminal::leash::Leash;
use crate::support::terminal::pty::Terminal;
use crate::support::terminal::{Scratch, answer, until};
use rustix::termios::LocalModes;

/// What is written after a kill of a job that had the terminal.
const LEAVES_FULL_SCREEN: &str =
    "\u{1b}[?1047l\u{1b}[?25h\u{1b}[?1000l\u{1b}[?1002l\u{1b}[?1003l\u{1b}[?1006l\u{1b}[?2004l";

fn job(text: &str) -> (Scratch, Leash) {
    let scratch = Scratch::new();
    scratch.write("job.sh", text);
    let leash = Leash::new(&scratch);
    (scratch, leash)
}

#[test]
fn a_job_in_the_foreground_reads_the_terminal() {
    let (scratch, _leash) = job("echo asked; read line; echo \"got:$line\"; exit 4");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 -- sh job.sh");
    terminal.expect("asked");
    terminal.line("word");
    terminal.expect("got:word");
    terminal.prompt();
    assert_eq!(terminal.status(), 4);
}

#[test]
fn the_streams_of_a_job_are_the_terminal() {
    let (scratch, _leash) =
        job("for fd in 0 1 2; do test -t $fd && echo \"fd$fd=tty\"; done; echo \"size=$(stty size)\"");
    let mut terminal = Terminal::shell(&scratch);
    let shown = terminal.run_line("runner exec -t 20 -- sh job.sh");
    for text in ["fd0=tty", "fd1=tty", "fd2=tty", "size=24 80"] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
    assert_eq!(terminal.status(), 0);
}

#[test]
fn a_new_size_of_the_window_reaches_the_job() {
    let (scratch, mut leash) = job("trap 'echo \"size=$(stty size)\"; exit 5' WINCH
exec 9>leash
printf + >&9
while :; do sleep 0.05; done
");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 -- sh job.sh");
    leash.held_by(1);
    terminal.resize(40, 100);
    terminal.expect("size=40 100");
    terminal.prompt();
    assert_eq!(terminal.status(), 5);
}

#[test]
fn a_prompt_on_the_terminal_works_with_standard_input_from_a_file() {
    let (scratch, _leash) = job("read a; printf 'name? ' >/dev/tty; read b </dev/tty; echo \"$a+$b\" >sum; cat >rest");
    scratch.write("input", "one\ntwo\n");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 -- sh job.sh <input >out");
    terminal.expect("name? ");
    terminal.line("typed");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
    assert_eq!(scratch.read("sum"), "one+typed\n");
}

#[test]
fn a_password_prompt_works_with_captured_output() {
    let (scratch, _leash) =
        job("stty -echo </dev/tty; printf 'secret? ' >/dev/tty; read a </dev/tty; stty echo </dev/tty; echo $a");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 --json -- sh job.sh </dev/null >answer.json");
    terminal.expect("secret? ");
    terminal.line("sesame");
    let shown = terminal.prompt();
    assert_eq!(terminal.status(), 0);
    assert!(!shown.contains("sesame"), "{shown}");
    assert_eq!(answer(&scratch.read("answer.json"))["data"]["stdout"], "sesame\n");
}

#[test]
fn less_at_the_end_of_the_pipe_reads_its_keys() {
    if !has_program("less") {
        return;
    }
    let (scratch, _leash) = job("seq -f row-%g 1 300");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 20 -- sh job.sh | less");
    terminal.expect("row-20");
    terminal.send(b"G");
    terminal.expect("row-300");
    terminal.send(b"q");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn less_outlives_the_kill_of_the_job_that_feeds_it() {
    if !has_program("less") {
        return;
    }
    let (scratch, mut leash) = job("trap '' TERM; exec 9>leash; printf + >&9; echo row-1; exec sleep 30");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line(
        "runner exec -t 1s --grace 200ms -- sh job.sh 2>err | less; echo codes-${PIPESTATUS[0]}-${PIPESTATUS[1]}-",
    );
    terminal.expect("row-1");
    leash.held_by(1);
    leash.freed();
    terminal.expect("END");
    terminal.send(b"q");
    terminal.expect("codes-124-0-");
    terminal.prompt();
}

#[test]
fn quitting_less_ends_a_job_that_goes_on_writing() {
    if !has_program("less") {
        return;
    }
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; i=0; while :; do i=$((i+1)); echo row-$i; done");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 60 -- sh job.sh | less; echo codes-${PIPESTATUS[0]}-${PIPESTATUS[1]}-");
    terminal.expect("row-20");
    terminal.send(b"q");
    terminal.expect("codes-");
    let codes = terminal.expect("-\r");
    assert_eq!(codes, "141-0", "died of a broken pipe, as cat would");
    terminal.prompt();
    leash.freed();
}

/// A shell script that leads the session, so that no interactive shell tidies the modes behind runner. Also the modes
/// before its line runs.
fn under_script(scratch: &Scratch, line: &str) -> (Terminal, LocalModes) {
    scratch.write("outer.sh", &format!("read begin\n{line}\necho \"<code=$?>\"\nread end\n"));
    let mut terminal = Terminal::run(&mut scratch.shell("exec sh outer.sh"));
    let before = terminal.modes();
    terminal.line("");
    (terminal, before)
}

#[test]
fn modes_that_a_job_changed_are_restored_when_it_is_stopped_for_time() {
    let (scratch, mut leash) = job("stty raw -echo; exec 9>leash; printf + >&9; exec sleep 30");
    let (mut terminal, before) = under_script(&scratch, "runner exec -t 1s -- sh job.sh 2>err");
    leash.held_by(1);
    assert!(!terminal.echoes(), "the job turned the echo off");
    terminal.expect("<code=124>");
    assert_eq!(terminal.modes(), before);
    leash.freed();
}

#[test]
fn modes_that_a_job_changed_are_restored_when_it_had_to_be_killed() {
    let (scratch, mut leash) = job("trap '' TERM; stty raw -echo; exec 9>leash; printf + >&9; exec sleep 30");
    let (mut terminal, before) = under_script(&scratch, "runner exec -t 1s --grace 200ms -- sh job.sh 2>err");
    leash.held_by(1);
    terminal.expect("<code=124>");
    assert_eq!(terminal.modes(), before);
}

#[test]
fn modes_that_a_job_changed_are_restored_after_ctrl_c() {
    let (scratch, mut leash) = job("trap '' INT; stty -echo </dev/tty; exec 9>leash; printf + >&9; exec sleep 30");
    scratch.write(
        "outer.sh",
        "trap : INT\nrunner exec --grace 200ms -- sh job.sh 2>err </dev/null\necho over\nread end\n",
    );
    let mut terminal = Terminal::run(&mut scratch.shell("exec sh outer.sh"));
    leash.held_by(1);
    assert!(!terminal.echoes(), "the job turned the echo off");
    terminal.ctrl_c();
    terminal.expect("over");
    assert!(terminal.echoes(), "the echo is back");
    leash.freed();
}

#[test]
fn modes_that_a_job_changed_are_restored_when_runner_is_told_to_stop() {
    let (scratch, mut leash) = job("stty -echo; exec 9>leash; printf + >&9; exec sleep 30");
    scratch.write(
        "outer.sh",
        "sh -c 'echo $$ >runner.pid; exec runner exec -- sh job.sh' 2>err\necho \"<code=$?>\"\nread end\n",
    );
    let mut terminal = Terminal::run(&mut scratch.shell("exec sh outer.sh"));
    leash.held_by(1);
    crate::support::terminal::process::send(scratch.pid("runner.pid"), libc::SIGTERM);
    terminal.expect("<code=143>");
    assert!(terminal.echoes(), "the echo is back");
}

#[test]
fn modes_that_a_job_changed_on_purpose_stay() {
    let scratch = Scratch::new();
    let (mut terminal, _) = under_script(&scratch, "runner exec -t 20 -- stty -echo");
    terminal.expect("<code=0>");
    assert!(!terminal.echoes(), "a job that ended by itself may set modes");
}

#[test]
fn the_answer_on_a_terminal_is_text_for_people() {
    let (scratch, mut leash) = job("trap '' TERM; exec 9>leash; printf + >&9; echo working; exec sleep 30");
    let mut terminal = Terminal::shell_with(&scratch, &[("NO_COLOR", "1")]);
    let shown = terminal.run_line("runner exec -t 1.5 --grace 200ms -- sh job.sh");
    assert_eq!(terminal.status(), 124);
    leash.freed();
    assert!(shown.contains("working"), "{shown}");
    // The job might have left the terminal in full-screen mode; the answer itself has no colours.
    let shown = shown.replace(LEAVES_FULL_SCREEN, "");
    assert!(!shown.contains('\u{1b}'), "escape codes in {shown:?}");
    assert!(!shown.contains("{\""), "JSON in {shown}");
    // What happened, how it was stopped, that the output was not kept, and the hint.
    for text in ["timeout of 1.5 seconds", "TERM", "KILL", "captured", "increase timeout"] {
        assert!(shown.contains(text), "{text:?} in {shown}");
    }
}

#[test]
fn a_cancelled_job_is_answered_in_text_too() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; exec sleep 30");
    let mut terminal = Terminal::shell_with(&scratch, &[("NO_COLOR", "1")]);
    terminal.line("runner exec -- sh job.sh");
    leash.held_by(1);
    terminal.ctrl_c();
    let shown = terminal.prompt();
    assert!(shown.contains("cancelled by SIGINT"), "{shown}");
    assert!(!shown.contains("{\""), "JSON in {shown}");
}

#[test]
fn a_stuck_terminal_delays_no_answer() {
    // Ctrl-S holds up every write to the terminal, runner's own words too.
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; exec sleep 30");
    scratch.write("outer.sh", "runner exec -t 700ms -- sh job.sh\necho $? >code\n");
    let mut terminal = Terminal::run(&mut scratch.shell("exec sh outer.sh"));
    leash.held_by(1);
    terminal.send(b"\x13");
    leash.freed();
    until("runner returned", || !scratch.read("code").is_empty());
    assert_eq!(scratch.read("code"), "124\n");
}

#[test]
fn the_answer_says_which_streams_were_handed_over() {
    let (scratch, _leash) = job("echo to-the-screen; echo kept >&2; exec sleep 30");
    let mut terminal = Terminal::shell_with(&scratch, &[("RUNNER_ERROR_FORMAT", "json")]);
    let shown = terminal.run_line("runner exec -t 1s -- sh job.sh 2>answer.json");
    assert!(shown.contains("to-the-screen"), "{shown}");
    let answer = answer(&scratch.read("answer.json"));
    let partial = &answer["error"]["details"]["partial_result"];
    assert_eq!(partial["captured"], false, "{answer}");
    assert_eq!(partial["not_captured"], serde_json::json!(["stdout"]), "{answer}");
    assert_eq!(partial["stdout"], "", "{answer}");
    assert_eq!(partial["stderr"], "kept\n", "{answer}");
}

#[test]
fn the_format_of_the_answer_can_be_asked_for_on_a_terminal() {
    let (scratch, _leash) = job("exec sleep 30");
    let mut terminal = Terminal::shell_with(&scratch, &[("RUNNER_ERROR_FORMAT", "json")]);
    let shown = terminal.run_line("runner exec -t 300ms -- sh job.sh");
    assert!(shown.contains("\"status\""), "{shown}");
    assert!(shown.contains("\"captured\""), "{shown}");
}

#[test]
fn a_job_that_ends_by_itself_is_not_commented_on() {
    let (scratch, _leash) = job("echo only-this; exit 3");
    let mut terminal = Terminal::shell(&scratch);
    let shown = terminal.run_line("runner exec -t 20 -- sh job.sh");
    // After the echo of the typed line there is the job's line and nothing else.
    let after = shown.split_once("sh job.sh\r\n").map(|(_, after)| after);
    assert_eq!(after, Some("only-this\r\n"), "{shown}");
    assert_eq!(terminal.status(), 3);
}

/// Goes into full-screen mode as an editor does, and does not mind TERM.
const FULL_SCREEN: &str = "trap '' TERM INT
printf '\\033[?1049h\\033[?25l\\033[?1000h\\033[?2004hpainted'
exec 9>leash
printf + >&9
while :; do sleep 0.05; done
";

#[test]
fn the_screen_is_left_when_a_full_screen_job_had_to_be_killed() {
    for options in ["", "--pty --progress none", "--pty --quiet", "--progress bar", "--pty --progress lines"] {
        let (scratch, mut leash) = job(FULL_SCREEN);
        let mut terminal = Terminal::shell(&scratch);
        terminal.line(&format!("runner exec {options} -t 1s --grace 100ms -- sh job.sh"));
        leash.held_by(1);
        leash.freed();
        terminal.expect("timeout of 1 second");
        terminal.prompt();
        let mut modes = terminal.full_screen_modes();
        if options.is_empty() {
            // The screen of the test leaves the alternate one by 1049 alone.
            assert!(terminal.screen().contains(LEAVES_FULL_SCREEN), "{:?}", terminal.screen());
            modes[0] = false;
        }
        assert_eq!(modes, [false; 4], "{options}: {:?}", terminal.screen());
        assert_eq!(terminal.status(), 124);
    }
}

#[test]
fn nothing_is_written_to_the_terminal_of_a_job_that_needed_no_kill() {
    let (scratch, mut leash) = job("printf '\\033[?25l'; exec 9>leash; printf + >&9; exec sleep 30");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 1s -- sh job.sh");
    leash.held_by(1);
    leash.freed();
    terminal.expect("timeout of 1 second");
    let shown = terminal.prompt();
    assert!(!shown.contains("\u{1b}[?1047l"), "{shown:?}");
    assert_eq!(terminal.status(), 124);
}

#[test]
fn a_file_gets_no_sequence_for_the_terminal_after_a_kill() {
    let (scratch, mut leash) = job(FULL_SCREEN);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner exec -t 1s --grace 100ms -- sh job.sh >out 2>err </dev/null");
    leash.held_by(1);
    leash.freed();
    let shown = terminal.prompt();
    assert!(!shown.contains("\u{1b}[?1047l"), "{shown:?}");
    assert!(!scratch.read("out").contains("1047") && !scratch.read("err").contains("1047l"));
}
