//! What is known of each target of `wait-for`, whether it is enough, and how it stands in the answer.
//!
//! Pure: fed with what the watchers say, and with instants.

use std::time::Duration;

use serde_json::{Value, json};

use super::target::Target;
use super::watcher::{Finding, News};
use crate::time::clock::Moment;

/// So many targets are listed: even where each byte of them is escaped, the list can be sent.
const LISTED: usize = 200;
/// What a target scores that has held for long enough.
const WHOLE_SCORE: u64 = 1000;
/// How much is shown of the text of a target, and of its error.
const TEXT_LIMIT: usize = 400;

/// The state of all targets.
#[derive(Debug)]
pub(super) struct Tally {
    rows: Vec<Row>,
    any: bool,
    stable: Duration,
}

#[derive(Debug)]
struct Row {
    target: String,
    attempts: u64,
    /// Since when it has held, and the last time that it was seen to.
    held: Option<(Moment, Moment)>,
    last_error: Option<String>,
    vain: bool,
}

impl Tally {
    pub(super) fn new(targets: &[Target], any: bool, stable: Duration) -> Self {
        let row = |target: &Target| Row {
            target: target.shown.clone(),
            attempts: 0,
            held: None,
            last_error: Some("no answer yet".to_owned()),
            vain: false,
        };
        Self { rows: targets.iter().map(row).collect(), any, stable }
    }

    /// Takes in what a watcher said. True where a target changed its state or its error.
    pub(super) fn take(&mut self, news: News) -> bool {
        let row = &mut self.rows[news.target];
        let before = (row.held.is_some(), row.last_error.clone());
        match news.finding {
            Finding::Began => row.attempts += 1,
            Finding::Holds => {
                let since = row.held.map_or(news.at, |(since, _)| since);
                row.held = Some((since, news.at));
                row.last_error = None;
            }
            Finding::Not(error) => {
                row.held = None;
                row.last_error = Some(error);
            }
            Finding::Never(error) => {
                row.held = None;
                row.last_error = Some(error);
                row.vain = true;
            }
        }
        before != (row.held.is_some(), row.last_error.clone())
    }

    /// How many targets hold.
    fn held(&self) -> usize {
        self.rows.iter().filter(|row| row.held.is_some()).count()
    }

    /// How far it is, and how far it must come: each target counts by how much of its time it has held.
    pub(super) fn score(&self) -> (u64, u64) {
        let score = |row: &Row| match row.held {
            None => 0,
            Some(_) if self.stable.is_zero() => WHOLE_SCORE,
            Some((since, seen)) => {
                let part = (seen - since).as_secs_f64() / self.stable.as_secs_f64();
                (part.min(1.0) * WHOLE_SCORE as f64) as u64
            }
        };
        let scores = self.rows.iter().map(score);
        if self.any {
            (scores.max().unwrap_or_default(), WHOLE_SCORE)
        } else {
            (scores.sum(), WHOLE_SCORE * self.rows.len() as u64)
        }
    }

    /// Whether the condition holds, and has held for long enough.
    pub(super) fn is_enough(&self) -> bool {
        let is_enough = |row: &Row| row.held.is_some_and(|(since, seen)| seen - since >= self.stable);
        if self.any { self.rows.iter().any(is_enough) } else { self.rows.iter().all(is_enough) }
    }

    /// The target for which all waiting is in vain, and why.
    pub(super) fn vain(&self) -> Option<(String, String)> {
        let mut vain = self.rows.iter().filter(|row| row.vain);
        let first = vain.next()?;
        // With others that may still hold, nothing is lost.
        let is_lost = !self.any || self.rows.iter().all(|row| row.vain);
        is_lost.then(|| (first.target.clone(), first.last_error.clone().unwrap_or_default()))
    }

    /// What it is doing, in a few words.
    pub(super) fn summary(&self) -> String {
        let mut open = self.rows.iter().filter(|row| row.held.is_none());
        let Some(first) = open.next() else {
            return format!("waiting for {} to go on holding", short(&self.rows[0].target));
        };
        let (target, error) = (short(&first.target), short(first.last_error.as_deref().unwrap_or("no answer yet")));
        match open.count() {
            0 => format!("waiting for {target} ({error})"),
            more => format!("waiting for {target} ({error}) and {more} more"),
        }
    }

    /// As it stands in the answer.
    pub(super) fn report(&self, now: Moment) -> Value {
        let row = |row: &Row| {
            json!({
                "target": short(&row.target),
                "holds": row.held.is_some(),
                "attempts": row.attempts,
                "last_error": row.last_error.as_deref().map(short),
                "held_for_seconds": seconds(row.held.map_or(Duration::ZERO, |(since, _)| now - since)),
            })
        };
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        if rows.len() > LISTED {
            // Where not all are listed, those that do not hold are what is looked for.
            rows.sort_by_key(|row| row.held.is_some());
            rows.truncate(LISTED);
        }
        json!({
            "targets": rows.iter().map(|shown| row(shown)).collect::<Vec<_>>(),
            "targets_omitted": self.rows.len() - rows.len(),
            "held": self.held(),
            "total": self.rows.len(),
        })
    }
}

/// As much of a text as is shown of a target or of its error.
fn short(text: &str) -> String {
    match text.floor_char_boundary(TEXT_LIMIT) {
        end if end < text.len() => format!("{}...", &text[..end]),
        _ => text.to_owned(),
    }
}

/// Seconds with milliseconds: more digits would only be noise.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::target::Target;
    use super::super::watcher::{Finding, News};
    use super::Tally;
    use crate::time::clock::Moment;

    fn tally(any: bool, stable: u64) -> Tally {
        let targets = ["file:/a", "tcp://h:1"].map(|text| Target::parse(text).unwrap());
        Tally::new(&targets, any, Duration::from_secs(stable))
    }

    fn news(target: usize, at: u64, finding: Finding) -> News {
        News { target, at: Moment::at(Duration::from_secs(at)), finding }
    }

    #[test]
    fn all_must_hold_at_the_same_time() {
        let mut tally = tally(false, 0);
        assert!(tally.take(news(0, 1, Finding::Holds)));
        assert!(!tally.is_enough());
        tally.take(news(0, 2, Finding::Not("gone".to_owned())));
        tally.take(news(1, 3, Finding::Holds));
        assert!(!tally.is_enough());
        assert!(tally.take(news(0, 4, Finding::Holds)));
        assert!(!tally.take(news(0, 5, Finding::Holds)), "nothing changed");
        assert!(tally.is_enough());
    }

    #[test]
    fn an_interruption_starts_the_time_anew() {
        let mut tally = tally(true, 10);
        tally.take(news(1, 0, Finding::Holds));
        tally.take(news(1, 9, Finding::Holds));
        assert!(!tally.is_enough());
        tally.take(news(1, 10, Finding::Not("refused".to_owned())));
        tally.take(news(1, 11, Finding::Holds));
        tally.take(news(1, 20, Finding::Holds));
        assert!(!tally.is_enough());
        tally.take(news(1, 21, Finding::Holds));
        assert!(tally.is_enough());
    }

    #[test]
    fn a_report_of_many_targets_can_be_sent_and_begins_with_those_that_do_not_hold() {
        let long = format!("file:/{}", "\u{1}".repeat(3000));
        let targets = vec![Target::parse(&long).unwrap(); 1000];
        let mut tally = Tally::new(&targets, false, Duration::ZERO);
        (0..900).for_each(|target| _ = tally.take(news(target, 1, Finding::Holds)));
        (900..1000).for_each(|target| _ = tally.take(news(target, 1, Finding::Not("\u{1}".repeat(3000)))));
        let report = tally.report(Moment::at(Duration::from_secs(2)));
        assert!(report.to_string().len() < crate::control::message::VALUE_LIMIT, "{}", report.to_string().len());
        assert_eq!(
            (&report["total"], &report["held"], &report["targets_omitted"]),
            (&1000.into(), &900.into(), &800.into())
        );
        let rows = report["targets"].as_array().unwrap();
        assert!(rows[..100].iter().all(|row| row["holds"] == false) && rows[100]["holds"] == true);
    }

    #[test]
    fn progress_counts_how_long_each_target_has_held() {
        let mut all = tally(false, 10);
        assert_eq!(all.score(), (0, 2000));
        all.take(news(0, 1, Finding::Holds));
        assert_eq!(all.score(), (0, 2000), "it has just begun to hold");
        all.take(news(0, 6, Finding::Holds));
        assert_eq!(all.score(), (500, 2000));
        all.take(news(0, 60, Finding::Holds));
        assert_eq!(all.score(), (1000, 2000));
        let mut any = tally(true, 10);
        any.take(news(0, 0, Finding::Holds));
        any.take(news(0, 2, Finding::Holds));
        assert_eq!(any.score(), (200, 1000));
        let mut at_once = tally(false, 0);
        at_once.take(news(0, 0, Finding::Holds));
        assert_eq!(at_once.score(), (1000, 2000));
    }

    #[test]
    fn waiting_is_in_vain_only_where_nothing_else_would_do() {
        let mut all = tally(false, 0);
        all.take(news(0, 1, Finding::Never("no shell".to_owned())));
        assert_eq!(all.vain(), Some(("file:/a".to_owned(), "no shell".to_owned())));
        let mut any = tally(true, 0);
        any.take(news(0, 1, Finding::Never("no shell".to_owned())));
        assert_eq!(any.vain(), None);
    }

    #[test]
    fn a_report_says_what_each_target_does() {
        let mut tally = tally(false, 0);
        tally.take(news(0, 1, Finding::Began));
        tally.take(news(0, 1, Finding::Holds));
        let report = tally.report(Moment::at(Duration::from_millis(3500)));
        assert_eq!(report["targets"][0]["held_for_seconds"], 2.5);
        assert_eq!(report["targets"][0]["attempts"], 1);
        assert_eq!(report["targets"][1]["last_error"], "no answer yet");
        assert_eq!((&report["held"], &report["total"]), (&1.into(), &2.into()));
        assert_eq!(tally.summary(), "waiting for tcp://h:1 (no answer yet)");
    }
}
