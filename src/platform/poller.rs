//! Waits for descriptors and for time: epoll(7), with a timerfd(2) for instants that milliseconds are too coarse for.
//!
//! Level-triggered: what is left unread is told again.

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};

use crate::error::{Error, Result};

/// Events that are taken at once. What is left is told the next time.
const EVENTS: usize = 256;
/// The longest wait in milliseconds that epoll_wait(2) takes is some days longer; it comes back for nothing then.
const LONGEST_WAIT: Duration = Duration::from_secs(20 * 86_400);
/// The key of the timer; never told.
const TIMER: u64 = u64::MAX;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Readable,
    Writable,
}

/// A set of descriptors with a key each. Keys are less than the greatest number.
pub struct Poller {
    epoll: OwnedFd,
    /// None where the system has no timers; milliseconds have to do then.
    timer: Option<OwnedFd>,
    /// When the timer goes off. One that goes off too early wakes us for nothing, and only once.
    armed: Option<Duration>,
    events: Vec<epoll::Event>,
}

impl Poller {
    pub fn new() -> Result<Self> {
        let failed = || Error::system("make an event queue");
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(failed())?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = match rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => None,
            timer => Some(timer.map_err(failed())?),
        };
        if let Some(timer) = &timer {
            epoll::add(&epoll, timer, EventData::new_u64(TIMER), EventFlags::IN).map_err(failed())?;
        }
        Ok(Self { epoll, timer, armed: None, events: Vec::with_capacity(EVENTS) })
    }

    /// Adds a descriptor. It must be removed before it is closed.
    pub fn add(&self, descriptor: BorrowedFd<'_>, key: usize, interest: Interest) -> Result<()> {
        let flags = match interest {
            Interest::Readable => EventFlags::IN,
            Interest::Writable => EventFlags::OUT,
        };
        epoll::add(&self.epoll, descriptor, EventData::new_u64(key as u64), flags)
            .map_err(Error::system("wait for a descriptor"))
    }

    pub fn remove(&self, descriptor: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    /// Waits until something is ready or an instant has come, and gives the keys. It may also come back for nothing.
    /// Instants are counted from a beginning that stays the same.
    pub fn wait(&mut self, until: Option<Duration>, now: Duration, ready: &mut Vec<usize>) -> Result<()> {
        ready.clear();
        self.events.clear();
        let due = until.is_some_and(|until| until <= now);
        let mut timeout = due.then_some(Timespec { tv_sec: 0, tv_nsec: 0 });
        if let (Some(until), false) = (until, due) {
            match &self.timer {
                Some(timer) if self.armed.is_none_or(|armed| until < armed) => {
                    arm(timer, until - now)?;
                    self.armed = Some(until);
                }
                Some(_) => {}
                // Never early.
                None => {
                    timeout = Some(timespec((until - now).saturating_add(Duration::from_millis(1)).min(LONGEST_WAIT)))
                }
            }
        }
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::system("wait for events")(errno)),
        }
        for event in &self.events {
            let key = event.data.u64();
            if key == TIMER {
                let mut count = [0; 8];
                let _ = self.timer.as_ref().map(|timer| rustix::io::read(timer, &mut count));
                self.armed = None;
            } else {
                ready.push(key as usize);
            }
        }
        Ok(())
    }
}

fn arm(timer: &OwnedFd, after: Duration) -> Result<()> {
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: timespec(after) };
    rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)
        .map(drop)
        .map_err(Error::system("set a timer"))
}

impl fmt::Debug for Poller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Poller").field("armed", &self.armed).finish_non_exhaustive()
    }
}

/// Whether the descriptor is readable now.
pub fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&timespec(Duration::ZERO))).is_ok_and(|ready| ready > 0)
}

/// Waits until the descriptor is readable, or for so long.
pub fn await_readable(descriptor: BorrowedFd<'_>, limit: Duration) {
    await_any_readable(&[descriptor], limit);
}

/// Waits until the first is readable, or nobody reads any more what goes into the second, or for so long. True where
/// nobody does.
pub fn await_readable_or_broken(descriptor: BorrowedFd<'_>, sink: BorrowedFd<'_>, limit: Duration) -> bool {
    // Errors are told without being asked for.
    let nothing = PollFlags::empty();
    let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN), PollFd::from_borrowed_fd(sink, nothing)];
    let _ = rustix::event::poll(&mut polled, Some(&timespec(limit)));
    polled[1].revents().contains(PollFlags::ERR)
}

/// Waits until one of the descriptors is readable, or for so long.
pub fn await_any_readable(descriptors: &[BorrowedFd<'_>], limit: Duration) {
    let timeout = timespec(limit);
    let mut polled: Vec<_> =
        descriptors.iter().map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN)).collect();
    let _ = rustix::event::poll(&mut polled, Some(&timeout));
}

/// An instant of the monotonic clock, for waits that are made of several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until(Option<Duration>);

impl Until {
    /// In so long; without a limit, never.
    pub(super) fn after(limit: Option<Duration>) -> Self {
        Self(limit.map(|limit| monotonic().saturating_add(limit)))
    }

    /// How long that still is.
    pub(super) fn rest(self) -> Option<Duration> {
        self.0.map(|instant| instant.saturating_sub(monotonic()))
    }
}

/// Waits until the descriptor is readable, or at its end. False: the instant has come before.
pub(super) fn await_until(descriptor: BorrowedFd<'_>, until: Until) -> Result<bool> {
    loop {
        let timeout = until.rest().map(timespec);
        match rustix::event::poll(&mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)], timeout.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::system("wait for a descriptor")(errno)),
        }
    }
}

/// The monotonic clock, of which only differences mean something.
pub(super) fn monotonic() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)).unwrap_or_default()
}

/// A duration as system calls take it; what is too long for them is the longest that they take.
pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::{Interest, Poller, monotonic};
    use crate::platform::doorbell::Doorbell;

    #[test]
    fn an_instant_never_comes_early_and_a_bell_is_told_by_its_key() {
        let now = monotonic;
        let (mut poller, bell) = (Poller::new().unwrap(), Doorbell::new().unwrap());
        poller.add(bell.as_fd(), 7, Interest::Readable).unwrap();
        let mut ready = Vec::new();
        for millis in [30, 1, 15, 0] {
            let until = now() + Duration::from_millis(millis);
            // A timer that was set for later, or for earlier, does no harm.
            while now() < until {
                poller.wait(Some(until), now(), &mut ready).unwrap();
                assert!(ready.is_empty());
            }
        }
        bell.ring();
        poller.wait(None, now(), &mut ready).unwrap();
        assert_eq!(ready, [7]);
        poller.remove(bell.as_fd());
        poller.wait(Some(now()), now(), &mut ready).unwrap();
        assert!(ready.is_empty());
    }
}
