//! Who reads our output may be slow, may never read, or may go away: no deadline waits for it, and no byte of a job
//! that ended by itself is lost by it.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::support::{Rung, SOON, exec, flood_pattern, folder, is_nonblocking, pipe, seconds, wait_until};

on_both_rungs! {
    /// After a stop, what the reader has not taken within a second is dropped and counted.
    fn one_that_never_reads_delays_no_deadline_and_no_answer(rung) {
        let run = exec("--timeout 0.5 --grace 0.2").rung(rung).leave_stdout_unread().victim("flood 0").start();
        let done = run.finish();
        done.assert_code(124).assert_took_between(seconds(0.5), SOON).assert_tree_dead();
        let answer = done.answer();
        assert_eq!(answer["error"]["details"]["reason"], "total");
        let partial = &answer["error"]["details"]["partial_result"];
        assert!(partial["stdout_undelivered_bytes"].as_u64().is_some_and(|count| count > 0), "{answer:.1000}");
    }

    fn each_byte_is_delivered_or_counted(rung) {
        accounts_for_every_byte(rung, "--timeout 0.5 --grace 0.2");
    }

    fn each_byte_is_delivered_or_counted_with_a_log(rung) {
        accounts_for_every_byte(rung, "--timeout 0.5 --grace 0.2 --log /dev/null");
    }

    fn one_that_never_reads_delays_no_cancel(rung) {
        let mut run = exec("--grace 0.2").rung(rung).leave_stdout_unread().sh("echo ready >&2; exec yes").start();
        run.wait_for_stderr("ready\n");
        run.signal(libc::SIGTERM);
        run.finish().assert_code(143).assert_took_between(seconds(0.0), SOON).assert_tree_dead();
    }

    fn one_that_never_reads_delays_no_kill_of_runner(rung) {
        let mut run = exec("").rung(rung).leave_stdout_unread().sh("echo ready >&2; exec yes").start();
        run.wait_for_stderr("ready\n");
        run.signal(libc::SIGKILL);
        run.finish().assert_tree_dead();
    }

    fn one_that_goes_away_ends_the_job_in_silence(rung) {
        let mut run = exec("--timeout 20").rung(rung).leave_stdout_unread().job(["yes"]).start();
        run.read_some(2);
        run.close_stdout();
        let done = run.finish();
        done.assert_code(141).assert_silent().assert_took_between(seconds(0.0), SOON).assert_tree_dead();
    }
}

/// What was written is what the reader can still take and what was dropped, to the byte.
fn accounts_for_every_byte(rung: Rung, options: &str) {
    let mut run = exec(options).rung(rung).leave_stdout_unread().victim("flood 0").start();
    wait_until(SOON, "an end", || run.has_ended());
    run.read_on();
    let done = run.finish();
    done.assert_code(124).assert_tree_dead();
    let answer = done.answer();
    let partial = &answer["error"]["details"]["partial_result"];
    let (written, dropped) = (&partial["stdout_bytes"], &partial["stdout_undelivered_bytes"]);
    assert_eq!(written.as_u64(), dropped.as_u64().map(|dropped| dropped + done.stdout.len() as u64), "{partial:.300}");
    assert!(done.stdout == flood_pattern(done.stdout.len(), 1), "what was delivered is the beginning, unchanged");
}

on_both_rungs! {
    /// A socket is no pipe: bytes wait in our own memory there, and are counted all the same.
    fn a_socket_that_nobody_reads_is_accounted_for(rung) {
        let (mut near, far) = UnixStream::pair().expect("a pair of sockets");
        let run = exec("--timeout 0.5 --grace 0.2").rung(rung).stdout_to(OwnedFd::from(far)).victim("flood 0");
        let done = run.run();
        done.assert_code(124).assert_took_between(seconds(0.5), SOON).assert_tree_dead();
        let mut delivered = Vec::new();
        near.read_to_end(&mut delivered).expect("a socket");
        let answer = done.answer();
        let partial = &answer["error"]["details"]["partial_result"];
        let dropped = partial["stdout_undelivered_bytes"].as_u64().expect("a count");
        assert_eq!(partial["stdout_bytes"].as_u64(), Some(dropped + delivered.len() as u64), "{partial:.300}");
        assert!(delivered == flood_pattern(delivered.len(), 1), "what was delivered is the beginning, unchanged");
    }
}

#[test]
fn a_pipeline_with_head_ends_in_silence() {
    let line = "{ \"$RUN\" exec -- yes; echo \"code $?\" >&2; } | head -n 2";
    let done = exec("").env("RUN", env!("CARGO_BIN_EXE_runner")).sh(line).run();
    done.assert_code(0).assert_tree_dead();
    assert_eq!(done.stdout_text(), "y\ny\n");
    assert_eq!(done.stderr_text(), "code 141\n");
}

#[test]
fn a_job_that_handles_the_broken_pipe_may_end_as_it_likes() {
    let line = "trap '' PIPE; while echo line 2>/dev/null; do :; done; exit 5";
    let mut run = exec("--timeout 20").leave_stdout_unread().sh(line).start();
    run.read_some(1);
    run.close_stdout();
    run.finish().assert_code(5).assert_silent().assert_tree_dead();
}

#[test]
fn a_job_that_writes_no_more_is_not_ended_by_a_reader_that_went_away() {
    let mut run = exec("").leave_stdout_unread().sh("echo one; echo going >&2; sleep 0.3; exit 6").start();
    run.wait_for_stderr("going");
    run.close_stdout();
    run.finish().assert_code(6).assert_tree_dead();
}

#[test]
fn a_report_tells_of_the_broken_pipe() {
    let folder = folder();
    let path = folder.path().join("answer.json");
    let mut run = exec("--report").arg(&path).leave_stdout_unread().job(["yes"]).start();
    run.read_some(2);
    run.close_stdout();
    run.finish().assert_code(141).assert_silent();
    let report = crate::support::parse(fs::read_to_string(path).expect("a report").trim_end());
    assert_eq!(report["error"]["code"], "COMMAND_FAILED");
    assert_eq!(report["error"]["details"]["signal"], "PIPE");
}

#[test]
fn nobody_to_read_an_answer_is_no_error_of_ours() {
    let (read, write) = pipe();
    drop(read);
    exec("--json").stdout_to(write).victim("exit 0").run().assert_silent().assert_tree_dead();
    let (read, write) = pipe();
    drop(read);
    let done = exec("--timeout 0.3 --grace 0.1").stderr_to(write).victim("sleep").run();
    done.assert_code(124).assert_tree_dead();
    assert_eq!(done.stdout_text(), "ready\n");
}

/// The deadline passes while it reads: the job has ended by then, so nothing is cut.
#[test]
fn a_slow_reader_gets_every_byte_of_a_job_that_ended_by_itself() {
    let size = 120_000;
    let folder = folder();
    let mark = folder.path().join("written");
    let line = format!("\"$VICTIM\" flood {size}; echo written >\"$MARK\"");
    let mut run = exec("--timeout 1.5").leave_stdout_unread().env("MARK", &mark).sh(&line).start();
    wait_until(SOON, "the job has written all", || mark.exists());
    let written = run.elapsed();
    run.wait_until("the deadline and the time for a stopped job to pass", |run| run.elapsed() > written + seconds(2.0));
    for _ in 0..10 {
        run.read_some(4096);
    }
    run.read_on();
    let done = run.finish();
    done.assert_code(0).assert_silent().assert_tree_dead();
    assert!(done.stdout == flood_pattern(size, 1), "every byte arrived ({} of {size})", done.stdout.len());
}

/// It would change our caller's descriptors too, which are the same open files.
#[test]
fn our_caller_s_descriptors_stay_blocking() {
    let (input_read, input_write) = pipe();
    let (output_read, output_write) = pipe();
    let (errors_read, errors_write) = pipe();
    let ours = [&input_read, &output_write, &errors_write].map(|fd| fd.try_clone().expect("a second descriptor"));
    let mut run = exec("--timeout 20")
        .with(|command| {
            command.stdin(input_read);
        })
        .stdout_to(output_write)
        .stderr_to(errors_write)
        .victim("sleep 400")
        .start();
    while !run.has_ended() {
        ours.iter().for_each(|fd| assert!(!is_nonblocking(fd), "while it runs"));
        run.wait_a_little();
    }
    ours.iter().for_each(|fd| assert!(!is_nonblocking(fd), "afterwards"));
    run.finish().assert_code(0);
    drop((input_write, output_read, errors_read));
}
