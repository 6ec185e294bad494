//! Named semaphores, and who waits for them in which order.
//!
//! Whoever waits for a lock stands in its line, and only the first of a line may take places. So nobody who comes later
//! overtakes, and one that wants all places gets them. A claimant stands in the lines of all its locks at once and takes
//! them all at once: the first of all claimants waits for none but holders, and so nothing can wait in a circle.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::batch::scheduler::Turn;
use crate::model::batch::Lock;

/// So many places of one lock, for one job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    slot: usize,
    places: u32,
}

/// Every lock that some job holds or wants. A lock that nobody wants any more is forgotten.
#[derive(Debug, Default)]
pub(super) struct Locks {
    by_name: HashMap<Arc<str>, usize>,
    slots: Vec<Slot>,
    free_slots: Vec<usize>,
}

#[derive(Debug, Default)]
struct Slot {
    name: Arc<str>,
    places: u32,
    held: u32,
    /// Those that want it and do not hold it.
    line: BTreeSet<Turn>,
    /// Jobs that want it or hold it.
    users: usize,
}

impl Slot {
    fn has_room(&self, places: u32) -> bool {
        places <= self.places - self.held
    }
}

impl Locks {
    /// What a job with these locks will claim.
    ///
    /// Lists are checked before, so what makes no sense only has to come to an end here: of differing numbers of places
    /// the largest holds, a claim is at least one place and at most all, and claims of the same lock are added up.
    pub(super) fn register(&mut self, locks: &[Lock]) -> Box<[Claim]> {
        let mut claims: Vec<Claim> = Vec::with_capacity(locks.len());
        for lock in locks {
            let slot = self.slot(&lock.name);
            let own_places = lock.places.max(1);
            let wanted = lock.taken.clamp(1, own_places);
            self.slots[slot].places = self.slots[slot].places.max(own_places);
            let most = self.slots[slot].places;
            match claims.iter_mut().find(|claim| claim.slot == slot) {
                Some(claim) => claim.places = claim.places.saturating_add(wanted).min(most),
                None => {
                    self.slots[slot].users += 1;
                    claims.push(Claim { slot, places: wanted });
                }
            }
        }
        claims.into()
    }

    /// The job of these claims is over.
    pub(super) fn forget(&mut self, claims: &[Claim]) {
        for claim in claims {
            let slot = &mut self.slots[claim.slot];
            slot.users -= 1;
            if slot.users == 0 {
                self.by_name.remove(&slot.name);
                *slot = Slot::default();
                self.free_slots.push(claim.slot);
            }
        }
    }

    /// Joins the line of each.
    pub(super) fn join(&mut self, claims: &[Claim], turn: Turn) {
        for claim in claims {
            self.slots[claim.slot].line.insert(turn);
        }
    }

    /// Leaves the line of each.
    pub(super) fn leave(&mut self, claims: &[Claim], turn: Turn) {
        for claim in claims {
            self.slots[claim.slot].line.remove(&turn);
        }
    }

    /// All of them may be taken now: there is room, and nobody stands before.
    pub(super) fn allow(&self, claims: &[Claim], turn: Turn) -> bool {
        claims.iter().all(|claim| {
            let slot = &self.slots[claim.slot];
            slot.has_room(claim.places) && slot.line.first() == Some(&turn)
        })
    }

    /// Takes all of them; they were allowed.
    pub(super) fn take(&mut self, claims: &[Claim], turn: Turn) {
        self.leave(claims, turn);
        for claim in claims {
            self.slots[claim.slot].held += claim.places;
        }
    }

    /// Gives all of them back.
    pub(super) fn give_back(&mut self, claims: &[Claim]) {
        for claim in claims {
            self.slots[claim.slot].held -= claim.places;
        }
    }

    /// Those that are first in these lines now, each once.
    pub(super) fn heads(&self, claims: &[Claim]) -> Vec<Turn> {
        let mut heads: Vec<Turn> =
            claims.iter().filter_map(|claim| self.slots[claim.slot].line.first().copied()).collect();
        heads.sort_unstable();
        heads.dedup();
        heads
    }

    fn slot(&mut self, name: &str) -> usize {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let name: Arc<str> = name.into();
        self.slots[slot].name = Arc::clone(&name);
        self.by_name.insert(name, slot);
        slot
    }

    /// How many locks were ever known at once.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// How many locks are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }
}
