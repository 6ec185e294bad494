//! The records of a batch: opens their files before the first job, hands each job to them as it ends, and writes what
//! is written at the end.
//!
//! Called by `batch` on one thread. A record that cannot be written any more costs no job anything; that it is missing
//! is said when it happens, and is the batch's error at the end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::answer;
use crate::error::{Error, Result, plain};
use crate::model::batch::{Counts, Ended};
use crate::model::envelope::Envelope;
use crate::model::request::{BatchRequest, CiSystem, Grouping, JobList};
use crate::model::unique_id::unique_id;
use crate::platform::descriptors::{self, Kind, Moved};
use crate::platform::files;
use crate::platform::path_walk;
use crate::render::records::{self, CiLog, Frame, Place, Record, Setting, Summary};
use crate::time::clock::unix_time;

/// A reader of a growing record that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(1);
/// GitHub drops the summary of a step that is larger.
const STEP_SUMMARY_LIMIT: u64 = 1024 * 1024;
/// What a batch is called that has no list in a file.
const NAMELESS: &str = "batch";

/// All records of one batch.
#[derive(Default)]
pub struct Records {
    open: Vec<Open>,
    log: Option<Box<dyn CiLog>>,
    /// Lines for the log may stand on stdout.
    frames: bool,
    /// The output of a job comes out as a whole.
    whole: bool,
    /// Outputs come out as they come.
    streams: bool,
    started_at: Duration,
}

/// What the process finds itself in.
struct Surroundings<'a> {
    /// A variable of the environment.
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    stdout: Kind,
}

impl Surroundings<'_> {
    /// The CI system that says by itself that we run under it.
    fn system(&self) -> Option<CiSystem> {
        (self.variable)("GITHUB_ACTIONS").is_some_and(|value| value == "true").then_some(CiSystem::Github)
    }
}

/// One record and where it goes.
struct Open {
    record: Box<dyn Record>,
    name: &'static str,
    path: PathBuf,
    sink: Sink,
    /// The user asked for it, and so the batch fails without it.
    demanded: bool,
    trouble: Option<io::Error>,
}

enum Sink {
    Growing(OwnedFd),
    /// The part of the file that is known so far.
    Whole(File),
    Appended(OwnedFd),
}

impl Records {
    /// Opens every record that was asked for. Fails where one can certainly not be written.
    pub fn open(request: &BatchRequest) -> Result<Self> {
        let kind = descriptors::kind(descriptors::stdout());
        Self::open_in(request, &Surroundings { variable: &|name| std::env::var_os(name), stdout: kind })
    }

    /// Fails where two would write the same file. To be asked before any file of a request is opened.
    pub fn check(request: &BatchRequest) -> Result<()> {
        check_apart(request)
    }

    fn open_in(request: &BatchRequest, surroundings: &Surroundings<'_>) -> Result<Self> {
        let batch = request.answer.secrets.mask_text(&batch_name(&request.list)).into_owned();
        let setting = Setting { batch, token: unique_id().simple().to_string() };
        let mut open = Vec::new();
        let resumes = request.journal.as_ref().is_some_and(|journal| journal.resume.is_some());
        for (name, option, path) in [("joblog", "--joblog", &request.joblog), ("junit", "--junit", &request.junit)] {
            if let Some(path) = path {
                let help = format!("Check {option}: its folder must exist and be writable");
                open.push(Open::new(name, path, &setting, resumes, &help)?);
            }
        }
        let asked = request.ci.flatten().is_some();
        let system = request.ci.unwrap_or_else(|| surroundings.system());
        let kind = system.and_then(records::log_of);
        for (name, variable) in kind.map_or(&[][..], |kind| kind.files) {
            let Some(path) = (surroundings.variable)(variable).filter(|path| !path.is_empty()) else { continue };
            let help = format!("Check the variable {variable}: it must name a file that can be written");
            match Open::new(name, Path::new(&path), &setting, true, &help) {
                Ok(record) => open.push(Open { demanded: asked, ..record }),
                Err(error) if asked => return Err(error),
                // Nobody asked for it but the surroundings.
                Err(error) => answer::say(&format!("runner: {error}")),
            }
        }
        let grouped = request.output.grouping == Grouping::Job;
        Ok(Self {
            open,
            log: kind.map(|kind| (kind.make)(&setting)),
            // Only where it was said: what is on stdout may be meant for the next in a pipe. In a file no log reads it.
            frames: asked && !request.answer.json && surroundings.stdout != Kind::Prompt,
            whole: grouped && !request.output.silent,
            streams: !grouped && !request.output.silent,
            started_at: unix_time(),
        })
    }

    /// Both streams of a job should come out on stdout, since a frame there holds only what is on the same stream.
    pub fn joins_streams(&self) -> bool {
        self.log.is_some() && self.frames && self.whole
    }

    /// What stands around the outputs of all jobs where they come out as they come: before the first byte and after the
    /// last, on both streams.
    pub fn around_all(&self) -> Frame {
        match &self.log {
            Some(log) if self.frames && self.streams => log.around_all(),
            _ => Frame::default(),
        }
    }

    /// What stands on stdout around the output of this job; where that went by already, what is to be written there
    /// once the job is over. To be asked once for each job, before or after `note`.
    pub fn around_output(&mut self, ended: &Ended, envelope: &Envelope) -> Frame {
        match &mut self.log {
            Some(log) if self.frames => log.around_job(ended, envelope, self.whole),
            _ => Frame::default(),
        }
    }

    /// A job is over. Gives lines that are to be said on stderr.
    pub fn note(&mut self, ended: &Ended, envelope: &Envelope) -> Vec<String> {
        if let Some(log) = &mut self.log
            && !self.frames
        {
            log.job(ended, envelope);
        }
        let mut said = Vec::new();
        for open in &mut self.open {
            if open.trouble.is_some() {
                continue;
            }
            let mut bytes = Vec::new();
            open.record.job(ended, envelope, &mut bytes);
            if let Err(error) = open.add(&bytes) {
                said.push(format!("runner: cannot write {}: {}", open.path.display(), plain(&error)));
                open.trouble = Some(error);
            }
        }
        said
    }

    /// Writes what is written at the end. To be called once all outputs are out. An error is the first record that was
    /// asked for and is not whole; of the others it is said.
    pub fn finish(mut self, counts: &Counts, elapsed: Duration) -> Result<()> {
        let summary = Summary { counts: *counts, started_at: self.started_at, elapsed };
        let mut first = None;
        for open in self.open {
            let (demanded, name, path) = (open.demanded, open.name, open.path.clone());
            let Err(error) = open.close(&summary) else { continue };
            let help = "Make room for it or name another file; what the jobs did is done all the same";
            let error = Error::path(action(name), path, help)(error);
            if demanded && first.is_none() {
                first = Some(error);
            } else {
                answer::say(&format!("runner: {error}"));
            }
        }
        if let Some(log) = &mut self.log {
            let mut bytes = Vec::new();
            log.end(&mut bytes);
            String::from_utf8_lossy(&bytes).lines().for_each(answer::say);
        }
        first.map_or(Ok(()), Err)
    }
}

impl Open {
    fn new(name: &'static str, path: &Path, setting: &Setting, goes_on: bool, help: &str) -> Result<Self> {
        let kind = records::by_name(name).ok_or_else(|| Error::Internal(format!("there is no record {name}")))?;
        let failed = |error: io::Error| Error::path(action(name), path, help)(error);
        let mut record = (kind.make)(setting);
        let sink = match kind.place {
            Place::Growing => {
                let mut heading = Vec::new();
                let file =
                    if goes_on { descriptors::more_output(path, help)? } else { descriptors::output(path, help)? };
                match last_byte(path).filter(|_| goes_on) {
                    // What an earlier run wrote last may be half a line.
                    Some(last) if last != b'\n' => heading.push(b'\n'),
                    Some(_) => {}
                    None => record.begin(&mut heading),
                }
                write(&file, &heading).map_err(failed)?;
                Sink::Growing(file)
            }
            Place::Whole => {
                files::check_writable(path).map_err(failed)?;
                Sink::Whole(files::draft(path).map_err(failed)?)
            }
            Place::Appended => Sink::Appended(descriptors::more_output(path, help)?),
        };
        Ok(Self { record, name, path: path.to_owned(), sink, demanded: true, trouble: None })
    }

    /// Adds what was told of a job.
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Growing(file) => write(file, bytes),
            Sink::Whole(draft) => draft.write_all(bytes),
            Sink::Appended(file) => write(file, bytes),
        }
    }

    /// Writes the end, or all of it.
    fn close(mut self, summary: &Summary) -> io::Result<()> {
        if let Some(error) = self.trouble {
            return Err(error);
        }
        let (mut head, mut end) = (Vec::new(), Vec::new());
        self.record.head(summary, &mut head);
        self.record.end(summary, &mut end);
        match self.sink {
            Sink::Growing(file) => write(&file, &end),
            Sink::Whole(mut draft) => files::replace_with(&self.path, &mut |file| {
                draft.rewind()?;
                file.write_all(&head)?;
                copy(&mut draft, file)?;
                file.write_all(&end)
            }),
            Sink::Appended(file) => {
                let there = File::from(file.try_clone()?).metadata().map_or(0, |metadata| metadata.len());
                if self.name == "github-summary" && there + end.len() as u64 > STEP_SUMMARY_LIMIT {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                write(&file, &end)
            }
        }
    }
}

/// What is done to a record, for an error.
fn action(name: &str) -> &'static str {
    match name {
        "joblog" => "write the job log",
        "junit" => "write the JUnit report",
        "github-summary" => "write the step summary",
        _ => "write the step's outputs",
    }
}

fn write(file: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    match descriptors::write_patiently(file.as_fd(), bytes, PATIENCE)? {
        Moved::Bytes(_) => Ok(()),
        Moved::WouldBlock | Moved::Broken => Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it")),
    }
}

fn copy(from: &mut File, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => to.write_all(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The last byte of a regular file that has any.
fn last_byte(path: &Path) -> Option<u8> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut file = path_walk::open_to_read(path).ok()?;
    file.seek(io::SeekFrom::End(-1)).ok()?;
    let mut last = [0];
    file.read_exact(&mut last).ok()?;
    Some(last[0])
}

/// What the batch is called: as its list, without the ending.
fn batch_name(list: &JobList) -> String {
    let stem = match list {
        JobList::File(path) => path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
        JobList::Stdin | JobList::Items(_) => None,
    };
    stem.unwrap_or_else(|| NAMELESS.to_owned())
}

/// Two that write the same file would destroy each other's work.
fn check_apart(request: &BatchRequest) -> Result<()> {
    let files = [
        ("--joblog", request.joblog.as_deref()),
        ("--junit", request.junit.as_deref()),
        ("--journal", request.journal.as_ref().map(|journal| journal.path.as_path())),
        ("--results", request.results.as_deref()),
        ("--report", request.answer.report.as_deref()),
        ("the job list", list_file(&request.list)),
    ];
    let mut seen: Vec<(&str, PathBuf)> = Vec::new();
    for (option, path) in files {
        let Some(path) = path.filter(|path| files::is_replaced(path)) else { continue };
        let target = std::path::absolute(path).and_then(|path| files::resolve(&path)).unwrap_or(path.to_owned());
        if let Some((other, _)) = seen.iter().find(|(_, known)| *known == target) {
            return Err(Error::Invalid {
                argument: Some(option.to_owned()),
                message: format!("{other} and {option} name the same file, {}", path.display()),
                remediation: "Give each a file of its own".to_owned(),
            });
        }
        seen.push((option, target));
    }
    Ok(())
}

fn list_file(list: &JobList) -> Option<&Path> {
    match list {
        JobList::File(path) => Some(path),
        JobList::Stdin | JobList::Items(_) => None,
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
