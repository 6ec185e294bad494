//! The programs and shell commands of which it is known what they take for code: the closed list of the manual page.
//!
//! Data alone, read where a command is checked. A new program is one line.

/// What code is written in, and so how an item can get into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// That of POSIX shells: an item may be quoted for it.
    Shell,
    /// An expression or a name that the shell evaluates.
    Expression,
    /// Another one, with a command that passes an item on beside the code.
    Other(&'static str),
}

/// What of its arguments a command takes for code.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    Everything(Language),
    FirstOperand(Language),
    /// A shell.
    Shell,
    /// All operands behind the first few; where there are none, its input. `values` are options with a value.
    OperandsBehind {
        values: &'static str,
        operands: usize,
    },
    /// The value of one of these options, which may stand among others of one letter.
    Option {
        letters: &'static str,
        longs: &'static [&'static str],
        values: &'static str,
        order: OptionOrder,
        language: Language,
    },
    /// The first operand, unless one of these options names a file.
    Program {
        values: &'static str,
        files: &'static [&'static str],
    },
    /// Nothing by itself: a command follows its options and this many operands.
    Command {
        values: &'static str,
        longs: &'static [&'static str],
        operands: usize,
    },
    /// Commands behind `-exec` and the like.
    Exec,
    /// Operands of numeric comparisons.
    Test,
    /// Names of variables, each with a value behind `=` or none.
    Names,
}

/// How a program with code in an option reads its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptionOrder {
    /// Options end with the first operand, which names a script; without one its input is code.
    First,
    /// Options may stand anywhere.
    Anywhere,
    /// The option stands behind the first operand, and a command may stand there in its place.
    Behind,
}

pub(super) const AWK: &str = "item={} awk '{ print ENVIRON[\"item\"] }'";
const PYTHON: Language = Language::Other("python3 -c 'import sys; print(sys.argv[1])' {}");
const PERL: Language = Language::Other("perl -e 'print $ARGV[0]' {}");
const RUBY: Language = Language::Other("ruby -e 'puts ARGV[0]' {}");
const NODE: Language = Language::Other("node -e 'console.log(process.argv[1])' {}");
const PHP: Language = Language::Other("php -r 'echo $argv[1];' -- {}");
const LUA: Language = Language::Other("lua -e 'print(arg[1])' - {}");
const FISH: Language = Language::Other("fish -c 'echo $argv[1]' {}");
const CSH: Language = Language::Other("csh -c 'echo $1:q' {}");

const fn interpreter(
    letters: &'static str,
    longs: &'static [&'static str],
    values: &'static str,
    language: Language,
) -> Takes {
    Takes::Option { letters, longs, values, order: OptionOrder::First, language }
}

const fn shell_option(letters: &'static str, longs: &'static [&'static str], values: &'static str) -> Takes {
    Takes::Option { letters, longs, values, order: OptionOrder::Anywhere, language: Language::Shell }
}

const fn line_or_command(letters: &'static str, longs: &'static [&'static str], values: &'static str) -> Takes {
    Takes::Option { letters, longs, values, order: OptionOrder::Behind, language: Language::Shell }
}

/// Code of GNU awk in an option.
pub(super) const AWK_SOURCE: Takes = Takes::Option {
    letters: "e",
    longs: &["--source"],
    values: "Fvfil",
    order: OptionOrder::Anywhere,
    language: Language::Other(AWK),
};

/// `env -S`, which makes words of a text.
pub(super) const SPLIT: Takes = shell_option("S", &["--split-string"], "uC");

const fn command(values: &'static str, longs: &'static [&'static str], operands: usize) -> Takes {
    Takes::Command { values, longs, operands }
}

/// Names without a version, and what they take.
const PROGRAMS: &[(&[&str], Takes)] = &[
    (&["eval", "alias"], Takes::Everything(Language::Shell)),
    (&["let"], Takes::Everything(Language::Expression)),
    (&["[["], Takes::Test),
    (&["declare", "local", "mapfile", "read", "readarray", "typeset", "unset"], Takes::Names),
    (&["trap"], Takes::FirstOperand(Language::Shell)),
    (
        &[
            "sh", "ash", "bash", "dash", "ksh", "lksh", "mksh", "oksh", "pdksh", "posh", "rbash", "rksh", "yash",
            "zsh", "$SHELL", "$BASH", "$0",
        ],
        Takes::Shell,
    ),
    (&["fish"], interpreter("c", &["--command"], "CdDfo", FISH)),
    (&["csh", "tcsh"], interpreter("c", &[], "", CSH)),
    (&["su", "runuser"], shell_option("c", &["--command", "--session-command"], "gGsuwh")),
    (&["script"], shell_option("c", &["--command"], "EIOBTmot")),
    (&["sg"], shell_option("c", &[], "")),
    (&["flock"], line_or_command("c", &["--command"], "wE")),
    (&["runner"], line_or_command("c", &[], "jtknNaI")),
    (&["ssh"], Takes::OperandsBehind { values: "BbcDEeFIiJLlmOoPpQRSWw", operands: 1 }),
    (&["watch"], Takes::OperandsBehind { values: "nq", operands: 0 }),
    (
        &["awk", "gawk", "mawk", "nawk", "original-awk"],
        Takes::Program { values: "Fvfile", files: &["-f", "--file", "-e", "--source", "-E", "--exec"] },
    ),
    (&["python", "pypy"], interpreter("c", &[], "WX", PYTHON)),
    (&["perl"], interpreter("eE", &[], "IMm", PERL)),
    (&["ruby"], interpreter("e", &[], "rICE", RUBY)),
    (&["node", "nodejs", "bun"], interpreter("ep", &["--eval", "--print"], "rC", NODE)),
    (&["php"], interpreter("rRBE", &["--run"], "cdfzt", PHP)),
    (&["lua", "luajit"], interpreter("e", &[], "l", LUA)),
    (&["find"], Takes::Exec),
    (&["builtin", "nohup", "setsid", "busybox", "toybox", "dbus-run-session"], command("", &[], 0)),
    (&["command", "coproc"], command("", &[], 0)),
    (&["exec"], command("a", &[], 0)),
    (&["env"], command("uCS", &["--unset", "--chdir"], 0)),
    (&["sudo", "doas"], command("ugpCTrthDUR", &["--user", "--group", "--prompt", "--chdir", "--host", "--chroot"], 0)),
    (&["nice"], command("n", &["--adjustment"], 0)),
    (&["ionice"], command("cnpPu", &["--class", "--classdata"], 0)),
    (&["stdbuf"], command("ioe", &["--input", "--output", "--error"], 0)),
    (&["time"], command("fo", &["--format", "--output"], 0)),
    (&["timeout"], command("ks", &["--kill-after", "--signal"], 1)),
    (&["chrt", "taskset"], command("TDP", &[], 1)),
    (&["chroot"], command("", &[], 1)),
    (
        &["xargs"],
        command(
            "adEILnPs",
            &["--arg-file", "--delimiter", "--max-args", "--max-procs", "--max-chars", "--max-lines"],
            0,
        ),
    ),
    (&["parallel"], Takes::OperandsBehind { values: "jaINnLPS", operands: 0 }),
];

/// The last component of the name of a program.
pub(super) fn base(word: &[u8]) -> &str {
    std::str::from_utf8(&word[word.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1)..]).unwrap_or_default()
}

/// What the program of this name takes for code. Directories and a version in the name do not count.
pub(super) fn takes(word: &[u8]) -> Option<Takes> {
    let find = |name: &str| PROGRAMS.iter().find(|(names, _)| names.contains(&name)).map(|(_, takes)| *takes);
    let base = base(word);
    let is_version = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-');
    let variable = [b"${SHELL}" as &[u8], b"${BASH}", b"${0}"].contains(&word) || word.starts_with(b"${SHELL:-");
    find(base).or_else(|| find(base.trim_end_matches(is_version))).or_else(|| variable.then_some(Takes::Shell))
}

/// A shell that reads lines as POSIX has it.
pub(super) fn is_posix_shell(program: &[u8]) -> bool {
    !program.starts_with(b"$") && matches!(takes(program), Some(Takes::Shell))
}
