//! The two ways in which a tree of processes is held, and a cgroup of a test's own.

#![expect(unsafe_code, reason = "a child joins a cgroup between fork and exec")]

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::requirement::skip;
use super::unique;
use super::waiting::{SOON, wait_quietly};

/// Makes one test for each containment: `fn name(rung) { ... }` becomes `name::cgroup` and `name::walk`.
macro_rules! on_both_rungs {
    ($($(#[$attribute:meta])* fn $name:ident($rung:ident) $body:block)*) => {$(
        $(#[$attribute])*
        fn $name($rung: $crate::support::Rung) $body

        mod $name {
            #[test]
            fn cgroup() {
                $crate::support::Rung::Cgroup.run(super::$name);
            }

            #[test]
            fn walk() {
                $crate::support::Rung::Walk.run(super::$name);
            }
        }
    )*};
}

/// Which mechanism is to hold the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rung {
    Cgroup,
    Walk,
}

impl Rung {
    /// Its word in the envelope, and in the variable that forces it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Walk => "walk",
        }
    }

    /// Runs the test where this machine has what it takes, and says so where not.
    pub(crate) fn run(self, test: fn(Self)) {
        if self == Self::Walk || cgroup_or_reason_to_skip().is_some() {
            test(self);
        }
    }
}

/// Our cgroup's folder. Where there is none to write in: records the test as skipped.
pub(crate) fn cgroup_or_reason_to_skip() -> Option<PathBuf> {
    match our_cgroup() {
        Ok(folder) => Some(folder),
        Err(reason) => {
            skip("cgroup", &reason);
            None
        }
    }
}

/// The folder of the cgroup v2 that we are in, if we may make others in it and end them.
fn our_cgroup() -> Result<PathBuf, String> {
    let folder = cgroup_of("self")?;
    let probe = folder.join(format!("probe-{}-{}", std::process::id(), unique()));
    fs::create_dir(&probe).map_err(|error| format!("cannot make {}: {error}", probe.display()))?;
    let can_kill = probe.join("cgroup.kill").exists();
    fs::remove_dir(&probe).map_err(|error| format!("cannot remove {}: {error}", probe.display()))?;
    if can_kill { Ok(folder) } else { Err("this kernel has no cgroup.kill".to_owned()) }
}

/// The folder of the cgroup v2 of a process.
pub(crate) fn cgroup_of(process: &str) -> Result<PathBuf, String> {
    let path = format!("/proc/{process}/cgroup");
    let groups = fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::")).ok_or("no cgroup v2 in /proc/self/cgroup")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("no mountinfo: {error}"))?;
    mounts
        .lines()
        .find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut fields = before.split(' ').skip(3);
            let (root, mount_point) = (fields.next()?, fields.next()?);
            let inside = if root == "/" { group } else { group.strip_prefix(root)? };
            after.starts_with("cgroup2 ").then(|| Path::new(mount_point).join(inside.trim_start_matches('/')))
        })
        .ok_or_else(|| "no cgroup v2 is mounted".to_owned())
}

/// A cgroup of a test's own, so that what runner makes in it is seen alone.
pub(crate) struct OwnCgroup {
    folder: PathBuf,
}

impl OwnCgroup {
    /// None where this machine has no writable cgroup v2; the reason is said.
    pub(crate) fn new() -> Option<Self> {
        let folder = cgroup_or_reason_to_skip()?.join(format!("test-{}-{}", std::process::id(), unique()));
        fs::create_dir(&folder).expect("a cgroup in our own");
        Some(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The command will run in it.
    pub(crate) fn adopt(&self, command: &mut Command) {
        let file = fs::OpenOptions::new().write(true).open(self.folder.join("cgroup.procs")).expect("cgroup.procs");
        // SAFETY: write(2) on an open descriptor is all that happens between fork and exec.
        unsafe {
            command.pre_exec(move || (&file).write_all(b"0"));
        }
    }

    /// The cgroups that were made in it.
    pub(crate) fn children(&self) -> Vec<PathBuf> {
        child_folders(&self.folder)
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        _ = fs::write(self.folder.join("cgroup.kill"), "1");
        wait_quietly(SOON, || {
            remove_tree(&self.folder);
            !self.folder.exists()
        });
    }
}

fn child_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn remove_tree(folder: &Path) {
    child_folders(folder).iter().for_each(|child| remove_tree(child));
    _ = fs::remove_dir(folder);
}
