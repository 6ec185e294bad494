//! Runs the tasks of the queue: claims them from the store, hands them to the watchdog, and keeps what becomes of them.
//!
//! Two threads share the work. The *foreman* is asked by the watchdog, on the thread that holds the deadlines, and never
//! waits; the *clerk* has the store, whose disk may be slow. What they tell each other goes through `post`.

mod assignment;
mod clerk;
mod conclusion;
mod foreman;
mod listener;
mod notices;
mod post;
mod recovery;

pub use assignment::{Attempt, JobMaker, Preparer};
pub use clerk::{Clerk, Settings};
pub use foreman::WorkerForeman;
pub use post::office;

use std::path::{Path, PathBuf};

use crate::capture::output_log::LogFiles;
use crate::store::Store;

/// The file whose lock makes a process the worker of a store. See [`lock`](crate::platform::lock): nothing else may open
/// it.
pub fn lock_file(folder: &Path) -> PathBuf {
    folder.join("worker.lock")
}

/// The variable that tells a job, and a notice, which task it is of.
pub const TASK_ID: &str = "RUNNER_TASK_ID";

/// Where every byte of a task's output is.
pub fn log_files(folder: &Path, id: &str) -> LogFiles {
    let [data, index] = Store::logs(folder, id);
    LogFiles { data, index }
}

/// Where the worker of a store is rung.
pub fn bell_file(folder: &Path) -> PathBuf {
    folder.join("worker.bell")
}
