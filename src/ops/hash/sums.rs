//! The lines of a file of checksums: written as sha256sum(1) writes them, read in that form and in the tagged one of BSD.
//!
//! Pure: bytes in, words out. Names are bytes; nothing here opens a file.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::digest::Algorithm;

/// Both algorithms have digests of so many hexadecimal digits.
const DIGITS: usize = 64;

/// What one line promises of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    pub(super) path: PathBuf,
    /// In lower case.
    pub(super) hex: String,
    /// Where the line says it.
    pub(super) algorithm: Option<Algorithm>,
}

/// A line with its end: `HEX  NAME`.
pub(super) fn line(hex: &str, path: &Path) -> Vec<u8> {
    let (escaped, name) = escape(path);
    let mut line = Vec::with_capacity(hex.len() + name.len() + 4);
    if escaped {
        line.push(b'\\');
    }
    line.extend_from_slice(hex.as_bytes());
    line.extend_from_slice(b"  ");
    line.extend_from_slice(&name);
    line.push(b'\n');
    line
}

/// A line with its end that says what became of a promise: `NAME: OK`. As sha256sum has it, a name is escaped here only
/// where it would make two lines.
pub(super) fn verdict(path: &Path, word: &str) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    let (escaped, name) = if bytes.contains(&b'\n') { escape(path) } else { (false, bytes.to_owned()) };
    let mut line = Vec::with_capacity(name.len() + word.len() + 4);
    if escaped {
        line.push(b'\\');
    }
    line.extend_from_slice(&name);
    line.extend_from_slice(b": ");
    line.extend_from_slice(word.as_bytes());
    line.push(b'\n');
    line
}

/// The name as it stands in a line, and whether that had to change it: a name must not end its line.
fn escape(path: &Path) -> (bool, Vec<u8>) {
    let name = path.as_os_str().as_bytes();
    if !name.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r')) {
        return (false, name.to_owned());
    }
    let mut text = Vec::with_capacity(name.len() + 8);
    for &byte in name {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            other => text.push(other),
        }
    }
    (true, text)
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        name.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            other => other,
        });
    }
    Some(name)
}

/// True for a line that promises nothing and is no mistake either.
pub(super) fn is_blank(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), None | Some(b'#'))
}

/// Reads a line, with its end or without. None: it is malformed.
pub(super) fn read(line: &[u8]) -> Option<Promise> {
    let line = trim_end(line).trim_ascii_start();
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (algorithm, hex, name) = tagged(line).or_else(|| plain(line))?;
    if hex.len() != DIGITS || !hex.iter().all(u8::is_ascii_hexdigit) || name.is_empty() {
        return None;
    }
    let name = if escaped { unescape(name)? } else { name.to_owned() };
    let hex = String::from_utf8(hex.to_ascii_lowercase()).ok()?;
    Some(Promise { path: OsString::from_vec(name).into(), hex, algorithm })
}

/// Lines that went through another system may end in CR LF.
fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

type Parts<'a> = (Option<Algorithm>, &'a [u8], &'a [u8]);

/// `SHA256 (NAME) = HEX`
fn tagged(line: &[u8]) -> Option<Parts<'_>> {
    const MIDDLE: &[u8] = b") = ";
    let (algorithm, rest) = Algorithm::ALL.iter().find_map(|algorithm| {
        let rest = line.strip_prefix(algorithm.tag().as_bytes())?.strip_prefix(b" (")?;
        Some((*algorithm, rest))
    })?;
    // The name itself may hold what stands behind it, so the last counts.
    let at = rest.windows(MIDDLE.len()).rposition(|window| window == MIDDLE)?;
    Some((Some(algorithm), &rest[at + MIDDLE.len()..], &rest[..at]))
}

/// `HEX  NAME`, or `HEX *NAME` for what was read as binary, which means nothing here.
fn plain(line: &[u8]) -> Option<Parts<'_>> {
    let (hex, rest) = line.split_at_checked(DIGITS)?;
    let name = rest.strip_prefix(b" ")?;
    name.strip_prefix(b" ").or_else(|| name.strip_prefix(b"*")).map(|name| (None, hex, name))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::{Algorithm, is_blank, line, read, verdict};

    fn hex() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn what_is_written_is_read() {
        for name in
            [b"plain".as_slice(), b" two  words ", b"back\\slash", b"new\nline\r", b"\xff\xfe", b"*star", b"(x) = y"]
        {
            let path = Path::new(OsStr::from_bytes(name));
            let text = line(&hex(), path);
            assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1, "one line: {text:?}");
            let promise = read(&text).unwrap();
            assert_eq!((promise.path.as_path(), promise.hex), (path, hex()));
        }
    }

    #[test]
    fn the_forms_of_others_are_read() {
        let hex = hex();
        for (text, algorithm) in [
            (format!("{hex}  name\r\n"), None),
            (format!("{} *name", hex.to_uppercase()), None),
            (format!("SHA256 (name) = {hex}\n"), Some(Algorithm::Sha256)),
            (format!("BLAKE3 (name) = {hex}"), Some(Algorithm::Blake3)),
        ] {
            let promise = read(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((promise.path.as_path(), promise.hex.as_str()), (Path::new("name"), hex.as_str()), "{text}");
            assert_eq!(promise.algorithm, algorithm, "{text}");
        }
        let odd = read(format!("SHA256 (a) = b) = {hex}").as_bytes()).unwrap();
        assert_eq!(odd.path, Path::new("a) = b"));
    }

    #[test]
    fn what_is_no_checksum_is_malformed() {
        let hex = hex();
        let short = &hex[1..];
        for text in [
            "nonsense".to_owned(),
            format!("{short}  name"),
            hex.clone(),
            format!("{hex}  "),
            format!("{hex} name"),
            format!("g{short}  name"),
            format!("\\{hex}  bad\\x"),
            format!("MD5 (name) = {hex}"),
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert!(is_blank(b"\r\n") && is_blank(b"# a remark") && !is_blank(b"nonsense"));
    }

    #[test]
    fn a_verdict_is_one_line() {
        assert_eq!(verdict(Path::new("a b"), "OK"), b"a b: OK\n");
        assert_eq!(verdict(Path::new("a\nb"), "FAILED"), b"\\a\\nb: FAILED\n");
    }
}
