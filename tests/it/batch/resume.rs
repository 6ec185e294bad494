//! `runner batch --resume`: whatever ends a batch, it goes on with what was not done, and repeats nothing that was.

#![expect(unsafe_code, reason = "a limit of the length of files is set between fork and exec")]
#![expect(clippy::disallowed_methods, reason = "a test mounts a disk, and draws chance from the clock")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::support::{Exec, Finished, Running, SOON, batch, folder, is_alive, seconds, wait_until};

/// A folder with a list of jobs, a journal, and what the jobs leave.
struct Place {
    folder: tempfile::TempDir,
    journal: PathBuf,
}

impl Place {
    fn new(jobs: &[Value]) -> Self {
        let folder = folder();
        let place = Self { journal: folder.path().join("journal"), folder };
        place.list(jobs);
        place
    }

    fn list(&self, jobs: &[Value]) {
        let lines: String = jobs.iter().map(|job| format!("{job}\n")).collect();
        fs::write(self.path("jobs.jsonl"), lines).expect("a list");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn lines(&self, name: &str) -> usize {
        self.read(name).lines().count()
    }

    /// A first run, with these options.
    fn begin(&self, options: &str) -> Exec {
        self.runner("--journal", options)
    }

    fn resume(&self, options: &str) -> Exec {
        self.runner("--resume", options)
    }

    fn runner(&self, verb: &str, options: &str) -> Exec {
        let run = batch(options).arg("--quiet").arg("--progress=none").arg(verb).arg(&self.journal);
        run.arg(self.path("jobs.jsonl")).with(|command| _ = command.current_dir(self.folder.path()))
    }

    /// The records of the journal, those of all runs. Every line is whole.
    #[track_caller]
    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.journal).expect("a journal");
        assert!(text.ends_with('\n'), "the last line is torn");
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }
}

/// A job that runs this line in a shell.
fn shell(id: &str, line: &str) -> Value {
    json!({"id": id, "shell": line})
}

/// How often each id was started and how it ended, by a journal.
#[derive(Debug, Default)]
struct Account {
    started: usize,
    succeeded: usize,
    /// It began again after a success.
    repeated: bool,
}

fn accounts(records: &[Value]) -> BTreeMap<String, Account> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    for record in records {
        let Some(fingerprint) = record["fingerprint"].as_str() else { continue };
        let account = accounts.entry(record["id"].as_str().unwrap_or(fingerprint).to_owned()).or_default();
        match record["event"].as_str() {
            Some("started") => {
                account.repeated |= account.succeeded > 0;
                account.started += 1;
            }
            Some("finished") => account.succeeded += usize::from(record["verdict"] == "succeeded"),
            _ => {}
        }
    }
    accounts
}

/// The jobs of the kill test: most have an id, and some are equal. Each leaves one line, and a word if it ever runs twice
/// at once.
const NAMED: usize = 36;
const EQUAL: usize = 4;

fn jobs_with_effects() -> Vec<Value> {
    let line = |effect: &str, lock: &str, pause: usize| {
        format!("exec 9>lock.{lock}; flock -n 9 || echo {lock} >>overlaps; sleep 0.0{pause}; echo x >>effect.{effect}")
    };
    let named = (0..NAMED).map(|n| shell(&format!("job{n}"), &line(&n.to_string(), &n.to_string(), n % 5)));
    let equal = (0..EQUAL).map(|_| json!({"shell": "sleep 0.01; echo x >>effect.equal"}));
    named.chain(equal).collect()
}

#[track_caller]
fn assert_complete(place: &Place, what: &str) {
    let records = place.records();
    let mut accounts = accounts(&records);
    let journal = || format!("{what}\n{}", fs::read_to_string(&place.journal).expect("a journal"));
    for n in 0..NAMED {
        let account = accounts.remove(&format!("job{n}")).unwrap_or_default();
        let effects = place.lines(&format!("effect.{n}"));
        assert_eq!(account.succeeded, 1, "job{n} succeeded not once: {}", journal());
        assert!(!account.repeated, "job{n} ran again after its success: {}", journal());
        assert!((1..=account.started).contains(&effects), "job{n} had {effects} effects: {}", journal());
    }
    assert_eq!(accounts.len(), 1, "only the equal jobs are left: {accounts:?}");
    let equal = accounts.into_values().next().expect("the equal jobs");
    let effects = place.lines("effect.equal");
    assert_eq!(equal.succeeded, EQUAL, "{}", journal());
    assert!((EQUAL..=equal.started).contains(&effects), "the equal jobs had {effects} effects: {}", journal());
    assert_eq!(place.read("overlaps"), "", "jobs ran while what was left of them still did: {what}");
}

/// A number as good as chance, from a seed that is printed.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let given = std::env::var("RUNNER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64);
        Self(given.unwrap_or_else(clock).max(1))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

const KILLS: usize = 100;

on_both_rungs! {
    /// Batches are killed and resumed, and the resumed ones killed again, until so many kills hit one that ran.
    fn a_batch_that_is_killed_at_any_instant_does_each_job_once(rung) {
        let mut chance = Chance::new();
        let mut log = format!("RUNNER_TEST_SEED={}", chance.0);
        let mut kills = 0;
        while kills < KILLS {
            let place = Place::new(&jobs_with_effects());
            // They are waited for at the end: what is left of one may still be there while the next one begins.
            let mut killed: Vec<Running> = Vec::new();
            loop {
                let run = if place.journal.exists() { place.resume("-j4") } else { place.begin("-j4") };
                let mut run = run.rung(rung).start();
                let delay = Duration::from_micros(chance.below(250_000));
                let due = Instant::now() + delay;
                while kills < KILLS && Instant::now() < due && !run.has_ended() {
                    run.wait_a_little();
                }
                if kills == KILLS || run.has_ended() {
                    run.finish().assert_code(0).assert_tree_dead();
                    for run in killed {
                        let done = run.finish();
                        done.assert_tree_dead();
                        // The kill may have come too late by a hair.
                        match done.status.success() {
                            true => kills -= 1,
                            false => _ = done.assert_died_of(libc::SIGKILL),
                        }
                    }
                    assert_complete(&place, &log);
                    break;
                }
                run.signal(libc::SIGKILL);
                kills += 1;
                _ = write!(log, " {}us", delay.as_micros());
                killed.push(run);
            }
        }
        say(&log);
    }
}

/// Tells with which chances a test passed.
#[expect(clippy::print_stderr, reason = "shown by the test harness with --nocapture")]
fn say(log: &str) {
    eprintln!("{log}");
}

/// A limit that no file may exceed, as `ulimit -f` sets it.
fn limit_files(command: &mut Command, bytes: u64) {
    // SAFETY: setrlimit takes a number and a struct that lives long enough.
    unsafe {
        command.pre_exec(move || {
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
            match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}

/// Every job had its effect exactly once: none began whose end could not be recorded.
#[track_caller]
fn assert_each_once(place: &Place) {
    assert_complete(place, "");
    for n in 0..NAMED {
        assert_eq!(place.lines(&format!("effect.{n}")), 1, "job{n}");
    }
    assert_eq!(place.lines("effect.equal"), EQUAL);
}

#[track_caller]
fn assert_out_of_room(done: &Finished, reason: &str) {
    done.assert_code(125).assert_tree_dead();
    let told = done.stderr_text();
    assert!(told.contains("journal") && told.contains(reason) && told.contains("--resume"), "{told}");
}

#[test]
fn a_limit_of_the_length_of_files_repeats_nothing() {
    let place = Place::new(&jobs_with_effects());
    let mut limit = 4_000;
    let mut run = place.begin("-j4");
    let mut stops = 0;
    loop {
        let done = run.with(|command| limit_files(command, limit)).run();
        if done.status.success() {
            break;
        }
        assert_out_of_room(&done, "too large");
        stops += 1;
        limit += 4_000;
        run = place.resume("-j4");
    }
    assert!(stops > 2, "the limit was never felt");
    assert_each_once(&place);
}

#[test]
fn an_attempt_whose_start_cannot_be_recorded_leaves_the_end_of_the_one_before() {
    let jobs = [json!({"id": "a", "shell": "exit 3", "retries": 2})];
    let place = Place::new(&jobs);
    place.begin("").run().assert_code(1);
    let journal = place.read("journal");
    let lengths: Vec<u64> = journal.lines().map(|line| line.len() as u64 + 1).collect();
    // The first start fits with the room that is set aside for the ends of the job and of the run, the second does not.
    let limit = lengths[0] + lengths[1] * 3 / 2 + 512 + 3 + 256;
    let place = Place::new(&jobs);
    let done = place.begin("--json").with(|command| limit_files(command, limit)).run();
    assert_out_of_room(&done, "too large");
    let text = done.stdout_text();
    let envelope = crate::support::parse(text.lines().next().expect("the envelope of the job"));
    assert_eq!(envelope["error"]["code"], "COMMAND_FAILED", "{envelope:#}");
    assert_eq!(envelope["error"]["details"]["exit_code"], 3);
}

/// A small disk of memory, where we may mount one.
struct Disk(PathBuf);

impl Disk {
    fn new(folder: &Path, size: &str) -> Option<Self> {
        let path = folder.join("disk");
        fs::create_dir(&path).expect("a folder");
        let mounted = Self::mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], &path);
        match mounted {
            Ok(()) => Some(Self(path)),
            Err(reason) => {
                crate::support::skip("mount", &format!("tmpfs cannot be mounted: {reason}"));
                None
            }
        }
    }

    fn grow(&self, size: &str) {
        Self::mount(&["-o", &format!("remount,size={size}")], &self.0).expect("a larger disk");
    }

    fn mount(options: &[&str], path: &Path) -> Result<(), String> {
        let done = Command::new("mount").args(options).arg(path).output().map_err(|error| error.to_string())?;
        if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_repeats_nothing() {
    let mut place = Place::new(&jobs_with_effects());
    let Some(disk) = Disk::new(place.folder.path(), "12k") else { return };
    place.journal = disk.0.join("journal");
    assert_out_of_room(&place.begin("-j4").run(), "space");
    assert_out_of_room(&place.resume("-j4").run(), "space");
    disk.grow("1m");
    place.resume("-j4").run().assert_code(0).assert_tree_dead();
    assert_each_once(&place);
}

#[test]
fn what_was_interrupted_runs_again_and_its_answer_says_so() {
    let line = "[ -e once ] && exit 0; touch once; echo ready; sleep 1000";
    let place = Place::new(&[shell("quick", "true"), shell("slow", line)]);
    let run = place.begin("-j1").start();
    wait_until(SOON, "the second job", || place.path("once").exists());
    run.signal(libc::SIGKILL);
    run.finish().assert_died_of(libc::SIGKILL).assert_tree_dead();
    let done = place.resume("--json").run();
    done.assert_code(0);
    let envelopes: Vec<Value> = done.stdout_text().lines().map(crate::support::parse).collect();
    assert_eq!(envelopes.len(), 1, "what succeeded is not run again: {}", done.stdout_text());
    assert_eq!(envelopes[0]["metadata"]["job_id"], "slow");
    assert_eq!(envelopes[0]["metadata"]["interrupted_before"], true);
    // The next time nothing is left to do.
    assert_eq!(place.resume("--json").run().assert_code(0).stdout_text(), "");
}

on_both_rungs! {
    /// Not even its guards live; what they held is known by its mark.
    fn what_a_killed_run_left_is_ended_first(rung) {
        let line = "[ -e pids ] && exit 0; sleep 1000 & echo $! $PPID >pids.new; mv pids.new pids; wait";
        let place = Place::new(&[shell("job", line)]);
        let run = place.begin("").rung(rung).start();
        wait_until(SOON, "the job", || place.path("pids").exists());
        let pids: Vec<i32> = place.read("pids").split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
        let [orphan, guard] = pids[..] else { panic!("two pids") };
        run.signal(libc::SIGSTOP);
        crate::support::signal(guard, libc::SIGKILL);
        wait_until(SOON, "the end of the guard", || !is_alive(guard) || crate::support::state_of(guard) == Some('Z'));
        run.signal(libc::SIGKILL);
        wait_until(SOON, "the end of runner", || crate::support::state_of(run.pid()) == Some('Z'));
        let was_left = is_alive(orphan);
        let done = place.resume("").rung(rung).run();
        run.finish().assert_died_of(libc::SIGKILL).assert_tree_dead();
        done.assert_code(0);
        assert!(!is_alive(orphan), "the orphan lives");
        assert!(was_left || rung == crate::support::Rung::Cgroup, "there was nothing to end");
    }
}

#[test]
fn a_second_runner_is_refused_while_the_first_lives() {
    let place = Place::new(&[shell("job", "touch began; [ -e go ] || sleep 1000")]);
    let run = place.begin("").start();
    wait_until(SOON, "the job", || place.path("began").exists());
    let done = place.resume("").run();
    done.assert_code(125);
    assert!(done.stderr_text().contains(&format!("pid {}", run.pid())), "{}", done.stderr_text());
    assert!(done.stderr_text().contains("CONFLICT"), "{}", done.stderr_text());
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143).assert_tree_dead();
    // What was cancelled in good order is gone on with, too.
    fs::write(place.path("go"), "").expect("a file");
    place.resume("").run().assert_code(0);
    assert_eq!(accounts(&place.records())["job"].succeeded, 1);
}

#[test]
fn an_edited_list_skips_no_new_job_and_repeats_no_old_one() {
    let [one, two] = ["one", "two"].map(|name| shell(name, &format!("echo {name} >>log")));
    let place = Place::new(&[one.clone(), two.clone()]);
    place.begin("-j1").run().assert_code(0);
    let edited = shell("two", "echo edited >>log");
    let environment = json!({"id": "one", "shell": "echo one >>log", "env": {"X": "1"}});
    place.list(&[edited.clone(), shell("three", "echo three >>log"), one.clone()]);
    place.resume("-j1").run().assert_code(0);
    assert_eq!(place.read("log"), "one\ntwo\nedited\nthree\n");
    place.list(&[environment, two]);
    place.resume("-j1").run().assert_code(0);
    assert_eq!(place.read("log"), "one\ntwo\nedited\nthree\none\n");
}

#[test]
fn only_what_was_asked_for_is_run_again() {
    let failing = |name: &str, end: &str| shell(name, &format!("echo {name} >>log; [ -e ok ] && exit 0; {end}"));
    let slow = json!({"id": "slow", "shell": "echo slow >>log; [ -e ok ] || sleep 1000", "timeout": "0.3s"});
    let needy = json!({"id": "needy", "shell": "echo needy >>log", "needs": ["failed"]});
    let jobs = [shell("good", "echo good >>log"), failing("failed", "exit 3"), slow, needy];
    let place = Place::new(&jobs);
    let again = |rule: &str, code: i32| {
        _ = fs::remove_file(place.path("log"));
        place.resume(&format!("-j1 --grace 0.1 {rule}")).run().assert_code(code);
        place.read("log")
    };
    place.begin("-j1 --grace 0.1").run().assert_code(1);
    assert_eq!(place.read("log"), "good\nfailed\nslow\n");
    assert_eq!(again("--resume-only timeout", 1), "slow\n");
    assert_eq!(again("--resume-only failed", 1), "failed\nslow\n");
    fs::write(place.path("ok"), "").expect("a file");
    assert_eq!(again("--resume-only timeout", 0), "slow\n");
    assert_eq!(again("", 0), "failed\nneedy\n");
    assert_eq!(again("", 0), "");
}

#[test]
fn a_journal_is_not_written_over() {
    let place = Place::new(&[shell("job", "echo x >>log")]);
    place.begin("").run().assert_code(0);
    let before = fs::read(&place.journal).expect("a journal");
    let done = place.begin("").run();
    done.assert_code(125);
    assert!(done.stderr_text().contains("--resume"), "{}", done.stderr_text());
    assert_eq!(fs::read(&place.journal).expect("a journal"), before);
    // A loop around it may always give both options.
    let anew = Place::new(&[shell("job", "echo x >>log")]);
    let both = || anew.resume("").arg("--journal").arg(&anew.journal);
    both().run().assert_code(0);
    both().run().assert_code(0).assert_took_between(seconds(0.0), SOON);
    assert_eq!(anew.lines("log"), 1);
}

#[test]
fn lists_from_a_pipe_are_resumed_by_their_content() {
    let place = Place::new(&[]);
    let run = |verb: &str, items: &str| {
        let run = batch("-j1 --quiet").arg(verb).arg(&place.journal).arg("--each");
        let run = run.with(|command| _ = command.current_dir(place.folder.path()));
        run.job(["sh", "-c", "echo \"$0\" >>log"]).input(items).run()
    };
    run("--journal", "a\nb\nb\n").assert_code(0);
    run("--resume", "b\nc\nb\nb\na\n").assert_code(0);
    assert_eq!(place.read("log"), "a\nb\nb\nc\nb\n");
}

#[test]
fn each_record_is_synced_where_asked_for() {
    let place = Place::new(&jobs_with_effects());
    place.begin("-j4 --journal-sync each").run().assert_code(0).assert_tree_dead();
    assert_each_once(&place);
}

/// How often the job ran when `after` was resumed with the journal of `before`.
#[track_caller]
fn runs_after(before: &Value, after: &Value, change: impl Fn(Exec) -> Exec) -> usize {
    let place = Place::new(std::slice::from_ref(before));
    fs::write(place.path("a"), "").expect("a file");
    fs::write(place.path("b"), "").expect("a file");
    fs::create_dir(place.path("other")).expect("a directory");
    place.begin("").run().assert_code(0);
    place.list(std::slice::from_ref(after));
    let run = place.resume("").env("HERE", place.folder.path());
    let done = change(run).run();
    done.assert_code(0);
    ["ran", "other/ran"].iter().map(|name| place.lines(name)).sum()
}

#[test]
fn a_job_with_another_input_directory_shell_or_parameter_is_another_job() {
    let line = |fields: Value| {
        let mut job = json!({"shell": "echo x >>ran"});
        job.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        job
    };
    let plain = line(json!({}));
    let same = |run: Exec| run;
    assert_eq!(runs_after(&plain, &plain, same), 1);
    assert_eq!(runs_after(&plain, &line(json!({"timeout": 90, "retries": 1, "name": "n"})), same), 1);
    assert_eq!(runs_after(&line(json!({"stdin": "a"})), &line(json!({"stdin": "b"})), same), 2);
    assert_eq!(runs_after(&line(json!({"stdin": "a"})), &plain, same), 2);
    assert_eq!(runs_after(&plain, &line(json!({"cwd": "other"})), same), 2);
    assert_eq!(runs_after(&plain, &line(json!({"cwd": "."})), same), 2);
    assert_eq!(runs_after(&plain, &line(json!({"shell-program": "/bin/sh"})), same), 2);
    assert_eq!(runs_after(&plain, &plain, |run| run.args(["--stdin", "a"])), 2);
    assert_eq!(runs_after(&plain, &plain, |run| run.args(["--cwd", "other"])), 2);
    assert_eq!(runs_after(&plain, &plain, |run| run.args(["--shell", "/bin/sh"])), 2);
    let elsewhere = |run: Exec| {
        run.with(|command| {
            let other = command.get_current_dir().expect("a directory").join("other");
            command.current_dir(other);
        })
    };
    assert_eq!(runs_after(&plain, &plain, elsewhere), 2);
}

#[test]
fn an_operation_with_another_parameter_is_another_job() {
    let copy = |to: &str| json!({"op": "copy", "params": {"paths": ["jobs.jsonl", to]}});
    let place = Place::new(&[copy("one")]);
    place.begin("").run().assert_code(0);
    place.list(&[copy("one"), copy("two")]);
    place.resume("").run().assert_code(0);
    assert!(place.path("two").exists());
    let started = place.records().iter().filter(|record| record["event"] == "started").count();
    assert_eq!(started, 2);
}

#[test]
fn jobs_that_differ_only_in_their_input_are_different_jobs() {
    let job = |input: &str| json!({"cmd": ["grep", "-q", "good"], "stdin": input});
    let place = Place::new(&[job("good"), job("bad")]);
    fs::write(place.path("good"), "good").expect("an input");
    fs::write(place.path("bad"), "bad").expect("an input");
    place.begin("").run().assert_code(1);
    place.list(&[job("bad"), job("good")]);
    place.resume("").run().assert_code(1);
}

/// A journal of version 1 with one successful `true`.
fn legacy_journal(place: &Place) {
    let records = [
        json!({"journal": "runner", "version": 1, "event": "run", "run": "r", "pid": 1, "start_time": 1, "boot_id": "b",
            "rule": "all", "timestamp": "2024-01-15T10:30:00.000Z"}),
        json!({"event": "started", "seq": 1, "fingerprint": "a3971323a2d21aa30f2ba4fb8064f960", "job_id": "j",
            "attempt": 1, "timestamp": "2024-01-15T10:30:00.000Z"}),
        json!({"event": "finished", "seq": 1, "fingerprint": "a3971323a2d21aa30f2ba4fb8064f960", "job_id": "j",
            "verdict": "succeeded", "exit_code": 0, "attempts": 1, "duration_seconds": 0.1,
            "timestamp": "2024-01-15T10:30:00.000Z"}),
        json!({"event": "run_ended", "run": "r", "timestamp": "2024-01-15T10:30:00.000Z"}),
    ];
    let text: String = records.iter().map(|record| format!("{record}\n")).collect();
    fs::write(&place.journal, text).expect("a journal");
}

#[test]
fn jobs_in_a_journal_of_version_1_are_recognised() {
    let place = Place::new(&[json!({"cmd": ["true"]}), json!({"cmd": ["true"]})]);
    legacy_journal(&place);
    place.resume("").run().assert_code(0);
    let started = |place: &Place| place.records().iter().filter(|record| record["event"] == "started").count();
    assert_eq!(started(&place), 2, "one of the two had succeeded");
    place.resume("").run().assert_code(0);
    assert_eq!(started(&place), 2);
}

#[test]
fn a_journal_of_version_1_is_refused_for_lines_with_items() {
    let place = Place::new(&[]);
    legacy_journal(&place);
    let before = place.read("journal");
    let done = batch("--resume").arg(&place.journal).args(["-c", "touch {}", ":::", "made"]).run();
    done.assert_code(125);
    assert!(done.stderr_text().contains("was written by an earlier version of runner"), "{}", done.stderr_text());
    assert_eq!(place.read("journal"), before);
}

#[test]
fn a_line_with_items_is_resumed_by_its_items() {
    let place = folder();
    let run = |verb: &str, line: &str, items: &[&str]| {
        let run = batch("-q").args([verb, "j", "-c", line, ":::"]).args(items);
        run.with(|command| _ = command.current_dir(place.path())).run().assert_code(0);
        fs::read_to_string(place.path().join("ran")).expect("it ran").lines().count()
    };
    assert_eq!(run("--journal", "echo {} >>ran", &["a", "b"]), 2);
    assert_eq!(run("--resume", "echo {} >>ran", &["b", "c", "a"]), 3);
    assert_eq!(run("--resume", "echo {} x >>ran", &["a"]), 4);
}

#[test]
fn a_journal_that_does_not_exist_is_not_resumed() {
    let place = Place::new(&[json!({"cmd": ["true"]})]);
    let done = place.resume("").run();
    done.assert_code(125);
    assert!(done.stderr_text().contains("does not exist"), "{}", done.stderr_text());
    assert!(!place.journal.exists());
    // Both options begin one, also where the names differ.
    let begun = place.resume("").args(["--journal", "./journal"]).run();
    begun.assert_code(0);
    place.resume("").args(["--journal", "./journal"]).run().assert_code(0);
    let other = place.resume("").args(["--journal", "./other"]).run();
    other.assert_code(125);
    assert!(!place.path("other").exists());
}
