//! The history for people: a table of everything, and the figures of one with a histogram.

use std::time::Duration;

use crate::model::history_data::{HistogramBucket, HistoryData, HistoryEntry};
use crate::model::printable::clean;
use crate::model::quantity::Seconds;

/// The widest column of names, where nobody says how wide the screen is.
const WIDTH: usize = 100;
/// No column of names is narrower.
const NARROWEST: usize = 12;
/// The longest bar of a histogram.
const BAR: usize = 40;
/// So much of a fingerprint is shown; it suffices to ask for it.
const FINGERPRINT: usize = 12;

/// What bars are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    Blocks,
    Ascii,
}

/// One line for each. `width` is that of the screen, where it is known.
pub fn table(data: &HistoryData, width: Option<usize>) -> String {
    if data.entries.is_empty() {
        return "nothing is recorded yet: exec, op and batch do so with --record\n".to_owned();
    }
    const HEADINGS: [&str; 9] = ["runs", "ok", "failed", "timeouts", "p50", "p95", "max", "memory", "suggested"];
    let rows: Vec<(String, [String; 9])> = data.entries.iter().map(|entry| (called(entry), cells(entry))).collect();
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| rows.iter().map(|(_, cells)| cells[column].len()).chain([HEADINGS[column].len()]).max())
        .map(Option::unwrap_or_default)
        .collect();
    let figures: usize = widths.iter().map(|width| width + 2).sum();
    let room = width.unwrap_or(WIDTH).saturating_sub(figures).max(NARROWEST);
    let longest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let names = longest.clamp("job".len(), room);
    let mut text = String::new();
    let mut line = |name: &str, cells: [&str; 9]| {
        text.push_str(&format!("{:names$}", shortened(name, names)));
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(&format!("  {cell:>width$}"));
        }
        text.push('\n');
    };
    line("job", HEADINGS);
    for (name, cells) in &rows {
        line(name, cells.each_ref().map(String::as_str));
    }
    if data.entries.iter().any(|entry| entry.suggestion_basis.is_none()) {
        text.push_str("* the default: the successes are too few\n");
    }
    let more = data.total.saturating_sub(rows.len() as u64);
    if more > 0 {
        text.push_str(&format!("and {more} more: see --limit\n"));
    }
    text
}

fn cells(entry: &HistoryEntry) -> [String; 9] {
    let figures = entry.success_seconds;
    let time = |found: Option<Seconds>| found.map_or_else(|| "-".to_owned(), |Seconds(duration)| span(duration));
    [
        entry.runs.to_string(),
        entry.successes.to_string(),
        entry.failures.to_string(),
        format!("{} ({})", entry.timeouts, percent(entry.timeout_rate)),
        time(figures.map(|figures| figures.p50)),
        time(figures.map(|figures| figures.p95)),
        time(figures.map(|figures| figures.max)),
        entry.peak_memory_bytes.map_or_else(|| "-".to_owned(), memory),
        format!(
            "{}{}",
            span(entry.suggested_timeout_seconds.0),
            if entry.suggestion_basis.is_some() { "" } else { "*" }
        ),
    ]
}

/// All figures of each.
pub fn details(data: &HistoryData, marks: Marks) -> String {
    let parts: Vec<String> = data.entries.iter().map(|entry| detail(entry, marks)).collect();
    parts.join("\n")
}

fn detail(entry: &HistoryEntry, marks: Marks) -> String {
    let mut text = String::new();
    let mut line = |heading: &str, value: &str| text.push_str(&format!("{heading:<12}{}\n", clean(value)));
    if let Some(name) = &entry.name {
        line("name", name);
    }
    line("command", &entry.command);
    if let Some(fingerprint) = &entry.fingerprint {
        line("fingerprint", fingerprint);
    }
    if let (Some(first), Some(last)) = (&entry.first_at, &entry.last_at) {
        line("recorded", &format!("{first} to {last}"));
    }
    let causes: Vec<String> = entry.causes.iter().map(|(word, count)| format!("{count} {word}")).collect();
    line("runs", &format!("{}: {}", entry.runs, causes.join(", ")));
    line("timeouts", &format!("{}, {} of all runs", entry.timeouts, percent(entry.timeout_rate)));
    match &entry.success_seconds {
        Some(figures) => line(
            "successes",
            &[
                ("min", figures.min),
                ("p50", figures.p50),
                ("p90", figures.p90),
                ("p95", figures.p95),
                ("p99", figures.p99),
                ("max", figures.max),
            ]
            .map(|(word, Seconds(duration))| format!("{word} {}", span(duration)))
            .join(", "),
        ),
        None => line("successes", "none"),
    }
    if let Some(bytes) = entry.peak_memory_bytes {
        line("memory", &format!("{} at most, of one process", memory(bytes)));
    }
    let suggested = span(entry.suggested_timeout_seconds.0);
    match &entry.suggestion_basis {
        Some(basis) => line(
            "suggested",
            &format!(
                "--timeout {suggested}: {} times {}, the trimmed p95 of the last {} successes, within its bounds",
                basis.factor,
                span(basis.trimmed_p95_seconds.0),
                basis.successes
            ),
        ),
        None => line("suggested", &format!("--timeout {suggested}, the default: the successes are too few")),
    }
    if !entry.histogram.is_empty() {
        text.push('\n');
        text.push_str(&bars(&entry.histogram, marks));
    }
    text
}

/// A line for each bucket: successes in full marks, all others in light ones.
fn bars(buckets: &[HistogramBucket], marks: Marks) -> String {
    let (full, light) = match marks {
        Marks::Blocks => ("█", "░"),
        Marks::Ascii => ("#", "-"),
    };
    let most = buckets.iter().map(|bucket| bucket.successes + bucket.others).max().unwrap_or_default().max(1);
    // What there is at all is seen: a mark is a run, or the share of one where there are too many.
    let length = |count: u64| {
        let scaled = if most <= BAR as u64 { count } else { (count * BAR as u64).div_ceil(most) };
        usize::try_from(scaled).unwrap_or(BAR)
    };
    let bound = |at: &HistogramBucket| format!("{} to {}", span(at.from_seconds.0), span(at.to_seconds.0));
    let width = buckets.iter().map(|bucket| bound(bucket).len()).max().unwrap_or_default();
    let mut text = String::new();
    for bucket in buckets {
        let bar = format!("{}{}", full.repeat(length(bucket.successes)), light.repeat(length(bucket.others)));
        let count = bucket.successes + bucket.others;
        let line = format!("{:>width$}  {count:>5}  {bar}", bound(bucket));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if buckets.iter().any(|bucket| bucket.others > 0) {
        text.push_str(&format!("{full} successes, {light} others\n"));
    }
    text
}

/// What it is called in a list: its name, or its command and what to ask for it by.
fn called(entry: &HistoryEntry) -> String {
    clean(&match (&entry.name, &entry.fingerprint) {
        (None, Some(fingerprint)) => {
            format!("{} {}", &fingerprint[..fingerprint.floor_char_boundary(FINGERPRINT)], entry.command)
        }
        (name, _) => name.as_ref().unwrap_or(&entry.command).clone(),
    })
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(3)).collect();
    format!("{kept}...")
}

/// A duration as options have it, with three digits that matter.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let plain = |number: f64, unit: &str| {
        let digits = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
        let text = format!("{number:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{text}{unit}")
    };
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    };
    match seconds {
        0 if duration.is_zero() => "0s".to_owned(),
        0 => plain(duration.as_secs_f64() * 1e3, "ms"),
        1..60 => plain(duration.as_secs_f64(), "s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "m"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 10.0 { format!("{percent:.0}%") } else { format!("{percent:.1}%") }
}

fn memory(bytes: u64) -> String {
    let (mut number, mut unit) = (bytes as f64 / 1024.0, 0);
    while number >= 1000.0 && unit < 3 {
        number /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(number < 10.0);
    format!("{number:.digits$}{}", ["K", "M", "G", "T"][unit])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Marks, details, memory, percent, span, table};
    use crate::model::history_data::{DurationFigures, HistogramBucket, HistoryData, HistoryEntry, SuggestionBasis};
    use crate::model::quantity::Seconds;

    fn seconds(seconds: u64) -> Seconds {
        Seconds(Duration::from_secs(seconds))
    }

    fn bucket(from: u64, to: u64, successes: u64, others: u64) -> HistogramBucket {
        HistogramBucket { from_seconds: seconds(from), to_seconds: seconds(to), successes, others }
    }

    fn build() -> HistoryEntry {
        let at = seconds(30);
        HistoryEntry {
            name: Some("build".to_owned()),
            command: "make\nall".to_owned(),
            fingerprint: None,
            runs: 10,
            successes: 9,
            failures: 0,
            timeouts: 1,
            cancelled: 0,
            timeout_rate: 0.1,
            causes: [("success".to_owned(), 9), ("timeout".to_owned(), 1)].into(),
            first_at: Some("2026-11-01T00:00:00.000Z".to_owned()),
            last_at: Some("2026-11-02T00:00:00.000Z".to_owned()),
            success_seconds: Some(DurationFigures { min: seconds(8), p50: at, p90: at, p95: at, p99: at, max: at }),
            peak_memory_bytes: Some(5 << 20),
            suggested_timeout_seconds: seconds(60),
            suggestion_basis: Some(SuggestionBasis { successes: 9, trimmed_p95_seconds: at, factor: 2.0 }),
            histogram: vec![bucket(5, 10, 1, 0), bucket(10, 20, 0, 0), bucket(20, 50, 8, 1)],
        }
    }

    fn fetch() -> HistoryEntry {
        HistoryEntry {
            name: None,
            command: "fetch".to_owned(),
            fingerprint: Some("0123456789abcdef0123456789abcdef".to_owned()),
            runs: 1,
            successes: 0,
            failures: 1,
            timeouts: 0,
            timeout_rate: 0.0,
            causes: [("failed".to_owned(), 1)].into(),
            success_seconds: None,
            peak_memory_bytes: None,
            suggested_timeout_seconds: seconds(3600),
            suggestion_basis: None,
            histogram: Vec::new(),
            ..build()
        }
    }

    #[test]
    fn a_table_has_a_line_for_each() {
        let data = HistoryData { entries: vec![build(), fetch()], total: 7 };
        let expected = "\
job                 runs  ok  failed  timeouts  p50  p95  max  memory  suggested
build                 10   9       0   1 (10%)  30s  30s  30s    5.0M         1m
0123456789ab fetch     1   0       1    0 (0%)    -    -    -       -        1h*
* the default: the successes are too few
and 5 more: see --limit
";
        assert_eq!(table(&data, None), expected);
        let narrow = table(&data, Some(40));
        assert!(narrow.contains("\n012345678...     1"), "{narrow}");
        assert!(table(&HistoryData { entries: Vec::new(), total: 0 }, None).contains("--record"));
    }

    #[test]
    fn one_is_told_with_all_its_figures() {
        let data = HistoryData { entries: vec![build(), fetch()], total: 2 };
        let expected = "\
name        build
command     make all
recorded    2026-11-01T00:00:00.000Z to 2026-11-02T00:00:00.000Z
runs        10: 9 success, 1 timeout
timeouts    1, 10% of all runs
successes   min 8s, p50 30s, p90 30s, p95 30s, p99 30s, max 30s
memory      5.0M at most, of one process
suggested   --timeout 1m: 2 times 30s, the trimmed p95 of the last 9 successes, within its bounds

 5s to 10s      1  #
10s to 20s      0
20s to 50s      9  ########-
# successes, - others

command     fetch
fingerprint 0123456789abcdef0123456789abcdef
recorded    2026-11-01T00:00:00.000Z to 2026-11-02T00:00:00.000Z
runs        1: 1 failed
timeouts    0, 0% of all runs
successes   none
suggested   --timeout 1h, the default: the successes are too few
";
        assert_eq!(details(&data, Marks::Ascii), expected);
        assert!(details(&data, Marks::Blocks).contains("9  ████████░\n"));
    }

    #[test]
    fn a_bar_has_room_and_a_single_run_is_seen() {
        let buckets = vec![bucket(1, 2, 1000, 0), bucket(2, 5, 0, 1)];
        let entry = HistoryEntry { histogram: buckets, ..build() };
        let text = details(&HistoryData { entries: vec![entry], total: 1 }, Marks::Ascii);
        assert!(text.contains(&format!("1000  {}\n", "#".repeat(40))), "{text}");
        assert!(text.contains("2s to 5s      1  -\n"), "{text}");
    }

    #[test]
    fn quantities_are_short() {
        for (millis, expected) in [
            (0, "0s"),
            (1, "1ms"),
            (250, "250ms"),
            (1_500, "1.5s"),
            (12_345, "12.3s"),
            (59_999, "60s"),
            (60_000, "1m"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (5_460_000, "1h31m"),
            (180_000_000, "2d2h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), expected);
        }
        assert_eq!(span(Duration::from_micros(1_234)), "1.23ms");
        assert_eq!([0.0, 0.004, 0.0999, 0.1, 1.0].map(percent), ["0%", "0.4%", "10.0%", "10%", "100%"]);
        assert_eq!(
            [1024, 5 << 20, 123 << 20, 1500 << 20, 3 << 40].map(memory),
            ["1.0K", "5.0M", "123M", "1.5G", "3.0T"]
        );
    }
}
