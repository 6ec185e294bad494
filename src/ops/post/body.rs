//! What is sent: the content of a file, of standard input, or nothing. Counts what has been read of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::plain;
use crate::ops::http::{Content, Portion};
use crate::ops::parameters::FilePath;
use crate::ops::{Failure, input, shown};

/// A body to be sent.
#[derive(Clone, Debug)]
pub(super) struct Body {
    path: Option<PathBuf>,
    length: Option<u64>,
    /// Of the request that is under way.
    sent: Arc<AtomicU64>,
    used: bool,
}

impl Body {
    pub(super) fn of(path: Option<&FilePath>) -> Result<Self, Failure> {
        let path = path.map(|path| path.as_path().to_owned());
        let length = match &path {
            None => Some(0),
            Some(path) => {
                let name = shown::text(path);
                input::size(path).map_err(|error| Failure::system(&format!("read {name}"), &name, &error))?
            }
        };
        Ok(Self { path, length, sent: Arc::default(), used: false })
    }

    /// None: nobody knows.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// How much of it has been taken for the request that is under way.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// It can be read from its beginning as often as one likes.
    pub(super) fn is_repeatable(&self) -> bool {
        self.path.as_ref().is_none_or(|path| !input::is_stdin(path) && self.length.is_some())
    }
}

impl Content for Body {
    fn open(&mut self) -> Result<Portion, String> {
        if std::mem::replace(&mut self.used, true) && !self.is_repeatable() {
            return Err("it redirects, and the body cannot be read again to be sent there".to_owned());
        }
        self.sent.store(0, Ordering::Release);
        let sent = Arc::clone(&self.sent);
        let note = move |count| _ = sent.fetch_add(count, Ordering::AcqRel);
        let Some(path) = &self.path else { return Ok(Portion::of(io::empty(), Some(0), note)) };
        let wrong = |error: io::Error| format!("the body cannot be read: {}", plain(&error));
        let length = if self.is_repeatable() { input::size(path).map_err(wrong)? } else { self.length };
        let file = input::open(path).map_err(wrong)?;
        Ok(Portion::of(file, length, note))
    }
}
