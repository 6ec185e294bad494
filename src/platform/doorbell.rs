//! A descriptor that becomes readable when somebody rings: how threads, signal handlers and guards wake the watchdog.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::poller;
use crate::error::{Error, Result};

/// An eventfd(2). Ringing never blocks, allocates or fails.
#[derive(Debug)]
pub struct Doorbell(OwnedFd);

impl Doorbell {
    pub fn new() -> Result<Self> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map(Self)
            .map_err(Error::system("make an event descriptor"))
    }

    /// Wakes whoever waits. Safe in a signal handler.
    pub fn ring(&self) {
        // A full counter means that it rings already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes it quiet again.
    pub fn clear(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.0, &mut count);
    }

    /// Waits until it rings, or for so long.
    pub fn await_ring(&self, limit: Duration) {
        poller::await_readable(self.0.as_fd(), limit);
    }

    pub(super) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Doorbell;
    use super::poller::monotonic;

    #[test]
    fn whole_seconds_of_a_limit_are_waited_for() {
        let (bell, begun) = (Doorbell::new().unwrap(), monotonic());
        bell.await_ring(Duration::from_secs(1));
        assert!(monotonic() - begun >= Duration::from_secs(1));
    }
}
