//! Keeps the store for the worker: claims what may run, records what became of it, carries out what was asked.
//!
//! Runs on the main thread, while the watchdog has its own. It sleeps until somebody rings, a job is over, or something is
//! due; an idle worker does not wake up at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::outcome::Cause;
use crate::model::sample::Subject;
use crate::model::secrets::Secrets;
use crate::model::signal::Signal;
use crate::platform::bell::WakeReason;
use crate::platform::process;
use crate::platform::remains::boot_id;
use crate::store::{Claim, Claimed, End, ExtensionOrder, Live, Lost, StopOrder, Store, WorkerRecord};
use crate::time::clock::{Clock, Moment, SystemClock, unix_time};
use crate::worker::assignment::{JobMaker, Work};
use crate::worker::conclusion::Begun;
use crate::worker::listener::Listener;
use crate::worker::notices::{self, Notices};
use crate::worker::post::{ClerkPost, Ended, Order, Report};
use crate::worker::{TASK_ID, bell_file, log_files, recovery};

mod waiting;

/// What jobs tell is stored at most so often.
const TOLD_PERIOD: Duration = Duration::from_millis(200);
/// A store that cannot be written is tried again after so long,
const RETRY_PERIOD: Duration = Duration::from_secs(1);
/// and given up after so many tries where the worker has to go.
const LAST_TRIES: u32 = 10;
/// Tasks that have reached their age are removed this much later, so that many go at once.
const CLEANING_SLACK: Duration = Duration::from_secs(60);

/// What a worker is run by.
pub struct Settings {
    /// It goes when there was nothing to do for so long. None: it stays.
    pub idle_exit: Option<Duration>,
    /// Finished tasks are removed at this age. None: they stay.
    pub max_task_age: Option<Duration>,
    /// Makes what tells one run from all others.
    pub new_run: fn() -> String,
    /// Says what whoever looks after the worker should know.
    pub say: Box<dyn Fn(&str)>,
    /// False once the store, or the lock that made us its worker, was removed: nothing more begins then.
    pub has_store: Box<dyn Fn() -> bool>,
}

/// The one who has the store.
pub struct Clerk {
    store: Store,
    post: ClerkPost,
    make_job: JobMaker,
    settings: Settings,
    claim: Claim,
    listener: Option<Listener>,
    running: BTreeMap<i64, Begun>,
    notices: Notices,
    /// Ends that are not in the store yet.
    lost: Vec<Lost>,
    /// What was told and is not in the store yet, by the numbers of the tasks.
    told: BTreeMap<i64, Live>,
    told_at: Moment,
    /// Nothing is removed before this.
    clean_at: Moment,
    /// Moves of deadlines that are under way.
    moving: BTreeMap<i64, ExtensionOrder>,
    /// Those that were made, or could not be, and are not answered yet.
    moved: BTreeMap<i64, Option<Duration>>,
    cancelled: BTreeSet<i64>,
    stop: Option<StopOrder>,
    /// The foreman knows that nothing more comes.
    left: bool,
    gone: bool,
    clock: SystemClock,
    idle_since: Option<Moment>,
    /// The store could not be written: nothing is tried before this.
    retry_at: Option<Moment>,
    failures: u32,
}

impl Clerk {
    /// Takes the store over. From now on whoever rings is heard.
    pub fn open(mut store: Store, post: ClerkPost, make_job: JobMaker, settings: Settings) -> Result<Self> {
        // One that comes from now on is for this worker.
        store.forget_stop_order()?;
        let listener = Listener::open(&bell_file(store.folder()), post.sender())?;
        let claim = Claim { boot: boot_id(), new_run: settings.new_run };
        Ok(Self {
            store,
            post,
            make_job,
            settings,
            claim,
            listener: Some(listener),
            running: BTreeMap::new(),
            notices: Notices::default(),
            lost: Vec::new(),
            told: BTreeMap::new(),
            told_at: Moment::default(),
            clean_at: Moment::default(),
            moving: BTreeMap::new(),
            moved: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            stop: None,
            left: false,
            gone: false,
            clock: SystemClock::start(),
            idle_since: None,
            retry_at: None,
            failures: 0,
        })
    }

    /// Keeps the store until the worker goes.
    pub fn keep(&mut self) {
        while let Err(error) = self.take_over() {
            // What is not known to be over is not begun again, so nothing else is done before.
            self.note_failure(&error);
            match self.post.next(Some(RETRY_PERIOD)) {
                Ok(Report::Stopped) => {
                    self.leave();
                    break;
                }
                Ok(Report::Gone) | Err(RecvTimeoutError::Disconnected) => {
                    self.gone = true;
                    break;
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        let mut news = true;
        while !self.gone {
            let now = self.clock.now();
            // Whoever has left claims nothing any more: the next worker does.
            if news && !self.left && self.retry_at.is_none_or(|at| at <= now) {
                self.settle(now);
            }
            self.note_idle(now);
            news = self.listen();
        }
        self.finish();
    }

    /// The books cannot be kept any more: what runs is ended, and left to the next worker.
    pub fn abandon(&mut self) {
        self.lost.clear();
        self.post.order(Order::StopAll(Cause::Cancelled { signal: Signal::TERM }));
        self.leave();
    }

    /// What the worker before left is seen to first.
    fn take_over(&mut self) -> Result<()> {
        let found = recovery::recover(&self.store)?;
        notices::sweep(&self.store);
        if !found.lost.is_empty() || found.ended > 0 {
            let (tasks, processes) = (found.lost.len(), found.ended);
            (self.settings.say)(&format!(
                "the worker before died: {tasks} tasks were running, {processes} processes ended"
            ));
        }
        self.store.settle_lost(&found.lost)?;
        let own = process::own_identity().ok_or_else(|| Error::Internal("/proc cannot be read".to_owned()))?;
        let since = u64::try_from(unix_time().as_millis()).unwrap_or(u64::MAX);
        self.store.set_worker(&WorkerRecord { pid: own.pid, start_time: own.start_time, boot: boot_id(), since })
    }

    /// Waits for the next thing that happens, and takes all that has. True where the store has to be looked at.
    fn listen(&mut self) -> bool {
        let now = self.clock.now();
        let patience = self.patience(now);
        let mut news = match self.post.next(patience) {
            Ok(report) => self.heed(report),
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => {
                self.gone = true;
                false
            }
        };
        while let Ok(report) = self.post.next(Some(Duration::ZERO)) {
            news |= self.heed(report);
        }
        let now = self.clock.now();
        if !self.told.is_empty() && now >= self.told_at + TOLD_PERIOD {
            self.store_told(now);
        }
        news
    }

    /// Takes a report. True where the store has to be looked at for it.
    fn heed(&mut self, report: Report) -> bool {
        match report {
            Report::Rung(reason) => {
                if reason == WakeReason::Drain {
                    self.stop.get_or_insert(StopOrder::Drain);
                }
                true
            }
            Report::ListenerFailed(error) => {
                (self.settings.say)(&error.to_string());
                // Closed, so that no submitter takes this worker for one that it has woken. The next look at the store
                // opens another one.
                if let Some(listener) = self.listener.take() {
                    listener.close();
                }
                true
            }
            Report::Told => {
                for (tag, live) in self.post.take_told() {
                    // What is over is told of by its end.
                    if self.running.contains_key(&number(tag)) {
                        self.told.insert(number(tag), live);
                    }
                }
                false
            }
            Report::StartsDelayed(reason) => {
                (self.settings.say)(&format!("tasks wait to be started: {reason}"));
                false
            }
            Report::Ended(ended) if notices::is_notice(ended.tag) => {
                self.notices.end(&ended);
                true
            }
            Report::Ended(ended) => self.ended(*ended),
            Report::Moved { order, deadline_at } => {
                self.moved.insert(order, deadline_at);
                true
            }
            Report::Stopped => {
                self.stop = Some(StopOrder::Now);
                true
            }
            Report::Gone => {
                self.gone = true;
                false
            }
        }
    }

    fn ended(&mut self, ended: Ended) -> bool {
        let seq = number(ended.tag);
        self.told.remove(&seq);
        self.cancelled.remove(&seq);
        if let Some(begun) = self.running.remove(&seq) {
            self.lost.push(begun.conclude(ended));
        }
        true
    }

    /// Brings store and worker to the same state.
    fn settle(&mut self, now: Moment) {
        loop {
            if let Err(error) = self.try_to_settle(now) {
                return self.note_failure(&error);
            }
            self.retry_at = None;
            self.failures = 0;
            // A task that no job could be made of is over already.
            if self.lost.is_empty() {
                break;
            }
        }
        if let Err(error) = self.look_whether_to_go(now) {
            self.note_failure(&error);
        }
    }

    fn try_to_settle(&mut self, now: Moment) -> Result<()> {
        self.obey()?;
        if self.stop.is_none() && !(self.settings.has_store)() {
            // Its tasks are nobody's wish any more, or another worker's.
            (self.settings.say)("the store or its lock was removed: no other task begins, and the worker goes");
            self.stop = Some(StopOrder::Drain);
        }
        if self.listener.is_none() && self.stop.is_none() {
            // It was closed before it was clear that the worker stays.
            self.listener = Some(Listener::open(&bell_file(self.store.folder()), self.post.sender())?);
        }
        let ends: Vec<End> = self.lost.iter().filter_map(Lost::end).collect();
        if ends.len() < self.lost.len() {
            // Some are queued again, which is rare.
            self.store.settle_lost(&self.lost)?;
            self.lost.clear();
        }
        let claim = self.stop.is_none().then_some(&self.claim);
        let claimed = self.store.end_and_claim(if self.lost.is_empty() { &[] } else { &ends }, claim)?;
        self.lost.clear();
        for claimed in claimed {
            self.begin(claimed);
        }
        self.notices.note_ends(&mut self.store)?;
        // What is begun while all is stopped would be stopped, too.
        if self.stop != Some(StopOrder::Now) {
            let start = |work| self.post.order(Order::Begin(Box::new(work)));
            self.notices.begin(&mut self.store, &self.make_job, self.settings.new_run, start)?;
        }
        self.clean(now)
    }

    /// Removes tasks that have reached their age, some at a time.
    fn clean(&mut self, now: Moment) -> Result<()> {
        let Some(age) = self.settings.max_task_age.filter(|_| now >= self.clean_at) else { return Ok(()) };
        if self.store.next_of_age(age)?.is_some_and(|left| left.is_zero()) {
            let more = self.store.clean_some(age)?;
            self.clean_at = if more { now } else { now + CLEANING_SLACK };
            if more {
                // Others are not kept waiting meanwhile.
                self.post.remind();
            }
        }
        Ok(())
    }

    /// Carries out what was asked of the worker.
    fn obey(&mut self) -> Result<()> {
        for seq in self.store.unwanted()? {
            if let Some(begun) = self.running.get_mut(&seq)
                && self.cancelled.insert(seq)
            {
                begun.unwanted = true;
                self.post.order(Order::Cancel { tag: tag(seq) });
            }
        }
        while let Some((&seq, &deadline_at)) = self.moved.first_key_value() {
            if let Some(order) = self.moving.get(&seq) {
                self.store.answer_extension(order, deadline_at.is_some(), deadline_at)?;
            }
            // Only now: one that is still open in the store would be made once more.
            self.moving.remove(&seq);
            self.moved.remove(&seq);
        }
        for order in self.store.open_extensions()? {
            if !self.running.contains_key(&order.task) {
                self.store.answer_extension(&order, false, None)?;
            } else if !self.moving.contains_key(&order.seq) {
                self.post.order(Order::MoveDeadline { tag: tag(order.task), order: order.seq, by: order.by });
                self.moving.insert(order.seq, order);
            }
        }
        // Whoever is told to drain may still be told to hurry.
        if self.stop != Some(StopOrder::Now)
            && let Some(order) = self.store.stop_order()?.filter(|order| Some(*order) != self.stop)
        {
            self.stop = Some(order);
            if order == StopOrder::Now {
                self.post.order(Order::StopAll(Cause::Cancelled { signal: Signal::TERM }));
            }
        }
        Ok(())
    }

    /// Begins a task that was claimed.
    fn begin(&mut self, claimed: Claimed) {
        let seq = claimed.seq;
        let mut begun = Begun {
            id: claimed.id,
            name: claimed.name,
            command: claimed.command,
            run: claimed.run,
            started_at: unix_time(),
            attempts_before: claimed.attempts_before,
            retried_on_crash: claimed.retried_on_crash,
            unwanted: claimed.unwanted,
            secrets: Secrets::new(claimed.secrets.iter().map(|(_, value)| value)),
            subject: None,
        };
        match claimed.job.and_then(|job| (self.make_job)(job)) {
            Ok(mut job) => {
                begun.command = job.command.shown();
                job.surroundings.secrets = claimed.secrets;
                job.surroundings.env.push((TASK_ID.into(), begun.id.clone().into()));
                begun.subject = Some(Arc::new(Subject::of(&job)));
                let log = log_files(self.store.folder(), &begun.id);
                let work = Work::new(tag(seq), job, begun.run.clone(), Some(log), begun.attempts_before);
                let unwanted = begun.unwanted;
                self.running.insert(seq, begun);
                self.post.order(Order::Begin(Box::new(work)));
                if unwanted && self.cancelled.insert(seq) {
                    // It was cancelled in the moment in which it was queued again.
                    self.post.order(Order::Cancel { tag: tag(seq) });
                }
            }
            Err(error) => self.lost.push(begun.conclude_unmade(error.body())),
        }
    }

    fn store_told(&mut self, now: Moment) {
        self.told_at = now;
        let told: Vec<(i64, Live)> = std::mem::take(&mut self.told).into_iter().collect();
        // What was told is told again soon, or is of no use any more.
        let _ = self.store.note_live(&told);
    }

    /// The store could not be written. What was to be in it is kept, and tried again.
    fn note_failure(&mut self, error: &Error) {
        if self.failures == 0 {
            (self.settings.say)(&error.to_string());
        }
        self.failures += 1;
        self.retry_at = Some(self.clock.now() + RETRY_PERIOD);
    }

    fn has_jobs(&self) -> bool {
        !self.running.is_empty() || !self.lost.is_empty() || self.notices.are_under_way()
    }

    fn leave(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.close();
        }
        self.left = true;
        self.post.order(Order::Leave);
    }

    /// The last that is to be known of the jobs goes into the store.
    fn finish(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.close();
        }
        for _ in 0..LAST_TRIES {
            if self.lost.is_empty() {
                break;
            }
            match self.store.settle_lost(&self.lost) {
                Ok(()) => self.lost.clear(),
                Err(error) => {
                    self.note_failure(&error);
                    process::nap(RETRY_PERIOD);
                }
            }
        }
        self.store.tidy();
    }
}

fn tag(seq: i64) -> u64 {
    seq.unsigned_abs()
}

fn number(tag: u64) -> i64 {
    i64::try_from(tag).unwrap_or_default()
}
