//! What `runner history` answers: figures about the attempts that were recorded of each job. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::auto_timeout::{AutoTimeout, RECENT, trimmed_p95};
use crate::model::percentiles::nearest_rank;
use crate::model::quantity::Seconds;
use crate::model::sample::{Sample, SampleCause, Subject};

/// A histogram has no more buckets, unless durations are further apart than decades can show.
const BUCKETS: usize = 12;

/// The `data` of the envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryData {
    /// The one that ran last comes first.
    pub entries: Vec<HistoryEntry>,
    /// How many there are in all.
    pub total: u64,
}

/// The history of one job, or of one command. Times are of the attempts that are kept, the newest thousand or so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// The name that the job was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What ran last, as a shell would read it; of a built-in operation its name.
    pub command: String,
    /// Of the command, where the job has no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Attempts of every kind.
    pub runs: u64,
    pub successes: u64,
    /// Those that ended by themselves without success, or could not be run.
    pub failures: u64,
    /// Those that were stopped for time, or for silence.
    pub timeouts: u64,
    pub cancelled: u64,
    /// The share of the runs that were stopped for time, from 0 to 1.
    pub timeout_rate: f64,
    /// How many runs ended how, by the words success, failed, signal, timeout, idle, cancelled and not_started.
    pub causes: BTreeMap<String, u64>,
    /// When the oldest one that is kept ended: RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<String>,
    /// How long the successes took; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_seconds: Option<DurationFigures>,
    /// The largest resident size of a single process that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// What `--timeout auto` would be.
    pub suggested_timeout_seconds: Seconds,
    /// Absent where the successes are too few, and the suggestion is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion_basis: Option<SuggestionBasis>,
    /// How long the runs took, where one job was asked for. Neighbours share their bounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<HistogramBucket>,
}

/// Percentiles by nearest rank, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DurationFigures {
    pub min: Seconds,
    pub p50: Seconds,
    pub p90: Seconds,
    pub p95: Seconds,
    pub p99: Seconds,
    pub max: Seconds,
}

/// What a suggested timeout is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SuggestionBasis {
    /// The newest successes, so many of them.
    pub successes: u64,
    /// Their 95th percentile, without those that are out of line.
    pub trimmed_p95_seconds: Seconds,
    /// The timeout is so many times that, within its bounds.
    pub factor: f64,
}

/// Runs that took at least so long, and less than that.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistogramBucket {
    pub from_seconds: Seconds,
    pub to_seconds: Seconds,
    pub successes: u64,
    /// Runs of every other kind.
    pub others: u64,
}

impl HistoryEntry {
    /// The figures of a subject whose samples these are, the newest first. `when` writes a time down.
    pub fn of(subject: &Subject, samples: &[Sample], auto: &AutoTimeout, when: impl Fn(Duration) -> String) -> Self {
        let mut causes = BTreeMap::new();
        for sample in samples {
            *causes.entry(sample.cause.word().to_owned()).or_default() += 1;
        }
        let count = |wanted: fn(SampleCause) -> bool| {
            let found = samples.iter().filter(|sample| wanted(sample.cause));
            found.count() as u64
        };
        let newest: Vec<Duration> = successes(samples).collect();
        let mut sorted = newest.clone();
        sorted.sort_unstable();
        let recent = &newest[..newest.len().min(RECENT)];
        let suggestion = auto.suggest(recent);
        let timeouts = count(SampleCause::is_timeout);
        Self {
            name: subject.name.clone(),
            command: subject.command.clone(),
            fingerprint: subject.name.is_none().then(|| subject.key.clone()),
            runs: samples.len() as u64,
            successes: newest.len() as u64,
            failures: count(|cause| {
                matches!(cause, SampleCause::Failed | SampleCause::Signal | SampleCause::NotStarted)
            }),
            timeouts,
            cancelled: count(|cause| cause == SampleCause::Cancelled),
            timeout_rate: if samples.is_empty() { 0.0 } else { timeouts as f64 / samples.len() as f64 },
            causes,
            first_at: samples.last().map(|sample| when(sample.ended_at)),
            last_at: samples.first().map(|sample| when(sample.ended_at)),
            success_seconds: DurationFigures::of(&sorted),
            peak_memory_bytes: samples.iter().filter_map(|sample| sample.peak_memory).max(),
            suggested_timeout_seconds: Seconds(suggestion.timeout),
            suggestion_basis: suggestion.basis.and(trimmed_p95(recent)).map(|basis| SuggestionBasis {
                successes: recent.len() as u64,
                trimmed_p95_seconds: Seconds(basis),
                factor: auto.factor,
            }),
            histogram: Vec::new(),
        }
    }

    /// The same with a histogram of these samples.
    pub fn with_histogram(self, samples: &[Sample]) -> Self {
        Self { histogram: histogram(samples), ..self }
    }
}

impl DurationFigures {
    /// None: there are no durations. They are in ascending order.
    fn of(sorted: &[Duration]) -> Option<Self> {
        let at = |percent| nearest_rank(sorted, percent).map(Seconds);
        Some(Self { min: at(0)?, p50: at(50)?, p90: at(90)?, p95: at(95)?, p99: at(99)?, max: at(100)? })
    }
}

fn successes(samples: &[Sample]) -> impl Iterator<Item = Duration> {
    samples.iter().filter(|sample| sample.cause == SampleCause::Success).map(|sample| sample.duration)
}

/// How long the runs took: buckets that grow as 1, 2, 5, 10, or tenfold where they would be too many.
fn histogram(samples: &[Sample]) -> Vec<HistogramBucket> {
    let began = || samples.iter().filter(|sample| sample.cause != SampleCause::NotStarted);
    let shortest = began().map(|sample| sample.duration).min();
    let longest = began().map(|sample| sample.duration).max();
    let (Some(shortest), Some(longest)) = (shortest, longest) else { return Vec::new() };
    let mut bounds = bounds_around(shortest, longest, &[1, 2, 5]);
    if bounds.len() > BUCKETS + 1 {
        bounds = bounds_around(shortest, longest, &[1]);
    }
    let mut buckets: Vec<HistogramBucket> = bounds
        .windows(2)
        .map(|pair| HistogramBucket {
            from_seconds: Seconds(pair[0]),
            to_seconds: Seconds(pair[1]),
            successes: 0,
            others: 0,
        })
        .collect();
    for sample in began() {
        let above = bounds.partition_point(|bound| *bound <= sample.duration);
        if let Some(bucket) = above.checked_sub(1).and_then(|at| buckets.get_mut(at)) {
            match sample.cause {
                SampleCause::Success => bucket.successes += 1,
                _ => bucket.others += 1,
            }
        }
    }
    buckets
}

/// Round numbers from the last one that is no more than `shortest` to the first one above `longest`. Below a millisecond
/// there is nothing but zero.
fn bounds_around(shortest: Duration, longest: Duration, steps: &[u32]) -> Vec<Duration> {
    let mut bounds = vec![Duration::ZERO];
    let mut decade = Duration::from_millis(1);
    while bounds.last().is_some_and(|last| *last <= longest) {
        bounds.extend(steps.iter().map(|step| decade.saturating_mul(*step)));
        decade = decade.saturating_mul(10);
    }
    let first = bounds.partition_point(|bound| *bound <= shortest).saturating_sub(1);
    let end = bounds.partition_point(|bound| *bound <= longest) + 1;
    bounds[first..end.min(bounds.len())].to_vec()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::proptest;

    use super::{BUCKETS, HistoryEntry, histogram};
    use crate::model::auto_timeout::{AutoTimeout, TimeoutBounds};
    use crate::model::quantity::Seconds;
    use crate::model::sample::{Sample, SampleCause, Subject};

    fn subject() -> Arc<Subject> {
        Arc::new(Subject { key: "name:build".to_owned(), name: Some("build".to_owned()), command: "make".to_owned() })
    }

    fn sample(cause: SampleCause, millis: u64) -> Sample {
        Sample {
            subject: subject(),
            ended_at: Duration::from_secs(millis),
            duration: Duration::from_millis(millis),
            cause,
            exit_code: None,
            attempt: 1,
            peak_memory: Some(millis * 1024),
        }
    }

    fn entry(samples: &[Sample]) -> HistoryEntry {
        let auto = AutoTimeout { factor: 2.0, bounds: TimeoutBounds::default() };
        HistoryEntry::of(&subject(), samples, &auto, |time| time.as_secs().to_string())
    }

    #[test]
    fn every_run_is_counted_once_and_only_successes_make_times() {
        use SampleCause::{Cancelled, Failed, Idle, NotStarted, Signal, Success, Timeout};
        let causes =
            [Success, Success, Success, Success, Success, Failed, Signal, Timeout, Idle, Cancelled, NotStarted];
        let samples: Vec<Sample> =
            causes.iter().enumerate().map(|(at, cause)| sample(*cause, (at as u64 + 1) * 10_000)).collect();
        let entry = entry(&samples);
        assert_eq!((entry.runs, entry.successes, entry.failures, entry.timeouts, entry.cancelled), (11, 5, 3, 2, 1));
        assert!((entry.timeout_rate - 2.0 / 11.0).abs() < 1e-9);
        assert_eq!(entry.causes.len(), 7);
        assert_eq!(entry.causes["success"], 5);
        let figures = entry.success_seconds.unwrap();
        let second = |seconds| Seconds(Duration::from_secs(seconds));
        assert_eq!(
            (figures.min, figures.p50, figures.p95, figures.max),
            (second(10), second(30), second(50), second(50))
        );
        assert_eq!(entry.suggested_timeout_seconds, second(100));
        let basis = entry.suggestion_basis.unwrap();
        assert_eq!((basis.successes, basis.trimmed_p95_seconds), (5, second(50)));
        assert_eq!(entry.peak_memory_bytes, Some(110_000 * 1024));
        assert_eq!((entry.first_at.as_deref(), entry.last_at.as_deref()), (Some("110000"), Some("10000")));
    }

    #[test]
    fn without_enough_successes_the_suggestion_is_the_default() {
        let entry = entry(&[sample(SampleCause::Timeout, 10)]);
        assert_eq!((entry.timeout_rate, entry.success_seconds, entry.suggestion_basis), (1.0, None, None));
        assert_eq!(entry.suggested_timeout_seconds, Seconds(Duration::from_secs(3600)));
    }

    #[test]
    fn buckets_are_round_numbers_around_what_there_is() {
        let samples = [
            sample(SampleCause::Success, 999),
            sample(SampleCause::Success, 1000),
            sample(SampleCause::Success, 1999),
            sample(SampleCause::Timeout, 2000),
            sample(SampleCause::NotStarted, 50_000),
        ];
        let found: Vec<_> = histogram(&samples)
            .iter()
            .map(|bucket| {
                (bucket.from_seconds.to_string(), bucket.to_seconds.to_string(), bucket.successes, bucket.others)
            })
            .collect();
        let expected = [("0.5", "1", 1, 0), ("1", "2", 2, 0), ("2", "5", 0, 1)];
        assert_eq!(
            found,
            expected.map(|(from, to, successes, others)| (from.to_owned(), to.to_owned(), successes, others))
        );
        assert!(histogram(&samples[4..]).is_empty());
    }

    proptest! {
        #[test]
        fn every_run_is_in_one_bucket(micros in proptest::collection::vec(0_u64..1 << 50, 1..50), shift in 0_u32..40) {
            let samples: Vec<Sample> = micros
                .iter()
                .map(|micros| Sample { duration: Duration::from_micros(micros >> shift), ..sample(SampleCause::Success, 1) })
                .collect();
            let buckets = histogram(&samples);
            assert_eq!(buckets.iter().map(|bucket| bucket.successes).sum::<u64>(), micros.len() as u64);
            assert!(buckets.len() <= BUCKETS + 2, "{}", buckets.len());
            assert!(buckets.first().is_some_and(|bucket| bucket.successes > 0));
            assert!(buckets.last().is_some_and(|bucket| bucket.successes > 0));
            assert!(buckets.windows(2).all(|pair| pair[0].to_seconds == pair[1].from_seconds));
        }
    }
}
