//! What the tests share: runs of `runner` in clean surroundings that are never waited for without a limit, proof that a
//! tree is dead, a terminal, an HTTP server, a queue of a test's own.
//!
//! Nothing here knows how runner works inside. Processes are killed by number only.

#[macro_use]
pub(crate) mod containment;
#[path = "../../helpers/datagram.rs"]
pub(crate) mod datagram;
pub(crate) mod descriptors;
pub(crate) mod envelope;
pub(crate) mod files;
#[cfg(feature = "fetch")]
pub(crate) mod http;
pub(crate) mod lifeline;
#[path = "../../helpers/pattern.rs"]
pub(crate) mod pattern;
pub(crate) mod process;
pub(crate) mod queue;
pub(crate) mod requirement;
pub(crate) mod run;
pub(crate) mod terminal;
pub(crate) mod waiting;

use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) use containment::{OwnCgroup, Rung, cgroup_of, cgroup_or_reason_to_skip};
pub(crate) use descriptors::{inherit, inherited_descriptors, is_nonblocking, pipe};
pub(crate) use envelope::{assert_valid, parse, redact, reported_progress, strings};
pub(crate) use files::{folder, set_mode};
pub(crate) use lifeline::Lifeline;
pub(crate) use process::{
    Load, NOBODY, become_nobody, is_alive, is_root, limit_to, signal, start_blocking, start_ignoring, state_of,
    status_kib, without_core_dump,
};
pub(crate) use requirement::{has_program, skip};
pub(crate) use run::{
    Exec, Finished, Running, batch, batch_with, clean, copy_program, exec, exec_with, flood_pattern, op, runner,
    runner_at, verb_with, victim_path,
};
pub(crate) use waiting::{LIMIT, SOON, seconds, wait_until};

pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
pub(super) fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
