//! Goes through an archive entry by entry.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tar::{Archive, Entry, EntryType};

use super::Tally;
use super::names;
use super::place::{Destination, Stop};
use super::source::{self, Counted, Ending};
use crate::error::plain;
use crate::model::envelope::ErrorCode;
use crate::model::quantity::ByteSize;
use crate::ops::compression::{self, Format};
use crate::ops::new_file::NewFile;
use crate::ops::{Context, Failure};
use crate::platform::folder::{self, Times};

/// What is read of the archive, and written of a file, at once.
const BUFFER: usize = 256 << 10;
/// The permission bits that an archive may set.
const MODE: u32 = 0o777;

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
    let archive = path.display().to_string();
    let unreadable = |error| Failure::system(&format!("read {archive}"), archive.clone(), &error);
    let (file, size) = source::open(path).map_err(unreadable)?;
    let opened = Destination::open(destination).map_err(|error| {
        let text = destination.display().to_string();
        Failure::system(&format!("extract to {text}"), text, &error)
    })?;
    let (consumed, ended, cancel) = (Rc::default(), Rc::new(Cell::new(false)), context.cancel());
    let counted = Counted { file, count: Rc::clone(&consumed), cancel: cancel.clone() };
    let decoder = compression::decoder(format, BufReader::with_capacity(BUFFER, counted)).map_err(unreadable)?;
    let mut stream = Ending { inner: decoder, ended: Rc::clone(&ended), cancel };
    let buffer = vec![0; BUFFER];
    let mut unpacking =
        Unpacking { archive, destination: opened, limit, tally, context, consumed, size, ended, buffer };
    let result = unpacking.entries(&mut stream).and_then(|()| unpacking.rest(&mut stream));
    if !matches!(result, Err(Failure::Cancelled)) {
        let finished = unpacking.destination.finish();
        result?;
        return finished.map_err(|error| {
            let text = destination.display().to_string();
            Failure::system(&format!("set the modes of the folders in {text}"), text, &error)
        });
    }
    result
}

impl Unpacking<'_> {
    fn entries(&mut self, stream: &mut impl Read) -> Result<(), Failure> {
        let mut archive = Archive::new(stream);
        for entry in archive.entries().map_err(|error| self.damaged(&error))? {
            self.context.check()?;
            let mut entry = entry.map_err(|error| self.damaged(&error))?;
            if entry.header().entry_type() != EntryType::XGlobalHeader {
                self.entry(&mut entry)?;
                self.tally.entries += 1;
                self.report();
            }
        }
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
            Err(Problem::Stop(Stop::Refused(reason))) => Err(self.refused(&shown, reason)),
            Err(Problem::Stop(Stop::Broken(error))) => {
                Err(Failure::system(&format!("extract {}", shown.display()), shown.display().to_string(), &error))
            }
            Err(Problem::Archive(error)) => Err(self.damaged(&error)),
            Err(Problem::Over(failure)) => Err(failure),
        }
    }

    fn make(&mut self, entry: &mut Entry<'_, impl Read>, name: &[u8]) -> Result<(), Problem> {
        let path = names::entry(name).map_err(Stop::Refused)?;
        let header = entry.header();
        let kind = header.entry_type();
        let mode = header.mode().map_err(Problem::Archive)? & MODE;
        let seconds = i64::try_from(header.mtime().map_err(Problem::Archive)?).unwrap_or(i64::MAX);
        let times = Times::changed_at(seconds, 0);
        let target = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
        match kind {
            EntryType::Directory => self.destination.make_folder(&path, mode, times)?,
            // Old archives know no folders, only names that end like one.
            EntryType::Regular if name.ends_with(b"/") => self.destination.make_folder(&path, mode, times)?,
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
                if holes_elsewhere(entry).map_err(Problem::Archive)? {
                    return Err(Stop::Refused("it is a sparse file in a form that is not known here").into());
                }
                self.file(entry, &path, mode, &times)?;
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                return Err(Stop::Refused("it is a device or a FIFO").into());
            }
            _ => return Err(Stop::Refused("it is of a kind that is not known here").into()),
        }
        Ok(())
    }

    fn file(&mut self, entry: &mut Entry<'_, impl Read>, path: &Path, mode: u32, times: &Times) -> Result<(), Problem> {
        let (size, sparse) = (entry.size(), entry.header().entry_type() == EntryType::GNUSparse);
        if self.limit.is_some_and(|limit| self.tally.bytes.saturating_add(size) > limit) {
            return Err(Problem::Over(self.too_much(path)));
        }
        let new = {
            let (folder, _) = self.destination.parent(path)?;
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
        let (folder, name) = self.destination.parent(path)?;
        Ok(new.publish(folder, name, self.context).map_err(Stop::Broken)?)
    }

    fn report(&mut self) {
        let make = || self.tally.to_value();
        if self.size == 0 {
            self.context.partial(make);
        } else {
            let status = || (self.tally.current.display().to_string(), make());
            self.context.report_step(self.consumed.get(), self.size, status);
        }
    }

    fn refused(&self, name: &Path, reason: &str) -> Failure {
        let name = name.display().to_string();
        let message = format!("the entry '{name}' of {} is refused: {reason}", self.archive);
        let remediation = "Do not trust this archive; what was extracted before this entry is still there";
        Failure::new(ErrorCode::ValidationError, message, remediation).about(name)
    }

    fn too_much(&self, path: &Path) -> Failure {
        let limit = ByteSize(self.limit.unwrap_or_default());
        let message = format!("{} holds more than {limit}: the entry '{}' exceeds it", self.archive, path.display());
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

/// True for a sparse file whose map stands in the content, which would come out wrong.
fn holes_elsewhere(entry: &mut Entry<'_, impl Read>) -> io::Result<bool> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(false) };
    Ok(extensions.flatten().any(|extension| extension.key_bytes().starts_with(b"GNU.sparse.")))
}
