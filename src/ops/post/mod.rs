//! `post`: sends the content of a file to a web server, and says what it answered.
//!
//! The parameters stand here; `delivery` decides what to make of an answer and when to try again, `request` sends, and
//! `body` is what is sent.

mod body;
mod delivery;
mod request;

use std::time::Duration;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ureq::http::Method;
use ureq::http::header::{self, HeaderName, HeaderValue};

use crate::error::Result;
use crate::ops::http::given::{self, invalid};
use crate::ops::parameters::{FilePath, Span};
use crate::ops::{Context, Failure, Operation, address, input};

use delivery::Delivery;

/// What a body is where nothing else was said.
const BYTES: &str = "application/octet-stream";

#[derive(Args, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Post {
    /// Where to send it: an http:// or https:// URL
    #[arg(value_name = "URL")]
    url: String,
    /// The file to send; - is standard input; without it nothing is sent
    #[arg(short, long, value_name = "FILE")]
    #[serde(default)]
    body: Option<FilePath>,
    /// What the body is, such as application/json [default: application/octet-stream]
    #[arg(long, value_name = "TYPE")]
    #[serde(default)]
    content_type: Option<String>,
    /// A header to send, as 'NAME: VALUE'; may be given more than once
    #[arg(long, value_name = "HEADER")]
    #[serde(default)]
    header: Vec<String>,
    /// The request's method: POST or PUT
    #[arg(long, value_name = "METHOD", default_value = "POST", ignore_case = true, hide_possible_values = true)]
    #[serde(default)]
    method: Verb,
    /// How often to try again; the server may then get it more than once
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[serde(default)]
    retries: u32,
    /// The pause before the first retry; each further one is about twice as long, up to 30s
    #[arg(long, value_name = "DUR", default_value = "500ms")]
    #[serde(default = "default_retry_delay")]
    retry_delay: Span,
    /// How long it may take to connect
    #[arg(long, value_name = "DUR", default_value = "30s")]
    #[serde(default = "default_connect_timeout")]
    connect_timeout: Span,
    /// A connection that is silent for so long counts as broken
    #[arg(long, value_name = "DUR", default_value = "60s")]
    #[serde(default = "default_stall_timeout")]
    stall_timeout: Span,
}

/// The method of a request that sends something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[value(rename_all = "UPPER")]
enum Verb {
    #[default]
    Post,
    Put,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
        }
    }
}

fn default_retry_delay() -> Span {
    Span(Duration::from_millis(500))
}

fn default_connect_timeout() -> Span {
    Span(Duration::from_secs(30))
}

fn default_stall_timeout() -> Span {
    Span(Duration::from_secs(60))
}

impl Operation for Post {
    const NAME: &'static str = "post";
    const ABOUT: &'static str = "Send a file to a web server";
    const LONG_ABOUT: &'static str = "\
Send the content of a file by HTTP, with its length where that is known and in chunks otherwise. It succeeds where the \
server answers with a status of 2xx. Any other is a failure that shows the status and how the answer begins.

Connection errors, timeouts and the HTTP statuses 408, 429 and 5xx are tried again with --retries, after a growing pause \
or when the server says; other errors fail at once, since trying again would not help. The redirects 307 and 308 are \
followed, up to 10, and the body is sent again; others would make a GET of it, and are a failure that says where they \
lead. A body that cannot be read twice, such as a pipe, is neither tried again nor sent on. A --header goes to no other \
host. http_proxy, https_proxy, all_proxy and no_proxy are obeyed, and the certificates that the system trusts are trusted.

The partial result has url, bytes_sent, total_bytes, attempts and last_error; the result also status and answer, the first \
4 KiB of what the server said. No name, password or query of a URL is shown.";
    const EXAMPLES: &'static [&'static str] = &[
        "post https://example.org/hook --body report.json --content-type application/json",
        "post --method PUT --header 'Authorization: Bearer ...' --body file.tar.gz https://example.org/file.tar.gz",
    ];

    fn redact(parameters: &mut Map<String, Value>) {
        given::redact(parameters);
    }

    fn check(&self) -> Result<()> {
        given::address(&self.url)?;
        self.headers()?;
        if self.body.as_ref().is_some_and(|body| body.as_path().as_os_str().is_empty()) {
            let remedy = "Give a file, - for standard input, or leave --body out";
            return Err(invalid("--body", "--body names no file".to_owned(), remedy));
        }
        if self.retries > 0 && self.body.as_ref().is_some_and(|body| input::is_stdin(body.as_path())) {
            return Err(invalid(
                "--retries",
                "standard input cannot be read again for another attempt".to_owned(),
                "Give --body a file, or leave --retries out",
            ));
        }
        given::check_limits([("--connect-timeout", self.connect_timeout), ("--stall-timeout", self.stall_timeout)])
    }

    fn run(self, context: &mut Context) -> std::result::Result<Value, Failure> {
        let (address, headers) = (given::address(&self.url)?, self.headers()?);
        Delivery::new(&self, address, headers)?.carry_out(context)
    }
}

impl Post {
    /// The URL, which is one, as people get to see it.
    fn shown_url(&self) -> String {
        address::shown(&self.url)
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let own = [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::HOST];
        let mut headers = given::headers(&self.header, Self::NAME, &own)?;
        let content_type = self.content_type.as_deref().or(self.body.as_ref().map(|_| BYTES));
        if let Some(text) = content_type {
            let value = HeaderValue::from_str(text.trim()).ok().filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| {
                invalid("--content-type", format!("'{text}' is no type"), "Give one such as application/json")
            })?;
            headers.push((header::CONTENT_TYPE, value));
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Post;
    use crate::ops::Operation;

    fn post(fields: &serde_json::Value) -> Post {
        let mut parameters = json!({"url": "http://h/"});
        parameters.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("an object"));
        serde_json::from_value(parameters).expect("the form is right")
    }

    #[test]
    fn wrong_parameters_are_refused_and_secrets_not_repeated() {
        for wrong in [
            json!({"url": "ftp://u:secret@h/"}),
            json!({"url": "http://u:secret@h:0/"}),
            json!({"url": "nowhere"}),
            json!({"body": ""}),
            json!({"body": "-", "retries": 1}),
            json!({"content_type": "a\nb"}),
            json!({"content_type": " "}),
            json!({"header": ["secret"]}),
            json!({"header": ["Content-Type: text/plain"]}),
            json!({"header": ["Content-Length: 1"]}),
            json!({"connect_timeout": 0}),
            json!({"stall_timeout": "0s"}),
        ] {
            let error = post(&wrong).check().expect_err(&wrong.to_string());
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for right in [json!({}), json!({"body": "-"}), json!({"method": "PUT"}), json!({"body": "f", "retries": 3})] {
            assert!(post(&right).check().is_ok(), "{right}");
        }
    }

    #[test]
    fn a_body_has_a_type_and_nothing_has_none() {
        let content_type = |fields: serde_json::Value| {
            let headers = post(&fields).headers().expect("they are right");
            headers.first().map(|(_, value)| value.to_str().expect("text").to_owned())
        };
        assert_eq!(content_type(json!({})), None);
        assert_eq!(content_type(json!({"body": "f"})).as_deref(), Some("application/octet-stream"));
        assert_eq!(content_type(json!({"body": "f", "content_type": "text/plain"})).as_deref(), Some("text/plain"));
    }
}
