//! When a batch ends early: failures counted against `--fail-fast` and `--max-failures`.

use crate::model::batch::Verdict;
use crate::model::request::{FailFast, MaxFailures, StopRule};

/// A share of the jobs says nothing before so many of them are over.
const FIRST_SHARE: u64 = 10;

/// What is to be done now. Each comes at most once in a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reaction {
    #[default]
    GoOn,
    /// No new jobs, for this reason.
    Halt(String),
    /// No new jobs, and those that run are stopped, for this reason.
    StopAll(String),
}

/// The jobs that are over, as far as the rule looks at them.
#[derive(Debug)]
pub(super) struct Tally {
    rule: StopRule,
    failures: u64,
    /// Those that ran to an end of their own: neither cancelled nor skipped.
    over: u64,
    reacted: bool,
}

impl Tally {
    pub(super) fn new(rule: StopRule) -> Self {
        Self { rule, failures: 0, over: 0, reacted: false }
    }

    /// A job is over. One that was cancelled is no failure: whoever cancelled it stops the batch.
    pub(super) fn note(&mut self, verdict: Verdict) -> Reaction {
        match verdict {
            Verdict::Succeeded | Verdict::Flaky => {}
            Verdict::Failed | Verdict::TimedOut => self.failures += 1,
            Verdict::Cancelled | Verdict::Skipped => return Reaction::GoOn,
        }
        self.over += 1;
        let reaction = self.reaction();
        if self.reacted {
            return Reaction::GoOn;
        }
        self.reacted = reaction != Reaction::GoOn;
        reaction
    }

    fn reaction(&self) -> Reaction {
        if self.failures == 0 {
            return Reaction::GoOn;
        }
        match self.rule.fail_fast {
            FailFast::Off => {}
            FailFast::Soft => return Reaction::Halt("a job failed (--fail-fast)".to_owned()),
            FailFast::Now => return Reaction::StopAll("a job failed (--fail-fast)".to_owned()),
        }
        match self.rule.max_failures {
            Some(MaxFailures::Count(count)) if self.failures >= count => {
                let jobs = if self.failures == 1 { "job" } else { "jobs" };
                Reaction::Halt(format!("{} {jobs} failed (--max-failures)", self.failures))
            }
            // Products of tenths are not exact.
            Some(MaxFailures::Share(share))
                if self.over >= FIRST_SHARE && self.failures as f64 >= share * self.over as f64 - 1e-9 =>
            {
                Reaction::Halt(format!("{} of {} jobs failed (--max-failures)", self.failures, self.over))
            }
            _ => Reaction::GoOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reaction, Tally};
    use crate::model::batch::Verdict;
    use crate::model::request::{FailFast, MaxFailures, StopRule};

    /// The reactions to these ends: `.` success, `x` failure, `t` timeout, `c` cancelled.
    fn reactions(rule: StopRule, ends: &str) -> Vec<Reaction> {
        let mut tally = Tally::new(rule);
        let verdict = |end| match end {
            '.' => Verdict::Succeeded,
            't' => Verdict::TimedOut,
            'c' => Verdict::Cancelled,
            _ => Verdict::Failed,
        };
        ends.chars().map(|end| tally.note(verdict(end))).collect()
    }

    /// At which end, from 1, the one reaction came, and which it was.
    fn only_reaction(rule: StopRule, ends: &str) -> Option<(usize, Reaction)> {
        let mut found = reactions(rule, ends).into_iter().zip(1..).filter(|(reaction, _)| *reaction != Reaction::GoOn);
        let (reaction, at) = found.next()?;
        assert_eq!(found.next(), None, "it comes once");
        Some((at, reaction))
    }

    fn fail_fast(fail_fast: FailFast) -> StopRule {
        StopRule { fail_fast, max_failures: None }
    }

    fn at_most(max_failures: MaxFailures) -> StopRule {
        StopRule { fail_fast: FailFast::Off, max_failures: Some(max_failures) }
    }

    #[test]
    fn the_first_failure_stops_what_it_is_told_to() {
        let because = "a job failed (--fail-fast)".to_owned();
        assert_eq!(only_reaction(fail_fast(FailFast::Off), "..xxtx"), None);
        assert_eq!(only_reaction(fail_fast(FailFast::Soft), "..c.x.tx"), Some((5, Reaction::Halt(because.clone()))));
        assert_eq!(only_reaction(fail_fast(FailFast::Now), "tx"), Some((1, Reaction::StopAll(because))));
    }

    #[test]
    fn failures_are_counted_up_to_the_limit() {
        let reaction = only_reaction(at_most(MaxFailures::Count(3)), "x.c.t...x.x");
        assert_eq!(reaction, Some((9, Reaction::Halt("3 jobs failed (--max-failures)".to_owned()))));
        assert_eq!(only_reaction(at_most(MaxFailures::Count(3)), "x.c.t"), None);
    }

    #[test]
    fn a_share_counts_from_ten_jobs_on() {
        let tenth = at_most(MaxFailures::Share(0.1));
        let reaction = |failed, over| Reaction::Halt(format!("{failed} of {over} jobs failed (--max-failures)"));
        assert_eq!(only_reaction(tenth, "xxxxxxxxx"), None);
        assert_eq!(only_reaction(tenth, "xxxxxxxxxx"), Some((10, reaction(10, 10))));
        assert_eq!(only_reaction(tenth, "x.........."), Some((10, reaction(1, 10))));
        assert_eq!(only_reaction(tenth, "..........x........"), None);
        assert_eq!(only_reaction(tenth, "..........x........x"), Some((20, reaction(2, 20))));
        assert_eq!(only_reaction(at_most(MaxFailures::Share(0.0)), "..........."), None);
    }
}
