//! The end of a batch for people, on stderr: how many jobs came to what, which took longest, and why the others failed.
//!
//! It is told of each job as it ends and keeps only what it will show, so that it needs no more room for a million jobs
//! than for a hundred.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use crate::model::batch::{Counts, Ended, Verdict};
use crate::model::envelope::Envelope;
use crate::model::printable::clean;
use crate::render::Style;
use crate::render::paint::Paint;
use crate::render::records::story;

const SLOWEST: usize = 5;
/// A shorter job is not slow.
const SLOW: Duration = Duration::from_millis(100);
/// Failures that are shown; the others are counted.
const FAILURES: usize = 20;
const OUTPUT_LINES: usize = 5;
/// Of the skipped jobs, which all have their reason in a failure, so many.
const SKIPPED: usize = 3;
const FLAKY: usize = 5;
/// Where no width is known.
const WIDTH: usize = 120;
const LEAST_WIDTH: usize = 40;
/// No line is kept that is longer, however wide the terminal.
const LINE_LIMIT: usize = 1000;

/// What is kept until the end.
#[derive(Debug, Default)]
pub struct BatchSummary {
    slowest: BinaryHeap<Reverse<(Duration, Reverse<u64>, String)>>,
    failures: VecDeque<Trouble>,
    flaky: Vec<Trouble>,
    skipped: Vec<Trouble>,
}

/// A job that is named.
#[derive(Debug)]
struct Trouble {
    title: String,
    headline: String,
    lines: Vec<String>,
}

/// What is known besides at the end.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    pub counts: Counts,
    pub elapsed: Duration,
    /// Why the batch ended before its list did.
    pub stopped_because: Option<String>,
    /// The command that runs the rest, where there is a journal.
    pub again: Option<String>,
    /// Columns of the terminal.
    pub width: Option<usize>,
}

impl BatchSummary {
    pub fn new() -> Self {
        Self::default()
    }

    /// A job is over.
    pub fn note(&mut self, ended: &Ended, envelope: &Envelope) {
        if ended.duration() >= SLOW {
            self.slowest.push(Reverse((ended.duration(), Reverse(ended.seq), kept(&ended.title))));
            if self.slowest.len() > SLOWEST {
                self.slowest.pop();
            }
        }
        match ended.verdict {
            Verdict::Succeeded => {}
            Verdict::Flaky if self.flaky.len() < FLAKY => self.flaky.push(trouble(ended, envelope)),
            Verdict::Skipped if self.skipped.len() < SKIPPED => self.skipped.push(trouble(ended, envelope)),
            Verdict::Flaky | Verdict::Skipped => {}
            // What was cancelled was cut off by something else: it has to stand behind what failed by itself.
            Verdict::Cancelled => {
                if self.failures.len() < FAILURES {
                    self.failures.push_back(trouble(ended, envelope));
                }
            }
            Verdict::Failed | Verdict::TimedOut => {
                let place = self.failures.iter().position(|known| known.headline == CANCELLED);
                let place = place.unwrap_or(self.failures.len());
                if place < FAILURES {
                    self.failures.insert(place, trouble(ended, envelope));
                    self.failures.truncate(FAILURES);
                }
            }
        }
    }

    /// The whole text, each line with its newline.
    pub fn render(&self, ending: &Ending, style: Style) -> String {
        let paint = Paint { on: style.colour };
        let width = ending.width.unwrap_or(WIDTH).max(LEAST_WIDTH);
        let mut text = String::new();
        let counts = &ending.counts;
        self.write_troubles(&mut text, ending, &paint, width);
        if self.slowest.len() > 1 {
            text.push_str("slowest:\n");
            for (lasted, title) in self.slowest() {
                let _ = writeln!(text, "{}", cut(&format!("  {:>12}  {title}", story::lasting(lasted)), width));
            }
        }
        let headline = format!("runner: {}", tally(counts, ending.elapsed));
        let headline = if counts.failed + counts.timed_out > 0 {
            paint.bad(&headline)
        } else if counts.ended() > counts.succeeded {
            paint.warn(&headline)
        } else {
            paint.good(&headline)
        };
        let _ = writeln!(text, "{headline}");
        if let Some(because) = &ending.stopped_because {
            let _ = writeln!(text, "  ended early: {}", clean(because));
        }
        if counts.unsuccessful() > 0
            && let Some(again) = &ending.again
        {
            // Never cut: it is there to be copied.
            let _ = writeln!(text, "  {} {}", paint.dim("run the rest with:"), clean(again));
        }
        text
    }

    fn write_troubles(&self, text: &mut String, ending: &Ending, paint: &Paint, width: usize) {
        let counts = &ending.counts;
        if !self.failures.is_empty() {
            text.push_str("failures:\n");
        }
        for failure in &self.failures {
            let line = failure.line(width);
            let _ = writeln!(text, "{}", paint.bad(&line));
            for line in &failure.lines {
                // A mark before each line, so that no reader of the log takes it for a command.
                let _ = writeln!(text, "{}", cut(&format!("    | {line}"), width));
            }
        }
        write_more(text, counts.failed + counts.timed_out + counts.cancelled, self.failures.len());
        for (title, list, count) in [("flaky:", &self.flaky, counts.flaky), ("skipped:", &self.skipped, counts.skipped)]
        {
            if !list.is_empty() {
                let _ = writeln!(text, "{title}");
            }
            for trouble in list {
                let _ = writeln!(text, "{}", trouble.line(width));
            }
            write_more(text, count, list.len());
        }
    }

    /// The slowest first.
    fn slowest(&self) -> Vec<(Duration, &str)> {
        let mut slowest: Vec<_> = self.slowest.iter().map(|Reverse(job)| job).collect();
        slowest.sort_by_key(|(lasted, seq, _)| Reverse((*lasted, *seq)));
        slowest.into_iter().map(|(lasted, _, title)| (*lasted, title.as_str())).collect()
    }
}

impl Trouble {
    /// One line of at most so many columns. Rather than what went wrong the title is cut.
    fn line(&self, width: usize) -> String {
        let room = width.saturating_sub(console::measure_text_width(&self.headline) + MARKS).max(LEAST_TITLE);
        cut(&format!("  - {}: {}", cut(&self.title, room), self.headline), width)
    }
}

/// What stands around title and headline.
const MARKS: usize = "  - : ".len();
/// So much of a title always stands.
const LEAST_TITLE: usize = 20;

/// The headline of every job that was cancelled.
const CANCELLED: &str = "CANCELLED";

fn trouble(ended: &Ended, envelope: &Envelope) -> Trouble {
    // The title stands before it.
    let cause = story::cause(ended, envelope);
    let cause = kept(cause.strip_prefix(&format!("{} ", ended.title)).unwrap_or(&cause));
    let headline = match ended.verdict {
        Verdict::Cancelled => CANCELLED.to_owned(),
        Verdict::Skipped => cause,
        Verdict::Flaky => format!("succeeded in attempt {}, {cause}", ended.attempts.len()),
        Verdict::Succeeded | Verdict::Failed | Verdict::TimedOut => {
            let code = story::error(ended, envelope).map(|error| error.code);
            let code = code.or_else(|| ended.attempts.last().and_then(|attempt| attempt.code));
            let attempts = match ended.attempts.len() {
                0 | 1 => String::new(),
                count => format!(" ({count} attempts)"),
            };
            match code {
                Some(code) => format!("{}: {cause}{attempts}", story::code_name(code)),
                None => format!("{cause}{attempts}"),
            }
        }
    };
    let mut lines = Vec::new();
    if matches!(ended.verdict, Verdict::Failed | Verdict::TimedOut)
        && let Some(output) = story::output(envelope)
    {
        let text = console::strip_ansi_codes(story::tail(story::telling(output), OUTPUT_LINES * LINE_LIMIT).0);
        // What a line overwrote was not meant to stay.
        let last = |line: &str| kept(line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default());
        lines = story::last_lines(&text, OUTPUT_LINES).into_iter().map(last).collect();
    }
    Trouble { title: kept(&ended.title), headline, lines }
}

/// A text as it is kept: on one line, harmless and not endless. Nor is it a command for a CI system's log, which looks
/// for some of them at the start of a line, where a title never stands here, and for others anywhere.
fn kept(text: &str) -> String {
    clean(&story::shortened(text, LINE_LIMIT)).replace("##[", "# #[")
}

/// The text in so many columns.
fn cut(text: &str, width: usize) -> String {
    console::truncate_str(text.trim_end(), width, "...").into_owned()
}

fn write_more(text: &mut String, count: u64, shown: usize) {
    let more = count.saturating_sub(shown as u64);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
}

/// `42 jobs: 38 succeeded, 1 flaky, 2 failed, 1 timed out, 0 skipped in 12.3 s`
pub fn tally(counts: &Counts, elapsed: Duration) -> String {
    let jobs = match counts.ended() {
        1 => "1 job".to_owned(),
        count => format!("{count} jobs"),
    };
    let mut parts = vec![format!("{} succeeded", counts.succeeded)];
    let mut part = |count: u64, word: &str, always: bool| {
        if count > 0 || always {
            parts.push(format!("{count} {word}"));
        }
    };
    part(counts.flaky, "flaky", false);
    part(counts.failed, "failed", true);
    part(counts.timed_out, "timed out", false);
    part(counts.cancelled, "cancelled", false);
    part(counts.skipped, "skipped", false);
    let before = if counts.resumed > 0 { format!(", {} done before", counts.resumed) } else { String::new() };
    format!("{jobs}: {}{before} in {}", parts.join(", "), story::lasting(elapsed))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BatchSummary, Ending, tally};
    use crate::model::batch::Counts;
    use crate::render::Style;
    use crate::render::records::fixture::{Story, failed_attempt, summary};

    fn text(stories: Vec<Story>, ending: Ending) -> String {
        let mut kept = BatchSummary::new();
        let counts = summary(&stories).counts;
        for story in stories {
            let (ended, envelope) = story.build();
            kept.note(&ended, &envelope);
        }
        kept.render(&Ending { counts, elapsed: Duration::from_millis(12_340), ..ending }, Style::default())
    }

    #[test]
    fn a_batch_without_trouble_is_little_to_tell() {
        assert_eq!(text(vec![Story::success()], Ending::default()), "runner: 1 job: 1 succeeded, 0 failed in 12.3 s\n");
    }

    #[test]
    fn failures_are_told_with_code_cause_and_last_lines() {
        let mut failed = Story::exit(3).titled("compile");
        failed.stderr = b"one\n\ntwo\x1b[31m\x1b[2J\nthree\r50%\r100%\r\nfour\nfive\nsix ::error::x\n".to_vec();
        failed.attempts = vec![failed_attempt(1, 1, 1.0), failed_attempt(2, 3, 1.0)];
        let quick = Story { seq: 2, lasted: Duration::from_secs(90), ..Story::success().titled("quick") };
        let stories = vec![failed, quick, Story::timeout().titled("slow"), Story::skipped("job 'compile' failed")];
        let ending = Ending {
            again: Some("runner batch --resume J jobs.jsonl".to_owned()),
            stopped_because: Some("--max-failures 1 was reached".to_owned()),
            ..Ending::default()
        };
        assert_eq!(
            text(stories, ending),
            "failures:\n\
             \x20 - compile: COMMAND_FAILED: echo one exited with code 3 (2 attempts)\n\
             \x20   | two\n\
             \x20   | 100%\n\
             \x20   | four\n\
             \x20   | five\n\
             \x20   | six ::error::x\n\
             \x20 - slow: TIMEOUT: Operation exceeded timeout of 12 seconds\n\
             skipped:\n\
             \x20 - one: job 'compile' failed\n\
             slowest:\n\
             \x20   1 min 30 s  quick\n\
             \x20       12.3 s  compile\n\
             \x20       12.3 s  slow\n\
             runner: 4 jobs: 1 succeeded, 1 failed, 1 timed out, 1 skipped in 12.3 s\n\
             \x20 ended early: --max-failures 1 was reached\n\
             \x20 run the rest with: runner batch --resume J jobs.jsonl\n"
        );
    }

    #[test]
    fn what_failed_by_itself_comes_before_what_was_cancelled() {
        let mut stories: Vec<Story> = (0..30).map(|_| Story::cancelled().titled("late")).collect();
        stories.extend((0..15).map(|_| Story::exit(1).titled("early")));
        let text = text(stories, Ending::default());
        assert_eq!(text.matches("  - early: COMMAND_FAILED").count(), 15);
        assert_eq!(text.matches("  - late: CANCELLED\n").count(), 5);
        assert!(text.find("early").unwrap() < text.find("late").unwrap());
        assert!(text.contains("\n  and 25 more\n"), "{text}");
    }

    #[test]
    fn no_line_is_a_command_for_a_log() {
        let mut failed = Story::exit(1).titled("::add-mask::x");
        failed.stdout = b"::error::x\n##[error]y\n  ##[group]z\n".to_vec();
        let text = text(vec![failed, Story::skipped("::error::x").titled("##[error]x")], Ending::default());
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::") || line.contains("##[")), "{text}");
    }

    #[test]
    fn quick_jobs_are_not_called_slow() {
        let quick = || Story { lasted: Duration::from_millis(99), ..Story::success() };
        assert!(!text(vec![quick(), quick(), Story::success()], Ending::default()).contains("slowest"));
    }

    #[test]
    fn a_flaky_job_is_named() {
        let text = text(vec![Story::flaky()], Ending::default());
        assert!(text.starts_with("flaky:\n  - one: succeeded in attempt 2, echo one exited with code 1\n"), "{text}");
        assert!(text.ends_with("runner: 1 job: 0 succeeded, 1 flaky, 0 failed in 12.3 s\n"), "{text}");
    }

    #[test]
    fn lines_are_cut_to_the_width_and_nothing_grows() {
        let mut kept = BatchSummary::new();
        for number in 0..10_000 {
            let mut story = Story::exit(1).titled(&"wide ".repeat(2000));
            story.seq = number;
            story.stdout = vec![b'x'; 10_000];
            let (ended, envelope) = story.build();
            kept.note(&ended, &envelope);
        }
        let counts = Counts { failed: 10_000, ..Counts::default() };
        let ending = Ending { counts, width: Some(50), ..Ending::default() };
        let text = kept.render(&ending, Style::default());
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert!(
            text.lines()
                .filter(|line| line.starts_with("  - wide") || line.starts_with("    |"))
                .all(|line| line.len() == 50)
        );
        assert!(text.contains("\n  and 9980 more\n"));
        assert_eq!(text.lines().count(), 1 + 20 * 2 + 1 + 1 + 5 + 1);
    }

    #[test]
    fn colours_are_taken_only_where_they_are_wanted() {
        let (ended, envelope) = Story::exit(1).build();
        let mut kept = BatchSummary::new();
        kept.note(&ended, &envelope);
        let style = Style { colour: true, terminal: true };
        assert!(kept.render(&Ending::default(), style).contains("\x1b[1;31m  - one: COMMAND_FAILED"));
    }

    #[test]
    fn counts_are_said_in_one_line() {
        let counts = Counts { succeeded: 38, flaky: 1, failed: 2, timed_out: 1, cancelled: 0, skipped: 0, resumed: 7 };
        assert_eq!(
            tally(&counts, Duration::from_millis(12_300)),
            "42 jobs: 38 succeeded, 1 flaky, 2 failed, 1 timed out, 7 done before in 12.3 s"
        );
    }
}
