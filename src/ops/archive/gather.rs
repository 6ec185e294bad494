//! What goes into an archive, and under which names: walked and summed up before anything is written.

use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use super::Tally;
use crate::ops::listing::Listing;
use crate::ops::output::Output;
use crate::ops::{Context, Failure, shown};
use crate::platform::path_walk;

/// All that goes in, in the order in which it does.
#[derive(Default)]
pub(super) struct List {
    pub(super) items: Vec<Item>,
    /// What cannot go in.
    pub(super) skipped: Listing,
}

/// One entry to be.
pub(super) struct Item {
    pub(super) source: PathBuf,
    /// Relative, without `.` and `..`.
    pub(super) name: PathBuf,
    pub(super) metadata: Metadata,
}

/// Lists the paths, which are relative to `base`, with what is below them.
pub(super) fn list(
    base: &Path,
    paths: &[&Path],
    output: &Output,
    tally: &mut Tally,
    context: &mut Context,
) -> Result<List, Failure> {
    let mut list = List::default();
    for path in paths {
        let source = base.join(path);
        let stored = stored_name(path);
        path_walk::check_parents(&source).map_err(|error| unreadable(&source, &error))?;
        for entry in WalkDir::new(&source).follow_root_links(false).sort_by_file_name() {
            context.check()?;
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(&source).to_owned();
                unreadable(&path, &error.into())
            })?;
            let below = entry.path().strip_prefix(&source).expect("it is below where the walk began");
            let name = if below.as_os_str().is_empty() { stored.clone() } else { stored.join(below) };
            let metadata = entry.metadata().map_err(|error| unreadable(entry.path(), &error.into()))?;
            let kind = metadata.file_type();
            if output.is_own(&metadata) || !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
                list.skipped.push(shown::name(entry.path()));
            } else if !name.as_os_str().is_empty() {
                tally.count(if kind.is_file() { metadata.len() } else { 0 }, context)?;
                list.items.push(Item { source: entry.into_path(), name, metadata });
            }
        }
    }
    Ok(list)
}

/// The path without what makes it absolute, and without `.`.
fn stored_name(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::system(&format!("read {}", shown::text(path)), shown::text(path), error)
}
