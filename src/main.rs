//! Parses, calls the app, exits by the table. The only place where the process ends.

fn main() {}
