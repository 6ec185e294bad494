//! The child process that runs an operation: runner executes itself with the name of the operation as an argument and
//! passes the parameters in a sealed memory file; the child answers through the job's socket.
//!
//! The operation has a thread of its own; the main thread waits for its end or for the order to stop, and ends the
//! process in time even where the operation hangs.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::control::message::Draft;
use crate::control::sender::Sender;
use crate::error::{Error, Result};
use crate::model::envelope::ErrorCode;
use crate::model::exit_code::{self, Exit};
use crate::model::job::Command;
use crate::model::outcome::OperationFailure;
use crate::model::signal::Signal;
use crate::ops::context::{Cancel, Context, ScratchList};
use crate::ops::{Entry, Failure, Prepared, by_name};
use crate::platform::signals::{self, Arrivals};
use crate::platform::{datagrams, process};

/// The verb by which runner calls itself. It is not for people.
pub const VERB: &str = "__operation";
/// Words of the command line that stay visible in ps(1): program, verb and name of the operation.
const READABLE_WORDS: usize = 3;
/// What the operation itself has for its clean-up, after the order to stop.
const CLEAN_UP: Duration = Duration::from_millis(70);
/// How often the main thread looks for the operation's end.
const LOOK: Duration = Duration::from_millis(20);

/// How much of a message is kept where the whole cannot be sent.
const MESSAGE_LIMIT: usize = 1000;

/// The orders to stop.
const STOPS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];

/// The command that runs this operation.
pub fn command(entry: &Entry, parameters: Value) -> Command {
    let redacted = entry.redacted(parameters.clone());
    let argv = vec![process::own_program(), VERB.into(), entry.name.into()];
    Command::Operation { name: entry.name, parameters, redacted, argv }
}

/// Runs the operation that these arguments name, and says how to leave.
pub fn run(arguments: &[OsString], time_left: Option<Duration>) -> Exit {
    // The number of the descriptor is of no use in ps(1).
    process::hide_arguments(READABLE_WORDS);
    match prepared(arguments).and_then(|prepared| carry_out(prepared, time_left)) {
        Ok(exit) => exit,
        // Runner has read the parameters before, so this is between two versions of it.
        Err(error) => {
            tell_end(Sender::of_this_job().as_ref(), &Err(error.into()));
            Exit::Code(exit_code::OPERATION_FAILED)
        }
    }
}

fn prepared(arguments: &[OsString]) -> Result<Box<dyn Prepared>> {
    let name = arguments.first().and_then(|name| name.to_str()).unwrap_or_default();
    let entry = by_name(name).ok_or_else(|| Error::Internal(format!("there is no operation '{name}'")))?;
    let number = arguments.get(1).and_then(|number| number.to_str()).and_then(|number| number.parse().ok());
    let text = number.map_or(Err("no descriptor was passed"), datagrams::take_sealed);
    let text = text.map_err(|problem| Error::Internal(format!("cannot read the parameters of {name}: {problem}")))?;
    let value = serde_json::from_slice(&text)
        .map_err(|error| Error::Internal(format!("the parameters of {name} are no JSON: {error}")))?;
    entry.parameters_from_json(value)
}

fn carry_out(operation: Box<dyn Prepared>, time_left: Option<Duration>) -> Result<Exit> {
    signals::set_own_dispositions();
    let sender = Sender::of_this_job();
    let cancel = Cancel::new()?;
    let scratch = ScratchList::default();
    let arrivals = Arrivals::watch(&STOPS)?;
    let mut context = Context::new(sender.clone(), cancel.clone(), scratch.clone(), time_left);
    let (done, ended) = channel();
    let bell = arrivals.doorbell();
    let work = move || {
        let result = catch_unwind(AssertUnwindSafe(|| operation.run(&mut context)));
        let failed = || Failure::new(ErrorCode::InternalError, "the operation failed", "Please report this as a bug");
        let _ = done.send(result.unwrap_or_else(|_| Err(failed())));
        bell.ring();
    };
    let thread = thread::Builder::new().name("operation".to_owned());
    thread.spawn(work).map_err(Error::system("start a thread"))?;
    let mut stop = None;
    let result = loop {
        match ended.try_recv() {
            Ok(result) => break result,
            Err(_) => arrivals.await_next(LOOK),
        }
        bell.clear();
        if let Some(arrival) = arrivals.next() {
            stop = Some(arrival.signal);
            cancel.set();
            match ended.recv_timeout(CLEAN_UP) {
                Ok(result) => break result,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break Err(Failure::Cancelled),
            }
        }
    };
    // An operation that hangs cannot clean up itself.
    for path in scratch.lock().map(|list| list.clone()).unwrap_or_default() {
        let _ = std::fs::remove_file(path);
    }
    tell_end(sender.as_ref(), &result);
    Ok(match (result, stop) {
        (Ok(_), _) => Exit::Code(0),
        (Err(Failure::ReaderGone), _) => Exit::Signal(Signal::PIPE),
        (Err(Failure::Cancelled), stop) => Exit::Signal(stop.unwrap_or(Signal::TERM)),
        (Err(Failure::Failed(_)), _) => Exit::Code(exit_code::OPERATION_FAILED),
    })
}

/// Tells runner the result, or the reason why there is none.
fn tell_end(sender: Option<&Sender>, result: &std::result::Result<Value, Failure>) {
    let Some(sender) = sender else { return };
    let mut draft = Draft::default();
    match result {
        Ok(value) => draft.result(value),
        Err(Failure::Failed(failure)) => draft.failure(failure),
        Err(Failure::Cancelled | Failure::ReaderGone) => return,
    }
    if sender.send(&draft).is_ok() {
        return;
    }
    // One that is too long to be sent must not look as if there had been none.
    let mut shorter = Draft::default();
    match result {
        Err(Failure::Failed(failure)) => shorter.failure(&shortened(failure)),
        _ => shorter.result(&json!({ "omitted": "the result is longer than 1 MiB" })),
    }
    // Where this fails too, runner is gone.
    let _ = sender.send(&shorter);
}

/// The failure without what may be long in it: file names and addresses.
fn shortened(failure: &OperationFailure) -> OperationFailure {
    let end = failure.message.floor_char_boundary(MESSAGE_LIMIT);
    let mut message = failure.message[..end].to_owned();
    if end < failure.message.len() {
        message.push_str("...");
    }
    OperationFailure {
        code: failure.code,
        message,
        remediation: failure.remediation[..failure.remediation.floor_char_boundary(MESSAGE_LIMIT)].to_owned(),
        argument: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_LIMIT, shortened};
    use crate::model::envelope::ErrorCode;
    use crate::ops::Failure;

    #[test]
    fn a_failure_that_cannot_be_sent_is_cut_and_keeps_its_code() {
        let long = "ä".repeat(1 << 20);
        let Failure::Failed(failure) = Failure::new(ErrorCode::NotFound, &long, "Look").about(&long) else {
            panic!("it is one");
        };
        let short = shortened(&failure);
        assert_eq!((short.code, short.remediation.as_str(), short.argument), (ErrorCode::NotFound, "Look", None));
        assert!(short.message.ends_with("ä...") && short.message.len() <= MESSAGE_LIMIT + 3, "{}", short.message.len());
    }
}
