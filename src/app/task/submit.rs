//! `runner task submit`: jobs become tasks, on the disk before their ids are printed.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::app::answer::{self, Report};
use crate::app::exec::check_directory;
use crate::app::queue_answer::answer_with;
use crate::app::state::{self, STATE_DIR};
use crate::app::task::{Call, view};
use crate::app::worker::presence;
use crate::batch::source::{self, EntryDefaults};
use crate::error::{Error, Result};
use crate::model::auto_timeout::AutoTimeout;
use crate::model::batch::{Entry, Priority};
use crate::model::envelope::Status;
use crate::model::exit_code::Exit;
use crate::model::job::{JobSpec, Stdin};
use crate::model::queue_data::{TaskState, TaskStatesData};
use crate::model::quoting;
use crate::model::request::JobList;
use crate::model::secrets::Secrets;
use crate::model::stored_job::StoredJob;
use crate::model::task::TaskStatus;
use crate::model::task_request::{PassedEnvironment, SubmitRequest, TaskOptions, TaskSource};
use crate::model::unique_id::unique_id;
use crate::platform::process;
use crate::store::{NewTask, Store, Submitted};

/// Variables of the submitter that a task gets; so does it those that begin with `LC_`.
const USUAL: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "USER"];
/// A command is called by so many of its characters.
const COMMAND_LIMIT: usize = 400;

impl Call {
    pub(super) fn submit(&mut self, request: SubmitRequest) -> Result<Exit> {
        if let Some(report) = &self.options.report {
            Report::check(report)?;
        }
        let folder = state::folder()?;
        let mut store = Store::open(&folder)?;
        let place = Place::here(&folder, request.options.environment)?;
        let options = TaskOptions {
            after: request.options.after.iter().map(|id| store.whole_id(id)).collect::<Result<_>>()?,
            ..request.options
        };
        let one = matches!(request.source, TaskSource::One(_));
        let tasks = match request.source {
            TaskSource::One(mut job) => {
                if let Some(auto) = &request.auto {
                    store.resolve_timeout(&mut job, auto)?;
                }
                vec![place.task(*job, &options)?]
            }
            TaskSource::List { list, defaults } => {
                let auto_factor = request.auto.map(|auto| auto.factor);
                let defaults = EntryDefaults { job: *defaults, timeout_share: None, auto_factor };
                let resolve = |entry: &mut Entry| match entry.auto_factor {
                    Some(factor) => {
                        let auto = AutoTimeout { factor, bounds: request.auto_bounds };
                        store.resolve_timeout(&mut entry.job, &auto).map(drop)
                    }
                    None => Ok(()),
                };
                place.tasks(&list, &defaults, &options, resolve)?
            }
        };
        // The tasks must be stored even if the worker cannot be replaced.
        if let Err(error) = presence::replace_restricted(&store) {
            answer::say(&format!("runner: cannot replace the restricted worker: {error}"));
        }
        let listed: Vec<String> = tasks.iter().map(|task| task.id.clone()).collect();
        let submitted = as_listed(store.submit(&in_order_of_needs(tasks))?, &listed);
        let summoned = if submitted.is_empty() { Ok(()) } else { presence::summon(&store) };
        let ids: Vec<String> = submitted.iter().map(|submitted| submitted.id.clone()).collect();
        // Of an empty list there is nothing to wait for.
        let stays = request.wait && !ids.is_empty();
        if !stays || !self.options.json {
            self.tell(&store, one, submitted)?;
        }
        if stays {
            summoned?;
            return self.wait(&ids, None);
        }
        // The tasks are stored, whatever became of the worker. Whoever took this for a refusal would submit them twice.
        if let Err(error) = summoned {
            answer::say(&format!("runner: what was submitted waits for a worker: {error}"));
        }
        if !ids.is_empty() && presence::is_stopping(&store)? && store.successor()?.is_none() {
            answer::say(
                "runner: the worker was told to go and begins nothing more: the tasks wait until 'runner worker run' or \
                 another call of 'runner task' starts the next one",
            );
        }
        store.leave();
        Ok(Exit::Code(0))
    }

    fn tell(&self, store: &Store, one: bool, submitted: Vec<Submitted>) -> Result<()> {
        let text: String = submitted.iter().map(|submitted| format!("{}\n", submitted.id)).collect();
        if !self.options.json {
            return answer::print(&text);
        }
        if one && let Some(first) = submitted.first() {
            let data = view::whole(store, &store.task(&first.id)?)?;
            return answer_with(Status::Pending, &data, &text, &self.options, &self.begun);
        }
        let state = |submitted: Submitted| TaskState {
            task_id: submitted.id,
            status: if submitted.failed { TaskStatus::Failed } else { TaskStatus::Pending },
        };
        let data = TaskStatesData { tasks: submitted.into_iter().map(state).collect() };
        answer_with(Status::Pending, &data, &text, &self.options, &self.begun)
    }
}

/// Where and by whom tasks are submitted: what each of them takes along.
struct Place {
    directory: PathBuf,
    /// The variables of ours that go along.
    env: Vec<(OsString, OsString)>,
    /// Goes along with every task.
    state_dir: OsString,
    owner: String,
    umask: u32,
}

impl Place {
    fn here(folder: &Path, passed: PassedEnvironment) -> Result<Self> {
        // One that was removed cannot be named; a task with a --cwd of its own needs none.
        let directory = std::env::current_dir().unwrap_or_default();
        let goes_along = |name: &OsStr| match (passed, name.to_str()) {
            // The submitter may be a job itself.
            (_, Some(name)) if presence::OF_JOBS.contains(&name) => false,
            (PassedEnvironment::All, _) => true,
            (PassedEnvironment::Usual, Some(name)) => USUAL.contains(&name) || name.starts_with("LC_"),
            (PassedEnvironment::Usual, None) => false,
        };
        let env = std::env::vars_os().filter(|(name, _)| goes_along(name)).collect();
        Ok(Self { directory, env, state_dir: folder.into(), owner: process::user_name(), umask: process::own_umask() })
    }

    /// A task that does this.
    fn task(&self, mut job: JobSpec, options: &TaskOptions) -> Result<NewTask> {
        let surroundings = &mut job.surroundings;
        let cwd = match surroundings.cwd.take() {
            Some(cwd) => self.directory.join(cwd),
            None => self.directory.clone(),
        };
        if !cwd.is_absolute() {
            return Err(Error::Invalid {
                argument: Some("--cwd".to_owned()),
                message: "the current directory has been removed".to_owned(),
                remediation: "Change to a directory that exists, or name one, as in: --cwd /".to_owned(),
            });
        }
        let secrets = Secrets::new(surroundings.secrets.iter().map(|(_, value)| value));
        check_directory(&cwd).map_err(|error| error.masked(&secrets))?;
        surroundings.cwd = Some(cwd);
        let mut env = if surroundings.env_clear { Vec::new() } else { self.env.clone() };
        for (name, value) in surroundings.env.drain(..).chain([(STATE_DIR.into(), self.state_dir.clone())]) {
            env.retain(|(known, _)| *known != name);
            env.push((name, value));
        }
        surroundings.env = env;
        surroundings.umask = Some(self.umask);
        surroundings.stdin = match std::mem::take(&mut surroundings.stdin) {
            Stdin::File(path) => Stdin::File(self.directory.join(path)),
            Stdin::Inherit | Stdin::Null => Stdin::Null,
        };
        job.log = job.log.map(|log| self.directory.join(log));
        job.name = job.name.map(|name| secrets.mask_text(&name).into_owned());
        Ok(NewTask {
            id: unique_id().to_string(),
            command: called(&job, &secrets),
            job: StoredJob::of(&job),
            priority: options.priority,
            after: options.after.clone(),
            begin: options.begin,
            group: options.group.as_deref().map(|group| secrets.mask_text(group).into_owned()),
            owner: self.owner.clone(),
            on_crash: options.on_crash,
            notices: options.notices.clone(),
            secrets: job.surroundings.secrets,
        })
    }

    /// The tasks of a job list. What a job needs is a task before it.
    fn tasks(
        &self,
        list: &Path,
        defaults: &EntryDefaults,
        options: &TaskOptions,
        complete: impl Fn(&mut Entry) -> Result<()>,
    ) -> Result<Vec<NewTask>> {
        let list = if list == Path::new("-") { JobList::Stdin } else { JobList::File(list.to_owned()) };
        let mut source = source::open(&list, defaults)?;
        let (mut tasks, mut ids, mut needs) = (Vec::new(), HashMap::new(), Vec::new());
        while let Some(mut entry) = source.next()? {
            refuse_what_is_of_batches(&entry)?;
            complete(&mut entry)?;
            let Entry { seq, id, needs: needed, priority, job, .. } = entry;
            let task = self.task(job, options)?;
            if let Some(id) = id {
                ids.insert(id, task.id.clone());
            }
            needs.push(needed);
            let priority = if priority == Priority::default() { options.priority } else { priority };
            tasks.push((seq, NewTask { priority, ..task }));
        }
        for ((_, task), needed) in tasks.iter_mut().zip(needs) {
            task.after.extend(needed.iter().filter_map(|id| ids.get(id).cloned()));
        }
        // The jobs of a file come by their priorities.
        tasks.sort_by_key(|(seq, _)| *seq);
        Ok(tasks.into_iter().map(|(_, task)| task).collect())
    }
}

/// As they stood in the list, and not as they had to be stored.
fn as_listed(mut submitted: Vec<Submitted>, listed: &[String]) -> Vec<Submitted> {
    let places: HashMap<&str, usize> = listed.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    submitted.sort_by_key(|submitted| places.get(submitted.id.as_str()).copied());
    submitted
}

/// Each behind those that it comes after, and otherwise as it was.
fn in_order_of_needs(tasks: Vec<NewTask>) -> Vec<NewTask> {
    let places: HashMap<String, usize> = tasks.iter().enumerate().map(|(at, task)| (task.id.clone(), at)).collect();
    let mut order = Vec::with_capacity(tasks.len());
    let mut placed = vec![false; tasks.len()];
    for start in 0..tasks.len() {
        // No recursion: a chain may be as long as the list. Cycles were refused with the list.
        let mut pending = vec![start];
        while let Some(&at) = pending.last() {
            let missing =
                tasks[at].after.iter().filter_map(|id| places.get(id)).copied().find(|needed| !placed[*needed]);
            match missing {
                Some(needed) if !pending.contains(&needed) => pending.push(needed),
                _ => {
                    pending.pop();
                    if !std::mem::replace(&mut placed[at], true) {
                        order.push(at);
                    }
                }
            }
        }
    }
    let mut tasks: Vec<Option<NewTask>> = tasks.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| tasks[at].take()).collect()
}

fn refuse_what_is_of_batches(entry: &Entry) -> Result<()> {
    let refused = |field: &str, help: &str| {
        Err(Error::Invalid {
            argument: Some(field.to_owned()),
            message: format!("job {}: '{field}' is for 'runner batch' alone", entry.seq),
            remediation: help.to_owned(),
        })
    };
    if !entry.locks.is_empty() {
        return refused(
            "lock",
            "Give the tasks that exclude each other a group of one slot: --group, runner worker scale",
        );
    }
    if entry.timeout_share.is_some() {
        return refused("timeout", "Give a duration; the median of a list is known to a batch only");
    }
    Ok(())
}

/// The command as people read it.
fn called(job: &JobSpec, secrets: &Secrets) -> String {
    let text = match &job.command {
        crate::model::job::Command::Argv(argv) => {
            String::from_utf8_lossy(&quoting::command_line(&secrets.mask_words(argv))).into_owned()
        }
        other => secrets.mask_text(&other.shown()).into_owned(),
    };
    match text.char_indices().nth(COMMAND_LIMIT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, in_order_of_needs};
    use crate::model::task_request::TaskOptions;
    use crate::store::NewTask;

    fn tasks(needs: &[&[usize]]) -> Vec<NewTask> {
        let job = crate::model::job::JobSpec::of_argv(&["true"]);
        let place = Place {
            directory: "/".into(),
            env: Vec::new(),
            state_dir: "/state".into(),
            owner: "somebody".to_owned(),
            umask: 0o22,
        };
        let made = needs.iter().enumerate().map(|(at, needs)| {
            let task = place.task(job.clone(), &TaskOptions::default()).unwrap();
            NewTask { id: at.to_string(), after: needs.iter().map(ToString::to_string).collect(), ..task }
        });
        made.collect()
    }

    fn order(needs: &[&[usize]]) -> Vec<String> {
        in_order_of_needs(tasks(needs)).into_iter().map(|task| task.id).collect()
    }

    #[test]
    fn a_task_comes_behind_those_that_it_needs() {
        assert_eq!(order(&[&[], &[], &[]]), ["0", "1", "2"]);
        assert_eq!(order(&[&[2], &[], &[1]]), ["1", "2", "0"]);
        assert_eq!(order(&[&[1, 2, 3], &[3], &[3], &[]]), ["3", "1", "2", "0"]);
    }

    #[test]
    fn a_task_takes_its_place_along() {
        let [task] = tasks(&[&[]]).try_into().unwrap();
        let text = serde_json::to_string(&task.job).unwrap();
        assert!(text.contains(r#""cwd":"/""#) && text.contains(r#"["RUNNER_STATE_DIR","/state"]"#), "{text}");
        assert!(!text.contains("TMOUT"));
    }
}
