//! Words as a shell would read them back: for people, logs and dry runs.
//!
//! Pure. The quoting is that of POSIX sh: single quotes, inside which nothing is special.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Appends the word, quoted only where it must be, to `line`.
pub fn push_word(line: &mut Vec<u8>, word: &OsStr) {
    let bytes = word.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@^_".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        line.extend_from_slice(bytes);
        return;
    }
    line.extend(quoted(bytes));
}

/// The bytes as one single-quoted word of a shell.
pub fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut word = Vec::with_capacity(bytes.len() + 2);
    word.push(b'\'');
    for byte in bytes {
        match byte {
            // A quote cannot stand between quotes, so it stands outside of them.
            b'\'' => word.extend_from_slice(b"'\\''"),
            other => word.push(*other),
        }
    }
    word.push(b'\'');
    word
}

/// All words, with blanks between them.
pub fn command_line(words: &[OsString]) -> Vec<u8> {
    let mut line = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        push_word(&mut line, word);
    }
    line
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::command_line;

    #[test]
    fn words_are_quoted_where_a_shell_would_not_take_them_as_they_are() {
        let line = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            String::from_utf8(command_line(&words)).expect("text")
        };
        assert_eq!(line(&["make", "-j4", "a=b", "x/y.z"]), "make -j4 a=b x/y.z");
        assert_eq!(
            line(&["echo", "", "a b", "it's", "$(x)", "a\nb", "~", "#"]),
            "echo '' 'a b' 'it'\\''s' '$(x)' 'a\nb' '~' '#'"
        );
    }
}
