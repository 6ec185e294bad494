//! The way from the foreman to whoever shows and records the batch.
//!
//! A slow listener delays no deadline: what only informs is dropped when too much waits, what became of a job never is;
//! instead no new jobs begin until it has caught up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::backend::Waker;
use crate::model::batch::Notice;

/// What informs is dropped when so much waits.
const INFORMING: usize = 1024;
/// No new job begins when so many ends of jobs wait,
const ENDED_LIMIT: usize = 1024;
/// or so many bytes of their output.
const BYTES_LIMIT: usize = 64 << 20;

/// What waits to be shown, recorded and written.
#[derive(Debug, Default)]
pub struct Backlog {
    informing: AtomicUsize,
    ended: AtomicUsize,
    bytes: AtomicUsize,
}

impl Backlog {
    fn is_full(&self) -> bool {
        self.ended.load(Ordering::SeqCst) >= ENDED_LIMIT || self.bytes.load(Ordering::SeqCst) >= BYTES_LIMIT
    }

    /// Notes that an end of a job with so many bytes of output was written.
    pub fn written(&self, bytes: usize, waker: &Waker) {
        // From what stood there at that very moment: the foreman may fill it up between two looks, and sleep.
        let ended = self.ended.fetch_sub(1, Ordering::SeqCst);
        let held = self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        let was_full = ended >= ENDED_LIMIT || held >= BYTES_LIMIT;
        if was_full && !self.is_full() {
            waker.wake();
        }
    }
}

/// The foreman's end.
#[derive(Debug)]
pub struct Notices {
    sender: Sender<Notice>,
    backlog: Arc<Backlog>,
}

/// The listener's end. An `Ended` counts as waiting until [`Backlog::written`] says otherwise.
#[derive(Debug)]
pub struct NoticeReader {
    receiver: Receiver<Notice>,
    backlog: Arc<Backlog>,
}

/// Both ends, and the count between them.
pub fn notices() -> (Notices, NoticeReader, Arc<Backlog>) {
    let (sender, receiver) = channel();
    let backlog = Arc::new(Backlog::default());
    let notices = Notices { sender, backlog: Arc::clone(&backlog) };
    (notices, NoticeReader { receiver, backlog: Arc::clone(&backlog) }, backlog)
}

/// Bytes of output that a notice holds in memory.
pub fn held_bytes(notice: &crate::model::batch::Ended) -> usize {
    let records = notice.outcome.iter().flat_map(|outcome| [&outcome.stdout, &outcome.stderr]);
    records.map(|record| record.head.len() + record.tail.len()).sum()
}

impl Notices {
    pub fn tell(&self, notice: Notice) {
        match &notice {
            Notice::Ended(ended) => {
                self.backlog.ended.fetch_add(1, Ordering::SeqCst);
                self.backlog.bytes.fetch_add(held_bytes(ended), Ordering::SeqCst);
            }
            Notice::Happened { .. } if self.backlog.informing.load(Ordering::Relaxed) >= INFORMING => return,
            Notice::Happened { .. } => {
                self.backlog.informing.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        // A listener that is gone has said why elsewhere.
        let _ = self.sender.send(notice);
    }

    /// The listener has more to do than it should.
    pub fn is_behind(&self) -> bool {
        self.backlog.is_full()
    }
}

impl NoticeReader {
    /// The next notice, waiting at most so long.
    pub fn next(&self, limit: Duration) -> Result<Notice, RecvTimeoutError> {
        let notice = self.receiver.recv_timeout(limit)?;
        if matches!(notice, Notice::Happened { .. }) {
            self.backlog.informing.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(notice)
    }
}
