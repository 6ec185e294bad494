//! A command with placeholders, and the command of one job that it makes.
//!
//! An item is never read as anything: its bytes are a part of one argument, whatever they are. A word that is nothing but
//! a placeholder for all items becomes an argument for each of them; inside of a longer word they are joined with spaces.
//! Where the last job has fewer items than the others, a word that is nothing but a placeholder for a missing one is left
//! out. A command without any placeholder gets its items as arguments behind it. Where a command would take an item for
//! code, the template is refused.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::batch::source::code_argument::{self, Origin};
use crate::batch::source::placeholder::{Notation, Part, Placeholder};
use crate::batch::source::programs;
use crate::batch::source::shell_line::ShellLine;
use crate::batch::source::shell_scanner::{self, SimpleCommand};
use crate::error::{Error, Result};
use crate::model::job::Command;
use crate::model::request::TemplateCommand;

/// A command, taken apart.
#[derive(Debug)]
pub(super) enum Expander {
    Argv(Vec<Word>),
    Shell { shell: OsString, line: ShellLine },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Plain(OsString),
    Placeholder(Placeholder),
    /// Text and placeholders in turn.
    Mixed(Vec<Piece>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Vec<u8>),
    Placeholder(Placeholder),
}

impl Expander {
    /// Takes a command apart.
    pub(super) fn new(command: &TemplateCommand, notation: &Notation) -> Result<Self> {
        match command {
            TemplateCommand::Argv(words) => {
                if words.is_empty() {
                    return Err(Error::Invalid {
                        argument: Some("--each".to_owned()),
                        message: "there is no command for the items".to_owned(),
                        remediation: "Name it behind --, as in: runner batch --each -- gzip {}".to_owned(),
                    });
                }
                let mut texts = words.clone();
                let mut words = words.iter().map(|word| take_apart(word, notation)).collect::<Result<Vec<Word>>>()?;
                let is_appended = words.iter().all(|word| matches!(word, Word::Plain(_)));
                if is_appended {
                    words.push(Word::Placeholder(Placeholder::All(Part::Whole)));
                    texts.push(OsString::from_vec(notation.whole().to_vec()));
                }
                let checked = words.iter().zip(texts).map(|(word, text)| word.checked(text)).collect();
                let command = SimpleCommand { words: checked, document: shell_scanner::Word::default() };
                code_argument::check(&[command], Origin { notation, is_appended })?;
                Ok(Self::Argv(words))
            }
            TemplateCommand::Shell { shell, line } => {
                if !programs::is_posix_shell(shell.as_bytes()) {
                    return Err(foreign_shell(shell));
                }
                Ok(Self::Shell { shell: shell.clone(), line: ShellLine::read(line.as_bytes(), notation)? })
            }
        }
    }

    /// The number of the job is a part of its command.
    pub(super) fn names_number(&self) -> bool {
        match self {
            Self::Argv(words) => words.iter().any(|word| word.placeholders().contains(&Placeholder::Number)),
            Self::Shell { line, .. } => line.names_number(),
        }
    }

    /// The command of the job of this number with these items.
    pub(super) fn command(&self, items: &[OsString], seq: u64) -> Command {
        match self {
            Self::Argv(words) => {
                let mut argv = Vec::with_capacity(words.len() + items.len());
                words.iter().for_each(|word| word.expand(items, seq, &mut argv));
                if matches!(words[0], Word::Placeholder(_)) && argv.is_empty() {
                    // No program at all: the job fails, and its answer says why.
                    argv.push(OsString::new());
                }
                Command::Argv(argv)
            }
            Self::Shell { shell, line } => {
                let mut argv = vec![shell.clone(), "-c".into(), OsString::new(), shell.clone()];
                argv[2] = line.expand(items, seq, &mut argv);
                Command::Argv(argv)
            }
        }
    }
}

/// A line with items needs a shell whose language is known.
fn foreign_shell(shell: &OsString) -> Error {
    let name = shell.to_string_lossy();
    Error::Invalid {
        argument: Some("--shell".to_owned()),
        message: format!("'{name}' is not a POSIX shell; a line with items needs one"),
        remediation: format!(
            "Give sh, bash, dash, ksh, mksh, yash or zsh; or run it as a command that gets the item as an argument, as in: \
             runner batch -- {name} -c CODE {{}} ::: ITEM..."
        ),
    }
}

fn take_apart(word: &OsString, notation: &Notation) -> Result<Word> {
    let bytes = word.as_bytes();
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        notation.check_start(&bytes[at..])?;
        if let Some((placeholder, length)) = notation.at_start(&bytes[at..]) {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Placeholder(placeholder));
            at += length;
        } else {
            text.push(bytes[at]);
            at += 1;
        }
    }
    Ok(match &pieces[..] {
        [] => Word::Plain(word.clone()),
        [Piece::Placeholder(placeholder)] if text.is_empty() => Word::Placeholder(*placeholder),
        _ => {
            if !text.is_empty() {
                pieces.push(Piece::Text(text));
            }
            Word::Mixed(pieces)
        }
    })
}

impl Word {
    fn placeholders(&self) -> Vec<Placeholder> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Placeholder(placeholder) => vec![*placeholder],
            Self::Mixed(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Text(_) => None,
                    Piece::Placeholder(placeholder) => Some(*placeholder),
                })
                .collect(),
        }
    }

    /// The word as it is checked for code, with the text that it was made of.
    fn checked(&self, text: OsString) -> shell_scanner::Word {
        shell_scanner::Word {
            text: text.into_vec(),
            placeholders: self.placeholders(),
            ..shell_scanner::Word::default()
        }
    }

    fn expand(&self, items: &[OsString], seq: u64, argv: &mut Vec<OsString>) {
        let owned = |bytes: Cow<'_, [u8]>| OsString::from_vec(bytes.into_owned());
        match self {
            Self::Plain(word) => argv.push(word.clone()),
            Self::Placeholder(Placeholder::All(part)) => {
                argv.extend(items.iter().map(|item| owned(part.of(item.as_bytes()))));
            }
            Self::Placeholder(Placeholder::Nth(at, part)) => {
                argv.extend(items.get(*at).map(|item| owned(part.of(item.as_bytes()))));
            }
            Self::Placeholder(Placeholder::Number) => argv.push(seq.to_string().into()),
            Self::Mixed(pieces) => {
                let mut word = Vec::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => word.extend_from_slice(text),
                        Piece::Placeholder(placeholder) => write(*placeholder, items, seq, &mut word),
                    }
                }
                argv.push(OsString::from_vec(word));
            }
        }
    }
}

/// Appends what a placeholder inside of a word stands for.
pub(super) fn write(placeholder: Placeholder, items: &[OsString], seq: u64, into: &mut Vec<u8>) {
    match placeholder {
        Placeholder::All(part) => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    into.push(b' ');
                }
                into.extend_from_slice(&part.of(item.as_bytes()));
            }
        }
        Placeholder::Nth(at, part) => {
            if let Some(item) = items.get(at) {
                into.extend_from_slice(&part.of(item.as_bytes()));
            }
        }
        Placeholder::Number => into.extend_from_slice(seq.to_string().as_bytes()),
    }
}
