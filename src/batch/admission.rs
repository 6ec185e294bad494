//! What holds new jobs back: the load of the machine, and the memory that is left.
//!
//! It never stops a job that runs, and where none runs it lets one through.

use crate::model::request::Workers;
use crate::time::clock::Moment;

/// Why no new job may begin, and when to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    pub reason: &'static str,
    pub look_again: Moment,
}

#[derive(Debug)]
pub struct Admission {}

impl Admission {
    pub fn new(_workers: Workers) -> Self {
        Self {}
    }

    pub fn allows(&mut self, _running: usize, _now: Moment) -> Result<(), Hold> {
        Ok(())
    }
}
