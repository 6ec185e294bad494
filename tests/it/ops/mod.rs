//! The built-in operations, each compared with the program it replaces.

mod archive;
mod copy;
mod fetch;
mod hash;
mod post;
mod wait_for;
