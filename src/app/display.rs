//! What is shown while a job runs: a bar, lines, events as JSON, or only what must be said.
//!
//! It hears every event and hands it to the renderer that was asked for. Whatever happens, the bar is taken away and the
//! task bar cleared when it goes.

use std::sync::Arc;
use std::time::Duration;

use crate::app::answer::{self, Request};
use crate::app::board::{Board, can_draw, is_ci};
use crate::capture::stage::Stage;
use crate::error::Result;
use crate::model::event::{Event, Live};
use crate::model::outcome::End;
use crate::model::request::{AnswerOptions, ExecRequest, ProgressForm};
use crate::render::bar::{self, Row};
use crate::render::progress_lines::ProgressLines;
use crate::render::{events, lines, taskbar};
use crate::time::clock::{rfc3339, unix_time};

/// How often a bar is drawn.
const BAR_PULSE: Duration = Duration::from_millis(50);
/// A spinner that turned with every frame would be too fast for the eye.
const FRAMES_PER_TURN: u64 = 2;
/// How often lines and events look at the time.
const LINE_PULSE: Duration = Duration::from_millis(250);
/// A job that is over so soon has no bar.
const FIRST_BAR: Duration = Duration::from_millis(150);

/// In which form progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Nothing,
    Bar,
    Lines,
    Json,
}

impl Form {
    /// The form for this request, here and now.
    pub(super) fn choose(request: &ExecRequest) -> Self {
        let owned = request.answer.json || request.needs_output() || request.pty || request.is_operation();
        match request.answer.progress {
            ProgressForm::Bar if can_draw() => Self::Bar,
            ProgressForm::Auto if owned && can_draw() && !request.answer.quiet && !is_ci() => Self::Bar,
            ProgressForm::Auto | ProgressForm::Bar | ProgressForm::None => Self::Nothing,
            ProgressForm::Lines => Self::Lines,
            ProgressForm::Json => Self::Json,
        }
    }

    /// The form for a batch: its logs are read in CI systems, where a line tells that it is not stuck.
    pub(super) fn of_batch(options: &AnswerOptions) -> Self {
        match options.progress {
            ProgressForm::Bar if can_draw() => Self::Bar,
            ProgressForm::Auto if options.quiet => Self::Nothing,
            ProgressForm::Auto if is_ci() => Self::Lines,
            ProgressForm::Auto if can_draw() => Self::Bar,
            ProgressForm::Auto | ProgressForm::Bar | ProgressForm::None => Self::Nothing,
            ProgressForm::Lines => Self::Lines,
            ProgressForm::Json => Self::Json,
        }
    }
}

/// Shows one job.
pub(super) struct Display {
    form: Form,
    board: Board,
    colour: bool,
    frames: u64,
    lines: ProgressLines,
    /// The terminal shows progress in its task bar.
    taskbar: bool,
    name: String,
    given_name: Option<String>,
    job_id: String,
    quiet: bool,
    verbose: u8,
    /// The job did not end by itself.
    killed: bool,
}

impl Display {
    /// A display for the job called `name`.
    /// `own_terminal`: the job gets one of its own in place of ours.
    pub(super) fn open(
        form: Form,
        own_terminal: bool,
        name: String,
        request: &ExecRequest,
        begun: &Request,
    ) -> Result<Self> {
        let bar = form == Form::Bar;
        let known = bar && taskbar::is_known(|name| std::env::var(name).ok());
        Ok(Self {
            form,
            board: Board::open(bar || (own_terminal && can_draw()))?,
            colour: !answer::no_colour(),
            frames: 0,
            lines: ProgressLines::new(),
            taskbar: known,
            name,
            given_name: request.job.name.clone(),
            job_id: begun.job_id(),
            quiet: request.answer.quiet,
            verbose: request.answer.verbose,
            killed: false,
        })
    }

    /// The terminal with the bar, for the job's output.
    pub(super) fn stage(&self) -> Option<Arc<Stage>> {
        self.board.stage().cloned()
    }

    /// How often it wants to hear that time passed.
    pub(super) fn pulse(&self) -> Option<Duration> {
        match self.form {
            Form::Nothing => None,
            Form::Bar => Some(BAR_PULSE),
            Form::Lines | Form::Json => Some(LINE_PULSE),
        }
    }

    /// Shows what happened.
    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::TimePassed(_) => self.board.breathe(),
            Event::JobFinished(_) => self.board.be_patient(),
            _ => {}
        }
        match (self.form, event) {
            (Form::Bar, Event::TimePassed(live)) => self.draw(live),
            (Form::Lines, event) => {
                let now = rfc3339(unix_time());
                if let Some(line) = self.lines.line(event, &self.name, &now) {
                    self.say(&line);
                }
            }
            (Form::Json, event) => {
                let now = rfc3339(unix_time());
                if let Some(line) = events::json_line(event, &now, &self.job_id, self.given_name.as_deref()) {
                    self.board.say_json(line.trim_end());
                }
            }
            _ => {}
        }
        if let (Event::RetryPlanned { attempt, .. }, Some(stage)) = (event, self.board.stage())
            && attempt.exit_code.is_none()
        {
            // It could not put the terminal in order itself.
            stage.restore();
        }
        if let Event::JobFinished(outcome) = event {
            self.killed = outcome.cause.is_some() || !matches!(outcome.end, End::Exited(_));
        }
        let line = match event {
            Event::StatusRequested(live) => Some(lines::status_line(&self.name, live)),
            // Told already.
            Event::RetryPlanned { .. } if self.form == Form::Lines => None,
            _ => lines::line(event, self.verbose).filter(|_| !self.quiet && self.form != Form::Json),
        };
        if let Some(line) = line {
            self.say(&line);
        }
    }

    fn draw(&mut self, live: &Live) {
        let later = live.begins_in.is_some() || live.attempt.is_some_and(|place| place.number > 1);
        if live.elapsed < FIRST_BAR && !later {
            return;
        }
        self.frames += 1;
        let rows = [Row { name: &self.name, live }];
        let turn = self.frames / FRAMES_PER_TURN;
        let drawn = self.board.draw(|stage| bar::frame(&rows, stage.width(), turn, self.colour));
        if let Some(stage) = self.board.stage()
            && drawn
            && self.taskbar
        {
            stage.show_badge(&taskbar::sequence(live), taskbar::CLEAR);
        }
    }

    fn say(&mut self, line: &str) {
        self.board.say(line);
    }

    /// Takes everything away. Tells whether the cursor is at the start of a line then, where that is known.
    pub(super) fn finish(&mut self) -> Option<bool> {
        self.board.finish(self.killed)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.finish();
    }
}
