//! Figures about the queue: how many tasks stand how, how long they wait and run.

use std::fmt::Write as _;

use crate::model::percentiles::Percentiles;
use crate::model::printable::clean;
use crate::model::queue_data::{GroupData, StatsData};
use crate::render::tasks::{LABEL, exact_seconds, table_text};

/// Figures about the queue.
pub fn stats(data: &StatsData) -> String {
    let mut text = String::new();
    let (statuses, priorities, ever) = (&data.by_status, &data.by_priority, &data.lifetime);
    let mut put = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:LABEL$} {value}");
    };
    put(
        "tasks",
        &format!(
            "{}: {} pending, {} running, {} completed, {} failed, {} cancelled",
            data.total, statuses.pending, statuses.running, statuses.completed, statuses.failed, statuses.cancelled
        ),
    );
    put(
        "priorities",
        &format!(
            "{} critical, {} high, {} normal, {} low",
            priorities.critical, priorities.high, priorities.normal, priorities.low
        ),
    );
    put("ready", &format!("{} that wait for nothing but a slot", data.queue_length));
    let workers = match data.workers {
        0 => "no worker runs".to_owned(),
        _ => format!("a worker runs {} of at most {} tasks", statuses.running, data.slots),
    };
    put("worker", &workers);
    put(
        "ever",
        &format!(
            "{} submitted, {} completed, {} failed ({} for time, {} with their worker), {} cancelled",
            ever.submitted, ever.completed, ever.failed, ever.timed_out, ever.worker_lost, ever.cancelled
        ),
    );
    if let Some(rate) = data.timeout_rate {
        put("timeouts", &format!("{:.1} % of those that ended", rate * 100.0));
    }
    let spreads = [("waited", &data.wait_seconds), ("ran", &data.run_seconds)];
    let mut rows = vec![["", "P50", "P90", "P95", "P99", "MAX", "OF"].map(str::to_owned).to_vec()];
    rows.extend(spreads.into_iter().filter(|(_, spread)| spread.count > 0).map(|(label, spread)| row(label, spread)));
    if rows.len() > 1 {
        text.push_str(&table_text(&rows, &[1, 2, 3, 4, 5, 6]));
    }
    text.push_str(&groups(&data.groups));
    text
}

fn row(label: &str, spread: &Percentiles) -> Vec<String> {
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), exact_seconds);
    let values = [spread.p50, spread.p90, spread.p95, spread.p99, spread.max].map(shown);
    // As wide as the labels above it.
    [format!("{label:LABEL$}")].into_iter().chain(values).chain([spread.count.to_string()]).collect()
}

/// A table of groups, where there are any.
pub(in crate::render) fn groups(groups: &[GroupData]) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let mut rows = vec![["GROUP", "RUNNING", "SLOTS", ""].map(str::to_owned).to_vec()];
    rows.extend(groups.iter().map(|group| {
        let slots = group.slots.map_or_else(|| "shared".to_owned(), |slots| slots.to_string());
        let paused = if group.paused { "paused" } else { "" };
        vec![clean(&group.name), group.running.to_string(), slots, paused.to_owned()]
    }));
    table_text(&rows, &[1, 2])
}

#[cfg(test)]
mod tests {
    use super::stats;
    use crate::model::percentiles::Percentiles;
    use crate::model::queue_data::{GroupData, LifetimeCounts, PriorityCounts, StatsData, StatusCounts};

    fn groups() -> Vec<GroupData> {
        vec![
            GroupData { name: "net".to_owned(), slots: Some(2), paused: false, running: 1 },
            GroupData { name: "nightly".to_owned(), slots: None, paused: true, running: 0 },
        ]
    }

    #[test]
    fn figures_of_a_busy_queue() {
        let spread = |max| Percentiles {
            p50: Some(0.25),
            p90: Some(61.0),
            p95: Some(70.5),
            p99: Some(max),
            max: Some(max),
            count: 8,
        };
        let data = StatsData {
            total: 15,
            by_status: StatusCounts { pending: 3, running: 2, completed: 6, failed: 3, cancelled: 1 },
            by_priority: PriorityCounts { critical: 0, high: 1, normal: 14, low: 0 },
            queue_length: 2,
            workers: 1,
            slots: 6,
            groups: groups(),
            lifetime: LifetimeCounts {
                submitted: 21,
                completed: 10,
                failed: 4,
                cancelled: 2,
                timed_out: 2,
                worker_lost: 1,
            },
            timeout_rate: Some(0.125),
            wait_seconds: spread(7200.0),
            run_seconds: spread(90_000.0),
        };
        let expected = "\
tasks       15: 3 pending, 2 running, 6 completed, 3 failed, 1 cancelled
priorities  0 critical, 1 high, 14 normal, 0 low
ready       2 that wait for nothing but a slot
worker      a worker runs 2 of at most 6 tasks
ever        21 submitted, 10 completed, 4 failed (2 for time, 1 with their worker), 2 cancelled
timeouts    12.5 % of those that ended
              P50    P90    P95    P99    MAX  OF
waited       0.2s  1m01s  1m10s  2h00m  2h00m   8
ran          0.2s  1m01s  1m10s  1d01h  1d01h   8
GROUP    RUNNING   SLOTS
net            1       2
nightly        0  shared  paused
";
        assert_eq!(stats(&data), expected);
    }

    #[test]
    fn figures_of_nothing() {
        let expected = "\
tasks       0: 0 pending, 0 running, 0 completed, 0 failed, 0 cancelled
priorities  0 critical, 0 high, 0 normal, 0 low
ready       0 that wait for nothing but a slot
worker      no worker runs
ever        0 submitted, 0 completed, 0 failed (0 for time, 0 with their worker), 0 cancelled
";
        assert_eq!(stats(&StatsData::default()), expected);
    }
}
