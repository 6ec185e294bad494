//! `runner timeout` at a real terminal: with `--foreground` in a script, and at a prompt.

use std::time::Duration;

use crate::support::terminal::leash::Leash;
use crate::support::terminal::pty::Terminal;
use crate::support::terminal::{Scratch, Stopwatch};

#[test]
fn foreground_lets_a_command_of_a_script_read_the_terminal() {
    let scratch = Scratch::new();
    scratch.write(
        "outer.sh",
        "runner timeout --foreground 20 sh -c 'echo asked; read x; echo \"got:$x\"'\necho \"<code=$?>\"\n",
    );
    let mut terminal = Terminal::run(&mut scratch.shell("exec sh outer.sh"));
    terminal.expect("asked");
    terminal.line("word");
    terminal.expect("got:word");
    terminal.expect("<code=0>");
}

#[test]
fn foreground_lets_ctrl_c_reach_the_command() {
    let scratch = Scratch::new();
    let mut leash = Leash::new(&scratch);
    scratch.write("job.sh", "exec 9>leash; printf + >&9; exec sleep 30");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner timeout --foreground 20 sh job.sh");
    leash.held_by(1);
    terminal.ctrl_c();
    leash.freed();
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
}

#[test]
fn at_a_prompt_the_command_reads_the_terminal_and_gets_ctrl_c() {
    let scratch = Scratch::new();
    scratch.write("job.sh", "echo asked; read x; echo \"got:$x\"; exec sleep 30");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line("runner timeout 20 sh job.sh");
    terminal.expect("asked");
    terminal.line("word");
    terminal.expect("got:word");
    let clock = Stopwatch::start();
    terminal.ctrl_c();
    terminal.prompt();
    assert!(clock.elapsed() < Duration::from_secs(10));
    assert_eq!(terminal.status(), 130);
}
