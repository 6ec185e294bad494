//! Cgroups that runner makes are removed again: its own at the end, those of a killed runner by the next run.

use std::fs;

use crate::support::{Exec, OwnCgroup, Rung, SOON, exec, wait_until};

fn in_cgroup(own: &OwnCgroup, options: &str) -> Exec {
    exec(options).rung(Rung::Cgroup).with(|command| own.adopt(command))
}

fn assert_clean(own: &OwnCgroup, after: &str) {
    assert!(own.children().is_empty(), "after {after}: {:?}", own.children());
}

#[test]
fn no_cgroup_remains_after_any_end() {
    let Some(own) = OwnCgroup::new() else { return };
    in_cgroup(&own, "").victim("exit 0").run().assert_code(0);
    assert_clean(&own, "a success");
    in_cgroup(&own, "").victim("exit 3").run().assert_code(3);
    assert_clean(&own, "a failure");
    in_cgroup(&own, "").victim("raise 15").run().assert_code(143);
    assert_clean(&own, "a death by signal");
    in_cgroup(&own, "--timeout 0.3 --grace 0.2").victim("stay fork-chain 2").run().assert_code(124);
    assert_clean(&own, "a timeout");
    in_cgroup(&own, "").job(["/nonexistent/command"]).run().assert_code(127);
    assert_clean(&own, "a start that failed");
    in_cgroup(&own, "--leftovers kill --grace 0.2").victim("leave ignore-all").run().assert_code(0);
    assert_clean(&own, "leftovers that were ended");
    let mut run = in_cgroup(&own, "--grace 0.2").victim("deep-sessions 5").start();
    run.wait_until_ready();
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143);
    assert_clean(&own, "a cancel");
    let done = in_cgroup(&own, "").victim("leave fork-chain 5").run();
    done.assert_code(0);
    assert_clean(&own, "leftovers that were left");
    done.lifeline.end_holders();
}

#[test]
fn a_running_job_is_in_a_cgroup_of_its_own() {
    let Some(own) = OwnCgroup::new() else { return };
    let mut run = in_cgroup(&own, "").victim("setsid-child").start();
    run.wait_until_ready();
    let children = own.children();
    assert_eq!(children.len(), 1, "{children:?}");
    let inside = fs::read_to_string(children[0].join("cgroup.procs")).expect("its processes");
    assert!(inside.lines().count() >= 2 && inside.lines().all(|pid| pid != run.pid().to_string()), "{inside:?}");
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143).assert_tree_dead();
}

#[test]
fn the_next_run_removes_the_cgroup_of_a_killed_runner() {
    let Some(own) = OwnCgroup::new() else { return };
    let mut run = in_cgroup(&own, "").victim("deep-sessions 5").start();
    run.wait_until_ready();
    run.signal(libc::SIGKILL);
    run.finish().assert_died_of(libc::SIGKILL).assert_tree_dead();
    in_cgroup(&own, "").victim("exit 0").run().assert_code(0);
    wait_until(SOON, "no cgroup of a dead owner is left", || own.children().is_empty());
}

/// Also where the guard was killed with its runner, so that processes still live in there.
#[test]
fn the_next_run_ends_what_lives_in_the_cgroup_of_a_dead_owner() {
    let Some(own) = OwnCgroup::new() else { return };
    let mut run = in_cgroup(&own, "").victim("sleep").start();
    run.wait_until_ready();
    let folder = own.children().pop().expect("a cgroup of the job");
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143).assert_tree_dead();
    // The same again, as a runner leaves it that dies together with its guard: nobody holds the lock.
    fs::create_dir(&folder).expect("a cgroup");
    let squatter = crate::support::Load::start();
    fs::write(folder.join("cgroup.procs"), squatter.pid().to_string()).expect("a move");
    in_cgroup(&own, "").victim("exit 0").run().assert_code(0);
    wait_until(SOON, "it is ended", || !crate::support::is_alive(squatter.pid()));
    wait_until(SOON, "its cgroup is removed", || own.children().is_empty());
}

#[test]
fn the_cgroup_of_a_living_runner_is_left_alone() {
    let Some(own) = OwnCgroup::new() else { return };
    let mut run = in_cgroup(&own, "--timeout 50").victim("sleep").start();
    run.wait_until_ready();
    for _ in 0..3 {
        in_cgroup(&own, "").victim("exit 0").run().assert_code(0);
    }
    assert_eq!(own.children().len(), 1, "{:?}", own.children());
    assert!(!run.has_ended() && !run.lifeline().is_dead());
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143).assert_tree_dead();
    assert_clean(&own, "all");
}

/// A job may make cgroups below its own; they go with it.
#[test]
fn a_cgroup_that_the_job_made_goes_too() {
    let Some(own) = OwnCgroup::new() else { return };
    let line = "here=$(for d in \"$OWN\"/*/; do echo \"$d\"; done); \
                mkdir \"$here/inner\" && echo 0 >\"$here/inner/cgroup.procs\"; echo inside; exec \"$VICTIM\" ignore-term";
    let done = in_cgroup(&own, "--timeout 0.8 --grace 0.2").env("OWN", own.folder()).sh(line).run();
    done.assert_code(124).assert_tree_dead();
    assert_clean(&own, "a timeout of a job with a cgroup inside");
}

#[test]
fn the_walk_makes_no_cgroup() {
    let Some(own) = OwnCgroup::new() else { return };
    let mut run = exec("").rung(Rung::Walk).with(|command| own.adopt(command)).victim("sleep").start();
    run.wait_until_ready();
    assert_clean(&own, "the start");
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143).assert_tree_dead();
}
