//! Processes beside runner: their state, signals to them, and how one starts out.

#![expect(unsafe_code, reason = "signals and limits have no safe form in the standard library")]
#![expect(clippy::disallowed_methods, reason = "tests start processes and read the clock themselves")]

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::run::{clean, victim_path};

/// A process that only uses the CPU, until this is dropped.
pub(crate) struct Load(Child);

impl Load {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(victim_path());
        clean(&mut command);
        Self(command.arg("burn").stdout(Stdio::null()).spawn().expect("a load starts"))
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: i32, number: i32) {
    assert!(pid > 1, "a single process is meant");
    // SAFETY: takes numbers only.
    unsafe { libc::kill(pid, number) };
}

/// Whether the process exists and is no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    state_of(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Its state letter, as in proc(5).
pub(crate) fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// A value of /proc/PID/status, in kibibytes.
pub(crate) fn status_kib(pid: i32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(&format!("{field}:")))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Whether we may act as other users.
pub(crate) fn is_root() -> bool {
    // SAFETY: takes nothing.
    unsafe { libc::geteuid() == 0 }
}

/// The uid of `nobody` on most systems. It needs no entry in /etc/passwd.
pub(crate) const NOBODY: u32 = 65534;

/// The command will run as a user who owns nothing.
pub(crate) fn become_nobody(command: &mut Command) {
    command.uid(NOBODY).gid(NOBODY);
}

/// The command will ignore these signals.
pub(crate) fn start_ignoring(command: &mut Command, signals: &'static [i32]) {
    // SAFETY: signal(2) is safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for number in signals {
                libc::signal(*number, libc::SIG_IGN);
            }
            Ok(())
        });
    }
}

/// The command will have these signals blocked.
pub(crate) fn start_blocking(command: &mut Command, signals: &'static [i32]) {
    // SAFETY: sigprocmask is safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            for number in signals {
                libc::sigaddset(&mut set, *number);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            Ok(())
        });
    }
}

/// The command, and what descends from it, will leave no core file.
pub(crate) fn without_core_dump(command: &mut Command) {
    // SAFETY: setrlimit is safe between fork and exec, and the limit outlives the call.
    unsafe {
        command.pre_exec(|| {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &none);
            Ok(())
        });
    }
}

/// The command runs below this limit, soft and hard, such as `RLIMIT_NOFILE`.
pub(crate) fn limit_to(command: &mut Command, resource: libc::__rlimit_resource_t, most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: setrlimit is safe between fork and exec, and the limit lives in the closure.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource, &raw const limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}
