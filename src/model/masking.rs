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
        self.mask_leftovers(&mut data.leftovers);
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
        let survivors = termination.iter_mut().flat_map(|termination| &mut termination.survivors);
        self.mask_processes(survivors.chain(processes.iter_mut().flatten()));
        self.mask_leftovers(leftovers.iter_mut().flatten());
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
        self.mask_processes(outcome.survivors.iter_mut().chain(&mut outcome.processes));
        self.mask_leftovers(&mut outcome.leftovers);
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
            Event::LeftoversFound(leftovers) => self.mask_leftovers(leftovers),
            Event::RetryPlanned { attempt, .. } => self.mask_attempts(std::slice::from_mut(attempt)),
            Event::JobFinished(outcome) => self.mask_outcome(outcome),
            Event::JobStarted { .. }
            | Event::OutputGrew { .. }
            | Event::ProgressReported(_)
            | Event::DeadlineExtended { .. }
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
