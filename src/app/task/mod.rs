//! `runner task`: tasks of the queue, from their submission to their removal.

use crate::app::answer::{self, Request};
use crate::error::Error;
use crate::model::exit_code::Exit;
use crate::model::task_request::TaskRequest;

/// Does what was asked for, answers, and says how to leave.
pub fn run(request: TaskRequest) -> Exit {
    let error = Error::Internal("the queue is not there yet".to_owned());
    answer::deliver_error(&error, &request.answer, &Request::begin(None));
    Exit::Code(1)
}
