//! Items for a command with placeholders: lines of files or words, one input or several.
//!
//! Empty lines of a file are skipped. They are items if inputs are paired or a job gets several items, since later
//! items would move to the wrong place otherwise, and if items end with NUL, since an empty one is deliberate then.
//! One input is read as its items are needed. Of several, all but the first are kept in memory.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::batch::source::reading::Input;
use crate::error::{Error, Result};
use crate::model::request::{ItemInput, Template};

/// The items of one job after the other.
#[derive(Debug)]
pub(super) struct Items {
    first: Reader,
    rest: Mixture,
    /// So many combinations make a job.
    per_job: usize,
    /// The whole number of jobs, where it is known.
    count: Option<u64>,
}

/// How the items of further inputs go with those of the first.
#[derive(Debug)]
enum Mixture {
    /// There is no other input.
    Alone,
    /// Each with each; the last input is the fastest.
    Combined { others: Vec<Vec<OsString>>, current: Option<OsString>, at: Vec<usize> },
    /// Side by side, the shorter ones from their beginning again.
    Linked { others: Vec<Vec<OsString>>, kept: Vec<OsString>, at: usize, longest: usize, over: bool },
}

impl Items {
    pub(super) fn open(template: &Template) -> Result<Self> {
        let stdin = template.inputs.iter().filter(|input| matches!(input, ItemInput::Stdin)).count();
        if stdin > 1 {
            return Err(Error::Invalid {
                argument: Some("--arg-file".to_owned()),
                message: "standard input is named more than once as an input of items".to_owned(),
                remediation: "Name it once, and give the other items as a file or behind :::".to_owned(),
            });
        }
        let linked = template.link && template.inputs.len() > 1;
        let keep_empty = template.null_separated || linked || template.items_per_job > 1;
        let mut readers = template.inputs.iter().map(|input| Reader::open(input, template.null_separated, keep_empty));
        // No input at all is one without items.
        let first = readers.next().unwrap_or_else(|| Ok(Reader::Words(Vec::new().into_iter())))?;
        let mut others = Vec::new();
        for reader in readers {
            let mut reader = reader?;
            let mut items = Vec::new();
            while let Some(item) = reader.next()? {
                items.push(item);
            }
            others.push(items);
        }
        let per_job = template.items_per_job.max(1);
        let count = first
            .count()
            .and_then(|first| combinations(first, &others, linked))
            .map(|combinations| combinations.div_ceil(per_job as u64));
        let longest = others.iter().map(Vec::len).max().unwrap_or_default();
        let rest = if others.is_empty() {
            Mixture::Alone
        } else if linked {
            let over = others.iter().any(Vec::is_empty);
            Mixture::Linked { others, kept: Vec::new(), at: 0, longest, over }
        } else {
            let at = vec![0; others.len()];
            Mixture::Combined { others, current: None, at }
        };
        Ok(Self { first, rest, per_job, count })
    }

    pub(super) fn count(&self) -> Option<u64> {
        self.count
    }

    /// Puts the items of the next job into `items`. False: there are none.
    pub(super) fn next(&mut self, items: &mut Vec<OsString>) -> Result<bool> {
        items.clear();
        for _ in 0..self.per_job {
            if !self.rest.next(&mut self.first, items)? {
                break;
            }
        }
        Ok(!items.is_empty())
    }
}

/// How many combinations there are; None where nobody could count them.
fn combinations(first: u64, others: &[Vec<OsString>], linked: bool) -> Option<u64> {
    let mut lengths = others.iter().map(|items| items.len() as u64);
    if !linked {
        return lengths.try_fold(first, u64::checked_mul);
    }
    if first == 0 || lengths.clone().any(|length| length == 0) {
        return Some(0);
    }
    Some(lengths.fold(first, u64::max))
}

impl Mixture {
    /// Appends the next combination. False: there is none.
    fn next(&mut self, first: &mut Reader, items: &mut Vec<OsString>) -> Result<bool> {
        match self {
            Self::Alone => match first.next()? {
                Some(item) => {
                    items.push(item);
                    Ok(true)
                }
                None => Ok(false),
            },
            Self::Combined { others, current, at } => {
                if current.is_none() {
                    if others.iter().any(Vec::is_empty) {
                        return Ok(false);
                    }
                    *current = first.next()?;
                }
                let Some(item) = current else { return Ok(false) };
                items.push(item.clone());
                items.extend(others.iter().zip(&*at).map(|(items, at)| items[*at].clone()));
                for (place, other) in at.iter_mut().zip(&*others).rev() {
                    *place += 1;
                    if *place < other.len() {
                        return Ok(true);
                    }
                    *place = 0;
                }
                *current = None;
                Ok(true)
            }
            Self::Linked { others, kept, at, longest, over } => {
                if *over {
                    return Ok(false);
                }
                let item = match first.next()? {
                    Some(item) => {
                        // Only while another input is longer can it be wanted again.
                        if *at < *longest {
                            kept.push(item.clone());
                        }
                        item
                    }
                    None if *at < *longest && !kept.is_empty() => {
                        // It is at its end, and stays there.
                        kept[*at % kept.len()].clone()
                    }
                    None => {
                        *over = true;
                        return Ok(false);
                    }
                };
                items.push(item);
                items.extend(others.iter().map(|items| items[*at % items.len()].clone()));
                *at += 1;
                Ok(true)
            }
        }
    }
}

/// The items of one input.
#[derive(Debug)]
enum Reader {
    Words(std::vec::IntoIter<OsString>),
    File {
        input: Input,
        end: u8,
        keep_empty: bool,
        read: u64,
    },
    /// It said once that it has no more. A terminal would be asked again.
    Over,
}

impl Reader {
    fn open(input: &ItemInput, null_separated: bool, keep_empty: bool) -> Result<Self> {
        let input = match input {
            ItemInput::Words(words) => return Ok(Self::Words(words.clone().into_iter())),
            ItemInput::Stdin => Input::stdin()?,
            ItemInput::File(path) => Input::file(path)?,
        };
        let end = if null_separated { 0 } else { b'\n' };
        Ok(Self::File { input, end, keep_empty, read: 0 })
    }

    fn count(&self) -> Option<u64> {
        match self {
            Self::Words(words) => Some(words.len() as u64),
            Self::File { .. } | Self::Over => None,
        }
    }

    fn next(&mut self) -> Result<Option<OsString>> {
        let (input, end, keep_empty, read) = match self {
            Self::Words(words) => return Ok(words.next()),
            Self::Over => return Ok(None),
            Self::File { input, end, keep_empty, read } => (input, *end, *keep_empty, read),
        };
        loop {
            let mut item = Vec::new();
            let some = match input.read_until(end, &mut item) {
                Ok(some) => some,
                Err(trouble) => return Err(trouble.into_error(input.name())),
            };
            if !some {
                *self = Self::Over;
                return Ok(None);
            }
            *read += 1;
            if item.is_empty() && !keep_empty {
                continue;
            }
            if end != 0 && item.contains(&0) {
                return Err(Error::Invalid {
                    argument: Some(input.name().to_owned()),
                    message: format!("{} line {read}: the item holds a NUL", input.name()),
                    remediation: "Give -0 where the items end with a NUL, as those of find -print0".to_owned(),
                });
            }
            return Ok(Some(OsString::from_vec(item)));
        }
    }
}
