//! Which job runs next: a pure state machine over needs, locks, priorities and slots.
//!
//! It knows jobs by their numbers alone, and reads no clock, file or process. Every step costs the logarithm of what waits,
//! and a job that is over leaves nothing behind but its id, where it has one.
//!
//! A job is parked until all that it needs has succeeded. Then it has a turn, by priority and place in the list, and
//! stands in the lines of its locks. It is ready once it is the first in all of them and there is room. The first of the
//! ready jobs is the one that runs next, so nobody waits behind a job that waits for a lock, but for those who want the
//! same lock.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::batch::locks::{Claim, Locks};
use crate::batch::needs::{IdKey, Needs, Standing};
use crate::batch::stopping::Tally;
use crate::model::batch::{Lock, Priority, Verdict};
use crate::model::request::StopRule;

pub use crate::batch::stopping::Reaction;

/// With so many jobs waiting for locks no more are asked for: the rest of the list may want the same ones.
const LOCK_WAITERS: usize = 4096;

/// What the scheduler knows of a job.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Its place in the list; no two are equal.
    pub seq: u64,
    pub id: Option<String>,
    pub needs: Vec<String>,
    pub locks: Vec<Lock>,
    pub priority: Priority,
}

/// A job that will not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    pub seq: u64,
    /// Why, as in `needs 'a', which failed`.
    pub because: String,
}

/// What the end of a job brings about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Who will not run because of it; whoever is needed stands before who needs it.
    pub skipped: Vec<Skip>,
    pub reaction: Reaction,
}

/// When a job comes among those that wait: the smallest is the first. A job that is tried again comes before others of
/// its priority, since its time has come already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    priority: Priority,
    first_try: bool,
    seq: u64,
}

/// A job that is not over.
#[derive(Debug)]
struct Job {
    id: Option<IdKey>,
    claims: Box<[Claim]>,
    priority: Priority,
    /// It was begun before.
    begun: bool,
    place: Place,
}

impl Job {
    fn turn(&self, seq: u64) -> Turn {
        Turn { priority: self.priority, first_try: !self.begun, seq }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// So many of its needs have not succeeded yet.
    Parked(u32),
    /// In the lines of its locks, and not the first in all of them, or without room.
    InLine,
    /// It may run, unless something that has come meanwhile goes before.
    Ready,
    Running,
    /// Between two attempts.
    Paused,
}

/// Decides which job runs next.
#[derive(Debug)]
pub struct Scheduler {
    slots: usize,
    running: usize,
    jobs: HashMap<u64, Job>,
    needs: Needs,
    locks: Locks,
    /// The first of them may always run.
    ready: BTreeSet<Turn>,
    in_line: usize,
    at_end: bool,
    halted: Option<String>,
    tally: Tally,
}

impl Scheduler {
    /// A scheduler for so many jobs at once.
    pub fn new(slots: usize, rule: StopRule) -> Self {
        Self {
            slots: slots.max(1),
            running: 0,
            jobs: HashMap::new(),
            needs: Needs::default(),
            locks: Locks::default(),
            ready: BTreeSet::new(),
            in_line: 0,
            at_end: false,
            halted: None,
            tally: Tally::new(rule),
        }
    }

    /// An earlier run of the batch had a success of this id.
    pub fn note_done_before(&mut self, id: &str) {
        if let Some(key) = self.needs.claim(id) {
            self.succeed(key);
            self.settle();
        }
    }

    /// A job of this id did not succeed in an earlier run, and is not run in this one. Skips whoever waits for it.
    pub fn note_left_out(&mut self, id: &str) -> Vec<Skip> {
        let skipped = match self.needs.claim(id) {
            Some(key) => self.skip_dependents(key, Standing::LeftOut),
            None => Vec::new(),
        };
        self.settle();
        skipped
    }

    /// Takes a job of the list. It is skipped at once, and with it whoever waits for it, where a job that it needs has not
    /// succeeded and never will, and after `halt`.
    ///
    /// Of several jobs with one id the first has it; the others run like jobs without.
    pub fn offer(&mut self, ticket: Ticket) -> Vec<Skip> {
        let Ticket { seq, id, needs, locks, priority } = ticket;
        debug_assert!(!self.jobs.contains_key(&seq), "job {seq} was offered twice");
        let id = id.and_then(|id| self.needs.claim(&id));
        let needs: Vec<IdKey> = needs.iter().map(|need| self.needs.key(need)).collect();
        if let Some(because) = self.refusal(&needs) {
            return self.skip(seq, id, because);
        }
        let mut missing = 0;
        for need in needs {
            if self.needs.standing(need) != Standing::Succeeded {
                self.needs.wait(need, seq);
                missing += 1;
            }
        }
        let claims = self.locks.register(&locks);
        self.jobs.insert(seq, Job { id, claims, priority, begun: false, place: Place::Parked(missing) });
        if missing == 0 {
            self.line_up(seq);
            self.settle();
        }
        Vec::new()
    }

    /// Nothing more will be offered. Skips whoever waits for a job that will never come.
    pub fn no_more(&mut self) -> Vec<Skip> {
        self.at_end = true;
        let mut skipped = Vec::new();
        for key in self.needs.unknown() {
            skipped.extend(self.skip_dependents(key, Standing::Missing));
        }
        skipped.extend(self.break_circles());
        self.settle();
        skipped
    }

    /// Another job is wanted: a slot is free, nothing that was offered can take it, and the wait for locks is not so long
    /// that asking on is of no use.
    pub fn wants_more(&self) -> bool {
        !self.at_end
            && self.halted.is_none()
            && self.running < self.slots
            && self.ready.is_empty()
            && self.in_line < LOCK_WAITERS
    }

    /// `next` would begin a job.
    pub fn has_next(&self) -> bool {
        self.running < self.slots && self.halted.is_none() && !self.ready.is_empty()
    }

    /// Begins the job whose turn it is, where there is one and a slot is free: it has slot and locks from now on.
    #[expect(clippy::should_implement_trait, reason = "one that is none now may be one after the next end")]
    pub fn next(&mut self) -> Option<u64> {
        if self.running >= self.slots || self.halted.is_some() {
            return None;
        }
        let turn = self.ready.pop_first()?;
        let job = self.jobs.get_mut(&turn.seq).expect("whoever is ready is not over");
        job.place = Place::Running;
        job.begun = true;
        self.running += 1;
        self.locks.take(&job.claims, turn);
        // Whoever stood behind may be the first now.
        let heads = self.locks.heads(&job.claims);
        self.call(&heads);
        self.settle();
        Some(turn.seq)
    }

    /// The attempt is over and there will be another one: gives slot and locks back until `again`.
    pub fn pause(&mut self, seq: u64) {
        if self.jobs.get(&seq).is_some_and(|job| job.place == Place::Running) {
            self.withdraw(seq);
            self.settle();
        }
    }

    /// A paused job may begin again, before others of its priority. After `halt` it may not, and stays paused.
    pub fn again(&mut self, seq: u64) {
        if self.halted.is_none() && self.jobs.get(&seq).is_some_and(|job| job.place == Place::Paused) {
            self.line_up(seq);
            self.settle();
        }
    }

    /// A job is over, whether it ran or was paused.
    pub fn end(&mut self, seq: u64, verdict: Verdict) -> Ending {
        self.withdraw(seq);
        let Some(job) = self.jobs.remove(&seq) else { return Ending::default() };
        self.locks.forget(&job.claims);
        let skipped = match job.id {
            Some(key) if verdict.is_success() => {
                self.succeed(key);
                Vec::new()
            }
            Some(key) => self.skip_dependents(key, Standing::Ended(verdict)),
            None => Vec::new(),
        };
        self.settle();
        Ending { skipped, reaction: self.tally.note(verdict) }
    }

    /// From now on nothing begins. All jobs that never ran are given back, in the order of the list; those that pause
    /// are not: see `paused`.
    pub fn halt(&mut self, because: &str) -> Vec<Skip> {
        if self.halted.is_none() {
            self.halted = Some(because.to_owned());
        }
        let mut waiting: Vec<u64> = self.jobs.keys().copied().collect();
        waiting.retain(|seq| !matches!(self.jobs[seq].place, Place::Running | Place::Paused));
        waiting.sort_unstable();
        let mut skipped = Vec::new();
        for seq in waiting {
            self.withdraw(seq);
            if !self.jobs[&seq].begun
                && let Some(job) = self.jobs.remove(&seq)
            {
                self.locks.forget(&job.claims);
                if let Some(key) = job.id {
                    self.needs.settle(key, Standing::Ended(Verdict::Skipped));
                }
                skipped.push(Skip { seq, because: because.to_owned() });
            }
        }
        skipped
    }

    pub fn is_halted(&self) -> bool {
        self.halted.is_some()
    }

    /// How many jobs run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// The jobs that are between two attempts, in the order of the list. After `halt` there will be no other attempt,
    /// and they are to be ended.
    pub fn paused(&self) -> Vec<u64> {
        let mut paused: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| job.place == Place::Paused).map(|(seq, _)| *seq).collect();
        paused.sort_unstable();
        paused
    }

    /// Nothing more will happen: the list is at its end, or the batch was halted, and every job is over.
    pub fn is_over(&self) -> bool {
        (self.at_end || self.halted.is_some()) && self.jobs.is_empty()
    }

    /// Why a job with these needs is skipped at once.
    fn refusal(&self, needs: &[IdKey]) -> Option<String> {
        if let Some(because) = &self.halted {
            return Some(because.clone());
        }
        needs.iter().find_map(|need| match self.needs.standing(*need) {
            Standing::Unknown if self.at_end => Some(self.needs.explain(*need)),
            _ => self.needs.obstacle(*need),
        })
    }

    /// All that the job needs has succeeded, or its pause is over.
    fn line_up(&mut self, seq: u64) {
        let job = self.jobs.get_mut(&seq).expect("whoever lines up is not over");
        let turn = job.turn(seq);
        job.place = Place::InLine;
        self.in_line += 1;
        if job.claims.is_empty() {
            return self.call(&[turn]);
        }
        self.locks.join(&job.claims, turn);
        // A lock may have got more places with it, so that somebody else may go.
        let heads = self.locks.heads(&job.claims);
        self.call(&heads);
    }

    /// Makes those of them ready that may run now.
    fn call(&mut self, turns: &[Turn]) {
        for turn in turns {
            let job = self.jobs.get_mut(&turn.seq).expect("whoever stands in a line is not over");
            if job.place == Place::InLine && self.locks.allow(&job.claims, *turn) {
                job.place = Place::Ready;
                self.in_line -= 1;
                self.ready.insert(*turn);
            }
        }
    }

    /// Sends back to their lines those of the first who may not run any more, since somebody took the place or came
    /// before them. Each was made ready once for each time that it is sent back.
    fn settle(&mut self) {
        while let Some(turn) = self.ready.first().copied() {
            let job = self.jobs.get_mut(&turn.seq).expect("whoever is ready is not over");
            if self.locks.allow(&job.claims, turn) {
                return;
            }
            job.place = Place::InLine;
            self.in_line += 1;
            self.ready.remove(&turn);
        }
    }

    /// Takes a job out of whatever it takes part in, and pauses it.
    fn withdraw(&mut self, seq: u64) {
        let Some(job) = self.jobs.get_mut(&seq) else { return };
        let turn = job.turn(seq);
        match job.place {
            Place::Parked(_) | Place::Paused => {}
            Place::Running => {
                self.running -= 1;
                self.locks.give_back(&job.claims);
            }
            Place::InLine => {
                self.in_line -= 1;
                self.locks.leave(&job.claims, turn);
            }
            Place::Ready => {
                self.ready.remove(&turn);
                self.locks.leave(&job.claims, turn);
            }
        }
        job.place = Place::Paused;
        let heads = self.locks.heads(&job.claims);
        self.call(&heads);
    }

    /// The job of this id succeeded: whoever waited for nothing else lines up.
    fn succeed(&mut self, key: IdKey) {
        for seq in self.needs.settle(key, Standing::Succeeded) {
            // It may have been skipped for another need.
            let Some(job) = self.jobs.get_mut(&seq) else { continue };
            let Place::Parked(missing) = &mut job.place else { continue };
            *missing -= 1;
            if *missing == 0 {
                self.line_up(seq);
            }
        }
    }

    fn skip(&mut self, seq: u64, id: Option<IdKey>, because: String) -> Vec<Skip> {
        let mut skipped = vec![Skip { seq, because }];
        if let Some(key) = id {
            skipped.extend(self.skip_dependents(key, Standing::Ended(Verdict::Skipped)));
        }
        skipped
    }

    /// Skips whoever needs this id, and whoever needs those: the nearest first, and else in the order of their coming.
    fn skip_dependents(&mut self, key: IdKey, standing: Standing) -> Vec<Skip> {
        let mut skipped = Vec::new();
        let mut failed = VecDeque::from([(key, standing)]);
        while let Some((key, standing)) = failed.pop_front() {
            let waiting = self.needs.settle(key, standing);
            for seq in waiting {
                let Some(job) = self.jobs.remove(&seq) else { continue };
                self.locks.forget(&job.claims);
                skipped.push(Skip { seq, because: self.needs.explain(key) });
                failed.extend(job.id.map(|own| (own, Standing::Ended(Verdict::Skipped))));
            }
        }
        skipped
    }

    /// Skips jobs that need each other, and whoever needs those. Lists are checked before, so there are none as a rule.
    fn break_circles(&mut self) -> Vec<Skip> {
        // What would be left if every job that can be begun succeeded.
        let mut missing: HashMap<u64, u32> = HashMap::new();
        let mut done: Vec<IdKey> = Vec::new();
        for (seq, job) in &self.jobs {
            if let Place::Parked(needs) = job.place {
                missing.insert(*seq, needs);
            } else {
                done.extend(job.id);
            }
        }
        while let Some(key) = done.pop() {
            for seq in self.needs.waiting(key) {
                let Some(needs) = missing.get_mut(seq) else { continue };
                *needs -= 1;
                if *needs == 0 {
                    missing.remove(seq);
                    done.extend(self.jobs.get(seq).and_then(|job| job.id));
                }
            }
        }
        // The first need of each that is left, and that nobody will ever meet.
        let mut unmet: HashMap<u64, IdKey> = HashMap::new();
        let borne: HashMap<IdKey, u64> =
            missing.keys().filter_map(|seq| Some((self.jobs.get(seq)?.id?, *seq))).collect();
        for key in self.needs.all().filter(|key| borne.contains_key(key)) {
            for seq in self.needs.waiting(key) {
                unmet.entry(*seq).or_insert(key);
            }
        }
        let mut stuck: Vec<u64> = missing.into_keys().collect();
        stuck.sort_unstable();
        let mut skipped = Vec::new();
        for seq in stuck {
            let Some(key) = unmet.get(&seq) else { continue };
            let because = self.needs.explain(*key);
            if let Some(job) = self.jobs.remove(&seq) {
                self.locks.forget(&job.claims);
                skipped.extend(self.skip(seq, job.id, because));
            }
        }
        skipped
    }

    /// How many ids and locks are remembered.
    #[cfg(test)]
    fn remembered(&self) -> (usize, usize) {
        (self.needs.len(), self.locks.len())
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
