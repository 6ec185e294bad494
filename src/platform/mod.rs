//! The only place that knows the operating system: processes and their trees, control groups, signals, descriptors, the
//! terminal. Linux; every other layer speaks in its types.
//!
//! Also the only place with `unsafe`, each block with its reason.
#![expect(
    unsafe_code,
    reason = "system calls that no safe crate offers: clone3, wait4, signal handlers, raw descriptors"
)]

pub mod bell;
pub mod board;
pub mod cgroup;
mod clone;
pub mod command;
pub mod datagrams;
pub mod descriptors;
pub mod detach;
pub mod doorbell;
pub mod file_copy;
pub mod files;
pub mod filesystem;
pub mod folder;
mod guard;
pub mod inheritance;
mod leader;
pub mod limits;
pub mod local_time;
pub mod lock;
pub mod machine;
mod math;
pub mod path_walk;
mod plan;
pub mod poller;
pub mod probe;
pub mod process;
pub mod procfs;
pub mod pty;
pub mod remains;
pub mod room;
mod shareable;
pub mod shortage;
pub mod signals;
pub mod state_folder;
mod strays;
pub mod tree;
pub mod tty;
pub mod watch;
