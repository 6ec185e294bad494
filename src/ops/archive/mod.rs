//! `archive`: files and trees into one tar file, which appears when it is complete.
//!
//! `gather` lists what goes in, `write` writes it. What is half written vanishes, however the operation ends.

use std::path::{Component, Path};

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::ops::compression::Format;
use crate::ops::output::Output;
use crate::ops::parameters::FilePath;
use crate::ops::{Context, Failure, Operation, reporting, shown};

mod gather;
mod write;

#[derive(Args, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Archive {
    /// Files and folders to put in
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<FilePath>,
    /// The archive to write; its name says the form: .tar, .tar.gz, .tgz, .tar.zst, .tzst; - is standard output
    #[arg(long, short = 'o', value_name = "FILE")]
    output: FilePath,
    /// The folder that the PATHs are relative to
    #[arg(long, short = 'C', value_name = "DIR")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directory: Option<FilePath>,
    /// The form, where the name does not say it
    #[arg(long, value_enum)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    /// How hard to compress: 0 to 9 for gzip, 1 to 22 for Zstandard
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<u32>,
}

impl Operation for Archive {
    const NAME: &'static str = "archive";
    const ABOUT: &'static str = "Put files and trees into a tar archive";
    const LONG_ABOUT: &'static str = "Put files, and folders with all that is below them, into a tar archive, plain or \
        compressed. Modes, modification times (to the nanosecond), owners, symbolic links and hard links are kept; names are stored \
        relative, sorted within each folder. FIFOs, sockets and devices are left out and listed in the result as \
        skipped, and so is the archive itself.\n\n\
        The archive appears when it is complete, and replaces what was there in one step. It fails, and writes \
        nothing, where a file cannot be read or becomes shorter while it is read.\n\n\
        The partial result holds 'entries', 'entries_total', 'bytes', 'bytes_total' (of the content) and 'current'; the result \
        'entries', 'bytes', 'file' and 'file_bytes'.";
    const EXAMPLES: &'static [&'static str] =
        &["archive -o logs.tar.zst -C /var/log nginx", "archive -o src.tgz --level 9 src Cargo.toml"];

    fn check(&self) -> Result<()> {
        let wrong = |argument: &str, message: String, remediation: &str| {
            Err(Error::Invalid { argument: Some(argument.to_owned()), message, remediation: remediation.to_owned() })
        };
        let format = Format::choose(self.format, self.output.as_path(), "output")?;
        if self.paths.is_empty() {
            return wrong("paths", "nothing to archive was given".to_owned(), "Name at least one file or folder");
        }
        for path in &self.paths {
            let climbs = path.as_path().components().any(|part| part == Component::ParentDir);
            if climbs || path.as_path().as_os_str().is_empty() {
                let message = format!("'{path}' cannot be the name of an entry");
                return wrong("paths", message, "Names with '..' cannot be stored; use -C DIR and a name below it");
            }
        }
        match (self.level, format.levels()) {
            (Some(_), None) => {
                let message = "a plain tar file is not compressed and has no level".to_owned();
                wrong("--level", message, "Leave --level out, or use a name such as x.tar.gz or x.tar.zst")
            }
            (Some(level), Some(levels)) if !levels.contains(&level) => {
                let (least, most) = (levels.start(), levels.end());
                let message = format!("{level} is no level of {}", format.name());
                wrong("--level", message, &format!("Give a level from {least} to {most}"))
            }
            _ => Ok(()),
        }
    }

    fn run(self, context: &mut Context) -> std::result::Result<Value, Failure> {
        let format = Format::choose(self.format, self.output.as_path(), "output").expect("checked before");
        let base = self.directory.as_ref().map_or(Path::new(""), FilePath::as_path);
        let mut output = Output::named(self.output.as_path(), context)?;
        let paths: Vec<&Path> = self.paths.iter().map(FilePath::as_path).collect();
        let mut tally = Tally::default();
        let result = gather::list(base, &paths, &output, &mut tally, context).and_then(|list| {
            write::all(&list, format, self.level, &mut output, &mut tally, context)?;
            Ok(list)
        });
        context.partial_now(&tally.to_value());
        let list = result?;
        let file_bytes = output.written();
        output.complete(context)?;
        context.progress(1, 1);
        let mut value = json!({
            "entries": tally.entries,
            "bytes": tally.bytes,
            "file": self.output,
            "file_bytes": file_bytes,
        });
        list.skipped.put_if_any(&mut value, "skipped");
        Ok(value)
    }
}

/// What was done so far.
#[derive(Default)]
struct Tally {
    entries: u64,
    entries_total: u64,
    bytes: u64,
    bytes_total: u64,
    current: std::path::PathBuf,
}

impl Tally {
    fn to_value(&self) -> Value {
        json!({
            "entries": self.entries,
            "entries_total": self.entries_total,
            "bytes": self.bytes,
            "bytes_total": self.bytes_total.max(self.bytes),
            "current": shown::name(&self.current),
        })
    }

    fn report(&self, context: &mut Context) {
        let entries = (self.entries, self.entries_total);
        let (done, whole) = reporting::share(entries, (self.bytes, self.bytes_total));
        context.report_step(done, whole, || (shown::text(&self.current), self.to_value()));
    }

    /// One more entry is to be put in. Fails when it is time to stop.
    fn count(&mut self, bytes: u64, context: &mut Context) -> std::result::Result<(), Failure> {
        self.entries_total += 1;
        self.bytes_total = self.bytes_total.saturating_add(bytes);
        context.check()?;
        reporting::alive(context, || ("counting".to_owned(), self.to_value()));
        Ok(())
    }
}
