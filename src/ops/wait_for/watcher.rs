//! The threads of `wait-for`: each asks for one target, again and again, and tells what it found.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::probe::{Expectation, Probe};
use super::target::Target;
use crate::error::Error;
use crate::ops::Failure;
use crate::ops::context::Cancel;
use crate::platform::doorbell::Doorbell;
use crate::platform::poller;
use crate::time::clock::{Clock, Moment, SystemClock};

/// How often the end of a watcher is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// What all watchers share.
pub(super) struct Watch {
    pub(super) interval: Duration,
    pub(super) stable: Duration,
    #[cfg_attr(not(feature = "fetch"), expect(dead_code, reason = "only HTTP answers are held against it"))]
    pub(super) expectation: Expectation,
    pub(super) clock: SystemClock,
    stopping: AtomicBool,
    /// Rung once, and never cleared: every watcher is to see it.
    pub(super) stop: Doorbell,
    /// Rung with each piece of news.
    bell: Doorbell,
}

/// What a watcher found, and when.
#[derive(Debug)]
pub(super) struct News {
    pub(super) target: usize,
    pub(super) at: Moment,
    pub(super) finding: Finding,
}

#[derive(Debug)]
pub(super) enum Finding {
    /// An attempt began.
    Began,
    Holds,
    /// It does not hold, and why.
    Not(String),
    /// It will never hold, and why.
    Never(String),
}

impl Watch {
    pub(super) fn new(
        interval: Duration,
        stable: Duration,
        expectation: Expectation,
        clock: SystemClock,
    ) -> Result<Self, Failure> {
        let bell = || Doorbell::new().map_err(Failure::from);
        Ok(Self {
            interval,
            stable,
            expectation,
            clock,
            stopping: AtomicBool::new(false),
            stop: bell()?,
            bell: bell()?,
        })
    }

    /// No watcher asks again, and what runs for one is ended.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.ring();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits for news, for the order to stop, or for so long.
    pub(super) fn await_news(&self, cancel: &Cancel, limit: Duration) {
        poller::await_any_readable(&[self.bell.as_fd(), cancel.descriptor()], limit);
        self.bell.clear();
    }

    /// Waits until the next attempt is due, or until there is to be none.
    pub(super) fn pause(&self, duration: Duration) {
        let until = self.clock.now() + duration;
        loop {
            let left = until - self.clock.now();
            if left.is_zero() || self.is_stopping() {
                return;
            }
            poller::await_readable(self.stop.as_fd(), left);
        }
    }
}

/// Starts a watcher for each target. Gives those whose end matters: they have processes.
pub(super) fn start(
    watch: &Arc<Watch>,
    targets: Vec<Target>,
) -> Result<(Vec<JoinHandle<()>>, Receiver<News>), Failure> {
    let (sender, receiver) = channel();
    // A process is noted before anything else happens, so that a later one of the same pid is a stranger.
    let probes: Vec<Probe> = targets.into_iter().map(|target| Probe::new(target, watch)).collect();
    let mut with_processes = Vec::new();
    for (target, probe) in probes.into_iter().enumerate() {
        let (watch, sender) = (Arc::clone(watch), sender.clone());
        let has_processes = probe.has_processes();
        let thread = thread::Builder::new().name("target".to_owned());
        let watcher = thread
            .spawn(move || ask_on(target, probe, &watch, &sender))
            .map_err(|error| Failure::from(Error::system("start a thread")(error)))?;
        if has_processes {
            with_processes.push(watcher);
        }
    }
    Ok((with_processes, receiver))
}

fn ask_on(target: usize, mut probe: Probe, watch: &Watch, sender: &Sender<News>) {
    let tell = |finding| {
        let at = watch.clock.now();
        let told = sender.send(News { target, at, finding }).is_ok();
        watch.bell.ring();
        (told, at)
    };
    let mut held_since = None;
    while !watch.is_stopping() {
        tell(Finding::Began);
        let finding = probe.ask(watch);
        if watch.is_stopping() {
            return;
        }
        let (holds, vain) = (matches!(finding, Finding::Holds), matches!(finding, Finding::Never(_)));
        let (told, at) = tell(finding);
        if vain || !told {
            return;
        }
        held_since = holds.then(|| held_since.unwrap_or(at));
        // The end of the time for which it must hold is looked at in time, not an interval later.
        let open = held_since.map(|since| watch.stable.saturating_sub(at - since)).filter(|open| !open.is_zero());
        watch.pause(open.map_or(watch.interval, |open| open.min(watch.interval)));
    }
}

/// Gives the watchers so long to end what they started.
pub(super) fn await_end(watchers: Vec<JoinHandle<()>>, clock: &SystemClock, limit: Duration) {
    let until = clock.now() + limit;
    let Ok(quiet) = Doorbell::new() else { return };
    while clock.now() < until && !watchers.iter().all(JoinHandle::is_finished) {
        poller::await_readable(quiet.as_fd(), LOOK);
    }
}
