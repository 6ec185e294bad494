//! Folders and files that are for their owner alone: made so, and never changed afterwards.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::{Error, Result};

const HELP: &str = "Check that its folder may be written, or name another one by RUNNER_STATE_DIR";

/// Makes a folder, and those above it. One that exists is left as it is.
pub fn make(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::path("make the folder", path, HELP))
}

/// Makes a folder, where the one that it is in is there.
pub fn make_one(path: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(path).map_err(Error::path("make the folder", path, HELP))
}

/// Makes an empty file. One that exists is left as it is.
pub fn make_file(path: &Path) -> Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::path("make the file", path, HELP)(error)),
    }
}

/// Opens a file to add to its end, and makes it where it is missing.
pub fn append(path: &Path) -> Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(Error::path("open", path, HELP))
}

/// Opens a file to write anywhere in it, what it holds kept. It is made where it is missing.
pub fn write(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(Error::path("open", path, HELP))
}
