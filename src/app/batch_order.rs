//! Outputs of jobs that are over, held until those of the jobs before them in the list have been written.
//!
//! The deliverer's thread alone calls it. What does not fit into a bounded memory goes into one file without a name. If
//! that cannot be written, it stays in memory: nothing is lost, and the order holds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::capture::content::Content;
use crate::model::outcome::StreamRecord;
use crate::platform::files;

/// So much is held in memory.
const MEMORY: usize = 8 << 20;

/// The output of one job, in the order in which it is written.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    /// Stands before its lines, where they get a label.
    pub label: Option<Arc<[u8]>>,
    pub parts: Vec<Part>,
    /// What it takes of the memory, roughly.
    pub weight: usize,
}

#[derive(Debug)]
pub(super) struct Part {
    /// Stdout (0) or stderr (1).
    pub stream: usize,
    pub source: Source,
}

/// Where the bytes of a part are.
#[derive(Debug)]
pub(super) enum Source {
    Record(StreamRecord),
    Held { file: Arc<File>, offset: u64, length: u64 },
}

/// Gives outputs in the order of the list.
#[derive(Debug)]
pub(super) struct Order {
    /// The job whose output is written next.
    next: u64,
    held: BTreeMap<u64, Held>,
    memory: usize,
    limit: usize,
    file: Option<Arc<File>>,
    file_end: u64,
    in_file: usize,
}

#[derive(Debug)]
enum Held {
    Bundle {
        bundle: Bundle,
        in_file: bool,
    },
    /// Nothing will come of the jobs up to this one.
    Nothing {
        last: u64,
    },
}

impl Order {
    pub(super) fn new() -> Self {
        Self { next: 1, held: BTreeMap::new(), memory: 0, limit: MEMORY, file: None, file_end: 0, in_file: 0 }
    }

    /// The output of this job.
    pub(super) fn put(&mut self, seq: u64, mut bundle: Bundle) {
        let mut in_file = false;
        if seq > self.next && self.memory + bundle.weight > self.limit {
            in_file = self.move_to_file(&mut bundle).is_ok();
        }
        if in_file {
            self.in_file += 1;
        } else {
            self.memory += bundle.weight;
        }
        self.held.insert(seq, Held::Bundle { bundle, in_file });
    }

    /// Nothing will come of these jobs.
    pub(super) fn pass_over(&mut self, first: u64, last: u64) {
        self.held.insert(first, Held::Nothing { last });
    }

    /// The next output, where it is there.
    pub(super) fn take(&mut self) -> Option<Bundle> {
        while let Some((&seq, _)) = self.held.first_key_value()
            && seq <= self.next
        {
            if let Some(bundle) = self.take_first() {
                return Some(bundle);
            }
        }
        None
    }

    /// The first of those that are there, whatever is missing before it.
    pub(super) fn take_any(&mut self) -> Option<Bundle> {
        while !self.held.is_empty() {
            if let Some(bundle) = self.take_first() {
                return Some(bundle);
            }
        }
        None
    }

    fn take_first(&mut self) -> Option<Bundle> {
        let (seq, held) = self.held.pop_first()?;
        match held {
            Held::Nothing { last } => {
                self.next = self.next.max(last + 1);
                None
            }
            Held::Bundle { bundle, in_file } => {
                self.next = self.next.max(seq + 1);
                if in_file {
                    self.in_file -= 1;
                } else {
                    self.memory -= bundle.weight;
                }
                Some(bundle)
            }
        }
    }

    /// The output that was taken last has been written: its room in the file is free again.
    pub(super) fn tidy(&mut self, bundle: &Bundle) {
        for part in &bundle.parts {
            if let Source::Held { file, offset, length } = &part.source {
                files::punch(file, *offset, *length);
            }
        }
        if let (0, true, Some(file)) = (self.in_file, self.file_end > 0, &self.file)
            && file.set_len(0).is_ok()
        {
            self.file_end = 0;
        }
    }

    /// All of it or nothing.
    fn move_to_file(&mut self, bundle: &mut Bundle) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(Arc::new(files::temporary()?))),
        };
        let begin = self.file_end;
        let mut end = begin;
        let mut places = Vec::new();
        for part in &bundle.parts {
            let Source::Record(record) = &part.source else { continue };
            let offset = end;
            let mut content = Content::of(record);
            while let Some(piece) = content.next_piece()? {
                if let Err(error) = file.write_all_at(piece, end) {
                    let _ = file.set_len(begin);
                    return Err(error);
                }
                end += piece.len() as u64;
            }
            places.push((offset, end - offset));
        }
        for (part, (offset, length)) in bundle.parts.iter_mut().zip(places) {
            part.source = Source::Held { file: Arc::clone(&file), offset, length };
        }
        self.file_end = end;
        Ok(())
    }
}

impl Source {
    /// Gives the bytes to `take` piece by piece, until there are no more or it wants none.
    pub(super) fn read(&self, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        match self {
            Self::Record(record) => {
                let mut content = Content::of(record);
                while let Some(piece) = content.next_piece()? {
                    if !take(piece) {
                        break;
                    }
                }
            }
            Self::Held { file, offset, length } => {
                let mut buffer = vec![0; usize::try_from(*length).unwrap_or(usize::MAX).min(128 * 1024)];
                let (mut at, end) = (*offset, offset + length);
                while at < end {
                    let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
                    file.read_exact_at(&mut buffer[..wanted], at)?;
                    at += wanted as u64;
                    if !take(&buffer[..wanted]) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, proptest};

    use super::{Bundle, Order, Part, Source};
    use crate::model::outcome::StreamRecord;

    fn bundle(seq: u64) -> Bundle {
        let head = vec![u8::try_from(seq).unwrap(); 1000 * usize::try_from(seq).unwrap()];
        let weight = head.len();
        let source = Source::Record(StreamRecord { head, ..StreamRecord::default() });
        Bundle { label: None, parts: vec![Part { stream: 0, source }], weight }
    }

    fn content(bundle: &Bundle) -> Vec<u8> {
        let mut content = Vec::new();
        for part in &bundle.parts {
            part.source
                .read(|piece| {
                    content.extend_from_slice(piece);
                    true
                })
                .unwrap();
        }
        content
    }

    fn orders() -> impl Strategy<Value = Vec<u64>> {
        Just((1..=40).collect::<Vec<u64>>()).prop_shuffle()
    }

    proptest! {
        /// However the jobs end, their outputs come in order and whole, and the file is empty at the end.
        #[test]
        fn outputs_come_in_the_order_of_the_list(ends in orders(), passed in 1_u64..40, limit in 0_usize..200_000) {
            let mut order = Order { limit, ..Order::new() };
            let mut seen = Vec::new();
            for seq in ends {
                if seq == passed {
                    order.pass_over(seq, seq);
                } else {
                    order.put(seq, bundle(seq));
                }
                // The one that is written next is never put into the file.
                assert!(order.memory <= limit + 40_000);
                while let Some(bundle) = order.take() {
                    let content = content(&bundle);
                    seen.push(u64::from(content[0]));
                    assert_eq!(content.len(), 1000 * usize::from(content[0]));
                    order.tidy(&bundle);
                }
            }
            assert_eq!(seen, (1..=40).filter(|seq| *seq != passed).collect::<Vec<u64>>());
            assert_eq!((order.memory, order.in_file, order.file_end), (0, 0, 0));
        }
    }

    #[test]
    fn what_is_missing_keeps_nothing_back_in_the_end() {
        let mut order = Order::new();
        for seq in [5, 3, 9] {
            order.put(seq, bundle(seq));
        }
        assert!(order.take().is_none());
        let mut seen = Vec::new();
        while let Some(bundle) = order.take_any() {
            seen.push(content(&bundle)[0]);
        }
        assert_eq!(seen, [3, 5, 9]);
    }
}
