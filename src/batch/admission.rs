//! What holds new jobs back: the load of the machine, the memory that is left, and a limit on processes that is near.
//!
//! It never stops a job that runs, and where none runs it lets one through.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::request::Workers;
use crate::platform::machine::Machine;
use crate::platform::shortage;
use crate::time::clock::Moment;

/// A reading serves for so long. In between, what we began and what ended is counted on it.
const READING_AGE: Duration = Duration::from_millis(250);
/// Whoever is held comes again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A load that fell is believed after about so long, since it goes up and down at any moment, and one who looks often
/// sees it low some time. One that rose is believed at once.
const SMOOTHING: Duration = Duration::from_secs(2);

const LOAD_REASON: &str = "the load is at its limit";
const MEMORY_REASON: &str = "memory is low";
pub(super) const PROCESS_REASON: &str = "few processes are left (ulimit -u, pids.max)";

/// Processes that a job is taken to need: its guard, its command, and two that this one starts. Where they are not left,
/// its own starts of processes would fail, or those of its neighbours.
const PROCESSES_PER_JOB: u64 = 4;
/// Threads of runner that are still to come.
const OWN_THREADS: u64 = 4;
/// More jobs run where so many processes were left in each of several readings: one that has just begun takes few.
const AMPLE_PROCESSES: u64 = 12;
const AMPLE_READINGS: u32 = 4;

/// Where the figures come from.
pub trait Readings {
    /// How many threads run, or wait for a CPU or a disk, at this moment.
    fn load(&mut self) -> Option<f64>;

    /// How many bytes of memory are available.
    fn available_memory(&mut self) -> Option<u64>;

    /// How many more processes there may be, where a limit on them is near enough to matter to so many.
    fn processes_left(&mut self, wanted: u64) -> Option<u64>;
}

impl Readings for Machine {
    fn load(&mut self) -> Option<f64> {
        Machine::load(self)
    }

    fn available_memory(&mut self) -> Option<u64> {
        Machine::available_memory(self)
    }

    fn processes_left(&mut self, wanted: u64) -> Option<u64> {
        shortage::processes_left(wanted)
    }
}

/// No new job now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    pub reason: &'static str,
    /// When it may be different.
    pub look_again: Moment,
}

/// Says whether one more job may begin.
#[derive(Debug)]
pub struct Admission<R = Machine> {
    max_load: Option<f64>,
    min_free_memory: Option<u64>,
    /// None: no limit on processes is near.
    processes: Option<ProcessRoom>,
    readings: R,
    last: Option<Reading>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Moment,
    /// How many of our jobs ran then, and are in its figures.
    running: usize,
    load: f64,
    smoothed_load: f64,
    available_memory: u64,
}

/// How many jobs may run at once under a limit on processes that is near.
#[derive(Clone, Copy, Debug)]
struct ProcessRoom {
    /// Processes that all slots together may take.
    wanted: u64,
    jobs: u64,
    /// The fewest that were left in the readings since the last change.
    least: u64,
    readings: u32,
}

impl ProcessRoom {
    /// `left` processes may be made while no job runs.
    fn new(wanted: u64, left: u64) -> Self {
        let jobs = left.saturating_sub(OWN_THREADS) / PROCESSES_PER_JOB;
        Self { wanted, jobs: jobs.max(1), least: u64::MAX, readings: 0 }
    }

    /// Takes a reading while so many jobs run.
    fn note(&mut self, left: u64, running: u64) {
        let (least, readings) = (self.least.min(left), self.readings + 1);
        let jobs = if left < PROCESSES_PER_JOB {
            running.min(self.jobs).saturating_sub(1).max(1)
        } else if running < self.jobs {
            // What it takes to fill the room is not known yet.
            return;
        } else if readings >= AMPLE_READINGS {
            self.jobs + least / AMPLE_PROCESSES
        } else {
            (self.least, self.readings) = (least, readings);
            return;
        };
        *self = Self { jobs, least: u64::MAX, readings: 0, ..*self };
    }
}

impl Admission {
    /// The limits of this machine. An error where a limit is asked for that cannot be watched here.
    pub fn new(workers: Workers) -> Result<Self> {
        Self::of(workers, Machine::find())
    }
}

impl<R: Readings> Admission<R> {
    fn of(workers: Workers, mut readings: R) -> Result<Self> {
        let unreadable = |option: &str, what: &str| Error::Invalid {
            argument: Some(option.to_owned()),
            message: format!("{what} of this machine cannot be read"),
            remediation: format!("Leave {option} out, or run where /proc is mounted and may be read"),
        };
        if workers.max_load.is_some() && readings.load().is_none() {
            return Err(unreadable("--max-load", "the load"));
        }
        if workers.min_free_memory.is_some() && readings.available_memory().is_none() {
            return Err(unreadable("--min-free-memory", "the available memory"));
        }
        let Workers { max_load, min_free_memory, slots } = workers;
        let wanted = (slots as u64).saturating_mul(PROCESSES_PER_JOB);
        let near = readings.processes_left(wanted).filter(|left| *left < wanted);
        let processes = near.map(|left| ProcessRoom::new(wanted, left));
        Ok(Self { max_load, min_free_memory, processes, readings, last: None })
    }

    /// Whether one more job may begin while so many run.
    ///
    /// A job is taken for a load of one until the next reading tells, and one that begins in place of one that ended for
    /// its equal, so that a crowd of jobs does not pass between two readings.
    pub fn allows(&mut self, running: usize, now: Moment) -> std::result::Result<(), Hold> {
        if running == 0 || (self.max_load.is_none() && self.min_free_memory.is_none() && self.processes.is_none()) {
            return Ok(());
        }
        let reading = self.reading(running, now);
        let load = reading.load.max(reading.smoothed_load) + running as f64 - reading.running as f64;
        let hold = |reason| Err(Hold { reason, look_again: now + LOOK_AGAIN });
        if self.max_load.is_some_and(|limit| load >= limit) {
            return hold(LOAD_REASON);
        }
        if self.min_free_memory.is_some_and(|limit| reading.available_memory < limit) {
            return hold(MEMORY_REASON);
        }
        if self.processes.is_some_and(|room| running as u64 >= room.jobs) {
            return Err(Hold { reason: PROCESS_REASON, look_again: now + READING_AGE });
        }
        Ok(())
    }

    /// The last reading, or a new one where that is too old.
    fn reading(&mut self, running: usize, now: Moment) -> Reading {
        if let Some(last) = self.last
            && now.since(last.at) < READING_AGE
        {
            return last;
        }
        // What could be read at first and cannot now holds nobody back.
        let load = if self.max_load.is_some() { self.readings.load().unwrap_or(0.0) } else { 0.0 };
        let memory = if self.min_free_memory.is_some() { self.readings.available_memory() } else { None };
        let smoothed_load = self.last.map_or(load, |last| {
            // The C library's would have the dynamic linker load its mathematics at every start of the program.
            let weight = 1.0 - libm::exp(-now.since(last.at).div_duration_f64(SMOOTHING));
            last.smoothed_load + (load - last.smoothed_load) * weight
        });
        let available_memory = memory.unwrap_or(u64::MAX);
        if let Some(room) = &mut self.processes
            && let Some(left) = self.readings.processes_left(room.wanted)
        {
            room.note(left, running as u64);
        }
        *self.last.insert(Reading { at: now, running, load, smoothed_load, available_memory })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Admission, Hold, LOAD_REASON, MEMORY_REASON, PROCESS_REASON, Readings};
    use crate::model::request::Workers;
    use crate::time::clock::Moment;

    #[derive(Debug, Default)]
    struct Told {
        load: Option<f64>,
        memory: Option<u64>,
        processes: Option<u64>,
        times: usize,
    }

    impl Readings for Told {
        fn load(&mut self) -> Option<f64> {
            self.times += 1;
            self.load
        }

        fn available_memory(&mut self) -> Option<u64> {
            self.times += 1;
            self.memory
        }

        fn processes_left(&mut self, _wanted: u64) -> Option<u64> {
            self.processes
        }
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::at(Duration::from_millis(milliseconds))
    }

    fn admission(max_load: Option<f64>, min_free_memory: Option<u64>) -> Admission<Told> {
        let told = Told { load: Some(0.0), memory: Some(100), ..Told::default() };
        let mut admission = Admission::of(Workers { slots: 99, max_load, min_free_memory }, told).unwrap();
        admission.readings.times = 0;
        admission
    }

    #[test]
    fn without_a_limit_nothing_is_read() {
        let mut admission = admission(None, None);
        assert_eq!(admission.allows(50, at(0)), Ok(()));
        assert_eq!(admission.readings.times, 0);
    }

    #[test]
    fn a_high_load_holds_new_jobs_but_never_the_only_one() {
        let mut admission = admission(Some(4.0), None);
        admission.readings.load = Some(4.0);
        assert_eq!(admission.allows(0, at(0)), Ok(()));
        assert_eq!(admission.allows(1, at(0)), Err(Hold { reason: LOAD_REASON, look_again: at(1000) }));
        admission.readings.load = Some(3.9);
        assert!(admission.allows(1, at(249)).is_err(), "a reading serves for a while");
        assert_eq!(admission.allows(1, at(250)), Ok(()));
    }

    #[test]
    fn jobs_begun_since_the_reading_count_as_load() {
        let mut admission = admission(Some(4.0), None);
        admission.readings.load = Some(1.0);
        for running in 1..=3 {
            assert_eq!(admission.allows(running, at(0)), Ok(()));
        }
        assert!(admission.allows(4, at(100)).is_err());
        // One that takes the place of another changes nothing.
        assert_eq!(admission.allows(3, at(200)), Ok(()));
        assert_eq!(admission.readings.times, 1);
        // They sleep.
        assert_eq!(admission.allows(4, at(300)), Ok(()));
        assert_eq!(admission.readings.times, 2);
    }

    #[test]
    fn a_load_that_is_low_for_a_moment_lets_no_crowd_in() {
        let mut admission = admission(Some(4.0), None);
        admission.readings.load = Some(16.0);
        assert!(admission.allows(1, at(0)).is_err());
        admission.readings.load = Some(0.0);
        assert!(admission.allows(1, at(1000)).is_err());
        assert!(admission.allows(1, at(2000)).is_err());
        assert_eq!(admission.allows(1, at(3000)), Ok(()));
        admission.readings.load = Some(16.0);
        assert!(admission.allows(1, at(3300)).is_err(), "one that rose is believed at once");
    }

    #[test]
    fn little_memory_holds_new_jobs_but_never_the_only_one() {
        let mut admission = admission(None, Some(80));
        assert_eq!(admission.allows(1, at(0)), Ok(()));
        admission.readings.memory = Some(79);
        assert_eq!(admission.allows(2, at(300)), Err(Hold { reason: MEMORY_REASON, look_again: at(1300) }));
        assert_eq!(admission.allows(0, at(300)), Ok(()));
        admission.readings.memory = Some(80);
        assert_eq!(admission.allows(2, at(1300)), Ok(()));
    }

    #[test]
    fn a_job_is_held_where_it_would_find_too_few_processes() {
        let told = |processes| Told { processes: Some(processes), ..Told::default() };
        let workers = Workers { slots: 10, max_load: None, min_free_memory: None };
        let mut far = Admission::of(workers, told(40)).unwrap();
        assert_eq!(far.allows(9, at(0)), Ok(()));
        let mut near = Admission::of(workers, told(16)).unwrap();
        for running in 0..3 {
            assert_eq!(near.allows(running, at(0)), Ok(()));
        }
        assert_eq!(near.allows(3, at(100)), Err(Hold { reason: PROCESS_REASON, look_again: at(350) }));
        // They take fewer than they might, as several readings show.
        near.readings.processes = Some(30);
        for reading in 1..4 {
            assert!(near.allows(3, at(300 * reading)).is_err(), "reading {reading}");
        }
        assert_eq!(near.allows(3, at(1_200)), Ok(()));
        assert_eq!(near.allows(4, at(1_200)), Ok(()));
        assert!(near.allows(5, at(1_200)).is_err());
        // One that takes many at times may do so again.
        near.readings.processes = Some(0);
        assert!(near.allows(5, at(1_500)).is_err());
        assert!(near.allows(4, at(1_500)).is_err());
        assert_eq!(near.allows(3, at(1_500)), Ok(()));
        assert_eq!(near.allows(0, at(1_500)), Ok(()), "never the only one");
    }

    #[test]
    fn a_limit_that_cannot_be_watched_is_an_error() {
        let refused = |max_load, min_free_memory| {
            let workers = Workers { slots: 1, max_load, min_free_memory };
            Admission::of(workers, Told::default()).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(refused(None, None), Ok(()));
        assert_eq!(refused(Some(1.0), None), Err("the load of this machine cannot be read".to_owned()));
        assert_eq!(refused(None, Some(1)), Err("the available memory of this machine cannot be read".to_owned()));
    }
}
