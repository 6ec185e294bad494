//! Whoever is to be told that a task is over is told: by a line for a shell, or by a post of the envelope. What becomes of
//! that is in the task and changes nothing of it.
#![expect(clippy::disallowed_methods, reason = "tests start processes themselves")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::{LIMIT, SOON, folder, is_alive, parse, runner, signal, wait_until};
use serde_json::Value;

#[cfg(feature = "fetch")]
use crate::support::http::{Reply, Request, Server};

/// A queue of a test's own. Its worker ends with it.
struct Queue {
    folder: tempfile::TempDir,
}

impl Queue {
    fn new() -> Self {
        Self { folder: folder() }
    }

    /// Where its store is.
    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A file beside it.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = runner();
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.env("RUNNER_STATE_DIR", self.state()).current_dir(self.folder.path()).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("runner starts")
    }

    /// Runs it to its success, and gives what it printed.
    #[track_caller]
    fn succeed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Submits a line with these options, and gives the id.
    #[track_caller]
    fn submit(&self, options: &[&str], line: &str) -> String {
        let args = [&["task", "submit"], options, &["-c", line]].concat();
        self.succeed(&args).trim_end().to_owned()
    }

    #[track_caller]
    fn status(&self, id: &str) -> Value {
        data(&self.succeed(&["task", "status", "--json", id]))
    }

    /// The only notice of a task, once it is over.
    #[track_caller]
    fn notice(&self, id: &str) -> Value {
        let mut notices = Value::Null;
        wait_until(LIMIT, "the notice is over", || {
            notices = self.status(id)["notices"].take();
            notices.as_array().is_some_and(|all| all.len() == 1 && !all[0]["delivered"].is_null())
        });
        notices[0].take()
    }

    /// The process of its worker.
    #[track_caller]
    fn worker(&self) -> i32 {
        let data = data(&self.succeed(&["worker", "status", "--json"]));
        data["pid"].as_i64().and_then(|pid| pid.try_into().ok()).expect("there is a worker")
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        _ = self.run(&["worker", "stop", "--now"]);
    }
}

/// What an answer of the queue says.
#[track_caller]
fn data(answer: &str) -> Value {
    serde_json::from_str::<Value>(answer).expect("an answer")["data"].take()
}

/// Waits for a file that is written as a whole line.
#[track_caller]
fn line_of(path: &Path) -> String {
    let mut text = String::new();
    wait_until(LIMIT, &format!("{} is written", path.display()), || {
        text = fs::read_to_string(path).unwrap_or_default();
        text.ends_with('\n')
    });
    text.trim_end().to_owned()
}

/// A line that never ends the first time, and the next time does.
const SECOND_TIME: &str = "if [ -e first ]; then echo again > second; else echo $$ > first; exec sleep 1000; fi";

#[test]
fn a_line_gets_the_envelope_where_the_task_ran_and_with_its_environment() {
    let queue = Queue::new();
    let there = queue.file("there");
    fs::create_dir(&there).expect("our own folder");
    let options = ["--cwd", "there", "--env", "FLAVOUR=sweet", "--on-done"];
    let line = "cat > envelope.json; echo \"$RUNNER_TASK_ID $FLAVOUR $RUNNER_STATE_DIR\" > told";
    let id = queue.submit(&[&options[..], &[line]].concat(), "echo ran; exit 3");
    assert_eq!(line_of(&there.join("told")), format!("{id} sweet {}", queue.state().display()));
    let envelope = parse(line_of(&there.join("envelope.json")).as_str());
    assert_eq!(envelope["metadata"]["job_id"], id);
    assert_eq!(envelope["error"]["details"]["partial_result"]["stdout"], "ran\n");
    let notice = queue.notice(&id);
    assert_eq!((&notice["kind"], &notice["target"]), (&Value::from("command"), &Value::from(line)));
    assert_eq!((&notice["delivered"], &notice["error"]), (&Value::from(true), &Value::Null));
    assert_eq!(fs::read_dir(queue.state().join("notices")).expect("it was made").count(), 0, "its file is gone");
}

#[test]
fn secrets_of_the_task_are_given_to_its_line_and_shown_nowhere() {
    let queue = Queue::new();
    let args = ["task", "submit", "--secret-env", "TOKEN", "--on-done", "echo $TOKEN > told; # hunter2hunter2", "true"];
    let output = queue.command(&args).env("TOKEN", "hunter2hunter2").output().expect("runner starts");
    let id = String::from_utf8(output.stdout).expect("text").trim_end().to_owned();
    assert_eq!(line_of(&queue.file("told")), "hunter2hunter2");
    queue.notice(&id);
    let status = queue.succeed(&["task", "status", "--json", &id]);
    assert!(!status.contains("hunter2"), "{status}");
}

#[test]
fn a_line_that_fails_is_recorded_and_changes_nothing_of_the_task() {
    let queue = Queue::new();
    for (options, reason) in [
        (&["--on-done", "exit 3"][..], "3"),
        (&["--on-done", "exec sleep 1000", "--on-done-timeout", "100ms"][..], "timeout"),
    ] {
        let id = queue.submit(options, "true");
        let notice = queue.notice(&id);
        assert_eq!(notice["delivered"], false, "{notice:#}");
        assert!(notice["error"].as_str().is_some_and(|text| text.contains(reason)), "{notice:#}");
        let task = queue.status(&id);
        assert_eq!((&task["status"], &task["exit_code"]), (&Value::from("completed"), &Value::from(0)));
    }
}

#[test]
fn a_notice_is_shown_before_it_is_due() {
    let queue = Queue::new();
    let id = queue.submit(&["--delay", "1h", "--on-done", "true"], "true");
    let notices = &queue.status(&id)["notices"];
    assert_eq!((&notices[0]["kind"], &notices[0]["delivered"]), (&Value::from("command"), &Value::Null));
}

#[test]
fn a_notice_whose_worker_was_killed_is_tried_again_and_what_was_left_of_it_ended() {
    let queue = Queue::new();
    let id = queue.submit(&["--on-done", SECOND_TIME], "true");
    let first = line_of(&queue.file("first")).parse().expect("a pid");
    let worker = queue.worker();
    signal(worker, libc::SIGKILL);
    wait_until(SOON, "the worker is dead", || !is_alive(worker));
    queue.succeed(&["task", "wait", &id]);
    assert_eq!(queue.notice(&id)["delivered"], true);
    assert_eq!(line_of(&queue.file("second")), "again");
    assert!(!is_alive(first), "the first one lives");
    assert_ne!(queue.worker(), worker);
}

#[test]
fn a_notice_whose_worker_was_told_to_go_is_left_to_the_next() {
    let queue = Queue::new();
    let id = queue.submit(&["--on-done", SECOND_TIME], "true");
    let first = line_of(&queue.file("first")).parse().expect("a pid");
    queue.succeed(&["worker", "stop", "--now"]);
    assert!(!is_alive(first), "the first one lives");
    queue.succeed(&["task", "wait", &id]);
    assert_eq!(queue.notice(&id)["delivered"], true);
    assert_eq!(line_of(&queue.file("second")), "again");
}

#[test]
fn a_worker_stays_while_somebody_is_to_be_told() {
    let queue = Queue::new();
    let gate = queue.file("gate");
    let status = std::process::Command::new("mkfifo").arg(&gate).status().expect("mkfifo runs");
    assert!(status.success());
    let mut command = queue.command(&["worker", "run", "--idle-exit", "0"]);
    // It is rung by nobody before it has found the task.
    queue.succeed(&["task", "pause"]);
    let id = queue.submit(&["--on-done", "echo begun > begun; read word < gate; echo $word > told"], "true");
    queue.succeed(&["worker", "stop", "--now"]);
    let mut worker = command.stdout(Stdio::null()).spawn().expect("runner starts");
    let pid = i32::try_from(worker.id()).expect("a pid");
    wait_until(SOON, "the worker is there", || data(&queue.succeed(&["worker", "status", "--json"]))["pid"] == pid);
    queue.succeed(&["task", "resume"]);
    line_of(&queue.file("begun"));
    queue.succeed(&["task", "wait", &id]);
    assert!(worker.try_wait().expect("our own child").is_none(), "the worker has gone");
    fs::write(&gate, "word\n").expect("somebody reads");
    assert_eq!(line_of(&queue.file("told")), "word");
    assert!(worker.wait().expect("our own child").success());
    assert_eq!(queue.notice(&id)["delivered"], true);
}

#[test]
fn the_end_of_tasks_that_never_began_is_told_too() {
    let queue = Queue::new();
    let told = |name: &str| format!("cat > {name}.json");
    let first = queue.submit(&["--delay", "1h", "--on-done", &told("first")], "true");
    let next = queue.submit(&["--after", &first, "--on-done", &told("next")], "true");
    queue.succeed(&["task", "cancel", &first]);
    // No other call of runner wakes or starts the worker.
    for (name, id, code) in [("first", &first, "CANCELLED"), ("next", &next, "DEPENDENCY_ERROR")] {
        let envelope = parse(&line_of(&queue.file(&format!("{name}.json"))));
        assert_eq!((&envelope["metadata"]["job_id"], &envelope["error"]["code"]), (&Value::from(&**id), &code.into()));
    }
    let late = queue.submit(&["--after", &first, "--on-done", &told("late")], "true");
    assert_eq!(parse(&line_of(&queue.file("late.json")))["metadata"]["job_id"], late);
}

#[test]
fn the_end_of_a_task_that_is_cancelled_or_out_of_time_is_told() {
    let queue = Queue::new();
    let running = queue.submit(&["--on-done", "cat > cancelled.json"], "echo $$ > pid; exec sleep 1000");
    line_of(&queue.file("pid"));
    queue.succeed(&["task", "cancel", &running]);
    assert_eq!(parse(&line_of(&queue.file("cancelled.json")))["error"]["code"], "CANCELLED");
    queue.submit(&["-t", "100ms", "--on-done", "cat > late.json"], "exec sleep 1000");
    assert_eq!(parse(&line_of(&queue.file("late.json")))["error"]["code"], "TIMEOUT");
}

#[cfg(feature = "fetch")]
#[track_caller]
fn only(server: &Server) -> Request {
    let [request] = <[Request; 1]>::try_from(server.requests()).expect("one request");
    request
}

#[cfg(feature = "fetch")]
#[test]
fn a_webhook_gets_the_envelope_and_its_secrets_are_shown_nowhere() {
    let (queue, server) = (Queue::new(), Server::start(|_, _| Reply::new(204, "")));
    let url = server.url_with_user("me:secret", "/hook?token=secret");
    let id = queue.submit(&["--webhook", &url], "echo ran");
    let notice = queue.notice(&id);
    assert_eq!((&notice["kind"], &notice["target"]), (&"webhook".into(), &server.url("/hook?...").into()));
    assert_eq!((&notice["delivered"], &notice["error"]), (&Value::from(true), &Value::Null));
    let request = only(&server);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hook?token=secret"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-runner-task"), Some(id.as_str()));
    assert_eq!(request.header("authorization"), Some("Basic bWU6c2VjcmV0"));
    let envelope = parse(std::str::from_utf8(&request.body).expect("text").trim_end());
    assert_eq!((&envelope["metadata"]["job_id"], &envelope["data"]["stdout"]), (&id.as_str().into(), &"ran\n".into()));
    let status = queue.succeed(&["task", "status", &id]) + &queue.succeed(&["task", "status", "--json", &id]);
    assert!(!status.contains("secret"), "{status}");
}

#[cfg(feature = "fetch")]
#[test]
fn a_webhook_that_may_work_later_is_tried_again() {
    let server = Server::start(|number, _| Reply::new(if number == 0 { 503 } else { 200 }, ""));
    let queue = Queue::new();
    let id = queue.submit(&["--webhook", &server.url("/")], "true");
    assert_eq!(queue.notice(&id)["delivered"], true);
    assert_eq!(server.requests().len(), 2);
}

#[cfg(feature = "fetch")]
#[test]
fn a_webhook_that_refuses_is_recorded_with_the_reason_and_not_asked_again() {
    let (queue, server) = (Queue::new(), Server::start(|_, _| Reply::new(404, "no such hook")));
    let id = queue.submit(&["--webhook", &server.url("/?key=secret")], "true");
    let notice = queue.notice(&id);
    assert_eq!(notice["delivered"], false);
    let error = notice["error"].as_str().expect("a reason");
    assert!(error.contains("404") && error.contains("no such hook") && !error.contains("secret"), "{error}");
    only(&server);
    assert_eq!(queue.status(&id)["status"], "completed");
}

#[test]
fn a_wrong_url_is_refused_before_anything_is_stored() {
    let queue = Queue::new();
    let output = queue.run(&["task", "submit", "--json", "--webhook", "ftp://me:secret@host/", "true"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(parse(text.trim_end())["error"]["code"], "VALIDATION_ERROR");
    assert!(!text.contains("secret"), "{text}");
    assert!(!queue.state().exists(), "something is stored");
}

#[cfg(not(feature = "fetch"))]
#[test]
fn a_webhook_is_refused_where_nothing_could_post_it() {
    let queue = Queue::new();
    let output = queue.run(&["task", "submit", "--json", "--webhook", "https://host/", "true"]);
    let answer = parse(String::from_utf8(output.stdout).expect("text").trim_end());
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("without HTTP")), "{answer:#}");
    assert!(!queue.state().exists(), "something is stored");
}
