//! The thread behind a target of lines: takes what the lanes gave, puts labels before lines, and writes.
//!
//! `lines` starts it. It may wait for its reader as long as it likes, and holds no lock meanwhile.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::capture::lines::{Form, Portion, Queue, Shared, Target};
use crate::capture::outlet::failure_of;
use crate::platform::descriptors::Moved;
use crate::time::clock::{Clock, Moment, SystemClock};

/// Others wait so long for the rest of a long line. See `lines`.
pub(super) const HOLD: Duration = Duration::from_secs(1);
/// Small portions are written together up to about this size.
const BATCH: usize = 64 * 1024;

/// Where the thread writes to.
pub(super) type Write = Box<dyn FnMut(&[u8]) -> io::Result<Moved> + Send>;

pub(super) struct Writer {
    target: Arc<Target>,
    write: Write,
    clock: SystemClock,
    /// Its line stands unfinished, since then.
    holder: Option<(Arc<Shared>, Moment)>,
    /// Bytes made ready, and whose they are.
    composed: Vec<u8>,
    composed_of: Vec<(Arc<Shared>, usize)>,
}

/// What to do next.
enum Step {
    Take(Portion),
    /// End the line that stands unfinished.
    BreakLine,
    /// Nothing is there just now.
    Nothing,
    Over,
}

impl Writer {
    pub(super) fn new(target: Arc<Target>, write: Write) -> Self {
        let clock = SystemClock::start();
        Self { target, write, clock, holder: None, composed: Vec::new(), composed_of: Vec::new() }
    }

    pub(super) fn run(mut self) {
        loop {
            match self.next(true) {
                Step::Take(portion) => self.compose(portion),
                Step::BreakLine => self.break_line(),
                Step::Nothing => {}
                Step::Over => return,
            }
            while self.composed.len() < BATCH {
                match self.next(false) {
                    Step::Take(portion) => self.compose(portion),
                    Step::BreakLine => self.break_line(),
                    Step::Nothing | Step::Over => break,
                }
            }
            self.write_composed();
        }
    }

    /// Chooses what to do. Waits for something where `wait` says so.
    fn next(&self, wait: bool) -> Step {
        let target = Arc::clone(&self.target);
        let mut queue = target.queue();
        loop {
            let limit = match self.choose(&mut queue) {
                Ok(step) => return step,
                Err(limit) => limit,
            };
            if !wait {
                return Step::Nothing;
            }
            queue = match limit {
                None => target.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(limit) => target.arrived.wait_timeout(queue, limit).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// The next step, or for how long nothing has to be done unless something arrives.
    fn choose(&self, queue: &mut Queue) -> Result<Step, Option<Duration>> {
        let Some((holder, since)) = &self.holder else {
            return match queue.portions.pop_front() {
                Some(portion) => Ok(Step::Take(portion)),
                None if queue.closed => Ok(Step::Over),
                None => Err(None),
            };
        };
        if holder.abandoned.load(Ordering::Acquire) {
            return Ok(Step::BreakLine);
        }
        if let Some(portion) = take_of(holder, &mut queue.portions) {
            return Ok(Step::Take(portion));
        }
        if queue.portions.is_empty() {
            return if queue.closed { Ok(Step::BreakLine) } else { Err(None) };
        }
        let left = HOLD.saturating_sub(self.clock.now() - *since);
        if left.is_zero() { Ok(Step::BreakLine) } else { Err(Some(left)) }
    }

    fn compose(&mut self, portion: Portion) {
        let Portion { lane, bytes, ends_line } = portion;
        let length = bytes.len();
        if !lane.abandoned.load(Ordering::Acquire) {
            let within_line = self.holder.take().is_some();
            match &lane.form {
                Form::Bytes => self.composed.extend_from_slice(&bytes),
                Form::Lines(label) => {
                    let mut starts_line = !within_line;
                    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                        if starts_line {
                            self.composed.extend_from_slice(label);
                        }
                        self.composed.extend_from_slice(line);
                        starts_line = true;
                    }
                    let open = bytes.last().map_or(within_line, |byte| *byte != b'\n');
                    if open && ends_line {
                        self.composed.push(b'\n');
                    } else if open {
                        self.holder = Some((Arc::clone(&lane), self.clock.now()));
                    }
                }
            }
        }
        self.composed_of.push((lane, length));
    }

    fn break_line(&mut self) {
        self.holder = None;
        self.composed.push(b'\n');
    }

    fn write_composed(&mut self) {
        if !self.composed.is_empty() && self.target.failure().is_none() {
            let written = (self.write)(&self.composed);
            if let Some(failure) = failure_of(written) {
                self.target.fail(failure);
            }
            // The time that the reader took is not the job's.
            if let Some((_, since)) = &mut self.holder {
                *since = self.clock.now();
            }
        }
        self.composed.clear();
        for (lane, length) in self.composed_of.drain(..) {
            self.target.settle(&lane, length);
        }
    }
}

/// The first portion of this lane.
fn take_of(lane: &Arc<Shared>, portions: &mut VecDeque<Portion>) -> Option<Portion> {
    let index = portions.iter().position(|portion| Arc::ptr_eq(&portion.lane, lane))?;
    portions.remove(index)
}
