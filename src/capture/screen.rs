//! A terminal shared by a job and our bar: what to write so that the job sees a terminal of its own and the bar stands
//! below its lines.
//!
//! The cursor always rests where the job left it, so that unfinished lines, prompts, and what is typed or written there
//! by others come out right. Whoever owns the terminal feeds this the job's bytes and writes what it gives back, each
//! time in one write, so that nothing flickers. Pure: bytes in, bytes out; the time is told, nothing is waited for.

use std::collections::VecDeque;
use std::time::Duration;

use crate::capture::cursor::Cursor;

/// From one drawing after output to the next: a bar after each of a flood of small writes would cost more than they do.
const DRAW_GAP: Duration = Duration::from_millis(5);
/// After a job moved about on the screen, it is taken to be done with its picture once it was quiet for so long.
const PAINTING_QUIET: Duration = Duration::from_millis(30);
/// A job that never is quiet gets the bar back after this.
const PAINTING_LIMIT: Duration = Duration::from_millis(250);
/// Lines of ours that wait for a moment in which they can be printed.
const WAITING_LIMIT: usize = 64;

/// Composes the job's output, the bar below it and our own lines above the bar.
#[derive(Debug)]
pub struct Screen {
    cursor: Cursor,
    /// The bar as it should be.
    lines: Vec<String>,
    /// The bar as it stands on the screen; None where it is erased.
    shown: Option<Vec<String>>,
    drawn_at: Option<Duration>,
    /// When the bar is to be drawn again.
    due: Option<Duration>,
    painting_since: Option<Duration>,
    /// Our own lines, not printed yet.
    waiting: VecDeque<String>,
    /// The size changed after the bar was drawn: there may be no line below the cursor any more.
    resized: bool,
    finished: bool,
}

impl Screen {
    /// A terminal of this size, with the cursor at the start of a line and nothing below it.
    pub fn new(width: u16, height: u16) -> Self {
        Self {
            cursor: Cursor::new(width, height),
            lines: Vec::new(),
            shown: None,
            drawn_at: None,
            due: None,
            painting_since: None,
            waiting: VecDeque::new(),
            resized: false,
            finished: false,
        }
    }

    /// The terminal's size changed. The bar wants a tick; lines that no longer fit are cut until there are new ones.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.cursor.resize(width, height);
        self.resized = self.shown.is_some();
        if self.resized {
            self.due = Some(Duration::ZERO);
        }
    }

    /// The job's bytes, with what the bar needs before and after them. The job's bytes themselves are never changed and
    /// never held back.
    pub fn output(&mut self, bytes: &[u8], now: Duration) -> Vec<u8> {
        if bytes.is_empty() {
            return Vec::new();
        }
        if self.finished {
            self.cursor.feed(bytes);
            return bytes.to_vec();
        }
        let erased = self.shown.is_some().then(|| self.erasure());
        let rest_of_line = self.shown.is_some().then(|| self.rest_of_line());
        let traces = self.cursor.feed(bytes);
        let mut written = Vec::with_capacity(bytes.len() + 128);
        if traces.touched {
            written.extend(erased.unwrap_or_default());
            self.shown = None;
            self.resized = false;
        } else {
            written.extend(rest_of_line.unwrap_or_default());
        }
        written.extend_from_slice(bytes);
        if self.shown.is_none() && !(self.lines.is_empty() && self.waiting.is_empty()) {
            self.due = Some(self.next_drawing(traces.painted, now));
        }
        written.extend(self.tick(now));
        written
    }

    /// Sets the lines of the bar, each fitting the width; they may hold colours. No lines: no bar.
    pub fn footer(&mut self, lines: Vec<String>, now: Duration) -> Vec<u8> {
        self.lines = lines;
        if self.finished || self.shown.as_ref() == Some(&self.lines) || (self.shown.is_none() && self.due.is_some()) {
            return Vec::new();
        }
        self.draw(now)
    }

    /// Draws what was put off, where its time has come.
    pub fn tick(&mut self, now: Duration) -> Vec<u8> {
        if self.finished || self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut written = self.print_waiting(false);
        written.extend(self.draw(now));
        written
    }

    /// When a tick is wanted.
    pub fn draws_at(&self) -> Option<Duration> {
        self.due.filter(|_| !self.finished)
    }

    /// A line of our own above the bar: on a line of its own, also where the job left one unfinished. It waits while the
    /// job has the alternate screen or is at work on a picture; of many that wait, the oldest are dropped.
    pub fn line_above(&mut self, text: &str) -> Vec<u8> {
        if self.waiting.len() == WAITING_LIMIT {
            self.waiting.pop_front();
        }
        self.waiting.push_back(text.to_owned());
        if self.finished {
            return self.print_waiting(true);
        }
        let now = self.drawn_at.unwrap_or_default();
        let mut written = self.print_waiting(false);
        if !written.is_empty() {
            written.extend(self.draw(now));
        }
        written
    }

    /// Erases the bar for good and prints the lines that waited. After this, output passes as it is.
    pub fn finish(&mut self) -> Vec<u8> {
        if self.finished {
            return Vec::new();
        }
        let mut written = Vec::new();
        if self.shown.is_some() {
            written.extend(self.erasure());
            self.shown = None;
        }
        self.finished = true;
        written.extend(self.print_waiting(true));
        written
    }

    /// The job's last output ended its line.
    pub fn at_line_start(&self) -> bool {
        self.cursor.at_line_start()
    }

    /// The job's last sequence or character is not complete.
    pub fn is_within_sequence(&self) -> bool {
        self.cursor.within_sequence()
    }

    pub fn in_alternate_screen(&self) -> bool {
        self.cursor.in_alternate_screen()
    }

    /// When to draw after output that left the bar erased.
    fn next_drawing(&mut self, painted: bool, now: Duration) -> Duration {
        if painted || self.painting_since.is_some() {
            let since = *self.painting_since.get_or_insert(now);
            return (now + PAINTING_QUIET).min(since + PAINTING_LIMIT);
        }
        self.drawn_at.map_or(now, |drawn_at| (drawn_at + DRAW_GAP).max(now).min(now + DRAW_GAP))
    }

    /// Draws the bar, or erases it where there is to be none. Nothing where it cannot be done now: output that makes it
    /// possible comes through `output`, which asks again.
    fn draw(&mut self, now: Duration) -> Vec<u8> {
        self.due = None;
        self.painting_since = None;
        let rows = u16::try_from(self.lines.len()).unwrap_or(u16::MAX);
        let below = self.cursor.below();
        let fits = rows > 0 && below.saturating_add(rows) < self.cursor.height();
        if !fits {
            let written = if self.shown.is_some() { self.erasure() } else { Vec::new() };
            self.shown = None;
            return written;
        }
        if !self.cursor.allows_lines_below() {
            return Vec::new();
        }
        self.drawn_at = Some(now);
        let mut written = self.rest_of_screen();
        let down = below + rows;
        // A vertical tab goes down and scrolls, and unlike a line feed is never made to return the carriage.
        written.extend(std::iter::repeat_n(0x0b, usize::from(down)));
        written.extend(format!("\x1b[{down}A").bytes());
        let width = usize::from(self.cursor.width());
        let cut: Vec<_> = self.lines.iter().map(|line| console::truncate_str(line, width, "")).collect();
        let picture = format!("\x1b[J{}", cut.join("\x1b[m\r\x1b[B"));
        written.extend(self.beneath(&picture, down));
        self.shown = Some(self.lines.clone());
        self.resized = false;
        written
    }

    /// What removes the bar, and never anything of the job's.
    fn erasure(&self) -> Vec<u8> {
        let mut written = self.rest_of_screen();
        if written.is_empty() {
            let down = self.cursor.below() + 1;
            if self.resized {
                // At the last line, the way down would end on the job's own line.
                written.extend(std::iter::repeat_n(0x0b, usize::from(down)));
                written.extend(format!("\x1b[{down}A").bytes());
            }
            written.extend(self.beneath("\x1b[J", down));
        }
        written
    }

    /// Goes to the line below the job's, writes this there, and brings the cursor back. `down`: how far below the cursor
    /// this ends. The lines must be there.
    fn beneath(&self, text: &str, down: u16) -> Vec<u8> {
        let first = self.cursor.below() + 1;
        if !self.cursor.has_saved() {
            return format!("\x1b7\x1b[m\r\x1b[{first}B{text}\x1b8").into_bytes();
        }
        // The terminal holds one position, and it is the job's: saving ours would lose it.
        let mut written = format!("\x1b[m\r\x1b[{first}B{text}\x1b[m\x1b[{down}A\r").into_bytes();
        if self.cursor.column() > 0 {
            written.extend(format!("\x1b[{}C", self.cursor.column()).bytes());
        }
        written.extend_from_slice(self.cursor.rendition());
        written
    }

    /// Erases from the cursor on, where nothing of the job's is there. This also removes the bar from the cursor's own
    /// line, onto which the echo of a typed line may have brought it without our knowing.
    fn rest_of_screen(&self) -> Vec<u8> {
        self.plainly(b"\x1b[J")
    }

    /// The same for the line alone, before output that stays on it.
    fn rest_of_line(&self) -> Vec<u8> {
        self.plainly(b"\x1b[K")
    }

    fn plainly(&self, erase: &[u8]) -> Vec<u8> {
        let rendition = self.cursor.rendition();
        // Erased cells take on the present background.
        match (self.cursor.at_end_of_text(), rendition.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => erase.to_vec(),
            (true, false) => [b"\x1b[m", erase, rendition].concat(),
        }
    }

    /// Prints our lines, where that is possible or `anyway`; the bar is erased then.
    fn print_waiting(&mut self, anyway: bool) -> Vec<u8> {
        if self.waiting.is_empty() || !(anyway || self.cursor.is_calm()) {
            return Vec::new();
        }
        let mut written = if self.shown.take().is_some() { self.erasure() } else { Vec::new() };
        if self.cursor.within_sequence() {
            // It never will be complete: a cancel character ends it.
            written.push(0x18);
            self.cursor.feed(&[0x18]);
        }
        if self.cursor.below() > 0 {
            written.extend(format!("\x1b[{}B", self.cursor.below()).bytes());
        }
        written.extend_from_slice(b"\x1b[m");
        if !self.cursor.at_line_start() {
            written.extend_from_slice(b"\r\n");
        }
        for text in self.waiting.drain(..) {
            written.extend(text.replace('\n', "\r\n").bytes());
            written.extend_from_slice(b"\r\n");
        }
        written.extend_from_slice(self.cursor.rendition());
        self.cursor.went_to_fresh_line();
        written
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
