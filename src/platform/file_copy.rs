//! The content of one file into another by the kernel: shared where the file system can, else moved without passing
//! through us, holes left out.
//!
//! Called by the operation `copy`, piece by piece, so that it can stop in between.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::path_walk;

/// Opens a file to be copied: no link, and no pipe that would keep us waiting for its writer.
pub fn open_source(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(path_walk::open(path, flags, Mode::empty())?.into())
}

/// Makes both share their content, which then costs nothing. False: that cannot be done here.
pub fn share(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

/// The next range at or behind `offset` that is no hole. None: nothing but a hole is left.
pub fn next_data(file: &File, offset: u64) -> io::Result<Option<Range<u64>>> {
    let start = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(start..rustix::fs::seek(file, SeekFrom::Hole(start))?))
}

/// Moves at most `limit` bytes from one file to the same place in the other. None: the kernel cannot do it between these
/// two. Zero is the end of the file, or a file system that makes its files up as they are read.
pub fn move_some(from: &File, to: &File, offset: u64, limit: usize) -> io::Result<Option<usize>> {
    let (mut source, mut target) = (offset, offset);
    loop {
        return match rustix::fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), limit) {
            Ok(count) => Ok(Some(count)),
            Err(Errno::INTR) => continue,
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM | Errno::BADF) => Ok(None),
            Err(error) => Err(error.into()),
        };
    }
}
