//! `runner task stats` and `runner task clean`.

use std::time::Duration;

use crate::app::queue_answer::succeed;
use crate::app::task::{Call, open};
use crate::app::worker::{self, presence};
use crate::error::Result;
use crate::model::exit_code::Exit;
use crate::model::percentiles::Percentiles;
use crate::model::queue_data::{CleanData, StatsData};
use crate::model::task::TaskStatus;
use crate::render::tasks as shown;
use crate::store::{SLOTS, Stats, Store};

impl Call {
    pub(super) fn stats(&self) -> Result<Exit> {
        let data = match open()? {
            Some(store) => stats(&store)?,
            None => StatsData { slots: SLOTS, ..StatsData::default() },
        };
        succeed(&data, &shown::stats(&data), &self.options, &self.begun)
    }

    pub(super) fn clean(&self, older_than: Duration, statuses: &[TaskStatus]) -> Result<Exit> {
        let removed = match open()? {
            Some(mut store) => store.clean(older_than, statuses)?,
            None => 0,
        };
        let data = CleanData { removed };
        succeed(&data, &shown::cleaned(&data), &self.options, &self.begun)
    }
}

fn stats(store: &Store) -> Result<StatsData> {
    let Stats { tasks, lifetime, waits, runs, ready } = store.stats()?;
    let mut data = StatsData { queue_length: ready, ..StatsData::default() };
    for (status, priority, count) in tasks {
        data.total += count;
        *data.by_status.of(status) += count;
        *data.by_priority.of(priority) += count;
    }
    for (word, count) in lifetime {
        if let Some(slot) = data.lifetime.named(&word) {
            *slot = count;
        }
    }
    data.timeout_rate = data.lifetime.timeout_rate();
    data.wait_seconds = Percentiles::of(waits);
    data.run_seconds = Percentiles::of(runs);
    data.workers = u32::from(presence::pid(store.folder())?.is_some());
    data.groups = worker::groups_of(store)?;
    let shared = store.groups()?.into_iter().find(|group| group.name.is_empty()).and_then(|group| group.slots);
    data.slots = shared.unwrap_or(SLOTS) + data.groups.iter().filter_map(|group| group.slots).sum::<u32>();
    Ok(data)
}
