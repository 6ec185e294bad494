//! Which names an archive may use. Pure: what is on the disk is looked at elsewhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// No call takes a longer path: PATH_MAX, path_resolution(7).
const LONGEST: usize = 4096;

/// The name of an entry as a path below the destination, or why it cannot be one. Empty: the destination itself.
pub(super) fn entry(bytes: &[u8]) -> Result<PathBuf, &'static str> {
    if bytes.contains(&0) {
        return Err("its name holds a zero byte");
    }
    // A folder of a folder of a folder takes time and memory by the square of their number.
    if bytes.len() > LONGEST {
        return Err("its name is longer than any path may be");
    }
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(bytes)).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err("its name holds '..'"),
            Component::RootDir | Component::Prefix(_) => return Err("its name is absolute"),
        }
    }
    Ok(path)
}

/// Says why a symbolic link under this name may not have this target.
///
/// `..` is allowed at the start alone: the folders above the link are known to be real, while behind the name of another
/// link `..` leads wherever that one leads. So each link stays inside if the others do.
pub(super) fn link(name: &Path, target: &[u8]) -> Result<(), &'static str> {
    if target.is_empty() || target.contains(&0) {
        return Err("its target is no path");
    }
    let mut above = name.components().count().saturating_sub(1);
    let mut descended = false;
    for part in Path::new(OsStr::from_bytes(target)).components() {
        match part {
            Component::Normal(_) => descended = true,
            Component::CurDir => {}
            Component::ParentDir if descended => return Err("its target holds '..' behind a name"),
            Component::ParentDir if above == 0 => return Err("its target is outside of the destination"),
            Component::ParentDir => above -= 1,
            Component::RootDir | Component::Prefix(_) => return Err("its target is absolute"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{entry, link};

    #[test]
    fn only_names_below_the_destination_are_taken() {
        for (name, path) in [("a", "a"), ("./a/./b/", "a/b"), ("./", ""), ("a//b", "a/b"), ("..a/b..", "..a/b..")] {
            assert_eq!(entry(name.as_bytes()), Ok(Path::new(path).to_owned()), "{name}");
        }
        for name in ["/a", "//a", "..", "a/../b", "a/..", "./../x", "a\0b"] {
            assert!(entry(name.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_link_leads_nowhere_outside() {
        for (name, target) in
            [("l", "a"), ("l", "./a/b"), ("d/l", "../a"), ("d/e/l", "../../a"), ("d/l", ".."), ("l", ".")]
        {
            assert!(link(Path::new(name), target.as_bytes()).is_ok(), "{name} -> {target}");
        }
        for (name, target) in
            [("l", ".."), ("l", "/a"), ("d/l", "../../a"), ("d/l", "../a/../b"), ("l", ""), ("d/e/l", "../../../a")]
        {
            assert!(link(Path::new(name), target.as_bytes()).is_err(), "{name} -> {target}");
        }
    }
}
