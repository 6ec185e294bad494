//! What GitHub Actions reads from files: the summary of a step as Markdown, and its outputs as `name=value` lines.
//!
//! A summary of a step is dropped as a whole where it is larger than one MiB, so this one keeps well below: what did not
//! succeed comes first, and what does not fit is counted.

use std::fmt::Write as _;

use crate::model::batch::{Ended, Verdict};
use crate::model::envelope::Envelope;
use crate::model::printable::clean;
use crate::render::records::{Record, Summary, story};

/// Bytes of rows that are kept: of jobs that did not succeed at once, and of all others.
const TROUBLED_LIMIT: usize = 384 * 1024;
const PLAIN_LIMIT: usize = 128 * 1024;
const CELL_LIMIT: usize = 500;

/// The table of the step's summary.
#[derive(Debug)]
pub(super) struct StepSummary {
    batch: String,
    troubled: Rows,
    plain: Rows,
}

/// Rows up to a limit, and how many there are beyond it.
#[derive(Debug)]
struct Rows {
    text: String,
    limit: usize,
    omitted: u64,
}

impl Rows {
    fn new(limit: usize) -> Self {
        Self { text: String::new(), limit, omitted: 0 }
    }

    fn push(&mut self, row: &str) {
        // Once one did not fit none does, so that none is missing from the middle.
        if self.omitted > 0 || self.text.len() + row.len() > self.limit {
            self.omitted += 1;
        } else {
            self.text.push_str(row);
        }
    }
}

impl StepSummary {
    pub(super) fn new(batch: &str) -> Self {
        Self { batch: batch.to_owned(), troubled: Rows::new(TROUBLED_LIMIT), plain: Rows::new(PLAIN_LIMIT) }
    }
}

impl Record for StepSummary {
    fn job(&mut self, ended: &Ended, envelope: &Envelope, _: &mut Vec<u8>) {
        let time = if ended.started_at.is_some() { story::lasting(ended.duration()) } else { String::new() };
        let row = format!(
            "| {} | {} {} | {} | {time} | {} |\n",
            cell(&ended.title),
            sign(ended.verdict),
            story::word(ended.verdict),
            ended.attempts.len(),
            cell(&story::cause(ended, envelope))
        );
        let rows = if ended.verdict == Verdict::Succeeded { &mut self.plain } else { &mut self.troubled };
        rows.push(&row);
    }

    fn end(&mut self, summary: &Summary, out: &mut Vec<u8>) {
        let mut text = String::new();
        let counts = &summary.counts;
        let _ = write!(text, "### {}: ", cell(if self.batch.is_empty() { "batch" } else { &self.batch }));
        let _ = writeln!(text, "{} in {}\n", tally(summary), story::lasting(summary.elapsed));
        if counts.ended() > 0 {
            text.push_str("| Job | Result | Attempts | Time | Cause |\n| --- | --- | ---: | ---: | --- |\n");
            text.push_str(&self.troubled.text);
            text.push_str(&self.plain.text);
            text.push('\n');
        }
        let omitted = self.troubled.omitted + self.plain.omitted;
        if omitted > 0 {
            let _ = writeln!(text, "{omitted} more jobs are not in this table.\n");
        }
        out.extend_from_slice(text.as_bytes());
    }
}

/// The counts that are not zero, in words.
fn tally(summary: &Summary) -> String {
    let counts = &summary.counts;
    let mut parts = vec![format!("{} succeeded", counts.succeeded)];
    for (count, word) in [
        (counts.flaky, "flaky"),
        (counts.failed, "failed"),
        (counts.timed_out, "timed out"),
        (counts.cancelled, "cancelled"),
        (counts.skipped, "skipped"),
        (counts.resumed, "done before"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    parts.join(", ")
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Succeeded => "✅",
        Verdict::Flaky => "⚠️",
        Verdict::Failed => "❌",
        Verdict::TimedOut => "⏰",
        Verdict::Cancelled => "🛑",
        Verdict::Skipped => "⏭️",
    }
}

/// Text in a table: on one line, and nothing in it is markup. References stand for what Markdown or HTML would take.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for c in clean(&story::shortened(text, CELL_LIMIT)).chars() {
        match c {
            '|' | '&' | '<' | '>' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '#' | '!' | '@' | '$' => {
                let _ = write!(cell, "&#{};", u32::from(c));
            }
            c => cell.push(c),
        }
    }
    cell
}

/// The counts as outputs of the step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outputs;

impl Record for Outputs {
    fn job(&mut self, _: &Ended, _: &Envelope, _: &mut Vec<u8>) {}

    fn end(&mut self, summary: &Summary, out: &mut Vec<u8>) {
        let counts = &summary.counts;
        let mut text = String::new();
        for (name, count) in [
            ("total", counts.ended()),
            ("succeeded", counts.succeeded),
            ("flaky", counts.flaky),
            ("failed", counts.failed),
            ("timed-out", counts.timed_out),
            ("cancelled", counts.cancelled),
            ("skipped", counts.skipped),
            ("resumed", counts.resumed),
        ] {
            let _ = writeln!(text, "{name}={count}");
        }
        let _ = writeln!(text, "seconds={}", story::seconds(summary.elapsed));
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Outputs, PLAIN_LIMIT, StepSummary, TROUBLED_LIMIT, cell};
    use crate::render::records::fixture::{Story, summary};
    use crate::render::records::{Record, Summary};

    fn table(stories: Vec<Story>) -> String {
        let mut record = StepSummary::new("tests");
        let summary = summary(&stories);
        let mut out = Vec::new();
        for story in stories {
            let (ended, envelope) = story.build();
            record.job(&ended, &envelope, &mut out);
        }
        assert!(out.is_empty(), "nothing is written before the end");
        record.end(&summary, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_did_not_succeed_comes_first() {
        let stories = vec![Story::success().titled("a"), Story::flaky().titled("b"), Story::skipped("job 'a' failed")];
        assert_eq!(
            table(stories),
            "### tests: 1 succeeded, 1 flaky, 1 skipped in 42.0 s\n\n\
             | Job | Result | Attempts | Time | Cause |\n\
             | --- | --- | ---: | ---: | --- |\n\
             | b | ⚠️ flaky | 2 | 12.3 s | echo one exited with code 1 |\n\
             | one | ⏭️ skipped | 0 |  | job 'a' failed |\n\
             | a | ✅ succeeded | 1 | 12.3 s |  |\n\n"
        );
    }

    #[test]
    fn no_text_breaks_the_table() {
        assert_eq!(cell("a|b\nc <b>`x`</b> \\| &"), "a&#124;b c &#60;b&#62;&#96;x&#96;&#60;/b&#62; &#92;&#124; &#38;");
        let text = table(vec![Story::exit(1).titled("x\n| y | z |\n# t")]);
        assert!(text.contains("\n| x &#124; y &#124; z &#124; &#35; t | ❌ failed | 1 |"), "{text}");
    }

    #[test]
    fn a_summary_stays_below_a_mebibyte() {
        let mut record = StepSummary::new("");
        let mut out = Vec::new();
        for number in 0..20_000 {
            let story = if number % 2 == 0 { Story::exit(1) } else { Story::success() };
            let (ended, envelope) = story.titled(&format!("{number}{}", "|".repeat(300))).build();
            record.job(&ended, &envelope, &mut out);
        }
        record.end(&Summary { ..summary(&[Story::success()]) }, &mut out);
        assert!(out.len() < TROUBLED_LIMIT + PLAIN_LIMIT + 1000);
        let text = String::from_utf8(out).unwrap();
        let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains("&#124;")).count();
        assert!(text.ends_with(&format!("\n{} more jobs are not in this table.\n\n", 20_000 - rows)));
    }

    #[test]
    fn outputs_are_counts() {
        let mut out = Vec::new();
        let summary = summary(&[Story::success(), Story::timeout(), Story::exit(1), Story::exit(2)]);
        Outputs.end(&Summary { elapsed: Duration::from_millis(1500), ..summary }, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "total=4\nsucceeded=1\nflaky=0\nfailed=2\ntimed-out=1\ncancelled=0\nskipped=0\nresumed=0\nseconds=1.500\n"
        );
    }
}
