//! The output streams of one job as the event loop sees them: made, waited for, moved on, and recorded.
//!
//! The pumps move bytes; this keeps the poller's interest in step with what they wait for. Only the job calls it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::capture::lines::Lines;
use crate::capture::outlet::Outlet;
use crate::capture::output_log::{OutputRecorder, Stream};
use crate::capture::pump::{Pump, Waiting};
use crate::capture::stage::Stage;
use crate::error::{Error, Result};
use crate::model::job::{Route, Streams};
use crate::model::outcome::{Progress, StreamRecord};
use crate::model::secrets::Secrets;
use crate::platform::descriptors::{self, Kind};
use crate::platform::doorbell::Doorbell;
use crate::platform::poller::{Interest, Poller};
use crate::platform::pty::{self, Pty};
use crate::platform::tree::TreeSpec;

/// Keys of the streams, counted from the first: two sources, then two readers.
const READERS: usize = 2;
/// How many keys there are.
pub(super) const KEYS: usize = 4;

/// Both output streams of a job.
pub(super) struct Output {
    pumps: [Option<Pump>; 2],
    interests: [StreamInterest; 2],
    merged: bool,
    first_key: usize,
    ended: bool,
    lost_reader: bool,
}

/// Where bytes go on to beside our own streams as they are.
pub(super) struct Places<'a> {
    pub log: Option<&'a OwnedFd>,
    pub stage: Option<&'a Arc<Stage>>,
    pub lines: Option<&'a Lines>,
    pub record: Option<&'a Arc<OutputRecorder>>,
}

/// What the poller waits for on behalf of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct StreamInterest {
    source: bool,
    reader: bool,
    /// Our reader, or a log's, keeps the job from writing.
    held_up: bool,
    /// It waits for a thread.
    thread: bool,
}

impl Output {
    /// Makes the streams that we own, and puts the job's ends of them into `tree`. Keys begin with `first_key`.
    pub(super) fn open(
        streams: Streams,
        limit: usize,
        secrets: &Secrets,
        places: &Places<'_>,
        tree: &mut TreeSpec,
        doorbell: &Arc<Doorbell>,
        first_key: usize,
    ) -> Result<Self> {
        let Places { log, stage, lines, record } = *places;
        let mut pumps = [None, None];
        for (index, route, ours) in
            [(0, streams.stdout, descriptors::stdout()), (1, streams.stderr, descriptors::stderr())]
        {
            if route == Route::WithStdout {
                tree.descriptors[2] = match &tree.descriptors[1] {
                    Some(write_end) => Some(descriptors::duplicate(write_end.as_fd())?),
                    None => None,
                };
            }
            if matches!(route, Route::Inherit | Route::WithStdout) {
                continue;
            }
            let terminal = streams.terminals[index];
            let (source, write_end) = if terminal {
                let model = if descriptors::is_terminal(ours) { ours } else { descriptors::stderr() };
                let Pty { master, slave } = Pty::open(model)?;
                if wants_session(tree) {
                    give_terminal(slave.as_fd(), tree)?;
                }
                (master, slave)
            } else {
                descriptors::pipe()?
            };
            let mut reader = match route {
                Route::PassThrough => Some(pass_through(index, ours, stage, lines, doorbell)?),
                Route::Lines => match lines {
                    Some(lines) => Some(Outlet::of_lines(lines, index, doorbell)),
                    None => return Err(Error::Internal("lines have nowhere to go".to_owned())),
                },
                Route::Inherit | Route::Keep | Route::Spool | Route::WithStdout => None,
            };
            if let Some(reader) = reader.as_mut().filter(|reader| terminal && reader.as_pipe().is_some()) {
                // Pages can be copied from pipe to pipe only.
                reader.write_by_thread(doorbell);
            }
            let log = match log {
                Some(log) => Some(Outlet::for_log(descriptors::duplicate(log.as_fd())?, doorbell)?),
                None => None,
            };
            let new = if terminal { Pump::of_terminal } else { Pump::new };
            let mut pump = new(source, limit, reader, log, Arc::clone(doorbell));
            if route == Route::Spool {
                pump.keep_all();
            }
            if let Some(record) = record {
                pump.record_in(Arc::clone(record), Stream::ALL[index]);
            }
            // Labelled lines are a log of many jobs; what goes on as it comes is the job's own.
            pump.hide(secrets, route == Route::Lines);
            pumps[index] = Some(pump);
            tree.descriptors[index + 1] = Some(write_end);
        }
        let merged = streams.stderr == Route::WithStdout;
        Ok(Self {
            pumps,
            interests: [StreamInterest::default(); 2],
            merged,
            first_key,
            ended: false,
            lost_reader: false,
        })
    }

    /// Our side of the job's terminal, where it has one.
    pub(super) fn terminal(&self) -> Option<BorrowedFd<'_>> {
        self.pumps.iter().flatten().filter(|pump| pump.is_terminal()).find_map(Pump::source)
    }

    /// Begins to wait for the job's bytes.
    pub(super) fn register(&mut self, poller: &Poller) -> Result<()> {
        for (index, pump) in self.pumps.iter().enumerate() {
            if let Some(source) = pump.as_ref().and_then(Pump::source) {
                poller.add(source, self.first_key + index, Interest::Readable)?;
                self.interests[index].source = true;
            }
        }
        Ok(())
    }

    /// Waits for nothing any more.
    pub(super) fn unregister(&self, poller: &Poller) {
        for pump in self.pumps.iter().flatten() {
            for descriptor in pump.source().into_iter().chain(pump.reader()) {
                poller.remove(descriptor);
            }
        }
    }

    /// Moves on the stream that this key is of. True where the job wrote something.
    pub(super) fn ready(&mut self, key: usize, poller: &Poller) -> bool {
        self.advance((key - self.first_key) % READERS, poller)
    }

    /// Moves on both streams.
    pub(super) fn advance_all(&mut self, poller: &Poller) -> bool {
        // Both, whatever the first one gives.
        self.advance(0, poller) | self.advance(1, poller)
    }

    pub(super) fn waits_for_thread(&self) -> bool {
        self.interests.iter().any(|interest| interest.thread)
    }

    /// Moves on the streams that wait for a thread, which may have room again.
    pub(super) fn advance_behind_threads(&mut self, poller: &Poller) -> bool {
        let mut grew = false;
        for index in 0..READERS {
            if self.interests[index].thread {
                grew |= self.advance(index, poller);
            }
        }
        grew
    }

    /// Moves bytes of one stream and waits for what it needs next.
    fn advance(&mut self, index: usize, poller: &Poller) -> bool {
        let Some(pump) = &mut self.pumps[index] else { return false };
        if self.interests[index].reader
            && let Some(reader) = pump.reader()
        {
            // The pump may let go of it, and a descriptor that is gone cannot be removed.
            poller.remove(reader);
            self.interests[index].reader = false;
        }
        let before = pump.total();
        let waiting = pump.advance();
        let grew = pump.total() > before;
        self.wait_for(index, waiting, poller);
        grew
    }

    fn wait_for(&mut self, index: usize, waiting: Waiting, poller: &Poller) {
        let (source_key, reader_key) = (self.first_key + index, self.first_key + READERS + index);
        let interest = &mut self.interests[index];
        let Some(pump) = &self.pumps[index] else { return };
        interest.thread = waiting == Waiting::ForThread;
        interest.held_up = matches!(waiting, Waiting::ForReader | Waiting::ForThread);
        let wants_source = waiting == Waiting::ForJob;
        if let Some(source) = pump.source()
            && interest.source != wants_source
        {
            // A pipe without writers is always ready, so one that is not read must not be registered at all.
            if wants_source {
                interest.source = poller.add(source, source_key, Interest::Readable).is_ok();
            } else {
                poller.remove(source);
                interest.source = false;
            }
        }
        if let (Waiting::ForReader, Some(reader)) = (waiting, pump.reader()) {
            interest.reader = poller.add(reader, reader_key, Interest::Writable).is_ok();
        }
    }

    /// True once, when all streams have ended and what came of them is delivered.
    pub(super) fn has_just_ended(&mut self) -> bool {
        let ended = |pump: &mut Option<Pump>| pump.as_mut().is_none_or(Pump::is_ended);
        if self.ended || !self.pumps.iter_mut().all(ended) {
            return false;
        }
        self.ended = true;
        true
    }

    /// Our reader keeps the job from writing.
    pub(super) fn is_held_up(&self) -> bool {
        self.interests.iter().any(|interest| interest.held_up)
    }

    /// Takes what was written until now, and nothing after it.
    pub(super) fn close_inputs(&mut self) {
        for pump in self.pumps.iter_mut().flatten() {
            pump.close_input();
        }
    }

    /// Gives up on our reader.
    pub(super) fn drop_undelivered(&mut self) {
        for pump in self.pumps.iter_mut().flatten() {
            pump.drop_undelivered();
        }
    }

    /// Gives the job's terminals the size of ours; the kernel tells the job.
    pub(super) fn resize(&self) {
        let ours = [descriptors::stderr(), descriptors::stdout()].into_iter().find_map(pty::size);
        let Some(size) = ours else { return };
        let terminals = self.pumps.iter().flatten().filter(|pump| pump.is_terminal());
        for master in terminals.filter_map(Pump::source) {
            pty::resize(master, size);
        }
    }

    /// Progress that the job wrote to its terminal since the last look.
    pub(super) fn take_progress(&mut self) -> Option<Progress> {
        self.pumps.iter_mut().flatten().find_map(Pump::take_progress)
    }

    /// How /proc names the job's ends.
    pub(super) fn job_ends(&self) -> Vec<String> {
        self.pumps.iter().flatten().map(|pump| pump.job_end().to_owned()).collect()
    }

    /// Bytes that the job wrote: stdout, stderr.
    pub(super) fn totals(&self) -> (u64, u64) {
        let total = |pump: &Option<Pump>| pump.as_ref().map_or(0, Pump::total);
        (total(&self.pumps[0]), total(&self.pumps[1]))
    }

    /// What was kept: stdout, stderr. Asked once, at the end.
    pub(super) fn take_records(&mut self) -> (StreamRecord, StreamRecord) {
        let records = self.pumps.each_mut().map(|pump| pump.as_mut().map(Pump::take_record).unwrap_or_default());
        self.completed(records)
    }

    /// What is kept so far: stdout, stderr.
    pub(super) fn records_so_far(&self) -> (StreamRecord, StreamRecord) {
        let records = self.pumps.each_ref().map(|pump| pump.as_ref().map(Pump::record_so_far).unwrap_or_default());
        self.completed(records)
    }

    fn completed(&self, [mut stdout, mut stderr]: [StreamRecord; 2]) -> (StreamRecord, StreamRecord) {
        if self.merged {
            stderr = StreamRecord { captured: stdout.captured, ..StreamRecord::default() };
        }
        stdout.undelivered = stdout.undelivered.min(stdout.total);
        stderr.undelivered = stderr.undelivered.min(stderr.total);
        (stdout, stderr)
    }

    pub(super) fn is_merged(&self) -> bool {
        self.merged
    }

    /// True once, where whoever read what the job writes to its terminal went away. No pipe breaks for it then.
    pub(super) fn has_lost_terminal_reader(&mut self) -> bool {
        let lost = self.pumps.iter().flatten().any(|pump| pump.is_terminal() && pump.reader_gone());
        lost && !std::mem::replace(&mut self.lost_reader, true)
    }

    /// What went wrong beside the job, each as a sentence's end.
    pub(super) fn troubles(&self) -> Vec<String> {
        self.pumps.iter().flatten().filter_map(Pump::trouble).map(str::to_owned).collect()
    }

    /// Our reader went away while the job wrote.
    pub(super) fn reader_is_gone(&self) -> bool {
        self.pumps.iter().flatten().any(Pump::reader_gone)
    }
}

/// The outlet for a stream whose bytes go on as they are.
fn pass_through(
    stream: usize,
    ours: BorrowedFd<'static>,
    stage: Option<&Arc<Stage>>,
    lines: Option<&Lines>,
    doorbell: &Arc<Doorbell>,
) -> Result<Outlet> {
    let stage = stage.filter(|stage| descriptors::are_same(ours, stage.terminal()));
    match (lines, stage) {
        // Jobs that come in numbers share one thread.
        (Some(lines), _) if stage.is_some() || descriptors::kind(ours) == Kind::Slow => {
            Ok(Outlet::of_bytes(lines, stream, doorbell))
        }
        (_, Some(stage)) => Outlet::on_stage(stage, doorbell),
        (_, None) => Outlet::new(descriptors::duplicate(ours)?, doorbell),
    }
}

/// Where somebody else may have the user's terminal, such as a pager behind us in a pipeline, the job stays in our
/// session, and keyboard and signals are the terminal's own.
fn wants_session(tree: &TreeSpec) -> bool {
    tree.own_group || descriptors::is_terminal(descriptors::stdout())
}

/// Makes this the job's own terminal, unless it has one, and its input, where that is a terminal now.
fn give_terminal(slave: BorrowedFd<'_>, tree: &mut TreeSpec) -> Result<()> {
    if tree.terminal.is_some() {
        return Ok(());
    }
    tree.terminal = Some(descriptors::duplicate(slave)?);
    let inherits = tree.descriptors[0].is_none() && tree.late_input.is_none();
    if inherits && descriptors::is_terminal(descriptors::stdin()) {
        tree.descriptors[0] = Some(descriptors::duplicate(slave)?);
    }
    Ok(())
}
