//! What README claims about `batch`: its rate beside those of its peers, many jobs at a time, the lateness of deadlines,
//! and what each option costs that leaves the shortest way.
//!
//! `cargo bench --bench batch`. Peers run in the same turns as we do. Ratios hold on a noisy machine, single times do
//! not; nothing here passes or fails. GNU parallel is left out where it is not installed.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs, measures and prints"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");
/// Forces one kind of containment.
const CONTAINMENT: &str = "RUNNER_TEST_CONTAINMENT";
/// Jobs of one turn where rates are compared.
const JOBS: usize = 5_000;
/// Jobs of one turn where options are compared.
const FEW: usize = 1_000;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = Place { folder: folder.path() };
    rates(&place);
    options(&place);
    many_at_a_time(&place);
    deadlines(&place);
    dry_run(&place);
}

/// Where lists and journals are.
struct Place<'a> {
    folder: &'a Path,
}

impl Place<'_> {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A file of the numbers up to this one, a line each.
    fn numbers(&self, count: usize) -> String {
        let path = self.path(&format!("{count}.txt"));
        if !Path::new(&path).exists() {
            let mut file = std::io::BufWriter::new(File::create(&path).expect("a file"));
            (1..=count).for_each(|number| writeln!(file, "{number}").expect("room for a list"));
        }
        path
    }

    /// `runner batch` with these options, `true` for each line.
    fn batch(&self, options: &str, count: usize) -> Command {
        let list = self.numbers(count);
        let journal = self.path("journal");
        let _ = std::fs::remove_file(&journal);
        let mut command = Command::new(RUNNER);
        command.arg("batch").args(options.replace("JOURNAL", &journal).split_whitespace());
        command.args(["--progress", "none", "-a", &list, "--each", "--", "true"]);
        command
    }
}

/// `true`, again and again, two at a time: captured, with a journal.
fn rates(place: &Place<'_>) {
    println!("{:<52} {:>12} {:>9}", format!("{JOBS} times true, two at a time"), "jobs/s", "ratio");
    let ours = || place.batch("-j 2 --journal JOURNAL", JOBS);
    let walk = || {
        let mut command = ours();
        command.env(CONTAINMENT, "walk");
        command
    };
    let list = place.numbers(JOBS);
    let xargs = || shell(&format!("xargs -n1 -P2 true <{list}"));
    let parallel = || shell(&format!("parallel -j2 true <{list}"));
    let has_parallel = shell("command -v parallel >/dev/null").status().is_ok_and(|status| status.success());
    let mut times: [Vec<Duration>; 4] = Default::default();
    for turn in 0..6 {
        let mut row = vec![time(ours()), time(walk()), time(xargs())];
        if has_parallel {
            row.push(time(parallel()));
        }
        // The first turn only warms the caches.
        if turn > 0 {
            times.iter_mut().zip(row).for_each(|(times, time)| times.push(time));
        }
    }
    let names = ["runner batch, control groups", "runner batch, walk", "xargs -n1 -P2", "parallel -j2"];
    for (name, theirs) in names.iter().zip(&times).filter(|(_, times)| !times.is_empty()) {
        let ratio = median_ratio(theirs, &times[0]);
        println!("{name:<52} {:>12.0} {ratio:>9.2}", JOBS as f64 / median(theirs).as_secs_f64());
    }
    println!("(the ratio is the time of each to that of the first, pair by pair)\n");
}

/// What an option adds to the time of one job.
fn options(place: &Place<'_>) {
    println!("{:<52} {:>12} {:>9}", format!("cost of an option, {FEW} jobs, two at a time"), "us/job", "more");
    let rows = [
        ("none", "-j 2"),
        ("--journal", "-j 2 --journal JOURNAL"),
        ("--journal --journal-sync each", "-j 2 --journal JOURNAL --journal-sync each"),
        ("--timeout", "-j 2 --timeout 60"),
        ("--idle-timeout", "-j 2 --idle-timeout 60"),
        ("--retries", "-j 2 --retries 2"),
        ("--cwd", "-j 2 --cwd /"),
        ("--env", "-j 2 --env A=1"),
        ("--log", "-j 2 --log FOLDER/{#}.log"),
        ("--report", "-j 2 --report FOLDER/{#}.json"),
        ("--results", "-j 2 --results FOLDER/results/"),
        ("--json", "-j 2 --json"),
        ("--keep-order", "-j 2 --keep-order"),
        ("--line-buffer", "-j 2 --line-buffer"),
        ("--ungroup", "-j 2 --ungroup"),
    ];
    let folder = place.folder.display().to_string();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); rows.len()];
    for turn in 0..4 {
        for ((_, options), times) in rows.iter().zip(&mut times) {
            let _ = std::fs::remove_dir_all(place.folder.join("results"));
            let took = time(place.batch(&options.replace("FOLDER", &folder), FEW));
            if turn > 0 {
                times.push(took);
            }
        }
    }
    let per_job = |times: &[Duration]| median(times).as_secs_f64() * 1e6 / FEW as f64;
    for ((name, _), row) in rows.iter().zip(&times) {
        println!("{name:<52} {:>12.0} {:>+9.0}", per_job(row), per_job(row) - per_job(&times[0]));
    }
    println!();
}

/// 2,000 jobs that sleep for a second, all at a time, and what each takes of our memory.
fn many_at_a_time(place: &Place<'_>) {
    let run = |jobs: usize| {
        let list = place.numbers(jobs);
        let mut command = Command::new(RUNNER);
        command.args(["batch", "-j", &jobs.to_string(), "--progress", "none", "-a", &list, "--each", "--", "sh", "-c"]);
        command.args(["exec sleep 1", "{}"]);
        let begun = Instant::now();
        let peak = peak_kib(command.stdout(null()).stderr(null()).spawn().expect("runner runs"));
        (begun.elapsed(), peak)
    };
    let (_, floor) = run(1);
    let (took, peak) = run(2_000);
    println!("2,000 jobs of sleep 1 at -j 2000: {:.2} s", took.as_secs_f64());
    let each = peak.saturating_sub(floor) as f64 / 2_000.0;
    println!("memory: {floor} KiB with one job, {peak} KiB with 2,000: {each:.1} KiB a job\n");
}

/// 500 jobs at a time that are all stopped for time.
fn deadlines(place: &Place<'_>) {
    let list = place.numbers(500);
    for rung in ["cgroup", "walk"] {
        let mut command = Command::new(RUNNER);
        command.args(["batch", "-j", "500", "--json", "--timeout", "2", "--progress", "none", "-a", &list, "--each"]);
        command.args(["--", "sh", "-c", "exec sleep 60", "{}"]).env(CONTAINMENT, rung);
        let output = command.stdin(null()).stderr(null()).output().expect("runner runs");
        let late = |line: &[u8]| {
            let envelope: Value = serde_json::from_slice(line).ok()?;
            Some(envelope["error"]["details"]["elapsed_seconds"].as_f64()? - 2.0)
        };
        let mut lateness: Vec<f64> = output.stdout.split(|byte| *byte == b'\n').filter_map(late).collect();
        lateness.sort_by(f64::total_cmp);
        let Some(last) = lateness.last() else {
            println!("500 deadlines, {rung}: not to be had here");
            continue;
        };
        let early = lateness.iter().filter(|late| **late < 0.0).count();
        let middle = lateness[lateness.len() / 2] * 1e3;
        let count = lateness.len();
        println!("{count} deadlines, {rung}: median {middle:.2} ms late, at most {:.2} ms, {early} early", last * 1e3);
    }
    println!();
}

/// A list that is only printed.
fn dry_run(_place: &Place<'_>) {
    for lines in ["10", "10000000"] {
        let mut source = Command::new("seq").arg(lines).stdout(Stdio::piped()).spawn().expect("seq runs");
        let input = source.stdout.take().expect("a pipe");
        let mut command = Command::new(RUNNER);
        command.args(["batch", "--dry-run", "--each", "--", "convert", "{}", "{.}.png"]);
        let begun = Instant::now();
        let mut child = command.stdin(input).stdout(Stdio::piped()).spawn().expect("runner runs");
        let mut output = BufReader::with_capacity(1 << 20, child.stdout.take().expect("a pipe"));
        let (mut peak, mut count) = (0, 0);
        loop {
            let length = output.fill_buf().expect("the pipe is readable").len();
            if length == 0 {
                break;
            }
            output.consume(length);
            count += length;
            peak = peak.max(high_water_mark(child.id()));
        }
        child.wait().expect("it was started");
        source.wait().expect("it was started");
        let took = begun.elapsed().as_secs_f64();
        println!("--dry-run --each, {lines} lines: {took:.2} s, {count} bytes, {peak} KiB");
    }
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}

fn null() -> Stdio {
    Stdio::null()
}

fn time(mut command: Command) -> Duration {
    let begun = Instant::now();
    let status = command.stdin(null()).stdout(null()).stderr(null()).status();
    let took = begun.elapsed();
    assert!(status.expect("the program is installed").success(), "{command:?} failed");
    took
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

fn median_ratio(times: &[Duration], to: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> = times.iter().zip(to).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// The peak of runner's own resident memory, read while it lives.
fn peak_kib(mut child: Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().expect("it was started").is_none() {
        peak = peak.max(high_water_mark(child.id()));
        std::thread::sleep(Duration::from_millis(5));
    }
    peak
}

fn high_water_mark(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
