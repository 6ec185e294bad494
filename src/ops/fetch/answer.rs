//! What the headers of an answer mean for a download: which part it is, whether it is still the same file, when to try
//! again. RFC 9110, sections 8.8, 10.2.3 and 14.

use std::time::Duration;

use ureq::http::header::{self, HeaderMap, HeaderName};

use crate::ops::http::retry_after;

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
            retry_after: retry_after(headers),
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

#[cfg(test)]
mod tests {
    use ureq::http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Facts, Part, part};

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
}
