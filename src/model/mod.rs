//! Plain data, shared by every layer: jobs, outcomes, events, the envelope and the exit codes.
//!
//! Nothing here starts, reads or writes anything.

pub mod answer;
pub mod attempt;
pub mod auto_timeout;
pub mod batch;
pub mod envelope;
pub mod event;
pub mod event_record;
pub mod exit_code;
pub mod fingerprint;
pub mod history_data;
pub mod job;
pub mod masking;
pub mod matcher;
pub mod outcome;
pub mod percentiles;
pub mod printable;
pub mod quantity;
pub mod queue_data;
pub mod quoting;
pub mod request;
pub mod retry;
pub mod sample;
pub mod secrets;
mod shown_stream;
pub mod signal;
pub mod stored_job;
pub mod task;
pub mod task_request;
pub mod unique_id;
