//! What a shell expands inside of words: quotes, `$...`, backquotes and arithmetic, and where a placeholder may stand in it.
//!
//! A part of the scanner of a line, called for each word and for the text of here-documents.

use crate::batch::source::placeholder::Placeholder;
use crate::batch::source::shell_scanner::{Piece, Quotes, Scanner, print_item, scan};
use crate::error::{Error, Result};

impl Scanner<'_> {
    pub(super) fn single(&mut self) -> Result<()> {
        self.word.is_quoted = true;
        self.word.has_begun = true;
        self.copy(1);
        while let Some(byte) = self.byte(0) {
            if self.placeholder(Piece::Single)? {
                continue;
            }
            if byte == b'\'' {
                self.copy(1);
                return Ok(());
            }
            self.copy_word(1);
        }
        self.found.ends_open = true;
        Ok(())
    }

    pub(super) fn double(&mut self) -> Result<()> {
        self.word.is_quoted = true;
        self.word.has_begun = true;
        self.copy(1);
        while let Some(byte) = self.byte(0) {
            if byte == b'"' && self.notation.at_start(self.rest()).is_none() {
                self.copy(1);
                return Ok(());
            }
            self.expanded(byte, Quotes::Double)?;
        }
        self.found.ends_open = true;
        Ok(())
    }

    /// One step inside of double quotes or of a here-document.
    pub(super) fn expanded(&mut self, byte: u8, quotes: Quotes) -> Result<()> {
        if self.placeholder(Piece::Double)? {
            return Ok(());
        }
        match byte {
            b'\\' => self.backslash(quotes),
            b'$' => self.dollar(quotes)?,
            b'`' => self.backquotes(quotes)?,
            _ => self.copy_word(1),
        }
        Ok(())
    }

    fn backslash(&mut self, quotes: Quotes) {
        match self.byte(1) {
            Some(b'\n') => self.copy(2),
            Some(b'"') if quotes == Quotes::Document => self.copy_word(1),
            Some(b'$' | b'`' | b'"' | b'\\') => {
                self.copy(1);
                self.copy_word(1);
            }
            _ => {
                self.copy_word(1);
                // The reference begins with what a backslash would take its meaning from.
                if self.notation.at_start(self.rest()).is_some() {
                    self.text.push(b'\\');
                }
            }
        }
    }

    /// What a dollar sign begins.
    pub(super) fn dollar(&mut self, quotes: Quotes) -> Result<()> {
        let is_parameter = |byte: Option<u8>| matches!(byte, Some(b'1'..=b'9' | b'@' | b'*' | b'#'));
        let next = self.byte(1);
        self.found.names_parameters |= is_parameter(next);
        match next {
            Some(b'{') => self.parameter(quotes),
            Some(b'(') => {
                if self.is_arithmetic(2)? {
                    Ok(())
                } else {
                    self.parentheses(2)
                }
            }
            Some(b'[') if self.rest().contains(&b']') => {
                let length = until(&self.rest()[2..], |byte| byte == b']');
                self.arithmetic(2, length)
            }
            Some(b'\'') if quotes == Quotes::Outside => {
                let length = until(&self.rest()[2..], |byte| byte == b'\'');
                self.opaque(2 + length, "inside of $'...'", "Leave these quotes for it, as in: $'...'{}$'...'")
            }
            Some(b'$') => {
                self.copy_word(2);
                Ok(())
            }
            _ => {
                self.copy_word(1);
                Ok(())
            }
        }
    }

    /// `${...}`, with what a placeholder in its word becomes.
    fn parameter(&mut self, quotes: Quotes) -> Result<()> {
        let (line, end) = (self.line, self.end);
        let behind = &line[self.at + 2..end];
        let sign = usize::from(matches!(behind, [b'#' | b'!', next, ..] if *next != b'}'));
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let name = behind[sign..].iter().take_while(|byte| is_name(byte)).count();
        let name = if name == 0 && behind.get(sign).is_some_and(|byte| b"@*#?-$!".contains(byte)) { 1 } else { name };
        let parameter = &behind[sign..sign + name];
        self.found.names_parameters |= matches!(parameter, [b'1'..=b'9' | b'@' | b'*' | b'#', ..]);
        let operator = &behind[sign + name..];
        let (length, is_pattern) = match operator {
            [b':', b'-' | b'=' | b'?' | b'+', ..] => (2, false),
            [b'-' | b'=' | b'?' | b'+', ..] => (1, false),
            [b'#' | b'%' | b'/' | b'^' | b',', ..] => (1, true),
            [b'}', ..] => (0, false),
            _ => {
                let length = until(behind, |byte| byte == b'}');
                return self.arithmetic(2, length);
            }
        };
        self.copy_word(2 + sign + name + length);
        let inner = if is_pattern && quotes == Quotes::Double { Quotes::Outside } else { quotes };
        while let Some(byte) = self.byte(0) {
            if let Some((placeholder, _)) = self.notation.at_start(self.rest()) {
                let shown = |text: &str| format!("{text} of ${{...}} in a here-document");
                if is_pattern && quotes == Quotes::Document && placeholder != Placeholder::Number {
                    return Err(self.misplaced(&shown("in the pattern"), "Set a variable before the here-document"));
                }
                self.placeholder(if inner == Quotes::Outside { Piece::Bare } else { Piece::Double })?;
                continue;
            }
            match byte {
                b'}' => {
                    self.copy_word(1);
                    return Ok(());
                }
                b'\'' if inner == Quotes::Outside => self.single()?,
                b'"' if inner == Quotes::Outside => self.double()?,
                // Shells differ in what quotes inside of quotes do here.
                b'"' if inner == Quotes::Double => {
                    let length = until(&self.rest()[1..], |byte| byte == b'"');
                    let remedy = "Leave the inner quotes out; the value of a placeholder needs none there";
                    self.opaque(1 + length, "inside of quotes of ${...} in quotes", remedy)?;
                }
                b'\\' if inner == Quotes::Outside => self.copy_word(2),
                b'$' => self.dollar(inner)?,
                b'`' => self.backquotes(inner)?,
                _ if inner == Quotes::Outside => {
                    if !self.placeholder(Piece::Bare)? {
                        self.copy_word(1);
                    }
                }
                _ => self.expanded(byte, inner)?,
            }
        }
        self.found.ends_open = true;
        Ok(())
    }

    /// A command between backquotes. With a placeholder in it, it becomes `$(...)`, which has the same meaning.
    pub(super) fn backquotes(&mut self, quotes: Quotes) -> Result<()> {
        let start = self.at;
        let length = until(&self.rest()[1..], |byte| byte == b'`');
        let raw = &self.rest()[1..=length];
        let (inside, is_closed) = match raw.strip_suffix(b"`") {
            Some(inside) => (inside, true),
            None => (raw, false),
        };
        let mut command = Vec::new();
        let mut bytes = inside.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            let is_special = |next: &u8| b"$`\\".contains(next) || (*next == b'"' && quotes == Quotes::Double);
            command.push(match byte {
                b'\\' => bytes.next_if(is_special).unwrap_or(b'\\'),
                byte => byte,
            });
        }
        let inner = scan(&command, self.notation)?;
        self.found.names_parameters |= inner.names_parameters;
        self.found.ends_open |= !is_closed;
        if !inner.has_placeholder {
            self.found.commands.extend(inner.commands);
            self.copy_word(1 + length);
            return Ok(());
        }
        self.found.has_placeholder = true;
        self.found.is_backquoted = true;
        self.text.extend_from_slice(if command.starts_with(b"(") { b"$( " } else { b"$(" });
        self.flush();
        self.found.pieces.extend(inner.pieces);
        self.text.extend_from_slice(if inner.needs_newline { b"\n)" } else { b")" });
        self.at = (self.at + 1 + length).min(self.end);
        self.word.text.extend_from_slice(&self.line[start..self.at]);
        self.word.has_begun = true;
        let first = self.found.commands.len();
        self.found.commands.extend(inner.commands);
        self.add_outputs(first);
        Ok(())
    }

    /// Takes an expression whose second parenthesis is at this distance. False: there is none.
    pub(super) fn is_arithmetic(&mut self, ahead: usize) -> Result<bool> {
        let length = match self.byte(ahead) {
            Some(b'(') => arithmetic_length(&self.rest()[ahead + 1..]),
            _ => None,
        };
        if let Some(length) = length {
            self.arithmetic(ahead + 1, length)?;
        }
        Ok(length.is_some())
    }

    /// What a shell evaluates as an expression, of this length behind its opening. A number and what commands print
    /// may be in it, and no item.
    fn arithmetic(&mut self, opening: usize, length: usize) -> Result<()> {
        let end = (self.at + opening + length).min(self.end);
        self.copy_word(opening);
        let outer = std::mem::replace(&mut self.end, end);
        while self.at < self.end {
            let opens = matches!(self.rest(), [b'$', b'(', ..] | [b'`', ..]);
            if opens && !(self.byte(0) == Some(b'$') && self.is_arithmetic(2)?) {
                let first = self.found.commands.len();
                let word = std::mem::take(&mut self.word);
                match self.byte(0) {
                    Some(b'$') => self.parentheses(2)?,
                    _ => self.backquotes(Quotes::Double)?,
                }
                let commands = std::mem::replace(&mut self.word, word);
                self.word.append(&commands);
                if print_item(&self.found.commands[first..])
                    && commands.placeholders.iter().any(|item| *item != Placeholder::Number)
                {
                    return Err(self.evaluated());
                }
                continue;
            }
            if opens {
                continue;
            }
            if self.byte(0) == Some(b'$') {
                let is_parameter = matches!(self.rest(), [b'$', b'1'..=b'9' | b'@' | b'*' | b'#', ..])
                    || matches!(self.rest(), [b'$', b'{', b'1'..=b'9' | b'@' | b'*', ..]);
                self.found.names_parameters |= is_parameter;
                // What follows belongs to it.
                self.copy_word(if self.byte(1) == Some(b'{') { 2 } else { 1 });
                continue;
            }
            match self.notation.at_start(self.rest()) {
                Some((Placeholder::Number, _)) => _ = self.placeholder(Piece::Double)?,
                Some(_) => return Err(self.evaluated()),
                None => self.copy_word(1),
            }
        }
        self.end = outer;
        Ok(())
    }

    fn evaluated(&self) -> Error {
        let remedy = "Check it before, as in: n={}; case $n in ''|*[!0-9]*) exit 1;; esac; echo $((n + 1))";
        self.misplaced("where the shell evaluates it as an expression", remedy)
    }
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

/// The length of an expression with the two parentheses behind it. None: these are commands in two pairs of parentheses.
fn arithmetic_length(rest: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let length = until(rest, |byte| {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return true,
            b')' => depth -= 1,
            _ => {}
        }
        false
    });
    (rest.get(length) == Some(&b')')).then_some(length + 1)
}
