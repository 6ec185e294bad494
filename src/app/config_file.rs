//! Finds and reads configuration files: `runner.toml` of a project, `config.toml` of a user.
//!
//! Called by `config`. Files hold a table `[defaults]` of limits and formats, one `[queue]` of what holds for tasks, and one
//! `[history]`; everything else in one is an error that names file, line and key. Nothing is looked at twice, and nothing
//! is parsed that does not exist.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::app::config::{Layer, Origin, invalid, parse_progress, parse_size, parse_timeout};
use crate::error::{Error, Result};
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

/// What the search for a project file came upon.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) file: Option<(PathBuf, Layer)>,
    pub(crate) skipped: Vec<PathBuf>,
}

/// Reads the nearest `runner.toml` from `start` up to the root of the repository, `home` or a mount, whichever comes
/// first. A file that neither we nor root own is passed over: whoever can write to a directory above ours must not
/// set our limits.
pub(crate) fn read_project(start: &Path, home: Option<&Path>) -> Result<Found> {
    let mut found = Found::default();
    let user = rustix::process::geteuid().as_raw();
    let trusted = |metadata: &fs::Metadata| metadata.uid() == user || metadata.uid() == 0;
    let Ok(device) = fs::metadata(start).map(|metadata| metadata.dev()) else { return Ok(found) };
    for directory in start.ancestors() {
        if directory != start && fs::metadata(directory).map(|metadata| metadata.dev()).ok() != Some(device) {
            break;
        }
        let path = directory.join(PROJECT_FILE);
        // The link itself is looked at too: in a directory that all may write to, one that leads to a file of ours
        // may be anybody's.
        if let Ok(link) = fs::symlink_metadata(&path) {
            if !trusted(&link) {
                found.skipped.push(path);
            } else if let Some((file, metadata)) = open(&path)? {
                if trusted(&metadata) {
                    let layer = read(&path, file, &metadata)?;
                    found.file = Some((path, layer));
                    break;
                }
                found.skipped.push(path);
            }
        }
        if Some(directory) == home || fs::symlink_metadata(directory.join(".git")).is_ok() {
            break;
        }
    }
    Ok(found)
}

/// Reads the user's file, if it exists.
pub(crate) fn read_user(path: &Path) -> Result<Option<(PathBuf, Layer)>> {
    let Some((file, metadata)) = open(path)? else { return Ok(None) };
    Ok(Some((path.to_owned(), read(path, file, &metadata)?)))
}

/// Opens a file that may be absent.
fn open(path: &Path) -> Result<Option<(File, fs::Metadata)>> {
    // Without O_NONBLOCK, opening a FIFO would wait for its writer: open(2).
    let opened = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let opened = opened.and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(unreadable(path)(error)),
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
