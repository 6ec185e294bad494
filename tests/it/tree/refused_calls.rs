//! Below a sandbox that refuses one system call or another a job is stopped as everywhere, and the answer says by what.

#![expect(clippy::disallowed_methods, reason = "a test starts a program")]

use std::path::Path;
use std::process::Command;

use crate::support::{Exec, Rung, exec_with, runner_at, seconds, skip, strings, victim_path};

/// `runner exec` for which these calls fail with this error; none where no filter can be installed, which is recorded.
fn exec_without(calls: &[libc::c_long], errno: i32, options: &str) -> Option<Exec> {
    let victim = victim_path();
    let probe = Command::new(&victim).args(["refuse", "4095", "1", "/bin/true"]).env_clear().status();
    if probe.is_ok_and(|status| status.code() == Some(77)) {
        skip("seccomp", "no seccomp filter can be installed");
        return None;
    }
    let mut command = runner_at(&victim);
    for (index, call) in calls.iter().enumerate() {
        if index > 0 {
            command.arg(&victim);
        }
        command.args(["refuse", &call.to_string(), &errno.to_string()]);
    }
    command.arg(Path::new(env!("CARGO_BIN_EXE_runner")));
    Some(exec_with(command, options))
}

const ERRORS: [i32; 3] = [libc::EPERM, libc::ENOSYS, libc::EINVAL];

/// The leader obeys TERM in its own way, its child does not: both signals arrive, and the answer says so.
fn is_stopped(rung: Rung, calls: &[libc::c_long]) {
    for errno in ERRORS {
        let Some(run) = exec_without(calls, errno, "--timeout 1 --grace 0.3") else { return };
        let line = "trap 'echo obeyed; exit 3' TERM; \"$VICTIM\" ignore-term-child & while :; do sleep 0.05; done";
        let done = run.rung(rung).sh(line).run();
        done.assert_took_between(seconds(1.0), seconds(10.0)).assert_tree_dead();
        assert!(String::from_utf8_lossy(&done.stdout).contains("obeyed"), "{errno}: {done:?}");
        let answer = done.answer();
        let termination = &answer["error"]["details"]["termination"];
        assert_eq!(strings(&termination["signals"]), ["TERM", "KILL"], "{errno}: {answer}");
        assert_eq!(termination["exit_code"], 3, "{errno}: {answer}");
        assert_eq!(termination["containment"], rung.word(), "{errno}: {answer}");
        assert_eq!(termination["survivors"], serde_json::json!([]), "{errno}: {answer}");
    }
}

macro_rules! without {
    ($($name:ident: $($call:ident)*;)*) => {
        $(on_both_rungs! {
            fn $name(rung) {
                is_stopped(rung, &[$(libc::$call),*]);
            }
        })*
    };
}

without! {
    without_clone3: SYS_clone3;
    without_pidfd_open: SYS_pidfd_open;
    without_pidfd_send_signal: SYS_pidfd_send_signal;
    without_any_handle: SYS_pidfd_open SYS_pidfd_send_signal;
    without_close_range: SYS_close_range;
    without_close_range_and_unshare: SYS_close_range SYS_unshare;
    without_waitid: SYS_waitid;
    without_openat2: SYS_openat2;
    without_faccessat2: SYS_faccessat2;
    without_statx: SYS_statx;
    without_timerfd: SYS_timerfd_create;
    without_kcmp: SYS_kcmp;
}

on_both_rungs! {
    /// The kernel makes no subreaper: what leaves the tree is killed where it was seen, and whether that is all is known to a control
    /// group alone.
    fn without_prctl(rung) {
        for errno in ERRORS {
            let Some(run) = exec_without(&[libc::SYS_prctl], errno, "--timeout 1 --grace 0.3") else { return };
            let done = run.rung(rung).victim("ignore-term-child").run();
            done.assert_took_between(seconds(1.0), seconds(10.0)).assert_tree_dead();
            let answer = done.answer();
            let termination = &answer["error"]["details"]["termination"];
            assert_eq!(strings(&termination["signals"]), ["TERM", "KILL"], "{errno}: {answer}");
            // A control group tells whether it is empty; a killed process is in it for a moment longer.
            let is_known = rung == Rung::Cgroup && termination["survivors"] == serde_json::json!([]);
            assert!(is_known || termination["survivors"].is_null(), "{errno}: {answer}");
        }
    }

    fn a_tree_dies_with_runner_without_handles(rung) {
        let calls = [libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal, libc::SYS_clone3];
        let Some(run) = exec_without(&calls, libc::ENOSYS, "--timeout 50") else { return };
        let mut run = run.rung(rung).victim("deep-sessions 4").start();
        run.wait_until_ready();
        run.signal(libc::SIGKILL);
        run.finish().assert_died_of(libc::SIGKILL).assert_tree_dead();
    }
}

/// qemu-user makes threads and copies of a process, and nothing in between.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_job_is_stopped_below_qemu_user() {
    if !crate::support::has_program("qemu-x86_64-static") {
        return;
    }
    for rung in [Rung::Walk, Rung::Cgroup] {
        if rung == Rung::Cgroup && crate::support::cgroup_or_reason_to_skip().is_none() {
            continue;
        }
        let mut command = runner_at(Path::new("qemu-x86_64-static"));
        command.arg(env!("CARGO_BIN_EXE_runner"));
        let line = "trap 'echo obeyed; exit 3' TERM; echo begun; while :; do sleep 0.05; done";
        let done = exec_with(command, "--timeout 1 --grace 20").rung(rung).sh(line).run();
        done.assert_code(124).assert_tree_dead();
        assert_eq!(String::from_utf8_lossy(&done.stdout), "begun\nobeyed\n");
        let answer = done.answer();
        assert_eq!(answer["error"]["details"]["termination"]["exit_code"], 3, "{answer}");
        assert_eq!(strings(&answer["error"]["details"]["termination"]["signals"]), ["TERM"], "{answer}");
        assert_eq!(answer["error"]["details"]["partial_result"]["stdout"], "begun\nobeyed\n", "{answer}");
    }
}

/// A signal that no process could be sent is in no answer.
#[test]
fn what_is_not_delivered_is_not_said() {
    let Some(run) =
        exec_without(&[libc::SYS_pidfd_send_signal, libc::SYS_kill], libc::EPERM, "--timeout 1 --grace 0.1")
    else {
        return;
    };
    let done = run.rung(Rung::Walk).job(["sleep", "6"]).run();
    let answer = done.answer();
    let termination = &answer["error"]["details"]["termination"];
    assert_eq!(strings(&termination["signals"]), [""; 0], "{answer}");
    assert_ne!(termination["survivors"], serde_json::json!([]), "{answer}");
}
