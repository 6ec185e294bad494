//! Programs and shell commands that run arguments as code: the closed list of the man page.
//!
//! Data only, used by `code_argument`. A new program is one line.

/// The language of code, which determines how an item can be passed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// A POSIX shell; an item may be quoted for it.
    Shell,
    /// An expression or a name that the shell evaluates.
    Expression,
    /// Another language, with an example that passes the item separately.
    Other(&'static str),
}

/// The arguments that a command runs as code.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    Everything(Language),
    FirstOperand(Language),
    /// A POSIX shell with `-c`.
    Shell,
    /// All operands after the first few, or its input if there are none. `values` are options with a value.
    OperandsAfter {
        values: &'static str,
        operands: usize,
    },
    /// The value of one of these options, which may be bundled with other letters.
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
    /// Commands after `-exec` and the like.
    Exec,
    /// Operands of numeric comparisons.
    Test,
    /// Variable names, each with an optional value after `=`.
    Names,
}

/// Where the option with code may be on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptionOrder {
    /// Before the first operand, which names a script; without one the input is code.
    First,
    /// Anywhere.
    Anywhere,
    /// After the first operand; a command may take its place.
    AfterOperand,
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
    Takes::Option { letters, longs, values, order: OptionOrder::AfterOperand, language: Language::Shell }
}

/// Code of GNU awk in an option.
pub(super) const AWK_SOURCE: Takes = Takes::Option {
    letters: "e",
    longs: &["--source"],
    values: "Fvfil",
    order: OptionOrder::Anywhere,
    language: Language::Other(AWK),
};

/// `env -S`, which splits a string into words.
pub(super) const SPLIT: Takes = shell_option("S", &["--split-string"], "uC");

const fn command(values: &'static str, longs: &'static [&'static str], operands: usize) -> Takes {
    Takes::Command { values, longs, operands }
}

/// Names without a version, and their code arguments.
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
    (&["ssh"], Takes::OperandsAfter { values: "BbcDEeFIiJLlmOoPpQRSWw", operands: 1 }),
    (&["watch"], Takes::OperandsAfter { values: "nq", operands: 0 }),
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
    (&["parallel"], Takes::OperandsAfter { values: "jaINnLPS", operands: 0 }),
];

/// The last component of a program path.
pub(super) fn base(word: &[u8]) -> &str {
    std::str::from_utf8(&word[word.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1)..]).unwrap_or_default()
}

/// The code arguments of a program. Directories and a version suffix of the name are ignored.
pub(super) fn takes(word: &[u8]) -> Option<Takes> {
    let find = |name: &str| PROGRAMS.iter().find(|(names, _)| names.contains(&name)).map(|(_, takes)| *takes);
    let base = base(word);
    let is_version = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-');
    let variable = [b"${SHELL}" as &[u8], b"${BASH}", b"${0}"].contains(&word) || word.starts_with(b"${SHELL:-");
    find(base).or_else(|| find(base.trim_end_matches(is_version))).or_else(|| variable.then_some(Takes::Shell))
}

/// True for a shell with POSIX syntax.
pub(super) fn is_posix_shell(program: &[u8]) -> bool {
    !program.starts_with(b"$") && matches!(takes(program), Some(Takes::Shell))
}
