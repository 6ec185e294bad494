//! What an earlier run left: its journal read, and how each job of the list stands by it.
//!
//! Jobs are known by their content alone. Equal jobs are counted: two successes stand for two of three equal ones.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use crate::batch::journal::record::{self, Author, Record, Unreadable};
use crate::model::batch::{Entry, Fingerprint, Verdict};
use crate::model::request::ResumeRule;

/// No record is longer; so much of a line is looked at.
const LINE_LIMIT: u64 = 64 * 1024 * 1024;

/// How a job stands by an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It never began.
    New,
    Succeeded,
    Failed,
    TimedOut,
    /// It was stopped with the whole batch.
    Cancelled,
    /// It had begun when the runner was killed, and nothing is known of its end.
    Interrupted,
}

/// What is done with a job of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Run {
        /// A part of it may have run before.
        interrupted_before: bool,
    },
    /// It succeeded in an earlier run, and counts for whoever needs it.
    DoneBefore,
    /// It did not succeed, and is not among those that were asked for.
    LeftOut,
}

/// What the runs before came to.
#[derive(Debug, Default)]
pub struct Earlier {
    memory: Memory,
    /// Lines that were no records.
    pub unreadable_lines: u64,
    /// Bytes of a torn last line that were cut off.
    pub repaired_bytes: u64,
    /// Processes of the killed run that had to be ended.
    pub ended_processes: usize,
    /// There was a run before.
    pub is_resumed: bool,
}

impl Earlier {
    /// How the next job of this content stands. Each call takes one job of it out.
    pub fn standing(&mut self, fingerprint: Fingerprint) -> Standing {
        self.memory.take(fingerprint)
    }

    /// What to do with the next job of the list.
    pub fn wants(&mut self, entry: &Entry, rule: ResumeRule) -> Decision {
        let standing = match (self.standing(entry.fingerprint), entry.legacy_fingerprint) {
            (Standing::New, Some(legacy)) => self.standing(legacy),
            (standing, _) => standing,
        };
        if standing == Standing::Succeeded {
            return Decision::DoneBefore;
        }
        let wanted = match rule {
            ResumeRule::All => true,
            ResumeRule::Failed => matches!(standing, Standing::Failed | Standing::TimedOut),
            ResumeRule::TimedOut => standing == Standing::TimedOut,
            ResumeRule::Unfinished => {
                matches!(standing, Standing::New | Standing::Cancelled | Standing::Interrupted)
            }
        };
        match wanted {
            true => Decision::Run { interrupted_before: standing == Standing::Interrupted },
            false => Decision::LeftOut,
        }
    }
}

/// How many jobs of one content came to what, those that succeeded left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unsuccessful {
    failed: u32,
    timed_out: u32,
    cancelled: u32,
    interrupted: u32,
}

impl Unsuccessful {
    const ORDER: [Standing; 4] = [Standing::Failed, Standing::TimedOut, Standing::Cancelled, Standing::Interrupted];

    fn of(&mut self, standing: Standing) -> Option<&mut u32> {
        match standing {
            Standing::Failed => Some(&mut self.failed),
            Standing::TimedOut => Some(&mut self.timed_out),
            Standing::Cancelled => Some(&mut self.cancelled),
            Standing::Interrupted => Some(&mut self.interrupted),
            Standing::New | Standing::Succeeded => None,
        }
    }

    fn take(&mut self, order: &[Standing]) -> Option<Standing> {
        order.iter().copied().find(|standing| match self.of(*standing) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        })
    }
}

/// A fingerprint without the alignment of a number, since there may be millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key([u8; 16]);

impl From<Fingerprint> for Key {
    fn from(fingerprint: Fingerprint) -> Self {
        Self(fingerprint.0.to_ne_bytes())
    }
}

/// A job that began in the run that is being read, and has not ended.
#[derive(Debug)]
struct Open {
    fingerprint: Fingerprint,
    /// One for each attempt.
    job_ids: Vec<String>,
}

/// What the records so far say.
#[derive(Debug, Default)]
pub(super) struct Memory {
    succeeded: HashMap<Key, u32>,
    unsuccessful: HashMap<Key, Unsuccessful>,
    open: HashMap<u64, Open>,
    /// Who wrote the records that are being read.
    author: Option<Author>,
    has_ended: bool,
    /// What finished last: a record that had to be written twice is one.
    last: Option<(u64, Fingerprint)>,
    /// The journal contains jobs of version 1.
    has_legacy_jobs: bool,
}

impl Memory {
    fn note(&mut self, record: Record) {
        match record {
            Record::Run(author) => {
                self.interrupt();
                self.author = Some(author);
                self.has_ended = false;
                self.last = None;
            }
            Record::Started { seq, fingerprint, job_id } => {
                self.has_legacy_jobs |= self.author.as_ref().is_some_and(|author| author.is_legacy);
                self.last = None;
                if !self.open.contains_key(&seq) {
                    self.begin_again(fingerprint);
                }
                let open = self.open.entry(seq).or_insert(Open { fingerprint, job_ids: Vec::new() });
                open.job_ids.push(job_id);
            }
            Record::Finished { seq, fingerprint, verdict } => self.finish(seq, fingerprint, verdict),
            Record::RunEnded => self.has_ended = true,
            Record::Unknown => {}
        }
    }

    /// A job that did not succeed before has begun once more, and stands no longer as it did. Which of several equal ones
    /// it is follows from what that run asked for.
    fn begin_again(&mut self, fingerprint: Fingerprint) {
        use Standing::{Cancelled, Failed, Interrupted, TimedOut};
        let rule = self.author.as_ref().map_or(ResumeRule::All, |author| author.rule);
        let order: &[Standing] = match rule {
            ResumeRule::All => &Unsuccessful::ORDER,
            ResumeRule::Failed => &[Failed, TimedOut],
            ResumeRule::TimedOut => &[TimedOut],
            ResumeRule::Unfinished => &[Cancelled, Interrupted],
        };
        let key = Key::from(fingerprint);
        if let Some(counts) = self.unsuccessful.get_mut(&key) {
            counts.take(order);
            if *counts == Unsuccessful::default() {
                self.unsuccessful.remove(&key);
            }
        }
    }

    fn finish(&mut self, seq: u64, fingerprint: Fingerprint, verdict: Verdict) {
        if self.open.remove(&seq).is_none() {
            if self.last == Some((seq, fingerprint)) {
                return;
            }
            self.begin_again(fingerprint);
        }
        self.last = Some((seq, fingerprint));
        let standing = match verdict {
            Verdict::Succeeded | Verdict::Flaky => {
                *self.succeeded.entry(fingerprint.into()).or_default() += 1;
                return;
            }
            Verdict::Failed => Standing::Failed,
            Verdict::TimedOut => Standing::TimedOut,
            Verdict::Cancelled => Standing::Cancelled,
            Verdict::Skipped => Standing::New,
        };
        self.add(fingerprint, standing);
    }

    fn add(&mut self, fingerprint: Fingerprint, standing: Standing) {
        if standing != Standing::New
            && let Some(count) = self.unsuccessful.entry(fingerprint.into()).or_default().of(standing)
        {
            *count += 1;
        }
    }

    /// What is open now was interrupted.
    fn interrupt(&mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            self.add(open.fingerprint, Standing::Interrupted);
        }
    }

    fn take(&mut self, fingerprint: Fingerprint) -> Standing {
        let key = Key::from(fingerprint);
        if let Some(count) = self.succeeded.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.succeeded.remove(&key);
            }
            return Standing::Succeeded;
        }
        let Some(counts) = self.unsuccessful.get_mut(&key) else { return Standing::New };
        let standing = counts.take(&Unsuccessful::ORDER);
        if *counts == Unsuccessful::default() {
            self.unsuccessful.remove(&key);
        }
        standing.unwrap_or(Standing::New)
    }

    /// The run that never came to its end, and `RUNNER_JOB_ID` of each attempt that may have been running then.
    pub(super) fn killed_run(&self) -> Option<(&Author, Vec<&str>)> {
        let author = self.author.as_ref().filter(|_| !self.has_ended)?;
        Some((author, self.open.values().flat_map(|open| &open.job_ids).map(String::as_str).collect()))
    }

    /// A job began here, in whatever run.
    pub(super) fn has_jobs(&self) -> bool {
        !(self.open.is_empty() && self.succeeded.is_empty() && self.unsuccessful.is_empty())
    }

    /// True if jobs were recorded with fingerprints of version 1.
    pub(super) fn has_legacy_jobs(&self) -> bool {
        self.has_legacy_jobs
    }

    /// The last run that wrote here.
    pub(super) fn author(&self) -> Option<&Author> {
        self.author.as_ref()
    }
}

/// A journal as it was read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) memory: Memory,
    /// So far it holds whole lines.
    pub(super) length: u64,
    /// Bytes behind, which are none.
    pub(super) torn: u64,
    /// The last line is a whole record that lacks its newline alone.
    pub(super) lacks_newline: bool,
    pub(super) unreadable_lines: u64,
}

/// Why a file cannot be gone on with.
#[derive(Debug)]
pub(super) enum NoJournal {
    /// Something else stands in it.
    Other,
    /// A later version of runner wrote it.
    Later(u32),
    Io(io::Error),
}

impl Reading {
    /// Reads all of it. Lines that are no records are left out, but for the first.
    pub(super) fn read(file: &mut dyn BufRead) -> Result<Self, NoJournal> {
        let mut reading = Self::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = file.take(LINE_LIMIT).read_until(b'\n', &mut line).map_err(NoJournal::Io)?;
            if read == 0 {
                return Ok(reading);
            }
            let is_whole = line.pop_if(|byte| *byte == b'\n').is_some();
            match record::parse(&line) {
                Ok(record) => {
                    if reading.memory.author.is_none() && !matches!(record, Record::Run(_)) {
                        return Err(NoJournal::Other);
                    }
                    reading.memory.note(record);
                    reading.lacks_newline = !is_whole;
                }
                Err(Unreadable::Later(version)) => return Err(NoJournal::Later(version)),
                Err(Unreadable::Garbage) => {
                    if reading.memory.author.is_none() && !(reading.length == 0 && is_torn_beginning(&line, is_whole)) {
                        return Err(NoJournal::Other);
                    }
                    if !is_whole {
                        reading.torn += read as u64;
                        continue;
                    }
                    reading.unreadable_lines += 1;
                }
            }
            reading.length += reading.torn + read as u64;
            reading.torn = 0;
        }
    }

    /// The memory, now that nothing follows.
    pub(super) fn earlier(mut self) -> Earlier {
        let is_resumed = self.memory.author.is_some();
        self.memory.interrupt();
        Earlier {
            memory: self.memory,
            unreadable_lines: self.unreadable_lines,
            repaired_bytes: self.torn,
            ended_processes: 0,
            is_resumed,
        }
    }
}

/// The first line of a journal, torn before its end.
fn is_torn_beginning(line: &[u8], is_whole: bool) -> bool {
    let common = line.len().min(record::BEGINNING.len());
    !is_whole && line[..common] == record::BEGINNING[..common]
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
