//! How a batch stands: its counts, the rate of the last while, and how long the rest will take at that rate.
//!
//! Pure: it is told what ended when, and reads no clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::batch::{Counts, Verdict};
use crate::render::bar::clock;

/// The rate is that of the last so long,
const WINDOW: Duration = Duration::from_secs(30);
/// and of at least so many jobs, where they take longer.
const WINDOW_JOBS: u64 = 8;
/// Between two looks at the count.
const SAMPLE_GAP: Duration = Duration::from_secs(1);
/// A rate needs so much time, and so many jobs, to go by.
const RATE_AFTER: Duration = Duration::from_secs(1);
const RATE_JOBS: u64 = 3;
/// A line comes after so much time,
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// or so much of the jobs.
const LINE_STEP: f64 = 0.1;

/// What is counted while a batch runs.
#[derive(Debug, Default)]
pub struct BatchProgress {
    total: Option<u64>,
    counts: Counts,
    left_out: u64,
    held: Option<&'static str>,
    /// Jobs that ran to their end. Skipped ones are over at once, and tell nothing about the others.
    ran: u64,
    /// When so many had run, the oldest first.
    samples: VecDeque<(Duration, u64)>,
}

/// How a batch stands at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    pub done: u64,
    /// Where it is known.
    pub total: Option<u64>,
    pub failed: u64,
    pub skipped: u64,
    pub running: u64,
    /// Between two attempts.
    pub retrying: u64,
    /// Jobs in a second.
    pub rate: Option<f64>,
    /// Until all are done.
    pub left: Option<Duration>,
    /// Why no new jobs begin.
    pub held: Option<&'static str>,
}

impl BatchProgress {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn counted(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// A job begins; `at` is since the start of the batch.
    pub fn begun(&mut self, at: Duration) {
        if self.samples.is_empty() {
            self.samples.push_back((at, 0));
        }
    }

    /// A job is over.
    pub fn ended(&mut self, verdict: Verdict, at: Duration) {
        self.counts.note(verdict);
        if verdict == Verdict::Skipped {
            return;
        }
        self.ran += 1;
        if self.samples.back().is_none_or(|(last, _)| at.saturating_sub(*last) >= SAMPLE_GAP) {
            self.samples.push_back((at, self.ran));
        }
        let serves =
            |(since, ran): &(Duration, u64)| at.saturating_sub(*since) >= WINDOW && self.ran - ran >= WINDOW_JOBS;
        while self.samples.get(1).is_some_and(serves) {
            self.samples.pop_front();
        }
    }

    /// A job is not run again.
    pub fn left_out(&mut self) {
        self.left_out += 1;
    }

    /// No new jobs begin, for this reason; none: they do again.
    pub fn held(&mut self, reason: Option<&'static str>) {
        self.held = reason;
    }

    /// How it stands, with so many jobs at work and so many between two attempts.
    pub fn standing(&self, running: u64, retrying: u64, now: Duration) -> Standing {
        let done = self.counts.ended() + self.left_out;
        let rate = self.rate(now);
        let remaining = self.total.map(|total| total.saturating_sub(done)).filter(|remaining| *remaining > 0);
        let left = remaining.zip(rate).and_then(|(jobs, rate)| Duration::try_from_secs_f64(jobs as f64 / rate).ok());
        Standing {
            done,
            total: self.total,
            failed: self.counts.failed + self.counts.timed_out,
            skipped: self.counts.skipped,
            running,
            retrying,
            rate,
            left,
            held: self.held,
        }
    }

    fn rate(&self, now: Duration) -> Option<f64> {
        let (since, before) = *self.samples.front()?;
        let elapsed = now.saturating_sub(since);
        let ran = self.ran - before;
        (elapsed >= RATE_AFTER && ran > 0 && self.ran >= RATE_JOBS).then(|| ran as f64 / elapsed.as_secs_f64())
    }
}

impl Standing {
    /// How much of it is done, where that is known.
    pub fn fraction(&self) -> Option<f64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((self.done as f64 / total as f64).min(1.0))
    }

    /// What there is to say, in the order in which it is said.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let done = match self.total {
            Some(total) => format!("{}/{total} done", self.done),
            None => format!("{} done", self.done),
        };
        let counted =
            |kind, count: u64, what: &str| (count > 0).then(|| Fact { kind, text: format!("{count} {what}") });
        let rate = self.rate.map(|rate| Fact {
            kind: FactKind::Rate,
            text: if rate >= 1.0 { format!("{rate:.1}/s") } else { format!("{:.1}/min", rate * 60.0) },
        });
        let left = self.left.map(|left| Fact { kind: FactKind::Left, text: format!("about {} left", clock(left)) });
        let held = self.held.map(|reason| Fact { kind: FactKind::Held, text: format!("held: {reason}") });
        [
            Some(Fact { kind: FactKind::Done, text: done }),
            counted(FactKind::Failed, self.failed, "failed"),
            counted(FactKind::Skipped, self.skipped, "skipped"),
            Some(Fact { kind: FactKind::Running, text: format!("{} running", self.running) }),
            counted(FactKind::Retrying, self.retrying, "to be retried"),
            rate,
            left,
            held,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    pub(super) kind: FactKind,
    pub(super) text: String,
}

/// What a fact is about; where there is no room for all, the first of these are left out first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FactKind {
    Retrying,
    Skipped,
    Rate,
    Running,
    Held,
    Left,
    Failed,
    Done,
}

/// Lines for a log: how the batch stands, not too often.
#[derive(Debug, Default)]
pub struct BatchLines {
    said_at: Duration,
    said_fraction: f64,
}

impl BatchLines {
    pub fn new() -> Self {
        Self::default()
    }

    /// The line, without its newline, where enough time or work went by since the last one. `timestamp` is RFC 3339.
    pub fn line(&mut self, standing: &Standing, now: Duration, timestamp: &str) -> Option<String> {
        let fraction = standing.fraction();
        // Sums of tenths are not exact.
        let moved = fraction.is_some_and(|fraction| fraction - self.said_fraction >= LINE_STEP - 1e-9);
        if !moved && now.saturating_sub(self.said_at) < LINE_INTERVAL {
            return None;
        }
        self.said_at = now;
        self.said_fraction = fraction.unwrap_or(self.said_fraction);
        let facts: Vec<String> = standing.facts().into_iter().map(|fact| fact.text).collect();
        Some(format!("{timestamp} runner: {}", facts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BatchLines, BatchProgress, Standing};
    use crate::model::batch::Verdict;

    const NOW: &str = "2026-11-23T12:00:00Z";

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_ends_is_counted_as_what_it_is() {
        let mut progress = BatchProgress::new();
        for verdict in Verdict::ALL {
            progress.ended(verdict, at(0));
        }
        progress.left_out();
        progress.held(Some("memory is low"));
        let expected = Standing {
            done: 7,
            total: None,
            failed: 2,
            skipped: 1,
            running: 3,
            retrying: 1,
            rate: None,
            left: None,
            held: Some("memory is low"),
        };
        assert_eq!(progress.standing(3, 1, at(0)), expected);
    }

    #[test]
    fn the_rate_is_that_of_the_last_while() {
        let mut progress = BatchProgress::new();
        progress.counted(1000);
        progress.begun(at(0));
        let mut rates = Vec::new();
        // Ten a second for a minute, and then one a second.
        for tick in 1..=600 {
            progress.ended(Verdict::Succeeded, at(tick * 100));
        }
        rates.push(progress.standing(1, 0, at(60_000)));
        for second in 61..=120 {
            progress.ended(Verdict::Failed, at(second * 1000));
        }
        rates.push(progress.standing(1, 0, at(120_000)));
        let found: Vec<_> = rates.iter().map(|standing| (standing.rate.map(f64::round), standing.left)).collect();
        assert_eq!(found, [(Some(10.0), Some(Duration::from_secs(40))), (Some(1.0), Some(Duration::from_secs(340)))]);
        assert!(progress.samples.len() < 64);
    }

    #[test]
    fn slow_jobs_are_looked_at_for_longer() {
        let mut progress = BatchProgress::new();
        progress.counted(22);
        progress.begun(at(0));
        assert_eq!(progress.standing(1, 0, at(90_000)).rate, None);
        for minute in 1..=20 {
            progress.ended(Verdict::Succeeded, at(minute * 60_000));
        }
        let standing = progress.standing(1, 0, at(1_200_000));
        assert_eq!(standing.left, Some(Duration::from_secs(120)));
        let facts: Vec<_> = standing.facts().into_iter().map(|fact| fact.text).collect();
        assert_eq!(facts, ["20/22 done", "1 running", "1.0/min", "about 2:00 left"]);
        assert!(progress.samples.len() < 16);
    }

    #[test]
    fn skipped_jobs_make_no_rate() {
        let mut progress = BatchProgress::new();
        progress.counted(100);
        progress.begun(at(0));
        for _ in 0..50 {
            progress.ended(Verdict::Skipped, at(1000));
        }
        assert_eq!(progress.standing(1, 0, at(5000)).rate, None);
    }

    #[test]
    fn a_line_comes_every_ten_seconds_or_tenths() {
        let mut lines = BatchLines::new();
        let mut said = |done, seconds| {
            let standing = Standing {
                done,
                total: Some(200),
                failed: 3,
                running: 4,
                rate: Some(12.14),
                left: Some(Duration::from_secs(13)),
                ..Standing::default()
            };
            lines.line(&standing, Duration::from_secs(seconds), NOW)
        };
        assert_eq!(said(0, 0), None);
        assert_eq!(said(19, 9), None);
        let expected =
            "2026-11-23T12:00:00Z runner: 40/200 done, 3 failed, 4 running, 12.1/s, about 0:13 left".to_owned();
        assert_eq!(said(40, 9), Some(expected));
        assert_eq!(said(59, 18), None);
        assert!(said(60, 18).is_some());
        assert_eq!(said(60, 27), None);
        assert!(said(60, 28).is_some());
    }

    #[test]
    fn all_that_there_is_to_say_is_said() {
        let standing = Standing {
            done: 7,
            skipped: 2,
            failed: 1,
            running: 1,
            retrying: 3,
            held: Some("memory is low"),
            ..Standing::default()
        };
        let line = BatchLines::new().line(&standing, Duration::from_secs(10), NOW);
        let expected = "2026-11-23T12:00:00Z runner: 7 done, 1 failed, 2 skipped, 1 running, 3 to be retried, \
                        held: memory is low";
        assert_eq!(line.as_deref(), Some(expected));
    }
}
