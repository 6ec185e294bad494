//! A journal in a folder of its own: begun, refused, shared with nobody, gone on with after every kind of end.

use std::fs;
use std::path::{Path, PathBuf};

use super::Journal;
use super::samples::{ended, entry};
use crate::batch::resume::{Decision, Earlier};
use crate::error::{Error, Result};
use crate::model::batch::Verdict;
use crate::model::envelope::ErrorCode;
use crate::model::request::{JournalRequest, ResumeRule};

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        Self { _folder: folder, path }
    }

    fn holding(content: &[u8]) -> Self {
        let place = Self::new();
        fs::write(&place.path, content).unwrap();
        place
    }

    fn begin(&self) -> Result<(Journal, Earlier)> {
        open(&self.path, None)
    }

    fn resume(&self) -> Result<(Journal, Earlier)> {
        open(&self.path, Some(ResumeRule::All))
    }

    fn content(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }
}

fn open(path: &Path, resume: Option<ResumeRule>) -> Result<(Journal, Earlier)> {
    let path = path.to_owned();
    Journal::open(&JournalRequest { path, sync_each: false, resume, may_create: true, has_shell_line: false })
}

fn message(result: Result<(Journal, Earlier)>) -> String {
    let error = result.unwrap_err();
    format!("{error}. {}", error.remediation())
}

/// What becomes of jobs with these contents.
fn decisions(mut earlier: Earlier, contents: &[u128]) -> Vec<Decision> {
    let jobs = contents.iter().zip(1..).map(|(content, seq)| entry(seq, None, *content));
    jobs.map(|job| earlier.wants(&job, ResumeRule::All)).collect()
}

const ANEW: Decision = Decision::Run { interrupted_before: false };
const ONCE_MORE: Decision = Decision::Run { interrupted_before: true };

/// Runs the jobs with these contents to these ends; none: they are running still.
fn run(journal: &mut Journal, jobs: &[(u128, Option<Verdict>)]) {
    for ((content, verdict), seq) in jobs.iter().zip(1..) {
        let job = entry(seq, None, *content);
        journal.started(&job, "j", 1).unwrap();
        if let Some(verdict) = verdict {
            journal.ended(&ended(&job, "j", *verdict)).unwrap();
        }
    }
}

#[test]
fn a_run_that_ended_and_one_that_was_cut_off_are_gone_on_with() {
    let place = Place::new();
    let (mut journal, earlier) = place.begin().unwrap();
    assert!(!earlier.is_resumed);
    run(&mut journal, &[(1, Some(Verdict::Succeeded)), (2, Some(Verdict::Failed)), (3, None)]);
    // As if it had been killed.
    drop(journal);
    let (mut journal, earlier) = place.resume().unwrap();
    assert!(earlier.is_resumed);
    assert_eq!(decisions(earlier, &[1, 2, 3, 4]), [Decision::DoneBefore, ANEW, ONCE_MORE, ANEW]);
    run(&mut journal, &[(2, Some(Verdict::Flaky)), (3, Some(Verdict::TimedOut))]);
    journal.close().unwrap();
    let (_, earlier) = place.resume().unwrap();
    assert_eq!(decisions(earlier, &[1, 2, 3, 4]), [Decision::DoneBefore, Decision::DoneBefore, ANEW, ANEW]);
}

#[test]
fn the_end_is_recorded_and_nothing_is_left_behind_it() {
    let place = Place::new();
    let (mut journal, _) = place.begin().unwrap();
    run(&mut journal, &[(1, Some(Verdict::Succeeded))]);
    journal.close().unwrap();
    let content = String::from_utf8(place.content()).unwrap();
    let events: Vec<_> = content
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events, ["run", "started", "finished", "run_ended"]);
    let metadata = fs::metadata(&place.path).unwrap();
    let on_disk = std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
    assert!(on_disk <= 64 * 1024, "{on_disk} bytes are still set aside");
}

#[test]
fn a_skipped_job_leaves_no_record() {
    let place = Place::new();
    let (mut journal, _) = place.begin().unwrap();
    let before = place.content();
    journal.ended(&ended(&entry(1, None, 1), "j", Verdict::Skipped)).unwrap();
    assert_eq!(place.content(), before);
}

#[test]
fn an_earlier_run_is_not_written_over_but_one_without_jobs_is_none() {
    let place = Place::new();
    let (journal, _) = place.begin().unwrap();
    drop(journal);
    let (mut journal, _) = place.begin().unwrap();
    run(&mut journal, &[(1, None)]);
    drop(journal);
    let before = place.content();
    let told = message(place.begin());
    assert!(told.contains("holds an earlier run") && told.contains("--resume"), "{told}");
    assert_eq!(place.content(), before);
}

#[test]
fn a_second_runner_is_told_who_holds_the_journal() {
    let place = Place::new();
    let (_journal, _) = place.begin().unwrap();
    for result in [place.begin(), place.resume()] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorCode::Conflict);
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
    }
}

#[test]
fn what_is_no_journal_stays_as_it_is() {
    for content in [&b"{\"cmd\":[\"true\"]}\n"[..], b"no newline", b"\n", b"{\"event\":\"run_ended\"}\n", b"\0\0\0\0"] {
        let place = Place::holding(content);
        for result in [place.resume(), place.begin()] {
            let told = message(result);
            assert!(told.contains("is no journal"), "{told}");
        }
        assert_eq!(place.content(), content);
    }
    let place = Place::holding(b"{\"journal\":\"runner\",\"version\":9}\n");
    assert!(message(place.resume()).contains("version 9"));
}

#[test]
fn a_journal_is_a_regular_file_in_a_folder_that_is_there() {
    let told = message(open(Path::new("/dev/null"), None));
    assert!(told.contains("no regular file"), "{told}");
    let place = Place::new();
    assert!(matches!(open(&place.path.join("journal"), None), Err(Error::Path { .. })));
    assert!(matches!(open(place.path.parent().unwrap(), None), Err(Error::Path { .. })));
}

#[test]
fn a_torn_beginning_and_a_torn_end_are_repaired() {
    let place = Place::holding(b"{\"journal\":\"run");
    let (mut journal, earlier) = place.resume().unwrap();
    assert_eq!((earlier.is_resumed, earlier.repaired_bytes), (false, 15));
    run(&mut journal, &[(1, Some(Verdict::Succeeded)), (2, None)]);
    drop(journal);
    let whole = place.content();
    let cut = &whole[..whole.len() - 9];
    fs::write(&place.path, cut).unwrap();
    let (journal, earlier) = place.resume().unwrap();
    assert!(earlier.repaired_bytes > 0);
    assert_eq!(decisions(earlier, &[1, 2]), [Decision::DoneBefore, ANEW]);
    drop(journal);
    let (_, earlier) = place.resume().unwrap();
    assert_eq!((earlier.repaired_bytes, earlier.unreadable_lines), (0, 0), "it is whole again");
}

#[test]
fn a_whole_last_record_without_its_newline_counts() {
    let place = Place::new();
    let (mut journal, _) = place.begin().unwrap();
    run(&mut journal, &[(1, Some(Verdict::Succeeded))]);
    drop(journal);
    let whole = place.content();
    fs::write(&place.path, &whole[..whole.len() - 1]).unwrap();
    let (mut journal, earlier) = place.resume().unwrap();
    assert_eq!(decisions(earlier, &[1]), [Decision::DoneBefore]);
    run(&mut journal, &[(2, Some(Verdict::Succeeded))]);
    drop(journal);
    assert!(place.content().starts_with(&whole));
    let (_, earlier) = place.resume().unwrap();
    assert_eq!(earlier.unreadable_lines, 0);
    assert_eq!(decisions(earlier, &[1, 2]), [Decision::DoneBefore, Decision::DoneBefore]);
}

#[test]
fn each_record_can_be_synced_by_itself() {
    let place = Place::new();
    let path = place.path.clone();
    let request = JournalRequest { path, sync_each: true, resume: None, may_create: true, has_shell_line: false };
    let (mut journal, _) = Journal::open(&request).unwrap();
    run(&mut journal, &[(1, Some(Verdict::Succeeded))]);
    journal.close().unwrap();
    let (_, earlier) = place.resume().unwrap();
    assert_eq!(decisions(earlier, &[1]), [Decision::DoneBefore]);
}

/// As under `ulimit -f`: no job begins whose end might not be recorded, and what began is recorded to its end.
#[test]
fn a_limit_of_the_length_of_files_loses_no_end() {
    let place = Place::new();
    let (mut journal, _) = place.begin().unwrap();
    journal.appender.storage.limit = 4_000;
    journal.appender.trim().unwrap();
    let jobs: Vec<_> = (1..).map(|seq| entry(seq, None, u128::from(seq))).take(100).collect();
    let begun = jobs.iter().take_while(|job| journal.started(job, "j", 1).is_ok()).count();
    assert!((2..20).contains(&begun), "{begun} jobs began");
    let error = journal.started(&jobs[begun], "j", 1).unwrap_err();
    assert!(error.to_string().contains("too large"), "{error}");
    for job in &jobs[..begun] {
        journal.ended(&ended(job, "j", Verdict::Succeeded)).unwrap();
    }
    journal.close().unwrap();
    let (_, earlier) = place.resume().unwrap();
    let contents: Vec<_> = (1..=begun as u128 + 1).collect();
    let mut expected = vec![Decision::DoneBefore; begun];
    expected.push(ANEW);
    assert_eq!(decisions(earlier, &contents), expected);
}

/// Where the limit comes down on jobs that run, their ends are kept and told; with room again they are written.
#[test]
fn ends_that_could_not_be_recorded_are_recorded_once_there_is_room() {
    let place = Place::new();
    let (mut journal, _) = place.begin().unwrap();
    run(&mut journal, &[(1, None), (2, None)]);
    journal.appender.storage.limit = 10;
    for seq in [1, 2] {
        let over = ended(&entry(seq, None, u128::from(seq)), "j", Verdict::Succeeded);
        assert!(journal.ended(&over).is_err());
    }
    assert!(journal.started(&entry(3, None, 3), "j", 1).is_err());
    journal.appender.storage.limit = u64::MAX;
    journal.close().unwrap();
    let (mut journal, earlier) = place.resume().unwrap();
    assert_eq!(decisions(earlier, &[1, 2, 3]), [Decision::DoneBefore, Decision::DoneBefore, ANEW]);
    run(&mut journal, &[(3, None)]);
    journal.appender.storage.limit = 10;
    assert!(journal.ended(&ended(&entry(1, None, 3), "j", Verdict::Succeeded)).is_err());
    let told = journal.close().unwrap_err().remediation();
    assert!(told.contains("one job ended without a record"), "{told}");
    let (_, earlier) = place.resume().unwrap();
    assert_eq!(decisions(earlier, &[3]), [ONCE_MORE]);
}
