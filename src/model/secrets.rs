//! The values that no record and no log may show, and how a text is cleared of them.
//!
//! Each byte of such a value becomes `*`, so that lengths, counts and positions stay right. What of a record is text is
//! said in [`masking`](super::masking); streams are masked as they come, by `capture`.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::job::Surroundings;
use crate::model::matcher::{Matcher, Place, cover};

/// What stands for each byte of a secret.
pub const MASK: u8 = b'*';
/// A log shows a secret of several lines one at a time. Lines that are shorter tell too little, and stand everywhere.
const SHORTEST_LINE: usize = 4;
/// How a text ends that was cut.
const ELLIPSIS: &str = "...";

/// Values that are masked. Cheap to clone; none cost nothing.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Option<Arc<Matcher>>);

impl Secrets {
    /// Masks these values: whole, without the newlines at their end, line by line, and as JSON spells them. Empty ones
    /// are not masked.
    pub fn new<V: AsRef<OsStr>>(values: impl IntoIterator<Item = V>) -> Self {
        let mut patterns = Vec::new();
        for value in values {
            add_forms(value.as_ref(), &mut patterns);
        }
        if patterns.is_empty() {
            return Self::default();
        }
        Self(Matcher::new(patterns).map(Arc::new))
    }

    /// Those of a job.
    pub fn of(surroundings: &Surroundings) -> Self {
        Self::new(surroundings.secrets.iter().map(|(_, value)| value))
    }

    /// Nothing is masked.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// None of them is in this text.
    pub fn is_free(&self, text: &str) -> bool {
        self.masked(text.as_bytes()).is_none()
    }

    /// What finds them in a stream; none where there are none.
    pub fn matcher(&self) -> Option<&Arc<Matcher>> {
        self.0.as_ref()
    }

    /// The text without the secrets. Where a character is broken by that, since a secret is no valid text, the
    /// replacement character stands for what is left of it.
    pub fn mask_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.masked(text.as_bytes()) {
            Some(masked) => Cow::Owned(into_text(masked)),
            None => Cow::Borrowed(text),
        }
    }

    /// The same for a text that was cut where dots stand, and at its end where `is_cut` says so: what stands before may be
    /// the beginning of a secret, and is masked as such.
    pub fn mask_cut(&self, text: &mut String, is_cut: bool) {
        let Some(matcher) = &self.0 else { return };
        let mut masked = self.masked(text.as_bytes()).unwrap_or_else(|| text.clone().into_bytes());
        let dots = text.match_indices(ELLIPSIS).map(|(at, _)| at);
        for end in dots.chain(is_cut.then_some(text.len())) {
            let mut place = Place::default();
            matcher.find(&mut place, &text.as_bytes()[..end], 0, &mut Vec::new());
            masked[end - matcher.open(place)..end].fill(MASK);
        }
        *text = into_text(masked);
    }

    /// The words of a command without the secrets.
    pub fn mask_words<'a>(&self, words: &'a [OsString]) -> Cow<'a, [OsString]> {
        if self.is_empty() {
            return Cow::Borrowed(words);
        }
        let masked = |word: &OsString| self.masked(word.as_bytes()).map_or(word.clone(), OsString::from_vec);
        Cow::Owned(words.iter().map(masked).collect())
    }

    /// Masks a text in its place.
    pub fn mask(&self, text: &mut String) {
        if let Some(masked) = self.masked(text.as_bytes()) {
            *text = into_text(masked);
        }
    }

    /// Masks every text in a value, names of fields too. A number or truth value that spells a secret becomes a text.
    pub fn mask_value(&self, value: &mut Value) {
        if self.is_empty() {
            return;
        }
        match value {
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => {
                let masked = self.masked(value.to_string().as_bytes());
                if let Some(masked) = masked.filter(|masked| masked.iter().all(|byte| *byte == MASK)) {
                    *value = Value::String(into_text(masked));
                }
            }
            Value::String(text) => self.mask(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.mask_value(value)),
            Value::Object(fields) => {
                let masked = |(mut name, mut value): (String, Value)| {
                    self.mask(&mut name);
                    self.mask_value(&mut value);
                    (name, value)
                };
                *fields = std::mem::take(fields).into_iter().map(masked).collect::<Map<_, _>>();
            }
        }
    }

    /// The bytes without the secrets; none where there is nothing to mask.
    fn masked(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut found = Vec::new();
        self.0.as_ref()?.find(&mut Place::default(), bytes, 0, &mut found);
        if found.is_empty() {
            return None;
        }
        let mut masked = bytes.to_vec();
        cover(&mut masked, &found, MASK);
        Some(masked)
    }
}

/// The forms in which a value may be seen.
fn add_forms(value: &OsStr, patterns: &mut Vec<Vec<u8>>) {
    let bytes = value.as_bytes();
    let trimmed = without_newlines(bytes);
    for form in [bytes, trimmed] {
        patterns.push(form.to_vec());
        if form.contains(&b'\n') {
            // As a terminal writes it.
            patterns.push(form.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]));
        }
    }
    if trimmed.contains(&b'\n') {
        let lines = trimmed.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        patterns.extend(lines.filter(|line| line.len() >= SHORTEST_LINE).map(<[u8]>::to_vec));
    }
    let text = String::from_utf8_lossy(trimmed);
    if let Cow::Owned(lossy) = &text {
        // As answers show what is no valid text. Replacement characters alone are no secret.
        if lossy.chars().any(|letter| letter != char::REPLACEMENT_CHARACTER) {
            patterns.push(lossy.clone().into_bytes());
        }
    }
    let json = Value::String(text.into_owned()).to_string();
    patterns.push(json.as_bytes()[1..json.len() - 1].to_vec());
}

/// Without the newlines that a file has at its end. Newlines alone are taken as they are.
fn without_newlines(bytes: &[u8]) -> &[u8] {
    let last = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    last.map_or(bytes, |last| &bytes[..=last])
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use serde_json::json;

    use super::Secrets;

    fn secrets(values: &[&str]) -> Secrets {
        Secrets::new(values)
    }

    #[test]
    fn a_text_keeps_its_length_and_all_but_the_secrets() {
        let secrets = secrets(&["hunter2", "", "tür"]);
        assert_eq!(secrets.mask_text("user:hunter2@host"), "user:*******@host");
        assert_eq!(secrets.mask_text("die türe"), "die ****e");
        assert_eq!(secrets.mask_text("hunter 2"), "hunter 2");
        assert!(Secrets::new([""; 2]).is_empty() && Secrets::default().is_empty() && !secrets.is_empty());
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_whole_and_line_by_line() {
        let secrets = secrets(&["-----BEGIN\nabc\nkeykey\r\nlast\n"]);
        assert_eq!(secrets.mask_text("x -----BEGIN\nabc\nkeykey\r\nlast\ny"), format!("x {}y", "*".repeat(28)));
        assert_eq!(secrets.mask_text("-----BEGIN, abc, keykey, last"), "**********, abc, ******, ****");
        assert_eq!(secrets.mask_text("-----BEGIN\r\nabc\r\nkeykey"), "**********\r\nabc\r\n******");
    }

    #[test]
    fn a_newline_at_the_end_of_a_secret_need_not_be_there() {
        assert_eq!(secrets(&["abc\n"]).mask_text("abc\n abc"), "**** ***");
        assert_eq!(secrets(&["a\nb\n"]).mask_text("a\r\nb"), "****");
    }

    #[test]
    fn a_secret_is_known_in_the_spelling_of_json() {
        let secret = "say \"hi\\there\"";
        let json = json!({ "k": secret }).to_string();
        assert_eq!(secrets(&[secret]).mask_text(&json), format!("{{\"k\":\"{}\"}}", "*".repeat(17)));
    }

    #[test]
    fn bytes_that_are_no_text_are_masked_as_they_are_shown() {
        let secret = OsString::from_vec(b"a\xffb".to_vec());
        let secrets = Secrets::new([&secret]);
        assert_eq!(secrets.mask_text("a\u{fffd}b"), "*****");
        assert_eq!(secrets.mask_words(&[secret, "ls".into()]).as_ref(), ["***", "ls"]);
        // Half of a character is not let through, and never makes an invalid text.
        let half = Secrets::new([OsString::from_vec(b"\xbc".to_vec())]);
        assert_eq!(half.mask_text("t\u{fc}r"), "t\u{fffd}*r");
    }

    #[test]
    fn a_text_that_was_cut_may_end_amid_a_secret() {
        let secrets = secrets(&["secret"]);
        let masked = |secrets: &Secrets, text: &str, is_cut| {
            let mut text = text.to_owned();
            secrets.mask_cut(&mut text, is_cut);
            text
        };
        assert_eq!(masked(&secrets, "tool --key=sec...", false), "tool --key=***...");
        assert_eq!(masked(&secrets, "'secre...' is no key", false), "'*****...' is no key");
        assert_eq!(masked(&secrets, "tool --key=sec", false), "tool --key=sec");
        assert_eq!(masked(&secrets, "tool --key=sec", true), "tool --key=***");
        assert_eq!(masked(&secrets, "secret x...", true), "****** x...");
        assert_eq!(masked(&Secrets::new(["a..."]), "b a...", false), "b ****");
    }

    #[test]
    fn values_are_masked_with_their_names_and_keep_their_order() {
        let secrets = secrets(&["4711", "true", "key"]);
        let mut value = json!({"z": ["key", 4711, 47110, true, false, null], "a key": {"b": "x 4711"}, "n": 1.5});
        secrets.mask_value(&mut value);
        let expected = json!({"z": ["***", "****", 47110, "****", false, null], "a ***": {"b": "x ****"}, "n": 1.5});
        assert_eq!(value.to_string(), expected.to_string());
    }

    #[test]
    fn nothing_shows_the_values_themselves() {
        assert!(!format!("{:?}", secrets(&["hunter2"])).contains("hunter2"));
    }
}
