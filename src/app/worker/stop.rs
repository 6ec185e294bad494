//! `runner worker stop`: the worker is told to go, and waited for.
//!
//! A worker that drains is waited for as long as its tasks run. One that does nothing at all is told of, and so is one
//! that was to stop its tasks and has not done so in time. Where the store cannot be opened, as one of a newer version,
//! the worker is told through its bell and by a signal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::answer::{self, Request};
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
/// An order that nobody can see arrive is given again after this.
const TOLD_AGAIN: Duration = Duration::from_secs(1);
/// A worker that did nothing for so long, since a signal stopped it, is not waited for.
const STILL: Duration = Duration::from_secs(2);

pub(super) fn stop(now: bool, options: &AnswerOptions, begun: &Request) -> Result<Exit> {
    let folder = state::folder()?;
    let mut data = StopData { pid: presence::pid(&folder)?, now, gone: true };
    if let Some(pid) = data.pid {
        let order = if now { StopOrder::Now } else { StopOrder::Drain };
        let mut stopping = Stopping { store: open(&folder), folder, pid, order };
        stopping.give_order()?;
        // A task of that worker, or a notice, is what it waits for itself.
        data.gone = !procfs::is_below(process::own_pid(), pid);
        if data.gone {
            stopping.await_end()?;
        }
    }
    queue_answer::succeed(&data, &shown::stopped(&data), options, begun)
}

/// None: the order goes to the worker itself.
fn open(folder: &Path) -> Option<Store> {
    match Store::open_existing(folder) {
        Ok(store) => store,
        Err(error) => {
            answer::say(&format!("runner: {error}; the worker is told without its store"));
            None
        }
    }
}

/// A worker that is to end.
struct Stopping {
    folder: PathBuf,
    store: Option<Store>,
    pid: i32,
    order: StopOrder,
}

impl Stopping {
    fn give_order(&mut self) -> Result<()> {
        let stored = self.store.as_mut().map(|store| store.order_stop(self.order));
        match stored {
            Some(Ok(())) => presence::ring(&self.folder).map(drop),
            Some(Err(_)) | None => {
                self.store = None;
                presence::order_stop(&self.folder, self.pid, self.order).map(drop)
            }
        }
    }

    fn await_end(&mut self) -> Result<()> {
        let hurries = self.order == StopOrder::Now;
        let limit = if hurries { Some(self.longest_grace()? + MARGIN) } else { None };
        let clock = SystemClock::start();
        let begun = clock.now();
        let (mut seen_awake, mut told_at) = (begun, begun);
        while presence::pid(&self.folder)? == Some(self.pid) {
            process::nap(LOOK);
            let now = clock.now();
            if !presence::is_stopped(self.pid) {
                seen_awake = now;
            }
            if now - seen_awake >= STILL || limit.is_some_and(|limit| now - begun >= limit) {
                return Err(self.stays()?);
            }
            let again = match &self.store {
                // One that has only just come takes what it finds for an order to the worker before it. And another call
                // may have given a weaker one.
                Some(store) => store.stop_order()?.is_none_or(|found| hurries && found != self.order),
                // Nothing tells whether the order arrived.
                None => !hurries && now - told_at >= TOLD_AGAIN,
            };
            if again {
                told_at = now;
                self.give_order()?;
            }
        }
        Ok(())
    }

    /// Of the tasks that run.
    fn longest_grace(&self) -> Result<Duration> {
        let Some(store) = &self.store else { return Ok(Duration::ZERO) };
        let mut longest = Duration::ZERO;
        for row in store.running()? {
            // One that cannot be read has none that we could wait for.
            let job = store.job(row.seq).unwrap_or_default();
            longest = longest.max(job.limits.grace_us.map(Duration::from_micros).unwrap_or_default());
        }
        Ok(longest)
    }

    fn stays(&self) -> Result<Error> {
        let known = presence::trouble(&self.folder)?;
        let pid = self.pid;
        Ok(Error::Unavailable {
            message: format!("the worker, process {pid}, was told to go and has not gone"),
            remediation: known.unwrap_or_else(|| {
                format!("'kill -KILL {pid}' ends it with its tasks; the next worker says of each that it was lost")
            }),
        })
    }
}
