//! The durable queue: `task` and `worker`.

mod bars;
mod clock;
mod crash;
mod disk;
mod inheritance;
mod notices;
mod owner;
mod store;
mod submitters;
mod surroundings;
mod tasks;
mod turns;
mod worker;
