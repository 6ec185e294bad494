//! HTTP as a client, for `fetch` and `wait-for`: one GET, with redirects and proxies, and errors in words.
//!
//! Speaks through ureq. Redirects are followed here, so that each step goes through the proxy that is meant for it and
//! no other host gets to see credentials.

mod address;
mod date;
mod proxies;
mod transport;

use std::io;
use std::time::Duration;

use ureq::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

use crate::error::plain;

pub(super) use address::Address;
pub(super) use date::seconds_since_epoch;
use proxies::{Proxies, Route};

/// How many redirects are followed in a row.
const REDIRECT_LIMIT: u32 = 10;
/// The headers that go with a redirect to another host. Any other may hold a secret, whatever it is called.
const PUBLIC_HEADERS: [HeaderName; 2] = [header::RANGE, header::IF_RANGE];

/// How long it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// To look up a name, and to connect.
    pub(super) connect: Duration,
    /// Without a byte, in whichever direction.
    pub(super) silence: Duration,
    /// The whole of one exchange.
    pub(super) answer: Option<Duration>,
}

/// An answer that is no redirect, or one that was asked for.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Answer {
    /// Where it redirects to. Servers send letters beyond ASCII as they are, in whichever encoding.
    fn redirect(&self) -> Option<String> {
        let location = self.headers.get(header::LOCATION).filter(|_| is_redirect(self.status))?;
        Some(address::escaped(location.as_bytes().trim_ascii()))
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) text: String,
    pub(super) kind: TroubleKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TroubleKind {
    /// Another attempt may do better.
    Transient,
    /// A proxy does not let us through.
    Forbidden,
    /// It would be the same again.
    Lasting,
}

impl Trouble {
    fn lasting(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: TroubleKind::Lasting }
    }
}

/// Asks servers. Connections are not kept: whoever asks again wants to know whether it can connect again.
pub(super) struct Client {
    limits: Limits,
    proxies: Proxies,
    /// One for each way that was taken, since the setup of TLS is costly.
    agents: Vec<(Route, Agent)>,
}

impl Client {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, proxies: Proxies::of_environment(), agents: Vec::new() }
    }

    /// The answer to GET, after redirects: up to one whose status is wanted for itself.
    pub(super) fn get(
        &mut self,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
        is_wanted: impl Fn(u16) -> bool,
    ) -> Result<Answer, Trouble> {
        let mut current = address.clone();
        let mut headers = headers.to_vec();
        for _ in 0..=REDIRECT_LIMIT {
            let answer = self.get_once(&current, &headers)?;
            let Some(location) = answer.redirect().filter(|_| !is_wanted(answer.status)) else {
                return Ok(answer);
            };
            let next = current
                .resolve(&location)
                .map_err(|problem| Trouble::lasting(format!("a redirect leads to an address that {problem}")))?;
            if !next.has_origin_of(&current) {
                headers.retain(|(name, _)| PUBLIC_HEADERS.contains(name));
            }
            current = next;
        }
        Err(Trouble::lasting(format!("more than {REDIRECT_LIMIT} redirects")))
    }

    fn get_once(&mut self, address: &Address, headers: &[(HeaderName, HeaderValue)]) -> Result<Answer, Trouble> {
        let route = self.proxies.route(address).map_err(Trouble::lasting)?;
        let mut request = self.agent(&route).get(address.uri().clone());
        let given = |name: HeaderName| headers.iter().any(|(other, _)| *other == name);
        if !given(header::ACCEPT_ENCODING) {
            // What is counted and summed is the file itself.
            request = request.header(header::ACCEPT_ENCODING, "identity");
        }
        if let Some(value) = address.authorization().filter(|_| !given(header::AUTHORIZATION)) {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(value) = route.authorization().filter(|_| !given(header::PROXY_AUTHORIZATION)) {
            request = request.header(header::PROXY_AUTHORIZATION, value);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let (parts, body) = request.call().map_err(|error| trouble(&error))?.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    fn agent(&mut self, route: &Route) -> Agent {
        if let Some((_, agent)) = self.agents.iter().find(|(other, _)| other == route) {
            return agent.clone();
        }
        let tunnel = if let Route::Tunnel(proxy) = route { Some(proxy.clone()) } else { None };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .proxy(tunnel)
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .user_agent(concat!("runner/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(self.limits.connect))
            .timeout_connect(Some(self.limits.connect))
            .timeout_per_read(Some(self.limits.silence))
            .timeout_per_write(Some(self.limits.silence))
            .timeout_per_call(self.limits.answer)
            .build();
        let agent = match route {
            Route::Handover(proxy) => transport::handover_agent(config, proxy),
            Route::Direct | Route::Tunnel(_) => transport::agent(config),
        };
        self.agents.push((route.clone(), agent.clone()));
        agent
    }
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Why a body could not be read, as the part of a sentence.
pub(super) fn reason(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(error) => trouble(error).text,
        None => system_reason(error),
    }
}

fn system_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        io::ErrorKind::UnexpectedEof => "the connection was closed early".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer".to_owned(),
        _ => plain(error),
    }
}

fn trouble(error: &ureq::Error) -> Trouble {
    let (text, kind) = match error {
        ureq::Error::Io(error) => {
            let text = system_reason(error);
            // A certificate that is wrong stays wrong.
            let lasting = text.contains("certificate");
            (text, if lasting { TroubleKind::Lasting } else { TroubleKind::Transient })
        }
        ureq::Error::Timeout(timeout) => {
            let text = match timeout {
                Timeout::Resolve => "the name of the host could not be looked up in time",
                Timeout::Connect => "no connection in time",
                _ => "no answer in time",
            };
            (text.to_owned(), TroubleKind::Transient)
        }
        ureq::Error::HostNotFound => ("the host was not found".to_owned(), TroubleKind::Transient),
        ureq::Error::ConnectionFailed => ("no connection".to_owned(), TroubleKind::Transient),
        ureq::Error::ConnectProxyFailed(reason) => {
            let refused = ["401", "403", "407"].iter().any(|status| reason.contains(status));
            let kind = if refused { TroubleKind::Forbidden } else { TroubleKind::Transient };
            (format!("the proxy makes no connection: {reason}"), kind)
        }
        ureq::Error::Rustls(error) => (format!("no secure connection: {error}"), TroubleKind::Lasting),
        ureq::Error::Tls(reason) => (format!("no secure connection: {reason}"), TroubleKind::Lasting),
        ureq::Error::Protocol(error) => {
            let text = error.to_string();
            // The error's type is not ours to name. A line that is garbled may be a matter of the connection; headers that
            // the server makes are not.
            let lasting = ["too many headers", "content-length"].iter().any(|part| text.contains(part));
            let kind = if lasting { TroubleKind::Lasting } else { TroubleKind::Transient };
            (format!("the answer is no HTTP: {text}"), kind)
        }
        ureq::Error::LargeResponseHeader(..) => {
            ("the header of the answer is too large".to_owned(), TroubleKind::Lasting)
        }
        // What else there is concerns the request. Its text may repeat the URL, which is not to be seen.
        _ => ("the request cannot be made".to_owned(), TroubleKind::Lasting),
    };
    Trouble { text, kind }
}
