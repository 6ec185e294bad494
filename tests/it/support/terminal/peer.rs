//! `runner timeout` beside timeout(1) of GNU coreutils, both called `timeout`, with the same arguments.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::Scratch;
use super::process::{Ended, Running, Setup, start_as};
use crate::support::skip;

/// GNU timeout, where this machine has it.
pub(crate) fn gnu() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<&'static Path>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let path = Path::new("/usr/bin/timeout");
        let scratch = Scratch::new();
        let version = scratch.command(path).arg("--version").output().ok();
        let is_gnu = version.is_some_and(|out| String::from_utf8_lossy(&out.stdout).contains("(GNU coreutils) 9"));
        if !is_gnu {
            skip("GNU timeout 9", "/usr/bin/timeout is another program or version");
        }
        is_gnu.then_some(path)
    })
}

/// The same call of both programs, in one folder each.
pub(crate) struct Pair {
    pub(crate) ours: Running,
    pub(crate) theirs: Option<Running>,
    folders: Vec<Scratch>,
    call: String,
}

/// Both ends of one call.
pub(crate) struct Ends {
    pub(crate) ours: Ended,
    pub(crate) theirs: Option<Ended>,
    folders: Vec<Scratch>,
    call: String,
}

/// Starts both.
#[track_caller]
pub(crate) fn both<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Pair {
    both_as(arguments, &Setup::default(), |_| {})
}

/// Starts both, each command changed in the same way.
#[track_caller]
pub(crate) fn both_as<S: AsRef<std::ffi::OsStr>>(
    arguments: &[S],
    setup: &Setup,
    change: impl Fn(&mut Command),
) -> Pair {
    use std::os::unix::process::CommandExt;
    let mut folders = Vec::new();
    let mut launch = |path: Option<&Path>| {
        let scratch = Scratch::new();
        let path = path.map_or_else(|| scratch.timeout_link(), Path::to_owned);
        let mut command = scratch.command(path);
        command.arg0("timeout").args(arguments);
        change(&mut command);
        folders.push(scratch);
        start_as(&mut command, setup)
    };
    let ours = launch(None);
    let theirs = gnu().map(|path| launch(Some(path)));
    let call = arguments.iter().map(|text| text.as_ref().to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    Pair { ours, theirs, folders, call: format!("timeout {call}") }
}

impl Pair {
    #[track_caller]
    pub(crate) fn ended(self) -> Ends {
        Ends {
            ours: self.ours.ended(),
            theirs: self.theirs.map(Running::ended),
            folders: self.folders,
            call: self.call,
        }
    }
}

impl Ends {
    /// The code that a shell sees is this one, in both.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        for (who, end) in self.each() {
            assert_eq!(end.shell_code(), code, "{who}: {}: {}", self.call, end.stderr);
        }
        self
    }

    /// Both wrote the same to both streams.
    #[track_caller]
    pub(crate) fn same_words(self) -> Self {
        if let Some(theirs) = &self.theirs {
            assert_eq!(self.ours.stderr, theirs.stderr, "{}", self.call);
            assert_eq!(self.ours.out(), theirs.out(), "{}", self.call);
        }
        self
    }

    /// Standard error is exactly this, in both.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        for (who, end) in self.each() {
            assert_eq!(end.stderr, words, "{who}: {}", self.call);
        }
        self
    }

    /// Both died of this signal, without a core dump.
    #[track_caller]
    pub(crate) fn died_of(self, signal: i32) -> Self {
        use std::os::unix::process::ExitStatusExt;
        for (who, end) in self.each() {
            assert_eq!(end.signal(), Some(signal), "{who}: {}: {}", self.call, end.status);
            assert!(!end.status.core_dumped(), "{who}: {}: {}", self.call, end.status);
        }
        self
    }

    /// Neither ended before this time.
    #[track_caller]
    pub(crate) fn not_before(self, seconds: f64) -> Self {
        for (who, end) in self.each() {
            assert!(end.elapsed.as_secs_f64() >= seconds, "{who}: {}: after {:?}", self.call, end.elapsed);
        }
        self
    }

    /// The folders that they ran in.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Scratch> {
        self.folders.iter()
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, &Ended)> {
        std::iter::once(("runner", &self.ours)).chain(self.theirs.iter().map(|end| ("GNU", end)))
    }
}
