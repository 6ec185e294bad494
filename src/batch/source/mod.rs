//! Where the jobs of a batch come from: lists as JSON or TOML, and commands made of items.
//!
//! Whatever is wrong with a list is said with its file, line and field, and what would be right.

use crate::error::Result;
use crate::model::batch::Entry;
use crate::model::job::JobSpec;
use crate::model::request::JobList;

mod check;
mod code_argument;
mod cycle;
mod each;
mod fault;
mod fields;
mod fingerprint;
mod format;
mod items;
mod json;
mod json_array;
mod list;
pub mod log_name;
mod option_words;
mod placeholder;
mod programs;
mod reading;
mod records;
mod settings;
mod shell_line;
mod shell_scanner;
mod spelling;
mod template;
mod toml_jobs;
mod values;

/// What holds for every job that does not say otherwise.
#[derive(Clone, Debug)]
pub struct EntryDefaults {
    /// Its command is never run; where it is a line for a shell, its shell is that of every such line.
    pub job: JobSpec,
    /// The timeout as a share of the median of the successes so far: 3.0 is 300 %.
    pub timeout_share: Option<f64>,
    /// The timeout as so many times what the history says of a job.
    pub auto_factor: Option<f64>,
}

/// The jobs of a batch, one after the other.
#[derive(Debug)]
pub struct Source(Jobs);

#[derive(Debug)]
enum Jobs {
    List(Box<list::List>),
    Each(Box<each::Each>),
}

/// Opens the list. One in a regular file is read to its end first, and nothing of it is wrong then; of any other, each
/// job is checked when its turn comes.
pub fn open(list: &JobList, defaults: &EntryDefaults) -> Result<Source> {
    Ok(Source(match list {
        JobList::File(path) => Jobs::List(Box::new(list::List::file(path, defaults)?)),
        JobList::Stdin => Jobs::List(Box::new(list::List::stdin(defaults)?)),
        JobList::Items(template) => Jobs::Each(Box::new(each::Each::open(template, defaults)?)),
    }))
}

impl Source {
    /// The next job, or None behind the last. Waits for standard input and FIFOs.
    ///
    /// The jobs of a file come in the order of their priorities, and within one in the order of the list; their numbers
    /// are always those of the list.
    #[expect(clippy::should_implement_trait, reason = "an error ends it, and is told apart from the end")]
    pub fn next(&mut self) -> Result<Option<Entry>> {
        match &mut self.0 {
            Jobs::List(list) => list.next(),
            Jobs::Each(each) => each.next(),
        }
    }

    /// How many jobs there are in all, where that is known before the last was read.
    pub fn count(&self) -> Option<u64> {
        match &self.0 {
            Jobs::List(list) => list.count(),
            Jobs::Each(each) => each.count(),
        }
    }
}

#[cfg(test)]
mod each_tests;
#[cfg(test)]
mod source_tests;
