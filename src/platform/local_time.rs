//! How far the clocks of this place are from UTC, as TZ and the system's zones say.

/// Seconds to the east of UTC, at this second since the Unix epoch. Where the system cannot tell, it is UTC.
pub fn utc_offset(second: i64) -> i64 {
    // SAFETY: zeroes are a valid value of this plain structure: numbers, and a pointer that may be null.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to values of ours. The zone is read once, from the environment, and nothing changes that here.
    let known = unsafe { libc::localtime_r(&second, &mut local) };
    if known.is_null() { 0 } else { local.tm_gmtoff }
}
