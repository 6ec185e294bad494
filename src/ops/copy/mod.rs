//! `copy`: files and trees, each file whole or not at all.
//!
//! `plan` settles what goes where and refuses what cannot be right, before anything is written; `tree` does it; `content`
//! moves the bytes. A single entry that cannot be copied keeps none of the others from being copied.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result, plain};
use crate::model::envelope::ErrorCode;
use crate::ops::listing::Listing;
use crate::ops::parameters::FilePath;
use crate::ops::{Context, Failure, Operation, reporting, shown};

mod content;
mod plan;
mod tree;

#[derive(Args, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Copy {
    /// Files and folders to copy, and last where to: a folder, or the new name of a single one
    #[arg(value_name = "PATH", required = true, num_args = 2..)]
    paths: Vec<FilePath>,
}

impl Operation for Copy {
    const NAME: &'static str = "copy";
    const ABOUT: &'static str = "Copy files and trees, each file whole or not at all";
    const LONG_ABOUT: &'static str = "Copy files and trees to the last of the PATHs: into it where it is a folder, else \
        to this name. A folder is copied with all that is below it, and merged into one that is there; 'SRC/.' means what \
        is in SRC. Modes, times, symbolic links, hard links among what is copied and holes are kept; owners, extended \
        attributes and access control lists are not. Where the file system can, content is shared instead of copied.\n\n\
        A file appears at its destination when it is complete, and replaces what was there in one step; a copy that is \
        stopped or killed leaves no half file. Nothing is synced to the disk. A FIFO, socket or device in a tree, and \
        an entry that cannot be read or written, fail the operation after everything else is copied. A folder never \
        replaces a file, nor a file a folder. Two files that would have the same name are a conflict: the first stays. \
        Missing sources, a folder into itself, a file onto itself, and one in the place of a FIFO, socket or device are \
        refused before anything is written, and so are paths through a symbolic link of another user in a sticky \
        directory, see runner(1); into such a destination itself, or /dev/stdout, a file is written as it is.\n\n\
        The partial result holds 'files_done', 'files_total', 'bytes', 'bytes_total' and 'current'; the result also \
        'destination', 'reflinked' (files whose content is shared) and 'sparse_bytes_skipped'.";
    const EXAMPLES: &'static [&'static str] = &["copy disk.img /backup/", "copy src tests Cargo.toml /tmp/snapshot/"];

    fn check(&self) -> Result<()> {
        if self.paths.len() < 2 || self.paths.iter().any(|path| path.as_path().as_os_str().is_empty()) {
            return Err(Error::Invalid {
                argument: Some("paths".to_owned()),
                message: "copy needs a source and a destination, and none may be empty".to_owned(),
                remediation: "Name what to copy, and last where to: runner op copy SRC... DEST".to_owned(),
            });
        }
        Ok(())
    }

    fn run(self, context: &mut Context) -> std::result::Result<Value, Failure> {
        let (destination, sources) = self.paths.split_last().expect("checked to be two at least");
        let sources: Vec<&Path> = sources.iter().map(FilePath::as_path).collect();
        let mut tally = Tally::default();
        let plan = plan::make(&sources, destination.as_path(), &mut tally, context);
        let result = plan.and_then(|plan| tree::carry_out(&plan, &mut tally, context));
        context.partial_now(&tally.to_value());
        result?;
        if let Some(failure) = tally.failure() {
            return Err(failure);
        }
        let mut value = tally.to_value();
        value["destination"] = json!(destination);
        value["reflinked"] = json!(tally.reflinked);
        value["sparse_bytes_skipped"] = json!(tally.skipped);
        context.progress(1, 1);
        Ok(value)
    }
}

/// What was done so far. Folders are not counted.
#[derive(Default)]
struct Tally {
    files_done: u64,
    files_total: u64,
    bytes: u64,
    bytes_total: u64,
    current: PathBuf,
    reflinked: u64,
    /// Bytes of holes.
    skipped: u64,
    troubles: Listing,
    /// What to fail with in the end.
    first: Option<Trouble>,
}

/// Why an entry could not be copied.
struct Trouble {
    /// What could not be done, such as "copy a to b".
    action: String,
    /// The path to look at.
    about: PathBuf,
    error: io::Error,
}

impl Tally {
    fn to_value(&self) -> Value {
        let mut value = json!({
            "files_done": self.files_done,
            "files_total": self.files_total.max(self.files_done),
            "bytes": self.bytes,
            "bytes_total": self.bytes_total.max(self.bytes),
            "current": shown::name(&self.current),
        });
        self.troubles.put_if_any(&mut value, "failed");
        value
    }

    /// So many more bytes stand at the destination. Fails when it is time to stop.
    fn advance(&mut self, bytes: u64, context: &mut Context) -> std::result::Result<(), Failure> {
        self.bytes += bytes;
        context.check()?;
        let files = (self.files_done, self.files_total);
        let (done, whole) = reporting::share(files, (self.bytes, self.bytes_total));
        let report = || (shown::text(&self.current), self.to_value());
        context.report_step(done, whole, report);
        Ok(())
    }

    /// One more file is to be copied. Fails when it is time to stop.
    fn count(&mut self, bytes: u64, context: &mut Context) -> std::result::Result<(), Failure> {
        self.files_total += 1;
        self.bytes_total = self.bytes_total.saturating_add(bytes);
        context.check()?;
        reporting::alive(context, || ("counting".to_owned(), self.to_value()));
        Ok(())
    }

    /// This entry could not be copied. Fails where no other could be either.
    fn trouble(&mut self, path: &Path, trouble: Trouble) -> std::result::Result<(), Failure> {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let Trouble { action, about, error } = &trouble;
        if matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem) {
            return Err(Failure::system(action, shown::text(about), error));
        }
        self.troubles.push(json!({ "path": shown::name(path), "error": plain(error) }));
        self.first.get_or_insert(trouble);
        Ok(())
    }

    fn failure(&self) -> Option<Failure> {
        let Trouble { action, about, error } = self.first.as_ref()?;
        let action = match self.troubles.count() {
            1 => action.clone(),
            count => format!("copy {count} entries, the first of them: {action}"),
        };
        let failure = Failure::system(&action, shown::text(about), error);
        Some(match failure {
            Failure::Failed(inner) if error.kind() == io::ErrorKind::AlreadyExists => {
                let remediation = "Copy them one by one, to folders or names of their own";
                Failure::new(ErrorCode::Conflict, inner.message, remediation).about(shown::text(about))
            }
            other => other,
        })
    }
}
