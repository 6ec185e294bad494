//! Finds the arguments of a command that are code, and refuses items in them.
//!
//! Called for the words of a template and for the commands of a line, before the first job. The list of programs is
//! closed and documented in the man page; code arguments of other programs are not recognised.

use std::ops::Range;

use crate::batch::source::placeholder::{Notation, Part, Placeholder};
use crate::batch::source::programs::{self, Language, OptionOrder, Takes};
use crate::batch::source::shell_scanner::{Piece, ShellWord, SimpleCommand, scan};
use crate::error::{Error, Result};

/// Maximum nesting of commands within commands, such as `sudo env nice`.
const DEPTH_LIMIT: usize = 16;

/// Arguments that a command runs as code.
struct Code<'a> {
    command: &'a str,
    language: Language,
    text: Vec<u8>,
    placeholders: Vec<Placeholder>,
}

/// Refuses items in the code of any of these commands. `quotes`: a quoted item (`{q}`) is allowed in shell code.
pub(super) fn check(commands: &[SimpleCommand], notation: &Notation, quotes: bool) -> Result<()> {
    for command in commands {
        check_command(command, notation, quotes)?;
    }
    Ok(())
}

fn check_command(command: &SimpleCommand, notation: &Notation, quotes: bool) -> Result<()> {
    let mut finder = CodeFinder { found: Vec::new(), document: Some(&command.document) };
    finder.command(&command.words, 0);
    for code in finder.found {
        if !code.placeholders.iter().any(is_item) {
            continue;
        }
        let is_quoted = |placeholder: &Placeholder| {
            !is_item(placeholder)
                || matches!(placeholder, Placeholder::All(Part::Quoted) | Placeholder::Nth(_, Part::Quoted))
        };
        if code.language != Language::Shell || !quotes || !code.placeholders.iter().all(is_quoted) {
            return Err(code.refused(quotes, notation));
        }
        let inner = scan(&code.text, notation)?;
        let is_open = |piece: &Piece| match piece {
            Piece::Double(placeholder) | Piece::Single(placeholder) => is_item(placeholder),
            Piece::Text(_) | Piece::Word(_) | Piece::Bare(_) => false,
        };
        if inner.pieces.iter().any(is_open) {
            return Err(Error::Invalid {
                argument: Some("COMMAND".to_owned()),
                message: format!("{{q}} is inside of quotes in the code that {} runs", code.command),
                remediation: "Remove these quotes: {q} adds its own, as in: sh -c 'cat {q}'".to_owned(),
            });
        }
        check(&inner.commands, notation, false)?;
    }
    Ok(())
}

/// An item or a part of one, as opposed to the number of the job, which is safe everywhere.
fn is_item(placeholder: &Placeholder) -> bool {
    *placeholder != Placeholder::Number
}

impl Code<'_> {
    fn refused(&self, quotes: bool, notation: &Notation) -> Error {
        let placeholder = String::from_utf8_lossy(notation.whole()).into_owned();
        let remediation = match self.language {
            Language::Shell if quotes && self.text == notation.whole() => {
                "Write {q} for a word of the code: the item quoted for another shell; to run items that are shell \
                 lines, use a job list with a line {\"shell\": \"LINE\"} for each"
                    .to_owned()
            }
            Language::Shell if quotes => format!(
                "Write {{q}} in place of {placeholder}, outside of quotes: the item quoted for another shell; or pass \
                 the item as an argument, as in: sh -c 'cat \"$1\"' sh {placeholder}"
            ),
            Language::Shell => {
                "One level of quoting is not enough here: put the inner code into a script and pass the item as an \
                 argument"
                    .to_owned()
            }
            Language::Expression => "Validate the item first, as in: case $n in ''|*[!0-9]*) exit 1;; esac".to_owned(),
            Language::Other(remedy) => {
                format!(
                    "Pass the item separately from the code, as in: {}; {{q}} is for shells only",
                    remedy.replace("{}", &placeholder)
                )
            }
        };
        Error::Invalid {
            argument: Some("COMMAND".to_owned()),
            message: format!("{} would run the item as code", self.command),
            remediation,
        }
    }
}

/// Collects the code arguments of a command.
struct CodeFinder<'a> {
    found: Vec<Code<'a>>,
    /// The here-document or here-string that the command reads.
    document: Option<&'a ShellWord>,
}

impl<'a> CodeFinder<'a> {
    fn add(&mut self, command: &'a str, language: Language, words: &[ShellWord]) {
        let texts: Vec<&[u8]> = words.iter().map(|word| &word.text[..]).collect();
        let placeholders = words.iter().flat_map(|word| &word.placeholders).copied().collect();
        self.found.push(Code { command, language, text: texts.join(&b' '), placeholders });
    }

    /// Adds the here-document as code.
    fn add_document(&mut self, command: &'a str, language: Language) {
        if let Some(document) = self.document {
            self.add(command, language, std::slice::from_ref(document));
        }
    }

    /// Adds option values, given as word index and byte offset.
    fn add_values(&mut self, command: &'a str, language: Language, words: &[ShellWord], values: &[(usize, usize)]) {
        for (at, from) in values {
            let Some(word) = words.get(*at) else { continue };
            let word = ShellWord { text: word.text[*from..].to_vec(), ..word.clone() };
            self.add(command, language, &[word]);
        }
    }

    /// Finds code among the words of a command and in its here-document.
    fn command(&mut self, words: &'a [ShellWord], depth: usize) {
        let assignments = words.iter().take_while(|word| is_assignment(word)).count();
        for word in &words[..assignments] {
            // `name[item]=` is an expression.
            let subscript = word.text.iter().position(|byte| *byte == b'=').unwrap_or_default();
            if word.text[..subscript].contains(&b'[') {
                self.add("a subscript", Language::Expression, std::slice::from_ref(word));
            }
        }
        let words = &words[assignments..];
        let Some(first) = words.first() else { return };
        if depth > DEPTH_LIMIT || first.placeholders.iter().any(is_item) {
            return;
        }
        let Some((name, takes)) = listed(first) else {
            return if !PRINT_COMMANDS.contains(&programs::base(&first.text)) {
                self.unknown_command(words)
            };
        };
        let rest = &words[1..];
        match takes {
            Takes::Everything(language) => self.add(name, language, rest),
            Takes::FirstOperand(language) => self.add(name, language, &rest[operand(rest, options(rest, "", &[]))]),
            Takes::Shell => self.shell(name, rest),
            Takes::OperandsAfter { values, operands } => {
                let at = (options(rest, values, &[]) + operands).min(rest.len());
                self.add(name, Language::Shell, &rest[at..]);
                if at == rest.len() {
                    self.add_document(name, Language::Shell);
                }
            }
            Takes::Option { order: OptionOrder::AfterOperand, language, values, .. } => {
                // The verb `task` of runner is followed by another verb.
                let verbs = usize::from(rest.first().is_some_and(|word| word.text == b"task"));
                let behind = (options(rest, values, &[]) + 1 + verbs).min(rest.len());
                let rest = &rest[behind..];
                let found = values_of(rest, &takes);
                self.add_values(name, language, rest, &found);
                if found.is_empty() {
                    self.command(&rest[options(rest, values, &[]).min(rest.len())..], depth + 1);
                }
            }
            Takes::Option { order, language, .. } => {
                let found = values_of(rest, &takes);
                self.add_values(name, language, rest, &found);
                if found.is_empty() && order == OptionOrder::Anywhere {
                    self.unknown_command(words);
                } else if found.is_empty() && rest.iter().all(|word| word.text.starts_with(b"-")) {
                    self.add_document(name, language);
                }
            }
            Takes::Names => {
                for word in rest.iter().filter(|word| !word.text.starts_with(b"-") && !is_assignment(word)) {
                    self.add(name, Language::Expression, std::slice::from_ref(word));
                }
                // Values of integers and arrays are evaluated as expressions, and so are subscripts.
                let is_typed = rest.iter().any(|word| matches!(&word.text[..], [b'-', flags @ ..] if flags.iter().any(|flag| b"iaA".contains(flag))));
                let has_subscript =
                    |word: &ShellWord| word.text.iter().take_while(|byte| **byte != b'=').any(|byte| *byte == b'[');
                for word in rest.iter().filter(|word| is_assignment(word) && (is_typed || has_subscript(word))) {
                    self.add(name, Language::Expression, std::slice::from_ref(word));
                }
            }
            Takes::Program { values, files } => {
                self.add_values(name, Language::Other(programs::AWK), rest, &values_of(rest, &programs::AWK_SOURCE));
                let has_file = rest.iter().any(|word| files.iter().any(|file| word.text.starts_with(file.as_bytes())));
                if !has_file {
                    self.add(name, Language::Other(programs::AWK), &rest[operand(rest, options(rest, values, &[]))]);
                }
            }
            Takes::Command { values, longs, operands } => {
                if name == "env" {
                    let splits = programs::SPLIT;
                    self.add_values(name, Language::Shell, rest, &values_of(rest, &splits));
                }
                let at = options(rest, values, longs) + operands;
                self.command(&rest[at.min(rest.len())..], depth + 1);
            }
            Takes::Exec => {
                for (at, word) in rest.iter().enumerate() {
                    if matches!(&word.text[..], b"-exec" | b"-execdir" | b"-ok" | b"-okdir") {
                        self.command(&rest[at + 1..], depth + 1);
                    }
                }
            }
            Takes::Test => {
                for (at, word) in rest.iter().enumerate() {
                    if matches!(&word.text[..], b"-eq" | b"-ne" | b"-lt" | b"-le" | b"-gt" | b"-ge" | b"-v") {
                        self.add(name, Language::Expression, &rest[at.saturating_sub(1)..rest.len().min(at + 2)]);
                    }
                }
            }
        }
    }

    /// A command that is not on the list, such as `docker exec`: an interpreter with code may follow.
    fn unknown_command(&mut self, words: &'a [ShellWord]) {
        for (at, word) in words.iter().enumerate().skip(1) {
            let rest = &words[at + 1..];
            match listed(word) {
                Some((name, Takes::Shell)) => return self.shell(name, rest),
                Some((name, takes @ Takes::Option { order: OptionOrder::First, language, .. })) => {
                    return self.add_values(name, language, rest, &values_of(rest, &takes));
                }
                _ => {}
            }
        }
    }

    /// `sh [OPTION...] -c CODE`: the code is the first operand after all options.
    fn shell(&mut self, name: &'a str, words: &[ShellWord]) {
        let (mut at, mut has_code, mut reads_input) = (0, false, false);
        while let Some(word) = words.get(at) {
            let text = &word.text[..];
            if !matches!(text, [b'-' | b'+', _, ..]) {
                break;
            }
            at += 1;
            match text.strip_prefix(b"--") {
                Some(b"") => break,
                Some(b"rcfile" | b"init-file") => at += 1,
                Some(_) => {}
                None => {
                    has_code |= text[0] == b'-' && text.contains(&b'c');
                    reads_input |= text[0] == b'-' && text.contains(&b's');
                    at += text[1..].iter().filter(|letter| matches!(letter, b'o' | b'O')).count();
                }
            }
        }
        let operand = operand(words, at);
        if has_code {
            self.add(name, Language::Shell, &words[operand]);
        } else if reads_input || operand.is_empty() {
            self.add_document(name, Language::Shell);
        }
    }
}

/// Commands whose arguments are never code.
const PRINT_COMMANDS: [&str; 3] = ["echo", "printf", ":"];

/// Looks up a word in the list of programs.
fn listed(word: &ShellWord) -> Option<(&str, Takes)> {
    programs::takes(&word.text).map(|takes| (programs::base(&word.text), takes))
}

/// The range of the word at this index, empty if there is none.
fn operand(words: &[ShellWord], at: usize) -> Range<usize> {
    at.min(words.len())..words.len().min(at + 1)
}

/// `NAME=`, `NAME+=` or `NAME[...]=` at the start of a command.
fn is_assignment(word: &ShellWord) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let name = word.text.iter().take_while(|byte| is_name(byte)).count();
    let starts_well = word.text.first().is_some_and(|byte| !byte.is_ascii_digit());
    name > 0
        && starts_well
        && match word.text[name..] {
            [b'=', ..] | [b'+', b'=', ..] => true,
            [b'[', ref behind @ ..] => {
                behind.windows(2).any(|pair| pair == b"]=") || behind.windows(3).any(|end| end == b"]+=")
            }
            _ => false,
        }
}

/// Number of leading words that are options or their values. `values` are the letters of options with a value, `longs`
/// their long names.
fn options(words: &[ShellWord], values: &str, longs: &[&str]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let text = &word.text[..];
        if !matches!(text, [b'-', _, ..]) {
            break;
        }
        at += 1;
        if text == b"--" {
            break;
        }
        let takes_next = match text.starts_with(b"--") {
            true => longs.iter().any(|long| long.as_bytes() == text),
            false => {
                let first = text[1..].iter().position(|letter| values.as_bytes().contains(letter));
                first.is_some_and(|first| first + 2 == text.len())
            }
        };
        at += usize::from(takes_next);
    }
    at
}

/// Positions of option values that are code, as word index and byte offset.
fn values_of(words: &[ShellWord], takes: &Takes) -> Vec<(usize, usize)> {
    let Takes::Option { letters, longs, values, order, .. } = takes else { return Vec::new() };
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        let text = &word.text[..];
        at += 1;
        if !matches!(text, [b'-', _, ..]) {
            if *order != OptionOrder::Anywhere {
                break;
            }
            continue;
        }
        if text.starts_with(b"--") {
            for long in *longs {
                match text.strip_prefix(long.as_bytes()) {
                    Some(b"") => found.push((at, 0)),
                    Some([b'=', ..]) => found.push((at - 1, long.len() + 1)),
                    _ => continue,
                }
            }
            if text == b"--" && *order != OptionOrder::Anywhere {
                break;
            }
            continue;
        }
        for (place, letter) in text.iter().enumerate().skip(1) {
            let is_last = place + 1 == text.len();
            // In `node -pe` the p takes no value.
            if letters.as_bytes().contains(letter) && (is_last || *letter != b'p') {
                found.push(if is_last { (at, 0) } else { (at - 1, place + 1) });
                at += usize::from(is_last);
                break;
            }
            if *letter == b'm' && *order == OptionOrder::First && letters == &"c" {
                // `python -m MODULE`: the rest are arguments of the module.
                return found;
            }
            if values.as_bytes().contains(letter) {
                at += usize::from(is_last);
                break;
            }
        }
    }
    found
}
