//! Tests of the history: what goes in comes out, and it does not grow for ever.

use std::sync::Arc;
use std::time::Duration;

use super::{KEPT, SLACK, SUBJECT_SLACK, SUBJECTS};
use crate::error::Error;
use crate::model::auto_timeout::RECENT;
use crate::model::sample::{Sample, SampleCause, Subject};
use crate::model::task::TaskStatus;
use crate::store::tests::{claim, task};
use crate::store::{End, Store};

fn named(name: &str) -> Arc<Subject> {
    Arc::new(Subject { key: Subject::key_of_name(name), name: Some(name.to_owned()), command: format!("./{name}") })
}

fn plain(key: &str, command: &str) -> Arc<Subject> {
    Arc::new(Subject { key: key.to_owned(), name: None, command: command.to_owned() })
}

fn sample(subject: &Arc<Subject>, cause: SampleCause, seconds: u64) -> Sample {
    Sample {
        subject: Arc::clone(subject),
        ended_at: Duration::from_secs(1_000_000 + seconds),
        duration: Duration::from_secs(seconds),
        cause,
        exit_code: (cause == SampleCause::Failed).then_some(3),
        attempt: 2,
        peak_memory: Some(4096),
    }
}

fn scene() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_for_history(&folder.path().join("state")).unwrap();
    (folder, store)
}

#[test]
fn what_goes_in_comes_out_the_newest_first() {
    let (folder, mut store) = scene();
    let build = named("build");
    let samples = SampleCause::ALL.iter().zip(1..).map(|(cause, at)| sample(&build, *cause, at)).collect::<Vec<_>>();
    store.record_history(&samples).unwrap();
    let mut found = Store::open_to_read(store.folder()).unwrap().unwrap().samples(&build, 100).unwrap();
    found.reverse();
    assert_eq!(found, samples);
    assert_eq!(store.samples(&build, 2).unwrap().len(), 2);
    assert_eq!(store.recent_successes(&build.key).unwrap(), [Duration::from_secs(1)]);
    assert!(store.recent_successes("name:other").unwrap().is_empty());
    assert!(Store::open_to_read(folder.path()).unwrap().is_none());
}

#[test]
fn subjects_are_found_by_name_command_and_fingerprint() {
    let (_folder, mut store) = scene();
    let subjects = [
        named("build"),
        plain("00ab12cd", "make all"),
        plain("00ab77", "fetch"),
        plain("ffff00", "fetch"),
        named("00ab"),
    ];
    for (at, subject) in subjects.iter().enumerate() {
        store.record_history(&[sample(subject, SampleCause::Success, at as u64)]).unwrap();
    }
    let keys = |asked: &str| {
        let found = store.find_subjects(asked).unwrap();
        found.into_iter().map(|subject| subject.key).collect::<Vec<_>>()
    };
    assert_eq!(keys("build"), ["name:build"]);
    assert_eq!(keys("make all"), ["00ab12cd"]);
    assert_eq!(keys("fetch"), ["ffff00", "00ab77"], "the newest first");
    assert_eq!(keys("00ab"), ["name:00ab"], "a name comes before a fingerprint");
    assert_eq!(keys("00AB7"), ["00ab77"]);
    assert_eq!(keys("ffff00"), ["ffff00"]);
    for nothing in ["00a", "name:build", "./build", "", "ffff000", "%", "zzzz"] {
        assert!(keys(nothing).is_empty(), "{nothing}");
    }
    assert_eq!(store.subjects(2).unwrap(), [(*subjects[4]).clone(), (*subjects[3]).clone()]);
    assert_eq!(store.count_subjects().unwrap(), 5);
}

#[test]
fn the_end_of_a_task_brings_its_samples_along() {
    let (_folder, mut store) = scene();
    let samples = vec![sample(&named("task"), SampleCause::Success, 1)];
    let end = |id: &str| End {
        id: id.to_owned(),
        status: TaskStatus::Completed,
        envelope: "{}".to_owned(),
        exit_code: 0,
        cause: "success",
        duration: None,
        attempts: 1,
        samples: samples.clone(),
    };
    store.submit(&[task("one")]).unwrap();
    store.claim(&claim()).unwrap();
    // What is no task, or is over already, adds nothing.
    store.end_and_claim(&[end("one"), end("other"), end("one")], None).unwrap();
    assert_eq!(store.samples(&samples[0].subject, 10).unwrap(), samples);
}

#[test]
fn a_subject_keeps_the_newest_samples() {
    let (_folder, mut store) = scene();
    let (hot, rare) = (named("hot"), named("rare"));
    store.record_history(&[sample(&rare, SampleCause::Success, 5)]).unwrap();
    let many: Vec<Sample> = (1..=2550).map(|second| sample(&hot, SampleCause::Success, second)).collect();
    for part in many.chunks(700) {
        store.record_history(part).unwrap();
    }
    let kept = store.samples(&hot, u32::MAX).unwrap();
    assert!(kept.len() >= KEPT as usize && kept.len() < KEPT as usize + SLACK as usize, "{}", kept.len());
    assert_eq!(kept[0].duration, Duration::from_secs(2550));
    let recent = store.recent_successes(&hot.key).unwrap();
    assert_eq!((recent.len(), recent[0]), (RECENT, Duration::from_secs(2550)));
    assert_eq!(store.samples(&rare, 10).unwrap().len(), 1, "others lose nothing");
}

#[test]
fn the_subjects_that_ran_longest_ago_go_first() {
    let (_folder, mut store) = scene();
    let count = SUBJECTS as u64 + 3 * SUBJECT_SLACK as u64;
    let samples: Vec<Sample> =
        (0..count).map(|at| sample(&plain(&format!("{at:08x}"), "x"), SampleCause::Success, at)).collect();
    store.record_history(&samples).unwrap();
    let left = store.count_subjects().unwrap();
    assert!((SUBJECTS..SUBJECTS + SUBJECT_SLACK).contains(&(left as i64)), "{left}");
    assert!(store.samples(&samples[0].subject, 1).unwrap().is_empty());
    assert_eq!(store.samples(&samples[count as usize - 1].subject, 1).unwrap().len(), 1);
    let rows: i64 = store.connection.query_row("SELECT count(*) FROM history", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, left as i64, "no sample without its subject");
}

#[test]
fn a_store_that_may_not_be_read_is_an_error_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("queue.db"), "this is no store, and long enough to be looked at").unwrap();
    let error = Store::open_to_read(folder.path()).expect_err("it is damaged");
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    let (_folder, store) = scene();
    store.connection.pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open_to_read(store.folder()).expect_err("it is of a newer version");
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    std::fs::write(folder.path().join("queue.db"), "").unwrap();
    assert!(Store::open_to_read(folder.path()).unwrap().is_none(), "one that is just being made holds nothing");
}
