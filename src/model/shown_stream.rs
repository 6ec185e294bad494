//! One stream of a job as it stands in an answer: its text, its bytes where they are no text, and a line for what is left
//! out.
//!
//! Pure; `answer` puts both streams into an envelope.

use base64::Engine;

use crate::model::answer::Extent;
use crate::model::outcome::StreamRecord;

/// One stream as it stands in an answer.
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) base64: Option<String>,
    pub(super) omitted: u64,
}

impl Shown {
    pub(super) fn of(record: &StreamRecord, extent: Extent) -> Self {
        let kept = record.head.len() + record.tail.len();
        let (head, tail, omitted) = match extent {
            Extent::Last(limit) if kept > limit => {
                let from_tail = record.tail.len().min(limit);
                let tail = &record.tail[record.tail.len() - from_tail..];
                // Only a stream of which nothing was omitted may have its last bytes in both parts.
                if record.omitted == 0 && from_tail < limit {
                    let from_head = limit - from_tail;
                    let mut joined = record.head[record.head.len() - from_head..].to_vec();
                    joined.extend_from_slice(tail);
                    return Self::cut(&[], &joined, record.total - limit as u64);
                }
                (&[][..], tail, record.total - from_tail as u64)
            }
            _ => (&record.head[..], &record.tail[..], record.omitted),
        };
        if omitted == 0 {
            let mut whole = head.to_vec();
            whole.extend_from_slice(tail);
            let base64 = std::str::from_utf8(&whole).is_err().then(|| encode(&whole));
            return Self { text: String::from_utf8_lossy(&whole).into_owned(), base64, omitted };
        }
        Self::cut(head, tail, omitted)
    }

    /// Head and tail with a marker line between them. A character that our own cut broke is left out on both sides.
    fn cut(head: &[u8], tail: &[u8], omitted: u64) -> Self {
        let whole_head = &head[..head.len() - broken_end(head)];
        let whole_tail = &tail[broken_start(tail)..];
        let kept = head.len() + tail.len();
        let (head, tail) = match (std::str::from_utf8(whole_head), std::str::from_utf8(whole_tail)) {
            (Ok(_), Ok(_)) => (whole_head, whole_tail),
            _ => (head, tail),
        };
        let omitted = omitted + (kept - head.len() - tail.len()) as u64;
        let mut exact = head.to_vec();
        exact.extend_from_slice(tail);
        let base64 = (std::str::from_utf8(head).is_err() || std::str::from_utf8(tail).is_err()).then(|| encode(&exact));
        let newline = if head.is_empty() || head.ends_with(b"\n") { "" } else { "\n" };
        let text = format!(
            "{}{newline}[... {omitted} bytes omitted ...]\n{}",
            String::from_utf8_lossy(head),
            String::from_utf8_lossy(tail)
        );
        Self { text, base64, omitted }
    }
}

/// How many bytes at the end begin a character that is not complete.
fn broken_end(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        _ => 0,
    }
}

/// How many bytes at the start continue a character that began earlier; at most three.
fn broken_start(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count()
}

fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
