//! Tests of detached processes. Those that have to say something are this test program itself, started once more.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode};

use super::{Answer, READY_PIPE, Ready, settle, start, tell_failure, tell_ready};
use crate::error::Error;
use crate::platform::{process, procfs};

const LONG: Duration = Duration::from_secs(60);

/// Tells the test below what to do as a process of its own.
const ORDER: &str = "TEST_DETACH_ORDER";
const FILE: &str = "TEST_DETACH_FILE";

/// No test by itself: a process that was detached, or one that detaches another.
#[test]
fn another_process() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let file = std::env::var_os(FILE).unwrap_or_default();
    match order.as_str() {
        "ready" => {
            settle();
            assert_eq!(std::env::var_os(READY_PIPE), None);
            tell_ready();
            tell_failure("too late");
            fs::write(file, "went on").unwrap();
        }
        "fail" => {
            settle();
            tell_failure(&"é".repeat(1 << 20));
        }
        // Says nothing until the FIFO has a writer.
        "slow" => {
            settle();
            File::open(file).unwrap().read_to_end(&mut Vec::new()).unwrap();
            tell_ready();
        }
        "starter" => {
            let mut ready = start(OsStr::new("/bin/sh"), &["-c".into(), "exit 0".into()], None).unwrap();
            let children = procfs::descendants(process::own_pid());
            assert!(children.is_empty(), "{children:?}");
            assert!(matches!(ready.wait(LONG).unwrap(), Answer::Failed(_)));
            tell_failure("nobody started us");
            fs::write(file, "no children").unwrap();
        }
        _ => {}
    }
}

fn own_test(order: &str, file: &Path) -> Ready {
    let arguments = ["--exact", "platform::detach::tests::another_process"].map(OsString::from);
    let env = vec![(ORDER.into(), order.into()), (FILE.into(), file.into())];
    start(process::own_program().as_os_str(), &arguments, Some(env)).unwrap()
}

/// Waits until a process that says nothing any more has written this.
fn await_content(path: &Path, content: &str) {
    for _ in 0..6000 {
        if fs::read_to_string(path).is_ok_and(|found| found == content) {
            return;
        }
        process::nap(Duration::from_millis(10));
    }
    panic!("{} never holds {content:?}", path.display());
}

#[test]
fn it_has_nothing_of_its_starter() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    // The parts are written by a subshell, so that the streams of the shell itself are as it got them.
    let line = "(cd /proc/$$ && for fd in fd/*; do echo \"$fd $(readlink $fd)\"; done && grep -E '^Sig(Blk|Ign)' status \
        && echo \"stat $(cut -d' ' -f1,5,6 stat)\" && echo \"cwd $(readlink cwd)\" && umask && echo \"$MINE ${HOME-no}\") \
        >\"$0\"";
    // What it must not inherit.
    let left_open = File::open("/dev/zero").unwrap();
    rustix::io::fcntl_setfd(&left_open, rustix::io::FdFlags::empty()).unwrap();
    let arguments = ["-c".into(), line.into(), out.clone().into_os_string()];
    let env = vec![("MINE".into(), "given".into()), ("PATH".into(), "/bin:/usr/bin".into())];
    let mut ready = start(OsStr::new("sh"), &arguments, Some(env)).unwrap();
    let Answer::Failed(reason) = ready.wait(LONG).unwrap() else { panic!("it says nothing") };
    assert_eq!(reason, "sh ended before it was ready, and did not say why");
    let text = fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["fd/0 /dev/null", "fd/1 /dev/null", "fd/2 /dev/null"], "{text}");
    assert!(lines[3].starts_with("fd/3 pipe:"), "{text}");
    assert_eq!(lines[4..6], ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"], "{text}");
    let ids: Vec<&str> = lines[6].split(' ').skip(1).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "pid, group and session: {text}");
    assert_eq!(lines[7..], ["cwd /", "0077", "given no"], "{text}");
}

#[test]
fn it_says_that_it_is_ready_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let mut ready = own_test("ready", &file);
    assert_eq!(ready.wait(LONG).unwrap(), Answer::Ready);
    assert_eq!(ready.wait(Duration::ZERO).unwrap(), Answer::Ready, "asked again");
    await_content(&file, "went on");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn it_says_why_it_failed_within_what_a_pipe_holds() {
    let Answer::Failed(reason) = own_test("fail", Path::new("")).wait(LONG).unwrap() else { panic!("it fails") };
    assert!(reason.chars().all(|letter| letter == 'é') && reason.len() == 4094, "{}", reason.len());
}

#[test]
fn a_slow_start_is_told_from_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    let mut ready = own_test("slow", &fifo);
    assert_eq!(ready.wait(Duration::from_millis(20)).unwrap(), Answer::StillStarting);
    File::options().write(true).open(&fifo).unwrap().flush().unwrap();
    assert_eq!(ready.wait(LONG).unwrap(), Answer::Ready);
}

#[test]
fn its_starter_has_no_child_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let _ready = own_test("starter", &file);
    await_content(&file, "no children");
}

#[test]
fn a_program_that_cannot_start_is_named() {
    let missing = start(OsStr::new("/no/such/program"), &[], None).unwrap_err();
    assert!(matches!(missing, Error::CommandNotFound { .. }));
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    fs::write(&broken, "no program").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o700)).unwrap();
    let Answer::Failed(reason) = start(broken.as_os_str(), &[], None).unwrap().wait(LONG).unwrap() else {
        panic!("it cannot be executed")
    };
    assert_eq!(reason, format!("cannot execute the program ({}): Exec format error", broken.display()));
}
