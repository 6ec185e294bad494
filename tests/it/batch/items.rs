//! `runner batch` with items: an item is data everywhere in a command, and an error where it would be code.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{batch, folder, has_program};

/// Items with shell metacharacters.
const HOSTILE: [&[u8]; 14] = [
    b"$(touch pwned)",
    b"`touch pwned`; touch pwned",
    b"a'b\"c\\",
    b"-n",
    b"",
    b"\xff\xfe \xc3\x81\x82\x88",
    b"a[$(touch pwned)]",
    b"}",
    b" a  *\t~ ",
    b"\\\\n\\",
    b"x\nEOF\ntouch pwned",
    b"&x\\&",
    b"'; touch pwned; '",
    b"\"; touch pwned; \"",
];

/// Lines, and what they print where the item is `@`.
const LINES: [(&str, &str); 61] = [
    ("printf %s {}", "@"),
    ("printf %s \"<{}>\"", "<@>"),
    ("printf %s '<{}>'", "<@>"),
    ("printf %s x{}y", "x@y"),
    ("printf %s \"{}\"'{}'{}", "@@@"),
    ("printf %s \\\n{}", "@"),
    ("printf %s \\\\{}", "\\@"),
    ("printf %s \"\\{}\\$\"", "\\@$"),
    ("printf %s {} # it's {}", "@"),
    ("echo $(( $(printf 1) + `printf 2` )) >/dev/null; if :; then printf %s {}; fi <<E\nE", "@"),
    ("# don't\nprintf %s {}", "@"),
    // Substitutions.
    ("printf %s \"$(printf \"%s.\" \"{}\")\"", "@."),
    ("printf %s \"`printf '%s.' {}`\"", "@."),
    ("printf %s \"`printf \\\"%s.\\\" \\\"{}\\\"`\"", "@."),
    ("x=`printf %s \"\\`printf %s. {}\\`\"`; printf %s \"$x\"", "@."),
    ("echo $(( {#} % 2 )) >/dev/null; printf %s {}", "@"),
    ("((printf %s {}); true)", "@"),
    // Words of ${...}.
    ("unset u; printf %s \"${u:-{}}\"", "@"),
    ("unset u; printf %s ${u:-{}}", "@"),
    ("unset u; printf %s \"${u-<{}>}\"", "<@>"),
    ("unset u; printf %s ${u:-'<{}>'}", "<@>"),
    ("unset u; : \"${u:={}}\"; printf %s \"$u\"", "@"),
    ("v={}.txt; printf %s \"${v#{}}\"", ".txt"),
    ("v=x{}; w=${v%{}}; printf %s \"$w\"", "x"),
    ("v=x{}; printf %s \"${v%\"{}\"}\"", "x"),
    // Here-documents.
    ("cat <<EOF\n<{}>\nEOF", "<@>\n"),
    ("cat <<EOF\n{} ${u:-{}} $(printf %s. {}) `printf %s. {}`\nEOF", "@ @ @. @.\n"),
    ("cat <<-EOF\n\t\"{}\" '{}' \\$x\n\tEOF", "\"@\" '@' $x\n"),
    ("cat <<EOF\n\\{}\nEOF", "\\@\n"),
    ("cat <<A; cat <<B\n1{}\nA\n2{}\nB", "1@\n2@\n"),
    ("cat <<'A' && printf %s {}\n$x {foo}\nA\n", "$x {foo}\n@"),
    ("x=$(cat <<EOF\n{}.\nEOF\n); printf %s \"$x\"", "@."),
    ("x=`cat <<EOF\n{}.\nEOF\n`; printf %s \"$x\"", "@."),
    // Compound commands.
    ("case {} in {}) printf ok;; *) printf no;; esac", "ok"),
    ("case x{} in (x{}) printf ok;; *) printf no;; esac", "ok"),
    ("printf %s \"$(case {} in a) printf 'A{}';; (*) printf %s. '{}';; esac)\"", "@."),
    ("printf %s \"$(case x in\nx) printf %s. \"{}\" ;; esac)\"", "@."),
    ("for f in {} b; do printf \"%s.\" \"$f\"; done", "@.b."),
    ("while :; do printf %s {}; break; done", "@"),
    ("if [ {} = {} ]; then printf ok; fi", "ok"),
    ("(printf %s {})", "@"),
    ("{ printf %s {}; }", "@"),
    // What changes the positional parameters.
    ("f() { printf %s {}; }; f other", "@"),
    ("f() { printf %s {}; }; trap f EXIT; set -- other", "@"),
    ("set -- a b; shift; printf %s {}", "@"),
    ("printf %s \"$#\"; : {}", "1"),
    ("printf %s \"$1\"", "@"),
    ("printf %s \"$@\"; : {.}", "@"),
    ("f() { printf %s \"$1\"; }; f {}", "@"),
    ("set -eu; printf %s {}", "@"),
    ("x={}; printf %s \"$x\"", "@"),
    ("x={} sh -c 'printf %s \"$x\"'", "@"),
    ("sh -c 'printf %s \"$1\"' sh {}", "@"),
    ("env | grep -c '^_.*1=' >&2 || printf none; : {}", "none"),
    // One more shell.
    ("eval printf %s {q}", "@"),
    ("eval \"printf %s {q}\"", "@"),
    ("sh -c 'printf %s {q}'", "@"),
    ("sh -c 'printf %s \"$(printf %s. {q})\"'", "@."),
    ("env X=1 sh -ec \"printf %s x{q}y\"", "x@y"),
    ("trap 'printf %s {q}' EXIT", "@"),
    ("f() { eval \"printf %s {1q}\"; }; f", "@"),
];

/// Each line prints each item verbatim in this shell, and no item runs.
#[track_caller]
fn assert_data(shell: &Path) {
    let place = folder();
    let input: Vec<u8> = HOSTILE.iter().flat_map(|item| [item, &b"\0"[..]].concat()).collect();
    for (line, expected) in LINES {
        let run = batch("-j4 -q --each -0 --results out/ --shell").arg(shell).arg("-c").arg(line).input(input.clone());
        let done = run.with(|command| _ = command.current_dir(place.path()).env("_r1", "inherited")).run();
        done.assert_code(0);
        for (at, item) in HOSTILE.iter().enumerate() {
            let printed = std::fs::read(place.path().join(format!("out/{}/stdout", at + 1))).expect("its output");
            let expected: Vec<u8> =
                expected.bytes().flat_map(|byte| if byte == b'@' { item.to_vec() } else { vec![byte] }).collect();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(text(&printed), text(&expected), "{}: {line:?} with {:?}", shell.display(), text(item));
            assert_eq!(printed, expected, "{}: {line:?} with {:?}", shell.display(), text(item));
        }
        assert!(!place.path().join("pwned").exists(), "{}: {line:?} ran an item", shell.display());
        std::fs::remove_dir_all(place.path().join("out")).expect("the outputs");
    }
}

#[test]
fn an_item_is_data_in_every_place_of_a_line_of_sh() {
    assert_data(Path::new("sh"));
}

#[test]
fn an_item_is_data_in_every_place_of_a_line_of_bash() {
    if has_program("bash") {
        assert_data(Path::new("bash"));
    }
}

#[test]
fn an_item_is_data_in_every_place_of_a_line_of_other_shells() {
    let links = folder();
    for shell in ["busybox", "zsh", "ksh", "mksh"] {
        if !has_program(shell) {
            continue;
        }
        if shell == "busybox" {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let busybox = std::env::split_paths(&path).map(|dir| dir.join(shell)).find(|path| path.is_file());
            let ash = links.path().join("ash");
            symlink(busybox.expect("it is there"), &ash).expect("a link");
            assert_data(&ash);
        } else {
            assert_data(Path::new(shell));
        }
    }
}

#[test]
fn a_trap_removes_only_the_directory_of_its_item() {
    let place = folder();
    std::fs::create_dir_all(place.path().join("work/other")).expect("a directory");
    let line = "cleanup() { rm -rf work/{}; }; trap cleanup EXIT; mkdir -p work/{}";
    let run = batch("-c").arg(line).args([":::", "tmp1"]);
    run.with(|command| _ = command.current_dir(place.path())).run().assert_code(0);
    let left: Vec<_> = std::fs::read_dir(place.path().join("work")).expect("it is left").flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// Lines that would run an item as code, and the command that would run it.
const CODE: &[(&str, &str)] = &[
    ("eval {}", "eval"),
    ("x=1; command eval \"echo {}\"", "eval"),
    ("if eval {}; then :; fi", "eval"),
    ("eval \"$(echo {})\"", "eval"),
    ("trap 'rm {}' EXIT", "trap"),
    ("trap -- {} EXIT", "trap"),
    ("alias x='echo {}'", "alias"),
    ("sh -c 'echo {}'", "sh"),
    ("/bin/sh -c 'echo {.}'", "sh"),
    ("\\sh -c '{1}'", "sh"),
    ("bash -ec \"echo {}\"", "bash"),
    ("bash -lc {}", "bash"),
    ("bash --norc -o pipefail -c '{}'", "bash"),
    ("dash -c -e '{}'", "dash"),
    ("$SHELL -c '{}'", "$SHELL"),
    ("x=$(sh -c '{}')", "sh"),
    ("echo `sh -c '{}'`", "sh"),
    ("{ sh -c '{}'; }", "sh"),
    ("f() { sh -c '{}'; }", "sh"),
    ("case x in x) sh -c '{}';; esac", "sh"),
    ("X=1 sudo -u bob env A=b nice -n 5 sh -c '{}'", "sh"),
    ("timeout -k 1 5 sh -c '{}'", "sh"),
    ("exec time nohup sh -c '{}'", "sh"),
    ("xargs -n 1 sh -c 'echo {}'", "sh"),
    ("find . -exec sh -c 'echo {}' \\;", "sh"),
    ("busybox sh -c '{}'", "sh"),
    ("docker exec box sh -c 'x {}'", "sh"),
    ("sh -c > log '{}'", "sh"),
    ("sh <<EOF\necho {}\nEOF", "sh"),
    ("bash -s <<< 'echo {}'", "bash"),
    ("su - bob -c 'echo {}'", "su"),
    ("su --command='x {}' bob", "su"),
    ("flock -w 5 lock -c 'echo {}'", "flock"),
    ("flock lock sh -c 'echo {}'", "sh"),
    ("ssh -p 22 host cat {}", "ssh"),
    ("ssh host", "ssh"),
    ("watch -n 1 ls {}", "watch"),
    ("python3.11 -Ic 'print({})'", "python3.11"),
    ("python3 <<E\nprint('{}')\nE", "python3"),
    ("perl -ne'print {}' file", "perl"),
    ("ruby -e 'puts {}'", "ruby"),
    ("node --eval='x({})'", "node"),
    ("node -pe '{}'", "node"),
    ("awk -F: \"/{}/ { print }\" file", "awk"),
    ("runner exec -c 'echo {}'", "runner"),
    ("let x={}", "let"),
    ("[[ {} -eq 1 ]]", "[["),
    ("a[{}]=1", "a subscript"),
    ("unset {}", "unset"),
    ("declare -i x={}", "declare"),
    ("read -r {}", "read"),
    ("function f { eval {}; }", "eval"),
    ("gawk -f lib.awk -e '{}'", "gawk"),
    // Programs that run another one.
    ("docker exec c awk '{print \"{}\"}'", "awk"),
    ("docker exec -it -e A=b --user root c su -c 'echo {}'", "su"),
    ("docker exec c ssh h {}", "ssh"),
    ("docker run --rm --name x --entrypoint bash image -c 'echo {}'", "bash"),
    ("docker compose exec -T web sh -c 'echo {}'", "sh"),
    ("podman run --rm -v a:b image watch {}", "watch"),
    ("kubectl exec -n ns pod -c box -- flock lk -c 'echo {}'", "flock"),
    ("ip netns exec ns script -c 'echo {}'", "script"),
    ("setpriv --reuid 0 --clear-groups awk '{print \"{}\"}'", "awk"),
    ("prlimit --nofile=64 ssh host {}", "ssh"),
    ("strace -f -o out sh -c 'echo {}'", "sh"),
    ("setarch x86_64 -R awk '{}'", "awk"),
    ("setarch -R su -c 'echo {}'", "su"),
    ("linux32 watch {}", "watch"),
    ("nsenter -t 1 -m env -S {}", "env"),
    ("systemd-run --unit x -p A=b --pipe sh -c '{}'", "sh"),
    ("unshare -r runner exec -c 'echo {}'", "runner"),
    ("chroot /x parallel echo {}", "parallel"),
    ("runuser -u bob awk '{}'", "awk"),
    ("some-wrapper --option x -- sh -c 'echo {}'", "sh"),
    // runner itself.
    ("runner exec --timeout 5 -c 'echo {}'", "runner"),
    ("runner exec --name x --env A=b -c 'echo {}'", "runner"),
    ("runner batch -j 2 --timeout 5 -c 'echo {}' ::: a", "runner"),
    ("runner batch list -c 'echo {}'", "runner"),
    ("runner op wait-for --timeout 5 'cmd:test -e {}'", "runner"),
    ("runner task submit --on-done 'echo {}' -- true", "runner"),
    ("runner task submit --group g -- awk '{}'", "awk"),
    ("runner timeout -k 1 5 sh -c 'echo {}'", "sh"),
    // Options.
    ("/usr/bin/env -S bash -c 'echo {}'", "bash"),
    ("env -S 'sh -c' 'echo {}'", "sh"),
    ("env -S 'VAR=1 bash -c' 'echo {}'", "bash"),
    ("env --split-string='bash -c' 'echo {}'", "bash"),
    ("env -iS 'bash -c' 'echo {}'", "bash"),
    ("env -u A -S 'bash -c' 'echo {}'", "bash"),
    ("env -u A -S '-u B \"bash\" -c' 'echo {}'", "bash"),
    ("env -S 'ls {q}'", "env"),
    ("su --comm 'echo {}'", "su"),
    ("node -p -e {}", "node"),
    ("flock --timeout 1 lk -c 'echo {}'", "flock"),
    ("sg root 'echo {}'", "sg"),
    ("sg root -c 'echo {}'", "sg"),
    ("fish -C {}", "fish"),
    ("perl -M{} -e 1", "perl"),
    ("python3 -m timeit -s {}", "python3"),
    ("bash +c {}", "bash"),
    ("parallel --jobs 4 ::: {}", "parallel"),
    ("printf -v {} x", "printf"),
    ("test -v {}", "test"),
    ("[ -v {} ]", "["),
    ("declare -n r={}", "declare"),
    ("declare -i x; x={}", "an integer or name reference"),
    ("declare -i x; for x in {}; do :; done", "an integer or name reference"),
    // What is read.
    ("sh - <<E\necho {}\nE", "sh"),
    ("bash /dev/stdin <<E\necho {}\nE", "bash"),
    (". /dev/stdin <<E\necho {}\nE", "."),
    ("source /dev/stdin <<< {}", "source"),
    ("source <(echo {})", "source"),
    ("su <<E\necho {}\nE", "su"),
    ("su root <<E\necho {}\nE", "su"),
    ("sudo -s <<E\necho {}\nE", "sudo"),
    ("{ sh; } <<E\necho {}\nE", "sh"),
    ("time { sh; } <<< {}", "sh"),
    ("{ { sh; }; } <<< {}", "sh"),
    ("f() { sh; } <<< {}", "sh"),
    ("( cd x; sh ) <<E\necho {}\nE", "sh"),
    ("if true; then sh; fi <<E\necho {}\nE", "sh"),
    ("while sh; do break; done <<< {}", "sh"),
    ("case x in x) sh;; esac <<E\necho {}\nE", "sh"),
    ("exec <<E\necho {}\nE\nsh", "sh"),
    ("python3 - x <<E\n{}\nE", "python3"),
    ("python3 -u - a <<E\n{}\nE", "python3"),
    ("python3 -W ignore - <<E\n{}\nE", "python3"),
    ("perl - <<E\n{}\nE", "perl"),
    ("node - <<E\n{}\nE", "node"),
    ("awk -f - <<E\n{}\nE", "awk"),
    ("gawk --file=/dev/stdin <<E\n{}\nE", "gawk"),
    ("sudo python3 - <<E\n{}\nE", "python3"),
    ("docker exec -i c sh <<E\n{}\nE", "sh"),
    // The quotes of one shell do not suffice for two, nor for another language.
    ("sh -c 'sh -c {q}'", "sh"),
    ("ssh host sh -c {q}", "sh"),
    ("python3 -c 'print({q})'", "python3"),
];

#[test]
fn an_item_in_code_is_refused_before_anything_starts() {
    for (line, command) in CODE {
        let done = batch("-c").arg(line).args([":::", "x"]).run();
        done.assert_code(125);
        let stderr = done.stderr_text();
        assert!(
            stderr.contains(&format!("\"message\":{:?}", format!("{command} would run the item as code"))),
            "{line}: {stderr}"
        );
    }
    for line in [
        "sh -c 'echo \"{q}\"'",
        "trap \"rm '{q}'\" EXIT",
        "sh -c 'cat <<E\n{q}\nE'",
        "sh -c 'cp dir/\\{q} .'",
        "bash -c 'cat ${q}'",
        "su -c 'cat $'{q}",
        "eval echo \\${q}",
        "sh -c 'ls # {q}'",
        "eval \"ls {q} # {q}\"",
        "ssh h 'ls # {q}'",
        "ssh h ls '#' {q}",
        "sh -c 'echo `cat {q}`'",
    ] {
        let done = batch("-c").arg(line).args([":::", "x\ntouch pwned"]).run();
        done.assert_code(125);
        let stderr = done.stderr_text();
        assert!(stderr.contains("{q} is not a plain word in the code that"), "{line}: {stderr}");
    }
}

#[test]
fn an_item_in_code_is_refused_in_a_command_without_a_shell_too() {
    for (command, name) in [
        (&["sh", "-c", "echo {}"][..], "sh"),
        (&["sudo", "-u", "bob", "bash", "-ec", "{}"], "bash"),
        (&["ssh", "host", "cat"], "ssh"),
        (&["python3", "-c", "print('{}')"], "python3"),
        (&["awk", "/{}/"], "awk"),
        (&["env", "-S", "ls {}"], "env"),
    ] {
        let done = batch("--").args(command).args([":::", "x"]).run();
        done.assert_code(125);
        let stderr = done.stderr_text();
        assert!(stderr.contains(&format!("{name} would run the item as code")), "{command:?}: {stderr}");
        assert!(stderr.contains("{q}"), "{command:?}: {stderr}");
    }
    for (args, remedy) in [
        (&["--", "ssh", "host", "rm"][..], "Append {q}: the item quoted for one more shell, as in: ssh host cat {q}\""),
        (
            &["--", "ssh", "host", "rm", "{}"],
            "Write {q} in place of {}, outside of quotes: the item quoted for one more shell, as in: ssh host cat {q}\"",
        ),
        (&["-c", "ssh host rm"], "Append {q}: "),
    ] {
        let done = batch("").args(args).args([":::", "x"]).run();
        done.assert_code(125);
        assert!(done.stderr_text().contains(remedy), "{args:?}: {}", done.stderr_text());
    }
    let done = batch("-- sh -c").arg("printf %s {q}").args([":::", "$(touch pwned) 'x'"]).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "$(touch pwned) 'x'");
}

#[test]
fn commands_that_only_look_like_code_are_not_refused() {
    for line in [
        "echo sh -c {}",
        "sh script {}",
        "sh -c 'echo {#}'",
        "ssh {} uptime",
        "awk '{print}' {}",
        "awk -v x={} '{print}' file",
        "awk -f program {}",
        "python3 script.py -c {}",
        "python3 -m module -c {}",
        "perl -ne print {}",
        "su bob -c true {}",
        "flock {} true",
        "timeout 5 gzip {}",
        "trap - {}",
        "find {} -name x",
        "find . -exec grep {} \\;",
        "sh script <<EOF\n{}\nEOF",
        "docker ps --format '{{.Names}}' {}",
        "[ {} -eq 1 ]",
        "sh -c 'f={q}; cat {q} | sort'",
        "x={} eval 'echo \"$x\"'",
        "gzip -c {}",
        "f() { local x={}; }; f",
        "read x < {}",
        "awk -f program.awk -- {}",
        "flock lock gzip -c {}",
        "runner exec -- gzip -c {}",
        "runner exec --timeout 5 gzip -c {}",
        "runner op wait-for file:{}",
        "echo $(( $(stat -c %s {}) / 1024 ))",
        "echo $(( `stat -c %s {}` / 1024 ))",
        "(( $(wc -l < {}) > 10 ))",
        "let x=$(wc -l < {})",
        "[[ $(stat -c %s {}) -gt 5 ]]",
        "declare -i n=$(stat -c %s {})",
        "parallel gzip ::: {}",
        "parallel --jobs 4 gzip ::: {}",
        "grep -rn node -e {} .",
        "grep perl -e {}",
        "pgrep bash -c {}",
        "pip install ruby -e {}",
        "docker exec c grep node -e {}",
        "docker run --rm -v {}:/data image gzip -c /data",
        "strace -o {} gzip x",
        "env -S 'gzip -9' {}",
        "printf 'sh -c %s' {}",
        "printf -- {}",
        "test -f {}",
        "{ read x; cat; } <<E\n{}\nE",
        "if sh; then :; fi; cat <<E\n{}\nE",
        "exec < {}; sh",
        "python3 - <<E\npass\nE\necho {}",
        "python3 -m json.tool <<E\n{}\nE",
        "awk -f program <<E\n{}\nE",
        "docker exec -i c psql <<E\n{}\nE",
        "xargs rm <<E\n{}\nE",
        "xargs -n 1 gzip <<< {}",
    ] {
        let done = batch("--dry-run -c").arg(line).args([":::", "x"]).run();
        assert_eq!(done.status.code(), Some(0), "{line}: {}", done.stderr_text());
    }
}

#[test]
fn a_line_with_items_needs_a_posix_shell() {
    for shell in ["fish", "python3", "/usr/bin/perl", "busybox", "csh"] {
        let done = batch("--shell").arg(shell).args(["-c", "echo {}", ":::", "x"]).run();
        done.assert_code(125);
        assert!(
            done.stderr_text().contains(&format!("'{shell}' is not a POSIX shell; a line with items needs one")),
            "{}",
            done.stderr_text()
        );
    }
    for shell in ["bash", "/bin/dash", "ksh93", "/opt/zsh-5.9"] {
        batch("--dry-run --shell").arg(shell).args(["-c", "echo {}", ":::", "x"]).run().assert_code(0);
    }
}

#[test]
fn option_i_sets_another_placeholder() {
    let words = ["-I", ",,", "--", "printf", "%s|", ",,", "x,,y", "{}", "{1}", "{4}", "{.}", ":::", "a.b"];
    let done = batch("-k").args(words).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), "a.b|xa.by|{}|{1}|{4}|a|");
    let done = batch("-k -I @@ -c").arg("printf '%s|' @@ \"@@\" '@@' {}").args([":::", "$(x)"]).run();
    assert_eq!(done.stdout_text(), "$(x)|$(x)|$(x)|{}|");
    let done = batch("-I X -c").arg("sh -c 'echo X'").args([":::", "a"]).run();
    done.assert_code(125);
    batch("-I").arg("").args(["--", "echo", ":::", "a"]).run().assert_code(125);
}

#[test]
fn other_text_in_braces_passes_unchanged() {
    let words = ["{print}", "{print $2}", "{{.Names}}", "a{b,c}", "{1..3}", "{ }", "{foo}", "{", "}", "{-}"];
    let done = batch("--").args(["printf", "%s|"]).args(words).args(["{}", ":::", "x"]).run();
    done.assert_code(0);
    assert_eq!(done.stdout_text(), format!("{}|x|", words.join("|")));
    for (word, problem) in [
        ("{2}", "is beyond the items"),
        ("{0}", "is beyond the items"),
        ("{3/.}", "is beyond the items"),
        ("{%}", "does not exist here"),
        ("{##}", "does not exist here"),
        ("{..}", "does not exist here"),
        ("{+/}", "does not exist here"),
        ("{-1}", "does not exist here"),
        ("{Q}", "did you mean {q}?"),
        ("{q1}", "did you mean {1q}?"),
        ("{= s/x/y/ =}", "does not exist here"),
    ] {
        for args in [vec!["--", "echo", word], vec!["-c", "echo '{= s/x/y/ =}'"]] {
            let is_line = args[0] == "-c";
            let line = format!("echo '{word}'");
            let args = if is_line { vec!["-c", &line] } else { args };
            let done = batch("").args(args).args([":::", "x"]).run();
            done.assert_code(125);
            assert!(done.stderr_text().contains(problem), "{word}: {}", done.stderr_text());
        }
    }
}

#[test]
fn an_empty_line_is_an_item_if_jobs_have_several() {
    let of = |options: &str| {
        let done = batch(options).args(["--", "printf", "<%s><%s>\\n", "{}"]).input("a\n\nb\nc\n").run();
        done.assert_code(0);
        done.stdout_text().to_owned()
    };
    assert_eq!(of("-k --each -n 2"), "<a><>\n<b><c>\n");
    assert_eq!(of("-k --each"), "<a><>\n<b><>\n<c><>\n");
}

/// The line that runs is not the one that was written: people see theirs, and the item.
#[test]
fn a_failed_line_is_named_as_it_was_written_with_its_item() {
    let done = batch("-c").arg("test -f {}").args([":::", "no such file"]).run();
    done.assert_code(1);
    let text = done.stderr_text();
    assert!(text.contains("no such file: test -f {}: "), "{text}");
    assert!(!text.contains("readonly"), "{text}");
}
