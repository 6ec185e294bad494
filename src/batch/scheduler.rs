//! Which job runs next: a pure state machine over needs, locks, priorities and slots.
//!
//! It knows jobs by their numbers alone, and reads no clock, file or process.
