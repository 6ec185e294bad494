//! The bar below a job's output: one line for each running job, with what it says of itself and how long it may run.
//!
//! Pure: the same standing, width and tick always give the same lines. Whoever owns the terminal asks for a frame and
//! puts it on the screen; here nothing is written, and no clock is read.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use console::{measure_text_width, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::model::event::{Live, Place, Stopping};
use crate::model::printable::clean;
use crate::model::signal::Signal;

/// One job's line.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub name: &'a str,
    pub live: &'a Live,
}

/// Silence worth a word.
const SILENCE: Duration = Duration::from_secs(10);
/// A guess at what is left needs so much of the work, and so much time, to go by.
const GUESS_FRACTION: f64 = 0.02;
const GUESS_ELAPSED: Duration = Duration::from_secs(1);
/// Names of more columns are cut.
const NAME_WIDTH: usize = 24;
/// A message that would be shorter than this is left out.
const MESSAGE_WIDTH: usize = 6;
pub(super) const SPINNER: [&str; 4] = ["-", "\\", "|", "/"];

/// What of a line is shown at this width: the first that fits is taken.
struct Level {
    gauge: usize,
    guess: bool,
    silence: bool,
    attempt: bool,
    timeout: bool,
}

const LEVELS: [Level; 7] = [
    Level { gauge: 20, guess: true, silence: true, attempt: true, timeout: true },
    Level { gauge: 10, guess: true, silence: true, attempt: true, timeout: true },
    Level { gauge: 10, guess: false, silence: true, attempt: true, timeout: true },
    Level { gauge: 10, guess: false, silence: false, attempt: true, timeout: true },
    Level { gauge: 0, guess: false, silence: false, attempt: true, timeout: true },
    Level { gauge: 0, guess: false, silence: false, attempt: false, timeout: true },
    Level { gauge: 0, guess: false, silence: false, attempt: false, timeout: false },
];

/// The lines for these jobs, each at most `width` columns. `tick` turns the spinners; it counts up with every frame.
pub fn frame(rows: &[Row<'_>], width: usize, tick: u64, colour: bool) -> Vec<String> {
    rows.iter().map(|row| line(row, NAME_WIDTH.min((width / 3).max(8)), width.max(1), tick, colour)).collect()
}

/// One job's line, whose name has at most so many columns.
pub(super) fn line(row: &Row<'_>, name_width: usize, width: usize, tick: u64, colour: bool) -> String {
    let live = row.live;
    let name = truncate_str(&clean(row.name), name_width, "~").into_owned();
    let mut chosen = (String::new(), 0);
    for level in &LEVELS {
        let text = facts(&name, live, level, colour);
        chosen = (text, level.gauge);
        if lead_width(live, chosen.1) + measure_text_width(&chosen.0) <= width {
            break;
        }
    }
    let (mut text, gauge) = chosen;
    let left = width.saturating_sub(lead_width(live, gauge) + measure_text_width(&text));
    if live.stopping.is_none() && !live.status.is_empty() && left >= MESSAGE_WIDTH + 2 {
        text.push_str("  ");
        text.push_str(&truncate_str(&clean(&live.status), left - 2, "..."));
    }
    let drawn = draw(live, gauge, tick, &text, colour && live.stopping.is_none(), width);
    let cut = truncate_str(drawn.trim_end(), width, "");
    if colour && live.stopping.is_some() { format!("\x1b[31m{cut}\x1b[0m") } else { cut.into_owned() }
}

/// Columns before the facts: a spinner, or the percentage with or without a gauge.
fn lead_width(live: &Live, gauge: usize) -> usize {
    match (live.progress, gauge) {
        (None, _) => 2,
        (Some(_), 0) => 6,
        (Some(_), gauge) => gauge + 9,
    }
}

/// Everything that must not be cut in the middle.
fn facts(name: &str, live: &Live, level: &Level, colour: bool) -> String {
    let mut text = format!("{name}  ");
    if let Some(left) = live.begins_in {
        let which = live.attempt.map_or_else(|| "it".to_owned(), attempt);
        // A second that has begun counts, so that it never says 0 before the time.
        text.push_str(&format!("{which} begins in {} s", left.as_millis().div_ceil(1000)));
        return text;
    }
    if level.attempt
        && let Some(place) = live.attempt.filter(|place| place.number > 1)
    {
        text.push_str(&attempt(place));
        text.push_str("  ");
    }
    let mut time = clock(live.elapsed);
    if level.timeout
        && let Some(timeout) = live.timeout
    {
        time.push_str(&format!(" / {}", clock(timeout)));
    }
    if colour && live.stopping.is_none() && is_late(live) {
        text.push_str(&format!("\x1b[33m{time}\x1b[0m"));
    } else {
        text.push_str(&time);
    }
    if let Some(stopping) = live.stopping {
        text.push_str(&format!("  {}", stop_text(stopping)));
        return text;
    }
    if level.guess
        && let Some(left) = time_left(live)
    {
        text.push_str(&format!("  about {} left", clock(left)));
    }
    if level.silence && live.silent_for >= SILENCE {
        text.push_str(&format!("  silent {}", clock(live.silent_for)));
    }
    text
}

fn attempt(place: Place) -> String {
    format!("attempt {}/{}", place.number, place.of)
}

fn stop_text(stopping: Stopping) -> String {
    match stopping.kill_in {
        _ if stopping.signal == Signal::KILL => "killed".to_owned(),
        // A second that has begun counts, so that it never says 0 before the time.
        Some(left) => {
            format!("stopping: SIG{} sent, KILL in {} s", stopping.signal, left.as_millis().div_ceil(1000))
        }
        None => format!("stopping: SIG{} sent", stopping.signal),
    }
}

/// Minutes and seconds, with hours where there are some: `0:12`, `1:02:03`.
pub(super) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Less than a quarter of the time is left.
pub(super) fn is_late(live: &Live) -> bool {
    live.timeout.is_some_and(|timeout| live.elapsed * 4 >= timeout * 3)
}

/// What the rest will take if it goes on as before, where the job has said enough to tell.
pub(super) fn time_left(live: &Live) -> Option<Duration> {
    let fraction = live.progress?.fraction();
    if !(GUESS_FRACTION..1.0).contains(&fraction) || live.elapsed < GUESS_ELAPSED {
        return None;
    }
    Duration::try_from_secs_f64(live.elapsed.as_secs_f64() * (1.0 - fraction) / fraction).ok()
}

/// The line as indicatif draws it. Texts of the job come in as a message and never as part of the template.
fn draw(live: &Live, gauge: usize, tick: u64, text: &str, colour: bool, width: usize) -> String {
    let (on, off) = if colour { ("\x1b[36m", "\x1b[0m") } else { ("", "") };
    let template = match (live.progress, gauge) {
        (None, _) => format!("{on}{{spinner}}{off} {{msg}}"),
        (Some(_), 0) => "{percent:>3} % {msg}".to_owned(),
        (Some(_), gauge) => format!("[{on}{{bar:{gauge}}}{off}] {{percent:>3}} % {{msg}}"),
    };
    let place = usize::try_from(tick % SPINNER.len() as u64).unwrap_or(0);
    let style = ProgressStyle::with_template(&template)
        .expect("the template is well formed")
        .tick_strings(&[SPINNER[place], SPINNER[place]])
        .progress_chars("=> ");
    let canvas = Canvas { width: u16::try_from(width).unwrap_or(u16::MAX), text: Arc::default() };
    // The default rate would swallow frames that come close together.
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(canvas.clone()), u8::MAX);
    let bar = ProgressBar::with_draw_target(Some(1000), target).with_style(style);
    bar.set_message(text.to_owned());
    // The position is an integer: thousandths, rounded down, so that only what is done is called so.
    let thousandths = live.progress.map_or(0.0, |progress| progress.fraction() * 1000.0);
    bar.set_position(thousandths as u64);
    canvas.clear();
    bar.force_draw();
    let drawn = canvas.text();
    bar.abandon();
    drawn
}

/// A terminal that only keeps the text.
#[derive(Clone, Debug)]
struct Canvas {
    width: u16,
    text: Arc<Mutex<String>>,
}

impl Canvas {
    fn push(&self, text: &str) {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
    }

    fn clear(&self) {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        self.width
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.push(text);
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.push(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.clear();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use console::measure_text_width;

    use super::{Row, frame};
    use crate::model::event::{Live, Place, Stopping};
    use crate::model::outcome::Progress;
    use crate::model::signal::Signal;

    fn live(elapsed: u64, timeout: Option<u64>, fraction: Option<f64>, status: &str) -> Live {
        Live {
            elapsed: Duration::from_secs(elapsed),
            timeout: timeout.map(Duration::from_secs),
            progress: fraction.and_then(Progress::of),
            status: status.to_owned(),
            ..Live::default()
        }
    }

    fn plain(live: &Live, width: usize) -> String {
        let lines = frame(&[Row { name: "build", live }], width, 0, false);
        lines.concat()
    }

    #[test]
    fn a_job_that_says_nothing_has_a_spinner_and_the_time() {
        assert_eq!(plain(&live(12, Some(60), None, ""), 80), "- build  0:12 / 1:00");
        assert_eq!(plain(&live(3723, None, None, "linking"), 80), "- build  1:02:03  linking");
        let row = live(0, None, None, "");
        let turns: Vec<String> =
            (0..5).flat_map(|tick| frame(&[Row { name: "x", live: &row }], 80, tick, false)).collect();
        assert_eq!(turns, ["- x  0:00", "\\ x  0:00", "| x  0:00", "/ x  0:00", "- x  0:00"]);
    }

    #[test]
    fn a_job_with_a_fraction_has_a_gauge_and_a_guess() {
        assert_eq!(
            plain(&live(12, Some(60), Some(0.42), "linking"), 80),
            "[========>           ]  42 % build  0:12 / 1:00  about 0:16 left  linking"
        );
        assert_eq!(plain(&live(12, None, Some(1.0), ""), 80), "[====================] 100 % build  0:12");
        assert_eq!(plain(&live(12, None, Some(0.01), ""), 80), "[>                   ]   1 % build  0:12");
    }

    #[test]
    fn silence_is_named_after_a_while() {
        let mut standing = live(40, None, None, "");
        standing.silent_for = Duration::from_secs(9);
        assert_eq!(plain(&standing, 80), "- build  0:40");
        standing.silent_for = Duration::from_secs(12);
        assert_eq!(plain(&standing, 80), "- build  0:40  silent 0:12");
    }

    #[test]
    fn a_stop_is_counted_down() {
        let mut standing = live(61, Some(60), None, "linking");
        standing.stopping = Some(Stopping { signal: Signal::TERM, kill_in: Some(Duration::from_millis(2100)) });
        assert_eq!(plain(&standing, 80), "- build  1:01 / 1:00  stopping: SIGTERM sent, KILL in 3 s");
        standing.stopping = Some(Stopping { signal: Signal::KILL, kill_in: None });
        assert_eq!(plain(&standing, 80), "- build  1:01 / 1:00  killed");
        let red = frame(&[Row { name: "build", live: &standing }], 80, 0, true).concat();
        assert_eq!(red, "\x1b[31m- build  1:01 / 1:00  killed\x1b[0m");
    }

    #[test]
    fn attempts_after_the_first_are_counted_and_the_wait_for_one_counted_down() {
        let mut standing = live(12, Some(60), None, "linking");
        standing.attempt = Some(Place { number: 1, of: 4 });
        assert_eq!(plain(&standing, 80), "- build  0:12 / 1:00  linking");
        standing.attempt = Some(Place { number: 2, of: 4 });
        assert_eq!(plain(&standing, 80), "- build  attempt 2/4  0:12 / 1:00  linking");
        assert_eq!(plain(&standing, 34), "- build  attempt 2/4  0:12 / 1:00");
        assert_eq!(plain(&standing, 24), "- build  0:12 / 1:00");
        standing = live(1, None, None, "");
        standing.attempt = Some(Place { number: 2, of: 4 });
        standing.begins_in = Some(Duration::from_millis(2_100));
        assert_eq!(plain(&standing, 80), "- build  attempt 2/4 begins in 3 s");
    }

    #[test]
    fn the_last_quarter_is_yellow() {
        let colour = |elapsed| {
            let standing = live(elapsed, Some(60), None, "");
            frame(&[Row { name: "build", live: &standing }], 80, 0, true).concat()
        };
        assert_eq!(colour(44), "\x1b[36m-\x1b[0m build  0:44 / 1:00");
        assert_eq!(colour(45), "\x1b[36m-\x1b[0m build  \x1b[33m0:45 / 1:00\x1b[0m");
    }

    #[test]
    fn a_narrow_terminal_loses_the_message_first() {
        let standing = live(12, Some(60), Some(0.42), "linking the whole program");
        assert_eq!(
            plain(&standing, 80),
            "[========>           ]  42 % build  0:12 / 1:00  about 0:16 left  linking the..."
        );
        assert_eq!(plain(&standing, 70), "[========>           ]  42 % build  0:12 / 1:00  about 0:16 left");
        assert_eq!(plain(&standing, 40), "[====>     ]  42 % build  0:12 / 1:00");
        assert_eq!(plain(&standing, 26), " 42 % build  0:12 / 1:00");
        assert_eq!(plain(&standing, 20), " 42 % build  0:12");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut standings = vec![
            live(12, Some(60), Some(0.42), "日本語 in a message that is long"),
            live(123_456, Some(654_321), None, "x"),
            live(50, Some(60), Some(0.9), ""),
        ];
        let mut stopping = live(61, Some(60), Some(0.5), "");
        stopping.stopping = Some(Stopping { signal: Signal::TERM, kill_in: Some(Duration::from_secs(3)) });
        stopping.silent_for = Duration::from_secs(30);
        standings.push(stopping);
        for standing in &standings {
            for name in ["x", "a rather long name of a job", "日本語日本語日本語日本語", "with\ncontrol\x1b[31m"]
            {
                for width in 1..120 {
                    for colour in [false, true] {
                        let line = frame(&[Row { name, live: standing }], width, 3, colour).concat();
                        assert!(measure_text_width(&line) <= width, "{width}: {line}");
                        assert!(!line.contains('\n'), "{line}");
                        assert!(colour || !line.contains('\x1b'), "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_job_has_its_line() {
        let (first, second) = (live(1, None, None, ""), live(2, None, Some(0.5), ""));
        let lines = frame(&[Row { name: "a", live: &first }, Row { name: "b", live: &second }], 80, 0, false);
        assert_eq!(lines, ["- a  0:01", "[==========>         ]  50 % b  0:02  about 0:02 left"]);
        assert!(frame(&[], 80, 0, false).is_empty());
    }
}
