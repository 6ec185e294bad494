//! Our end: the socket of one job, and what came through it.
//!
//! The watchdog waits for it and takes what is there, a bounded number of messages at a time. Senders that are neither
//! of the job's user nor root are ignored.

use std::os::fd::{AsFd, BorrowedFd};

use crate::control::message::{INLINE_LIMIT, Message, VALUE_LIMIT};
use crate::error::Result;
use crate::platform::datagrams::{self, Socket};

/// A datagram: the longest value and the short lines beside it.
const DATAGRAM_LIMIT: usize = INLINE_LIMIT + (4 << 10);

/// The socket of one job.
#[derive(Debug)]
pub struct Inlet {
    socket: Socket,
}

impl Inlet {
    /// A socket that nobody else can guess. `job_id` is part of its name.
    pub fn open(job_id: &str) -> Result<Self> {
        Ok(Self { socket: Socket::open(&format!("runner/{job_id}"))? })
    }

    /// The address for the job's environment.
    pub fn address(&self) -> String {
        self.socket.address()
    }

    /// Readable when there is a message.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next message. None where there is none now.
    pub fn next(&self) -> Option<Message> {
        let mut buffer = [0; DATAGRAM_LIMIT];
        loop {
            let datagram = self.socket.receive(&mut buffer)?;
            if !datagram.from_job {
                continue;
            }
            let refused = |reason: &str| Message { refused: vec![reason.to_owned()], ..Message::default() };
            if datagram.truncated {
                return Some(refused("it is longer than 64 KiB; longer values go through a memory file"));
            }
            let file = match datagram.file.as_ref().map(|file| datagrams::read_sealed(file.as_fd(), VALUE_LIMIT)) {
                Some(Err(reason)) => return Some(refused(reason)),
                Some(Ok(value)) => value,
                None => None,
            };
            return Some(Message::read(&buffer[..datagram.length], file.as_deref()));
        }
    }
}
