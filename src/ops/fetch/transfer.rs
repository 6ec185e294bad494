//! The course of a download: what to ask for, what to make of the answer, when to try again and when to give up.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use ureq::http::header::{self, HeaderName, HeaderValue};

use super::Fetch;
use super::answer::Facts;
use super::connection::{Connection, Event};
use crate::model::envelope::ErrorCode;
use crate::model::unique_id::unique_id;
use crate::ops::http::{Address, Limits, Speed, Trouble, TroubleKind, pause, refusal, status_text};
use crate::ops::output::Output;
use crate::ops::{Context, Failure};
use crate::time::clock::Moment;

/// A download under way.
pub(super) struct Transfer {
    url: String,
    address: Address,
    headers: Vec<(HeaderName, HeaderValue)>,
    limits: Limits,
    retries: u32,
    retry_delay: Duration,
    wanted_sum: Option<String>,
    file: Value,
    destination: Output,
    state: State,
}

/// How far it is.
struct State {
    /// Bytes of the file that were written.
    bytes: u64,
    /// The most that it has ever been: only what goes beyond it is a step ahead.
    furthest: u64,
    whole: Option<u64>,
    /// The furthest progress that was reported: bytes, and of how many.
    progress: (u64, u64),
    sum: Sha256,
    /// It was put together from more than one answer, which may be of different files.
    is_joined: bool,
    facts: Facts,
    attempts: u64,
    resumed: u64,
    last_error: Option<String>,
    speed: Speed,
}

impl State {
    /// Takes in how far it is. A start from the beginning is no step back: whoever looks at the progress sees it go on
    /// from where it was.
    fn advance(&mut self) {
        let Some(whole) = self.whole.filter(|whole| *whole > 0) else { return };
        let (done, of) = self.progress;
        if u128::from(self.bytes) * u128::from(of) >= u128::from(done) * u128::from(whole) {
            self.progress = (self.bytes.min(whole), whole);
        }
    }
}

/// Why an attempt did not bring the whole file.
enum Setback {
    /// It would be the same again.
    Final(Failure),
    /// Another attempt may do better, after the pause that the server asked for.
    Again { text: String, code: ErrorCode, pause: Option<Duration> },
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

impl Setback {
    fn broken(text: impl Into<String>) -> Self {
        Self::Again { text: text.into(), code: ErrorCode::ServiceUnavailable, pause: None }
    }

    /// To be tried again at once: not the network failed, but the file is another.
    fn changed(text: &str) -> Self {
        Self::Again { text: text.to_owned(), code: ErrorCode::DependencyError, pause: Some(Duration::ZERO) }
    }
}

impl Transfer {
    pub(super) fn new(
        fetch: &Fetch,
        address: Address,
        headers: Vec<(HeaderName, HeaderValue)>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let destination = if fetch.is_to_stdout() {
            Output::standard_output()?
        } else {
            Output::open(fetch.output.as_path(), context)?
        };
        Ok(Self {
            url: fetch.shown_url(),
            address,
            headers,
            limits: Limits { connect: fetch.connect_timeout.0, silence: fetch.stall_timeout.0, answer: None },
            retries: fetch.retries,
            retry_delay: fetch.retry_delay.0,
            wanted_sum: fetch.sha256.as_ref().map(|sum| sum.to_ascii_lowercase()),
            file: serde_json::to_value(&fetch.output).expect("a path is always valid JSON"),
            destination,
            state: State {
                bytes: 0,
                furthest: 0,
                whole: None,
                progress: (0, 0),
                sum: Sha256::new(),
                is_joined: false,
                facts: Facts::default(),
                attempts: 0,
                resumed: 0,
                last_error: None,
                speed: Speed::default(),
            },
        })
    }

    /// Downloads the file and puts it in place.
    pub(super) fn carry_out(mut self, context: &mut Context) -> Result<Value, Failure> {
        let result = self.download(context);
        context.partial_now(&self.partial());
        let sum = result?;
        context.check()?;
        let mut report = self.partial();
        report["file"] = self.file;
        report["sha256"] = Value::from(sum);
        report["status"] = Value::from(self.state.facts.status);
        report["etag"] = Value::from(self.state.facts.etag.clone());
        self.destination.complete(context)?;
        Ok(report)
    }

    /// Tries until all is there, or there is no point in going on. Gives the file's sum.
    fn download(&mut self, context: &mut Context) -> Result<String, Failure> {
        let mut failures = 0;
        loop {
            context.status(format!("connecting to {}", self.address.uri().host().unwrap_or_default()));
            let before = self.state.furthest;
            self.state.attempts += 1;
            let (text, code, asked) = match self.attempt(context).and_then(|()| self.check_sum()) {
                Ok(sum) => return Ok(sum),
                Err(Setback::Final(failure)) => return Err(failure),
                Err(Setback::Again { text, code, pause }) => (text, code, pause),
            };
            failures = if self.state.furthest > before { 1 } else { failures + 1 };
            self.state.last_error = Some(text.clone());
            if failures > self.retries {
                let attempts = self.state.attempts;
                let count = if attempts == 1 { String::new() } else { format!(" ({attempts} attempts)") };
                return Err(self.failure(code, format!("{text}{count}"), "Try again later, or with more --retries"));
            }
            let chance = unique_id().as_u128() as u32;
            let wait = asked.unwrap_or_else(|| pause(self.retry_delay, failures, chance));
            context.status(format!("trying again in {:.1} s ({text})", wait.as_secs_f64()));
            context.partial_now(&self.partial());
            context.pause(wait)?;
        }
    }

    fn attempt(&mut self, context: &mut Context) -> Result<(), Setback> {
        let offset = self.offset()?;
        let connection = Connection::open(self.limits, &self.address, self.request(offset))?;
        let mut skip = 0;
        loop {
            match connection.next(context)? {
                Some(Event::Answered(facts)) => skip = self.accept(facts, offset)?,
                Some(Event::Bytes(bytes)) => {
                    let known = skip.min(bytes.len() as u64);
                    skip -= known;
                    self.take(&bytes[known as usize..], context)?;
                }
                Some(Event::Ended) => return self.ended(),
                Some(Event::Broken(text)) => return Err(self.broken(&text)),
                Some(Event::Trouble(trouble)) => return Err(self.trouble(trouble)),
                None => {}
            }
            self.report(context);
        }
    }

    /// The byte from which to ask. Where nothing tells whether the file is still the same, that is the first.
    fn offset(&mut self) -> Result<u64, Failure> {
        if self.state.bytes == 0 {
            return Ok(0);
        }
        // A wrong mixture would be found out by its sum.
        if self.state.facts.validator.is_none() && self.wanted_sum.is_none() {
            self.start_over("the server does not say whether the file is still the same")?;
        }
        Ok(self.state.bytes)
    }

    fn request(&self, offset: u64) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = self.headers.clone();
        if offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={offset}-")).expect("digits are valid in a header");
            headers.push((header::RANGE, range));
            let validator = self.state.facts.validator.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
            headers.extend(validator.map(|value| (header::IF_RANGE, value)));
        }
        headers
    }

    /// Makes of the answer what it is. Gives how many bytes of the body are to be skipped, because they are there.
    fn accept(&mut self, facts: Facts, offset: u64) -> Result<u64, Setback> {
        let known = std::mem::replace(&mut self.state.facts, facts);
        let facts = &self.state.facts;
        match facts.status {
            206 if offset > 0 => {
                let part = facts.part.filter(|part| part.first == offset);
                let same_whole =
                    part.is_some_and(|part| part.whole.zip(self.state.whole).is_none_or(|(now, before)| now == before));
                let same_etag = facts.etag.as_ref().zip(known.etag.as_ref()).is_none_or(|(now, before)| now == before);
                let Some(part) = part.filter(|_| same_whole && same_etag) else {
                    let text = if same_etag { "the server sends another part than asked for" } else { CHANGED };
                    self.start_over(text)?;
                    return Err(Setback::changed(text));
                };
                self.state.resumed += 1;
                self.state.is_joined = true;
                // An end that is not that of the file is one more break.
                self.state.whole = part.whole.or(self.state.whole).or(Some(part.last + 1));
                let (etag, validator) = (known.etag, known.validator);
                let facts = &mut self.state.facts;
                facts.etag = facts.etag.take().or(etag);
                facts.validator = facts.validator.take().or(validator);
                Ok(0)
            }
            206 => Err(self
                .failure(ErrorCode::DependencyError, "the server sends a part and was not asked for one", SERVER)
                .into()),
            416 if offset > 0 => {
                self.start_over(CHANGED)?;
                Err(Setback::changed(CHANGED))
            }
            200..=299 => {
                let length = facts.length;
                // A stream cannot take back what it was given, but it can leave out what it has.
                let is_same = facts.validator.is_some() && facts.validator == known.validator;
                let skip = if self.destination.is_stream() && is_same { self.state.bytes } else { 0 };
                if skip == 0 && self.state.bytes > 0 {
                    self.start_over(CHANGED)?;
                }
                self.state.whole = length;
                Ok(skip)
            }
            _ => {
                let (code, is_passing) = refusal(facts.status);
                let (text, pause) = (status_text(facts.status), facts.retry_after);
                let status = facts.status;
                // What is known of the file itself still holds.
                self.state.facts = Facts { status, ..known };
                if is_passing {
                    let pause = pause.filter(|_| matches!(status, 429 | 503)).filter(|pause| !pause.is_zero());
                    return Err(Setback::Again { text, code, pause });
                }
                let remedy = match code {
                    ErrorCode::NotFound => "Check the URL",
                    ErrorCode::AuthorizationDenied => {
                        "Check the credentials: --header 'Authorization: ...', or those of the proxy"
                    }
                    _ => SERVER,
                };
                self.state.last_error = Some(text.clone());
                Err(self.failure(code, text, remedy).into())
            }
        }
    }

    fn take(&mut self, bytes: &[u8], context: &Context) -> Result<(), Failure> {
        self.destination.write(bytes)?;
        let state = &mut self.state;
        state.sum.update(bytes);
        state.bytes += bytes.len() as u64;
        state.furthest = state.furthest.max(state.bytes);
        state.speed.add(bytes.len() as u64, Moment::at(context.elapsed()));
        Ok(())
    }

    /// The connection says that this was all.
    fn ended(&mut self) -> Result<(), Setback> {
        match self.state.whole {
            Some(whole) if self.state.bytes < whole => Err(self.broken("the connection was closed early")),
            Some(whole) if self.state.bytes > whole => {
                let text = "the server sends more than it said";
                self.start_over(text)?;
                Err(Setback::changed(text))
            }
            _ => {
                self.state.whole = Some(self.state.bytes);
                Ok(())
            }
        }
    }

    /// The connection broke in the middle of the file.
    fn broken(&self, text: &str) -> Setback {
        let bytes = self.state.bytes;
        Setback::broken(match self.state.whole {
            Some(whole) => format!("{text}, after {bytes} of {whole} bytes"),
            None => format!("{text}, after {bytes} bytes"),
        })
    }

    fn start_over(&mut self, why: &str) -> Result<(), Failure> {
        if self.state.bytes > 0 && !self.destination.start_over()? {
            let text = format!("{why}, and what was written cannot be taken back");
            return Err(self.failure(
                ErrorCode::DependencyError,
                text,
                "Give --output a regular file and run it again",
            ));
        }
        self.state.bytes = 0;
        self.state.is_joined = false;
        self.state.sum = Sha256::new();
        Ok(())
    }

    /// The sum of the file, where it is the right one. A wrong one is final only where the file came in one piece: parts
    /// may be of a file that changed in between.
    fn check_sum(&mut self) -> Result<String, Setback> {
        let digest = self.state.sum.clone().finalize();
        let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        match &self.wanted_sum {
            Some(wanted) if *wanted != sum => {
                let text = format!("its SHA-256 is {sum} and not {wanted}");
                self.state.last_error = Some(text.clone());
                if self.state.is_joined && self.retries > 0 && !self.destination.is_stream() {
                    self.start_over(CHANGED)?;
                    return Err(Setback::changed(&text));
                }
                let remedy = "Check the sum and the URL; nothing was put in place";
                Err(self.failure(ErrorCode::CommandFailed, text, remedy).into())
            }
            _ => Ok(sum),
        }
    }

    fn trouble(&mut self, trouble: Trouble) -> Setback {
        self.state.last_error = Some(trouble.text.clone());
        match trouble.kind {
            TroubleKind::Transient => Setback::broken(trouble.text),
            TroubleKind::Forbidden => {
                let remedy = "Check the credentials of the proxy, and whether it allows this server";
                self.failure(ErrorCode::AuthorizationDenied, trouble.text, remedy).into()
            }
            TroubleKind::Lasting => self.failure(ErrorCode::DependencyError, trouble.text, SERVER).into(),
        }
    }

    fn failure(&self, code: ErrorCode, text: impl AsRef<str>, remedy: &str) -> Failure {
        Failure::new(code, format!("cannot fetch {}: {}", self.url, text.as_ref()), remedy).about(&self.url)
    }

    fn report(&mut self, context: &mut Context) {
        if context.report_is_due() {
            self.state.advance();
            let (done, whole) = self.state.progress;
            context.progress(done, whole);
            context.status(self.state.speed.status(self.state.bytes, self.state.whole));
            context.partial_now(&self.partial());
        }
    }

    fn partial(&self) -> Value {
        let state = &self.state;
        json!({
            "url": self.url,
            "bytes": state.bytes,
            "total_bytes": state.whole,
            "attempts": state.attempts,
            "resumed": state.resumed,
            "last_error": state.last_error,
        })
    }
}

const CHANGED: &str = "the file on the server is not the one that was begun";
const SERVER: &str = "Look at the URL with another client; the server or the way to it is at fault";
