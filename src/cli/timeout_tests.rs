//! Tests of the command line of timeout(1): what is read, and the words when something is wrong.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::{parse, read};
use crate::cli::Parsed;
use crate::model::request::TimeoutRequest;
use crate::model::signal::Signal;

fn request(words: &[&str]) -> TimeoutRequest {
    read(&mut words.iter().map(OsString::from)).unwrap_or_else(|said| panic!("{words:?} gave {said:?}"))
}

/// The first line of what is said, and the exit code; the second line must be the pointer to help.
fn complaint(words: impl IntoIterator<Item = OsString>) -> String {
    match parse(words) {
        Parsed::Say { text, to_stderr: true, exit: 125 } => {
            let first = text.strip_suffix("Try 'timeout --help' for more information.\n").expect("the pointer to help");
            first.trim_end_matches('\n').to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_may_be_short_long_joined_clustered_or_abbreviated() {
    for words in [
        &["-k5", "-sKILL", "-v", "-f", "-p", "9", "ls"][..],
        &["-k", "5", "-s", "9", "-vfp", "9", "ls"],
        &["-vfpk5", "-s9", "9", "ls"],
        &["-vfpk", "5", "-s", "SIGKILL", "9", "ls"],
        &["--kill-after=5", "--signal=kill", "--verbose", "--foreground", "--preserve-status", "9", "ls"],
        &["--kill-after", "5", "--signal", "137", "--verb", "--foreground", "--preserve-status", "--", "9", "ls"],
        &["--k=5", "--s", "265", "--verb", "--f", "--p", "9", "ls"],
    ] {
        let request = request(words);
        assert_eq!(request.kill_after, Some(Duration::from_secs(5)), "{words:?}");
        assert_eq!(request.signal, Signal::KILL, "{words:?}");
        assert!(request.verbose && request.foreground && request.preserve_status, "{words:?}");
        assert_eq!((request.duration, request.command), (Some(Duration::from_secs(9)), vec!["ls".into()]), "{words:?}");
    }
}

#[test]
fn options_end_at_the_first_operand() {
    let plain = request(&["5", "ls", "-l", "--help", "--"]);
    assert_eq!(plain.command, ["ls", "-l", "--help", "--"]);
    assert_eq!((plain.signal, plain.kill_after), (Signal::TERM, None));
    assert!(!plain.verbose && !plain.foreground && !plain.preserve_status);
    assert_eq!(request(&["5", "--", "ls"]).command, ["--", "ls"]);
    assert_eq!(request(&["--", "-0", "ls"]).duration, None);
    assert_eq!(request(&["0", "ls"]).duration, None);
    assert_eq!(request(&["-k0", "1", "ls"]).kill_after, None);
}

#[test]
fn the_last_of_two_equal_options_holds() {
    assert_eq!(request(&["-s1", "-s2", "1", "ls"]).signal, Signal::INT);
}

#[test]
fn every_complaint_has_the_words_of_gnu() {
    for (words, expected) in [
        (&[][..], ""),
        (&["1"], ""),
        (&["--"], ""),
        (&["-k", "5"], ""),
        (&["x", "ls"], "timeout: invalid time interval 'x'"),
        (&["", "ls"], "timeout: invalid time interval ''"),
        (&["-", "ls"], "timeout: invalid time interval '-'"),
        (&["--", "-1", "ls"], "timeout: invalid time interval '-1'"),
        (&["-k", "nan", "1", "ls"], "timeout: invalid time interval 'nan'"),
        (&["--kill-after=", "1", "ls"], "timeout: invalid time interval ''"),
        (&["it's\\", "ls"], "timeout: invalid time interval 'it\\'s\\\\'"),
        (&["a\nb\u{1}", "ls"], "timeout: invalid time interval 'a\\nb\\001'"),
        (&["é", "ls"], "timeout: invalid time interval '\\303\\251'"),
        (&["-s", "FOO", "1", "ls"], "timeout: 'FOO': invalid signal"),
        (&["-s", "65", "1", "ls"], "timeout: '65': invalid signal"),
        (&["-s", "32", "1", "ls"], "timeout: '32': invalid signal"),
        (&["-s", "-1", "1", "ls"], "timeout: '-1': invalid signal"),
        (&["-s", "SIG", "1", "ls"], "timeout: 'SIG': invalid signal"),
        (&["-s", "SIG143", "1", "ls"], "timeout: 'SIG143': invalid signal"),
        (&["-s", "9x", "1", "ls"], "timeout: '9x': invalid signal"),
        (&["-s", " 9", "1", "ls"], "timeout: ' 9': invalid signal"),
        (&["-s", "99999999999", "1", "ls"], "timeout: '99999999999': invalid signal"),
        (&["-s", "RTMIN+99", "1", "ls"], "timeout: 'RTMIN+99': invalid signal"),
        (&["-x", "1", "ls"], "timeout: invalid option -- 'x'"),
        (&["-vx", "1", "ls"], "timeout: invalid option -- 'x'"),
        (&["-1", "ls"], "timeout: invalid option -- '1'"),
        (&["-k"], "timeout: option requires an argument -- 'k'"),
        (&["-vs"], "timeout: option requires an argument -- 's'"),
        (&["--foo", "1", "ls"], "timeout: unrecognized option '--foo'"),
        (&["--x=3", "1", "ls"], "timeout: unrecognized option '--x=3'"),
        (&["--sig"], "timeout: option '--signal' requires an argument"),
        (&["--fore=3", "1", "ls"], "timeout: option '--foreground' doesn't allow an argument"),
        (&["--versi=3"], "timeout: option '--version' doesn't allow an argument"),
        (&["--ver"], "timeout: option '--ver' is ambiguous; possibilities: '--verbose' '--version'"),
        (
            &["--=", "1"],
            "timeout: option '--=' is ambiguous; possibilities: '--kill-after' '--signal' '--verbose' '--foreground' \
             '--preserve-status' '--help' '--version'",
        ),
    ] {
        assert_eq!(complaint(words.iter().map(OsString::from)), expected, "{words:?}");
    }
    let word = OsString::from_vec(b"1\xff".to_vec());
    assert_eq!(complaint([word, "ls".into()]), "timeout: invalid time interval '1\\377'");
}

#[test]
fn the_first_thing_that_is_wrong_is_told() {
    assert_eq!(complaint(["-kx", "-sy", "z"].map(OsString::from)), "timeout: invalid time interval 'x'");
    assert_eq!(complaint(["-sy", "-kx", "z"].map(OsString::from)), "timeout: 'y': invalid signal");
}

#[test]
fn signals_are_read_in_every_spelling() {
    for (word, number) in [
        ("TERM", 15),
        ("sigterm", 15),
        ("15", 15),
        ("015", 15),
        ("143", 15),
        ("0", 0),
        ("128", 0),
        ("256", 0),
        ("SIG9", 9),
        ("EXIT", 0),
        ("CONT", 18),
        ("RTMIN", 34),
        ("RTMIN+1", 35),
        ("RTMAX-1", 63),
        ("64", 64),
        ("IOT", 6),
        ("STKFLT", 16),
    ] {
        assert_eq!(request(&["-s", word, "1", "ls"]).signal.number(), number, "{word}");
    }
}

#[test]
fn help_and_version_go_to_stdout_whatever_follows() {
    for words in [["--help", "--foo"], ["--h", "x"], ["-v", "--version"], ["--vers", "-x"]] {
        match parse(words.map(OsString::from)) {
            Parsed::Say { text, to_stderr: false, exit: 0 } => assert!(text.contains("timeout"), "{text}"),
            other => panic!("{words:?} gave {other:?}"),
        }
    }
}
