//! One request of a download, on a thread of its own, and what is heard of it.

use std::io::{self, Read};

use ureq::http::header::{HeaderName, HeaderValue};

use super::answer::Facts;
use crate::ops::http::{Address, Client, Errand, Heard, Limits, Trouble, Voice, reason};
use crate::ops::{Context, Failure};

/// How much is read at once.
const CHUNK: usize = 128 << 10;

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
pub(super) struct Connection(Errand<Event>);

impl Connection {
    pub(super) fn open(
        limits: Limits,
        address: &Address,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self, Failure> {
        let address = address.clone();
        Errand::start(move |voice| speak(limits, &address, &headers, voice)).map(Self)
    }

    /// The next event; None where nothing came for a while. Fails as soon as there is an order to stop.
    pub(super) fn next(&self, context: &Context) -> Result<Option<Event>, Failure> {
        Ok(match self.0.next(context)? {
            Heard::Event(event) => Some(event),
            Heard::Nothing => None,
            Heard::End => Some(Event::Broken("the connection was given up".to_owned())),
        })
    }
}

fn speak(limits: Limits, address: &Address, headers: &[(HeaderName, HeaderValue)], voice: &Voice<Event>) {
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
