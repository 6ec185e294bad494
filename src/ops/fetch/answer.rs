//! What the headers of an answer mean for a download: which part it is, whether it is still the same file, when to try
//! again. RFC 9110, sections 8.8, 10.2.3 and 14.

use std::time::Duration;

use ureq::http::StatusCode;
use ureq::http::header::{self, HeaderMap, HeaderName};

use crate::model::envelope::ErrorCode;
use crate::ops::http::seconds_since_epoch;
use crate::time::clock::unix_time;

/// Nobody is waited for longer, whatever the server says.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The part that an answer brings: its first byte, its last, and the length of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) whole: Option<u64>,
}

/// The answer's headers, as far as they matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    /// What may stand in If-Range: by it the server tells whether the file is still the same.
    pub(super) validator: Option<String>,
    pub(super) length: Option<u64>,
    pub(super) part: Option<Part>,
    pub(super) retry_after: Option<Duration>,
}

impl Facts {
    pub(super) fn of(status: u16, headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let etag = text(header::ETAG);
        // A file that was modified in the second of the answer may be modified again in it.
        let modified = text(header::LAST_MODIFIED).filter(|date| text(header::DATE) != Some(date));
        let strong = etag.filter(|etag| etag.starts_with('"'));
        let is_chunked = headers.contains_key(header::TRANSFER_ENCODING);
        Self {
            status,
            etag: etag.map(str::to_owned),
            validator: if etag.is_some() { strong } else { modified }.map(str::to_owned),
            length: text(header::CONTENT_LENGTH).filter(|_| !is_chunked).and_then(|length| length.parse().ok()),
            part: text(header::CONTENT_RANGE).and_then(part),
            retry_after: text(header::RETRY_AFTER).and_then(|text| wait(text, unix_time().as_secs())),
        }
    }

    /// The status in words.
    pub(super) fn status_text(&self) -> String {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        match reason {
            Some(reason) => format!("HTTP status {} ({reason})", self.status),
            None => format!("HTTP status {}", self.status),
        }
    }

    /// What a status that brings no file amounts to, and whether another attempt may do better.
    pub(super) fn refusal(&self) -> (ErrorCode, bool) {
        match self.status {
            404 | 410 => (ErrorCode::NotFound, false),
            401 | 403 | 407 => (ErrorCode::AuthorizationDenied, false),
            408 | 429 | 500..=599 => (ErrorCode::ServiceUnavailable, true),
            _ => (ErrorCode::DependencyError, false),
        }
    }
}

/// Reads `bytes 100-199/200` or `bytes 100-199/*`.
fn part(text: &str) -> Option<Part> {
    let (range, whole) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let whole = if whole == "*" { None } else { Some(whole.parse().ok()?) };
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && whole.is_none_or(|whole| last < whole)).then_some(Part { first, last, whole })
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

    use ureq::http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Facts, Part, part, wait};

    fn facts(headers: &[(&'static str, &'static str)]) -> Facts {
        let pairs =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Facts::of(200, &pairs.collect::<HeaderMap>())
    }

    #[test]
    fn a_part_says_where_it_belongs() {
        assert_eq!(part("bytes 5-9/10"), Some(Part { first: 5, last: 9, whole: Some(10) }));
        assert_eq!(part("bytes 5-9/*"), Some(Part { first: 5, last: 9, whole: None }));
        for text in ["", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "items 5-9/10", "bytes 5-9"] {
            assert_eq!(part(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_changes_with_the_file_tells_whether_it_has_changed() {
        let validator = |headers: &[_]| facts(headers).validator;
        assert_eq!(validator(&[("etag", "\"a\""), ("last-modified", "x")]), Some("\"a\"".to_owned()));
        assert_eq!(validator(&[("etag", "W/\"a\""), ("last-modified", "x")]), None);
        assert_eq!(validator(&[("last-modified", "x"), ("date", "y")]), Some("x".to_owned()));
        assert_eq!(validator(&[("last-modified", "x"), ("date", "x")]), None);
    }

    #[test]
    fn the_server_says_when_to_come_back_in_seconds_or_as_a_date() {
        assert_eq!(wait("120", 0), Some(Duration::from_secs(120)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_770), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_790), Some(Duration::ZERO));
        assert_eq!(wait("99999999999999999999999", 0), Some(Duration::from_secs(86_400)));
        assert_eq!(wait("later", 0), None);
    }
}
