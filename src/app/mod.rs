//! One function per verb, wiring the parts together.
//!
//! Called by `main` with what the command line was parsed into. Nothing here knows the command line's types.

pub mod completions;
pub mod config;
mod config_file;
pub mod man;
pub mod schema;
