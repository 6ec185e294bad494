//! Cuts a list into the texts of its jobs, one at a time, so that a list of any length is read in the memory of its
//! longest job.

use crate::batch::source::fault::{Fault, Trouble, Wrong};
use crate::batch::source::fields::Fields;
use crate::batch::source::json_array::JsonArray;
use crate::batch::source::reading::Input;
use crate::batch::source::toml_jobs::TomlJobs;
use crate::batch::source::{json, toml_jobs};

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Each line is a job.
    JsonLines,
    JsonArray,
    Toml,
}

/// The text of one job, and the line that it begins on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) text: Vec<u8>,
}

/// The jobs of a list as texts.
#[derive(Debug)]
pub(super) enum Records {
    JsonLines(Input),
    JsonArray(JsonArray),
    Toml(TomlJobs),
}

impl Records {
    /// `input` stands at its beginning.
    pub(super) fn new(input: Input, format: Format) -> Self {
        match format {
            Format::JsonLines => Self::JsonLines(input),
            Format::JsonArray => Self::JsonArray(JsonArray::new(input)),
            Format::Toml => Self::Toml(TomlJobs::new(input)),
        }
    }

    pub(super) fn into_input(self) -> Input {
        match self {
            Self::JsonLines(input) => input,
            Self::JsonArray(array) => array.into_input(),
            Self::Toml(jobs) => jobs.into_input(),
        }
    }

    pub(super) fn format(&self) -> Format {
        match self {
            Self::JsonLines(_) => Format::JsonLines,
            Self::JsonArray(_) => Format::JsonArray,
            Self::Toml(_) => Format::Toml,
        }
    }

    /// Puts what holds for all jobs, and stands before them, into `record`. False: the format has no such place.
    pub(super) fn preamble(&mut self, record: &mut Record) -> Result<bool, Trouble> {
        match self {
            Self::JsonLines(_) | Self::JsonArray(_) => Ok(false),
            Self::Toml(jobs) => jobs.preamble(record).map(|()| true),
        }
    }

    /// Puts the text of the next job into `record`. False: there is none.
    pub(super) fn next(&mut self, record: &mut Record) -> Result<bool, Trouble> {
        record.text.clear();
        match self {
            Self::JsonLines(input) => loop {
                record.line = input.line();
                if !input.read_until(b'\n', &mut record.text)? {
                    return Ok(false);
                }
                if !record.text.iter().all(u8::is_ascii_whitespace) {
                    return Ok(true);
                }
                record.text.clear();
            },
            Self::JsonArray(array) => array.next(record),
            Self::Toml(jobs) => jobs.next(record),
        }
    }
}

impl Record {
    /// The fields of a job.
    pub(super) fn fields(&self, format: Format) -> Result<Fields, Fault> {
        let text = self.utf8()?;
        match format {
            Format::JsonLines | Format::JsonArray => json::fields(text, self.line, format),
            Format::Toml => toml_jobs::fields(text, self.line),
        }
    }

    /// The fields that hold for all jobs.
    pub(super) fn defaults(&self) -> Result<Fields, Fault> {
        toml_jobs::defaults(self.utf8()?, self.line)
    }

    fn utf8(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.text).map_err(|error| {
            let before = &self.text[..error.valid_up_to()];
            let line = self.line + before.iter().filter(|byte| **byte == b'\n').count() as u64;
            let column = before.len() - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) + 1;
            let problem = format!("byte {column} of the line is not UTF-8");
            Wrong::new("", problem, "Write the list in UTF-8").at(line)
        })
    }

    /// The fault with the line that its field stands on, where the text has several.
    pub(super) fn fault(&self, format: Format, wrong: Wrong) -> Fault {
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        let field = wrong.field.split(['.', '[']).next().unwrap_or_default();
        let at = if field.is_empty() || !text.contains('\n') {
            None
        } else {
            match format {
                Format::JsonLines | Format::JsonArray => json::place_of(field, text),
                Format::Toml => toml_jobs::place_of(field, text),
            }
        };
        let lines = at.map_or(0, |at| text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count());
        wrong.at(self.line + lines as u64)
    }
}
