//! The duration syntax of every option, variable and configuration key: `60`, `1.5`, `90s`, `500ms`, `1m30s`.
//!
//! Called by the command line and the configuration. It is exact: no floating point touches a value, and what is finer
//! than a nanosecond is rounded up, so that no deadline comes early. timeout(1) has a syntax of its own, see `gnu`.

use std::time::Duration;

/// The longest duration that is accepted; longer ones would overflow what the kernel's clocks count.
pub const LONGEST: Duration = Duration::from_nanos(i64::MAX as u64);

/// Units in the order in which they may follow each other, with their length in nanoseconds.
const UNITS: &[(&str, u128)] = &[
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", NANOS_PER_SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
];

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The text was no duration. Its message says why, and after `: give` what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' {problem}: give {remedy}")]
pub struct NotADuration {
    text: String,
    problem: String,
    remedy: &'static str,
}

/// What helps with nearly every wrong duration.
const SYNTAX: &str = "seconds such as 60 or 1.5, or units from large to small such as 90s, 500ms, 2m or 1h30m";
/// What helps with a zero where it would be mistaken for "no limit".
const OFF_IS_NONE: &str = "a duration above zero, or the word none for no limit";

/// Reads a duration. Zero is one.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    nanoseconds(text)
        .map_err(|problem| NotADuration { text: text.to_owned(), problem, remedy: SYNTAX })
        .map(|nanos| Duration::new((nanos / NANOS_PER_SECOND) as u64, (nanos % NANOS_PER_SECOND) as u32))
}

/// Reads the limit of a job: a duration above zero, or `none` for no limit.
pub fn parse_timeout(text: &str) -> Result<Option<Duration>, NotADuration> {
    if text == "none" {
        return Ok(None);
    }
    match parse(text)? {
        Duration::ZERO => Err(NotADuration {
            text: text.to_owned(),
            problem: "is no time at all; off is the word none".to_owned(),
            remedy: OFF_IS_NONE,
        }),
        duration => Ok(Some(duration)),
    }
}

/// The length of a duration, or what is wrong with its text.
fn nanoseconds(text: &str) -> Result<u128, String> {
    if text.trim().is_empty() {
        return Err("is empty and not a duration".to_owned());
    }
    if text.starts_with('-') && text[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err("is negative and not a duration".to_owned());
    }
    let mut total: u128 = 0;
    let mut rest = text;
    // Index into UNITS from which the next unit may come.
    let mut allowed = 0;
    let mut parts = 0;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, after) = split_where(after, |c| c.is_ascii_digit() || c == '.');
        if number.is_empty() {
            return Err("is not a duration".to_owned());
        }
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (number, None),
        };
        parts += 1;
        let single = parts == 1 && after.is_empty();
        let length = if unit.is_empty() {
            if !single {
                return Err("is not a duration, since its last number has no unit".to_owned());
            }
            NANOS_PER_SECOND
        } else {
            let position = UNITS.iter().position(|(name, _)| *name == unit);
            let Some(position) = position else {
                return Err(format!("is not a duration, since '{unit}' is not a unit"));
            };
            if position < allowed {
                return Err("is not a duration, since its units do not go from large to small".to_owned());
            }
            allowed = position + 1;
            UNITS[position].1
        };
        if fraction.is_some() && !single {
            return Err("is not a duration, since a fraction cannot stand beside a second unit".to_owned());
        }
        total = scaled(whole, fraction, length)?
            .checked_add(total)
            .filter(|total| *total <= LONGEST.as_nanos())
            .ok_or_else(too_long)?;
        rest = after;
    }
    Ok(total)
}

/// `whole.fraction` times `length`, rounded up to a nanosecond.
fn scaled(whole: &str, fraction: Option<&str>, length: u128) -> Result<u128, String> {
    let junk = || "is not a duration".to_owned();
    if whole.is_empty() && fraction.is_none_or(str::is_empty) {
        return Err(junk());
    }
    // The callers pass digits and points alone, so only size can fail here.
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| too_long())? };
    let mut nanos = u128::from(whole) * length;
    if let Some(fraction) = fraction {
        if fraction.is_empty() || fraction.contains('.') {
            return Err(junk());
        }
        // Eighteen digits are exact for the longest unit; a digit beyond them can only round up.
        let (kept, dropped) = fraction.split_at(fraction.len().min(18));
        let numerator: u128 = kept.parse::<u64>().map_err(|_| junk())?.into();
        let denominator = 10_u128.pow(kept.len() as u32);
        let product = numerator * length;
        let inexact = !product.is_multiple_of(denominator) || dropped.bytes().any(|digit| digit != b'0');
        nanos += product / denominator + u128::from(inexact);
    }
    Ok(nanos)
}

fn too_long() -> String {
    "is longer than runner can count".to_owned()
}

/// Splits before the first character that `ends` the part.
fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{parse, parse_timeout};

    #[test]
    fn every_form_that_is_promised_is_read() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("60", 60_000_000_000),
            ("1.5", 1_500_000_000),
            (".5", 500_000_000),
            ("0.1", 100_000_000),
            ("90s", 90_000_000_000),
            ("500ms", 500_000_000),
            ("7us", 7_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1d", 86_400_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1d2h3m4s5ms6us", 93_784_005_006_000),
            ("1.5h", 5_400_000_000_000),
            ("0.25d", 21_600_000_000_000),
            ("1.5ms", 1_500_000),
            ("007", 7_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_finer_than_a_nanosecond_is_rounded_up() {
        for (text, nanos) in [
            ("0.0000000001", 1),
            ("0.0000000011", 2),
            ("0.0000000010", 1),
            ("0.1us", 100),
            ("0.00001us", 1),
            ("0.0000000000000000000000000000000001", 1),
            ("0.0000000000000000000000000000000000", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_text_and_what_would_be_right() {
        for text in [
            "",
            " ",
            "-1",
            "-1s",
            "-",
            "+1",
            " 1",
            "1 ",
            "1 m",
            "5x",
            "x",
            "s",
            "nan",
            "NaN",
            "inf",
            "infinity",
            "1e3",
            "0x10",
            "1.",
            ".",
            "1..5",
            "1.5.5",
            "1.5h30m",
            "1h1.5m",
            "30s1m",
            "1s1s",
            "1ms1m",
            "1m30",
            "1H",
            "1M",
            "1min",
            "1,5",
            "1_000",
            "none",
            "99999999999999999999",
            "300000d",
            "1m\u{0663}s",
            "٣",
            "1µs",
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(&format!("'{text}'")) && error.contains(": give seconds such as 60"), "{error}");
        }
        assert!(parse("5x").expect_err("junk").to_string().contains("'x' is not a unit"));
        assert!(parse("-1").expect_err("negative").to_string().contains("negative"));
    }

    #[test]
    fn a_timeout_is_above_zero_or_the_word_none() {
        assert_eq!(parse_timeout("none"), Ok(None));
        assert_eq!(parse_timeout("2m"), Ok(Some(Duration::from_secs(120))));
        for text in ["0", "0s", "0ms", "0.0", "0h0m"] {
            let error = parse_timeout(text).expect_err(text).to_string();
            assert!(error.contains("the word none"), "{error}");
        }
        assert!(parse_timeout("None").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn seconds_and_milliseconds_add_up(seconds in 0_u32.., millis in 0_u32..1_000_000) {
            let expected = Duration::from_secs(seconds.into()) + Duration::from_millis(millis.into());
            prop_assert_eq!(parse(&format!("{seconds}s{millis}ms")), Ok(expected));
        }
    }
}
