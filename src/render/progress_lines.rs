//! Progress as lines for a log, as with `--progress lines`: when a job starts, stops and ends, and in between how it
//! stands, not too often.
//!
//! One of these for each job; it remembers what it said last. It is given the time stamp and reads no clock.

use std::time::Duration;

use crate::model::event::{Event, Live};
use crate::model::outcome::{Cause, End, Outcome, StartStep, TimeoutReason};
use crate::model::printable::clean;
use crate::model::quantity::Seconds;
use crate::render::bar::time_left;
use crate::render::lines::{retry, rounded};

/// A line comes after so much time,
const INTERVAL: Duration = Duration::from_secs(10);
/// or so much of the work.
const STEP: f64 = 0.1;

/// The lines about one job.
#[derive(Debug, Default)]
pub struct ProgressLines {
    said_at: Duration,
    said_fraction: f64,
}

impl ProgressLines {
    pub fn new() -> Self {
        Self::default()
    }

    /// The line for an event, without its newline, or none. `timestamp` is RFC 3339.
    pub fn line(&mut self, event: &Event, name: &str, timestamp: &str) -> Option<String> {
        let text = match event {
            Event::JobStarted { pid } => format!("started, process {pid}"),
            Event::TimePassed(live) => self.standing(live)?,
            Event::StopBegun { cause, signal } => format!("stopping with SIG{signal}, {}", because(cause)),
            Event::RetryPlanned { attempt, of, delay } => {
                // The next one counts from nothing.
                *self = Self::default();
                retry(attempt, *of, *delay)
            }
            Event::JobFinished(outcome) => end(outcome),
            _ => return None,
        };
        Some(clean(&format!("{timestamp} runner: {name}: {text}")))
    }

    /// How the job stands, where enough time or work went by since it was said last.
    fn standing(&mut self, live: &Live) -> Option<String> {
        if live.begins_in.is_some() {
            return None;
        }
        let fraction = live.progress.map(|progress| progress.fraction());
        // Sums of tenths are not exact.
        let moved = fraction.is_some_and(|fraction| fraction - self.said_fraction >= STEP - 1e-9);
        if !moved && live.elapsed.saturating_sub(self.said_at) < INTERVAL {
            return None;
        }
        self.said_at = live.elapsed;
        self.said_fraction = fraction.unwrap_or(self.said_fraction);
        let mut facts = Vec::new();
        if let Some(fraction) = fraction {
            facts.push(format!("{} %", (fraction * 100.0) as u8));
        }
        facts.push(match live.timeout {
            Some(timeout) => format!("{} s of {} s", live.elapsed.as_secs(), Seconds(timeout)),
            None => format!("{} s", live.elapsed.as_secs()),
        });
        if !live.status.is_empty() {
            facts.push(live.status.clone());
        }
        if let Some(left) = time_left(live) {
            facts.push(format!("about {:.0} s left", left.as_secs_f64()));
        }
        Some(facts.join(", "))
    }
}

fn because(cause: &Cause) -> String {
    match cause {
        Cause::Timeout { reason: TimeoutReason::Idle, limit } => format!("idle for {} s", Seconds(*limit)),
        Cause::Timeout { limit, .. } => format!("timeout of {} s", Seconds(*limit)),
        Cause::Cancelled { signal } => format!("cancelled by SIG{signal}"),
        Cause::CalledOff => "another job failed".to_owned(),
    }
}

/// How it ended.
fn end(outcome: &Outcome) -> String {
    let took = format!("after {} s", rounded(outcome.elapsed));
    match (&outcome.cause, &outcome.end) {
        (Some(cause), _) => format!("stopped {took}, {}", because(cause)),
        (None, End::Exited(0)) => format!("succeeded {took}"),
        (None, End::Exited(code)) => format!("failed {took} with exit code {code}"),
        (None, End::Signaled { signal, .. }) => format!("died of SIG{signal} {took}"),
        (None, End::NotStarted(failure)) => {
            let step = match failure.step {
                StartStep::Spawn => "no process could be made",
                StartStep::Input => "its input could not be opened",
                StartStep::Chdir => "its directory could not be entered",
                StartStep::Exec => "the program could not be run",
            };
            format!("not started: {step}")
        }
        (None, End::Unknown) => format!("could not be ended {took}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ProgressLines;
    use crate::model::attempt::Attempt;
    use crate::model::event::{Event, Live};
    use crate::model::outcome::{Cause, End, Outcome, Progress, StartFailure, StartStep, TimeoutReason};
    use crate::model::signal::Signal;

    const NOW: &str = "2026-11-23T10:00:00Z";

    fn passed(seconds: u64, fraction: Option<f64>) -> Event {
        Event::TimePassed(Live {
            elapsed: Duration::from_secs(seconds),
            timeout: Some(Duration::from_secs(60)),
            progress: fraction.and_then(Progress::of),
            status: "linking".to_owned(),
            ..Live::default()
        })
    }

    fn finished(cause: Option<Cause>, end: End) -> Event {
        Event::JobFinished(Box::new(Outcome::plain(cause, end)))
    }

    #[test]
    fn a_line_comes_every_ten_seconds_or_tenths() {
        let mut lines = ProgressLines::new();
        let mut said = |seconds, fraction| lines.line(&passed(seconds, fraction), "build", NOW);
        assert_eq!(said(0, None), None);
        assert_eq!(said(9, Some(0.05)), None);
        assert_eq!(
            said(10, Some(0.05)).as_deref(),
            Some("2026-11-23T10:00:00Z runner: build: 5 %, 10 s of 60 s, linking, about 190 s left")
        );
        assert_eq!(said(12, Some(0.14)), None);
        assert_eq!(
            said(12, Some(0.42)).as_deref(),
            Some("2026-11-23T10:00:00Z runner: build: 42 %, 12 s of 60 s, linking, about 17 s left")
        );
        assert_eq!(said(13, Some(0.51)), None);
        assert!(said(13, Some(0.52)).is_some());
        assert_eq!(said(22, Some(0.52)), None);
        assert!(said(23, Some(0.52)).is_some());
    }

    #[test]
    fn another_attempt_is_told_and_begins_anew() {
        let mut lines = ProgressLines::new();
        assert!(lines.line(&passed(40, Some(0.9)), "build", NOW).is_some());
        let attempt = Box::new(Attempt::of(1, &Outcome::plain(None, End::Exited(75)), None));
        let planned = Event::RetryPlanned { attempt, of: 4, delay: Duration::from_secs(2) };
        let expected = format!("{NOW} runner: build: attempt 1 of 4 exited with code 75; trying again in 2 s");
        assert_eq!(lines.line(&planned, "build", NOW), Some(expected));
        let waiting = Live { begins_in: Some(Duration::from_secs(1)), ..Live::default() };
        assert_eq!(lines.line(&Event::TimePassed(waiting), "build", NOW), None);
        assert!(lines.line(&passed(1, Some(0.2)), "build", NOW).is_some());
    }

    #[test]
    fn the_stages_of_a_job_are_told() {
        let timeout = Cause::Timeout { reason: TimeoutReason::Total, limit: Duration::from_secs(60) };
        let idle = Cause::Timeout { reason: TimeoutReason::Idle, limit: Duration::from_secs(5) };
        let cancelled = Cause::Cancelled { signal: Signal::INT };
        let failure = StartFailure { step: StartStep::Exec, os_error: 2 };
        for (event, expected) in [
            (Event::JobStarted { pid: 7 }, "started, process 7"),
            (Event::StopBegun { cause: timeout, signal: Signal::TERM }, "stopping with SIGTERM, timeout of 60 s"),
            (Event::StopBegun { cause: idle, signal: Signal::KILL }, "stopping with SIGKILL, idle for 5 s"),
            (finished(None, End::Exited(0)), "succeeded after 12.3 s"),
            (finished(None, End::Exited(3)), "failed after 12.3 s with exit code 3"),
            (
                finished(None, End::Signaled { signal: Signal::KILL, core_dumped: false }),
                "died of SIGKILL after 12.3 s",
            ),
            (finished(Some(timeout), End::Exited(0)), "stopped after 12.3 s, timeout of 60 s"),
            (finished(Some(cancelled), End::Unknown), "stopped after 12.3 s, cancelled by SIGINT"),
            (finished(None, End::NotStarted(failure)), "not started: the program could not be run"),
            (finished(None, End::Unknown), "could not be ended after 12.3 s"),
        ] {
            let line = ProgressLines::new().line(&event, "build", NOW);
            assert_eq!(line, Some(format!("{NOW} runner: build: {expected}")));
        }
        assert_eq!(ProgressLines::new().line(&Event::StoppingReported, "build", NOW), None);
    }
}
