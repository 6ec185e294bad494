//! What one job tells us: its socket, the last of everything that it said, and what follows from it.
//!
//! Only the job calls it; what an extension comes to is the machine's to decide.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::control::inlet::Inlet;
use crate::control::message::{Message, Said};
use crate::model::event::Event;
use crate::model::outcome::{Extensions, Progress, Told};

/// Our end of the conversation with one job.
#[derive(Debug)]
pub(super) struct Listening {
    inlet: Option<Inlet>,
    /// A built-in operation may say how it ended; a command has its exit code for that.
    operation: bool,
    pub(super) told: Told,
    pub(super) extensions: Extensions,
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
}

impl Listening {
    pub(super) fn new(inlet: Option<Inlet>, operation: bool) -> Self {
        Self { inlet, operation, told: Told::default(), extensions: Extensions::default() }
    }

    /// Readable when the job said something.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inlet.as_ref().map(Inlet::descriptor)
    }

    /// Takes the next message. None where there is none now.
    pub(super) fn next(&mut self) -> Option<Heard> {
        let message = self.inlet.as_ref()?.next()?;
        Some(self.hear(message))
    }

    /// Takes all that is left when the job is over.
    pub(super) fn last(&mut self) -> Vec<Heard> {
        let left = self.inlet.as_ref().map(Inlet::last).unwrap_or_default();
        left.into_iter().map(|message| self.hear(message)).collect()
    }

    fn hear(&mut self, message: Message) -> Heard {
        let Message { said, refused, size } = message;
        let mut heard = Heard { understood: !said.is_empty(), size, ..Heard::default() };
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
