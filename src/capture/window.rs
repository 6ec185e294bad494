//! The first and the last bytes of a stream, within a limit: a quarter from the head, the rest from the tail.
//!
//! A reader fills its free space directly, so that keeping costs no second copy. Memory grows with what comes, up to the
//! limit.

use crate::model::outcome::StreamRecord;

/// The least that is worth a read(2) of its own.
const READ_SIZE: usize = 64 * 1024;
/// What a quiet stream gets at first.
const FIRST_SIZE: usize = 4 * 1024;

/// Bounded head and tail of one stream.
#[derive(Clone, Debug)]
pub struct Window {
    head: Part,
    /// A ring once it is full.
    tail: Part,
    /// The tail has been filled once: the oldest byte stands at its position.
    wrapped: bool,
    /// Bytes land here first where a part is too small to be read into.
    scratch: Vec<u8>,
    last: Place,
    total: u64,
}

/// Where the last free space was given out, and where in it the bytes of the last fill stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Tail,
    Scratch,
}

#[derive(Clone, Debug)]
struct Part {
    bytes: Vec<u8>,
    limit: usize,
    position: usize,
}

impl Part {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, position: 0 }
    }

    /// The space behind the position, grown where it may grow.
    fn space(&mut self) -> &mut [u8] {
        if self.position == self.bytes.len() && self.bytes.len() < self.limit {
            let size = (self.bytes.len() * 2).max(FIRST_SIZE).min(self.limit);
            self.bytes.resize(size, 0);
        }
        &mut self.bytes[self.position..]
    }
}

impl Window {
    /// Keeps at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let head = limit / 4;
        Self {
            head: Part::new(head),
            tail: Part::new(limit - head),
            wrapped: false,
            scratch: Vec::new(),
            last: Place::Scratch,
            total: 0,
        }
    }

    /// Bytes that the stream had so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// So many bytes more can be kept without omitting any.
    pub fn has_room_for(&self, length: usize) -> bool {
        self.total + length as u64 <= (self.head.limit + self.tail.limit) as u64
    }

    /// Free space to read into; never empty. It may be where the oldest bytes of the tail stand.
    pub fn space(&mut self) -> &mut [u8] {
        self.last = if self.head.position < self.head.limit {
            Place::Head
        } else if self.tail.limit >= READ_SIZE {
            Place::Tail
        } else {
            Place::Scratch
        };
        if self.last != Place::Scratch {
            self.scratch = Vec::new();
        }
        match self.last {
            Place::Head => self.head.space(),
            Place::Tail => {
                if self.tail.position == self.tail.limit {
                    self.tail.position = 0;
                    self.wrapped = true;
                }
                self.tail.space()
            }
            Place::Scratch => self.scratch_space(),
        }
    }

    /// The same, but never in the place of bytes that are kept: those stay until the space is filled.
    pub fn space_aside(&mut self) -> &mut [u8] {
        if self.has_room_for(1) {
            return self.space();
        }
        self.last = Place::Scratch;
        self.scratch_space()
    }

    fn scratch_space(&mut self) -> &mut [u8] {
        self.scratch.resize(READ_SIZE, 0);
        &mut self.scratch
    }

    /// The first `length` bytes of the space, before they are filled.
    pub fn last_read(&self, length: usize) -> &[u8] {
        match self.last {
            Place::Head => &self.head.bytes[self.head.position..self.head.position + length],
            Place::Tail => &self.tail.bytes[self.tail.position..self.tail.position + length],
            Place::Scratch => &self.scratch[..length],
        }
    }

    /// All bytes so far in their order, where none was omitted.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head.bytes[..self.head.position], &self.tail.bytes[..self.tail.position]]
    }

    /// The first `length` bytes of the space were filled. Gives them.
    pub fn fill(&mut self, length: usize) -> &[u8] {
        self.total += length as u64;
        match self.last {
            Place::Head => {
                self.head.position += length;
                &self.head.bytes[self.head.position - length..self.head.position]
            }
            Place::Tail => {
                self.tail.position += length;
                &self.tail.bytes[self.tail.position - length..self.tail.position]
            }
            Place::Scratch => {
                self.keep_scratch(length);
                &self.scratch[..length]
            }
        }
    }

    fn keep_scratch(&mut self, length: usize) {
        let limit = self.tail.limit;
        // All that was read before is in the tail already, unless that is full.
        let needed = self.tail.position + length;
        if self.tail.bytes.len() < limit {
            let size = needed.max(self.tail.bytes.len()).next_power_of_two().min(limit);
            self.tail.bytes.resize(size, 0);
        }
        let mut bytes = &self.scratch[..length];
        if bytes.len() > limit {
            bytes = &bytes[bytes.len() - limit..];
        }
        while !bytes.is_empty() {
            if self.tail.position == limit {
                self.tail.position = 0;
                self.wrapped = true;
            }
            let part = bytes.len().min(limit - self.tail.position);
            self.tail.bytes[self.tail.position..self.tail.position + part].copy_from_slice(&bytes[..part]);
            self.tail.position += part;
            bytes = &bytes[part..];
        }
    }

    /// What is kept so far.
    pub fn record_so_far(&self) -> StreamRecord {
        self.clone().take_record(0)
    }

    /// What was kept. It is taken out, since nobody asks twice and many records may wait for whoever writes them.
    pub fn take_record(&mut self, undelivered: u64) -> StreamRecord {
        let mut head = std::mem::take(&mut self.head.bytes);
        head.truncate(self.head.position);
        head.shrink_to_fit();
        let mut tail = std::mem::take(&mut self.tail.bytes);
        if self.wrapped {
            tail.rotate_left(self.tail.position);
        } else {
            tail.truncate(self.tail.position);
        }
        tail.shrink_to_fit();
        let omitted = self.total - (head.len() + tail.len()) as u64;
        StreamRecord { captured: true, head, tail, total: self.total, omitted, undelivered, spool: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::Window;

    fn feed(window: &mut Window, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = window.space();
            let length = space.len().min(bytes.len());
            space[..length].copy_from_slice(&bytes[..length]);
            assert_eq!(window.fill(length), &bytes[..length]);
            bytes = &bytes[length..];
        }
    }

    #[test]
    fn a_short_stream_is_kept_whole() {
        let mut window = Window::new(256 * 1024);
        feed(&mut window, b"hello");
        let record = window.take_record(0);
        assert_eq!((record.head.as_slice(), record.tail.as_slice(), record.omitted), (&b"hello"[..], &b""[..], 0));
    }

    proptest! {
        #[test]
        fn head_and_tail_are_the_ends_of_the_stream(
            limit in 0_usize..400_000,
            chunks in proptest::collection::vec((any::<u8>(), 1_usize..100_000), 0..20),
        ) {
            let mut window = Window::new(limit);
            let mut whole = Vec::new();
            for (byte, length) in chunks {
                let chunk: Vec<u8> = (0..length).map(|index| byte.wrapping_add(index as u8)).collect();
                feed(&mut window, &chunk);
                whole.extend(chunk);
            }
            let record = window.take_record(0);
            assert_eq!(record.total, whole.len() as u64);
            assert_eq!(record.head, whole[..whole.len().min(limit / 4)]);
            assert!(record.head.len() + record.tail.len() <= limit);
            let kept = whole.len().min(limit);
            assert_eq!(record.head.len() + record.tail.len(), kept);
            assert_eq!(record.tail, whole[whole.len() - (kept - record.head.len())..]);
            assert_eq!(record.omitted, (whole.len() - kept) as u64);
        }
    }
}
