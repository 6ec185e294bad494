//! Brings a journal to the disk in groups, on a thread of its own: whoever writes records never waits for it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};

/// Between two syncs.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Syncer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Something was written since the last sync began.
    is_behind: bool,
    is_closing: bool,
    is_over: bool,
    /// Not told yet.
    failure: Option<io::Error>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Syncer {
    /// Calls `sync` on a thread, whenever something was written, but not too often.
    pub(super) fn start(sync: impl Fn() -> io::Result<()> + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let body = move || work(&theirs, &sync);
        let named = thread::Builder::new().name("journal".to_owned());
        named.spawn(body).map_err(Error::system("start a thread"))?;
        Ok(Self(shared))
    }

    /// Something was written.
    pub(super) fn note(&self) {
        let mut state = self.0.lock();
        if !state.is_behind {
            state.is_behind = true;
            self.0.changed.notify_all();
        }
    }

    /// Why a sync failed; told once.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.0.lock().failure.take()
    }

    /// Waits for the last sync, or for so long.
    pub(super) fn finish(&self, limit: Duration) -> io::Result<()> {
        let mut state = self.0.lock();
        state.is_closing = true;
        self.0.changed.notify_all();
        let waited = self.0.changed.wait_timeout_while(state, limit, |state| !state.is_over);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.failure.take() {
            Some(failure) => Err(failure),
            None if state.is_over => Ok(()),
            None => Err(io::Error::new(io::ErrorKind::TimedOut, "the disk takes too long")),
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.0.lock().is_closing = true;
        self.0.changed.notify_all();
    }
}

fn work(shared: &Shared, sync: &dyn Fn() -> io::Result<()>) {
    let mut state = shared.lock();
    while state.is_behind || !state.is_closing {
        if !state.is_behind {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        state.is_behind = false;
        drop(state);
        let result = sync();
        state = shared.lock();
        if let Err(error) = result {
            state.failure.get_or_insert(error);
        }
        let waited = shared.changed.wait_timeout_while(state, PAUSE, |state| !state.is_closing);
        (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    }
    state.is_over = true;
    shared.changed.notify_all();
}
