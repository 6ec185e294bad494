//! `runner notify`: sends what a job has to say to the runner above it.
//!
//! It starts no thread and reads no configuration: a job may call it in a loop.

use crate::control::message::Draft;
use crate::control::sender::Sender;
use crate::error::{Error, Result};
use crate::model::request::NotifyRequest;

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
    if let Some(value) = &request.partial {
        draft.partial(value);
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
