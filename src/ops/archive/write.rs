//! Writes the entries of an archive: GNU headers, long names and long link targets, and the content of files.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::Tally;
use super::gather::{Item, List, unreadable};
use crate::model::envelope::ErrorCode;
use crate::ops::compression::{Encoder, Format};
use crate::ops::output::Output;
use crate::ops::{Context, Failure, shown};
use crate::platform::file_copy;
use crate::platform::folder::{Inode, inode};

/// The longest target of a link that fits into a header.
const SHORT_TARGET: usize = 100;
/// The latest time that eleven octal digits hold.
const MTIME_LIMIT: i64 = 0o777_7777_7777;
/// The name of an entry that holds a long target for the next one.
const LONG_LINK: &[u8] = b"././@LongLink";

type Archive<'a> = Builder<Encoder<&'a mut Output>>;

/// Why it was not written.
enum Stop {
    /// The archive itself could not be.
    Output(io::Error),
    Over(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Over(failure)
    }
}

/// Writes all of it, up to the end mark and the last byte of the compression.
pub(super) fn all(
    list: &List,
    format: Format,
    level: Option<u32>,
    output: &mut Output,
    tally: &mut Tally,
    context: &mut Context,
) -> Result<(), Failure> {
    write(list, format, level, output, tally, context).map_err(|stop| match stop {
        Stop::Output(error) => output.failure(&error),
        Stop::Over(failure) => failure,
    })
}

fn write(
    list: &List,
    format: Format,
    level: Option<u32>,
    output: &mut Output,
    tally: &mut Tally,
    context: &mut Context,
) -> Result<(), Stop> {
    let broken = Stop::Output;
    let mut archive = Builder::new(Encoder::new(format, level, output).map_err(broken)?);
    let mut first_names: HashMap<Inode, &Path> = HashMap::new();
    for item in &list.items {
        context.check()?;
        item.source.clone_into(&mut tally.current);
        let mut header = header(item);
        let metadata = &item.metadata;
        times(&mut archive, metadata).map_err(broken)?;
        let shared = (metadata.nlink() > 1 && metadata.is_file()).then(|| inode(metadata));
        if let Some(first) = shared.and_then(|inode| first_names.get(&inode)) {
            header.set_entry_type(EntryType::Link);
            link(&mut archive, header, item, first).map_err(broken)?;
            // Its bytes were counted, and need not be written again.
            tally.bytes += metadata.len();
        } else if metadata.is_symlink() {
            let target = fs::read_link(&item.source).map_err(|error| unreadable(&item.source, &error))?;
            header.set_entry_type(EntryType::Symlink);
            link(&mut archive, header, item, &target).map_err(broken)?;
        } else if metadata.is_dir() {
            header.set_entry_type(EntryType::Directory);
            // An empty last part: the name of a folder ends with a slash.
            archive.append_data(&mut header, item.name.join(""), io::empty()).map_err(broken)?;
        } else {
            file(&mut archive, header, item, tally, context)?;
        }
        if let Some(inode) = shared {
            first_names.entry(inode).or_insert(&item.name);
        }
        tally.entries += 1;
        tally.report(context);
    }
    context.check()?;
    archive.into_inner().and_then(Encoder::finish).map_err(broken)
}

fn header(item: &Item) -> Header {
    let metadata = &item.metadata;
    let mut header = Header::new_gnu();
    header.set_mode(metadata.mode() & 0o7777);
    header.set_uid(metadata.uid().into());
    header.set_gid(metadata.gid().into());
    // The field has no sign and no fractions; `times` writes what it cannot hold.
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header.set_size(0);
    header
}

/// Writes the time of change ahead of the entry, in the way of POSIX, where the header cannot hold it exactly.
fn times(archive: &mut Archive<'_>, metadata: &Metadata) -> io::Result<()> {
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    if nanoseconds == 0 && (0..=MTIME_LIMIT).contains(&seconds) {
        return Ok(());
    }
    archive.append_pax_extensions([("mtime", decimal(seconds, nanoseconds).as_bytes())])
}

/// Seconds since 1970 with a fraction. The kernel counts nanoseconds onwards even before 1970; a number does not.
fn decimal(seconds: i64, nanoseconds: i64) -> String {
    let (sign, seconds, nanoseconds) = match (seconds < 0, nanoseconds) {
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, _) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
        (false, _) => ("", seconds.unsigned_abs(), nanoseconds),
    };
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes a link of either kind, its target byte for byte.
fn link(archive: &mut Archive<'_>, mut header: Header, item: &Item, target: &Path) -> io::Result<()> {
    let target = target.as_os_str().as_bytes();
    if target.len() <= SHORT_TARGET {
        header.set_link_name_literal(target)?;
    } else {
        let mut long = Header::new_gnu();
        long.as_old_mut().name[..LONG_LINK.len()].copy_from_slice(LONG_LINK);
        long.set_mode(0o644);
        long.set_uid(0);
        long.set_gid(0);
        long.set_mtime(0);
        long.set_size(target.len() as u64 + 1);
        long.set_entry_type(EntryType::GNULongLink);
        long.set_cksum();
        archive.append(&long, target.chain(&b"\0"[..]))?;
        // For readers that know nothing of the entry before.
        header.set_link_name_literal(&target[..SHORT_TARGET])?;
    }
    archive.append_data(&mut header, &item.name, io::empty())
}

/// Writes a regular file.
fn file(
    archive: &mut Archive<'_>,
    mut header: Header,
    item: &Item,
    tally: &mut Tally,
    context: &mut Context,
) -> Result<(), Stop> {
    let opened = file_copy::open_source(&item.source).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.map_err(|error| unreadable(&item.source, &error))?;
    if !metadata.is_file() {
        return Err(changed(&item.source, "is no regular file any more").into());
    }
    header.set_entry_type(EntryType::Regular);
    header.set_size(metadata.len());
    let left = Cell::new(metadata.len());
    let trouble = Cell::new(None);
    let reader = Watched { file, left: &left, trouble: &trouble, tally, context };
    let appended = archive.append_data(&mut header, &item.name, reader);
    match (trouble.take(), appended) {
        (Some(Trouble::Over(failure)), _) => Err(failure.into()),
        (Some(Trouble::Read(error)), _) => Err(unreadable(&item.source, &error).into()),
        (None, Err(error)) => Err(Stop::Output(error)),
        // The size stands in the header before, and there is no way to correct it.
        (None, Ok(())) if left.get() > 0 => Err(changed(&item.source, "became shorter while it was read").into()),
        (None, Ok(())) => Ok(()),
    }
}

fn changed(path: &Path, how: &str) -> Failure {
    let message = format!("{} {how}", shown::text(path));
    let remediation = "Archive it while nobody changes it, or a copy of it";
    Failure::new(ErrorCode::Conflict, message, remediation).about(shown::text(path))
}

/// Why reading a file ended early.
enum Trouble {
    Read(io::Error),
    Over(Failure),
}

/// Reads as many bytes of a file as its header says, counts them, and stops when told to.
struct Watched<'a> {
    file: File,
    left: &'a Cell<u64>,
    trouble: &'a Cell<Option<Trouble>>,
    tally: &'a mut Tally,
    context: &'a mut Context,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What is told to the writer in between counts for nothing; the trouble does.
        let stop = |trouble| {
            self.trouble.set(Some(trouble));
            Err(io::ErrorKind::Other.into())
        };
        if let Err(failure) = self.context.check() {
            return stop(Trouble::Over(failure));
        }
        let limit = buffer.len().min(usize::try_from(self.left.get()).unwrap_or(usize::MAX));
        match self.file.read(&mut buffer[..limit]) {
            Ok(count) => {
                self.left.set(self.left.get() - count as u64);
                self.tally.bytes += count as u64;
                self.tally.report(self.context);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => stop(Trouble::Read(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::decimal;

    #[test]
    fn times_are_written_as_numbers() {
        for (time, text) in [
            ((7, 0), "7"),
            ((10, 0), "10"),
            ((7, 500_000_000), "7.5"),
            ((-10, 0), "-10"),
            ((-1, 500_000_000), "-0.5"),
            ((-4, 999_999_999), "-3.000000001"),
        ] {
            assert_eq!(decimal(time.0, time.1), text, "{time:?}");
        }
    }

    #[test]
    fn an_empty_last_part_is_a_slash() {
        assert_eq!(Path::new("a/b").join("").as_os_str(), "a/b/");
    }
}
