//! What an operation has of its surroundings: a way to report, to print, to wait, and to hear that it must stop.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::control::message::Draft;
use crate::control::sender::Sender;
use crate::error::Result;
use crate::model::outcome::Progress;
use crate::ops::Failure;
use crate::platform::descriptors::{self, Moved};
use crate::platform::doorbell::Doorbell;
use crate::platform::poller;
use crate::time::clock::{Clock, Moment, SystemClock};

/// Reports are sent at most this often. What is kept back goes with the next one; a whole progress, and what is given
/// with `partial_now`, are sent at once.
const PERIOD: Duration = Duration::from_millis(50);

/// The surroundings of a running operation.
pub struct Context {
    sender: Option<Sender>,
    cancel: Cancel,
    scratch: ScratchList,
    clock: SystemClock,
    deadline: Option<Moment>,
    next_report: Moment,
    progress: Option<Progress>,
    status: String,
}

/// An order to stop: set once, seen by any thread.
#[derive(Clone, Debug)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    bell: Arc<Doorbell>,
}

/// Files that are half made. Whoever ends the operation removes what is still listed.
pub(super) type ScratchList = Arc<Mutex<Vec<PathBuf>>>;

impl Cancel {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { flag: Arc::default(), bell: Arc::new(Doorbell::new()?) })
    }

    pub(super) fn set(&self) {
        self.flag.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Readable from the order on, for whoever waits for descriptors.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl Context {
    /// The context of an operation that starts now. `time_left`: the time until it is stopped.
    pub(super) fn new(
        sender: Option<Sender>,
        cancel: Cancel,
        scratch: ScratchList,
        time_left: Option<Duration>,
    ) -> Self {
        let clock = SystemClock::start();
        let now = clock.now();
        let deadline = time_left.map(|left| now + left);
        Self { sender, cancel, scratch, clock, deadline, next_report: now, progress: None, status: String::new() }
    }

    /// Time since the operation started.
    pub fn elapsed(&self) -> Duration {
        self.clock.now() - Moment::default()
    }

    /// How long until the runner stops it. None: nobody will. For operations that would rather not begin what cannot end
    /// in time.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline - self.clock.now())
    }

    /// True once it must stop.
    pub fn cancelled(&self) -> bool {
        self.cancel.is_set()
    }

    /// Fails once it must stop: for `?` in every loop.
    pub fn check(&self) -> std::result::Result<(), Failure> {
        if self.cancelled() { Err(Failure::Cancelled) } else { Ok(()) }
    }

    /// A handle on the order to stop, for threads and for waits of the operation's own.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Waits for so long, or fails as soon as it must stop.
    pub fn pause(&self, duration: Duration) -> std::result::Result<(), Failure> {
        let until = self.clock.now() + duration;
        loop {
            self.check()?;
            let left = until - self.clock.now();
            if left.is_zero() {
                return Ok(());
            }
            poller::await_readable(self.cancel.descriptor(), left);
        }
    }

    /// True when a report would be sent now, and not be kept back because one has just been.
    pub fn report_is_due(&self) -> bool {
        self.clock.now() >= self.next_report
    }

    /// Reports how much is done. Cheap: call it as often as you like. A `whole` of 0 says that nobody knows yet how much
    /// there is, and nothing is reported.
    pub fn progress(&mut self, done: u64, whole: u64) {
        let Some(progress) = fraction(done, whole) else { return };
        self.progress = Some(progress);
        if self.report_is_due() || done >= whole {
            self.report(None);
        }
    }

    /// Reports all three in one message, unless one has just been sent: how much is done, what it is doing now, and what
    /// there is so far. For loops in which separate reports would keep each other back.
    pub fn report_step(&mut self, done: u64, whole: u64, make: impl FnOnce() -> (String, Value)) {
        if self.report_is_due() {
            let (status, partial) = make();
            self.progress = fraction(done, whole).or(self.progress.take());
            self.status = status;
            self.report(Some(&partial));
        }
    }

    /// Reports what it is doing, in a few words.
    pub fn status(&mut self, text: impl Into<String>) {
        self.status = text.into();
        if self.report_is_due() {
            self.report(None);
        }
    }

    /// Reports what there is so far, unless a report has just been sent. Give the last state with `partial_now`.
    pub fn partial(&mut self, make: impl FnOnce() -> Value) {
        if self.report_is_due() {
            self.report(Some(&make()));
        }
    }

    /// Reports what there is so far, at once. For the last state before a failure, and for rare events.
    pub fn partial_now(&mut self, value: &Value) {
        self.report(Some(value));
    }

    /// Prints to standard output.
    pub fn print(&mut self, text: impl AsRef<[u8]>) -> std::result::Result<(), Failure> {
        match descriptors::write_all(descriptors::stdout(), text.as_ref()) {
            Ok(Moved::Broken) => Err(Failure::ReaderGone),
            Ok(Moved::Bytes(_) | Moved::WouldBlock) => Ok(()),
            Err(error) => Err(Failure::system("write to standard output", "stdout", &error)),
        }
    }

    /// Marks a file as half made: it is removed when the guard is dropped, or when the operation is ended before.
    pub fn scratch(&self, path: &Path) -> Scratch {
        if let Ok(mut list) = self.scratch.lock() {
            list.push(path.to_owned());
        }
        Scratch { path: path.to_owned(), list: Arc::clone(&self.scratch) }
    }

    /// Sends what is pending. Without a runner, or when it is gone, there is nobody to tell.
    fn report(&mut self, partial: Option<&Value>) {
        let mut without = Draft::default();
        if let Some(progress) = self.progress.take() {
            without.progress(&progress.fraction().to_string());
        }
        if !self.status.is_empty() {
            let status = std::mem::take(&mut self.status);
            without.status(&status);
        }
        let mut draft = without.clone();
        if let Some(value) = partial {
            draft.partial(value);
        }
        if !self.send(&draft) && partial.is_some() {
            // What went with it is said all the same, and that there was something too long to be sent.
            let mut shorter = without;
            shorter.partial(&json!({ "omitted": "the partial result is longer than 1 MiB" }));
            self.send(&shorter);
        }
        self.next_report = self.clock.now() + PERIOD;
    }

    /// True where it was sent, or there is nobody to send it to.
    pub(super) fn send(&self, draft: &Draft) -> bool {
        match self.sender.as_ref().filter(|_| !draft.is_empty()) {
            Some(sender) => sender.send(draft).is_ok(),
            None => true,
        }
    }
}

/// How much of the whole is done. None where there is no whole.
fn fraction(done: u64, whole: u64) -> Option<Progress> {
    if whole == 0 { None } else { Progress::of((done as f64 / whole as f64).min(1.0)) }
}

/// A half made file. Dropping it removes the file; keeping it means that it is complete, or has another name now.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    list: ScratchList,
}

impl Scratch {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file is complete, or was renamed.
    pub fn keep(self) {
        self.forget();
        std::mem::forget(self);
    }

    fn forget(&self) {
        if let Ok(mut list) = self.list.lock()
            && let Some(at) = list.iter().rposition(|path| *path == self.path)
        {
            list.remove(at);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cancel, Context, ScratchList, fraction};

    #[test]
    fn an_operation_knows_how_much_time_it_has() {
        let left = |time_left| Context::new(None, Cancel::new().unwrap(), ScratchList::default(), time_left).deadline();
        let minute = Duration::from_secs(60);
        assert_eq!(left(None), None);
        assert_eq!(left(Some(Duration::ZERO)), Some(Duration::ZERO));
        assert!(left(Some(minute)).is_some_and(|left| left > minute / 2 && left <= minute));
    }

    #[test]
    fn where_nobody_knows_the_whole_there_is_no_progress() {
        assert_eq!(fraction(0, 0), None);
        assert_eq!(fraction(7, 0), None);
        assert_eq!(fraction(3, 4).map(|progress| progress.fraction()), Some(0.75));
        assert_eq!(fraction(5, 4).map(|progress| progress.fraction()), Some(1.0));
    }
}
