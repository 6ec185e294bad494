//! One of our two output streams, as whatever kept a job's output until its end writes to it.
//!
//! The event loop never calls it: a port may wait for its reader. A terminal with a bar on it is written through the
//! stage, so that bar and output never tear each other.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::content::Content;
use crate::capture::stage::Stage;
use crate::model::outcome::StreamRecord;
use crate::platform::descriptors::{self, Kind, Moved};

/// A stage takes so much in one turn, so that the bar gets its own.
const TURN: usize = 16 * 1024;

/// Where bytes go.
#[derive(Clone, Debug)]
pub struct Port {
    target: BorrowedFd<'static>,
    kind: Kind,
    stage: Option<Arc<Stage>>,
}

/// What became of bytes that were given to a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// So many of them were taken.
    pub bytes: u64,
    pub end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// All were taken.
    #[default]
    Whole,
    /// Nothing was taken for longer than the patience allows.
    Stalled,
    /// The reader is gone.
    Broken,
}

impl Port {
    /// Our stdout.
    pub fn stdout(stage: Option<&Arc<Stage>>) -> Self {
        Self::to(descriptors::stdout(), stage)
    }

    /// Our stderr.
    pub fn stderr(stage: Option<&Arc<Stage>>) -> Self {
        Self::to(descriptors::stderr(), stage)
    }

    pub(super) fn to(target: BorrowedFd<'static>, stage: Option<&Arc<Stage>>) -> Self {
        let stage = stage.filter(|stage| descriptors::are_same(target, stage.terminal())).cloned();
        Self { target, kind: descriptors::kind(target), stage }
    }

    /// Writes all of it, unless nothing is taken for so long. None: it may take as long as it likes.
    pub fn write(&self, bytes: &[u8], patience: Option<Duration>) -> io::Result<Written> {
        let mut taken = 0;
        while taken < bytes.len() {
            let moved = match self.write_some(&bytes[taken..], patience)? {
                Moved::Bytes(length) => length,
                Moved::WouldBlock => return Ok(Written { bytes: taken as u64, end: End::Stalled }),
                Moved::Broken => return Ok(Written { bytes: taken as u64, end: End::Broken }),
            };
            taken += moved;
        }
        Ok(Written { bytes: taken as u64, end: End::Whole })
    }

    /// Writes what is taken at once, but at least one byte.
    pub fn write_some(&self, bytes: &[u8], patience: Option<Duration>) -> io::Result<Moved> {
        let Some(stage) = &self.stage else {
            return descriptors::write_some(self.target, self.kind, bytes, patience);
        };
        let turn = &bytes[..bytes.len().min(TURN)];
        let moved = match patience {
            Some(patience) => stage.write_patiently(turn, patience)?,
            None => stage.write(turn)?,
        };
        // The stage counts what it added, too.
        Ok(if let Moved::Bytes(_) = moved { Moved::Bytes(turn.len()) } else { moved })
    }

    /// Writes all that was kept of a stream. An error is about writing; a spool that cannot be read again is one, too.
    pub fn write_record(&self, record: &StreamRecord, patience: Option<Duration>) -> io::Result<Written> {
        let (mut content, mut all) = (Content::of(record), Written::default());
        while let Some(piece) = content.next_piece()? {
            let written = self.write(piece, patience)?;
            all.bytes += written.bytes;
            if written.end != End::Whole {
                return Ok(Written { end: written.end, ..all });
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use super::{End, Port, Written};
    use crate::model::outcome::StreamRecord;
    use crate::platform::descriptors;

    /// A pipe that stays open as long as the tests run.
    fn pipe() -> (std::fs::File, Port) {
        let (read, write) = descriptors::pipe().unwrap();
        let write: &'static OwnedFd = Box::leak(Box::new(write));
        (read.into(), Port::to(std::os::fd::AsFd::as_fd(write), None))
    }

    fn record(length: usize) -> StreamRecord {
        StreamRecord { head: vec![b'h'; length / 4], tail: vec![b't'; length - length / 4], ..StreamRecord::default() }
    }

    #[test]
    fn a_reader_that_takes_nothing_is_given_up() {
        let (mut read, port) = pipe();
        let written = port.write_record(&record(300_000), Some(Duration::from_millis(20))).unwrap();
        assert_eq!(written, Written { bytes: 65_536, end: End::Stalled });
        let mut taken = vec![0; 65_536];
        read.read_exact(&mut taken).unwrap();
        assert!(taken.iter().all(|byte| *byte == b'h'));
    }

    #[test]
    fn a_reader_that_is_gone_is_told() {
        let (read, port) = pipe();
        drop(read);
        assert_eq!(port.write_record(&record(10), None).unwrap(), Written { bytes: 0, end: End::Broken });
    }

    #[test]
    fn a_short_record_is_taken_whole() {
        let (mut read, port) = pipe();
        assert_eq!(port.write_record(&record(8), None).unwrap(), Written { bytes: 8, end: End::Whole });
        let mut taken = [0; 8];
        read.read_exact(&mut taken).unwrap();
        assert_eq!(&taken, b"hhtttttt");
    }
}
