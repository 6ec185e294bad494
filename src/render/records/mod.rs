//! Records of a batch: files and log lines that other programs read, each in a format that is not ours.
//!
//! A record is one file here and its line in `RECORDS`; the log of a CI system is one and its line in `LOGS`. They are
//! told of each job as it ends, keep what is bounded, and turn it into bytes. Where those go is `app`'s affair.

use std::time::Duration;

use crate::model::batch::{Counts, Ended};
use crate::model::envelope::Envelope;
use crate::model::request::CiSystem;

mod github;
mod github_files;
mod gitlab;
mod joblog;
mod junit;
pub mod story;
mod teamcity;

/// Where the bytes of a record go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To a file that is made anew and grows as jobs end.
    Growing,
    /// To a file that is replaced as a whole at the end, its head first.
    Whole,
    /// Behind what others wrote to the file, once, at the end.
    Appended,
}

/// What is known when the batch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub counts: Counts,
    /// When the batch began: since the Unix epoch.
    pub started_at: Duration,
    pub elapsed: Duration,
}

/// One record. It is told of every job that ended, in the order in which they did.
pub trait Record: Send {
    /// What stands before the first job of a growing file that is new.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// A job is over.
    fn job(&mut self, ended: &Ended, envelope: &Envelope, out: &mut Vec<u8>);

    /// What stands before everything else and is known only at the end; nothing where the file grows.
    fn head(&mut self, summary: &Summary, out: &mut Vec<u8>) {
        let _ = (summary, out);
    }

    /// What comes after the last job.
    fn end(&mut self, summary: &Summary, out: &mut Vec<u8>) {
        let _ = (summary, out);
    }
}

/// What a record is told of the batch beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// What the batch is called among others.
    pub batch: String,
    /// A word that no job can know.
    pub token: String,
}

/// A kind of record.
#[derive(Clone, Copy, Debug)]
pub struct RecordKind {
    /// The name by which it is chosen.
    pub name: &'static str,
    pub place: Place,
    pub make: fn(&Setting) -> Box<dyn Record>,
}

/// Every record there is.
pub const RECORDS: &[RecordKind] = &[
    RecordKind { name: "joblog", place: Place::Growing, make: |_| Box::new(joblog::Joblog) },
    RecordKind { name: "junit", place: Place::Whole, make: |setting| Box::new(junit::Junit::new(&setting.batch)) },
    RecordKind {
        name: "github-summary",
        place: Place::Appended,
        make: |setting| Box::new(github_files::StepSummary::new(&setting.batch)),
    },
    RecordKind { name: "github-outputs", place: Place::Appended, make: |_| Box::new(github_files::Outputs) },
];

/// The kind of record of this name.
pub fn by_name(name: &str) -> Option<&'static RecordKind> {
    RECORDS.iter().find(|kind| kind.name == name)
}

/// What stands before and after something in a log. `after` begins a line: where the bytes before it do not end one, a
/// newline comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub before: Vec<u8>,
    pub after: Vec<u8>,
}

impl Frame {
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }
}

/// The log of a CI system, which understands some of its lines.
pub trait CiLog: Send {
    /// Around the output of one job, where it comes out as a whole. `whole` is false where the output went by already,
    /// or never comes out.
    fn around_job(&mut self, ended: &Ended, envelope: &Envelope, whole: bool) -> Frame;

    /// Around bytes that come as they come, on either stream; what they say means nothing to the log.
    fn around_all(&self) -> Frame {
        Frame::default()
    }

    /// A job is over whose frame the log does not get.
    fn job(&mut self, ended: &Ended, envelope: &Envelope) {
        let _ = (ended, envelope);
    }

    /// Whole lines for the end of the log, each with its newline.
    fn end(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }
}

/// The log of a CI system, by name.
pub struct LogKind {
    pub name: &'static str,
    pub system: CiSystem,
    pub make: fn(&Setting) -> Box<dyn CiLog>,
    /// Records that belong to it, and the variables that name their files.
    pub files: &'static [(&'static str, &'static str)],
}

/// Every CI system there is.
pub const LOGS: &[LogKind] = &[
    LogKind {
        name: "github",
        system: CiSystem::Github,
        make: |setting| Box::new(github::Github::new(&setting.token)),
        files: &[("github-summary", "GITHUB_STEP_SUMMARY"), ("github-outputs", "GITHUB_OUTPUT")],
    },
    LogKind { name: "gitlab", system: CiSystem::Gitlab, make: |_| Box::new(gitlab::Gitlab), files: &[] },
    LogKind { name: "teamcity", system: CiSystem::Teamcity, make: |_| Box::new(teamcity::Teamcity), files: &[] },
];

/// The log of this system.
pub fn log_of(system: CiSystem) -> Option<&'static LogKind> {
    LOGS.iter().find(|kind| kind.system == system)
}

#[cfg(test)]
pub(crate) mod fixture;
