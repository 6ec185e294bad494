//! Who is told that a task is over: a command that gets the envelope on its standard input, or a URL that it is posted to.
//!
//! A notice is a job like any other, under its own limits, beside the slots of the tasks. One that nobody saw end is tried
//! once more: it is better told twice than never.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::error::{Error, Result};
use crate::model::answer::{Extent, RequestInfo, of_outcome};
use crate::model::job::{JobSpec, Stdin};
use crate::model::retry::Retry;
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
/// One try of a post.
const POST_TIMEOUT: Duration = Duration::from_secs(30);
/// A post that fails is tried again so often.
const POST_RETRIES: u32 = 3;
/// What is kept of the output of one, for the reason of a failure.
const CAPTURE_LIMIT: u64 = 16 << 10;
/// Tags of notices have this bit, those of tasks have not.
const NOTICE: u64 = 1 << 62;

/// The notices that are under way.
#[derive(Debug, Default)]
pub(super) struct Notices {
    under_way: BTreeMap<i64, PathBuf>,
    /// Those that are over and not noted yet, with what went wrong.
    ended: BTreeMap<i64, Option<String>>,
}

/// True where the job of this tag is a notice.
pub(super) fn is_notice(tag: u64) -> bool {
    tag & NOTICE != 0
}

impl Notices {
    pub(super) fn are_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Notes those that are over, and begins those that are due and not under way yet.
    pub(super) fn settle(
        &mut self,
        store: &mut Store,
        make_job: &JobMaker,
        new_run: fn() -> String,
        mut begin: impl FnMut(Work),
    ) -> Result<()> {
        self.note_ends(store)?;
        for due in store.due_notices(AT_ONCE)? {
            if self.under_way.contains_key(&due.seq) || self.under_way.len() >= AT_ONCE as usize {
                continue;
            }
            let run = new_run();
            store.begin_notice(due.seq, &run)?;
            match self.prepare(store, &due, make_job) {
                Ok(job) => begin(Work::new(NOTICE | due.seq.unsigned_abs(), job, run, None, 0)),
                Err(error) => _ = self.ended.insert(due.seq, Some(error.to_string())),
            }
        }
        self.note_ends(store)
    }

    fn note_ends(&mut self, store: &mut Store) -> Result<()> {
        while let Some((&seq, error)) = self.ended.first_key_value() {
            store.end_notice(seq, error.as_deref())?;
            self.ended.remove(&seq);
            if let Some(path) = self.under_way.remove(&seq) {
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }

    fn prepare(&mut self, store: &Store, due: &DueNotice, make_job: &JobMaker) -> Result<JobSpec> {
        let path = store.folder().join("notices").join(format!("{}.json", due.seq));
        let envelope = store.answer(due.task)?.unwrap_or_default();
        write_envelope(&path, &envelope)?;
        // Its file goes when it is over, however it ends.
        self.under_way.insert(due.seq, path.clone());
        let task = store.job(due.task)?;
        let mut env = task.env;
        let id = serde_json::from_str::<serde_json::Value>(&envelope).unwrap_or_default();
        let id = id["metadata"]["job_id"].as_str().unwrap_or_default().to_owned();
        env.push((Text::Plain(TASK_ID.to_owned()), Text::Plain(id)));
        let stored = StoredJob {
            cwd: task.cwd,
            umask: task.umask,
            env,
            stdin: Some(path.as_os_str().into()),
            capture_limit: CAPTURE_LIMIT,
            command: match &due.target {
                Target::Command(line) => {
                    StoredCommand::Shell { shell: Text::Plain("sh".to_owned()), line: Text::Plain(line.clone()) }
                }
                Target::Webhook(url) => StoredCommand::Operation {
                    name: "post".to_owned(),
                    parameters: json!({ "url": url, "body": path, "content_type": "application/json" }),
                },
            },
            ..StoredJob::default()
        };
        let mut job = make_job(stored)?;
        job.limits.grace = Some(Duration::from_secs(5));
        match due.target {
            Target::Command(_) => job.limits.timeout = Some(due.timeout.unwrap_or(TIMEOUT)),
            Target::Webhook(_) => {
                job.limits.timeout = Some(due.timeout.unwrap_or(POST_TIMEOUT));
                job.surroundings.stdin = Stdin::Null;
                job.retry = Retry { retries: POST_RETRIES, ..Retry::default() };
            }
        }
        Ok(job)
    }

    /// A notice is over.
    pub(super) fn end(&mut self, ended: &Ended) {
        let seq = i64::try_from(ended.tag & !NOTICE).unwrap_or_default();
        self.ended.insert(seq, what_went_wrong(ended));
    }
}

fn what_went_wrong(ended: &Ended) -> Option<String> {
    if let Some(refusal) = &ended.refusal {
        return Some(refusal.message.clone());
    }
    let outcome = ended.outcome.as_ref()?;
    let info = RequestInfo {
        request_id: String::new(),
        timestamp: String::new(),
        duration: Duration::ZERO,
        name: None,
        job_id: None,
        attempts: Vec::new(),
        secrets: Secrets::default(),
    };
    of_outcome(outcome, "the command", Extent::Last(0), &info).error.map(|error| error.message)
}

fn write_envelope(path: &Path, envelope: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        state_folder::make(folder)?;
    }
    let mut file = state_folder::write(path)?;
    let help = "Make room on the disk of the queue's folder";
    let written =
        file.set_len(0).and_then(|()| file.write_all(envelope.as_bytes())).and_then(|()| file.write_all(b"\n"));
    written.map_err(Error::path("write", path, help))
}
