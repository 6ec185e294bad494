//! What the machine orders, done: signals, deadlines, what is told, and the outcome at the end.
//!
//! It performs and decides nothing.

use super::Job;
use crate::model::event::Event;
use crate::model::job::Scope;
use crate::model::outcome::{End, Outcome, StreamRecord};
use crate::model::signal::Signal;
use crate::supervise::machine::{Effect, Input, Timer};
use crate::supervise::surface::Surface;
use crate::time::clock::Moment;

impl Job {
    pub(super) fn perform(&mut self, effects: Vec<Effect>, surface: &mut Surface<'_>) {
        for effect in effects {
            match effect {
                Effect::Signal(signal, Scope::Tree) => self.tree.signal(signal),
                Effect::Signal(signal, Scope::Group) => self.tree.signal_group(signal),
                Effect::Signal(signal, Scope::Command) => self.tree.signal_leader(signal),
                Effect::SignalRest(_, Scope::Tree) => {}
                Effect::SignalRest(signal, Scope::Group) => self.tree.signal_outside_group(signal),
                Effect::SignalRest(signal, Scope::Command) => self.tree.signal_all_but_leader(signal),
                Effect::Kill => self.tree.kill(),
                Effect::Arm(timer, at) => {
                    if timer == Timer::Grace {
                        self.standing.note_kill_at(at);
                    }
                    surface.deadlines.arm((self.id, timer), at);
                }
                Effect::Disarm(timer) => surface.deadlines.disarm((self.id, timer)),
                Effect::MeasureCpu => {
                    let input = Input::CpuMeasured { cpu: self.tree.cpu(), held_up: self.output.is_held_up() };
                    self.step(input, surface);
                }
                Effect::Snapshot => {
                    self.ended_at.get_or_insert(surface.now);
                    self.processes = self.tree.rows();
                    self.stopped_by = self.tree.stopped_by();
                }
                Effect::FindLeftovers => {
                    self.leftovers = self.tree.leftovers(&self.output.job_ends());
                    if let Some(found) = self.leftovers.clone().filter(|found| !found.is_empty()) {
                        self.tell(Event::LeftoversFound(found), surface);
                    }
                }
                Effect::FindSurvivors => self.survivors = self.tree.survivors(),
                Effect::CloseInputs => {
                    self.output.close_inputs();
                    self.advance_all(surface);
                }
                Effect::DropUndelivered => self.output.drop_undelivered(),
                Effect::TellStarted => self.tell(Event::JobStarted { pid: self.tree.leader_pid() }, surface),
                Effect::TellWarning => {
                    let elapsed = surface.now - self.standing.started_at();
                    let timeout = self.machine.wall();
                    self.tell(Event::WarningReached { elapsed, timeout }, surface);
                }
                Effect::TellStopping(cause, signal) => {
                    self.standing.note_stop(signal);
                    self.tell(Event::StopBegun { cause, signal }, surface);
                }
                Effect::TellExtended { wall, capped } => {
                    self.listening.extensions.granted += 1;
                    self.listening.extensions.reached_maximum |= capped;
                    self.tell(Event::DeadlineExtended { timeout: wall, capped }, surface);
                }
                Effect::TellExtensionRefused { reason, at_maximum } => {
                    self.listening.extensions.refused += 1;
                    self.listening.refused_extension = Some(reason);
                    self.listening.extensions.reached_maximum |= at_maximum;
                    self.tell(Event::ExtensionRefused { reason }, surface);
                }
                Effect::TellForwarded(signal) => self.tell(Event::SignalForwarded(signal), surface),
                Effect::Finish => self.finish(surface),
            }
        }
    }

    /// Lets go of everything and tells the outcome.
    fn finish(&mut self, surface: &mut Surface<'_>) {
        if self.machine.cause().is_some() {
            self.tree.kill_escaped();
        }
        // The last words may have come with the end.
        let last = self.listening.last(&self.tree);
        last.into_iter().flat_map(|heard| heard.events).for_each(|event| self.tell(event, surface));
        self.done = true;
        surface.finished.push(self.id);
        surface.held_up.remove(&self.id);
        surface.deadlines.disarm((self.id, Timer::Pulse));
        surface.deadlines.disarm((self.id, Timer::Keys));
        surface.deadlines.disarm((self.id, Timer::End));
        surface.poller.remove(self.tree.guard_handle());
        if let Some(socket) = self.listening.descriptor() {
            surface.poller.remove(socket);
        }
        self.give_keyboard_back(surface.poller);
        self.output.unregister(surface.poller);
        if let Some(growth) = self.standing.growth(self.output.totals(), surface.now, true)
            && self.pulse.is_some()
        {
            self.tell(growth, surface);
        }
        let records = self.output.take_records();
        let outcome = Box::new(self.outcome(self.end.clone().unwrap_or(End::Unknown), records, surface.now));
        self.tell(Event::JobFinished(outcome), surface);
    }

    /// Those that reached a process, in the order of the ladder, whose end is a kill.
    fn delivered_signals(&self) -> Vec<Signal> {
        let ladder = self.machine.signals().iter().copied().filter(|sent| *sent != Signal::KILL);
        let was_stopped = self.machine.cause().is_some() || self.machine.signals().contains(&Signal::KILL);
        let last = was_stopped.then_some(Signal::KILL);
        ladder.chain(last).filter(|sent| self.tree.has_delivered(*sent)).collect()
    }

    /// What is known of it while it is being stopped.
    pub(super) fn outcome_so_far(&self, now: Moment) -> Outcome {
        let elapsed = now - self.standing.started_at();
        Outcome { elapsed, ..self.outcome(End::Unknown, self.output.records_so_far(), now) }
    }

    fn outcome(&self, end: End, (stdout, stderr): (StreamRecord, StreamRecord), now: Moment) -> Outcome {
        Outcome {
            end,
            cause: self.machine.cause(),
            elapsed: self.ended_at.unwrap_or(now) - self.standing.started_at(),
            stdout,
            stderr,
            merged: self.output.is_merged(),
            signals: self.delivered_signals(),
            containment: self.tree.containment(),
            survivors: self.survivors.clone().filter(|_| self.tree.is_known()),
            processes: self.processes.clone(),
            leftovers: self.leftovers.clone(),
            usage: self.tree.usage(),
            stopped_by: self.stopped_by,
            reader_gone: self.output.reader_is_gone(),
            operation: self.operation,
            told: self.listening.told.clone(),
            extensions: self.listening.extensions,
            troubles: self.output.troubles(),
            between_attempts: false,
        }
    }
}
