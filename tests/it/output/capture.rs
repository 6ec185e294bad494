//! Every byte passes unchanged, and what was kept of it is in the answer within stated bounds.

use std::fs;
use std::path::Path;

use base64::Engine;
use serde_json::Value;

use crate::support::{SOON, exec, flood_pattern, folder, seconds};

fn report_of(path: &Path) -> Value {
    crate::support::parse(fs::read_to_string(path).expect("a report").trim_end())
}

fn decoded(value: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(value.as_str().expect("base64")).expect("base64")
}

fn ascending() -> Vec<u8> {
    (0..=255).collect()
}

fn descending() -> Vec<u8> {
    (0..=255).rev().collect()
}

#[test]
fn every_byte_value_passes_unchanged_on_its_own_stream() {
    let done = exec("--timeout 20").victim("all-bytes").run();
    done.assert_code(0).assert_tree_dead();
    assert_eq!(done.stdout, ascending());
    assert_eq!(done.stderr, descending());
}

#[test]
fn two_mebibytes_pass_unchanged() {
    let done = exec("--timeout 20").victim("flood 2097152").run();
    done.assert_code(0).assert_silent();
    assert!(done.stdout == flood_pattern(1 << 21, 1), "{} bytes arrived", done.stdout.len());
}

#[test]
fn both_streams_pass_unchanged_at_once() {
    let done = exec("--timeout 20").victim("flood-both 1048576").run();
    done.assert_code(0);
    assert!(done.stdout == flood_pattern(1 << 20, 1), "{} bytes arrived", done.stdout.len());
    assert!(done.stderr == flood_pattern(1 << 20, 2), "{} bytes arrived", done.stderr.len());
}

#[test]
fn a_file_as_stdout_gets_every_byte() {
    let folder = folder();
    let path = folder.path().join("out");
    fs::write(&path, "before\n").expect("a file");
    let file = fs::OpenOptions::new().append(true).open(&path).expect("a file");
    exec("").stdout_to(file).victim("flood 300000").run().assert_code(0).assert_silent();
    let mut expected = b"before\n".to_vec();
    expected.extend(flood_pattern(300_000, 1));
    assert!(fs::read(&path).expect("the file") == expected, "appended, not overwritten");
}

#[test]
fn an_unfinished_line_stays_unfinished() {
    let done = exec("").sh("printf 'no newline'; printf 'nor here' >&2").run();
    done.assert_code(0);
    assert_eq!((done.stdout_text().as_str(), done.stderr_text().as_str()), ("no newline", "nor here"));
}

#[test]
fn an_answer_begins_on_a_line_of_its_own() {
    let done = exec("--timeout 0.4 --grace 0.2").victim("unfinished-line").run();
    done.assert_code(124).assert_tree_dead();
    assert_eq!(done.stdout_text(), "ready\nno newline out");
    let text = done.stderr_text();
    let (first, rest) = text.split_once('\n').expect("two lines");
    assert_eq!(first, "no newline err");
    let answer = crate::support::parse(rest.trim_end());
    let partial = &answer["error"]["details"]["partial_result"];
    assert_eq!(partial["stdout"], "ready\nno newline out");
    assert_eq!(partial["stderr"], "no newline err");
}

#[test]
fn what_is_not_text_stands_exactly_in_base64() {
    let done = exec("--json").victim("all-bytes").run();
    done.assert_code(0).assert_silent();
    let answer = done.json();
    let data = &answer["data"];
    assert_eq!(decoded(&data["stdout_base64"]), ascending());
    assert_eq!(decoded(&data["stderr_base64"]), descending());
    assert_eq!(data["stdout"].as_str(), Some(&*String::from_utf8_lossy(&ascending())));
    assert_eq!((data["stdout_bytes"].as_u64(), data["stderr_bytes"].as_u64()), (Some(256), Some(256)));
    assert_eq!(data["stdout_omitted_bytes"], 0);
}

#[test]
fn text_needs_no_base64() {
    let done = exec("--json").job(["printf", "grüße\\n"]).run();
    done.assert_code(0).assert_silent();
    let answer = done.json();
    assert_eq!(answer["data"]["stdout"], "grüße\n");
    assert!(answer["data"].get("stdout_base64").is_none(), "{answer:#}");
}

#[test]
fn the_middle_of_a_long_stream_is_left_out_and_counted() {
    let done = exec("--json --capture-limit 4K").job(["seq", "1", "20000"]).run();
    done.assert_code(0).assert_silent();
    let answer = done.json();
    let data = &answer["data"];
    let whole: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(data["stdout_bytes"].as_u64(), Some(whole.len() as u64));
    let omitted = whole.len() - 4096;
    assert_eq!(data["stdout_omitted_bytes"].as_u64(), Some(omitted as u64));
    let text = data["stdout"].as_str().expect("text");
    assert!(text.starts_with(&whole[..1024]), "a quarter from the head: {text:.100}");
    assert!(text.ends_with(&whole[whole.len() - 3072..]), "the rest from the tail");
    let markers: Vec<&str> = text.lines().filter(|line| line.contains("omitted")).collect();
    assert_eq!(markers.len(), 1, "one marker line: {markers:?}");
    assert!(markers[0].contains(&omitted.to_string()), "{markers:?}");
}

#[test]
fn what_is_within_the_limit_is_kept_whole() {
    let done = exec("--json --capture-limit 4K").job(["head", "-c", "4096", "/dev/zero"]).run();
    let answer = done.json();
    assert_eq!(answer["data"]["stdout"].as_str().map(str::len), Some(4096));
    assert_eq!(answer["data"]["stdout_omitted_bytes"], 0);
}

#[test]
fn a_quarter_of_a_mebibyte_is_kept_where_nothing_is_said() {
    let done = exec("--json").victim("flood 2097152").run();
    let answer = done.json();
    let kept = decoded(&answer["data"]["stdout_base64"]);
    let whole = flood_pattern(1 << 21, 1);
    assert!(kept[..65536] == whole[..65536], "the head");
    assert!(kept[65536..] == whole[whole.len() - 3 * 65536..], "the tail");
    assert_eq!(answer["data"]["stdout_omitted_bytes"].as_u64(), Some((1 << 21) - (1 << 18)));
}

/// Since the rest went by already.
#[test]
fn after_passing_through_only_the_end_is_repeated() {
    let folder = folder();
    let path = folder.path().join("answer.json");
    let line = "seq 1 20000; exec \"$VICTIM\" sleep";
    let done = exec("--timeout 0.6 --grace 0.2 --report").arg(&path).sh(line).run();
    done.assert_code(124).assert_tree_dead();
    let whole: String = (1..=20_000).map(|number| format!("{number}\n")).chain(["ready\n".to_owned()]).collect();
    assert_eq!(done.stdout_text(), whole);
    let answer = done.answer();
    let partial = &answer["error"]["details"]["partial_result"];
    let text = partial["stdout"].as_str().expect("text");
    assert!(text.ends_with(&whole[whole.len() - 16_000..]) && text.len() < 16_384 + 200, "{} bytes", text.len());
    assert_eq!(partial["stdout_omitted_bytes"].as_u64(), Some(whole.len() as u64 - 16_384));
    let report = report_of(&path);
    assert_eq!(report["error"]["details"]["partial_result"]["stdout"], whole, "the report holds all that was kept");
}

#[test]
fn one_pipe_serves_both_streams_where_ours_are_one() {
    let folder = folder();
    let path = folder.path().join("answer.json");
    let line = "i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i + 1)); done";
    let done = exec("--report").arg(&path).merged().sh(line).run();
    done.assert_code(0);
    let expected: String = (0..300).map(|i| format!("out {i}\nerr {i}\n")).collect();
    assert_eq!(done.stdout_text(), expected, "the order holds");
    let data = &report_of(&path)["data"];
    assert_eq!(data["merged"], true);
    assert_eq!(data["stdout"], expected);
    assert_eq!(data["stderr"], "");
}

#[test]
fn two_pipes_are_not_merged() {
    let done = exec("--json").sh("echo out; echo err >&2").run();
    let answer = done.json();
    assert_eq!((&answer["data"]["stdout"], &answer["data"]["stderr"]), (&"out\n".into(), &"err\n".into()));
    assert_ne!(answer["data"]["merged"], true);
}

#[test]
fn the_log_has_every_byte() {
    let folder = folder();
    let log = folder.path().join("log");
    let done = exec("--capture-limit 1K --log").arg(&log).victim("flood 1000000").run();
    done.assert_code(0).assert_silent();
    let expected = flood_pattern(1_000_000, 1);
    assert!(done.stdout == expected, "passed through as well");
    assert!(fs::read(&log).expect("the log") == expected, "every byte is in the log");
}

#[test]
fn the_log_has_both_streams_also_with_json_and_after_a_timeout() {
    let folder = folder();
    let log = folder.path().join("log");
    let line = "echo to stdout; echo to stderr >&2; exec \"$VICTIM\" sleep";
    let done = exec("--json --timeout 0.5 --grace 0.2 --log").arg(&log).sh(line).run();
    done.assert_code(124).assert_silent().assert_tree_dead();
    let text = fs::read_to_string(&log).expect("the log");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["ready", "to stderr", "to stdout"]);
}

/// Bytes come as they are written: somebody who follows a job sees them at once.
#[test]
fn bytes_are_passed_on_as_they_come() {
    let folder = folder();
    let log = folder.path().join("log");
    let mut run = exec("--log").arg(&log).victim("unfinished-line").start();
    run.wait_for_stdout("ready\nno newline out");
    run.wait_for_stderr("no newline err");
    crate::support::wait_until(SOON, "the log has it too", || {
        fs::read(&log).is_ok_and(|bytes| bytes.len() == "ready\nno newline outno newline err".len())
    });
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143).assert_tree_dead();
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let done = exec("--json --timeout 0.4 --grace 0.2").victim("chatty 20").run();
    done.assert_code(124).assert_silent().assert_took_between(seconds(0.4), SOON).assert_tree_dead();
    let answer = done.json();
    let text = answer["error"]["details"]["partial_result"]["stdout"].as_str().expect("text").to_owned();
    assert!(text.starts_with("ready\ntick\n"), "{text}");
}

/// What the job wrote last is there, though it wrote and ended at once.
#[test]
fn last_words_are_kept() {
    for _ in 0..20 {
        let done = exec("--json").sh("printf 'a lot: '; head -c 100000 /dev/zero | tr '\\0' x; printf end").run();
        let answer = done.json();
        assert_eq!(answer["data"]["stdout_bytes"], 100_010);
        assert!(answer["data"]["stdout"].as_str().is_some_and(|text| text.ends_with("xend")));
    }
}

#[test]
fn an_empty_output_is_an_empty_text() {
    let done = exec("--json").job(["true"]).run();
    let answer = done.json();
    assert_eq!((&answer["data"]["stdout"], &answer["data"]["stderr"]), (&"".into(), &"".into()));
    assert_eq!(answer["data"]["stdout_bytes"], 0);
}
