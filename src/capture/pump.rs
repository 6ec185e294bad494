//! Moves one stream of a job: from its pipe to our reader, to the log and into the window, without ever waiting.
//!
//! The event loop calls it when there may be something to do and asks what to wait for next. Where our reader is a pipe
//! too, the kernel copies the pages; what the reader does not take stays in the job's pipe, so that the job itself waits,
//! as it would without us.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::capture::mask::{Masker, Masking};
use crate::capture::osc::OscScanner;
use crate::capture::outlet::Outlet;
use crate::capture::output_log::{OutputRecorder, Stream};
use crate::capture::spool::Keeper;
use crate::capture::window::Window;
use crate::model::outcome::{Progress, StreamRecord};
use crate::model::secrets::Secrets;
use crate::platform::descriptors::{self, Moved};
use crate::platform::doorbell::Doorbell;
use crate::platform::files;

/// At most so much is moved before the event loop looks at its deadlines again.
const PORTION: u64 = 4 << 20;
/// At most so much is copied from pipe to pipe at once.
const COPY_SIZE: usize = 1 << 20;
/// A writer that fills the first pipe gets one of this size.
const WIDE_PIPE: usize = 1 << 20;
/// A terminal holds no more than this, so what was written before its end is among so many bytes.
const TERMINAL_BUFFER: u64 = 1 << 20;
/// So many bytes make a fast writer.
const FAST_WRITER: u64 = 256 * 1024;

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Bytes from the job.
    ForJob,
    /// Room at our reader.
    ForReader,
    /// Room at a thread, which rings.
    ForThread,
    /// Nothing: it is over.
    Ended,
}

/// One stream of a job.
#[derive(Debug)]
pub struct Pump {
    /// Gone once nothing more is read.
    source: Option<OwnedFd>,
    job_end: String,
    /// The source is a terminal of ours, in which the job may write its progress.
    terminal: Option<OscScanner>,
    progress: Option<Progress>,
    window: Window,
    /// Where every byte is to be kept.
    keeper: Option<Keeper>,
    /// Where every byte goes for whoever looks later.
    record: Option<(Arc<OutputRecorder>, Stream)>,
    /// What is kept and logged holds no secrets.
    masking: Option<Box<Masking>>,
    reader: Option<Outlet>,
    log: Option<Outlet>,
    doorbell: Arc<Doorbell>,
    /// Bytes that may still be read, once the stream was closed by us.
    remaining: Option<u64>,
    wide: bool,
    undelivered: u64,
    reader_gone: bool,
    dropping: bool,
    trouble: Option<String>,
}

impl Pump {
    /// A stream that keeps at most `limit` bytes. `doorbell` wakes the event loop.
    pub fn new(
        source: OwnedFd,
        limit: usize,
        reader: Option<Outlet>,
        log: Option<Outlet>,
        doorbell: Arc<Doorbell>,
    ) -> Self {
        let job_end = descriptors::other_end(source.as_fd());
        Self {
            source: Some(source),
            job_end,
            terminal: None,
            progress: None,
            window: Window::new(limit),
            keeper: None,
            record: None,
            masking: None,
            reader,
            log,
            doorbell,
            remaining: None,
            wide: false,
            undelivered: 0,
            reader_gone: false,
            dropping: false,
            trouble: None,
        }
    }

    /// The same for our side of a pseudo-terminal. `reader` is not to be a pipe that pages are copied into.
    pub fn of_terminal(
        source: OwnedFd,
        limit: usize,
        reader: Option<Outlet>,
        log: Option<Outlet>,
        doorbell: Arc<Doorbell>,
    ) -> Self {
        Self { terminal: Some(OscScanner::default()), ..Self::new(source, limit, reader, log, doorbell) }
    }

    /// Keeps every byte. Not together with a reader.
    pub fn keep_all(&mut self) {
        self.keeper = Some(Keeper::new(files::temporary));
    }

    /// Writes every byte to a record as well, as it comes.
    pub fn record_in(&mut self, record: Arc<OutputRecorder>, stream: Stream) {
        self.record = Some((record, stream));
    }

    /// Masks these in what is kept and logged; also in what our reader gets, where that is a record.
    pub fn hide(&mut self, secrets: &Secrets, from_reader: bool) {
        self.masking = Masker::new(secrets).map(|masker| Box::new(Masking::new(masker, from_reader)));
    }

    pub fn is_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Progress that the job wrote to its terminal since the last look.
    pub fn take_progress(&mut self) -> Option<Progress> {
        self.progress.take()
    }

    /// The job's pipe, while it is read.
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// Our reader's descriptor, for waiting until it has room.
    pub fn reader(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().and_then(Outlet::target)
    }

    /// How /proc names the job's end of the pipe or terminal.
    pub fn job_end(&self) -> &str {
        &self.job_end
    }

    /// The reader went away while the job wrote.
    pub fn reader_gone(&self) -> bool {
        self.reader_gone
    }

    /// Bytes the job wrote so far.
    pub fn total(&self) -> u64 {
        self.window.total() + self.held_back()
    }

    /// Bytes that may be the beginning of a secret.
    fn held_back(&self) -> u64 {
        self.masking.as_ref().map_or(0, |masking| masking.masker.held() as u64)
    }

    /// What went wrong with writing, as a sentence's end.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What is kept so far.
    pub fn record_so_far(&self) -> StreamRecord {
        self.window.record_so_far()
    }

    /// What was kept. Asked once, at the end.
    pub fn take_record(&mut self) -> StreamRecord {
        // A writer that is left may hold the stream open.
        self.give_held_back();
        let spool = self.keeper.as_ref().and_then(Keeper::spool);
        StreamRecord { spool, ..self.window.take_record(self.undelivered) }
    }

    /// Moves what can be moved now, and says what to wait for next.
    pub fn advance(&mut self) -> Waiting {
        let start = self.total();
        loop {
            if let Some(waiting) = self.waits_for_outlets() {
                return waiting;
            }
            if self.source.is_none() {
                return Waiting::Ended;
            }
            if self.remaining == Some(0) {
                self.close_source();
                continue;
            }
            if self.total() - start >= PORTION {
                return Waiting::ForJob;
            }
            if let Some(waiting) = self.move_some() {
                return waiting;
            }
        }
    }

    /// True once nothing more will be read, and everything has gone on.
    pub fn is_ended(&mut self) -> bool {
        self.source.is_none() && self.waits_for_outlets().is_none()
    }

    /// Takes what is in the pipe now, and nothing that is written after it.
    pub fn close_input(&mut self) {
        if let Some(source) = &self.source {
            // A terminal cannot say how much it holds, but it gives all of that before it would block.
            let terminal = self.terminal.is_some();
            let waiting = if terminal { TERMINAL_BUFFER } else { descriptors::waiting(source.as_fd()) };
            self.remaining.get_or_insert(waiting);
        }
    }

    /// Gives up on our reader: takes the rest for the window alone and counts it.
    pub fn drop_undelivered(&mut self) {
        self.close_input();
        if let Some(reader) = self.reader.take() {
            let held_back = self.masking.as_ref().filter(|masking| masking.reader_too).map_or(0, |_| self.held_back());
            self.undelivered += if reader.is_open() { reader.unwritten() + held_back } else { 0 };
        }
        // A log that never keeps anybody waiting gets the rest, too.
        self.log = self.log.take().filter(Outlet::is_prompt);
        self.dropping = true;
        while self.advance() == Waiting::ForJob && self.remaining.is_some_and(|remaining| remaining > 0) {
            // Only a full portion leaves something to take.
            if self.source.as_ref().is_none_or(|source| descriptors::waiting(source.as_fd()) == 0) {
                break;
            }
        }
        self.close_source();
    }

    /// Nothing more is read, and what was held back is no secret.
    fn close_source(&mut self) {
        self.source = None;
        self.give_held_back();
    }

    fn give_held_back(&mut self) {
        if let Some(mut masking) = self.masking.take() {
            let to_reader = masking.reader_too;
            self.put_masked(masking.masker.finish(), to_reader);
        }
    }

    /// Waits for what was given to the outlets, and takes note of one that failed.
    fn waits_for_outlets(&mut self) -> Option<Waiting> {
        let mut waiting = None;
        let mut lost = false;
        for (name, outlet) in [("the output", &mut self.reader), ("the log", &mut self.log)] {
            let Some(open) = outlet else { continue };
            let ready = if self.source.is_some() {
                open.has_room()
            } else {
                open.end();
                open.is_clear()
            };
            if !ready {
                waiting = Some(if open.waits_on_descriptor() { Waiting::ForReader } else { Waiting::ForThread });
                continue;
            }
            if let Some(reason) = open.failure() {
                self.trouble.get_or_insert(format!("{name} could not be written: {reason}"));
                self.dropping |= name == "the output";
                *outlet = None;
            } else if open.is_broken() {
                if name == "the log" {
                    self.trouble.get_or_insert("the log lost its reader".to_owned());
                }
                *outlet = None;
                // The job learns of it as it would without us: by SIGPIPE at its next write.
                self.reader_gone |= name == "the output";
                lost |= name == "the output";
            }
        }
        if lost {
            self.close_source();
            // Its end may have to wait for the log.
            return self.waits_for_outlets();
        }
        waiting
    }

    /// Moves one portion. Gives what to wait for where nothing could be moved.
    fn move_some(&mut self) -> Option<Waiting> {
        let Some(source) = &self.source else { return Some(Waiting::Ended) };
        let limit = usize::try_from(self.remaining.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let pipe = self.reader.as_ref().and_then(Outlet::as_pipe);
        let Some(pipe) = pipe else {
            let space = match &mut self.masking {
                Some(masking) => masking.space(),
                None => space_of(&mut self.window, self.keeper.as_ref()),
            };
            let length = space.len().min(limit);
            return match descriptors::read(source.as_fd(), &mut space[..length]) {
                Ok(Moved::Bytes(0)) | Ok(Moved::Broken) | Err(_) => {
                    self.close_source();
                    None
                }
                Ok(Moved::WouldBlock) if self.remaining.is_some() => {
                    self.close_source();
                    None
                }
                Ok(Moved::WouldBlock) => Some(Waiting::ForJob),
                Ok(Moved::Bytes(length)) => {
                    self.take(length);
                    None
                }
            };
        };
        // A log gets one portion at a time, so that it never holds more than one.
        let limit = if self.log.is_some() { limit.min(self.window.space().len()) } else { limit };
        match descriptors::copy_between_pipes(source.as_fd(), pipe, limit.min(COPY_SIZE)) {
            Ok(Moved::Bytes(0)) => {
                self.close_source();
                None
            }
            Ok(Moved::Bytes(copied)) => {
                self.read_copied(copied);
                None
            }
            Ok(Moved::WouldBlock) if descriptors::waiting(source.as_fd()) == 0 => Some(Waiting::ForJob),
            Ok(Moved::WouldBlock) => Some(Waiting::ForReader),
            Ok(Moved::Broken) => {
                if let Some(reader) = &mut self.reader {
                    reader.mark_broken();
                }
                None
            }
            Err(_) => {
                if let Some(reader) = &mut self.reader {
                    reader.write_by_thread(&self.doorbell);
                }
                None
            }
        }
    }

    /// Reads what our reader has got already.
    fn read_copied(&mut self, copied: usize) {
        let mut left = copied;
        while left > 0 {
            let Some(source) = &self.source else { return };
            let space = match &mut self.masking {
                Some(masking) => masking.space(),
                None => self.window.space(),
            };
            let length = space.len().min(left);
            match descriptors::read(source.as_fd(), &mut space[..length]) {
                Ok(Moved::Bytes(length)) if length > 0 => {
                    left -= length;
                    self.keep(length);
                }
                // The bytes are in the pipe and nobody else reads it.
                _ => return,
            }
        }
    }

    /// `length` bytes were read and have to go on to the reader and the log.
    fn take(&mut self, length: usize) {
        if self.masking.is_some() {
            return self.take_masked(length, true);
        }
        if let Some(trouble) = self.keeper.as_mut().and_then(|keeper| keeper.take(&self.window, length)) {
            self.trouble.get_or_insert(trouble);
        }
        let bytes = self.window.fill(length);
        if let Some(progress) = self.terminal.as_mut().and_then(|terminal| terminal.read(bytes)) {
            self.progress = Some(progress);
        }
        if let Some(reader) = &mut self.reader {
            reader.put(bytes);
        }
        if let Some(log) = &mut self.log {
            log.put(bytes);
        }
        if let Some(trouble) = written_to(self.record.as_ref(), bytes) {
            self.trouble.get_or_insert(trouble);
        }
        self.count(length);
    }

    /// `length` bytes were read that the reader has already.
    fn keep(&mut self, length: usize) {
        if self.masking.is_some() {
            return self.take_masked(length, false);
        }
        let bytes = self.window.fill(length);
        if let Some(log) = &mut self.log {
            log.put(bytes);
        }
        if let Some(trouble) = written_to(self.record.as_ref(), bytes) {
            self.trouble.get_or_insert(trouble);
        }
        self.count(length);
    }

    /// `length` bytes were read into the masking's own space. `goes_on`: our reader has not got them yet.
    fn take_masked(&mut self, length: usize, goes_on: bool) {
        let Some(mut masking) = self.masking.take() else { return };
        let reader_too = masking.reader_too;
        let (bytes, masked) = masking.take(length);
        if let Some(progress) = self.terminal.as_mut().and_then(|terminal| terminal.read(bytes)) {
            self.progress = Some(progress);
        }
        if let Some(reader) = self.reader.as_mut().filter(|_| goes_on && !reader_too) {
            reader.put(bytes);
        }
        self.put_masked(masked, goes_on && reader_too);
        self.masking = Some(masking);
        self.count(length);
    }

    /// Keeps and logs what has been masked.
    fn put_masked(&mut self, mut bytes: &[u8], to_reader: bool) {
        if bytes.is_empty() {
            return;
        }
        let reader = self.reader.as_mut().filter(|_| to_reader);
        reader.into_iter().chain(&mut self.log).for_each(|outlet| outlet.put(bytes));
        if let Some(trouble) = written_to(self.record.as_ref(), bytes) {
            self.trouble.get_or_insert(trouble);
        }
        while !bytes.is_empty() {
            let space = space_of(&mut self.window, self.keeper.as_ref());
            let length = space.len().min(bytes.len());
            space[..length].copy_from_slice(&bytes[..length]);
            if let Some(trouble) = self.keeper.as_mut().and_then(|keeper| keeper.take(&self.window, length)) {
                self.trouble.get_or_insert(trouble);
            }
            self.window.fill(length);
            bytes = &bytes[length..];
        }
    }

    fn count(&mut self, length: usize) {
        if let Some(remaining) = &mut self.remaining {
            *remaining -= length as u64;
        }
        if self.dropping {
            self.undelivered += length as u64;
        }
        if !self.wide && self.total() >= FAST_WRITER {
            self.wide = true;
            if let Some(source) = &self.source {
                descriptors::widen(source.as_fd(), WIDE_PIPE);
            }
        }
    }
}

/// Keeps bytes on disk, where that is wanted. Gives what went wrong.
fn written_to(record: Option<&(Arc<OutputRecorder>, Stream)>, bytes: &[u8]) -> Option<String> {
    let (record, stream) = record?;
    record.write(*stream, bytes)
}

/// Space of the window, not in the place of bytes that the keeper still needs.
fn space_of<'a>(window: &'a mut Window, keeper: Option<&Keeper>) -> &'a mut [u8] {
    if keeper.is_some_and(Keeper::needs_window_whole) { window.space_aside() } else { window.space() }
}
