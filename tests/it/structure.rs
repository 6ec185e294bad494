//! The house rules that a machine can check: who imports whom, and that files say what they are for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Module, and what of ours it may import. `main` is the program, everything else a folder or file below `src`.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("time", &[]),
    ("error", &["model"]),
    ("platform", &["model", "error"]),
    ("capture", &["model", "time", "platform", "error"]),
    ("control", &["model", "platform", "error"]),
    ("ops", &["model", "time", "platform", "control", "error"]),
    ("supervise", &["model", "time", "platform", "capture", "control", "error"]),
    ("backend", &["model", "time", "platform", "capture", "control", "supervise", "error"]),
    ("batch", &["model", "time", "platform", "ops", "backend", "error"]),
    ("store", &["model", "time", "platform", "error"]),
    ("worker", &["model", "time", "platform", "capture", "store", "backend", "batch", "error"]),
    ("render", &["model"]),
    (
        "app",
        &[
            "model",
            "time",
            "error",
            "platform",
            "capture",
            "control",
            "ops",
            "supervise",
            "backend",
            "batch",
            "store",
            "worker",
            "render",
        ],
    ),
    ("cli", &["model", "time", "error", "ops", "app"]),
    ("main", &["cli", "app", "error", "model", "platform"]),
];

/// No file is longer than this, its tests not counted.
const LINE_LIMIT: usize = 500;

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the sources are there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a source file is text")
}

/// The part of a file that is not tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

fn is_test_file(path: &Path) -> bool {
    path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.ends_with("_tests"))
}

/// The first folder, or file, below `src`.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).expect("below src");
    let first = below.iter().next().and_then(|part| part.to_str()).expect("a name");
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn modules_import_downwards_only() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut offences = Vec::new();
    for path in sources() {
        let module = module_of(&path);
        if module == "lib" || is_test_file(&path) {
            continue;
        }
        let allowed =
            layers.get(module.as_str()).unwrap_or_else(|| panic!("{module} is in no layer: add it to the table"));
        let text = text(&path);
        let code = product(&text).lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let own = if module == "main" { "runner::" } else { "crate::" };
            for (at, _) in line.match_indices(own) {
                let preceded = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let rest = &line[at + own.len()..];
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let target = &rest[..end];
                if !preceded && !target.is_empty() && target != module && !allowed.contains(&target) {
                    offences.push(format!("{} imports {target}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in sources() {
        let text = text(&path);
        assert!(text.starts_with("//! "), "{} does not open with its duty", path.display());
    }
}

#[test]
fn files_stay_short_and_are_called_after_something() {
    for path in sources() {
        let text = text(&path);
        let lines = product(&text).lines().count();
        assert!(is_test_file(&path) || lines <= LINE_LIMIT, "{} has {lines} lines without its tests", path.display());
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        for nothing in ["util", "utils", "helpers", "common", "imp", "misc"] {
            assert_ne!(stem, nothing, "{} is called after nothing", path.display());
        }
    }
}

#[test]
fn only_the_platform_has_unsafe_code() {
    for path in sources() {
        if module_of(&path) != "platform" {
            let text = text(&path);
            assert!(!text.contains("unsafe {") && !text.contains("unsafe fn"), "{}", path.display());
        }
    }
}
