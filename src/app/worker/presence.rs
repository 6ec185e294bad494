//! Whether a worker is there, and how it is woken or started.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::app::answer;
use crate::app::environment::{ATTEMPT, DEADLINE, DEADLINE_OWNER};
use crate::app::state::STATE_DIR;
use crate::backend::local::JOB_ID;
use crate::control::sender::{NOTIFY_PATH, NOTIFY_SOCKET};
use crate::error::{Error, Result};
use crate::platform::{bell, detach, lock, process, procfs};
use crate::store::Store;
use crate::worker::{TASK_ID, bell_file, lock_file};

/// A worker that has not come up within this is left to itself.
const START_LIMIT: Duration = Duration::from_secs(5);
/// What neither a worker nor a task takes over from the job that its starter may be.
pub(in crate::app) const OF_JOBS: [&str; 7] =
    [JOB_ID, ATTEMPT, DEADLINE, DEADLINE_OWNER, NOTIFY_SOCKET, NOTIFY_PATH, TASK_ID];

/// The worker's process, where there is one.
pub(in crate::app) fn pid(folder: &Path) -> Result<Option<i32>> {
    lock::holder(&lock_file(folder))
}

/// Tells the worker that the store has something new. False: none listens.
pub(in crate::app) fn ring(folder: &Path) -> Result<bool> {
    bell::ring(&bell_file(folder))
}

/// True where a signal stopped the worker of this pid, so that it does nothing until it is continued.
pub(in crate::app) fn is_stopped(pid: i32) -> bool {
    procfs::stat(pid).is_some_and(|stat| stat.state == 'T')
}

/// True where the worker begins nothing more, since it was told to go. An order from before it came was for another one.
pub(in crate::app) fn is_stopping(store: &Store) -> Result<bool> {
    if store.stop_order()?.is_none() {
        return Ok(false);
    }
    let record = store.worker()?;
    Ok(pid(store.folder())?.is_some_and(|pid| record.is_some_and(|record| record.pid == pid)))
}

/// Why nobody does what was asked for, where that can be seen, and what helps.
pub(in crate::app) fn trouble(folder: &Path) -> Result<Option<String>> {
    Ok(match pid(folder)? {
        Some(pid) if is_stopped(pid) => {
            Some(format!("The worker, process {pid}, is stopped by a signal; 'kill -CONT {pid}' lets it go on"))
        }
        Some(_) => None,
        None => Some("No worker runs; 'runner worker run' starts one here and shows what is wrong".to_owned()),
    })
}

/// Sees to it that what is in the store is looked at: wakes the worker, or starts one.
pub(in crate::app) fn summon(folder: &Path) -> Result<()> {
    if ring(folder)? {
        return Ok(());
    }
    if procfs::is_inside_job(process::own_pid()) {
        answer::say(
            "runner: no worker runs, and one that was started inside a job would end with it: the tasks wait until \
             'runner worker run' or another call of 'runner task' outside starts one",
        );
        return Ok(());
    }
    start(folder)
}

/// The same after a change that may have made work, or may not.
pub(in crate::app) fn summon_if_of_use(store: &Store) -> Result<()> {
    if ring(store.folder())? || !store.has_work()? { Ok(()) } else { summon(store.folder()) }
}

/// The same where no worker is known to be needed: one is started where tasks wait and none runs.
pub(in crate::app) fn summon_if_needed(store: &Store) -> Result<()> {
    if pid(store.folder())?.is_none() && store.has_work()? { summon(store.folder()) } else { Ok(()) }
}

fn start(folder: &Path) -> Result<()> {
    let mut env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    env.retain(|(name, _)| name != STATE_DIR && OF_JOBS.iter().all(|of_jobs| name != of_jobs));
    env.push((STATE_DIR.into(), folder.into()));
    let arguments: Vec<OsString> = ["worker", "run", "--detached"].map(OsString::from).into();
    let mut ready = detach::start(&process::own_program(), &arguments, Some(env))?;
    match ready.wait(START_LIMIT)? {
        detach::Answer::Ready | detach::Answer::StillStarting => Ok(()),
        detach::Answer::Failed(reason) => Err(Error::Unavailable {
            message: format!("the worker could not be started: {reason}"),
            remediation: "The tasks are stored, and wait; 'runner worker run' starts it here and shows what is wrong"
                .to_owned(),
        }),
    }
}
