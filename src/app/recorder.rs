//! Adds to the history what became of jobs, where that was asked for.
//!
//! Called once everything is answered, or in portions while a batch runs, and never on the thread that holds deadlines.
//! A history that cannot be written is told, and changes nothing else.

use std::sync::Arc;
use std::time::Duration;

use crate::app::state;
use crate::error::Result;
use crate::model::attempt::Attempt;
use crate::model::sample::{Sample, Subject};
use crate::store::Store;

/// So many samples are written at once.
const PORTION: usize = 256;

/// What waits to be written, and where it goes.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    samples: Vec<Sample>,
    /// Opened, and made, with the first sample.
    store: Option<Store>,
    trouble: Option<String>,
}

impl Recorder {
    /// A job is over; its last attempt ended then.
    pub(super) fn note(&mut self, subject: &Arc<Subject>, attempts: &[Attempt], ended_at: Duration) {
        if self.trouble.is_some() {
            return;
        }
        self.samples.extend(Sample::of_attempts(subject, attempts, ended_at));
        if self.samples.len() >= PORTION {
            self.flush();
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) {
        if self.samples.is_empty() {
            return;
        }
        if let Err(error) = self.write() {
            self.trouble = Some(format!("the history was not recorded: {error}"));
        }
        self.samples.clear();
    }

    fn write(&mut self) -> Result<()> {
        let store = match &mut self.store {
            Some(store) => store,
            None => self.store.insert(Store::open_for_history(&state::folder()?)?),
        };
        store.record_history(&self.samples)
    }

    /// Writes the rest. Gives what went wrong, where something did.
    pub(super) fn finish(mut self) -> Option<String> {
        self.flush();
        self.trouble
    }
}
