//! The archive as a stream: counted as it is read, stopped when told to, and with its end noticed.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::ops::context::Cancel;
use crate::ops::input;
use crate::platform::poller;

/// It is woken by what it waits for, and not by the clock.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Opens it. The size is zero where nobody knows it.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let size = input::size(path)?.unwrap_or(0);
    Ok((input::open(path)?, size))
}

/// Reads a file, or a pipe whose writer may take its time: the order to stop is heard while it does.
pub(super) struct Awaited {
    pub(super) file: File,
    pub(super) cancel: Cancel,
}

impl Read for Awaited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poller::await_any_readable(&[self.file.as_fd(), self.cancel.descriptor()], FOR_EVER);
        if self.cancel.is_set() {
            return Err(io::ErrorKind::Other.into());
        }
        self.file.read(buffer)
    }
}

/// Counts the bytes that were taken, not those that were read ahead.
pub(super) struct Counted {
    pub(super) file: BufReader<Awaited>,
    pub(super) count: Rc<Cell<u64>>,
    pub(super) cancel: Cancel,
}

impl Counted {
    fn check(&self) -> io::Result<()> {
        if self.cancel.is_set() { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let count = self.file.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        self.file.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.count.set(self.count.get() + amount as u64);
        self.file.consume(amount);
    }
}

/// The decompressed archive. It notices its end, and gives no more at a time than it was allowed to: names of entries
/// are read into memory, and an archive of nothing but a name could fill it.
pub(super) struct Stream<R> {
    pub(super) inner: R,
    pub(super) ended: Rc<Cell<bool>>,
    /// How many bytes it may still give.
    pub(super) allowance: Rc<Cell<u64>>,
    pub(super) cancel: Cancel,
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What is compressed to almost nothing takes long to pass over, and is hardly read from the file.
        if self.cancel.is_set() {
            return Err(io::ErrorKind::Other.into());
        }
        let allowance = self.allowance.get();
        if allowance == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the name of an entry is endless"));
        }
        let limit = buffer.len().min(usize::try_from(allowance).unwrap_or(usize::MAX));
        let count = self.inner.read(&mut buffer[..limit])?;
        if count == 0 && !buffer.is_empty() {
            self.ended.set(true);
        }
        self.allowance.set(allowance - count as u64);
        Ok(count)
    }
}
