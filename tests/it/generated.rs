//! The man pages and completions in the repository are what the program prints. `UPDATE_GENERATED=1` writes them anew.

use std::fs;
use std::path::Path;

use runner::app::completions::{self, Shell};
use runner::{app, cli};

/// Compares the files of a directory of the repository with what they should be, or makes them so.
fn compare(directory: &str, expected: &[(String, String)]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(&directory).expect("the directory can be made");
        for entry in fs::read_dir(&directory).expect("the directory can be read") {
            fs::remove_file(entry.expect("an entry").path()).expect("the old file can be removed");
        }
        for (name, text) in expected {
            fs::write(directory.join(name), text).expect("the file can be written");
        }
        return;
    }
    for (name, text) in expected {
        let path = directory.join(name);
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == *text, "{} is stale; run the tests with UPDATE_GENERATED=1", path.display());
    }
    let mut found: Vec<_> = fs::read_dir(&directory)
        .expect("the directory is there")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let mut names: Vec<_> = expected.iter().map(|(name, _)| name.clone()).collect();
    found.sort();
    names.sort();
    assert_eq!(found, names, "{} holds other files", directory.display());
}

#[test]
fn man_pages_are_those_of_the_program() {
    let pages = app::man::pages(cli::command()).expect("the pages can be made");
    compare("man", &pages.into_iter().map(|page| (page.file_name, page.text)).collect::<Vec<_>>());
}

#[test]
fn completions_are_those_of_the_program() {
    let scripts = Shell::ALL.map(|shell| (shell.file_name().to_owned(), completions::script(cli::command(), shell)));
    compare("completions", &scripts);
}

#[test]
fn pages_and_scripts_are_the_same_each_time() {
    assert_eq!(app::man::pages(cli::command()).ok(), app::man::pages(cli::command()).ok());
    for shell in Shell::ALL {
        assert_eq!(completions::script(cli::command(), shell), completions::script(cli::command(), shell));
    }
}

#[test]
fn the_page_of_exec_holds_exit_codes_environment_files_and_examples() {
    for name in [None, Some("exec"), Some("runner-exec"), Some("runner-exec.1")] {
        let page = app::man::one(cli::command(), name).expect("there is such a page");
        for part in [
            ".SH \"EXIT STATUS\"",
            ".SH ENVIRONMENT",
            ".SH FILES",
            ".SH EXAMPLES",
            "RUNNER_MAX_TIMEOUT",
            "RUNNER_JOB_ID",
        ] {
            assert!(page.contains(part), "{name:?} lacks {part}");
        }
        for (code, _) in runner::model::exit_code::TABLE {
            let code = code.replace('\'', "\\(aq");
            assert!(page.contains(&format!(".TP\n\\fB{code}\\fR\n")), "{name:?} lacks {code}");
        }
    }
    let error = app::man::one(cli::command(), Some("nope")).expect_err("there is no such page");
    assert!(error.remediation().contains("runner-exec"), "{}", error.remediation());
}

#[test]
fn pages_can_be_written_into_a_new_directory() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let directory = root.path().join("share/man/man1");
    app::man::write(cli::command(), &directory).expect("the directory is made");
    assert!(directory.join("runner.1").is_file() && directory.join("runner-timeout.1").is_file());
}

#[test]
fn the_schema_is_json_and_names_the_envelope() {
    let text = app::schema::text(None).expect("the schema can be made");
    let schema: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(schema["title"], "Envelope");
    assert!(text.ends_with("}\n"));
}

#[test]
fn every_answer_of_the_queue_has_a_schema() {
    let schema = |name: Option<&str>| -> serde_json::Value {
        let text = app::schema::text(name).expect("the schema can be made");
        serde_json::from_str(&text).expect("it is JSON")
    };
    let all = schema(None);
    for (name, data, fields) in [
        ("task", "TaskData", &["task_id", "status", "priority", "timeout_seconds"][..]),
        ("task-list", "TaskListData", &["tasks"]),
        ("stats", "StatsData", &["by_status", "queue_length", "timeout_rate", "wait_seconds"]),
        ("worker", "WorkerData", &["running", "pid", "slots", "busy", "groups"]),
    ] {
        let one = schema(Some(name));
        assert_eq!(one["title"], "Envelope", "{name}");
        for definitions in [&one["$defs"], &all["$defs"]] {
            for field in fields {
                assert!(definitions[data]["properties"].get(*field).is_some(), "{name} lacks {field}");
            }
        }
    }
    let error = app::schema::text(Some("nope")).expect_err("there is no such schema");
    assert!(error.remediation().contains("task-list"), "{}", error.remediation());
}
