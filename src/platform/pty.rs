//! Pseudo-terminals: what a job gets in place of a pipe where it shall see a terminal.
//!
//! It is the controlling terminal of a session of the job's own, and so its keyboard, its signals and its window size are
//! all ours to hand on. See pty(7), credentials(7).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, OptionalActions, OutputModes, QueueSelector, SpecialCodeIndex, Termios, Winsize};

use super::shortage;
use crate::error::{Error, Result};

/// The size of a terminal that nobody looks at.
const DEFAULT_SIZE: Size = Size { columns: 80, rows: 24 };

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub columns: u16,
    pub rows: u16,
}

/// Both ends of a new pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    /// Ours. Never blocks; after the last other end was closed it gives what is left, then EIO.
    pub master: OwnedFd,
    /// The job's.
    pub slave: OwnedFd,
}

impl Pty {
    /// Opens one with the modes and the size of `model`, where that is a terminal.
    pub fn open(model: BorrowedFd<'_>) -> Result<Self> {
        let failed = || Error::system("make a pseudo-terminal");
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).map_err(|errno| match errno {
            Errno::NOSPC => shortage::of_terminals(errno.into()),
            errno => failed()(errno),
        })?;
        rustix::pty::grantpt(&master).map_err(failed())?;
        rustix::pty::unlockpt(&master).map_err(failed())?;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(failed())?;
        rustix::io::ioctl_fionbio(&master, true).map_err(failed())?;
        if let Ok(modes) = rustix::termios::tcgetattr(model) {
            let _ = rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes);
        }
        resize(master.as_fd(), size(model).unwrap_or(DEFAULT_SIZE));
        Ok(Self { master, slave })
    }
}

/// The size of this terminal. None where it is none, or does not know.
pub fn size(terminal: BorrowedFd<'_>) -> Option<Size> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some(Size { columns: size.ws_col, rows: size.ws_row })
}

/// Gives a pseudo-terminal a size. The kernel tells the processes in its foreground.
pub fn resize(master: BorrowedFd<'_>, to: Size) {
    let winsize = Winsize { ws_row: to.rows, ws_col: to.columns, ws_xpixel: 0, ws_ypixel: 0 };
    let _ = rustix::termios::tcsetwinsize(master, winsize);
}

/// What a byte that is typed means to a terminal with these modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Something for whoever reads.
    Plain,
    Interrupt,
    Quit,
    Suspend,
    /// The key after it stands for itself.
    Literal,
}

/// The modes of a pseudo-terminal, seen from our side.
#[derive(Debug)]
pub struct Modes(Termios);

impl Modes {
    /// As the job has set them.
    pub fn of(master: BorrowedFd<'_>) -> Option<Self> {
        rustix::termios::tcgetattr(master).ok().map(Self)
    }

    /// What this byte means.
    pub fn key(&self, byte: u8) -> Key {
        let special = &self.0.special_codes;
        // A special character of zero is switched off.
        if byte == 0 || !self.0.local_modes.contains(LocalModes::ISIG) {
            return Key::Plain;
        }
        let edited = LocalModes::IEXTEN | LocalModes::ICANON;
        match byte {
            _ if byte == special[SpecialCodeIndex::VINTR] => Key::Interrupt,
            _ if byte == special[SpecialCodeIndex::VQUIT] => Key::Quit,
            _ if byte == special[SpecialCodeIndex::VSUSP] => Key::Suspend,
            _ if byte == special[SpecialCodeIndex::VLNEXT] && self.0.local_modes.contains(edited) => Key::Literal,
            _ => Key::Plain,
        }
    }

    pub(super) fn output_modes(&self) -> OutputModes {
        self.0.output_modes
    }
}

/// The process group in the foreground of a pseudo-terminal.
pub fn foreground(master: BorrowedFd<'_>) -> Option<i32> {
    rustix::termios::tcgetpgrp(master).ok().map(|group| group.as_raw_nonzero().get())
}

/// Types these bytes into a pseudo-terminal. Gives how many it had room for.
pub fn type_into(master: BorrowedFd<'_>, bytes: &[u8]) -> usize {
    rustix::io::write(master, bytes).unwrap_or(0)
}

/// Forgets what was typed and not read. A key that means a signal does so anyway, unless the job said otherwise, but
/// is not even looked at while what stands before it finds no room.
pub fn forget_typed(master: BorrowedFd<'_>) {
    let flushes = rustix::termios::tcgetattr(master).is_ok_and(|m| !m.local_modes.contains(LocalModes::NOFLSH));
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    if flushes && let Ok(slave) = rustix::pty::ioctl_tiocgptpeer(master, flags) {
        // What is on its way to the other end is, seen from here, output.
        let _ = rustix::termios::tcflush(master, QueueSelector::OFlush);
        let _ = rustix::termios::tcflush(&slave, QueueSelector::IFlush);
    }
}
