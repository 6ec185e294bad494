//! Wrong usage: turns what clap found into an error of our own, which names the thing and the fix.
//!
//! Called for every verb but `timeout`, which answers in the words of timeout(1). Nothing is printed here.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::app::config;
use crate::cli::job_options::parse_secret;
use crate::error::Error;
use crate::model::request::AnswerOptions;
use crate::model::secrets::Secrets;
use crate::ops::redacted_word;

/// A command line that is right, for those who gave none.
fn example(verb: &str) -> &'static str {
    match verb {
        "runner task" | "runner task submit" => "runner task submit --timeout 60 -- make test",
        "runner worker" => "runner worker status",
        _ => "runner exec --timeout 60 -- make test",
    }
}

/// The error for a wrong command line. `verb` is how the user called us, such as `runner exec`, `args` what followed.
pub(crate) fn wrong(error: &clap::Error, verb: &str, args: &[OsString]) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg);
    let argument = if verb.starts_with("runner op") { argument.map(|word| redacted_word(&word)) } else { argument };
    let name = argument.as_deref().map(bare).unwrap_or_default().to_owned();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let see = format!("'{verb} --help' lists what there is");
    let (message, remediation) = match error.kind() {
        ErrorKind::UnknownArgument => {
            let what = if name.starts_with('-') { "option" } else { "argument" };
            let message = format!("unknown {what} '{}'", argument.as_deref().unwrap_or_default());
            let remediation = match text(ContextKind::SuggestedArg) {
                Some(suggestion) => format!("Did you mean {}? {see}", bare(&suggestion)),
                None if verb == "runner exec" || verb == "runner task submit" => {
                    format!("Options for the command go after its name, and a name with a dash after '--'; {see}")
                }
                None if verb == "runner batch" => {
                    let way =
                        "To run a command for each item, name the items first, as in: runner batch --each -- gzip -9";
                    format!("{way}; {see}")
                }
                None => format!("Remove it; {see}"),
            };
            (message, remediation)
        }
        ErrorKind::InvalidSubcommand => {
            let unknown = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let run = match verb {
                "runner task" => Some(format!("to queue a command of that name: runner task submit -- {unknown}")),
                "runner" => Some(format!("to run a command of that name: runner exec -- {unknown}")),
                _ => None,
            };
            let remediation = match (text(ContextKind::SuggestedSubcommand), run) {
                (Some(suggestion), Some(run)) => format!("Did you mean '{suggestion}'? Or {run}"),
                (Some(suggestion), None) => format!("Did you mean '{suggestion}'? {see}"),
                (None, Some(run)) => format!("{see}; {run}"),
                (None, None) => see,
            };
            let message = format!("unknown verb '{unknown}'");
            return Error::Invalid { argument: Some(unknown), message, remediation };
        }
        ErrorKind::MissingSubcommand => {
            ("no verb was given".to_owned(), format!("Name what to do, as in: {}; {see}", example(verb)))
        }
        ErrorKind::MissingRequiredArgument if name == "COMMAND" || name == "-c" => {
            return no_command(verb);
        }
        ErrorKind::MissingRequiredArgument
            if name.contains('|') || argument.as_deref().is_some_and(|a| a.contains('|')) =>
        {
            // One of a group: `<--progress <FRACTION>|--message <TEXT>|...>`.
            let group = argument.as_deref().unwrap_or_default().trim_matches(['<', '>']).to_owned();
            let names: Vec<_> = group.split('|').map(bare).collect();
            let message = "nothing to tell was given".to_owned();
            let remediation = format!("Give at least one of {}; {see}", names.join(", "));
            return Error::Invalid { argument: None, message, remediation };
        }
        ErrorKind::MissingRequiredArgument => {
            (format!("{} is missing", argument.as_deref().unwrap_or_default()), format!("Add it; {see}"))
        }
        ErrorKind::ArgumentConflict => return conflict(error, &name, &see),
        ErrorKind::InvalidValue if value.is_empty() => (
            format!("{name} needs a value"),
            format!("Write it after the option, as in: {}", argument.as_deref().unwrap_or_default()),
        ),
        ErrorKind::InvalidValue => {
            let valid = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(values)) => values.join(", "),
                _ => String::new(),
            };
            (format!("{name}: '{value}' is not one of {valid}"), format!("Give {name} one of: {valid}"))
        }
        ErrorKind::ValueValidation => {
            let problem = error.source().map_or_else(|| format!("'{value}' is wrong"), ToString::to_string);
            return config::invalid(&name, &name, &problem, &name);
        }
        ErrorKind::InvalidUtf8 => (
            // The parser does not say which one it was; the first that could not be read is.
            match args.iter().find(|arg| arg.to_str().is_none()) {
                Some(arg) => format!("'{}' is not valid UTF-8", arg.display()),
                None => "a value that must be text is not valid UTF-8".to_owned(),
            },
            "Only files, directories, variables, and the command with its arguments may hold any byte".to_owned(),
        ),
        _ => (first_line(error), see),
    };
    Error::Invalid { argument: (!name.is_empty()).then_some(name), message, remediation }
}

/// There is nothing to run.
pub(crate) fn no_command(verb: &str) -> Error {
    Error::Invalid {
        argument: Some("COMMAND".to_owned()),
        message: "no command to run".to_owned(),
        remediation: format!("Name it after the options, as in: {}", example(verb)),
    }
}

/// The same for `op`: below it are the operations, each with parameters of its own. `behind` is what options of the job
/// stand before.
pub(crate) fn wrong_operation(error: &clap::Error, args: &[OsString], behind: &str) -> Error {
    let name = args.iter().filter_map(|arg| arg.to_str()).find(|arg| crate::ops::by_name(arg).is_some());
    let verb = name.map_or_else(|| "runner op".to_owned(), |name| format!("runner op {name}"));
    let all = || crate::ops::OPERATIONS.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ");
    match error.kind() {
        ErrorKind::MissingSubcommand => Error::Invalid {
            argument: Some("NAME".to_owned()),
            message: "no operation was named".to_owned(),
            remediation: format!("Name one of: {}", all()),
        },
        // A word where a name was expected.
        ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument if name.is_none() => {
            let unknown = match error.get(ContextKind::InvalidSubcommand).or_else(|| error.get(ContextKind::InvalidArg))
            {
                Some(ContextValue::String(text)) => redacted_word(text),
                _ => String::new(),
            };
            if unknown.starts_with('-') {
                return wrong(error, &verb, args);
            }
            let near = match error.get(ContextKind::SuggestedSubcommand) {
                Some(ContextValue::Strings(names)) if !names.is_empty() => {
                    format!("Did you mean {}? ", names.join(" or "))
                }
                _ => String::new(),
            };
            Error::Invalid {
                argument: Some(unknown.clone()),
                message: format!("there is no operation '{unknown}'"),
                remediation: format!("{near}There are: {}", all()),
            }
        }
        // Options of the job stand before the name.
        ErrorKind::UnknownArgument => match wrong(error, &verb, args) {
            Error::Invalid { argument, message, remediation } => {
                let remediation = format!("{remediation}; options of the job go before {behind}");
                Error::Invalid { argument, message, remediation }
            }
            other => other,
        },
        _ => wrong(error, &verb, args),
    }
}

fn conflict(error: &clap::Error, name: &str, see: &str) -> Error {
    let other = match error.get(ContextKind::PriorArg) {
        Some(ContextValue::String(other)) => bare(other).to_owned(),
        Some(ContextValue::Strings(others)) => others.first().map(|other| bare(other).to_owned()).unwrap_or_default(),
        _ => "another option".to_owned(),
    };
    let (message, remediation) = if name == "--shell" || other == "--shell" {
        (
            "--shell goes with -c LINE, and a command runs without a shell".to_owned(),
            "Leave --shell out, or give -c 'LINE' in place of the command".to_owned(),
        )
    } else if name == "COMMAND" || other == "COMMAND" {
        (
            "both a line for the shell (-c) and a command were given".to_owned(),
            "Give one of them; words behind -c LINE do not become part of the line, so quote it as a whole".to_owned(),
        )
    } else {
        (format!("{name} and {other} cannot be used together"), format!("Leave one of them out; {see}"))
    };
    let argument = if name == "COMMAND" { other.as_str() } else { name };
    Error::Invalid { argument: Some(argument.to_owned()), message, remediation }
}

/// The name in `--timeout <DUR>`, `[COMMAND]...` and the like.
fn bare(usage: &str) -> &str {
    let first = usage.split([' ', '=']).next().unwrap_or(usage);
    first.trim_end_matches('.').trim_matches(['<', '>', '[', ']'])
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// An option as it was given, before anything is known about its value.
pub(crate) struct Given<'a> {
    /// The long name without its dashes, or one letter.
    pub(crate) name: &'a [u8],
    pub(crate) value: Option<&'a OsStr>,
}

/// Where the answer to an invalid command line goes, and which values it masks, read from the options without a full
/// parse. Reads no further than clap would: up to `--` or the first word of the command.
pub(crate) fn asked_for(definition: &Command, args: &[OsString]) -> AnswerOptions {
    let (mut answer, mut secrets) = (AnswerOptions::default(), Vec::new());
    walk(definition, args, |option| match option.name {
        // A value that cannot be parsed masks nothing.
        b"secret-env" => secrets.extend(option.value.and_then(|text| parse_secret(text.to_owned()).ok())),
        b"json" => answer.json = true,
        b"report" => answer.report = option.value.map(Into::into),
        b"quiet" | b"q" => answer.quiet = true,
        b"verbose" | b"v" => answer.verbose = answer.verbose.saturating_add(1),
        _ => {}
    });
    AnswerOptions { secrets: Secrets::new(secrets.into_iter().map(|(_, value)| value)), ..answer }
}

/// Goes over the options at the head of a command line. Answers where they end: at `--`, at the first word that is
/// neither an option nor the value of one, or behind the last word.
pub(crate) fn walk<'a>(definition: &Command, args: &'a [OsString], mut each: impl FnMut(Given<'a>)) -> usize {
    let is_long = |arg: &clap::Arg, name: &[u8]| arg.get_long().map(str::as_bytes) == Some(name);
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        let bytes = arg.as_bytes();
        if let Some(long) = bytes.strip_prefix(b"--").filter(|long| !long.is_empty()) {
            at += 1;
            let equals = long.iter().position(|byte| *byte == b'=');
            let (name, inline) = match equals {
                Some(at) => (&long[..at], Some(OsStr::from_bytes(&long[at + 1..]))),
                None => (long, None),
            };
            let option = definition.get_arguments().find(|arg| is_long(arg, name));
            // The value stands in the next word, unless it must stand behind an equals sign.
            let takes_word = inline.is_none()
                && option.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set());
            let value = if takes_word { args.get(at).map(OsString::as_os_str) } else { inline };
            at += usize::from(takes_word);
            each(Given { name, value });
        } else if bytes.len() > 1 && bytes[0] == b'-' && bytes[1] != b'-' {
            at += 1;
            for place in 1..bytes.len() {
                let name = &bytes[place..=place];
                let option = definition.get_arguments().find(|arg| arg.get_short() == Some(char::from(bytes[place])));
                if !option.is_some_and(|option| option.get_action().takes_values()) {
                    each(Given { name, value: None });
                    continue;
                }
                let rest = &bytes[place + 1..];
                let value = if rest.is_empty() {
                    at += 1;
                    args.get(at - 1).map(OsString::as_os_str)
                } else {
                    Some(OsStr::from_bytes(rest.strip_prefix(b"=").unwrap_or(rest)))
                };
                each(Given { name, value });
                break;
            }
        } else {
            break;
        }
    }
    at.min(args.len())
}
