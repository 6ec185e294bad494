//! The journal: an append-only file of JSON lines that remembers which jobs were started and which ended.
//!
//! A record is one write(2), before the start and after the end. Only the foreman calls it while jobs run. The file is
//! locked from the opening on, so that two runners never write to one journal.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::local::JOB_ID;
use crate::batch::journal::appender::{Appender, Storage};
use crate::batch::journal::record::Author;
use crate::batch::journal::syncer::Syncer;
use crate::batch::resume::{Earlier, NoJournal, Reading};
use crate::error::{Error, Result};
use crate::model::batch::{Ended, Entry, Verdict};
use crate::model::request::JournalRequest;
use crate::model::unique_id::unique_id;
use crate::platform::doorbell::Doorbell;
use crate::platform::files;
use crate::platform::procfs::Identity;
use crate::platform::remains::{self, Remains};
use crate::platform::{process, room};
use crate::time::clock::unix_time;

mod appender;
pub(super) mod record;
mod syncer;

/// How often a lock is asked for that belongs to nobody who lives, with a pause in between.
const LOCK_ROUNDS: u32 = 250;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// One that somebody holds who lives is asked for so often: whoever was killed just now may still be ending.
const PATIENT_ROUNDS: u32 = 50;
/// The last sync may take so long.
const SYNC_LIMIT: Duration = Duration::from_secs(10);
const HELP_FULL: &str = "Make room on that disk, then go on with --resume and this file";

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Arc<File>,
    appender: Appender<JournalFile>,
    author: Author,
    /// None: each record is synced as it is written.
    syncer: Option<Syncer>,
    /// The room that is set aside for the end of each job that runs.
    promised: HashMap<u64, u64>,
    promised_in_all: u64,
}

impl Journal {
    /// Begins a journal or, to resume, locks and repairs it and ends what is left of a run that was killed.
    pub fn open(request: &JournalRequest) -> Result<(Self, Earlier)> {
        let path = &request.path;
        let file = open_locked(request)?;
        let reading = read(&file, path)?;
        if request.resume.is_none() && reading.memory.has_jobs() {
            return Err(Error::Invalid {
                argument: Some("--journal".to_owned()),
                message: format!("the journal {} holds an earlier run", path.display()),
                remediation: format!("Go on with it: --resume {}; or remove it, to begin anew", path.display()),
            });
        }
        if request.has_shell_line && reading.memory.has_legacy_jobs() {
            return Err(Error::Invalid {
                argument: Some("--resume".to_owned()),
                message: format!(
                    "the journal {} was written by an earlier version of runner, which identifies jobs of a -c line \
                     differently",
                    path.display()
                ),
                remediation: "Resume it with the version that wrote it, or run all jobs with a new --journal"
                    .to_owned(),
            });
        }
        let mut ended_processes = 0;
        if let Some((killed, job_ids)) = reading.memory.killed_run() {
            ended_processes = end_remains(path, killed, &job_ids)?;
        }
        let file = Arc::new(file);
        let storage = JournalFile { file: Arc::clone(&file), limit: room::longest_file() };
        let mut appender = Appender::new(storage, reading.length, reading.torn);
        let own = Identity { pid: process::own_pid(), start_time: 0 };
        let author = Author {
            run: unique_id().to_string(),
            process: process::own_identity().unwrap_or(own),
            boot_id: remains::boot_id(),
            rule: request.resume.unwrap_or_default(),
            is_legacy: false,
        };
        begin_run(&mut appender, reading.lacks_newline, &author)
            .and_then(|()| file.sync_data())
            .map_err(cannot_write(path))?;
        // Not every file system can; then the name is as durable as it gets.
        let _ = room::sync_folder_of(path);
        let syncer = match request.sync_each {
            true => None,
            false => {
                let file = Arc::clone(&file);
                Some(Syncer::start(move || file.sync_data())?)
            }
        };
        let journal =
            Self { path: path.clone(), file, appender, author, syncer, promised: HashMap::new(), promised_in_all: 0 };
        let mut earlier = reading.earlier();
        earlier.ended_processes = ended_processes;
        Ok((journal, earlier))
    }

    /// An attempt of a job begins. Only where this succeeds may it.
    pub fn started(&mut self, entry: &Entry, job_id: &str, attempt: u32) -> Result<()> {
        self.tell_failed_sync()?;
        let promised = record::finished_length(entry.id.as_deref());
        let room = match self.promised.contains_key(&entry.seq) {
            true => self.promised_in_all,
            false => self.promised_in_all + promised,
        };
        let record = record::started(entry, job_id, attempt, unix_time());
        self.appender.write(&record, room).map_err(cannot_write(&self.path))?;
        self.promised.insert(entry.seq, promised);
        self.promised_in_all = room;
        self.sync()
    }

    /// A job is over. On an error its record is kept, and written with the next one if that is possible; no new job
    /// should begin then.
    pub fn ended(&mut self, ended: &Ended) -> Result<()> {
        match self.promised.remove(&ended.seq) {
            Some(promised) => self.promised_in_all -= promised,
            None if ended.verdict == Verdict::Skipped => return Ok(()),
            None => {}
        }
        self.appender.write_surely(record::finished(ended)).map_err(cannot_write(&self.path))?;
        self.sync()?;
        self.tell_failed_sync()
    }

    /// The run is over: what could not be written is tried once more, and all of it is on the disk.
    pub fn close(mut self) -> Result<()> {
        let path = self.path.clone();
        if let Err(source) = self.appender.catch_up() {
            let remediation = format!(
                "{HELP_FULL}; {} ended without a record and will be run again",
                match self.appender.unwritten() {
                    1 => "one job".to_owned(),
                    count => format!("{count} jobs"),
                }
            );
            return Err(Error::Path { action: "write to the journal", path, source, remediation });
        }
        let record = record::run_ended(&self.author, unix_time());
        self.appender.write_surely(record).map_err(cannot_write(&path))?;
        // What was set aside goes back to the disk; where it cannot, the next run does it.
        let _ = self.appender.trim();
        match &self.syncer {
            Some(syncer) => {
                syncer.note();
                syncer.finish(SYNC_LIMIT)
            }
            None => self.file.sync_data(),
        }
        .map_err(cannot_sync(&path))
    }

    fn sync(&self) -> Result<()> {
        match &self.syncer {
            Some(syncer) => {
                syncer.note();
                Ok(())
            }
            None => self.file.sync_data().map_err(cannot_sync(&self.path)),
        }
    }

    fn tell_failed_sync(&self) -> Result<()> {
        match self.syncer.as_ref().and_then(Syncer::failure) {
            Some(error) => Err(cannot_sync(&self.path)(error)),
            None => Ok(()),
        }
    }
}

impl Drop for Journal {
    /// The thread that syncs may have the file open a moment longer.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn begin_run<S: Storage>(appender: &mut Appender<S>, lacks_newline: bool, author: &Author) -> io::Result<()> {
    // Where it cannot be cut off, what is torn becomes a line that readers leave out.
    let _ = appender.trim();
    if lacks_newline {
        appender.write(b"\n", 0)?;
    }
    appender.write(&record::run(author, unix_time()), 0)
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::path("write to the journal", path, HELP_FULL)
}

fn cannot_sync(path: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::path("bring to the disk the journal", path, "Check the disk that it is on; see the kernel's log")
}

/// The file of a journal, as long as it may become.
#[derive(Debug)]
struct JournalFile {
    file: Arc<File>,
    /// See [`room::longest_file`].
    limit: u64,
}

impl JournalFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl Storage for JournalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.limit != u64::MAX && self.length()?.saturating_add(bytes.len() as u64) > self.limit {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        (&*self.file).write(bytes)
    }

    fn cut(&mut self, present: u64, length: u64) -> io::Result<()> {
        // Whoever wrote to it beside us wrote at the end, and loses nothing by us.
        if self.length()? != present {
            return Err(io::Error::other("somebody else wrote to it"));
        }
        self.file.set_len(length)
    }

    fn reserve(&mut self, present: u64, end: u64) -> io::Result<bool> {
        if end > self.limit {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        room::reserve(&self.file, present, end)
    }
}

/// Opens the file and locks it. It is the one that the path leads to then.
fn open_locked(request: &JournalRequest) -> Result<File> {
    let path = &request.path;
    let help = "Name a file in a folder that exists and may be written";
    loop {
        let opened = files::open_to_append(path, request.may_create);
        if !request.may_create && opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let shown = path.display();
            return Err(Error::Invalid {
                argument: Some("--resume".to_owned()),
                message: format!("the journal {shown} does not exist"),
                remediation: format!(
                    "Check the name; to start a new journal if it is missing, use --journal {shown} --resume {shown}"
                ),
            });
        }
        let file = opened.map_err(Error::path("open the journal", path, help))?;
        let metadata = file.metadata().map_err(Error::path("look at the journal", path, help))?;
        if !metadata.is_file() {
            return Err(Error::Invalid {
                argument: Some("--journal".to_owned()),
                message: format!("the journal {} is no regular file", path.display()),
                remediation: "Name a file that can be locked and read again".to_owned(),
            });
        }
        lock(&file, path)?;
        let is_same = |there: fs::Metadata| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino());
        // Somebody may have put another one in its place while we waited.
        if fs::metadata(path).is_ok_and(is_same) {
            return Ok(file);
        }
    }
}

/// Waits for a lock that a dead runner left to what it was about to start; that is a matter of a moment.
fn lock(file: &File, path: &Path) -> Result<()> {
    let help = "Put the journal on a file system that has locks";
    let mut holder = None;
    let mut known_length = None;
    for round in 0..LOCK_ROUNDS {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::Error(error)) => return Err(Error::path("lock the journal", path, help)(error)),
            Err(fs::TryLockError::WouldBlock) => {}
        }
        let metadata = file.metadata().map_err(Error::path("look at the journal", path, help))?;
        if known_length != Some(metadata.len()) {
            known_length = Some(metadata.len());
            holder = read(file, path).ok().and_then(|reading| reading.memory.author().cloned());
        }
        if let Some(author) = holder.as_ref().filter(|author| is_of_this_boot(author)) {
            let lives = remains::is_alive(author.process);
            if lives && round >= PATIENT_ROUNDS {
                break;
            }
            if !lives {
                remains::end_heirs_of_lock(author.process, metadata.dev(), metadata.ino());
            }
        }
        Doorbell::new()?.await_ring(LOCK_PAUSE);
    }
    Err(in_use(path, holder.as_ref().filter(|author| remains::is_alive(author.process))))
}

fn in_use(path: &Path, author: Option<&Author>) -> Error {
    let (by, remedy) = match author {
        Some(author) => {
            let pid = author.process.pid;
            (format!("runner with pid {pid}"), format!("Wait until it is done, or end it: kill {pid}"))
        }
        None => ("another process".to_owned(), "Find out who has it open, as with fuser, and wait for it".to_owned()),
    };
    let message = format!("the journal {} is in use by {by}", path.display());
    Error::Conflict { message, remediation: remedy }
}

fn is_of_this_boot(author: &Author) -> bool {
    match (&author.boot_id, remains::boot_id()) {
        (Some(theirs), Some(ours)) => *theirs == ours,
        _ => true,
    }
}

fn read(mut file: &File, path: &Path) -> Result<Reading> {
    let help = "Check the disk that it is on; see the kernel's log";
    file.rewind().map_err(Error::path("read the journal", path, help))?;
    Reading::read(&mut BufReader::with_capacity(1 << 16, file)).map_err(|problem| match problem {
        NoJournal::Other => Error::Invalid {
            argument: Some("--journal".to_owned()),
            message: format!("{} is no journal", path.display()),
            remediation: "Give a file that --journal wrote, or one that does not exist yet".to_owned(),
        },
        NoJournal::Later(version) => Error::Invalid {
            argument: Some("--resume".to_owned()),
            message: format!(
                "the journal {} is of version {version}, which is later than this program",
                path.display()
            ),
            remediation: "Resume with the version of runner that wrote it".to_owned(),
        },
        NoJournal::Io(error) => Error::path("read the journal", path, help)(error),
    })
}

/// Ends what is left of a run that did not come to its end. Gives how many processes that were.
fn end_remains(path: &Path, killed: &Author, job_ids: &[&str]) -> Result<usize> {
    let is_us = process::own_identity() == Some(killed.process);
    if !is_of_this_boot(killed) || is_us {
        return Ok(0);
    }
    // It holds no lock, so it is ending, or the journal is a copy of the one that it writes.
    for _ in 0..PATIENT_ROUNDS {
        if !remains::is_alive(killed.process) {
            break;
        }
        Doorbell::new()?.await_ring(LOCK_PAUSE);
    }
    if remains::is_alive(killed.process) {
        return Err(in_use(path, Some(killed)));
    }
    let marks = job_ids.iter().map(|id| format!("{JOB_ID}={id}").into_bytes()).collect();
    let help = "End them, or wait until they are gone, and resume again";
    let Some((ended, left)) = (Remains { since: killed.process.start_time, marks }).end() else {
        return Err(Error::Conflict {
            message: "cannot look for processes of the killed run: one of this machine is stuck".to_owned(),
            remediation: help.to_owned(),
        });
    };
    if left.is_empty() {
        return Ok(ended);
    }
    let named: Vec<String> = left.iter().map(|row| format!("{} ({})", row.pid, row.command)).collect();
    Err(Error::Conflict {
        message: format!("processes of the killed run cannot be ended: {}", named.join(", ")),
        remediation: help.to_owned(),
    })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "samples_tests.rs"]
pub(super) mod samples;
