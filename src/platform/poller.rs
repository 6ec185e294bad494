//! Waits for descriptors and for time: a thin and safe face of the polling crate.
//!
//! Level-triggered: what is left unread is told again.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use polling::{Event, Events, PollMode};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::error::{Error, Result};

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Readable,
    Writable,
}

/// A set of descriptors with a key each.
#[derive(Debug)]
pub struct Poller {
    inner: polling::Poller,
    events: Events,
}

impl Poller {
    pub fn new() -> Result<Self> {
        let inner = polling::Poller::new().map_err(Error::system("make an event queue"))?;
        Ok(Self { inner, events: Events::new() })
    }

    /// Adds a descriptor. It must be removed before it is closed.
    pub fn add(&self, descriptor: BorrowedFd<'_>, key: usize, interest: Interest) -> Result<()> {
        // SAFETY: whoever adds removes before closing; a stale entry could only wake us for nothing.
        unsafe { self.inner.add_with_mode(descriptor.as_raw_fd(), event(key, interest), PollMode::Level) }
            .map_err(Error::system("wait for a descriptor"))
    }

    pub fn remove(&self, descriptor: BorrowedFd<'_>) {
        let _ = self.inner.delete(descriptor);
    }

    /// Waits until something is ready or the time is up, and gives the keys.
    pub fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<usize>) -> Result<()> {
        self.events.clear();
        ready.clear();
        match self.inner.wait(&mut self.events, timeout) {
            Ok(_) => ready.extend(self.events.iter().map(|event| event.key)),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::System { action: "wait for events", source: error }),
        }
        Ok(())
    }
}

/// Waits until the descriptor is readable, or for so long.
pub fn await_readable(descriptor: BorrowedFd<'_>, limit: Duration) {
    await_any_readable(&[descriptor], limit);
}

/// Waits until one of the descriptors is readable, or for so long.
pub fn await_any_readable(descriptors: &[BorrowedFd<'_>], limit: Duration) {
    let timeout = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    let mut polled: Vec<_> =
        descriptors.iter().map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN)).collect();
    let _ = rustix::event::poll(&mut polled, Some(&timeout));
}

fn event(key: usize, interest: Interest) -> Event {
    match interest {
        Interest::Readable => Event::readable(key),
        Interest::Writable => Event::writable(key),
    }
}
