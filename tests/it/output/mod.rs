//! What a job writes, and where the answer goes.

mod capture;
mod readers;
mod report;
mod volume;
