//! `runner timeout`, and the program called by the name `timeout`: the command line of timeout(1), GNU coreutils 9.
//!
//! The options are read by hand as getopt_long(3) does, since scripts rely on its abbreviations and joined forms, and on
//! its words when something is wrong; it also starts faster. The definition for clap serves help, man page and
//! completions. No configuration is read here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, ArgAction, Command, ValueHint};

use crate::cli::{Invocation, Parsed, help};
use crate::model::exit_code::RUNNER_FAILED;
use crate::model::request::TimeoutRequest;
use crate::model::signal::Signal;
use crate::time::gnu;

/// One option: its letter, its name, and what it does.
struct Spec {
    letter: Option<u8>,
    name: &'static str,
    option: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    KillAfter,
    Signal,
    Verbose,
    Foreground,
    PreserveStatus,
    Help,
    Version,
}

/// In the order in which getopt_long(3) lists the possibilities of an ambiguous abbreviation.
const OPTIONS: &[Spec] = &[
    Spec { letter: Some(b'k'), name: "kill-after", option: Kind::KillAfter },
    Spec { letter: Some(b's'), name: "signal", option: Kind::Signal },
    Spec { letter: Some(b'v'), name: "verbose", option: Kind::Verbose },
    Spec { letter: Some(b'f'), name: "foreground", option: Kind::Foreground },
    Spec { letter: Some(b'p'), name: "preserve-status", option: Kind::PreserveStatus },
    Spec { letter: None, name: "help", option: Kind::Help },
    Spec { letter: None, name: "version", option: Kind::Version },
];

impl Kind {
    fn takes_value(self) -> bool {
        matches!(self, Self::KillAfter | Self::Signal)
    }
}

/// Reads the arguments behind the name of the program or verb.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Parsed {
    match read(&mut args.into_iter()) {
        Ok(request) => Parsed::Run(Invocation::Timeout(request)),
        Err(said) => said,
    }
}

fn read(args: &mut dyn Iterator<Item = OsString>) -> Result<TimeoutRequest, Parsed> {
    let mut request = TimeoutRequest {
        duration: None,
        kill_after: None,
        signal: Signal::TERM,
        foreground: false,
        preserve_status: false,
        verbose: false,
        command: Vec::new(),
    };
    let mut first = None;
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            first = args.next();
            break;
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            let at = long.iter().position(|byte| *byte == b'=');
            let name = &long[..at.unwrap_or(long.len())];
            let option = abbreviated(&arg, name)?;
            let value = match at {
                Some(_) if !option.option.takes_value() => {
                    return Err(wrong(&format!("option '--{}' doesn't allow an argument", option.name)));
                }
                Some(at) => Some(OsString::from_vec(long[at + 1..].to_vec())),
                None if option.option.takes_value() => Some(
                    args.next().ok_or_else(|| wrong(&format!("option '--{}' requires an argument", option.name)))?,
                ),
                None => None,
            };
            apply(&mut request, option.option, value.as_deref())?;
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            cluster(&mut request, &bytes[1..], args)?;
        } else {
            first = Some(arg);
            break;
        }
    }
    request.command = args.collect();
    // GNU says nothing here but where help is.
    let Some(duration) = first.filter(|_| !request.command.is_empty()) else { return Err(complaint("")) };
    request.duration = interval(&duration)?;
    Ok(request)
}

/// Letters behind one dash, the last of which may have its value behind it or in the next word.
fn cluster(
    request: &mut TimeoutRequest,
    letters: &[u8],
    args: &mut dyn Iterator<Item = OsString>,
) -> Result<(), Parsed> {
    for (at, letter) in letters.iter().enumerate() {
        let quoted = String::from_utf8_lossy(std::slice::from_ref(letter));
        let Some(option) = OPTIONS.iter().find(|option| option.letter == Some(*letter)) else {
            return Err(wrong(&format!("invalid option -- '{quoted}'")));
        };
        if option.option.takes_value() {
            let joined = &letters[at + 1..];
            let value = if joined.is_empty() {
                args.next().ok_or_else(|| wrong(&format!("option requires an argument -- '{quoted}'")))?
            } else {
                OsString::from_vec(joined.to_vec())
            };
            return apply(request, option.option, Some(&value));
        }
        apply(request, option.option, None)?;
    }
    Ok(())
}

/// The option that `name` is, or is an unmistakable beginning of.
fn abbreviated(arg: &OsStr, name: &[u8]) -> Result<&'static Spec, Parsed> {
    if let Some(option) = OPTIONS.iter().find(|option| option.name.as_bytes() == name) {
        return Ok(option);
    }
    let candidates: Vec<_> = OPTIONS.iter().filter(|option| option.name.as_bytes().starts_with(name)).collect();
    match candidates[..] {
        [option] => Ok(option),
        [] => Err(wrong(&format!("unrecognized option '{}'", arg.to_string_lossy()))),
        _ => {
            let names: String = candidates.iter().map(|option| format!(" '--{}'", option.name)).collect();
            Err(wrong(&format!("option '{}' is ambiguous; possibilities:{names}", arg.to_string_lossy())))
        }
    }
}

fn apply(request: &mut TimeoutRequest, option: Kind, value: Option<&OsStr>) -> Result<(), Parsed> {
    let value = value.unwrap_or_default();
    match option {
        Kind::KillAfter => request.kill_after = interval(value)?,
        Kind::Signal => {
            request.signal = signal(value).ok_or_else(|| wrong(&format!("{}: invalid signal", quoted(value))))?;
        }
        Kind::Verbose => request.verbose = true,
        Kind::Foreground => request.foreground = true,
        Kind::PreserveStatus => request.preserve_status = true,
        Kind::Help => return Err(Parsed::Say { text: help::timeout(), to_stderr: false, exit: 0 }),
        Kind::Version => {
            let text = format!("timeout (runner) {}\n", env!("CARGO_PKG_VERSION"));
            return Err(Parsed::Say { text, to_stderr: false, exit: 0 });
        }
    }
    Ok(())
}

fn interval(text: &OsStr) -> Result<Option<std::time::Duration>, Parsed> {
    // A text that is not UTF-8 is no number either.
    let parsed = text.to_str().and_then(|text| gnu::parse(text).ok());
    parsed.map(Into::into).ok_or_else(|| wrong(&format!("invalid time interval {}", quoted(text))))
}

/// A signal by name or number. As in coreutils, a number may be the wait status of a command that died of the signal:
/// beyond 127 only its lower bits count.
fn signal(text: &OsStr) -> Option<Signal> {
    let text = text.to_str()?;
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let number: i32 = text.parse().ok()?;
        let number = number & if number >= 0xff { 0xff } else { 0x7f };
        return numbered(number);
    }
    // Elsewhere signals may have space around them.
    if text.contains(char::is_whitespace) {
        return None;
    }
    // Coreutils takes a number behind the prefix, too, and only as it is.
    let number = text.get(..3).filter(|prefix| prefix.eq_ignore_ascii_case("SIG")).map(|_| &text[3..]);
    match number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(number) => numbered(number.parse().ok()?),
        None => text.parse().ok(),
    }
}

/// The signal with this number, unless the C library keeps it to itself: signal(7).
fn numbered(number: i32) -> Option<Signal> {
    Signal::from_number(number).filter(|_| number <= libc::SIGSYS || number >= libc::SIGRTMIN())
}

/// A text in quotes, with what is not printable escaped as in the C language.
fn quoted(text: &OsStr) -> String {
    let mut out = String::from("'");
    for byte in text.as_bytes() {
        match byte {
            b'\'' => out.push_str("\\'"),
            b'\\' => out.push_str("\\\\"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            0x0b => out.push_str("\\v"),
            0x0c => out.push_str("\\f"),
            b'\r' => out.push_str("\\r"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\{byte:03o}")),
        }
    }
    out.push('\'');
    out
}

fn wrong(problem: &str) -> Parsed {
    complaint(&format!("timeout: {problem}\n"))
}

fn complaint(text: &str) -> Parsed {
    let text = format!("{text}Try 'timeout --help' for more information.\n");
    Parsed::Say { text, to_stderr: true, exit: RUNNER_FAILED }
}

/// The same options for help, man page and completions.
pub(crate) fn definition() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("timeout")
        .bin_name("timeout")
        .about("Run a command with a time limit, as timeout(1) does")
        .override_usage("timeout [OPTION]... DURATION COMMAND [ARG]...")
        .disable_help_flag(true)
        .args([
            flag("foreground", "Signal the command alone, and leave it in our process group").short('f'),
            Arg::new("kill-after")
                .short('k')
                .long("kill-after")
                .value_name("DURATION")
                .help("Send KILL too, if the command still runs so long after the first signal"),
            flag("preserve-status", "Exit with the status of the command, even after a timeout").short('p'),
            Arg::new("signal")
                .short('s')
                .long("signal")
                .value_name("SIGNAL")
                .help("Send this signal at the timeout, a name or a number [default: TERM]"),
            flag("verbose", "Say on standard error which signals are sent").short('v'),
            Arg::new("help").long("help").action(ArgAction::Help).help("Print help"),
            Arg::new("version").long("version").action(ArgAction::SetTrue).help("Print the version"),
            Arg::new("duration").value_name("DURATION").required(true).help("When to stop the command; 0 for never"),
            Arg::new("command")
                .value_name("COMMAND")
                .required(true)
                .num_args(1..)
                .trailing_var_arg(true)
                .value_hint(ValueHint::CommandWithArguments)
                .help("The command and its arguments"),
        ])
}

#[cfg(test)]
#[path = "timeout_tests.rs"]
mod tests;
