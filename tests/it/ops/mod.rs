//! The built-in operations, each beside the program it stands for.

mod archive;
mod copy;
mod fetch;
mod hash;
mod post;
mod wait_for;
