//! Signals that reach runner: what we inherited, what arrives with its sender, and how we die of one.
//!
//! Handlers only note what came and ring a doorbell; what it means is decided by the watchdog.

use std::ffi::c_void;
use std::io;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::doorbell::Doorbell;
use crate::error::{Error, Result};
use crate::model::signal::Signal;

/// Dispositions as our caller left them.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    /// Ignored signals, one bit each (bit 0 is signal 1).
    ignored: u64,
    /// Signals that had another disposition than the default one, or may have had.
    changed: u64,
}

/// Those that stay ignored for us and for the job when our caller ignored them.
const KEPT: [Signal; 3] = [Signal::HUP, Signal::INT, Signal::QUIT];

/// SIGPIPE as it was before the language's runtime changed it; set before `main`.
static PIPE_IGNORED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note_pipe() {
    PIPE_IGNORED.store(i32::from(is_ignored(libc::SIGPIPE)), Ordering::Relaxed);
}

/// Run by the C library before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_PIPE: extern "C" fn() = note_pipe;

impl Inherited {
    /// Reads what we inherited. Before any handler is installed.
    pub fn read() -> Self {
        let mut ignored = 0;
        for signal in KEPT {
            if is_ignored(signal.number()) {
                ignored |= bit(signal);
            }
        }
        if PIPE_IGNORED.load(Ordering::Relaxed) == 1 {
            ignored |= bit(Signal::PIPE);
        }
        let mut changed = 0;
        for number in 1..=64 {
            // The C library keeps two for itself, and says nothing of them.
            if disposition(number) != Some(libc::SIG_DFL) {
                changed |= 1 << (number - 1);
            }
        }
        Self { ignored, changed }
    }

    /// True where our caller had it ignored, and it stays so. Only asked of HUP, INT, QUIT and PIPE.
    pub fn ignores(&self, signal: Signal) -> bool {
        signal != Signal::NULL && self.ignored & bit(signal) != 0
    }

    /// The signals that a job has at their default: all but those that our caller ignored and that stay so.
    pub(super) fn to_reset(self, keep_ignored_pipe: bool) -> u64 {
        let kept = if keep_ignored_pipe { self.ignored } else { self.ignored & !bit(Signal::PIPE) };
        let ours = IGNORED.iter().fold(CAUGHT.load(Ordering::Acquire), |all, number| all | 1 << (number - 1));
        (self.changed | ours) & !kept
    }
}

fn bit(signal: Signal) -> u64 {
    1 << (signal.number() - 1)
}

fn is_ignored(number: i32) -> bool {
    disposition(number) == Some(libc::SIG_IGN)
}

fn disposition(number: i32) -> Option<libc::sighandler_t> {
    // SAFETY: only reads; an all-zero sigaction is valid.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        (libc::sigaction(number, null(), &raw mut action) == 0).then_some(action.sa_sigaction)
    }
}

/// The signals that runner itself ignores. What it starts must not.
pub(super) const IGNORED: [libc::c_int; 4] = [libc::SIGTTIN, libc::SIGTTOU, libc::SIGPIPE, libc::SIGXFSZ];

/// Sets what runner itself needs: children are waited for, the terminal never stops us for writing an answer, and a
/// write that cannot be made is an error and no death.
pub fn set_own_dispositions() {
    // SAFETY: no handler of ours is involved.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        for number in IGNORED {
            libc::signal(number, libc::SIG_IGN);
        }
    }
}

/// A write beyond the limit on the size of files is an error and no death, see RLIMIT_FSIZE in getrlimit(2).
pub fn ignore_file_size_signal() {
    // SAFETY: no handler of ours is involved.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// A signal that reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub signal: Signal,
    /// Who sent it, where a process did.
    pub sender: Option<i32>,
}

/// Arrivals that were not looked at yet: written by handlers, read by one thread.
struct Ring {
    slots: [AtomicU64; Ring::SIZE],
    written: AtomicUsize,
    read: AtomicUsize,
    doorbell: AtomicI32,
}

impl Ring {
    const SIZE: usize = 256;
}

static RING: Ring = Ring {
    slots: [const { AtomicU64::new(0) }; Ring::SIZE],
    written: AtomicUsize::new(0),
    read: AtomicUsize::new(0),
    doorbell: AtomicI32::new(-1),
};

/// Handlers that were there before ours, by signal; they are run as well.
static EARLIER: [AtomicUsize; 65] = [const { AtomicUsize::new(0) }; 65];

/// Notes one arrival and rings. A signal handler: atomics and one write(2), nothing else.
extern "C" fn note(number: i32, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel gives a siginfo to a handler that asked for one; si_pid is set where a process sent the signal.
    // Positive codes are the kernel's own, a terminal's among them.
    let sender = unsafe { if (*info).si_code <= 0 { (*info).si_pid() } else { -1 } };
    let packed = 1 << 63 | (number as u64) << 32 | u64::from(sender as u32);
    let slot = RING.written.fetch_add(1, Ordering::AcqRel) % Ring::SIZE;
    RING.slots[slot].store(packed, Ordering::Release);
    let one: u64 = 1;
    // SAFETY: write(2) is safe in a handler, and rings an eventfd that lives as long as the process. The interrupted
    // code must find its errno.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        libc::write(RING.doorbell.load(Ordering::Acquire), (&raw const one).cast(), 8);
        *errno = saved;
    }
    let earlier = EARLIER[number as usize].load(Ordering::Acquire);
    if earlier != 0 {
        // SAFETY: it was installed as a handler of one argument.
        let earlier: extern "C" fn(i32) = unsafe { std::mem::transmute(earlier) };
        earlier(number);
    }
}

/// Signals that have a handler of ours, one bit each.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// Makes `note` the handler of a signal. A handler of one argument that was there runs behind it.
fn catch(signal: Signal) -> Result<()> {
    // First, so that no job is started with it in between.
    CAUGHT.fetch_or(bit(signal), Ordering::AcqRel);
    // SAFETY: `note` does only what a handler may do; an all-zero sigaction is valid.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = note as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        // One at a time: of signals that come together each would take a frame of its own on the stack for handlers, and
        // that holds two or three where the registers are large. See signal(7) and sigaltstack(2).
        libc::sigfillset(&raw mut action.sa_mask);
        let result = libc::sigaction(signal.number(), &raw const action, &raw mut before);
        if ![libc::SIG_DFL, libc::SIG_IGN].contains(&before.sa_sigaction) && before.sa_flags & libc::SA_SIGINFO == 0 {
            EARLIER[signal.number() as usize].store(before.sa_sigaction, Ordering::Release);
        }
        result
    };
    if result == 0 { Ok(()) } else { Err(Error::system("catch a signal")(io::Error::last_os_error())) }
}

/// The signals of this process, as a queue with a doorbell.
#[derive(Debug)]
pub struct Arrivals {
    doorbell: &'static Doorbell,
}

impl Arrivals {
    /// Begins to note these signals. One that is ignored by inheritance must not be among them. Once for a process.
    pub fn watch(signals: &[Signal]) -> Result<Self> {
        // Handlers may run until the very end of the process.
        let doorbell: &'static Doorbell = Box::leak(Box::new(Doorbell::new()?));
        RING.doorbell.store(doorbell.raw(), Ordering::Release);
        for signal in signals {
            catch(*signal)?;
        }
        Ok(Self { doorbell })
    }

    /// Puts these signals back to their default actions.
    pub fn release(signals: &[Signal]) {
        for signal in signals.iter().filter(|signal| **signal != Signal::PIPE) {
            // SAFETY: no handler is involved any more.
            unsafe { libc::signal(signal.number(), libc::SIG_DFL) };
        }
    }

    pub fn doorbell(&self) -> &'static Doorbell {
        self.doorbell
    }

    /// Waits until one is there, or for so long.
    pub fn await_next(&self, limit: Duration) {
        take_pending();
        self.doorbell.await_ring(limit);
    }

    /// The next arrival, in the order in which they came.
    pub fn next(&self) -> Option<Arrival> {
        loop {
            let written = RING.written.load(Ordering::Acquire);
            // After a flood only the last lap is there.
            let index = RING.read.load(Ordering::Acquire).max(written.saturating_sub(Ring::SIZE));
            if index == written {
                return None;
            }
            let packed = RING.slots[index % Ring::SIZE].swap(0, Ordering::AcqRel);
            if packed == 0 {
                // Its handler has not written it yet, and rings when it has.
                return None;
            }
            RING.read.store(index + 1, Ordering::Release);
            let sender = packed as u32 as i32;
            if let Some(signal) = Signal::from_number((packed >> 32) as i32 & 0x7F) {
                return Some(Arrival { signal, sender: (sender >= 0).then_some(sender) });
            }
        }
    }
}

/// Lets the language's interrupt handler know of us: INT goes through ctrlc, and `Arrivals` is chained behind it. Where the
/// system refuses its thread `Arrivals` is enough.
pub fn take_interrupts() -> Result<()> {
    match ctrlc::set_handler(|| {}) {
        Ok(()) | Err(ctrlc::Error::System(_)) => Ok(()),
        Err(error) => Err(Error::Internal(format!("failed to catch SIGINT: {error}"))),
    }
}

/// Runs the handlers of what is pending for the process in this thread, also where another one was chosen that has not
/// woken up yet: when the mask of a thread changes, the kernel looks again.
pub fn take_pending() {
    with_all_blocked(|| ());
}

/// Runs `action` with every signal blocked in this thread.
pub(super) fn with_all_blocked<T>(action: impl FnOnce() -> T) -> T {
    // SAFETY: sets the mask of this thread and puts it back.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let result = action();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, null_mut());
        result
    }
}

/// Unblocks every signal in this thread: our caller may have left some blocked.
pub fn unblock_all() {
    // SAFETY: sets the mask of this thread.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, null_mut());
    }
}

/// Stops this process as the terminal asked, and comes back when it is continued. In an orphaned process group the
/// kernel ignores the signal, and this returns at once.
pub fn stop_by_terminal() {
    // SAFETY: puts the default action in place of our handler for one signal to ourselves.
    unsafe {
        let mut default: libc::sigaction = std::mem::zeroed();
        let mut ours: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(libc::SIGTSTP, &raw const default, &raw mut ours);
        libc::raise(libc::SIGTSTP);
        libc::sigaction(libc::SIGTSTP, &raw const ours, null_mut());
    }
}

/// Sends a signal to the other processes of our group, as the terminal would.
pub fn tell_own_group(signal: Signal) {
    // SAFETY: our own copy is not to act on us: it is discarded as it is sent.
    unsafe {
        let mut ignore: libc::sigaction = std::mem::zeroed();
        let mut ours: libc::sigaction = std::mem::zeroed();
        ignore.sa_sigaction = libc::SIG_IGN;
        libc::sigaction(signal.number(), &raw const ignore, &raw mut ours);
        libc::kill(0, signal.number());
        libc::sigaction(signal.number(), &raw const ours, null_mut());
    }
}

/// Ends this process by the default action of a signal, without a core. Returns only where that does not end it.
pub fn die_by(signal: Signal) {
    // SAFETY: the default action takes over; nothing of ours runs after it.
    unsafe {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::signal(signal.number(), libc::SIG_DFL);
        unblock_all();
        libc::raise(signal.number());
    }
}
