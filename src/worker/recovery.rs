//! What a worker finds that died: tasks that were running, and processes of theirs. The processes are ended, their output
//! is kept, and the tasks have failed, or are queued again where that was asked for.
//!
//! Before this is done nothing is claimed, so that no task runs twice at a time.

use std::collections::BTreeSet;

use crate::backend::local::JOB_ID;
use crate::capture::output_log::kept_output;
use crate::error::Result;
use crate::model::outcome::{End, Outcome, ProcessRow, Told};
use crate::model::secrets::Secrets;
use crate::model::stored_job::{StoredCommand, StoredJob};
use crate::platform::remains::{Remains, boot_id};
use crate::store::{Live, Lost, Row, Store};
use crate::worker::conclusion::Begun;
use crate::worker::log_files;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) lost: Vec<Lost>,
    /// Processes that were ended.
    pub(super) ended: usize,
}

/// Ends what the worker before left, and says what becomes of its tasks.
pub(super) fn recover(store: &Store) -> Result<Found> {
    let rows = store.running()?;
    let notices = store.due_notices(u32::MAX)?;
    let runs = rows.iter().filter_map(|row| row.run.as_deref());
    let runs = runs.chain(notices.iter().filter_map(|notice| notice.run.as_deref()));
    let marks: BTreeSet<Vec<u8>> = runs.map(|run| format!("{JOB_ID}={run}").into_bytes()).collect();
    if marks.is_empty() && rows.is_empty() {
        return Ok(Found::default());
    }
    let (ended, survivors) = end_remains(store, marks)?;
    let lost = rows.iter().map(|row| conclude(store, row, &survivors)).collect();
    Ok(Found { lost, ended })
}

/// Ends the processes with these marks. After another start of the machine there are none.
fn end_remains(store: &Store, marks: BTreeSet<Vec<u8>>) -> Result<(usize, Option<Vec<ProcessRow>>)> {
    let Some(before) = store.worker()?.filter(|before| before.boot == boot_id()) else {
        return Ok((0, Some(Vec::new())));
    };
    Ok(Remains { since: before.start_time, marks }.end().map_or((0, None), |(ended, left)| (ended, Some(left))))
}

fn conclude(store: &Store, row: &Row, survivors: &Option<Vec<ProcessRow>>) -> Lost {
    // What cannot be read is left out: the task has an end all the same.
    let job = store.job(row.seq).unwrap_or_default();
    let live = store.live(row.seq).ok().flatten().unwrap_or_default();
    let mut outcome = what_is_left(store, row, &job, live);
    outcome.survivors.clone_from(survivors);
    let begun = Begun {
        id: row.id.clone(),
        name: row.name.clone(),
        command: row.command.clone(),
        run: row.run.clone().unwrap_or_else(|| row.id.clone()),
        started_at: row.timing.started_at.unwrap_or_default(),
        attempts_before: row.attempts,
        retried_on_crash: row.retried_on_crash,
        unwanted: row.unwanted,
        // What was kept has been masked before.
        secrets: Secrets::default(),
        subject: None,
    };
    begun.conclude_lost(&mut outcome, row.attempts, row.losses)
}

fn what_is_left(store: &Store, row: &Row, job: &StoredJob, live: Live) -> Outcome {
    let mut outcome = Outcome::bare(None, End::Unknown);
    outcome.operation = matches!(job.command, StoredCommand::Operation { .. });
    outcome.told = Told {
        progress: live.progress,
        status: live.message.unwrap_or_default(),
        partial: live.reported,
        ..Told::default()
    };
    [outcome.stdout, outcome.stderr] = kept_output(&log_files(store.folder(), &row.id), job.capture_limit);
    outcome
}
