//! A hostile text in every field of everything that is printed, in every renderer.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::batch_summary::{BatchSummary, Ending};
use super::records::fixture::{Story, failed_attempt, summary};
use super::records::{LogKind, Setting, by_name as record_by_name, log_of};
use super::{Format, Style, bar, batch_bar, history, json, lines, progress_lines, tasks, text, worker};
use crate::model::answer::{Extent, RequestInfo, of_outcome};
use crate::model::attempt::Attempt;
use crate::model::batch::Counts;
use crate::model::envelope::{Envelope, ErrorCode};
use crate::model::event::{Event, Live, Place};
use crate::model::history_data::HistoryData;
use crate::model::outcome::{Cause, End, Leftover, OperationFailure, Outcome, ProcessRow, StreamRecord, Told};
use crate::model::printable::hostile::{self, assert_clean};
use crate::model::queue_data::{GroupData, PausedData, ScaleData, StatsData, TaskListData, TaskStatesData, WorkerData};
use crate::model::request::CiSystem;
use crate::model::secrets::Secrets;
use crate::model::signal::Signal;
use crate::model::task::{TaskData, TaskStatus};

const NOW: Duration = Duration::from_secs(1_774_555_200);

/// Copies of a document, each with one string or field name replaced by the hostile text.
fn poisoned(document: &Value) -> Vec<Value> {
    let poison = || Value::String(hostile::TEXT.to_owned());
    match document {
        Value::String(_) => vec![poison()],
        Value::Array(values) => (0..values.len())
            .flat_map(|at| poisoned(&values[at]).into_iter().map(move |value| (at, value)))
            .map(|(at, value)| {
                let mut values = values.clone();
                values[at] = value;
                Value::Array(values)
            })
            .collect(),
        Value::Object(fields) => {
            let mut all: Vec<Value> = Vec::new();
            for (name, value) in fields {
                for value in poisoned(value) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), value);
                    all.push(Value::Object(fields));
                }
                let mut renamed = fields.clone();
                let value = renamed.remove(name).unwrap_or_default();
                renamed.insert(hostile::TEXT.to_owned(), value);
                all.push(Value::Object(renamed));
            }
            all
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Renders the data with the hostile text in each field that takes any text.
#[track_caller]
fn check<T: Serialize + DeserializeOwned>(what: &str, data: &T, render: impl Fn(&T) -> String) {
    let document = serde_json::to_value(data).expect("JSON");
    let mut checked = 0;
    for document in poisoned(&document) {
        if let Ok(data) = serde_json::from_value::<T>(document.clone()) {
            assert_clean(what, &render(&data));
            checked += 1;
        }
    }
    assert!(checked > 0, "{what}: no field takes a text");
}

fn row() -> ProcessRow {
    ProcessRow {
        pid: 1,
        ppid: 0,
        state: "S".to_owned(),
        command: "sleep 1".to_owned(),
        cpu_seconds: 0.0,
        rss_bytes: 1,
        waiting_in: Some("do_wait".to_owned()),
        uid: Some(7),
    }
}

fn leftover() -> Leftover {
    Leftover { pid: 7, command: "sleep 9".to_owned(), holds_output: false }
}

/// Answers for every kind of end, with all fields set.
fn envelopes() -> Vec<Envelope> {
    let attempt = |number| Attempt::refused(number, ErrorCode::NotFound, "no such program");
    let info = RequestInfo {
        request_id: "req_1".to_owned(),
        timestamp: "2024-01-15T10:30:00Z".to_owned(),
        duration: Duration::ZERO,
        name: Some("build".to_owned()),
        job_id: Some("7".to_owned()),
        attempts: vec![attempt(1), attempt(2)],
        secrets: Secrets::default(),
    };
    let stream = StreamRecord { captured: true, head: b"text".to_vec(), total: 4, ..StreamRecord::default() };
    let failure = OperationFailure {
        code: ErrorCode::NotFound,
        message: "not there".to_owned(),
        remediation: "Look".to_owned(),
        argument: Some("x".to_owned()),
    };
    let outcome = |cause, code| Outcome {
        stdout: stream.clone(),
        stderr: stream.clone(),
        survivors: Some(vec![row()]),
        processes: vec![row()],
        leftovers: Some(vec![leftover()]),
        told: Told { partial: Some(json!({"a": ["b"]})), status: "linking".to_owned(), ..Told::default() },
        ..Outcome::plain(cause, End::Exited(code))
    };
    let failed = Outcome { operation: true, ..outcome(None, 1) };
    let told = Told { failure: Some(failure), ..failed.told.clone() };
    let all = [
        outcome(Some(Cause::Cancelled { signal: Signal::TERM }), 0),
        outcome(None, 3),
        Outcome { told, ..failed },
        Outcome { troubles: vec!["the log is lost".to_owned()], ..outcome(None, 0) },
    ];
    all.iter().map(|outcome| of_outcome(outcome, "make", Extent::Kept, &info)).collect()
}

#[test]
fn answers_are_clean_and_so_is_their_json_on_a_terminal() {
    for envelope in envelopes() {
        check("an answer", &envelope, |envelope| text::Text.render(envelope, Style::default()));
        let terminal = Style { colour: false, terminal: true };
        check("JSON", &envelope, |envelope| json::Json.render(envelope, terminal));
    }
}

#[test]
fn values_add_no_colour_sequences() {
    let escapes = |text: &str| text.matches('\x1b').count();
    let style = Style { colour: true, terminal: true };
    for envelope in envelopes() {
        let own = escapes(&text::Text.render(&envelope, style));
        let document = serde_json::to_value(&envelope).expect("JSON");
        for document in poisoned(&document) {
            if let Ok(envelope) = serde_json::from_value::<Envelope>(document) {
                assert!(escapes(&text::Text.render(&envelope, style)) <= own, "{envelope:?}");
            }
        }
    }
}

#[test]
fn json_off_a_terminal_is_unchanged() {
    for mut envelope in envelopes() {
        envelope.metadata.name = Some(hostile::TEXT.to_owned());
        let line = json::Json.render(&envelope, Style::default());
        assert_eq!(line, format!("{}\n", serde_json::to_string(&envelope).expect("JSON")));
    }
}

fn tasks() -> Vec<TaskData> {
    let error = envelopes().remove(0).error.expect("an error");
    let result = json!({
        "exit_code": 0, "stdout": "hi\n", "stderr": "", "stdout_bytes": 3, "stderr_bytes": 0,
        "stdout_omitted_bytes": 0, "stderr_omitted_bytes": 0, "result": {"files": ["a"]}, "reported": {"b": "c"},
        "usage": {"user_seconds": 0.1, "system_seconds": 0.0, "max_rss_bytes": 1},
        "leftovers": [{"pid": 7, "command": "sleep 9", "holds_output": false}]
    });
    let whole = |number, status| {
        let mut document = serde_json::to_value(tasks::fixture::task(number, status)).expect("JSON");
        let more = json!({
            "name": "build", "operation": "sleep", "parameters": {"duration": "2s"}, "group": "net", "message": "linking",
            "not_before": "2026-03-26T20:05:00.000Z", "deadline_at": "2026-03-26T20:05:00.000Z", "after": ["0198"],
            "waits_for": "a slot", "log": "/state/log", "exit_code": 1,
            "partial_result": {"done": "x"},
            "attempt_records": [Attempt::refused(1, ErrorCode::NotFound, "no such program")],
            "extensions": [{"at": "2026-03-26T19:59:20.000Z", "by_seconds": 1800, "granted": true}],
            "notices": [{"kind": "command", "target": "mail me", "delivered": false, "error": "503"}],
        });
        let fields = document.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().expect("an object"));
        serde_json::from_value::<TaskData>(document).expect("a task")
    };
    let mut all: Vec<TaskData> = TaskStatus::ALL.into_iter().map(|status| whole("3", status)).collect();
    for task in &mut all {
        match task.status {
            TaskStatus::Failed | TaskStatus::Cancelled => task.error = Some(Box::new(error.clone())),
            TaskStatus::Completed => task.result = Some(result.clone()),
            TaskStatus::Pending | TaskStatus::Running => {}
        }
    }
    all
}

#[test]
fn queue_output_is_clean() {
    for task in tasks() {
        check("a task", &task, |task| tasks::task(task, NOW, false));
        let list = TaskListData { tasks: vec![task.clone(), task] };
        for width in [None, Some(80)] {
            check("a list of tasks", &list, |list| tasks::list(list, NOW, width, false));
        }
    }
    let groups = vec![GroupData { name: "net".to_owned(), slots: None, paused: true, running: 1 }];
    let since = Some("2026-03-26T19:55:00.000Z".to_owned());
    let data = WorkerData { running: true, pid: Some(1), since, groups: groups.clone(), ..WorkerData::default() };
    check("the worker", &data, worker::status);
    check("figures", &StatsData { groups, ..StatsData::default() }, tasks::stats);
    check("slots", &ScaleData { group: Some("net".to_owned()), slots: Some(1) }, worker::scaled);
    check("a pause", &PausedData { paused: true, group: Some("net".to_owned()) }, tasks::paused);
    let states = json!({"tasks": [{"task_id": "0198", "status": "running"}]});
    check("states", &serde_json::from_value::<TaskStatesData>(states).expect("states"), tasks::states);
}

#[test]
fn the_history_is_clean() {
    let entry = json!({
        "name": "build", "command": "make", "fingerprint": "0123456789abcdef0123456789abcdef", "runs": 1, "successes": 1,
        "failures": 0, "timeouts": 0, "cancelled": 0, "timeout_rate": 0.0, "causes": {"success": 1},
        "first_at": "2026-11-01T00:00:00.000Z", "last_at": "2026-11-02T00:00:00.000Z", "peak_memory_bytes": 7,
        "suggested_timeout_seconds": 60
    });
    let mut nameless = entry.clone();
    nameless.as_object_mut().expect("an object").remove("name");
    for entry in [entry, nameless] {
        let data = json!({"entries": [entry], "total": 1});
        let data: HistoryData = serde_json::from_value(data).expect("a history");
        check("the history", &data, |data| history::table(data, Some(80)));
        check("an entry of the history", &data, |data| history::details(data, history::Marks::Ascii));
    }
}

fn hostile_live() -> Live {
    Live { elapsed: Duration::from_secs(12), status: hostile::TEXT.to_owned(), ..Live::default() }
}

#[test]
fn lines_and_bars_are_clean() {
    let text = || hostile::TEXT.to_owned();
    let attempt = || Box::new(Attempt::refused(1, ErrorCode::NotFound, &text()));
    let delay = Duration::from_secs(1);
    let finished = |outcome| Event::JobFinished(Box::new(outcome));
    for event in [
        Event::LeftoversFound(vec![Leftover { command: text(), ..leftover() }]),
        Event::MessageRefused { reason: text() },
        Event::StatusReported(text()),
        Event::StatusRequested(hostile_live()),
        Event::TimePassed(hostile_live()),
        Event::RetryPlanned { attempt: attempt(), of: 3, delay },
        finished(Outcome { troubles: vec![text()], ..Outcome::plain(None, End::Exited(0)) }),
    ] {
        for line in
            lines::line(&event, 2).into_iter().chain(progress_lines::ProgressLines::new().line(&event, &text(), "now"))
        {
            assert_clean("a line", &line);
            assert!(!line.contains('\n'), "{line:?}");
        }
    }
    let waiting = Live { attempt: Some(Place { number: 1, of: 2 }), begins_in: Some(delay), ..hostile_live() };
    for live in [hostile_live(), waiting] {
        assert_clean("how a job stands", &lines::status_line(&text(), &live));
        for width in [20, 80, 1000] {
            let rows = [bar::Row { name: hostile::TEXT, live: &live }];
            let drawn = bar::frame(&rows, width, 0, false);
            assert_eq!(drawn.len(), 1);
            assert_clean("a bar", &drawn.concat());
            assert_clean(
                "a bar of a batch",
                &batch_bar::frame(&rows, &super::batch_progress::Standing::default(), width, 0, false).join("\n"),
            );
        }
    }
}

/// Jobs of a batch with the hostile text in every field.
fn stories() -> Vec<Story> {
    let text = || hostile::TEXT.to_owned();
    let attempt = |number| Attempt { message: Some(text()), ..failed_attempt(number, 1, 1.0) };
    let ends =
        [Story::success(), Story::exit(3), Story::timeout(), Story::cancelled(), Story::flaky(), Story::not_found()];
    let mut all: Vec<Story> = ends
        .into_iter()
        .map(|story| Story {
            command: text(),
            stdout: hostile::TEXT.into(),
            stderr: hostile::TEXT.into(),
            attempts: vec![attempt(1), attempt(2)],
            lasted: Duration::from_secs(2),
            ..story.titled(hostile::TEXT)
        })
        .collect();
    all.push(Story { command: text(), ..Story::skipped(hostile::TEXT).titled(hostile::TEXT) });
    all
}

#[test]
fn the_end_of_a_batch_is_clean() {
    let mut kept = BatchSummary::new();
    for (ended, envelope) in stories().into_iter().map(Story::build) {
        kept.note(&ended, &envelope);
    }
    let counts: Counts = summary(&stories()).counts;
    let because = Some(hostile::TEXT.to_owned());
    let ending = Ending { counts, stopped_because: because.clone(), again: because, ..Ending::default() };
    assert_clean("the end of a batch", &kept.render(&ending, Style::default()));
}

#[test]
fn records_and_ci_logs_are_clean() {
    let setting = Setting { batch: hostile::TEXT.to_owned(), token: "T0".to_owned() };
    for name in ["joblog", "github-summary", "github-outputs"] {
        let mut record = (record_by_name(name).expect(name).make)(&setting);
        let mut bytes = Vec::new();
        record.begin(&mut bytes);
        for (ended, envelope) in stories().into_iter().map(Story::build) {
            record.job(&ended, &envelope, &mut bytes);
        }
        record.end(&summary(&stories()), &mut bytes);
        let text = String::from_utf8(bytes).expect("text");
        // Tabs separate the columns of a job log.
        assert_clean(name, &text.replace('\t', " "));
    }
    for system in [CiSystem::Github, CiSystem::Gitlab, CiSystem::Teamcity] {
        let kind: &LogKind = log_of(system).expect("a log");
        for whole in [true, false] {
            let mut log = (kind.make)(&setting);
            let mut text = String::new();
            for (ended, envelope) in stories().into_iter().map(Story::build) {
                let frame = log.around_job(&ended, &envelope, whole);
                text += &String::from_utf8([frame.before, b"\n".to_vec(), frame.after].concat()).expect("text");
            }
            let mut bytes = Vec::new();
            log.end(&mut bytes);
            text += &String::from_utf8(bytes).expect("text");
            // Section markers, which the log viewer removes.
            let text = text.replace("\r\x1b[0K", "").replace("\x1b[0K", "").replace("\x1b[0m", "");
            // TeamCity keeps tabs; its messages are displayed in a browser.
            assert_clean(&format!("{system:?}"), &text.replace('\t', " "));
        }
    }
}
