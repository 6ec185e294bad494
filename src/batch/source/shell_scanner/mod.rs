//! Reads a line for a POSIX shell as far as is needed to say where each placeholder stands and which words make a command.
//!
//! Called for the line of a template, and for code in an argument of it. It follows quotes, substitutions, here-documents
//! and `case`; it expands nothing. Where it is mistaken, a reference ends up in the wrong kind of quotes. Its value may
//! then be split into words; it never becomes code.

use std::ops::Range;

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
    /// Inside of single quotes, which have to be left for it.
    Single(Placeholder),
}

/// What was found in a line.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) pieces: Vec<Piece>,
    pub(super) commands: Vec<SimpleCommand>,
    pub(super) has_placeholder: bool,
    /// The line uses `$1`, `$@` and the like itself.
    pub(super) names_parameters: bool,
    /// It ends inside of quotes, a comment or a here-document.
    pub(super) ends_open: bool,
    /// A newline has to follow before anything else can: it ends with a comment, or with a here-document.
    pub(super) needs_newline: bool,
    /// A placeholder stands between backquotes.
    pub(super) is_backquoted: bool,
}

/// The words of one command, without redirections and reserved words.
#[derive(Debug, Default)]
pub(super) struct SimpleCommand {
    pub(super) words: Vec<Word>,
    /// The text of its here-documents.
    pub(super) document: Word,
}

/// A word with its quotes removed; expansions and placeholders stand in it as they are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Word {
    pub(super) text: Vec<u8>,
    pub(super) placeholders: Vec<Placeholder>,
    /// Those in commands whose output is a part of the word.
    pub(super) outputs: Vec<Placeholder>,
    pub(super) is_quoted: bool,
    pub(super) has_begun: bool,
}

/// Reads a line.
pub(super) fn scan(line: &[u8], notation: &Notation) -> Result<Scanned> {
    let mut scanner = Scanner {
        line,
        at: 0,
        end: line.len(),
        notation,
        text: Vec::new(),
        word: Word::default(),
        documents: Vec::new(),
        depth: 0,
        found: Scanned::default(),
    };
    while scanner.at < scanner.end {
        scanner.commands()?;
        // A parenthesis that nothing opened.
        scanner.copy(1);
    }
    scanner.flush();
    scanner.found.ends_open |= scanner.found.needs_newline || !scanner.documents.is_empty();
    pass_input_on(&mut scanner.found.commands);
    Ok(scanner.found)
}

/// What `exec <<EOF` reads is the input of all commands behind it.
fn pass_input_on(commands: &mut [SimpleCommand]) {
    let mut input = Word::default();
    for command in commands {
        command.document.append(&input);
        if matches!(&command.words[..], [exec] if exec.text == b"exec") {
            input.append(&command.document);
        }
    }
}

impl Word {
    fn append(&mut self, other: &Self) {
        self.text.extend_from_slice(&other.text);
        self.placeholders.extend(&other.placeholders);
        self.outputs.extend(&other.outputs);
    }
}

/// Some of these commands print an item as it is.
fn print_item(commands: &[SimpleCommand]) -> bool {
    matches!(commands, [SimpleCommand { words, .. }] if words.first().is_some_and(|first| matches!(&first.text[..], b"echo" | b"printf")))
}

/// A here-document whose text begins behind the next newline.
struct HereDocument {
    delimiter: Vec<u8>,
    /// Nothing is expanded in it.
    is_quoted: bool,
    /// Tabs at the start of its lines do not count.
    strips_tabs: bool,
    depth: usize,
    /// The commands that read it, once all words are known.
    commands: Option<Range<usize>>,
}

/// Where a `case` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Subject,
    Patterns,
    Commands,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirection {
    /// `<<<`, whose operand is what the command reads.
    Text,
    Other,
}

#[derive(Default)]
struct CommandFrame {
    words: Vec<Word>,
    cases: Vec<Case>,
    /// The next word is the operand of this redirection.
    redirection: Option<Redirection>,
    /// What the command reads, where it stands in the line.
    input: Word,
    /// The first command of each compound command around.
    opened: Vec<usize>,
    /// That of the one that ended here, whose redirections may follow.
    closed: Option<usize>,
}

struct Scanner<'a> {
    line: &'a [u8],
    at: usize,
    /// Up to here is read, of a here-document.
    end: usize,
    notation: &'a Notation,
    text: Vec<u8>,
    word: Word,
    documents: Vec<HereDocument>,
    depth: usize,
    found: Scanned,
}

/// What quotes mean in the word of a `${...}`.
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

    /// Takes this many bytes as they are.
    fn copy(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.end);
        self.text.extend_from_slice(&self.line[self.at..end]);
        self.at = end;
    }

    /// The same, as a part of the word.
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

    /// Takes a placeholder that begins here.
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

    /// Commands up to the end, or to a parenthesis that closes them.
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

    /// One step outside of quotes.
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
                if self.is_arithmetic(1)? {
                    return Ok(());
                }
                self.end_command(frame);
                let first = self.found.commands.len();
                self.parentheses(1)?;
                frame.closed = Some(first);
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

    /// What is between parentheses, of which the opening one has this length.
    fn parentheses(&mut self, opening: usize) -> Result<()> {
        let start = self.at;
        self.copy(opening);
        let commands = self.found.commands.len();
        self.commands()?;
        self.found.ends_open |= self.at == self.end;
        self.copy(1);
        // What an inner command has is in the word around it, too.
        self.word.text.extend_from_slice(&self.line[start..self.at]);
        self.word.has_begun |= opening > 1;
        self.add_outputs(commands);
        if opening == 1 {
            self.word = Word::default();
        }
        Ok(())
    }

    /// The output of the commands from this one on is a part of the word.
    fn add_outputs(&mut self, first: usize) {
        let commands = &self.found.commands[first..];
        let words = commands.iter().flat_map(|command| command.words.iter().chain([&command.document]));
        let placeholders = words.flat_map(|word| word.placeholders.iter().chain(&word.outputs));
        if print_item(commands) {
            self.word.placeholders.extend(placeholders);
        } else {
            self.word.outputs.extend(placeholders);
        }
    }

    fn end_word(&mut self, frame: &mut CommandFrame) {
        let word = std::mem::take(&mut self.word);
        if !word.has_begun {
            return;
        }
        match frame.redirection.take() {
            Some(Redirection::Text) => return frame.input = word,
            Some(Redirection::Other) => return,
            None => {}
        }
        let is_keyword = |keyword: &[u8]| !word.is_quoted && word.text == keyword;
        // The `time` of a pipeline may stand before a compound command.
        let is_first = frame.words.iter().all(|word| matches!(&word.text[..], b"time" | b"-p"));
        match frame.cases.last() {
            Some(Case::Subject) if is_keyword(b"in") => {
                frame.cases.pop();
                frame.cases.push(Case::Patterns);
                frame.words.clear();
            }
            Some(Case::Patterns | Case::Commands) if is_keyword(b"esac") && is_first => {
                frame.cases.pop();
                frame.closed = frame.opened.pop();
            }
            _ if is_first && is_keyword(b"case") => {
                frame.cases.push(Case::Subject);
                frame.opened.push(self.found.commands.len());
            }
            _ if is_first && CLOSING.iter().any(|reserved| is_keyword(reserved)) => frame.closed = frame.opened.pop(),
            _ if is_first && RESERVED.iter().any(|reserved| is_keyword(reserved)) => {
                if [b"{" as &[u8], b"if", b"while", b"until"].iter().any(|opening| is_keyword(opening)) {
                    frame.opened.push(self.found.commands.len());
                }
            }
            _ => {
                if is_first && (is_keyword(b"for") || is_keyword(b"select")) {
                    frame.opened.push(self.found.commands.len());
                }
                let loops = frame.words.first().is_some_and(|first| matches!(&first.text[..], b"for" | b"select"));
                // `for name do` goes over the parameters.
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
        let is_about_parameters = |first: &Word| matches!(&first.text[..], b"shift" | b"getopts");
        self.found.names_parameters |= words.first().is_some_and(is_about_parameters);
        self.found.names_parameters |= words.len() == 2 && words[0].text == b"for";
        let input = std::mem::take(&mut frame.input);
        let closed = frame.closed.take();
        let number = self.found.commands.len();
        let readers = match closed {
            Some(first) if words.is_empty() => first..number,
            _ if words.is_empty() => return,
            _ => number..number + 1,
        };
        if !words.is_empty() {
            self.found.commands.push(SimpleCommand { words, document: Word::default() });
        }
        for document in self.documents.iter_mut().filter(|document| document.depth == self.depth) {
            document.commands.get_or_insert(readers.clone());
        }
        for command in &mut self.found.commands[readers] {
            command.document.append(&input);
        }
    }

    /// A redirection, or a process substitution.
    fn redirection(&mut self, frame: &mut CommandFrame) -> Result<()> {
        if self.byte(1) == Some(b'(') {
            return self.parentheses(2);
        }
        // A number before it is that of a descriptor.
        if self.word.text.iter().all(u8::is_ascii_digit) {
            self.word = Word::default();
        }
        self.end_word(frame);
        if self.rest().starts_with(b"<<") && self.byte(2) != Some(b'<') {
            return self.document();
        }
        let length = self.rest().iter().skip(1).take_while(|byte| b"<>&|".contains(byte)).count() + 1;
        let is_text = self.rest().starts_with(b"<<<");
        self.copy(length);
        frame.redirection = Some(if is_text { Redirection::Text } else { Redirection::Other });
        Ok(())
    }

    fn comment(&mut self) {
        let end = self.rest().iter().position(|byte| *byte == b'\n');
        self.found.needs_newline |= end.is_none();
        self.copy(end.unwrap_or(self.rest().len()));
    }

    /// Copies this many bytes, in which no placeholder may be.
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

    /// The error for the placeholder that begins here.
    fn misplaced(&self, place: &str, remedy: &str) -> Error {
        let here = self.notation.at_start(self.rest()).map(|(_, length)| &self.rest()[..length]);
        let text = String::from_utf8_lossy(here.unwrap_or(self.notation.whole())).into_owned();
        Error::Invalid {
            argument: Some("-c".to_owned()),
            message: format!("the placeholder {text} stands {place}"),
            remediation: remedy.to_owned(),
        }
    }
}

/// Words that a command may follow.
const RESERVED: [&[u8]; 10] = [b"if", b"then", b"elif", b"else", b"while", b"until", b"do", b"!", b"{", b"coproc"];

/// Words that end a compound command; redirections may follow.
const CLOSING: [&[u8]; 3] = [b"}", b"fi", b"done"];

/// Ends a word.
fn is_boundary(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b";&|()<>".contains(&byte)
}
