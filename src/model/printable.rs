//! Untrusted text made safe to print: no control characters, no line breaks, no bidirectional controls.
//!
//! Every human-readable renderer passes untrusted text through `clean`, for terminals and files alike. The output of
//! jobs passes unchanged. JSON is exact, except on a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// True for a control character (C0, DEL, C1), a line separator or a bidirectional control.
pub fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || letter == '\u{feff}'
}

/// Replaces each harmful character with a blank; the result is one line.
pub fn clean(text: &str) -> String {
    text.chars().map(|letter| if is_harmful(letter) { ' ' } else { letter }).collect()
}

/// The same for a text of several lines. All but the first start with `indent`, so that none looks like another
/// message.
pub fn clean_lines(text: &str, indent: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(clean).collect();
    lines.join(&format!("\n{indent}"))
}

/// Appends the text with each harmful character escaped, for a label or a column that has to stay exact.
pub fn push_escaped(line: &mut String, text: &str) {
    for letter in text.chars() {
        if is_harmful(letter) {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
}

/// A JSON document for a terminal: the same document, with harmful characters in its strings escaped.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // Outside of strings only our own line breaks occur; inside, serde_json escapes C0.
    let is_raw = |letter: char| is_harmful(letter) && letter != '\n';
    if !json.contains(is_raw) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if is_raw(letter) {
            // All of them are in the basic multilingual plane.
            let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
pub(crate) mod hostile {
    /// A text with every kind of harmful character, with colour sequences and a forged line of runner.
    pub(crate) const TEXT: &str = "a\x1b[2J\x1b]0;title\x07\x1b[31mred\u{9b}31m\u{9d}8;;x\u{9c}\x7f\r\nrunner: forged\tb\x08\0\
                                   \u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
                                   \u{2066}\u{2067}\u{2068}\u{2069}\u{feff}\u{85}z";

    /// Fails if a text contains a harmful character other than a line break, or a line forged by the hostile text.
    #[track_caller]
    pub(crate) fn assert_clean(what: &str, text: &str) {
        let found = text.split('\n').flat_map(str::chars).find(|letter| super::is_harmful(*letter));
        assert_eq!(found, None, "{what}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("runner: forged")), "{what}: {text:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::{clean, clean_lines, escape_json, hostile, is_harmful, push_escaped};

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(clean("a\x1b[2Jb\r\nc\u{202e}d\u{9b}e\t"), "a [2Jb  c d e ");
        assert!(!clean(hostile::TEXT).contains(is_harmful));
        assert_eq!(clean("größer 日本 👩‍👩‍👧 שלום"), "größer 日本 👩‍👩‍👧 שלום");
    }

    #[test]
    fn each_line_of_several_is_clean_and_looks_like_no_other_message() {
        assert_eq!(clean_lines("a\x1b\r\nb\n", "  "), "a  \n  b\n  ");
        hostile::assert_clean("lines", &clean_lines(&format!("runner: {}", hostile::TEXT), "  "));
    }

    #[test]
    fn an_escape_stands_for_each_harmful_character() {
        let mut line = "x ".to_owned();
        push_escaped(&mut line, "a\tb\u{202e}\u{9b}ä");
        assert_eq!(line, "x a\\tb\\u{202e}\\u{9b}ä");
    }

    #[test]
    fn json_for_a_terminal_is_the_same_document() {
        let value = serde_json::json!({ hostile::TEXT: [hostile::TEXT, "ä\u{1f600}"] });
        for json in [value.to_string(), serde_json::to_string_pretty(&value).expect("JSON")] {
            let escaped = escape_json(&json);
            hostile::assert_clean("JSON", &escaped);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).expect("JSON"), value);
        }
        assert!(matches!(escape_json("{\n}\n"), std::borrow::Cow::Borrowed(_)));
    }
}
