//! JUnit's XML as Jenkins, GitLab and their kin read it: one suite, a case for each job.
//!
//! The case is written when the job ends and is not kept; the elements around all cases need the totals and so are made
//! at the end, as the head of the file. Retries stand as Maven's surefire has them. Only what the schemas of all of
//! those readers allow is written.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::attempt::Attempt;
use crate::model::batch::{Ended, Verdict};
use crate::model::envelope::{Envelope, ErrorCode};
use crate::render::records::{Record, Summary, story};

/// Of each stream of a job that did not succeed, so much of the end; of one that did, less.
const FAILURE_TAIL: usize = 64 * 1024;
const SUCCESS_TAIL: usize = 4 * 1024;
/// Of the output of a failure, so much stands in the element itself, where every reader shows it.
const EXCERPT: usize = 4 * 1024;
const EXCERPT_LINES: usize = 40;
/// No name is longer.
const NAME_LIMIT: usize = 512;
/// So many names are told apart; of later jobs each is numbered.
const KNOWN_NAMES: usize = 1_000_000;
const MESSAGE_LIMIT: usize = 2000;

/// The report, without the cases that are written already.
#[derive(Debug)]
pub(super) struct Junit {
    /// The name of the suite, and the class of all cases.
    suite: String,
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
    /// Hashes of the names so far: GitLab reads only the first of several cases of one name.
    names: HashSet<u64>,
}

/// What a case comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Passed,
    /// The job ran and did not succeed.
    Failure,
    /// It could not be run, or it was not let.
    Error,
    Skipped,
}

impl Junit {
    pub(super) fn new(batch: &str) -> Self {
        let suite = if batch.is_empty() { "batch".to_owned() } else { story::shortened(batch, NAME_LIMIT) };
        Self { suite, tests: 0, failures: 0, errors: 0, skipped: 0, names: HashSet::new() }
    }

    fn count(&mut self, kind: Kind) {
        self.tests += 1;
        match kind {
            Kind::Passed => {}
            Kind::Failure => self.failures += 1,
            Kind::Error => self.errors += 1,
            Kind::Skipped => self.skipped += 1,
        }
    }

    /// A name that no other case of the suite has.
    fn name(&mut self, ended: &Ended) -> String {
        let title = story::shortened(&ended.title, NAME_LIMIT);
        if self.is_new(&title) {
            return title;
        }
        let mut name = format!("{title} #{}", ended.seq);
        // Another job may be called just that.
        while self.names.len() < KNOWN_NAMES && !self.is_new(&name) {
            name.push_str(&format!(" #{}", ended.seq));
        }
        name
    }

    /// No case is called so yet; from now on one is.
    fn is_new(&mut self, name: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        self.names.len() < KNOWN_NAMES && self.names.insert(hasher.finish())
    }
}

impl Record for Junit {
    fn head(&mut self, summary: &Summary, out: &mut Vec<u8>) {
        let suite = attribute(&self.suite);
        let time = story::seconds(summary.elapsed);
        // Without fraction and zone, as the strictest schema has it. It is UTC.
        let stamp = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + summary.started_at).to_string();
        let stamp = stamp.trim_end_matches('Z');
        let (tests, failures, errors, skipped) = (self.tests, self.failures, self.errors, self.skipped);
        let head = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuites name=\"{suite}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time}\">\n\
             <testsuite name=\"{suite}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
             skipped=\"{skipped}\" time=\"{time}\" timestamp=\"{stamp}\">\n"
        );
        out.extend_from_slice(head.as_bytes());
    }

    fn job(&mut self, ended: &Ended, envelope: &Envelope, out: &mut Vec<u8>) {
        let kind = kind(ended);
        self.count(kind);
        let name = self.name(ended);
        let mut xml = String::new();
        let _ = write!(
            xml,
            "<testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
            attribute(&self.suite),
            attribute(&name),
            story::seconds(ended.duration())
        );
        let opened = xml.len();
        xml.push('>');
        write_result(&mut xml, kind, ended, envelope);
        write_retries(&mut xml, ended);
        write_output(&mut xml, kind, envelope);
        if xml.len() == opened + 1 {
            xml.truncate(opened);
            xml.push_str("/>\n");
        } else {
            xml.push_str("\n</testcase>\n");
        }
        out.extend_from_slice(xml.as_bytes());
    }

    fn end(&mut self, _: &Summary, out: &mut Vec<u8>) {
        out.extend_from_slice(b"</testsuite>\n</testsuites>\n");
    }
}

fn kind(ended: &Ended) -> Kind {
    match ended.verdict {
        Verdict::Succeeded | Verdict::Flaky => Kind::Passed,
        Verdict::Skipped => Kind::Skipped,
        Verdict::Cancelled => Kind::Error,
        Verdict::Failed | Verdict::TimedOut if story::never_ran(ended) => Kind::Error,
        Verdict::Failed | Verdict::TimedOut => Kind::Failure,
    }
}

/// The type that readers group failures by.
fn type_of(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::Timeout) => "timeout",
        Some(code) => story::code_name(code),
        None => "failure",
    }
}

/// The element that says that the case did not pass. Jenkins shows its attribute, GitLab its content.
fn write_result(xml: &mut String, kind: Kind, ended: &Ended, envelope: &Envelope) {
    let message = story::shortened(&story::cause(ended, envelope), MESSAGE_LIMIT);
    let element = match kind {
        Kind::Passed => return,
        Kind::Skipped => {
            let _ = write!(xml, "\n<skipped message=\"{}\">{}</skipped>", attribute(&message), content(&message));
            return;
        }
        Kind::Failure => "failure",
        Kind::Error => "error",
    };
    let error = story::error(ended, envelope);
    let code = error.map(|error| error.code).or_else(|| ended.attempts.last().and_then(|attempt| attempt.code));
    let _ = write!(xml, "\n<{element} type=\"{}\" message=\"{}\">", type_of(code), attribute(&message));
    let mut text = format!("{message}\ncommand: {}", story::shortened(&ended.command, MESSAGE_LIMIT));
    if let Some(error) = error {
        let _ = write!(text, "\nhint: {}", error.remediation);
    }
    if let Some(output) = story::output(envelope) {
        let (excerpt, _) = story::tail(story::telling(output).trim_end(), EXCERPT);
        let lines: Vec<&str> = excerpt.lines().collect();
        let lines = &lines[lines.len().saturating_sub(EXCERPT_LINES)..];
        if !lines.is_empty() {
            let _ = write!(text, "\n\n{}", lines.join("\n"));
        }
    }
    let _ = write!(xml, "{}</{element}>", content(&text));
}

/// The attempts before the last one. The last is the case itself, since its output is the one that was kept.
fn write_retries(xml: &mut String, ended: &Ended) {
    let Some((_, earlier)) = ended.attempts.split_last() else { return };
    for attempt in earlier {
        let flaky = if ended.verdict == Verdict::Flaky { "flaky" } else { "rerun" };
        let kind = match attempt.code {
            Some(ErrorCode::CommandFailed | ErrorCode::Timeout) | None => "Failure",
            Some(_) => "Error",
        };
        let message = attempt_message(attempt);
        let _ = write!(
            xml,
            "\n<{flaky}{kind} type=\"{}\" message=\"{}\"><stackTrace>{}</stackTrace></{flaky}{kind}>",
            type_of(attempt.code),
            attribute(&message),
            content(&message)
        );
    }
}

fn attempt_message(attempt: &Attempt) -> String {
    let what = attempt.message.as_deref().unwrap_or("it did not succeed");
    let message = format!("attempt {} after {:.3} s: {what}", attempt.attempt, attempt.elapsed_seconds);
    story::shortened(&message, MESSAGE_LIMIT)
}

fn write_output(xml: &mut String, kind: Kind, envelope: &Envelope) {
    let Some(output) = story::output(envelope) else { return };
    let limit = if kind == Kind::Passed { SUCCESS_TAIL } else { FAILURE_TAIL };
    for (element, text) in [("system-out", &output.stdout), ("system-err", &output.stderr)] {
        if text.is_empty() {
            continue;
        }
        let (tail, before) = story::tail(text, limit);
        let marker = if before > 0 { format!("[... {before} bytes before this ...]\n") } else { String::new() };
        let _ = write!(xml, "\n<{element}>{marker}{}</{element}>", content(tail));
    }
}

/// Text between tags.
fn content(text: &str) -> String {
    escaped(text, false)
}

/// Text between double quotes.
fn attribute(text: &str) -> String {
    escaped(text, true)
}

/// Characters that XML 1.0 allows, those with a meaning as references; sequences that colour a terminal are left out.
fn escaped(text: &str, attribute: bool) -> String {
    let text = console::strip_ansi_codes(text);
    let mut xml = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            // Always, so that `]]>` cannot stand anywhere.
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // A parser makes a space of a line break in an attribute, and a line feed of a carriage return in a text.
            '\n' | '\t' | '\r' if attribute => {
                let _ = write!(xml, "&#{};", u32::from(c));
            }
            '\r' if characters.peek() == Some(&'\n') => {}
            // A line that overwrites itself is a line each time.
            '\r' => xml.push('\n'),
            c if is_allowed(c) => xml.push(c),
            _ => xml.push(char::REPLACEMENT_CHARACTER),
        }
    }
    xml
}

/// The production `Char` of XML 1.0.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
