//! What `runner task` and `runner worker` were asked to do. The command line builds these; `app` carries them out.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::auto_timeout::{AutoTimeout, TimeoutBounds};
use crate::model::batch::Priority;
use crate::model::job::JobSpec;
use crate::model::request::AnswerOptions;
use crate::model::task::{Begin, Notices, OnCrash, TaskStatus};

/// `runner task VERB`, complete.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    pub verb: TaskVerb,
    pub answer: AnswerOptions,
}

#[derive(Clone, Debug)]
pub enum TaskVerb {
    Submit(Box<SubmitRequest>),
    List {
        statuses: Vec<TaskStatus>,
        group: Option<String>,
        limit: u32,
    },
    /// An id may be a prefix that is that of no other task; here and below.
    Status {
        id: String,
    },
    /// Until all are over, or for so long.
    Wait {
        ids: Vec<String>,
        patience: Option<Duration>,
    },
    Logs {
        id: String,
        follow: bool,
        stderr_only: bool,
    },
    Cancel {
        ids: Vec<String>,
    },
    Extend {
        id: String,
        by: Duration,
    },
    Retry {
        ids: Vec<String>,
    },
    SetPriority {
        id: String,
        priority: Priority,
    },
    /// New starts are held back: of one group, or of all.
    Pause {
        group: Option<String>,
    },
    Resume {
        group: Option<String>,
    },
    Stats,
    /// Finished tasks that have been so for so long, of these statuses or of all.
    Clean {
        older_than: Duration,
        statuses: Vec<TaskStatus>,
    },
}

/// `runner task submit`.
#[derive(Clone, Debug)]
pub struct SubmitRequest {
    pub source: TaskSource,
    pub options: TaskOptions,
    /// The timeout is made of the history: of the one job, and of each of a list that does not say otherwise.
    pub auto: Option<AutoTimeout>,
    /// What bounds a timeout that is made so.
    pub auto_bounds: TimeoutBounds,
    /// Stay until it is over, and leave as `exec` would.
    pub wait: bool,
}

#[derive(Clone, Debug)]
pub enum TaskSource {
    One(Box<JobSpec>),
    /// A job list as `batch` reads it, or `-` for standard input, with what holds for every job that does not say otherwise.
    List {
        list: PathBuf,
        defaults: Box<JobSpec>,
    },
}

/// What a task has beside its job.
#[derive(Clone, Debug, Default)]
pub struct TaskOptions {
    pub priority: Priority,
    /// Tasks that must complete before, by id or prefix.
    pub after: Vec<String>,
    pub begin: Begin,
    pub group: Option<String>,
    pub on_crash: OnCrash,
    pub notices: Notices,
    pub environment: PassedEnvironment,
}

/// Which variables of ours a task gets, beside those that it is given values of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PassedEnvironment {
    /// A short list of harmless ones.
    #[default]
    Usual,
    All,
}

/// `runner worker VERB`, complete.
#[derive(Clone, Debug)]
pub struct WorkerRequest {
    pub verb: WorkerVerb,
    pub answer: AnswerOptions,
}

#[derive(Clone, Debug)]
pub enum WorkerVerb {
    /// Work until told to stop, or until there was nothing to do for so long (none: for ever).
    Run {
        idle_exit: Option<Duration>,
        /// Finished tasks are removed after so long. None: never.
        max_task_age: Option<Duration>,
        detached: bool,
    },
    Status,
    /// So many tasks at once: of one group with slots of its own, or of all others together. None: the group has no slots
    /// of its own any more.
    Scale {
        slots: Option<u32>,
        group: Option<String>,
    },
    /// Once the running tasks are over, or now.
    Stop {
        now: bool,
    },
    /// Print a unit for systemd.
    Unit,
}
