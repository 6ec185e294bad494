//! Scans a line for a POSIX shell: the context of each placeholder, and the words of each command.
//!
//! Called for the line of a template and for code in its arguments. It follows quotes, substitutions, here-documents
//! and `case`, and expands nothing. A mistake puts a reference into the wrong kind of quotes: its value may then be
//! split into words, but never becomes code.

use crate::batch::source::placeholder::{Notation, Placeholder};
use crate::error::{Error, Result};

mod documents;
mod expansions;

/// A part of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Vec<u8>),
    /// A word of its own, where each of several items becomes an argument.
    Word(Placeholder),
    /// A part of a word, outside of quotes.
    Bare(Placeholder),
    /// Inside of double quotes or of a here-document.
    Double(Placeholder),
    /// Inside of single quotes, which are closed before and reopened after it.
    Single(Placeholder),
}

/// The result of a scan.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) pieces: Vec<Piece>,
    pub(super) commands: Vec<SimpleCommand>,
    pub(super) has_placeholder: bool,
    /// The line itself uses `$1`, `$@` and the like.
    pub(super) names_parameters: bool,
    /// It ends inside of quotes, a comment or a here-document.
    pub(super) ends_open: bool,
    /// It ends with a comment or a here-document, so a newline must come before any further text.
    pub(super) needs_newline: bool,
}

/// The words of one command, without redirections and reserved words.
#[derive(Debug, Default)]
pub(super) struct SimpleCommand {
    pub(super) words: Vec<ShellWord>,
    /// The text of its here-documents.
    pub(super) document: ShellWord,
}

/// A word with its quotes removed; expansions and placeholders are kept verbatim.
#[derive(Clone, Debug, Default)]
pub(super) struct ShellWord {
    pub(super) text: Vec<u8>,
    pub(super) placeholders: Vec<Placeholder>,
    pub(super) is_quoted: bool,
    pub(super) has_begun: bool,
}

/// Scans a line.
pub(super) fn scan(line: &[u8], notation: &Notation) -> Result<Scanned> {
    let mut scanner = Scanner {
        line,
        at: 0,
        end: line.len(),
        notation,
        text: Vec::new(),
        word: ShellWord::default(),
        documents: Vec::new(),
        depth: 0,
        found: Scanned::default(),
    };
    while scanner.at < scanner.end {
        scanner.commands()?;
        // An unmatched closing parenthesis.
        scanner.copy(1);
    }
    scanner.flush();
    scanner.found.ends_open |= scanner.found.needs_newline || !scanner.documents.is_empty();
    Ok(scanner.found)
}

/// A here-document whose text starts after the next newline.
struct HereDocument {
    delimiter: Vec<u8>,
    /// The delimiter is quoted, so nothing is expanded.
    is_quoted: bool,
    /// Leading tabs are stripped (`<<-`).
    strips_tabs: bool,
    depth: usize,
    /// The index of its command, once all words are known.
    command: Option<usize>,
}

/// The position within a `case`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Subject,
    Patterns,
    Commands,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirection {
    /// `<<<`, whose operand is the input of the command.
    HereString,
    Other,
}

#[derive(Default)]
struct CommandFrame {
    words: Vec<ShellWord>,
    cases: Vec<Case>,
    /// The next word is the operand of this redirection.
    redirection: Option<Redirection>,
    /// The here-string of the command.
    input: ShellWord,
}

struct Scanner<'a> {
    line: &'a [u8],
    at: usize,
    /// The end of the text to scan, such as that of a here-document.
    end: usize,
    notation: &'a Notation,
    text: Vec<u8>,
    word: ShellWord,
    documents: Vec<HereDocument>,
    depth: usize,
    found: Scanned,
}

/// The kind of quotes around an expansion.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Outside,
    Double,
    Document,
}

impl Scanner<'_> {
    fn rest(&self) -> &[u8] {
        &self.line[self.at..self.end]
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.rest().get(ahead).copied()
    }

    /// Copies this many bytes verbatim.
    fn copy(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.end);
        self.text.extend_from_slice(&self.line[self.at..end]);
        self.at = end;
    }

    /// The same, as part of the current word.
    fn copy_word(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.end);
        self.word.text.extend_from_slice(&self.line[self.at..end]);
        self.word.has_begun = true;
        self.copy(bytes);
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.found.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }

    /// Reads a placeholder at the current position. False: there is none.
    fn placeholder(&mut self, piece: fn(Placeholder) -> Piece) -> Result<bool> {
        self.notation.check_start(self.rest())?;
        let Some((placeholder, length)) = self.notation.at_start(self.rest()) else { return Ok(false) };
        self.flush();
        self.found.has_placeholder = true;
        self.found.pieces.push(piece(placeholder));
        self.word.text.extend_from_slice(&self.line[self.at..self.at + length]);
        self.word.placeholders.push(placeholder);
        self.word.has_begun = true;
        self.at += length;
        Ok(true)
    }

    /// Reads commands up to the end or a closing parenthesis.
    fn commands(&mut self) -> Result<()> {
        let outer = std::mem::take(&mut self.word);
        self.depth += 1;
        let mut frame = CommandFrame::default();
        while let Some(byte) = self.byte(0) {
            let is_pattern = frame.cases.last() == Some(&Case::Patterns);
            match byte {
                b')' if is_pattern && !(frame.words.is_empty() && self.word.text == b"esac") => {
                    self.end_word(&mut frame);
                    frame.words.clear();
                    frame.cases.pop();
                    frame.cases.push(Case::Commands);
                    self.copy(1);
                }
                b')' => break,
                b'(' if is_pattern => self.copy(1),
                b'|' if is_pattern => {
                    self.end_word(&mut frame);
                    self.copy(1);
                }
                _ => self.unquoted(byte, &mut frame)?,
            }
        }
        self.end_command(&mut frame);
        self.depth -= 1;
        self.word = outer;
        Ok(())
    }

    /// Reads one element outside of quotes.
    fn unquoted(&mut self, byte: u8, frame: &mut CommandFrame) -> Result<()> {
        let starts_word = !self.word.has_begun;
        if let Some((_, length)) = self.notation.at_start(self.rest()) {
            let ends_word = self.byte(length).is_none_or(is_boundary);
            self.placeholder(if starts_word && ends_word { Piece::Word } else { Piece::Bare })?;
            return Ok(());
        }
        match byte {
            b'\\' if self.byte(1) == Some(b'\n') => self.copy(2),
            b'\\' => {
                self.copy(1);
                self.word.is_quoted = true;
                self.copy_word(1);
            }
            b'#' if starts_word => self.comment(),
            b' ' | b'\t' => {
                self.end_word(frame);
                self.copy(1);
            }
            b'\n' => {
                self.end_command(frame);
                self.copy(1);
                self.read_documents()?;
            }
            b';' if frame.cases.last() == Some(&Case::Commands) && matches!(self.rest(), [b';', b';' | b'&', ..]) => {
                self.end_command(frame);
                frame.cases.pop();
                frame.cases.push(Case::Patterns);
                let length = self.rest().iter().take(3).take_while(|byte| b";&".contains(byte)).count();
                self.copy(length);
            }
            b'&' if self.byte(1) == Some(b'>') => {
                self.end_word(frame);
                self.copy(1);
            }
            b';' | b'&' | b'|' => {
                self.end_command(frame);
                self.copy(1);
            }
            b'<' | b'>' => self.redirection(frame)?,
            b'(' => {
                if self.read_arithmetic(1)? {
                    return Ok(());
                }
                self.end_command(frame);
                self.parentheses(1)?;
            }
            b'\'' => self.single()?,
            b'"' => self.double()?,
            b'$' => self.dollar(Quotes::Outside)?,
            b'`' => self.backquotes(Quotes::Outside)?,
            _ => {
                if !self.placeholder(Piece::Bare)? {
                    self.copy_word(1);
                }
            }
        }
        Ok(())
    }

    /// Reads a group in parentheses whose opening token has this length.
    fn parentheses(&mut self, opening: usize) -> Result<()> {
        let start = self.at;
        self.copy(opening);
        let commands = self.found.commands.len();
        self.commands()?;
        self.found.ends_open |= self.at == self.end;
        self.copy(1);
        // Placeholders of an inner command also belong to the word around it.
        self.word.text.extend_from_slice(&self.line[start..self.at]);
        self.word.has_begun |= opening > 1;
        for command in &self.found.commands[commands..] {
            let words = command.words.iter().chain([&command.document]);
            self.word.placeholders.extend(words.flat_map(|word| &word.placeholders));
        }
        if opening == 1 {
            self.word = ShellWord::default();
        }
        Ok(())
    }

    fn end_word(&mut self, frame: &mut CommandFrame) {
        let word = std::mem::take(&mut self.word);
        if !word.has_begun {
            return;
        }
        match frame.redirection.take() {
            Some(Redirection::HereString) => return frame.input = word,
            Some(Redirection::Other) => return,
            None => {}
        }
        let is_keyword = |keyword: &[u8]| !word.is_quoted && word.text == keyword;
        let is_first = frame.words.is_empty();
        match frame.cases.last() {
            Some(Case::Subject) if is_keyword(b"in") => {
                frame.cases.pop();
                frame.cases.push(Case::Patterns);
                frame.words.clear();
            }
            Some(Case::Patterns) if is_keyword(b"esac") && is_first => _ = frame.cases.pop(),
            Some(Case::Commands) if is_keyword(b"esac") && is_first => _ = frame.cases.pop(),
            _ if is_first && is_keyword(b"case") => frame.cases.push(Case::Subject),
            _ if is_first && RESERVED.iter().any(|reserved| is_keyword(reserved)) => {}
            _ => {
                let loops = frame.words.first().is_some_and(|first| matches!(&first.text[..], b"for" | b"select"));
                // `for name do` iterates over the positional parameters.
                self.found.names_parameters |= loops && frame.words.len() == 2 && is_keyword(b"do");
                // `function name {`
                let begins = frame.words.first().is_some_and(|first| first.text == b"function") && is_keyword(b"{");
                if begins || loops && is_keyword(b"do") { frame.words.clear() } else { frame.words.push(word) }
            }
        }
    }

    fn end_command(&mut self, frame: &mut CommandFrame) {
        self.end_word(frame);
        frame.redirection = None;
        let words = std::mem::take(&mut frame.words);
        let is_about_parameters = |first: &ShellWord| matches!(&first.text[..], b"shift" | b"getopts");
        self.found.names_parameters |= words.first().is_some_and(is_about_parameters);
        self.found.names_parameters |= words.len() == 2 && words[0].text == b"for";
        let document = std::mem::take(&mut frame.input);
        if words.is_empty() {
            return;
        }
        let number = self.found.commands.len();
        for document in self.documents.iter_mut().filter(|document| document.depth == self.depth) {
            document.command.get_or_insert(number);
        }
        self.found.commands.push(SimpleCommand { words, document });
    }

    /// Reads a redirection or a process substitution.
    fn redirection(&mut self, frame: &mut CommandFrame) -> Result<()> {
        if self.byte(1) == Some(b'(') {
            return self.parentheses(2);
        }
        // A number before it is a descriptor.
        if self.word.text.iter().all(u8::is_ascii_digit) {
            self.word = ShellWord::default();
        }
        self.end_word(frame);
        if self.rest().starts_with(b"<<") && self.byte(2) != Some(b'<') {
            return self.document();
        }
        let length = self.rest().iter().skip(1).take_while(|byte| b"<>&|".contains(byte)).count() + 1;
        let is_here_string = self.rest().starts_with(b"<<<");
        self.copy(length);
        frame.redirection = Some(if is_here_string { Redirection::HereString } else { Redirection::Other });
        Ok(())
    }

    fn comment(&mut self) {
        let end = self.rest().iter().position(|byte| *byte == b'\n');
        self.found.needs_newline |= end.is_none();
        self.copy(end.unwrap_or(self.rest().len()));
    }

    /// Copies this many bytes, which must not contain a placeholder.
    fn opaque(&mut self, length: usize, place: &str, remedy: &str) -> Result<()> {
        let end = (self.at + length).min(self.end);
        while self.at < end {
            if self.notation.at_start(self.rest()).is_some() {
                return Err(self.misplaced(place, remedy));
            }
            self.copy_word(1);
        }
        Ok(())
    }

    /// The error for the placeholder at the current position.
    fn misplaced(&self, place: &str, remedy: &str) -> Error {
        let length = self.notation.at_start(self.rest()).map_or(0, |(_, length)| length);
        let text = String::from_utf8_lossy(&self.rest()[..length]).into_owned();
        Error::Invalid {
            argument: Some("-c".to_owned()),
            message: format!("the placeholder {text} {place}"),
            remediation: remedy.to_owned(),
        }
    }
}

/// Reserved words that a command may follow.
const RESERVED: [&[u8]; 11] =
    [b"if", b"then", b"elif", b"else", b"while", b"until", b"do", b"!", b"{", b"}", b"coproc"];

/// True for a byte that ends a word.
fn is_boundary(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b";&|()<>".contains(&byte)
}
