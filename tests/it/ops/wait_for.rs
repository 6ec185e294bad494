//! `runner op wait-for` ends when what it waits for is there, says of each target how it stands, and lets no target keep
//! another waiting.
#![expect(clippy::disallowed_methods, reason = "tests start processes themselves")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};

#[cfg(feature = "fetch")]
use crate::support::http::{Reply, Server};
use crate::support::{Exec, SOON, folder, op, seconds, wait_until};
use serde_json::{Value, json};

/// Options of the operation that make it ask often.
const OFTEN: [&str; 2] = ["--interval", "20ms"];

fn wait_for<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(job_options: &str, arguments: I) -> Exec {
    let mut run = op(&format!("--json {job_options}"));
    for name in ["http_proxy", "all_proxy"] {
        run.command.env_remove(name).env_remove(name.to_uppercase());
    }
    run.arg("wait-for").args(OFTEN).args(arguments)
}

/// The result of a run that succeeds.
#[track_caller]
fn result(run: Exec) -> Value {
    let run = run.run();
    let answer = run.assert_code(0).json();
    run.assert_tree_dead();
    assert_eq!(answer["data"]["leftovers"], json!([]));
    answer["data"]["result"].clone()
}

/// The rows of a run that is stopped for time.
#[track_caller]
fn rows_at_timeout<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(limit: &str, arguments: I) -> Vec<Value> {
    let run = wait_for(&format!("-t {limit}"), arguments).run();
    let answer = run.assert_code(124).json();
    run.assert_tree_dead();
    assert_eq!(answer["error"]["code"], "TIMEOUT");
    let partial = &answer["error"]["details"]["partial_result"];
    let rows = partial["targets"].as_array().unwrap_or_else(|| panic!("no targets: {answer:#}")).clone();
    assert_eq!(partial["total"], rows.len());
    rows
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A port of loopback on which nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

#[test]
fn it_ends_when_a_file_appears_and_not_before() {
    let folder = folder();
    let path = folder.path().join("ready");
    let asked = folder.path().join("asked");
    let line = format!("cmd:echo >>{}", text(&asked));
    let target = format!("file:{}", text(&path));
    let mut run = wait_for("", [&target, &line]).start();
    wait_until(SOON, "some attempts", || fs::read(&asked).is_ok_and(|bytes| bytes.len() >= 3));
    assert!(!run.has_ended());
    fs::write(&path, "").expect("our own folder");
    let run = run.finish();
    let answer = run.assert_code(0).json();
    let result = &answer["data"]["result"];
    assert_eq!((&result["held"], &result["total"]), (&json!(2), &json!(2)));
    assert!(result["waited_seconds"].as_f64().is_some_and(|waited| waited > 0.0 && waited < 20.0), "{result:#}");
    let row = &result["targets"][0];
    assert_eq!((&row["target"], &row["holds"], &row["last_error"]), (&json!(target), &json!(true), &Value::Null));
    assert!(row["attempts"].as_u64().is_some_and(|attempts| attempts >= 2), "{row:#}");
}

#[test]
fn it_ends_when_a_file_is_gone_also_a_link_that_leads_nowhere() {
    let folder = folder();
    let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
    fs::write(&file, "").expect("our own folder");
    std::os::unix::fs::symlink("nowhere", &link).expect("our own folder");
    let targets = [&file, &link].map(|path| format!("file:!{}", text(path)));
    for row in rows_at_timeout("500ms", &targets) {
        assert_eq!((&row["holds"], &row["last_error"]), (&json!(false), &json!("it exists")));
    }
    fs::remove_file(&file).expect("our own file");
    fs::remove_file(&link).expect("our own link");
    assert_eq!(result(wait_for("", &targets))["held"], 2);
    assert_eq!(result(wait_for("", [format!("file:!{}/below", text(&file))]))["held"], 1);
}

#[test]
fn it_ends_when_somebody_listens() {
    let folder = folder();
    let path = folder.path().join("socket");
    let port = free_port();
    let targets = [format!("tcp://127.0.0.1:{port}"), format!("unix:{}", text(&path))];
    let rows = rows_at_timeout("500ms", &targets);
    assert_eq!(rows[0]["last_error"], "connection refused");
    assert_eq!(rows[1]["last_error"], "no such file or directory");
    let datagram = UnixDatagram::bind(&path).expect("our own folder");
    assert_eq!(rows_at_timeout("500ms", &targets[1..])[0]["holds"], false);
    drop(datagram);
    fs::remove_file(&path).expect("our own socket");
    let _listeners = (TcpListener::bind(("127.0.0.1", port)), UnixListener::bind(&path));
    assert_eq!(result(wait_for("", &targets))["held"], 2);
}

#[test]
fn a_host_is_reached_by_whichever_address_answers() {
    let old = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = old.local_addr().expect("bound").port();
    assert_eq!(result(wait_for("", [format!("tcp://localhost:{port}")]))["held"], 1);
    match TcpListener::bind("[::1]:0") {
        Ok(new) => {
            let port = new.local_addr().expect("bound").port();
            let targets = [format!("tcp://[::1]:{port}")];
            assert_eq!(result(wait_for("", targets))["held"], 1);
        }
        Err(error) => crate::support::skip("IPv6", &error.to_string()),
    }
}

#[test]
fn it_ends_when_a_process_has_ended_also_when_nobody_reaps_it() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat starts");
    let target = format!("pid:{}", child.id());
    let rows = rows_at_timeout("500ms", [&target]);
    assert_eq!((&rows[0]["holds"], &rows[0]["last_error"]), (&json!(false), &json!("it is running")));
    let run = wait_for("", [&target]).start();
    drop(child.stdin.take());
    run.finish().assert_code(0);
    assert_eq!(crate::support::state_of(child.id().cast_signed()), Some('Z'));
    assert_eq!(result(wait_for("", [&target]))["held"], 1);
    child.wait().expect("our own child");
    assert_eq!(result(wait_for("", [target.as_str(), "pid:2147483647"]))["held"], 2);
}

#[test]
fn it_ends_when_a_command_succeeds_and_the_command_is_not_heard() {
    let folder = folder();
    let count = folder.path().join("count");
    let line = format!("cmd:cat; echo loud; echo loud >&2; echo >>{0}; test $(wc -l <{0}) -ge 3", text(&count));
    let run = wait_for("", [&line]).run();
    let answer = run.assert_code(0).json();
    assert_eq!((&answer["data"]["stdout"], &answer["data"]["stderr"]), (&json!(""), &json!("")));
    assert_eq!(answer["data"]["result"]["targets"][0]["attempts"], 3);
    assert_eq!(rows_at_timeout("500ms", ["cmd:exit 7"])[0]["last_error"], "exit code 7");
}

#[test]
fn a_command_ignores_no_signal() {
    let line = "cmd:grep -q '^SigIgn:[[:space:]]*0*$' /proc/self/status";
    assert_eq!(result(wait_for("-t 10s", [line]))["held"], 1);
}

#[test]
fn what_a_command_started_goes_with_it() {
    let folder = folder();
    let pids = folder.path().join("pids");
    // One that hangs, one that leaves something in the background.
    let hangs = format!("cmd:sleep 1000 & echo $! $$ >>{0}; wait", text(&pids));
    let leaves = format!("cmd:sleep 1000 & echo $! >>{0}; test -e {1}", text(&pids), text(&folder.path().join("go")));
    let run = wait_for("", ["--any", &hangs, &leaves]).start();
    let started = || fs::read_to_string(&pids).unwrap_or_default().split_whitespace().count();
    wait_until(SOON, "some attempts", || started() >= 4);
    fs::write(folder.path().join("go"), "").expect("our own folder");
    let run = run.finish();
    assert_eq!(run.assert_code(0).json()["data"]["leftovers"], json!([]));
    run.assert_tree_dead();
    // Told to stop, it takes the command with it, too.
    fs::remove_file(&pids).expect("our own file");
    let run = wait_for("", [&hangs]).start();
    wait_until(SOON, "an attempt", || started() >= 2);
    run.signal(libc::SIGTERM);
    let run = run.finish();
    run.assert_code(143).assert_tree_dead();
    assert_eq!(run.json()["error"]["details"]["termination"]["signals"], json!(["TERM"]));
}

#[test]
fn one_target_is_enough_if_any_is_asked_for() {
    let folder = folder();
    let targets = [format!("file:{}", text(folder.path())), "file:/no/such/file".to_owned()];
    let rows = rows_at_timeout("500ms", &targets);
    assert_eq!((&rows[0]["holds"], &rows[1]["holds"]), (&json!(true), &json!(false)));
    let result = result(wait_for("", ["--any"]).args(&targets));
    assert_eq!((&result["held"], &result["total"]), (&json!(1), &json!(2)));
}

#[test]
fn it_must_hold_without_interruption() {
    let folder = folder();
    let count = folder.path().join("count");
    // The fourth attempt fails.
    let line = format!("cmd:echo >>{0}; test $(wc -l <{0}) -ne 4", text(&count));
    let run = wait_for("", ["--stable", "600ms", &line]).run();
    let answer = run.assert_code(0).json();
    let row = &answer["data"]["result"]["targets"][0];
    assert!(run.elapsed >= seconds(0.6), "{:?}", run.elapsed);
    assert!(row["attempts"].as_u64().is_some_and(|attempts| attempts > 4), "{row:#}");
    assert!(row["held_for_seconds"].as_f64().is_some_and(|held| held >= 0.6), "{row:#}");
    let always = result(wait_for("", ["--interval", "10s", "--stable", "300ms", "cmd:true"]));
    assert_eq!(always["targets"][0]["attempts"], 2, "the end is looked at in time");
}

#[test]
fn what_must_hold_for_long_is_far_from_done_when_it_begins_to() {
    let run = op("--progress json -t 1s").args(["wait-for", "--stable", "60s", "file:/"]).args(OFTEN).run();
    run.assert_code(124);
    let fractions = crate::support::reported_progress(&run.stderr_text());
    assert!(fractions.iter().all(|fraction| *fraction < 0.1), "{fractions:?}");
    assert!(fractions.last().is_some_and(|fraction| *fraction > 0.0), "{fractions:?}");
}

#[test]
fn a_target_that_swallows_everything_keeps_no_other_waiting() {
    let folder = folder();
    let ready = folder.path().join("ready");
    // A listener whose queue is full answers nothing.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = deaf.local_addr().expect("bound");
    let mut queue = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, seconds(0.2)) {
        queue.push(stream);
        if queue.len() > 5000 {
            return crate::support::skip("backlog that can be filled", "connects succeed beyond the backlog");
        }
    }
    fs::write(&ready, "").expect("our own folder");
    let targets = [format!("tcp://{address}"), format!("file:{}", text(&ready)), "cmd:sleep 1000".to_owned()];
    let rows = rows_at_timeout("1s", &targets);
    assert_eq!((&rows[0]["holds"], &rows[0]["last_error"]), (&json!(false), &json!("no answer yet")));
    assert_eq!((&rows[1]["holds"], &rows[1]["last_error"]), (&json!(true), &Value::Null));
    assert!(rows[1]["attempts"].as_u64().is_some_and(|attempts| attempts >= 3), "{rows:#?}");
    assert!(rows[1]["held_for_seconds"].as_f64().is_some_and(|held| held > 0.3), "{rows:#?}");
}

#[test]
fn many_long_targets_have_a_result_and_a_partial_result() {
    // All the same file, by long names that differ.
    let targets = |file: &str| -> Vec<String> {
        (0..400).map(|number| format!("file:{}{file}", "/./".repeat(900 + number % 7))).collect()
    };
    let held = result(wait_for("", targets("/")));
    assert_eq!((&held["held"], &held["total"], &held["targets_omitted"]), (&json!(400), &json!(400), &json!(200)));
    let run = wait_for("-t 1s", targets("no/such/file")).run();
    let answer = run.assert_code(124).json();
    let partial = &answer["error"]["details"]["partial_result"];
    assert_eq!((&partial["total"], &partial["targets_omitted"]), (&json!(400), &json!(200)));
    assert!(partial["targets"][0]["target"].as_str().is_some_and(|text| text.len() < 500), "{partial:#}");
}

#[test]
fn told_to_stop_it_stops_at_once() {
    let folder = folder();
    let asked = folder.path().join("asked");
    let run = wait_for("", ["file:/no/such/file", &format!("cmd:echo >>{}; false", text(&asked))]).start();
    wait_until(SOON, "some attempts", || fs::read(&asked).is_ok_and(|bytes| bytes.len() >= 3));
    run.signal(libc::SIGTERM);
    let run = run.finish();
    let answer = run.assert_code(143).json();
    assert_eq!(answer["error"]["code"], "CANCELLED");
    let row = &answer["error"]["details"]["partial_result"]["targets"][0];
    assert_eq!(row["last_error"], "it does not exist");
    assert_eq!(answer["error"]["details"]["termination"]["signals"], json!(["TERM"]));
}

#[test]
fn without_a_shell_no_command_is_waited_for() {
    let run = wait_for("-t 10s --env PATH=/nonexistent", ["cmd:true"]).run();
    let answer = run.assert_code(1).json();
    assert_eq!(answer["error"]["code"], "DEPENDENCY_ERROR");
    assert_eq!(answer["error"]["details"]["argument"], "cmd:true");
    let folder = folder();
    let other = format!("file:{}", text(folder.path()));
    assert_eq!(result(wait_for("--env PATH=/nonexistent", ["--any", "cmd:true", &other]))["held"], 1);
}

#[test]
fn a_password_that_breaks_its_target_is_not_shown_and_the_name_of_a_file_is() {
    for target in
        ["tcp://user:hid/den@host:1", "tcp://hidden@host:1", "http://user:hid/den@host:1", "x://user:hid/den@h"]
    {
        let run = op("--json").args(["wait-for", target]).run();
        let text = run.assert_code(125).stdout_text() + &run.stderr_text();
        assert!(!text.contains("hid") && !text.contains("den@"), "{text}");
    }
    let folder = folder();
    let target = format!("file:{}/a@b?c", text(folder.path()));
    fs::write(folder.path().join("a@b?c"), "").expect("our own folder");
    assert_eq!(result(wait_for("", [&target]))["targets"][0]["target"], target);
    assert_eq!(result(wait_for("--cwd /", ["file:!a@b"]))["targets"][0]["target"], "file:!a@b");
}

#[test]
fn wrong_parameters_are_refused_before_anything_starts() {
    for (arguments, named) in [
        (&["gopher://h:1"][..], "gopher://h:1"),
        (&["tcp://localhost"], "tcp://localhost"),
        (&["tcp://localhost:0"], "tcp://localhost:0"),
        (&["tcp://localhost:65536"], "tcp://localhost:65536"),
        (&["tcp://ho st:1"], "tcp://ho st:1"),
        (&["tcp://::1:80"], "tcp://::1:80"),
        (&["pid:self"], "pid:self"),
        (&["pid:0"], "pid:0"),
        (&["file:"], "file:"),
        (&["cmd:"], "cmd:"),
        (&["file:/", "--status", "200"], "--status"),
        (&["file:/", "--body", "x"], "--body"),
        (&["file:/", "--interval", "1ms"], "--interval"),
    ] {
        let run = op("--json").arg("wait-for").args(arguments).run();
        let error = run.assert_code(125).json()["error"].clone();
        assert_eq!(error["code"], "VALIDATION_ERROR");
        assert_eq!(error["details"]["argument"], named, "{error:#}");
    }
    op("--json").arg("wait-for").run().assert_code(125);
}

#[cfg(feature = "fetch")]
#[test]
fn an_http_answer_must_be_as_expected() {
    let server = Server::start(|number, request| match request.target.as_str() {
        "/slow-start" if number < 3 => Reply::new(503, ""),
        "/old" => Reply::new(302, "").header("Location", "/new"),
        "/teapot" => Reply::new(418, "short and stout"),
        _ => Reply::new(200, "state: green\n"),
    });
    assert!(result(wait_for("", [server.url("/slow-start")]))["targets"][0]["attempts"].as_u64() >= Some(2));
    assert_eq!(result(wait_for("", ["--body", "^state: (green|blue)", &server.url("/old")]))["held"], 1);
    assert_eq!(result(wait_for("", ["--status", "200,410-420", &server.url("/teapot")]))["held"], 1);
    assert_eq!(result(wait_for("", ["--status", "300-399", &server.url("/old")]))["held"], 1);
    assert_eq!(rows_at_timeout("500ms", ["--status", "301", &server.url("/old")])[0]["last_error"], "HTTP status 200");
    assert_eq!(rows_at_timeout("500ms", [server.url("/teapot")])[0]["last_error"], "HTTP status 418");
    let rows = rows_at_timeout("500ms", ["--body", "red", &server.url("/x")]);
    assert_eq!(rows[0]["last_error"], "the body does not match");
    for (arguments, named) in [(["--status", "2xx"], "--status"), (["--body", "("], "--body")] {
        let run = wait_for("", arguments).arg(server.url("/x")).run();
        assert_eq!(run.assert_code(125).json()["error"]["details"]["argument"], named);
    }
}

#[cfg(feature = "fetch")]
#[test]
fn a_server_that_never_answers_keeps_no_other_waiting() {
    let server = Server::start(|_, request| match request.target.as_str() {
        "/hang" => Reply::new(200, "x").silent_after(0),
        _ => Reply::new(200, "x"),
    });
    let rows = rows_at_timeout("1s", ["--body", "x", &server.url("/hang"), &server.url("/")]);
    assert_eq!((&rows[0]["holds"], &rows[1]["holds"]), (&json!(false), &json!(true)), "{rows:#?}");
    assert!(rows[1]["attempts"].as_u64().is_some_and(|attempts| attempts >= 3), "{rows:#?}");
}

#[cfg(feature = "fetch")]
#[test]
fn the_credentials_of_a_url_are_sent_and_not_shown() {
    let server = Server::start(|_, request| match request.header("authorization") {
        Some("Basic dXNlcjpoaWRkZW4=") => Reply::new(200, ""),
        _ => Reply::new(401, ""),
    });
    let url = server.url_with_user("user:hidden", "/");
    let run = wait_for("", [&url]).run();
    assert_eq!(run.assert_code(0).json()["data"]["result"]["targets"][0]["target"], server.url("/"));
    assert!(!(run.stdout_text() + &run.stderr_text()).contains("hidden"));
}
