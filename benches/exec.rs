//! What README claims about the cost of `exec` and `timeout`: each figure beside a peer's, taken in turns in one run.
//!
//! `cargo bench --bench exec`. Ratios hold on a noisy machine, single times do not; nothing here passes or fails.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs, measures and prints"
)]

use std::fs::File;
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");
/// The abstract address of a job's socket.
const NOTIFY_SOCKET: &str = "runner-benchmark";

fn main() {
    println!("{:<44} {:>11} {:>11} {:>7}", "median of pairs", "runner", "peer", "ratio");
    start_up();
    notify();
    lateness();
    throughput();
    memory();
}

fn start_up() {
    let peer = ["timeout", "60", "true"];
    pair("exec --timeout 60 -- true : timeout(1)", 400, &[RUNNER, "exec", "--timeout", "60", "--", "true"], &peer);
    pair("timeout 60 true : timeout(1)", 400, &[RUNNER, "timeout", "60", "true"], &peer);
}

/// A job reports: `runner notify` beside the cheapest program there is.
fn notify() {
    let address = SocketAddr::from_abstract_name(NOTIFY_SOCKET).expect("the name is short");
    let socket = UnixDatagram::bind_addr(&address).expect("nobody else has this name");
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while socket.recv(&mut buffer).is_ok() {}
    });
    pair("notify --progress 17/40 : true", 400, &[RUNNER, "notify", "--progress", "17/40"], &["true"]);
}

fn lateness() {
    let peer = ["timeout", "0.2", "sleep", "9"];
    let ours = [RUNNER, "exec", "--timeout", "0.2", "--", "sleep", "9"];
    let (ours, theirs) = measure(40, &ours, &peer);
    let late = |times: &[Duration]| median(times).saturating_sub(Duration::from_millis(200));
    row("lateness of a deadline, whole process", late(&ours), late(&theirs));
    let early = ours.iter().filter(|time| **time < Duration::from_millis(200)).count();
    println!("{:<44} {early:>11}", "deadlines that came early");
}

fn throughput() {
    let through = |middle: &str| format!("head -c 4G /dev/zero | {middle} | cat >/dev/null");
    let ours = format!("{RUNNER} exec -- head -c 4G /dev/zero | cat >/dev/null");
    pair("4 GiB through exec : one more cat", 5, &["sh", "-c", &ours], &["sh", "-c", &through("cat")]);
}

fn memory() {
    for (name, extra) in [("pass-through", None), ("--json", Some("--json"))] {
        let mut command = Command::new(RUNNER);
        command.arg("exec").args(extra).args(["--", "head", "-c", "4G", "/dev/zero"]);
        println!("{:<44} {:>7} KiB", format!("resident memory, 4 GiB, {name}"), peak_kib(&mut command));
    }
}

/// Runs both in turns and prints their medians and the median ratio.
fn pair(name: &str, runs: usize, ours: &[&str], theirs: &[&str]) {
    let (ours, theirs) = measure(runs, ours, theirs);
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    println!("{name:<44} {:>8.2} ms {:>8.2} ms {ratio:>7.2}", millis(median(&ours)), millis(median(&theirs)));
}

fn measure(runs: usize, ours: &[&str], theirs: &[&str]) -> (Vec<Duration>, Vec<Duration>) {
    let warm_up = (runs / 10).max(1);
    let mut times = (Vec::new(), Vec::new());
    for run in 0..runs + warm_up {
        let pair = (time(ours), time(theirs));
        if run >= warm_up {
            times.0.push(pair.0);
            times.1.push(pair.1);
        }
    }
    times
}

fn time(command: &[&str]) -> Duration {
    let start = Instant::now();
    let status = Command::new(command[0])
        .args(&command[1..])
        .env("RUNNER_NOTIFY_SOCKET", format!("@{NOTIFY_SOCKET}"))
        .stdin(Stdio::null())
        .stdout(File::create("/dev/null").expect("the null device"))
        .stderr(File::create("/dev/null").expect("the null device"))
        .process_group(0)
        .status();
    let elapsed = start.elapsed();
    status.expect("both programs are installed");
    elapsed
}

fn row(name: &str, ours: Duration, theirs: Duration) {
    let difference = millis(ours) - millis(theirs);
    println!("{name:<44} {:>8.2} ms {:>8.2} ms {difference:>+7.2}", millis(ours), millis(theirs));
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The peak of runner's own resident memory: read while it lives, since the kernel's figure for children is a maximum
/// over the job as well.
fn peak_kib(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("runner runs");
    let mut output = child.stdout.take().expect("a pipe");
    let mut buffer = vec![0; 1 << 20];
    let mut peak = 0;
    while output.read(&mut buffer).expect("the pipe is readable") > 0 {
        peak = peak.max(high_water_mark(child.id()));
    }
    child.wait().expect("it was started");
    peak
}

fn high_water_mark(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
