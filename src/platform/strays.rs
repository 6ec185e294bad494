//! What a guard held that somebody killed: it came to us as orphans, and is found and ended here.
//!
//! Only the tree calls it. It touches nothing that is not certainly the job's: see [`Strays`].

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::process;
use super::procfs::{self, Identity, Stat};
use crate::model::signal::Signal;

/// How often to look at most, with a pause in between.
const ROUNDS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);
/// So many looks in a row must find nothing: a list of children that changes while it is read may lack some.
const QUIET_ROUNDS: u32 = 3;
/// The kernel kills the leader with its guard. What it has forked comes to us once it is dead, which may take so long.
const LEADER_DEATH_LIMIT: Duration = Duration::from_secs(1);

/// Processes below us that can only be of one tree: younger than its guard, and in the leader's group or marked.
pub(super) struct Strays<'a> {
    /// Start time of the guard.
    pub(super) since: u64,
    pub(super) group: i32,
    /// A variable that the job was started with, as NAME=VALUE.
    pub(super) mark: &'a [u8],
}

impl Strays<'_> {
    /// Ends the leader, where there is one, and all strays.
    pub(super) fn end(&self, leader: Option<BorrowedFd<'_>>) {
        if let Some(leader) = leader {
            process::send_to(leader, Signal::KILL);
            process::await_end_of(leader, LEADER_DEATH_LIMIT);
        }
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            let found = self.find();
            quiet = if found.is_empty() { quiet + 1 } else { 0 };
            if quiet == QUIET_ROUNDS {
                break;
            }
            for stray in found {
                process::send(stray, Signal::KILL);
            }
            process::nap(PAUSE);
        }
    }

    fn find(&self) -> Vec<Identity> {
        let mut found = procfs::orphans(self.since);
        found.retain(|stat| stat.group == self.group || procfs::has_variable(stat.pid, self.mark));
        found.iter().map(Stat::identity).collect()
    }
}
