//! Runs a batch: takes jobs from the source, asks the scheduler, tells the journal and whoever shows it.
//!
//! Called by a backend on the thread that holds the deadlines.
