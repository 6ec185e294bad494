//! Lists and templates as a batch opens them: what jobs they make, and what is said of those that are wrong.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
use tempfile::TempDir;

use super::{EntryDefaults, Source, open};
use crate::error::{Error, Result};
use crate::model::batch::{Entry, Lock, Priority};
use crate::model::job::{Command, JobSpec, Leftovers, Limits, Scope, Stdin, Surroundings};
use crate::model::request::JobList;
use crate::model::retry::{Condition, Retry};
use crate::model::signal::Signal;

pub(super) fn defaults() -> EntryDefaults {
    let limits = Limits {
        timeout: None,
        max_timeout: None,
        parent_timeout: None,
        idle_timeout: None,
        warn_after: None,
        warn_signal: None,
        stop_signal: Signal::TERM,
        grace: Some(Duration::from_secs(5)),
        scope: Scope::Tree,
        budget: None,
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
    EntryDefaults { job, timeout_share: None, auto_factor: None }
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

pub(super) fn all(mut source: Source) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(entry) = source.next().expect("a job or the end") {
        entries.push(entry);
    }
    entries
}

fn jobs(name: &str, text: &str) -> Vec<Entry> {
    all(ListFile::new(name, text).open().expect("a list"))
}

pub(super) fn words(entry: &Entry) -> Vec<String> {
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

#[test]
fn an_array_of_json_may_span_lines() {
    let text = "[\n  {\n    \"id\": \"a]}\\\"\",\n    \"cmd\": [\"x\", \"[{,\"]\n  },{\"cmd\":[\"y\"],\n\"env\":{\"A\":\"1\"}}\n]\n";
    for name in ["jobs.json", "jobs", "jobs.jsonl"] {
        let entries = jobs(name, text);
        assert_eq!(entries.iter().map(words).collect::<Vec<_>>(), [vec!["x", "[{,"], vec!["y"]], "{name}");
        assert_eq!(entries[0].id.as_deref(), Some("a]}\""));
        assert_eq!(entries[1].job.surroundings.env, [("A".into(), "1".into())]);
    }
    assert!(jobs("jobs.json", " [ ] \n").is_empty());
    assert!(jobs("jobs.json", "").is_empty());
    assert!(jobs("jobs", "\n\n").is_empty());
}

#[test]
fn faults_of_an_array_are_on_the_line_of_their_field() {
    let cases = [
        ("[\n{\"cmd\":[\"a\"],\n\n\"grace\": \"x\"}]", "jobs.json line 4: grace: 'x' is not a duration"),
        ("[\n{\"cmd\":[\"a\"],\n \"env\": {\n\"A\":1}}]", "jobs.json line 3: env.A: the value is a number"),
        ("[{\"cmd\":[\"a\"]}\n{}]", "jobs.json line 2: there is no comma between two jobs"),
        ("[{\"cmd\":[\"a\"]},\n\n]", "jobs.json line 3: there is no job where one must be"),
        ("[{\"cmd\":[\"a\"]}\n", "jobs.json line 2: the list ends before its ']'"),
        ("[{\"cmd\":[\"a\"]", "jobs.json line 1: the list ends before its ']'"),
        ("[{\"cmd\":[\"a\"]}]\nx", "jobs.json line 2: something follows the end of the list"),
        ("[\n\n5]", "jobs.json line 3: invalid type: integer `5`, expected a job, which stands in braces"),
        ("[\n{\"cmd\"\n;}]", "jobs.json line 3: this is no JSON, column 1: expected `:`"),
        (
            "[\n{\"cmd\":[\"a\"],\n\"log\":\"\\ud800\"}]",
            "jobs.json line 3: this is no JSON, column 14: unexpected end of hex escape",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(ListFile::new("jobs.json", text).error().0, message, "{text}");
    }
}

#[test]
fn a_list_in_toml_has_defaults_and_jobs() {
    let text = r#"
# jobs of the night
[defaults]
timeout = "90s"
env = { LANG = "C", A = "default" }
priority = "low"
lock = "db"

[[job]]
id = "a"
cmd = ["echo", "[[job]]", """
[[job]]
x \""" """""]
[job.env]
A = "own"

  [[ "job" ]]  # the second
shell = '''
[[job]]
'''
timeout = 1.5
needs = ["a"]
priority = "high"
lock = ["gpu:2/4"]
"#;
    for name in ["jobs.toml", "jobs"] {
        let entries = jobs(name, text);
        let [high, low] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(words(low), ["echo", "[[job]]", "[[job]]\nx \"\"\" \"\""]);
        assert_eq!(low.job.limits.timeout, Some(Duration::from_secs(90)));
        let mut env = low.job.surroundings.env.clone();
        assert_eq!(env.pop(), Some(("A".into(), "own".into())));
        env.sort();
        assert_eq!(env, [("A".into(), "default".into()), ("LANG".into(), "C".into())]);
        assert_eq!((low.seq, low.priority), (1, Priority::Low));
        assert_eq!(low.locks, [Lock { name: "db".to_owned(), taken: 1, places: 1 }]);
        assert_eq!(words(high), ["sh", "-c", "[[job]]\n"]);
        assert_eq!(high.job.limits.timeout, Some(Duration::from_millis(1500)));
        assert_eq!((high.seq, high.priority), (2, Priority::High));
        assert_eq!(high.locks, [Lock { name: "gpu".to_owned(), taken: 2, places: 4 }]);
    }
}

#[test]
fn faults_of_toml_are_on_their_line() {
    let cases = [
        (
            "[[job]]\ncmd=['a']\n\n[[job]]\ncmd=['b']\nretries=-1\n",
            "line 6: retries: '-1' is no whole number from 0 on",
            "",
        ),
        ("[[job]]\ncmd=['a'\n\n[[job]]\ncmd=['b']\n", "line 4: this is no TOML: ", ""),
        ("\n[defaults]\ngrace=[]\n", "line 3: grace: the value is a list", ""),
        (
            "[defaults]\ncmd=['a']\n",
            "line 2: cmd: there is no such field in the defaults",
            "Give it with the job itself; it cannot hold for all of them",
        ),
        (
            "[defaults]\nlog='x.log'\n",
            "line 2: log: x.log would be the same file for every job",
            "Put {#}, the number of the job, or {id} into the name",
        ),
        (
            "[[job]]\ncmd=['a']\n[defaults]\ngrace=1\n",
            "line 3: [defaults] stands behind a job",
            "Move it before the first [[job]]",
        ),
        (
            "[[job]]\ncmd=['a']\n[env]\nA='1'\n",
            "line 3: there is no table 'env' in a list of jobs",
            "Write [job.env] for a table of the job above",
        ),
        (
            "[[jobs]]\ncmd=['a']\n",
            "line 1: there is no table 'jobs' in a list of jobs",
            "Write [defaults] first, where it is wanted, and [[job]] above the fields of each job",
        ),
        (
            "[job]\ncmd=['a']\n",
            "line 1: job is not a list of tables",
            "Write [[job]], with two brackets, on a line of its own above the fields of each job",
        ),
        (
            "\ntimeout=5\n[[job]]\ncmd=['a']\n",
            "line 2: timeout: the field stands outside of [defaults] and of any job",
            "",
        ),
        ("[[job]]\ncmd=['a']\nid=2024-01-01\ngrace=1979-05-27\n", "line 4: grace: '1979-05-27' is not a duration", ""),
    ];
    for (text, message, remedy) in cases {
        let told = ListFile::new("jobs.toml", text).error();
        assert!(told.0.starts_with(&format!("jobs.toml {message}")), "{text}: {told:?}");
        assert!(remedy.is_empty() || told.1 == remedy, "{text}: {told:?}");
    }
}

#[test]
fn every_option_of_a_job_has_its_long_name() {
    let text =
        r#"{"id":"x","name":"the job","cmd":["a"],"timeout":"60s","max-timeout":120,"idle_timeout":"30s","grace":0,
        "signal":"INT","signal-to":"group","warn-after":"10s","warn-signal":"SIGUSR1","leftovers":"kill","retries":3,"retry-delay":"500ms",
        "retry-backoff":1.5,"retry-max-delay":10,"retry-timeout-growth":2,"total-timeout":"1h","cwd":"/tmp",
        "env":{"A":"1"},"env-clear":true,"stdin":"in.txt","capture-limit":"64K","log":"{id}-{#}.log","sd-notify":true,
        "retry-on":["exit:75,exit:1-3","timeout"],"no-retry-on":"signal","lock":["db",{"x":1}],"priority":"CRITICAL"}"#
            .replace(",{\"x\":1}", "")
            .replace('\n', "");
    let entry = jobs("jobs.jsonl", &text).pop().expect("a job");
    let job = entry.job;
    let seconds = Duration::from_secs;
    assert_eq!(job.name.as_deref(), Some("the job"));
    assert_eq!(job.limits.timeout, Some(seconds(60)));
    assert_eq!(job.limits.max_timeout, Some(seconds(120)));
    assert_eq!(job.limits.idle_timeout, Some(seconds(30)));
    assert_eq!(job.limits.grace, Some(Duration::ZERO));
    assert_eq!(job.limits.stop_signal, Signal::INT);
    assert_eq!(job.limits.warn_after, Some(seconds(10)));
    assert_eq!(job.limits.scope, Scope::Group);
    assert_eq!(job.limits.warn_signal, Some(Signal::USR1));
    assert_eq!(job.leftovers, Leftovers::Kill);
    assert_eq!(
        job.retry,
        Retry {
            retries: 3,
            on: vec![Condition::Exit(75..=75), Condition::Exit(1..=3), Condition::Timeout],
            never_on: vec![Condition::Signal],
            delay: Duration::from_millis(500),
            backoff: 1.5,
            max_delay: seconds(10),
            timeout_growth: 2.0,
            total_timeout: Some(seconds(3600)),
        }
    );
    assert_eq!(job.surroundings.cwd, Some("/tmp".into()));
    assert_eq!(job.surroundings.env, [("A".into(), "1".into())]);
    assert!(job.surroundings.env_clear && job.sd_notify);
    assert_eq!(job.surroundings.stdin, Stdin::File("in.txt".into()));
    assert_eq!(job.capture_limit, 65536);
    assert_eq!(job.log, Some("x-1.log".into()));
    assert_eq!(entry.locks.len(), 1);
    assert_eq!(entry.priority, Priority::Critical);
}

#[test]
fn a_timeout_may_be_none_or_a_share() {
    let mut defaults = defaults();
    defaults.job.limits.timeout = Some(Duration::from_secs(9));
    let text = "{\"cmd\":[\"a\"],\"timeout\":\"none\"}\n{\"cmd\":[\"a\"],\"timeout\":\"250%\"}\n{\"cmd\":[\"a\"]}";
    let list = ListFile::new("jobs.jsonl", text);
    let told = |defaults: &EntryDefaults| -> Vec<_> {
        let entries = all(list.open_with(defaults).expect("a list"));
        entries.iter().map(|entry| (entry.job.limits.timeout, entry.timeout_share)).collect()
    };
    assert_eq!(told(&defaults), [(None, None), (None, Some(2.5)), (Some(Duration::from_secs(9)), None)]);
    defaults.timeout_share = Some(3.0);
    defaults.job.limits.timeout = None;
    assert_eq!(told(&defaults), [(None, None), (None, Some(2.5)), (None, Some(3.0))]);
    for text in ["0%", "%", "-5%", "NaN%", "1e3%"] {
        let told = wrong(&format!("{{\"cmd\":[\"a\"],\"timeout\":\"{text}\"}}"));
        assert_eq!(told.0, format!("jobs.jsonl line 1: timeout: '{text}' is no percentage above zero"));
    }
}

#[test]
fn a_timeout_may_be_made_of_the_history() {
    let mut defaults = defaults();
    defaults.auto_factor = Some(2.0);
    let text = "{\"cmd\":[\"a\"],\"timeout\":\"auto:3x\"}\n{\"cmd\":[\"a\"],\"timeout\":\"250%\"}\n\
                {\"cmd\":[\"a\"],\"timeout\":9}\n{\"cmd\":[\"a\"]}";
    let list = ListFile::new("jobs.jsonl", text);
    let entries = all(list.open_with(&defaults).expect("a list"));
    let told: Vec<_> =
        entries.iter().map(|entry| (entry.job.limits.timeout, entry.timeout_share, entry.auto_factor)).collect();
    let nine = Some(Duration::from_secs(9));
    assert_eq!(told, [(None, None, Some(3.0)), (None, Some(2.5), None), (nine, None, None), (None, None, Some(2.0))]);
    let (message, remedy) = wrong("{\"cmd\":[\"a\"],\"timeout\":\"auto:0.5\"}");
    assert_eq!(message, "jobs.jsonl line 1: timeout: 'auto:0.5' would stop jobs that take as long as ever");
    assert!(remedy.contains("auto:3x"), "{remedy}");
}

#[test]
fn a_maximum_of_the_defaults_holds_for_a_timeout_of_a_job() {
    let mut defaults = defaults();
    defaults.job.limits.max_timeout = Some(Duration::from_secs(60));
    let list = ListFile::new("jobs.jsonl", "{\"cmd\":[\"a\"],\"timeout\":\"90s\"}");
    let error = list.open_with(&defaults).expect_err("past the maximum");
    assert_eq!(
        list.told(error).0,
        "jobs.jsonl line 1: timeout: timeout of 90 seconds is past the maximum of 60 seconds (from the defaults)"
    );
}

#[test]
fn locks_name_what_is_held_of_what() {
    let told = |lock: &str| wrong(&format!("{{\"cmd\":[\"a\"],\"lock\":{lock}}}")).0;
    for (lock, problem) in [
        ("\"gpu:5/4\"", "lock: 'gpu:5/4' takes 5 of 4 places, which can never be"),
        ("\"gpu:0/4\"", "lock: 'gpu:0/4' takes 0 of 4 places, which can never be"),
        ("\"gpu:4\"", "lock: 'gpu:4' does not say how much of how much is held"),
        ("\":1/2\"", "lock: ':1/2' has no name"),
        ("[\"a\",\"\"]", "lock[1]: the text is empty"),
        ("[\"a\",\"a:1/2\"]", "lock[1]: the lock 'a' is there twice, and the job would wait for itself"),
        ("{}", "lock: the value is a table"),
    ] {
        assert_eq!(told(lock), format!("jobs.jsonl line 1: {problem}"), "{lock}");
    }
    let names = |text: &str| jobs("x.jsonl", text).remove(0).locks.remove(0).name;
    assert_eq!(names("{\"cmd\":[\"a\"],\"lock\":\"db:main\"}"), "db:main");
    let (message, _) = wrong("{\"cmd\":[\"a\"],\"lock\":\"a:1/4\"}\n{\"cmd\":[\"a\"],\"lock\":\"a:1/8\"}\n");
    assert_eq!(message, "jobs.jsonl line 2: lock: the lock 'a' has 8 here, and 4 in a job before");
}

#[test]
fn what_jobs_need_is_checked_before_any_starts() {
    let job = |id: &str, needs: &str| format!("{{\"id\":\"{id}\",\"cmd\":[\"x\"],\"needs\":[{needs}]}}\n");
    let told = |text: &str| wrong(text).0;
    assert_eq!(
        told(&[job("c", ""), job("a", "\"b\""), job("b", "\"d\""), job("d", "\"a\",\"c\"")].concat()),
        "jobs.jsonl line 2: needs: these jobs wait for each other: a -> b -> d -> a"
    );
    assert_eq!(told(&job("a", "\"a\"")), "jobs.jsonl line 1: needs: the job needs itself: a -> a");
    assert_eq!(
        told(&[job("a", ""), job("a", "")].concat()),
        "jobs.jsonl line 2: id: 'a' is the id of the job on line 1 already"
    );
    let (message, remedy) = wrong("{\"cmd\":[\"x\"],\"needs\":\"bulid\"}\n{\"id\":\"build\",\"cmd\":[\"x\"]}\n");
    assert_eq!(message, "jobs.jsonl line 1: needs: there is no job 'bulid' in the list");
    assert_eq!(remedy, "Did you mean build?");
    let ring: String = (0..100).map(|at| job(&at.to_string(), &format!("\"{}\"", (at + 1) % 100))).collect();
    let message = told(&ring);
    assert!(message.ends_with("0 -> 1 -> 2 -> 3 -> 4 -> 5 -> 6 -> 7 -> 8 -> 9 -> (81 more) -> 91 -> 92 -> 93 -> 94 -> 95 -> 96 -> 97 -> 98 -> 99 -> 0"), "{message}");
    // A need may stand behind the job, and a long chain is no ring.
    let chain: String = (0..50_000).map(|at| job(&at.to_string(), &format!("\"{}\"", at + 1))).collect();
    assert_eq!(jobs("x.jsonl", &[chain, job("50000", "")].concat()).len(), 50_001);
}

#[test]
fn several_faults_are_told_at_once_and_no_more_than_ten() {
    let (message, remedy) = wrong("{\"cmd\":[]}\n{\"cmd\":[\"a\"]}\n{\n{\"id\":\"\",\"cmd\":[\"a\"]}\n");
    assert_eq!(
        message,
        "jobs.jsonl line 1: cmd: the list is empty. Give cmd a list of words such as [\"ls\", \"-l\"].\n\
        jobs.jsonl line 3: this is no JSON, column 1: EOF while parsing an object. Write each job on one line, or put jobs of several lines into a JSON array.\n\
        jobs.jsonl line 4: id: the id is empty. Give id a text or a whole number, or leave it out."
    );
    assert_eq!(remedy, "Correct each of these; no job has been started");
    let (message, _) = wrong(&"{}\n".repeat(11));
    assert_eq!(message.lines().count(), 11);
    assert!(message.ends_with("\njobs.jsonl has more errors than these"));
}

#[test]
fn the_most_urgent_jobs_of_a_file_come_first() {
    let job = |priority: &str| format!("{{\"cmd\":[\"x\"],\"priority\":\"{priority}\"}}\n");
    let text: String = ["low", "normal", "critical", "normal", "high", "critical"].map(job).concat();
    let list = ListFile::new("jobs.jsonl", text);
    let source = list.open().expect("a list");
    assert_eq!(source.count(), Some(6));
    let numbers: Vec<u64> = all(source).iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, [3, 6, 5, 2, 4, 1]);
}

#[test]
fn a_file_that_changes_is_noticed() {
    let line = "{\"cmd\":[\"x\"]}\n";
    let list = ListFile::new("jobs.jsonl", line.repeat(20_000));
    let mut source = list.open().expect("a list");
    assert!(source.next().expect("a job").is_some());
    std::fs::write(&list.path, line).expect("a shorter file");
    let error = loop {
        match source.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("nothing was noticed"),
            Err(error) => break error,
        }
    };
    assert_eq!(list.told(error).0, "jobs.jsonl was changed while it was read");
    assert!(source.next().expect("it is over").is_none());
}

#[test]
fn another_file_of_the_name_is_not_read() {
    let list = ListFile::new("jobs.jsonl", "{\"cmd\":[\"x\"]}\n");
    let source = list.open().expect("a list");
    std::fs::remove_file(&list.path).expect("removed");
    std::fs::write(&list.path, "{\"cmd\":[\"y\"]}\n").expect("another one");
    assert_eq!(all(source).iter().map(words).collect::<Vec<_>>(), [["x"]]);
}

/// A FIFO with this text in it, and what its reader says.
fn through_a_fifo(text: &str) -> (Vec<Entry>, Option<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| std::fs::write(&path, text));
        let mut source = open(&JobList::File(path.clone()), &defaults()).expect("a list");
        assert_eq!(source.count(), None);
        let mut entries = Vec::new();
        let error = loop {
            match source.next() {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => break None,
                Err(error) => break Some(error.to_string().replace(&path.display().to_string(), "fifo")),
            }
        };
        drop(source);
        let _ = writer.join().expect("the writer");
        (entries, error)
    })
}

#[test]
fn a_list_that_is_read_once_needs_what_came_before() {
    let first = "{\"id\":\"a\",\"cmd\":[\"x\"],\"priority\":\"low\"}\n";
    let (entries, error) = through_a_fifo(&format!("{first}{{\"cmd\":[\"y\"],\"needs\":\"a\"}}\n"));
    assert_eq!((entries.len(), error), (2, None));
    let (entries, error) = through_a_fifo(&format!("{{\"cmd\":[\"y\"],\"needs\":\"a\"}}\n{first}"));
    let expected = "fifo line 1: needs: there is no job 'a' before this one, and the list is read only once";
    assert_eq!((entries.len(), error.as_deref()), (0, Some(expected)));
    let (entries, error) = through_a_fifo(&format!("{first}\n{first}"));
    assert_eq!((entries.len(), error.as_deref()), (1, Some("fifo line 3: id: 'a' is the id of another job already")));
    let (entries, error) = through_a_fifo("[[job]]\ncmd=['x']\n[[job]]\ncmd=['y']\n[[job]]\n");
    assert_eq!((entries.len(), error.as_deref()), (2, Some("fifo line 5: nothing says what the job runs")));
}

#[test]
fn what_is_no_list_is_said_so() {
    let said = |name: &str, text: &[u8]| ListFile::new(name, text).error();
    let (message, remedy) = said("names", b"\n\nalpha\nbeta\n");
    assert_eq!(message, "names line 3: this is no list of jobs: neither JSON nor TOML begins so");
    assert!(remedy.contains("runner batch --each -a FILE"), "{remedy}");
    assert_eq!(said("x", b"\xFF\xFE{\0").0, "x line 1: this is UTF-16");
    assert_eq!(
        said("x.jsonl", b"{\"cmd\":[\"a\"]}\n{\"cmd\":[\"\xC3\x28\"]}").0,
        "x.jsonl line 2: byte 10 of the line is not UTF-8"
    );
    let missing = open(&JobList::File("/nonexistent/jobs".into()), &defaults()).expect_err("there is none");
    assert_eq!(missing.to_string(), "cannot read /nonexistent/jobs: No such file or directory");
    let folder = open(&JobList::File("/".into()), &defaults()).expect_err("a folder");
    assert_eq!(folder.to_string(), "cannot read /: is a directory");
}

#[test]
fn an_operation_is_checked_as_on_the_command_line() {
    let entry = jobs("x.jsonl", "{\"op\":\"sleep\",\"params\":{\"duration\":\"1s\"}}").remove(0);
    let Command::Operation { name: "sleep", argv, parameters, .. } = &entry.job.command else { panic!("{entry:?}") };
    assert_eq!(argv[1..], ["__operation", "sleep"].map(OsString::from));
    assert_eq!(*parameters, serde_json::json!({"duration": "1s"}));
    let told = |text: &str| wrong(text);
    assert_eq!(
        told("{\"op\":\"slep\"}"),
        ("jobs.jsonl line 1: op: there is no operation 'slep'".to_owned(), "Did you mean sleep?".to_owned())
    );
    let (message, remedy) = told("{\"op\":\"sleep\",\"params\":{\"duration\":\"1s\",\"x\":1}}");
    assert!(
        message.starts_with("jobs.jsonl line 1: params: the parameters of sleep are wrong: unknown field `x`"),
        "{message}"
    );
    assert_eq!(remedy, "'runner schema sleep' prints what they may be");
    let (message, _) = told("{\"op\":\"archive\",\"params\":{\"output\":\"x.tar\",\"paths\":[]}}");
    assert_eq!(message, "jobs.jsonl line 1: params.paths: nothing to archive was given");
    assert_eq!(
        told("{\"cmd\":[\"a\"],\"params\":{}}").0,
        "jobs.jsonl line 1: params: they are for an operation, and there is none"
    );
}

#[test]
fn a_fingerprint_is_of_what_a_job_does() {
    let of = |text: &str| jobs("x.jsonl", text).remove(0).fingerprint;
    let plain = of("{\"cmd\":[\"ab\",\"c\"],\"env\":{\"A\":\"1\",\"B\":\"2\"}}");
    assert_eq!(
        plain,
        of(
            "{\"env\":{\"B\":\"2\",\"A\":\"1\"},\"cmd\":[\"ab\",\"c\"],\"timeout\":5,\"retries\":2,\"priority\":\"low\"}"
        )
    );
    let others = [
        "{\"cmd\":[\"a\",\"bc\"],\"env\":{\"A\":\"1\",\"B\":\"2\"}}",
        "{\"cmd\":[\"ab\",\"c\"],\"env\":{\"A\":\"1\"}}",
        "{\"cmd\":[\"ab\",\"c\"],\"env\":{\"A\":\"1B\",\"B\":\"2\"}}",
        "{\"cmd\":[\"ab\",\"c\"],\"env\":{\"A\":\"1\",\"B\":\"2\"},\"id\":\"x\"}",
        "{\"cmd\":[\"ab\",\"c\"],\"env\":{\"A\":\"1\",\"B\":\"2\"},\"cwd\":\"x\"}",
        "{\"cmd\":[\"ab\",\"c\"],\"env\":{\"A\":\"1\",\"B\":\"2\"},\"stdin\":\"x\"}",
        "{\"cmd\":[\"ab\",\"c\"],\"env\":{\"A\":\"1\",\"B\":\"2\"},\"stdin\":\"/x\"}",
        "{\"cmd\":[\"ab\",\"c\"],\"env\":{\"A\":\"1\",\"B\":\"2\"},\"stdin\":\"inherit\"}",
        "{\"shell\":\"ab c\"}",
        "{\"shell\":\"ab c\",\"shell-program\":\"bash\"}",
        "{\"cmd\":[\"sh\",\"-c\",\"ab c\"]}",
        "{\"op\":\"sleep\",\"params\":{\"duration\":1}}",
        "{\"op\":\"sleep\",\"params\":{\"duration\":2}}",
    ];
    let mut all: Vec<_> = others.iter().map(|text| of(text)).chain([plain]).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), others.len() + 1);
    // What a journal holds must be found again by a later version.
    assert_eq!(of("{\"cmd\":[\"true\"],\"cwd\":\"/\"}").to_string(), "1f286fd5ac5ce938a3dbbaa973735155");
    let legacy = jobs("x.jsonl", "{\"cmd\":[\"true\"]}").remove(0).legacy_fingerprint.expect("the legacy one");
    assert_eq!(legacy.to_string(), "a3971323a2d21aa30f2ba4fb8064f960");
    // The directory counts, however it is named.
    let here = std::env::current_dir().expect("a directory");
    let named = serde_json::json!({"cmd": ["true"], "cwd": here}).to_string();
    assert_eq!(of("{\"cmd\":[\"true\"]}"), of(&named));
}

#[test]
fn a_fingerprint_knows_the_names_of_secrets_and_no_value() {
    let of =
        |secrets: &str| jobs("x.jsonl", &format!("{{\"cmd\":[\"a\"],\"secret_env\":{secrets}}}")).remove(0).fingerprint;
    let plain = of("{\"A\":\"1\",\"PATH\":\"2\"}");
    assert_eq!(plain, of("{\"PATH\":\"another\",\"A\":\"value\"}"));
    assert_ne!(plain, of("{\"A\":\"1\"}"));
    assert_eq!(of("\"PATH\""), of("[\"PATH\"]"));
    assert_eq!(of("[]"), jobs("x.jsonl", "{\"cmd\":[\"a\"]}").remove(0).fingerprint);
}

#[test]
fn a_log_for_all_jobs_names_each() {
    let mut defaults = defaults();
    let list =
        ListFile::new("x.jsonl", "{\"id\":\"a\",\"cmd\":[\"x\"]}\n{\"id\":\"b\",\"cmd\":[\"x\"],\"log\":\"own\"}\n");
    defaults.job.log = Some("all.log".into());
    let error = list.open_with(&defaults).expect_err("one file for all");
    assert_eq!(error.to_string(), "--log all.log would be the same file for every job");
    defaults.job.log = Some("logs/{id}.{#}".into());
    let logs: Vec<_> = all(list.open_with(&defaults).expect("a list")).into_iter().map(|entry| entry.job.log).collect();
    assert_eq!(logs, [Some("logs/a.1".into()), Some("own".into())]);
    for (id, problem) in [
        ("", "its name holds {id}, and the job has no id"),
        ("\"id\":\"../x\",", "the id '../x' cannot be a part of its name"),
    ] {
        let list = ListFile::new("x.jsonl", format!("{{{id}\"cmd\":[\"x\"]}}"));
        let error = list.open_with(&defaults).expect_err("no name");
        assert_eq!(list.told(error).0, format!("x.jsonl line 1: log: {problem}"));
    }
}

#[test]
fn no_job_inherits_the_list() {
    let mut defaults = defaults();
    defaults.job.surroundings.stdin = Stdin::Inherit;
    let error = open(&JobList::Stdin, &defaults).expect_err("shared");
    assert_eq!(error.to_string(), "the jobs cannot inherit standard input, which is read for the batch itself");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Wherever a list is cut, in whichever format, its words come out as they went in; also those longer than what is
    /// read at once.
    #[test]
    fn a_list_reads_back_in_every_format(
        texts in vec("[\\[\\]{}\",:'\\\\#\n a-c\u{FC}]{0,30}", 1..8),
        long in 0_usize..200_000,
    ) {
        let mut texts = texts;
        texts.push("]}\",[[job]]\n".repeat(long / 11));
        let list: Vec<_> = texts.iter().map(|text| serde_json::json!({ "cmd": ["x", text], "env": { "A": text } })).collect();
        let quoted = |text: &str| serde_json::to_string(text).expect("JSON");
        let lines: String = list.iter().map(|job| format!("{job}\n")).collect();
        let toml: String = texts
            .iter()
            .map(|text| format!("[[job]]\ncmd = [\n 'x', {0}\n] # ]\n[job.env]\nA = {0}\n", quoted(text)))
            .collect();
        for (name, written) in [
            ("a.jsonl", lines),
            ("b.json", serde_json::to_string(&list).expect("JSON")),
            ("c.json", serde_json::to_string_pretty(&list).expect("JSON")),
            ("d.toml", toml),
        ] {
            let read: Vec<String> = jobs(name, &written).iter().map(|entry| words(entry).swap_remove(1)).collect();
            prop_assert_eq!(&read, &texts, "{}", name);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}\",:'\\\\#=\n a-cjob]{0,60}", format in 0_usize..4) {
        let name = ["a.jsonl", "a.json", "a.toml", "a"][format];
        if let Ok(source) = ListFile::new(name, &text).open() {
            all(source);
        }
    }
}
