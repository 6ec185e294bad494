//! What help teaches of the queue: examples and exit codes of `runner task`, `runner worker` and their verbs.
//!
//! Called by `help`, under the same rules: never on the way to a job, and headings at the margin that end in a colon.

use clap::Command;

use crate::cli::help::exit_codes;
use crate::model::exit_code;

const TASK_ABOUT: &str = "\
Keep jobs in a queue, and have them run in the background.

A task is a job that is stored: it outlives this shell, a crash and a restart of the machine. Its id is printed at \
once; its state, output and answer can be queried until it is removed. submit, retry, resume and wait start a worker \
if none runs; it exits after being idle for a while. Verbs that only read start none.

The queue is stored in the state directory, which RUNNER_STATE_DIR can set. It is used only while the directory and \
its files belong to the user, other users cannot write to them, and none of them is a symbolic link.";

const TASK_EXAMPLES: &str = "\
Examples:
  id=$(runner task submit --timeout 1h -- ./render scene.blend)
  runner task list --status running,pending
  runner task logs -f \"$id\"
  runner task wait \"$id\"
  runner task submit --after \"$id\" --at 22:30 -- ./upload
  runner task cancel \"$id\"
";

const SUBMIT_ABOUT: &str = "\
Put a job into the queue, and print its id.

The job is on the disk before its id is printed. It gets the present directory, the usual harmless variables, and the limits \
that it would have under exec; its output is kept. Every option stands before the command.";

const SUBMIT_EXAMPLES: &str = "\
Examples:
  runner task submit -- make test
  runner task submit -t 10m --priority high -c 'sort big | uniq -c > counts'
  runner task submit --group net op fetch https://example.org/a.iso -o a.iso
  runner task submit --after \"$build\" --on-done 'mail -s done me' -- ./deploy
  runner task submit --at 22:30 --env API_TOKEN -- ./backup
  runner task submit --retries 2 --from jobs.jsonl
  runner task submit --wait --json -- ./check
";

const SUBMIT_REST: &str = "\
The environment:
  A task gets PATH, HOME, LANG, LC_*, TMPDIR, USER and RUNNER_STATE_DIR as
  they are here, and what --env sets or passes on. With --inherit-env it gets all that is set
  here, and with --env-clear only what --env says.

Limits of the system:
  Where descriptors, processes or memory are short, a task waits to be started
  and its message in 'runner task status' says so. Where no other task runs, it
  fails after 10 minutes.
";

const WORKER_ABOUT: &str = "\
Run the tasks of the queue, or see to the process that does.

There is at most one worker for each state directory. 'runner task submit', retry, resume and wait start it in the \
background; it exits after being idle for a while. Such a worker runs with the default limits, nice value, CPU \
affinity and umask, whatever the process that started it had; 'runner worker run' keeps what it inherits.";

const WORKER_EXAMPLES: &str = "\
Examples:
  runner worker status
  runner worker scale 8
  runner worker scale 2 --group net
  runner worker stop
";

/// `runner task` with every verb below it.
pub(super) fn task(verb: Command) -> Command {
    verb.mut_subcommands(task_verb)
        .long_about(TASK_ABOUT)
        .after_long_help(format!("{TASK_EXAMPLES}\n{}", exit_codes(exit_code::TASK_TABLE)))
}

/// One of its verbs.
pub(super) fn task_verb(verb: Command) -> Command {
    let (about, lines): (&str, &[&str]) = match verb.get_name() {
        "submit" => {
            let codes = exit_codes(exit_code::TASK_TABLE);
            let waiting = "  with --wait    as for 'runner task wait'\n";
            return crate::cli::task::submit::described(verb)
                .long_about(SUBMIT_ABOUT)
                .after_long_help(format!("{SUBMIT_EXAMPLES}\n{SUBMIT_REST}\n{codes}{waiting}"));
        }
        "wait" => {
            let examples = examples(&["task wait \"$id\"", "task wait --for 10m \"$one\" \"$other\" || echo not yet"]);
            return verb
                .long_about(
                    "Wait until tasks are over, and leave as they did.\n\nA bar shows each that runs. With --for the wait \
                     ends in any case; a task that is not over then is pending, and goes on.",
                )
                .after_long_help(format!("{examples}\n{}", exit_codes(exit_code::WAIT_TABLE)));
        }
        "list" => (
            "List tasks, the newest first.\n\nIds are shortened as far as the tasks of the list can still be told apart.",
            &["task list", "task list --status failed --limit 5", "task list --json | jq '.data.tasks[].task_id'"],
        ),
        "status" => (
            "Tell all about a task: how it stands, what it has so far, and what came of it.",
            &["task status \"$id\"", "task status --json \"$id\" | jq .data.progress"],
        ),
        "logs" => (
            "Print the output of a task: every byte of both streams, in the order in which they came.\n\nThe output of all \
             attempts is there. With --follow it goes on until the task is over.",
            &["task logs \"$id\"", "task logs -f \"$id\"", "task logs --stderr \"$id\""],
        ),
        "cancel" => (
            "Stop tasks that run, and take those that wait out of the queue.\n\nA running one is stopped as by its timeout: \
             stop signal, grace period, KILL. One that is over already is a CONFLICT, which names its status.",
            &["task cancel \"$id\""],
        ),
        "extend" => (
            "Give a running task more time.\n\nIts deadline moves by so much, never past its --max-timeout. The answer \
             tells of every extension whether it was granted.",
            &["task extend \"$id\" +30m"],
        ),
        "retry" => (
            "Queue tasks again that are over.\n\nThey keep their ids, and run anew from the start.",
            &["task retry \"$id\""],
        ),
        "priority" => (
            "Give a task that waits another priority.\n\nWithin one priority the older task comes first.",
            &["task priority \"$id\" critical"],
        ),
        "pause" => (
            "Begin no more tasks, of one group or of all, until 'runner task resume'.\n\nThose that run go on.",
            &["task pause", "task pause --group net"],
        ),
        "resume" => {
            ("Begin tasks again after a pause, of one group or of all.", &["task resume", "task resume --group net"])
        }
        "stats" => (
            "Print figures about the queue: how many tasks stand how, how long they wait and run, how many ran out of time.",
            &["task stats", "task stats --json | jq .data.run_seconds.p95"],
        ),
        _ => (
            "Remove finished tasks with their logs, and say how many.\n\nThe worker does it by itself for those older than \
             max-task-age of the configuration.",
            &["task clean", "task clean --older-than 7d --status completed"],
        ),
    };
    let codes = exit_codes(exit_code::TASK_TABLE);
    verb.long_about(about.to_owned()).after_long_help(format!("{}\n{codes}", examples(lines)))
}

/// `runner worker` with every verb below it.
pub(super) fn worker(verb: Command) -> Command {
    verb.mut_subcommands(worker_verb)
        .long_about(WORKER_ABOUT)
        .after_long_help(format!("{WORKER_EXAMPLES}\n{}", exit_codes(exit_code::TASK_TABLE)))
}

/// One of its verbs.
pub(super) fn worker_verb(verb: Command) -> Command {
    let (about, lines): (&str, &[&str]) = match verb.get_name() {
        "run" => (
            "Be the worker: run the tasks of the queue, in the foreground.\n\nWhere a worker runs already, this is a CONFLICT.",
            &["worker run", "worker run --idle-exit none"],
        ),
        "status" => (
            "Tell whether a worker runs, since when, and what its slots and groups do.\n\nRestrictions that it \
             inherited and may not lift, such as a lowered hard limit (ulimit -H), are listed. A worker started \
             without them takes over.",
            &["worker status", "worker status --json | jq .data.pid"],
        ),
        "scale" => (
            "Say how many tasks may run at once: of a group, or of all that have no slots of their own.\n\nWhere fewer are \
             allowed than run, those go on and no new ones begin.",
            &["worker scale 8", "worker scale 1 --group net", "worker scale shared --group net"],
        ),
        "stop" => (
            "Stop the worker once the running tasks are over, or with --now at once.\n\nTasks that wait stay in the queue. \
             This works with a store of any version, so that a worker can be stopped before or after an upgrade.",
            &["worker stop", "worker stop --now"],
        ),
        _ => (
            "Print a user unit for systemd, which keeps a worker running.",
            &["worker unit > ~/.config/systemd/user/runner.service"],
        ),
    };
    let codes = exit_codes(exit_code::TASK_TABLE);
    verb.long_about(about.to_owned()).after_long_help(format!("{}\n{codes}", examples(lines)))
}

fn examples(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("  runner {line}\n")).collect();
    format!("Examples:\n{lines}")
}
