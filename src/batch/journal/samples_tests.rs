//! Jobs and runs for the tests of the journal.

use std::time::Duration;

use crate::batch::journal::record::Author;
use crate::model::attempt::Attempt;
use crate::model::batch::{Ended, Entry, Fingerprint, Priority, Verdict};
use crate::model::envelope::ErrorCode;
use crate::model::job::{Command, JobSpec, Leftovers, Limits, Scope, Surroundings};
use crate::model::request::ResumeRule;
use crate::model::retry::Retry;
use crate::model::signal::Signal;
use crate::platform::procfs::Identity;

/// 2024-01-15T10:30:00Z.
pub(in crate::batch) const EPOCH: Duration = Duration::from_secs(1_705_314_600);

/// A run of a process that lives no more.
pub(in crate::batch) fn author(rule: ResumeRule) -> Author {
    let process = Identity { pid: 7, start_time: 99 };
    Author { run: "r1".to_owned(), process, boot_id: Some("b".to_owned()), rule, is_legacy: false }
}

pub(in crate::batch) fn entry(seq: u64, id: Option<&str>, fingerprint: u128) -> Entry {
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
    let job = JobSpec {
        command: Command::Argv(vec!["true".into()]),
        name: None,
        limits,
        surroundings: Surroundings::default(),
        leftovers: Leftovers::Report,
        retry: Retry::default(),
        capture_limit: 0,
        log: None,
        sd_notify: false,
    };
    Entry {
        seq,
        id: id.map(str::to_owned),
        needs: Vec::new(),
        locks: Vec::new(),
        priority: Priority::Normal,
        job,
        timeout_share: None,
        auto_factor: None,
        subject: None,
        label: String::new(),
        fingerprint: Fingerprint(fingerprint),
        legacy_fingerprint: None,
        line: None,
    }
}

pub(in crate::batch) fn ended(entry: &Entry, job_id: &str, verdict: Verdict) -> Ended {
    Ended {
        seq: entry.seq,
        id: entry.id.clone(),
        title: String::new(),
        command: String::new(),
        label: String::new(),
        fingerprint: entry.fingerprint,
        job_id: job_id.to_owned(),
        verdict,
        attempts: Vec::new(),
        outcome: None,
        refusal: None,
        started_at: Some(EPOCH.saturating_sub(Duration::from_millis(1_500))),
        ended_at: EPOCH,
        interrupted_before: false,
        subject: None,
    }
}

pub(in crate::batch) fn attempt(number: u32, code: Option<ErrorCode>) -> Attempt {
    Attempt {
        attempt: number,
        code,
        exit_code: None,
        signal: None,
        reason: None,
        timeout_seconds: None,
        elapsed_seconds: 1.0,
        message: None,
        delay_seconds: None,
        peak_memory: None,
    }
}
