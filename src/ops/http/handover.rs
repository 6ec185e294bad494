//! A plain request that is handed to a proxy with its whole URL: RFC 9112, section 3.2.2.
//!
//! The client library goes through tunnels alone, and many proxies allow those for https only. So the connection is made
//! to the proxy here, and the line of the request gets the server's name on its way out.

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport};
use ureq::{Agent, Proxy};

/// A client whose every request is handed to this proxy.
pub(super) fn agent(config: Config, proxy: &Proxy) -> Agent {
    let connector = ().chain(TcpConnector::default()).chain(Handover);
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
