//! What the tests of terminals, signals and `timeout` share: a pseudo-terminal with a shell in it, processes that are
//! watched and ended by their id, a scratch folder, and the proof that a tree is dead.
//!
//! Nothing here waits for a time; everything waits for a condition, and gives up loudly.

#![expect(clippy::disallowed_methods, reason = "tests start processes and bound their waiting themselves")]

pub(crate) mod desk;
pub(crate) mod leash;
pub(crate) mod peer;
pub(crate) mod picture;
pub(crate) mod process;
pub(crate) mod pty;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what has to come at once. Generous: the machine may be loaded.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// The program under test.
pub(crate) fn runner_path() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_runner"))
}

/// A clock that starts now.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Waits until the condition holds; fails the test when it does not come true within `LIMIT`.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let clock = Stopwatch::start();
    while !condition() {
        assert!(clock.elapsed() < LIMIT, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(3));
    }
}

/// A folder that everything of one test happens in.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a scratch folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, usually a script that the job is.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file in the scratch folder");
        path
    }

    /// The text of a file, empty where there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// Waits for a whole line in a file and returns it without its end.
    #[track_caller]
    pub(crate) fn line(&self, name: &str) -> String {
        until(&format!("{name} has a line"), || self.read(name).contains('\n'));
        self.read(name).lines().next().unwrap_or_default().to_owned()
    }

    /// A process id that a script wrote to a file.
    #[track_caller]
    pub(crate) fn pid(&self, name: &str) -> i32 {
        self.line(name).trim().parse().expect("a process id")
    }

    /// The program under test by the name of `timeout`.
    pub(crate) fn timeout_link(&self) -> PathBuf {
        let path = self.path("timeout");
        if !path.exists() {
            symlink(runner_path(), &path).expect("a symlink in the scratch folder");
        }
        path
    }

    /// A program that runs in this folder and sees nothing of the surroundings of the test.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.0.path()).env("HOME", self.0.path()).env("XDG_CONFIG_HOME", self.path("config"));
        command.env("PATH", std::env::join_paths(searchable()).expect("a search path"));
        command.env("LC_ALL", "C").env_remove("LANG").env_remove("LANGUAGE").env_remove("POSIXLY_CORRECT");
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "CI", "COLUMNS", "LINES", "LESS", "LESSOPEN", "ENV"] {
            command.env_remove(name);
        }
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            // What forces a containment passes, so that every test can be run on each rung.
            if name.starts_with("RUNNER_") && !name.starts_with("RUNNER_TEST_") {
                command.env_remove(&*name);
            }
        }
        command
    }

    /// `runner` with these arguments.
    pub(crate) fn runner<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = self.command(runner_path());
        command.args(arguments);
        command
    }

    /// A line for `sh`, in which the program under test is the word `runner`.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut command = self.command("/bin/sh");
        command.arg("-c").arg(line).env("PATH", search_path());
        command
    }
}

/// PATH with the program under test in front.
pub(crate) fn search_path() -> std::ffi::OsString {
    let own = runner_path().parent().expect("a program is in a folder").to_owned();
    std::env::join_paths(std::iter::once(own).chain(searchable())).expect("a search path")
}

/// The directories of PATH that this user may search: others make execvp(3) say that permission is denied.
fn searchable() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|dir| dir.join(".").exists()).collect::<Vec<_>>().into_iter()
}

/// The answer on a standard error that is no terminal: its last line that is an object.
#[track_caller]
pub(crate) fn answer(text: &str) -> serde_json::Value {
    let line = text.lines().rev().find(|line| line.starts_with('{'));
    let line = line.unwrap_or_else(|| panic!("there is no answer in {text:?}"));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in the answer {line}"))
}
