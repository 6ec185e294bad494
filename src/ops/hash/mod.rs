//! `hash`: digests of files and trees, and the check of files against digests that were written down.
//!
//! What it prints is what sha256sum(1) and b3sum print. A file that cannot be read keeps none of the others from being
//! hashed; the failure comes at the end.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, RefusedAccess, Result, plain};
use crate::model::envelope::ErrorCode;
use crate::ops::listing::Listing;
use crate::ops::parameters::FilePath;
use crate::ops::{Context, Failure, Operation, input, reporting, shown};

mod check;
mod digest;
mod sums;

use digest::{Algorithm, Stop};

#[derive(Args, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Hash {
    /// Files and folders to hash, or with --check the files of checksums; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<FilePath>,
    /// The digest function
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    algorithm: Algorithm,
    /// Read checksums from the FILEs and check them
    #[arg(long, short = 'c')]
    #[serde(default)]
    check: bool,
}

impl Operation for Hash {
    const NAME: &'static str = "hash";
    const ABOUT: &'static str = "Hash files and trees, or check checksums";
    const LONG_ABOUT: &'static str = "Print the digest of each file as sha256sum or b3sum would, in the same form. Folders \
        are hashed with all that is below them, in the order of the names; symbolic links in them are not followed, and \
        special files are listed in the result as skipped. A file that cannot be read fails the operation after the \
        others are hashed.\n\n\
        With --check, read such lines, or the tagged ones of BSD ('SHA256 (NAME) = DIGEST'), and print 'NAME: OK', \
        'NAME: FAILED' or 'NAME: FAILED open or read' for each. It fails if any file differs or is missing, and if a \
        file of checksums holds none. Names are relative to the working directory.\n\n\
        The partial result holds the digests so far ('files', at most 1000 of them), 'files_done', 'files_total', \
        'bytes' and 'bytes_total'; the result with --check also 'ok', 'failed', 'missing' and 'malformed'.";
    const EXAMPLES: &'static [&'static str] =
        &["hash --algorithm blake3 disk.img", "hash src > SHA256SUMS", "hash --check SHA256SUMS"];

    fn check(&self) -> Result<()> {
        if self.files.is_empty() {
            return Err(Error::Invalid {
                argument: Some("files".to_owned()),
                message: "no file to hash was given".to_owned(),
                remediation: "Name at least one file or folder, or - for standard input".to_owned(),
            });
        }
        Ok(())
    }

    fn run(self, context: &mut Context) -> std::result::Result<Value, Failure> {
        if self.check {
            return check::run(&self.files, self.algorithm, context);
        }
        let mut tally = Tally::new(self.algorithm);
        let result = sum(&self.files, &mut tally, context);
        context.partial_now(&tally.to_value());
        result?;
        if let Some(failure) = tally.failure() {
            return Err(failure);
        }
        context.progress(1, 1);
        Ok(tally.to_value())
    }
}

fn sum(files: &[FilePath], tally: &mut Tally, context: &mut Context) -> std::result::Result<(), Failure> {
    let mut plan = Vec::new();
    for file in files {
        gather(file.as_path(), &mut plan, tally, context)?;
    }
    for path in plan {
        context.check()?;
        match tally.digest(tally.algorithm, &path, context) {
            Ok(hex) => {
                context.print(sums::line(&hex, &path))?;
                tally.hashed(&path, tally.algorithm, &hex);
            }
            Err(Stop::Unreadable(error)) => tally.unreadable(&path, &error),
            Err(Stop::Over(failure)) => return Err(failure),
        }
        tally.files_done += 1;
    }
    Ok(())
}

/// Adds what is to be read for one name of the command line.
fn gather(
    path: &Path,
    plan: &mut Vec<PathBuf>,
    tally: &mut Tally,
    context: &mut Context,
) -> std::result::Result<(), Failure> {
    match input::size(path) {
        Ok(size) => add(path, size, plan, tally, context),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
                context.check()?;
                match entry {
                    Ok(entry) if entry.file_type().is_file() => {
                        let size = entry.metadata().map_or(0, |metadata| metadata.len());
                        add(entry.path(), Some(size), plan, tally, context);
                    }
                    // The name on the command line may itself be a link to the folder.
                    Ok(entry) if entry.file_type().is_dir() || entry.depth() == 0 => {}
                    Ok(entry) if entry.file_type().is_symlink() => {}
                    Ok(entry) => tally.skipped.push(shown::name(entry.path())),
                    Err(error) => {
                        let path = error.path().unwrap_or(path).to_owned();
                        tally.unreadable(&path, &error.into());
                    }
                }
            }
        }
        // It is reported in its place, when its turn comes.
        Err(_) => add(path, Some(0), plan, tally, context),
    }
    Ok(())
}

fn add(path: &Path, size: Option<u64>, plan: &mut Vec<PathBuf>, tally: &mut Tally, context: &mut Context) {
    plan.push(path.to_owned());
    tally.files_total += 1;
    tally.expect(size);
    reporting::alive(context, || ("counting".to_owned(), tally.to_value()));
}

/// What was done so far.
struct Tally {
    algorithm: Algorithm,
    files: Listing,
    files_done: u64,
    files_total: u64,
    bytes: u64,
    bytes_total: u64,
    /// There is something of unknown size, so that nobody knows how much of the whole is done.
    endless: bool,
    skipped: Listing,
    unreadable: Listing,
    /// What to fail with in the end.
    first: Option<(PathBuf, io::Error)>,
}

impl Tally {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            files: Listing::default(),
            files_done: 0,
            files_total: 0,
            bytes: 0,
            bytes_total: 0,
            endless: false,
            skipped: Listing::default(),
            unreadable: Listing::default(),
            first: None,
        }
    }

    /// The digest of one file, with reports while it is read.
    fn digest(
        &mut self,
        algorithm: Algorithm,
        path: &Path,
        context: &mut Context,
    ) -> std::result::Result<String, Stop> {
        let file = input::open(path)?;
        digest::of(algorithm, &file, &mut |count| {
            self.bytes += count;
            context.check()?;
            let report = || (shown::text(path), self.to_value());
            if self.endless {
                reporting::alive(context, report);
            } else {
                let files = (self.files_done, self.files_total);
                let (done, whole) = reporting::share(files, (self.bytes, self.bytes_total));
                context.report_step(done, whole, report);
            }
            Ok(())
        })
    }

    /// One of the files will give so many bytes, or nobody knows how many.
    fn expect(&mut self, size: Option<u64>) {
        self.bytes_total = self.bytes_total.saturating_add(size.unwrap_or(0));
        self.endless |= size.is_none();
    }

    fn hashed(&mut self, path: &Path, algorithm: Algorithm, hex: &str) {
        let mut entry = Map::new();
        // Not shortened: whoever reads the digest wants to find the file.
        entry.insert("path".to_owned(), json!(FilePath(path.to_owned())));
        entry.insert(algorithm.name().to_owned(), json!(hex));
        self.files.push(Value::Object(entry));
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.unreadable.push(json!({ "path": shown::name(path), "error": plain(error) }));
        if self.first.is_none() {
            let error = match (error.raw_os_error(), RefusedAccess::of(error)) {
                (Some(number), _) => io::Error::from_raw_os_error(number),
                (None, Some(refused)) => io::Error::new(error.kind(), refused.clone()),
                (None, None) => error.kind().into(),
            };
            self.first = Some((path.to_owned(), error));
        }
    }

    fn to_value(&self) -> Value {
        let mut value = json!({
            "files_done": self.files_done,
            "files_total": self.files_total,
            "bytes": self.bytes,
            "bytes_total": self.bytes_total.max(self.bytes),
        });
        self.files.put(&mut value, "files");
        self.skipped.put_if_any(&mut value, "skipped");
        self.unreadable.put_if_any(&mut value, "unreadable");
        value
    }

    /// The failure of those that could not be read.
    fn failure(&self) -> Option<Failure> {
        let (path, error) = self.first.as_ref()?;
        let text = shown::text(path);
        let all = match self.unreadable.count() {
            1 => format!("read {text}"),
            count => format!("read {count} files, the first of them {text}"),
        };
        let failure = Failure::system(&all, text, error);
        Some(match failure {
            Failure::Failed(mut inner) if self.files_done > self.unreadable.count() => {
                inner.remediation.push_str("; the other files were hashed");
                Failure::Failed(inner)
            }
            other => other,
        })
    }
}

/// The failure of an operation that did all it was told, and found something wrong.
fn mismatch(message: String, argument: String) -> Failure {
    Failure::new(ErrorCode::CommandFailed, message, "Get the files that differ again, or correct the checksums")
        .about(argument)
}
