//! `runner worker unit`: a unit for systemd, so that the queue of a user is worked on from the start of the machine.

use std::ffi::OsStr;

use crate::app::state::{self, STATE_DIR};
use crate::error::Result;
use crate::platform::process;

/// The unit, with what to do with it in its first lines.
pub(super) fn text() -> Result<String> {
    let program = quoted(&process::own_program());
    let environment = match std::env::var_os(STATE_DIR).filter(|named| !named.is_empty()) {
        Some(_) => {
            let setting = format!("{STATE_DIR}={}", state::folder()?.display());
            format!("Environment={}\n", quoted(OsStr::new(&setting)))
        }
        None => String::new(),
    };
    Ok(format!(
        "# runner worker unit > ~/.config/systemd/user/runner-worker.service\n\
         # systemctl --user enable --now runner-worker\n\
         # loginctl enable-linger keeps it when nobody is logged in.\n\
         [Unit]\n\
         Description=runner: the worker of the queue\n\
         \n\
         [Service]\n\
         {environment}\
         ExecStart={program} worker run --idle-exit none\n\
         KillMode=mixed\n\
         TimeoutStopSec=30\n\
         Restart=on-failure\n\
         Delegate=yes\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n"
    ))
}

/// A word of a unit file, see systemd.syntax(7) and systemd.unit(5).
fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::quoted;

    #[test]
    fn what_means_something_to_systemd_is_quoted() {
        assert_eq!(quoted(OsStr::new("/a b/100%$\"\\")), r#""/a b/100%%$$\"\\""#);
    }
}
