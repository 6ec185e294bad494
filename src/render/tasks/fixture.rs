//! A task for the tests of what is shown.

use std::time::Duration;

use crate::model::batch::Priority;
use crate::model::quantity::Seconds;
use crate::model::task::{OnCrash, TaskData, TaskStatus};

/// 2026-03-26 20:00:00 UTC.
pub(super) const NOW: Duration = Duration::from_secs(1_774_555_200);

/// A task that was submitted a minute ago; `number` tells it apart.
pub(in crate::render) fn task(number: &str, status: TaskStatus) -> TaskData {
    let time = |second: u32| format!("2026-03-26T19:59:{second:02}.000Z");
    let begun = status != TaskStatus::Pending;
    TaskData {
        task_id: format!("0198c2aa-{number:0>4}-7000-8000-00000000000{number}"),
        status,
        priority: Priority::Normal,
        name: None,
        command: "make -j4 all".to_owned(),
        operation: None,
        parameters: None,
        cwd: Some("/src/thing".to_owned()),
        group: None,
        created_by: "alice".to_owned(),
        progress: 0.0,
        message: None,
        result: None,
        error: None,
        partial_result: None,
        created_at: time(0),
        updated_at: time(30),
        started_at: begun.then(|| time(5)),
        finished_at: status.is_finished().then(|| time(17)),
        deadline_at: None,
        elapsed_seconds: begun.then_some(12.3),
        timeout_seconds: Some(Seconds(Duration::from_secs(90))),
        attempts: u32::from(begun),
        attempt_records: Vec::new(),
        exit_code: None,
        after: Vec::new(),
        not_before: None,
        waits_for: None,
        on_crash: OnCrash::Fail,
        extensions: Vec::new(),
        notices: Vec::new(),
        log: None,
    }
}
