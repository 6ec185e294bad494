//! Jobs as TOML: a table `[defaults]`, and `[[job]]` for each job.
//!
//! The list is cut before each `[[job]]`, and each piece is a document of its own, so that a list of any length is read in
//! the memory of its longest job.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::batch::source::fault::{Fault, Trouble, Wrong};
use crate::batch::source::fields::Fields;
use crate::batch::source::reading::{Input, LONGEST, too_long};
use crate::batch::source::records::Record;
use crate::batch::source::settings;

const REMEDY: &str = "Write [defaults] first, where it is wanted, and [[job]] above the fields of each job";

/// The jobs of a list, one at a time.
#[derive(Debug)]
pub(super) struct TomlJobs {
    input: Input,
    /// The line that the next piece begins with: its text, and its number.
    ahead: Option<(Vec<u8>, u64)>,
    started: bool,
}

impl TomlJobs {
    pub(super) fn new(input: Input) -> Self {
        Self { input, ahead: None, started: false }
    }

    pub(super) fn into_input(self) -> Input {
        self.input
    }

    /// Puts what stands before the first job into `record`.
    pub(super) fn preamble(&mut self, record: &mut Record) -> Result<(), Trouble> {
        self.started = true;
        self.piece(record).map(drop)
    }

    /// Puts the next job into `record`. False: there is none.
    pub(super) fn next(&mut self, record: &mut Record) -> Result<bool, Trouble> {
        if !self.started {
            self.preamble(record)?;
        }
        if self.ahead.is_none() {
            return Ok(false);
        }
        self.piece(record)
    }

    /// Reads up to the next `[[job]]`.
    fn piece(&mut self, record: &mut Record) -> Result<bool, Trouble> {
        record.text.clear();
        let mut nesting = Nesting::default();
        record.line = self.input.line();
        if let Some((text, line)) = self.ahead.take() {
            nesting.pass(&text);
            (record.text, record.line) = (text, line);
        }
        let mut any = !record.text.is_empty();
        loop {
            let line = self.input.line();
            let begins = record.text.len();
            if !self.input.read_until(b'\n', &mut record.text)? {
                return Ok(any);
            }
            any = true;
            record.text.push(b'\n');
            if record.text.len() > LONGEST {
                return Err(too_long(record.line).into());
            }
            let text = &record.text[begins..];
            if nesting.is_outside() && is_job(text) {
                self.ahead = Some((text.to_vec(), line));
                record.text.truncate(begins);
                return Ok(true);
            }
            nesting.pass(text);
        }
    }
}

/// The line says that a job begins.
fn is_job(line: &[u8]) -> bool {
    let inside = line.trim_ascii_start().strip_prefix(b"[[").and_then(|rest| {
        let end = rest.windows(2).position(|pair| pair == b"]]")?;
        Some(rest[..end].trim_ascii())
    });
    matches!(inside, Some(b"job" | b"\"job\"" | b"'job'"))
}

/// Whether the end of a line is inside of a value.
#[derive(Debug, Default)]
struct Nesting {
    /// The quote of a text of several lines.
    quote: Option<u8>,
    /// Open brackets and braces.
    depth: usize,
}

impl Nesting {
    fn is_outside(&self) -> bool {
        self.quote.is_none() && self.depth == 0
    }

    /// Passes over the next line.
    fn pass(&mut self, line: &[u8]) {
        let mut at = 0;
        while at < line.len() {
            let rest = &line[at..];
            at += match self.quote {
                Some(quote) => self.inside(rest, quote),
                None => match rest[0] {
                    b'#' => return,
                    quote @ (b'"' | b'\'') if rest.starts_with(&[quote; 3]) => {
                        self.quote = Some(quote);
                        3
                    }
                    quote @ (b'"' | b'\'') => text_length(rest, quote),
                    b'[' | b'{' => {
                        self.depth += 1;
                        1
                    }
                    b']' | b'}' => {
                        self.depth = self.depth.saturating_sub(1);
                        1
                    }
                    _ => 1,
                },
            };
        }
    }

    /// One step inside of a text of several lines.
    fn inside(&mut self, rest: &[u8], quote: u8) -> usize {
        if quote == b'"' && rest[0] == b'\\' {
            return 2;
        }
        if !rest.starts_with(&[quote; 3]) {
            return 1;
        }
        self.quote = None;
        // Up to two more belong to the text.
        rest.iter().take(5).take_while(|byte| **byte == quote).count()
    }
}

/// The length of a text of one line, with its quotes.
fn text_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' if quote == b'"' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The fields of the job that begins on this line.
pub(super) fn fields(text: &str, line: u64) -> Result<Fields, Fault> {
    let document = parse(text, line)?;
    let mut fields = None;
    for (name, value) in document.get_ref().iter() {
        let place = line + newlines(text, name.span().start);
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("job", DeValue::Array(jobs)) => {
                fields = jobs.iter().next().and_then(|job| job.get_ref().as_table()).map(converted);
            }
            ("defaults", _) => {
                let problem = "[defaults] stands behind a job";
                return Err(Wrong::new("", problem, "Move it before the first [[job]]").at(place));
            }
            (name, _) => return Err(stray(name).at(place)),
        }
    }
    // The piece begins with the job.
    fields.ok_or_else(|| Wrong::new("", "this is no job", REMEDY).at(line))
}

/// What holds for every job, where the text before the first job says something.
pub(super) fn defaults(text: &str, line: u64) -> Result<Fields, Fault> {
    let document = parse(text, line)?;
    let mut fields = Vec::new();
    for (name, value) in document.get_ref().iter() {
        let place = line + newlines(text, name.span().start);
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("defaults", DeValue::Table(table)) => fields = converted(table),
            ("defaults", _) => return Err(Wrong::new("", "defaults is not a table", REMEDY).at(place)),
            ("job", _) => {
                let remedy = "Write [[job]], with two brackets, on a line of its own above the fields of each job";
                return Err(Wrong::new("", "job is not a list of tables", remedy).at(place));
            }
            (name, DeValue::Table(_) | DeValue::Array(_)) => return Err(stray(name).at(place)),
            (name, _) => {
                return Err(Wrong::new(name, "the field stands outside of [defaults] and of any job", REMEDY).at(place));
            }
        }
    }
    Ok(fields)
}

fn stray(name: &str) -> Wrong {
    let remedy = if settings::is_field(name) {
        format!("Write [job.{name}] for a table of the job above")
    } else {
        REMEDY.to_owned()
    };
    Wrong::new("", format!("there is no table '{name}' in a list of jobs"), remedy)
}

/// Where the field of this name stands in a text that is valid TOML.
pub(super) fn place_of(field: &str, text: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let place = |table: &DeTable<'_>| {
        table.iter().find(|(name, _)| name.get_ref().replace('_', "-") == field).map(|(name, _)| name.span().start)
    };
    document.get_ref().iter().find_map(|(_, value)| match value.get_ref() {
        DeValue::Table(table) => place(table),
        DeValue::Array(tables) => tables.iter().find_map(|table| place(table.get_ref().as_table()?)),
        _ => None,
    })
}

fn parse(text: &str, line: u64) -> Result<Spanned<DeTable<'_>>, Fault> {
    DeTable::parse(text).map_err(|error| {
        let place = line + newlines(text, error.span().map_or(0, |span| span.start));
        let remedy = "Correct the TOML there; texts stand in quotes, as in timeout = \"90s\"";
        Wrong::new("", format!("this is no TOML: {}", error.message()), remedy).at(place)
    })
}

fn newlines(text: &str, before: usize) -> u64 {
    text.bytes().take(before).filter(|byte| *byte == b'\n').count() as u64
}

fn converted(table: &DeTable<'_>) -> Fields {
    table.iter().map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref()))).collect()
}

/// The value as JSON would have it. What JSON has no word for becomes a text, which then is the wrong one.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::from),
        DeValue::Float(number) => {
            let float = number.as_str().parse().ok().and_then(Number::from_f64);
            float.map_or_else(|| Value::String(number.to_string()), Value::Number)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(values) => values.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(converted(table).into_iter().collect::<Map<_, _>>()),
    }
}
