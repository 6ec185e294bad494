//! `runner man`: the man pages, made from the definition of the command line and from what the model knows.
//!
//! Called by `main` and by the test that compares the pages in the repository. The pages hold no date, so that the same
//! program always gives the same text. See man-pages(7) for the order of sections, groff_man(7) for the macros.

use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use crate::app::config;
use crate::error::{Error, Result};
use crate::platform::files;
use crate::platform::folder::Folder;

/// What a job finds in its environment beside its own.
const GIVEN_TO_JOBS: &[(&str, &str)] = &[
    ("RUNNER_JOB_ID", "names the job, and is unlike any other"),
    ("RUNNER_ATTEMPT", "counts the attempts, from 1"),
    ("RUNNER_NOTIFY_SOCKET", "where the job reports progress, values and the need for more time, see runner-notify(1)"),
    (
        "RUNNER_NOTIFY_PATH",
        "the same as a path, for processes of the job in another network namespace; it is there from 50 ms after the start on",
    ),
    ("RUNNER_DEADLINE_UNIX_MS", "when the job will be stopped, in milliseconds since 1970"),
    (
        "RUNNER_DEADLINE_BOOTTIME_NS",
        "the same in nanoseconds on CLOCK_BOOTTIME; a nested runner prefers it while RUNNER_DEADLINE_BOOT_ID is the \
         current boot id",
    ),
    ("RUNNER_DEADLINE_BOOT_ID", "the boot id that this clock belongs to, from /proc/sys/kernel/random/boot_id"),
    ("RUNNER_DEADLINE_OWNER", "who will stop it: process id and start time, with a colon between"),
];

const FILES: &[(&str, &str)] = &[
    (
        "runner.toml",
        "Defaults of a project. It is searched from the working directory upward to the root of the repository, the \
         home directory or a mount.",
    ),
    ("$XDG_CONFIG_HOME/runner/config.toml", "Defaults of a user; below ~/.config where the variable is not set."),
];

const FILES_REST: &str = "Both hold a table [defaults] with any of the keys timeout, idle-timeout, max-timeout, grace, \
    signal, capture-limit and progress, with the values of the options of these names; a table [queue] for tasks, with \
    timeout, max-task-age (how long finished tasks are kept, 7d) and idle-exit (how long a worker stays without work, 5m), \
    each a duration or none; and a table [history] with record (true or false), timeout-floor, timeout-cap and \
    timeout-default, see runner-history(1). An option is stronger than the \
    environment, which is stronger than the file of the project, which is stronger than that of the user.";

const FILES_TRUST: &str = "A configuration file that cannot be read is ignored (HOME may belong to another user, as \
    under su -m). So is one that belongs to another user: its owner, and that of a symbolic link, must be the user, \
    root or, for root under sudo, the user of SUDO_UID. With -v each ignored file is named. A readable file with \
    invalid content is an error.";

const FILES_SHARED: &str = "Paths given in options and operations are opened by the rules of fs.protected_symlinks, \
    fs.protected_fifos and fs.protected_regular in proc_sys_fs(5), whatever their values. In a world-writable sticky \
    directory such as /tmp, a symbolic link is followed only if it belongs to the user or to the owner of the \
    directory; this applies to every component of a path, for reading and writing. A regular file or a FIFO there, or \
    in a group-writable sticky directory, is written to or replaced only under the same condition.";

/// Defines the apostrophe that the parts of a page use.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// One man page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// As in `runner-exec.1`.
    pub file_name: String,
    /// In the language of troff(1).
    pub text: String,
}

/// All pages: the program's own, then one for each verb and operation.
pub fn pages(command: Command) -> Result<Vec<Page>> {
    // An option that short help leaves out would stand in the page without a word about it.
    let shown = |command: Command| command.mut_args(|arg| arg.hide_short_help(false));
    let mut command = shown(command).mut_subcommands(|verb| shown(verb).mut_subcommands(shown));
    // Building gives the verbs their full names.
    command.build();
    let program = command.get_name().to_owned();
    let mut pages = vec![page(&program, command.clone(), true)?];
    for verb in command.get_subcommands() {
        let name = format!("{program}-{}", verb.get_name());
        pages.push(page(&name, verb.clone(), verb.get_name() == "exec")?);
        // Below a verb are the built-in operations.
        for operation in verb.get_subcommands() {
            pages.push(page(&format!("{name}-{}", operation.get_name()), operation.clone(), false)?);
        }
    }
    Ok(pages)
}

/// The text of one page, by a name such as `exec`, `runner-exec` or `runner-exec.1`; the program's own if none is given.
pub fn one(command: Command, name: Option<&str>) -> Result<String> {
    let program = command.get_name().to_owned();
    let wanted = name.unwrap_or(&program);
    let pages = pages(command)?;
    let stem = |page: &Page| page.file_name.trim_end_matches(".1").to_owned();
    let found = pages.iter().find(|page| {
        let stem = stem(page);
        wanted == page.file_name || wanted == stem || stem.strip_prefix(&format!("{program}-")) == Some(wanted)
    });
    found.map(|page| page.text.clone()).ok_or_else(|| Error::Invalid {
        argument: Some("PAGE".to_owned()),
        message: format!("there is no man page '{wanted}'"),
        remediation: format!("Give one of: {}", pages.iter().map(stem).collect::<Vec<_>>().join(", ")),
    })
}

/// Writes all pages into a directory, which is made where it does not exist.
pub fn write(command: Command, directory: &Path) -> Result<()> {
    let help = "Give --dir a directory that you may write to";
    Folder::open_or_make(directory).map_err(Error::path("make the directory", directory, help))?;
    for page in pages(command)? {
        let path = directory.join(&page.file_name);
        files::replace(&path, page.text.as_bytes()).map_err(Error::path("write the man page", &path, help))?;
    }
    Ok(())
}

fn page(name: &str, command: Command, with_configuration: bool) -> Result<Page> {
    let version = env!("CARGO_PKG_VERSION");
    let rest = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let has_verbs = command.get_subcommands().next().is_some();
    let has_options = command.get_arguments().next().is_some();
    let man = Man::new(command);
    let mut roff = Vec::new();
    let rendered = man
        .render_name_section(&mut roff)
        .and_then(|()| man.render_synopsis_section(&mut roff))
        .and_then(|()| man.render_description_section(&mut roff))
        .and_then(|()| if has_options { man.render_options_section(&mut roff) } else { Ok(()) })
        .and_then(|()| if has_verbs { man.render_subcommands_section(&mut roff) } else { Ok(()) });
    rendered.map_err(|error| Error::Internal(format!("failed to write a man page: {error}")))?;
    // Each part repeats what makes an apostrophe plain; once at the head is enough.
    let parts = String::from_utf8_lossy(&roff).replace(APOSTROPHE, "");
    let title = name.to_uppercase().replace('-', "\\-");
    let mut text = format!("{APOSTROPHE}.TH {title} 1 \"\" \"runner {version}\" \"User Commands\"\n{parts}");
    let mut examples = String::new();
    for (heading, body) in sections(&rest) {
        let section = section(heading, &body);
        // By custom, examples come last.
        if heading == "Examples" { examples = section } else { text.push_str(&section) }
    }
    if with_configuration {
        text.push_str(&configuration());
    }
    text.push_str(&examples);
    Ok(Page { file_name: format!("{name}.1"), text })
}

fn configuration() -> String {
    let mut text = String::from(".SH ENVIRONMENT\nRunner obeys these variables, and no other of its name:\n");
    text.extend(config::VARIABLES.iter().map(|(name, meaning)| entry(name, meaning)));
    text.push_str(".PP\nA job gets these:\n");
    text.extend(GIVEN_TO_JOBS.iter().map(|(name, meaning)| entry(name, meaning)));
    text.push_str(".SH FILES\n");
    text.extend(FILES.iter().map(|(name, meaning)| entry(name, meaning)));
    for paragraph in [FILES_REST, FILES_TRUST, FILES_SHARED] {
        text.push_str(&format!(".PP\n{}\n", escaped(paragraph)));
    }
    text
}

/// The sections of a help text: a heading at the margin that ends in a colon, and the indented lines below it.
fn sections(help: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in help.lines().filter(|line| !line.is_empty()) {
        match line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            Some(heading) => sections.push((heading, Vec::new())),
            None => {
                if let Some((_, body)) = sections.last_mut() {
                    body.push(line);
                }
            }
        }
    }
    sections
}

fn section(heading: &str, body: &[&str]) -> String {
    let title = if heading == "Exit codes" { "EXIT STATUS".to_owned() } else { heading.to_uppercase() };
    let mut text = format!(".SH {}\n", quoted(&title));
    if heading == "Examples" {
        text.push_str(".nf\n");
        text.extend(body.iter().map(|line| format!("{}\n", escaped(line.trim_start()))));
        text.push_str(".fi\n");
        return text;
    }
    for line in body {
        // Two columns are a term and its meaning; a line that begins far in goes on with the meaning.
        match line.trim_start().split_once("  ") {
            Some((term, meaning)) if line.len() - line.trim_start().len() < 8 => {
                text.push_str(&entry(term, meaning.trim_start()));
            }
            _ => text.push_str(&format!("{}\n", escaped(line.trim_start()))),
        }
    }
    text
}

fn entry(term: &str, meaning: &str) -> String {
    format!(".TP\n\\fB{}\\fR\n{}\n", escaped(term), escaped(meaning))
}

fn quoted(title: &str) -> String {
    if title.contains(' ') { format!("\"{}\"", escaped(title)) } else { escaped(title) }
}

/// A line of text that troff(1) prints as it is.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    // A line that begins with a point or a quote would be a request.
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}
