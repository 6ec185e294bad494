//! `runner task`: tasks of the queue, from their submission to their removal.

mod following;
mod listing;
mod logs;
mod orders;
mod submit;
mod upkeep;
mod view;
mod wait;

use crate::app::answer::Request;
use crate::app::queue_answer::refuse;
use crate::app::state;
use crate::app::worker::presence;
use crate::error::{Error, Result};
use crate::model::exit_code::Exit;
use crate::model::request::AnswerOptions;
use crate::model::task_request::{TaskRequest, TaskVerb};
use crate::store::Store;

/// Does what was asked for, answers, and says how to leave.
pub fn run(request: TaskRequest) -> Exit {
    let mut call = Call { begun: Request::begin(None), options: request.answer };
    call.carry_out(request.verb).unwrap_or_else(|error| refuse(&error, &call.options, &call.begun))
}

/// One call of a verb.
struct Call {
    begun: Request,
    options: AnswerOptions,
}

impl Call {
    fn carry_out(&mut self, verb: TaskVerb) -> Result<Exit> {
        match verb {
            TaskVerb::Submit(request) => self.submit(*request),
            TaskVerb::List { statuses, group, limit } => self.list(statuses, group, limit),
            TaskVerb::Status { id } => self.status(&id),
            TaskVerb::Wait { ids, patience } => self.wait(&ids, patience),
            TaskVerb::Logs { id, follow, stderr_only } => self.logs(&id, follow, stderr_only),
            TaskVerb::Cancel { ids } => self.cancel(&ids),
            TaskVerb::Extend { id, by } => self.extend(&id, by),
            TaskVerb::Retry { ids } => self.retry(&ids),
            TaskVerb::SetPriority { id, priority } => self.set_priority(&id, priority),
            TaskVerb::Pause { group } => self.pause(group),
            TaskVerb::Resume { group } => self.resume(group),
            TaskVerb::Stats => self.stats(),
            TaskVerb::Clean { older_than, statuses } => self.clean(older_than, &statuses),
        }
    }
}

/// The store for a verb that only reads, which starts no worker. None: nothing was stored yet.
fn open() -> Result<Option<Store>> {
    Store::open_existing(&state::folder()?)
}

/// The same for a verb that names a task.
fn open_for(id: &str) -> Result<Store> {
    open()?.ok_or_else(|| Error::Missing {
        message: format!("there is no task '{id}'"),
        remediation: "Nothing was submitted yet; 'runner task submit' does".to_owned(),
    })
}

/// The same for a verb that needs the tasks to run: starts a worker if tasks wait and none runs.
fn open_to_run(id: &str) -> Result<Store> {
    let store = open_for(id)?;
    presence::summon_if_needed(&store)?;
    Ok(store)
}
