//! The promises of runner, one module each, tried on the built program as its user calls it.

#[macro_use]
mod support;

mod answer;
mod bad_input;
mod batch;
mod configuration;
mod deadlines;
mod environment;
mod exit_codes;
mod generated;
mod history;
mod hostile_text;
mod idle;
mod notify;
mod ops;
mod output;
mod queue;
mod retries;
mod secrets;
mod shared_folders;
mod shortage;
mod signals;
mod structure;
mod terminal;
mod timeout;
mod tree;
