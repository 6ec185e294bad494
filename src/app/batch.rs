//! `runner batch`: many jobs under one watchdog, recorded and answered.
//!
//! Wires the source, the foreman and everything that shows or keeps results. Called by `main`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::app::answer::{self, Request};
use crate::app::batch_display::BatchDisplay;
use crate::app::batch_output::Deliverer;
use crate::app::environment;
use crate::app::exec::rungs;
use crate::app::history::{self, Tally};
use crate::app::keeper::Keeper;
use crate::app::recorder::Recorder;
use crate::app::records::Records;
use crate::app::results::Results;
use crate::backend::local::Local;
use crate::backend::{Assignment, Backend, Waker};
use crate::batch::admission::Admission;
use crate::batch::feeder::{Complete, Feeder};
use crate::batch::foreman::{BatchForeman, Beginning, Ending, Outflow, Plan, Prepare};
use crate::batch::journal::Journal;
use crate::batch::notices::notices;
use crate::batch::resume::Earlier;
use crate::batch::source::{self, EntryDefaults, Source};
use crate::capture::lines::{LineSink, Lines};
use crate::capture::stage::Stage;
use crate::error::{Error, Result};
use crate::model::auto_timeout::AutoTimeout;
use crate::model::batch::{Counts, Entry, Notice};
use crate::model::exit_code::Exit;
use crate::model::job::{Route, Streams, before_parent};
use crate::model::outcome::TimeoutReason;
use crate::model::printable::clean;
use crate::model::quoting;
use crate::model::request::{AnswerOptions, BatchRequest, Grouping, JournalRequest};
use crate::model::sample::Subject;
use crate::model::secrets::Secrets;
use crate::model::unique_id::unique_id;
use crate::platform::descriptors::{self, Moved};
use crate::platform::limits;
use crate::platform::shortage;
use crate::platform::signals::{self, Inherited};
use crate::render::batch_summary::BatchSummary;
use crate::supervise::orders::Manners;

/// Runs the batch, answers, and says how to leave.
pub fn run(request: BatchRequest) -> Exit {
    let mut begun = Request::begin(request.defaults.name.clone());
    begun.keep_secret(Secrets::of(&request.defaults.surroundings));
    // Reports are of jobs; an error of the batch goes to none.
    let options = AnswerOptions { report: None, ..request.answer.clone() };
    match supervise(request, &begun) {
        Ok(exit) => exit,
        Err(error) => {
            let error = shortage::named(error);
            answer::deliver_error(&error, &options, &begun);
            Exit::Code(error.exit_code())
        }
    }
}

/// A job tells so often that time passed; the more jobs, the less often.
const PULSE: Duration = Duration::from_millis(250);
const PULSE_PER_JOB: Duration = Duration::from_millis(4);
/// A dry run writes so much at once.
const PORTION: usize = 64 << 10;

fn supervise(request: BatchRequest, begun: &Request) -> Result<Exit> {
    let inherited = Inherited::read();
    signals::set_own_dispositions();
    signals::unblock_all();
    let defaults = EntryDefaults {
        job: request.defaults.clone(),
        timeout_share: request.timeout_share,
        auto_factor: request.auto_factor,
    };
    let source = source::open(&request.list, &defaults)?;
    if request.dry_run {
        return dry_run(source);
    }
    Admission::new(request.workers)?;
    Records::check(&request)?;
    let all_bytes = request.results.as_deref().is_some_and(Results::wants_all_bytes);
    let streams = streams(&request, all_bytes);
    limits::raise_descriptors();
    let (journal, earlier) = match &request.journal {
        Some(wanted) => {
            let (journal, earlier) = Journal::open(wanted)?;
            if request.answer.verbose > 0 {
                tell_earlier(wanted, &earlier, &request.answer.secrets);
            }
            (Some(journal), wanted.resume.map(|rule| (earlier, rule)))
        }
        None => (None, None),
    };
    // Last, since it empties files: an error must not cost anybody the records of an earlier run.
    let records = Records::open(&request)?;
    let results = request.results.as_deref().map(Results::open).transpose()?;
    let waker = Waker::new()?;
    let (notices, reader, backlog) = notices();
    let mut display = BatchDisplay::open(&request.answer)?;
    if let Some(jobs) = source.count() {
        display.show(&Notice::Counted(jobs));
    }
    let stage = display.stage();
    let deliverer = Deliverer::start(request.output, request.answer.json, stage, Some(waker.clone()))?;
    let lines = lines(&request, stage)?;
    let prepare = prepare(&request, streams, lines.clone(), stage.cloned());
    let plan = Plan {
        workers: request.workers,
        stopping: request.stopping,
        total: total(&request),
        timeout_floor: request.timeout_floor,
        journal,
        earlier,
        outflow: outflow(&deliverer, lines),
    };
    let timeouts = Arc::new(Mutex::new(Tally::default()));
    let feeder = Feeder::start(source, complete(&request, Arc::clone(&timeouts)), waker.clone())?;
    let mut ending = Ending::default();
    let counts = Counts::default();
    let mut keeper = Keeper {
        request: &request,
        begun,
        records,
        display,
        summary: BatchSummary::new(),
        results,
        deliverer: Some(deliverer),
        backlog,
        waker: waker.clone(),
        counts,
        troubles: Vec::new(),
        recorder: request.record.then(Recorder::default),
    };
    let new_job_id = Box::new(|| unique_id().to_string());
    let foreman = BatchForeman::new(feeder, waker, plan, prepare, new_job_id, notices, &mut ending)?;
    let backend = Local { manners: Manners::Cancel, rungs: rungs(), inherited };
    let ended = backend.run(Box::new(foreman), &mut || keeper.keep(&reader));
    let exit = keeper.finish(ending, ended);
    if let (1.., Some(line)) = (request.answer.verbose, timeouts.lock().ok().and_then(|timeouts| timeouts.line())) {
        answer::say(&format!("runner: {line}"));
    }
    Ok(exit)
}

/// Adds to an entry what the history says of it, and what it needs to get there. Runs on the thread that reads the list.
fn complete(request: &BatchRequest, timeouts: Arc<Mutex<Tally>>) -> Complete {
    let (record, bounds) = (request.record, request.auto_bounds);
    let mut history = None;
    Box::new(move |entry| {
        if record {
            entry.subject = Some(Arc::new(Subject::of(&entry.job)));
        }
        if let Some(factor) = entry.auto_factor {
            let history = history.get_or_insert_with(history::Reader::open);
            let resolved = history.resolve(&mut entry.job, &AutoTimeout { factor, bounds });
            if let Ok(mut timeouts) = timeouts.lock() {
                timeouts.note(&resolved);
            }
        }
    })
}

/// The time for the whole batch: what was asked for, or what the runner above us allows.
fn total(request: &BatchRequest) -> Option<(Duration, TimeoutReason)> {
    let grace = request.defaults.limits.grace.unwrap_or_default();
    let own = request.total_timeout.map(|total| (total, TimeoutReason::TotalBudget));
    match environment::parent_timeout() {
        Some(parent) if own.is_none_or(|(total, _)| total > parent) => {
            Some((before_parent(parent, Some(grace)), TimeoutReason::ParentDeadline))
        }
        _ => own,
    }
}

/// Says what an earlier run left.
fn tell_earlier(wanted: &JournalRequest, earlier: &Earlier, secrets: &Secrets) {
    let path = wanted.path.to_string_lossy();
    let path = secrets.mask_text(&path);
    if !earlier.is_resumed {
        return answer::say(&format!("runner: begins the journal {path}"));
    }
    answer::say(&format!("runner: goes on with the journal {path}"));
    if earlier.repaired_bytes > 0 {
        answer::say(&format!("runner: cut off {} bytes of a torn last line", earlier.repaired_bytes));
    }
    if earlier.unreadable_lines > 0 {
        answer::say(&format!("runner: passed over {} lines that are no records", earlier.unreadable_lines));
    }
    if earlier.ended_processes > 0 {
        answer::say(&format!("runner: ended {} processes that the run before had left", earlier.ended_processes));
    }
}

/// What becomes of the streams of every job.
fn streams(request: &BatchRequest, all_bytes: bool) -> Streams {
    let route = match request.output.grouping {
        _ if (request.answer.json || request.output.silent) && !all_bytes => Route::Keep,
        _ if request.answer.json || request.output.silent => Route::Spool,
        Grouping::Job => Route::Spool,
        Grouping::Line => Route::Lines,
        Grouping::None => Route::PassThrough,
    };
    Streams { stdout: route, stderr: route, terminals: [false; 2] }
}

/// What writes lines, or bytes, as they come, where that is wanted.
fn lines(request: &BatchRequest, stage: Option<&Arc<Stage>>) -> Result<Option<Arc<LineSink>>> {
    let as_they_come = request.output.grouping != Grouping::Job && !request.answer.json && !request.output.silent;
    as_they_come.then(|| LineSink::start(stage).map(Arc::new)).transpose()
}

/// Tells how the outputs flow off.
fn outflow(deliverer: &Deliverer, lines: Option<Arc<LineSink>>) -> Box<dyn Fn() -> Outflow + Send> {
    let gauge = deliverer.gauge();
    Box::new(move || {
        if gauge.reader_gone() || lines.as_ref().is_some_and(|sink| sink.reader_gone()) {
            Outflow::Gone
        } else if gauge.is_full() {
            Outflow::Full
        } else {
            Outflow::Free
        }
    })
}

/// Makes an assignment of an entry.
fn prepare(
    request: &BatchRequest,
    streams: Streams,
    lines: Option<Arc<LineSink>>,
    stage: Option<Arc<Stage>>,
) -> Prepare {
    let tag = request.output.tag;
    let jobs = u32::try_from(request.workers.slots).unwrap_or(u32::MAX);
    let pulse = PULSE.max(PULSE_PER_JOB.saturating_mul(jobs));
    Box::new(move |entry: &Entry, beginning: &Beginning| {
        let mut spec = entry.job.clone();
        spec.limits = beginning.limits.clone();
        spec.leftovers = beginning.leftovers;
        let wall = spec.limits.wall().map(|(wall, _)| wall);
        let wall = wall.into_iter().chain(beginning.left).min();
        let env = environment::for_job(&spec.surroundings, &beginning.job_id, beginning.attempt, wall);
        Assignment {
            tag: entry.seq,
            attempt: beginning.attempt,
            spec,
            streams,
            job_id: beginning.job_id.clone(),
            stage: stage.clone(),
            lines: lines
                .as_ref()
                .map(|sink| Lines { sink: Arc::clone(sink), label: tag.then(|| entry.label.as_str().into()) }),
            record: None,
            pulse: Some(pulse),
            env,
        }
    })
}

/// Prints the command of every job, as a shell would read it, and runs none.
fn dry_run(mut source: Source) -> Result<Exit> {
    let mut lines = Vec::with_capacity(PORTION);
    // Off a terminal the lines are exact, so that a shell can run them.
    let terminal = descriptors::is_terminal(descriptors::stdout());
    while let Some(entry) = source.next()? {
        let words = entry.job.command.redacted_argv();
        let secrets = Secrets::of(&entry.job.surroundings);
        let line = quoting::command_line(&secrets.mask_words(&words));
        lines.extend(if terminal { clean(&String::from_utf8_lossy(&line)).into_bytes() } else { line });
        lines.push(b'\n');
        if lines.len() >= PORTION && !written(&mut lines)? {
            return Ok(Exit::Code(0));
        }
    }
    written(&mut lines)?;
    Ok(Exit::Code(0))
}

/// Writes what there is. False where nobody reads it any more.
fn written(lines: &mut Vec<u8>) -> Result<bool> {
    let moved = descriptors::write_all(descriptors::stdout(), lines);
    lines.clear();
    match moved {
        Ok(moved) => Ok(moved != Moved::Broken),
        Err(source) => Err(Error::System { action: "write to stdout", source }),
    }
}
