//! The history: recorded only where it is asked for, shown with its figures, and what `--timeout auto` goes by.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;

use crate::support::{Exec, Finished, batch, exec, folder, op, runner};

/// A place for a history, and for a configuration that a test may write.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: folder() }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, text: &str) {
        fs::create_dir_all(self.path("runner")).expect("a folder");
        fs::write(self.path("runner/config.toml"), text).expect("a configuration");
    }

    /// The run, with the history here.
    fn in_it(&self, run: Exec) -> Exec {
        run.env("RUNNER_STATE_DIR", self.state()).env("XDG_CONFIG_HOME", self.folder.path())
    }

    fn exec(&self, options: &str, job: &[&str]) -> Finished {
        self.in_it(exec(options)).job(job).run()
    }

    fn history(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("runner runs")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = runner();
        command.arg("history").args(words);
        command.env("RUNNER_STATE_DIR", self.state()).env("XDG_CONFIG_HOME", self.folder.path());
        command
    }

    /// The answer of `runner history --json`, valid by the schema that the program itself prints.
    #[track_caller]
    fn answer(&self, words: &[&str]) -> Value {
        let output = self.history(&[&["--json"], words].concat());
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let schema = runner().args(["schema", "history"]).output().expect("runner runs").stdout;
        let schema: Value = serde_json::from_slice(&schema).expect("a schema");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let errors: Vec<String> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?} in {answer:#}");
        answer
    }

    /// The figures of the one that is meant.
    #[track_caller]
    fn entry(&self, of: &str) -> Value {
        let answer = self.answer(&[of]);
        let entries = answer["data"]["entries"].as_array().expect("entries");
        assert_eq!(entries.len(), 1, "{answer:#}");
        entries[0].clone()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn from_five_successes_on_a_timeout_is_made_of_them() {
    let place = Place::new();
    for run in 1..=5 {
        let done = place.exec("-v --record --timeout auto --name quick", &["true"]);
        let said = format!("the timeout is 3600 s, the default: {} successes are too few", run - 1);
        assert!(done.assert_code(0).stderr_text().contains(&said), "{}", done.stderr_text());
    }
    // What failed teaches nothing.
    place.exec("--record --name quick", &["false"]).assert_code(1);
    let done = place.exec("-v --timeout auto --name quick", &["true"]);
    assert!(done.stderr_text().contains("the timeout is 10 s, made of 5 successes"), "{}", done.stderr_text());
    // The maximum caps it, and is no error.
    let done = place.exec("-v --timeout auto --max-timeout 3 --name quick", &["true"]);
    assert!(done.assert_code(0).stderr_text().contains("the timeout is 3 s,"), "{}", done.stderr_text());
    // Another job has a history of its own.
    let done = place.exec("-v --timeout auto", &["true"]);
    assert!(done.stderr_text().contains("the timeout is 3600 s"), "{}", done.stderr_text());

    place.configure("[history]\ntimeout-floor = \"100ms\"\n");
    let done = place.in_it(exec("--name quick").env("RUNNER_TIMEOUT", "auto:4")).job(["sleep", "600"]).run();
    let answer = done.assert_code(124).answer();
    let timeout = answer["error"]["details"]["timeout_seconds"].as_f64().expect("a timeout");
    assert!((0.1..500.0).contains(&timeout), "{answer:#}");
}

#[test]
fn nothing_is_kept_and_nothing_is_made_where_nobody_asked() {
    let place = Place::new();
    place.exec("", &["true"]).assert_code(0).assert_silent();
    place.exec("--timeout auto", &["true"]).assert_code(0).assert_silent();
    place.in_it(batch("-q --timeout auto")).args(["--", "echo", ":::", "1", "2"]).run().assert_code(0);
    assert!(text(&place.history(&[])).contains("nothing is recorded yet"));
    assert_eq!(place.answer(&[])["data"]["total"], 0);
    assert!(!place.state().exists());

    place.configure("[history]\nrecord = true\n");
    place.exec("--record=no", &["true"]).assert_code(0);
    assert!(!place.state().exists());
    place.exec("", &["true"]).assert_code(0);
    place.in_it(batch("-q")).args(["--", "true", ":::", "1"]).run().assert_code(0);
    assert_eq!(place.answer(&[])["data"]["total"], 2);
}

#[test]
fn every_end_of_an_attempt_is_counted() {
    let place = Place::new();
    for (options, line, code) in [
        ("", "exit 0", 0),
        ("", "exit 3", 3),
        ("", "kill -9 $$", 137),
        ("-t 0.1", "sleep 600", 124),
        ("--idle-timeout 0.1", "sleep 600", 124),
        ("--cwd /nonexistent", "exit 0", 125),
    ] {
        let options = format!("--record --name job {options}");
        place.exec(&options, &["sh", "-c", line]).assert_code(code);
    }
    place.exec("--record --name job", &["/nonexistent/program"]).assert_code(127);
    let mut run = place.in_it(exec("--record --name job")).victim("silent").start();
    run.wait_until_ready();
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143).assert_tree_dead();
    let entry = place.entry("job");
    // The folder was looked at before there was an attempt.
    assert_eq!(
        (&entry["runs"], &entry["successes"], &entry["failures"]),
        (&7.into(), &1.into(), &3.into()),
        "{entry:#}"
    );
    assert_eq!((&entry["timeouts"], &entry["cancelled"]), (&2.into(), &1.into()), "{entry:#}");
    let rate = entry["timeout_rate"].as_f64().expect("a rate");
    assert!((rate - 2.0 / 7.0).abs() < 1e-9, "{entry:#}");
    for cause in ["success", "failed", "signal", "timeout", "idle", "cancelled", "not_started"] {
        assert_eq!(entry["causes"][cause], 1, "{cause}: {entry:#}");
    }
    assert!(entry["peak_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{entry:#}");
    let seen = entry["histogram"].as_array().expect("buckets").iter();
    let runs: u64 = seen.map(|bucket| bucket["successes"].as_u64().unwrap() + bucket["others"].as_u64().unwrap()).sum();
    assert_eq!(runs, 6, "one never ran: {entry:#}");
}

#[test]
fn each_attempt_of_a_batch_is_recorded() {
    let place = Place::new();
    let list = place.path("jobs.jsonl");
    let tries = place.path("tried");
    let jobs = format!(
        "{{\"name\": \"flaky\", \"shell\": \"mkdir '{}'\", \"retries\": 0}}\n\
         {{\"name\": \"stubborn\", \"cmd\": [\"false\"], \"retries\": 2, \"retry-delay\": 0}}\n\
         {{\"shell\": \"exit 0\", \"timeout\": \"auto\"}}\n\
         {{\"cmd\": [\"true\"], \"needs\": \"x\"}}\n\
         {{\"id\": \"x\", \"cmd\": [\"false\"]}}\n",
        tries.display()
    );
    fs::write(&list, jobs).expect("a list");
    let done = place.in_it(batch("-v --record")).arg(&list).run();
    assert!(done.assert_code(1).stderr_text().contains("0 by the history, 1 by the default"), "{}", done.stderr_text());
    assert_eq!(place.entry("flaky")["successes"], 1);
    let stubborn = place.entry("stubborn");
    assert_eq!((&stubborn["runs"], &stubborn["causes"]["failed"]), (&3.into(), &3.into()));
    assert_eq!(place.entry("exit 0")["runs"], 1);
    // What was skipped has no history.
    assert_eq!(place.answer(&[])["data"]["total"], 4);

    // The next runs learn of it, each job by itself.
    for _ in 0..4 {
        place.exec("--record", &["true"]).assert_code(0);
        place.in_it(exec("--record")).arg("-c").arg("exit 0").run().assert_code(0);
    }
    let done = place.in_it(batch("-v")).arg(&list).run();
    assert!(done.stderr_text().contains("timeouts of 10 to 10 s: 1 by the history, 0"), "{}", done.stderr_text());
}

#[test]
fn a_large_batch_is_recorded_whole() {
    let place = Place::new();
    let items: String = (0..700).map(|item| format!("{item}\n")).collect();
    place.in_it(batch("-q --record --name all --each")).args(["--", "true"]).input(items).run().assert_code(0);
    assert_eq!(place.entry("all")["successes"], 700);
}

#[test]
fn processes_that_record_at_the_same_time_lose_nothing() {
    let place = Place::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    place.exec("--record --name shared", &["true"]).assert_code(0).assert_silent();
                }
            });
        }
    });
    assert_eq!(place.entry("shared")["successes"], 40);
}

#[test]
fn one_is_found_by_name_by_command_and_by_fingerprint() {
    let place = Place::new();
    place.exec("--record", &["echo", "two words"]).assert_code(0);
    place.exec("--record --name greeting", &["echo", "two words"]).assert_code(0);
    let entry = place.entry("echo 'two words'");
    let fingerprint = entry["fingerprint"].as_str().expect("it has no name").to_owned();
    assert_eq!(place.entry(&fingerprint[..8])["command"], "echo 'two words'");
    assert!(place.entry("greeting").get("fingerprint").is_none());
    let table = text(&place.history(&[]));
    assert!(table.contains("\ngreeting ") && table.contains(&format!("\n{} echo", &fingerprint[..12])), "{table}");
    let limited = place.answer(&["--limit", "1"]);
    assert_eq!((limited["data"]["entries"].as_array().map(Vec::len), &limited["data"]["total"]), (Some(1), &2.into()));

    let missing = place.history(&["--json", "nobody"]);
    assert_eq!(missing.status.code(), Some(1));
    let answer = crate::support::parse(std::str::from_utf8(&missing.stdout).expect("text"));
    assert_eq!(answer["error"]["code"], "NOT_FOUND");
    assert!(answer["error"]["message"].as_str().is_some_and(|message| message.contains("'nobody'")), "{answer:#}");
    assert_eq!(Place::new().history(&["nobody"]).status.code(), Some(1), "nor where there is no history at all");
}

#[test]
fn bars_are_drawn_as_the_locale_allows() {
    let place = Place::new();
    place.exec("--record --name job", &["true"]).assert_code(0);
    for (locale, mark, other) in [("en_GB.UTF-8", "█", "#"), ("C", "#", "█"), ("C.utf8", "█", "#")] {
        let shown = text(&place.command(&["job"]).env("LC_ALL", locale).output().expect("runner runs"));
        assert!(shown.contains(mark) && !shown.contains(other), "{locale}: {shown}");
        for part in ["name        job", "runs        1: 1 success", "p95", "--timeout 1h, the default"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

#[test]
fn parameters_of_operations_are_not_kept() {
    let place = Place::new();
    let (from, to) = (place.path("a-telling-name"), place.path("copied"));
    fs::write(&from, "content").expect("a file");
    place.in_it(op("--record")).arg("copy").arg(&from).arg(&to).run().assert_code(0);
    assert_eq!(place.entry("copy")["successes"], 1);
    for entry in fs::read_dir(place.state()).expect("the state").flatten().filter(|entry| entry.path().is_file()) {
        let bytes = fs::read(entry.path()).expect("it can be read");
        assert!(!crate::support::contains(&bytes, b"a-telling-name"), "{:?}", entry.path());
    }
}

#[test]
fn a_history_that_is_out_of_order_costs_no_job_anything() {
    let place = Place::new();
    damage(&place.state());
    let done = place.exec("-v --timeout auto --record", &["sh", "-c", "echo done"]);
    assert_eq!(
        (done.assert_code(0).stdout_text(), done.stderr_text().matches("it is damaged").count()),
        ("done\n".to_owned(), 2)
    );
    assert!(done.stderr_text().contains("the timeout is 3600 s, the default: failed to"), "{}", done.stderr_text());
    assert!(done.stderr_text().contains("runner: the history was not recorded: "), "{}", done.stderr_text());
    let done = place.exec("--record --json", &["false"]);
    assert_eq!(done.assert_code(1).json()["error"]["code"], "COMMAND_FAILED");
    let done = place.in_it(batch("--record")).args(["--", "echo", ":::", "1", "2"]).run();
    assert_eq!(done.assert_code(0).stderr_text().matches("not recorded").count(), 1, "{}", done.stderr_text());
    // Who neither records nor goes by it does not even look.
    place.exec("-t 600", &["true"]).assert_code(0).assert_silent();
    place.in_it(batch("-q -t 600")).args(["--", "true", ":::", "1"]).run().assert_code(0).assert_silent();
    let shown = place.history(&["--json"]);
    assert_eq!(shown.status.code(), Some(125));
    let answer = crate::support::parse(std::str::from_utf8(&shown.stdout).expect("text"));
    assert_eq!(answer["error"]["code"], "SERVICE_UNAVAILABLE");
}

fn damage(state: &Path) {
    fs::create_dir_all(state).expect("a folder");
    fs::write(state.join("queue.db"), "this was a store once, before somebody wrote a letter into it\n".repeat(100))
        .expect("a file");
}
