//! The keyboard of our terminal, for a job that has a pseudo-terminal: keys go on to it, and those that mean a signal are
//! heard by us as well.
//!
//! Only while our process group is the foreground one. Dropping it puts the terminal's modes back.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::model::signal::Signal;
use crate::platform::descriptors::{self, Moved};
use crate::platform::poller::{Interest, Poller};
use crate::platform::pty::{self, Key, Modes};
use crate::platform::tree::Tree;
use crate::platform::tty::Terminal;

/// Keys that are read at once.
const AT_ONCE: usize = 1024;
/// So much may wait for the job's terminal to have room; what is typed beyond it is lost, as with any terminal.
const WAITING_LIMIT: usize = 1 << 20;
/// When the job's terminal is tried again.
const ROOM_PERIOD: Duration = Duration::from_millis(5);
/// How often we look whether the terminal is ours by now: a shell that brings a running job to the foreground sends no
/// signal.
const FOREGROUND_PERIOD: Duration = Duration::from_millis(100);

/// The keyboard, taken or not.
#[derive(Debug)]
pub(super) struct Keyboard {
    /// None where there is nothing to take, or nobody to take it for.
    terminal: Option<Terminal>,
    taken: bool,
    key: usize,
    /// Typed, and not taken by the job's terminal yet.
    waiting: Vec<u8>,
    /// Signals that keys stood for.
    signals: Vec<Signal>,
    /// The job suspended itself.
    suspended: bool,
    /// The next key stands for itself.
    literal: bool,
}

impl Keyboard {
    /// The keyboard of our terminal for a job that has one of its own. There is none where our stdout is no
    /// terminal: then the keyboard may be that of a pager behind us.
    pub(super) fn open(wanted: bool, key: usize) -> Self {
        let wanted = wanted && descriptors::is_terminal(descriptors::stdout());
        let terminal = if wanted { Terminal::open() } else { None };
        Self { terminal, taken: false, key, waiting: Vec::new(), signals: Vec::new(), suspended: false, literal: false }
    }

    /// The terminal, for whoever puts its modes back where we cannot.
    pub(super) fn device(&self) -> Option<BorrowedFd<'_>> {
        self.terminal.as_ref().map(Terminal::device)
    }

    /// Takes the keyboard, where we are in the foreground and the job's terminal is there. The guard of the job's tree is
    /// told. True where it was not ours before.
    pub(super) fn take(&mut self, job: Option<BorrowedFd<'_>>, poller: &Poller, tree: &Tree) -> bool {
        let Some(job) = job else {
            self.let_go(poller, tree);
            return false;
        };
        self.type_waiting(job);
        let Some(terminal) = self.terminal.as_mut().filter(|_| !self.taken) else { return false };
        if !terminal.is_ours() {
            return false;
        }
        tree.note_modes(true);
        if terminal.take_keyboard() {
            self.taken = poller.add(terminal.device(), self.key, Interest::Readable).is_ok();
            if !self.taken {
                terminal.restore();
            }
        }
        if !self.taken {
            tree.note_modes(false);
        }
        self.taken
    }

    /// When `take` wants to be called again.
    pub(super) fn wakes_after(&self) -> Option<Duration> {
        match (&self.terminal, self.taken) {
            (None, _) => None,
            (Some(_), _) if !self.waiting.is_empty() => Some(ROOM_PERIOD),
            (Some(_), true) => None,
            (Some(_), false) => Some(FOREGROUND_PERIOD),
        }
    }

    /// We were stopped and go on: what was taken is taken still.
    pub(super) fn keep(&self) {
        if let Some(terminal) = self.terminal.as_ref().filter(|_| self.taken) {
            terminal.keep_keyboard();
        }
    }

    /// Gives it back.
    pub(super) fn give_back(&mut self, poller: &Poller, tree: &Tree) {
        if let Some(terminal) = self.terminal.as_ref().filter(|_| self.taken) {
            poller.remove(terminal.device());
            terminal.restore();
            tree.note_modes(false);
        }
        self.taken = false;
    }

    /// Gives it back for good: the keys mean to us alone what they always mean.
    fn let_go(&mut self, poller: &Poller, tree: &Tree) {
        self.give_back(poller, tree);
        self.terminal = None;
    }

    /// Hands on what was typed, and notes signals that keys stood for. One that suspends is not handed on: the job is told
    /// when we are; unless the job's leader is a shell with another group in the foreground: then it is that one which is
    /// meant.
    pub(super) fn hand_on(&mut self, job: Option<BorrowedFd<'_>>, poller: &Poller, tree: &Tree) {
        let (Some(terminal), Some(job)) = (&self.terminal, job) else { return self.let_go(poller, tree) };
        let mut buffer = [0; AT_ONCE];
        let typed = match descriptors::read(terminal.device(), &mut buffer) {
            Ok(Moved::Bytes(length)) if length > 0 => &buffer[..length],
            Ok(Moved::WouldBlock) => return,
            // Another group is in the foreground, or the terminal is gone.
            _ => return self.give_back(poller, tree),
        };
        let modes = Modes::of(job);
        for byte in typed {
            if std::mem::take(&mut self.literal) {
                self.queue(*byte);
                continue;
            }
            let signal = match modes.as_ref().map_or(Key::Plain, |modes| modes.key(*byte)) {
                Key::Interrupt => Signal::INT,
                Key::Quit => Signal::QUIT,
                Key::Suspend if pty::foreground(job).is_none_or(|group| group == tree.leader_pid()) => Signal::TSTP,
                key @ (Key::Suspend | Key::Plain | Key::Literal) => {
                    self.literal = key == Key::Literal;
                    self.queue(*byte);
                    continue;
                }
            };
            // A terminal's pending stops are one.
            if signal != Signal::TSTP || !self.signals.contains(&signal) {
                self.signals.push(signal);
            }
            if signal != Signal::TSTP {
                self.waiting.clear();
                pty::forget_typed(job);
                self.waiting.push(*byte);
            }
        }
        self.type_waiting(job);
    }

    fn queue(&mut self, byte: u8) {
        if self.waiting.len() < WAITING_LIMIT {
            self.waiting.push(byte);
        }
    }

    fn type_waiting(&mut self, job: BorrowedFd<'_>) {
        if !self.waiting.is_empty() {
            let typed = pty::type_into(job, &self.waiting);
            self.waiting.drain(..typed);
        }
    }

    /// The job's leader is stopped by this signal, or by none. One that suspended itself, as an editor does, cannot have
    /// told the shell above us: that is for us to do.
    pub(super) fn leader_stopped(&mut self, signal: Option<Signal>) {
        let suspended = signal == Some(Signal::TSTP);
        if suspended && !self.suspended && self.taken {
            self.signals.push(Signal::TSTP);
        }
        self.suspended = suspended;
    }

    /// We are about to stop the job ourselves, or let it go on.
    pub(super) fn expect_stop(&mut self) {
        self.suspended = true;
    }

    /// The signals that keys stood for since the last look.
    pub(super) fn take_signals(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.signals)
    }

    /// Lets output pass as the job wants it to.
    pub(super) fn follow_output(&mut self, job: Option<BorrowedFd<'_>>, poller: &Poller, tree: &Tree) {
        let Some(job) = job else { return self.let_go(poller, tree) };
        if let (true, Some(terminal), Some(modes)) = (self.taken, &self.terminal, Modes::of(job)) {
            terminal.follow_output(&modes);
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if let Some(terminal) = self.terminal.as_ref().filter(|_| self.taken) {
            terminal.restore();
        }
    }
}
