//! How fast a transfer is, and how long to wait between attempts: of the operation itself, or as the server says.

use std::time::Duration;

use ureq::http::header::{self, HeaderMap};

use super::seconds_since_epoch;
use crate::time::clock::{Moment, unix_time};

/// The speed is that of a window of this length.
const WINDOW: Duration = Duration::from_secs(1);
/// No pause between two attempts is longer, unless the server asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Nobody is waited for longer, whatever the server says.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Measures bytes per second.
#[derive(Debug, Default)]
pub(in crate::ops) struct Speed {
    since: Moment,
    bytes: u64,
    per_second: Option<f64>,
}

impl Speed {
    /// So many bytes came since the last call.
    pub(in crate::ops) fn add(&mut self, bytes: u64, now: Moment) {
        self.bytes += bytes;
        let elapsed = now - self.since;
        if elapsed >= WINDOW {
            self.per_second = Some(self.bytes as f64 / elapsed.as_secs_f64());
            (self.since, self.bytes) = (now, 0);
        }
    }

    /// Such as `3.2 MiB of 10.0 MiB, 1.1 MiB/s`.
    pub(in crate::ops) fn status(&self, bytes: u64, whole: Option<u64>) -> String {
        let mut text = size(bytes as f64);
        if let Some(whole) = whole {
            text.push_str(&format!(" of {}", size(whole as f64)));
        }
        if let Some(speed) = self.per_second {
            text.push_str(&format!(", {}/s", size(speed)));
        }
        text
    }
}

fn size(bytes: f64) -> String {
    let (mut value, mut unit) = (bytes, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{value:.0} B") } else { format!("{value:.1} {unit}") }
}

/// The pause before the retry of this number, counted from 1: twice the one before, and by chance up to half less, so
/// that many clients do not come back at once. `chance` is any number.
pub(in crate::ops) fn pause(base: Duration, retry: u32, chance: u32) -> Duration {
    let doubled = base.saturating_mul(1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX));
    let whole = doubled.min(LONGEST_PAUSE.max(base));
    whole.mul_f64(0.5 + 0.5 * f64::from(chance) / f64::from(u32::MAX))
}

/// How long the server asks to be left alone: RFC 9110, section 10.2.3.
pub(in crate::ops) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    wait(text.trim(), unix_time().as_secs())
}

/// Reads seconds, or a date, of which the rest from `now` on is meant.
fn wait(text: &str, now: u64) -> Option<Duration> {
    let seconds = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().unwrap_or(u64::MAX)
    } else {
        seconds_since_epoch(text)?.saturating_sub(now)
    };
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Speed, pause, wait};
    use crate::time::clock::Moment;

    #[test]
    fn the_status_is_in_units_that_people_read() {
        let mut speed = Speed::default();
        assert_eq!(speed.status(512, None), "512 B");
        speed.add(2 * 1_153_434, Moment::at(Duration::from_secs(2)));
        assert_eq!(speed.status(3_355_443, Some(10 << 20)), "3.2 MiB of 10.0 MiB, 1.1 MiB/s");
    }

    #[test]
    fn the_server_says_when_to_come_back_in_seconds_or_as_a_date() {
        assert_eq!(wait("120", 0), Some(Duration::from_secs(120)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_770), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_790), Some(Duration::ZERO));
        assert_eq!(wait("99999999999999999999999", 0), Some(Duration::from_secs(86_400)));
        assert_eq!(wait("later", 0), None);
    }

    #[test]
    fn pauses_grow_up_to_a_limit_and_vary() {
        let base = Duration::from_millis(500);
        assert_eq!(pause(base, 1, u32::MAX), base);
        assert_eq!(pause(base, 1, 0), base / 2);
        assert_eq!(pause(base, 3, u32::MAX), base * 4);
        for retry in [8, 33, u32::MAX] {
            assert_eq!(pause(base, retry, u32::MAX), Duration::from_secs(30));
        }
        assert_eq!(pause(Duration::ZERO, 9, 7), Duration::ZERO);
        assert_eq!(pause(Duration::from_secs(60), 4, u32::MAX), Duration::from_secs(60));
    }
}
