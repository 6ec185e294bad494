//! The bounded queue between the thread that holds the deadlines and whoever shows what happens.
//!
//! A slow listener delays no deadline: what finds no room is dropped, but never the end of a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::model::event::Event;

/// Events that may wait for a slow listener. More than that are dropped, but never the last one.
const QUEUE: usize = 1024;
/// A value that a job reported is only queued behind fewer than so many others: it may be large.
const WAITING_VALUES: usize = 4;

/// The queue's two ends.
pub fn queue() -> (EventSender, Events) {
    let waiting = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = sync_channel(QUEUE);
    (EventSender { sender, waiting: Arc::clone(&waiting) }, Events { receiver, waiting })
}

#[derive(Clone, Debug)]
pub struct EventSender {
    /// The room for all is made at the start, so each takes as little of it as it can.
    sender: SyncSender<Box<Event>>,
    waiting: Arc<AtomicUsize>,
}

impl EventSender {
    /// The outcome waits for room, anything else does not. What the job says, and it may say a lot, leaves room for what
    /// happens to it.
    pub fn send(&self, event: Event) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let room = match event {
            Event::JobFinished(_) => {
                let _ = self.sender.send(Box::new(event));
                return;
            }
            Event::PartialReported(_) => WAITING_VALUES,
            Event::ProgressReported(_)
            | Event::StatusReported(_)
            | Event::StoppingReported
            | Event::DeadlineExtended { .. }
            | Event::ExtensionRefused { .. }
            | Event::MessageRefused { .. } => QUEUE / 2,
            _ => QUEUE,
        };
        if waiting < room {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            if self.sender.try_send(Box::new(event)).is_err() {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

#[derive(Debug)]
pub struct Events {
    receiver: Receiver<Box<Event>>,
    waiting: Arc<AtomicUsize>,
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let event = *self.receiver.recv().ok()?;
        if !matches!(event, Event::JobFinished(_)) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Some(event)
    }
}
