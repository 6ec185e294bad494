//! A pseudo-terminal with a session in it: the test types, and reads the screen.
//!
//! Either a program leads the session itself, or an interactive bash with job control does, as at a desk.

#![expect(unsafe_code, reason = "pseudo-terminals are opened by the C library")]
#![expect(clippy::disallowed_methods, reason = "waiting for the screen is bounded by the wall clock")]

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use vt100::{Color, Parser};

use super::picture::{self, Picture};
use super::process::{Setup, children, group, shell_code, stream, wait_readable};
use super::{LIMIT, Scratch, search_path, until};

/// What the shell shows when it waits for a line. No line that is typed contains it.
const PROMPT: &str = "ready> ";

pub(crate) struct Terminal {
    keyboard: File,
    screen: Arc<Screen>,
    /// How far the screen was read by `expect`.
    cursor: usize,
    leader: Child,
    over: bool,
}

#[derive(Default)]
struct Screen {
    bytes: Mutex<Vec<u8>>,
    grown: Condvar,
    /// What the bytes so far look like on a screen.
    drawn: Mutex<Drawn>,
}

struct Drawn {
    parser: Parser,
    /// So many bytes were drawn.
    bytes: usize,
}

impl Default for Drawn {
    fn default() -> Self {
        Self { parser: Parser::new(24, 80, 0), bytes: 0 }
    }
}

impl Screen {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().expect("no reader panicked")
    }

    /// The screen with everything on it that was shown so far.
    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        let mut drawn = self.drawn.lock().expect("no reader panicked");
        let bytes = self.lock();
        let from = drawn.bytes;
        drawn.parser.process(&bytes[from..]);
        drawn.bytes = bytes.len();
        drop(bytes);
        drawn
    }
}

impl Terminal {
    /// Whether the terminal is on the alternate screen, hides its cursor, reports the mouse and marks pastes.
    pub(crate) fn full_screen_modes(&self) -> [bool; 4] {
        let drawn = self.screen.drawn();
        let screen = drawn.parser.screen();
        let mouse = screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None;
        [screen.alternate_screen(), screen.hide_cursor(), mouse, screen.bracketed_paste()]
    }

    /// A program as leader of a session on a new terminal.
    #[track_caller]
    pub(crate) fn run(command: &mut Command) -> Self {
        let (master, slave) = open();
        tcsetwinsize(&master, size(24, 80)).expect("a size for the terminal");
        command.env("TERM", "xterm").stdin(stream(&slave)).stdout(stream(&slave)).stderr(stream(&slave));
        Setup { terminal: true, ..Setup::default() }.apply(command);
        let leader = command.spawn().expect("the leader of the session starts");
        drop(slave);
        let screen = Arc::new(Screen::default());
        let reader = File::from(master.try_clone().expect("a second descriptor"));
        let shown = Arc::clone(&screen);
        // The thread ends with the session: reading fails once no process has the terminal open.
        thread::spawn(move || collect(reader, &shown));
        Self { keyboard: File::from(master), screen, cursor: 0, leader, over: false }
    }

    /// An interactive bash with job control, waiting for its first line.
    #[track_caller]
    pub(crate) fn shell(scratch: &Scratch) -> Self {
        Self::shell_with(scratch, &[])
    }

    /// The same with more variables in its environment.
    #[track_caller]
    pub(crate) fn shell_with(scratch: &Scratch, variables: &[(&str, &str)]) -> Self {
        let mut command = scratch.command("/bin/bash");
        command.args(["--norc", "--noprofile", "--noediting", "-i"]);
        command.env("PS1", PROMPT).env("HISTFILE", "/dev/null").env("PATH", search_path());
        command.envs(variables.iter().copied());
        let mut terminal = Self::run(&mut command);
        terminal.prompt();
        terminal
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.leader.id()).expect("a process id")
    }

    /// Types these bytes.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.keyboard.write_all(bytes).expect("the terminal takes what is typed");
    }

    /// Types a line.
    #[track_caller]
    pub(crate) fn line(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    #[track_caller]
    pub(crate) fn ctrl_c(&mut self) {
        self.control(b'C');
    }

    #[track_caller]
    pub(crate) fn ctrl_z(&mut self) {
        self.control(b'Z');
    }

    #[track_caller]
    pub(crate) fn ctrl_backslash(&mut self) {
        self.control(b'\\');
    }

    /// Types a control character. Where the terminal shows what is typed, its echo is awaited: by then the signal was
    /// sent. The terminal drops what was written and not shown yet, so a test expects that first.
    #[track_caller]
    fn control(&mut self, letter: u8) {
        let echoes = self.echoes();
        self.send(&[letter & 0x1f]);
        if echoes {
            self.expect(&format!("^{}", char::from(letter)));
        }
    }

    /// Waits for a text after all that was expected so far; returns what stood before it.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> String {
        self.expect_within(text, LIMIT)
    }

    #[track_caller]
    pub(crate) fn expect_within(&mut self, text: &str, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        let mut bytes = self.screen.lock();
        loop {
            let unread = &bytes[self.cursor..];
            if let Some(found) = unread.windows(text.len()).position(|window| window == text.as_bytes()) {
                let before = String::from_utf8_lossy(&unread[..found]).into_owned();
                self.cursor += found + text.len();
                return before;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let shown = String::from_utf8_lossy(&bytes).into_owned();
                let unread = String::from_utf8_lossy(unread).into_owned();
                drop(bytes);
                panic!("waited in vain for {text:?}; new on the screen: {unread:?}; all of it:\n{shown}");
            }
            bytes = self.screen.grown.wait_timeout(bytes, left).expect("no reader panicked").0;
        }
    }

    /// Waits for the shell's prompt; returns what was shown before it.
    #[track_caller]
    pub(crate) fn prompt(&mut self) -> String {
        self.expect(PROMPT)
    }

    /// Types a line and waits for the next prompt; returns what was shown between, the echo of the line included.
    #[track_caller]
    pub(crate) fn run_line(&mut self, line: &str) -> String {
        self.line(line);
        self.prompt()
    }

    /// `$?` of the shell, which must be at its prompt.
    #[track_caller]
    pub(crate) fn status(&mut self) -> i32 {
        self.value("$?").parse().expect("an exit status")
    }

    /// What the shell, which must be at its prompt, expands a word to.
    #[track_caller]
    pub(crate) fn value(&mut self, word: &str) -> String {
        // The echo of the typed line has no '=' directly before '<'.
        self.line(&format!("echo value'='\"<{word}>\""));
        self.expect("value=<");
        let value = self.expect(">");
        self.prompt();
        value
    }

    /// The one process in the foreground that the shell itself started.
    #[track_caller]
    pub(crate) fn foreground(&self) -> i32 {
        let shell = self.pid();
        let found: Vec<i32> =
            children(shell).into_iter().filter(|pid| group(*pid) == self.foreground_group()).collect();
        assert_eq!(found.len(), 1, "one process in the foreground under the shell {shell}: {found:?}");
        found[0]
    }

    /// The foreground process group of the terminal.
    pub(crate) fn foreground_group(&self) -> Option<i32> {
        let mut group = 0;
        // SAFETY: the request writes one pid_t, which `group` is.
        let result = unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCGPGRP, &raw mut group) };
        (result == 0 && group > 0).then_some(group)
    }

    /// Everything that was shown.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock()).into_owned()
    }

    /// Everything that was shown, as bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.screen.lock().clone()
    }

    /// What the screen looks like now.
    pub(crate) fn picture(&self) -> Picture {
        Picture::of(&self.screen.drawn().parser)
    }

    /// Waits until a text was on the screen in this colour, be it for a moment that is over. The terminal has the size
    /// that it began with.
    #[track_caller]
    pub(crate) fn was_coloured(&self, text: &str, colour: Color) {
        let (mut parser, mut seen) = (Parser::new(24, 80, 0), 0);
        until(&format!("{text:?} is shown in {colour:?}"), || {
            let bytes = self.bytes();
            let mut steps = bytes[seen..].split_inclusive(|byte| *byte == b'\x1b');
            seen = bytes.len();
            steps.any(|step| {
                parser.process(step);
                picture::colour_of(&parser, text) == Some(colour)
            })
        });
    }

    /// Waits until the screen looks as wanted, and gives what it looks like then.
    #[track_caller]
    pub(crate) fn picture_when(&self, what: &str, mut wanted: impl FnMut(&Picture) -> bool) -> Picture {
        let deadline = Instant::now() + LIMIT;
        loop {
            let picture = self.picture();
            if wanted(&picture) {
                return picture;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain until {what}; on the screen:\n{}", picture.rows.join("\n"));
            let bytes = self.screen.lock();
            let known = self.screen.drawn.lock().map_or(0, |drawn| drawn.bytes);
            if bytes.len() == known {
                // Woken by new bytes; the limit alone ends the waiting otherwise.
                let _ = self.screen.grown.wait_timeout(bytes, left.min(Duration::from_millis(50)));
            }
        }
    }

    /// Waits until the screen shows exactly these rows, times and spinners redacted.
    #[track_caller]
    pub(crate) fn shows(&self, rows: &[&str]) -> Picture {
        let wanted: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
        let picture = self.picture_when(&format!("it shows\n{}\n", rows.join("\n")), |now| now.redacted() == wanted);
        assert!(!picture.alternate, "a full-screen program has the screen");
        picture
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn echoes(&self) -> bool {
        self.modes().contains(LocalModes::ECHO)
    }

    /// The local modes; the master of a pair has those of its terminal.
    pub(crate) fn modes(&self) -> LocalModes {
        tcgetattr(&self.keyboard).expect("the modes of the terminal").local_modes
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        // What was shown before is drawn at the size before.
        self.screen.drawn().parser.screen_mut().set_size(rows, columns);
        tcsetwinsize(&self.keyboard, size(rows, columns)).expect("a new size");
    }

    /// Waits for the end of the leader.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let pidfd = pidfd_open(Pid::from_child(&self.leader), PidfdFlags::empty()).expect("a descriptor of the child");
        assert!(wait_readable(&pidfd, LIMIT), "the session goes on; on the screen:\n{}", self.screen());
        self.over = true;
        self.leader.wait().expect("the leader can be waited for")
    }

    /// Waits for the end of the leader; what `$?` of a shell would be.
    #[track_caller]
    pub(crate) fn ended_code(&mut self) -> i32 {
        shell_code(self.ended())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.over {
            // The end of the session's leader hangs up its terminal, and with it what runs there.
            let _ = self.leader.kill();
            let _ = self.leader.wait();
        }
    }
}

fn collect(mut reader: File, screen: &Screen) {
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer) {
            Ok(count) if count > 0 => {
                screen.lock().extend_from_slice(&buffer[..count]);
                screen.grown.notify_all();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Both ends of a new pseudo-terminal, neither inherited by accident.
fn open() -> (OwnedFd, OwnedFd) {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: each call takes numbers, and a descriptor that is not negative is new and ours alone.
    unsafe {
        let master = libc::posix_openpt(flags);
        assert!(master >= 0, "no pseudo-terminal: {}", std::io::Error::last_os_error());
        let master = OwnedFd::from_raw_fd(master);
        assert_eq!(libc::grantpt(master.as_raw_fd()), 0, "grantpt: {}", std::io::Error::last_os_error());
        assert_eq!(libc::unlockpt(master.as_raw_fd()), 0, "unlockpt: {}", std::io::Error::last_os_error());
        let slave = libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags);
        assert!(slave >= 0, "no other end: {}", std::io::Error::last_os_error());
        (master, OwnedFd::from_raw_fd(slave))
    }
}
