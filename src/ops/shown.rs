//! Names as answers show them: an archive, or a line of checksums, may hold a name of megabytes, and an answer with it
//! would be too large to be sent at all.
//!
//! Used by the operations on files, for messages, states and lists.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::ops::parameters::FilePath;

/// What is shown of a name at most; both ends of it, since the last part says most.
const LIMIT: usize = 400;

/// A name in a message.
pub(super) fn text(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.len() <= LIMIT {
        return text.into_owned();
    }
    let start = text.floor_char_boundary(LIMIT / 2);
    let end = text.ceil_char_boundary(text.len() - LIMIT / 2);
    format!("{}…{}", &text[..start], &text[end..])
}

/// A name as a value.
pub(super) fn name(path: &Path) -> Value {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() <= LIMIT {
        return json!(FilePath(path.to_owned()));
    }
    if path.to_str().is_some() {
        return json!(text(path));
    }
    let cut = [&bytes[..LIMIT / 2], "…".as_bytes(), &bytes[bytes.len() - LIMIT / 2..]].concat();
    json!(FilePath(OsStr::from_bytes(&cut).into()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::{name, text};

    #[test]
    fn a_long_name_is_shown_by_its_ends() {
        assert_eq!(text(Path::new("short")), "short");
        assert_eq!(name(Path::new("short")), "short");
        for letter in ["a", "ä", "€"] {
            let long = format!("start{}end", letter.repeat(100_000));
            let shown = text(Path::new(&long));
            assert!(shown.len() < 410 && shown.starts_with("start") && shown.ends_with("end"), "{shown}");
            assert_eq!(name(Path::new(&long)), shown.as_str());
        }
        let odd = [b"\xff".as_slice(), &[b'a'; 100_000]].concat();
        let odd = name(Path::new(OsStr::from_bytes(&odd)));
        assert!(odd["base64"].as_str().is_some_and(|text| text.len() < 700), "{odd}");
    }
}
