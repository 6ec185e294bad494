//! Shortage of descriptors, processes or memory: which errors mean it, and which limit was met.
//!
//! The only place that classifies them. Called where a job cannot be started; whether it is tried again is decided by the
//! dispatchers.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Resource;

use super::{cgroup, process, procfs};
use crate::error::{Error, Result};
use crate::model::outcome::{StartFailure, StartStep};

/// How long what runner itself needs is tried again, and the pause in between.
const RETRY_LIMIT: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// True for an error number that goes away once others give back descriptors, processes or memory.
pub fn is_shortage(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM)
}

/// The same error; one that is a shortage names the limit that was met.
pub fn named(error: Error) -> Error {
    match error {
        Error::System { action, source } if source.raw_os_error().is_some_and(is_shortage) => {
            of_errno(&format!("failed to {action}"), source)
        }
        // Opening a file never lacks a process: EAGAIN means something else there.
        Error::Path { action, path, source, remediation: _ }
            if source.raw_os_error().is_some_and(|errno| is_shortage(errno) && errno != libc::EAGAIN) =>
        {
            of_errno(&format!("cannot {action} {}", path.display()), source)
        }
        other => other,
    }
}

/// The shortage that kept a command from being started, where it was one.
pub fn of_start(failure: &StartFailure) -> Option<Error> {
    let action = match failure.step {
        StartStep::Spawn => "make a process",
        StartStep::Exec => "execute the command",
        StartStep::Input => "open the input",
        StartStep::Chdir => "enter the working directory",
    };
    let source = io::Error::from_raw_os_error(failure.os_error);
    is_shortage(failure.os_error).then(|| of_errno(&format!("failed to {action}"), source))
}

/// True where only this process itself can give back what is missing.
pub fn is_own(error: &Error) -> bool {
    matches!(error, Error::Shortage { source, .. } if source.raw_os_error() == Some(libc::EMFILE))
}

/// Does something that runner itself needs before any job runs. A shortage is waited for, for at most a second.
pub fn retry<T>(mut action: impl FnMut() -> Result<T>) -> Result<T> {
    let mut waited = Duration::ZERO;
    loop {
        match action().map_err(named) {
            Err(error @ Error::Shortage { .. }) if waited < RETRY_LIMIT && !is_own(&error) => {
                process::nap(RETRY_PAUSE);
                waited += RETRY_PAUSE;
            }
            result => return result,
        }
    }
}

fn of_errno(what: &str, source: io::Error) -> Error {
    let (limit, remediation) = match source.raw_os_error() {
        Some(libc::EMFILE) => open_files(),
        Some(libc::ENFILE) => (
            "the system's limit on open files (fs.file-max) is reached".to_owned(),
            "Raise it with sysctl fs.file-max, or try again when other programs have ended",
        ),
        Some(libc::ENOMEM) => memory(),
        _ => processes(),
    };
    Error::Shortage { message: format!("{what}: {limit}"), limit, remediation: remediation.to_owned(), source }
}

/// Pseudo-terminals are counted by the system.
pub(super) fn of_terminals(source: io::Error) -> Error {
    let limit = "the system's limit on pseudo-terminals (kernel.pty.max) is reached".to_owned();
    let remediation = "Raise it with sysctl kernel.pty.max, or try again when other terminals are closed".to_owned();
    Error::Shortage { message: format!("failed to make a pseudo-terminal: {limit}"), limit, remediation, source }
}

fn open_files() -> (String, &'static str) {
    let limit = rustix::process::getrlimit(Resource::Nofile).current;
    let limit = limit.map_or_else(|| "ulimit -n".to_owned(), |limit| format!("ulimit -n: {limit}"));
    (format!("the limit on open files ({limit}) is reached"), "Raise it with ulimit -n, or run fewer jobs at a time")
}

fn memory() -> (String, &'static str) {
    match rustix::process::getrlimit(Resource::As).current {
        Some(bytes) => (
            format!("the limit on memory (ulimit -v: {} KiB) is reached", bytes / 1024),
            "Raise it with ulimit -v, or run fewer jobs at a time",
        ),
        None => {
            ("no memory is left".to_owned(), "Run fewer jobs at a time, or try again when other programs have ended")
        }
    }
}

fn processes() -> (String, &'static str) {
    if let Some((_, max)) = fullest_group().filter(|(current, max)| current + 1 >= *max) {
        return (
            format!("the control group's limit on processes (pids.max: {max}) is reached"),
            "Raise it (TasksMax= of a unit, --pids-limit of a container), or run fewer jobs at a time",
        );
    }
    let of_user = user_limit();
    // A thread whose stack finds no room fails with the same error.
    if rustix::process::getrlimit(Resource::As).current.is_some()
        && of_user.is_none_or(|limit| user_processes() + 1 < limit)
    {
        return memory();
    }
    match of_user {
        Some(limit) => (
            format!("the user's limit on processes (ulimit -u: {limit}) is reached"),
            "Raise it with ulimit -u, end other processes, or run fewer jobs at a time",
        ),
        None => (
            "the system's limit on processes (kernel.threads-max, kernel.pid_max) is reached".to_owned(),
            "Raise it with sysctl, or try again when other programs have ended",
        ),
    }
}

/// How many more processes we may have. None where no limit that can be read is near: one that is looked for only where
/// fewer than `wanted` could be missing.
pub fn processes_left(wanted: u64) -> Option<u64> {
    let group = fullest_group().map(|(current, max)| max.saturating_sub(current));
    // To count the processes of a user costs a look at all that there are.
    let user = user_limit().filter(|limit| *limit < wanted.saturating_add(FEW_PROCESSES));
    let user = user.map(|limit| limit.saturating_sub(user_processes()));
    group.into_iter().chain(user).min()
}

/// A limit that exceeds what is wanted by so much is not met by the processes that a user has beside.
const FEW_PROCESSES: u64 = 1024;

/// RLIMIT_NPROC, where it applies: not to root.
fn user_limit() -> Option<u64> {
    if rustix::process::getuid().is_root() {
        return None;
    }
    rustix::process::getrlimit(Resource::Nproc).current
}

/// The processes and threads of our user, which RLIMIT_NPROC counts.
fn user_processes() -> u64 {
    let own = rustix::process::getuid().as_raw();
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let pids = entries.flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        (entry.metadata().ok()?.uid() == own).then_some(pid)
    });
    pids.filter_map(|pid| procfs::stat(pid).map(|stat| stat.threads)).sum()
}

/// Processes and limit of that control group above us which has the least room: pids.current and pids.max.
fn fullest_group() -> Option<(u64, u64)> {
    let read = |file: PathBuf| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let (group, root) = cgroup::process_controller()?;
    let groups = group.ancestors().take_while(|above| above.starts_with(&root)).map(Path::to_owned);
    groups
        .filter_map(|group| Some((read(group.join("pids.current"))?, read(group.join("pids.max"))?)))
        .min_by_key(|(current, max)| max.saturating_sub(*current))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{is_own, named, of_start, retry};
    use crate::error::Error;
    use crate::model::outcome::{StartFailure, StartStep};

    fn system(errno: i32) -> Error {
        Error::System { action: "make a pipe", source: io::Error::from_raw_os_error(errno) }
    }

    #[test]
    fn a_shortage_names_the_limit_and_other_errors_stay() {
        let error = named(system(libc::EMFILE));
        assert!(is_own(&error));
        assert!(error.to_string().starts_with("failed to make a pipe: the limit on open files (ulimit -n"), "{error}");
        for errno in [libc::ENFILE, libc::EAGAIN, libc::ENOMEM] {
            let error = named(system(errno));
            assert!(matches!(error, Error::Shortage { .. }) && !is_own(&error), "{error}");
        }
        assert!(matches!(named(system(libc::EPERM)), Error::System { .. }));
        let path = |errno| named(Error::path("open", "/x", "help")(io::Error::from_raw_os_error(errno)));
        assert!(matches!(path(libc::EMFILE), Error::Shortage { .. }));
        assert!(matches!(path(libc::EAGAIN), Error::Path { .. }));
    }

    #[test]
    fn a_start_fails_for_a_shortage_at_any_step() {
        for step in [StartStep::Spawn, StartStep::Exec, StartStep::Input, StartStep::Chdir] {
            assert!(of_start(&StartFailure { step, os_error: libc::ENOMEM }).is_some());
            assert!(of_start(&StartFailure { step, os_error: libc::ENOENT }).is_none());
        }
    }

    #[test]
    fn what_runner_needs_is_tried_again_unless_a_retry_cannot_help() {
        let mut errors = vec![libc::EAGAIN, libc::ENOMEM];
        assert_eq!(retry(|| errors.pop().map_or(Ok(7), |errno| Err(system(errno)))).ok(), Some(7));
        let mut tries = 0;
        let failed = retry(|| {
            tries += 1;
            Err::<(), _>(system(libc::EMFILE))
        });
        assert!(failed.is_err());
        assert_eq!(tries, 1);
    }
}
