//! One job's processes: made, looked at, signalled, ended and let go.
//!
//! The leader is a child of a guard (see `guard`), so the tree is exactly what lives below the guard. Two rungs hold it:
//! a control group where one can be made, and always the walk over the guard's descendants.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::starting::{new_stack, start_guard};
use super::board::Board;
use super::cgroup::{Cgroup, Home};
use super::clone::Stack;
use super::command::PreparedCommand;
use super::descriptors;
use super::guard;
use super::limits;
use super::plan::{self, Plan, Shared};
use super::poller;
use super::process::{self, Child};
use super::procfs::{self, Identity, Lineage, Stat};
use super::shareable::Shareable;
use super::signals::Inherited;
use super::strays::Strays;
use crate::error::Result;
use crate::model::outcome::{Containment, End, Leftover, ProcessRow, StartFailure, StartStep, Usage};
use crate::model::signal::Signal;

mod signaling;
mod starting;

/// Rows of a black box.
const ROW_LIMIT: usize = 64;
/// How long a tree that nobody released may take to die.
const EMERGENCY_LIMIT: Duration = Duration::from_secs(2);
/// The kill of a tree looks at it so often in a row before it lets the event loop go on.
const KILL_ROUNDS: u32 = 8;

/// How to start a tree.
#[derive(Debug)]
pub struct TreeSpec {
    pub command: PreparedCommand,
    /// What becomes descriptor 0, 1 and 2; none leaves what we have.
    pub descriptors: [Option<OwnedFd>; 3],
    /// A memory file that the leader inherits under the same descriptor number.
    pub passed: Option<OwnedFd>,
    /// Opened by the leader as its input: a FIFO whose writer may come late, which must keep nobody else waiting.
    pub late_input: Option<CString>,
    /// A process group of its own.
    pub own_group: bool,
    /// The job gets a session of its own, with this as its controlling terminal.
    pub terminal: Option<OwnedFd>,
    /// A socket that is removed by the guard where we cannot.
    pub notify_path: Option<CString>,
    /// The user's terminal, whose modes the guard puts back where we cannot.
    pub keyboard: Option<OwnedFd>,
    /// What its files are made without, see umask(2); ours if none.
    pub umask: Option<u32>,
    /// An ignored SIGPIPE stays ignored, as timeout(1) leaves it.
    pub keep_ignored_pipe: bool,
    /// If runner dies, the command gets this signal, and the tree is killed after this time. None: killed at once.
    pub orphan_signal: Option<(Signal, Duration)>,
    /// Its CPU time will be asked for: it gets a control group that nobody used before.
    pub is_measured: bool,
}

/// A started tree. Dropping it ends it, unless it was released.
#[derive(Debug)]
pub struct Tree {
    /// Read and written by the guard until it is gone.
    plan: Shareable<Plan>,
    guard: Child,
    /// Signals that we sent ourselves and that reached a process, one bit each (bit 0 is signal 1).
    delivered: Cell<u64>,
    /// What was signalled, where it may leave the tree.
    signalled: RefCell<BTreeSet<Identity>>,
    leader: Option<OwnedFd>,
    board: Arc<Board>,
    cgroup: Option<Cgroup>,
    mark: Vec<u8>,
    /// Read by the new processes until the leader executes its program.
    beginning: Option<Beginning>,
    keyboard: Option<OwnedFd>,
    _notify_path: Option<CString>,
    _stack: Stack,
    guard_gone: bool,
    released: bool,
}

/// What is needed until the leader executes its program, and is let go of then: our ends of the job's streams would keep
/// its pipes open, and the rest is much memory where there are many jobs.
#[derive(Debug)]
struct Beginning {
    _command: PreparedCommand,
    _late_input: Option<CString>,
    _descriptors: [Option<OwnedFd>; 3],
    _passed: Option<OwnedFd>,
    _terminal: Option<OwnedFd>,
    _stack: Stack,
    /// The guard's end of `guard.handle`, where that is a pipe.
    _life: Option<OwnedFd>,
}

/// What is new with a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    pub started: bool,
    pub failure: Option<StartFailure>,
    /// Set once the leader ended and was waited for.
    pub leader_end: Option<End>,
    /// No process is left.
    pub empty: bool,
}

impl Tree {
    /// Begins to start the command; whether it runs comes as news, told on the board under this number.
    pub fn start(
        mut spec: TreeSpec,
        home: Option<&Home>,
        inherited: &Inherited,
        board: &Arc<Board>,
        number: usize,
    ) -> Result<Self> {
        let cgroup = home.and_then(|home| home.create(!spec.is_measured));
        let (guard_stack, leader_stack) = (new_stack()?, new_stack()?);
        let raw = |descriptor: &Option<OwnedFd>| descriptor.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let plan = Plan {
            shared: Shared::new(number),
            runner_pid: process::own_pid(),
            proc_is_own: procfs::is_own(),
            shares_descriptors: false,
            is_forked: false,
            until_exec: -1,
            life: -1,
            joins_cgroup: false,
            board: board.first(),
            doorbell: board.raw_doorbell(),
            cgroup: cgroup.as_ref().map_or(-1, Cgroup::raw),
            cgroup_parent: cgroup.as_ref().map_or(-1, Cgroup::raw_parent),
            cgroup_name: cgroup.as_ref().map_or(std::ptr::null(), |cgroup| cgroup.name().as_ptr()),
            leader_stack: leader_stack.range(),
            terminal: raw(&spec.terminal),
            keyboard: raw(&spec.keyboard),
            notify_path: spec.notify_path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr()),
            own_group: spec.own_group,
            guard_leads_group: spec.own_group && spec.orphan_signal.is_some(),
            orphan_signal: spec.orphan_signal.map_or(0, |(signal, _)| signal.number()),
            orphan_grace: spec
                .orphan_signal
                .map_or(0, |(_, grace)| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)),
            descriptor_limit: limits::before_raise(),
            reset_signals: inherited.to_reset(spec.keep_ignored_pipe),
            candidates: spec.command.candidates(),
            argv: spec.command.argv(),
            envp: spec.command.envp(),
            shell_argv: spec.command.shell_argv(),
            cwd: spec.command.cwd(),
            umask: spec.umask,
            late_input: spec.late_input.as_ref().map_or(std::ptr::null(), |path| path.as_ptr()),
            input_may_wait: spec.late_input.as_deref().is_some_and(|path| path != descriptors::NULL),
            descriptors: [raw(&spec.descriptors[0]), raw(&spec.descriptors[1]), raw(&spec.descriptors[2])],
            passed: raw(&spec.passed),
        };
        let (plan, guard, life) = start_guard(plan, &guard_stack)?;
        Ok(Self {
            plan,
            guard,
            delivered: Cell::new(0),
            signalled: RefCell::default(),
            leader: None,
            board: Arc::clone(board),
            cgroup,
            mark: spec.command.take_mark(),
            beginning: Some(Beginning {
                _command: spec.command,
                _late_input: spec.late_input,
                _descriptors: spec.descriptors,
                _passed: spec.passed,
                _terminal: spec.terminal,
                _stack: leader_stack,
                _life: life,
            }),
            keyboard: spec.keyboard,
            _notify_path: spec.notify_path,
            _stack: guard_stack,
            guard_gone: false,
            released: false,
        })
    }

    /// Readable when the guard is gone: the tree is empty, or the guard was killed.
    pub fn guard_handle(&self) -> BorrowedFd<'_> {
        self.guard.handle.as_fd()
    }

    pub fn leader_pid(&self) -> i32 {
        self.plan.shared.leader_pid.load(Ordering::Acquire)
    }

    pub fn containment(&self) -> Containment {
        match () {
            () if self.group().is_some() => Containment::Cgroup,
            () if procfs::is_own() && self.stays_below() => Containment::Walk,
            () => Containment::Leader,
        }
    }

    /// Looks what is new.
    pub fn news(&mut self) -> News {
        let shared = &self.plan.shared;
        let mut news = News::default();
        match shared.phase.load(Ordering::Acquire) {
            plan::PHASE_STARTED => {
                news.started = true;
                self.beginning = None;
                let raw = shared.leader_pidfd.swap(-1, Ordering::AcqRel);
                if raw >= 0 {
                    // SAFETY: the guard made the descriptor in the table that we shared then, and left it to us.
                    self.leader = Some(unsafe { OwnedFd::from_raw_fd(raw) });
                }
            }
            plan::PHASE_FAILED => {
                self.beginning = None;
                let step = match shared.failed_step.load(Ordering::Acquire) {
                    plan::STEP_CHDIR => StartStep::Chdir,
                    plan::STEP_EXEC => StartStep::Exec,
                    plan::STEP_INPUT => StartStep::Input,
                    _ => StartStep::Spawn,
                };
                news.failure = Some(StartFailure { step, os_error: shared.failed_errno.load(Ordering::Acquire) });
            }
            _ => {}
        }
        if shared.leader_ended.load(Ordering::Acquire) == 1 {
            news.leader_end = Some(end_of(shared.leader_status.load(Ordering::Acquire)));
        }
        news.empty = shared.tree_empty.load(Ordering::Acquire) == 1;
        news
    }

    /// True if the leader has exited, even if the guard has not reaped it yet.
    pub fn leader_has_exited(&self) -> bool {
        self.leader.as_ref().is_some_and(|leader| poller::is_readable(leader.as_fd()))
    }

    /// Wakes a guard that was stopped by its own job; harmless otherwise.
    pub fn nudge_guard(&self) {
        if !self.guard_gone {
            self.guard.signal(Signal::CONT);
        }
    }

    /// The guard was killed by somebody else: the kernel ends the leader with it, and what the guard held has come to
    /// us. Ends that, too, and gives the leader's end and what may be left; none where that cannot be known.
    pub fn guard_lost(&mut self) -> (End, Option<Vec<ProcessRow>>) {
        self.guard_gone = true;
        let started = procfs::stat(self.guard.pid).map_or(0, |stat| stat.start_time);
        self.guard.reap();
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        self.news();
        let strays = Strays { since: started, group: self.leader_pid(), mark: &self.mark };
        strays.end(self.leader.as_ref().map(AsFd::as_fd));
        if !procfs::is_own() && (self.plan.own_group && !self.plan.guard_leads_group || self.plan.terminal >= 0) {
            process::kill_group_of_child(self.leader_pid());
        }
        // What may be the job's and bears no sign of it is named, and left to whoever reads the answer.
        let unsure = procfs::is_own().then(|| procfs::rows_with_owners(&procfs::orphans(started)));
        // The leader's status went to whoever adopted it.
        (End::Signaled { signal: Signal::KILL, core_dumped: false }, unsure)
    }

    /// Tells the guard that the modes of the user's terminal are about to become ours. `false`: they are the user's again.
    pub fn note_modes(&self, taken: bool) {
        let shared = &self.plan.shared;
        if let Some(keyboard) = self.keyboard.as_ref().filter(|_| taken) {
            let mut modes = [0_u64; plan::MODES_LENGTH];
            // SAFETY: the kernel's termios fits into the array on every architecture.
            if unsafe { libc::ioctl(keyboard.as_raw_fd(), libc::TCGETS, modes.as_mut_ptr()) } != 0 {
                return;
            }
            for (slot, word) in shared.keyboard_modes.iter().zip(modes) {
                slot.store(word, Ordering::Relaxed);
            }
        }
        shared.keyboard_taken.store(u32::from(taken), Ordering::Release);
    }

    /// The signal that the leader is stopped on, where it is.
    pub fn stopped_by(&self) -> Option<Signal> {
        Signal::from_number(self.plan.shared.leader_stopped.load(Ordering::Acquire)).filter(|s| *s != Signal::NULL)
    }

    /// Kills everything that is there now. Forks may escape one look: repeat until the news says that it is empty.
    pub fn kill(&self) {
        self.plan.shared.order.store(plan::ORDER_KILL, Ordering::Release);
        if self.group().is_some_and(Cgroup::kill) {
            self.note_delivered(Signal::KILL);
        }
        self.nudge_guard();
        self.wake_guard();
        for _ in 0..KILL_ROUNDS {
            let living = self.living();
            let met = living.iter().filter(|stat| self.send(stat.identity(), Signal::KILL));
            if met.count() == 0 {
                break;
            }
        }
    }

    /// CPU time of everything that ran in the tree.
    pub fn cpu(&self) -> Duration {
        if let Some(cpu) = self.group().and_then(Cgroup::cpu) {
            return cpu;
        }
        let shared = &self.plan.shared;
        let reaped = shared.user_micros.load(Ordering::Acquire) + shared.system_micros.load(Ordering::Acquire);
        let living: Duration = procfs::descendants(self.guard.pid).iter().map(|stat| stat.cpu).sum();
        Duration::from_micros(reaped) + living
    }

    /// What was waited for, from wait4(2).
    pub fn usage(&self) -> Usage {
        let shared = &self.plan.shared;
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        Usage {
            user_seconds: seconds(shared.user_micros.load(Ordering::Acquire)),
            system_seconds: seconds(shared.system_micros.load(Ordering::Acquire)),
            max_rss_bytes: shared.max_rss_kib.load(Ordering::Acquire) * 1024,
        }
    }

    /// The tree as it stands, parents first.
    pub fn rows(&self) -> Vec<ProcessRow> {
        let mut found = procfs::descendants(self.guard.pid);
        found.truncate(ROW_LIMIT);
        procfs::rows(&found)
    }

    /// What is still alive, with its owner. None: that cannot be known here.
    pub fn survivors(&self) -> Option<Vec<ProcessRow>> {
        if !self.is_known() {
            return None;
        }
        let mut found = procfs::descendants(self.guard.pid);
        let seen = !found.is_empty();
        found.retain(|stat| !stat.is_dead());
        found.truncate(ROW_LIMIT);
        // The guard has a child that /proc does not show: one of another user, where `hidepid` hides those.
        (seen || self.is_empty()).then(|| procfs::rows_with_owners(&found))
    }

    /// False where processes of the tree may live without being seen: /proc says nothing of them, or they can leave it.
    pub fn is_known(&self) -> bool {
        let never_ran = self.plan.shared.phase.load(Ordering::Acquire) == plan::PHASE_FAILED;
        let is_held = self.stays_below() || self.group().is_some_and(|group| !group.is_populated());
        never_ran || is_held && (self.is_empty() || procfs::is_own())
    }

    /// What lives on after the leader, and whether it holds one of the pipes or terminals that /proc gives these names. None:
    /// that cannot be known here.
    pub fn leftovers(&self, outputs: &[String]) -> Option<Vec<Leftover>> {
        if !self.is_known() {
            return None;
        }
        let living = self.first_living();
        let leftover = |(stat, command): (&Stat, String)| Leftover {
            pid: stat.pid,
            command,
            holds_output: procfs::holds_one_of(stat.pid, outputs),
        };
        Some(living.iter().zip(procfs::command_lines(&living)).map(leftover).collect())
    }

    /// True where this signal has reached a process of the tree.
    pub fn has_delivered(&self, signal: Signal) -> bool {
        let delivered = self.delivered.get() | self.plan.shared.delivered.load(Ordering::Acquire);
        delivered & bit(signal) != 0
    }

    /// How many processes of the tree live.
    pub fn size(&self) -> usize {
        self.living().len()
    }

    fn first_living(&self) -> Vec<Stat> {
        let mut living = self.living();
        living.truncate(ROW_LIMIT);
        living
    }

    /// True where this process belongs to the tree, or did a moment ago.
    pub fn contains(&self, process: &Lineage) -> bool {
        let shared = &self.plan.shared;
        let was_reaped = || shared.reaped.iter().any(|reaped| reaped.load(Ordering::Acquire) == process.pid);
        process.pid == self.leader_pid()
            || process.above.contains(&self.guard.pid)
            // A pid that somebody has again is somebody else's.
            || (!process.lives && was_reaped())
    }

    /// True where this process lives below the guard.
    pub fn holds(&self, process: &Lineage) -> bool {
        process.above.contains(&self.guard.pid)
    }

    /// True where a process of this pid, which lives no more, was the leader or was waited for by the guard.
    pub fn had(&self, pid: i32) -> bool {
        self.contains(&Lineage { pid, lives: false, above: Vec::new() })
    }

    /// True where a living process of the tree is of this user.
    pub fn has_user(&self, uid: u32) -> bool {
        self.living().iter().any(|stat| procfs::users(stat.pid).is_some_and(|users| users.contains(&uid)))
    }

    fn living(&self) -> Vec<Stat> {
        let mut found = procfs::descendants(self.guard.pid);
        found.retain(|stat| !stat.is_dead());
        found
    }

    /// The control group, where the leader could be started in it.
    fn group(&self) -> Option<&Cgroup> {
        let refused = self.plan.shared.cgroup_refused.load(Ordering::Acquire) == 1;
        self.cgroup.as_ref().filter(|_| !refused)
    }

    fn wake_guard(&self) {
        if let Some(signal) = Signal::from_number(guard::WAKE_SIGNAL).filter(|_| !self.guard_gone) {
            self.guard.signal(signal);
        }
    }
}

impl Tree {
    /// The tree is over, or what is left of it may live on: lets go of it. The control group of one that ended without a
    /// kill may serve another job of `home`.
    pub fn release(mut self, home: Option<&Home>) {
        self.released = true;
        let killed = self.plan.shared.order.load(Ordering::Acquire) == plan::ORDER_KILL;
        match (&self.cgroup, home) {
            (Some(cgroup), _) if !self.is_empty() => cgroup.let_go(),
            (Some(_), Some(home)) if !killed && !self.guard_gone => home.keep(self.cgroup.take()),
            _ => {}
        }
    }

    /// Leaves the kill that was begun to the guard, which goes on with it when this process ends. To be called only when
    /// it ends now: the guard needs our memory as it is.
    pub fn leave_to_guard(self) {
        std::mem::forget(self);
    }

    fn is_empty(&self) -> bool {
        self.plan.shared.tree_empty.load(Ordering::Acquire) == 1
    }
}

/// A tree that nobody released is ended: something went wrong, and nothing may be left behind.
impl Drop for Tree {
    fn drop(&mut self) {
        if !self.released && !self.guard_gone {
            self.kill();
            self.guard.await_end(EMERGENCY_LIMIT);
        }
        if !self.guard_gone {
            // It shares memory that is about to go. Killed, it lets go of its children without a word.
            self.guard.kill();
            self.guard.reap();
        }
        self.board.forget(&self.plan.shared.note);
        let raw = self.plan.shared.leader_pidfd.swap(-1, Ordering::AcqRel);
        if raw >= 0 {
            // SAFETY: the guard made the descriptor in the table that we shared then, and left it to us.
            drop(unsafe { OwnedFd::from_raw_fd(raw) });
        }
    }
}

/// What a wait status says.
fn end_of(status: i32) -> End {
    if libc::WIFSIGNALED(status) {
        let signal = Signal::from_number(libc::WTERMSIG(status)).unwrap_or(Signal::KILL);
        return End::Signaled { signal, core_dumped: libc::WCOREDUMP(status) };
    }
    End::Exited(libc::WEXITSTATUS(status))
}

/// The bit of a signal in a set.
fn bit(signal: Signal) -> u64 {
    if signal == Signal::NULL { 0 } else { 1 << (signal.number() - 1) }
}
