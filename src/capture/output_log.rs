//! All that a job wrote, on disk, for whoever looks later: both streams in one file as they came, and an index that tells
//! them apart.
//!
//! The pump writes, from the event loop; anybody may read meanwhile. No file is made before there is something to keep. An
//! entry of the index is written before its bytes, so that a reader who looks at the size first never takes one stream for
//! the other; an entry without bytes, of a machine that went down, is passed over.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::{Error, Result, plain};
use crate::model::outcome::StreamRecord;
use crate::platform::state_folder;

/// Which stream of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// Both, in the order of their descriptors.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];
}

/// The two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFiles {
    /// Every byte.
    pub data: PathBuf,
    /// Entries of two numbers of eight bytes, the lower byte first: where in the data it begins, and its length. What is in
    /// no entry is of stdout. An entry with the upper bit of its length set is the beginning of an attempt.
    pub index: PathBuf,
}

/// An entry of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    offset: u64,
    /// None: an attempt begins.
    stderr: Option<u64>,
}

const ENTRY_SIZE: usize = 16;
const ATTEMPT: u64 = 1 << 63;
const PORTION: usize = 64 << 10;

impl Entry {
    fn bytes(self) -> [u8; ENTRY_SIZE] {
        let mut bytes = [0; ENTRY_SIZE];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..].copy_from_slice(&self.stderr.unwrap_or(ATTEMPT).to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8; ENTRY_SIZE]) -> Self {
        let number = |part: &[u8]| part.iter().rev().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        let length = number(&bytes[8..]);
        Self { offset: number(&bytes[..8]), stderr: (length & ATTEMPT == 0).then_some(length) }
    }
}

/// Keeps the output of one attempt, behind that of earlier ones.
#[derive(Debug)]
pub struct OutputRecorder {
    files: LogFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    data: Option<File>,
    index: Option<File>,
    size: u64,
    /// The last entry, and where it stands, while the data ends with it.
    last: Option<(Entry, u64)>,
    /// Nothing more is written: it is known what is missing.
    given_up: bool,
}

impl OutputRecorder {
    /// A recorder for an attempt that begins now.
    pub fn begin(files: LogFiles) -> Result<Self> {
        let size = std::fs::metadata(&files.data).map_or(0, |found| found.len());
        let mut state = State { data: None, index: None, size, last: None, given_up: false };
        if size > 0 {
            let index = state_folder::write(&files.index)?;
            let help = "Make room on the disk of the queue's folder";
            put_behind(&index, Entry { offset: size, stderr: None }).map_err(Error::path(
                "write",
                &files.index,
                help,
            ))?;
            state.index = Some(index);
        }
        Ok(Self { files, state: Mutex::new(state) })
    }

    /// Keeps what a stream of the job wrote. Gives what went wrong, as a sentence's end; that comes once.
    pub fn write(&self, stream: Stream, bytes: &[u8]) -> Option<String> {
        let mut state = self.state.lock().ok()?;
        if state.given_up || bytes.is_empty() {
            return None;
        }
        match state.write(&self.files, stream, bytes) {
            Ok(()) => None,
            Err(reason) => {
                state.given_up = true;
                Some(format!("its log could not be written: {reason}"))
            }
        }
    }
}

impl State {
    fn write(&mut self, files: &LogFiles, stream: Stream, bytes: &[u8]) -> std::result::Result<(), String> {
        if self.data.is_none() {
            self.data = Some(open_data(&files.data).map_err(|error| error.to_string())?);
        }
        match stream {
            Stream::Stdout => self.last = None,
            Stream::Stderr => self.note_stderr(&files.index, bytes.len() as u64)?,
        }
        let Some(data) = &mut self.data else { return Ok(()) };
        data.write_all(bytes).map_err(|error| plain(&error))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// The next bytes of the data are of stderr: another entry, or more of the last.
    fn note_stderr(&mut self, path: &Path, length: u64) -> std::result::Result<(), String> {
        let told = |error: io::Error| plain(&error);
        if self.index.is_none() {
            self.index = Some(state_folder::write(path).map_err(|error| error.to_string())?);
        }
        let Some(index) = &self.index else { return Ok(()) };
        if let Some((Entry { offset, stderr: Some(before) }, place)) = self.last {
            let entry = Entry { offset, stderr: Some(before + length) };
            index.write_all_at(&entry.bytes()[8..], place + 8).map_err(told)?;
            self.last = Some((entry, place));
            return Ok(());
        }
        let entry = Entry { offset: self.size, stderr: Some(length) };
        let place = put_behind(index, entry).map_err(told)?;
        self.last = Some((entry, place));
        Ok(())
    }
}

/// Opens the data to add to it. The folder of the logs is made anew where somebody removed it; those above it are not.
fn open_data(path: &Path) -> Result<File> {
    match (state_folder::append(path), path.parent()) {
        (Err(Error::Path { source, .. }), Some(folder)) if source.kind() == ErrorKind::NotFound => {
            state_folder::make_one(folder)?;
            state_folder::append(path)
        }
        (opened, _) => opened,
    }
}

/// Puts an entry behind the others. Gives its place. A torn one of an earlier run is written over.
fn put_behind(index: &File, entry: Entry) -> io::Result<u64> {
    let length = index.metadata()?.len();
    let place = length - length % ENTRY_SIZE as u64;
    index.write_all_at(&entry.bytes(), place)?;
    Ok(place)
}

/// What was kept of a job's output until now.
#[derive(Debug)]
pub struct OutputLog {
    data: File,
    /// How much of the data was there when it was opened.
    size: u64,
    entries: Vec<Entry>,
}

impl OutputLog {
    /// None: the job has written nothing yet.
    pub fn open(files: &LogFiles) -> Result<Option<Self>> {
        let help = "Check that the folder of the queue is whole and may be read";
        let Some(data) = state_folder::read(&files.data)? else { return Ok(None) };
        // Before the index: each byte of this has its entry by then.
        let size = data.metadata().map_err(Error::path("read", &files.data, help))?.len();
        let mut index = Vec::new();
        if let Some(mut file) = state_folder::read(&files.index)? {
            file.read_to_end(&mut index).map_err(Error::path("read", &files.index, help))?;
        }
        let (entries, _torn) = index.as_chunks();
        let mut entries: Vec<Entry> = entries.iter().map(Entry::read).collect();
        entries.retain(|entry| entry.offset <= size);
        Ok(Some(Self { data, size, entries }))
    }

    /// How long the data was when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the output of the last attempt begins.
    pub fn last_attempt(&self) -> u64 {
        self.entries.iter().rev().find(|entry| entry.stderr.is_none()).map_or(0, |entry| entry.offset)
    }

    /// Hands on what was written from there on, of one stream or of both as they came. `take` gives false where it wants
    /// no more.
    pub fn copy(
        &self,
        stream: Option<Stream>,
        from: u64,
        mut take: impl FnMut(&[u8]) -> io::Result<bool>,
    ) -> io::Result<()> {
        let ranges = match stream {
            None => vec![(from, self.size)],
            Some(stream) => self.ranges(stream, from),
        };
        let mut portion = vec![0; PORTION];
        for (start, end) in ranges {
            let mut at = start;
            while at < end {
                let length = usize::try_from(end - at).unwrap_or(PORTION).min(PORTION);
                self.data.read_exact_at(&mut portion[..length], at)?;
                if !take(&portion[..length])? {
                    return Ok(());
                }
                at += length as u64;
            }
        }
        Ok(())
    }

    /// The first and the last bytes of a stream from there on, as they are kept of a job that runs in our sight.
    pub fn record(&self, stream: Stream, from: u64, limit: usize) -> io::Result<StreamRecord> {
        let ranges = self.ranges(stream, from);
        let total: u64 = ranges.iter().map(|(start, end)| end - start).sum();
        let head_limit = limit / 4;
        let head = self.read(&ranges, 0, total.min(head_limit as u64))?;
        let left = total - head.len() as u64;
        let tail_length = left.min((limit - head_limit) as u64);
        let tail = self.read(&ranges, total - tail_length, total)?;
        Ok(StreamRecord {
            captured: true,
            omitted: left - tail.len() as u64,
            head,
            tail,
            total,
            ..StreamRecord::default()
        })
    }

    /// Bytes of a stream, by their places in the stream.
    fn read(&self, ranges: &[(u64, u64)], from: u64, to: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(to - from).unwrap_or_default()];
        let (mut passed, mut filled) = (0, 0);
        for (start, end) in ranges {
            let length = end - start;
            let (first, last) = (from.max(passed), to.min(passed + length));
            if first < last {
                let count = usize::try_from(last - first).unwrap_or_default();
                self.data.read_exact_at(&mut bytes[filled..filled + count], start + (first - passed))?;
                filled += count;
            }
            passed += length;
        }
        Ok(bytes)
    }

    /// Where in the data a stream stands, from there on.
    fn ranges(&self, stream: Stream, from: u64) -> Vec<(u64, u64)> {
        let of_stderr = self.entries.iter().filter_map(|entry| {
            let end = entry.offset.saturating_add(entry.stderr?).min(self.size);
            Some((entry.offset.max(from), end)).filter(|(start, end)| start < end)
        });
        match stream {
            Stream::Stderr => of_stderr.collect(),
            Stream::Stdout => {
                let (mut ranges, mut at) = (Vec::new(), from);
                for (start, end) in of_stderr.chain([(self.size, self.size)]) {
                    if at < start {
                        ranges.push((at, start));
                    }
                    at = at.max(end);
                }
                ranges
            }
        }
    }
}

/// What was kept of both streams of the last attempt, as of a job that runs in our sight. What cannot be read is left out.
pub fn kept_output(files: &LogFiles, limit: u64) -> [StreamRecord; 2] {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let log = OutputLog::open(files).ok().flatten();
    Stream::ALL.map(|stream| match &log {
        Some(log) => log.record(stream, log.last_attempt(), limit).unwrap_or_default(),
        None => StreamRecord { captured: true, ..StreamRecord::default() },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{LogFiles, OutputLog, OutputRecorder, Stream};
    use crate::capture::window::Window;

    fn files(folder: &tempfile::TempDir) -> LogFiles {
        LogFiles { data: folder.path().join("a.log"), index: folder.path().join("a.idx") }
    }

    fn whole(log: &OutputLog, stream: Option<Stream>, from: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        log.copy(stream, from, |portion| {
            bytes.extend_from_slice(portion);
            Ok(true)
        })
        .unwrap();
        bytes
    }

    #[test]
    fn a_job_that_is_silent_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = OutputRecorder::begin(files(&folder)).unwrap();
        assert_eq!(recorder.write(Stream::Stdout, b""), None);
        assert!(OutputLog::open(&files(&folder)).unwrap().is_none());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn each_attempt_begins_behind_the_last() {
        let folder = tempfile::tempdir().unwrap();
        for attempt in ["one", "two"] {
            let recorder = OutputRecorder::begin(files(&folder)).unwrap();
            recorder.write(Stream::Stderr, format!("{attempt} failed\n").as_bytes());
            recorder.write(Stream::Stdout, attempt.as_bytes());
        }
        let log = OutputLog::open(&files(&folder)).unwrap().unwrap();
        assert_eq!(whole(&log, None, 0), b"one failed\nonetwo failed\ntwo");
        assert_eq!(log.last_attempt(), 14);
        assert_eq!(whole(&log, Some(Stream::Stdout), log.last_attempt()), b"two");
        assert_eq!(whole(&log, Some(Stream::Stderr), 0), b"one failed\ntwo failed\n");
    }

    #[test]
    fn a_torn_entry_and_one_without_bytes_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = OutputRecorder::begin(files(&folder)).unwrap();
        recorder.write(Stream::Stdout, b"out");
        recorder.write(Stream::Stderr, b"err");
        let mut index = std::fs::read(files(&folder).index).unwrap();
        index.extend_from_slice(&super::Entry { offset: 6, stderr: Some(100) }.bytes());
        index.extend_from_slice(b"torn");
        std::fs::write(files(&folder).index, index).unwrap();
        let log = OutputLog::open(&files(&folder)).unwrap().unwrap();
        assert_eq!(whole(&log, Some(Stream::Stdout), 0), b"out");
        assert_eq!(whole(&log, Some(Stream::Stderr), 0), b"err");
    }

    #[test]
    fn a_full_disk_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = OutputRecorder::begin(files(&folder)).unwrap();
        recorder.state.lock().unwrap().data = Some(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let told = recorder.write(Stream::Stdout, b"x").unwrap();
        assert_eq!(told, "its log could not be written: No space left on device");
        assert_eq!(recorder.write(Stream::Stdout, b"x"), None);
    }

    proptest! {
        #[test]
        fn both_streams_come_back_as_they_were(
            chunks in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 1..60)), 0..40),
            limit in 0_usize..300,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let recorder = OutputRecorder::begin(files(&folder)).unwrap();
            let (mut streams, mut both) = ([Vec::new(), Vec::new()], Vec::new());
            for (is_stderr, bytes) in &chunks {
                let stream = Stream::ALL[usize::from(*is_stderr)];
                assert_eq!(recorder.write(stream, bytes), None);
                streams[usize::from(*is_stderr)].extend_from_slice(bytes);
                both.extend_from_slice(bytes);
            }
            let Some(log) = OutputLog::open(&files(&folder)).unwrap() else {
                assert!(both.is_empty());
                return Ok(());
            };
            assert_eq!(whole(&log, None, 0), both);
            for (stream, bytes) in Stream::ALL.into_iter().zip(streams) {
                assert_eq!(whole(&log, Some(stream), 0), bytes);
                let mut window = Window::new(limit);
                for byte in &bytes {
                    window.space()[0] = *byte;
                    window.fill(1);
                }
                assert_eq!(log.record(stream, 0, limit).unwrap(), window.take_record(0));
            }
        }
    }
}
