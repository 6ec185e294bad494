//! Time: the clock that is passed in, the ordered set of deadlines, and the durations that people write.

pub mod clock;
pub mod deadlines;
pub mod duration;
pub mod gnu;
