//! Interactive use: progress bars, keys, job control, terminal modes.

mod bars;
mod interrupt;
mod job_control;
mod modes;
mod progress_forms;
mod pty;
