//! Lists and templates as a batch opens them: what jobs they make, and what is said of those that are wrong.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::{EntryDefaults, Source, open};
use crate::error::{Error, Result};
use crate::model::batch::Entry;
use crate::model::job::{Command, JobSpec, Leftovers, Limits, Scope, Stdin, Surroundings};
use crate::model::request::{ItemInput, JobList, Template, TemplateCommand};
use crate::model::retry::Retry;
use crate::model::signal::Signal;

fn defaults() -> EntryDefaults {
    let limits = Limits {
        timeout: None,
        max_timeout: None,
        parent_timeout: None,
        budget: None,
        idle_timeout: None,
        warn_after: None,
        warn_signal: None,
        stop_signal: Signal::TERM,
        grace: Some(Duration::from_secs(5)),
        scope: Scope::Tree,
    };
    let job = JobSpec {
        command: Command::Argv(Vec::new()),
        name: None,
        limits,
        surroundings: Surroundings { stdin: Stdin::Null, ..Surroundings::default() },
        leftovers: Leftovers::Report,
        retry: Retry::default(),
        capture_limit: 1 << 18,
        log: None,
        sd_notify: false,
    };
    EntryDefaults { job, timeout_share: None }
}

/// A list in a file of this name.
struct ListFile {
    folder: TempDir,
    path: PathBuf,
}

impl ListFile {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        Self { folder, path }
    }

    fn open(&self) -> Result<Source> {
        self.open_with(&defaults())
    }

    fn open_with(&self, defaults: &EntryDefaults) -> Result<Source> {
        open(&JobList::File(self.path.clone()), defaults)
    }

    /// The error without the folder's name, and its remedy.
    fn error(&self) -> (String, String) {
        self.told(self.open().expect_err("the list is wrong"))
    }

    fn told(&self, error: Error) -> (String, String) {
        let folder = format!("{}/", self.folder.path().display());
        (error.to_string().replace(&folder, ""), error.remediation())
    }
}

fn all(mut source: Source) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(entry) = source.next().expect("a job or the end") {
        entries.push(entry);
    }
    entries
}

fn jobs(name: &str, text: &str) -> Vec<Entry> {
    all(ListFile::new(name, text).open().expect("a list"))
}

fn words(entry: &Entry) -> Vec<String> {
    entry.job.command.argv().into_iter().map(|word| word.into_string().expect("UTF-8")).collect()
}

#[test]
fn lines_of_json_are_jobs() {
    let entries = jobs(
        "jobs.jsonl",
        "\u{feff}{\"id\": \"a\", \"cmd\": [\"echo\", \"hello world\"]}\n\n  \n{\"shell\": \"echo $HOME\", \"needs\": [\"a\"]}\r\n{\"id\": 7, \"cmd\": [\"true\"], \"needs\": \"a\"}",
    );
    assert_eq!(
        entries.iter().map(words).collect::<Vec<_>>(),
        [vec!["echo", "hello world"], vec!["sh", "-c", "echo $HOME"], vec!["true"]]
    );
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(entries.iter().map(|entry| entry.id.as_deref()).collect::<Vec<_>>(), [Some("a"), None, Some("7")]);
    assert_eq!(entries.iter().map(|entry| &*entry.label).collect::<Vec<_>>(), ["a", "2", "7"]);
    assert_eq!(entries[1].needs, ["a"]);
    assert_eq!(entries[2].needs, ["a"]);
}

fn template(words: &[&str], items: &[&str]) -> Template {
    Template {
        command: TemplateCommand::Argv(words.iter().map(OsString::from).collect()),
        inputs: vec![ItemInput::Words(items.iter().map(OsString::from).collect())],
        link: false,
        null_separated: false,
        items_per_job: 1,
    }
}

fn each(template: Template) -> Vec<Vec<String>> {
    let source = open(&JobList::Items(template), &defaults()).expect("a template");
    all(source).iter().map(words).collect()
}

#[test]
fn an_item_is_one_argument() {
    assert_eq!(
        each(template(&["convert", "{}", "{.}.png"], &["a b.jpg", "-x.jpg"])),
        [["convert", "a b.jpg", "a b.png"], ["convert", "-x.jpg", "-x.png"]]
    );
    assert_eq!(each(template(&["gzip"], &["$(id)", "; rm"])), [["gzip", "$(id)"], ["gzip", "; rm"]]);
}

/// What is said of a list of one or more lines: the message, and the remedy.
fn wrong(text: &str) -> (String, String) {
    ListFile::new("jobs.jsonl", text).error()
}

#[test]
fn a_fault_is_named_with_file_line_field_and_what_helps() {
    let cases: &[(&str, &str, &str)] = &[
        (
            r#"{"cmd":["true"],"timeout":"5x"}"#,
            "timeout: '5x' is not a duration, since 'x' is not a unit",
            "Give timeout seconds such as 60 or 1.5, or units from large to small such as 90s, 500ms, 2m or 1h30m",
        ),
        (r#"{"cmd":["true"],"timout":"5s"}"#, "timout: there is no such field in a job", "Did you mean timeout?"),
        (r#"{"command":["true"]}"#, "command: there is no such field in a job", "Did you mean cmd?"),
        (
            r#"{"cmd":["true"],"retry_on":"timeout","retry-on":"timeout"}"#,
            "retry-on: the field is there twice",
            "Leave one of them out",
        ),
        (
            r#"{"cmd":"ls -l"}"#,
            "cmd: the value is a text and no list of words",
            r#"Give cmd a list of words such as ["ls", "-l"]; for a line for a shell write "shell": "ls -l""#,
        ),
        (r#"{"cmd":[]}"#, "cmd: the list is empty", r#"Give cmd a list of words such as ["ls", "-l"]"#),
        (
            r#"{"cmd":["echo","a\u0000b"]}"#,
            "cmd[1]: the text holds a NUL, which cannot be passed to a process",
            "Leave the NUL out, or let the job read it from a file",
        ),
        (r#"{"cmd":["echo",5]}"#, "cmd[1]: the value is a number", "Give cmd[1] a text; numbers stand in quotes, too"),
        (
            r#"{"cmd":["a"],"shell":"b"}"#,
            "shell: the job has cmd already, and runs one thing",
            "Leave cmd or shell out, or make two jobs of it",
        ),
        (
            r#"{"id":"a"}"#,
            "nothing says what the job runs",
            r#"Give cmd, as in "cmd": ["ls", "-l"], or shell with a line for a shell, or op"#,
        ),
        (
            r#"{"cmd":["a"],"timeout":"2m","max_timeout":60}"#,
            "timeout: timeout of 120 seconds is past the maximum of 60 seconds",
            "Give timeout 60 or less, or raise max-timeout",
        ),
    ];
    for (text, message, remedy) in cases {
        let told = wrong(&format!("\n{text}\n"));
        assert_eq!(told, (format!("jobs.jsonl line 2: {message}"), (*remedy).to_owned()), "{text}");
    }
}
