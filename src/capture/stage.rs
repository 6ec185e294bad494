//! The terminal on which the job's output and our bar appear: one `Screen`, and whoever writes to it takes turns.
//!
//! The job's bytes may wait for the terminal as long as it takes; our own drawing never does, so that a terminal that was
//! stopped with Ctrl-S delays no answer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::capture::screen::Screen;
use crate::error::Result;
use crate::platform::descriptors::{self, Moved};
use crate::platform::pty::{self, Size};
use crate::time::clock::{Clock, Moment, SystemClock};

/// How long our own lines, and the end of the bar, wait for their turn and for the terminal.
const PATIENCE: Duration = Duration::from_millis(500);
/// The size of a terminal that does not know its own.
const DEFAULT_SIZE: Size = Size { columns: 80, rows: 24 };

/// A terminal shared by a job and a bar.
#[derive(Debug)]
pub struct Stage {
    target: OwnedFd,
    clock: SystemClock,
    /// Taken out by whoever writes.
    screen: Mutex<Option<Screen>>,
    put_back: Condvar,
    resized: AtomicBool,
    hidden: AtomicBool,
    /// What the terminal shows beside its screen.
    badge: Mutex<Option<Badge>>,
}

/// A sequence that moves nothing and whose effect stays, such as one for the task bar.
#[derive(Debug)]
struct Badge {
    sequence: String,
    /// What takes it away.
    undo: &'static str,
}

impl Stage {
    /// A stage on this terminal.
    pub fn new(terminal: BorrowedFd<'_>) -> Result<Self> {
        let target = descriptors::duplicate(terminal)?;
        let size = pty::size(target.as_fd()).unwrap_or(DEFAULT_SIZE);
        Ok(Self {
            target,
            clock: SystemClock::start(),
            screen: Mutex::new(Some(Screen::new(size.columns, size.rows))),
            put_back: Condvar::new(),
            resized: AtomicBool::new(false),
            hidden: AtomicBool::new(false),
            badge: Mutex::new(None),
        })
    }

    /// The terminal itself.
    pub fn terminal(&self) -> BorrowedFd<'_> {
        self.target.as_fd()
    }

    /// Writes output of the job, however long that takes.
    pub fn write(&self, bytes: &[u8]) -> io::Result<Moved> {
        let mut result = Ok(Moved::Bytes(0));
        let compose = |screen: &mut Screen, now| screen.output(bytes, now);
        self.take_turn(None, compose, |composed| {
            result = descriptors::write_all(self.target.as_fd(), composed);
            true
        });
        result
    }

    /// The same, but gives up on a terminal that takes nothing for so long: `WouldBlock` then.
    pub fn write_patiently(&self, bytes: &[u8], patience: Duration) -> io::Result<Moved> {
        let mut result = Ok(Moved::WouldBlock);
        let compose = |screen: &mut Screen, now| screen.output(bytes, now);
        self.take_turn(Some(patience), compose, |composed| {
            result = descriptors::write_patiently(self.target.as_fd(), composed, patience);
            matches!(result, Ok(Moved::Bytes(_)))
        });
        result
    }

    /// Shows these lines as the bar, where the terminal is free just now.
    pub fn draw(&self, lines: Vec<String>) {
        if self.hidden.load(Ordering::Acquire) {
            return;
        }
        let compose = |screen: &mut Screen, now| [screen.footer(lines, now), screen.tick(now)].concat();
        self.take_turn(Some(Duration::ZERO), compose, |composed| self.write_at_once(composed, Duration::ZERO));
    }

    /// Prints a line of our own above the bar. Waits at most so long for its turn, and so long for the terminal; false
    /// where that was not enough.
    pub fn print(&self, line: &str, patience: Duration) -> bool {
        let compose = |screen: &mut Screen, _| screen.line_above(line);
        self.take_turn(Some(patience), compose, |composed| self.write_at_once(composed, patience))
    }

    /// Sends a sequence that moves nothing and whose effect stays, where it does not stand yet and the terminal is free
    /// just now. `undo` goes with the bar.
    pub fn show_badge(&self, sequence: &str, undo: &'static str) {
        let Ok(mut badge) = self.badge.lock() else { return };
        if badge.as_ref().is_some_and(|badge| badge.sequence == sequence) {
            return;
        }
        let compose = |screen: &mut Screen, _| {
            *badge = Some(Badge { sequence: sequence.to_owned(), undo });
            screen.aside(sequence)
        };
        self.take_turn(Some(Duration::ZERO), compose, |composed| self.write_at_once(composed, Duration::ZERO));
    }

    /// Takes the bar away until `show`: the terminal is about to be somebody else's.
    pub fn hide(&self) {
        self.hidden.store(true, Ordering::Release);
        let undo = self.take_badge();
        let compose = |screen: &mut Screen, now| [screen.footer(Vec::new(), now), screen.aside(undo)].concat();
        self.take_turn(Some(PATIENCE), compose, |composed| self.write_at_once(composed, PATIENCE));
    }

    /// Puts in order what a program left behind that may not have done so itself; the bar stays.
    pub fn restore(&self) {
        let compose = |screen: &mut Screen, _| screen.restore();
        self.take_turn(Some(PATIENCE), compose, |composed| self.write_at_once(composed, PATIENCE));
    }

    /// Takes the bar away for good. `killed`: the job could not put the terminal in order itself. True where the cursor
    /// is at the start of a line then.
    pub fn finish(&self, killed: bool) -> bool {
        let mut at_line_start = false;
        let undo = self.take_badge();
        let compose = |screen: &mut Screen, _| {
            let restored = if killed { screen.restore() } else { Vec::new() };
            let composed = [restored, screen.aside(undo), screen.finish()].concat();
            at_line_start = screen.at_line_start();
            composed
        };
        self.take_turn(Some(PATIENCE), compose, |composed| self.write_at_once(composed, PATIENCE));
        at_line_start
    }

    /// What takes the badge away; nothing where there is none.
    fn take_badge(&self) -> &'static str {
        let badge = self.badge.lock().ok().and_then(|mut badge| badge.take());
        badge.map_or("", |badge| badge.undo)
    }

    /// The terminal is ours again, of whatever size.
    pub fn show(&self) {
        self.resize();
        self.hidden.store(false, Ordering::Release);
    }

    /// The terminal has another size now. Whoever writes next heeds it.
    pub fn resize(&self) {
        self.resized.store(true, Ordering::Release);
    }

    /// Columns of the terminal.
    pub fn width(&self) -> usize {
        usize::from(pty::size(self.target.as_fd()).unwrap_or(DEFAULT_SIZE).columns)
    }

    /// Lines of the terminal.
    pub fn height(&self) -> usize {
        usize::from(pty::size(self.target.as_fd()).unwrap_or(DEFAULT_SIZE).rows)
    }

    /// False where the terminal did not take it now. A bar is drawn again soon.
    fn write_at_once(&self, bytes: &[u8], patience: Duration) -> bool {
        let written = descriptors::write_patiently(self.target.as_fd(), bytes, patience);
        matches!(written, Ok(Moved::Bytes(_)))
    }

    /// Composes and writes while nobody else does. Waits for its turn at most so long; false where that was not enough, or
    /// the terminal did not take it.
    fn take_turn(
        &self,
        limit: Option<Duration>,
        compose: impl FnOnce(&mut Screen, Duration) -> Vec<u8>,
        write: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        let Ok(slot) = self.screen.lock() else { return false };
        let taken = match limit {
            None => self.put_back.wait_while(slot, |screen| screen.is_none()).ok(),
            Some(limit) => {
                self.put_back.wait_timeout_while(slot, limit, |screen| screen.is_none()).ok().map(|(slot, _)| slot)
            }
        };
        let Some(mut screen) = taken.and_then(|mut slot| slot.take()) else { return false };
        if self.resized.swap(false, Ordering::AcqRel)
            && let Some(size) = pty::size(self.target.as_fd())
        {
            screen.resize(size.columns, size.rows);
        }
        let taken = write(&compose(&mut screen, self.clock.now() - Moment::default()));
        if let Ok(mut slot) = self.screen.lock() {
            *slot = Some(screen);
        }
        self.put_back.notify_one();
        taken
    }
}
