//! The words between the state machine of an attempt and the watchdog: what happened, what to do, which deadlines there
//! are.
//!
//! Plain data. The machine reads inputs and writes effects; the watchdog does the opposite.

use std::time::Duration;

use crate::model::job::Scope;
use crate::model::outcome::Cause;
use crate::model::signal::Signal;
use crate::time::clock::Moment;

/// A deadline of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    Wall,
    Idle,
    Warn,
    Grace,
    Reap,
    /// The next kill of a tree that is not gone yet.
    Repeat,
    Drain,
    Delivery,
    /// Time to tell renderers how the job stands. No business of the machine's.
    Pulse,
    /// The job looks after its keyboard; never the machine's.
    Keys,
    /// The end of a leader that died of a signal of its terminal is taken, also if that signal has not come to us. Never
    /// the machine's.
    End,
}

/// Every deadline of the machine.
pub const TIMERS: [Timer; 8] =
    [Timer::Wall, Timer::Idle, Timer::Warn, Timer::Grace, Timer::Reap, Timer::Repeat, Timer::Drain, Timer::Delivery];

/// How hard a stop is meant. A stop no stronger than the present one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// The stop signal, then the grace.
    Signal,
    /// SIGKILL at once.
    Kill,
    /// SIGKILL, and no waiting for its effect.
    Abandon,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// The command runs.
    Started,
    /// It could not be run.
    StartFailed,
    /// The leader ended.
    LeaderExited,
    /// The leader ended, and not with the code 0.
    LeaderFailed,
    /// The leader died of this signal, which it had from its terminal.
    LeaderInterrupted(Signal),
    /// No process of the tree is left.
    TreeEmpty,
    /// The job wrote, or told us something.
    Bytes,
    /// The job needs so long from now on.
    Extend(Duration),
    /// Whoever gave the job moves its deadline by so much.
    Lengthen(Duration),
    /// All streams that we own have ended, and what came of them is delivered.
    Eof,
    /// CPU time of the tree so far, as asked for. `held_up`: our reader keeps the job from writing.
    CpuMeasured { cpu: Duration, held_up: bool },
    /// A deadline passed.
    Due(Timer),
    /// Somebody says that the time is up, whatever the clock says.
    TimeUp,
    /// We were told to stop. `heard`: the terminal has told the job already.
    Stop { cause: Cause, rung: Rung, heard: bool },
    /// The terminal sent this signal to an interactive job and to us: it is the job's.
    Interrupt(Signal),
    /// A signal to pass on, as timeout(1) does.
    Forward { signal: Signal, heard: bool },
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Send a signal to the leader, its group or the whole tree, then CONT.
    Signal(Signal, Scope),
    /// Send a signal to the processes that this scope leaves out, then CONT.
    SignalRest(Signal, Scope),
    /// End the whole tree.
    Kill,
    Arm(Timer, Moment),
    Disarm(Timer),
    /// Measure the CPU time of the tree and feed it back.
    MeasureCpu,
    /// Record the tree as it stands: the black box.
    Snapshot,
    /// Record what lives after the leader's end, and let it be.
    FindLeftovers,
    /// Record what outlived the kill.
    FindSurvivors,
    /// Take what is in the pipes now and nothing after it.
    CloseInputs,
    /// Give up on our reader; what it has not taken is counted.
    DropUndelivered,
    /// Tell renderers that the job runs.
    TellStarted,
    /// Tell renderers that the wall time is now this; `capped`: it is less than was asked for.
    TellExtended {
        wall: Duration,
        capped: bool,
    },
    /// Tell renderers that the wall time stays as it is, and why. `at_maximum`: it is the largest that it may be.
    TellExtensionRefused {
        reason: &'static str,
        at_maximum: bool,
    },
    /// Tell renderers that the warning time is reached.
    TellWarning,
    /// Tell renderers that the ladder was begun or climbed.
    TellStopping(Cause, Signal),
    /// Tell renderers that a signal is passed on.
    TellForwarded(Signal),
    /// The attempt is over.
    Finish,
}

/// Where the attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The command is being executed.
    Starting,
    Running,
    /// The stop signal is out, the grace runs.
    Stopping,
    /// Killed; the tree is awaited.
    Sweeping,
    /// The job is over; its last bytes are awaited.
    Draining,
    Done,
}
