//! Where output goes on to: our reader, or a log file, none of which may ever delay a deadline.
//!
//! A pipe, a socket and a regular file are written from the event loop without waiting; everything else by a thread of
//! its own that may wait as long as it likes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::capture::lines::{Form, Lane, Lines};
use crate::capture::stage::Stage;
use crate::error::{Error, Result, plain};
use crate::platform::descriptors::{self, Kind, Moved};
use crate::platform::doorbell::Doorbell;

/// One place that bytes go on to. At most one portion is under way: while it is, no more is taken from the job.
#[derive(Debug)]
pub struct Outlet {
    /// None: another's thread writes.
    target: Option<Arc<OwnedFd>>,
    kind: Kind,
    relay: Option<Relay>,
    lane: Option<Lane>,
    /// What a socket did not take yet.
    pending: Vec<u8>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// The reader is gone.
    Broken,
    /// Writing failed for another reason.
    Failed(String),
}

/// A thread that writes where writing may take forever.
#[derive(Debug)]
struct Relay {
    portions: Sender<Vec<u8>>,
    shared: Arc<RelayShared>,
}

#[derive(Debug)]
struct RelayShared {
    /// Bytes handed over and not written; the thread is clear when there are none.
    unwritten: AtomicU64,
    failure: Mutex<Option<State>>,
}

impl Outlet {
    /// An outlet to `target`. `doorbell` is rung when a thread of it has room again.
    pub fn new(target: OwnedFd, doorbell: &Arc<Doorbell>) -> Result<Self> {
        let kind = descriptors::kind(target.as_fd());
        let target = Arc::new(target);
        let relay = if kind == Kind::Slow { Some(Relay::to(&target, doorbell)?) } else { None };
        Ok(Self { target: Some(target), kind, relay, lane: None, pending: Vec::new(), state: State::Open })
    }

    /// An outlet for one of the streams of a job, as whole lines: stdout (0) or stderr (1).
    pub fn of_lines(lines: &Lines, stream: usize, doorbell: &Arc<Doorbell>) -> Self {
        Self::on_lane(lines.sink.lane(stream, Form::labelled(lines.label.as_deref()), doorbell))
    }

    /// The same for bytes as they are, where a thread of its own for each job would be too many.
    pub fn of_bytes(lines: &Lines, stream: usize, doorbell: &Arc<Doorbell>) -> Self {
        Self::on_lane(lines.sink.lane(stream, Form::Bytes, doorbell))
    }

    fn on_lane(lane: Lane) -> Self {
        Self { target: None, kind: Kind::Slow, relay: None, lane: Some(lane), pending: Vec::new(), state: State::Open }
    }

    /// An outlet to a terminal that a bar is drawn on, too.
    pub fn on_stage(stage: &Arc<Stage>, doorbell: &Arc<Doorbell>) -> Result<Self> {
        let stage = Arc::clone(stage);
        let relay = Relay::start(move |bytes| stage.write(bytes), doorbell)?;
        Ok(Self {
            target: None,
            kind: Kind::Slow,
            relay: Some(relay),
            lane: None,
            pending: Vec::new(),
            state: State::Open,
        })
    }

    /// The same for a log: its pipe takes bytes that are in no pipe any more.
    pub fn for_log(target: OwnedFd, doorbell: &Arc<Doorbell>) -> Result<Self> {
        let mut outlet = Self::new(target, doorbell)?;
        if outlet.kind == Kind::Pipe {
            outlet.write_by_thread(doorbell);
        }
        Ok(outlet)
    }

    /// What to wait on until there is room, where that is a matter of a descriptor.
    pub fn target(&self) -> Option<BorrowedFd<'_>> {
        self.target.as_ref().map(AsFd::as_fd)
    }

    /// The pipe that bytes can be copied into without passing through memory.
    pub fn as_pipe(&self) -> Option<BorrowedFd<'_>> {
        self.target().filter(|_| self.kind == Kind::Pipe && self.is_open())
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The reader went away.
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    pub fn mark_broken(&mut self) {
        self.state = State::Broken;
    }

    /// A pipe that bytes cannot be copied into is written by a thread.
    pub fn write_by_thread(&mut self, doorbell: &Arc<Doorbell>) {
        let Some(target) = &self.target else { return };
        self.kind = Kind::Slow;
        match Relay::to(target, doorbell) {
            Ok(relay) => self.relay = Some(relay),
            Err(error) => self.state = State::Failed(error.to_string()),
        }
    }

    /// Why writing failed, where it did.
    pub fn failure(&self) -> Option<&str> {
        match &self.state {
            State::Failed(reason) => Some(reason),
            State::Open | State::Broken => None,
        }
    }

    /// Takes everything at once.
    pub fn is_prompt(&self) -> bool {
        self.kind == Kind::Prompt
    }

    /// Waiting for room is a matter of the descriptor itself, not of a thread.
    pub fn waits_on_descriptor(&self) -> bool {
        self.relay.is_none() && self.lane.is_none()
    }

    /// True once it takes more.
    pub fn has_room(&mut self) -> bool {
        match &self.lane {
            Some(lane) if lane.failure().is_none() => lane.has_room(),
            _ => self.is_clear(),
        }
    }

    /// No more will be put into it.
    pub fn end(&mut self) {
        if let Some(lane) = &mut self.lane {
            lane.end();
        }
    }

    /// True once everything given to it has gone on.
    pub fn is_clear(&mut self) -> bool {
        self.flush();
        if !self.is_open() {
            return true;
        }
        self.pending.is_empty()
            && self.lane.as_ref().is_none_or(Lane::is_clear)
            && self.relay.as_ref().is_none_or(|relay| relay.shared.unwritten.load(Ordering::Acquire) == 0)
    }

    /// Bytes given to it that did not go on.
    pub fn unwritten(&self) -> u64 {
        let in_thread = self.relay.as_ref().map_or(0, |relay| relay.shared.unwritten.load(Ordering::Acquire));
        self.pending.len() as u64 + in_thread + self.lane.as_ref().map_or(0, Lane::unwritten)
    }

    /// Gives bytes to it. Only when it has room.
    pub fn put(&mut self, bytes: &[u8]) {
        if !self.is_open() {
            return;
        }
        if let Some(lane) = &mut self.lane {
            return lane.put(bytes);
        }
        match (&self.relay, self.kind) {
            (Some(relay), _) => relay.put(bytes),
            (None, Kind::Socket) => {
                self.pending.extend_from_slice(bytes);
                self.flush();
            }
            (None, _) => {
                let result = self.target().map(|target| descriptors::write_all(target, bytes));
                result.into_iter().for_each(|result| self.note(result));
            }
        }
    }

    fn flush(&mut self) {
        let in_lane = self.lane.as_ref().and_then(Lane::failure);
        if let Some(failure) = in_lane.or_else(|| self.relay.as_ref().and_then(Relay::failure)) {
            self.state = failure;
        }
        while let (State::Open, Some(target), false) = (&self.state, &self.target, self.pending.is_empty()) {
            match descriptors::send(target.as_fd(), &self.pending) {
                Ok(Moved::Bytes(length)) => drop(self.pending.drain(..length)),
                Ok(Moved::WouldBlock) => return,
                other => self.note(other),
            }
        }
    }

    fn note(&mut self, result: io::Result<Moved>) {
        if let Some(failure) = failure_of(result) {
            self.state = failure;
        }
    }
}

pub(super) fn failure_of(result: io::Result<Moved>) -> Option<State> {
    match result {
        Ok(Moved::Broken) => Some(State::Broken),
        Ok(Moved::Bytes(_) | Moved::WouldBlock) => None,
        Err(error) => Some(State::Failed(plain(&error))),
    }
}

impl Relay {
    fn to(target: &Arc<OwnedFd>, doorbell: &Arc<Doorbell>) -> Result<Self> {
        let target = Arc::clone(target);
        Self::start(move |bytes| descriptors::write_all(target.as_fd(), bytes), doorbell)
    }

    /// A thread that hands each portion to `write`, which may wait.
    fn start(
        mut write: impl FnMut(&[u8]) -> io::Result<Moved> + Send + 'static,
        doorbell: &Arc<Doorbell>,
    ) -> Result<Self> {
        let (portions, incoming) = channel::<Vec<u8>>();
        let shared = Arc::new(RelayShared { unwritten: AtomicU64::new(0), failure: Mutex::new(None) });
        let (doorbell, theirs) = (Arc::clone(doorbell), Arc::clone(&shared));
        // Detached: one that waits for its reader forever ends with the process.
        let relay = move || {
            for portion in incoming {
                if let Some(failure) = failure_of(write(&portion))
                    && let Ok(mut slot) = theirs.failure.lock()
                {
                    *slot = Some(failure);
                } else {
                    theirs.unwritten.fetch_sub(portion.len() as u64, Ordering::AcqRel);
                }
                doorbell.ring();
            }
        };
        thread::Builder::new().spawn(relay).map_err(Error::system("start a thread"))?;
        Ok(Self { portions, shared })
    }

    fn put(&self, bytes: &[u8]) {
        self.shared.unwritten.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        // The thread lives as long as the sender does.
        let _ = self.portions.send(bytes.to_vec());
    }

    fn failure(&self) -> Option<State> {
        self.shared.failure.lock().ok()?.take()
    }
}
