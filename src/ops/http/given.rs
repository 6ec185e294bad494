//! What the user gives for a request: URL, headers, times. What is wrong with it is said before anything starts, and shows
//! no secret.

use serde_json::{Map, Value};
use ureq::http::header::{HeaderName, HeaderValue};

use super::Address;
use crate::error::{Error, Result};
use crate::ops::address as shown;
use crate::ops::parameters::Span;

/// Reads the URL.
pub(in crate::ops) fn address(url: &str) -> Result<Address> {
    Address::parse(url).map_err(|problem| {
        let shown = shown::shown_where_wrong(url);
        let message = format!("the URL '{shown}' {problem}");
        invalid(&shown, message, "Give a URL such as https://example.org/file")
    })
}

/// Removes the user name, password and query of the URL and the values of headers from parameters of a request.
pub(in crate::ops) fn redact(parameters: &mut Map<String, Value>) {
    if let Some(Value::String(url)) = parameters.get_mut("url") {
        *url = if Address::parse(url).is_ok() { shown::shown(url) } else { shown::shown_where_wrong(url) };
    }
    for line in parameters.get_mut("header").and_then(Value::as_array_mut).into_iter().flatten() {
        // Without a colon it may all be a value.
        let name = line.as_str().and_then(|line| line.split_once(':')).map_or("", |(name, _)| name);
        *line = Value::String(format!("{name}: ..."));
    }
}

/// The headers to send, but for those that the operation sets itself. An error shows none of a value, which may be a
/// secret.
pub(in crate::ops) fn headers(
    lines: &[String],
    operation: &str,
    own: &[HeaderName],
) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let read = |(at, line): (usize, &String)| {
        let wrong = |problem: &str| {
            let message = format!("the value of --header number {} {problem}", at + 1);
            invalid("--header", message, "Give it as 'NAME: VALUE', such as 'Accept: text/plain'")
        };
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("has no colon"))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong("has no valid name"))?;
        let mut value =
            HeaderValue::from_str(value.trim()).map_err(|_| wrong("has characters that no header may have"))?;
        value.set_sensitive(true);
        if own.contains(&name) {
            return Err(wrong(&format!("is '{name}', which {operation} sets itself")));
        }
        Ok((name, value))
    };
    lines.iter().enumerate().map(read).collect()
}

/// A limit is above zero.
pub(in crate::ops) fn check_limits(limits: [(&str, Span); 2]) -> Result<()> {
    for (option, span) in limits {
        if span.0.is_zero() {
            return Err(invalid(
                option,
                format!("{option} is no time at all"),
                "Give a duration above zero, such as 30s",
            ));
        }
    }
    Ok(())
}

/// A parameter is wrong.
pub(in crate::ops) fn invalid(argument: &str, message: String, remediation: &str) -> Error {
    Error::Invalid { argument: Some(argument.to_owned()), message, remediation: remediation.to_owned() }
}
