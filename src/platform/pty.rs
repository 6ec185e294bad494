//! Pseudo-terminals: what a job gets in place of a pipe where it shall see a terminal.
//!
//! The job keeps its session, its process group and its input, so that job control, prompts and the keyboard are those
//! of the real terminal; only its output goes through here. See pty(7).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Winsize};

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
        let master = rustix::pty::openpt(flags).map_err(failed())?;
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

/// Gives a pseudo-terminal a size. True where that is a new one.
pub fn resize(master: BorrowedFd<'_>, to: Size) -> bool {
    if size(master) == Some(to) {
        return false;
    }
    let winsize = Winsize { ws_row: to.rows, ws_col: to.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(master, winsize).is_ok()
}
