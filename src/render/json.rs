//! The envelope as JSON: one line for programs, indented at a terminal.

use serde::Serialize;

use crate::model::envelope::Envelope;
use crate::model::printable::escape_json;
use crate::render::{Format, Style};

/// JSON as RFC 8259 has it.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn render(&self, envelope: &Envelope, style: Style) -> String {
        text(envelope, style)
    }
}

/// An envelope of any verb, with a newline at its end.
pub fn text<D: Serialize>(envelope: &Envelope<D>, style: Style) -> String {
    let rendered =
        if style.terminal { serde_json::to_string_pretty(envelope) } else { serde_json::to_string(envelope) };
    // Every type in an envelope has a JSON form.
    let mut line = rendered.expect("an envelope is always valid JSON");
    line.push('\n');
    if style.terminal { escape_json(&line).into_owned() } else { line }
}
