//! Much output in constant memory, and none of it lost when the job ends at once on a busy machine.

use crate::support::{Exec, Load, exec, flood_pattern, status_kib};

/// Enough to fill every window and to widen every pipe.
const LITTLE: u64 = 2;
const MUCH: u64 = 256;
/// What much output may take more than little, in KiB. The program itself, of which a test's build is large, is in both.
const GROWTH: u64 = 4 * 1024;

/// Lets so many MiB pass and gives the largest resident size of runner, in KiB, read while it still runs.
fn peak(run: Exec, mebibytes: u64) -> u64 {
    let line = format!("head -c {mebibytes}M /dev/zero; echo passed >>\"$MARK\"; exec sleep 50");
    let place = crate::support::folder();
    let mark = place.path().join("mark");
    let mut run = run.env("MARK", &mark).sh(&line).start();
    run.wait_until("all to pass", |_| mark.exists());
    let peak = status_kib(run.pid(), "VmHWM").expect("its status");
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143).assert_tree_dead();
    peak
}

#[track_caller]
fn assert_constant(run: impl Fn() -> Exec) {
    let (little, much) = (peak(run(), LITTLE), peak(run(), MUCH));
    assert!(much < little + GROWTH, "{little} KiB with {LITTLE} MiB, {much} KiB with {MUCH} MiB");
}

#[test]
fn memory_is_constant_in_pass_through() {
    assert_constant(|| exec("").count_stdout());
}

#[test]
fn memory_is_constant_with_json() {
    assert_constant(|| exec("--json"));
}

#[test]
fn memory_is_constant_with_a_log_and_a_report() {
    assert_constant(|| exec("--log /dev/null --report /dev/null").count_stdout());
}

#[test]
fn memory_is_constant_with_retries() {
    assert_constant(|| exec("--retries 1").count_stdout());
}

/// The output of an attempt that may be retried is held in a file until the attempt ends.
#[test]
fn every_byte_of_an_attempt_is_delivered_after_its_end() {
    let length = 100 << 20;
    let done = exec("--retries 1").victim(&format!("flood {length}")).run();
    done.assert_code(0).assert_silent();
    assert!(done.stdout == flood_pattern(length, 1), "{} bytes of {length}", done.stdout.len());
}

#[test]
fn memory_is_constant_while_nobody_reads() {
    let little = peak(exec("").count_stdout(), LITTLE);
    let mut run = exec("--timeout 40").leave_stdout_unread().sh("echo ready >&2; exec cat /dev/zero").start();
    run.wait_for_stderr("ready");
    run.wait_until("a while to pass", |run| run.elapsed() > crate::support::seconds(1.0));
    let peak = status_kib(run.pid(), "VmHWM").expect("its status");
    run.signal(libc::SIGKILL);
    run.finish().assert_tree_dead();
    assert!(peak < little + GROWTH, "{little} KiB, and {peak} KiB while nobody reads");
}

#[test]
fn every_byte_that_passes_is_counted() {
    let place = crate::support::folder();
    let path = place.path().join("answer.json");
    let done = exec("--report").arg(&path).count_stdout().job(["head", "-c", "64M", "/dev/zero"]).run();
    done.assert_code(0).assert_silent();
    assert_eq!(done.stdout_count, 64 << 20);
    let answer = crate::support::parse(std::fs::read_to_string(path).expect("a report").trim_end());
    assert_eq!(answer["data"]["stdout_bytes"].as_u64(), Some(64 << 20));
    assert_eq!(answer["data"]["stdout_omitted_bytes"].as_u64(), Some((64 << 20) - (256 << 10)));
}

#[test]
fn two_mebibytes_and_an_end_at_once_lose_nothing_under_load() {
    let _load: Vec<Load> = (0..3).map(|_| Load::start()).collect();
    let expected = flood_pattern(1 << 21, 1);
    for round in 0..200 {
        let done = exec("--timeout 30").victim("flood 2097152").run();
        done.assert_code(0).assert_silent();
        assert!(done.stdout == expected, "round {round}: {} bytes", done.stdout.len());
    }
}
