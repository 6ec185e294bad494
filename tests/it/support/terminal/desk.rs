//! A job in a script beside a shell at a terminal: what the tests of bars and of a job's own terminal begin with.

use super::Scratch;
use super::leash::Leash;
use super::pty::Terminal;

/// In a job: waits until the test says so.
pub(crate) const GATE: &str = "until [ -e go ]; do sleep 0.02; done";
/// How the tests call a job, so that its bar is short.
pub(crate) const BAR: &str = "runner exec --progress bar --name job";

/// A folder with `job.sh`, and the proof of the end of whatever it starts.
pub(crate) fn job(text: &str) -> (Scratch, Leash) {
    let scratch = Scratch::new();
    scratch.write("job.sh", text);
    let leash = Leash::new(&scratch);
    (scratch, leash)
}

/// A shell without colours.
pub(crate) fn desk(scratch: &Scratch) -> Terminal {
    Terminal::shell_with(scratch, &[("NO_COLOR", "1")])
}
