//! The screen of a terminal as a person sees it: rows of text, the cursor, and colours where a promise is about them.

use vt100::{Color, Parser};

/// What a screen shows at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Rows without blanks at their end, and without the empty rows at the end.
    pub(crate) rows: Vec<String>,
    /// Row and column.
    pub(crate) cursor: (u16, u16),
    /// A full-screen program has it.
    pub(crate) alternate: bool,
}

impl Picture {
    pub(crate) fn of(parser: &Parser) -> Self {
        let screen = parser.screen();
        let (_, width) = screen.size();
        let mut rows: Vec<String> = screen.rows(0, width).map(|row| row.trim_end().to_owned()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        Self { rows, cursor: screen.cursor_position(), alternate: screen.alternate_screen() }
    }

    /// The rows with every time as `T` and every turn of a spinner as `*`.
    pub(crate) fn redacted(&self) -> Vec<String> {
        self.rows.iter().map(|row| redact(row)).collect()
    }

    /// Where the only bar of a job of this name stands.
    pub(crate) fn bar(&self, name: &str) -> Option<usize> {
        let bars: Vec<usize> = (0..self.rows.len()).filter(|row| is_bar(&self.rows[*row], name)).collect();
        assert!(bars.len() < 2, "more than one bar on the screen:\n{}", self.rows.join("\n"));
        bars.first().copied()
    }
}

/// Whether a row is, or has the remains of, a bar of a job of this name: the name and the time behind it.
pub(crate) fn is_bar(row: &str, name: &str) -> bool {
    redact(row).contains(&format!(" {name}  T"))
}

/// Times such as `0:12` and `1:02:03` become `T`, the place of a spinner before a text becomes `*`.
pub(crate) fn redact(row: &str) -> String {
    let characters: Vec<char> = row.chars().collect();
    let mut redacted = String::new();
    let mut at = 0;
    while at < characters.len() {
        let time: String = characters[at..].iter().take_while(|c| c.is_ascii_digit() || **c == ':').collect();
        if time.contains(':') && time.starts_with(|c: char| c.is_ascii_digit()) {
            redacted.push('T');
            at += time.len();
        } else {
            let length = time.len().max(1);
            redacted.extend(&characters[at..at + length]);
            at += length;
        }
    }
    match redacted.strip_prefix(['-', '\\', '|', '/']).and_then(|rest| rest.strip_prefix(' ')) {
        Some(rest) if rest.contains("  T") => format!("* {rest}"),
        _ => redacted,
    }
}

/// Every line that went over a screen of this size, from the first to the last that is on it now.
pub(crate) fn all_lines(bytes: &[u8], rows: u16, columns: u16, at_most: usize) -> Vec<String> {
    let mut parser = Parser::new(rows, columns, at_most);
    parser.process(bytes);
    parser.screen_mut().set_scrollback(usize::MAX);
    let mut lines = Vec::new();
    let mut above = parser.screen().scrollback();
    while above > 0 {
        parser.screen_mut().set_scrollback(above);
        let shown = above.min(usize::from(rows));
        lines.extend(parser.screen().rows(0, columns).take(shown).map(|row| row.trim_end().to_owned()));
        above -= shown;
    }
    parser.screen_mut().set_scrollback(0);
    lines.extend(Picture::of(&parser).rows);
    lines
}

/// The colour of the first character of a text on the screen, where the text is there.
pub(crate) fn colour_of(parser: &Parser, text: &str) -> Option<Color> {
    let screen = parser.screen();
    let (_, width) = screen.size();
    let (row, column) =
        screen.rows(0, width).enumerate().find_map(|(row, line)| line.find(text).map(|column| (row, column)))?;
    let cell = screen.cell(u16::try_from(row).ok()?, u16::try_from(column).ok()?)?;
    Some(cell.fgcolor())
}
