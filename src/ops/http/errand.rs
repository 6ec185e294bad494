//! An exchange with a server on a thread of its own: whatever the network does, the operation goes on reporting and hears
//! the order to stop.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::error::Error;
use crate::ops::{Context, Failure};
use crate::platform::doorbell::Doorbell;
use crate::platform::poller;

/// How many events may wait to be heard.
const WAITING: usize = 8;
/// How often the operation wakes to report, where nothing comes.
const REPORT: Duration = Duration::from_millis(250);

/// A thread that is under way. Dropping it gives it up.
pub(in crate::ops) struct Errand<T> {
    events: Receiver<T>,
    bell: Arc<Doorbell>,
}

/// What came of waiting for it.
pub(in crate::ops) enum Heard<T> {
    Event(T),
    /// Nothing came for a while.
    Nothing,
    /// Nothing comes any more.
    End,
}

/// How the thread is heard.
pub(in crate::ops) struct Voice<T> {
    sender: SyncSender<T>,
    bell: Arc<Doorbell>,
}

impl<T: Send + 'static> Errand<T> {
    pub(in crate::ops) fn start(work: impl FnOnce(&Voice<T>) + Send + 'static) -> Result<Self, Failure> {
        let bell = Arc::new(Doorbell::new()?);
        let (sender, events) = sync_channel(WAITING);
        let voice = Voice { sender, bell: Arc::clone(&bell) };
        let thread = thread::Builder::new().name("connection".to_owned());
        thread.spawn(move || work(&voice)).map_err(|error| Failure::from(Error::system("start a thread")(error)))?;
        Ok(Self { events, bell })
    }

    /// The next event. Fails as soon as there is an order to stop.
    pub(in crate::ops) fn next(&self, context: &Context) -> Result<Heard<T>, Failure> {
        context.check()?;
        match self.events.try_recv() {
            Ok(event) => return Ok(Heard::Event(event)),
            Err(TryRecvError::Disconnected) => return Ok(Heard::End),
            Err(TryRecvError::Empty) => {}
        }
        poller::await_any_readable(&[self.bell.as_fd(), context.cancel().descriptor()], REPORT);
        self.bell.clear();
        context.check()?;
        Ok(self.events.try_recv().map_or(Heard::Nothing, Heard::Event))
    }
}

impl<T> Voice<T> {
    /// True while somebody listens.
    pub(in crate::ops) fn say(&self, event: T) -> bool {
        let heard = self.sender.send(event).is_ok();
        self.bell.ring();
        heard
    }
}
