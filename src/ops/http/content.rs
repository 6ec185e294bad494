//! What is sent with a request, in constant memory, and what can go wrong with it that is no fault of the network.

use std::fmt;
use std::io::{self, Read};

use crate::error::plain;

/// Something to send, which is opened anew for each request.
pub(in crate::ops) trait Content {
    /// Opens it. An error says why it cannot be sent, as the part of a sentence.
    fn open(&mut self) -> Result<Portion, String>;
}

/// What is sent with one request.
pub(in crate::ops) struct Portion {
    pub(in crate::ops) reader: Box<dyn Read>,
    /// None: nobody knows, and it is sent in chunks.
    pub(in crate::ops) length: Option<u64>,
}

impl Portion {
    /// So many bytes of a reader, or all that it has. `note` is told of each piece. A reader that fails, or has fewer
    /// than it should, ends the request with [`Unreadable`].
    pub(in crate::ops) fn of(reader: impl Read + 'static, length: Option<u64>, note: impl Fn(u64) + 'static) -> Self {
        Self { reader: Box::new(Exact { reader, left: length, note }), length }
    }
}

/// The content cannot be read. Of a kind that the library hands through.
#[derive(Debug)]
pub(super) struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body cannot be read: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

fn unreadable(why: String) -> io::Error {
    io::Error::other(Unreadable(why))
}

struct Exact<R, F> {
    reader: R,
    left: Option<u64>,
    note: F,
}

impl<R: Read, F: Fn(u64)> Read for Exact<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.left.map_or(buffer.len(), |left| buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        if room == 0 {
            return Ok(0);
        }
        let count = loop {
            match self.reader.read(&mut buffer[..room]) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(plain(&error))),
            }
        };
        if let Some(left) = &mut self.left {
            if count == 0 {
                return Err(unreadable("it became shorter meanwhile".to_owned()));
            }
            *left -= count as u64;
        }
        (self.note)(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::Portion;

    #[test]
    fn what_is_longer_than_it_was_is_cut_and_what_is_shorter_is_an_error() {
        let read = |text: &'static [u8], length| {
            let mut all = String::new();
            let mut portion = Portion::of(text, length, |_| {});
            portion.reader.read_to_string(&mut all).map(|_| all).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"abc", None), Ok("abc".to_owned()));
        assert_eq!(read(b"abc", Some(3)), Ok("abc".to_owned()));
        assert_eq!(read(b"abc", Some(2)), Ok("ab".to_owned()));
        assert_eq!(read(b"", Some(0)), Ok(String::new()));
        let error = read(b"abc", Some(4)).expect_err("it is shorter");
        assert!(error.contains("became shorter"), "{error}");
    }
}
