//! A list of jobs: checked as a whole where it can be read twice, then given out job by job.

use std::path::Path;

use crate::batch::source::check::{Check, Seen};
use crate::batch::source::each::refuse_shared_input;
use crate::batch::source::fault::{FAULTS_TOLD, Fault, Trouble, Wrong, error_of};
use crate::batch::source::fields;
use crate::batch::source::reading::Input;
use crate::batch::source::records::{Format, Record, Records};
use crate::batch::source::settings::Settings;
use crate::batch::source::{EntryDefaults, format};
use crate::error::{Error, Result};
use crate::model::batch::{Entry, Priority};

/// The jobs of a list.
#[derive(Debug)]
pub(super) struct List {
    /// None: it is over.
    records: Option<Records>,
    /// What it is called in messages.
    name: String,
    settings: Settings,
    input_is_list: bool,
    order: Order,
    seq: u64,
    record: Record,
}

/// In which order jobs come.
#[derive(Debug)]
enum Order {
    /// Read once, as they stand there, with the ids so far.
    Once(Seen),
    /// Checked before. Once for each priority that occurs, the last of these first; none: as they stand there.
    Checked { jobs: u64, priorities: Vec<Priority> },
}

impl List {
    pub(super) fn file(path: &Path, defaults: &EntryDefaults) -> Result<Self> {
        Self::open(Input::file(path)?, Some(path), defaults, false)
    }

    pub(super) fn stdin(defaults: &EntryDefaults) -> Result<Self> {
        refuse_shared_input(true, &defaults.job)?;
        Self::open(Input::stdin()?, None, defaults, true)
    }

    fn open(mut input: Input, path: Option<&Path>, defaults: &EntryDefaults, input_is_list: bool) -> Result<Self> {
        let name = input.name().to_owned();
        let settings = Settings::new(defaults)?;
        let can_rewind = input.can_rewind();
        let format = input.skip_mark().and_then(|()| format::detect(&mut input, path));
        let format = format.map_err(|trouble| trouble.into_error(&name))?;
        let mut list = Self {
            records: Some(Records::new(input, format)),
            name,
            settings,
            input_is_list,
            order: Order::Once(Seen::default()),
            seq: 0,
            record: Record::default(),
        };
        list.read_defaults().map_err(|trouble| trouble.into_error(&list.name))?;
        if can_rewind {
            list.check()?;
        }
        Ok(list)
    }

    /// Takes what the list itself says of all its jobs.
    fn read_defaults(&mut self) -> std::result::Result<(), Trouble> {
        let Some(records) = &mut self.records else { return Ok(()) };
        if records.preamble(&mut self.record)? {
            let fields = self.record.defaults()?;
            fields::set_defaults(&mut self.settings, fields).map_err(|wrong| self.record.fault(Format::Toml, wrong))?;
        }
        Ok(())
    }

    pub(super) fn count(&self) -> Option<u64> {
        match &self.order {
            Order::Once(_) => None,
            Order::Checked { jobs, .. } => Some(*jobs),
        }
    }

    /// Reads all of it, and says everything that is wrong at once.
    fn check(&mut self) -> Result<()> {
        let mut check = Check::default();
        let mut faults: Vec<Fault> = Vec::new();
        loop {
            // A fault of the format leaves no way to say where the next job begins; one of a job does.
            let fault = match self.read_next() {
                Ok(Some(entry)) => check.note(entry, self.record.line).err(),
                Ok(None) => break,
                Err(Stop::Job(fault)) => Some(fault),
                Err(Stop::List(Trouble::Fault(fault))) => {
                    faults.push(fault);
                    break;
                }
                Err(Stop::List(Trouble::Failure(error))) => return Err(error),
            };
            faults.extend(fault);
            if faults.len() > FAULTS_TOLD {
                break;
            }
        }
        // What a job needs may stand where the list was not read.
        if faults.is_empty() {
            let (jobs, mut priorities) = (self.seq, check.priorities());
            faults = check.finish(FAULTS_TOLD + 1);
            if priorities.len() == 1 {
                priorities.clear();
            }
            self.order = Order::Checked { jobs, priorities };
        }
        let more = faults.len() > FAULTS_TOLD;
        faults.truncate(FAULTS_TOLD);
        match error_of(faults, more, &self.name) {
            Some(error) => Err(error),
            None => self.rewind(),
        }
    }

    fn rewind(&mut self) -> Result<()> {
        self.seq = 0;
        let Some(records) = self.records.take() else { return Ok(()) };
        let format = records.format();
        let mut input = records.into_input();
        let back = input.rewind().and_then(|()| input.skip_mark());
        back.map_err(|trouble| trouble.into_error(&self.name))?;
        self.records = Some(Records::new(input, format));
        Ok(())
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            let entry = match self.read_next() {
                Ok(entry) => entry,
                Err(stop) => {
                    self.records = None;
                    return Err(self.error(stop));
                }
            };
            let Some(entry) = entry else {
                if !self.begin_next_priority()? {
                    self.records = None;
                    return Ok(None);
                }
                continue;
            };
            match &mut self.order {
                Order::Checked { priorities, .. } => {
                    if priorities.last().is_none_or(|priority| *priority == entry.priority) {
                        return Ok(Some(entry));
                    }
                }
                Order::Once(seen) => {
                    if let Err(wrong) = seen.note(&entry) {
                        self.records = None;
                        return Err(self.error(Stop::Job(wrong.at(self.record.line))));
                    }
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// Goes back for the jobs of the next priority. False: there is none.
    fn begin_next_priority(&mut self) -> Result<bool> {
        let Order::Checked { priorities, jobs } = &mut self.order else { return Ok(false) };
        if self.seq != *jobs {
            return Err(changed(&self.name));
        }
        priorities.pop();
        if priorities.is_empty() {
            return Ok(false);
        }
        self.rewind()?;
        Ok(true)
    }

    /// What went wrong after the check, or of a list that is read once.
    fn error(&self, stop: Stop) -> Error {
        match (stop, &self.order) {
            // Nothing was wrong when it was checked.
            (Stop::Job(_) | Stop::List(Trouble::Fault(_)), Order::Checked { .. }) => changed(&self.name),
            (Stop::Job(fault), Order::Once(_)) => fault.into_error(&self.name),
            (Stop::List(trouble), _) => trouble.into_error(&self.name),
        }
    }

    /// The next job as it stands in the list.
    fn read_next(&mut self) -> std::result::Result<Option<Entry>, Stop> {
        let Some(records) = &mut self.records else { return Ok(None) };
        if !records.next(&mut self.record).map_err(Stop::List)? {
            return Ok(None);
        }
        let format = records.format();
        self.seq += 1;
        let fields = self.record.fields(format).map_err(Stop::Job)?;
        let entry = fields::entry(fields, &self.settings, self.seq, self.input_is_list);
        entry.map(Some).map_err(|wrong: Wrong| Stop::Job(self.record.fault(format, wrong)))
    }
}

/// Why there is no job.
enum Stop {
    /// This one is wrong; the next one may be right.
    Job(Fault),
    /// The list cannot be read on.
    List(Trouble),
}

fn changed(name: &str) -> Error {
    Error::Invalid {
        argument: Some(name.to_owned()),
        message: format!("{name} was changed while it was read"),
        remediation: "Start the batch again, with --resume and its journal if it had one".to_owned(),
    }
}
