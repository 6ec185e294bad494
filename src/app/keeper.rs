//! Keeps what becomes of the jobs of a batch: shows, writes and records each end, and sums up.
//!
//! Runs on the main thread while the batch runs on the watchdog's. Nothing here may hold up a deadline; whatever is slow
//! is counted, and new jobs wait for it.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::app::answer::{self, Request};
use crate::app::batch_display::BatchDisplay;
use crate::app::batch_output::{Deliverer, Delivery};
use crate::app::recorder::Recorder;
use crate::app::records::Records;
use crate::app::results::Results;
use crate::backend::Waker;
use crate::batch::foreman::Ending;
use crate::batch::notices::{Backlog, NoticeReader, held_bytes};
use crate::batch::source::log_name;
use crate::error::{Error, Result, plain};
use crate::model::answer::{Extent, RequestInfo, of_batch, of_error, of_outcome};
use crate::model::batch::{Counts, Ended, Notice};
use crate::model::envelope::Envelope;
use crate::model::exit_code::{self, Exit};
use crate::model::outcome::Cause;
use crate::model::quoting;
use crate::model::request::BatchRequest;
use crate::model::secrets::Secrets;
use crate::model::signal::Signal;
use crate::platform::{descriptors, files, pty};
use crate::render::batch_summary::{BatchSummary, Ending as SummaryEnding};
use crate::render::json::Json;
use crate::render::{Format, Style};
use crate::time::clock::rfc3339;

/// How often the display may be drawn anew.
const FRAME: Duration = Duration::from_millis(50);
/// So many things that went wrong are told. There may be another one for each job.
const TROUBLES: usize = 20;

/// Everything that hears of the end of a job.
pub(super) struct Keeper<'a> {
    pub(super) request: &'a BatchRequest,
    pub(super) begun: &'a Request,
    pub(super) records: Records,
    pub(super) display: BatchDisplay,
    pub(super) summary: BatchSummary,
    pub(super) results: Option<Results>,
    pub(super) deliverer: Option<Deliverer>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) waker: Waker,
    pub(super) counts: Counts,
    /// What could not be written, each a whole sentence.
    pub(super) troubles: Vec<String>,
    /// Adds to the history, where that was asked for.
    pub(super) recorder: Option<Recorder>,
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
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.flush();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.display.tick();
        }
    }

    fn heed(&mut self, notice: Notice) {
        match notice {
            Notice::Ended(ended) => self.ended(*ended),
            Notice::LeftOut { seq, succeeded } => {
                self.counts.resumed += u64::from(succeeded);
                if let Some(deliverer) = &self.deliverer {
                    deliverer.pass_over(seq);
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, ended: Ended) {
        self.counts.note(ended.verdict);
        let envelope = self.envelope(&ended);
        for mut line in self.records.note(&ended, &envelope) {
            self.request.answer.secrets.mask(&mut line);
            self.display.say(&line);
        }
        self.summary.note(&ended, &envelope);
        if let Some(Err(error)) = self.results.as_mut().map(|results| results.note(&ended, &envelope)) {
            self.trouble(error.to_string());
        }
        self.report(&ended, &envelope);
        if let (Some(recorder), Some(subject)) = (&mut self.recorder, &ended.subject) {
            recorder.note(subject, &ended.attempts, ended.ended_at);
        }
        let bytes = held_bytes(&ended);
        self.deliver(ended, &envelope);
        self.backlog.written(bytes, &self.waker);
    }

    /// Hands on what is to be seen of a job.
    fn deliver(&mut self, ended: Ended, envelope: &Envelope) {
        let frame = self.records.around_output(&ended, envelope);
        let Some(deliverer) = &self.deliverer else { return };
        let json = self.request.answer.json;
        let Ended { seq, label, outcome, .. } = ended;
        deliverer.deliver(Delivery {
            seq,
            label,
            outputs: outcome.map(|outcome| (outcome.stdout, outcome.stderr)).into_iter().collect(),
            envelope: json.then(|| {
                let line = Json.render(envelope, Style::default());
                answer::json_for(descriptors::stdout(), &line).into_owned().into_bytes()
            }),
            frame: (frame.before, frame.after),
            joined: self.records.joins_streams(),
        });
    }

    /// The report of one job, where each has one of its own.
    fn report(&mut self, ended: &Ended, envelope: &Envelope) {
        let Some(pattern) = &self.request.answer.report else { return };
        let written = log_name::for_job(pattern, ended.seq, ended.id.as_deref()).and_then(|path| {
            let bytes = Json.render(envelope, Style::default()).into_bytes();
            files::replace(&path, &bytes)
                .map_err(|error| format!("cannot write the report {}: {}", path.display(), plain(&error)))
        });
        if let Err(trouble) = written {
            self.trouble(trouble);
        }
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
            // What is told of a job that is over holds none any more.
            secrets: Secrets::default(),
        };
        let mut envelope = match (&ended.outcome, &ended.refusal) {
            (_, Some(refusal)) => of_error(refusal.clone(), &info),
            (Some(outcome), None) => of_outcome(outcome, &ended.title, Extent::Kept, &info),
            (None, None) => of_error(Error::Internal("a job ended without a reason".to_owned()).body(), &info),
        };
        envelope.metadata.interrupted_before = ended.interrupted_before;
        envelope
    }

    /// Waits until everything is written, sums up, and says how to leave.
    pub(super) fn finish(mut self, mut ending: Ending, run: Result<()>) -> Exit {
        let mut reader_gone = false;
        if let Some(deliverer) = self.deliverer.take() {
            let delivered = deliverer.finish(ending.cause.is_some());
            reader_gone = delivered.reader_gone;
            if let Some(failure) = delivered.failure {
                self.trouble(failure);
            }
        }
        self.display.finish();
        let elapsed = self.begun.info().duration;
        let records = std::mem::take(&mut self.records);
        if let Err(error) = records.finish(&self.counts, elapsed) {
            self.trouble(error.to_string());
        }
        let error = run.err().or(ending.error.take());
        let broken_pipe = Some(Cause::Cancelled { signal: Signal::PIPE });
        let silent = ending.cause == broken_pipe || (reader_gone && ending.cause.is_none());
        if !self.request.answer.quiet && !silent {
            self.sum_up(&ending, elapsed);
        }
        for trouble in &self.troubles {
            answer::say(&format!("runner: {trouble}"));
        }
        if !silent || error.is_some() {
            self.explain(&ending.cause, error.as_ref(), elapsed);
        }
        if let Some(trouble) = self.recorder.take().and_then(Recorder::finish) {
            answer::say(&format!("runner: {trouble}"));
        }
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

    fn sum_up(&self, ending: &Ending, elapsed: Duration) {
        let stopped_because = match ending.cause {
            Some(Cause::Timeout { .. }) => Some("its time was over".to_owned()),
            Some(Cause::Cancelled { signal }) => Some(format!("it was cancelled by SIG{signal}")),
            Some(Cause::CalledOff) => Some("a job failed".to_owned()),
            None => ending.halted_because.clone(),
        };
        let unsuccessful = self.counts.unsuccessful() > 0 || stopped_because.is_some();
        let journal = self.request.journal.as_ref().filter(|_| unsuccessful);
        let again = journal.map(|journal| {
            let path = String::from_utf8_lossy(&quoting::command_line(&[journal.path.clone().into()])).into_owned();
            self.request.answer.secrets.mask_text(&format!("runner batch --resume {path} ...")).into_owned()
        });
        let terminal = descriptors::is_terminal(descriptors::stderr());
        let width = pty::size(descriptors::stderr()).map(|size| usize::from(size.columns)).filter(|width| *width > 0);
        let ending = SummaryEnding { counts: self.counts, elapsed, stopped_because, again, width };
        let style = Style { colour: terminal && !answer::no_colour(), terminal };
        answer::say_rendered(&self.summary.render(&ending, style));
    }

    /// Says on stderr why the batch ended before its list did.
    fn explain(&self, cause: &Option<Cause>, error: Option<&Error>, elapsed: Duration) {
        let body = match (error, cause) {
            (Some(error), _) => error.body(),
            (None, Some(cause)) => match of_batch(*cause, elapsed, self.request.journal.is_some()) {
                Some(body) => body,
                None => return,
            },
            (None, None) => return,
        };
        answer::to_stderr(&of_error(body, &self.begun.info()), self.request.answer.error_format, true, true);
    }

    fn trouble(&mut self, mut trouble: String) {
        self.request.answer.secrets.mask(&mut trouble);
        if self.troubles.len() < TROUBLES && !self.troubles.contains(&trouble) {
            self.troubles.push(trouble);
        }
    }
}
