//! The archive as a stream: counted as it is read, stopped when told to, and with its end noticed.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;

use crate::ops::context::Cancel;

/// The name that means standard input.
pub(super) const STDIN: &str = "-";

/// Opens it. The size is zero where nobody knows it.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    if path == Path::new(STDIN) {
        return Ok((File::from(io::stdin().as_fd().try_clone_to_owned()?), 0));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let size = if metadata.is_file() { metadata.len() } else { 0 };
    Ok((file, size))
}

/// Counts the bytes that went through.
pub(super) struct Counted {
    pub(super) file: File,
    pub(super) count: Rc<Cell<u64>>,
    pub(super) cancel: Cancel,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_set() {
            return Err(io::ErrorKind::Other.into());
        }
        let count = self.file.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
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
