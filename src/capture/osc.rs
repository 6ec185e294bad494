//! Progress that a job writes to its terminal: the sequence OSC 9;4, as ConEmu introduced it.
//!
//! Fed with every byte that a job writes to a terminal of ours. It keeps a few bytes, and gives the last progress seen.

use crate::model::outcome::Progress;

/// The longest sequence of this kind; any longer one is something else.
const LONGEST: usize = 24;

/// Looks for sequences across the borders of reads.
#[derive(Clone, Debug, Default)]
pub struct OscScanner {
    state: State,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    /// In an operating system command.
    Command,
    /// After an escape in one: the terminator, or the start of something new.
    CommandEscape,
}

impl OscScanner {
    /// Reads on. Gives the last progress that the bytes complete, where they do.
    pub fn read(&mut self, bytes: &[u8]) -> Option<Progress> {
        let mut found = None;
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.state == State::Text {
                // Nearly all bytes are text.
                match rest.iter().position(|byte| *byte == 0x1B) {
                    Some(at) => {
                        self.state = State::Escape;
                        rest = &rest[at + 1..];
                    }
                    None => return found,
                }
                continue;
            }
            let byte = rest[0];
            rest = &rest[1..];
            self.state = match (self.state, byte) {
                (State::Escape, b']') => {
                    self.text.clear();
                    State::Command
                }
                (State::Command, 0x07) | (State::CommandEscape, b'\\') => {
                    found = progress(&self.text).or(found);
                    State::Text
                }
                (State::Command, 0x1B) => State::CommandEscape,
                (State::Command, _) if self.text.len() < LONGEST => {
                    self.text.push(byte);
                    State::Command
                }
                (State::CommandEscape, b']') => {
                    self.text.clear();
                    State::Command
                }
                (_, 0x1B) => State::Escape,
                _ => State::Text,
            };
        }
        found
    }
}

/// `9;4;STATE;PERCENT`: states 1, 2 and 4 carry a percentage, 0 and 3 none.
fn progress(command: &[u8]) -> Option<Progress> {
    let text = std::str::from_utf8(command).ok()?.strip_prefix("9;4;")?;
    let (state, percent) = text.split_once(';')?;
    let percent: u8 = percent.parse().ok()?;
    (["1", "2", "4"].contains(&state) && percent <= 100).then(|| Progress::of(f64::from(percent) / 100.0)).flatten()
}

#[cfg(test)]
mod tests {
    use super::OscScanner;

    #[test]
    fn progress_is_found_wherever_the_reads_are_cut() {
        let text = b"abc\x1b[31mred\x1b]0;title\x07\x1b]9;4;1;42\x1b\\more\x1b]9;4;3;\x07";
        for cut in 0..text.len() {
            let mut scanner = OscScanner::default();
            let (head, tail) = text.split_at(cut);
            let found = [scanner.read(head), scanner.read(tail)];
            let fraction = found.into_iter().flatten().next_back().map(|progress| progress.fraction());
            assert_eq!(fraction, Some(0.42), "cut at {cut}");
        }
    }

    #[test]
    fn other_sequences_are_no_progress() {
        let mut scanner = OscScanner::default();
        assert_eq!(
            scanner.read(b"\x1b]9;4;0;0\x07\x1b]9;4;1;101\x07\x1b]9;4;1;x\x07\x1b]8;;http://example.org/\x07"),
            None
        );
        assert_eq!(scanner.read(&[b"\x1b]9;4;1;5".as_slice(), &[b'5'; 100], b"\x07"].concat()), None);
    }
}
