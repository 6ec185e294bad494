//! What a signal that reaches runner means: an order to the jobs, or nothing.
//!
//! Pure: the watchdog says what arrived and from where, and carries out what comes back.

use crate::model::outcome::Cause;
use crate::model::signal::Signal;
use crate::platform::signals::Arrival;
use crate::supervise::machine::{Input, Rung};
use crate::supervise::policy::SECOND_INTERRUPT_LIMIT;
use crate::time::clock::Moment;

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
    /// When the last interrupt of an interactive job came.
    interrupted_at: Option<Moment>,
}

/// Where a signal comes from, and who else has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// A process of a job's own tree sent it.
    pub from_inside: bool,
    /// The terminal sends the jobs what it sends us.
    pub shares_group: bool,
    /// There is a job, and it reads that terminal.
    pub interactive: bool,
}

impl Orders {
    pub fn new(manners: Manners) -> Self {
        Self { manners, interrupts: 0, interrupted_at: None }
    }

    /// The terminal sent INT to an interactive job as well. The first one is the job's, and so is each one that comes later
    /// than a second after the last; the others climb as usual.
    fn interrupt(&mut self, now: Moment) -> Option<Rung> {
        let last = self.interrupted_at.replace(now);
        let follows = last.is_some_and(|last| now - last <= SECOND_INTERRUPT_LIMIT);
        if self.interrupts == 0 && !follows { None } else { Some(self.climb()) }
    }

    fn climb(&mut self) -> Rung {
        self.interrupts += 1;
        match self.interrupts {
            1 => Rung::Signal,
            2 => Rung::Kill,
            _ => Rung::Abandon,
        }
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

    /// What `arrival` orders.
    pub fn read(&mut self, arrival: Arrival, origin: Origin, now: Moment) -> Order {
        let Origin { from_inside, shares_group, interactive } = origin;
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
                let rung = match signal {
                    Signal::INT if heard && interactive => match self.interrupt(now) {
                        Some(rung) => rung,
                        None => return Order::ToJobs(Input::Interrupt(signal)),
                    },
                    Signal::INT | Signal::QUIT => self.climb(),
                    _ => Rung::Signal,
                };
                Order::ToJobs(Input::Stop { cause: Cause::Cancelled { signal }, rung, heard })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Manners, Order, Orders, Origin};
    use crate::model::signal::Signal;
    use crate::platform::signals::Arrival;
    use crate::supervise::machine::{Input, Rung};
    use crate::time::clock::Moment;

    fn rung(order: Order) -> Option<(Rung, bool)> {
        match order {
            Order::ToJobs(Input::Stop { rung, heard, .. }) => Some((rung, heard)),
            _ => None,
        }
    }

    const KEY: Arrival = Arrival { signal: Signal::INT, sender: None };

    fn at(millis: u64) -> Moment {
        Moment::at(Duration::from_millis(millis))
    }

    #[test]
    fn interrupts_climb_and_other_signals_do_not() {
        let mut orders = Orders::new(Manners::Cancel);
        let mut read = |arrival, from_inside, shares_group| {
            orders.read(arrival, Origin { from_inside, shares_group, interactive: false }, at(0))
        };
        let from_outside = Arrival { signal: Signal::TERM, sender: Some(1) };
        assert_eq!(rung(read(KEY, false, true)), Some((Rung::Signal, true)));
        assert_eq!(rung(read(from_outside, false, true)), Some((Rung::Signal, false)));
        assert_eq!(rung(read(from_outside, false, true)), Some((Rung::Signal, false)));
        assert_eq!(rung(read(KEY, false, false)), Some((Rung::Kill, false)));
        assert_eq!(rung(read(KEY, false, true)), Some((Rung::Abandon, true)));
        assert_eq!(read(from_outside, true, false), Order::Nothing);
        assert_eq!(read(Arrival { signal: Signal::TSTP, sender: None }, false, true), Order::Suspend);
        assert_eq!(read(Arrival { signal: Signal::TSTP, sender: Some(1) }, true, true), Order::Suspend);
        assert_eq!(read(Arrival { signal: Signal::TSTP, sender: Some(1) }, true, false), Order::Nothing);
    }

    #[test]
    fn an_interactive_job_has_the_first_interrupt_and_a_second_one_soon_after_starts_the_stop() {
        let mut orders = Orders::new(Manners::Cancel);
        let terminal = Origin { shares_group: true, interactive: true, ..Origin::default() };
        let own = Order::ToJobs(Input::Interrupt(Signal::INT));
        for millis in [0, 1_001, 5_000] {
            assert_eq!(orders.read(KEY, terminal, at(millis)), own, "at {millis} ms");
        }
        assert_eq!(rung(orders.read(KEY, terminal, at(6_000))), Some((Rung::Signal, true)));
        // From here on it climbs, however long it takes.
        assert_eq!(rung(orders.read(KEY, terminal, at(60_000))), Some((Rung::Kill, true)));
        assert_eq!(rung(orders.read(KEY, terminal, at(61_000))), Some((Rung::Abandon, true)));
    }

    #[test]
    fn what_a_process_sends_is_meant_for_runner_also_with_an_interactive_job() {
        let terminal = Origin { shares_group: true, interactive: true, ..Origin::default() };
        for signal in [Signal::INT, Signal::TERM, Signal::QUIT] {
            let mut orders = Orders::new(Manners::Cancel);
            let sent = Arrival { signal, sender: Some(1) };
            assert_eq!(rung(orders.read(sent, terminal, at(0))), Some((Rung::Signal, false)), "{signal}");
        }
        let key = Arrival { signal: Signal::QUIT, sender: None };
        assert_eq!(rung(Orders::new(Manners::Cancel).read(key, terminal, at(0))), Some((Rung::Signal, true)));
    }
}
