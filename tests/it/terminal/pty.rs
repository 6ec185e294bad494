//! A job with a pseudo-terminal of its own finds all that a terminal is, and the terminal above it comes to no harm.

use std::time::Duration;

use crate::support::has_program;
use crate::support::terminal::desk::{BAR, GATE, desk, job};
use crate::support::terminal::leash::Leash;
use crate::support::terminal::process::{self, Setup, send, start, start_as, state};
use crate::support::terminal::pty::Terminal;
use crate::support::terminal::{Scratch, Stopwatch, answer, until};

/// The envelope that a call without a terminal gives on stdout.
fn envelope(scratch: &Scratch, arguments: &[&str]) -> serde_json::Value {
    let ended = start(&mut scratch.runner(arguments)).ended();
    serde_json::from_str(&ended.out()).unwrap_or_else(|error| panic!("{error}: {} {}", ended.out(), ended.stderr))
}

#[test]
fn every_stream_of_the_job_is_its_terminal() {
    let (scratch, _leash) =
        job("for fd in 0 1 2; do test -t $fd && printf \"fd$fd \"; done; test \"$(tty)\" = \"$1\" || echo own");
    let mut terminal = desk(&scratch);
    let shown = terminal.run_line(&format!("{BAR} -- sh job.sh $(tty)"));
    assert!(shown.contains("fd0 fd1 fd2 own"), "{shown}");
}

#[test]
fn the_guard_leads_the_session_and_the_job_is_in_its_foreground() {
    let (scratch, _leash) =
        job("set -- $(cat /proc/$$/stat); echo \"<pid=$1 parent=$4 group=$5 session=$6 foreground=$8>\"");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    terminal.expect("<pid=");
    let line = terminal.expect(">");
    let numbers: Vec<&str> = line.split(' ').map(|part| part.rsplit('=').next().unwrap_or_default()).collect();
    assert_eq!(numbers[0], numbers[2], "the job leads its group: {line}");
    assert_eq!(numbers[1], numbers[3], "its parent, the guard, leads the session: {line}");
    assert_eq!(numbers[0], numbers[4], "the job is in the foreground: {line}");
    terminal.prompt();
}

#[test]
fn a_terminal_can_be_had_without_one() {
    let scratch = Scratch::new();
    let line = "test -t 1 && test -t 2 && stty size <&1; echo out; echo err >&2; echo again";
    let ended = start(&mut scratch.runner(&["exec", "--pty", "-c", line])).ended();
    assert_eq!((ended.out().as_str(), ended.stderr.as_str()), ("24 80\r\nout\r\nerr\r\nagain\r\n", ""));
}

#[test]
fn output_of_both_streams_is_one_in_its_true_order() {
    let scratch = Scratch::new();
    let line = "for i in 1 2 3 4 5; do echo out$i; echo err$i >&2; done";
    let envelope = envelope(&scratch, &["exec", "--pty", "--json", "-c", line]);
    let wanted: String = (1..6).map(|i| format!("out{i}\r\nerr{i}\r\n")).collect();
    assert_eq!(envelope["data"]["stdout"], wanted, "{envelope}");
    assert_eq!(envelope["data"]["stderr"], "", "{envelope}");
    assert_eq!(envelope["data"]["merged"], true, "{envelope}");
}

#[test]
fn a_new_size_of_the_window_reaches_the_job() {
    let (scratch, mut leash) = job("trap 'echo \"size=$(stty size)\"; exit 5' WINCH
echo \"first=$(stty size)\"; exec 9>leash; printf + >&9; while :; do sleep 0.05; done");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 20 -- sh job.sh"));
    terminal.expect("first=24 80");
    leash.held_by(1);
    terminal.resize(40, 100);
    terminal.expect("size=40 100");
    terminal.prompt();
    assert_eq!(terminal.status(), 5);
}

#[test]
fn a_size_that_changed_while_runner_was_stopped_reaches_the_job_with_fg() {
    let (scratch, mut leash) = job("trap 'echo \"size=$(stty size)\"; exit 5' WINCH
exec 9>leash; printf + >&9; while :; do sleep 0.05; done");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 20 -- sh job.sh"));
    leash.held_by(1);
    terminal.ctrl_z();
    terminal.prompt();
    terminal.resize(40, 100);
    terminal.line("fg");
    terminal.expect("size=40 100");
    terminal.prompt();
    assert_eq!(terminal.status(), 5);
}

#[test]
fn the_job_reads_lines_and_the_terminal_itself() {
    let (scratch, _leash) = job("printf 'a? '; read a; printf 'b? ' >/dev/tty; read b </dev/tty; echo \"<$a+$b>\"");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    terminal.expect("a? ");
    terminal.line("one");
    terminal.expect("b? ");
    terminal.line("two");
    terminal.expect("<one+two>");
    terminal.prompt();
}

#[test]
fn a_password_is_not_shown() {
    let (scratch, _leash) = job("stty -echo; printf 'secret? '; read a; stty echo; echo; echo \"length ${#a}\"");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    terminal.expect("secret? ");
    terminal.line("sesame");
    terminal.expect("length 6");
    terminal.prompt();
    assert!(!terminal.screen().contains("sesame"));
}

#[test]
fn ctrl_d_ends_the_input() {
    let scratch = Scratch::new();
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh -c 'cat; echo over'"));
    terminal.picture_when("the bar is there", |now| now.bar("job").is_some());
    terminal.line("word");
    // Its echo, and what came back.
    terminal.expect("word\r");
    terminal.expect("word\r");
    terminal.send(b"\x04");
    terminal.expect("over");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn ctrl_s_stops_the_output_and_ctrl_q_lets_it_go_on() {
    let (scratch, mut leash) = job("exec 9>leash; stty -icanon -echo; printf + >&9; head -c 1 >key
echo before-the-write >begun; echo from-the-job; echo 1 >written");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    leash.held_by(1);
    terminal.picture_when("the bar is there", |now| now.bar("job").is_some());
    terminal.send(b"\x13");
    // Keys are handled in order: once the job has this one, its terminal has processed Ctrl-S.
    terminal.send(b"x");
    scratch.line("begun");
    // The bar is not stopped, since it is not output of the job.
    let seen = terminal.bytes().len();
    terminal.picture_when("the bar goes on", |_| terminal.bytes().len() > seen + 100);
    assert!(!terminal.screen().contains("from-the-job"));
    assert_eq!(scratch.read("written"), "", "the job waits");
    terminal.send(b"\x11");
    terminal.expect("from-the-job");
    terminal.prompt();
}

#[test]
fn a_large_paste_reaches_the_job_whole() {
    // Slow at first: what is typed must wait, not be lost.
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; sleep 0.5; head -n 3000 | cksum >sum");
    let text: String = (0..3000).map(|line| format!("line {line} of a text that was pasted\n")).collect();
    scratch.write("text", &text);
    let mut terminal = desk(&scratch);
    terminal.run_line("cksum <text >wanted");
    terminal.line(&format!("{BAR} -- sh job.sh"));
    leash.held_by(1);
    terminal.send(text.as_bytes());
    terminal.prompt();
    assert_eq!(scratch.read("sum"), scratch.read("wanted"));
}

#[test]
fn ctrl_c_reaches_a_job_that_left_a_paste_unread() {
    let (scratch, mut leash) =
        job("trap 'echo got-it; exit 0' INT; exec 9>leash; printf + >&9; while :; do sleep 0.05; done");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} --grace 8 -- sh job.sh"));
    leash.held_by(1);
    for _ in 0..500 {
        terminal.send(b"a line that nobody reads, one of many\n");
    }
    terminal.send(b"\x03");
    terminal.expect("got-it");
    terminal.prompt();
}

#[test]
fn ctrl_c_reaches_the_job_and_cancels_it() {
    let (scratch, mut leash) =
        job("trap 'echo tidied; exit 9' INT; exec 9>leash; printf + >&9; while :; do sleep 0.05; done");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh </dev/null"));
    leash.held_by(1);
    terminal.send(b"\x03");
    let before = terminal.expect("cancelled by SIGINT");
    assert!(before.contains("tidied"), "{before}");
    terminal.prompt();
    leash.freed();
    assert_eq!(terminal.status(), 130);
}

#[test]
fn runner_dies_of_the_interrupt() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; exec sleep 30");
    scratch.write("outer.sh", "while :; do runner exec --progress bar -- sh job.sh; echo next-round; done");
    let mut terminal = desk(&scratch);
    terminal.line("bash outer.sh");
    leash.held_by(1);
    terminal.send(b"\x03");
    let shown = terminal.prompt();
    assert!(shown.contains("cancelled by SIGINT") && !shown.contains("next-round"), "{shown}");
    leash.freed();
    assert_eq!(terminal.status(), 130);
}

#[test]
fn a_second_ctrl_c_kills() {
    let (scratch, mut leash) =
        job("trap 'echo heard' INT; trap '' TERM; exec 9>leash; printf + >&9; while :; do sleep 0.05; done");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} --grace 60 -- sh job.sh </dev/null"));
    leash.held_by(1);
    let clock = Stopwatch::start();
    terminal.send(b"\x03");
    terminal.expect("heard");
    terminal.send(b"\x03");
    terminal.prompt();
    leash.freed();
    assert!(clock.elapsed() < Duration::from_secs(20), "the grace was not waited for");
    assert_eq!(terminal.status(), 130);
    assert!(terminal.echoes());
}

#[test]
fn ctrl_backslash_cancels_too() {
    let (scratch, mut leash) =
        job("trap 'echo quit-heard' QUIT; exec 9>leash; printf + >&9; while :; do sleep 0.05; done");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} --grace 300ms -- sh job.sh"));
    leash.held_by(1);
    terminal.send(b"\x1c");
    terminal.expect("quit-heard");
    terminal.expect("cancelled by SIGQUIT");
    terminal.prompt();
    assert_eq!(terminal.status(), 131);
    leash.freed();
}

#[test]
fn a_program_that_wants_ctrl_c_as_a_key_gets_it() {
    let (scratch, mut leash) =
        job("stty raw -echo; exec 9>leash; printf + >&9; dd bs=1 count=3 2>/dev/null | od -An -tx1; stty sane");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh"));
    leash.held_by(1);
    terminal.send(b"\x03\x1a\x1c");
    terminal.expect("03 1a 1c");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn ctrl_z_suspends_both_and_fg_continues_with_the_keyboard() {
    let (scratch, mut leash) = job("echo $$ >job.pid; exec 9>leash; printf + >&9; read line; echo \"<got:$line>\"");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 2 -- sh job.sh"));
    leash.held_by(1);
    let (runner, job) = (terminal.foreground(), scratch.pid("job.pid"));
    terminal.send(b"\x1a");
    terminal.expect("Stopped");
    terminal.prompt();
    assert_eq!(state(runner), Some('T'));
    until("the job is stopped", || state(job) == Some('T'));
    assert!(terminal.echoes(), "the shell has its modes");
    // Longer than the whole timeout.
    terminal.run_line("sleep 2.3");
    terminal.line("fg");
    terminal.picture_when("the bar is back", |now| now.bar("job").is_some());
    terminal.line("word");
    terminal.expect("<got:word>");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
    assert!(terminal.echoes());
}

#[test]
fn a_runner_that_was_put_into_the_background_gets_the_keyboard_with_fg() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; read line; echo \"<got:$line>\"");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 20 -- sh job.sh"));
    leash.held_by(1);
    terminal.picture_when("the bar is there", |now| now.bar("job").is_some());
    terminal.send(b"\x1a");
    terminal.prompt();
    terminal.run_line("bg");
    assert!(terminal.echoes(), "the keyboard is the shell's");
    // The shell does not continue what runs already, and so sends no signal.
    terminal.line("fg");
    terminal.picture_when("the bar is back", |now| now.bar("job").is_some());
    until("the keyboard was taken", || !terminal.echoes());
    terminal.line("word");
    terminal.expect("<got:word>");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn a_runner_that_was_started_in_the_background_gets_the_keyboard_with_fg() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; read line; echo \"<got:$line>\"");
    let mut terminal = desk(&scratch);
    terminal.run_line("runner exec --pty -t 20 -- sh job.sh &");
    leash.held_by(1);
    assert!(terminal.echoes(), "the keyboard is the shell's");
    terminal.line("fg");
    until("the keyboard was taken", || !terminal.echoes());
    terminal.line("word");
    terminal.expect("<got:word>");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn a_job_that_suspends_itself_gives_the_prompt_back() {
    // As an editor does with Ctrl-Z: it reads the key itself, and stops its own group.
    let (scratch, mut leash) =
        job("exec 9>leash; printf + >&9; echo last-words; kill -TSTP 0; echo went-on; read line; echo \"<got:$line>\"");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 20 -- sh job.sh"));
    leash.held_by(1);
    let before = terminal.expect("Stopped");
    assert!(before.contains("last-words"), "{before}");
    terminal.prompt();
    terminal.line("fg");
    terminal.expect("went-on");
    terminal.line("word");
    terminal.expect("<got:word>");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
}

#[test]
fn what_outlives_the_leader_is_reported_and_not_hung_up() {
    let (scratch, mut leash) = job("(exec 9>leash; trap 'echo hup >hup' HUP; printf + >&9; echo $(exec sh -c 'echo $PPID') >child
until [ -e go ]; do sleep 0.02; done; echo 1 >survived) </dev/null & until [ -s child ]; do sleep 0.02; done; echo leader-over");
    let mut terminal = desk(&scratch);
    let shown = terminal.run_line(&format!("{BAR} -- sh job.sh"));
    leash.held_by(1);
    assert!(shown.contains("leader-over") && shown.contains("runner: left running: "), "{shown}");
    assert!(leash.is_held());
    scratch.write("go", "");
    leash.freed();
    assert_eq!((scratch.read("survived").as_str(), scratch.read("hup").as_str()), ("1\n", ""));
}

#[test]
fn output_after_the_stop_signal_is_complete() {
    let (scratch, mut leash) =
        job("trap 'seq -f last-%g 1 2000; exit 0' TERM; exec 9>leash; printf + >&9; while :; do sleep 0.05; done");
    let mut command = scratch.runner(&["exec", "--pty", "--json", "-t", "400ms", "--", "sh", "job.sh"]);
    let ended = start(&mut command).ended();
    leash.freed();
    let answer: serde_json::Value = serde_json::from_str(&ended.out()).expect("an answer");
    let wanted: String = (1..=2000).map(|number| format!("last-{number}\r\n")).collect();
    assert_eq!(answer["error"]["code"], "TIMEOUT");
    let shown = answer["error"]["details"]["partial_result"]["stdout"].as_str().expect("a text");
    // The shell says before that its own child was terminated.
    let found = shown.find("last-1\r").map(|at| &shown[at..]);
    assert!(found == Some(&wanted), "{} bytes, {}", shown.len(), shown.chars().take(60).collect::<String>());
}

/// A job that does this to its terminal is killed for time, and the terminal is as it was.
#[track_caller]
fn is_killed_for_time(text: &str, processes: usize) {
    let (scratch, mut leash) = job(text);
    scratch.write(
        "outer.sh",
        &format!("read begin\n{BAR} -t 600ms --grace 200ms -- bash job.sh 2>err\necho \"<code=$?>\"\nread end\n"),
    );
    for (terminal_of_stderr, line) in [("yes", "runner exec --pty"), ("no", "runner exec --pty --json")] {
        let line =
            format!("read begin\n{line} -t 600ms --grace 200ms -- bash job.sh >out\necho \"<code=$?>\"\nread end\n");
        scratch.write("outer.sh", &line);
        let mut terminal = Terminal::run(&mut scratch.shell("exec sh outer.sh"));
        let before = terminal.modes();
        terminal.line("");
        leash.held_by(processes);
        terminal.expect("<code=124>");
        assert_eq!(terminal.modes(), before, "{terminal_of_stderr}");
        leash.freed();
        leash = Leash::named(&scratch, if terminal_of_stderr == "yes" { "leash2" } else { "leash3" });
        scratch.write("job.sh", &text.replace(">leash", ">leash2"));
    }
}

#[test]
fn a_job_in_raw_mode_is_killed_for_time() {
    is_killed_for_time("trap '' TERM INT HUP; exec 9>leash; stty raw -echo -isig; printf + >&9; exec sleep 30", 1);
}

#[test]
fn a_job_that_moves_the_foreground_is_killed_for_time() {
    is_killed_for_time("set -m; trap '' TERM HUP; exec 9>leash; (printf + >&9; trap '' TERM HUP; sleep 30) & fg", 1);
}

#[test]
fn a_job_in_a_session_of_its_own_is_killed_for_time() {
    if has_program("setsid") {
        is_killed_for_time(
            "trap '' TERM HUP; exec 9>leash; setsid sh -c 'trap \"\" TERM HUP; printf + >&9; exec sleep 30'",
            1,
        );
    }
}

#[test]
fn a_job_in_the_background_of_its_terminal_is_killed_for_time() {
    // The reading child is stopped by SIGTTIN.
    is_killed_for_time("set -m; trap '' TERM HUP; exec 9>leash; (printf + >&9; read line) & wait; exec sleep 30", 1);
}

#[test]
fn a_job_whose_output_was_stopped_is_killed_for_time() {
    let (scratch, mut leash) = job("trap '' TERM; exec 9>leash; printf + >&9; read line; while :; do echo more; done");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 900ms --grace 200ms -- sh job.sh"));
    leash.held_by(1);
    terminal.send(b"go\n\x13");
    leash.freed();
    terminal.prompt();
    assert_eq!(terminal.status(), 124);
}

/// The modes of the terminal after `line` in a script, which ends when the test did its part.
fn modes_are_restored(scratch: &Scratch, line: &str, code: &str, meanwhile: impl FnOnce(&mut Terminal)) {
    scratch.write("outer.sh", &format!("trap : INT QUIT\nread begin\n{line} 2>err\necho \"<code=$?>\"\nread end\n"));
    let mut terminal = Terminal::run(&mut scratch.shell("exec sh outer.sh"));
    let before = terminal.modes();
    terminal.line("");
    meanwhile(&mut terminal);
    terminal.expect(&format!("<code={code}>"));
    assert_eq!(terminal.modes(), before, "{line}");
}

#[test]
fn modes_are_as_before_whatever_ends_the_job() {
    let raw = "stty raw -echo; echo $PPID >guard; exec 9>leash; printf + >&9; exec sleep 30";
    let pty = "runner exec --pty --grace 200ms";
    let (scratch, _leash) = job(raw);
    modes_are_restored(&scratch, &format!("{pty} -- sh -c 'stty raw -echo; exit 3'"), "3", |_| {});
    modes_are_restored(&scratch, &format!("{pty} -- no-such-program"), "127", |_| {});
    modes_are_restored(&scratch, &format!("{pty} -- sh -c 'kill -KILL $$'"), "137", |_| {});
    modes_are_restored(&scratch, &format!("{pty} -t 300ms -- sh job.sh"), "124", |_| {});
    for (signal, code) in [(libc::SIGTERM, "143"), (libc::SIGHUP, "129"), (libc::SIGINT, "130"), (libc::SIGQUIT, "131")]
    {
        let (scratch, mut leash) = job(raw);
        modes_are_restored(&scratch, &format!("{pty} -- sh job.sh"), code, |_| {
            leash.held_by(1);
            send(process::parent(scratch.pid("guard")).expect("a parent"), signal);
        });
    }
}

#[test]
fn modes_are_as_before_after_a_third_ctrl_c() {
    let (scratch, mut leash) =
        job("trap 'echo heard' INT; trap '' TERM; exec 9>leash; printf + >&9; while :; do sleep 0.05; done");
    modes_are_restored(&scratch, "runner exec --pty --grace 60 -- sh job.sh </dev/null", "130", |terminal| {
        leash.held_by(1);
        terminal.send(b"\x03");
        terminal.expect("heard");
        terminal.send(b"\x03\x03");
    });
    leash.freed();
}

#[test]
fn a_runner_in_the_background_leaves_the_keyboard_alone() {
    let (scratch, mut leash) = job(&format!("exec 9>leash; printf + >&9; {GATE}"));
    let mut terminal = desk(&scratch);
    terminal.run_line(&format!("{BAR} -- sh job.sh &"));
    leash.held_by(1);
    assert!(terminal.echoes());
    let shown = terminal.run_line("echo typed-$((1+1))");
    assert!(shown.contains("typed-2"), "{shown}");
    scratch.write("go", "");
    terminal.run_line("wait");
}

#[test]
fn colours_stay() {
    let (scratch, _leash) = job("");
    scratch.write("program.sh", "");
    let mut terminal = desk(&scratch);
    let shown = terminal.run_line(&format!("{BAR} -- ls --color=auto -d /"));
    assert!(shown.contains("\u{1b}[01;34m/"), "{shown:?}");
}

#[test]
fn an_interactive_shell_in_a_job_works() {
    let scratch = Scratch::new();
    let mut terminal = desk(&scratch);
    terminal.line("runner exec --name job --log log -- bash --norc --noprofile --noediting -i");
    // The inner shell has the same prompt.
    terminal.prompt();
    let mut shown = terminal.run_line("cat >copy &");
    // A shell continues only what it knows to be stopped, and tells so before a prompt.
    until("cat was stopped as it read", || {
        let stopped = shown.contains("Stopped                 cat > copy");
        if !stopped {
            shown = terminal.run_line("");
        }
        stopped
    });
    terminal.line("fg");
    terminal.line("word");
    until("cat has the keyboard", || scratch.read("copy") == "word\n");
    // The inner shell has a job in its foreground, and so Ctrl-Z is for it to heed.
    terminal.send(b"\x1a");
    let shown = terminal.prompt();
    assert!(shown.contains("Stopped                 cat > copy"), "{shown}");
    // A stopped job that is killed may stay unreaped as long as the shell does not wait for it, and a shell with one
    // does not leave.
    terminal.line("fg");
    terminal.line("more");
    until("cat has the keyboard again", || scratch.read("copy") == "word\nmore\n");
    terminal.send(b"\x04");
    terminal.prompt();
    terminal.line("exit 7");
    terminal.prompt();
    assert_eq!(terminal.status(), 7);
}

#[test]
fn a_job_with_standard_input_from_a_file_still_has_the_terminal() {
    let (scratch, _leash) = job("read a; printf 'b? ' >/dev/tty; read b </dev/tty; echo \"<$a+$b>\"");
    scratch.write("input", "one\n");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh <input"));
    terminal.expect("b? ");
    terminal.line("two");
    terminal.expect("<one+two>");
    terminal.prompt();
}

#[test]
fn without_a_terminal_nobody_waits_for_keys() {
    let scratch = Scratch::new();
    let setup = Setup::default();
    let mut command = scratch.runner(&["exec", "--pty", "--json", "-t", "5", "--", "sh", "-c", "cat; echo over"]);
    let ended = start_as(&mut command, &setup).ended();
    let answer = answer(&ended.out());
    assert_eq!(answer["data"]["stdout"], "over\r\n", "{answer}");
}

#[test]
fn ctrl_c_reaches_what_is_waited_for_after_the_leader() {
    let (scratch, mut leash) = job("(exec 9>leash; printf + >&9; exec sleep 30) & exit 0");
    for line in ["sh job.sh", "sh job.sh </dev/null", "sh -c 'sh job.sh <>/dev/null >&0 2>&0'"] {
        let mut terminal = desk(&scratch);
        terminal.line(&format!("{BAR} --leftovers wait --grace 20 -- {line}"));
        let clock = Stopwatch::start();
        leash.held_by(1);
        terminal.picture_when("the bar is there", |now| now.bar("job").is_some());
        terminal.send(b"\x03");
        terminal.prompt();
        assert!(clock.elapsed() < Duration::from_secs(9), "{line}: the grace was waited for");
        leash.freed();
        assert_eq!(terminal.status(), 130, "{line}");
        leash = Leash::named(&scratch, &format!("leash{}", line.len()));
        scratch.write("job.sh", &format!("(exec 9>leash{}; printf + >&9; exec sleep 30) & exit 0", line.len()));
    }
}

#[test]
fn a_stop_that_nobody_can_catch_leaves_a_keyboard_that_works_after_fg() {
    let (scratch, mut leash) = job("exec 9>leash; printf + >&9; read line; echo \"<got:$line>\"");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 20 -- sh job.sh"));
    leash.held_by(1);
    until("the keyboard was taken", || !terminal.echoes());
    send(terminal.foreground(), libc::SIGSTOP);
    terminal.prompt();
    until("the shell has its modes", || terminal.echoes());
    terminal.line("fg");
    until("the keyboard was taken again", || !terminal.echoes());
    terminal.line("word");
    terminal.expect("<got:word>");
    terminal.prompt();
    assert_eq!(terminal.status(), 0);
    assert!(terminal.echoes());
}

#[test]
fn ctrl_z_suspends_the_whole_pipeline() {
    let (scratch, mut leash) = job(&format!("exec 9>leash; printf + >&9; {GATE}; read line; echo \"<got:$line>\""));
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -t 20 -- sh job.sh | cat"));
    leash.held_by(1);
    // Whoever is behind us may want the keyboard, so it stays the terminal's.
    assert!(terminal.echoes());
    terminal.send(b"\x1a");
    terminal.expect("Stopped");
    terminal.prompt();
    terminal.line("fg");
    terminal.expect("sh job.sh | cat");
    // It reads from now on: a read that is under way while it is stopped could take what the shell was to get.
    scratch.write("go", "");
    terminal.line("word");
    terminal.expect("<got:word>");
    terminal.prompt();
}

#[test]
fn a_pager_behind_runner_has_the_keyboard_and_the_screen() {
    if !has_program("less") {
        return;
    }
    let (scratch, _leash) = job("seq 1 100; sleep 1");
    let mut terminal = desk(&scratch);
    terminal.line(&format!("{BAR} -- sh job.sh | less"));
    terminal.picture_when("the pager shows the start", |now| now.alternate && now.rows.contains(&"23".to_owned()));
    terminal.send(b"G");
    terminal.picture_when("the pager heard the key", |now| now.alternate && now.rows.contains(&"100".to_owned()));
    terminal.send(b"q");
    terminal.prompt();
    assert!(terminal.echoes());
}

#[test]
fn a_full_screen_program_tidies_the_screen_before_ctrl_z_stops_it() {
    if !has_program("less") {
        return;
    }
    let (scratch, _leash) = job("echo $$ >pid; exec less text");
    scratch.write("text", &(1..100).map(|line| format!("row {line}\n")).collect::<String>());
    let mut terminal = desk(&scratch);
    let typed = format!("ready> {BAR} -- sh job.sh");
    terminal.line(&format!("{BAR} -- sh job.sh"));
    // Its prompt in the last row is what it draws last.
    terminal.picture_when("it has the screen", |now| {
        now.alternate
            && now.rows.first().is_some_and(|row| row == "row 1")
            && now.rows.last().is_some_and(|row| row.starts_with("text"))
    });
    // less notes a stop that comes between its prompt and its read, and heeds it with the next key only.
    let less = scratch.pid("pid");
    until("it waits for a key", || state(less) == Some('S'));
    terminal.send(b"\x1a");
    let picture = terminal.picture_when("the shell has it back", |now| {
        !now.alternate && now.rows.last().is_some_and(|row| row == "ready>")
    });
    assert_eq!(picture.rows[0], typed);
    assert!(!picture.rows.iter().any(|row| row.starts_with("row ")), "{picture:?}");
    terminal.line("fg");
    terminal.picture_when("it has the screen again", |now| {
        now.alternate && now.rows.first().is_some_and(|row| row == "row 1")
    });
    terminal.send(b"q");
    terminal.picture_when("it is over", |now| !now.alternate && now.rows.last().is_some_and(|row| row == "ready>"));
}
