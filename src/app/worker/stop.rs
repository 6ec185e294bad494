//! `runner worker stop`: the worker is told to go, and waited for.
//!
//! A worker that drains is waited for as long as its tasks run. One that does nothing at all is told of, and so is one
//! that was to stop its tasks and has not done so in time. Where the store cannot be opened, for example
//! because a newer version wrote it, the request goes through the bell and by a signal.

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
/// Interval for sending a request again that the store cannot confirm.
const RESEND_INTERVAL: Duration = Duration::from_secs(1);
/// A worker that did nothing for so long, since a signal stopped it, is not waited for.
const STILL: Duration = Duration::from_secs(2);

pub(super) fn stop(now: bool, options: &AnswerOptions, begun: &Request) -> Result<Exit> {
    let folder = state::folder()?;
    let mut data = StopData { pid: presence::pid(&folder)?, now, gone: true };
    if let Some(pid) = data.pid {
        let order = if now { StopOrder::Now } else { StopOrder::Drain };
        let mut request = StopRequest { store: open(&folder), folder, pid, order };
        request.send()?;
        // A task of that worker, or a notice, is what it waits for itself.
        data.gone = !procfs::is_below(process::own_pid(), pid);
        if data.gone {
            request.await_end()?;
        }
    }
    queue_answer::succeed(&data, &shown::stopped(&data), options, begun)
}

/// None: the request goes to the worker directly.
fn open(folder: &Path) -> Option<Store> {
    match Store::open_existing(folder) {
        Ok(store) => store,
        Err(error) => {
            answer::say(&format!("runner: {error}; stopping the worker without the store"));
            None
        }
    }
}

/// A request to stop the worker, and how it is delivered.
struct StopRequest {
    folder: PathBuf,
    store: Option<Store>,
    pid: i32,
    order: StopOrder,
}

impl StopRequest {
    fn send(&mut self) -> Result<()> {
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
        let (mut seen_awake, mut sent_at) = (begun, begun);
        while presence::pid(&self.folder)? == Some(self.pid) {
            process::nap(LOOK);
            let now = clock.now();
            if !presence::is_stopped(self.pid) {
                seen_awake = now;
            }
            if now - seen_awake >= STILL || limit.is_some_and(|limit| now - begun >= limit) {
                return Err(self.not_stopped()?);
            }
            let again = match &self.store {
                // A worker that is just starting discards a request that it finds, as one for its predecessor. And
                // another call may have stored a weaker one.
                Some(store) => store.stop_order()?.is_none_or(|found| hurries && found != self.order),
                // Without the store there is no confirmation.
                None => !hurries && now - sent_at >= RESEND_INTERVAL,
            };
            if again {
                sent_at = now;
                self.send()?;
            }
        }
        Ok(())
    }

    /// The longest grace period of the running tasks.
    fn longest_grace(&self) -> Result<Duration> {
        let Some(store) = &self.store else { return Ok(Duration::ZERO) };
        let mut longest = Duration::ZERO;
        for row in store.running()? {
            // A job that cannot be read has no known grace period.
            let job = store.job(row.seq).unwrap_or_default();
            longest = longest.max(job.limits.grace_us.map(Duration::from_micros).unwrap_or_default());
        }
        Ok(longest)
    }

    fn not_stopped(&self) -> Result<Error> {
        let known = presence::trouble(&self.folder)?;
        let pid = self.pid;
        Ok(Error::Unavailable {
            message: format!("the worker (process {pid}) was asked to stop and has not exited"),
            remediation: known.unwrap_or_else(|| {
                format!("'kill -KILL {pid}' ends it with its tasks; the next worker reports them as lost")
            }),
        })
    }
}
