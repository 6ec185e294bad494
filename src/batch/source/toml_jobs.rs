//! Jobs as TOML: a table `[defaults]`, and `[[job]]` for each job.

use crate::batch::source::fault::{Fault, Trouble, Wrong};
use crate::batch::source::fields::Fields;
use crate::batch::source::reading::Input;
use crate::batch::source::records::Record;

#[derive(Debug)]
pub(super) struct TomlJobs {
    input: Input,
}

impl TomlJobs {
    pub(super) fn new(input: Input) -> Self {
        Self { input }
    }

    pub(super) fn into_input(self) -> Input {
        self.input
    }

    pub(super) fn next(&mut self, _record: &mut Record) -> Result<bool, Trouble> {
        Err(Wrong::new("", "TOML is not read yet", "Write the list as JSON lines").at(self.input.line()).into())
    }
}

pub(super) fn fields(_text: &str, line: u64) -> Result<Fields, Fault> {
    Err(Wrong::new("", "TOML is not read yet", "Write the list as JSON lines").at(line))
}

pub(super) fn place_of(_field: &str, _text: &str) -> Option<usize> {
    None
}
