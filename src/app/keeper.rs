//! Keeps what becomes of the jobs of a batch: shows, writes and records each end, and sums up.
//!
//! Runs on the main thread while the batch runs on the watchdog's. Nothing here may hold up a deadline; whatever is slow
//! is counted, and new jobs wait for it.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::app::answer::{self, Request};
use crate::app::batch_display::BatchDisplay;
use crate::app::port::Port;
use crate::app::records::Records;
use crate::backend::Waker;
use crate::batch::foreman::Ending;
use crate::batch::notices::{Backlog, NoticeReader, held_bytes};
use crate::error::{Error, Result};
use crate::model::answer::{Extent, RequestInfo, of_batch, of_error, of_outcome};
use crate::model::batch::{Counts, Ended, Notice};
use crate::model::envelope::Envelope;
use crate::model::exit_code::{self, Exit};
use crate::model::outcome::Cause;
use crate::model::request::BatchRequest;
use crate::model::signal::Signal;
use crate::render::batch_summary::{BatchSummary, Ending as SummaryEnding};
use crate::render::json::Json;
use crate::render::{Format, Style};
use crate::time::clock::rfc3339;

/// How often the display may be drawn anew.
const FRAME: Duration = Duration::from_millis(50);

/// Everything that hears of the end of a job.
pub(super) struct Keeper<'a> {
    pub(super) request: &'a BatchRequest,
    pub(super) begun: &'a Request,
    pub(super) records: Records,
    pub(super) display: BatchDisplay,
    pub(super) summary: BatchSummary,
    pub(super) backlog: Arc<Backlog>,
    pub(super) waker: Waker,
    pub(super) counts: Counts,
    /// What could not be written, each a whole sentence.
    pub(super) troubles: Vec<String>,
}

impl Keeper<'_> {
    /// Hears everything, until the batch is over.
    pub(super) fn keep(&mut self, notices: &NoticeReader) {
        loop {
            match notices.next(FRAME) {
                Ok(notice) => {
                    self.display.show(&notice);
                    self.heed(notice);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.display.tick();
        }
    }

    fn heed(&mut self, notice: Notice) {
        match notice {
            Notice::Ended(ended) => self.ended(*ended),
            Notice::LeftOut { succeeded, .. } => self.counts.resumed += u64::from(succeeded),
            _ => {}
        }
    }

    fn ended(&mut self, ended: Ended) {
        self.counts.note(ended.verdict);
        let envelope = self.envelope(&ended);
        for line in self.records.note(&ended, &envelope) {
            self.display.say(&line);
        }
        self.summary.note(&ended, &envelope);
        self.deliver(&ended, &envelope);
        self.backlog.written(held_bytes(&ended), &self.waker);
    }

    /// The answer for one job.
    fn envelope(&self, ended: &Ended) -> Envelope {
        let info = RequestInfo {
            request_id: format!("req_{}", ended.job_id.replace('-', "")),
            timestamp: rfc3339(ended.started_at.unwrap_or(ended.ended_at)),
            duration: ended.duration(),
            name: Some(ended.title.clone()),
            job_id: Some(ended.id.clone().unwrap_or_else(|| ended.seq.to_string())),
            attempts: ended.attempts.clone(),
        };
        match (&ended.outcome, &ended.refusal) {
            (_, Some(refusal)) => of_error(refusal.clone(), &info),
            (Some(outcome), None) => of_outcome(outcome, &ended.title, Extent::Kept, &info),
            (None, None) => of_error(Error::Internal("a job ended without a reason".to_owned()).body(), &info),
        }
    }

    /// Waits until everything is written, sums up, and says how to leave.
    pub(super) fn finish(mut self, ending: Ending, run: Result<()>) -> Exit {
        self.display.finish();
        let elapsed = self.begun.info().duration;
        let records = std::mem::take(&mut self.records);
        if let Err(error) = records.finish(&self.counts, elapsed) {
            self.troubles.push(error.to_string());
        }
        let error = run.err().or(ending.error);
        if !self.request.answer.quiet {
            self.sum_up(elapsed);
        }
        for trouble in &self.troubles {
            answer::say(&format!("runner: {trouble}"));
        }
        self.explain(&ending.cause, error.as_ref(), elapsed);
        match (ending.cause, error) {
            (_, Some(error)) => Exit::Code(error.exit_code()),
            (Some(Cause::Cancelled { signal }), _) if [Signal::INT, Signal::QUIT].contains(&signal) => {
                Exit::Signal(signal)
            }
            (Some(Cause::Cancelled { signal }), _) => Exit::Code(exit_code::SIGNAL_BASE + signal.number()),
            (Some(Cause::Timeout { .. }), _) => Exit::Code(exit_code::TIMED_OUT),
            _ if !self.troubles.is_empty() => Exit::Code(exit_code::RUNNER_FAILED),
            _ if self.counts.unsuccessful() > 0 => Exit::Code(exit_code::SOME_FAILED),
            _ => Exit::Code(0),
        }
    }

    fn deliver(&mut self, ended: &Ended, envelope: &Envelope) {
        if self.request.answer.json {
            let line = Json.render(envelope, Style::default());
            let _ = Port::stdout(self.display.stage()).write(line.as_bytes(), None);
            return;
        }
        if self.request.output.silent {
            return;
        }
        if let Some(outcome) = &ended.outcome {
            let _ = Port::stdout(self.display.stage()).write_record(&outcome.stdout, None);
            let _ = Port::stderr(self.display.stage()).write_record(&outcome.stderr, None);
        }
    }

    fn sum_up(&self, elapsed: Duration) {
        let ending = SummaryEnding { counts: self.counts, elapsed, ..SummaryEnding::default() };
        answer::say(self.summary.render(&ending, Style::default()).trim_end());
    }

    /// Says on stderr why the batch ended before its list did.
    fn explain(&self, cause: &Option<Cause>, error: Option<&Error>, elapsed: Duration) {
        let body = match (error, cause) {
            (Some(error), _) => error.body(),
            (None, Some(cause)) => match of_batch(*cause, elapsed) {
                Some(body) => body,
                None => return,
            },
            (None, None) => return,
        };
        answer::to_stderr(&of_error(body, &self.begun.info()), self.request.answer.error_format, true, true);
    }
}
