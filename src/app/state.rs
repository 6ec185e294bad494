//! Where runner keeps what outlives a command: the queue's store, its logs, the history of jobs.
//!
//! `RUNNER_STATE_DIR`, or the user's state folder of the XDG specification. It is made when it is first needed.

use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::error::{Error, Result};
use crate::platform::state_folder;

/// Names another folder.
pub const STATE_DIR: &str = "RUNNER_STATE_DIR";

/// The state folder, as an absolute path. It need not exist; one that other users can write to is refused.
pub fn folder() -> Result<PathBuf> {
    let named = std::env::var_os(STATE_DIR).filter(|named| !named.is_empty()).map(PathBuf::from);
    let of_home = || {
        let base = etcetera::base_strategy::Xdg::new().ok()?;
        Some(base.state_dir()?.join("runner"))
    };
    let folder = named.or_else(of_home).ok_or_else(|| Error::Invalid {
        argument: Some(STATE_DIR.to_owned()),
        message: "there is no home, and so no folder for the queue and the history".to_owned(),
        remediation: "Set HOME, or name a folder by RUNNER_STATE_DIR".to_owned(),
    })?;
    // A home may be relative, too, and the worker starts in another folder than we.
    let help = "Name an existing folder, or one that can be made, by RUNNER_STATE_DIR";
    let folder = std::path::absolute(&folder).map_err(Error::path("find", folder, help))?;
    state_folder::check(&folder)?;
    Ok(folder)
}
