//! What a signal that reaches runner means: an order to the jobs, or nothing.
//!
//! Pure: the watchdog says what arrived and from where, and carries out what comes back.

use crate::model::outcome::Cause;
use crate::model::signal::Signal;
use crate::platform::signals::Arrival;
use crate::supervise::machine::{Input, Rung};

/// Which verb's manners hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// A signal that asks us to end cancels the jobs; interrupts climb.
    Cancel,
    /// Signals are passed on, as timeout(1) does.
    PassOn,
}

/// What to do about a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Feed this to every job.
    ToJobs(Input),
    /// Stop with the terminal's other jobs, clock and all.
    Suspend,
    /// We were continued: the terminal may be ours again.
    Resume,
    /// The window of the terminal has another size.
    Resize,
    /// Tell how each job stands.
    TellStatus,
    /// A child of ours changed: a guard may have been stopped by its own job.
    NudgeGuards,
    Nothing,
}

/// Reads signals as orders. Counts interrupts: the second is stronger than the first.
#[derive(Debug)]
pub struct Orders {
    manners: Manners,
    interrupts: u32,
}

impl Orders {
    pub fn new(manners: Manners) -> Self {
        Self { manners, interrupts: 0 }
    }

    /// The signals to watch for.
    pub fn signals(manners: Manners) -> Vec<Signal> {
        match manners {
            Manners::Cancel => {
                let stops = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];
                let others = [Signal::TSTP, Signal::CONT, Signal::CHLD, Signal::WINCH, Signal::USR1];
                stops.into_iter().chain(others).collect()
            }
            // Every signal whose default action ends a process, but for those that say that we ourselves went wrong.
            Manners::PassOn => {
                let named = ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "VTALRM", "PROF", "IO", "PWR"];
                let more = ["PIPE", "STKFLT", "XCPU", "XFSZ", "TSTP", "CHLD"];
                let real_time = (libc::SIGRTMIN()..=libc::SIGRTMAX()).filter_map(Signal::from_number);
                named.iter().chain(&more).filter_map(|name| name.parse().ok()).chain(real_time).collect()
            }
        }
    }

    /// What `arrival` orders. `from_inside`: a process of a job's own tree sent it. `shares_group`: the terminal told
    /// the jobs too.
    pub fn read(&mut self, arrival: Arrival, from_inside: bool, shares_group: bool) -> Order {
        let signal = arrival.signal;
        if signal == Signal::CHLD {
            return Order::NudgeGuards;
        }
        match (self.manners, signal) {
            (Manners::Cancel, Signal::WINCH) => return Order::Resize,
            (Manners::Cancel, Signal::CONT) => return Order::Resume,
            _ => {}
        }
        // An editor that suspends itself stops its whole group as the terminal would, and we are one of it.
        if from_inside && !(signal == Signal::TSTP && shares_group) {
            return Order::Nothing;
        }
        if signal == Signal::TSTP {
            return Order::Suspend;
        }
        if self.manners == Manners::Cancel && signal == Signal::USR1 {
            return Order::TellStatus;
        }
        let heard = arrival.sender.is_none() && shares_group;
        match self.manners {
            Manners::PassOn if signal == Signal::ALRM => Order::ToJobs(Input::TimeUp),
            Manners::PassOn => Order::ToJobs(Input::Forward { signal, heard }),
            Manners::Cancel => {
                let rung = if [Signal::INT, Signal::QUIT].contains(&signal) {
                    self.interrupts += 1;
                    match self.interrupts {
                        1 => Rung::Signal,
                        2 => Rung::Kill,
                        _ => Rung::Abandon,
                    }
                } else {
                    Rung::Signal
                };
                Order::ToJobs(Input::Stop { cause: Cause::Cancelled { signal }, rung, heard })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Manners, Order, Orders};
    use crate::model::signal::Signal;
    use crate::platform::signals::Arrival;
    use crate::supervise::machine::{Input, Rung};

    fn rung(order: Order) -> Option<(Rung, bool)> {
        match order {
            Order::ToJobs(Input::Stop { rung, heard, .. }) => Some((rung, heard)),
            _ => None,
        }
    }

    #[test]
    fn interrupts_climb_and_other_signals_do_not() {
        let mut orders = Orders::new(Manners::Cancel);
        let from_terminal = Arrival { signal: Signal::INT, sender: None };
        let from_outside = Arrival { signal: Signal::TERM, sender: Some(1) };
        assert_eq!(rung(orders.read(from_terminal, false, true)), Some((Rung::Signal, true)));
        assert_eq!(rung(orders.read(from_outside, false, true)), Some((Rung::Signal, false)));
        assert_eq!(rung(orders.read(from_outside, false, true)), Some((Rung::Signal, false)));
        assert_eq!(rung(orders.read(from_terminal, false, false)), Some((Rung::Kill, false)));
        assert_eq!(rung(orders.read(from_terminal, false, true)), Some((Rung::Abandon, true)));
        assert_eq!(orders.read(from_outside, true, false), Order::Nothing);
        assert_eq!(orders.read(Arrival { signal: Signal::TSTP, sender: None }, false, true), Order::Suspend);
        assert_eq!(orders.read(Arrival { signal: Signal::TSTP, sender: Some(1) }, true, true), Order::Suspend);
        assert_eq!(orders.read(Arrival { signal: Signal::TSTP, sender: Some(1) }, true, false), Order::Nothing);
    }
}
