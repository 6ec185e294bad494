//! A job as JSON: its fields, and where each stands.

use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use crate::batch::source::fault::{Fault, Wrong};
use crate::batch::source::fields::Fields;
use crate::batch::source::records::Format;

/// The fields of the job that begins on this line.
pub(super) fn fields(text: &str, line: u64, format: Format) -> Result<Fields, Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = deserializer.deserialize_map(FieldList).and_then(|fields| deserializer.end().map(|()| fields));
    fields.map_err(|error| {
        let place = line + (error.line() as u64).saturating_sub(1);
        // The parser's own words end with a place inside of the text that it was given.
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        if error.is_data() {
            let remedy = "Write each job as {\"cmd\": [\"ls\", \"-l\"]}, with its other fields beside cmd";
            return Wrong::new("", words, remedy).at(place);
        }
        let remedy = match format {
            Format::JsonLines if error.is_eof() => {
                "Write each job on one line, or put jobs of several lines into a JSON array"
            }
            _ => "Correct the JSON there",
        };
        let problem = format!("this is no JSON, column {}: {words}", error.column());
        Wrong::new("", problem, remedy).at(place)
    })
}

/// Keeps the names as they stand there, twice where they stand there twice.
struct FieldList;

impl<'de> Visitor<'de> for FieldList {
    type Value = Fields;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a job, which stands in braces")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::with_capacity(8);
        while let Some(field) = map.next_entry::<String, Value>()? {
            fields.push(field);
            if fields.len() > MOST_FIELDS {
                return Err(A::Error::custom("the job has more fields than there are"));
            }
        }
        Ok(fields)
    }
}

/// No job has as many, not even with each under two names; what holds more is no job.
const MOST_FIELDS: usize = 200;

/// Where the field of this name stands in the text of a job that is valid JSON.
pub(super) fn place_of(field: &str, text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut start = None;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match (start, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(from), b'"') => {
                let is_name = text[at + 1..].trim_start().starts_with(':');
                if depth == 1 && is_name && text[from..at].replace('_', "-") == field {
                    return Some(from);
                }
                start = None;
            }
            (Some(_), _) => {}
            (None, b'"') => start = Some(at + 1),
            (None, b'{' | b'[') => depth += 1,
            (None, b'}' | b']') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    None
}
