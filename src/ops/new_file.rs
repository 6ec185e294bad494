//! A file in the making: it stands under its name when it is complete, and never before, however we end.
//!
//! Used by the operations that write files. Where the file system has files without a name, nothing is left even after
//! SIGKILL; elsewhere the half made file has a name of its own and is removed by whoever ends the operation.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use crate::ops::Context;
use crate::ops::context::Scratch;
use crate::platform::folder::{Folder, Kind};

/// A file that is being written.
#[derive(Debug)]
pub(super) struct NewFile {
    file: File,
    named: Option<Scratch>,
}

impl NewFile {
    pub(super) fn create(folder: &Folder, context: &Context) -> io::Result<Self> {
        if let Some(file) = folder.create_unnamed()? {
            return Ok(Self { file, named: None });
        }
        let name = temporary_name();
        let scratch = context.scratch(&folder.path().join(&name));
        let file = folder.create_named(&name)?;
        Ok(Self { file, named: Some(scratch) })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Puts it where it belongs, in the folder it was made in. What stood there is replaced, unless it is a folder.
    pub(super) fn publish(self, folder: &Folder, name: &OsStr, context: &Context) -> io::Result<()> {
        let Some(scratch) = self.named else {
            let publish = |name: &OsStr| folder.name_unnamed(&self.file, name);
            return put(folder, name, context, publish);
        };
        refuse_folder(folder, name)?;
        let temporary = scratch.path().file_name().expect("it was made with a name").to_owned();
        folder.rename(&temporary, name)?;
        scratch.keep();
        Ok(())
    }
}

/// Makes a name by `make`, which fails where the name is taken: then it makes another, which replaces the first.
pub(super) fn put(
    folder: &Folder,
    name: &OsStr,
    context: &Context,
    make: impl Fn(&OsStr) -> io::Result<()>,
) -> io::Result<()> {
    match make(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    refuse_folder(folder, name)?;
    let temporary = temporary_name();
    let scratch = context.scratch(&folder.path().join(&temporary));
    make(&temporary)?;
    folder.rename(&temporary, name)?;
    scratch.keep();
    Ok(())
}

fn refuse_folder(folder: &Folder, name: &OsStr) -> io::Result<()> {
    if folder.kind(name)? == Some(Kind::Folder) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(())
}

fn temporary_name() -> OsString {
    format!(".runner-{}.tmp", uuid::Uuid::now_v7().simple()).into()
}
