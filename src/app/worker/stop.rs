//! `runner worker stop`: the worker is told to go, and waited for.
//!
//! A worker that drains is waited for as long as its tasks run. One that does nothing at all is told of, and so is one
//! that was to stop its tasks and has not done so in time.

use std::time::Duration;

use crate::app::answer::Request;
use crate::app::worker::presence;
use crate::app::{queue_answer, state};
use crate::error::{Error, Result};
use crate::model::exit_code::Exit;
use crate::model::queue_data::StopData;
use crate::model::request::AnswerOptions;
use crate::platform::{process, procfs};
use crate::render::worker as shown;
use crate::store::{StopOrder, Store};
use crate::time::clock::{Clock, SystemClock};

/// It is looked so often whether the worker is gone.
const LOOK: Duration = Duration::from_millis(10);
/// Tasks have their grace to end in, and the worker this much to see to it and to write it down.
const MARGIN: Duration = Duration::from_secs(30);
/// A worker that did nothing for so long, since a signal stopped it, is not waited for.
const STILL: Duration = Duration::from_secs(2);

pub(super) fn stop(now: bool, options: &AnswerOptions, begun: &Request) -> Result<Exit> {
    let folder = state::folder()?;
    let mut data = StopData { pid: presence::pid(&folder)?, now, gone: true };
    if let Some(pid) = data.pid
        && let Some(mut store) = Store::open_existing(&folder)?
    {
        let order = if now { StopOrder::Now } else { StopOrder::Drain };
        store.order_stop(order)?;
        presence::ring(&folder)?;
        // A task of that worker, or a notice, is what it waits for itself.
        data.gone = !procfs::is_below(process::own_pid(), pid);
        if data.gone {
            await_end(&mut store, pid, order)?;
        }
    }
    queue_answer::succeed(&data, &shown::stopped(&data), options, begun)
}

fn await_end(store: &mut Store, pid: i32, order: StopOrder) -> Result<()> {
    let hurries = order == StopOrder::Now;
    let limit = if hurries { Some(longest_grace(store)? + MARGIN) } else { None };
    let clock = SystemClock::start();
    let begun = clock.now();
    let mut seen_awake = begun;
    while presence::pid(store.folder())? == Some(pid) {
        process::nap(LOOK);
        let now = clock.now();
        if !presence::is_stopped(pid) {
            seen_awake = now;
        }
        if now - seen_awake >= STILL || limit.is_some_and(|limit| now - begun >= limit) {
            return Err(stays(store, pid)?);
        }
        // One that has only just come takes what it finds for an order to the worker before it. And somebody else may
        // have given a weaker one.
        if store.stop_order()?.is_none_or(|found| hurries && found != order) {
            store.order_stop(order)?;
            presence::ring(store.folder())?;
        }
    }
    Ok(())
}

/// Of the tasks that run.
fn longest_grace(store: &Store) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    for row in store.running()? {
        // One that cannot be read has none that we could wait for.
        let job = store.job(row.seq).unwrap_or_default();
        longest = longest.max(job.limits.grace_us.map(Duration::from_micros).unwrap_or_default());
    }
    Ok(longest)
}

fn stays(store: &Store, pid: i32) -> Result<Error> {
    let known = presence::trouble(store.folder())?;
    Ok(Error::Unavailable {
        message: format!("the worker, process {pid}, was told to go and has not gone"),
        remediation: known.unwrap_or_else(|| {
            format!("'kill -KILL {pid}' ends it with its tasks; the next worker says of each that it was lost")
        }),
    })
}
