//! Finds and reads configuration files: `runner.toml` of a project, `config.toml` of a user.
//!
//! Called by `config`. Files hold a table `[defaults]` of limits and formats, one `[queue]` of what holds for tasks, and one
//! `[history]`; everything else in one is an error that names file, line and key. Nothing is looked at twice, and nothing
//! is parsed that does not exist.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::app::config::{Layer, Origin, invalid, parse_progress, parse_size, parse_timeout};
use crate::error::{Error, Result, plain};
use crate::platform::{path_walk, process};
use crate::time::duration;

const PROJECT_FILE: &str = "runner.toml";
/// More than any sensible file has; a larger one is a mistake.
const LARGEST: u64 = 1 << 20;
/// The tables of a file, each with the keys that may stand in it.
const TABLES: [(&str, &str); 3] = [
    ("defaults", "timeout, idle-timeout, max-timeout, grace, signal, capture-limit, progress"),
    ("queue", "timeout, max-task-age, idle-exit"),
    ("history", "record, timeout-floor, timeout-cap, timeout-default"),
];

/// Configuration files that were found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) file: Option<(PathBuf, Layer)>,
    pub(crate) ignored: Vec<IgnoredFile>,
}

/// A configuration file that was not read. This is not an error, since the user did not name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredFile {
    pub path: PathBuf,
    /// Why, and what to do about it.
    pub reason: String,
}

impl IgnoredFile {
    fn unreadable(path: &Path, error: &io::Error) -> Self {
        let fix = "make it readable, or set its values by options or variables";
        Self { path: path.to_owned(), reason: format!("{}; {fix}", plain(error)) }
    }

    fn foreign(path: &Path, owner: u32) -> Self {
        let owner = process::display_user(owner);
        let fix = "change its owner to yourself or root, or set its values by options or variables";
        Self { path: path.to_owned(), reason: format!("it belongs to {owner}; {fix}") }
    }
}

/// The users whose configuration is read: the effective user, root and, for root under sudo, the user who ran sudo.
pub(crate) struct TrustedOwners {
    user: u32,
    sudo_user: Option<u32>,
}

impl TrustedOwners {
    /// `sudo_uid` is the value of `SUDO_UID`, which is used for root only.
    pub(crate) fn new(sudo_uid: Option<&str>) -> Self {
        let user = process::effective_user();
        Self { user, sudo_user: sudo_uid.filter(|_| user == 0).and_then(|uid| uid.parse().ok()) }
    }

    fn contains(&self, owner: u32) -> bool {
        owner == self.user || owner == 0 || Some(owner) == self.sudo_user
    }
}

/// Reads the nearest `runner.toml` from `start` up to the root of the repository, `home` or a mount, whichever comes
/// first. A file of another user is ignored: write access to a parent directory must not set our limits.
pub(crate) fn read_project(start: &Path, home: Option<&Path>, trusted: &TrustedOwners) -> Result<Found> {
    let mut found = Found::default();
    let device = match fs::metadata(start) {
        Ok(metadata) => metadata.dev(),
        Err(error) => {
            found.ignored.push(IgnoredFile::unreadable(&start.join(PROJECT_FILE), &error));
            return Ok(found);
        }
    };
    for directory in start.ancestors() {
        if directory != start && fs::metadata(directory).map(|metadata| metadata.dev()).ok() != Some(device) {
            break;
        }
        found.read_file(&directory.join(PROJECT_FILE), trusted)?;
        if found.file.is_some() || Some(directory) == home || fs::symlink_metadata(directory.join(".git")).is_ok() {
            break;
        }
    }
    Ok(found)
}

/// Reads the user's file, if it exists.
pub(crate) fn read_user(path: &Path, trusted: &TrustedOwners) -> Result<Found> {
    let mut found = Found::default();
    found.read_file(path, trusted)?;
    Ok(found)
}

impl Found {
    /// Reads a file if it exists. It is ignored if it is not readable or belongs to another user.
    fn read_file(&mut self, path: &Path, trusted: &TrustedOwners) -> Result<()> {
        // A link of another user is as untrusted as a file, wherever it leads.
        let opened = fs::symlink_metadata(path).and_then(|link| {
            let is_foreign = !trusted.contains(link.uid());
            if is_foreign { Ok(Err(link.uid())) } else { path_walk::open_to_read_nonblocking(path).map(Ok) }
        });
        let file = match opened {
            Ok(Ok(file)) => file,
            Ok(Err(owner)) => {
                self.ignored.push(IgnoredFile::foreign(path, owner));
                return Ok(());
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
            Err(error) => {
                self.ignored.push(IgnoredFile::unreadable(path, &error));
                return Ok(());
            }
        };
        let metadata = file.metadata().map_err(unreadable(path))?;
        if trusted.contains(metadata.uid()) {
            self.file = Some((path.to_owned(), read(path, file, &metadata)?));
        } else {
            self.ignored.push(IgnoredFile::foreign(path, metadata.uid()));
        }
        Ok(())
    }
}

fn read(path: &Path, file: File, metadata: &fs::Metadata) -> Result<Layer> {
    if !metadata.is_file() {
        return Err(Error::Invalid {
            argument: Some(path.display().to_string()),
            message: format!("{} is not a regular file", path.display()),
            remediation: "Move it away, or put a TOML file in its place".to_owned(),
        });
    }
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable(path))?;
    if text.len() as u64 > LARGEST {
        return Err(Error::Invalid {
            argument: Some(path.display().to_string()),
            message: format!("{} is too large for a configuration file", path.display()),
            remediation: format!("Keep only the tables [defaults] with {} in it, and [queue]", keys("defaults")),
        });
    }
    Source { path, text: &text }.layer()
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    Error::path("read the configuration file", path, "Make it readable, with text in UTF-8, or move it away")
}

/// A file's text, with what messages need.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn layer(&self) -> Result<Layer> {
        let document = DeTable::parse(self.text).map_err(|error| {
            let line = self.line(error.span().map_or(0, |span| span.start));
            self.error(line, error.message(), "Correct the TOML there; texts stand in quotes, as in timeout = \"90s\"")
        })?;
        let mut layer = Layer::default();
        for (name, value) in document.get_ref().iter() {
            let line = self.line(name.span().start);
            match (name.get_ref().as_ref(), value.get_ref()) {
                (table, DeValue::Table(entries)) if !keys(table).is_empty() => {
                    for (key, value) in entries.iter() {
                        self.set(&mut layer, (table, key.get_ref()), self.line(key.span().start), value)?;
                    }
                }
                (table, _) if !keys(table).is_empty() => {
                    let remedy = format!("Write a table: [{table}], and below it {}", keys(table));
                    return Err(self.error(line, &format!("{table} is not a table"), &remedy));
                }
                (name, DeValue::Table(_)) => {
                    let remedy = "Remove it; the tables are [defaults], [queue] and [history]";
                    return Err(self.error(line, &format!("unknown table [{name}]"), remedy));
                }
                (name, _) => {
                    let remedy = format!("Put it below [defaults], where these keys may stand: {}", keys("defaults"));
                    return Err(self.error(line, &format!("unknown key {name} outside of [defaults]"), &remedy));
                }
            }
        }
        Ok(layer)
    }

    fn set(
        &self,
        layer: &mut Layer,
        (table, key): (&str, &str),
        line: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<()> {
        let origin = || Some(Origin::File { path: self.path.to_owned(), line });
        let wrong = |problem: String| {
            let place = format!("{} line {line}: {key}", self.path.display());
            invalid(&self.path.display().to_string(), &place, &problem, key)
        };
        let defaults = &mut layer.defaults;
        // Words are spelled as on the command line, so that both are read by the same functions.
        let text = || spelled(value.get_ref()).map_err(wrong);
        let limit = || text().and_then(|text| duration::parse_timeout(&text).map_err(|error| wrong(error.to_string())));
        let timeout = || text().and_then(|text| parse_timeout(&text).map_err(wrong));
        let queue = &mut layer.queue;
        // How long something is kept may be no time at all.
        let age = || match text()?.as_str() {
            "none" => Ok(None),
            text => duration::parse(text).map(Some).map_err(|error| wrong(error.to_string())),
        };
        match (table, key) {
            ("history", _) => return self.set_history(layer, key, line, value),
            ("queue", "timeout") => {
                queue.timeout = Some(timeout()?);
                queue.timeout_origin = origin();
            }
            ("queue", "max-task-age") => queue.max_task_age = Some(age()?),
            ("queue", "idle-exit") => queue.idle_exit = Some(age()?),
            ("defaults", "timeout") => {
                timeout()?.set(defaults);
                layer.timeout_origin = origin();
            }
            ("defaults", "max-timeout") => {
                defaults.max_timeout = Some(limit()?);
                layer.max_timeout_origin = origin();
            }
            ("defaults", "idle-timeout") => defaults.idle_timeout = Some(limit()?),
            ("defaults", "grace") => {
                defaults.grace = Some(duration::parse(&text()?).map_err(|error| wrong(error.to_string()))?);
            }
            ("defaults", "signal") => {
                defaults.signal = Some(text()?.parse().map_err(|error| wrong(format!("{error}")))?);
            }
            ("defaults", "capture-limit") => defaults.capture_limit = Some(parse_size(&text()?).map_err(wrong)?),
            ("defaults", "progress") => defaults.progress = Some(parse_progress(&text()?).map_err(wrong)?),
            _ => {
                let remedy = format!("Remove it, or use one of these: {}", keys(table));
                return Err(self.error(line, &format!("unknown key {key} in [{table}]"), &remedy));
            }
        }
        Ok(())
    }

    fn set_history(&self, layer: &mut Layer, key: &str, line: usize, value: &Spanned<DeValue<'_>>) -> Result<()> {
        let wrong = |problem: String| {
            let place = format!("{} line {line}: {key}", self.path.display());
            invalid(&self.path.display().to_string(), &place, &problem, key)
        };
        let span = || {
            let text = spelled(value.get_ref()).map_err(wrong)?;
            duration::parse(&text).map_err(|error| wrong(error.to_string()))
        };
        let history = &mut layer.history;
        match (key, value.get_ref()) {
            ("record", DeValue::Boolean(record)) => history.record = Some(*record),
            ("record", _) => return Err(wrong("the value is neither: give true or false, without quotes".to_owned())),
            ("timeout-floor", _) => history.timeout_floor = Some(span()?),
            ("timeout-cap", _) => history.timeout_cap = Some(above_zero(span()?).map_err(wrong)?),
            ("timeout-default", _) => history.timeout_default = Some(above_zero(span()?).map_err(wrong)?),
            _ => {
                let remedy = format!("Remove it, or use one of these: {}", keys("history"));
                return Err(self.error(line, &format!("unknown key {key} in [history]"), &remedy));
            }
        }
        Ok(())
    }

    fn error(&self, line: usize, problem: &str, remediation: &str) -> Error {
        Error::Invalid {
            argument: Some(self.path.display().to_string()),
            message: format!("{} line {line}: {problem}", self.path.display()),
            remediation: remediation.to_owned(),
        }
    }

    /// The line, counted from one, that the byte at `offset` is in.
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }
}

/// The keys that may stand in a table; none where there is no such table.
fn keys(table: &str) -> &'static str {
    TABLES.iter().find(|(name, _)| *name == table).map_or("", |(_, keys)| *keys)
}

/// A timeout of nothing would be none.
fn above_zero(duration: Duration) -> std::result::Result<Duration, String> {
    if duration.is_zero() {
        Err("the value is no time at all: give a duration above zero".to_owned())
    } else {
        Ok(duration)
    }
}

/// A value as it would stand on the command line.
fn spelled(value: &DeValue<'_>) -> std::result::Result<String, String> {
    let wrong_type = |what: &str| Err(format!("the value is {what}: give a text in quotes, or a number"));
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| format!("'{number}' is too large a number: give a smaller one")),
        // The standard library writes a number without an exponent, whatever its size.
        DeValue::Float(number) => {
            Ok(number.as_str().parse().map_or_else(|_| number.to_string(), |value: f64| value.to_string()))
        }
        DeValue::Boolean(_) => wrong_type("true or false"),
        DeValue::Datetime(_) => wrong_type("a date"),
        DeValue::Array(_) => wrong_type("a list"),
        DeValue::Table(_) => wrong_type("a table"),
    }
}
