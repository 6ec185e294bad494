//! Cuts a JSON array into its elements without reading it as a whole.

use crate::batch::source::fault::{Trouble, Wrong};
use crate::batch::source::reading::{Input, LONGEST, too_long};
use crate::batch::source::records::Record;

/// The elements of an array, one at a time.
#[derive(Debug)]
pub(super) struct JsonArray {
    input: Input,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    /// Behind the opening bracket.
    First,
    /// Behind an element.
    Between,
    Over,
}

impl JsonArray {
    pub(super) fn new(input: Input) -> Self {
        Self { input, state: State::Before }
    }

    pub(super) fn into_input(self) -> Input {
        self.input
    }

    /// Puts the next element into `record`. False: the array is at its end.
    pub(super) fn next(&mut self, record: &mut Record) -> Result<bool, Trouble> {
        if self.state == State::Before {
            self.expect(b"[", "this is no JSON array", "Begin the list with '['")?;
            self.state = State::First;
        }
        if self.state == State::Over {
            return Ok(false);
        }
        if self.state == State::Between {
            let found =
                self.expect(b",]", "there is no comma between two jobs", "Put a comma behind each but the last")?;
            if found == b',' {
                return self.element(record).map(|()| true);
            }
        } else if self.visible()? == Some(b']') {
            self.input.take(1);
        } else {
            return self.element(record).map(|()| true);
        }
        self.state = State::Over;
        match self.visible()? {
            None => Ok(false),
            Some(_) => Err(self.wrong("something follows the end of the list", "Put every job between '[' and ']'")),
        }
    }

    /// The element that comes next.
    fn element(&mut self, record: &mut Record) -> Result<(), Trouble> {
        match self.visible()? {
            None => return Err(self.cut_off()),
            Some(b']' | b',') => {
                return Err(self.wrong("there is no job where one must be", "Leave the comma before it out"));
            }
            Some(_) => {}
        }
        record.line = self.input.line();
        let mut depth = 0_usize;
        let (mut in_text, mut escaped) = (false, false);
        loop {
            let seen = self.input.peek()?;
            if seen.is_empty() {
                return Err(self.cut_off());
            }
            let mut end = None;
            for (at, byte) in seen.iter().enumerate() {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_text => escaped = true,
                    b'"' => in_text = !in_text,
                    _ if in_text => {}
                    b',' | b']' | b'}' if depth == 0 => {
                        end = Some(at);
                        break;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            end = Some(at + 1);
                            break;
                        }
                    }
                    _ => {}
                }
            }
            let taken = end.unwrap_or(seen.len());
            if record.text.len() + taken > LONGEST {
                return Err(too_long(record.line).into());
            }
            record.text.extend_from_slice(&seen[..taken]);
            self.input.take(taken);
            if end.is_some() {
                self.state = State::Between;
                return Ok(());
            }
        }
    }

    /// Takes the next visible byte, which must be one of these.
    fn expect(&mut self, wanted: &[u8], problem: &str, remedy: &str) -> Result<u8, Trouble> {
        match self.visible()? {
            Some(found) if wanted.contains(&found) => {
                self.input.take(1);
                Ok(found)
            }
            Some(_) => Err(self.wrong(problem, remedy)),
            None => Err(self.cut_off()),
        }
    }

    /// The next byte that is no white space, which is passed over. None: the end.
    fn visible(&mut self) -> Result<Option<u8>, Trouble> {
        loop {
            let seen = self.input.peek()?;
            if seen.is_empty() {
                return Ok(None);
            }
            let blank = seen.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let found = seen.get(blank).copied();
            self.input.take(blank);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn wrong(&self, problem: &str, remedy: &str) -> Trouble {
        Wrong::new("", problem, remedy).at(self.input.line()).into()
    }

    fn cut_off(&self) -> Trouble {
        self.wrong("the list ends before its ']'", "Check that the file is complete; it may have been cut off")
    }
}
