//! The job's output: copied through to our reader, and kept within bounds, in constant memory at any volume and rate.

pub mod content;
mod cursor;
mod line_writer;
pub mod lines;
mod mask;
pub mod osc;
pub mod outlet;
pub mod output_log;
pub mod pump;
mod rendition;
pub mod screen;
mod sequences;
pub mod spool;
pub mod stage;
pub mod window;
