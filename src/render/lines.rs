//! Events as single lines on stderr, for people: warnings, leftovers, and with `-v` what happens in between.

use std::time::Duration;

use crate::model::attempt::Attempt;
use crate::model::event::{Event, Live, Place};
use crate::model::printable::clean;
use crate::model::quantity::Seconds;
use crate::model::signal::Signal;

/// The line for an event, without its newline. None where nothing is to be said at this verbosity.
pub fn line(event: &Event, verbose: u8) -> Option<String> {
    format_line(event, verbose).map(|line| clean(&line))
}

fn format_line(event: &Event, verbose: u8) -> Option<String> {
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
        Event::RetryPlanned { attempt, of, delay } => Some(format!("runner: {}", retry(attempt, *of, *delay))),
        Event::StartDelayed { reason } => Some(format!("runner: waiting to start: {reason}")),
        Event::JobStarted { pid } if verbose > 0 => Some(format!("runner: started process {pid}")),
        Event::StopBegun { signal, .. } if verbose > 0 => Some(format!("runner: stopping with SIG{signal}")),
        Event::DeadlineExtended { timeout, capped } if verbose > 0 => {
            let capped = if *capped { ", less than the job asked for" } else { "" };
            Some(format!("runner: the job has more time now, {} s in all{capped}", Seconds(*timeout)))
        }
        Event::ExtensionRefused { reason } if verbose > 0 => {
            Some(format!("runner: the job asked for more time and was refused: {reason}"))
        }
        Event::MessageRefused { reason } if verbose > 0 => Some(format!("runner: a message was refused: {reason}")),
        Event::StoppingReported if verbose > 0 => Some("runner: the job says that it is stopping".to_owned()),
        _ => None,
    }
}

/// How a job stands, for one who asked: a line without its newline.
pub fn status_line(name: &str, live: &Live) -> String {
    if let (Some(left), Some(Place { number, of })) = (live.begins_in, live.attempt) {
        return clean(&format!("runner: {name}: attempt {number} of {of} begins in {} s", rounded(left)));
    }
    let mut facts = vec![match live.timeout {
        Some(timeout) => format!("{} s of {} s", rounded(live.elapsed), Seconds(timeout)),
        None => format!("{} s", rounded(live.elapsed)),
    }];
    if let Some(progress) = live.progress {
        facts.push(format!("{} %", (progress.fraction() * 100.0) as u8));
    }
    facts.push(match live.stdout_bytes + live.stderr_bytes {
        0 => "no output yet".to_owned(),
        _ => format!("last output {} s ago", rounded(live.silent_for)),
    });
    match live.processes {
        Some(1) => facts.push("1 process".to_owned()),
        Some(count) => facts.push(format!("{count} processes")),
        None => {}
    }
    if let Some(Place { number, of }) = live.attempt {
        facts.push(format!("attempt {number} of {of}"));
    }
    if let Some(stopping) = live.stopping {
        facts.push(match stopping.kill_in {
            _ if stopping.signal == Signal::KILL => "killed".to_owned(),
            Some(left) => format!("stopping with SIG{}, KILL in {} s", stopping.signal, rounded(left)),
            None => format!("stopping with SIG{}", stopping.signal),
        });
    }
    let status = if live.status.is_empty() { String::new() } else { format!(": {}", live.status) };
    clean(&format!("runner: {name}: {}{status}", facts.join(", ")))
}

/// What became of an attempt, and when the next one comes.
pub(super) fn retry(attempt: &Attempt, of: u32, delay: Duration) -> String {
    let when = match rounded(delay) {
        at_once if at_once == "0" => "at once".to_owned(),
        seconds => format!("in {seconds} s"),
    };
    format!("attempt {} of {of} {}; trying again {when}", attempt.attempt, attempt.failure())
}

/// Seconds with one digit, or none where it would be 0.
pub(super) fn rounded(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64()).trim_end_matches(".0").to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{line, status_line};
    use crate::model::attempt::Attempt;
    use crate::model::event::{Event, Live, Place, Stopping};
    use crate::model::outcome::{End, Outcome, Progress};
    use crate::model::signal::Signal;

    #[test]
    fn what_a_job_says_is_told_only_when_asked_for() {
        let seconds = Duration::from_secs;
        for (event, expected) in [
            (
                Event::DeadlineExtended { timeout: seconds(90), capped: false },
                "runner: the job has more time now, 90 s in all",
            ),
            (
                Event::DeadlineExtended { timeout: seconds(90), capped: true },
                "runner: the job has more time now, 90 s in all, less than the job asked for",
            ),
            (
                Event::ExtensionRefused { reason: "it is being stopped" },
                "runner: the job asked for more time and was refused: it is being stopped",
            ),
            (Event::MessageRefused { reason: "no such key".to_owned() }, "runner: a message was refused: no such key"),
            (Event::StoppingReported, "runner: the job says that it is stopping"),
            (Event::JobStarted { pid: 7 }, "runner: started process 7"),
        ] {
            assert_eq!(line(&event, 0), None);
            assert_eq!(line(&event, 1).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_warning_is_always_told() {
        let warning = |timeout| Event::WarningReached { elapsed: Duration::from_millis(1500), timeout };
        assert_eq!(line(&warning(None), 0).as_deref(), Some("runner: still running after 1.5 s"));
        let limit = Some(Duration::from_secs(10));
        assert_eq!(line(&warning(limit), 0).as_deref(), Some("runner: still running after 1.5 s of 10 s"));
    }

    #[test]
    fn another_attempt_is_always_told() {
        let mut attempt = Attempt::of(1, &Outcome::plain(None, End::Exited(75)), None);
        let said = |attempt: &Attempt, millis| {
            let delay = Duration::from_millis(millis);
            line(&Event::RetryPlanned { attempt: Box::new(attempt.clone()), of: 4, delay }, 0).expect("a line")
        };
        assert_eq!(said(&attempt, 1_230), "runner: attempt 1 of 4 exited with code 75; trying again in 1.2 s");
        attempt.message = Some("was idle for 2 s".to_owned());
        assert_eq!(said(&attempt, 0), "runner: attempt 1 of 4 was idle for 2 s; trying again at once");
    }

    #[test]
    fn the_standing_is_one_line() {
        let mut live = Live {
            elapsed: Duration::from_millis(12_300),
            timeout: Some(Duration::from_secs(60)),
            progress: Progress::of(0.42),
            status: "linking".to_owned(),
            silent_for: Duration::from_millis(400),
            stdout_bytes: 10,
            processes: Some(3),
            ..Live::default()
        };
        assert_eq!(
            status_line("build", &live),
            "runner: build: 12.3 s of 60 s, 42 %, last output 0.4 s ago, 3 processes: linking"
        );
        live.stopping = Some(Stopping { signal: Signal::TERM, kill_in: Some(Duration::from_secs(3)) });
        live.progress = None;
        live.processes = Some(1);
        live.status.clear();
        live.stdout_bytes = 0;
        assert_eq!(
            status_line("build", &live),
            "runner: build: 12.3 s of 60 s, no output yet, 1 process, stopping with SIGTERM, KILL in 3 s"
        );
        live.attempt = Some(Place { number: 2, of: 4 });
        live.stopping = None;
        assert_eq!(
            status_line("build", &live),
            "runner: build: 12.3 s of 60 s, no output yet, 1 process, attempt 2 of 4"
        );
        live.begins_in = Some(Duration::from_millis(2_500));
        assert_eq!(status_line("build", &live), "runner: build: attempt 2 of 4 begins in 2.5 s");
        assert_eq!(status_line("x", &Live::default()), "runner: x: 0 s, no output yet");
    }
}
