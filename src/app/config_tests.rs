//! Tests of the defaults: every source on its own, and which one wins.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Config, HistoryDefaults, Origin, Sources, Timeout, check_maximum, load_from};
use crate::error::{Error, Result};
use crate::model::envelope::ErrorCode;
use crate::model::request::{ErrorFormat, ProgressForm};
use crate::model::signal::Signal;

/// A home with a project `work/deep/er` in it, whose repository is `work`.
struct World {
    root: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root.path().join("home/work/deep/er")).expect("directories");
        fs::create_dir_all(root.path().join("home/.config/runner")).expect("directories");
        Self { root }
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.root.path().join(path), text).expect("a file");
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Config> {
        self.load_at("home/work/deep/er", variables)
    }

    fn load_at(&self, directory: &str, variables: &[(&str, &str)]) -> Result<Config> {
        let lookup =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        load_from(&Sources {
            variable: &lookup,
            directory: Some(self.root.path().join(directory)),
            home: Some(self.root.path().join("home")),
            user_file: Some(self.root.path().join("home/.config/runner/config.toml")),
        })
    }
}

fn seconds(seconds: u64) -> Option<Option<Duration>> {
    Some(Some(Duration::from_secs(seconds)))
}

/// Message and remediation of a VALIDATION_ERROR.
fn complaint(result: Result<Config>) -> String {
    let error = result.expect_err("it is wrong");
    assert_eq!(error.kind(), ErrorCode::ValidationError, "{error}");
    assert!(matches!(&error, Error::Invalid { argument: Some(_), .. }), "{error:?}");
    format!("{error} | {}", error.remediation())
}

#[test]
fn nothing_is_set_where_nothing_was_said() {
    let config = World::new().load(&[("RUNNER_NAME", "ci"), ("RUNNER_DEBUG", "1")]).expect("nothing is wrong");
    assert!(config.files.is_empty() && config.defaults.timeout.is_none() && config.defaults.error_format.is_none());
}

#[test]
fn environment_beats_project_beats_user() {
    let world = World::new();
    world.write("home/.config/runner/config.toml", "[defaults]\ntimeout = 1\ngrace = 1\nsignal = \"INT\"\n");
    world.write("home/work/runner.toml", "[defaults]\ntimeout = 2\ngrace = \"2s\"\n");
    let config = world.load(&[("RUNNER_TIMEOUT", "3")]).expect("all is well");
    assert_eq!(config.defaults.timeout, seconds(3));
    assert_eq!(config.timeout_origin, Some(Origin::Variable("RUNNER_TIMEOUT")));
    assert_eq!(config.defaults.grace, Some(Duration::from_secs(2)));
    assert_eq!(config.defaults.signal, Some(Signal::INT));
    let names: Vec<_> = config.files.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["runner.toml", "config.toml"]);
}

#[test]
fn the_word_none_beats_a_weaker_limit_and_an_empty_variable_does_not() {
    let world = World::new();
    world.write("home/work/runner.toml", "[defaults]\ntimeout = 2\nidle-timeout = 3\n");
    let config = world.load(&[("RUNNER_TIMEOUT", "none"), ("RUNNER_IDLE_TIMEOUT", "")]).expect("all is well");
    assert_eq!((config.defaults.timeout, config.defaults.idle_timeout), (Some(None), seconds(3)));
}

#[test]
fn every_variable_is_read_and_a_wrong_one_is_named() {
    let config = World::new()
        .load(&[
            ("RUNNER_TIMEOUT", "1m30s"),
            ("RUNNER_IDLE_TIMEOUT", "5"),
            ("RUNNER_MAX_TIMEOUT", "2m"),
            ("RUNNER_GRACE", "0"),
            ("RUNNER_PROGRESS", "none"),
            ("RUNNER_ERROR_FORMAT", "json"),
        ])
        .expect("all is well");
    let defaults = config.defaults;
    assert_eq!(
        (defaults.timeout, defaults.idle_timeout, defaults.max_timeout),
        (seconds(90), seconds(5), seconds(120))
    );
    assert_eq!((defaults.grace, defaults.progress), (Some(Duration::ZERO), Some(ProgressForm::None)));
    assert_eq!(defaults.error_format, Some(ErrorFormat::Json));
    for (name, value) in [
        ("RUNNER_TIMEOUT", "0"),
        ("RUNNER_IDLE_TIMEOUT", "5x"),
        ("RUNNER_MAX_TIMEOUT", "-1"),
        ("RUNNER_GRACE", "none"),
        ("RUNNER_PROGRESS", "bars"),
        ("RUNNER_ERROR_FORMAT", "xml"),
    ] {
        let text = complaint(World::new().load(&[(name, value)]));
        assert!(text.starts_with(name) && text.contains(&format!("'{value}'")), "{text}");
        assert!(text.contains(&format!("Give the environment variable {name}")), "{text}");
    }
}

#[test]
fn every_key_is_read_as_text_or_number() {
    let world = World::new();
    world.write(
        "home/work/runner.toml",
        "# limits\n[defaults]\ntimeout = 1.5\nidle-timeout = \"none\"\nmax-timeout = 0x10\ngrace = 0\n\
         signal = 2\ncapture-limit = \"64K\"\nprogress = \"auto\"\n",
    );
    let defaults = world.load(&[]).expect("all is well").defaults;
    assert_eq!(defaults.timeout, Some(Some(Duration::from_millis(1500))));
    assert_eq!((defaults.idle_timeout, defaults.max_timeout), (Some(None), seconds(16)));
    assert_eq!((defaults.grace, defaults.signal), (Some(Duration::ZERO), Some(Signal::INT)));
    assert_eq!((defaults.capture_limit, defaults.progress), (Some(65536), Some(ProgressForm::Auto)));
}

#[test]
fn a_timeout_may_be_made_of_the_history() {
    let world = World::new();
    world.write("home/.config/runner/config.toml", "[defaults]\ntimeout = \"auto\"\n");
    let config = world.load(&[]).expect("all is well");
    assert_eq!((config.defaults.timeout, config.defaults.auto_factor), (Some(None), Some(2.0)));
    let config = world.load(&[("RUNNER_TIMEOUT", "auto:3")]).expect("all is well");
    assert_eq!((config.defaults.timeout, config.defaults.auto_factor), (Some(None), Some(3.0)));
    let config = world.load(&[("RUNNER_TIMEOUT", "7")]).expect("all is well");
    assert_eq!((config.defaults.timeout, config.defaults.auto_factor), (seconds(7), None));
    assert!(complaint(world.load(&[("RUNNER_TIMEOUT", "auto:")])).contains("such as auto:3x"));
}

#[test]
fn what_the_history_does_is_read_from_both_files() {
    let world = World::new();
    assert_eq!(world.load(&[]).expect("all is well").history, HistoryDefaults::default());
    world.write(
        "home/.config/runner/config.toml",
        "[history]\nrecord = true\ntimeout-floor = 1\ntimeout-cap = \"2h\"\n",
    );
    world.write("home/work/runner.toml", "[history]\nrecord = false\ntimeout-default = \"10m\"\n");
    let history = world.load(&[]).expect("all is well").history;
    assert_eq!(history.record, Some(false));
    let bounds = history.bounds();
    let second = Duration::from_secs(1);
    assert_eq!((bounds.floor, bounds.cap, bounds.fallback), (second, second * 7200, second * 600));
}

#[test]
fn a_wrong_file_is_named_with_line_key_and_fix() {
    for (text, parts) in [
        ("[defaults]\n\ntimeout = \"5x\"\n", &["line 3", "timeout: '5x'", "Give timeout seconds such as 60"][..]),
        ("[defaults]\ntimeout = 0\n", &["line 2", "the word none"]),
        ("[defaults]\ntimeout = -1\n", &["line 2", "'-1' is negative"]),
        ("[defaults]\ngrace = nan\n", &["line 2", "grace", "not a duration"]),
        ("[defaults]\ntimeout = inf\n", &["line 2", "'inf'"]),
        ("[defaults]\ntimeout = true\n", &["line 2", "true or false", "text in quotes"]),
        ("[defaults]\nsignal = \"NOPE\"\n", &["line 2", "signal: 'NOPE'", "TERM"]),
        ("[defaults]\ncapture-limit = \"5x\"\n", &["line 2", "capture-limit: '5x'", "64K"]),
        ("[defaults]\nprogress = \"bars\"\n", &["line 2", "progress: 'bars'", "json or none"]),
        ("[defaults]\ngrace = 1\ncommand = \"rm\"\n", &["line 3", "unknown key command", "idle-timeout"]),
        ("[defaults]\ngrace = 1\n[jobs]\n", &["line 3", "unknown table [jobs]", "[defaults], [queue] and [history]"]),
        ("[queue]\ngrace = 1\n", &["line 2", "unknown key grace in [queue]", "max-task-age"]),
        ("[queue]\n\ntimeout = 0\n", &["line 3", "timeout: '0'", "the word none"]),
        ("[queue]\nidle-exit = \"soon\"\n", &["line 2", "idle-exit: 'soon'", "Give idle-exit seconds"]),
        ("[queue]\nmax-task-age = true\n", &["line 2", "max-task-age", "true or false"]),
        ("queue = 1\n", &["line 1", "queue is not a table", "max-task-age"]),
        ("[history]\nrecord = \"yes\"\n", &["line 2", "record", "true or false"]),
        ("[history]\ntimeout-cap = 0\n", &["line 2", "no time at all", "above zero"]),
        ("[history]\ntimeout-floor = \"x\"\n", &["line 2", "timeout-floor: 'x'", "60 or 1.5"]),
        ("[history]\nkeep = 1\n", &["line 2", "unknown key keep in [history]", "timeout-default"]),
        ("timeout = 1\n", &["line 1", "unknown key timeout", "below [defaults]"]),
        ("defaults = 1\n", &["line 1", "not a table"]),
        ("[defaults]\ntimeout = 5x\n", &["line 2", "Correct the TOML"]),
        ("[defaults]\ntimeout = 1\ntimeout = 2\n", &["line 3", "duplicate"]),
    ] {
        let world = World::new();
        world.write("home/work/runner.toml", text);
        let complaint = complaint(world.load(&[]));
        for part in parts.iter().chain(&["home/work/runner.toml"]) {
            assert!(complaint.contains(part), "{text:?} gave {complaint}, without {part}");
        }
    }
}

#[test]
fn the_queue_has_defaults_of_its_own() {
    let day = Duration::from_secs(86_400);
    let queue = World::new().load(&[]).expect("nothing is wrong").queue;
    assert_eq!((queue.timeout, queue.max_task_age(), queue.idle_exit()), (None, Some(7 * day), Some(day / 288)));
    let world = World::new();
    world.write("home/work/runner.toml", "[queue]\nmax-task-age = \"2d\"\n");
    world.write("home/.config/runner/config.toml", "[queue]\nmax-task-age = 0\nidle-exit = \"none\"\n");
    let queue = world.load(&[]).expect("all is well").queue;
    assert_eq!((queue.max_task_age(), queue.idle_exit()), (Some(2 * day), None));
    assert_eq!(world.load_at("home", &[]).expect("all is well").queue.max_task_age(), Some(Duration::ZERO));
}

#[test]
fn the_timeout_of_a_task_is_that_of_the_queue_before_that_of_jobs_in_each_source() {
    let timeout = |project: &str, user: &str, variables: &[(&str, &str)]| {
        let world = World::new();
        world.write("home/work/runner.toml", project);
        world.write("home/.config/runner/config.toml", user);
        let config = world.load(variables).expect("all is well");
        (config.queue.timeout, config.queue.timeout_origin.map(|origin| origin.to_string()).unwrap_or_default())
    };
    let both = "[defaults]\ntimeout = 2\n[queue]\ntimeout = 3\n";
    let (user_both, jobs_only) = ("[defaults]\ntimeout = 4\n[queue]\ntimeout = 5\n", "[defaults]\ntimeout = 4\n");
    for (project, user, variables, expected, origin) in [
        (both, user_both, &[("RUNNER_TIMEOUT", "1")][..], seconds(1), "RUNNER_TIMEOUT"),
        (both, user_both, &[], seconds(3), "runner.toml line 4"),
        (jobs_only, user_both, &[], seconds(4), "runner.toml line 2"),
        ("", user_both, &[], seconds(5), "config.toml line 4"),
        ("", jobs_only, &[], seconds(4), "config.toml line 2"),
        ("[queue]\ntimeout = \"none\"\n", jobs_only, &[], Some(None), "runner.toml line 2"),
    ] {
        let found = timeout(project, user, variables);
        assert!(
            found.0 == expected.map(Timeout::Fixed) && found.1.ends_with(origin),
            "{project:?}, {user:?} gave {found:?}"
        );
    }
    let world = World::new();
    world.write("home/work/runner.toml", both);
    let defaults = world.load(&[]).expect("all is well").defaults;
    assert_eq!(defaults.timeout, seconds(2), "other verbs do not look at the queue");
}

#[test]
fn the_search_ends_at_the_repository_or_at_home() {
    let world = World::new();
    world.write("home/runner.toml", "[defaults]\ntimeout = 7\n");
    world.write("runner.toml", "[defaults]\ntimeout = 8\n");
    assert_eq!(world.load(&[]).expect("all is well").defaults.timeout, seconds(7));
    assert_eq!(world.load_at("home", &[]).expect("all is well").defaults.timeout, seconds(7));
    fs::create_dir(world.root.path().join("home/work/.git")).expect("a directory");
    assert_eq!(world.load(&[]).expect("all is well").defaults.timeout, None);
    fs::remove_file(world.root.path().join("home/runner.toml")).expect("it was there");
    fs::remove_dir(world.root.path().join("home/work/.git")).expect("it was there");
    assert_eq!(world.load(&[]).expect("all is well").defaults.timeout, None, "home is the end");
}

#[test]
fn the_nearest_project_file_alone_is_read() {
    let world = World::new();
    world.write("home/work/runner.toml", "broken");
    world.write("home/work/deep/runner.toml", "[defaults]\ntimeout = 4\n");
    assert_eq!(world.load(&[]).expect("all is well").defaults.timeout, seconds(4));
}

#[test]
fn a_file_of_somebody_else_is_passed_over() {
    let world = World::new();
    let path = world.root.path().join("home/work/deep/runner.toml");
    world.write("home/work/deep/runner.toml", "broken");
    world.write("home/work/runner.toml", "[defaults]\ntimeout = 4\n");
    if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
        // Only root can give a file away; the rule is the same for every user.
        return;
    }
    let config = world.load(&[]).expect("the file is ignored");
    assert_eq!((config.defaults.timeout, ignored(&config)), (seconds(4), vec![path.clone()]));
    assert!(config.ignored[0].reason.contains("uid 12345"), "{:?}", config.ignored);
    // Root under sudo acts for the user who ran it; any user can set the variable, so it counts for root only.
    if rustix::process::geteuid().is_root() {
        assert!(complaint(world.load(&[("SUDO_UID", "12345")])).contains("deep/runner.toml"));
        assert_eq!(ignored(&world.load(&[("SUDO_UID", "12346")]).expect("another user")), vec![path.clone()]);
    }
    // A link of another user to a file of ours is ignored, too.
    fs::remove_file(&path).expect("it was there");
    std::os::unix::fs::symlink("../runner.toml", &path).expect("a link");
    std::os::unix::fs::lchown(&path, Some(12345), None).expect("root can");
    assert_eq!(ignored(&world.load(&[]).expect("it is not followed")), vec![path]);
    // So is the file in HOME, which may be the home of another user.
    let world = World::new();
    let path = world.root.path().join("home/.config/runner/config.toml");
    world.write("home/.config/runner/config.toml", "broken");
    std::os::unix::fs::chown(&path, Some(12345), None).expect("root can");
    assert_eq!(ignored(&world.load(&[]).expect("the file is ignored")), vec![path]);
}

fn ignored(config: &Config) -> Vec<PathBuf> {
    config.ignored.iter().map(|file| file.path.clone()).collect()
}

#[test]
fn a_path_that_is_not_a_regular_file_is_an_error_that_names_it() {
    let world = World::new();
    fs::create_dir(world.root.path().join("home/work/runner.toml")).expect("a directory");
    assert!(complaint(world.load(&[])).contains("work/runner.toml is not a regular file"));

    let world = World::new();
    let file = world.root.path().join("home/.config/runner/config.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
    assert!(complaint(world.load(&[])).contains("config.toml is not a regular file"));
    // The check reads up to the limit, not the whole file.
    let world = World::new();
    let file = fs::File::create(world.root.path().join("home/work/runner.toml")).expect("a file");
    file.set_len(1 << 40).expect("a hole");
    assert!(complaint(world.load(&[])).contains("runner.toml is too large"));
}

#[test]
fn a_file_that_cannot_be_opened_is_ignored_and_named() {
    let world = World::new();
    // A symbolic link loop cannot be opened by root either.
    for path in ["home/work/runner.toml", "home/.config/runner/config.toml"] {
        let path = world.root.path().join(path);
        std::os::unix::fs::symlink(&path, &path).expect("a link");
    }
    world.write("home/runner.toml", "[defaults]\ntimeout = 4\n");
    let config = world.load(&[]).expect("neither was named by the user");
    assert_eq!(config.defaults.timeout, seconds(4), "the search goes on above");
    let names: Vec<_> = config.ignored.iter().filter_map(|file| file.path.file_name()).collect();
    assert_eq!(names, ["runner.toml", "config.toml"]);
    assert!(config.ignored.iter().all(|file| file.reason.contains("symbolic links; make it readable")), "{config:?}");
    // Neither is a removed working directory an error.
    let config = world.load_at("home/gone", &[]).expect("nothing was named");
    assert!(config.ignored[0].path.ends_with("home/gone/runner.toml"), "{config:?}");
}

#[test]
fn a_timeout_past_the_maximum_is_refused_with_both_origins() {
    let second = Duration::from_secs(1);
    let (option, variable) = (Origin::Option("--timeout"), Origin::Variable("RUNNER_MAX_TIMEOUT"));
    let error =
        check_maximum(Some(second * 90), Some(&option), Some(second * 60), Some(&variable)).expect_err("90 > 60");
    let text = error.to_string();
    for part in ["90 seconds", "--timeout", "60 seconds", "RUNNER_MAX_TIMEOUT"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(error.kind(), ErrorCode::ValidationError);
    for (timeout, maximum) in [(Some(second), Some(second)), (None, Some(second)), (Some(second), None)] {
        assert!(check_maximum(timeout, Some(&option), maximum, Some(&variable)).is_ok());
    }
}
