//! A bell between processes: a FIFO that one listens to, and anybody who may write it can ring. Who only rings never waits.
//!
//! What it is rung for stands elsewhere; any number of rings before the listener looks count as one. The FIFO is left in
//! its place, so that a bell that nobody listens to is told from one that was never there. It rings by itself when the
//! clock of the machine is set, since what waits for a time of the day may be due then.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::state_folder;
use crate::error::{Error, Result};

/// What is read at once; a FIFO rarely holds more rings.
const PORTION: usize = 4096;
/// A time that never comes, in seconds since the Unix epoch.
const NEVER: i64 = 1 << 40;

/// Why the listener is woken, the weakest reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WakeReason {
    /// The store may have changed.
    Update,
    /// Exit once the running tasks have finished. For a caller that cannot write this to the store.
    Drain,
}

/// The listener's end. To be listened to by one thread; any may ring it.
#[derive(Debug)]
pub struct Bell {
    /// Open for reading and writing: with a writer of its own it never comes to an end.
    fifo: OwnedFd,
    /// Readable when the clock was set, see timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.
    clock: OwnedFd,
}

impl Bell {
    /// Opens the bell, and makes the FIFO where there is none, for us alone. From now on whoever rings is heard.
    pub fn open_for_listening(path: &Path) -> Result<Self> {
        match rustix::fs::mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(cannot("make", path, errno)),
        }
        check(path)?;
        let fifo = open(path, OFlags::RDWR).map_err(|errno| cannot("open", path, errno))?;
        check_opened(&fifo, path)?;
        Ok(Self { fifo, clock: clock_watch().map_err(Error::system("watch the clock"))? })
    }

    /// Waits until it is rung, or the clock is set, and makes it quiet again. Returns the strongest reason; spurious
    /// wake-ups are possible.
    pub fn listen(&self) -> Result<WakeReason> {
        let failed = || Error::system("listen to the bell");
        let mut polled = [PollFd::new(&self.fifo, PollFlags::IN), PollFd::new(&self.clock, PollFlags::IN)];
        match rustix::event::poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed()(errno)),
        }
        // Fails with ECANCELED where the clock was set, and is quiet then.
        let _ = rustix::io::read(&self.clock, &mut [0; 8]);
        let mut rings = [0; PORTION];
        let mut strongest = WakeReason::Update;
        loop {
            match rustix::io::read(&self.fifo, &mut rings) {
                Ok(length) => {
                    if rings[..length].contains(&(WakeReason::Drain as u8)) {
                        strongest = WakeReason::Drain;
                    }
                    // The FIFO is empty, or was written to since, which the next call reads.
                    if length < PORTION {
                        return Ok(strongest);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(strongest),
                Err(errno) => return Err(failed()(errno)),
            }
        }
    }

    /// Rings it from within its own process, as to stop the thread that listens.
    pub fn ring(&self) {
        // A full one rings already.
        let _ = rustix::io::write(&self.fifo, &[0]);
    }
}

fn clock_watch() -> rustix::io::Result<OwnedFd> {
    let watch = rustix::time::timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let once = Itimerspec {
        it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: Timespec { tv_sec: NEVER, tv_nsec: 0 },
    };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    rustix::time::timerfd_settime(&watch, flags, &once)?;
    Ok(watch)
}

/// Rings the bell at this path. False: nobody listens, or there is no bell.
pub fn ring(path: &Path, reason: WakeReason) -> Result<bool> {
    match check(path) {
        Err(Error::Path { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        checked => checked?,
    }
    let fifo = match open(path, OFlags::WRONLY) {
        Ok(fifo) => fifo,
        Err(Errno::NXIO | Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(cannot("ring", path, errno)),
    };
    check_opened(&fifo, path)?;
    loop {
        return match rustix::io::write(&fifo, &[reason as u8]) {
            // A full FIFO wakes the listener anyway, but may lack this reason; a caller that needs it rings again.
            Ok(_) | Err(Errno::AGAIN) => Ok(true),
            Err(Errno::INTR) => continue,
            // The listener has just gone; runner ignores SIGPIPE, as the language does from the start.
            Err(Errno::PIPE) => Ok(false),
            Err(errno) => Err(cannot("ring", path, errno)),
        };
    }
}

/// Never through a link, and never waiting for another end.
fn open(path: &Path, manner: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = manner | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// What is no FIFO is not even opened: that may do something, as with a device, and looks like a bell that nobody
/// listens to, as with a socket.
fn check(path: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(path).map_err(Error::path("look at", path, HELP))?;
    if metadata.file_type().is_fifo() { state_folder::check_owner(path, &metadata) } else { Err(no_bell(path)) }
}

/// Somebody may have put another thing there in between.
fn check_opened(opened: &OwnedFd, path: &Path) -> Result<()> {
    let stat = rustix::fs::fstat(opened).map_err(Error::path("look at", path, HELP))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => Ok(()),
        _ => Err(no_bell(path)),
    }
}

const HELP: &str = "Check that the folder exists, belongs to you and may be written";

fn no_bell(path: &Path) -> Error {
    Error::Invalid {
        argument: Some(path.display().to_string()),
        message: format!("{} is no FIFO", path.display()),
        remediation: "Remove it; a FIFO is made there when it is needed".to_owned(),
    }
}

fn cannot(action: &'static str, path: &Path, errno: Errno) -> Error {
    let remediation = match errno {
        Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS => {
            "Its file system has no FIFOs; put the folder of the queue on another one"
        }
        _ => HELP,
    };
    Error::path(action, path, remediation)(errno)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::{Bell, WakeReason, ring};
    use crate::model::envelope::ErrorCode;

    /// True where the next call of `listen` would have to wait.
    fn is_quiet(bell: &Bell) -> bool {
        rustix::io::ioctl_fionread(&bell.fifo).unwrap() == 0
    }

    #[test]
    fn a_ring_reaches_who_listens_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bell");
        assert!(!ring(&path, WakeReason::Update).unwrap(), "there is no bell");
        let bell = Bell::open_for_listening(&path).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_fifo());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!(ring(&path, WakeReason::Update).unwrap());
        bell.listen().unwrap();
        assert!(is_quiet(&bell));
        drop(bell);
        assert!(!ring(&path, WakeReason::Update).unwrap(), "nobody listens");
        let again = Bell::open_for_listening(&path).unwrap();
        assert!(is_quiet(&again) && ring(&path, WakeReason::Update).unwrap());
    }

    #[test]
    fn many_rings_are_one_and_a_full_bell_is_rung() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bell");
        let bell = Bell::open_for_listening(&path).unwrap();
        rustix::pipe::fcntl_setpipe_size(&bell.fifo, 4096).unwrap();
        for _ in 0..5000 {
            assert!(ring(&path, WakeReason::Update).unwrap());
        }
        bell.ring();
        bell.listen().unwrap();
        // What came while it was read is the next ring; nobody rings here.
        if !is_quiet(&bell) {
            bell.listen().unwrap();
        }
        assert!(is_quiet(&bell));
    }

    #[test]
    fn the_strongest_reason_is_returned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bell");
        let bell = Bell::open_for_listening(&path).unwrap();
        for what in [WakeReason::Update, WakeReason::Drain, WakeReason::Update] {
            assert!(ring(&path, what).unwrap());
        }
        assert_eq!(bell.listen().unwrap(), WakeReason::Drain);
        assert!(ring(&path, WakeReason::Update).unwrap());
        assert_eq!(bell.listen().unwrap(), WakeReason::Update);
    }

    #[test]
    fn who_listens_can_be_stopped_by_a_ring_from_within() {
        let folder = tempfile::tempdir().unwrap();
        let bell = Bell::open_for_listening(&folder.path().join("bell")).unwrap();
        let stops = AtomicBool::new(false);
        let (heard, ears) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stops.load(Ordering::SeqCst) {
                    bell.listen().unwrap();
                    heard.send(()).unwrap();
                }
            });
            bell.ring();
            ears.recv().unwrap();
            stops.store(true, Ordering::SeqCst);
            bell.ring();
        });
    }

    #[test]
    fn what_is_no_fifo_is_named_and_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "content").unwrap();
        let socket = folder.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        symlink("/dev/null", &link).unwrap();
        for wrong in [&file, &socket, &link, &folder.path().to_owned()] {
            for error in [ring(wrong, WakeReason::Update).unwrap_err(), Bell::open_for_listening(wrong).unwrap_err()] {
                assert_eq!(error.kind(), ErrorCode::ValidationError);
                assert_eq!(error.to_string(), format!("{} is no FIFO", wrong.display()));
            }
        }
        assert_eq!(fs::read(&file).unwrap(), b"content");
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_bell() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/bell");
        assert!(!ring(&path, WakeReason::Update).unwrap());
        assert_eq!(Bell::open_for_listening(&path).unwrap_err().kind(), ErrorCode::NotFound);
    }
}
