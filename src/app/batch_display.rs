//! What is shown while a batch runs: a bar of many lines, lines for a log, events as JSON, or only what must be said.
//!
//! It hears every notice and remembers of the jobs that run what their lines need. A frame costs as much as the screen has
//! lines, whatever the number of jobs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::app::answer;
use crate::app::board::Board;
use crate::app::display::Form;
use crate::capture::stage::Stage;
use crate::error::Result;
use crate::model::batch::{Ended, Notice};
use crate::model::event::{Event, Live, Place};
use crate::model::event_record::EventRecord;
use crate::model::outcome::{End, Outcome, Progress};
use crate::model::request::AnswerOptions;
use crate::render::bar::Row;
use crate::render::batch_progress::{BatchLines, BatchProgress, Standing};
use crate::render::{batch_bar, events, lines, taskbar};
use crate::time::clock::{Clock, Moment, SystemClock, rfc3339, unix_time};

/// How often what is shown is looked after.
const PULSE: Duration = Duration::from_millis(100);
/// A batch that is over so soon has no bar.
const FIRST_BAR: Duration = Duration::from_millis(150);
/// A name may be a whole command. More of it than this is never shown.
const NAME_LIMIT: usize = 200;

/// Shows a batch.
pub(super) struct BatchDisplay {
    form: Form,
    board: Board,
    clock: SystemClock,
    colour: bool,
    quiet: bool,
    verbose: u8,
    /// The terminal shows progress in its task bar.
    taskbar: bool,
    progress: BatchProgress,
    lines: BatchLines,
    /// Those that run and those that will be tried again.
    jobs: HashMap<u64, Job>,
    /// Those that run, in the order in which they began.
    running: BTreeMap<u64, u64>,
    begun: u64,
    frames: u64,
    pulsed_at: Option<Duration>,
    /// Some job did not end by itself.
    killed: bool,
}

/// A job that is not over.
struct Job {
    name: String,
    /// As in its envelope.
    job_id: String,
    /// Its place among those that run; none between two attempts.
    place: Option<u64>,
    live: Live,
    /// When it stood so.
    heard_at: Duration,
}

impl BatchDisplay {
    /// A display in the form that is asked for, here and now.
    pub(super) fn open(options: &AnswerOptions) -> Result<Self> {
        let form = Form::of_batch(options);
        let bar = form == Form::Bar;
        Ok(Self {
            form,
            board: Board::open(bar)?,
            clock: SystemClock::start(),
            colour: !answer::no_colour(),
            quiet: options.quiet,
            verbose: options.verbose,
            taskbar: bar && taskbar::is_known(|name| std::env::var(name).ok()),
            progress: BatchProgress::new(),
            lines: BatchLines::new(),
            jobs: HashMap::new(),
            running: BTreeMap::new(),
            begun: 0,
            frames: 0,
            pulsed_at: None,
            killed: false,
        })
    }

    /// Something is drawn anew with each tick.
    pub(super) fn is_drawn(&self) -> bool {
        self.form == Form::Bar
    }

    /// The terminal with the bar, for the output of the jobs.
    pub(super) fn stage(&self) -> Option<&Arc<Stage>> {
        self.board.stage()
    }

    /// Shows what happened, or will with the next tick.
    pub(super) fn show(&mut self, notice: &Notice) {
        let now = self.now();
        if let Notice::Begun { seq, id, title, attempt } = notice {
            self.begin(*seq, id.as_deref(), title, *attempt, now);
        }
        if self.form == Form::Json {
            self.say_event(notice);
        }
        match notice {
            Notice::Begun { .. } => {}
            Notice::Counted(total) => self.progress.counted(*total),
            Notice::Happened { seq, event } => self.happened(*seq, event, now),
            Notice::RetryPlanned { seq, attempt, of, delay } => {
                self.killed |= attempt.exit_code.is_none();
                let event = Event::RetryPlanned { attempt: attempt.clone(), of: *of, delay: *delay };
                self.say_of(*seq, &event);
                self.stop_showing(*seq);
            }
            Notice::StartDelayed { seq, reason } => {
                if let Some(reason) = reason
                    && !self.quiet
                    && self.form != Form::Json
                {
                    self.board.say(&format!("runner: waiting to start more jobs: {reason}"));
                }
                seq.iter().for_each(|seq| self.stop_showing(*seq));
            }
            Notice::Ended(ended) => {
                self.killed |= ended.outcome.as_ref().is_some_and(was_killed);
                self.progress.ended(ended.verdict, now);
                self.stop_showing(ended.seq);
                self.jobs.remove(&ended.seq);
            }
            Notice::LeftOut { .. } => self.progress.left_out(),
            Notice::Held(reason) => self.progress.held(*reason),
        }
    }

    /// Looks after what is shown, where it is time. May be called as often as one likes.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        if self.pulsed_at.is_some_and(|last| now.saturating_sub(last) < PULSE) {
            return;
        }
        self.pulsed_at = Some(now);
        self.board.breathe();
        match self.form {
            Form::Bar if now >= FIRST_BAR => self.draw(now),
            Form::Lines => {
                let standing = self.standing(now);
                if let Some(line) = self.lines.line(&standing, now, &rfc3339(unix_time())) {
                    self.board.say(&line);
                }
            }
            Form::Bar | Form::Json | Form::Nothing => {}
        }
    }

    /// Says a line, above the bar where there is one.
    pub(super) fn say(&mut self, line: &str) {
        self.board.say(line);
    }

    /// Takes everything away. Tells whether the cursor is at the start of a line then, where that is known.
    pub(super) fn finish(&mut self) -> Option<bool> {
        self.board.finish(self.killed)
    }

    fn now(&self) -> Duration {
        self.clock.now() - Moment::default()
    }

    fn begin(&mut self, seq: u64, id: Option<&str>, title: &str, attempt: Place, now: Duration) {
        self.progress.begun(now);
        let job = self.jobs.entry(seq).or_insert_with(|| Job {
            name: title.chars().take(NAME_LIMIT).collect(),
            job_id: id.map_or_else(|| seq.to_string(), str::to_owned),
            place: None,
            live: Live::default(),
            heard_at: now,
        });
        job.live = Live { attempt: Some(attempt).filter(|attempt| attempt.of > 1), ..Live::default() };
        job.heard_at = now;
        job.place = Some(self.begun);
        self.running.insert(self.begun, seq);
        self.begun += 1;
    }

    fn happened(&mut self, seq: u64, event: &Event, now: Duration) {
        match event {
            Event::TimePassed(live) => {
                let Some(job) = self.jobs.get_mut(&seq) else { return };
                job.live = Live { attempt: job.live.attempt, ..live.clone() };
                job.heard_at = now;
            }
            Event::StatusRequested(live) => {
                let Some(job) = self.jobs.get(&seq) else { return };
                let line = lines::status_line(&job.name, live);
                self.board.say(&line);
            }
            event => self.say_of(seq, event),
        }
    }

    /// A line about a job, where it is worth one.
    fn say_of(&mut self, seq: u64, event: &Event) {
        if self.quiet || self.form == Form::Json {
            return;
        }
        let Some(job) = self.jobs.get(&seq) else { return };
        if let Some(line) = lines::line(event, self.verbose) {
            self.board.say(&line.replacen("runner: ", &format!("runner: {}: ", job.name), 1));
        }
    }

    fn say_event(&mut self, notice: &Notice) {
        let now = rfc3339(unix_time());
        let line = match notice {
            Notice::Happened { seq, event } => {
                self.jobs.get(seq).and_then(|job| events::json_line(event, &now, &job.job_id, Some(&job.name)))
            }
            _ => events::of_notice(notice).and_then(|kind| {
                let (job_id, name) = self.whom(notice)?;
                Some(events::to_line(&EventRecord { timestamp: now, job_id, name: Some(name), kind }))
            }),
        };
        if let Some(line) = line {
            self.board.say_json(line.trim_end());
        }
    }

    /// The job that a notice is about: its id and its name.
    fn whom(&self, notice: &Notice) -> Option<(String, String)> {
        match notice {
            Notice::Ended(ended) => Some(identity(ended)),
            Notice::Begun { seq, .. }
            | Notice::RetryPlanned { seq, .. }
            | Notice::StartDelayed { seq: Some(seq), .. } => {
                self.jobs.get(seq).map(|job| (job.job_id.clone(), job.name.clone()))
            }
            _ => None,
        }
    }

    fn stop_showing(&mut self, seq: u64) {
        if let Some(place) = self.jobs.get_mut(&seq).and_then(|job| job.place.take()) {
            self.running.remove(&place);
        }
    }

    fn standing(&self, now: Duration) -> Standing {
        let running = self.running.len();
        self.progress.standing(running as u64, (self.jobs.len() - running) as u64, now)
    }

    fn draw(&mut self, now: Duration) {
        self.frames += 1;
        let standing = self.standing(now);
        let drawn = self.board.draw(|stage| {
            let shown = batch_bar::rows_on_screen(stage.height(), self.running.len());
            let jobs = self.running.values().take(shown).filter_map(|seq| self.jobs.get(seq));
            let lives: Vec<(&str, Live)> = jobs.map(|job| (job.name.as_str(), job.live_at(now))).collect();
            let rows: Vec<Row<'_>> = lives.iter().map(|(name, live)| Row { name, live }).collect();
            batch_bar::frame(&rows, &standing, stage.width(), self.frames, self.colour)
        });
        if let Some(stage) = self.board.stage()
            && drawn
            && self.taskbar
        {
            let all = Live { progress: standing.fraction().and_then(Progress::of), ..Live::default() };
            stage.show_badge(&taskbar::sequence(&all), taskbar::CLEAR);
        }
    }
}

impl Job {
    /// How it stands now: many jobs tell less often than their lines are drawn.
    fn live_at(&self, now: Duration) -> Live {
        let since = now.saturating_sub(self.heard_at);
        Live {
            elapsed: self.live.elapsed.saturating_add(since),
            silent_for: self.live.silent_for.saturating_add(since),
            stopping: self.live.stopping.map(|mut stopping| {
                stopping.kill_in = stopping.kill_in.map(|left| left.saturating_sub(since));
                stopping
            }),
            ..self.live.clone()
        }
    }
}

/// As in the envelope of the job.
fn identity(ended: &Ended) -> (String, String) {
    let job_id = ended.id.clone().unwrap_or_else(|| ended.seq.to_string());
    (job_id, ended.title.chars().take(NAME_LIMIT).collect())
}

fn was_killed(outcome: &Outcome) -> bool {
    outcome.cause.is_some() || !matches!(outcome.end, End::Exited(_))
}
