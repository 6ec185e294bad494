//! How the verbs of the queue answer: data or a text on stdout, errors where all others go, and their exit codes.

use serde::Serialize;

use crate::app::answer::{self, Request};
use crate::error::{Error, Result};
use crate::model::answer::metadata;
use crate::model::envelope::{Envelope, ErrorCode, Status};
use crate::model::exit_code::{Exit, REFUSED};
use crate::model::request::AnswerOptions;
use crate::platform::descriptors;

/// Answers with data: as JSON where that was asked for, and as this text otherwise.
pub(super) fn succeed<D: Serialize>(data: &D, text: &str, options: &AnswerOptions, begun: &Request) -> Result<Exit> {
    answer_with(Status::Success, data, text, options, begun)?;
    Ok(Exit::Code(0))
}

/// The same where it is not over yet.
pub(super) fn answer_with<D: Serialize>(
    status: Status,
    data: &D,
    text: &str,
    options: &AnswerOptions,
    begun: &Request,
) -> Result<()> {
    if !options.json {
        return answer::print(text);
    }
    let envelope = Envelope { status, data: Some(data), error: None, metadata: metadata(&begun.info()) };
    print_json(&envelope)
}

/// One JSON document on stdout: indented at a terminal, else on one line.
pub(super) fn print_json<T: Serialize>(document: &T) -> Result<()> {
    let terminal = descriptors::is_terminal(descriptors::stdout());
    let rendered = if terminal { serde_json::to_string_pretty(document) } else { serde_json::to_string(document) };
    let mut text = rendered.map_err(|error| Error::Internal(format!("failed to write the answer: {error}")))?;
    text.push('\n');
    answer::print(&answer::json_for(descriptors::stdout(), &text))
}

/// Delivers an error, and says how to leave.
pub(super) fn refuse(error: &Error, options: &AnswerOptions, begun: &Request) -> Exit {
    answer::deliver_error(error, options, begun);
    exit_of(error)
}

/// What was asked for makes no sense as things stand, or runner itself failed.
pub(super) fn exit_of(error: &Error) -> Exit {
    match error.kind() {
        ErrorCode::NotFound | ErrorCode::Conflict => Exit::Code(REFUSED),
        _ => Exit::Code(error.exit_code()),
    }
}
