//! Stopping a job ends its whole process tree and no other process.

mod bystanders;
mod cgroups;
mod containment;
mod foreign_proc;
mod killed_runner;
mod leftovers;
mod nested;
mod refused_calls;
mod survivors;
