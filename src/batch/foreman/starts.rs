//! The starts of a batch: how an attempt begins, and what becomes of one that lacks descriptors, processes or memory.
//!
//! A part of the foreman, which decides when.

use std::time::Duration;

use super::{BatchForeman, Beginning};
use crate::backend::{Foreman as _, Next};
use crate::batch::start_backoff::AfterShortage;
use crate::error::Error;
use crate::model::batch::Notice;
use crate::model::event::Place;
use crate::time::clock::{Moment, unix_time};

impl BatchForeman<'_> {
    /// Begins the next attempt of a job.
    pub(super) fn begin(&mut self, seq: u64, now: Moment) -> Option<Next> {
        let mut work = self.waiting.remove(&seq)?;
        let mut limits = work.tries.begin(now);
        if let Some(share) = work.entry.timeout_share {
            limits.timeout = self.median.timeout(share, self.plan.timeout_floor).or(limits.timeout);
        }
        work.job_id = (self.new_job_id)();
        let attempt = work.tries.number();
        if let Some(journal) = &mut self.plan.journal
            && let Err(error) = journal.started(&work.entry, &work.job_id, attempt)
        {
            if work.last.is_none() {
                work.refusal.get_or_insert_with(|| error.body());
            }
            self.waiting.insert(seq, work);
            self.scheduler.pause(seq);
            self.fail(error);
            return None;
        }
        work.started = false;
        work.started_at.get_or_insert_with(unix_time);
        let leftovers = work.tries.leftovers(work.entry.job.leftovers);
        let beginning = Beginning { attempt, limits, leftovers, job_id: work.job_id.clone(), left: self.left(now) };
        let assignment = (self.prepare)(&work.entry, &beginning);
        self.notices.tell(Notice::Begun {
            seq,
            id: work.entry.id.clone(),
            title: work.shown(),
            attempt: Place { number: attempt, of: work.tries.most() },
        });
        self.running.insert(seq, work);
        Some(Next::Start(Box::new(assignment)))
    }

    /// Until the whole batch is stopped.
    fn left(&self, now: Moment) -> Option<Duration> {
        let (total, _) = self.plan.total?;
        Some(total.saturating_sub(now - self.begun_at?))
    }

    /// The command of a job runs.
    pub(super) fn on_started(&mut self, seq: u64) {
        self.backoff.on_started();
        if let Some(work) = self.running.get_mut(&seq) {
            work.started = true;
            work.last = None;
            work.refusal = None;
        }
    }

    /// When a start may be tried after one that lacked something. None: now.
    pub(super) fn start_at(&self, now: Moment) -> Option<Moment> {
        self.backoff.until(now, || self.running.values().any(|work| !work.started))
    }

    /// A job could not be started for a shortage: it waits again, or has failed where waiting is of no use.
    pub(super) fn put_back(&mut self, tag: u64, error: Error, now: Moment) {
        let others = self.running.values().filter(|work| work.started).count();
        let after = self.backoff.on_shortage(&error, others, now);
        let halted = self.scheduler.is_halted();
        let AfterShortage::Wait { first } = after else {
            let for_all = (after == AfterShortage::GiveUpAll).then(|| Error::Unavailable {
                message: format!("no job can be started: {error}"),
                remediation: error.remediation(),
            });
            self.refused(tag, error, now);
            return for_all.into_iter().for_each(|error| self.fail(error));
        };
        let Some(mut work) = self.running.remove(&tag) else { return };
        work.tries.put_back(true);
        let reason = match error {
            Error::Shortage { limit, .. } if first => Some(limit),
            _ => None,
        };
        self.notices.tell(Notice::StartDelayed { seq: Some(tag), reason });
        self.waiting.insert(tag, work);
        self.scheduler.pause(tag);
        if halted {
            // Nothing starts any more.
            self.halt("the batch was stopped");
        } else {
            self.waiting_for_room.push(tag);
        }
    }
}
