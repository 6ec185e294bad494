//! `fetch`: downloads a file over HTTP, through broken connections, and puts it in place as a whole or not at all.
//!
//! The parameters stand here; `transfer` decides what to ask for and when to try again, `connection` asks, `answer`
//! reads the headers, and `ops::output` is where the bytes go.

mod answer;
mod connection;
mod transfer;

use std::io;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ureq::http::header::{self, HeaderName, HeaderValue};

use crate::error::{Error, Result};
use crate::ops::address;
use crate::ops::http::given::{self, invalid};
use crate::ops::parameters::{FilePath, Span};
use crate::ops::{Context, Failure, Operation};
use crate::platform::files;

use transfer::Transfer;

#[derive(Args, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fetch {
    /// What to download: an http:// or https:// URL
    #[arg(value_name = "URL")]
    url: String,
    /// Where to put it; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: FilePath,
    /// What its SHA-256 must be: 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    #[serde(default)]
    sha256: Option<String>,
    /// How often to try again in a row without getting any further
    #[arg(long, value_name = "N", default_value_t = default_retries())]
    #[serde(default = "default_retries")]
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
    /// A header to send, as 'NAME: VALUE'; may be given more than once
    #[arg(long, value_name = "HEADER")]
    #[serde(default)]
    header: Vec<String>,
}

fn default_retries() -> u32 {
    5
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

impl Operation for Fetch {
    const NAME: &'static str = "fetch";
    const ABOUT: &'static str = "Download a file, whole or not at all";
    const LONG_ABOUT: &'static str = "\
Download a file over HTTP. FILE appears once it is complete, and until then an existing FILE stays as it is; whatever \
ends the download leaves nothing half done. An existing FILE keeps its permissions.

A broken connection is taken up where it broke, as far as the server supports it and the file has not changed there. \
Connection errors, timeouts and the HTTP statuses 408, 429 and 5xx are tried again after a growing pause, or when the \
server says; other errors fail at once. The count of retries starts anew whenever the download got further. Up to 10 \
redirects are followed; a --header goes to no other host. http_proxy, https_proxy, all_proxy and no_proxy are obeyed, and the certificates that the system \
trusts are trusted.

The partial result has url, bytes, total_bytes, attempts, resumed and last_error; the result also file, sha256, status \
and etag. No name, password or query of a URL is shown. With --sha256 a file whose sum is another is not put in place.";
    const EXAMPLES: &'static [&'static str] = &[
        "fetch https://example.org/file.tar.gz -o file.tar.gz",
        "fetch --retries 10 --header 'Accept: text/plain' https://example.org/list -o -",
    ];

    fn redact(parameters: &mut Map<String, Value>) {
        given::redact(parameters);
    }

    fn check(&self) -> Result<()> {
        given::address(&self.url)?;
        self.headers()?;
        if let Some(sum) = &self.sha256
            && (sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(invalid(
                "--sha256",
                format!("'{sum}' is no SHA-256"),
                "Give 64 hexadecimal digits, as sha256sum prints them",
            ));
        }
        given::check_limits([("--connect-timeout", self.connect_timeout), ("--stall-timeout", self.stall_timeout)])?;
        self.check_output()
    }

    fn run(self, context: &mut Context) -> std::result::Result<Value, Failure> {
        if !self.is_to_stdout() {
            let writable = self.check_writable();
            writable.map_err(|error| Failure::from(error).about(self.output.to_string()))?;
        }
        let (address, headers) = (given::address(&self.url)?, self.headers()?);
        Transfer::new(&self, address, headers, context)?.carry_out(context)
    }
}

const OUTPUT_HELP: &str = "Check --output: it must name a file in a directory that you may write to";

impl Fetch {
    /// Whether it goes to standard output.
    fn is_to_stdout(&self) -> bool {
        self.output.as_path() == Path::new("-")
    }

    /// The URL, which is one, as people get to see it.
    fn shown_url(&self) -> String {
        address::shown(&self.url)
    }

    fn check_output(&self) -> Result<()> {
        let path = self.output.as_path();
        if self.is_to_stdout() {
            return Ok(());
        }
        if path.as_os_str().is_empty() {
            return Err(invalid(
                "--output",
                "--output names no file".to_owned(),
                "Give a file, or - for standard output",
            ));
        }
        if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(Error::path("write", path, OUTPUT_HELP)(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        // A relative path is relative to the job's directory, and this may be another one, or that of a worker.
        if path.is_absolute() { self.check_writable() } else { Ok(()) }
    }

    fn check_writable(&self) -> Result<()> {
        let path = self.output.as_path();
        files::check_writable(path).map_err(Error::path("write", path, OUTPUT_HELP))
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let own = [header::RANGE, header::IF_RANGE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::HOST];
        given::headers(&self.header, Self::NAME, &own)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Fetch;
    use crate::ops::Operation;

    #[test]
    fn wrong_parameters_are_refused_and_secrets_not_repeated() {
        for wrong in [
            json!({"url": "ftp://u:secret@h/"}),
            json!({"url": "http://u:secret@h:0/"}),
            json!({"url": "http://u:secret/x@h/"}),
            json!({"url": "http://sec!ret/secret@h/"}),
            json!({"url": "nowhere"}),
            json!({"sha256": "abc"}),
            json!({"sha256": "g".repeat(64)}),
            json!({"connect_timeout": 0}),
            json!({"stall_timeout": "0s"}),
            json!({"header": ["secret"]}),
            json!({"header": ["a b: secret"]}),
            json!({"header": ["a: secret\nb: c"]}),
            json!({"header": ["Range: bytes=0-1"]}),
            json!({"output": ""}),
            json!({"output": "/"}),
            json!({"output": "."}),
            json!({"output": "/tmp"}),
            json!({"output": "/no/such/folder/file"}),
        ] {
            let mut parameters = json!({"url": "http://h/", "output": "-"});
            let fields = parameters.as_object_mut().expect("an object");
            fields.extend(wrong.as_object().cloned().expect("an object"));
            let fetch: Fetch = serde_json::from_value(parameters).expect("the form is right");
            let error = fetch.check().expect_err(&wrong.to_string());
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
