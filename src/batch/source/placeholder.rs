//! Placeholders of a command, and what of an item each of them stands for. They are those of GNU parallel.
//!
//! `{}` is the item, `{.}` the item without its extension, `{/}` its last component, `{//}` its directory, `{/.}` its last
//! component without extension, `{q}` the item quoted for one more shell, `{#}` the number of the job. `{2}`, `{2.}`,
//! `{2/}`, `{2//}`, `{2/.}` and `{2q}` are about the second item of the job. A number that is higher than a job has items
//! is an error, and so is a form of GNU parallel that does not exist here. Any other text in braces is text.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::model::quoting;

/// Stands for items of the job, or for its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Placeholder {
    /// Every item of the job.
    All(Part),
    /// One item, counted from 0.
    Nth(usize, Part),
    /// The number of the job.
    Number,
}

/// What of an item is taken. All but the first and the last read it as the name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Whole,
    WithoutExtension,
    Base,
    Folder,
    BaseWithoutExtension,
    Quoted,
}

/// How placeholders are written in one command.
#[derive(Clone, Debug)]
pub(super) struct Notation {
    /// A job has up to this many items.
    items: usize,
    /// What stands for the item in place of `{}`; then `{}` and `{N}` are text.
    replacement: Option<Vec<u8>>,
}

/// Forms of GNU parallel that do not exist here, without what may stand before them: a number.
const FOREIGN: [&[u8]; 13] =
    [b"%", b"0%", b"00%", b"##", b"0#", b"00#", b"..", b"...", b"/..", b"/...", b"+/", b"+.", b"+.."];

impl Notation {
    pub(super) fn new(items: usize, replacement: Option<&[u8]>) -> Self {
        Self { items, replacement: replacement.map(<[u8]>::to_vec) }
    }

    /// What stands for all items.
    pub(super) fn whole(&self) -> &[u8] {
        self.replacement.as_deref().unwrap_or(b"{}")
    }

    /// The placeholder that begins with the first of these bytes, and its length.
    pub(super) fn at_start(&self, bytes: &[u8]) -> Option<(Placeholder, usize)> {
        if let Some(replacement) = &self.replacement
            && bytes.starts_with(replacement)
        {
            return Some((Placeholder::All(Part::Whole), replacement.len()));
        }
        let inside = in_braces(bytes)?;
        let length = inside.len() + 2;
        if inside == b"#" {
            return Some((Placeholder::Number, length));
        }
        let (digits, part) = number_and_part(inside)?;
        if digits.is_empty() {
            let is_whole = part == Part::Whole;
            return (!is_whole || self.replacement.is_none()).then_some((Placeholder::All(part), length));
        }
        if self.replacement.is_some() && part == Part::Whole {
            return None;
        }
        let number: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        (1..=self.items).contains(&number).then(|| (Placeholder::Nth(number - 1, part), length))
    }

    /// Refuses what looks like a placeholder at the start of these bytes and is none.
    pub(super) fn check_start(&self, bytes: &[u8]) -> Result<()> {
        if bytes.starts_with(b"{=") && bytes[2..].windows(2).any(|end| end == b"=}") {
            return Err(foreign("{= perl expression =}"));
        }
        let Some(inside) = in_braces(bytes) else { return Ok(()) };
        let text = String::from_utf8_lossy(&bytes[..inside.len() + 2]).into_owned();
        let unsigned = inside.strip_prefix(b"-").unwrap_or(inside);
        let digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_foreign = |form: &[u8]| FOREIGN.contains(&form) || form == b"+...";
        if is_foreign(inside) || is_foreign(&unsigned[digits..]) && digits > 0 {
            return Err(foreign(&text));
        }
        if let Some(meant) = misspelled(inside) {
            return Err(wrong(
                format!("unknown placeholder {text}; did you mean {meant}?"),
                format!("Write {meant} for the item quoted for one more shell"),
            ));
        }
        match number_and_part(unsigned) {
            Some((digits, part)) if !digits.is_empty() && (part != Part::Whole || self.replacement.is_none()) => {}
            _ => return Ok(()),
        }
        if unsigned.len() < inside.len() {
            return Err(foreign(&text));
        }
        if self.at_start(bytes).is_some() {
            return Ok(());
        }
        let has = match self.items {
            1 => "one item".to_owned(),
            items => format!("{items} items"),
        };
        Err(wrong(
            format!("the placeholder {text} is beyond the items of a job, which has {has}"),
            format!("Items count from 1; to keep {text} as text, name another placeholder, as in: -I ITEM"),
        ))
    }
}

fn foreign(text: &str) -> Error {
    wrong(
        format!("the placeholder {text} of GNU parallel does not exist here"),
        "Use one of {}, {.}, {/}, {//}, {/.}, {q}, {#}, {1}, {1.} and so on".to_owned(),
    )
}

fn wrong(message: String, remediation: String) -> Error {
    Error::Invalid { argument: Some("COMMAND".to_owned()), message, remediation }
}

/// What stands between a brace at the start and the next closing one, which is not far.
fn in_braces(bytes: &[u8]) -> Option<&[u8]> {
    let inside = bytes.strip_prefix(b"{")?;
    // The longest number and the longest part are far shorter.
    let end = inside.iter().take(24).position(|byte| *byte == b'}')?;
    Some(&inside[..end])
}

/// What was meant by `{Q}`, `{q1}` and the like.
fn misspelled(inside: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(inside).ok()?;
    let number: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_letter = text.trim_matches(|letter: char| letter.is_ascii_digit()).eq_ignore_ascii_case("q");
    let meant = format!("{number}q");
    (is_letter && meant != text).then(|| format!("{{{meant}}}"))
}

fn number_and_part(inside: &[u8]) -> Option<(&[u8], Part)> {
    let digits = inside.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let part = match &inside[digits..] {
        b"" => Part::Whole,
        b"." => Part::WithoutExtension,
        b"/" => Part::Base,
        b"//" => Part::Folder,
        b"/." => Part::BaseWithoutExtension,
        b"q" => Part::Quoted,
        _ => return None,
    };
    Some((&inside[..digits], part))
}

impl Part {
    /// This part of the item.
    pub(super) fn of(self, item: &[u8]) -> Cow<'_, [u8]> {
        Cow::Borrowed(match self {
            Self::Whole => item,
            Self::WithoutExtension => without_extension(item),
            Self::Base => base(item),
            Self::Folder => folder(item),
            Self::BaseWithoutExtension => without_extension(base(item)),
            Self::Quoted => return Cow::Owned(quoting::quoted(item)),
        })
    }
}

/// The name without its last dot and what is behind it, as GNU parallel has it: a name may begin with that dot.
fn without_extension(item: &[u8]) -> &[u8] {
    match item.iter().rposition(|byte| matches!(byte, b'.' | b'/')) {
        Some(at) if item[at] == b'.' => &item[..at],
        _ => item,
    }
}

/// What is behind the last slash, which is nothing where the item ends in one.
fn base(item: &[u8]) -> &[u8] {
    &item[item.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1)..]
}

/// As dirname(1): what is before the last component, `.` where there is nothing.
fn folder(item: &[u8]) -> &[u8] {
    let trimmed = without_slashes(item);
    match trimmed.iter().rposition(|byte| *byte == b'/') {
        Some(at) => match without_slashes(&trimmed[..at]) {
            b"" => b"/",
            folder => folder,
        },
        None if trimmed.is_empty() && !item.is_empty() => b"/",
        None => b".",
    }
}

fn without_slashes(item: &[u8]) -> &[u8] {
    &item[..item.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1)]
}

#[cfg(test)]
mod tests {
    use super::{Notation, Part, Placeholder};

    #[test]
    fn every_placeholder_is_known_and_other_braces_are_text() {
        let notation = Notation::new(2, None);
        for (text, placeholder) in [
            ("{}", Placeholder::All(Part::Whole)),
            ("{.}", Placeholder::All(Part::WithoutExtension)),
            ("{/}", Placeholder::All(Part::Base)),
            ("{//}", Placeholder::All(Part::Folder)),
            ("{/.}", Placeholder::All(Part::BaseWithoutExtension)),
            ("{q}", Placeholder::All(Part::Quoted)),
            ("{#}", Placeholder::Number),
            ("{1}", Placeholder::Nth(0, Part::Whole)),
            ("{2.}", Placeholder::Nth(1, Part::WithoutExtension)),
            ("{2/}", Placeholder::Nth(1, Part::Base)),
            ("{2//}", Placeholder::Nth(1, Part::Folder)),
            ("{2q}", Placeholder::Nth(1, Part::Quoted)),
            ("{02/.}", Placeholder::Nth(1, Part::BaseWithoutExtension)),
        ] {
            let bytes = format!("{text}x");
            assert_eq!(notation.at_start(bytes.as_bytes()), Some((placeholder, text.len())), "{text}");
            assert!(notation.check_start(bytes.as_bytes()).is_ok(), "{text}");
        }
        for text in [
            "",
            "{",
            "{foo}",
            "{ }",
            "{./}",
            "{1,3}",
            "{1..3}",
            "{print}",
            "{print $1}",
            "{{.Names}}",
            "{a,b}",
            "{=}",
            "{-}",
            "{,}",
            "{+}",
            "{:-x}",
        ] {
            assert_eq!(notation.at_start(text.as_bytes()), None, "{text}");
            assert!(notation.check_start(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn numbers_beyond_the_items_and_forms_of_parallel_are_refused() {
        let notation = Notation::new(2, None);
        for text in ["{0}", "{3}", "{3.}", "{3//}", "{0q}", "{99999999999999999999999}"] {
            assert_eq!(notation.at_start(text.as_bytes()), None, "{text}");
            let error = notation.check_start(text.as_bytes()).expect_err(text);
            assert_eq!(
                error.to_string(),
                format!("the placeholder {text} is beyond the items of a job, which has 2 items")
            );
        }
        for text in [
            "{%}", "{0%}", "{##}", "{0#}", "{..}", "{...}", "{/..}", "{/...}", "{+/}", "{+.}", "{+..}", "{+...}",
            "{2..}", "{-1}", "{-1.}", "{-1..}",
        ] {
            assert_eq!(notation.at_start(text.as_bytes()), None, "{text}");
            let error = notation.check_start(text.as_bytes()).expect_err(text);
            assert_eq!(error.to_string(), format!("the placeholder {text} of GNU parallel does not exist here"));
        }
        assert!(notation.check_start(b"{= s/a/b/ =}").is_err());
        for (text, meant) in [("{Q}", "{q}"), ("{q1}", "{1q}"), ("{1Q}", "{1q}"), ("{Q2}", "{2q}")] {
            let error = notation.check_start(text.as_bytes()).expect_err(text);
            assert_eq!(error.to_string(), format!("unknown placeholder {text}; did you mean {meant}?"));
        }
    }

    #[test]
    fn another_text_takes_the_place_of_the_braces() {
        let notation = Notation::new(2, Some(b",,"));
        assert_eq!(notation.at_start(b",,x"), Some((Placeholder::All(Part::Whole), 2)));
        assert_eq!(notation.at_start(b"{.}"), Some((Placeholder::All(Part::WithoutExtension), 3)));
        assert_eq!(notation.at_start(b"{1.}"), Some((Placeholder::Nth(0, Part::WithoutExtension), 4)));
        for text in ["{}", "{1}", "{4}"] {
            assert_eq!(notation.at_start(text.as_bytes()), None, "{text}");
            assert!(notation.check_start(text.as_bytes()).is_ok(), "{text}");
        }
    }

    /// What GNU parallel 20221122 makes of `{.}`, `{/}`, `{//}` and `{/.}`.
    #[test]
    fn parts_are_those_of_gnu_parallel() {
        let cases: &[(&str, &str, &str, &str, &str)] = &[
            (".hidden", "", ".hidden", ".", ""),
            ("d/.hidden", "d/", ".hidden", "d", ""),
            ("dir/", "dir/", "", ".", ""),
            ("dir.d/", "dir.d/", "", ".", ""),
            ("a/b.tar.gz", "a/b.tar", "b.tar.gz", "a", "b.tar"),
            ("end.", "end", "end.", ".", "end"),
            ("..", ".", "..", ".", "."),
            (".", "", ".", ".", ""),
            ("/", "/", "", "/", ""),
            ("//", "//", "", "/", ""),
            ("", "", "", ".", ""),
            ("a//b.c", "a//b", "b.c", "a", "b"),
            (" x y.z ", " x y", " x y.z ", ".", " x y"),
            ("a.b/c", "a.b/c", "c", "a.b", "c"),
            ("x.y/", "x.y/", "", ".", ""),
            ("...", "..", "...", ".", ".."),
            (".a.b", ".a", ".a.b", ".", ".a"),
            ("a/.b.c", "a/.b", ".b.c", "a", ".b"),
            ("a.", "a", "a.", ".", "a"),
            ("/a", "/a", "a", "/", "a"),
            ("-x.y", "-x", "-x.y", ".", "-x"),
        ];
        for (item, stem, base, folder, base_stem) in cases {
            let of = |part: Part| String::from_utf8(part.of(item.as_bytes()).to_vec()).expect("UTF-8");
            assert_eq!(of(Part::Whole), *item);
            assert_eq!(of(Part::WithoutExtension), *stem, "{item}");
            assert_eq!(of(Part::Base), *base, "{item}");
            assert_eq!(of(Part::Folder), *folder, "{item}");
            assert_eq!(of(Part::BaseWithoutExtension), *base_stem, "{item}");
        }
    }

    #[test]
    fn a_quoted_item_is_one_word_of_a_shell() {
        let quoted = |item: &str| String::from_utf8(Part::Quoted.of(item.as_bytes()).to_vec()).expect("UTF-8");
        assert_eq!([quoted(""), quoted("it's"), quoted("a b")], ["''", "'it'\\''s'", "'a b'"]);
    }
}
