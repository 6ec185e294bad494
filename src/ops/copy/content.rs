//! The bytes of one file: shared where possible, else moved by the kernel in pieces, else read and written; holes stay
//! holes.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::Tally;
use crate::ops::{Context, Failure};
use crate::platform::file_copy;

/// What is moved at once. Even a slow disk takes it well within the time that we have for stopping.
pub(super) const PIECE: u64 = 4 << 20;
/// What is read at once where the kernel cannot move it.
const BUFFER: usize = 256 << 10;
/// A unit of `st_blocks`, whatever the file system calls a block; see stat(2).
const SECTOR: u64 = 512;

/// Why the bytes of a file did not all arrive.
pub(super) enum Stop {
    /// The fault of what is copied.
    Source(io::Error),
    /// The fault of the place that it is copied to.
    Destination(io::Error),
    /// The whole operation is over.
    Over(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Over(failure)
    }
}

/// What was learned about pairs of file systems, so that what fails once is not tried for each file.
#[derive(Default)]
pub(super) struct Ways {
    cannot_share: HashSet<(u64, u64)>,
    cannot_move: HashSet<(u64, u64)>,
}

impl Ways {
    /// Fills the empty file `to` with what is in `from`. `pair` are the two file systems.
    pub(super) fn copy(
        &mut self,
        from: &File,
        metadata: &Metadata,
        to: &File,
        pair: (u64, u64),
        tally: &mut Tally,
        context: &mut Context,
    ) -> Result<(), Stop> {
        let size = metadata.len();
        if size > 0 && !self.cannot_share.contains(&pair) {
            if file_copy::share(from, to) {
                tally.reflinked += 1;
                return Ok(tally.advance(size, context)?);
            }
            self.cannot_share.insert(pair);
        }
        if metadata.blocks().saturating_mul(SECTOR) >= size {
            self.range(from, to, 0..size, pair, tally, context)?;
            // A file that grew, or whose size is made up: what is behind the end that was said.
            return if size == 0 { tail(from, to, size, tally, context) } else { Ok(()) };
        }
        let mut offset = 0;
        while offset < size {
            let data = match file_copy::next_data(from, offset) {
                Ok(Some(data)) => data.start.min(size)..data.end.min(size),
                Ok(None) => size..size,
                // A file system that knows no holes.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => offset..size,
                Err(error) => return Err(Stop::Source(error)),
            };
            let hole = data.start - offset;
            tally.skipped += hole;
            tally.advance(hole, context)?;
            offset = data.end;
            let end = data.end;
            let reached = self.range(from, to, data, pair, tally, context)?;
            if reached < end {
                // It is shorter than it said, as files of sysfs are and such as are cut meanwhile.
                return to.set_len(reached).map_err(Stop::Destination);
            }
        }
        to.set_len(size).map_err(Stop::Destination)
    }

    /// Moves a range that is no hole. Gives the place up to which there was something.
    fn range(
        &mut self,
        from: &File,
        to: &File,
        mut range: Range<u64>,
        pair: (u64, u64),
        tally: &mut Tally,
        context: &mut Context,
    ) -> Result<u64, Stop> {
        while !range.is_empty() && !self.cannot_move.contains(&pair) {
            let piece = (range.end - range.start).min(PIECE) as usize;
            match file_copy::move_some(from, to, range.start, piece).map_err(of_either)? {
                // The end, or a file that the kernel makes up; reading it tells.
                Some(0) => break,
                Some(count) => {
                    range.start += count as u64;
                    tally.advance(count as u64, context)?;
                }
                None => {
                    self.cannot_move.insert(pair);
                }
            }
        }
        if range.is_empty() {
            return Ok(range.end);
        }
        through_us(from, to, range, tally, context)
    }
}

/// Whose fault it is, where one call reads and writes.
fn of_either(error: io::Error) -> Stop {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        FileTooLarge | QuotaExceeded | ReadOnlyFilesystem | StorageFull => Stop::Destination(error),
        _ => Stop::Source(error),
    }
}

/// Reads and writes a range, or less where the file ends before.
fn through_us(
    from: &File,
    to: &File,
    mut range: Range<u64>,
    tally: &mut Tally,
    context: &mut Context,
) -> Result<u64, Stop> {
    let mut buffer = vec![0; BUFFER.min(usize::try_from(range.end - range.start).unwrap_or(BUFFER))];
    while !range.is_empty() {
        let limit = buffer.len().min(usize::try_from(range.end - range.start).unwrap_or(BUFFER));
        match from.read_at(&mut buffer[..limit], range.start) {
            Ok(0) => break,
            Ok(count) => {
                to.write_all_at(&buffer[..count], range.start).map_err(Stop::Destination)?;
                range.start += count as u64;
                tally.advance(count as u64, context)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Stop::Source(error)),
        }
    }
    Ok(range.start)
}

/// Reads and writes from there to the end.
fn tail(from: &File, to: &File, offset: u64, tally: &mut Tally, context: &mut Context) -> Result<(), Stop> {
    through_us(from, to, offset..u64::MAX, tally, context).map(drop)
}

/// Writes all of a file into something that has no places to write at, such as a pipe.
pub(super) fn pour(from: &File, to: &mut impl Write, tally: &mut Tally, context: &mut Context) -> Result<(), Stop> {
    let mut buffer = vec![0; BUFFER];
    let mut offset = 0;
    loop {
        match from.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                to.write_all(&buffer[..count]).map_err(Stop::Destination)?;
                offset += count as u64;
                tally.advance(count as u64, context)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Stop::Source(error)),
        }
    }
}
