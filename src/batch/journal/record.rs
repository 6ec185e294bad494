//! The records of a journal: one JSON object on a line each, in the order of the fields as they stand here.
//!
//! Written by types that own nothing, read by one that knows every field and asks for none: a field that is new disturbs
//! no older reader, and a line that is no record is told apart from one of a later version.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::batch::{Ended, Entry, Fingerprint, Verdict};
use crate::model::envelope::ErrorCode;
use crate::model::request::ResumeRule;
use crate::model::signal::Signal;
use crate::platform::procfs::Identity;
use crate::time::clock::rfc3339;

/// How every journal begins, and so what tells one from any other file.
pub(in crate::batch) const BEGINNING: &[u8] = br#"{"journal":"runner","#;
const FORMAT: &str = "runner";
/// Version 1 has different fingerprints.
const VERSION: u32 = 2;
/// A finished record without its id is never longer.
const FINISHED_LENGTH: usize = 512;

/// Who wrote what follows: a run of runner, and the machine that it ran on since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::batch) struct Author {
    pub(in crate::batch) run: String,
    pub(in crate::batch) process: Identity,
    /// None where the system has none.
    pub(in crate::batch) boot_id: Option<String>,
    /// What it took from the runs before.
    pub(in crate::batch) rule: ResumeRule,
    /// The run was of journal version 1, which has different fingerprints.
    pub(in crate::batch) is_legacy: bool,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::batch) enum Record {
    Run(Author),
    Started {
        seq: u64,
        fingerprint: Fingerprint,
        job_id: String,
    },
    Finished {
        seq: u64,
        fingerprint: Fingerprint,
        verdict: Verdict,
    },
    /// The run came to its end.
    RunEnded,
    /// One of a later version, which may be left out.
    Unknown,
}

/// Why a line is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::batch) enum Unreadable {
    /// It is torn, or never was a record.
    Garbage,
    /// The version of the journal, which is later than ours.
    Later(u32),
}

#[derive(Serialize)]
struct RunLine<'a> {
    journal: &'static str,
    version: u32,
    event: &'static str,
    run: &'a str,
    pid: i32,
    start_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_id: Option<&'a str>,
    rule: &'static str,
    timestamp: String,
}

#[derive(Serialize)]
struct StartedLine<'a> {
    event: &'static str,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    fingerprint: String,
    job_id: &'a str,
    attempt: u32,
    timestamp: String,
}

#[derive(Serialize)]
struct FinishedLine<'a> {
    event: &'static str,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    fingerprint: String,
    job_id: &'a str,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<ErrorCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<Signal>,
    attempts: usize,
    duration_seconds: f64,
    timestamp: String,
}

#[derive(Serialize)]
struct RunEndedLine<'a> {
    event: &'static str,
    run: &'a str,
    timestamp: String,
}

/// Every field that we look at.
#[derive(Deserialize)]
struct AnyLine<'a> {
    #[serde(borrow, default)]
    journal: Option<Cow<'a, str>>,
    version: Option<u32>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    run: Option<Cow<'a, str>>,
    pid: Option<i32>,
    start_time: Option<u64>,
    #[serde(borrow, default)]
    boot_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    rule: Option<Cow<'a, str>>,
    seq: Option<u64>,
    #[serde(borrow, default)]
    fingerprint: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    job_id: Option<Cow<'a, str>>,
    verdict: Option<Verdict>,
}

/// The first record of a run.
pub(in crate::batch) fn run(author: &Author, now: Duration) -> Vec<u8> {
    line(&RunLine {
        journal: FORMAT,
        version: VERSION,
        event: "run",
        run: &author.run,
        pid: author.process.pid,
        start_time: author.process.start_time,
        boot_id: author.boot_id.as_deref(),
        rule: rule_name(author.rule),
        timestamp: rfc3339(now),
    })
}

pub(in crate::batch) fn started(entry: &Entry, job_id: &str, attempt: u32, now: Duration) -> Vec<u8> {
    line(&StartedLine {
        event: "started",
        seq: entry.seq,
        id: entry.id.as_deref(),
        fingerprint: entry.fingerprint.to_string(),
        job_id,
        attempt,
        timestamp: rfc3339(now),
    })
}

pub(in crate::batch) fn finished(ended: &Ended) -> Vec<u8> {
    let last = ended.attempts.last();
    line(&FinishedLine {
        event: "finished",
        seq: ended.seq,
        id: ended.id.as_deref(),
        fingerprint: ended.fingerprint.to_string(),
        job_id: &ended.job_id,
        verdict: ended.verdict,
        code: last.and_then(|attempt| attempt.code).or(ended.refusal.as_ref().map(|refusal| refusal.code)),
        exit_code: last.and_then(|attempt| attempt.exit_code),
        signal: last.and_then(|attempt| attempt.signal),
        attempts: ended.attempts.len(),
        duration_seconds: ended.duration().as_secs_f64(),
        timestamp: rfc3339(ended.ended_at),
    })
}

pub(in crate::batch) fn run_ended(author: &Author, now: Duration) -> Vec<u8> {
    line(&RunEndedLine { event: "run_ended", run: &author.run, timestamp: rfc3339(now) })
}

/// The room that the finished record of a job takes at most.
pub(in crate::batch) fn finished_length(id: Option<&str>) -> u64 {
    let id = id.map_or(0, |id| serde_json::to_string(id).map_or(0, |json| json.len()));
    (FINISHED_LENGTH + id) as u64
}

fn line(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(record).expect("text and numbers alone");
    bytes.push(b'\n');
    bytes
}

/// What a line says, its newline left out.
pub(in crate::batch) fn parse(line: &[u8]) -> Result<Record, Unreadable> {
    let garbage = Unreadable::Garbage;
    let any: AnyLine<'_> = serde_json::from_slice(line).map_err(|_| garbage)?;
    if let Some(format) = &any.journal {
        let version = any.version.filter(|_| format == FORMAT).ok_or(garbage)?;
        if version > VERSION {
            return Err(Unreadable::Later(version));
        }
        return author(&any, version < VERSION).map(Record::Run).ok_or(garbage);
    }
    let fingerprint = || any.fingerprint.as_ref()?.parse().ok();
    match any.event.as_deref().ok_or(garbage)? {
        "started" => Ok(Record::Started {
            seq: any.seq.ok_or(garbage)?,
            fingerprint: fingerprint().ok_or(garbage)?,
            job_id: any.job_id.ok_or(garbage)?.into_owned(),
        }),
        "finished" => Ok(Record::Finished {
            seq: any.seq.ok_or(garbage)?,
            fingerprint: fingerprint().ok_or(garbage)?,
            verdict: any.verdict.ok_or(garbage)?,
        }),
        "run_ended" => Ok(Record::RunEnded),
        _ => Ok(Record::Unknown),
    }
}

fn author(line: &AnyLine<'_>, is_legacy: bool) -> Option<Author> {
    Some(Author {
        run: line.run.as_deref()?.to_owned(),
        process: Identity { pid: line.pid?, start_time: line.start_time? },
        boot_id: line.boot_id.as_deref().map(str::to_owned),
        rule: RULES.iter().find(|(_, name)| Some(*name) == line.rule.as_deref())?.0,
        is_legacy,
    })
}

const RULES: [(ResumeRule, &str); 4] = [
    (ResumeRule::All, "all"),
    (ResumeRule::Failed, "failed"),
    (ResumeRule::Unfinished, "unfinished"),
    (ResumeRule::TimedOut, "timeout"),
];

fn rule_name(rule: ResumeRule) -> &'static str {
    RULES.iter().find(|(known, _)| *known == rule).map_or("all", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::{Author, BEGINNING, Record, Unreadable, finished, finished_length, parse, run, run_ended, started};
    use crate::batch::journal::samples::{EPOCH, attempt, author, ended, entry};
    use crate::model::batch::{Fingerprint, Verdict};
    use crate::model::envelope::ErrorCode;
    use crate::model::request::ResumeRule;

    fn text(line: &[u8]) -> &str {
        std::str::from_utf8(line).unwrap().strip_suffix('\n').unwrap()
    }

    #[test]
    fn records_read_as_they_are_documented() {
        let author = author(ResumeRule::TimedOut);
        let line = run(&author, EPOCH);
        let expected = r#"{"journal":"runner","version":2,"event":"run","run":"r1","pid":7,"start_time":99,"boot_id":"b","rule":"timeout","timestamp":"2024-01-15T10:30:00.000Z"}"#;
        assert_eq!(text(&line), expected);
        assert!(line.starts_with(BEGINNING));
        let entry = entry(3, Some("a\"b"), 255);
        let line = started(&entry, "j1", 2, EPOCH);
        let expected = r#"{"event":"started","seq":3,"id":"a\"b","fingerprint":"000000000000000000000000000000ff","job_id":"j1","attempt":2,"timestamp":"2024-01-15T10:30:00.000Z"}"#;
        assert_eq!(text(&line), expected);
        let mut over = ended(&entry, "j1", Verdict::TimedOut);
        over.attempts = vec![attempt(1, Some(ErrorCode::CommandFailed)), attempt(2, Some(ErrorCode::Timeout))];
        let expected = r#"{"event":"finished","seq":3,"id":"a\"b","fingerprint":"000000000000000000000000000000ff","job_id":"j1","verdict":"timed_out","code":"TIMEOUT","attempts":2,"duration_seconds":1.5,"timestamp":"2024-01-15T10:30:00.000Z"}"#;
        assert_eq!(text(&finished(&over)), expected);
        let expected = r#"{"event":"run_ended","run":"r1","timestamp":"2024-01-15T10:30:00.000Z"}"#;
        assert_eq!(text(&run_ended(&author, EPOCH)), expected);
    }

    #[test]
    fn what_was_written_is_read() {
        let parsed = |line: Vec<u8>| parse(text(&line).as_bytes()).unwrap();
        for rule in [ResumeRule::All, ResumeRule::Failed, ResumeRule::Unfinished, ResumeRule::TimedOut] {
            assert_eq!(parsed(run(&author(rule), EPOCH)), Record::Run(author(rule)));
        }
        let unknown_boot = Author { boot_id: None, ..author(ResumeRule::All) };
        assert_eq!(parsed(run(&unknown_boot, EPOCH)), Record::Run(unknown_boot));
        let fingerprint = Fingerprint(u128::MAX - 1);
        let entry = entry(3, Some("\u{0}\n\u{2028}é"), fingerprint.0);
        let expected = Record::Started { seq: 3, fingerprint, job_id: "j".to_owned() };
        assert_eq!(parsed(started(&entry, "j", 1, EPOCH)), expected);
        for verdict in Verdict::ALL {
            let expected = Record::Finished { seq: 3, fingerprint, verdict };
            assert_eq!(parsed(finished(&ended(&entry, "j", verdict))), expected);
        }
    }

    #[test]
    fn what_is_no_record_is_told_from_what_is_of_a_later_version() {
        for garbage in [
            "",
            "{",
            "[]",
            "17",
            "{}",
            "\0\0",
            "{\"event\":\"started\",\"seq\":1}",
            "{\"journal\":\"x\",\"version\":1}",
        ] {
            assert_eq!(parse(garbage.as_bytes()), Err(Unreadable::Garbage), "{garbage}");
        }
        assert_eq!(parse(br#"{"journal":"runner","version":3,"new":[]}"#), Err(Unreadable::Later(3)));
        assert_eq!(parse(br#"{"event":"new","seq":[1]}"#), Err(Unreadable::Garbage));
        assert_eq!(parse(br#"{"event":"new","at":[1]}"#), Ok(Record::Unknown));
    }

    #[test]
    fn the_end_of_a_job_is_never_longer_than_was_set_aside() {
        for id in [None, Some("x"), Some("\u{1}\u{2}\"\\\n"), Some("ééé")] {
            let entry = entry(u64::MAX, id, u128::MAX);
            let job_id = "00000000-0000-0000-0000-000000000000";
            let mut over = ended(&entry, job_id, Verdict::TimedOut);
            let mut last = attempt(u32::MAX, Some(ErrorCode::ServiceUnavailable));
            last.exit_code = Some(i32::MIN);
            last.signal = crate::model::signal::Signal::from_number(64);
            over.attempts = vec![last];
            over.started_at = Some(std::time::Duration::ZERO);
            over.ended_at = std::time::Duration::from_secs(250_000_000_000) + std::time::Duration::from_nanos(1);
            assert!(finished(&over).len() as u64 <= finished_length(id));
        }
    }
}
