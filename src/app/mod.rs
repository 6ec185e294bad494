//! One file for each verb: it wires the parts, and says how the program leaves.

pub mod answer;
pub mod environment;
pub mod exec;
pub mod timeout;
