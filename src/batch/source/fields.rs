//! One job of a list: its fields, checked and put together with what holds for all.

use std::ffi::OsString;

use serde_json::Value;

use crate::batch::source::fault::Wrong;
use crate::batch::source::fingerprint::{JobContent, JobIdentity};
use crate::batch::source::log_name;
use crate::batch::source::settings::{Settings, unknown};
use crate::batch::source::spelling::nearest;
use crate::batch::source::values::{self, Read};
use crate::error::Error;
use crate::model::batch::Entry;
use crate::model::job::{Command, Stdin};
use crate::model::secrets::Secrets;
use crate::ops::{self, OPERATIONS, child};

/// Names and values in the order in which they stand there.
pub(super) type Fields = Vec<(String, Value)>;

/// What a job runs, of which there may be one.
#[derive(Default)]
struct Work {
    cmd: Option<Value>,
    shell: Option<Value>,
    op: Option<Value>,
    params: Option<Value>,
}

/// The job that these fields make. `input_is_list`: our standard input holds the list, and no job may have it.
pub(super) fn entry(fields: Fields, settings: &Settings, seq: u64, input_is_list: bool) -> Read<Entry> {
    let own: Fields = fields.iter().filter(|(name, _)| canonical(name.clone()) == "secret-env").cloned().collect();
    entry_of(fields, settings, seq, input_is_list).map_err(|wrong| {
        let mut known = settings.clone();
        for (name, value) in own {
            // An invalid value masks nothing.
            let _ = known.set(&canonical(name), value);
        }
        wrong.masked(&Secrets::of(&known.job.surroundings))
    })
}

fn entry_of(fields: Fields, settings: &Settings, seq: u64, input_is_list: bool) -> Read<Entry> {
    let mut own = settings.clone();
    let mut work = Work::default();
    let (mut id, mut needs) = (None, Vec::new());
    let mut seen: Vec<String> = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let name = canonical(name);
        if seen.contains(&name) {
            return Err(twice(&name));
        }
        match name.as_str() {
            "id" => id = Some(values::id(&name, value)?),
            "needs" => needs = values::ids(&name, value)?,
            "name" => own.job.name = Some(values::filled_text(&name, value, "a text")?),
            "cmd" => work.cmd = Some(value),
            "shell" => work.shell = Some(value),
            "op" => work.op = Some(value),
            "params" => work.params = Some(value),
            _ => {
                if own.set(&name, value)?.is_some() {
                    return Err(unknown(&name, false));
                }
            }
        }
        seen.push(name);
    }
    own.check(|name| seen.iter().any(|own| own == name))?;
    let Settings { mut job, timeout_share, auto_factor, shell, locks, priority, identity } = own;
    job.command = work.command(shell)?;
    if input_is_list && job.surroundings.stdin == Stdin::Inherit {
        let problem = "the job cannot inherit standard input, which holds the list";
        return Err(Wrong::new("stdin", problem, "Give stdin null or the name of a file, or the list as a file"));
    }
    let secrets = Secrets::of(&job.surroundings);
    for (field, id) in id.iter().map(|id| ("id", id)).chain(needs.iter().map(|need| ("needs", need))) {
        if !secrets.is_free(id) {
            // It names files and is referred to by other jobs, so it cannot be masked.
            let problem = "the id contains the value of a secret variable of the job, and ids are not masked";
            return Err(Wrong::new(field, problem, "Use an id without the secret"));
        }
    }
    if let Some(log) = &job.log {
        job.log = Some(log_name::expanded(log, seq, id.as_deref())?);
    }
    let label = id.clone().unwrap_or_else(|| seq.to_string());
    let fingerprint = identity.of(&job, id.as_deref(), JobContent::Command);
    let legacy_fingerprint = Some(JobIdentity::legacy(&job, id.as_deref()));
    let subject = None;
    Ok(Entry {
        seq,
        id,
        needs,
        locks,
        priority,
        job,
        timeout_share,
        auto_factor,
        subject,
        label,
        fingerprint,
        legacy_fingerprint,
        line: None,
    })
}

/// Takes what holds for every job of the list.
pub(super) fn set_defaults(settings: &mut Settings, fields: Fields) -> Read<()> {
    let mut seen: Vec<String> = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let name = canonical(name);
        if seen.contains(&name) {
            return Err(twice(&name));
        }
        if settings.set(&name, value)?.is_some() {
            return Err(unknown(&name, true));
        }
        seen.push(name);
    }
    settings.check(|name| seen.iter().any(|own| own == name))?;
    if let Some(log) = &settings.job.log
        && log_name::check_default(log).is_err()
    {
        let problem = format!("{} would be the same file for every job", log.display());
        return Err(Wrong::new("log", problem, "Put {#}, the number of the job, or {id} into the name"));
    }
    Ok(())
}

/// A name as the command line has it.
fn canonical(name: String) -> String {
    if name.contains('_') { name.replace('_', "-") } else { name }
}

fn twice(name: &str) -> Wrong {
    Wrong::new(name, "the field is there twice", "Leave one of them out")
}

impl Work {
    fn command(self, shell: OsString) -> Read<Command> {
        if self.op.is_none() && self.params.is_some() {
            return Err(Wrong::new("params", "they are for an operation, and there is none", "Give op, too"));
        }
        match (self.cmd, self.shell, self.op) {
            (Some(cmd), None, None) => argv(cmd).map(Command::Argv),
            (None, Some(line), None) => {
                let line = values::filled_text("shell", line, "one line for a shell, as a text")?;
                Ok(Command::Shell { shell, line: line.into() })
            }
            (None, None, Some(op)) => operation(op, self.params),
            (None, None, None) => {
                let remedy = "Give cmd, as in \"cmd\": [\"ls\", \"-l\"], or shell with a line for a shell, or op";
                Err(Wrong::new("", "nothing says what the job runs", remedy))
            }
            (cmd, line, _) => {
                let (one, other) = match (cmd.is_some(), line.is_some()) {
                    (true, true) => ("cmd", "shell"),
                    (true, false) => ("cmd", "op"),
                    _ => ("shell", "op"),
                };
                let problem = format!("the job has {one} already, and runs one thing");
                Err(Wrong::new(other, problem, format!("Leave {one} or {other} out, or make two jobs of it")))
            }
        }
    }
}

fn argv(cmd: Value) -> Read<Vec<OsString>> {
    const WANTED: &str = "a list of words such as [\"ls\", \"-l\"]";
    let words = match cmd {
        Value::Array(words) => words,
        Value::String(text) => {
            let problem = "the value is a text and no list of words";
            let line = Value::String(text);
            let remedy = format!("Give cmd {WANTED}; for a line for a shell write \"shell\": {line}");
            return Err(Wrong::new("cmd", problem, remedy));
        }
        other => return Err(values::wrong_kind("cmd", &other, WANTED)),
    };
    if words.is_empty() {
        return Err(Wrong::new("cmd", "the list is empty", format!("Give cmd {WANTED}")));
    }
    let mut argv = Vec::with_capacity(words.len());
    for (at, word) in words.into_iter().enumerate() {
        let word = match word {
            Value::String(word) if !word.contains('\0') => word,
            other => {
                let wanted = "a text; numbers stand in quotes, too";
                values::text(&format!("cmd[{at}]"), other, wanted)?
            }
        };
        if at == 0 && word.is_empty() {
            return Err(Wrong::new("cmd[0]", "the name of the program is empty", "Name the program first"));
        }
        argv.push(word.into());
    }
    Ok(argv)
}

fn operation(op: Value, params: Option<Value>) -> Read<Command> {
    let name = values::text("op", op, "the name of an operation, as a text")?;
    let Some(entry) = ops::by_name(&name) else {
        let remedy = match nearest(&name, OPERATIONS.iter().map(|entry| entry.name)) {
            Some(meant) => format!("Did you mean {meant}?"),
            None => "'runner op --list' names those there are".to_owned(),
        };
        return Err(Wrong::new("op", format!("there is no operation '{name}'"), remedy));
    };
    let params = params.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    if !params.is_object() {
        return Err(values::wrong_kind("params", &params, "a table, as in {\"duration\": \"1s\"}"));
    }
    match entry.parameters_from_json(params.clone()) {
        // The state of a file is what another job may bring about before; the operation looks again when it runs.
        Ok(_) | Err(Error::Path { .. }) => {}
        Err(error) => {
            let remedy = error.remediation();
            let field = match &error {
                Error::Invalid { argument: Some(argument), .. } if argument != entry.name => {
                    format!("params.{}", argument.trim_start_matches('-'))
                }
                _ => "params".to_owned(),
            };
            return Err(Wrong::new(field, error.to_string(), remedy));
        }
    }
    // The parameters as they were given, so that the same list makes the same job in a later version, too.
    Ok(child::command(entry, params))
}
