//! Tasks as a table: one line each, as wide as the terminal.

use std::time::Duration;

use crate::model::printable::clean;
use crate::model::queue_data::TaskListData;
use crate::model::task::{TaskData, TaskStatus};
use crate::render::paint::Paint;
use crate::render::tasks::{dressed, exact, exact_seconds, rough, since, table, until};

/// The least of an id that is shown: a UUID of version 7 begins with the time, and so much of it tells milliseconds.
const LEAST_ID: usize = 13;
/// So much of a task's name is always shown.
const LEAST_TITLE: usize = 20;

/// The tasks, or that there are none. `now` is since the Unix epoch; `width` is that of the terminal, where it is one.
pub fn list(data: &TaskListData, now: Duration, width: Option<u16>, colour: bool) -> String {
    if data.tasks.is_empty() {
        return "no tasks\n".to_owned();
    }
    let paint = Paint { on: colour };
    let id_width = id_width(&data.tasks);
    let has_groups = data.tasks.iter().any(|task| task.group.is_some());
    let head = ["ID", "STATUS", "PRIORITY", "AGE", "TIME"].into_iter().chain(has_groups.then_some("GROUP"));
    let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).collect()];
    rows.extend(data.tasks.iter().map(|task| facts(task, id_width, has_groups, now)));
    // The title takes what is left of the line, and so stands outside of the table.
    let mut text = String::new();
    let titles = std::iter::once("TASK".to_owned()).chain(data.tasks.iter().map(title));
    let statuses = std::iter::once(None).chain(data.tasks.iter().map(|task| Some(task.status)));
    for ((mut row, title), status) in table(&rows, &[3, 4]).into_iter().zip(titles).zip(statuses) {
        let before = row.iter().map(|cell| console::measure_text_width(cell) + 2).sum::<usize>();
        let room = width.map(|width| usize::from(width).saturating_sub(before).max(LEAST_TITLE));
        let title = room.map_or(title.clone(), |room| console::truncate_str(&title, room, "...").into_owned());
        if let Some(status) = status {
            row[1] = dressed(status, &row[1], &paint);
        }
        row.push(title);
        text.push_str(row.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn facts(task: &TaskData, id_width: usize, has_groups: bool, now: Duration) -> Vec<String> {
    let mut facts = vec![
        task.task_id.chars().take(id_width).collect(),
        task.status.to_string(),
        task.priority.word().to_owned(),
        since(&task.created_at, now).map_or_else(|| "-".to_owned(), rough),
        time(task, now),
    ];
    if has_groups {
        facts.push(task.group.clone().unwrap_or_else(|| "-".to_owned()));
    }
    facts.iter().map(|fact| clean(fact)).collect()
}

/// How long it runs or ran, and how far it is; or when it begins.
fn time(task: &TaskData, now: Duration) -> String {
    let elapsed = task.elapsed_seconds.map(exact_seconds);
    let not_before = task.not_before.as_deref().and_then(|time| until(time, now));
    match (task.status, elapsed, not_before) {
        (TaskStatus::Pending, _, Some(left)) => format!("in {}", exact(left)),
        (TaskStatus::Running, Some(elapsed), _) if task.progress > 0.0 => {
            format!("{elapsed} {:.0}%", task.progress * 100.0)
        }
        (TaskStatus::Pending, ..) | (_, None, _) => "-".to_owned(),
        (_, Some(elapsed), _) => elapsed,
    }
}

/// Its name, or else its command.
fn title(task: &TaskData) -> String {
    clean(task.name.as_deref().unwrap_or(&task.command))
}

/// So much of each id that they can be told apart.
fn id_width(tasks: &[TaskData]) -> usize {
    let mut ids: Vec<&str> = tasks.iter().map(|task| task.task_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let shared = |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(one, other)| one == other).count();
    ids.windows(2).map(|pair| shared(pair) + 1).max().unwrap_or_default().max(LEAST_ID)
}

#[cfg(test)]
mod tests {
    use super::list;
    use crate::model::batch::Priority;
    use crate::model::queue_data::TaskListData;
    use crate::model::task::{TaskData, TaskStatus};
    use crate::render::tasks::fixture::{NOW, task};

    fn tasks() -> Vec<TaskData> {
        vec![
            TaskData { not_before: Some("2026-03-26T20:05:00.000Z".to_owned()), ..task("5", TaskStatus::Pending) },
            TaskData { name: Some("a \x1b[2Jname".to_owned()), ..task("4", TaskStatus::Pending) },
            TaskData { progress: 0.421, priority: Priority::High, ..task("3", TaskStatus::Running) },
            task("2", TaskStatus::Completed),
            TaskData { created_at: "2026-03-20T20:00:00.000Z".to_owned(), ..task("1", TaskStatus::Failed) },
        ]
    }

    #[test]
    fn every_task_has_a_line_and_every_column_its_width() {
        let text = list(&TaskListData { tasks: tasks() }, NOW, None, false);
        let expected = "\
ID             STATUS     PRIORITY  AGE      TIME  TASK
0198c2aa-0005  pending    NORMAL     1m  in 5m00s  make -j4 all
0198c2aa-0004  pending    NORMAL     1m         -  a  [2Jname
0198c2aa-0003  running    HIGH       1m   12s 42%  make -j4 all
0198c2aa-0002  completed  NORMAL     1m       12s  make -j4 all
0198c2aa-0001  failed     NORMAL     6d       12s  make -j4 all
";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_ends_in_blanks() {
        let mut tasks = tasks();
        tasks[1].name = Some("x".repeat(300));
        tasks[2].group = Some("net".to_owned());
        for width in [80, 90, 120] {
            let text = list(&TaskListData { tasks: tasks.clone() }, NOW, Some(width), false);
            for line in text.lines() {
                assert!(line.len() <= usize::from(width) && line == line.trim_end(), "{line}");
            }
            assert!(text.contains("x...") && text.contains("GROUP") && text.contains("  net"), "{text}");
        }
    }

    #[test]
    fn ids_are_as_long_as_it_takes_to_tell_them_apart() {
        let mut tasks = vec![task("1", TaskStatus::Pending), task("2", TaskStatus::Pending)];
        tasks[0].task_id = "0198c2aa-0001-7000-8000-000000000001".to_owned();
        tasks[1].task_id = "0198c2aa-0001-7000-8000-000000000011".to_owned();
        let text = list(&TaskListData { tasks }, NOW, None, false);
        assert!(text.contains("0198c2aa-0001-7000-8000-00000000000  "), "{text}");
        assert!(text.contains("0198c2aa-0001-7000-8000-00000000001  "), "{text}");
    }

    #[test]
    fn colours_change_no_column() {
        let data = TaskListData { tasks: tasks() };
        let text = list(&data, NOW, Some(80), true);
        assert!(text.contains("\x1b[32mcompleted\x1b[0m") && text.contains("\x1b[1;31mfailed   \x1b[0m"), "{text:?}");
        assert_eq!(console::strip_ansi_codes(&text), list(&data, NOW, Some(80), false));
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(list(&TaskListData::default(), NOW, None, false), "no tasks\n");
    }
}
