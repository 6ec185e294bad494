//! The controlling terminal: whether we are in its foreground, and its modes, to be put back after a kill.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::termios::{InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

use super::descriptors;
use super::pty::Modes;

/// Leaves the alternate screen, shows the cursor, and switches off reports of the mouse and marked pastes, see xterm's
/// ctlseqs. Not mode 1049: that would go back to a cursor that was saved long ago. Where none of it is on, nothing happens.
const LEAVE_FULL_SCREEN: &[u8] = b"\x1b[?1047l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l";

/// True where this is the controlling terminal of our session.
pub fn is_controlling(descriptor: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetpgrp(descriptor).is_ok()
}

/// True where our process group is the one that the controlling terminal listens to.
pub fn is_in_foreground() -> bool {
    open().is_some_and(|device| is_foreground(device.as_fd()))
}

fn is_foreground(device: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetpgrp(device).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// This open file is ours alone, so it may be one that never blocks.
fn open() -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()
}

/// The controlling terminal of our session.
#[derive(Debug)]
pub struct Terminal {
    device: OwnedFd,
    modes: Option<Termios>,
}

impl Terminal {
    /// Opens it and notes its modes, where we are in the foreground: in the background they are another program's. None
    /// where there is none.
    pub fn open() -> Option<Self> {
        let device = open()?;
        let modes = rustix::termios::tcgetattr(&device).ok().filter(|_| is_foreground(device.as_fd()));
        Some(Self { device, modes })
    }

    /// True where our process group is the one that the terminal listens to.
    pub fn is_ours(&self) -> bool {
        is_foreground(self.device.as_fd())
    }

    /// Notes the modes as they are now, and makes the keyboard a plain source of bytes: nothing is echoed, no key means
    /// a signal. Output stays what it is: others may be writing, too. False where the terminal is not ours.
    pub fn take_keyboard(&mut self) -> bool {
        let Some(modes) = rustix::termios::tcgetattr(&self.device).ok().filter(|_| self.is_ours()) else {
            return false;
        };
        self.modes = Some(modes);
        self.keep_keyboard()
    }

    /// Does the same again without noting anything: a shell may have changed the modes while we were stopped.
    pub fn keep_keyboard(&self) -> bool {
        let Some(mut raw) = self.modes.clone().filter(|_| self.is_ours()) else { return false };
        raw.input_modes -= InputModes::IGNBRK
            | InputModes::BRKINT
            | InputModes::PARMRK
            | InputModes::ISTRIP
            | InputModes::INLCR
            | InputModes::IGNCR
            | InputModes::ICRNL
            | InputModes::IXON;
        raw.local_modes -=
            LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        rustix::termios::tcsetattr(&self.device, OptionalActions::Now, &raw).is_ok()
    }

    /// Lets output pass as the job wants it to: a full-screen program takes line ends as they are.
    pub fn follow_output(&self, modes: &Modes) {
        if let Ok(mut own) = rustix::termios::tcgetattr(&self.device)
            && own.output_modes != modes.output_modes()
            && self.is_ours()
        {
            own.output_modes = modes.output_modes();
            let _ = rustix::termios::tcsetattr(&self.device, OptionalActions::Now, &own);
        }
    }

    /// Leaves the full-screen mode of a program that was killed in it, where we are in the foreground and write to this
    /// terminal, too. One that takes nothing now is not waited for.
    pub fn leave_full_screen(&self) {
        // A terminal that nobody named may be anything.
        let able = |term: std::ffi::OsString| !term.is_empty() && term != "dumb";
        if !std::env::var_os("TERM").is_some_and(able) {
            return;
        }
        let ours = [descriptors::stdout(), descriptors::stderr()].into_iter().any(is_controlling);
        if ours && self.is_ours() {
            let _ = rustix::io::write(&self.device, LEAVE_FULL_SCREEN);
        }
    }

    /// True where the keyboard gives whole lines, as a shell leaves it for programs.
    pub fn is_line_by_line(&self) -> bool {
        rustix::termios::tcgetattr(&self.device).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON))
    }

    /// The terminal itself, to wait for keys and to read them.
    pub fn device(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
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
