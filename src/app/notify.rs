//! `runner notify`: sends what a job has to say to the runner above it.
//!
//! It starts no thread and reads no configuration: a job may call it in a loop.

use std::io::Read;

use serde_json::Value;

use crate::app::answer::{self, Request};
use crate::control::message::Draft;
use crate::control::sender::Sender;
use crate::error::{Error, Result};
use crate::model::exit_code::{self, Exit};
use crate::model::request::{AnswerOptions, NotifyRequest, PartialSource};
use crate::platform::path_walk;

/// Sends it, and waits until the runner of this job has taken it: what that refuses is an error. Outside of a job there is
/// nothing to send to, and that is an error, too, unless it is expected.
pub fn run(request: &NotifyRequest) -> Result<Exit> {
    let Some(sender) = Sender::of_this_job() else {
        if request.if_any {
            return Ok(Exit::Code(0));
        }
        return Err(Error::Invalid {
            argument: Some("RUNNER_NOTIFY_SOCKET".to_owned()),
            message: "this is no job of runner: RUNNER_NOTIFY_SOCKET is not set".to_owned(),
            remediation: "Call it from a command that runner started, as in: runner exec -c 'runner notify --progress \
                          50%'; in a script that also runs without runner, give --if-any"
                .to_owned(),
        });
    };
    let mut draft = Draft::default();
    if let Some(progress) = request.progress {
        draft.progress(&progress.fraction().to_string());
    }
    if let Some(message) = &request.message {
        draft.status(message);
    }
    if let Some(source) = &request.partial {
        draft.partial(&value(source)?);
    }
    if let Some(from_now) = request.extend {
        draft.extend(from_now);
    }
    if request.alive {
        draft.alive();
    }
    if request.stopping {
        draft.stopping();
    }
    match sender.ask(draft)? {
        Some(reply) if reply.refused.is_empty() => Ok(Exit::Code(0)),
        Some(reply) => {
            let refusal = Error::Conflict {
                message: format!("the runner of this job refused the message: {}", reply.refused.join("; ")),
                remediation: "Nothing of what was refused holds; see runner-notify(1) and the --max-timeout of the job"
                    .to_owned(),
            };
            answer::deliver_error(&refusal, &AnswerOptions::default(), &Request::begin(None));
            Ok(Exit::Code(exit_code::REFUSED))
        }
        // Progress is sent, and need not be taken at once; whether there is more time must be known.
        None if request.extend.is_none() => Ok(Exit::Code(0)),
        None => Err(Error::Unavailable {
            message: "the runner of this job did not say whether it gives more time".to_owned(),
            remediation: "The job may be over, or its runner stopped or of an older version".to_owned(),
        }),
    }
}

/// The value itself. What is not JSON is an error, and nothing is sent.
fn value(source: &PartialSource) -> Result<Value> {
    let wrong = |error: serde_json::Error| Error::Invalid {
        argument: Some("--partial".to_owned()),
        message: format!("--partial: it is not JSON ({error})"),
        remediation: "Give a value such as '{\"done\": 17}'".to_owned(),
    };
    match source {
        PartialSource::Value(value) => Ok(value.clone()),
        PartialSource::File(path) => {
            let help = "Check --partial: the file behind the @ must exist and be readable";
            let mut text = Vec::new();
            let read = path_walk::open_to_read(path).and_then(|mut file| file.read_to_end(&mut text));
            read.map_err(Error::path("read", path, help))?;
            serde_json::from_slice(&text).map_err(wrong)
        }
        PartialSource::Stdin => {
            let text = std::io::read_to_string(std::io::stdin()).map_err(Error::system("read standard input"))?;
            serde_json::from_str(&text).map_err(wrong)
        }
    }
}
