//! The tasks of the queue for people: a table of many, all about one, figures, and what became of an order.
//!
//! Pure: data and the present time in, text out, each line with its newline. Called by the verbs of `runner task` where no
//! JSON was asked for.

use std::time::{Duration, SystemTime};

use crate::model::printable::clean;
use crate::model::queue_data::{CleanData, PausedData, TaskStatesData};
use crate::model::task::TaskStatus;
use crate::render::paint::Paint;

#[cfg(test)]
pub(super) mod fixture;
mod list;
mod stats;
mod status;

pub use list::list;
pub use stats::stats;
pub use status::task;

pub(super) use stats::groups;

/// The width of the labels before facts.
pub(super) const LABEL: usize = 11;

/// How tasks stand now, a line each, for scripts too: the whole id and the status.
pub fn states(data: &TaskStatesData) -> String {
    data.tasks.iter().map(|task| format!("{} {}\n", clean(&task.task_id), task.status)).collect()
}

/// What a pause, or its end, means.
pub fn paused(data: &PausedData) -> String {
    let (whose, option) = match data.group.as_deref().map(clean) {
        Some(group) => (format!("of the group {group}"), format!(" --group {group}")),
        None => ("of the queue".to_owned(), String::new()),
    };
    match data.paused {
        true => format!("no task {whose} begins until 'runner task resume{option}'; those that run go on\n"),
        false => format!("tasks {whose} begin again\n"),
    }
}

/// How many tasks were removed.
pub fn cleaned(data: &CleanData) -> String {
    match data.removed {
        1 => "removed 1 task with its logs\n".to_owned(),
        removed => format!("removed {removed} tasks with their logs\n"),
    }
}

/// How long ago that was.
fn since(time: &str, now: Duration) -> Option<Duration> {
    Some(now.saturating_sub(instant(time)?))
}

/// How long until then; nothing where it has passed.
fn until(time: &str, now: Duration) -> Option<Duration> {
    instant(time)?.checked_sub(now).filter(|left| !left.is_zero())
}

/// A time of an answer, since the Unix epoch.
fn instant(time: &str) -> Option<Duration> {
    humantime::parse_rfc3339_weak(time).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// In the largest unit alone: `3s`, `5m`, `2h`, `9d`.
fn rough(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// In two units: `0.3s`, `42s`, `4m05s`, `2h07m`, `3d04h`.
fn exact(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1}s", (duration.as_secs_f64() * 10.0).floor() / 10.0),
        seconds @ 10..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        seconds @ 3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        seconds => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// The same of a number of seconds.
fn exact_seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "-".to_owned(), exact)
}

/// Dresses a text that stands for this status.
fn dressed(status: TaskStatus, text: &str, paint: &Paint) -> String {
    match status {
        TaskStatus::Pending => text.to_owned(),
        TaskStatus::Running => paint.warn(text),
        TaskStatus::Completed => paint.good(text),
        TaskStatus::Failed => paint.bad(text),
        TaskStatus::Cancelled => paint.dim(text),
    }
}

/// The cells of each row, filled up so that columns are aligned: to the left, or to the right where `right` says so.
fn table(rows: &[Vec<String>], right: &[usize]) -> Vec<Vec<String>> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cell_width = |text: &String| console::measure_text_width(text);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(cell_width).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let filled = |row: &Vec<String>| -> Vec<String> {
        let cells = row.iter().enumerate().map(|(column, text)| {
            let blanks = " ".repeat(widths[column].saturating_sub(cell_width(text)));
            if right.contains(&column) { blanks + text } else { text.clone() + &blanks }
        });
        cells.collect()
    };
    rows.iter().map(filled).collect()
}

/// The same as text.
fn table_text(rows: &[Vec<String>], right: &[usize]) -> String {
    table(rows, right).iter().map(|row| format!("{}\n", row.join("  ").trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{cleaned, exact, paused, rough, since, states, until};
    use crate::model::queue_data::{CleanData, PausedData, TaskState, TaskStatesData};
    use crate::model::task::TaskStatus;

    #[test]
    fn durations_are_short() {
        for (millis, rough_text, exact_text) in [
            (0, "0s", "0.0s"),
            (390, "0s", "0.3s"),
            (9_999, "9s", "9.9s"),
            (42_900, "42s", "42s"),
            (245_000, "4m", "4m05s"),
            (7_620_000, "2h", "2h07m"),
            (273_600_000, "3d", "3d04h"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!((rough(duration).as_str(), exact(duration).as_str()), (rough_text, exact_text));
        }
    }

    #[test]
    fn times_are_seen_from_now() {
        let now = Duration::from_secs(100);
        assert_eq!(since("1970-01-01T00:01:00.000Z", now), Some(Duration::from_secs(40)));
        assert_eq!(since("1970-01-01T00:02:00.000Z", now), Some(Duration::ZERO), "another clock is ahead");
        assert_eq!(until("1970-01-01T00:02:00.500Z", now), Some(Duration::from_millis(20_500)));
        assert_eq!((until("1970-01-01T00:01:00.000Z", now), since("odd", now)), (None, None));
    }

    #[test]
    fn what_became_of_an_order_is_said_in_a_line() {
        let state = |id: &str, status| TaskState { task_id: id.to_owned(), status };
        let data = TaskStatesData { tasks: vec![state("01", TaskStatus::Cancelled), state("02", TaskStatus::Running)] };
        assert_eq!(states(&data), "01 cancelled\n02 running\n");
        let pause = |paused, group: Option<&str>| PausedData { paused, group: group.map(str::to_owned) };
        for (data, text) in [
            (pause(true, None), "no task of the queue begins until 'runner task resume'; those that run go on\n"),
            (
                pause(true, Some("net")),
                "no task of the group net begins until 'runner task resume --group net'; those that run go on\n",
            ),
            (pause(false, None), "tasks of the queue begin again\n"),
            (pause(false, Some("net")), "tasks of the group net begin again\n"),
        ] {
            assert_eq!(paused(&data), text);
        }
        assert_eq!(cleaned(&CleanData { removed: 1 }), "removed 1 task with its logs\n");
        assert_eq!(cleaned(&CleanData { removed: 0 }), "removed 0 tasks with their logs\n");
    }
}
