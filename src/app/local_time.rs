//! Points in time by the clocks of this place, for the command line.

use std::time::Duration;

use crate::platform::local_time;
use crate::time::calendar::{self, NotATime};
use crate::time::clock::unix_time;

/// Reads a point in time that is still to come: since the Unix epoch.
pub fn parse(text: &str) -> Result<Duration, NotATime> {
    calendar::parse(text, unix_time(), &local_time::utc_offset)
}
