//! The fixture of the queue's tests: a state folder of its own, verbs that use it, and the proof that nothing of it lives
//! when a test is over.
//!
//! Whatever works for a store, the worker and every process of every task, was started with the path of its folder in
//! RUNNER_STATE_DIR. So all of them are found by that mark, however they were detached.

#![expect(clippy::disallowed_methods, reason = "a test starts a shell")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Exec, Finished, LIMIT, Rung, SOON, is_alive, verb_with, wait_until};

/// The variable that names the folder.
const STATE_DIR: &str = "RUNNER_STATE_DIR";
/// A line for a shell that waits until the test makes the file `go`.
pub(crate) const UNTIL_GO: &str = "until [ -e go ]; do sleep 0.01; done";
/// A status that nothing changes any more.
const FINISHED: [&str; 3] = ["completed", "failed", "cancelled"];

/// A queue, and a folder in which its tasks run.
pub(crate) struct Queue {
    place: tempfile::TempDir,
    state: PathBuf,
    rung: Option<Rung>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self::with(None)
    }

    /// Every worker that its verbs start contains its jobs so.
    pub(crate) fn on(rung: Rung) -> Self {
        Self::with(Some(rung))
    }

    fn with(rung: Option<Rung>) -> Self {
        let place = crate::support::folder();
        let state = place.path().join("state");
        Self { place, state, rung }
    }

    /// The same with its state in another folder.
    pub(crate) fn at(state: &Path) -> Self {
        Self { place: crate::support::folder(), state: state.to_owned(), rung: None }
    }

    /// Where the store is.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// A file in the folder where the tasks run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        self.read(name).lines().map(str::to_owned).collect()
    }

    pub(crate) fn touch(&self, name: &str) {
        fs::write(self.path(name), "").expect("a file");
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    /// `runner VERB OPTIONS`, both separated by spaces.
    pub(crate) fn runner(&self, verb: &str, options: &str) -> Exec {
        self.at_home(verb_with(crate::support::runner(), verb, options))
    }

    /// A line of a shell, to which `$RUN` is runner.
    pub(crate) fn shell(&self, line: &str) -> Exec {
        let mut shell = Command::new("sh");
        crate::support::clean(&mut shell);
        self.at_home(verb_with(shell, "-c", "").arg(line)).env("RUN", env!("CARGO_BIN_EXE_runner"))
    }

    fn at_home(&self, exec: Exec) -> Exec {
        let exec = exec.env(STATE_DIR, &self.state).env("HOME", self.place.path());
        let exec = exec.with(|command| _ = command.current_dir(self.place.path()).env_remove("XDG_STATE_HOME"));
        match self.rung {
            Some(rung) => exec.rung(rung),
            None => exec,
        }
    }

    /// `runner task VERB`, such as `task("wait --for 1s", &[id])`.
    pub(crate) fn task(&self, verb: &str, words: &[&str]) -> Exec {
        self.runner("task", verb).args(words)
    }

    pub(crate) fn worker(&self, verb: &str) -> Exec {
        self.runner("worker", verb)
    }

    /// Submits a line for a shell, with these options, and gives the id.
    #[track_caller]
    pub(crate) fn submit(&self, options: &str, line: &str) -> String {
        let done = self.runner("task submit", options).args(["-c", line]).run();
        done.assert_code(0).assert_silent();
        id_of(&done)
    }

    /// Submits a line that begins, and waits until it has.
    #[track_caller]
    pub(crate) fn submit_running(&self, options: &str, line: &str) -> String {
        let id = self.submit(options, line);
        self.await_status(&id, "running");
        id
    }

    /// The data of a verb that succeeds.
    #[track_caller]
    pub(crate) fn data(&self, verb: &str, words: &[&str]) -> Value {
        let done = self.runner(verb, "--json").args(words).run();
        done.assert_code(0);
        done.json()["data"].clone()
    }

    /// A task with all its fields.
    #[track_caller]
    pub(crate) fn status(&self, id: &str) -> Value {
        self.data("task status", &[id])
    }

    /// Polls until a task is as the condition wants it, and gives it so.
    #[track_caller]
    pub(crate) fn await_task(&self, id: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait_until(LIMIT, &format!("task {id}: {what}"), || {
            last = self.status(id);
            condition(&last)
        });
        last
    }

    #[track_caller]
    pub(crate) fn await_status(&self, id: &str, status: &str) -> Value {
        self.await_task(id, status, |task| {
            let over = task["status"].as_str().is_some_and(|now| FINISHED.contains(&now));
            assert!(!over || task["status"] == status, "it will never be {status}: {task:#}");
            task["status"] == status
        })
    }

    /// Waits until a task is over, as `task wait` does, and gives its answer.
    #[track_caller]
    pub(crate) fn answer(&self, id: &str) -> Finished {
        self.task("wait --json --for 20s", &[id]).run()
    }

    /// Waits for the success of these tasks.
    #[track_caller]
    pub(crate) fn complete(&self, ids: &[&str]) {
        self.task("wait --for 20s", ids).run().assert_code(0);
    }

    /// The same for tasks that were given as they were printed.
    #[track_caller]
    pub(crate) fn complete_all(&self, ids: &[String]) {
        self.complete(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// The process that is the worker now, without waking anybody.
    pub(crate) fn worker_pid(&self) -> Option<i32> {
        let status = self.data("worker status", &[]);
        status["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())
    }

    /// Kills the worker as nothing can be caught, and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill_worker(&self) {
        let pid = self.worker_pid().expect("a worker");
        kill(pid);
    }

    /// Every process that works for this queue.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mark = [STATE_DIR.as_bytes(), b"=", self.state.as_os_str().as_bytes()].concat();
        processes_with(&mark)
    }

    /// Every file below the state folder, with what it holds. FIFOs are left out.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut files, mut folders) = (Vec::new(), vec![self.state.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type().expect("a type") {
                    kind if kind.is_dir() => folders.push(entry.path()),
                    kind if kind.is_file() => {
                        files.push((entry.path(), fs::read(entry.path()).expect("our own file")));
                    }
                    _ => {}
                }
            }
        }
        files
    }

    /// Stops the worker with its tasks; nothing of the queue lives then.
    #[track_caller]
    pub(crate) fn end(&self) {
        self.worker("stop --now").run();
        wait_until(SOON, "the end of every process of the queue", || self.processes().is_empty());
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.processes().into_iter().for_each(|pid| crate::support::signal(pid, libc::SIGKILL));
        } else {
            self.end();
        }
    }
}

/// The id that was printed, and nothing else.
#[track_caller]
pub(crate) fn id_of(done: &Finished) -> String {
    let text = done.stdout_text();
    let id = text.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {text:?}"));
    assert!(id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'), "no id: {id:?}");
    id.to_owned()
}

/// Kills one process, and waits until it is gone.
#[track_caller]
pub(crate) fn kill(pid: i32) {
    crate::support::signal(pid, libc::SIGKILL);
    wait_until(SOON, "the end of a killed process", || !is_alive(pid));
}

/// Processes that live and were started with this variable.
fn processes_with(mark: &[u8]) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark) && is_alive(*pid)
    };
    pids.filter(is_marked).collect()
}

/// The statuses of tasks, in their order.
pub(crate) fn statuses(tasks: &Value) -> Vec<&str> {
    tasks.as_array().into_iter().flatten().filter_map(|task| task["status"].as_str()).collect()
}

/// A word for a shell.
pub(crate) fn quoted(path: impl AsRef<OsStr>) -> String {
    format!("'{}'", path.as_ref().to_string_lossy())
}
