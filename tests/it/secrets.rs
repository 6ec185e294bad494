//! What `--secret-env` gives to a job reaches it, and no record, log or message of ours.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Exec, Finished, Running, batch, exec, folder, op, parse, pipe};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");
const SECRET: &str = "hunter2-XYZZY";
const STARS: &str = "*************";

/// An exec whose job has the secret as TOKEN.
fn secret(options: &str) -> Exec {
    exec(&format!("--secret-env TOKEN {options}")).env("TOKEN", SECRET).env("RUN", RUNNER)
}

/// A batch whose jobs have it.
fn secret_batch(options: &str) -> Exec {
    batch(&format!("--secret-env TOKEN {options}")).env("TOKEN", SECRET)
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!text.contains(SECRET), "{what} shows the secret: {text}");
    assert!(!text.contains("hunter2"), "{what} shows a part of the secret: {text}");
    assert!(text.contains(STARS), "{what} shows where it was: {text}");
}

/// The answer on stdout, which is clean.
#[track_caller]
fn answer(done: &Finished) -> Value {
    assert_clean("the answer", &done.stdout);
    done.json()
}

#[track_caller]
fn read(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a record");
    assert_clean(&path.display().to_string(), text.as_bytes());
    text
}

#[test]
fn the_job_gets_the_value_and_its_output_passes_unchanged() {
    let done = secret("").sh("echo \"$TOKEN\"; echo \"$TOKEN\" >&2").run();
    done.assert_code(0);
    assert_eq!((done.stdout_text(), done.stderr_text()), (format!("{SECRET}\n"), format!("{SECRET}\n")));
    let given = exec("--env-clear --env TOKEN=weak --secret-env TOKEN=strong=1").sh("echo $TOKEN").run();
    assert_eq!(given.stdout_text(), "strong=1\n");
    let seen = exec("--json --secret-env TOKEN=strong=1").sh("echo $TOKEN").run().json();
    assert_eq!(seen["data"]["stdout"], "********\n");
}

#[test]
fn both_streams_are_masked_in_the_answer_and_keep_their_lengths() {
    let seen = answer(&secret("--json").sh("echo \"a$TOKEN.\"; echo \"$TOKEN$TOKEN\" >&2").run());
    assert_eq!(seen["data"]["stdout"], format!("a{STARS}.\n"));
    assert_eq!(seen["data"]["stderr"], format!("{STARS}{STARS}\n"));
    assert_eq!((&seen["data"]["stdout_bytes"], &seen["data"]["stderr_bytes"]), (&json!(16), &json!(27)));
}

#[test]
fn a_secret_in_pieces_is_masked_and_its_pieces_are_signs_of_life() {
    let place = folder();
    let log = place.path().join("log");
    let (gate, open) = pipe();
    let line = "printf '<hunter2-'; read -r go; printf 'XYZZY>'; read -r go; printf 'hunter2'";
    let run = secret("--json --log").arg(&log).with(|command| _ = command.stdin(gate));
    let mut run = run.sh(line).start();
    let shown = |run: &mut Running, text: &str| {
        run.wait_until(text, |_| fs::read(&log).is_ok_and(|log| log == text.as_bytes()))
    };
    shown(&mut run, "<");
    rustix::io::write(&open, b"\n").expect("the job reads");
    shown(&mut run, &format!("<{STARS}>"));
    rustix::io::write(&open, b"\n").expect("the job reads");
    let done = run.finish();
    // What only began as the secret does is shown once nothing can follow it.
    let expected = format!("<{STARS}>hunter2");
    let seen = done.json();
    assert_eq!(seen["data"]["stdout"], expected);
    assert_eq!(seen["data"]["stdout_bytes"], expected.len());
    assert_eq!(fs::read_to_string(&log).expect("a log"), expected);
}

#[test]
fn half_a_secret_keeps_a_job_from_being_idle() {
    let line = "for part in h u n t e r 2 - X Y Z Z; do printf $part; sleep 0.2; done";
    let done = secret("--json --idle-timeout 1").sh(line).run();
    assert_eq!(done.json()["data"]["stdout"], "hunter2-XYZZ");
}

#[test]
fn a_job_that_is_stopped_amid_a_secret_shows_what_it_wrote() {
    let done = secret("--json --timeout 2").sh("printf 'x hunter2-'; sleep 30").run();
    done.assert_code(124);
    let partial = &done.json()["error"]["details"]["partial_result"];
    assert_eq!((&partial["stdout"], &partial["stdout_bytes"]), (&json!("x hunter2-"), &json!(10)));
}

#[test]
fn no_border_of_a_read_lets_a_secret_through() {
    let place = folder();
    let log = place.path().join("log");
    // Not a divisor of any size of a buffer, so that borders fall everywhere.
    let line = "i=0; while [ $i -lt 30000 ]; do echo \"$i $TOKEN\"; i=$((i + 1)); done";
    for options in ["--json --capture-limit 2M --log", "--json --capture-limit 100000 --log", "--log"] {
        let run = secret(options).arg(&log);
        let done = run.sh(line).run();
        done.assert_code(0);
        let expected: String = (0..30_000).map(|i| format!("{i} {STARS}\n")).collect();
        assert!(read(&log) == expected, "{options}");
        match options.starts_with("--json") {
            true => {
                let seen = answer(&done);
                assert_eq!(seen["data"]["stdout_bytes"], expected.len());
                let kept = seen["data"]["stdout"].as_str().expect("a text");
                assert!(expected.ends_with(&kept[kept.len() - 1000..]), "{options}");
            }
            false => assert!(done.stdout_text() == expected.replace(STARS, SECRET)),
        }
    }
}

#[test]
fn bytes_around_a_secret_stand_in_base64_as_they_were() {
    use base64::Engine;
    let done = secret("--json").sh("printf '\\377%s\\376' \"$TOKEN\"").run();
    let seen = answer(&done);
    let exact = seen["data"]["stdout_base64"].as_str().expect("the exact bytes");
    let bytes = base64::engine::general_purpose::STANDARD.decode(exact).expect("base64");
    assert_eq!(bytes, [b"\xff", STARS.as_bytes(), b"\xfe"].concat());
}

#[test]
fn what_a_job_tells_of_itself_is_masked_wherever_it_appears() {
    let line = "\"$RUN\" notify --message \"at $TOKEN\" --partial \"{\\\"key $TOKEN\\\":[\\\"$TOKEN\\\"]}\"; exit 3";
    for form in ["json", "lines"] {
        let done = secret(&format!("--json --progress {form}")).sh(line).run();
        let seen = answer(&done);
        let reported = &seen["error"]["details"]["partial_result"]["reported"];
        assert_eq!(*reported, json!({ format!("key {STARS}"): [STARS] }));
        assert!(!done.stderr_text().contains(SECRET), "{}", done.stderr_text());
        if form == "json" {
            assert_clean("an event", &done.stderr);
        }
    }
}

#[test]
fn a_message_that_makes_no_sense_is_repeated_without_the_secret() {
    // The first forty bytes are repeated, and the secret is not whole among them.
    let line = format!("\"$VICTIM\" tell \"$RUNNER_NOTIFY_SOCKET\" '{} {SECRET}'", "x".repeat(30));
    let done = secret("--progress json").sh(&line).run();
    let text = done.stderr_text();
    assert!(text.contains("message_refused") && text.contains("xx *********..."), "{text}");
    assert!(!text.contains("hunter"), "{text}");
}

#[test]
fn a_command_line_with_the_secret_is_masked_where_processes_are_named() {
    let place = folder();
    let report = place.path().join("report.json");
    let run = secret("--timeout 2 --progress json --name").arg(format!("name {SECRET}"));
    let line = "sleep 30 & exec sh -c 'sleep 31; :' hunter2-XYZZY";
    let done = run.arg("--report").arg(&report).sh(line).run();
    done.assert_code(124);
    assert_clean("stderr", &done.stderr);
    let seen = parse(read(&report).trim_end());
    let processes = seen["error"]["details"]["processes"].as_array().expect("processes");
    assert!(processes.iter().any(|row| row["command"] == format!("sh -c sleep 31; : {STARS}")), "{processes:?}");
    assert_eq!(seen["metadata"]["name"], format!("name {STARS}"));
}

#[test]
fn a_command_line_that_is_cut_amid_the_secret_shows_nothing_of_it() {
    // The line is cut behind 197 bytes, 18 of which stand before the word.
    for shown in [1, 7, SECRET.len() - 1] {
        let word = format!("{}{SECRET}{}", "x".repeat(197 - 18 - shown), "y".repeat(60));
        let done = secret("--json --timeout 1").job(["sh", "-c", "sleep 30; :", &word]).run();
        let text = done.stdout_text();
        assert!(text.contains(&format!("x{}...", &STARS[..shown])) && !text.contains("hunter"), "{text}");
    }
}

#[test]
fn errors_and_leftovers_are_masked() {
    let missing = secret("--json").job([format!("/nonexistent/{SECRET}")]).run();
    assert_eq!(answer(&missing)["error"]["code"], "NOT_FOUND");
    let line = "sh -c 'sleep 2; :' hunter2-XYZZY <&- >&- 2>&- &";
    let done = secret("--leftovers report").sh(line).run();
    assert_clean("the line about leftovers", &done.stderr);
    let killed = secret("").sh("echo \"$TOKEN\"; kill -KILL $$").run();
    let shown = killed.answer();
    assert_eq!(shown["error"]["details"]["partial_result"]["stdout"], format!("{STARS}\n"));
    assert!(killed.stdout_text().contains(SECRET), "it passed through");
}

#[test]
fn an_operation_s_parameters_are_masked_in_its_answer() {
    let path = format!("/nonexistent/{SECRET}");
    let done = op("--json --secret-env TOKEN").env("TOKEN", SECRET).args(["hash", &path]).run();
    assert_eq!(answer(&done)["status"], "error");
}

#[test]
fn a_terminal_is_masked_like_a_pipe() {
    let seen = answer(&secret("--pty --json").sh("echo \"a $TOKEN\"; echo \"$TOKEN\" >&2").run());
    assert_eq!(seen["data"]["stdout"], format!("a {STARS}\r\n{STARS}\r\n"));
    let key = "first line\nab\nlast line\n";
    let run = exec("--pty --json --secret-env KEY").env("KEY", key);
    let seen = run.sh("printf %s \"$KEY\"; echo \"$KEY\" | tail -n 2 | head -n 1").run().json();
    let stdout = seen["data"]["stdout"].as_str().expect("a text");
    assert!(!stdout.contains("line") && !stdout.contains("ab"), "{stdout:?}");
}

#[test]
fn a_secret_of_several_lines_is_masked_line_by_line() {
    let run = exec("--json --secret-env KEY").env("KEY", "-----BEGIN\nc2VjcmV0\nx\n-----END\n");
    let seen = run.sh("echo \"$KEY\" | sed -n 2p; echo \"$KEY\"; echo x").run().json();
    assert_eq!(seen["data"]["stdout"], format!("********\n{}\nx\n", "*".repeat(31)));
}

#[test]
fn retries_name_no_secret_and_what_they_keep_back_is_masked() {
    let line = "echo \"$TOKEN\"; test $RUNNER_ATTEMPT = 2";
    let run = secret("--retries 1 --retry-delay 0 --progress json --report");
    let place = folder();
    let report = place.path().join("report.json");
    let done = run.arg(&report).sh(line).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), format!("{STARS}\n"));
    read(&report);
}

#[test]
fn an_inner_runner_and_an_outer_one_mask_each_for_itself() {
    let place = folder();
    let inner = place.path().join("inner.json");
    let line = "exec \"$RUN\" exec --json --secret-env TOKEN --report \"$INNER\" -- sh -c 'echo \"$TOKEN\"'";
    let seen = answer(&secret("--json").env("INNER", &inner).sh(line).run());
    read(&inner);
    assert_eq!(
        parse(seen["data"]["stdout"].as_str().expect("a text").trim_end())["data"]["stdout"],
        format!("{STARS}\n")
    );
    // Nothing tells the inner one what is secret; the outer one masks what it makes of it.
    let quoted = "say \"hunter2-XYZZY\"\\";
    let line = "exec \"$RUN\" exec --json -- printenv TOKEN";
    let run = exec("--json --secret-env TOKEN").env("TOKEN", quoted).env("RUN", RUNNER);
    let done = run.sh(line).run();
    assert_clean("the outer answer", &done.stdout);
}

#[test]
fn every_record_of_a_batch_is_masked() {
    let place = folder();
    let at = |name: &str| place.path().join(name);
    let job = |id: &str, line: &str| json!({"id": id, "name": format!("name {SECRET}"), "shell": line}).to_string();
    let list = [
        job("good", "echo out $TOKEN; echo err $TOKEN >&2"),
        job("bad", "echo out $TOKEN; : hunter2-XYZZY; exit 3"),
        json!({"id": "missing", "cmd": [format!("/nonexistent/{SECRET}"), "it's"]}).to_string(),
        json!({"id": "slow", "timeout": "0.3", "cmd": ["sh", "-c", "sleep 30; :", SECRET]}).to_string(),
    ];
    fs::write(at("jobs.jsonl"), list.join("\n")).expect("a list");
    let results = at("results");
    fs::create_dir(&results).expect("a folder");
    let run = secret_batch("--progress json").arg("--results").arg(&results);
    let run = run.arg("--junit").arg(at("junit.xml")).arg("--joblog").arg(at("joblog"));
    let run = run.arg("--journal").arg(at("journal")).arg("--report").arg(at("report-{id}.json"));
    let done = run.arg("--log").arg(at("log-{id}")).arg(at("jobs.jsonl")).run();
    done.assert_code(1);
    assert_clean("what the batch shows", &done.stdout);
    assert_clean("what the batch says", &done.stderr);
    for name in
        ["junit.xml", "joblog", "report-good.json", "report-bad.json", "report-missing.json", "report-slow.json"]
    {
        read(&at(name));
    }
    for name in ["good/stdout", "good/stderr", "good/envelope.json", "bad/stdout", "slow/envelope.json"] {
        read(&results.join(name));
    }
    read(&at("log-good"));
    let journal = fs::read_to_string(at("journal")).expect("a journal");
    assert!(!journal.contains("hunter2"), "{journal}");
}

#[test]
fn a_batch_shows_labelled_lines_masked_and_bytes_as_they_come_unchanged() {
    for (options, shown) in [("--line-buffer --tag", STARS), ("--ungroup", SECRET), ("--tag", STARS)] {
        let done =
            secret_batch(&format!("{options} --progress none --each --")).args(["sh", "-c", "echo \"is $TOKEN\"", "x"]);
        let done = done.args([":::", SECRET]).run();
        done.assert_code(0);
        let text = done.stdout_text();
        assert_eq!(text.contains(STARS), shown == STARS, "{options}: {text}");
        assert_eq!(text.contains(SECRET), shown == SECRET, "{options}: {text}");
        assert!(!done.stderr_text().contains(SECRET), "{}", done.stderr_text());
    }
    let half = secret_batch("--line-buffer --progress none --each --").args(["printf", ":::", "hunter2"]).run();
    assert_eq!(half.stdout_text(), "hunter2\n", "what only began as it does is no secret");
    let json = secret_batch("--json --each --").args(["echo", ":::", SECRET]).run();
    assert_clean("an answer of a job", &json.stdout);
    let dry = secret_batch("--dry-run --each --").args(["echo", ":::", SECRET]).run();
    assert_eq!(dry.stdout_text(), format!("echo '{STARS}'\n"));
}

#[test]
fn a_list_names_secrets_or_gives_them_and_its_journal_knows_the_names() {
    let place = folder();
    let (list, journal) = (place.path().join("jobs.toml"), place.path().join("journal"));
    let text = "[defaults]\nsecret_env = [\"TOKEN\"]\n[[job]]\nid = \"a\"\nshell = 'echo $TOKEN $OTHER'\n\
                [job.secret_env]\nOTHER = \"second-secret\"\n";
    fs::write(&list, text).expect("a list");
    let run = |verb: &str, token: &str| {
        let run = batch("--json -q").arg(verb).arg(&journal).env("TOKEN", token).arg(&list);
        run.run()
    };
    let first = run("--journal", SECRET);
    assert_eq!(answer(&first)["data"]["stdout"], format!("{STARS} *************\n"));
    let text = fs::read_to_string(&journal).expect("a journal");
    assert!(!text.contains("second-secret") && !text.contains(SECRET), "{text}");
    let again = run("--resume", "another value");
    again.assert_code(0);
    assert_eq!(again.stdout_text(), "", "the job is done, whatever its secrets are now");
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_it() {
    for (options, message) in [
        ("--secret-env UNSET_VARIABLE", "UNSET_VARIABLE is not set"),
        ("--secret-env =hunter2-XYZZY", "the value has no name"),
    ] {
        let done = exec(&format!("{options} --json")).job(["true"]).run();
        done.assert_code(125);
        let text = done.stdout_text();
        assert!(text.contains(message) && text.contains("--secret-env") && !text.contains(SECRET), "{text}");
    }
    let place = folder();
    let list = place.path().join("jobs.jsonl");
    for (job, message) in [
        (json!({"cmd": ["true"], "secret_env": ["UNSET_VARIABLE"]}), "UNSET_VARIABLE is not set"),
        (json!({"cmd": ["true"], "secret_env": ["A=hunter2-XYZZY"]}), "cannot be the name"),
        (json!({"cmd": ["true"], "secret_env": 7}), "name of a variable"),
        (json!({"cmd": ["true"], "id": "x-hunter2-XYZZY", "secret_env": {"A": SECRET}}), "the id contains"),
    ] {
        fs::write(&list, job.to_string()).expect("a list");
        let done = batch("--json").arg(&list).run();
        let text = done.stdout_text();
        assert!(text.contains(message) && !text.contains(SECRET), "{job}: {text} {}", done.stderr_text());
    }
}

#[test]
fn an_empty_secret_is_set_and_masks_nothing() {
    let done = exec("--json --secret-env TOKEN=").sh("echo \"${TOKEN-unset}.\"").run();
    assert_eq!(done.json()["data"]["stdout"], ".\n");
}

/// The URL of an unreachable server, with credentials and a signature.
#[cfg(feature = "fetch")]
const SIGNED: &str = "http://user:hidden@127.0.0.1:1/file?X-Amz-Signature=hidden";

#[cfg(feature = "fetch")]
#[test]
fn records_of_a_batch_omit_secrets_in_parameters_of_operations() {
    let place = folder();
    let at = |name: &str| place.path().join(name);
    let header = "Authorization: hidden";
    let list = [
        json!({"op": "fetch", "params": {"url": SIGNED, "output": at("f"), "retries": 0, "header": [header]}}),
        json!({"op": "post", "params": {"url": SIGNED, "header": [header, "X-Token:hidden"]}}),
        json!({"op": "wait-for", "params": {"targets": [SIGNED, "tcp://127.0.0.1:1"]}, "timeout": "1s"}),
    ];
    fs::write(at("jobs.jsonl"), list.map(|job| job.to_string()).join("\n")).expect("a list");
    let dry = batch("--dry-run").arg(at("jobs.jsonl")).run();
    dry.assert_code(0);
    let (results, text) = (at("results"), dry.stdout_text());
    fs::create_dir(&results).expect("a folder");
    let run =
        batch("--progress json -vv --ci github --tag --results").arg(&results).arg("--report").arg(at("report-{#}"));
    let run = run.arg("--junit").arg(at("junit")).arg("--joblog").arg(at("joblog")).arg("--journal").arg(at("journal"));
    let done = run.env("no_proxy", "*").arg(at("jobs.jsonl")).run();
    done.assert_code(1);
    let mut records = vec![("dry run", text), ("stdout", done.stdout_text()), ("stderr", done.stderr_text())];
    for name in ["junit", "joblog", "journal", "report-1", "report-2", "report-3", "results/1/envelope.json"] {
        records.push((name, fs::read_to_string(at(name)).unwrap_or_else(|error| panic!("{name}: {error}"))));
    }
    for (name, text) in records {
        assert!(!text.contains("hidden"), "{name}: {text}");
        let shown = ["dry run", "junit", "joblog"].contains(&name);
        assert!(!shown || text.contains("127.0.0.1:1/file?..."), "{name}: {text}");
        assert!(name != "dry run" || text.contains("Authorization: ..."), "{text}");
    }
}

#[test]
fn no_other_job_inherits_the_descriptor_with_the_parameters_of_an_operation() {
    let place = folder();
    // Larger than the kernel's limit on one argument.
    let files: Vec<String> = (0..4_000).map(|number| format!("{}/{number:0>60}", place.path().display())).collect();
    let hash = json!({"op": "hash", "params": {"files": files}, "timeout": "30s"}).to_string();
    let sleep = json!({"op": "sleep", "params": {"duration": "0.2s"}}).to_string();
    let look = json!({"shell": "ls -l /proc/self/fd"}).to_string();
    let list: Vec<&str> = (0..12).flat_map(|_| [sleep.as_str(), look.as_str()]).chain([hash.as_str()]).collect();
    let done = batch("--json -j 4 -").input(list.join("\n")).run();
    let answers: Vec<Value> = done.stdout_text().lines().map(parse).collect();
    assert_eq!(answers.iter().filter(|answer| answer["status"] == "success").count(), 24, "{}", done.stdout_text());
    for answer in &answers {
        assert!(!answer["data"]["stdout"].as_str().unwrap_or_default().contains("memfd"), "{answer}");
    }
    let failed = answers.iter().find(|answer| answer["status"] == "error").expect("no such files");
    assert_eq!(failed["error"]["code"], "NOT_FOUND", "{failed}");
}

#[test]
fn an_operation_without_its_parameters_fails() {
    for words in [&["__operation", "sleep"][..], &["__operation", "sleep", "0"], &["__operation", "sleep", "77"]] {
        let mut command = crate::support::runner();
        let output = command.args(words).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{words:?}");
    }
}

#[cfg(feature = "fetch")]
#[test]
fn a_task_omits_secrets_in_parameters_of_operations() {
    let queue = crate::support::queue::Queue::new();
    queue.task("pause", &[]).run().assert_code(0);
    let words = ["op", "fetch", SIGNED, "-o", "f", "--header", "Authorization: hidden"];
    let done = queue.runner("task submit", "--json").args(words).run();
    done.assert_code(0);
    let id = done.json()["data"]["task_id"].as_str().expect("an id").to_owned();
    let mut shown = done.stdout_text();
    for (verb, words) in
        [("status", &[id.as_str()][..]), ("status --json", &[&id]), ("list", &[]), ("list --json", &[])]
    {
        shown += &queue.task(verb, words).run().stdout_text();
    }
    assert!(!shown.contains("hidden") && shown.contains("http://127.0.0.1:1/file?..."), "{shown}");
    assert!(shown.contains("Authorization: ..."), "{shown}");
}

#[test]
fn a_secret_in_the_directory_or_group_of_a_task_is_masked() {
    let queue = crate::support::queue::Queue::new();
    fs::create_dir(queue.path(SECRET)).expect("a folder");
    queue.task("pause", &[]).run().assert_code(0);
    let words = ["--cwd", SECRET, "--group", SECRET, "--name", SECRET, "--json", "--", "touch", "made"];
    let done = queue.runner("task submit", "--secret-env TOKEN").env("TOKEN", SECRET).args(words).run();
    done.assert_code(0);
    let id = done.json()["data"]["task_id"].as_str().expect("an id").to_owned();
    let mut shown = done.stdout_text();
    for verb in ["task status", "task status --json", "task list", "task list --json", "worker status", "task stats"] {
        let words: &[&str] = if verb.contains("task status") { &[&id] } else { &[] };
        shown += &queue.runner(verb, "").args(words).run().stdout_text();
    }
    assert_clean("what is shown of the task", shown.as_bytes());
    queue.task("resume", &[]).run().assert_code(0);
    queue.answer(&id).assert_code(0);
    assert!(queue.path(SECRET).join("made").exists(), "it runs in its folder");
}

#[test]
fn errors_before_a_job_starts_are_masked() {
    let queue = crate::support::queue::Queue::new();
    let missing = format!("/nonexistent/{SECRET}");
    for (verb, words) in [
        ("exec", &["--cwd", &missing, "true"][..]),
        ("exec", &["--timeout", SECRET, "true"]),
        ("exec", &["--log", &format!("{missing}/log"), "true"]),
        ("exec", &["--report", &format!("{missing}/report"), "true"]),
        ("exec", &["--no-such-option", SECRET, &format!("--{SECRET}")]),
        ("op", &["--cwd", &missing, "hash", "x"]),
        ("op", &["hash", &format!("--{SECRET}")]),
        ("batch", &["--cwd", &missing, "--each", "true", ":::", "x"]),
        ("batch", &["--journal", &format!("{missing}/journal"), "--each", "true", ":::", "x"]),
        ("batch", &["--timeout", SECRET, "--each", "true", ":::", "x"]),
        ("task submit", &["--cwd", &missing, "true"]),
        ("task submit", &["--delay", SECRET, "true"]),
    ] {
        for format in ["--json", "-v"] {
            let run = queue.runner(verb, "--secret-env TOKEN").env("TOKEN", SECRET).arg(format).args(words);
            let done = run.run();
            let text = done.stdout_text() + &done.stderr_text();
            assert!(!text.contains("hunter2"), "{verb} {format} {words:?}: {text}");
            assert!(!text.is_empty() && done.status.code() != Some(0), "{verb} {format} {words:?}: {text}");
        }
    }
}

#[test]
fn errors_about_a_list_mask_the_secrets_of_its_jobs() {
    let place = folder();
    let list = place.path().join("jobs.jsonl");
    let lock =
        |places: u32| json!({"cmd": ["true"], "lock": format!("{SECRET}:1/{places}"), "secret_env": {"A": SECRET}});
    for (jobs, message) in [
        (vec![json!({"cmd": ["true"], "timeout": SECRET, "secret_env": {"A": SECRET}})], STARS),
        (vec![json!({"secret-env": {"A": SECRET}, "cmd": ["true"], "priority": SECRET})], STARS),
        (vec![json!({"cmd": ["true"], "needs": SECRET, "secret_env": {"A": SECRET}})], "the id contains"),
        (vec![lock(1), lock(2)], STARS),
    ] {
        let text: Vec<String> = jobs.iter().map(Value::to_string).collect();
        fs::write(&list, text.join("\n")).expect("a list");
        let done = batch("--json").arg(&list).run();
        done.assert_code(125);
        let text = done.stdout_text();
        assert!(text.contains(message) && !text.contains("hunter2"), "{text}");
    }
}
