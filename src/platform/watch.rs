//! Waits for files to change: inotify(7) on them, or on their folders where they may not be there yet.
//!
//! On a file system of another machine changes made elsewhere are not told; whoever waits looks again from time to time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::platform::poller;

/// Events that are read at once.
const PORTION: usize = 4096;

/// Files and folders that are watched.
#[derive(Debug)]
pub struct Watch {
    events: OwnedFd,
}

impl Watch {
    /// Watches these files, and what is in these folders. They must exist.
    pub fn of(paths: &[&Path]) -> Result<Self> {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(Error::system("watch files for changes"))?;
        for path in paths {
            let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE;
            inotify::add_watch(&events, *path, changes).map_err(Error::path(
                "watch",
                *path,
                "Check that it is there and may be read",
            ))?;
        }
        Ok(Self { events })
    }

    /// Waits until something has changed since the last call, or for so long. It may also come back for nothing.
    pub fn wait(&self, limit: Duration) {
        poller::await_readable(self.events.as_fd(), limit);
        self.forget();
    }

    /// The same for who writes what has changed into this. True where nobody reads that any more.
    pub fn wait_for_reader(&self, sink: BorrowedFd<'_>, limit: Duration) -> bool {
        let broken = poller::await_readable_or_broken(self.events.as_fd(), sink, limit);
        self.forget();
        broken
    }

    fn forget(&self) {
        let mut portion = [0; PORTION];
        // What changed is of no interest: the caller looks.
        while matches!(rustix::io::read(&self.events, &mut portion), Ok(1..) | Err(Errno::INTR)) {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Watch;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_file_that_comes_and_one_that_grows_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::of(&[folder.path()]).unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "a").unwrap();
        watch.wait(LONG);
        let (told, wait) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                watch.wait(LONG);
                told.send(()).unwrap();
            });
            while wait.try_recv().is_err() {
                std::fs::write(&path, "more").unwrap();
            }
        });
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Watch::of(&[&folder.path().join("no")]).unwrap_err();
        assert!(error.to_string().contains("/no: No such file"), "{error}");
    }
}
