//! `runner history`, and the option by which other verbs add to the history.
//!
//! Called by the parser of the command line and, for `resolve`, by `main` once the defaults are loaded.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Command as Definition};

use crate::app::config::Config;
use crate::error::Result;
use crate::model::auto_timeout::{AutoTimeout, FACTOR};
use crate::model::request::{AnswerOptions, HistoryRequest};

/// Whether attempts are recorded.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Records")]
pub struct RecordOption {
    /// Keep in the history how long it took and how it ended
    ///
    /// --timeout auto goes by that, and runner history shows it. It is written once all is answered. no takes a default of
    /// a configuration file back.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes",
        hide_short_help = true, hide_possible_values = true,
        value_parser = PossibleValuesParser::new(["yes", "no"]).map(|word| word == "yes"))]
    record: Option<bool>,
}

impl RecordOption {
    /// The option before the default.
    pub(crate) fn resolve(self, config: &Config) -> bool {
        self.record.or(config.history.record).unwrap_or_default()
    }
}

/// The options of `history` as they were given.
#[derive(Args, Clone, Debug)]
pub struct HistoryOptions {
    /// A job's name, a command as it is listed, or the beginning of its fingerprint [default: all]
    #[arg(value_name = "NAME")]
    of: Option<String>,
    /// Print one JSON answer
    #[arg(long)]
    json: bool,
    /// List so many at most [default: 50]; of one, look at so many runs at most [default: all]
    #[arg(long, value_name = "N", value_parser = parse_limit, allow_hyphen_values = true)]
    limit: Option<u32>,
}

impl HistoryOptions {
    /// Where an error goes that comes before the options are resolved.
    pub fn answer(&self) -> AnswerOptions {
        AnswerOptions { json: self.json, ..AnswerOptions::default() }
    }

    /// The request that these options make together with the defaults.
    pub fn resolve(self, config: &Config) -> Result<HistoryRequest> {
        let factor = config.defaults.auto_factor.unwrap_or(FACTOR);
        Ok(HistoryRequest {
            answer: AnswerOptions { error_format: config.defaults.error_format, ..self.answer() },
            of: self.of,
            limit: self.limit,
            auto: AutoTimeout { factor, bounds: config.history.bounds() },
        })
    }
}

fn parse_limit(text: &str) -> std::result::Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number > 0);
    number.ok_or_else(|| format!("'{text}' is no number of them: give a number above zero such as 20"))
}

/// The verb as the parser needs it.
pub(crate) fn definition() -> Definition {
    let verb = Definition::new("history").bin_name("runner history").override_usage("runner history [OPTIONS] [NAME]");
    HistoryOptions::augment_args(verb)
        .about("Show how long jobs took, how they ended, and which timeout would suit them")
        .long_about(None)
}
