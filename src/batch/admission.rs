//! What holds new jobs back: the load of the machine, and the memory that is left.
//!
//! It never stops a job that runs, and where none runs it lets one through.
