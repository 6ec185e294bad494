//! Fingerprints of jobs: command, working directory, input, declared environment and id.
//!
//! Limits, retries and names are left out, so that a list with raised timeouts still has the same jobs in a later run;
//! so are the umask and the environment of runner. Of secrets only the names are included: their values may change and
//! are never written to a file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::model::batch::Fingerprint;
use crate::model::fingerprint::Digest;
use crate::model::job::{JobSpec, Stdin};

/// Changes when fingerprints of this version are not to be compared with those of earlier ones.
const VERSION: &[u8] = b"runner job 2";
/// The version in journals of version 1: without the input and the current directory.
const LEGACY_VERSION: &[u8] = b"runner job 1";

/// The part of a fingerprint that identifies what a job runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum JobContent<'a> {
    /// The command of the job.
    Command,
    /// The shell line as given, with the items of the job and, if the line uses it, its number.
    Line { shell: &'a OsStr, line: &'a OsStr, replacement: &'a OsStr, items: &'a [OsString], seq: Option<u64> },
}

/// Computes fingerprints of jobs relative to the current directory.
#[derive(Clone, Debug)]
pub(super) struct JobIdentity {
    directory: PathBuf,
}

impl JobIdentity {
    pub(super) fn new() -> Self {
        // A removed directory has no path; jobs without --cwd get the same fingerprint there.
        Self { directory: std::env::current_dir().unwrap_or_default() }
    }

    /// The fingerprint of a job with this id.
    pub(super) fn of(&self, job: &JobSpec, id: Option<&str>, content: JobContent<'_>) -> Fingerprint {
        let mut digest = Digest::new(VERSION);
        match content {
            JobContent::Command => digest.command(&job.command),
            JobContent::Line { shell, line, replacement, items, seq } => {
                digest.words([shell.as_bytes(), line.as_bytes(), replacement.as_bytes()].into_iter());
                digest.words(items.iter().map(|item| item.as_bytes()));
                digest.optional(seq.map(u64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
            }
        }
        let surroundings = &job.surroundings;
        // Absolute, so that the way the directory is written does not matter.
        let cwd = surroundings.cwd.as_ref().map_or_else(|| self.directory.clone(), |cwd| self.directory.join(cwd));
        digest.word(cwd.as_os_str().as_bytes());
        let input = match &surroundings.stdin {
            Stdin::Null => None,
            Stdin::Inherit => Some(PathBuf::from("-")),
            Stdin::File(path) => Some(self.directory.join(path)),
        };
        digest.optional(input.as_ref().map(|input| input.as_os_str().as_bytes()));
        declared(&mut digest, job, id);
        digest.finish()
    }

    /// The fingerprint in journals of version 1.
    pub(super) fn legacy(job: &JobSpec, id: Option<&str>) -> Fingerprint {
        let mut digest = Digest::new(LEGACY_VERSION);
        digest.command(&job.command);
        digest.optional(job.surroundings.cwd.as_ref().map(|cwd| cwd.as_os_str().as_bytes()));
        declared(&mut digest, job, id);
        digest.finish()
    }
}

/// Adds declared variables, the id and the names of secrets.
fn declared(digest: &mut Digest, job: &JobSpec, id: Option<&str>) {
    let surroundings = &job.surroundings;
    digest.flag(surroundings.env_clear);
    // The last one of a name is what the job gets, and their order is nothing to it.
    let declared: BTreeMap<&OsStr, &OsStr> =
        surroundings.env.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())).collect();
    digest.number(declared.len());
    for (name, value) in declared {
        digest.word(name.as_bytes());
        digest.word(value.as_bytes());
    }
    digest.optional(id.map(str::as_bytes));
    let secrets: BTreeSet<&OsStr> = surroundings.secrets.iter().map(|(name, _)| name.as_os_str()).collect();
    if !secrets.is_empty() {
        digest.words(secrets.into_iter().map(OsStr::as_bytes).collect::<Vec<_>>().into_iter());
    }
}
