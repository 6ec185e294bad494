//! What one job tells us: its socket, the last of everything that it said, and what follows from it.
//!
//! Only the job calls it; what an extension comes to is the machine's to decide.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::control::inlet::{Inlet, Received, ReplyChannel};
use crate::control::message::{Message, Reply, Said};
use crate::model::event::Event;
use crate::model::outcome::{Extensions, Progress, Told};
use crate::platform::datagrams::Peer;
use crate::platform::procfs;
use crate::platform::tree::Tree;

/// How often a process is looked for below a job's guard.
const LINEAGE_LOOKS: u32 = 3;

/// Our end of the conversation with one job.
#[derive(Debug)]
pub(super) struct Listening {
    inlet: Option<Inlet>,
    /// A built-in operation may say how it ended; a command has its exit code for that.
    operation: bool,
    pub(super) told: Told,
    pub(super) extensions: Extensions,
    /// Why the last extension was refused, until the sender was told.
    pub(super) refused_extension: Option<&'static str>,
    /// Users, beside our own and root, of whom a process of the job has spoken.
    users: BTreeSet<u32>,
}

/// What follows from one message.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// To be told to renderers.
    pub(super) events: Vec<Event>,
    /// The job needs so long from now on.
    pub(super) extend: Option<Duration>,
    /// Some of it was understood, so the job lives.
    pub(super) understood: bool,
    /// Bytes that were read: what it cost.
    pub(super) size: usize,
    /// What was refused of it, and where the sender waits to be told.
    reply: Option<(ReplyChannel, Reply)>,
}

impl Heard {
    /// Tells the sender what was refused, where it waits for that.
    pub(super) fn reply(&mut self, refused_extension: Option<&'static str>) {
        if let Some((channel, mut reply)) = self.reply.take() {
            reply.refused.extend(refused_extension.map(|reason| format!("no more time is given: {reason}")));
            channel.send(&reply);
        }
    }
}

impl Listening {
    pub(super) fn new(inlet: Option<Inlet>, operation: bool) -> Self {
        Self {
            inlet,
            operation,
            told: Told::default(),
            extensions: Extensions::default(),
            refused_extension: None,
            users: BTreeSet::new(),
        }
    }

    /// Readable when the job said something.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inlet.as_ref().map(Inlet::descriptor)
    }

    /// Takes the next message. None where there is none now.
    pub(super) fn next(&mut self, tree: &Tree) -> Option<Heard> {
        let received = self.inlet.as_ref()?.next()?;
        Some(self.take(received, tree))
    }

    /// Takes all that is left when the job is over.
    pub(super) fn last(&mut self, tree: &Tree) -> Vec<Heard> {
        let Some(inlet) = &self.inlet else { return Vec::new() };
        let users = &mut self.users;
        let left = inlet.last(|peer| is_of_job(peer, tree, users));
        left.into_iter().map(|received| self.hear(received)).collect()
    }

    /// Takes a message from whoever sent it: one of a stranger is refused unread.
    pub(super) fn take(&mut self, received: Received, tree: &Tree) -> Heard {
        if is_of_job(received.peer, tree, &mut self.users) {
            return self.hear(received);
        }
        let mut heard = Heard::default();
        let reason = match received.peer {
            Some(Peer { pid, uid }) => format!("process {pid} of user {uid} is not of this job"),
            None => "its sender is not known".to_owned(),
        };
        received.refuse(&reason);
        self.refuse(reason, &mut heard);
        heard
    }

    fn hear(&mut self, received: Received) -> Heard {
        let (message, channel) = received.read();
        let Message { said, refused, size, wants_reply: _ } = message;
        let mut heard = Heard { understood: !said.is_empty(), size, ..Heard::default() };
        heard.reply = channel.map(|channel| (channel, Reply { refused: refused.clone() }));
        for said in said {
            self.note(said, &mut heard);
        }
        for reason in refused {
            self.refuse(reason, &mut heard);
        }
        heard
    }

    /// Progress that came another way.
    pub(super) fn note_progress(&mut self, progress: Progress) -> Event {
        self.told.progress = Some(progress);
        Event::ProgressReported(progress)
    }

    fn note(&mut self, said: Said, heard: &mut Heard) {
        match said {
            Said::Progress(progress) => heard.events.push(self.note_progress(progress)),
            Said::Status(text) => {
                self.told.status.clone_from(&text);
                heard.events.push(Event::StatusReported(text));
            }
            Said::Partial(value) => {
                self.told.partial = Some(value.clone());
                heard.events.push(Event::PartialReported(value));
            }
            Said::Extend(from_now) => heard.extend = Some(from_now),
            Said::Alive => {}
            Said::Stopping => heard.events.push(Event::StoppingReported),
            Said::Result(value) if self.operation => self.told.result = Some(value),
            Said::Failure(failure) if self.operation => self.told.failure = Some(failure),
            Said::Result(_) | Said::Failure(_) => {
                self.refuse("only a built-in operation has a result of that kind".to_owned(), heard);
            }
        }
    }

    fn refuse(&mut self, reason: String, heard: &mut Heard) {
        self.told.refused_messages += 1;
        heard.events.push(Event::MessageRefused { reason });
    }
}

/// Whether a message of this sender is one of the job.
///
/// Root and our own user are always heard. Of other users the processes of the job's tree are, as far as they live: the
/// uid guards against a pid that is somebody else's by now. One that has exited is heard where its user is that of a
/// process of the tree that lives or has spoken before, who could make that one speak anyway.
fn is_of_job(peer: Option<Peer>, tree: &Tree, users: &mut BTreeSet<u32>) -> bool {
    let Some(peer) = peer else { return false };
    if peer.is_trusted() {
        return true;
    }
    let lives = || procfs::users(peer.pid).is_some_and(|owners| owners.contains(&peer.uid));
    // A chain of parents may break while it is read: they exit, and it exits.
    let is_below = || procfs::lineage(peer.pid).is_some_and(|found| tree.holds(&found));
    let is_heard = (lives() && (0..LINEAGE_LOOKS).any(|_| is_below()))
        || (!lives() && (users.contains(&peer.uid) || tree.had(peer.pid) || tree.has_user(peer.uid)));
    if is_heard {
        users.insert(peer.uid);
    }
    is_heard
}
