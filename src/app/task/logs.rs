//! `runner task logs`: all that a task wrote, and with `-f` what it writes, until it is over.

use crate::app::answer;
use crate::app::task::following::Following;
use crate::app::task::{Call, open_for, open_to_run};
use crate::capture::output_log::{OutputLog, Stream};
use crate::error::{Error, Result};
use crate::model::exit_code::{Exit, SIGNAL_BASE};
use crate::model::signal::Signal;
use crate::platform::descriptors::{self, Moved};
use crate::worker::log_files;

impl Call {
    pub(super) fn logs(&self, id: &str, follow: bool, stderr_only: bool) -> Result<Exit> {
        // Following a task waits for its end, which needs a worker.
        let store = if follow { open_to_run(id)? } else { open_for(id)? };
        let id = store.whole_id(id)?;
        let files = log_files(store.folder(), &id);
        let stream = stderr_only.then_some(Stream::Stderr);
        let following = follow.then(|| Following::with_logs(&store)).transpose()?;
        let mut from = 0;
        loop {
            // Asked before the log is read: what a task wrote is there before it is over.
            let over = store.task(&id)?.status.is_finished();
            let broken = match OutputLog::open(&files)? {
                Some(log) => {
                    let broken = copy(&log, stream, from)?;
                    from = log.size();
                    broken
                }
                None => false,
            };
            let goes_on = following.as_ref().filter(|_| !over);
            if broken || goes_on.map_or(Ok(false), Following::wait_for_reader)? {
                return Ok(Exit::Code(SIGNAL_BASE + Signal::PIPE.number()));
            }
            if goes_on.is_none() {
                break;
            }
        }
        if from == 0 && self.options.verbose > 0 {
            answer::say(&format!("runner: task {id} has written nothing"));
        }
        Ok(Exit::Code(0))
    }
}

/// True where nobody reads any more.
fn copy(log: &OutputLog, stream: Option<Stream>, from: u64) -> Result<bool> {
    let mut broken = false;
    let copied = log.copy(stream, from, |bytes| {
        broken = descriptors::write_all(descriptors::stdout(), bytes)? == Moved::Broken;
        Ok(!broken)
    });
    copied.map_err(Error::system("copy the log"))?;
    Ok(broken)
}
