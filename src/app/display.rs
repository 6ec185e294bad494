//! What is shown while a job runs: a bar, lines, events as JSON, or only what must be said.
//!
//! It hears every event and hands it to the renderer that was asked for. Whatever happens, the bar is taken away and the
//! task bar cleared when it goes.

use std::sync::Arc;
use std::time::Duration;

use crate::app::answer::{self, Request, Said};
use crate::capture::stage::Stage;
use crate::error::Result;
use crate::model::event::{Event, Live};
use crate::model::outcome::End;
use crate::model::request::{ExecRequest, ProgressForm};
use crate::platform::descriptors;
use crate::platform::tty::Terminal;
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

/// A reader of stderr may hold us up for so long altogether,
const PATIENCE: Duration = Duration::from_secs(1);
/// and so much longer with every pulse. What it does not take within that is left out, all but the end.
const PATIENCE_GROWTH: Duration = Duration::from_millis(25);

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
            ProgressForm::Auto if owned && can_draw() && !request.answer.quiet && !is_set("CI") => Self::Bar,
            ProgressForm::Auto | ProgressForm::Bar | ProgressForm::None => Self::Nothing,
            ProgressForm::Lines => Self::Lines,
            ProgressForm::Json => Self::Json,
        }
    }
}

/// Bars need a terminal that can move its cursor. One that nobody named may be anything.
fn can_draw() -> bool {
    let able = |term: std::ffi::OsString| !term.is_empty() && term != "dumb";
    descriptors::is_terminal(descriptors::stderr()) && std::env::var_os("TERM").is_some_and(able)
}

/// True for a variable that is set to anything but the words for no.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !["", "0", "false"].iter().any(|no| value == *no))
}

/// Shows one job.
pub(super) struct Display {
    form: Form,
    stage: Option<Arc<Stage>>,
    terminal: Option<Terminal>,
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
    /// How long the reader of stderr may still hold us up.
    patience: Duration,
    /// Nobody reads stderr, or what stands there is no whole line, so nothing more is said.
    muted: Option<Said>,
    finished: bool,
    /// The job did not end by itself.
    killed: bool,
    /// Nobody else of our pipeline is at the terminal.
    owns_keyboard: bool,
}

impl Display {
    /// A display for the job called `name`.
    pub(super) fn open(form: Form, name: String, request: &ExecRequest, begun: &Request) -> Result<Self> {
        let bar = form == Form::Bar;
        let known = bar && taskbar::is_known(|name| std::env::var(name).ok());
        Ok(Self {
            form,
            stage: if bar { Some(Arc::new(Stage::new(descriptors::stderr())?)) } else { None },
            terminal: if bar { Terminal::open() } else { None },
            colour: !answer::no_colour(),
            frames: 0,
            lines: ProgressLines::new(),
            taskbar: known,
            name,
            given_name: request.job.name.clone(),
            job_id: begun.job_id(),
            quiet: request.answer.quiet,
            verbose: request.answer.verbose,
            patience: PATIENCE,
            muted: None,
            finished: false,
            killed: false,
            owns_keyboard: descriptors::is_terminal(descriptors::stdout()),
        })
    }

    /// The terminal with the bar, for the job's output.
    pub(super) fn stage(&self) -> Option<Arc<Stage>> {
        self.stage.clone()
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
            Event::TimePassed(_) => self.patience = (self.patience + PATIENCE_GROWTH).min(PATIENCE),
            Event::JobFinished(_) => self.patience = PATIENCE,
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
                    self.say(line.trim_end());
                }
            }
            _ => {}
        }
        if let (Event::RetryPlanned { attempt, .. }, Some(stage)) = (event, &self.stage)
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
        let Some(stage) = &self.stage else { return };
        let later = live.begins_in.is_some() || live.attempt.is_some_and(|place| place.number > 1);
        if live.elapsed < FIRST_BAR && !later {
            return;
        }
        if self.terminal.as_ref().is_some_and(|terminal| !terminal.is_ours() || self.has_pager(terminal)) {
            // The terminal is somebody else's.
            return stage.draw(Vec::new());
        }
        self.frames += 1;
        let rows = [Row { name: &self.name, live }];
        stage.draw(bar::frame(&rows, stage.width(), self.frames / FRAMES_PER_TURN, self.colour));
        if self.taskbar {
            stage.show_badge(&taskbar::sequence(live), taskbar::CLEAR);
        }
    }

    /// Whoever reads our stdout may have the screen, as a pager does. Then the keyboard is not as a shell leaves it.
    fn has_pager(&self, terminal: &Terminal) -> bool {
        !self.owns_keyboard && !terminal.is_line_by_line()
    }

    fn say(&mut self, line: &str) {
        match &self.stage {
            // Lines for a terminal that takes none are dropped until it has had time to recover.
            Some(stage) if !stage.print(line, self.patience) => self.patience = Duration::ZERO,
            Some(_) => {}
            None if self.muted.is_some() => {}
            None => {
                let (said, left) = answer::say_within(line, self.patience);
                self.patience = left;
                self.muted = Some(said).filter(|said| matches!(said, Said::Torn | Said::ToNobody));
            }
        }
    }

    /// Takes everything away. Tells whether the cursor is at the start of a line then, where that is known.
    pub(super) fn finish(&mut self) -> Option<bool> {
        let Some(stage) = &self.stage else { return (self.muted == Some(Said::Torn)).then_some(false) };
        if self.finished {
            return None;
        }
        self.finished = true;
        Some(stage.finish(self.killed))
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.finish();
    }
}
