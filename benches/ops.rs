//! What README claims about the speed of operations on files: each figure beside a peer's, taken in turns in one run.
//!
//! `cargo bench --bench ops`. It needs some gigabytes below the folder for temporary files. Ratios hold on a noisy
//! machine, single times do not; nothing here passes or fails.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs, measures and prints"
)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");
const MEBIBYTES: u32 = 1024;
/// Of the tree: folders, files in each, bytes in each of those.
const TREE: (u32, u32, usize) = (100, 100, 2000);

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    large(&folder.join("large"));
    tree(&folder.join("tree"));
    println!("{:<44} {:>11} {:>11} {:>7}", "median of pairs", "runner", "peer", "ratio");
    let nothing = |_: &Path| {};
    pair(folder, "hash 1 GiB : sha256sum", 5, &["hash", "large"], &["sha256sum", "large"], nothing);
    let blake3 = ["hash", "--algorithm", "blake3", "large"];
    if is_installed("b3sum") {
        pair(folder, "hash --algorithm blake3 1 GiB : b3sum", 11, &blake3, &["b3sum", "large"], nothing);
        let one = ["b3sum", "--num-threads", "1", "large"];
        pair(folder, "the same : b3sum --num-threads 1", 11, &blake3, &one, nothing);
    }
    let remove = |folder: &Path| fs::remove_file(folder.join("copy")).expect("it was copied");
    pair(folder, "copy 1 GiB : cp", 11, &["copy", "large", "copy"], &["cp", "large", "copy"], remove);
    // What was copied is moved out of the way: a file system that has just removed many files is slow for a while.
    let mut number = 0;
    let away = |folder: &Path| {
        number += 1;
        fs::rename(folder.join("copy"), folder.join(format!("old {number}"))).expect("it was copied");
    };
    pair(
        folder,
        "copy a tree of 10,000 files : cp -a",
        11,
        &["copy", "tree", "copy"],
        &["cp", "-a", "tree", "copy"],
        away,
    );
}

/// Runs both in turns, cleaning up after each, and prints their medians and the median ratio.
fn pair(folder: &Path, name: &str, runs: usize, ours: &[&str], theirs: &[&str], mut clean: impl FnMut(&Path)) {
    let ours: Vec<&str> = [RUNNER, "op"].iter().chain(ours).copied().collect();
    let mut times = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let mut timed = |command: &[&str]| {
            let elapsed = time(folder, command);
            clean(folder);
            elapsed
        };
        let (one, other) = (timed(&ours), timed(theirs));
        // The first run only warms up.
        if run > 0 {
            times.0.push(one);
            times.1.push(other);
        }
    }
    let mut ratios: Vec<f64> = times.0.iter().zip(&times.1).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    println!("{name:<44} {:>8.2} ms {:>8.2} ms {ratio:>7.2}", millis(median(&times.0)), millis(median(&times.1)));
}

fn time(folder: &Path, command: &[&str]) -> Duration {
    let start = Instant::now();
    let status = Command::new(command[0])
        .args(&command[1..])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(File::create("/dev/null").expect("the null device"))
        .stderr(File::create("/dev/null").expect("the null device"))
        .status();
    let elapsed = start.elapsed();
    assert!(status.expect("both programs are installed").success(), "{command:?} failed");
    elapsed
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// A file that nothing can shorten.
fn large(path: &Path) {
    let mut file = File::create(path).expect("a temporary file");
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut block = vec![0; 1 << 20];
    for _ in 0..MEBIBYTES {
        for bytes in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).expect("room on the disk");
    }
}

fn tree(path: &Path) {
    let (folders, files, bytes) = TREE;
    for folder in 0..folders {
        let folder = path.join(folder.to_string());
        fs::create_dir_all(&folder).expect("a temporary folder");
        for file in 0..files {
            fs::write(folder.join(file.to_string()), vec![b'x'; bytes]).expect("room on the disk");
        }
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
