//! One attempt of `wait-for`: asks whether a target holds, once, within a bounded time.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

use regex_lite::Regex;

use super::target::{Kind, Target};
use super::watcher::{Finding, Watch};
use super::{invalid, watcher};
use crate::error::{Result, plain};
#[cfg(feature = "fetch")]
use crate::ops::http::{Address, Client, Limits};
use crate::platform::probe::{self, LineEnd, Watched};
use crate::time::clock::Clock;

/// How long an attempt to connect may take, unless the interval is longer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an HTTP answer or a shell line may take, unless the interval is longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How much later than a shell line that a signal ended the order to stop may be heard.
const ORDER_TO_STOP: Duration = Duration::from_millis(250);
/// How much of a body is looked at.
#[cfg(feature = "fetch")]
const BODY_LIMIT: u64 = 1 << 20;

/// What an HTTP answer must be like.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "fetch"), expect(dead_code, reason = "read in every build, so that each refuses the same"))]
pub(super) struct Expectation {
    status: Vec<(u16, u16)>,
    body: Option<Regex>,
}

impl Expectation {
    pub(super) fn parse(status: Option<&str>, body: Option<&str>) -> Result<Self> {
        let wrong = |part: &str| {
            invalid(
                "--status",
                format!("'{part}' is no HTTP status and no range of them"),
                "Give numbers from 100 to 999 and ranges, such as --status 200-299,304".to_owned(),
            )
        };
        let number = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten().filter(|status| *status >= 100)
        };
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = number(first.trim()).zip(number(last.trim())).ok_or_else(|| wrong(part))?;
            if first <= last { Ok((first, last)) } else { Err(wrong(part)) }
        };
        let status = status.unwrap_or("200-299").split(',').map(|part| range(part.trim())).collect::<Result<_>>()?;
        let body = body.map(|pattern| {
            Regex::new(pattern).map_err(|error| {
                let message = format!("'{pattern}' is no regular expression: {error}");
                invalid("--body", message, "Quote what is meant literally with a backslash".to_owned())
            })
        });
        Ok(Self { status, body: body.transpose()? })
    }

    #[cfg(feature = "fetch")]
    fn status_counts(&self, status: u16) -> bool {
        self.status.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

/// Asks for one target.
pub(super) struct Probe {
    target: Target,
    connect_limit: Duration,
    answer_limit: Duration,
    process: Option<Watched>,
    #[cfg(feature = "fetch")]
    client: Option<Client>,
}

impl Probe {
    pub(super) fn new(target: Target, watch: &watcher::Watch) -> Self {
        let (connect_limit, answer_limit) = (CONNECT_LIMIT.max(watch.interval), ANSWER_LIMIT.max(watch.interval));
        let process = if let Kind::Pid(pid) = target.kind { Some(Watched::process(pid)) } else { None };
        #[cfg(feature = "fetch")]
        let client = target
            .is_http()
            .then(|| Client::new(Limits { connect: connect_limit, silence: answer_limit, answer: Some(answer_limit) }));
        Self {
            target,
            connect_limit,
            answer_limit,
            process,
            #[cfg(feature = "fetch")]
            client,
        }
    }

    /// Whether it starts processes, which must not outlive it.
    pub(super) fn has_processes(&self) -> bool {
        matches!(self.target.kind, Kind::Line(_))
    }

    /// Asks once.
    pub(super) fn ask(&mut self, watch: &Watch) -> Finding {
        let result = match &self.target.kind {
            Kind::Tcp { host, port } => connect(host, *port, self.connect_limit, watch),
            #[cfg(feature = "fetch")]
            Kind::Http(address) => match &mut self.client {
                Some(client) => answer(client, address, &watch.expectation),
                None => Err("there is no HTTP client".to_owned()),
            },
            Kind::Unix(path) => probe::connect_to_socket(path).map_err(|error| reason(&error)),
            Kind::Exists(path) => std::fs::metadata(path).map(drop).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => "it does not exist".to_owned(),
                _ => reason(&error),
            }),
            Kind::Gone(path) => match std::fs::symlink_metadata(path) {
                Ok(_) => Err("it exists".to_owned()),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
                Err(error) => Err(reason(&error)),
            },
            Kind::Pid(_) => match &self.process {
                Some(process) if !process.has_ended() => Err("it is running".to_owned()),
                _ => Ok(()),
            },
            Kind::Line(line) => match probe::shell_line(line, self.answer_limit, watch.stop.as_fd()) {
                Ok(end) => {
                    if matches!(end, LineEnd::Signal(_)) {
                        // Most likely the signal that ends this operation, which reaches its processes in any order.
                        watch.pause(ORDER_TO_STOP);
                    }
                    line_result(end, self.answer_limit)
                }
                // Without a shell no line can ever succeed; with too many processes, one may later.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
                    return Finding::Never(format!("cannot run the shell: {}", reason(&error)));
                }
                Err(error) => Err(format!("cannot run the shell: {}", reason(&error))),
            },
        };
        match result {
            Ok(()) => Finding::Holds,
            Err(error) => Finding::Not(error),
        }
    }
}

/// Connects to an address of the host, whichever answers.
fn connect(host: &str, port: u16, limit: Duration, watch: &Watch) -> std::result::Result<(), String> {
    let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(|error| reason(&error))?.collect();
    let until = watch.clock.now() + limit;
    let mut last = "the name has no address".to_owned();
    for (at, address) in addresses.iter().enumerate() {
        // Each address has its share of what is left, so that one that swallows packets does not hide the next.
        let share = (until - watch.clock.now()) / (addresses.len() - at).max(1) as u32;
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            // On one machine, a connection from the very port that it leads to reaches itself: tcp(7), simultaneous open.
            Ok(stream) if stream.local_addr().is_ok_and(|local| local == *address) => {
                "connection refused".clone_into(&mut last);
            }
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => "no answer".clone_into(&mut last),
            Err(error) => last = reason(&error),
        }
    }
    Err(last)
}

#[cfg(feature = "fetch")]
fn answer(client: &mut Client, address: &Address, expectation: &Expectation) -> std::result::Result<(), String> {
    use std::io::Read;

    let answer =
        client.get(address, &[], |status| expectation.status_counts(status)).map_err(|trouble| trouble.text)?;
    if !expectation.status_counts(answer.status) {
        return Err(format!("HTTP status {}", answer.status));
    }
    let Some(pattern) = &expectation.body else { return Ok(()) };
    let mut body = Vec::new();
    let mut reader = answer.body.into_reader().take(BODY_LIMIT);
    let read = reader.read_to_end(&mut body);
    // What came may be enough, also where the rest did not come.
    if pattern.is_match(&String::from_utf8_lossy(&body)) {
        return Ok(());
    }
    Err(read.map_or_else(|error| crate::ops::http::reason(&error), |_| "the body does not match".to_owned()))
}

fn line_result(end: LineEnd, limit: Duration) -> std::result::Result<(), String> {
    match end {
        LineEnd::Code(0) => Ok(()),
        LineEnd::Code(code) => Err(format!("exit code {code}")),
        LineEnd::Signal(signal) => Err(format!("killed by {signal}")),
        LineEnd::TooSlow => Err(format!("no end within {} seconds", limit.as_secs_f64())),
        LineEnd::Stopped => Err("stopped".to_owned()),
    }
}

/// The error of the system as the part of a sentence.
fn reason(error: &io::Error) -> String {
    let text = plain(error);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text,
    }
}
