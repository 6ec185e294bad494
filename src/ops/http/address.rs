//! The address of something on the web: a URL whose credentials are kept apart, so that they are never shown.

use std::fmt;
use std::net::Ipv6Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ureq::http::Uri;
use ureq::http::uri::{Authority, PathAndQuery, Scheme};

use crate::ops::address::{check_host, split_credentials};

/// A URL of http or https. Debug and Display leave its credentials out.
#[derive(Clone)]
pub(in crate::ops) struct Address {
    uri: Uri,
    authorization: Option<String>,
}

impl Address {
    /// Reads a URL. What is wrong with it completes "the URL ...", and repeats none of it.
    pub(in crate::ops) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, credentials, rest) = split_credentials(text);
        let is_other = scheme_of(text)
            .is_some_and(|scheme| !["http", "https"].iter().any(|followed| scheme.eq_ignore_ascii_case(followed)));
        if is_other {
            return Err("has a scheme other than http and https, and only those are followed".to_owned());
        }
        let bare = format!("{scheme}{rest}");
        let uri: Uri = escaped(bare.as_bytes()).parse().map_err(|error| format!("is no URL: {error}"))?;
        if uri.scheme().is_none() {
            return Err("has no http:// or https:// in front".to_owned());
        }
        let host = uri.host().unwrap_or_default();
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bracketed {
            Some(inner) if inner.parse::<Ipv6Addr>().is_err() => {
                return Err("has no IPv6 address in its brackets".to_owned());
            }
            Some(_) => {}
            None => check_host(host)?,
        }
        let authority = uri.authority().map_or("", Authority::as_str);
        if authority.len() > host.len() && matches!(uri.port_u16(), None | Some(0)) {
            return Err("has a port that is none".to_owned());
        }
        Ok(Self { uri, authorization: credentials.map(authorization) })
    }

    pub(in crate::ops) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn host(&self) -> &str {
        self.uri.host().expect("parse has seen it")
    }

    pub(super) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    pub(super) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// What the URL itself says for the header Authorization.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    pub(super) fn has_origin_of(&self, other: &Self) -> bool {
        self.uri.scheme() == other.uri.scheme()
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port() == other.port()
    }

    /// Where a redirect leads, by RFC 3986, section 5.2.
    pub(super) fn resolve(&self, location: &str) -> Result<Self, String> {
        let location = location.trim();
        let scheme = self.uri.scheme_str().unwrap_or_default();
        if scheme_of(location).is_some() {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let location = escaped(location.split('#').next().unwrap_or_default().as_bytes());
        let (path, query) = match location.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (location.as_str(), None),
        };
        let path = match path {
            "" => self.uri.path().to_owned(),
            _ if path.starts_with('/') => without_dots(path),
            _ => {
                let folder = self.uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
                without_dots(&format!("{folder}/{path}"))
            }
        };
        let text = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(text.parse::<PathAndQuery>().map_err(|error| format!("is no URL: {error}"))?);
        let uri = Uri::from_parts(parts).map_err(|error| format!("is no URL: {error}"))?;
        // The same host: what was meant for it still is.
        Ok(Self { uri, authorization: self.authorization.clone() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

/// What stands before the first colon, unless that is one of the path or behind it.
fn scheme_of(text: &str) -> Option<&str> {
    let end = text.find([':', '/', '?', '#']).filter(|at| text[*at..].starts_with(':'))?;
    Some(&text[..end])
}

/// Spaces and letters beyond ASCII as people and servers write them, escaped as they must be sent.
pub(super) fn escaped(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        match byte {
            0x21..=0x7E => out.push((*byte).into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Removes the segments `.` and `..` of an absolute path.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// The header that the name and password in a URL amount to: RFC 7617.
fn authorization(credentials: &str) -> String {
    let (name, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut plain = unescaped(name);
    plain.push(b':');
    plain.extend(unescaped(password));
    format!("Basic {}", STANDARD.encode(plain))
}

fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_redirect_leads_where_the_standard_says() {
        let base = Address::parse("http://u:p@host:81/a/b/c?q=1").unwrap();
        for (location, expected) in [
            ("https://other/x", "https://other/x"),
            ("//other/x", "http://other/x"),
            ("/x", "http://host:81/x"),
            ("x", "http://host:81/a/b/x"),
            ("../x?y=2", "http://host:81/a/x?y=2"),
            ("../../../../x", "http://host:81/x"),
            ("./", "http://host:81/a/b/"),
            ("..", "http://host:81/a/"),
            ("?y=2", "http://host:81/a/b/c?y=2"),
            ("/x y#part", "http://host:81/x%20y"),
            ("/x?to=http://z/", "http://host:81/x?to=http://z/"),
        ] {
            assert_eq!(base.resolve(location).unwrap().to_string(), expected, "{location}");
        }
        assert!(base.resolve("ftp://host/x").is_err());
        assert!(base.resolve("file:///etc/passwd").unwrap_err().contains("only those are followed"));
        assert!(base.resolve("/x").unwrap().has_origin_of(&base));
        assert!(!base.resolve("//host/x").unwrap().has_origin_of(&base));
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let address = Address::parse("http://us%20er:p%40ss@host/").unwrap();
        assert_eq!(address.authorization(), Some("Basic dXMgZXI6cEBzcw=="));
        assert_eq!(format!("{address} {address:?}"), "http://host/ http://host/");
        assert_eq!(address.resolve("http://other/").unwrap().authorization(), None);
        let error = Address::parse("http://user:secret@ho st/").unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn what_is_no_address_on_the_web_is_refused() {
        for text in
            ["", "host/x", "/x", "ftp://h/", "http://", "http:///x", "http://h:0/", "http://h:99999/", "http://[x]/"]
        {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        for text in ["http://h", "https://[::1]:8443/x", "http://h:1?x", "http://h/ü ü", "HTTP://H/"] {
            assert!(Address::parse(text).is_ok(), "{text}");
        }
    }
}
