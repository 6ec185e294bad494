//! How one job stands at any moment: for renderers, and for whoever asks.
//!
//! It only keeps what it is told. Only the job calls it.

use std::time::Duration;

use crate::model::event::{Event, Live, Stopping};
use crate::model::outcome::Told;
use crate::model::signal::Signal;
use crate::time::clock::Moment;

/// How often the growth of the output is told, at most.
const GROWTH_PERIOD: Duration = Duration::from_secs(1);

/// What was seen of a job while it ran.
#[derive(Debug)]
pub(super) struct Standing {
    started_at: Moment,
    last_sign: Moment,
    told_bytes: (u64, u64),
    told_bytes_at: Moment,
    stopping: Option<Signal>,
    kill_at: Option<Moment>,
}

impl Standing {
    pub(super) fn new(now: Moment) -> Self {
        Self { started_at: now, last_sign: now, told_bytes: (0, 0), told_bytes_at: now, stopping: None, kill_at: None }
    }

    pub(super) fn started_at(&self) -> Moment {
        self.started_at
    }

    /// It wrote something, or said something that was understood.
    pub(super) fn note_sign(&mut self, now: Moment) {
        self.last_sign = now;
    }

    /// When it will be killed.
    pub(super) fn note_kill_at(&mut self, at: Moment) {
        self.kill_at = Some(at);
    }

    /// It is being stopped.
    pub(super) fn note_stop(&mut self, signal: Signal) {
        self.stopping = Some(signal);
        self.kill_at = self.kill_at.filter(|_| signal != Signal::KILL);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// The growth of its output, where that is news and not told too often. `last`: it is told whenever it was.
    pub(super) fn growth(&mut self, bytes: (u64, u64), now: Moment, last: bool) -> Option<Event> {
        if bytes == self.told_bytes || (!last && now - self.told_bytes_at < GROWTH_PERIOD) {
            return None;
        }
        self.told_bytes = bytes;
        self.told_bytes_at = now;
        Some(Event::OutputGrew { stdout_bytes: bytes.0, stderr_bytes: bytes.1 })
    }

    /// All of it. `wall` is the time it has in all, `bytes` what it wrote.
    pub(super) fn live(&self, now: Moment, wall: Option<Duration>, told: &Told, bytes: (u64, u64)) -> Live {
        let kill_in = self.kill_at.map(|at| at - now);
        Live {
            elapsed: now - self.started_at,
            timeout: wall,
            progress: told.progress,
            status: told.status.clone(),
            silent_for: now - self.last_sign,
            stdout_bytes: bytes.0,
            stderr_bytes: bytes.1,
            stopping: self.stopping.map(|signal| Stopping { signal, kill_in }),
            processes: None,
            attempt: None,
            begins_in: None,
        }
    }
}
