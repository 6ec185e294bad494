//! One request of a download, on a thread of its own: whatever the network does, the operation goes on reporting and
//! hears the order to stop.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use ureq::http::header::{HeaderName, HeaderValue};

use super::answer::Facts;
use crate::error::Error;
use crate::ops::http::{Address, Client, Limits, Trouble, reason};
use crate::ops::{Context, Failure};
use crate::platform::doorbell::Doorbell;
use crate::platform::poller;

/// How much is read at once.
const CHUNK: usize = 128 << 10;
/// How many chunks may wait to be written.
const WAITING: usize = 8;
/// How often the operation wakes to report, where nothing comes.
const REPORT: Duration = Duration::from_millis(250);

/// What came of the request, in this order: facts, bytes and an end; or trouble.
pub(super) enum Event {
    Answered(Facts),
    Bytes(Vec<u8>),
    /// The body is complete, as far as the connection can tell.
    Ended,
    /// The connection broke in the body, and how.
    Broken(String),
    /// There was no answer.
    Trouble(Trouble),
}

/// A request that is under way. Dropping it gives it up.
pub(super) struct Connection {
    events: Receiver<Event>,
    bell: Arc<Doorbell>,
}

impl Connection {
    pub(super) fn open(
        limits: Limits,
        address: &Address,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self, Failure> {
        let bell = Arc::new(Doorbell::new()?);
        let (sender, events) = sync_channel(WAITING);
        let voice = Voice { sender, bell: Arc::clone(&bell) };
        let address = address.clone();
        let thread = thread::Builder::new().name("connection".to_owned());
        thread
            .spawn(move || speak(limits, &address, &headers, &voice))
            .map_err(|error| Failure::from(Error::system("start a thread")(error)))?;
        Ok(Self { events, bell })
    }

    /// The next event; None where nothing came for a while. Fails as soon as there is an order to stop.
    pub(super) fn next(&self, context: &Context) -> Result<Option<Event>, Failure> {
        context.check()?;
        match self.events.try_recv() {
            Ok(event) => return Ok(Some(event)),
            Err(TryRecvError::Disconnected) => {
                return Ok(Some(Event::Broken("the connection was given up".to_owned())));
            }
            Err(TryRecvError::Empty) => {}
        }
        poller::await_any_readable(&[self.bell.as_fd(), context.cancel().descriptor()], REPORT);
        self.bell.clear();
        context.check()?;
        Ok(self.events.try_recv().ok())
    }
}

/// How the thread is heard.
struct Voice {
    sender: SyncSender<Event>,
    bell: Arc<Doorbell>,
}

impl Voice {
    /// True while somebody listens.
    fn say(&self, event: Event) -> bool {
        let heard = self.sender.send(event).is_ok();
        self.bell.ring();
        heard
    }
}

fn speak(limits: Limits, address: &Address, headers: &[(HeaderName, HeaderValue)], voice: &Voice) {
    let answer = match Client::new(limits).get(address, headers, |_| false) {
        Ok(answer) => answer,
        Err(trouble) => {
            voice.say(Event::Trouble(trouble));
            return;
        }
    };
    let mut heard = voice.say(Event::Answered(Facts::of(answer.status, &answer.headers)));
    let mut body = answer.body.into_reader();
    while heard {
        let mut chunk = vec![0; CHUNK];
        heard = match body.read(&mut chunk) {
            Ok(0) => {
                voice.say(Event::Ended);
                return;
            }
            Ok(length) => {
                chunk.truncate(length);
                voice.say(Event::Bytes(chunk))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) => {
                voice.say(Event::Broken(reason(&error)));
                return;
            }
        };
    }
}
