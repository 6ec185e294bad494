//! The watchdog: one event loop that owns every job of the process, and the pure policy that it carries out.

pub mod feed;
mod job;
mod keyboard;
mod listening;
pub mod machine;
pub mod orders;
mod output;
pub mod policy;
mod standing;
mod step;
mod surface;
pub mod watchdog;
