//! Untrusted text (names, arguments, messages, values in files) reaches a terminal without control characters.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::support::queue::Queue;
use crate::support::terminal::Scratch;
use crate::support::terminal::pty::Terminal;
use crate::support::{
    Exec, Finished, SOON, batch, batch_with, exec, exec_with, folder, op, runner, runner_at, wait_until,
};
use serde_json::{Value, json};

/// Terminal escape sequences, a forged line of runner, and bidirectional controls.
const TEXT: &str = "a\x1b[2J\x1b]0;title\x07\x1b[31m\u{9b}31m\u{9d}8;;\u{7f}\nrunner: forged\r\tb\u{61c}\u{200f}\u{2028}\
                    \u{202e}\u{2066}\u{feff}z";

/// The same with bytes that are not UTF-8.
fn bytes() -> OsString {
    OsStr::from_bytes(&[TEXT.as_bytes(), b"\xff\x9b31m"].concat()).to_owned()
}

fn is_harmful(letter: char) -> bool {
    let turns = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{feff}'].contains(&letter)
        || ('\u{2028}'..='\u{202e}').contains(&letter)
        || ('\u{2066}'..='\u{2069}').contains(&letter);
    turns || (letter.is_control() && letter != '\n')
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes)
        .unwrap_or_else(|_| panic!("{what} is not UTF-8: {:?}", String::from_utf8_lossy(bytes)));
    assert_eq!(text.chars().find(|letter| is_harmful(*letter)), None, "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("runner: forged")), "{what}: {text:?}");
}

/// Runs it; both streams are clean and contain part of the text.
#[track_caller]
fn clean(what: &str, run: Exec) -> Finished {
    let done = run.env("RUNNER_ERROR_FORMAT", "text").run();
    assert_clean(what, &done.stderr);
    assert_clean(what, &done.stdout);
    let all = done.stderr_text() + &done.stdout_text();
    assert!(all.contains("[2J"), "{what} shows it: {all:?}");
    done
}

#[test]
fn errors_show_words_of_the_command_line_cleaned() {
    let text = bytes();
    let path = OsStr::from_bytes(&[b"/nonexistent/", text.as_bytes()].concat()).to_owned();
    for (what, words) in [
        ("a command that is not there", vec![OsStr::new("--"), &path]),
        ("a directory", vec![OsStr::new("--cwd"), &path, OsStr::new("true")]),
        ("a log", vec![OsStr::new("--log"), &path, OsStr::new("true")]),
        ("a report", vec![OsStr::new("--report"), &path, OsStr::new("true")]),
        ("an input", vec![OsStr::new("--stdin"), &path, OsStr::new("true")]),
        ("a duration", vec![OsStr::new("--timeout"), OsStr::new(TEXT), OsStr::new("true")]),
        ("a signal", vec![OsStr::new("--signal"), OsStr::new(TEXT), OsStr::new("true")]),
        ("a size", vec![OsStr::new("--capture-limit"), OsStr::new(TEXT), OsStr::new("true")]),
        ("a condition", vec![OsStr::new("--retry-on"), OsStr::new(TEXT), OsStr::new("true")]),
        ("an invalid value of --leftovers", vec![OsStr::new("--leftovers"), OsStr::new(TEXT), OsStr::new("true")]),
    ] {
        clean(what, exec("").args(words));
    }
    let option = format!("--{TEXT}");
    clean("an option", exec("").arg(&option));
    clean("an option that is not UTF-8", exec("").arg(OsStr::from_bytes(&[b"--", text.as_bytes()].concat())));
    clean("a verb", exec_of("", TEXT));
    clean("a verb of the queue", exec_of("task", TEXT));
    clean("an operation", op("").arg(TEXT));
    clean("an option of an operation", op("hash x").arg(&option));
    clean("a target", op("wait-for").arg(TEXT));
    clean("a file of an operation", op("hash").arg(&path));
    #[cfg(feature = "fetch")]
    clean("a URL", op("fetch -o x").arg(format!("http://{TEXT}/")));
}

/// Another verb with one word.
fn exec_of(verb: &str, word: &str) -> Exec {
    crate::support::verb_with(runner(), verb, "").arg(word)
}

#[test]
fn values_of_configuration_files_are_cleaned() {
    let place = folder();
    for config in [json!({"timeout": TEXT}), json!({"progress": TEXT}), json!({TEXT: 1})] {
        let (name, value) = config.as_object().and_then(|fields| fields.iter().next()).expect("a field");
        // Strings of JSON are strings of TOML, but for what JSON may have raw.
        let quoted = |text: &str| {
            let escape = |letter: char| {
                if letter.is_control() { format!("\\u{:04x}", u32::from(letter)) } else { letter.to_string() }
            };
            format!("\"{}\"", text.chars().map(escape).collect::<String>())
        };
        let value = value.as_str().map_or_else(|| value.to_string(), quoted);
        fs::write(place.path().join("runner.toml"), format!("[defaults]\n{} = {value}\n", quoted(name)))
            .expect("a file");
        let mut command = runner();
        command.current_dir(place.path());
        clean("a configuration file", exec_with(command, "true"));
    }
    let odd = place.path().join(TEXT);
    fs::create_dir(&odd).expect("a folder");
    fs::write(odd.join("runner.toml"), "[defaults]\n").expect("a file");
    let mut command = runner();
    command.current_dir(&odd);
    clean("the name of a configuration file", exec_with(command, "-v true"));
}

#[test]
fn arguments_of_leftovers_and_of_stopped_processes_are_cleaned() {
    let line = "sh -c 'sleep 2; :' \"$0\" <&- >&- 2>&- &";
    let left = exec("--leftovers report").args(["--", "sh", "-c", line, TEXT]);
    assert!(clean("leftovers", left).stderr_text().contains("left running"));
    let stopped = exec("--timeout 1").args(["--", "sh", "-c", "sleep 30; :", TEXT]);
    let done = clean("the processes before a stop", stopped);
    done.assert_code(124);
    assert!(done.stderr_text().contains("processes before the stop"), "{}", done.stderr_text());
}

#[test]
fn messages_of_a_job_are_cleaned_in_every_form() {
    let line = format!("\"$VICTIM\" tell \"$RUNNER_NOTIFY_SOCKET\" '{}'", TEXT.replace('\n', " runner: forged "));
    let refused = clean("a message that was refused", exec("-v").sh(&line));
    assert!(refused.stderr_text().contains("a message was refused"), "{}", refused.stderr_text());
    let status = format!("STATUS={}", TEXT.replace('\n', " "));
    let line = format!("\"$VICTIM\" tell \"$RUNNER_NOTIFY_SOCKET\" '{status}' X_RUNNER_PROGRESS=0.5; sleep 0.6");
    clean("a message", exec("--progress lines --name").arg(TEXT).sh(&line));
    clean("a job that is tried again", exec("--retries 1 --retry-delay 0 --").arg(format!("/bin/false/{TEXT}")));
}

#[test]
fn names_and_items_of_a_batch_are_cleaned() {
    for options in ["", "-v", "--tag", "--line-buffer --tag", "--progress lines", "--ci github", "--keep-order"] {
        let run = batch(options).args(["--each", "--", "sh", "-c", "echo forged; exit 3"]).args([":::"]).arg(bytes());
        let done = run.arg("b").env("RUNNER_ERROR_FORMAT", "text").run();
        done.assert_code(1);
        assert_clean(options, &done.stderr);
        let stdout = done.stdout_text().replace('\t', " ");
        assert_clean(options, stdout.as_bytes());
    }
    let place = folder();
    let list = place.path().join("jobs.jsonl");
    for job in [
        json!({"cmd": ["false"], "name": TEXT}),
        json!({"cmd": ["sh", "-c", "exit 3", TEXT], "id": "a\u{202e}[2J"}),
        json!({"shell": format!("false '{TEXT}'")}),
        json!({"op": "hash", "params": {"files": [format!("/nonexistent/{TEXT}")]}}),
        json!({"cmd": [format!("/nonexistent/{TEXT}")]}),
        json!({"cmd": ["true"], "id": TEXT}),
        json!({"cmd": ["true"], "timeout": TEXT}),
        json!({"cmd": ["true"], TEXT: 1}),
        json!({"op": TEXT}),
        json!({"op": "hash", "params": {TEXT: 1}}),
        json!({"cmd": ["true"], "needs": TEXT.replace(|letter: char| letter.is_control(), " ")}),
    ] {
        // Two of them, so that one message lists several faults.
        fs::write(
            &list,
            format!("{job}\n{job}\n").replace("\"id\":\"a", "\"id\":\"b").replacen("\"id\":\"b", "\"id\":\"a", 1),
        )
        .expect("a list");
        let joblog = place.path().join("joblog");
        let done = clean(&job.to_string(), batch("-v --joblog").arg(&joblog).arg(&list));
        assert_ne!(done.status.code(), Some(0), "{job}");
        if let Ok(text) = fs::read(&joblog) {
            assert_clean("a job log", &text.split(|byte| *byte == b'\t').collect::<Vec<_>>().join(&b' '));
        }
    }
    let odd = place.path().join(TEXT);
    clean("a list that is not there", batch("").arg(&odd));
    let journal = batch("-v --journal").arg(&odd).args(["--each", "false", ":::", "x"]);
    clean("a journal", journal).assert_code(1);
}

#[test]
fn names_in_an_archive_are_cleaned() {
    let place = folder();
    let odd = bytes();
    fs::write(place.path().join(&odd), "content").expect("a file");
    let there = |command: fn() -> std::process::Command| {
        let mut command = command();
        command.current_dir(place.path());
        command
    };
    let run = |words: &[&OsStr]| crate::support::verb_with(there(runner), "op", "--progress lines -v").args(words);
    let archive = OsStr::new("a.tar");
    run(&[OsStr::new("archive"), OsStr::new("-o"), archive, &odd]).run().assert_code(0);
    let archived = run(&[OsStr::new("archive"), OsStr::new("-o"), archive, &odd, OsStr::new("missing")]);
    assert_clean("an archive that fails", &archived.env("RUNNER_ERROR_FORMAT", "text").run().stderr);
    fs::create_dir_all(place.path().join("to").join(&odd)).expect("a folder in its place");
    fs::write(place.path().join("to").join(&odd).join("x"), "").expect("a file");
    let extracted = run(&[OsStr::new("extract"), archive, OsStr::new("-C"), OsStr::new("to")]);
    clean("an archive that cannot be extracted", extracted).assert_code(1);
}

#[test]
fn output_about_tasks_is_cleaned() {
    let queue = Queue::new();
    queue.task("pause", &[]).run().assert_code(0);
    let name = TEXT.replace(|letter: char| letter.is_control(), " ");
    let words = ["--name", &name, "--", "sh", "-c", "exit 3", TEXT];
    let done = queue.runner("task submit", "").args(words).run();
    done.assert_code(0);
    let id = crate::support::queue::id_of(&done);
    clean("a list of tasks", queue.task("list", &[]));
    clean("a task", queue.task("status", &[&id]));
    clean("an id", queue.task("status", &[TEXT]));
    clean("another list", queue.task("list", &["--status", TEXT]));
    clean("a wait", queue.task("wait", &["--for", TEXT, &id]));
    queue.task("resume", &[]).run().assert_code(0);
    queue.answer(&id).assert_code(3);
    clean("a task that failed", queue.task("status", &[&id]));
    clean("the history of a name", queue.runner("history", "").arg(TEXT));
    let odd = OsString::from(format!("sh{TEXT}"));
    queue.runner("exec", "--record -- sh -c").args(["exit 0", TEXT]).arg(odd).run().assert_code(0);
    clean("the history", queue.runner("history", ""));
}

#[test]
fn json_and_a_dry_run_are_exact_except_on_a_terminal() {
    let scratch = Scratch::new();
    let name = TEXT;
    let off = exec("--json --name").arg(name).args(["--", "true"]).run();
    assert_eq!(off.json()["metadata"]["name"], name);
    let raw = String::from_utf8(off.stdout).expect("text");
    assert!(raw.contains('\u{9b}') && raw.contains('\u{202e}'), "it is unchanged: {raw:?}");
    let dry = batch("--dry-run --each").args(["echo", ":::"]).arg(bytes()).run();
    assert_eq!(dry.stdout, [b"echo '", bytes().as_bytes(), b"'\n"].concat());
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let is_named = |document: Value| document["name"] == name || document["metadata"]["name"] == name;
    let word = |text| OsStr::new(text);
    for (arguments, is_whole) in [
        (
            vec![word("exec"), word("--json"), word("--name"), word(name), word("--"), word("true")],
            &(|text: &str| parsed(text).is_some_and(is_named)) as &dyn Fn(&str) -> bool,
        ),
        (["batch", "--json", "-q", "--each", "true", ":::", name].map(OsStr::new).to_vec(), &|text| {
            parsed(text).is_some_and(|answer| answer["metadata"]["name"].to_string().contains('\u{202e}'))
        }),
        (["exec", "--progress", "json", "--name", name, "--", "true"].map(OsStr::new).to_vec(), &|text| {
            text.contains("finished") && text.lines().all(|line| parsed(line).is_some_and(is_named))
        }),
        (vec![word("batch"), word("--dry-run"), word("--each"), word("echo"), word(":::"), &bytes()], &|text| {
            text.contains("forged") && text.ends_with("'\n")
        }),
    ] {
        let mut terminal = Terminal::run(&mut scratch.runner(&arguments));
        terminal.ended();
        let shown = || String::from_utf8_lossy(&terminal.bytes()).replace("\r\n", "\n");
        wait_until(SOON, &format!("all of {arguments:?}"), || is_whole(&shown()));
        assert_clean(&format!("{arguments:?}"), shown().as_bytes());
    }
}

#[test]
fn the_output_of_a_job_passes_unchanged() {
    let mut command = runner_at(crate::support::terminal::runner_path());
    command.env("HOSTILE", bytes());
    let done = batch_with(command, "--progress none --each").args(["printenv", ":::", "HOSTILE"]).run();
    assert_eq!(done.stdout, [bytes().as_bytes(), b"\n"].concat());
    let done = exec("").env("HOSTILE", bytes()).args(["--", "printenv", "HOSTILE"]).run();
    assert_eq!(done.stdout, [bytes().as_bytes(), b"\n"].concat());
}
