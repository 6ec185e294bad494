//! What a person sees and types: bars, keys, job control, modes of the terminal.

mod bars;
mod interrupt;
mod job_control;
mod modes;
mod progress_forms;
mod pty;
