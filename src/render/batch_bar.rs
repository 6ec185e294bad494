//! The bar of a batch: a line for each job that runs, as many as the screen has room for, and one line for all.
//!
//! Pure, as the bar of a single job is, and costs no more for two thousand jobs than for a screen of them.

use console::{measure_text_width, truncate_str};

use crate::render::bar::{self, Row, SPINNER};
use crate::render::batch_progress::{Fact, FactKind, Standing};

/// Jobs are often called by their commands, so their names may be longer than that of a single job.
const NAME_WIDTH: usize = 60;
/// Of the screen, one line in so many stays with what the jobs write.
const OUTPUT_SHARE: usize = 4;
/// Widths of the gauge, the first that fits is taken.
const GAUGES: [usize; 3] = [20, 10, 0];

/// How many jobs have a line of their own on a screen of this height, where so many run.
pub fn rows_on_screen(height: usize, running: usize) -> usize {
    let room = height.saturating_sub(height / OUTPUT_SHARE + 1);
    // One is for all of them, and where they do not fit one for the rest.
    let own = room.saturating_sub(1);
    if running <= own { running } else { own.saturating_sub(1) }
}

/// The lines for these rows, which are the first of all that run. `tick` turns the spinners.
pub fn frame(rows: &[Row<'_>], standing: &Standing, width: usize, tick: u64, colour: bool) -> Vec<String> {
    let width = width.max(1);
    let name_width = NAME_WIDTH.min((width / 2).max(8));
    let mut lines: Vec<String> = rows.iter().map(|row| bar::line(row, name_width, width, tick, colour)).collect();
    let more = standing.running.saturating_sub(rows.len() as u64);
    // Without any row the last line tells how many run.
    if more > 0 && !rows.is_empty() {
        lines.push(truncate_str(&format!("... and {more} more"), width, "").into_owned());
    }
    lines.push(total_line(standing, width, tick, colour));
    lines
}

fn total_line(standing: &Standing, width: usize, tick: u64, colour: bool) -> String {
    let mut facts = standing.facts();
    let fits = |lead: &str, facts: &[Fact]| measure_text_width(lead) + measure_text_width(&text(facts, false)) <= width;
    let mut lead = String::new();
    for gauge in GAUGES {
        lead = opening(standing, gauge, tick);
        if fits(&lead, &facts) {
            break;
        }
    }
    while facts.len() > 1 && !fits(&lead, &facts) {
        let least = (0..facts.len()).min_by_key(|index| facts[*index].kind).unwrap_or(0);
        facts.remove(least);
    }
    let whole = format!("{lead}{}", text(&facts, colour));
    truncate_str(&whole, width, "").into_owned()
}

/// What stands before the facts: a gauge, or a spinner where nobody knows how many jobs there are.
fn opening(standing: &Standing, gauge: usize, tick: u64) -> String {
    let Some(fraction) = standing.fraction() else {
        let place = usize::try_from(tick % SPINNER.len() as u64).unwrap_or(0);
        return format!("{} ", SPINNER[place]);
    };
    // Rounded down, so that only what is done is called so.
    let percent = (fraction * 100.0) as u64;
    if gauge == 0 {
        return format!("{percent:>3} % ");
    }
    let filled = ((fraction * gauge as f64) as usize).min(gauge);
    let head = if filled < gauge && fraction > 0.0 { ">" } else { "" };
    format!("[{:<gauge$}] {percent:>3} % ", format!("{}{head}", "=".repeat(filled)))
}

fn text(facts: &[Fact], colour: bool) -> String {
    let shown = facts.iter().map(|fact| match fact.kind {
        FactKind::Failed if colour => format!("\x1b[31m{}\x1b[0m", fact.text),
        FactKind::Held if colour => format!("\x1b[33m{}\x1b[0m", fact.text),
        _ => fact.text.clone(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use console::measure_text_width;

    use super::{frame, rows_on_screen};
    use crate::model::event::{Live, Place};
    use crate::model::outcome::Progress;
    use crate::render::bar::Row;
    use crate::render::batch_progress::Standing;

    fn live(elapsed: u64) -> Live {
        Live { elapsed: Duration::from_secs(elapsed), ..Live::default() }
    }

    fn standing() -> Standing {
        Standing {
            done: 40,
            total: Some(200),
            failed: 3,
            running: 4,
            rate: Some(12.1),
            left: Some(Duration::from_secs(13)),
            ..Standing::default()
        }
    }

    fn total(standing: &Standing, width: usize) -> String {
        frame(&[], standing, width, 1, false).concat()
    }

    #[test]
    fn every_job_has_its_line_and_the_last_is_for_all() {
        let (mut first, second) = (live(12), live(3));
        first.timeout = Some(Duration::from_secs(60));
        first.progress = Progress::of(0.5);
        first.attempt = Some(Place { number: 2, of: 3 });
        let rows = [Row { name: "convert a.png", live: &first }, Row { name: "b", live: &second }];
        let standing = Standing { running: 2, ..standing() };
        assert_eq!(
            frame(&rows, &standing, 80, 0, false),
            [
                "[=====>    ]  50 % convert a.png  attempt 2/3  0:12 / 1:00  about 0:12 left",
                "- b  0:03",
                "[==>       ]  20 % 40/200 done, 3 failed, 2 running, 12.1/s, about 0:13 left",
            ]
        );
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let standings: Vec<Live> = (0..3).map(live).collect();
        let rows: Vec<Row<'_>> = standings.iter().map(|live| Row { name: "job", live }).collect();
        let standing = Standing { running: 2000, done: 0, ..Standing::default() };
        assert_eq!(
            frame(&rows, &standing, 40, 2, false),
            ["| job  0:00", "| job  0:01", "| job  0:02", "... and 1997 more", "| 0 done, 2000 running"]
        );
        assert_eq!(frame(&[], &standing, 40, 2, false), ["| 0 done, 2000 running"]);
    }

    #[test]
    fn a_part_of_the_screen_stays_with_the_jobs() {
        for (height, running, rows) in [
            (24, 4, 4),
            (24, 16, 16),
            (24, 17, 15),
            (24, 2000, 15),
            (50, 2000, 35),
            (8, 4, 4),
            (8, 5, 3),
            (4, 1, 1),
            (4, 2, 0),
            (2, 1, 0),
            (1, 1, 0),
            (0, 1, 0),
        ] {
            assert_eq!(rows_on_screen(height, running), rows, "{running} on {height} lines");
        }
    }

    #[test]
    fn a_narrow_terminal_loses_the_least_first() {
        let standing = Standing { held: Some("memory is low"), skipped: 2, retrying: 1, ..standing() };
        for (width, line) in [
            (
                140,
                "[====>               ]  20 % 40/200 done, 3 failed, 2 skipped, 4 running, 1 to be retried, 12.1/s, \
                 about 0:13 left, held: memory is low",
            ),
            (
                130,
                "[==>       ]  20 % 40/200 done, 3 failed, 2 skipped, 4 running, 1 to be retried, 12.1/s, about 0:13 \
                 left, held: memory is low",
            ),
            (100, " 20 % 40/200 done, 3 failed, 2 skipped, 4 running, 12.1/s, about 0:13 left, held: memory is low"),
            (80, " 20 % 40/200 done, 3 failed, 4 running, about 0:13 left, held: memory is low"),
            (60, " 20 % 40/200 done, 3 failed, about 0:13 left"),
            (40, " 20 % 40/200 done, 3 failed"),
            (20, " 20 % 40/200 done"),
            (10, " 20 % 40/2"),
        ] {
            assert_eq!(total(&standing, width), line, "{width}");
        }
    }

    #[test]
    fn the_gauge_is_full_only_when_all_is_done() {
        let line = |done| total(&Standing { done, total: Some(1000), ..Standing::default() }, 80);
        assert_eq!(line(0), "[                    ]   0 % 0/1000 done, 0 running");
        assert_eq!(line(1), "[>                   ]   0 % 1/1000 done, 0 running");
        assert_eq!(line(999), "[===================>]  99 % 999/1000 done, 0 running");
        assert_eq!(line(1000), "[====================] 100 % 1000/1000 done, 0 running");
        assert_eq!(line(1001), "[====================] 100 % 1001/1000 done, 0 running");
    }

    #[test]
    fn failures_are_red_and_what_holds_is_yellow() {
        let standing = Standing { failed: 1, held: Some("memory is low"), ..Standing::default() };
        assert_eq!(
            frame(&[], &standing, 80, 0, true).concat(),
            "- 0 done, \x1b[31m1 failed\x1b[0m, 0 running, \x1b[33mheld: memory is low\x1b[0m"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let (job, standing) = (live(123_456), Standing { held: Some("memory is low"), skipped: 2, ..standing() });
        for width in 1..160 {
            for colour in [false, true] {
                for line in frame(&[Row { name: "日本語\n\x1b[31m", live: &job }], &standing, width, 3, colour) {
                    assert!(measure_text_width(&line) <= width, "{width}: {line}");
                    assert!(colour || !line.contains('\x1b'), "{line}");
                }
            }
        }
    }
}
