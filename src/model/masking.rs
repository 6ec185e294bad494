//! What of each record may hold a secret: every text that a job, its command line or its surroundings gave.
//!
//! What is ours alone stays as it is: codes, numbers, time stamps and ids, which can hold a secret by chance only and are
//! read by programs.

use crate::model::attempt::Attempt;
use crate::model::envelope::{CommandData, Details, Envelope, ErrorBody, OutputRecord, PartialResult};
use crate::model::event::{Event, Live, STATUS_LIMIT};
use crate::model::outcome::{Leftover, OperationFailure, Outcome, ProcessRow, Told};
use crate::model::secrets::Secrets;

/// A cut never breaks a character, so a text may be shorter than the limit by this much.
const LONGEST_CHARACTER: usize = 4;

impl Secrets {
    /// Masks an answer.
    pub fn mask_envelope(&self, envelope: &mut Envelope) {
        if self.is_empty() {
            return;
        }
        if let Some(data) = &mut envelope.data {
            self.mask_data(data);
        }
        if let Some(error) = &mut envelope.error {
            self.mask_error(error);
        }
        self.mask_each(&mut envelope.metadata.name);
    }

    fn mask_data(&self, data: &mut CommandData) {
        self.mask_output(&mut data.output);
        if let Some(result) = &mut data.result {
            self.mask_value(result);
        }
        self.mask_leftovers(data.leftovers.iter_mut().flatten());
        self.mask_attempts(&mut data.attempts);
    }

    /// Masks what went wrong.
    pub fn mask_error(&self, error: &mut ErrorBody) {
        if self.is_empty() {
            return;
        }
        self.mask_each([&mut error.message, &mut error.remediation]);
        let Details { argument, os_error, skipped_because, partial_result, output, .. } = &mut error.details;
        self.mask_each([argument, os_error, skipped_because].into_iter().flatten());
        match partial_result {
            Some(PartialResult::Output(output)) => self.mask_output(output),
            Some(PartialResult::Value(value)) => self.mask_value(value),
            None => {}
        }
        if let Some(output) = output {
            self.mask_output(output);
        }
        let Details { termination, processes, leftovers, attempts, .. } = &mut error.details;
        let survivors = termination.iter_mut().filter_map(|termination| termination.survivors.as_mut());
        self.mask_processes(survivors.flatten().chain(processes.iter_mut().flatten()));
        self.mask_leftovers(leftovers.iter_mut().flatten().flatten());
        self.mask_attempts(attempts);
    }

    /// Both streams are masked as they come; the value that the job reported is not.
    fn mask_output(&self, output: &mut OutputRecord) {
        self.mask_each([&mut output.stdout, &mut output.stderr]);
        if let Some(reported) = &mut output.reported {
            self.mask_value(reported);
        }
    }

    /// Masks the records of attempts.
    pub fn mask_attempts(&self, attempts: &mut [Attempt]) {
        self.mask_each(attempts.iter_mut().filter_map(|attempt| attempt.message.as_mut()));
    }

    /// Masks what became of an attempt. Its streams are masked as they come.
    pub fn mask_outcome(&self, outcome: &mut Outcome) {
        if self.is_empty() {
            return;
        }
        self.mask_processes(outcome.survivors.iter_mut().flatten().chain(&mut outcome.processes));
        self.mask_leftovers(outcome.leftovers.iter_mut().flatten());
        self.mask_told(&mut outcome.told);
        self.mask_each(&mut outcome.troubles);
    }

    /// Masks what happened to a job.
    pub fn mask_event(&self, event: &mut Event) {
        if self.is_empty() {
            return;
        }
        match event {
            Event::TimePassed(live) | Event::StatusRequested(live) => self.mask_live(live),
            Event::StatusReported(text) => self.mask_status(text),
            Event::PartialReported(value) => self.mask_value(value),
            Event::MessageRefused { reason } => self.mask_cut(reason, false),
            Event::StartDelayed { reason } => self.mask(reason),
            Event::LeftoversFound(leftovers) => self.mask_leftovers(leftovers),
            Event::RetryPlanned { attempt, .. } => self.mask_attempts(std::slice::from_mut(attempt)),
            Event::StopRequested(outcome) | Event::JobFinished(outcome) => self.mask_outcome(outcome),
            Event::JobStarted { .. }
            | Event::OutputGrew { .. }
            | Event::ProgressReported(_)
            | Event::DeadlineExtended { .. }
            | Event::DeadlineMoved { .. }
            | Event::ExtensionRefused { .. }
            | Event::StoppingReported
            | Event::WarningReached { .. }
            | Event::StopBegun { .. }
            | Event::SignalForwarded(_) => {}
        }
    }

    /// Masks how a job stands.
    pub fn mask_live(&self, live: &mut Live) {
        self.mask_status(&mut live.status);
    }

    /// Masks what a job told of itself.
    pub fn mask_told(&self, told: &mut Told) {
        self.mask_status(&mut told.status);
        told.partial.iter_mut().chain(&mut told.result).for_each(|value| self.mask_value(value));
        if let Some(OperationFailure { message, remediation, argument, .. }) = &mut told.failure {
            self.mask_each([message, remediation].into_iter().chain(argument));
        }
    }

    fn mask_status(&self, status: &mut String) {
        let is_cut = status.len() + LONGEST_CHARACTER > STATUS_LIMIT;
        self.mask_cut(status, is_cut);
    }

    fn mask_processes<'a>(&self, rows: impl IntoIterator<Item = &'a mut ProcessRow>) {
        rows.into_iter().for_each(|row| self.mask_cut(&mut row.command, false));
    }

    fn mask_leftovers<'a>(&self, rows: impl IntoIterator<Item = &'a mut Leftover>) {
        rows.into_iter().for_each(|row| self.mask_cut(&mut row.command, false));
    }

    fn mask_each<'a>(&self, texts: impl IntoIterator<Item = &'a mut String>) {
        texts.into_iter().for_each(|text| self.mask(text));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use crate::model::answer::{self, Extent, RequestInfo};
    use crate::model::attempt::Attempt;
    use crate::model::envelope::ErrorCode;
    use crate::model::event::{Event, Live};
    use crate::model::outcome::{Cause, End, Leftover, OperationFailure, Outcome, ProcessRow, StreamRecord, Told};
    use crate::model::secrets::Secrets;
    use crate::model::signal::Signal;

    const SECRET: &str = "hunter2";

    fn secrets() -> Secrets {
        Secrets::new([SECRET])
    }

    /// Every text of it holds the secret.
    fn outcome(cause: Option<Cause>, code: i32) -> Outcome {
        let text = || format!("a {SECRET}");
        let row = ProcessRow {
            pid: 1,
            ppid: 0,
            state: "S".to_owned(),
            command: text(),
            cpu_seconds: 0.0,
            rss_bytes: 1,
            waiting_in: None,
            uid: None,
        };
        let told = Told {
            status: text(),
            partial: Some(json!({ SECRET: [SECRET] })),
            result: Some(json!(SECRET)),
            ..Told::default()
        };
        let stream = StreamRecord { captured: true, head: text().into_bytes(), total: 9, ..StreamRecord::default() };
        Outcome {
            stdout: stream.clone(),
            stderr: stream,
            survivors: Some(vec![row.clone()]),
            processes: vec![row],
            leftovers: Some(vec![leftover()]),
            told,
            ..Outcome::plain(cause, End::Exited(code))
        }
    }

    fn leftover() -> Leftover {
        Leftover { pid: 7, command: format!("x {SECRET}"), holds_output: false }
    }

    fn failure() -> OperationFailure {
        OperationFailure {
            code: ErrorCode::NotFound,
            message: SECRET.to_owned(),
            remediation: SECRET.to_owned(),
            argument: Some(SECRET.to_owned()),
        }
    }

    #[test]
    fn an_answer_holds_none_whatever_the_end() {
        let attempts =
            vec![Attempt::refused(1, ErrorCode::NotFound, SECRET), Attempt::refused(2, ErrorCode::NotFound, "")];
        let info = RequestInfo {
            request_id: "req_1".to_owned(),
            timestamp: "2024-01-15T10:30:00Z".to_owned(),
            duration: Duration::ZERO,
            name: Some(SECRET.to_owned()),
            job_id: None,
            attempts,
            secrets: secrets(),
        };
        let cancelled = Some(Cause::Cancelled { signal: Signal::TERM });
        let failed = Outcome { operation: true, ..outcome(None, 1) };
        let told = Told { failure: Some(failure()), ..failed.told.clone() };
        let troubled = Outcome { troubles: vec![SECRET.to_owned()], ..outcome(None, 0) };
        let all = [outcome(None, 0), outcome(None, 3), outcome(cancelled, 0), troubled, Outcome { told, ..failed }];
        for outcome in all {
            let envelope = answer::of_outcome(&outcome, &format!("bin/{SECRET}"), Extent::Kept, &info);
            let json = serde_json::to_string(&envelope).unwrap();
            assert!(!json.contains(SECRET) && json.contains("*******"), "{json}");
        }
    }

    #[test]
    fn no_event_tells_one() {
        let attempt = Box::new(Attempt::refused(1, ErrorCode::NotFound, SECRET));
        let mut finished = outcome(None, 0);
        // Both streams were masked as they came.
        (finished.stdout, finished.stderr) = (StreamRecord::default(), StreamRecord::default());
        finished.told.failure = Some(failure());
        finished.troubles = vec![SECRET.to_owned()];
        for mut event in [
            Event::TimePassed(Live { status: SECRET.to_owned(), ..Live::default() }),
            Event::StatusRequested(Live { status: SECRET.to_owned(), ..Live::default() }),
            Event::StatusReported(format!("x {SECRET}")),
            Event::PartialReported(json!([{ "a": SECRET }])),
            Event::MessageRefused { reason: format!("'{SECRET}' is not known") },
            Event::LeftoversFound(vec![leftover()]),
            Event::RetryPlanned { attempt, of: 3, delay: Duration::ZERO },
            Event::JobFinished(Box::new(finished)),
        ] {
            secrets().mask_event(&mut event);
            let shown = format!("{event:?}");
            assert!(!shown.contains(SECRET) && shown.contains("*******"), "{shown}");
        }
    }

    #[test]
    fn a_status_that_was_cut_ends_in_no_part_of_one() {
        let mut event = Event::StatusReported(format!("{}hunt", "x".repeat(396)));
        secrets().mask_event(&mut event);
        let Event::StatusReported(text) = event else { panic!("it is one") };
        assert!(text.ends_with("x****"), "{text}");
        let mut event = Event::StatusReported("to hunt".to_owned());
        secrets().mask_event(&mut event);
        assert!(matches!(event, Event::StatusReported(text) if text == "to hunt"));
    }
}
