//! The durations of timeout(1), GNU coreutils 9: a floating-point number as strtod(3) reads it, and one suffix.
//!
//! Called for `runner timeout` alone; every other duration has the syntax of `duration`. The number is computed as
//! coreutils computes it, in double precision, so that the same text gives the same nanoseconds.

use std::time::Duration;

use crate::time::duration::LONGEST;

/// A duration as timeout(1) takes it. None: zero was given, which switches the limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GnuDuration(pub Option<Duration>);

/// The text was no interval of timeout(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid time interval")]
pub struct InvalidInterval;

impl From<GnuDuration> for Option<Duration> {
    fn from(duration: GnuDuration) -> Self {
        duration.0
    }
}

/// Reads what strtod(3) reads in the C locale, with `s`, `m`, `h`, `d` or nothing behind it.
pub fn parse(text: &str) -> Result<GnuDuration, InvalidInterval> {
    let (number, suffix) = strtod(text).ok_or(InvalidInterval)?;
    let factor = match suffix {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(InvalidInterval),
    };
    // The comparison is false for a NaN too. Minus zero passes, as in coreutils.
    if number.value.is_nan() || number.value < 0.0 {
        return Err(InvalidInterval);
    }
    Ok(GnuDuration(match number.value {
        0.0 if number.underflowed => Some(Duration::from_nanos(1)),
        0.0 => None,
        value => Some(round_up(value * factor)),
    }))
}

/// A number of seconds above zero in whole nanoseconds, rounded up, and clamped to what can be counted.
fn round_up(seconds: f64) -> Duration {
    if seconds >= LONGEST.as_secs_f64() {
        return LONGEST;
    }
    // The cast truncates, as the C conversion does.
    let whole = seconds as u64;
    let nanos = ((seconds - whole as f64) * 1e9).ceil() as u64;
    Duration::from_secs(whole) + Duration::from_nanos(nanos)
}

/// What strtod(3) made of a text.
#[derive(Clone, Copy)]
struct Number {
    value: f64,
    /// The text was not zero, and the value is.
    underflowed: bool,
}

/// The longest number at the start of `text`, and what follows it. None: there is no number.
fn strtod(text: &str) -> Option<(Number, &str)> {
    // These are the spaces of isspace(3) in the C locale.
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mut number, rest) = infinity(text).or_else(|| hexadecimal(text)).or_else(|| decimal(text))?;
    if negative {
        number.value = -number.value;
    }
    Some((number, rest))
}

fn infinity(text: &str) -> Option<(Number, &str)> {
    ["infinity", "inf"].iter().find_map(|word| {
        let found = text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        found.then(|| (Number { value: f64::INFINITY, underflowed: false }, &text[word.len()..]))
    })
}

fn decimal(text: &str) -> Option<(Number, &str)> {
    let mantissa = mantissa_len(text, |byte| byte.is_ascii_digit())?;
    let end = mantissa + exponent(&text[mantissa..], b'e').map_or(0, |(_, len)| len);
    // The standard library rounds correctly and saturates, whatever the exponent.
    let value: f64 = text[..end].parse().ok()?;
    let zero = !text[..mantissa].bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    Some((Number { value, underflowed: value == 0.0 && !zero }, &text[end..]))
}

fn hexadecimal(text: &str) -> Option<(Number, &str)> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let mantissa = mantissa_len(digits, |byte| byte.is_ascii_hexdigit())?;
    let (power, exponent_len) = exponent(&digits[mantissa..], b'p').unwrap_or((0, 0));
    // Sixteen digits fill the integer; one bit stands for whatever is not zero beyond them, which is all that rounding
    // needs to know.
    let (mut bits, mut scale, mut after_point) = (0_u64, 0_i64, false);
    for byte in digits[..mantissa].bytes() {
        let Some(digit) = char::from(byte).to_digit(16) else {
            after_point = true;
            continue;
        };
        if bits >> 60 == 0 {
            bits = bits << 4 | u64::from(digit);
            scale -= if after_point { 4 } else { 0 };
        } else {
            bits |= u64::from(digit != 0);
            scale += if after_point { 0 } else { 4 };
        }
    }
    let value = times_power_of_two(bits, power.saturating_add(scale));
    Some((Number { value, underflowed: value == 0.0 && bits != 0 }, &digits[mantissa + exponent_len..]))
}

/// `bits` times two to the `power`, without an intermediate overflow.
fn times_power_of_two(bits: u64, power: i64) -> f64 {
    // Beyond these bounds every value is infinite or zero already.
    let mut power = power.clamp(-4_000, 4_000);
    let mut value = bits as f64;
    while power != 0 && value != 0.0 && value.is_finite() {
        let step = power.clamp(-1_000, 1_000);
        value *= 2_f64.powi(step as i32);
        power -= step;
    }
    value
}

/// Length of digits with at most one point. None where no digit is among them.
fn mantissa_len(text: &str, is_digit: impl Fn(u8) -> bool) -> Option<usize> {
    let (mut len, mut digits, mut point) = (0, 0, false);
    for byte in text.bytes() {
        match byte {
            b'.' if !point => point = true,
            byte if is_digit(byte) => digits += 1,
            _ => break,
        }
        len += 1;
    }
    (digits > 0).then_some(len)
}

/// The exponent at the start of `text` and its length. None where `mark` has no digit behind it: then it is no part of
/// the number.
fn exponent(text: &str, mark: u8) -> Option<(i64, usize)> {
    let bytes = text.as_bytes();
    if bytes.first()?.to_ascii_lowercase() != mark {
        return None;
    }
    let signed = matches!(bytes.get(1), Some(b'+' | b'-'));
    let start = 1 + usize::from(signed);
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let size = bytes[start..start + digits]
        .iter()
        .fold(0_i64, |size, byte| size.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    Some((if bytes[1] == b'-' { -size } else { size }, start + digits))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{GnuDuration, InvalidInterval, parse};
    use crate::time::duration::LONGEST;

    fn nanos(nanos: u64) -> Result<GnuDuration, InvalidInterval> {
        Ok(GnuDuration(Some(Duration::from_nanos(nanos))))
    }

    #[test]
    fn decimal_numbers_and_suffixes_are_read() {
        for (text, expected) in [
            ("1", 1_000_000_000),
            ("+1", 1_000_000_000),
            ("  1", 1_000_000_000),
            ("\t\n1", 1_000_000_000),
            ("0.1", 100_000_000),
            (".5", 500_000_000),
            ("1.", 1_000_000_000),
            ("1.s", 1_000_000_000),
            ("1e3", 1_000_000_000_000),
            ("1E-3", 1_000_000),
            ("1e+1s", 10_000_000_000),
            ("2s", 2_000_000_000),
            ("2m", 120_000_000_000),
            ("2h", 7_200_000_000_000),
            ("2d", 172_800_000_000_000),
            ("1.5m", 90_000_000_000),
            ("0.0000000001", 1),
            ("1e-9", 1),
            ("1.1e-9", 2),
        ] {
            assert_eq!(parse(text), nanos(expected), "{text:?}");
        }
    }

    #[test]
    fn hexadecimal_numbers_are_read() {
        for (text, expected) in [
            ("0x1F", 31_000_000_000),
            ("0X1f", 31_000_000_000),
            ("0x1p3", 8_000_000_000),
            ("0x1P-1", 500_000_000),
            ("0x.8", 500_000_000),
            ("0x1.8p1", 3_000_000_000),
            ("0x1p3s", 8_000_000_000),
            ("0x1p1m", 120_000_000_000),
            ("0x1d", 29_000_000_000),
            ("0x1e1", 481_000_000_000),
            ("0x00000000000000000000000000000001", 1_000_000_000),
            ("0x1.00000000000000000000000000000000", 1_000_000_000),
            ("0x100000000000000000p-68", 1_000_000_000),
        ] {
            assert_eq!(parse(text), nanos(expected), "{text:?}");
        }
    }

    #[test]
    fn zero_switches_off() {
        for text in ["0", "0s", "0.0", "0e5", "0x0", "0x0p9", "-0", "-0.0d", "0e99999999999999999999", "00"] {
            assert_eq!(parse(text), Ok(GnuDuration(None)), "{text:?}");
        }
    }

    #[test]
    fn a_number_that_underflows_is_one_nanosecond() {
        for text in ["1e-400", "1e-400d", "1e-99999999999999999999", "0x1p-9999", "0x1p-99999999999999999999", "4e-324"]
        {
            assert_eq!(parse(text), nanos(1), "{text:?}");
        }
    }

    #[test]
    fn huge_numbers_are_clamped() {
        for text in
            ["inf", "INF", "+inf", "infinity", "InfinityS".to_lowercase().as_str(), "infd", "1e400", "9e999d", "1e300"]
        {
            assert_eq!(parse(text), Ok(GnuDuration(Some(LONGEST))), "{text:?}");
        }
        for text in ["0x1p99999999999999999999", "1e99999999999999999999", "99999999999999999999999", "106752d"] {
            assert_eq!(parse(text), Ok(GnuDuration(Some(LONGEST))), "{text:?}");
        }
    }

    #[test]
    fn the_rest_is_invalid() {
        for text in [
            "", " ", "+", "-", ".", "x", "s", "sec", "-1", "-1e400", "-inf", "nan", "-nan", "NaN", "nan(1)", "5x",
            "1ss", "1S", "1 ", "1 s", "1e", "1em", "1e+", "1e+s", "1,5", "1_0", "0x", "0xg", "0x.", "0x.p1", "0x1p",
            "0x1p+", "0x1ps", "infi", "infinit", "1us", "1ms", "++1", "+-1", "1m30s", "٣",
        ] {
            assert_eq!(parse(text), Err(InvalidInterval), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn hexadecimal_integers_agree_with_decimal_ones(number in 1_u32..) {
            prop_assert_eq!(parse(&format!("{number:#x}")), parse(&format!("{number}")));
        }

        #[test]
        fn nothing_is_rounded_down(value in any::<f32>()) {
            let value = f64::from(value.abs());
            if value > 0.0 && value < 1e9 {
                let parsed = parse(&format!("{value:e}")).expect("a number").0.expect("above zero");
                assert!(parsed.as_secs_f64() >= value * (1.0 - f64::EPSILON), "{value} gave {parsed:?}");
            }
        }
    }
}
