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
    /// All operands behind the first few; where there are none, its input.
    OperandsBehind(Options, usize),
    /// The value of one of these options, which may stand among others of one letter.
    Option(CodeOptions),
    /// The first operand, unless one of these options names a file.
    Program(Options, &'static [&'static str]),
    /// Nothing by itself: a command follows its options and this many operands. Without one, some start a shell.
    Command {
        options: Options,
        operands: usize,
        starts_shell: bool,
    },
    /// The same behind a verb such as `exec`. All options but these have a value.
    Container {
        flags: Options,
        operands: usize,
    },
    /// The program itself.
    Runner,
    /// `env`, whose -S makes words of a text.
    Env,
    /// Commands behind `-exec` and the like.
    Exec,
    /// Operands of numeric comparisons, unless they are numbers already, and names of variables.
    Test {
        evaluates: bool,
    },
    /// Names of variables, each with a value behind `=` or none.
    Names {
        evaluates: bool,
    },
    /// A file of commands, which may be its input.
    Source,
    /// A command up to `:::`, or the operands behind it.
    Parallel,
}

/// Options with code.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodeOptions {
    pub(super) letters: &'static str,
    /// Long names, separated by spaces.
    pub(super) longs: &'static str,
    pub(super) others: Options,
    pub(super) order: OptionOrder,
    pub(super) language: Language,
}

/// How many words the options of a program are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// Letters of options.
    pub(super) letters: &'static str,
    /// Long names of options, separated by spaces.
    pub(super) longs: &'static str,
    /// These have a value in the next word, and others have none. False: the other way round.
    pub(super) have_values: bool,
}

impl Options {
    /// The value of this option is the next word.
    pub(super) fn take_next(self, text: &[u8]) -> bool {
        if let Some(name) = text.strip_prefix(b"--") {
            let is_listed = self.longs.split(' ').any(|long| match self.have_values {
                true => !name.is_empty() && long.as_bytes().starts_with(name),
                false => long.as_bytes() == name,
            });
            return !name.is_empty() && !name.contains(&b'=') && is_listed == self.have_values;
        }
        let has_value = |letter: &u8| self.letters.as_bytes().contains(letter) == self.have_values;
        text[1..].iter().position(has_value).is_some_and(|first| first + 2 == text.len())
    }
}

/// How a program with code in an option reads its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptionOrder {
    /// Options end with the first operand, which names a script; without one its input is code.
    First,
    /// Options may stand anywhere. A command may stand behind them; without both its input is code.
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

const SPLIT_WORDS: Language = Language::Other("env -S 'nice -n 5' gzip {}");

const fn values(letters: &'static str, longs: &'static str) -> Options {
    Options { letters, longs, have_values: true }
}

const fn code(
    letters: &'static str,
    longs: &'static str,
    others: Options,
    order: OptionOrder,
    language: Language,
) -> Takes {
    Takes::Option(CodeOptions { letters, longs, others, order, language })
}

const fn interpreter(letters: &'static str, longs: &'static str, values: Options, language: Language) -> Takes {
    code(letters, longs, values, OptionOrder::First, language)
}

const fn command(letters: &'static str, longs: &'static str, operands: usize) -> Takes {
    Takes::Command { options: values(letters, longs), operands, starts_shell: false }
}

const fn command_or_shell(letters: &'static str, longs: &'static str, operands: usize) -> Takes {
    Takes::Command { options: values(letters, longs), operands, starts_shell: true }
}

const fn container(letters: &'static str, longs: &'static str, operands: usize) -> Takes {
    Takes::Container { flags: Options { letters, longs, have_values: false }, operands }
}

/// Code of GNU awk in an option.
pub(super) const AWK_SOURCE: CodeOptions = CodeOptions {
    letters: "e",
    longs: "source",
    others: values("Fvfil", "field-separator assign file include load"),
    order: OptionOrder::Anywhere,
    language: Language::Other(AWK),
};

/// Where awk reads its program from.
pub(super) const AWK_FILE: CodeOptions = CodeOptions {
    letters: "fE",
    longs: "file exec",
    others: values("Fvile", "field-separator assign include load source"),
    order: OptionOrder::Anywhere,
    language: Language::Other(AWK),
};

pub(super) const ENV: Options = values("uCS", "unset chdir split-string");

/// `env -S`, which makes words of a text.
pub(super) const SPLIT: CodeOptions = CodeOptions {
    letters: "S",
    longs: "split-string",
    others: values("uC", "unset chdir"),
    order: OptionOrder::First,
    language: SPLIT_WORDS,
};

/// Lines of runner for a shell.
pub(super) const RUNNER_LINES: CodeOptions = CodeOptions {
    letters: "c",
    longs: "on-done",
    others: RUNNER,
    order: OptionOrder::First,
    language: Language::Shell,
};

/// Options of runner that have no value, or one behind `=` alone.
pub(super) const RUNNER: Options = Options {
    letters: "0fhkpquvV",
    longs: "any dry-run each env-clear help inherit-env json line-buffer link list pty sd-notify tag version wait null \
            foreground keep-order preserve-status quiet ungroup verbose record fail-fast",
    have_values: false,
};

pub(super) const PARALLEL: Options = values(
    "jaINnLPSsCEJdMUW",
    "jobs max-procs arg-file max-args max-lines max-replace-args replace sshlogin sshloginfile slf colsep delay joblog \
     results tmpdir timeout retries load memfree halt halt-on-error workdir wd tagstring basefile return env nice \
     recstart recend block arg-sep arg-file-sep delimiter max-chars tempdir profile shebang limit",
);

const CONTAINER: &str = "interactive tty detach privileged rm init read-only publish-all quiet no-healthcheck no-TTY \
                         stdin no-deps build oom-kill-disable latest all-containers service-ports use-aliases leave-stdin-open";

/// Verbs behind which a command stands.
pub(super) const CONTAINER_VERBS: [&[u8]; 5] = [b"exec", b"run", b"enter", b"shell", b"debug"];

/// Names without a version, and what they take.
const PROGRAMS: &[(&[&str], Takes)] = &[
    (&["eval", "alias"], Takes::Everything(Language::Shell)),
    (&["let"], Takes::Everything(Language::Expression)),
    (&["[["], Takes::Test { evaluates: true }),
    (&["[", "test"], Takes::Test { evaluates: false }),
    (&["printf"], code("v", "", values("", ""), OptionOrder::First, Language::Expression)),
    (
        &["declare", "local", "mapfile", "read", "readarray", "readonly", "typeset", "unset"],
        Takes::Names { evaluates: false },
    ),
    (&["integer", "nameref"], Takes::Names { evaluates: true }),
    (&["trap"], Takes::FirstOperand(Language::Shell)),
    (&[".", "source"], Takes::Source),
    (
        &[
            "sh", "ash", "bash", "dash", "ksh", "lksh", "mksh", "oksh", "pdksh", "posh", "rbash", "rksh", "yash",
            "zsh", "$SHELL", "$BASH", "$0",
        ],
        Takes::Shell,
    ),
    (&["fish"], interpreter("cC", "command init-command", values("dDfo", "features debug debug-output profile"), FISH)),
    (&["csh", "tcsh"], interpreter("c", "", values("", ""), CSH)),
    (
        &["su", "runuser"],
        code(
            "c",
            "command session-command",
            values("gGsuwh", "group supp-group shell user whitelist-environment"),
            OptionOrder::Anywhere,
            Language::Shell,
        ),
    ),
    (
        &["script"],
        code(
            "c",
            "command",
            values("EIOBTmo", "echo log-in log-out log-io log-timing logging-format output-limit"),
            OptionOrder::Anywhere,
            Language::Shell,
        ),
    ),
    (&["sg"], Takes::OperandsBehind(values("", ""), 1)),
    (
        &["flock"],
        code("c", "command", values("wE", "timeout wait conflict-exit-code"), OptionOrder::Behind, Language::Shell),
    ),
    (&["runner"], Takes::Runner),
    (&["ssh"], Takes::OperandsBehind(values("BbcDEeFIiJLlmOoPpQRSWw", ""), 1)),
    (&["watch"], Takes::OperandsBehind(values("nqs", "interval equexit shotsdir"), 0)),
    (
        &["awk", "gawk", "mawk", "nawk", "original-awk"],
        Takes::Program(
            values("Fvfile", "field-separator assign file include load source exec"),
            &["-f", "--file", "-e", "--source", "-E", "--exec"],
        ),
    ),
    (&["python", "pypy"], interpreter("c", "", values("WX", "check-hash-based-pycs"), PYTHON)),
    (&["perl"], interpreter("eEMmF", "", values("I", ""), PERL)),
    (&["ruby"], interpreter("e", "", values("rICE", "encoding"), RUBY)),
    (
        &["node", "nodejs", "bun"],
        interpreter(
            "ep",
            "eval print",
            values("rC", "require import conditions loader title env-file input-type"),
            NODE,
        ),
    ),
    (&["php"], interpreter("rRBE", "run process-begin process-code process-end", values("cdfzt", ""), PHP)),
    (&["lua", "luajit"], interpreter("e", "", values("l", ""), LUA)),
    (&["find"], Takes::Exec),
    (
        &[
            "builtin",
            "nohup",
            "setsid",
            "busybox",
            "toybox",
            "dbus-run-session",
            "fakeroot",
            "catchsegv",
            "unbuffer",
            "chronic",
            "torsocks",
            "eatmydata",
        ],
        command("", "", 0),
    ),
    (&["command", "coproc"], command("", "", 0)),
    (&["exec"], command("a", "", 0)),
    (&["env"], Takes::Env),
    (
        &["sudo", "doas"],
        command_or_shell(
            "ugpCTrthDUR",
            "user group prompt chdir host chroot close-from role type other-user command-timeout",
            0,
        ),
    ),
    (&["pkexec"], command_or_shell("", "user", 0)),
    (&["nice"], command("n", "adjustment", 0)),
    (&["ionice"], command("cnpPu", "class classdata pid pgid uid", 0)),
    (&["stdbuf"], command("ioe", "input output error", 0)),
    (&["time"], command("fo", "format output", 0)),
    (&["timeout"], command("ks", "kill-after signal", 1)),
    (&["chrt", "taskset"], command("TDP", "sched-runtime sched-deadline sched-period", 1)),
    (&["numactl"], command("NmCiplP", "cpunodebind membind physcpubind interleave preferred localalloc", 0)),
    (&["choom"], command("np", "adjust pid", 0)),
    (&["prlimit"], command("po", "pid output", 0)),
    (&["chroot"], command_or_shell("", "userspec groups", 1)),
    (&["setuidgid", "gosu", "su-exec", "faketime"], command("", "", 1)),
    (&["setarch"], command_or_shell("", "", 0)),
    (&["linux32", "linux64", "i386", "i686", "x86_64", "uname26"], command_or_shell("", "", 0)),
    (
        &["setpriv"],
        command(
            "",
            "reuid regid euid ruid egid rgid groups inh-caps ambient-caps bounding-set securebits selinux-label \
             apparmor-profile pdeathsig ptracer landlock-access landlock-rule seccomp-filter",
            0,
        ),
    ),
    (
        &["strace", "ltrace"],
        command(
            "abeEFIlnoOpPsSuUxX",
            "output trace signal status attach string-limit user argv0 env detach-on interruptible summary-sort-by \
             summary-columns trace-path columns strings-in-hex align indent library where",
            0,
        ),
    ),
    (&["nsenter"], command_or_shell("tSG", "target setuid setgid", 0)),
    (
        &["unshare"],
        command_or_shell(
            "SGRwl",
            "setuid setgid root wd map-user map-group map-users map-groups propagation setgroups load-interp \
             monotonic boottime",
            0,
        ),
    ),
    (
        &["systemd-run"],
        command_or_shell(
            "HMupEP",
            "unit property description slice uid gid nice working-directory setenv on-active on-boot on-calendar \
             on-startup on-unit-active on-unit-inactive timer-property path-property socket-property service-type host \
             machine job-mode background",
            0,
        ),
    ),
    (&["systemd-inhibit"], command("", "what who why mode", 0)),
    (
        &["docker", "podman", "nerdctl", "docker-compose", "podman-compose", "kubectl", "oc", "lxc", "incus"],
        container("itTdPqR", CONTAINER, 1),
    ),
    (&["machinectl", "flatpak", "toolbox", "distrobox"], container("q", "quiet", 1)),
    (&["ip"], container("", "", 1)),
    (&["xargs"], command("adEILnPs", "arg-file delimiter max-args max-procs max-chars process-slot-var", 0)),
    (&["parallel"], Takes::Parallel),
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

/// The first operand of `setarch`.
pub(super) fn is_architecture(word: &[u8]) -> bool {
    const STARTS: [&str; 14] = [
        "x86", "i386", "i486", "i586", "i686", "linux", "uname", "aarch", "arm", "ppc", "s390", "mips", "sparc",
        "riscv",
    ];
    STARTS.iter().any(|start| word.starts_with(start.as_bytes()))
}

/// A shell that reads lines as POSIX has it.
pub(super) fn is_posix_shell(program: &[u8]) -> bool {
    !program.starts_with(b"$") && matches!(takes(program), Some(Takes::Shell))
}
