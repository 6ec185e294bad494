//! `runner batch`: a stub until the parts are wired.

use crate::app::answer::{self, Request};
use crate::error::Error;
use crate::model::exit_code::Exit;
use crate::model::request::BatchRequest;

/// Runs the batch, and says how to leave.
pub fn run(request: BatchRequest) -> Exit {
    let error = Error::Internal("runner batch is not there yet".to_owned());
    answer::deliver_error(
        &error,
        &crate::model::request::AnswerOptions { report: None, ..request.answer },
        &Request::begin(None),
    );
    Exit::Code(error.exit_code())
}
