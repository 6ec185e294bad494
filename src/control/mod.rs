//! What a job tells us while it runs: the language of the messages, our end, and the job's end.
//!
//! The language is that of sd_notify(3), so that its client libraries work unchanged, with words of our own beside it.

pub mod inlet;
pub mod message;
pub mod sender;
