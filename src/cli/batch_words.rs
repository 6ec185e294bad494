//! What of the words behind `runner batch` are options, what is the command of items, and what are items behind `:::`.
//!
//! Called by the parser before it reads options: the parser cannot tell a job list from a command, since that depends on
//! what stands elsewhere. Nothing is checked here but the marks between items.

use std::ffi::{OsStr, OsString};

use clap::Command;

use crate::cli::usage;
use crate::error::{Error, Result};

/// Stands before items on the command line.
const MARK: &str = ":::";

/// The words in their parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// Options, and a job list or, behind `--`, a command.
    pub(crate) head: Vec<OsString>,
    /// What stood behind each mark.
    pub(crate) inputs: Vec<Vec<OsString>>,
}

/// Takes the words apart. Where options before the first other word ask for items, or items are given, that word begins
/// the command, with or without `--` before it.
pub(crate) fn split(definition: &Command, args: &[OsString]) -> Result<Words> {
    let mark = args.iter().position(|word| word == MARK);
    let (head, rest) = args.split_at(mark.unwrap_or(args.len()));
    let mut inputs: Vec<Vec<OsString>> = Vec::new();
    for word in rest {
        match (word.to_str(), inputs.last_mut()) {
            (Some(MARK), _) => inputs.push(Vec::new()),
            (Some(other @ ("::::" | ":::+" | "::::+")), _) => return Err(foreign_mark(other)),
            (_, Some(items)) => items.push(word.clone()),
            // The first word of the rest is a mark.
            (_, None) => {}
        }
    }
    let mut has_items = mark.is_some();
    let end = usage::walk(definition, head, |option| {
        has_items |= matches!(option.name, b"each" | b"arg-file" | b"a");
    });
    let mut head = head.to_vec();
    if has_items && head.get(end).is_some_and(|word| word != "--") {
        head.insert(end, "--".into());
    }
    Ok(Words { head, inputs })
}

/// The words with a job list at the end, where one stands between options: for those that look no further than a word.
pub(crate) fn options_first(definition: &Command, head: &[OsString]) -> Vec<OsString> {
    let end = usage::walk(definition, head, |_| {});
    let mut words = head.to_vec();
    if words.get(end).is_some_and(|word| word != OsStr::new("--")) {
        let list = words.remove(end);
        words.push(list);
    }
    words
}

/// Other programs give these marks a meaning; taken as items they would surprise.
fn foreign_mark(mark: &str) -> Error {
    let remediation = match mark {
        "::::" => "Name files of items with -a FILE",
        ":::+" => "Put ::: in its place, and --link to pair all inputs item by item",
        _ => "Name files of items with -a FILE, and pair all inputs item by item with --link",
    };
    Error::Invalid {
        argument: Some(mark.to_owned()),
        message: format!("'{mark}' is no mark of runner"),
        remediation: format!("{remediation}; an item of that name can come from standard input or from a file"),
    }
}
