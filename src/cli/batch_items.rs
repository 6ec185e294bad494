//! Options of a batch whose jobs are made of items: where items come from, and what runs for each.
//!
//! Part of the options of `batch`, which builds the request from them.

use std::ffi::OsString;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueHint};

use crate::cli::{batch_values, exec};
use crate::model::request::ItemInput;

/// Jobs made of items.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Items")]
pub struct ItemOptions {
    /// Run a command for each line of standard input
    ///
    /// Without it, and without -a and ':::', which imply it, a list of jobs is read.
    #[arg(long)]
    pub(crate) each: bool,
    /// Run one line through a shell in place of a command
    ///
    /// An item is the value of a readonly variable, also in functions, traps and here-documents, and never becomes part
    /// of the line itself. A line that uses $1 or $@ gets the items as positional parameters; other lines have none.
    #[arg(short = 'c', value_name = "LINE", allow_hyphen_values = true, hide_short_help = true)]
    pub(crate) line: Option<OsString>,
    /// The shell for -c and for lines of a list: sh, bash, or a path [default: sh]
    ///
    /// With -c it must be a POSIX shell: ash, bash, dash, ksh, mksh, sh, yash or zsh. For lines of a list it is any
    /// program that takes -c.
    #[arg(long, value_name = "SHELL", hide_short_help = true,
        value_parser = OsStringValueParser::new().try_map(exec::parse_shell))]
    pub(crate) shell: Option<OsString>,
    /// Take the items from a file; may be repeated
    ///
    /// A dash is standard input. Several inputs, files or words after ':::', are combined, each item with each; their
    /// items are {1}, {2} and so on.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().try_map(batch_values::arg_file))]
    pub(crate) arg_file: Vec<ItemInput>,
    /// Pair the items of several inputs, one from each, in place of combining all
    #[arg(long, hide_short_help = true)]
    pub(crate) link: bool,
    /// Items end with a NUL byte, as find -print0 writes them, and not with a newline
    #[arg(short = '0', long, hide_short_help = true)]
    pub(crate) null: bool,
    /// Give so many items to one job [default: 1]
    ///
    /// With more than one, an empty line of a file is an item; with one, it is skipped.
    #[arg(short = 'n', long, value_name = "N", value_parser = batch_values::items_per_job, allow_hyphen_values = true,
        hide_short_help = true)]
    pub(crate) max_args: Option<usize>,
    /// Placeholder for the item in place of {}
    ///
    /// {} and {N} are then passed on as text. The other placeholders keep their meaning.
    #[arg(short = 'I', long = "replace", value_name = "STR", allow_hyphen_values = true, hide_short_help = true,
        value_parser = OsStringValueParser::new().try_map(batch_values::replacement))]
    pub(crate) replacement: Option<OsString>,
    /// Print the jobs and run none
    #[arg(long)]
    pub(crate) dry_run: bool,
}
