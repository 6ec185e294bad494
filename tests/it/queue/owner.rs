//! A state directory is used only by its owner, and reading a queue starts no worker.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::support::queue::{Queue, id_of, quoted};
use crate::support::{Exec, NOBODY, has_program, is_root, set_mode, skip};

/// A queue of another user, in a directory that we can access, too.
struct OtherUser {
    queue: Queue,
    home: tempfile::TempDir,
}

impl OtherUser {
    /// None if the test cannot act as another user, which counts it as skipped.
    fn new() -> Option<Self> {
        if !is_root() {
            skip("root", "only root may act as another user");
            return None;
        }
        if !has_program("setpriv") {
            return None;
        }
        let home = crate::support::folder();
        set_mode(home.path(), 0o755);
        chown(home.path(), Some(NOBODY), Some(NOBODY)).expect("root may give files away");
        let queue = Queue::at(&home.path().join("state"));
        let other = Self { queue, home };
        if other.verb("task list").run().status.code() != Some(0) {
            skip("root", "another user cannot execute the program that is tested");
            return None;
        }
        Some(other)
    }

    /// `runner VERB` as that user.
    fn verb(&self, verb: &str) -> Exec {
        let line = format!(
            "cd {}; exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \"$RUN\" {verb}",
            quoted(self.home.path())
        );
        self.queue.shell(&line).env("HOME", self.home.path())
    }

    fn worker_runs(&self) -> bool {
        let done = self.verb("worker status --json").run();
        done.assert_code(0).json()["data"]["running"] == true
    }

    /// Every file of the queue, and who owns it.
    fn owners(&self) -> Vec<(PathBuf, u32)> {
        let (mut found, mut folders) = (Vec::new(), vec![self.queue.state().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let metadata = entry.metadata().expect("an entry");
                found.push((entry.path(), metadata.uid()));
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }
}

#[test]
fn root_does_not_use_the_queue_of_another_user() {
    let Some(other) = OtherUser::new() else { return };
    let id = id_of(other.verb("task submit --delay 1ms -c 'id -u >ran'").run().assert_code(0));
    other.verb(&format!("task wait {id}")).run().assert_code(0);
    let waiting = id_of(other.verb("task submit --delay 1h -- true").run().assert_code(0));
    other.verb("worker stop").run().assert_code(0);
    let before = other.owners();
    let state = other.queue.state().display().to_string();
    for verb in [
        "task list".to_owned(),
        "task submit -- true".to_owned(),
        "task stats".to_owned(),
        "task clean".to_owned(),
        "task pause".to_owned(),
        "worker status".to_owned(),
        "worker scale 2".to_owned(),
        "worker stop".to_owned(),
        "history".to_owned(),
        format!("task status {waiting}"),
        format!("task logs {waiting}"),
        format!("task wait {waiting}"),
        format!("task cancel {waiting}"),
    ] {
        let done = other.queue.runner(&verb, "").run();
        let error = &done.assert_code(125).answer()["error"];
        assert_eq!(error["code"], "AUTHORIZATION_DENIED", "{verb}");
        let message = error["message"].as_str().expect("text");
        assert!(message.contains(&state) && message.contains("(uid 0)"), "{verb}: {message}");
        assert!(message.contains(&format!("uid {NOBODY}")), "{verb}: {message}");
        assert!(error["remediation"].as_str().is_some_and(|help| help.contains("RUNNER_STATE_DIR")), "{verb}");
    }
    other.queue.worker("run").run().assert_code(125);
    assert_eq!(other.owners(), before, "nothing was written");
    assert!(!other.worker_runs());
    assert_eq!(fs::read_to_string(other.home.path().join("ran")).expect("it ran").trim(), NOBODY.to_string());
}

#[test]
fn a_history_of_another_user_does_not_fail_a_job() {
    let Some(other) = OtherUser::new() else { return };
    let id = id_of(other.verb("task submit -- true").run().assert_code(0));
    other.verb(&format!("task wait {id}")).run().assert_code(0);
    other.verb("worker stop").run().assert_code(0);
    let before = other.owners();
    let done = other.queue.runner("exec --record --timeout auto", "-- true").run();
    assert!(done.assert_code(0).stderr_text().contains("the history was not recorded"), "{}", done.stderr_text());
    assert_eq!(other.owners(), before);
}

/// A queue with a finished task, and no worker.
fn queue_at_rest() -> (Queue, String) {
    let queue = Queue::new();
    let id = queue.submit("", "echo some");
    queue.complete(&[&id]);
    queue.worker("stop").run().assert_code(0);
    (queue, id)
}

#[track_caller]
fn assert_refused(queue: &Queue, path: &Path, reason: &str) {
    for verb in ["task list", "task submit -- true", "worker status", "worker run", "history"] {
        let done = queue.runner(verb, "").run();
        let error = &done.assert_code(125).answer()["error"];
        assert_eq!(error["code"], "AUTHORIZATION_DENIED", "{verb}");
        let message = error["message"].as_str().expect("text");
        assert!(message.contains(&path.display().to_string()) && message.contains(reason), "{verb}: {message}");
    }
}

#[test]
fn links_in_the_state_directory_are_not_followed() {
    let (queue, _) = queue_at_rest();
    fs::create_dir(queue.path("elsewhere")).expect("a folder");
    for name in ["queue.db", "queue.db-wal", "queue.news", "logs", "worker.log", "worker.lock", "worker.bell"] {
        let (inside, outside) = (queue.state().join(name), queue.path("elsewhere").join(name));
        let existed = fs::rename(&inside, &outside).is_ok();
        symlink(&outside, &inside).expect("a link");
        assert_refused(&queue, &inside, "symbolic link");
        assert_eq!(outside.exists(), existed, "{name}: nothing is made at its target");
        fs::remove_file(&inside).expect("the link");
        if existed {
            fs::rename(&outside, &inside).expect("put back");
        }
    }
    queue.data("task list", &[]);
}

#[test]
fn a_log_that_is_a_link_is_not_written() {
    let queue = Queue::new();
    queue.write("victim", "whole");
    let id = queue.submit("--delay 1h", "echo some");
    symlink(queue.path("victim"), queue.state().join(format!("logs/{id}.log"))).expect("a link");
    let done = queue.task("logs", &[&id]).run();
    assert_eq!(done.assert_code(125).answer()["error"]["code"], "AUTHORIZATION_DENIED");
    assert_eq!(queue.read("victim"), "whole");
}

#[test]
fn links_in_the_path_to_the_state_directory_are_followed() {
    let (queue, id) = queue_at_rest();
    let above = queue.path("above");
    symlink(queue.path(""), &above).expect("a link");
    symlink(queue.state(), queue.path("link")).expect("a link");
    for state in [above.join("state"), queue.path("link")] {
        let done = queue.runner("task status --json", &id).env("RUNNER_STATE_DIR", &state).run();
        assert_eq!(done.assert_code(0).json()["data"]["status"], "completed");
    }
}

#[test]
fn entries_writable_by_others_are_refused_with_a_remedy() {
    let (queue, _) = queue_at_rest();
    for (path, mode, before) in [
        (queue.state().to_owned(), 0o777, 0o700),
        (queue.state().to_owned(), 0o770, 0o700),
        (queue.state().join("queue.db"), 0o660, 0o600),
        (queue.state().join("logs"), 0o702, 0o700),
        (queue.state().join("worker.bell"), 0o622, 0o600),
        (queue.state().join("worker.lock"), 0o606, 0o600),
    ] {
        set_mode(&path, mode);
        assert_refused(&queue, &path, &format!("{mode:04o}"));
        let help = queue.runner("task list", "").run().answer()["error"]["remediation"].clone();
        let help = help.as_str().expect("text");
        assert!(help.contains(&format!("chmod go-w {}", path.display())), "{help}");
        set_mode(&path, before);
    }
    queue.data("task list", &[]);
}

#[test]
fn verbs_that_only_read_start_no_worker() {
    let queue = Queue::new();
    let id = queue.submit("--delay 1s", "echo some");
    queue.worker("stop").run().assert_code(0);
    for verb in ["task list", "task stats", "worker status"] {
        queue.runner(verb, "").run().assert_code(0);
    }
    for verb in ["status", "logs"] {
        queue.task(verb, &[&id]).run().assert_code(0);
    }
    assert_eq!(queue.worker_pid(), None);
    assert!(queue.worker("status").run().stdout_text().contains("not running"));
    // `wait` starts the worker.
    queue.complete(&[&id]);
}
