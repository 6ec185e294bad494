//! Reads a list in bounded memory: piece by piece, with the number of the line, and with an eye on whether the file is
//! still the one that was checked.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::batch::source::fault::{Trouble, Wrong};
use crate::error::{self, Error};
use crate::platform::descriptors;
use crate::platform::path_walk;

/// Read at once.
const PIECE: usize = 128 << 10;
/// No job and no item is longer; whatever claims to be is no list.
pub(super) const LONGEST: usize = 64 << 20;
/// What a text file of some systems begins with.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What says whether a file is still what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { size: metadata.size(), changed: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// A file as it is read. It stays the same one where its name goes to another.
#[derive(Debug)]
struct Watched {
    file: File,
    /// None: what it holds is read once, and nothing is compared.
    stamp: Option<Stamp>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(stamp) = self.stamp
            && Stamp::of(&self.file.metadata()?) != stamp
        {
            return Err(io::Error::other(Changed));
        }
        Ok(read)
    }
}

impl Seek for Watched {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// The file is not what it was when it was opened.
#[derive(Debug, thiserror::Error)]
#[error("it was changed while it was read")]
struct Changed;

/// A list or a file of items, read from its beginning.
#[derive(Debug)]
pub(super) struct Input {
    reader: BufReader<Watched>,
    /// What it is called in messages.
    name: String,
    /// The number of the line that comes next, from 1.
    line: u64,
}

impl Input {
    /// Opens a file of whatever kind. To open a FIFO takes until it has a writer.
    pub(super) fn file(path: &Path) -> error::Result<Self> {
        let help = "Check the name: it must be a file that you may read";
        let open = || {
            let file = path_walk::open_to_read(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok((file, metadata)) }
        };
        let (file, metadata) = open().map_err(Error::path::<io::Error>("read", path, help))?;
        let stamp = metadata.is_file().then(|| Stamp::of(&metadata));
        Ok(Self::of(Watched { file, stamp }, path.display().to_string()))
    }

    /// Our own standard input. Whatever it is, it is read once.
    pub(super) fn stdin() -> error::Result<Self> {
        let file = File::from(descriptors::duplicate(descriptors::stdin())?);
        Ok(Self::of(Watched { file, stamp: None }, "standard input".to_owned()))
    }

    fn of(watched: Watched, name: String) -> Self {
        Self { reader: BufReader::with_capacity(PIECE, watched), name, line: 1 }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The number of the line that comes next.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// It is a regular file that can be read again.
    pub(super) fn can_rewind(&self) -> bool {
        self.reader.get_ref().stamp.is_some()
    }

    pub(super) fn rewind(&mut self) -> Result<(), Trouble> {
        self.line = 1;
        self.reader.rewind().map_err(|error| self.failure(error))
    }

    /// What comes next, as much as is at hand; empty at the end. Waits where nothing is.
    pub(super) fn peek(&mut self) -> Result<&[u8], Trouble> {
        // Twice, since the first borrow would last for the error's way out.
        if let Err(error) = self.reader.fill_buf() {
            return Err(self.failure(error));
        }
        Ok(self.reader.buffer())
    }

    /// So many of the bytes that were seen are taken.
    pub(super) fn take(&mut self, bytes: usize) {
        let newlines = self.reader.buffer()[..bytes].iter().filter(|byte| **byte == b'\n').count();
        self.line += newlines as u64;
        self.reader.consume(bytes);
    }

    /// Passes over a byte order mark, which says nothing in UTF-8.
    pub(super) fn skip_mark(&mut self) -> Result<(), Trouble> {
        let start = self.peek()?;
        if start.starts_with(BYTE_ORDER_MARK) {
            self.take(BYTE_ORDER_MARK.len());
        } else if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
            return Err(Wrong::new("", "this is UTF-16", "Write the list in UTF-8").at(1).into());
        }
        Ok(())
    }

    /// Appends what comes up to and without `end`, which is taken. False: there was nothing more.
    pub(super) fn read_until(&mut self, end: u8, into: &mut Vec<u8>) -> Result<bool, Trouble> {
        let mut any = false;
        loop {
            let line = self.line;
            let seen = self.peek()?;
            if seen.is_empty() {
                return Ok(any);
            }
            any = true;
            let at = find(end, seen);
            let piece = &seen[..at.unwrap_or(seen.len())];
            if into.len() + piece.len() > LONGEST {
                return Err(too_long(line).into());
            }
            into.extend_from_slice(piece);
            let taken = piece.len() + usize::from(at.is_some());
            if end == b'\n' {
                self.line += u64::from(at.is_some());
                self.reader.consume(taken);
            } else {
                self.take(taken);
            }
            if at.is_some() {
                return Ok(true);
            }
        }
    }

    fn failure(&self, error: io::Error) -> Trouble {
        let changed = error.get_ref().is_some_and(|inner| inner.is::<Changed>());
        Trouble::Failure(if changed {
            Error::Invalid {
                argument: Some(self.name.clone()),
                message: format!("{} was changed while it was read", self.name),
                remediation: "Write a new file under another name instead; jobs that were started are in the journal, \
                              if there is one"
                    .to_owned(),
            }
        } else {
            Error::path("read", &self.name, "Check that it is still there and readable")(error)
        })
    }
}

/// Where this byte stands first.
fn find(wanted: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

pub(super) fn too_long(line: u64) -> crate::batch::source::fault::Fault {
    let problem = format!("what begins here is longer than {} MiB", LONGEST >> 20);
    Wrong::new("", problem, "Check that this is the right file").at(line)
}
