//! Waits for the store to change, without a look in vain: whoever changes it says so by a file.

use std::path::Path;
use std::time::Duration;

use crate::app::worker::presence;
use crate::error::Result;
use crate::platform::watch::Watch;
use crate::platform::{descriptors, state_folder};
use crate::store::Store;
use crate::time::clock::{Clock, Moment, SystemClock};

/// At the latest after so long it is looked whether there is still a worker. Elsewhere made changes are seen then, too.
const LOOK: Duration = Duration::from_secs(2);

/// Somebody who waits for a store.
pub(super) struct Following<'a> {
    store: &'a Store,
    watch: Watch,
    clock: SystemClock,
}

impl<'a> Following<'a> {
    /// What changes from now on is seen.
    pub(super) fn of(store: &'a Store) -> Result<Self> {
        Self::watching(store, &[])
    }

    /// The same for the logs, too.
    pub(super) fn with_logs(store: &'a Store) -> Result<Self> {
        let logs = Store::logs_folder(store.folder());
        state_folder::make_one(&logs)?;
        Self::watching(store, &[&logs])
    }

    fn watching(store: &'a Store, others: &[&Path]) -> Result<Self> {
        let news = Store::news_file(store.folder());
        state_folder::make_file(&news)?;
        let watched: Vec<&Path> = others.iter().copied().chain([news.as_path()]).collect();
        Ok(Self { store, watch: Watch::of(&watched)?, clock: SystemClock::start() })
    }

    /// Waits until it is done, or for so long. False: it is not done.
    pub(super) fn until(&self, limit: Option<Duration>, mut done: impl FnMut() -> Result<bool>) -> Result<bool> {
        let begun = self.clock.now();
        loop {
            if done()? {
                return Ok(true);
            }
            let left = limit.map(|limit| limit.saturating_sub(self.clock.now() - begun));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            self.wait(left.unwrap_or(LOOK))?;
        }
    }

    /// Waits until something may have changed, at most so long. A worker that died meanwhile is replaced.
    pub(super) fn wait(&self, limit: Duration) -> Result<()> {
        let before = self.clock.now();
        self.watch.wait(limit.min(LOOK));
        self.look_for_worker(before)
    }

    /// Waits until something may have changed that is to be written to standard output. True where nobody reads that any
    /// more.
    pub(super) fn wait_for_reader(&self) -> Result<bool> {
        let before = self.clock.now();
        let broken = self.watch.wait_for_reader(descriptors::stdout(), LOOK);
        self.look_for_worker(before)?;
        Ok(broken)
    }

    fn look_for_worker(&self, before: Moment) -> Result<()> {
        if self.clock.now() - before >= LOOK {
            presence::summon_if_needed(self.store)?;
        }
        Ok(())
    }
}
