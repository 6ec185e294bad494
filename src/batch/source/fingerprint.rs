//! What makes two jobs the same one: their command, working directory, declared environment and id.
//!
//! How a job is limited, tried again or named does not count, so that a list whose timeouts were raised is still the same
//! list to a later run. Of secrets the names count: a value may be another one each time, and stands in no file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::model::batch::Fingerprint;
use crate::model::fingerprint::Digest;
use crate::model::job::JobSpec;

/// Changes when fingerprints of this version are not to be compared with those of earlier ones.
const VERSION: &[u8] = b"runner job 1";

/// The fingerprint of a job with this id.
pub(super) fn of(job: &JobSpec, id: Option<&str>) -> Fingerprint {
    let mut digest = Digest::new(VERSION);
    digest.command(&job.command);
    let surroundings = &job.surroundings;
    digest.optional(surroundings.cwd.as_ref().map(|cwd| cwd.as_os_str().as_bytes()));
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
    digest.finish()
}
