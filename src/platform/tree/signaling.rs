//! Sends signals to a job's tree: to all of it, the command, its group, or the rest.
//!
//! Called by the watchdog for the effects of the state machine; decides nothing.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use super::{Tree, bit};
use crate::model::signal::Signal;
use crate::platform::plan;
use crate::platform::process::{self, Sent};
use crate::platform::procfs::{self, Identity, Stat};

/// Maximum number of scans of a forking tree before a signal is sent.
const SETTLE_ROUNDS: u32 = 4;

impl Tree {
    /// Sends a signal once to every process of the tree, then CONT, so that a stopped one can act on it.
    pub fn signal(&self, signal: Signal) {
        self.signal_those(signal, plan::TO_TREE, |_| true);
    }

    /// The same for the leader and the process group in which it was started.
    pub fn signal_group(&self, signal: Signal) {
        let (leader, group) = (self.leader_pid(), self.group_id());
        self.signal_those(signal, plan::TO_GROUP, |stat| stat.pid == leader || stat.group == group);
    }

    /// The same for the processes that `signal_group` leaves out.
    pub fn signal_outside_group(&self, signal: Signal) {
        let (leader, group) = (self.leader_pid(), self.group_id());
        self.signal_those(signal, plan::TO_OUTSIDE, |stat| stat.pid != leader && stat.group != group);
    }

    /// The same for the processes that `signal_leader` leaves out.
    pub fn signal_all_but_leader(&self, signal: Signal) {
        let leader = self.leader_pid();
        self.signal_those(signal, plan::TO_OTHERS, |stat| stat.pid != leader);
    }

    /// The process group in which the leader was started.
    fn group_id(&self) -> i32 {
        if self.plan.guard_leads_group {
            self.guard.pid
        } else if self.plan.own_group || self.plan.terminal >= 0 {
            self.leader_pid()
        } else {
            process::own_group()
        }
    }

    fn signal_those(&self, signal: Signal, part: usize, chosen: impl Fn(&Stat) -> bool) {
        let continues = ![Signal::KILL, Signal::CONT].contains(&signal);
        if procfs::is_own() {
            let reached = self.signal_each(signal, chosen);
            for identity in reached.into_iter().filter(|_| continues) {
                process::send(identity, Signal::CONT);
            }
        } else {
            self.ask_guard(part, signal);
            if continues {
                self.ask_guard(part, Signal::CONT);
            }
        }
        self.nudge_guard();
    }

    /// Sends a signal of job control to every process of the tree.
    pub fn signal_alone(&self, signal: Signal) {
        if procfs::is_own() {
            self.signal_each(signal, |_| true);
        } else {
            self.ask_guard(plan::TO_TREE, signal);
        }
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
            self.send(*identity, signal);
        }
        if !self.stays_below() {
            self.signalled.borrow_mut().extend(&found);
        }
        found
    }

    /// Kills what has left the tree since a signal was sent to it, where it could.
    pub fn kill_escaped(&self) {
        if self.stays_below() {
            return;
        }
        if self.group().is_some_and(|group| group.is_populated() && group.kill()) {
            self.note_delivered(Signal::KILL);
        }
        for identity in self.signalled.borrow().iter() {
            self.send(*identity, Signal::KILL);
        }
    }

    /// False where the system refused to make the guard a subreaper: what the job forks may leave the tree.
    pub(super) fn stays_below(&self) -> bool {
        self.plan.shared.subreaper_refused.load(Ordering::Acquire) == 0
    }

    /// Sends a signal to the leader alone, then CONT.
    pub fn signal_leader(&self, signal: Signal) {
        let continues = ![Signal::KILL, Signal::CONT].contains(&signal);
        for signal in [Some(signal), continues.then_some(Signal::CONT)].into_iter().flatten() {
            match self.leader.as_ref().map(|leader| process::send_to(leader.as_fd(), signal)) {
                Some(Sent::Delivered) => self.note_delivered(signal),
                Some(Sent::Gone) => {}
                _ => self.ask_guard(plan::TO_LEADER, signal),
            }
        }
    }

    /// Has the guard send a signal by the numbers of its children, where we have nothing that is theirs for certain.
    fn ask_guard(&self, part: usize, signal: Signal) {
        self.plan.shared.wanted[part].fetch_or(bit(signal), Ordering::AcqRel);
        self.nudge_guard();
        self.wake_guard();
    }

    /// Sends a signal to exactly this process. True where it was delivered.
    pub(super) fn send(&self, target: Identity, signal: Signal) -> bool {
        let delivered = process::send(target, signal) == Sent::Delivered;
        if delivered {
            self.note_delivered(signal);
        }
        delivered
    }

    pub(super) fn note_delivered(&self, signal: Signal) {
        self.delivered.set(self.delivered.get() | bit(signal));
    }
}
