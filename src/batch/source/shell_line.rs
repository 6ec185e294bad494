//! A line for a shell with placeholders.
//!
//! Items never become a part of the line. They are positional parameters of the shell, which a prologue on the same line
//! puts into readonly variables that are not exported; what replaces a placeholder is a quoted reference such as
//! `"${_r1}"`, whose value no shell reads as code. It holds in functions, traps and sourced files, too, and behind `set --`.
//! A line that uses `$1`, `$@` and the like itself finds the items there; in any other, there are no parameters.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::batch::source::code_argument::{self, Origin};
use crate::batch::source::placeholder::{Notation, Placeholder};
use crate::batch::source::shell_scanner::{Piece, scan};
use crate::batch::source::template::write;
use crate::error::{Error, Result};

/// With more variables than these, a loop sets them, since a line has a maximum length.
const LONGEST_LIST: usize = 64;

/// The line, taken apart.
#[derive(Debug)]
pub(super) struct ShellLine {
    pieces: Vec<Piece>,
    /// The line uses the positional parameters itself.
    names_parameters: bool,
    /// How the names of variables begin; no other name in the line does.
    prefix: String,
}

impl ShellLine {
    /// Takes a line apart.
    pub(super) fn read(line: &[u8], notation: &Notation) -> Result<Self> {
        let mut line = line.to_vec();
        let mut scanned = scan(&line, notation)?;
        let is_appended = !scanned.has_placeholder && !scanned.names_parameters;
        if is_appended {
            let open =
                matches!(line.trim_ascii_end().last(), Some(b';' | b'&' | b'|' | b'(' | b'<' | b'>' | b'\\') | None);
            if open || scanned.ends_open {
                return Err(Error::Invalid {
                    argument: Some("--each".to_owned()),
                    message: "no placeholder says where in the line for the shell the items go".to_owned(),
                    remediation: "Put {} where the item belongs, as in: -c 'gzip < {} > {}.gz'".to_owned(),
                });
            }
            line.push(b' ');
            line.extend_from_slice(notation.whole());
            scanned = scan(&line, notation)?;
        }
        code_argument::check(&scanned.commands, Origin { notation, is_appended })?;
        let mut prefix = "_r".to_owned();
        while line.windows(prefix.len()).any(|window| window == prefix.as_bytes()) {
            prefix.push('r');
        }
        Ok(Self { pieces: scanned.pieces, names_parameters: scanned.names_parameters, prefix })
    }

    pub(super) fn names_number(&self) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Word(placeholder)
            | Piece::Bare(placeholder)
            | Piece::Double(placeholder)
            | Piece::Single(placeholder) => *placeholder == Placeholder::Number,
        })
    }

    /// The line for one job. What it refers to is appended to `argv`.
    pub(super) fn expand(&self, items: &[OsString], seq: u64, argv: &mut Vec<OsString>) -> OsString {
        let mut values = Values { items, seq, prefix: &self.prefix, known: Vec::new() };
        let mut line = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.extend_from_slice(text),
                Piece::Word(placeholder) => values.write_words(*placeholder, &mut line),
                Piece::Bare(placeholder) => values.write(*placeholder, "\"${", "}\"", &mut line),
                Piece::Double(placeholder) => values.write(*placeholder, "${", "}", &mut line),
                Piece::Single(placeholder) => values.write(*placeholder, "'\"${", "}\"'", &mut line),
            }
        }
        let mut whole = self.prologue(values.known.len()).into_bytes();
        whole.append(&mut line);
        argv.extend(values.known.into_iter().map(|(_, value)| value));
        if self.names_parameters {
            argv.extend_from_slice(items);
        }
        OsString::from_vec(whole)
    }

    /// Puts this many parameters into variables, and leaves those that the line uses itself.
    fn prologue(&self, count: usize) -> String {
        let prefix = &self.prefix;
        let parameters = if self.names_parameters { format!("shift {count}") } else { "set --".to_owned() };
        if count == 0 {
            return String::new();
        }
        if count <= LONGEST_LIST {
            let names: String = (1..=count).map(|at| format!(" {prefix}{at}")).collect();
            let values: String = (1..=count).map(|at| format!(" {prefix}{at}=\"${{{at}}}\"")).collect();
            // One that came with the environment would be exported.
            return format!("unset{names}; readonly{values}; {parameters}; ");
        }
        format!(
            "{prefix}=0; while [ ${prefix} -lt {count} ]; do {prefix}=$(({prefix}+1)); unset {prefix}${prefix}; \
             eval \"readonly {prefix}${prefix}=\\\"\\${{${prefix}}}\\\"\"; done; unset {prefix}; {parameters}; "
        )
    }
}

/// What the variables of one job hold.
struct Values<'a> {
    items: &'a [OsString],
    seq: u64,
    prefix: &'a str,
    known: Vec<(Placeholder, OsString)>,
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
                    self.write(Placeholder::Nth(at, part), "\"${", "}\"", line);
                }
            }
            // A word that is nothing but a missing item is left out.
            Placeholder::Nth(at, _) if at >= self.items.len() => {}
            placeholder => self.write(placeholder, "\"${", "}\"", line),
        }
    }

    /// One reference, between these texts.
    fn write(&mut self, placeholder: Placeholder, before: &str, behind: &str, line: &mut Vec<u8>) {
        let number = self.number(placeholder);
        line.extend_from_slice(format!("{before}{}{number}{behind}", self.prefix).as_bytes());
    }

    /// The number of the variable that holds what a placeholder stands for.
    fn number(&mut self, placeholder: Placeholder) -> usize {
        let placeholder = match placeholder {
            Placeholder::All(part) if self.items.len() == 1 => Placeholder::Nth(0, part),
            other => other,
        };
        let known = self.known.iter().position(|(other, _)| *other == placeholder);
        let at = known.unwrap_or_else(|| {
            let mut value = Vec::new();
            write(placeholder, self.items, self.seq, &mut value);
            self.known.push((placeholder, OsString::from_vec(value)));
            self.known.len() - 1
        });
        at + 1
    }
}
