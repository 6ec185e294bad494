//! The exit code says what happened, and nothing else is said where the job ended by itself.

use std::fs;
use std::os::unix::ffi::OsStringExt;

use crate::support::{SOON, become_nobody, exec, folder, is_root, seconds, set_mode, strings};

#[test]
fn the_job_s_own_code_is_ours() {
    for code in [0, 1, 2, 42, 75, 124, 125, 126, 127, 128, 137, 255] {
        let done = exec("--timeout 20").victim(&format!("exit {code}")).run();
        done.assert_code(code).assert_silent().assert_tree_dead();
        assert!(done.stdout.is_empty());
    }
}

#[test]
fn a_death_by_signal_is_128_and_its_number() {
    for (number, name) in
        [(15, "TERM"), (9, "KILL"), (11, "SEGV"), (10, "USR1"), (6, "ABRT"), (2, "INT"), (34, "RTMIN")]
    {
        let done = exec("--timeout 20").victim(&format!("raise {number}")).run();
        done.assert_code(128 + number).assert_tree_dead();
        let answer = done.answer();
        assert_eq!(answer["error"]["code"], "COMMAND_FAILED", "{answer:#}");
        let details = &answer["error"]["details"];
        assert_eq!(details["signal"], name);
        assert!(details.get("exit_code").is_none() && details.get("reason").is_none(), "{answer:#}");
        assert!(details["partial_result"].is_object() && details["usage"].is_object(), "{answer:#}");
    }
}

#[test]
fn a_command_that_does_not_exist_is_127() {
    for command in ["/nonexistent/command", "no-such-command-anywhere", "./no-such-command-here"] {
        let done = exec("").job([command]).run();
        done.assert_code(127).assert_tree_dead();
        let answer = done.answer();
        assert_eq!(answer["error"]["code"], "NOT_FOUND", "{answer:#}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains(command)), "{answer:#}");
    }
}

#[test]
fn a_script_whose_interpreter_does_not_exist_is_127() {
    let folder = folder();
    let script = folder.path().join("script");
    fs::write(&script, "#!/nonexistent/interpreter\n").expect("a script");
    set_mode(&script, 0o755);
    let done = exec("").job([&script]).run();
    done.assert_code(127);
    assert_eq!(done.answer()["error"]["code"], "NOT_FOUND");
}

#[test]
fn a_directory_as_command_is_126() {
    let folder = folder();
    let done = exec("").job([folder.path()]).run();
    done.assert_code(126).assert_tree_dead();
    let answer = done.answer();
    let code = answer["error"]["code"].as_str().unwrap_or_default();
    assert!(["AUTHORIZATION_DENIED", "VALIDATION_ERROR"].contains(&code), "{answer:#}");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains(&*folder.path().to_string_lossy())));
}

#[test]
fn a_file_that_is_not_executable_is_126() {
    let folder = folder();
    let file = folder.path().join("data");
    fs::write(&file, "#!/bin/sh\n").expect("a file");
    let done = exec("").job([&file]).run();
    done.assert_code(126).assert_tree_dead();
    let answer = done.answer();
    assert_eq!(answer["error"]["code"], "AUTHORIZATION_DENIED", "{answer:#}");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("data")), "{answer:#}");
}

/// As a shell and execvp(3) have it.
#[test]
fn a_script_without_an_interpreter_line_runs_by_sh() {
    let folder = folder();
    let script = folder.path().join("script");
    fs::write(&script, "echo \"from sh: $1\"; exit 4\n").expect("a script");
    set_mode(&script, 0o755);
    let done = exec("").job([script.as_os_str(), "word".as_ref()]).run();
    done.assert_code(4).assert_silent();
    assert_eq!(done.stdout_text(), "from sh: word\n");
}

/// One that is not executable does not hide one later in PATH, and an error of permission is told where none is found.
#[test]
fn the_path_is_searched_as_by_a_shell() {
    let (first, second) = (folder(), folder());
    fs::write(first.path().join("tool"), "#!/bin/sh\n").expect("a file");
    fs::write(second.path().join("tool"), "#!/bin/sh\necho second\n").expect("a script");
    set_mode(&second.path().join("tool"), 0o755);
    let path = format!("{}:{}", first.path().display(), second.path().display());
    let done = exec("").env("PATH", path).job(["tool"]).run();
    done.assert_code(0).assert_silent();
    assert_eq!(done.stdout_text(), "second\n");
    exec("").env("PATH", first.path()).job(["tool"]).run().assert_code(126);
    // The command is looked up in the path that it will have.
    let done = exec("--env").arg(format!("PATH={}", second.path().display())).job(["tool"]).run();
    done.assert_code(0);
}

/// As with a PATH into the home directory of another user.
#[test]
fn an_unsearchable_directory_in_path_does_not_hide_a_missing_command() {
    let closed = folder();
    set_mode(closed.path(), 0o000);
    let path = format!("{}:/usr/bin:/bin", closed.path().display());
    let as_user = |words: [&str; 1]| {
        let run = exec("").env("PATH", &path).job(words);
        if is_root() { run.with(become_nobody) } else { run }
    };
    as_user(["true"]).run().assert_code(0).assert_silent();
    let done = as_user(["no-such-command-anywhere"]).run();
    done.assert_code(127);
    let answer = done.answer();
    assert_eq!(answer["error"]["code"], "NOT_FOUND", "{answer:#}");
    let hint = answer["error"]["remediation"].as_str().unwrap_or_default();
    assert!(hint.contains(&*closed.path().to_string_lossy()), "{hint}");
    set_mode(closed.path(), 0o700);
}

#[test]
fn wrong_usage_is_125() {
    for arguments in
        [&["exec"][..], &["exec", "--no-such-option", "--", "true"], &["exec", "--timeout"], &["exec", "--"]]
    {
        let output = crate::support::runner().args(arguments).output().expect("runner runs");
        assert_eq!(output.status.code(), Some(125), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_is_no_error() {
    for flag in ["-h", "--help"] {
        let output = crate::support::runner().args(["exec", flag]).output().expect("runner runs");
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty() && !output.stdout.is_empty());
    }
}

#[test]
fn told_to_stop_by_term_or_hup_it_is_128_and_its_number() {
    for (number, name) in [(libc::SIGTERM, "TERM"), (libc::SIGHUP, "HUP")] {
        let mut run = exec("--grace 5").victim("sleep").start();
        run.wait_until_ready();
        run.signal(number);
        let done = run.finish();
        done.assert_code(128 + number).assert_took_between(seconds(0.0), SOON).assert_tree_dead();
        let answer = done.answer();
        assert_eq!(answer["error"]["code"], "CANCELLED");
        let details = &answer["error"]["details"];
        assert_eq!(details["signal"], name);
        for field in ["partial_result", "termination", "processes"] {
            assert!(!details[field].is_null(), "{field}: {answer:#}");
        }
        assert!(!strings(&details["termination"]["signals"]).is_empty(), "{answer:#}");
    }
}

/// So that a shell sees it, and a loop around it ends.
#[test]
fn told_to_stop_by_int_or_quit_it_answers_and_dies_of_that() {
    for (number, name) in [(libc::SIGINT, "INT"), (libc::SIGQUIT, "QUIT")] {
        let mut run = exec("--grace 0.5").with(crate::support::without_core_dump).victim("sleep").start();
        run.wait_until_ready();
        run.signal(number);
        let done = run.finish();
        done.assert_died_of(number).assert_tree_dead();
        assert_eq!(done.answer()["error"]["details"]["signal"], name);
    }
}

/// The shell's own way to say 130.
#[test]
fn a_shell_around_it_shows_130() {
    let line = "\"$RUN\" exec -- \"$VICTIM\" raise 2; echo \"code $?\"";
    let done = exec("").env("RUN", env!("CARGO_BIN_EXE_runner")).sh(line).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "code 130\n");
}

#[test]
fn a_json_answer_has_the_same_codes() {
    exec("--json").victim("exit 0").run().assert_code(0).assert_silent();
    exec("--json").victim("exit 42").run().assert_code(42).assert_silent();
    exec("--json").victim("raise 15").run().assert_code(143).assert_silent();
    exec("--json").job(["/nonexistent/command"]).run().assert_code(127).assert_silent();
    exec("--json --timeout 0.3 --grace 0.1").victim("ignore-term").run().assert_code(124).assert_silent();
}

#[test]
fn an_argument_that_is_not_text_is_passed_on_as_it_is() {
    let odd = std::ffi::OsString::from_vec(b"\xff\xfe odd".to_vec());
    let victim = crate::support::victim_path();
    let done =
        exec("").job([victim.as_os_str(), "args".as_ref(), "a b".as_ref(), "".as_ref(), "--json".as_ref(), &odd]).run();
    done.assert_code(0).assert_silent();
    assert_eq!(done.stdout, b"a b\0\0--json\0\xff\xfe odd\0");
}
