//! What is asked of tasks that are stored: to stop, to take longer, to run again, to come earlier or not yet.

use std::time::Duration;

use crate::app::answer;
use crate::app::queue_answer::{answer_with, exit_of, succeed};
use crate::app::state;
use crate::app::task::following::Following;
use crate::app::task::listing::colours;
use crate::app::task::{Call, open_for, view};
use crate::app::worker::presence;
use crate::error::{Error, Result};
use crate::model::batch::Priority;
use crate::model::envelope::Status;
use crate::model::exit_code::{Exit, PENDING};
use crate::model::queue_data::{PausedData, TaskState, TaskStatesData};
use crate::model::task::TaskStatus;
use crate::render::tasks as shown;
use crate::store::{Cancelled, Store};
use crate::time::clock::unix_time;

/// A task has its grace to end in, and the worker this much to see to it.
const CANCEL_MARGIN: Duration = Duration::from_secs(10);
/// The worker answers a request for more time within this.
const EXTEND_LIMIT: Duration = Duration::from_secs(10);

impl Call {
    /// Cancels tasks, and waits until those that run are over. Each that cannot be is told by itself.
    pub(super) fn cancel(&self, ids: &[String]) -> Result<Exit> {
        let mut store = open_for(&ids[0])?;
        let (mut failed, mut data, mut running, mut patience) =
            (None, TaskStatesData::default(), Vec::new(), CANCEL_MARGIN);
        for id in ids {
            match cancel(&mut store, id) {
                Ok((id, Cancelled::AtOnce)) => {
                    data.tasks.push(TaskState { task_id: id, status: TaskStatus::Cancelled });
                }
                Ok((id, Cancelled::Soon)) => {
                    let grace = store.job(store.task(&id)?.seq)?.limits.grace_us.map(Duration::from_micros);
                    patience = patience.max(grace.unwrap_or_default() + CANCEL_MARGIN);
                    running.push(id);
                }
                Err(error) => self.note(ids, &mut failed, error)?,
            }
        }
        if !running.is_empty() {
            presence::summon(&store)?;
            let following = Following::of(&store)?;
            following.until(Some(patience), || all_over(&store, &running))?;
        } else if !data.tasks.is_empty() {
            // Somebody may have to be told that they are over.
            presence::summon_if_of_use(&store)?;
        }
        let mut pending = false;
        for id in running {
            let row = store.task(&id)?;
            match row.status {
                TaskStatus::Cancelled => {}
                TaskStatus::Running | TaskStatus::Pending => pending = true,
                // It was over before it could be stopped.
                status => {
                    let error = Error::Conflict {
                        message: format!("task {id} is {status}"),
                        remediation: "It came to its end before it could be stopped".to_owned(),
                    };
                    self.note(ids, &mut failed, error)?;
                }
            }
            data.tasks.push(TaskState { task_id: id, status: row.status });
        }
        if pending && let Some(trouble) = presence::trouble(store.folder())? {
            answer::say(&format!("runner: not every task is over yet. {trouble}"));
        }
        let status = if pending { Status::Pending } else { Status::Success };
        if failed.is_none() || ids.len() > 1 {
            answer_with(status, &data, &shown::states(&data), &self.options, &self.begun)?;
        }
        Ok(failed.unwrap_or(Exit::Code(if pending { PENDING } else { 0 })))
    }

    /// One of several that failed does not keep the others from being done; the only one does.
    fn note(&self, ids: &[String], failed: &mut Option<Exit>, error: Error) -> Result<()> {
        if ids.len() == 1 {
            return Err(error);
        }
        failed.get_or_insert(exit_of(&error));
        answer::say(&format!("runner: {error}"));
        Ok(())
    }

    pub(super) fn extend(&self, id: &str, by: Duration) -> Result<Exit> {
        let mut store = open_for(id)?;
        let id = store.whole_id(id)?;
        let request = store.extend(&id, by)?;
        presence::summon(&store)?;
        let following = Following::of(&store)?;
        following.until(Some(EXTEND_LIMIT), || Ok(store.extension(request)?.is_some()))?;
        match store.extension(request)? {
            Some(true) => {
                let data = view::whole(&store, &store.task(&id)?)?;
                succeed(&data, &shown::task(&data, unix_time(), colours()), &self.options, &self.begun)
            }
            Some(false) => Err(Error::Conflict {
                message: format!("the deadline of task {id} was not moved"),
                remediation: "It has none, has reached what --max-timeout allows, or is over or being stopped"
                    .to_owned(),
            }),
            None => Err(Error::Unavailable {
                message: format!("no worker has moved the deadline of task {id} yet; the request is stored"),
                remediation: presence::trouble(store.folder())?
                    .unwrap_or_else(|| "See 'runner worker status'".to_owned()),
            }),
        }
    }

    pub(super) fn retry(&self, ids: &[String]) -> Result<Exit> {
        let mut store = open_for(&ids[0])?;
        presence::replace_restricted(&store)?;
        let (mut failed, mut data) = (None, TaskStatesData::default());
        for id in ids {
            let retried = store.whole_id(id).and_then(|id| store.retry(&id).map(|()| id));
            match retried {
                Ok(id) => data.tasks.push(TaskState { task_id: id, status: TaskStatus::Pending }),
                Err(error) => self.note(ids, &mut failed, error)?,
            }
        }
        if !data.tasks.is_empty() {
            presence::summon(&store)?;
        }
        answer_with(Status::Pending, &data, &shown::states(&data), &self.options, &self.begun)?;
        Ok(failed.unwrap_or(Exit::Code(0)))
    }

    pub(super) fn set_priority(&self, id: &str, priority: Priority) -> Result<Exit> {
        let mut store = open_for(id)?;
        let id = store.whole_id(id)?;
        store.set_priority(&id, priority)?;
        let data = view::whole(&store, &store.task(&id)?)?;
        succeed(&data, &shown::task(&data, unix_time(), colours()), &self.options, &self.begun)
    }

    pub(super) fn pause(&self, group: Option<String>) -> Result<Exit> {
        let mut store = Store::open(&state::folder()?)?;
        store.set_paused(group.as_deref(), true)?;
        let data = PausedData { paused: true, group };
        succeed(&data, &shown::paused(&data), &self.options, &self.begun)
    }

    pub(super) fn resume(&self, group: Option<String>) -> Result<Exit> {
        let mut store = Store::open(&state::folder()?)?;
        presence::replace_restricted(&store)?;
        store.set_paused(group.as_deref(), false)?;
        if store.has_work()? {
            presence::summon(&store)?;
        }
        let data = PausedData { paused: false, group };
        succeed(&data, &shown::paused(&data), &self.options, &self.begun)
    }
}

fn cancel(store: &mut Store, id: &str) -> Result<(String, Cancelled)> {
    let id = store.whole_id(id)?;
    let cancelled = store.cancel(&id)?;
    Ok((id, cancelled))
}

/// None of these runs any more, or waits.
pub(super) fn all_over(store: &Store, ids: &[String]) -> Result<bool> {
    for id in ids {
        if !store.task(id)?.status.is_finished() {
            return Ok(false);
        }
    }
    Ok(true)
}
