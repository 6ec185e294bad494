//! Bytes for a terminal, taken apart: characters, control characters, escape sequences, strings.
//!
//! `cursor` feeds it byte by byte, so that a sequence may be cut anywhere. It knows the form of what it reads (ECMA-48,
//! and UTF-8) and nothing of its meaning.

/// Parameters of one control sequence that are kept; longer ones are unknown to terminals too.
const PARAMETERS_LIMIT: usize = 64;

/// Something complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Character(Character),
    /// Bytes that are no character.
    Spoiled,
    /// A control character. It acts in the middle of a sequence too.
    Control(u8),
    /// ESC and this byte.
    Escape(u8),
    /// The choice of a character set: ESC, which of the sets, and the choice.
    Letters {
        set: u8,
        choice: u8,
    },
    /// A control sequence with this final byte; its parameters are to be taken.
    Sequence(u8),
}

/// The bytes of one character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Character {
    bytes: [u8; 4],
    length: usize,
}

impl Character {
    fn ascii(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    /// Columns it takes on the screen.
    pub(super) fn width(&self) -> u16 {
        if self.length == 1 {
            return 1;
        }
        match std::str::from_utf8(&self.bytes[..self.length]) {
            // The controls of the upper half have no width, and terminals act on few of them.
            Ok(text) if text.chars().all(char::is_control) => 0,
            Ok(text) => u16::try_from(console::measure_text_width(text)).unwrap_or(0),
            Err(_) => 1,
        }
    }
}

/// Where the reader is within a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// Within a character; so many bytes are to come.
    Character(u8),
    Escape,
    /// ESC and an intermediate byte, such as the choice of a character set.
    Intermediate(u8),
    Sequence,
    /// A title, a device string and the like, up to its terminator.
    Text,
    /// ESC within such a string: its terminator, or the beginning of something else.
    TextEscape,
}

/// Takes bytes apart.
#[derive(Debug, Default)]
pub(super) struct Reader {
    state: State,
    parameters: Vec<u8>,
    character: Character,
}

impl Reader {
    /// A sequence or a character has begun and is not complete.
    pub(super) fn within_sequence(&self) -> bool {
        self.state != State::Ground
    }

    /// The parameters of the control sequence that was just completed.
    pub(super) fn take_parameters(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.parameters)
    }

    /// What this byte completes: at most the remains of a character that it cuts off, and something of its own.
    pub(super) fn take(&mut self, byte: u8) -> (Option<Part>, Option<Part>) {
        let State::Character(left) = self.state else {
            return (None, self.next(byte));
        };
        if byte & 0xc0 != 0x80 {
            self.state = State::Ground;
            return (Some(Part::Spoiled), self.next(byte));
        }
        self.character.bytes[self.character.length] = byte;
        self.character.length += 1;
        self.state = if left > 1 { State::Character(left - 1) } else { State::Ground };
        (None, (left == 1).then_some(Part::Character(self.character)))
    }

    fn next(&mut self, byte: u8) -> Option<Part> {
        match (self.state, byte) {
            (State::Text, 0x07) | (State::TextEscape, b'\\') | (_, 0x18 | 0x1a) => {
                self.state = State::Ground;
                None
            }
            (State::Text, 0x1b) => {
                self.state = State::TextEscape;
                None
            }
            (State::Text, _) => None,
            (_, 0x1b) => {
                self.state = State::Escape;
                None
            }
            (_, 0x00..=0x1f) => Some(Part::Control(byte)),
            (State::Ground | State::Character(_), _) => self.plain(byte),
            (State::Escape | State::TextEscape, _) => self.after_escape(byte),
            (State::Intermediate(_), 0x20..=0x2f) => None,
            (State::Intermediate(set), _) => {
                self.state = State::Ground;
                Some(Part::Letters { set, choice: byte })
            }
            (State::Sequence, 0x20..=0x3f) => {
                if self.parameters.len() < PARAMETERS_LIMIT {
                    self.parameters.push(byte);
                }
                None
            }
            (State::Sequence, 0x7f..) => None,
            (State::Sequence, _) => {
                self.state = State::Ground;
                Some(Part::Sequence(byte))
            }
        }
    }

    fn plain(&mut self, byte: u8) -> Option<Part> {
        let more = match byte {
            0x7f => return None,
            0xc2..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf4 => 3,
            0x80.. => return Some(Part::Spoiled),
            _ => return Some(Part::Character(Character::ascii(byte))),
        };
        self.character = Character::ascii(byte);
        self.state = State::Character(more);
        None
    }

    fn after_escape(&mut self, byte: u8) -> Option<Part> {
        self.state = match byte {
            b'[' => {
                self.parameters.clear();
                State::Sequence
            }
            b']' | b'P' | b'X' | b'^' | b'_' => State::Text,
            0x20..=0x2f => State::Intermediate(byte),
            _ => State::Ground,
        };
        (self.state == State::Ground).then_some(Part::Escape(byte))
    }
}

/// The parameter at this place; 0 where it is left out or no number.
pub(super) fn number(parameters: &[u8], place: usize) -> u16 {
    let digits = parameters.split(|byte| *byte == b';').nth(place).unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Part, Reader};

    fn parts(bytes: &[u8]) -> Vec<Part> {
        let mut reader = Reader::default();
        bytes
            .iter()
            .flat_map(|byte| {
                let (first, second) = reader.take(*byte);
                [first, second]
            })
            .flatten()
            .collect()
    }

    #[test]
    fn sequences_are_told_from_text() {
        let widths = |bytes: &[u8]| -> Vec<u16> {
            let characters = parts(bytes).into_iter();
            characters.filter_map(|part| if let Part::Character(c) = part { Some(c.width()) } else { None }).collect()
        };
        assert_eq!(widths("a日é\u{301}".as_bytes()), [1, 2, 1, 0]);
        assert_eq!(parts(b"\x1b[1;31m"), [Part::Sequence(b'm')]);
        assert_eq!(parts(b"\x1b7\x1b(0"), [Part::Escape(b'7'), Part::Letters { set: b'(', choice: b'0' }]);
        assert_eq!(parts(b"\x1b]0;title\x07\x1bPdevice\x1b\\"), []);
        assert_eq!(parts(b"\x1b[1\r2A"), [Part::Control(b'\r'), Part::Sequence(b'A')]);
        assert_eq!(parts(b"\xe6\x97\n"), [Part::Spoiled, Part::Control(b'\n')]);
        assert_eq!(parts(b"\x1b[12\x18"), []);
        assert_eq!(parts(b"\xff"), [Part::Spoiled]);
    }
}
