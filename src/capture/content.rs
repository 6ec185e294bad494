//! What was kept of a stream, read again piece by piece: from the record, or from the file that has all of it.
//!
//! Whoever writes an output out once its job is over reads it through here, so that no more of it is in memory than the
//! record itself and one piece.

use std::io;
use std::os::unix::fs::FileExt;

use crate::model::outcome::StreamRecord;

/// So much of a file is read at once.
const PIECE: usize = 128 * 1024;

/// The kept bytes of one stream, in their order.
#[derive(Debug)]
pub struct Content<'a> {
    record: &'a StreamRecord,
    /// Where in the file the next piece begins, or which part of the record is next.
    next: u64,
    buffer: Vec<u8>,
}

impl<'a> Content<'a> {
    pub fn of(record: &'a StreamRecord) -> Self {
        Self { record, next: 0, buffer: Vec::new() }
    }

    /// The next piece, none of them empty; none at the end.
    pub fn next_piece(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(spool) = &self.record.spool else {
            let parts = [self.record.head.as_slice(), &self.record.tail];
            while let Some(part) = usize::try_from(self.next).ok().and_then(|next| parts.get(next)) {
                self.next += 1;
                if !part.is_empty() {
                    return Ok(Some(part));
                }
            }
            return Ok(None);
        };
        self.buffer.resize(PIECE, 0);
        loop {
            return match spool.0.read_at(&mut self.buffer, self.next) {
                Ok(0) => Ok(None),
                Ok(length) => {
                    self.next += length as u64;
                    Ok(Some(&self.buffer[..length]))
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }
}

/// How many bytes were kept.
pub fn length(record: &StreamRecord) -> u64 {
    if record.spool.is_some() { record.total } else { (record.head.len() + record.tail.len()) as u64 }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::{Content, length};
    use crate::model::outcome::{Spool, StreamRecord};
    use crate::platform::files::temporary;

    fn whole(record: &StreamRecord) -> Vec<u8> {
        let (mut content, mut whole) = (Content::of(record), Vec::new());
        while let Some(piece) = content.next_piece().unwrap() {
            whole.extend_from_slice(piece);
        }
        whole
    }

    #[test]
    fn a_record_gives_its_parts_and_a_file_all_of_it() {
        let record = |head: &[u8], tail: &[u8]| StreamRecord {
            head: head.to_vec(),
            tail: tail.to_vec(),
            ..StreamRecord::default()
        };
        assert_eq!(whole(&record(b"", b"")), b"");
        assert_eq!(whole(&record(b"head", b"")), b"head");
        assert_eq!(whole(&record(b"", b"\0tail")), b"\0tail");
        assert_eq!((whole(&record(b"head", b"tail")), length(&record(b"head", b"tail"))), (b"headtail".to_vec(), 8));
        let bytes: Vec<u8> = (0..500_000_u32).map(|index| (index % 253) as u8).collect();
        let mut file = temporary().unwrap();
        file.write_all(&bytes).unwrap();
        let spooled = StreamRecord { spool: Some(Spool(Arc::new(file))), total: 500_000, ..record(b"he", b"il") };
        for _ in 0..2 {
            assert!(whole(&spooled) == bytes, "as often as it is asked for");
        }
        assert_eq!(length(&spooled), 500_000);
    }
}
