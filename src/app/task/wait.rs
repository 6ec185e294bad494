//! `runner task wait`: bars meanwhile, then the answer that `exec` would have given, or `batch` for several.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use serde_json::Value;

use crate::app::answer;
use crate::app::batch_display::BatchDisplay;
use crate::app::queue_answer::{answer_with, print_json};
use crate::app::task::following::Following;
use crate::app::task::{Call, open_to_run, view};
use crate::error::{Error, Result, plain};
use crate::model::batch::{Ended, Fingerprint, Notice, Verdict};
use crate::model::envelope::{Envelope, Status};
use crate::model::event::{Event, Live, Place};
use crate::model::exit_code::{Exit, PENDING, RUNNER_FAILED, SIGNAL_BASE, SOME_JOB_FAILED};
use crate::model::printable::clean;
use crate::model::queue_data::TaskListData;
use crate::model::signal::Signal;
use crate::model::task::{TaskData, TaskStatus};
use crate::platform::signals::{self, Arrivals};
use crate::platform::{files, process, procfs};
use crate::store::{Row, Store};
use crate::time::clock::{Clock, SystemClock, unix_time};
use crate::worker::TASK_ID;

/// How often what is shown is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// Where nothing is shown, changes alone wake us.
const LONG: Duration = Duration::from_secs(3600);
/// The signals that end a wait: they take the bars away first.
const ENDINGS: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];

/// How a wait ended.
enum End {
    AllOver,
    TimeUp,
    Told(Signal),
}

impl Call {
    pub(super) fn wait(&self, ids: &[String], patience: Option<Duration>) -> Result<Exit> {
        let store = open_to_run(&ids[0])?;
        let mut ids = ids.iter().map(|id| store.whole_id(id)).collect::<Result<Vec<_>>>()?;
        // A task that was named twice is one.
        let mut named = HashSet::new();
        ids.retain(|id| named.insert(id.clone()));
        refuse_own(&ids, patience)?;
        let mut display = BatchDisplay::open(&self.options)?;
        let end = self.watch(&store, &ids, patience, &mut display);
        display.finish();
        match (end?, ids.as_slice()) {
            (End::Told(signal @ (Signal::TERM | Signal::HUP)), _) => Ok(Exit::Code(SIGNAL_BASE + signal.number())),
            (End::Told(signal), _) => Ok(Exit::Signal(signal)),
            (_, [id]) => self.answer_for_one(&store, &store.task(id)?),
            (_, ids) => self.answer_for_all(&store, ids),
        }
    }

    fn watch(
        &self,
        store: &Store,
        ids: &[String],
        patience: Option<Duration>,
        display: &mut BatchDisplay,
    ) -> Result<End> {
        let inherited = signals::Inherited::read();
        signals::set_own_dispositions();
        let drawn = display.is_drawn();
        // What our caller ignored stays so. Where nothing is drawn, the kernel stops us by itself.
        let watched = ENDINGS.into_iter().chain(drawn.then_some(Signal::TSTP));
        let watched: Vec<Signal> = watched.filter(|signal| !inherited.ignores(*signal)).collect();
        if watched.contains(&Signal::INT) {
            signals::take_interrupts()?;
        }
        let arrivals = Arrivals::watch(&watched)?;
        let mut following = None;
        let clock = SystemClock::start();
        let begun = clock.now();
        let mut shown = Shown::default();
        // Those that are over are not asked after again, since there may be many.
        let mut left_to_ask: Vec<&String> = ids.iter().collect();
        display.show(&Notice::Counted(ids.len() as u64));
        loop {
            let mut unfinished = Vec::new();
            for id in left_to_ask {
                let row = store.task(id)?;
                shown.show(store, &row, display)?;
                if !row.status.is_finished() {
                    unfinished.push(id);
                }
            }
            left_to_ask = unfinished;
            display.tick();
            if left_to_ask.is_empty() {
                return Ok(End::AllOver);
            }
            let left = patience.map_or(LONG, |patience| patience.saturating_sub(clock.now() - begun));
            if left.is_zero() {
                return Ok(End::TimeUp);
            }
            let Some(following) = &following else {
                // Its end takes the kernel a while, which who asks for what is over is spared. What changed before is
                // seen by another look.
                following = Some(Following::of(store)?);
                continue;
            };
            following.wait(if drawn { left.min(FRAME) } else { left })?;
            match arrivals.next().map(|arrival| arrival.signal) {
                Some(Signal::TSTP) => {
                    // The shell writes where the bars were. All is drawn anew afterwards.
                    display.finish();
                    signals::stop_by_terminal();
                    *display = BatchDisplay::open(&self.options)?;
                    shown = Shown::default();
                    left_to_ask = ids.iter().collect();
                    display.show(&Notice::Counted(ids.len() as u64));
                }
                Some(signal) => return Ok(End::Told(signal)),
                None => {}
            }
        }
    }

    /// As `exec` would have answered, had it run the task; but what it wrote is in the log.
    fn answer_for_one(&self, store: &Store, row: &Row) -> Result<Exit> {
        let Some(envelope) = store.answer(row.seq)? else { return self.pending(store, row) };
        let exit = Exit::Code(row.exit_code.unwrap_or(RUNNER_FAILED));
        self.report(&envelope);
        let read: Value = serde_json::from_str(&envelope)
            .map_err(|error| Error::Internal(format!("failed to read the answer of task {}: {error}", row.id)))?;
        if self.options.json {
            print_json(&read)?;
        } else if let Ok(envelope) = serde_json::from_value::<Envelope>(read)
            && envelope.status == Status::Error
        {
            answer::to_stderr(&envelope, self.options.error_format, true, false);
        }
        Ok(exit)
    }

    /// The answer goes to the report file as well, where one was asked for.
    fn report(&self, envelope: &str) {
        if let Some(path) = &self.options.report
            && let Err(error) = files::replace(path, format!("{envelope}\n").as_bytes())
        {
            answer::say(&format!("runner: cannot write the report {}: {}", path.display(), plain(&error)));
        }
    }

    fn pending(&self, store: &Store, row: &Row) -> Result<Exit> {
        let data = view::whole(store, row)?;
        let text = match &data.waits_for {
            Some(what) => {
                format!("runner: task {} is {}: it waits for {}", row.id, row.status, clean(what))
            }
            None => format!("runner: task {} is {}", row.id, row.status),
        };
        if !self.options.json {
            answer::say(&text);
        } else {
            answer_with(Status::Pending, &data, "", &self.options, &self.begun)?;
        }
        Ok(Exit::Code(PENDING))
    }

    fn answer_for_all(&self, store: &Store, ids: &[String]) -> Result<Exit> {
        let mut data = TaskListData::default();
        for id in ids {
            data.tasks.push(view::whole(store, &store.task(id)?)?);
        }
        let unfinished = data.tasks.iter().any(|task| !task.status.is_finished());
        let failed = data.tasks.iter().any(|task| matches!(task.status, TaskStatus::Failed | TaskStatus::Cancelled));
        for line in data.tasks.iter().filter_map(what_went_wrong).filter(|_| !self.options.json) {
            answer::say(&line);
        }
        let status = if unfinished { Status::Pending } else { Status::Success };
        answer_with(status, &data, "", &self.options, &self.begun)?;
        Ok(Exit::Code(if unfinished {
            PENDING
        } else if failed {
            SOME_JOB_FAILED
        } else {
            0
        }))
    }
}

/// A task that waits for its own end waits for ever.
fn refuse_own(ids: &[String], patience: Option<Duration>) -> Result<()> {
    let own = std::env::var(TASK_ID).ok().filter(|own| patience.is_none() && ids.contains(own));
    match own {
        Some(own) if procfs::is_inside_job(process::own_pid()) => Err(Error::Conflict {
            message: format!("this is task {own} itself, and would wait for its own end"),
            remediation: "Leave it out, or give --for to wait only so long".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// One line of a task that did not complete.
fn what_went_wrong(task: &TaskData) -> Option<String> {
    let name = task.name.as_ref().map_or_else(String::new, |name| format!(" ({})", clean(name)));
    match (task.status, &task.error) {
        (TaskStatus::Completed, _) => None,
        (_, Some(error)) => {
            let message = clean(&error.message);
            Some(format!("runner: task {}{name} {}: {message}", task.task_id, task.status))
        }
        (status, None) => Some(format!("runner: task {}{name} is {status}", task.task_id)),
    }
}

/// What of the tasks is on the display.
#[derive(Default)]
struct Shown {
    begun: BTreeSet<i64>,
    ended: BTreeSet<i64>,
}

impl Shown {
    fn show(&mut self, store: &Store, row: &Row, display: &mut BatchDisplay) -> Result<()> {
        let seq = row.seq.unsigned_abs();
        match row.status {
            TaskStatus::Running => {
                if self.begun.insert(row.seq) {
                    let title = row.name.clone().unwrap_or_else(|| row.command.clone());
                    let attempt = Place { number: row.attempts, of: row.attempts };
                    display.show(&Notice::Begun { seq, id: Some(row.id.clone()), title: title.into(), attempt });
                }
                let told = store.live(row.seq)?.unwrap_or_default();
                let timing = &row.timing;
                let elapsed = timing.started_at.map(|at| unix_time().saturating_sub(at)).unwrap_or_default();
                // Its deadline may have been moved.
                let moved = timing.deadline_at.zip(timing.started_at).map(|(end, start)| end.saturating_sub(start));
                let live = Live {
                    elapsed,
                    timeout: moved.or(timing.timeout),
                    progress: told.progress,
                    status: told.message.unwrap_or_default(),
                    ..Live::default()
                };
                display.show(&Notice::Happened { seq, event: Event::TimePassed(live) });
            }
            status if status.is_finished() && self.ended.insert(row.seq) => {
                display.show(&Notice::Ended(Box::new(ended(row))));
            }
            _ => {}
        }
        Ok(())
    }
}

fn ended(row: &Row) -> Ended {
    Ended {
        seq: row.seq.unsigned_abs(),
        id: Some(row.id.clone()),
        title: row.name.clone().unwrap_or_else(|| row.command.clone()),
        command: row.command.clone(),
        label: String::new(),
        fingerprint: Fingerprint(0),
        subject: None,
        job_id: row.id.clone(),
        verdict: match (row.status, row.cause.as_deref()) {
            (TaskStatus::Completed, _) => Verdict::Succeeded,
            (TaskStatus::Cancelled, _) => Verdict::Cancelled,
            (_, Some("timeout" | "idle")) => Verdict::TimedOut,
            _ => Verdict::Failed,
        },
        attempts: Vec::new(),
        outcome: None,
        refusal: None,
        started_at: row.timing.started_at,
        ended_at: row.timing.finished_at.unwrap_or_default(),
        interrupted_before: false,
    }
}
