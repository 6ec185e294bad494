//! Many jobs: where they come from, which of them runs next, and what is remembered of them.
//!
//! `source` reads lists, `scheduler` decides (pure), `tries` decides about further attempts (pure), `start_backoff` about starts
//! that lacked something (pure), `journal` remembers, and `foreman` joins them for a backend.

pub mod admission;
pub mod feeder;
pub mod foreman;
pub mod journal;
mod locks;
pub mod median;
mod needs;
pub mod notices;
pub mod resume;
pub mod scheduler;
pub mod source;
pub mod start_backoff;
mod stopping;
pub mod tries;
mod work;
