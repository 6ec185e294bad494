//! What runner, the guard and the leader share: the plan of a start, and the memory in which the guard reports.
//!
//! Plain data on one heap block that runner keeps until the guard is gone.

use std::ffi::c_char;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

use super::board::{First, Note};

/// What the guard is asked to do, in `Shared::order`.
pub(super) const ORDER_WATCH: u32 = 0;
/// Kill the children, again and again, until there are none.
pub(super) const ORDER_KILL: u32 = 1;

/// How far the start came, in `Shared::phase`.
pub(super) const PHASE_STARTING: u32 = 0;
pub(super) const PHASE_STARTED: u32 = 1;
pub(super) const PHASE_FAILED: u32 = 2;

/// The step that failed, in `Shared::failed_step`.
pub(super) const STEP_SPAWN: u32 = 0;
pub(super) const STEP_CHDIR: u32 = 1;
pub(super) const STEP_EXEC: u32 = 2;
pub(super) const STEP_INPUT: u32 = 3;

/// Whom of the tree the guard is asked to signal: an index into `Shared::wanted`.
pub(super) const TO_TREE: usize = 0;
pub(super) const TO_LEADER: usize = 1;
/// The leader, and its process group where that is the job's own.
pub(super) const TO_GROUP: usize = 2;
/// What `TO_GROUP` leaves out.
pub(super) const TO_OUTSIDE: usize = 3;
/// What `TO_LEADER` leaves out.
pub(super) const TO_OTHERS: usize = 4;

/// How many pids of reaped processes are remembered.
pub(super) const REAPED_MEMORY: usize = 64;

/// Room for the kernel's termios on every architecture, in eight bytes each.
pub(super) const MODES_LENGTH: usize = 8;

/// Memory that runner and the guard both read and write.
#[derive(Debug)]
pub(super) struct Shared {
    /// By which the guard says that there is news.
    pub(super) note: Note,
    pub(super) order: AtomicU32,
    /// Signals that the guard is to send, one bit each (bit 0 is signal 1), for each part of the tree.
    pub(super) wanted: [AtomicU64; 5],
    /// Signals of which one at least has reached a process of the tree.
    pub(super) delivered: AtomicU64,
    /// What the job forks may leave the guard: the system refused to make it a subreaper.
    pub(super) subreaper_refused: AtomicU32,
    pub(super) phase: AtomicU32,
    pub(super) failed_step: AtomicU32,
    pub(super) failed_errno: AtomicI32,
    pub(super) leader_pid: AtomicI32,
    pub(super) leader_pidfd: AtomicI32,
    /// Set once `leader_status` is true.
    pub(super) leader_ended: AtomicU32,
    /// The leader could not be started in the control group.
    pub(super) cgroup_refused: AtomicU32,
    pub(super) leader_status: AtomicI32,
    /// The signal that the leader is stopped on, or zero.
    pub(super) leader_stopped: AtomicI32,
    /// No process of the tree is left, and all were waited for.
    pub(super) tree_empty: AtomicU32,
    pub(super) user_micros: AtomicU64,
    pub(super) system_micros: AtomicU64,
    pub(super) max_rss_kib: AtomicU64,
    /// Set while the modes of the user's terminal are ours, and `keyboard_modes` holds what they were.
    pub(super) keyboard_taken: AtomicU32,
    /// The kernel's termios, as bytes.
    pub(super) keyboard_modes: [AtomicU64; MODES_LENGTH],
    /// Pids that were reaped lately, in a ring.
    pub(super) reaped: [AtomicI32; REAPED_MEMORY],
    pub(super) reaped_count: AtomicU32,
}

impl Shared {
    /// `job` is the number under which its news is told.
    pub(super) fn new(job: usize) -> Self {
        Self {
            note: Note::new(job),
            order: AtomicU32::new(ORDER_WATCH),
            wanted: [const { AtomicU64::new(0) }; 5],
            delivered: AtomicU64::new(0),
            subreaper_refused: AtomicU32::new(0),
            phase: AtomicU32::new(PHASE_STARTING),
            failed_step: AtomicU32::new(STEP_SPAWN),
            failed_errno: AtomicI32::new(0),
            leader_pid: AtomicI32::new(0),
            leader_pidfd: AtomicI32::new(-1),
            leader_ended: AtomicU32::new(0),
            cgroup_refused: AtomicU32::new(0),
            leader_status: AtomicI32::new(0),
            leader_stopped: AtomicI32::new(0),
            tree_empty: AtomicU32::new(0),
            user_micros: AtomicU64::new(0),
            system_micros: AtomicU64::new(0),
            max_rss_kib: AtomicU64::new(0),
            keyboard_taken: AtomicU32::new(0),
            keyboard_modes: [const { AtomicU64::new(0) }; MODES_LENGTH],
            reaped: [const { AtomicI32::new(0) }; REAPED_MEMORY],
            reaped_count: AtomicU32::new(0),
        }
    }
}

/// Everything that guard and leader need, owned by runner until the guard is gone.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) shared: Shared,
    pub(super) runner_pid: i32,
    /// /proc numbers processes as we do, and so its lists of children may be used.
    pub(super) proc_is_own: bool,
    /// The guard begins in runner's descriptor table, and so what it opens is runner's too.
    pub(super) shares_descriptors: bool,
    /// Guard and leader are copies of us that share this plan and nothing else.
    pub(super) is_forked: bool,
    /// Open in a forked leader until it executes its program, or -1.
    pub(super) until_exec: i32,
    /// Open in the guard alone, and so the other end tells when it is gone; or -1.
    pub(super) life: i32,
    /// The leader moves itself into the control group.
    pub(super) joins_cgroup: bool,
    /// Where the note goes when there is news, and what is rung then.
    pub(super) board: *const First,
    pub(super) doorbell: i32,
    /// The job's control group and the group that it was made in, or -1.
    pub(super) cgroup: i32,
    pub(super) cgroup_parent: i32,
    pub(super) cgroup_name: *const c_char,
    /// Lowest address and size of the leader's first stack.
    pub(super) leader_stack: (u64, u64),
    /// The pseudo-terminal that the job shall have as its own, or -1.
    pub(super) terminal: i32,
    /// The user's terminal, to put its modes back where runner cannot, or -1.
    pub(super) keyboard: i32,
    /// A socket in the file system that goes with runner, or null.
    pub(super) notify_path: *const c_char,
    /// A process group of its own.
    pub(super) own_group: bool,
    /// The guard leads that group, so that a command that creates its own group leaves it, as under timeout(1).
    pub(super) guard_leads_group: bool,
    /// Signal for the leader or its group when runner dies. 0: kill the tree at once.
    pub(super) orphan_signal: i32,
    /// Milliseconds from that signal until the tree is killed.
    pub(super) orphan_grace: u64,
    /// The limit on descriptors that the job has, soft and hard, where ours is another.
    pub(super) descriptor_limit: Option<[u64; 2]>,
    /// Signals whose disposition the leader sets to default, one bit each (bit 0 is signal 1).
    pub(super) reset_signals: u64,
    /// Files to execute, tried in turn; ends with a null pointer.
    pub(super) candidates: *const *const c_char,
    pub(super) argv: *const *const c_char,
    pub(super) envp: *const *const c_char,
    /// `/bin/sh`, room for the file, the arguments: for a script that names no interpreter.
    pub(super) shell_argv: *mut *const c_char,
    /// Working directory, or null.
    pub(super) cwd: *const c_char,
    /// What its files are made without, where that is not ours.
    pub(super) umask: Option<u32>,
    /// Opened as descriptor 0, or null.
    pub(super) late_input: *const c_char,
    /// To open it may take as long as it likes.
    pub(super) input_may_wait: bool,
    /// What becomes descriptor 0, 1 and 2; -1 leaves it.
    pub(super) descriptors: [i32; 3],
    /// A descriptor that stays open across execve(2) in the leader only, under the same number, or -1.
    pub(super) passed: i32,
}

// SAFETY: the pointers are to memory that the plan's owner keeps, and only the guard's processes follow them.
unsafe impl Send for Plan {}
