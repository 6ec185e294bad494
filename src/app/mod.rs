//! One file for each verb: it wires the parts, and says how the program leaves.
//!
//! Called by `main` with what the command line was parsed into. Nothing here knows the command line's types.

pub mod answer;
pub mod batch;
mod batch_display;
mod batch_order;
pub mod batch_output;
mod board;
pub mod completions;
pub mod config;
mod config_file;
mod display;
pub mod environment;
pub mod exec;
pub mod history;
mod input;
mod keeper;
pub mod local_time;
pub mod man;
pub mod notify;
pub mod op;
pub mod port;
mod queue_answer;
mod recorder;
pub mod records;
pub mod results;
pub mod schema;
mod single;
pub mod state;
mod streams;
pub mod task;
pub mod timeout;
pub mod worker;
