//! `runner timeout` is a drop-in for timeout(1) of GNU coreutils 9: arguments, codes, messages, streams. Where the
//! machine has GNU's, both are called in the same way and compared.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::process::Stdio;
use std::time::Duration;

use crate::support::terminal::Scratch;
use crate::support::terminal::leash::Leash;
use crate::support::terminal::peer::{Pair, both, gnu};
use crate::support::terminal::process::{Setup, Streams, kill, start, start_with, state};

/// Splits at single spaces.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Starts every line in both programs at once, so that their waiting overlaps; the code is what a shell sees.
#[track_caller]
fn all(lines: &[(&str, i32)]) {
    for some in lines.chunks(8) {
        let pairs: Vec<(Pair, i32)> = some.iter().map(|(line, code)| (both(&words(line)), *code)).collect();
        for (pair, code) in pairs {
            pair.ended().code(code).same_words();
        }
    }
}

#[test]
fn the_code_of_a_command_that_ends_in_time_is_its_own() {
    all(&[("5 true", 0), ("5 false", 1), ("-- 5 true", 0), ("--verbose 5 true", 0), ("5 env true", 0)]);
    for code in [0, 1, 2, 100, 124, 125, 126, 127, 137, 255] {
        both(&["5", "sh", "-c", &format!("exit {code}")]).ended().code(code).says("");
    }
}

#[test]
fn durations_of_every_spelling_are_understood() {
    all(&[
        // 1e4000 and the like are more than a clock can count, and simply never come.
        ("5s true", 0),
        ("5m true", 0),
        ("5h true", 0),
        ("5d true", 0),
        ("5. true", 0),
        ("+5 true", 0),
        ("5e0 true", 0),
        ("1e400 true", 0),
        ("1e4000d true", 0),
        ("99999999999999999999 true", 0),
        ("9223372036854775807 true", 0),
        ("9223372036854775808d true", 0),
        ("infinity true", 0),
        ("inf true", 0),
        ("INFd true", 0),
        ("0x5 true", 0),
        ("0x1p3 true", 0),
        ("0X1P3m true", 0),
        ("0x1d true", 0),
        ("0xffffffffffffffffffff true", 0),
    ]);
    both(&[" 5", "true"]).ended().code(0).says("");
}

#[test]
fn durations_that_make_no_sense_are_125() {
    let junk =
        ["", "x", "5x", "5ms", "5ss", "5 ", "5_0", "1m30s", "s", ".", "nan", "NaN", "0x", "5e", "--5", "1,5", "５"];
    for text in junk {
        let pair = both(&["--", text, "true"]);
        pair.ended().code(125).same_words();
    }
    both(&["--", "-1", "true"])
        .ended()
        .code(125)
        .says("timeout: invalid time interval '-1'\nTry 'timeout --help' for more information.\n");
    for text in ["5x", "-1", ""] {
        let option = format!("--kill-after={text}");
        both(&[&option, "5", "true"]).ended().code(125).same_words();
    }
}

#[test]
fn a_timeout_is_124_and_never_early() {
    all_timed(&[
        ("0.3 sleep 20", 0.3),
        (".3 sleep 20", 0.3),
        ("0.3s sleep 20", 0.3),
        ("3e-1 sleep 20", 0.3),
        ("0.005m sleep 20", 0.3),
        ("0.0001h sleep 20", 0.36),
        ("0.000004d sleep 20", 0.3456),
        ("0x.5p0 sleep 20", 0.3125),
        ("0x5p-4 sleep 20", 0.3125),
        ("--foreground 0.3 sleep 20", 0.3),
    ]);
}

#[track_caller]
fn all_timed(lines: &[(&str, f64)]) {
    let pairs: Vec<(Pair, f64)> = lines.iter().map(|(line, seconds)| (both(&words(line)), *seconds)).collect();
    for (pair, seconds) in pairs {
        pair.ended().code(124).says("").not_before(seconds);
    }
}

#[test]
fn zero_switches_the_timeout_off() {
    for text in ["0", "0s", "0.0", "0d", "0x0", "-0"] {
        both(&["--", text, "sleep", "0.05"]).ended().code(0).says("");
    }
    both(&["--kill-after=0.1", "0", "sleep", "0.4"]).ended().code(0).says("");
}

#[test]
fn zero_switches_the_kill_off() {
    let pair = both(&["-k", "0", "0.1", "sh", "-c", "trap '' TERM; sleep 0.4; exit 3"]);
    pair.ended().code(124).not_before(0.4);
}

#[test]
fn a_duration_too_small_to_count_is_not_zero() {
    let scratch = Scratch::new();
    for text in ["1e-400", "1e-12", "0.0000000001", "1e-400d", "0x1p-2000", "0.000000000000000000000000000000001s"] {
        let ended = start(&mut scratch.runner(&["timeout", text, "sleep", "20"])).ended();
        assert_eq!(ended.code(), Some(124), "{text}: {}", ended.stderr);
    }
    let stubborn = "trap '' TERM; exec sleep 20";
    let ended = start(&mut scratch.runner(&["timeout", "-k", "1e-400", "0.8", "sh", "-c", stubborn])).ended();
    assert_eq!(ended.shell_code(), 137, "{}", ended.stderr);
}

#[test]
fn wrong_usage_is_125_in_the_words_of_gnu() {
    both::<&str>(&[]).ended().code(125).same_words();
    all(&[
        ("5", 125),
        ("--", 125),
        ("-v", 125),
        ("-z 5 true", 125),
        ("-1 true", 125),
        ("--nope 5 true", 125),
        ("--nope=3 5 true", 125),
        ("-s", 125),
        ("-k", 125),
        ("--signal", 125),
        ("--kill-after", 125),
        ("--foreground=yes 5 true", 125),
        ("--ver 5 true", 125),
        ("-s NOPE 5 true", 125),
        ("-s -1 5 true", 125),
        ("-s 65 5 true", 125),
        ("-s 4000000000 5 true", 125),
        ("-s RTMIN+99 5 true", 125),
        ("-s SIG 5 true", 125),
        ("-k 5x 5 true", 125),
        ("-vz 5 true", 125),
    ]);
    both(&["-s", "", "5", "true"]).ended().code(125).same_words();
    both(&["-s", "TERM ", "5", "true"]).ended().code(125).same_words();
}

#[test]
fn a_junk_duration_is_quoted_as_gnu_does() {
    for bytes in [&b"a'b"[..], b"a\nb", b"\xff\xfe", b"\x1b[31m"] {
        both(&[OsString::from_vec(bytes.to_vec()), "true".into()]).ended().code(125).same_words();
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_run_126() {
    all(&[
        ("5 no-such-command", 127),
        ("5 /no/such/command", 127),
        ("5 ./no-such-command", 127),
        ("5 -s", 127),
        ("5 /etc", 126),
        ("5 /dev/null", 126),
        ("5 /etc/hostname/x", 126),
        ("--verbose 5 no-such-command", 127),
    ]);
    both(&["5", ""]).ended().code(127).same_words();
    both(&["5", "it's"]).ended().code(127).same_words();
    both(&[OsStr::new("5"), &OsString::from_vec(b"\xff".to_vec())]).ended().code(127).same_words();
}

#[test]
fn the_messages_do_not_depend_on_how_the_program_is_called() {
    let scratch = Scratch::new();
    for (arguments, code, words) in [
        (&["timeout", "5x", "true"][..], 125, "invalid time interval '5x'"),
        (&["timeout", "-s", "NOPE", "5", "true"], 125, "'NOPE': invalid signal"),
        (&["timeout", "5", "nope"], 127, "failed to run command 'nope': No such file or directory"),
        (&["timeout", "5", "/etc"], 126, "failed to run command '/etc': Permission denied"),
        (&["timeout", "-v", "0.1", "sleep", "20"], 124, "sending signal TERM to command 'sleep'"),
    ] {
        let ended = start(&mut scratch.runner(arguments)).ended();
        assert_eq!(ended.code(), Some(code), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains('{'), "no envelope: {}", ended.stderr);
    }
}

#[test]
fn help_and_version_are_on_standard_output() {
    let scratch = Scratch::new();
    for option in ["--help", "--version", "--vers", "--he"] {
        let ended = start(scratch.command(scratch.timeout_link()).arg(option)).ended();
        assert_eq!(ended.code(), Some(0), "{option}: {}", ended.stderr);
        assert!(!ended.stdout.is_empty() && ended.stderr.is_empty(), "{option}");
    }
    let help = start(scratch.command(scratch.timeout_link()).arg("--help")).ended().out();
    for option in ["--kill-after", "--signal", "--preserve-status", "--foreground", "--verbose", "DURATION", "COMMAND"]
    {
        assert!(help.contains(option), "{option} in {help}");
    }
}

#[test]
fn long_names_may_be_shortened_and_short_ones_joined() {
    all(&[
        ("--sig=INT --verb 0.1 sleep 20", 124),
        ("--s INT --verbose 0.1 sleep 20", 124),
        ("--k=5 -v 0.1 sleep 20", 124),
        ("--f -vsINT 0.1 sleep 20", 124),
        ("-vk5 -sHUP 0.1 sleep 20", 124),
        ("--p 0.1 sleep 20", 143),
        ("--preserve-status --signal HUP 0.1 sleep 20", 129),
        ("-s INT -s HUP -v 0.1 sleep 20", 124),
    ]);
}

#[test]
fn options_after_the_duration_belong_to_the_command() {
    all(&[("5 env -i true", 0), ("5 sh -c :", 0), ("-- 5 sh -c :", 0), ("5 -- true", 127)]);
    both(&["5", "sh", "-c", "exit $#", "x", "-s", "KILL", "--"]).ended().code(3).same_words();
}

#[test]
fn the_short_options_of_later_versions_are_there_too() {
    let scratch = Scratch::new();
    for (line, code) in
        [("timeout -p 0.1 sleep 20", 143), ("timeout -f 0.1 sleep 20", 124), ("timeout -fvp -s HUP 0.1 sleep 20", 129)]
    {
        let ended = start(&mut scratch.runner(&words(line))).ended();
        assert_eq!(ended.shell_code(), code, "{line}: {}", ended.stderr);
    }
}

#[test]
fn verbose_names_every_signal_that_is_sent() {
    both(&["-v", "0.1", "sleep", "20"]).ended().code(124).says("timeout: sending signal TERM to command 'sleep'\n");
    let stubborn = ["-v", "-k", "0.2", "0.8", "sh", "-c", "trap '' TERM; exec sleep 20"];
    both(&stubborn)
        .ended()
        .code(137)
        .says("timeout: sending signal TERM to command 'sh'\ntimeout: sending signal KILL to command 'sh'\n");
    both(&["-v", "-s", "0", "0.1", "sleep", "0.4"])
        .ended()
        .code(124)
        .says("timeout: sending signal EXIT to command 'sleep'\n");
    both(&["-v", "-s", "35", "0.1", "sleep", "20"])
        .ended()
        .code(124)
        .says("timeout: sending signal RTMIN+1 to command 'sleep'\n");
}

#[test]
fn a_kill_that_was_needed_is_137_and_not_before_its_time() {
    let stubborn = ["sh", "-c", "trap '' TERM; exec sleep 20"];
    let pair = both(&[&["-k", "0.3", "0.8"][..], &stubborn].concat());
    pair.ended().code(137).not_before(1.1);
    let pair = both(&[&["--preserve-status", "--kill-after=0.1", "0.8"][..], &stubborn].concat());
    pair.ended().code(137).not_before(0.9);
    let pair = both(&[&["--foreground", "-k", "0.1", "0.8"][..], &stubborn].concat());
    pair.ended().code(137).not_before(0.9);
    both(&["-s", "KILL", "0.2", "sleep", "20"]).ended().code(137).not_before(0.2);
    both(&["-s", "9", "--foreground", "0.2", "sleep", "20"]).ended().code(137).not_before(0.2);
}

#[test]
fn a_kill_that_was_not_needed_is_124() {
    both(&["-k", "20", "0.1", "sleep", "20"]).ended().code(124).says("");
    both(&["-k", "20", "0.8", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done 2>/dev/null"])
        .ended()
        .code(124)
        .says("");
}

#[test]
fn preserve_status_gives_the_code_of_the_command() {
    both(&["--preserve-status", "0.1", "sleep", "20"]).ended().code(143).says("");
    both(&["--preserve-status", "0.8", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done 2>/dev/null"])
        .ended()
        .code(3)
        .says("");
    both(&["--preserve-status", "-s", "0", "0.1", "sh", "-c", "sleep 0.4; exit 5"]).ended().code(5).says("");
    both(&["--preserve-status", "5", "sh", "-c", "exit 6"]).ended().code(6).says("");
}

#[test]
fn streams_pass_byte_for_byte_and_there_is_no_envelope() {
    let every: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let scratch = Scratch::new();
    std::fs::write(scratch.path("input"), &every).expect("a file");
    for arguments in [&["timeout", "20", "cat"][..], &["timeout", "--foreground", "0", "cat"]] {
        let streams = Streams {
            stdin: Some(Stdio::from(File::open(scratch.path("input")).expect("the file"))),
            ..Streams::default()
        };
        let ended = start_with(&mut scratch.runner(arguments), &Setup::default(), streams).ended();
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        assert!(ended.stdout == every, "{} bytes came out", ended.stdout.len());
        assert_eq!(ended.stderr, "");
    }
    for script in ["echo out; echo err >&2; exit 3", "echo out; echo err >&2; exec sleep 20"] {
        both(&["0.8", "sh", "-c", script]).ended().same_words().says("err\n");
    }
}

#[test]
fn the_command_has_the_very_streams_of_its_caller() {
    let pair = both(&["5", "sh", "-c", "readlink /proc/self/fd/0; test -p /dev/stdout || echo file"]);
    let ends = pair.ended();
    assert_eq!(ends.ours.out(), "/dev/null\nfile\n");
}

#[test]
fn a_standard_error_that_fails_changes_no_code() {
    let scratch = Scratch::new();
    let script = "trap '' TERM; exec sleep 20";
    let cases: &[(&[&str], i32)] = &[
        (&["timeout", "-v", "0.1", "sleep", "20"], 124),
        (&["timeout", "-v", "-k", "0.1", "0.2", "sh", "-c", script], 137),
        (&["timeout", "-v", "-p", "0.1", "sleep", "20"], 143),
        (&["timeout", "5x", "true"], 125),
        (&["timeout"], 125),
        (&["timeout", "5", "no-such-command"], 127),
        (&["timeout", "5", "/etc"], 126),
        (&["timeout", "5", "sh", "-c", "exit 3"], 3),
    ];
    for (arguments, code) in cases {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let streams = Streams { stderr: Some(Stdio::from(full)), ..Streams::default() };
        let ended = start_with(&mut scratch.runner(arguments), &Setup::default(), streams).ended();
        assert_eq!(ended.shell_code(), *code, "full: {arguments:?}");

        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let streams = Streams { stderr: Some(Stdio::from(writer)), ..Streams::default() };
        let ended = start_with(&mut scratch.runner(arguments), &Setup::default(), streams).ended();
        assert_eq!(ended.shell_code(), *code, "broken pipe: {arguments:?}");

        let mut closed = scratch.shell("exec runner \"$@\" 2>&-");
        closed.arg("sh").args(*arguments);
        assert_eq!(start(&mut closed).ended().shell_code(), *code, "closed: {arguments:?}");
    }
}

#[test]
fn every_stream_may_be_closed() {
    let scratch = Scratch::new();
    for (line, code) in
        [("exec runner timeout 0.1 sleep 20 <&- >&- 2>&-", 124), ("exec runner timeout 5 true <&- >&- 2>&-", 0)]
    {
        assert_eq!(start(&mut scratch.shell(line)).ended().shell_code(), code, "{line}");
    }
}

#[test]
fn descriptors_of_the_caller_are_inherited_and_none_of_ours() {
    let scratch = Scratch::new();
    // Whatever started the tests may have left more of them open: the shell says what there was.
    let list = "ls /proc/self/fd";
    let ended =
        start(&mut scratch.shell(&format!("exec 7</dev/null; {list}; echo; exec runner timeout 5 {list}"))).ended();
    let out = ended.out();
    let (before, within) = out.split_once("\n\n").expect("two lists");
    assert!(before.lines().any(|fd| fd == "7"), "{before}");
    assert_eq!(within.trim(), before.trim());
}

#[test]
fn it_is_timeout_when_the_program_is_called_so() {
    let scratch = Scratch::new();
    let ended = start(scratch.command(scratch.timeout_link()).args(["0.1", "sleep", "20"])).ended();
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(124), ""));
    // Found in the search path, too, where only argv[0] tells.
    let folder = scratch.path("").display().to_string();
    let mut command = scratch.shell(&format!("PATH={folder}:$PATH; timeout -v 0.1 sleep 20"));
    let ended = start(&mut command).ended();
    assert_eq!(ended.code(), Some(124));
    assert_eq!(ended.stderr, "timeout: sending signal TERM to command 'sleep'\n");
    // `exec` is then no verb but a duration that makes no sense.
    let ended = start(scratch.command(scratch.timeout_link()).args(["exec", "true"])).ended();
    assert_eq!(ended.code(), Some(125), "{}", ended.stderr);
}

#[test]
fn no_variable_and_no_config_file_is_read() {
    let scratch = Scratch::new();
    scratch.write("runner.toml", "[defaults]\ntimeout = \"50ms\"\ngrace = \"0\"\nsignal = \"KILL\"\n");
    std::fs::create_dir_all(scratch.path("config/runner")).expect("a folder");
    scratch.write("config/runner/config.toml", "this is [no TOML\n");
    let variables = [
        ("RUNNER_TIMEOUT", "0.05"),
        ("RUNNER_IDLE_TIMEOUT", "0.05"),
        ("RUNNER_MAX_TIMEOUT", "junk"),
        ("RUNNER_GRACE", "0"),
        ("RUNNER_PROGRESS", "junk"),
        ("RUNNER_ERROR_FORMAT", "json"),
        ("RUNNER_STATE_DIR", "/nonexistent"),
        ("RUNNER_DEADLINE_UNIX_MS", "1"),
    ];
    let run = |arguments: &[&str]| start(scratch.runner(arguments).envs(variables)).ended();
    let ended = run(&["timeout", "20", "sh", "-c", "sleep 0.5; exit 5"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(5), ""));
    let ended = run(&[
        "timeout",
        "0.8",
        "sh",
        "-c",
        "trap 'sleep 0.1; echo cleaned; exit' TERM; while :; do sleep 0.05; done 2>/dev/null",
    ]);
    assert_eq!((ended.code(), ended.stderr.as_str(), ended.out().as_str()), (Some(124), "", "cleaned\n"));
    let ended = run(&["timeout", "5", "no-such-command"]);
    assert_eq!(ended.code(), Some(127));
    assert!(!ended.stderr.contains('{'), "{}", ended.stderr);
    // They are the command's to read all the same.
    let ended = run(&["timeout", "5", "sh", "-c", "echo $RUNNER_GRACE $RUNNER_ERROR_FORMAT"]);
    assert_eq!(ended.out(), "0 json\n");
}

#[test]
fn a_background_process_is_left_alone_at_a_normal_end_and_not_waited_for() {
    let mut ends = both(&["20", "sh", "-c", "sleep 25 >/dev/null & echo $!"]).ended().code(0).says("");
    let mut found = 0;
    for end in [Some(&mut ends.ours), ends.theirs.as_mut()].into_iter().flatten() {
        let pid: i32 = end.out().trim().parse().expect("a process id");
        assert!(!matches!(state(pid), None | Some('Z')), "{pid} lives on");
        assert!(end.elapsed < Duration::from_secs(10), "{:?}", end.elapsed);
        kill(pid);
        found += 1;
    }
    assert_eq!(found, if gnu().is_some() { 2 } else { 1 });
}

#[test]
fn a_background_process_that_holds_the_output_does_not_hold_up_the_end() {
    let scratch = Scratch::new();
    let mut leash = Leash::new(&scratch);
    let line = "runner timeout 20 sh -c 'exec 9>leash; printf + >&9; sleep 25 & echo $! >pid; exit 3'; echo $? >code";
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let streams = Streams { stdout: Some(Stdio::from(writer)), ..Streams::default() };
    let shell = start_with(&mut scratch.shell(line), &Setup::default(), streams);
    assert_eq!(scratch.line("code"), "3");
    leash.held_by(1);
    assert!(leash.is_held(), "the background process is left alone");
    kill(scratch.pid("pid"));
    leash.freed();
    drop(reader);
    shell.ended();
}
