//! Sends signals to a job's tree: to all of it, the command, its group, or the rest.
//!
//! Called by the watchdog for the effects of the state machine; decides nothing.

use std::os::fd::AsFd;

use super::Tree;
use crate::model::signal::Signal;
use crate::platform::process;
use crate::platform::procfs::{Identity, Stat};

/// Maximum number of scans of a forking tree before a signal is sent.
const SETTLE_ROUNDS: u32 = 4;

impl Tree {
    /// Sends a signal once to every process of the tree, then CONT, so that a stopped one can act on it.
    pub fn signal(&self, signal: Signal) {
        self.signal_those(signal, |_| true);
    }

    /// The same for the leader and the process group in which it was started.
    pub fn signal_group(&self, signal: Signal) {
        let (leader, group) = (self.leader_pid(), self.group_id());
        self.signal_those(signal, |stat| stat.pid == leader || stat.group == group);
    }

    /// The same for the processes that `signal_group` leaves out.
    pub fn signal_outside_group(&self, signal: Signal) {
        let (leader, group) = (self.leader_pid(), self.group_id());
        self.signal_those(signal, |stat| stat.pid != leader && stat.group != group);
    }

    /// The same for the processes that `signal_leader` leaves out.
    pub fn signal_all_but_leader(&self, signal: Signal) {
        let leader = self.leader_pid();
        self.signal_those(signal, |stat| stat.pid != leader);
    }

    /// The process group in which the leader was started.
    fn group_id(&self) -> i32 {
        if self.plan.guard_leads_group {
            self.guard_pid
        } else if self.plan.own_group || self.plan.terminal >= 0 {
            self.leader_pid()
        } else {
            process::own_group()
        }
    }

    fn signal_those(&self, signal: Signal, chosen: impl Fn(&Stat) -> bool) {
        let reached = self.signal_each(signal, chosen);
        if ![Signal::KILL, Signal::CONT].contains(&signal) {
            for identity in reached {
                process::send(identity, Signal::CONT);
            }
        }
        self.nudge_guard();
    }

    /// Sends a signal of job control to every process of the tree.
    pub fn signal_alone(&self, signal: Signal) {
        self.signal_each(signal, |_| true);
        self.nudge_guard();
    }

    /// Sends a signal to all of these that are there, parents first. What is started as an answer to the signal does not
    /// get it.
    fn signal_each(&self, signal: Signal, chosen: impl Fn(&Stat) -> bool) -> Vec<Identity> {
        let look = || self.living().iter().filter(|stat| chosen(stat)).map(Stat::identity).collect::<Vec<_>>();
        // A fork may hide from one look; two that are alike have seen all.
        let mut found = look();
        for _ in 0..SETTLE_ROUNDS {
            let again = look();
            let settled = again == found;
            found = again;
            if settled {
                break;
            }
        }
        for identity in &found {
            process::send(*identity, signal);
        }
        found
    }

    /// Sends a signal to the leader alone, then CONT.
    pub fn signal_leader(&self, signal: Signal) {
        if let Some(leader) = &self.leader {
            process::send_to(leader.as_fd(), signal);
            if ![Signal::KILL, Signal::CONT].contains(&signal) {
                process::send_to(leader.as_fd(), Signal::CONT);
            }
        }
    }
}
