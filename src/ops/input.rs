//! A file that an operation reads for the user, or standard input.
//!
//! Used by the operations that read what was named, so that `-` means the same for all of them.

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::path::Path;

use crate::platform::path_walk;

/// The name that means standard input.
const STDIN: &str = "-";

pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}

pub(super) fn open(path: &Path) -> io::Result<File> {
    if is_stdin(path) {
        return Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    }
    path_walk::open_to_read(path)
}

/// How many bytes it will give. None: nobody knows.
pub(super) fn size(path: &Path) -> io::Result<Option<u64>> {
    if is_stdin(path) {
        let mut file = open(path)?;
        let metadata = file.metadata()?;
        // Somebody may have read a part of it.
        return Ok(if metadata.is_file() {
            Some(metadata.len().saturating_sub(file.stream_position()?))
        } else {
            None
        });
    }
    path_walk::check(path)?;
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(metadata.is_file().then_some(metadata.len()))
}
