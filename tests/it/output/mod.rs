//! Output of jobs, and where the answer goes.

mod capture;
mod readers;
mod report;
mod volume;
