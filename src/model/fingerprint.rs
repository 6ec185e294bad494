//! Fingerprints of commands: what two jobs have in common that run the same thing.
//!
//! Used for the journal of a batch, which adds what else makes a job the same one, and for the history. Every part that
//! goes in says how long it is, so that no two run into the same bytes.

use std::os::unix::ffi::OsStrExt;

use blake3::Hasher;

use crate::model::batch::Fingerprint;
use crate::model::job::Command;

/// Changes when fingerprints of this version are not to be compared with those of earlier ones.
const VERSION: &[u8] = b"runner command 1";
/// Parameters of operations go in as pieces of this length at most.
const PIECE: usize = 64 << 10;

/// The fingerprint of a command, whatever its directory, variables and limits are.
pub fn of_command(command: &Command) -> Fingerprint {
    let mut digest = Digest::new(VERSION);
    digest.command(command);
    digest.finish()
}

/// A fingerprint in the making.
#[derive(Clone, Debug)]
pub struct Digest(Hasher);

impl Digest {
    /// `version` says what kind of fingerprint it is.
    pub fn new(version: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(version);
        Self(hasher)
    }

    pub fn command(&mut self, command: &Command) {
        match command {
            Command::Argv(argv) => {
                self.0.update(b"a");
                self.words(argv.iter().map(|word| word.as_bytes()));
            }
            Command::Shell { shell, line } => {
                self.0.update(b"s");
                self.words([shell.as_bytes(), line.as_bytes()].into_iter());
            }
            // Not the program, which may be installed elsewhere next time.
            Command::Operation { name, parameters, .. } => {
                self.0.update(b"o");
                self.word(name.as_bytes());
                let text = parameters.to_string();
                let (mut rest, mut pieces) = (&text[..], Vec::new());
                while !rest.is_empty() {
                    let (piece, behind) = rest.split_at(rest.floor_char_boundary(PIECE));
                    pieces.push(piece.as_bytes());
                    rest = behind;
                }
                self.words(pieces.into_iter());
            }
        }
    }

    pub fn flag(&mut self, flag: bool) {
        self.0.update(&[u8::from(flag)]);
    }

    pub fn number(&mut self, number: usize) {
        self.0.update(&(number as u64).to_le_bytes());
    }

    pub fn word(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.update(bytes);
    }

    pub fn words<'a>(&mut self, words: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.number(words.len());
        words.for_each(|bytes| self.word(bytes));
    }

    pub fn optional(&mut self, bytes: Option<&[u8]>) {
        self.flag(bytes.is_some());
        self.word(bytes.unwrap_or_default());
    }

    pub fn finish(self) -> Fingerprint {
        let mut half = [0; 16];
        self.0.finalize_xof().fill(&mut half);
        Fingerprint(u128::from_be_bytes(half))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use super::of_command;
    use crate::model::job::Command;

    #[test]
    fn commands_that_differ_have_fingerprints_that_differ() {
        let argv = |words: &[&str]| Command::Argv(words.iter().map(OsString::from).collect());
        let shell = |shell: &str, line: &str| Command::Shell { shell: shell.into(), line: line.into() };
        let operation = |program: &str, parameters: serde_json::Value| Command::Operation {
            name: "sleep",
            argv: [program, "__operation", "sleep", &parameters.to_string()].map(OsString::from).to_vec(),
            parameters,
        };
        let all = [
            argv(&["ls"]),
            argv(&["ls", ""]),
            argv(&["l", "s"]),
            argv(&["sh", "ls"]),
            shell("sh", "ls"),
            shell("bash", "ls"),
            operation("/usr/bin/runner", serde_json::json!({})),
            operation("/usr/bin/runner", serde_json::json!([])),
        ];
        assert_eq!(all.iter().map(of_command).collect::<BTreeSet<_>>().len(), all.len());
        let elsewhere = |program: &str| of_command(&operation(program, serde_json::json!({})));
        assert_eq!(elsewhere("/usr/bin/runner"), elsewhere("/opt/runner"));
    }
}
