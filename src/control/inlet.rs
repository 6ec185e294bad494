//! Our end: the socket of one job, or the one in the file system for all jobs, and what came through it.
//!
//! The watchdog waits for it and takes what is there, a bounded number of messages at a time. Who is heard is decided by
//! the caller, who knows the processes of the job.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::control::message::{INLINE_LIMIT, Message, Reply, VALUE_LIMIT};
use crate::error::Result;
use crate::platform::datagrams::{self, Datagram, Peer, Socket};

/// A datagram: the longest value and the short lines beside it.
const DATAGRAM_LIMIT: usize = INLINE_LIMIT + (4 << 10);

/// Datagrams that are taken after the job's end: more than the queue of a socket holds, unless somebody made it huge.
const LAST_DATAGRAMS: usize = 4096;
/// Memory files that are looked into after the job's end. Of a flood only the newest matter, and each costs time.
const LAST_FILES: usize = 4;

/// A socket for messages of jobs.
#[derive(Debug)]
pub struct Inlet {
    socket: Socket,
}

/// A datagram, and who sent it. It is read only where the sender is one who is heard.
#[derive(Debug)]
pub struct Received {
    pub peer: Option<Peer>,
    bytes: Vec<u8>,
    datagram: Datagram,
}

/// Where a sender waits for the reply to its message.
#[derive(Debug)]
pub struct ReplyChannel(OwnedFd);

impl Inlet {
    /// The address of a job in an environment, as sd_notify(3) writes it: `@` stands for the zero byte of an abstract one.
    pub fn address(job_id: &str) -> String {
        format!("@{}", name(job_id))
    }

    /// A socket that nobody else can guess. `job_id` is part of its name.
    pub fn open(job_id: &str) -> Result<Self> {
        Ok(Self { socket: Socket::open(&name(job_id))? })
    }

    /// A socket in the file system.
    pub fn open_at(path: &Path) -> Result<Self> {
        Ok(Self { socket: Socket::open_at(path)? })
    }

    /// Readable when there is a message.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next datagram. None where there is none now.
    pub fn next(&self) -> Option<Received> {
        // On the heap, where only the pages that are written to cost anything.
        self.receive(&mut vec![0; DATAGRAM_LIMIT])
    }

    /// What is in the queue when the job is over, as far as it is from those who are heard. What is sent from now on fails.
    pub fn last(&self, mut is_heard: impl FnMut(Option<Peer>) -> bool) -> Vec<Received> {
        self.socket.close_to_senders();
        let mut buffer = vec![0; DATAGRAM_LIMIT];
        let mut left: Vec<Received> = Vec::new();
        let mut with_file = VecDeque::new();
        for _ in 0..LAST_DATAGRAMS {
            let Some(received) = self.receive(&mut buffer) else { break };
            if !is_heard(received.peer) {
                continue;
            }
            if !received.datagram.files.is_empty() {
                with_file.push_back(left.len());
            }
            left.push(received);
            if with_file.len() > LAST_FILES
                && let Some(superseded) = with_file.pop_front().and_then(|index| left.get_mut(index))
            {
                superseded.datagram.files.clear();
            }
        }
        left
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<Received> {
        let datagram = self.socket.receive(buffer)?;
        Some(Received { peer: datagram.peer, bytes: buffer[..datagram.length].to_vec(), datagram })
    }
}

impl Received {
    /// Reads it. Some: where the sender waits for a reply.
    pub fn read(mut self) -> (Message, Option<ReplyChannel>) {
        let message = self.message();
        // Those that are left are closed now.
        let channel = if message.wants_reply { self.datagram.files.pop() } else { None };
        (message, channel.map(ReplyChannel))
    }

    fn message(&self) -> Message {
        if self.datagram.truncated {
            return Message::refused("it is longer than 64 KiB; longer values go through a memory file");
        }
        Message::read(&self.bytes, || {
            let file = self.datagram.files.first();
            let content = file.map(|file| datagrams::read_sealed(file.as_fd(), VALUE_LIMIT));
            content.transpose()?.flatten().ok_or_else(|| "no memory file came with it".to_owned())
        })
    }

    /// Refuses it unread. The sender is told where it waits for a reply.
    pub fn refuse(mut self, reason: &str) {
        if let Some(channel) = self.datagram.files.pop() {
            ReplyChannel(channel).send(&Reply { refused: vec![reason.to_owned()] });
        }
    }
}

impl ReplyChannel {
    /// Never waits.
    pub fn send(&self, reply: &Reply) {
        datagrams::reply(self.0.as_fd(), &reply.bytes());
    }
}

fn name(job_id: &str) -> String {
    format!("runner/{job_id}")
}
