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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::Syncer;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_written_is_synced_before_the_end() {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let sync = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let syncer = Syncer::start(sync).unwrap();
        (0..10_000).for_each(|_| syncer.note());
        syncer.finish(LONG).unwrap();
        let synced = count.load(Ordering::SeqCst);
        assert!((1..100).contains(&synced), "{synced} syncs");
    }

    #[test]
    fn a_failure_is_told_once() {
        let (sender, told) = mpsc::channel();
        let syncer = Syncer::start(move || {
            sender.send(()).unwrap();
            Err(io::Error::from_raw_os_error(libc::EIO))
        });
        let syncer = syncer.unwrap();
        syncer.note();
        told.recv_timeout(LONG).unwrap();
        assert_eq!(syncer.finish(LONG).unwrap_err().raw_os_error(), Some(libc::EIO));
        assert!(syncer.failure().is_none());
    }

    #[test]
    fn a_disk_that_hangs_holds_nobody_up() {
        let (_open, never) = mpsc::channel::<()>();
        let hang = std::sync::Mutex::new(never);
        let syncer = Syncer::start(move || {
            let _ = hang.lock().unwrap().recv();
            Ok(())
        });
        let syncer = syncer.unwrap();
        syncer.note();
        syncer.note();
        assert!(syncer.failure().is_none());
        assert_eq!(syncer.finish(Duration::from_millis(20)).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
