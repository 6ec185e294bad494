//! `runner op`: one built-in operation under the watchdog, answered.

use std::ffi::OsString;

use crate::app::environment;
use crate::model::exit_code::Exit;
use crate::ops::child;

/// Runs an operation in this very process: the child that the supervisor started.
pub fn run_child(arguments: &[OsString]) -> Exit {
    child::run(arguments, environment::deadline_unix_ms())
}
