//! The names of log files that are made for each job: `{#}` is the job's number, `{id}` its id.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::batch::source::fault::Wrong;
use crate::batch::source::values::Read;
use crate::error::{Error, Result};

const NUMBER: &[u8] = b"{#}";
const ID: &[u8] = b"{id}";

/// A log for all jobs must be another file for each of them.
pub(super) fn check_default(log: &Path) -> Result<()> {
    if holds(log, NUMBER) || holds(log, ID) {
        return Ok(());
    }
    Err(Error::Invalid {
        argument: Some("--log".to_owned()),
        message: format!("--log {} would be the same file for every job", log.display()),
        remediation: "Put {#}, the number of the job, or {id} into the name, as in logs/{#}.log".to_owned(),
    })
}

/// It needs the id of a job.
pub(super) fn names_id(log: &Path) -> bool {
    holds(log, ID)
}

fn holds(log: &Path, placeholder: &[u8]) -> bool {
    log.as_os_str().as_bytes().windows(placeholder.len()).any(|window| window == placeholder)
}

/// The name of another file that is made for each job. An error says what is wrong with the id.
pub fn for_job(pattern: &Path, seq: u64, id: Option<&str>) -> std::result::Result<PathBuf, String> {
    expanded(pattern, seq, id).map_err(|wrong| wrong.problem)
}

/// The name for one job.
pub(super) fn expanded(log: &Path, seq: u64, id: Option<&str>) -> Read<PathBuf> {
    let mut rest = log.as_os_str().as_bytes();
    if !rest.contains(&b'{') {
        return Ok(log.to_owned());
    }
    let mut name = Vec::with_capacity(rest.len() + 16);
    while let Some(&first) = rest.first() {
        if let Some(behind) = rest.strip_prefix(NUMBER) {
            name.extend_from_slice(seq.to_string().as_bytes());
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix(ID) {
            name.extend_from_slice(part_of_a_name(id)?.as_bytes());
            rest = behind;
        } else {
            name.push(first);
            rest = &rest[1..];
        }
    }
    Ok(OsString::from_vec(name).into())
}

/// An id that leads nowhere else.
fn part_of_a_name(id: Option<&str>) -> Read<&str> {
    match id {
        None => {
            let problem = "its name holds {id}, and the job has no id";
            Err(Wrong::new("log", problem, "Give the job an id, or use {#}, its number"))
        }
        Some(id) if id.contains('/') || id == "." || id == ".." => {
            let problem = format!("the id '{id}' cannot be a part of its name");
            Err(Wrong::new("log", problem, "Give the job an id without '/', or use {#}, its number"))
        }
        Some(id) => Ok(id),
    }
}
