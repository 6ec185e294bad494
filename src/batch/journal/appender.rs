//! Appends whole lines to a journal, or nothing: what a full disk cuts short is taken away again.
//!
//! Room for the end of a job is set aside before it starts, so that a disk that fills up meanwhile does not make us
//! forget what was done. Where records could not be written all the same they are kept, and written before any later one.

use std::collections::VecDeque;
use std::io;

/// Set aside at once, so that few calls are needed.
const CHUNK: u64 = 256 * 1024;
/// For the record at the end of a run.
const LAST_RECORD: u64 = 256;

/// The file below, as far as an appender needs it.
pub(super) trait Storage: Send {
    /// One write(2) at the end of the file.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts the file off, provided that it is as long as `present`.
    fn cut(&mut self, present: u64, length: u64) -> io::Result<()>;

    /// Sets room aside up to `end`, without making the file longer. False: this file system cannot.
    fn reserve(&mut self, present: u64, end: u64) -> io::Result<bool>;
}

#[derive(Debug)]
pub(super) struct Appender<S> {
    pub(super) storage: S,
    /// Where the last whole line ends.
    length: u64,
    /// Bytes of a torn line behind it that could not be taken away.
    torn: u64,
    /// So far there is room.
    reserved: u64,
    /// What could not be written yet.
    unwritten: VecDeque<Vec<u8>>,
}

impl<S: Storage> Appender<S> {
    /// Goes on behind `length` bytes of whole lines, and `torn` ones that are none.
    pub(super) fn new(storage: S, length: u64, torn: u64) -> Self {
        Self { storage, length, torn, reserved: 0, unwritten: VecDeque::new() }
    }

    /// How many records could not be written yet.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    /// Writes a record, provided that there is room for `promised` bytes behind it. On an error nothing of it is there.
    pub(super) fn write(&mut self, record: &[u8], promised: u64) -> io::Result<()> {
        self.catch_up()?;
        self.reserve(self.length + self.torn + 1 + record.len() as u64 + promised + LAST_RECORD)?;
        self.append(record)
    }

    /// Writes a record now or, where that fails, as soon as it can be.
    pub(super) fn write_surely(&mut self, record: Vec<u8>) -> io::Result<()> {
        self.unwritten.push_back(record);
        self.catch_up()
    }

    /// Writes what could not be written before.
    pub(super) fn catch_up(&mut self) -> io::Result<()> {
        while let Some(record) = self.unwritten.pop_front() {
            if let Err(error) = self.append(&record) {
                self.unwritten.push_front(record);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes away what was torn, and the room that was set aside.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        self.storage.cut(self.length + self.torn, self.length)?;
        self.torn = 0;
        self.reserved = 0;
        Ok(())
    }

    fn reserve(&mut self, end: u64) -> io::Result<()> {
        if end <= self.reserved {
            return Ok(());
        }
        let present = self.length + self.torn;
        let (wished, able) = match self.storage.reserve(present, end + CHUNK) {
            Ok(able) => (end + CHUNK, able),
            Err(_) => (end, self.storage.reserve(present, end)?),
        };
        self.reserved = if able { wished } else { u64::MAX };
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if self.torn > 0 && self.storage.cut(self.length + self.torn, self.length).is_ok() {
            self.torn = 0;
        }
        if self.torn == 0 {
            return self.append_line(record);
        }
        // What is torn becomes a line of its own, which readers leave out.
        let mut line = Vec::with_capacity(record.len() + 1);
        line.push(b'\n');
        line.extend_from_slice(record);
        self.append_line(&line)
    }

    fn append_line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < line.len() {
            let error = match self.storage.append(&line[done..]) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(more) => {
                    // The rest of a short write gives the reason why it was short, if there is one still.
                    done += more;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let present = self.length + self.torn + done as u64;
            if done > 0 {
                match self.storage.cut(present, self.length) {
                    Ok(()) => self.torn = 0,
                    Err(_) => self.torn += done as u64,
                }
            }
            return Err(error);
        }
        self.length += self.torn + line.len() as u64;
        self.torn = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Appender, CHUNK, LAST_RECORD, Storage};

    /// A disk in memory, with so much room.
    #[derive(Debug, Default)]
    struct Disk {
        content: Vec<u8>,
        room: usize,
        reserved: u64,
        /// What is torn stays.
        cannot_cut: bool,
        cannot_reserve: bool,
        interrupted: bool,
        writes: u32,
    }

    fn full() -> io::Error {
        io::Error::from_raw_os_error(libc::ENOSPC)
    }

    impl Storage for Disk {
        fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::take(&mut self.interrupted) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.writes += 1;
            let taken = bytes.len().min(self.room.saturating_sub(self.content.len()));
            if taken == 0 {
                return Err(full());
            }
            self.content.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn cut(&mut self, present: u64, length: u64) -> io::Result<()> {
            assert_eq!(present, self.content.len() as u64);
            if self.cannot_cut {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            self.content.truncate(length as usize);
            self.reserved = 0;
            Ok(())
        }

        fn reserve(&mut self, present: u64, end: u64) -> io::Result<bool> {
            assert_eq!(present, self.content.len() as u64);
            if self.cannot_reserve {
                return Ok(false);
            }
            if end > self.room as u64 {
                return Err(full());
            }
            self.reserved = end;
            Ok(true)
        }
    }

    fn with_room(room: usize) -> Appender<Disk> {
        Appender::new(Disk { room, ..Disk::default() }, 0, 0)
    }

    fn text(appender: &Appender<Disk>) -> &str {
        std::str::from_utf8(&appender.storage.content).unwrap()
    }

    const PLENTY: usize = 1 << 30;

    #[test]
    fn a_record_is_one_write_also_after_an_interruption() {
        let mut appender = with_room(PLENTY);
        appender.storage.interrupted = true;
        appender.write(b"one\n", 0).unwrap();
        appender.write_surely(b"two\n".to_vec()).unwrap();
        assert_eq!(text(&appender), "one\ntwo\n");
        assert_eq!(appender.storage.writes, 2);
    }

    #[test]
    fn what_a_full_disk_cuts_short_is_taken_away() {
        let mut appender = with_room(6);
        appender.storage.cannot_reserve = true;
        appender.write(b"one\n", 0).unwrap();
        assert_eq!(appender.write(b"two\n", 0).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(text(&appender), "one\n");
        appender.storage.room = PLENTY;
        appender.write(b"three\n", 0).unwrap();
        assert_eq!(text(&appender), "one\nthree\n", "what failed is not written later");
    }

    #[test]
    fn what_cannot_be_taken_away_becomes_a_line_of_its_own() {
        let mut appender = with_room(6);
        (appender.storage.cannot_reserve, appender.storage.cannot_cut) = (true, true);
        appender.write(b"one\n", 0).unwrap();
        appender.write(b"two\n", 0).unwrap_err();
        appender.write(b"two\n", 0).unwrap_err();
        assert_eq!(text(&appender), "one\ntw");
        appender.storage.room = 8;
        appender.write(b"two\n", 0).unwrap_err();
        assert_eq!(text(&appender), "one\ntw\nt");
        appender.storage.room = PLENTY;
        appender.write(b"three\n", 0).unwrap();
        appender.write(b"four\n", 0).unwrap();
        assert_eq!(text(&appender), "one\ntw\nt\nthree\nfour\n");
    }

    #[test]
    fn what_was_torn_is_cut_off_as_soon_as_it_can_be() {
        let mut appender = with_room(6);
        (appender.storage.cannot_reserve, appender.storage.cannot_cut) = (true, true);
        appender.write(b"one\n", 0).unwrap();
        appender.write(b"two\n", 0).unwrap_err();
        (appender.storage.cannot_cut, appender.storage.room) = (false, PLENTY);
        appender.write(b"three\n", 0).unwrap();
        assert_eq!(text(&appender), "one\nthree\n");
    }

    #[test]
    fn an_end_that_cannot_be_written_is_kept_and_comes_before_any_later_record() {
        let mut appender = with_room(0);
        appender.storage.cannot_reserve = true;
        appender.write_surely(b"one\n".to_vec()).unwrap_err();
        appender.write_surely(b"two\n".to_vec()).unwrap_err();
        assert_eq!(appender.unwritten(), 2);
        appender.write(b"three\n", 0).unwrap_err();
        appender.storage.room = PLENTY;
        appender.write(b"four\n", 0).unwrap();
        assert_eq!((text(&appender), appender.unwritten()), ("one\ntwo\nfour\n", 0));
    }

    #[test]
    fn no_job_begins_without_room_for_its_end() {
        let promised: usize = 100;
        let exact = 1 + 4 + promised + LAST_RECORD as usize;
        with_room(exact).write(b"one\n", promised as u64).unwrap();
        let mut appender = with_room(exact - 1);
        appender.write(b"one\n", promised as u64).unwrap_err();
        assert_eq!(text(&appender), "");
    }

    #[test]
    fn room_is_set_aside_in_pieces_and_given_back() {
        let mut appender = with_room(PLENTY);
        appender.write(b"one\n", 100).unwrap();
        let reserved = appender.storage.reserved;
        assert!(reserved > CHUNK);
        appender.write(b"two\n", 100).unwrap();
        assert_eq!(appender.storage.reserved, reserved);
        appender.trim().unwrap();
        assert_eq!(appender.storage.reserved, 0);
        appender.write(b"three\n", 100).unwrap();
        assert!(appender.storage.reserved > CHUNK);
    }
}
