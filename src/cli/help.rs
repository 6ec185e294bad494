//! What help teaches beyond the options: examples, exit codes, and where the answer goes.
//!
//! Called when help, a man page or completions are asked for, and never on the way to a job: building these texts would
//! cost every start. Sections begin with a heading at the margin that ends in a colon; the man pages rely on that.

use std::io::IsTerminal;

use clap::Command;

use crate::cli::{self, queue_help, verbs};
use crate::model::exit_code;
use crate::ops;

/// The width of help, however wide the terminal is: longer lines are hard to read.
const WIDEST: usize = 80;

const RUNNER_ABOUT: &str = "\
Run commands under a watchdog that always answers.

A job ends by its deadline, plus the grace period, plus a moment, whatever it does. No process of it is left behind, \
its output is kept, and where it did not end by itself one JSON answer says why.";

const RUNNER_EXAMPLES: &str = "\
Examples:
  runner exec --timeout 60 -- make test
  runner exec --timeout 5m --idle-timeout 30s --json -- ./crawl > answer.json
  runner exec -t 10 -c 'sort words | uniq -c'
  runner batch -j 4 -t 5m --each -- ./convert < names
  id=$(runner task submit -t 1h -- ./render scene.blend)
  runner timeout -k 5 60 make test
";

const EXEC_ABOUT: &str = "\
Run one command under a watchdog.

The command gets its arguments as they are, without a shell, and its output passes through unchanged. When a limit \
strikes, the whole tree of its processes gets the stop signal, and after the grace period a KILL; nothing of it survives.";

const EXEC_EXAMPLES: &str = "\
Examples:
  runner exec --timeout 60 -- make test
  runner exec -t 1m30s --grace 10s --signal INT -- ./server --port 80
  runner exec --idle-timeout 30s --json -- ./crawl > answer.json
  runner exec -t 10 -c 'sort words | uniq -c'
  runner exec -t 5m --report answer.json --leftovers kill -- ./deploy
";

const EXEC_ANSWER: &str = "\
The answer:
  One JSON object says how the job ended and why. With --json it stands on
  standard output in place of the job's output; with --report it is written to
  a file too. Without --json it goes to standard error, and only when the job
  did not end by itself: as text on a terminal, else as one line of JSON.
  RUNNER_ERROR_FORMAT=text or json decides otherwise.

Limits of the system:
  Where descriptors, processes or memory are short, the start is tried again
  for up to 10 seconds (1 second for ulimit -n, and never longer than the time
  limit). Then the error, with exit code 125, names the limit.
";

const OP_ABOUT: &str = "\
Run one built-in operation under a watchdog.

Operations are what scripts wait for most: a port, a download, a copy. Each reports its progress, hands back what it has \
when a limit strikes, and leaves nothing half done. Options of the job stand before the name of the operation, its own \
parameters behind it.";

const OP_EXAMPLES: &str = "\
Examples:
  runner op --list
  runner op --timeout 60 sleep 5
  runner op sleep --help
";

const BATCH_ABOUT: &str = "\
Run many jobs, so many at a time, under one watchdog.

Jobs come from a list, or are made of one command and many items. Each has the limits, the output and the answer that it \
would have alone. With a journal, a batch that was stopped or killed goes on where it was.";

const BATCH_EXAMPLES: &str = "\
Examples:
  runner batch -j 4 --journal night.journal jobs.jsonl
  runner batch --resume night.journal -j 4 jobs.jsonl
  find . -name '*.log' -print0 | runner batch --each -0 -n 50 -- gzip -9
  runner batch -t 300% --tag --line-buffer -- ping -c 3 ::: alpha beta gamma
  runner batch --each -- convert {} {.}.png < names
  runner batch --link -- cp {1} {2} ::: a b ::: c d
  runner batch --each -c 'grep -c error {} > {.}.count' < names
  runner batch --fail-fast --junit junit.xml tests.toml
";

const BATCH_REST: &str = "\
Job lists:
  One job is an object with cmd (a list of words), shell (a line) or op (the
  name of an operation, with params), and what it needs of id, name, needs,
  lock, priority (critical, high, normal, low), cwd, env, and the options of a
  job by their long names, such as timeout and retries. A list is JSON, one
  object a line or all in an array, or TOML with a table [[job]] for each and
  [defaults] for all. A list in a file is checked as a whole before the first
  job starts; one that is piped in, line by line.

Placeholders:
  An item is data: it is always a part of one word, whatever it contains. In
  a line of -c it is the value of a readonly variable. If the command has no
  placeholder, the items are appended. Parts of paths are those of GNU
  parallel; other text in braces is passed on unchanged. A number beyond the
  items, a form of GNU parallel that does not exist here, and {Q} are errors.
  {}       the item; all of them, each a word of its own, with -n
  {.}      the item without its extension
  {/}      without its directories
  {//}     its directory
  {/.}     without directories and extension
  {#}      the number of the job, from 1
  {1}      the item of the first input, {2} of the second; also {1.} and so on
  {q}      the item quoted for another shell; also {1q}

Items and code:
  Where a command would run an item as code, it is refused before any job
  starts. These are known:
    - eval, trap, alias, arithmetic of the shell, such as let, and names of
      variables, as for read, unset, declare, printf -v and test -v; what a
      command prints in $(...) there, as in $(( $(stat -c %s {}) / 1024 )), is
      left alone
    - code behind -c of sh, ash, bash, dash, ksh, mksh, yash, zsh, fish and csh
    - code behind -c of su, runuser, sg, script and flock
    - the command that ssh, watch and parallel run; what stands behind ::: of
      parallel is data
    - lines of runner itself: -c, --on-done, and cmd:LINE of wait-for
    - code behind -c, -e and the like of python, perl, ruby, node, php and lua,
      and python -m timeit
    - the text of env -S
    - programs of awk
    - what the above read from a here-document, also as /dev/stdin or - or
      from around a compound command
  They are found as commands of the line, and behind programs that run one:
    - assignments, env, also with -S, exec, command, nohup, nice, ionice,
      stdbuf, time, timeout, setsid, taskset, chrt, numactl, choom, busybox,
      xargs, find -exec, flock and runner
    - sudo, doas, pkexec, runuser, chroot, setpriv, prlimit, setarch, strace,
      ltrace, nsenter, unshare, systemd-run, gosu, setuidgid, faketime
    - exec and run of docker, podman, nerdctl, kubectl, oc, lxc and flatpak;
      ip netns exec, machinectl shell, toolbox run, distrobox enter
    - -- of any other program
  Elsewhere among the arguments of other programs, as in grep node -e {}, a
  name is text.

  For a shell write {q} as a plain word of the code, outside of quotes,
  backquotes and comments: ssh host cat {q}; trap 'rm {q}' EXIT. Or pass the item on as an argument: sh -c 'cat \"$1\"' sh {}. Other
  interpreters get it as an argument or a variable: item={} awk '{ print
  ENVIRON[\"item\"] }'. Programs outside of this list that run an argument as
  code, such as sed and sqlite3, cannot be recognised; nor can what reaches a
  shell through a pipe or a file. With -I, a {} of find -exec is that of find,
  and its names are not checked.

Limits of the system:
  Where descriptors, processes or memory are short (ulimit -n, -u or -v,
  pids.max), fewer jobs run at a time, and one line says so. A job whose start
  lacks something waits while others run. Where none runs, it fails after 10
  seconds (1 second for ulimit -n); after three such jobs in a row the batch
  ends, and the rest is skipped.

The answer:
  Each job has one JSON answer that says how it ended and why, see
  runner-exec(1). With --json they stand on standard output, one a line; with
  --results all go to a file or a folder, with --report each to a file of its
  own. At the end a summary goes to standard error.
";

const NOTIFY_ABOUT: &str = "\
Tell the runner of this job how far it is, what it has so far, or that it needs longer.

Called by a job that runner started. Runner shows the progress, keeps the last value, and hands it back in its answer \
whatever ends the job.";

const NOTIFY_REST: &str = "\
Examples:
  runner notify --progress 17/40 --message linking
  runner notify --partial '{\"objects\": 17}'
  runner notify --extend 30s
  runner notify --watchdog
  runner notify --if-any --progress 50%

Who is heard:
  Root, the user that runner runs as, and every process of the job, whatever
  its user. A process of another user that has exited is heard while the job
  has another process of that user. All others are refused and counted;
  runner exec -v shows them. Notify waits until its message was taken.

The socket:
  The variable RUNNER_NOTIFY_SOCKET names a datagram socket that takes lines of
  the form KEY=VALUE, as sd_notify(3) has it: STATUS, WATCHDOG=1, STOPPING=1,
  EXTEND_TIMEOUT_USEC, and X_RUNNER_PROGRESS and X_RUNNER_PARTIAL. A value of
  more than 64 KiB goes through a sealed memory file that is sent along, with
  X_RUNNER_VALUE_IN_FILE=KEY in place of the line. With --sd-notify the job's
  NOTIFY_SOCKET is the same socket. With X_RUNNER_REPLY=1 and one end of a
  socket pair as the last descriptor, runner sends X_RUNNER_ACCEPTED=1, or a
  line X_RUNNER_REFUSED=REASON for each thing that it refused.
  Its name is abstract, and not seen from another network namespace.
  RUNNER_NOTIFY_PATH names a socket in the file system for that, in /run for
  root, else in XDG_RUNTIME_DIR or /tmp; there the sender must live until its
  message was read. Notify tries it where the first one is not there.

Exit codes:
  0              it was sent, or with --if-any: this is no job of runner
  1              runner refused it: there is no more time, or the sender is
                 not of the job
  125            it was not sent: this is no job of runner, or a value is wrong
";

const TIMEOUT_ABOUT: &str = "\
Run a command with a time limit, as timeout(1) of GNU coreutils does.

Options, messages and exit codes are those of timeout(1). Beyond it, no process of the command escapes the limit: the \
signal goes to the command and its process group; when the command has ended, or --kill-after has passed, the rest of \
the tree gets it too, and then KILL. Without --kill-after the rest of the tree has 5 seconds to end after the \
command. With --foreground only the command is signaled. If timeout itself is killed, the command gets the signal, \
and KILL after --kill-after or 5 seconds. No configuration is read. The program behaves in this way too when it is \
called by the name timeout.";

const TIMEOUT_REST: &str = "\
Durations:
  A duration is a floating-point number, decimal or hexadecimal, with s for
  seconds (the default), m, h or d behind it. 0 switches the limit off.

Examples:
  timeout 60 make test
  timeout -k 5 -s INT 1.5m ./server
  timeout --preserve-status 10 ./job

Exit codes:
  124            the command timed out, and --preserve-status was not given
  125            timeout itself failed, or was called wrongly
  126            the command was found and could not be run
  127            the command was not found
  137            the command, or timeout itself, was ended by KILL
  any other      the command's own
";

const HISTORY_ABOUT: &str = "\
Show how long jobs took, how they ended, and which timeout would suit them.

Attempts are recorded by exec, op and batch with --record, or where a configuration file says record = true in its table \
[history]. Jobs of one name belong together; a job without one is known by its command. Of each, the newest thousand \
attempts are kept, in the folder that RUNNER_STATE_DIR names or in ~/.local/state/runner.";

const HISTORY_REST: &str = "\
Examples:
  runner exec --record --name build -- make
  runner exec --timeout auto --record --name build -- make
  runner history
  runner history build
  runner history --json 'make test'

The suggested timeout:
  It is what --timeout auto would be: twice the trimmed 95th percentile of the
  newest 200 successes, and never less than 10 seconds nor more than a day.
  Trimmed means that successes which took more than three times the median are
  left out, up to one in twenty. Below five successes it is one hour, with a
  star in the table. --timeout auto:3x takes another factor; the bounds are
  timeout-floor, timeout-cap and timeout-default in the table [history].

Exit codes:
  0              it was printed
  1              there is no history of that name
  125            runner itself failed, or was called wrongly
";

/// `runner` with all its verbs, documented, for help, man pages and completions.
pub fn command() -> Command {
    let runner = verbs::definition().mut_subcommands(|verb| match verb.get_name() {
        "exec" => documented_exec(verb),
        "op" => documented_op(verb),
        "batch" => documented_batch(verb),
        "notify" => documented_notify(verb),
        "history" => documented_history(verb),
        "timeout" => documented_timeout(verb),
        "task" => queue_help::task(verb),
        "worker" => queue_help::worker(verb),
        _ => verb,
    });
    sized(
        runner.long_about(RUNNER_ABOUT).after_long_help(format!("{RUNNER_EXAMPLES}\n{}", exit_codes(exit_code::TABLE))),
    )
}

/// `runner exec`, documented.
pub(crate) fn exec() -> Command {
    sized(documented_exec(cli::exec::definition()))
}

/// `runner op` with every operation, documented.
pub(crate) fn op() -> Command {
    sized(documented_op(cli::op::definition()))
}

/// `runner batch`, documented. Short help has no room for headings.
pub(crate) fn batch(short: bool) -> Command {
    let verb = sized(documented_batch(cli::batch::definition()));
    if short { verb.mut_args(|arg| arg.help_heading(None::<&str>)) } else { verb }
}

/// `runner notify`, documented.
pub(crate) fn notify() -> Command {
    sized(documented_notify(cli::notify::definition()))
}

/// `runner task` with every verb, documented.
pub(crate) fn task() -> Command {
    sized(queue_help::task(cli::task::definition()))
}

/// `runner task submit`, documented. Short help has no room for headings.
pub(crate) fn submit(short: bool) -> Command {
    let verb = sized(queue_help::task_verb(cli::task::submit::definition()));
    if short { verb.mut_args(|arg| arg.help_heading(None::<&str>)) } else { verb }
}

/// One verb of `runner task`, documented.
pub(crate) fn task_verb(verb: Command) -> Command {
    sized(queue_help::task_verb(verb))
}

/// `runner worker` with every verb, documented.
pub(crate) fn worker() -> Command {
    sized(queue_help::worker(cli::worker::definition()))
}

/// One verb of `runner worker`, documented.
pub(crate) fn worker_verb(verb: Command) -> Command {
    sized(queue_help::worker_verb(verb))
}

/// A verb with every operation below it documented.
pub(crate) fn with_documented_operations(verb: Command) -> Command {
    sized(documented_operations(verb))
}

/// What `timeout --help` prints.
pub(crate) fn timeout() -> String {
    let mut verb = sized(documented_timeout(cli::timeout::definition()));
    shown(&verb.render_long_help(), false)
}

/// Help as the stream that it goes to can take it: with styles on a terminal, unless the user wants none.
pub(crate) fn shown(text: &clap::builder::StyledStr, to_stderr: bool) -> String {
    let terminal = if to_stderr { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if terminal && !plain { text.ansi().to_string() } else { text.to_string() }
}

fn documented_exec(verb: Command) -> Command {
    verb.long_about(EXEC_ABOUT)
        .after_long_help(format!("{EXEC_EXAMPLES}\n{}\n{EXEC_ANSWER}", exit_codes(exit_code::TABLE)))
}

fn documented_op(verb: Command) -> Command {
    documented_operations(verb)
        .long_about(OP_ABOUT)
        .after_long_help(format!("{OP_EXAMPLES}\n{}\n{EXEC_ANSWER}", exit_codes(exit_code::TABLE)))
}

fn documented_operations(verb: Command) -> Command {
    verb.mut_subcommands(|operation| match ops::by_name(operation.get_name()) {
        Some(entry) => {
            let lines: String = entry.examples.iter().map(|line| format!("  runner op {line}\n")).collect();
            operation.long_about(entry.long_about).after_long_help(format!("Examples:\n{lines}"))
        }
        None => operation,
    })
}

fn documented_batch(verb: Command) -> Command {
    let codes = exit_codes(exit_code::BATCH_TABLE);
    verb.long_about(BATCH_ABOUT).after_long_help(format!("{BATCH_EXAMPLES}\n{BATCH_REST}\n{codes}"))
}

fn documented_notify(verb: Command) -> Command {
    verb.long_about(NOTIFY_ABOUT).after_long_help(NOTIFY_REST)
}

fn documented_history(verb: Command) -> Command {
    verb.long_about(HISTORY_ABOUT).after_long_help(HISTORY_REST)
}

fn documented_timeout(verb: Command) -> Command {
    verb.long_about(TIMEOUT_ABOUT).after_long_help(TIMEOUT_REST)
}

fn sized(command: Command) -> Command {
    command.max_term_width(WIDEST)
}

/// The table of exit codes, with long meanings continued below themselves.
pub(super) fn exit_codes(table: &[(&str, &str)]) -> String {
    const INDENT: usize = 17;
    let mut text = String::from("Exit codes:\n");
    for (code, meaning) in table {
        text.push_str(&format!("  {code:<width$}", width = INDENT - 2));
        let mut column = INDENT;
        for (at, word) in meaning.split(' ').enumerate() {
            if at > 0 && column + 1 + word.len() > WIDEST {
                text.push_str(&format!("\n{:INDENT$}", ""));
                column = INDENT;
            } else if at > 0 {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += word.len();
        }
        text.push('\n');
    }
    text
}
