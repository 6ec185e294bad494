//! HTTP as a client, for `fetch`, `post` and `wait-for`: one request, with redirects and proxies, and errors in words.
//!
//! Speaks through ureq. Redirects are followed here, so that each step goes through the proxy that is meant for it and
//! no other host gets to see credentials.

mod address;
mod content;
mod date;
mod errand;
pub(super) mod given;
mod pace;
mod proxies;
mod status;
mod transport;

use std::io;
use std::time::Duration;

use ureq::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ureq::http::{Method, Request};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody, Timeout};

use crate::error::plain;

pub(super) use address::Address;
use content::Unreadable;
pub(super) use content::{Content, Portion};
pub(super) use date::seconds_since_epoch;
pub(super) use errand::{Errand, Heard, Voice};
pub(super) use pace::{Speed, pause, retry_after};
use proxies::{Proxies, Route};
pub(super) use status::{refusal, status_text};

/// How many redirects are followed in a row.
const REDIRECT_LIMIT: u32 = 10;
/// The headers that go with a redirect to another host. Any other may hold a secret, whatever it is called.
const PUBLIC_HEADERS: [HeaderName; 3] = [header::RANGE, header::IF_RANGE, header::CONTENT_TYPE];

/// Something is wrong with the request itself.
const UNMADE: &str = "the request cannot be made";

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
    /// Who gave it.
    asked: Address,
}

impl Answer {
    /// Where it redirects to, where that is on the web.
    pub(super) fn destination(&self) -> Option<Address> {
        self.asked.resolve(&self.redirect()?).ok()
    }

    /// The location of a redirect. Servers send letters beyond ASCII as they are, in whichever encoding.
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
            let answer = self.ask(Method::GET, &current, &headers, SendBody::none())?;
            let Some(location) = answer.redirect().filter(|_| !is_wanted(answer.status)) else {
                return Ok(answer);
            };
            let next = next_hop(&current, &location, &mut headers)?;
            current = next;
        }
        Err(Trouble::lasting(format!("more than {REDIRECT_LIMIT} redirects")))
    }

    /// The answer to a request that sends something. A redirect that asks for the same once more is followed, and the
    /// content sent again; any other would make a GET of it (RFC 9110, section 15.4), and is the answer.
    pub(super) fn send(
        &mut self,
        method: &Method,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
        content: &mut dyn Content,
    ) -> Result<Answer, Trouble> {
        let mut current = address.clone();
        let mut headers = headers.to_vec();
        for _ in 0..=REDIRECT_LIMIT {
            let Portion { reader, length } = content.open().map_err(Trouble::lasting)?;
            let own = length.map(|length| (header::CONTENT_LENGTH, HeaderValue::from(length)));
            let all: Vec<_> = headers.iter().cloned().chain(own).collect();
            let answer = self.ask(method.clone(), &current, &all, SendBody::from_owned_reader(reader))?;
            let Some(location) = answer.redirect().filter(|_| matches!(answer.status, 307 | 308)) else {
                return Ok(answer);
            };
            current = next_hop(&current, &location, &mut headers)?;
        }
        Err(Trouble::lasting(format!("more than {REDIRECT_LIMIT} redirects")))
    }

    fn ask(
        &mut self,
        method: Method,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
        body: SendBody<'_>,
    ) -> Result<Answer, Trouble> {
        let route = self.proxies.route(address).map_err(Trouble::lasting)?;
        let mut request = Request::builder().method(method).uri(address.uri().clone());
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
        let request = request.body(body).map_err(|_| Trouble::lasting(UNMADE))?;
        let (parts, body) = self.agent(&route).run(request).map_err(|error| trouble(&error))?.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body, asked: address.clone() })
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

/// Where a redirect leads. Headers that may be secrets do not go to another host.
fn next_hop(
    current: &Address,
    location: &str,
    headers: &mut Vec<(HeaderName, HeaderValue)>,
) -> Result<Address, Trouble> {
    let next = current
        .resolve(location)
        .map_err(|problem| Trouble::lasting(format!("a redirect leads to an address that {problem}")))?;
    if !next.has_origin_of(current) {
        headers.retain(|(name, _)| PUBLIC_HEADERS.contains(name));
    }
    Ok(next)
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
            if let Some(unreadable) = error.get_ref().and_then(|inner| inner.downcast_ref::<Unreadable>()) {
                return Trouble::lasting(unreadable.to_string());
            }
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
        _ => (UNMADE.to_owned(), TroubleKind::Lasting),
    };
    Trouble { text, kind }
}
