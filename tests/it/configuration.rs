//! Unreadable and foreign configuration files are ignored and named by `-v`; they never keep a job from running.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Finished, batch_with, become_nobody, copy_program, exec_with, folder, has_program, is_root, runner_at, set_mode,
    verb_with,
};

/// A home directory without search permission, and a program that can be executed.
struct ForeignHome {
    place: tempfile::TempDir,
}

impl ForeignHome {
    fn new() -> Self {
        let place = folder();
        set_mode(place.path(), 0o755);
        copy_program(Path::new(env!("CARGO_BIN_EXE_runner")), &place.path().join("runner"));
        fs::create_dir_all(place.path().join("home/.config/runner")).expect("a folder");
        fs::create_dir(place.path().join("home/project")).expect("a folder");
        fs::write(place.path().join("home/.config/runner/config.toml"), "broken").expect("a file");
        set_mode(&place.path().join("home"), 0o000);
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// `runner` as a user without access to the home directory, since root can access any.
    fn runner(&self) -> Command {
        let mut command = runner_at(&self.path("runner"));
        command.current_dir("/").env("HOME", self.path("home"));
        for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "SUDO_UID"] {
            command.env_remove(name);
        }
        if is_root() {
            become_nobody(&mut command);
        }
        command
    }
}

impl Drop for ForeignHome {
    fn drop(&mut self) {
        set_mode(&self.path("home"), 0o755);
    }
}

#[track_caller]
fn assert_names(done: &Finished, part: &str) {
    let text = done.stderr_text();
    let line = text.lines().find(|line| line.starts_with("runner: ignored "));
    assert!(line.is_some_and(|line| line.contains(part)), "{part}: {text}");
}

#[test]
fn configuration_in_an_inaccessible_home_is_ignored() {
    let home = ForeignHome::new();
    exec_with(home.runner(), "").job(["true"]).run().assert_code(0).assert_silent();
    let done = exec_with(home.runner(), "-v").job(["true"]).run();
    done.assert_code(0);
    assert_names(&done, "home/.config/runner/config.toml: Permission denied; make it readable");
    assert_names(&batch_with(home.runner(), "-v").job(["true", ":::", "a"]).run(), "config.toml");
    let done = verb_with(home.runner(), "op", "-v sleep 0").run();
    done.assert_code(0);
    assert_names(&done, "config.toml");
}

/// Such a job needs neither the history nor temporary files.
#[test]
fn a_job_needs_neither_a_home_nor_a_folder_for_temporary_files() {
    let home = ForeignHome::new();
    let mut command = home.runner();
    command.env("TMPDIR", home.path("home"));
    let done = exec_with(command, "-v --record --timeout auto --retries 1").job(["true"]).run();
    done.assert_code(0);
    assert!(done.stderr_text().contains("the history was not recorded"), "{}", done.stderr_text());
    let mut command = home.runner();
    command.env("TMPDIR", home.path("home"));
    let done = batch_with(command, "--keep-order").job(["echo", ":::", "a", "b"]).run();
    assert_eq!((done.status.code(), done.stdout_text().as_str()), (Some(0), "a\nb\n"), "{}", done.stderr_text());
}

#[test]
fn a_relative_empty_or_missing_home_is_ignored() {
    let place = folder();
    fs::create_dir_all(place.path().join(".config/runner")).expect("a folder");
    fs::create_dir_all(place.path().join("home/.config/runner")).expect("a folder");
    for path in [".config/runner/config.toml", "home/.config/runner/config.toml"] {
        fs::write(place.path().join(path), "broken").expect("a file");
    }
    for value in ["", "home", ".", "/dev/null", "/nonexistent"] {
        let mut command = crate::support::runner();
        command.current_dir(place.path()).env_remove("XDG_CONFIG_HOME").env("HOME", value);
        let done = exec_with(command, "").job(["true"]).run();
        assert_eq!((done.status.code(), done.stderr_text().as_str()), (Some(0), ""), "HOME={value}");
    }
    // The XDG specification says that relative values are ignored.
    let mut command = crate::support::runner();
    command.current_dir(place.path()).env("HOME", "/nonexistent").env("XDG_CONFIG_HOME", ".config");
    exec_with(command, "").job(["true"]).run().assert_code(0).assert_silent();
}

#[test]
fn an_unreadable_project_file_is_ignored() {
    let home = ForeignHome::new();
    let project = home.path("project");
    fs::create_dir(&project).expect("a folder");
    fs::write(project.join("runner.toml"), "broken").expect("a file");
    set_mode(&project.join("runner.toml"), 0o000);
    let run = |options: &str, folder: &Path| {
        let mut command = home.runner();
        command.current_dir(folder).env("HOME", "/nonexistent");
        exec_with(command, options).job(["true"]).run()
    };
    run("", &project).assert_code(0).assert_silent();
    assert_names(&run("-v", &project), "project/runner.toml: Permission denied");
    if is_root() && has_program("setpriv") {
        // A working directory that only the parent process had access to.
        let mut command = runner_at(Path::new("setpriv"));
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(home.path("runner"));
        command.current_dir(home.path("home/project")).env("HOME", "/nonexistent");
        let done = exec_with(command, "-v").job(["true"]).run();
        done.assert_code(0);
        assert_names(&done, "home/project/runner.toml: Permission denied");
    }
}

#[test]
fn a_file_of_another_user_is_ignored_even_if_it_can_be_read() {
    if !is_root() {
        return crate::support::skip("root", "only root can give a file away");
    }
    let place = folder();
    let file = place.path().join("runner.toml");
    fs::write(&file, "[defaults]\ntimeout = \"0.05s\"\n").expect("a file");
    std::os::unix::fs::chown(&file, Some(12345), None).expect("root can");
    let run = |sudo: Option<&str>| {
        let mut command = crate::support::runner();
        command.current_dir(place.path()).env_remove("SUDO_UID");
        sudo.map(|uid| command.env("SUDO_UID", uid));
        exec_with(command, "-v").job(["sleep", "0.5"]).run()
    };
    let done = run(None);
    done.assert_code(0);
    assert_names(&done, "runner.toml: it belongs to uid 12345; change its owner");
    run(Some("12345")).assert_code(124);
}

#[test]
fn a_job_runs_in_a_removed_working_directory() {
    let place = folder();
    let line = "mkdir gone && cd gone && rmdir ../gone && exec \"$RUN\" exec -- echo ran";
    let done = crate::support::exec("")
        .env("RUN", env!("CARGO_BIN_EXE_runner"))
        .with(|command| {
            command.current_dir(place.path());
        })
        .sh(line)
        .run();
    done.assert_code(0).assert_silent();
    assert_eq!(done.stdout_text(), "ran\n");
}
