//! `runner notify`: sends what a job has to say to the runner above it.
//!
//! It starts no thread and reads no configuration: a job may call it in a loop.

use std::io::Read;

use serde_json::Value;

use crate::control::message::Draft;
use crate::control::sender::Sender;
use crate::error::{Error, Result};
use crate::model::request::{NotifyRequest, PartialSource};
use crate::platform::path_walk;

/// Sends it. Outside of a job there is nobody to tell, and that is an error.
pub fn run(request: &NotifyRequest) -> Result<()> {
    let sender = Sender::of_this_job().ok_or_else(|| Error::Invalid {
        argument: Some("RUNNER_NOTIFY_SOCKET".to_owned()),
        message: "this is no job of runner: RUNNER_NOTIFY_SOCKET is not set".to_owned(),
        remediation: "Call it from a command that runner started, as in: runner exec -c 'runner notify --progress 50%'"
            .to_owned(),
    })?;
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
    sender.send(&draft)
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
