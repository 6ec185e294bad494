//! The targets of `wait-for`, as they stand on the command line.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::ops::address::{self, host_and_port};
#[cfg(feature = "fetch")]
use crate::ops::http::Address;
use crate::platform::probe;

/// The forms that there are, for whoever got one wrong.
const FORMS: &str =
    "Give tcp://HOST:PORT, http://..., https://..., unix:PATH, file:PATH, file:!PATH, pid:N or cmd:LINE";

/// Something to wait for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As it was given; a URL without credentials and query.
    pub(super) shown: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Tcp {
        host: String,
        port: u16,
    },
    #[cfg(feature = "fetch")]
    Http(Box<Address>),
    Unix(PathBuf),
    Exists(PathBuf),
    Gone(PathBuf),
    Pid(i32),
    Line(String),
}

/// A target for records: a URL without credentials and query.
pub(super) fn shown(text: &str) -> String {
    Target::parse(text).map_or_else(|_| shown_where_wrong(text), |target| target.shown)
}

fn shown_where_wrong(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { address::shown_where_wrong(text) }
}

/// Targets without a URL; paths and commands may contain any character.
fn is_plain(text: &str) -> bool {
    ["cmd:", "file:", "unix:", "pid:"].iter().any(|kind| text.starts_with(kind))
}

impl Target {
    /// Reads a target. What can be known to be wrong before the first attempt is refused.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let shown = shown_where_wrong(text);
        let invalid = |message: String, remedy: &str| Error::Invalid {
            argument: Some(shown.clone()),
            message,
            remediation: remedy.to_owned(),
        };
        let kind = match text.split_once(':') {
            Some(("tcp", rest)) => {
                let remedy = "Give it as tcp://HOST:PORT, with a port from 1 to 65535 and an IPv6 address in brackets";
                let rest = rest.strip_prefix("//").ok_or_else(|| invalid(format!("'{shown}' lacks its //"), remedy))?;
                let (host, port) =
                    host_and_port(rest).map_err(|problem| invalid(format!("'{shown}' {problem}"), remedy))?;
                Kind::Tcp { host, port }
            }
            Some(("http" | "https", _)) => http(text).map_err(|(problem, remedy)| invalid(problem, &remedy))?,
            Some(("unix", path)) if !path.is_empty() => {
                if !probe::is_socket_name(path.as_ref()) {
                    let problem = format!("'{shown}' is too long for the name of a socket");
                    return Err(invalid(problem, "Give a path of at most 107 bytes, relative to --cwd if need be"));
                }
                Kind::Unix(path.into())
            }
            Some(("file", rest)) => match rest.strip_prefix('!') {
                Some("") => return Err(invalid(format!("'{shown}' names no file"), FORMS)),
                Some(path) => Kind::Gone(path.into()),
                None if rest.is_empty() => return Err(invalid(format!("'{shown}' names no file"), FORMS)),
                None => Kind::Exists(rest.into()),
            },
            Some(("pid", number)) => {
                let pid = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten();
                let pid = pid.filter(|pid| *pid > 0).ok_or_else(|| {
                    invalid(format!("'{number}' is not a pid"), "Give the number of a process, such as pid:4711")
                })?;
                Kind::Pid(pid)
            }
            Some(("cmd", line)) if !line.trim().is_empty() && !line.contains('\0') => Kind::Line(line.to_owned()),
            _ => return Err(invalid(format!("'{shown}' is no target"), FORMS)),
        };
        let shown = if is_plain(text) { shown } else { address::shown(text) };
        Ok(Self { shown, kind })
    }

    pub(super) fn is_http(&self) -> bool {
        #[cfg(feature = "fetch")]
        return matches!(self.kind, Kind::Http(_));
        #[cfg(not(feature = "fetch"))]
        false
    }
}

#[cfg(feature = "fetch")]
fn http(text: &str) -> std::result::Result<Kind, (String, String)> {
    let shown = address::shown_where_wrong(text);
    match Address::parse(text) {
        Ok(address) => Ok(Kind::Http(Box::new(address))),
        Err(problem) => {
            Err((format!("'{shown}' {problem}"), "Give a URL such as http://localhost:8080/health".to_owned()))
        }
    }
}

#[cfg(not(feature = "fetch"))]
fn http(text: &str) -> std::result::Result<Kind, (String, String)> {
    let shown = address::shown_where_wrong(text);
    Err((
        format!("'{shown}' needs HTTP, and this runner was built without it"),
        "Wait for tcp://HOST:PORT, or use a runner that was built with the feature fetch".to_owned(),
    ))
}
