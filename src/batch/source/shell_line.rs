//! A line for a shell with placeholders.
//!
//! Items never become a part of the line. They are positional parameters of the shell, and what replaces a placeholder is
//! a quoted reference such as `"${1}"`, whose value no shell reads as code. Inside of quotes the reference is written so
//! that it holds there, too; where no such way is sure, the placeholder is refused. `$1`, `$2` and so on are the items of
//! the job, so that a line may also name them itself. A command that takes its argument for code, such as `eval` or a
//! second `sh -c`, does so with an item as with any other argument.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::batch::source::placeholder::{Part, Placeholder, at_start};
use crate::batch::source::shell_scanner::{Piece, scan};
use crate::batch::source::template::write;
use crate::error::{Error, Result};

/// The line, taken apart.
#[derive(Debug)]
pub(super) struct ShellLine {
    pieces: Vec<Piece>,
}

impl ShellLine {
    /// Takes a line apart, for jobs with up to `items` items.
    pub(super) fn read(line: &[u8], items: usize) -> Result<Self> {
        let refuse = |problem: String, remediation: &str| {
            Err(Error::Invalid {
                argument: Some("--each".to_owned()),
                message: problem,
                remediation: remediation.to_owned(),
            })
        };
        let scanned = scan(line, &|bytes| at_start(bytes, items));
        if let Some((place, found)) = scanned.refused {
            let problem = format!("the placeholder {found} stands {place}, where it may not stay one argument");
            return refuse(problem, "Set a variable before, as in: f={}; and then use \"$f\" there");
        }
        let mut pieces = scanned.pieces;
        if scanned.has_placeholder || scanned.names_parameters {
            return Ok(Self { pieces });
        }
        let open = matches!(line.trim_ascii_end().last(), Some(b';' | b'&' | b'|' | b'(' | b'<' | b'>' | b'\\') | None);
        if open || scanned.ends_open {
            let problem = "no placeholder says where in the line for the shell the items go".to_owned();
            return refuse(problem, "Put {} where the item belongs, as in: -c 'gzip < {} > {}.gz'");
        }
        pieces.push(Piece::Text(b" ".to_vec()));
        pieces.push(Piece::Word(Placeholder::All(Part::Whole)));
        Ok(Self { pieces })
    }

    /// The line for one job. Its items, and whatever else the line refers to, are appended to `argv`.
    pub(super) fn expand(&self, items: &[OsString], seq: u64, argv: &mut Vec<OsString>) -> OsString {
        let mut values = Values { items, seq, derived: Vec::new() };
        let mut line = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.extend_from_slice(text),
                Piece::Word(placeholder) => values.write_words(*placeholder, &mut line),
                Piece::Bare(placeholder) => values.write(*placeholder, b"\"${", b"}\"", &mut line),
                Piece::Double(placeholder) => values.write(*placeholder, b"${", b"}", &mut line),
                Piece::Single(placeholder) => values.write(*placeholder, b"'\"${", b"}\"'", &mut line),
            }
        }
        let derived = values.derived;
        argv.extend_from_slice(items);
        argv.extend(derived.into_iter().map(|(_, value)| value));
        OsString::from_vec(line)
    }
}

/// What the positional parameters of one job are: its items, then whatever is made of them.
struct Values<'a> {
    items: &'a [OsString],
    seq: u64,
    derived: Vec<(Placeholder, OsString)>,
}

impl Values<'_> {
    /// References to each of what a placeholder stands for, with spaces between them.
    fn write_words(&mut self, placeholder: Placeholder, line: &mut Vec<u8>) {
        match placeholder {
            Placeholder::All(part) => {
                for at in 0..self.items.len() {
                    if at > 0 {
                        line.push(b' ');
                    }
                    self.write(Placeholder::Nth(at, part), b"\"${", b"}\"", line);
                }
            }
            // A word that is nothing but a missing item is left out.
            Placeholder::Nth(at, _) if at >= self.items.len() => {}
            placeholder => self.write(placeholder, b"\"${", b"}\"", line),
        }
    }

    /// One reference, between these bytes.
    fn write(&mut self, placeholder: Placeholder, before: &[u8], behind: &[u8], line: &mut Vec<u8>) {
        let number = self.number(placeholder);
        line.extend_from_slice(before);
        line.extend_from_slice(number.to_string().as_bytes());
        line.extend_from_slice(behind);
    }

    /// The positional parameter that holds what a placeholder stands for.
    fn number(&mut self, placeholder: Placeholder) -> usize {
        let placeholder = match placeholder {
            Placeholder::All(part) if self.items.len() == 1 => Placeholder::Nth(0, part),
            other => other,
        };
        if let Placeholder::Nth(at, Part::Whole) = placeholder
            && at < self.items.len()
        {
            return at + 1;
        }
        let known = self.derived.iter().position(|(other, _)| *other == placeholder);
        let at = known.unwrap_or_else(|| {
            let mut value = Vec::new();
            write(placeholder, self.items, self.seq, &mut value);
            self.derived.push((placeholder, OsString::from_vec(value)));
            self.derived.len() - 1
        });
        self.items.len() + at + 1
    }
}
