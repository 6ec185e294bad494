//! A task as answers show it, put together of what the store, the logs and the envelope say of it.

use std::time::Duration;

use serde_json::Value;

use crate::app::worker::presence;
use crate::capture::output_log::kept_output;
use crate::error::Result;
use crate::model::answer::so_far;
use crate::model::envelope::{ErrorBody, PartialResult};
use crate::model::outcome::{End, Outcome, Progress, Told};
use crate::model::quantity::Seconds;
use crate::model::secrets::Secrets;
use crate::model::stored_job::{StoredCommand, StoredJob};
use crate::model::task::{NoticeRecord, OnCrash, TaskData, TaskStatus, WEBHOOK};
use crate::ops;
use crate::store::{Live, Row, Store};
use crate::time::clock::{rfc3339, unix_time};
use crate::worker::log_files;

/// A task with all that there is to say of it.
pub(super) fn whole(store: &Store, row: &Row) -> Result<TaskData> {
    let job = store.job(row.seq)?;
    let mut data = brief(store, row)?;
    let secrets = Secrets::new(store.secrets(row.seq)?.into_iter().map(|(_, value)| value));
    if let StoredCommand::Operation { name, parameters } = &job.command {
        data.operation = Some(name.clone());
        data.parameters = ops::redacted_parameters(name, parameters);
        data.parameters.iter_mut().for_each(|parameters| secrets.mask_value(parameters));
    }
    data.cwd = job.cwd.clone().map(|cwd| std::ffi::OsString::from(cwd).to_string_lossy().into_owned());
    data.cwd.iter_mut().for_each(|cwd| secrets.mask(cwd));
    if row.status == TaskStatus::Running {
        let live = store.live(row.seq)?.unwrap_or_default();
        data.partial_result = partial_result(store, row, &job, live);
    }
    data.after = store.needs(row.seq)?;
    data.extensions = store.extensions(row.seq)?;
    data.notices = store.notices(row.seq)?.into_iter().map(|notice| shown(notice, &secrets)).collect();
    if row.status.is_finished()
        && let Some(envelope) = store.answer(row.seq)?
    {
        take_answer(&mut data, &envelope);
    }
    let log = log_files(store.folder(), &row.id).data;
    data.log = log.exists().then(|| log.display().to_string());
    if row.status == TaskStatus::Pending {
        data.waits_for = Some(what_it_waits_for(store, row)?);
    }
    Ok(data)
}

/// A notice without the secrets of its target.
fn shown(mut notice: NoticeRecord, secrets: &Secrets) -> NoticeRecord {
    if notice.kind == WEBHOOK {
        notice.target = ops::shown_url(&notice.target);
    }
    notice.target = secrets.mask_text(&notice.target).into_owned();
    notice
}

/// What a list shows of a task.
pub(super) fn brief(store: &Store, row: &Row) -> Result<TaskData> {
    let timing = &row.timing;
    let live = if row.status == TaskStatus::Running { store.live(row.seq)? } else { None }.unwrap_or_default();
    let told = live.progress.map(Progress::fraction);
    let deadline = timing.deadline_at.filter(|_| row.status == TaskStatus::Running);
    let elapsed = match row.status {
        TaskStatus::Running => timing.started_at.map(|started| unix_time().saturating_sub(started)),
        _ => timing.duration,
    };
    Ok(TaskData {
        task_id: row.id.clone(),
        status: row.status,
        priority: row.priority,
        name: row.name.clone(),
        command: row.command.clone(),
        operation: None,
        parameters: None,
        cwd: None,
        group: row.group.clone(),
        created_by: row.owner.clone(),
        progress: if row.status == TaskStatus::Completed { 1.0 } else { told.unwrap_or(0.0) },
        message: live.message,
        result: None,
        error: None,
        partial_result: None,
        created_at: rfc3339(timing.created_at),
        updated_at: rfc3339(timing.updated_at),
        started_at: timing.started_at.map(rfc3339),
        finished_at: timing.finished_at.map(rfc3339),
        deadline_at: deadline.map(rfc3339),
        elapsed_seconds: elapsed.map(|elapsed| (elapsed.as_secs_f64() * 1e3).round() / 1e3),
        timeout_seconds: timing.timeout.map(Seconds),
        attempts: row.attempts,
        attempt_records: Vec::new(),
        exit_code: row.exit_code,
        after: Vec::new(),
        not_before: timing.not_before.map(rfc3339),
        waits_for: None,
        on_crash: if row.retried_on_crash { OnCrash::Retry } else { OnCrash::Fail },
        extensions: Vec::new(),
        notices: Vec::new(),
        log: None,
    })
}

/// Result, or error, and the attempts stand in the envelope.
fn take_answer(data: &mut TaskData, envelope: &str) {
    let Ok(mut envelope) = serde_json::from_str::<Value>(envelope) else { return };
    let attempts = [envelope.pointer("/data/attempts"), envelope.pointer("/error/details/attempts")];
    if let Some(attempts) = attempts.into_iter().flatten().next() {
        data.attempt_records = serde_json::from_value(attempts.clone()).unwrap_or_default();
    }
    data.result = envelope.get_mut("data").map(Value::take).filter(|result| !result.is_null());
    let error = envelope.get_mut("error").map(Value::take).filter(|error| !error.is_null());
    data.error = error.and_then(|error| serde_json::from_value::<ErrorBody>(error).ok()).map(Box::new);
}

/// What there is of a task that runs.
fn partial_result(store: &Store, row: &Row, job: &StoredJob, live: Live) -> Option<PartialResult> {
    let mut outcome = Outcome::bare(None, End::Unknown);
    outcome.operation = matches!(job.command, StoredCommand::Operation { .. });
    outcome.told = Told { progress: live.progress, partial: live.reported, ..Told::default() };
    [outcome.stdout, outcome.stderr] = kept_output(&log_files(store.folder(), &row.id), job.capture_limit);
    so_far(&outcome)
}

fn what_it_waits_for(store: &Store, row: &Row) -> Result<String> {
    if row.waits > 0 {
        return Ok(match row.waits {
            1 => "another task".to_owned(),
            many => format!("{many} other tasks"),
        });
    }
    if let Some(begin) = row.timing.not_before
        && begin > unix_time()
    {
        return Ok(format!("{}, in {} s", rfc3339(begin), Seconds(whole_seconds(begin.saturating_sub(unix_time())))));
    }
    let own = row.group.as_deref().unwrap_or_default();
    for group in store.groups()? {
        if group.paused && (group.name.is_empty() || group.name == own) {
            let what = if group.name.is_empty() { "the queue".to_owned() } else { format!("the group '{own}'") };
            return Ok(format!("{what} to be resumed"));
        }
    }
    // Where that cannot be known, it waits for a worker that can be.
    Ok(match presence::pid(store.folder()).ok().flatten() {
        Some(_) => "a free slot".to_owned(),
        None => "a worker".to_owned(),
    })
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}
