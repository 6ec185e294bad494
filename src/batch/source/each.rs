//! One job for each item, made of a command with placeholders.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::batch::source::fingerprint::{JobContent, JobIdentity};
use crate::batch::source::items::Items;
use crate::batch::source::placeholder::Notation;
use crate::batch::source::settings::Settings;
use crate::batch::source::template::Expander;
use crate::batch::source::{EntryDefaults, log_name};
use crate::error::{Error, Result};
use crate::model::batch::{Entry, Priority};
use crate::model::job::{JobSpec, Stdin};
use crate::model::request::{ItemInput, Template, TemplateCommand};

/// A label is cut to so many characters; it stands before every line of a job.
const LABEL_LENGTH: usize = 100;

/// The jobs that a template makes.
#[derive(Debug)]
pub(super) struct Each {
    expander: Expander,
    /// The template as given, for fingerprints.
    template: Template,
    items: Items,
    /// See `Entry::line`.
    line: Option<Arc<str>>,
    job: JobSpec,
    identity: JobIdentity,
    timeout_share: Option<f64>,
    auto_factor: Option<f64>,
    seq: u64,
    /// Those of the job at hand.
    current: Vec<OsString>,
}

impl Each {
    pub(super) fn open(template: &Template, defaults: &EntryDefaults) -> Result<Self> {
        let settings = Settings::new(defaults)?;
        if let Some(log) = &defaults.job.log
            && log_name::names_id(log)
        {
            return Err(Error::Invalid {
                argument: Some("--log".to_owned()),
                message: format!("--log {} names an id, and jobs made of items have none", log.display()),
                remediation: "Use {#}, the number of the job, as in logs/{#}.log".to_owned(),
            });
        }
        let reads_stdin = template.inputs.iter().any(|input| matches!(input, ItemInput::Stdin));
        refuse_shared_input(reads_stdin, &settings.job)?;
        let most = template.inputs.len().saturating_mul(template.items_per_job.max(1));
        let notation = Notation::new(most, template.replacement.as_ref().map(|text| text.as_bytes()));
        let expander = Expander::new(&template.command, &notation)?;
        let items = Items::open(template)?;
        let line = match &template.command {
            TemplateCommand::Argv(_) => None,
            TemplateCommand::Shell { line, .. } => Some(line.to_string_lossy().into()),
        };
        let Settings { job, timeout_share, auto_factor, identity, .. } = settings;
        Ok(Self {
            expander,
            template: template.clone(),
            items,
            line,
            job,
            identity,
            timeout_share,
            auto_factor,
            seq: 0,
            current: Vec::new(),
        })
    }

    pub(super) fn count(&self) -> Option<u64> {
        self.items.count()
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        if !self.items.next(&mut self.current)? {
            return Ok(None);
        }
        self.seq += 1;
        let mut job = self.job.clone();
        job.command = self.expander.command(&self.current, self.seq);
        if let Some(log) = &job.log {
            let name = log_name::expanded(log, self.seq, None);
            job.log = Some(name.map_err(|wrong| wrong.at(self.seq).into_error("the items"))?);
        }
        let (fingerprint, legacy) = match &self.template.command {
            TemplateCommand::Argv(_) => {
                (self.identity.of(&job, None, JobContent::Command), Some(JobIdentity::legacy(&job, None)))
            }
            TemplateCommand::Shell { shell, line } => {
                let replacement = self.template.replacement.as_deref().unwrap_or_default();
                let seq = self.expander.names_number().then_some(self.seq);
                let content = JobContent::Line { shell, line, replacement, items: &self.current, seq };
                (self.identity.of(&job, None, content), None)
            }
        };
        Ok(Some(Entry {
            seq: self.seq,
            id: None,
            needs: Vec::new(),
            locks: Vec::new(),
            priority: Priority::default(),
            timeout_share: self.timeout_share,
            auto_factor: self.auto_factor,
            subject: None,
            line: self.line.clone(),
            label: label(&self.current),
            fingerprint,
            legacy_fingerprint: legacy,
            job,
        }))
    }
}

/// What is read for the list cannot go to the jobs, too.
pub(super) fn refuse_shared_input(list_reads_stdin: bool, defaults: &JobSpec) -> Result<()> {
    if !list_reads_stdin || defaults.surroundings.stdin != Stdin::Inherit {
        return Ok(());
    }
    Err(Error::Invalid {
        argument: Some("--stdin".to_owned()),
        message: "the jobs cannot inherit standard input, which is read for the batch itself".to_owned(),
        remediation: "Give --stdin null or a file, or let the batch read a file instead".to_owned(),
    })
}

/// The items on one line, not endless.
fn label(items: &[OsString]) -> String {
    let mut label = String::new();
    let mut length = 0;
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            label.push(' ');
            length += 1;
        }
        // No more than can be shown is looked at, of an item of whatever length.
        let bytes = item.as_encoded_bytes();
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * LABEL_LENGTH)]);
        for letter in start.chars() {
            if length >= LABEL_LENGTH {
                label.push_str("...");
                return label;
            }
            length += 1;
            label.push(letter);
        }
    }
    label
}
