//! Tests that are skipped on this machine: counted, and listed once after the last test.

#![expect(unsafe_code, reason = "the list is written when the process exits, past what captures the output of a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// The skipped tests by missing requirement.
static SKIPPED: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// Records that the current test is skipped because this machine lacks `requirement`: a short noun such as `cgroup`,
/// `root` or the name of a program. `why` is for a reader of `--nocapture`.
///
/// Panics where the requirement is listed in `RUNNER_TEST_REQUIRE` (separated by commas, `all` for every one).
#[track_caller]
#[expect(clippy::print_stderr, reason = "shown by the test harness with --nocapture")]
pub(crate) fn skip(requirement: &str, why: &str) {
    let required = std::env::var("RUNNER_TEST_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name == requirement || name == "all");
    assert!(!is_required, "RUNNER_TEST_REQUIRE lists '{requirement}', which is missing here: {why}");
    eprintln!("skipped: {why}");
    let mut skipped = SKIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    if skipped.is_empty() {
        // SAFETY: the function is ours, takes nothing and never unwinds.
        unsafe { libc::atexit(print_summary) };
    }
    let tests = skipped.entry(requirement.to_owned()).or_default();
    let thread = std::thread::current();
    // With --test-threads=1 every test runs on the thread `main`.
    let test = thread.name().filter(|name| *name != "main").map_or_else(|| format!("#{}", tests.len()), str::to_owned);
    tests.insert(test);
}

/// Whether a program is in the search path; a test that needs one that is not is recorded as skipped.
#[track_caller]
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    if !found {
        skip(name, &format!("{name} is not installed"));
    }
    found
}

/// `N promises not tested here: no cgroup (190), no zstd (2)`.
fn summary(skipped: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut counts: Vec<(&str, usize)> = skipped.iter().map(|(name, tests)| (name.as_str(), tests.len())).collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let list: Vec<String> = counts.iter().map(|(name, count)| format!("no {name} ({count})")).collect();
    format!("{total} promises not tested here: {}\n", list.join(", "))
}

extern "C" fn print_summary() {
    let line = summary(&SKIPPED.lock().unwrap_or_else(PoisonError::into_inner));
    // SAFETY: pointer and length are those of a live string.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}
