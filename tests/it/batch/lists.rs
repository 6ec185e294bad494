//! `runner batch`: many jobs, each once, in their order, within their limits, with an answer for each.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Finished, SOON, batch, folder, seconds, wait_until};

/// A folder with a job list in it, of JSON lines.
struct List {
    folder: tempfile::TempDir,
}

impl List {
    fn of(jobs: &[Value]) -> Self {
        let text: String = jobs.iter().map(|job| format!("{job}\n")).collect();
        Self::text("jobs.jsonl", &text)
    }

    fn text(name: &str, text: &str) -> Self {
        let list = Self { folder: folder() };
        fs::write(list.path(name), text).expect("a list");
        list
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn jobs(&self) -> PathBuf {
        self.path("jobs.jsonl")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// A job that runs this line in a shell.
fn shell(id: &str, line: &str) -> Value {
    json!({"id": id, "shell": line})
}

/// The envelopes on stdout, one a line, each valid by the schema.
#[track_caller]
fn envelopes(done: &Finished) -> Vec<Value> {
    done.stdout_text().lines().map(crate::support::parse).collect()
}

#[track_caller]
fn envelope_of(done: &Finished, id: &str) -> Value {
    let found = envelopes(done).into_iter().find(|envelope| envelope["metadata"]["job_id"] == id);
    found.unwrap_or_else(|| panic!("no envelope of {id}: {}", done.stdout_text()))
}

/// The largest number of jobs at once, from a log of `+` and `-`.
fn most_at_once(log: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for sign in log.chars() {
        match sign {
            '+' => now += 1,
            '-' => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    most
}

#[test]
fn each_item_is_one_argument_whatever_it_holds() {
    let items = b"plain\ntwo words\nit's \"quoted\"\n$(touch pwned) `x` $HOME\n-n\n*\n\xff\xfe\n a \n".to_vec();
    let done = batch("-k -j2 --each").job(["printf", "<%s>\\n"]).input(items).run();
    done.assert_code(0).assert_tree_dead();
    let expected: &[u8] =
        b"<plain>\n<two words>\n<it's \"quoted\">\n<$(touch pwned) `x` $HOME>\n<-n>\n<*>\n<\xff\xfe>\n< a >\n";
    assert_eq!(done.stdout, expected);
}

#[test]
fn items_separated_by_nul_may_hold_newlines() {
    let done = batch("-k -0 --each").job(["printf", "<%s>"]).input(&b"a\nb\0\0c"[..]).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "<a\nb><><c>");
}

#[test]
fn an_item_of_100_kib_is_passed_on_whole() {
    let item = "x".repeat(100 << 10);
    let done = batch("--each").job(["printf", "%s"]).input(format!("{item}\n")).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), item);
}

#[test]
fn placeholders_stand_for_parts_of_a_path() {
    let job = ["printf", "%s|", "{}", "{.}", "{/}", "{//}", "{/.}", "{#}"];
    let done = batch("-k --each").job(job).input("/a/b.c/d.tar.gz\n").run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "/a/b.c/d.tar.gz|/a/b.c/d.tar|d.tar.gz|/a/b.c|d.tar|1|");
}

#[test]
fn inputs_are_combined_or_linked() {
    let job = ["printf", "%s-%s\\n", "{1}", "{2}", ":::", "a", "b", ":::", "1", "2"];
    let combined = batch("-k --each").job(job).run();
    assert_eq!(combined.stdout_text(), "a-1\na-2\nb-1\nb-2\n");
    let linked = batch("-k --link --each").job(job).run();
    assert_eq!(linked.stdout_text(), "a-1\nb-2\n");
}

#[test]
fn the_output_of_a_job_stays_together() {
    let line = "echo begin $0; sleep 0.0$(($0 % 5)); echo end $0; echo err $0 >&2";
    let items: String = (1..=30).map(|number| format!("{number}\n")).collect();
    let done = batch("-j8 --each").job(["sh", "-c", line]).input(items).run();
    done.assert_code(0);
    let text = done.stdout_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 60);
    for pair in lines.chunks(2) {
        assert_eq!(pair[0].replace("begin", "end"), pair[1]);
    }
}

#[test]
fn the_order_of_the_list_is_kept_where_asked_for() {
    let items: String = (1..=40).map(|number| format!("{number}\n")).collect();
    let line = "sleep 0.0$((($0 * 7) % 10)); echo $0";
    let done = batch("-k -j8 --each").job(["sh", "-c", line]).input(items.clone()).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), items);
}

#[test]
fn a_list_of_a_million_bytes_of_output_loses_none() {
    let done = batch("-k -j4 --capture-limit 4K --each")
        .job(["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' $0"])
        .input("a\nb\nc\n")
        .run();
    done.assert_code(0);
    let expected: Vec<u8> = [b'a', b'b', b'c'].iter().flat_map(|letter| vec![*letter; 1_000_000]).collect();
    assert!(done.stdout == expected, "{} bytes", done.stdout.len());
}

#[test]
fn never_more_jobs_run_than_allowed() {
    let list = List::of(&[]);
    let line = "printf + >>\"$LOG\"; sleep 0.02; printf - >>\"$LOG\"";
    let items: String = (1..=40).map(|number| format!("{number}\n")).collect();
    let log = list.path("log");
    let done = batch("-j3 --each").env("LOG", &log).job(["sh", "-c", line]).input(items).run();
    done.assert_code(0);
    let log = list.read("log");
    assert_eq!(log.len(), 80);
    assert!(most_at_once(&log) <= 3, "{log}");
}

#[test]
fn a_job_waits_for_what_it_needs() {
    let list = List::of(&[
        json!({"id": "last", "needs": ["left", "right"], "shell": "echo last"}),
        json!({"id": "left", "needs": ["first"], "shell": "echo left"}),
        json!({"id": "right", "needs": ["first"], "shell": "echo right"}),
        shell("first", "sleep 0.1; echo first"),
    ]);
    let done = batch("-j8").arg(list.jobs()).run();
    done.assert_code(0);
    let text = done.stdout_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[3]), (4, "first", "last"), "{text}");
}

#[test]
fn what_needs_a_failed_job_is_skipped_with_the_reason() {
    let list = List::of(&[
        shell("a", "exit 3"),
        json!({"id": "b", "needs": ["a"], "shell": "echo never"}),
        json!({"id": "c", "needs": ["b"], "shell": "echo never"}),
        shell("d", "echo still"),
    ]);
    let done = batch("--json").arg(list.jobs()).run();
    done.assert_code(1);
    assert_eq!(envelopes(&done).len(), 4);
    assert_eq!(envelope_of(&done, "a")["error"]["code"], "COMMAND_FAILED");
    for id in ["b", "c"] {
        let envelope = envelope_of(&done, id);
        assert_eq!(envelope["error"]["code"], "DEPENDENCY_ERROR");
        assert!(envelope["error"]["details"]["skipped_because"].is_string(), "{envelope}");
    }
    assert_eq!(envelope_of(&done, "d")["data"]["stdout"], "still\n");
}

#[test]
fn a_cycle_is_printed_and_nothing_starts() {
    let list = List::of(&[
        json!({"id": "a", "needs": ["b"], "shell": "touch \"$MARK\""}),
        json!({"id": "b", "needs": ["a"], "shell": "touch \"$MARK\""}),
        shell("c", "touch \"$MARK\""),
    ]);
    let done = batch("").env("MARK", list.path("mark")).arg(list.jobs()).run();
    done.assert_code(125);
    let answer = done.answer();
    assert_eq!(answer["error"]["code"], "VALIDATION_ERROR");
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("a -> b -> a") || message.contains("b -> a -> b"), "{message}");
    assert!(!list.path("mark").exists());
}

#[test]
fn a_wrong_line_is_named_before_anything_starts() {
    let list = List::text(
        "jobs.jsonl",
        "{\"id\":\"a\",\"shell\":\"touch \\\"$MARK\\\"\"}\n\n{\"id\":\"b\",\"shell\":\"true\",\"timeout\":\"-3\"}\n",
    );
    let done = batch("").env("MARK", list.path("mark")).arg(list.jobs()).run();
    done.assert_code(125);
    let error = done.answer()["error"].clone();
    assert_eq!(error["code"], "VALIDATION_ERROR");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("jobs.jsonl line 3") && message.contains("timeout"), "{message}");
    assert!(!list.path("mark").exists());
}

#[test]
fn toml_with_defaults_is_a_list_too() {
    let text = "[defaults]\ntimeout = \"10s\"\nenv = { WHO = \"world\" }\n\n[[job]]\nid = \"hello\"\nshell = \"echo hello $WHO\"\n";
    let list = List::text("jobs.toml", text);
    let done = batch("").arg(list.path("jobs.toml")).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "hello world\n");
}

#[test]
fn operations_run_as_jobs() {
    let list = List::of(&[json!({"id": "nap", "op": "sleep", "params": {"duration": "0.05"}})]);
    let done = batch("--json").arg(list.jobs()).run();
    done.assert_code(0);
    assert_eq!(envelope_of(&done, "nap")["status"], "success");
}

#[test]
fn a_lock_is_held_by_as_many_jobs_as_it_has_places() {
    let line = "printf + >>\"$LOG\"; sleep 0.02; printf - >>\"$LOG\"";
    for (lock, places) in [("one", 1), ("two:1/2", 2), ("four:2/4", 2)] {
        let jobs: Vec<Value> = (0..12).map(|_| json!({"shell": line, "lock": lock})).collect();
        let list = List::of(&jobs);
        let done = batch("-j8").env("LOG", list.path("log")).arg(list.jobs()).run();
        done.assert_code(0);
        let log = list.read("log");
        assert_eq!(log.len(), 24);
        assert!(most_at_once(&log) <= places, "{lock}: {log}");
    }
}

#[test]
fn priorities_come_first_within_the_list() {
    let list = List::of(&[
        json!({"shell": "echo low", "priority": "low"}),
        json!({"shell": "echo normal"}),
        json!({"shell": "echo high", "priority": "high"}),
        json!({"shell": "echo critical", "priority": "critical"}),
    ]);
    let done = batch("-j1").arg(list.jobs()).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "critical\nhigh\nnormal\nlow\n");
}

on_both_rungs! {
    fn a_job_that_takes_too_long_is_stopped_with_its_tree(rung) {
        let list = List::of(&[
            json!({"id": "slow", "shell": "echo so far; sleep 60 & sleep 60", "timeout": "0.3s"}),
            shell("quick", "echo done"),
        ]);
        let done = batch("--json -j2").rung(rung).arg(list.jobs()).run();
        done.assert_code(1).assert_tree_dead();
        let slow = envelope_of(&done, "slow");
        assert_eq!(slow["error"]["code"], "TIMEOUT");
        assert_eq!(slow["error"]["details"]["partial_result"]["stdout"], "so far\n");
        assert_eq!(envelope_of(&done, "quick")["status"], "success");
    }

    fn the_total_time_ends_the_batch(rung) {
        let items: String = (0..20).map(|number| format!("{number}\n")).collect();
        let done = batch("-j2 --total-timeout 0.5 --grace 0.2 --each").rung(rung).job(["sleep", "30"]).input(items);
        let done = done.run();
        done.assert_code(124).assert_tree_dead().assert_took_between(seconds(0.5), SOON);
        // There is no journal to go on with.
        assert!(done.stderr_text().contains("with --journal, --resume could go on"), "{}", done.stderr_text());
    }

    fn an_interrupt_ends_all(rung) {
        let list = List::of(&(0..6).map(|_| json!({"shell": "echo ready >>\"$LOG\"; sleep 60 & sleep 60"})).collect::<Vec<_>>());
        let mut run = batch("-j3 --grace 0.3").rung(rung).env("LOG", list.path("log")).arg(list.jobs()).start();
        run.wait_until("three jobs", |_| list.read("log").lines().count() == 3);
        run.signal(libc::SIGINT);
        let done = run.finish();
        done.assert_died_of(libc::SIGINT).assert_tree_dead();
        assert_eq!(list.read("log").lines().count(), 3, "no other job began");
    }

    fn all_trees_die_with_runner(rung) {
        let list = List::of(&(0..4).map(|_| json!({"shell": "trap '' TERM; echo ready >>\"$LOG\"; sleep 60 & sleep 60"})).collect::<Vec<_>>());
        let mut run = batch("-j4").rung(rung).env("LOG", list.path("log")).arg(list.jobs()).start();
        run.wait_until("four jobs", |_| list.read("log").lines().count() == 4);
        run.signal(libc::SIGKILL);
        run.finish().assert_died_of(libc::SIGKILL).assert_tree_dead();
    }
}

#[test]
fn a_failure_stops_new_jobs_softly() {
    let items: String = (0..50).map(|number| format!("{number}\n")).collect();
    let list = List::of(&[]);
    let line = "echo $0 >>\"$LOG\"; test $0 != 3";
    let done = batch("-j1 --fail-fast --each").env("LOG", list.path("log")).job(["sh", "-c", line]).input(items).run();
    done.assert_code(1);
    assert_eq!(list.read("log"), "0\n1\n2\n3\n");
}

#[test]
fn a_failure_stops_all_where_asked_for() {
    let list = List::of(&[
        shell("long", "echo >\"$LOG\"; sleep 60"),
        shell("bad", "until test -e \"$LOG\"; do sleep 0.01; done; exit 1"),
    ]);
    let done = batch("-j2 --json --fail-fast=now").env("LOG", list.path("log")).arg(list.jobs()).run();
    done.assert_code(1).assert_tree_dead().assert_took_between(seconds(0.0), SOON);
    assert_eq!(envelope_of(&done, "long")["error"]["code"], "CANCELLED");
}

#[test]
fn so_many_failures_are_enough() {
    let items: String = (0..50).map(|number| format!("{number}\n")).collect();
    let list = List::of(&[]);
    let line = "echo $0 >>\"$LOG\"; false";
    let done =
        batch("-j1 --max-failures 4 --each").env("LOG", list.path("log")).job(["sh", "-c", line]).input(items).run();
    done.assert_code(1);
    assert_eq!(list.read("log").lines().count(), 4);
}

#[test]
fn a_job_that_passes_at_last_is_flaky() {
    let list = List::of(&[json!({
        "id": "f", "retries": 3, "retry-delay": "10ms",
        "shell": "echo x >>\"$LOG\"; test $(wc -l <\"$LOG\") = 3 && echo at last",
    })]);
    let done = batch("--json").env("LOG", list.path("log")).arg(list.jobs()).run();
    done.assert_code(0);
    let envelope = envelope_of(&done, "f");
    assert_eq!(envelope["data"]["flaky"], true);
    assert_eq!(envelope["data"]["attempts"].as_array().map(Vec::len), Some(3));
    assert_eq!(envelope["metadata"]["attempt"], 3);
    assert_eq!(envelope["data"]["stdout"], "at last\n");
}

#[test]
fn results_go_into_a_folder_for_each_job() {
    let list = List::of(&[shell("a/b", "echo out; echo err >&2"), shell("..", "exit 4")]);
    let results = list.path("results/");
    let done = batch("-q --results").arg(&results).arg(list.jobs()).run();
    done.assert_code(1);
    assert_eq!(done.stdout_text(), "");
    let mut folders: Vec<PathBuf> = fs::read_dir(&results).expect("results").flatten().map(|e| e.path()).collect();
    folders.sort();
    assert_eq!(folders.len(), 2);
    let mut seen = BTreeSet::new();
    for folder in folders {
        let envelope =
            crate::support::parse(fs::read_to_string(folder.join("envelope.json")).expect("an envelope").trim_end());
        let id = envelope["metadata"]["job_id"].as_str().unwrap_or_default().to_owned();
        if id == "a/b" {
            assert_eq!(fs::read_to_string(folder.join("stdout")).expect("stdout"), "out\n");
            assert_eq!(fs::read_to_string(folder.join("stderr")).expect("stderr"), "err\n");
        }
        seen.insert(id);
    }
    assert_eq!(seen, BTreeSet::from(["a/b".to_owned(), "..".to_owned()]));
}

#[test]
fn a_resumed_batch_runs_what_did_not_succeed() {
    let list =
        List::of(&[shell("good", "echo good >>\"$LOG\""), shell("bad", "echo bad >>\"$LOG\"; test -e \"$FIXED\"")]);
    let journal = list.path("journal");
    let run = |options: &str| {
        batch(options)
            .arg(&journal)
            .env("LOG", list.path("log"))
            .env("FIXED", list.path("fixed"))
            .arg(list.jobs())
            .run()
    };
    run("--journal").assert_code(1);
    assert_eq!(list.read("log").lines().count(), 2);
    fs::write(list.path("fixed"), "").expect("a mark");
    run("--resume").assert_code(0);
    let log = list.read("log");
    assert_eq!(log.lines().filter(|line| *line == "good").count(), 1, "{log}");
    assert_eq!(log.lines().filter(|line| *line == "bad").count(), 2, "{log}");
    run("--resume").assert_code(0);
    assert_eq!(list.read("log"), log, "all had succeeded");
}

#[test]
fn a_second_runner_does_not_take_a_journal_that_is_in_use() {
    let list = List::of(&[shell("a", "echo >\"$LOG\"; sleep 30")]);
    let journal = list.path("journal");
    let mut first = batch("--journal").arg(&journal).env("LOG", list.path("log")).arg(list.jobs()).start();
    wait_until(SOON, "the job", || list.path("log").exists());
    let second = batch("--resume").arg(&journal).arg(list.jobs()).run();
    second.assert_code(125);
    assert_eq!(second.answer()["error"]["code"], "CONFLICT");
    assert!(!first.has_ended());
    first.signal(libc::SIGTERM);
    first.finish().assert_code(143).assert_tree_dead();
}

#[test]
fn a_dry_run_prints_commands_that_a_shell_reads_back() {
    let list = List::of(&[]);
    let mark = list.path("mark");
    let done =
        batch("--dry-run --each").job([Path::new("touch").as_os_str(), mark.as_os_str()]).input("a b\nit's\n").run();
    done.assert_code(0);
    let path = mark.display();
    assert_eq!(done.stdout_text(), format!("touch {path} 'a b'\ntouch {path} 'it'\\''s'\n"));
    assert!(!mark.exists());
}

#[test]
fn a_reader_that_left_ends_the_batch_quietly() {
    let items: String = (0..10_000).map(|number| format!("{number}\n")).collect();
    let mut run = batch("-j2 --each").job(["echo"]).input(items).start();
    run.wait_for_stdout("1\n");
    run.close_stdout();
    let done = run.finish();
    done.assert_tree_dead();
    assert!(done.elapsed < SOON * 2);
}

#[test]
fn jobs_read_nothing_of_our_input() {
    let done = batch("-k -j1 --each").job(["sh", "-c", "cat; echo $0"]).input("1\n2\n3\n").run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "1\n2\n3\n");
}

#[test]
fn a_word_list_may_hold_bytes_that_are_no_text() {
    let item = std::ffi::OsString::from_vec(b"\xff'\n".to_vec());
    let mut words: Vec<std::ffi::OsString> = ["printf", "%s", ":::"].iter().map(Into::into).collect();
    words.push(item);
    let done = batch("--each").job(words).run();
    done.assert_code(0);
    assert_eq!(done.stdout, b"\xff'\n");
}

#[test]
fn the_end_of_a_guard_is_the_end_of_its_own_job_alone() {
    let list = List::of(&[
        shell(
            "first",
            "[ -e again ] && exit; until [ -e second ]; do sleep 0.01; done; echo >again; kill -9 $PPID; sleep 30",
        ),
        shell("second", "echo >second; until [ -e go ]; do sleep 0.01; done"),
    ]);
    let mut run = batch("-j2 --json --retries 1 --cwd").arg(list.folder.path()).arg(list.jobs()).start();
    run.wait_for_stdout("\"first\"");
    fs::write(list.path("go"), "").expect("a mark");
    let done = run.finish();
    // Were processes of the second job taken for survivors of the first, that would not be tried again.
    done.assert_code(0).assert_tree_dead();
    let attempt = |id| envelope_of(&done, id)["metadata"]["attempt"].as_u64();
    assert_eq!((attempt("first"), attempt("second")), (Some(2), Some(1)), "{}", done.stdout_text());
}

#[test]
fn a_long_list_of_commands_that_cannot_be_run_keeps_no_signal_waiting() {
    let list = List::text("items", &"x\n".repeat(300_000));
    let run = batch("-q --joblog").arg(list.path("joblog")).args(["--each", "-a"]).arg(list.path("items"));
    let run = run.job(["no-such-command"]).start();
    wait_until(SOON, "the end of a job", || list.read("joblog").lines().count() > 10);
    run.signal(libc::SIGTERM);
    let done = run.finish();
    done.assert_code(143);
    assert!(done.elapsed < SOON, "it took {:?}", done.elapsed);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test makes a FIFO")]
fn runner_can_be_ended_while_it_writes_what_nobody_reads() {
    let list = List::of(&[]);
    let results = list.path("results");
    let made = std::process::Command::new("mkfifo").arg(&results).status().expect("mkfifo(1)");
    assert!(made.success());
    // Somebody has it open, so that it can be opened, and takes nothing.
    let _idle = fs::File::options().read(true).write(true).open(&results).expect("a FIFO");
    let line = "head -c 200000 /dev/zero; echo >\"$0\"";
    let run = batch("--quiet --results").arg(&results).arg("--each").job(["sh", "-c", line]);
    let run = run.input(format!("{}\n", list.path("ended").display())).start();
    wait_until(SOON, "the job", || list.path("ended").exists());
    let begun = run.elapsed();
    // Also where the first one came before all jobs were over.
    let ended = wait_until_gone(run);
    ended.assert_died_of(libc::SIGTERM);
    assert!(ended.elapsed < begun + SOON, "it took {:?}", ended.elapsed - begun);
}

/// Tells runner to end again and again until it does.
fn wait_until_gone(mut run: crate::support::Running) -> Finished {
    while !run.has_ended() {
        run.signal(libc::SIGTERM);
        (0..20).for_each(|_| run.wait_a_little());
    }
    run.finish()
}

#[test]
fn a_refused_run_leaves_the_records_of_an_earlier_one_alone() {
    let list = List::of(&[shell("a", "true")]);
    let run = || {
        let run = batch("--journal").arg(list.path("journal")).arg("--joblog").arg(list.path("joblog"));
        run.arg("--results").arg(list.path("results")).arg(list.jobs()).run()
    };
    run().assert_code(0);
    let (joblog, results) = (list.read("joblog"), list.read("results"));
    assert!(joblog.lines().count() == 2 && results.lines().count() == 1, "{joblog}{results}");
    run().assert_code(125);
    assert_eq!((list.read("joblog"), list.read("results")), (joblog, results));
}

#[test]
fn a_job_that_could_not_be_begun_has_failed_also_where_another_attempt_was_due() {
    let list = List::of(&[
        json!({"id": "absent", "cmd": ["no-such-command"], "retries": 3, "retry-on": "error", "retry-delay": "60s"}),
        shell("bad", "sleep 0.1; exit 3"),
    ]);
    let done = batch("-j2 --json --fail-fast=soft --journal").arg(list.path("journal")).arg(list.jobs()).run();
    done.assert_code(1);
    assert_eq!(envelope_of(&done, "absent")["error"]["code"], "NOT_FOUND");
    let verdicts = list.read("journal").lines().filter(|line| line.contains("\"verdict\":\"failed\"")).count();
    assert_eq!(verdicts, 2, "{}", list.read("journal"));
}

#[test]
fn of_many_alike_troubles_some_are_told() {
    let list = List::of(&[]);
    let report = list.path("none-such").join("{#}.json");
    let done = batch("--report").arg(&report).arg("--each").job(["true"]).input("x\n".repeat(50)).run();
    done.assert_code(125);
    let told = done.stderr_text();
    assert_eq!(told.lines().filter(|line| line.contains("cannot write the report")).count(), 20, "{told}");
}

#[test]
fn a_summary_says_why_no_new_jobs_began_and_what_went_wrong() {
    let line = "true 'a command of so many words that no line of a summary has the room for all of it'; exit $0";
    let done = batch("-j1 --fail-fast --each").job(["sh", "-c", line, ":::", "0", "7", "0"]).run();
    done.assert_code(1);
    let text = done.stderr_text();
    assert!(text.contains("ended early"), "{text}");
    assert!(text.contains("COMMAND_FAILED: exited with code 7"), "{text}");
}

#[test]
fn lines_for_a_reader_that_left_end_the_batch_without_a_word() {
    let mut run = batch("-j2 --line-buffer --each").job(["yes", ":::", "a", "b"]).start();
    run.wait_for_stdout("a\n");
    run.close_stdout();
    let done = run.finish();
    done.assert_code(141).assert_tree_dead().assert_silent();
}

/// `runner batch` behind a shell that sets a limit.
#[expect(clippy::disallowed_methods, reason = "a test starts a shell")]
fn under_limit(limit: &str, options: &str) -> crate::support::Exec {
    let mut command = std::process::Command::new("sh");
    crate::support::clean(&mut command);
    let line = format!("{limit}; exec \"$RUN\" \"$@\"");
    command.args(["-c", &line, "sh"]).env("RUN", env!("CARGO_BIN_EXE_runner"));
    crate::support::batch_with(command, options)
}

#[test]
fn the_limit_on_descriptors_is_raised_for_us_and_not_for_the_jobs() {
    let items: String = (0..40).map(|number| format!("{number}\n")).collect();
    let done = under_limit("ulimit -Sn 64", "-j 40 --each").job(["sh", "-c", "ulimit -Sn"]).input(items).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "64\n".repeat(40));
}
