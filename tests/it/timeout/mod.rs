//! `runner timeout` compared with timeout(1).

mod compared;
mod signals;
mod terminal;
