//! The answer for a person: what happened, what was stopped and how, what is left, what to do.

use std::fmt::Write;

use crate::model::attempt::Attempt;
use crate::model::envelope::{Details, Envelope, ErrorCode, PartialResult};
use crate::model::outcome::{Containment, ProcessRow};
use crate::model::printable::{clean, clean_lines};
use crate::render::paint::Paint;
use crate::render::{Format, Style};

/// Rows of processes that a person wants to see.
const ROW_LIMIT: usize = 10;

/// The same of attempts.
const ATTEMPT_LIMIT: usize = 10;

/// Indent of the further lines of a message, as wide as the prefix of the first.
const MESSAGE_INDENT: &str = "        ";

/// A reported value is shown up to so many bytes.
const VALUE_LIMIT: usize = 300;

/// A few lines of text.
#[derive(Clone, Copy, Debug)]
pub struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn render(&self, envelope: &Envelope, style: Style) -> String {
        let paint = Paint { on: style.colour };
        let mut text = String::new();
        let Some(error) = &envelope.error else {
            let _ = writeln!(text, "{}", paint.good("runner: the command succeeded"));
            return text;
        };
        // The message for a list with several faults has several lines.
        let headline = clean_lines(&format!("runner: {}", error.message), MESSAGE_INDENT);
        let _ = writeln!(
            text,
            "{}",
            if error.code == ErrorCode::Cancelled { paint.warn(&headline) } else { paint.bad(&headline) }
        );
        for line in facts(&error.details) {
            let _ = writeln!(text, "  {}", clean(&line));
        }
        if let Some(processes) = &error.details.processes {
            write_rows(&mut text, "processes before the stop:", processes);
        }
        if let Some(termination) = &error.details.termination
            && let Some(survivors) = termination.survivors.as_deref().filter(|survivors| !survivors.is_empty())
        {
            write_rows(&mut text, "still alive, end them by hand:", survivors);
        }
        let _ = writeln!(text, "  {} {}", paint.dim("hint:"), clean(&error.remediation));
        text
    }
}

/// The facts of an error, a line each.
fn facts(details: &Details) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(termination) = &details.termination {
        let signals: Vec<String> = termination.signals.iter().map(|signal| format!("SIG{signal}")).collect();
        let seen = details.processes.as_ref().is_some_and(|processes| !processes.is_empty());
        let how = match (&signals[..], details.elapsed_seconds) {
            // Nothing was there to be stopped: it was over, and another attempt was due.
            ([], Some(elapsed)) if !seen => format!("it was over after {elapsed} s"),
            ([], Some(elapsed)) if termination.survivors.as_deref() != Some(&[]) => {
                format!("no signal reached it after {elapsed} s")
            }
            ([], Some(elapsed)) => format!("stopped after {elapsed} s by the terminal's own signal"),
            (_, Some(elapsed)) => format!("stopped after {elapsed} s with {}", signals.join(", then ")),
            (_, None) => format!("stopped with {}", signals.join(", then ")),
        };
        let end = match (termination.exit_code, termination.signal) {
            (Some(code), _) => format!("; it exited with code {code}"),
            (None, Some(signal)) => format!("; it died of SIG{signal}"),
            (None, None) => String::new(),
        };
        lines.push(format!("{how}{end}"));
        lines.push(match (termination.survivors.as_deref(), termination.containment) {
            (Some([]), Containment::Cgroup) => "nothing is left of it (control group)".to_owned(),
            (Some([]), Containment::Walk) => "nothing is left of it (process tree)".to_owned(),
            (Some([]), Containment::Leader) => "nothing is left of it (children of the guard)".to_owned(),
            (Some(survivors), _) => format!("{} of its processes could not be ended", survivors.len()),
            (None, _) => "whether a process is left of it is unknown: /proc does not show all of them".to_owned(),
        });
    }
    lines.extend(attempts(&details.attempts));
    let output = match &details.partial_result {
        Some(PartialResult::Output(output)) => Some(output),
        Some(PartialResult::Value(value)) => {
            lines.push(format!("so far: {}", shortened(value)));
            details.output.as_ref()
        }
        None => details.output.as_ref(),
    };
    if let Some(output) = output {
        if let Some(progress) = output.progress {
            lines.push(format!("progress: {:.0} %", progress.fraction() * 100.0));
        }
        if let Some(reported) = &output.reported {
            lines.push(format!("reported: {}", shortened(reported)));
        }
        lines.push(output_line(output));
        let lost = output.stdout_undelivered_bytes + output.stderr_undelivered_bytes;
        if lost > 0 {
            lines.push(format!("{lost} bytes of output were not taken by their reader"));
        }
    }
    lines
}

/// What each of several attempts came to; of very many, the last ones.
pub(super) fn attempts(attempts: &[Attempt]) -> Vec<String> {
    let left_out = attempts.len().saturating_sub(ATTEMPT_LIMIT);
    let told = attempts[left_out..].iter().map(|attempt| {
        format!("attempt {} {} after {} s", attempt.attempt, attempt.failure(), attempt.elapsed_seconds)
    });
    let before = (left_out > 0).then(|| format!("{left_out} attempts before these"));
    before.into_iter().chain(told).collect()
}

/// A value on one line, not endless.
pub(super) fn shortened(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if text.len() <= VALUE_LIMIT {
        return text;
    }
    format!("{} ...", &text[..text.floor_char_boundary(VALUE_LIMIT)])
}

pub(super) fn output_line(output: &crate::model::envelope::OutputRecord) -> String {
    if output.captured {
        let merged = if output.merged { " (both streams in one)" } else { "" };
        return format!("output: {} bytes on stdout, {} on stderr{merged}", output.stdout_bytes, output.stderr_bytes);
    }
    match output.not_captured.first().map(String::as_str) {
        Some("stdout") => {
            format!("output: stdout went to the terminal and was not kept, {} bytes on stderr", output.stderr_bytes)
        }
        Some(_) => {
            format!("output: {} bytes on stdout, stderr went to the terminal and was not kept", output.stdout_bytes)
        }
        None => "output: it went to the terminal and was not kept (captured: false)".to_owned(),
    }
}

fn write_rows(text: &mut String, title: &str, rows: &[ProcessRow]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "  {title}");
    for row in rows.iter().take(ROW_LIMIT) {
        let owner = row.uid.map(|uid| format!(" uid {uid}")).unwrap_or_default();
        let waits = row.waiting_in.as_deref().map(|place| format!(", in {place}")).unwrap_or_default();
        let ProcessRow { pid, state, command, cpu_seconds, .. } = row;
        let size = row.rss_bytes / 1024;
        let line = format!("{pid}{owner} {state} {command} (cpu {cpu_seconds:.2} s, {size} KiB{waits})");
        let _ = writeln!(text, "    {}", clean(&line));
    }
    if rows.len() > ROW_LIMIT {
        let _ = writeln!(text, "    and {} more", rows.len() - ROW_LIMIT);
    }
}
