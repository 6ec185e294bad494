//! Progress in the terminal's own tab or task bar: OSC 9;4, as ConEmu brought it and others took it up.
//!
//! Only for terminals that are known to understand it: to others OSC 9 is a notification, one for every step.

use crate::model::event::Live;
use crate::render::bar::is_late;

/// Takes the progress away. It must be written at the end, or it stays.
pub const CLEAR: &str = "\x1b]9;4;0;0\x1b\\";

/// The terminal understands it, as far as the environment tells. Multiplexers keep it from the terminal.
pub fn is_known(env: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    if set("TMUX") || set("STY") {
        return false;
    }
    let program = env("TERM_PROGRAM").unwrap_or_default();
    set("WT_SESSION")
        || env("ConEmuANSI").as_deref() == Some("ON")
        || ["ghostty", "wezterm"].iter().any(|known| program.eq_ignore_ascii_case(known))
}

/// How a job stands: its percentage, or only that it runs; in warning colours when little time is left, and in those of
/// an error while it is stopped.
pub fn sequence(live: &Live) -> String {
    let percent = live.progress.map(|progress| (progress.fraction() * 100.0) as u8);
    let (state, percent) = match (live.stopping, percent) {
        (Some(_), percent) => (2, percent.unwrap_or(100)),
        // Without a percentage of its own, the job's time is what is running out.
        (None, percent) if is_late(live) => (4, percent.unwrap_or_else(|| time_percent(live))),
        (None, Some(percent)) => (1, percent),
        (None, None) => (3, 0),
    };
    format!("\x1b]9;4;{state};{percent}\x1b\\")
}

fn time_percent(live: &Live) -> u8 {
    let share = live.timeout.map_or(1.0, |timeout| live.elapsed.as_secs_f64() / timeout.as_secs_f64());
    // A timeout of nothing is no number; what is too large is the whole.
    (share.clamp(0.0, 1.0) * 100.0) as u8
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CLEAR, is_known, sequence};
    use crate::model::event::{Live, Stopping};
    use crate::model::outcome::Progress;
    use crate::model::signal::Signal;

    #[test]
    fn only_terminals_that_know_it_are_told() {
        let known = |variables: &[(&str, &str)]| {
            is_known(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(known(&[("WT_SESSION", "0f")]));
        assert!(known(&[("ConEmuANSI", "ON")]));
        assert!(known(&[("TERM_PROGRAM", "ghostty")]));
        assert!(known(&[("TERM_PROGRAM", "WezTerm")]));
        assert!(!known(&[]));
        assert!(!known(&[("WT_SESSION", "")]));
        assert!(!known(&[("ConEmuANSI", "OFF")]));
        assert!(!known(&[("TERM_PROGRAM", "kitty"), ("KITTY_WINDOW_ID", "1")]));
        assert!(!known(&[("TERM_PROGRAM", "ghostty"), ("TMUX", "/tmp/tmux,1,0")]));
        assert!(!known(&[("WT_SESSION", "0f"), ("STY", "1.pts")]));
    }

    #[test]
    fn the_state_follows_the_job() {
        let mut live =
            Live { elapsed: Duration::from_secs(10), timeout: Some(Duration::from_secs(60)), ..Live::default() };
        assert_eq!(sequence(&live), "\x1b]9;4;3;0\x1b\\");
        live.progress = Progress::of(0.429);
        assert_eq!(sequence(&live), "\x1b]9;4;1;42\x1b\\");
        live.elapsed = Duration::from_secs(48);
        assert_eq!(sequence(&live), "\x1b]9;4;4;42\x1b\\");
        live.progress = None;
        assert_eq!(sequence(&live), "\x1b]9;4;4;80\x1b\\");
        live.stopping = Some(Stopping { signal: Signal::TERM, kill_in: None });
        assert_eq!(sequence(&live), "\x1b]9;4;2;100\x1b\\");
        assert_eq!(CLEAR, "\x1b]9;4;0;0\x1b\\");
    }
}
