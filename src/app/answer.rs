//! Where an answer goes: stdout, stderr, the report file, or nowhere.
//!
//! Called once at the end of a verb. An answer that cannot be delivered never changes what it says.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, Result, plain};
use crate::model::answer::RequestInfo;
use crate::model::attempt::Attempt;
use crate::model::envelope::Envelope;
use crate::model::printable::{clean, escape_json};
use crate::model::request::{AnswerOptions, ErrorFormat};
use crate::model::secrets::Secrets;
use crate::model::unique_id::unique_id;
use crate::platform::descriptors::{self, Moved};
use crate::platform::files;
use crate::render::{self, Format, Style, json::Json};
use crate::time::clock::{Clock, SystemClock, rfc3339, unix_time};

/// A pipe takes so much at once or nothing of it. See pipe(7).
const PIPE_PORTION: usize = 4096;
/// After a stop, a reader of stderr that takes nothing for so long is given up.
const STDERR_PATIENCE: Duration = Duration::from_secs(1);
/// The same for the answer itself on stdout: whoever asked for it may have to start first.
const STDOUT_PATIENCE: Duration = Duration::from_secs(10);

/// One request, from its start to its answer.
#[derive(Debug)]
pub struct Request {
    clock: SystemClock,
    timestamp: Duration,
    id: uuid::Uuid,
    name: Option<String>,
    attempts: Vec<Attempt>,
    secrets: Secrets,
}

impl Request {
    /// A request that begins now.
    pub fn begin(name: Option<String>) -> Self {
        Self {
            clock: SystemClock::start(),
            timestamp: unix_time(),
            id: unique_id(),
            name,
            attempts: Vec::new(),
            secrets: Secrets::default(),
        }
    }

    /// Identifies the job of this request.
    pub fn job_id(&self) -> String {
        self.id.to_string()
    }

    /// A number unlike that of any other request.
    pub fn seed(&self) -> u64 {
        self.id.as_u64_pair().1
    }

    /// What no answer to it may show.
    pub fn keep_secret(&mut self, secrets: Secrets) {
        self.secrets = secrets;
    }

    /// The attempts that the answer tells of.
    pub fn note_attempts(&mut self, attempts: Vec<Attempt>) {
        self.attempts = attempts;
    }

    /// What an envelope made now says of it.
    pub fn info(&self) -> RequestInfo {
        RequestInfo {
            request_id: format!("req_{}", self.id.simple()),
            timestamp: rfc3339(self.timestamp),
            duration: self.clock.now() - crate::time::clock::Moment::default(),
            name: self.name.clone(),
            job_id: None,
            attempts: self.attempts.clone(),
            secrets: self.secrets.clone(),
        }
    }
}

/// Writes the answer to stdout. `stopped`: a reader that never reads must not delay it for ever.
pub fn to_stdout(envelope: &Envelope, stopped: bool) -> io::Result<()> {
    let style = Style { colour: false, terminal: descriptors::is_terminal(descriptors::stdout()) };
    let bytes = Json.render(envelope, style).into_bytes();
    let written = if stopped {
        descriptors::write_patiently(descriptors::stdout(), &bytes, STDOUT_PATIENCE)
    } else {
        descriptors::write_all(descriptors::stdout(), &bytes)
    };
    // A reader that left has all that it wanted.
    written.map(drop)
}

/// Writes the error to stderr, as text for people or as a line of JSON. `fresh_line`: it stands at the start of a line.
/// `stopped`: a reader that never reads must not delay it for ever.
pub fn to_stderr(envelope: &Envelope, format: Option<ErrorFormat>, fresh_line: bool, stopped: bool) {
    let terminal = descriptors::is_terminal(descriptors::stderr());
    let format = format.unwrap_or(if terminal { ErrorFormat::Text } else { ErrorFormat::Json });
    let colour = terminal && !no_colour();
    let (name, style) = match format {
        ErrorFormat::Text => ("text", Style { colour, terminal }),
        // One line even at a terminal: it is a line among others.
        ErrorFormat::Json => ("json", Style::default()),
    };
    let mut text = render::by_name(name).map(|format| format.render(envelope, style)).unwrap_or_default();
    if format == ErrorFormat::Json {
        text = json_for(descriptors::stderr(), &text).into_owned();
    }
    if !fresh_line {
        text.insert(0, '\n');
    }
    let _ = if stopped {
        descriptors::write_patiently(descriptors::stderr(), text.as_bytes(), STDERR_PATIENCE)
    } else {
        descriptors::write_all(descriptors::stderr(), text.as_bytes())
    };
}

/// JSON as it is written to this stream: unchanged, or with control characters escaped on a terminal.
pub(super) fn json_for<'a>(stream: BorrowedFd<'_>, json: &'a str) -> Cow<'a, str> {
    if descriptors::is_terminal(stream) { escape_json(json) } else { Cow::Borrowed(json) }
}

/// Writes one line of runner's own to stderr. Control characters in it become blanks.
pub fn say(line: &str) {
    write_line_within(&clean(line), STDERR_PATIENCE);
}

/// Writes the output of a renderer or of the parser to stderr unchanged: it may have several lines and colours.
pub fn say_rendered(text: &str) {
    write_line_within(text.trim_end(), STDERR_PATIENCE);
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Whole,
    /// The time was too short, and nothing was written.
    Nothing,
    /// The time was too short for the rest of it.
    Torn,
    /// Nobody reads it, now or later.
    ToNobody,
}

/// Writes a line to stderr unchanged, waiting no longer than `patience`. Also returns how much of that is left.
pub(super) fn write_line_within(line: &str, patience: Duration) -> (Said, Duration) {
    let clock = SystemClock::start();
    let begun = clock.now();
    let left = || patience.saturating_sub(clock.now() - begun);
    let line = format!("{line}\n");
    for (index, portion) in line.as_bytes().chunks(PIPE_PORTION).enumerate() {
        match descriptors::write_patiently(descriptors::stderr(), portion, left()) {
            Ok(Moved::Bytes(_)) => {}
            Ok(Moved::WouldBlock) if index == 0 => return (Said::Nothing, left()),
            Ok(Moved::WouldBlock) => return (Said::Torn, left()),
            Ok(Moved::Broken) | Err(_) => return (Said::ToNobody, left()),
        }
    }
    (Said::Whole, left())
}

/// The user wants no colours.
pub(super) fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

/// A report file that was looked at before the job started.
#[derive(Debug)]
pub struct Report {
    path: PathBuf,
}

impl Report {
    /// Fails where the report can certainly not be written.
    pub fn check(path: &Path) -> Result<Self> {
        let help = "Check --report: its folder must exist and be writable";
        files::check_writable(path).map_err(Error::path("write the report", path, help))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Writes what is known so far, where it can be replaced, without waiting for the disk. What goes wrong is said by the
    /// last report, which has to wait for this one.
    pub fn write_interim(&self, envelope: &Envelope) -> Option<JoinHandle<()>> {
        if !files::is_replaced(&self.path) {
            return None;
        }
        let (path, bytes) = (self.path.clone(), Json.render(envelope, Style::default()).into_bytes());
        let write = move || drop(files::replace(&path, &bytes));
        thread::Builder::new().name("report".to_owned()).spawn(write).ok()
    }

    /// Writes it. Whatever goes wrong now is said and costs nothing else.
    pub fn write(&self, envelope: &Envelope) {
        let bytes = Json.render(envelope, Style::default()).into_bytes();
        if let Err(error) = files::replace(&self.path, &bytes) {
            say(&format!("runner: cannot write the report {}: {}", self.path.display(), plain(&error)));
        }
    }
}

/// Delivers an error of runner's own, before or instead of a job's answer.
pub fn deliver_error(error: &Error, options: &AnswerOptions, request: &Request) {
    let mut envelope = crate::model::answer::of_error(error.body(), &request.info());
    options.secrets.mask_envelope(&mut envelope);
    if options.json {
        let _ = to_stdout(&envelope, false);
    } else {
        to_stderr(&envelope, options.error_format, true, false);
    }
    if let Some(path) = &options.report
        && let Ok(report) = Report::check(path)
    {
        report.write(&envelope);
    }
}

/// True where bytes that end so leave the cursor at the start of a line.
pub fn ends_line(last: Option<&u8>) -> bool {
    last.is_none_or(|byte| *byte == b'\n')
}

/// Writes `text` to stdout. A reader that left has all that it wanted.
pub fn print(text: &str) -> Result<()> {
    match descriptors::write_all(descriptors::stdout().as_fd(), text.as_bytes()) {
        Ok(Moved::Bytes(_) | Moved::Broken | Moved::WouldBlock) => Ok(()),
        Err(source) => Err(Error::System { action: "write to stdout", source }),
    }
}
