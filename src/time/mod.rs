//! Durations as people write them.
//!
//! Pure: nothing here reads a clock or waits.

pub mod duration;
pub mod gnu;
