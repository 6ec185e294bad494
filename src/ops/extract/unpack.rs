//! Goes through an archive entry by entry.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tar::{Archive, Entry, EntryType, Header};

use super::Tally;
use super::names;
use super::place::{Destination, Stop};
use super::source::{self, Awaited, Counted, Stream};
use crate::error::plain;
use crate::model::envelope::ErrorCode;
use crate::model::quantity::ByteSize;
use crate::ops::compression::{self, Format};
use crate::ops::new_file::NewFile;
use crate::ops::{Context, Failure, reporting, shown};
use crate::platform::folder::{self, Times};

/// What is read of the archive, and written of a file, at once.
const BUFFER: usize = 256 << 10;
/// What the headers of one entry may hold in all: many times the longest path.
const HEADER_LIMIT: u64 = 4 << 20;
/// The permission bits that an archive may set.
const MODE: u32 = 0o777;
/// What a header takes.
const BLOCK: u64 = 512;
/// What GNU tar writes with --label: a name that is no file's.
const VOLUME_LABEL: u8 = b'V';
/// A folder in an incremental archive of GNU tar; its content lists what was in it.
const DUMPED_FOLDER: u8 = b'D';
const DISTRUST: &str = "Do not trust this archive; what was extracted before this entry is still there";
const USE_ANOTHER: &str =
    "Extract the archive with tar(1) if you trust it; what was extracted before this entry is still there";

/// The state of one extraction.
struct Unpacking<'a> {
    archive: String,
    destination: Destination,
    limit: Option<u64>,
    tally: &'a mut Tally,
    context: &'a mut Context,
    /// Bytes of the archive that were read, and how many there are, or zero.
    consumed: Rc<Cell<u64>>,
    size: u64,
    /// All of the archive was read.
    ended: Rc<Cell<bool>>,
    /// What may be read of it until it is set again.
    allowance: Rc<Cell<u64>>,
    buffer: Vec<u8>,
}

/// Extracts all of it. What was extracted before a failure stays.
pub(super) fn all(
    path: &Path,
    format: Format,
    destination: &Path,
    limit: Option<u64>,
    tally: &mut Tally,
    context: &mut Context,
) -> Result<(), Failure> {
    let archive = shown::text(path);
    let unreadable = |error| Failure::system(&format!("read {archive}"), archive.clone(), &error);
    let (file, size) = source::open(path).map_err(unreadable)?;
    let opened = Destination::open(destination).map_err(|error| {
        let text = shown::text(destination);
        Failure::system(&format!("extract to {text}"), text, &error)
    })?;
    let (consumed, ended, cancel) = (Rc::default(), Rc::new(Cell::new(false)), context.cancel());
    let file = BufReader::with_capacity(BUFFER, Awaited { file, cancel: cancel.clone() });
    let counted = Counted { file, count: Rc::clone(&consumed), cancel: cancel.clone() };
    let decoder = compression::decoder(format, counted).map_err(unreadable)?;
    let allowance = Rc::new(Cell::new(u64::MAX));
    let mut stream = Stream { inner: decoder, ended: Rc::clone(&ended), allowance: Rc::clone(&allowance), cancel };
    let buffer = vec![0; BUFFER];
    let mut unpacking =
        Unpacking { archive, destination: opened, limit, tally, context, consumed, size, ended, allowance, buffer };
    let result = unpacking.entries(&mut stream).and_then(|()| unpacking.rest(&mut stream));
    if unpacking.context.cancelled() {
        unpacking.destination.abandon(unpacking.context);
        return result.and(Err(Failure::Cancelled));
    }
    let finished = unpacking.destination.finish(unpacking.context);
    result?;
    finished.map_err(|stop| match stop {
        Stop::Over(failure) => failure,
        Stop::Broken(error) => {
            let text = shown::text(destination);
            Failure::system(&format!("set the modes of the folders in {text}"), text, &error)
        }
        Stop::Refused(reason) | Stop::Unsuited(reason, _) => unpacking.refused(destination, reason, DISTRUST),
    })
}

impl Unpacking<'_> {
    fn entries(&mut self, stream: &mut impl Read) -> Result<(), Failure> {
        let mut first = Vec::new();
        stream.take(BLOCK).read_to_end(&mut first).map_err(|error| self.damaged(&error))?;
        if is_label(&first) {
            first.clear();
        }
        let mut archive = Archive::new(first.as_slice().chain(stream));
        let mut entries = archive.entries().map_err(|error| self.damaged(&error))?;
        let mut unread = 0;
        loop {
            self.context.check()?;
            self.allowance.set(HEADER_LIMIT.saturating_add(unread));
            let Some(entry) = entries.next() else { break };
            let mut entry = entry.map_err(|error| self.damaged(&error))?;
            self.allowance.set(u64::MAX);
            // What is not read now is passed over on the way to the next.
            unread = entry.size();
            if entry.header().entry_type() != EntryType::XGlobalHeader {
                self.entry(&mut entry)?;
                self.tally.entries += 1;
                self.report();
            }
        }
        self.allowance.set(u64::MAX);
        // The end mark stands before the end of the file. Without it, nobody knows how many entries there were.
        if self.ended.get() { Err(self.cut_short()) } else { Ok(()) }
    }

    /// Passes over what is behind the end mark: the sums of the compression are checked there.
    fn rest(&mut self, stream: &mut impl Read) -> Result<(), Failure> {
        loop {
            self.context.check()?;
            match stream.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => self.report(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.damaged(&error)),
            }
        }
    }

    fn entry(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<(), Failure> {
        let bytes = entry.path_bytes().into_owned();
        let shown = PathBuf::from(OsStr::from_bytes(&bytes));
        shown.clone_into(&mut self.tally.current);
        match self.make(entry, &bytes) {
            Ok(()) => Ok(()),
            Err(Problem::Stop(Stop::Refused(reason))) => Err(self.refused(&shown, reason, DISTRUST)),
            Err(Problem::Stop(Stop::Unsuited(reason, remediation))) => Err(self.refused(&shown, reason, remediation)),
            Err(Problem::Stop(Stop::Broken(error))) => {
                let name = shown::text(&shown);
                Err(Failure::system(&format!("extract {name}"), name, &error))
            }
            Err(Problem::Archive(error)) => Err(self.damaged(&error)),
            Err(Problem::Over(failure) | Problem::Stop(Stop::Over(failure))) => Err(failure),
        }
    }

    fn make(&mut self, entry: &mut Entry<'_, impl Read>, name: &[u8]) -> Result<(), Problem> {
        let path = names::entry(name).map_err(Stop::Refused)?;
        let header = entry.header();
        let kind = header.entry_type();
        let mode = header.mode().map_err(Problem::Archive)? & MODE;
        let seconds = seconds(header).map_err(Problem::Archive)?;
        let extended = Extended::of(entry).map_err(Problem::Archive)?;
        let (seconds, nanoseconds) = extended.mtime.unwrap_or((seconds, 0));
        let times = Times::changed_at(seconds, nanoseconds);
        let target = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
        match kind {
            EntryType::Directory => self.destination.make_folder(&path, mode, times, self.context)?,
            // Old archives know no folders, only names that end like one.
            EntryType::Regular if name.ends_with(b"/") => {
                self.destination.make_folder(&path, mode, times, self.context)?;
            }
            other if other.as_byte() == DUMPED_FOLDER => {
                self.destination.make_folder(&path, mode, times, self.context)?;
            }
            EntryType::Symlink => {
                names::link(&path, &target).map_err(Stop::Refused)?;
                self.destination.make_link(&path, Path::new(OsStr::from_bytes(&target)), &times, self.context)?;
            }
            EntryType::Link => {
                let existing = names::entry(&target);
                let existing = existing.map_err(|_| Stop::Refused("it is a hard link to what is outside"))?;
                self.destination.link_file(&path, &existing, self.context)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                if extended.holes {
                    return Err(
                        Stop::Unsuited("it is a sparse file in a form that is not known here", USE_ANOTHER).into()
                    );
                }
                self.file(entry, &path, mode, &times)?;
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                return Err(Stop::Refused("it is a device or a FIFO").into());
            }
            _ => return Err(Stop::Unsuited("it is of a kind that is not known here", USE_ANOTHER).into()),
        }
        Ok(())
    }

    fn file(&mut self, entry: &mut Entry<'_, impl Read>, path: &Path, mode: u32, times: &Times) -> Result<(), Problem> {
        let (size, sparse) = (entry.size(), entry.header().entry_type() == EntryType::GNUSparse);
        if self.limit.is_some_and(|limit| self.tally.bytes.saturating_add(size) > limit) {
            return Err(Problem::Over(self.too_much(path)));
        }
        let new = {
            let (folder, _) = self.destination.parent(path, self.context)?;
            NewFile::create(folder, self.context).map_err(Stop::Broken)?
        };
        let mut left = size;
        while left > 0 {
            self.context.check().map_err(Problem::Over)?;
            let limit = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = match entry.read(&mut self.buffer[..limit]) {
                Ok(0) => return Err(Problem::Archive(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Problem::Archive(error)),
            };
            let mut file = new.file();
            let bytes = &self.buffer[..count];
            // What was a hole stays one, however long it is.
            let written = if sparse && bytes.iter().all(|byte| *byte == 0) {
                file.seek(SeekFrom::Current(count as i64)).map(drop)
            } else {
                file.write_all(bytes)
            };
            written.map_err(Stop::Broken)?;
            left -= count as u64;
            self.tally.bytes += count as u64;
            self.report();
        }
        if sparse {
            new.file().set_len(size).map_err(Stop::Broken)?;
        }
        folder::set_mode(new.file(), mode, None).map_err(Stop::Broken)?;
        folder::set_times(new.file(), times).map_err(Stop::Broken)?;
        let (folder, name) = self.destination.parent(path, self.context)?;
        Ok(new.publish(folder, name, self.context).map_err(Stop::Broken)?)
    }

    fn report(&mut self) {
        let make = || (shown::text(&self.tally.current), self.tally.to_value());
        if self.size == 0 {
            reporting::alive(self.context, make);
        } else {
            self.context.report_step(self.consumed.get(), self.size, make);
        }
    }

    fn refused(&self, name: &Path, reason: &str, remediation: &str) -> Failure {
        let name = shown::text(name);
        let message = format!("the entry '{name}' of {} is refused: {reason}", self.archive);
        Failure::new(ErrorCode::ValidationError, message, remediation).about(name)
    }

    fn too_much(&self, path: &Path) -> Failure {
        let limit = ByteSize(self.limit.unwrap_or_default());
        let message = format!("{} holds more than {limit}: the entry '{}' exceeds it", self.archive, shown::text(path));
        let remediation = "Give a larger --max-size if you trust the archive";
        Failure::new(ErrorCode::ValidationError, message, remediation).about("--max-size")
    }

    fn cut_short(&self) -> Failure {
        let message = format!("{} is cut short", self.archive);
        Failure::new(ErrorCode::CommandFailed, message, GET_IT_AGAIN).about(self.archive.clone())
    }

    /// The archive could not be read on.
    fn damaged(&self, error: &io::Error) -> Failure {
        if let Err(failure) = self.context.check() {
            return failure;
        }
        if error.raw_os_error().is_some() {
            return Failure::system(&format!("read {}", self.archive), self.archive.clone(), error);
        }
        if self.ended.get() || error.kind() == io::ErrorKind::UnexpectedEof {
            return self.cut_short();
        }
        if compression::needs_larger_window(error) {
            let message = format!("{} was compressed with a larger window than is supported (128 MiB)", self.archive);
            let remediation = "Decompress it with 'zstd -d --long=31', and extract the plain tar archive";
            return Failure::new(ErrorCode::ValidationError, message, remediation).about(self.archive.clone());
        }
        let message = format!("{} is damaged: {}", self.archive, plain(error));
        Failure::new(ErrorCode::CommandFailed, message, GET_IT_AGAIN).about(self.archive.clone())
    }
}

const GET_IT_AGAIN: &str = "Get the archive again; the entries before this place were extracted";

/// Why an entry was not made.
enum Problem {
    Stop(Stop),
    Archive(io::Error),
    Over(Failure),
}

impl From<Stop> for Problem {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// What the extended headers of POSIX say beyond names and sizes.
#[derive(Default)]
struct Extended {
    mtime: Option<(i64, u32)>,
    /// A sparse file whose map stands in its content, which would come out wrong.
    holes: bool,
}

impl Extended {
    fn of(entry: &mut Entry<'_, impl Read>) -> io::Result<Self> {
        let mut found = Self::default();
        for extension in entry.pax_extensions()?.into_iter().flatten().flatten() {
            match extension.key_bytes() {
                b"mtime" => found.mtime = extension.value().ok().and_then(point_in_time),
                key => found.holes |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(found)
    }
}

/// True for a header that holds the label of a volume: it stands at the beginning, and lacks much of what
/// entries have, such as a size.
fn is_label(block: &[u8]) -> bool {
    let size = block.get(124..136).unwrap_or_default();
    block.get(156) == Some(&VOLUME_LABEL) && size.iter().all(|byte| matches!(byte, 0 | b'0' | b' '))
}

/// Seconds since 1970 from the header. What eleven octal digits cannot hold GNU tar writes as a binary number with a
/// sign, of which the last eight bytes are given to us as if they had none.
fn seconds(header: &Header) -> io::Result<i64> {
    let negative = header.as_old().mtime[0] & 0xC0 == 0xC0;
    let seconds = header.mtime()?;
    Ok(if negative { seconds.cast_signed() } else { i64::try_from(seconds).unwrap_or(i64::MAX) })
}

/// Reads seconds since 1970 with a fraction. The kernel counts nanoseconds onwards even before 1970; a number does not.
fn point_in_time(text: &str) -> Option<(i64, u32)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = digits
        .map(|digit| u32::from(digit.wrapping_sub(b'0')))
        .try_fold(0, |sum: u32, digit| (digit < 10).then(|| sum * 10 + digit))?;
    if text.starts_with('-') && nanoseconds > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds));
    }
    Some((seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::point_in_time;

    #[test]
    fn times_have_fractions_of_any_length() {
        for (text, time) in [
            ("7", Some((7, 0))),
            ("7.5", Some((7, 500_000_000))),
            ("7.123456789999", Some((7, 123_456_789))),
            ("-3.5", Some((-4, 500_000_000))),
            ("-0.5", Some((-1, 500_000_000))),
            ("-3", Some((-3, 0))),
            ("7.x", None),
            ("", None),
        ] {
            assert_eq!(point_in_time(text), time, "{text}");
        }
    }
}
