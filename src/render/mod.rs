//! Answers and events as bytes for people and programs. Renderers decide nothing: they are given an envelope or an
//! event and write it down.
//!
//! A format is one file and its line in `FORMATS`.

use crate::model::envelope::Envelope;

pub mod bar;
pub mod batch_bar;
pub mod batch_progress;
pub mod batch_summary;
pub mod events;
pub mod history;
#[cfg(test)]
mod hostile_tests;
pub mod json;
pub mod lines;
mod paint;
pub mod progress_lines;
pub mod records;
pub mod taskbar;
pub mod tasks;
pub mod text;
pub mod worker;

/// How a format may dress its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub colour: bool,
    /// The reader is a person at a terminal.
    pub terminal: bool,
}

/// A form of the whole answer.
pub trait Format: Sync {
    /// The name by which it is chosen.
    fn name(&self) -> &'static str;

    /// The answer, with a newline at its end.
    fn render(&self, envelope: &Envelope, style: Style) -> String;
}

/// Every format there is.
pub const FORMATS: &[&dyn Format] = &[&json::Json, &text::Text];

/// The format of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}
