//! Many submit at once, and each of their tasks is run once.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::queue::Queue;
use crate::support::{Running, seconds, wait_until};

const SUBMITTERS: usize = 8;
const TASKS: usize = 250;

#[test]
fn each_task_of_many_submitters_is_run_once() {
    let queue = Queue::new();
    // Not even the folder is there when they begin.
    let line = format!(
        "n=0; while [ $n -lt {TASKS} ]; do \"$RUN\" task submit -q -- sh -c \"echo $WHO.$n >>ran\" || exit 1; n=$((n + 1)); done"
    );
    let submitters: Vec<Running> =
        (0..SUBMITTERS).map(|who| queue.shell(&line).env("WHO", who.to_string()).start()).collect();
    let mut ids = BTreeSet::new();
    wait_for_all(submitters, |printed| ids.extend(printed.lines().map(str::to_owned)));
    assert_eq!(ids.len(), SUBMITTERS * TASKS, "each id is another one");
    wait_until(seconds(60.0), "an end of every task", || {
        let counts = queue.data("task stats", &[])["by_status"].clone();
        counts["pending"] == 0 && counts["running"] == 0
    });
    let stats = queue.data("task stats", &[]);
    let completed = json!({"pending": 0, "running": 0, "completed": 2000, "failed": 0, "cancelled": 0});
    assert_eq!(stats["by_status"], completed);
    let ran = queue.lines("ran");
    let expected: BTreeSet<String> =
        (0..SUBMITTERS).flat_map(|who| (0..TASKS).map(move |n| format!("{who}.{n}"))).collect();
    assert_eq!(ran.len(), expected.len(), "none ran twice");
    assert_eq!(ran.into_iter().collect::<BTreeSet<_>>(), expected);
    let listed = queue.data("task list", &["--limit", "10000", "--status", "completed"]);
    let listed: BTreeSet<String> = listed["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| task["task_id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(listed, ids);
}

/// All of them succeed in silence.
#[track_caller]
fn wait_for_all(mut runs: Vec<Running>, mut take: impl FnMut(&str)) {
    wait_until(seconds(60.0), "the end of the submitters", || {
        runs.iter_mut().for_each(Running::wait_a_little);
        runs.iter_mut().all(Running::has_ended)
    });
    for run in runs {
        let done = run.finish();
        take(&done.assert_code(0).assert_silent().stdout_text());
    }
}
