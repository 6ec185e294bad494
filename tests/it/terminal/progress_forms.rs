//! Progress as lines, as events, in the task bar, and on request; and what readers of it can and cannot do.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use crate::support::terminal::desk::{GATE, job};
use crate::support::terminal::process::{Setup, Streams, send, start, start_with, stream};
use crate::support::terminal::pty::Terminal;
use crate::support::terminal::{Scratch, Stopwatch, search_path, until};
use rustix::pipe::{PipeFlags, pipe_with};

/// Runs `job.sh` with these options to its end: what was written to standard output and to standard error.
fn run(scratch: &Scratch, options: &[&str]) -> (String, String) {
    let arguments = [&["exec"], options, &["--name", "job", "--", "sh", "job.sh"]].concat();
    let ended = start(scratch.runner(&arguments).env("PATH", search_path())).ended();
    (ended.out(), ended.stderr)
}

/// The lines of `--progress json` as values, each held to the schema that the program itself prints.
#[track_caller]
fn events(scratch: &Scratch, text: &str) -> Vec<serde_json::Value> {
    let schema = start(&mut scratch.runner(&["schema", "event"])).ended().out();
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let read = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(validator.is_valid(&value), "{line}");
        value
    };
    text.lines().map(read).collect()
}

fn kinds(events: &[serde_json::Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().expect("a kind")).collect()
}

#[test]
fn lines_tell_the_start_every_tenth_and_the_end() {
    let (scratch, _leash) = job("for done in 5 10 15 20 25 30; do runner notify --progress $done%; sleep 0.35; done");
    let (out, err) = run(&scratch, &["--progress", "lines", "-t", "60"]);
    assert_eq!(out, "");
    let lines: Vec<&str> = err.lines().collect();
    for line in &lines {
        let (stamp, rest) = line.split_once(' ').expect("a time stamp");
        assert!(stamp.len() >= 20 && stamp.ends_with('Z') && stamp.contains('T'), "{line}");
        assert!(rest.starts_with("runner: job: "), "{line}");
    }
    assert_eq!(lines.len(), 5, "{err}");
    let said = |line: usize, text: &str| assert!(lines[line].contains(text), "{text}: {err}");
    said(0, ": started, process ");
    for (line, percent) in [(1, 10), (2, 20), (3, 30)] {
        said(line, &format!(": {percent} %, "));
    }
    said(4, ": succeeded after ");
}

#[test]
fn lines_without_progress_are_few() {
    let (scratch, _leash) = job("for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.1; done; exit 3");
    let (_, err) = run(&scratch, &["--progress", "lines"]);
    assert_eq!(err.lines().count(), 2, "{err}");
    assert!(err.contains(": failed after ") && err.contains(" with exit code 3"), "{err}");
}

#[test]
fn events_begin_with_started_and_end_with_finished() {
    let (scratch, _leash) = job("echo one; runner notify --progress 0.5 --message half --partial '{\"n\":1}'
runner notify --extend 20; runner notify --extend 90; echo two; sleep 0.6; exit 3");
    let options = ["--progress", "json", "-t", "10", "--max-timeout", "30", "--warn-after", "300ms"];
    let (out, err) = run(&scratch, &options);
    assert_eq!(out, "one\ntwo\n");
    let events = events(&scratch, &err);
    let kinds = kinds(&events);
    assert_eq!((kinds.first(), kinds.last()), (Some(&"started"), Some(&"finished")), "{err}");
    assert_eq!(kinds.iter().filter(|kind| ["started", "finished"].contains(kind)).count(), 2, "{err}");
    let one = |kind: &str| {
        let of_kind: Vec<_> = events.iter().filter(|event| event["event"] == kind).collect();
        assert!(!of_kind.is_empty(), "{kind}: {err}");
        of_kind[of_kind.len() - 1]
    };
    assert_eq!(one("progress")["fraction"], 0.5);
    assert_eq!(one("status")["message"], "half");
    assert_eq!(one("partial")["value"], serde_json::json!({"n": 1}));
    assert_eq!(one("warning")["timeout_seconds"].as_f64().map(|seconds| seconds > 10.0), Some(true), "{err}");
    assert_eq!(one("extended")["capped"], true);
    assert_eq!(one("output")["stdout_bytes"], 8);
    assert_eq!(one("finished")["exit_code"], 3);
    assert!(events.iter().all(|event| event["name"] == "job" && event["job_id"] == events[0]["job_id"]), "{err}");
}

#[test]
fn events_tell_a_stop_and_a_refusal() {
    let (scratch, _leash) = job(
        "trap 'runner notify --extend 5; runner notify --progress 0.9; exit 0' TERM; exec 2>/dev/null; while :; do sleep 0.02; done",
    );
    let (_, err) = run(&scratch, &["--progress", "json", "-t", "400ms", "--grace", "8"]);
    // The answer is the last line: the job was stopped for time.
    let (told, answer) = err.trim_end().rsplit_once('\n').expect("events and an answer");
    let events = events(&scratch, told);
    let kinds = kinds(&events);
    let stopping = events.iter().find(|event| event["event"] == "stopping").expect("it was stopped");
    assert_eq!((&stopping["signal"], &stopping["reason"]), (&"TERM".into(), &"total".into()));
    assert!(kinds.contains(&"extension_refused"), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"finished"));
    let answer: serde_json::Value = serde_json::from_str(answer).expect("an answer");
    assert_eq!(answer["error"]["code"], "TIMEOUT");
}

#[test]
fn leftovers_and_messages_that_make_no_sense_are_events() {
    let (scratch, mut leash) = job("(exec 9>leash; printf + >&9; until [ -e go ]; do sleep 0.02; done) &
until [ -p leash ]; do sleep 0.02; done; runner notify --message fine; sleep 0.3; exit 0");
    let (_, err) = run(&scratch, &["--progress", "json"]);
    leash.held_by(1);
    let events = events(&scratch, &err);
    assert!(kinds(&events).contains(&"leftovers"), "{err}");
    scratch.write("go", "");
    leash.freed();
}

#[test]
fn a_reader_of_events_that_is_gone_costs_the_job_nothing() {
    let (scratch, _leash) =
        job("i=0; while [ $i -lt 20 ]; do i=$((i+1)); runner notify --progress $i%; done; echo done");
    let arguments = ["exec", "--progress", "json", "--json", "-t", "20", "--", "sh", "job.sh"];
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    drop(reader);
    let mut command = scratch.runner(&arguments);
    command.env("PATH", search_path());
    let streams = Streams { stderr: Some(stream(&writer)), ..Streams::default() };
    let ended = start_with(&mut command, &Setup::default(), streams).ended();
    let answer: serde_json::Value = serde_json::from_str(&ended.out()).expect("an answer");
    assert_eq!((&answer["data"]["stdout"], ended.code()), (&"done\n".into(), Some(0)));
}

/// Many reports, more than a pipe holds, sent as fast as one process can.
const CHATTER: &str = "python3 - <<'END'
import os, socket
path = os.environ['RUNNER_NOTIFY_SOCKET']
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
address = '\\0' + path[1:] if path.startswith('@') else path
for i in range(3000):
    s.sendto(('X_RUNNER_PROGRESS=%f\\nSTATUS=%s' % (i / 3000, 'x' * 400)).encode(), address)
END
echo done";

#[test]
fn a_reader_of_events_that_takes_nothing_does_not_delay_the_answer() {
    if !crate::support::has_program("python3") {
        return;
    }
    let (scratch, _leash) = job(CHATTER);
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let mut command = scratch.runner(&["exec", "--progress", "json", "--json", "-t", "20", "--", "sh", "job.sh"]);
    let streams = Streams { stderr: Some(stream(&writer)), ..Streams::default() };
    let ended = start_with(&mut command, &Setup::default(), streams).ended();
    assert_eq!(ended.code(), Some(0), "{}", ended.out());
    assert!(ended.elapsed < Duration::from_secs(5), "{:?}", ended.elapsed);
    drop(reader);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a slow reader is one that sleeps")]
fn a_reader_of_events_that_is_slow_does_not_delay_the_answer() {
    if !crate::support::has_program("python3") {
        return;
    }
    let (scratch, _leash) = job(CHATTER);
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let mut command = scratch.runner(&["exec", "--progress", "json", "--json", "-t", "20", "--", "sh", "job.sh"]);
    let streams = Streams { stderr: Some(stream(&writer)), ..Streams::default() };
    let running = start_with(&mut command, &Setup::default(), streams);
    drop(writer);
    drop(command);
    let slow = std::thread::spawn(move || {
        let mut reader = std::fs::File::from(reader);
        let mut page = [0; 4096];
        let mut text = Vec::new();
        while let Ok(length) = reader.read(&mut page) {
            if length == 0 {
                break;
            }
            text.extend_from_slice(&page[..length]);
            // The promise is about a reader that is slow all the time.
            if text.len() < 300_000 {
                std::thread::sleep(Duration::from_millis(300));
            }
        }
        text
    });
    let ended = running.ended();
    assert_eq!(ended.code(), Some(0), "{}", ended.out());
    assert!(ended.elapsed < Duration::from_secs(6), "{:?}", ended.elapsed);
    let text = String::from_utf8(slow.join().expect("the reader ends")).expect("UTF-8");
    // Whatever it got is whole.
    let (whole, rest) = text.rsplit_once('\n').expect("a line");
    assert_eq!(rest, "");
    let events = events(&scratch, whole);
    let kinds = kinds(&events);
    assert_eq!((kinds.first(), kinds.last()), (Some(&"started"), Some(&"finished")));
}

/// Variables of a terminal that shows progress, and a shell there.
fn known(scratch: &Scratch, variables: &[(&str, &str)]) -> Terminal {
    let mut all = vec![("TMUX", ""), ("STY", ""), ("NO_COLOR", "1"), ("TERM_PROGRAM", ""), ("WT_SESSION", "")];
    all.extend_from_slice(variables);
    Terminal::shell_with(scratch, &all)
}

/// What the task bar was told, in order.
fn told(terminal: &Terminal) -> Vec<String> {
    let screen = terminal.screen();
    screen.split("\u{1b}]9;4;").skip(1).filter_map(|rest| Some(rest.split_once("\u{1b}\\")?.0.to_owned())).collect()
}

#[test]
fn terminals_that_know_it_show_progress_in_the_task_bar() {
    for variable in
        [("WT_SESSION", "0f"), ("ConEmuANSI", "ON"), ("TERM_PROGRAM", "ghostty"), ("TERM_PROGRAM", "WezTerm")]
    {
        let (scratch, _leash) = job("runner notify --progress 0.42; sleep 0.4");
        let mut terminal = known(&scratch, &[variable]);
        terminal.run_line("runner exec --progress bar -- sh job.sh");
        let told = told(&terminal);
        assert_eq!(
            (told.contains(&"1;42".to_owned()), told.last().map(String::as_str)),
            (true, Some("0;0")),
            "{told:?}"
        );
        assert_eq!(terminal.status(), 0);
    }
}

#[test]
fn other_terminals_are_told_nothing() {
    for variables in [
        &[][..],
        &[("TERM_PROGRAM", "iTerm.app")],
        &[("WT_SESSION", "0f"), ("TMUX", "/tmp/tmux,1,0")],
        &[("TERM_PROGRAM", "ghostty"), ("STY", "1.pts")],
    ] {
        let (scratch, _leash) = job("sleep 0.4");
        let mut terminal = known(&scratch, variables);
        terminal.run_line("runner exec --progress bar -- sh job.sh");
        assert_eq!(told(&terminal), Vec::<String>::new(), "{variables:?}");
        assert!(terminal.screen().contains("sh job.sh  0:00"), "there was a bar");
    }
}

/// The task bar is cleared when this was done to a job that does not end by itself.
#[track_caller]
fn is_cleared(options: &str, code: i32, meanwhile: impl FnOnce(&mut Terminal)) {
    let (scratch, mut leash) =
        job("trap 'echo heard' INT; trap '' TERM; exec 9>leash; printf + >&9; while :; do sleep 0.05; done");
    let mut terminal = known(&scratch, &[("WT_SESSION", "0f")]);
    terminal.line(&format!("runner exec --progress bar --grace 300ms {options} -- sh job.sh </dev/null"));
    leash.held_by(1);
    until("the task bar was told", || !told(&terminal).is_empty());
    meanwhile(&mut terminal);
    terminal.prompt();
    leash.freed();
    assert_eq!(told(&terminal).last().map(String::as_str), Some("0;0"));
    assert_eq!(terminal.status(), code);
}

#[test]
fn the_task_bar_is_cleared_after_a_timeout() {
    is_cleared("-t 500ms", 124, |_| {});
}

#[test]
fn the_task_bar_is_cleared_after_a_second_ctrl_c() {
    is_cleared("--grace 60", 130, |terminal| {
        terminal.send(b"\x03");
        terminal.expect("heard");
        terminal.send(b"\x03");
    });
}

#[test]
fn the_task_bar_is_cleared_after_a_third_ctrl_c() {
    is_cleared("--grace 60", 130, |terminal| {
        terminal.send(b"\x03");
        terminal.expect("heard");
        terminal.send(b"\x03\x03");
    });
}

#[test]
fn the_task_bar_is_cleared_when_runner_is_told_to_stop() {
    is_cleared("", 143, |terminal| send(terminal.foreground(), libc::SIGTERM));
}

#[test]
fn the_task_bar_is_clear_while_the_shell_has_the_terminal() {
    let (scratch, mut leash) = job(&format!("exec 9>leash; printf + >&9; {GATE}"));
    let mut terminal = known(&scratch, &[("WT_SESSION", "0f")]);
    terminal.line("runner exec --progress bar -- sh job.sh");
    leash.held_by(1);
    until("the task bar was told", || !told(&terminal).is_empty());
    terminal.send(b"\x1a");
    terminal.prompt();
    assert_eq!(told(&terminal).last().map(String::as_str), Some("0;0"));
    terminal.line("fg");
    until("the task bar was told again", || told(&terminal).last().map(String::as_str) == Some("3;0"));
    scratch.write("go", "");
    terminal.prompt();
}

#[test]
fn what_the_job_writes_for_the_task_bar_is_its_progress() {
    let scratch = Scratch::new();
    let line = "printf '\\033]9;4;1;10\\007'; printf '\\033]9;4;1;42\\033\\\\'; exec sleep 30";
    let ended = start(&mut scratch.runner(&["exec", "--pty", "--json", "-t", "500ms", "-c", line])).ended();
    let answer: serde_json::Value = serde_json::from_str(&ended.out()).expect("an answer");
    assert_eq!(answer["error"]["details"]["partial_result"]["progress"], 0.42, "{answer}");
}

#[test]
fn whoever_asks_is_told_in_one_line_and_the_job_is_not_disturbed() {
    let (scratch, mut leash) = job(&format!(
        "echo out; runner notify --progress 0.25 --message counting; exec 9>leash; printf + >&9; {GATE}; exit 4"
    ));
    let mut command = scratch.runner(&["exec", "-t", "60", "--name", "job", "--", "sh", "job.sh"]);
    command.env("PATH", search_path());
    let running = start(&mut command);
    leash.held_by(1);
    running.signal(libc::SIGUSR1);
    until("it told how it stands", || running.err().ends_with('\n'));
    scratch.write("go", "");
    let ended = running.ended();
    assert_eq!(ended.code(), Some(4), "the job did not die of the signal");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let line = ended.stderr.trim_end();
    assert!(line.starts_with("runner: job: ") && line.ends_with(": counting"), "{line}");
    for fact in [" s of 60 s, ", "25 %, ", "last output ", " s ago, ", " process"] {
        assert!(line.contains(fact), "{fact}: {line}");
    }
}

#[test]
fn whoever_asks_is_told_above_the_bar() {
    let (scratch, mut leash) = job(&format!("echo out; exec 9>leash; printf + >&9; {GATE}"));
    let mut terminal = Terminal::shell_with(&scratch, &[("NO_COLOR", "1")]);
    terminal.line("runner exec --progress bar --name job -- sh job.sh");
    leash.held_by(1);
    terminal.picture_when("the bar is there", |now| now.bar("job") == Some(3));
    send(terminal.foreground(), libc::SIGUSR1);
    let picture = terminal.picture_when("the line stands above the bar", |now| now.bar("job") == Some(4));
    assert!(picture.rows[2].starts_with("runner: job: "), "{picture:?}");
    scratch.write("go", "");
    terminal.prompt();
}

#[test]
fn timeout_passes_the_question_on_to_its_command() {
    let (scratch, mut leash) =
        job("trap 'echo asked; exit 6' USR1; exec 9>leash; printf + >&9; exec 2>&-; while :; do sleep 0.02; done");
    let running = start(&mut scratch.runner(&["timeout", "20", "sh", "job.sh"]));
    leash.held_by(1);
    running.signal(libc::SIGUSR1);
    let ended = running.ended();
    assert_eq!((ended.code(), ended.out().as_str(), ended.stderr.as_str()), (Some(6), "asked\n", ""));
}

#[test]
fn the_answer_keeps_its_place_after_events() {
    let (scratch, _leash) = job("exec sleep 30");
    let clock = Stopwatch::start();
    let mut command = scratch.runner(&["exec", "--progress", "json", "-t", "300ms", "--", "sh", "job.sh"]);
    let streams = Streams { stdout: Some(Stdio::null()), ..Streams::default() };
    let ended = start_with(&mut command, &Setup::default(), streams).ended();
    assert!(clock.elapsed() < Duration::from_secs(5));
    let last = ended.stderr.lines().last().expect("an answer");
    assert!(last.starts_with("{\"status\":\"error\""), "{last}");
}
