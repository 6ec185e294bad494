//! Points in time as people write them: `22:30`, `2026-03-29 02:30`, `2026-03-29T02:30:00+01:00`, `@1774747800`.
//!
//! Called for `--at`. Pure: what time it is, and how far the clocks of this place are from UTC, is passed in. A local time
//! that the clocks skip when they are set forward is taken as if they had not been, so that nothing comes early; of one
//! that they show twice the first is meant.

use std::time::Duration;

/// How far the clocks of a place are from UTC, in seconds to the east, at that second since the Unix epoch.
pub type Offsets<'a> = &'a dyn Fn(i64) -> i64;

const DAY: i64 = 86_400;
const NANOS_PER_SECOND: u32 = 1_000_000_000;
/// The last second of the year 9999: all that four digits can say.
const LAST: u64 = 253_402_300_799;
const SYNTAX: &str = "22:30, 2026-03-29 22:30, 2026-03-29T22:30:00Z or @ and the seconds since 1970; for so long from now there is --delay";

/// The text was no point in time, or not one to come. Its message says why, and after `: give` what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotATime {
    #[error("'{text}' {problem}: give {SYNTAX}")]
    Unreadable { text: String, problem: String },
    #[error("'{text}' is in the past: that was {at}, and now it is {now}: give a time to come")]
    Past { text: String, at: String, now: String },
}

/// A point in time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// Since the Unix epoch.
    Instant(Duration),
    /// The next time that clocks here show this, in seconds of a day.
    Clock(i64),
    /// When clocks here show this, in seconds since they would have shown the epoch.
    Local(i64),
}

/// Reads a point in time that is still to come: since the Unix epoch, as `now` is.
pub fn parse(text: &str, now: Duration, offsets: Offsets<'_>) -> Result<Duration, NotATime> {
    let written = read(text).map_err(|problem| NotATime::Unreadable { text: text.to_owned(), problem })?;
    let at = match written {
        Written::Instant(at) => at,
        Written::Clock(second) => return Ok(next(second, now, offsets)),
        // A time before the epoch is past in any case.
        Written::Local(local) => Duration::from_secs(u64::try_from(first(local, offsets)).unwrap_or_default()),
    };
    if at < now {
        let (at, now) = (shown(at, offsets), shown(now, offsets));
        return Err(NotATime::Past { text: text.to_owned(), at, now });
    }
    Ok(at)
}

/// A point in time as the clocks of the place show it, with their offset.
pub fn shown(at: Duration, offsets: Offsets<'_>) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX / 2);
    let offset = offsets(seconds);
    let local = seconds + offset;
    let (year, month, day) = date(local.div_euclid(DAY));
    let second = local.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} {sign}{:02}:{:02}",
        offset / 60,
        offset % 60
    )
}

/// The next time that the clocks show this second of a day.
fn next(second: i64, now: Duration, offsets: Offsets<'_>) -> Duration {
    let seconds = i64::try_from(now.as_secs()).unwrap_or_default();
    let today = (seconds + offsets(seconds)).div_euclid(DAY);
    // Where the clocks were set back over midnight, it may be a day that was begun before.
    let days = [today - 1, today, today + 1, today + 2];
    let times = days.into_iter().flat_map(|day| all(day * DAY + second, offsets));
    let times = times.filter_map(|time| u64::try_from(time).ok()).map(Duration::from_secs);
    times.filter(|time| *time > now).min().unwrap_or(now)
}

/// The first second at which the clocks show this.
fn first(local: i64, offsets: Offsets<'_>) -> i64 {
    all(local, offsets)[0]
}

/// The seconds at which the clocks show this, the first one first; the same twice where there is one only.
fn all(local: i64, offsets: Offsets<'_>) -> [i64; 2] {
    // No clock is more than a day away from UTC, and none is set twice within two days.
    let (before, after) = (local - offsets(local - DAY), local - offsets(local + DAY));
    let is_right = |time: &i64| time + offsets(*time) == local;
    match [before, after].map(|time| is_right(&time).then_some(time)) {
        [Some(one), Some(other)] => [one.min(other), one.max(other)],
        [None, Some(only)] => [only, only],
        // Skipped: as if the clocks had not been set yet.
        [Some(_) | None, None] => [before, before],
    }
}

/// What is written, or what is wrong with it.
fn read(text: &str) -> Result<Written, String> {
    if text.trim().is_empty() {
        return Err("is empty and not a time".to_owned());
    }
    if let Some(seconds) = text.strip_prefix('@') {
        let at = seconds_and_fraction(seconds).ok_or("is not a number of seconds since 1970")?;
        return if at.as_secs() > LAST {
            Err("is later than the year 9999".to_owned())
        } else {
            Ok(Written::Instant(at))
        };
    }
    let bytes = text.as_bytes();
    let has_date = bytes.len() > 4 && bytes[4] == b'-';
    if !has_date {
        let (second, nanos) = time_of_day(text)?;
        return match nanos {
            0 => Ok(Written::Clock(second)),
            _ => Err("is too fine: without a date, whole seconds are meant".to_owned()),
        };
    }
    // A cut at any of these bytes is one between characters.
    let Some(date_end) = text.find(['T', 't', ' ']) else {
        return Err("is a date without a time of the day".to_owned());
    };
    let day = day(&text[..date_end])?;
    let rest = &text[date_end + 1..];
    let zone_start = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = (rest[..zone_start].trim_end(), &rest[zone_start..]);
    let (second, nanos) = time_of_day(time)?;
    let local = day * DAY + second;
    if zone.is_empty() {
        return match nanos {
            0 => Ok(Written::Local(local)),
            _ => Err("is too fine: without a zone, whole seconds are meant".to_owned()),
        };
    }
    let seconds = u64::try_from(local - zone_offset(zone)?).map_err(|_| "is before 1970, and so in the past")?;
    Ok(Written::Instant(Duration::new(seconds, nanos)))
}

/// `YYYY-MM-DD`, as days since the epoch.
fn day(text: &str) -> Result<i64, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return Err("has no date of the form YYYY-MM-DD".to_owned()) };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return Err("has no date of the form YYYY-MM-DD".to_owned());
    };
    if !(1..=12).contains(&month) {
        return Err(format!("has no month of the year: {month:02}"));
    }
    if year < 1970 {
        return Err("is before 1970, and so in the past".to_owned());
    }
    let days = days_since_epoch(year, month, day);
    // The day after the last one of a month is in the next.
    if day == 0 || date(days) != (year, month, day) {
        return Err(format!("is on a day that month does not have: {day:02}"));
    }
    Ok(days)
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction`, as seconds of a day and nanoseconds.
fn time_of_day(text: &str) -> Result<(i64, u32), String> {
    const FORM: &str = "is not a time";
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, "00"),
        [hour, minute, second] => (hour, minute, second),
        _ => return Err(FORM.to_owned()),
    };
    let (second, nanos) = match second.split_once('.') {
        Some((second, fraction)) => (second, nanoseconds(fraction).ok_or(FORM)?),
        None => (second, 0),
    };
    let (Some(hour), Some(minute), Some(second)) = (number(hour, 2), number(minute, 2), number(second, 2)) else {
        return Err(format!("{FORM}; hours, minutes and seconds have two digits each"));
    };
    if hour > 23 || minute > 59 || second > 59 {
        return Err("is not a time of the day; the last is 23:59:59".to_owned());
    }
    Ok((hour * 3600 + minute * 60 + second, nanos))
}

/// `Z`, `+01:00` or `-0330`, as seconds to the east.
fn zone_offset(text: &str) -> Result<i64, String> {
    let wrong = || format!("has no zone that is known: '{text}' is neither Z nor like +01:00");
    if text.eq_ignore_ascii_case("z") {
        return Ok(0);
    }
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("+", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        _ => return Err(wrong()),
    };
    let (hours, minutes) = digits.split_once(':').or_else(|| digits.split_at_checked(2)).ok_or_else(wrong)?;
    match (number(hours, 2), number(minutes, 2)) {
        (Some(hours @ 0..24), Some(minutes @ 0..60)) => Ok(sign * (hours * 3600 + minutes * 60)),
        _ => Err(wrong()),
    }
}

fn seconds_and_fraction(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    Some(Duration::new(whole.parse().ok().filter(|_| digits)?, nanoseconds(fraction)?))
}

/// The digits behind a point; what is finer than a nanosecond is left out.
fn nanoseconds(digits: &str) -> Option<u32> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let tenths = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = tenths.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    (nanos < NANOS_PER_SECOND).then_some(nanos)
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| right)
}

/// Days from the epoch to a date of the Gregorian calendar. Years begin in March here, so that a leap day is the last of
/// its year; 400 years have always the same number of days.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day: the reverse.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{date, days_since_epoch, parse, shown};

    /// Thursday, 2026-03-26 20:00:00 UTC.
    const NOW: u64 = 1_774_555_200;
    const DAY: u64 = 86_400;

    fn utc(_: i64) -> i64 {
        0
    }

    /// Berlin around the two changes of 2026: forward on 29 March at 01:00 UTC, back on 25 October at 01:00 UTC.
    fn berlin(second: i64) -> i64 {
        if (1_774_746_000..1_792_890_000).contains(&second) { 7200 } else { 3600 }
    }

    fn at(text: &str, now: u64, offsets: fn(i64) -> i64) -> u64 {
        parse(text, Duration::from_secs(now), &offsets).unwrap_or_else(|error| panic!("{text}: {error}")).as_secs()
    }

    #[test]
    fn a_time_of_the_day_is_the_next_such_time() {
        assert_eq!(at("20:30", NOW, utc), NOW + 1800);
        assert_eq!(at("20:00:01", NOW, utc), NOW + 1);
        assert_eq!(at("20:00", NOW, utc), NOW + DAY, "now is not to come");
        assert_eq!(at("19:59", NOW, utc), NOW + DAY - 60);
        assert_eq!(at("00:00", NOW, utc), NOW + 4 * 3600);
        // It is 21:00 in Berlin.
        assert_eq!(at("21:30", NOW, berlin), NOW + 1800);
        assert_eq!(at("20:30", NOW, berlin), NOW + DAY - 1800);
    }

    #[test]
    fn a_date_is_local_unless_a_zone_is_named() {
        for (text, offset) in [
            ("2026-03-27 20:00", 0),
            ("2026-03-27T20:00:05", 5),
            ("2026-03-27t20:00", 0),
            ("2026-03-27T20:00:00Z", 0),
            ("2026-03-27 20:00:00z", 0),
            ("2026-03-27T20:00Z", 0),
            ("2026-03-27T20:00:00 Z", 0),
            ("2026-03-27T21:00:00+01:00", 0),
            ("2026-03-27T21:00:00+0100", 0),
            ("2026-03-27T16:30:00-03:30", 0),
        ] {
            assert_eq!(at(text, NOW, utc), NOW + DAY + offset, "{text}");
        }
        assert_eq!(at("2026-03-27 21:00", NOW, berlin), NOW + DAY);
        assert_eq!(at("2026-03-27T20:00:00Z", NOW, berlin), NOW + DAY);
        assert_eq!(at("2028-02-29 00:00", NOW, utc), 1_835_395_200);
        let fine = parse("2026-03-27T20:00:00.25Z", Duration::from_secs(NOW), &utc).expect("it is right");
        assert_eq!(fine, Duration::from_millis((NOW + DAY) * 1000 + 250));
    }

    #[test]
    fn seconds_since_the_epoch_are_taken_as_they_are() {
        assert_eq!(at(&format!("@{}", NOW + 1), NOW, berlin), NOW + 1);
        let fine = parse(&format!("@{NOW}.5"), Duration::from_secs(NOW), &utc).expect("it is right");
        assert_eq!(fine, Duration::from_millis(NOW * 1000 + 500));
    }

    #[test]
    fn a_skipped_time_is_as_if_clocks_were_not_set_and_of_two_the_first_is_meant() {
        // 02:30 does not exist on that day: clocks go from 02:00 to 03:00, and it is 03:30 then.
        assert_eq!(at("2026-03-29 02:30", NOW, berlin), 1_774_746_000 + 1800);
        assert_eq!(at("2026-03-29 03:30", NOW, berlin), 1_774_746_000 + 1800);
        assert_eq!(at("2026-03-29 01:59:59", NOW, berlin), 1_774_746_000 - 1);
        assert_eq!(at("02:30", 1_774_746_000 - 7200, berlin), 1_774_746_000 + 1800);
        // 02:30 comes twice: before and after 01:00 UTC.
        assert_eq!(at("2026-10-25 02:30", NOW, berlin), 1_792_890_000 - 1800);
        assert_eq!(at("02:30", 1_792_890_000 - 3600, berlin), 1_792_890_000 - 1800);
        assert_eq!(at("02:30", 1_792_890_000 - 1800, berlin), 1_792_890_000 + 1800, "the second is still to come");
        assert_eq!(at("2026-10-25 03:00", NOW, berlin), 1_792_890_000 + 3600);
    }

    #[test]
    fn a_time_in_the_past_is_named_beside_the_present() {
        for (text, offsets, was) in [
            ("2026-03-26 19:00", utc as fn(i64) -> i64, "2026-03-26 19:00:00 +00:00"),
            ("2026-03-26 20:59", berlin, "2026-03-26 20:59:00 +01:00"),
            ("2026-03-26T19:00:00-00:30", berlin, "2026-03-26 20:30:00 +01:00"),
            ("@5", utc, "1970-01-01 00:00:05 +00:00"),
        ] {
            let error = parse(text, Duration::from_secs(NOW), &offsets).expect_err(text).to_string();
            for part in [text, "in the past", was, &shown(Duration::from_secs(NOW), &offsets), ": give a time to come"]
            {
                assert!(error.contains(part), "{error} lacks {part}");
            }
        }
        assert_eq!(at("2026-03-26 20:00", NOW, utc), NOW, "this very second is not past");
        assert_eq!(shown(Duration::from_secs(NOW), &|_| -12_600), "2026-03-26 16:30:00 -03:30");
    }

    #[test]
    fn everything_else_is_refused_with_what_would_be_right() {
        for (text, problem) in [
            ("", "is empty"),
            ("soon", "is not a time"),
            ("5m", "is not a time"),
            ("24:00", "23:59:59"),
            ("12:60", "23:59:59"),
            ("12:00:60", "23:59:59"),
            ("9:30", "two digits"),
            ("12", "is not a time"),
            ("1:2:3:4", "is not a time"),
            ("12:00:00.5", "too fine"),
            ("2026-03-27", "without a time of the day"),
            ("2026-13-01 00:00", "no month"),
            ("2026-00-01 00:00", "no month"),
            ("2026-02-29 00:00", "a day that month does not have: 29"),
            ("2026-04-00 00:00", "a day that month does not have"),
            ("2026-3-1 00:00", "YYYY-MM-DD"),
            ("2026-03-01-02 00:00", "YYYY-MM-DD"),
            ("1969-12-31 00:00", "in the past"),
            ("1970-01-01T00:30:00+01:00", "in the past"),
            ("2026-03-27T12:00:00.Z", "is not a time"),
            ("2026-03-27T12:00:00.5", "too fine"),
            ("2026-03-27T12:00:00 CET", "is not a time"),
            ("2026-03-27T12:00:00+1", "'+1'"),
            ("2026-03-27T12:00:00+24:00", "'+24:00'"),
            ("2026-03-27T12:00:00Zulu", "'Zulu'"),
            ("2026-03-27T12:00:00+é", "'+é'"),
            ("@", "seconds since 1970"),
            ("@-1", "seconds since 1970"),
            ("@1e9", "seconds since 1970"),
            ("@99999999999999", "9999"),
            ("٢٠:٠٠", "two digits"),
        ] {
            let error = parse(text, Duration::from_secs(NOW), &utc).expect_err(text).to_string();
            assert!(error.contains(problem) && error.contains(": give 22:30"), "{text} gave {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text, Duration::from_secs(NOW), &utc);
        }

        #[test]
        fn no_odd_time_makes_it_panic(text in "[0-9@TZ:. +-]{0,30}") {
            let _ = parse(&text, Duration::from_secs(NOW), &berlin);
        }

        #[test]
        fn days_and_dates_are_the_reverse_of_each_other(days in -1_000_000_i64..3_000_000) {
            let (year, month, day) = date(days);
            prop_assert_eq!(days_since_epoch(year, month, day), days);
        }
    }
}
