//! Follows the quotes of a line for a shell as far as is needed to know where a placeholder stands.
//!
//! Where it is mistaken, since nobody but a shell can read all that shells read, a reference ends up in the wrong kind of
//! quotes. Its value may then be split into words; it never becomes code.

use crate::batch::source::placeholder::Placeholder;

/// A part of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Vec<u8>),
    /// A word of its own, where each of several items becomes an argument.
    Word(Placeholder),
    /// A part of a word, outside of quotes.
    Bare(Placeholder),
    /// Inside of double quotes.
    Double(Placeholder),
    /// Inside of single quotes, which have to be left for it.
    Single(Placeholder),
}

/// What was found in a line.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) pieces: Vec<Piece>,
    pub(super) has_placeholder: bool,
    /// The line speaks of `$1`, `$@` and the like itself.
    pub(super) names_parameters: bool,
    /// It ends inside of quotes, a comment or a here-document.
    pub(super) ends_open: bool,
    /// A placeholder where none can be: the kind of place, and its text.
    pub(super) refused: Option<(&'static str, String)>,
}

/// Finds the placeholder that begins with the first byte, and its length.
type Finder<'a> = &'a dyn Fn(&[u8]) -> Option<(Placeholder, usize)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Line,
    /// Between parentheses, which hold commands.
    Parentheses,
    Double,
    Single,
}

struct Scanner<'a> {
    line: &'a [u8],
    at: usize,
    text: Vec<u8>,
    contexts: Vec<Context>,
    /// A here-document begins with the next line.
    here_document: bool,
    found: Scanned,
    placeholder: Finder<'a>,
}

/// Takes a line apart.
pub(super) fn scan(line: &[u8], placeholder: Finder<'_>) -> Scanned {
    let mut scanner = Scanner {
        line,
        at: 0,
        text: Vec::new(),
        contexts: vec![Context::Line],
        here_document: false,
        found: Scanned::default(),
        placeholder,
    };
    while scanner.at < line.len() {
        scanner.step();
    }
    scanner.flush();
    scanner.found.ends_open |= scanner.contexts.len() > 1;
    scanner.found
}

impl Scanner<'_> {
    fn context(&self) -> Context {
        self.contexts.last().copied().unwrap_or(Context::Line)
    }

    fn rest(&self) -> &[u8] {
        &self.line[self.at..]
    }

    /// Takes so many bytes as they are.
    fn copy(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.line.len());
        self.text.extend_from_slice(&self.line[self.at..end]);
        self.at = end;
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.found.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }

    fn step(&mut self) {
        let next = self.line.get(self.at + 1).copied();
        match (self.context(), self.line[self.at]) {
            (Context::Single, b'\'') | (Context::Double, b'"') => {
                self.contexts.pop();
                self.copy(1);
            }
            (Context::Single, _) => self.placeholder_or_byte(),
            (Context::Double, b'\\') => match next {
                Some(b'$' | b'`' | b'"' | b'\\' | b'\n') => self.copy(2),
                _ => {
                    self.copy(1);
                    // The reference begins with what a backslash would take its meaning from.
                    if (self.placeholder)(self.rest()).is_some() {
                        self.text.push(b'\\');
                    }
                }
            },
            (_, b'$') => self.dollar(next),
            (_, b'`') => self.opaque(1, "inside of backticks", ends_at_backtick),
            (Context::Double, _) => self.placeholder_or_byte(),
            (_, byte) => self.unquoted(byte, next),
        }
    }

    /// One step outside of quotes.
    fn unquoted(&mut self, byte: u8, next: Option<u8>) {
        match byte {
            b'\\' => self.copy(2),
            b'\'' => self.open(Context::Single, 1),
            b'"' => self.open(Context::Double, 1),
            b'(' if next == Some(b'(') => self.opaque(2, "in arithmetic", ends_arithmetic),
            b'(' => self.open(Context::Parentheses, 1),
            b')' => {
                if self.context() == Context::Parentheses {
                    self.contexts.pop();
                }
                self.copy(1);
            }
            b'#' if self.is_at_word_start() => {
                let end = self.rest().iter().position(|byte| *byte == b'\n');
                self.found.ends_open |= end.is_none();
                self.copy(end.unwrap_or(self.rest().len()));
            }
            b'<' if self.rest().starts_with(b"<<<") => self.copy(3),
            b'<' if next == Some(b'<') => {
                self.here_document = true;
                self.copy(2);
            }
            b'\n' if self.here_document => {
                self.found.ends_open = true;
                self.opaque(1, "in a here-document", <[u8]>::len);
            }
            _ => self.placeholder_or_byte(),
        }
    }

    fn open(&mut self, context: Context, bytes: usize) {
        self.contexts.push(context);
        self.copy(bytes);
    }

    /// What a dollar sign begins, outside of single quotes.
    fn dollar(&mut self, next: Option<u8>) {
        let behind = self.line.get(self.at + 2).copied();
        let is_parameter = |byte: Option<u8>| matches!(byte, Some(b'1'..=b'9' | b'@' | b'*'));
        self.found.names_parameters |= is_parameter(next) || (next == Some(b'{') && is_parameter(behind));
        match next {
            Some(b'{') => self.opaque(2, "inside of ${...}", ends_parameter),
            Some(b'(') if behind == Some(b'(') => self.opaque(3, "in arithmetic", ends_arithmetic),
            Some(b'(') => self.open(Context::Parentheses, 2),
            Some(b'\'') if self.context() != Context::Double => self.opaque(2, "inside of $'...'", ends_ansi),
            Some(b'$') => self.copy(2),
            _ => self.copy(1),
        }
    }

    /// Copies what begins with so many bytes up to its end. No placeholder may be in it.
    fn opaque(&mut self, opening: usize, place: &'static str, length: fn(&[u8]) -> usize) {
        self.copy(opening);
        let rest = &self.line[self.at..];
        let inside = &rest[..length(rest).min(rest.len())];
        for at in 0..inside.len() {
            let follows_dollar = at > 0 && inside[at - 1] == b'$';
            if let Some((_, length)) = (self.placeholder)(&inside[at..])
                && !follows_dollar
                && self.found.refused.is_none()
            {
                let text = String::from_utf8_lossy(&inside[at..at + length]).into_owned();
                self.found.refused = Some((place, text));
            }
        }
        self.copy(inside.len());
    }

    fn placeholder_or_byte(&mut self) {
        let Some((placeholder, length)) = (self.placeholder)(self.rest()) else { return self.copy(1) };
        self.flush();
        self.found.has_placeholder = true;
        let ends_word = self.line.get(self.at + length).is_none_or(|byte| is_boundary(*byte));
        self.found.pieces.push(match self.context() {
            Context::Double => Piece::Double(placeholder),
            Context::Single => Piece::Single(placeholder),
            _ if self.is_at_word_start() && ends_word => Piece::Word(placeholder),
            _ => Piece::Bare(placeholder),
        });
        self.at += length;
    }

    fn is_at_word_start(&self) -> bool {
        self.at == 0 || (is_boundary(self.line[self.at - 1]) && !self.is_escaped())
    }

    /// The byte before was made text by a backslash.
    fn is_escaped(&self) -> bool {
        let before = &self.line[..self.at - 1];
        before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
    }
}

/// Ends a word.
fn is_boundary(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b";&|()<>".contains(&byte)
}

/// The length of what a closing byte ends, that byte included; a backslash makes the next byte text.
fn until(rest: &[u8], mut ends: impl FnMut(u8) -> bool) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if ends(byte) => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn ends_at_backtick(rest: &[u8]) -> usize {
    until(rest, |byte| byte == b'`')
}

fn ends_ansi(rest: &[u8]) -> usize {
    until(rest, |byte| byte == b'\'')
}

fn ends_parameter(rest: &[u8]) -> usize {
    let mut depth = 1_usize;
    until(rest, |byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

fn ends_arithmetic(rest: &[u8]) -> usize {
    let mut depth = 2_usize;
    until(rest, |byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}
