//! Built-in operations: what a script would otherwise do in a loop, under the same watchdog as any command.
//!
//! An operation is one file and its line in `OPERATIONS`. Its parameters are one struct: arguments on the command line,
//! JSON in a job file, and a JSON Schema. It runs in a re-executed child (see `child`), so that a hung one dies like any
//! command.

use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::platform::process;

mod address;
mod archive;
pub mod child;
mod compression;
pub mod context;
mod copy;
mod extract;
pub mod failure;
#[cfg(feature = "fetch")]
mod fetch;
mod hash;
#[cfg(feature = "fetch")]
mod http;
mod input;
mod listing;
mod new_file;
mod output;
pub mod parameters;
#[cfg(feature = "fetch")]
mod post;
mod reporting;
mod shown;
mod sleep;
mod wait_for;

pub use context::Context;
pub use failure::Failure;

/// Every operation there is.
pub const OPERATIONS: &[Entry] = &[
    Entry::of::<archive::Archive>(),
    Entry::of::<copy::Copy>(),
    Entry::of::<extract::Extract>(),
    #[cfg(feature = "fetch")]
    Entry::of::<fetch::Fetch>(),
    Entry::of::<hash::Hash>(),
    #[cfg(feature = "fetch")]
    Entry::of::<post::Post>(),
    Entry::of::<sleep::Sleep>(),
    Entry::of::<wait_for::WaitFor>(),
];

/// A built-in operation: the struct that implements it holds its parameters.
///
/// `run` reports with `Context::progress`, `status` and `partial`, looks at `Context::check` at least every few
/// milliseconds of work, and leaves nothing half done behind, whichever way it ends. What it returns stands in the
/// answer as `data.result`.
pub trait Operation: Args + FromArgMatches + Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    const NAME: &'static str;
    /// One line for lists, without a full stop.
    const ABOUT: &'static str;
    /// What it does, what its partial result holds and when it fails; for help and man page.
    const LONG_ABOUT: &'static str;
    /// Command lines without the leading `runner op`.
    const EXAMPLES: &'static [&'static str];

    /// Removes secrets from parameters of a job file, for records.
    fn redact(_parameters: &mut Map<String, Value>) {}

    /// Says what is wrong with the parameters, before anything starts. `Error::Invalid` names the parameter.
    fn check(&self) -> Result<()>;

    /// Does it.
    fn run(self, context: &mut Context) -> std::result::Result<Value, Failure>;
}

/// Parameters that were read, of whichever operation.
pub trait Prepared: Send {
    /// As they stand in a job file.
    fn to_json(&self) -> Value;

    /// Does it.
    fn run(self: Box<Self>, context: &mut Context) -> std::result::Result<Value, Failure>;
}

impl<T: Operation> Prepared for T {
    fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("parameters are always valid JSON")
    }

    fn run(self: Box<Self>, context: &mut Context) -> std::result::Result<Value, Failure> {
        T::run(*self, context)
    }
}

/// Parameters from the command line: the outer error is of the line itself, the inner of what it says.
type FromMatches = std::result::Result<Result<Box<dyn Prepared>>, clap::Error>;

/// An operation as the registry knows it.
pub struct Entry {
    pub name: &'static str,
    pub about: &'static str,
    pub long_about: &'static str,
    pub examples: &'static [&'static str],
    arguments: fn(Command) -> Command,
    schema: fn() -> Schema,
    define: fn(&mut SchemaGenerator) -> Schema,
    from_matches: fn(&ArgMatches) -> FromMatches,
    from_json: fn(Value) -> Result<Box<dyn Prepared>>,
    redact: fn(&mut Map<String, Value>),
}

impl Entry {
    const fn of<T: Operation>() -> Self {
        Self {
            name: T::NAME,
            about: T::ABOUT,
            long_about: T::LONG_ABOUT,
            examples: T::EXAMPLES,
            arguments: T::augment_args,
            schema: || schemars::schema_for!(T),
            define: |generator| generator.subschema_for::<T>(),
            from_matches: |matches| T::from_arg_matches(matches).map(checked),
            from_json: |value| {
                checked(serde_json::from_value::<T>(value).map_err(|error| wrong_json(T::NAME, &error))?)
            },
            redact: T::redact,
        }
    }

    /// Its part of the command line, without the texts for help.
    pub fn definition(&self) -> Command {
        let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Print help");
        let definition = Command::new(self.name).disable_help_flag(true).args_override_self(true);
        (self.arguments)(definition).arg(help).about(self.about).long_about(None)
    }

    /// The JSON Schema of its parameters.
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }

    /// Adds the schema of its parameters to the definitions of a larger one, and gives a reference to it.
    pub fn define(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.define)(generator)
    }

    /// Parameters from the command line, of an operation that will run in `cwd`, or here.
    pub fn parameters(&self, matches: &ArgMatches, cwd: Option<&Path>) -> FromMatches {
        match cwd {
            None => (self.from_matches)(matches),
            Some(cwd) => process::within(cwd, || (self.from_matches)(matches)).unwrap_or_else(|error| Ok(Err(error))),
        }
    }

    /// The parameters of a job file for records, without secrets.
    pub fn redacted(&self, mut parameters: Value) -> Value {
        parameters.as_object_mut().into_iter().for_each(self.redact);
        parameters
    }

    /// Parameters from JSON, as a job file has them.
    pub fn parameters_from_json(&self, value: Value) -> Result<Box<dyn Prepared>> {
        (self.from_json)(value)
    }
}

/// The operation of this name.
pub fn by_name(name: &str) -> Option<&'static Entry> {
    OPERATIONS.iter().find(|entry| entry.name == name)
}

/// The parameters of an operation for records, without secrets. None for an unknown operation, whose secrets cannot be
/// recognised.
pub fn redacted_parameters(name: &str, parameters: &Value) -> Option<Value> {
    Some(by_name(name)?.redacted(parameters.clone()))
}

/// Looks at the URL of a web server. What is wrong with it completes "the URL ...", and repeats none of it: it may hold
/// a secret.
#[cfg(feature = "fetch")]
pub fn check_url(text: &str) -> std::result::Result<(), String> {
    http::Address::parse(text).map(drop)
}

/// The same where nothing could speak to it.
#[cfg(not(feature = "fetch"))]
pub fn check_url(_: &str) -> std::result::Result<(), String> {
    Err("cannot be used, since this runner was built without HTTP".to_owned())
}

/// A URL as people get to see it: without name, password and query, which may be secrets.
pub fn shown_url(url: &str) -> String {
    address::shown(url)
}

/// An unexpected word of a command line for a message, without what may be a secret.
pub fn redacted_word(word: &str) -> String {
    address::redacted_word(word)
}

fn checked<T: Operation>(parameters: T) -> Result<Box<dyn Prepared>> {
    parameters.check()?;
    Ok(Box::new(parameters))
}

fn wrong_json(name: &str, error: &serde_json::Error) -> Error {
    Error::Invalid {
        argument: Some(name.to_owned()),
        message: format!("the parameters of {name} are wrong: {}", without_found_text(&error.to_string())),
        remediation: format!("'runner schema {name}' prints what they may be"),
    }
}

/// The error of a parser without the string that it quotes, which may be a secret.
fn without_found_text(error: &str) -> String {
    match (error.split_once("string \""), error.rsplit_once("\", expected")) {
        (Some((before, _)), Some((_, expected))) => format!("{before}string, expected{expected}"),
        _ => error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{OPERATIONS, by_name};

    #[test]
    fn errors_about_parameters_do_not_quote_their_values() {
        let copy = by_name("copy").expect("it is there");
        for parameters in [json!({"sources": "a \"hidden\" b", "dest": "x"}), json!({"jobs": "hidden"})] {
            let error = copy.parameters_from_json(parameters).err().expect("it is wrong");
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }

    #[test]
    fn every_operation_is_documented_and_well_formed() {
        for (at, entry) in OPERATIONS.iter().enumerate() {
            assert!(entry.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", entry.name);
            assert!(!entry.about.is_empty() && !entry.about.ends_with('.'), "{}", entry.name);
            assert!(entry.long_about.ends_with('.'), "{}", entry.name);
            assert!(!entry.examples.is_empty() && entry.examples.iter().all(|line| line.starts_with(entry.name)));
            assert!(OPERATIONS[..at].iter().all(|other| other.name != entry.name), "{} is there twice", entry.name);
            entry.definition().debug_assert();
            let schema = serde_json::to_value(entry.schema()).expect("a schema is JSON");
            assert_eq!(schema["type"], "object", "{}", entry.name);
            assert_eq!(schema["additionalProperties"], false, "{}: use deny_unknown_fields", entry.name);
        }
    }
}
