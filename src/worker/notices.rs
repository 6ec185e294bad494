//! Who is told that a task is over: a command that gets the envelope on its standard input, or a URL that it is posted to.
//!
//! A notice is a job like any other, under its own limits, beside the slots of the tasks. What becomes of it changes
//! nothing of its task. One that nobody saw end is tried once more: it is better told twice than never.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::error::{Error, Result};
use crate::model::answer::{Extent, RequestInfo, of_outcome};
use crate::model::job::JobSpec;
use crate::model::outcome::Cause;
use crate::model::secrets::Secrets;
use crate::model::stored_job::{StoredCommand, StoredJob, Text};
use crate::platform::state_folder;
use crate::store::{DueNotice, Store, Target};
use crate::worker::TASK_ID;
use crate::worker::assignment::{JobMaker, Work};
use crate::worker::post::Ended;

/// So many are under way at once.
const AT_ONCE: u32 = 4;
/// What a command gets where nothing else was said.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A post with all its tries.
const POST_TIMEOUT: Duration = Duration::from_secs(180);
/// A post whose failure may pass is tried again so often,
const POST_RETRIES: u32 = 3;
/// the first time after so long,
const POST_DELAY: Duration = Duration::from_secs(1);
/// and counts as failed after so long without a connection, or without a byte.
const POST_SILENCE: Duration = Duration::from_secs(30);
/// How long one has to end after it was told to.
const GRACE: Duration = Duration::from_secs(5);
/// What is kept of the output of one, for the reason of a failure.
const CAPTURE_LIMIT: u64 = 16 << 10;
/// Tags of notices have this bit, those of tasks have not.
const NOTICE: u64 = 1 << 62;
/// The header of a post that names the task.
const TASK_HEADER: &str = "X-Runner-Task";
/// Where the envelopes are, in the folder of the store.
const FOLDER: &str = "notices";

/// The notices that are under way.
#[derive(Debug, Default)]
pub(super) struct Notices {
    under_way: BTreeMap<i64, UnderWay>,
    /// Those that are over and not noted yet, with what went wrong.
    ended: BTreeMap<i64, Option<String>>,
}

/// What is needed of one when it is over.
#[derive(Debug)]
struct UnderWay {
    /// The file with the envelope, which goes with it.
    envelope: PathBuf,
    /// Values of the task that no error shows.
    secrets: Secrets,
}

/// True where the job of this tag is a notice.
pub(super) fn is_notice(tag: u64) -> bool {
    tag & NOTICE != 0
}

impl Notices {
    pub(super) fn are_under_way(&self) -> bool {
        !self.under_way.is_empty() || !self.ended.is_empty()
    }

    /// Makes those ready that are due and not under way yet, and starts them.
    pub(super) fn begin(
        &mut self,
        store: &mut Store,
        make_job: &JobMaker,
        new_run: fn() -> String,
        mut start: impl FnMut(Work),
    ) -> Result<()> {
        for due in store.due_notices(AT_ONCE)? {
            if self.under_way.contains_key(&due.seq) || self.under_way.len() >= AT_ONCE as usize {
                continue;
            }
            let run = new_run();
            store.begin_notice(due.seq, &run)?;
            let path = store.folder().join(FOLDER).join(format!("{}.json", due.seq));
            write_envelope(&path, &store.answer(due.task)?.unwrap_or_default())?;
            let secrets = store.secrets(due.task)?;
            let masked = Secrets::new(secrets.iter().map(|(_, value)| value));
            match prepare(store, &due, &path, secrets, make_job) {
                Ok(job) => {
                    self.under_way.insert(due.seq, UnderWay { envelope: path, secrets: masked });
                    start(Work::new(NOTICE | due.seq.unsigned_abs(), job, run, None, 0));
                }
                Err(error) => {
                    let _ = std::fs::remove_file(&path);
                    self.ended.insert(due.seq, Some(masked.mask_text(&error.to_string()).into_owned()));
                }
            }
        }
        self.note_ends(store)
    }

    /// Notes what became of those that are over.
    pub(super) fn note_ends(&mut self, store: &mut Store) -> Result<()> {
        while let Some((&seq, error)) = self.ended.first_key_value() {
            store.end_notice(seq, error.as_deref())?;
            self.ended.remove(&seq);
        }
        Ok(())
    }

    /// A notice is over. One that was stopped because the worker goes is due as before, for the next worker.
    pub(super) fn end(&mut self, ended: &Ended) {
        let seq = i64::try_from(ended.tag & !NOTICE).unwrap_or_default();
        let Some(UnderWay { envelope, secrets }) = self.under_way.remove(&seq) else { return };
        let _ = std::fs::remove_file(envelope);
        let cause = ended.outcome.as_ref().and_then(|outcome| outcome.cause);
        if matches!(cause, Some(Cause::Cancelled { .. } | Cause::CalledOff)) {
            return;
        }
        self.ended.insert(seq, what_went_wrong(ended, &secrets));
    }
}

/// Removes what a worker that died left of its notices.
pub(super) fn sweep(store: &Store) {
    // They are made anew where they are needed.
    let _ = std::fs::remove_dir_all(store.folder().join(FOLDER));
}

/// The job that tells it.
fn prepare(
    store: &Store,
    due: &DueNotice,
    envelope: &Path,
    secrets: Vec<(OsString, OsString)>,
    make_job: &JobMaker,
) -> Result<JobSpec> {
    let task = store.job(due.task)?;
    let mut env = task.env;
    env.push((Text::Plain(TASK_ID.to_owned()), Text::Plain(due.id.clone())));
    let stored = StoredJob { env, umask: task.umask, capture_limit: CAPTURE_LIMIT, ..StoredJob::default() };
    let file = Text::from(envelope.as_os_str());
    let mut job = match &due.target {
        Target::Command(line) => {
            let command = StoredCommand::Shell { shell: Text::Plain("sh".to_owned()), line: Text::Plain(line.clone()) };
            let mut job = make_job(StoredJob { command, cwd: task.cwd, stdin: Some(file), ..stored })?;
            job.limits.timeout = Some(due.timeout.unwrap_or(TIMEOUT));
            job.surroundings.secrets = secrets;
            job
        }
        Target::Webhook(url) => {
            let parameters = json!({
                "url": url,
                "body": file,
                "content_type": "application/json",
                "header": [format!("{TASK_HEADER}: {}", due.id)],
                "retries": POST_RETRIES,
                "retry_delay": POST_DELAY.as_secs_f64(),
                "connect_timeout": POST_SILENCE.as_secs_f64(),
                "stall_timeout": POST_SILENCE.as_secs_f64(),
            });
            let command = StoredCommand::Operation { name: "post".to_owned(), parameters };
            let mut job = make_job(StoredJob { command, ..stored })?;
            job.limits.timeout = Some(POST_TIMEOUT);
            job
        }
    };
    job.limits.grace = Some(GRACE);
    Ok(job)
}

fn what_went_wrong(ended: &Ended, secrets: &Secrets) -> Option<String> {
    let Some(outcome) = &ended.outcome else {
        let refusal = ended.refusal.as_ref().map_or("it ended without an outcome", |refusal| &refusal.message);
        return Some(secrets.mask_text(refusal).into_owned());
    };
    let info = RequestInfo {
        request_id: String::new(),
        timestamp: String::new(),
        duration: Duration::ZERO,
        name: None,
        job_id: None,
        attempts: Vec::new(),
        secrets: secrets.clone(),
    };
    of_outcome(outcome, "the command", Extent::Last(0), &info).error.map(|error| error.message)
}

fn write_envelope(path: &Path, envelope: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        state_folder::make_one(folder)?;
    }
    let mut file = state_folder::write(path)?;
    let help = "Make room on the disk of the queue's folder";
    let written =
        file.set_len(0).and_then(|()| file.write_all(envelope.as_bytes())).and_then(|()| file.write_all(b"\n"));
    written.map_err(Error::path("write", path, help))
}
