//! Every byte of a job is kept where that was asked for, in constant memory, and nothing of it stays behind.

use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use runner::backend::local::{Local, Rungs};
use runner::backend::{Assignment, Backend, Foreman, Next};
use runner::error::Error;
use runner::model::event::Event;
use runner::model::job::{Command, JobSpec, Leftovers, Limits, Route, Scope, Stdin, Streams, Surroundings};
use runner::model::outcome::{Cause, End, Outcome};
use runner::model::retry::Retry;
use runner::model::signal::Signal;
use runner::platform::signals::Inherited;
use runner::supervise::orders::Manners;
use runner::time::clock::Moment;

use crate::support::{pattern, status_kib, victim_path};

mod support;

const LENGTH: u64 = 100 << 20;

struct One {
    assignment: Option<Box<Assignment>>,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

impl Foreman for One {
    fn next(&mut self, _now: Moment) -> Next {
        self.assignment.take().map_or(Next::Over, Next::Start)
    }

    fn hear(&mut self, _tag: u64, event: Event, _now: Moment) {
        if let Event::JobFinished(outcome) = event {
            *self.outcome.lock().expect("the slot") = Some(*outcome);
        }
    }

    fn refused(&mut self, _tag: u64, error: Error, _now: Moment) {
        panic!("{error}");
    }

    fn stop(&mut self, _cause: Cause) {}
}

#[test]
fn a_hundred_megabytes_are_kept_in_constant_memory() {
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
    let spec = JobSpec {
        command: Command::Argv(vec![victim_path().into(), "flood".into(), LENGTH.to_string().into()]),
        name: None,
        limits,
        surroundings: Surroundings { stdin: Stdin::Null, ..Surroundings::default() },
        leftovers: Leftovers::Report,
        retry: Retry::default(),
        capture_limit: 256 << 10,
        log: None,
        sd_notify: false,
    };
    let assignment = Assignment {
        tag: 0,
        attempt: 1,
        spec,
        streams: Streams { stdout: Route::Spool, stderr: Route::Spool, terminals: [false; 2] },
        job_id: "01900000-0000-7000-8000-000000000000".to_owned(),
        stage: None,
        lines: None,
        record: None,
        pulse: None,
        env: std::env::vars_os().collect(),
    };
    let before = status_kib(std::process::id() as i32, "VmHWM").expect("our status");
    let slot = Arc::new(Mutex::new(None));
    let foreman = One { assignment: Some(Box::new(assignment)), outcome: Arc::clone(&slot) };
    let place = Local { manners: Manners::Cancel, rungs: Rungs::Best, inherited: Inherited::read() };
    place.run(Box::new(foreman), &mut || ()).expect("a run");
    let after = status_kib(std::process::id() as i32, "VmHWM").expect("our status");
    assert!(after - before < 8 * 1024, "{} KiB", after - before);

    let outcome = slot.lock().expect("the slot").take().expect("an outcome");
    assert_eq!((&outcome.end, outcome.troubles.as_slice()), (&End::Exited(0), &[][..]));
    let record = &outcome.stdout;
    let spool = record.spool.as_ref().expect("a file");
    assert_eq!((record.total, spool.0.metadata().expect("its status").len()), (LENGTH, LENGTH));
    assert_eq!(record.omitted, LENGTH - (256 << 10), "the window is as it would be without the file");
    let (mut kept, mut expected) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    for offset in (0..LENGTH).step_by(1 << 20) {
        spool.0.read_exact_at(&mut kept, offset).expect("to read it again");
        pattern::fill(&mut expected, offset, 1);
        assert!(kept == expected, "from {offset}");
    }
    assert!(outcome.stderr.spool.is_none() && outcome.stderr.total == 0);
}
