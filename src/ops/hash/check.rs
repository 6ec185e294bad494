//! `hash --check`: reads promises, hashes the files they are about, and says which are kept.
//!
//! Called by `hash` alone. The verdicts are those of sha256sum(1), word for word.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::digest::{Algorithm, Stop};
use super::sums::{self, Promise};
use super::{Tally, mismatch};
use crate::model::envelope::ErrorCode;
use crate::ops::listing::Listing;
use crate::ops::parameters::FilePath;
use crate::ops::{Context, Failure, input, shown};

/// A line that is longer is no checksum; a file without line ends is not read into memory.
const LINE_LIMIT: u64 = 64 << 10;

/// What the promises came to.
struct Verdicts {
    tally: Tally,
    ok: u64,
    failed: Listing,
    missing: Listing,
    malformed: Listing,
    /// The first that is not OK.
    first: Option<PathBuf>,
}

/// Checks all that the files promise.
pub(super) fn run(files: &[FilePath], algorithm: Algorithm, context: &mut Context) -> Result<Value, Failure> {
    let mut verdicts = Verdicts {
        tally: Tally::new(algorithm),
        ok: 0,
        failed: Listing::default(),
        missing: Listing::default(),
        malformed: Listing::default(),
        first: None,
    };
    let result = verdicts.check(files, context);
    context.partial_now(&verdicts.to_value());
    result?;
    verdicts.failure().map_or_else(|| Ok(verdicts.to_value()), Err)
}

impl Verdicts {
    fn check(&mut self, files: &[FilePath], context: &mut Context) -> Result<(), Failure> {
        let mut promises = Vec::new();
        for file in files {
            self.read(file.as_path(), &mut promises, context)?;
        }
        self.tally.files_total = promises.len() as u64;
        for promise in &promises {
            context.check()?;
            // What is missing is reported in its place.
            self.tally.expect(input::size(&promise.path).unwrap_or(Some(0)));
        }
        for promise in promises {
            context.check()?;
            self.judge(&promise, context)?;
            self.tally.files_done += 1;
        }
        Ok(())
    }

    /// Adds the promises of one file.
    fn read(&mut self, path: &Path, promises: &mut Vec<Promise>, context: &Context) -> Result<(), Failure> {
        let text = shown::text(path);
        let unreadable = |error| Failure::system(&format!("read the checksums in {text}"), text.clone(), &error);
        let mut reader = BufReader::new(input::open(path).map_err(unreadable)?);
        let before = promises.len();
        let mut line = Vec::new();
        for number in 1_u64.. {
            context.check()?;
            line.clear();
            reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line).map_err(unreadable)?;
            if line.is_empty() {
                break;
            }
            if line.len() as u64 == LINE_LIMIT && !line.ends_with(b"\n") {
                skip_line(&mut reader, context, &unreadable)?;
                self.malformed.push(json!(format!("{text}:{number}")));
            } else if let Some(promise) = sums::read(&line) {
                promises.push(promise);
            } else if !sums::is_blank(&line) {
                self.malformed.push(json!(format!("{text}:{number}")));
            }
        }
        if promises.len() == before {
            let message = format!("{text} holds no checksum");
            let remediation = "Give a file of lines 'DIGEST  NAME', as 'runner op hash FILE' prints them";
            return Err(Failure::new(ErrorCode::CommandFailed, message, remediation).about(text));
        }
        Ok(())
    }

    fn judge(&mut self, promise: &Promise, context: &mut Context) -> Result<(), Failure> {
        let path = &promise.path;
        let algorithm = promise.algorithm.unwrap_or(self.tally.algorithm);
        let word = match self.tally.digest(algorithm, path, context) {
            Ok(hex) => {
                self.tally.hashed(path, algorithm, &hex);
                if hex == promise.hex {
                    self.ok += 1;
                    "OK"
                } else {
                    self.failed.push(shown::name(path));
                    "FAILED"
                }
            }
            Err(Stop::Unreadable(_)) => {
                self.missing.push(shown::name(path));
                "FAILED open or read"
            }
            Err(Stop::Over(failure)) => return Err(failure),
        };
        if word != "OK" && self.first.is_none() {
            self.first = Some(path.clone());
        }
        context.print(sums::verdict(path, word))
    }

    fn to_value(&self) -> Value {
        let mut value = self.tally.to_value();
        value["ok"] = json!(self.ok);
        self.failed.put(&mut value, "failed");
        self.missing.put(&mut value, "missing");
        value["malformed"] = json!(self.malformed.count());
        self.malformed.put_if_any(&mut value, "malformed_lines");
        value
    }

    fn failure(&self) -> Option<Failure> {
        let first = shown::text(self.first.as_ref()?);
        let mut parts = Vec::new();
        for (count, what) in [(self.failed.count(), "differ"), (self.missing.count(), "cannot be read")] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        let message = format!(
            "of {} files with a checksum {}, the first is {first}",
            self.tally.files_total,
            parts.join(" and ")
        );
        Some(mismatch(message, first))
    }
}

/// Passes over the rest of a line, however long it is.
fn skip_line(
    reader: &mut impl BufRead,
    context: &Context,
    unreadable: &impl Fn(std::io::Error) -> Failure,
) -> Result<(), Failure> {
    loop {
        context.check()?;
        let buffer = reader.fill_buf().map_err(unreadable)?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(count);
        if end.is_some() || count == 0 {
            return Ok(());
        }
    }
}
