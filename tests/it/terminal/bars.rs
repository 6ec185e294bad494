//! A bar stands below a job's lines and disturbs none of them, and nothing of it remains.

use std::path::Path;

use crate::support::terminal::desk::{BAR, GATE, desk, job};
use crate::support::terminal::picture::{all_lines, is_bar};
use crate::support::terminal::process::{Setup, Streams, send, start_with, state};
use crate::support::terminal::pty::Terminal;
use crate::support::terminal::until;
use vt100::Color;

#[test]
fn a_bar_stands_below_the_lines_and_nothing_of_it_remains() {
    let (scratch, _leash) = job(&format!("echo one; echo two >&2; {GATE}; echo three"));
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 60 -- sh job.sh"));
    let typed = format!("ready> {BAR} -t 60 -- sh job.sh");
    let picture = terminal.shows(&[&typed, "one", "two", "", "* job  T / T"]);
    assert_eq!(picture.cursor, (3, 0), "the cursor is where the job left it");
    scratch.write("go", "");
    terminal.shows(&[&typed, "one", "two", "three", "ready>"]);
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn every_attempt_is_seen_and_the_bar_counts_them() {
    let (scratch, _leash) = job(&format!("echo \"try $RUNNER_ATTEMPT\"; [ $RUNNER_ATTEMPT = 2 ] || exit 75; {GATE}"));
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} --retries 3 --retry-delay 0 -- sh job.sh"));
    let typed = format!("ready> {BAR} --retries 3 --retry-delay 0 -- sh job.sh");
    let (typed, wrapped) = typed.split_at(80);
    let announced = "runner: attempt 1 of 4 exited with code 75; trying again at once";
    terminal.shows(&[typed, wrapped, "try 1", announced, "try 2", "", "* job  attempt 2/4  T"]);
    scratch.write("go", "");
    terminal.shows(&[typed, wrapped, "try 1", announced, "try 2", "ready>"]);
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn the_wait_for_another_attempt_is_counted_down() {
    let (scratch, _leash) = job("exit 75");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} --retries 3 --retry-delay 10m -- sh job.sh"));
    terminal.picture_when("the bar counts down", |now| {
        now.rows.iter().any(|row| row.contains("job  attempt 2/4 begins in "))
    });
    terminal.send(b"\x03");
    terminal.expect("cancelled by SIGINT before its next attempt");
    terminal.prompt();
    assert_eq!(terminal.status(), 130);
}

#[test]
fn the_cursor_stays_at_the_end_of_a_prompt() {
    let (scratch, _leash) = job("printf 'name? '; read name; echo \"hello $name\"");
    let mut terminal = desk(&scratch);
    let typed = format!("{BAR} -- sh job.sh");
    terminal.line(&typed);
    let typed = format!("ready> {typed}");
    let picture = terminal.shows(&[&typed, "name?", "* job  T"]);
    assert_eq!(picture.cursor, (1, 6));
    terminal.send(b"Ann");
    let picture = terminal.shows(&[&typed, "name? Ann", "* job  T"]);
    assert_eq!(picture.cursor, (1, 9));
    terminal.send(b"\n");
    terminal.shows(&[&typed, "name? Ann", "hello Ann", "ready>"]);
}

#[test]
fn a_line_that_the_job_writes_anew_stays_one_line() {
    let (scratch, _leash) = job("i=0
while [ ! -e go ]; do i=$((i+1)); printf '\\r%d of many' $i; sleep 0.003; done
printf '\\rall of them\\033[K\\n'");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    for _ in 0..3 {
        let before =
            terminal.picture_when("the line counts below a bar", |now| now.bar("job") == Some(2)).rows[1].clone();
        assert!(before.ends_with(" of many"), "{before}");
        terminal.picture_when("it counts on", |now| now.rows.len() > 1 && now.rows[1] != before);
    }
    scratch.write("go", "");
    terminal.shows(&[&format!("ready> {BAR} -- sh job.sh"), "all of them", "ready>"]);
}

#[test]
fn a_flood_of_lines_and_a_bar_never_tear() {
    let (scratch, _leash) = job("seq -f line-%06.0f 1 100000");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    terminal.expect_within("line-100000", std::time::Duration::from_secs(60));
    terminal.prompt();
    let lines = all_lines(&terminal.bytes(), 24, 80, 200_000);
    let numbered: Vec<String> = (1..=100_000).map(|number| format!("line-{number:06}")).collect();
    assert_eq!(lines.len(), numbered.len() + 2, "the line that was typed, and the prompt");
    let torn = lines[1..].iter().zip(&numbered).find(|(shown, written)| shown != written);
    assert_eq!(torn, None);
}

#[test]
fn small_writes_without_an_end_and_a_bar_never_tear() {
    // Each part of a line is a write of its own, and there is time for a bar between some.
    let (scratch, _leash) = job("for line in 1 2 3 4 5 6 7 8 9; do
for word in the quick brown fox jumps over the lazy dog; do printf '%s ' $word; sleep 0.01; done; echo $line; done");
    let mut terminal = desk(&scratch);
    let shown = terminal.run_line(&format!("{BAR} -- sh job.sh"));
    assert!(shown.contains(" job  0:0"), "there was a bar: {shown:?}");
    let mut wanted = vec![format!("ready> {BAR} -- sh job.sh")];
    wanted.extend((1..10).map(|line| format!("the quick brown fox jumps over the lazy dog {line}")));
    wanted.push("ready>".to_owned());
    assert_eq!(terminal.picture().rows, wanted);
}

#[test]
fn long_lines_wrap_as_without_a_bar() {
    let text =
        "printf '%0200d\\n' 7; printf '%080d' 8; sleep 0.3; printf 'x\\n'; printf '%079d' 9; sleep 0.3; printf 'yz\\n'";
    let (scratch, _leash) = job(text);
    let mut terminal = desk(&scratch);
    terminal.run_line("sh job.sh");
    let plain = terminal.picture().rows[1..].to_vec();
    let mut terminal = desk(&scratch);
    let shown = terminal.run_line(&format!("{BAR} -- sh job.sh"));
    assert!(shown.contains(" job  0:0"), "there was a bar: {shown:?}");
    assert_eq!(terminal.picture().rows[1..], plain);
}

#[test]
fn a_bar_at_the_bottom_of_the_screen_scrolls_with_the_lines() {
    let (scratch, _leash) = job(&format!("seq 1 40; {GATE}; seq 41 45"));
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    let mut wanted: Vec<String> = (19..=40).map(|number| number.to_string()).collect();
    wanted.extend([String::new(), "* job  T".to_owned()]);
    terminal.picture_when("the bar has the last row", |now| now.redacted() == wanted);
    scratch.write("go", "");
    terminal.prompt();
    let rows = terminal.picture().rows;
    // Whether the row that a bar had is free depends on when the last one was drawn.
    let mut wanted: Vec<String> = (46 - (rows.len() - 1)..=45).map(|number| number.to_string()).collect();
    wanted.push("ready>".to_owned());
    assert_eq!(rows, wanted);
}

#[test]
fn a_warning_appears_above_the_bar() {
    let (scratch, _leash) = job(&format!("printf 'half a line'; {GATE}; echo ' and the rest'"));
    let mut terminal = desk(&scratch);
    let typed = format!("{BAR} --warn-after 400ms -- sh job.sh");
    terminal.line(&typed);
    let typed = format!("ready> {typed}");
    terminal.shows(&[&typed, "half a line", "runner: still running after 0.4 s", "", "* job  T"]);
    scratch.write("go", "");
    terminal.shows(&[&typed, "half a line", "runner: still running after 0.4 s", " and the rest", "ready>"]);
}

#[test]
fn leftovers_are_named_above_the_prompt() {
    let (scratch, mut leash) = job("(exec 9>leash; printf + >&9; exec sleep 7.77) & echo $! >pid; sleep 0.3; exit 0");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    leash.held_by(1);
    let pid = scratch.pid("pid");
    let typed = format!("ready> {BAR} -- sh job.sh");
    let line = format!("runner: left running: {pid} (sleep 7.77, holds the output)");
    terminal.shows(&[&typed, &line, "ready>"]);
    assert!(leash.is_held(), "it lives");
    crate::support::terminal::process::kill(pid);
}

#[test]
fn what_verbose_tells_appears_above_the_bar() {
    let (scratch, _leash) = job(&format!("echo $$ >pid; echo one; {GATE}"));
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -v -- sh job.sh"));
    let pid = scratch.pid("pid");
    let typed = format!("ready> {BAR} -v -- sh job.sh");
    let started = format!("runner: started process {pid}");
    let either = [vec![typed.clone(), started.clone(), "one".to_owned()], vec![typed, "one".to_owned(), started]];
    // Nobody promises which of the two comes first.
    let picture = terminal.picture_when("the line stands above the bar", |now| now.bar("job") == Some(4));
    assert!(either.iter().any(|rows| *rows == picture.rows[..3]), "{:?}", picture.rows);
    scratch.write("go", "");
    terminal.prompt();
}

#[test]
fn a_full_screen_program_has_the_screen_for_itself() {
    let (scratch, _leash) = job(&format!(
        "echo before; printf '\\033[?1049h\\033[2J\\033[5;5Hpicture'; sleep 0.2; echo 1 >early; sleep 0.5; echo 1 >late
{GATE}; printf '\\033[?1049l'; until [ -e end ]; do sleep 0.02; done"
    ));
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    terminal.picture_when("the picture is there", |now| now.alternate && now.rows.len() == 5);
    scratch.line("early");
    let seen = terminal.bytes().len();
    scratch.line("late");
    assert_eq!(terminal.picture().rows, ["", "", "", "", "    picture"]);
    assert_eq!(String::from_utf8_lossy(&terminal.bytes()[seen..]), "", "nothing is drawn meanwhile");
    scratch.write("go", "");
    let picture = terminal.picture_when("the bar is back", |now| !now.alternate && now.bar("job").is_some());
    assert_eq!(picture.rows[1], "before");
    scratch.write("end", "");
    terminal.shows(&[&format!("ready> {BAR} -- sh job.sh"), "before", "ready>"]);
}

#[test]
fn after_a_timeout_the_answer_follows_the_output() {
    let (scratch, _leash) = job("echo working; printf 'half a'; exec sleep 30");
    let mut terminal = desk(&scratch);
    terminal.run_line(&format!("{BAR} -t 700ms -- sh job.sh"));
    let rows = terminal.picture().rows;
    assert_eq!(rows[1..3], ["working", "half a"]);
    assert!(rows[3].contains("timeout of 0.7 seconds"), "{rows:?}");
    assert!(!rows.iter().any(|row| is_bar(row, "job")), "{rows:?}");
    assert_eq!(terminal.status(), 124);
}

#[test]
fn a_narrower_and_a_wider_window_keep_no_remains() {
    let (scratch, _leash) = job(&format!("echo one; {GATE}; echo two"));
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 60 -- sh job.sh"));
    terminal.picture_when("the bar is there", |now| now.bar("job") == Some(3));
    for (rows, columns) in [(24, 40), (10, 100), (24, 30), (5, 80), (24, 80)] {
        let seen = terminal.bytes().len();
        terminal.resize(rows, columns);
        terminal.picture_when("the bar was drawn at the new size", |now| {
            terminal.bytes().len() > seen + 20 && now.bar("job").is_some()
        });
    }
    scratch.write("go", "");
    terminal.prompt();
    let rows = terminal.picture().rows;
    assert!(!rows.iter().any(|row| is_bar(row, "job") || row.contains("0:0")), "{rows:?}");
    assert!(rows.contains(&"two".to_owned()), "{rows:?}");
}

#[test]
fn a_window_without_room_has_no_bar() {
    let (scratch, _leash) = job(&format!("echo one; {GATE}; echo two; sleep 0.3"));
    let mut terminal = desk(&scratch);
    terminal.resize(1, 80);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    scratch.write("go", "");
    let shown = terminal.prompt();
    assert!(!shown.contains(" job  "), "{shown:?}");
}

/// What was shown while this line ran and the job slept for a while.
fn shown_by(line: &str, variables: &[(&str, &str)]) -> String {
    let (scratch, _leash) = job("sleep 0.6");
    let mut variables = variables.to_vec();
    variables.push(("NO_COLOR", "1"));
    let mut terminal = Terminal::shell_with(&scratch, &variables);
    let shown = terminal.run_line(line);
    assert_eq!(terminal.status(), 0, "{shown}");
    // The echo of the typed line is no bar.
    shown.split_once('\n').map(|(_, after)| after.to_owned()).expect("the echo of a line")
}

#[test]
fn auto_draws_a_bar_where_runner_owns_the_output() {
    for line in [
        "runner exec --name job --json -- sh job.sh >/dev/null",
        "runner exec --name job --log log -- sh job.sh",
        "runner exec --name job --report report -- sh job.sh",
        "runner exec --name job --idle-timeout 20 -- sh job.sh",
        "runner op --name job sleep 600ms",
    ] {
        let shown = shown_by(line, &[]);
        assert!(shown.contains(" job  0:00"), "{line}: {shown:?}");
    }
}

#[test]
fn auto_draws_nothing_where_the_terminal_is_handed_over() {
    assert_eq!(shown_by("runner exec --name job -t 20 -- sh job.sh", &[]), "");
}

#[test]
fn nothing_is_drawn_where_it_is_not_wanted() {
    let log = "runner exec --name job --log log -- sh job.sh";
    assert_eq!(shown_by("runner exec --name job --log log -q -- sh job.sh", &[]), "");
    assert_eq!(shown_by("runner exec --name job --log log --progress none -- sh job.sh", &[]), "");
    assert_eq!(shown_by("runner exec --name job --log log -- sh job.sh 2>/dev/null", &[]), "");
    assert_eq!(shown_by(&format!("CI=true {log}"), &[]), "");
    assert_eq!(shown_by(&format!("TERM=dumb {log}"), &[]), "");
    assert_eq!(shown_by("TERM=dumb runner exec --name job --progress bar -- sh job.sh", &[]), "");
}

#[test]
fn without_colours_a_bar_has_none() {
    let shown = shown_by(&format!("{BAR} -t 700ms --grace 5 -- sh job.sh"), &[]);
    assert!(shown.contains(" job  0:00 / 0:00"), "{shown:?}");
    let coloured = shown.split("\u{1b}[").skip(1).filter_map(|rest| rest.split_once('m').map(|(codes, _)| codes));
    let codes: Vec<&str> = coloured.filter(|codes| codes.chars().all(|c| c.is_ascii_digit() || c == ';')).collect();
    assert!(codes.iter().all(|code| code.is_empty() || *code == "0"), "{codes:?} in {shown:?}");
}

#[test]
fn the_last_quarter_is_yellow_and_the_grace_is_red() {
    let (scratch, mut leash) =
        job("trap '' TERM; exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.05; done; exit 0");
    let mut terminal = Terminal::shell(&scratch);
    terminal.line(&format!("{BAR} -t 2 --grace 20 -- sh job.sh"));
    leash.held_by(1);
    // A frame of the bar stays for a moment only, so what was shown counts, not what is there when the test looks.
    terminal.was_coloured("0:01 / 0:02", Color::Idx(3));
    terminal.was_coloured("stopping:", Color::Idx(1));
    // The whole line is red.
    terminal.was_coloured("job  0:02 / 0:02  stopping:", Color::Idx(1));
    terminal.picture_when("the bar tells the stop", |now| {
        now.redacted().get(2).is_some_and(|row| row.starts_with("* job  T / T  stopping: SIGTERM sent, KILL in "))
    });
    scratch.write("go", "");
    terminal.prompt();
    leash.freed();
}

#[test]
fn the_time_is_not_yellow_before_the_last_quarter() {
    let (scratch, _leash) = job(GATE);
    let mut terminal = Terminal::shell(&scratch);
    terminal.line(&format!("{BAR} -t 600 -- sh job.sh"));
    terminal.picture_when("the bar is there", |now| now.bar("job").is_some());
    terminal.was_coloured("0:00 / 10:00", Color::Default);
    scratch.write("go", "");
    terminal.prompt();
}

#[test]
fn the_shell_has_a_terminal_without_a_bar_until_fg() {
    let (scratch, mut leash) = job(&format!("echo one; exec 9>leash; printf + >&9; {GATE}; echo two"));
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    leash.held_by(1);
    terminal.picture_when("the bar is there", |now| now.bar("job").is_some());
    terminal.ctrl_z();
    terminal.expect("Stopped");
    terminal.prompt();
    assert_eq!(terminal.picture().bar("job"), None);
    let shown = terminal.run_line("sleep 0.5");
    assert_eq!(shown, "sleep 0.5\r\n");
    terminal.line("fg");
    terminal.picture_when("the bar is back", |now| now.bar("job").is_some());
    scratch.write("go", "");
    terminal.prompt();
    let rows = terminal.picture().rows;
    assert_eq!(rows[rows.len() - 2..], ["two", "ready>"], "{rows:?}");
    assert!(!rows.iter().any(|row| is_bar(row, "job")), "{rows:?}");
}

#[test]
fn a_runner_in_the_background_draws_nothing() {
    let (scratch, mut leash) = job(&format!("exec 9>leash; printf + >&9; {GATE}"));
    let mut terminal = desk(&scratch);
    terminal.run_line(&format!("{BAR} -- sh job.sh &"));
    leash.held_by(1);
    let shown = terminal.run_line("sleep 0.6");
    assert_eq!(shown, "sleep 0.6\r\n");
    scratch.write("go", "");
    let shown = terminal.run_line("wait");
    assert!(!shown.contains(" job  "), "{shown:?}");
}

#[test]
fn other_members_of_a_pipeline_write_no_staircase() {
    let (scratch, _leash) = job("for word in one two three; do echo $word; sleep 0.15; done");
    let mut terminal = desk(&scratch);
    let typed = format!("{BAR} -- sh job.sh | sed s/o/0/");
    terminal.run_line(&typed);
    let rows = terminal.picture().rows;
    assert_eq!(rows[rows.len() - 4..], ["0ne", "tw0", "three", "ready>"], "{rows:?}");
}

#[test]
fn a_log_with_a_bar_has_every_byte_and_nothing_of_the_bar() {
    let (scratch, _leash) = job("echo one; sleep 0.3; echo two");
    let mut terminal = desk(&scratch);
    terminal.run_line("runner exec --name job --log log -- sh job.sh");
    assert_eq!(scratch.read("log").replace("\r\n", "\n"), "one\ntwo\n");
}

#[test]
fn a_bar_goes_away_when_runner_is_told_to_stop() {
    let (scratch, mut leash) = job("echo one; exec 9>leash; printf + >&9; exec sleep 30");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    leash.held_by(1);
    terminal.picture_when("the bar is there", |now| now.bar("job").is_some());
    send(terminal.foreground(), libc::SIGTERM);
    terminal.prompt();
    leash.freed();
    let rows = terminal.picture().rows;
    assert!(!rows.iter().any(|row| is_bar(row, "job")), "{rows:?}");
    assert_eq!(rows[1], "one");
    assert_eq!(terminal.status(), 143);
}

#[test]
fn a_bar_without_a_terminal_is_none() {
    let (scratch, _leash) = job("echo one; sleep 0.3; test -t 1 || echo no-terminal");
    let mut command = scratch.runner(&["exec", "--progress", "bar", "--", "sh", "job.sh"]);
    let ended = start_with(&mut command, &Setup::default(), Streams::default()).ended();
    assert_eq!((ended.out().as_str(), ended.stderr.as_str()), ("one\nno-terminal\n", ""));
}

#[test]
fn a_stopped_terminal_with_a_bar_delays_no_answer() {
    // Ctrl-S holds up every write to the terminal. Only a terminal in its usual modes heeds the key: runner in the
    // background has not taken the keyboard.
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; exec sleep 30");
    let mut terminal = desk(&scratch);
    terminal.run_line("runner exec --progress bar -t 900ms -- sh job.sh & echo $! >runner.pid");
    leash.held_by(1);
    let runner = scratch.pid("runner.pid");
    terminal.send(b"\x13");
    leash.freed();
    until("runner is gone", || !Path::new(&format!("/proc/{runner}")).exists() || state(runner) == Some('Z'));
    terminal.send(b"\x11");
}

#[test]
fn the_bar_names_the_signal_that_a_key_sent() {
    let (scratch, mut leash) = job("trap '' INT; exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} --grace 30 -- sh job.sh </dev/null"));
    leash.held_by(1);
    until("the keyboard was taken", || !terminal.echoes());
    terminal.send(b"\x03");
    terminal.picture_when("the bar tells the stop", |now| {
        now.redacted().iter().any(|row| row.starts_with("* job  T  stopping: SIGINT sent, KILL in "))
    });
    scratch.write("go", "");
    terminal.prompt();
    leash.freed();
}
