//! `runner op fetch` downloads a file through what networks and servers do, puts it in place whole or not at all, and
//! says what happened without telling secrets.
#![cfg(feature = "fetch")]
#![expect(clippy::disallowed_methods, reason = "tests start processes themselves")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::http::{Reply, Request, Server};
use crate::support::{Exec, SOON, flood_pattern, folder, op, seconds, wait_until};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const ETAG: &str = "\"one\"";
/// Retries that do not wait.
const QUICK: [&str; 2] = ["--retry-delay", "1ms"];

/// A file that is longer than any buffer on the way.
fn file() -> Vec<u8> {
    flood_pattern(700_000, 1)
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn clean(mut run: Exec) -> Exec {
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        run.command.env_remove(name).env_remove(name.to_uppercase());
    }
    run
}

fn fetch(url: &str, path: &Path) -> Exec {
    clean(op("--json")).args(["fetch", url, "-o"]).arg(path).args(QUICK)
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("our own folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Runs it, and gives the result after having looked at the file.
#[track_caller]
fn succeed(run: Exec, path: &Path, expected: &[u8]) -> Value {
    let run = run.run();
    let answer = run.assert_code(0).json();
    assert!(fs::read(path).expect("the file is there") == expected, "the file is another: {answer:#}");
    assert_eq!(names(path.parent().expect("a folder")), [path.file_name().expect("a name").to_string_lossy()]);
    let result = answer["data"]["result"].clone();
    assert_eq!(result["sha256"], sum(expected), "{result:#}");
    assert_eq!(result["bytes"], expected.len(), "{result:#}");
    assert_eq!(result["total_bytes"], expected.len(), "{result:#}");
    result
}

/// Runs it, and gives the error after having looked that nothing was left.
#[track_caller]
fn fail(run: Exec, folder: &Path, code: &str) -> Value {
    let before = names(folder);
    let run = run.run();
    let answer = run.assert_code(1).json();
    assert_eq!(names(folder), before, "{answer:#}");
    assert_eq!(answer["error"]["code"], code, "{answer:#}");
    answer["error"].clone()
}

/// A server whose first answer is broken off, and a place for the file.
struct Broken {
    folder: tempfile::TempDir,
    server: Server,
}

impl Broken {
    fn new(script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self { folder: folder(), server: Server::start(script) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    fn fetch(&self) -> Exec {
        fetch(&self.server.url("/file"), &self.path())
    }

    #[track_caller]
    fn succeeds_with(&self, expected: &[u8]) -> Value {
        succeed(self.fetch(), &self.path(), expected)
    }
}

#[test]
fn a_file_arrives_whole_and_the_result_describes_it() {
    let at = Broken::new(|_, request| Reply::of_file(&file(), ETAG, request));
    let result = at.succeeds_with(&file());
    assert_eq!(result["url"], at.server.url("/file"));
    assert_eq!(result["file"], at.path().to_str().expect("UTF-8"));
    assert_eq!(result["status"], 200);
    assert_eq!(result["etag"], ETAG);
    assert_eq!((&result["attempts"], &result["resumed"], &result["last_error"]), (&json!(1), &json!(0), &Value::Null));
    assert_eq!(at.server.requests()[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn an_empty_file_and_one_of_unknown_length_arrive() {
    let at = Broken::new(|_, _| Reply::new(200, ""));
    at.succeeds_with(b"");
    let at = Broken::new(|_, _| Reply::new(200, file()).without_length());
    at.succeeds_with(&file());
}

#[test]
fn a_connection_that_is_reset_is_taken_up_where_it_broke() {
    let at = Broken::new(|number, request| match number {
        0 => Reply::of_file(&file(), ETAG, request).reset_after(200_000),
        _ => Reply::of_file(&file(), ETAG, request),
    });
    let result = at.succeeds_with(&file());
    assert_eq!((&result["attempts"], &result["resumed"], &result["status"]), (&json!(2), &json!(1), &json!(206)));
    assert!(result["last_error"].as_str().is_some_and(|text| text.contains("reset")), "{result:#}");
    let second = &at.server.requests()[1];
    assert_eq!(second.range_start(), Some(200_000));
    assert_eq!(second.header("if-range"), Some(ETAG));
}

#[test]
fn a_body_that_is_shorter_than_announced_is_a_broken_connection() {
    let at = Broken::new(|number, request| match number {
        0..4 => Reply::of_file(&file(), ETAG, request).closed_after(150_000),
        _ => Reply::of_file(&file(), ETAG, request),
    });
    // Each attempt got further, so that one retry is enough for all.
    let result = succeed(at.fetch().args(["--retries", "1"]), &at.path(), &file());
    assert_eq!((&result["attempts"], &result["resumed"]), (&json!(5), &json!(4)));
}

#[test]
fn without_an_etag_the_date_of_the_file_tells_whether_it_is_the_same() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let at = Broken::new(|number, request| match number {
        0 => Reply::new(200, file()).header("Last-Modified", DATE).closed_after(1000),
        _ => Reply::of_file(&file(), DATE, request),
    });
    assert_eq!(at.succeeds_with(&file())["resumed"], 1);
    assert_eq!(at.server.requests()[1].header("if-range"), Some(DATE));
}

#[test]
fn a_file_of_unknown_length_is_not_complete_when_the_connection_is_reset() {
    let at = Broken::new(|number, _| {
        let reply = Reply::new(200, file()).without_length();
        if number == 0 { reply.reset_after(200_000) } else { reply }
    });
    assert_eq!(at.succeeds_with(&file())["attempts"], 2);
}

#[test]
fn a_file_that_cannot_be_recognised_is_begun_anew() {
    for etag in [None, Some("W/\"weak\"")] {
        let at = Broken::new(move |number, _| {
            let reply = Reply::new(200, file());
            let reply = etag.map_or(reply.clone(), |etag| reply.header("ETag", etag));
            if number == 0 { reply.closed_after(1000) } else { reply }
        });
        assert_eq!(at.succeeds_with(&file())["resumed"], 0);
        assert_eq!(at.server.requests()[1].header("range"), None);
    }
}

#[test]
fn a_file_that_changed_in_between_is_begun_anew() {
    let other = flood_pattern(500_000, 2);
    let sent = other.clone();
    let at = Broken::new(move |number, request| match number {
        0 => Reply::of_file(&file(), ETAG, request).reset_after(200_000),
        _ => Reply::of_file(&sent, "\"two\"", request),
    });
    let result = at.succeeds_with(&other);
    assert_eq!((&result["resumed"], &result["etag"]), (&json!(0), &json!("\"two\"")));
}

#[test]
fn a_server_that_ignores_the_question_whether_it_changed_is_found_out() {
    let other = flood_pattern(700_000, 2);
    let sent = other.clone();
    let at = Broken::new(move |number, request| match number {
        0 => Reply::of_file(&file(), ETAG, request).reset_after(200_000),
        1 => Reply::new(206, &sent[200_000..])
            .header("Content-Range", "bytes 200000-699999/700000")
            .header("ETag", "\"two\""),
        _ => Reply::of_file(&sent, "\"two\"", request),
    });
    at.succeeds_with(&other);
}

#[test]
fn answers_to_the_wrong_part_start_it_over() {
    let wrong = [
        Reply::new(206, &file()[100..]).header("Content-Range", "bytes 100-699999/700000").header("ETag", ETAG),
        Reply::new(206, &file()[200_000..]).header("Content-Range", "bytes 200000-699999/800000").header("ETag", ETAG),
        Reply::new(206, &file()[200_000..]).header("ETag", ETAG),
        Reply::new(416, "").header("Content-Range", "bytes */700000"),
        // This one does not know ranges at all.
        Reply::new(200, file()).header("ETag", ETAG),
    ];
    for reply in wrong {
        let at = Broken::new(move |number, request| match number {
            0 => Reply::of_file(&file(), ETAG, request).reset_after(200_000),
            1 => reply.clone(),
            _ => Reply::of_file(&file(), ETAG, request),
        });
        at.succeeds_with(&file());
        assert_eq!(at.server.requests()[1].range_start(), Some(200_000));
    }
}

#[test]
fn a_server_that_never_gets_further_is_given_up() {
    let at = Broken::new(|_, _| Reply::new(200, file()).closed_after(1000));
    let error = fail(at.fetch().args(["--retries", "3"]), at.folder.path(), "SERVICE_UNAVAILABLE");
    assert_eq!(at.server.requests().len(), 4, "the first attempt brought 1000 bytes, and no other more");
    assert_eq!(error["details"]["partial_result"]["attempts"], 4);
    assert!(error["message"].as_str().is_some_and(|text| text.contains("1000 of 700000")), "{error:#}");
}

#[test]
fn a_silent_connection_counts_as_broken() {
    let at = Broken::new(|number, request| match number {
        0 => Reply::of_file(&file(), ETAG, request).silent_after(300_000),
        _ => Reply::of_file(&file(), ETAG, request).dripping(100_000, Duration::from_millis(20)),
    });
    let result = succeed(at.fetch().args(["--stall-timeout", "500ms"]), &at.path(), &file());
    assert_eq!(result["resumed"], 1);
    assert!(result["last_error"].as_str().is_some_and(|text| text.contains("no answer")), "{result:#}");
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_not() {
    for status in [408, 429, 500, 502, 503, 504] {
        let at = Broken::new(move |number, request| match number {
            0..2 => Reply::new(status, "not now"),
            _ => Reply::of_file(&file(), ETAG, request),
        });
        assert_eq!(at.succeeds_with(&file())["attempts"], 3, "{status}");
    }
    for (status, code) in [
        (404, "NOT_FOUND"),
        (410, "NOT_FOUND"),
        (401, "AUTHORIZATION_DENIED"),
        (403, "AUTHORIZATION_DENIED"),
        (400, "DEPENDENCY_ERROR"),
        (206, "DEPENDENCY_ERROR"),
        (304, "DEPENDENCY_ERROR"),
    ] {
        let at = Broken::new(move |_, _| Reply::new(status, "no"));
        let error = fail(at.fetch(), at.folder.path(), code);
        assert_eq!(at.server.requests().len(), 1, "{status}");
        assert_eq!(error["details"]["argument"], at.server.url("/file"));
    }
    let at = Broken::new(|_, _| Reply::new(500, "no"));
    let error = fail(at.fetch().args(["--retries", "2"]), at.folder.path(), "SERVICE_UNAVAILABLE");
    assert_eq!(at.server.requests().len(), 3);
    assert!(error["message"].as_str().is_some_and(|text| text.contains("500")), "{error:#}");
}

#[test]
fn the_server_says_when_to_come_back() {
    let at = Broken::new(|number, request| match number {
        0 => Reply::new(503, "").header("Retry-After", 1),
        _ => Reply::of_file(&file(), ETAG, request),
    });
    let run = at.fetch().run();
    run.assert_code(0);
    assert!(run.elapsed >= seconds(1.0), "{:?}", run.elapsed);
}

#[test]
fn a_port_where_nobody_listens_is_tried_again_and_named() {
    let port = Server::start(|_, _| Reply::new(200, "")).port();
    let folder = folder();
    let url = format!("http://127.0.0.1:{port}/");
    let run = fetch(&url, &folder.path().join("file")).args(["--retries", "1"]);
    let error = fail(run, folder.path(), "SERVICE_UNAVAILABLE");
    assert_eq!(error["details"]["partial_result"]["last_error"], "connection refused");
    assert_eq!(error["details"]["partial_result"]["attempts"], 2);
}

#[test]
fn a_wrong_sum_leaves_what_was_there() {
    let at = Broken::new(|_, request| Reply::of_file(&file(), ETAG, request));
    let wanted = "0".repeat(64);
    let error = fail(at.fetch().args(["--sha256", &wanted]), at.folder.path(), "COMMAND_FAILED");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains(&wanted) && message.contains(&sum(&file())), "{message}");
    fs::write(at.path(), "old").expect("our own folder");
    fail(at.fetch().args(["--sha256", &wanted]), at.folder.path(), "COMMAND_FAILED");
    assert_eq!(fs::read(at.path()).expect("still there"), b"old");
    succeed(at.fetch().args(["--sha256", &sum(&file()).to_uppercase()]), &at.path(), &file());
}

#[test]
fn a_wrong_sum_of_parts_starts_it_over() {
    let other: Vec<u8> = file().iter().map(|byte| !byte).collect();
    let sent = other.clone();
    // Nothing says that the file is another now.
    let at = Broken::new(move |number, request| match (number, request.range_start()) {
        (0, _) => Reply::new(200, file()).closed_after(200_000),
        (_, Some(start)) => {
            Reply::new(206, &sent[start..]).header("Content-Range", format!("bytes {start}-699999/700000"))
        }
        _ => Reply::new(200, sent.clone()),
    });
    let result = succeed(at.fetch().args(["--sha256", &sum(&other), "--retries", "1"]), &at.path(), &other);
    assert_eq!((&result["attempts"], &result["resumed"]), (&json!(3), &json!(1)));
    fs::remove_file(at.path()).expect("our own file");
    // In one piece it is final.
    let before = at.server.requests().len();
    fail(at.fetch().args(["--sha256", &sum(&file())]), at.folder.path(), "COMMAND_FAILED");
    assert_eq!(at.server.requests().len(), before + 1);
}

#[test]
fn a_file_has_the_permissions_of_its_predecessor_or_of_the_umask() {
    let at = Broken::new(|_, request| Reply::of_file(&file(), ETAG, request));
    let mode = || fs::metadata(at.path()).expect("the file").permissions().mode() & 0o7777;
    let url = at.server.url("/file");
    let status = Command::new("sh")
        .args(["-c", "umask 027; exec \"$0\" op fetch \"$1\" -o \"$2\"", env!("CARGO_BIN_EXE_runner"), &url])
        .arg(at.path())
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("sh runs").success());
    assert_eq!(mode(), 0o640);
    crate::support::set_mode(&at.path(), 0o604);
    at.succeeds_with(&file());
    assert_eq!(mode(), 0o604);
}

#[test]
fn a_link_stays_a_link() {
    let at = Broken::new(|_, request| Reply::of_file(&file(), ETAG, request));
    let link = at.folder.path().join("link");
    symlink("file", &link).expect("a link");
    fetch(&at.server.url("/"), &link).run().assert_code(0);
    assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
    assert_eq!(fs::read(at.path()).expect("the file"), file());
}

#[test]
fn a_kill_in_the_middle_leaves_nothing() {
    let at = Broken::new(|_, request| Reply::of_file(&file(), ETAG, request).silent_after(400_000));
    fs::write(at.path(), "old").expect("our own folder");
    let mut run = at.fetch().start();
    wait_until(SOON, "a request", || at.server.requests().len() == 1);
    run.wait_a_little();
    assert_eq!(names(at.folder.path()), ["file"], "the new file has no name yet");
    run.signal(libc::SIGKILL);
    run.finish().assert_died_of(libc::SIGKILL).assert_tree_dead();
    assert_eq!(names(at.folder.path()), ["file"]);
    assert_eq!(fs::read(at.path()).expect("still there"), b"old");
}

#[test]
fn a_timeout_tells_how_far_it_came_and_leaves_nothing() {
    let at = Broken::new(|number, request| match number {
        0 => Reply::of_file(&file(), ETAG, request).reset_after(100_000),
        _ => Reply::of_file(&file(), ETAG, request).silent_after(300_000),
    });
    let url = at.server.url("/file");
    let run = clean(op("--json -t 2s")).args(["fetch", &url, "-o"]).arg(at.path()).args(QUICK).run();
    let answer = run.assert_code(124).json();
    run.assert_tree_dead();
    assert_eq!(answer["error"]["code"], "TIMEOUT");
    let partial = &answer["error"]["details"]["partial_result"];
    assert_eq!((&partial["bytes"], &partial["total_bytes"]), (&json!(400_000), &json!(700_000)), "{partial:#}");
    assert_eq!((&partial["attempts"], &partial["resumed"]), (&json!(2), &json!(1)), "{partial:#}");
    assert!(partial["last_error"].as_str().is_some_and(|text| text.contains("reset")), "{partial:#}");
    assert_eq!(partial["url"], url);
    assert_eq!(names(at.folder.path()), [""; 0]);
}

#[test]
fn progress_never_goes_back_when_it_starts_over() {
    let at = Broken::new(|number, _| {
        let reply = Reply::new(200, file()).dripping(60_000, Duration::from_millis(60));
        if number == 0 { reply.closed_after(600_000) } else { reply }
    });
    let url = at.server.url("/file");
    let run = clean(op("--progress json")).args(["fetch", &url, "-o"]).arg(at.path()).args(QUICK).run();
    run.assert_code(0);
    let fractions = crate::support::reported_progress(&run.stderr_text());
    assert!(fractions.len() > 3 && fractions.is_sorted() && fractions[0] < 0.5, "{fractions:?}");
    assert_eq!(at.server.requests().len(), 2);
}

#[test]
fn told_to_stop_it_stops_and_leaves_nothing() {
    let at = Broken::new(|_, request| Reply::of_file(&file(), ETAG, request).silent_after(400_000));
    let run = at.fetch().start();
    wait_until(SOON, "a request", || at.server.requests().len() == 1);
    run.signal(libc::SIGTERM);
    let run = run.finish();
    assert_eq!(run.assert_code(143).json()["error"]["code"], "CANCELLED");
    run.assert_tree_dead();
    assert_eq!(names(at.folder.path()), [""; 0]);
}

#[test]
fn redirects_are_followed_and_end() {
    let at = Broken::new(|_, request| match request.target.as_str() {
        "/file" => Reply::new(302, "elsewhere").header("Location", "/a/b?x"),
        "/a/b?x" => Reply::new(301, "").header("Location", "../c"),
        "/c" => Reply::of_file(&file(), ETAG, request),
        _ => Reply::new(307, "").header("Location", "/round"),
    });
    at.succeeds_with(&file());
    let error =
        fail(fetch(&at.server.url("/round"), &at.folder.path().join("x")), at.folder.path(), "DEPENDENCY_ERROR");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("10 redirects")), "{error:#}");
    let at = Broken::new(|_, _| Reply::new(302, "").header("Location", "file:///etc/passwd"));
    let error = fail(at.fetch(), at.folder.path(), "DEPENDENCY_ERROR");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("only those are followed")), "{error:#}");
    let at = Broken::new(|_, request| match request.target.as_str() {
        "/file" => Reply::new(302, "").header("Location", "/ök?ä b"),
        "/%C3%B6k?%C3%A4%20b" => Reply::of_file(&file(), ETAG, request),
        _ => Reply::new(404, ""),
    });
    at.succeeds_with(&file());
}

#[test]
fn headers_that_make_no_sense_are_not_asked_for_again() {
    let many = (0..200).fold(Reply::new(200, "x"), |reply, number| reply.header(&format!("X-{number}"), number));
    let twice = Reply::new(200, "x").header("Content-Length", 2);
    for reply in [many, twice] {
        let at = Broken::new(move |_, _| reply.clone());
        fail(at.fetch(), at.folder.path(), "DEPENDENCY_ERROR");
        assert_eq!(at.server.requests().len(), 1);
    }
}

#[test]
fn neither_a_password_that_breaks_the_url_nor_a_query_is_shown() {
    let folder = folder();
    for url in ["http://user:hid/den@host/f", "http://user:hid?den@host/f", "http://user:hid#den@host/f"] {
        let run = fetch(url, &folder.path().join("file")).run();
        let text = run.assert_code(125).stdout_text() + &run.stderr_text();
        assert!(!text.contains("hid") && !text.contains("den@") && text.contains("//host/f"), "{text}");
    }
    let at = Broken::new(|number, request| match number {
        0 => Reply::new(503, ""),
        1 => Reply::of_file(&file(), ETAG, request),
        _ => Reply::new(404, ""),
    });
    let url = at.server.url("/file?X-Amz-Signature=hidden");
    for code in [0, 1] {
        let run = fetch(&url, &at.path()).run();
        let text = run.assert_code(code).stdout_text() + &run.stderr_text();
        assert!(!text.contains("hidden") && text.contains("/file?..."), "{text}");
    }
    assert_eq!(at.server.requests()[1].target, "/file?X-Amz-Signature=hidden");
}

#[test]
fn no_other_host_gets_to_see_what_was_meant_for_the_first() {
    let other = Server::start(|_, request| Reply::of_file(&file(), ETAG, request));
    let target = other.url("/elsewhere");
    let at = Broken::new(move |_, _| Reply::new(302, "").header("Location", &target));
    let url = at.server.url_with_user("user:p%40ss", "/file");
    let run = fetch(&url, &at.path()).args(["--header", "Cookie: secret", "--header", "X-Token: secret"]);
    let result = succeed(run, &at.path(), &file());
    assert_eq!(result["url"], at.server.url("/file"));
    let first = &at.server.requests()[0];
    assert_eq!(first.header("authorization"), Some("Basic dXNlcjpwQHNz"));
    assert_eq!((first.header("cookie"), first.header("x-token")), (Some("secret"), Some("secret")));
    let second = &other.requests()[0];
    for name in ["authorization", "cookie", "x-token"] {
        assert_eq!(second.header(name), None, "{name}");
    }
}

#[test]
fn secrets_are_in_no_message() {
    for status in [404, 503] {
        let at = Broken::new(move |_, _| Reply::new(status, "no"));
        let url = at.server.url_with_user("user:hidden", "/file");
        let run = fetch(&url, &at.path()).args(["--retries", "1", "--header", "Authorization: hidden"]).run();
        let text = run.assert_code(1).stdout_text() + &run.stderr_text();
        assert!(!text.contains("hidden") && text.contains("/file"), "{text}");
    }
}

#[test]
fn secrets_are_not_in_the_list_of_processes() {
    let at = Broken::new(|_, request| Reply::of_file(&file(), ETAG, request).silent_after(1000));
    let url = at.server.url_with_user("user:hidden", "/file");
    let run = clean(op("--json -t 1s")).args(["fetch", &url, "--header", "X: hidden", "-o"]).arg(at.path()).run();
    let answer = run.assert_code(124).json();
    let command = answer["error"]["details"]["processes"][0]["command"].as_str().expect("a process");
    assert!(command.ends_with("__operation fetch"), "{command}");
    assert!(!(run.stdout_text() + &run.stderr_text()).contains("hidden"), "{answer:#}");
}

#[test]
fn secrets_are_seen_by_nobody_who_lists_the_processes() {
    let at = Broken::new(|_, request| Reply::of_file(&file(), ETAG, request).silent_after(1000));
    let secret = format!("secret-{}", std::process::id());
    let run = at.fetch().args(["--header", &format!("Authorization: {secret}")]).start();
    wait_until(SOON, "a request", || at.server.requests().len() == 1);
    let output = Command::new("ps").args(["-e", "-ww", "-o", "pid=,args="]).output().expect("ps runs");
    let list = String::from_utf8_lossy(&output.stdout);
    assert!(!list.contains(&secret), "{list}");
    let own = list.lines().find_map(|line| line.trim().strip_prefix(&format!("{} ", run.pid()))).expect("it is listed");
    assert!(own.trim().ends_with("runner op --json fetch"), "{own}");
    assert_eq!(at.server.requests()[0].header("authorization"), Some(secret.as_str()));
    run.signal(libc::SIGTERM);
    run.finish().assert_code(143).assert_tree_dead();
}

#[test]
fn proxies_are_used_and_exceptions_are_not() {
    let proxy = Server::start(|_, request| Reply::of_file(&file(), ETAG, request));
    let folder = folder();
    let path = folder.path().join("file");
    let address = proxy.url_with_user("user:word", "");
    let run = fetch("http://nowhere.invalid:81/x?y", &path).env("http_proxy", &address);
    succeed(run, &path, &file());
    let request = &proxy.requests()[0];
    assert_eq!(request.target, "http://nowhere.invalid:81/x?y");
    assert_eq!(request.header("host"), Some("nowhere.invalid:81"));
    assert_eq!(request.header("proxy-authorization"), Some("Basic dXNlcjp3b3Jk"));
    let at = Broken::new(|_, request| Reply::of_file(&file(), ETAG, request));
    let run = at.fetch().env("all_proxy", &address).env("no_proxy", "localhost,127.0.0.0/8");
    succeed(run, &at.path(), &file());
    assert_eq!((proxy.requests().len(), at.server.requests()[0].target.as_str()), (1, "/file"));
}

#[test]
fn standard_output_gets_the_bytes_and_nothing_else() {
    let at = Broken::new(|number, request| match number {
        0 => Reply::of_file(&file(), ETAG, request).reset_after(200_000),
        // Not knowing ranges, it begins anew; what was written is left out.
        1 => Reply::new(200, file()).header("ETag", ETAG).closed_after(300_000),
        _ => Reply::of_file(&file(), ETAG, request),
    });
    let run = clean(op("")).args(["fetch", &at.server.url("/file"), "-o", "-"]).args(QUICK).run();
    run.assert_code(0);
    assert!(run.stdout == file(), "{} bytes", run.stdout.len());
}

#[test]
fn what_standard_output_was_given_cannot_be_taken_back() {
    let at = Broken::new(|number, request| match number {
        0 => Reply::of_file(&file(), ETAG, request).reset_after(200_000),
        _ => Reply::of_file(&file(), "\"two\"", request),
    });
    let run = clean(op("")).args(["fetch", &at.server.url("/file"), "-o", "-"]).args(QUICK).run();
    let answer = run.assert_code(1).answer();
    assert_eq!(answer["error"]["code"], "DEPENDENCY_ERROR");
    assert!(run.stdout == file()[..200_000], "{} bytes", run.stdout.len());
}

#[test]
fn wrong_parameters_are_refused_before_anything_starts() {
    let at = Broken::new(|_, _| Reply::new(200, ""));
    let folder = at.folder.path().to_str().expect("UTF-8");
    for arguments in [
        &["ftp://user:hidden@h/", "-o", "-"][..],
        &["http://user:hidden@h:0/", "-o", "-"],
        &["http://h/", "-o", folder],
        &["http://h/", "-o", "/no/such/folder/file"],
        &["http://h/", "-o", "-", "--sha256", "12"],
        &["http://h/", "-o", "-", "--header", "hidden"],
        &["http://h/", "-o", "-", "--header", "Range: hidden"],
        &["http://h/", "-o", "-", "--stall-timeout", "0"],
        &["http://h/"],
    ] {
        let run = clean(op("--json")).arg("fetch").args(arguments).run();
        let answer = run.assert_code(125).json();
        assert!(!answer.to_string().contains("hidden"), "{answer:#}");
    }
    // A relative name is one of the job's folder.
    let run = clean(op("--json")).args(["--cwd", folder, "fetch", &at.server.url("/"), "-o", "."]).run();
    let answer = run.assert_code(125).json();
    assert_eq!(answer["error"]["code"], "VALIDATION_ERROR");
    assert!(at.server.requests().is_empty());
}

/// A worker, or the runner of a list, may be in another directory than the job.
#[test]
fn a_relative_output_is_relative_to_the_directory_of_the_job() {
    let at = Broken::new(|_, _| Reply::new(200, "content"));
    let inner = at.folder.path().join("inner");
    std::fs::create_dir(&inner).expect("our own directory");
    let url = at.server.url("/file");
    let closed = crate::support::folder();
    crate::support::set_mode(closed.path(), 0o555);
    let run = clean(op("--json")).with(|command| _ = command.current_dir(closed.path()));
    let run = run.arg("--cwd").arg(&inner).args(["fetch", &url, "-o", "file"]);
    let run = if crate::support::is_root() { run.with(crate::support::become_nobody) } else { run };
    crate::support::set_mode(&inner, 0o777);
    crate::support::set_mode(at.folder.path(), 0o755);
    run.run().assert_code(0);
    assert_eq!(std::fs::read(inner.join("file")).expect("a file"), b"content");
}
