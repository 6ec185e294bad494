//! Whether a worker is there, and how it is woken or started.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::app::answer;
use crate::app::environment::{ATTEMPT, DEADLINE, DEADLINE_BOOT_ID, DEADLINE_BOOTTIME, DEADLINE_OWNER};
use crate::app::exec::CONTAINMENT;
use crate::app::state::STATE_DIR;
use crate::backend::local::JOB_ID;
use crate::control::sender::{NOTIFY_PATH, NOTIFY_SOCKET};
use crate::error::{Error, Result};
use crate::model::queue_data::Restriction;
use crate::model::signal::Signal;
use crate::platform::bell::{self, WakeReason};
use crate::platform::{detach, inheritance, lock, process, procfs};
use crate::store::{StopOrder, Store};
use crate::worker::{TASK_ID, bell_file, lock_file};

/// A worker that has not come up within this is left to itself.
const START_LIMIT: Duration = Duration::from_secs(5);
/// Marks a worker that another verb started in the background.
const DETACHED: &str = "--detached";
/// The variables that a background worker keeps: the user, the configuration, and the containment of its jobs. Each
/// task has the environment of its submitter.
const ENVIRONMENT: [&str; 5] = ["HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", CONTAINMENT];
/// What neither a worker nor a task takes over from the job that its starter may be.
pub(in crate::app) const OF_JOBS: [&str; 9] = [
    JOB_ID,
    ATTEMPT,
    DEADLINE,
    DEADLINE_BOOTTIME,
    DEADLINE_BOOT_ID,
    DEADLINE_OWNER,
    NOTIFY_SOCKET,
    NOTIFY_PATH,
    TASK_ID,
];

/// The worker's process, where there is one.
pub(in crate::app) fn pid(folder: &Path) -> Result<Option<i32>> {
    lock::holder(&lock_file(folder))
}

/// Tells the worker that the store has something new. False: none listens.
pub(in crate::app) fn ring(folder: &Path) -> Result<bool> {
    bell::ring(&bell_file(folder), WakeReason::Update)
}

/// Requests a stop without the store: through the bell for a drain, by SIGTERM to stop at once. False: no worker
/// listens.
pub(in crate::app) fn order_stop(folder: &Path, pid: i32, order: StopOrder) -> Result<bool> {
    match order {
        StopOrder::Drain => bell::ring(&bell_file(folder), WakeReason::Drain),
        // The worker treats SIGTERM as `worker stop --now`.
        StopOrder::Now => Ok(procfs::stat(pid)
            .is_some_and(|found| process::send(found.identity(), Signal::TERM) == process::Sent::Delivered)),
    }
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
pub(in crate::app) fn summon(store: &Store) -> Result<()> {
    let folder = store.folder();
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
    if !procfs::is_own() {
        answer::say(
            "runner: no worker runs, and none can run here, since /proc is not that of this PID namespace: the tasks wait \
             until 'runner worker run' or another call of 'runner task' elsewhere starts one",
        );
        return Ok(());
    }
    start(folder)
}

/// The same after tasks ended that no worker ran: notices may be due.
pub(in crate::app) fn summon_if_of_use(store: &Store) -> Result<()> {
    if ring(store.folder())? || store.due_notices(1)?.is_empty() { Ok(()) } else { summon(store) }
}

/// The same where no worker is known to be needed: one is started where tasks wait and none runs.
pub(in crate::app) fn summon_if_needed(store: &Store) -> Result<()> {
    if pid(store.folder())?.is_none() && store.has_work()? { summon(store) } else { Ok(()) }
}

/// True for a worker that a verb started in the background, which may be replaced. One in the foreground, or in a
/// systemd unit, has its limits on purpose.
pub(super) fn is_detached(pid: i32) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|byte| *byte == 0).any(|word| word == DETACHED.as_bytes())
}

/// Replaces a worker that inherited restrictions, if one started here would be less restricted: the new worker compares
/// itself with the old one, lets it finish its tasks and takes over. Call this before storing new tasks, so that they
/// do not start in the restricted worker.
pub(in crate::app) fn replace_restricted(store: &Store) -> Result<()> {
    let Some(pid) = pid(store.folder())?.filter(|pid| is_detached(*pid)) else { return Ok(()) };
    let theirs = inheritance::restrictions(pid);
    if theirs.is_empty() || procfs::is_inside_job(process::own_pid()) {
        return Ok(());
    }
    // A worker started here inherits our own restrictions, unless we may restore the defaults.
    let ours = || inheritance::restrictions(process::own_pid());
    if !inheritance::is_privileged() && !inheritance::is_less_restricted(&ours(), &theirs) {
        return Ok(());
    }
    let has_successor = || Ok(store.successor()?.is_some_and(is_detached));
    if has_successor()? {
        return Ok(());
    }
    launch(store.folder())?;
    // It may have taken over already.
    if has_successor()? || self::pid(store.folder())?.is_some_and(|now| now != pid) {
        answer::say(&format!(
            "runner: the worker (process {pid}) is restricted: {}; a new worker takes over when its running tasks \
             have finished",
            Restriction::list(&theirs)
        ));
    }
    Ok(())
}

fn start(folder: &Path) -> Result<()> {
    launch(folder)?;
    let restrictions = pid(folder)?.map(inheritance::restrictions).unwrap_or_default();
    if !restrictions.is_empty() {
        answer::say(&format!(
            "runner: the worker and its tasks inherit restrictions that it may not lift: {}; a worker started without \
             them takes over",
            Restriction::list(&restrictions)
        ));
    }
    Ok(())
}

fn launch(folder: &Path) -> Result<()> {
    let mut env: Vec<(OsString, OsString)> =
        ENVIRONMENT.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?))).collect();
    env.push((STATE_DIR.into(), folder.into()));
    let arguments: Vec<OsString> = ["worker", "run", DETACHED].map(OsString::from).into();
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
