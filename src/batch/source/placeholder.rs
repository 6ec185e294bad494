//! Placeholders of a command, and what of an item each of them stands for. They are those of GNU parallel.
//!
//! `{}` is the item, `{.}` the item without its extension, `{/}` its last component, `{//}` its folder, `{/.}` its last
//! component without extension, `{#}` the number of the job. `{2}`, `{2.}`, `{2/}`, `{2//}` and `{2/.}` are about the
//! second item of the job. Any other text in braces is text, and so is a number that is higher than a job has items.

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

/// What of an item is taken, read as the name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Whole,
    WithoutExtension,
    Base,
    Folder,
    BaseWithoutExtension,
}

/// The placeholder that begins with the first of these bytes, and its length. A job has up to `items` items.
pub(super) fn at_start(bytes: &[u8], items: usize) -> Option<(Placeholder, usize)> {
    let inside = bytes.strip_prefix(b"{")?;
    // The longest number and the longest part are far shorter.
    let end = inside.iter().take(24).position(|byte| *byte == b'}')?;
    let inside = &inside[..end];
    let length = end + 2;
    if inside == b"#" {
        return Some((Placeholder::Number, length));
    }
    let digits = inside.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let part = match &inside[digits..] {
        b"" => Part::Whole,
        b"." => Part::WithoutExtension,
        b"/" => Part::Base,
        b"//" => Part::Folder,
        b"/." => Part::BaseWithoutExtension,
        _ => return None,
    };
    if digits == 0 {
        return Some((Placeholder::All(part), length));
    }
    let number: usize = std::str::from_utf8(&inside[..digits]).ok()?.parse().ok()?;
    (1..=items).contains(&number).then(|| (Placeholder::Nth(number - 1, part), length))
}

impl Part {
    /// This part of the item.
    pub(super) fn of(self, item: &[u8]) -> &[u8] {
        match self {
            Self::Whole => item,
            Self::WithoutExtension => without_extension(item),
            Self::Base => base(item),
            Self::Folder => folder(item),
            Self::BaseWithoutExtension => without_extension(base(item)),
        }
    }
}

/// The name without its last dot and what is behind it. A dot at the beginning or end of a component ends no name.
fn without_extension(item: &[u8]) -> &[u8] {
    let component = item.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let dot = item[component..].iter().rposition(|byte| *byte == b'.').map(|at| component + at);
    match dot {
        Some(dot) if dot + 1 < item.len() && item[component..dot].iter().any(|byte| *byte != b'.') => &item[..dot],
        _ => item,
    }
}

/// As basename(1): the last component, slashes at the end left out.
fn base(item: &[u8]) -> &[u8] {
    let trimmed = without_slashes(item);
    if trimmed.is_empty() {
        return &item[..item.len().min(1)];
    }
    &trimmed[trimmed.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1)..]
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
    use super::{Part, Placeholder, at_start};

    #[test]
    fn every_placeholder_is_known_and_other_braces_are_text() {
        for (text, placeholder) in [
            ("{}", Placeholder::All(Part::Whole)),
            ("{.}", Placeholder::All(Part::WithoutExtension)),
            ("{/}", Placeholder::All(Part::Base)),
            ("{//}", Placeholder::All(Part::Folder)),
            ("{/.}", Placeholder::All(Part::BaseWithoutExtension)),
            ("{#}", Placeholder::Number),
            ("{1}", Placeholder::Nth(0, Part::Whole)),
            ("{2.}", Placeholder::Nth(1, Part::WithoutExtension)),
            ("{2/}", Placeholder::Nth(1, Part::Base)),
            ("{2//}", Placeholder::Nth(1, Part::Folder)),
            ("{02/.}", Placeholder::Nth(1, Part::BaseWithoutExtension)),
        ] {
            assert_eq!(at_start(format!("{text}x").as_bytes(), 2), Some((placeholder, text.len())), "{text}");
        }
        for text in ["", "{", "{foo}", "{0}", "{3}", "{99999999999999999999999}", "{ }", "{./}", "{1,3}", "{%}", "{}"] {
            let found = at_start(text.as_bytes(), 2);
            assert_eq!(found.is_some(), text == "{}", "{text}");
        }
    }

    #[test]
    fn parts_are_those_of_a_file_name() {
        let cases: &[(&str, &str, &str, &str, &str)] = &[
            // item, without extension, base, folder, base without extension
            ("a/b.tar.gz", "a/b.tar", "b.tar.gz", "a", "b.tar"),
            ("b.png", "b", "b.png", ".", "b"),
            ("a.b/c", "a.b/c", "c", "a.b", "c"),
            (".hidden", ".hidden", ".hidden", ".", ".hidden"),
            ("d/.hidden", "d/.hidden", ".hidden", "d", ".hidden"),
            ("end.", "end.", "end.", ".", "end."),
            ("..", "..", "..", ".", ".."),
            ("a/b/", "a/b/", "b", "a", "b"),
            ("/a", "/a", "a", "/", "a"),
            ("//", "//", "/", "/", "/"),
            ("", "", "", ".", ""),
            ("a//b.c", "a//b", "b.c", "a", "b"),
            (" x y.z ", " x y", " x y.z ", ".", " x y"),
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
}
