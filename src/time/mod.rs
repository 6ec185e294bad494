//! Time: the clock that is passed in, the ordered set of deadlines, and the durations and times that people write.

pub mod calendar;
pub mod clock;
pub mod deadlines;
pub mod duration;
pub mod gnu;
