//! `runner op post` sends a body through what servers answer, never as another request than was asked for, and says what
//! happened without telling secrets.
#![cfg(feature = "fetch")]

use std::fs;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::support::http::{Reply, Request, Server};
use crate::support::{Exec, SOON, flood_pattern, folder, op, reported_progress, wait_until};
use serde_json::{Value, json};

fn clean(mut run: Exec) -> Exec {
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        run.command.env_remove(name).env_remove(name.to_uppercase());
    }
    run
}

fn post(url: &str) -> Exec {
    clean(op("--json")).args(["post", url])
}

/// A server that answers every request alike.
fn server(reply: Reply) -> Server {
    Server::start(move |_, _| reply.clone())
}

/// A server whose first answer is another than those after it.
fn two(first: Reply, then: Reply) -> Server {
    Server::start(move |number, _| if number == 0 { first.clone() } else { then.clone() })
}

#[track_caller]
fn succeed(run: Exec) -> Value {
    let run = run.run();
    run.assert_code(0).json()["data"]["result"].clone()
}

#[track_caller]
fn fail(run: Exec, code: &str) -> Value {
    let run = run.run();
    let answer = run.assert_code(1).json();
    assert_eq!(answer["error"]["code"], code, "{answer:#}");
    answer["error"].clone()
}

#[track_caller]
fn message(error: &Value) -> &str {
    error["message"].as_str().expect("a message")
}

#[track_caller]
fn only(server: &Server) -> Request {
    let [request] = <[Request; 1]>::try_from(server.requests()).expect("one request");
    request
}

#[test]
fn a_file_is_sent_as_it_is_with_its_length_and_type() {
    let (folder, body) = (folder(), flood_pattern(700_000, 1));
    fs::write(folder.path().join("body"), &body).expect("written");
    let server = server(Reply::new(201, "thanks"));
    let run = post(&server.url("/hook")).arg("--body").arg(folder.path().join("body"));
    let result = succeed(run.args(["--content-type", "application/json", "--header", "X-Key: 1"]));
    let expected = json!({"url": server.url("/hook"), "bytes_sent": 700_000, "total_bytes": 700_000, "attempts": 1,
        "last_error": null, "status": 201, "answer": "thanks"});
    assert_eq!(result, expected);
    let request = only(&server);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hook"));
    assert!(request.body == body, "what arrives is another body");
    assert_eq!(request.header("content-length"), Some("700000"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-key"), Some("1"));
    assert_eq!(request.header("transfer-encoding"), None);
}

#[test]
fn without_a_body_nothing_is_sent() {
    let server = server(Reply::new(204, ""));
    let result = succeed(post(&server.url("/")));
    assert_eq!((&result["bytes_sent"], &result["answer"]), (&json!(0), &json!("")));
    let request = only(&server);
    assert_eq!((request.header("content-length"), request.header("content-type")), (Some("0"), None));
}

#[test]
fn standard_input_is_sent_in_chunks_and_put_is_a_method_too() {
    let server = server(Reply::new(200, ""));
    let result = succeed(post(&server.url("/")).args(["--body", "-", "--method", "put"]).input("from a pipe"));
    assert_eq!((&result["bytes_sent"], &result["total_bytes"]), (&json!(11), &Value::Null));
    let request = only(&server);
    assert_eq!((request.method.as_str(), request.body.as_slice()), ("PUT", &b"from a pipe"[..]));
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert_eq!(request.header("content-type"), Some("application/octet-stream"));
}

#[test]
fn the_answer_is_kept_up_to_a_limit() {
    let server = server(Reply::new(200, "a".repeat(100_000)));
    assert_eq!(succeed(post(&server.url("/")))["answer"], "a".repeat(4096));
}

#[test]
fn a_refusal_is_shown_with_what_the_server_says_and_not_tried_again() {
    for (status, code) in
        [(400, "DEPENDENCY_ERROR"), (401, "AUTHORIZATION_DENIED"), (404, "NOT_FOUND"), (413, "DEPENDENCY_ERROR")]
    {
        let server = server(Reply::new(status, "no such\nhook"));
        let error = fail(post(&server.url("/")).args(["--retries", "3"]), code);
        let text = message(&error);
        assert!(text.contains(&format!("HTTP status {status} (")) && text.ends_with(": no such hook"), "{text}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_failure_that_may_pass_is_tried_again_where_that_was_asked_for() {
    for status in [408, 429, 500, 503] {
        let server = two(Reply::new(status, "busy"), Reply::new(200, ""));
        let error = fail(post(&server.url("/")), "SERVICE_UNAVAILABLE");
        assert!(message(&error).contains("busy"), "{error:#}");
        assert_eq!(server.requests().len(), 1);
    }
    let folder = folder();
    let body = folder.path().join("body");
    fs::write(&body, "again").expect("written");
    let server = two(Reply::new(503, "busy"), Reply::new(200, ""));
    let run = post(&server.url("/")).args(["--retries", "1", "--retry-delay", "1ms", "--body"]).arg(&body);
    let result = succeed(run);
    assert_eq!((&result["attempts"], &result["status"]), (&json!(2), &json!(200)));
    assert!(result["last_error"].as_str().is_some_and(|text| text.contains("503")), "{result:#}");
    assert!(server.requests().iter().all(|request| request.body == b"again"));
}

#[test]
fn a_pause_that_ends_too_late_is_not_begun() {
    let server = server(Reply::new(503, "closed").header("Retry-After", 3600));
    let run = clean(op("--json -t 1m")).args(["post", &server.url("/"), "--retries", "3"]);
    let error = fail(run, "SERVICE_UNAVAILABLE");
    let text = message(&error);
    assert!(text.contains("503") && text.contains("3600 s, when no time is left"), "{text}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_is_not_there_is_named_with_its_attempts() {
    let url = server(Reply::new(200, "")).url("/");
    let error = fail(post(&url).args(["--retries", "2", "--retry-delay", "1ms"]), "SERVICE_UNAVAILABLE");
    assert_eq!(message(&error), format!("cannot post to {url}: connection refused (3 attempts)"));
}

#[test]
fn a_redirect_that_asks_for_the_same_gets_the_body_and_no_secret() {
    for status in [307, 308] {
        let folder = folder();
        let body = folder.path().join("body");
        fs::write(&body, "twice").expect("written");
        let other = server(Reply::new(200, ""));
        let first = server(Reply::new(status, "").header("Location", other.url("/there")));
        let run = post(&first.url_with_user("me:secret", "/")).args(["--content-type", "text/plain"]);
        succeed(run.args(["--header", "X-Key: secret", "--body"]).arg(&body));
        assert_eq!(only(&first).header("x-key"), Some("secret"));
        let request = only(&other);
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/there"));
        assert_eq!((request.body.as_slice(), request.header("content-type")), (&b"twice"[..], Some("text/plain")));
        assert_eq!((request.header("x-key"), request.header("authorization")), (None, None));
    }
}

#[test]
fn what_cannot_be_read_twice_is_sent_once() {
    let first = server(Reply::new(307, "").header("Location", "/there"));
    let error = fail(post(&first.url("/")).args(["--body", "-"]).input("once"), "DEPENDENCY_ERROR");
    assert!(message(&error).contains("cannot be read again"), "{error:#}");
    assert_eq!(only(&first).body, b"once");
    let run = post(&first.url("/")).args(["--body", "-", "--retries", "1"]).run();
    assert_eq!(run.assert_code(125).json()["error"]["details"]["argument"], "--retries");
}

#[test]
fn a_redirect_that_would_make_a_get_of_it_is_a_failure_that_says_where_it_leads() {
    for status in [301, 302, 303] {
        let server = server(Reply::new(status, "").header("Location", "/other?token=secret"));
        let error = fail(post(&server.url("/")).args(["--retries", "3"]), "DEPENDENCY_ERROR");
        assert!(message(&error).contains(&server.url("/other?...")), "{error:#}");
        assert!(!error.to_string().contains("secret"), "{error:#}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn credentials_are_sent_and_shown_nowhere() {
    let server = server(Reply::new(403, ""));
    let run = post(&server.url_with_user("me:secret", "/?token=secret")).args(["--header", "X-Key: secret"]).run();
    assert!(!run.stdout_text().contains("secret"), "{}", run.stdout_text());
    let request = only(&server);
    assert_eq!(request.header("authorization"), Some("Basic bWU6c2VjcmV0"));
    assert_eq!((request.header("x-key"), request.target.as_str()), (Some("secret"), "/?token=secret"));
}

#[test]
fn a_body_that_cannot_be_read_is_named() {
    let server = server(Reply::new(200, ""));
    let error = fail(post(&server.url("/")).args(["--body", "/no/such/file"]), "NOT_FOUND");
    assert!(message(&error).contains("/no/such/file"), "{error:#}");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_long_body_is_reported_while_it_is_sent() {
    let folder = folder();
    let body = folder.path().join("body");
    fs::write(&body, vec![0; 8 << 20]).expect("written");
    // It answers only once a report was seen.
    let (answer, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let server = Server::start(move |_, _| {
        _ = gate.lock().expect("no thread panics with it").recv();
        Reply::new(200, "")
    });
    let run = clean(op("--progress json")).args(["post", &server.url("/"), "--body"]).arg(&body);
    let mut run = run.start();
    run.wait_for_stderr(r#""event":"progress""#);
    drop(answer);
    let run = run.finish();
    let fractions = reported_progress(&run.assert_code(0).stderr_text());
    assert!(fractions.is_sorted() && fractions[0] < 1.0, "{fractions:?}");
}

#[test]
fn a_server_that_does_not_answer_delays_no_end() {
    let server = server(Reply::new(200, "never all").silent_after(0));
    let run = post(&server.url("/")).start();
    wait_until(SOON, "a request", || !server.requests().is_empty());
    run.signal(libc::SIGTERM);
    let run = run.finish();
    assert_eq!(run.assert_code(143).json()["error"]["code"], "CANCELLED");
}

#[test]
fn a_wrong_url_is_an_error_of_the_command_line() {
    let run = post("ftp://u:secret@h/").run();
    let answer = run.assert_code(125).json();
    assert_eq!(answer["error"]["code"], "VALIDATION_ERROR");
    assert!(!answer.to_string().contains("secret"), "{answer:#}");
}
