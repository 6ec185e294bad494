//! A job of a batch on its way from the list to its end: what the foreman keeps of it meanwhile.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::tries::Tries;
use crate::model::batch::{Ended, Entry, Verdict};
use crate::model::envelope::ErrorBody;
use crate::model::outcome::Outcome;
use crate::model::printable::push_escaped;
use crate::model::quoting;
use crate::model::secrets::Secrets;
use crate::time::clock::unix_time;

/// A command is called by so many of its characters.
const TITLE_LIMIT: usize = 200;

/// A job that is not over.
pub(super) struct Work {
    pub(super) entry: Entry,
    pub(super) tries: Tries,
    pub(super) title: Arc<str>,
    command: String,
    /// That of its present or last attempt; empty before the first.
    pub(super) job_id: String,
    /// When its first attempt began, since the Unix epoch.
    pub(super) started_at: Option<Duration>,
    interrupted_before: bool,
    /// What nobody is told.
    pub(super) secrets: Secrets,
    /// The command of its present attempt runs.
    pub(super) started: bool,
    /// What the attempt before came to, while another one is due.
    pub(super) last: Option<Box<Outcome>>,
    /// Why it could not be begun, likewise.
    pub(super) refusal: Option<ErrorBody>,
}

impl Work {
    /// A job that has not begun.
    pub(super) fn new(mut entry: Entry, interrupted_before: bool) -> Self {
        let secrets = Secrets::of(&entry.job.surroundings);
        entry.job.name.iter_mut().for_each(|name| secrets.mask(name));
        secrets.mask_cut(&mut entry.label, false);
        // Not before: an escaped secret would not be found.
        let label = std::mem::take(&mut entry.label);
        push_escaped(&mut entry.label, &label);
        let tries = Tries::new(entry.job.retry.clone(), &entry.job.limits, entry.seq);
        // Before it is quoted and shortened: of what is left of a secret then, nobody would know it.
        let argv = entry.job.command.redacted_argv();
        let command = String::from_utf8_lossy(&quoting::command_line(&secrets.mask_words(&argv))).into_owned();
        let written = || entry.line.as_ref().map(|line| shortened(&secrets.mask_text(line)));
        let title = entry.job.name.clone().or_else(|| entry.id.clone()).or_else(written);
        let title = title.unwrap_or_else(|| shortened(&command));
        Self {
            title: title.into(),
            command,
            tries,
            job_id: String::new(),
            started_at: None,
            interrupted_before,
            secrets,
            started: false,
            last: None,
            refusal: None,
            entry,
        }
    }

    /// What it is called while it runs, where there is little room: what tells it from others comes first.
    pub(super) fn shown(&self) -> Arc<str> {
        match (&self.entry.job.name, &self.entry.id) {
            (None, None) => format!("{}: {}", self.entry.label, self.title).into(),
            _ => Arc::clone(&self.title),
        }
    }

    /// What records and the summary call it: a line that is the same for all items is told apart by them.
    pub(super) fn full_title(&self) -> Arc<str> {
        if self.entry.line.is_some() { self.shown() } else { Arc::clone(&self.title) }
    }

    /// Its first start is still to come, and nothing has gone wrong with it.
    pub(super) fn never_began(&self) -> bool {
        self.tries.attempts().is_empty() && self.refusal.is_none()
    }

    /// The job is over.
    pub(super) fn into_ended(
        self,
        job_id: String,
        verdict: Verdict,
        outcome: Option<Outcome>,
        mut refusal: Option<ErrorBody>,
    ) -> Ended {
        refusal.iter_mut().for_each(|refusal| self.secrets.mask_error(refusal));
        let title = self.full_title().to_string();
        Ended {
            seq: self.entry.seq,
            id: self.entry.id,
            title,
            command: self.command,
            label: self.entry.label,
            fingerprint: self.entry.fingerprint,
            job_id,
            verdict,
            attempts: self.tries.into_attempts(),
            outcome,
            refusal,
            started_at: self.started_at,
            ended_at: unix_time(),
            interrupted_before: self.interrupted_before,
            subject: self.entry.subject,
        }
    }
}

fn shortened(command: &str) -> String {
    match command.char_indices().nth(TITLE_LIMIT) {
        Some((end, _)) => format!("{}...", &command[..end]),
        None => command.to_owned(),
    }
}
