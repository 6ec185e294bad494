//! `runner` runs a command under a watchdog and always answers: on time, with nothing left behind, with all output
//! kept, and with the reason in one JSON envelope.
//!
//! This crate is the program's inside; `main` only parses, calls [`app`] and exits. Modules import downwards only, and
//! a test holds them to this table:
//!
//! | module | may import |
//! | --- | --- |
//! | `model`, `time` | nothing of ours |
//! | `error` | `model` |
//! | `platform` | `model`, `error` |
//! | `capture` | `model`, `time`, `platform`, `error` |
//! | `control` | `model`, `platform`, `error` |
//! | `ops` | `model`, `time`, `platform`, `control`, `error` |
//! | `supervise` | `model`, `time`, `platform`, `capture`, `control`, `error` |
//! | `backend` | `model`, `time`, `platform`, `capture`, `control`, `supervise`, `error` |
//! | `store` | `model`, `time`, `platform`, `error` |
//! | `batch` | `model`, `time`, `platform`, `ops` (their parameters), `backend` (the trait), `error` |
//! | `worker` | `model`, `time`, `platform`, `capture` (logs), `store`, `backend`, `batch` (its tries), `error` |
//! | `render` | `model` |
//! | `app` | everything above |
//! | `cli` | `model`, `time`, `app`, `ops` (their parameters), `error` |

pub mod app;
pub mod backend;
pub mod batch;
pub mod capture;
pub mod cli;
pub mod control;
pub mod error;
pub mod model;
pub mod ops;
pub mod platform;
pub mod render;
pub mod store;
pub mod supervise;
pub mod time;
pub mod worker;
