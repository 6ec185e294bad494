//! Room for what a file will hold: set aside before it is needed, and never beyond the limit that we run under.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::process::Resource;

/// Sets room aside between two places of a file, whose length stays. False: this file system cannot.
pub fn reserve(file: &File, from: u64, to: u64) -> io::Result<bool> {
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, to.saturating_sub(from).max(1)) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The length that no file of ours may exceed (RLIMIT_FSIZE). A write beyond it would end us by SIGXFSZ.
pub fn longest_file() -> u64 {
    rustix::process::getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

/// Makes the name of a new file durable.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    super::path_walk::locate_file(path)?.0.sync()
}
