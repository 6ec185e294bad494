//! Here-documents of a line: their delimiters, and their text, in which a placeholder stands as in double quotes.
//!
//! A part of the scanner of a line, called at `<<` and at the end of the line with it.

use crate::batch::source::shell_scanner::{HereDocument, Quotes, Scanner, is_boundary};
use crate::error::Result;

impl Scanner<'_> {
    /// The operator of a here-document and its delimiter.
    pub(super) fn document(&mut self) -> Result<()> {
        let strips_tabs = self.byte(2) == Some(b'-');
        self.copy(if strips_tabs { 3 } else { 2 });
        while matches!(self.byte(0), Some(b' ' | b'\t')) {
            self.copy(1);
        }
        let (mut delimiter, mut is_quoted, mut quote) = (Vec::new(), false, None);
        while let Some(byte) = self.byte(0) {
            if self.notation.at_start(self.rest()).is_some() {
                return Err(
                    self.misplaced("in the delimiter of a here-document", "Use a fixed delimiter, as in: <<EOF")
                );
            }
            match (byte, quote) {
                (_, Some(open)) if byte == open => quote = None,
                (_, Some(_)) => delimiter.push(byte),
                (b'\'' | b'"', None) => (quote, is_quoted) = (Some(byte), true),
                (b'\\', None) => {
                    is_quoted = true;
                    self.copy(1);
                    delimiter.extend(self.byte(0));
                }
                _ if is_boundary(byte) => break,
                _ => delimiter.push(byte),
            }
            self.copy(1);
        }
        self.documents.push(HereDocument { delimiter, is_quoted, strips_tabs, depth: self.depth, commands: None });
        Ok(())
    }

    /// The here-documents that begin with this line.
    pub(super) fn read_documents(&mut self) -> Result<()> {
        for document in std::mem::take(&mut self.documents) {
            let length = body_length(self.rest(), &document);
            let body_end = self.at + length;
            let outer_end = std::mem::replace(&mut self.end, body_end);
            let outer_word = std::mem::take(&mut self.word);
            while let Some(byte) = self.byte(0) {
                if document.is_quoted {
                    if self.notation.at_start(self.rest()).is_some() {
                        let remedy = "Leave the quotes of its delimiter out, and write \\$ where a $ shall stay";
                        return Err(self.misplaced("in a here-document with a quoted delimiter", remedy));
                    }
                    self.copy_word(1);
                } else {
                    self.expanded(byte, Quotes::Document)?;
                }
            }
            self.end = outer_end;
            let text = std::mem::replace(&mut self.word, outer_word);
            for command in self.found.commands.get_mut(document.commands.unwrap_or_default()).into_iter().flatten() {
                command.document.append(&text);
            }
            // Its last line, which no word is part of.
            let line = self.rest().iter().position(|byte| *byte == b'\n');
            self.found.needs_newline = line.is_none();
            self.copy(line.map_or(self.rest().len(), |at| at + 1));
        }
        Ok(())
    }
}

/// The length of the text of a here-document, without the line that ends it.
fn body_length(rest: &[u8], document: &HereDocument) -> usize {
    let (mut at, mut is_joined) = (0, false);
    for line in rest.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let tabs = content.iter().take_while(|byte| document.strips_tabs && **byte == b'\t').count();
        if !is_joined && content[tabs..] == document.delimiter[..] {
            break;
        }
        let backslashes = content.iter().rev().take_while(|byte| **byte == b'\\').count();
        is_joined = !document.is_quoted && backslashes % 2 == 1;
        at += line.len();
    }
    at
}
