//! The watchdog: one event loop that owns every job of the process, and the pure policy that it carries out.

mod job;
pub mod machine;
pub mod orders;
pub mod policy;
pub mod watchdog;
