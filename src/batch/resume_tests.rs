//! What a journal says of jobs: equal ones counted, rules kept, and understood wherever it was cut off.

use std::collections::HashMap;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{prop_assert_eq, proptest};

use super::{Decision, Earlier, NoJournal, Reading, Standing};
use crate::batch::journal::record;
use crate::batch::journal::samples::{EPOCH, author, ended, entry};
use crate::model::batch::{Fingerprint, Verdict};
use crate::model::request::ResumeRule;

/// Writes journals line by line.
#[derive(Clone, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn run(&mut self, rule: ResumeRule) -> &mut Self {
        self.line(&record::run(&author(rule), EPOCH))
    }

    fn started(&mut self, seq: u64, content: u128) -> &mut Self {
        self.line(&record::started(&entry(seq, None, content), &format!("job-{seq}"), 1, EPOCH))
    }

    fn finished(&mut self, seq: u64, content: u128, verdict: Verdict) -> &mut Self {
        self.line(&record::finished(&ended(&entry(seq, None, content), "job", verdict)))
    }

    fn over(&mut self) -> &mut Self {
        self.line(&record::run_ended(&author(ResumeRule::All), EPOCH))
    }

    fn line(&mut self, line: &[u8]) -> &mut Self {
        self.0.extend_from_slice(line);
        self
    }

    fn read(&self) -> Reading {
        Reading::read(&mut &self.0[..]).unwrap()
    }

    /// How so many jobs of this content stand.
    fn standings(&self, content: u128, count: usize) -> Vec<Standing> {
        let mut earlier = self.read().earlier();
        (0..count).map(|_| earlier.standing(Fingerprint(content))).collect()
    }
}

#[test]
fn each_end_is_remembered() {
    let mut writer = Writer::default();
    writer.run(ResumeRule::All);
    for (seq, verdict) in (1..).zip(Verdict::ALL) {
        writer.started(seq, u128::from(seq)).finished(seq, u128::from(seq), verdict);
    }
    writer.started(7, 7);
    let mut earlier = writer.read().earlier();
    let standings: Vec<_> = (1..=8).map(|content| earlier.standing(Fingerprint(content))).collect();
    use Standing::{Cancelled, Failed, Interrupted, New, Succeeded, TimedOut};
    assert_eq!(standings, [Succeeded, Succeeded, Failed, TimedOut, Cancelled, New, Interrupted, New]);
}

#[test]
fn equal_jobs_are_counted() {
    use Standing::{Failed, Interrupted, New, Succeeded};
    let mut writer = Writer::default();
    writer.run(ResumeRule::All);
    writer.started(1, 5).started(2, 5).started(3, 5).started(4, 5);
    writer.finished(3, 5, Verdict::Succeeded).finished(2, 5, Verdict::Failed).finished(4, 5, Verdict::Succeeded);
    assert_eq!(writer.standings(5, 5), [Succeeded, Succeeded, Failed, Interrupted, New]);
    // The one that failed succeeds, then the one that was interrupted fails.
    writer.run(ResumeRule::All).started(2, 5).finished(2, 5, Verdict::Succeeded);
    assert_eq!(writer.standings(5, 5), [Succeeded, Succeeded, Succeeded, Interrupted, New]);
    writer.started(1, 5).finished(1, 5, Verdict::Failed).over();
    assert_eq!(writer.standings(5, 5), [Succeeded, Succeeded, Succeeded, Failed, New]);
}

#[test]
fn what_a_run_left_out_stands_as_before() {
    use Standing::{Cancelled, Failed, Interrupted, New, Succeeded, TimedOut};
    let mut first = Writer::default();
    first.run(ResumeRule::All).started(1, 5).started(2, 5).started(3, 5).started(4, 5);
    first.finished(1, 5, Verdict::Failed).finished(2, 5, Verdict::TimedOut).finished(3, 5, Verdict::Cancelled);
    assert_eq!(first.standings(5, 5), [Failed, TimedOut, Cancelled, Interrupted, New]);
    let again = |rule| {
        let mut writer = first.clone();
        writer.run(rule).started(1, 5).finished(1, 5, Verdict::Succeeded).over();
        writer.standings(5, 5)
    };
    assert_eq!(again(ResumeRule::Failed), [Succeeded, TimedOut, Cancelled, Interrupted, New]);
    assert_eq!(again(ResumeRule::TimedOut), [Succeeded, Failed, Cancelled, Interrupted, New]);
    assert_eq!(again(ResumeRule::Unfinished), [Succeeded, Failed, TimedOut, Interrupted, New]);
}

#[test]
fn a_rule_says_what_runs_again() {
    let mut writer = Writer::default();
    writer.run(ResumeRule::All);
    let ends = [Verdict::Succeeded, Verdict::Failed, Verdict::TimedOut, Verdict::Cancelled];
    for (seq, verdict) in (1..).zip(ends) {
        writer.started(seq, u128::from(seq)).finished(seq, u128::from(seq), verdict);
    }
    writer.started(5, 5);
    let decisions = |rule| -> Vec<Decision> {
        let mut earlier = writer.read().earlier();
        (1..=6).map(|seq| earlier.wants(&entry(seq, None, u128::from(seq)), rule)).collect()
    };
    use Decision::{DoneBefore, LeftOut};
    let [anew, again] = [false, true].map(|interrupted_before| Decision::Run { interrupted_before });
    assert_eq!(decisions(ResumeRule::All), [DoneBefore, anew, anew, anew, again, anew]);
    assert_eq!(decisions(ResumeRule::Failed), [DoneBefore, anew, anew, LeftOut, LeftOut, LeftOut]);
    assert_eq!(decisions(ResumeRule::TimedOut), [DoneBefore, LeftOut, anew, LeftOut, LeftOut, LeftOut]);
    assert_eq!(decisions(ResumeRule::Unfinished), [DoneBefore, LeftOut, LeftOut, anew, again, anew]);
}

#[test]
fn a_record_that_was_written_twice_counts_once() {
    let mut writer = Writer::default();
    writer.run(ResumeRule::All).started(1, 5);
    let torn = writer.clone();
    writer.finished(1, 5, Verdict::Succeeded);
    // Its newline was torn off, and came with the second one.
    let twice = writer.clone().finished(1, 5, Verdict::Succeeded).clone();
    assert_eq!(twice.standings(5, 2), [Standing::Succeeded, Standing::New]);
    // But an equal job that is over is another one.
    let mut other = torn;
    other.started(2, 5).finished(1, 5, Verdict::Succeeded).finished(2, 5, Verdict::Succeeded);
    assert_eq!(other.standings(5, 3), [Standing::Succeeded, Standing::Succeeded, Standing::New]);
}

#[test]
fn an_end_whose_start_was_lost_counts() {
    let mut writer = Writer::default();
    writer.run(ResumeRule::All).started(1, 5).run(ResumeRule::All).finished(1, 5, Verdict::Succeeded);
    assert_eq!(writer.standings(5, 2), [Standing::Succeeded, Standing::New]);
}

#[test]
fn several_attempts_are_one_job_whose_processes_are_all_known() {
    let mut writer = Writer::default();
    writer.run(ResumeRule::All);
    let job = entry(1, None, 5);
    for (attempt, id) in [(1, "first"), (2, "second")] {
        writer.line(&record::started(&job, id, attempt, EPOCH));
    }
    let reading = writer.read();
    let (killed, ids) = reading.memory.killed_run().unwrap();
    assert_eq!((killed, ids), (&author(ResumeRule::All), vec!["first", "second"]));
    assert_eq!(writer.standings(5, 2), [Standing::Interrupted, Standing::New]);
    assert!(writer.over().read().memory.killed_run().is_none());
}

#[test]
fn torn_lines_in_the_middle_are_left_out() {
    let mut writer = Writer::default();
    writer.run(ResumeRule::All).started(1, 1).line(b"{\"event\":\"finis\n").line(b"\0\0\xff\n\n");
    writer.finished(1, 1, Verdict::Succeeded).line(b"{\"event\":\"new\",\"x\":1}\n");
    let reading = writer.read();
    assert_eq!((reading.unreadable_lines, reading.length, reading.torn), (3, writer.0.len() as u64, 0));
    assert_eq!(writer.standings(1, 2), [Standing::Succeeded, Standing::New]);
}

#[test]
fn what_is_no_journal_is_told() {
    let read = |bytes: &[u8]| Reading::read(&mut &*bytes);
    let mut headless = Writer::default();
    headless.started(1, 1);
    for bytes in [&b"x"[..], b"\n", b"{\"journal\":\"x\"", b"{}\n{}\n", &headless.0] {
        assert!(matches!(read(bytes), Err(NoJournal::Other)), "{bytes:?}");
    }
    assert!(matches!(read(b"{\"journal\":\"runner\",\"version\":3}"), Err(NoJournal::Later(3))));
    assert_eq!(read(b"").unwrap().length, 0);
}

/// A journal of several runs over a few contents, with equal jobs among them.
fn sample() -> Writer {
    let mut writer = Writer::default();
    writer.run(ResumeRule::All).started(1, 1).started(2, 2).finished(1, 1, Verdict::Succeeded).started(3, 1);
    writer.finished(2, 2, Verdict::Failed).finished(3, 1, Verdict::TimedOut).started(4, 3);
    writer.run(ResumeRule::Failed).started(2, 2).started(3, 1).finished(2, 2, Verdict::Flaky);
    writer.run(ResumeRule::All).started(4, 3).finished(4, 3, Verdict::Succeeded).started(3, 1);
    writer.finished(3, 1, Verdict::Succeeded).over();
    writer
}

/// Successes by content, counted in the plainest way.
fn successes(bytes: &[u8]) -> HashMap<u128, usize> {
    let mut counts = HashMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        if matches!(value["verdict"].as_str(), Some("succeeded" | "flaky")) {
            let content = u128::from_str_radix(value["fingerprint"].as_str().unwrap(), 16).unwrap();
            *counts.entry(content).or_default() += 1;
        }
    }
    counts
}

fn assert_successes(earlier: &mut Earlier, bytes: &[u8]) {
    let expected = successes(bytes);
    for content in 1..=3 {
        let succeeded = std::iter::from_fn(|| Some(earlier.standing(Fingerprint(content))))
            .take_while(|standing| *standing == Standing::Succeeded);
        assert_eq!(succeeded.count(), expected.get(&content).copied().unwrap_or(0), "of {content}");
    }
}

#[test]
fn a_journal_that_is_cut_off_at_any_byte_is_understood() {
    let whole = sample().0;
    for end in 0..=whole.len() {
        let cut = &whole[..end];
        let reading = Reading::read(&mut &*cut).unwrap();
        assert_eq!(reading.length + reading.torn, end as u64);
        let kept = &cut[..reading.length as usize];
        assert_eq!(kept.is_empty() || kept.ends_with(b"\n"), !reading.lacks_newline, "{end}");
        assert_successes(&mut reading.earlier(), cut);
        // What is left after the repair says the same, and a run that follows is understood.
        let mut repaired = Writer(kept.to_vec());
        if repaired.0.last().is_some_and(|byte| *byte != b'\n') {
            repaired.0.push(b'\n');
        }
        repaired.run(ResumeRule::All).started(9, 1).finished(9, 1, Verdict::Succeeded);
        let again = repaired.read();
        assert_eq!((again.unreadable_lines, again.torn), (0, 0), "{end}");
        assert_successes(&mut again.earlier(), &repaired.0);
    }
}

/// A line as chance may leave it in a journal.
fn rubbish() -> impl Strategy<Value = Vec<u8>> {
    let torn = (0..sample().0.len(), 0..60_usize).prop_map(|(from, length)| {
        let whole = sample().0;
        whole[from..whole.len().min(from + length)].to_vec()
    });
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..40), torn, Just(vec![0; 20])]
}

proptest! {
    #[test]
    fn rubbish_at_the_end_is_cut_off(rubbish in rubbish()) {
        let line: Vec<u8> = rubbish.into_iter().filter(|byte| *byte != b'\n').collect();
        let whole = sample().0;
        let mut bytes = whole.clone();
        bytes.extend_from_slice(&line);
        let reading = Reading::read(&mut &*bytes).unwrap();
        prop_assert_eq!(reading.length, whole.len() as u64);
        prop_assert_eq!(reading.torn, line.len() as u64);
        assert_successes(&mut reading.earlier(), &whole);
    }

    #[test]
    fn rubbish_between_the_lines_takes_no_record_away(rubbish in rubbish(), at in 0_usize..15) {
        let whole = sample().0;
        let mut bytes = Vec::new();
        for (number, line) in whole.split_inclusive(|byte| *byte == b'\n').enumerate() {
            bytes.extend_from_slice(line);
            if number == at {
                bytes.extend(rubbish.iter().filter(|byte| **byte != b'\n'));
                bytes.push(b'\n');
            }
        }
        let reading = Reading::read(&mut &*bytes).unwrap();
        prop_assert_eq!(reading.unreadable_lines, 1);
        assert_successes(&mut reading.earlier(), &whole);
    }
}
