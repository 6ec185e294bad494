//! A misbehaving program with many modes, for tests only.

fn main() {}
