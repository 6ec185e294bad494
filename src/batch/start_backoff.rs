//! When a start is tried again that failed because descriptors, processes or memory were short. Pure: it is told the time.
//!
//! Shared by the dispatchers of one job, of a batch and of the queue. While other jobs run, a start is tried again for
//! ever: each end may give back what is missing. Where none runs, for a limited time.

use std::time::Duration;

use crate::error::Error;
use crate::platform::shortage;
use crate::time::clock::Moment;

/// The delay after the first failed start; it doubles with each further one,
const FIRST_DELAY: Duration = Duration::from_millis(10);
/// up to this.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// What only this process itself can give back does not come back by itself where none of its jobs runs.
const OWN_PATIENCE: Duration = Duration::from_secs(1);
/// Number of consecutive jobs given up for a shortage after which the batch ends.
const GIVE_UPS: u32 = 3;

/// What follows a start that failed for a shortage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterShortage {
    /// It is tried again. `first`: none failed before, so that the user is to be told.
    Wait { first: bool },
    /// The job has failed.
    GiveUp,
    /// The job has failed, and every other one would.
    GiveUpAll,
}

/// Delays between starts that fail for a shortage.
#[derive(Debug)]
pub struct StartBackoff {
    /// How long a start is tried where no other job runs.
    patience: Duration,
    /// Since the last start that succeeded.
    failures: u32,
    /// No start before this.
    until: Option<Moment>,
    /// Since when starts fail while no job runs.
    alone_since: Option<Moment>,
    give_ups: u32,
    told: bool,
}

impl StartBackoff {
    pub fn new(patience: Duration) -> Self {
        Self { patience, failures: 0, until: None, alone_since: None, give_ups: 0, told: false }
    }

    /// A start is tried for no longer than this.
    pub fn limit_patience(&mut self, limit: Duration) {
        self.patience = self.patience.min(limit);
    }

    /// How long a start is tried that fails for this while no other job runs.
    pub fn patience(&self, error: &Error) -> Duration {
        if shortage::is_own(error) { self.patience.min(OWN_PATIENCE) } else { self.patience }
    }

    /// A start failed for this shortage while the commands of so many other jobs ran.
    pub fn on_shortage(&mut self, error: &Error, running: usize, now: Moment) -> AfterShortage {
        let delay = FIRST_DELAY.saturating_mul(1 << self.failures.min(16)).min(MAX_DELAY);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + delay);
        if running > 0 {
            self.alone_since = None;
            return self.wait();
        }
        let patience = self.patience(error);
        let since = *self.alone_since.get_or_insert(now);
        if now - since < patience {
            // The last one is made when the time is up.
            self.until = Some((now + delay).min(since + patience));
            return self.wait();
        }
        self.alone_since = None;
        self.failures = 0;
        self.until = None;
        self.give_ups += 1;
        if self.give_ups < GIVE_UPS { AfterShortage::GiveUp } else { AfterShortage::GiveUpAll }
    }

    fn wait(&mut self) -> AfterShortage {
        AfterShortage::Wait { first: self.is_news() }
    }

    /// True the first time: a shortage is said once.
    pub fn is_news(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// A command runs: there is enough of everything.
    pub fn on_started(&mut self) {
        (self.failures, self.give_ups) = (0, 0);
        (self.until, self.alone_since) = (None, None);
    }

    /// A job has ended, and with it what it held is free.
    pub fn on_ended(&mut self) {
        self.until = None;
    }

    /// No start before this moment, unless an event comes before. None: one may be tried now. `starting` says whether a job
    /// was started whose command does not run yet: after a shortage one is tried at a time, since two may fail together
    /// where each alone would not.
    pub fn until(&self, now: Moment, starting: impl FnOnce() -> bool) -> Option<Moment> {
        if self.failures == 0 {
            return None;
        }
        self.until.filter(|until| now < *until).or_else(|| starting().then_some(now + MAX_DELAY))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::{AfterShortage, StartBackoff};
    use crate::error::Error;
    use crate::platform::shortage;
    use crate::time::clock::Moment;

    const PATIENCE: Duration = Duration::from_secs(10);
    const FIRST: AfterShortage = AfterShortage::Wait { first: true };
    const AGAIN: AfterShortage = AfterShortage::Wait { first: false };

    fn at(milliseconds: u64) -> Moment {
        Moment::at(Duration::from_millis(milliseconds))
    }

    fn lack(errno: i32) -> Error {
        shortage::named(Error::System { action: "make a process", source: io::Error::from_raw_os_error(errno) })
    }

    #[test]
    fn while_others_run_a_start_is_tried_for_ever_and_never_in_a_busy_loop() {
        let mut backoff = StartBackoff::new(PATIENCE);
        let (mut now, mut starts) = (at(0), 0);
        while now < at(3_600_000) {
            let expected = if starts == 0 { FIRST } else { AGAIN };
            assert_eq!(backoff.on_shortage(&lack(libc::EAGAIN), 1, now), expected);
            now = backoff.until(now, || false).expect("it is delayed");
            starts += 1;
        }
        assert!((3_600..3_620).contains(&starts), "{starts} starts in an hour");
    }

    #[test]
    fn an_end_lets_the_next_start_be_tried_at_once() {
        let mut backoff = StartBackoff::new(PATIENCE);
        backoff.on_shortage(&lack(libc::EMFILE), 3, at(0));
        assert_eq!(backoff.until(at(0), || false), Some(at(10)));
        backoff.on_ended();
        assert_eq!(backoff.until(at(0), || false), None);
        assert!(backoff.until(at(0), || true).is_some(), "one at a time");
        backoff.on_shortage(&lack(libc::EMFILE), 2, at(1));
        assert_eq!(backoff.until(at(1), || false), Some(at(21)));
        backoff.on_started();
        backoff.on_shortage(&lack(libc::EMFILE), 2, at(30));
        assert_eq!(backoff.until(at(30), || false), Some(at(40)));
    }

    #[test]
    fn a_job_alone_is_given_up_after_a_while_and_then_all_are() {
        let mut backoff = StartBackoff::new(PATIENCE);
        let mut now = at(0);
        let mut give_up = |errno, limit: u64| {
            let begun = now;
            loop {
                match backoff.on_shortage(&lack(errno), 0, now) {
                    AfterShortage::Wait { .. } => now = backoff.until(now, || false).expect("it is delayed"),
                    end => {
                        assert_eq!(now - begun, Duration::from_millis(limit));
                        return end;
                    }
                }
            }
        };
        assert_eq!(give_up(libc::EAGAIN, 10_000), AfterShortage::GiveUp);
        assert_eq!(give_up(libc::EMFILE, 1_000), AfterShortage::GiveUp);
        assert_eq!(give_up(libc::ENOMEM, 10_000), AfterShortage::GiveUpAll);
    }

    #[test]
    fn the_time_alone_begins_when_the_last_other_job_has_ended() {
        let mut backoff = StartBackoff::new(PATIENCE);
        backoff.on_shortage(&lack(libc::EAGAIN), 0, at(0));
        backoff.on_shortage(&lack(libc::EAGAIN), 1, at(9_000));
        assert_eq!(backoff.on_shortage(&lack(libc::EAGAIN), 0, at(11_000)), AGAIN);
        assert_eq!(backoff.on_shortage(&lack(libc::EAGAIN), 0, at(21_000)), AfterShortage::GiveUp);
    }
}
