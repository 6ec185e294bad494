//! The thread that waits for the store's bell. It sleeps until somebody rings, and costs nothing meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use crate::error::{Error, Result};
use crate::platform::bell::Bell;
use crate::worker::post::Report;

/// A bell that is listened to.
#[derive(Debug)]
pub(super) struct Listener {
    bell: Arc<Bell>,
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// From now on whoever rings is heard.
    pub(super) fn open(bell: &Path, reports: Sender<Report>) -> Result<Self> {
        let bell = Arc::new(Bell::open_for_listening(bell)?);
        let closing = Arc::new(AtomicBool::new(false));
        let (ears, ends) = (Arc::clone(&bell), Arc::clone(&closing));
        let listen = move || {
            loop {
                let report = match ears.listen() {
                    _ if ends.load(Ordering::SeqCst) => return,
                    Ok(reason) => Report::Rung(reason),
                    Err(error) => Report::ListenerFailed(error),
                };
                let failed = matches!(report, Report::ListenerFailed(_));
                if reports.send(report).is_err() || failed {
                    return;
                }
            }
        };
        let named = thread::Builder::new().name("listener".to_owned());
        let thread = named.spawn(listen).map_err(Error::system("start a thread"))?;
        Ok(Self { bell, closing, thread })
    }

    /// From now on nobody is heard: whoever rings is told so.
    pub(super) fn close(self) {
        self.closing.store(true, Ordering::SeqCst);
        self.bell.ring();
        // It ends at once, and with it the last hold on the bell but ours.
        let _ = self.thread.join();
    }
}
