//! The job's end: sends messages to the runner that the job runs under.
//!
//! Called by `runner notify` and by built-in operations. Sending waits while the queue of the receiver is full, so that
//! nothing is lost.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use crate::control::message::{Draft, Reply, VALUE_LIMIT};
use crate::error::{Error, Result, plain};
use crate::platform::{datagrams, process};

/// The variable that names the socket of a job.
pub const NOTIFY_SOCKET: &str = "RUNNER_NOTIFY_SOCKET";

/// The variable that names the socket in the file system, for processes of another network namespace: abstract names are
/// of one namespace alone.
pub const NOTIFY_PATH: &str = "RUNNER_NOTIFY_PATH";

/// The socket in the file system is made a moment after the job's start; that long it is waited for.
const PATH_PATIENCE: Duration = Duration::from_millis(500);
const PATH_PAUSE: Duration = Duration::from_millis(10);
/// How long a reply is waited for. The receiver replies within milliseconds, unless it is stopped.
const REPLY_PATIENCE: Duration = Duration::from_secs(5);

/// Sends to one socket.
#[derive(Clone, Debug)]
pub struct Sender {
    address: OsString,
    path: Option<OsString>,
}

impl Sender {
    /// The sender of the job that we are in. None outside of a job.
    pub fn of_this_job() -> Option<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Some(Self { address: variable(NOTIFY_SOCKET)?, path: variable(NOTIFY_PATH) })
    }

    /// Sends a datagram.
    pub fn send(&self, draft: &Draft) -> Result<()> {
        self.send_with(draft, None)
    }

    /// Sends a datagram and waits until it was taken. None: it was sent, and the receiver does not say what came of it.
    pub fn ask(&self, mut draft: Draft) -> Result<Option<Reply>> {
        draft.ask();
        let (ours, theirs) = datagrams::reply_channel()?;
        self.send_with(&draft, Some(theirs))?;
        let reply = datagrams::await_reply(ours.as_fd(), REPLY_PATIENCE);
        Ok(reply.as_deref().and_then(Reply::read))
    }

    fn send_with(&self, draft: &Draft, channel: Option<OwnedFd>) -> Result<()> {
        let file = match &draft.file {
            Some(value) if value.len() > VALUE_LIMIT => {
                return Err(Error::Invalid {
                    argument: Some("--partial".to_owned()),
                    message: format!("the value has {} bytes, and at most 1 MiB can be sent", value.len()),
                    remediation: "Send a summary, and leave the whole in a file".to_owned(),
                });
            }
            Some(value) => Some(datagrams::sealed_file(value)?),
            None => None,
        };
        // The channel is the last of them.
        let files: Vec<_> = file.iter().chain(&channel).map(AsFd::as_fd).collect();
        let send = |address| datagrams::send(address, draft.bytes(), &files);
        let failed = match (send(&self.address), &self.path) {
            (Ok(()), _) => return Ok(()),
            (Err(error), Some(path)) if is_absent(&error) => {
                let mut waited = Duration::ZERO;
                loop {
                    match send(path) {
                        Ok(()) => return Ok(()),
                        Err(error) if is_absent(&error) && waited < PATH_PATIENCE => {
                            process::nap(PATH_PAUSE);
                            waited += PATH_PAUSE;
                        }
                        Err(error) => break error,
                    }
                }
            }
            (Err(error), _) => error,
        };
        Err(Error::Unavailable {
            message: format!("failed to reach the runner of this job: {}", plain(&failed)),
            remediation: format!(
                "The job may be over; in another network namespace {NOTIFY_PATH} must be passed on and its folder be \
                 visible"
            ),
        })
    }
}

/// Nobody listens there.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}
