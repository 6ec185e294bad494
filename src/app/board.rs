//! Where displays show: the lines of stderr, or the terminal with a bar on it.
//!
//! It is patient with a slow reader, but not for ever, and takes the bar away whatever happens.

use std::sync::Arc;
use std::time::Duration;

use crate::app::answer::{self, Said};
use crate::capture::stage::Stage;
use crate::error::Result;
use crate::model::printable::clean;
use crate::platform::descriptors;
use crate::platform::tty::Terminal;

/// A reader of stderr may hold us up for so long altogether,
const PATIENCE: Duration = Duration::from_secs(1);
/// and so much longer with every pulse. What it does not take within that is left out, all but the end.
const PATIENCE_GROWTH: Duration = Duration::from_millis(25);

/// Bars need a terminal that can move its cursor. One that nobody named may be anything.
pub(super) fn can_draw() -> bool {
    let able = |term: std::ffi::OsString| !term.is_empty() && term != "dumb";
    descriptors::is_terminal(descriptors::stderr()) && std::env::var_os("TERM").is_some_and(able)
}

/// A CI system runs us, by what most of them say.
pub(super) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !["", "0", "false"].iter().any(|no| value == *no))
}

/// What stderr shows.
pub(super) struct Board {
    stage: Option<Arc<Stage>>,
    terminal: Option<Terminal>,
    /// How long the reader of stderr may still hold us up.
    patience: Duration,
    /// Nobody reads stderr, or what stands there is no whole line, so nothing more is said.
    muted: Option<Said>,
    finished: bool,
    /// Nobody else of our pipeline is at the terminal.
    owns_keyboard: bool,
}

impl Board {
    /// A board for lines, or for lines above a bar. A job whose output is followed has a `stage` also without a bar, so that
    /// the terminal can be put in order after a kill.
    pub(super) fn open(stage: bool) -> Result<Self> {
        Ok(Self {
            stage: if stage { Some(Arc::new(Stage::new(descriptors::stderr())?)) } else { None },
            terminal: if stage { Terminal::open() } else { None },
            patience: PATIENCE,
            muted: None,
            finished: false,
            owns_keyboard: descriptors::is_terminal(descriptors::stdout()),
        })
    }

    /// The terminal with the bar, for the output of jobs.
    pub(super) fn stage(&self) -> Option<&Arc<Stage>> {
        self.stage.as_ref()
    }

    /// Time went by, in which a slow reader may have recovered.
    pub(super) fn breathe(&mut self) {
        self.patience = (self.patience + PATIENCE_GROWTH).min(PATIENCE);
    }

    /// What comes now is waited for as at first.
    pub(super) fn be_patient(&mut self) {
        self.patience = PATIENCE;
    }

    /// Shows the bar that `compose` makes for the terminal as it is. False where the terminal is somebody else's now.
    pub(super) fn draw(&self, compose: impl FnOnce(&Stage) -> Vec<String>) -> bool {
        let Some(stage) = &self.stage else { return false };
        if self.terminal.as_ref().is_some_and(|terminal| !terminal.is_ours() || self.has_pager(terminal)) {
            stage.draw(Vec::new());
            return false;
        }
        stage.draw(compose(stage));
        true
    }

    /// Whoever reads our stdout may have the screen, as a pager does. Then the keyboard is not as a shell leaves it.
    fn has_pager(&self, terminal: &Terminal) -> bool {
        !self.owns_keyboard && !terminal.is_line_by_line()
    }

    /// Says a line.
    pub(super) fn say(&mut self, line: &str) {
        self.write(&clean(line));
    }

    /// Writes a line that is a JSON document.
    pub(super) fn say_json(&mut self, line: &str) {
        self.write(&answer::json_for(descriptors::stderr(), line));
    }

    fn write(&mut self, line: &str) {
        match &self.stage {
            // Lines for a terminal that takes none are dropped until it has had time to recover.
            Some(stage) if !stage.print(line, self.patience) => self.patience = Duration::ZERO,
            Some(_) => {}
            None if self.muted.is_some() => {}
            None => {
                let (said, left) = answer::write_line_within(line, self.patience);
                self.patience = left;
                self.muted = Some(said).filter(|said| matches!(said, Said::Torn | Said::ToNobody));
            }
        }
    }

    /// Takes the bar away. `killed`: a job could not put the terminal in order itself. Tells whether the cursor is at the
    /// start of a line then, where that is known.
    pub(super) fn finish(&mut self, killed: bool) -> Option<bool> {
        let Some(stage) = &self.stage else { return (self.muted == Some(Said::Torn)).then_some(false) };
        if self.finished {
            return None;
        }
        self.finished = true;
        Some(stage.finish(killed))
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.finish(false);
    }
}
