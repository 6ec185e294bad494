//! All about one task: a line for each thing that is known of it, with a label before it.

use std::time::Duration;

use crate::model::envelope::{CommandData, OutputRecord, PartialResult};
use crate::model::outcome::Leftover;
use crate::model::printable::clean;
use crate::model::task::{ExtensionRecord, NoticeRecord, OnCrash, TaskData, TaskStatus};
use crate::render::paint::Paint;
use crate::render::records::story;
use crate::render::tasks::{LABEL, dressed, exact, exact_seconds, rough, since, until};
use crate::render::text;

/// So many processes that a job left are shown.
const MOST_LEFTOVERS: usize = 8;

/// Lines with labels.
struct Lines {
    text: String,
    now: Duration,
    paint: Paint,
}

/// All about a task. `now` is since the Unix epoch.
pub fn task(task: &TaskData, now: Duration, colour: bool) -> String {
    let mut lines = Lines { text: String::new(), now, paint: Paint { on: colour } };
    lines.put("task", &task.task_id);
    lines.put_if("name", task.name.as_deref());
    lines.put_standing(task);
    lines.put("command", &task.command);
    if let Some(operation) = &task.operation {
        let parameters = task.parameters.as_ref().map(text::shortened).unwrap_or_default();
        lines.put("operation", format!("{operation} {parameters}").trim_end());
    }
    lines.put_if("directory", task.cwd.as_deref());
    lines.put_if("group", task.group.as_deref());
    lines.put("priority", task.priority.word());
    lines.put_times(task);
    lines.put_run(task);
    lines.put_yield(task);
    for extension in &task.extensions {
        lines.put("extension", &extended(extension));
    }
    for notice in &task.notices {
        lines.put("notice", &told(notice));
    }
    lines.put_if("log", task.log.as_deref());
    lines.text
}

impl Lines {
    /// What comes from a job stands on one line, and moves no cursor.
    fn put(&mut self, label: &str, value: &str) {
        self.put_dressed(label, &clean(value));
    }

    fn put_if(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(label, value);
        }
    }

    /// The value is harmless, and may have colours.
    fn put_dressed(&mut self, label: &str, value: &str) {
        let label = self.paint.dim(&format!("{label:LABEL$}"));
        self.text.push_str(&format!("{label} {value}\n"));
    }

    /// How it stands, and why.
    fn put_standing(&mut self, task: &TaskData) {
        let status = dressed(task.status, task.status.word(), &self.paint);
        match &task.error {
            Some(error) => {
                let code = story::code_name(error.code);
                let message = clean(&error.message);
                self.put_dressed("status", &format!("{status}, {code}: {message}"));
                self.put("hint", &error.remediation);
            }
            None => {
                let percent = match task.status {
                    TaskStatus::Running if task.progress > 0.0 => format!(", {:.0} %", task.progress * 100.0),
                    _ => String::new(),
                };
                self.put_dressed("status", &format!("{status}{percent}"));
            }
        }
        if task.status == TaskStatus::Running {
            self.put_if("says", task.message.as_deref().filter(|message| !message.is_empty()));
        }
        self.put_if("waits for", task.waits_for.as_deref());
        if !task.after.is_empty() {
            self.put("after", &task.after.join(", "));
        }
    }

    fn put_times(&mut self, task: &TaskData) {
        let now = self.now;
        let since = |time: &str| since(time, now).map(|ago| format!(" ({} ago)", rough(ago))).unwrap_or_default();
        let until = |time: &str| until(time, now).map(|left| format!(" (in {})", exact(left))).unwrap_or_default();
        let submitted = format!("{}{} by {}", task.created_at, since(&task.created_at), task.created_by);
        let not_before = task.not_before.as_deref().map(|time| format!("{time}{}", until(time)));
        let started = task.started_at.as_deref().map(|time| format!("{time}{}", since(time)));
        let finished = task.finished_at.as_deref().map(|time| format!("{time}{}", since(time)));
        let deadline = task.deadline_at.as_deref().map(|time| format!("{time}{}", until(time)));
        self.put("submitted", &submitted);
        self.put_if("not before", not_before.as_deref());
        self.put_if("started", started.as_deref());
        self.put_if("finished", finished.as_deref());
        if task.status == TaskStatus::Running {
            self.put_if("deadline", deadline.as_deref());
        }
    }

    fn put_run(&mut self, task: &TaskData) {
        let elapsed = task.elapsed_seconds.map(exact_seconds);
        match task.status {
            TaskStatus::Running => self.put_if("runs for", elapsed.as_deref()),
            _ => self.put_if("took", elapsed.as_deref()),
        }
        let timeout = task.timeout_seconds.map_or_else(|| "none".to_owned(), |seconds| exact(seconds.0));
        self.put("timeout", &timeout);
        if let Some(code) = task.exit_code {
            self.put("exit code", &code.to_string());
        }
        if task.attempts > 1 {
            self.put("attempts", &task.attempts.to_string());
        }
        for attempt in text::attempts(&task.attempt_records) {
            self.put("", &attempt);
        }
        if task.on_crash == OnCrash::Retry {
            self.put("on crash", "it is queued again");
        }
    }

    /// What it gave, or what there is of it.
    fn put_yield(&mut self, task: &TaskData) {
        let gave: Option<CommandData> =
            task.result.as_ref().and_then(|result| serde_json::from_value(result.clone()).ok());
        if let Some(gave) = gave {
            if let Some(result) = &gave.result {
                self.put("result", &text::shortened(result));
            }
            self.put_output(&gave.output);
            self.put_leftovers(gave.leftovers.as_deref().unwrap_or_default());
        }
        if let Some(leftovers) = task.error.as_ref().and_then(|error| error.details.leftovers.as_ref()?.as_deref()) {
            self.put_leftovers(leftovers);
        }
        let partial = task.partial_result.as_ref();
        match partial.or(task.error.as_ref().and_then(|error| error.details.partial_result.as_ref())) {
            Some(PartialResult::Output(output)) => self.put_output(output),
            Some(PartialResult::Value(value)) => self.put("so far", &text::shortened(value)),
            None => {}
        }
    }

    /// As `exec` tells of them when the job ends.
    fn put_leftovers(&mut self, leftovers: &[Leftover]) {
        for leftover in leftovers.iter().take(MOST_LEFTOVERS) {
            self.put("left", &format!("process {} ({})", leftover.pid, leftover.command));
        }
        if leftovers.len() > MOST_LEFTOVERS {
            self.put("left", &format!("{} more", leftovers.len() - MOST_LEFTOVERS));
        }
    }

    fn put_output(&mut self, output: &OutputRecord) {
        if let Some(reported) = &output.reported {
            self.put("reported", &text::shortened(reported));
        }
        let line = text::output_line(output);
        self.put("output", line.strip_prefix("output: ").unwrap_or(&line));
    }
}

fn extended(extension: &ExtensionRecord) -> String {
    let by = exact(extension.by_seconds.0);
    let became = if extension.granted { "granted" } else { "refused" };
    format!("+{by} at {}, {became}", extension.at)
}

fn told(notice: &NoticeRecord) -> String {
    let became = match (notice.delivered, &notice.error) {
        (Some(true), _) => "delivered".to_owned(),
        (Some(false), Some(error)) => format!("failed: {error}"),
        (Some(false), None) => "failed".to_owned(),
        (None, _) => "to come".to_owned(),
    };
    format!("{} {}, {became}", notice.kind, notice.target)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::task as all_about;
    use crate::error::Error;
    use crate::model::attempt::Attempt;
    use crate::model::envelope::{ErrorCode, OutputRecord, PartialResult};
    use crate::model::quantity::Seconds;
    use crate::model::task::{ExtensionRecord, NoticeRecord, OnCrash, TaskData, TaskStatus};
    use crate::render::tasks::fixture::{NOW, task};

    fn shown(task: &TaskData) -> String {
        all_about(task, NOW, false)
    }

    #[test]
    fn a_pending_task_says_what_it_waits_for() {
        let pending = TaskData {
            name: Some("nightly".to_owned()),
            group: Some("net".to_owned()),
            after: vec!["0198c2aa-0001".to_owned(), "0198c2aa-0002".to_owned()],
            waits_for: Some("2 other tasks".to_owned()),
            not_before: Some("2026-03-26T20:05:00.000Z".to_owned()),
            timeout_seconds: None,
            on_crash: OnCrash::Retry,
            ..task("3", TaskStatus::Pending)
        };
        let expected = "\
task        0198c2aa-0003-7000-8000-000000000003
name        nightly
status      pending
waits for   2 other tasks
after       0198c2aa-0001, 0198c2aa-0002
command     make -j4 all
directory   /src/thing
group       net
priority    NORMAL
submitted   2026-03-26T19:59:00.000Z (1m ago) by alice
not before  2026-03-26T20:05:00.000Z (in 5m00s)
timeout     none
on crash    it is queued again
";
        assert_eq!(shown(&pending), expected);
    }

    #[test]
    fn a_running_task_says_how_far_it_is() {
        let output = OutputRecord { stdout_bytes: 7, captured: true, ..OutputRecord::default() };
        let running = TaskData {
            progress: 0.4,
            message: Some("linking\x1b[2J".to_owned()),
            deadline_at: Some("2026-03-26T20:01:30.000Z".to_owned()),
            partial_result: Some(PartialResult::Output(Box::new(output))),
            extensions: vec![ExtensionRecord {
                at: "2026-03-26T19:59:20.000Z".to_owned(),
                by_seconds: Seconds(Duration::from_secs(1800)),
                granted: false,
            }],
            log: Some("/state/logs/0198.log".to_owned()),
            ..task("3", TaskStatus::Running)
        };
        let expected = "\
task        0198c2aa-0003-7000-8000-000000000003
status      running, 40 %
says        linking [2J
command     make -j4 all
directory   /src/thing
priority    NORMAL
submitted   2026-03-26T19:59:00.000Z (1m ago) by alice
started     2026-03-26T19:59:05.000Z (55s ago)
deadline    2026-03-26T20:01:30.000Z (in 1m30s)
runs for    12s
timeout     1m30s
output      7 bytes on stdout, 0 on stderr
extension   +30m00s at 2026-03-26T19:59:20.000Z, refused
log         /state/logs/0198.log
";
        assert_eq!(shown(&running), expected);
    }

    #[test]
    fn a_failed_task_says_why_and_what_to_do() {
        let conflict = Error::Conflict { message: "it\nwas held".to_owned(), remediation: "Let go of it".to_owned() };
        let mut error = conflict.body();
        error.details.partial_result = Some(PartialResult::Value(json!({"done": 3})));
        let attempt = |number| Attempt::refused(number, ErrorCode::NotFound, "no such program");
        let failed = TaskData {
            error: Some(Box::new(error)),
            exit_code: Some(125),
            attempts: 2,
            attempt_records: vec![attempt(1), attempt(2)],
            operation: Some("sleep".to_owned()),
            parameters: Some(json!({"duration": 2})),
            notices: vec![
                NoticeRecord {
                    kind: "command".to_owned(),
                    target: "mail me".to_owned(),
                    delivered: Some(true),
                    error: None,
                },
                NoticeRecord {
                    kind: "webhook".to_owned(),
                    target: "https://h/".to_owned(),
                    delivered: Some(false),
                    error: Some("503".to_owned()),
                },
                NoticeRecord {
                    kind: "webhook".to_owned(),
                    target: "https://i/".to_owned(),
                    delivered: None,
                    error: None,
                },
            ],
            ..task("3", TaskStatus::Failed)
        };
        let expected = "\
task        0198c2aa-0003-7000-8000-000000000003
status      failed, CONFLICT: it was held
hint        Let go of it
command     make -j4 all
operation   sleep {\"duration\":2}
directory   /src/thing
priority    NORMAL
submitted   2026-03-26T19:59:00.000Z (1m ago) by alice
started     2026-03-26T19:59:05.000Z (55s ago)
finished    2026-03-26T19:59:17.000Z (43s ago)
took        12s
timeout     1m30s
exit code   125
attempts    2
            attempt 1 could not be begun: no such program after 0 s
            attempt 2 could not be begun: no such program after 0 s
so far      {\"done\":3}
notice      command mail me, delivered
notice      webhook https://h/, failed: 503
notice      webhook https://i/, to come
";
        assert_eq!(shown(&failed), expected);
    }

    #[test]
    fn a_completed_task_says_what_it_gave() {
        let result = json!({
            "exit_code": 0, "stdout": "hi\n", "stderr": "", "stdout_bytes": 3, "stderr_bytes": 0,
            "stdout_omitted_bytes": 0, "stderr_omitted_bytes": 0, "result": {"files": 2},
            "usage": {"user_seconds": 0.1, "system_seconds": 0.0, "max_rss_bytes": 1},
            "leftovers": [{"pid": 7, "command": "sleep 9", "holds_output": false}]
        });
        let completed = TaskData { result: Some(result), exit_code: Some(0), ..task("3", TaskStatus::Completed) };
        let text = shown(&completed);
        assert!(text.contains("\nresult      {\"files\":2}\noutput      3 bytes on stdout, 0 on stderr\n"), "{text}");
        assert!(text.contains("\nleft        process 7 (sleep 9)\n"), "{text}");
        let odd = TaskData { result: Some(json!("odd")), ..completed.clone() };
        assert!(!shown(&odd).contains("result"), "what is not known is not shown");
        let coloured = all_about(&completed, NOW, true);
        assert!(coloured.contains("\x1b[32mcompleted\x1b[0m"), "{coloured:?}");
        assert_eq!(console::strip_ansi_codes(&coloured), text);
    }
}
