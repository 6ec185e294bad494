//! How long the worker may sleep, and whether it exits because there is nothing to do.
//!
//! A store that cannot be read says neither: it is read again after the retry period.

use std::time::Duration;

use super::{CLEANING_SLACK, Clerk, RETRY_PERIOD, TOLD_PERIOD};
use crate::error::Result;
use crate::time::clock::Moment;

impl Clerk {
    /// How long nothing has to be done if nothing happens. None: for ever.
    pub(super) fn patience(&mut self, now: Moment) -> Option<Duration> {
        if self.left {
            return None;
        }
        if let Some(at) = self.retry_at {
            return Some(at - now);
        }
        let told = (!self.told.is_empty()).then(|| self.told_at + TOLD_PERIOD - now);
        let idle = self.idle_since.zip(self.settings.idle_exit).map(|(since, limit)| since + limit - now);
        match self.next_by_clock(now) {
            Ok(by_clock) => [told, idle, by_clock].into_iter().flatten().min(),
            Err(error) => {
                // What is due next is not known: the store is looked at again soon.
                self.note_failure(&error);
                Some(RETRY_PERIOD)
            }
        }
    }

    /// How long until the store has something to do without being told: a task is due, or old enough to be removed.
    fn next_by_clock(&self, now: Moment) -> Result<Option<Duration>> {
        let due = if self.stop.is_some() { None } else { self.store.next_due(self.claim.boot.as_deref())? };
        let old = self.settings.max_task_age.map(|age| self.store.next_of_age(age)).transpose()?.flatten();
        let old = old.map(|old| old.max(self.clean_at - now).saturating_add(CLEANING_SLACK));
        // A moment later is due for sure, and not due by half a tick.
        let due = due.map(|due| due.saturating_add(Duration::from_millis(1)));
        Ok([due, old].into_iter().flatten().min())
    }

    pub(super) fn note_idle(&mut self, now: Moment) {
        let mut busy = self.has_jobs() || self.retry_at.is_some();
        if !busy {
            match self.store.has_work() {
                Ok(has_work) => busy = has_work,
                Err(error) => {
                    self.note_failure(&error);
                    busy = true;
                }
            }
        }
        self.idle_since = if busy { None } else { Some(self.idle_since.unwrap_or(now)) };
    }

    /// A worker that was told to stop goes once nothing runs; one that has nothing to do, after a while.
    pub(super) fn look_whether_to_go(&mut self, now: Moment) -> Result<()> {
        if self.left || self.has_jobs() {
            return Ok(());
        }
        let idle = self.idle_since.zip(self.settings.idle_exit).is_some_and(|(since, limit)| now >= since + limit);
        if self.stop.is_some() {
            self.leave();
        } else if idle {
            // Whoever rings from now on is told that nobody listens, and starts another worker; who rang before has left
            // something in the store.
            if let Some(listener) = self.listener.take() {
                listener.close();
            }
            if self.store.has_work().unwrap_or(true) {
                self.idle_since = None;
                // Their ring was heard by the listener that is closed. The next look opens another one.
                self.post.remind();
            } else {
                self.leave();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Clerk, RETRY_PERIOD, Settings};
    use crate::backend::Waker;
    use crate::error::Error;
    use crate::model::unique_id::unique_id;
    use crate::store::Store;
    use crate::time::clock::Clock;
    use crate::worker::post::office;

    #[test]
    fn a_store_that_cannot_say_what_is_due_is_read_again_soon() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let (_foreman, post) = office(Waker::new().unwrap());
        let settings = Settings {
            idle_exit: None,
            max_task_age: None,
            new_run: || unique_id().to_string(),
            say: Box::new(|_| {}),
            has_store: Box::new(|| true),
        };
        let make_job = Box::new(|_| Err(Error::Internal("no job".to_owned())));
        let mut clerk = Clerk::open(Store::open(&state).unwrap(), post, make_job, settings).unwrap();
        let now = clerk.clock.now();
        assert_eq!(clerk.patience(now), None, "nothing is due");
        let other = rusqlite::Connection::open(state.join("queue.db")).unwrap();
        other.execute("DROP INDEX tasks_to_come", []).unwrap();
        assert_eq!(clerk.patience(now), Some(RETRY_PERIOD));
        let later = clerk.clock.now();
        assert!(clerk.retry_at.is_some_and(|at| at <= later + RETRY_PERIOD), "the store is looked at then");
        assert!(clerk.patience(later).is_some_and(|wait| wait > Duration::ZERO));
    }
}
