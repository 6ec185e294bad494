//! The ids of a batch: what became of the jobs that bear them, and which jobs wait for that.
//!
//! A job without an id leaves nothing here; one with an id leaves the id and a word on how it ended.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::batch::Verdict;

/// An id, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct IdKey(u32);

/// How it stands with the job of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Some job needs it, and none that bears it came so far.
    Unknown,
    /// The list is at its end, and no job bears it.
    Missing,
    /// It is not over.
    Pending,
    Succeeded,
    /// It ended in one of the other ways.
    Ended(Verdict),
    /// It did not succeed in an earlier run, and is not run in this one.
    LeftOut,
}

impl Standing {
    /// It will never succeed.
    fn is_hopeless(self) -> bool {
        matches!(self, Self::Missing | Self::Ended(_) | Self::LeftOut)
    }
}

/// Every id that a job bears or needs.
#[derive(Debug, Default)]
pub(super) struct Needs {
    keys: HashMap<Arc<str>, IdKey>,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    standing: Standing,
    /// In the order in which they came; one that needs it twice stands here twice.
    waiting: Vec<u64>,
}

impl Needs {
    pub(super) fn key(&mut self, name: &str) -> IdKey {
        if let Some(key) = self.keys.get(name) {
            return *key;
        }
        let key = IdKey(u32::try_from(self.known.len()).expect("memory holds no four thousand million ids"));
        let name: Arc<str> = name.into();
        self.known.push(Known { name: Arc::clone(&name), standing: Standing::Unknown, waiting: Vec::new() });
        self.keys.insert(name, key);
        key
    }

    pub(super) fn standing(&self, key: IdKey) -> Standing {
        self.entry(key).standing
    }

    /// A job that bears this id came. None where another one bears it already: the first keeps it.
    pub(super) fn claim(&mut self, name: &str) -> Option<IdKey> {
        let key = self.key(name);
        let entry = self.entry_mut(key);
        if !matches!(entry.standing, Standing::Unknown | Standing::Missing) {
            return None;
        }
        entry.standing = Standing::Pending;
        Some(key)
    }

    /// This job waits for that id.
    pub(super) fn wait(&mut self, key: IdKey, seq: u64) {
        self.entry_mut(key).waiting.push(seq);
    }

    /// How it stands from now on. Gives those that waited for it.
    pub(super) fn settle(&mut self, key: IdKey, standing: Standing) -> Vec<u64> {
        let entry = self.entry_mut(key);
        entry.standing = standing;
        std::mem::take(&mut entry.waiting)
    }

    /// Those that wait for it.
    pub(super) fn waiting(&self, key: IdKey) -> &[u64] {
        &self.entry(key).waiting
    }

    /// Ids that are needed and that no job bears, in the order in which they were first heard of.
    pub(super) fn unknown(&self) -> Vec<IdKey> {
        self.all().filter(|key| self.standing(*key) == Standing::Unknown).collect()
    }

    /// Every id there is, in the order in which they were first heard of.
    pub(super) fn all(&self) -> impl Iterator<Item = IdKey> + '_ {
        (0..).map(IdKey).take(self.known.len())
    }

    /// Why who needs it will never run, where that is so.
    pub(super) fn obstacle(&self, key: IdKey) -> Option<String> {
        self.standing(key).is_hopeless().then(|| self.explain(key))
    }

    /// Why who needs it does not run.
    pub(super) fn explain(&self, key: IdKey) -> String {
        let what = match self.standing(key) {
            Standing::Unknown | Standing::Missing => "which is no job of this list",
            Standing::Pending => "which can never begin, since the needs run in a circle",
            Standing::Succeeded => "which succeeded",
            Standing::LeftOut => "which is not run this time",
            Standing::Ended(verdict) => match verdict {
                Verdict::Succeeded | Verdict::Flaky => "which succeeded",
                Verdict::Failed => "which failed",
                Verdict::TimedOut => "which timed out",
                Verdict::Cancelled => "which was cancelled",
                Verdict::Skipped => "which was skipped",
            },
        };
        format!("needs '{}', {what}", self.entry(key).name)
    }

    fn entry(&self, key: IdKey) -> &Known {
        &self.known[key.0 as usize]
    }

    fn entry_mut(&mut self, key: IdKey) -> &mut Known {
        &mut self.known[key.0 as usize]
    }

    /// How many ids are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
