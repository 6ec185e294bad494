//! A lock that dies with its process, on a file: how the one worker of a store is known.
//!
//! It is a record lock of POSIX, fcntl(2) F_SETLK. Unlike one of flock(2) it belongs to the process and not to an open
//! file: no child has it, however it was started and whatever it inherited, so a killed worker never seems to live. Who
//! holds it can be asked without taking it.
//!
//! Its trap: a process that closes *any* descriptor of the file loses the lock. So nothing else of ours may open such a
//! file, and this module keeps a list of what is held: it opens none of those a second time.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::state_folder;
use crate::error::{Error, Result};

/// A file that is replaced while we lock it is locked again; nobody does that so often.
const TRIES: u32 = 100;

/// Device and inode of what this process holds. Whoever opens or closes such a file has this list locked.
static HELD: Mutex<Vec<FileId>> = Mutex::new(Vec::new());

type FileId = (u64, u64);

/// The lock of a file, held by this process until it is released, dropped, or the process is gone.
#[derive(Debug)]
pub struct ProcessLock {
    /// The only descriptor of the file. None: it is being released.
    file: Option<File>,
    id: FileId,
    path: PathBuf,
}

impl ProcessLock {
    /// Takes the lock, and makes the file where there is none, readable for us alone. None: somebody holds it, which may
    /// be this very process.
    pub fn take(path: &Path) -> Result<Option<Self>> {
        let mut held = list();
        for _ in 0..TRIES {
            if fs::symlink_metadata(path).is_ok_and(|there| held.contains(&id_of(&there))) {
                return Ok(None);
            }
            let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
            let metadata = regular(&file, path)?;
            match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::AGAIN | Errno::ACCESS) => return Ok(None),
                Err(errno) => return Err(cannot_lock(path, errno.into())),
            }
            let id = id_of(&metadata);
            // Somebody may have put another file in its place meanwhile, and may hold that.
            if fs::symlink_metadata(path).is_ok_and(|there| id_of(&there) == id) {
                held.push(id);
                return Ok(Some(Self { file: Some(file), id, path: path.to_owned() }));
            }
        }
        Err(cannot_lock(path, io::ErrorKind::ResourceBusy.into()))
    }

    /// False where the file was removed or replaced: others cannot see this lock any more, and may have one of their own.
    pub fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|there| id_of(&there) == self.id)
    }

    /// Gives it up. The file stays: to remove it would let two processes hold the lock of two files of this name.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        let mut held = list();
        self.file = None;
        held.retain(|id| *id != self.id);
    }
}

/// Who holds the lock of this file; nothing is taken. None: nobody, or there is no such file. A number that is not above
/// zero stands for a process that cannot be seen from here: one of another container, or of another machine.
pub fn holder(path: &Path) -> Result<Option<i32>> {
    let held = list();
    match fs::symlink_metadata(path) {
        // The kernel tells nobody of his own locks, and to ask for this one would lose it.
        Ok(there) if held.contains(&id_of(&there)) => return Ok(Some(super::process::own_pid())),
        Ok(_) => {}
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(cannot_lock(path, error)),
    }
    let file = match open(path, OFlags::RDONLY) {
        Err(Error::Path { source, .. }) if is_missing(&source) => return Ok(None),
        opened => opened?,
    };
    regular(&file, path)?;
    // SAFETY: an all-zero flock is valid, and stands for the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the kernel reads and writes the structure.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) } != 0 {
        return Err(cannot_lock(path, io::Error::last_os_error()));
    }
    Ok((libc::c_int::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid))
}

fn list() -> MutexGuard<'static, Vec<FileId>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn id_of(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Never through a link, and never waiting for the other end of a FIFO.
fn open(path: &Path, manner: OFlags) -> Result<File> {
    let flags = manner | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
    let opened: io::Result<OwnedFd> = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from);
    opened.map(File::from).map_err(|error| cannot_lock(path, error))
}

fn regular(file: &File, path: &Path) -> Result<Metadata> {
    let metadata = file.metadata().map_err(|error| cannot_lock(path, error))?;
    if metadata.is_file() {
        state_folder::check_owner(path, &metadata)?;
        return Ok(metadata);
    }
    Err(Error::Invalid {
        argument: Some(path.display().to_string()),
        message: format!("the lock {} is no regular file", path.display()),
        remediation: "Remove it; it is made anew when it is needed".to_owned(),
    })
}

fn cannot_lock(path: &Path, error: io::Error) -> Error {
    let remediation = match error.raw_os_error() {
        Some(libc::ENOLCK | libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP) => {
            "Its file system has no locks, or none left; put the folder of the queue on another one"
        }
        Some(libc::ELOOP) => "It must not be a symbolic link; remove it",
        _ => "Check that the folder exists, belongs to you and may be written",
    };
    Error::path("lock", path, remediation)(error)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a lock is seen by other processes alone")]
mod tests {
    use std::fs;
    use std::io::{self, BufRead, BufReader, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use super::{ProcessLock, holder};
    use crate::error::Error;
    use crate::model::envelope::ErrorCode;
    use crate::platform::process::own_pid;

    /// Tells the test below what to do as a process of its own.
    const ORDER: &str = "TEST_LOCK_ORDER";
    const FILE: &str = "TEST_LOCK_FILE";

    /// No test by itself: another process, which asks for a lock, or takes it and holds it until its input ends.
    #[test]
    fn another_process() {
        let (Ok(order), Some(path)) = (std::env::var(ORDER), std::env::var_os(FILE)) else { return };
        let path = Path::new(&path);
        let lock = (order == "take").then(|| ProcessLock::take(path).unwrap());
        let answer = match &lock {
            Some(taken) => taken.is_some().to_string(),
            None => holder(path).unwrap().map_or("nobody".to_owned(), |pid| pid.to_string()),
        };
        let mut out = io::stdout();
        out.write_all(format!("\nanswer {answer}\n").as_bytes()).unwrap();
        out.flush().unwrap();
        if lock.is_some() {
            io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
    }

    fn other(order: &str, path: &Path) -> (Child, String) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "platform::lock::tests::another_process", "--nocapture"])
            .env(ORDER, order)
            .env(FILE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let answer = lines.find_map(|line| line.unwrap().strip_prefix("answer ").map(str::to_owned)).unwrap();
        // It goes on writing, and must not fail in that.
        std::thread::spawn(move || lines.count());
        (child, answer)
    }

    fn seen_by_another_process(path: &Path) -> String {
        let (mut child, answer) = other("ask", path);
        assert!(child.wait().unwrap().success());
        answer
    }

    #[test]
    fn others_see_who_holds_it_and_cannot_take_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(holder(&path).unwrap(), None, "there is no file");
        let lock = ProcessLock::take(&path).unwrap().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(seen_by_another_process(&path), own_pid().to_string());
        let (mut contender, taken) = other("take", &path);
        assert_eq!(taken, "false");
        drop(contender.stdin.take());
        contender.wait().unwrap();
        lock.release();
        assert_eq!(seen_by_another_process(&path), "nobody");
        assert_eq!(holder(&path).unwrap(), None);
    }

    #[test]
    fn it_dies_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (mut child, taken) = other("take", &path);
        assert_eq!(taken, "true");
        assert_eq!(holder(&path).unwrap(), Some(child.id() as i32));
        assert!(ProcessLock::take(&path).unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(holder(&path).unwrap(), None);
        assert!(ProcessLock::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_child_that_has_the_very_descriptor_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = ProcessLock::take(&path).unwrap().unwrap();
        let descriptor = lock.file.as_ref().unwrap().as_raw_fd();
        let mut sleep = Command::new("sleep");
        let keep_open = move || {
            // SAFETY: takes numbers.
            match unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: it calls fcntl(2) alone, as may be done between fork and exec.
        unsafe { sleep.arg("1000").pre_exec(keep_open) };
        let mut child = sleep.spawn().unwrap();
        let inherited = fs::read_link(format!("/proc/{}/fd/{descriptor}", child.id())).unwrap();
        assert_eq!(inherited, fs::canonicalize(&path).unwrap());
        assert_eq!(seen_by_another_process(&path), own_pid().to_string(), "its exec took nothing away");
        lock.release();
        assert_eq!(seen_by_another_process(&path), "nobody");
        let (mut next, taken) = other("take", &path);
        assert_eq!(taken, "true");
        drop(next.stdin.take());
        next.wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn to_ask_or_to_try_again_does_not_lose_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("lock"), folder.path().join("link"));
        let lock = ProcessLock::take(&path).unwrap().unwrap();
        assert_eq!(holder(&path).unwrap(), Some(own_pid()));
        assert!(ProcessLock::take(&path).unwrap().is_none());
        fs::hard_link(&path, &link).unwrap();
        assert_eq!(holder(&link).unwrap(), Some(own_pid()));
        assert_eq!(seen_by_another_process(&path), own_pid().to_string());
        drop(lock);
        assert!(ProcessLock::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_file_that_was_removed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = ProcessLock::take(&path).unwrap().unwrap();
        assert!(lock.is_in_place());
        fs::remove_file(&path).unwrap();
        assert!(!lock.is_in_place());
        let second = ProcessLock::take(&path).unwrap().unwrap();
        assert!(second.is_in_place() && !lock.is_in_place());
    }

    #[test]
    fn what_is_no_file_of_ours_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let fifo = folder.path().join("fifo");
        symlink("/dev/null", &path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        for wrong in [&path, &fifo] {
            for error in [ProcessLock::take(wrong).unwrap_err(), holder(wrong).unwrap_err()] {
                assert_eq!(error.kind(), ErrorCode::ValidationError);
                assert!(error.to_string().contains(wrong.to_str().unwrap()), "{error}");
            }
        }
        let nowhere = ProcessLock::take(&folder.path().join("no/lock")).unwrap_err();
        assert!(matches!(nowhere, Error::Path { .. }) && nowhere.kind() == ErrorCode::NotFound);
    }
}
