//! What a task gets of whoever submitted it, what is kept of it, and who may read that.

#![expect(unsafe_code, reason = "a umask is set between fork and exec")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::json;

use crate::support::queue::{Queue, UNTIL_GO, id_of};
use crate::support::{Exec, contains};

const SECRET: &str = "hunter2-XYZZY";
const STARS: &str = "*************";

/// Submits a task that prints its environment, from a submitter with more variables than it passes on.
fn submit_env(queue: &Queue, options: &str) -> String {
    let submit = |options: &str| -> Exec {
        let submit = queue.runner("task submit", options).with(|command| _ = command.env_clear());
        let submit = submit.env("RUNNER_STATE_DIR", queue.state()).env("HOME", queue.path("")).env("PATH", path());
        let submit = submit.env("LANG", "C.UTF-8").env("LC_ALL", "C").env("LC_NAME", "x").env("USER", "somebody");
        let submit = submit.env("TMPDIR", "/var/tmp").env("TMOUT", "60").env("TERM", "xterm").env("LOGNAME", "x");
        submit.env("OWN", "own").env("OTHER", "other").env("LCX", "x").env("RUNNER_TIMEOUT", "10m").env("SHELL", "/x")
    };
    id_of(submit(options).job(["env", "-0"]).run().assert_code(0).assert_silent())
}

fn path() -> String {
    std::env::var("PATH").expect("a PATH")
}

/// The environment that such a task had.
fn environment(queue: &Queue, id: &str) -> BTreeMap<String, String> {
    queue.complete(&[id]);
    let log = queue.task("logs", &[id]).run().stdout_text();
    log.split_terminator('\0').filter_map(|entry| entry.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect()
}

/// The names that a task has of itself.
const OF_ITSELF: [&str; 5] =
    ["RUNNER_ATTEMPT", "RUNNER_JOB_ID", "RUNNER_NOTIFY_PATH", "RUNNER_NOTIFY_SOCKET", "RUNNER_TASK_ID"];

#[test]
fn a_task_gets_the_harmless_variables_and_no_other() {
    let queue = Queue::new();
    // The worker has another environment than whoever submits.
    let other = queue.runner("task submit", "-- true").env("WORKERS", "own").run();
    queue.complete(&[&id_of(&other)]);
    let id = submit_env(&queue, "");
    let mut found = environment(&queue, &id);
    for name in OF_ITSELF {
        assert!(found.remove(name).is_some(), "{name}");
    }
    let state = queue.state().display().to_string();
    let home = queue.path("").display().to_string();
    let expected = [
        ("HOME", &*home),
        ("LANG", "C.UTF-8"),
        ("LC_ALL", "C"),
        ("LC_NAME", "x"),
        ("PATH", &path()),
        ("RUNNER_STATE_DIR", &state),
        ("TMPDIR", "/var/tmp"),
        ("USER", "somebody"),
    ];
    let expected: BTreeMap<String, String> = expected.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    // It has a deadline by RUNNER_TIMEOUT, of which it is told.
    found.retain(|name, _| !name.starts_with("RUNNER_DEADLINE"));
    assert_eq!(found, expected);
}

#[test]
fn a_task_gets_what_was_asked_for() {
    let queue = Queue::new();
    let named = submit_env(&queue, "--env OWN --env NEW=1 --env LANG=de --env TMOUT");
    let found = environment(&queue, &named);
    let value = |name: &str| found.get(name).map(String::as_str);
    assert_eq!(
        (value("OWN"), value("NEW"), value("LANG"), value("TMOUT")),
        (Some("own"), Some("1"), Some("de"), Some("60"))
    );
    assert_eq!((value("OTHER"), value("TERM")), (None, None));
    let all = submit_env(&queue, "--inherit-env");
    let found = environment(&queue, &all);
    for name in ["OWN", "OTHER", "TERM", "SHELL", "LOGNAME"] {
        assert!(found.contains_key(name), "{name}");
    }
    assert!(found.contains_key("RUNNER_TIMEOUT"), "all is all");
    let none = submit_env(&queue, "--env-clear --env OWN");
    let mut found = environment(&queue, &none);
    found.retain(|name, _| !OF_ITSELF.contains(&&**name) && !name.starts_with("RUNNER_DEADLINE"));
    assert_eq!(found.into_keys().collect::<Vec<_>>(), ["OWN", "RUNNER_STATE_DIR"]);
}

#[test]
fn a_task_runs_where_it_was_submitted() {
    let queue = Queue::new();
    fs::create_dir(queue.path("below")).expect("a folder");
    let here = queue.submit("", "pwd -P");
    let there = queue.submit("--cwd below", "pwd -P");
    let expect = |id: &str, path: &Path| {
        let path = path.canonicalize().expect("a folder");
        assert_eq!(queue.answer(id).json()["data"]["stdout"], format!("{}\n", path.display()));
    };
    expect(&here, &queue.path(""));
    expect(&there, &queue.path("below"));
    let done = queue.runner("task submit", "--json --cwd nowhere -- true").run();
    assert!(!done.status.success());
    assert_eq!(done.json()["status"], "error");
}

#[test]
fn bytes_that_are_no_text_reach_the_task_as_they_are() {
    let queue = Queue::new();
    let [word, folder, value] = [b"w\xff".as_slice(), b"f\xfe", b"v\xfd"].map(OsStr::from_bytes);
    let place = queue.path("").join(folder);
    fs::create_dir(&place).expect("a folder");
    let submit = queue.runner("task submit", "--env OWN").with(|command| _ = command.current_dir(&place));
    let line = "printf '%s\\n' \"$1\" \"$OWN\"; pwd";
    let submit = submit.env("OWN", value).args(["--", "sh", "-c", line, "sh"]).arg(word);
    let id = id_of(submit.run().assert_code(0));
    queue.complete(&[&id]);
    let place = place.canonicalize().expect("a folder");
    let expected = [word.as_bytes(), b"\n", value.as_bytes(), b"\n", place.as_os_str().as_bytes(), b"\n"].concat();
    assert_eq!(queue.task("logs", &[&id]).run().stdout, expected);
    assert!(queue.status(&id)["result"]["stdout_base64"].is_string());
}

#[test]
fn a_task_reads_nothing_or_the_file_that_was_named() {
    let queue = Queue::new();
    queue.write("input", "from a file");
    let nothing = id_of(queue.runner("task submit", "").input("from the submitter").job(["cat"]).run().assert_code(0));
    let file = id_of(queue.runner("task submit", "--stdin input -- cat").run().assert_code(0));
    assert_eq!(queue.answer(&nothing).json()["data"]["stdout"], "");
    assert_eq!(queue.answer(&file).json()["data"]["stdout"], "from a file");
}

#[test]
fn a_task_has_the_umask_of_its_submitter() {
    let queue = Queue::new();
    for mask in [0o022, 0o002, 0o077] {
        let submit = queue.runner("task submit", "-c umask");
        let id = id_of(submit.with(|command| with_umask(command, mask)).run().assert_code(0));
        assert_eq!(queue.answer(&id).json()["data"]["stdout"], format!("{mask:04o}\n"));
    }
}

fn with_umask(command: &mut std::process::Command, mask: libc::mode_t) {
    // SAFETY: umask(2) takes a number, and is safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::umask(mask);
            Ok(())
        });
    }
}

#[test]
fn the_state_is_its_owner_s_alone_whatever_the_umask() {
    let queue = Queue::new();
    let submit = queue.runner("task submit", "--on-done").arg("cat").with(|command| with_umask(command, 0));
    let id = id_of(submit.args(["-c", "echo out; echo err >&2"]).run().assert_code(0));
    queue.complete(&[&id]);
    queue.await_task(&id, "delivered", |task| task["notices"][0]["delivered"] == true);
    let mut folders = vec![queue.state().to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        let metadata = fs::metadata(&folder).expect("a folder");
        assert_eq!(metadata.mode() & 0o7777, 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let metadata = entry.metadata().expect("a file");
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                assert_eq!(metadata.mode() & 0o7777, 0o600, "{}", entry.path().display());
                assert!(metadata.is_file() || metadata.file_type().is_fifo());
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "{seen} files");
}

#[test]
fn a_state_folder_that_cannot_be_looked_into_is_no_empty_queue() {
    let queue = Queue::new();
    queue.touch("file");
    for verb in ["task list", "task stats", "task clean", "task submit -- true", "worker status"] {
        let done = queue.runner(verb, "").env("RUNNER_STATE_DIR", queue.path("file").join("state")).run();
        let error = done.assert_code(125).answer();
        assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("file/state")), "{verb}: {error}");
    }
}

#[test]
fn a_home_that_is_relative_holds_one_store() {
    let queue = Queue::new();
    let at_home = |verb: &str| queue.runner(verb, "").env("HOME", "home").env("RUNNER_STATE_DIR", "");
    at_home("task submit --wait -- true").run().assert_code(0);
    at_home("worker stop").run().assert_code(0);
    assert!(queue.path("home/.local/state/runner/queue.db").exists());
}

#[test]
fn the_rights_of_a_state_folder_are_left_as_they_were_made() {
    let queue = Queue::new();
    fs::create_dir(queue.state()).expect("a folder");
    crate::support::set_mode(queue.state(), 0o755);
    let id = queue.submit("", "true");
    queue.complete(&[&id]);
    assert_eq!(fs::metadata(queue.state()).expect("a folder").mode() & 0o7777, 0o755);
}

#[test]
fn a_secret_reaches_the_task_and_nothing_else() {
    let queue = Queue::new();
    let line = format!(
        "echo \"$TOKEN\"; echo \"<$TOKEN>\" >&2; {} notify --message \"at $TOKEN\" --partial \"{{\\\"x\\\":\\\"$TOKEN\\\"}}\"; \
         printf %s \"$TOKEN\" >seen; {UNTIL_GO}; exit 3",
        crate::support::queue::quoted(env!("CARGO_BIN_EXE_runner"))
    );
    let submit = queue.runner("task submit", "--secret-env TOKEN --json --name").arg(format!("name {SECRET}"));
    let done = submit.env("TOKEN", SECRET).args(["-c", &line]).run();
    done.assert_code(0);
    let id = done.json()["data"]["task_id"].as_str().expect("an id").to_owned();
    let mut shown = vec![("submit", done.stdout)];
    queue
        .await_task(&id, "tells", |task| task["message"].is_string() && task["partial_result"]["reported"].is_object());
    let look = |shown: &mut Vec<(&str, Vec<u8>)>| {
        for verb in ["status", "status --json", "list", "list --json", "logs", "logs --stderr", "wait --json --for 0"] {
            let words: &[&str] = if verb.starts_with("list") { &[] } else { &[&id] };
            let done = queue.task(verb, words).run();
            shown.push((verb, [done.stdout, done.stderr].concat()));
        }
    };
    look(&mut shown);
    assert_eq!(queue.read("seen"), SECRET);
    queue.touch("go");
    queue.answer(&id).assert_code(3);
    look(&mut shown);
    for (verb, bytes) in shown {
        assert!(!contains(&bytes, b"hunter2"), "{verb}: {}", String::from_utf8_lossy(&bytes));
    }
    let answer = queue.answer(&id).json();
    let partial = &answer["error"]["details"]["partial_result"];
    assert_eq!(
        (&partial["stdout"], &partial["stderr"]),
        (&json!(format!("{STARS}\n")), &json!(format!("<{STARS}>\n")))
    );
    for (path, bytes) in queue.files() {
        let is_store = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("queue.db"));
        assert!(is_store || !contains(&bytes, b"hunter2"), "{}", path.display());
    }
    // With the task goes its secret.
    queue.data("task clean", &["--older-than", "0"]);
    queue.worker("stop").run().assert_code(0);
    for (path, bytes) in queue.files() {
        assert!(!contains(&bytes, SECRET.as_bytes()), "{} after the task was cleaned away", path.display());
    }
}

#[test]
fn a_secret_holds_for_every_attempt_and_every_run() {
    let queue = Queue::new();
    let submit = queue.runner("task submit", "--secret-env TOKEN --retries 1 --retry-delay 0").env("TOKEN", SECRET);
    let id = id_of(submit.args(["-c", "echo \"$TOKEN\"; [ \"$TOKEN\" = 1 ]"]).run().assert_code(0));
    queue.answer(&id).assert_code(1);
    queue.task("retry", &[&id]).run().assert_code(0);
    queue.answer(&id).assert_code(1);
    let log = queue.task("logs", &[&id]).run().stdout_text();
    assert_eq!(log, format!("{STARS}\n").repeat(4));
}
