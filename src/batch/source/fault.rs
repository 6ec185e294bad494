//! What is wrong with a list of jobs: where it stands, and what would be right.
//!
//! Several faults of one list make one error, so that a long list is not corrected a line at a time.

use crate::error::Error;
use crate::model::secrets::Secrets;

/// So many faults are told of; a list with more is best looked at as a whole.
pub(super) const FAULTS_TOLD: usize = 10;

/// What is wrong with one field, or with a job as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Empty where it is the whole job.
    pub(super) field: String,
    pub(super) problem: String,
    /// A sentence without its full stop.
    pub(super) remedy: String,
}

impl Wrong {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// Of a parser, whose errors say what is wrong and, after `: give `, what would be right.
    pub(super) fn parsed(field: &str, error: &str) -> Self {
        match error.rsplit_once(": give ") {
            Some((problem, advice)) => Self::new(field, problem, format!("Give {field} {advice}")),
            None => Self::new(field, error, format!("Correct {field}")),
        }
    }

    /// Masks these values.
    pub(super) fn masked(mut self, secrets: &Secrets) -> Self {
        for text in [&mut self.field, &mut self.problem, &mut self.remedy] {
            secrets.mask(text);
        }
        self
    }

    pub(super) fn at(self, line: u64) -> Fault {
        Fault { line, wrong: self }
    }
}

/// What is wrong, and on which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// From 1.
    pub(super) line: u64,
    pub(super) wrong: Wrong,
}

impl Fault {
    /// As one line of a message, without the way out.
    fn told(&self, list: &str) -> String {
        let Self { line, wrong: Wrong { field, problem, .. } } = self;
        if field.is_empty() {
            format!("{list} line {line}: {problem}")
        } else {
            format!("{list} line {line}: {field}: {problem}")
        }
    }

    pub(super) fn into_error(self, list: &str) -> Error {
        Error::Invalid { argument: Some(list.to_owned()), message: self.told(list), remediation: self.wrong.remedy }
    }
}

/// Why there is no next job: something is wrong with the list, or it cannot be read.
#[derive(Debug)]
pub(super) enum Trouble {
    Fault(Fault),
    Failure(Error),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Trouble {
    pub(super) fn into_error(self, list: &str) -> Error {
        match self {
            Self::Fault(fault) => fault.into_error(list),
            Self::Failure(error) => error,
        }
    }
}

/// The one error that these faults make, the first of them first. `more`: there are others that were not kept.
pub(super) fn error_of(faults: Vec<Fault>, more: bool, list: &str) -> Option<Error> {
    if faults.len() <= 1 && !more {
        return faults.into_iter().next().map(|fault| fault.into_error(list));
    }
    let mut lines: Vec<String> =
        faults.iter().map(|fault| format!("{}. {}.", fault.told(list), fault.wrong.remedy)).collect();
    if more {
        lines.push(format!("{list} has more errors than these"));
    }
    Some(Error::Invalid {
        argument: Some(list.to_owned()),
        message: lines.join("\n"),
        remediation: "Correct each of these; no job has been started".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Wrong, error_of};

    #[test]
    fn one_fault_is_the_message_and_its_remedy_the_hint() {
        let fault = Wrong::parsed("timeout", "'5x' is junk: give seconds such as 60").at(3);
        let error = error_of(vec![fault], false, "jobs.jsonl").expect("an error");
        assert_eq!(error.to_string(), "jobs.jsonl line 3: timeout: '5x' is junk");
        assert_eq!(error.remediation(), "Give timeout seconds such as 60");
        assert!(error_of(Vec::new(), false, "jobs.jsonl").is_none());
    }

    #[test]
    fn several_faults_stand_below_each_other_with_what_helps() {
        let faults = vec![Wrong::new("", "no job", "Write one").at(1), Wrong::new("id", "empty", "Give one").at(9)];
        let error = error_of(faults.clone(), false, "a").expect("an error");
        assert_eq!(error.to_string(), "a line 1: no job. Write one.\na line 9: id: empty. Give one.");
        let error = error_of(faults, true, "a").expect("an error");
        assert!(error.to_string().ends_with("\na has more errors than these"));
    }
}
