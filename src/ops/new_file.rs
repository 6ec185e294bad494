//! A file in the making: it stands under its name when it is complete, and never before, however we end.
//!
//! Used by the operations that write files. Where the file system has files without a name, nothing half made is left even
//! after SIGKILL; elsewhere the half made file has a name of its own and is removed by whoever ends the operation. One
//! that replaces another has a name of its own for a moment in either case, complete, between link and rename: SIGKILL
//! at that moment leaves it there.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use crate::ops::Context;
use crate::ops::context::Scratch;
use crate::platform::folder::{Folder, Kind, temporary_name};
use crate::platform::path_walk;

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
        Self::create_named(folder, context)
    }

    /// For file systems on which every file has a name.
    fn create_named(folder: &Folder, context: &Context) -> io::Result<Self> {
        let name = temporary_name();
        let scratch = context.scratch(&folder.path().join(&name));
        let file = folder.create_named(&name)?;
        Ok(Self { file, named: Some(scratch) })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Puts it where it belongs, in the folder it was made in. What stood there is replaced where it is a file
    /// or a link.
    pub(super) fn publish(self, folder: &Folder, name: &OsStr, context: &Context) -> io::Result<()> {
        let Some(scratch) = self.named else {
            let publish = |name: &OsStr| folder.name_unnamed(&self.file, name);
            return put(folder, name, context, publish);
        };
        refuse_irreplaceable(folder, name)?;
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
    refuse_irreplaceable(folder, name)?;
    let temporary = temporary_name();
    let scratch = context.scratch(&folder.path().join(&temporary));
    make(&temporary)?;
    folder.rename(&temporary, name)?;
    scratch.keep();
    Ok(())
}

/// Fails where what stands there is no file and no link: a folder holds other things, and a FIFO, a socket or a device
/// is what others talk through. A file of another user in a sticky directory is not
/// replaced either.
pub(super) fn refuse_irreplaceable(folder: &Folder, name: &OsStr) -> io::Result<()> {
    match folder.kind(name)? {
        Some(Kind::Folder) => Err(io::ErrorKind::IsADirectory.into()),
        Some(Kind::Special) => Err(io::Error::other("a FIFO, a socket or a device stands there, and is not replaced")),
        Some(Kind::File) => path_walk::check_entry(folder, name),
        Some(Kind::Link) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::io::Write;
    use std::path::Path;

    use super::NewFile;
    use crate::ops::Context;
    use crate::ops::context::{Cancel, ScratchList};
    use crate::platform::folder::Folder;

    type Create = fn(&Folder, &Context) -> std::io::Result<NewFile>;
    const WAYS: [Create; 2] = [NewFile::create, NewFile::create_named];

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_stands_under_its_name_when_it_is_published_and_not_before() {
        for create in WAYS {
            let temporary = tempfile::tempdir().unwrap();
            let (folder, target) = (Folder::open(temporary.path()).unwrap(), temporary.path().join("name"));
            let list = ScratchList::default();
            let context = Context::new(None, Cancel::new().unwrap(), list.clone(), None);
            for content in ["first", "second"] {
                let before = fs::read(&target).ok();
                let new = create(&folder, &context).unwrap();
                new.file().write_all(content.as_bytes()).unwrap();
                assert_eq!(fs::read(&target).ok(), before);
                new.publish(&folder, OsStr::new("name"), &context).unwrap();
                assert_eq!(fs::read(&target).unwrap(), content.as_bytes());
            }
            assert_eq!(entries(temporary.path()), 1, "a temporary file was left");
            assert!(list.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing_and_a_folder_is_never_replaced() {
        for create in WAYS {
            let temporary = tempfile::tempdir().unwrap();
            let folder = Folder::open(temporary.path()).unwrap();
            let context = Context::new(None, Cancel::new().unwrap(), ScratchList::default(), None);
            drop(create(&folder, &context).unwrap());
            folder.make(OsStr::new("taken")).unwrap();
            let new = create(&folder, &context).unwrap();
            assert!(new.publish(&folder, OsStr::new("taken"), &context).is_err());
            assert_eq!(entries(temporary.path()), 1);
        }
    }
}
