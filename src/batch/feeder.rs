//! The thread that reads a list ahead of the foreman, who must never wait for a file or a pipe.
//!
//! It reads a bounded number of jobs ahead. Where the list is endless it is left behind when the program ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use crate::backend::Waker;
use crate::batch::source::Source;
use crate::error::{Error, Result};
use crate::model::batch::Entry;

/// So many jobs are read ahead.
const AHEAD: usize = 256;

/// Adds to an entry what its list does not say.
pub type Complete = Box<dyn FnMut(&mut Entry) + Send>;

/// Reads a source on a thread of its own.
#[derive(Debug)]
pub struct Feeder {
    entries: Receiver<Result<Box<Entry>>>,
    /// The foreman found nothing and waits to be woken.
    hungry: Arc<AtomicBool>,
}

/// What there is to take.
#[derive(Debug)]
pub enum Morsel {
    Entry(Box<Entry>),
    /// The waker will ring when there is more.
    NotYet,
    End,
    Wrong(Error),
}

impl Feeder {
    /// Begins to read. `complete` adds to each entry what its list does not say; it may take its time.
    pub fn start(mut source: Source, mut complete: Complete, waker: Waker) -> Result<Self> {
        let (sender, entries) = sync_channel(AHEAD);
        let hungry = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&hungry);
        let read = move || {
            read_all(&mut source, &mut complete, &sender, &theirs, &waker);
            drop(sender);
            // The end is news, too.
            waker.wake();
        };
        thread::Builder::new().name("list".to_owned()).spawn(read).map_err(Error::system("start a thread"))?;
        Ok(Self { entries, hungry })
    }

    /// Takes the next entry, without waiting.
    pub fn next(&self) -> Morsel {
        let first = self.entries.try_recv();
        let taken = match first {
            // What came since the look must not be slept over.
            Err(TryRecvError::Empty) => {
                self.hungry.store(true, Ordering::SeqCst);
                self.entries.try_recv()
            }
            taken => taken,
        };
        match taken {
            Ok(Ok(entry)) => Morsel::Entry(entry),
            Ok(Err(error)) => Morsel::Wrong(error),
            Err(TryRecvError::Empty) => Morsel::NotYet,
            Err(TryRecvError::Disconnected) => Morsel::End,
        }
    }
}

fn read_all(
    source: &mut Source,
    complete: &mut Complete,
    sender: &SyncSender<Result<Box<Entry>>>,
    hungry: &AtomicBool,
    waker: &Waker,
) {
    loop {
        let (entry, last) = match source.next() {
            Ok(Some(mut entry)) => {
                complete(&mut entry);
                (Ok(Box::new(entry)), false)
            }
            Ok(None) => return,
            Err(error) => (Err(error), true),
        };
        // Nobody takes any more once the batch is over.
        if sender.send(entry).is_err() || last {
            return;
        }
        if hungry.swap(false, Ordering::SeqCst) {
            waker.wake();
        }
    }
}
