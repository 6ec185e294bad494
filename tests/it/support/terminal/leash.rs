//! The proof that a tree is dead: a FIFO whose write end every process of the tree holds. Its end is their end.
//!
//! A job takes the leash with `exec 9>leash` and says so with `printf + >&9`; its children inherit it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Scratch, until};

pub(crate) struct Leash {
    reader: File,
    held: usize,
}

impl Leash {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        Self::named(scratch, "leash")
    }

    pub(crate) fn named(scratch: &Scratch, name: &str) -> Self {
        let path = scratch.path(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
        let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a flag");
        let reader = OpenOptions::new().read(true).custom_flags(nonblock).open(&path).expect("the FIFO opens");
        Self { reader, held: 0 }
    }

    /// Waits until so many processes altogether have said that they hold the leash.
    #[track_caller]
    pub(crate) fn held_by(&mut self, processes: usize) {
        until(&format!("{processes} processes hold the leash"), || {
            self.look();
            self.held >= processes
        });
    }

    /// Waits until no process holds the leash any more, after at least one did.
    #[track_caller]
    pub(crate) fn freed(&mut self) {
        until("every process of the tree is dead", || !self.look() && self.held > 0);
    }

    /// Whether some process holds it now.
    pub(crate) fn is_held(&mut self) -> bool {
        self.look()
    }

    /// Reads what is there; false when nobody holds the write end.
    fn look(&mut self) -> bool {
        let mut buffer = [0; 64];
        loop {
            match self.reader.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.held += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("the leash cannot be read: {error}"),
            }
        }
    }
}
