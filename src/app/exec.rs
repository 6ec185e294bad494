//! `runner exec`: one command under the watchdog, answered.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::app::answer::{self, Report, Request};
use crate::app::display::{Display, Form};
use crate::app::input::Input;
use crate::app::port::{self, Port};
use crate::app::recorder::Recorder;
use crate::app::single::{Ended, Single};
use crate::app::{environment, history, streams};
use crate::backend::local::{Local, Rungs};
use crate::backend::queue::queue;
use crate::backend::{Assignment, Backend};
use crate::batch::tries::Tries;
use crate::capture::content;
use crate::error::{Error, Result, plain};
use crate::model::answer::{Extent, of_outcome, of_stop};
use crate::model::attempt::Attempt;
use crate::model::event::Event;
use crate::model::exit_code::{self, Exit};
use crate::model::job::{JobSpec, Limits, Route, Streams};
use crate::model::outcome::{End, Outcome};
use crate::model::request::{AnswerOptions, ExecRequest};
use crate::model::sample::Subject;
use crate::model::secrets::Secrets;
use crate::model::signal::Signal;
use crate::platform::descriptors;
use crate::platform::path_walk;
use crate::platform::shortage;
use crate::platform::signals::{self, Inherited};
use crate::supervise::orders::Manners;
use crate::time::clock::unix_time;

/// On stderr, after pass-through, at most so much of each stream is repeated.
const REPEATED: usize = 16 * 1024;

/// What was kept back is given up where its reader takes nothing for so long after a stop.
const READER_PATIENCE: Duration = Duration::from_secs(1);

/// Forces one kind of containment; for tests.
pub(in crate::app) const CONTAINMENT: &str = "RUNNER_TEST_CONTAINMENT";

/// Runs the command, answers, and says how to leave.
pub fn run(mut request: ExecRequest) -> Exit {
    let secrets = Secrets::of(&request.job.surroundings);
    request.job.name.iter_mut().for_each(|name| secrets.mask(name));
    let mut begun = Request::begin(request.job.name.clone());
    begun.keep_secret(secrets);
    let options = request.answer.clone();
    let subject = request.record.then(|| Arc::new(Subject::of(&request.job)));
    let mut ended = Ended::default();
    let exit = match supervise(request, &mut begun, &mut ended) {
        Ok(exit) => exit,
        Err(error) => {
            let error = shortage::named(error);
            answer::deliver_error(&error, &options, &begun);
            Exit::Code(error.exit_code())
        }
    };
    if let Some(subject) = subject {
        record(&subject, &ended.attempts);
    }
    exit
}

/// Everything is answered: what can go wrong now costs nothing but a line.
fn record(subject: &Arc<Subject>, attempts: &[Attempt]) {
    let mut recorder = Recorder::default();
    recorder.note(subject, attempts, unix_time());
    if let Some(trouble) = recorder.finish() {
        answer::say(&format!("runner: {trouble}"));
    }
}

fn supervise(mut request: ExecRequest, begun: &mut Request, ended: &mut Ended) -> Result<Exit> {
    let inherited = Inherited::read();
    signals::set_own_dispositions();
    signals::unblock_all();
    let options = &request.answer;
    let report = options.report.as_deref().map(Report::check).transpose()?;
    if let Some(cwd) = &request.job.surroundings.cwd {
        check_directory(cwd)?;
    }
    if let Some(auto) = &request.auto {
        let resolved = history::resolve(&mut request.job, auto);
        if options.verbose > 0 {
            answer::say(&format!("runner: {}", resolved.line()));
        }
    }
    let limits = &mut request.job.limits;
    limits.parent_timeout = environment::parent_timeout();
    let several = request.job.retry.retries > 0;
    let input = if several { Input::of_several(&request.job.surroundings.stdin)? } else { Input::Same };
    let tries = Tries::new(request.job.retry.clone(), &request.job.limits, begun.seed());
    let form = Form::choose(&request);
    let streams = streams::choose(&request, form);
    let command = request.job.command.shown();
    let secrets = begun.info().secrets;
    let title = || secrets.mask_text(&request.job.command.title()).into_owned();
    let name = request.job.name.clone().unwrap_or_else(title);
    let mut display = Display::open(form, streams.terminals != [false; 2], name, &request, begun)?;
    let backend = Local { manners: Manners::Cancel, rungs: rungs(), inherited };
    let (mut outcome, mut interim) = (None, None);
    let options = &request.answer;
    let (job_id, stage, pulse) = (begun.job_id(), display.stage(), display.pulse());
    let spec = request.job;
    let prepare = |attempt: u32, limits: Limits| {
        if attempt > 1 {
            input.rewind()?;
        }
        let env = environment::for_job(&spec.surroundings, &job_id, attempt, limits.wall().map(|(wall, _)| wall));
        let (spec, job_id) = (JobSpec { limits, ..spec.clone() }, job_id.clone());
        Ok(Assignment {
            tag: 0,
            spec,
            streams,
            job_id,
            attempt,
            stage: stage.clone(),
            lines: None,
            record: None,
            pulse,
            env,
        })
    };
    let (sender, mut events) = queue();
    let listener = move |mut event| {
        // Why an attempt was refused is no event of the job itself.
        secrets.mask_event(&mut event);
        sender.send(event);
    };
    let foreman = Single::new(tries, prepare, listener, ended);
    backend.run(Box::new(foreman), &mut || {
        for event in &mut events {
            if let (Event::StopRequested(so_far), Some(report)) = (&event, &report) {
                interim = report.write_interim(&of_stop(so_far, &command, &begun.info()));
            }
            display.show(&event);
            if let Event::JobFinished(finished) = event {
                outcome = Some(*finished);
                // The watchdog lets go of the job meanwhile: its group is removed, its guard gone.
                break;
            }
        }
    })?;
    if several {
        begun.note_attempts(ended.attempts.clone());
    }
    if let Some(error) = ended.failure.take() {
        return Err(error);
    }
    let mut outcome = outcome.ok_or_else(|| Error::Internal("the watchdog gave no outcome".to_owned()))?;
    let report = report.map(|report| (report, interim));
    let fresh_line = display.finish().unwrap_or_else(|| stands_at_line_start(&outcome, streams));
    hand_on(&mut outcome, streams);
    Ok(deliver(&outcome, &command, fresh_line, options, report, begun))
}

/// Writes out what was kept back until the last attempt was over. A reader who takes nothing delays it for ever only
/// where the job ended by itself.
fn hand_on(outcome: &mut Outcome, streams: Streams) {
    let patience = outcome.cause.is_some().then_some(READER_PATIENCE);
    let kept_back = [
        (streams.stdout, Port::stdout(None), &mut outcome.stdout),
        (streams.stderr, Port::stderr(None), &mut outcome.stderr),
    ];
    for (route, port, record) in kept_back {
        if route != Route::Spool {
            continue;
        }
        match port.write_record(record, patience) {
            // A reader that left has all that it wanted.
            Ok(written) if written.end == port::End::Broken => {}
            Ok(written) => record.undelivered = content::length(record) - written.bytes,
            Err(error) => outcome.troubles.push(format!("the output could not be written: {}", plain(&error))),
        }
    }
}

/// Sends the answer where it belongs and says how to leave.
fn deliver(
    outcome: &Outcome,
    command: &str,
    fresh_line: bool,
    options: &AnswerOptions,
    report: Option<(Report, Option<JoinHandle<()>>)>,
    begun: &Request,
) -> Exit {
    let info = begun.info();
    let mut exit = exit_code::of_outcome(outcome);
    let stopped = outcome.cause.is_some();
    if options.json {
        if let Err(error) = answer::to_stdout(&of_outcome(outcome, command, Extent::Kept, &info), stopped) {
            answer::say(&format!("runner: cannot write the answer: {}", crate::error::plain(&error)));
            exit = Exit::Code(exit_code::RUNNER_FAILED);
        }
    } else if says_something(outcome) {
        let envelope = of_outcome(outcome, command, Extent::Last(REPEATED), &info);
        answer::to_stderr(&envelope, options.error_format, fresh_line, stopped);
    }
    // Last: its reader, where it is no file, delays nobody else.
    if let Some((report, interim)) = report {
        interim.map(JoinHandle::join);
        report.write(&of_outcome(outcome, command, Extent::Kept, &info));
    }
    exit
}

/// Nothing is said of a job that ended by itself; nor of one that only lost its reader, as `cat` would.
fn says_something(outcome: &Outcome) -> bool {
    let lost_reader = outcome.reader_gone
        && matches!(outcome.end, End::Signaled { signal: Signal::PIPE, .. })
        && outcome.cause.is_none();
    let by_itself = outcome.cause.is_none() && outcome.troubles.is_empty() && matches!(outcome.end, End::Exited(_));
    (!by_itself && !lost_reader) || outcome.told.failure.is_some()
}

/// Whether stderr stands at the start of a line, as far as that can be known.
fn stands_at_line_start(outcome: &Outcome, streams: Streams) -> bool {
    let terminal = descriptors::is_terminal(descriptors::stderr());
    let last =
        |record: &crate::model::outcome::StreamRecord| answer::ends_line(record.tail.last().or(record.head.last()));
    match streams.stderr {
        // Whatever the job wrote there went by unseen.
        Route::Inherit => !terminal || matches!(outcome.end, End::NotStarted(_)),
        Route::WithStdout => last(&outcome.stdout),
        Route::PassThrough | Route::Lines | Route::Keep | Route::Spool => last(&outcome.stderr),
    }
}

pub(super) fn check_directory(cwd: &Path) -> Result<()> {
    let help = "Check --cwd: it must name an existing folder that may be entered";
    path_walk::check(cwd).map_err(Error::path("enter", cwd, help))?;
    let metadata = std::fs::metadata(cwd).map_err(Error::path("enter", cwd, help))?;
    if !metadata.is_dir() {
        let error = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        return Err(Error::path("enter", cwd, help)(error));
    }
    Ok(())
}

pub(super) fn rungs() -> Rungs {
    match std::env::var_os(CONTAINMENT) {
        Some(value) if value == OsStr::new("cgroup") => Rungs::Cgroup,
        Some(value) if value == OsStr::new("walk") => Rungs::Walk,
        _ => Rungs::Best,
    }
}
