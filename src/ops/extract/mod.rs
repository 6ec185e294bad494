//! `extract`: what a tar archive holds, into a folder and never outside of it, whatever the archive says.
//!
//! `names` judges names and targets of links (pure), `place` makes things in the destination without ever going through
//! a link, `source` is the archive as a stream. The first entry that is refused ends it; earlier ones stay.

use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::ops::compression::Format;
use crate::ops::parameters::{FilePath, Size};
use crate::ops::{Context, Failure, Operation, input, shown};

mod names;
mod place;
mod source;
mod unpack;

#[derive(Args, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Extract {
    /// The archive; its name says the form: .tar, .tar.gz, .tgz, .tar.zst, .tzst; - is standard input
    #[arg(value_name = "FILE")]
    file: FilePath,
    /// The existing folder to extract into
    #[arg(long, short = 'C', value_name = "DIR")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directory: Option<FilePath>,
    /// The form, where the name does not say it
    #[arg(long, value_enum)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    /// Refuse to write more than this in all
    #[arg(long, value_name = "SIZE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_size: Option<Size>,
}

impl Operation for Extract {
    const NAME: &'static str = "extract";
    const ABOUT: &'static str = "Extract a tar archive, safely";
    const LONG_ABOUT: &'static str = "Extract a tar archive, plain or compressed, into an existing folder. Modes, \
        modification times (also before 1970), symbolic links and hard links are kept; owners are not, and set-user-ID, set-group-ID and \
        sticky bits are dropped. Files that are there are replaced, each in one step; folders are merged.\n\n\
        Nothing is ever written outside of the folder. Refused are: names that are absolute or hold '..', names that \
        go through a symbolic link, symbolic links that are absolute or lead out of the folder ('..' is allowed at the \
        start of the target only), hard links to what is outside, devices and FIFOs. The label of a volume is passed over. The first refusal ends the \
        operation, and nothing of the refused entry is written. So does an archive that is cut short or damaged; the \
        entries before stay, and a half file never appears. --max-size bounds what is written in all.\n\n\
        The partial result holds 'entries', 'bytes' (written) and 'current'; the result 'entries', 'bytes' and \
        'destination'.";
    const EXAMPLES: &'static [&'static str] =
        &["extract src.tgz -C /tmp/build", "extract --format tar.zst --max-size 1G - < upload"];

    fn check(&self) -> Result<()> {
        let argument = if input::is_stdin(self.file.as_path()) { "--format" } else { "file" };
        Format::choose(self.format, self.file.as_path(), argument).map(drop).map_err(|error| match error {
            Error::Invalid { .. } if argument == "--format" => Error::Invalid {
                argument: Some(argument.to_owned()),
                message: "standard input does not say which form of archive it is".to_owned(),
                remediation: "Give --format tar, tar.gz or tar.zst".to_owned(),
            },
            other => other,
        })
    }

    fn run(self, context: &mut Context) -> std::result::Result<Value, Failure> {
        let format = Format::choose(self.format, self.file.as_path(), "file").expect("checked before");
        let destination = self.directory.unwrap_or_else(|| FilePath(PathBuf::from(".")));
        let mut tally = Tally::default();
        let limit = self.max_size.map(|size| size.0);
        let result = unpack::all(self.file.as_path(), format, destination.as_path(), limit, &mut tally, context);
        context.partial_now(&tally.to_value());
        result?;
        context.progress(1, 1);
        Ok(json!({ "entries": tally.entries, "bytes": tally.bytes, "destination": destination }))
    }
}

/// What was done so far.
#[derive(Default)]
struct Tally {
    entries: u64,
    bytes: u64,
    current: PathBuf,
}

impl Tally {
    fn to_value(&self) -> Value {
        json!({ "entries": self.entries, "bytes": self.bytes, "current": shown::name(&self.current) })
    }
}
