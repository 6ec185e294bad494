//! Where a job's bytes leave the cursor of the terminal.
//!
//! `screen` asks it whether something of ours may be inserted now, and what the job's bytes did to the lines below its
//! own. It only follows what it is fed: it holds no cells, writes nothing and knows no clock. The sequences are those of
//! ECMA-48 and of xterm's ctlseqs page.

use crate::capture::rendition::Rendition;
use crate::capture::sequences::{Part, Reader, number};

/// By so much the column may be off where it is in doubt.
const DOUBT: u16 = 4;
/// Modes that make a terminal unfit for the next program while they are on: keys of their own, the mouse, the focus,
/// marked pastes, output held back.
const MODES: [&[u8]; 11] =
    [b"1", b"9", b"1000", b"1002", b"1003", b"1004", b"1005", b"1006", b"1015", b"2004", b"2026"];

/// What a run of bytes did, as far as it matters to lines of ours below the job's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traces {
    /// It may have written to, moved or erased the lines below its own.
    pub touched: bool,
    /// It moved the cursor to other lines, as a job does that paints a picture; more of it may be to come.
    pub painted: bool,
}

/// A position that the job saved in the terminal.
#[derive(Clone, Copy, Debug, Default)]
struct Saved {
    column: u16,
    row: i64,
}

/// The cursor, relative to where it was at the start.
#[derive(Debug)]
pub(super) struct Cursor {
    width: u16,
    height: u16,
    reader: Reader,
    /// From 0 to the width, which stands for a cursor that waits at the margin for the next character.
    column: u16,
    /// The furthest column that holds text of this line; the width where that is unknown.
    line_end: u16,
    row: i64,
    /// The lowest row that the job has used.
    bottom: i64,
    /// The job went to a line by its number: how much of its picture is below is not known.
    lost: bool,
    /// The whole screen was erased and nothing has been written since.
    blank: bool,
    /// The column may be wrong: terminals differ in the width of what is on this line.
    doubtful: bool,
    /// The line went on in the next one while the column was in doubt.
    slipped: bool,
    wraps: bool,
    /// The terminal's one place for a position holds this of the job's; it may come back to it more than once.
    saved: Option<Saved>,
    /// The job saved its position and has not come back to it.
    away: bool,
    /// Column, end of line, row and lowest row before the alternate screen.
    before_alternate: (u16, u16, i64, i64),
    alternate: bool,
    /// How the alternate screen was entered: terminals have three ways, and each is left in its own.
    alternate_mode: Vec<u8>,
    /// The cursor is not seen.
    hidden: bool,
    /// Those of `MODES` that are on.
    modes: Vec<&'static [u8]>,
    /// Only a part of the screen scrolls.
    region: bool,
    /// Letters are drawn as lines and corners.
    graphics: bool,
    rendition: Rendition,
    traces: Traces,
}

impl Cursor {
    pub(super) fn new(width: u16, height: u16) -> Self {
        Self {
            width: width.max(1),
            height: height.max(1),
            reader: Reader::default(),
            column: 0,
            line_end: 0,
            row: 0,
            bottom: 0,
            lost: false,
            blank: false,
            doubtful: false,
            slipped: false,
            wraps: true,
            saved: None,
            away: false,
            before_alternate: (0, 0, 0, 0),
            alternate: false,
            alternate_mode: Vec::new(),
            hidden: false,
            modes: Vec::new(),
            region: false,
            graphics: false,
            rendition: Rendition::default(),
            traces: Traces::default(),
        }
    }

    pub(super) fn resize(&mut self, width: u16, height: u16) {
        self.width = width.max(1);
        self.height = height.max(1);
        // Terminals reflow or cut the line, each in its own way.
        let at_end = self.column >= self.line_end;
        self.column = self.column.min(self.width - 1);
        self.line_end = if at_end { self.column } else { self.width };
        self.doubtful = self.column > 0;
    }

    pub(super) fn width(&self) -> u16 {
        self.width
    }

    pub(super) fn height(&self) -> u16 {
        self.height
    }

    pub(super) fn at_line_start(&self) -> bool {
        self.column == 0 && self.line_end == 0 && self.below() == 0
    }

    pub(super) fn in_alternate_screen(&self) -> bool {
        self.alternate
    }

    /// A sequence or a character is not complete: nothing may be put between its bytes.
    pub(super) fn within_sequence(&self) -> bool {
        self.reader.within_sequence()
    }

    /// Rows of the job's own below the cursor.
    pub(super) fn below(&self) -> u16 {
        u16::try_from(self.bottom - self.row).unwrap_or(u16::MAX)
    }

    pub(super) fn column(&self) -> u16 {
        self.column.min(self.width - 1)
    }

    /// Nothing of the job's stands at the cursor, right of it or below it.
    pub(super) fn at_end_of_text(&self) -> bool {
        self.column >= self.line_end && self.below() == 0 && self.column < self.width
    }

    /// The job's lines are where we think, and sequences of ours do not disturb it now.
    pub(super) fn is_calm(&self) -> bool {
        !(self.within_sequence() || self.alternate || self.region || self.lost || self.graphics || self.away)
    }

    /// Something of ours can be put below the job's lines and the cursor be brought back.
    pub(super) fn allows_lines_below(&self) -> bool {
        // A cursor that waits at the margin would forget it. Without the terminal's place for a position it is brought
        // back by its column, which must be known then.
        let near_margin = self.column + DOUBT > self.width || (self.slipped && self.column < DOUBT);
        let known = !self.doubtful || !(near_margin || self.has_saved());
        self.is_calm() && self.column < self.width && known
    }

    /// The job's own position is in the terminal's one place for it.
    pub(super) fn has_saved(&self) -> bool {
        self.saved.is_some()
    }

    /// What sets the job's colours and attributes again.
    pub(super) fn rendition(&self) -> &[u8] {
        self.rendition.bytes()
    }

    /// What sets right again what a job that was killed had no time to.
    pub(super) fn restoration(&self) -> Vec<u8> {
        let mut written = Vec::new();
        if self.within_sequence() {
            // It never will be complete: a cancel character ends it.
            written.push(0x18);
        }
        if self.region {
            // This alone would take the cursor to the upper left corner.
            written.extend_from_slice(b"\x1b7\x1b[r\x1b8");
        }
        let modes = self.modes.iter().copied().chain(self.alternate.then_some(self.alternate_mode.as_slice()));
        for mode in modes {
            written.extend([b"\x1b[?", mode, b"l"].concat());
        }
        for (wrong, remedy) in [
            (self.graphics, &b"\x0f\x1b(B"[..]),
            (!self.wraps, b"\x1b[?7h"),
            (self.hidden, b"\x1b[?25h"),
            (!self.rendition.bytes().is_empty(), b"\x1b[m"),
        ] {
            written.extend_from_slice(if wrong { remedy } else { b"" });
        }
        written
    }

    /// The line that we wrote ended, and the cursor is at the start of the next.
    pub(super) fn went_to_fresh_line(&mut self) {
        self.row = self.bottom + 1;
        self.bottom = self.row;
        self.start_line();
        self.line_end = 0;
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Traces {
        self.traces = Traces::default();
        for &byte in bytes {
            let (first, second) = self.reader.take(byte);
            for part in [first, second].into_iter().flatten() {
                self.follow(part);
            }
        }
        // Nothing of ours may be on the screen while the cursor waits at the margin or a sequence is under way: what
        // comes next may need it erased, and then it would be too late.
        self.traces.touched |= self.column >= self.width || self.within_sequence();
        self.traces
    }

    fn follow(&mut self, part: Part) {
        match part {
            Part::Character(character) => {
                let width = character.width();
                // Terminals and tables differ about wide and combining characters.
                self.doubtful |= width != 1;
                self.advance(width);
            }
            Part::Spoiled => {
                self.doubtful = true;
                self.advance(1);
            }
            Part::Control(byte) => self.control_character(byte),
            Part::Escape(byte) => self.escape_sequence(byte),
            Part::Letters { set: b'(', choice } => self.graphics = choice == b'0',
            Part::Letters { .. } => {}
            Part::Sequence(last) => {
                let parameters = self.reader.take_parameters();
                self.control_sequence(last, &parameters);
            }
        }
    }

    /// A character of this width was written.
    fn advance(&mut self, width: u16) {
        self.blank = false;
        // Where the column is in doubt, any character may be the one that wraps onto the next line.
        self.traces.touched |= self.doubtful;
        if width == 0 {
            return;
        }
        if self.column + width > self.width {
            if self.wraps {
                self.down(1);
                self.column = 0;
                self.slipped = self.doubtful;
            } else {
                self.column = self.width.saturating_sub(width);
            }
        }
        self.column = (self.column + width).min(if self.wraps { self.width } else { self.width - 1 });
        self.line_end = self.line_end.max(self.column);
    }

    fn control_character(&mut self, byte: u8) {
        match byte {
            b'\r' => self.start_line(),
            // The terminal's driver makes a return and a line feed of it.
            b'\n' => {
                self.down(1);
                self.start_line();
            }
            0x0b | 0x0c => self.down(1),
            0x08 => self.back(1),
            b'\t' => self.column = ((self.column / 8 + 1) * 8).min(self.width - 1),
            0x0e => self.graphics = true,
            0x0f => self.graphics = false,
            _ => {}
        }
    }

    fn start_line(&mut self) {
        self.column = 0;
        self.doubtful = false;
        self.slipped = false;
    }

    fn back(&mut self, columns: u16) {
        // From the margin, some terminals count from the last column and some from the one after it.
        self.doubtful |= self.column >= self.width;
        self.column = self.column.min(self.width - 1).saturating_sub(columns);
    }

    fn down(&mut self, rows: u16) {
        self.row += i64::from(rows);
        if self.row >= self.bottom {
            self.lost = false;
        }
        if self.row > self.bottom {
            self.traces.touched = true;
            self.bottom = self.row;
            self.line_end = 0;
        } else {
            self.line_end = self.width;
        }
    }

    fn up(&mut self, rows: u16) {
        self.traces.painted = true;
        self.row -= i64::from(rows.min(self.height));
        self.line_end = self.width;
        // The top of the screen stops it sooner, we do not know where.
        if rows >= self.height {
            self.goes_astray();
        }
    }

    /// The cursor went to a line that we cannot tell.
    fn goes_astray(&mut self) {
        self.traces.painted = true;
        self.traces.touched = true;
        self.line_end = self.width;
        if self.blank {
            self.bottom = self.row;
        } else {
            self.lost = true;
            self.bottom = self.row + i64::from(self.height) - 1;
        }
    }

    fn erased_all(&mut self) {
        self.traces.touched = true;
        self.blank = true;
        self.lost = false;
        self.bottom = self.row;
        self.line_end = 0;
    }

    fn escape_sequence(&mut self, byte: u8) {
        match byte {
            b'7' => self.save(),
            b'8' => self.restore(),
            b'D' => self.down(1),
            b'E' => {
                self.down(1);
                self.start_line();
            }
            b'M' => self.up(1),
            b'c' => {
                *self = Self { row: self.row, ..Self::new(self.width, self.height) };
                self.erased_all();
            }
            _ => {}
        }
    }

    fn control_sequence(&mut self, last: u8, parameters: &[u8]) {
        match parameters.first() {
            Some(b'?') if matches!(last, b'h' | b'l') => {
                for mode in parameters[1..].split(|byte| *byte == b';') {
                    self.mode(mode, last == b'h');
                }
            }
            Some(b'!') if last == b'p' => {
                self.saved = None;
                self.away = false;
                self.region = false;
                self.wraps = true;
                self.rendition = Rendition::default();
            }
            Some(0x3c..=0x3f) => {}
            _ if parameters.iter().any(|byte| matches!(byte, 0x20..=0x2f)) => {}
            _ => self.standard_sequence(last, parameters),
        }
    }

    fn standard_sequence(&mut self, last: u8, parameters: &[u8]) {
        let count = number(parameters, 0).max(1);
        match last {
            b'A' => self.up(count),
            b'B' => {
                self.traces.painted = true;
                self.down(count);
            }
            b'C' => self.column = self.column.saturating_add(count).min(self.width - 1),
            b'D' => self.back(count),
            b'E' => {
                self.traces.painted = true;
                self.down(count);
                self.start_line();
            }
            b'F' => {
                self.up(count);
                self.start_line();
            }
            b'G' | b'`' => {
                self.column = (count - 1).min(self.width - 1);
                self.doubtful = false;
            }
            b'H' | b'f' => {
                self.goes_astray();
                self.column = (number(parameters, 1).max(1) - 1).min(self.width - 1);
                self.doubtful = false;
            }
            b'd' => self.goes_astray(),
            b'J' => match number(parameters, 0) {
                0 => {
                    self.traces.touched = true;
                    self.lost = false;
                    self.bottom = self.row;
                    self.line_end =
                        if self.rendition.bytes().is_empty() { self.line_end.min(self.column) } else { self.width };
                }
                2 => self.erased_all(),
                _ => {}
            },
            // A background fills what is erased, and is the job's to keep.
            b'K' | b'X' if !self.rendition.bytes().is_empty() => self.line_end = self.width,
            b'K' => match number(parameters, 0) {
                0 => self.line_end = self.line_end.min(self.column),
                2 => self.line_end = 0,
                _ => {}
            },
            b'L' | b'T' => {
                self.traces = Traces { touched: true, painted: true };
                self.bottom += i64::from(count.min(self.height));
            }
            b'M' | b'S' => self.traces = Traces { touched: true, painted: true },
            b'@' => self.line_end = self.width,
            b'm' => self.rendition.change(parameters),
            b'r' => {
                let (top, end) = (number(parameters, 0), number(parameters, 1));
                self.region = top > 1 || (end != 0 && end < self.height);
                self.goes_astray();
                self.column = 0;
            }
            b's' => self.save(),
            b'u' => self.restore(),
            _ => {}
        }
    }

    fn mode(&mut self, mode: &[u8], on: bool) {
        match mode {
            b"7" => self.wraps = on,
            b"25" => self.hidden = !on,
            b"1048" if on => self.save(),
            b"1048" => self.restore(),
            b"47" | b"1047" | b"1049" if on != self.alternate => {
                self.traces = Traces { touched: true, painted: true };
                self.alternate = on;
                if on {
                    self.alternate_mode = mode.to_vec();
                    self.before_alternate = (self.column, self.line_end, self.row, self.bottom);
                } else {
                    // What stood on the first screen stands there again, and so does the cursor (or nearly so).
                    (self.column, self.line_end, self.row, self.bottom) = self.before_alternate;
                    self.lost = false;
                    self.region = false;
                    self.away = false;
                }
            }
            _ => {
                if let Some(known) = MODES.iter().find(|known| **known == mode) {
                    self.modes.retain(|present| present != known);
                    self.modes.extend(on.then_some(*known));
                }
            }
        }
    }

    fn save(&mut self) {
        self.traces.painted = true;
        self.away = true;
        self.saved = Some(Saved { column: self.column, row: self.row });
    }

    fn restore(&mut self) {
        self.traces.painted = true;
        self.away = false;
        let Some(saved) = self.saved else {
            // Nobody knows where that leads: the upper left corner, or a position of ours.
            self.doubtful = true;
            self.goes_astray();
            return;
        };
        self.column = saved.column;
        self.row = saved.row.min(self.bottom);
        self.line_end = self.width;
    }
}
