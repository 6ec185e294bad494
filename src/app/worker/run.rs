//! `runner worker run`: this process becomes the worker of the store, until it is told to go or has nothing to do.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::app::exec::rungs;
use crate::app::{answer, environment, state};
use crate::backend::local::Local;
use crate::backend::{Assignment, Backend, Waker};
use crate::capture::output_log::OutputRecorder;
use crate::error::{Error, Result};
use crate::model::exit_code::Exit;
use crate::model::job::{Command, JobSpec, Route, Streams};
use crate::model::printable::clean;
use crate::model::unique_id::unique_id;
use crate::ops::{self, child};
use crate::platform::lock::{self, ProcessLock};
use crate::platform::signals::{self, Inherited};
use crate::platform::{detach, inheritance, limits, process, procfs, state_folder};
use crate::store::Store;
use crate::supervise::orders::Manners;
use crate::time::clock::{rfc3339, unix_time};
use crate::worker::{Attempt, Clerk, Preparer, Settings, WorkerForeman, lock_file, office};

/// Where a worker without a terminal says what went wrong.
const LOG: &str = "worker.log";
/// More than this is too much to keep of it.
const LOG_LIMIT: u64 = 1 << 20;
/// Another worker that is about to go is waited for.
const TAKE_OVER_LIMIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(2);
/// Polling interval while a restricted worker finishes its tasks.
const HANDOVER_POLL: Duration = Duration::from_millis(50);
/// Smallest file size limit, in bytes, that the store and its side files fit into.
const MIN_FILE_SIZE_LIMIT: u64 = 64 << 20;

/// Tells whoever looks after the worker a line.
type Teller = Box<dyn Fn(&str)>;

/// Works until it is over.
pub(super) fn run(idle_exit: Option<Duration>, max_task_age: Option<Duration>, detached: bool) -> Result<Exit> {
    if detached {
        detach::settle();
    }
    let worked = work(idle_exit, max_task_age, detached);
    if let Err(error) = &worked {
        detach::tell_failure(&error.to_string());
    }
    worked
}

fn work(idle_exit: Option<Duration>, max_task_age: Option<Duration>, detached: bool) -> Result<Exit> {
    let inherited = Inherited::read();
    signals::set_own_dispositions();
    signals::unblock_all();
    let folder = state::folder()?;
    check_file_size()?;
    check_proc()?;
    let mut store = Store::open(&folder)?;
    let Some(lock) = take_over(&mut store, detached)? else {
        // Another one came first, and sees to what we were to see to.
        detach::tell_ready();
        return Ok(Exit::Code(0));
    };
    limits::raise_descriptors();
    store.keep_little()?;
    let (foremans, clerks) = office(Waker::new()?);
    let new_run = || unique_id().to_string();
    let say: Teller = if detached { log(&folder)? } else { Box::new(|line| answer::say(&format!("runner: {line}"))) };
    let lock = Rc::new(lock);
    let held = Rc::clone(&lock);
    let settings = Settings { idle_exit, max_task_age, new_run, say, has_store: Box::new(move || held.is_in_place()) };
    let make_job = Box::new(|stored: crate::model::stored_job::StoredJob| stored.into_job(operation));
    let mut clerk = Clerk::open(store, clerks, make_job, settings)?;
    detach::tell_ready();
    let foreman = WorkerForeman::new(foremans, preparer());
    let backend = Local { manners: Manners::Cancel, rungs: rungs(), inherited };
    let mut failed = false;
    let ended = backend.run(Box::new(foreman), &mut || {
        // The watchdog would wait for orders for ever.
        if catch_unwind(AssertUnwindSafe(|| clerk.keep())).is_err() {
            failed = true;
            clerk.abandon();
        }
    });
    // The lock goes last: whoever gets it finds all ends in the store.
    drop(clerk);
    drop(lock);
    ended?;
    if failed { Err(Error::Internal("the clerk of the queue failed".to_owned())) } else { Ok(Exit::Code(0)) }
}

/// Refuses to start a worker that could not write its store. An ordinary user cannot raise a lowered hard limit.
fn check_file_size() -> Result<()> {
    match inheritance::file_size_limit() {
        Some(limit) if limit < MIN_FILE_SIZE_LIMIT => Err(Error::Unavailable {
            message: format!(
                "the file size limit of {limit} bytes (ulimit -f) is too small for the store and the logs"
            ),
            remediation: "Run 'runner task wait', or submit another task, from a shell without this limit".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// What an earlier worker left is told from other processes by number and start time.
fn check_proc() -> Result<()> {
    if procfs::is_own() {
        return Ok(());
    }
    Err(Error::Unavailable {
        message: "the worker cannot run here: /proc is missing, or is that of another PID namespace".to_owned(),
        remediation: "Mount one in this namespace (mount -t proc proc /proc), or start the worker outside of it"
            .to_owned(),
    })
}

/// The lock of the store. None: another worker holds it and listens, and is not more restricted than this one.
fn take_over(store: &mut Store, detached: bool) -> Result<Option<ProcessLock>> {
    let folder = &store.folder().to_owned();
    let path = lock_file(folder);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(lock) = ProcessLock::take(&path)? {
            return Ok(Some(lock));
        }
        if super::presence::ring(folder)? {
            return match lock::holder(&path)? {
                _ if !detached => Err(taken(&path)),
                Some(pid) if is_restricted(pid) => follow(store, &path),
                Some(_) => Ok(None),
                // It has just exited.
                None => continue,
            };
        }
        // It does not listen any more, or not yet.
        if waited >= TAKE_OVER_LIMIT {
            return Err(taken(&path));
        }
        process::nap(LOOK);
        waited += LOOK;
    }
}

/// True where the running worker was started in the background and is more restricted than this process.
fn is_restricted(pid: i32) -> bool {
    let [theirs, ours] = [pid, process::own_pid()].map(inheritance::restrictions);
    super::presence::is_detached(pid) && inheritance::is_less_restricted(&ours, &theirs)
}

/// Drains the running worker and waits for its lock. None: it was stopped meanwhile, or another successor replaced this
/// one.
fn follow(store: &mut Store, path: &Path) -> Result<Option<ProcessLock>> {
    store.hand_over(process::own_pid())?;
    super::presence::ring(store.folder())?;
    detach::tell_ready();
    loop {
        process::nap(HANDOVER_POLL);
        if store.successor()? != Some(process::own_pid()) {
            return Ok(None);
        }
        if let Some(lock) = ProcessLock::take(path)? {
            return Ok(Some(lock));
        }
    }
}

fn taken(path: &Path) -> Error {
    let pid = lock::holder(path).ok().flatten().map_or_else(String::new, |pid| format!(", process {pid}"));
    Error::Conflict {
        message: format!("the queue has a worker already{pid}"),
        remediation: "There is one for each store; 'runner worker stop' ends it".to_owned(),
    }
}

/// The operation of a stored job, as it is run by this program.
fn operation(name: &str, parameters: &Value) -> Result<Command> {
    let entry = ops::by_name(name).ok_or_else(|| Error::Missing {
        message: format!("there is no operation '{name}'"),
        remediation: "Another version of runner has stored this task; use that one's worker".to_owned(),
    })?;
    let prepared = entry.parameters_from_json(parameters.clone())?;
    Ok(child::command(entry, prepared.to_json()))
}

/// Makes assignments of the attempts of a task: nothing of its output is passed on, all of it is kept.
fn preparer() -> Preparer {
    Box::new(|job: &JobSpec, attempt: &Attempt| {
        let wall = attempt.limits.wall().map(|(wall, _)| wall);
        let env = environment::for_job(&job.surroundings, &attempt.job_id, attempt.number, wall);
        let record = attempt.log.clone().map(OutputRecorder::begin).transpose()?;
        Ok(Assignment {
            tag: attempt.tag,
            spec: JobSpec { limits: attempt.limits.clone(), leftovers: attempt.leftovers, ..job.clone() },
            streams: Streams { stdout: Route::Keep, stderr: Route::Keep, terminals: [false; 2] },
            job_id: attempt.job_id.clone(),
            attempt: attempt.number,
            stage: None,
            lines: None,
            record: record.map(std::sync::Arc::new),
            pulse: None,
            env,
        })
    })
}

/// Writes lines to the log beside the store. One that has grown too long begins anew.
fn log(folder: &Path) -> Result<Teller> {
    let path = folder.join(LOG);
    let file = state_folder::append(&path)?;
    if file.metadata().is_ok_and(|found| found.len() > LOG_LIMIT) {
        let _ = file.set_len(0);
    }
    Ok(Box::new(move |line| {
        // A disk that is full may be what there is to say.
        let _ = (&file).write_all(format!("{} {}\n", rfc3339(unix_time()), clean(line)).as_bytes());
    }))
}
