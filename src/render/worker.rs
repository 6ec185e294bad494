//! The worker for people: whether one runs and what it does, and what became of an order to it.
//!
//! Pure; called by the verbs of `runner worker` where no JSON was asked for.

use std::fmt::Write as _;

use crate::model::printable::clean;
use crate::model::queue_data::{Restriction, ScaleData, StopData, WorkerData};
use crate::render::tasks::{LABEL, groups};

/// The worker, or that there is none.
pub fn status(data: &WorkerData) -> String {
    let mut text = String::new();
    let mut put = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:LABEL$} {}", clean(value));
    };
    if data.running {
        let mut standing = if data.stopping { "stopping" } else { "running" }.to_owned();
        if let Some(pid) = data.pid {
            standing.push_str(&format!(", process {pid}"));
        }
        if let Some(since) = &data.since {
            standing.push_str(&format!(", since {since}"));
        }
        put("worker", &standing);
    } else {
        put("worker", "not running; the next submit, retry, resume or wait starts it");
    }
    put("tasks", &format!("{} running", data.busy));
    put("slots", &data.slots.to_string());
    if data.paused {
        put("paused", "no task begins until 'runner task resume'");
    }
    if !data.restrictions.is_empty() {
        let list = Restriction::list(&data.restrictions);
        put("restricted", &format!("{list}; a worker started without these takes over"));
    }
    text.push_str(&groups(&data.groups));
    text
}

/// How many tasks may run at once now.
pub fn scaled(data: &ScaleData) -> String {
    let group = data.group.as_deref().map(clean);
    match (group, data.slots) {
        (Some(group), Some(slots)) => format!("the group {group} has {} of its own\n", counted(slots)),
        (Some(group), None) => format!("the group {group} shares the slots of all others\n"),
        (None, Some(slots)) => format!("{} for all tasks whose group has none of its own\n", counted(slots)),
        (None, None) => "nothing was changed\n".to_owned(),
    }
}

fn counted(slots: u32) -> String {
    if slots == 1 { "1 slot".to_owned() } else { format!("{slots} slots") }
}

/// What became of the worker.
pub fn stopped(data: &StopData) -> String {
    match (data.pid, data.gone, data.now) {
        (None, ..) => "no worker runs\n".to_owned(),
        (Some(pid), true, true) => format!("the worker, process {pid}, has stopped its tasks and is gone\n"),
        (Some(pid), true, false) => format!("the worker, process {pid}, is gone; its tasks are over\n"),
        (Some(pid), false, true) => format!("the worker, process {pid}, stops its tasks, this one too, and goes\n"),
        (Some(pid), false, false) => {
            format!("the worker, process {pid}, goes once its tasks are over, of which this is one\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{scaled, status, stopped};
    use crate::model::queue_data::{GroupData, Restriction, ScaleData, StopData, WorkerData};

    #[test]
    fn a_worker_that_runs_and_one_that_does_not() {
        let running = WorkerData {
            running: true,
            pid: Some(1234),
            since: Some("2026-03-26T19:55:00.000Z".to_owned()),
            slots: 4,
            busy: 3,
            paused: false,
            stopping: false,
            groups: vec![
                GroupData { name: "net".to_owned(), slots: Some(2), paused: false, running: 1 },
                GroupData { name: "night\x1bly".to_owned(), slots: None, paused: true, running: 0 },
            ],
            restrictions: vec![
                Restriction::new("nice", "10", "0", 10),
                Restriction::new("open_files", "64", "4096", 1),
            ],
        };
        let expected = "\
worker      running, process 1234, since 2026-03-26T19:55:00.000Z
tasks       3 running
slots       4
restricted  nice 10 (default: 0), open files 64 (default: 4096); a worker started without these takes over
GROUP     RUNNING   SLOTS
net             1       2
night ly        0  shared  paused
";
        assert_eq!(status(&running), expected);
        let stopping = status(&WorkerData { stopping: true, ..running });
        assert!(stopping.starts_with("worker      stopping, process 1234"), "{stopping}");
        let expected = "\
worker      not running; the next submit, retry, resume or wait starts it
tasks       0 running
slots       4
paused      no task begins until 'runner task resume'
";
        let none = WorkerData { slots: 4, paused: true, ..WorkerData::default() };
        assert_eq!(status(&none), expected);
    }

    #[test]
    fn what_became_of_an_order_is_said_in_a_line() {
        let scale = |group: Option<&str>, slots| ScaleData { group: group.map(str::to_owned), slots };
        for (data, text) in [
            (scale(None, Some(8)), "8 slots for all tasks whose group has none of its own\n"),
            (scale(Some("net"), Some(1)), "the group net has 1 slot of its own\n"),
            (scale(Some("net"), None), "the group net shares the slots of all others\n"),
        ] {
            assert_eq!(scaled(&data), text);
        }
        for (pid, now, gone, text) in [
            (None, true, true, "no worker runs\n"),
            (Some(7), true, true, "the worker, process 7, has stopped its tasks and is gone\n"),
            (Some(7), false, true, "the worker, process 7, is gone; its tasks are over\n"),
            (Some(7), true, false, "the worker, process 7, stops its tasks, this one too, and goes\n"),
            (Some(7), false, false, "the worker, process 7, goes once its tasks are over, of which this is one\n"),
        ] {
            assert_eq!(stopped(&StopData { pid, now, gone }), text);
        }
    }
}
