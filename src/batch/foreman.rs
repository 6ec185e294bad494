//! Runs a batch: takes jobs from the source, asks the scheduler, tells the journal and whoever shows it.
//!
//! Called by a backend on the thread that holds the deadlines. It reads no file but the journal, which it only appends
//! to; lists are read by a thread of their own, see [`feeder`](super::feeder).

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::backend::{Assignment, Foreman, Next, Waker};
use crate::batch::admission::{Admission, PROCESS_REASON};
use crate::batch::feeder::{Feeder, Morsel};
use crate::batch::journal::Journal;
use crate::batch::median::Median;
use crate::batch::notices::Notices;
use crate::batch::resume::{Decision, Earlier};
use crate::batch::scheduler::{Reaction, Scheduler, Skip, Ticket};
use crate::batch::start_backoff::StartBackoff;
use crate::batch::tries::After;
use crate::batch::work::Work;
use crate::error::{Error, Result};
use crate::model::batch::{Entry, Notice, Verdict};
use crate::model::envelope::{Details, ErrorBody, ErrorCode};
use crate::model::event::Event;
use crate::model::job::{Leftovers, Limits};
use crate::model::outcome::{Cause, Outcome, TimeoutReason};
use crate::model::request::{ResumeRule, StopRule, Workers};
use crate::model::signal::Signal;
use crate::time::clock::Moment;

mod starts;

/// The least pause between two attempts.
const LEAST_PAUSE: Duration = Duration::from_micros(1);
/// How long a start is retried during a shortage while no job runs.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// So many entries are taken before signals and deadlines are looked at again.
const ENTRIES_AT_ONCE: usize = 256;

/// What a batch is run by.
pub struct Plan {
    pub workers: Workers,
    pub stopping: StopRule,
    /// The time for all jobs together, with the reason to name when it strikes.
    pub total: Option<(Duration, TimeoutReason)>,
    /// No timeout that comes of a share of the median is shorter.
    pub timeout_floor: Duration,
    pub journal: Option<Journal>,
    /// How the outputs of the jobs flow off. Never waits.
    pub outflow: Box<dyn Fn() -> Outflow + Send>,
    /// What an earlier run left, and which of it is run again.
    pub earlier: Option<(Earlier, ResumeRule)>,
}

/// How the outputs of the jobs flow off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outflow {
    Free,
    /// So much waits for its reader that new jobs should wait, too.
    Full,
    /// Nobody reads it any more.
    Gone,
}

/// Makes what a backend needs of an entry: `limits` are those of this attempt.
pub type Prepare = Box<dyn FnMut(&Entry, &Beginning) -> Assignment + Send>;

/// What is decided anew for each attempt.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// From 1.
    pub attempt: u32,
    pub limits: Limits,
    pub leftovers: Leftovers,
    /// Unlike that of any other attempt.
    pub job_id: String,
    /// Until the whole batch is stopped.
    pub left: Option<Duration>,
}

/// How a batch came to its end, beside what its jobs came to.
#[derive(Debug, Default)]
pub struct Ending {
    /// Why it ended before its list did.
    pub cause: Option<Cause>,
    /// Why no new jobs began, where that was for their failures.
    pub halted_because: Option<String>,
    /// What was wrong with the list, the journal or the machine.
    pub error: Option<Error>,
}

/// The foreman of a batch.
pub struct BatchForeman<'a> {
    feeder: Feeder,
    waker: Waker,
    plan: Plan,
    prepare: Prepare,
    new_job_id: Box<dyn FnMut() -> String + Send>,
    notices: Notices,
    scheduler: Scheduler,
    admission: Admission,
    median: Median,
    /// Jobs that wait for their turn, for the first time or again.
    waiting: HashMap<u64, Box<Work>>,
    running: HashMap<u64, Box<Work>>,
    /// When failed jobs may be tried again.
    pauses: BTreeSet<(Moment, u64)>,
    backoff: StartBackoff,
    /// Jobs that could not be started for a shortage, until the next start may be tried.
    waiting_for_room: Vec<u64>,
    /// Reported on as the batch ends.
    ending: &'a mut Ending,
    /// The batch's cause has to be told to the jobs that run.
    stop_due: Option<Cause>,
    held: Option<&'static str>,
    begun_at: Option<Moment>,
    /// Entries that the list gave so far.
    read: u64,
}

impl<'a> BatchForeman<'a> {
    pub fn new(
        feeder: Feeder,
        waker: Waker,
        plan: Plan,
        prepare: Prepare,
        new_job_id: Box<dyn FnMut() -> String + Send>,
        notices: Notices,
        ending: &'a mut Ending,
    ) -> Result<Self> {
        Ok(Self {
            feeder,
            waker,
            scheduler: Scheduler::new(plan.workers.slots, plan.stopping),
            admission: Admission::new(plan.workers)?,
            plan,
            prepare,
            new_job_id,
            notices,
            median: Median::default(),
            waiting: HashMap::new(),
            running: HashMap::new(),
            pauses: BTreeSet::new(),
            backoff: StartBackoff::new(START_PATIENCE),
            waiting_for_room: Vec::new(),
            ending,
            stop_due: None,
            held: None,
            begun_at: None,
            read: 0,
        })
    }

    /// Takes entries from the source for as long as the scheduler has use for them. True where it is to be asked again at
    /// once: entries that are left out, or skipped, must not keep signals and deadlines waiting.
    fn take_entries(&mut self) -> bool {
        for _ in 0..ENTRIES_AT_ONCE {
            if !self.scheduler.wants_more() || self.notices.is_behind() {
                return false;
            }
            match self.feeder.next() {
                Morsel::Entry(entry) => {
                    self.read += 1;
                    self.offer(entry);
                }
                Morsel::NotYet => return false,
                Morsel::End => {
                    // A list that is read as it comes is counted by now.
                    self.notices.tell(Notice::Counted(self.read));
                    let skipped = self.scheduler.no_more();
                    self.skip(skipped);
                }
                Morsel::Wrong(error) => self.fail(error),
            }
        }
        true
    }

    fn offer(&mut self, entry: Box<Entry>) {
        let mut interrupted_before = false;
        if let Some((earlier, rule)) = &mut self.plan.earlier {
            let decision = earlier.wants(&entry, *rule);
            if let Decision::Run { interrupted_before: interrupted } = decision {
                interrupted_before = interrupted;
            } else {
                let succeeded = decision == Decision::DoneBefore;
                self.notices.tell(Notice::LeftOut { seq: entry.seq, succeeded });
                match &entry.id {
                    Some(id) if succeeded => self.scheduler.note_done_before(id),
                    Some(id) => {
                        let skipped = self.scheduler.note_left_out(id);
                        self.skip(skipped);
                    }
                    None => {}
                }
                return;
            }
        }
        let ticket = Ticket {
            seq: entry.seq,
            id: entry.id.clone(),
            needs: entry.needs.clone(),
            locks: entry.locks.clone(),
            priority: entry.priority,
        };
        let work = Work::new(*entry, interrupted_before);
        self.waiting.insert(ticket.seq, Box::new(work));
        let skipped = self.scheduler.offer(ticket);
        self.skip(skipped);
    }

    /// These jobs will never run.
    fn skip(&mut self, skipped: Vec<Skip>) {
        for skip in skipped {
            let Some(work) = self.waiting.remove(&skip.seq) else { continue };
            let cancelled = self.ending.cause.is_some() || self.ending.error.is_some();
            let refusal = ErrorBody {
                code: if cancelled { ErrorCode::Cancelled } else { ErrorCode::DependencyError },
                message: format!("{} was skipped: {}", work.full_title(), skip.because),
                details: Details { skipped_because: Some(skip.because), ..Details::default() },
                remediation: "See to what kept it from running, then run the batch again".to_owned(),
            };
            self.conclude(work, Verdict::Skipped, None, Some(refusal));
        }
    }

    /// Nothing else begins, for this reason. What waited to be tried again has come to what its last attempt did.
    fn halt(&mut self, because: &str) {
        let skipped = self.scheduler.halt(because);
        self.skip(skipped);
        self.pauses.clear();
        self.waiting_for_room.clear();
        for seq in self.scheduler.paused() {
            if self.waiting.get(&seq).is_some_and(|work| work.never_began()) {
                self.end_unstarted(seq, because);
                continue;
            }
            let Some(mut work) = self.waiting.remove(&seq) else { continue };
            let outcome = work.last.take();
            let verdict = work.tries.verdict(outcome.as_deref());
            let refusal = work.refusal.take();
            self.conclude(work, verdict, outcome.map(|outcome| *outcome), refusal);
            let skipped = self.scheduler.end(seq, verdict).skipped;
            self.skip(skipped);
        }
    }

    /// A job that waited for its first start will never run.
    fn end_unstarted(&mut self, seq: u64, because: &str) {
        let own = Skip { seq, because: because.to_owned() };
        let others = self.scheduler.end(seq, Verdict::Skipped).skipped;
        self.skip(std::iter::once(own).chain(others).collect());
    }

    /// Something is wrong with the batch itself: what runs may end, nothing else begins.
    fn fail(&mut self, error: Error) {
        self.ending.error.get_or_insert(error);
        // What is being halted may fail again, job after job.
        if !self.scheduler.is_halted() {
            self.halt("the batch could not go on");
        }
    }

    fn call_off(&mut self, cause: Cause, because: &str) {
        self.ending.cause.get_or_insert(cause);
        self.halt(because);
    }

    /// The attempt of a job is over.
    fn over(&mut self, seq: u64, mut outcome: Outcome, now: Moment) {
        let Some(mut work) = self.running.remove(&seq) else { return };
        match work.tries.over(&mut outcome, now) {
            After::Again { delay } if !self.scheduler.is_halted() => {
                work.last = Some(Box::new(outcome));
                self.try_again(work, delay, now);
            }
            _ => {
                let verdict = work.tries.verdict(Some(&outcome));
                if verdict.is_success() {
                    self.median.note(outcome.elapsed);
                }
                self.end(work, verdict, Some(outcome), None);
            }
        }
    }

    fn try_again(&mut self, work: Box<Work>, delay: Duration, now: Moment) {
        let seq = work.entry.seq;
        if let Some(attempt) = work.tries.attempts().last() {
            self.notices.tell(Notice::RetryPlanned {
                seq,
                attempt: Box::new(attempt.clone()),
                of: work.tries.most(),
                delay,
            });
        }
        self.scheduler.pause(seq);
        // Never in the same turn: the loop looks at signals in between.
        self.pauses.insert((now + delay.max(LEAST_PAUSE), seq));
        self.waiting.insert(seq, work);
    }

    /// A job is over: the scheduler draws the conclusions.
    fn end(&mut self, work: Box<Work>, verdict: Verdict, outcome: Option<Outcome>, refusal: Option<ErrorBody>) {
        let seq = work.entry.seq;
        self.conclude(work, verdict, outcome, refusal);
        let ending = self.scheduler.end(seq, verdict);
        self.skip(ending.skipped);
        match ending.reaction {
            Reaction::GoOn => {}
            Reaction::Halt(because) => {
                self.halt(&because);
                self.ending.halted_because = Some(because);
            }
            Reaction::StopAll(because) => {
                self.call_off(Cause::CalledOff, &because);
                self.stop_due = Some(Cause::CalledOff);
            }
        }
    }

    /// Journals the end of a job and tells it on.
    fn conclude(
        &mut self,
        mut work: Box<Work>,
        verdict: Verdict,
        outcome: Option<Outcome>,
        refusal: Option<ErrorBody>,
    ) {
        let job_id = if work.job_id.is_empty() { (self.new_job_id)() } else { std::mem::take(&mut work.job_id) };
        let ended = work.into_ended(job_id, verdict, outcome, refusal);
        if let (Some(journal), false) = (&mut self.plan.journal, ended.attempts.is_empty())
            && let Err(error) = journal.ended(&ended)
        {
            self.notices.tell(Notice::Ended(Box::new(ended)));
            return self.fail(error);
        }
        self.notices.tell(Notice::Ended(Box::new(ended)));
    }

    /// The total time is over.
    fn check_total(&mut self, now: Moment) {
        let begun = *self.begun_at.get_or_insert(now);
        if let Some((limit, reason)) = self.plan.total
            && now >= begun + limit
            && self.ending.cause.is_none()
        {
            let cause = Cause::Timeout { reason, limit };
            self.call_off(cause, "the time of the batch was over");
            self.stop_due = Some(cause);
        }
    }

    /// A batch whose output nobody reads any more ends, as a command would that writes to such a pipe.
    fn check_reader(&mut self) {
        if self.ending.cause.is_none() && (self.plan.outflow)() == Outflow::Gone {
            let cause = Cause::Cancelled { signal: Signal::PIPE };
            self.call_off(cause, "nobody reads the output any more");
            self.stop_due = Some(cause);
        }
    }

    /// Nothing runs any more: what was journalled is on the disk before anybody is told.
    fn close_journal(&mut self) {
        self.hold(None);
        if let Some(journal) = self.plan.journal.take()
            && let Err(error) = journal.close()
        {
            self.ending.error.get_or_insert(error);
        }
    }

    fn hold(&mut self, reason: Option<&'static str>) {
        if self.held != reason {
            self.held = reason;
            self.notices.tell(Notice::Held(reason));
        }
    }

    /// When to look again, whatever happens.
    fn wake_at(&self, look_again: Option<Moment>) -> Option<Moment> {
        let pause = self.pauses.first().map(|(at, _)| *at);
        let total = match (self.plan.total, self.begun_at, self.ending.cause) {
            (Some((limit, _)), Some(begun), None) => Some(begun + limit),
            _ => None,
        };
        [pause, total, look_again].into_iter().flatten().min()
    }
}

impl Foreman for BatchForeman<'_> {
    fn next(&mut self, now: Moment) -> Next {
        self.check_total(now);
        self.check_reader();
        if let Some(cause) = self.stop_due.take() {
            return Next::Stop(cause);
        }
        while let Some((_, seq)) = self.pauses.first().copied().filter(|(at, _)| *at <= now) {
            self.pauses.pop_first();
            self.scheduler.again(seq);
        }
        if self.start_at(now).is_none() {
            for seq in std::mem::take(&mut self.waiting_for_room) {
                self.scheduler.again(seq);
            }
        }
        loop {
            let more = self.take_entries();
            if self.scheduler.is_over() {
                self.close_journal();
                return Next::Over;
            }
            if let (Some(until), false) = (self.start_at(now), self.scheduler.is_halted()) {
                self.hold(Some("descriptors, processes or memory are short"));
                return Next::Wait { until: self.wake_at(Some(if more { now } else { until })) };
            }
            if !self.scheduler.has_next() {
                return Next::Wait { until: self.wake_at(more.then_some(now)) };
            }
            let outflow = (self.plan.outflow)();
            if (self.notices.is_behind() || outflow == Outflow::Full) && !self.running.is_empty() {
                self.hold(Some("the output is not read"));
                return Next::Wait { until: self.wake_at(None) };
            }
            if let Err(hold) = self.admission.allows(self.running.len(), now) {
                if hold.reason == PROCESS_REASON && self.backoff.is_news() {
                    self.notices.tell(Notice::StartDelayed { seq: None, reason: Some(hold.reason.to_owned()) });
                }
                self.hold(Some(hold.reason));
                return Next::Wait { until: self.wake_at(Some(hold.look_again)) };
            }
            self.hold(None);
            // What looked ready may have to wait for locks; then there may be more in the list.
            if let Some(seq) = self.scheduler.next()
                && let Some(next) = self.begin(seq, now)
            {
                return next;
            }
        }
    }

    fn hear(&mut self, tag: u64, event: Event, now: Moment) {
        match event {
            Event::JobFinished(outcome) => {
                self.backoff.on_ended();
                self.over(tag, *outcome, now);
            }
            event => {
                if matches!(event, Event::JobStarted { .. }) {
                    self.on_started(tag);
                }
                self.notices.tell(Notice::Happened { seq: tag, event });
            }
        }
    }

    fn refused(&mut self, tag: u64, error: Error, now: Moment) {
        let Some(mut work) = self.running.remove(&tag) else { return };
        let mut body = error.body();
        work.secrets.mask_error(&mut body);
        match work.tries.refused(body.code, &body.message, now) {
            After::Again { delay } if !self.scheduler.is_halted() => {
                work.refusal = Some(body);
                self.try_again(work, delay, now);
            }
            _ => self.end(work, Verdict::Failed, None, Some(body)),
        }
    }

    fn on_shortage(&mut self, tag: u64, error: Error, now: Moment) {
        self.put_back(tag, error, now);
    }

    fn stop(&mut self, cause: Cause) {
        self.call_off(cause, "the batch was cancelled");
    }

    fn waker(&self) -> Option<&Waker> {
        Some(&self.waker)
    }
}
