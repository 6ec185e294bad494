//! Events as single lines on stderr, for people: warnings, leftovers, and with `-v` what happens in between.

use crate::model::event::Event;
use crate::model::quantity::Seconds;

/// The line for an event, without its newline. None where nothing is to be said at this verbosity.
pub fn line(event: &Event, verbose: u8) -> Option<String> {
    match event {
        Event::WarningReached { elapsed, timeout } => {
            let elapsed = rounded(*elapsed);
            Some(match timeout {
                Some(timeout) => format!("runner: still running after {elapsed} s of {} s", Seconds(*timeout)),
                None => format!("runner: still running after {elapsed} s"),
            })
        }
        Event::LeftoversFound(leftovers) => {
            let shown: Vec<String> = leftovers
                .iter()
                .take(8)
                .map(|leftover| {
                    let holds = if leftover.holds_output { ", holds the output" } else { "" };
                    format!("{} ({}{holds})", leftover.pid, leftover.command)
                })
                .collect();
            let more = if leftovers.len() > shown.len() { ", and more" } else { "" };
            Some(format!("runner: left running: {}{more}", shown.join(", ")))
        }
        Event::JobStarted { pid } if verbose > 0 => Some(format!("runner: started process {pid}")),
        Event::StopBegun { signal, .. } if verbose > 0 => Some(format!("runner: stopping with SIG{signal}")),
        _ => None,
    }
}

fn rounded(duration: std::time::Duration) -> String {
    format!("{:.1}", duration.as_secs_f64()).trim_end_matches(".0").to_owned()
}
