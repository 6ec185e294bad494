//! `runner worker`: the process that runs the tasks of the queue, and what is asked of it.

pub(super) mod presence;
mod run;
mod stop;
mod unit;

use std::time::Duration;

use crate::app::answer::{self, Request};
use crate::app::queue_answer::{self, refuse};
use crate::app::state;
use crate::error::{Error, Result};
use crate::model::exit_code::Exit;
use crate::model::queue_data::{GroupData, ScaleData, WorkerData};
use crate::model::request::AnswerOptions;
use crate::model::task_request::{WorkerRequest, WorkerVerb};
use crate::platform::{inheritance, limits};
use crate::render::worker as shown;
use crate::store::{Filter, SLOTS, Store};
use crate::time::clock::rfc3339;

/// A task takes at most so many while it begins: those of any captured job, its input, and its logs.
const DESCRIPTORS_PER_TASK: u64 = 12;
/// Tasks that run are counted up to this.
const MOST: u32 = 1_000_000;

/// Does what was asked for, answers, and says how to leave.
pub fn run(request: WorkerRequest) -> Exit {
    let begun = Request::begin(None);
    let options = request.answer.clone();
    carry_out(request, &begun).unwrap_or_else(|error| refuse(&error, &options, &begun))
}

fn carry_out(request: WorkerRequest, begun: &Request) -> Result<Exit> {
    let WorkerRequest { verb, answer } = request;
    match verb {
        WorkerVerb::Run { idle_exit, max_task_age, detached } => run::run(idle_exit, max_task_age, detached),
        WorkerVerb::Status => {
            let data = status()?;
            queue_answer::succeed(&data, &shown::status(&data), &answer, begun)
        }
        WorkerVerb::Scale { slots, group } => scale(slots, group, &answer, begun),
        WorkerVerb::Stop { now } => stop::stop(now, &answer, begun),
        WorkerVerb::Unit => {
            answer::print(&unit::text()?)?;
            Ok(Exit::Code(0))
        }
    }
}

/// How the worker stands.
pub(super) fn status() -> Result<WorkerData> {
    let folder = state::folder()?;
    let pid = presence::pid(&folder)?;
    let Some(store) = Store::open_existing(&folder)? else {
        return Ok(WorkerData { running: pid.is_some(), pid, slots: SLOTS, ..WorkerData::default() });
    };
    let groups = store.groups()?;
    let shared = groups.iter().find(|group| group.name.is_empty());
    let record = store.worker()?.filter(|record| Some(record.pid) == pid);
    Ok(WorkerData {
        running: pid.is_some(),
        pid,
        since: record.map(|record| rfc3339(Duration::from_millis(record.since))),
        slots: shared.and_then(|group| group.slots).unwrap_or(SLOTS),
        busy: running(&store, None)?,
        paused: shared.is_some_and(|group| group.paused),
        stopping: presence::is_stopping(&store)?,
        groups: groups_of(&store)?,
        restrictions: pid.map(inheritance::restrictions).unwrap_or_default(),
    })
}

/// The groups that something was said of; what all others share is no group of its own.
pub(super) fn groups_of(store: &Store) -> Result<Vec<GroupData>> {
    let named = store.groups()?.into_iter().filter(|group| !group.name.is_empty());
    named
        .map(|group| {
            let running = running(store, Some(&group.name))?;
            Ok(GroupData { name: group.name, slots: group.slots, paused: group.paused, running })
        })
        .collect()
}

fn running(store: &Store, group: Option<&str>) -> Result<u32> {
    let filter = Filter {
        statuses: vec![crate::model::task::TaskStatus::Running],
        group: group.map(str::to_owned),
        limit: MOST,
    };
    Ok(u32::try_from(store.tasks(&filter)?.len()).unwrap_or(u32::MAX))
}

fn scale(slots: Option<u32>, group: Option<String>, options: &AnswerOptions, begun: &Request) -> Result<Exit> {
    let folder = state::folder()?;
    limits::raise_descriptors();
    limits::check_descriptors(slots.unwrap_or_default().into(), DESCRIPTORS_PER_TASK).map_err(too_many)?;
    let mut store = Store::open(&folder)?;
    store.set_slots(group.as_deref(), slots)?;
    // Where no worker runs there is nobody to tell; the next one reads it.
    presence::ring(&folder)?;
    let data = ScaleData { group, slots };
    queue_answer::succeed(&data, &shown::scaled(&data), options, begun)
}

fn too_many(error: Error) -> Error {
    Error::Invalid {
        argument: Some("SLOTS".to_owned()),
        message: error.to_string(),
        remediation: "Give fewer slots, or raise the limit on open files (ulimit -Hn)".to_owned(),
    }
}
