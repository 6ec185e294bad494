//! The connections below HTTP, in the two points in which the client library's own are not enough.
//!
//! A plain request is handed to a proxy with its whole URL (RFC 9112, section 3.2.2): the library goes through tunnels
//! alone, and many proxies allow those for https only. And a connection that breaks is an error: the library takes a
//! reset for the end of a body of unknown length, and half a file for a whole one.

use std::io;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, TcpConnector, Transport,
};
use ureq::{Agent, Proxy};

/// A client that asks servers directly, or through the tunnel that its configuration names.
pub(super) fn agent(config: Config) -> Agent {
    Agent::with_parts(config, DefaultConnector::new().chain(Strict), DefaultResolver::default())
}

/// A client whose every request is handed to this proxy.
pub(super) fn handover_agent(config: Config, proxy: &Proxy) -> Agent {
    let connector = ().chain(TcpConnector::default()).chain(Handover).chain(Strict);
    let resolver = ProxyAlone { proxy: proxy.uri().clone(), port: proxy.port(), inner: DefaultResolver::default() };
    Agent::with_parts(config, connector, resolver)
}

/// Looks up the proxy, whatever the server is called: it is the proxy that finds the server.
#[derive(Debug)]
struct ProxyAlone {
    proxy: Uri,
    port: u16,
    inner: DefaultResolver,
}

impl Resolver for ProxyAlone {
    fn resolve(&self, _: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.inner.resolve(&self.proxy, config, timeout)?;
        // The port of a proxy that names none is not that of its scheme for every scheme.
        addresses.iter_mut().for_each(|address| address.set_port(self.port));
        Ok(addresses)
    }
}

#[derive(Debug)]
struct Handover;

impl<In: Transport> Connector<In> for Handover {
    type Out = Named<In>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Named<In>>, Error> {
        let authority = details.uri.authority().map_or("", |authority| authority.as_str());
        let prefix = format!("http://{authority}");
        Ok(chained.map(|inner| Named { inner, prefix: Some(prefix) }))
    }
}

/// A connection whose first line names the server.
#[derive(Debug)]
struct Named<In> {
    inner: In,
    prefix: Option<String>,
}

impl<In: Transport> Transport for Named<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Some(prefix) = self.prefix.take() else { return self.inner.transmit_output(amount, timeout) };
        let output = self.inner.buffers().output();
        // Behind the method and its space. The whole line is there, since it is never written in parts.
        let Some(at) = output[..amount].iter().position(|byte| *byte == b' ').map(|at| at + 1) else {
            return Err(Error::BadUri("no request line".to_owned()));
        };
        if amount + prefix.len() > output.len() {
            return Err(Error::BadUri("too long for a proxy".to_owned()));
        }
        output.copy_within(at..amount, at + prefix.len());
        output[at..at + prefix.len()].copy_from_slice(prefix.as_bytes());
        self.inner.transmit_output(amount + prefix.len(), timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}

#[derive(Debug)]
struct Strict;

impl<In: Transport> Connector<In> for Strict {
    type Out = StrictTransport<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<StrictTransport<In>>, Error> {
        Ok(chained.map(StrictTransport))
    }
}

/// A connection on which a break cannot be taken for an end.
#[derive(Debug)]
struct StrictTransport<In>(In);

impl<In: Transport> Transport for StrictTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(timeout).map_err(|error| match error {
            // Of TLS it is known that the other side did not say goodbye (RFC 8446, section 6.1).
            Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => broken("the connection was reset"),
                io::ErrorKind::UnexpectedEof => broken("the connection was closed early"),
                _ => Error::Io(error),
            },
            other => other,
        })
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// Of a kind that the library does not interpret.
fn broken(text: &'static str) -> Error {
    Error::Io(io::Error::other(text))
}
