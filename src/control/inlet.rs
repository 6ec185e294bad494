//! Our end: the socket of one job, and what came through it.
//!
//! The watchdog waits for it and takes what is there, a bounded number of messages at a time. Senders that are neither
//! of the job's user nor root are ignored.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use crate::control::message::{INLINE_LIMIT, Message, VALUE_LIMIT};
use crate::error::Result;
use crate::platform::datagrams::{self, Datagram, Socket};

/// A datagram: the longest value and the short lines beside it.
const DATAGRAM_LIMIT: usize = INLINE_LIMIT + (4 << 10);

/// Datagrams that are taken after the job's end: more than the queue of a socket holds, unless somebody made it huge.
const LAST_DATAGRAMS: usize = 4096;
/// Memory files that are looked into after the job's end. Of a flood only the newest matter, and each costs time.
const LAST_FILES: usize = 4;

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

    /// The next message; an empty one where somebody sent it whom we do not hear. None where there is none now.
    pub fn next(&self) -> Option<Message> {
        // On the heap, where only the pages that are written to cost anything.
        let mut buffer = vec![0; DATAGRAM_LIMIT];
        let datagram = self.socket.receive(&mut buffer)?;
        // Not passed over here: whoever sends without end would keep us here without end.
        Some(if datagram.from_job { read(&buffer[..datagram.length], &datagram) } else { Message::default() })
    }

    /// What is in the queue when the job is over. What is sent from now on fails.
    pub fn last(&self) -> Vec<Message> {
        self.socket.close_to_senders();
        let mut buffer = vec![0; DATAGRAM_LIMIT];
        let mut left = Vec::new();
        let mut with_file = VecDeque::new();
        for _ in 0..LAST_DATAGRAMS {
            let Some(datagram) = self.socket.receive(&mut buffer) else { break };
            if !datagram.from_job {
                continue;
            }
            if datagram.file.is_some() {
                with_file.push_back(left.len());
            }
            left.push((buffer[..datagram.length].to_vec(), datagram));
            if with_file.len() > LAST_FILES
                && let Some((_, superseded)) = with_file.pop_front().and_then(|index| left.get_mut(index))
            {
                superseded.file = None;
            }
        }
        left.iter().map(|(bytes, datagram)| read(bytes, datagram)).collect()
    }
}

fn read(bytes: &[u8], datagram: &Datagram) -> Message {
    if datagram.truncated {
        return Message::refused("it is longer than 64 KiB; longer values go through a memory file");
    }
    Message::read(bytes, || {
        let file = datagram.file.as_ref().map(|file| datagrams::read_sealed(file.as_fd(), VALUE_LIMIT));
        file.transpose()?.flatten().ok_or_else(|| "no memory file came with it".to_owned())
    })
}
