//! The keyboard of our terminal, for a job that has a pseudo-terminal: keys go on to it, and those that mean a signal are
//! heard by us as well.
//!
//! Only while our process group is the foreground one. Dropping it puts the terminal's modes back.

use std::os::fd::BorrowedFd;

use crate::model::signal::Signal;
use crate::platform::descriptors::{self, Moved};
use crate::platform::poller::{Interest, Poller};
use crate::platform::pty::{self, Key, Modes};
use crate::platform::tree::Tree;
use crate::platform::tty::Terminal;

/// Keys that are read at once.
const AT_ONCE: usize = 1024;

/// The keyboard, taken or not.
#[derive(Debug)]
pub(super) struct Keyboard {
    terminal: Terminal,
    taken: bool,
    key: usize,
}

impl Keyboard {
    /// The keyboard of our terminal. None where no stream of ours is a terminal at all.
    pub(super) fn open(key: usize) -> Option<Self> {
        let ours = [descriptors::stdin(), descriptors::stdout(), descriptors::stderr()];
        let terminal = Terminal::open().filter(|_| ours.into_iter().any(descriptors::is_terminal))?;
        Some(Self { terminal, taken: false, key })
    }

    /// The terminal, for whoever puts its modes back where we cannot.
    pub(super) fn device(&self) -> BorrowedFd<'_> {
        self.terminal.device()
    }

    /// Takes the keyboard, where we are in the foreground. The job's tree is told of it.
    pub(super) fn take(&mut self, poller: &Poller, tree: &Tree) {
        if self.taken || !self.terminal.is_ours() {
            return;
        }
        tree.note_modes(true);
        if self.terminal.take_keyboard() {
            self.taken = poller.add(self.terminal.device(), self.key, Interest::Readable).is_ok();
            if !self.taken {
                self.terminal.restore();
            }
        }
        if !self.taken {
            tree.note_modes(false);
        }
    }

    /// Gives it back.
    pub(super) fn give_back(&mut self, poller: &Poller, tree: &Tree) {
        if self.taken {
            poller.remove(self.terminal.device());
            self.taken = false;
            self.terminal.restore();
            tree.note_modes(false);
        }
    }

    /// Hands on what was typed. Gives the signals that keys stood for; one that suspends is not handed on, since the job
    /// could not stop by itself in a session of its own.
    pub(super) fn hand_on(&mut self, job: BorrowedFd<'_>, poller: &Poller, tree: &Tree) -> Vec<Signal> {
        let mut buffer = [0; AT_ONCE];
        let typed = match descriptors::read(self.terminal.device(), &mut buffer) {
            Ok(Moved::Bytes(length)) if length > 0 => &buffer[..length],
            Ok(Moved::WouldBlock) => return Vec::new(),
            // Another group is in the foreground, or the terminal is gone.
            _ => {
                self.give_back(poller, tree);
                return Vec::new();
            }
        };
        let mut signals = Vec::new();
        let modes = Modes::of(job);
        let mut plain_from = 0;
        for (at, byte) in typed.iter().enumerate() {
            let signal = match modes.as_ref().map_or(Key::Plain, |modes| modes.key(*byte)) {
                Key::Plain => continue,
                Key::Interrupt => Signal::INT,
                Key::Quit => Signal::QUIT,
                Key::Suspend => Signal::TSTP,
            };
            let handed_on = if signal == Signal::TSTP { at } else { at + 1 };
            pty::type_into(job, &typed[plain_from..handed_on]);
            plain_from = at + 1;
            signals.push(signal);
        }
        pty::type_into(job, &typed[plain_from..]);
        signals
    }

    /// Lets output pass as the job wants it to.
    pub(super) fn follow_output(&self, job: BorrowedFd<'_>) {
        if let Some(modes) = Modes::of(job).filter(|_| self.taken) {
            self.terminal.follow_output(&modes);
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if self.taken {
            self.terminal.restore();
        }
    }
}
