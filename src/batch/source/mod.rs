//! Where the jobs of a batch come from: lists as JSON or TOML, and commands made of items.
//!
//! Whatever is wrong with a list is said with its file, line and field, and what would be right.
