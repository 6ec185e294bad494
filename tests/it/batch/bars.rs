//! What a batch shows while it runs: a line for each job and one for all below their output, lines for a log, and events.

use crate::support::terminal::desk::GATE;
use crate::support::terminal::leash::Leash;
use crate::support::terminal::process::start;
use crate::support::terminal::pty::Terminal;
use crate::support::terminal::{Scratch, search_path};
use serde_json::{Value, json};

/// A folder with this list, and the proof of the end of whatever it starts.
fn list(jobs: &[Value]) -> (Scratch, Leash) {
    let scratch = Scratch::new();
    let lines: Vec<String> = jobs.iter().map(Value::to_string).collect();
    scratch.write("jobs.jsonl", &format!("{}\n", lines.join("\n")));
    let leash = Leash::new(&scratch);
    (scratch, leash)
}

/// A job called `name` that says something and then waits until the test says so.
fn waiting(name: &str) -> Value {
    json!({"name": name, "shell": GATE})
}

#[test]
fn every_running_job_has_a_line_and_nothing_of_it_remains() {
    let (scratch, _leash) = list(&[
        json!({"name": "first", "shell": "echo one"}),
        waiting("second"),
        waiting("third"),
        json!({"name": "fourth", "shell": "echo four"}),
    ]);
    let mut terminal = Terminal::shell_with(&scratch, &[("NO_COLOR", "1")]);
    terminal.line("runner batch --progress bar -j 3 jobs.jsonl");
    let typed = "ready> runner batch --progress bar -j 3 jobs.jsonl";
    let total = "[==========>         ]  50 % 2/4 done, 2 running";
    let picture = terminal.shows(&[typed, "one", "four", "", "* second  T", "* third  T", total]);
    assert_eq!(picture.cursor, (3, 0), "the cursor is below the output");
    scratch.write("go", "");
    terminal.prompt();
    let after = terminal.picture();
    assert_eq!(after.rows[..3], [typed, "one", "four"]);
    assert!(!after.redacted().iter().any(|row| row.contains("  T") || row.contains(" done, ")), "{:?}", after.rows);
    assert_eq!(terminal.status(), 0);
}

#[test]
fn jobs_for_which_the_screen_has_no_room_are_counted() {
    let jobs: Vec<Value> = (1..=40).map(|job| waiting(&format!("job {job}"))).collect();
    let (scratch, _leash) = list(&jobs);
    let mut terminal = Terminal::shell_with(&scratch, &[("NO_COLOR", "1")]);
    terminal.line("runner batch -q --progress bar -j 40 jobs.jsonl");
    let picture = terminal
        .picture_when("all run", |now| now.redacted().last().is_some_and(|row| row.ends_with("0/40 done, 40 running")));
    let rows = picture.redacted();
    let first = rows.iter().position(|row| row == "* job 1  T").expect("the line of the first");
    let shown = rows.len() - 2 - first;
    let names: Vec<String> = (1..=shown).map(|job| format!("* job {job}  T")).collect();
    assert_eq!(rows[first..first + shown], names);
    assert_eq!(rows[first + shown], format!("... and {} more", 40 - shown));
    scratch.write("go", "");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn lines_tell_how_the_batch_stands_every_tenth() {
    let jobs: Vec<Value> = (0..4).map(|job| json!({"shell": format!("sleep 0.3; exit {}", job / 3)})).collect();
    let (scratch, _leash) = list(&jobs);
    for (options, variables) in [(&["--progress", "lines"][..], &[][..]), (&[], &[("CI", "true")])] {
        let arguments = [&["batch"], options, &["-j", "1", "jobs.jsonl"]].concat();
        let mut command = scratch.runner(&arguments);
        command.env("PATH", search_path()).env_remove("CI").env_remove("GITHUB_ACTIONS");
        command.envs(variables.iter().copied());
        let ended = start(&mut command).ended();
        let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.contains(" done, ")).collect();
        assert!((3..=4).contains(&lines.len()), "{}", ended.stderr);
        for (line, done) in lines.iter().zip(1..) {
            let (stamp, rest) = line.split_once(' ').expect("a time stamp");
            assert!(stamp.ends_with('Z') && stamp.contains('T'), "{line}");
            assert!(rest.starts_with(&format!("runner: {done}/4 done, ")), "{line}");
        }
    }
}

#[test]
fn events_name_their_job_and_fit_the_schema() {
    let (scratch, _leash) = list(&[
        json!({"id": "a", "shell": "exit 3", "retries": 1, "retry-delay": "0s"}),
        json!({"id": "b", "shell": "true", "needs": ["a"]}),
        json!({"name": "c", "shell": "true"}),
    ]);
    let arguments = ["batch", "-q", "--progress", "json", "-j", "1", "jobs.jsonl"];
    let ended = start(scratch.runner(&arguments).env("PATH", search_path()).env_remove("CI")).ended();
    let schema = start(&mut scratch.runner(&["schema", "event"])).ended().out();
    let schema: Value = serde_json::from_str(&schema).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let mut told: Vec<(String, String)> = Vec::new();
    for line in ended.stderr.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(validator.is_valid(&event), "{line}");
        let field = |name: &str| event[name].as_str().expect("a text").to_owned();
        told.push((field("job_id"), field("event")));
    }
    let of =
        |id: &str| -> Vec<&str> { told.iter().filter(|(job, _)| job == id).map(|(_, event)| event.as_str()).collect() };
    assert_eq!(of("a"), ["begun", "started", "retrying", "begun", "started", "finished"], "{}", ended.stderr);
    assert_eq!(of("b"), ["skipped"]);
    assert_eq!(of("3"), ["begun", "started", "finished"]);
}
