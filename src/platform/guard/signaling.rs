//! What the guard sends, and to whom: where runner has no handle on a process, its parent has its number for certain.
//!
//! Part of the guard, and so without allocation, panics or thread-local storage. A number is signalled only while its
//! process is an unreaped child of ours; and below such a child, as /proc has just listed it, in the kill of the tree.

use std::sync::atomic::Ordering;

use syscalls::{Sysno, syscall};

use crate::platform::plan::{Plan, TO_GROUP, TO_LEADER, TO_OTHERS, TO_OUTSIDE, TO_TREE};

/// How many levels below our own children are visited in one round; each takes some of the stack.
const KILL_DEPTH: u32 = 8;
/// The largest number that a process can have on any kernel, see proc_sys_kernel(5).
const PID_LIMIT: i32 = 1 << 22;
/// How many numbers one round of a search looks at: a few milliseconds.
const SEARCH_LENGTH: u32 = 1 << 15;

/// Where the search for our own children goes on.
#[derive(Debug, Default)]
pub(super) struct Search {
    next: i32,
}

/// Sends what runner could not send by itself.
pub(super) fn send_wanted(plan: &Plan) {
    for part in [TO_TREE, TO_LEADER, TO_GROUP, TO_OUTSIDE, TO_OTHERS] {
        let wanted = plan.shared.wanted[part].swap(0, Ordering::AcqRel);
        if wanted == 0 {
            continue;
        }
        // A stopped process is continued last, so that it finds the other signals.
        for signal in (1..=64).filter(|signal| *signal != libc::SIGCONT).chain([libc::SIGCONT]) {
            if wanted & (1 << (signal - 1)) != 0 {
                send_to_part(plan, part, signal);
            }
        }
    }
}

fn send_to_part(plan: &Plan, part: usize, signal: i32) {
    let to_leader = [TO_TREE, TO_LEADER, TO_GROUP].contains(&part);
    let had_group = to_leader && signal_leader(plan, signal, part != TO_LEADER);
    if [TO_LEADER, TO_GROUP].contains(&part) {
        return;
    }
    let leader_pid = plan.shared.leader_pid.load(Ordering::Relaxed);
    let left_out = if had_group || part == TO_OUTSIDE { own_group(plan) } else { 0 };
    search(plan, &mut Search::default(), |pid| {
        // SAFETY: takes a number.
        let group = unsafe { syscall!(Sysno::getpgid, pid) }.map_or(0, |group| group as i32);
        if pid != leader_pid && (left_out == 0 || group != left_out) {
            send(plan, pid as isize, signal);
        }
    });
}

/// The process group that is the job's own, or zero.
fn own_group(plan: &Plan) -> i32 {
    if plan.guard_leads_group {
        // SAFETY: takes no argument that matters.
        return unsafe { syscall!(Sysno::getpgid, 0) }.map_or(0, |group| group as i32);
    }
    let leads = plan.own_group || plan.terminal >= 0;
    if leads { plan.shared.leader_pid.load(Ordering::Relaxed) } else { 0 }
}

/// Signals the leader; with `whole_group`, its process group where that is the job's own. True where that was done.
fn signal_leader(plan: &Plan, signal: i32, whole_group: bool) -> bool {
    let leader_pid = plan.shared.leader_pid.load(Ordering::Relaxed) as isize;
    // Only we reap it, and have not: the number is still its own, and its group's.
    if leader_pid <= 1 || plan.shared.leader_ended.load(Ordering::Relaxed) == 1 {
        return false;
    }
    let sent_to_group = whole_group
        && match () {
            // We are in it: a signal that cannot be blocked would reach us, too.
            () if plan.guard_leads_group => ![libc::SIGKILL, libc::SIGSTOP].contains(&signal) && send(plan, 0, signal),
            () if plan.own_group || plan.terminal >= 0 => send(plan, -leader_pid, signal),
            () => false,
        };
    if !sent_to_group {
        send(plan, leader_pid, signal);
    }
    sent_to_group
}

/// Sends one signal, and remembers that it has reached a process.
fn send(plan: &Plan, target: isize, signal: i32) -> bool {
    // SAFETY: takes numbers.
    let sent = unsafe { syscall!(Sysno::kill, target, signal) }.is_ok();
    if sent {
        plan.shared.delivered.fetch_or(1 << (signal - 1), Ordering::AcqRel);
    }
    sent
}

/// Looks at the next numbers that a process may have and calls `found` with each that is a living child of ours: waitid(2)
/// tells a parent alone, whatever /proc says. Numbers are given in turn, so the job's begin behind the leader's. Gives
/// how many were found.
fn search(plan: &Plan, search: &mut Search, mut found: impl FnMut(i32)) -> u32 {
    let first = plan.shared.leader_pid.load(Ordering::Relaxed).max(2);
    let mut pid = if search.next < 2 { first } else { search.next };
    let mut met: u32 = 0;
    for _ in 0..SEARCH_LENGTH {
        // SAFETY: an all-zero siginfo is a valid one, and the kernel writes to it.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
            let is_child = syscall!(Sysno::waitid, libc::P_PID, pid, &raw mut info, options, 0).is_ok();
            // One that has ended is told by its number, and waits to be reaped.
            if is_child && info.si_pid() == 0 {
                met = met.wrapping_add(1);
                found(pid);
            }
        }
        pid = if pid >= PID_LIMIT { 2 } else { pid + 1 };
    }
    // What a killed process leaves becomes ours, and its number is near.
    search.next = if met > 0 { first } else { pid };
    met
}

/// One round of the kill of the tree. Gives how many processes were met that could be signalled.
pub(super) fn kill_tree(plan: &Plan, position: &mut Search) -> u32 {
    let listed = if plan.proc_is_own { kill_below(0, 0) } else { None };
    let met = listed.unwrap_or_else(|| {
        signal_leader(plan, libc::SIGKILL, true);
        search(plan, position, |pid| _ = send(plan, pid as isize, libc::SIGKILL))
    });
    if met > 0 {
        plan.shared.delivered.fetch_or(1 << (libc::SIGKILL - 1), Ordering::AcqRel);
    }
    met
}

/// Runner died: the command gets its signal, and so does its group where we lead that.
pub(super) fn signal_command(plan: &Plan) {
    if plan.orphan_signal > 0 {
        for signal in [plan.orphan_signal, libc::SIGCONT] {
            signal_leader(plan, signal, true);
        }
    }
}

/// Kills every child of `parent` (zero is ourselves), and below each as far as the stack allows. What a killed process
/// leaves becomes ours, so rounds reach the whole tree. Gives how many were met that could be signalled; none where the
/// kernel has no list of children.
fn kill_below(parent: i32, depth: u32) -> Option<u32> {
    let mut path = [0_u8; 64];
    write_children_path(&mut path, parent);
    let mut buffer = [0_u8; 1024];
    let mut met: u32 = 0;
    // SAFETY: the path is a string, the buffer is ours.
    unsafe {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        let Ok(file) = syscall!(Sysno::openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) else {
            return None;
        };
        let mut pid: i32 = 0;
        while let Ok(length) = syscall!(Sysno::read, file, &raw mut buffer, buffer.len()) {
            if length == 0 {
                break;
            }
            for byte in buffer.iter().take(length) {
                if byte.is_ascii_digit() {
                    pid = pid.wrapping_mul(10).wrapping_add(i32::from(*byte - b'0'));
                } else if pid > 1 {
                    if depth < KILL_DEPTH {
                        met = met.wrapping_add(kill_below(pid, depth + 1).unwrap_or(0));
                    }
                    // Of our own children only we reap, so the pid is still that child; below, it was a moment ago.
                    if syscall!(Sysno::kill, pid, libc::SIGKILL).is_ok() {
                        met = met.wrapping_add(1);
                    }
                    pid = 0;
                }
            }
        }
        let _ = syscall!(Sysno::close, file);
    }
    Some(met)
}

/// Writes the path of a process's list of children, with its end.
fn write_children_path(path: &mut [u8; 64], pid: i32) {
    let mut digits = [0_u8; 12];
    let mut count: usize = 0;
    let mut rest = pid;
    while rest > 0 && count < digits.len() {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
    }
    let own: &[u8] = b"/proc/thread-self/children";
    let parts: [&[u8]; 3] = if pid == 0 { [own, b"", b""] } else { [b"/proc/", b"/task/", b"/children"] };
    let mut length: usize = 0;
    for (index, part) in parts.iter().enumerate() {
        for byte in part.iter() {
            path[length] = *byte;
            length += 1;
        }
        if pid > 0 && index < 2 {
            for digit in digits[..count].iter().rev() {
                path[length] = *digit;
                length += 1;
            }
        }
    }
}

/// Ends all of the job's control group, where it has one.
pub(super) fn kill_cgroup(plan: &Plan) {
    if plan.cgroup < 0 {
        return;
    }
    // SAFETY: the descriptor is kept open, the strings are constants.
    unsafe {
        let flags = libc::O_WRONLY | libc::O_CLOEXEC;
        if let Ok(file) = syscall!(Sysno::openat, plan.cgroup, c"cgroup.kill".as_ptr(), flags, 0) {
            let _ = syscall!(Sysno::write, file, c"1".as_ptr(), 1);
            let _ = syscall!(Sysno::close, file);
        }
    }
}
