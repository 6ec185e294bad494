//! Signals and `runner timeout`: which one it sends, which ones it passes on, what it dies of, what the command
//! inherits, and that nothing escapes.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use crate::support::terminal::leash::Leash;
use crate::support::terminal::peer::{Pair, both, both_as};
use crate::support::terminal::process::{Running, Setup, in_set, set, settled, start, start_as};
use crate::support::terminal::{Scratch, Stopwatch, until};

/// The signals whose default action ends a process and which a program can catch, save those of a crash.
const TERMINATING: &[i32] = &[
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGXCPU,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSTKFLT,
    34,
    64,
];

#[test]
fn signals_of_every_spelling_are_sent() {
    // With the status preserved the code says which signal ended the command.
    let spellings = [
        ("TERM", 143),
        ("SIGTERM", 143),
        ("term", 143),
        ("sigterm", 143),
        ("SigTerm", 143),
        ("15", 143),
        ("143", 143),
        ("015", 143),
        ("HUP", 129),
        ("1", 129),
        ("INT", 130),
        ("QUIT", 131),
        ("ABRT", 134),
        ("IOT", 134),
        ("KILL", 137),
        ("USR1", 138),
        ("SEGV", 139),
        ("USR2", 140),
        ("PIPE", 141),
        ("ALRM", 142),
        ("POLL", 157),
        ("IO", 157),
        ("SYS", 159),
        ("RTMIN", 162),
        ("rtmin+1", 163),
        ("SIGRTMIN+2", 164),
        ("34", 162),
        ("RTMAX", 192),
        ("RTMAX-1", 191),
        ("RTMAX-30", 162),
        ("64", 192),
    ];
    for some in spellings.chunks(8) {
        let pairs: Vec<(Pair, i32)> = some
            .iter()
            .map(|(name, code)| (both(&["--preserve-status", "-s", name, "0.1", "sleep", "20"]), *code))
            .collect();
        for (pair, code) in pairs {
            pair.ended().code(code).same_words();
        }
    }
}

#[test]
fn a_signal_that_ends_nothing_leaves_the_command_to_its_end() {
    let names = ["0", "EXIT", "CONT", "WINCH", "URG", "TSTP", "128"];
    let pairs: Vec<Pair> = names.iter().map(|name| both(&["-s", name, "0.1", "sleep", "0.5"])).collect();
    for pair in pairs {
        pair.ended().code(124).same_words().not_before(0.5);
    }
    // CHLD makes GNU timeout lose its own command.
    let scratch = Scratch::new();
    let ended = start(&mut scratch.runner(&["timeout", "-s", "CHLD", "0.1", "sleep", "0.5"])).ended();
    assert_eq!(ended.shell_code(), 124);
}

#[test]
fn a_signal_that_ends_nothing_is_followed_by_the_kill() {
    for name in ["0", "CONT", "WINCH"] {
        both(&["-s", name, "-k", "0.2", "0.1", "sleep", "20"]).ended().code(137).not_before(0.3);
    }
    // STOP stops GNU timeout itself; ours must come back.
    let scratch = Scratch::new();
    let ended = start(&mut scratch.runner(&["timeout", "-s", "STOP", "-k", "0.2", "0.1", "sleep", "20"])).ended();
    assert_eq!(ended.shell_code(), 137);
    assert!(ended.elapsed >= Duration::from_millis(300));
}

#[test]
fn it_dies_of_the_signal_that_its_command_died_of() {
    let signals = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGABRT,
        libc::SIGKILL,
        libc::SIGUSR1,
        libc::SIGSEGV,
        libc::SIGPIPE,
        libc::SIGALRM,
        libc::SIGTERM,
        libc::SIGXCPU,
        34,
        64,
    ];
    for some in signals.chunks(7) {
        let pairs: Vec<(Pair, i32)> = some
            .iter()
            .map(|signal| (both(&["5", "sh", "-c", &format!("kill -{signal} $$; sleep 5")]), *signal))
            .collect();
        for (pair, signal) in pairs {
            pair.ended().died_of(signal).says("");
        }
    }
}

#[test]
fn it_dumps_no_core_of_its_own() {
    let script = "ulimit -c 0; kill -SEGV $$; sleep 5";
    let setup = Setup { core: true, ..Setup::default() };
    both_as(&["5", "sh", "-c", script], &setup, |_| {}).ended().died_of(libc::SIGSEGV);
}

/// A command that says which of these signals it got, and ends with 7.
fn catcher(signals: &[i32]) -> String {
    let mut script = String::new();
    for signal in signals {
        script += &format!("trap 'echo got-{signal}; exit 7' {signal}\n");
    }
    // A trap runs after the short sleep, whatever became of that; `wait` would end with a child that got the signal too.
    script + "echo ready\nwhile :; do sleep 0.05; done\n"
}

fn each(pair: &Pair) -> impl Iterator<Item = &Running> {
    std::iter::once(&pair.ours).chain(pair.theirs.as_ref())
}

#[test]
fn signals_that_gnu_passes_on_are_passed_on() {
    let signals = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
    let pairs: Vec<(Pair, i32)> =
        signals.iter().map(|signal| (both(&["20", "sh", "-c", &catcher(&[*signal])]), *signal)).collect();
    for (pair, signal) in pairs {
        for run in each(&pair) {
            run.says("ready");
            run.signal(signal);
        }
        let ends = pair.ended().code(7);
        assert_eq!(ends.ours.out(), format!("ready\ngot-{signal}\n"));
    }
}

#[test]
fn every_terminating_signal_is_passed_on() {
    passed_on(TERMINATING);
}

#[test]
fn a_broken_pipe_from_outside_is_passed_on() {
    passed_on(&[libc::SIGPIPE]);
}

#[track_caller]
fn passed_on(signals: &[i32]) {
    let scratch = Scratch::new();
    for some in signals.chunks(5) {
        let runs: Vec<(Running, i32)> = some
            .iter()
            .map(|signal| {
                let script = catcher(&[*signal]);
                (start(&mut scratch.runner(&["timeout", "20", "sh", "-c", &script])), *signal)
            })
            .collect();
        for (run, signal) in runs {
            run.says("ready");
            run.signal(signal);
            run.says(&format!("ready\ngot-{signal}\n"));
            let ended = run.ended();
            assert_eq!(ended.shell_code(), 7, "signal {signal}: {}", ended.status);
        }
    }
}

#[test]
fn an_alarm_from_outside_reaches_the_command_too() {
    // To GNU timeout it is its own clock, so the command gets TERM; passed on as it is, it gets ALRM.
    let pair = both(&["20", "sh", "-c", &catcher(&[libc::SIGALRM, libc::SIGTERM])]);
    for run in each(&pair) {
        run.says("ready");
        run.signal(libc::SIGALRM);
    }
    let ended = pair.ended().ours;
    assert!(["ready\ngot-14\n", "ready\ngot-15\n"].contains(&ended.out().as_str()), "{}", ended.out());
}

#[test]
fn a_command_that_dies_of_what_was_passed_on_is_followed() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        let pair = both(&["20", "sh", "-c", "echo ready; exec sleep 20"]);
        for run in each(&pair) {
            run.says("ready");
            run.signal(signal);
        }
        pair.ended().died_of(signal).says("");
    }
    let scratch = Scratch::new();
    for signal in [libc::SIGUSR1, libc::SIGUSR2] {
        let run = start(&mut scratch.runner(&["timeout", "20", "sh", "-c", "echo ready; exec sleep 20"]));
        run.says("ready");
        run.signal(signal);
        assert_eq!(run.ended().signal(), Some(signal));
    }
}

#[test]
fn verbose_names_what_is_passed_on() {
    let pair = both(&["-v", "20", "sh", "-c", "echo ready; exec sleep 20"]);
    for run in each(&pair) {
        run.says("ready");
        run.signal(libc::SIGHUP);
    }
    pair.ended().died_of(libc::SIGHUP).says("timeout: sending signal HUP to command 'sh'\n");
}

#[test]
fn a_signal_that_is_passed_on_starts_the_clock_of_the_kill() {
    let pair = both(&["-k", "0.3", "60", "sh", "-c", "trap '' TERM; echo ready; exec sleep 20"]);
    for run in each(&pair) {
        run.says("ready");
    }
    let clock = Stopwatch::start();
    for run in each(&pair) {
        run.signal(libc::SIGTERM);
    }
    let _ = pair.ended().code(137);
    assert!(clock.elapsed() >= Duration::from_millis(300), "{:?}", clock.elapsed());
}

#[test]
fn a_command_may_go_on_after_what_was_passed_on() {
    let script = "trap 'echo got' TERM; echo ready; until [ -e go ]; do sleep 0.02; done; exit 4";
    let scratch = Scratch::new();
    let run = start(&mut scratch.runner(&["timeout", "20", "sh", "-c", script]));
    run.says("ready");
    run.signal(libc::SIGTERM);
    run.says("got");
    scratch.write("go", "");
    assert_eq!(run.ended().shell_code(), 4);
}

#[test]
fn a_stopped_command_is_continued_after_the_signal() {
    both(&["0.4", "sh", "-c", "kill -STOP $$; sleep 20"]).ended().code(124).not_before(0.4);
    // The signal is there before it goes on, so the trap is what runs first.
    let script = "trap 'echo got; exit 3' TERM; kill -STOP $$; echo went-on; sleep 20";
    let ends = both(&["--preserve-status", "0.8", "sh", "-c", script]).ended().code(3);
    assert_eq!(ends.ours.out(), "got\n");
}

/// A command whose children sit in sessions of their own; every one of them holds the leash.
const SPREAD: &str = "exec 9>leash
setsid sh -c 'printf + >&9; exec sleep 30' &
(setsid sh -c 'printf + >&9; exec sleep 30' &)
printf + >&9
exec sleep 30
";

#[test]
fn nothing_escapes_a_timeout() {
    for options in [&["1"][..], &["-k", "20", "1"], &["-s", "KILL", "1"]] {
        let scratch = Scratch::new();
        let mut leash = Leash::new(&scratch);
        let run = start(&mut scratch.runner(&[&["timeout"][..], options, &["sh", "-c", SPREAD]].concat()));
        leash.held_by(3);
        leash.freed();
        let code = if options.contains(&"KILL") { 137 } else { 124 };
        assert_eq!(run.ended().shell_code(), code, "{options:?}");
    }
}

#[test]
fn nothing_that_ignores_the_signal_escapes_the_kill() {
    let scratch = Scratch::new();
    let mut leash = Leash::new(&scratch);
    let script = format!("trap '' TERM HUP INT\n{SPREAD}");
    let run = start(&mut scratch.runner(&["timeout", "-k", "0.3", "1", "sh", "-c", &script]));
    leash.held_by(3);
    leash.freed();
    let ended = run.ended();
    assert_eq!(ended.shell_code(), 137);
    assert!(ended.elapsed >= Duration::from_millis(1300), "{:?}", ended.elapsed);
}

#[test]
fn what_outlives_a_command_that_was_timed_out_does_not_escape() {
    let scratch = Scratch::new();
    let mut leash = Leash::new(&scratch);
    let script = "exec 9>leash
setsid sh -c 'trap \"\" TERM; printf + >&9; exec sleep 30' &
printf + >&9
exec sleep 30
";
    let run = start(&mut scratch.runner(&["timeout", "-k", "0.3", "1", "sh", "-c", script]));
    leash.held_by(2);
    leash.freed();
    let code = run.ended().shell_code();
    assert!([124, 137].contains(&code), "{code}");
}

#[test]
fn nothing_escapes_when_a_signal_is_passed_on() {
    let scratch = Scratch::new();
    let mut leash = Leash::new(&scratch);
    let run = start(&mut scratch.runner(&["timeout", "20", "sh", "-c", SPREAD]));
    leash.held_by(3);
    run.signal(libc::SIGTERM);
    leash.freed();
    assert_eq!(run.ended().signal(), Some(libc::SIGTERM));
}

#[test]
fn a_kill_of_timeout_takes_the_command_and_its_tree_with_it() {
    let scratch = Scratch::new();
    let mut leash = Leash::new(&scratch);
    let run = start(&mut scratch.runner(&["timeout", "60", "sh", "-c", &format!("trap '' TERM HUP\n{SPREAD}")]));
    leash.held_by(3);
    run.signal(libc::SIGKILL);
    leash.freed();
    assert_eq!(run.ended().signal(), Some(libc::SIGKILL));
}

/// As newer versions of GNU timeout do with a parent-death signal.
#[test]
fn the_command_gets_its_signal_when_timeout_is_killed() {
    let scratch = Scratch::new();
    let script = "trap 'echo signaled >signaled; exit' USR1; echo $$ >up; while :; do sleep 0.02; done";
    let run = start(&mut scratch.runner(&["timeout", "-s", "USR1", "60", "sh", "-c", script]));
    let command = scratch.pid("up");
    run.signal(libc::SIGKILL);
    assert_eq!(scratch.line("signaled"), "signaled");
    until("the command has ended", || !crate::support::is_alive(command));
}

/// The first signal goes to the command and its group: an inner timeout, which has its own group, sends its own signal
/// to its command.
#[test]
fn a_timeout_below_a_timeout_sends_its_own_signal() {
    let command = "trap 'echo cleaned; exit' USR1; while :; do sleep 0.02; done";
    let scratch = Scratch::new();
    let own = scratch.timeout_link();
    for inner in [own.as_path(), Path::new("timeout")] {
        let outer = ["-s", "ALRM", "1"].map(OsStr::new);
        let job = ["-s", "USR1", "25", "sh", "-c", command].map(OsStr::new);
        let ended = both(&[&outer[..], &[inner.as_os_str()], &job].concat()).ended().code(124);
        // The shell may also print the signal that ended its sleep(1).
        assert!(ended.theirs.is_none_or(|theirs| theirs.out() == "cleaned\n"));
        assert_eq!(ended.ours.out(), "cleaned\n", "{}", inner.display());
    }
}

/// A child has time to shut down after its parent has exited.
#[test]
fn children_have_time_to_exit_after_their_parent() {
    let child = "trap 'sleep 2; echo finished >finished; exit' TERM; echo $$ >up; while :; do sleep 0.02; done";
    let script = format!("sh -c \"{child}\" & until [ -e up ]; do sleep 0.02; done; exec sleep 30");
    let ended = both(&["1", "sh", "-c", &script]).ended().code(124);
    for scratch in ended.folders() {
        assert_eq!(scratch.line("finished"), "finished");
    }
}

#[test]
fn in_the_foreground_only_the_command_is_signaled() {
    let script = "sh -c 'echo $$ >child; exec sleep 30' & until [ -e child ]; do sleep 0.02; done; exec sleep 30";
    for options in [&["--foreground", "1"][..], &["--foreground", "-k", "0.2", "-s", "KILL", "1"]] {
        let pair = both(&[options, &["sh", "-c", script]].concat());
        let code = if options.len() > 2 { 137 } else { 124 };
        let ended = pair.ended().code(code);
        for scratch in ended.folders() {
            let child = scratch.pid("child");
            assert!(crate::support::is_alive(child), "{options:?}");
            crate::support::signal(child, libc::SIGKILL);
        }
    }
}

#[test]
fn a_parent_that_ignores_chld_loses_no_code() {
    let setup = Setup::ignoring(&[libc::SIGCHLD]);
    both_as(&["5", "sh", "-c", "exit 6"], &setup, |_| {}).ended().code(6).says("");
    both_as(&["0.1", "sleep", "20"], &setup, |_| {}).ended().code(124).says("");
    let status = status_of_command(&setup);
    assert!(!in_set(&status, "SigIgn", libc::SIGCHLD), "{status}");
}

fn status_of_command(setup: &Setup) -> String {
    let scratch = Scratch::new();
    let ended = start_as(&mut scratch.runner(&["timeout", "5", "cat", "/proc/self/status"]), setup).ended();
    assert_eq!(ended.code(), Some(0), "{}: {}", ended.status, ended.stderr);
    ended.out()
}

#[test]
fn a_command_starts_with_the_signals_that_gnu_gives_it() {
    let ends = both(&["5", "cat", "/proc/self/status"]).ended().code(0);
    let ours = ends.ours.out();
    assert_eq!(set(&ours, "SigIgn"), 0, "{ours}");
    assert_eq!(set(&ours, "SigBlk"), 0, "{ours}");
    if let Some(theirs) = ends.theirs.map(|end| end.out()) {
        for name in ["SigIgn", "SigBlk", "SigCgt"] {
            assert_eq!(set(&ours, name), set(&theirs, name), "{name}");
        }
    }
}

#[test]
fn an_ignored_pipe_stays_ignored_and_a_default_one_stays_default() {
    let status = status_of_command(&Setup::ignoring(&[libc::SIGPIPE]));
    assert!(in_set(&status, "SigIgn", libc::SIGPIPE), "{status}");
    let scratch = Scratch::new();
    let mut command = scratch.shell("trap '' PIPE; runner timeout 5 grep SigIgn /proc/self/status");
    let path = crate::support::terminal::search_path();
    command.env_clear().env("PATH", path);
    let status = start(&mut command).ended().out();
    assert!(in_set(&status, "SigIgn", libc::SIGPIPE), "{status}");
    // A reader that leaves ends the command, as it would without us.
    let line = "(runner timeout 20 yes; echo $? >code) | head -n 1";
    let ended = start(&mut scratch.shell(line)).ended();
    assert_eq!(ended.out(), "y\n");
    assert_eq!(scratch.line("code"), "141");
}

#[test]
fn hup_int_and_quit_that_were_ignored_stay_so() {
    let signals = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT];
    let status = status_of_command(&Setup::ignoring(&signals));
    for signal in signals {
        assert!(in_set(&status, "SigIgn", signal), "{signal}: {status}");
    }
    let scratch = Scratch::new();
    let script = "echo ready; until [ -e go ]; do sleep 0.02; done; exit 4";
    let mut command = scratch.runner(&["timeout", "20", "sh", "-c", script]);
    let run = start_as(&mut command, &Setup::ignoring(&signals));
    run.says("ready");
    for signal in signals {
        run.signal(signal);
        settled(run.pid(), signal);
    }
    scratch.write("go", "");
    assert_eq!(run.ended().shell_code(), 4);
}

#[test]
fn a_deadline_holds_with_every_signal_blocked_above() {
    let setup = Setup { blocked: true, ..Setup::default() };
    let scratch = Scratch::new();
    let ended = start_as(&mut scratch.runner(&["timeout", "0.2", "sleep", "20"]), &setup).ended();
    assert_eq!(ended.shell_code(), 124);
    let status = status_of_command(&setup);
    assert!(!in_set(&status, "SigBlk", libc::SIGTERM), "{status}");
}

#[test]
fn a_command_that_signals_its_own_group_leaves_the_shell_above_alone() {
    let scratch = Scratch::new();
    let line = "runner timeout 20 sh -c 'kill -TERM 0; sleep 20'; echo above=$?";
    let ended = start(&mut scratch.shell(line)).ended();
    assert_eq!(ended.out(), "above=143\n", "{}", ended.stderr);
}
