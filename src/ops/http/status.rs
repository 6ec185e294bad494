//! What the status of an answer means for whoever asked: in words, and whether it is of any use to ask again.

use ureq::http::StatusCode;

use crate::model::envelope::ErrorCode;

/// The status in words.
pub(in crate::ops) fn status_text(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    match reason {
        Some(reason) => format!("HTTP status {status} ({reason})"),
        None => format!("HTTP status {status}"),
    }
}

/// What a status that is no success amounts to, and whether another attempt may do better.
pub(in crate::ops) fn refusal(status: u16) -> (ErrorCode, bool) {
    match status {
        404 | 410 => (ErrorCode::NotFound, false),
        401 | 403 | 407 => (ErrorCode::AuthorizationDenied, false),
        408 | 429 | 500..=599 => (ErrorCode::ServiceUnavailable, true),
        _ => (ErrorCode::DependencyError, false),
    }
}
