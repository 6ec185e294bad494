//! The course of a post: what to make of an answer, when to try again and when to give up.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Method;
use ureq::http::header::{HeaderName, HeaderValue};

use super::Post;
use super::body::Body;
use super::request::{self, Reply};
use crate::model::envelope::ErrorCode;
use crate::model::unique_id::unique_id;
use crate::ops::http::{Address, Heard, Limits, Speed, Trouble, TroubleKind, pause, refusal, status_text};
use crate::ops::reporting::share;
use crate::ops::{Context, Failure};
use crate::time::clock::Moment;

/// So many characters of an answer stand in a message.
const QUOTE_LIMIT: usize = 200;

/// A post under way.
pub(super) struct Delivery {
    url: String,
    address: Address,
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    limits: Limits,
    retries: u32,
    retry_delay: Duration,
    body: Body,
    attempts: u64,
    last_error: Option<String>,
    /// The most that was ever sent: whoever looks at the progress sees no step back.
    furthest: u64,
    /// What the speed has been told of.
    counted: u64,
    speed: Speed,
}

/// Why an attempt did not do it.
enum Setback {
    /// It would be the same again.
    Final(Failure),
    /// Another attempt may do better, after the pause that the server asked for.
    Again { text: String, pause: Option<Duration> },
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

impl Delivery {
    pub(super) fn new(post: &Post, address: Address, headers: Vec<(HeaderName, HeaderValue)>) -> Result<Self, Failure> {
        Ok(Self {
            url: post.shown_url(),
            address,
            method: post.method.method(),
            headers,
            limits: Limits { connect: post.connect_timeout.0, silence: post.stall_timeout.0, answer: None },
            retries: post.retries,
            retry_delay: post.retry_delay.0,
            body: Body::of(post.body.as_ref())?,
            attempts: 0,
            last_error: None,
            furthest: 0,
            counted: 0,
            speed: Speed::default(),
        })
    }

    /// Sends it, and gives the result.
    pub(super) fn carry_out(mut self, context: &mut Context) -> Result<Value, Failure> {
        let reply = self.deliver(context);
        context.partial_now(&self.partial());
        let reply = reply?;
        let mut report = self.partial();
        report["status"] = Value::from(reply.status);
        report["answer"] = Value::from(reply.text);
        Ok(report)
    }

    /// Tries until it is done, or there is no point in going on.
    fn deliver(&mut self, context: &mut Context) -> Result<Reply, Failure> {
        let retries = if self.body.is_repeatable() { self.retries } else { 0 };
        let mut failures = 0;
        loop {
            context.status(format!("connecting to {}", self.address.uri().host().unwrap_or_default()));
            self.attempts += 1;
            let (text, asked) = match self.attempt(context) {
                Ok(reply) => return Ok(reply),
                Err(Setback::Final(failure)) => return Err(failure),
                Err(Setback::Again { text, pause }) => (text, pause),
            };
            failures += 1;
            self.last_error = Some(text.clone());
            if failures > retries {
                let count = if failures == 1 { String::new() } else { format!(" ({failures} attempts)") };
                let remedy = "Try again later, or with more --retries";
                return Err(self.failure(ErrorCode::ServiceUnavailable, format!("{text}{count}"), remedy));
            }
            let chance = unique_id().as_u128() as u32;
            let wait = asked.unwrap_or_else(|| pause(self.retry_delay, failures, chance));
            if context.deadline().is_some_and(|left| left <= wait) {
                let text = format!("{text}; the next attempt would be in {} s, when no time is left", wait.as_secs());
                return Err(self.failure(ErrorCode::ServiceUnavailable, text, "Try again later, or with more time"));
            }
            context.status(format!("trying again in {:.1} s ({text})", wait.as_secs_f64()));
            context.partial_now(&self.partial());
            context.pause(wait)?;
        }
    }

    fn attempt(&mut self, context: &mut Context) -> Result<Reply, Setback> {
        self.counted = 0;
        let errand = request::send(self.limits, self.method.clone(), &self.address, &self.headers, &self.body)?;
        loop {
            let heard = errand.next(context)?;
            self.report(context);
            match heard {
                Heard::Event(Ok(reply)) => return self.judge(reply),
                Heard::Event(Err(trouble)) => return Err(self.trouble(trouble)),
                Heard::Nothing => {}
                Heard::End => {
                    return Err(Setback::Again { text: "the connection was given up".to_owned(), pause: None });
                }
            }
        }
    }

    /// Makes of the answer what it is.
    fn judge(&mut self, reply: Reply) -> Result<Reply, Setback> {
        let status = reply.status;
        if (200..=299).contains(&status) {
            return Ok(reply);
        }
        let mut text = status_text(status);
        if let Some(location) = reply.location {
            text.push_str(&format!(", a redirect to {location}, which would make a GET of it"));
            return Err(self.final_failure(ErrorCode::DependencyError, text, "Give the URL that it redirects to"));
        }
        let quoted = quote(&reply.text);
        if !quoted.is_empty() {
            text.push_str(&format!(": {quoted}"));
        }
        let (code, is_passing) = refusal(status);
        if is_passing {
            let pause = reply.retry_after.filter(|pause| matches!(status, 429 | 503) && !pause.is_zero());
            return Err(Setback::Again { text, pause });
        }
        let remedy = match code {
            ErrorCode::NotFound => "Check the URL",
            ErrorCode::AuthorizationDenied => {
                "Check the credentials: --header 'Authorization: ...', or those of the proxy"
            }
            _ => "Check what the server says, and whether it takes this method, type and body",
        };
        Err(self.final_failure(code, text, remedy))
    }

    fn trouble(&mut self, trouble: Trouble) -> Setback {
        match trouble.kind {
            TroubleKind::Transient => Setback::Again { text: trouble.text, pause: None },
            TroubleKind::Forbidden => {
                let remedy = "Check the credentials of the proxy, and whether it allows this server";
                self.final_failure(ErrorCode::AuthorizationDenied, trouble.text, remedy)
            }
            TroubleKind::Lasting => {
                let remedy = "Check the body, and look at the URL with another client";
                self.final_failure(ErrorCode::DependencyError, trouble.text, remedy)
            }
        }
    }

    fn final_failure(&mut self, code: ErrorCode, text: String, remedy: &str) -> Setback {
        let failure = self.failure(code, &text, remedy);
        self.last_error = Some(text);
        Setback::Final(failure)
    }

    fn failure(&self, code: ErrorCode, text: impl AsRef<str>, remedy: &str) -> Failure {
        Failure::new(code, format!("cannot post to {}: {}", self.url, text.as_ref()), remedy).about(&self.url)
    }

    fn report(&mut self, context: &mut Context) {
        let sent = self.body.sent();
        self.furthest = self.furthest.max(sent);
        // A redirect begins anew.
        self.speed.add(sent.saturating_sub(self.counted), Moment::at(context.elapsed()));
        self.counted = sent;
        if let Some(whole) = self.body.length().filter(|whole| *whole > 0) {
            // It is not done before the server has said so.
            let (done, whole) = share((0, 1), (self.furthest.min(whole), whole));
            context.report_step(done, whole, || (self.speed.status(sent, self.body.length()), self.partial()));
        } else if context.report_is_due() {
            context.status(self.speed.status(sent, None));
            context.partial_now(&self.partial());
        }
    }

    fn partial(&self) -> Value {
        json!({
            "url": self.url,
            "bytes_sent": self.body.sent(),
            "total_bytes": self.body.length(),
            "attempts": self.attempts,
            "last_error": self.last_error,
        })
    }
}

/// How an answer begins, on one line.
fn quote(text: &str) -> String {
    let line = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let line = line.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTE_LIMIT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn an_answer_is_quoted_on_one_line_and_cut() {
        assert_eq!(quote("  no\r\n such\thook\u{1b}[0m "), "no such hook [0m");
        assert_eq!(quote(" \n"), "");
        let long = quote(&"ä".repeat(1000));
        assert_eq!(long.chars().count(), 201);
        assert!(long.ends_with("ä…"));
    }
}
