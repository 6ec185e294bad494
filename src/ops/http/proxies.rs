//! Which proxy a request goes through: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, as other programs read
//! them.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ureq::{Proxy, ProxyProtocol};

use super::Address;

/// The proxies that the environment names.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<Named>,
    https: Option<Named>,
    exceptions: Vec<String>,
}

/// A proxy and the variable that names it. The variable alone is shown: its value may hold a password.
#[derive(Clone)]
struct Named {
    variable: &'static str,
    value: String,
}

/// How a request gets to its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Direct,
    /// Through a tunnel that the proxy makes.
    Tunnel(Proxy),
    /// Handed to the proxy with its whole URL, as plain requests are: tunnels are often allowed for https alone.
    Handover(Proxy),
}

impl Route {
    /// What the proxy wants to be told with each request. A tunnel asks for itself.
    pub(super) fn authorization(&self) -> Option<String> {
        let Self::Handover(proxy) = self else { return None };
        let name = proxy.username()?;
        let credentials = format!("{name}:{}", proxy.password().unwrap_or_default());
        Some(format!("Basic {}", STANDARD.encode(credentials)))
    }
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.variable)
    }
}

impl Proxies {
    pub(super) fn of_environment() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|variable| {
                let value = get(variable).filter(|value| !value.trim().is_empty())?;
                Some(Named { variable, value: value.trim().to_owned() })
            })
        };
        // A CGI program gets a header of its client as HTTP_PROXY.
        let is_cgi = get("REQUEST_METHOD").is_some();
        let http: &[_] = if is_cgi { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] };
        let all: &[_] = &["all_proxy", "ALL_PROXY"];
        let list = get("no_proxy").or_else(|| get("NO_PROXY")).unwrap_or_default();
        let entries = list.split([',', ' ']).filter(|entry| !entry.is_empty());
        Self {
            http: first(http).or_else(|| first(all)),
            https: first(&["https_proxy", "HTTPS_PROXY"]).or_else(|| first(all)),
            exceptions: entries.map(str::to_ascii_lowercase).collect(),
        }
    }

    /// The way to this address. The error completes a sentence, and shows no password.
    pub(super) fn route(&self, address: &Address) -> Result<Route, String> {
        let named = if address.is_https() { &self.https } else { &self.http };
        let Some(named) = named.as_ref().filter(|_| !self.is_exception(address)) else { return Ok(Route::Direct) };
        let proxy = Proxy::new(&named.value)
            .map_err(|_| format!("the variable {} holds no address of a proxy", named.variable))?;
        let is_handed_over = !address.is_https() && proxy.protocol() == ProxyProtocol::Http;
        Ok(if is_handed_over { Route::Handover(proxy) } else { Route::Tunnel(proxy) })
    }

    fn is_exception(&self, address: &Address) -> bool {
        let host = address.host().trim_end_matches('.').to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        self.exceptions.iter().any(|entry| covers(entry, host, address.port()))
    }
}

/// Whether an entry of `no_proxy` means this host: everything, a host and what is below it, an address, a network; each
/// with or without a port.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let bracketed = entry.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (name, entry_port) = match bracketed {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        // More than one colon is an IPv6 address.
        None if entry.matches(':').count() == 1 => {
            entry.split_once(':').map_or((entry, None), |(name, port)| (name, Some(port)))
        }
        None => (entry, None),
    };
    if entry_port.is_some_and(|entry_port| entry_port.parse() != Ok(port)) {
        return false;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match name.split_once('/') {
            Some((network, bits)) => is_in_network(address, network, bits),
            None => name.parse() == Ok(address),
        };
    }
    let name = name.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.');
    !name.is_empty() && host.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn is_in_network(address: IpAddr, network: &str, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (address, network.parse::<IpAddr>()) {
        (IpAddr::V4(address), Ok(IpAddr::V4(network))) if bits <= 32 => {
            (address.to_bits() ^ network.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), Ok(IpAddr::V6(network))) if bits <= 128 => {
            (address.to_bits() ^ network.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Proxies, Route};

    fn route(variables: &[(&str, &str)], url: &str) -> Route {
        let get =
            |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        Proxies::read(get).route(&Address::parse(url).unwrap()).unwrap()
    }

    /// The port of the proxy, or none.
    fn port(variables: &[(&str, &str)], url: &str) -> Option<u16> {
        match route(variables, url) {
            Route::Direct => None,
            Route::Tunnel(proxy) | Route::Handover(proxy) => Some(proxy.port()),
        }
    }

    #[test]
    fn each_scheme_has_its_variable_and_small_letters_come_first() {
        let all =
            [("http_proxy", "http://p:1"), ("HTTP_PROXY", "http://p:2"), ("HTTPS_PROXY", "p:3"), ("all_proxy", "p:4")];
        assert_eq!(port(&all, "http://h/"), Some(1));
        assert_eq!(port(&all, "https://h/"), Some(3));
        assert_eq!(port(&all[1..], "http://h/"), Some(2));
        assert_eq!(port(&all[3..], "https://h/"), Some(4));
        assert_eq!(port(&[("https_proxy", "p:3")], "http://h/"), None);
        assert_eq!(port(&[("HTTP_PROXY", "p:2"), ("REQUEST_METHOD", "GET")], "http://h/"), None);
        assert_eq!(port(&[("all_proxy", "socks5://p:5")], "http://h/"), Some(5));
    }

    #[test]
    fn exceptions_are_hosts_with_what_is_below_addresses_and_networks() {
        let goes_through = |list: &str, url: &str| port(&[("all_proxy", "p:1"), ("no_proxy", list)], url).is_some();
        for (list, url) in [
            ("*", "http://h/"),
            ("localhost, h", "http://h/"),
            ("h", "http://a.h/"),
            (".h", "http://a.H./"),
            ("*.h", "http://a.h/"),
            ("h:81", "http://h:81/"),
            ("10.0.0.0/8", "http://10.1.2.3/"),
            ("::1", "http://[::1]:80/"),
            ("[::1]:80", "http://[::1]/"),
            ("0.0.0.0/0", "http://1.2.3.4/"),
        ] {
            assert!(!goes_through(list, url), "{list} {url}");
        }
        for (list, url) in [
            ("", "http://h/"),
            ("h", "http://ah/"),
            ("h:81", "http://h/"),
            ("10.0.0.0/8", "http://11.0.0.1/"),
            ("10.0.0.0/99", "http://11.0.0.1/"),
            ("1.2.3.4", "http://a.1.2.3.4.x/"),
        ] {
            assert!(goes_through(list, url), "{list} {url}");
        }
    }

    #[test]
    fn a_plain_request_is_handed_over_and_a_secure_one_tunnelled() {
        let variables = [("all_proxy", "http://u:p@proxy:3128")];
        let plain = route(&variables, "http://host:81/x?y");
        assert!(matches!(plain, Route::Handover(_)));
        assert_eq!(plain.authorization().as_deref(), Some("Basic dTpw"));
        let secure = route(&variables, "https://host/");
        assert!(matches!(secure, Route::Tunnel(_)));
        assert_eq!(secure.authorization(), None);
    }
}
