//! What foreman and clerk tell each other, and the ways that it takes.
//!
//! Neither way makes the foreman wait. What a job says may come in floods: of that the last alone is kept until the clerk
//! takes it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backend::Waker;
use crate::error::Error;
use crate::model::attempt::Attempt;
use crate::model::envelope::ErrorBody;
use crate::model::outcome::{Cause, Outcome};
use crate::platform::bell::WakeReason;
use crate::store::Live;
use crate::worker::assignment::Work;

/// What the clerk hears.
#[derive(Debug)]
pub(super) enum Report {
    /// The store may have changed, or the worker is to stop.
    Rung(WakeReason),
    /// The thread that waits for the bell has ended.
    ListenerFailed(Error),
    /// A job told something, or its deadline moved.
    Told,
    /// A job could not be started because this is short, for the first time.
    StartsDelayed(String),
    /// A job is over.
    Ended(Box<Ended>),
    /// A deadline was to be moved; the task's is then now. None: it was not moved.
    Moved { order: i64, deadline_at: Option<Duration> },
    /// We were told to stop.
    Stopped,
    /// The foreman is gone, and with it every job.
    Gone,
}

/// A job that is over.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) tag: u64,
    /// Every attempt that it took.
    pub(super) attempts: Vec<Attempt>,
    /// Of the last attempt.
    pub(super) outcome: Option<Outcome>,
    /// Why it could not be begun.
    pub(super) refusal: Option<ErrorBody>,
    /// From the start of its first attempt to its end.
    pub(super) duration: Duration,
}

/// What the foreman is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Begin(Box<Work>),
    /// Stop this job, wherever it is on its way.
    Cancel {
        tag: u64,
    },
    MoveDeadline {
        tag: u64,
        order: i64,
        by: Duration,
    },
    /// Stop every job.
    StopAll(Cause),
    /// Nothing more comes.
    Leave,
}

/// The clerk's side.
#[derive(Debug)]
pub struct ClerkPost {
    reports: Receiver<Report>,
    sender: Sender<Report>,
    shared: Arc<Shared>,
}

/// The foreman's side.
#[derive(Debug)]
pub struct ForemanPost {
    reports: Sender<Report>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    orders: Mutex<VecDeque<Order>>,
    told: Mutex<BTreeMap<u64, Live>>,
    waker: Waker,
}

/// Both sides.
pub fn office(waker: Waker) -> (ForemanPost, ClerkPost) {
    let (sender, reports) = channel();
    let shared = Arc::new(Shared { orders: Mutex::new(VecDeque::new()), told: Mutex::new(BTreeMap::new()), waker });
    (ForemanPost { reports: sender.clone(), shared: Arc::clone(&shared) }, ClerkPost { reports, sender, shared })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClerkPost {
    /// Gives an order.
    pub(super) fn order(&self, order: Order) {
        locked(&self.shared.orders).push_back(order);
        self.shared.waker.wake();
    }

    /// The next report, or none within so long; without a limit, however long it takes.
    pub(super) fn next(&self, limit: Option<Duration>) -> Result<Report, RecvTimeoutError> {
        match limit {
            Some(limit) => self.reports.recv_timeout(limit),
            None => self.reports.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// A way for others to report.
    pub(super) fn sender(&self) -> Sender<Report> {
        self.sender.clone()
    }

    /// Makes the store be looked at again, after what has happened meanwhile.
    pub(super) fn remind(&self) {
        let _ = self.sender.send(Report::Rung(WakeReason::Update));
    }

    /// What jobs told since the last time, by their tags.
    pub(super) fn take_told(&self) -> BTreeMap<u64, Live> {
        std::mem::take(&mut locked(&self.shared.told))
    }
}

impl ForemanPost {
    pub(super) fn report(&self, report: Report) {
        // A clerk that is gone has left the store to the next worker.
        let _ = self.reports.send(report);
    }

    /// What a job told last.
    pub(super) fn tell(&self, tag: u64, live: &Live) {
        let mut told = locked(&self.shared.told);
        let first = told.is_empty();
        told.insert(tag, live.clone());
        drop(told);
        if first {
            self.report(Report::Told);
        }
    }

    pub(super) fn next_order(&self) -> Option<Order> {
        locked(&self.shared.orders).pop_front()
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.shared.waker
    }
}
