//! The limit on open descriptors: raised for us as far as we may, since many jobs need many, and as it was for the jobs.

use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};

use crate::error::{Error, Result};

/// Open for other reasons than jobs: ours, what our caller left open, the journal, reports and results.
const MARGIN: u64 = 64;
/// Where there is no limit at all the kernel still has one, and few need more than this.
const UNLIMITED: u64 = 1 << 20;

/// The limit as it was, soft and hard, where it was raised.
static BEFORE: OnceLock<Option<[u64; 2]>> = OnceLock::new();

/// Raises our limit to the largest that we may have. Jobs that are started from now on get the one that we had.
///
/// Only for those who run many jobs: others never need it.
pub fn raise_descriptors() {
    BEFORE.get_or_init(|| {
        let limit = rustix::process::getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let differs = limit.current != limit.maximum;
        let done = differs && rustix::process::setrlimit(Resource::Nofile, raised).is_ok();
        done.then(|| [limit.current, limit.maximum].map(|value| value.unwrap_or(u64::MAX)))
    });
}

/// What a job's limit is to be put back to: soft and hard. None where it has ours.
pub(super) fn before_raise() -> Option<[u64; 2]> {
    BEFORE.get().copied().flatten()
}

/// Descriptors that stay free while jobs run: what looks after them has to open files, too.
const RESERVE: u64 = 16;

/// Fails, as a start would, where another job with so many descriptors would leave too few of them. Not exact: numbers
/// are given from the lowest on, so one that is free has only free ones behind it, as a rule.
pub fn check_spare_descriptors(each: u64) -> Result<()> {
    let Some(limit) = rustix::process::getrlimit(Resource::Nofile).current else { return Ok(()) };
    let first = limit.saturating_sub(each + RESERVE).min(i32::MAX as u64) as i32;
    let probe = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), first);
    match probe {
        Ok(probe) if u64::from(probe.as_raw_fd().unsigned_abs()) > limit.saturating_sub(RESERVE) => {
            Err(Error::system("make descriptors for a job")(Errno::MFILE))
        }
        Err(Errno::MFILE) => Err(Error::system("make descriptors for a job")(Errno::MFILE)),
        // A closed stderr says nothing of the limit.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Fails where so many jobs at a time, with so many descriptors each, do not fit below the limit.
pub fn check_descriptors(jobs: u64, each: u64) -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED);
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
    check(jobs, each, open + MARGIN, limit)
}

fn check(jobs: u64, each: u64, other: u64, limit: u64) -> Result<()> {
    let needed = jobs.saturating_mul(each).saturating_add(other);
    if needed <= limit {
        return Ok(());
    }
    let most = limit.saturating_sub(other) / each.max(1);
    Err(Error::Invalid {
        argument: Some("--jobs".to_owned()),
        message: format!("{jobs} jobs at a time need {needed} open files, and at most {limit} are allowed"),
        remediation: match most {
            0 => "Raise the limit on open files (ulimit -Hn)".to_owned(),
            _ => {
                format!("Run at most {most} jobs at a time (-j {most}), or raise the limit on open files (ulimit -Hn)")
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::error::Error;

    #[test]
    fn what_cannot_fit_is_refused_with_what_would() {
        assert!(check(100, 8, 64, 864).is_ok());
        let Err(Error::Invalid { message, remediation, .. }) = check(101, 8, 64, 864) else { panic!("it cannot fit") };
        assert_eq!(message, "101 jobs at a time need 872 open files, and at most 864 are allowed");
        assert!(remediation.contains("(-j 100)"), "{remediation}");
        assert!(check(1, 8, 64, 70).is_err());
        assert!(check(u64::MAX, 8, 64, 864).is_err());
    }
}
