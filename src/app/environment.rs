//! The environment that a job gets, and the deadline that one runner hands to another through it.
//!
//! A deadline is obeyed only while the runner that set it is our ancestor: a variable that outlived its runner means
//! nothing.

use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;
use std::time::Duration;

use crate::backend::local::JOB_ID;
use crate::model::job::Surroundings;
use crate::platform::process;
use crate::platform::procfs::Identity;
use crate::platform::remains::boot_id;
use crate::time::clock::{since_boot, unix_time};

/// When the attempt will be stopped, in milliseconds since the Unix epoch. For other programs.
pub const DEADLINE: &str = "RUNNER_DEADLINE_UNIX_MS";
/// The same in nanoseconds on CLOCK_BOOTTIME, which cannot be set, see clock_gettime(2). Takes precedence over
/// `DEADLINE`.
pub const DEADLINE_BOOTTIME: &str = "RUNNER_DEADLINE_BOOTTIME_NS";
/// The boot id that `DEADLINE_BOOTTIME` belongs to.
pub const DEADLINE_BOOT_ID: &str = "RUNNER_DEADLINE_BOOT_ID";
/// Who will stop it: pid and start time, with a colon between.
pub const DEADLINE_OWNER: &str = "RUNNER_DEADLINE_OWNER";
pub const ATTEMPT: &str = "RUNNER_ATTEMPT";
/// The time that a nested runner needs to answer before the outer one acts, at most a quarter of the time left.
const MARGIN: Duration = Duration::from_millis(250);
const MARGIN_DIVISOR: u32 = 4;
/// The least that a nested runner plans for: it still has to start and to answer.
const LEAST: Duration = Duration::from_millis(1);

/// The time within which the outer runner must have our answer.
pub fn parent_timeout() -> Option<Duration> {
    let left = time_left()?;
    let owner = std::env::var(DEADLINE_OWNER).ok()?;
    let (pid, start_time) = owner.split_once(':')?;
    let owner = Identity { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? };
    if !process::is_our_ancestor(owner) {
        return None;
    }
    Some(left.saturating_sub(MARGIN.min(left / MARGIN_DIVISOR)).max(LEAST))
}

/// The time until the outer runner stops us, from the variables that it set.
pub fn time_left() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let boot = std::env::var(DEADLINE_BOOT_ID).ok();
    match number(DEADLINE_BOOTTIME) {
        Some(deadline) if boot.as_deref() == this_boot() => {
            Some(Duration::from_nanos(deadline).saturating_sub(since_boot()))
        }
        _ => Some(Duration::from_millis(number(DEADLINE)?).saturating_sub(unix_time())),
    }
}

/// Read once, since a batch needs it for every job.
fn this_boot() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    BOOT.get_or_init(boot_id).as_deref()
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
    let deadline = [DEADLINE, DEADLINE_BOOTTIME, DEADLINE_BOOT_ID, DEADLINE_OWNER];
    env.retain(|(name, _)| deadline.iter().all(|known| name != known));
    if let Some(wall) = wall {
        let deadline = unix_time().saturating_add(wall).as_millis();
        set(&mut env, OsStr::new(DEADLINE), deadline.to_string().into());
        if let Some(boot) = this_boot() {
            let deadline = since_boot().saturating_add(wall).as_nanos();
            set(&mut env, OsStr::new(DEADLINE_BOOTTIME), deadline.to_string().into());
            set(&mut env, OsStr::new(DEADLINE_BOOT_ID), boot.into());
        }
        // Without it a nested runner obeys none of these, which are for other programs then.
        if let Some(own) = process::own_identity() {
            set(&mut env, OsStr::new(DEADLINE_OWNER), format!("{}:{}", own.pid, own.start_time).into());
        }
    }
    env
}

fn set(env: &mut Vec<(OsString, OsString)>, name: &OsStr, value: OsString) {
    match env.iter_mut().find(|(known, _)| known == name) {
        Some((_, slot)) => *slot = value,
        None => env.push((name.to_owned(), value)),
    }
}
