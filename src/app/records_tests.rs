//! Records in files: when they appear, what is left of them when something goes wrong, and what the surroundings add.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Records, Surroundings};
use crate::model::auto_timeout::TimeoutBounds;
use crate::model::batch::{Counts, Ended};
use crate::model::envelope::Envelope;
use crate::model::job::{Command, JobSpec, Leftovers, Limits, Scope};
use crate::model::request::{
    AnswerOptions, BatchRequest, CiSystem, Grouping, JobList, JournalRequest, OutputForm, ResumeRule, StopRule, Workers,
};
use crate::model::retry::Retry;
use crate::model::signal::Signal;
use crate::platform::descriptors::Kind;
use crate::render::records::fixture::Story;

const HEADING: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
const LINE: &str = "1\t:\t1795470330.500\t    12.340\t0\t0\t0\t0\techo one\n";

fn request() -> BatchRequest {
    let limits = Limits {
        timeout: None,
        max_timeout: None,
        parent_timeout: None,
        budget: None,
        idle_timeout: None,
        warn_after: None,
        warn_signal: None,
        stop_signal: Signal::TERM,
        grace: None,
        scope: Scope::Tree,
    };
    let defaults = JobSpec {
        command: Command::Argv(vec!["true".into()]),
        name: None,
        limits,
        surroundings: crate::model::job::Surroundings::default(),
        leftovers: Leftovers::Report,
        retry: Retry::default(),
        capture_limit: 0,
        log: None,
        sd_notify: false,
    };
    BatchRequest {
        list: JobList::File(PathBuf::from("lists/unit.jsonl")),
        defaults,
        timeout_share: None,
        timeout_floor: Duration::ZERO,
        auto_factor: None,
        auto_bounds: TimeoutBounds::default(),
        record: false,
        workers: Workers { slots: 1, max_load: None, min_free_memory: None },
        total_timeout: None,
        stopping: StopRule::default(),
        journal: None,
        output: OutputForm::default(),
        results: None,
        junit: None,
        joblog: None,
        ci: None,
        dry_run: false,
        answer: AnswerOptions::default(),
    }
}

fn open(request: &BatchRequest, variables: &[(&str, &Path)]) -> crate::error::Result<Records> {
    let variable = |name: &str| -> Option<OsString> {
        variables.iter().find(|(known, _)| *known == name).map(|(_, path)| path.into())
    };
    Records::open_in(request, &Surroundings { variable: &variable, stdout: Kind::Pipe })
}

fn job(story: Story) -> (Ended, Envelope) {
    story.build()
}

/// All of a batch with one success.
fn run(mut records: Records) -> crate::error::Result<()> {
    let (ended, envelope) = job(Story::success());
    assert_eq!(records.note(&ended, &envelope), Vec::<String>::new());
    records.finish(&Counts { succeeded: 1, ..Counts::default() }, Duration::from_secs(42))
}

#[test]
fn the_job_log_grows_and_the_report_appears_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (joblog, junit) = (folder.path().join("log"), folder.path().join("report.xml"));
    fs::write(&joblog, "old").unwrap();
    fs::write(&junit, "old").unwrap();
    let request = BatchRequest { joblog: Some(joblog.clone()), junit: Some(junit.clone()), ..request() };
    let mut records = open(&request, &[]).unwrap();
    assert_eq!(fs::read_to_string(&joblog).unwrap(), HEADING);
    let (ended, envelope) = job(Story::success());
    assert!(records.note(&ended, &envelope).is_empty());
    assert_eq!(fs::read_to_string(&joblog).unwrap(), format!("{HEADING}{LINE}"));
    assert_eq!(fs::read_to_string(&junit).unwrap(), "old");
    records.finish(&Counts { succeeded: 1, ..Counts::default() }, Duration::from_secs(42)).unwrap();
    let xml = fs::read_to_string(&junit).unwrap();
    let document = roxmltree::Document::parse(&xml).unwrap();
    assert_eq!(document.root_element().attribute("name"), Some("unit"));
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("testcase")).count(), 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "something was left");
}

#[test]
fn a_batch_that_is_resumed_goes_on_with_its_job_log() {
    let folder = tempfile::tempdir().unwrap();
    let joblog = folder.path().join("log");
    let resume = JournalRequest {
        path: folder.path().join("j"),
        sync_each: false,
        resume: Some(ResumeRule::All),
        may_create: true,
        has_shell_line: false,
    };
    let request = BatchRequest { joblog: Some(joblog.clone()), journal: Some(resume), ..request() };
    for (before, after) in [
        ("", format!("{HEADING}{LINE}")),
        (&format!("{HEADING}{LINE}")[..], format!("{HEADING}{LINE}{LINE}")),
        // Half a line, as a run that was killed leaves it.
        ("1\t:\t17", format!("1\t:\t17\n{LINE}")),
    ] {
        fs::write(&joblog, before).unwrap();
        run(open(&request, &[]).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(&joblog).unwrap(), after);
    }
}

#[test]
fn a_record_that_cannot_be_written_is_refused_before_the_start() {
    for path in ["/no/such/folder/file", "/dev"] {
        let request = BatchRequest { joblog: Some(path.into()), ..request() };
        assert!(open(&request, &[]).is_err(), "{path}");
        let request = BatchRequest { junit: Some(path.into()), joblog: None, ..request };
        let error = open(&request, &[]).err().expect("no such place");
        assert!(error.to_string().starts_with("cannot write the JUnit report "), "{error}");
        assert_eq!(error.remediation(), "Check --junit: its folder must exist and be writable");
    }
}

#[test]
fn two_records_never_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("file", &link).unwrap();
    let request = BatchRequest { junit: Some(file.clone()), joblog: Some(link), ..request() };
    let error = Records::check(&request).expect_err("one file twice");
    assert!(error.to_string().contains("--joblog and --junit name the same file"), "{error}");
    let request = BatchRequest { joblog: None, list: JobList::File(file.clone()), ..request };
    assert!(Records::check(&request).is_err(), "the list would be lost");
    let null = Some(PathBuf::from("/dev/null"));
    let request = BatchRequest { junit: null.clone(), joblog: null, ..request };
    Records::check(&request).unwrap();
    run(open(&request, &[]).unwrap()).unwrap();
    assert!(!file.exists());
}

#[test]
fn a_full_disk_is_said_once_and_is_the_error_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("summary");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let request = BatchRequest { ci: Some(Some(CiSystem::Github)), ..request() };
    let error = run(open(&request, &[("GITHUB_STEP_SUMMARY", &full)]).unwrap()).unwrap_err();
    assert!(error.to_string().starts_with("cannot write the step summary "), "{error}");
    assert!(error.to_string().ends_with(": No space left on device"), "{error}");
}

#[test]
fn a_reader_that_left_costs_the_jobs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    let request = BatchRequest { joblog: Some(fifo.clone()), ..request() };
    let reader = fs::File::options().read(true).write(true).open(&fifo).unwrap();
    let mut records = open(&request, &[]).unwrap();
    drop(reader);
    let (ended, envelope) = job(Story::success());
    let expected = format!("runner: cannot write {}: nobody reads it", fifo.display());
    assert_eq!(records.note(&ended, &envelope), [expected]);
    assert!(records.note(&ended, &envelope).is_empty(), "it was said already");
    assert!(records.finish(&Counts::default(), Duration::ZERO).is_err());
}

#[test]
fn github_is_noticed_and_leaves_stdout_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (summary, outputs) = (folder.path().join("summary"), folder.path().join("outputs"));
    fs::write(&summary, "before\n").unwrap();
    let variables: [(&str, &Path); 3] =
        [("GITHUB_ACTIONS", Path::new("true")), ("GITHUB_STEP_SUMMARY", &summary), ("GITHUB_OUTPUT", &outputs)];
    let mut records = open(&request(), &variables).unwrap();
    let (ended, envelope) = job(Story::exit(3));
    assert!(records.around_output(&ended, &envelope).is_empty());
    assert!(records.around_all().is_empty());
    assert!(!records.joins_streams());
    run(records).unwrap();
    assert!(fs::read_to_string(&summary).unwrap().starts_with("before\n### unit: 1 succeeded in 42.0 s\n"));
    assert!(fs::read_to_string(&outputs).unwrap().starts_with("total=1\nsucceeded=1\n"));
    let elsewhere = open(&request(), &[("GITHUB_STEP_SUMMARY", &summary)]).unwrap();
    assert!(elsewhere.log.is_none() && elsewhere.open.is_empty());
}

#[test]
fn what_only_the_surroundings_ask_for_never_fails_a_batch() {
    let variables: [(&str, &Path); 2] =
        [("GITHUB_ACTIONS", Path::new("true")), ("GITHUB_STEP_SUMMARY", Path::new("/no/such/folder/file"))];
    run(open(&request(), &variables).unwrap()).unwrap();
    assert!(open(&BatchRequest { ci: Some(Some(CiSystem::Github)), ..request() }, &variables).is_err());
}

#[test]
fn a_ci_system_that_was_declined_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary");
    let variables = [("GITHUB_ACTIONS", Path::new("true")), ("GITHUB_STEP_SUMMARY", summary.as_path())];
    run(open(&BatchRequest { ci: Some(None), ..request() }, &variables).unwrap()).unwrap();
    assert!(!summary.exists());
}

#[test]
fn a_summary_that_would_be_too_large_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary");
    fs::write(&summary, "x".repeat(1024 * 1024 - 10)).unwrap();
    let request = BatchRequest { ci: Some(Some(CiSystem::Github)), ..request() };
    assert!(run(open(&request, &[("GITHUB_STEP_SUMMARY", &summary)]).unwrap()).is_err());
    assert_eq!(fs::metadata(&summary).unwrap().len(), 1024 * 1024 - 10);
}

#[test]
fn frames_go_where_they_were_asked_for() {
    let (ended, envelope) = job(Story::success());
    let asked = BatchRequest { ci: Some(Some(CiSystem::Gitlab)), ..request() };
    let mut records = open(&asked, &[]).unwrap();
    assert!(records.joins_streams());
    assert!(records.around_output(&ended, &envelope).before.starts_with(b"\x1b[0Ksection_start:"));
    let lines = OutputForm { grouping: Grouping::Line, ..OutputForm::default() };
    let mut records = open(&BatchRequest { output: lines, ..asked.clone() }, &[]).unwrap();
    assert!(records.around_output(&ended, &envelope).is_empty() && !records.joins_streams());
    let github = BatchRequest { ci: Some(Some(CiSystem::Github)), output: lines, ..asked.clone() };
    let frame = open(&github, &[]).unwrap().around_all();
    assert!(frame.before.starts_with(b"::stop-commands::") && frame.after.starts_with(b"::"));
    let json = BatchRequest { answer: AnswerOptions { json: true, ..AnswerOptions::default() }, ..asked.clone() };
    assert!(open(&json, &[]).unwrap().around_output(&ended, &envelope).is_empty());
    let no_log = Surroundings { variable: &|_| None, stdout: Kind::Prompt };
    assert!(Records::open_in(&asked, &no_log).unwrap().around_output(&ended, &envelope).is_empty());
}
