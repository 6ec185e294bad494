//! One request of a post, on a thread of its own, and what came of it.

use std::io::{self, Read};
use std::time::Duration;

use ureq::http::Method;
use ureq::http::header::{HeaderName, HeaderValue};

use super::body::Body;
use crate::ops::Failure;
use crate::ops::address;
use crate::ops::http::{Address, Client, Errand, Limits, Trouble, retry_after};

/// So much is kept of what the server says.
const ANSWER_LIMIT: usize = 4 << 10;

/// What the server answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// Where it redirects to, as people get to see it.
    pub(super) location: Option<String>,
    pub(super) text: String,
}

/// Sends it. There is one event.
pub(super) fn send(
    limits: Limits,
    method: Method,
    address: &Address,
    headers: &[(HeaderName, HeaderValue)],
    body: &Body,
) -> Result<Errand<Result<Reply, Trouble>>, Failure> {
    let (address, headers, mut body) = (address.clone(), headers.to_vec(), body.clone());
    Errand::start(move |voice| {
        let answer = Client::new(limits).send(&method, &address, &headers, &mut body);
        voice.say(answer.map(|answer| Reply {
            status: answer.status,
            retry_after: retry_after(&answer.headers),
            location: answer.destination().map(|to| address::shown(&to.to_string())),
            text: beginning(answer.body.into_reader()),
        }));
    })
}

/// What a text begins with. One that breaks off has been answered all the same.
fn beginning(reader: impl Read) -> String {
    let mut bytes = Vec::new();
    let mut reader = reader.take(ANSWER_LIMIT as u64);
    while let Err(error) = reader.read_to_end(&mut bytes) {
        if error.kind() != io::ErrorKind::Interrupted {
            break;
        }
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    // A character that was cut at the limit is shown as one that is wrong, which is longer.
    text.truncate(text.floor_char_boundary(ANSWER_LIMIT));
    text
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_LIMIT, beginning};

    #[test]
    fn a_long_answer_is_kept_up_to_the_limit() {
        assert_eq!(beginning(&b"short"[..]), "short");
        for letter in ["a", "ä", "€", "\u{FFFD}"] {
            let text = beginning(format!("x{}", letter.repeat(ANSWER_LIMIT)).as_bytes());
            assert!(text.len() <= ANSWER_LIMIT && text.len() > ANSWER_LIMIT - 4, "{}", text.len());
        }
    }
}
