//! The environment that a job gets, and the deadline that one runner hands to another through it.
//!
//! A deadline is obeyed only while the runner that set it is our ancestor: a variable that outlived its runner means
//! nothing.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::backend::local::JOB_ID;
use crate::model::job::Surroundings;
use crate::platform::process;
use crate::platform::procfs::Identity;
use crate::time::clock::unix_time;

/// When the attempt will be stopped, in milliseconds since the Unix epoch.
pub const DEADLINE: &str = "RUNNER_DEADLINE_UNIX_MS";
/// Who will stop it: pid and start time, with a colon between.
pub const DEADLINE_OWNER: &str = "RUNNER_DEADLINE_OWNER";
pub const ATTEMPT: &str = "RUNNER_ATTEMPT";
/// What a nested runner leaves to the one above it, beside its own grace.
const MARGIN: Duration = Duration::from_millis(250);
/// The least that a nested runner plans for: it still has to start and to answer.
const LEAST: Duration = Duration::from_millis(1);

/// The time that the runner above us allows, less what we need to stop in.
pub fn parent_timeout(grace: Duration) -> Option<Duration> {
    let deadline = deadline_unix_ms()?;
    let owner = std::env::var(DEADLINE_OWNER).ok()?;
    let (pid, start_time) = owner.split_once(':')?;
    let owner = Identity { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? };
    if !process::is_our_ancestor(owner) {
        return None;
    }
    let left = Duration::from_millis(deadline).saturating_sub(unix_time());
    Some(left.saturating_sub(grace).saturating_sub(MARGIN).max(LEAST))
}

/// When the runner above us will stop us, as it said at our start.
pub fn deadline_unix_ms() -> Option<u64> {
    std::env::var(DEADLINE).ok()?.parse().ok()
}

/// The job's environment: ours or none, then what was asked for, then what we tell every job.
pub fn for_job(
    surroundings: &Surroundings,
    job_id: &str,
    attempt: u32,
    wall: Option<Duration>,
) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> =
        if surroundings.env_clear { Vec::new() } else { std::env::vars_os().collect() };
    for (name, value) in surroundings.env.iter().chain(&surroundings.secrets) {
        set(&mut env, name, value.clone());
    }
    set(&mut env, OsStr::new(JOB_ID), job_id.into());
    set(&mut env, OsStr::new(ATTEMPT), attempt.to_string().into());
    env.retain(|(name, _)| name != DEADLINE && name != DEADLINE_OWNER);
    if let (Some(wall), Some(own)) = (wall, process::own_identity()) {
        let deadline = unix_time().saturating_add(wall).as_millis();
        set(&mut env, OsStr::new(DEADLINE), deadline.to_string().into());
        set(&mut env, OsStr::new(DEADLINE_OWNER), format!("{}:{}", own.pid, own.start_time).into());
    }
    env
}

fn set(env: &mut Vec<(OsString, OsString)>, name: &OsStr, value: OsString) {
    match env.iter_mut().find(|(known, _)| known == name) {
        Some((_, slot)) => *slot = value,
        None => env.push((name.to_owned(), value)),
    }
}
