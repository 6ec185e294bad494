//! Tests of the scheduler: exact ones, and thousands of random batches held to what is promised.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proptest::prelude::*;

use super::{Ending, LOCK_WAITERS, Reaction, Scheduler, Skip, Ticket};
use crate::model::batch::{Lock, Priority, Verdict};
use crate::model::request::{FailFast, MaxFailures, StopRule};

fn ticket(seq: u64) -> Ticket {
    Ticket { seq, id: None, needs: Vec::new(), locks: Vec::new(), priority: Priority::Normal }
}

fn named(seq: u64, id: &str, needs: &[&str]) -> Ticket {
    Ticket { id: Some(id.to_owned()), needs: needs.iter().map(|need| (*need).to_owned()).collect(), ..ticket(seq) }
}

fn locking(seq: u64, locks: &[(&str, u32, u32)]) -> Ticket {
    let lock =
        |(name, taken, places): &(&str, u32, u32)| Lock { name: (*name).to_owned(), taken: *taken, places: *places };
    Ticket { locks: locks.iter().map(lock).collect(), ..ticket(seq) }
}

fn scheduler(slots: usize, tickets: impl IntoIterator<Item = Ticket>) -> Scheduler {
    let mut scheduler = Scheduler::new(slots, StopRule::default());
    for ticket in tickets {
        assert_eq!(scheduler.offer(ticket), []);
    }
    scheduler
}

/// Begins all that can be begun.
fn begin(scheduler: &mut Scheduler) -> Vec<u64> {
    std::iter::from_fn(|| scheduler.next()).collect()
}

fn succeed(scheduler: &mut Scheduler, seq: u64) {
    assert_eq!(scheduler.end(seq, Verdict::Succeeded), Ending::default());
}

fn skips(skips: &[Skip]) -> Vec<(u64, &str)> {
    skips.iter().map(|skip| (skip.seq, skip.because.as_str())).collect()
}

#[test]
fn as_many_run_as_there_are_slots() {
    let mut scheduler = scheduler(2, (1..=4).map(ticket));
    assert_eq!(begin(&mut scheduler), [1, 2]);
    assert_eq!(scheduler.running(), 2);
    succeed(&mut scheduler, 2);
    assert_eq!(begin(&mut scheduler), [3]);
    succeed(&mut scheduler, 1);
    succeed(&mut scheduler, 3);
    assert_eq!(begin(&mut scheduler), [4]);
    assert!(scheduler.no_more().is_empty());
    assert!(!scheduler.is_over());
    succeed(&mut scheduler, 4);
    assert!(scheduler.is_over());
}

#[test]
fn the_order_is_that_of_priorities_and_then_of_the_list() {
    let priorities = [Priority::Low, Priority::Normal, Priority::Critical, Priority::High, Priority::Normal];
    let tickets = priorities.into_iter().zip(1..).map(|(priority, seq)| Ticket { priority, ..ticket(seq) });
    assert_eq!(begin(&mut scheduler(9, tickets)), [3, 4, 2, 5, 1]);
}

#[test]
fn more_is_wanted_while_a_slot_has_nothing_to_do() {
    let mut scheduler = scheduler(1, []);
    assert!(scheduler.wants_more());
    scheduler.offer(named(1, "b", &["a"]));
    assert!(scheduler.wants_more(), "one that is parked takes no slot");
    scheduler.offer(named(2, "a", &[]));
    assert!(!scheduler.wants_more());
    assert_eq!(begin(&mut scheduler), [2]);
    assert!(!scheduler.wants_more());
    succeed(&mut scheduler, 2);
    assert!(!scheduler.wants_more(), "the one that was parked takes it");
    assert_eq!(begin(&mut scheduler), [1]);
    succeed(&mut scheduler, 1);
    assert!(scheduler.wants_more());
    scheduler.no_more();
    assert!(!scheduler.wants_more());
}

#[test]
fn no_more_is_wanted_when_all_wait_for_locks() {
    let mut scheduler = scheduler(2, []);
    let mut offered = 0;
    while scheduler.wants_more() || scheduler.next().is_some() {
        offered += 1;
        scheduler.offer(locking(offered, &[("db", 1, 1)]));
    }
    assert_eq!(offered, LOCK_WAITERS as u64 + 1);
    succeed(&mut scheduler, 1);
    assert_eq!(begin(&mut scheduler), [2]);
    assert!(scheduler.wants_more());
}

#[test]
fn a_job_begins_when_all_that_it_needs_has_succeeded() {
    let tickets = [named(1, "d", &["b", "c", "b"]), named(2, "b", &["a"]), named(3, "c", &["a"]), named(4, "a", &[])];
    let mut scheduler = scheduler(9, tickets);
    assert_eq!(begin(&mut scheduler), [4]);
    succeed(&mut scheduler, 4);
    assert_eq!(begin(&mut scheduler), [2, 3]);
    scheduler.end(2, Verdict::Flaky);
    assert_eq!(begin(&mut scheduler), [0_u64; 0]);
    succeed(&mut scheduler, 3);
    assert_eq!(begin(&mut scheduler), [1]);
}

#[test]
fn a_need_may_have_succeeded_before_the_job_came_and_in_an_earlier_run() {
    let mut scheduler = scheduler(9, [named(1, "a", &[]), named(2, "c", &["old"])]);
    assert_eq!(begin(&mut scheduler), [1]);
    succeed(&mut scheduler, 1);
    scheduler.offer(named(3, "b", &["a"]));
    assert_eq!(begin(&mut scheduler), [3]);
    scheduler.note_done_before("old");
    assert_eq!(begin(&mut scheduler), [2]);
    scheduler.note_done_before("older");
    scheduler.offer(named(4, "d", &["older"]));
    assert_eq!(begin(&mut scheduler), [4]);
}

#[test]
fn dependents_of_a_job_that_did_not_succeed_are_skipped_with_the_reason() {
    for (verdict, because) in [
        (Verdict::Failed, "needs 'a', which failed"),
        (Verdict::TimedOut, "needs 'a', which timed out"),
        (Verdict::Cancelled, "needs 'a', which was cancelled"),
        (Verdict::Skipped, "needs 'a', which was skipped"),
    ] {
        let tickets = [
            named(1, "d", &["b", "a"]),
            named(2, "c", &["b"]),
            named(3, "b", &["x", "a"]),
            named(4, "a", &[]),
            named(5, "x", &[]),
            named(6, "e", &["x"]),
        ];
        let mut scheduler = scheduler(9, tickets);
        assert_eq!(begin(&mut scheduler), [4, 5]);
        let ending = scheduler.end(4, verdict);
        assert_eq!(skips(&ending.skipped), [(1, because), (3, because), (2, "needs 'b', which was skipped")]);
        assert_eq!(skips(&scheduler.offer(named(7, "f", &["c"]))), [(7, "needs 'c', which was skipped")]);
        assert_eq!(skips(&scheduler.offer(named(8, "g", &["a"]))), [(8, because)]);
        succeed(&mut scheduler, 5);
        assert_eq!(begin(&mut scheduler), [6]);
    }
}

#[test]
fn what_needs_a_job_that_is_not_run_this_time_is_skipped() {
    let mut scheduler = scheduler(9, [named(1, "b", &["a"]), named(2, "c", &["b"])]);
    let skipped = scheduler.note_left_out("a");
    assert_eq!(skips(&skipped), [(1, "needs 'a', which is not run this time"), (2, "needs 'b', which was skipped")]);
    assert_eq!(skips(&scheduler.offer(named(3, "d", &["a"]))), [(3, "needs 'a', which is not run this time")]);
    scheduler.no_more();
    assert!(scheduler.is_over());
}

#[test]
fn one_that_is_skipped_when_it_comes_takes_those_that_wait_for_it_along() {
    let mut scheduler = scheduler(9, [named(1, "a", &[]), named(2, "c", &["b"])]);
    assert_eq!(begin(&mut scheduler), [1]);
    assert_eq!(scheduler.end(1, Verdict::Failed).skipped, []);
    let skipped = scheduler.offer(named(3, "b", &["a"]));
    assert_eq!(skips(&skipped), [(3, "needs 'a', which failed"), (2, "needs 'b', which was skipped")]);
    scheduler.no_more();
    assert!(scheduler.is_over());
}

#[test]
fn what_needs_a_job_that_never_comes_is_skipped_at_the_end_of_the_list() {
    let mut scheduler = scheduler(9, [named(1, "a", &["lost"]), named(2, "b", &["a"]), named(3, "c", &[])]);
    assert_eq!(
        skips(&scheduler.no_more()),
        [(1, "needs 'lost', which is no job of this list"), (2, "needs 'a', which was skipped")]
    );
    let late = scheduler.offer(named(4, "d", &["gone"]));
    assert_eq!(skips(&late), [(4, "needs 'gone', which is no job of this list")]);
    assert_eq!(begin(&mut scheduler), [3]);
    succeed(&mut scheduler, 3);
    assert!(scheduler.is_over());
}

#[test]
fn needs_in_a_circle_come_to_an_end() {
    let tickets = [
        named(1, "x", &["x"]),
        named(2, "a", &["root", "c"]),
        named(3, "b", &["a"]),
        named(4, "c", &["b"]),
        named(5, "root", &[]),
        named(6, "leaf", &["root"]),
    ];
    let mut scheduler = scheduler(9, tickets);
    assert_eq!(
        skips(&scheduler.no_more()),
        [
            (1, "needs 'x', which can never begin, since the needs run in a circle"),
            (2, "needs 'c', which can never begin, since the needs run in a circle"),
            (3, "needs 'a', which was skipped"),
            (4, "needs 'b', which was skipped"),
        ]
    );
    assert_eq!(begin(&mut scheduler), [5]);
    succeed(&mut scheduler, 5);
    assert_eq!(begin(&mut scheduler), [6]);
}

#[test]
fn of_two_jobs_with_one_id_the_first_has_it() {
    let mut scheduler = scheduler(9, [named(1, "a", &[]), named(2, "a", &[]), named(3, "b", &["a"])]);
    assert_eq!(begin(&mut scheduler), [1, 2]);
    assert_eq!(scheduler.end(2, Verdict::Failed).skipped, []);
    succeed(&mut scheduler, 1);
    assert_eq!(begin(&mut scheduler), [3]);
}

#[test]
fn whoever_waits_for_a_lock_holds_up_only_those_who_want_it_too() {
    let tickets = [locking(1, &[("db", 1, 1)]), locking(2, &[("db", 1, 1)]), ticket(3), locking(4, &[("net", 1, 1)])];
    let mut scheduler = scheduler(9, tickets);
    assert_eq!(begin(&mut scheduler), [1, 3, 4]);
    succeed(&mut scheduler, 4);
    assert_eq!(begin(&mut scheduler), [0_u64; 0]);
    succeed(&mut scheduler, 1);
    assert_eq!(begin(&mut scheduler), [2]);
}

#[test]
fn a_lock_has_so_many_places() {
    let mut scheduler = scheduler(9, (1..=6).map(|seq| locking(seq, &[("gpu", 1 + (seq as u32) % 2, 4)])));
    // 2 + 1, and then one that wants 2 is the first: it waits, and nobody passes it.
    assert_eq!(begin(&mut scheduler), [1, 2]);
    succeed(&mut scheduler, 2);
    assert_eq!(begin(&mut scheduler), [3]);
    succeed(&mut scheduler, 1);
    assert_eq!(begin(&mut scheduler), [4]);
    succeed(&mut scheduler, 3);
    assert_eq!(begin(&mut scheduler), [5, 6]);
}

#[test]
fn one_that_wants_all_places_is_not_starved_by_those_who_want_one() {
    let mut scheduler = scheduler(9, (1..=4).map(|seq| locking(seq, &[("gpu", 1, 4)])));
    assert_eq!(begin(&mut scheduler), [1, 2, 3, 4]);
    scheduler.offer(locking(5, &[("gpu", 4, 4)]));
    for seq in 6..=9 {
        scheduler.offer(locking(seq, &[("gpu", 1, 4)]));
    }
    for seq in 1..=3 {
        succeed(&mut scheduler, seq);
        assert_eq!(begin(&mut scheduler), [0_u64; 0]);
    }
    succeed(&mut scheduler, 4);
    assert_eq!(begin(&mut scheduler), [5]);
    succeed(&mut scheduler, 5);
    assert_eq!(begin(&mut scheduler), [6, 7, 8, 9]);
}

#[test]
fn a_higher_priority_comes_first_in_the_line_of_a_lock() {
    let mut scheduler = scheduler(9, [locking(1, &[("db", 1, 1)]), locking(2, &[("db", 1, 1)])]);
    assert_eq!(begin(&mut scheduler), [1]);
    scheduler.offer(Ticket { priority: Priority::High, ..locking(3, &[("db", 1, 1)]) });
    succeed(&mut scheduler, 1);
    // Second is ready now, and another one comes before it is begun.
    scheduler.offer(Ticket { priority: Priority::Critical, ..locking(4, &[("db", 1, 1)]) });
    assert_eq!(begin(&mut scheduler), [4]);
    succeed(&mut scheduler, 4);
    assert_eq!(begin(&mut scheduler), [3]);
    succeed(&mut scheduler, 3);
    assert_eq!(begin(&mut scheduler), [2]);
}

#[test]
fn locks_are_taken_all_at_once() {
    let tickets = [
        locking(1, &[("a", 1, 1)]),
        locking(2, &[("a", 1, 1), ("b", 1, 1)]),
        locking(3, &[("b", 1, 1), ("a", 1, 1)]),
        locking(4, &[("b", 1, 1)]),
    ];
    let mut scheduler = scheduler(9, tickets);
    assert_eq!(begin(&mut scheduler), [1]);
    succeed(&mut scheduler, 1);
    assert_eq!(begin(&mut scheduler), [2]);
    succeed(&mut scheduler, 2);
    assert_eq!(begin(&mut scheduler), [3]);
    succeed(&mut scheduler, 3);
    assert_eq!(begin(&mut scheduler), [4]);
}

#[test]
fn locks_that_make_no_sense_hold_nobody_up_for_ever() {
    let tickets = [
        locking(1, &[("a", 9, 4)]),
        locking(2, &[("a", 1, 0), ("a", 7, 2)]),
        locking(3, &[("a", 0, 8)]),
        locking(4, &[("a", u32::MAX, u32::MAX), ("a", 5, 5)]),
    ];
    let mut scheduler = scheduler(9, tickets);
    // Of the 4 places the first took all; then there were 8 and more, of which the others take 3 and 1.
    assert_eq!(begin(&mut scheduler), [1, 2, 3]);
    for seq in 1..=3 {
        succeed(&mut scheduler, seq);
    }
    assert_eq!(begin(&mut scheduler), [4]);
    succeed(&mut scheduler, 4);
    scheduler.no_more();
    assert!(scheduler.is_over());
}

#[test]
fn a_paused_job_gives_slot_and_locks_back_and_comes_first_of_its_priority() {
    let tickets = (1..=3).map(|seq| locking(seq, &[("db", 1, 1)])).chain([ticket(4)]);
    let mut scheduler = scheduler(1, tickets);
    scheduler.offer(Ticket { priority: Priority::High, ..ticket(5) });
    assert_eq!(begin(&mut scheduler), [5]);
    succeed(&mut scheduler, 5);
    assert_eq!(begin(&mut scheduler), [1]);
    scheduler.pause(1);
    assert_eq!((scheduler.running(), scheduler.paused()), (0, vec![1]));
    assert_eq!(begin(&mut scheduler), [2]);
    scheduler.pause(2);
    scheduler.again(2);
    scheduler.offer(Ticket { priority: Priority::High, ..ticket(6) });
    assert_eq!(begin(&mut scheduler), [6]);
    succeed(&mut scheduler, 6);
    assert_eq!(begin(&mut scheduler), [2]);
    scheduler.again(1);
    succeed(&mut scheduler, 2);
    assert_eq!(begin(&mut scheduler), [1]);
    scheduler.pause(1);
    scheduler.no_more();
    assert!(!scheduler.is_over());
    scheduler.end(1, Verdict::Failed);
    assert_eq!(begin(&mut scheduler), [3]);
}

#[test]
fn after_a_halt_nothing_begins_and_what_waited_is_given_back() {
    let tickets = [
        named(1, "a", &[]),
        ticket(2),
        named(3, "b", &["a"]),
        locking(4, &[("db", 1, 1)]),
        locking(5, &[("db", 1, 1)]),
        ticket(6),
    ];
    let mut scheduler = scheduler(3, tickets);
    assert_eq!(begin(&mut scheduler), [1, 2, 4]);
    scheduler.pause(2);
    scheduler.again(2);
    scheduler.pause(4);
    assert!(!scheduler.is_halted());
    assert_eq!(skips(&scheduler.halt("stopped")), [(3, "stopped"), (5, "stopped"), (6, "stopped")]);
    assert!(scheduler.is_halted());
    assert_eq!(scheduler.halt("once more"), []);
    assert_eq!((scheduler.next(), scheduler.wants_more()), (None, false));
    assert_eq!(skips(&scheduler.offer(named(7, "c", &["a"]))), [(7, "stopped")]);
    assert_eq!(scheduler.paused(), [2, 4]);
    scheduler.again(4);
    assert_eq!(scheduler.next(), None);
    scheduler.end(2, Verdict::Failed);
    scheduler.end(4, Verdict::Failed);
    assert!(!scheduler.is_over());
    succeed(&mut scheduler, 1);
    assert!(scheduler.is_over());
}

#[test]
fn the_stop_rule_is_reported_with_the_end_that_breaks_it() {
    let rule = StopRule { fail_fast: FailFast::Off, max_failures: Some(MaxFailures::Count(2)) };
    let mut scheduler = Scheduler::new(9, rule);
    for seq in 1..=4 {
        scheduler.offer(ticket(seq));
    }
    assert_eq!(begin(&mut scheduler), [1, 2, 3, 4]);
    assert_eq!(scheduler.end(1, Verdict::Failed).reaction, Reaction::GoOn);
    assert_eq!(
        scheduler.end(2, Verdict::TimedOut).reaction,
        Reaction::Halt("2 jobs failed (--max-failures)".to_owned())
    );
    assert_eq!(scheduler.end(3, Verdict::Failed).reaction, Reaction::GoOn);
}

#[test]
fn what_is_unknown_or_over_changes_nothing() {
    let mut scheduler = scheduler(1, [ticket(1)]);
    assert_eq!(begin(&mut scheduler), [1]);
    scheduler.again(1);
    scheduler.again(7);
    scheduler.pause(7);
    assert_eq!(scheduler.end(7, Verdict::Failed), Ending::default());
    assert_eq!(scheduler.running(), 1);
    succeed(&mut scheduler, 1);
    succeed(&mut scheduler, 1);
    assert_eq!(scheduler.running(), 0);
}

#[test]
fn a_job_without_an_id_leaves_nothing_behind() {
    let mut scheduler = scheduler(2, []);
    for seq in 1..=1000 {
        let lock = format!("user {seq}");
        scheduler.offer(locking(seq, &[(&lock, 1, 1), ("db", 1, 2)]));
        assert_eq!(scheduler.next(), Some(seq));
        scheduler.end(seq, Verdict::Failed);
    }
    assert_eq!(scheduler.remembered(), (0, 0));
    assert_eq!(scheduler.locks.capacity(), 2);
    assert!(scheduler.jobs.is_empty());
}

#[test]
fn a_million_parked_jobs_are_no_burden() {
    const PARKED: u64 = 1_000_000;
    let mut scheduler = scheduler(1, [named(0, "root", &[])]);
    for seq in 1..=PARKED {
        scheduler.offer(Ticket { needs: vec!["root".to_owned()], ..ticket(seq) });
    }
    assert_eq!(begin(&mut scheduler), [0]);
    // Each of these looks at none of those that are parked; else this would never end.
    for seq in PARKED + 1..PARKED + 100_000 {
        scheduler.pause(0);
        assert!(scheduler.wants_more() && !scheduler.has_next());
        scheduler.offer(ticket(seq));
        assert_eq!(scheduler.next(), Some(seq));
        succeed(&mut scheduler, seq);
        scheduler.again(0);
        assert_eq!(scheduler.next(), Some(0));
    }
    assert_eq!(scheduler.end(0, Verdict::Failed).skipped.len() as u64, PARKED);
    scheduler.no_more();
    assert!(scheduler.is_over());
}

/// A batch of random jobs, and what becomes of them.
#[derive(Clone, Debug)]
struct Batch {
    slots: usize,
    rule: StopRule,
    jobs: Vec<Planned>,
    /// Which of what could happen next happens.
    choices: Vec<u16>,
    /// At which step the whole batch is stopped from outside.
    stop_at: Option<usize>,
}

#[derive(Clone, Debug)]
struct Planned {
    has_id: bool,
    needs: BTreeSet<u64>,
    locks: Vec<Lock>,
    priority: Priority,
    /// The outcome of each attempt; all but the last are tried again.
    retries: usize,
    verdict: Verdict,
    done_before: bool,
}

const LOCKS: [(&str, u32); 3] = [("db", 1), ("gpu", 4), ("net", 2)];

fn planned(count: u64) -> impl Strategy<Value = Planned> {
    let locks = prop::collection::vec((0..LOCKS.len(), 1..=4_u32), 0..=2).prop_map(|locks| {
        let mut seen = HashSet::new();
        let locks = locks.into_iter().filter(|(which, _)| seen.insert(*which));
        locks.map(|(which, taken)| (LOCKS[which], taken)).collect::<Vec<_>>()
    });
    let locks = prop_oneof![2 => Just(Vec::new()), 3 => locks];
    let locks = locks.prop_map(|locks| {
        let lock = |((name, places), taken): ((&str, u32), u32)| Lock {
            name: name.to_owned(),
            taken: taken.min(places),
            places,
        };
        locks.into_iter().map(lock).collect()
    });
    let priority = prop_oneof![1 => Just(Priority::Critical), 1 => Just(Priority::High), 3 => Just(Priority::Normal), 1 => Just(Priority::Low)];
    let verdict = prop_oneof![
        6 => Just(Verdict::Succeeded),
        1 => Just(Verdict::Flaky),
        1 => Just(Verdict::Failed),
        1 => Just(Verdict::TimedOut)
    ];
    // A need may lead back and forth, and so make circles, and may be of a job that never comes.
    let needs = prop_oneof![2 => Just(BTreeSet::new()), 1 => prop::collection::btree_set(0..count + 2, 0..=3)];
    (prop::bool::weighted(0.7), needs, locks, priority, 0..3_usize, verdict, prop::bool::weighted(0.05)).prop_map(
        |(has_id, needs, locks, priority, retries, verdict, done_before)| Planned {
            has_id,
            needs,
            locks,
            priority,
            retries,
            verdict,
            done_before: done_before && has_id,
        },
    )
}

fn rule() -> impl Strategy<Value = StopRule> {
    let fail_fast = prop_oneof![6 => Just(FailFast::Off), 1 => Just(FailFast::Soft), 1 => Just(FailFast::Now)];
    let max_failures = prop_oneof![
        4 => Just(None),
        1 => (1..5_u64).prop_map(|count| Some(MaxFailures::Count(count))),
        1 => (0.0..1.0_f64).prop_map(|share| Some(MaxFailures::Share(share)))
    ];
    (fail_fast, max_failures).prop_map(|(fail_fast, max_failures)| StopRule { fail_fast, max_failures })
}

fn batch() -> impl Strategy<Value = Batch> {
    (0..40_u64, any::<bool>()).prop_flat_map(|(count, orderly)| {
        let jobs = prop::collection::vec(planned(count), count as usize);
        let choices = prop::collection::vec(any::<u16>(), 1..200);
        let stop_at = prop_oneof![5 => Just(None), 1 => (0..100_usize).prop_map(Some)];
        (1..6_usize, rule(), jobs, choices, stop_at).prop_map(move |(slots, rule, mut jobs, choices, stop_at)| {
            if orderly {
                for (job, own) in jobs.iter_mut().zip(0..) {
                    job.needs.retain(|need| *need < own);
                }
            }
            Batch { slots, rule, jobs, choices, stop_at }
        })
    })
}

/// Runs a batch, and knows by itself what may happen when.
struct Play<'a> {
    batch: &'a Batch,
    scheduler: Scheduler,
    /// The first that was not offered yet.
    coming: u64,
    /// Those that were offered and are not over, by whether they were begun before.
    waiting: BTreeMap<u64, bool>,
    running: BTreeSet<u64>,
    paused: BTreeSet<u64>,
    attempts: HashMap<u64, usize>,
    /// How each one ended. None: skipped.
    ended: BTreeMap<u64, Option<Verdict>>,
    reacted: bool,
    halted: bool,
}

impl<'a> Play<'a> {
    fn new(batch: &'a Batch) -> Self {
        Self {
            batch,
            scheduler: Scheduler::new(batch.slots, batch.rule),
            coming: 0,
            waiting: BTreeMap::new(),
            running: BTreeSet::new(),
            paused: BTreeSet::new(),
            attempts: HashMap::new(),
            ended: BTreeMap::new(),
            reacted: false,
            halted: false,
        }
    }

    fn job(&self, seq: u64) -> &'a Planned {
        &self.batch.jobs[seq as usize]
    }

    fn run(&mut self) {
        let choices = self.batch.choices.iter().cycle();
        for (step, choice) in choices.enumerate() {
            assert!(step < 10_000, "it never ends: {:?}", self.scheduler);
            if self.batch.stop_at == Some(step) {
                self.halt("stopped from outside");
            }
            self.take_from_list(*choice);
            self.begin();
            assert_eq!(self.scheduler.running(), self.running.len());
            assert_eq!(self.scheduler.paused(), self.paused.iter().copied().collect::<Vec<_>>());
            let happening: Vec<u64> = self.running.iter().chain(&self.paused).copied().collect();
            if happening.is_empty() {
                if self.scheduler.is_over() {
                    break;
                }
                assert!(self.scheduler.wants_more(), "nothing happens any more: {:?}", self.scheduler);
                continue;
            }
            assert!(!self.scheduler.is_over());
            self.happen(happening[usize::from(*choice) % happening.len()]);
        }
        if !self.halted {
            assert_eq!(self.coming, self.batch.jobs.len() as u64);
        }
        assert!(self.waiting.is_empty(), "{:?} are neither run nor skipped", self.waiting);
        assert_eq!(self.ended.len() as u64, self.coming);
    }

    fn take_from_list(&mut self, choice: u16) {
        // Also more than is asked for: whoever offers may know better.
        let unasked = choice.is_multiple_of(7) && !self.halted;
        while (self.scheduler.wants_more() || unasked) && self.coming < self.batch.jobs.len() as u64 {
            let seq = self.coming;
            self.coming += 1;
            let job = self.job(seq);
            let name = |seq: u64| format!("job {seq}");
            if job.done_before {
                self.scheduler.note_done_before(&name(seq));
                self.ended.insert(seq, Some(Verdict::Succeeded));
                continue;
            }
            self.waiting.insert(seq, false);
            let skipped = self.scheduler.offer(Ticket {
                seq,
                id: job.has_id.then(|| name(seq)),
                needs: job.needs.iter().map(|need| name(*need)).collect(),
                locks: job.locks.clone(),
                priority: job.priority,
            });
            self.skip(&skipped, None);
            if self.scheduler.wants_more() {
                self.check_nothing_can_begin();
            }
        }
        if self.coming == self.batch.jobs.len() as u64 && self.scheduler.wants_more() {
            let skipped = self.scheduler.no_more();
            self.skip(&skipped, Some("circle"));
        }
    }

    fn begin(&mut self) {
        while let Some(seq) = self.scheduler.next() {
            assert!(!self.halted);
            let before = self.waiting.get(&seq).copied().expect("it waited");
            assert!(self.may_begin(seq), "{seq} may not begin");
            // Nobody of a higher priority could have begun, nor one that comes before it in its own.
            for other in self.waiting.keys().filter(|other| self.turn(**other) < self.turn(seq)) {
                assert!(!self.may_begin(*other), "{other} should have begun before {seq}, begun before: {before}");
            }
            self.waiting.remove(&seq);
            self.running.insert(seq);
            assert!(self.running.len() <= self.batch.slots);
            for (name, places) in LOCKS {
                assert!(self.held(name) <= places, "{name} is held {} times", self.held(name));
            }
        }
        if self.running.len() < self.batch.slots && !self.halted {
            self.check_nothing_can_begin();
        }
    }

    fn check_nothing_can_begin(&self) {
        for seq in self.waiting.keys() {
            assert!(!self.may_begin(*seq), "{seq} should begin");
        }
    }

    /// The end of an attempt, or of a pause.
    fn happen(&mut self, seq: u64) {
        if self.paused.remove(&seq) {
            if self.halted {
                return self.end(seq, Verdict::Failed);
            }
            self.scheduler.again(seq);
            self.waiting.insert(seq, true);
            return;
        }
        self.running.remove(&seq);
        let attempts = self.attempts.entry(seq).or_default();
        *attempts += 1;
        if *attempts <= self.job(seq).retries {
            self.scheduler.pause(seq);
            self.paused.insert(seq);
        } else {
            self.end(seq, self.job(seq).verdict);
        }
    }

    fn end(&mut self, seq: u64, verdict: Verdict) {
        assert_eq!(self.ended.insert(seq, Some(verdict)), None, "{seq} ended twice");
        let ending = self.scheduler.end(seq, verdict);
        self.skip(&ending.skipped, None);
        match ending.reaction {
            Reaction::GoOn => return,
            Reaction::Halt(because) => self.halt(&because),
            Reaction::StopAll(because) => {
                self.halt(&because);
                for seq in std::mem::take(&mut self.running) {
                    self.end(seq, Verdict::Cancelled);
                }
            }
        }
        assert!(!self.reacted, "it reacts once");
        self.reacted = true;
    }

    fn halt(&mut self, because: &str) {
        self.halted = true;
        let skipped = self.scheduler.halt(because);
        assert!(skipped.iter().all(|skip| skip.because == because), "{skipped:?}");
        assert!(skipped.is_sorted_by_key(|skip| skip.seq), "{skipped:?}");
        self.skip(&skipped, Some(because));
        // Those that were to be tried again pause for good.
        self.paused.extend(std::mem::take(&mut self.waiting).into_iter().map(|(seq, begun)| {
            assert!(begun, "{seq} was not given back");
            seq
        }));
    }

    /// Each skip has a reason that is true.
    fn skip(&mut self, skipped: &[Skip], other_reason: Option<&str>) {
        for skip in skipped {
            assert_eq!(self.waiting.remove(&skip.seq), Some(false), "{} did not wait", skip.seq);
            let blamed = self.job(skip.seq).needs.iter().any(|need| {
                let because = match self.ended.get(need).filter(|_| self.bears(*need)) {
                    Some(None) => "which was skipped",
                    Some(Some(Verdict::Failed)) => "which failed",
                    Some(Some(Verdict::TimedOut)) => "which timed out",
                    Some(Some(Verdict::Cancelled)) => "which was cancelled",
                    Some(Some(_)) => return false,
                    None if self.bears(*need) => return false,
                    None => "which is no job of this list",
                };
                skip.because == format!("needs 'job {need}', {because}")
            });
            let other = other_reason.is_some_and(|reason| skip.because.contains(reason));
            assert!(blamed || other || self.halted, "{skip:?}");
            assert_eq!(self.ended.insert(skip.seq, None), None, "{} ended twice", skip.seq);
        }
    }

    fn bears(&self, seq: u64) -> bool {
        self.batch.jobs.get(seq as usize).is_some_and(|job| job.has_id)
    }

    fn turn(&self, seq: u64) -> (Priority, bool, u64) {
        (self.job(seq).priority, !self.waiting[&seq], seq)
    }

    fn held(&self, name: &str) -> u32 {
        let locks = self.running.iter().flat_map(|seq| &self.job(*seq).locks);
        locks.filter(|lock| lock.name == name).map(|lock| lock.taken).sum()
    }

    fn needs_are_met(&self, seq: u64) -> bool {
        let met = |need: &u64| {
            self.bears(*need) && self.ended.get(need).is_some_and(|end| end.is_some_and(Verdict::is_success))
        };
        // One that was begun has had all that it needs.
        self.waiting[&seq] || self.job(seq).needs.iter().all(met)
    }

    /// By the rules, and by looking at everybody.
    fn may_begin(&self, seq: u64) -> bool {
        self.needs_are_met(seq)
            && self.job(seq).locks.iter().all(|lock| {
                let before = |other: &u64| {
                    self.turn(*other) < self.turn(seq)
                        && self.needs_are_met(*other)
                        && self.job(*other).locks.iter().any(|other| other.name == lock.name)
                };
                self.held(&lock.name) + lock.taken <= lock.places && !self.waiting.keys().any(before)
            })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_batch_keeps_its_promises(batch in batch()) {
        Play::new(&batch).run();
    }
}
