//! The job's end: sends messages to the runner that the job runs under.
//!
//! Called by `runner notify` and by built-in operations. Sending waits while the queue of the receiver is full, so that
//! nothing is lost.

use std::ffi::OsString;
use std::os::fd::AsFd;

use crate::control::message::{Draft, VALUE_LIMIT};
use crate::error::{Error, Result};
use crate::platform::datagrams;

/// The variable that names the socket of a job.
pub const NOTIFY_SOCKET: &str = "RUNNER_NOTIFY_SOCKET";

/// Sends to one socket.
#[derive(Clone, Debug)]
pub struct Sender {
    address: OsString,
}

impl Sender {
    /// The sender of the job that we are in. None outside of a job.
    pub fn of_this_job() -> Option<Self> {
        std::env::var_os(NOTIFY_SOCKET).filter(|address| !address.is_empty()).map(|address| Self { address })
    }

    /// Sends a datagram.
    pub fn send(&self, draft: &Draft) -> Result<()> {
        let file = match &draft.file {
            Some(value) if value.len() > VALUE_LIMIT => {
                return Err(Error::Invalid {
                    argument: Some("--partial".to_owned()),
                    message: format!("the value has {} bytes, and at most 1 MiB can be sent", value.len()),
                    remediation: "Send a summary, and leave the whole in a file".to_owned(),
                });
            }
            Some(value) => Some(datagrams::sealed_file(value)?),
            None => None,
        };
        datagrams::send(&self.address, draft.bytes(), file.as_ref().map(AsFd::as_fd))
    }
}
