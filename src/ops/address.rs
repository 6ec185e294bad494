//! What operations that speak to other machines know about addresses: names of hosts, ports, and secrets to hide.
//!
//! Called before anything starts, so that a wrong address is an error of the command line and no failed attempt.

use std::net::{IpAddr, Ipv6Addr};

/// Splits the name and password off a URL: what stands before them, they themselves, and what stands behind.
pub(super) fn split_credentials(url: &str) -> (&str, Option<&str>, &str) {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => (scheme, Some(&rest[..at]), &rest[at + 1..]),
        None => (scheme, None, rest),
    }
}

/// A URL as people and logs get to see it: without name and password, and without its query, which may be a signature.
pub(super) fn shown(url: &str) -> String {
    let (scheme, _, rest) = split_credentials(url);
    format!("{scheme}{}", without_query(rest))
}

/// The same of a text that is no URL. A password may be why: one that holds a slash ends where nobody knows, so all up
/// to the last @ is hidden.
pub(super) fn shown_where_wrong(text: &str) -> String {
    let (scheme, rest) = text.split_at(text.find("://").map_or(0, |at| at + 3));
    format!("{scheme}{}", without_query(rest.rsplit('@').next().unwrap_or_default()))
}

/// An unexpected word of a command line, for a message. It may be a URL, or a header whose option is missing.
pub(super) fn redacted_word(word: &str) -> String {
    match word.split_once(": ") {
        _ if word.contains("://") => shown_where_wrong(word),
        Some((name, _)) => format!("{name}: ..."),
        None => word.to_owned(),
    }
}

fn without_query(text: &str) -> String {
    text.split_once('?').map_or_else(|| text.to_owned(), |(before, _)| format!("{before}?..."))
}

/// Splits `host:port` and `[::1]:80`. What is wrong with it completes "the address ...", and repeats none of it: a
/// password may be what is wrong.
pub(super) fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, behind) = rest.split_once(']').ok_or("lacks the ] of its IPv6 address")?;
            (address, behind.strip_prefix(':').ok_or("lacks a port")?)
        }
        None => text.rsplit_once(':').ok_or("lacks a port")?,
    };
    if !text.starts_with('[') && host.contains(':') {
        return Err("has an IPv6 address that must stand in brackets".to_owned());
    }
    if text.starts_with('[') {
        // A zone, as in fe80::1%eth0, is a matter of the system.
        let address = host.split('%').next().unwrap_or_default();
        address.parse::<Ipv6Addr>().map_err(|_| "has no IPv6 address in its brackets")?;
    } else {
        check_host(host)?;
    }
    let number = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse::<u16>().ok()).flatten();
    match number {
        Some(1..) => Ok((host.to_owned(), number.unwrap_or_default())),
        _ if port.is_empty() => Err("lacks a port".to_owned()),
        _ => Err("has a port that is none".to_owned()),
    }
}

/// What is wrong with the name of a host, by RFC 1123, but with the underscores that people use. Repeats none of it.
pub(super) fn check_host(host: &str) -> Result<(), String> {
    if host.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return Err("lacks a host".to_owned());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("has a host that is no name of one".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{host_and_port, redacted_word, shown, shown_where_wrong};

    #[test]
    fn credentials_and_queries_are_hidden_and_nothing_else() {
        for (url, expected) in [
            ("http://user:pass@host/p", "http://host/p"),
            ("http://user@host", "http://host"),
            ("http://a:b@c@host:1/@x", "http://host:1/@x"),
            ("http://host/a@b?c@d", "http://host/a@b?..."),
            ("http://host?x@y", "http://host?..."),
            ("user:pass@host", "host"),
        ] {
            assert_eq!(shown(url), expected);
        }
        for (text, expected) in [
            ("http://user:se/cret@host/f", "http://host/f"),
            ("http://user:se?cret@host/f?x", "http://host/f?..."),
            ("tcp://user:se#c@ret@host:1", "tcp://host:1"),
            ("http:user:se/cret@host", "host"),
            ("nowhere", "nowhere"),
        ] {
            assert_eq!(shown_where_wrong(text), expected);
        }
        for (word, expected) in [
            ("http://user:secret@host/f?secret", "http://host/f?..."),
            ("Authorization: secret", "Authorization: ..."),
            ("--heade", "--heade"),
        ] {
            assert_eq!(redacted_word(word), expected);
        }
    }

    #[test]
    fn addresses_are_read_or_refused_with_a_reason() {
        for (text, host, port) in [
            ("localhost:80", "localhost", 80),
            ("127.0.0.1:65535", "127.0.0.1", 65535),
            ("[::1]:1", "::1", 1),
            ("[fe80::1%eth0]:22", "fe80::1%eth0", 22),
            ("a_b.example.:443", "a_b.example.", 443),
        ] {
            assert_eq!(host_and_port(text), Ok((host.to_owned(), port)), "{text}");
        }
        for text in [
            "",
            "host",
            "host:",
            ":80",
            "host:0",
            "host:65536",
            "host:-1",
            "host:+1",
            "host:http",
            "::1:80",
            "[::1]",
            "[::1:80",
            "[host]:80",
            "ho st:80",
            "-a:80",
            "a..b:80",
            "host:80/",
            "user@host:80",
            "höst:80",
        ] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }
}
