//! The store, seen from its callers: tasks in, claimed, ended, cleaned.

use std::time::Duration;

use super::{Cancelled, Claim, End, Filter, NewTask, StopOrder, Store};
use crate::model::batch::Priority;
use crate::model::stored_job::{StoredCommand, StoredJob, Text};
use crate::model::task::{Begin, Notices, OnCrash, TaskStatus};
use crate::model::unique_id::unique_id;

pub(super) fn task(id: &str) -> NewTask {
    NewTask {
        id: id.to_owned(),
        job: StoredJob { command: StoredCommand::Argv(vec![Text::Plain("true".to_owned())]), ..StoredJob::default() },
        command: "true".to_owned(),
        priority: Priority::Normal,
        after: Vec::new(),
        begin: Begin::Now,
        group: None,
        owner: "somebody".to_owned(),
        on_crash: OnCrash::Fail,
        notices: Notices::default(),
        secrets: Vec::new(),
    }
}

fn end(id: &str, status: TaskStatus) -> End {
    End {
        id: id.to_owned(),
        status,
        envelope: "{}".to_owned(),
        exit_code: i32::from(status != TaskStatus::Completed),
        cause: "success",
        duration: Some(Duration::from_millis(5)),
        attempts: 1,
        samples: Vec::new(),
    }
}

pub(super) fn claim() -> Claim {
    Claim { boot: crate::platform::remains::boot_id(), new_run: || unique_id().to_string() }
}

struct Scene {
    _folder: tempfile::TempDir,
    store: Store,
}

fn scene(tasks: &[NewTask]) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("state")).unwrap();
    store.submit(tasks).unwrap();
    Scene { _folder: folder, store }
}

fn claimed(store: &mut Store) -> Vec<String> {
    store.claim(&claim()).unwrap().into_iter().map(|claimed| claimed.id).collect()
}

fn status(store: &Store, id: &str) -> TaskStatus {
    store.task(id).unwrap().status
}

#[test]
fn the_urgent_come_first_and_the_older_of_two_equals() {
    let tasks = [
        NewTask { priority: Priority::Low, ..task("low") },
        task("first"),
        NewTask { priority: Priority::Critical, ..task("critical") },
        task("second"),
        NewTask { priority: Priority::High, ..task("high") },
    ];
    let Scene { _folder, mut store } = scene(&tasks);
    assert_eq!(claimed(&mut store), ["critical", "high", "first", "second"]);
    assert_eq!(claimed(&mut store), [""; 0], "there are four slots");
    store.end_and_claim(&[end("first", TaskStatus::Completed)], None).unwrap();
    assert_eq!(claimed(&mut store), ["low"]);
}

#[test]
fn a_group_with_slots_of_its_own_takes_none_of_the_others() {
    let grouped = |id: &str, group: &str| NewTask { group: Some(group.to_owned()), ..task(id) };
    let tasks = [grouped("a1", "a"), grouped("a2", "a"), grouped("b1", "b"), task("c1"), task("c2")];
    let Scene { _folder, mut store } = scene(&tasks);
    store.set_slots(None, Some(2)).unwrap();
    store.set_slots(Some("a"), Some(1)).unwrap();
    assert_eq!(claimed(&mut store), ["a1", "b1", "c1"]);
    store.end_and_claim(&[end("a1", TaskStatus::Completed)], None).unwrap();
    assert_eq!(claimed(&mut store), ["a2"]);
    store.set_slots(Some("a"), None).unwrap();
    store.end_and_claim(&[end("b1", TaskStatus::Completed)], None).unwrap();
    assert_eq!(claimed(&mut store), [""; 0], "a2 shares again, so with c1 both slots are taken");
}

#[test]
fn pauses_hold_back_a_group_or_all() {
    let tasks = [NewTask { group: Some("g".to_owned()), ..task("grouped") }, task("plain")];
    let Scene { _folder, mut store } = scene(&tasks);
    store.set_paused(None, true).unwrap();
    assert_eq!(claimed(&mut store), [""; 0]);
    store.set_paused(None, false).unwrap();
    store.set_paused(Some("g"), true).unwrap();
    assert_eq!(claimed(&mut store), ["plain"]);
    store.set_paused(Some("g"), false).unwrap();
    assert_eq!(claimed(&mut store), ["grouped"]);
}

#[test]
fn nothing_is_claimed_after_a_stop_request() {
    let Scene { mut store, _folder } = scene(&[task("a")]);
    store.hand_over(7).unwrap();
    assert_eq!(store.successor().unwrap(), Some(7));
    assert!(claimed(&mut store).is_empty());
    store.order_stop(StopOrder::Drain).unwrap();
    assert_eq!(store.successor().unwrap(), None, "the successor is stopped, too");
    assert!(claimed(&mut store).is_empty());
    store.forget_stop_order().unwrap();
    assert_eq!(claimed(&mut store), ["a"]);
}

#[test]
fn who_comes_after_waits_and_fails_with_it() {
    let after =
        |id: &str, needed: &[&str]| NewTask { after: needed.iter().map(|id| (*id).to_owned()).collect(), ..task(id) };
    let tasks = [task("a"), task("b"), after("both", &["a", "b"]), after("b2", &["b", "b"]), after("b3", &["b2"])];
    let Scene { _folder, mut store } = scene(&tasks);
    assert_eq!(claimed(&mut store), ["a", "b"]);
    store.end_and_claim(&[end("a", TaskStatus::Completed)], None).unwrap();
    assert_eq!(claimed(&mut store), [""; 0]);
    store.end_and_claim(&[end("b", TaskStatus::Failed)], None).unwrap();
    for id in ["both", "b2", "b3"] {
        assert_eq!(status(&store, id), TaskStatus::Failed, "{id}");
        let answer = store.answer(store.task(id).unwrap().seq).unwrap().unwrap();
        assert!(answer.contains("DEPENDENCY_ERROR"), "{answer}");
    }
    let late = store.submit(&[after("late", &["a"]), after("never", &["b3"])]).unwrap();
    assert_eq!(late.iter().map(|submitted| submitted.failed).collect::<Vec<_>>(), [false, true]);
    assert_eq!(claimed(&mut store), ["late"]);
}

#[test]
fn a_retry_is_waited_for_by_those_that_were_queued_again_before_it() {
    let both = NewTask { after: vec!["failing".to_owned(), "slow".to_owned()], ..task("both") };
    let Scene { mut store, .. } = scene(&[task("failing"), task("slow"), both]);
    assert_eq!(claimed(&mut store), ["failing", "slow"]);
    store.end_and_claim(&[end("failing", TaskStatus::Failed)], None).unwrap();
    assert_eq!(status(&store, "both"), TaskStatus::Failed);
    store.retry("both").unwrap();
    store.retry("failing").unwrap();
    assert_eq!(claimed(&mut store), ["failing"]);
    let next = store.end_and_claim(&[end("failing", TaskStatus::Completed)], Some(&claim())).unwrap();
    assert!(next.is_empty(), "the other one before it still runs");
    let next = store.end_and_claim(&[end("slow", TaskStatus::Completed)], Some(&claim())).unwrap();
    assert_eq!(next.len(), 1);
}

#[test]
fn a_long_chain_fails_as_one() {
    let mut tasks = vec![task("0")];
    for number in 1..5000 {
        tasks.push(NewTask { after: vec![(number - 1).to_string()], ..task(&number.to_string()) });
    }
    let Scene { _folder, mut store } = scene(&tasks);
    assert_eq!(store.cancel("0").unwrap(), Cancelled::AtOnce);
    assert_eq!(status(&store, "4999"), TaskStatus::Failed);
}

#[test]
fn tasks_wait_for_their_time() {
    let tasks = [
        NewTask { begin: Begin::In(Duration::from_secs(3600)), ..task("later") },
        NewTask { begin: Begin::In(Duration::ZERO), ..task("now") },
        NewTask { begin: Begin::At(Duration::from_secs(1)), ..task("past") },
    ];
    let Scene { _folder, mut store } = scene(&tasks);
    assert_eq!(claimed(&mut store), ["now", "past"]);
    let due = store.next_due(claim().boot.as_deref()).unwrap().unwrap();
    assert!(due > Duration::from_secs(3500) && due <= Duration::from_secs(3600), "{due:?}");
}

#[test]
fn cancels_and_retries_depend_on_the_status() {
    let Scene { _folder, mut store } = scene(&[task("a"), task("b")]);
    assert_eq!(store.cancel("a").unwrap(), Cancelled::AtOnce);
    assert!(store.cancel("a").unwrap_err().to_string().contains("cancelled"));
    assert_eq!(claimed(&mut store), ["b"]);
    assert_eq!(store.cancel("b").unwrap(), Cancelled::Soon);
    assert_eq!(store.unwanted().unwrap(), [store.task("b").unwrap().seq]);
    assert!(store.retry("b").unwrap_err().to_string().contains("running"));
    store.retry("a").unwrap();
    assert_eq!(claimed(&mut store), ["a"]);
    assert!(store.set_priority("a", Priority::High).is_err());
    assert!(store.cancel("nobody").unwrap_err().to_string().contains("there is no task"));
}

#[test]
fn ids_may_be_shortened_while_they_are_unique() {
    let Scene { _folder, store } = scene(&[task("abc1"), task("abc2"), task("b")]);
    assert_eq!(store.whole_id("abc1").unwrap(), "abc1");
    assert_eq!(store.whole_id("b").unwrap(), "b");
    assert!(store.whole_id("abc").unwrap_err().to_string().contains("several"));
    assert!(store.whole_id("x").is_err() && store.whole_id("").is_err() && store.whole_id("%").is_err());
}

#[test]
fn pages_are_of_the_newest() {
    let Scene { _folder, mut store } = scene(&[task("a"), task("b"), task("c")]);
    store.cancel("b").unwrap();
    let ids = |statuses: &[TaskStatus], limit| -> Vec<String> {
        let filter = Filter { statuses: statuses.to_vec(), group: None, limit };
        store.tasks(&filter).unwrap().into_iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(&[], 2), ["c", "b"]);
    assert_eq!(ids(&[TaskStatus::Pending, TaskStatus::Cancelled], 10), ["c", "b", "a"]);
    assert_eq!(ids(&[TaskStatus::Pending], 10), ["c", "a"]);
}

#[test]
fn what_is_cleaned_is_gone_and_counted() {
    let after = NewTask { after: vec!["kept".to_owned()], ..task("after") };
    let Scene { _folder, mut store } = scene(&[task("old"), task("kept"), after]);
    claimed(&mut store);
    let ends = ["old", "kept"].map(|id| end(id, TaskStatus::Completed));
    store.end_and_claim(&ends, None).unwrap();
    assert_eq!(store.clean(Duration::from_secs(60), &[]).unwrap(), 0, "they are not that old");
    assert_eq!(store.clean(Duration::ZERO, &[TaskStatus::Failed]).unwrap(), 0);
    assert_eq!(store.clean(Duration::ZERO, &[]).unwrap(), 1, "a waiting task comes after the other one");
    assert!(store.task("old").is_err() && store.task("kept").is_ok());
    let stats = store.stats().unwrap();
    assert_eq!(stats.tasks.iter().map(|(_, _, count)| count).sum::<u64>(), 2);
    assert!(stats.lifetime.contains(&("submitted".to_owned(), 3)));
    assert!(stats.lifetime.contains(&("completed".to_owned(), 2)));
}

#[test]
fn the_folder_and_its_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let Scene { _folder, store } = scene(&[task("a")]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.folder()), 0o700);
    for file in std::fs::read_dir(store.folder()).unwrap().flatten() {
        let expected = if file.path().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&file.path()), expected, "{}", file.path().display());
    }
}

#[test]
fn a_newer_store_is_refused_with_the_reason() {
    let Scene { _folder, store } = scene(&[task("a")]);
    store.connection.pragma_update(None, "user_version", 999).unwrap();
    let error = Store::open(store.folder()).unwrap_err();
    assert!(error.to_string().contains("version 999"), "{error}");
}

#[test]
fn a_damaged_store_is_named_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("queue.db"), vec![b'x'; 8192]).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert_eq!(std::fs::read(folder.path().join("queue.db")).unwrap(), vec![b'x'; 8192]);
}

#[test]
fn a_folder_that_other_machines_have_gets_no_shared_memory() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let files = || {
        let entries = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.filter(|name| name.starts_with("queue.db")).collect::<Vec<_>>()
    };
    let mut store = Store::open_on(true, &state, super::wait_for_others).unwrap();
    store.submit(&[task("a")]).unwrap();
    assert_eq!((store.journal_mode().unwrap().as_str(), files()), ("delete", vec!["queue.db".to_owned()]));
    let other = Store::open_on(true, &state, super::wait_for_others).unwrap();
    assert_eq!(status(&other, "a"), TaskStatus::Pending);
    drop((store, other));
    // One that was moved there gives its log up.
    let local = Store::open_on(false, &folder.path().join("local"), super::wait_for_others).unwrap();
    assert_eq!(local.journal_mode().unwrap(), "wal");
    drop(local);
    let moved = Store::open_on(true, &folder.path().join("local"), super::wait_for_others).unwrap();
    assert_eq!(moved.journal_mode().unwrap(), "delete");
}

/// Statements as they stand in the sources of the store.
fn statements() -> Vec<String> {
    let sources = [
        include_str!("claim.rs"),
        include_str!("cleaning.rs"),
        include_str!("ending.rs"),
        include_str!("live.rs"),
        include_str!("lookup.rs"),
        include_str!("orders.rs"),
        include_str!("outbox.rs"),
        include_str!("stats.rs"),
        include_str!("submission.rs"),
        include_str!("tally.rs"),
    ];
    let continued = regex_lite::Regex::new(r"\\\n\s*").unwrap();
    let statement = regex_lite::Regex::new(r#""((?:SELECT|INSERT|UPDATE|DELETE) [^"]+)""#).unwrap();
    let mut found = Vec::new();
    for source in sources {
        let source = continued.replace_all(source, "").replace("{COLUMNS}", super::row::COLUMNS);
        found.extend(statement.captures_iter(&source).map(|captures| captures[1].to_owned()));
    }
    found
}

/// How SQLite would carry a statement out.
fn plan(store: &Store, statement: &str) -> Vec<String> {
    let mut explained = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    let mut rows = explained.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get(3).unwrap());
    }
    steps
}

#[test]
fn no_statement_takes_longer_for_the_tasks_that_are_over() {
    let Scene { _folder, store } = scene(&[]);
    let statements: Vec<String> =
        statements().into_iter().filter(|statement| !statement.ends_with("FROM tasks WHERE 1")).collect();
    assert!(statements.len() > 50, "{statements:#?}");
    for statement in statements {
        let few = ["status = 1", "status IN (0, 1)"].iter().any(|few| statement.contains(few));
        for step in plan(&store, &statement) {
            let reads_all = ["SCAN tasks", "SCAN answers", "SCAN history"].iter().any(|all| step.starts_with(all));
            let reads_waiting = step.contains("USING COVERING INDEX tasks_in_turn");
            assert!(!reads_all || reads_waiting, "{statement}: {step}");
            assert!(!step.contains("tasks_by_status") || few, "{statement}: {step}");
        }
    }
}

#[test]
fn a_list_reads_no_more_than_it_shows() {
    let Scene { _folder, store } = scene(&[]);
    for (status, group, way) in [
        (false, false, "SCAN tasks"),
        (true, false, "SEARCH tasks USING INDEX tasks_by_status (status=?)"),
        (true, true, "SEARCH tasks USING INDEX tasks_by_group (grp=? AND status=?)"),
    ] {
        assert_eq!(plan(&store, &super::lookup::newest_first(status, group)), [way]);
    }
}

#[test]
fn every_task_is_counted_once_whatever_becomes_of_it() {
    let Scene { _folder, mut store } = scene(&[
        NewTask { priority: Priority::High, ..task("a") },
        task("b"),
        task("c"),
        NewTask { after: vec!["b".to_owned()], ..task("d") },
    ]);
    let counts = |store: &Store| -> Vec<(TaskStatus, Priority, u64)> { store.stats().unwrap().tasks };
    use Priority::{High, Low, Normal};
    use TaskStatus::{Cancelled, Completed, Failed, Pending, Running};
    assert_eq!(counts(&store), [(Pending, High, 1), (Pending, Normal, 3)]);
    assert_eq!(claimed(&mut store), ["a", "b", "c"]);
    store.end_and_claim(&[end("a", Completed), end("b", Failed)], None).unwrap();
    assert_eq!(counts(&store), [(Running, Normal, 1), (Completed, High, 1), (Failed, Normal, 2)]);
    store.retry("b").unwrap();
    store.set_priority("b", Low).unwrap();
    assert_eq!(counts(&store), [(Pending, Low, 1), (Running, Normal, 1), (Completed, High, 1), (Failed, Normal, 1)]);
    store.cancel("b").unwrap();
    store.end_and_claim(&[end("c", Completed)], None).unwrap();
    let all = [(Completed, High, 1), (Completed, Normal, 1), (Failed, Normal, 1), (Cancelled, Low, 1)];
    assert_eq!(counts(&store), all);
    assert_eq!(store.clean(Duration::ZERO, &[Completed]).unwrap(), 2);
    assert_eq!(counts(&store), all[2..]);
}

#[test]
fn many_may_make_the_store_at_once() {
    for _ in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|number| {
                    scope.spawn({
                        let state = &state;
                        move || {
                            Store::open(state)
                                .and_then(|mut store| store.submit(&[task(&number.to_string())]).map(drop))
                        }
                    })
                })
                .collect();
            for one in all {
                one.join().unwrap().unwrap();
            }
        });
        assert_eq!(Store::open(&state).unwrap().stats().unwrap().ready, 8);
    }
}
