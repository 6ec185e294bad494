//! Which format a list has: by the name of its file, else by how it begins.

use std::path::Path;

use crate::batch::source::fault::{Trouble, Wrong};
use crate::batch::source::reading::Input;
use crate::batch::source::records::Format;

/// So much of a list is looked at. What begins with more blanks and comments is taken for JSON lines.
const LOOKED_AT: usize = 4096;

/// The format of the list that stands at its beginning.
pub(super) fn detect(input: &mut Input, path: Option<&Path>) -> Result<Format, Trouble> {
    let extension = path.and_then(Path::extension).and_then(|extension| extension.to_str()).unwrap_or_default();
    let extension = extension.to_ascii_lowercase();
    if extension == "toml" {
        return Ok(Format::Toml);
    }
    let is_json = matches!(extension.as_str(), "json" | "jsonl" | "ndjson");
    // White space says nothing, and the line of what comes next is counted.
    loop {
        let start = input.peek()?;
        let blank = start.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if start.is_empty() || blank < start.len() {
            input.take(blank);
            break;
        }
        input.take(blank);
    }
    let line = input.line();
    let start = input.peek()?;
    let start = &start[..start.len().min(LOOKED_AT)];
    match start.first() {
        None | Some(b'{') => Ok(Format::JsonLines),
        Some(b'[') if is_json || is_array(start) => Ok(Format::JsonArray),
        Some(_) if is_json => Ok(Format::JsonLines),
        Some(b'[' | b'#') => Ok(Format::Toml),
        Some(_) if is_assignment(start) => Ok(Format::Toml),
        Some(_) => {
            let problem = "this is no list of jobs: neither JSON nor TOML begins so";
            let remedy = "Write each job as {\"cmd\": [\"ls\", \"-l\"]}, or make a job of each line with a command, as \
                          in: runner batch --each -a FILE -- gzip {}";
            Err(Wrong::new("", problem, remedy).at(line).into())
        }
    }
}

/// What begins with a bracket is an array of JSON, and no table of TOML.
fn is_array(start: &[u8]) -> bool {
    let inside = start[1..].trim_ascii_start();
    matches!(inside.first(), None | Some(b'{' | b']' | b'"' | b',' | b'-' | b'0'..=b'9'))
}

/// The first line gives something a value, as TOML does.
fn is_assignment(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(at) = line.iter().position(|byte| *byte == b'=') else { return false };
    let name = line[..at].trim_ascii();
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.\"'".contains(byte))
}
