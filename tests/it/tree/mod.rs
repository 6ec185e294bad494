//! All of the job is ended, and nothing else.

mod bystanders;
mod cgroups;
mod containment;
mod foreign_proc;
mod killed_runner;
mod leftovers;
mod nested;
mod refused_calls;
mod survivors;
