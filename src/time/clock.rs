//! Instants on a clock that is passed in, so that all policy is tested without waiting.
//!
//! The only place that reads the system's clocks. A `JobClock` stands still while runner itself is stopped by job
//! control: every deadline is an instant on it, so none can forget to pause.

use std::cell::Cell;
use std::ops::{Add, Sub};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

/// 9999-12-31T23:59:59.999Z: humantime panics at what is later.
const LAST_INSTANT: Duration = Duration::from_millis(253_402_300_799_999);

/// An instant on some clock: the time since that clock began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The instant `since_start` after the clock began.
    pub fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// Time since the clock began.
    pub fn since_start(self) -> Duration {
        self.0
    }

    /// Time since `earlier`; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Far deadlines saturate: a clock never gets there.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A source of instants.
pub trait Clock {
    fn now(&self) -> Moment;
}

/// The monotonic clock of the system.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that begins now.
    #[expect(clippy::disallowed_methods, reason = "this is the home of the clock")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment(self.start.elapsed())
    }
}

/// A clock that moves only when told; clones share the time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    now: Rc<Cell<Duration>>,
}

impl ManualClock {
    pub fn advance(&self, by: Duration) {
        self.now.set(self.now.get() + by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.now.get())
    }
}

/// A clock that can be paused.
#[derive(Debug)]
pub struct JobClock<C> {
    source: C,
    paused_since: Option<Moment>,
    paused_for: Duration,
}

impl<C: Clock> JobClock<C> {
    pub fn new(source: C) -> Self {
        Self { source, paused_since: None, paused_for: Duration::ZERO }
    }

    /// Stops the clock; a second pause changes nothing.
    pub fn pause(&mut self) {
        self.paused_since.get_or_insert(self.source.now());
    }

    /// Lets the clock go on from where it stood.
    pub fn resume(&mut self) {
        if let Some(since) = self.paused_since.take() {
            self.paused_for += self.source.now() - since;
        }
    }
}

impl<C: Clock> Clock for JobClock<C> {
    fn now(&self) -> Moment {
        let now = self.paused_since.unwrap_or_else(|| self.source.now());
        Moment(now.0.saturating_sub(self.paused_for))
    }
}

/// Wall-clock time since the Unix epoch; only for what is shown or handed to other processes.
#[expect(clippy::disallowed_methods, reason = "this is the home of the clock")]
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Time since the machine was started, that in which it slept included; nothing sets it.
pub fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Wall-clock time as RFC 3339 in UTC, with milliseconds. What is later than the last instant that four digits of a year
/// can say, such as a deadline that was moved again and again, is that instant.
pub fn rfc3339(since_epoch: Duration) -> String {
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since_epoch.min(LAST_INSTANT)).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock, JobClock, ManualClock, Moment, rfc3339};

    #[test]
    fn a_job_clock_stands_still_while_paused() {
        let source = ManualClock::default();
        let mut clock = JobClock::new(source.clone());
        source.advance(Duration::from_secs(3));
        clock.pause();
        source.advance(Duration::from_secs(100));
        clock.pause();
        assert_eq!(clock.now(), Moment::at(Duration::from_secs(3)));
        clock.resume();
        clock.resume();
        source.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Moment::at(Duration::from_secs(4)));
    }

    #[test]
    fn time_stamps_are_utc_with_milliseconds() {
        assert_eq!(rfc3339(Duration::from_millis(1_705_314_600_005)), "2024-01-15T10:30:00.005Z");
        assert_eq!(rfc3339(Duration::MAX), "9999-12-31T23:59:59.999Z");
    }
}
