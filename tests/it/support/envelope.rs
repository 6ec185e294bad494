//! The envelope: read, held against the schema, and compared.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::run::runner;

/// Reads an envelope and holds it against the schema.
#[track_caller]
pub(crate) fn parse(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("no envelope ({error}): {text:.2000}"));
    assert_valid(&value);
    value
}

/// Fails where an envelope is not as `runner schema` says.
#[track_caller]
pub(crate) fn assert_valid(envelope: &Value) {
    if let Some(name) = schema_of(envelope) {
        let validator = validator(name);
        let errors: Vec<String> =
            validator.iter_errors(envelope).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "not valid by the schema '{name}': {errors:#?}\n{envelope:#}");
    }
    // What the schema leaves open and the contract does not.
    let metadata = &envelope["metadata"];
    assert!(metadata["request_id"].as_str().is_some_and(|id| id.starts_with("req_") && id.len() > 4), "{metadata}");
    assert!(metadata["duration_ms"].as_f64().is_some_and(|time| time >= 0.0), "{metadata}");
    assert_eq!(metadata["api_version"], "v1");
    match envelope["status"].as_str() {
        Some("success" | "pending") => {
            assert!(envelope["data"].is_object() && envelope.get("error").is_none(), "{envelope:#}")
        }
        Some("error") => {
            assert!(envelope["error"].is_object() && envelope.get("data").is_none(), "{envelope:#}");
            for field in ["code", "message", "remediation"] {
                let text = envelope["error"][field].as_str().unwrap_or_default();
                assert!(!text.trim().is_empty(), "no {field}: {envelope:#}");
            }
        }
        other => panic!("status {other:?}"),
    }
}

/// The name of the schema that an answer is to follow. None: `runner schema` has none for this kind of data.
fn schema_of(envelope: &Value) -> Option<&'static str> {
    let data = &envelope["data"];
    let has = |field: &str| data.get(field).is_some();
    match () {
        () if !has("tasks") && !has("task_id") && (data.is_null() || has("stdout")) => Some("envelope"),
        () if has("created_at") => Some("task"),
        () if data["tasks"].as_array().is_some_and(|tasks| tasks.iter().all(|task| task.get("command").is_some())) => {
            Some("task-list")
        }
        () if has("lifetime") => Some("stats"),
        () if has("busy") => Some("worker"),
        () => None,
    }
}

fn validator(name: &'static str) -> &'static jsonschema::Validator {
    static KNOWN: Mutex<BTreeMap<&str, &jsonschema::Validator>> = Mutex::new(BTreeMap::new());
    let make = || {
        let output = runner().args(["schema", name]).output().expect("runner schema runs");
        let schema = serde_json::from_slice(&output.stdout).expect("the schema is JSON");
        Box::leak(Box::new(jsonschema::validator_for(&schema).expect("the schema is a JSON Schema")))
    };
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert_with(|| make())
}

/// The strings of a list.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The same envelope without what differs from run to run.
pub(crate) fn redact(envelope: &Value) -> Value {
    let mut copy = envelope.clone();
    redact_in_place(&mut copy);
    copy
}

fn redact_in_place(value: &mut Value) {
    const VARYING: [&str; 13] = [
        "pid",
        "ppid",
        "uid",
        "cpu_seconds",
        "rss_bytes",
        "waiting_in",
        "request_id",
        "timestamp",
        "duration_ms",
        "elapsed_seconds",
        "user_seconds",
        "system_seconds",
        "max_rss_bytes",
    ];
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if VARYING.contains(&name.as_str()) {
                    *field = Value::from("[varies]");
                } else {
                    redact_in_place(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact_in_place),
        _ => {}
    }
}

/// The fractions that `--progress json` told of, in their order.
pub(crate) fn reported_progress(stderr: &str) -> Vec<f64> {
    let events = stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "progress").filter_map(|event| event["fraction"].as_f64()).collect()
}
