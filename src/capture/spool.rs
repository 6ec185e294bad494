//! A stream of which every byte is kept: in the window as long as that holds all of it, then in a temporary file.
//!
//! The pump calls it for each portion before that goes into the window. The file has no name, so nothing of it is left
//! behind whatever ends us. Where it cannot be written it is given up, and with it the room that it took: the window
//! still has the first and the last bytes.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use crate::capture::window::Window;
use crate::error::plain;
use crate::model::outcome::Spool;

/// Where every byte of one stream is kept.
#[derive(Debug)]
pub struct Keeper {
    state: State,
    make: fn() -> io::Result<File>,
}

#[derive(Debug)]
enum State {
    /// The window has all of it.
    InMemory,
    InFile(Arc<File>),
    /// The file could not be made or written.
    GivenUp,
}

impl Keeper {
    /// `make` opens the file, once it is needed.
    pub fn new(make: fn() -> io::Result<File>) -> Self {
        Self { state: State::InMemory, make }
    }

    /// The window must not be read into directly once it is full: its oldest bytes are nowhere else.
    pub fn needs_window_whole(&self) -> bool {
        matches!(self.state, State::InMemory)
    }

    /// Takes what was read into the window's space and does not belong to it yet. Gives what went wrong, as a sentence.
    pub fn take(&mut self, window: &Window, length: usize) -> Option<String> {
        let written = match &self.state {
            State::InMemory if window.has_room_for(length) => return None,
            State::GivenUp => return None,
            State::InMemory => self.move_to_file(window, length),
            State::InFile(file) => (&**file).write_all(window.last_read(length)),
        };
        let error = written.err()?;
        self.state = State::GivenUp;
        let reason = plain(&error);
        Some(format!("the output did not fit into memory, and could not be kept whole in a temporary file: {reason}"))
    }

    fn move_to_file(&mut self, window: &Window, length: usize) -> io::Result<()> {
        let mut file = (self.make)()?;
        for part in window.parts() {
            file.write_all(part)?;
        }
        file.write_all(window.last_read(length))?;
        self.state = State::InFile(Arc::new(file));
        Ok(())
    }

    /// The file, where memory did not hold all of the stream.
    pub fn spool(&self) -> Option<Spool> {
        match &self.state {
            State::InFile(file) => Some(Spool(Arc::clone(file))),
            State::InMemory | State::GivenUp => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use proptest::prelude::{any, proptest};

    use super::Keeper;
    use crate::capture::window::Window;
    use crate::model::outcome::StreamRecord;
    use crate::platform::files::temporary;

    /// Feeds a stream as a pump does.
    fn feed(keeper: &mut Keeper, window: &mut Window, mut bytes: &[u8]) -> Vec<String> {
        let mut troubles = Vec::new();
        while !bytes.is_empty() {
            let space = if keeper.needs_window_whole() { window.space_aside() } else { window.space() };
            let length = space.len().min(bytes.len());
            space[..length].copy_from_slice(&bytes[..length]);
            troubles.extend(keeper.take(window, length));
            window.fill(length);
            bytes = &bytes[length..];
        }
        troubles
    }

    fn content(record: &StreamRecord) -> Vec<u8> {
        let Some(spool) = &record.spool else {
            assert_eq!(record.omitted, 0);
            return [record.head.as_slice(), &record.tail].concat();
        };
        let mut content = vec![0; usize::try_from(spool.0.metadata().unwrap().len()).unwrap()];
        spool.0.read_exact_at(&mut content, 0).unwrap();
        content
    }

    fn record(keeper: &Keeper, mut window: Window) -> StreamRecord {
        StreamRecord { spool: keeper.spool(), ..window.take_record(0) }
    }

    proptest! {
        #[test]
        fn every_byte_is_kept_and_no_file_is_made_before_it_is_needed(
            limit in 0_usize..400_000,
            chunks in proptest::collection::vec((any::<u8>(), 1_usize..100_000), 0..12),
        ) {
            let (mut keeper, mut window, mut whole) = (Keeper::new(temporary), Window::new(limit), Vec::new());
            for (byte, length) in chunks {
                let chunk: Vec<u8> = (0..length).map(|index| byte.wrapping_add(index as u8)).collect();
                assert!(feed(&mut keeper, &mut window, &chunk).is_empty());
                whole.extend(chunk);
            }
            let record = record(&keeper, window);
            assert_eq!(record.spool.is_some(), whole.len() > limit);
            assert!(content(&record) == whole);
        }
    }

    #[test]
    fn the_limit_itself_still_fits_into_memory() {
        for limit in [1, 1000, 65_536, 262_144] {
            for length in [limit - 1, limit, limit + 1] {
                let whole: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
                let (mut keeper, mut window) = (Keeper::new(temporary), Window::new(limit));
                feed(&mut keeper, &mut window, &whole);
                let record = record(&keeper, window);
                assert_eq!(record.spool.is_some(), length > limit, "{length} of {limit}");
                assert!(content(&record) == whole, "{length} of {limit}");
            }
        }
    }

    #[test]
    fn a_full_disk_is_told_once_and_the_window_goes_on() {
        let full = || File::options().write(true).open("/dev/full");
        let (mut keeper, mut window) = (Keeper::new(full), Window::new(1000));
        let whole = [7; 300_000];
        let troubles = feed(&mut keeper, &mut window, &whole);
        assert_eq!(troubles.len(), 1);
        assert!(troubles[0].ends_with(": No space left on device"), "{troubles:?}");
        let record = record(&keeper, window);
        assert_eq!((record.total, record.omitted, record.spool), (300_000, 299_000, None));
    }
}
