//! Options of `task submit` that make no sense together, or for a job that nobody watches: each mistake with the option
//! that is wrong and what to do.
//!
//! Called by the parser once the options are read. It looks at nothing but them.

use crate::cli::task::submit::SubmitOptions;
use crate::cli::usage;
use crate::error::{Error, Result};
use crate::model::job::Stdin;

/// Refuses what cannot be meant.
pub(crate) fn check(options: &SubmitOptions) -> Result<()> {
    job(options)?;
    surroundings(options)?;
    answer(options)
}

/// What there is to run: one thing of one kind.
fn job(options: &SubmitOptions) -> Result<()> {
    let given = [
        ("--from", "a list (--from)", options.from.is_some()),
        ("-c", "a line for the shell (-c)", options.line.is_some()),
        ("op", "a built-in operation (op)", options.operation.is_some()),
        ("COMMAND", "a command", !options.command.is_empty()),
    ];
    let mut given = given.into_iter().filter(|(_, _, given)| *given);
    let Some((argument, first, _)) = given.next() else { return Err(usage::no_command("runner task submit")) };
    if let Some((_, second, _)) = given.next() {
        let remediation = match argument {
            "-c" => "Give one of them; words behind -c LINE do not become part of the line, so quote it as a whole",
            _ => "Give one of them; the list names all jobs by itself",
        };
        return refuse(argument, &format!("both {first} and {second} were given"), remediation);
    }
    if options.shell.is_some() && !["-c", "--from"].contains(&argument) {
        return refuse(
            "--shell",
            "--shell goes with -c LINE, and nothing else runs through a shell",
            "Leave --shell out, or give -c 'LINE' in place of the command",
        );
    }
    if options.queue.on_done_timeout.is_some() && options.queue.on_done.is_none() {
        return refuse(
            "--on-done-timeout",
            "--on-done-timeout is of a line that is run at the end, and there is none",
            "Give --on-done too, as in: --on-done 'mail -s done me@example.org' --on-done-timeout 30s",
        );
    }
    Ok(())
}

/// What a task cannot have, since it runs elsewhere and later.
fn surroundings(options: &SubmitOptions) -> Result<()> {
    if options.job.place.stdin == Some(Stdin::Inherit) {
        return refuse(
            "--stdin",
            "a task cannot read our standard input: it runs when this command is long over",
            "Leave --stdin out, or name a file, as in: --stdin data.txt",
        );
    }
    if options.pty {
        return refuse(
            "--pty",
            "a task has no terminal, and nobody looks at its output while it is written",
            "Leave --pty out; 'runner task logs -f ID' shows the output as it comes",
        );
    }
    if options.job.attempts.retry_output.is_some() {
        return refuse(
            "--retry-output",
            "--retry-output chooses what passes through, and the output of a task is kept",
            "Leave it out; 'runner task logs ID' prints the output of every attempt",
        );
    }
    let limits = &options.job.limits.other;
    if limits.warn_after.is_some() && limits.warn_signal.is_none() {
        return refuse(
            "--warn-after",
            "a warning goes to standard error, and a task has none that anybody reads",
            "Leave --warn-after out, or warn the job itself, as in: --warn-after 30s --warn-signal USR1",
        );
    }
    Ok(())
}

/// What is of use to somebody who stays until the task is over.
fn answer(options: &SubmitOptions) -> Result<()> {
    if options.queue.wait {
        return match (&options.from, &options.job.output.report) {
            (Some(_), Some(_)) => refuse(
                "--report",
                "--report is one file, and each task of a list has an answer of its own",
                "Leave it out; 'runner task status ID --json' prints the answer of each",
            ),
            _ => Ok(()),
        };
    }
    if options.job.output.report.is_some() {
        return refuse(
            "--report",
            "--report is written when a job is over, and this command does not wait for that",
            "Give --wait too, or leave it out: 'runner task status ID --json' prints the answer",
        );
    }
    if options.job.output.progress.is_some() {
        return refuse(
            "--progress",
            "--progress shows how a job goes on, and this command does not wait for that",
            "Give --wait too, or leave it out: 'runner task wait ID' shows it",
        );
    }
    Ok(())
}

fn refuse(argument: &str, message: &str, remediation: &str) -> Result<()> {
    Err(Error::Invalid {
        argument: Some(argument.to_owned()),
        message: message.to_owned(),
        remediation: remediation.to_owned(),
    })
}
