//! The outputs of the jobs of a batch on their way out: all of a job once it is over, or its envelope.
//!
//! They are written by a thread of its own, so that a slow reader delays neither deadlines nor the other results. Within a
//! job its stdout comes first, then its stderr, also where both of ours lead to the same file. With labels the last line
//! of each gets an end, since another label may follow it; without, every byte is as the job wrote it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::app::batch_order::{Bundle, Order, Part, Source};
use crate::app::port::Port;
use crate::backend::Waker;
use crate::capture::content;
use crate::capture::lines::before_line;
use crate::capture::stage::Stage;
use crate::error::{Error, Result, plain};
use crate::model::outcome::StreamRecord;
use crate::model::request::{Grouping, OutputForm};
use crate::platform::descriptors::{self, Moved};

/// With so much on its way, no new job should begin.
const BACKLOG: usize = 16 << 20;
/// What a job takes beside its bytes.
const JOB_WEIGHT: usize = 512;
/// A file takes a descriptor, of which there are fewer than bytes.
const FILE_WEIGHT: usize = 64 << 10;
/// After a stop, a reader that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes outputs and envelopes as jobs end.
#[derive(Debug)]
pub struct Deliverer {
    form: OutputForm,
    json: bool,
    shared: Arc<Shared>,
}

/// What a job left behind for our streams.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Its place in the list, from 1.
    pub seq: u64,
    pub label: String,
    /// Stdout and stderr of each attempt whose output is to be seen.
    pub outputs: Vec<(StreamRecord, StreamRecord)>,
    /// Its envelope, where envelopes are wanted.
    pub envelope: Option<Vec<u8>>,
}

/// How far it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Bytes that our readers did not take in time.
    pub undelivered: u64,
    /// The reader of our stdout went away.
    pub reader_gone: bool,
    /// Why something could not be written.
    pub failure: Option<String>,
}

/// How much is on its way, for whoever begins new jobs. Never waits.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<Shared>);

impl Gauge {
    /// New jobs should wait, unless none runs. The waker given at the start is rung when that changes.
    pub fn is_full(&self) -> bool {
        self.0.backlog.load(Ordering::Acquire) >= BACKLOG
    }

    /// The reader of our stdout is gone: nobody needs more.
    pub fn reader_gone(&self) -> bool {
        self.0.reader_gone.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// What is in the queue and with the thread, roughly in bytes.
    backlog: AtomicUsize,
    /// Bytes of outputs that were not written yet.
    owed: AtomicU64,
    /// How often a reader took something.
    taken: AtomicU64,
    abandoned: AtomicBool,
    reader_gone: AtomicBool,
    failure: Mutex<Option<String>>,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    /// No more will come.
    closed: bool,
    /// The thread is at its end.
    done: bool,
}

#[derive(Debug)]
enum Item {
    Bundle { seq: u64, bundle: Bundle },
    Nothing { first: u64, last: u64 },
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_failure(&self, reason: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }

    fn lighten(&self, weight: usize) {
        let before = self.backlog.fetch_sub(weight, Ordering::AcqRel);
        if before >= BACKLOG
            && before - weight < BACKLOG
            && let Some(waker) = &self.waker
        {
            waker.wake();
        }
    }

    fn lost_reader(&self) {
        self.reader_gone.store(true, Ordering::Release);
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

impl Deliverer {
    /// `json`: envelopes are written instead of outputs. `waker` is rung when there is room again, and when the reader is
    /// gone.
    pub fn start(form: OutputForm, json: bool, stage: Option<&Arc<Stage>>, waker: Option<Waker>) -> Result<Self> {
        let ports = [Port::stdout(stage), Port::stderr(stage)];
        let same = descriptors::are_same(descriptors::stdout(), descriptors::stderr());
        Self::to(ports, same, form, json, waker)
    }

    fn to(ports: [Port; 2], same: bool, form: OutputForm, json: bool, waker: Option<Waker>) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            backlog: AtomicUsize::new(0),
            owed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            abandoned: AtomicBool::new(false),
            reader_gone: AtomicBool::new(false),
            failure: Mutex::default(),
            waker,
        });
        let order = form.keep_order.then(Order::new);
        let writer = Writer { shared: Arc::clone(&shared), ports, same, shut: [false; 2], order };
        // Detached: one that waits for its reader forever ends with the process.
        let named = thread::Builder::new().name("output".to_owned());
        named.spawn(move || writer.run()).map_err(Error::system("start a thread"))?;
        Ok(Self { form, json, shared })
    }

    pub fn gauge(&self) -> Gauge {
        Gauge(Arc::clone(&self.shared))
    }

    /// What is on its way, roughly in bytes. What is held for the order of the list does not count.
    pub fn backlog(&self) -> usize {
        self.shared.backlog.load(Ordering::Acquire)
    }

    /// The reader of our stdout is gone.
    pub fn reader_gone(&self) -> bool {
        self.shared.reader_gone.load(Ordering::Acquire)
    }

    /// A job is over. Never waits.
    pub fn deliver(&self, delivery: Delivery) {
        let seq = delivery.seq;
        let bundle = self.bundle(delivery);
        if bundle.parts.is_empty() {
            return self.pass_over(seq);
        }
        let owed =
            bundle.parts.iter().map(|part| if let Source::Record(r) = &part.source { content::length(r) } else { 0 });
        self.shared.owed.fetch_add(owed.sum(), Ordering::AcqRel);
        self.shared.backlog.fetch_add(bundle.weight, Ordering::AcqRel);
        self.shared.queue().items.push_back(Item::Bundle { seq, bundle });
        self.shared.changed.notify_all();
    }

    /// Nothing will come of this job. Those that follow it in the list wait for it no longer.
    pub fn pass_over(&self, seq: u64) {
        if !self.form.keep_order {
            return;
        }
        let mut queue = self.shared.queue();
        match queue.items.back_mut() {
            Some(Item::Nothing { last, .. }) if *last + 1 == seq => *last = seq,
            _ => queue.items.push_back(Item::Nothing { first: seq, last: seq }),
        }
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// What of it is written, and in which order.
    fn bundle(&self, delivery: Delivery) -> Bundle {
        let Delivery { label, outputs, envelope, .. } = delivery;
        let mut parts = Vec::new();
        if self.json {
            if let Some(mut line) = envelope {
                if line.last() != Some(&b'\n') {
                    line.push(b'\n');
                }
                let record = StreamRecord { head: line, ..StreamRecord::default() };
                parts.push(Part { stream: 0, source: Source::Record(record) });
            }
        } else if !self.form.silent && self.form.grouping == Grouping::Job {
            for (stdout, stderr) in outputs {
                for (stream, record) in [(0, stdout), (1, stderr)] {
                    if content::length(&record) > 0 {
                        parts.push(Part { stream, source: Source::Record(record) });
                    }
                }
            }
        }
        let weight = |part: &Part| match &part.source {
            Source::Record(record) if record.spool.is_some() => FILE_WEIGHT + record.head.len() + record.tail.len(),
            Source::Record(record) => record.head.len() + record.tail.len(),
            Source::Held { .. } => 0,
        };
        let weight = JOB_WEIGHT + parts.iter().map(weight).sum::<usize>();
        let label = (self.form.tag && !self.json).then(|| before_line(&label).into());
        Bundle { label, parts, weight }
    }

    /// Waits until everything is written. `stopped`: a reader that takes nothing is given up after a while.
    pub fn finish(self, stopped: bool) -> Delivered {
        let mut queue = self.shared.queue();
        queue.closed = true;
        self.shared.changed.notify_all();
        let mut given_up = false;
        while !queue.done && !given_up {
            let before = self.shared.taken.load(Ordering::Acquire);
            let wait = |queue: &mut Queue| !queue.done;
            if stopped {
                let waited = self.shared.changed.wait_timeout_while(queue, PATIENCE, wait);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                given_up = !queue.done && self.shared.taken.load(Ordering::Acquire) == before;
            } else {
                queue = self.shared.changed.wait_while(queue, wait).unwrap_or_else(PoisonError::into_inner);
            }
        }
        drop(queue);
        self.shared.abandoned.store(true, Ordering::Release);
        let undelivered = if given_up { self.shared.owed.load(Ordering::Acquire) } else { 0 };
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        Delivered { undelivered, reader_gone: self.reader_gone(), failure }
    }
}

impl Drop for Deliverer {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.changed.notify_all();
    }
}

/// The thread's side.
struct Writer {
    shared: Arc<Shared>,
    ports: [Port; 2],
    /// Both ports lead to the same file.
    same: bool,
    /// Nothing more is written there.
    shut: [bool; 2],
    order: Option<Order>,
}

impl Writer {
    fn run(mut self) {
        while let Some(item) = self.next() {
            self.handle(item);
        }
        while let Some(bundle) = self.order.as_mut().and_then(Order::take_any) {
            self.write(&bundle);
        }
        self.shared.queue().done = true;
        self.shared.changed.notify_all();
    }

    fn next(&self) -> Option<Item> {
        let wait = |queue: &mut Queue| queue.items.is_empty() && !queue.closed;
        let queue = self.shared.changed.wait_while(self.shared.queue(), wait);
        queue.unwrap_or_else(PoisonError::into_inner).items.pop_front()
    }

    fn handle(&mut self, item: Item) {
        let Some(order) = &mut self.order else {
            if let Item::Bundle { bundle, .. } = item {
                self.write(&bundle);
                self.shared.lighten(bundle.weight);
            }
            return;
        };
        let weight = match item {
            Item::Bundle { seq, bundle } => {
                let weight = bundle.weight;
                order.put(seq, bundle);
                weight
            }
            Item::Nothing { first, last } => {
                order.pass_over(first, last);
                0
            }
        };
        while let Some(bundle) = self.order.as_mut().and_then(Order::take) {
            self.write(&bundle);
            if let Some(order) = &mut self.order {
                order.tidy(&bundle);
            }
        }
        // Only now: what could be written at once was on its way until it was.
        self.shared.lighten(weight);
    }

    fn write(&mut self, bundle: &Bundle) {
        for part in &bundle.parts {
            let label = bundle.label.as_deref();
            let mut at_line_start = true;
            let mut composed = Vec::new();
            let read = part.source.read(|piece| {
                let bytes = match label {
                    None => piece,
                    Some(label) => {
                        composed.clear();
                        at_line_start = put_labels(piece, label, at_line_start, &mut composed);
                        &composed
                    }
                };
                let goes_on = self.write_to(part.stream, bytes);
                self.shared.owed.fetch_sub(piece.len() as u64, Ordering::AcqRel);
                goes_on
            });
            if let Err(error) = read {
                self.shared.note_failure(format!("an output could not be read again: {}", plain(&error)));
            }
            if !at_line_start {
                self.write_to(part.stream, b"\n");
            }
        }
    }

    /// False where nothing more can be written there.
    fn write_to(&mut self, stream: usize, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.shut[stream] || self.shared.abandoned.load(Ordering::Acquire) {
                return false;
            }
            match self.ports[stream].write_some(bytes, None) {
                Ok(Moved::Bytes(length)) => {
                    bytes = &bytes[length..];
                    self.shared.taken.fetch_add(1, Ordering::AcqRel);
                }
                Ok(Moved::WouldBlock) => {}
                Ok(Moved::Broken) => {
                    self.shut(stream);
                    if stream == 0 || self.same {
                        self.shared.lost_reader();
                    }
                }
                Err(error) => {
                    let name = ["stdout", "stderr"][stream];
                    self.shared.note_failure(format!("cannot write to {name}: {}", plain(&error)));
                    self.shut(stream);
                }
            }
        }
        true
    }

    fn shut(&mut self, stream: usize) {
        self.shut[stream] = true;
        if self.same {
            self.shut = [true; 2];
        }
    }
}

/// Puts the label before each line that begins in these bytes. True where they end with the end of a line.
fn put_labels(bytes: &[u8], label: &[u8], mut at_line_start: bool, composed: &mut Vec<u8>) -> bool {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if at_line_start {
            composed.extend_from_slice(label);
        }
        composed.extend_from_slice(line);
        at_line_start = line.ends_with(b"\n");
    }
    at_line_start
}

#[cfg(test)]
#[path = "batch_output_tests.rs"]
mod tests;
