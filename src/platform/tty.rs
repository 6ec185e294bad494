//! The controlling terminal: whether we are in its foreground, and its modes, to be put back after a kill.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, Termios};

/// The controlling terminal of our session.
#[derive(Debug)]
pub struct Terminal {
    device: OwnedFd,
    modes: Option<Termios>,
}

impl Terminal {
    /// Opens it and notes its modes. None where there is none.
    pub fn open() -> Option<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let device = rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()?;
        let modes = rustix::termios::tcgetattr(&device).ok();
        Some(Self { device, modes })
    }

    /// True where our process group is the one that the terminal listens to.
    pub fn is_ours(&self) -> bool {
        rustix::termios::tcgetpgrp(&self.device).is_ok_and(|group| group == rustix::process::getpgrp())
    }

    /// Puts the modes back, where we are in the foreground: in the background they are somebody else's.
    pub fn restore(&self) {
        if let Some(modes) = &self.modes
            && self.is_ours()
        {
            let _ = rustix::termios::tcsetattr(&self.device, OptionalActions::Now, modes);
        }
    }
}
