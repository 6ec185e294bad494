//! `runner timeout` beside timeout(1).

mod compared;
mod signals;
mod terminal;
