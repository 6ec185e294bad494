//! What jobs of a list say of each other: ids that are there once, needs that exist, locks that agree.

use std::collections::{HashMap, HashSet};

use crate::batch::source::cycle::find_cycle;
use crate::batch::source::fault::{Fault, Wrong};
use crate::batch::source::spelling::nearest;
use crate::model::batch::{Entry, Lock, Priority};
use crate::model::secrets::Secrets;

/// The places of so many locks are compared. A list with more has a lock for each job, and nothing to compare.
const LOCKS_COMPARED: usize = 10_000;
/// Among so many ids one is looked for that was meant.
const IDS_COMPARED: usize = 100_000;

/// Everything that is known of a list while it is checked. Without ids, needs and locks it stays empty.
#[derive(Debug, Default)]
pub(super) struct Check {
    ids: HashMap<String, usize>,
    /// Jobs with an id, as the graph has them.
    jobs: Vec<Job>,
    /// What jobs without an id need, where that has not come yet.
    open: Vec<(String, u64)>,
    locks: Locks,
    seen: [bool; PRIORITIES.len()],
}

#[derive(Debug)]
struct Job {
    line: u64,
    needs: Vec<String>,
}

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

impl Check {
    /// Takes a job of this line.
    pub(super) fn note(&mut self, entry: Entry, line: u64) -> Result<(), Fault> {
        for (seen, priority) in self.seen.iter_mut().zip(PRIORITIES) {
            *seen |= priority == entry.priority;
        }
        let secrets = || Secrets::of(&entry.job.surroundings);
        self.locks.note(&entry.locks).map_err(|wrong| wrong.masked(&secrets()).at(line))?;
        let Some(id) = entry.id else {
            let ids = &self.ids;
            let open = entry.needs.into_iter().filter(|need| !ids.contains_key(need));
            self.open.extend(open.map(|need| (need, line)));
            return Ok(());
        };
        if entry.needs.contains(&id) {
            return Err(needs_itself(&id).at(line));
        }
        if let Some(other) = self.ids.get(&id) {
            let problem = format!("'{id}' is the id of the job on line {} already", self.jobs[*other].line);
            return Err(Wrong::new("id", problem, "Give each job an id of its own").at(line));
        }
        self.ids.insert(id, self.jobs.len());
        self.jobs.push(Job { line, needs: entry.needs });
        Ok(())
    }

    /// The priorities that occur, the lowest first.
    pub(super) fn priorities(&self) -> Vec<Priority> {
        PRIORITIES.into_iter().zip(self.seen).filter(|(_, seen)| *seen).map(|(priority, _)| priority).collect()
    }

    /// What shows at the end of the list; at most so many faults.
    pub(super) fn finish(self, most: usize) -> Vec<Fault> {
        let mut missing: Vec<(u64, &str)> = Vec::new();
        let mut graph: Vec<Vec<usize>> = Vec::with_capacity(self.jobs.len());
        for job in &self.jobs {
            let mut known = Vec::with_capacity(job.needs.len());
            for need in &job.needs {
                match self.ids.get(need) {
                    Some(at) => known.push(*at),
                    None => missing.push((job.line, need)),
                }
            }
            graph.push(known);
        }
        missing.extend(
            self.open.iter().filter(|(need, _)| !self.ids.contains_key(need)).map(|(need, line)| (*line, &**need)),
        );
        missing.sort_unstable();
        if missing.is_empty() {
            return find_cycle(&graph).map(|cycle| self.cycle(&cycle)).into_iter().collect();
        }
        missing.truncate(most);
        missing.into_iter().map(|(line, need)| self.missing(need).at(line)).collect()
    }

    fn missing(&self, need: &str) -> Wrong {
        let meant = nearest(need, self.ids.keys().take(IDS_COMPARED).map(String::as_str));
        let remedy = match meant {
            Some(meant) => format!("Did you mean {meant}?"),
            None => "Name the id of another job of the list, or leave it out".to_owned(),
        };
        Wrong::new("needs", format!("there is no job '{need}' in the list"), remedy)
    }

    /// The fault of jobs that wait for each other, told of the first of them in the list.
    fn cycle(&self, cycle: &[usize]) -> Fault {
        const SHOWN: usize = 20;
        let mut names = vec![""; self.jobs.len()];
        for (id, at) in &self.ids {
            names[*at] = id;
        }
        let first = cycle.iter().enumerate().min_by_key(|(_, job)| **job).map_or(0, |(at, _)| at);
        let ring = cycle.iter().cycle().skip(first).take(cycle.len());
        let mut shown: Vec<String> = ring.map(|job| names[*job].to_owned()).collect();
        shown.push(shown[0].clone());
        if shown.len() > SHOWN {
            let left_out = shown.len() - SHOWN;
            shown.splice(SHOWN / 2..SHOWN / 2 + left_out, [format!("({left_out} more)")]);
        }
        let problem = format!("these jobs wait for each other: {}", shown.join(" -> "));
        let remedy = "Take one of these needs away; each job needs the one behind its arrow";
        Wrong::new("needs", problem, remedy).at(self.jobs[cycle[first]].line)
    }
}

/// What is known of a list that is read once.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<String>,
    locks: Locks,
}

impl Seen {
    /// Takes the next job, which may need those before it.
    pub(super) fn note(&mut self, entry: &Entry) -> Result<(), Wrong> {
        self.locks.note(&entry.locks).map_err(|wrong| wrong.masked(&Secrets::of(&entry.job.surroundings)))?;
        for need in &entry.needs {
            if entry.id.as_ref() == Some(need) {
                return Err(needs_itself(need));
            }
            if !self.ids.contains(need) {
                let problem = format!("there is no job '{need}' before this one, and the list is read only once");
                return Err(Wrong::new("needs", problem, "Move that job up, or give the list as a regular file"));
            }
        }
        if let Some(id) = &entry.id
            && !self.ids.insert(id.clone())
        {
            let problem = format!("'{id}' is the id of another job already");
            return Err(Wrong::new("id", problem, "Give each job an id of its own"));
        }
        Ok(())
    }
}

fn needs_itself(id: &str) -> Wrong {
    Wrong::new("needs", format!("the job needs itself: {id} -> {id}"), "Take this need away")
}

/// How many places each lock has, as the first job says that holds it.
#[derive(Debug, Default)]
struct Locks(HashMap<String, u32>);

impl Locks {
    fn note(&mut self, locks: &[Lock]) -> Result<(), Wrong> {
        for lock in locks {
            match self.0.get(&lock.name) {
                Some(places) if *places != lock.places => {
                    let Lock { name, places: here, .. } = lock;
                    let problem = format!("the lock '{name}' has {here} here, and {places} in a job before");
                    let remedy = "Say the same number of places behind the '/' everywhere; a plain name has one";
                    return Err(Wrong::new("lock", problem, remedy));
                }
                Some(_) => {}
                None if self.0.len() < LOCKS_COMPARED => {
                    self.0.insert(lock.name.clone(), lock.places);
                }
                None => {}
            }
        }
        Ok(())
    }
}
