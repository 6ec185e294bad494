//! A signal as a number with a name, and every spelling people use for one.
//!
//! Used wherever a signal is given on the command line or named in an answer.
//! It knows names and numbers only; sending one is the platform's affair.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names without the `SIG` prefix, with the numbers of the platform that we were built for.
/// The first name of a number is the one that is printed.
const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("POLL", libc::SIGIO),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// A signal number from 0 to 64. `0` is the null signal, which tests and reaches nothing.
///
/// In JSON it is its name without `SIG`: `"TERM"`, `"RTMIN+3"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

impl Signal {
    pub const NULL: Self = Self(0);
    pub const HUP: Self = Self(libc::SIGHUP);
    pub const INT: Self = Self(libc::SIGINT);
    pub const QUIT: Self = Self(libc::SIGQUIT);
    pub const KILL: Self = Self(libc::SIGKILL);
    pub const PIPE: Self = Self(libc::SIGPIPE);
    pub const ALRM: Self = Self(libc::SIGALRM);
    pub const TERM: Self = Self(libc::SIGTERM);
    pub const CHLD: Self = Self(libc::SIGCHLD);
    pub const CONT: Self = Self(libc::SIGCONT);
    pub const STOP: Self = Self(libc::SIGSTOP);
    pub const TSTP: Self = Self(libc::SIGTSTP);
    pub const TTIN: Self = Self(libc::SIGTTIN);
    pub const TTOU: Self = Self(libc::SIGTTOU);
    pub const WINCH: Self = Self(libc::SIGWINCH);
    pub const USR1: Self = Self(libc::SIGUSR1);
    pub const USR2: Self = Self(libc::SIGUSR2);

    /// The signal with this number, if there can be one.
    pub fn from_number(number: i32) -> Option<Self> {
        (0..=libc::SIGRTMAX()).contains(&number).then_some(Self(number))
    }

    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lowest, highest) = (libc::SIGRTMIN(), libc::SIGRTMAX());
        if let Some((name, _)) = NAMES.iter().find(|(_, number)| *number == self.0) {
            f.write_str(name)
        } else if self.0 == lowest {
            f.write_str("RTMIN")
        } else if self.0 == highest {
            f.write_str("RTMAX")
        } else if (lowest..highest).contains(&self.0) {
            write!(f, "RTMIN+{}", self.0 - lowest)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// The text was no signal.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a signal: give a name such as TERM or SIGINT, or a number from 0 to {max}", max = libc::SIGRTMAX())]
pub struct NotASignal(String);

impl FromStr for Signal {
    type Err = NotASignal;

    /// Reads `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN`, `RTMIN+2`, `RTMAX-1`, `EXIT` and `0`; also the exit status
    /// of a command that died of one (`143`), as kill(1) does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.trim().to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = if !upper.is_empty() && upper.bytes().all(|byte| byte.is_ascii_digit()) {
            upper.parse::<i32>().ok().map(|number| if (129..=192).contains(&number) { number - 128 } else { number })
        } else if bare == "EXIT" {
            Some(0)
        } else if let Some(rest) = bare.strip_prefix("RTMIN") {
            real_time(libc::SIGRTMIN(), rest, '+')
        } else if let Some(rest) = bare.strip_prefix("RTMAX") {
            real_time(libc::SIGRTMAX(), rest, '-')
        } else {
            NAMES.iter().find(|(name, _)| *name == bare).map(|(_, number)| *number)
        };
        number.and_then(Self::from_number).ok_or_else(|| NotASignal(text.to_owned()))
    }
}

/// `RTMIN` and `RTMAX` with what follows them: nothing, or a distance towards the other.
fn real_time(base: i32, rest: &str, sign: char) -> Option<i32> {
    if rest.is_empty() {
        return Some(base);
    }
    let distance: i32 = rest.strip_prefix(sign)?.parse().ok()?;
    let number = if sign == '+' { base + distance } else { base - distance };
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number).then_some(number)
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Signal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Signal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "name of a signal without SIG",
            "pattern": "^([A-Z0-9]+|RTMIN\\+[0-9]+)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[test]
    fn every_usual_spelling_is_understood() {
        for text in ["TERM", "SIGTERM", "term", "sigterm", "SigTerm", "15", "143"] {
            assert_eq!(text.parse::<Signal>().ok(), Some(Signal::TERM), "{text}");
        }
        for (text, number) in [("0", 0), ("EXIT", 0), ("RTMIN", 34), ("rtmin+2", 36), ("RTMAX", 64), ("SIGRTMAX-1", 63)]
        {
            assert_eq!(text.parse::<Signal>().ok().map(Signal::number), Some(number), "{text}");
        }
        for text in ["", "SIG", "NOPE", "65", "-1", "RTMIN+99", "RTMIN-1", "1.5", "TERM "] {
            let parsed = text.parse::<Signal>();
            assert!(parsed.is_err() || text.trim() != text, "{text} gave {parsed:?}");
        }
    }

    #[test]
    fn a_signal_reads_back_from_its_own_name() {
        for number in 0..=libc::SIGRTMAX() {
            let signal = Signal::from_number(number).expect("in range");
            assert_eq!(signal.to_string().parse::<Signal>().ok(), Some(signal));
        }
    }
}
