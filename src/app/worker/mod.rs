//! `runner worker`: the process that runs the tasks of the queue, and what is asked of it.

use crate::app::answer::{self, Request};
use crate::error::Error;
use crate::model::exit_code::Exit;
use crate::model::task_request::WorkerRequest;

/// Does what was asked for, answers, and says how to leave.
pub fn run(request: WorkerRequest) -> Exit {
    let error = Error::Internal("the queue is not there yet".to_owned());
    answer::deliver_error(&error, &request.answer, &Request::begin(None));
    Exit::Code(1)
}
