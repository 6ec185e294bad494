//! What a job tells the runner above it: progress, values that outlive it, more time, and that it is alive.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Exec, Finished, LIMIT, NOBODY, Running, SOON, exec, exec_with, folder, seconds, wait_until};

use crate::support::datagram;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");
const MIB: usize = 1 << 20;

/// The job is a line for sh; `$NOTIFY` in it is `runner notify`.
fn script(options: &str, line: &str) -> Exec {
    exec(options).env("RUN", RUNNER).sh(&format!("notify() {{ \"$RUN\" notify \"$@\"; }}; {line}"))
}

/// What was left of a job that did not succeed.
#[track_caller]
fn partial(envelope: &Value) -> &Value {
    assert_eq!(envelope["status"], "error", "{envelope:#}");
    &envelope["error"]["details"]["partial_result"]
}

/// A job that waits for its end and exits 3 then, while the test speaks in its place: to its socket, as its user.
struct Conversation {
    run: Running,
    /// The job ends when this is closed.
    hold: OwnedFd,
    address: String,
    pid: i32,
    report: tempfile::TempDir,
}

impl Conversation {
    fn begin(options: &str) -> Self {
        Self::begin_with(exec(options))
    }

    fn begin_with(exec: Exec) -> Self {
        Self::begin_in(exec, folder())
    }

    fn begin_in(exec: Exec, report: tempfile::TempDir) -> Self {
        Self::begin_job(exec, report, "exit 3")
    }

    fn begin_job(exec: Exec, report: tempfile::TempDir, last: &str) -> Self {
        let (read, hold) = crate::support::pipe();
        let line = format!("echo \"at $RUNNER_NOTIFY_SOCKET as $$ ready\"; read -r line; {last}");
        let exec = exec.env("RUN", RUNNER).with(|command| {
            command.stdin(read);
        });
        let mut run = exec.arg("--report").arg(report.path().join("report.json")).sh(&line).start();
        run.wait_for_stdout("ready\n");
        let said = String::from_utf8_lossy(run.stdout()).into_owned();
        let words: Vec<&str> = said.split_whitespace().collect();
        let pid = words[3].parse().expect("a pid");
        Self { address: words[1].to_owned(), run, hold, pid, report }
    }

    fn try_send(&self, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<()> {
        datagram::send(self.address.as_bytes(), bytes, file)
    }

    fn say(&self, bytes: impl AsRef<[u8]>) -> &Self {
        self.try_send(bytes.as_ref(), None).expect("a job's socket takes a datagram");
        self
    }

    /// Sends a value by way of a memory file with these seals, and a line beside it.
    fn say_in_file(&self, content: &[u8], seals: i32) -> &Self {
        let file = datagram::memory_file(content, seals);
        let sent = self.try_send(b"X_RUNNER_VALUE_IN_FILE=X_RUNNER_PARTIAL", Some(file.as_fd()));
        sent.expect("a job's socket takes a file");
        self
    }

    /// The job may end; what was left of it.
    #[track_caller]
    fn end(self) -> Value {
        let report = self.end_with(3);
        assert_eq!(report["error"]["code"], "COMMAND_FAILED", "{report:#}");
        partial(&report).clone()
    }

    /// The job may end, and does so with this code; the whole answer.
    #[track_caller]
    fn end_with(self, code: i32) -> Value {
        drop(self.hold);
        self.run.finish().assert_code(code);
        read_report(self.report.path())
    }
}

fn read_report(folder: &Path) -> Value {
    crate::support::parse(fs::read_to_string(folder.join("report.json")).expect("a report").trim_end())
}

/// `runner notify` by itself, speaking to an address.
fn notify(address: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = crate::support::runner();
    command.arg("notify").args(arguments);
    if let Some(address) = address {
        command.env("RUNNER_NOTIFY_SOCKET", address);
    }
    command.output().expect("runner runs")
}

#[track_caller]
fn assert_sent(output: &Output) {
    assert_eq!((output.status.code(), &*output.stdout, &*output.stderr), (Some(0), &b""[..], &b""[..]), "{output:?}");
}

/// The last whole line of what a job printed, as a number.
#[track_caller]
fn last_number(text: &str) -> u64 {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let line = whole.rsplit('\n').next().unwrap_or_default();
    line.parse().unwrap_or_else(|_| panic!("no number in the last line: '{line}'"))
}

// The last value, whatever ends the job.

on_both_rungs! {
    fn the_last_value_outlives_a_job_that_is_stopped_for_time(rung) {
        let line = "notify --partial '{\"objects\":16}' && notify --progress 17/40 --partial '{\"objects\":17}'; \
                    \"$VICTIM\" ignore-term";
        let done = script("--json --timeout 2 --grace 0.1", line).rung(rung).run();
        done.assert_code(124).assert_tree_dead();
        let answer = done.json();
        assert_eq!(answer["error"]["code"], "TIMEOUT");
        assert_eq!(partial(&answer)["reported"], json!({"objects": 17}), "{answer:#}");
        assert_eq!(partial(&answer)["progress"], 0.425);
    }

    fn the_last_value_outlives_a_kill_of_the_job(rung) {
        let line = "notify --partial '{\"objects\":17}' --progress 17/40; kill -KILL $$";
        let done = script("--json", line).rung(rung).run();
        done.assert_code(137);
        let answer = done.json();
        assert_eq!(answer["error"]["details"]["signal"], "KILL");
        assert_eq!(partial(&answer)["reported"], json!({"objects": 17}), "{answer:#}");
        assert_eq!(partial(&answer)["progress"], 0.425);
    }

    /// A value that is sent is never lost, and none that was not sent is made up.
    fn a_job_that_reports_until_the_deadline_is_stopped_in_time_with_its_last_value(rung) {
        let done = exec("--json --timeout 1 --grace 0").rung(rung).victim("report 1000 0").run();
        done.assert_code(124).assert_took_between(seconds(1.0), SOON).assert_tree_dead();
        let answer = done.json();
        let printed = last_number(partial(&answer)["stdout"].as_str().unwrap_or_default());
        let reported = partial(&answer)["reported"]["count"].as_u64().unwrap_or_default();
        assert!(reported == printed || reported == printed + 1, "sent {printed} at least, reported {reported}");
    }

    fn a_flood_of_reports_delays_no_deadline_takes_no_memory_and_loses_no_value(rung) {
        for kind in ["status", "garbage", "big"] {
            let mut run = exec("--json --timeout 2 --grace 0").rung(rung).victim(&format!("report-flood 3 {kind} 100")).start();
            run.wait_until("the flood to be on for a while", |run| run.elapsed() > seconds(1.7));
            let peak = crate::support::status_kib(run.pid(), "VmHWM");
            let done = run.finish();
            done.assert_code(124).assert_took_between(seconds(2.0), SOON).assert_tree_dead();
            let answer = done.json();
            let elapsed = answer["error"]["details"]["elapsed_seconds"].as_f64().unwrap_or_default();
            assert!(elapsed < 4.0, "{kind}: the deadline struck after {elapsed} s");
            if let Some(peak) = peak {
                assert!(peak < 512 << 10, "{kind}: runner took {peak} KiB");
            }
            let printed = last_number(partial(&answer)["stdout"].as_str().unwrap_or_default());
            let reported = partial(&answer)["reported"]["count"].as_u64().unwrap_or_default();
            assert!(reported == printed || reported == printed + 1, "{kind}: sent {printed}, reported {reported}");
        }
    }
}

#[test]
fn the_last_value_outlives_a_silent_job() {
    let line = "notify --partial '[1,2]' --progress 42%; exec \"$VICTIM\" sleep";
    let done = script("--json --idle-timeout 1 --grace 0", line).run();
    done.assert_code(124);
    let answer = done.json();
    assert_eq!(answer["error"]["details"]["reason"], "idle");
    assert_eq!((&partial(&answer)["reported"], &partial(&answer)["progress"]), (&json!([1, 2]), &json!(0.42)));
}

#[test]
fn the_last_value_outlives_a_job_that_is_cancelled() {
    let talk = Conversation::begin("--grace 0");
    talk.say("X_RUNNER_PARTIAL=\"so far\"\nX_RUNNER_PROGRESS=0.5");
    talk.run.signal(libc::SIGTERM);
    talk.run.finish().assert_code(143);
    let report = read_report(talk.report.path());
    assert_eq!(report["error"]["code"], "CANCELLED");
    assert_eq!((&partial(&report)["reported"], &partial(&report)["progress"]), (&json!("so far"), &json!(0.5)));
}

#[test]
fn the_last_value_outlives_a_crash() {
    let done = script("--json", "notify --partial 1; ulimit -c 0; kill -SEGV $$").run();
    done.assert_code(128 + libc::SIGSEGV);
    assert_eq!(partial(&done.json())["reported"], 1);
}

#[test]
fn the_last_value_stands_with_any_other_exit_code() {
    let done = script("--json", "notify --partial 1 --progress 1/4; exit 9").run();
    done.assert_code(9);
    let answer = done.json();
    assert_eq!(answer["error"]["details"]["exit_code"], 9);
    assert_eq!((&partial(&answer)["reported"], &partial(&answer)["progress"]), (&json!(1), &json!(0.25)));
}

#[test]
fn the_last_value_of_a_success_stands_in_its_data() {
    let done = script("--json", "notify --partial '{\"objects\":39}'; notify --partial '{\"objects\":40}'").run();
    done.assert_code(0);
    let answer = done.json();
    assert_eq!(answer["data"]["reported"], json!({"objects": 40}));
    assert_eq!(answer["data"].get("progress"), None, "a success is complete: {answer:#}");
}

#[test]
fn a_job_that_says_nothing_leaves_no_trace_of_it() {
    let answer = exec("--json").job(["sh", "-c", "exit 3"]).run().json();
    for field in ["reported", "progress"] {
        assert_eq!(partial(&answer).get(field), None, "{answer:#}");
    }
    assert_eq!(answer["error"]["details"].get("extensions"), None);
}

#[test]
fn the_null_of_a_job_is_a_value() {
    let talk = Conversation::begin("");
    talk.say("X_RUNNER_PARTIAL=17").say("X_RUNNER_PARTIAL=null");
    assert_eq!(talk.end().get("reported"), Some(&Value::Null));
}

#[test]
fn a_thousand_values_a_second_all_arrive_in_order() {
    let done = exec("--json").victim("report 1000 1500 5").run();
    done.assert_code(5);
    let answer = done.json();
    let printed = last_number(partial(&answer)["stdout"].as_str().unwrap_or_default());
    assert!(printed > 100, "it got no further than {printed}");
    assert_eq!(partial(&answer)["reported"], json!({"count": printed}));
}

#[test]
fn values_at_full_speed_are_all_taken() {
    let done = exec("--json").victim("report 1000000 30 5").run();
    done.assert_code(5);
    let answer = done.json();
    let printed = last_number(partial(&answer)["stdout"].as_str().unwrap_or_default());
    assert!(printed > 10_000, "it got no further than {printed}");
    assert_eq!(partial(&answer)["reported"], json!({"count": printed}));
}

/// Runner stands still meanwhile, so that both are sure to await it at once.
#[test]
fn a_message_that_is_still_in_the_queue_when_the_job_has_ended_is_read() {
    for (last, code) in [("exit 0", 0), ("kill -KILL $$", 137)] {
        let last = format!("\"$RUN\" notify --partial '\"last words\"'; {last}");
        let talk = Conversation::begin_job(exec(""), folder(), &last);
        talk.run.signal(libc::SIGSTOP);
        wait_until(SOON, "runner stands still", || crate::support::state_of(talk.run.pid()) == Some('T'));
        drop(talk.hold);
        wait_until(SOON, "the job has ended", || !crate::support::is_alive(talk.pid));
        talk.run.signal(libc::SIGCONT);
        talk.run.finish().assert_code(code);
        let report = read_report(talk.report.path());
        let reported = if code == 0 { &report["data"]["reported"] } else { &partial(&report)["reported"] };
        assert_eq!(reported, "last words", "{report:#}");
    }
}

/// More than is taken in one go: the job's end is seen while there is still a lot to read.
#[test]
fn however_much_is_in_the_queue_at_the_end_its_last_value_is_read() {
    let talk = Conversation::begin("");
    talk.run.signal(libc::SIGSTOP);
    wait_until(SOON, "runner stands still", || crate::support::state_of(talk.run.pid()) == Some('T'));
    for count in 1..=8 {
        talk.say_in_file(long_value(count).as_bytes(), datagram::ALL_SEALS);
    }
    drop(talk.hold);
    wait_until(SOON, "the job has ended", || !crate::support::is_alive(talk.pid));
    talk.run.signal(libc::SIGCONT);
    talk.run.finish().assert_code(3);
    assert_eq!(partial(&read_report(talk.report.path()))["reported"][0], 8);
}

/// A list of nearly the largest size that begins with a number.
fn long_value(first: u32) -> String {
    format!("[{first},\"{}\"]", "x".repeat(MIB - 100))
}

/// Who lives on and goes on talking must not hold up the answer.
#[test]
fn leftovers_that_flood_the_socket_do_not_delay_the_answer() {
    for kind in ["status", "big"] {
        let line =
            format!("\"$VICTIM\" report-flood 2 {kind} 1000 >\"$OUT\" 2>&1 & until grep -q 9 \"$OUT\"; do :; done");
        let place = folder();
        let out = place.path().join("out");
        fs::write(&out, "").expect("our own folder");
        let done = exec("-q").env("OUT", &out).sh(&line).run();
        done.assert_code(0).assert_took_between(seconds(0.0), SOON);
        done.lifeline.end_holders();
    }
}

// Values.

#[test]
fn numbers_come_back_as_they_were_sent() {
    let value = "[907.3038322028689,0.1,-0.0,1e300,18446744073709551615,-9223372036854775808,5e-324]";
    let talk = Conversation::begin("");
    talk.say(format!("X_RUNNER_PARTIAL={value}"));
    drop(talk.hold);
    talk.run.finish().assert_code(3);
    let text = fs::read_to_string(talk.report.path().join("report.json")).expect("a report");
    assert!(text.replace("1e+300", "1e300").contains(value), "{text}");
}

#[test]
fn text_comes_back_as_it_was_sent() {
    let value = json!({"emoji \u{1f980}": "line\nbreak \u{0}\u{7f}\u{202e}\u{fffd}", "": [[], {}, null, ""]});
    let talk = Conversation::begin("");
    assert_sent(&notify(Some(&talk.address), &["--partial", &value.to_string()]));
    assert_eq!(talk.end()["reported"], value);
}

#[test]
fn values_around_64_kib_arrive_by_either_way() {
    for size in [(64 << 10) - 64, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 100 << 10] {
        let value = "x".repeat(size - 2);
        let text = format!("\"{value}\"");
        let talk = Conversation::begin("");
        assert_sent(&notify(Some(&talk.address), &["--partial", &text]));
        assert!(talk.end()["reported"] == value, "{size} bytes with runner notify");
        let talk = Conversation::begin("");
        talk.say_in_file(text.as_bytes(), datagram::ALL_SEALS);
        assert!(talk.end()["reported"] == value, "{size} bytes in a memory file");
        if size <= 64 << 10 {
            let talk = Conversation::begin("");
            talk.say(format!("X_RUNNER_PARTIAL={text}"));
            assert!(talk.end()["reported"] == value, "{size} bytes in the datagram");
        }
    }
}

#[test]
fn a_datagram_that_is_too_long_is_refused_whole() {
    let talk = Conversation::begin("");
    talk.say("X_RUNNER_PARTIAL=1").say(format!("X_RUNNER_PARTIAL=2\nSTATUS={}", "x".repeat(80 << 10)));
    assert_eq!(talk.end()["reported"], 1);
}

#[test]
fn a_value_of_one_mebibyte_is_taken_and_one_byte_more_is_not() {
    let talk = Conversation::begin("");
    let most = format!("\"{}\"", "m".repeat(MIB - 2));
    talk.say_in_file(most.as_bytes(), datagram::ALL_SEALS);
    let more = format!("\"{}\"", "n".repeat(MIB - 1));
    talk.say_in_file(more.as_bytes(), datagram::ALL_SEALS);
    let reported = talk.end()["reported"].as_str().unwrap_or_default().to_owned();
    assert_eq!(reported.len(), MIB - 2);
    assert!(reported.starts_with('m'), "the longer one was refused");
}

#[test]
fn a_value_too_long_for_a_command_line_comes_from_a_file_or_a_pipe() {
    let folder = folder();
    let file = folder.path().join("value.json");
    for from in ["@", "-"] {
        let talk = Conversation::begin("");
        let value = format!("\"{}{from}\"", "v".repeat(300_000));
        std::fs::write(&file, &value).expect("the file can be written");
        let mut command = crate::support::runner();
        command.args(["notify", "--partial"]).env("RUNNER_NOTIFY_SOCKET", &talk.address);
        match from {
            "@" => command.arg(format!("@{}", file.display())),
            _ => command.arg("-").stdin(std::fs::File::open(&file).expect("it was just written")),
        };
        assert_sent(&command.output().expect("runner runs"));
        assert_eq!(talk.end()["reported"].to_string(), value);
    }
    let talk = Conversation::begin("");
    std::fs::write(&file, "{").expect("the file can be written");
    assert_refused(&talk, &["--partial", &format!("@{}", file.display())], &["--partial", "not JSON"]);
    assert_refused(&talk, &["--partial", "@/nowhere/at/all"], &["/nowhere/at/all"]);
    talk.end();
}

#[test]
fn parts_that_cannot_be_understood_are_counted_in_the_answer() {
    let talk = Conversation::begin("");
    talk.say("X_RUNNER_PROGRESS=lots\nX_RUNNER_PARTIAL=1\nNONSENSE").say("UNKNOWN=1");
    let left = talk.end();
    assert_eq!((&left["refused_messages"], &left["reported"]), (&json!(3), &json!(1)));
}

#[test]
fn a_memory_file_that_could_still_change_is_refused() {
    let talk = Conversation::begin("");
    talk.say("X_RUNNER_PARTIAL=\"before\"");
    for missing in [libc::F_SEAL_WRITE, libc::F_SEAL_SHRINK, libc::F_SEAL_GROW, datagram::ALL_SEALS] {
        talk.say_in_file(b"\"unsealed\"", datagram::ALL_SEALS & !missing);
    }
    assert_eq!(talk.end()["reported"], "before");
}

#[test]
fn what_comes_with_a_bad_file_and_makes_sense_is_taken() {
    let talk = Conversation::begin("");
    let plain = fs::File::open(RUNNER).expect("a file");
    let unsealed = datagram::memory_file(b"7", 0);
    let large = datagram::memory_file(&vec![b'7'; 2 * MIB], datagram::ALL_SEALS);
    let mut expected = 0.0;
    for file in [plain.as_fd(), unsealed.as_fd(), large.as_fd()] {
        expected += 0.25;
        let text = format!("X_RUNNER_VALUE_IN_FILE=X_RUNNER_PARTIAL\nX_RUNNER_PROGRESS={expected}");
        talk.try_send(text.as_bytes(), Some(file)).expect("sent");
    }
    // A file for the store of a service manager is none of ours to judge.
    talk.try_send(b"FDSTORE=1\nX_RUNNER_PARTIAL=1", Some(unsealed.as_fd())).expect("sent");
    let left = talk.end();
    assert_eq!((&left["progress"], &left["reported"]), (&json!(0.75), &json!(1)), "{left:#}");
}

#[test]
fn a_file_that_does_not_come_costs_nothing_else() {
    let talk = Conversation::begin("");
    talk.say("X_RUNNER_VALUE_IN_FILE=X_RUNNER_PARTIAL\nX_RUNNER_PROGRESS=10%");
    let left = talk.end();
    assert_eq!((left.get("reported"), &left["progress"]), (None, &json!(0.1)));
}

#[test]
fn nonsense_is_never_fatal_and_spoils_nothing_beside_it() {
    let nonsense: [&[u8]; 14] = [
        b"\xff\xfe\xfd",
        b"\xffSTATUS=\xff",
        b"no equals sign",
        b"=",
        b"=value",
        b"UNKNOWN=1",
        b"X_RUNNER_PROGRESS=1.5",
        b"X_RUNNER_PROGRESS=-1",
        b"X_RUNNER_PROGRESS=NaN",
        b"X_RUNNER_PROGRESS=3/0",
        b"X_RUNNER_PARTIAL={\"a\":",
        b"X_RUNNER_PARTIAL=",
        b"EXTEND_TIMEOUT_USEC=-5",
        b"WATCHDOG=maybe",
    ];
    let talk = Conversation::begin("");
    talk.say(b"").say(b"\n\n\n").say(b"\0\0\0");
    for (count, line) in nonsense.iter().enumerate() {
        talk.say(line);
        let value = format!("X_RUNNER_PARTIAL={count}");
        talk.say([*line, value.as_bytes(), *line].join(&b'\n'));
        let last = format!("X_RUNNER_PROGRESS={count}/{}", nonsense.len());
        talk.say([last.as_bytes(), *line, b""].join(&b'\n'));
    }
    let left = talk.end();
    assert_eq!(left["reported"], nonsense.len() - 1);
    assert_eq!(left["progress"].as_f64(), Some(13.0 / 14.0));
}

/// Whoever reads the answer has a limit of his own.
#[test]
fn a_value_that_would_make_the_answer_unreadable_is_refused() {
    let nested = |depth: usize| format!("X_RUNNER_PARTIAL={}{}", "[".repeat(depth), "]".repeat(depth));
    let talk = Conversation::begin("");
    talk.say(nested(50)).say(nested(126)).say(nested(10_000));
    let mut value = &talk.end()["reported"];
    let mut depth = 1;
    while let Some(inner) = value.get(0) {
        (value, depth) = (inner, depth + 1);
    }
    assert_eq!(depth, 50);
}

#[test]
fn progress_is_a_fraction_whatever_form_it_came_in() {
    for (text, fraction) in [("0.42", 0.42), ("42%", 0.42), ("17/40", 0.425), ("0", 0.0), ("1", 1.0), ("3/2", 1.0)] {
        let talk = Conversation::begin("");
        talk.say(format!("X_RUNNER_PROGRESS={text}"));
        assert_eq!(talk.end()["progress"].as_f64(), Some(fraction), "{text}");
        let talk = Conversation::begin("");
        assert_sent(&notify(Some(&talk.address), &["--progress", text]));
        assert_eq!(talk.end()["progress"].as_f64(), Some(fraction), "{text}");
    }
}

// More time.

#[test]
fn an_extension_holds() {
    let mut talk = Conversation::begin("--timeout 2 --max-timeout 60");
    talk.say("EXTEND_TIMEOUT_USEC=30000000");
    talk.run.wait_until("the old deadline to pass", |run| run.elapsed() > seconds(2.5));
    let report = talk.end_with(3);
    assert_eq!(
        report["error"]["details"]["extensions"],
        json!({"granted": 1, "refused": 0, "reached_maximum": false}),
        "{report:#}"
    );
}

/// The message is queued before the deadline behind long ones; runner reads it after the deadline.
#[test]
fn an_extension_that_was_sent_just_before_the_deadline_holds() {
    // On a slow machine the messages may be sent too late; retry with a longer limit.
    let in_time = [1.5, 3.0, 6.0, 12.0].into_iter().any(extension_before_the_deadline_holds);
    assert!(in_time, "the messages could not be sent within 12 s");
}

/// False if the messages were sent too late for a conclusion.
fn extension_before_the_deadline_holds(limit: f64) -> bool {
    let mut talk = Conversation::begin(&format!("--timeout {limit} --max-timeout 60"));
    talk.run.signal(libc::SIGSTOP);
    for count in 1..=2 {
        talk.say_in_file(long_value(count).as_bytes(), datagram::ALL_SEALS);
    }
    talk.say("EXTEND_TIMEOUT_USEC=30000000");
    if talk.run.elapsed() > seconds(limit - 0.1) {
        talk.run.signal(libc::SIGCONT);
        return false;
    }
    talk.run.wait_until("the old deadline to pass", |run| run.elapsed() > seconds(limit + 0.5));
    talk.run.signal(libc::SIGCONT);
    talk.run.wait_until("the job to live on", |run| run.elapsed() > seconds(limit + 1.1));
    assert_eq!(talk.end_with(3)["error"]["details"]["extensions"]["granted"], 1);
    true
}

#[test]
fn an_extension_needs_a_maximum_and_moves_nothing_without_one() {
    let line = "notify --extend 30s; exec \"$VICTIM\" sleep";
    let done = script("--json --timeout 1.5 --grace 0", line).run();
    done.assert_code(124).assert_took_between(seconds(1.5), SOON).assert_tree_dead();
    let answer = done.json();
    let details = &answer["error"]["details"];
    assert_eq!(details["timeout_seconds"], 1.5);
    assert_eq!(details["extensions"], json!({"granted": 0, "refused": 1, "reached_maximum": false}));
}

#[test]
fn an_extension_never_shortens() {
    let line = "notify --extend 10ms; exec \"$VICTIM\" sleep";
    let done = script("--json --timeout 1.5 --max-timeout 30 --grace 0", line).run();
    done.assert_code(124).assert_took_between(seconds(1.5), SOON);
    let answer = done.json();
    assert_eq!(answer["error"]["details"]["timeout_seconds"], 1.5);
    assert_eq!(answer["error"]["details"].get("extensions"), None, "{answer:#}");
}

#[test]
fn an_extension_stops_at_the_maximum_and_the_answer_says_so() {
    for asked in ["1h", "1d"] {
        let line = format!("notify --extend {asked}; exec \"$VICTIM\" sleep");
        let done = script("--json --timeout 1.5 --max-timeout 2 --grace 0", &line).run();
        done.assert_code(124).assert_took_between(seconds(2.0), SOON).assert_tree_dead();
        let answer = done.json();
        let details = &answer["error"]["details"];
        assert_eq!((&details["timeout_seconds"], &details["reason"]), (&json!(2), &json!("total")));
        assert_eq!(details["extensions"], json!({"granted": 1, "refused": 0, "reached_maximum": true}));
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("2 seconds") && message.contains("nothing may extend"), "{message}");
    }
}

/// Nothing was left to grant, which is the maximum's doing no less.
#[test]
fn a_maximum_that_leaves_nothing_is_named_as_well() {
    let line = "notify --extend 1h; exec \"$VICTIM\" sleep";
    let done = script("--json --max-timeout 1.5 --grace 0", line).run();
    done.assert_code(124).assert_took_between(seconds(1.5), SOON);
    let answer = done.json();
    let details = &answer["error"]["details"];
    assert_eq!(details["timeout_seconds"], 1.5);
    assert_eq!(details["extensions"], json!({"granted": 0, "refused": 1, "reached_maximum": true}));
}

#[test]
fn the_largest_extension_of_all_is_capped_like_any_other() {
    let talk = Conversation::begin("--timeout 1.5 --max-timeout 2 --grace 0");
    talk.say(format!("EXTEND_TIMEOUT_USEC={}", u64::MAX));
    talk.run.finish().assert_code(124);
    let report = read_report(talk.report.path());
    assert_eq!(report["error"]["details"]["timeout_seconds"], 2, "{report:#}");
}

#[test]
fn extensions_add_up() {
    let line =
        "notify --extend 2s; sleep 0.4; notify --extend 2s; sleep 0.4; notify --extend 2s; exec \"$VICTIM\" sleep";
    let done = script("--json --timeout 2 --max-timeout 60 --grace 0", line).run();
    done.assert_code(124).assert_took_between(seconds(2.8), LIMIT).assert_tree_dead();
    let answer = done.json();
    let details = &answer["error"]["details"];
    assert!(details["timeout_seconds"].as_f64().is_some_and(|limit| limit >= 2.8), "{details:#}");
    assert_eq!(details["extensions"], json!({"granted": 3, "refused": 0, "reached_maximum": false}));
}

#[test]
fn an_extension_during_the_stop_comes_too_late() {
    let line = "trap 'notify --extend 30s; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let done = script("--json --timeout 1.5 --max-timeout 60 --grace 10", line).run();
    done.assert_code(124).assert_took_between(seconds(1.5), SOON);
    let answer = done.json();
    assert_eq!(answer["error"]["details"]["timeout_seconds"], 1.5);
    assert_eq!(answer["error"]["details"]["extensions"], json!({"granted": 0, "refused": 1, "reached_maximum": false}));
}

// Signs of life.

/// Each of these lines, sent over and over, is all that a job does.
fn all_at_once(options: &str, period: u32, lines: &[&'static str]) -> Vec<(&'static str, Finished)> {
    let start =
        |line: &&'static str| (*line, exec(options).victim(&format!("report-line {period}")).word(line).start());
    let running: Vec<_> = lines.iter().map(start).collect();
    running.into_iter().map(|(line, run)| (line, run.finish())).collect()
}

#[test]
fn signs_of_life_keep_a_silent_job_alive() {
    let lines = ["WATCHDOG=1", "STATUS=thinking", "READY=1", "X_RUNNER_PROGRESS=1%", "no sense\nWATCHDOG=1"];
    for (line, done) in all_at_once("--idle-timeout 1.2 --timeout 4 --grace 0", 100, &lines) {
        done.assert_code(124).assert_took_between(seconds(4.0), LIMIT);
        assert_eq!(done.answer()["error"]["details"]["reason"], "total", "{line}");
    }
}

#[test]
fn noise_is_no_sign_of_life() {
    let lines = ["NONSENSE=1", "WATCHDOG=0", "X_RUNNER_PARTIAL={", ""];
    for (line, done) in all_at_once("--idle-timeout 0.8 --timeout 15 --grace 0", 300, &lines) {
        done.assert_code(124);
        assert_eq!(done.answer()["error"]["details"]["reason"], "idle", "{line}");
    }
}

// Who may speak.

/// Tells from another process, as another user.
fn tell_as(user: u32, place: &Path, address: &str, line: &str) {
    use std::os::unix::process::CommandExt;
    let mut command = crate::support::runner_at(&place.join("victim"));
    command.current_dir("/").uid(user).gid(user).args(["tell", address, line]);
    assert!(command.status().expect("victim runs").success(), "a datagram of user {user} is sent");
}

/// Copies of the programs that every user may run.
fn public_place() -> tempfile::TempDir {
    let place = folder();
    crate::support::set_mode(place.path(), 0o755);
    crate::support::copy_program(Path::new(RUNNER), &place.path().join("runner"));
    crate::support::copy_program(&crate::support::victim_path(), &place.path().join("victim"));
    place
}

#[test]
fn other_users_are_not_heard() {
    if !crate::support::is_root() {
        return crate::support::skip("root", "only root can act as another user");
    }
    let place = public_place();
    let talk = Conversation::begin("--timeout 30 --max-timeout 60");
    tell_as(NOBODY, place.path(), &talk.address, "X_RUNNER_PARTIAL=\"forged\"");
    talk.say("X_RUNNER_PARTIAL=\"own\"");
    tell_as(NOBODY, place.path(), &talk.address, "X_RUNNER_PARTIAL=\"forged\"");
    tell_as(NOBODY, place.path(), &talk.address, "X_RUNNER_PROGRESS=1");
    tell_as(NOBODY, place.path(), &talk.address, "EXTEND_TIMEOUT_USEC=9000000");
    let report = talk.end_with(3);
    assert_eq!(partial(&report)["reported"], "own");
    assert_eq!(partial(&report).get("progress"), None);
    assert_eq!(report["error"]["details"].get("extensions"), None);
}

/// `setpriv` that makes a command of the job one of nobody's.
const AS_NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";

/// A job of ours whose line may start processes of another user, which find runner and the victim in `place`.
fn job_of_two_users(place: &Path, options: &str, line: &str) -> Exec {
    let line = format!("cd /; {line}").replace("as_nobody", AS_NOBODY);
    exec(options).env("RUN", place.join("runner")).env("TELL", place.join("victim")).sh(&line)
}

fn can_act_as_nobody() -> bool {
    if !crate::support::is_root() {
        crate::support::skip("root", "only root can act as another user");
        return false;
    }
    crate::support::has_program("setpriv")
}

#[test]
fn a_process_of_the_job_is_heard_whatever_its_user() {
    if !can_act_as_nobody() {
        return;
    }
    let place = public_place();
    let line = "as_nobody \"$RUN\" notify --extend 40s --partial '\"theirs\"' || exit 9; exit 3";
    let done = job_of_two_users(place.path(), "--json --timeout 30 --max-timeout 60", line).run();
    done.assert_code(3);
    let answer = done.json();
    assert_eq!(partial(&answer)["reported"], "theirs");
    assert_eq!(answer["error"]["details"]["extensions"]["granted"], 1, "{answer:#}");
    // The command itself, which is gone once its message is read.
    let line = "exec as_nobody \"$TELL\" tell \"$RUNNER_NOTIFY_SOCKET\" 'X_RUNNER_PARTIAL=1'";
    let done = job_of_two_users(place.path(), "--json --timeout 30", line).run();
    done.assert_code(0);
    assert_eq!(done.json()["data"]["reported"], 1);
}

#[test]
fn a_process_that_has_exited_is_heard_while_the_job_has_another_one_of_its_user() {
    if !can_act_as_nobody() {
        return;
    }
    let place = public_place();
    let line = "as_nobody sleep 1000 & until [ \"$(stat -c %u /proc/$!)\" = 65534 ]; do sleep 0.01; done; \
                as_nobody \"$TELL\" tell \"$RUNNER_NOTIFY_SOCKET\" 'X_RUNNER_PARTIAL=1'; exit 3";
    for _ in 0..10 {
        let done = job_of_two_users(place.path(), "--json --timeout 30 --leftovers kill", line).run();
        done.assert_code(3);
        assert_eq!(partial(&done.json())["reported"], 1);
    }
}

#[test]
fn a_stranger_is_refused_counted_and_told() {
    if !can_act_as_nobody() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let place = public_place();
    let talk = Conversation::begin("-v --timeout 30 --max-timeout 60");
    let mut stranger = crate::support::runner_at(&place.path().join("runner"));
    stranger.current_dir("/").uid(NOBODY).gid(NOBODY).env("RUNNER_NOTIFY_SOCKET", &talk.address);
    let refused = stranger.args(["notify", "--partial", "\"forged\""]).output().expect("runner runs");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("of user 65534 is not of this job"), "{why}");
    drop(talk.hold);
    let done = talk.run.finish();
    assert!(done.stderr_text().contains("a message was refused: process"), "{}", done.stderr_text());
    let left = partial(&read_report(talk.report.path())).clone();
    assert_eq!((left.get("reported"), &left["refused_messages"]), (None, &json!(1)), "{left:#}");
}

#[test]
fn more_time_that_is_refused_is_an_error_and_the_rest_of_the_message_holds() {
    for (options, reason) in [
        ("--json --timeout 30", "only --max-timeout allows more time"),
        ("--json --timeout 30 --max-timeout 30", "the time has reached its maximum"),
    ] {
        let done = script(options, "notify --extend 1h --partial 7; exit $?").run();
        done.assert_code(1);
        let why = done.json()["error"]["details"]["partial_result"].clone();
        assert!(why["stderr"].as_str().unwrap_or_default().contains(reason), "{why:#}");
        assert_eq!(why["reported"], 7);
    }
    // Less than there is, or more than the maximum: both are given as far as they can be.
    script("--timeout 30 --max-timeout 60", "notify --extend 1s && notify --extend 1h")
        .run()
        .assert_code(0)
        .assert_silent();
}

#[test]
fn a_script_that_also_runs_without_runner_says_if_any() {
    assert_sent(&notify(None, &["--if-any", "--progress", "1/2"]));
    assert_sent(&notify(Some(""), &["--progress", "1/2", "--if-any"]));
    assert_failed(&notify(None, &["--progress", "1/2"]), &["RUNNER_NOTIFY_SOCKET is not set", "--if-any"]);
    assert_failed(&notify(None, &["--if-any"]), &["nothing to tell"]);
    assert_failed(&notify(Some("@runner/none"), &["--if-any", "--watchdog"]), &["reach the runner of this job"]);
}

/// A command that runs another one in a network namespace of its own.
fn other_network() -> Option<&'static str> {
    if !crate::support::has_program("unshare") {
        return None;
    }
    let works = |command: &str| exec("").sh(&format!("{command} true")).run().status.success();
    let found = ["unshare -n", "unshare -rn"].into_iter().find(|command| works(command));
    if found.is_none() {
        crate::support::skip("netns", "no network namespace can be made");
    }
    found
}

#[test]
fn a_process_in_another_network_namespace_is_heard() {
    let Some(unshare) = other_network() else { return };
    let line = format!("{unshare} \"$RUN\" notify --extend 40s --partial '\"from afar\"' || exit 9; exit 3");
    let done = script("--json --timeout 30 --max-timeout 60", &line).run();
    done.assert_code(3);
    let answer = done.json();
    assert_eq!(partial(&answer)["reported"], "from afar", "{answer:#}");
    assert_eq!(answer["error"]["details"]["extensions"]["granted"], 1);
}

#[test]
fn each_job_of_a_batch_is_heard_from_another_network_namespace() {
    let Some(unshare) = other_network() else { return };
    let line = format!("{unshare} \"$RUN\" notify --partial {{}} || exit 9; sleep 0.1");
    let batch = crate::support::batch("--json -j 4 --timeout 30 -c").env("RUN", RUNNER).arg(line);
    let done = batch.args([":::", "1", "2", "3", "4", "5", "6"]).run();
    done.assert_code(0);
    let text = done.stdout_text();
    let mut reported: Vec<i64> =
        text.lines().filter_map(|line| crate::support::parse(line)["data"]["reported"].as_i64()).collect();
    reported.sort_unstable();
    assert_eq!(reported, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_socket_in_the_file_system_goes_with_the_job_and_with_a_runner_that_is_killed() {
    let line = "echo \"$RUNNER_NOTIFY_PATH\"; until [ -S \"$RUNNER_NOTIFY_PATH\" ]; do sleep 0.01; done; echo there; \
                read -r line";
    for kill in [false, true] {
        let (read, hold) = crate::support::pipe();
        let run = exec("").with(|command| _ = command.stdin(read)).sh(line);
        let mut run = run.start();
        run.wait_for_stdout("there\n");
        let said = String::from_utf8_lossy(run.stdout()).into_owned();
        let path = Path::new(said.lines().next().expect("a path")).to_owned();
        if kill {
            run.signal(libc::SIGKILL);
        } else {
            drop(hold);
        }
        run.finish();
        wait_until(SOON, "the socket is gone", || !path.exists());
    }
}

#[test]
fn the_job_s_own_user_and_root_are_heard() {
    if !crate::support::is_root() {
        return crate::support::skip("root", "only root can act as another user");
    }
    let place = public_place();
    let reports = folder();
    crate::support::set_mode(reports.path(), 0o777);
    let mut command = crate::support::runner_at(&place.path().join("runner"));
    command.current_dir("/");
    crate::support::become_nobody(&mut command);
    let talk = Conversation::begin_in(exec_with(command, "").rung(crate::support::Rung::Walk), reports);
    tell_as(NOBODY, place.path(), &talk.address, "X_RUNNER_PARTIAL=\"own\"");
    tell_as(0, place.path(), &talk.address, "X_RUNNER_PROGRESS=50%");
    tell_as(1, place.path(), &talk.address, "X_RUNNER_PARTIAL=\"forged\"");
    let left = talk.end();
    assert_eq!((&left["reported"], &left["progress"]), (&json!("own"), &json!(0.5)));
}

/// A process of another user that sends as fast as it can, until this is dropped.
struct Flood(Child);

impl Flood {
    fn start(place: &Path, address: &str) -> Self {
        let mut command = crate::support::runner_at(&place.join("victim"));
        crate::support::become_nobody(&mut command);
        command.current_dir("/").env("RUNNER_NOTIFY_SOCKET", address).stdout(Stdio::null());
        Self(command.args(["report-flood", "2", "status", "1000000"]).spawn().expect("a flood starts"))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn a_flood_of_another_user_delays_no_deadline() {
    if !crate::support::is_root() {
        return crate::support::skip("root", "only root can act as another user");
    }
    let place = public_place();
    let talk = Conversation::begin("--timeout 1.5 --grace 0");
    let floods: Vec<Flood> = (0..3).map(|_| Flood::start(place.path(), &talk.address)).collect();
    let done = talk.run.finish();
    drop(floods);
    done.assert_code(124).assert_took_between(seconds(1.5), SOON);
}

/// Others may speak for the job: the socket is the job's, not the leader's.
#[test]
fn descendants_of_the_job_are_heard() {
    let line = "(sh -c '\"$RUN\" notify --progress 1/2; :'; :); setsid -w \"$RUN\" notify --partial 5; exit 3";
    let answer = script("--json", line).run().json();
    assert_eq!((&partial(&answer)["progress"], &partial(&answer)["reported"]), (&json!(0.5), &json!(5)), "{answer:#}");
}

// The surroundings of the job.

#[test]
fn each_job_has_a_socket_of_its_own_also_below_another_runner() {
    let line = "notify --partial '\"outer\"'; \
                \"$RUN\" exec --json -- sh -c '\"$RUN\" notify --partial \"\\\"inner\\\"\" --progress 1; exit 4'; exit 5";
    let place = folder();
    let run = exec("--report").arg(place.path().join("report.json")).env("RUN", RUNNER);
    let done = run.sh(&format!("notify() {{ \"$RUN\" notify \"$@\"; }}; {line}")).run();
    done.assert_code(5);
    let outer = read_report(place.path());
    assert_eq!(partial(&outer)["reported"], "outer");
    assert_eq!(partial(&outer).get("progress"), None, "that is the inner one's");
    let inner = done.json();
    assert_eq!((&partial(&inner)["reported"], &partial(&inner)["progress"]), (&json!("inner"), &json!(1.0)));
}

#[test]
fn a_command_below_timeout_speaks_to_the_runner_above() {
    let line = "\"$RUN\" timeout 20 sh -c '\"$RUN\" notify --partial 8'; exit 3";
    assert_eq!(partial(&script("--json", line).run().json())["reported"], 8);
}

#[test]
fn timeout_alone_passes_the_socket_of_the_job_on_unchanged() {
    let mut command = crate::support::runner();
    command.env("RUNNER_NOTIFY_SOCKET", "@of/somebody").env("NOTIFY_SOCKET", "/of/init");
    let output = command.args(["timeout", "20", "env"]).output().expect("runner runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in ["RUNNER_NOTIFY_SOCKET=@of/somebody", "NOTIFY_SOCKET=/of/init"] {
        assert!(text.lines().any(|own| own == line), "{text}");
    }
}

#[test]
fn the_variable_of_service_managers_is_set_only_when_asked_for() {
    let show = "echo \"$RUNNER_NOTIFY_SOCKET\"; echo \"${NOTIFY_SOCKET-unset}\"";
    let run = |options: &str, before: Option<&str>| {
        let mut run = exec(options).sh(show);
        if let Some(before) = before {
            run = run.env("NOTIFY_SOCKET", before);
        }
        let text = run.run().stdout_text();
        let (own, managers) = text.trim_end().split_once('\n').expect("two lines");
        assert!(own.starts_with('@'), "an abstract address: {own}");
        (own.to_owned(), managers.to_owned())
    };
    assert_eq!(run("", None).1, "unset");
    assert_eq!(run("", Some("/run/of/init")).1, "/run/of/init");
    let (own, managers) = run("--sd-notify", Some("/run/of/init"));
    assert_eq!(own, managers);
    let (own, managers) = run("--sd-notify --env-clear --env NOTIFY_SOCKET=/other", None);
    assert_eq!(own, managers);
}

#[test]
fn the_socket_of_a_runner_above_is_not_passed_to_the_job() {
    let run = exec("").env("RUNNER_NOTIFY_SOCKET", "@of/another").job(["printenv", "RUNNER_NOTIFY_SOCKET"]).run();
    let text = run.assert_code(0).stdout_text();
    assert!(!text.contains("another"), "{text}");
}

// Clients that know nothing of runner.

#[test]
fn systemd_notify_works_unchanged_and_returns_at_once() {
    if !crate::support::has_program("systemd-notify") {
        return;
    }
    let line = "systemd-notify --ready --status='so far so good' && systemd-notify WATCHDOG=1 X_RUNNER_PARTIAL=12 \
                && systemd-notify X_RUNNER_PROGRESS=3/4 && exit 3; exit 4";
    let done = exec("--json --sd-notify --timeout 30").sh(line).run();
    // Its barrier waits for five seconds where nobody takes it.
    done.assert_code(3).assert_took_between(seconds(0.0), seconds(4.5));
    let answer = done.json();
    assert_eq!((&partial(&answer)["reported"], &partial(&answer)["progress"]), (&json!(12), &json!(0.75)));
}

#[test]
fn ten_lines_of_python_are_a_client() {
    if !crate::support::has_program("python3") {
        return;
    }
    let program = r#"
import json, os, socket, sys
address = os.environ["RUNNER_NOTIFY_SOCKET"]
if address.startswith("@"):
    address = "\0" + address[1:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(address)
for done in range(1, 41):
    value = json.dumps({"done": done})
    notify.sendall(f"X_RUNNER_PROGRESS={done}/40\nSTATUS=part {done}\nX_RUNNER_PARTIAL={value}".encode())
    if done == 17:
        sys.exit(3)
"#;
    let done = exec("--json --timeout 30").job(["python3", "-c", program]).run();
    done.assert_code(3);
    let answer = done.json();
    assert_eq!((&partial(&answer)["reported"], &partial(&answer)["progress"]), (&json!({"done": 17}), &json!(0.425)));
}

// The command `runner notify` itself.

/// It fails, says why, and the job's socket has got nothing.
#[track_caller]
fn assert_refused(talk: &Conversation, arguments: &[&str], words: &[&str]) {
    let output = notify(Some(&talk.address), arguments);
    assert_failed(&output, words);
}

#[track_caller]
fn assert_failed(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    let envelope = crate::support::parse(text.trim_end());
    let said = format!("{}\n{}", envelope["error"]["message"], envelope["error"]["remediation"]);
    for word in words {
        assert!(said.contains(word), "no '{word}': {said}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_of_it_is_sent() {
    let talk = Conversation::begin("");
    talk.say("X_RUNNER_PARTIAL=\"before\"");
    assert_refused(&talk, &["--partial", "1", "--progress", "lots"], &["lots", "17/40"]);
    assert_refused(&talk, &["--partial", "1", "--progress", "1.5"], &["1.5"]);
    assert_refused(&talk, &["--partial", "1", "--progress", "-3%"], &["-3%"]);
    assert_refused(&talk, &["--progress", "1", "--partial", "{\"a\":"], &["JSON"]);
    assert_refused(&talk, &["--progress", "1", "--partial", ""], &["JSON"]);
    assert_refused(&talk, &["--partial", "1", "--extend", "soon"], &["soon"]);
    assert_refused(&talk, &["--partial", "1", "--extend", "-5"], &["-5"]);
    assert_refused(&talk, &["--partial", "1", "--nonsense"], &["--nonsense"]);
    assert_refused(&talk, &["--partial", "1", "word"], &["word"]);
    let left = talk.end();
    assert_eq!((&left["reported"], left.get("progress")), (&json!("before"), None));
}

#[test]
fn a_call_that_says_nothing_is_refused() {
    let talk = Conversation::begin("");
    let output = notify(Some(&talk.address), &[]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("--progress"), "it names what may be said: {text}");
    talk.end();
}

#[test]
fn outside_of_a_job_it_says_so() {
    for address in [None, Some("")] {
        let output = notify(address, &["--progress", "1/2"]);
        assert_failed(&output, &["no job of runner", "RUNNER_NOTIFY_SOCKET"]);
    }
}

#[test]
fn a_socket_that_is_gone_is_an_error() {
    let talk = Conversation::begin("");
    let address = talk.address.clone();
    talk.end();
    assert_failed(&notify(Some(&address), &["--progress", "1/2"]), &["reach the runner of this job"]);
    for address in ["/nonexistent/socket", &format!("/{}", "x".repeat(200)), "@"] {
        assert_failed(&notify(Some(address), &["--progress", "1/2"]), &["reach the runner of this job"]);
    }
}

#[test]
fn all_that_a_call_says_arrives_together() {
    let talk = Conversation::begin("--timeout 30 --max-timeout 60");
    let words = ["--progress", "17/40", "--message", "linking", "--partial", "{\"objects\":17}", "--extend", "50s"];
    assert_sent(&notify(Some(&talk.address), &[&words[..], &["--watchdog", "--stopping"]].concat()));
    let report = talk.end_with(3);
    assert_eq!(
        (&partial(&report)["reported"], &partial(&report)["progress"]),
        (&json!({"objects": 17}), &json!(0.425))
    );
    assert_eq!(report["error"]["details"]["extensions"]["granted"], 1);
}

#[test]
fn a_message_cannot_smuggle_other_words_in() {
    let talk = Conversation::begin("");
    assert_sent(&notify(Some(&talk.address), &["--message", "fine\nX_RUNNER_PARTIAL=1\nX_RUNNER_PROGRESS=1"]));
    let left = talk.end();
    assert_eq!((left.get("reported"), left.get("progress")), (None, None), "{left:#}");
}

#[test]
fn to_say_that_it_is_stopping_stops_nothing() {
    let talk = Conversation::begin("");
    assert_sent(&notify(Some(&talk.address), &["--stopping"]));
    talk.say("STOPPING=1");
    talk.end();
}
