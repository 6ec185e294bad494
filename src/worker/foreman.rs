//! Decides on the watchdog's thread: begins what the clerk gives, tries it again, stops it, and reports its end.
//!
//! It knows no store, and never waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::backend::{Foreman, Next, Waker};
use crate::batch::start_backoff::{AfterShortage, StartBackoff};
use crate::batch::tries::After;
use crate::error::Error;
use crate::model::envelope::ErrorBody;
use crate::model::event::Event;
use crate::model::outcome::{Cause, End, Outcome};
use crate::model::signal::Signal;
use crate::platform::shortage;
use crate::store::Live;
use crate::time::clock::{Moment, unix_time};
use crate::worker::assignment::{Attempt, Preparer, Work};
use crate::worker::post::{Ended, ForemanPost, Order, Report};

/// The least pause between two attempts.
const LEAST_PAUSE: Duration = Duration::from_micros(1);
/// How long a start is retried during a shortage while no task runs: longer than in a batch, since a queue may wait.
const START_PATIENCE: Duration = Duration::from_secs(600);
/// Begins what a task that is not started for a shortage shows as its message.
const WAITING: &str = "waiting to start";
/// What a task is cancelled by.
const CANCELLED: Cause = Cause::Cancelled { signal: Signal::TERM };

/// The foreman of the queue.
pub struct WorkerForeman {
    post: ForemanPost,
    prepare: Preparer,
    /// Claimed, and not begun yet.
    ready: VecDeque<Box<Work>>,
    running: BTreeMap<u64, Box<Work>>,
    /// Jobs that will be tried again.
    waiting: BTreeMap<u64, Box<Work>>,
    /// When that is.
    pauses: BTreeSet<(Moment, u64)>,
    backoff: StartBackoff,
    leaving: bool,
    /// Nothing begins any more, for this cause.
    stopped: Option<Cause>,
}

impl WorkerForeman {
    pub fn new(post: ForemanPost, prepare: Preparer) -> Self {
        Self {
            post,
            prepare,
            ready: VecDeque::new(),
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            pauses: BTreeSet::new(),
            backoff: StartBackoff::new(START_PATIENCE),
            leaving: false,
            stopped: None,
        }
    }

    /// Takes one order. Gives what the watchdog has to do about it.
    fn carry_out(&mut self, order: Order, now: Moment) -> Option<Next> {
        match order {
            Order::Begin(work) => self.ready.push_back(work),
            Order::Cancel { tag } => return self.cancel(tag, now),
            Order::MoveDeadline { tag, order, by } if self.running.contains_key(&tag) => {
                return Some(Next::MoveDeadline { tag, order, by });
            }
            Order::MoveDeadline { order, .. } => self.post.report(Report::Moved { order, deadline_at: None }),
            Order::StopAll(cause) => {
                self.stopped = Some(cause);
                return Some(Next::Stop(cause));
            }
            Order::Leave => self.leaving = true,
        }
        None
    }

    fn cancel(&mut self, tag: u64, now: Moment) -> Option<Next> {
        if let Some(work) = self.running.get_mut(&tag) {
            work.tries.end();
            return Some(Next::StopJob { tag, cause: CANCELLED });
        }
        if let Some(at) = self.ready.iter().position(|work| work.tag == tag) {
            if let Some(work) = self.ready.remove(at) {
                self.end_early(work, CANCELLED, now);
            }
        } else if let Some(work) = self.waiting.remove(&tag) {
            self.pauses.retain(|(_, waiting)| *waiting != tag);
            self.end_early(work, CANCELLED, now);
        }
        None
    }

    /// Every job is to end. The watchdog sees to those that run.
    fn call_off(&mut self, cause: Cause, now: Moment) {
        for work in self.running.values_mut() {
            work.tries.end();
        }
        self.pauses.clear();
        let waiting = std::mem::take(&mut self.waiting).into_values();
        for work in std::mem::take(&mut self.ready).into_iter().chain(waiting) {
            self.end_early(work, cause, now);
        }
    }

    /// A job is over that does not run: before its first attempt, or between two.
    fn end_early(&mut self, mut work: Box<Work>, cause: Cause, now: Moment) {
        let mut outcome = work.last.take().unwrap_or_else(|| Box::new(Outcome::bare(None, End::Unknown)));
        outcome.end_between_attempts(cause);
        self.end(work, Some(*outcome), None, now);
    }

    /// Begins the next attempt of a job.
    fn begin(&mut self, mut work: Box<Work>, now: Moment) -> Option<Next> {
        let limits = work.tries.begin(now);
        let wall = limits.wall().map(|(wall, _)| wall);
        work.first_begun.get_or_insert(now);
        work.begun_at = unix_time();
        work.started = false;
        let attempt = Attempt {
            tag: work.tag,
            number: work.tries.number_begun(),
            limits,
            leftovers: work.tries.leftovers(work.job.leftovers),
            job_id: work.job_id.clone(),
            log: work.log.clone(),
        };
        match (self.prepare)(&work.job, &attempt) {
            Ok(assignment) => {
                let attempts = work.attempts_before + work.tries.number();
                let deadline_at = wall.map(|wall| work.begun_at.saturating_add(wall));
                // The claim has counted the first one; without a deadline there is nothing else to know of it.
                let is_news = work.tries.number() > 1 || deadline_at.is_some();
                work.live = Live { attempts, deadline_at, ..work.live.clone() };
                if is_news {
                    self.post.tell(work.tag, &work.live);
                }
                self.running.insert(work.tag, work);
                Some(Next::Start(Box::new(assignment)))
            }
            Err(error) => {
                match shortage::named(error) {
                    error @ Error::Shortage { .. } => self.put_back(work, &error, now),
                    error => self.not_begun(work, &error, now),
                }
                None
            }
        }
    }

    fn not_begun(&mut self, mut work: Box<Work>, error: &Error, now: Moment) {
        let body = error.body();
        match work.tries.refused(body.code, &body.message, now) {
            After::Again { delay } if self.stopped.is_none() => {
                work.refusal = Some(body);
                self.try_again(work, delay, now);
            }
            _ => self.end(work, None, Some(body), now),
        }
    }

    /// A job could not be started for a shortage: it waits behind the others that are ready.
    fn put_back(&mut self, mut work: Box<Work>, error: &Error, now: Moment) {
        let after = self.backoff.on_shortage(error, self.running.values().filter(|work| work.started).count(), now);
        let (AfterShortage::Wait { first }, Error::Shortage { limit, .. }) = (after, error) else {
            return self.not_begun(work, error, now);
        };
        if first {
            self.post.report(Report::StartsDelayed(limit.clone()));
        }
        work.tries.put_back(true);
        work.first_begun = work.first_begun.filter(|_| work.tries.number() > 0);
        work.live.message = Some(format!("{WAITING}: {limit}"));
        work.live.deadline_at = None;
        self.post.tell(work.tag, &work.live);
        self.ready.push_back(work);
    }

    /// The command of a job runs.
    fn on_started(&mut self, tag: u64) {
        self.backoff.on_started();
        let Some(work) = self.running.get_mut(&tag) else { return };
        work.started = true;
        work.last = None;
        work.refusal = None;
        if work.live.message.take_if(|message| message.starts_with(WAITING)).is_some() {
            self.post.tell(tag, &work.live);
        }
    }

    /// When a start may be tried after one that lacked something. None: now.
    fn start_at(&self, now: Moment) -> Option<Moment> {
        self.backoff.until(now, || self.running.values().any(|work| !work.started))
    }

    fn try_again(&mut self, work: Box<Work>, delay: Duration, now: Moment) {
        // Never in the same turn: the loop looks at signals in between.
        self.pauses.insert((now + delay.max(LEAST_PAUSE), work.tag));
        self.waiting.insert(work.tag, work);
    }

    fn over(&mut self, tag: u64, mut outcome: Outcome, now: Moment) {
        let Some(mut work) = self.running.remove(&tag) else { return };
        match work.tries.over(&mut outcome, now) {
            After::Again { delay } if self.stopped.is_none() => {
                work.last = Some(Box::new(outcome));
                self.try_again(work, delay, now);
            }
            _ => self.end(work, Some(outcome), None, now),
        }
    }

    fn end(&mut self, work: Box<Work>, outcome: Option<Outcome>, refusal: Option<ErrorBody>, now: Moment) {
        let duration = work.first_begun.map_or(Duration::ZERO, |begun| now - begun);
        let attempts = work.tries.into_attempts();
        self.post.report(Report::Ended(Box::new(Ended { tag: work.tag, attempts, outcome, refusal, duration })));
    }

    /// A job told something.
    fn note(&mut self, tag: u64, event: Event) {
        let Some(work) = self.running.get_mut(&tag) else { return };
        match event {
            Event::ProgressReported(progress) => work.live.progress = Some(progress),
            Event::StatusReported(message) => work.live.message = Some(message),
            Event::PartialReported(value) => work.live.reported = Some(value),
            Event::DeadlineExtended { timeout, .. } => {
                work.live.deadline_at = Some(work.begun_at.saturating_add(timeout))
            }
            _ => return,
        }
        self.post.tell(tag, &work.live);
    }
}

impl Foreman for WorkerForeman {
    fn next(&mut self, now: Moment) -> Next {
        while let Some(order) = self.post.next_order() {
            if let Some(next) = self.carry_out(order, now) {
                return next;
            }
        }
        if let Some(cause) = self.stopped {
            self.call_off(cause, now);
        }
        while let Some((_, tag)) = self.pauses.first().copied().filter(|(at, _)| *at <= now) {
            self.pauses.pop_first();
            self.ready.extend(self.waiting.remove(&tag));
        }
        while self.start_at(now).is_none()
            && let Some(work) = self.ready.pop_front()
        {
            if let Some(next) = self.begin(work, now) {
                return next;
            }
        }
        if self.leaving && self.waiting.is_empty() && self.ready.is_empty() {
            return Next::Over;
        }
        let start = self.start_at(now).filter(|_| !self.ready.is_empty());
        Next::Wait { until: self.pauses.first().map(|(at, _)| *at).into_iter().chain(start).min() }
    }

    fn hear(&mut self, tag: u64, event: Event, now: Moment) {
        match event {
            Event::JobFinished(outcome) => {
                self.backoff.on_ended();
                self.over(tag, *outcome, now);
            }
            Event::JobStarted { .. } => self.on_started(tag),
            Event::DeadlineMoved { order, wall } => {
                let begun_at = self.running.get(&tag).map(|work| work.begun_at);
                let deadline_at = begun_at.zip(wall).map(|(begun, wall)| begun.saturating_add(wall));
                self.post.report(Report::Moved { order, deadline_at });
            }
            event => self.note(tag, event),
        }
    }

    fn refused(&mut self, tag: u64, error: Error, now: Moment) {
        if let Some(work) = self.running.remove(&tag) {
            self.not_begun(work, &error, now);
        }
    }

    fn on_shortage(&mut self, tag: u64, error: Error, now: Moment) {
        if let Some(work) = self.running.remove(&tag) {
            self.put_back(work, &error, now);
        }
    }

    fn stop(&mut self, cause: Cause) {
        self.stopped.get_or_insert(cause);
        self.post.report(Report::Stopped);
    }

    fn waker(&self) -> Option<&Waker> {
        Some(self.post.waker())
    }
}

impl Drop for WorkerForeman {
    fn drop(&mut self) {
        self.post.report(Report::Gone);
    }
}
