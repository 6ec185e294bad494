//! The language in which a job speaks to us: datagrams of lines `KEY=VALUE`, as sd_notify(3) has them.
//!
//! Pure: bytes in, words out. Our end reads it with `Message::read`; the job's end writes it with `Draft`. A part that
//! cannot be understood never spoils the parts beside it.

use std::time::Duration;

use serde_json::Value;

use crate::model::event::STATUS_LIMIT;
use crate::model::outcome::{OperationFailure, Progress};

/// Values up to this size go in the datagram itself; longer ones through a memory file.
pub const INLINE_LIMIT: usize = 64 << 10;
/// The largest value.
pub const VALUE_LIMIT: usize = 1 << 20;
/// How deep a value may be nested: readers of JSON have a limit of their own, and in an answer it stands deeper still.
const DEPTH_LIMIT: usize = 100;
/// So much of what makes no sense is repeated.
const EXCERPT_LIMIT: usize = 40;

const PROGRESS: &str = "X_RUNNER_PROGRESS";
const PARTIAL: &str = "X_RUNNER_PARTIAL";
const RESULT: &str = "X_RUNNER_RESULT";
const FAILURE: &str = "X_RUNNER_FAILURE";
/// Says which key's value is in the memory file that comes with the datagram.
const VALUE_IN_FILE: &str = "X_RUNNER_VALUE_IN_FILE";

/// The sender waits for a reply on the last descriptor that comes with the datagram.
const REPLY: &str = "X_RUNNER_REPLY";
/// A line of a reply: what was refused, and why.
const REFUSED: &str = "X_RUNNER_REFUSED";
/// The line of a reply where nothing was.
const ACCEPTED: &str = "X_RUNNER_ACCEPTED=1";
/// Maximum number of refusals in a reply.
const REFUSALS: usize = 8;

/// Words of sd_notify(3) that mean nothing to us, and yet show that the job is alive.
const HARMLESS: &[&str] = &[
    "READY",
    "RELOADING",
    "ERRNO",
    "BUSERROR",
    "VARLINKERROR",
    "EXIT_STATUS",
    "MAINPID",
    "MAINPIDFDID",
    "MAINPIDFD",
    "WATCHDOG_USEC",
    "MONOTONIC_USEC",
    "FDSTORE",
    "FDSTOREREMOVE",
    "FDNAME",
    "FDPOLL",
    "NOTIFYACCESS",
    "BARRIER",
    "INVOCATION_ID",
    "RESTART_RESET",
];

/// One thing that a job said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Progress(Progress),
    /// One line for people, without control characters.
    Status(String),
    /// The value so far.
    Partial(Value),
    /// It needs so long from now on.
    Extend(Duration),
    /// It lives.
    Alive,
    /// It is stopping by itself.
    Stopping,
    /// What a built-in operation returned.
    Result(Value),
    /// Why a built-in operation failed.
    Failure(OperationFailure),
}

/// A datagram, read. Empty where it was none of the job's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    pub said: Vec<Said>,
    /// What could not be understood, each as a sentence's end.
    pub refused: Vec<String>,
    /// The sender waits for a reply.
    pub wants_reply: bool,
    /// Bytes that were read.
    pub size: usize,
}

impl Message {
    /// Reads a datagram. `file` gives the content of the memory file that came with it, and is called only if a line
    /// speaks of one.
    pub fn read(datagram: &[u8], file: impl FnOnce() -> Result<Vec<u8>, String>) -> Self {
        let mut message = Self { size: datagram.len(), ..Self::default() };
        // One file is one value: a short message must not cost us much time.
        let mut file = Some(file);
        for line in datagram.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if line.strip_prefix(REPLY.as_bytes()) == Some(b"=1") {
                message.wants_reply = true;
                continue;
            }
            let line = std::str::from_utf8(line).map_err(|_| "a line is not valid UTF-8".to_owned());
            let read = line.and_then(|line| match line.split_once('=') {
                None => Err(format!("'{}' has no '='", excerpt(line))),
                Some((VALUE_IN_FILE, key)) => {
                    let file = file.take().ok_or_else(|| format!("{VALUE_IN_FILE} stands in it twice"))?;
                    let value =
                        String::from_utf8(file()?).map_err(|_| "the memory file is not valid UTF-8".to_owned())?;
                    message.size += value.len();
                    read_line(key, &value)
                }
                Some((key, value)) => read_line(key, value),
            });
            match read {
                Ok(said) => message.said.push(said),
                Err(reason) => message.refused.push(reason),
            }
        }
        if message.said.is_empty() && message.refused.is_empty() && !message.wants_reply {
            message.refused.push("it is empty".to_owned());
        }
        message
    }

    /// One of which nothing is understood.
    pub fn refused(reason: &str) -> Self {
        Self { refused: vec![reason.to_owned()], ..Self::default() }
    }
}

fn read_line(key: &str, value: &str) -> Result<Said, String> {
    match key {
        PROGRESS => value.parse().map(Said::Progress).map_err(|error| format!("{PROGRESS}: {error}")),
        PARTIAL => json(key, value).map(Said::Partial),
        RESULT => json(key, value).map(Said::Result),
        FAILURE => serde_json::from_str(value).map(Said::Failure).map_err(|error| format!("{FAILURE}: {error}")),
        "STATUS" => Ok(Said::Status(one_line(value))),
        "WATCHDOG" if value == "1" => Ok(Said::Alive),
        "WATCHDOG" => Err(format!("WATCHDOG={} is not 1", excerpt(value))),
        "EXTEND_TIMEOUT_USEC" => match value.parse() {
            Ok(micros) => Ok(Said::Extend(Duration::from_micros(micros))),
            Err(_) => Err(format!("EXTEND_TIMEOUT_USEC: '{}' is no number of microseconds", excerpt(value))),
        },
        "STOPPING" if value == "1" => Ok(Said::Stopping),
        _ if HARMLESS.contains(&key) => Ok(Said::Alive),
        _ => Err(format!("the key '{}' is not known", excerpt(key))),
    }
}

fn json(key: &str, value: &str) -> Result<Value, String> {
    if value.len() > VALUE_LIMIT {
        return Err(format!("{key}: the value is longer than 1 MiB"));
    }
    let value = serde_json::from_str(value).map_err(|error| format!("{key}: it is not JSON: {error}"))?;
    if is_deeper(&value, DEPTH_LIMIT) {
        return Err(format!("{key}: the value is nested more than {DEPTH_LIMIT} deep"));
    }
    Ok(value)
}

fn is_deeper(value: &Value, limit: usize) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if limit == 0 => true,
        Value::Array(items) => items.iter().any(|item| is_deeper(item, limit - 1)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, limit - 1)),
        _ => false,
    }
}

/// Text for one line of a terminal: no control characters, and not endless.
fn one_line(text: &str) -> String {
    cut(text, STATUS_LIMIT).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The beginning of a text, for a message. Dots say that there is more.
fn excerpt(text: &str) -> String {
    let start = cut(text, EXCERPT_LIMIT);
    format!("{start}{}", if start.len() < text.len() { "..." } else { "" })
}

/// At most so many bytes from the start, and no broken character.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// What the receiver replies: nothing was refused, or these things were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    pub refused: Vec<String>,
}

impl Reply {
    pub fn bytes(&self) -> Vec<u8> {
        if self.refused.is_empty() {
            return ACCEPTED.as_bytes().to_vec();
        }
        let lines = self.refused.iter().take(REFUSALS).map(|reason| format!("{REFUSED}={}", one_line(reason)));
        lines.collect::<Vec<_>>().join("\n").into_bytes()
    }

    /// Reads a reply. None where it is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        if text == ACCEPTED {
            return Some(Self::default());
        }
        let refused: Option<Vec<String>> = text
            .lines()
            .map(|line| Some(line.split_once('=').filter(|(key, _)| *key == REFUSED)?.1.to_owned()))
            .collect();
        refused.filter(|refused| !refused.is_empty()).map(|refused| Self { refused })
    }
}

/// A datagram in the making.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    lines: String,
    /// The value that goes through a memory file.
    pub(super) file: Option<Vec<u8>>,
}

impl Draft {
    pub fn progress(&mut self, text: &str) {
        self.line(PROGRESS, text);
    }

    pub fn status(&mut self, text: &str) {
        self.line("STATUS", &one_line(text));
    }

    pub fn alive(&mut self) {
        self.line("WATCHDOG", "1");
    }

    pub fn extend(&mut self, from_now: Duration) {
        let micros = u64::try_from(from_now.as_micros()).unwrap_or(u64::MAX);
        self.line("EXTEND_TIMEOUT_USEC", &micros.to_string());
    }

    pub fn stopping(&mut self) {
        self.line("STOPPING", "1");
    }

    pub fn partial(&mut self, value: &Value) {
        self.value(PARTIAL, value.to_string());
    }

    pub fn result(&mut self, value: &Value) {
        self.value(RESULT, value.to_string());
    }

    pub fn failure(&mut self, failure: &OperationFailure) {
        let text = serde_json::to_string(failure).expect("a failure is always valid JSON");
        self.value(FAILURE, text);
    }

    /// A reply is waited for.
    pub fn ask(&mut self) {
        self.line(REPLY, "1");
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The bytes of the datagram.
    pub fn bytes(&self) -> &[u8] {
        self.lines.as_bytes()
    }

    /// Only one value in a datagram can be long.
    fn value(&mut self, key: &str, text: String) {
        if text.len() + key.len() + self.lines.len() < INLINE_LIMIT {
            self.line(key, &text);
        } else {
            self.line(VALUE_IN_FILE, key);
            self.file = Some(text.into_bytes());
        }
    }

    fn line(&mut self, key: &str, value: &str) {
        for part in [key, "=", value, "\n"] {
            self.lines.push_str(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{Draft, Message, Reply, Said};
    use crate::model::outcome::Progress;

    fn no_file() -> Result<Vec<u8>, String> {
        Err("no memory file came with it".to_owned())
    }

    #[test]
    fn a_draft_is_read_as_it_was_meant() {
        let mut draft = Draft::default();
        draft.progress("17/40");
        draft.status("linking\tthings");
        draft.partial(&json!({"objects": 17}));
        draft.extend(Duration::from_secs(30));
        draft.alive();
        draft.stopping();
        let message = Message::read(draft.bytes(), no_file);
        assert_eq!(message.refused, Vec::<String>::new());
        let expected = vec![
            Said::Progress("42.5%".parse::<Progress>().expect("a fraction")),
            Said::Status("linking things".to_owned()),
            Said::Partial(json!({"objects": 17})),
            Said::Extend(Duration::from_secs(30)),
            Said::Alive,
            Said::Stopping,
        ];
        assert_eq!(message.said, expected);
    }

    #[test]
    fn a_long_value_goes_through_a_file() {
        let value = json!("x".repeat(70_000));
        let mut draft = Draft::default();
        draft.partial(&value);
        assert!(draft.bytes().len() < 100);
        let message = Message::read(draft.bytes(), || Ok(draft.file.clone().unwrap_or_default()));
        assert_eq!(message.said, vec![Said::Partial(value)]);
        assert!(Message::read(draft.bytes(), no_file).said.is_empty());
    }

    #[test]
    fn what_is_wrong_is_refused_and_the_rest_is_taken() {
        let message =
            Message::read(b"STATUS=fine\nX_RUNNER_PROGRESS=lots\nnothing\nX_RUNNER_PARTIAL={\nFOO=1\n", no_file);
        assert_eq!(message.said, vec![Said::Status("fine".to_owned())]);
        assert_eq!(message.refused.len(), 4, "{:?}", message.refused);
        assert_eq!(Message::read(b"\xff\xfe=1", no_file).refused.len(), 1);
        assert_eq!(Message::read(b"", no_file).refused.len(), 1);
        assert_eq!(Message::read(b"READY=1\nMAINPID=7", no_file).refused, Vec::<String>::new());
    }

    #[test]
    fn bytes_that_are_no_text_spoil_their_own_line_alone() {
        let message = Message::read(b"STATUS=a\nX=\xff\nSTATUS=b", no_file);
        assert_eq!(message.said, vec![Said::Status("a".to_owned()), Said::Status("b".to_owned())]);
        assert_eq!(message.refused.len(), 1, "{:?}", message.refused);
    }

    #[test]
    fn a_file_is_read_once_and_only_if_it_is_spoken_of() {
        let mut calls = 0;
        let line = "X_RUNNER_VALUE_IN_FILE=X_RUNNER_PARTIAL\n";
        let message = Message::read(line.repeat(3).as_bytes(), || {
            calls += 1;
            Ok(b"7".to_vec())
        });
        assert_eq!((message.said, message.refused.len(), calls), (vec![Said::Partial(json!(7))], 2, 1));
        Message::read(b"FDSTORE=1", || panic!("nobody spoke of it"));
    }

    #[test]
    fn a_reply_is_read_as_it_was_meant() {
        let mut draft = Draft::default();
        draft.ask();
        let message = Message::read(draft.bytes(), no_file);
        assert_eq!((message.wants_reply, message.said.len(), message.refused.len()), (true, 0, 0));
        for refused in [vec![], vec!["only this".to_owned()], vec!["one".to_owned(), "a=b".to_owned()]] {
            let reply = Reply { refused };
            assert_eq!(Reply::read(&reply.bytes()), Some(reply));
        }
        assert_eq!(Reply::read(b""), None);
        assert_eq!(Reply::read(b"nonsense"), None);
        let many = Reply { refused: vec!["\u{1b}".repeat(1_000); 100] };
        assert!(many.bytes().len() <= crate::platform::datagrams::REPLY_LIMIT && !many.bytes().contains(&0x1b));
    }

    #[test]
    fn a_value_is_nested_only_so_deep() {
        let nested = |depth: usize| format!("X_RUNNER_PARTIAL={}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(Message::read(nested(100).as_bytes(), no_file).said.len(), 1);
        for depth in [101, 126, 10_000] {
            assert_eq!(Message::read(nested(depth).as_bytes(), no_file).refused.len(), 1, "{depth}");
        }
    }
}
