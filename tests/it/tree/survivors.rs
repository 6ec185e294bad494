//! A process that cannot be signalled is named, and the answer comes all the same.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{
    Exec, Rung, SOON, contains, exec_with, folder, is_alive, is_root, runner_at, seconds, set_mode, signal,
};

/// Runner as a user who may not signal the job, and a program for the job that makes itself root. The folder keeps both.
fn powerless(options: &str) -> Option<(Exec, PathBuf, TempDir)> {
    if !is_root() {
        crate::support::skip("root", "only root can make a program that becomes another user");
        return None;
    }
    let place = folder();
    set_mode(place.path(), 0o755);
    let (program, victim) = (place.path().join("copy-of-runner"), place.path().join("victim"));
    crate::support::copy_program(Path::new(env!("CARGO_BIN_EXE_runner")), &program);
    crate::support::copy_program(&crate::support::victim_path(), &victim);
    set_mode(&victim, 0o4755);
    let mut command = runner_at(&program);
    command.current_dir("/");
    crate::support::become_nobody(&mut command);
    Some((exec_with(command, options).rung(Rung::Walk), victim, place))
}

const NO_SETUID: &str = "programs cannot become root in this folder (nosuid)";

#[test]
fn a_process_of_another_user_is_named_in_survivors() {
    let Some((run, victim, _place)) = powerless("--grace 0.2") else { return };
    let mut run = run.job([victim.as_os_str(), "become-root".as_ref()]).start();
    run.wait_for_stdout("\n");
    if contains(run.stdout(), b"not root") {
        return crate::support::skip("setuid programs", NO_SETUID);
    }
    run.signal(libc::SIGTERM);
    let done = run.finish();
    done.assert_code(143).assert_took_between(seconds(0.2), SOON);
    let answer = done.answer();
    let termination = &answer["error"]["details"]["termination"];
    let survivors = termination["survivors"].as_array().expect("survivors");
    assert_eq!(survivors.len(), 1, "{answer:#}");
    let pid = i32::try_from(survivors[0]["pid"].as_i64().expect("a pid")).expect("a pid");
    assert_eq!(survivors[0]["uid"], 0, "with whose it is: {survivors:?}");
    assert!(survivors[0]["command"].as_str().is_some_and(|text| text.contains("become-root")), "{survivors:?}");
    assert_eq!(crate::support::strings(&termination["signals"]), [""; 0], "none could be delivered");
    assert!(is_alive(pid), "it could not be signalled");
    signal(pid, libc::SIGKILL);
    done.assert_tree_dead();
}

/// The rest of the tree is ended, though one of it cannot be.
#[test]
fn the_others_are_ended_all_the_same() {
    let Some((run, victim, _place)) = powerless("--timeout 0.8 --grace 0.2 --json") else { return };
    let line = "\"$RISEN\" become-root & \"$RISEN\" become-root & sleep 50 & sleep 50 & wait; wait; wait; wait";
    let done = run.env("RISEN", &victim).job(["sh", "-c", line]).run();
    done.assert_code(124).assert_took_between(seconds(0.8), SOON);
    let answer = done.json();
    let details = &answer["error"]["details"];
    if details["partial_result"]["stdout"] == "not root\nnot root\n" {
        return crate::support::skip("setuid programs", NO_SETUID);
    }
    let survivors = details["termination"]["survivors"].as_array().expect("survivors");
    let mut pids: Vec<i32> =
        survivors.iter().filter_map(|row| row["pid"].as_i64()).filter_map(|pid| i32::try_from(pid).ok()).collect();
    pids.sort_unstable();
    assert_eq!(pids.len(), 2, "{answer:#}");
    crate::support::wait_until(SOON, "only those two live", || {
        let mut holders = done.lifeline.holders();
        holders.sort_unstable();
        holders == pids
    });
    pids.iter().for_each(|pid| signal(*pid, libc::SIGKILL));
    done.assert_tree_dead();
}
