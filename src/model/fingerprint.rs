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
/// Bytes of the parameters of an operation that are hashed as one word. Earlier versions passed them as arguments of
/// this size, and fingerprints must not change.
const PARAMETER_WORD: usize = 64 << 10;

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
            // Without the path of the program, which may change between runs.
            Command::Operation { name, parameters, .. } => {
                self.0.update(b"o");
                self.word(name.as_bytes());
                let text = parameters.to_string();
                self.words(parameter_words(&text).into_iter().map(str::as_bytes));
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

fn parameter_words(text: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (word, behind) = rest.split_at(rest.floor_char_boundary(PARAMETER_WORD));
        words.push(word);
        rest = behind;
    }
    words
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use serde_json::json;

    use super::of_command;
    use crate::model::job::Command;

    #[test]
    fn commands_that_differ_have_fingerprints_that_differ() {
        let argv = |words: &[&str]| Command::Argv(words.iter().map(OsString::from).collect());
        let shell = |shell: &str, line: &str| Command::Shell { shell: shell.into(), line: line.into() };
        let operation = |program: &str, parameters: serde_json::Value| Command::Operation {
            name: "sleep",
            parameters,
            redacted: serde_json::Value::Null,
            argv: [program, "__operation", "sleep"].map(OsString::from).to_vec(),
        };
        let all = [
            argv(&["ls"]),
            argv(&["ls", ""]),
            argv(&["l", "s"]),
            argv(&["sh", "ls"]),
            shell("sh", "ls"),
            shell("bash", "ls"),
            operation("/usr/bin/runner", json!({})),
            operation("/usr/bin/runner", json!({"a": 1})),
        ];
        assert_eq!(all.iter().map(of_command).collect::<BTreeSet<_>>().len(), all.len());
        let same = ["/usr/bin/runner", "/opt/runner"].map(|program| of_command(&operation(program, json!({}))));
        assert_eq!(same[0], same[1]);
    }

    #[test]
    fn fingerprints_of_operations_are_those_of_earlier_versions() {
        let of = |parameters: serde_json::Value| {
            let (redacted, argv) = (serde_json::Value::Null, Vec::new());
            of_command(&Command::Operation { name: "sleep", parameters, redacted, argv }).to_string()
        };
        assert_eq!(of(json!({"duration": "1s"})), "98bac2648bf3ee361c87a13fa0dbf3eb");
        // Longer than one word, which ends before a character and not within it.
        assert_eq!(of(json!({"x": "ä".repeat(40_000)})), "40dac1f25326b9125dd130a415538e7f");
    }
}
