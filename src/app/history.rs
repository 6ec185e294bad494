//! `runner history`, and the timeouts that other verbs make of it.
//!
//! Reads the store and never makes one. A history that is missing or out of order costs no job anything: its timeout is
//! the default one then.

use std::sync::Arc;
use std::time::Duration;

use crate::app::answer::{self, Request};
use crate::app::state;
use crate::error::{Error, Result};
use crate::model::auto_timeout::{AutoTimeout, Suggestion};
use crate::model::envelope::{Envelope, ErrorCode};
use crate::model::exit_code::{self, Exit};
use crate::model::history_data::{HistoryData, HistoryEntry};
use crate::model::job::JobSpec;
use crate::model::quantity::Seconds;
use crate::model::request::HistoryRequest;
use crate::model::sample::Subject;
use crate::platform::{descriptors, pty};
use crate::render::{Style, history, json};
use crate::store::{KEPT, Store};
use crate::time::clock::rfc3339;

/// So many are listed where nobody said otherwise.
const LISTED: u32 = 50;
/// A subject may have a few more samples than are meant to be kept.
const ALL: u32 = 2 * KEPT;

/// Prints the history, or answers why not, and says how to leave.
pub fn run(request: HistoryRequest) -> Exit {
    let begun = Request::begin(None);
    match look_up(&request).and_then(|data| print(&request, data, &begun)) {
        Ok(()) => Exit::Code(0),
        Err(error) => {
            answer::deliver_error(&error, &request.answer, &begun);
            Exit::Code(match error.kind() {
                ErrorCode::NotFound => exit_code::REFUSED,
                _ => error.exit_code(),
            })
        }
    }
}

fn look_up(request: &HistoryRequest) -> Result<HistoryData> {
    let store = Store::open_to_read(&state::folder()?)?;
    let nothing = HistoryData { entries: Vec::new(), total: 0 };
    let Some(store) = store else {
        return request.of.as_deref().map_or(Ok(nothing), |of| Err(unknown(of)));
    };
    let subjects = match &request.of {
        Some(of) => store.find_subjects(of)?,
        None => store.subjects(request.limit.unwrap_or(LISTED))?,
    };
    if let (Some(of), true) = (&request.of, subjects.is_empty()) {
        return Err(unknown(of));
    }
    let limit = request.limit.filter(|_| request.of.is_some()).unwrap_or(ALL);
    let entry = |subject: Subject| {
        let subject = Arc::new(subject);
        let samples = store.samples(&subject, limit)?;
        let entry = HistoryEntry::of(&subject, &samples, &request.auto, rfc3339);
        Ok(if request.of.is_some() { entry.with_histogram(&samples) } else { entry })
    };
    let total = if request.of.is_some() { subjects.len() as u64 } else { store.count_subjects()? };
    Ok(HistoryData { entries: subjects.into_iter().map(entry).collect::<Result<_>>()?, total })
}

fn print(request: &HistoryRequest, data: HistoryData, begun: &Request) -> Result<()> {
    let terminal = descriptors::is_terminal(descriptors::stdout());
    if request.answer.json {
        let style = Style { colour: false, terminal };
        return answer::print(&json::text(&Envelope::success(data, &begun.info()), style));
    }
    let width = pty::size(descriptors::stdout()).map(|size| usize::from(size.columns)).filter(|width| *width > 0);
    let marks = if speaks_unicode() { history::Marks::Blocks } else { history::Marks::Ascii };
    answer::print(&match request.of {
        None => history::table(&data, width),
        Some(_) => history::details(&data, marks),
    })
}

fn unknown(of: &str) -> Error {
    Error::Missing {
        message: format!("there is no history of '{of}'"),
        remediation: "'runner history' lists what there is; jobs are recorded by exec, op and batch with --record"
            .to_owned(),
    }
}

/// The locale says that whoever reads us understands more than ASCII. The first variable that is set decides, see
/// locale(7).
fn speaks_unicode() -> bool {
    let set = |name: &&str| std::env::var_os(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// The timeout that a job was given, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub suggestion: Suggestion,
    pub factor: f64,
    /// Why the history could not be read.
    pub trouble: Option<String>,
}

impl Resolved {
    /// The same for people.
    pub fn line(&self) -> String {
        let Suggestion { timeout, successes, basis } = self.suggestion;
        let timeout = Seconds(timeout);
        match (basis, &self.trouble) {
            (Some(basis), _) => format!(
                "the timeout is {timeout} s, made of {successes} successes: their trimmed p95 is {} s, the factor {}",
                Seconds(basis),
                self.factor
            ),
            (None, Some(trouble)) => format!("the timeout is {timeout} s, the default: {trouble}"),
            (None, None) => {
                format!("the timeout is {timeout} s, the default: {successes} successes are too few to go by")
            }
        }
    }
}

/// Gives a job the timeout that its history suggests, or the default one.
pub fn resolve(job: &mut JobSpec, auto: &AutoTimeout) -> Resolved {
    Reader::open().resolve(job, auto)
}

/// An open history, for many jobs.
#[derive(Debug)]
pub struct Reader {
    store: Option<Store>,
    trouble: Option<String>,
}

impl Reader {
    pub fn open() -> Self {
        match state::folder().and_then(|folder| Store::open_to_read(&folder)) {
            Ok(store) => Self { store, trouble: None },
            Err(error) => Self { store: None, trouble: Some(error.to_string()) },
        }
    }

    /// Gives a job the timeout that its history suggests, or the default one.
    pub fn resolve(&mut self, job: &mut JobSpec, auto: &AutoTimeout) -> Resolved {
        let read = self.store.as_ref().map(|store| store.resolve_timeout(job, auto));
        let suggestion = match read {
            Some(Ok(suggestion)) => suggestion,
            Some(Err(error)) => {
                // It is not waited for a second time.
                self.store = None;
                self.trouble = Some(error.to_string());
                auto.apply(&mut job.limits, &[])
            }
            None => auto.apply(&mut job.limits, &[]),
        };
        Resolved { suggestion, factor: auto.factor, trouble: self.trouble.clone() }
    }
}

/// What the timeouts of the jobs of a batch came to.
#[derive(Debug, Default)]
pub struct Tally {
    by_history: u64,
    by_default: u64,
    shortest: Option<Duration>,
    longest: Option<Duration>,
    trouble: Option<String>,
}

impl Tally {
    pub fn note(&mut self, resolved: &Resolved) {
        match resolved.suggestion.basis {
            Some(_) => self.by_history += 1,
            None => self.by_default += 1,
        }
        let timeout = resolved.suggestion.timeout;
        self.shortest = Some(self.shortest.map_or(timeout, |shortest| shortest.min(timeout)));
        self.longest = Some(self.longest.map_or(timeout, |longest| longest.max(timeout)));
        self.trouble.clone_from(&resolved.trouble);
    }

    /// The same for people. None: no timeout was made of the history.
    pub fn line(&self) -> Option<String> {
        let (shortest, longest) = (Seconds(self.shortest?), Seconds(self.longest?));
        let trouble = self.trouble.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
        Some(format!(
            "timeouts of {shortest} to {longest} s: {} by the history, {} by the default{trouble}",
            self.by_history, self.by_default
        ))
    }
}
