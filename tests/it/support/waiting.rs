//! Waiting for a condition, never for a time.

#![expect(unsafe_code, reason = "poll(2) has no safe form in the standard library")]
#![expect(clippy::disallowed_methods, reason = "tests start processes and read the clock themselves")]

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// What a test allows a run to take, on a machine that is busy with other things.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The generous upper bound of what should be quick.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Waits for an event on a descriptor, at most so long. True if it, or the end of the file, came.
pub(super) fn poll_one(fd: RawFd, events: i16, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut polled = libc::pollfd { fd, events, revents: 0 };
        // SAFETY: one live entry.
        let count = unsafe { libc::poll(&mut polled, 1, milliseconds(left)) };
        if count > 0 || left.is_zero() {
            return count > 0;
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// Polls a condition until it holds; fails when it does not in time.
#[track_caller]
pub(crate) fn wait_until(limit: Duration, what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_quietly(limit, condition), "not within {limit:?}: {what}");
}

pub(super) fn wait_quietly(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Seconds, for bounds.
pub(crate) fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value)
}
