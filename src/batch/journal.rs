//! The journal: an append-only file of JSON lines that remembers which jobs were started and which ended.
//!
//! A record is one write(2), before the start and after the end. Only the foreman calls it while jobs run.
