//! Options of a batch that make no sense together: each mistake with the option that is wrong and what to do.
//!
//! Called by the parser once the options are read. It reads no defaults and no job list, and compares files only by
//! path.

use std::ffi::OsStr;
use std::path::Path;

use crate::app::config::Timeout;
use crate::cli::batch::BatchOptions;
use crate::cli::batch_values::BatchTimeout;
use crate::error::{Error, Result};
use crate::model::job::Stdin;
use crate::model::request::ItemInput;

const ITEMS: &str = "--each for the lines of standard input, -a FILE, or ::: ITEM...";

/// Refuses what cannot be meant.
pub(crate) fn check(options: &BatchOptions) -> Result<()> {
    jobs(options)?;
    items(options)?;
    stdin(options)?;
    output(options)?;
    stopping(options)?;
    files(options)
}

/// What there is to run: a list, or a command with items.
fn jobs(options: &BatchOptions) -> Result<()> {
    let has_command = !options.command.is_empty();
    let line = options.items.line.is_some();
    if options.items.shell.is_some() && !line && options.has_items() {
        return refuse(
            "--shell",
            "--shell goes with -c LINE, and a command runs without a shell",
            "Leave --shell out, or give -c 'LINE' in place of the command",
        );
    }
    if options.has_items() {
        if let Some(list) = &options.list {
            return refuse(
                "FILE",
                &format!("'{}' would be a job list, and {} makes jobs of items", list.display(), asked_by(options)),
                "Leave one of them out; a command stands behind all options, as in: runner batch --each -- gzip -9",
            );
        }
        return match (has_command, line) {
            (true, true) => refuse(
                "-c",
                "both a line for the shell (-c) and a command were given",
                "Give one of them; words behind -c LINE do not become part of the line, so quote it as a whole",
            ),
            (false, false) => refuse(
                "COMMAND",
                &format!("{} gives items, and no command to run for them", asked_by(options)),
                "Name it after the options, as in: runner batch --each -- gzip -9, or: runner batch -- gzip -9 ::: *.log",
            ),
            _ => Ok(()),
        };
    }
    if line {
        return refuse(
            "-c",
            "-c LINE is run for items, and none were named",
            &format!("Name them by {ITEMS}; one line alone is run by: runner exec -c LINE"),
        );
    }
    if has_command {
        return refuse(
            "COMMAND",
            "a command is run for items, and none were named",
            &format!("Name them by {ITEMS}; one command alone is run by: runner exec; a job list stands before '--'"),
        );
    }
    Ok(())
}

/// How items become jobs.
fn items(options: &BatchOptions) -> Result<()> {
    let asked = &options.items;
    if !options.has_items() {
        let given = [
            ("--link", asked.link),
            ("--null", asked.null),
            ("--max-args", asked.max_args.is_some()),
            ("--replace", asked.replacement.is_some()),
        ];
        return match given.iter().find(|(_, given)| *given) {
            Some((name, _)) => refuse(
                name,
                &format!("{name} is about items, and a job list has none"),
                &format!("Leave it out, or name items by {ITEMS}"),
            ),
            None => Ok(()),
        };
    }
    let inputs = options.inputs();
    if asked.link && inputs.len() < 2 {
        return refuse(
            "--link",
            "--link pairs the items of several inputs, and there is one",
            "Leave it out, or give another input, as in: ::: a b ::: c d",
        );
    }
    if asked.null && inputs.iter().all(|input| matches!(input, ItemInput::Words(_))) {
        return refuse(
            "--null",
            "--null says where items of standard input and of files end, and all items stand on the command line",
            "Leave it out",
        );
    }
    // A list may give its jobs shares of the median, and so a floor is of use without one here.
    let share = matches!(options.time.timeout, Some(BatchTimeout::Share(_) | BatchTimeout::Plain(Timeout::Auto(_))));
    if options.time.timeout_floor.is_some() && !share {
        return refuse(
            "--timeout-floor",
            "--timeout-floor is for timeouts that are a share of the median, and none is",
            "Leave it out, or give a share, as in: --timeout 300% --timeout-floor 10s",
        );
    }
    Ok(())
}

/// Who reads standard input: one at most.
fn stdin(options: &BatchOptions) -> Result<()> {
    if options.inputs().iter().filter(|input| matches!(input, ItemInput::Stdin)).count() > 1 {
        return refuse(
            "--arg-file",
            "standard input can be read once, and -a - stands twice",
            "Write one of them to a file, and name that",
        );
    }
    if options.place.stdin == Some(Stdin::Inherit) && options.reads_stdin() {
        let what = if options.has_items() { "items are" } else { "the job list is" };
        return refuse(
            "--stdin",
            &format!("{what} read from standard input, and with --stdin inherit the jobs would read it, too"),
            "Leave --stdin out, give it a FILE, or take what to run from a file",
        );
    }
    Ok(())
}

/// The forms of output that exclude each other.
fn output(options: &BatchOptions) -> Result<()> {
    let output = &options.output;
    let keep_order = ("--keep-order", output.keep_order);
    let line_buffer = ("--line-buffer", output.line_buffer);
    let tag = ("--tag", output.tag);
    let ungroup = ("--ungroup", output.ungroup);
    let json = ("--json", output.json);
    let quiet = ("--quiet", output.quiet && !output.json);
    let verbose = ("--verbose", output.verbose > 0);
    for ((name, given), (other, other_given), why, fix) in [
        (line_buffer, ungroup, "one prints whole lines, the other bytes as they come", "Leave one of them out"),
        (
            keep_order,
            ungroup,
            "what is printed as it comes has no order",
            "Leave --ungroup out to have each job's output as one, in order",
        ),
        (
            keep_order,
            line_buffer,
            "lines that are printed as they come have no order",
            "Leave --line-buffer out to have each job's output as one, in order",
        ),
        (
            tag,
            ungroup,
            "bytes as they come have no lines to put a tag before",
            "Give --line-buffer in place of --ungroup",
        ),
        (tag, json, "an answer says itself whose it is", "Leave --tag out; metadata.name and metadata.job_id tell"),
        (line_buffer, json, "an answer comes when its job is over", "Leave --line-buffer out"),
        (ungroup, json, "the answers stand in place of the outputs", "Leave --ungroup out"),
        (keep_order, quiet, "nothing is printed that could be in order", "Leave one of them out"),
        (line_buffer, quiet, "no lines are printed", "Leave one of them out"),
        (tag, quiet, "no lines are printed", "Leave one of them out"),
        (ungroup, quiet, "nothing is printed", "Leave one of them out"),
        (("--quiet", output.quiet), verbose, "one says less and one says more", "Leave one of them out"),
    ] {
        if given && other_given {
            return refuse(name, &format!("{name} and {other} cannot be used together: {why}"), fix);
        }
    }
    for (name, path) in [("--log", &output.log), ("--report", &output.report)] {
        let Some(path) = path else { continue };
        let text = path.as_os_str().as_encoded_bytes();
        let has = |mark: &[u8]| text.windows(mark.len()).any(|window| window == mark);
        if has(b"{id}") && options.has_items() {
            return refuse(
                name,
                &format!("{name} '{}' holds {{id}}, and jobs made of items have none", path.display()),
                "Give {#} in its place, the number of the job",
            );
        }
        if !has(b"{#}") && !has(b"{id}") {
            let marks = if options.has_items() { "{#}" } else { "{#} or {id}" };
            return refuse(
                name,
                &format!("{name} '{}' is one file, and each job would write it anew", path.display()),
                &format!("Put {marks} into the name, as in: {name} {}", with_mark(path)),
            );
        }
    }
    Ok(())
}

/// `x.log` becomes `x-{#}.log`.
fn with_mark(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{{#}}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{{#}}"),
    };
    path.with_file_name(name).display().to_string()
}

/// When it ends early, and how it is gone on with.
fn stopping(options: &BatchOptions) -> Result<()> {
    let asked = &options.stopping;
    if let (Some(_), Some(word)) = (asked.fail_fast, options.list.as_deref().and_then(Path::to_str))
        && ["soft", "now"].contains(&word)
    {
        return refuse(
            "--fail-fast",
            &format!("'{word}' stands behind --fail-fast as a word of its own, and would be a job list"),
            &format!("Write --fail-fast={word}, or ./{word} for a list of that name"),
        );
    }
    if asked.fail_fast.is_some() && asked.max_failures.is_some() {
        return refuse(
            "--max-failures",
            "--fail-fast ends the batch at the first failure, and --max-failures would have more of them",
            "Leave one of them out",
        );
    }
    if asked.resume_only.is_some() && asked.resume.is_none() {
        return refuse(
            "--resume-only",
            "--resume-only chooses among the jobs of an earlier run, and none was named",
            "Give its journal too, as in: --resume batch.journal --resume-only failed",
        );
    }
    if asked.journal_sync.is_some() && asked.journal.is_none() && asked.resume.is_none() {
        return refuse(
            "--journal-sync",
            "--journal-sync says how the journal is written, and there is none",
            "Give --journal FILE too, or leave it out",
        );
    }
    match (&asked.journal, &asked.resume) {
        // The same file twice is how a script says: go on where there is something to go on with.
        (Some(journal), Some(resume)) if !is_same_file(journal, resume) => refuse(
            "--journal",
            &format!(
                "--resume goes on with its journal '{}', and --journal names '{}'",
                resume.display(),
                journal.display()
            ),
            "Leave --journal out",
        ),
        _ => Ok(()),
    }
}

/// True if both paths name the same file, even one that does not exist yet.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        path.canonicalize().ok().or_else(|| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)))
    };
    one == other || resolved(one).is_some_and(|path| Some(path) == resolved(other))
}

/// No file is written for two purposes, or read and written over.
fn files(options: &BatchOptions) -> Result<()> {
    let arg_file = options.items.arg_file.iter().find_map(|input| match input {
        ItemInput::File(path) => Some(path.as_path()),
        _ => None,
    });
    let stdin = match &options.place.stdin {
        Some(Stdin::File(path)) => Some(path.as_path()),
        _ => None,
    };
    let stopping = &options.stopping;
    let named: Vec<(&str, &Path)> = [
        ("the job list", options.list.as_deref()),
        ("--arg-file", arg_file),
        ("--stdin", stdin),
        ("--journal", stopping.journal.as_deref().filter(|_| stopping.resume.is_none())),
        ("--resume", stopping.resume.as_deref()),
        ("--results", options.records.results.as_deref()),
        ("--junit", options.records.junit.as_deref()),
        ("--joblog", options.records.joblog.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, path)| Some((name, path?)))
    // A device, a pipe or a descriptor can take more than one.
    .filter(|(_, path)| !path.starts_with("/dev") && !path.starts_with("/proc") && path.as_os_str() != OsStr::new("-"))
    .collect();
    for (at, (name, path)) in named.iter().enumerate() {
        let Some((first, _)) = named[..at].iter().find(|(_, earlier)| earlier == path) else { continue };
        let both_read = !name.starts_with("--j") && !name.starts_with("--re");
        if !both_read {
            return refuse(
                name,
                &format!("{name} names '{}', which is {} too", path.display(), owner(first)),
                &format!("Give {name} a file of its own"),
            );
        }
    }
    Ok(())
}

fn owner(name: &str) -> String {
    if name.starts_with('-') { format!("that of {name}") } else { name.to_owned() }
}

/// What says that jobs are made of items, as the user wrote it.
fn asked_by(options: &BatchOptions) -> &'static str {
    match () {
        () if options.items.each => "--each",
        () if !options.items.arg_file.is_empty() => "-a",
        () => "':::'",
    }
}

fn refuse(argument: &str, message: &str, remediation: &str) -> Result<()> {
    Err(Error::Invalid {
        argument: Some(argument.to_owned()),
        message: message.to_owned(),
        remediation: remediation.to_owned(),
    })
}
