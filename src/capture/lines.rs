//! The lines of many jobs on their way to our stdout and stderr: each is written whole, with the label of its job.
//!
//! Every stream of a job has a lane of its own. The event loop puts bytes into it and never waits; one thread for each of
//! our streams writes what all lanes have. A lane holds at most a portion and one unfinished line, and all of them
//! together no more than a limit: then the jobs wait, as they would for a pipe.
//!
//! A line longer than `LONGEST` is passed on in pieces, and meanwhile no other line is written between them. A job that
//! leaves such a line unfinished for longer than `HOLD`, while others wait, has it ended with a newline.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::capture::line_writer::Writer;
use crate::capture::outlet::State;
use crate::capture::stage::Stage;
use crate::error::{Error, Result};
use crate::model::printable::push_escaped;
use crate::platform::descriptors::{self, Moved};
use crate::platform::doorbell::Doorbell;

/// A line that is longer is passed on in pieces; also what one lane may have on its way before its job waits.
pub(super) const LONGEST: usize = 64 * 1024;
/// What all lanes together may have on their way to one of our streams.
const CROWD: usize = 4 << 20;

/// Our stdout and stderr, as the lines of many jobs go there. Ends its threads when it is let go of.
#[derive(Debug)]
pub struct LineSink {
    /// The same one twice, where both lead to the same file.
    targets: [Arc<Target>; 2],
}

/// The way of one job's lines.
#[derive(Clone, Debug)]
pub struct Lines {
    pub sink: Arc<LineSink>,
    /// Stands before each line, with a tab behind it.
    pub label: Option<Arc<str>>,
}

impl LineSink {
    /// `stage`: the terminal with a bar on it, where there is one.
    pub fn start(stage: Option<&Arc<Stage>>) -> Result<Self> {
        let (stdout, stderr) = (descriptors::stdout(), descriptors::stderr());
        let open = |ours| {
            let stage = stage.filter(|stage| descriptors::are_same(ours, stage.terminal())).cloned();
            Target::start(move |bytes| match &stage {
                Some(stage) => stage.write(bytes),
                None => descriptors::write_all(ours, bytes),
            })
        };
        let first = open(stdout)?;
        let second = if descriptors::are_same(stdout, stderr) { Arc::clone(&first) } else { open(stderr)? };
        Ok(Self { targets: [first, second] })
    }

    /// The reader of our stdout is gone.
    pub fn reader_gone(&self) -> bool {
        self.targets[0].failure() == Some(State::Broken)
    }

    /// A lane for stdout (0) or stderr (1) of a job. `doorbell` is rung when it has room again.
    pub(super) fn lane(&self, stream: usize, form: Form, doorbell: &Arc<Doorbell>) -> Lane {
        Lane::new(&self.targets[stream], form, doorbell)
    }
}

impl Drop for LineSink {
    fn drop(&mut self) {
        for target in &self.targets {
            target.queue().closed = true;
            target.arrived.notify_all();
        }
    }
}

/// What is made of a stream's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// They go on as they are.
    Bytes,
    /// They go on as whole lines, with this before each.
    Lines(Vec<u8>),
}

impl Form {
    pub(super) fn labelled(label: Option<&str>) -> Self {
        Self::Lines(label.map(before_line).unwrap_or_default())
    }
}

/// What stands before each line of the job of this label. Characters that would spoil the line are written as escapes.
pub fn before_line(label: &str) -> Vec<u8> {
    let mut shown = String::with_capacity(label.len() + 1);
    push_escaped(&mut shown, label);
    shown.push('\t');
    shown.into_bytes()
}

/// One of our streams, and what is on its way there.
#[derive(Debug)]
pub(super) struct Target {
    queue: Mutex<Queue>,
    pub(super) arrived: Condvar,
    /// Bytes of all lanes on their way.
    bytes: AtomicUsize,
    /// Rung once there is room for all again.
    crowded: Mutex<Vec<Arc<Doorbell>>>,
    failure: Mutex<Option<State>>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) portions: VecDeque<Portion>,
    /// No more will come.
    pub(super) closed: bool,
}

/// What a lane gave at once: whole lines, or a piece of a long one.
#[derive(Debug)]
pub(super) struct Portion {
    pub(super) lane: Arc<Shared>,
    pub(super) bytes: Vec<u8>,
    /// A line that stands unfinished ends here.
    pub(super) ends_line: bool,
}

/// What a lane and the thread both know.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) form: Form,
    doorbell: Arc<Doorbell>,
    /// Portions on their way, and their bytes.
    portions: AtomicUsize,
    bytes: AtomicU64,
    /// The event loop waits for room.
    wanted: AtomicBool,
    /// Nobody needs what is still on its way.
    pub(super) abandoned: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks can leave its content half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Target {
    /// A target whose thread hands all bytes to `write`, which may wait as long as it likes.
    pub(super) fn start(write: impl FnMut(&[u8]) -> io::Result<Moved> + Send + 'static) -> Result<Arc<Self>> {
        let target = Arc::new(Self {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            bytes: AtomicUsize::new(0),
            crowded: Mutex::default(),
            failure: Mutex::default(),
        });
        let writer = Writer::new(Arc::clone(&target), Box::new(write));
        // Detached: one that waits for its reader forever ends with the process.
        let named = thread::Builder::new().name("lines".to_owned());
        named.spawn(move || writer.run()).map_err(Error::system("start a thread"))?;
        Ok(target)
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        locked(&self.queue)
    }

    pub(super) fn failure(&self) -> Option<State> {
        locked(&self.failure).clone()
    }

    /// From now on, nothing can be written any more.
    pub(super) fn fail(&self, failure: State) {
        locked(&self.failure).get_or_insert(failure);
    }

    /// A portion of so many bytes is no longer on its way.
    pub(super) fn settle(&self, lane: &Shared, length: usize) {
        lane.bytes.fetch_sub(length as u64, Ordering::AcqRel);
        lane.portions.fetch_sub(1, Ordering::AcqRel);
        let before = self.bytes.fetch_sub(length, Ordering::AcqRel);
        if lane.wanted.swap(false, Ordering::AcqRel) {
            lane.doorbell.ring();
        }
        if before >= CROWD && before - length < CROWD {
            for doorbell in locked(&self.crowded).drain(..) {
                doorbell.ring();
            }
        }
    }

    fn is_crowded(&self) -> bool {
        self.bytes.load(Ordering::Acquire) >= CROWD
    }

    fn put(&self, portion: Portion) {
        let length = portion.bytes.len();
        portion.lane.bytes.fetch_add(length as u64, Ordering::AcqRel);
        portion.lane.portions.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(length, Ordering::AcqRel);
        self.queue().portions.push_back(portion);
        self.arrived.notify_one();
    }
}

/// The way of one stream of a job. What is on its way is dropped with it.
#[derive(Debug)]
pub(super) struct Lane {
    target: Arc<Target>,
    shared: Arc<Shared>,
    /// The beginning of a line whose end did not come yet.
    unfinished: Vec<u8>,
    /// A piece of a long line went on, and its end did not come yet.
    within_long_line: bool,
    ended: bool,
}

impl Lane {
    fn new(target: &Arc<Target>, form: Form, doorbell: &Arc<Doorbell>) -> Self {
        let shared = Shared {
            form,
            doorbell: Arc::clone(doorbell),
            portions: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        };
        let (target, shared) = (Arc::clone(target), Arc::new(shared));
        Self { target, shared, unfinished: Vec::new(), within_long_line: false, ended: false }
    }

    /// Why nothing can be written any more, where that is so.
    pub(super) fn failure(&self) -> Option<State> {
        self.target.failure()
    }

    /// True where more may be put into it. Otherwise the doorbell rings once that changes.
    pub(super) fn has_room(&self) -> bool {
        self.rings_unless(|lane| {
            lane.shared.bytes.load(Ordering::Acquire) < LONGEST as u64 && !lane.target.is_crowded()
        })
    }

    /// True where nothing is on its way. Otherwise the doorbell rings once that changes.
    pub(super) fn is_clear(&self) -> bool {
        self.rings_unless(|lane| lane.shared.portions.load(Ordering::Acquire) == 0)
    }

    fn rings_unless(&self, holds: impl Fn(&Self) -> bool) -> bool {
        if holds(self) {
            return true;
        }
        self.shared.wanted.store(true, Ordering::Release);
        if self.target.is_crowded() {
            let mut crowded = locked(&self.target.crowded);
            if !crowded.iter().any(|doorbell| Arc::ptr_eq(doorbell, &self.shared.doorbell)) {
                crowded.push(Arc::clone(&self.shared.doorbell));
            }
        }
        // It may have changed before the thread could know that somebody waits.
        holds(self)
    }

    /// Bytes that were not written: those on their way, and those of an unfinished line.
    pub(super) fn unwritten(&self) -> u64 {
        self.shared.bytes.load(Ordering::Acquire) + self.unfinished.len() as u64
    }

    /// Gives bytes to it.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.shared.form == Form::Bytes {
            return self.send(bytes.to_vec(), false);
        }
        let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None if self.within_long_line || self.unfinished.len() + bytes.len() > LONGEST => bytes.len(),
            None => return self.unfinished.extend_from_slice(bytes),
        };
        let mut portion = std::mem::take(&mut self.unfinished);
        portion.extend_from_slice(&bytes[..whole]);
        self.within_long_line = portion.last() != Some(&b'\n');
        self.send(portion, false);
        if bytes.len() - whole > LONGEST {
            self.within_long_line = true;
            self.send(bytes[whole..].to_vec(), false);
        } else {
            self.unfinished.extend_from_slice(&bytes[whole..]);
        }
    }

    /// No more will be put into it: an unfinished line gets its end.
    pub(super) fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) || self.shared.form == Form::Bytes {
            return;
        }
        let unfinished = std::mem::take(&mut self.unfinished);
        if self.within_long_line || !unfinished.is_empty() {
            self.send(unfinished, true);
        }
    }

    fn send(&self, bytes: Vec<u8>, ends_line: bool) {
        self.target.put(Portion { lane: Arc::clone(&self.shared), bytes, ends_line });
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Release);
        // Others may wait for the end of its line.
        let _queue = self.target.queue();
        self.target.arrived.notify_one();
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
