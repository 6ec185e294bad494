//! Runs jobs on this machine, as processes below this one.
//!
//! The watchdog has a thread of its own; whoever called hears of events through a bounded queue, so that a slow listener
//! delays no deadline.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::backend::{Assignment, Backend};
use crate::control::inlet::Inlet;
use crate::control::sender::NOTIFY_SOCKET;
use crate::error::{Error, Result};
use crate::model::event::Event;
use crate::model::job::Stdin;
use crate::model::signal::Signal;
use crate::platform::cgroup::Home;
use crate::platform::command::{self, Check, PreparedCommand};
use crate::platform::descriptors;
use crate::platform::process;
use crate::platform::signals::{self, Arrivals, Inherited};
use crate::platform::tree::TreeSpec;
use crate::platform::tty::Terminal;
use crate::supervise::orders::{Manners, Orders};
use crate::supervise::watchdog::{Submission, Watchdog};

/// Events that may wait for a slow listener. More than that are dropped, but never the last one.
const QUEUE: usize = 1024;
/// A value that a job reported is only queued behind fewer than so many others: it may be large.
const WAITING_VALUES: usize = 4;

/// The variable that tells a job who it is.
pub const JOB_ID: &str = "RUNNER_JOB_ID";

/// The variable of sd_notify(3).
const SD_NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Which containment may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rungs {
    /// A control group where one can be made, and the walk.
    #[default]
    Best,
    /// A control group, or an error.
    Cgroup,
    /// The walk alone.
    Walk,
}

/// This machine.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    pub manners: Manners,
    pub rungs: Rungs,
    /// What we inherited, read before any handler was installed.
    pub inherited: Inherited,
}

impl Backend for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn run(&self, mut assignment: Assignment, listener: &mut (dyn FnMut(Event) + Send)) -> Result<()> {
        let terminal = Terminal::open();
        let shares_group = terminal.as_ref().is_some_and(Terminal::is_ours);
        let inlet = self.listen_to(&mut assignment);
        let tree = tree_spec(&assignment, !shares_group, self.manners)?;
        let home = self.home()?;
        process::adopt_orphans();
        let arrivals = self.watch_signals()?;
        let Assignment { spec, streams, stage, pulse, .. } = assignment;
        // Last, since it empties a file: an error must not cost anybody an older log.
        let log_help = "Check --log: its folder must exist and be writable";
        let log = spec.log.as_deref().map(|path| descriptors::output(path, log_help)).transpose()?;
        let orders = Orders::new(self.manners);
        let ended = match self.manners {
            Manners::Cancel => {
                let (sender, events) = queue();
                let listener_there = Box::new(move |event| sender.send(event));
                let stage_there = stage.clone();
                let submission =
                    Submission { spec, streams, tree, log, inlet, stage: stage_there, pulse, listener: listener_there };
                let watchdog = Watchdog::new(arrivals, orders, home, self.inherited, stage)?;
                on_a_thread(watchdog, submission, events, listener)
            }
            // Nothing else is done meanwhile, so no thread is paid for.
            Manners::PassOn => {
                let mut killed = false;
                let listener_here = Box::new(|event| {
                    killed |= was_killed(&event);
                    listener(event);
                });
                let submission =
                    Submission { spec, streams, tree, log, inlet, stage: None, pulse, listener: listener_here };
                let mut watchdog = Watchdog::new(arrivals, orders, home, self.inherited, None)?;
                let ended = watchdog.submit(submission).and_then(|()| watchdog.run());
                drop(watchdog);
                ended.map(|()| killed)
            }
        };
        // Nobody reads them any more: whoever ends us while we answer must succeed.
        Arrivals::release(&self.released());
        if let (Ok(true) | Err(_), Some(terminal)) = (&ended, terminal) {
            terminal.restore();
        }
        ended.map(drop)
    }
}

impl Local {
    fn home(&self) -> Result<Option<Home>> {
        let home = if self.rungs == Rungs::Walk { None } else { Home::find() };
        if home.is_none() && self.rungs == Rungs::Cgroup {
            return Err(Error::Invalid {
                argument: None,
                message: "no control group can be made here".to_owned(),
                remediation: "Run where version 2 control groups are mounted and may be written".to_owned(),
            });
        }
        Ok(home)
    }

    /// The socket through which the job talks to us. A job runs without one where none can be made.
    fn listen_to(&self, assignment: &mut Assignment) -> Option<Inlet> {
        if self.manners == Manners::PassOn {
            return None;
        }
        // That of a runner above us is not for this job.
        assignment.env.retain(|(name, _)| name != NOTIFY_SOCKET);
        let inlet = Inlet::open(&assignment.job_id).ok()?;
        let address = OsString::from(inlet.address());
        if assignment.spec.sd_notify {
            assignment.env.retain(|(name, _)| name != SD_NOTIFY_SOCKET);
            assignment.env.push((SD_NOTIFY_SOCKET.into(), address.clone()));
        }
        assignment.env.push((NOTIFY_SOCKET.into(), address));
        Some(inlet)
    }

    /// The signals that we catch: a signal that our caller ignored stays ignored.
    fn watched(&self) -> Vec<Signal> {
        let mut watched = Orders::signals(self.manners);
        watched.retain(|signal| !self.inherited.ignores(*signal));
        watched
    }

    /// The signals that have their default action again while we answer. Whoever asks how it stands ends nothing.
    fn released(&self) -> Vec<Signal> {
        let mut released = self.watched();
        released.retain(|signal| self.manners == Manners::PassOn || *signal != Signal::USR1);
        released
    }

    fn watch_signals(&self) -> Result<Arrivals> {
        let watched = self.watched();
        if self.manners == Manners::Cancel && watched.contains(&Signal::INT) {
            signals::take_interrupts()?;
        }
        Arrivals::watch(&watched)
    }
}

/// Runs the watchdog on a thread and hands its events on here. True where the job was killed.
fn on_a_thread(
    mut watchdog: Watchdog<'static>,
    submission: Submission<'static>,
    events: Events,
    listener: &mut dyn FnMut(Event),
) -> Result<bool> {
    let thread = thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || {
            watchdog.submit(submission)?;
            watchdog.run()
        })
        .map_err(Error::system("start a thread"))?;
    let mut killed = false;
    for event in events {
        killed |= was_killed(&event);
        let is_last = matches!(event, Event::JobFinished(_));
        listener(event);
        if is_last {
            // The watchdog lets go of the job meanwhile: its group is removed, its guard gone.
            break;
        }
    }
    match thread.join() {
        Ok(result) => result.map(|()| killed),
        Err(_) => Err(Error::Internal("the watchdog failed".to_owned())),
    }
}

/// The queue between the watchdog and the listener.
fn queue() -> (EventSender, Events) {
    let waiting = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = sync_channel(QUEUE);
    (EventSender { sender, waiting: Arc::clone(&waiting) }, Events { receiver, waiting })
}

struct EventSender {
    /// The room for all is made at the start, so each takes as little of it as it can.
    sender: SyncSender<Box<Event>>,
    waiting: Arc<AtomicUsize>,
}

impl EventSender {
    /// The outcome waits for room, anything else does not. What the job says, and it may say a lot, leaves room for what
    /// happens to it.
    fn send(&self, event: Event) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let room = match event {
            Event::JobFinished(_) => {
                let _ = self.sender.send(Box::new(event));
                return;
            }
            Event::PartialReported(_) => WAITING_VALUES,
            Event::ProgressReported(_)
            | Event::StatusReported(_)
            | Event::StoppingReported
            | Event::DeadlineExtended { .. }
            | Event::ExtensionRefused { .. }
            | Event::MessageRefused { .. } => QUEUE / 2,
            _ => QUEUE,
        };
        if waiting < room {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            if self.sender.try_send(Box::new(event)).is_err() {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

struct Events {
    receiver: Receiver<Box<Event>>,
    waiting: Arc<AtomicUsize>,
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let event = *self.receiver.recv().ok()?;
        if !matches!(event, Event::JobFinished(_)) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Some(event)
    }
}

fn was_killed(event: &Event) -> bool {
    match event {
        Event::JobFinished(outcome) => {
            !outcome.signals.is_empty() || matches!(outcome.end, crate::model::outcome::End::Signaled { .. })
        }
        _ => false,
    }
}

fn tree_spec(assignment: &Assignment, own_group: bool, manners: Manners) -> Result<TreeSpec> {
    let surroundings = &assignment.spec.surroundings;
    let argv = assignment.spec.command.argv();
    let check = if manners == Manners::PassOn { Check::ByStart } else { Check::BeforeStart };
    let env = assignment.env.clone();
    let command = PreparedCommand::new(&argv, env, surroundings.cwd.as_deref(), JOB_ID, check)?;
    let mut late_input = None;
    let stdin: Option<OwnedFd> = match &surroundings.stdin {
        Stdin::Inherit => None,
        Stdin::Null => Some(descriptors::null_input()?),
        Stdin::File(path) if descriptors::is_fifo(path) => {
            late_input = Some(command::path_string(path)?);
            None
        }
        Stdin::File(path) => Some(descriptors::input(path)?),
    };
    Ok(TreeSpec {
        command,
        descriptors: [stdin, None, None],
        late_input,
        own_group,
        terminal: None,
        keyboard: None,
        keep_ignored_pipe: manners == Manners::PassOn,
    })
}
