//! `runner op`: the list of built-in operations, and the child in which one runs. The parent is the same as for any
//! command, see `exec`.

use std::ffi::OsString;

use serde_json::json;

use crate::app::environment;
use crate::model::exit_code::Exit;
use crate::ops::{OPERATIONS, child};
use crate::platform::process;

/// Runs an operation in this very process: the child that the supervisor started.
pub fn run_child(arguments: &[OsString]) -> Exit {
    child::run(arguments, environment::time_left())
}

/// Blanks our own command line behind so many words: parameters may hold secrets, and everybody on this machine can read
/// it for as long as the job runs. To be called before the guard is made, which is of our memory.
pub fn hide_parameters(words_shown: usize) {
    process::hide_arguments(words_shown);
}

/// The operations, for people or as JSON with the schema of their parameters.
pub fn list(as_json: bool) -> String {
    if as_json {
        let entries = OPERATIONS
            .iter()
            .map(|entry| json!({ "name": entry.name, "about": entry.about, "parameters": entry.schema() }));
        return format!("{}\n", serde_json::Value::from_iter(entries));
    }
    let width = OPERATIONS.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
    OPERATIONS.iter().map(|entry| format!("{:width$}  {}\n", entry.name, entry.about)).collect()
}
